//! The admin endpoints, which need no session and are not metered.

use infill_sim::salesforce::{Config, Error, Source, start};
use serde_json::{Value, json};

use super::wire::World;

#[tokio::test]
async fn the_report_counts_calls_and_the_ledger_every_committed_write() {
    let world = World::small().await;
    let ids = world.ids("Account");
    world.update(&[(&ids[0], json!({"Site": "a"})), (&ids[1], json!({"Site": "a"}))]).await;
    world.update(&[(&ids[0], json!({"Site": "b"}))]).await;
    world.get("/nowhere").await;
    let report = world.get("/_admin/report").await.json();
    assert_eq!(report["calls"]["collections-update"]["succeeded"], 2);
    assert_eq!((&report["api_requests"], &report["unknown_paths"]), (&json!(2), &json!(1)));
    assert_eq!(
        (&report["writes"], &report["records_written"], &report["most_writes_of_one_field"]),
        (&json!(3), &json!(2), &json!(2))
    );
    assert_eq!(world.get("/_admin/writes/Account").await.json(), json!({&ids[0]: 2, &ids[1]: 1}));
    let page = world.get(&format!("/_admin/ledger?record={}&limit=1", ids[0])).await.json();
    assert_eq!(
        (&page["writes"][0]["new"], &page["writes"][0]["operation"]),
        (&json!("a"), &json!("collections-update"))
    );
    let next = world.get(&format!("/_admin/ledger?record={}&after={}", ids[0], page["next"])).await.json();
    assert_eq!(
        (&next["writes"][0]["old"], &next["writes"][0]["sent"], &next["next"]),
        (&json!("a"), &json!("b"), &Value::Null)
    );
    world.post("/_admin/reset", &json!({})).await;
    let fresh = world.get("/_admin/report").await.json();
    assert_eq!((&fresh["calls"], &fresh["writes"]), (&json!({}), &json!(0)));
}

#[tokio::test]
async fn an_org_is_changed_from_outside() {
    let world = World::small().await;
    let ids = world.ids("Account");
    let path = format!("/_admin/records/Account/{}", ids[0]);
    let before = world.query("SELECT SystemModstamp FROM Account ORDER BY Id LIMIT 1").await["records"][0]["SystemModstamp"].clone();
    let edited = world.post(&path, &json!({"fields": {"Site": "Bonn", "Phone": null}})).await.json();
    assert_eq!((&edited["fields"]["Site"], edited["fields"].get("Phone")), (&json!("Bonn"), None));
    assert_ne!(edited["fields"]["SystemModstamp"], before);
    assert_eq!(world.post(&path, &json!({"fields": {"Segment__c": "Huge"}})).await.status, 400);
    assert_eq!(world.post(&path, &json!({"fields": {"Nothing__c": "x"}})).await.status, 404);
    world.post("/_admin/merge", &json!({"object": "Account", "survivor": ids[0], "merged": ids[1]})).await;
    assert_eq!(
        world.get(&format!("/_admin/records/Account/{}", ids[1])).await.json()["mergedInto"],
        json!(ids[0])
    );
    world.post("/_admin/delete", &json!({"object": "Account", "record": ids[2]})).await;
    assert_eq!(
        world.update(&[(&ids[1], json!({"Site": "x"})), (&ids[2], json!({"Site": "x"}))]).await.codes(),
        ["ENTITY_IS_DELETED", "ENTITY_IS_DELETED"]
    );
    assert_eq!(world.get("/_admin/records/Account?limit=3").await.json()["total"], 8);
    world.post("/_admin/undelete", &json!({"object": "Account", "record": ids[2]})).await;
    world.post("/_admin/approval", &json!({"object": "Account", "record": ids[2], "locked": true})).await;
    world.post("/_admin/lock", &json!({"record": ids[3]})).await;
    let rows = [(ids[2].as_str(), json!({"Site": "x"})), (ids[3].as_str(), json!({"Site": "x"}))];
    assert_eq!(world.update(&rows).await.codes(), ["ENTITY_IS_LOCKED", "UNABLE_TO_LOCK_ROW"]);
    world.post("/_admin/unlock", &json!({"record": ids[3]})).await;
    world.post("/_admin/touch", &json!({"object": "Account", "record": ids[4]})).await;
    world.post("/_admin/fields/hide", &json!({"object": "Account", "field": "Fax"})).await;
    assert_eq!(world.get("/query?q=SELECT+Fax+FROM+Account").await.status, 400);
    assert_eq!(world.control().ledger(), []);
}

#[tokio::test]
async fn faults_limits_clock_and_tokens_are_set_from_outside() {
    let world = World::small().await;
    let set = world.post("/_admin/faults", &json!({"spec": "503,op=limits,count=1"})).await.json();
    assert_eq!(set["spec"], "503,op=limits,count=1");
    assert_eq!(world.get("/limits").await.status, 503);
    assert_eq!(world.get("/_admin/faults").await.json()["strikes"][0][1], 1);
    let wrong = world.post("/_admin/faults", &json!({"spec": "teapot"})).await;
    assert!(wrong.status == 400 && wrong.text.contains("row-lock"));
    world.post("/_admin/limits", &json!({"limits": "1"})).await;
    assert_eq!(world.get("/limits").await.status, 403);
    let before = world.get("/_admin/clock").await.json()["now_ms"].as_i64().unwrap();
    let after = world.post("/_admin/clock", &json!({"advance_ms": 86_400_000})).await.json()["now_ms"]
        .as_i64()
        .unwrap();
    assert!(after >= before + 86_400_000);
    assert_eq!(world.get("/limits").await.status, 200);
    world.post("/_admin/tokens", &json!({"revoke": true, "expire": true, "ttl_s": 5})).await;
    let form = "grant_type=refresh_token&client_id=sim-consumer-key&client_secret=sim-consumer-secret&refresh_token=sim-refresh-token";
    assert_eq!(world.try_call("POST", "/services/oauth2/token", &[], form).await.unwrap().status, 400);
    assert!(world.get("/_admin").await.json()["endpoints"].as_array().unwrap().len() > 10);
    assert_eq!(world.get("/_admin/nothing").await.status, 404);
}

#[tokio::test]
async fn records_come_from_a_file_with_its_own_columns() {
    let path = std::env::temp_dir().join(format!("infill-sim-salesforce-{}.csv", std::process::id()));
    std::fs::write(&path, "Name,Phone,Favourite Dish\nAcme,1,\"Soup, hot\"\nBeta,,\n").unwrap();
    let world = World::with(|config| config.records = Source::Csv(path.clone())).await;
    std::fs::remove_file(&path).unwrap();
    let ids = world.ids("Account");
    assert_eq!(ids.len(), 2);
    assert_eq!(world.stored("Account", &ids[0], "Favourite_Dish__c").as_deref(), Some("Soup, hot"));
    assert_eq!(world.stored("Account", &ids[1], "Phone"), None);
}

#[tokio::test]
async fn an_org_that_cannot_start_says_why() {
    let bad = |adjust: fn(&mut Config)| {
        let mut config = Config::default();
        adjust(&mut config);
        start(config)
    };
    let file = bad(|config| config.records = Source::Csv("/no/such/file.csv".into())).await.unwrap_err();
    assert!(file.to_string().contains("/no/such/file.csv"));
    let field = bad(|config| config.hidden_fields = vec![("Account".to_owned(), "Nothing".to_owned())]).await;
    assert!(matches!(field.unwrap_err(), Error::UnknownField(_)));
}

#[tokio::test]
async fn a_shut_down_org_takes_no_more_calls() {
    let world = World::small().await;
    let (address, control) = (world.simulator.addr(), world.control());
    world.simulator.shutdown().await;
    assert!(super::wire::send(address, "GET", "/services/data", &[], "").await.is_err());
    assert_eq!(control.record_ids("Account").unwrap().len(), 10);
}
