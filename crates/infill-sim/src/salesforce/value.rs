//! What fields hold, how it is written in answers, and which given values a field takes.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Number, Value};

use super::catalog::{Field, Kind};
use super::id::{self, Parsed};

/// A value as the org holds it; a field without one holds nothing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Stored {
    /// Texts, picklists and ids.
    Text(Arc<str>),
    Number(f64),
    Bool(bool),
    Date(Date),
    /// Milliseconds since the Unix epoch.
    Time(i64),
}

impl Stored {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    /// The value in JSON: times with `+0000`, fractions always with a point.
    pub(crate) fn json(&self, kind: Kind) -> Value {
        match self {
            Self::Text(text) => Value::String(text.to_string()),
            Self::Number(number) if kind == Kind::Int => {
                format!("{number:.0}").parse::<i64>().map_or(Value::Null, Value::from)
            }
            Self::Number(number) => Number::from_f64(*number).map_or(Value::Null, Value::Number),
            Self::Bool(is) => Value::Bool(*is),
            Self::Date(date) => Value::String(date.to_string()),
            Self::Time(ms) => Value::String(json_time(*ms)),
        }
    }

    /// The value as text: in CSV, in the ledger, in list views.
    pub(crate) fn render(&self, kind: Kind) -> String {
        match self {
            Self::Text(text) => text.to_string(),
            Self::Number(_) | Self::Bool(_) => self.json(kind).to_string(),
            Self::Date(date) => date.to_string(),
            Self::Time(ms) => utc(*ms),
        }
    }
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// ISO 8601 with three decimals and a `Z`, as in CSV.
pub(crate) fn utc(ms: i64) -> String {
    format!("{:.3}", at(ms))
}

/// ISO 8601 with three decimals and `+0000`, as in JSON.
pub(crate) fn json_time(ms: i64) -> String {
    utc(ms).replace('Z', "+0000")
}

/// A value as a client gave it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Given<'a> {
    Json(&'a Value),
    /// A cell of a CSV file that is neither empty nor `#N/A`, which are the caller's business.
    Csv {
        text: &'a str,
        column: usize,
    },
}

/// Why a field does not take a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Invalid {
    /// The JSON is of the wrong type: the vendor's parser refuses the whole call.
    Type(String),
    /// The field refuses the value.
    Row(RowError),
}

/// One error of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowError {
    /// The vendor's `statusCode`.
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) fields: Vec<String>,
}

impl RowError {
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), fields: Vec::new() }
    }

    pub(crate) fn on(mut self, field: &str) -> Self {
        self.fields.push(field.to_owned());
        self
    }
}

fn refuse(field: &Field, code: &str, what: &str) -> Invalid {
    Invalid::Row(RowError::new(code, format!("{}: {what}", field.label)).on(&field.name))
}

/// Reads a given value for a field. `None` clears it: `null`, and a text that is blank.
pub(crate) fn read(field: &Field, given: Given<'_>) -> Result<Option<Stored>, Invalid> {
    if matches!(given, Given::Json(Value::Null)) {
        return Ok((field.kind == Kind::Boolean).then_some(Stored::Bool(false)));
    }
    match field.kind {
        Kind::Boolean => {
            boolean(given).map(|is| Some(Stored::Bool(is))).ok_or_else(|| mistyped(field, given))
        }
        Kind::Int | Kind::Double | Kind::Currency | Kind::Percent => {
            let number = number(given).ok_or_else(|| mistyped(field, given))?;
            fit(field, number).map(|number| Some(Stored::Number(number)))
        }
        Kind::Date => {
            let date = text(given).and_then(|text| date(&text)).ok_or_else(|| mistyped(field, given))?;
            Ok(Some(Stored::Date(date)))
        }
        Kind::DateTime => {
            let ms = text(given).and_then(|text| time(&text)).ok_or_else(|| mistyped(field, given))?;
            Ok(Some(Stored::Time(ms)))
        }
        Kind::Id | Kind::Reference => {
            let text = text(given).ok_or_else(|| mistyped(field, given))?;
            if text.is_empty() {
                return Ok(None);
            }
            let malformed = || {
                Invalid::Row(RowError::new("MALFORMED_ID", format!("malformed id {text}")).on(&field.name))
            };
            let Parsed { prefix, number } = id::parse(&text).ok_or_else(malformed)?;
            let whole = number.map_or_else(|| text.clone(), |number| id::id18(&prefix, number));
            Ok(Some(Stored::text(&whole)))
        }
        Kind::Text
        | Kind::TextArea
        | Kind::Phone
        | Kind::Url
        | Kind::Email
        | Kind::Picklist
        | Kind::MultiPicklist
        | Kind::Address => {
            let text = text(given).ok_or_else(|| mistyped(field, given))?;
            // The vendor trims texts of either transport once they are in, though not the cells of a file.
            check_text(field, text.trim()).map(|text| text.map(Stored::text))
        }
    }
}

fn check_text<'t>(field: &Field, text: &'t str) -> Result<Option<&'t str>, Invalid> {
    if text.is_empty() {
        return Ok(None);
    }
    if field.length > 0 && text.chars().count() > field.length {
        let start: String = text.chars().take(100).collect();
        let what = format!("data value too large: {start} (max length={})", field.length);
        return Err(refuse(field, "STRING_TOO_LONG", &what));
    }
    if field.kind == Kind::Email && !is_email(text) {
        return Err(refuse(field, "INVALID_EMAIL_ADDRESS", &format!("invalid email address: {text}")));
    }
    let chosen =
        |value: &str| field.values.iter().any(|of| of.is_active && of.value.eq_ignore_ascii_case(value));
    let unknown = if field.kind == Kind::MultiPicklist {
        text.split(';').find(|value| !chosen(value.trim()))
    } else {
        Some(text).filter(|value| !chosen(value))
    };
    match unknown {
        Some(value) if field.restricted => Err(refuse(
            field,
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            &format!("bad value for restricted picklist field: {value}"),
        )),
        Some(_) | None => Ok(Some(text)),
    }
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let is_plain = !text.contains(char::is_whitespace) && !domain.contains('@');
    is_plain
        && !local.is_empty()
        && domain.split('.').count() > 1
        && domain.split('.').all(|label| !label.is_empty())
}

/// Rounds a number to the field's scale; one with too many digits before the point is refused.
fn fit(field: &Field, number: f64) -> Result<f64, Invalid> {
    let rounded: f64 = format!("{number:.*}", field.scale).parse().unwrap_or(number);
    let n_whole = format!("{:.0}", rounded.abs().trunc()).len();
    if field.precision > 0 && n_whole > field.precision.saturating_sub(field.scale) && rounded.abs() >= 1.0 {
        let what = format!("value outside of valid range on numeric field: {number}");
        return Err(refuse(field, "NUMBER_OUTSIDE_VALID_RANGE", &what));
    }
    Ok(rounded)
}

fn text(given: Given<'_>) -> Option<String> {
    match given {
        Given::Json(value) => value.as_str().map(str::to_owned),
        Given::Csv { text, .. } => Some(text.to_owned()),
    }
}

fn boolean(given: Given<'_>) -> Option<bool> {
    match given {
        Given::Json(value) => value.as_bool(),
        Given::Csv { text, .. } => match text.to_lowercase().as_str() {
            "true" | "1" | "yes" => Some(true),
            "false" | "0" | "no" => Some(false),
            _ => None,
        },
    }
}

fn number(given: Given<'_>) -> Option<f64> {
    let number = match given {
        Given::Json(Value::String(text)) => text.parse().ok(),
        Given::Json(value) => value.as_f64(),
        Given::Csv { text, .. } => text.parse().ok(),
    };
    number.filter(|number: &f64| number.is_finite())
}

/// A date, or the date of a time.
pub(crate) fn date(text: &str) -> Option<Date> {
    let day = text.split_once('T').map_or(text, |(day, _)| day);
    if day.len() == 10 { day.parse().ok() } else { None }
}

/// A time with an offset (`Z`, `+00:00`, `+0000`), or midnight of a date, in UTC.
pub(crate) fn time(text: &str) -> Option<i64> {
    if !text.contains('T') {
        return date(text)?.at(0, 0, 0, 0).in_tz("UTC").ok().map(|zoned| zoned.timestamp().as_millisecond());
    }
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

fn mistyped(field: &Field, given: Given<'_>) -> Invalid {
    match given {
        Given::Json(value) => {
            let (token, shown) = match value {
                Value::Null => ("VALUE_NULL", String::new()),
                Value::Bool(is) => (if *is { "VALUE_TRUE" } else { "VALUE_FALSE" }, format!(" value {is}")),
                Value::Number(number) if number.is_f64() => {
                    ("VALUE_NUMBER_FLOAT", format!(" value {number}"))
                }
                Value::Number(number) => ("VALUE_NUMBER_INT", format!(" value {number}")),
                Value::String(text) => ("VALUE_STRING", format!(" value {text}")),
                Value::Array(_) => ("START_ARRAY", String::new()),
                Value::Object(_) => ("START_OBJECT", String::new()),
            };
            let wanted = field.kind.soap_type().rsplit(':').next().unwrap_or_default();
            let wanted = if wanted == "ID" { "reference" } else { wanted };
            Invalid::Type(format!(
                "Cannot deserialize instance of {wanted} from {token}{shown} or request may be missing a required field"
            ))
        }
        Given::Csv { text, column } => {
            let message = format!(
                "Failed to deserialize field at col {column}. Due to, '{text}' is not a valid value for the type {}",
                field.kind.soap_type()
            );
            Invalid::Row(RowError::new("INVALID_FIELD", message).on(&field.name))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::catalog::Catalog;
    use super::*;

    fn given(object: &str, name: &str, value: &Value) -> Result<Option<Stored>, Invalid> {
        let catalog = Catalog::of(object);
        read(catalog.find(name).unwrap().1, Given::Json(value))
    }

    fn code(name: &str, value: &Value) -> String {
        match given("Account", name, value) {
            Err(Invalid::Row(error)) => format!("{} {}", error.code, error.message),
            Err(Invalid::Type(message)) => message,
            Ok(stored) => format!("{stored:?}"),
        }
    }

    #[test]
    fn values_a_field_refuses_are_answered_in_the_vendors_words() {
        for (name, value, expected) in [
            (
                "TickerSymbol",
                json!("x".repeat(21)),
                "STRING_TOO_LONG Ticker Symbol: data value too large: xxxxxxxxxxxxxxxxxxxxx (max length=20)",
            ),
            (
                "Segment__c",
                json!("Huge"),
                "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST Segment: bad value for restricted picklist field: Huge",
            ),
            (
                "Segment__c",
                json!("Retired"),
                "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST Segment: bad value for restricted picklist field: Retired",
            ),
            (
                "Contact_Email__c",
                json!("nobody"),
                "INVALID_EMAIL_ADDRESS Contact Email: invalid email address: nobody",
            ),
            (
                "Score__c",
                json!(12_345),
                "NUMBER_OUTSIDE_VALID_RANGE Score: value outside of valid range on numeric field: 12345",
            ),
            ("ParentId", json!("001"), "MALFORMED_ID malformed id 001"),
            (
                "Name",
                json!(5),
                "Cannot deserialize instance of string from VALUE_NUMBER_INT value 5 or request may be missing a required field",
            ),
            (
                "Score__c",
                json!("many"),
                "Cannot deserialize instance of double from VALUE_STRING value many or request may be missing a required field",
            ),
            (
                "Verified_On__c",
                json!("soon"),
                "Cannot deserialize instance of date from VALUE_STRING value soon or request may be missing a required field",
            ),
        ] {
            assert_eq!(code(name, &value), expected);
        }
    }

    #[test]
    fn values_are_kept_as_the_type_keeps_them() {
        let rendered = |name: &str, value: Value| {
            let catalog = Catalog::of("Account");
            let kind = catalog.find(name).unwrap().1.kind;
            given("Account", name, &value).unwrap().map(|stored| stored.render(kind))
        };
        assert_eq!(rendered("Name", json!("  Acme ")).as_deref(), Some("Acme"));
        assert_eq!(rendered("Name", json!("   ")), None);
        assert_eq!(rendered("Score__c", json!(7.456)).as_deref(), Some("7.46"));
        assert_eq!(rendered("Score__c", json!(7)).as_deref(), Some("7.0"));
        assert_eq!(rendered("NumberOfEmployees", json!(7)).as_deref(), Some("7"));
        assert_eq!(rendered("Topics__c", json!("Pricing;Support")).as_deref(), Some("Pricing;Support"));
        assert_eq!(rendered("Industry", json!("Anything")).as_deref(), Some("Anything"));
        assert_eq!(rendered("Verified_On__c", json!("2026-01-31")).as_deref(), Some("2026-01-31"));
        let at = rendered("Last_Enriched__c", json!("2026-01-31T01:00:00.000+0100"));
        assert_eq!(at.as_deref(), Some("2026-01-31T00:00:00.000Z"));
        assert_eq!(rendered("Is_Target__c", Value::Null).as_deref(), Some("false"));
        assert_eq!(json_time(1_700_000_000_120), "2023-11-14T22:13:20.120+0000");
    }
}
