//! Search by a term in the names, mail addresses, phones, notes and custom texts of records.

use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::company::Ask;
use super::entity::Entity;
use super::read::{MAX_PAGE, at_position, limit, position};
use super::store::{Record, Store};

/// Fewest characters of a term, unless it must match exactly.
const MIN_TERM: usize = 2;

/// `GET /api/v2/{records}/search`.
pub(crate) fn search(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let exact = ask.query.is_true("exact_match");
    let term = ask.query.first("term").unwrap_or_default().trim().to_lowercase();
    let at_least = if exact { 1 } else { MIN_TERM };
    if term.chars().count() < at_least {
        return Err(ask.bad_parameter("term", &format!("Expected at least {at_least} characters")));
    }
    let (limit, start) = (limit(ask, MAX_PAGE)?, position(ask)?);
    let links = [("person_id", "person_id"), ("organization_id", ask.entity.organization_field())];
    let mut linked = Vec::new();
    for (parameter, field) in links {
        if let Some(id) = ask.number(parameter)? {
            linked.push((field, id));
        }
    }
    let fields = ask.query.list("fields");
    let store = ask.company.store();
    let is_hit = |record: &&Record| {
        let in_links = linked.iter().all(|(field, id)| record.link(field) == Some(*id));
        let matches = |text: &String| if exact { *text == term } else { text.contains(&term) };
        record.deleted_ms.is_none()
            && in_links
            && texts(&store, ask.entity, record, &fields).iter().any(matches)
    };
    let hits: Vec<&Record> = store.table(ask.entity).records().iter().filter(is_hit).collect();
    let end = start.saturating_add(limit).min(hits.len());
    let items: Vec<Value> = hits
        .get(start..end)
        .unwrap_or_default()
        .iter()
        .map(|record| json!({"result_score": 1.0, "item": item(&store, ask.entity, record)}))
        .collect();
    let next = (end < hits.len()).then(|| at_position(end));
    Ok(Answer::page(&json!({"items": items}), next))
}

/// The texts of a record that are searched, in small letters.
fn texts(store: &Store, entity: Entity, record: &Record, fields: &[&str]) -> Vec<String> {
    let wants = |name: &str| fields.is_empty() || fields.contains(&name);
    let text = |value: &Value| value.as_str().map(str::to_lowercase);
    let mut texts = Vec::new();
    for (field, name) in [
        ("name", entity.title_field()),
        ("title", entity.title_field()),
        ("code", "code"),
        ("notes", "notes"),
    ] {
        if wants(field) {
            texts.extend(record.values.get(name).and_then(text));
        }
    }
    for (field, name) in [("email", "emails"), ("phone", "phones")] {
        if wants(field) {
            texts.extend(values(record, name).iter().filter_map(text));
        }
    }
    if wants("address") {
        texts.extend(record.values.get("address").and_then(|address| address.get("value")).and_then(text));
    }
    if wants("custom_fields") {
        let searched = store.custom(entity).custom().filter(|field| {
            matches!(
                field.kind.as_str(),
                "varchar" | "varchar_auto" | "text" | "phone" | "double" | "monetary" | "address"
            )
        });
        texts.extend(searched.filter_map(|field| record.custom.get(&field.code)).filter_map(text));
    }
    texts
}

/// The values of mail addresses or phones.
fn values(record: &Record, name: &str) -> Vec<Value> {
    let entries = record.values.get(name).and_then(Value::as_array);
    entries.into_iter().flatten().filter_map(|entry| entry.get("value")).cloned().collect()
}

fn item(store: &Store, entity: Entity, record: &Record) -> Value {
    let value = |name: &str| record.value(name);
    let linked = |to: Entity, name: &str| {
        let found = record.link(name).and_then(|id| store.table(to).live(id));
        found.map_or(Value::Null, |found| json!({"id": found.id, "name": found.value(to.title_field())}))
    };
    let organization = || linked(Entity::Organization, entity.organization_field());
    let mut item = json!({
        "id": record.id, "type": entity.singular(), "visible_to": value("visible_to"),
        "owner": {"id": value("owner_id")}, "custom_fields": [],
    });
    let more = match entity {
        Entity::Person => json!({
            "name": value("name"), "phones": values(record, "phones"), "emails": values(record, "emails"),
            "organization": organization(), "notes": [],
        }),
        Entity::Organization => json!({
            "name": value("name"), "address": value("address").get("value").cloned(), "notes": [],
        }),
        Entity::Deal => json!({
            "title": value("title"), "value": value("value"), "currency": value("currency"),
            "status": value("status"), "stage": {"id": value("stage_id")},
            "person": linked(Entity::Person, "person_id"), "organization": organization(), "notes": [],
            "is_archived": value("is_archived"),
        }),
        Entity::Product => json!({"name": value("name"), "code": value("code")}),
        Entity::Lead => json!({
            "id": store.key(entity, record.id), "title": value("title"), "person": linked(Entity::Person, "person_id"),
            "organization": organization(), "phones": [], "emails": [], "notes": [],
            "value": value("value").get("amount").cloned(), "currency": value("value").get("currency").cloned(),
            "visible_to": 3, "is_archived": value("is_archived"),
        }),
        Entity::Activity => json!({}),
    };
    if let (Some(item), Value::Object(more)) = (item.as_object_mut(), more) {
        item.extend(more);
    }
    item
}
