//! How HubSpot turns a sent value into the stored one, and which values it refuses.
//!
//! Numbers, dates and datetimes are stored in one form each, email in lower case, multi-selects as options joined by
//! `;`. The code and text of a refusal are those of recorded answers where there are any.

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Value, json};

use super::answer::timestamp;
use super::catalog::{Kind, Property, Rule};

/// The most characters a text property holds.
const MAX_TEXT_CHARS: usize = 65_536;

/// Epoch values below this are seconds, not milliseconds: as milliseconds they would lie before April 1970.
const SMALLEST_PLAUSIBLE_MS: i64 = 10_000_000_000;

/// Order of the lifecycle, which only moves forward.
const LIFECYCLE: [&str; 8] = [
    "subscriber",
    "lead",
    "marketingqualifiedlead",
    "salesqualifiedlead",
    "opportunity",
    "customer",
    "evangelist",
    "other",
];

/// Why one property's value was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invalid {
    pub(crate) name: String,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Invalid {
    pub(crate) fn new(name: &str, code: &'static str, message: impl Into<String>) -> Self {
        Self { name: name.to_owned(), code, message: message.into() }
    }

    pub(crate) fn unknown(name: &str) -> Self {
        Self::new(name, "PROPERTY_DOESNT_EXIST", format!("Property \"{name}\" does not exist"))
    }

    pub(crate) fn read_only(name: &str) -> Self {
        let message = format!("\"{name}\" is a calculated property; its value cannot be set.");
        Self::new(name, "READ_ONLY_VALUE", message)
    }

    /// The entry inside the message's JSON array.
    pub(crate) fn in_message(&self, portal_id: u32) -> Value {
        json!({"isValid": false, "message": self.message, "error": self.code, "name": self.name,
               "localizedErrorMessage": self.message, "portalId": portal_id})
    }

    /// The entry of `errors`.
    pub(crate) fn in_errors(&self) -> Value {
        json!({"message": self.message, "code": self.code, "context": {"propertyName": [self.name]}})
    }
}

/// What decides besides the definition.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Strictness {
    /// 2026-09 refuses epoch seconds as a datetime.
    pub(crate) refuses_epoch_seconds: bool,
    /// A step back of the lifecycle changes nothing.
    pub(crate) forward_only_lifecycle: bool,
}

/// The value to store for `sent`, where `None` clears the property.
pub(crate) fn normalize(
    property: &Property,
    current: Option<&str>,
    sent: &Value,
    strictness: Strictness,
) -> Result<Option<String>, Invalid> {
    let name = &*property.name;
    let text = match sent {
        Value::Null => return Ok(None),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => sent.to_string(),
        Value::Array(_) | Value::Object(_) => {
            return Err(Invalid::new(name, "INVALID_TYPE", format!("{sent} was not a valid string.")));
        }
    };
    if text.is_empty() {
        return Ok(None);
    }
    let stored = match property.kind {
        Kind::String if name == "email" => email(name, &text)?,
        Kind::String if text.chars().count() > MAX_TEXT_CHARS => {
            let message = format!("Property value is longer than {MAX_TEXT_CHARS} characters.");
            return Err(Invalid::new(name, "PROPERTY_VALUE_TOO_LONG", message));
        }
        Kind::String => text,
        Kind::Number => number(&text)
            .ok_or_else(|| Invalid::new(name, "INVALID_LONG", format!("{text} was not a valid long.")))?,
        Kind::Date => date(&text).ok_or_else(|| invalid_date(name, &text))?,
        Kind::Datetime => {
            datetime(&text, strictness.refuses_epoch_seconds).ok_or_else(|| invalid_date(name, &text))?
        }
        Kind::Bool => option(property, &text.to_ascii_lowercase())?,
        Kind::Enumeration if property.external_options => text,
        Kind::Enumeration if property.is_multi_select() => multi_select(property, current, &text)?,
        Kind::Enumeration => option(property, &text)?,
    };
    for rule in &property.rules {
        check(name, rule, &stored)?;
    }
    let steps_back = name == "lifecyclestage" && strictness.forward_only_lifecycle;
    if steps_back && current.is_some_and(|current| stage(&stored) < stage(current)) {
        return Ok(current.map(str::to_owned));
    }
    Ok(Some(stored))
}

fn stage(value: &str) -> Option<usize> {
    LIFECYCLE.iter().position(|stage| *stage == value)
}

fn invalid_date(name: &str, text: &str) -> Invalid {
    Invalid::new(name, "INVALID_DATE", format!("{text} was not a valid date."))
}

fn email(name: &str, text: &str) -> Result<String, Invalid> {
    let lower = text.trim().to_lowercase();
    let is_valid = lower.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty()
            && domain.contains('.')
            && !domain.starts_with('.')
            && !domain.ends_with('.')
            && !lower.contains(char::is_whitespace)
            && !domain.contains('@')
    });
    if is_valid {
        Ok(lower)
    } else {
        Err(Invalid::new(name, "INVALID_EMAIL", format!("Email address {text} is invalid")))
    }
}

/// The number without a plus sign, leading zeros, or zeros after the last decimal.
fn number(text: &str) -> Option<String> {
    let text = text.trim();
    text.parse::<f64>().ok().filter(|number| number.is_finite())?;
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        // An exponent; such numbers are kept as they came.
        return Some(text.to_owned());
    }
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = whole.trim_start_matches('0');
    let decimals = decimals.trim_end_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let magnitude = if decimals.is_empty() { whole.to_owned() } else { format!("{whole}.{decimals}") };
    Some(if magnitude == "0" { magnitude } else { format!("{sign}{magnitude}") })
}

fn date(text: &str) -> Option<String> {
    if let Ok(ms) = text.parse::<i64>() {
        let is_midnight = ms.rem_euclid(86_400_000) == 0;
        return is_midnight.then(|| timestamp(ms).chars().take(10).collect());
    }
    if text.len() != 10 {
        return None;
    }
    text.parse::<Date>().ok().map(|date| date.to_string())
}

fn datetime(text: &str, refuses_epoch_seconds: bool) -> Option<String> {
    if let Ok(ms) = text.parse::<i64>() {
        let is_odd = refuses_epoch_seconds && ms.abs() < SMALLEST_PLAUSIBLE_MS && ms != 0;
        return (!is_odd).then(|| timestamp(ms));
    }
    if text.len() == 10 {
        return text.parse::<Date>().ok().map(|date| format!("{date}T00:00:00.000Z"));
    }
    text.parse::<Timestamp>().ok().map(|at| timestamp(at.as_millisecond()))
}

fn option(property: &Property, value: &str) -> Result<String, Invalid> {
    if property.options.iter().any(|option| option.value == value) {
        return Ok(value.to_owned());
    }
    let listed: Vec<String> = property
        .options
        .iter()
        .map(|option| format!("label: \"{}\"\nvalue: \"{}\"\n", option.label, option.value))
        .collect();
    let message = format!("{value} was not one of the allowed options: [{}]", listed.join(", "));
    Err(Invalid::new(&property.name, "INVALID_OPTION", message))
}

/// `a;b` replaces the set; a leading `;` adds to it.
fn multi_select(property: &Property, current: Option<&str>, text: &str) -> Result<String, Invalid> {
    let kept = current.filter(|_| text.starts_with(';')).unwrap_or_default();
    let mut chosen: Vec<String> = Vec::new();
    for value in kept.split(';').chain(text.split(';')).map(str::trim).filter(|value| !value.is_empty()) {
        let value = option(property, value)?;
        if !chosen.contains(&value) {
            chosen.push(value);
        }
    }
    Ok(chosen.join(";"))
}

fn check(name: &str, rule: &Rule, stored: &str) -> Result<(), Invalid> {
    let n_chars = stored.chars().count();
    let broken = match rule {
        Rule::MinLength(min) if n_chars < *min => {
            ("INVALID_MIN_LENGTH", format!("Enter at least {min} characters"))
        }
        Rule::MaxLength(max) if n_chars > *max => {
            ("INVALID_MAX_LENGTH", format!("Enter no more than {max} characters"))
        }
        Rule::LettersOnly if !stored.chars().all(|c| c.is_alphabetic() || c == ' ') => {
            ("INVALID_ALPHA", "Enter only letters".to_owned())
        }
        Rule::Decimals(max) if stored.split_once('.').is_some_and(|(_, decimals)| decimals.len() > *max) => {
            ("INVALID_DECIMAL", format!("Enter no more than {max} decimal places"))
        }
        Rule::EmailDomain(domain) if !stored.to_lowercase().ends_with(&format!("@{domain}")) => {
            ("INVALID_EMAIL_DOMAIN", format!("Enter an email address of {domain}"))
        }
        Rule::MinLength(_)
        | Rule::MaxLength(_)
        | Rule::LettersOnly
        | Rule::Decimals(_)
        | Rule::EmailDomain(_) => return Ok(()),
    };
    Err(Invalid::new(name, broken.0, broken.1))
}

#[cfg(test)]
mod tests {
    use super::super::catalog::Catalog;
    use super::*;

    const LAX: Strictness = Strictness { refuses_epoch_seconds: false, forward_only_lifecycle: true };
    const STRICT: Strictness = Strictness { refuses_epoch_seconds: true, ..LAX };

    fn put(name: &str, current: Option<&str>, sent: Value) -> Result<Option<String>, &'static str> {
        let catalog = Catalog::of("contacts");
        let (_, property) = catalog.find(name).unwrap();
        normalize(property, current, &sent, LAX).map_err(|invalid| invalid.code)
    }

    #[test]
    fn values_are_stored_as_hubspot_stores_them() {
        for (name, sent, stored) in [
            ("email", json!(" Ana@Example.COM "), "ana@example.com"),
            ("seat_count", json!("007.50"), "7.5"),
            ("seat_count", json!("-0.0"), "0"),
            ("seat_count", json!(12), "12"),
            ("next_review_date", json!("2026-02-28"), "2026-02-28"),
            ("next_review_date", json!(1_772_236_800_000_i64), "2026-02-28"),
            ("last_called_at", json!("2026-02-28T10:00:00+02:00"), "2026-02-28T08:00:00.000Z"),
            ("last_called_at", json!("1772236800001"), "2026-02-28T00:00:00.001Z"),
            ("do_not_call", json!(true), "true"),
            ("do_not_call", json!("FALSE"), "false"),
            ("interests", json!("events;product;events"), "events;product"),
            ("lifecyclestage", json!("customer"), "customer"),
            ("hubspot_owner_id", json!("77"), "77"),
            ("phone", json!("+1 202 224 3441"), "+1 202 224 3441"),
            ("firstname", json!(" Ann \"Q\" "), " Ann \"Q\" "),
        ] {
            assert_eq!(put(name, None, sent).unwrap().as_deref(), Some(stored), "{name}");
        }
    }

    #[test]
    fn values_of_the_wrong_kind_are_refused_with_their_code() {
        for (name, sent, code) in [
            ("email", json!("ana"), "INVALID_EMAIL"),
            ("seat_count", json!("asd000"), "INVALID_LONG"),
            ("next_review_date", json!("28/02/2026"), "INVALID_DATE"),
            ("next_review_date", json!(1_772_236_800_001_i64), "INVALID_DATE"),
            ("do_not_call", json!("maybe"), "INVALID_OPTION"),
            ("interests", json!("product;sailing"), "INVALID_OPTION"),
            ("lifecyclestage", json!("Customer"), "INVALID_OPTION"),
            ("field_of_study", json!("R2D2"), "INVALID_ALPHA"),
            ("external_ref", json!("x"), "INVALID_MIN_LENGTH"),
            ("satisfaction_score", json!("1.25"), "INVALID_DECIMAL"),
            ("work_email", json!("a@b.example"), "INVALID_EMAIL_DOMAIN"),
            ("firstname", json!(["a"]), "INVALID_TYPE"),
        ] {
            assert_eq!(put(name, None, sent), Err(code), "{name}");
        }
    }

    #[test]
    fn an_empty_string_clears() {
        assert_eq!(put("phone", Some("1"), json!("")), Ok(None));
    }

    #[test]
    fn a_leading_semicolon_appends() {
        assert_eq!(put("interests", Some("events"), json!(";product")).unwrap().unwrap(), "events;product");
        assert_eq!(put("interests", Some("events"), json!("product")).unwrap().unwrap(), "product");
    }

    #[test]
    fn the_lifecycle_moves_forward_only() {
        assert_eq!(put("lifecyclestage", Some("customer"), json!("lead")).unwrap().unwrap(), "customer");
        assert_eq!(put("lifecyclestage", Some("lead"), json!("customer")).unwrap().unwrap(), "customer");
        assert_eq!(put("lifecyclestage", None, json!("lead")).unwrap().unwrap(), "lead");
    }

    #[test]
    fn epoch_seconds_are_a_date_up_to_2026_03_only() {
        let catalog = Catalog::of("contacts");
        let (_, property) = catalog.find("last_called_at").unwrap();
        let sent = json!("1772236800");
        assert!(normalize(property, None, &sent, LAX).unwrap().unwrap().starts_with("1970-01-21T"));
        assert_eq!(normalize(property, None, &sent, STRICT).unwrap_err().code, "INVALID_DATE");
    }
}
