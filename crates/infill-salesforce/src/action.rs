//! Actions of a chain on single records, as far as they are functions of values: what a plan's action asks of the account, and
//! what is sent for a row.

use std::collections::BTreeMap;

use infill_crm::{ActionPlan, Error, Refusal};
use infill_model::error::{Fault, FaultCode};
use infill_model::nearest::did_you_mean;
use infill_model::plan::{Combinator, Condition};
use infill_model::property::{PropertyDef, PropertyKind};
use infill_model::value::{is_empty, to_text};
use infill_model::{Class, Timestamp, Value};
use serde::{Deserialize, Serialize};
use serde_json::Map;

use crate::catalog::{Description, Uses, definitions};
use crate::{check, filter, normalize, soql};

/// The input that lists fields with their values.
const FIELDS: &str = "add_fields_and_their_values";
/// The input that names the object.
const OBJECT: &str = "salesforce_object";
/// The input that names the key field of an upsert.
const KEY: &str = "salesforce_external_id_field";
/// The object that tasks are.
const TASK: &str = "Task";

/// The inputs of a task with the fields they are.
const TASK_FIELDS: [(&str, &str); 6] = [
    ("what_id", "WhatId"),
    ("who_id", "WhoId"),
    ("subject", SUBJECT),
    ("description", DESCRIPTION),
    ("activity_date", "ActivityDate"),
    ("task_subtype", "TaskSubtype"),
];
const SUBJECT: &str = "Subject";
const DESCRIPTION: &str = "Description";

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Sets fields of a record known by its id.
    Update,
    /// Makes a record.
    Create,
    /// Makes a task.
    CreateTask,
    /// Makes a record or sets fields of the one whose key field has a value.
    Upsert,
    /// Finds records by values.
    Lookup,
}

impl Kind {
    /// The kind that plans call so.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "salesforce_update_record" => Self::Update,
            "salesforce_create_record" => Self::Create,
            "salesforce_create_task" => Self::CreateTask,
            "salesforce_upsert_record" => Self::Upsert,
            "salesforce_lookup_record" => Self::Lookup,
            _ => return None,
        })
    }

    /// Why a field cannot be used so, if it cannot.
    fn hindrance(self, uses: Uses, def: &PropertyDef, is_key: bool) -> Option<String> {
        let read_only =
            || def.read_only.clone().unwrap_or_else(|| "the user may not give it to a new record".to_owned());
        let may = match self {
            Self::Lookup if !uses.filterable => {
                return Some(format!("a query cannot select by a field of type {}", def.vendor_type));
            }
            Self::Lookup => true,
            Self::Update => uses.updateable,
            Self::Create | Self::CreateTask => uses.createable,
            Self::Upsert if is_key => uses.createable,
            Self::Upsert => uses.createable && uses.updateable,
        };
        (!may).then(|| format!("it cannot be written: {}", read_only()))
    }
}

/// What an action needs to know of the account; kept with the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// The object's API name.
    pub object: String,
    /// Definitions of the fields that the plan names, sorted by name.
    pub fields: Vec<PropertyDef>,
    /// Those of them that queries can select by.
    pub filterable: Vec<String>,
    /// The field that a record which was made is known again by, where the object has it.
    pub replay_key_field: Option<String>,
}

/// The object that an action of a plan is about.
#[must_use]
pub fn object_of(kind: Kind, inputs: &Map<String, Value>) -> &str {
    match kind {
        Kind::CreateTask => TASK,
        Kind::Update | Kind::Create | Kind::Upsert | Kind::Lookup => {
            inputs.get(OBJECT).and_then(Value::as_str).unwrap_or_default()
        }
    }
}

/// The path of the input that names the object.
#[must_use]
pub fn object_path() -> String {
    format!("inputs.{OBJECT}")
}

/// A field as a plan names it: its path, its name and its value, which may be a template.
struct Named<'a> {
    path: String,
    name: &'a str,
    value: &'a Value,
}

fn named(kind: Kind, inputs: &Map<String, Value>) -> Vec<Named<'_>> {
    if kind == Kind::CreateTask {
        let given = TASK_FIELDS.iter().filter_map(|(key, name)| Some((key, *name, inputs.get(*key)?)));
        return given
            .map(|(key, name, value)| Named { path: format!("inputs.{key}"), name, value })
            .collect();
    }
    let items = inputs.get(FIELDS).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    items
        .iter()
        .enumerate()
        .filter_map(|(at, item)| {
            let name = item.get("name")?.as_str()?;
            let value = item.get("value").unwrap_or(&Value::Null);
            Some(Named { path: format!("inputs.{FIELDS}[{at}]"), name, value })
        })
        .collect()
}

/// Checks an action of a plan against the fields of its object.
///
/// # Errors
/// Every fault at once; paths begin at the action.
pub fn prepare(
    kind: Kind,
    action: &ActionPlan<'_>,
    description: Description,
    replay_key_field: Option<&str>,
) -> Result<Prepared, Vec<Fault>> {
    let object = object_of(kind, action.inputs).to_owned();
    let uses: BTreeMap<String, Uses> =
        description.fields.iter().map(|field| (field.name().to_owned(), field.uses())).collect();
    let catalog = definitions(description);
    let key = action.inputs.get(KEY).and_then(Value::as_str).filter(|_| kind == Kind::Upsert);
    let mut faults = Vec::new();
    faults.extend(key.and_then(|key| key_fault(key, &object, &uses)));
    let mut prepared =
        Prepared { object, fields: Vec::new(), filterable: Vec::new(), replay_key_field: None };
    for Named { path, name, value } in named(kind, action.inputs) {
        let name_path = if kind == Kind::CreateTask { path.clone() } else { format!("{path}.name") };
        let value_path = if kind == Kind::CreateTask { path } else { format!("{path}.value") };
        let found = catalog.iter().find(|def| def.name.as_str() == name).zip(uses.get(name));
        let Some((def, uses)) = found else {
            let near = did_you_mean(name, catalog.iter().map(|def| def.name.as_str()));
            let message = format!("{} has no field \"{name}\" that this user may see{near}", prepared.object);
            faults.push(Fault::new(FaultCode::UnknownProperty, name_path, message));
            continue;
        };
        if let Some(why) = kind.hindrance(*uses, def, key == Some(name)) {
            let message = format!("field \"{name}\" ({}): {why}", def.label);
            faults.push(Fault::new(FaultCode::PropertyNotWritable, name_path, message));
            continue;
        }
        // It may be written here, whatever holds for updates.
        let def = PropertyDef { read_only: None, ..def.clone() };
        let is_literal = value.as_str().is_none_or(|text| !text.contains("{{") && !text.contains("{%"));
        if kind != Kind::Lookup
            && is_literal
            && let Err(refusal) = check::check(&def, value, &[])
        {
            faults.push(Fault::new(FaultCode::InvalidOption, value_path, refusal.message));
        }
        if uses.filterable {
            prepared.filterable.push(name.to_owned());
        }
        prepared.fields.push(def);
    }
    prepared.fields.sort_by(|a, b| a.name.cmp(&b.name));
    prepared.replay_key_field = replay_key_field
        .filter(|field| uses.get(*field).is_some_and(|uses| uses.createable && uses.filterable))
        .map(str::to_owned);
    if faults.is_empty() { Ok(prepared) } else { Err(faults) }
}

/// Why a field is no key of an upsert.
fn key_fault(key: &str, object: &str, uses: &BTreeMap<String, Uses>) -> Option<Fault> {
    if uses.get(key).is_some_and(|uses| uses.is_key) {
        return None;
    }
    let keys: Vec<&str> = uses
        .iter()
        .filter(|(name, uses)| uses.is_key && *name != "Id")
        .map(|(name, _)| name.as_str())
        .collect();
    let known = if keys.is_empty() { "none".to_owned() } else { keys.join(", ") };
    let message = format!(
        "\"{key}\" is no field of {object} that is flagged External ID (there are: {known}); without one, look the record up, \
         then create or update it, as docs/salesforce.md shows"
    );
    Some(Fault::new(FaultCode::InvalidValue, format!("inputs.{KEY}"), message))
}

/// The values of a row by field, in the plan's order.
#[must_use]
pub fn values(kind: Kind, inputs: &Map<String, Value>) -> Vec<(&str, &Value)> {
    named(kind, inputs).into_iter().map(|named| (named.name, named.value)).collect()
}

/// What is sent of a row's values, in the types that Salesforce wants.
///
/// # Errors
/// The first value that Salesforce would refuse.
pub fn body(prepared: &Prepared, values: &[(&str, &Value)]) -> Result<Map<String, Value>, Error> {
    let mut body = Map::new();
    for (name, value) in values {
        let def = definition(prepared, name)?;
        check::check(def, value, &[]).map_err(refused)?;
        body.insert((*name).to_owned(), normalize::encode(def, value));
    }
    Ok(body)
}

fn refused(refusal: Refusal) -> Error {
    let property = refusal.property.map(|name| name.as_str().to_owned());
    Error { property, ..Error::new(Class::Rejected, refusal.code, refusal.message) }
}

fn definition<'a>(prepared: &'a Prepared, name: &str) -> Result<&'a PropertyDef, Error> {
    prepared.fields.iter().find(|def| def.name.as_str() == name).ok_or_else(|| {
        let message = format!("field \"{name}\" was not there when the run was configured");
        Error::new(Class::Bug, "field_unprepared", message)
    })
}

/// The condition that records meet which have all of these values, or one of them; `is_exact` is false for text that holds a value
/// somewhere.
///
/// # Errors
/// A value that is empty: it would find what has nothing to do with the row. A value that is none of its field.
pub fn condition(
    prepared: &Prepared,
    values: &[(&str, &Value)],
    combinator: Combinator,
    is_exact: bool,
) -> Result<String, Error> {
    let mut conditions = Vec::with_capacity(values.len());
    for (name, value) in values {
        let def = definition(prepared, name)?;
        if is_empty(Some(value)) {
            let message = format!("there is no value to look for in \"{name}\"; gate the action with run_if");
            return Err(Error::new(Class::Rejected, "search_value_empty", message));
        }
        let holds_text = matches!(
            def.kind,
            PropertyKind::Text
                | PropertyKind::Html
                | PropertyKind::Email
                | PropertyKind::Phone
                | PropertyKind::Enumeration
        );
        let operator = if is_exact || !holds_text { "is" } else { "contains" };
        conditions.push(Condition {
            variable: (*name).to_owned(),
            operator: operator.to_owned(),
            values: vec![normalize::normalize(def, value)],
            combinator,
        });
    }
    filter::compile(&conditions, &prepared.fields).map_err(|error| Error { class: Class::Rejected, ..error })
}

/// How much the clocks of Salesforce and of a worker may differ: what was made since a moment may seem this much older.
const CLOCKS_DIFFER_BY: std::time::Duration = std::time::Duration::from_secs(120);

/// The moment since which something was made, by Salesforce's clock at the earliest.
#[must_use]
pub fn earliest(since: Timestamp) -> Timestamp {
    since.checked_sub(CLOCKS_DIFFER_BY).unwrap_or(since)
}

/// The query for what a creation may have made: by its key where there is a field for that, else by its values.
///
/// # Errors
/// As [`condition`].
pub fn made_query(
    prepared: &Prepared,
    values: &[(&str, &Value)],
    key: &str,
    since: Timestamp,
    most: u32,
) -> Result<String, Error> {
    let object = &prepared.object;
    if let Some(field) = &prepared.replay_key_field {
        return Ok(format!("SELECT Id FROM {object} WHERE {field} = {} LIMIT {most}", soql::text(key)));
    }
    let known: Vec<(&str, &Value)> = values
        .iter()
        // The description of a task is not as it was given: it has the mark.
        .filter(|(name, value)| {
            let is_as_given = object != TASK || *name != DESCRIPTION;
            is_as_given
                && !is_empty(Some(value))
                && prepared.filterable.iter().any(|filterable| filterable == name)
        })
        .copied()
        .collect();
    let since = normalize::moment_text(earliest(since));
    let same = if known.is_empty() {
        String::new()
    } else {
        format!("({}) AND ", condition(prepared, &known, Combinator::And, true)?)
    };
    let text = if object == TASK { ", Description" } else { "" };
    Ok(format!("SELECT Id{text} FROM {object} WHERE {same}CreatedDate >= {since} ORDER BY Id LIMIT {most}"))
}

/// The last line of the description of a task, by which it is known again.
#[must_use]
pub fn marker(key: &str) -> String {
    format!("[infill {key}]")
}

/// Adds to the body of a creation what it is known again by.
pub fn mark(prepared: &Prepared, body: &mut Map<String, Value>, key: &str) {
    if let Some(field) = &prepared.replay_key_field {
        body.insert(field.clone(), Value::String(key.to_owned()));
    } else if prepared.object == TASK {
        let text = body.get(DESCRIPTION).map(to_text).filter(|text| !text.is_empty());
        let marked = text.map_or_else(|| marker(key), |text| format!("{text}\n\n{}", marker(key)));
        body.insert(DESCRIPTION.to_owned(), Value::String(marked));
    }
}

/// Whether records that were made are known by a mark of their own, and not by their values alone.
#[must_use]
pub fn is_marked(prepared: &Prepared) -> bool {
    prepared.replay_key_field.is_some() || prepared.object == TASK
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn prepared(object: &str, replay_key_field: Option<&str>) -> Prepared {
        let field = |name: &str, vendor_type: &str, kind| PropertyDef {
            name: name.into(),
            label: name.to_owned(),
            kind,
            vendor_type: vendor_type.to_owned(),
            read_only: None,
            options: Vec::new(),
            external_options: false,
            options_by: None,
        };
        Prepared {
            object: object.to_owned(),
            fields: vec![
                field("ActivityDate", "date", PropertyKind::Date),
                field(DESCRIPTION, "textarea(32000)", PropertyKind::Text),
                field("Email", "email(80)", PropertyKind::Email),
                field(SUBJECT, "string(255)", PropertyKind::Text),
            ],
            filterable: vec!["ActivityDate".to_owned(), "Email".to_owned(), SUBJECT.to_owned()],
            replay_key_field: replay_key_field.map(str::to_owned),
        }
    }

    #[test]
    fn what_is_made_is_known_by_a_field_or_by_its_last_line() {
        for (object, field, expected) in [
            ("Contact", Some("Key__c"), json!({"Description": "Ask.", "Key__c": "r/1/a"})),
            (TASK, Some("Key__c"), json!({"Description": "Ask.", "Key__c": "r/1/a"})),
            (TASK, None, json!({"Description": "Ask.\n\n[infill r/1/a]"})),
            ("Contact", None, json!({"Description": "Ask."})),
        ] {
            let mut body = Map::from_iter([(DESCRIPTION.to_owned(), json!("Ask."))]);
            mark(&prepared(object, field), &mut body, "r/1/a");
            assert_eq!(Value::Object(body), expected, "{object}");
        }
        let mut empty = Map::new();
        mark(&prepared(TASK, None), &mut empty, "r/1/a");
        assert_eq!(json!(empty), json!({"Description": "[infill r/1/a]"}));
    }

    #[test]
    fn what_may_have_been_made_is_looked_for_by_its_key_or_by_its_values() {
        let values = [
            (SUBJECT, &json!("O'Neil")),
            (DESCRIPTION, &json!("Ask.")),
            ("Email", &json!(null)),
            ("ActivityDate", &json!("2026-12-01")),
        ];
        let since = Timestamp::from_second(1_800_000_000).unwrap();
        let query = |object, field| made_query(&prepared(object, field), &values, "r/1/a", since, 5).unwrap();
        assert_eq!(query("Contact", Some("Key__c")), "SELECT Id FROM Contact WHERE Key__c = 'r/1/a' LIMIT 5");
        assert_eq!(
            query(TASK, None),
            "SELECT Id, Description FROM Task WHERE ((Subject = 'O\\'Neil') AND ActivityDate = 2026-12-01) AND \
             CreatedDate >= 2027-01-15T07:58:00Z ORDER BY Id LIMIT 5"
        );
    }

    #[test]
    fn text_is_looked_for_anywhere_unless_exactly() {
        let prepared = prepared("Contact", None);
        let (subject, date) = (json!("50%"), json!("2026-12-01"));
        let values = [(SUBJECT, &subject), ("ActivityDate", &date)];
        let condition = |is_exact| condition(&prepared, &values, Combinator::Or, is_exact).unwrap();
        assert_eq!(condition(false), "((Subject LIKE '%50\\%%')) OR ActivityDate = 2026-12-01");
        assert_eq!(condition(true), "(Subject = '50%') OR ActivityDate = 2026-12-01");
    }
}
