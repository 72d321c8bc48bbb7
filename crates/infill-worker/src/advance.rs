//! Carries out what [`infill_rules::advance`] says a run needs next. Idempotent: anyone may call it at any time.

use infill_model::message::Work;
use infill_model::plan::Approve;
use infill_model::row::Cause;
use infill_model::run::CANCELLED_BY_HAND;
use infill_model::{Actor, BatchNo, ChunkNo, RunId, RunState, Stage, StageMessage};
use infill_rules::advance::{Effect, Follows, Released, Standing, Stop, advance, released_to};
use infill_store::audit::{Act, NewAuditEntry};
use infill_store::store::{Run, UnitKind};

use crate::context::Context;
use crate::verdict::Failure;

/// The states in which a run has written nothing yet.
const BEFORE_THE_FIRST_WRITE: [RunState; 3] =
    [RunState::SourceSync, RunState::AwaitRows, RunState::ConfigureChain];

/// The states in which batches may be in flight.
const IN_FLIGHT: [RunState; 3] = [RunState::Previewing, RunState::Canary, RunState::Running];

/// Where a run stands.
#[must_use]
pub fn standing(run: &Run) -> Standing {
    let progress = &run.progress;
    Standing {
        state: run.state,
        listed: progress.listed,
        chunks: progress.chunks,
        chunks_read: progress.chunks_read,
        batches: progress.batches,
        batches_settled: progress.batches_settled,
        batches_in_flight: progress.batches_in_flight,
        batches_previewed: progress.batches_previewed,
        intended: progress.intended,
        refused: progress.refused,
        counts: progress.counts,
        most_failed: run.plan.max_failed.map(|most| most.of(progress.rows)),
        most_changed: run.plan.max_changed.map(|most| most.of(progress.rows)),
        follows: follows(run),
        released: run.released.as_ref().map(|release| Released {
            is_approved: release.approval.is_some(),
            batches_settled: release.batches_settled,
            refused: release.refused,
        }),
        is_stopping: run.cause.as_ref().is_some_and(|cause| cause.code != CANCELLED_BY_HAND),
    }
}

fn follows(run: &Run) -> Follows {
    match run.plan.approve {
        _ if run.is_dry => Follows::Nothing,
        Approve::Manual => Follows::Approval,
        Approve::Automatic => Follows::TheRest,
    }
}

/// Moves the run on as far as it goes and publishes what it needs. `claimant` names who asks, so that asking again after a
/// crash publishes the same units again.
///
/// # Errors
/// When the store or the broker fails; then nothing is lost, asking again goes on from there.
pub async fn move_on(context: &Context, mut run: Run, claimant: &str) -> Result<(), Failure> {
    loop {
        match advance(&standing(&run)) {
            None => return Ok(()),
            Some(Effect::Move(to)) => {
                let now = context.clock.now();
                let has_moved =
                    context.store.move_run(run.id, &[run.state], to, run.cause.as_ref(), now).await?;
                let Some(moved) = context.store.run(run.id).await? else { return Ok(()) };
                if has_moved && moved.state.is_final() {
                    log_end(&moved);
                }
                run = moved;
            }
            Some(Effect::Release) => {
                let (to, now) = (released_to(run.plan.canary, true), context.clock.now());
                context.store.release_run(run.id, run.state, to, None, now).await?;
                let Some(moved) = context.store.run(run.id).await? else { return Ok(()) };
                run = moved;
            }
            Some(Effect::Stop(why)) => {
                let cause = match why {
                    Stop::Canary => canary_cause(&run),
                    Stop::Failures => failures_cause(&run),
                    Stop::Changes => changes_cause(&run),
                };
                stop(context, &run, &cause).await?;
                let Some(moved) = context.store.run(run.id).await? else { return Ok(()) };
                run = moved;
            }
            Some(Effect::Publish(stage)) => return publish_stage(context, run.id, stage).await,
            Some(Effect::ClaimChunks) => {
                return claim(context, &run, UnitKind::Chunk, claimant, run.in_flight).await;
            }
            Some(Effect::ClaimBatches { canary }) => {
                let window = if canary { 1 } else { run.in_flight };
                return claim(context, &run, UnitKind::Batch, claimant, window).await;
            }
        }
    }
}

/// Stops a run for a cause that a person must see to. One that is writing ends when its batches in flight have: ask [`move_on`].
///
/// # Errors
/// When the store fails.
pub async fn stop(context: &Context, run: &Run, cause: &Cause) -> Result<(), Failure> {
    let store = &context.store;
    let entry = NewAuditEntry::of_run(context.clock.now(), Actor::program(), Act::RunStopped, run);
    let entry = entry.with(cause.message.as_str());
    if store.move_run_by(&entry, run.id, &BEFORE_THE_FIRST_WRITE, RunState::Stopped, Some(cause)).await? {
        tracing::error!(run.id = %run.id, error.code = %cause.code, error = %cause.message, "run stopped");
    } else if store.move_run_by(&entry, run.id, &IN_FLIGHT, RunState::Cancelling, Some(cause)).await? {
        tracing::error!(run.id = %run.id, error.code = %cause.code, error = %cause.message, "run is stopping");
        store.hasten(run.id).await?;
    }
    Ok(())
}

async fn publish_stage(context: &Context, run: RunId, stage: Stage) -> Result<(), Failure> {
    let work = match stage {
        Stage::SourceSync => Work::SourceSync { chunk: None },
        Stage::AwaitRows => Work::AwaitRows,
        Stage::ConfigureChain => Work::ConfigureChain,
        // These two have one message per batch and are claimed, never published for a run as a whole.
        Stage::Run | Stage::Verify => return Ok(()),
    };
    publish(context, run, work).await
}

async fn claim(
    context: &Context,
    run: &Run,
    kind: UnitKind,
    claimant: &str,
    window: u32,
) -> Result<(), Failure> {
    let units = context.store.claim(run.id, kind, claimant, window, context.clock.now()).await?;
    for no in units {
        let work = match kind {
            UnitKind::Chunk => Work::SourceSync { chunk: Some(ChunkNo(no)) },
            UnitKind::Batch => Work::Run { batch: BatchNo(no) },
        };
        publish(context, run.id, work).await?;
    }
    Ok(())
}

/// Publishes a first try at `work`.
pub(crate) async fn publish(context: &Context, run: RunId, work: Work) -> Result<(), Failure> {
    let message = StageMessage::first(run, work, context.clock.now());
    context.broker.publish(&message, None).await?;
    Ok(())
}

fn canary_cause(run: &Run) -> Cause {
    let counts = &run.progress.counts;
    Cause {
        class: infill_model::Class::Configuration,
        code: "canary_failed".into(),
        message: format!(
            "of the first {} rows {} failed and {} read back differently, so the other {} rows were not touched; look at \
             `infill rows {}`, mend the plan and run it again",
            counts.total(),
            counts.failed,
            counts.differs,
            run.progress.rows.saturating_sub(counts.total()),
            run.id,
        ),
        property: None,
        correlation_id: None,
        at: None,
    }
}

fn failures_cause(run: &Run) -> Cause {
    let counts = &run.progress.counts;
    let allowed = run.plan.max_failed.map(|most| most.to_string()).unwrap_or_default();
    Cause {
        class: infill_model::Class::Configuration,
        code: "too_many_failed".into(),
        message: format!(
            "of {} rows done {} failed and {} read back differently, which is more than the plan allows (max_failed: {allowed}); \
             batches in flight were finished, the rest of the {} rows was not touched; look at \
             `infill dead-letters list --run {}`, mend what is wrong and run the plan again",
            counts.total(),
            counts.failed,
            counts.differs,
            run.progress.rows,
            run.id,
        ),
        property: None,
        correlation_id: None,
        at: None,
    }
}

fn changes_cause(run: &Run) -> Cause {
    let allowed = run.plan.max_changed.map(|most| most.to_string()).unwrap_or_default();
    Cause {
        class: infill_model::Class::Configuration,
        code: "too_many_changes".into(),
        message: format!(
            "{} of {} rows would change, which is more than the plan allows (max_changed: {allowed}); nothing was written; \
             look at `infill preview {}`, then mend the plan or its max_changed and run it again",
            run.progress.intended, run.progress.rows, run.id,
        ),
        property: None,
        correlation_id: None,
        at: None,
    }
}

fn log_end(run: &Run) {
    let counts = &run.progress.counts;
    tracing::info!(
        run.id = %run.id,
        state = %run.state,
        rows = counts.total(),
        verified = counts.verified,
        failed = counts.failed,
        calls = run.progress.calls,
        "run ended"
    );
}
