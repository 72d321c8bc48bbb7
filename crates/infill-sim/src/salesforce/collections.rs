//! sObject Collections: up to 200 records written, or 2,000 read, in one call.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::{Answer, Refusal, row_errors};
use super::board::Struck;
use super::fault::FaultKind;
use super::id;
use super::org::Ask;
use super::record_call::{fields, paths, rest_save, row_id};
use super::select::show;
use super::store::Found;
use super::write::{Row, Saved, Verb, save};

const MAX_WRITTEN: usize = 200;
const MAX_READ: usize = 2_000;
/// Runs of one object within a call.
const MAX_CHUNKS: usize = 10;

fn default_false() -> Value {
    Value::Bool(false)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    #[serde(default = "default_false")]
    all_or_none: Value,
    #[serde(default)]
    records: Vec<Map<String, Value>>,
}

#[derive(Debug, Deserialize)]
struct Retrieve {
    #[serde(default)]
    ids: Vec<String>,
    #[serde(default)]
    fields: Vec<String>,
}

fn too_many(max: usize) -> Refusal {
    let message = format!("record limit reached. cannot submit more than {max} records into this call");
    Refusal::new(400, "EXCEEDED_ID_LIMIT", message)
}

fn object_of(record: &Map<String, Value>) -> Option<&str> {
    record.get("attributes").and_then(|attributes| attributes.get("type")).and_then(Value::as_str)
}

/// `POST` and `PATCH /composite/sobjects`, and `PATCH /composite/sobjects/{object}/{field}`.
pub(crate) fn save_all(ask: &Ask<'_>, verb: Verb) -> Result<Answer, Refusal> {
    let body: Written = ask.json()?;
    check_size(&body.records)?;
    let is_upsert = matches!(verb, Verb::Upsert { .. });
    let rows: Vec<Row<'_>> = body
        .records
        .iter()
        .map(|record| Row {
            object: object_of(record).unwrap_or_default().to_owned(),
            id: row_id(record).filter(|_| verb != Verb::Insert),
            fields: fields(record),
        })
        .collect();
    if is_upsert && rows.iter().any(|row| !row.object.eq_ignore_ascii_case(&ask.call.object)) {
        let message = format!("all records must be of type {}", ask.call.object);
        return Err(Refusal::new(400, "INVALID_TYPE", message));
    }
    let all_or_none = body.all_or_none.as_bool() == Some(true);
    let saved = ask.org.change(|store| save(&rest_save(ask, verb, all_or_none), store, &rows))?;
    let shown = saved.iter().map(|saved| result(ask, saved, is_upsert));
    Ok(Answer::value(200, &Value::Array(shown.collect())))
}

fn check_size(records: &[Map<String, Value>]) -> Result<(), Refusal> {
    if records.is_empty() {
        return Err(Refusal::new(400, "REQUIRED_FIELD_MISSING", "At least 1 record is required"));
    }
    if records.len() > MAX_WRITTEN {
        return Err(too_many(MAX_WRITTEN));
    }
    let objects: Vec<Option<&str>> = records.iter().map(object_of).collect();
    if objects.iter().any(Option::is_none) {
        return Err(Refusal::new(
            400,
            "INVALID_FIELD",
            "sObject type is required in the attributes of every record",
        ));
    }
    let n_chunks = 1 + objects.windows(2).filter(|pair| pair.first() != pair.last()).count();
    if n_chunks > MAX_CHUNKS {
        let message = format!(
            "Cannot have more than {MAX_CHUNKS} chunks in a single operation. Please rearrange the data to reduce chunking."
        );
        return Err(Refusal::new(400, "LIMIT_EXCEEDED", message));
    }
    Ok(())
}

fn result(ask: &Ask<'_>, saved: &Saved, is_upsert: bool) -> Value {
    let mut shown = json!({"success": saved.is_success(), "errors": row_errors(&saved.errors)});
    if let Value::Object(shown) = &mut shown {
        if saved.is_success() || ask.org.config.switches.null_ids || saved.id.is_some() {
            shown.insert("id".to_owned(), saved.id.clone().into());
        }
        if is_upsert {
            shown.insert("created".to_owned(), saved.created.into());
        }
    }
    shown
}

/// `DELETE /composite/sobjects?ids=&allOrNone=`
pub(crate) fn delete(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let ids = ask.query.list("ids");
    if ids.len() > MAX_WRITTEN {
        return Err(too_many(MAX_WRITTEN));
    }
    let saved = ask.org.change(|store| {
        let object_of = |text: &str| {
            let prefix = id::parse(text).map(|id| id.prefix).unwrap_or_default();
            let found = store.tables().iter().find(|table| table.object.prefix == prefix);
            found.map(|table| table.object.name.to_owned()).unwrap_or_default()
        };
        let rows: Vec<Row<'_>> = ids
            .iter()
            .map(|id| Row { object: object_of(id), id: Some((*id).to_owned()), fields: Vec::new() })
            .collect();
        save(&rest_save(ask, Verb::Delete, ask.query.is_true("allOrNone")), store, &rows)
    })?;
    let shown = saved.iter().map(|saved| result(ask, saved, false));
    Ok(Answer::value(200, &Value::Array(shown.collect())))
}

/// `POST /composite/sobjects/{object}`, and `GET` with `ids` and `fields`.
pub(crate) fn retrieve(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let asked = if ask.body.is_empty() {
        let list = |key: &str| ask.query.list(key).into_iter().map(str::to_owned).collect();
        Retrieve { ids: list("ids"), fields: list("fields") }
    } else {
        ask.json()?
    };
    if asked.ids.is_empty() || asked.fields.is_empty() {
        let message = if asked.ids.is_empty() {
            "ids is a required parameter"
        } else {
            "fields is a required parameter"
        };
        return Err(Refusal::new(400, "MISSING_ARGUMENT", message));
    }
    if asked.ids.len() > MAX_READ {
        return Err(too_many(MAX_READ));
    }
    let store = ask.org.store();
    let table = ask.table(&store)?;
    let names: Vec<&str> = asked.fields.iter().map(String::as_str).collect();
    let paths = paths(table, Some(&names))?;
    let version = ask.call.version_text();
    let mut shown = Vec::with_capacity(asked.ids.len());
    for text in &asked.ids {
        let Some(number) = table.number_of(text) else {
            return Err(Refusal::new(400, "MALFORMED_ID", format!("malformed id {text}")));
        };
        let found = number.map(|number| (number, table.find(number)));
        shown.push(match found {
            Some((number, Found::Live(record)))
                if !is_hidden(ask, table.object.name, &table.id_of(number), number) =>
            {
                show(&store, table, record, &paths, &version)
            }
            Some(_) | None => Value::Null,
        });
    }
    Ok(Answer::value(200, &Value::Array(shown)))
}

fn is_hidden(ask: &Ask<'_>, object: &str, id: &str, number: u64) -> bool {
    let struck = Struck { operation: ask.call.operation, object, id, number, sent: &[] };
    ask.board.strike_record(struck, |kind| *kind == FaultKind::Missing).is_some()
}
