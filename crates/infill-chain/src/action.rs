//! Action kinds: a registry, and the seam each kind fills.
//!
//! A new kind is one file in this folder and one line in [`KINDS`]. A kind that needs IO will get its client handed
//! in; none does so far, and none may reach for one.

mod filter;
mod format_data_using_js_expression;

use std::fmt;

use infill_model::error::{Fault, FaultCode};
use infill_model::nearest::did_you_mean;
use infill_model::value::Value;
use serde_json::Map;

use crate::failure::Failure;
use crate::reference::{RowView, Scope, quoted};
use crate::script::{Script, Scripts};

/// Every kind there is.
const KINDS: [&dyn Kind; 2] =
    [&filter::Filter, &format_data_using_js_expression::FormatDataUsingJsExpression];

/// A kind of action, as a plan names it.
pub(crate) trait Kind: Sync {
    /// The name in plans; that of the public action pages.
    fn name(&self) -> &'static str;

    /// The keys of its `inputs`; all are required, so far.
    fn inputs(&self) -> &'static [&'static str];

    /// What `{{id.OUTPUT}}` may name.
    fn outputs(&self) -> &'static [&'static str];

    /// Compiles one action. Keys are checked already; `None` means that a fault was added.
    fn compile(&self, place: &mut Place<'_>) -> Option<Box<dyn Step>>;
}

/// A compiled action.
pub(crate) trait Step: fmt::Debug + Send + Sync {
    /// Runs it on a row.
    fn run(&self, row: RowView<'_>, scripts: &mut Scripts) -> Result<Produced, Failure>;
}

/// What an action made of a row.
#[derive(Debug)]
pub(crate) enum Produced {
    /// Outputs, by name.
    Outputs(Map<String, Value>),
    /// The row goes no further; why, in words.
    Stop(String),
}

/// Where an action is being compiled.
pub(crate) struct Place<'a> {
    /// Its `inputs`.
    pub(crate) inputs: &'a Map<String, Value>,
    /// The path of its `inputs` in the plan.
    pub(crate) path: String,
    pub(crate) scope: Scope<'a>,
    pub(crate) faults: &'a mut Vec<Fault>,
    /// The scripts of the chain so far; an action adds its own and remembers the index.
    pub(crate) scripts: &'a mut Vec<Script>,
}

impl Place<'_> {
    /// The path of one input in the plan.
    pub(crate) fn path_of(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }

    /// The value of an input; null stands for a missing one, which is a fault already.
    pub(crate) fn input(&self, key: &str) -> Value {
        self.inputs.get(key).cloned().unwrap_or(Value::Null)
    }

    fn check_keys(&mut self, kind: &dyn Kind) -> bool {
        let n_before = self.faults.len();
        for key in self.inputs.keys().filter(|key| !kind.inputs().contains(&key.as_str())) {
            let near = did_you_mean(key, kind.inputs().iter().copied());
            let message = format!("{} has no input `{key}`{near}", kind.name());
            self.faults.push(Fault::new(FaultCode::UnknownKey, self.path_of(key), message));
        }
        for key in kind.inputs().iter().filter(|key| !self.inputs.contains_key(**key)) {
            let message = format!("{} needs the input `{key}`", kind.name());
            self.faults.push(Fault::new(FaultCode::MissingKey, self.path.clone(), message));
        }
        self.faults.len() == n_before
    }
}

/// The kind of that name.
pub(crate) fn find(name: &str) -> Option<&'static dyn Kind> {
    KINDS.into_iter().find(|kind| kind.name() == name)
}

/// What to say of a kind that does not exist.
pub(crate) fn no_such_kind(name: &str) -> String {
    let names = || KINDS.iter().map(|kind| kind.name());
    let near = did_you_mean(name, names());
    let known = if near.is_empty() { format!("; there are {}", quoted(names(), " and ")) } else { near };
    format!("there is no action \"{name}\"{known}")
}

/// Checks the keys of an action's inputs and compiles it.
pub(crate) fn compile(kind: &dyn Kind, mut place: Place<'_>) -> Option<Box<dyn Step>> {
    let keys_are_right = place.check_keys(kind);
    let has_all = kind.inputs().iter().all(|key| place.inputs.contains_key(*key));
    let step = if has_all { kind.compile(&mut place) } else { None };
    step.filter(|_| keys_are_right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_pinned() {
        let kinds: Vec<(&str, &[&str], &[&str])> =
            KINDS.iter().map(|kind| (kind.name(), kind.inputs(), kind.outputs())).collect();
        assert_eq!(
            kinds,
            [
                ("filter", &["path_conditions"][..], &[][..]),
                ("format_data_using_js_expression", &["data_formatter"][..], &["formatted_data"][..]),
            ]
        );
    }
}
