//! The field catalogue: pages and single fields of version 2, and the lists of version 1, which have the numbers that
//! conditions of filters name fields by.

use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::company::Ask;
use super::lead::V1Page;
use super::read::{at_position, limit, position};

/// When the fields of every company were made.
const MADE_MS: i64 = 1_700_000_000_000;
/// Most fields of a page.
const MAX_PAGE: usize = 500;

/// A page of fields.
pub(crate) fn list(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let include = ask.query.list("include_fields");
    let (limit, start) = (limit(ask, MAX_PAGE)?, position(ask)?);
    let store = ask.company.store();
    let fields: Vec<Value> = store.fields(ask.entity).map(|field| field.v2(&include)).collect();
    let end = start.saturating_add(limit).min(fields.len());
    let page = fields.get(start..end).unwrap_or_default();
    let next = (end < fields.len()).then(|| at_position(end));
    Ok(Answer::page(&json!(page), next))
}

/// One field by its code.
pub(crate) fn get(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let store = ask.company.store();
    let field = store.fields(ask.entity).find(|field| *field.code == *ask.key);
    let field = field.ok_or_else(|| Refusal::missing(ask.endpoint.version, 404, "Field"))?;
    Ok(Answer::data(&field.v2(&ask.query.list("include_fields"))))
}

/// A page of fields of version 1.
pub(crate) fn list_v1(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let page = V1Page::read(ask)?;
    let store = ask.company.store();
    let fields = (1..).zip(store.fields(ask.entity)).map(|(order, field)| field.v1(order, MADE_MS));
    Ok(page.answer(fields.collect()))
}
