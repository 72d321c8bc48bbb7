//! Records as answers show them, and the calls that read them by id.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, Refusal, push_string, push_timestamp, timestamp};
use super::batch::{self, ErrorEntry, MAX_INPUTS};
use super::catalog::PropId;
use super::fault::FaultKind;
use super::portal::{Ask, Portal};
use super::record::Record;
use super::store::{Found, Table};

const DEFAULT_PAGE: usize = 10;
const MAX_PAGE: usize = 100;
/// With history a page holds fewer; the limit that clients work with.
const MAX_PAGE_WITH_HISTORY: usize = 50;

/// The properties an answer shows, by name in order.
#[derive(Debug)]
pub(crate) struct Selection {
    properties: Vec<(Arc<str>, PropId)>,
    histories: Vec<(Arc<str>, PropId)>,
}

impl Selection {
    /// The named properties and those every answer has; the type's defaults when none is named. Reads ignore names that
    /// do not exist.
    pub(crate) fn new<'n>(
        table: &Table,
        names: impl IntoIterator<Item = &'n str>,
        histories: impl IntoIterator<Item = &'n str>,
    ) -> Self {
        let find =
            |name: &str| table.catalog.find(name).map(|(id, property)| (Arc::clone(&property.name), id));
        let sorted = |mut found: Vec<(Arc<str>, PropId)>| {
            found.sort_unstable();
            found.dedup();
            found
        };
        let histories = sorted(histories.into_iter().filter_map(find).collect());
        let mut properties: Vec<(Arc<str>, PropId)> = names.into_iter().filter_map(find).collect();
        properties.extend(histories.iter().cloned());
        let more = if properties.is_empty() { table.object.defaults } else { table.object.always };
        properties.extend(more.iter().copied().filter_map(find));
        Self { properties: sorted(properties), histories }
    }
}

/// Appends a record as a JSON object, the keys of its properties in order.
pub(crate) fn push_record(
    out: &mut Vec<u8>,
    portal: &Portal,
    table: &Table,
    record: &Record,
    selection: &Selection,
) {
    out.extend_from_slice(b"{\"id\":\"");
    out.extend_from_slice(record.id.to_string().as_bytes());
    out.extend_from_slice(b"\",\"properties\":{");
    let mut is_first = true;
    for (name, id) in &selection.properties {
        let value = record.value(&table.catalog, *id);
        if value.is_none() && portal.config.switches.omit_unset {
            continue;
        }
        if !is_first {
            out.push(b',');
        }
        is_first = false;
        push_string(out, name);
        out.push(b':');
        match value {
            Some(value) => push_string(out, &value),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.push(b'}');
    if !selection.histories.is_empty() {
        out.extend_from_slice(b",\"propertiesWithHistory\":");
        let body: serde_json::Map<String, Value> = selection
            .histories
            .iter()
            .map(|(name, id)| (name.to_string(), Value::Array(history(table, record, *id))))
            .collect();
        out.extend_from_slice(Value::Object(body).to_string().as_bytes());
    }
    out.extend_from_slice(b",\"createdAt\":\"");
    push_timestamp(out, record.created_ms);
    out.extend_from_slice(b"\",\"updatedAt\":\"");
    push_timestamp(out, record.updated_ms);
    out.extend_from_slice(if record.archived_ms.is_some() {
        b"\",\"archived\":true"
    } else {
        b"\",\"archived\":false"
    });
    if let Some(archived_ms) = record.archived_ms {
        out.extend_from_slice(b",\"archivedAt\":\"");
        push_timestamp(out, archived_ms);
        out.push(b'"');
    }
    let url = format!(
        ",\"url\":\"https://{}/contacts/{}/record/{}/{}\"}}",
        portal.config.ui_domain, portal.config.portal_id, table.object.type_id, record.id
    );
    out.extend_from_slice(url.as_bytes());
}

/// A property's versions, the newest first.
pub(crate) fn history(table: &Table, record: &Record, property: PropId) -> Vec<Value> {
    let entry = |version: &super::record::Version| {
        json!({
            "value": version.value.as_deref().unwrap_or_default(),
            "timestamp": timestamp(version.at_ms),
            "sourceType": version.setter.source_type(),
            "sourceId": version.setter.source_id(),
        })
    };
    record.history(&table.catalog, property).iter().map(entry).collect()
}

fn one(ask: &Ask<'_>, table: &Table, record: &Record) -> Vec<u8> {
    let query = ask.query;
    let selection = Selection::new(table, query.list("properties"), query.list("propertiesWithHistory"));
    let mut out = Vec::with_capacity(512);
    push_record(&mut out, ask.portal, table, record, &selection);
    out
}

/// The id that a path or input names: a record id, or a unique property's value.
pub(crate) fn resolve_id(
    ask: &Ask<'_>,
    table: &Table,
    key: &str,
    id_property: Option<&str>,
) -> Result<Option<u64>, Refusal> {
    let Some(name) = id_property else { return Ok(key.parse().ok()) };
    match table.catalog.find(name) {
        Some((id, property)) if property.unique => {
            let value = if name == "email" { key.to_lowercase() } else { key.to_owned() };
            Ok(table.holder(id, &value))
        }
        Some(_) | None => Err(Refusal::validation(format!(
            "Unable to perform update/upsert by non-unique {} property {name} in portal ID {}",
            table.object.type_id, ask.portal.config.portal_id
        ))),
    }
}

/// `GET /objects/{type}/{id}`. An id that was merged away answers with the survivor.
pub(crate) fn get(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let store = ask.portal.store();
    let table = ask.table(&store)?;
    let id = resolve_id(ask, table, ask.call.key(), ask.query.first("idProperty"))?
        .ok_or_else(Refusal::not_found)?;
    let record = match table.find(id) {
        Found::Archived(record) if ask.query.is_true("archived") => Some(record),
        Found::Live(_) | Found::Merged(_) | Found::Archived(_) | Found::Missing => table.live_or_survivor(id),
    };
    let is_missing = ask
        .board
        .strike_record(ask.call.operation, table.object.names(), id, &[], |kind| *kind == FaultKind::Missing)
        .is_some();
    let record = record.filter(|_| !is_missing).ok_or_else(Refusal::not_found)?;
    Ok(Answer::json(200, one(ask, table, record)))
}

/// `GET /objects/{type}`: pages through every record by id.
pub(crate) fn list(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let store = ask.portal.store();
    let table = ask.table(&store)?;
    let histories = ask.query.list("propertiesWithHistory");
    let max = if histories.is_empty() { MAX_PAGE } else { MAX_PAGE_WITH_HISTORY };
    let limit = page_limit(ask.query.first("limit"), DEFAULT_PAGE, max)?;
    let after = match ask.query.first("after").map(str::parse::<u64>) {
        None => 0,
        Some(Ok(after)) => after,
        Some(Err(_)) => return Err(Refusal::validation("Invalid paging token: after must be a record id")),
    };
    let wants_archived = ask.query.is_true("archived");
    let mut rows = table.records_from(after).iter().filter(|record| {
        record.archived_ms.is_some() == wants_archived && !matches!(table.find(record.id), Found::Merged(_))
    });
    let selection = Selection::new(table, ask.query.list("properties"), histories);
    let mut out = b"{\"results\":[".to_vec();
    for (idx, record) in rows.by_ref().take(limit).enumerate() {
        if idx > 0 {
            out.push(b',');
        }
        push_record(&mut out, ask.portal, table, record, &selection);
    }
    out.push(b']');
    if let Some(next) = rows.next() {
        let link = format!(
            "{}/crm/v3/objects/{}?limit={limit}&after={}",
            ask.portal.base_url, table.object.plural, next.id
        );
        let paging = json!({"next": {"after": next.id.to_string(), "link": link}});
        out.extend_from_slice(b",\"paging\":");
        out.extend_from_slice(paging.to_string().as_bytes());
    }
    out.push(b'}');
    Ok(Answer::json(200, out))
}

/// The page size a call asks for.
pub(crate) fn page_limit(given: Option<&str>, default: usize, max: usize) -> Result<usize, Refusal> {
    let Some(text) = given else { return Ok(default) };
    match text.parse::<usize>() {
        Ok(limit) if limit <= max => Ok(limit.max(1)),
        Ok(limit) => Err(Refusal::validation(format!(
            "The limit of {limit} is too large. The maximum page size is {max}."
        ))),
        Err(_) => Err(Refusal::validation(format!("limit: {text} was not a valid integer."))),
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchRead {
    #[serde(default)]
    inputs: Vec<ReadInput>,
    #[serde(default)]
    properties: Vec<String>,
    #[serde(default)]
    properties_with_history: Vec<String>,
    #[serde(default)]
    id_property: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ReadInput {
    id: Value,
}

/// `POST /objects/{type}/batch/read`. Merged ids are left out without a word; ids that do not exist share one error.
pub(crate) fn batch(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let body: BatchRead = ask.json()?;
    batch::check_size(body.inputs.len())?;
    let store = ask.portal.store();
    let table = ask.table(&store)?;
    let selection = Selection::new(
        table,
        body.properties.iter().map(String::as_str),
        body.properties_with_history.iter().map(String::as_str),
    );
    let wants_archived = ask.query.is_true("archived");
    let mut seen = HashSet::with_capacity(MAX_INPUTS);
    let mut found: Vec<&Record> = Vec::with_capacity(body.inputs.len());
    let mut missing: Vec<String> = Vec::new();
    for input in &body.inputs {
        let key = batch::id_text(&input.id);
        let id =
            resolve_id(ask, table, &key, body.id_property.as_deref().filter(|name| *name != "hs_object_id"))?;
        if !seen.insert(key.clone()) {
            continue;
        }
        let strike = id.and_then(|id| struck(ask, table, id));
        match (id.map(|id| table.find(id)), strike) {
            (_, Some(FaultKind::Missing)) | (None | Some(Found::Missing), _) => missing.push(key),
            (_, Some(_)) | (Some(Found::Merged(_)), _) => {}
            (Some(Found::Live(record)), None) if !wants_archived => found.push(record),
            (Some(Found::Archived(record)), None) if wants_archived => found.push(record),
            (Some(Found::Live(_) | Found::Archived(_)), None) => missing.push(key),
        }
    }
    if found.is_empty() && !missing.is_empty() && ask.portal.config.switches.all_missing_is_404 {
        return Err(Refusal::new(404, "OBJECT_NOT_FOUND", batch::not_found_message(table.object))
            .with("context", json!({"ids": missing})));
    }
    let errors = if missing.is_empty() {
        Vec::new()
    } else {
        vec![ErrorEntry::not_found(table.object, &missing, None)]
    };
    batch::shuffle(ask, &mut found, |record| record.id);
    Ok(batch::envelope(ask, 200, &errors, found.into_iter(), |out, record| {
        push_record(out, ask.portal, table, record, &selection);
    }))
}

fn struck(ask: &Ask<'_>, table: &Table, id: u64) -> Option<FaultKind> {
    if ask.board.is_empty() {
        return None;
    }
    // Leaving a record out is a fault of writes; a read is struck only when the fault names it.
    let pick: fn(&FaultKind) -> bool = |kind| matches!(kind, FaultKind::Missing | FaultKind::Omit);
    let fault = ask.board.strike_record(ask.call.operation, table.object.names(), id, &[], pick)?;
    Some(fault.kind.clone())
}
