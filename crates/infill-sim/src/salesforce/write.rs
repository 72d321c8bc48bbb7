//! Saving rows: what every way of writing has in common, from one record to a bulk job.

use std::collections::HashMap;

use serde_json::Value;

use super::answer::Refusal;
use super::board::{Board, Struck};
use super::catalog::{FieldId, Kind};
use super::check::{check_fields, check_rules};
use super::commit::commit;
use super::config::TypeErrors;
use super::fault::FaultKind;
use super::id;
use super::org::Org;
use super::route::Operation;
use super::store::{Found, Store, Table};
use super::value::{Given, Invalid, RowError, Stored, read};

/// A row as a client gave it.
#[derive(Debug, Clone)]
pub(crate) struct Row<'a> {
    pub(crate) object: String,
    pub(crate) id: Option<String>,
    /// Fields by the name the client used; `null` clears.
    pub(crate) fields: Vec<(String, Given<'a>)>,
}

/// What is to be done with rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verb {
    Insert,
    Update,
    /// Inserts or updates by the value of a key field; `update_only` never inserts.
    Upsert {
        key: String,
        update_only: bool,
    },
    Delete,
}

/// How rows are to be saved.
#[derive(Debug)]
pub(crate) struct Save<'a> {
    pub(crate) org: &'a Org,
    pub(crate) board: &'a Board,
    pub(crate) operation: Operation,
    pub(crate) verb: Verb,
    pub(crate) all_or_none: bool,
    /// Whether assignment rules run.
    pub(crate) assigns: bool,
    /// Whether duplicate rules that only alert are passed over.
    pub(crate) allows_duplicates: bool,
    pub(crate) now_ms: i64,
    /// The number of the call, which holds the locks.
    pub(crate) nth: u64,
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Saved {
    pub(crate) id: Option<String>,
    pub(crate) created: bool,
    pub(crate) errors: Vec<RowError>,
}

impl Saved {
    pub(crate) fn is_success(&self) -> bool {
        self.errors.is_empty()
    }
}

/// A field and the value it is to hold.
pub(crate) type Change = (FieldId, Option<Stored>);
/// What a row wants changed, or why it cannot be.
type Typed = Result<Vec<Change>, Vec<RowError>>;

/// What is to happen to one row.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The record to change; `None` makes one.
    pub(crate) number: Option<u64>,
    pub(crate) changes: Vec<Change>,
    pub(crate) is_ignored: bool,
    pub(crate) is_delete: bool,
}

/// Saves rows in order and says what became of each.
///
/// # Errors
/// A value of the wrong JSON type refuses the whole call before anything is written.
pub(crate) fn save(save: &Save<'_>, store: &mut Store, rows: &[Row<'_>]) -> Result<Vec<Saved>, Refusal> {
    let typed: Vec<Typed> = rows.iter().map(|row| typed(save, store, row)).collect::<Result<_, _>>()?;
    let before = save.all_or_none.then(|| store.clone());
    let repeated = repeated(rows);
    let mut saved: Vec<Saved> = Vec::with_capacity(rows.len());
    for (row, typed) in rows.iter().zip(typed) {
        saved.push(save_one(save, store, row, typed, &repeated));
    }
    if let Some(before) = before.filter(|_| saved.iter().any(|row| !row.is_success())) {
        *store = before;
        for row in saved.iter_mut().filter(|row| row.errors.is_empty()) {
            row.created = false;
            row.errors.push(RowError::new(
                "ALL_OR_NONE_OPERATION_ROLLED_BACK",
                "Record rolled back because not all records were valid and the request was using AllOrNone header",
            ));
        }
    }
    Ok(saved)
}

/// Ids that more than one row names, in their long form.
fn repeated(rows: &[Row<'_>]) -> Vec<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for id in rows.iter().filter_map(|row| row.id.as_deref()) {
        *seen.entry(long(id)).or_default() += 1;
    }
    seen.into_iter().filter(|(_, n)| *n > 1).map(|(id, _)| id).collect()
}

/// The long form of an id; other texts stay as they are.
pub(crate) fn long(text: &str) -> String {
    let parsed = id::parse(text);
    let whole = parsed.and_then(|id| id.number.map(|number| id::id18(&id.prefix, number)));
    whole.unwrap_or_else(|| text.to_owned())
}

fn save_one(save: &Save<'_>, store: &mut Store, row: &Row<'_>, typed: Typed, repeated: &[String]) -> Saved {
    let failed = |errors: Vec<RowError>| Saved { id: None, created: false, errors };
    if let Some(id) = row.id.as_deref().map(long).filter(|id| repeated.contains(id)) {
        let code = &save.org.config.switches.repeated_row_code;
        return failed(vec![RowError::new(code, format!("duplicate id specified: {id}")).on("Id")]);
    }
    let plan = match plan(save, store, row, typed) {
        Ok(plan) => plan,
        Err(errors) => return failed(errors),
    };
    match commit(save, store, row, plan) {
        Some(saved) => saved,
        None => failed(vec![RowError::new("UNKNOWN_EXCEPTION", "An unexpected error occurred")]),
    }
}

/// Reads the values of a row.
fn typed(save: &Save<'_>, store: &Store, row: &Row<'_>) -> Result<Typed, Refusal> {
    let Some(table) = store.table(&row.object) else {
        let message = format!("sObject type '{}' is not supported.", row.object);
        return Ok(Err(vec![RowError::new("INVALID_TYPE", message)]));
    };
    let mut changes: Vec<Change> = Vec::new();
    let mut errors = Vec::new();
    for (name, given) in &row.fields {
        let read = match table.catalog.find(name) {
            Some((id, field)) => read(field, *given).map(|value| (id, value)),
            None => match parent(store, table, name, *given) {
                Some(found) => found.map_err(Invalid::Row),
                None => {
                    let message = format!("No such column '{name}' on sobject of type {}", table.object.name);
                    Err(Invalid::Row(RowError::new("INVALID_FIELD", message)))
                }
            },
        };
        match read {
            Ok(change) => changes.push(change),
            Err(Invalid::Row(error)) => errors.push(error),
            Err(Invalid::Type(message)) => match save.org.config.switches.type_errors {
                TypeErrors::WholeCall => return Err(Refusal::parser(message)),
                TypeErrors::PerRow => {
                    errors.push(RowError::new("INVALID_TYPE_ON_FIELD_IN_RECORD", message).on(name));
                }
            },
        }
    }
    Ok(if errors.is_empty() { Ok(changes) } else { Err(errors) })
}

/// A reference given by a key of its target: `{"Account": {"Key__c": "x"}}`, or a column `Account.Key__c`.
fn parent(store: &Store, table: &Table, name: &str, given: Given<'_>) -> Option<Result<Change, RowError>> {
    let (relationship, key, value) = match given {
        Given::Json(Value::Object(inner)) => {
            let (key, value) = inner.iter().find(|(key, _)| *key != "attributes")?;
            (name, key.as_str(), value.as_str()?.to_owned())
        }
        Given::Csv { text, .. } => {
            let (relationship, key) = name.split_once('.')?;
            (relationship, key, text.to_owned())
        }
        Given::Json(_) => return None,
    };
    let (id, field) = table.catalog.relationship(relationship)?;
    let target = field.refers.iter().find_map(|object| store.table(object))?;
    let (key, _) = target.catalog.find(key).filter(|(_, field)| field.is_key())?;
    Some(match target.holders(key, &value).as_slice() {
        [number] => Ok((id, Some(Stored::text(&target.id_of(*number))))),
        _ => {
            let message = format!(
                "Foreign key external ID: {value} not found for field {name} in entity {}",
                target.object.name
            );
            Err(RowError::new("INVALID_FIELD", message))
        }
    })
}

fn plan(save: &Save<'_>, store: &Store, row: &Row<'_>, typed: Typed) -> Result<Plan, Vec<RowError>> {
    let one = |error: RowError| vec![error];
    let mut changes = typed?;
    let unknown =
        || one(RowError::new("INVALID_TYPE", format!("sObject type '{}' is not supported.", row.object)));
    let table = store.table(&row.object).ok_or_else(unknown)?;
    if !table.object.is_writable {
        return Err(one(RowError::new(
            "INSUFFICIENT_ACCESS_OR_READONLY",
            "insufficient access rights on object id",
        )));
    }
    let number = match &save.verb {
        Verb::Insert => None,
        Verb::Update | Verb::Delete => Some(named(save, table, row.id.as_deref()).map_err(one)?),
        Verb::Upsert { key, .. } if key.eq_ignore_ascii_case("Id") => match &row.id {
            Some(id) => Some(named(save, table, Some(id)).map_err(one)?),
            None => None,
        },
        Verb::Upsert { key, update_only } => by_key(table, key, *update_only, &changes).map_err(one)?,
    };
    if let (Verb::Upsert { key, .. }, Some(_)) = (&save.verb, number)
        && let Some((key, _)) = table.catalog.find(key)
    {
        changes.retain(|(field, _)| *field != key);
    }
    let is_ignored = strike(save, table, number, row).map_err(one)?;
    if save.verb != Verb::Delete {
        check_fields(store, table, number, &changes)?;
        check_rules(save, store, table, number, &changes)?;
    }
    lock(save, table, number, &changes).map_err(one)?;
    Ok(Plan { number, changes, is_ignored, is_delete: save.verb == Verb::Delete })
}

/// The record that an id names, if it may be written.
fn named(save: &Save<'_>, table: &Table, text: Option<&str>) -> Result<u64, RowError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Err(RowError::new("MISSING_ARGUMENT", "Id not specified in an update call").on("Id"));
    };
    let number = match table.number_of(text) {
        Some(number) => number,
        None if id::parse(text).is_some() => {
            let message = format!("{} ID: id value of incorrect type: {text}", table.object.label);
            return Err(RowError::new("MALFORMED_ID", message).on("Id"));
        }
        None => return Err(RowError::new("MALFORMED_ID", format!("malformed id {text}")).on("Id")),
    };
    match number.map(|number| (number, table.find(number))) {
        Some((number, Found::Live(record))) if !record.is_in_approval => Ok(number),
        Some((_, Found::Live(_))) => Err(RowError::new(
            "ENTITY_IS_LOCKED",
            "The record you are attempting to edit, or one of its related records, is currently being modified by an \
             approval process",
        )),
        Some((_, Found::Deleted)) => Err(RowError::new("ENTITY_IS_DELETED", "entity is deleted")),
        Some((_, Found::Missing)) | None => Err(never_was(save)),
    }
}

fn never_was(save: &Save<'_>) -> RowError {
    let code = save.org.config.switches.missing_row_code.as_str();
    let message = match code {
        "NOT_FOUND" => "The requested resource does not exist",
        _ => "invalid cross reference id",
    };
    RowError::new(code, message)
}

fn by_key(table: &Table, key: &str, update_only: bool, changes: &[Change]) -> Result<Option<u64>, RowError> {
    let found = table.catalog.find(key).filter(|(_, field)| field.is_key());
    let Some((id, _)) = found else {
        return Err(RowError::new(
            "INVALID_FIELD",
            format!(
                "Field name provided, {key} does not match an External ID, Salesforce Id, or indexed field for {}",
                table.object.name
            ),
        ));
    };
    let given = changes.iter().find(|(field, _)| *field == id).and_then(|(_, value)| value.as_ref());
    let Some(value) = given else {
        return Err(RowError::new("MISSING_ARGUMENT", format!("{key} not specified")));
    };
    let holders = table.holders(id, &value.render(Kind::Text));
    match holders.as_slice() {
        [] if update_only => Err(RowError::new("NOT_FOUND", "The requested resource does not exist")),
        [] => Ok(None),
        [number] => Ok(Some(*number)),
        _ => {
            let ids: Vec<String> = holders.iter().map(|number| table.id_of(*number)).collect();
            let message =
                format!("{key}: more than one record found for external id field: [{}]", ids.join(", "));
            Err(RowError::new("DUPLICATE_EXTERNAL_ID", message).on(key))
        }
    }
}

/// What a fault says to a row; `Ok(true)` is a write that is not done.
fn strike(save: &Save<'_>, table: &Table, number: Option<u64>, row: &Row<'_>) -> Result<bool, RowError> {
    if save.board.is_empty() {
        return Ok(false);
    }
    let sent = texts(row);
    let id = number.map(|number| table.id_of(number)).unwrap_or_default();
    let struck = Struck {
        operation: save.operation,
        object: table.object.name,
        id: &id,
        number: number.unwrap_or(0),
        sent: &sent,
    };
    let pick = |kind: &FaultKind| {
        matches!(
            kind,
            FaultKind::RowError { .. } | FaultKind::RowLock | FaultKind::Missing | FaultKind::Ignored
        )
    };
    match save.board.strike_record(struck, pick).map(|fault| &fault.kind) {
        Some(FaultKind::RowError { code, message }) => Err(RowError::new(code, message.clone())),
        Some(FaultKind::RowLock) => Err(locked(&id)),
        Some(FaultKind::Missing) => Err(never_was(save)),
        Some(FaultKind::Ignored) => Ok(true),
        Some(_) | None => Ok(false),
    }
}

/// Fields and texts of a row, for faults that look at them.
pub(crate) fn texts(row: &Row<'_>) -> Vec<(String, String)> {
    let text = |given: &Given<'_>| match given {
        Given::Json(Value::String(text)) => text.clone(),
        Given::Json(value) => value.to_string(),
        Given::Csv { text, .. } => (*text).to_owned(),
    };
    row.fields.iter().map(|(name, given)| (name.clone(), text(given))).collect()
}

fn locked(id: &str) -> RowError {
    let message = format!("unable to obtain exclusive access to this record or 1 records: {id}");
    RowError::new("UNABLE_TO_LOCK_ROW", message)
}

/// Takes the locks of a record and of its account, before and after the change.
fn lock(save: &Save<'_>, table: &Table, number: Option<u64>, changes: &[Change]) -> Result<(), RowError> {
    let mut ids: Vec<String> = number.map(|number| table.id_of(number)).into_iter().collect();
    if save.org.config.switches.locks_parents
        && let Some((parent, _)) = table.catalog.find("AccountId")
    {
        let old =
            number.and_then(|number| table.get(number)).and_then(|record| record.stored(parent)).cloned();
        let new = changes.iter().find(|(field, _)| *field == parent).and_then(|(_, value)| value.clone());
        ids.extend([old, new].iter().flatten().map(|id| id.render(Kind::Id)));
    }
    save.org.locks().take(save.nth, &ids).map_err(|taken| locked(&taken))
}
