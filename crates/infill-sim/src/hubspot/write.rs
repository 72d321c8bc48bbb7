//! The calls that change records: one record, batch update, batch create, archive.
//!
//! A batch is judged before anything is written. An input that names no record is an error entry; a refused value is a
//! 400 for the whole batch unless every input is traced; an id that was merged away, or that is no record id at all,
//! is left out of the results in silence.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::{Answer, Refusal};
use super::batch::{self, ErrorEntry};
use super::board::Sent;
use super::fault::{Fault, FaultKind};
use super::portal::Ask;
use super::read::{Selection, push_record, resolve_id};
use super::record::{Change, Record, Setter, Text};
use super::store::{Commit, Found, Store, Table};
use super::value::{Invalid, normalize};

#[derive(Debug, Deserialize)]
struct Batch {
    #[serde(default)]
    inputs: Vec<Input>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    properties: Map<String, Value>,
    #[serde(default)]
    id_property: Option<String>,
    #[serde(default)]
    object_write_trace_id: Option<String>,
}

/// Why an input was not accepted.
#[derive(Debug)]
enum Objection {
    Invalid(Vec<Invalid>),
    /// The email belongs to that contact.
    Conflict(u64),
}

/// What becomes of one input of a batch.
#[derive(Debug)]
enum Fate {
    Write {
        id: u64,
        changes: Vec<Change>,
    },
    LeftOut,
    Missing,
    /// `partial` is what a fault says about the answer, if one does.
    Refused {
        objection: Objection,
        partial: Option<bool>,
    },
}

/// The changes that properties make to a record (`None` is one still to be made), or why they are refused.
fn judge(
    ask: &Ask<'_>,
    table: &Table,
    record: Option<&Record>,
    properties: &Map<String, Value>,
) -> Result<Vec<Change>, Objection> {
    let mut changes = Vec::with_capacity(properties.len());
    let mut invalid = Vec::new();
    let mut conflict = None;
    for (name, sent) in properties {
        let Some((id, property)) = table.catalog.find(name) else {
            invalid.push(Invalid::unknown(name));
            continue;
        };
        if property.read_only {
            invalid.push(Invalid::read_only(name));
            continue;
        }
        let current = record.and_then(|record| record.stored(id));
        match normalize(property, current.map(|text| &**text), sent, ask.portal.strictness()) {
            Err(refused) => invalid.push(refused),
            Ok(value) => {
                let holder =
                    value.as_deref().filter(|_| property.unique).and_then(|value| table.holder(id, value));
                match holder.filter(|holder| Some(*holder) != record.map(|record| record.id)) {
                    Some(holder) if name == "email" => conflict = Some(holder),
                    Some(holder) => invalid.push(Invalid::new(
                        name,
                        "CONFLICTING_UNIQUE_VALUE",
                        format!("{sent} is already the value of \"{name}\" of record {holder}."),
                    )),
                    None => {}
                }
                // The same text is kept once.
                let value = match (value, current) {
                    (Some(value), Some(current)) if **current == *value => Some(Arc::clone(current)),
                    (value, _) => value.map(Text::from),
                };
                changes.push(Change { property: id, value });
            }
        }
    }
    if ask.portal.is_strict() {
        invalid.extend(lacking(ask, table, record, &changes));
    }
    match conflict {
        _ if !invalid.is_empty() => Err(Objection::Invalid(invalid)),
        Some(holder) => Err(Objection::Conflict(holder)),
        None => Ok(changes),
    }
}

/// Properties that an administrator made required for values these changes set, and that would stay empty.
fn lacking(ask: &Ask<'_>, table: &Table, record: Option<&Record>, changes: &[Change]) -> Vec<Invalid> {
    let rules =
        ask.portal.config.conditional_required.iter().filter(|rule| table.object.is_called(&rule.object));
    let mut lacking = Vec::new();
    for rule in rules {
        let (Some((given, _)), Some((needed, _))) =
            (table.catalog.find(&rule.property), table.catalog.find(&rule.requires))
        else {
            continue;
        };
        let sets = changes
            .iter()
            .any(|change| change.property == given && change.value.as_deref() == Some(rule.equals.as_str()));
        let after = match changes.iter().find(|change| change.property == needed) {
            Some(change) => change.value.is_some(),
            None => record.is_some_and(|record| record.stored(needed).is_some()),
        };
        if sets && !after {
            let message =
                format!("\"{}\" is required when \"{}\" is {}", rule.requires, rule.property, rule.equals);
            lacking.push(Invalid::new(&rule.requires, "MISSING_REQUIRED_PROPERTY", message));
        }
    }
    lacking
}

/// Texts of the properties of an input, for faults that look at them.
fn texts(properties: &Map<String, Value>) -> Vec<(&str, String)> {
    properties.iter().map(|(name, value)| (name.as_str(), batch::id_text(value))).collect()
}

fn strike<'f>(
    ask: &'f Ask<'_>,
    table: &Table,
    id: u64,
    properties: &Map<String, Value>,
    pick: fn(&FaultKind) -> bool,
) -> Option<&'f Fault> {
    if ask.board.is_empty() {
        return None;
    }
    let texts = texts(properties);
    let sent: Vec<Sent<'_>> = texts.iter().map(|(property, value)| Sent { property, value }).collect();
    ask.board.strike_record(ask.call.operation, table.object.names(), id, &sent, pick)
}

/// The refusal of a record that a fault calls bad.
fn bad_row(fault: &Fault, properties: &Map<String, Value>) -> Objection {
    let first = properties.keys().next().map(String::as_str);
    let name = fault.target.property.as_deref().or(first).unwrap_or("hs_object_id");
    let value = properties.get(name).map(batch::id_text).unwrap_or_default();
    let message = format!("{value} was not one of the allowed options: []");
    Objection::Invalid(vec![Invalid::new(name, "INVALID_OPTION", message)])
}

/// Replaces what a fault stores in place of the sent value.
fn spoil(ask: &Ask<'_>, table: &Table, id: u64, properties: &Map<String, Value>, changes: &mut [Change]) {
    let Some(fault) = strike(ask, table, id, properties, |kind| matches!(kind, FaultKind::Differs(_))) else {
        return;
    };
    let FaultKind::Differs(stored) = &fault.kind else { return };
    for change in changes {
        let Some(property) = table.catalog.get(change.property) else { continue };
        if fault.target.property.as_ref().is_none_or(|name| **name == *property.name) {
            let sent = change.value.as_deref().unwrap_or_default();
            change.value =
                Some(stored.as_deref().map_or_else(|| format!("{sent} (changed)").into(), Text::from));
        }
    }
}

fn refuse(ask: &Ask<'_>, objections: Vec<Objection>) -> Refusal {
    let mut invalid = Vec::new();
    let mut conflict = None;
    for objection in objections {
        match objection {
            Objection::Invalid(more) => invalid.extend(more),
            Objection::Conflict(holder) => conflict = conflict.or(Some(holder)),
        }
    }
    match conflict {
        Some(holder) if invalid.is_empty() => Refusal::new(409, "CONFLICT", batch::conflict_message(holder)),
        Some(_) | None => batch::refuse_values(&invalid, ask.portal.config.portal_id),
    }
}

fn entry(ask: &Ask<'_>, objection: &Objection, trace: &str) -> ErrorEntry {
    match objection {
        Objection::Invalid(invalid) => ErrorEntry::invalid(invalid, trace, ask.portal.config.portal_id),
        Objection::Conflict(holder) => ErrorEntry::conflict(*holder, trace),
    }
}

fn commit(
    ask: &Ask<'_>,
    store: &mut Store,
    object: &str,
    id: u64,
    changes: &[Change],
) -> Result<(), Refusal> {
    let object =
        store.table(object).map(|table| table.object).ok_or_else(|| Refusal::unknown_object(object))?;
    let commit = Commit {
        operation: ask.call.operation,
        app_id: ask.caller.spender.app_id,
        at_ms: ask.now_ms,
        no_op_keeps_updated_at: ask.portal.config.switches.no_op_keeps_updated_at,
        changes,
    };
    store.commit(object, id, &commit);
    if !ask.board.is_empty()
        && let Some(list) = ask.board.leaves(ask.call.operation, object.names(), id)
    {
        store.lists.drop_member(list, id, ask.now_ms);
    }
    Ok(())
}

/// `POST /objects/{type}/batch/update`, by record id.
pub(crate) fn batch_update(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let body: Batch = ask.json()?;
    batch::check_size(body.inputs.len())?;
    refuse_duplicates(&body.inputs)?;
    let is_traced = body.inputs.iter().all(|input| input.object_write_trace_id.is_some());
    ask.portal.change(|store| {
        let table = ask.table(store)?;
        let fates: Vec<Fate> =
            body.inputs.iter().map(|input| fate(ask, table, input)).collect::<Result<_, _>>()?;
        let keeps = |partial: &Option<bool>| {
            is_traced && partial.unwrap_or(ask.portal.config.switches.traced_partial)
        };
        let sinks = |fate: &Fate| matches!(fate, Fate::Refused { partial, .. } if !keeps(partial));
        if fates.iter().any(sinks) {
            let objections = fates.into_iter().filter_map(|fate| match fate {
                Fate::Refused { objection, .. } => Some(objection),
                Fate::Write { .. } | Fate::LeftOut | Fate::Missing => None,
            });
            return Err(refuse(ask, objections.collect()));
        }
        let mut errors = Vec::new();
        let mut unnamed_missing = Vec::new();
        let mut written: Vec<(u64, &Input)> = Vec::with_capacity(fates.len());
        let object = table.object;
        for (input, fate) in body.inputs.iter().zip(fates) {
            let trace = input.object_write_trace_id.as_deref();
            match fate {
                Fate::Write { id, changes } => {
                    commit(ask, store, object.plural, id, &changes)?;
                    written.push((id, input));
                }
                Fate::LeftOut => {}
                Fate::Missing => match trace {
                    Some(trace) => {
                        errors.push(ErrorEntry::not_found(object, &[batch::id_text(&input.id)], Some(trace)));
                    }
                    None => unnamed_missing.push(batch::id_text(&input.id)),
                },
                Fate::Refused { objection, .. } => {
                    errors.push(entry(ask, &objection, trace.unwrap_or_default()));
                }
            }
        }
        if !unnamed_missing.is_empty() {
            errors.push(ErrorEntry::not_found(object, &unnamed_missing, None));
        }
        batch::shuffle(ask, &mut written, |(id, _)| *id);
        let table = ask.table(store)?;
        let mut echo = Echo::default();
        Ok(batch::envelope(ask, 200, &errors, written.into_iter(), |out, (id, input)| {
            echo.push(out, ask, table, id, &input.properties);
        }))
    })
}

/// What a write answers: the sent properties and a few of the system's, not the whole record.
#[derive(Debug, Default)]
struct Echo {
    /// The inputs of a batch mostly set the same properties.
    last: Option<(Vec<String>, Selection)>,
}

impl Echo {
    fn push(
        &mut self,
        out: &mut Vec<u8>,
        ask: &Ask<'_>,
        table: &Table,
        id: u64,
        properties: &Map<String, Value>,
    ) {
        let Some(record) = table.live(id) else { return };
        let kept = self.last.take().filter(|(names, _)| names.iter().eq(properties.keys()));
        let (_, selection) = self.last.insert(kept.unwrap_or_else(|| {
            let names = properties.keys().map(String::as_str);
            (properties.keys().cloned().collect(), Selection::new(table, names, []))
        }));
        push_record(out, ask.portal, table, record, selection);
    }
}

fn refuse_duplicates(inputs: &[Input]) -> Result<(), Refusal> {
    let mut seen = HashSet::with_capacity(inputs.len());
    let mut repeated: Vec<String> = Vec::new();
    for id in inputs.iter().map(|input| batch::id_text(&input.id)) {
        if !seen.insert(id.clone()) && !repeated.contains(&id) {
            repeated.push(id);
        }
    }
    if repeated.is_empty() {
        return Ok(());
    }
    let message =
        format!("Duplicate IDs found in batch input: [{}]. IDs must be unique", repeated.join(", "));
    Err(Refusal::validation(message).with("context", json!({"ids": repeated})))
}

fn fate(ask: &Ask<'_>, table: &Table, input: &Input) -> Result<Fate, Refusal> {
    let key = batch::id_text(&input.id);
    let Some(id) = resolve_id(ask, table, &key, input.id_property.as_deref())? else {
        // An email in place of an id answers success and changes nothing.
        let is_named = input.id_property.is_some();
        return Ok(if is_named { Fate::Missing } else { Fate::LeftOut });
    };
    let pick: fn(&FaultKind) -> bool =
        |kind| matches!(kind, FaultKind::Omit | FaultKind::Missing | FaultKind::BadRow { .. });
    let fault = strike(ask, table, id, &input.properties, pick);
    let record = match table.find(id) {
        Found::Merged(_) => return Ok(Fate::LeftOut),
        Found::Archived(_) | Found::Missing => return Ok(Fate::Missing),
        Found::Live(record) => record,
    };
    match fault.map(|fault| &fault.kind) {
        Some(FaultKind::Omit) => return Ok(Fate::LeftOut),
        Some(FaultKind::Missing) => return Ok(Fate::Missing),
        Some(FaultKind::BadRow { partial }) => {
            let objection = fault.map(|fault| bad_row(fault, &input.properties));
            return Ok(Fate::Refused {
                objection: objection.unwrap_or(Objection::Invalid(Vec::new())),
                partial: *partial,
            });
        }
        Some(_) | None => {}
    }
    Ok(match judge(ask, table, Some(record), &input.properties) {
        Ok(mut changes) => {
            spoil(ask, table, id, &input.properties, &mut changes);
            Fate::Write { id, changes }
        }
        Err(objection) => Fate::Refused { objection, partial: None },
    })
}

/// `PATCH /objects/{type}/{id}`. An id that was merged away writes to the survivor.
pub(crate) fn update(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let input: Input = ask.json()?;
    ask.portal.change(|store| {
        let table = ask.table(store)?;
        let key = ask.call.key();
        let id =
            resolve_id(ask, table, key, ask.query.first("idProperty"))?.ok_or_else(Refusal::not_found)?;
        let id = table.live_or_survivor(id).map(|record| record.id).ok_or_else(Refusal::not_found)?;
        let named = Input { id: id.to_string().into(), ..input };
        let object = table.object;
        match fate(ask, table, &named)? {
            Fate::Write { id, changes } => commit(ask, store, object.plural, id, &changes)?,
            Fate::Refused { objection, .. } => return Err(refuse(ask, vec![objection])),
            Fate::Missing => return Err(Refusal::not_found()),
            Fate::LeftOut => {}
        }
        let mut out = Vec::with_capacity(512);
        Echo::default().push(&mut out, ask, ask.table(store)?, id, &named.properties);
        Ok(Answer::json(200, out))
    })
}

fn create_one(ask: &Ask<'_>, store: &mut Store, properties: &Map<String, Value>) -> Result<u64, Objection> {
    let name = ask.call.object();
    let nothing = || Objection::Invalid(Vec::new());
    let table = store.table(name).ok_or_else(nothing)?;
    let changes = judge(ask, table, None, properties)?;
    let object = table.object;
    let setter = Setter::App(ask.caller.spender.app_id);
    let id = store.table_mut(name).ok_or_else(nothing)?.add(None, ask.now_ms, setter, Vec::new());
    commit(ask, store, object.plural, id, &changes).map_err(|_| nothing())?;
    Ok(id)
}

/// `POST /objects/{type}`.
pub(crate) fn create(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let input: Input = ask.json()?;
    ask.portal.change(|store| {
        ask.table(store)?;
        let id =
            create_one(ask, store, &input.properties).map_err(|objection| refuse(ask, vec![objection]))?;
        let mut out = Vec::with_capacity(512);
        Echo::default().push(&mut out, ask, ask.table(store)?, id, &input.properties);
        Ok(Answer::json(201, out))
    })
}

/// `POST /objects/{type}/batch/create`.
pub(crate) fn batch_create(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let body: Batch = ask.json()?;
    batch::check_size(body.inputs.len())?;
    let is_traced = body.inputs.iter().all(|input| input.object_write_trace_id.is_some());
    ask.portal.change(|store| {
        let table = ask.table(store)?;
        let objections: Vec<Objection> =
            body.inputs.iter().filter_map(|input| judge(ask, table, None, &input.properties).err()).collect();
        if !objections.is_empty() && !is_traced {
            return Err(refuse(ask, objections));
        }
        let mut made: Vec<(u64, &Input)> = Vec::new();
        let mut errors = Vec::new();
        for input in &body.inputs {
            match create_one(ask, store, &input.properties) {
                Ok(id) => made.push((id, input)),
                Err(objection) => {
                    let trace = input.object_write_trace_id.as_deref().unwrap_or_default();
                    errors.push(entry(ask, &objection, trace));
                }
            }
        }
        batch::shuffle(ask, &mut made, |(id, _)| *id);
        let table = ask.table(store)?;
        let mut echo = Echo::default();
        Ok(batch::envelope(ask, 201, &errors, made.into_iter(), |out, (id, input)| {
            echo.push(out, ask, table, id, &input.properties);
        }))
    })
}

/// `DELETE /objects/{type}/{id}`: archives; an id that is not there answers 204 as well.
pub(crate) fn archive(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    ask.portal.change(|store| {
        let name = ask.call.object();
        let table = store.table_mut(name).ok_or_else(|| Refusal::unknown_object(name))?;
        if let Ok(id) = ask.call.key().parse() {
            table.set_archived(id, Some(ask.now_ms));
        }
        Ok(Answer::empty(204))
    })
}
