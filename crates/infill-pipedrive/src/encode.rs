//! The body of an update: every target property of one record, each as the API types it.

use infill_crm::{Refusal, Update};
use infill_model::Value;
use infill_model::property::PropertyDef;
use serde_json::Map;

use crate::check::refusal;
use crate::contact;
use crate::field::{is_custom, record_key};
use crate::object::Object;
use crate::response::{Found, is_contact_list};
use crate::typed::{Misfit, Typed, cleared};

/// Whether an update needs to know what the record holds now, because a list in it is merged.
#[must_use]
pub fn is_merged(update: &Update) -> bool {
    update.properties.iter().any(|(name, value)| is_contact_list(name.as_str()) && !value.is_null())
}

/// The body of the update; custom fields stand in an object of their own, but for leads. `current` is the record as it
/// is now, for lists that are merged.
///
/// # Errors
/// The refusal of the row when a value does not fit its field.
pub fn body(
    object: Object,
    targets: &[PropertyDef],
    update: &Update,
    current: Option<&Found>,
) -> Result<Map<String, Value>, Refusal> {
    let mut body = Map::new();
    let mut custom = Map::new();
    for (name, value) in &update.properties {
        let code = name.as_str();
        let Some(property) = targets.iter().find(|target| target.name == *name) else {
            return Err(Refusal {
                code: "no_definition".to_owned(),
                message: format!(
                    "property \"{name}\" has no definition in this run; this is a fault of Infill"
                ),
                property: Some(name.clone()),
                correlation_id: None,
            });
        };
        let typed = Typed::of(property, value).map_err(|misfit: Misfit| refusal(property, misfit))?;
        let sent = match typed {
            None => cleared(property),
            Some(Typed::Text(text) | Typed::Email(text)) if is_contact_list(code) => {
                let held = current.map(|found| found.field(object, code)).unwrap_or_default();
                contact::merge(&held, &text)
            }
            Some(typed) => typed.wire(object),
        };
        if is_custom(code) && !object.is_v1() {
            custom.insert(code.to_owned(), sent);
        } else {
            body.insert(record_key(code).to_owned(), sent);
        }
    }
    if !custom.is_empty() {
        body.insert("custom_fields".to_owned(), Value::Object(custom));
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use infill_model::Properties;
    use serde_json::json;

    use super::*;
    use crate::field::shape_of;

    const HASH: &str = "9dc80c50d78a15643bfc4ca79d76156a73a1ca0e";

    fn target(name: &str, field_type: &str) -> PropertyDef {
        PropertyDef {
            name: name.into(),
            label: "L".to_owned(),
            kind: shape_of(field_type).kind(),
            vendor_type: field_type.to_owned(),
            read_only: None,
            options: Vec::new(),
            external_options: true,
            options_by: None,
        }
    }

    fn update(properties: &[(&str, Value)]) -> Update {
        let properties: Properties =
            properties.iter().map(|(name, value)| ((*name).into(), value.clone())).collect();
        Update { record: "7".into(), properties }
    }

    #[test]
    fn all_properties_go_into_one_body_and_custom_ones_are_nested_once() {
        let (name, email, custom) =
            (target("name", "varchar"), target("email", "emails"), target(HASH, "set"));
        let targets = [name, email, custom];
        let update = update(&[("name", json!("Ann")), ("email", json!("new@x.y")), (HASH, json!([3, 1]))]);
        let current: Found = serde_json::from_value(
            json!({"id": 7, "emails": [{"value": "old@x.y", "primary": true, "label": "home"}]}),
        )
        .unwrap();
        assert!(is_merged(&update));
        assert_eq!(
            json!(body(Object::Person, &targets, &update, Some(&current)).unwrap()),
            json!({
                "name": "Ann",
                "emails": [
                    {"value": "new@x.y", "primary": true, "label": "work"},
                    {"value": "old@x.y", "primary": false, "label": "home"},
                ],
                "custom_fields": {HASH: [1, 3]},
            })
        );
    }

    #[test]
    fn a_lead_has_its_custom_fields_beside_the_others() {
        let (title, custom) = (target("title", "varchar"), target(HASH, "double"));
        let update = update(&[("title", json!("T")), (HASH, json!("7"))]);
        let sent = body(Object::Lead, &[title, custom], &update, None).unwrap();
        assert_eq!(json!(sent), json!({"title": "T", HASH: 7}));
        assert!(!is_merged(&update));
    }

    #[test]
    fn null_clears_and_what_does_not_fit_is_refused_with_its_property() {
        let (phone, custom, number) =
            (target("phone", "phones"), target(HASH, "set"), target("value", "double"));
        let targets = [phone, custom, number];
        let clearing = update(&[("phone", json!(null)), (HASH, json!(null)), ("value", json!(""))]);
        assert!(!is_merged(&clearing));
        let sent = body(Object::Deal, &targets, &clearing, None).unwrap();
        assert_eq!(json!(sent), json!({"phones": [], "value": null, "custom_fields": {HASH: null}}));

        let wrong = update(&[("value", json!("many"))]);
        let refusal = body(Object::Deal, &targets, &wrong, None).unwrap_err();
        assert_eq!((refusal.code.as_str(), refusal.property), ("not_a_number", Some("value".into())));
        let unknown = update(&[("other", json!("x"))]);
        assert_eq!(body(Object::Deal, &targets, &unknown, None).unwrap_err().code, "no_definition");
    }
}
