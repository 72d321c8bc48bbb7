//! Property definitions: what can be written, and as what.

use infill_model::PropertyName;
use infill_model::property::{PropertyDef, PropertyKind, PropertyOption};
use serde::Deserialize;

/// `GET /properties/{type}`, which does not page.
#[derive(Debug, Deserialize)]
pub struct Definitions {
    /// Every property that is not sensitive.
    pub results: Vec<Definition>,
}

/// A property as HubSpot describes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Definition {
    name: PropertyName,
    label: Option<String>,
    #[serde(rename = "type")]
    value_type: String,
    field_type: Option<String>,
    #[serde(default)]
    options: Vec<Choice>,
    #[serde(default)]
    external_options: bool,
    #[serde(default)]
    calculated: bool,
    #[serde(default)]
    hubspot_defined: bool,
    modification_metadata: Option<ModificationMetadata>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    value: String,
    label: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ModificationMetadata {
    #[serde(default)]
    read_only_value: bool,
}

/// The definitions of an object in our words, sorted by name, each name once.
#[must_use]
pub fn definitions(type_id: &str, definitions: Vec<Definition>) -> Vec<PropertyDef> {
    let mut properties: Vec<PropertyDef> =
        definitions.into_iter().map(|definition| definition.into_property(type_id)).collect();
    properties.sort_by(|a, b| a.name.cmp(&b.name));
    properties.dedup_by(|a, b| a.name == b.name);
    properties
}

impl Definition {
    fn into_property(self, type_id: &str) -> PropertyDef {
        let kind = self.kind(type_id);
        let read_only = self.read_only().map(str::to_owned);
        let vendor_type = match &self.field_type {
            Some(field_type) if !field_type.is_empty() => format!("{}/{field_type}", self.value_type),
            Some(_) | None => self.value_type.clone(),
        };
        let options = match kind {
            // Hidden options are options: screens do not offer them, writes may use them.
            PropertyKind::Enumeration | PropertyKind::MultiEnumeration => self
                .options
                .into_iter()
                .map(|choice| PropertyOption {
                    label: choice.label.unwrap_or_else(|| choice.value.clone()),
                    value: choice.value,
                })
                .collect(),
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
            label: self.label.unwrap_or_else(|| self.name.as_str().to_owned()),
            name: self.name,
            kind,
            vendor_type,
            read_only,
            options,
            external_options: self.external_options,
            options_by: None,
        }
    }

    /// Why it cannot be written. `readOnlyValue` decides; `calculated` alone would miss most.
    fn read_only(&self) -> Option<&'static str> {
        const CALCULATED: &str = "HubSpot calculates its value";
        const SET_BY_HUBSPOT: &str = "only HubSpot itself sets its value";
        match (&self.modification_metadata, self.calculated) {
            (Some(metadata), _) if !metadata.read_only_value => None,
            (Some(_) | None, true) => Some(CALCULATED),
            (Some(_), false) => Some(SET_BY_HUBSPOT),
            (None, false) => None,
        }
    }

    fn kind(&self, type_id: &str) -> PropertyKind {
        const CONTACTS: &str = "0-1";
        let field_type = self.field_type.as_deref().unwrap_or_default();
        match self.value_type.as_str() {
            "string" if field_type == "html" => PropertyKind::Html,
            "string" if field_type == "phonenumber" => PropertyKind::Phone,
            // The one property that HubSpot treats as an address; others of the name are plain text.
            "string" if type_id == CONTACTS && self.name.as_str() == "email" && self.hubspot_defined => {
                PropertyKind::Email
            }
            "string" => PropertyKind::Text,
            "phone_number" => PropertyKind::Phone,
            "number" => PropertyKind::Number,
            "bool" => PropertyKind::Bool,
            "date" => PropertyKind::Date,
            "datetime" => PropertyKind::DateTime,
            "enumeration" if field_type == "checkbox" => PropertyKind::MultiEnumeration,
            "enumeration" => PropertyKind::Enumeration,
            _ => PropertyKind::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(json: &str) -> PropertyDef {
        definitions("0-1", vec![serde_json::from_str(json).unwrap()]).remove(0)
    }

    #[test]
    fn type_and_field_type_make_the_kind() {
        for (name, value_type, field_type, kind) in [
            ("firstname", "string", "text", PropertyKind::Text),
            ("email", "string", "text", PropertyKind::Email),
            ("work_email", "string", "text", PropertyKind::Text),
            ("phone", "string", "phonenumber", PropertyKind::Phone),
            ("hs_phone", "phone_number", "phonenumber", PropertyKind::Phone),
            ("bio", "string", "html", PropertyKind::Html),
            ("notes", "string", "textarea", PropertyKind::Text),
            ("size", "number", "number", PropertyKind::Number),
            ("optout", "bool", "booleancheckbox", PropertyKind::Bool),
            ("birth", "date", "date", PropertyKind::Date),
            ("seen", "datetime", "date", PropertyKind::DateTime),
            ("state", "enumeration", "radio", PropertyKind::Enumeration),
            ("interests", "enumeration", "checkbox", PropertyKind::MultiEnumeration),
            ("place", "object_coordinates", "text", PropertyKind::Other),
            ("something", "from_the_future", "text", PropertyKind::Other),
        ] {
            let json = format!(
                r#"{{"name":"{name}","label":"L","type":"{value_type}","fieldType":"{field_type}","hubspotDefined":true}}"#
            );
            assert_eq!(one(&json).kind, kind, "{name}");
        }
    }

    #[test]
    fn read_only_value_decides_what_can_be_written() {
        let reason = |more: &str| one(&format!(r#"{{"name":"n","type":"string"{more}}}"#)).read_only;
        let metadata = |read_only| format!(r#","modificationMetadata":{{"readOnlyValue":{read_only}}}"#);
        assert_eq!(reason(&metadata(false)), None);
        assert_eq!(reason(&metadata(true)).unwrap(), "only HubSpot itself sets its value");
        assert_eq!(
            reason(&format!(r#","calculated":true{}"#, metadata(true))).unwrap(),
            "HubSpot calculates its value"
        );
        assert_eq!(reason(&format!(r#","calculated":true{}"#, metadata(false))), None);
        assert_eq!(reason(r#","calculated":true"#).unwrap(), "HubSpot calculates its value");
        assert_eq!(reason(""), None);
    }

    #[test]
    fn hidden_options_are_options_and_names_come_sorted_and_once() {
        let text = r#"[
            {"name":"b","type":"enumeration","fieldType":"select","options":[{"label":"A","value":"a","hidden":true},{"value":"c"}]},
            {"name":"a","type":"enumeration","fieldType":"select","externalOptions":true,"options":[]},
            {"name":"b","type":"enumeration","fieldType":"select","options":[]}]"#;
        let properties = definitions("0-1", serde_json::from_str(text).unwrap());
        assert_eq!(properties.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert!(properties[0].external_options);
        let options: Vec<_> =
            properties[1].options.iter().map(|o| (o.value.as_str(), o.label.as_str())).collect();
        assert_eq!(options, [("a", "A"), ("c", "c")]);
        assert_eq!(properties[1].vendor_type, "enumeration/select");
    }
}
