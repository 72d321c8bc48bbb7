//! Values as Pipedrive types them: read once from what a plan produced or a record holds, then shown in the form that
//! compares or in the form that is sent.

use std::collections::BTreeSet;

use infill_model::nearest::did_you_mean;
use infill_model::property::PropertyDef;
use infill_model::{Timestamp, Value, value};
use jiff::civil::{Date, Time};
use serde_json::{Map, Number, json};

use crate::field::{Shape, is_custom, shape};
use crate::object::Object;

/// A value that fits its field.
#[derive(Clone, Debug, PartialEq)]
pub enum Typed {
    /// Text as it is; also the text of a date.
    Text(String),
    /// An e-mail address: written as it is, compared whatever its case.
    Email(String),
    /// A number, in canonical decimal form.
    Number(String),
    /// True or false.
    Bool(bool),
    /// The id of an option or of a record.
    Id(String),
    /// The ids of options, each once.
    Ids(BTreeSet<String>),
    /// An amount in canonical decimal form, and a currency.
    Money(String, String),
    /// A beginning and an end.
    Range(String, String),
    /// A time of day, with a zone where one was given.
    Time(String, Option<String>),
    /// A time of day and a later one, with a zone where one was given.
    TimeRange(String, String, Option<String>),
    /// The text of an address, and its other parts where they were given.
    Address(String, Map<String, Value>),
}

/// Why a value does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// A stable code.
    pub code: &'static str,
    /// What is wrong with it and the way out.
    pub why: String,
}

fn misfit(code: &'static str, why: impl Into<String>) -> Misfit {
    Misfit { code, why: why.into() }
}

impl Typed {
    /// The value under its field; `None` when it is no value, which clears.
    ///
    /// # Errors
    /// Why it does not fit.
    pub fn of(property: &PropertyDef, given: &Value) -> Result<Option<Self>, Misfit> {
        let shape = shape(property);
        if value::is_empty(Some(given)) {
            return Ok(None);
        }
        let text = value::to_text(given);
        let trimmed = text.trim();
        match shape {
            Shape::Text(most) => {
                let length = text.chars().count();
                if length > most {
                    let why = format!("{length} characters are more than the {most} that Pipedrive stores");
                    return Err(misfit("text_too_long", why));
                }
                Ok(Some(Self::Text(text)))
            }
            Shape::Emails => match trimmed {
                address if is_address(address) => Ok(Some(Self::Email(address.to_owned()))),
                _ => Err(misfit("invalid_email", format!("\"{trimmed}\" is no e-mail address"))),
            },
            Shape::Phones => Ok(Some(Self::Text(trimmed.to_owned()))),
            Shape::Number => decimal(trimmed).map(|number| Some(Self::Number(number))).ok_or_else(|| {
                let why = format!(
                    "\"{trimmed}\" is no number; write digits with a point, and no thousands separator"
                );
                misfit("not_a_number", why)
            }),
            Shape::Integer => match decimal(trimmed).filter(|number| !number.contains('.')) {
                Some(number) => Ok(Some(Self::Number(number))),
                None => Err(misfit("not_a_whole_number", format!("\"{trimmed}\" is no whole number"))),
            },
            Shape::Bool => match trimmed.to_ascii_lowercase().as_str() {
                "true" => Ok(Some(Self::Bool(true))),
                "false" => Ok(Some(Self::Bool(false))),
                _ => Err(misfit("not_a_bool", format!("\"{trimmed}\" is neither true nor false"))),
            },
            Shape::Date => day(trimmed).map(|day| Some(Self::Text(day))),
            Shape::DateTime => match trimmed.parse::<Timestamp>() {
                Ok(at) => Ok(Some(Self::Text(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()))),
                Err(_) => {
                    let why = format!("\"{trimmed}\" is no moment; write it as 2026-11-20T10:30:00Z");
                    Err(misfit("not_a_date", why))
                }
            },
            Shape::Choice => option_id(property, &chosen(given)).map(|id| Some(Self::Id(id))),
            Shape::Choices => choices(property, given),
            Shape::Money => money(given, trimmed),
            Shape::DateRange => {
                let (from, until) = ends(given, trimmed, "2026-11-20/2026-11-27")?;
                Ok(Some(Self::Range(day(&from)?, day(&until)?)))
            }
            Shape::Time => {
                let at = match given.as_object() {
                    Some(parts) => part(parts, &["value"]).unwrap_or_default(),
                    None => trimmed.to_owned(),
                };
                Ok(Some(Self::Time(time(&at)?, zone_of(given))))
            }
            Shape::TimeRange => {
                let (from, until) = ends(given, trimmed, "09:00/17:30")?;
                Ok(Some(Self::TimeRange(time(&from)?, time(&until)?, zone_of(given))))
            }
            Shape::Address => address(given, trimmed),
            Shape::Reference => match chosen(given).as_str() {
                id if id.parse::<u64>().is_ok_and(|id| id > 0) => Ok(Some(Self::Id(plain_id(id)))),
                other => Err(misfit(
                    "not_an_id",
                    format!("\"{other}\" is no id of a record, which is a whole number"),
                )),
            },
            Shape::Unknown => Ok(Some(Self::Text(text))),
        }
    }

    /// The form in which values compare equal when Pipedrive stores them alike. The zone of a time and the parts of an
    /// address are filled in by Pipedrive, and so are left out.
    #[must_use]
    pub fn normal(self) -> Value {
        match self {
            Self::Text(text)
            | Self::Number(text)
            | Self::Id(text)
            | Self::Time(text, _)
            | Self::Address(text, _) => Value::String(text),
            Self::Email(address) => Value::String(address.to_lowercase()),
            Self::Bool(is_true) => Value::String(is_true.to_string()),
            Self::Ids(ids) => ids.into_iter().collect(),
            Self::Money(amount, currency) => json!({ "currency": currency, "value": amount }),
            Self::Range(from, until) | Self::TimeRange(from, until, _) => {
                Value::String(format!("{from}/{until}"))
            }
        }
    }

    /// The form in which the API takes it.
    #[must_use]
    pub fn wire(self, object: Object) -> Value {
        match self {
            Self::Text(text) | Self::Email(text) => Value::String(text),
            Self::Number(number) => number_of(&number),
            Self::Bool(is_true) => Value::Bool(is_true),
            Self::Id(id) => id_of(&id),
            Self::Ids(ids) => ids.iter().map(|id| id_of(id)).collect(),
            Self::Money(amount, currency) => {
                let amount_key = if object.is_v1() { "amount" } else { "value" };
                json!({ amount_key: number_of(&amount), "currency": currency })
            }
            Self::Range(from, until) => json!({ "value": from, "until": until }),
            Self::Time(at, None) => json!({ "value": at }),
            Self::Time(at, Some(zone)) => json!({ "value": at, "timezone_name": zone }),
            Self::TimeRange(from, until, None) => json!({ "value": from, "until": until }),
            Self::TimeRange(from, until, Some(zone)) => {
                json!({ "value": from, "until": until, "timezone_name": zone })
            }
            Self::Address(text, mut parts) => {
                parts.insert("value".to_owned(), Value::String(text));
                Value::Object(parts)
            }
        }
    }
}

/// What clears a field: nothing, but for the lists among the built-in fields, which cannot be null.
#[must_use]
pub fn cleared(property: &PropertyDef) -> Value {
    match shape(property) {
        Shape::Emails | Shape::Phones => json!([]),
        Shape::Choices if !is_custom(property.name.as_str()) => json!([]),
        Shape::Text(_)
        | Shape::Number
        | Shape::Integer
        | Shape::Bool
        | Shape::Date
        | Shape::DateTime
        | Shape::Choice
        | Shape::Choices
        | Shape::Money
        | Shape::DateRange
        | Shape::Time
        | Shape::TimeRange
        | Shape::Address
        | Shape::Reference
        | Shape::Unknown => Value::Null,
    }
}

/// One `@` with something on either side and no white space.
fn is_address(text: &str) -> bool {
    let has_both_sides = text
        .split_once('@')
        .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
    has_both_sides && !text.contains(char::is_whitespace)
}

/// A number as Pipedrive stores it, a double, in its shortest decimal form without an exponent.
fn decimal(text: &str) -> Option<String> {
    let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    if !is_decimal {
        return None;
    }
    if let Ok(whole) = text.parse::<i64>() {
        return Some(whole.to_string());
    }
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite())?;
    // Minus nothing is nothing.
    Some(if number == 0.0 { "0".to_owned() } else { number.to_string() })
}

fn number_of(decimal: &str) -> Value {
    match decimal.parse::<i64>() {
        Ok(whole) => whole.into(),
        Err(_) => decimal.parse::<f64>().ok().and_then(Number::from_f64).map_or(Value::Null, Value::Number),
    }
}

/// An id as the API takes it: custom options and records have numbers, some built-in options have words.
fn id_of(id: &str) -> Value {
    id.parse::<u64>().map_or_else(|_| Value::String(id.to_owned()), Value::from)
}

fn plain_id(id: &str) -> String {
    id.parse::<u64>().map_or_else(|_| id.to_owned(), |id| id.to_string())
}

/// The id in a value that names something: itself, or the `id` of an object.
fn chosen(given: &Value) -> String {
    let id = given.get("id").or_else(|| given.get("value")).unwrap_or(given);
    value::to_text(id).trim().to_owned()
}

/// The id of the option that a text means, by id or by label.
fn option_id(property: &PropertyDef, text: &str) -> Result<String, Misfit> {
    let options = &property.options;
    if property.external_options || options.iter().any(|option| option.value == text) {
        return Ok(text.to_owned());
    }
    let mut labelled = options.iter().filter(|option| option.label.trim().eq_ignore_ascii_case(text));
    match (labelled.next(), labelled.next()) {
        (Some(option), None) => Ok(option.value.clone()),
        (Some(_), Some(_)) => {
            let why =
                format!("several options are labelled \"{text}\"; write the id of the one that is meant");
            Err(misfit("ambiguous_option", why))
        }
        (None, _) => {
            let known = options.iter().map(|option| option.label.as_str());
            let near = did_you_mean(text, known);
            let why = format!("\"{text}\" is none of its {} options{near}", options.len());
            Err(misfit("invalid_option", why))
        }
    }
}

/// Several options: an array, or text with `;` or `,` between them. A label may hold a comma, so the whole is tried
/// before its parts.
fn choices(property: &PropertyDef, given: &Value) -> Result<Option<Typed>, Misfit> {
    let mut ids = BTreeSet::new();
    let items: Vec<String> = match given.as_array() {
        Some(items) => items.iter().map(chosen).collect(),
        None => chosen(given).split(';').map(|item| item.trim().to_owned()).collect(),
    };
    for item in items.iter().filter(|item| !item.is_empty()) {
        match option_id(property, item) {
            Ok(id) if !property.external_options || !id.contains(',') => {
                ids.insert(id);
            }
            whole => {
                let parts: Vec<&str> =
                    item.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
                if parts.len() < 2 {
                    whole?;
                }
                for part in parts {
                    ids.insert(option_id(property, part)?);
                }
            }
        }
    }
    Ok(if ids.is_empty() { None } else { Some(Typed::Ids(ids)) })
}

/// An amount with its currency: the object that the API answers, or text such as `10.5 EUR`.
fn money(given: &Value, text: &str) -> Result<Option<Typed>, Misfit> {
    let (amount, currency) = if let Some(parts) = given.as_object() {
        let Some(amount) = part(parts, &["value", "amount"]) else { return Ok(None) };
        (amount, part(parts, &["currency"]).unwrap_or_default())
    } else {
        match text.split_once(char::is_whitespace) {
            Some((amount, currency)) if decimal(amount).is_some() => {
                (amount.to_owned(), currency.trim().to_owned())
            }
            Some((currency, amount)) => (amount.trim().to_owned(), currency.to_owned()),
            None => (text.to_owned(), String::new()),
        }
    };
    let is_currency = currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_alphabetic());
    match decimal(&amount) {
        Some(amount) if is_currency => Ok(Some(Typed::Money(amount, currency.to_uppercase()))),
        Some(_) | None => {
            let why = format!("\"{text}\" is no amount with a currency; write it as 10.5 EUR");
            Err(misfit("not_an_amount", why))
        }
    }
}

/// The two ends of a range: the object that the API answers, or text with a slash between them.
fn ends(given: &Value, text: &str, example: &str) -> Result<(String, String), Misfit> {
    let ends = match given.as_object() {
        Some(parts) => part(parts, &["value"]).zip(part(parts, &["until"])),
        None => text.split_once('/').map(|(from, until)| (from.trim().to_owned(), until.trim().to_owned())),
    };
    ends.ok_or_else(|| misfit("not_a_range", format!("\"{text}\" has no two ends; write it as {example}")))
}

fn zone_of(given: &Value) -> Option<String> {
    given.as_object().and_then(|parts| part(parts, &["timezone_name"]))
}

/// The first of these parts that is there, as text.
fn part(parts: &Map<String, Value>, names: &[&str]) -> Option<String> {
    let found = names.iter().find_map(|name| parts.get(*name).filter(|part| !value::is_empty(Some(part))))?;
    Some(value::to_text(found).trim().to_owned())
}

fn day(text: &str) -> Result<String, Misfit> {
    const LENGTH: usize = "2026-11-20".len();
    // A midnight in UTC is what scripts make of a day.
    let bare =
        text.strip_suffix("T00:00:00Z").or_else(|| text.strip_suffix("T00:00:00.000Z")).unwrap_or(text);
    let day = if bare.len() == LENGTH { bare.parse::<Date>().ok() } else { None };
    day.map(|day| day.to_string())
        .ok_or_else(|| misfit("not_a_date", format!("\"{text}\" is no day; write it as 2026-11-20")))
}

fn time(text: &str) -> Result<String, Misfit> {
    let is_time =
        text.len() >= "9:00".len() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
    let padded = if text.find(':') == Some(1) { format!("0{text}") } else { text.to_owned() };
    let time = if is_time { padded.parse::<Time>().ok() } else { None };
    time.map(|time| time.strftime("%H:%M:%S").to_string())
        .ok_or_else(|| misfit("not_a_time", format!("\"{text}\" is no time of day; write it as 10:30:00")))
}

/// An address: its text, or the object that the API answers.
fn address(given: &Value, text: &str) -> Result<Option<Typed>, Misfit> {
    /// Parts that the API takes besides the text.
    const PARTS: [&str; 9] = [
        "country",
        "admin_area_level_1",
        "admin_area_level_2",
        "locality",
        "sublocality",
        "route",
        "street_number",
        "subpremise",
        "postal_code",
    ];
    let Value::Object(given) = given else { return Ok(Some(Typed::Address(text.to_owned(), Map::new()))) };
    let parts: Map<String, Value> = PARTS
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), Value::String(part(given, &[name])?))))
        .collect();
    match part(given, &["value"]) {
        Some(text) => Ok(Some(Typed::Address(text, parts))),
        None if parts.is_empty() => Ok(None),
        None => Err(misfit("not_an_address", "an address needs its whole text under \"value\"")),
    }
}

#[cfg(test)]
mod tests;
