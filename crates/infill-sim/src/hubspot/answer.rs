//! What goes back over the wire: status, headers and bytes, and HubSpot's error bodies.

use std::io::Write as _;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::limits::{Policy, Standing};

const JSON: &str = "application/json;charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

/// An answer that is ready to be sent.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(status: u16, body: Vec<u8>) -> Self {
        Self { status, content_type: JSON, headers: Vec::new(), body }
    }

    pub(crate) fn value(status: u16, body: &Value) -> Self {
        Self::json(status, body.to_string().into_bytes())
    }

    pub(crate) fn html(status: u16, title: &str) -> Self {
        let body = format!(
            "<html>\r\n<head><title>{status} {title}</title></head>\r\n<body>\r\n<center><h1>{status} {title}</h1></center>\r\n<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
        );
        Self { status, content_type: HTML, headers: Vec::new(), body: body.into_bytes() }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, content_type: JSON, headers: Vec::new(), body: Vec::new() }
    }

    /// Adds the headers that say what is left of the limits.
    pub(crate) fn with_standing(mut self, standing: Standing) -> Self {
        if let Some((max, left)) = standing.window {
            self.headers.push(("x-hubspot-ratelimit-max", max.to_string()));
            self.headers.push(("x-hubspot-ratelimit-remaining", left.to_string()));
            self.headers.push(("x-hubspot-ratelimit-interval-milliseconds", "10000".to_owned()));
            // Deprecated by HubSpot and still sent.
            self.headers.push(("x-hubspot-ratelimit-secondly", max.div_ceil(10).to_string()));
            self.headers
                .push(("x-hubspot-ratelimit-secondly-remaining", left.min(max.div_ceil(10)).to_string()));
        }
        if let Some((max, left)) = standing.day {
            self.headers.push(("x-hubspot-ratelimit-daily", max.to_string()));
            self.headers.push(("x-hubspot-ratelimit-daily-remaining", left.to_string()));
        }
        self
    }
}

/// A refusal in HubSpot's words; the correlation id is added when it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) body: Map<String, Value>,
}

impl Refusal {
    /// A body with `status` and `message` only, as HubSpot's older layers answer.
    pub(crate) fn bare(status: u16, message: impl Into<String>) -> Self {
        let mut body = Map::new();
        body.insert("status".to_owned(), "error".into());
        body.insert("message".to_owned(), message.into().into());
        Self { status, body }
    }

    pub(crate) fn new(status: u16, category: &str, message: impl Into<String>) -> Self {
        Self::bare(status, message).with("category", category.into())
    }

    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new(400, "VALIDATION_ERROR", message)
    }

    pub(crate) fn with(mut self, key: &str, value: Value) -> Self {
        self.body.insert(key.to_owned(), value);
        self
    }

    pub(crate) fn not_found() -> Self {
        Self::bare(404, "resource not found")
    }

    pub(crate) fn unknown_object(name: &str) -> Self {
        Self::bare(400, format!("Unable to infer object type from: {name}"))
    }

    pub(crate) fn malformed_json(error: &serde_json::Error) -> Self {
        let place = format!("line {}, column {}", error.line(), error.column());
        let text = error.to_string();
        let reason = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
        Self::bare(400, format!("Invalid input JSON on {place}: Cannot deserialize value: {reason}"))
    }

    pub(crate) fn unauthenticated() -> Self {
        Self::new(
            401,
            "INVALID_AUTHENTICATION",
            "Authentication credentials not found. This API supports OAuth 2.0 authentication and you can find more \
             details at https://developers.hubspot.com/docs/methods/auth/oauth-overview",
        )
    }

    pub(crate) fn expired(expired_ms: i64, now_ms: i64) -> Self {
        let ago_s = (now_ms - expired_ms).max(0) / 1_000;
        let message = format!("The OAuth token used to make this call expired {ago_s} second(s) ago.");
        Self::new(401, "EXPIRED_AUTHENTICATION", message)
            .with("context", json!({"expire time": [timestamp(expired_ms)]}))
    }

    pub(crate) fn missing_scopes(scopes: &[&str]) -> Self {
        const MESSAGE: &str = "This app hasn't been granted all required scopes to make this call. Read more about \
                               required scopes here: https://developers.hubspot.com/scopes.";
        Self::new(403, "MISSING_SCOPES", MESSAGE)
            .with(
                "errors",
                json!([{"message": "One or more of the following scopes are required.",
                        "context": {"requiredGranularScopes": scopes}}]),
            )
            .with("links", json!({"scopes": "https://developers.hubspot.com/scopes"}))
    }

    /// The 429 of a policy. The day and the window name their policy; a search answers in another shape.
    pub(crate) fn over_limit(policy: Policy, request_id: &str) -> Self {
        let (limit, name) = match policy {
            Policy::Secondly => {
                return Self::new(429, "RATE_LIMITS", "You have reached your secondly limit.");
            }
            Policy::TenSecondly => ("ten_secondly_rolling", "TEN_SECONDLY_ROLLING"),
            Policy::Daily => ("daily", "DAILY"),
        };
        Self::bare(429, format!("You have reached your {limit} limit."))
            .with("errorType", "RATE_LIMIT".into())
            .with("policyName", name.into())
            .with("requestId", request_id.into())
    }

    pub(crate) fn answer(mut self, correlation_id: &str) -> Answer {
        self.body.insert("correlationId".to_owned(), correlation_id.into());
        Answer::value(self.status, &Value::Object(self.body))
    }
}

/// ISO 8601 in UTC with exactly three decimals and a `Z`.
pub(crate) fn timestamp(ms: i64) -> String {
    let mut text = Vec::with_capacity(24);
    push_timestamp(&mut text, ms);
    String::from_utf8(text).unwrap_or_default()
}

/// Appends [`timestamp`] without quotes.
pub(crate) fn push_timestamp(out: &mut Vec<u8>, ms: i64) {
    let at = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
    // A `Vec` takes every write.
    write!(out, "{at:.3}").unwrap_or_default();
}

/// Appends `text` as a JSON string.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &str) {
    // A `Vec` takes every write, and a string is always JSON.
    serde_json::to_writer(out, text).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_have_three_decimals_and_a_z() {
        assert_eq!(timestamp(1_700_000_000_000), "2023-11-14T22:13:20.000Z");
        assert_eq!(timestamp(1_700_000_000_120), "2023-11-14T22:13:20.120Z");
    }

    #[test]
    fn the_place_of_malformed_json_is_named() {
        let error = serde_json::from_str::<Value>("{\n\"a\": nope}").unwrap_err();
        let body = Refusal::malformed_json(&error).body;
        assert!(body["message"].as_str().unwrap().starts_with("Invalid input JSON on line 2, column "));
        assert!(!body.contains_key("category"));
    }
}
