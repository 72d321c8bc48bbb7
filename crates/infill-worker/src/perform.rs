//! Actions that the CRM performs, for the rows of one batch: some at once, each answered into its cell, so that a row goes on
//! from there however often the batch changes hands.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::stream::{self, StreamExt};
use infill_chain::Call;
use infill_crm::{ActionCall, Crm, Outputs, Replay};
use infill_model::cell::{CellError, CellStatus};
use infill_model::error::Class;
use infill_model::{BatchNo, CompiledRun, Row, RowResult};
use infill_store::store::{Begun, EffectKey, Lease, Run};
use infill_telemetry::chain as causes;

use crate::context::{CompiledChain, Context};
use crate::run_batch::{Step, Stored, evaluate};
use crate::verdict::Failure;

/// Calls of one batch in flight at once. A call is a record: more would only wait for the vendor's own limits.
const AT_ONCE: usize = 8;

/// A lease is renewed when this part of it has passed, so that a call that takes its longest still ends within it.
const RENEWED_AFTER: u32 = 4;

/// One batch on its way through the chain.
#[derive(Clone, Copy)]
pub(crate) struct Walk<'a> {
    pub(crate) context: &'a Context,
    pub(crate) run: &'a Run,
    pub(crate) no: BatchNo,
    pub(crate) lease: &'a Lease,
    pub(crate) crm: &'a dyn Crm,
    pub(crate) compiled: &'a CompiledRun,
    pub(crate) rows: &'a Arc<Vec<Row>>,
}

impl Walk<'_> {
    /// Takes the pending rows through the chain; `false` when the batch is somebody else's by now.
    ///
    /// # Errors
    /// What kept calls from being made. Rows are saved as far as they have come, and go on from there.
    pub(crate) async fn through(
        &self,
        chain: &Arc<CompiledChain>,
        results: &mut [RowResult],
        stored: &mut Stored,
    ) -> Result<bool, Failure> {
        loop {
            let now = self.context.clock.now();
            let calls = evaluate(chain, self.rows, results, self.compiled, self.crm, now).await?;
            if calls.is_empty() {
                return Ok(true);
            }
            match self.perform(calls, results, stored).await {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(failure) => {
                    // What the calls gave must not be lost with the failure; that it cannot be saved must not hide the failure.
                    if let Err(unsaved) = self.step(false).save(results, stored).await {
                        tracing::warn!(error = %causes(&unsaved), "progress of a batch not saved");
                    }
                    return Err(failure);
                }
            }
        }
    }

    fn step(&self, keep_lease: bool) -> Step<'_> {
        let Self { context, run, no, lease, rows, .. } = *self;
        Step { context, run, no, lease, rows, has_produced: true, keep_lease }
    }

    /// Makes the calls and fills their cells. The first failure that is not of its row alone keeps those not begun from being made.
    async fn perform(
        &self,
        calls: Vec<(usize, Call)>,
        results: &mut [RowResult],
        stored: &mut Stored,
    ) -> Result<bool, Failure> {
        let is_stopped = &AtomicBool::new(false);
        let mut answers = stream::iter(calls)
            .map(|(i, call)| async move {
                if is_stopped.load(Ordering::Relaxed) {
                    return None;
                }
                let answer = self.perform_one(i, &call).await;
                Some((i, call, answer))
            })
            .buffer_unordered(AT_ONCE);
        let mut failed = None;
        let mut renewed_at = self.context.clock.now();
        while let Some(answer) = answers.next().await {
            let Some((i, call, answer)) = answer else { continue };
            match answer {
                Ok(outputs) => end_cell(results, i, &call, Ok(outputs)),
                Err(Failure::Crm(error)) if is_of_the_row(error.class) => {
                    end_cell(results, i, &call, Err(error));
                }
                Err(failure) => {
                    is_stopped.store(true, Ordering::Relaxed);
                    failed.get_or_insert(failure);
                }
            }
            let now = self.context.clock.now();
            if failed.is_none() && now > renewed_at + self.context.settings.lease / RENEWED_AFTER {
                if !self.step(true).save(results, stored).await? {
                    return Ok(false);
                }
                renewed_at = now;
            }
        }
        failed.map_or(Ok(true), Err)
    }

    /// Makes one call. What would be made twice by a repeat is recorded before it is made, and what is recorded as made is not made
    /// again.
    async fn perform_one(&self, i: usize, call: &Call) -> Result<Outputs, Failure> {
        let prepared = self.compiled.actions.get(&call.action).map(String::as_str).unwrap_or_default();
        let ask = ActionCall { kind: call.kind, prepared, inputs: &call.inputs, replay: None };
        let Some(row) = self.rows.get(i).filter(|_| !call.is_idempotent) else {
            return Ok(self.crm.perform(&ask).await?);
        };
        let (store, now) = (&self.context.store, self.context.clock.now());
        let effect = EffectKey { run: self.run.id, record: row.record.clone(), action: call.action.clone() };
        let (since, is_repeat) = match store.begin_effect(&effect, now).await? {
            Begun::Done(outputs) => return Ok(outputs),
            Begun::Now => (now, false),
            Begun::Before { at } => (at, true),
        };
        let key = effect.to_string();
        let replay = Some(Replay { key: &key, since, is_repeat });
        let outputs = self.crm.perform(&ActionCall { replay, ..ask }).await?;
        store.end_effect(&effect, &outputs).await?;
        Ok(outputs)
    }
}

/// Whether an error says no to the row and would say so again.
const fn is_of_the_row(class: Class) -> bool {
    match class {
        Class::Rejected | Class::Conflict | Class::Gone => true,
        Class::Transient | Class::Throttled | Class::Unauthorized | Class::Configuration | Class::Bug => {
            false
        }
    }
}

/// Writes into its cell what an action gave, or why it failed.
fn end_cell(results: &mut [RowResult], i: usize, call: &Call, answer: Result<Outputs, infill_crm::Error>) {
    let cells = results.get_mut(i).map(|result| result.cells.as_mut_slice()).unwrap_or_default();
    let Some(cell) = cells.iter_mut().find(|cell| cell.action == call.action) else { return };
    match answer {
        Ok(outputs) => {
            cell.status = CellStatus::Complete;
            cell.outputs = outputs.into_iter().map(|(name, value)| (name.into(), value)).collect();
        }
        Err(error) => {
            cell.status = CellStatus::Failed;
            let message = format!("{}: {}", call.action, error.message);
            cell.error = Some(CellError { code: error.code, message });
        }
    }
}

#[cfg(test)]
mod tests {
    use infill_model::Properties;
    use infill_model::cell::Cell;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_ends_its_own_cell() {
        let cell = |id: &str| Cell {
            action: id.into(),
            status: CellStatus::Running,
            outputs: Properties::new(),
            error: None,
        };
        let mut results = [RowResult { cells: vec![cell("a"), cell("b")], ..RowResult::default() }];
        let call = |id: &str| Call {
            action: id.into(),
            kind: "lookup",
            inputs: serde_json::Map::new(),
            is_idempotent: true,
        };
        end_cell(&mut results, 0, &call("b"), Ok(Outputs::from_iter([("x".to_owned(), json!(1))])));
        let refused = infill_crm::Error::new(Class::Rejected, "TOO_LONG", "too long");
        end_cell(&mut results, 0, &call("a"), Err(refused));
        let [a, b] = results[0].cells.as_slice() else { panic!("{results:?}") };
        assert_eq!((b.status, &b.outputs["x"]), (CellStatus::Complete, &json!(1)));
        let error = a.error.as_ref().unwrap();
        assert_eq!((a.status, error.code.as_str()), (CellStatus::Failed, "TOO_LONG"));
        assert_eq!(error.message, "a: too long");
    }

    #[test]
    fn only_what_the_row_is_guilty_of_fails_its_cell() {
        let of_the_row: Vec<Class> = Class::ALL.into_iter().filter(|class| is_of_the_row(*class)).collect();
        assert_eq!(of_the_row, [Class::Rejected, Class::Conflict, Class::Gone]);
    }
}
