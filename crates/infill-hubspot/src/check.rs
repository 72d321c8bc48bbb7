//! Refusing a value before a call is spent on it, in the words of the property's live definition.
//!
//! Only what HubSpot would certainly refuse is refused here: rules that an administrator set are HubSpot's to
//! enforce.

use infill_crm::Refusal;
use infill_model::Value;
use infill_model::nearest::did_you_mean;
use infill_model::property::{PropertyDef, PropertyKind};

use crate::normalize::{self, SEPARATOR};
use crate::request::sent_text;

/// The longest text that HubSpot stores, in characters.
const LONGEST_TEXT: usize = 65_536;

/// Epoch milliseconds below this (March 1973) are taken for seconds, which HubSpot reads as 1970 or refuses.
const SMALLEST_MILLISECONDS: i64 = 100_000_000_000;

/// Checks a value against a property.
///
/// # Errors
/// What HubSpot would refuse, with the way out.
pub fn check(property: &PropertyDef, value: &Value) -> Result<(), Refusal> {
    let refuse = |code: &str, why: String| {
        Err(Refusal {
            code: code.to_owned(),
            message: format!("property \"{}\": {why}", property.name),
            property: Some(property.name.clone()),
            correlation_id: None,
        })
    };
    if let Some(reason) = &property.read_only {
        return refuse("property_not_writable", format!("cannot be written, {reason}"));
    }
    let text = match value {
        Value::String(text) => text.as_str(),
        Value::Null => return Ok(()),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => &sent_text(value),
    };
    let appends = property.kind == PropertyKind::MultiEnumeration && text.starts_with(SEPARATOR);
    if !appends && normalize::normalize(property, value).is_null() {
        return Ok(());
    }
    match property.kind {
        PropertyKind::Text | PropertyKind::Html | PropertyKind::Phone | PropertyKind::Other => {
            match text.chars().count() {
                0..=LONGEST_TEXT => Ok(()),
                length => refuse(
                    "text_too_long",
                    format!("{length} characters are more than the {LONGEST_TEXT} that HubSpot stores"),
                ),
            }
        }
        PropertyKind::Email if !is_address(text.trim()) => {
            refuse("invalid_email", format!("\"{text}\" is no e-mail address"))
        }
        PropertyKind::Number if normalize::number(text).is_none() => refuse(
            "not_a_number",
            format!("\"{text}\" is no number; write digits with a point, and no thousands separator"),
        ),
        PropertyKind::Bool if normalize::bool_text(text).is_none() => {
            refuse("not_a_bool", format!("\"{text}\" is neither true nor false"))
        }
        PropertyKind::Date | PropertyKind::DateTime if looks_like_seconds(text) => refuse(
            "not_a_date",
            format!("\"{text}\" looks like seconds since 1970; HubSpot takes milliseconds, or ISO 8601"),
        ),
        PropertyKind::Date if normalize::date(text).is_none() => {
            refuse("not_a_date", format!("\"{text}\" is no day; write it as 2026-11-20"))
        }
        PropertyKind::DateTime if normalize::moment(text).is_none() => {
            refuse("not_a_date", format!("\"{text}\" is no moment; write it as 2026-11-20T10:30:00Z"))
        }
        PropertyKind::Enumeration => match unknown_option(property, text) {
            Some(why) => refuse("invalid_option", why),
            None => Ok(()),
        },
        PropertyKind::MultiEnumeration if appends => refuse(
            "appends_to_choices",
            format!("\"{text}\" starts with a semicolon, by which HubSpot adds to what is chosen already"),
        ),
        PropertyKind::MultiEnumeration => {
            let mut choices = text.split(SEPARATOR).map(str::trim).filter(|choice| !choice.is_empty());
            match choices.find_map(|choice| unknown_option(property, choice)) {
                Some(why) => refuse("invalid_option", why),
                None => Ok(()),
            }
        }
        PropertyKind::Email
        | PropertyKind::Number
        | PropertyKind::Bool
        | PropertyKind::Date
        | PropertyKind::DateTime => Ok(()),
    }
}

/// Why a value is not among the options of a property, or `None` when it is or nobody here can know.
#[must_use]
pub fn unknown_option(property: &PropertyDef, value: &str) -> Option<String> {
    if property.external_options || property.options.iter().any(|option| option.value == value) {
        return None;
    }
    if let Some(labelled) = property.options.iter().find(|option| option.label.eq_ignore_ascii_case(value)) {
        return Some(format!(
            "\"{value}\" is the label of an option; write its value \"{}\"",
            labelled.value
        ));
    }
    let known = property.options.iter().map(|option| option.value.as_str());
    Some(format!(
        "\"{value}\" is none of its {} options{}",
        property.options.len(),
        did_you_mean(value, known)
    ))
}

fn looks_like_seconds(text: &str) -> bool {
    normalize::epoch_milliseconds(text.trim())
        .is_some_and(|number| number != 0 && number.unsigned_abs() < SMALLEST_MILLISECONDS.unsigned_abs())
}

/// One `@` with something on either side and no white space: HubSpot is stricter, and says so per row.
fn is_address(text: &str) -> bool {
    let has_both_sides = text
        .split_once('@')
        .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
    has_both_sides && !text.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use infill_model::property::PropertyOption;
    use serde_json::json;

    use super::*;

    fn property(kind: PropertyKind) -> PropertyDef {
        let option =
            |value: &str, label: &str| PropertyOption { value: value.to_owned(), label: label.to_owned() };
        PropertyDef {
            name: "p".into(),
            label: "P".to_owned(),
            kind,
            vendor_type: String::new(),
            read_only: None,
            options: vec![option("lead", "Lead"), option("opp", "Opportunity")],
            external_options: false,
            options_by: None,
        }
    }

    fn code(kind: PropertyKind, value: Value) -> Option<String> {
        check(&property(kind), &value).err().map(|refusal| refusal.code)
    }

    #[test]
    fn what_hubspot_would_refuse_is_refused_before_the_call() {
        for (kind, value, expected) in [
            (PropertyKind::Text, json!("x".repeat(65_536)), None),
            (PropertyKind::Text, json!("x".repeat(65_537)), Some("text_too_long")),
            (PropertyKind::Email, json!("a@b.c"), None),
            (PropertyKind::Email, json!("a b@c"), Some("invalid_email")),
            (PropertyKind::Email, json!("nobody"), Some("invalid_email")),
            (PropertyKind::Number, json!("12.5"), None),
            (PropertyKind::Number, json!("1,000"), Some("not_a_number")),
            (PropertyKind::Bool, json!("True"), None),
            (PropertyKind::Bool, json!("yes"), Some("not_a_bool")),
            (PropertyKind::Date, json!("2026-02-30"), Some("not_a_date")),
            (PropertyKind::Date, json!("2026-02-28T10:00:00Z"), Some("not_a_date")),
            (PropertyKind::Date, json!("2026-02-28"), None),
            (PropertyKind::DateTime, json!(1_795_132_800), Some("not_a_date")),
            (PropertyKind::DateTime, json!(1_795_132_800_000_i64), None),
            (PropertyKind::Enumeration, json!("lead"), None),
            (PropertyKind::Enumeration, json!("Lead"), Some("invalid_option")),
            (PropertyKind::MultiEnumeration, json!("opp;lead"), None),
            (PropertyKind::MultiEnumeration, json!(";lead"), Some("appends_to_choices")),
            (PropertyKind::MultiEnumeration, json!(["lead", "nope"]), Some("invalid_option")),
            (PropertyKind::Phone, json!("call me"), None),
        ] {
            assert_eq!(code(kind, value.clone()).as_deref(), expected, "{kind:?} {value}");
        }
    }

    #[test]
    fn every_kind_may_be_cleared() {
        for kind in [PropertyKind::Number, PropertyKind::Enumeration, PropertyKind::Email, PropertyKind::Date]
        {
            assert_eq!(code(kind, json!(null)), None);
            assert_eq!(code(kind, json!("")), None);
        }
    }

    #[test]
    fn a_refusal_says_the_way_out() {
        let said =
            |value: &str| check(&property(PropertyKind::Enumeration), &json!(value)).unwrap_err().message;
        assert_eq!(
            said("Opportunity"),
            "property \"p\": \"Opportunity\" is the label of an option; write its value \"opp\""
        );
        assert_eq!(
            said("leads"),
            "property \"p\": \"leads\" is none of its 2 options; did you mean \"lead\"?"
        );
    }

    #[test]
    fn options_that_live_elsewhere_are_not_judged() {
        let owner = PropertyDef {
            external_options: true,
            options: Vec::new(),
            ..property(PropertyKind::Enumeration)
        };
        assert_eq!(check(&owner, &json!("77")), Ok(()));
    }
}
