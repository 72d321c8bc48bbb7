//! The driver: takes deliveries, has them handled, and acts on the verdicts. The only place in this crate that publishes successors and
//! acknowledges, in that order.

use std::sync::Arc;
use std::time::Duration;

use infill_broker::{DeadLettered, Delivered};
use infill_model::error::Class;
use infill_model::message::Work;
use infill_model::{RunId, RunState, Stage, StageMessage, Timestamp};
use infill_store::store::{Parked, Run};
use infill_telemetry::field::message_span;
use infill_telemetry::{Handled, chain};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::advance::{move_on, publish, stop};
use crate::context::Context;
use crate::meter::counting;
use crate::run_batch::{Coming, run_batch};
use crate::unfinished::{give_up, wind_up};
use crate::verdict::{Failure, Verdict, judge};
use crate::{await_rows, configure_chain, source_sync, verify};

/// A wait longer than this is told to people as a parked run.
const TELL_WAITS_OVER: Duration = Duration::from_secs(5);

/// A message that comes earlier than this before its time goes round again; else it is handled: delays are about a second exact.
const EARLY_ENOUGH: Duration = Duration::from_millis(200);

/// How often an idle loop shows that it is alive.
const BEAT_EVERY: Duration = Duration::from_secs(5);

/// Stages a worker takes, heaviest last, so that the first looks of a run are not stuck behind rows.
const STAGES: [Stage; 5] =
    [Stage::Verify, Stage::AwaitRows, Stage::ConfigureChain, Stage::Run, Stage::SourceSync];

/// A worker: consumes until told to stop.
#[derive(Clone, Debug)]
pub struct Worker {
    context: Arc<Context>,
}

impl Worker {
    /// A worker over these parts.
    #[must_use]
    pub fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// Consumes until `stop` is cancelled, then finishes what it holds within the grace period; what is not finished by then goes back to
    /// the queue with the session.
    ///
    /// # Errors
    /// When the broker cannot be consumed from at all.
    pub async fn drive(&self, stop: CancellationToken) -> Result<(), Failure> {
        let concurrency = self.context.settings.concurrency.max(1);
        let mut consumer = self.context.broker.consume(&STAGES, concurrency).await?;
        let room = Arc::new(Semaphore::new(concurrency.into()));
        let mut handling: JoinSet<()> = JoinSet::new();
        let mut beats = tokio::time::interval(BEAT_EVERY);
        loop {
            let taking = async {
                let permit = Arc::clone(&room).acquire_owned().await.ok()?;
                Some((permit, consumer.next().await?))
            };
            let taken = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = beats.tick() => {
                    self.context.heartbeat.beat();
                    continue;
                }
                taken = taking => taken,
            };
            let Some((permit, delivered)) = taken else { break };
            let context = Arc::clone(&self.context);
            handling.spawn(async move {
                Box::pin(take(&context, delivered)).await;
                drop(permit);
            });
            while handling.try_join_next().is_some() {}
        }
        consumer.cancel().await;
        let finished = tokio::time::timeout(self.context.settings.grace, async {
            while handling.join_next().await.is_some() {}
        });
        if finished.await.is_err() {
            tracing::warn!(
                messages = handling.len(),
                "grace period over, unfinished messages go back to the queue"
            );
        }
        Ok(())
    }
}

/// Takes one delivery from its hand-over to its answer.
async fn take(context: &Context, delivered: Delivered) {
    let Delivered { stage, message, body, redelivered, delivery } = delivered;
    let message = match message {
        Ok(message) => message,
        Err(garbled) => {
            let letter = DeadLettered {
                stage,
                run: None,
                record: None,
                class: Class::Bug,
                code: "garbled_message".into(),
                message: chain(&garbled).to_string(),
                body,
            };
            tracing::error!(stage = %stage, error = %chain(&garbled), "message dead-lettered");
            context.metrics.message_handled(stage, Handled::DeadLettered, Duration::ZERO);
            match context.broker.publish_dead_letter(&letter).await {
                Ok(()) => answer(context, stage, delivery.ack().await),
                Err(error) => {
                    tracing::warn!(stage = %stage, error = %chain(&error), "dead letter not published, message goes back");
                    give_back(delivery).await;
                }
            }
            return;
        }
    };
    let span = message_span(stage, Some(message.run), message.work.batch(), message.attempt);
    let done = act(context, &message, redelivered).instrument(span).await;
    match done {
        Ok(()) => answer(context, stage, delivery.ack().await),
        Err(failure) => {
            tracing::warn!(run.id = %message.run, stage = %stage, error = %chain(&failure), "message goes back to the queue");
            give_back(delivery).await;
        }
    }
}

fn answer(context: &Context, stage: Stage, acked: Result<bool, infill_broker::Error>) {
    match acked {
        Ok(true) => {}
        Ok(false) => context.metrics.ack_lost(stage),
        Err(error) => {
            context.metrics.ack_lost(stage);
            tracing::warn!(stage = %stage, error = %chain(&error), "ack lost, the message comes again");
        }
    }
}

async fn give_back(delivery: Box<dyn infill_broker::Delivery>) {
    if let Err(error) = delivery.requeue().await {
        tracing::warn!(error = %chain(&error), "requeue lost, the message comes again when its session ends");
    }
}

/// Handles a message and carries out the verdict. After `Ok` it may be acknowledged.
async fn act(context: &Context, message: &StageMessage, redelivered: bool) -> Result<(), Failure> {
    let stage = message.work.stage();
    let now = context.clock.now();
    if let Some(early) = early(message, now) {
        context.broker.publish(message, Some(early)).await?;
        return Ok(());
    }
    let queued_since = message.not_before.unwrap_or(message.published_at).max(message.published_at);
    let waited = Duration::try_from(now.duration_since(queued_since)).unwrap_or_default();
    context.metrics.queue_waited(stage, waited);
    let in_progress = context.metrics.message_started(stage);
    let started = Instant::now();
    let (handled, calls) = counting(handle(context, message, redelivered)).await;
    let (verdict, run) = match handled {
        Ok((verdict, run)) => {
            if let Some(cause) = verdict.cause() {
                context.metrics.error_met(stage, cause.class);
            }
            (verdict, run)
        }
        Err((failure, run)) => {
            context.metrics.error_met(stage, failure.class());
            let jitter = rand::random::<f64>();
            let verdict =
                judge(&failure, message.attempt, &context.settings.retry, context.clock.now(), jitter);
            // Waiting for a limit is the plan, not a fault.
            if failure.class() == Class::Throttled {
                tracing::info!(error = %chain(&failure), "stage waits for a limit");
            } else {
                tracing::warn!(error = %chain(&failure), "stage met an error");
            }
            (verdict, run)
        }
    };
    let result = match (verdict, run) {
        // First of all: nothing can be recorded now.
        (Verdict::Postpone { at }, _) => postpone(context, message, at).await?,
        (_, None) => Handled::Cancelled,
        (verdict, Some(run)) => {
            if calls > 0 {
                context.store.add_calls(run.id, calls).await?;
            }
            carry_out(context, message, run, verdict).await?
        }
    };
    drop(in_progress);
    let took = started.elapsed();
    context.metrics.message_handled(stage, result, took);
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(result = result.as_str(), took_ms, "message handled");
    Ok(())
}

fn early(message: &StageMessage, now: Timestamp) -> Option<Duration> {
    let wait = Duration::try_from(message.not_before?.duration_since(now)).ok()?;
    (wait > EARLY_ENOUGH).then_some(wait)
}

type Handling = Result<(Verdict, Option<Run>), (Failure, Option<Run>)>;

async fn handle(context: &Context, message: &StageMessage, redelivered: bool) -> Handling {
    let run = match context.store.run(message.run).await {
        Ok(run) => run,
        Err(error) => return Err((error.into(), None)),
    };
    // A run this store does not know: purged, or another installation's message.
    let Some(run) = run else { return Ok((Verdict::Drop, None)) };
    if run.state.is_final() {
        return Ok((Verdict::Drop, Some(run)));
    }
    let postponed = message.not_before.is_some();
    let coming = Coming { attempt: message.attempt, redelivered, postponed };
    let verdict = match message.work {
        Work::SourceSync { .. } | Work::AwaitRows | Work::ConfigureChain
            if run.state == RunState::Cancelling =>
        {
            Ok(Verdict::Complete)
        }
        // The end of the pause has it published again.
        Work::SourceSync { .. } | Work::AwaitRows | Work::ConfigureChain if run.is_paused() => {
            Ok(Verdict::Drop)
        }
        Work::SourceSync { chunk: None } => Box::pin(source_sync::list(context, &run, redelivered)).await,
        Work::SourceSync { chunk: Some(chunk) } => source_sync::read_chunk(context, &run, chunk).await,
        Work::AwaitRows => await_rows::await_rows(context, &run, message.attempt).await,
        Work::ConfigureChain => configure_chain::configure_chain(context, &run).await,
        Work::Run { batch } => Box::pin(run_batch(context, &run, batch, coming)).await,
        Work::Verify { batch } => verify::verify(context, &run, batch, coming).await,
    };
    match verdict {
        Ok(verdict) => Ok((verdict, Some(run))),
        Err(failure) => Err((failure, Some(run))),
    }
}

async fn carry_out(
    context: &Context,
    message: &StageMessage,
    run: Run,
    verdict: Verdict,
) -> Result<Handled, Failure> {
    if let Some(batch) = message.work.batch()
        && let Some(why) = verdict.unfinished()
        && let Some(now) = context.store.run(run.id).await?
    {
        if now.state == RunState::Cancelling
            && !(matches!(verdict, Verdict::Retry { .. })
                && context.store.job(run.id, batch).await?.is_some())
        {
            wind_up(context, &now, batch, message.work.stage(), &why).await?;
            return go_on(context, message, run.id).await.map(|()| Handled::Cancelled);
        }
        let is_later = matches!(verdict, Verdict::Wait { .. } | Verdict::Retry { .. });
        if is_later && message.work.stage() == Stage::Run && now.is_paused() && !run.is_paused() {
            // It was paused meanwhile: what would wait for its time is set aside now.
            return postpone(context, message, context.clock.now()).await;
        }
    }
    match verdict {
        Verdict::Drop => Ok(if run.state.is_final() { Handled::Cancelled } else { Handled::Completed }),
        Verdict::Then(work) => {
            unpark(context, &run).await?;
            publish(context, run.id, work).await?;
            Ok(Handled::Completed)
        }
        Verdict::Complete => {
            unpark(context, &run).await?;
            go_on(context, message, run.id).await?;
            Ok(Handled::Completed)
        }
        Verdict::CompleteAt(progress) => {
            unpark(context, &run).await?;
            let claimant = claimant(message, &run);
            // Whether its state is still the same shows when it is to change: every step compares and sets.
            move_on(context, Run { progress, ..run }, &claimant).await?;
            Ok(Handled::Completed)
        }
        Verdict::Retry { at, .. } => {
            context.store.touch(run.id, &message.work, at).await?;
            again(context, &message.again(at, context.clock.now()), at).await?;
            Ok(Handled::Retried)
        }
        Verdict::Postpone { at } => postpone(context, message, at).await,
        Verdict::Wait { until, why } => {
            context.store.touch(run.id, &message.work, until).await?;
            let now = context.clock.now();
            let wait = Duration::try_from(until.duration_since(now)).unwrap_or_default();
            if wait > TELL_WAITS_OVER {
                context.store.park_run(run.id, Some(&Parked { until, why })).await?;
            }
            again(context, &message.later(until, now), until).await?;
            Ok(Handled::Waited)
        }
        Verdict::Await { until } => {
            context.store.touch(run.id, &message.work, until).await?;
            unpark(context, &run).await?;
            again(context, &message.later(until, context.clock.now()), until).await?;
            Ok(Handled::Waited)
        }
        Verdict::GiveUp { cause, exchanged } => {
            match message.work {
                Work::Run { batch } | Work::Verify { batch } => {
                    let stage = message.work.stage();
                    if give_up(context, &run, batch, stage, &cause, exchanged.as_deref()).await? {
                        publish(context, run.id, Work::Verify { batch }).await?;
                    } else {
                        go_on(context, message, run.id).await?;
                    }
                }
                Work::SourceSync { .. } | Work::AwaitRows | Work::ConfigureChain => {
                    stop(context, &run, &cause).await?;
                }
            }
            Ok(Handled::DeadLettered)
        }
        Verdict::Stop { cause } => {
            stop(context, &run, &cause).await?;
            if let Some(batch) = message.work.batch() {
                wind_up(context, &run, batch, message.work.stage(), &cause.message).await?;
                go_on(context, message, run.id).await?;
            }
            Ok(Handled::Cancelled)
        }
    }
}

/// Moves the run on from where it stands now.
async fn go_on(context: &Context, message: &StageMessage, run: RunId) -> Result<(), Failure> {
    let Some(now) = context.store.run(run).await? else { return Ok(()) };
    let claimant = claimant(message, &now);
    move_on(context, now, &claimant).await
}

/// Publishes a message that comes again.
async fn again(context: &Context, message: &StageMessage, at: Timestamp) -> Result<(), Failure> {
    let delay = Duration::try_from(at.duration_since(context.clock.now())).unwrap_or_default();
    context.broker.publish(message, Some(delay)).await?;
    Ok(())
}

async fn postpone(context: &Context, message: &StageMessage, at: Timestamp) -> Result<Handled, Failure> {
    again(context, &message.later(at, context.clock.now()), at).await?;
    Ok(Handled::Waited)
}

async fn unpark(context: &Context, run: &Run) -> Result<(), Failure> {
    if run.parked.is_some() {
        context.store.park_run(run.id, None).await?;
    }
    Ok(())
}

/// Who claims on behalf of a message: the same work claims the same units again after a crash.
fn claimant(message: &StageMessage, run: &Run) -> String {
    match message.work {
        Work::SourceSync { chunk: None } => source_sync::claimant(run.listing.chunks),
        Work::SourceSync { chunk: Some(chunk) } => format!("chunk:{chunk}"),
        Work::AwaitRows => "await".into(),
        Work::ConfigureChain => "configure".into(),
        Work::Run { batch } | Work::Verify { batch } => format!("batch:{batch}"),
    }
}
