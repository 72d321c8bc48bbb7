//! `infill dead-letters retry --with-plan`: the records of dead letters are evaluated by another plan, in a run of their own.

use std::path::Path;

use anyhow::Context;
use infill_model::slice::{ResolvedSlice, Supplied, Supply};
use infill_model::{Actor, Plan, Properties, RunId, Timestamp};
use infill_planner::start::retry_plan;
use infill_store::Store;
use infill_store::audit::Act;
use infill_store::store::{Letter, LetterFilter};
use tokio_util::sync::CancellationToken;

use super::retry::PAGE;
use super::{Meant, letters};
use crate::args::dead_letters::Retry;
use crate::command::run::{
    Asking, Stamp, leave, look, read_plan, record_at, report, stop_on_signal, work_and_follow,
};
use crate::compose::Parts;
use crate::exit::{Exit, Usage};
use crate::render::say;

/// Runs the plan on the records of the letters.
pub(super) async fn retry(parts: &Parts, args: &Retry, path: &Path) -> anyhow::Result<Exit> {
    let plan = retry_plan(read_plan(path)?);
    let meant = Meant::find(parts, &args.which).await?;
    check(parts, &meant, &plan).await?;
    let found = look(parts, &plan, path, Some(slice(&plan, meant.n_letters))).await?;
    let what_becomes =
        format!("\"{}\" will evaluate and write their records, in a run of its own", plan.name);
    if !meant.is_agreed(args.yes, &what_becomes)? {
        return Ok(Exit::Well);
    }
    let (store, stamp) = (parts.store.as_ref(), Stamp::now(parts));
    let stop = CancellationToken::new();
    let unwatched = stop.clone().drop_guard();
    stop_on_signal(&stop, || eprintln!("interrupted"))?;
    let Some(taken) = take_in(store, &meant.filters, stamp.id(), &stop).await? else {
        say!("stopped; nothing was begun, and the letters are open");
        return Ok(Exit::CouldNotGoOn);
    };
    drop(unwatched);
    if taken.n_records == 0 {
        anyhow::bail!(Usage(
            "none of these letters is of a record: lines of a file that could not be used".to_owned()
        ));
    }
    report(parts, &plan, &found, None);
    meant.audit(parts, Act::LettersRetried, &format!(", in run {}", stamp.id())).await?;
    let slice = slice(&plan, taken.n_records);
    let run = record_at(parts, Asking { plan, cap: None, slice: Some(slice), is_dry: false }, stamp).await?;
    let n_closed = close(store, &meant.filters, &taken, run, &parts.actor, parts.clock.now()).await?;
    eprintln!("  takes up    {}", letters(n_closed));
    eprintln!("run {run}");
    if args.detach { leave(parts, run).await } else { work_and_follow(parts, run).await }
}

/// Checks that the letters are of records that the plan is for.
async fn check(parts: &Parts, meant: &Meant, plan: &Plan) -> anyhow::Result<()> {
    for id in &meant.runs {
        let run = parts.store.run(*id).await?.context("the run of a dead letter is not in the store")?;
        let (of, wanted) = (&run.plan.source.object, &plan.source.object);
        if (of, &run.plan.connection) != (wanted, &plan.connection) {
            let message = format!(
                "letters of run {id} are of {of} on {}, and \"{}\" is for {wanted} on {}; --run, --plan and --connection choose \
                 letters",
                run.plan.connection, plan.name, plan.connection
            );
            return Err(Usage(message).into());
        }
    }
    Ok(())
}

fn slice(plan: &Plan, n_records: u64) -> ResolvedSlice {
    let supply = Supply { inputs: Vec::new(), n_sound: n_records };
    supply.into_slice(plan.source.object.clone(), "records of dead letters".to_owned(), Some(n_records))
}

/// What was taken in for the run.
#[derive(Debug, Default, PartialEq, Eq)]
struct Taken {
    n_records: u64,
    /// The last of the letters: later ones are another retry's.
    last: i64,
}

/// Supplies the records of the letters to a run, page by page; `None` when it is stopped.
async fn take_in(
    store: &dyn Store,
    filters: &[LetterFilter],
    run: RunId,
    stop: &CancellationToken,
) -> anyhow::Result<Option<Taken>> {
    let mut taken = Taken::default();
    let mut line = 0_u64;
    for filter in filters {
        let mut after = None;
        loop {
            if stop.is_cancelled() {
                return Ok(None);
            }
            let page = store.letters(filter, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            taken.last = taken.last.max(last.id);
            let part: Vec<Supplied> = of_records(&page)
                .map(|letter| {
                    line += 1;
                    let record = letter.letter.record.clone();
                    Supplied { record, line, inputs: Properties::new(), fault: None }
                })
                .collect();
            let n_known = store.supply(run, &part).await?.len();
            let n_new = part.len().saturating_sub(n_known);
            taken.n_records = taken.n_records.saturating_add(u64::try_from(n_new).unwrap_or(u64::MAX));
        }
    }
    Ok(Some(taken))
}

/// Letters that are not of a line that names no record.
fn of_records(page: &[Letter]) -> impl Iterator<Item = &Letter> {
    page.iter().filter(|letter| !Supplied::is_name(&letter.letter.record))
}

/// Marks the letters whose records were taken in; says how many.
async fn close(
    store: &dyn Store,
    filters: &[LetterFilter],
    taken: &Taken,
    run: RunId,
    by: &Actor,
    now: Timestamp,
) -> anyhow::Result<u64> {
    let mut n_closed = 0_u64;
    for filter in filters {
        let mut after = None;
        loop {
            let page = store.letters(filter, after, PAGE).await?;
            let Some(last) = page.last().filter(|_| page.iter().any(|letter| letter.id <= taken.last)) else {
                break;
            };
            after = Some(last.id);
            let ids: Vec<i64> =
                of_records(&page).map(|letter| letter.id).filter(|id| *id <= taken.last).collect();
            n_closed = n_closed.saturating_add(store.retry_in(run, &ids, by, now).await?);
        }
    }
    Ok(n_closed)
}

#[cfg(test)]
mod tests {
    use infill_model::slice::SuppliedPlace;
    use infill_store::store::LetterStatus;

    use super::*;
    use crate::sample;

    #[tokio::test]
    async fn the_records_of_the_letters_are_supplied_and_the_letters_closed() {
        let (store, _) = sample::store_with_rows().await;
        let open = [LetterFilter { status: Some(LetterStatus::Open), ..LetterFilter::default() }];
        let run = RunId::new(sample::now(), [9; 10]);
        let stop = CancellationToken::new();
        let taken = take_in(&*store, &open, run, &stop).await.unwrap().unwrap();
        assert_eq!((taken.n_records, taken.last), (1, 1));
        let supplied = store.supplied(run, SuppliedPlace::default(), 10).await.unwrap();
        assert_eq!(supplied.iter().map(|one| one.record.as_str()).collect::<Vec<_>>(), ["102"]);
        let by = "ann@office".into();
        assert_eq!(close(&*store, &open, &taken, run, &by, sample::now()).await.unwrap(), 1);
        assert_eq!(store.count_letters(&open[0]).await.unwrap(), 0);

        stop.cancel();
        assert_eq!(take_in(&*store, &open, run, &stop).await.unwrap(), None);
    }
}
