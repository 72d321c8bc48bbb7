//! Values as Salesforce stores them, so that what was sent and what is read back compare equal; and as they are sent.
//!
//! The empty text and null are one value once stored: a text field given `""` holds nothing. In a request they stay two, and a
//! field that is not named is left alone.

use std::collections::BTreeSet;

use infill_model::property::{PropertyDef, PropertyKind};
use infill_model::value::to_text;
use infill_model::{Timestamp, Value};
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::catalog::{is_reference, scale};
use crate::id::Id;

/// Separates the values of a multi-select picklist.
pub const SEPARATOR: char = ';';

/// The value as Salesforce stores it. A value that is not of the property's kind stays as it is.
///
/// Text is stored without outer white space, a moment to the second. A number is decimal text, so that `12` and `12.0` are one,
/// rounded to the digits that the field keeps; what is sent is rounded the same way.
#[must_use]
pub fn normalize(property: &PropertyDef, value: &Value) -> Value {
    if value.is_null() {
        return Value::Null;
    }
    let text = sent_text(value);
    let text = text.trim();
    if text.is_empty() {
        return Value::Null;
    }
    let normal = match property.kind {
        PropertyKind::Text | PropertyKind::Html | PropertyKind::Phone | PropertyKind::Enumeration => {
            text.replace("\r\n", "\n")
        }
        PropertyKind::Email => text.to_lowercase(),
        PropertyKind::Number => match (number(text), scale(property)) {
            (Some(number), Some(scale)) => rounded(&number, scale),
            (Some(number), None) => number,
            (None, _) => text.to_owned(),
        },
        PropertyKind::Bool => match truth(text) {
            Some(truth) => return Value::Bool(truth),
            None => text.to_owned(),
        },
        PropertyKind::Date => date(text).map_or_else(|| text.to_owned(), |date| date.to_string()),
        PropertyKind::DateTime => moment(text).map_or_else(|| text.to_owned(), moment_text),
        PropertyKind::MultiEnumeration => choices(text),
        PropertyKind::Other if is_reference(property) => {
            Id::parse(text).map_or_else(|| text.to_owned(), |id| id.to_string())
        }
        PropertyKind::Other => text.to_owned(),
    };
    if normal.is_empty() { Value::Null } else { Value::String(normal) }
}

/// The value as JSON of the type that Salesforce's parser wants: one value of a wrong type would sink the whole call.
#[must_use]
pub fn encode(property: &PropertyDef, value: &Value) -> Value {
    match property.kind {
        // To the letter: an empty text is sent as one.
        PropertyKind::Text | PropertyKind::Html | PropertyKind::Phone if !value.is_null() => {
            Value::String(sent_text(value))
        }
        PropertyKind::Number => {
            let normal = normalize(property, value);
            normal.as_str().and_then(number_value).unwrap_or(normal)
        }
        PropertyKind::Text
        | PropertyKind::Html
        | PropertyKind::Phone
        | PropertyKind::Email
        | PropertyKind::Bool
        | PropertyKind::Date
        | PropertyKind::DateTime
        | PropertyKind::Enumeration
        | PropertyKind::MultiEnumeration
        | PropertyKind::Other => normalize(property, value),
    }
}

/// A value as text; the items of a list are the values of a multi-select picklist.
#[must_use]
pub fn sent_text(value: &Value) -> String {
    match value {
        Value::Array(items) => items.iter().map(to_text).collect::<Vec<_>>().join(&SEPARATOR.to_string()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            to_text(value)
        }
    }
}

/// A multi-select picklist as a set: sorted, each value once.
fn choices(text: &str) -> String {
    let chosen: BTreeSet<&str> =
        text.split(SEPARATOR).map(str::trim).filter(|choice| !choice.is_empty()).collect();
    chosen.into_iter().collect::<Vec<_>>().join(&SEPARATOR.to_string())
}

/// `true` or `false`, whatever the case.
#[must_use]
pub fn truth(text: &str) -> Option<bool> {
    [("true", true), ("false", false)]
        .into_iter()
        .find_map(|(word, truth)| text.trim().eq_ignore_ascii_case(word).then_some(truth))
}

/// A decimal number in its shortest form without an exponent. Whole numbers keep every digit; others keep what a double holds,
/// as they do at Salesforce.
#[must_use]
pub fn number(text: &str) -> Option<String> {
    let text = text.trim();
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    if !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(match unsigned.trim_start_matches('0') {
            "" => "0".to_owned(),
            digits => format!("{sign}{digits}"),
        });
    }
    let is_decimal = unsigned.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    let parsed: f64 = if is_decimal { unsigned.parse().ok()? } else { return None };
    if !parsed.is_finite() {
        return None;
    }
    Some(match parsed.to_string().as_str() {
        "0" => "0".to_owned(),
        digits => format!("{sign}{digits}"),
    })
}

/// Decimal text with at most `scale` digits after the point; a half is rounded away from zero.
fn rounded(number: &str, scale: usize) -> String {
    let Some((whole, fraction)) = number.split_once('.') else { return number.to_owned() };
    let Some((kept, dropped)) = fraction.split_at_checked(scale).filter(|(_, dropped)| !dropped.is_empty())
    else {
        return number.to_owned();
    };
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |whole| ("-", whole));
    // More digits than this are more than any field holds; they are left for Salesforce to refuse.
    let Ok(digits) = format!("{whole}{kept}").parse::<u64>() else { return number.to_owned() };
    let digits = digits.saturating_add(u64::from(dropped.starts_with(['5', '6', '7', '8', '9'])));
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, kept) = digits.split_at_checked(digits.len() - scale).unwrap_or((&digits, ""));
    let text = match kept.trim_end_matches('0') {
        "" => whole.to_owned(),
        kept => format!("{whole}.{kept}"),
    };
    if text == "0" { text } else { format!("{sign}{text}") }
}

/// Decimal text as a JSON number.
fn number_value(text: &str) -> Option<Value> {
    if let Ok(whole) = text.parse::<i64>() {
        return Some(Value::from(whole));
    }
    serde_json::Number::from_f64(text.parse().ok()?).map(Value::Number)
}

/// A day: `2026-11-20`, or a moment that is a midnight in UTC.
#[must_use]
pub fn date(text: &str) -> Option<Date> {
    const DAY_SECONDS: i64 = 24 * 3600;
    let text = text.trim();
    if let Some(date) = plain_date(text) {
        return Some(date);
    }
    let at = moment(text)?;
    let is_midnight = at.as_second().rem_euclid(DAY_SECONDS) == 0 && at.subsec_nanosecond() == 0;
    is_midnight.then(|| at.to_zoned(TimeZone::UTC).date())
}

/// A moment: ISO 8601 with an offset, or a day (its midnight in UTC).
#[must_use]
pub fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    match plain_date(text) {
        Some(date) => date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp()),
        None => text.parse().ok(),
    }
}

fn plain_date(text: &str) -> Option<Date> {
    const LENGTH: usize = "2026-11-20".len();
    // The parser would take a date with a time as well, and drop the time.
    if text.len() == LENGTH { text.parse().ok() } else { None }
}

/// ISO 8601 in UTC, to the second.
#[must_use]
pub fn moment_text(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

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

    fn property(kind: PropertyKind) -> PropertyDef {
        PropertyDef {
            name: "p".into(),
            label: "P".to_owned(),
            kind,
            vendor_type: if kind == PropertyKind::Other {
                "reference(User)".to_owned()
            } else {
                String::new()
            },
            read_only: None,
            options: Vec::new(),
            external_options: false,
            options_by: None,
        }
    }

    #[test]
    fn each_kind_has_one_form() {
        for (kind, value, normal) in [
            (PropertyKind::Text, json!(" a \r\nb "), json!("a \nb")),
            (PropertyKind::Text, json!(""), json!(null)),
            (PropertyKind::Text, json!(7), json!("7")),
            (PropertyKind::Email, json!(" A.B@C.De "), json!("a.b@c.de")),
            (PropertyKind::Number, json!("007.50"), json!("7.5")),
            (PropertyKind::Number, json!(12), json!("12")),
            (PropertyKind::Number, json!(12.0), json!("12")),
            (PropertyKind::Number, json!("-0.0"), json!("0")),
            (PropertyKind::Number, json!("1.5e-3"), json!("0.0015")),
            (PropertyKind::Number, json!("123456789012345678"), json!("123456789012345678")),
            (PropertyKind::Number, json!("1,000"), json!("1,000")),
            (PropertyKind::Number, json!("inf"), json!("inf")),
            (PropertyKind::Number, json!("1e999"), json!("1e999")),
            (PropertyKind::Bool, json!("TRUE"), json!(true)),
            (PropertyKind::Bool, json!(false), json!(false)),
            (PropertyKind::Bool, json!("yes"), json!("yes")),
            (PropertyKind::Date, json!("2026-11-20"), json!("2026-11-20")),
            (PropertyKind::Date, json!("2026-11-20T00:00:00Z"), json!("2026-11-20")),
            (PropertyKind::Date, json!("2026-11-20T10:00:00Z"), json!("2026-11-20T10:00:00Z")),
            (PropertyKind::DateTime, json!("2026-11-20T10:00:00+02:00"), json!("2026-11-20T08:00:00Z")),
            (PropertyKind::DateTime, json!("2026-11-20T08:00:00.123+0000"), json!("2026-11-20T08:00:00Z")),
            (PropertyKind::DateTime, json!("2026-11-20"), json!("2026-11-20T00:00:00Z")),
            (PropertyKind::DateTime, json!("soon"), json!("soon")),
            (PropertyKind::Enumeration, json!("Hot"), json!("Hot")),
            (PropertyKind::MultiEnumeration, json!("b;a; b ;"), json!("a;b")),
            (PropertyKind::MultiEnumeration, json!(["b", "a"]), json!("a;b")),
            (PropertyKind::MultiEnumeration, json!(";"), json!(null)),
            (PropertyKind::Other, json!("003ak00000jvIfp"), json!("003ak00000jvIfpAAE")),
            (PropertyKind::Other, json!("nobody"), json!("nobody")),
        ] {
            assert_eq!(normalize(&property(kind), &value), normal, "{kind:?} {value}");
        }
    }

    #[test]
    fn numbers_are_rounded_to_what_the_field_keeps() {
        let field = |vendor_type: &str| PropertyDef {
            vendor_type: vendor_type.to_owned(),
            ..property(PropertyKind::Number)
        };
        for (vendor_type, value, normal) in [
            ("double(6, 2)", "2.675", "2.68"),
            ("double(6, 2)", "-2.675", "-2.68"),
            ("double(6, 2)", "0.004", "0"),
            ("double(6, 2)", "-0.004", "0"),
            ("double(6, 2)", "0.05", "0.05"),
            ("double(6, 2)", "9.999", "10"),
            ("double(6, 2)", "1.5", "1.5"),
            ("double(18, 0)", "2.5", "3"),
            ("double(18, 0)", "0.4", "0"),
            ("double", "2.675", "2.675"),
        ] {
            assert_eq!(normalize(&field(vendor_type), &json!(value)), json!(normal), "{value} {vendor_type}");
        }
        assert_eq!(encode(&field("double(6, 2)"), &json!("2.675")), json!(2.68));
    }

    #[test]
    fn values_are_sent_in_their_types() {
        for (kind, value, sent) in [
            (PropertyKind::Text, json!(""), json!("")),
            (PropertyKind::Text, json!(null), json!(null)),
            (PropertyKind::Text, json!(12), json!("12")),
            (PropertyKind::Text, json!(" a "), json!(" a ")),
            (PropertyKind::Number, json!("12"), json!(12)),
            (PropertyKind::Number, json!("12.50"), json!(12.5)),
            (PropertyKind::Number, json!(""), json!(null)),
            (PropertyKind::Bool, json!("True"), json!(true)),
            (PropertyKind::Date, json!(""), json!(null)),
            (PropertyKind::DateTime, json!("2026-11-20T10:00:00+02:00"), json!("2026-11-20T08:00:00Z")),
            (PropertyKind::MultiEnumeration, json!(["a", "b"]), json!("a;b")),
            (PropertyKind::Other, json!("003ak00000jvIfp"), json!("003ak00000jvIfpAAE")),
        ] {
            assert_eq!(encode(&property(kind), &value), sent, "{kind:?} {value}");
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
            "[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+]0200))?"
                .prop_map(Value::from),
            prop::collection::vec("[a-c; ]{0,3}", 0..5).prop_map(Value::from),
        ]
    }

    proptest! {
        #[test]
        fn rounding_keeps_the_nearest(value in -1e9_f64..1e9, scale in 0_usize..6) {
            let text = rounded(&number(&value.to_string()).unwrap(), scale);
            let digits = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
            prop_assert!(digits <= scale, "{}", text);
            let half = 0.5 * 0.1_f64.powi(i32::try_from(scale).unwrap());
            prop_assert!((text.parse::<f64>().unwrap() - value).abs() <= half * 1.001 + 1e-6, "{} {}", value, text);
            prop_assert_eq!(rounded(&text, scale), text);
        }

        #[test]
        fn normalizing_twice_is_normalizing_once(value in any_value()) {
            for kind in KINDS {
                let property = property(kind);
                let once = normalize(&property, &value);
                prop_assert_eq!(normalize(&property, &once), once, "{:?}", kind);
            }
        }

        #[test]
        fn what_is_sent_is_what_is_compared(value in any_value()) {
            for kind in KINDS {
                let property = property(kind);
                let sent = encode(&property, &value);
                prop_assert_eq!(normalize(&property, &sent), normalize(&property, &value), "{:?}", kind);
            }
        }

        #[test]
        fn a_number_keeps_its_value(value in any::<f64>().prop_filter("finite", |value| value.is_finite())) {
            let normal = number(&value.to_string()).unwrap();
            prop_assert!(normal.parse::<f64>().unwrap().to_bits() == (value + 0.0).to_bits(), "{} {}", value, normal);
        }
    }
}
