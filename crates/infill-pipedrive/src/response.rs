//! Pipedrive's good answers, typed. Every field that may be left out is optional here.

use infill_crm::Changed;
use infill_model::{Properties, PropertyName, Timestamp, Value};
use serde::Deserialize;
use serde_json::Map;

use crate::contact;
use crate::field::{is_custom, record_key};
use crate::object::Object;

/// The envelope of every answer. Version 1 says `success: false` with a status of 200 at times.
#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub struct Envelope<T> {
    /// What was asked for.
    pub data: Option<T>,
    /// Where to go on.
    #[serde(default)]
    additional_data: Option<Additional>,
}

#[derive(Debug, Default, Deserialize)]
struct Additional {
    next_cursor: Option<String>,
    pagination: Option<Pagination>,
}

#[derive(Debug, Deserialize)]
struct Pagination {
    #[serde(default)]
    more_items_in_collection: bool,
    next_start: Option<u64>,
}

impl<T> Envelope<T> {
    /// Where the next page starts: a cursor in version 2, a number in version 1.
    #[must_use]
    pub fn next(&self) -> Option<String> {
        let additional = self.additional_data.as_ref()?;
        if let Some(cursor) = &additional.next_cursor {
            return Some(cursor.clone());
        }
        let pagination =
            additional.pagination.as_ref().filter(|pagination| pagination.more_items_in_collection)?;
        pagination.next_start.map(|start| start.to_string())
    }
}

/// `GET /v1/users/me`.
#[derive(Debug, Deserialize)]
pub struct Me {
    /// The company's id.
    pub company_id: u64,
    /// Its name.
    pub company_name: Option<String>,
    /// The first part of its host name.
    pub company_domain: Option<String>,
}

/// A filter.
#[derive(Clone, Debug, Deserialize)]
pub struct Filter {
    /// Its id.
    pub id: u64,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// `people`, `org`, `deals`, `leads`, `products`, `activity`, `projects`.
    #[serde(rename = "type")]
    pub filter_type: String,
}

/// A record as answered.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct Found(pub Map<String, Value>);

impl Found {
    /// Its id, as text.
    #[must_use]
    pub fn id(&self) -> Option<String> {
        match self.0.get("id")? {
            Value::Number(number) => Some(number.to_string()),
            Value::String(id) => Some(id.clone()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// Whether it is in Pipedrive's bin.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.0.get("is_deleted").and_then(Value::as_bool) == Some(true)
    }

    /// When it was last changed; by whom Pipedrive does not say.
    #[must_use]
    pub fn changed(&self) -> Option<Changed> {
        let text = self.0.get("update_time")?.as_str()?;
        // Version 1 writes UTC without saying so: `2026-11-20 10:30:00`.
        let at = text.parse::<Timestamp>().or_else(|_| format!("{text}Z").parse()).ok()?;
        Some(Changed { at, by: None })
    }

    /// What stands under a code: custom fields in an object of their own, but for leads.
    #[must_use]
    pub fn field(&self, object: Object, code: &str) -> Value {
        let found = if is_custom(code) && !object.is_v1() {
            self.0.get("custom_fields").and_then(|custom| custom.get(code))
        } else {
            self.0.get(record_key(code))
        };
        found.cloned().unwrap_or_default()
    }

    /// The properties that were asked for, each under its name with what stands under its code; of e-mail addresses and
    /// telephone numbers the primary one.
    #[must_use]
    pub fn properties(&self, object: Object, fields: &[(PropertyName, PropertyName)]) -> Properties {
        let value = |code: &PropertyName| {
            let field = self.field(object, code.as_str());
            if is_contact_list(code.as_str()) { contact::primary(&field) } else { field }
        };
        fields.iter().map(|(name, code)| (name.clone(), value(code))).collect()
    }
}

/// Whether a code is that of a person's e-mail addresses or telephone numbers.
#[must_use]
pub fn is_contact_list(code: &str) -> bool {
    matches!(record_key(code), "emails" | "phones")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HASH: &str = "9dc80c50d78a15643bfc4ca79d76156a73a1ca0e";

    #[test]
    fn a_record_shows_what_was_asked_for_and_null_for_what_it_has_not() {
        let record = json!({
            "id": 7, "name": "Ann", "is_deleted": false, "emails": [{"value": "b@x.y"}, {"value": "a@x.y", "primary": true}],
            "custom_fields": {HASH: 27}, "label_ids": [1], "update_time": "2026-11-20T10:30:00Z",
        });
        let found: Found = serde_json::from_value(record).unwrap();
        let names: Vec<(PropertyName, PropertyName)> =
            [("name", "name"), ("email", "email"), ("phone", "phone"), ("label", "label"), ("Source", HASH)]
                .into_iter()
                .map(|(name, code)| (name.into(), code.into()))
                .collect();
        let shown = json!(found.properties(Object::Person, &names));
        assert_eq!(
            shown,
            json!({"name": "Ann", "email": "a@x.y", "phone": null, "label": [1], "Source": 27})
        );
        assert_eq!((found.id().as_deref(), found.is_deleted()), (Some("7"), false));
        let at = "2026-11-20T10:30:00Z".parse().unwrap();
        assert_eq!(found.changed(), Some(Changed { at, by: None }));

        let lead: Found =
            serde_json::from_value(json!({"id": "adf2", HASH: "x", "update_time": "2026-11-20 10:30:00"}))
                .unwrap();
        assert_eq!(lead.field(Object::Lead, HASH), json!("x"));
        assert_eq!(lead.changed(), found.changed());
    }

    #[test]
    fn the_next_page_is_a_cursor_or_a_number() {
        let next = |text: &str| serde_json::from_str::<Envelope<Value>>(text).unwrap().next();
        assert_eq!(next(r#"{"data":[],"additional_data":{"next_cursor":"abc"}}"#).as_deref(), Some("abc"));
        assert_eq!(next(r#"{"data":[],"additional_data":{"next_cursor":null}}"#), None);
        let paged = |more| {
            format!(
                r#"{{"data":[],"additional_data":{{"pagination":{{"more_items_in_collection":{more},"next_start":500}}}}}}"#
            )
        };
        assert_eq!(next(&paged(true)).as_deref(), Some("500"));
        assert_eq!(next(&paged(false)), None);
        assert_eq!(next(r#"{"data":null}"#), None);
    }
}
