//! Field definitions as `describe` tells them: what the connected user can write, and as what.
//!
//! A describe has the user's field-level security applied already: a field that the user may not see is not in it, and one
//! that the user may not change is not updateable.

use std::collections::{BTreeMap, HashSet};

use infill_model::PropertyName;
use infill_model::property::{OptionsBy, PropertyDef, PropertyKind, PropertyOption};
use serde::Deserialize;

use crate::record_type::{self, RecordType};

/// `GET /sobjects/{object}/describe`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// Every field that the user may see.
    pub fields: Vec<Field>,
    /// The record types of the object.
    #[serde(default)]
    pub record_type_infos: Vec<RecordType>,
}

/// A field as Salesforce describes it. What is left out of an answer is taken for "no".
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Field {
    name: String,
    label: Option<String>,
    #[serde(rename = "type")]
    field_type: String,
    length: u64,
    precision: u64,
    scale: u64,
    updateable: bool,
    createable: bool,
    calculated: bool,
    auto_number: bool,
    html_formatted: bool,
    extra_type_info: Option<String>,
    restricted_picklist: bool,
    picklist_values: Vec<PicklistValue>,
    compound_field_name: Option<String>,
    reference_to: Vec<String>,
    external_id: bool,
    filterable: Option<bool>,
}

/// What may be done with a field, besides what its definition says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uses {
    /// It can be given when a record is created.
    pub createable: bool,
    /// It can be changed afterwards.
    pub updateable: bool,
    /// A record can be named by it: it is flagged External ID.
    pub is_key: bool,
    /// Queries can select by it.
    pub filterable: bool,
}

#[derive(Clone, Debug, Deserialize)]
struct PicklistValue {
    value: String,
    label: Option<String>,
    #[serde(default)]
    active: bool,
}

/// The definitions of an object in our words, sorted by name, each name once.
#[must_use]
pub fn definitions(description: Description) -> Vec<PropertyDef> {
    let Description { fields, record_type_infos } = description;
    let tells_its_type = fields.iter().any(|field| field.name == record_type::FIELD);
    let by = if tells_its_type { record_type::options_by(&record_type_infos) } else { None };
    let mut parts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for field in &fields {
        if let Some(whole) = field.compound_field_name.as_ref().filter(|whole| **whole != field.name) {
            parts.entry(whole.clone()).or_default().push(field.name.clone());
        }
    }
    let mut seen = HashSet::new();
    let mut properties: Vec<PropertyDef> = fields
        .into_iter()
        .filter(|field| seen.insert(field.name.clone()))
        .map(|field| {
            let parts = parts.get(&field.name).map_or(&[][..], Vec::as_slice);
            field.into_property(parts, by.as_ref())
        })
        .collect();
    properties.sort_by(|a, b| a.name.cmp(&b.name));
    properties
}

/// The longest text that a property holds, in characters, as its type tells it: `string(80)`.
#[must_use]
pub fn longest_text(property: &PropertyDef) -> Option<usize> {
    property.vendor_type.split_once('(')?.1.strip_suffix(')')?.parse().ok()
}

/// Digits after the point that a property keeps, as its type tells them: `double(16, 2)`.
#[must_use]
pub fn scale(property: &PropertyDef) -> Option<usize> {
    property.vendor_type.strip_suffix(')')?.split_once(", ")?.1.parse().ok()
}

/// Whether the property holds the id of another record.
#[must_use]
pub fn is_reference(property: &PropertyDef) -> bool {
    property.vendor_type == ID || property.vendor_type.starts_with(REFERENCE)
}

/// Whether the property is a number without a fraction.
#[must_use]
pub fn is_whole_number(property: &PropertyDef) -> bool {
    matches!(property.vendor_type.as_str(), "int" | "long")
}

/// The stage of an opportunity.
const STAGE: &str = "StageName";

const ID: &str = "id";
const REFERENCE: &str = "reference";

impl Field {
    /// Its API name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What may be done with it.
    #[must_use]
    pub fn uses(&self) -> Uses {
        Uses {
            createable: self.createable,
            updateable: self.updateable,
            is_key: self.external_id && !self.auto_number,
            filterable: self.filterable.unwrap_or(true),
        }
    }

    fn into_property(self, parts: &[String], by: Option<&OptionsBy>) -> PropertyDef {
        let kind = self.kind();
        let read_only = self.read_only(parts);
        let vendor_type = self.vendor_type(kind);
        let is_choice = matches!(kind, PropertyKind::Enumeration | PropertyKind::MultiEnumeration);
        // An unrestricted picklist takes any text. So does the stage, but forecasts and reports know only those that are set up.
        let is_closed = self.restricted_picklist || self.name == STAGE;
        let options = if is_choice {
            self.picklist_values
                .into_iter()
                .filter(|choice| choice.active)
                .map(|choice| PropertyOption {
                    label: choice.label.unwrap_or_else(|| choice.value.clone()),
                    value: choice.value,
                })
                .collect()
        } else {
            Vec::new()
        };
        PropertyDef {
            label: self.label.unwrap_or_else(|| self.name.clone()),
            name: PropertyName::from(self.name),
            kind,
            vendor_type,
            read_only,
            options,
            external_options: is_choice && !is_closed,
            options_by: by.filter(|_| is_choice && self.restricted_picklist).cloned(),
        }
    }

    /// The type with what bounds it: `string(80)`, `double(16, 2)`, `reference(Account)`.
    fn vendor_type(&self, kind: PropertyKind) -> String {
        let of = &self.field_type;
        match kind {
            PropertyKind::Text | PropertyKind::Html | PropertyKind::Email | PropertyKind::Phone
                if self.length > 0 =>
            {
                format!("{of}({})", self.length)
            }
            PropertyKind::Number if self.precision > 0 => format!("{of}({}, {})", self.precision, self.scale),
            PropertyKind::Other if of == REFERENCE && !self.reference_to.is_empty() => {
                format!("{of}({})", self.reference_to.join(", "))
            }
            PropertyKind::Text
            | PropertyKind::Html
            | PropertyKind::Email
            | PropertyKind::Phone
            | PropertyKind::Number
            | PropertyKind::Bool
            | PropertyKind::Date
            | PropertyKind::DateTime
            | PropertyKind::Enumeration
            | PropertyKind::MultiEnumeration
            | PropertyKind::Other => of.clone(),
        }
    }

    /// Why it cannot be written. `updateable` decides; the rest says why not.
    fn read_only(&self, parts: &[String]) -> Option<String> {
        if self.updateable {
            return None;
        }
        Some(if !parts.is_empty() {
            format!("it is made up of other fields; write those: {}", parts.join(", "))
        } else if self.auto_number {
            "Salesforce numbers it".to_owned()
        } else if self.calculated {
            "a formula or a roll-up calculates its value".to_owned()
        } else if self.createable {
            "it is set when a record is created and never after".to_owned()
        } else {
            "Salesforce sets it, or the user's field-level security forbids it".to_owned()
        })
    }

    fn kind(&self) -> PropertyKind {
        let is_rich = self.html_formatted || self.extra_type_info.as_deref() == Some("richtextarea");
        match self.field_type.as_str() {
            // A formula may answer with markup too; it is never written.
            "textarea" if is_rich => PropertyKind::Html,
            "string" | "textarea" | "encryptedstring" | "url" => PropertyKind::Text,
            "email" => PropertyKind::Email,
            "phone" => PropertyKind::Phone,
            "int" | "long" | "double" | "currency" | "percent" => PropertyKind::Number,
            "boolean" => PropertyKind::Bool,
            "date" => PropertyKind::Date,
            "datetime" => PropertyKind::DateTime,
            "picklist" | "combobox" => PropertyKind::Enumeration,
            "multipicklist" => PropertyKind::MultiEnumeration,
            _ => PropertyKind::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn described(fields: Value) -> Vec<PropertyDef> {
        definitions(serde_json::from_value(json!({ "fields": fields })).unwrap())
    }

    fn one(field: Value) -> PropertyDef {
        described(json!([field])).remove(0)
    }

    #[test]
    fn the_type_makes_the_kind_and_tells_its_bounds() {
        for (field, kind, vendor_type) in [
            (json!({"type": "string", "length": 80}), PropertyKind::Text, "string(80)"),
            (json!({"type": "textarea", "length": 32000}), PropertyKind::Text, "textarea(32000)"),
            (
                json!({"type": "textarea", "length": 9, "htmlFormatted": true}),
                PropertyKind::Html,
                "textarea(9)",
            ),
            (json!({"type": "email", "length": 80}), PropertyKind::Email, "email(80)"),
            (json!({"type": "phone", "length": 40}), PropertyKind::Phone, "phone(40)"),
            (json!({"type": "int", "digits": 8}), PropertyKind::Number, "int"),
            (
                json!({"type": "currency", "precision": 18, "scale": 2}),
                PropertyKind::Number,
                "currency(18, 2)",
            ),
            (json!({"type": "boolean"}), PropertyKind::Bool, "boolean"),
            (json!({"type": "date"}), PropertyKind::Date, "date"),
            (json!({"type": "datetime"}), PropertyKind::DateTime, "datetime"),
            (json!({"type": "picklist", "length": 255}), PropertyKind::Enumeration, "picklist"),
            (json!({"type": "multipicklist"}), PropertyKind::MultiEnumeration, "multipicklist"),
            (
                json!({"type": "reference", "length": 18, "referenceTo": ["User", "Group"]}),
                PropertyKind::Other,
                "reference(User, Group)",
            ),
            (json!({"type": "from_the_future", "length": 5}), PropertyKind::Other, "from_the_future"),
        ] {
            let mut field = field;
            field["name"] = json!("F");
            let property = one(field);
            assert_eq!((property.kind, property.vendor_type.as_str()), (kind, vendor_type));
        }
        assert_eq!(longest_text(&one(json!({"name": "F", "type": "string", "length": 80}))), Some(80));
        assert_eq!(longest_text(&one(json!({"name": "F", "type": "int", "length": 0}))), None);
        let percent = json!({"name": "F", "type": "percent", "precision": 5, "scale": 2});
        assert_eq!(scale(&one(percent)), Some(2));
        assert_eq!(scale(&one(json!({"name": "F", "type": "int"}))), None);
        let users = json!({"name": "F", "type": "reference", "referenceTo": ["User", "Group"]});
        assert_eq!(scale(&one(users)), None);
    }

    #[test]
    fn updateable_decides_and_the_reason_says_what_to_do() {
        let properties = described(json!([
            {"name": "LastName", "type": "string", "updateable": true, "compoundFieldName": "Name"},
            {"name": "FirstName", "type": "string", "updateable": true, "compoundFieldName": "Name"},
            {"name": "Name", "type": "string", "compoundFieldName": "Name"},
            {"name": "Number__c", "type": "string", "autoNumber": true},
            {"name": "Sum__c", "type": "double", "calculated": true},
            {"name": "Once__c", "type": "string", "createable": true},
            {"name": "CreatedDate", "type": "datetime"},
        ]));
        let reasons: Vec<(&str, Option<&str>)> =
            properties.iter().map(|of| (of.name.as_str(), of.read_only.as_deref())).collect();
        assert_eq!(
            reasons,
            [
                ("CreatedDate", Some("Salesforce sets it, or the user's field-level security forbids it")),
                ("FirstName", None),
                ("LastName", None),
                ("Name", Some("it is made up of other fields; write those: LastName, FirstName")),
                ("Number__c", Some("Salesforce numbers it")),
                ("Once__c", Some("it is set when a record is created and never after")),
                ("Sum__c", Some("a formula or a roll-up calculates its value")),
            ]
        );
    }

    #[test]
    fn only_active_values_are_options_and_an_unrestricted_picklist_takes_any() {
        let values = json!([
            {"value": "Hot", "label": "Heiß", "active": true},
            {"value": "Old", "label": "Alt", "active": false},
            {"value": "Cold", "label": null, "active": true},
        ]);
        for is_restricted in [true, false] {
            let property = one(json!({
                "name": "Rating", "type": "picklist", "restrictedPicklist": is_restricted, "picklistValues": values
            }));
            let options: Vec<_> =
                property.options.iter().map(|of| (of.value.as_str(), of.label.as_str())).collect();
            assert_eq!(options, [("Hot", "Heiß"), ("Cold", "Cold")]);
            assert_eq!(property.external_options, !is_restricted);
        }
    }
}
