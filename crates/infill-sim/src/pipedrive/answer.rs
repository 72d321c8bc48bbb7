//! What goes back over the wire: status, headers and bytes, and Pipedrive's error bodies.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::spec::Version;

const JSON: &str = "application/json; charset=utf-8";
const HTML: &str = "text/html; charset=UTF-8";
const SEE: &str = "Please check developers.pipedrive.com for more information about Pipedrive API.";

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

    /// Success with nothing beside the data.
    pub(crate) fn data(data: &Value) -> Self {
        Self::value(200, &json!({"success": true, "data": data}))
    }

    /// A page of version 2; `next` is where the next one begins.
    pub(crate) fn page(data: &Value, next: Option<String>) -> Self {
        Self::value(200, &json!({"success": true, "data": data, "additional_data": {"next_cursor": next}}))
    }

    pub(crate) fn html(status: u16, title: &str) -> Self {
        let body = format!("<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>");
        Self { status, content_type: HTML, headers: Vec::new(), body: body.into_bytes() }
    }

    /// What Cloudflare shows to whoever went on after being told to stop.
    pub(crate) fn cloudflare() -> Self {
        let body = "<!DOCTYPE html>\n<html lang=\"en-US\"><head><title>Access denied | api.pipedrive.com used Cloudflare to \
                    restrict access</title></head>\n<body><h1>Error 1015</h1><h2>You are being rate limited</h2></body></html>\n";
        let headers = vec![("server", "cloudflare".to_owned())];
        Self { status: 403, content_type: HTML, headers, body: body.into() }
    }
}

/// A refusal in Pipedrive's words.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    body: Value,
}

impl Refusal {
    /// The envelope of errors, with a code as version 2 gives it.
    fn coded(status: u16, error: &str, code: &str) -> Self {
        Self { status, body: json!({"success": false, "error": error, "code": code}) }
    }

    /// The envelope of version 1.
    pub(crate) fn v1(status: u16, error: &str, info: Option<&str>) -> Self {
        let info = info.unwrap_or(SEE);
        let body = json!({"success": false, "error": error, "error_info": info, "data": null, "additional_data": null});
        Self { status, body }
    }

    /// The older envelope whose code is the status.
    fn numbered(status: u16, error: &str) -> Self {
        let info = "Please check developers.pipedrive.com";
        let body = json!({"success": false, "error": error, "errorCode": status, "error_info": info});
        Self { status, body }
    }

    /// All faults of a request joined in one text.
    pub(crate) fn validation(faults: &[String]) -> Self {
        let error = format!("Validation failed: {}", faults.join("; "));
        Self::coded(400, &error, "ERR_SCHEMA_VALIDATION_FAILED")
    }

    /// One fault, named by what it is of.
    pub(crate) fn invalid(what: &str, fault: &str) -> Self {
        Self::validation(&[format!("{what}: {fault}")])
    }

    /// What the checks of version 1 say.
    pub(crate) fn dataset(info: &str) -> Self {
        Self::v1(400, "provided dataset is not valid", Some(info))
    }

    pub(crate) fn missing(version: Version, status: u16, what: &str) -> Self {
        let error = format!("{what} not found");
        match version {
            Version::V1 => Self::v1(status, &error, None),
            Version::V2 => Self::coded(status, &error, "ERR_NOT_FOUND"),
        }
    }

    pub(crate) fn forbidden(error: &str) -> Self {
        Self::coded(403, error, "ERR_FORBIDDEN")
    }

    /// A missing scope, and by a recording also an unknown address.
    pub(crate) fn scope_mismatch() -> Self {
        Self::numbered(403, "Scope and URL mismatch")
    }

    pub(crate) fn unauthorized() -> Self {
        Self::numbered(401, "unauthorized access")
    }

    pub(crate) fn over_limit() -> Self {
        Self::numbered(429, "request over limit")
    }

    pub(crate) fn internal() -> Self {
        Self::coded(500, "Internal Server Error", "ERR_UNKNOWN")
    }

    /// The refusal of a status that a fault asks for.
    pub(crate) fn of_status(status: u16) -> Self {
        match status {
            400 => Self::invalid("custom_fields", "Invalid collection"),
            401 => Self::unauthorized(),
            402 => Self::numbered(402, "company account is not open"),
            403 => Self::scope_mismatch(),
            404 | 410 => Self::coded(status, "Entity not found", "ERR_NOT_FOUND"),
            429 => Self::over_limit(),
            500 => Self::internal(),
            _ => Self::numbered(status, "Service unavailable"),
        }
    }

    pub(crate) fn answer(&self) -> Answer {
        Answer::value(self.status, &self.body)
    }
}

/// RFC 3339 in UTC without fractions, as version 2 writes times.
pub(crate) fn timestamp(ms: i64) -> String {
    format!("{:.0}", at(ms))
}

/// As [`timestamp`], with the milliseconds that leads have.
pub(crate) fn timestamp_ms(ms: i64) -> String {
    format!("{:.3}", at(ms))
}

/// The form of version 1: a space, and no zone.
pub(crate) fn timestamp_v1(ms: i64) -> String {
    at(ms).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_each_version_does() {
        let ms = 1_700_000_000_120;
        assert_eq!(timestamp(ms), "2023-11-14T22:13:20Z");
        assert_eq!(timestamp_ms(ms), "2023-11-14T22:13:20.120Z");
        assert_eq!(timestamp_v1(ms), "2023-11-14 22:13:20");
    }
}
