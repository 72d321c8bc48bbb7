//! Reading a plan file: strictly, with every fault at once, each with its line, column and the nearest valid name.
//!
//! What a plan says of its chain (references, scripts, operators, kinds of action) is the chain crate's to check; it
//! answers with faults that have a path, and [`locate`] finds their place in the file.

mod action;
mod schedule;

use std::collections::HashSet;

use serde_json::Map;

use super::{
    Action, Approve, Combinator, Condition, ConditionGroup, ConditionNode, DEFAULT_CANARY,
    DEFAULT_GUARD_OLDER_THAN_SECONDS, IfChanged, Most, Only, Plan, PropertyWrite, RunIf, Source, Verify,
    When, Writeback,
};
use crate::document::{self, At, Format, Kind, Node, Place};
use crate::error::{Fault, FaultCode};
use crate::id::PropertyName;
use crate::nearest::nearest;
use crate::slice::{Ids, IdsColumn};
use crate::value::Value;

/// Rows a canary may have: beyond this it is no longer a small first step.
pub const MAX_CANARY: u32 = 1000;

/// Records a sample may have: its ids travel with the listing until the slice is seen to its end.
pub const MAX_SAMPLE: u64 = 10_000;

const PLAN_KEYS: &[&str] = &[
    "name",
    "connection",
    "source",
    "inputs",
    "chain",
    "writeback",
    "verify",
    "canary",
    "max_failed",
    "max_changed",
    "approve",
];
const SOURCE_KEYS: &[&str] =
    &["object", "list", "filter", "view", "query", "ids", "max_count", "sample", "only", "schedule"];
const IDS_KEYS: &[&str] = &["file", "column"];
const SELECTION_KEYS: [&str; 5] = ["list", "filter", "view", "query", "ids"];
const ACTION_KEYS: &[&str] = &["id", "action", "inputs", "run_if", "continue_workflow_if_action_fails"];
const RUN_IF_KEYS: &[&str] = &["conditions", "continue_workflow_if_run_condition_not_met"];
const GROUP_KEYS: &[&str] = &["conditions", "combinator"];
const CONDITION_KEYS: &[&str] = &["variable", "operator", "values", "combinator"];
const WRITEBACK_KEYS: &[&str] = &["properties", "action", "inputs", "if_changed", "guard_older_than"];
const PROPERTY_KEYS: &[&str] = &["name", "value", "when", "ignore_empty", "if_changed"];

/// The word that references to inputs begin with, which no action can therefore have as its id.
const INPUT_WORD: &str = "input";

/// Reads a plan. `file` tells the format: JSON when it ends in `.json`, else YAML.
///
/// # Errors
/// Every fault found, in the order of the file; at least one.
pub fn parse(text: &str, file: &str) -> Result<Plan, Vec<Fault>> {
    let root = document::parse(text, Format::of_file(file)).map_err(|fault| vec![fault])?;
    let mut faults = Vec::new();
    match plan(&At::root(&root), &mut faults) {
        Some(plan) if faults.is_empty() => Ok(plan),
        Some(_) | None => {
            faults.sort_by_key(|fault| (fault.line, fault.column));
            Err(faults)
        }
    }
}

/// Fills in line and column of faults that have only a path.
///
/// A position that the chain's compiler found within a script becomes one in the file. A text that cannot be read changes
/// nothing.
pub fn locate(text: &str, faults: &mut [Fault]) {
    let Ok(root) = document::parse(text, Format::Yaml) else { return };
    for fault in faults {
        let node = root.nearest(&fault.path);
        let place = match (fault.code, fault.line) {
            (FaultCode::ScriptSyntax | FaultCode::UnknownReference | FaultCode::Cycle, Some(line)) => {
                place_in_script(text, node, line, fault.column.unwrap_or(1)).or(node.place)
            }
            (_, Some(_)) => continue,
            (_, None) => node.place,
        };
        fault.line = place.map(|place| place.line);
        fault.column = place.map(|place| place.column);
    }
}

/// Where a position within a script stands in the file: known wherever the script's line stands in the file as it
/// is, which is so in a block (`|`) and in quotes without escapes.
fn place_in_script(text: &str, node: &Node, line: u32, column: u32) -> Option<Place> {
    let (Kind::Text(script), Some(start)) = (&node.kind, node.place) else { return None };
    let line_idx = line.checked_sub(1)?;
    let in_script = script.lines().nth(usize::try_from(line_idx).ok()?)?;
    let in_file =
        text.lines().nth(usize::try_from(start.line.checked_sub(1)?.checked_add(line_idx)?).ok()?)?;
    // On the first line the key stands before the script, and may look like it.
    let key_chars = if line_idx == 0 { start.column.checked_sub(1)? } else { 0 };
    let script_part: String = in_file.chars().skip(usize::try_from(key_chars).ok()?).collect();
    let (indent, _) = script_part.split_once(in_script)?;
    let column = u32::try_from(indent.chars().count()).ok()?.checked_add(key_chars)?.checked_add(column)?;
    Some(Place { line: start.line.checked_add(line_idx)?, column })
}

/// The JSON Schema of a plan, for editors and for checks elsewhere.
#[must_use]
pub fn schema() -> Value {
    schemars::schema_for!(Plan).to_value()
}

fn plan(at: &At<'_>, faults: &mut Vec<Fault>) -> Option<Plan> {
    if matches!(at.node().kind, Kind::Null) {
        faults.push(at.fault(FaultCode::Syntax, "the plan is empty; `infill demo` writes one to start from"));
        return None;
    }
    let fields = at.fields(PLAN_KEYS, faults)?;
    let name = fields.require("name", faults).and_then(|at| at.name(faults));
    let connection = fields.require("connection", faults).and_then(|at| at.name(faults));
    let source = fields.require("source", faults).and_then(|at| source(&at, faults));
    let inputs = fields.get("inputs").map_or_else(|| Some(Vec::new()), |at| inputs(&at, faults));
    let chain = fields.get("chain").map_or_else(|| Some(Vec::new()), |at| chain(&at, faults));
    let mut writeback = fields.require("writeback", faults).and_then(|at| writeback(&at, faults));
    if let (Some(at), Some(writeback), Some(source)) = (fields.get("writeback"), &mut writeback, &source) {
        action::of_object(&at, writeback, &source.object, faults);
    }
    let verify = fields.get("verify").map_or(Some(Verify::default()), |at| verify(&at, faults));
    let canary = fields.get("canary").map_or(Some(DEFAULT_CANARY), |at| whole_u32(&at, MAX_CANARY, faults));
    let max_failed = optional(fields.get("max_failed").map(|at| most(&at, faults)));
    let max_changed = optional(fields.get("max_changed").map(|at| most(&at, faults)));
    let approve = fields.get("approve").map_or(Some(Approve::default()), |at| {
        at.word(&[("automatic", Approve::Automatic), ("manual", Approve::Manual)], faults)
    });
    let takes_changed = source.as_ref().is_some_and(|source| source.only == Some(Only::Changed));
    if takes_changed
        && inputs.as_ref().is_some_and(Vec::is_empty)
        && let Some(at) = fields.get("source")
    {
        faults.push(at.fault(
            FaultCode::MissingKey,
            "only: changed compares inputs, and the plan has none; name the properties that count under inputs",
        ));
    }
    Some(Plan {
        name: name?.to_owned(),
        connection: connection?.into(),
        source: source?,
        inputs: inputs?,
        chain: chain?,
        writeback: writeback?,
        verify: verify?,
        canary: canary?,
        max_failed: max_failed?,
        max_changed: max_changed?,
        approve: approve?,
    })
}

fn source(at: &At<'_>, faults: &mut Vec<Fault>) -> Option<Source> {
    let fields = at.fields(SOURCE_KEYS, faults)?;
    let object = fields.require("object", faults).and_then(|at| at.name(faults));

    let given: Vec<&str> = SELECTION_KEYS.into_iter().filter(|key| fields.get(key).is_some()).collect();
    let is_misspelt = given.is_empty() && SELECTION_KEYS.iter().any(|key| fields.is_misspelt(key));
    if given.len() != 1 && !is_misspelt {
        let found = if given.is_empty() { "none".to_owned() } else { given.join(" and ") };
        faults.push(at.fault(
            if given.is_empty() { FaultCode::MissingKey } else { FaultCode::Duplicate },
            format!("needs exactly one of {}; found {found}", SELECTION_KEYS.join(", ")),
        ));
    }
    let list = fields.get("list").map(|at| list_id(&at, faults));
    let filter = fields.get("filter").map(|at| filter(&at, faults));
    let view = fields.get("view").map(|at| at.name(faults));
    let query = fields.get("query").map(|at| at.name(faults));
    let ids = fields.get("ids").map(|at| ids(&at, faults));
    let max_count = fields.get("max_count").map(|at| at.integer(1..=u64::MAX, faults));
    let sample = fields.get("sample").map(|at| at.integer(1..=MAX_SAMPLE, faults));
    let only =
        fields.get("only").map(|at| at.word(&[("new", Only::New), ("changed", Only::Changed)], faults));
    let schedule = fields.get("schedule").map(|at| {
        if ids.is_some() {
            faults.push(at.fault(
                FaultCode::Unsupported,
                "a file of record ids is read by `infill run`, not by a schedule; leave schedule out and start the \
                 plan from cron",
            ));
        }
        schedule::schedule(&at, faults)
    });
    Some(Source {
        object: object?.into(),
        list: optional(list)?.map(Into::into),
        filter: optional(filter)?,
        view: optional(view)?.map(Into::into),
        query: optional(query)?.map(Into::into),
        ids: optional(ids)?,
        max_count: optional(max_count)?,
        sample: optional(sample)?,
        undoes: None,
        retries: false,
        only: optional(only)?,
        schedule: optional(schedule)?,
    })
}

/// A list's id or name. Ids are numbers in the CRMs that people know, so a bare number is what it looks like.
fn list_id(at: &At<'_>, faults: &mut Vec<Fault>) -> Option<String> {
    if let Kind::Number(number) = &at.node().kind
        && number.is_u64()
    {
        return Some(number.to_string());
    }
    at.name(faults).map(ToOwned::to_owned)
}

/// A file of ids: its name, or a mapping that names its id column too.
fn ids(at: &At<'_>, faults: &mut Vec<Fault>) -> Option<Ids> {
    if !matches!(at.node().kind, Kind::Map(_)) {
        return at.name(faults).map(|file| Ids::File(file.to_owned()));
    }
    let fields = at.fields(IDS_KEYS, faults)?;
    let file = fields.require("file", faults).and_then(|at| at.name(faults));
    let column = fields.get("column").map(|at| at.name(faults));
    let file = file?.to_owned();
    Some(match optional(column)? {
        None => Ids::File(file),
        Some(column) => Ids::Column(IdsColumn { file, column: column.to_owned() }),
    })
}

fn filter(at: &At<'_>, faults: &mut Vec<Fault>) -> Option<Vec<Condition>> {
    let items = at.items(faults)?;
    if items.is_empty() {
        faults.push(at.fault(
            FaultCode::InvalidValue,
            "has no condition and would select every record; give at least one",
        ));
        return None;
    }
    all(items, |at| condition(at, faults))
}

fn inputs(at: &At<'_>, faults: &mut Vec<Fault>) -> Option<Vec<PropertyName>> {
    let mut seen = HashSet::new();
    all(at.items(faults)?, |at| {
        let name = at.name(faults)?;
        if !seen.insert(name) {
            faults
                .push(at.fault(FaultCode::Duplicate, format!("input \"{name}\" is listed twice; keep one")));
        }
        Some(name.into())
    })
}

fn chain(at: &At<'_>, faults: &mut Vec<Fault>) -> Option<Vec<Action>> {
    let mut seen = HashSet::new();
    all(at.items(faults)?, |at| {
        let action = action(at, faults)?;
        if !seen.insert(action.id.clone()) {
            let message = format!("action id \"{}\" is used twice; ids are unique in a chain", action.id);
            faults.push(at.fault(FaultCode::Duplicate, message));
        }
        Some(action)
    })
}

fn action(at: &At<'_>, faults: &mut Vec<Fault>) -> Option<Action> {
    let fields = at.fields(ACTION_KEYS, faults)?;
    let id = fields.require("id", faults).and_then(|at| action_id(&at, faults));
    let kind = fields.require("action", faults).and_then(|at| at.name(faults));
    let inputs = fields.get("inputs").map_or_else(
        || Some(Map::new()),
        |at| {
            let entries = at.entries(faults)?;
            Some(entries.into_iter().map(|(key, at)| (key.to_owned(), at.node().to_value())).collect())
        },
    );
    let run_if = fields.get("run_if").map(|at| run_if(&at, faults));
    let goes_on = fields.get("continue_workflow_if_action_fails").map_or(Some(false), |at| at.flag(faults));
    Some(Action {
        id: id?.into(),
        action: kind?.to_owned(),
        inputs: inputs?,
        run_if: optional(run_if)?,
        continue_workflow_if_action_fails: goes_on?,
    })
}

/// An id that a reference `{{id.output}}` can hold.
fn action_id<'a>(at: &At<'a>, faults: &mut Vec<Fault>) -> Option<&'a str> {
    let id = at.name(faults)?;
    let is_referable = id.chars().all(|each| each.is_ascii_alphanumeric() || each == '_' || each == '-');
    if !is_referable {
        faults.push(at.fault(
            FaultCode::InvalidValue,
            format!("\"{id}\" cannot stand in a reference {{{{id.output}}}}; use letters, digits, _ and -"),
        ));
        return None;
    }
    if id == INPUT_WORD {
        faults.push(at.fault(
            FaultCode::InvalidValue,
            "\"input\" is what {{input.name}} refers to; give the action another id",
        ));
        return None;
    }
    Some(id)
}

fn run_if(at: &At<'_>, faults: &mut Vec<Fault>) -> Option<RunIf> {
    let fields = at.fields(RUN_IF_KEYS, faults)?;
    let conditions = fields.require("conditions", faults).and_then(|at| condition_nodes(&at, faults));
    let goes_on =
        fields.get("continue_workflow_if_run_condition_not_met").map_or(Some(false), |at| at.flag(faults));
    Some(RunIf { conditions: conditions?, continue_workflow_if_run_condition_not_met: goes_on? })
}

fn condition_nodes(at: &At<'_>, faults: &mut Vec<Fault>) -> Option<Vec<ConditionNode>> {
    let items = at.items(faults)?;
    if items.is_empty() {
        faults.push(at.fault(FaultCode::InvalidValue, "has no condition; give at least one"));
        return None;
    }
    all(items, |at| condition_node(at, faults))
}

/// Whether it is a group of conditions rather than one, also when `conditions` is misspelt.
fn is_group(at: &At<'_>) -> bool {
    let known = || GROUP_KEYS.iter().chain(CONDITION_KEYS).copied();
    let is_single = at.has("variable") || at.has("operator");
    at.has("conditions")
        || !is_single && at.keys().any(|key| nearest(key, known()).first() == Some(&"conditions"))
}

fn condition_node(at: &At<'_>, faults: &mut Vec<Fault>) -> Option<ConditionNode> {
    if !is_group(at) {
        return condition(at, faults).map(ConditionNode::Leaf);
    }
    let fields = at.fields(GROUP_KEYS, faults)?;
    let conditions = fields.require("conditions", faults).and_then(|at| condition_nodes(&at, faults));
    let combinator = fields.get("combinator").map_or(Some(Combinator::And), |at| combinator(&at, faults));
    Some(ConditionNode::Group(ConditionGroup { conditions: conditions?, combinator: combinator? }))
}

fn condition(at: &At<'_>, faults: &mut Vec<Fault>) -> Option<Condition> {
    let fields = at.fields(CONDITION_KEYS, faults)?;
    let variable = fields.require("variable", faults).and_then(|at| at.name(faults));
    let operator = fields.require("operator", faults).and_then(|at| at.name(faults));
    let values = fields.get("values").map_or_else(
        || Some(Vec::new()),
        |at| Some(at.items(faults)?.into_iter().map(|at| at.node().to_value()).collect()),
    );
    let combinator = fields.get("combinator").map_or(Some(Combinator::And), |at| combinator(&at, faults));
    Some(Condition {
        variable: variable?.to_owned(),
        operator: operator?.to_owned(),
        values: values?,
        combinator: combinator?,
    })
}

fn combinator(at: &At<'_>, faults: &mut Vec<Fault>) -> Option<Combinator> {
    at.word(&[("AND", Combinator::And), ("OR", Combinator::Or)], faults)
}

fn writeback(at: &At<'_>, faults: &mut Vec<Fault>) -> Option<Writeback> {
    let fields = at.fields(WRITEBACK_KEYS, faults)?;
    let (action, inputs, properties) = match fields.get("action") {
        None => {
            if let Some(at) = fields.get("inputs") {
                faults
                    .push(at.fault(FaultCode::UnknownKey, "inputs are an action's; name it under `action`"));
            }
            let properties = fields.require("properties", faults).and_then(|at| properties(&at, faults));
            (Some(None), Map::new(), properties)
        }
        Some(action) => {
            if let Some(at) = fields.get("properties") {
                let message = "an action's properties are in its inputs; leave out one of the two";
                faults.push(at.fault(FaultCode::Duplicate, message));
            }
            let inputs = fields.require("inputs", faults);
            let (inputs, properties) = match inputs {
                None => (Map::new(), None),
                Some(at) => (
                    at.node().to_value().as_object().cloned().unwrap_or_default(),
                    action::properties(&at, faults),
                ),
            };
            (action::kind(&action, faults).map(Some), inputs, properties)
        }
    };
    let if_changed =
        fields.get("if_changed").map_or(Some(IfChanged::default()), |at| if_changed(&at, faults));
    let guard_older_than = fields
        .get("guard_older_than")
        .map_or(Some(DEFAULT_GUARD_OLDER_THAN_SECONDS), |at| whole_u32(&at, u32::MAX, faults));
    Some(Writeback {
        properties: properties?,
        action: action?,
        inputs,
        if_changed: if_changed?,
        guard_older_than: guard_older_than?,
    })
}

fn properties(at: &At<'_>, faults: &mut Vec<Fault>) -> Option<Vec<PropertyWrite>> {
    let items = at.items(faults)?;
    if items.is_empty() {
        faults.push(at.fault(FaultCode::InvalidValue, "writes nothing; name at least one property"));
        return None;
    }
    let mut seen = HashSet::new();
    all(items, |at| {
        let property = property(at, faults)?;
        if !seen.insert(property.name.clone()) {
            let message = format!("property \"{}\" is written twice; keep one", property.name);
            faults.push(at.fault(FaultCode::Duplicate, message));
        }
        Some(property)
    })
}

fn property(at: &At<'_>, faults: &mut Vec<Fault>) -> Option<PropertyWrite> {
    let fields = at.fields(PROPERTY_KEYS, faults)?;
    let name = fields.require("name", faults).and_then(|at| at.name(faults));
    let value = fields.require("value", faults).and_then(|at| at.text(faults));
    let when = fields.get("when").map_or(Some(When::default()), |at| {
        at.word(
            &[("always", When::Always), ("if_empty", When::IfEmpty), ("if_different", When::IfDifferent)],
            faults,
        )
    });
    let ignore_empty = fields.get("ignore_empty").map_or(Some(false), |at| at.flag(faults));
    let if_changed = fields.get("if_changed").map(|at| if_changed(&at, faults));
    Some(PropertyWrite {
        name: name?.into(),
        value: value?.to_owned(),
        when: when?,
        ignore_empty: ignore_empty?,
        if_changed: optional(if_changed)?,
    })
}

fn if_changed(at: &At<'_>, faults: &mut Vec<Fault>) -> Option<IfChanged> {
    at.word(&[("hold", IfChanged::Hold), ("overwrite", IfChanged::Overwrite)], faults)
}

fn verify(at: &At<'_>, faults: &mut Vec<Fault>) -> Option<Verify> {
    match &at.node().kind {
        Kind::Map(_) => {
            let fields = at.fields(&["sample"], faults)?;
            let rows = fields.require("sample", faults)?.integer(1..=u64::MAX, faults)?;
            Some(Verify::Sample(rows))
        }
        Kind::Text(word) if word == "sample" => {
            faults.push(at.fault(FaultCode::InvalidValue, "sample needs a number of rows: {sample: 100}"));
            None
        }
        Kind::Text(word) if word == "all" => Some(Verify::All),
        Kind::Text(word) if word == "none" => Some(Verify::None),
        Kind::Text(_) | Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::List(_) => {
            let found = at.node().describe();
            let message = format!("expected all, none, or {{sample: 100}}, found {found}");
            faults.push(at.fault(FaultCode::InvalidValue, message));
            None
        }
    }
}

fn most(at: &At<'_>, faults: &mut Vec<Fault>) -> Option<Most> {
    if let Kind::Number(_) = &at.node().kind {
        return at.integer(0..=u64::MAX, faults).map(Most::Rows);
    }
    let share = if let Kind::Text(text) = &at.node().kind { Most::share(text) } else { None };
    if share.is_none() {
        let found = at.node().describe();
        let message = format!("expected a number of rows, or a share from 1% to 99%, found {found}");
        faults.push(at.fault(FaultCode::InvalidValue, message));
    }
    share
}

fn whole_u32(at: &At<'_>, most: u32, faults: &mut Vec<Fault>) -> Option<u32> {
    at.integer(0..=u64::from(most), faults).and_then(|number| u32::try_from(number).ok())
}

/// A key that may be left out: left out is a value to go on with, given and faulty is not.
fn optional<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        None => Some(None),
        Some(None) => None,
        Some(Some(value)) => Some(Some(value)),
    }
}

/// Reads every item, also after one that is faulty, so that all are reported.
fn all<'a, T>(items: Vec<At<'a>>, mut read: impl FnMut(&At<'a>) -> Option<T>) -> Option<Vec<T>> {
    let read: Vec<Option<T>> = items.iter().map(&mut read).collect();
    read.into_iter().collect()
}

#[cfg(test)]
mod tests;
