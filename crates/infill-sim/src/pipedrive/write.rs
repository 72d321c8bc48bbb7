//! Creating, changing and deleting records. All faults of a body are told at once, and nothing of it is stored then.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::answer::{Answer, Refusal, timestamp};
use super::company::Ask;
use super::entity::Entity;
use super::fault::FaultKind;
use super::lead::take_custom;
use super::read::{View, show};
use super::report::Write;
use super::spec::{Operation, Version};
use super::store::{Record, STAGES, Store, answer_name, blank};
use super::value::{self, is_currency};

/// A value that a body sets.
#[derive(Debug)]
struct Change {
    name: Arc<str>,
    is_custom: bool,
    value: Value,
}

/// Checks a body and reads its changes.
fn judge(ask: &Ask<'_>, store: &Store, mut body: Map<String, Value>) -> Result<Vec<Change>, Refusal> {
    let is_v1 = ask.endpoint.version == Version::V1;
    let custom = if is_v1 {
        Value::Object(take_custom(store, &mut body, ask.entity))
    } else {
        body.remove("custom_fields").unwrap_or_else(|| json!({}))
    };
    let is_create = ask.endpoint.operation == Operation::Create;
    let (mut changes, mut faults) = (Vec::new(), Vec::new());
    for (name, sent) in &body {
        let field = ask.company.spec.body_field(ask.entity, name);
        let field = field.filter(|field| if is_create { field.on_create } else { field.on_update });
        match field {
            None if is_v1 => faults.push(format!("\"{name}\" is not allowed")),
            None => faults.push(format!("{name}: Parameter '{name}' is not allowed for this request")),
            Some(field) if field.contact_sync && !ask.company.config.contact_sync => {
                return Err(Refusal::forbidden(&format!(
                    "{name}: Contact Sync is not enabled for this company"
                )));
            }
            Some(field) => match value::built_in(field, ask.entity, sent, store) {
                Ok(value) => changes.push(Change { name: name.as_str().into(), is_custom: false, value }),
                Err(mismatch) if is_v1 => faults.push(mismatch.v1(name)),
                Err(mismatch) => faults.push(format!("{name}: {}", mismatch.v2())),
            },
        }
    }
    judge_custom(ask, store, &custom, &mut changes, &mut faults)?;
    if is_create {
        let missing = ask.company.spec.required(ask.entity).filter(|name| !body.contains_key(*name));
        faults.extend(missing.map(|name| {
            if is_v1 {
                format!("\"{name}\" is required")
            } else {
                format!("{name}: Parameter '{name}' is required")
            }
        }));
    }
    match faults.first() {
        None => Ok(changes),
        Some(first) if is_v1 => Err(Refusal::dataset(first)),
        Some(_) => Err(Refusal::validation(&faults)),
    }
}

fn judge_custom(
    ask: &Ask<'_>,
    store: &Store,
    custom: &Value,
    changes: &mut Vec<Change>,
    faults: &mut Vec<String>,
) -> Result<(), Refusal> {
    let Some(custom) = custom.as_object() else {
        faults.push("custom_fields: Expected 'object' as value".to_owned());
        return Ok(());
    };
    if custom.contains_key("custom_fields") {
        return Err(Refusal::internal());
    }
    for (code, sent) in custom {
        let Some(field) = store.custom(ask.entity).custom_by_code(code) else {
            faults.push(format!("custom_fields: Unknown key '{code}'"));
            continue;
        };
        match value::custom(field, sent, store) {
            Ok(value) => changes.push(Change { name: Arc::clone(&field.code), is_custom: true, value }),
            Err(mismatch) => {
                let named = if ask.company.config.switches.names_field_codes {
                    format!(" '{code}'")
                } else {
                    String::new()
                };
                faults.push(format!("custom_fields: {}{named}", mismatch.v2()));
            }
        }
    }
    Ok(())
}

fn apply(record: &mut Record, changes: &[Change]) {
    for change in changes {
        record.set(&change.name, change.is_custom, change.value.clone());
    }
}

/// What follows from a change within its record, and what must not be.
fn follow(
    ask: &Ask<'_>,
    store: &Store,
    before: Option<&Record>,
    record: &mut Record,
    changes: &[Change],
) -> Result<(), Refusal> {
    match ask.entity {
        Entity::Person => {
            follow_name(record);
            Ok(())
        }
        Entity::Deal => follow_deal(ask, store, before, record, changes),
        Entity::Lead => {
            let is_linked = record.link("person_id").is_some() || record.link("organization_id").is_some();
            if is_linked {
                Ok(())
            } else {
                Err(Refusal::dataset("\"value\" must contain at least one of [person_id, organization_id]"))
            }
        }
        Entity::Organization | Entity::Product | Entity::Activity => Ok(()),
    }
}

/// First and last name of a whole one.
/// The two parts of a person's name follow the whole.
pub(super) fn follow_name(person: &mut Record) {
    let name = person.value("name").as_str().unwrap_or_default().to_owned();
    let (first, last) = split_name(&name);
    person.values.insert("first_name".to_owned(), first);
    person.values.insert("last_name".to_owned(), last);
}

pub(crate) fn split_name(name: &str) -> (Value, Value) {
    match name.split_once(' ') {
        Some((first, last)) => (first.into(), last.into()),
        None => (name.into(), Value::Null),
    }
}

fn follow_deal(
    ask: &Ask<'_>,
    store: &Store,
    before: Option<&Record>,
    deal: &mut Record,
    changes: &[Change],
) -> Result<(), Refusal> {
    let sets = |name: &str| changes.iter().any(|change| &*change.name == name);
    let refuse = |what: &str, fault: &str| Err(Refusal::invalid(what, fault));
    if before.is_some_and(Record::is_archived) && deal.is_archived() {
        return refuse("id", "Archived deals cannot be edited");
    }
    if !is_currency(&deal.value("currency")) {
        return refuse("currency", "Expected a known currency");
    }
    if sets("lost_reason") && !deal.value("lost_reason").is_null() && deal.value("status") != "lost" {
        return refuse("lost_reason", "Lost reason can be set only when the status is lost");
    }
    let is_changed = |name: &str| before.is_none_or(|before| before.value(name) != deal.value(name));
    let (moved, settled, archived) =
        (is_changed("stage_id"), is_changed("status"), is_changed("is_archived"));
    let pipeline_of =
        |stage: Option<u64>| STAGES.iter().find(|(id, ..)| Some(*id) == stage).map(|(.., of)| *of);
    let (pipeline, stage) = (deal.link("pipeline_id"), deal.link("stage_id"));
    if pipeline_of(stage) != pipeline {
        if sets("pipeline_id") && sets("stage_id") {
            return refuse("stage_id", "The stage is not one of the pipeline");
        }
        if sets("stage_id") {
            deal.values.insert("pipeline_id".to_owned(), json!(pipeline_of(stage)));
        } else {
            let first = STAGES.iter().find(|(.., of)| Some(*of) == pipeline).map(|(id, ..)| *id);
            deal.values.insert("stage_id".to_owned(), json!(first));
        }
    }
    let now: Value = timestamp(ask.now_ms).into();
    if moved && before.is_some() {
        deal.values.insert("stage_change_time".to_owned(), now.clone());
    }
    if settled {
        let status = deal.value("status");
        for (name, holds) in
            [("won_time", status == "won"), ("lost_time", status == "lost"), ("close_time", status != "open")]
        {
            if !sets(name) {
                deal.values.insert(name.to_owned(), if holds { now.clone() } else { Value::Null });
            }
        }
    }
    if archived && !sets("archive_time") {
        deal.values.insert("archive_time".to_owned(), if deal.is_archived() { now } else { Value::Null });
    }
    if deal.values.remove("is_deleted") == Some(Value::Bool(true)) {
        deal.deleted_ms = Some(ask.now_ms);
    }
    if let Some(sum) = store.products_sum(deal.id) {
        if sets("value") && ask.company.config.switches.refuses_value_with_products {
            return refuse("value", "Deal value cannot be changed when products are attached");
        }
        deal.values.insert("value".to_owned(), sum.into());
    }
    Ok(())
}

/// `PATCH` of one record. The answer is the whole record.
pub(crate) fn update(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let body = ask.object()?;
    let mut store = ask.company.store_mut();
    let id = ask.live_id(&store)?;
    let changes = judge(ask, &store, body)?;
    refuse_bad_row(ask, &store)?;
    let before = store.table(ask.entity).live(id).ok_or_else(|| ask.not_found())?.clone();
    let mut sent = before.clone();
    apply(&mut sent, &changes);
    follow(ask, &store, Some(&before), &mut sent, &changes)?;
    if ask.effects.no_op {
        return Ok(answer(ask, &store, &before));
    }
    let is_changed = changes.iter().any(|change| before.value(&change.name) != sent.value(&change.name));
    if is_changed || !ask.company.config.switches.no_op_keeps_update_time {
        sent.updated_ms = ask.now_ms;
    }
    if ask.effects.phantom {
        return Ok(answer(ask, &store, &sent));
    }
    let mut stored = sent.clone();
    spoil(ask, &store, &mut stored, &changes);
    note(ask, &mut store, Some(&before), &stored, &changes);
    if let Some(record) = store.table_mut(ask.entity).find_mut(id) {
        *record = stored;
    }
    Ok(answer(ask, &store, &sent))
}

/// `POST` of one record.
pub(crate) fn create(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let body = ask.object()?;
    let mut store = ask.company.store_mut();
    let changes = judge(ask, &store, body)?;
    refuse_bad_row(ask, &store)?;
    let mut record = Record {
        id: 0,
        values: blank(ask.entity),
        custom: BTreeMap::new(),
        added_ms: ask.now_ms,
        updated_ms: ask.now_ms,
        deleted_ms: None,
    };
    apply(&mut record, &changes);
    let added = record.values.remove("add_time").and_then(|at| value::whole_seconds(at.as_str()?));
    follow(ask, &store, None, &mut record, &changes)?;
    if ask.effects.no_op || ask.effects.phantom {
        return Ok(with_status(ask, answer(ask, &store, &record)));
    }
    spoil(ask, &store, &mut record, &changes);
    let table = store.table_mut(ask.entity);
    let id = table.add(None, record.values, record.custom, ask.now_ms);
    if let (Some(record), Some(added_ms)) = (table.find_mut(id), added) {
        record.added_ms = added_ms;
    }
    let stored = table.find(id).cloned().ok_or_else(|| ask.not_found())?;
    note(ask, &mut store, None, &stored, &changes);
    Ok(with_status(ask, answer(ask, &store, &stored)))
}

/// The API's description says 201 of leads and products, and 200 of the rest.
fn with_status(ask: &Ask<'_>, mut answer: Answer) -> Answer {
    if matches!(ask.entity, Entity::Lead | Entity::Product) {
        answer.status = 201;
    }
    answer
}

/// `DELETE` of one record, which stays for a while as deleted.
pub(crate) fn delete(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let mut store = ask.company.store_mut();
    let id = ask.live_id(&store)?;
    let key = store.key(ask.entity, id);
    if !ask.effects.no_op
        && !ask.effects.phantom
        && let Some(record) = store.table_mut(ask.entity).find_mut(id)
    {
        record.deleted_ms = Some(ask.now_ms);
    }
    let id = if ask.entity == Entity::Lead { key.into() } else { json!(id) };
    Ok(Answer::data(&json!({"id": id})))
}

fn answer(ask: &Ask<'_>, store: &Store, record: &Record) -> Answer {
    if ask.entity == Entity::Lead {
        return Answer::data(&store.lead(record));
    }
    Answer::data(&show(ask, store, record, &View::default()))
}

/// Enters the changes into the ledger.
fn note(ask: &Ask<'_>, store: &mut Store, before: Option<&Record>, stored: &Record, changes: &[Change]) {
    let record = store.key(ask.entity, stored.id);
    let writes = changes.iter().map(|change| Write {
        at_ms: ask.now_ms,
        object: ask.entity.plural(),
        record: record.clone(),
        field: Arc::clone(&change.name),
        old: before.map_or(Value::Null, |before| before.value(&change.name)),
        new: stored.value(&change.name),
        operation: ask.endpoint.operation,
    });
    store.ledger.extend(writes);
}

/// The refusal of a record that a fault calls bad.
fn refuse_bad_row(ask: &Ask<'_>, store: &Store) -> Result<(), Refusal> {
    let Some(fault) = ask.effects.bad_row else { return Ok(()) };
    let word = fault.target.field.as_deref().unwrap_or("name");
    let code = store.field(ask.entity, word).map_or(word, |field| &*field.code);
    let text = format!("Expected 'number' as value for single option custom field '{code}'");
    Err(Refusal::invalid("custom_fields", &text))
}

/// Replaces what a fault stores in place of the sent value.
fn spoil(ask: &Ask<'_>, store: &Store, record: &mut Record, changes: &[Change]) {
    let Some(fault) = ask.effects.differs else { return };
    let FaultKind::Differs(given) = &fault.kind else { return };
    let target = fault.target.field.as_deref();
    let code = target.and_then(|word| store.field(ask.entity, word)).map(|field| answer_name(&field.code));
    for change in changes {
        if target.is_none() || code == Some(&*change.name) {
            let other = match given {
                Some(text) => serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into()),
                None => changed(&change.value),
            };
            record.set(&change.name, change.is_custom, other);
        }
    }
}

/// Another value of the same type, where that is easy.
fn changed(value: &Value) -> Value {
    match value {
        Value::String(text) => format!("{text} (changed)").into(),
        Value::Number(number) => number.as_f64().map_or(Value::Null, |number| json!(number + 1.0)),
        Value::Bool(is_true) => (!is_true).into(),
        Value::Null | Value::Array(_) | Value::Object(_) => Value::Null,
    }
}

/// The products of a deal.
pub(crate) fn products(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let store = ask.company.store();
    let id = ask.live_id(&store)?;
    Ok(Answer::page(&json!(store.attached.get(&id).cloned().unwrap_or_default()), None))
}

/// Attaches a product to a deal, whose value is computed from then on.
pub(crate) fn attach(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let body = ask.object()?;
    let mut store = ask.company.store_mut();
    let id = ask.live_id(&store)?;
    let number = |name: &str| {
        let sent = body.get(name).and_then(Value::as_f64);
        sent.ok_or_else(|| Refusal::invalid(name, "Expected 'number' as value"))
    };
    let (price, quantity) = (number("item_price")?, number("quantity")?);
    let product = body.get("product_id").and_then(Value::as_u64);
    let product = product.and_then(|product| store.table(Entity::Product).live(product));
    let product = product.ok_or_else(|| Refusal::invalid("product_id", "product was not found"))?;
    let line = json!({
        "id": store.attached.values().map(Vec::len).sum::<usize>() + 1, "deal_id": id, "product_id": product.id,
        "name": product.value("name"), "item_price": price, "quantity": quantity, "sum": price * quantity, "tax": 0,
        "discount": 0, "discount_type": "percentage", "tax_method": "inclusive", "is_enabled": true,
        "product_variation_id": null, "currency": "USD", "comments": "", "add_time": timestamp(ask.now_ms),
        "update_time": timestamp(ask.now_ms), "billing_frequency": "one-time", "billing_frequency_cycles": null,
        "billing_start_date": null,
    });
    store.attached.entry(id).or_default().push(line.clone());
    let sum = store.products_sum(id);
    if let Some(deal) = store.table_mut(Entity::Deal).find_mut(id) {
        deal.values.insert("value".to_owned(), json!(sum));
        deal.updated_ms = ask.now_ms;
    }
    Ok(Answer { status: 201, ..Answer::data(&line) })
}
