//! The admin endpoints, which need no token and are not metered.

use infill_sim::pipedrive::{Config, Error, Source, start};
use serde_json::{Value, json};

use super::wire::{A, B, C, World};

#[tokio::test]
async fn the_report_counts_calls_tokens_and_writes() {
    let world = World::small().await;
    for (id, value) in [(A, "Rome"), (B, "Rome"), (A, "Oslo")] {
        world.set(id, "Greeting", json!(value)).await;
    }
    let report = world.get("/_admin/report").await.json();
    assert_eq!(
        report["calls"]["update persons"],
        json!({
            "received": 3, "succeeded": 3, "throttled": 0, "failed": 0, "reset": 0, "tokens": 15,
        })
    );
    assert_eq!((&report["tokens"]["today"], &report["tokens"]["budget"]), (&json!(15), &json!(150_000)));
    assert_eq!(report["worst"]["burst_accepted"], 3);
    assert_eq!(
        (&report["writes"], &report["records_written"], &report["most_writes_of_one_field"]),
        (&json!(3), &json!(2), &json!(2))
    );
    assert_eq!(world.get("/_admin/writes/persons").await.json(), json!({"100001": 2, "100002": 1}));
    let page = world.get(&format!("/_admin/ledger?record={A}&limit=1")).await.json();
    let next = world.get(&format!("/_admin/ledger?record={A}&after={}", page["next"])).await.json();
    assert_eq!(
        (&next["writes"][0]["old"], &next["writes"][0]["new"], &next["next"]),
        (&json!("Rome"), &json!("Oslo"), &Value::Null)
    );
    world.send("POST", "/_admin/reset", "").await;
    let fresh = world.get("/_admin/report").await.json();
    assert_eq!(
        (&fresh["calls"], &fresh["writes"], &fresh["tokens"]["today"]),
        (&json!({}), &json!(0), &json!(15))
    );
}

#[tokio::test]
async fn a_company_is_changed_from_outside() {
    let world = World::small().await;
    let person = format!("/_admin/records/persons/{A}");
    let edited = world.post(&person, &json!({"fields": {"Greeting": "Mine", "name": "Bonn"}})).await.json();
    assert_eq!(
        (&edited["values"]["name"], &edited["custom_fields"][world.code("Greeting")]),
        (&json!("Bonn"), &json!("Mine"))
    );
    assert_eq!(world.post(&person, &json!({"fields": {"Seats": "many"}})).await.status, 400);
    assert_eq!(world.post(&person, &json!({"fields": {"Mood": 1}})).await.status, 404);
    world.post("/_admin/delete", &json!({"object": "persons", "record": C})).await;
    assert_eq!(world.get("/_admin/records/persons").await.json()["total"], 9);
    assert_eq!(world.get("/_admin/filters/1").await.json()["size"], 9);
    world.post("/_admin/restore", &json!({"object": "persons", "record": C.to_string()})).await;
    assert_eq!(world.get(&format!("/api/v2/persons/{C}")).await.status, 200);
    let added = world
        .post(
            "/_admin/fields/add",
            &json!({"object": "persons", "name": "Mood", "type": "enum", "options": ["Good"]}),
        )
        .await;
    assert_eq!(added.json()["code"], world.get("/_admin/fields/persons").await.json()["Mood"]);
    let rename = json!({"object": "persons", "field": "Mood", "from": "Good", "to": "Great"});
    assert_eq!(world.post("/_admin/fields/rename-option", &rename).await.status, 200);
    assert_eq!(world.post("/_admin/fields/rename-option", &rename).await.status, 404);
    assert_eq!(
        world.post("/_admin/fields/delete", &json!({"object": "persons", "field": "Mood"})).await.status,
        200
    );
    assert_eq!(
        world.control().field_code("persons", "Mood").unwrap_err().to_string(),
        "there is no field `Mood`"
    );
    assert_eq!(world.get("/_admin/nothing").await.status, 404);
    assert!(world.get("/_admin").await.json()["endpoints"].as_array().unwrap().len() > 20);
}

#[tokio::test]
async fn faults_limits_tokens_and_time_are_set_from_outside() {
    let world = World::small().await;
    world.post("/_admin/faults", &json!({"spec": "503,op=me,count=1"})).await;
    assert_eq!(world.get("/v1/users/me").await.status, 503);
    let faults = world.get("/_admin/faults").await.json();
    assert_eq!(faults, json!({"spec": "503,op=me,count=1", "strikes": [["503,op=me,count=1", 1]]}));
    assert_eq!(world.post("/_admin/faults", &json!({"spec": "418"})).await.status, 400);
    world.post("/_admin/limits", &json!({"limits": "20/100"})).await;
    assert_eq!(world.post("/_admin/spend", &json!({"tokens": 98})).await.json()["today"], 100);
    assert_eq!(world.get("/v1/users/me").await.status, 429);
    world.post("/_admin/clock", &json!({"advance_ms": 86_400_000})).await;
    assert_eq!(world.get("/v1/users/me").await.status, 200);
    assert!(world.get("/_admin/clock").await.json()["now"].as_str().unwrap().starts_with("2026-11-21T17:00"));
    let code = world.post("/_admin/tokens", &json!({"expire": true, "ttl_s": 5, "code": true})).await.json();
    assert!(code["code"].as_str().unwrap().starts_with("sim-code-"));
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let zone = start(Config { server_time_zone: "Mars/North".to_owned(), ..Config::default() }).await;
    assert!(zone.unwrap_err().to_string().contains("Mars/North"));
    let file = start(Config { records: Source::Csv("/no/such/file.csv".into()), ..Config::default() }).await;
    assert!(matches!(file.unwrap_err(), Error::Records { .. }));
}
