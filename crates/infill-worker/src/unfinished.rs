//! Batches that do not finish in the ordinary way: out of attempts, or of a run that is paused or being cancelled.
//!
//! No row is left in limbo: each ends in an outcome, was confirmed, or was certainly not begun.

use std::slice;

use infill_crm::Exchanged;
use infill_model::error::Class;
use infill_model::message::Work;
use infill_model::row::{Cause, RowState};
use infill_model::run::CANCELLED_BY_HAND;
use infill_model::{BatchNo, Outcome, RecordId, RowResult, RunState, Stage};
use infill_rules::compare::differing;
use infill_store::store::{Batch, BatchSave, BatchState, Lease, Leased, NewLetter, Run, Saved};

use crate::context::Context;
use crate::letter::{announce, fail, new_letters, newly_settled, outcomes};
use crate::meter::take_calls;
use crate::preview;
use crate::run_batch::{lease, let_go, state_of};
use crate::seen::learnt;
use crate::verdict::{Failure, Verdict};
use crate::write::{Looked, positions, read_targets, settle_gone};

/// Fails what is unsettled, each row with a dead letter; but what the run stage has confirmed was written, and is still to be read back.
///
/// Says whether there is any of that. `exchanged` is the call that failed last, when it had an answer.
///
/// # Errors
/// As the store and the broker.
pub async fn give_up(
    context: &Context,
    run: &Run,
    no: BatchNo,
    stage: Stage,
    cause: &Cause,
    exchanged: Option<&Exchanged>,
) -> Result<bool, Failure> {
    let Some((lease, mut batch)) = take_over(context, run, no).await? else { return Ok(false) };
    let before = outcomes(&batch.results);
    if run.state == RunState::Previewing {
        for result in batch.results.iter_mut().filter(|result| result.state == RowState::Pending) {
            let message = format!("not evaluated: {}", cause.message);
            (result.state, result.cause) = (RowState::Refused, Some(Cause { message, ..cause.clone() }));
        }
        let state = preview::state_of(&batch.results);
        save(context, run, &lease, &batch, &before, state, &[]).await?;
        return Ok(false);
    }
    for result in &mut batch.results {
        let message = match result.state {
            RowState::Settled(_) | RowState::Refused => continue,
            RowState::Confirmed if stage == Stage::Run => continue,
            RowState::Pending => format!("not written: {}", cause.message),
            RowState::Intended => format!("may or may not be written: {}", cause.message),
            RowState::Confirmed => {
                format!("the CRM confirmed the write, but it could not be read back: {}", cause.message)
            }
        };
        fail(result, Cause { message, ..cause.clone() });
    }
    let state = state_of(&batch.results);
    let exchanged = exchanged.map(slice::from_ref).unwrap_or_default();
    let letters = new_letters(stage, &batch.rows, &before, &batch.results, exchanged);
    save(context, run, &lease, &batch, &before, state, &letters).await?;
    Ok(state == BatchState::Ran)
}

/// Settles what is known of a batch that a run being cancelled cannot finish now.
///
/// What was confirmed was written, what was not sent has not begun. What may have been sent is looked at; only a row of which nobody can know fails.
///
/// # Errors
/// As the store and the broker.
pub async fn wind_up(
    context: &Context,
    run: &Run,
    no: BatchNo,
    stage: Stage,
    why: &str,
) -> Result<(), Failure> {
    let Some((lease, mut batch)) = take_over(context, run, no).await? else { return Ok(()) };
    let before = outcomes(&batch.results);
    match look_at_open_rows(context, run, &mut batch).await {
        Ok(()) => forget_unwritten(&mut batch),
        Err(failure) => {
            let error = infill_telemetry::chain(&failure);
            tracing::warn!(batch.no = no.0, error = %error, "open rows not looked at");
        }
    }
    for result in &mut batch.results {
        match result.state {
            RowState::Settled(_) | RowState::Pending | RowState::Refused => {}
            RowState::Confirmed if result.found.is_empty() => {
                result.state = RowState::Settled(Outcome::Written);
            }
            // A first look has shown another value.
            RowState::Confirmed => result.state = RowState::Settled(Outcome::Differs),
            RowState::Intended => fail(
                result,
                Cause {
                    class: Class::Transient,
                    code: CANCELLED_BY_HAND.into(),
                    message: format!("may or may not be written: the run ended while this was open: {why}"),
                    property: None,
                    correlation_id: None,
                    at: Some(context.clock.now()),
                },
            ),
        }
    }
    let is_left = batch.results.iter().any(|result| result.outcome().is_none());
    let state = if is_left { BatchState::Pending } else { BatchState::Settled };
    let letters = new_letters(stage, &batch.rows, &before, &batch.results, &[]);
    save(context, run, &lease, &batch, &before, state, &letters).await
}

/// Leaves a batch of a run that is paused or being cancelled as it is, with nothing more of it sent.
///
/// Rows that may have been sent are looked at first. A batch of which nothing is written waits for its turn again, one that is written
/// in part stays in flight until the pause ends. Rows that are paused keep what they are to get: a person may have set it.
///
/// # Errors
/// As the CRM and the store.
pub(crate) async fn set_aside(
    context: &Context,
    run: &Run,
    lease: &Lease,
    mut batch: Batch,
) -> Result<Verdict, Failure> {
    batch.results.resize_with(batch.rows.len(), RowResult::default);
    let before = outcomes(&batch.results);
    if let Err(failure) = look_at_open_rows(context, run, &mut batch).await {
        let_go(context, run, &batch, lease).await?;
        return Err(failure);
    }
    if run.state == RunState::Cancelling {
        forget_unwritten(&mut batch);
    }
    let is_in_part = batch.results.iter().any(|result| result.state == RowState::Confirmed);
    let mut state = state_of(&batch.results);
    if state == BatchState::Queued && !is_in_part {
        state = BatchState::Pending;
    }
    let letters = new_letters(Stage::Run, &batch.rows, &before, &batch.results, &[]);
    save(context, run, lease, &batch, &before, state, &letters).await?;
    Ok(match state {
        BatchState::Ran => Verdict::Then(Work::Verify { batch: batch.no }),
        BatchState::Pending | BatchState::Queued | BatchState::Previewed | BatchState::Settled => {
            Verdict::Complete
        }
    })
}

/// Reads the rows that may have been sent: those that hold our value are verified, the others stay intended.
async fn look_at_open_rows(context: &Context, run: &Run, batch: &mut Batch) -> Result<(), Failure> {
    let open = positions(&batch.results, |result| result.state == RowState::Intended);
    if open.is_empty() || run.is_unwritten_preview() {
        return Ok(());
    }
    let Some(compiled) = &run.compiled else { return Ok(()) };
    let crm = context.connections.crm(&run.plan.connection).await?;
    let ids: Vec<RecordId> =
        open.iter().filter_map(|i| batch.rows.get(*i)).map(|row| row.record.clone()).collect();
    let mut look = read_targets(crm.as_ref(), compiled, &ids).await?;
    let normalize = |property: &_, value: &_| crm.normalize(property, value);
    for i in open {
        let (Some(row), Some(result)) = (batch.rows.get(i), batch.results.get_mut(i)) else { continue };
        match look.take(&row.record) {
            Looked::Gone(gone) => settle_gone(result, gone),
            Looked::Found(found, _) => {
                if differing(&compiled.targets, &result.wanted, &found, &normalize).is_empty() {
                    result.state = RowState::Settled(Outcome::Verified);
                }
            }
        }
    }
    Ok(())
}

/// Has the rows not begun that a look has shown not to be written. Those of a job that nobody could ask may still be.
fn forget_unwritten(batch: &mut Batch) {
    if batch.job.is_some() {
        return;
    }
    for result in batch.results.iter_mut().filter(|result| result.state == RowState::Intended) {
        result.state = RowState::Pending;
    }
}

/// Takes a batch that its handler has let go of; `None` when it has settled.
async fn take_over(context: &Context, run: &Run, no: BatchNo) -> Result<Option<(Lease, Batch)>, Failure> {
    let now = context.clock.now();
    let lease = lease(context, now);
    let Leased::Yours(mut batch) = context.store.lease_batch(run.id, no, &lease, true, None, now).await?
    else {
        return Ok(None);
    };
    if batch.state == BatchState::Settled {
        let_go(context, run, &batch, &lease).await?;
        return Ok(None);
    }
    batch.results.resize_with(batch.rows.len(), RowResult::default);
    Ok(Some((lease, batch)))
}

/// Saves a batch that nobody works on any more.
async fn save(
    context: &Context,
    run: &Run,
    lease: &Lease,
    batch: &Batch,
    before: &[Option<Outcome>],
    state: BatchState,
    letters: &[NewLetter],
) -> Result<(), Failure> {
    // No row of a preview fails before the run writes.
    let letters = if run.state == RunState::Previewing { &[] } else { letters };
    announce(context, run.id, letters).await?;
    let memory = learnt(run, &batch.rows, &batch.results);
    let save = BatchSave {
        results: &batch.results,
        // Rows that were never evaluated have no page yet.
        has_produced: true,
        state,
        keep_lease: false,
        letters,
        memory: memory.as_ref(),
        calls: take_calls(),
        now: context.clock.now(),
    };
    if matches!(context.store.save_batch(run.id, batch.no, lease, &save).await?, Saved::Yes(_)) {
        context.metrics.counts_settled(&newly_settled(before, &batch.results));
    }
    Ok(())
}
