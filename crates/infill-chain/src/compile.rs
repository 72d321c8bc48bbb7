//! A plan made into a [`Chain`], with every fault reported at once.

use std::fmt;
use std::sync::Arc;

use infill_model::error::{Fault, FaultCode};
use infill_model::id::{ActionId, PropertyName};
use infill_model::plan::{Action, Plan};

use crate::action::{self, Place, Step};
use crate::condition::{Conditions, check_not_empty};
use crate::evaluate::Evaluator;
use crate::reference::{INPUT, Known, Problem, Scope, is_word};
use crate::script::{Error, Script, Scripts};
use crate::template::Template;

/// A compiled chain and the writeback it feeds: immutable, and cheap to clone.
#[derive(Clone)]
pub struct Chain {
    pub(crate) inner: Arc<Compiled>,
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<&ActionId> = self.inner.actions.iter().map(|action| &action.id).collect();
        f.debug_struct("Chain").field("actions", &ids).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) actions: Vec<CompiledAction>,
    pub(crate) writeback: Vec<(PropertyName, Template)>,
    scripts: Arc<[Script]>,
}

#[derive(Debug)]
pub(crate) struct CompiledAction {
    pub(crate) id: ActionId,
    pub(crate) gate: Option<Gate>,
    pub(crate) step: Box<dyn Step>,
    pub(crate) continues_after_failure: bool,
}

/// A compiled `run_if`.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) conditions: Conditions,
    pub(crate) continues_when_not_met: bool,
}

impl Chain {
    /// Compiles the chain and the writeback of a plan.
    ///
    /// # Errors
    ///
    /// Every fault at once, each with its path, such as `chain[1].inputs.path_conditions[0].operator` or
    /// `writeback.properties[0].value`. A fault in a script also has a line and a column, from 1, **within the
    /// script**, and its message repeats them.
    pub fn compile(plan: &Plan) -> Result<Self, Vec<Fault>> {
        let known: Vec<Known<'_>> = plan
            .chain
            .iter()
            .map(|action| Known {
                id: action.id.as_str(),
                outputs: action::find(&action.action).map(|kind| kind.outputs()),
            })
            .collect();
        let scope_at = |n_before| Scope { inputs: &plan.inputs, actions: &known, n_before };
        let mut faults = Vec::new();
        let mut scripts = Vec::new();
        let mut actions = Vec::with_capacity(plan.chain.len());
        for (at, action) in plan.chain.iter().enumerate() {
            let path = format!("chain[{at}]");
            check_id(action, plan.chain.get(..at).unwrap_or_default(), &path, &mut faults);
            actions.extend(compile_action(action, &path, scope_at(at), &mut scripts, &mut faults));
        }
        let mut writeback: Vec<(PropertyName, Template)> =
            Vec::with_capacity(plan.writeback.properties.len());
        for (at, property) in plan.writeback.properties.iter().enumerate() {
            let path = plan.writeback.path_of(at);
            if plan.writeback.properties.iter().take(at).any(|earlier| earlier.name == property.name) {
                let message =
                    format!("property \"{}\" is written twice; only one value can win", property.name);
                faults.push(Fault::new(FaultCode::Duplicate, format!("{path}.name"), message));
            }
            match Template::compile(&property.value, scope_at(plan.chain.len())) {
                Ok(template) => writeback.push((property.name.clone(), template)),
                Err(problems) => faults.extend(
                    problems
                        .into_iter()
                        .map(|Problem { code, message }| Fault::new(code, format!("{path}.value"), message)),
                ),
            }
        }
        if faults.is_empty() {
            Ok(Self { inner: Arc::new(Compiled { actions, writeback, scripts: scripts.into() }) })
        } else {
            Err(faults)
        }
    }

    /// An evaluator with its own script engine, to be kept and used for row after row. It is [`Send`], so a task may
    /// own it.
    ///
    /// # Errors
    ///
    /// When the script engine cannot be started, for want of memory.
    pub fn evaluator(&self) -> Result<Evaluator, Error> {
        Ok(Evaluator::new(self.clone(), Scripts::new(Arc::clone(&self.inner.scripts))?))
    }
}

fn check_id(action: &Action, earlier: &[Action], path: &str, faults: &mut Vec<Fault>) {
    let id = action.id.as_str();
    let path = format!("{path}.id");
    if !is_word(id) || id == INPUT {
        let message = format!(
            "\"{id}\" cannot be an action's id: an id is letters, digits, _ and -, and not \"{INPUT}\", so that references can name it"
        );
        faults.push(Fault::new(FaultCode::InvalidValue, path, message));
    } else if earlier.iter().any(|other| other.id == action.id) {
        let message = format!("another action is called \"{id}\" already");
        faults.push(Fault::new(FaultCode::Duplicate, path, message));
    }
}

fn compile_action(
    action: &Action,
    path: &str,
    scope: Scope<'_>,
    scripts: &mut Vec<Script>,
    faults: &mut Vec<Fault>,
) -> Option<CompiledAction> {
    let gate = action.run_if.as_ref().map(|run_if| {
        let path = format!("{path}.run_if.conditions");
        check_not_empty(&run_if.conditions, &path, faults);
        let conditions = Conditions::compile(&run_if.conditions, &path, scope, faults)?;
        Some(Gate { conditions, continues_when_not_met: run_if.continue_workflow_if_run_condition_not_met })
    });
    let Some(kind) = action::find(&action.action) else {
        let message = action::no_such_kind(&action.action);
        faults.push(Fault::new(FaultCode::UnknownAction, format!("{path}.action"), message));
        return None;
    };
    let place = Place { inputs: &action.inputs, path: format!("{path}.inputs"), scope, faults, scripts };
    let step = action::compile(kind, place)?;
    let gate = match gate {
        Some(gate) => Some(gate?),
        None => None,
    };
    Some(CompiledAction {
        id: action.id.clone(),
        gate,
        step,
        continues_after_failure: action.continue_workflow_if_action_fails,
    })
}

#[cfg(test)]
mod tests;
