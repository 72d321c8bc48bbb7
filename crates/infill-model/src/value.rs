//! Property values. Absent, null and the empty string are three different things and stay so.

pub use serde_json::Value;

pub use crate::properties::Properties;

/// Whether a person would call the value empty: absent, null, or text of nothing but white space.
#[must_use]
pub fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.trim().is_empty(),
        Some(Value::Bool(_) | Value::Number(_)) => false,
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(fields)) => fields.is_empty(),
    }
}

/// The value as text: a string is itself, null is empty, the rest is JSON.
#[must_use]
pub fn to_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn empty_is_what_a_person_calls_empty() {
        for value in [json!(null), json!(""), json!("  "), json!([]), json!({})] {
            assert!(is_empty(Some(&value)), "{value}");
        }
        for value in [json!("a"), json!(0), json!(false), json!([null])] {
            assert!(!is_empty(Some(&value)), "{value}");
        }
        assert!(is_empty(None));
    }
}
