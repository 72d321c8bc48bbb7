//! Calls about one record: get, create, update, upsert by a key field, delete.

use serde_json::{Map, Value, json};

use super::answer::{Answer, Refusal};
use super::board::Struck;
use super::describe::{http_date, parse_http_date};
use super::fault::FaultKind;
use super::org::Ask;
use super::record::Record;
use super::select::{Path, no_such_column, show};
use super::store::{Found, Store, Table};
use super::value::{Given, RowError};
use super::write::{Row, Save, Saved, Verb, save};

/// From this version on, an upsert that updated answers with a body.
const UPSERT_BODY_SINCE: u16 = 46;

/// How a call of the REST API saves rows.
pub(crate) fn rest_save<'a>(ask: &Ask<'a>, verb: Verb, all_or_none: bool) -> Save<'a> {
    let assigns = !ask.header("sforce-auto-assign").is_some_and(|value| value.eq_ignore_ascii_case("false"));
    let allows = ask.header_part("sforce-duplicate-rule-header", "allowSave");
    Save {
        org: ask.org,
        board: ask.board,
        operation: ask.call.operation,
        verb,
        all_or_none,
        assigns,
        allows_duplicates: allows.is_some_and(|value| value.eq_ignore_ascii_case("true")),
        now_ms: ask.now_ms,
        nth: ask.nth,
    }
}

/// The fields of a row out of a JSON object, without its id and attributes.
pub(crate) fn fields(body: &Map<String, Value>) -> Vec<(String, Given<'_>)> {
    let is_field = |name: &str| name != "attributes" && !name.eq_ignore_ascii_case("id");
    body.iter()
        .filter(|(name, _)| is_field(name))
        .map(|(name, value)| (name.clone(), Given::Json(value)))
        .collect()
}

/// The id of a row out of a JSON object.
pub(crate) fn row_id(body: &Map<String, Value>) -> Option<String> {
    let id = body.iter().find(|(name, _)| name.eq_ignore_ascii_case("id")).map(|(_, value)| value);
    id.and_then(Value::as_str).map(str::to_owned)
}

fn save_row(ask: &Ask<'_>, store: &mut Store, verb: Verb, row: Row<'_>) -> Result<Saved, Refusal> {
    let saved = save(&rest_save(ask, verb, false), store, &[row])?;
    let one = saved.into_iter().next().ok_or_else(Refusal::not_found)?;
    if one.is_success() { Ok(one) } else { Err(refuse(ask, one.errors)) }
}

/// The errors of the only row as the answer to its call.
fn refuse(ask: &Ask<'_>, errors: Vec<RowError>) -> Refusal {
    let is_gone = errors.iter().any(|error| error.code == ask.org.config.switches.missing_row_code);
    let is_duplicate = errors.iter().any(|error| error.code == "DUPLICATES_DETECTED");
    if is_gone && ask.call.detail.is_empty() && errors.iter().all(|error| error.fields.is_empty()) {
        return Refusal::not_found();
    }
    let mut refusal = Refusal::of_row(errors);
    if is_duplicate {
        let result = json!({"allowSave": true, "duplicateRule": "Standard_Duplicate_Rule", "duplicateRuleEntityType": ask.call.object,
                            "errorMessage": "Use one of these records?", "matchResults": []});
        refusal.extra.insert("duplicateResult".to_owned(), result);
    }
    refusal
}

/// The record that a path names, by id or by a key field.
fn named<'s>(ask: &Ask<'_>, table: &'s Table) -> Result<&'s Record, Refusal> {
    let number = if ask.call.detail.is_empty() {
        table.number_of(&ask.call.key).flatten().ok_or_else(Refusal::not_found)?
    } else {
        match key_holders(ask, table)?.as_slice() {
            [] => return Err(Refusal::not_found()),
            [number] => *number,
            several => return Err(several_match(ask, table, several)),
        }
    };
    let id = table.id_of(number);
    let struck =
        Struck { operation: ask.call.operation, object: table.object.name, id: &id, number, sent: &[] };
    if ask.board.strike_record(struck, |kind| *kind == FaultKind::Missing).is_some() {
        return Err(Refusal::not_found());
    }
    match table.find(number) {
        Found::Live(record) => Ok(record),
        Found::Deleted => Err(Refusal::new(404, "ENTITY_IS_DELETED", "entity is deleted")),
        Found::Missing => Err(Refusal::not_found()),
    }
}

fn key_holders(ask: &Ask<'_>, table: &Table) -> Result<Vec<u64>, Refusal> {
    let found = table.catalog.find(&ask.call.key).filter(|(_, field)| field.is_key());
    let Some((key, _)) = found else {
        let message =
            format!("Provided external ID field does not exist or is not accessible: {}", ask.call.key);
        return Err(Refusal::new(404, "NOT_FOUND", message));
    };
    Ok(table.holders(key, &ask.call.detail))
}

/// The answer whose body is a list of addresses; it is a refusal because nothing was done.
fn several_match(ask: &Ask<'_>, table: &Table, numbers: &[u64]) -> Refusal {
    let mut refusal = Refusal::new(300, "", "");
    let base = format!("/services/data/v{}/sobjects/{}", ask.call.version_text(), table.object.name);
    let urls = numbers.iter().map(|number| format!("{base}/{}", table.id_of(*number)).into());
    refusal.extra.insert("urls".to_owned(), Value::Array(urls.collect()));
    refusal
}

/// Answers 300 with its list of addresses, and other refusals as they are.
fn or_several(result: Result<Answer, Refusal>) -> Result<Answer, Refusal> {
    match result {
        Err(refusal) if refusal.status == 300 => {
            Ok(Answer::value(300, refusal.extra.get("urls").unwrap_or(&Value::Null)))
        }
        other => other,
    }
}

/// Every path of a table, or those named; the first unknown name refuses the call.
pub(crate) fn paths(table: &Table, names: Option<&[&str]>) -> Result<Vec<Path>, Refusal> {
    let Some(names) = names else {
        return Ok(table.catalog.iter().map(|(_, field)| vec![field.name.clone()]).collect());
    };
    let path = |name: &&str| match table.catalog.find(name) {
        Some((_, field)) => Ok(vec![field.name.clone()]),
        None => Err(Refusal::new(400, "INVALID_FIELD", no_such_column(name, table.object.name))),
    };
    names.iter().map(path).collect()
}

/// `GET /sobjects/{object}/{id}?fields=`, and by a key field.
pub(crate) fn get(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    or_several(get_one(ask))
}

fn get_one(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let store = ask.org.store();
    let table = ask.table(&store)?;
    let record = named(ask, table)?;
    let since = ask.header("if-modified-since").and_then(parse_http_date);
    let last_modified = http_date(record.modified_ms);
    if since.is_some_and(|since_s| record.modified_ms.div_euclid(1_000) <= since_s) {
        return Ok(Answer::empty(304).with("last-modified", last_modified));
    }
    let names = ask.query.list("fields");
    let paths = paths(table, Some(names.as_slice()).filter(|names| !names.is_empty()))?;
    let body = show(&store, table, record, &paths, &ask.call.version_text());
    Ok(Answer::value(200, &body).with("last-modified", last_modified))
}

fn saved_body(saved: &Saved) -> Value {
    json!({"id": saved.id, "success": true, "errors": []})
}

/// `POST /sobjects/{object}`
pub(crate) fn create(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let body: Map<String, Value> = ask.json()?;
    ask.org.change(|store| {
        let object = ask.table(store)?.object.name.to_owned();
        let row = Row { object, id: None, fields: fields(&body) };
        let saved = save_row(ask, store, Verb::Insert, row)?;
        Ok(Answer::value(201, &saved_body(&saved)))
    })
}

/// `PATCH /sobjects/{object}/{id}`, with `If-Unmodified-Since`.
pub(crate) fn update(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let body: Map<String, Value> = ask.json()?;
    if body.keys().any(|name| name.eq_ignore_ascii_case("id")) {
        let message = "The Id field should not be specified in the sobject data.";
        return Err(Refusal { fields: vec!["Id".to_owned()], ..Refusal::new(400, "INVALID_FIELD", message) });
    }
    ask.org.change(|store| {
        let table = ask.table(store)?;
        let since = ask.header("if-unmodified-since").and_then(parse_http_date);
        let number = table.number_of(&ask.call.key).flatten();
        let record = number.and_then(|number| table.get(number));
        if let (Some(since_s), Some(record)) = (since, record)
            && record.modified_ms.div_euclid(1_000) > since_s
        {
            return Ok(Answer::empty(412));
        }
        let object = table.object.name.to_owned();
        let row = Row { object, id: Some(ask.call.key.clone()), fields: fields(&body) };
        save_row(ask, store, Verb::Update, row)?;
        Ok(Answer::empty(204))
    })
}

/// `PATCH /sobjects/{object}/{field}/{value}?updateOnly=`
pub(crate) fn upsert(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let body: Map<String, Value> = ask.json()?;
    or_several(ask.org.change(|store| {
        let table = ask.table(store)?;
        let object = table.object.name.to_owned();
        if body.keys().any(|name| name.eq_ignore_ascii_case(&ask.call.key) || name.eq_ignore_ascii_case("id"))
        {
            let message = format!("The {} field should not be specified in the sobject data.", ask.call.key);
            return Err(Refusal::new(400, "INVALID_FIELD", message));
        }
        let value = Value::String(ask.call.detail.clone());
        let mut fields = fields(&body);
        let update_only = ask.query.is_true("updateOnly");
        let (verb, id) = match key_holders(ask, table)?.as_slice() {
            [] if update_only => return Err(Refusal::not_found()),
            [] => {
                fields.push((ask.call.key.clone(), Given::Json(&value)));
                (Verb::Insert, None)
            }
            [number] => (Verb::Update, Some(table.id_of(*number))),
            several => return Err(several_match(ask, table, several)),
        };
        let saved = save_row(ask, store, verb, Row { object, id, fields })?;
        if !saved.created && ask.call.version < UPSERT_BODY_SINCE {
            return Ok(Answer::empty(204));
        }
        let mut body = saved_body(&saved);
        if let Value::Object(body) = &mut body {
            body.insert("created".to_owned(), saved.created.into());
        }
        Ok(Answer::value(if saved.created { 201 } else { 200 }, &body))
    }))
}

/// `DELETE /sobjects/{object}/{id}`: into the recycle bin.
pub(crate) fn delete(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    ask.org.change(|store| {
        let object = ask.table(store)?.object.name.to_owned();
        let row = Row { object, id: Some(ask.call.key.clone()), fields: Vec::new() };
        save_row(ask, store, Verb::Delete, row)?;
        Ok(Answer::empty(204))
    })
}
