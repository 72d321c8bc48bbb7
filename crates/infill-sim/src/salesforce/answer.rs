//! What goes back over the wire, and the vendor's error bodies, which are arrays.

use serde_json::{Map, Value, json};

use super::value::RowError;

const JSON: &str = "application/json;charset=UTF-8";
const CSV: &str = "text/csv";
const HTML: &str = "text/html;charset=UTF-8";

/// An answer that is ready to be sent.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn value(status: u16, body: &Value) -> Self {
        Self { status, content_type: JSON, headers: Vec::new(), body: body.to_string().into_bytes() }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, content_type: JSON, headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn csv(text: String) -> Self {
        Self { status: 200, content_type: CSV, headers: Vec::new(), body: text.into_bytes() }
    }

    /// What the layers before the vendor's API answer.
    pub(crate) fn html(status: u16, title: &str) -> Self {
        let body = format!("<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n");
        Self { status, content_type: HTML, headers: Vec::new(), body: body.into_bytes() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// A refusal of a whole call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// The vendor's `errorCode`.
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) fields: Vec<String>,
    /// Further errors of the same call, and members that only some errors have.
    pub(crate) rest: Vec<RowError>,
    pub(crate) extra: Map<String, Value>,
}

impl Refusal {
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
            fields: Vec::new(),
            rest: Vec::new(),
            extra: Map::new(),
        }
    }

    /// The errors of one row as the answer to a call about that row alone.
    pub(crate) fn of_row(errors: Vec<RowError>) -> Self {
        let mut errors = errors.into_iter();
        let Some(first) = errors.next() else {
            return Self::new(500, "UNKNOWN_EXCEPTION", "An unexpected error occurred");
        };
        let status = match first.code.as_str() {
            "NOT_FOUND" | "ENTITY_IS_DELETED" => 404,
            "INSUFFICIENT_ACCESS_OR_READONLY" => 403,
            _ => 400,
        };
        Self { fields: first.fields, rest: errors.collect(), ..Self::new(status, &first.code, first.message) }
    }

    pub(crate) fn not_found() -> Self {
        Self::new(404, "NOT_FOUND", "The requested resource does not exist")
    }

    pub(crate) fn session() -> Self {
        Self::new(401, "INVALID_SESSION_ID", "Session expired or invalid")
    }

    pub(crate) fn parser(message: impl Into<String>) -> Self {
        Self::new(400, "JSON_PARSER_ERROR", message)
    }

    pub(crate) fn answer(self) -> Answer {
        Answer::value(self.status, &self.body())
    }

    pub(crate) fn body(&self) -> Value {
        let mut first = json!({"message": self.message, "errorCode": self.code});
        if let Value::Object(first) = &mut first {
            if !self.fields.is_empty() {
                first.insert("fields".to_owned(), json!(self.fields));
            }
            first.extend(self.extra.clone());
        }
        let rest = self
            .rest
            .iter()
            .map(|error| json!({"message": error.message, "errorCode": error.code, "fields": error.fields}));
        Value::Array([first].into_iter().chain(rest).collect())
    }
}

/// The error entries of one record in a batch, where the code is called `statusCode`.
pub(crate) fn row_errors(errors: &[RowError]) -> Value {
    let shown = errors
        .iter()
        .map(|error| json!({"statusCode": error.code, "message": error.message, "fields": error.fields}));
    Value::Array(shown.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_of_a_refusal_is_an_array_with_every_error() {
        let errors = vec![
            RowError::new("REQUIRED_FIELD_MISSING", "Required fields are missing: [Name]").on("Name"),
            RowError::new("X", "y"),
        ];
        let refusal = Refusal::of_row(errors.clone());
        assert_eq!(refusal.status, 400);
        let body = refusal.body();
        assert_eq!(
            (&body[0]["errorCode"], &body[0]["fields"][0]),
            (&json!("REQUIRED_FIELD_MISSING"), &json!("Name"))
        );
        assert_eq!(body[1]["errorCode"], "X");
        assert_eq!(row_errors(&errors)[1], json!({"statusCode": "X", "message": "y", "fields": []}));
        assert!(Refusal::session().body()[0].get("fields").is_none());
    }
}
