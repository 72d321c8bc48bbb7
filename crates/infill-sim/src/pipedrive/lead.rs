//! Leads, which version 1 alone reads and writes: paging by `start`, and custom values beside the built-in ones in the flat
//! form of version 1.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use super::answer::{Answer, Refusal};
use super::catalog::{ADDRESS_PARTS, Field, plain};
use super::company::Ask;
use super::read::{DEFAULT_PAGE, MAX_PAGE, Wanted};
use super::store::{Record, Store};

/// A page of version 1.
#[derive(Debug)]
pub(crate) struct V1Page {
    start: usize,
    limit: usize,
}

impl V1Page {
    /// Reads `start` and `limit`; a limit above the maximum is cut.
    pub(crate) fn read(ask: &Ask<'_>) -> Result<Self, Refusal> {
        let number = |name: &str, else_: usize| -> Result<usize, Refusal> {
            Ok(ask.number(name)?.map_or(else_, |given| usize::try_from(given).unwrap_or(usize::MAX)))
        };
        Ok(Self { start: number("start", 0)?, limit: number("limit", DEFAULT_PAGE)?.clamp(1, MAX_PAGE) })
    }

    /// The page out of everything.
    pub(crate) fn answer(&self, all: Vec<Value>) -> Answer {
        let end = self.start.saturating_add(self.limit);
        let has_more = all.len() > end;
        let page: Vec<Value> = all.into_iter().skip(self.start).take(self.limit).collect();
        let mut pagination =
            json!({"start": self.start, "limit": self.limit, "more_items_in_collection": has_more});
        if has_more && let Some(pagination) = pagination.as_object_mut() {
            pagination.insert("next_start".to_owned(), end.into());
        }
        Answer::value(
            200,
            &json!({"success": true, "data": page, "additional_data": {"pagination": pagination}}),
        )
    }
}

/// A page of leads, oldest first unless sorted otherwise; archived ones are listed apart.
pub(crate) fn list(ask: &Ask<'_>, archived: bool) -> Result<Answer, Refusal> {
    let page = V1Page::read(ask)?;
    let store = ask.company.store();
    let wanted = Wanted::read(ask, &store, archived)?;
    let mut leads: Vec<&Record> =
        store.table(ask.entity).records().iter().filter(|lead| wanted.wants(ask, &store, lead)).collect();
    if let Some(sort) = ask.query.first("sort") {
        let (field, direction) = sort.split_once(' ').unwrap_or((sort, "ASC"));
        leads.sort_by(|a, b| order(&a.value(field), &b.value(field)));
        if direction.eq_ignore_ascii_case("desc") {
            leads.reverse();
        }
    }
    Ok(page.answer(leads.into_iter().map(|lead| store.lead(lead)).collect()))
}

fn order(a: &Value, b: &Value) -> Ordering {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => plain(a).cmp(&plain(b)),
    }
}

/// Puts a custom value into a lead in the flat form of version 1.
pub(crate) fn flatten(lead: &mut Map<String, Value>, field: &Field, value: &Value) {
    let mut put = |suffix: &str, value: Value| {
        lead.insert(format!("{}{suffix}", field.code), value);
    };
    let part = |name: &str| value.get(name).cloned().unwrap_or(Value::Null);
    match field.kind.as_str() {
        "enum" => put("", plain(value).into()),
        "set" => {
            let ids: Vec<String> = value.as_array().into_iter().flatten().map(plain).collect();
            put("", ids.join(",").into());
        }
        "monetary" => {
            put("", part("value"));
            put("_currency", part("currency"));
        }
        "daterange" | "timerange" => {
            put("", part("value"));
            put("_until", part("until"));
        }
        "time" => put("", part("value")),
        "address" => {
            put("", part("value"));
            ADDRESS_PARTS.iter().for_each(|name| put(&format!("_{name}"), part(name)));
        }
        _ => put("", value.clone()),
    }
}

/// Takes the custom values out of the body of a lead and gives them the form of version 2.
pub(crate) fn take_custom(
    store: &Store,
    body: &mut Map<String, Value>,
    entity: super::Entity,
) -> Map<String, Value> {
    let mut custom = Map::new();
    for field in store.custom(entity).custom() {
        let code = &*field.code;
        let Some(sent) = body.remove(code) else { continue };
        let mut companion = |suffix: &str| body.remove(&format!("{code}_{suffix}")).unwrap_or(Value::Null);
        let value = match (field.kind.as_str(), &sent) {
            (_, Value::Null) => Value::Null,
            ("enum", Value::String(id)) => number(id),
            ("set", Value::String(ids)) => ids.split(',').map(|id| number(id.trim())).collect(),
            ("monetary", Value::Number(_)) => json!({"value": sent, "currency": companion("currency")}),
            ("daterange" | "timerange", Value::String(_)) => {
                json!({"value": sent, "until": companion("until")})
            }
            ("time" | "address", Value::String(_)) => json!({"value": sent}),
            _ => sent,
        };
        custom.insert(code.to_owned(), value);
    }
    custom
}

fn number(text: &str) -> Value {
    text.parse::<u64>().map_or_else(|_| text.into(), Value::from)
}
