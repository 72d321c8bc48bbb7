//! What all batch calls share: size, ids, the multi-status envelope, the order of results.

use serde_json::{Map, Value, json};

use super::answer::{Answer, Refusal, push_timestamp};
use super::object::ObjectType;
use super::portal::Ask;
use super::value::Invalid;
use crate::fault::mix;

/// The most inputs of a batch.
pub(crate) const MAX_INPUTS: usize = 100;

/// Refuses a batch that is too large.
pub(crate) fn check_size(n_inputs: usize) -> Result<(), Refusal> {
    if n_inputs <= MAX_INPUTS {
        return Ok(());
    }
    let message =
        format!("The maximum number of inputs in a batch request is {MAX_INPUTS}; received {n_inputs}.");
    Err(Refusal::validation(message))
}

/// An id as text, whether the client sent text or a number.
pub(crate) fn id_text(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

/// HubSpot's words for ids it does not find in a batch.
pub(crate) fn not_found_message(object: &ObjectType) -> String {
    format!(
        "Could not get some {} objects, they may be deleted or not exist. Check that ids are valid.",
        object.upper
    )
}

/// HubSpot's message for values it refuses: a text that ends in a JSON array.
pub(crate) fn invalid_message(invalid: &[Invalid], portal_id: u32) -> String {
    let listed: Vec<Value> = invalid.iter().map(|invalid| invalid.in_message(portal_id)).collect();
    format!("Property values were not valid: {}", Value::Array(listed))
}

/// One entry of a multi-status answer's `errors`.
#[derive(Debug)]
pub(crate) struct ErrorEntry(Map<String, Value>);

impl ErrorEntry {
    fn new(category: &str, message: String, errors: Vec<Value>, context: Value) -> Self {
        let entry = json!({"status": "error", "category": category, "message": message, "context": context,
                           "errors": errors, "links": {}});
        match entry {
            Value::Object(entry) => Self(entry),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Self(Map::new())
            }
        }
    }

    pub(crate) fn not_found(object: &ObjectType, ids: &[String], trace: Option<&str>) -> Self {
        let mut context = json!({"ids": ids});
        if let (Some(context), Some(trace)) = (context.as_object_mut(), trace) {
            context.insert("objectWriteTraceId".to_owned(), json!([trace]));
        }
        Self::new("OBJECT_NOT_FOUND", not_found_message(object), Vec::new(), context)
    }

    pub(crate) fn invalid(invalid: &[Invalid], trace: &str, portal_id: u32) -> Self {
        let errors = invalid.iter().map(Invalid::in_errors).collect();
        let context = json!({"objectWriteTraceId": [trace]});
        Self::new("VALIDATION_ERROR", invalid_message(invalid, portal_id), errors, context)
    }

    pub(crate) fn conflict(existing: u64, trace: &str) -> Self {
        let context = json!({"objectWriteTraceId": [trace], "existingId": [existing.to_string()]});
        Self::new("CONFLICT", conflict_message(existing), Vec::new(), context)
    }

    fn into_value(mut self, is_bare: bool) -> Value {
        if is_bare {
            self.0.remove("links");
            if self.0.get("errors").and_then(Value::as_array).is_some_and(Vec::is_empty) {
                self.0.remove("errors");
            }
        }
        Value::Object(self.0)
    }
}

/// HubSpot's words for a contact whose email another one has.
pub(crate) fn conflict_message(existing: u64) -> String {
    format!("Contact already exists. Existing ID: {existing}")
}

/// A 400 for values that were refused, each once per offending input and without naming the record.
pub(crate) fn refuse_values(invalid: &[Invalid], portal_id: u32) -> Refusal {
    let errors: Vec<Value> = invalid.iter().map(Invalid::in_errors).collect();
    Refusal::validation(invalid_message(invalid, portal_id)).with("errors", Value::Array(errors))
}

/// Puts results into an order of their own, the same for a seed and a call's number.
pub(crate) fn shuffle<T>(ask: &Ask<'_>, items: &mut [T], id: impl Fn(&T) -> u64) {
    if ask.portal.config.switches.shuffle_results {
        let salt = mix(ask.portal.config.seed ^ ask.nth);
        items.sort_by_cached_key(|item| mix(salt ^ id(item)));
    }
}

/// The answer of a batch: `ordinary` is its status without errors, `push` appends one result.
pub(crate) fn envelope<T>(
    ask: &Ask<'_>,
    ordinary: u16,
    errors: &[ErrorEntry],
    results: impl ExactSizeIterator<Item = T>,
    mut push: impl FnMut(&mut Vec<u8>, T),
) -> Answer {
    let mut out = Vec::with_capacity(128 + results.len() * 512);
    out.extend_from_slice(b"{\"status\":\"COMPLETE\",\"results\":[");
    for (idx, result) in results.enumerate() {
        if idx > 0 {
            out.push(b',');
        }
        push(&mut out, result);
    }
    out.push(b']');
    let status = if errors.is_empty() { ordinary } else { ask.portal.multi_status(ordinary) };
    if !errors.is_empty() {
        let is_bare = ask.portal.config.switches.bare_batch_errors;
        let entries: Vec<Value> =
            errors.iter().map(|entry| ErrorEntry(entry.0.clone()).into_value(is_bare)).collect();
        out.extend_from_slice(format!(",\"numErrors\":{},\"errors\":", entries.len()).as_bytes());
        out.extend_from_slice(Value::Array(entries).to_string().as_bytes());
    }
    out.extend_from_slice(b",\"startedAt\":\"");
    push_timestamp(&mut out, ask.now_ms);
    out.extend_from_slice(b"\",\"completedAt\":\"");
    push_timestamp(&mut out, ask.portal.clock.now_ms());
    out.extend_from_slice(b"\"}");
    Answer::json(status, out)
}
