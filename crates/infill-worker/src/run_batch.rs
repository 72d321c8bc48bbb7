//! The stage `run`: evaluates the chain on each row of a batch, drops rows with nothing to do, checks the guard, writes, and records
//! an outcome or an intent for every row that went in.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use infill_chain::{Call, Decision};
use infill_crm::{Crm, Job};
use infill_model::cell::Cell;
use infill_model::error::Class;
use infill_model::message::Work;
use infill_model::plan::Verify;
use infill_model::row::{Cause, RowState};
use infill_model::{BatchNo, CompiledRun, Outcome, RecordId, Row, RowResult, RunState, Stage, Timestamp};
use infill_rules::guard::is_stale;
use infill_rules::intend::intend;
use infill_store::store::{Batch, BatchSave, BatchState, Lease, Run, Saved};

use crate::context::{CompiledChain, Context};
use crate::handed_over::lease_batch;
use crate::letter::{announce, fail, new_letters, newly_settled, outcomes, rejected};
use crate::meter::take_calls;
use crate::perform::Walk;
use crate::preview;
use crate::seen::{learnt, leave};
use crate::undo;
use crate::unfinished::set_aside;
use crate::verdict::{Failure, Verdict};
use crate::write::{Writing, settle_gone};

/// How a message came to this handler.
#[derive(Clone, Copy, Debug)]
pub struct Coming {
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// The broker handed it out before: whoever had it is gone.
    pub redelivered: bool,
    /// Its last handler published it again for later, and has let go of it.
    pub postponed: bool,
}

impl Coming {
    /// Whether a lease that is still running belongs to somebody who has let go or is gone.
    pub(crate) const fn takes_over(self) -> bool {
        self.redelivered || self.postponed
    }
}

/// Runs one batch.
///
/// # Errors
/// As the CRM, the store and the broker. What settled before the error is stored.
pub async fn run_batch(
    context: &Context,
    run: &Run,
    no: BatchNo,
    coming: Coming,
) -> Result<Verdict, Failure> {
    let Some(compiled) = run.compiled.clone() else { return Ok(Verdict::Drop) };
    // Whatever can fail before the batch is ours comes first, so that no lease is left behind.
    let crm = context.connections.crm(&run.plan.connection).await?;
    context.connections.tell_time_zone(&run.plan.connection, &compiled.time_zone).await;
    // Whoever waits for a job asks after it before its rows are loaded.
    if coming.takes_over()
        && let Some(job) = context.store.job(run.id, no).await?
        && let Some(after) = crm.look(&Job(job)).await?
    {
        return Ok(wait_for_job(context, after));
    }
    let chain = context.chain(run)?;
    let _room = context.room(run).await;
    let now = context.clock.now();
    let lease = lease(context, now);
    let leased = lease_batch(context, run.id, no, &lease, coming.takes_over(), now).await?;
    let Some(batch) = leased else { return Ok(Verdict::Drop) };
    let is_preview = run.state == RunState::Previewing;
    if is_preview && !preview::is_going_on(context, run).await? {
        let_go(context, run, &batch, &lease).await?;
        return Ok(Verdict::Postpone { at: now });
    }
    let done_before = match batch.state {
        BatchState::Settled | BatchState::Previewed => Some(Verdict::Complete),
        BatchState::Ran => Some(Verdict::Then(Work::Verify { batch: no })),
        // It has not begun, and begins no more.
        BatchState::Pending if matches!(run.state, RunState::Cancelling | RunState::Waiting) => {
            Some(Verdict::Complete)
        }
        BatchState::Pending | BatchState::Queued => None,
    };
    if let Some(verdict) = done_before {
        let_go(context, run, &batch, &lease).await?;
        return Ok(verdict);
    }
    if begins_no_more(run, &batch) {
        return Box::pin(set_aside(context, run, &lease, batch)).await;
    }
    if !coming.takes_over()
        && let Some(job) = batch.job.clone()
    {
        let looked = crm.look(&Job(job)).await;
        if !matches!(looked, Ok(None)) {
            let_go(context, run, &batch, &lease).await?;
        }
        if let Some(after) = looked? {
            return Ok(wait_for_job(context, after));
        }
    }
    let Batch { rows, results, pulled_at, revision, job, .. } = batch;
    let mut results = if results.is_empty() { vec![RowResult::default(); rows.len()] } else { results };
    let mut stored = Stored { outcomes: outcomes(&results), revision };
    preview::fail_refused(&mut results);
    // Whoever had it before may have written some of it already.
    let was_begun = results.iter().any(|result| result.state == RowState::Intended);
    let mut has_produced = results.iter().any(|result| result.state == RowState::Pending);
    if has_produced {
        match run.plan.source.undoes {
            Some(undoes) => {
                if undo::judge(undoes, &rows, &mut results, &compiled, crm.as_ref(), now) {
                    context.store.warn_run(run.id, &undo::left_in_part(run)).await?;
                }
            }
            None => {
                let walk = Walk {
                    context,
                    run,
                    no,
                    lease: &lease,
                    crm: crm.as_ref(),
                    compiled: &compiled,
                    rows: &rows,
                };
                if !walk.through(&chain, &mut results, &mut stored).await? {
                    return Ok(Verdict::Drop);
                }
            }
        }
    }
    if is_preview {
        let step =
            Step { context, run, no, lease: &lease, rows: &rows, has_produced: true, keep_lease: false };
        return Box::pin(preview::end(&step, crm.as_ref(), &compiled, pulled_at, &mut results)).await;
    }
    let has_intent = results.iter().any(|result| result.state == RowState::Intended);
    if has_intent {
        let step = Step { context, run, no, lease: &lease, rows: &rows, has_produced, keep_lease: true };
        if !step.save(&results, &mut stored).await? {
            return Ok(Verdict::Drop);
        }
        has_produced = false;
    }

    if !has_produced {
        forget_cells(&mut results);
    }
    let mut writing = Writing {
        crm: crm.as_ref(),
        compiled: &compiled,
        rows: &rows,
        results: &mut results,
        now,
        may_be_sent: was_begun,
        job: job.map(Job),
        exchanged: Vec::new(),
    };
    let wrote = loop {
        let had = writing.job.clone();
        let wrote = write(&mut writing, pulled_at, was_begun, context.clock.now()).await;
        // A job is kept before anything is sent to it, and forgotten before its answer is saved: rows whose answer is lost with a
        // process are looked at again, and no answer is taken for that to another attempt.
        if writing.job != had {
            let job = writing.job.as_ref().map(|job| job.0.as_str());
            if !context.store.keep_job(run.id, no, &lease, job).await? {
                return Ok(Verdict::Drop);
            }
        }
        if !matches!(wrote, Ok(Some(Duration::ZERO))) {
            break wrote;
        }
    };
    writing.forget_unsent();
    let exchanged = std::mem::take(&mut writing.exchanged);
    settle_unread(&mut results, &rows, &compiled, no, run.plan.canary > 0, run.progress.rows);

    let letters = new_letters(Stage::Run, &rows, &stored.outcomes, &results, &exchanged);
    announce(context, run.id, &letters).await?;
    let memory = learnt(run, &rows, &results);
    let state = state_of(&results);
    let save = BatchSave {
        results: &results,
        has_produced,
        state,
        keep_lease: false,
        letters: &letters,
        memory: memory.as_ref(),
        calls: take_calls(),
        now: context.clock.now(),
    };
    let saved = context.store.save_batch(run.id, no, &lease, &save).await?;
    if matches!(saved, Saved::Yes(_)) {
        context.metrics.counts_settled(&newly_settled(&stored.outcomes, &results));
    }
    let later = wrote?;
    if let (Saved::Yes(_), Some(after)) = (&saved, later) {
        return Ok(wait_for_job(context, after));
    }
    Ok(match (saved, state) {
        (Saved::LeaseLost, _) => Verdict::Drop,
        (Saved::Yes(_), BatchState::Ran) => {
            let revision = stored.revision + 1;
            let saved_at = Some(save.now);
            let batch = Batch { no, state, rows, results, pulled_at, saved_at, revision, job: None };
            context.handed_over.keep(run.id, batch);
            Verdict::Then(Work::Verify { batch: no })
        }
        (
            Saved::Yes(progress),
            BatchState::Pending | BatchState::Queued | BatchState::Previewed | BatchState::Settled,
        ) => Verdict::CompleteAt(progress),
    })
}

/// Whether nothing of a batch is to be sent now: its run is paused, or is being cancelled and nothing of the batch was sent. What
/// the CRM is at work on goes on; of a preview nothing is ever sent.
fn begins_no_more(run: &Run, batch: &Batch) -> bool {
    let is_sent = |result: &RowResult| matches!(result.state, RowState::Intended | RowState::Confirmed);
    let is_any_sent = !run.is_unwritten_preview() && batch.results.iter().any(is_sent);
    let is_cancelled = run.state == RunState::Cancelling && !is_any_sent;
    batch.job.is_none() && (run.is_paused() || is_cancelled)
}

fn wait_for_job(context: &Context, after: Duration) -> Verdict {
    let now = context.clock.now();
    Verdict::Await { until: now.saturating_add(after).unwrap_or(now) }
}

/// What the store has of a batch.
#[derive(Debug)]
pub(crate) struct Stored {
    /// How each row stands there.
    outcomes: Vec<Option<Outcome>>,
    revision: u64,
}

/// A batch in one handler's hands, to be saved before it is done.
#[derive(Clone, Copy)]
pub(crate) struct Step<'a> {
    pub(crate) context: &'a Context,
    pub(crate) run: &'a Run,
    pub(crate) no: BatchNo,
    pub(crate) lease: &'a Lease,
    pub(crate) rows: &'a [Row],
    /// Whether rows have produced something since the last save.
    pub(crate) has_produced: bool,
    /// Whether the batch stays in these hands; the lease then runs anew.
    pub(crate) keep_lease: bool,
}

impl Step<'_> {
    /// Saves how far the rows are, with the letters of those that have failed; `false` when the batch is somebody else's by now.
    pub(crate) async fn save(&self, results: &[RowResult], stored: &mut Stored) -> Result<bool, Failure> {
        let Self { context, run, no, lease, rows, has_produced, keep_lease } = *self;
        let is_preview = run.state == RunState::Previewing;
        let letters = if is_preview {
            Vec::new()
        } else {
            new_letters(Stage::Run, rows, &stored.outcomes, results, &[])
        };
        announce(context, run.id, &letters).await?;
        let now = context.clock.now();
        let until = now.saturating_add(context.settings.lease).unwrap_or(now);
        let (state, calls) = (state_of(results), take_calls());
        let save = BatchSave {
            results,
            has_produced,
            state,
            keep_lease,
            letters: &letters,
            memory: None,
            calls,
            now,
        };
        let saved = context.store.save_batch(run.id, no, &Lease { until, ..*lease }, &save).await?;
        if matches!(saved, Saved::LeaseLost) {
            return Ok(false);
        }
        if !is_preview {
            context.metrics.counts_settled(&newly_settled(&stored.outcomes, results));
        }
        stored.outcomes = outcomes(results);
        stored.revision += 1;
        Ok(true)
    }
}

/// A lease for one handling.
pub(crate) fn lease(context: &Context, now: Timestamp) -> Lease {
    let until = now.saturating_add(context.settings.lease).unwrap_or(now);
    // Stores keep it in a signed 64-bit column.
    Lease { owner: rand::random::<u64>() >> 1, until }
}

/// Gives a lease back with the batch as it was: whoever goes on with it must not find it taken.
pub(crate) async fn let_go(
    context: &Context,
    run: &Run,
    batch: &Batch,
    lease: &Lease,
) -> Result<(), Failure> {
    let Batch { no, state, results, .. } = batch;
    let now = context.clock.now();
    let save = BatchSave {
        results,
        has_produced: false,
        state: *state,
        keep_lease: false,
        letters: &[],
        memory: None,
        calls: take_calls(),
        now,
    };
    context.store.save_batch(run.id, *no, lease, &save).await?;
    Ok(())
}

/// Lets go of cells, which are stored and not needed to write or to verify: in a large batch they take as much memory as its rows.
pub(crate) fn forget_cells(results: &mut [RowResult]) {
    for result in results {
        result.cells = Vec::new();
    }
}

/// How far a batch is, by its rows.
pub(crate) fn state_of(results: &[RowResult]) -> BatchState {
    let is_open = |result: &RowResult| {
        matches!(result.state, RowState::Pending | RowState::Intended | RowState::Refused)
    };
    if results.iter().any(is_open) {
        BatchState::Queued
    } else if results.iter().any(|result| result.state == RowState::Confirmed) {
        BatchState::Ran
    } else {
        BatchState::Settled
    }
}

async fn write(
    writing: &mut Writing<'_>,
    pulled_at: Timestamp,
    was_begun: bool,
    now: Timestamp,
) -> Result<Option<Duration>, infill_crm::Error> {
    // The rows of a job were looked at before it was made, and are as good as written.
    if writing.job.is_none() {
        if was_begun || is_guard_due(writing.compiled, pulled_at, now) {
            let n_guarded = writing.guard().await?;
            tracing::debug!(rows = n_guarded, "targets read again before the write");
        } else if writing.compiled.holds_changes() {
            writing.trust();
        }
    }
    writing.write().await
}

/// Whether targets are to be read once more before they are written.
pub(crate) fn is_guard_due(compiled: &CompiledRun, pulled_at: Timestamp, now: Timestamp) -> bool {
    compiled.holds_changes() && is_stale(pulled_at, now, compiled.guard_older_than_seconds)
}

/// Evaluates the pending rows on a thread of their own, each as far as it goes: a script may take its whole time limit. Gives the
/// calls that rows wait for.
pub(crate) async fn evaluate(
    chain: &Arc<CompiledChain>,
    rows: &Arc<Vec<Row>>,
    results: &mut [RowResult],
    compiled: &CompiledRun,
    crm: &dyn Crm,
    now: Timestamp,
) -> Result<Vec<(usize, Call)>, Failure> {
    for (row, result) in rows.iter().zip(&mut *results) {
        if result.state != RowState::Pending {
            continue;
        }
        if let Some(cause) = &row.refused {
            fail(result, Cause { at: Some(now), ..cause.clone() });
        } else if let Some(run) = row.same_as {
            leave(result, run, now);
        }
    }
    let pending: Vec<(usize, Vec<Cell>)> = results
        .iter_mut()
        .enumerate()
        .filter(|(_, result)| result.state == RowState::Pending)
        .map(|(i, result)| (i, std::mem::take(&mut result.cells)))
        .collect();
    let (on_chain, on_rows) = (Arc::clone(chain), Arc::clone(rows));
    let room = chain.room().await;
    let evaluating = tokio::task::spawn_blocking(move || {
        on_chain.with_evaluator(|evaluator| {
            pending
                .into_iter()
                .filter_map(|(i, cells)| on_rows.get(i).map(|row| (i, row, cells)))
                .map(|(i, row, cells)| (i, row.gone.is_none().then(|| evaluator.go_on(&row.inputs, cells))))
                .collect::<Vec<_>>()
        })
    });
    let evaluated = evaluating.await.map_err(|source| {
        Failure::Stop(Cause {
            class: Class::Bug,
            code: "evaluation_broke".into(),
            message: format!("the evaluation of a batch broke: {source}"),
            property: None,
            correlation_id: None,
            at: Some(now),
        })
    })??;
    drop(room);
    let mut calls = Vec::new();
    for (i, evaluated) in evaluated {
        let (Some(row), Some(result)) = (rows.get(i), results.get_mut(i)) else { continue };
        let Some(evaluated) = evaluated else {
            settle_gone(result, row.gone.clone().unwrap_or(infill_model::row::Gone { survivor: None }));
            continue;
        };
        result.cells = evaluated.cells;
        match evaluated.decision {
            Decision::Skip { action, reason } => {
                tracing::debug!(record.id = %row.record, %action, reason, "row skipped");
                result.state = RowState::Settled(Outcome::Skipped);
            }
            Decision::Fail(error, action) => fail(
                result,
                Cause {
                    class: Class::Rejected,
                    code: error.code,
                    message: format!("action {action}: {}", error.message),
                    property: None,
                    correlation_id: None,
                    at: Some(now),
                },
            ),
            Decision::Perform(call) => calls.push((i, call)),
            Decision::Write(produced) => {
                let normalize = |property: &_, value: &_| crm.normalize(property, value);
                let wanted = intend(&compiled.targets, &produced, &row.before, &normalize);
                let refusal = compiled.targets.iter().find_map(|target| {
                    let value = wanted.get(&target.property.name)?;
                    crm.check(&target.property, value, &[&wanted, &row.before]).err()
                });
                result.wanted = wanted;
                if let Some(refusal) = refusal {
                    fail(result, rejected(refusal, now));
                } else if result.wanted.is_empty() {
                    result.state = RowState::Settled(Outcome::Unchanged);
                } else {
                    result.state = RowState::Intended;
                }
            }
        }
    }
    Ok(calls)
}

/// Settles confirmed rows that the plan does not want read back.
fn settle_unread(
    results: &mut [RowResult],
    rows: &[Row],
    compiled: &CompiledRun,
    no: BatchNo,
    has_canary: bool,
    n_rows: u64,
) {
    // The canary is always read back: that is what it is for.
    if has_canary && no == BatchNo(0) {
        return;
    }
    for (row, result) in rows.iter().zip(results) {
        let is_read_back = match compiled.verify {
            Verify::All => true,
            Verify::None => false,
            Verify::Sample(sample) => is_sampled(&row.record, sample, n_rows),
        };
        if result.state == RowState::Confirmed && !is_read_back {
            result.state = RowState::Settled(Outcome::Written);
        }
    }
}

/// Whether a record is among about `sample` of `n_rows`: the same ones each time.
fn is_sampled(record: &RecordId, sample: u64, n_rows: u64) -> bool {
    let mut hasher = DefaultHasher::new();
    record.as_str().hash(&mut hasher);
    hasher.finish() % n_rows.max(1) < sample
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(state: RowState) -> RowResult {
        RowResult { state, ..RowResult::default() }
    }

    #[test]
    fn a_batch_is_as_far_as_its_slowest_row() {
        let settled = with(RowState::Settled(Outcome::Verified));
        for (results, state) in [
            (vec![settled.clone(), with(RowState::Pending)], BatchState::Queued),
            (vec![with(RowState::Confirmed), with(RowState::Intended)], BatchState::Queued),
            (vec![with(RowState::Confirmed), settled.clone()], BatchState::Ran),
            (vec![settled], BatchState::Settled),
        ] {
            assert_eq!(state_of(&results), state);
        }
    }

    #[test]
    fn a_sample_is_about_as_large_as_asked_and_always_the_same() {
        let sampled = (0..10_000_u32)
            .filter(|id| is_sampled(&RecordId::from(id.to_string()), 100, 10_000))
            .collect::<Vec<_>>();
        assert!((50..200).contains(&sampled.len()), "{}", sampled.len());
        let again: Vec<u32> =
            (0..10_000).filter(|id| is_sampled(&RecordId::from(id.to_string()), 100, 10_000)).collect();
        assert_eq!(sampled, again);
    }
}
