//! Refusing a value before a call is spent on it, in the words of the property's live definition.

use infill_crm::Refusal;
use infill_model::Value;
use infill_model::property::PropertyDef;

use crate::typed::{Misfit, Typed};

/// Checks a value against a property.
///
/// # Errors
/// What Pipedrive would refuse, with the way out.
pub fn check(property: &PropertyDef, value: &Value) -> Result<(), Refusal> {
    if let Some(reason) = &property.read_only {
        let why = format!("cannot be written: {reason}");
        return Err(refusal(property, Misfit { code: "property_not_writable", why }));
    }
    Typed::of(property, value).map(|_| ()).map_err(|misfit| refusal(property, misfit))
}

/// A misfit as the refusal of a row.
#[must_use]
pub fn refusal(property: &PropertyDef, misfit: Misfit) -> Refusal {
    // The code of a custom field says nothing to a person, so its label is told too.
    Refusal {
        code: misfit.code.to_owned(),
        message: format!("property \"{}\" ({}): {}", property.name, property.label, misfit.why),
        property: Some(property.name.clone()),
        correlation_id: None,
    }
}

#[cfg(test)]
mod tests {
    use infill_model::property::PropertyOption;
    use serde_json::json;

    use super::*;
    use crate::field::shape_of;

    fn property(field_type: &str) -> PropertyDef {
        let option =
            |value: &str, label: &str| PropertyOption { value: value.to_owned(), label: label.to_owned() };
        PropertyDef {
            name: "9dc80c50d78a15643bfc4ca79d76156a73a1ca0e".into(),
            label: "Field".to_owned(),
            kind: shape_of(field_type).kind(),
            vendor_type: field_type.to_owned(),
            read_only: None,
            options: vec![
                option("27", "Lead"),
                option("28", "Big, old client"),
                option("29", "Twin"),
                option("30", "twin"),
            ],
            external_options: false,
            options_by: None,
        }
    }

    #[test]
    fn what_pipedrive_would_refuse_is_refused_before_the_call() {
        for (field_type, value, expected) in [
            ("varchar", json!("x".repeat(255)), None),
            ("varchar", json!("x".repeat(256)), Some("text_too_long")),
            ("emails", json!("a@b.c"), None),
            ("emails", json!("a b@c"), Some("invalid_email")),
            ("double", json!("1,000"), Some("not_a_number")),
            ("double", json!("inf"), Some("not_a_number")),
            ("double", json!("-1.5e3"), None),
            ("int", json!("1.5"), Some("not_a_whole_number")),
            ("int", json!("15.0"), None),
            ("boolean", json!("yes"), Some("not_a_bool")),
            ("date", json!("2026-02-30"), Some("not_a_date")),
            ("date", json!("2026-02-28T10:00:00Z"), Some("not_a_date")),
            ("datetime", json!("2026-02-28"), Some("not_a_date")),
            ("enum", json!("Lead"), None),
            ("enum", json!(27), None),
            ("enum", json!("Leads"), Some("invalid_option")),
            ("enum", json!("twin"), Some("ambiguous_option")),
            ("set", json!("Lead, 30"), None),
            ("set", json!("Big, old client"), None),
            ("set", json!("Lead;nope"), Some("invalid_option")),
            ("monetary", json!("10.5"), Some("not_an_amount")),
            ("monetary", json!("EUR 10.5"), None),
            ("monetary", json!({"value": 10, "currency": "EURO"}), Some("not_an_amount")),
            ("daterange", json!("2026-11-20"), Some("not_a_range")),
            ("daterange", json!("2026-11-20/2026-11-21"), None),
            ("time", json!("25:00"), Some("not_a_time")),
            ("time", json!("9:30"), None),
            ("timerange", json!({"value": "09:00:00"}), Some("not_a_range")),
            ("address", json!({"country": "Estonia"}), Some("not_an_address")),
            ("user", json!("Ann"), Some("not_an_id")),
            ("user", json!(12), None),
        ] {
            let code = check(&property(field_type), &value).err().map(|refusal| refusal.code);
            assert_eq!(code.as_deref(), expected, "{field_type} {value}");
        }
    }

    #[test]
    fn a_refusal_names_the_field_as_screens_do() {
        let said = check(&property("enum"), &json!("Leads")).unwrap_err().message;
        assert_eq!(
            said,
            "property \"9dc80c50d78a15643bfc4ca79d76156a73a1ca0e\" (Field): \"Leads\" is none of its 4 options; did \
             you mean \"Lead\"?"
        );
        let computed = PropertyDef { read_only: Some("Pipedrive counts it".to_owned()), ..property("int") };
        let said = check(&computed, &json!(1)).unwrap_err().message;
        assert!(said.ends_with("cannot be written: Pipedrive counts it"), "{said}");
    }
}
