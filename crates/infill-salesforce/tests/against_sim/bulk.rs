//! Jobs of Bulk API 2.0 against the simulated org.

use infill_crm::{Crm, Delivery, Error, Job, Page, Pull, Update, WriteAnswer, Written, conformance};
use infill_model::slice::ResolvedSlice;
use infill_model::{Class, RecordId};
use infill_salesforce::{Config, Route};
use infill_sim::salesforce::{self as sim, Operation};
use serde_json::json;

use crate::world::{World, accounts, greetings, update, view};

async fn by_jobs(n_records: usize) -> World {
    let org = sim::Config { records: sim::Source::Generate(n_records), ..sim::Config::default() };
    World::of(org, Config { route: Route::Bulk, ..Config::default() }).await
}

/// Hands updates over once, with the job there is.
async fn hand_over(world: &World, updates: &[Update], job: Option<&Job>) -> Result<Written, Error> {
    let targets = world.targets(&["Greeting__c", "Phone", "AnnualRevenue"]).await;
    world.salesforce.write(&accounts(), &targets.iter().collect::<Vec<_>>(), updates, job).await
}

/// Hands updates over until there is an answer.
async fn write(world: &World, updates: &[Update]) -> WriteAnswer {
    let mut job = None;
    loop {
        match hand_over(world, updates, job.as_ref()).await.unwrap() {
            Written::Answered(answer) => return answer,
            Written::Later { job: kept, .. } => {
                until_over(world, &kept).await;
                job = Some(kept);
            }
        }
    }
}

async fn until_over(world: &World, job: &Job) {
    while world.salesforce.look(job).await.unwrap().is_some() {}
}

fn job(written: Written) -> Job {
    let job = match written {
        Written::Later { job, .. } => Some(job),
        Written::Answered(_) => None,
    };
    job.unwrap()
}

async fn listed(world: &World, slice: &ResolvedSlice, pull: &Pull) -> Vec<Page> {
    let mut pages = Vec::new();
    let mut cursor = None;
    loop {
        let page = world.salesforce.list(slice, pull, cursor.as_ref()).await.unwrap();
        cursor.clone_from(&page.next);
        if page.after.is_none() {
            pages.push(page);
        }
        if cursor.is_none() {
            return pages;
        }
    }
}

#[tokio::test]
async fn a_job_writes_every_row_and_is_asked_no_more_than_it_needs() {
    let world = by_jobs(300).await;
    let ids = world.ids(300);
    let targets = world.targets(&["Greeting__c"]).await;
    let targets: Vec<_> = targets.iter().collect();
    let broken =
        conformance::writing(&world.salesforce, &accounts(), &targets, &greetings(&ids)).await.unwrap();
    assert_eq!(broken, Vec::<String>::new());
    let calls = world.sim.control().report().calls;
    let of = |operation: Operation| calls[operation.as_str()].received;
    let n_calls =
        [Operation::IngestCreate, Operation::IngestUpload, Operation::IngestState, Operation::IngestResults];
    assert_eq!(n_calls.map(of), [1; 4]);
    assert_eq!(of(Operation::IngestInfo), 2);
    assert!(conformance::limits(&world.salesforce).is_empty());
    assert_eq!(world.value(&ids[7], "Greeting__c"), Some(format!("Hello {}", ids[7])));
}

#[tokio::test]
async fn null_empty_and_absent_stay_three_things_in_one_file() {
    let world = by_jobs(3).await;
    let ids = world.ids(3);
    let all = |id: &RecordId| update(id, &[("Greeting__c", json!("Hi")), ("Phone", json!("1"))]);
    write(&world, &ids.iter().map(all).collect::<Vec<_>>()).await;
    let updates = [
        update(&ids[0], &[("Greeting__c", json!(null))]),
        update(&ids[1], &[("Greeting__c", json!(""))]),
        update(&ids[2], &[("Phone", json!("2")), ("AnnualRevenue", json!(12.5))]),
    ];
    assert_eq!(write(&world, &updates).await.confirmed.len(), 3);
    let values = |field: &str| ids.iter().map(|id| world.value(id, field)).collect::<Vec<_>>();
    assert_eq!(values("Greeting__c"), [None, None, Some("Hi".to_owned())]);
    assert_eq!(values("Phone"), ["1", "1", "2"].map(|text| Some(text.to_owned())));
}

#[tokio::test]
async fn what_no_cell_can_say_goes_by_collections() {
    let world = by_jobs(3).await;
    let ids = world.ids(3);
    let updates: Vec<Update> = ["#N/A", "a \"b\",\r\nc", "x"]
        .iter()
        .zip(&ids)
        .map(|(text, id)| update(id, &[("Greeting__c", json!(text))]))
        .collect();
    assert_eq!(write(&world, &updates).await.confirmed.len(), 3);
    assert_eq!(world.value(&ids[0], "Greeting__c").as_deref(), Some("#N/A"));
    assert_eq!(world.value(&ids[1], "Greeting__c").as_deref(), Some("a \"b\",\r\nc"));
    assert_eq!(world.sim.control().report().calls(Operation::Composite).received, 1);
}

#[tokio::test]
async fn rows_are_settled_by_their_codes_as_in_collections() {
    let world = by_jobs(10).await;
    let ids = world.ids(10);
    world.sim.control().delete("Account", ids[1].as_str()).unwrap();
    world.sim.control().merge("Account", ids[0].as_str(), ids[2].as_str()).unwrap();
    world.faults(&format!(
        "row-error,record={};row-lock,record={};row-error,code=ENTITY_IS_LOCKED,record={}",
        ids[3], ids[4], ids[5]
    ));
    let answer = write(&world, &greetings(&ids)).await;
    assert_eq!(answer.confirmed.len(), 5);
    let refused: Vec<_> = answer.refused.iter().map(|(id, refusal)| (id, refusal.code.as_str())).collect();
    assert_eq!(refused.len(), 2);
    assert!(refused.contains(&(&ids[3], "FIELD_CUSTOM_VALIDATION_EXCEPTION")), "{refused:?}");
    assert!(refused.contains(&(&ids[5], "ENTITY_IS_LOCKED")), "{refused:?}");
    let survivors: Vec<_> = answer.gone.iter().map(|(id, gone)| (id, gone.survivor.as_ref())).collect();
    assert_eq!(survivors.len(), 2);
    assert!(
        survivors.contains(&(&ids[1], None)) && survivors.contains(&(&ids[2], Some(&ids[0]))),
        "{survivors:?}"
    );
    let error = answer.cut_short.unwrap();
    assert_eq!(
        (error.class, error.delivery, error.code.as_str()),
        (Class::Transient, Delivery::Refused, "UNABLE_TO_LOCK_ROW")
    );
}

#[tokio::test]
async fn a_limit_that_rows_of_a_job_meet_cools_the_connection_down() {
    for (message, day_spent, seconds) in [
        ("TotalRequests Limit exceeded.", true, 900),
        ("ConcurrentRequests (Concurrent API Requests) Limit exceeded.", false, 10),
        ("ConcurrentPerOrgLongTxn Limit exceeded.", false, 30),
    ] {
        let world = by_jobs(40).await;
        let ids = world.ids(40);
        world.faults(&format!("row-error,code=REQUEST_LIMIT_EXCEEDED,message={message},count=15"));
        let answer = write(&world, &greetings(&ids)).await;
        assert_eq!((answer.confirmed.len(), answer.refused.len()), (25, 0), "{message}");
        let error = answer.cut_short.unwrap();
        assert_eq!((error.class, error.delivery), (Class::Throttled, Delivery::Refused), "{message}");
        let wait = error.until.unwrap().as_second() - world.sim.control().now_ms() / 1_000;
        assert!((seconds - 1..=seconds).contains(&wait), "{message}: {wait}");
        let observed = world.quota.observed.lock().unwrap();
        let heard = observed.iter().filter(|(_, seen)| seen.cool_down_until.is_some());
        let heard: Vec<_> = heard.map(|(_, seen)| (seen.cool_down_until, seen.day_spent)).collect();
        assert_eq!(heard, [(error.until, day_spent); 2], "once for each meter, {message}");
    }
}

#[tokio::test]
async fn a_job_that_fails_half_way_tells_which_rows_were_not_processed() {
    let world = by_jobs(900).await;
    let ids = world.ids(900);
    world.faults("bulk-fail,rows=400");
    let answer = write(&world, &greetings(&ids)).await;
    assert_eq!((answer.confirmed.len(), answer.refused.len()), (400, 0));
    let error = answer.cut_short.unwrap();
    assert_eq!((error.class, error.delivery), (Class::Transient, Delivery::Refused));
    assert!(error.message.contains("Failed") && error.message.contains("500 records"), "{error}");
}

#[tokio::test]
async fn lost_answers_on_the_way_are_found_out_by_the_state_of_the_job() {
    for fault in [
        "lost-reset,op=ingest-upload,count=1",
        "lost-504,op=ingest-upload,count=1",
        "lost-504,op=ingest-state,count=1",
    ] {
        let world = by_jobs(20).await;
        let updates = greetings(&world.ids(20));
        let made = job(hand_over(&world, &updates, None).await.unwrap());
        world.faults(fault);
        let error = hand_over(&world, &updates, Some(&made)).await.unwrap_err();
        assert_eq!(error.class, Class::Transient, "{fault}");
        assert_eq!(world.salesforce.look(&made).await.unwrap(), None);
        let sent = job(hand_over(&world, &updates, Some(&made)).await.unwrap());
        until_over(&world, &sent).await;
        let Written::Answered(answer) = hand_over(&world, &updates, Some(&sent)).await.unwrap() else {
            panic!()
        };
        assert_eq!(answer.confirmed.len(), 20, "{fault}");
        assert_eq!(world.sim.control().report().calls(Operation::IngestCreate).received, 1);
    }
}

#[tokio::test]
async fn a_job_that_is_gone_leaves_its_rows_unconfirmed() {
    let world = by_jobs(5).await;
    let updates = greetings(&world.ids(5));
    let gone =
        Job(r#"{"jobs":["750ak000009BWKLAA4"],"n_rows":5,"is_sent":true,"since":"2026-11-21T00:00:00Z"}"#
            .into());
    assert_eq!(world.salesforce.look(&gone).await.unwrap(), None);
    let Written::Answered(answer) = hand_over(&world, &updates, Some(&gone)).await.unwrap() else { panic!() };
    assert_eq!(answer.cut_short.map(|error| error.delivery), Some(Delivery::Unknown));
    let foreign = hand_over(&world, &updates, Some(&Job("750".into()))).await.unwrap_err();
    assert_eq!(foreign.class, Class::Bug);
}

#[tokio::test]
async fn a_field_that_went_away_is_the_plans_fault() {
    let world = by_jobs(5).await;
    let ids = world.ids(5);
    let targets = world.targets(&["Greeting__c"]).await;
    world.sim.control().hide_field("Account", "Greeting__c").unwrap();
    let mut kept = None;
    let answer = loop {
        let written = world
            .salesforce
            .write(&accounts(), &[&targets[0]], &greetings(&ids), kept.as_ref())
            .await
            .unwrap();
        match written {
            Written::Answered(answer) => break answer,
            Written::Later { job, .. } => {
                until_over(&world, &job).await;
                kept = Some(job);
            }
        }
    };
    assert!(answer.refused.is_empty() && answer.confirmed.is_empty());
    assert_eq!(answer.cut_short.map(|error| error.class), Some(Class::Configuration));
}

#[tokio::test]
async fn a_listing_by_a_job_brings_the_values_that_a_read_brings() {
    let world = by_jobs(1_200).await;
    let slice = world.salesforce.resolve(&accounts(), &view("AllAccounts")).await.unwrap();
    let names = ["Name", "AnnualRevenue", "Phone", "LastModifiedDate", "Id", "NumberOfEmployees"];
    let pull = Pull { properties: names.iter().map(|name| (*name).into()).collect(), most: None };
    assert_eq!(conformance::listing(&world.salesforce, &slice, &pull).await.unwrap(), Vec::<String>::new());
    let pages = listed(&world, &slice, &pull).await;
    let ids: Vec<RecordId> = pages.iter().flat_map(|page| page.records.clone()).collect();
    assert_eq!(ids, world.ids(1_200));
    let read = world.salesforce.read(&accounts(), &ids, &pull.properties).await.unwrap();
    let listed = pages.into_iter().flat_map(|page| page.values.unwrap().properties);
    for (record, properties) in read.records.iter().zip(listed) {
        assert_eq!(record.properties, properties, "{}", record.id);
    }
}

#[tokio::test]
async fn a_listing_by_a_job_keeps_the_cap_and_falls_back_where_no_file_carries_a_value() {
    let world = by_jobs(30).await;
    let slice = world.salesforce.resolve(&accounts(), &view("AllAccounts")).await.unwrap();
    let pull = Pull { properties: vec!["Name".into()], most: Some(7) };
    let pages = listed(&world, &slice, &pull).await;
    assert_eq!(pages.iter().map(|page| page.records.len()).sum::<usize>(), 7);
    let pull = Pull { properties: vec!["Name".into(), "BillingAddress".into()], most: None };
    let pages = listed(&world, &slice, &pull).await;
    assert!(pages.iter().all(|page| page.values.is_none()));
    assert_eq!(pages.iter().map(|page| page.records.len()).sum::<usize>(), 30);
}

#[tokio::test]
async fn a_listing_whose_job_is_gone_or_failed_goes_on_after_the_last_record() {
    let world = by_jobs(30).await;
    let slice = world.salesforce.resolve(&accounts(), &view("AllAccounts")).await.unwrap();
    let pull = Pull { properties: vec!["Name".into()], most: None };
    let ids = world.ids(30);
    let begun = world.salesforce.list(&slice, &pull, None).await.unwrap();
    let cursor = begun.next.unwrap().0;
    // As if ten records had been listed before the job went away.
    let mut place: serde_json::Value = serde_json::from_str(&cursor).unwrap();
    place["job"] = json!("750ak000009BWKLAA4");
    place["last"] = json!(ids[9]);
    place["locator"] = json!("10");
    let mut cursor = Some(infill_crm::Cursor(place.to_string()));
    let mut rest = Vec::new();
    while cursor.is_some() {
        let page = world.salesforce.list(&slice, &pull, cursor.as_ref()).await.unwrap();
        rest.extend(page.records);
        cursor = page.next;
    }
    assert_eq!(rest, ids[10..]);
}

#[tokio::test]
async fn the_size_of_a_run_decides_unless_a_setting_does() {
    let sizes = |route| async move {
        let world = World::of(sim::Config::default(), Config { route, ..Config::default() }).await;
        [None, Some(10_000), Some(10_001)].map(|rows| world.salesforce.limits(rows).write_batch)
    };
    assert_eq!(sizes(Route::Auto).await, [2_000, 2_000, 26_000]);
    assert_eq!(sizes(Route::Collections).await, [2_000; 3]);
    assert_eq!(sizes(Route::Bulk).await, [26_000; 3]);
    let manners = infill_salesforce::Manners { auto_assign: true, ..Default::default() };
    let world = World::of(sim::Config::default(), Config { manners, ..Config::default() }).await;
    assert_eq!(
        world.salesforce.limits(Some(1_000_000)).write_batch,
        2_000,
        "its header is not to be had in a job"
    );
}
