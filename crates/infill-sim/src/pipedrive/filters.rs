//! The filters of version 1: list, get, create, change, delete, and the operators they may use.

use serde_json::{Map, Value, json};

use super::answer::{Answer, Refusal};
use super::company::Ask;
use super::entity::Entity;
use super::filter::{Filter, OPERATORS, operator_label, parse};
use super::spec::Version;
use super::store::{ME, Store};

fn not_found() -> Refusal {
    Refusal::missing(Version::V1, 404, "Filter")
}

fn own<'s>(ask: &Ask<'_>, store: &'s Store) -> Result<&'s Filter, Refusal> {
    let filter = ask.key.parse().ok().and_then(|id: u64| store.filters.get(&id));
    filter.filter(|filter| filter.user_id == ME).ok_or_else(not_found)
}

/// The filters that the user sees.
pub(crate) fn list(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let of_type = ask.query.first("type");
    let entity = match of_type {
        None => None,
        Some(word) => Some(
            Entity::of_filter_type(word)
                .ok_or_else(|| ask.bad_parameter("type", "must be one of the filter types"))?,
        ),
    };
    let store = ask.company.store();
    let seen = store.filters.values().filter(|filter| filter.user_id == ME);
    let shown =
        seen.filter(|filter| entity.is_none_or(|entity| filter.entity == entity)).map(Filter::json).collect();
    Ok(Answer::data(&shown))
}

/// One filter with its conditions.
pub(crate) fn get(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let store = ask.company.store();
    Ok(Answer::data(&own(ask, &store)?.full_json(ask.query.is_true("include_field_code"))))
}

/// A new filter.
pub(crate) fn create(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let body = ask.object()?;
    let entity = body.get("type").and_then(Value::as_str).and_then(Entity::of_filter_type);
    let entity = entity.ok_or_else(|| Refusal::dataset("\"type\" must be one of the filter types"))?;
    let name = name(&body)?.ok_or_else(|| Refusal::dataset("\"name\" is required"))?;
    let conditions = body.get("conditions").ok_or_else(|| Refusal::dataset("\"conditions\" is required"))?;
    let mut store = ask.company.store_mut();
    let (all_of, any_of) = parse(&store, conditions).map_err(|fault| Refusal::dataset(&fault))?;
    let id = store.filters.keys().last().map_or(1, |last| last + 1);
    let filter =
        Filter { id, name, entity, user_id: ME, all_of, any_of, made_ms: ask.now_ms, updated_ms: ask.now_ms };
    let shown = filter.full_json(ask.query.is_true("include_field_code"));
    store.filters.insert(id, filter);
    Ok(Answer::data(&shown))
}

/// Changes the name or the conditions of a filter.
pub(crate) fn update(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let body = ask.object()?;
    let name = name(&body)?;
    let mut store = ask.company.store_mut();
    let mut filter = own(ask, &store)?.clone();
    if let Some(conditions) = body.get("conditions") {
        (filter.all_of, filter.any_of) =
            parse(&store, conditions).map_err(|fault| Refusal::dataset(&fault))?;
    }
    if let Some(name) = name {
        filter.name = name;
    }
    filter.updated_ms = ask.now_ms;
    let shown = filter.full_json(ask.query.is_true("include_field_code"));
    store.filters.insert(filter.id, filter);
    Ok(Answer::data(&shown))
}

/// Deletes a filter.
pub(crate) fn delete(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let mut store = ask.company.store_mut();
    let id = own(ask, &store)?.id;
    store.filters.remove(&id);
    Ok(Answer::data(&json!({"id": id})))
}

fn name(body: &Map<String, Value>) -> Result<Option<String>, Refusal> {
    match body.get("name") {
        None => Ok(None),
        Some(Value::String(name)) => Ok(Some(name.clone())),
        Some(_) => Err(Refusal::dataset("\"name\" must be a string")),
    }
}

/// The operators per type of field.
pub(crate) fn helpers() -> Answer {
    let labels = |operators: &[&str]| -> Map<String, Value> {
        operators.iter().map(|operator| ((*operator).to_owned(), operator_label(operator).into())).collect()
    };
    let operators: Map<String, Value> =
        OPERATORS.iter().map(|(kind, operators)| ((*kind).to_owned(), labels(operators).into())).collect();
    let deprecated = labels(&["NOT LIKE '%$%'", "LIKE '%$'", "NOT LIKE '%$'"]);
    Answer::data(&json!({"operators": operators, "deprecated_operators": deprecated}))
}
