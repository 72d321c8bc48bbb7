//! `infill dead-letters retry`: rows of dead letters go again.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use infill_model::run::TargetProperty;
use infill_model::{BatchNo, Properties, RunId};
use infill_store::Store;
use infill_store::audit::Act;
use infill_store::store::{LetterFilter, Reopen};
use tokio_util::sync::CancellationToken;

use super::{Meant, anew, runs};
use crate::args::dead_letters::{Retry, Setting};
use crate::command::run::stop_on_signal;
use crate::compose::Parts;
use crate::exit::{Exit, Usage};
use crate::render::{self, say};

/// Letters read from the store at once: memory holds no more of them, however many are meant.
pub(super) const PAGE: u32 = 500;

/// Tries rows again: as they are, with values that are set, or by another plan.
pub(super) async fn retry(parts: &Parts, args: &Retry) -> anyhow::Result<Exit> {
    if let Some(path) = &args.with_plan {
        return anew::retry(parts, args, path).await;
    }
    let meant = Meant::find(parts, &args.which).await?;
    for run in &meant.runs {
        check(parts, *run, &args.set).await?;
    }
    let set: Properties =
        args.set.iter().map(|setting| (setting.name.clone(), setting.value.clone())).collect();
    if !meant.is_agreed(args.yes, &what_becomes(&set))? {
        return Ok(Exit::Well);
    }
    let detail = if set.is_empty() { String::new() } else { format!(", with {}", settings(&set)) };
    meant.audit(parts, Act::LettersRetried, &detail).await?;
    let stop = CancellationToken::new();
    let _unwatched = stop.clone().drop_guard();
    stop_on_signal(&stop, || eprintln!("interrupted; the batch in hand is finished first"))?;
    let how = Reopen { set, by: parts.actor.clone(), now: parts.clock.now() };
    let reopened = reopen(parts.store.as_ref(), &meant.filters, &how, &stop).await?;
    tell(parts, &meant, &reopened);
    Ok(if reopened.is_stopped { Exit::CouldNotGoOn } else { Exit::Well })
}

/// Checks values against the properties that a run writes.
async fn check(parts: &Parts, run: RunId, set: &[Setting]) -> anyhow::Result<()> {
    if set.is_empty() {
        return Ok(());
    }
    let run = parts.store.run(run).await?.context("the run of a dead letter is not in the store")?;
    let targets = run.compiled.as_ref().map(|compiled| compiled.targets.as_slice()).unwrap_or_default();
    let crm = parts.connections.connect(&run.plan.connection).await?;
    for Setting { name, value } in set {
        let Some(TargetProperty { property, .. }) =
            targets.iter().find(|target| target.property.name == *name)
        else {
            let known: Vec<&str> = targets.iter().map(|target| target.property.name.as_str()).collect();
            let message = format!(
                "run {} (\"{}\") does not write \"{name}\"; it writes {}. --run and --plan mean letters of other runs",
                run.id,
                run.plan.name,
                known.join(", ")
            );
            return Err(Usage(message).into());
        };
        if !value.is_null()
            && let Err(refusal) = crm.check(property, value, &[])
        {
            return Err(Usage(format!("--set {name}: {}", refusal.message)).into());
        }
    }
    Ok(())
}

fn what_becomes(set: &Properties) -> String {
    if set.is_empty() {
        return "their rows will be evaluated and written again".to_owned();
    }
    format!("their rows will be written with {}, and with what else they were to get", settings(set))
}

/// Values as they are set: `phone = +1, note = (empty)`.
pub(super) fn settings(set: &Properties) -> String {
    let each = set.iter().map(|(name, value)| format!("{name} = {}", render::of_value(Some(value))));
    each.collect::<Vec<_>>().join(", ")
}

/// What was reopened.
#[derive(Debug, Default, PartialEq, Eq)]
struct Reopened {
    n_rows: u64,
    runs: BTreeSet<RunId>,
    /// Letters of runs that cannot go on.
    n_left: u64,
    left: BTreeSet<RunId>,
    /// A person stopped it.
    is_stopped: bool,
}

/// Reopens the rows of the letters, batch by batch, until it is stopped. A batch is opened whole: in two steps it could be written in
/// between and then again.
async fn reopen(
    store: &dyn Store,
    filters: &[LetterFilter],
    how: &Reopen,
    stop: &CancellationToken,
) -> anyhow::Result<Reopened> {
    let mut reopened = Reopened::default();
    for ((run, batch), letters) in by_batch(store, filters, stop).await? {
        if stop.is_cancelled() {
            break;
        }
        let n_rows = store.reopen(run, batch, &letters, how).await?;
        reopened.note(run, letters.len(), n_rows);
    }
    Ok(Reopened { is_stopped: stop.is_cancelled(), ..reopened })
}

/// The ids of the letters: eight bytes for each is all that is held at once.
async fn by_batch(
    store: &dyn Store,
    filters: &[LetterFilter],
    stop: &CancellationToken,
) -> anyhow::Result<BTreeMap<(RunId, BatchNo), Vec<i64>>> {
    let mut of_batch: BTreeMap<_, Vec<i64>> = BTreeMap::new();
    for filter in filters {
        let mut after = None;
        while !stop.is_cancelled() {
            let page = store.letters(filter, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for letter in &page {
                of_batch.entry((letter.run, letter.batch)).or_default().push(letter.id);
            }
        }
    }
    Ok(of_batch)
}

impl Reopened {
    fn note(&mut self, run: RunId, n_letters: usize, n_rows: u64) {
        if n_rows == 0 {
            self.n_left = self.n_left.saturating_add(u64::try_from(n_letters).unwrap_or(u64::MAX));
            self.left.insert(run);
        } else {
            self.n_rows = self.n_rows.saturating_add(n_rows);
            self.runs.insert(run);
        }
    }
}

fn tell(parts: &Parts, meant: &Meant, reopened: &Reopened) {
    let n_rows = render::count(reopened.n_rows);
    if reopened.is_stopped {
        let n_meant = render::count(meant.n_letters);
        say!("stopped: {n_rows} of {n_meant} rows are open again; the same command goes on with the others");
    } else if reopened.n_rows > 0 {
        say!("{n_rows} rows of {} are open again", runs(reopened.runs.len()));
    }
    if reopened.n_left > 0 {
        let ids: Vec<String> = reopened.left.iter().map(ToString::to_string).collect();
        say!(
            "{} letters stay as they are: only a run that is running, completed or stopped takes rows up again, and {} is not",
            render::count(reopened.n_left),
            ids.join(", ")
        );
    }
    if reopened.runs.is_empty() {
        return;
    }
    if parts.is_embedded() {
        for run in &reopened.runs {
            say!("next: infill run --resume {run}");
        }
    } else {
        say!("the planner picks them up");
    }
}

#[cfg(test)]
mod tests {
    use infill_model::RunState;
    use infill_store::store::LetterStatus;
    use serde_json::json;

    use super::*;
    use crate::sample;

    fn as_is() -> Reopen {
        Reopen { set: Properties::new(), by: "ann@office".into(), now: sample::now() }
    }

    #[tokio::test]
    async fn retry_reopens_the_rows_and_only_once() {
        let (store, run) = sample::store_with_rows().await;
        store.move_run(run.id, &[run.state], RunState::Running, None, sample::now()).await.unwrap();
        store.move_run(run.id, &[RunState::Running], RunState::Completed, None, sample::now()).await.unwrap();
        let wanted = LetterFilter {
            run: Some(run.id),
            code: Some("INVALID".to_owned()),
            status: Some(LetterStatus::Open),
            ..LetterFilter::default()
        };
        let wanted = [wanted];
        let stopped = CancellationToken::new();
        stopped.cancel();
        let reopened = reopen(&*store, &wanted, &as_is(), &stopped).await.unwrap();
        assert_eq!(reopened, Reopened { is_stopped: true, ..Reopened::default() });

        let go = CancellationToken::new();
        let reopened = reopen(&*store, &wanted, &as_is(), &go).await.unwrap();
        let expected = Reopened { n_rows: 1, runs: BTreeSet::from([run.id]), ..Reopened::default() };
        assert_eq!(reopened, expected);
        assert_eq!(store.run(run.id).await.unwrap().unwrap().state, RunState::Running);
        assert_eq!(store.count_letters(&wanted[0]).await.unwrap(), 0);

        let again = reopen(&*store, &wanted, &as_is(), &go).await.unwrap();
        assert_eq!(again, Reopened::default());
    }

    #[tokio::test]
    async fn letters_of_a_run_that_cannot_go_on_are_left_and_told() {
        let (store, run) = sample::store_with_rows().await;
        store.move_run(run.id, &[run.state], RunState::Cancelled, None, sample::now()).await.unwrap();
        let open = [LetterFilter { status: Some(LetterStatus::Open), ..LetterFilter::default() }];
        let reopened = reopen(&*store, &open, &as_is(), &CancellationToken::new()).await.unwrap();
        assert_eq!(reopened, Reopened { n_left: 1, left: BTreeSet::from([run.id]), ..Reopened::default() });
    }

    #[test]
    fn what_is_set_is_said() {
        let set = [("phone".into(), json!("+1")), ("note".into(), json!(null))].into();
        assert!(what_becomes(&set).contains("note = (empty), phone = +1, and"), "{}", what_becomes(&set));
    }
}
