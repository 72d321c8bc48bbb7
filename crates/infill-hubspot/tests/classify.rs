//! Every error that HubSpot is known to answer with, one body per situation, and the class it has.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use infill_crm::Delivery;
use infill_crm::exchange::{Answer, Body, Classified, Effect, Method, Reach, Request};
use infill_crm::meter::Meter;
use infill_hubspot::classify::{classify, next_midnight};
use infill_model::{Class, Timestamp};
use jiff::tz::TimeZone;

/// The body of a situation.
macro_rules! body {
    ($name:literal) => {
        include_str!(concat!("fixtures/", $name, ".json"))
    };
}

fn now() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

fn request(effect: Effect, meter: Meter) -> Request {
    Request {
        operation: "batch",
        method: Method::Post,
        path: "/x".to_owned(),
        headers: Vec::new(),
        body: Body::Empty,
        meter,
        cost: 1,
        effect,
    }
}

fn answered(
    effect: Effect,
    meter: Meter,
    status: u16,
    headers: &[(&'static str, &str)],
    body: &str,
) -> Classified {
    let zone = TimeZone::get("US/Eastern").unwrap();
    classify(&request(effect, meter), Some(&zone), &Answer::of(status, headers, body.to_owned()), now())
}

fn written(status: u16, body: &str) -> infill_crm::Error {
    answered(Effect::Write, Meter::General, status, &[], body).result.unwrap_err()
}

#[test]
fn a_refused_write_is_the_rows_fault_unless_it_says_otherwise() {
    for (status, body, class, code, property) in [
        (400, body!("400_unknown_property"), Class::Configuration, "PROPERTY_DOESNT_EXIST", Some("frstname")),
        (400, body!("400_read_only"), Class::Configuration, "READ_ONLY_VALUE", Some("hs_lead_score")),
        (400, body!("400_invalid_option"), Class::Rejected, "INVALID_OPTION", Some("lifecyclestage")),
        (
            400,
            body!("400_invalid_option_simple_list"),
            Class::Rejected,
            "INVALID_OPTION",
            Some("lifecyclestage"),
        ),
        (400, body!("400_only_embedded_frames"), Class::Rejected, "INVALID_LONG", Some("numemployees")),
        (400, body!("400_bad_email"), Class::Rejected, "INVALID_EMAIL", Some("email")),
        (400, body!("400_bad_integer"), Class::Rejected, "INVALID_INTEGER", Some("age")),
        (400, body!("400_bad_number"), Class::Rejected, "INVALID_LONG", Some("numemployees")),
        (400, body!("400_bad_date"), Class::Rejected, "INVALID_DATE", Some("closedate")),
        (400, body!("400_admin_rule"), Class::Rejected, "INVALID_ALPHA", Some("department")),
        (400, body!("400_conditional_required"), Class::Rejected, "VALIDATION_ERROR", None),
        (400, body!("400_duplicate_ids"), Class::Rejected, "VALIDATION_ERROR", None),
        (400, body!("400_malformed_json"), Class::Bug, "malformed_request", None),
        (400, body!("400_unknown_object_type"), Class::Configuration, "unknown_object", None),
        (400, "<html>Bad Request</html>", Class::Bug, "http_400", None),
        (409, body!("409_contact_exists"), Class::Rejected, "CONFLICT", None),
        (404, body!("404_resource_not_found"), Class::Gone, "http_404", None),
        (404, body!("404_object_not_found"), Class::Gone, "OBJECT_NOT_FOUND", None),
        (404, "<html>Not Found</html>", Class::Configuration, "no_such_address", None),
        (401, body!("401_invalid_authentication"), Class::Unauthorized, "INVALID_AUTHENTICATION", None),
        (401, body!("401_expired_authentication"), Class::Unauthorized, "EXPIRED_AUTHENTICATION", None),
        (530, "<html>Cloudflare</html>", Class::Unauthorized, "malformed_token", None),
        (403, body!("403_missing_scopes"), Class::Configuration, "MISSING_SCOPES", None),
        (403, body!("403_missing_scopes_older_form"), Class::Configuration, "MISSING_SCOPES", None),
        (414, "<html>URI Too Long</html>", Class::Bug, "http_414", None),
        (302, "", Class::Configuration, "redirect", None),
    ] {
        let error = written(status, body);
        let seen = (error.class, error.code.as_str(), error.property.as_deref());
        assert_eq!(seen, (class, code, property), "{status} {body}");
        assert_eq!(error.delivery, Delivery::Refused, "{status} {body}");
        assert_eq!(error.status, Some(status));
        assert_eq!(error.until, None, "{status} {body}");
    }
}

#[test]
fn hubspots_words_property_and_correlation_id_are_kept() {
    let error = written(400, body!("400_invalid_option"));
    assert!(
        error.message.starts_with("HubSpot: leed was not one of the allowed options: [label: \"Lead\""),
        "{error}"
    );
    assert_eq!(error.correlation_id.as_deref(), Some("b1f3a1c2-0001-4c3e-9a55-000000000001"));

    let headers = [("X-HubSpot-Correlation-Id", "from-the-header"), ("Content-Type", "text/html")];
    let error = answered(Effect::Write, Meter::General, 400, &headers, "<html>").result.unwrap_err();
    assert_eq!(error.correlation_id.as_deref(), Some("from-the-header"));
    assert_eq!(error.message, "HubSpot answered 400 to batch with 6 bytes of text/html in place of its JSON");
}

#[test]
fn missing_scopes_are_named_in_both_forms() {
    let error = written(403, body!("403_missing_scopes"));
    assert!(
        error.message.ends_with("give the token one of the scopes crm.objects.contacts.write"),
        "{error}"
    );
    let error = written(403, body!("403_missing_scopes_older_form"));
    assert!(error.message.ends_with("crm.lists.read, crm.objects.contacts.read"), "{error}");
}

#[test]
fn the_same_refusal_of_a_read_is_the_plans_fault() {
    for (status, body, class) in [
        (400, body!("400_list_object_type_not_readable"), Class::Configuration),
        (400, body!("400_conditional_required"), Class::Configuration),
        (409, body!("409_contact_exists"), Class::Conflict),
    ] {
        let error = answered(Effect::Read, Meter::General, status, &[], body).result.unwrap_err();
        assert_eq!(error.class, class, "{body}");
    }
    let error = answered(Effect::Read, Meter::General, 400, &[], body!("400_list_object_type_not_readable"));
    assert_eq!(error.result.unwrap_err().code, "ListError.INVALID_OBJECT_TYPE_FOR_LIST");
}

#[test]
fn a_failure_of_hubspots_own_may_have_written() {
    for status in [500, 502, 503, 504, 521, 523, 524] {
        let error = written(status, "<html>");
        assert_eq!((error.class, error.delivery), (Class::Transient, Delivery::Unknown), "{status}");
        assert_eq!(error.until, Some("2026-11-20T12:00:03Z".parse().unwrap()), "a few seconds");
        let read = answered(Effect::Read, Meter::General, status, &[], "").result.unwrap_err();
        assert_eq!(read.delivery, Delivery::Refused, "a read leaves nothing behind");
    }
    assert_eq!(written(408, "").delivery, Delivery::Unknown);
    let told = answered(Effect::Write, Meter::General, 503, &[("Retry-After", "60")], "").result.unwrap_err();
    assert_eq!(told.until, Some("2026-11-20T12:01:00Z".parse().unwrap()));
}

#[test]
fn a_locked_record_is_left_alone_for_two_seconds_and_the_connection_goes_on() {
    let locked = answered(Effect::Write, Meter::General, 423, &[], body!("423_locked"));
    assert_eq!(locked.observation.cool_down_until, None);
    let error = locked.result.unwrap_err();
    assert_eq!((error.class, error.delivery), (Class::Transient, Delivery::Refused));
    assert_eq!(error.until, Some("2026-11-20T12:00:02Z".parse().unwrap()));
}

#[test]
fn a_limit_cools_down_what_it_limits_for_as_long_as_its_policy_says() {
    let daily = body!("429_daily");
    let ten_secondly = body!("429_ten_secondly");
    let secondly = body!("429_search_secondly");
    // The account is in New York, where the day ends at five in the morning UTC.
    for (meter, status, headers, body, until, reach, day_spent) in [
        (Meter::General, 429, &[][..], daily, "2026-11-21T05:00:00Z", Reach::Account, true),
        (Meter::Search, 429, &[], daily, "2026-11-21T05:00:00Z", Reach::Account, true),
        (Meter::General, 429, &[], ten_secondly, "2026-11-20T12:00:10Z", Reach::Meter, false),
        (
            Meter::General,
            429,
            &[("Retry-After", "3")],
            ten_secondly,
            "2026-11-20T12:00:03Z",
            Reach::Meter,
            false,
        ),
        (Meter::Search, 429, &[], secondly, "2026-11-20T12:00:01Z", Reach::Meter, false),
        (Meter::General, 429, &[], "", "2026-11-20T12:00:10Z", Reach::Meter, false),
        (Meter::General, 477, &[("Retry-After", "7200")], "", "2026-11-20T14:00:00Z", Reach::Account, false),
        (Meter::General, 477, &[], "", "2026-11-21T12:00:00Z", Reach::Account, false),
        (
            Meter::General,
            477,
            &[("Retry-After", "999999")],
            "",
            "2026-11-21T12:00:00Z",
            Reach::Account,
            false,
        ),
    ] {
        let classified = answered(Effect::Write, meter, status, headers, body);
        let until: Timestamp = until.parse().unwrap();
        assert_eq!(classified.observation.cool_down_until, Some(until), "{status} {body}");
        assert_eq!(classified.observation.day_spent, day_spent, "{body}");
        assert_eq!(classified.reach, reach, "{body}");
        let error = classified.result.unwrap_err();
        assert_eq!((error.class, error.until), (Class::Throttled, Some(until)), "{body}");
        assert_eq!(error.delivery, Delivery::Refused);
    }
}

#[test]
fn without_a_time_zone_the_day_is_asked_for_again_in_an_hour() {
    let answer = Answer::of(429, &[], body!("429_daily"));
    let classified = classify(&request(Effect::Read, Meter::General), None, &answer, now());
    assert!(classified.observation.day_spent);
    assert_eq!(classified.observation.cool_down_until, Some("2026-11-20T13:00:00Z".parse().unwrap()));
}

#[test]
fn midnight_is_the_accounts_own_across_a_change_of_clocks() {
    let zone = TimeZone::get("America/Sao_Paulo").unwrap();
    // In 2018 the clocks went forward at midnight there: the day began at one.
    let before: Timestamp = "2018-11-03T20:00:00Z".parse().unwrap();
    assert_eq!(next_midnight(before, &zone), Some("2018-11-04T03:00:00Z".parse().unwrap()));
}

#[test]
fn what_is_left_of_the_day_is_observed_on_every_answer() {
    let headers =
        [("X-HubSpot-RateLimit-Daily", "250000"), ("X-HubSpot-RateLimit-Daily-Remaining", "249000")];
    let good = answered(Effect::Read, Meter::General, 207, &headers, "{}");
    assert!(good.result.is_ok());
    assert_eq!(
        (good.observation.daily_limit, good.observation.daily_remaining),
        (Some(250_000), Some(249_000))
    );
}
