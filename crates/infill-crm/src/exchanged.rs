//! One call as it went over the wire, for whoever looks into what became of a row: the row's part of it, secrets removed, cut to
//! what is worth keeping.

use std::fmt;
use std::sync::OnceLock;

use bytes::Bytes;
use infill_model::letter::Exchange;
use infill_model::{RecordId, Value};
use infill_telemetry::redact;

use crate::exchange::{Answer, Body, Request};

/// Bytes kept of what was sent for a row, and of what was answered.
pub const EXCERPT_BYTES: usize = 2 * 1024;

/// What was asked and what was answered. Cheap to clone; `Debug` shows no body.
#[derive(Clone, PartialEq, Eq)]
pub struct Exchanged {
    request: String,
    sent: Bytes,
    status: u16,
    answered: Bytes,
    read: OnceLock<Read>,
}

/// The bodies as JSON; `Null` where they are none.
#[derive(Clone, PartialEq, Eq)]
struct Read {
    sent: Value,
    answered: Value,
}

impl fmt::Debug for Exchanged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchanged").field("request", &self.request).field("status", &self.status).finish()
    }
}

impl Exchanged {
    /// A call and its answer. What a form held is left out: that is a login.
    #[must_use]
    pub fn of(request: &Request, answer: &Answer) -> Self {
        let sent = match &request.body {
            Body::Json(bytes) | Body::Csv(bytes) => bytes.clone(),
            Body::Empty | Body::Form(_) => Bytes::new(),
        };
        Self {
            request: format!("{} {}", request.method.as_str(), request.path),
            sent,
            status: answer.status,
            answered: answer.body.clone(),
            read: OnceLock::new(),
        }
    }

    /// Takes a secret out of the answer, should the vendor repeat it.
    pub(crate) fn hide(&mut self, secret: &str) {
        let answered = String::from_utf8_lossy(&self.answered);
        if answered.contains(secret) {
            self.answered = answered.replace(secret, redact::REDACTED).into();
            self.read = OnceLock::new();
        }
    }

    /// Whether the record was asked about.
    #[must_use]
    pub fn names(&self, record: &RecordId) -> bool {
        self.request.contains(record.as_str())
            || std::str::from_utf8(&self.sent).is_ok_and(|sent| sent.contains(record.as_str()))
    }

    /// The part of a record; all of it where no part can be told.
    #[must_use]
    pub fn about(&self, record: &RecordId) -> Exchange {
        let read = self.read.get_or_init(|| {
            let read = |body: &Bytes| serde_json::from_slice(body).unwrap_or_default();
            Read { sent: read(&self.sent), answered: read(&self.answered) }
        });
        let (sent, place) = Place::of(&read.sent, record).unzip();
        let answered = Place::of(&read.answered, record)
            .map(|(part, _)| part)
            .or_else(|| place.and_then(|place| place.within(&read.answered)));
        Exchange {
            request: excerpt(self.request.as_bytes()),
            sent: sent.map_or_else(|| excerpt(&self.sent), |part| excerpt(part.to_string().as_bytes())),
            status: self.status,
            answered: answered
                .map_or_else(|| excerpt(&self.answered), |part| excerpt(part.to_string().as_bytes())),
        }
    }
}

/// Where the part of a record stands in a body: its index in each array on the way, with the length of that.
#[derive(Default)]
struct Place(Vec<(usize, usize)>);

impl Place {
    /// The smallest object in an array that has the record's id, else the smallest that mentions it.
    fn of<'v>(body: &'v Value, record: &RecordId) -> Option<(&'v Value, Self)> {
        let search = |fits: &dyn Fn(&Value) -> bool| {
            let mut place = Self::default();
            place.find(body, fits).map(|part| (part, place))
        };
        search(&|part| has_id(part, record)).or_else(|| search(&|part| mentions(part, record)))
    }

    fn find<'v>(&mut self, value: &'v Value, fits: &dyn Fn(&Value) -> bool) -> Option<&'v Value> {
        match value {
            Value::Array(items) => items.iter().enumerate().find_map(|(i, item)| {
                self.0.push((i, items.len()));
                let found =
                    self.find(item, fits).or_else(|| Some(item).filter(|_| item.is_object() && fits(item)));
                if found.is_none() {
                    self.0.pop();
                }
                found
            }),
            Value::Object(fields) => fields.values().find_map(|value| self.find(value, fits)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        }
    }

    /// What stands at the same place of a body whose arrays are as long: vendors answer in the order they were asked. Nothing where one
    /// record alone was asked about.
    fn within<'v>(&self, body: &'v Value) -> Option<&'v Value> {
        let mut steps = self.0.iter().filter(|(_, len)| *len > 1).peekable();
        steps.peek()?;
        steps.try_fold(body, |value, (i, len)| array_of(value, *len)?.get(*i))
    }
}

/// The first array of a length, however deep below objects and arrays of one.
fn array_of(value: &Value, len: usize) -> Option<&Vec<Value>> {
    match value {
        Value::Array(items) if items.len() == len => Some(items),
        Value::Array(items) => {
            items.first().filter(|_| items.len() == 1).and_then(|item| array_of(item, len))
        }
        Value::Object(fields) => fields.values().find_map(|value| array_of(value, len)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn is(value: &Value, record: &RecordId) -> bool {
    match value {
        Value::String(text) => text == record.as_str(),
        Value::Number(number) => number.to_string() == record.as_str(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

fn has_id(part: &Value, record: &RecordId) -> bool {
    let Value::Object(fields) = part else { return false };
    fields.iter().any(|(name, value)| name.eq_ignore_ascii_case("id") && is(value, record))
}

fn mentions(part: &Value, record: &RecordId) -> bool {
    match part {
        Value::Array(items) => items.iter().any(|item| mentions(item, record)),
        Value::Object(fields) => fields.values().any(|value| mentions(value, record)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => is(part, record),
    }
}

/// As much of a body as is kept, without what looks like a secret.
fn excerpt(body: &[u8]) -> String {
    // Hiding shortens: whatever was cut in two stays behind the end.
    const LOOKED_AT: usize = 2 * EXCERPT_BYTES;
    let text = String::from_utf8_lossy(body.get(..LOOKED_AT).unwrap_or(body));
    let text = redact(&text);
    let is_cut = text.len() > EXCERPT_BYTES || body.len() > LOOKED_AT;
    let mut end = EXCERPT_BYTES.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let kept = text.get(..end).unwrap_or_default();
    if is_cut { format!("{kept}…") } else { kept.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::exchange::{Effect, Method};
    use crate::meter::Meter;

    fn exchanged(path: &str, sent: &Value, answered: &str) -> Exchanged {
        let request = Request {
            operation: "batch_update",
            method: Method::Post,
            path: path.to_owned(),
            headers: Vec::new(),
            body: Body::Json(sent.to_string().into()),
            meter: Meter::General,
            cost: 1,
            effect: Effect::Write,
        };
        Exchanged::of(&request, &Answer::of(400, &[], answered.to_owned()))
    }

    #[test]
    fn the_part_of_a_record_is_found_by_its_id() {
        let sent = json!({"inputs": [
            {"id": "1", "properties": {"twin": "2", "note": "a"}}, {"id": "2", "properties": {"note": "b"}},
        ]});
        let answered = json!({"status": "COMPLETE", "errors": [
            {"message": "no", "context": {"ids": ["2"]}}, {"message": "other", "context": {"ids": ["3"]}},
        ]});
        let about = exchanged("/batch", &sent, &answered.to_string()).about(&"2".into());
        assert_eq!((about.request.as_str(), about.status), ("POST /batch", 400));
        assert_eq!(about.sent, r#"{"id":"2","properties":{"note":"b"}}"#);
        assert_eq!(about.answered, r#"{"context":{"ids":["2"]},"message":"no"}"#);
    }

    #[test]
    fn the_part_of_a_record_is_found_by_its_place() {
        let records = |ids: [&str; 2]| json!(ids.map(|id| json!({"Id": id})));
        let sent = json!({"compositeRequest": [
            {"body": {"records": records(["1", "2"])}}, {"body": {"records": records(["3", "4"])}},
        ]});
        let answered =
            json!({"compositeResponse": [{"body": ["ok", "ok"]}, {"body": ["ok", {"success": false}]}]});
        let about = exchanged("/composite", &sent, &answered.to_string()).about(&"4".into());
        assert_eq!((about.sent.as_str(), about.answered.as_str()), (r#"{"Id":"4"}"#, r#"{"success":false}"#));
    }

    #[test]
    fn all_is_shown_where_no_part_can_be_told() {
        let alone = exchanged("/persons/7", &json!({"name": "Ann"}), "<html>");
        assert!(alone.names(&"7".into()) && !alone.names(&"8".into()));
        let about = alone.about(&"7".into());
        assert_eq!((about.sent.as_str(), about.answered.as_str()), (r#"{"name":"Ann"}"#, "<html>"));
        let one =
            exchanged("/x", &json!({"inputs": [{"id": "7"}]}), r#"{"message":"no","errors":[{"code":"A"}]}"#);
        assert_eq!(one.about(&"7".into()).answered, r#"{"message":"no","errors":[{"code":"A"}]}"#);
    }

    #[test]
    fn what_is_kept_is_bounded_and_holds_no_secret() {
        let long = exchanged("/x", &json!({"note": "é".repeat(5_000)}), r#"{"access_token":"abc","a":1}"#);
        let about = long.about(&"1".into());
        assert!(about.sent.len() <= EXCERPT_BYTES + '…'.len_utf8() && about.sent.ends_with("é…"));
        assert_eq!(about.answered, r#"{"access_token":"[redacted]","a":1}"#);
        let mut repeated = exchanged("/x", &json!({}), "you sent s3cr3t-of-sixteen");
        repeated.hide("s3cr3t-of-sixteen");
        assert_eq!(repeated.about(&"1".into()).answered, "you sent [redacted]");
        assert!(!format!("{repeated:?}").contains("you sent"));
    }
}
