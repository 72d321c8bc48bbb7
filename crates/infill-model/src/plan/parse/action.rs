//! A writeback written as an action: what it says of the row's own record, as properties.

use std::collections::HashSet;

use super::super::{ACTION_FIELDS, PropertyWrite, When, Writeback};
use crate::document::{At, Kind};
use crate::error::{Fault, FaultCode};
use crate::id::ObjectType;
use crate::nearest::did_you_mean;
use crate::value::Value;

/// The actions that can be a writeback.
const UPDATES: [&str; 1] = ["salesforce_update_record"];

/// Actions that may create a record, which no writeback does.
const CREATES: [&str; 3] = ["salesforce_create_record", "salesforce_create_task", "salesforce_upsert_record"];

/// The inputs of an update that a writeback takes; the record is the row's, and its object the slice's.
const KEYS: &[&str] = &[ACTION_FIELDS, "ignore_empty_values", "record_id", OBJECT, ASSIGNMENT];

/// The input that names the object.
const OBJECT: &str = "salesforce_object";

const ASSIGNMENT: &str = "run_salesforce_assignment_rules";

/// The row's own record, as a reference.
const OWN_RECORD: &str = "{{input.Id}}";

/// The action's name.
pub(super) fn kind(at: &At<'_>, faults: &mut Vec<Fault>) -> Option<String> {
    let name = at.name(faults)?;
    if UPDATES.contains(&name) {
        return Some(name.to_owned());
    }
    let message = if CREATES.contains(&name) {
        format!(
            "{name} can create a record, and a writeback updates the row's own; write salesforce_update_record, or put \
             {name} into the chain"
        )
    } else {
        format!("\"{name}\" is no action that writes to the row's record{}", did_you_mean(name, UPDATES))
    };
    faults.push(at.fault(FaultCode::UnknownAction, message));
    None
}

/// The properties that an update's inputs name.
pub(super) fn properties(at: &At<'_>, faults: &mut Vec<Fault>) -> Option<Vec<PropertyWrite>> {
    let n_before = faults.len();
    let fields = at.fields(KEYS, faults)?;
    if let Some(at) = fields.get("record_id")
        && !matches!(&at.node().kind, Kind::Text(text) if text.replace(' ', "") == OWN_RECORD)
    {
        let message = format!(
            "a writeback updates the row's own record: leave record_id out, or write \"{OWN_RECORD}\""
        );
        faults.push(at.fault(FaultCode::InvalidValue, message));
    }
    if let Some(at) = fields.get(ASSIGNMENT) {
        let message = format!(
            "whether a writeback runs assignment rules is the connection's `auto_assign`; leave {ASSIGNMENT} out"
        );
        faults.push(at.fault(FaultCode::Unsupported, message));
    }
    let ignore_empty = fields.get("ignore_empty_values").map_or(Some(true), |at| at.flag(faults));
    let items = fields.require(ACTION_FIELDS, faults)?.items(faults)?;
    if items.is_empty() {
        faults.push(at.fault(FaultCode::InvalidValue, "writes nothing; name at least one field"));
    }
    let mut seen = HashSet::new();
    let mut properties = Vec::with_capacity(items.len());
    for item in &items {
        let Some(fields) = item.fields(&["name", "value"], faults) else { continue };
        let name = fields.require("name", faults).and_then(|at| at.name(faults));
        let value = fields.require("value", faults).and_then(|at| at.text(faults));
        let (Some(name), Some(value), Some(ignore_empty)) = (name, value, ignore_empty) else { continue };
        if !seen.insert(name) {
            faults
                .push(item.fault(FaultCode::Duplicate, format!("field \"{name}\" is named twice; keep one")));
        }
        let (name, value) = (name.into(), value.to_owned());
        properties.push(PropertyWrite { name, value, when: When::default(), ignore_empty, if_changed: None });
    }
    (faults.len() == n_before).then_some(properties)
}

/// Fills in the object of a writeback written as an action, which is that of the plan's records.
pub(super) fn of_object(
    at: &At<'_>,
    writeback: &mut Writeback,
    object: &ObjectType,
    faults: &mut Vec<Fault>,
) {
    if writeback.action.is_none() {
        return;
    }
    let own = Value::from(object.as_str());
    let given = writeback.inputs.entry(OBJECT).or_insert_with(|| own.clone());
    if *given != own {
        let message = format!(
            "{OBJECT}: the plan's records are of {object}, and the writeback is to them; leave it out"
        );
        faults.push(at.fault(FaultCode::InvalidValue, message));
    }
}
