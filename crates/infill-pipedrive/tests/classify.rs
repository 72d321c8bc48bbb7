//! Answers as Pipedrive gives them, and what each means.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use infill_crm::Delivery;
use infill_crm::exchange::{Answer, Classified, Reach, Request};
use infill_model::{Class, Timestamp};
use infill_pipedrive::classify::{Complaint, classify};
use infill_pipedrive::object::Object;
use infill_pipedrive::request;
use serde_json::{Map, json};

const HASH: &str = "9dc80c50d78a15643bfc4ca79d76156a73a1ca0e";
const OTHER_HASH: &str = "0000000000000000000000000000000000000abc";
const OVER_LIMIT: &str = r#"{"success":false,"error":"request over limit","errorCode":429}"#;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

fn write() -> Request {
    request::update(Object::Person, &"7".into(), &Map::new()).unwrap()
}

fn read() -> Request {
    request::read(Object::Person, &["7".into()], &[])
}

fn written(status: u16, body: &str) -> infill_crm::Error {
    classify(&write(), &Answer::of(status, &[], body.to_owned()), at(0), None).result.unwrap_err()
}

fn asked(status: u16, body: &str) -> infill_crm::Error {
    classify(&read(), &Answer::of(status, &[], body.to_owned()), at(0), None).result.unwrap_err()
}

fn refused(headers: &[(&'static str, &str)], since: Option<i64>) -> Classified {
    classify(&write(), &Answer::of(429, headers, OVER_LIMIT), at(0), since.map(at))
}

#[test]
fn a_refused_update_is_the_rows_fault_unless_it_says_otherwise() {
    let invalid = |fault: &str| {
        json!({"success": false, "error": format!("Validation failed: {fault}"), "code": "ERR_SCHEMA_VALIDATION_FAILED"})
            .to_string()
    };
    for (body, class, code, property) in [
        (
            invalid(&format!(
                "custom_fields.{HASH}: Expected 'number' as value for single option custom field"
            )),
            Class::Rejected,
            "ERR_SCHEMA_VALIDATION_FAILED",
            Some(HASH),
        ),
        (invalid("name: must be a string"), Class::Rejected, "ERR_SCHEMA_VALIDATION_FAILED", Some("name")),
        (
            invalid(&format!("{HASH}: too long; {OTHER_HASH}: too long")),
            Class::Rejected,
            "ERR_SCHEMA_VALIDATION_FAILED",
            None,
        ),
        (
            invalid(&format!("custom_fields: Unknown key '{HASH}'")),
            Class::Configuration,
            "unknown_field",
            Some(HASH),
        ),
        (
            invalid(&format!("{HASH}: Parameter '{HASH}' is not allowed for this request")),
            Class::Bug,
            "malformed_request",
            Some(HASH),
        ),
    ] {
        let error = written(400, &body);
        assert_eq!(
            (error.class, error.code.as_str(), error.property.as_deref()),
            (class, code, property),
            "{body}"
        );
        assert_eq!(error.delivery, Delivery::Refused);
    }
    let error = asked(400, &invalid("filter_id: must be a number"));
    assert_eq!(error.class, Class::Configuration);
}

#[test]
fn three_refusals_that_look_alike_are_told_apart() {
    // The burst window, which is over within two seconds.
    for (headers, wait) in [
        (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1")][..], 1),
        (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "0")][..], 1),
        (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "9")][..], 2),
        (&[][..], 2),
    ] {
        let burst = refused(headers, None);
        assert_eq!(burst.observation.cool_down_until, Some(at(wait)), "{headers:?}");
        assert_eq!((burst.observation.day_spent, burst.reach), (false, Reach::Meter));
        assert_eq!(burst.result.unwrap_err().until, Some(at(wait)));
    }
    // The company's day.
    for (headers, since, wait) in [
        (&[("x-ratelimit-reset", "40000")][..], None, 40_000),
        (&[("x-daily-ratelimit-token-remaining", "0")][..], None, 3_600),
        (&[("x-ratelimit-remaining", "17"), ("x-ratelimit-reset", "2")][..], Some(-6), 3_600),
        (&[][..], Some(-6), 3_600),
    ] {
        let day = refused(headers, since);
        assert_eq!(day.observation.cool_down_until, Some(at(wait)), "{headers:?}");
        assert_eq!((day.observation.day_spent, day.reach), (true, Reach::Account));
        let error = day.result.unwrap_err();
        assert_eq!((error.class, error.code.as_str()), (Class::Throttled, "day_spent"));
    }
    assert!(!refused(&[], Some(-5)).observation.day_spent, "two windows have not passed yet");
    // The guard in front of Pipedrive.
    let page =
        Answer::of(403, &[("Content-Type", "text/html")], "<html>Attention Required! | Cloudflare</html>");
    let shut_out = classify(&write(), &page, at(0), Some(at(-3)));
    let why = shut_out.observation.blocked.unwrap();
    assert!(why.contains("lower calls_per_2_seconds"), "{why}");
    let error = shut_out.result.unwrap_err();
    assert_eq!((error.class, error.code.as_str(), error.until), (Class::Throttled, "shut_out", None));
}

#[test]
fn a_403_with_words_says_what_is_missing() {
    const SCOPE: &str = r#"{"success":false,"error":"Scope and URL mismatch","errorCode":403,"error_info":"Please check developers.pipedrive.com"}"#;
    let error = written(403, SCOPE);
    assert_eq!((error.class, error.code.as_str()), (Class::Configuration, "scope_missing"));
    assert!(error.message.contains("contacts:full") && !error.message.contains("Please check"), "{error}");
    let error = asked(403, r#"{"success":false,"error":"no","code":"feature_capping_deals_limit"}"#);
    assert_eq!((error.class, error.code.as_str()), (Class::Configuration, "feature_capping"));
    // A record that the login's user may not edit is that record's affair.
    let own = r#"{"success":false,"error":"You do not have permission to edit this person"}"#;
    assert_eq!(written(403, own).class, Class::Rejected);
    assert_eq!(asked(403, own).class, Class::Configuration);
}

#[test]
fn the_status_decides_the_rest() {
    const BODY: &str = r#"{"success":false,"error":"why"}"#;
    for (status, body, class, delivery) in [
        (302, "", Class::Configuration, Delivery::Refused),
        (401, BODY, Class::Unauthorized, Delivery::Refused),
        (404, BODY, Class::Gone, Delivery::Refused),
        (410, BODY, Class::Gone, Delivery::Refused),
        (404, "<html>", Class::Configuration, Delivery::Refused),
        (405, BODY, Class::Configuration, Delivery::Refused),
        (408, BODY, Class::Transient, Delivery::Unknown),
        (409, BODY, Class::Rejected, Delivery::Refused),
        (418, BODY, Class::Bug, Delivery::Refused),
        (422, BODY, Class::Rejected, Delivery::Refused),
        (
            500,
            r#"{"success":false,"error":"Internal Server Error","code":"ERR_UNKNOWN"}"#,
            Class::Transient,
            Delivery::Unknown,
        ),
        (502, "<html>", Class::Transient, Delivery::Unknown),
        (503, BODY, Class::Transient, Delivery::Unknown),
    ] {
        let error = written(status, body);
        assert_eq!((error.class, error.delivery), (class, delivery), "{status} {body}: {error:?}");
    }
    assert_eq!(asked(500, BODY).delivery, Delivery::Refused);
    assert_eq!(asked(404, BODY).class, Class::Configuration, "a list is an address, not a record");
    let closed = classify(&read(), &Answer::of(402, &[], BODY), at(0), None);
    assert!(closed.observation.blocked.is_some());
}

#[test]
fn a_good_answer_tells_what_is_left_of_the_day_when_it_does() {
    let headers =
        [("x-daily-ratelimit-token-remaining", "29000"), ("x-daily-ratelimit-token-limit", "30000")];
    let classified = classify(&read(), &Answer::of(200, &headers, "{}"), at(0), None);
    assert!(classified.result.is_ok());
    assert_eq!(
        (classified.observation.daily_remaining, classified.observation.daily_limit),
        (Some(29_000), Some(30_000))
    );
}

#[test]
fn words_are_kept_and_noise_is_not() {
    let words = |body: &str| Complaint::read(body.as_bytes()).unwrap().words();
    assert_eq!(
        words(r#"{"error":"requested lead not found","error_info":"Object was not found."}"#),
        "requested lead not found (Object was not found.)"
    );
    assert_eq!(words("{}"), "no reason given");
    assert_eq!(words(&json!({"error": "x".repeat(2_000)}).to_string()).chars().count(), 1_001);
    assert_eq!(Complaint::read(b"<html>"), None);
}
