//! Which values a field takes, and how they are stored.
//!
//! Version 2 is strict: numbers are no texts, options are ids, compound values are objects. Texts of refusals that public
//! threads show are given to the letter; the others are in their manner.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use serde_json::{Map, Value, json};

use super::catalog::{ADDRESS_PARTS, Field};
use super::entity::Entity;
use super::spec::{BodyField, Kind};
use super::store::{CURRENCIES, LEAD_LABELS, PIPELINES, STAGES, Store, USERS};

/// Most characters of a one-line text.
const MAX_LINE: usize = 255;
/// Most characters of a long text.
const MAX_TEXT: usize = 65_535;

/// Why a value is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// It is of another type than this.
    Type(&'static str),
    /// It breaks a rule, in words.
    Rule(String),
}

impl Mismatch {
    fn rule<T>(text: impl Into<String>) -> Result<T, Self> {
        Err(Self::Rule(text.into()))
    }

    /// The words of version 2.
    pub(crate) fn v2(&self) -> String {
        match self {
            Self::Type(expected) => format!("Expected '{expected}' as value"),
            Self::Rule(text) => text.clone(),
        }
    }

    /// The words of version 1, after the name of the field.
    pub(crate) fn v1(&self, field: &str) -> String {
        match self {
            Self::Type(expected) => format!("\"{field}\" must be a {expected}"),
            Self::Rule(text) => format!("\"{field}\" is invalid: {text}"),
        }
    }
}

/// Checks a built-in value and gives it the form in which it is stored.
pub(crate) fn built_in(
    field: &BodyField,
    entity: Entity,
    sent: &Value,
    store: &Store,
) -> Result<Value, Mismatch> {
    if sent.is_null() {
        return if field.nullable { Ok(Value::Null) } else { Err(Mismatch::Type(type_word(&field.kind))) };
    }
    let known = |found: bool, what: &str| {
        if found { Ok(sent.clone()) } else { Mismatch::rule(format!("{what} {sent} was not found")) }
    };
    let id = || sent.as_u64().ok_or(Mismatch::Type("number"));
    match &field.kind {
        Kind::String => text(sent, MAX_TEXT),
        Kind::Integer => sent.as_i64().map(Value::from).ok_or(Mismatch::Type("number")),
        Kind::Number => {
            if sent.is_number() {
                Ok(sent.clone())
            } else {
                Err(Mismatch::Type("number"))
            }
        }
        Kind::Boolean => {
            if sent.is_boolean() {
                Ok(sent.clone())
            } else {
                Err(Mismatch::Type("boolean"))
            }
        }
        Kind::Array => {
            if sent.is_array() {
                Ok(sent.clone())
            } else {
                Err(Mismatch::Type("array"))
            }
        }
        Kind::Date => date(sent),
        Kind::DateTime => date_time(sent),
        Kind::Address => address(sent),
        Kind::Contacts => contacts(sent),
        Kind::Labels => labels(sent, |id| {
            store.field(entity, "label_ids").is_some_and(|field| id.is_u64() && field.choice(id).is_some())
        }),
        Kind::LeadLabels => labels(sent, |id| LEAD_LABELS.iter().any(|(uuid, ..)| id == uuid)),
        Kind::Visibility => one_of(sent, &[json!(1), json!(3), json!(5), json!(7)]),
        Kind::VisibilityText => one_of(sent, &[json!("1"), json!("3"), json!("5"), json!("7")]),
        Kind::DealStatus => one_of(sent, &[json!("open"), json!("won"), json!("lost")]),
        Kind::OneOf(words) => one_of(sent, &words.iter().map(|word| json!(word)).collect::<Vec<_>>()),
        Kind::Money => money(sent, "amount"),
        Kind::User => {
            let id = id()?;
            known(USERS.iter().any(|(user, _)| *user == id), "User")
        }
        Kind::Link(to) => {
            let id = id()?;
            known(store.table(*to).live(id).is_some(), to.singular())
        }
        Kind::Pipeline => {
            let id = id()?;
            known(PIPELINES.iter().any(|(pipeline, _)| *pipeline == id), "Pipeline")
        }
        Kind::Stage => {
            let id = id()?;
            known(STAGES.iter().any(|(stage, ..)| *stage == id), "Stage")
        }
        Kind::Custom => Err(Mismatch::Type("object")),
    }
}

fn type_word(kind: &Kind) -> &'static str {
    match kind {
        Kind::Integer
        | Kind::Number
        | Kind::Visibility
        | Kind::User
        | Kind::Link(_)
        | Kind::Pipeline
        | Kind::Stage => "number",
        Kind::Boolean => "boolean",
        Kind::Array | Kind::Contacts | Kind::Labels | Kind::LeadLabels => "array",
        Kind::Address | Kind::Money | Kind::Custom => "object",
        Kind::String
        | Kind::Date
        | Kind::DateTime
        | Kind::VisibilityText
        | Kind::DealStatus
        | Kind::OneOf(_) => "string",
    }
}

/// Checks a custom value and gives it the form in which it is stored; `null` clears.
pub(crate) fn custom(field: &Field, sent: &Value, store: &Store) -> Result<Value, Mismatch> {
    if sent.is_null() {
        return Ok(Value::Null);
    }
    let is_plain =
        !matches!(field.kind.as_str(), "monetary" | "daterange" | "time" | "timerange" | "address" | "set");
    if is_plain && (sent.is_object() || sent.is_array()) {
        return Mismatch::rule("Invalid collection");
    }
    let link = |to: Entity| match sent.as_u64() {
        None => Mismatch::rule(format!("Expected 'number' as value for {} custom field", field.kind)),
        Some(id) if store.table(to).live(id).is_some() => Ok(sent.clone()),
        Some(id) => Mismatch::rule(format!("{} {id} was not found", to.singular())),
    };
    match field.kind.as_str() {
        "varchar" | "varchar_auto" | "phone" => custom_text(sent, MAX_LINE),
        "text" => custom_text(sent, MAX_TEXT),
        "double" if sent.is_number() => Ok(sent.clone()),
        "int" if sent.is_i64() => Ok(sent.clone()),
        "double" | "int" => Mismatch::rule("Expected 'number' as value for numeric custom field"),
        "enum" if !sent.is_number() => {
            Mismatch::rule("Expected 'number' as value for single option custom field")
        }
        "enum" => choice(field, sent),
        "set" => match sent.as_array() {
            None => Mismatch::rule("Expected 'array' as value for multiple option custom field"),
            Some(ids) if ids.is_empty() => {
                Mismatch::rule("Expected non-empty 'array' as value for multiple option custom field")
            }
            Some(ids) => ids.iter().map(|id| choice(field, id)).collect(),
        },
        "date" => {
            date(sent).map_err(|_| Mismatch::Rule("Date custom field value expected 'YYYY-MM-DD'".to_owned()))
        }
        "daterange" => range(sent, "Date range", |part| date(part).is_ok()),
        "time" => time(sent),
        "timerange" => range(sent, "Time range", is_time),
        "monetary" => money(sent, "value"),
        "address" => address(sent),
        "user" => match sent.as_u64() {
            Some(id) if USERS.iter().any(|(user, _)| *user == id) => Ok(sent.clone()),
            Some(id) => Mismatch::rule(format!("user {id} was not found")),
            None => Mismatch::rule("Expected 'number' as value for user custom field"),
        },
        "org" => link(Entity::Organization),
        "people" => link(Entity::Person),
        kind => Mismatch::rule(format!("{kind} custom fields are not writable")),
    }
}

fn choice(field: &Field, id: &Value) -> Result<Value, Mismatch> {
    if id.is_u64() && field.choice(id).is_some() {
        return Ok(id.clone());
    }
    Mismatch::rule(format!("Option id '{}' is not valid for the custom field", super::catalog::plain(id)))
}

fn text(sent: &Value, max: usize) -> Result<Value, Mismatch> {
    let text = sent.as_str().ok_or(Mismatch::Type("string"))?;
    if text.chars().count() > max {
        return Mismatch::rule(format!("Expected at most {max} characters"));
    }
    Ok(sent.clone())
}

/// An empty text is no value.
fn custom_text(sent: &Value, max: usize) -> Result<Value, Mismatch> {
    match text(sent, max) {
        Ok(value) if value == "" => Ok(Value::Null),
        Ok(value) => Ok(value),
        Err(Mismatch::Type(_)) => Mismatch::rule("Expected 'string' as value for text custom field"),
        Err(rule) => Err(rule),
    }
}

fn date(sent: &Value) -> Result<Value, Mismatch> {
    let text = sent.as_str().ok_or(Mismatch::Type("string"))?;
    if text.len() != 10 || text.parse::<Date>().is_err() {
        return Mismatch::rule("Expected a date in the form YYYY-MM-DD");
    }
    Ok(sent.clone())
}

fn date_time(sent: &Value) -> Result<Value, Mismatch> {
    let text = sent.as_str().ok_or(Mismatch::Type("string"))?;
    if whole_seconds(text).is_none() {
        return Mismatch::rule(format!("'{text}' is not a valid datetime"));
    }
    Ok(sent.clone())
}

/// Milliseconds of an RFC 3339 text without fractions.
pub(crate) fn whole_seconds(text: &str) -> Option<i64> {
    let has_fraction = text.contains('.');
    let at: Timestamp = text.parse().ok().filter(|_| !has_fraction)?;
    Some(at.as_millisecond())
}

fn is_time(sent: &Value) -> bool {
    sent.as_str().is_some_and(|text| text.len() == 8 && text.parse::<Time>().is_ok())
}

fn time(sent: &Value) -> Result<Value, Mismatch> {
    let Some(parts) = sent.as_object() else {
        return Mismatch::rule("Time custom field value expected 'object'");
    };
    if !parts.get("value").is_some_and(is_time) {
        return Mismatch::rule("Time custom field value expected 'HH:MM:SS'");
    }
    zoned(parts, &["value"])
}

fn range(sent: &Value, what: &str, is_part: impl Fn(&Value) -> bool) -> Result<Value, Mismatch> {
    let Some(parts) = sent.as_object() else {
        return Mismatch::rule(format!("{what} custom field value expected 'object'"));
    };
    if !["value", "until"].iter().all(|part| parts.get(*part).is_some_and(&is_part)) {
        return Mismatch::rule(format!("{what} custom field expected 'value' and 'until'"));
    }
    if what == "Date range" {
        known_keys(parts, &["value", "until"])?;
        return Ok(sent.clone());
    }
    zoned(parts, &["value", "until"])
}

/// A time keeps its zone; without one it is UTC.
fn zoned(parts: &Map<String, Value>, keys: &[&str]) -> Result<Value, Mismatch> {
    known_keys(parts, &[keys, &["timezone_id", "timezone_name"]].concat())?;
    let mut stored: Map<String, Value> = keys
        .iter()
        .filter_map(|key| parts.get(*key).map(|value| ((*key).to_owned(), value.clone())))
        .collect();
    let zone = parts
        .get("timezone_name")
        .filter(|zone| zone.is_string())
        .cloned()
        .unwrap_or_else(|| "Etc/UTC".into());
    stored.insert("timezone_name".to_owned(), zone);
    Ok(Value::Object(stored))
}

fn known_keys(parts: &Map<String, Value>, known: &[&str]) -> Result<(), Mismatch> {
    match parts.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Mismatch::rule(format!("Unknown key '{key}'")),
        None => Ok(()),
    }
}

/// An amount, under the name that it has here, and a currency.
fn money(sent: &Value, amount: &str) -> Result<Value, Mismatch> {
    let Some(parts) = sent.as_object() else { return Err(Mismatch::Type("object")) };
    known_keys(parts, &[amount, "currency"])?;
    if !parts.get(amount).is_some_and(Value::is_number) {
        return Mismatch::rule(format!("Expected 'number' as {amount}"));
    }
    if !parts.get("currency").is_some_and(is_currency) {
        return Mismatch::rule("Expected a known currency as currency");
    }
    Ok(sent.clone())
}

pub(crate) fn is_currency(code: &Value) -> bool {
    CURRENCIES.iter().any(|(known, ..)| code == known)
}

/// Parts that are left out become null.
fn address(sent: &Value) -> Result<Value, Mismatch> {
    let Some(parts) = sent.as_object() else { return Err(Mismatch::Type("object")) };
    known_keys(parts, &[&["value"], &ADDRESS_PARTS[..]].concat())?;
    if parts.values().any(|part| !part.is_string() && !part.is_null()) {
        return Mismatch::rule("Expected 'string' as part of an address");
    }
    if !parts.get("value").is_some_and(Value::is_string) {
        return Mismatch::rule("Expected 'value' in an address");
    }
    let part = |key: &str| (key.to_owned(), parts.get(key).cloned().unwrap_or(Value::Null));
    Ok(Value::Object(std::iter::once("value").chain(ADDRESS_PARTS).map(part).collect()))
}

/// The whole array is replaced; one primary at most, else the first is it; the label is `work` unless given.
fn contacts(sent: &Value) -> Result<Value, Mismatch> {
    let Some(entries) = sent.as_array() else { return Err(Mismatch::Type("array")) };
    let mut stored = Vec::with_capacity(entries.len());
    for entry in entries {
        let Some(parts) = entry.as_object() else { return Mismatch::rule("Expected 'object' as entry") };
        known_keys(parts, &["value", "primary", "label"])?;
        let Some(value) = parts.get("value").filter(|value| value.is_string()) else {
            return Mismatch::rule("Expected 'string' as value of an entry");
        };
        let is_primary = match parts.get("primary") {
            None => false,
            Some(Value::Bool(is_primary)) => *is_primary,
            Some(_) => return Mismatch::rule("Expected 'boolean' as primary of an entry"),
        };
        let label = match parts.get("label") {
            None | Some(Value::Null) => "work".into(),
            Some(label) if label.is_string() => label.clone(),
            Some(_) => return Mismatch::rule("Expected 'string' as label of an entry"),
        };
        stored.push((value.clone(), is_primary, label));
    }
    match stored.iter().filter(|(_, is_primary, _)| *is_primary).count() {
        0 => stored.iter_mut().take(1).for_each(|(_, is_primary, _)| *is_primary = true),
        1 => {}
        _ => return Mismatch::rule("Only one entry can be primary"),
    }
    let entry = |(value, primary, label)| json!({"value": value, "primary": primary, "label": label});
    Ok(stored.into_iter().map(entry).collect())
}

fn labels(sent: &Value, is_known: impl Fn(&Value) -> bool) -> Result<Value, Mismatch> {
    let Some(ids) = sent.as_array() else { return Err(Mismatch::Type("array")) };
    match ids.iter().find(|id| !is_known(id)) {
        Some(id) => Mismatch::rule(format!("Label {id} was not found")),
        None => Ok(sent.clone()),
    }
}

fn one_of(sent: &Value, valid: &[Value]) -> Result<Value, Mismatch> {
    if valid.contains(sent) {
        return Ok(sent.clone());
    }
    let valid: Vec<String> = valid.iter().map(Value::to_string).collect();
    Mismatch::rule(format!("Expected one of {}", valid.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(name: &str, sent: Value) -> Result<Value, String> {
        let store = Store::new(1);
        let field = store.field(Entity::Person, name).unwrap();
        custom(field, &sent, &store).map_err(|mismatch| mismatch.v2())
    }

    fn option(name: &str, nth: usize) -> Value {
        Store::new(1).field(Entity::Person, name).unwrap().choices[nth].id.clone()
    }

    #[test]
    fn each_type_takes_its_own_shape_only() {
        let good = [
            ("Greeting", json!("Hello")),
            ("Background", json!("a\nb")),
            ("Score", json!(1.5)),
            ("Seats", json!(7)),
            ("Budget", json!({"value": 10.5, "currency": "EUR"})),
            ("Renewal date", json!("2026-02-28")),
            ("Trial period", json!({"value": "2026-01-01", "until": "2026-02-01"})),
            ("Best time to call", json!({"value": "09:30:00", "timezone_name": "Europe/Berlin"})),
            ("Tier", option("Tier", 1)),
            ("Interests", json!([option("Interests", 0), option("Interests", 2)])),
            ("Account manager", json!(12)),
        ];
        for (name, sent) in good {
            assert_eq!(put(name, sent.clone()), Ok(sent), "{name}");
            assert_eq!(put(name, Value::Null), Ok(Value::Null), "{name}");
        }
        let bad = [
            ("Greeting", json!(5), "Expected 'string' as value for text custom field"),
            ("Greeting", json!({"value": "x"}), "Invalid collection"),
            ("Score", json!("1.5"), "Expected 'number' as value for numeric custom field"),
            ("Seats", json!(1.5), "Expected 'number' as value for numeric custom field"),
            ("Tier", json!("5"), "Expected 'number' as value for single option custom field"),
            ("Interests", json!([]), "Expected non-empty 'array' as value for multiple option custom field"),
            ("Renewal date", json!("28.02.2026"), "Date custom field value expected 'YYYY-MM-DD'"),
            ("Best time to call", json!("09:30"), "Time custom field value expected 'object'"),
            ("Budget", json!(10.5), "Expected 'object' as value"),
            ("Account manager", json!(99), "user 99 was not found"),
            ("Partner", json!(1), "organization 1 was not found"),
        ];
        for (name, sent, text) in bad {
            assert_eq!(put(name, sent), Err(text.to_owned()), "{name}");
        }
        assert!(put("Greeting", json!("x".repeat(256))).unwrap_err().contains("255"));
    }

    #[test]
    fn parts_of_an_address_that_are_left_out_become_null() {
        let stored = put("Site address", json!({"value": "1 Main St", "country": "US"})).unwrap();
        assert_eq!((&stored["country"], &stored["locality"]), (&json!("US"), &Value::Null));
        assert_eq!(stored.as_object().unwrap().len(), 10);
        assert!(put("Site address", json!({"country": "US"})).is_err());
    }

    #[test]
    fn one_entry_is_primary() {
        let one = contacts(&json!([{"value": "a"}, {"value": "b", "label": "home"}])).unwrap();
        assert_eq!(
            one,
            json!([{"value": "a", "primary": true, "label": "work"}, {"value": "b", "primary": false, "label": "home"}])
        );
        let two = json!([{"value": "a", "primary": true}, {"value": "b", "primary": true}]);
        assert!(contacts(&two).is_err());
        assert_eq!(contacts(&json!([])), Ok(json!([])));
    }
}
