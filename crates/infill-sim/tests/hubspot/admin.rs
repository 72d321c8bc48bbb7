//! The admin endpoints, which need no token and are not metered.

use infill_sim::hubspot::{Error, Source, start};
use serde_json::{Value, json};

use super::wire::{A, B, C, World};

#[tokio::test]
async fn the_report_counts_calls_and_the_ledger_every_committed_write() {
    let world = World::small().await;
    world.write("city", &[(A, "Rome"), (B, "Rome")]).await;
    world.write("city", &[(A, "Oslo")]).await;
    world.get("/nowhere").await;
    let report = world.get("/_admin/report").await.json();
    assert_eq!(report["calls"]["batch-update"]["succeeded"], 2);
    assert_eq!(report["worst"]["ten_seconds_accepted"], 2);
    assert_eq!(
        (
            &report["writes"],
            &report["records_written"],
            &report["most_writes_of_one_property"],
            &report["unknown_paths"]
        ),
        (&json!(3), &json!(2), &json!(2), &json!(1))
    );
    assert_eq!(world.get("/_admin/writes/contacts").await.json(), json!({"100001": 2, "100002": 1}));
    let page = world.get(&format!("/_admin/ledger?record={A}&limit=1")).await.json();
    assert_eq!(
        (&page["writes"][0]["new"], &page["writes"][0]["operation"]),
        (&json!("Rome"), &json!("batch-update"))
    );
    let next = world.get(&format!("/_admin/ledger?record={A}&after={}", page["next"])).await.json();
    assert_eq!(
        (&next["writes"][0]["old"], &next["writes"][0]["new"], &next["next"]),
        (&json!("Rome"), &json!("Oslo"), &Value::Null)
    );
    world.send("POST", "/_admin/reset", "").await;
    let fresh = world.get("/_admin/report").await.json();
    assert_eq!((&fresh["calls"], &fresh["writes"]), (&json!({}), &json!(0)));
}

#[tokio::test]
async fn a_portal_is_changed_from_outside() {
    let world = World::small().await;
    let edited =
        world.post(&format!("/_admin/records/contacts/{A}"), &json!({"properties": {"city": "Bonn"}})).await;
    assert_eq!(edited.json()["properties"]["city"], "Bonn");
    let refused =
        world.post(&format!("/_admin/records/contacts/{A}"), &json!({"properties": {"email": "x"}})).await;
    assert_eq!(refused.status, 400);
    world.post("/_admin/merge", &json!({"object": "contacts", "survivor": A, "merged": B.to_string()})).await;
    assert_eq!(world.get(&format!("/_admin/records/contacts/{B}")).await.json()["mergedInto"], "100001");
    world.post("/_admin/archive", &json!({"object": "contacts", "record": C})).await;
    assert_eq!(world.get("/_admin/records/contacts").await.json()["total"], 8);
    assert_eq!(world.get("/_admin/lists/42").await.json()["size"], 8);
    world.post("/_admin/restore", &json!({"object": "contacts", "record": C})).await;
    world.post("/_admin/lists/45", &json!({"add": [A, C.to_string()]})).await;
    assert_eq!(world.control().members("45").unwrap(), [A, C]);
    world.post("/_admin/properties/delete", &json!({"object": "contacts", "property": "fax"})).await;
    assert_eq!(world.get("/crm/v3/properties/contacts/fax").await.status, 404);
    assert_eq!(world.control().ledger(), []);
}

#[tokio::test]
async fn faults_limits_and_clock_are_set_from_outside() {
    let world = World::small().await;
    let set = world.post("/_admin/faults", &json!({"spec": "503,op=list-get,count=1"})).await.json();
    assert_eq!(set["spec"], "503,op=list-get,count=1");
    assert_eq!(world.get("/crm/v3/lists/42").await.status, 503);
    assert_eq!(world.get("/_admin/faults").await.json()["strikes"][0][1], 1);
    let wrong = world.post("/_admin/faults", &json!({"spec": "teapot"})).await;
    assert!(wrong.status == 400 && wrong.text.contains("bad-row"));
    world.post("/_admin/limits", &json!({"limits": "2"})).await;
    world.get("/crm/v3/lists/42").await;
    assert_eq!(world.get("/crm/v3/lists/42").await.status, 429);
    let before = world.get("/_admin/clock").await.json()["now_ms"].as_i64().unwrap();
    let after =
        world.post("/_admin/clock", &json!({"advance_ms": 60_000})).await.json()["now_ms"].as_i64().unwrap();
    assert!(after >= before + 60_000);
    assert_eq!(world.get("/crm/v3/lists/42").await.status, 200);
    world.post("/_admin/tokens", &json!({"revoke": true})).await;
    assert_eq!(world.send("POST", "/oauth/v3/token", "grant_type=refresh_token&client_id=sim-client-id&client_secret=sim-client-secret&refresh_token=sim-refresh-token").await.status, 400);
    assert!(world.get("/_admin").await.json()["endpoints"].as_array().unwrap().len() > 10);
    assert_eq!(world.get("/_admin/nothing").await.status, 404);
}

#[tokio::test]
async fn records_come_from_a_file_with_its_own_columns_and_ids() {
    let path = std::env::temp_dir().join(format!("infill-sim-{}.csv", std::process::id()));
    std::fs::write(&path, "hs_object_id,firstname,Favourite Dish\n500001,Ana,\"Soup, hot\"\n500007,Bo,\n")
        .unwrap();
    let world = World::with(|config| config.records = Source::Csv(path.clone())).await;
    std::fs::remove_file(&path).unwrap();
    assert_eq!(world.control().members("42").unwrap(), [500_001, 500_007]);
    assert_eq!(world.stored(500_001, "favourite_dish").as_deref(), Some("Soup, hot"));
    assert_eq!(world.get("/crm/v3/properties/contacts/favourite_dish").await.json()["hubspotDefined"], false);
}

#[tokio::test]
async fn a_portal_that_cannot_start_says_why() {
    let bad = |adjust: fn(&mut infill_sim::hubspot::Config)| {
        let mut config = infill_sim::hubspot::Config::default();
        adjust(&mut config);
        start(config)
    };
    let zone = bad(|config| config.time_zone = "Mars/Base".to_owned()).await.unwrap_err();
    assert!(matches!(zone, Error::TimeZone { .. }));
    let file = bad(|config| config.records = Source::Csv("/no/such/file.csv".into())).await.unwrap_err();
    assert!(file.to_string().contains("/no/such/file.csv"));
}

#[tokio::test]
async fn the_same_seed_makes_the_same_people() {
    let mut emails = Vec::new();
    for seed in [7, 7, 8] {
        let world = World::with(|config| {
            config.seed = seed;
            config.records = Source::Generate(50);
        })
        .await;
        emails.push((A..A + 50).map(|id| world.stored(id, "email")).collect::<Vec<_>>());
    }
    assert_eq!(emails[0], emails[1]);
    assert_ne!(emails[0], emails[2]);
}

#[tokio::test]
async fn a_shut_down_portal_takes_no_more_calls() {
    let world = World::small().await;
    let (address, control) = (world.simulator.addr(), world.control());
    world.simulator.shutdown().await;
    assert!(super::wire::send(address, "GET", "/crm/v3/lists/42", "Bearer sim-token", "").await.is_err());
    assert_eq!(control.record_ids("contacts").unwrap().len(), 10);
}
