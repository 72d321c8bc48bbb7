//! Bulk API 2.0 jobs.

use std::time::Duration;

use infill_sim::salesforce::{Bulk, Config, DuplicateAction, DuplicateRule, Pace, Source};
use serde_json::{Value, json};

use super::wire::{Reply, World, text};

fn jobs(n: usize, adjust: impl FnOnce(&mut Config)) -> impl FnOnce(&mut Config) {
    move |config| {
        config.records = Source::Generate(n);
        adjust(config);
    }
}

async fn create(world: &World, extra: Value) -> String {
    let mut body =
        json!({"object": "Account", "operation": "update", "contentType": "CSV", "lineEnding": "LF"});
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let made = world.post("/jobs/ingest", &body).await;
    assert_eq!(made.status, 200, "{}", made.text);
    text(&made.json()["id"])
}

async fn upload(world: &World, id: &str, csv: &str) -> Reply {
    world
        .try_call("PUT", &format!("/jobs/ingest/{id}/batches"), &[("content-type", "text/csv")], csv)
        .await
        .unwrap()
}

async fn set_state(world: &World, id: &str, state: &str) -> Reply {
    world.patch(&format!("/jobs/ingest/{id}"), &json!({"state": state})).await
}

async fn info(world: &World, id: &str) -> Value {
    world.get(&format!("/jobs/ingest/{id}")).await.json()
}

/// Runs a job until it has ended, and returns its info.
async fn run(world: &World, csv: &str, extra: Value) -> (String, Value) {
    let id = create(world, extra).await;
    assert_eq!(upload(world, &id, csv).await.status, 201);
    assert_eq!(set_state(world, &id, "UploadComplete").await.status, 200);
    for _ in 0..20 {
        let told = info(world, &id).await;
        if ["JobComplete", "Failed", "Aborted"].contains(&told["state"].as_str().unwrap()) {
            return (id, told);
        }
    }
    panic!("the job does not end");
}

async fn results(world: &World, id: &str, which: &str) -> Vec<String> {
    let reply = world.get(&format!("/jobs/ingest/{id}/{which}")).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_job_goes_through_its_states() {
    let world = World::with(jobs(3, |_| ())).await;
    let id = create(&world, json!({})).await;
    let made = info(&world, &id).await;
    assert_eq!((&made["state"], &made["concurrencyMode"]), (&json!("Open"), &json!("Parallel")));
    assert_eq!(made["contentUrl"], json!(format!("services/data/v68.0/jobs/ingest/{id}/batches")));
    assert_eq!(
        world.get(&format!("/jobs/ingest/{id}/successfulResults")).await.refusal().1,
        "INVALIDJOBSTATE"
    );
    let csv = format!("Id,Site\n{},x\n", world.ids("Account")[0]);
    assert_eq!(upload(&world, &id, &csv).await.status, 201);
    assert_eq!(upload(&world, &id, &csv).await.refusal(), (400, "CLIENTINPUTERROR".to_owned()));
    assert_eq!(info(&world, &id).await["state"], "Open");
    assert_eq!(set_state(&world, &id, "UploadComplete").await.json()["state"], "UploadComplete");
    assert_eq!(info(&world, &id).await["state"], "InProgress");
    let done = info(&world, &id).await;
    assert_eq!(
        (&done["state"], &done["numberRecordsProcessed"], &done["numberRecordsFailed"]),
        (&json!("JobComplete"), &json!(1), &json!(0))
    );
    assert_eq!(world.stored("Account", &world.ids("Account")[0], "Site").as_deref(), Some("x"));
    assert_eq!(set_state(&world, &id, "Aborted").await.refusal().1, "INVALIDJOBSTATE");
    assert_eq!(world.get("/jobs/ingest").await.json()["records"].as_array().unwrap().len(), 1);
    assert_eq!(world.call("DELETE", &format!("/jobs/ingest/{id}"), &[], &Value::Null).await.status, 204);
    assert_eq!(world.get(&format!("/jobs/ingest/{id}")).await.status, 404);
}

#[tokio::test]
async fn results_are_shuffled_quoted_and_rendered_anew() {
    let world = World::with(jobs(50, |_| ())).await;
    let ids = world.ids("Account");
    let rows: String =
        ids.iter().enumerate().map(|(at, id)| format!("{id},{at},\"a \"\"b\"\"\"\n")).collect();
    let (id, told) = run(&world, &format!("Id,Score__c,Site\n{rows}"), json!({})).await;
    assert_eq!((&told["state"], &told["numberRecordsProcessed"]), (&json!("JobComplete"), &json!(50)));
    let lines = results(&world, &id, "successfulResults").await;
    assert_eq!(lines[0], "\"sf__Id\",\"sf__Created\",\"Id\",\"Score__c\",\"Site\"");
    let told_ids: Vec<String> =
        lines[1..].iter().map(|line| line.split('"').nth(1).unwrap().to_owned()).collect();
    assert_ne!(told_ids, ids);
    let mut sorted = told_ids.clone();
    sorted.sort_unstable();
    let mut wanted = ids.clone();
    wanted.sort_unstable();
    assert_eq!(sorted, wanted);
    let third = lines.iter().find(|line| line.starts_with(&format!("\"{}\"", ids[3]))).unwrap();
    assert_eq!(*third, format!("\"{0}\",\"false\",\"{0}\",\"3.0\",\"a \"\"b\"\"\"", ids[3]));
    assert_eq!(results(&world, &id, "failedResults").await.len(), 1);
    assert_eq!(results(&world, &id, "unprocessedrecords").await, ["\"Id\",\"Score__c\",\"Site\""]);
}

#[tokio::test]
async fn an_empty_cell_leaves_and_a_mark_clears() {
    let world = World::with(jobs(3, |_| ())).await;
    let ids = world.ids("Account");
    for id in &ids {
        world.control().edit("Account", id, "Site", "old").unwrap();
    }
    let csv = format!("Id,Site,Name\n{},,\n{},#N/A,\n{}, new ,\n", ids[0], ids[1], ids[2]);
    run(&world, &csv, json!({})).await;
    let stored: Vec<Option<String>> = ids.iter().map(|id| world.stored("Account", id, "Site")).collect();
    assert_eq!(stored, [Some("old".to_owned()), None, Some("new".to_owned())]);
    assert!(world.stored("Account", &ids[0], "Name").is_some());
}

#[tokio::test]
async fn failed_rows_tell_code_message_and_fields() {
    let world = World::with(jobs(6, |config| {
        config.automation.duplicate_rules = vec![DuplicateRule {
            object: "Account".to_owned(),
            field: "Site".to_owned(),
            action: DuplicateAction::Alert,
        }];
    }))
    .await;
    let ids = world.ids("Account");
    world.control().edit("Account", &ids[5], "Site", "taken").unwrap();
    let csv = format!(
        "Id,Verified_On__c,Segment__c,Site\n{},soon,,\n{},2026-01-31,Huge,\n,,,x\n{},,,y\n{}, \"x\",,\n{},,,Taken\n",
        ids[0], ids[1], ids[2], ids[3], ids[4]
    );
    let (id, told) = run(&world, &csv, json!({})).await;
    assert_eq!(
        (&told["state"], &told["numberRecordsFailed"], &told["numberRecordsProcessed"]),
        (&json!("JobComplete"), &json!(5), &json!(6))
    );
    let failed = results(&world, &id, "failedResults").await.join("\n");
    assert!(failed.starts_with("\"sf__Id\",\"sf__Error\",\"Id\""));
    for error in [
        "INVALID_FIELD:Failed to deserialize field at col 1. Due to, 'soon' is not a valid value for the type xsd:date:Verified_On__c --",
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST:Segment: bad value for restricted picklist field: Huge:Segment__c --",
        "MISSING_ARGUMENT:Id not specified in an update call:Id --",
        "DUPLICATES_DETECTED:Use one of these records?: --",
        "INVALID_FIELD:Failed to parse CSV.",
    ] {
        assert!(failed.contains(error), "{error} is not in {failed}");
    }
    assert!(failed.contains(&format!("\"{0}\",\"INVALID_FIELD", ids[0])));
}

#[tokio::test]
async fn a_bad_column_or_line_end_fails_the_whole_job() {
    let world = World::with(jobs(2, |_| ())).await;
    let id = world.ids("Account")[0].clone();
    let (_, unknown) = run(&world, &format!("Id,Nothing__c\n{id},x\n"), json!({})).await;
    assert_eq!((&unknown["state"], &unknown["numberRecordsProcessed"]), (&json!("Failed"), &json!(0)));
    assert_eq!(unknown["errorMessage"], "InvalidBatch : Field name not found : Nothing__c");
    for (csv, ending) in [(format!("Id,Site\r\n{id},x\r\n"), "LF"), (format!("Id,Site\n{id},x\n"), "CRLF")] {
        let (_, told) = run(&world, &csv, json!({"lineEnding": ending})).await;
        assert_eq!(told["state"], "Failed");
        assert!(text(&told["errorMessage"]).contains("LineEnding is invalid"));
    }
    assert_eq!(world.control().ledger(), []);
    let (_, good) = run(
        &world,
        &format!("Id;Site\r\n{id};x"),
        json!({"lineEnding": "CRLF", "columnDelimiter": "SEMICOLON"}),
    )
    .await;
    assert_eq!(good["state"], "JobComplete");
}

#[tokio::test]
async fn a_failed_job_keeps_what_it_wrote_and_the_rest_adds_up() {
    let world = World::with(jobs(450, |config| config.faults = "bulk-fail,rows=250".parse().unwrap())).await;
    let rows: String = world.ids("Account").iter().map(|id| format!("{id},x\n")).collect();
    let (id, told) = run(&world, &format!("Id,Site\n{rows}\nbroken,x\n"), json!({})).await;
    assert_eq!((&told["state"], &told["numberRecordsProcessed"]), (&json!("Failed"), &json!(250)));
    assert!(told["errorMessage"].is_string());
    let counts = [
        results(&world, &id, "successfulResults").await.len() - 1,
        results(&world, &id, "failedResults").await.len() - 1,
        results(&world, &id, "unprocessedrecords").await.len() - 1,
    ];
    assert_eq!(counts, [250, 0, 201]);
    assert_eq!(world.control().report().records_written, 250);
}

#[tokio::test]
async fn an_aborted_job_keeps_what_it_wrote() {
    let world = World::with(jobs(450, |config| {
        config.bulk = Bulk { pace: Pace::Polls { in_progress: 0, rows_per_poll: 200 }, ..Bulk::default() };
    }))
    .await;
    let rows: String = world.ids("Account").iter().map(|id| format!("{id},x\n")).collect();
    let id = create(&world, json!({})).await;
    upload(&world, &id, &format!("Id,Site\n{rows}")).await;
    set_state(&world, &id, "UploadComplete").await;
    assert_eq!(info(&world, &id).await["numberRecordsProcessed"], 200);
    assert_eq!(set_state(&world, &id, "Aborted").await.json()["state"], "Aborted");
    assert_eq!(info(&world, &id).await["numberRecordsProcessed"], 200);
    assert_eq!(results(&world, &id, "unprocessedrecords").await.len(), 251);
}

#[tokio::test]
async fn a_job_may_follow_the_clock_or_be_slow() {
    let pace = Pace::Clock { queued: Duration::from_secs(30), per_transaction: Duration::from_secs(10) };
    let world = World::with(jobs(450, |config| config.bulk = Bulk { pace, ..Bulk::default() })).await;
    let rows: String = world.ids("Account").iter().map(|id| format!("{id},x\n")).collect();
    let id = create(&world, json!({})).await;
    upload(&world, &id, &format!("Id,Site\n{rows}")).await;
    set_state(&world, &id, "UploadComplete").await;
    assert_eq!(info(&world, &id).await["state"], "UploadComplete");
    world.control().advance_clock(Duration::from_secs(45));
    let told = info(&world, &id).await;
    assert_eq!((&told["state"], &told["numberRecordsProcessed"]), (&json!("InProgress"), &json!(200)));
    world.control().advance_clock(Duration::from_secs(30));
    assert_eq!(info(&world, &id).await["state"], "JobComplete");

    let slow = World::with(jobs(2, |config| config.faults = "bulk-slow,looks=5".parse().unwrap())).await;
    let id = create(&slow, json!({})).await;
    upload(&slow, &id, "Id,Site\n").await;
    set_state(&slow, &id, "UploadComplete").await;
    for _ in 0..6 {
        assert_eq!(info(&slow, &id).await["state"], "InProgress");
    }
    assert_eq!(info(&slow, &id).await["state"], "JobComplete");
}

#[tokio::test]
async fn a_job_inserts_and_upserts_and_finds_parents_by_key() {
    let world = World::with(jobs(2, |_| ())).await;
    let csv = "LastName,Account.External_Key__c,External_Key__c\nNew,G2,N1\nLost,G9,N2\n";
    let (id, told) = run(&world, csv, json!({"object": "Contact", "operation": "insert"})).await;
    assert_eq!(told["numberRecordsFailed"], 1);
    let made = results(&world, &id, "successfulResults").await;
    assert!(made[1].contains("\"true\""));
    let contact = made[1].split('"').nth(1).unwrap().to_owned();
    assert_eq!(world.stored("Contact", &contact, "AccountId"), Some(world.ids("Account")[1].clone()));
    let upsert =
        json!({"object": "Contact", "operation": "upsert", "externalIdFieldName": "External_Key__c"});
    let (_, told) = run(&world, "External_Key__c,Title\nN1,Boss\n", upsert).await;
    assert_eq!(told["numberRecordsFailed"], 0);
    assert_eq!(world.stored("Contact", &contact, "Title").as_deref(), Some("Boss"));
}

#[tokio::test]
async fn a_file_over_the_cap_and_a_wrong_job_are_refused() {
    let world = World::with(jobs(2, |config| config.bulk.max_upload_bytes = 100)).await;
    let id = create(&world, json!({})).await;
    assert_eq!(upload(&world, &id, &"x".repeat(76)).await.refusal().0, 413);
    assert_eq!(upload(&world, &id, &"x".repeat(75)).await.status, 201);
    for body in [
        json!({"object": "Nothing", "operation": "update"}),
        json!({"object": "Account", "operation": "sync"}),
        json!({"object": "Account", "operation": "upsert"}),
    ] {
        assert_eq!(world.post("/jobs/ingest", &body).await.refusal(), (400, "INVALIDJOB".to_owned()));
    }
}

#[tokio::test]
async fn the_last_line_end_may_be_missing() {
    let world = World::with(jobs(1, |config| config.bulk.trailing_newline = false)).await;
    let (id, _) = run(&world, &format!("Id,Site\n{},x\n", world.ids("Account")[0]), json!({})).await;
    assert!(world.get(&format!("/jobs/ingest/{id}/successfulResults")).await.text.ends_with('"'));
}

#[tokio::test]
async fn a_query_job_pages_by_locator() {
    let world = World::with(jobs(5, |_| ())).await;
    let made = world
        .post(
            "/jobs/query",
            &json!({"operation": "query", "query": "SELECT Name, Id, Owner.Name FROM Account"}),
        )
        .await
        .json();
    let path = format!("/jobs/query/{}", text(&made["id"]));
    assert_eq!(made["state"], "UploadComplete");
    assert_eq!(world.get(&format!("{path}/results")).await.refusal().1, "INVALIDJOBSTATE");
    assert_eq!(world.get(&path).await.json()["state"], "InProgress");
    assert_eq!(world.get(&path).await.json()["state"], "JobComplete");
    let first = world.get(&format!("{path}/results?maxRecords=3")).await;
    assert_eq!(first.text.lines().next(), Some("\"Name\",\"Id\",\"Owner.Name\""));
    assert_eq!(
        (first.header("sforce-locator"), first.header("sforce-numberofrecords")),
        (Some("3"), Some("3"))
    );
    let last = world.get(&format!("{path}/results?maxRecords=3&locator=3")).await;
    assert_eq!((last.header("sforce-locator"), last.text.lines().count()), (Some("null"), 3));
    assert_eq!(world.call("DELETE", &path, &[], &Value::Null).await.status, 204);
    let refused =
        world.post("/jobs/query", &json!({"operation": "query", "query": "SELECT Id FROM Nothing"})).await;
    assert_eq!(refused.refusal().1, "INVALID_TYPE");
}
