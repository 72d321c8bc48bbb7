//! A row through a chain: a cell for each action, and what is to be done with the row.

use std::fmt;

use infill_model::cell::{Cell, CellError, CellStatus};
use infill_model::id::ActionId;
use infill_model::value::Properties;

use crate::action::{Call, Produced};
use crate::compile::{Chain, CompiledAction};
use crate::failure::Failure;
use crate::reference::RowView;
use crate::script::Scripts;

/// Stands for an action's id where a writeback value failed, which belongs to no action.
pub const WRITEBACK: &str = "writeback";

/// Runs a [`Chain`] on rows, one after the other. One per worker task, kept over rows and batches.
pub struct Evaluator {
    chain: Chain,
    scripts: Scripts,
}

impl fmt::Debug for Evaluator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evaluator").field("chain", &self.chain).finish_non_exhaustive()
    }
}

/// What became of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluated {
    /// One per action, in order; those not reached are `queued`.
    pub cells: Vec<Cell>,
    /// What is to be done.
    pub decision: Decision,
}

/// What is to be done with a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Write these target properties. A null is a value that is not there, text that is empty is empty text.
    Write(Properties),
    /// A condition was not met.
    Skip {
        /// Whose condition.
        action: ActionId,
        /// The condition in words; never a value of the row.
        reason: String,
    },
    /// An action failed, or, under the id [`WRITEBACK`], a value to write.
    Fail(CellError, ActionId),
    /// Another system is to perform an action, whose cell is `running`. When that cell has ended, the row goes on from there
    /// with [`Evaluator::go_on`].
    Perform(Call),
}

/// What an action did to the row's way through the chain.
enum Passed {
    On,
    Stopped(Decision),
}

impl Evaluator {
    pub(crate) fn new(chain: Chain, scripts: Scripts) -> Self {
        Self { chain, scripts }
    }

    /// Runs the chain on one row. Nothing of one row is left for the next.
    ///
    /// It takes at most [`TIME_LIMIT`](crate::TIME_LIMIT) for each script, and blocks the thread meanwhile.
    pub fn evaluate(&mut self, inputs: &Properties) -> Evaluated {
        self.go_on(inputs, Vec::new())
    }

    /// Goes on with a row whose chain was evaluated in part: what its cells have is kept, and the first that has not ended is
    /// run next. Cells that are not those of this chain are made anew.
    pub fn go_on(&mut self, inputs: &Properties, cells: Vec<Cell>) -> Evaluated {
        let Self { chain, scripts } = self;
        let actions = &chain.inner.actions;
        let mut cells = if cells.len() == actions.len() { cells } else { queued(actions) };
        for (at, action) in actions.iter().enumerate() {
            match cells.get(at).map(|cell| (cell.status, &cell.error)) {
                Some((CellStatus::Queued | CellStatus::Running, _)) | None => {}
                Some((CellStatus::Complete | CellStatus::ConditionNotMet, _)) => continue,
                Some((CellStatus::Failed | CellStatus::Error, _)) if action.continues_after_failure => {
                    continue;
                }
                Some((CellStatus::Failed | CellStatus::Error, error)) => {
                    let decision = Decision::Fail(error.clone().unwrap_or_else(unknown), action.id.clone());
                    return Evaluated { cells, decision };
                }
            }
            let row = RowView { inputs, cells: &cells };
            let mut cell = cell_of(action, CellStatus::Complete);
            let passed = pass(action, row, scripts, &mut cell);
            if let Some(place) = cells.get_mut(at) {
                *place = cell;
            }
            if let Passed::Stopped(decision) = passed {
                return Evaluated { cells, decision };
            }
        }
        let decision = self.writeback(RowView { inputs, cells: &cells });
        Evaluated { cells, decision }
    }

    fn writeback(&self, row: RowView<'_>) -> Decision {
        let mut properties = Properties::new();
        for (name, template) in &self.chain.inner.writeback {
            match template.resolve(row) {
                Ok(value) => drop(properties.insert(name.clone(), value.into_owned())),
                Err(failure) => {
                    let (_, error) = failure.into_cell_error(&format!("value for {name}"));
                    return Decision::Fail(error, WRITEBACK.into());
                }
            }
        }
        Decision::Write(properties)
    }
}

fn queued(actions: &[CompiledAction]) -> Vec<Cell> {
    actions.iter().map(|action| cell_of(action, CellStatus::Queued)).collect()
}

fn cell_of(action: &CompiledAction, status: CellStatus) -> Cell {
    Cell { action: action.id.clone(), status, outputs: Properties::new(), error: None }
}

/// What stands for the error of a cell that failed without one.
fn unknown() -> CellError {
    CellError { code: "unknown".to_owned(), message: "the action failed and left no reason".to_owned() }
}

/// Runs one action, filling its cell.
fn pass(action: &CompiledAction, row: RowView<'_>, scripts: &mut Scripts, cell: &mut Cell) -> Passed {
    if let Some(gate) = &action.gate {
        match gate.conditions.are_met(row) {
            Ok(true) => {}
            Ok(false) => {
                cell.status = CellStatus::ConditionNotMet;
                return if gate.continues_when_not_met {
                    Passed::On
                } else {
                    skip(action, format!("condition not met: {}", gate.conditions.shown()))
                };
            }
            Err(failure) => return fail(action, failure, cell),
        }
    }
    match action.step.run(row, scripts) {
        Ok(Produced::Outputs(outputs)) => {
            cell.outputs = outputs.into_iter().map(|(name, value)| (name.into(), value)).collect();
            Passed::On
        }
        Ok(Produced::Stop(reason)) => {
            cell.status = CellStatus::ConditionNotMet;
            skip(action, reason)
        }
        Ok(Produced::Perform { kind, inputs, is_idempotent }) => {
            cell.status = CellStatus::Running;
            let action = action.id.clone();
            Passed::Stopped(Decision::Perform(Call { action, kind, inputs, is_idempotent }))
        }
        Err(failure) => fail(action, failure, cell),
    }
}

fn skip(action: &CompiledAction, reason: String) -> Passed {
    Passed::Stopped(Decision::Skip { action: action.id.clone(), reason })
}

fn fail(action: &CompiledAction, failure: Failure, cell: &mut Cell) -> Passed {
    let (status, error) = failure.into_cell_error(action.id.as_str());
    cell.status = status;
    cell.error = Some(error.clone());
    if action.continues_after_failure {
        Passed::On
    } else {
        Passed::Stopped(Decision::Fail(error, action.id.clone()))
    }
}

#[cfg(test)]
mod tests;
