//! Which rows an answer to a batch update is about: rows 101, 102 and 103 were sent.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use infill_crm::exchange::{Answer, Body, Effect, Method, Request};
use infill_crm::meter::Meter;
use infill_crm::{Error, Update};
use infill_hubspot::blame::{name_records, settle};
use infill_hubspot::classify::{Complaint, classify};
use infill_hubspot::response::BatchUpdated;
use infill_model::{Class, Properties, RecordId, Value};
use serde_json::json;

/// The body of a situation.
macro_rules! body {
    ($name:literal) => {
        include_str!(concat!("fixtures/", $name, ".json"))
    };
}

fn update(record: &str, property: &str, value: Value) -> Update {
    Update { record: record.into(), properties: Properties::from([(property.into(), value)]) }
}

fn three(property: &str, values: [&str; 3]) -> Vec<Update> {
    ["101", "102", "103"]
        .into_iter()
        .zip(values)
        .map(|(id, value)| update(id, property, json!(value)))
        .collect()
}

fn settled(updates: &[Update], body: &str) -> infill_hubspot::blame::Settled {
    settle(updates, &serde_json::from_str::<BatchUpdated<'_>>(body).unwrap())
}

fn refused(updates: &[Update], status: u16, body: &str) -> Error {
    let request = Request {
        operation: "batch_update",
        method: Method::Post,
        path: String::new(),
        headers: Vec::new(),
        body: Body::Empty,
        meter: Meter::General,
        cost: 1,
        effect: Effect::Write,
    };
    let answer = Answer::of(status, &[], body.to_owned());
    let now = "2026-11-20T12:00:00Z".parse().unwrap();
    let mut error = classify(&request, None, &answer, now).result.unwrap_err();
    name_records(&mut error, updates, &Complaint::read(answer.body.as_ref()).unwrap());
    error
}

fn ids(records: &[RecordId]) -> Vec<&str> {
    records.iter().map(RecordId::as_str).collect()
}

#[test]
fn results_are_matched_by_id_in_any_order_and_errors_by_trace() {
    let settled = settled(
        &three("lifecyclestage", ["lead", "leed", "lead"]),
        body!("batch_update_207_one_invalid_option"),
    );
    assert_eq!(ids(&settled.confirmed), ["103", "101"]);
    let [(record, refusal)] = settled.refused.as_slice() else { panic!("one is refused: {settled:?}") };
    assert_eq!(record.as_str(), "102");
    assert_eq!(
        (refusal.code.as_str(), refusal.property.as_ref().unwrap().as_str()),
        ("INVALID_OPTION", "lifecyclestage")
    );
    assert!(refusal.message.contains("leed was not one of the allowed options"));
}

#[test]
fn errors_count_under_an_ordinary_200_too() {
    let settled =
        settled(&three("phone", ["1", "2", "3"]), body!("batch_update_200_errors_in_the_ordinary_answer"));
    assert_eq!(ids(&settled.confirmed), ["101"]);
    assert_eq!(ids(&settled.missing), ["102"]);
    assert_eq!(settled.refused.len(), 1);
    assert_eq!((settled.refused[0].0.as_str(), settled.refused[0].1.code.as_str()), ("103", "CONFLICT"));
}

#[test]
fn an_id_in_neither_is_left_out_and_a_stranger_confirms_nobody() {
    let settled = settled(&three("phone", ["1", "2", "3"]), body!("batch_update_200_merged_id_left_out"));
    assert_eq!(ids(&settled.confirmed), ["103", "101"]);
    assert!(settled.refused.is_empty() && settled.missing.is_empty(), "102 is unconfirmed: {settled:?}");
}

#[test]
fn a_2xx_with_nothing_done_confirms_nothing() {
    let settled = settled(&three("phone", ["1", "2", "3"]), body!("batch_update_200_nothing_done"));
    assert_eq!(settled, infill_hubspot::blame::Settled::default());
}

#[test]
fn an_error_without_ids_is_pinned_on_nobody_unless_there_is_only_one() {
    let body = body!("batch_update_207_error_without_ids");
    let of_three = settled(&three("phone", ["1", "2", "3"]), body);
    assert_eq!((ids(&of_three.confirmed), of_three.refused.len()), (vec!["101"], 0));
    let alone = settled(&[update("102", "phone", json!("2"))], body);
    assert_eq!(alone.refused.len(), 1);
}

#[test]
fn an_internal_error_says_nothing_against_its_row() {
    let settled = settled(&three("phone", ["1", "2", "3"]), body!("batch_update_207_internal_error_of_one"));
    assert_eq!(ids(&settled.confirmed), ["101", "103"]);
    assert!(settled.refused.is_empty() && settled.missing.is_empty());
}

#[test]
fn a_whole_refusal_names_the_row_with_the_offending_value() {
    let error = refused(&three("lifecyclestage", ["lead", "lead", "leed"]), 400, body!("400_invalid_option"));
    assert_eq!((error.class, ids(&error.records)), (Class::Rejected, vec!["103"]));
    let error = refused(&three("email", ["a@b.c", "nobody@", "c@d.e"]), 400, body!("400_bad_email"));
    assert_eq!(ids(&error.records), ["102"]);
    let error = refused(&three("numemployees", ["5", "asd000", "7"]), 400, body!("400_only_embedded_frames"));
    assert_eq!(ids(&error.records), ["102"]);
}

#[test]
fn an_offending_value_is_said_once_a_row_and_one_that_more_rows_carry_blames_nobody() {
    let sent = three("lifecyclestage", ["leed", "lead", "leed"]);
    let said_once = refused(&sent, 400, body!("400_invalid_option"));
    assert_eq!((said_once.class, ids(&said_once.records)), (Class::Rejected, vec![]));
    let problem = json!({"code": "INVALID_OPTION", "message": "leed was not one of the allowed options: []",
        "context": {"propertyName": ["lifecyclestage"]}});
    let body = json!({"status": "error", "category": "VALIDATION_ERROR", "errors": [problem, problem]});
    let said_twice = refused(&sent, 400, &body.to_string());
    assert_eq!(ids(&said_twice.records), ["101", "103"]);
}

#[test]
fn of_two_values_that_fit_the_longer_is_meant() {
    let body = json!({
        "status": "error", "category": "VALIDATION_ERROR", "message": "no",
        "errors": [{"code": "INVALID_OPTION", "message": "a was not b was not one of the allowed options: []",
                    "context": {"propertyName": ["x"]}}],
    });
    let error = refused(&three("x", ["a", "a was not b", "c"]), 400, &body.to_string());
    assert_eq!(ids(&error.records), ["102"]);
}

#[test]
fn a_whole_refusal_that_names_nobody_is_left_to_halving() {
    // All three wrote the property, and the message does not repeat the value.
    let error = refused(&three("department", ["a1", "b2", "c3"]), 400, body!("400_admin_rule"));
    assert_eq!((error.class, error.records.len()), (Class::Rejected, 0));
    // A required property is missing from a row that is not the one which sent it.
    let mut updates = three("dealstage", ["closedlost", "open", "open"]);
    updates.push(update("104", "close_reason", json!("price")));
    let error = refused(&updates, 400, body!("400_conditional_required"));
    assert!(error.records.is_empty());
    let error = refused(&three("email", ["a@b.c", "b@c.d", "c@d.e"]), 409, body!("409_contact_exists"));
    assert!(error.records.is_empty());
}

#[test]
fn a_row_that_stands_alone_is_the_guilty_one() {
    for (status, body) in [(409, body!("409_contact_exists")), (400, body!("400_admin_rule"))] {
        let error = refused(&[update("102", "department", json!("b2"))], status, body);
        assert_eq!(ids(&error.records), ["102"]);
    }
    // Nobody else wrote the property that holds an invalid value.
    let updates = [update("101", "phone", json!("1")), update("102", "department", json!("b2"))];
    assert_eq!(ids(&refused(&updates, 400, body!("400_admin_rule")).records), ["102"]);
}

#[test]
fn ids_in_the_context_are_taken_at_their_word() {
    let updates = three("phone", ["1", "2", "3"]);
    assert_eq!(ids(&refused(&updates, 400, body!("400_duplicate_ids")).records), ["102"]);
    let error = refused(&updates, 404, body!("404_object_not_found"));
    assert_eq!((error.class, ids(&error.records)), (Class::Gone, vec!["101", "103"]));
}

#[test]
fn a_fault_of_the_plan_names_no_row() {
    let error = refused(&three("frstname", ["a", "b", "c"]), 400, body!("400_unknown_property"));
    assert_eq!((error.class, error.records.len()), (Class::Configuration, 0));
}
