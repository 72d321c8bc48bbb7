//! Every fault, struck and missed.

use infill_sim::hubspot::{Fault, FaultKind, Faults, Operation};
use serde_json::json;

use super::wire::{A, B, C, World};

async fn struck_by(spec: &str) -> World {
    let world = World::small().await;
    world.control().set_faults(spec.parse().unwrap());
    world
}

#[tokio::test]
async fn a_status_before_the_commit_writes_nothing() {
    for (status, is_html) in [
        (423, false),
        (477, false),
        (500, false),
        (502, true),
        (503, true),
        (504, true),
        (524, true),
        (414, true),
        (401, false),
    ] {
        let world = struck_by(&format!("{status},op=batch-update,count=1,seconds=7")).await;
        let reply = world.write("city", &[(A, "Rome")]).await;
        assert_eq!(reply.status, status);
        assert_eq!(reply.header("content-type").unwrap().starts_with("text/html"), is_html);
        assert_eq!(reply.header("retry-after"), (status == 477).then_some("7"));
        assert_eq!(world.control().ledger(), []);
        assert_eq!(world.read(&[A], &[]).await.status, 200);
        assert_eq!(world.write("city", &[(A, "Rome")]).await.status, 200);
    }
}

#[tokio::test]
async fn a_storm_of_429_names_its_policy_and_ends() {
    let world = struck_by("429,count=2;429,policy=daily,op=properties").await;
    for _ in 0..2 {
        let reply = world.get("/crm/v3/lists/42").await;
        assert_eq!((reply.status, &reply.json()["policyName"]), (429, &json!("TEN_SECONDLY_ROLLING")));
    }
    assert_eq!(world.get("/crm/v3/lists/42").await.status, 200);
    assert_eq!(world.get("/crm/v3/properties/contacts").await.json()["policyName"], "DAILY");
    assert_eq!(world.control().report().refused["ten-secondly"], 2);
}

#[tokio::test]
async fn a_lost_answer_is_committed() {
    let world = struck_by("lost-504,op=batch-update,count=1").await;
    assert_eq!(world.write("city", &[(A, "Rome")]).await.status, 504);
    assert_eq!(world.stored(A, "city").as_deref(), Some("Rome"));
    assert_eq!(world.control().ledger().len(), 1);
}

#[tokio::test]
async fn a_reset_gives_no_answer_before_or_after_the_commit() {
    for (spec, n_written) in [("reset,op=batch-update,count=1", 0), ("lost-reset,op=batch-update,count=1", 1)]
    {
        let world = struck_by(spec).await;
        let body = json!({"inputs": [{"id": A.to_string(), "properties": {"city": "Rome"}}]}).to_string();
        assert!(world.try_send("POST", "/crm/v3/objects/contacts/batch/update", &body).await.is_err());
        assert_eq!(world.control().ledger().len(), n_written, "{spec}");
        assert_eq!(world.control().report().calls(Operation::BatchUpdate).reset, 1);
        assert_eq!(world.write("city", &[(A, "Rome")]).await.status, 200);
    }
}

#[tokio::test]
async fn a_malformed_answer_is_cut_off_json_of_a_committed_call() {
    let world = struck_by("malformed,op=batch-update").await;
    let reply = world.write("city", &[(A, "Rome")]).await;
    assert_eq!(reply.status, 200);
    assert!(serde_json::from_str::<serde_json::Value>(&reply.text).is_err());
    assert_eq!(world.control().ledger().len(), 1);
}

#[tokio::test]
async fn a_no_op_answers_success_and_does_nothing() {
    let world = struck_by("no-op,op=batch-update,count=1").await;
    let reply = world.write("city", &[(A, "Rome")]).await;
    assert_eq!((reply.status, reply.ids(), &reply.json()["status"]), (200, vec![], &json!("COMPLETE")));
    assert_eq!(world.control().ledger(), []);
}

#[tokio::test]
async fn an_omitted_record_is_in_neither_results_nor_errors_and_is_not_written() {
    let world = struck_by(&format!("omit,record={B},op=batch-update")).await;
    let reply = world.write("city", &[(A, "Rome"), (B, "Rome")]).await;
    assert_eq!((reply.status, reply.ids()), (200, vec![A]));
    assert!(reply.json().get("errors").is_none());
    assert_eq!(world.control().writes_per_record("contacts").unwrap().into_keys().collect::<Vec<_>>(), [A]);
    assert_eq!(world.read(&[A, B], &[]).await.ids(), [A, B]);
}

#[tokio::test]
async fn a_missing_record_is_reported_in_reads_and_writes() {
    let world = struck_by(&format!("missing,record={B}")).await;
    for reply in [world.read(&[A, B], &[]).await, world.write("city", &[(A, "Rome"), (B, "Rome")]).await] {
        assert_eq!(reply.ids(), [A]);
        assert_eq!(reply.json()["errors"][0]["context"]["ids"], json!([B.to_string()]));
    }
    assert_eq!(world.get(&format!("/crm/v3/objects/contacts/{B}")).await.status, 404);
}

#[tokio::test]
async fn a_bad_row_sinks_its_batch_without_being_named_or_is_one_error_entry() {
    let world = struck_by(&format!("bad-row,record={B},answer=whole")).await;
    let whole = world.write("city", &[(A, "Rome"), (B, "Rome"), (C, "Rome")]).await;
    assert_eq!(whole.status, 400);
    assert!(!whole.text.contains(&B.to_string()));
    assert_eq!(world.control().ledger(), []);
    assert_eq!(world.write("city", &[(A, "Rome"), (C, "Rome")]).await.status, 200);
    assert_eq!(world.write("city", &[(B, "Rome")]).await.status, 400);
    world.control().set_faults("bad-row,property=city,sent=Oslo".parse().unwrap());
    let partial = world.write("city", &[(A, "Oslo"), (C, "Bonn")]).await;
    assert_eq!((partial.ids(), &partial.json()["numErrors"]), (vec![C], &json!(1)));
}

#[tokio::test]
async fn a_value_that_is_stored_differently_is_read_back_differently() {
    let world = struck_by("differs,property=phone,value=(212) 555-0100").await;
    let inputs = json!([{"id": A.to_string(), "properties": {"phone": "+12125550100", "city": "Rome"}}]);
    world.update(&inputs).await;
    let read = world.read(&[A], &["phone", "city"]).await.result(A);
    assert_eq!(read["properties"]["phone"], "(212) 555-0100");
    assert_eq!(read["properties"]["city"], "Rome");
    let stored: Vec<Option<String>> =
        world.control().ledger().iter().map(|write| write.new.as_deref().map(str::to_owned)).collect();
    assert!(stored.contains(&Some("(212) 555-0100".to_owned())));
    world.control().set_faults(Faults::from(Fault::new(FaultKind::Differs(None)).record(B)));
    world.write("city", &[(B, "Rome"), (C, "Rome")]).await;
    assert_eq!(world.stored(B, "city").as_deref(), Some("Rome (changed)"));
    assert_eq!(world.stored(C, "city").as_deref(), Some("Rome"));
}

#[tokio::test]
async fn a_list_is_processing_for_some_looks_and_shows_half_of_its_members() {
    let world = struck_by("processing,list=42,looks=2").await;
    for (status, size) in [("PROCESSING", 5), ("PROCESSING", 10), ("COMPLETE", 10)] {
        assert_eq!(world.get("/crm/v3/lists/42").await.json()["list"]["processingStatus"], status);
        assert_eq!(world.get("/crm/v3/lists/42/memberships").await.ids().len(), size);
    }
    assert_eq!(world.get("/crm/v3/lists/44").await.json()["list"]["processingStatus"], "COMPLETE");
}

#[tokio::test]
async fn a_written_record_leaves_the_list_at_once() {
    let world = struck_by("leave,list=42").await;
    world.write("city", &[(A, "Rome")]).await;
    assert!(!world.control().members("42").unwrap().contains(&A));
    assert!(world.control().members("44").unwrap().contains(&A));
}

#[tokio::test]
async fn a_property_is_gone_after_some_calls() {
    let world = struck_by("property-gone,property=city,after=2").await;
    for _ in 0..2 {
        assert!(world.read(&[A], &["city"]).await.result(A)["properties"].get("city").is_some());
    }
    assert!(world.read(&[A], &["city"]).await.result(A)["properties"].get("city").is_none());
    let refused = world.update(&json!([{"id": A.to_string(), "properties": {"city": "Rome"}}])).await;
    assert_eq!(
        (refused.status, &refused.json()["errors"][0]["code"]),
        (400, &json!("PROPERTY_DOESNT_EXIST"))
    );
}

#[tokio::test]
async fn a_fault_on_a_record_strikes_the_calls_that_name_it() {
    let world = struck_by(&format!("503,record={B}")).await;
    assert_eq!(world.read(&[A], &[]).await.status, 200);
    assert_eq!(world.read(&[A, B], &[]).await.status, 503);
    assert_eq!(world.get(&format!("/crm/v3/objects/contacts/{B}")).await.status, 503);
}

#[tokio::test]
async fn chance_is_the_same_for_the_same_seed() {
    let mut runs = Vec::new();
    for seed in [1, 1, 2] {
        let world = World::with(|config| {
            config.seed = seed;
            config.faults = "500,p=0.5,op=list-get".parse().unwrap();
        })
        .await;
        let mut statuses = Vec::new();
        for _ in 0..24 {
            statuses.push(world.get("/crm/v3/lists/42").await.status);
        }
        runs.push(statuses);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
    assert!(runs[0].contains(&500) && runs[0].contains(&200));
}
