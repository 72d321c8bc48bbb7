//! `infill purge`: takes the values of ended runs away for good.

use infill_model::RunId;
use infill_planner::retention;
use infill_store::store::{LetterFilter, LetterStatus, Run};

use crate::args::trail::Purge;
use crate::command::dead_letters::agreed;
use crate::compose::Parts;
use crate::exit::{Exit, Usage};
use crate::render::{self, say};

/// Pieces of each kind taken away in one transaction: whoever works meanwhile waits no longer than for that.
const AT_ONCE: u32 = 1_000;

/// Says how many runs are meant, asks, and purges them.
pub(crate) async fn purge(parts: &Parts, args: &Purge) -> anyhow::Result<Exit> {
    let (runs, what) = match (&args.which.run, args.which.older_than) {
        (Some(run), _) => {
            let run = parts.find_run(run).await?;
            must_have_ended(&run)?;
            if let Some(at) = run.purged_at {
                // Whoever began it may not have come to the end.
                purge_whole(parts, run.id).await?;
                say!("the values of run {} were purged on {} already", run.id, render::moment(at));
                return Ok(Exit::Well);
            }
            (vec![run.id], of_one(parts, &run).await?)
        }
        (None, age) => {
            let age = age.map_or(std::time::Duration::ZERO, |age| age.0);
            let before = parts.clock.now().saturating_sub(age)?;
            let runs = parts.store.outdated(before, u32::MAX).await?;
            let ended = render::moment(before);
            let what = format!("the values of {} that ended before {ended}", n_runs(len(&runs)));
            (runs, what)
        }
    };
    if runs.is_empty() {
        say!("nothing was purged: no run is that old but those that go on or have open dead letters");
        return Ok(Exit::Well);
    }
    let question = format!(
        "{what} will be purged (inputs, before-images, results, dead letters) and can no longer be listed or taken back; \
         `infill rows RUN --format csv` exports them"
    );
    if !args.yes && !agreed(&question)? {
        say!("nothing was done");
        return Ok(Exit::Well);
    }
    for run in &runs {
        purge_whole(parts, *run).await?;
    }
    say!("the values of {} are purged; what they counted stays in `infill show`", n_runs(len(&runs)));
    Ok(Exit::Well)
}

async fn purge_whole(parts: &Parts, run: RunId) -> anyhow::Result<()> {
    let (store, by) = (parts.store.as_ref(), &parts.actor);
    let step = || retention::purge(store, run, by.clone(), "by hand", AT_ONCE, parts.clock.now());
    while step().await? > 0 {}
    Ok(())
}

fn must_have_ended(run: &Run) -> Result<(), Usage> {
    if run.state.is_final() {
        return Ok(());
    }
    let (id, state) = (run.id, run.state);
    Err(Usage(format!(
        "run {id} has not ended ({state}); `infill cancel {id}` stops it, then it can be purged"
    )))
}

/// What goes with one run.
async fn of_one(parts: &Parts, run: &Run) -> anyhow::Result<String> {
    let open =
        LetterFilter { run: Some(run.id), status: Some(LetterStatus::Open), ..LetterFilter::default() };
    let n_letters = parts.store.count_letters(&open).await?;
    let letters = match n_letters {
        0 => String::new(),
        1 => ", and 1 open dead letter with them,".to_owned(),
        n => format!(", and {} open dead letters with them,", render::count(n)),
    };
    let rows = render::count(run.progress.rows);
    Ok(format!("the values of {rows} rows of run {} (\"{}\"){letters}", run.id, run.plan.name))
}

fn len(runs: &[RunId]) -> u64 {
    u64::try_from(runs.len()).unwrap_or(u64::MAX)
}

/// `1 run`, `12 runs`.
pub(crate) fn n_runs(n: u64) -> String {
    if n == 1 { "1 run".to_owned() } else { format!("{} runs", render::count(n)) }
}

/// Refuses what needs the values of a run once they are purged; `so` says what can no longer be done.
pub(crate) fn still_has_values(run: &Run, so: &str) -> Result<(), Usage> {
    match run.purged_at {
        None => Ok(()),
        Some(at) => {
            Err(Usage(format!("the values of run {} were purged on {}: {so}", run.id, render::moment(at))))
        }
    }
}

#[cfg(test)]
mod tests {
    use infill_model::RunState;

    use super::*;
    use crate::sample;

    #[test]
    fn what_is_refused_says_since_when_and_the_way_out() {
        let mut run = sample::run(RunState::Running);
        let refused = must_have_ended(&run).unwrap_err().to_string();
        assert!(refused.contains("infill cancel"), "{refused}");
        assert!(still_has_values(&run, "").is_ok());
        run.purged_at = Some(sample::now());
        let refused = still_has_values(&run, "it can no longer be taken back").unwrap_err().to_string();
        assert!(
            refused.ends_with(&format!("{}: it can no longer be taken back", render::moment(sample::now())))
        );
    }
}
