//! Batches of a run that is previewed: evaluated as for writing, and kept as they are then.

use infill_crm::Crm;
use infill_model::row::RowState;
use infill_model::{CompiledRun, Outcome, RowResult, RunState, Timestamp};
use infill_store::store::{BatchSave, BatchState, Run, Saved};

use crate::context::Context;
use crate::meter::take_calls;
use crate::run_batch::{Step, is_guard_due};
use crate::verdict::{Failure, Verdict};
use crate::write::Writing;

/// Whether a run is being previewed at this moment, and not let go on since it was loaded: a batch that is evaluated for a
/// preview must not be found in a run that writes.
pub(crate) async fn is_going_on(context: &Context, run: &Run) -> Result<bool, Failure> {
    Ok(context.store.run(run.id).await?.is_some_and(|now| now.state == RunState::Previewing))
}

/// Ends the batch of a preview: looks at targets that were pulled too long ago, and keeps what is to be written. Nothing is
/// sent and no row fails yet.
pub(crate) async fn end(
    step: &Step<'_>,
    crm: &dyn Crm,
    compiled: &CompiledRun,
    pulled_at: Timestamp,
    results: &mut [RowResult],
) -> Result<Verdict, Failure> {
    let Step { context, run, no, lease, rows, .. } = *step;
    let now = context.clock.now();
    let mut writing =
        Writing { crm, compiled, rows, results, now, may_be_sent: false, job: None, exchanged: Vec::new() };
    let looked = if is_guard_due(compiled, pulled_at, now) { writing.guard().await } else { Ok(0) };
    for result in results.iter_mut() {
        match result.state {
            RowState::Settled(Outcome::Failed) => result.state = RowState::Refused,
            // Somebody else has written the very value meanwhile.
            RowState::Confirmed => result.state = RowState::Settled(Outcome::Unchanged),
            RowState::Pending | RowState::Intended | RowState::Refused | RowState::Settled(_) => {}
        }
    }
    let save = BatchSave {
        results,
        has_produced: true,
        state: if looked.is_ok() { state_of(results) } else { BatchState::Queued },
        keep_lease: false,
        letters: &[],
        memory: None,
        calls: take_calls(),
        now: context.clock.now(),
    };
    let saved = context.store.save_batch(run.id, no, lease, &save).await?;
    looked?;
    Ok(match saved {
        Saved::Yes(progress) => Verdict::CompleteAt(progress),
        Saved::LeaseLost => Verdict::Drop,
    })
}

/// How far the batch of a preview is, by its rows.
pub(crate) fn state_of(results: &[RowResult]) -> BatchState {
    let is_left = results.iter().any(|result| result.outcome().is_none());
    if is_left { BatchState::Previewed } else { BatchState::Settled }
}

/// Rows that a preview found to be refused fail now that their run writes.
pub(crate) fn fail_refused(results: &mut [RowResult]) {
    for result in results.iter_mut().filter(|result| result.state == RowState::Refused) {
        result.state = RowState::Settled(Outcome::Failed);
    }
}
