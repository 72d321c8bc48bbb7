//! Refusing a value before a call is spent on it, in the words of the field's live definition.
//!
//! Only what Salesforce would certainly refuse is refused here: validation rules, dependent picklists and required fields are
//! Salesforce's to enforce.

use infill_crm::Refusal;
use infill_model::nearest::did_you_mean;
use infill_model::property::{PropertyDef, PropertyKind};
use infill_model::{Properties, Value};

use crate::catalog::{is_reference, is_whole_number, longest_text};
use crate::id::Id;
use crate::normalize::{self, SEPARATOR, sent_text};
use crate::record_type;

/// Checks a value against a property; `known` is what is known of the record, nothing where the value is for any.
///
/// # Errors
/// What Salesforce would refuse, with the way out.
pub fn check(property: &PropertyDef, value: &Value, known: &[&Properties]) -> Result<(), Refusal> {
    let refusal = |(code, why): (&str, String)| Refusal {
        code: code.to_owned(),
        message: format!("property \"{}\": {why}", property.name),
        property: Some(property.name.clone()),
        correlation_id: None,
    };
    if let Some(reason) = &property.read_only {
        return Err(refusal(("property_not_writable", format!("cannot be written: {reason}"))));
    }
    if normalize::normalize(property, value).is_null() {
        return Ok(());
    }
    match fault(property, &sent_text(value), known) {
        Some(fault) => Err(refusal(fault)),
        None => Ok(()),
    }
}

/// What is wrong with a text as a value of a property: a code and the reason.
fn fault(property: &PropertyDef, text: &str, known: &[&Properties]) -> Option<(&'static str, String)> {
    let unless = |holds: bool, code, why: &dyn Fn() -> String| (!holds).then(|| (code, why()));
    match property.kind {
        PropertyKind::Text | PropertyKind::Html | PropertyKind::Phone => too_long(property, text),
        PropertyKind::Email => too_long(property, text).or_else(|| {
            unless(is_address(text.trim()), "invalid_email", &|| format!("\"{text}\" is no e-mail address"))
        }),
        PropertyKind::Number => match normalize::number(text) {
            None => Some((
                "not_a_number",
                format!("\"{text}\" is no number; write digits with a point, and no thousands separator"),
            )),
            Some(number) => {
                unless(!is_whole_number(property) || !number.contains('.'), "not_a_whole_number", &|| {
                    format!("\"{text}\" has a fraction, and the field holds whole numbers")
                })
            }
        },
        PropertyKind::Bool => unless(normalize::truth(text).is_some(), "not_a_bool", &|| {
            format!("\"{text}\" is neither true nor false")
        }),
        PropertyKind::Date => unless(normalize::date(text).is_some(), "not_a_date", &|| {
            format!("\"{text}\" is no day; write it as 2026-11-20")
        }),
        PropertyKind::DateTime => unless(normalize::moment(text).is_some(), "not_a_date", &|| {
            format!("\"{text}\" is no moment; write it as 2026-11-20T10:30:00Z")
        }),
        PropertyKind::Enumeration => refused_option(property, text.trim(), known),
        PropertyKind::MultiEnumeration => text
            .split(SEPARATOR)
            .map(str::trim)
            .filter(|choice| !choice.is_empty())
            .find_map(|choice| refused_option(property, choice, known)),
        PropertyKind::Other => {
            unless(!is_reference(property) || Id::parse(text.trim()).is_some(), "not_a_record_id", &|| {
                format!("\"{text}\" is no record id; write its 15 or 18 characters")
            })
        }
    }
}

fn too_long(property: &PropertyDef, text: &str) -> Option<(&'static str, String)> {
    let most = longest_text(property)?;
    let length = text.trim().chars().count();
    let why =
        || format!("{length} characters are more than the {most} that the field holds; nothing is cut off");
    (length > most).then(|| ("text_too_long", why()))
}

fn refused_option(
    property: &PropertyDef,
    choice: &str,
    known: &[&Properties],
) -> Option<(&'static str, String)> {
    let of_another_type = || record_type::hindrance(property, choice, known);
    unknown_option(property, choice)
        .map(|why| ("invalid_option", why))
        .or_else(|| Some(("option_of_another_record_type", of_another_type()?)))
}

/// Why a value is not among the options of a property, or `None` when it is or any is allowed.
#[must_use]
pub fn unknown_option(property: &PropertyDef, value: &str) -> Option<String> {
    if property.external_options || property.options.iter().any(|option| option.value == value) {
        return None;
    }
    if let Some(labelled) = property.options.iter().find(|option| option.label.eq_ignore_ascii_case(value)) {
        return Some(format!(
            "\"{value}\" is the label of a picklist value; write the value \"{}\"",
            labelled.value
        ));
    }
    let known = property.options.iter().map(|option| option.value.as_str());
    Some(format!(
        "\"{value}\" is none of the {} active values of this restricted picklist{}",
        property.options.len(),
        did_you_mean(value, known)
    ))
}

/// One `@` with something on either side and no white space: Salesforce is stricter, and says so per row.
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

    fn property(kind: PropertyKind, vendor_type: &str) -> PropertyDef {
        let option =
            |value: &str, label: &str| PropertyOption { value: value.to_owned(), label: label.to_owned() };
        PropertyDef {
            name: "p".into(),
            label: "P".to_owned(),
            kind,
            vendor_type: vendor_type.to_owned(),
            read_only: None,
            options: vec![option("Hot", "Heiß"), option("Cold", "Kalt")],
            external_options: false,
            options_by: None,
        }
    }

    #[test]
    fn what_salesforce_would_refuse_is_refused_before_the_call() {
        use PropertyKind as Kind;
        for (kind, vendor_type, value, expected) in [
            (Kind::Text, "string(3)", json!("äöü"), None),
            (Kind::Text, "string(3)", json!(" abc "), None),
            (Kind::Text, "string(3)", json!("abcd"), Some("text_too_long")),
            (Kind::Text, "string", json!("abcd"), None),
            (Kind::Email, "email(80)", json!("a@b.c"), None),
            (Kind::Email, "email(80)", json!("a b@c"), Some("invalid_email")),
            (Kind::Email, "email(80)", json!(""), None),
            (Kind::Number, "double(16, 2)", json!("12.5"), None),
            (Kind::Number, "double(16, 2)", json!("1,000"), Some("not_a_number")),
            (Kind::Number, "int", json!(12.5), Some("not_a_whole_number")),
            (Kind::Number, "int", json!(12.0), None),
            (Kind::Bool, "boolean", json!("True"), None),
            (Kind::Bool, "boolean", json!("yes"), Some("not_a_bool")),
            (Kind::Date, "date", json!("2026-02-30"), Some("not_a_date")),
            (Kind::Date, "date", json!("2026-02-20"), None),
            (Kind::DateTime, "datetime", json!("tomorrow"), Some("not_a_date")),
            (Kind::DateTime, "datetime", json!("2026-02-20T10:00:00Z"), None),
            (Kind::Enumeration, "picklist", json!("Hot"), None),
            (Kind::Enumeration, "picklist", json!("hot"), Some("invalid_option")),
            (Kind::MultiEnumeration, "multipicklist", json!("Hot; Cold"), None),
            (Kind::MultiEnumeration, "multipicklist", json!(["Hot", "Warm"]), Some("invalid_option")),
            (Kind::Other, "reference(User)", json!("005ak00000jvIfp"), None),
            (Kind::Other, "reference(User)", json!("Ann"), Some("not_a_record_id")),
            (Kind::Other, "time", json!("12:00"), None),
        ] {
            let refused = check(&property(kind, vendor_type), &value, &[]).err();
            assert_eq!(refused.map(|of| of.code).as_deref(), expected, "{vendor_type} {value}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_write() {
        let picklist = property(PropertyKind::Enumeration, "picklist");
        let said = |value: &str| check(&picklist, &json!(value), &[]).unwrap_err().message;
        assert!(said("Heiß").ends_with("write the value \"Hot\""), "{}", said("Heiß"));
        assert!(said("Cald").ends_with("did you mean \"Cold\"?"), "{}", said("Cald"));
        let any = PropertyDef { external_options: true, ..picklist };
        assert_eq!(check(&any, &json!("Warm"), &[]), Ok(()));
        let read_only = PropertyDef { read_only: Some("Salesforce numbers it".to_owned()), ..any };
        let refusal = check(&read_only, &json!(null), &[]).unwrap_err();
        assert_eq!(refusal.code, "property_not_writable");
        assert!(refusal.message.ends_with("Salesforce numbers it"), "{}", refusal.message);
    }
}
