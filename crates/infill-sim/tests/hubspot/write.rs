//! Batch updates and single writes: what is refused, what is partial, what is silent.

use std::time::Duration;

use infill_sim::hubspot::{ApiVersion, Config, MultiStatus, Source};
use serde_json::{Value, json};

use super::wire::{A, B, C, World};

fn ten(config: &mut Config) {
    config.records = Source::Generate(10);
}

fn untraced(values: &[(u64, Value)]) -> Value {
    values.iter().map(|(id, properties)| json!({"id": id.to_string(), "properties": properties})).collect()
}

#[tokio::test]
async fn a_batch_echoes_what_was_sent_and_not_the_record() {
    let world = World::small().await;
    let reply = world.write("phone", &[(A, "+12125550100"), (B, "")]).await;
    assert_eq!((reply.status, reply.ids()), (200, vec![A, B]));
    let keys: Vec<String> = reply.result(A)["properties"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["createdate", "hs_object_id", "lastmodifieddate", "phone"]);
    assert_eq!(reply.result(B)["properties"]["phone"], Value::Null);
    assert_eq!(reply.json()["status"], "COMPLETE");
    assert_eq!(world.stored(A, "phone").as_deref(), Some("+12125550100"));
    assert_eq!(world.stored(B, "phone"), None);
}

#[tokio::test]
async fn one_bad_value_without_traces_refuses_the_whole_batch_and_names_no_record() {
    let world = World::small().await;
    let before = world.stored(A, "city");
    let bad = json!({"lifecyclestage": "Customer"});
    let reply = world.update(&untraced(&[(A, json!({"city": "Rome"})), (B, bad.clone()), (C, bad)])).await;
    let body = reply.json();
    assert_eq!((reply.status, &body["category"]), (400, &json!("VALIDATION_ERROR")));
    let message = body["message"].as_str().unwrap();
    let listed: Value =
        serde_json::from_str(message.strip_prefix("Property values were not valid: ").unwrap()).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert_eq!(listed[0]["error"], "INVALID_OPTION");
    assert_eq!(body["errors"][1]["context"]["propertyName"], json!(["lifecyclestage"]));
    assert!(!reply.text.contains(&B.to_string()));
    assert_eq!(reply.header("x-hubspot-correlation-id"), body["correlationId"].as_str());
    assert_eq!(world.stored(A, "city"), before);
    assert_eq!(world.control().ledger(), []);
}

#[tokio::test]
async fn one_bad_value_with_traces_is_an_error_entry_and_the_others_are_written() {
    for (multi_status, version, status) in [
        (MultiStatus::ByVersion, ApiVersion::V3, 207),
        (MultiStatus::ByVersion, ApiVersion::V2026_09, 200),
        (MultiStatus::Always207, ApiVersion::V2026_09, 207),
        (MultiStatus::Never207, ApiVersion::V3, 200),
    ] {
        let world = World::with(|config| {
            ten(config);
            config.api_version = version;
            config.switches.multi_status = multi_status;
        })
        .await;
        let reply = world.write("lifecyclestage", &[(A, "customer"), (B, "Customer")]).await;
        let body = reply.json();
        assert_eq!((reply.status, reply.ids(), &body["numErrors"]), (status, vec![A], &json!(1)));
        assert_eq!(body["errors"][0]["context"]["objectWriteTraceId"], json!([format!("row-{B}")]));
        assert_eq!(body["errors"][0]["errors"][0]["code"], "INVALID_OPTION");
    }
    let whole = World::with(|config| {
        ten(config);
        config.switches.traced_partial = false;
    })
    .await;
    assert_eq!(whole.write("lifecyclestage", &[(A, "customer"), (B, "Customer")]).await.status, 400);
    assert_eq!(whole.control().ledger(), []);
}

#[tokio::test]
async fn a_missing_record_is_an_error_entry_and_the_others_are_written() {
    let world = World::with(|config| {
        ten(config);
        config.switches.bare_batch_errors = true;
    })
    .await;
    let reply = world.write("city", &[(A, "Rome"), (5, "Rome")]).await;
    let error = reply.json()["errors"][0].clone();
    assert_eq!(reply.ids(), [A]);
    assert_eq!(error["context"], json!({"ids": ["5"], "objectWriteTraceId": ["row-5"]}));
    assert!(error.get("links").is_none() && error.get("errors").is_none());
}

#[tokio::test]
async fn unknown_and_read_only_properties_are_refused_with_their_code() {
    let world = World::small().await;
    for (name, code) in [
        ("phonee", "PROPERTY_DOESNT_EXIST"),
        ("hs_object_id", "READ_ONLY_VALUE"),
        ("hs_latest_source", "READ_ONLY_VALUE"),
    ] {
        let reply = world.update(&untraced(&[(A, json!({name: "1"}))])).await;
        assert_eq!((reply.status, &reply.json()["errors"][0]["code"]), (400, &json!(code)));
    }
}

#[tokio::test]
async fn an_id_twice_in_a_batch_refuses_it() {
    let world = World::small().await;
    let reply = world.write("city", &[(A, "Rome"), (B, "Rome"), (A, "Oslo")]).await;
    let body = reply.json();
    assert_eq!(reply.status, 400);
    assert_eq!(body["message"], "Duplicate IDs found in batch input: [100001]. IDs must be unique");
    assert_eq!(body["context"]["ids"], json!(["100001"]));
    assert_eq!(world.control().ledger(), []);
}

#[tokio::test]
async fn a_body_without_inputs_is_complete_and_does_nothing() {
    let world = World::small().await;
    for body in [json!({}), json!({"inputs": []}), json!({"records": [{"id": "1"}]})] {
        let reply = world.post("/crm/v3/objects/contacts/batch/update", &body).await;
        assert_eq!((reply.status, reply.ids(), &reply.json()["status"]), (200, vec![], &json!("COMPLETE")));
    }
    assert_eq!(world.control().ledger(), []);
}

#[tokio::test]
async fn a_batch_of_101_is_refused() {
    let world = World::with(|config| config.records = Source::Generate(101)).await;
    let ids = world.control().record_ids("contacts").unwrap();
    let all: Vec<(u64, &str)> = ids.iter().map(|id| (*id, "Rome")).collect();
    assert_eq!(world.write("city", &all).await.status, 400);
    let reply = world.write("city", &all[..100]).await;
    assert_eq!((reply.status, reply.ids().len()), (200, 100));
}

#[tokio::test]
async fn an_email_for_an_id_answers_success_and_changes_nothing() {
    let world = World::with(|_| {}).await;
    let inputs = json!([{"id": "maria.cantwell@congress.example", "properties": {"city": "Rome"}}]);
    let reply = world.update(&inputs).await;
    assert_eq!((reply.status, reply.ids()), (200, vec![]));
    assert_eq!(world.control().ledger(), []);
}

#[tokio::test]
async fn the_record_id_is_no_id_property() {
    let world = World::small().await;
    let reply = world
        .update(&json!([{"id": "100001", "idProperty": "hs_object_id", "properties": {"city": "Rome"}}]))
        .await;
    assert_eq!(reply.status, 400);
    let message =
        "Unable to perform update/upsert by non-unique 0-1 property hs_object_id in portal ID 424242";
    assert_eq!(reply.json()["message"], message);
}

#[tokio::test]
async fn a_merged_id_is_left_out_of_a_batch_and_written_to_the_survivor_alone() {
    let world = World::small().await;
    world.control().merge("contacts", A, B).unwrap();
    let reply = world.write("city", &[(B, "Rome"), (C, "Rome")]).await;
    assert_eq!((reply.status, reply.ids()), (200, vec![C]));
    assert!(reply.json().get("errors").is_none());
    let one = world
        .send("PATCH", &format!("/crm/v3/objects/contacts/{B}"), "{\"properties\":{\"city\":\"Oslo\"}}")
        .await;
    assert_eq!((one.status, &one.json()["id"]), (200, &json!(A.to_string())));
    assert_eq!(world.stored(A, "city").as_deref(), Some("Oslo"));
}

#[tokio::test]
async fn writing_the_value_that_is_there_leaves_updated_at_alone() {
    for (keeps, is_moved) in [(true, false), (false, true)] {
        let world = World::with(|config| {
            ten(config);
            config.switches.no_op_keeps_updated_at = keeps;
            config.switches.background_edits = false;
        })
        .await;
        let current = world.stored(A, "city").unwrap();
        let before = world.read(&[A], &[]).await.result(A)["updatedAt"].clone();
        let after = world.write("city", &[(A, &current)]).await.result(A)["updatedAt"].clone();
        assert_eq!(before != after, is_moved);
        let ledger = world.control().ledger();
        assert_eq!((ledger.len(), ledger[0].is_change()), (1, false));
        let history =
            world.get(&format!("/crm/v3/objects/contacts/{A}?propertiesWithHistory=city")).await.json();
        assert_eq!(history["propertiesWithHistory"]["city"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn hubspot_touches_a_record_some_seconds_after_a_write() {
    let world = World::small().await;
    let written = world.write("city", &[(A, "Rome")]).await.result(A)["updatedAt"].clone();
    world.control().advance_clock(Duration::from_secs(23));
    let later = world.read(&[A], &["city"]).await.result(A);
    assert!(later["updatedAt"].as_str() > written.as_str());
    assert_eq!(later["properties"]["city"], "Rome");
}

#[tokio::test]
async fn history_is_newest_first_and_tells_clients_from_people() {
    let world = World::small().await;
    let first = world.stored(A, "city").unwrap();
    world.write("city", &[(A, "Rome")]).await;
    world.control().edit("contacts", A, "city", "Oslo").unwrap();
    let record = world.get(&format!("/crm/v3/objects/contacts/{A}?propertiesWithHistory=city")).await.json();
    let history = record["propertiesWithHistory"]["city"].as_array().unwrap();
    let told: Vec<(&str, &str)> = history
        .iter()
        .map(|entry| (entry["value"].as_str().unwrap(), entry["sourceType"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("Oslo", "CRM_UI"), ("Rome", "INTEGRATION"), (first.as_str(), "IMPORT")]);
    assert_eq!(history[1]["sourceId"], "1000001");
}

#[tokio::test]
async fn a_write_moves_a_record_out_of_an_active_list_a_little_later() {
    let world = World::with(|config| {
        ten(config);
        config.list_lag = Duration::from_secs(600);
    })
    .await;
    world.write("hs_content_membership_notes", &[(A, "seen")]).await;
    assert!(world.control().members("43").unwrap().contains(&A));
    world.control().advance_clock(Duration::from_secs(601));
    assert_eq!(world.get("/crm/v3/lists/43/memberships").await.ids().len(), 9);
    world.write("hs_content_membership_notes", &[(A, "")]).await;
    world.control().advance_clock(Duration::from_secs(601));
    assert!(world.control().members("43").unwrap().contains(&A));
}

#[tokio::test]
async fn conditionally_required_properties_are_enforced_from_2026_09_on() {
    for (version, status) in [(ApiVersion::V2026_03, 200), (ApiVersion::V2026_09, 400)] {
        let world = World::with(|config| {
            ten(config);
            config.api_version = version;
        })
        .await;
        let reply = world.update(&untraced(&[(A, json!({"hs_lead_status": "UNQUALIFIED"}))])).await;
        assert_eq!(reply.status, status, "{}", reply.text);
        let both = json!({"hs_lead_status": "UNQUALIFIED", "unqualified_reason": "no budget"});
        assert_eq!(world.update(&untraced(&[(B, both)])).await.status, 200);
    }
}

#[tokio::test]
async fn an_email_that_another_contact_has_is_a_conflict() {
    let world = World::with(|_| {}).await;
    let taken = "maria.cantwell@congress.example";
    let whole = world.update(&untraced(&[(B, json!({"email": taken})), (C, json!({"city": "Rome"}))])).await;
    assert_eq!((whole.status, &whole.json()["category"]), (409, &json!("CONFLICT")));
    assert_eq!(whole.json()["message"], "Contact already exists. Existing ID: 100001");
    let traced = world.write("email", &[(B, taken), (C, "new@x.example")]).await;
    assert_eq!(traced.ids(), [C]);
    assert_eq!(traced.json()["errors"][0]["context"]["existingId"], json!(["100001"]));
    let made = world.post("/crm/v3/objects/contacts", &json!({"properties": {"email": taken}})).await;
    assert_eq!(made.status, 409);
}

#[tokio::test]
async fn records_are_made_alone_and_in_batches() {
    let world = World::small().await;
    let one = world.post("/crm/v3/objects/contacts", &json!({"properties": {"firstname": "Zoë"}})).await;
    assert_eq!((one.status, &one.json()["id"]), (201, &json!("100011")));
    let inputs = json!({"inputs": [
        {"properties": {"firstname": "A"}, "objectWriteTraceId": "a"},
        {"properties": {"nope": "B"}, "objectWriteTraceId": "b"},
    ]});
    let batch = world.post("/crm/v3/objects/contacts/batch/create", &inputs).await;
    assert_eq!((batch.status, batch.ids(), &batch.json()["numErrors"]), (201, vec![100_012], &json!(1)));
    let untraced = json!({"inputs": [{"properties": {"nope": "B"}}]});
    assert_eq!(world.post("/crm/v3/objects/contacts/batch/create", &untraced).await.status, 400);
}

#[tokio::test]
async fn a_contacts_primary_company_is_set_by_its_id() {
    let world = World::small().await;
    assert_eq!(world.write("associatedcompanyid", &[(A, "7000001")]).await.ids(), [A]);
    assert_eq!(world.stored(A, "associatedcompanyid").as_deref(), Some("7000001"));
}

#[tokio::test]
async fn malformed_json_is_refused_with_its_place() {
    let world = World::small().await;
    let reply =
        world.send("POST", "/crm/v3/objects/contacts/batch/update", "{\"inputs\":[\n{\"id\":}]}").await;
    assert_eq!(reply.status, 400);
    assert!(reply.json()["message"].as_str().unwrap().starts_with("Invalid input JSON on line 2, column "));
}

#[tokio::test]
async fn custom_objects_and_companies_are_written_alike() {
    let world = World::small().await;
    for (object, id, property) in [("2-3456789", "6000001", "visit_note"), ("companies", "7000001", "city")] {
        let body = json!({"inputs": [{"id": id, "properties": {property: "Rome"}}]});
        let reply = world.post(&format!("/crm/objects/2026-09/{object}/batch/update"), &body).await;
        assert_eq!((reply.status, reply.ids()), (200, vec![id.parse().unwrap()]));
        assert_eq!(
            world.control().value(object, id.parse().unwrap(), property).unwrap().as_deref(),
            Some("Rome")
        );
    }
}
