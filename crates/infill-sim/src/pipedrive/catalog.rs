//! The fields of a kind of record: built-in ones, and custom ones whose codes are another account's secret.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::answer::timestamp_v1;
use super::entity::Entity;
use crate::fault::mix;

const BUILT_IN: &str = include_str!("../../data/pipedrive_fields.csv");

/// Ids of options of custom fields begin here, above those of built-in ones.
const FIRST_OPTION: u64 = 300;

/// Parts of an address beside its `value`.
pub(crate) const ADDRESS_PARTS: [&str; 9] = [
    "country",
    "admin_area_level_1",
    "admin_area_level_2",
    "locality",
    "sublocality",
    "route",
    "street_number",
    "subpremise",
    "postal_code",
];

/// The custom fields of every account: name, type, options.
const CUSTOM: [(&str, &str, &[&str]); 17] = [
    ("Greeting", "varchar", &[]),
    ("Background", "text", &[]),
    ("Region", "varchar_auto", &[]),
    ("Score", "double", &[]),
    ("Seats", "int", &[]),
    ("Budget", "monetary", &[]),
    ("Renewal date", "date", &[]),
    ("Trial period", "daterange", &[]),
    ("Best time to call", "time", &[]),
    ("Office hours", "timerange", &[]),
    ("Assistant phone", "phone", &[]),
    ("Tier", "enum", &["Bronze", "Silver", "Gold"]),
    ("Interests", "set", &["Events", "Newsletter", "Product news", "Webinars"]),
    ("Site address", "address", &[]),
    ("Account manager", "user", &[]),
    ("Partner", "org", &[]),
    ("Referred by", "people", &[]),
];

/// An option of a field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Choice {
    /// A number for custom fields, text for some built-in ones.
    pub(crate) id: Value,
    pub(crate) label: String,
}

/// A field.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    /// The number by which conditions of filters name it.
    pub(crate) id: u64,
    pub(crate) code: Arc<str>,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) choices: Vec<Choice>,
    pub(crate) is_custom: bool,
}

impl Field {
    /// The option of that id, which a filter may give as text.
    pub(crate) fn choice(&self, id: &Value) -> Option<&Choice> {
        let text = plain(id);
        self.choices.iter().find(|choice| plain(&choice.id) == text)
    }

    /// An id with its label, as `include_option_labels` shows it.
    pub(crate) fn labelled(&self, id: &Value) -> Value {
        let label = self.choice(id).map(|choice| choice.label.as_str());
        json!({"id": id, "label": label})
    }

    fn choices_json(&self) -> Value {
        if self.choices.is_empty() {
            return Value::Null;
        }
        self.choices.iter().map(|choice| json!({"id": choice.id, "label": choice.label})).collect()
    }

    fn subfields(&self) -> Value {
        let part = |code: &str, what: &str, kind: &str| json!({"field_code": code, "field_name": format!("{what} of {}", self.name), "field_type": kind});
        match self.kind.as_str() {
            "monetary" => json!([part("value", "Amount", "double"), part("currency", "Currency", "varchar")]),
            "address" => {
                let parts = ADDRESS_PARTS.iter().map(|code| part(code, code, "varchar"));
                std::iter::once(part("value", "Address value", "varchar")).chain(parts).collect()
            }
            "daterange" => json!([part("value", "Start", "date"), part("until", "End", "date")]),
            "timerange" => json!([
                part("value", "Start", "time"),
                part("until", "End", "time"),
                part("timezone_name", "Time zone", "varchar")
            ]),
            "time" => json!([part("value", "Time", "time"), part("timezone_name", "Time zone", "varchar")]),
            _ => Value::Null,
        }
    }

    /// As version 2 tells it, with the parts that were asked for.
    pub(crate) fn v2(&self, include: &[&str]) -> Value {
        let mut field = Map::new();
        let mut put = |key: &str, value: Value| {
            field.insert(key.to_owned(), value);
        };
        put("field_name", self.name.as_str().into());
        put("field_code", (*self.code).into());
        put("description", Value::Null);
        put("field_type", self.kind.as_str().into());
        put("options", self.choices_json());
        put("subfields", self.subfields());
        put("is_custom_field", self.is_custom.into());
        put("is_optional_response_field", (&*self.code == "marketing_status").into());
        for part in include {
            let value = match *part {
                "ui_visibility" => json!({"add_visible_flag": true, "details_visible_flag": true}),
                "important_fields" => json!({"enabled": false, "stage_ids": []}),
                _ => json!({"enabled": matches!(&*self.code, "name" | "title")}),
            };
            put(part, value);
        }
        Value::Object(field)
    }

    /// As version 1 tells it, which knows fewer types.
    pub(crate) fn v1(&self, order: usize, made_ms: i64) -> Value {
        let at = timestamp_v1(made_ms);
        let kind = match self.kind.as_str() {
            "int" => "double",
            "boolean" => "enum",
            kind => kind,
        };
        json!({
            "id": self.id, "key": &*self.code, "name": self.name, "order_nr": order, "field_type": kind,
            "add_time": at, "update_time": at, "last_updated_by_user_id": null, "created_by_user_id": null,
            "active_flag": true, "edit_flag": self.is_custom, "index_visible_flag": true,
            "details_visible_flag": true, "add_visible_flag": true, "important_flag": false,
            "bulk_edit_allowed": true, "searchable_flag": false, "filtering_allowed": true, "sortable_flag": true,
            "options": self.choices_json(), "mandatory_flag": matches!(&*self.code, "name" | "title"),
        })
    }
}

/// The text of a number or a text.
pub(crate) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The fields of one kind of record.
#[derive(Debug)]
pub(crate) struct Catalog {
    fields: Vec<Field>,
    entity: Entity,
    seed: u64,
    n_made: u64,
}

impl Catalog {
    /// The catalogue a new account begins with.
    pub(crate) fn new(entity: Entity, seed: u64) -> Self {
        let mut catalog = Self { fields: Vec::new(), entity, seed, n_made: 0 };
        for line in BUILT_IN.lines().skip(1) {
            let [object, code, name, kind, options] = line.split(',').collect::<Vec<_>>()[..] else {
                continue;
            };
            if object == entity.plural() {
                catalog.push(code.into(), name, kind, built_in_choices(options), false);
            }
        }
        if matches!(entity, Entity::Person | Entity::Organization | Entity::Deal | Entity::Product) {
            for (name, kind, labels) in CUSTOM {
                catalog.add(name, kind, labels);
            }
        }
        catalog
    }

    fn push(&mut self, code: Arc<str>, name: &str, kind: &str, choices: Vec<Choice>, is_custom: bool) {
        self.n_made += 1;
        // The kinds of record do not share the numbers of fields.
        let id = 4_000 + self.entity.first_id() / 10 + self.n_made;
        self.fields.push(Field {
            id,
            code,
            name: name.to_owned(),
            kind: kind.to_owned(),
            choices,
            is_custom,
        });
    }

    /// Adds a custom field and returns its code.
    pub(crate) fn add(&mut self, name: &str, kind: &str, labels: &[&str]) -> Arc<str> {
        let code: Arc<str> = code(self.seed, self.entity, self.n_made).into();
        let first = FIRST_OPTION + self.n_made * 10;
        let choices =
            (first..).zip(labels).map(|(id, label)| Choice { id: id.into(), label: (*label).to_owned() });
        self.push(Arc::clone(&code), name, kind, choices.collect(), true);
        code
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter()
    }

    /// The fields that every account names anew.
    pub(crate) fn custom(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| field.is_custom)
    }

    /// The field of that code.
    pub(crate) fn by_code(&self, code: &str) -> Option<&Field> {
        self.fields.iter().find(|field| &*field.code == code)
    }

    /// The custom field of that code.
    pub(crate) fn custom_by_code(&self, code: &str) -> Option<&Field> {
        self.by_code(code).filter(|field| field.is_custom)
    }

    /// The field of that code or name.
    pub(crate) fn find(&self, word: &str) -> Option<&Field> {
        self.by_code(word).or_else(|| self.fields.iter().find(|field| field.name == word))
    }

    /// Deletes a custom field by code or name. False when there is none.
    pub(crate) fn delete(&mut self, word: &str) -> bool {
        let Some(code) = self.find(word).filter(|field| field.is_custom).map(|field| Arc::clone(&field.code))
        else {
            return false;
        };
        self.fields.retain(|field| field.code != code);
        true
    }

    /// Renames an option of a field; its id stays. False when there is no such option.
    pub(crate) fn rename_choice(&mut self, word: &str, from: &str, to: &str) -> bool {
        let Some(code) = self.find(word).map(|field| Arc::clone(&field.code)) else { return false };
        let mut choices =
            self.fields.iter_mut().filter(|field| field.code == code).flat_map(|field| &mut field.choices);
        let found = choices.find(|choice| choice.label == from);
        let is_found = found.is_some();
        if let Some(choice) = found {
            to.clone_into(&mut choice.label);
        }
        is_found
    }
}

fn built_in_choices(options: &str) -> Vec<Choice> {
    let pairs = options.split('|').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(id, label)| Choice {
            id: id.parse::<u64>().map_or_else(|_| id.into(), Value::from),
            label: label.to_owned(),
        })
        .collect()
}

/// Forty hexadecimal digits that differ from account to account.
fn code(seed: u64, entity: Entity, n: u64) -> String {
    let base = mix(seed ^ mix(entity.first_id() << 20 | n));
    let text = format!("{:016x}{:016x}{:016x}", base, mix(base), mix(base ^ 1));
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_account() {
        let codes = |seed| -> Vec<Arc<str>> {
            Catalog::new(Entity::Person, seed).custom().map(|field| Arc::clone(&field.code)).collect()
        };
        assert_eq!(codes(1), codes(1));
        assert_ne!(codes(1), codes(2));
        let mut all: Vec<_> = [Entity::Person, Entity::Deal, Entity::Organization, Entity::Product]
            .into_iter()
            .flat_map(|entity| {
                Catalog::new(entity, 1).custom().map(|field| Arc::clone(&field.code)).collect::<Vec<_>>()
            })
            .collect();
        let n_codes = all.len();
        all.sort();
        all.dedup();
        assert_eq!((n_codes, all.len()), (68, 68));
        assert!(all.iter().all(|code| code.len() == 40 && code.bytes().all(|byte| byte.is_ascii_hexdigit())));
    }

    #[test]
    fn an_option_keeps_its_id_when_renamed() {
        let mut catalog = Catalog::new(Entity::Person, 1);
        let id = catalog.find("Tier").unwrap().choices[1].id.clone();
        assert!(catalog.rename_choice("Tier", "Silver", "Platinum"));
        assert!(!catalog.rename_choice("Tier", "Silver", "Platinum"));
        assert_eq!(catalog.find("Tier").unwrap().choice(&id).unwrap().label, "Platinum");
        assert!(catalog.delete("Tier"));
        assert!(!catalog.delete("name"));
    }
}
