//! Picklist values by record type: of a restricted picklist's values, a record takes those that an administrator gave to its type.
//!
//! A describe tells the types, and a call for each type tells its values. What stands for having no type (the "master") takes
//! every active value, so nobody asks for its.

use std::collections::BTreeMap;

use infill_model::nearest::did_you_mean;
use infill_model::property::{OptionsBy, PropertyDef, RecordKind};
use infill_model::{Properties, Value};
use serde::Deserialize;

use crate::id::Id;

/// The field that tells the type of a record.
pub const FIELD: &str = "RecordTypeId";

/// Record types whose values are asked for, a request each. Of an object that has more, Salesforce alone judges.
const MOST_TYPES: usize = 50;

/// Values that a message names.
const MOST_NAMED: usize = 5;

/// A record type as a describe tells it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordType {
    record_type_id: String,
    name: String,
    #[serde(default = "is_active_unless_told")]
    active: bool,
    #[serde(default)]
    master: bool,
}

const fn is_active_unless_told() -> bool {
    true
}

/// `GET /ui-api/object-info/{object}/picklist-values/{recordTypeId}`: the values that records of one type take.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Picklists {
    picklist_field_values: BTreeMap<String, Picklist>,
}

#[derive(Debug, Deserialize)]
struct Picklist {
    values: Vec<Choice>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    value: String,
}

/// How the types of an object divide a restricted picklist; its values are not known yet.
#[must_use]
pub fn options_by(types: &[RecordType]) -> Option<OptionsBy> {
    let kinds: Vec<RecordKind> = types
        .iter()
        .filter(|of| of.active && !of.master)
        .map(|of| RecordKind { value: of.record_type_id.clone(), label: of.name.clone(), options: None })
        .collect();
    (1..=MOST_TYPES).contains(&kinds.len()).then(|| OptionsBy { property: FIELD.into(), kinds })
}

/// The types whose values have to be asked for, each once.
#[must_use]
pub fn unasked(properties: &[PropertyDef]) -> Vec<Id> {
    let divided = properties.iter().find_map(|property| property.options_by.as_ref());
    let kinds = divided.map(|by| by.kinds.as_slice()).unwrap_or_default();
    kinds.iter().filter_map(|kind| Id::parse(&kind.value)).collect()
}

/// Notes what records of a type take.
pub fn note(properties: &mut [PropertyDef], record_type: Id, picklists: &Picklists) {
    for property in properties {
        let Some(picklist) = picklists.picklist_field_values.get(property.name.as_str()) else { continue };
        let kinds = property.options_by.iter_mut().flat_map(|by| &mut by.kinds);
        for kind in kinds.filter(|kind| Id::parse(&kind.value) == Some(record_type)) {
            kind.options = Some(picklist.values.iter().map(|choice| choice.value.clone()).collect());
        }
    }
}

/// Why a record of its type does not take a value of a picklist; where nothing is `known` of the record, why none of any type does.
#[must_use]
pub fn hindrance(property: &PropertyDef, choice: &str, known: &[&Properties]) -> Option<String> {
    let by = property.options_by.as_ref()?;
    if known.is_empty() {
        let types: Vec<String> = by.kinds.iter().map(|kind| format!("\"{}\"", kind.label)).collect();
        return by.kinds.iter().all(|kind| !takes(kind, choice)).then(|| {
            format!(
                "\"{choice}\" is an active value of this picklist that no record type takes ({}); write one that records of the \
                 slice take, or have it added to their record type in Salesforce",
                types.join(", ")
            )
        });
    }
    let held = known.iter().find_map(|properties| properties.get(&by.property)).and_then(Value::as_str);
    let record_type = Id::parse(held?)?;
    let kind = by.kinds.iter().find(|kind| Id::parse(&kind.value) == Some(record_type))?;
    (!takes(kind, choice)).then(|| {
        format!(
            "records of the record type \"{}\" do not take \"{choice}\"{}",
            kind.label,
            way_out(choice, kind.options.as_deref().unwrap_or_default())
        )
    })
}

/// Whether records of a kind take a value, as far as anybody can tell.
fn takes(kind: &RecordKind, choice: &str) -> bool {
    kind.options.as_ref().is_none_or(|options| options.iter().any(|option| option == choice))
}

/// The values nearest to a refused one; when none is near, the first.
fn way_out(choice: &str, options: &[String]) -> String {
    let near = did_you_mean(choice, options.iter().map(String::as_str));
    if !near.is_empty() || options.is_empty() {
        return near;
    }
    let first: Vec<String> = options.iter().take(MOST_NAMED).map(|option| format!("\"{option}\"")).collect();
    let more = options.len().saturating_sub(MOST_NAMED);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("; they take {}{rest}", first.join(", "))
}

#[cfg(test)]
mod tests {
    use infill_model::property::PropertyKind;
    use serde_json::json;

    use super::*;

    const CUSTOMER: &str = "012ak000000000AAAQ";
    const SUPPLIER: &str = "012ak000000000BAAQ";

    fn types(infos: Value) -> Vec<RecordType> {
        serde_json::from_value(infos).unwrap()
    }

    /// Customers take all but `Small`, suppliers nothing but `Mid-Market`; nobody knows what partners take.
    fn divided() -> PropertyDef {
        let known = types(json!([
            {"recordTypeId": CUSTOMER, "name": "Customer", "active": true, "available": true, "master": false},
            {"recordTypeId": SUPPLIER, "name": "Supplier", "active": true},
            {"recordTypeId": "012ak000000000CAAQ", "name": "Former", "active": false},
            {"recordTypeId": "012000000000000AAA", "name": "Master", "active": true, "master": true},
        ]));
        let mut property = PropertyDef {
            name: "Segment__c".into(),
            label: "Segment".to_owned(),
            kind: PropertyKind::Enumeration,
            vendor_type: "picklist".to_owned(),
            read_only: None,
            options: Vec::new(),
            external_options: false,
            options_by: options_by(&known),
        };
        for (record_type, values) in
            [(CUSTOMER, &["Enterprise", "Mid-Market"][..]), (SUPPLIER, &["Mid-Market"])]
        {
            let values: Vec<Value> = values.iter().map(|value| json!({"value": value})).collect();
            let answer =
                json!({"picklistFieldValues": {"Segment__c": {"values": values}, "Else__c": {"values": []}}});
            let picklists = serde_json::from_value(answer).unwrap();
            note(std::slice::from_mut(&mut property), Id::parse(record_type).unwrap(), &picklists);
        }
        property
    }

    #[test]
    fn only_active_types_divide_and_not_too_many_of_them() {
        let labels: Vec<String> =
            divided().options_by.unwrap().kinds.into_iter().map(|of| of.label).collect();
        assert_eq!(labels, ["Customer", "Supplier"]);
        let master = json!({"recordTypeId": "012000000000000AAA", "name": "Master", "master": true});
        assert_eq!(options_by(&types(json!([master]))), None);
        let many: Vec<Value> =
            (0..=MOST_TYPES).map(|_| json!({"recordTypeId": CUSTOMER, "name": "x"})).collect();
        assert_eq!(options_by(&types(json!(many))), None);
    }

    #[test]
    fn a_record_takes_what_its_type_takes() {
        let property = divided();
        let of_type = |id: Value| Properties::from_iter([(FIELD.into(), id)]);
        let short = CUSTOMER.get(..15).unwrap();
        for (record_type, choice, said) in [
            (json!(CUSTOMER), "Enterprise", None),
            (json!(short), "Small", Some("records of the record type \"Customer\" do not take \"Small\"")),
            (json!(SUPPLIER), "Enterprise", Some("they take \"Mid-Market\"")),
            (json!(SUPPLIER), "Mid-Markt", Some("did you mean \"Mid-Market\"?")),
            (json!(null), "Small", None),
            (json!("012ak000000000CAAQ"), "Small", None),
        ] {
            let why = hindrance(&property, choice, &[&Properties::new(), &of_type(record_type.clone())]);
            let is_said = match (said, &why) {
                (Some(said), Some(why)) => why.contains(said),
                (said, why) => said.is_none() && why.is_none(),
            };
            assert!(is_said, "{record_type} {choice}: {why:?}");
        }
        let (wanted, before) = (of_type(json!(CUSTOMER)), of_type(json!(SUPPLIER)));
        assert_eq!(hindrance(&property, "Enterprise", &[&wanted, &before]), None, "as it will be");
    }

    #[test]
    fn a_value_for_any_record_is_refused_when_no_type_takes_it() {
        let mut property = divided();
        assert_eq!(hindrance(&property, "Enterprise", &[]), None);
        let why = hindrance(&property, "Small", &[]).unwrap();
        assert!(why.contains("no record type takes (\"Customer\", \"Supplier\")"), "{why}");
        property.options_by.as_mut().unwrap().kinds[1].options = None;
        assert_eq!(hindrance(&property, "Small", &[]), None, "suppliers may");
    }
}
