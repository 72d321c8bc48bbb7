//! Every error that Salesforce is known to answer with, and the class it has.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use infill_crm::Delivery;
use infill_crm::exchange::{Answer, Body, Classified, Effect, Method, Reach, Request};
use infill_crm::meter::Meter;
use infill_model::{Class, Timestamp};
use infill_salesforce::classify::{Complaint, Fate, classify, refusal};
use serde_json::json;

fn now() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

fn answered(effect: Effect, status: u16, headers: &[(&'static str, &str)], body: &str) -> Classified {
    let request = Request {
        operation: "update",
        method: Method::Post,
        path: "/x".to_owned(),
        headers: Vec::new(),
        body: Body::Empty,
        meter: Meter::General,
        cost: 1,
        effect,
    };
    classify(&request, &Answer::of(status, headers, body.to_owned()), now())
}

fn refused(effect: Effect, status: u16, code: &str, message: &str) -> Classified {
    answered(effect, status, &[], &json!([{"errorCode": code, "message": message}]).to_string())
}

#[test]
fn a_refused_call_has_the_class_of_its_code() {
    use Class::{Bug, Configuration, Gone, Rejected, Throttled, Transient, Unauthorized};
    use Delivery::{Refused, Unknown};
    const NOT_REST: &str = "This session is not valid for use with the REST API";
    for (status, code, message, class, delivery) in [
        (401, "INVALID_SESSION_ID", "Session expired or invalid", Unauthorized, Refused),
        (403, "INVALID_SESSION_ID", NOT_REST, Configuration, Refused),
        (401, "INVALID_AUTH_HEADER", "INVALID_AUTH_HEADER", Unauthorized, Refused),
        (403, "API_DISABLED_FOR_ORG", "API is disabled", Configuration, Refused),
        (403, "INSUFFICIENT_ACCESS", "no", Configuration, Refused),
        (404, "NOT_FOUND", "The requested resource does not exist", Gone, Refused),
        (400, "INVALID_FIELD", "No such column 'X' on entity 'Contact'", Configuration, Refused),
        (400, "INVALID_TYPE", "sObject type 'X' is not supported", Configuration, Refused),
        (400, "JSON_PARSER_ERROR", "Cannot deserialize instance of date", Rejected, Refused),
        (400, "SOMETHING_NEW", "no", Rejected, Refused),
        (410, "UNSUPPORTED_API_VERSION", "gone", Configuration, Refused),
        (414, "URI_TOO_LONG", "long", Bug, Refused),
        (500, "UNKNOWN_EXCEPTION", "An unexpected error occurred", Transient, Unknown),
        (503, "SERVER_UNAVAILABLE", "busy", Transient, Unknown),
        (500, "REQUEST_RUNNING_TOO_LONG", "slow", Transient, Unknown),
        (400, "UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access", Transient, Refused),
        (403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", Throttled, Refused),
    ] {
        let error = refused(Effect::Write, status, code, message).result.unwrap_err();
        assert_eq!((error.class, error.delivery), (class, delivery), "{code}: {message}");
        assert_eq!(error.code, code);
        assert!(error.message.contains(message), "{error}");
    }
    for (status, code, class) in
        [(400, "MALFORMED_QUERY", Configuration), (400, "JSON_PARSER_ERROR", Configuration)]
    {
        assert_eq!(refused(Effect::Read, status, code, "no").result.unwrap_err().class, class, "{code}");
    }
    let error = refused(Effect::Read, 503, "SERVER_UNAVAILABLE", "busy").result.unwrap_err();
    assert_eq!(error.delivery, Refused, "a read that is lost loses nothing");
}

#[test]
fn what_is_not_salesforces_json_goes_by_its_status() {
    for (status, class) in [
        (302, Class::Configuration),
        (400, Class::Bug),
        (404, Class::Configuration),
        (408, Class::Transient),
        (420, Class::Throttled),
        (502, Class::Transient),
    ] {
        let error =
            answered(Effect::Read, status, &[("Content-Type", "text/html")], "<html>").result.unwrap_err();
        assert_eq!(error.class, class, "{status}");
        assert!(error.message.contains("6 bytes of text/html"), "{error}");
    }
}

#[test]
fn the_three_refusals_that_share_a_code_are_told_apart_by_their_words() {
    for (message, seconds, is_day) in [
        ("TotalRequests Limit exceeded.", 15 * 60, true),
        ("Request limit exceeded", 15 * 60, true),
        ("ConcurrentRequests (Concurrent API Requests) Limit exceeded.", 10, false),
        ("ConcurrentPerOrgLongTxn Limit exceeded", 30, false),
    ] {
        let classified = refused(Effect::Write, 403, "REQUEST_LIMIT_EXCEEDED", message);
        let error = classified.result.unwrap_err();
        assert_eq!(error.class, Class::Throttled);
        assert_eq!(error.until.unwrap().as_second() - now().as_second(), seconds, "{message}");
        assert_eq!(classified.reach, Reach::Account);
        assert_eq!(classified.observation.cool_down_until, error.until);
        assert_eq!(classified.observation.day_spent, is_day, "{message}");
    }
}

#[test]
fn every_answer_tells_what_is_left_of_the_day() {
    for (info, told) in [
        ("api-usage=10018/100000", Some((89_982, 100_000))),
        ("api-usage=1/15000; per-app-api-usage=17/250(appName=Infill)", Some((14_999, 15_000))),
        ("per-app-api-usage=17/250(appName=Infill),api-usage=5/9", Some((4, 9))),
        ("api-usage=12/9", Some((0, 9))),
        ("api-usage=many", None),
        ("", None),
    ] {
        let seen = answered(Effect::Read, 200, &[("Sforce-Limit-Info", info)], "[]").observation;
        assert_eq!(seen.daily_remaining.zip(seen.daily_limit), told, "{info}");
    }
    let headers = [("Sforce-Limit-Info", "api-usage=9/9")];
    let body = r#"[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"TotalRequests Limit exceeded."}]"#;
    assert_eq!(answered(Effect::Read, 403, &headers, body).observation.daily_remaining, Some(0));
}

#[test]
fn a_row_goes_again_only_where_that_may_help() {
    for (errors, fate) in [
        (
            vec![(
                "UNABLE_TO_LOCK_ROW",
                "unable to obtain exclusive access to this record or 1 records: 001x",
            )],
            Fate::Again,
        ),
        (
            vec![(
                "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
                "T: execution of AfterUpdate caused by: UNABLE_TO_LOCK_ROW, unable to obtain exclusive access",
            )],
            Fate::Again,
        ),
        (
            vec![(
                "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
                "T: System.LimitException: Too many SOQL queries: 101",
            )],
            Fate::Again,
        ),
        (vec![("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "T: you may not")], Fate::Refused),
        (vec![("ALL_OR_NONE_OPERATION_ROLLED_BACK", "rolled back")], Fate::Again),
        (vec![("ENTITY_IS_LOCKED", "the record is in an approval")], Fate::Refused),
        (vec![("ENTITY_IS_DELETED", "entity is deleted")], Fate::Missing),
        (vec![("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")], Fate::Missing),
        (vec![("FIELD_CUSTOM_VALIDATION_EXCEPTION", "Say why."), ("UNABLE_TO_LOCK_ROW", "")], Fate::Refused),
        (vec![("DUPLICATES_DETECTED", "Use one of these records?")], Fate::Refused),
        (vec![], Fate::Refused),
    ] {
        let complaints: Vec<Complaint> = errors
            .iter()
            .map(|(code, message)| {
                serde_json::from_value(json!({"statusCode": code, "message": message, "fields": []})).unwrap()
            })
            .collect();
        assert_eq!(Fate::of(&complaints), fate, "{errors:?}");
    }
}

#[test]
fn a_refusal_keeps_every_error_and_names_the_field_when_it_is_one() {
    let complaints: Vec<Complaint> = serde_json::from_value(json!([
        {"statusCode": "STRING_TOO_LONG", "message": "Title: data value too large:\n  xyz (max length=128)", "fields": ["Title"]},
        {"statusCode": "FIELD_CUSTOM_VALIDATION_EXCEPTION", "message": "Say why.", "fields": []},
        {"statusCode": "FIELD_CUSTOM_VALIDATION_EXCEPTION", "message": "Say why."},
    ]))
    .unwrap();
    let refusal = refusal(&complaints);
    assert_eq!(refusal.code, "STRING_TOO_LONG");
    assert_eq!(refusal.message, "Salesforce: Title: data value too large: xyz (max length=128); Say why.");
    assert_eq!(refusal.property, Some("Title".into()));
}
