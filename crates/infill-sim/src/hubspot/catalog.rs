//! The property catalogue of one object type: definitions, options, administrators' rules.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::answer::timestamp;

/// Place of a property in its catalogue. It stays valid when the property is deleted.
pub(crate) type PropId = u16;

const DATA: &str = include_str!("../../data/hubspot_properties.csv");

/// When the definitions that HubSpot brings were made.
const DEFINED_MS: i64 = 1_577_836_800_000;

/// HubSpot's `type` of a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    String,
    Number,
    Date,
    Datetime,
    Enumeration,
    Bool,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Date => "date",
            Self::Datetime => "datetime",
            Self::Enumeration => "enumeration",
            Self::Bool => "bool",
        }
    }

    fn from_word(word: &str) -> Self {
        let all = [Self::Number, Self::Date, Self::Datetime, Self::Enumeration, Self::Bool];
        all.into_iter().find(|kind| kind.as_str() == word).unwrap_or(Self::String)
    }
}

/// A property whose value follows from the record itself and is stored nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Derived {
    Id,
    CreatedAt,
    UpdatedAt,
    FullNameOrEmail,
    EmailDomain,
    SearchablePhone,
}

impl Derived {
    fn of(name: &str) -> Option<Self> {
        match name {
            "hs_object_id" => Some(Self::Id),
            "createdate" | "hs_createdate" => Some(Self::CreatedAt),
            "lastmodifieddate" | "hs_lastmodifieddate" => Some(Self::UpdatedAt),
            "hs_full_name_or_email" => Some(Self::FullNameOrEmail),
            "hs_email_domain" => Some(Self::EmailDomain),
            "hs_searchable_calculated_phone_number" => Some(Self::SearchablePhone),
            _ => None,
        }
    }
}

/// One option of an enumeration or bool.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    pub(crate) label: String,
    pub(crate) value: String,
    hidden: bool,
}

/// A rule an administrator set on a property; enforced on API writes since July 2023.
#[derive(Debug, Clone)]
pub(crate) enum Rule {
    MinLength(usize),
    MaxLength(usize),
    LettersOnly,
    Decimals(usize),
    EmailDomain(&'static str),
}

impl Rule {
    fn json(&self) -> Value {
        let (rule_type, arguments) = match self {
            Self::MinLength(n) => ("MIN_LENGTH", vec![n.to_string()]),
            Self::MaxLength(n) => ("MAX_LENGTH", vec![n.to_string()]),
            Self::LettersOnly => ("ALPHANUMERIC", vec!["ALPHABETIC_ONLY".to_owned()]),
            Self::Decimals(n) => ("DECIMAL", vec![n.to_string()]),
            Self::EmailDomain(domain) => ("EMAIL_ALLOWED_DOMAINS", vec![(*domain).to_owned()]),
        };
        json!({"ruleType": rule_type, "ruleArguments": arguments})
    }
}

/// The rules of the simulated portal, all on contacts.
fn rules_of(object: &str, name: &str) -> Vec<Rule> {
    match (object, name) {
        ("contacts", "external_ref") => vec![Rule::MinLength(3), Rule::MaxLength(20)],
        ("contacts", "field_of_study") => vec![Rule::LettersOnly],
        ("contacts", "satisfaction_score") => vec![Rule::Decimals(1)],
        ("contacts", "work_email") => vec![Rule::EmailDomain("congress.example")],
        _ => Vec::new(),
    }
}

/// A property's definition.
#[derive(Debug, Clone)]
pub(crate) struct Property {
    pub(crate) name: Arc<str>,
    label: String,
    pub(crate) kind: Kind,
    field_type: String,
    group: String,
    pub(crate) read_only: bool,
    calculated: bool,
    hidden: bool,
    pub(crate) external_options: bool,
    pub(crate) unique: bool,
    pub(crate) sensitive: bool,
    pub(crate) options: Vec<Choice>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) derived: Option<Derived>,
    pub(crate) archived: bool,
    hubspot_defined: bool,
}

impl Property {
    fn from_row(row: &csv::StringRecord) -> Option<Self> {
        let [object, name, label, kind, field_type, group, flags, options] =
            <[&str; 8]>::try_from(row.iter().collect::<Vec<_>>()).ok()?;
        let has = |flag: char| flags.contains(flag);
        Some(Self {
            name: name.into(),
            label: label.to_owned(),
            kind: Kind::from_word(kind),
            field_type: field_type.to_owned(),
            group: group.to_owned(),
            read_only: has('r'),
            calculated: has('c'),
            hidden: has('h'),
            external_options: has('x'),
            unique: has('u'),
            sensitive: has('s'),
            options: options.split('|').filter_map(choice).collect(),
            rules: rules_of(object, name),
            derived: Derived::of(name),
            archived: false,
            hubspot_defined: true,
        })
    }

    fn custom_text(name: &str) -> Self {
        Self {
            name: name.into(),
            label: name.to_owned(),
            kind: Kind::String,
            field_type: "text".to_owned(),
            group: "contactinformation".to_owned(),
            read_only: false,
            calculated: false,
            hidden: false,
            external_options: false,
            unique: false,
            sensitive: false,
            options: Vec::new(),
            rules: Vec::new(),
            derived: None,
            archived: false,
            hubspot_defined: false,
        }
    }

    /// Whether it holds a set of options, joined by `;`.
    pub(crate) fn is_multi_select(&self) -> bool {
        self.field_type == "checkbox"
    }

    pub(crate) fn json(&self, display_order: usize) -> Value {
        let options: Vec<Value> = self
            .options
            .iter()
            .enumerate()
            .map(|(order, option)| {
                json!({"label": option.label, "value": option.value, "description": "",
                       "displayOrder": order, "hidden": option.hidden})
            })
            .collect();
        let mut body = json!({
            "name": &*self.name,
            "label": self.label,
            "type": self.kind.as_str(),
            "fieldType": self.field_type,
            "groupName": self.group,
            "description": "",
            "options": options,
            "displayOrder": display_order,
            "calculated": self.calculated,
            "externalOptions": self.external_options,
            "hasUniqueValue": self.unique,
            "hidden": self.hidden,
            "hubspotDefined": self.hubspot_defined,
            "formField": !self.read_only && !self.hidden,
            "archived": self.archived,
            "dataSensitivity": if self.sensitive { "sensitive" } else { "non_sensitive" },
            "modificationMetadata": {
                "archivable": !self.hubspot_defined,
                "readOnlyDefinition": self.hubspot_defined,
                "readOnlyValue": self.read_only,
            },
            "createdAt": timestamp(DEFINED_MS),
            "updatedAt": timestamp(DEFINED_MS),
        });
        if let Some(fields) = body.as_object_mut() {
            if &*self.name == "hubspot_owner_id" {
                fields.insert("referencedObjectType".to_owned(), "OWNER".into());
            }
            if matches!(self.kind, Kind::Enumeration)
                && let Some(Value::Object(metadata)) = fields.get_mut("modificationMetadata")
            {
                metadata.insert("readOnlyOptions".to_owned(), self.hubspot_defined.into());
            }
        }
        body
    }
}

fn choice(text: &str) -> Option<Choice> {
    let (label, value) = text.split_once('=')?;
    let (value, hidden) = value.strip_suffix('!').map_or((value, false), |value| (value, true));
    Some(Choice { label: label.to_owned(), value: value.to_owned(), hidden })
}

/// The properties of one object type.
#[derive(Debug, Clone)]
pub(crate) struct Catalog {
    properties: Vec<Property>,
    by_name: HashMap<Arc<str>, PropId>,
}

impl Catalog {
    /// The catalogue that a portal has for `object` (the plural name, or the id of a custom object).
    pub(crate) fn of(object: &str) -> Self {
        let mut catalog = Self { properties: Vec::new(), by_name: HashMap::new() };
        let mut reader = csv::Reader::from_reader(DATA.as_bytes());
        let rows = reader.records().filter_map(Result::ok).filter(|row| row.get(0) == Some(object));
        for property in rows.filter_map(|row| Property::from_row(&row)) {
            catalog.add(property);
        }
        catalog
    }

    fn add(&mut self, property: Property) -> PropId {
        let id = PropId::try_from(self.properties.len()).unwrap_or(PropId::MAX);
        self.by_name.insert(Arc::clone(&property.name), id);
        self.properties.push(property);
        id
    }

    /// The property of that name, made as a text property when there is none.
    pub(crate) fn find_or_add_text(&mut self, name: &str) -> PropId {
        match self.by_name.get(name) {
            Some(&id) => id,
            None => self.add(Property::custom_text(name)),
        }
    }

    /// A property by name, unless it was deleted.
    pub(crate) fn find(&self, name: &str) -> Option<(PropId, &Property)> {
        let id = *self.by_name.get(name)?;
        self.get(id).filter(|property| !property.archived).map(|property| (id, property))
    }

    /// A property by its place, deleted or not.
    pub(crate) fn get(&self, id: PropId) -> Option<&Property> {
        self.properties.get(usize::from(id))
    }

    /// Deletes a property; reads then ignore it and writes refuse it. False when there is none.
    pub(crate) fn delete(&mut self, name: &str) -> bool {
        let Some((id, _)) = self.find(name) else { return false };
        if let Some(property) = self.properties.get_mut(usize::from(id)) {
            property.archived = true;
        }
        true
    }

    /// Every property that is not deleted, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Property> {
        self.properties.iter().filter(|property| !property.archived)
    }

    pub(crate) fn rules_json(property: &Property) -> Value {
        let rules: Vec<Value> = property.rules.iter().map(Rule::json).collect();
        json!({"propertyName": &*property.name, "propertyValidationRules": rules})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contacts_have_about_250_properties_of_which_70_percent_are_read_only() {
        let catalog = Catalog::of("contacts");
        let n_all = catalog.iter().count();
        let n_read_only = catalog.iter().filter(|property| property.read_only).count();
        let n_not_calculated =
            catalog.iter().filter(|property| property.read_only && !property.calculated).count();
        assert!((240..=265).contains(&n_all), "{n_all}");
        assert!((68..=72).contains(&(n_read_only * 100 / n_all)), "{n_read_only} of {n_all}");
        assert!(n_not_calculated * 2 > n_read_only, "`calculated` must not tell which are writable");
    }

    #[test]
    fn every_derived_property_is_read_only_and_every_object_has_an_id() {
        for object in ["contacts", "companies", "deals", "tickets", "2-3456789"] {
            let catalog = Catalog::of(object);
            assert!(
                catalog
                    .iter()
                    .filter(|property| property.derived.is_some())
                    .all(|property| property.read_only)
            );
            assert!(catalog.find("hs_object_id").is_some());
        }
    }

    #[test]
    fn a_deleted_property_is_found_no_more() {
        let mut catalog = Catalog::of("contacts");
        assert!(catalog.delete("phone"));
        assert!(catalog.find("phone").is_none());
        assert!(!catalog.delete("phone"));
    }
}
