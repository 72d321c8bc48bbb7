//! Every fault, struck and missed.

use infill_sim::pipedrive::{Fault, FaultKind, Faults, Operation, SIM_REFRESH_TOKEN};
use serde_json::{Value, json};

use super::wire::{A, B, C, World, send};

async fn struck_by(spec: &str) -> World {
    let world = World::small().await;
    world.control().set_faults(spec.parse().unwrap());
    world
}

fn rome() -> Value {
    json!({"name": "Rome"})
}

#[tokio::test]
async fn a_status_before_the_commit_writes_nothing_and_costs_its_tokens() {
    for (status, is_html) in
        [(400, false), (401, false), (402, false), (500, false), (502, true), (503, true)]
    {
        let world = struck_by(&format!("{status},op=update,object=persons,count=1")).await;
        let reply = world.update(A, &rome()).await;
        assert_eq!(reply.status, status);
        assert_eq!(reply.header("content-type").unwrap().starts_with("text/html"), is_html);
        assert_eq!(world.control().ledger(), []);
        assert_eq!(world.patch("/api/v2/organizations/7001", &rome()).await.status, 200);
        assert_eq!(world.update(A, &rome()).await.status, 200);
        assert_eq!(world.control().tokens().today, 15);
    }
}

#[tokio::test]
async fn a_storm_of_429_ends_and_can_be_cloudflares() {
    let world = struck_by("429,count=2;429,policy=blocked,op=me").await;
    for _ in 0..2 {
        assert_eq!(world.get("/api/v2/persons").await.error(), (429, "request over limit".to_owned()));
    }
    assert_eq!(world.get("/api/v2/persons").await.status, 200);
    let blocked = world.get("/v1/users/me").await;
    assert_eq!((blocked.status, blocked.text.starts_with("<!DOCTYPE html>")), (403, true));
    assert_eq!(world.control().report().refused["burst"], 2);
}

#[tokio::test]
async fn a_lost_answer_is_committed_and_a_reset_is_or_is_not() {
    let world = struck_by("lost-504,op=update,count=1").await;
    assert_eq!(world.update(A, &rome()).await.status, 504);
    assert_eq!(world.stored(A, "name"), "Rome");
    for (spec, n_written) in [("reset,op=update,count=1", 0), ("lost-reset,op=update,count=1", 1)] {
        let world = struck_by(spec).await;
        let path = format!("/api/v2/persons/{A}");
        assert!(world.try_send("PATCH", &path, &rome().to_string()).await.is_err());
        assert_eq!(world.control().ledger().len(), n_written, "{spec}");
        assert_eq!(world.control().report().calls("update persons").reset, 1);
        assert_eq!(world.update(A, &rome()).await.status, 200);
    }
    let world = struck_by("malformed,op=update").await;
    let reply = world.update(A, &rome()).await;
    assert_eq!(reply.status, 200);
    assert!(serde_json::from_str::<Value>(&reply.text).is_err());
    assert_eq!(world.control().ledger().len(), 1);
}

#[tokio::test]
async fn a_success_that_did_nothing_shows_the_old_values_or_the_sent_ones() {
    for (spec, is_sent_shown) in [("no-op,op=update,count=1", false), ("phantom,op=update,count=1", true)] {
        let world = struck_by(spec).await;
        let shown = world.update(A, &rome()).await.data();
        assert_eq!(shown["name"] == "Rome", is_sent_shown, "{spec}");
        assert_ne!(world.stored(A, "name"), "Rome");
        assert_eq!(world.control().ledger(), []);
        world.update(A, &rome()).await;
        assert_eq!(world.stored(A, "name"), "Rome");
    }
}

#[tokio::test]
async fn a_missing_record_is_404_and_left_out_of_ids() {
    let world = struck_by(&format!("missing,record={B}")).await;
    assert_eq!(world.get(&format!("/api/v2/persons/{B}")).await.status, 404);
    assert_eq!(world.update(B, &rome()).await.status, 404);
    assert_eq!(world.get(&format!("/api/v2/persons?ids={A},{B}")).await.ids(), [A]);
    assert_eq!(world.update(A, &rome()).await.status, 200);
}

#[tokio::test]
async fn a_bad_row_is_refused_with_a_named_field() {
    let world = struck_by(&format!("bad-row,record={B},field=Tier;bad-row,record={C}")).await;
    let code = world.code("Tier");
    assert_eq!(world.update(B, &rome()).await.status, 200);
    let refused = world.set(B, "Tier", Value::Null).await;
    assert_eq!(
        refused.error().1,
        format!(
            "Validation failed: custom_fields: Expected 'number' as value for single option custom field '{code}'"
        )
    );
    assert_eq!(world.update(C, &rome()).await.status, 400);
}

#[tokio::test]
async fn a_value_stored_differently_is_seen_only_by_reading_back() {
    let world = struck_by("differs,field=Greeting;differs,field=Tier,value=null").await;
    let code = world.code("Greeting");
    let body = json!({"name": "Rome", "custom_fields": {&code: "Hello"}});
    assert_eq!(world.update(A, &body).await.data()["custom_fields"][&code], "Hello");
    assert_eq!(
        (world.stored(A, "Greeting"), world.stored(A, "name")),
        (json!("Hello (changed)"), json!("Rome"))
    );
    assert!(world.control().ledger().iter().any(|write| write.new == "Hello (changed)"));
    let gold = world.control().option_id("persons", "Tier", "Gold").unwrap();
    world.set(B, "Tier", gold).await;
    assert_eq!(world.stored(B, "Tier"), Value::Null);
}

#[tokio::test]
async fn a_person_edits_between_a_read_and_a_write() {
    let world = struck_by(&format!("human-edit,op=list,record={A}|{B},field=Greeting,value=Mine")).await;
    let before = world.get("/api/v2/persons").await.data();
    assert_eq!(before[0]["custom_fields"][world.code("Greeting")], Value::Null);
    assert_eq!((world.stored(A, "Greeting"), world.stored(B, "Greeting")), (json!("Mine"), json!("Mine")));
    assert_eq!(world.control().ledger(), []);
    world.set(A, "Greeting", json!("Ours")).await;
    world.get("/api/v2/persons").await;
    assert_eq!(world.stored(A, "Greeting"), "Ours");
}

#[tokio::test]
async fn a_field_goes_and_an_option_is_renamed_midway() {
    let world = struck_by(
        "field-gone,field=Greeting,op=update,after=1;option-renamed,field=Tier,from=Gold,to=Top,op=me",
    )
    .await;
    let code = world.code("Greeting");
    assert_eq!(world.update(A, &json!({"custom_fields": {&code: "x"}})).await.status, 200);
    let refused = world.update(B, &json!({"custom_fields": {&code: "x"}})).await;
    assert_eq!(refused.error().1, format!("Validation failed: custom_fields: Unknown key '{code}'"));
    let person = world.get(&format!("/api/v2/persons/{A}")).await.data();
    assert!(person["custom_fields"].get(&code).is_none());
    let gold = world.control().option_id("persons", "Tier", "Gold").unwrap();
    world.get("/v1/users/me").await;
    assert_eq!(world.control().option_id("persons", "Tier", "Top").unwrap(), gold);
    assert_eq!(world.set(A, "Tier", gold).await.status, 200);
}

#[tokio::test]
async fn oauth_tokens_expire_midway() {
    let mut world = World::small().await;
    let basic = "Authorization: Basic c2ltLWNsaWVudC1pZDpzaW0tY2xpZW50LXNlY3JldA==";
    let form = format!("grant_type=refresh_token&refresh_token={SIM_REFRESH_TOKEN}");
    let granted = send(world.simulator.addr(), "POST", "/oauth/token", basic, &form).await.unwrap().json();
    world.login = format!("Authorization: Bearer {}", granted["access_token"].as_str().unwrap());
    world
        .control()
        .set_faults(Faults::from(Fault::new(FaultKind::ExpireTokens).on(Operation::Update).times(1)));
    assert_eq!(world.get("/v1/users/me").await.status, 200);
    assert_eq!(world.update(A, &rome()).await.status, 401);
    assert_eq!(world.get("/v1/users/me").await.status, 401);
    assert_eq!(world.control().ledger(), []);
}

#[tokio::test]
async fn chance_is_the_same_for_the_same_seed() {
    let mut runs = Vec::new();
    for seed in [1, 1, 2] {
        let world = World::with(|config| {
            config.seed = seed;
            config.faults = "500,p=0.5,op=me".parse().unwrap();
        })
        .await;
        let mut statuses = Vec::new();
        for _ in 0..24 {
            statuses.push(world.get("/v1/users/me").await.status);
        }
        runs.push(statuses);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
    assert!(runs[0].contains(&500) && runs[0].contains(&200));
}
