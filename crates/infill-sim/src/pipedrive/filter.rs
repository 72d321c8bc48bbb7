//! Filters: conditions on fields in two groups, all of the first and any of the second.

use std::cmp::Ordering;
use std::sync::Arc;

use serde_json::{Value, json};

use super::answer::timestamp_v1;
use super::catalog::plain;
use super::entity::Entity;
use super::store::{Record, Store, answer_name};

/// Most conditions of a filter.
const MAX_CONDITIONS: usize = 16;

const PLAIN: [&str; 4] = ["=", "!=", "IS NULL", "IS NOT NULL"];
const ORDERED: [&str; 8] = ["=", "!=", ">", "<", ">=", "<=", "IS NULL", "IS NOT NULL"];
const TEXT: [&str; 7] = ["=", "!=", "IS NULL", "IS NOT NULL", "LIKE '%$%'", "LIKE '$%'", "NOT LIKE '$%'"];
const DEPRECATED: [&str; 3] = ["NOT LIKE '%$%'", "LIKE '%$'", "NOT LIKE '%$'"];
const SET: [&str; 6] = ["=", "!=", "contains", "not_contains", "IS NULL", "IS NOT NULL"];

/// Operators of the types of fields, as `GET /v1/filters/helpers` lists them.
pub(crate) const OPERATORS: [(&str, &[&str]); 17] = [
    ("int", &ORDERED),
    ("double", &ORDERED),
    ("monetary", &ORDERED),
    ("date", &ORDERED),
    ("time", &ORDERED),
    ("daterange", &ORDERED),
    ("timerange", &ORDERED),
    ("varchar", &TEXT),
    ("set", &SET),
    ("enum", &PLAIN),
    ("user", &PLAIN),
    ("deal", &PLAIN),
    ("person", &PLAIN),
    ("organization", &PLAIN),
    ("stage", &PLAIN),
    ("status", &PLAIN),
    ("visible_to", &PLAIN),
];

/// What operators are called for people.
pub(crate) fn operator_label(operator: &str) -> &'static str {
    match operator {
        "=" => "is",
        "!=" => "is not",
        ">" => "is more than",
        "<" => "is less than",
        ">=" => "is more or equal to",
        "<=" => "is less or equal to",
        "IS NULL" => "is empty",
        "IS NOT NULL" => "is not empty",
        "LIKE '%$%'" | "contains" => "contains",
        "LIKE '$%'" => "starts with",
        "NOT LIKE '$%'" => "does not start with",
        "LIKE '%$'" => "ends with",
        "NOT LIKE '%$'" => "does not end with",
        _ => "does not contain",
    }
}

fn operators(kind: &str) -> Vec<&'static str> {
    let kind = match kind {
        "org" => "organization",
        "people" => "person",
        "varchar_auto" | "text" | "phone" | "address" | "varchar_options" => "varchar",
        kind => kind,
    };
    let known =
        OPERATORS.iter().find(|(word, _)| *word == kind).map_or(&PLAIN[..], |(_, operators)| operators);
    let deprecated: &[&'static str] = if kind == "varchar" { &DEPRECATED } else { &[] };
    [known, deprecated].concat()
}

/// One condition.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    entity: Entity,
    field_id: u64,
    code: Arc<str>,
    is_date: bool,
    operator: &'static str,
    value: Value,
    extra_value: Value,
}

/// A saved filter.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) entity: Entity,
    /// Filters of other users are hidden.
    pub(crate) user_id: u64,
    pub(crate) all_of: Vec<Condition>,
    pub(crate) any_of: Vec<Condition>,
    pub(crate) made_ms: i64,
    pub(crate) updated_ms: i64,
}

/// Reads the conditions of a filter: one group glued by `and`, of two groups glued by `and` and by `or`.
pub(crate) fn parse(store: &Store, conditions: &Value) -> Result<(Vec<Condition>, Vec<Condition>), String> {
    let wrong =
        || "conditions must be {glue: and, conditions: [{glue: and, ...}, {glue: or, ...}]}".to_owned();
    let groups = conditions.get("conditions").and_then(Value::as_array).ok_or_else(wrong)?;
    let [all, any] = groups.as_slice() else { return Err(wrong()) };
    let glue = |group: &Value| group.get("glue").and_then(Value::as_str).unwrap_or_default().to_lowercase();
    if glue(conditions) != "and" || glue(all) != "and" || glue(any) != "or" {
        return Err(wrong());
    }
    let members = |group: &Value| -> Result<Vec<Condition>, String> {
        let conditions = group.get("conditions").and_then(Value::as_array).ok_or_else(wrong)?;
        conditions.iter().map(|one| condition(store, one)).collect()
    };
    let (all, any) = (members(all)?, members(any)?);
    if all.len() + any.len() > MAX_CONDITIONS {
        return Err(format!("a filter has at most {MAX_CONDITIONS} conditions"));
    }
    Ok((all, any))
}

fn condition(store: &Store, one: &Value) -> Result<Condition, String> {
    let text = |key: &str| one.get(key).map(plain).unwrap_or_default();
    let entity =
        Entity::of_singular(&text("object")).ok_or_else(|| format!("unknown object '{}'", text("object")))?;
    let field_id = text("field_id");
    let field = field_id.parse().ok().and_then(|id: u64| store.fields(entity).find(|field| field.id == id));
    let field = field.ok_or_else(|| format!("unknown field_id '{field_id}'"))?;
    let operator = text("operator");
    let valid = operators(&field.kind);
    let operator = valid
        .iter()
        .find(|valid| **valid == operator)
        .ok_or_else(|| format!("operator '{operator}' is not valid for field type '{}'", field.kind))?;
    Ok(Condition {
        entity,
        field_id: field.id,
        code: Arc::clone(&field.code),
        is_date: field.kind == "date",
        operator,
        value: one.get("value").cloned().unwrap_or(Value::Null),
        extra_value: one.get("extra_value").cloned().unwrap_or(Value::Null),
    })
}

impl Condition {
    fn json(&self, with_code: bool) -> Value {
        let mut shown = json!({
            "object": self.entity.singular(), "field_id": self.field_id.to_string(), "operator": self.operator,
            "value": self.value, "extra_value": self.extra_value, "json_value_flag": false,
        });
        if with_code && let Some(shown) = shown.as_object_mut() {
            shown.insert("field_code".to_owned(), (*self.code).into());
        }
        shown
    }

    fn holds(&self, store: &Store, entity: Entity, record: &Record) -> bool {
        let linked = |name: &str| record.link(name).and_then(|id| store.table(self.entity).live(id));
        let subject = match self.entity {
            of if of == entity => Some(record),
            Entity::Person => linked("person_id"),
            Entity::Organization => linked(entity.organization_field()),
            Entity::Deal => linked("deal_id"),
            Entity::Product | Entity::Activity | Entity::Lead => None,
        };
        let texts = subject.map(|record| texts(&record.value(answer_name(&self.code)))).unwrap_or_default();
        self.is_met(&texts)
    }

    fn is_met(&self, texts: &[String]) -> bool {
        let wanted = plain(&self.value).to_lowercase();
        let any = |test: &dyn Fn(&str) -> bool| texts.iter().any(|text| test(&self.comparable(text)));
        let ordered = |wish: &[Ordering]| any(&|text| wish.contains(&compare(text, &wanted)));
        match self.operator {
            "IS NULL" => texts.is_empty(),
            "IS NOT NULL" => !texts.is_empty(),
            "=" | "contains" => ordered(&[Ordering::Equal]),
            "!=" | "not_contains" => !ordered(&[Ordering::Equal]),
            "<" => ordered(&[Ordering::Less]),
            ">" => ordered(&[Ordering::Greater]),
            "<=" => ordered(&[Ordering::Less, Ordering::Equal]),
            ">=" => ordered(&[Ordering::Greater, Ordering::Equal]),
            "LIKE '%$%'" => any(&|text| text.contains(&wanted)),
            "NOT LIKE '%$%'" => !any(&|text| text.contains(&wanted)),
            "LIKE '$%'" => any(&|text| text.starts_with(&wanted)),
            "NOT LIKE '$%'" => !any(&|text| text.starts_with(&wanted)),
            "LIKE '%$'" => any(&|text| text.ends_with(&wanted)),
            _ => !any(&|text| text.ends_with(&wanted)),
        }
    }

    /// A time is compared by its date.
    fn comparable(&self, text: &str) -> String {
        let text = text.to_lowercase();
        if self.is_date { text.chars().take("YYYY-MM-DD".len()).collect() } else { text }
    }
}

/// The texts that conditions look at: each entry of a list, the main part of a compound value.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::Bool(is_true) => vec![u8::from(*is_true).to_string()],
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::Object(parts) => {
            let main = ["value", "amount", "person_id"].iter().find_map(|part| parts.get(*part));
            main.map(texts).unwrap_or_default()
        }
        Value::Number(_) | Value::String(_) => {
            Some(plain(value)).filter(|text| !text.is_empty()).into_iter().collect()
        }
    }
}

/// By number where both are numbers, else by text.
fn compare(text: &str, wanted: &str) -> Ordering {
    match (text.parse::<f64>(), wanted.parse::<f64>()) {
        (Ok(text), Ok(wanted)) => text.total_cmp(&wanted),
        _ => text.cmp(wanted),
    }
}

impl Filter {
    pub(crate) fn matches(&self, store: &Store, record: &Record) -> bool {
        self.all_of.iter().all(|condition| condition.holds(store, self.entity, record))
            && (self.any_of.is_empty()
                || self.any_of.iter().any(|condition| condition.holds(store, self.entity, record)))
    }

    /// The filter without its conditions.
    pub(crate) fn json(&self) -> Value {
        json!({
            "id": self.id, "name": self.name, "filter_code": null, "is_editable": true, "active_flag": true,
            "type": self.entity.filter_type(), "temporary_flag": null, "user_id": self.user_id,
            "add_time": timestamp_v1(self.made_ms), "update_time": timestamp_v1(self.updated_ms),
            "visible_to": "1", "last_used_time": null, "custom_view_id": null,
        })
    }

    /// The filter with its conditions.
    pub(crate) fn full_json(&self, with_codes: bool) -> Value {
        let group = |glue: &str, members: &[Condition]| {
            let members: Vec<Value> = members.iter().map(|condition| condition.json(with_codes)).collect();
            json!({"glue": glue, "conditions": members})
        };
        let mut filter = self.json();
        if let Some(filter) = filter.as_object_mut() {
            let groups = json!([group("and", &self.all_of), group("or", &self.any_of)]);
            filter.insert("conditions".to_owned(), json!({"glue": "and", "conditions": groups}));
        }
        filter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(kind: &str, operator: &'static str, wanted: Value, value: Value) -> bool {
        assert!(operators(kind).contains(&operator), "{kind} {operator}");
        let condition = Condition {
            entity: Entity::Person,
            field_id: 1,
            code: "x".into(),
            is_date: kind == "date",
            operator,
            value: wanted,
            extra_value: Value::Null,
        };
        condition.is_met(&texts(&value))
    }

    #[test]
    fn conditions_look_at_the_main_part_of_a_value() {
        assert!(met("varchar", "LIKE '%$%'", json!("ann"), json!([{"value": "x@y"}, {"value": "Joanne@y"}])));
        assert!(met("monetary", ">", json!("9"), json!({"value": 10, "currency": "EUR"})));
        assert!(!met("monetary", ">", json!("9"), Value::Null));
        assert!(met("set", "contains", json!("302"), json!([301, 302])));
        assert!(met("enum", "=", json!(301), json!(301)));
        assert!(met("enum", "!=", json!("301"), Value::Null));
        assert!(met("date", "=", json!("2026-01-02"), json!("2026-01-02T10:00:00Z")));
        assert!(met("varchar", "IS NULL", Value::Null, json!([])));
        assert!(met("varchar", "IS NULL", Value::Null, json!("")));
        assert!(met("boolean", "=", json!("1"), json!(true)));
        assert!(met("varchar", "NOT LIKE '$%'", json!("a"), json!("bcd")));
    }
}
