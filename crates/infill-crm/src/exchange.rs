//! One exchange with a CRM as plain values: what is asked, what came back, and what a vendor makes of it.
//!
//! Nothing here touches a socket, so a vendor's request builders and its `classify` stay pure and are tested
//! with answers written by hand.

use std::fmt;

pub use bytes::Bytes;
use infill_model::Class;
use reqwest::header::HeaderMap;
use secrecy::SecretString;

use crate::error::{Delivery, Error};
use crate::meter::{Meter, Observation};

/// A call to make.
#[derive(Clone, Debug)]
pub struct Request {
    /// What the call is for, as a metric label: a constant such as `batch_read`.
    pub operation: &'static str,
    /// The HTTP method.
    pub method: Method,
    /// Path and query below the base address, percent-encoded, starting with a slash.
    pub path: String,
    /// Headers of this call alone; one that the transport sends with every call is replaced by it.
    pub headers: Vec<(&'static str, &'static str)>,
    /// What is sent along.
    pub body: Body,
    /// Which meter it counts against.
    pub meter: Meter,
    /// What it costs of the day, in the vendor's units: 1 where the vendor counts calls.
    pub cost: u32,
    /// Whether the call can change anything at the vendor.
    pub effect: Effect,
}

/// The HTTP methods that connectors use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Fetches.
    Get,
    /// Creates or acts.
    Post,
    /// Changes parts.
    Patch,
    /// Puts a whole in its place.
    Put,
}

impl Method {
    /// As it stands in a request.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Put => "PUT",
        }
    }
}

/// Whether a call can change anything at the vendor. Decides what a lost answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It cannot: a lost answer loses nothing.
    Read,
    /// It can: after a lost answer, nobody knows whether it did.
    Write,
}

impl Effect {
    /// What a call of this effect left behind when its answer was lost or could not be read.
    #[must_use]
    pub const fn delivery_when_lost(self) -> Delivery {
        match self {
            Self::Read => Delivery::Refused,
            Self::Write => Delivery::Unknown,
        }
    }
}

/// The body of a request. `Debug` shows its size and never its content.
#[derive(Clone)]
pub enum Body {
    /// None.
    Empty,
    /// JSON, serialised once and shared by every replay.
    Json(Bytes),
    /// A file of comma-separated values.
    Csv(Bytes),
    /// A form, whose values may be secrets.
    Form(Vec<(&'static str, SecretString)>),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Json(bytes) => write!(f, "Json({} bytes)", bytes.len()),
            Self::Csv(bytes) => write!(f, "Csv({} bytes)", bytes.len()),
            Self::Form(fields) => f.debug_list().entries(fields.iter().map(|(name, _)| name)).finish(),
        }
    }
}

/// An answer, read to its end. `Debug` shows the size of the body and never its content.
#[derive(Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: Headers,
    /// The whole body.
    pub body: Bytes,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).field("body_bytes", &self.body.len()).finish()
    }
}

impl Answer {
    /// An answer written by hand, for tests.
    #[must_use]
    pub fn of(status: u16, headers: &[(&'static str, &str)], body: impl Into<Bytes>) -> Self {
        Self { status, headers: Headers::of(headers), body: body.into() }
    }
}

/// The headers of an answer; names are matched whatever their case.
#[derive(Clone, Debug, Default)]
pub struct Headers(HeaderMap);

impl Headers {
    /// Headers written by hand; a value that HTTP does not allow is left out.
    #[must_use]
    pub fn of(headers: &[(&'static str, &str)]) -> Self {
        let mut map = HeaderMap::with_capacity(headers.len());
        for (name, value) in headers {
            if let (Ok(name), Ok(value)) = (reqwest::header::HeaderName::try_from(*name), value.parse()) {
                map.insert(name, value);
            }
        }
        Self(map)
    }

    /// The value of a header, when it is there and is text.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.to_str().ok()
    }

    /// The value of a header, when it is a whole number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.trim().parse().ok()
    }
}

impl From<HeaderMap> for Headers {
    fn from(map: HeaderMap) -> Self {
        Self(map)
    }
}

/// What a vendor makes of an answer.
#[derive(Clone, Debug)]
pub struct Classified {
    /// What the answer told about the quota.
    pub observation: Observation,
    /// Which meters the observation is about.
    pub reach: Reach,
    /// Whether the answer is worth reading as a result, or the error it is.
    pub result: Result<(), Error>,
}

impl Classified {
    /// A good answer that tells nothing about the quota.
    #[must_use]
    pub fn good() -> Self {
        Self { observation: Observation::default(), reach: Reach::Meter, result: Ok(()) }
    }

    /// An error that tells nothing about the quota.
    #[must_use]
    pub fn failed(error: Error) -> Self {
        Self { result: Err(error), ..Self::good() }
    }
}

/// Which meters an observation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The one the call counted against.
    Meter,
    /// All of the account's: the day is spent, the account is moving.
    Account,
}

/// Parses the body of a good answer.
///
/// # Errors
/// `transient` when the text is garbled or cut short, as by a proxy on the way; `bug` when it is sound JSON
/// of another shape. Either way the delivery is that of a lost answer.
pub fn parse<'a, T: serde::Deserialize<'a>>(
    vendor: &str,
    request: &Request,
    answer: &'a Answer,
) -> Result<T, Error> {
    serde_json::from_slice(&answer.body).map_err(|error| unreadable(vendor, request, answer, &error))
}

/// The error of a good answer whose body cannot be read; see [`parse`].
#[must_use]
pub fn unreadable(vendor: &str, request: &Request, answer: &Answer, error: &serde_json::Error) -> Error {
    let (class, code) = match error.classify() {
        serde_json::error::Category::Data => (Class::Bug, "unexpected_answer"),
        serde_json::error::Category::Syntax
        | serde_json::error::Category::Eof
        | serde_json::error::Category::Io => (Class::Transient, "unreadable_answer"),
    };
    Error {
        status: Some(answer.status),
        delivery: request.effect.delivery_when_lost(),
        ..Error::new(
            class,
            code,
            format!(
                "{vendor} answered {} to {} with a body of {} bytes that cannot be read as its answer \
                 (line {}, column {})",
                answer.status,
                request.operation,
                answer.body.len(),
                error.line(),
                error.column()
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write() -> Request {
        Request {
            operation: "batch_update",
            method: Method::Post,
            path: "/x".to_owned(),
            headers: Vec::new(),
            body: Body::Json(Bytes::from_static(b"{\"secret\":1}")),
            meter: Meter::General,
            cost: 1,
            effect: Effect::Write,
        }
    }

    #[test]
    fn a_garbled_answer_is_transient_and_one_of_another_shape_is_a_bug() {
        for (body, class) in [
            ("{\"a\":", Class::Transient),
            ("<html>", Class::Transient),
            ("", Class::Transient),
            ("[1]", Class::Bug),
        ] {
            let answer = Answer::of(200, &[], body);
            let error = parse::<std::collections::BTreeMap<String, u8>>("HubSpot", &write(), &answer)
                .expect_err("unreadable");
            assert_eq!(error.class, class, "{body}");
            assert_eq!(error.delivery, Delivery::Unknown);
        }
    }

    #[test]
    fn debug_never_shows_a_body() {
        let shown = format!("{:?} {:?}", write(), Answer::of(200, &[], "{\"secret\":1}"));
        assert!(!shown.contains("secret"), "{shown}");
        let form = Body::Form(vec![("refresh_token", "s3cr3t".into())]);
        assert_eq!(format!("{form:?}"), "[\"refresh_token\"]");
    }

    #[test]
    fn headers_are_found_whatever_their_case() {
        let headers = Headers::of(&[("Retry-After", " 7 ")]);
        assert_eq!(headers.number("retry-after"), Some(7));
        assert_eq!(headers.number("x-absent"), None);
    }
}
