//! A person's e-mail addresses and telephone numbers.
//!
//! The API replaces a whole list. A plan reads and writes the primary entry alone, so every write is merged with what
//! the record holds: law: no entry is lost, and the wanted one is the only primary.

use infill_model::Value;
use serde_json::{Map, json};

/// The label of an entry that is new; Pipedrive's own default.
const NEW_LABEL: &str = "work";

/// The primary entry of a list, or its first; null when there is none.
#[must_use]
pub fn primary(list: &Value) -> Value {
    let entries = entries(list);
    let is_primary =
        |entry: &&Map<String, Value>| entry.get("primary").and_then(Value::as_bool) == Some(true);
    let value = |entry: &Map<String, Value>| entry.get("value").cloned().unwrap_or_default();
    entries.iter().find(is_primary).or(entries.first()).map_or(Value::Null, value)
}

/// The list with `wanted` as its primary entry: moved up when it is there already, else added in front.
#[must_use]
pub fn merge(list: &Value, wanted: &str) -> Value {
    let mut entries = entries(list);
    let is_wanted = |entry: &Map<String, Value>| {
        let held = entry.get("value").and_then(Value::as_str).unwrap_or_default();
        held.trim().to_lowercase() == wanted.trim().to_lowercase()
    };
    let mut first = match entries.iter().position(is_wanted) {
        Some(at) => entries.remove(at),
        None => Map::from_iter([("label".to_owned(), json!(NEW_LABEL))]),
    };
    first.insert("value".to_owned(), json!(wanted));
    entries.insert(0, first);
    for (at, entry) in entries.iter_mut().enumerate() {
        entry.insert("primary".to_owned(), json!(at == 0));
    }
    entries.into_iter().map(Value::Object).collect()
}

/// The entries that hold something. A person without a telephone number may be answered with one empty entry.
fn entries(list: &Value) -> Vec<Map<String, Value>> {
    let all = list.as_array().map_or(&[][..], Vec::as_slice);
    let is_filled = |entry: &&Map<String, Value>| {
        entry.get("value").and_then(Value::as_str).is_some_and(|held| !held.trim().is_empty())
    };
    all.iter().filter_map(Value::as_object).filter(is_filled).cloned().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_new_address_goes_first_and_the_others_stay_with_their_labels() {
        let list = json!([
            {"value": "old@x.y", "primary": true, "label": "home"},
            {"value": "Two@x.y", "primary": false, "label": "other"},
        ]);
        assert_eq!(primary(&list), json!("old@x.y"));
        assert_eq!(
            merge(&list, "new@x.y"),
            json!([
                {"value": "new@x.y", "primary": true, "label": "work"},
                {"value": "old@x.y", "primary": false, "label": "home"},
                {"value": "Two@x.y", "primary": false, "label": "other"},
            ])
        );
        assert_eq!(
            merge(&list, "two@x.y"),
            json!([
                {"value": "two@x.y", "primary": true, "label": "other"},
                {"value": "old@x.y", "primary": false, "label": "home"},
            ])
        );
    }

    #[test]
    fn a_person_without_any_has_none() {
        for list in [json!(null), json!([]), json!([{"value": "", "primary": true}])] {
            assert_eq!(primary(&list), json!(null), "{list}");
            assert_eq!(
                merge(&list, "1"),
                json!([{"value": "1", "primary": true, "label": "work"}]),
                "{list}"
            );
        }
        assert_eq!(primary(&json!([{"value": "1"}])), json!("1"));
    }

    fn held(list: &Value) -> BTreeSet<String> {
        let values = list.as_array().unwrap().iter().filter_map(|entry| entry["value"].as_str());
        values.map(|value| value.trim().to_lowercase()).filter(|value| !value.is_empty()).collect()
    }

    proptest! {
        #[test]
        fn no_entry_is_lost_and_the_wanted_one_is_the_only_primary(
            entries in prop::collection::vec(("[a-cA-C ]{0,2}", any::<bool>(), "[a-z]{0,3}"), 0..6),
            wanted in "[a-dA-D]{1,2}",
        ) {
            let list: Value = entries
                .into_iter()
                .map(|(value, primary, label)| json!({"value": value, "primary": primary, "label": label}))
                .collect();
            let merged = merge(&list, &wanted);
            let mut expected = held(&list);
            expected.insert(wanted.to_lowercase());
            prop_assert_eq!(held(&merged), expected);
            prop_assert_eq!(primary(&merged), json!(wanted));
            let primaries = merged.as_array().unwrap().iter().filter(|entry| entry["primary"] == json!(true)).count();
            prop_assert_eq!(primaries, 1);
            prop_assert_eq!(&merge(&merged, &wanted), &merged);
        }
    }
}
