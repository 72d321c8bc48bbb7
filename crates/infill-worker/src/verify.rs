//! The stage `verify`: reads a batch back by id (never by search), compares as the vendor stores the type, settles the outcome.

use std::time::Duration;

use infill_crm::Changed;
use infill_model::error::Class;
use infill_model::message::Work;
use infill_model::row::{Cause, RowState};
use infill_model::{BatchNo, Outcome, RecordId, Row, RowResult, RunState};
use infill_rules::compare::differing;
use infill_store::store::{Batch, BatchSave, BatchState, Run, Saved};

use crate::context::Context;
use crate::handed_over::lease_batch;
use crate::letter::{newly_settled, outcomes};
use crate::meter::take_calls;
use crate::run_batch::{Coming, forget_cells, lease, let_go, state_of};
use crate::seen::learnt;
use crate::verdict::{Failure, Verdict};
use crate::write::{Looked, last_change, positions, read_targets, settle_gone};

/// How long to wait before another look at a value that reads back differently: a read may be served from a replica that lags.
/// After the last look it differs.
const LOOKS_AFTER: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];

/// Verifies one batch.
///
/// # Errors
/// As the CRM and the store.
pub async fn verify(context: &Context, run: &Run, no: BatchNo, coming: Coming) -> Result<Verdict, Failure> {
    let Some(compiled) = run.compiled.clone() else { return Ok(Verdict::Drop) };
    let crm = context.connections.crm(&run.plan.connection).await?;
    context.connections.tell_time_zone(&run.plan.connection, &compiled.time_zone).await;
    let _room = context.room(run).await;
    let now = context.clock.now();
    let lease = lease(context, now);
    let leased = lease_batch(context, run.id, no, &lease, coming.takes_over(), now).await?;
    let Some(mut batch) = leased else { return Ok(Verdict::Drop) };
    let not_its_turn = match batch.state {
        BatchState::Settled | BatchState::Previewed => Some(Verdict::Complete),
        BatchState::Pending if run.state == RunState::Cancelling => Some(Verdict::Complete),
        BatchState::Pending | BatchState::Queued => Some(Verdict::Then(Work::Run { batch: no })),
        BatchState::Ran => None,
    };
    if let Some(verdict) = not_its_turn {
        let_go(context, run, &batch, &lease).await?;
        return Ok(verdict);
    }
    forget_cells(&mut batch.results);
    let confirmed = positions(&batch.results, |result| result.state == RowState::Confirmed);
    let ids: Vec<RecordId> =
        confirmed.iter().filter_map(|i| batch.rows.get(*i)).map(|row| row.record.clone()).collect();
    let mut look = match read_targets(crm.as_ref(), &compiled, &ids).await {
        Ok(look) => look,
        Err(error) => {
            let_go(context, run, &batch, &lease).await?;
            return Err(error.into());
        }
    };
    let Batch { rows, mut results, .. } = batch;
    let before = outcomes(&results);
    let normalize = |property: &_, value: &_| crm.normalize(property, value);
    let wait = usize::try_from(coming.attempt.saturating_sub(1)).ok().and_then(|look| LOOKS_AFTER.get(look));
    for i in confirmed {
        let (Some(row), Some(result)) = (rows.get(i), results.get_mut(i)) else { continue };
        match look.take(&row.record) {
            Looked::Gone(gone) => settle_gone(result, gone),
            Looked::Found(found, changed) => {
                let differing = differing(&compiled.targets, &result.wanted, &found, &normalize);
                if differing.is_empty() {
                    result.state = RowState::Settled(Outcome::Verified);
                    result.found.clear();
                } else {
                    result.cause = Some(differs(row, result, &differing, changed.as_ref(), now));
                    result.found = found;
                    if wait.is_none() {
                        result.state = RowState::Settled(Outcome::Differs);
                    }
                }
            }
        }
    }
    let state = state_of(&results);
    let memory = learnt(run, &rows, &results);
    let save = BatchSave {
        results: &results,
        has_produced: false,
        state,
        keep_lease: false,
        letters: &[],
        memory: memory.as_ref(),
        calls: take_calls(),
        now,
    };
    let Saved::Yes(progress) = context.store.save_batch(run.id, no, &lease, &save).await? else {
        return Ok(Verdict::Drop);
    };
    context.metrics.counts_settled(&newly_settled(&before, &results));
    Ok(match wait {
        Some(wait) if state == BatchState::Ran => Verdict::Retry {
            at: now.saturating_add(*wait).unwrap_or(now),
            cause: Cause {
                class: Class::Transient,
                code: "reads_back_differently".into(),
                message: "some records do not show the written value yet".into(),
                property: None,
                correlation_id: None,
                at: Some(now),
            },
        },
        Some(_) | None => Verdict::CompleteAt(progress),
    })
}

fn differs(
    row: &Row,
    result: &RowResult,
    differing: &[infill_model::PropertyName],
    changed: Option<&Changed>,
    now: infill_model::Timestamp,
) -> Cause {
    let names: Vec<&str> = differing.iter().map(infill_model::PropertyName::as_str).collect();
    Cause {
        class: Class::Conflict,
        code: "reads_back_differently".into(),
        message: format!(
            "record {} was written and confirmed, but shows another value for {}{}; a rule, a workflow or a person in the CRM may have \
             changed it since: compare `wanted` and `found` of this row",
            row.record,
            names.join(", "),
            last_change(changed),
        ),
        property: result
            .wanted
            .keys()
            .find(|name| differing.contains(name))
            .map(|name| name.as_str().to_owned()),
        correlation_id: None,
        at: Some(now),
    }
}
