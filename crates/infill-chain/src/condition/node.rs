//! Conditions out of the loosely typed `inputs` of a filter, with a fault for each thing that is not one.

use infill_model::error::{Fault, FaultCode};
use infill_model::nearest::did_you_mean;
use infill_model::plan::{Combinator, Condition, ConditionGroup, ConditionNode};
use infill_model::value::Value;
use serde_json::Map;

const LEAF_KEYS: [&str; 4] = ["variable", "operator", "values", "combinator"];
const GROUP_KEYS: [&str; 2] = ["conditions", "combinator"];

/// Reads a list of conditions and groups found at `path`.
pub(crate) fn read_nodes(value: &Value, path: &str, faults: &mut Vec<Fault>) -> Vec<ConditionNode> {
    let Value::Array(items) = value else {
        let message =
            "a list of conditions is wanted: [{ variable: \"{{input.phone}}\", operator: is not empty }]";
        faults.push(Fault::new(FaultCode::InvalidValue, path, message));
        return Vec::new();
    };
    if items.is_empty() {
        faults.push(no_conditions(path));
    }
    let mut nodes = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        let path = format!("{path}[{at}]");
        let Value::Object(fields) = item else {
            let message = "a condition has the keys `variable`, `operator` and `values`";
            faults.push(Fault::new(FaultCode::InvalidValue, path, message));
            continue;
        };
        if fields.contains_key("conditions") {
            check_keys(fields, &GROUP_KEYS, &path, faults);
            let inner = fields.get("conditions").unwrap_or(&Value::Null);
            let conditions = read_nodes(inner, &format!("{path}.conditions"), faults);
            let combinator = read_combinator(fields, &path, faults);
            nodes.push(ConditionNode::Group(ConditionGroup { conditions, combinator }));
        } else {
            nodes.extend(read_leaf(fields, &path, faults).map(ConditionNode::Leaf));
        }
    }
    nodes
}

/// Adds a fault for each list of conditions that is empty, as [`read_nodes`] does.
pub(crate) fn check_not_empty(nodes: &[ConditionNode], path: &str, faults: &mut Vec<Fault>) {
    if nodes.is_empty() {
        faults.push(no_conditions(path));
    }
    for (at, node) in nodes.iter().enumerate() {
        if let ConditionNode::Group(group) = node {
            check_not_empty(&group.conditions, &format!("{path}[{at}].conditions"), faults);
        }
    }
}

fn no_conditions(path: &str) -> Fault {
    let message = "there are no conditions; without any, every row passes, so leave it out";
    Fault::new(FaultCode::InvalidValue, path, message)
}

fn read_leaf(fields: &Map<String, Value>, path: &str, faults: &mut Vec<Fault>) -> Option<Condition> {
    check_keys(fields, &LEAF_KEYS, path, faults);
    let variable = read_text(fields, "variable", path, faults);
    let operator = read_text(fields, "operator", path, faults);
    let values = match fields.get("values") {
        None => Vec::new(),
        Some(Value::Array(values)) => values.clone(),
        Some(other) => {
            let message = format!("values are a list, even of one: values: [{other}]");
            faults.push(Fault::new(FaultCode::InvalidValue, format!("{path}.values"), message));
            return None;
        }
    };
    let combinator = read_combinator(fields, path, faults);
    Some(Condition { variable: variable?, operator: operator?, values, combinator })
}

fn read_text(fields: &Map<String, Value>, key: &str, path: &str, faults: &mut Vec<Fault>) -> Option<String> {
    match fields.get(key) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(other) => {
            let message = format!("`{key}` is text, not {other}; put it in quotes");
            faults.push(Fault::new(FaultCode::InvalidValue, format!("{path}.{key}"), message));
            None
        }
        None => {
            faults.push(Fault::new(
                FaultCode::MissingKey,
                path,
                format!("a condition needs the key `{key}`"),
            ));
            None
        }
    }
}

fn read_combinator(fields: &Map<String, Value>, path: &str, faults: &mut Vec<Fault>) -> Combinator {
    match fields.get("combinator") {
        None => Combinator::default(),
        Some(Value::String(word)) if word == "AND" => Combinator::And,
        Some(Value::String(word)) if word == "OR" => Combinator::Or,
        Some(other) => {
            let message = format!("a combinator is AND or OR, not {other}");
            faults.push(Fault::new(FaultCode::InvalidValue, format!("{path}.combinator"), message));
            Combinator::default()
        }
    }
}

fn check_keys(fields: &Map<String, Value>, known: &[&str], path: &str, faults: &mut Vec<Fault>) {
    for key in fields.keys().filter(|key| !known.contains(&key.as_str())) {
        let near = did_you_mean(key, known.iter().copied());
        let message = format!("a condition has no key `{key}`{near}");
        faults.push(Fault::new(FaultCode::UnknownKey, format!("{path}.{key}"), message));
    }
}
