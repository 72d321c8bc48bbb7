//! Field definitions: what can be written, and as what.

use infill_model::PropertyName;
use infill_model::Value;
use infill_model::property::{PropertyDef, PropertyKind, PropertyOption};
use infill_model::value::to_text;
use serde::Deserialize;

use crate::field::{CONTACT_SYNC, ON_REQUEST, Shape, WRITABLE, is_custom, record_key, shape_of, writable};
use crate::object::Object;

/// A field as Pipedrive describes it; version 1 says `key` and `name`.
#[derive(Clone, Debug, Deserialize)]
pub struct Definition {
    #[serde(alias = "key")]
    field_code: PropertyName,
    #[serde(alias = "name")]
    field_name: Option<String>,
    field_type: String,
    /// Version 1 gives text here for some built-in fields.
    #[serde(default)]
    options: Value,
}

/// The definitions of an object in our words, sorted by name, each name once. Built-in fields that the API takes and the
/// catalogue leaves out are added, and so is the id.
#[must_use]
pub fn definitions(object: Object, definitions: Vec<Definition>) -> Vec<PropertyDef> {
    let mut properties: Vec<PropertyDef> =
        definitions.into_iter().map(|definition| definition.into_property(object)).collect();
    for built_in in WRITABLE.iter().filter(|built_in| built_in.object == object) {
        let key = record_key(built_in.code);
        if !properties.iter().any(|property| record_key(property.name.as_str()) == key) {
            properties.push(undescribed(built_in.code, built_in.field_type));
        }
    }
    if !properties.iter().any(|property| property.name.as_str() == ID) {
        let field_type = if object.is_v1() { "varchar" } else { "int" };
        properties.push(undescribed(ID, field_type));
    }
    for id in properties.iter_mut().filter(|property| property.name.as_str() == ID) {
        id.read_only = Some("it is what the record is known by".to_owned());
    }
    properties.sort_by(|a, b| a.name.cmp(&b.name));
    properties.dedup_by(|a, b| a.name == b.name);
    properties
}

/// The definitions with a second one for each custom field that one label means: a plan may call it so, since the code is
/// a hash and another in every account.
#[must_use]
pub fn with_labels(properties: &[PropertyDef]) -> Vec<PropertyDef> {
    let is_free = |label: &str| {
        let n_named =
            properties.iter().filter(|other| other.label == label || other.name.as_str() == label).count();
        !label.trim().is_empty() && n_named == 1
    };
    let labelled = properties
        .iter()
        .filter(|property| is_custom(property.name.as_str()) && is_free(&property.label))
        .map(|property| PropertyDef { name: property.label.as_str().into(), ..property.clone() });
    let mut all: Vec<PropertyDef> = properties.iter().cloned().chain(labelled).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// The code of the field that a plan calls so.
#[must_use]
pub fn code_of<'a>(name: &PropertyName, properties: &'a [PropertyDef]) -> Option<&'a PropertyName> {
    let by_code = properties.iter().find(|property| property.name == *name);
    let labelled =
        |property: &&PropertyDef| is_custom(property.name.as_str()) && property.label == name.as_str();
    by_code.or_else(|| properties.iter().find(labelled)).map(|property| &property.name)
}

/// Whether a name is that of a field without a look at the catalogue.
#[must_use]
pub fn is_code(object: Object, name: &PropertyName) -> bool {
    let name = name.as_str();
    is_custom(name) || name == ID || ON_REQUEST.contains(&name) || writable(object, name).is_some()
}

/// The code of a record's id.
const ID: &str = "id";

/// A built-in field of which only the code and the type are known.
fn undescribed(code: &str, field_type: &str) -> PropertyDef {
    let needs = if CONTACT_SYNC.contains(&code) { " (Contact Sync)" } else { "" };
    PropertyDef {
        name: code.into(),
        label: format!("{code}{needs}"),
        kind: shape_of(field_type).kind(),
        vendor_type: field_type.to_owned(),
        read_only: None,
        options: Vec::new(),
        external_options: shape_of(field_type).is_choice(),
        options_by: None,
    }
}

impl Definition {
    fn into_property(self, object: Object) -> PropertyDef {
        let code = self.field_code.as_str();
        let built_in = writable(object, code);
        let field_type = built_in.map_or(self.field_type.as_str(), |built_in| built_in.field_type);
        let shape = shape_of(field_type);
        let read_only = if is_custom(code) {
            unwritable_custom(object, shape, field_type)
        } else if built_in.is_none() {
            Some("Pipedrive sets it itself, or its API does not take it".to_owned())
        } else {
            None
        };
        let kind = shape.kind();
        let options = match kind {
            PropertyKind::Enumeration | PropertyKind::MultiEnumeration => options(&self.options),
            PropertyKind::Text
            | PropertyKind::Html
            | PropertyKind::Email
            | PropertyKind::Phone
            | PropertyKind::Number
            | PropertyKind::Bool
            | PropertyKind::Date
            | PropertyKind::DateTime
            | PropertyKind::Other => Vec::new(),
        };
        PropertyDef {
            label: self.field_name.unwrap_or_else(|| code.to_owned()),
            kind,
            vendor_type: field_type.to_owned(),
            read_only,
            // Stages and categories are kept elsewhere; a custom choice has its options here, be there none.
            external_options: shape.is_choice() && options.is_empty() && !is_custom(code),
            options_by: None,
            options,
            name: self.field_code,
        }
    }
}

/// Why a custom field cannot be written. Leads are version 1, whose forms of composed values are documented nowhere.
fn unwritable_custom(object: Object, shape: Shape, field_type: &str) -> Option<String> {
    match shape {
        Shape::Unknown => Some(format!("Infill does not know how Pipedrive takes the type {field_type}")),
        Shape::Choices
        | Shape::Money
        | Shape::DateRange
        | Shape::Time
        | Shape::TimeRange
        | Shape::Address
            if object.is_v1() =>
        {
            Some(format!("how Pipedrive takes the type {field_type} on leads is not documented"))
        }
        Shape::Text(_)
        | Shape::Emails
        | Shape::Phones
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
        | Shape::Reference => None,
    }
}

fn options(options: &Value) -> Vec<PropertyOption> {
    let all = options.as_array().map_or(&[][..], Vec::as_slice);
    let option = |option: &Value| {
        let value = to_text(option.get("id")?);
        let label = option.get("label").and_then(Value::as_str).unwrap_or(&value).to_owned();
        Some(PropertyOption { value, label })
    };
    all.iter().filter_map(option).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HASH: &str = "9dc80c50d78a15643bfc4ca79d76156a73a1ca0e";

    fn of(object: Object, definition: Value) -> PropertyDef {
        let definition: Definition = serde_json::from_value(definition).unwrap();
        let code = definition.field_code.clone();
        let all = definitions(object, vec![definition]);
        all.into_iter().find(|property| property.name == code).unwrap()
    }

    #[test]
    fn custom_fields_and_the_listed_built_in_ones_can_be_written() {
        let field = |object, code: &str, field_type: &str| {
            let property = of(
                object,
                json!({"field_code": code, "field_name": "N", "field_type": field_type, "options": null}),
            );
            (property.kind, property.vendor_type, property.read_only.is_none())
        };
        for (object, code, field_type, expected) in [
            (Object::Person, "name", "varchar", (PropertyKind::Text, "varchar", true)),
            (Object::Person, "email", "varchar", (PropertyKind::Email, "emails", true)),
            (Object::Person, "phone", "phone", (PropertyKind::Phone, "phones", true)),
            (Object::Person, HASH, "phone", (PropertyKind::Text, "phone", true)),
            (Object::Person, "update_time", "date", (PropertyKind::Date, "date", false)),
            (Object::Deal, "value", "monetary", (PropertyKind::Number, "double", true)),
            (Object::Lead, "value", "monetary", (PropertyKind::Other, "monetary", true)),
            (Object::Deal, HASH, "monetary", (PropertyKind::Other, "monetary", true)),
            (Object::Lead, HASH, "monetary", (PropertyKind::Other, "monetary", false)),
            (Object::Deal, HASH, "hologram", (PropertyKind::Other, "hologram", false)),
            (Object::Deal, "is_deleted", "boolean", (PropertyKind::Bool, "boolean", false)),
        ] {
            let (kind, vendor_type, is_writable) = expected;
            assert_eq!(
                field(object, code, field_type),
                (kind, vendor_type.to_owned(), is_writable),
                "{object:?} {code}"
            );
        }
    }

    #[test]
    fn what_the_api_takes_is_offered_though_the_catalogue_leaves_it_out() {
        let described = json!({"field_code": "emails", "field_name": "E-mail", "field_type": "varchar"});
        let all = definitions(Object::Person, vec![serde_json::from_value(described).unwrap()]);
        let of = |code: &str| all.iter().find(|property| property.name.as_str() == code);
        assert_eq!(of("job_title").unwrap().label, "job_title (Contact Sync)");
        assert!(of("phone").is_some_and(|phone| phone.read_only.is_none() && phone.vendor_type == "phones"));
        assert!(of("emails").is_some() && of("email").is_none(), "one list has one name");
        assert!(of("id").is_some_and(|id| id.read_only.is_some()));
    }

    #[test]
    fn a_custom_field_may_be_called_by_a_label_that_is_its_own() {
        const OTHER: &str = "0dc80c50d78a15643bfc4ca79d76156a73a1ca0f";
        const THIRD: &str = "1dc80c50d78a15643bfc4ca79d76156a73a1ca0f";
        let fields =
            [(HASH, "Greeting"), (OTHER, "Twin"), (THIRD, "Twin"), ("name", "Name"), ("title", "name")];
        let described = fields.map(|(code, name)| {
            serde_json::from_value(json!({"field_code": code, "field_name": name, "field_type": "varchar"}))
                .unwrap()
        });
        let properties = definitions(Object::Activity, described.into());
        let all = with_labels(&properties);
        assert!(all.is_sorted_by_key(|property| &property.name));
        let labels: Vec<&str> = all
            .iter()
            .map(|property| property.name.as_str())
            .filter(|name| !properties.iter().any(|property| property.name.as_str() == *name))
            .collect();
        assert_eq!(labels, ["Greeting"]);
        let code = |name: &str| code_of(&name.into(), &properties).map(PropertyName::as_str);
        assert_eq!((code("Greeting"), code(HASH), code("name")), (Some(HASH), Some(HASH), Some("name")));
        assert_eq!((code("Name"), code("greeting")), (None, None));
        assert!(
            is_code(Object::Activity, &"subject".into()) && !is_code(Object::Activity, &"Greeting".into())
        );
    }

    #[test]
    fn options_are_known_by_their_ids() {
        let property = of(
            Object::Person,
            json!({"field_code": HASH, "field_name": "Source", "field_type": "enum",
                   "options": [{"id": 27, "label": "Inbound", "color": "red"}, {"id": "open", "label": "Open"}]}),
        );
        let options: Vec<_> =
            property.options.iter().map(|option| (option.value.as_str(), option.label.as_str())).collect();
        assert_eq!(options, [("27", "Inbound"), ("open", "Open")]);
        assert_eq!((property.label.as_str(), property.external_options), ("Source", false));
        let kept_elsewhere = of(Object::Activity, json!({"field_code": "type", "field_type": "varchar"}));
        assert!(kept_elsewhere.options.is_empty() && kept_elsewhere.external_options);
        let emptied = of(Object::Deal, json!({"field_code": HASH, "field_type": "set", "options": []}));
        assert!(!emptied.external_options);
    }
}
