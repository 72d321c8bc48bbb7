//! Values as HubSpot stores them, so that what was sent and what is read back compare equal.
//!
//! HubSpot answers every value as text. Null and the empty text are one thing: writing either clears. Text, rich
//! text and telephone numbers are kept to the letter; nothing is guessed about what HubSpot may do to them.

use std::collections::BTreeSet;

use infill_model::property::{PropertyDef, PropertyKind};
use infill_model::{Timestamp, Value};
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::request::sent_text;

/// Separates the values of a multiple choice. In front of them it means "add to what is there".
pub const SEPARATOR: char = ';';

const DAY_MS: i64 = 24 * 3600 * 1000;

/// The value as HubSpot stores it. A value that is not of the property's kind stays as it is.
#[must_use]
pub fn normalize(property: &PropertyDef, value: &Value) -> Value {
    let text = match value {
        Value::String(text) => text.as_str(),
        Value::Null => return Value::Null,
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => &sent_text(value),
    };
    let normal = match property.kind {
        PropertyKind::Text
        | PropertyKind::Html
        | PropertyKind::Phone
        | PropertyKind::Enumeration
        | PropertyKind::Other => text.to_owned(),
        PropertyKind::Email => text.trim().to_lowercase(),
        PropertyKind::Number => number(text).unwrap_or_else(|| text.trim().to_owned()),
        PropertyKind::Bool => bool_text(text).map_or_else(|| text.trim().to_owned(), str::to_owned),
        PropertyKind::Date => date(text).map_or_else(|| text.trim().to_owned(), |date| date.to_string()),
        PropertyKind::DateTime => moment(text).map_or_else(|| text.trim().to_owned(), moment_text),
        PropertyKind::MultiEnumeration => choices(text),
    };
    if normal.is_empty() { Value::Null } else { Value::String(normal) }
}

/// A multiple choice as a set: sorted, each once.
fn choices(text: &str) -> String {
    let chosen: BTreeSet<&str> =
        text.split(SEPARATOR).map(str::trim).filter(|choice| !choice.is_empty()).collect();
    chosen.into_iter().collect::<Vec<_>>().join(";")
}

/// `true` or `false`, whatever the case.
#[must_use]
pub fn bool_text(text: &str) -> Option<&'static str> {
    ["true", "false"].into_iter().find(|word| text.trim().eq_ignore_ascii_case(word))
}

/// A decimal number in its shortest form without an exponent, to the last digit: no float is involved.
#[must_use]
pub fn number(text: &str) -> Option<String> {
    /// Beyond what a double holds, and a bound on the zeros written out.
    const LARGEST_EXPONENT: i32 = 400;
    let text = text.trim();
    let (is_negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let is_decimal = !all.is_empty() && all.bytes().all(|byte| byte.is_ascii_digit());
    if !is_decimal || exponent.saturating_abs() > LARGEST_EXPONENT {
        return None;
    }
    let significant = all.trim_start_matches('0');
    let n_leading_zeros = all.len() - significant.len();
    let digits = significant.trim_end_matches('0');
    if digits.is_empty() {
        return Some("0".to_owned());
    }
    // Where the point stands, counted from the first significant digit.
    let point = i32::try_from(whole.len()).ok()? - i32::try_from(n_leading_zeros).ok()? + exponent;
    let n_digits = i32::try_from(digits.len()).ok()?;
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    let unsigned = if point <= 0 {
        format!("0.{}{digits}", zeros(-point))
    } else if point >= n_digits {
        format!("{digits}{}", zeros(point - n_digits))
    } else {
        let (whole, fraction) = digits.split_at_checked(usize::try_from(point).ok()?)?;
        format!("{whole}.{fraction}")
    };
    Some(if is_negative { format!("-{unsigned}") } else { unsigned })
}

/// A day: `2026-11-20`, or a moment (also as epoch milliseconds) that is a midnight in UTC.
#[must_use]
pub fn date(text: &str) -> Option<Date> {
    let text = text.trim();
    if let Some(date) = plain_date(text) {
        return Some(date);
    }
    let at = moment(text)?;
    let is_midnight = at.as_nanosecond().rem_euclid(i128::from(DAY_MS) * 1_000_000) == 0;
    is_midnight.then(|| at.to_zoned(TimeZone::UTC).date())
}

/// A moment: ISO 8601 with an offset, a day (its midnight in UTC), or epoch milliseconds.
#[must_use]
pub fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Some(milliseconds) = epoch_milliseconds(text) {
        return Timestamp::from_millisecond(milliseconds).ok();
    }
    if let Some(date) = plain_date(text) {
        return date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    }
    text.parse().ok()
}

/// The whole number that a text is.
#[must_use]
pub fn epoch_milliseconds(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

fn plain_date(text: &str) -> Option<Date> {
    const LENGTH: usize = "2026-11-20".len();
    // The parser would take a date with a time as well, and drop the time.
    if text.len() == LENGTH { text.parse().ok() } else { None }
}

/// ISO 8601 in UTC with milliseconds, as HubSpot answers it.
fn moment_text(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn property(kind: PropertyKind) -> PropertyDef {
        PropertyDef {
            name: "p".into(),
            label: "P".to_owned(),
            kind,
            vendor_type: String::new(),
            read_only: None,
            options: Vec::new(),
            external_options: false,
            options_by: None,
        }
    }

    const KINDS: [PropertyKind; 11] = [
        PropertyKind::Text,
        PropertyKind::Html,
        PropertyKind::Email,
        PropertyKind::Phone,
        PropertyKind::Number,
        PropertyKind::Bool,
        PropertyKind::Date,
        PropertyKind::DateTime,
        PropertyKind::Enumeration,
        PropertyKind::MultiEnumeration,
        PropertyKind::Other,
    ];

    #[test]
    fn values_take_the_form_that_hubspot_answers() {
        for (kind, value, normal) in [
            (PropertyKind::Text, json!("  José \"Pepe\" O'Neil\n"), json!("  José \"Pepe\" O'Neil\n")),
            (PropertyKind::Text, json!(true), json!("true")),
            (PropertyKind::Text, json!(""), json!(null)),
            (PropertyKind::Phone, json!("+49 (30) 1"), json!("+49 (30) 1")),
            (PropertyKind::Email, json!(" A.B@C.De "), json!("a.b@c.de")),
            (PropertyKind::Number, json!("007.50"), json!("7.5")),
            (PropertyKind::Number, json!(1e21), json!("1000000000000000000000")),
            (PropertyKind::Number, json!("-0.0"), json!("0")),
            (PropertyKind::Number, json!("1.5e-3"), json!("0.0015")),
            (PropertyKind::Number, json!("12345678901234567890.10"), json!("12345678901234567890.1")),
            (PropertyKind::Number, json!("+5."), json!("5")),
            (PropertyKind::Number, json!("1,000"), json!("1,000")),
            (PropertyKind::Bool, json!("TRUE"), json!("true")),
            (PropertyKind::Bool, json!(false), json!("false")),
            (PropertyKind::Date, json!("2026-11-20"), json!("2026-11-20")),
            (PropertyKind::Date, json!(1_795_132_800_000_i64), json!("2026-11-20")),
            (PropertyKind::Date, json!("2026-11-20T00:00:00Z"), json!("2026-11-20")),
            (PropertyKind::Date, json!("2026-11-20T10:00:00Z"), json!("2026-11-20T10:00:00Z")),
            (PropertyKind::DateTime, json!("2026-11-20T10:00:00+02:00"), json!("2026-11-20T08:00:00.000Z")),
            (PropertyKind::DateTime, json!("1795132800123"), json!("2026-11-20T00:00:00.123Z")),
            (PropertyKind::DateTime, json!("2026-11-20"), json!("2026-11-20T00:00:00.000Z")),
            (PropertyKind::DateTime, json!("soon"), json!("soon")),
            (PropertyKind::Enumeration, json!("CEO"), json!("CEO")),
            (PropertyKind::MultiEnumeration, json!("b;a; b ;"), json!("a;b")),
            (PropertyKind::MultiEnumeration, json!(["b", "a"]), json!("a;b")),
            (PropertyKind::MultiEnumeration, json!(";"), json!(null)),
        ] {
            assert_eq!(normalize(&property(kind), &value), normal, "{kind:?} {value}");
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[-+]?[0-9]{0,6}[.]?[0-9]{0,6}([eE][-+]?[0-9]{1,3})?".prop_map(Value::from),
            "[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+]02:00))?"
                .prop_map(Value::from),
            prop::collection::vec("[a-c; ]{0,3}", 0..5).prop_map(Value::from),
        ]
    }

    proptest! {
        #[test]
        fn normalizing_twice_is_normalizing_once(value in any_value()) {
            for kind in KINDS {
                let property = property(kind);
                let once = normalize(&property, &value);
                prop_assert_eq!(normalize(&property, &once), once, "{:?}", kind);
            }
        }

        #[test]
        fn a_number_keeps_its_value(value in any::<f64>().prop_filter("finite", |value| value.is_finite())) {
            let normal = number(&value.to_string()).unwrap();
            prop_assert!(normal.parse::<f64>().unwrap().to_bits() == (value + 0.0).to_bits(), "{} {}", value, normal);
        }
    }
}
