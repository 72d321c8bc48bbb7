//! Action kinds: a registry, and the seam each kind fills.
//!
//! A new kind is one file in this folder and one line in [`KINDS`]. A kind that needs IO is a [`remote::Remote`]: it makes a
//! [`Call`] of a row and waits for the outputs; who performs it is not known here, and no kind may reach for a client.

mod filter;
mod format_data_using_js_expression;
mod remote;
mod salesforce_create_record;
mod salesforce_create_task;
mod salesforce_lookup_record;
mod salesforce_update_record;
mod salesforce_upsert_record;

use std::fmt;

use infill_model::error::{Fault, FaultCode};
use infill_model::nearest::did_you_mean;
use infill_model::value::Value;
use serde_json::Map;

use crate::failure::Failure;
use crate::reference::{RowView, Scope, quoted};
use crate::script::{Script, Scripts};

pub(crate) use remote::Remote;
pub use remote::{Call, RemoteAction, remote_actions};

/// Every kind there is.
const KINDS: [&dyn Kind; 7] = [
    &filter::Filter,
    &format_data_using_js_expression::FormatDataUsingJsExpression,
    &salesforce_create_record::KIND,
    &salesforce_create_task::KIND,
    &salesforce_lookup_record::KIND,
    &salesforce_update_record::KIND,
    &salesforce_upsert_record::KIND,
];

/// A kind of action, as a plan names it.
pub(crate) trait Kind: Sync {
    /// The name in plans; that of the public action pages.
    fn name(&self) -> &'static str;

    /// The keys of its `inputs` that must be there.
    fn inputs(&self) -> Vec<&'static str>;

    /// The keys of its `inputs` that may be left out.
    fn optional(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// What it is when another system performs it.
    fn remote(&self) -> Option<&Remote> {
        None
    }

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
    /// Another system is to perform the action with these inputs; `true` when doing it twice does no more than once.
    Perform { kind: &'static str, inputs: Map<String, Value>, is_idempotent: bool },
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
        let (required, optional) = (kind.inputs(), kind.optional());
        let known = || required.iter().chain(&optional).copied();
        for key in self.inputs.keys().filter(|key| !known().any(|known| known == key.as_str())) {
            let near = did_you_mean(key, known());
            let message = format!("{} has no input `{key}`{near}", kind.name());
            self.faults.push(Fault::new(FaultCode::UnknownKey, self.path_of(key), message));
        }
        for key in required.iter().filter(|key| !self.inputs.contains_key(**key)) {
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
        for (kind, (name, inputs, optional, outputs)) in KINDS.iter().zip([
            ("filter", &["path_conditions"][..], &[][..], &[][..]),
            ("format_data_using_js_expression", &["data_formatter"], &[], &["formatted_data"]),
            (
                "salesforce_create_record",
                &["salesforce_object", "add_fields_and_their_values"],
                &["run_salesforce_assignment_rules"],
                &["record_id", "account_url"],
            ),
            (
                "salesforce_create_task",
                &["subject"],
                &["what_id", "who_id", "description", "activity_date", "task_subtype"],
                &["record_id", "account_url"],
            ),
            (
                "salesforce_lookup_record",
                &["salesforce_object", "add_fields_and_their_values", "search_operator"],
                &["exact_match"],
                &["records_found"],
            ),
            (
                "salesforce_update_record",
                &["record_id", "salesforce_object", "add_fields_and_their_values"],
                &["ignore_empty_values", "run_salesforce_assignment_rules"],
                &["record_id", "account_url"],
            ),
            (
                "salesforce_upsert_record",
                &["salesforce_object", "salesforce_external_id_field", "add_fields_and_their_values"],
                &["force_update_on_collision", "ignore_empty_values", "run_salesforce_assignment_rules"],
                &["record_id", "operation_type", "account_url"],
            ),
        ]) {
            assert_eq!(kind.name(), name);
            assert_eq!((kind.inputs(), kind.optional()), (inputs.to_vec(), optional.to_vec()), "{name}");
            assert_eq!(kind.outputs(), outputs, "{name}");
        }
    }
}
