//! Every fault, struck and missed.

use infill_sim::salesforce::{Fault, FaultKind, Faults, Operation};
use serde_json::json;

use super::wire::World;

async fn struck_by(spec: &str) -> World {
    let world = World::small().await;
    world.control().set_faults(spec.parse().unwrap());
    world
}

#[tokio::test]
async fn a_status_before_the_commit_writes_nothing() {
    for (status, code) in [
        (401, "INVALID_SESSION_ID"),
        (404, "NOT_FOUND"),
        (500, "UNKNOWN_EXCEPTION"),
        (503, "SERVER_UNAVAILABLE"),
        (502, ""),
        (504, ""),
        (414, ""),
    ] {
        let world = struck_by(&format!("{status},op=collections-update,count=1")).await;
        let id = world.ids("Account")[0].clone();
        let reply = world.update(&[(&id, json!({"Site": "x"}))]).await;
        assert_eq!(reply.status, status);
        if code.is_empty() {
            assert!(reply.header("content-type").unwrap().starts_with("text/html"));
        } else {
            assert_eq!(reply.refusal().1, code);
        }
        assert_eq!(world.control().ledger(), []);
        assert_eq!(world.update(&[(&id, json!({"Site": "x"}))]).await.status, 200);
    }
}

#[tokio::test]
async fn one_code_has_three_causes() {
    let world =
        struck_by("403,count=1;403,cause=concurrent,count=1;403,cause=long-transactions,count=1").await;
    for message in ["TotalRequests", "ConcurrentRequests", "ConcurrentPerOrgLongTxn"] {
        let reply = world.get("/sobjects").await;
        assert_eq!(reply.refusal(), (403, "REQUEST_LIMIT_EXCEEDED".to_owned()));
        assert!(reply.text.contains(message), "{}", reply.text);
    }
    assert_eq!(world.get("/sobjects").await.status, 200);
    assert_eq!(world.control().report().refused.values().sum::<u64>(), 3);
}

#[tokio::test]
async fn a_part_of_a_composite_call_is_refused_alone() {
    let world = struck_by("403,cause=concurrent,op=collections-update,after=1,count=1").await;
    let ids = world.ids("Account");
    let part = |reference: &str, id: &str| {
        let record = json!({"attributes": {"type": "Account"}, "id": id, "Site": "x"});
        json!({
            "method": "PATCH", "url": "/services/data/v68.0/composite/sobjects", "referenceId": reference,
            "body": {"allOrNone": false, "records": [record]},
        })
    };
    let parts = [part("a", &ids[0]), part("b", &ids[1]), part("c", &ids[2])];
    let reply = world.post("/composite", &json!({"allOrNone": false, "compositeRequest": parts})).await;
    assert_eq!(reply.status, 200);
    let answers = reply.json()["compositeResponse"].clone();
    let statuses: Vec<_> = (0..3).map(|nth| answers[nth]["httpStatusCode"].clone()).collect();
    assert_eq!(json!(statuses), json!([200, 403, 200]));
    assert_eq!(answers[1]["body"][0]["errorCode"], "REQUEST_LIMIT_EXCEEDED");
    assert_eq!(world.control().ledger().len(), 2);
}

#[tokio::test]
async fn any_code_may_refuse_a_call() {
    let world = struck_by(
        "error,code=QUERY_TIMEOUT,message=Your query request was running for too long.,op=query,count=1",
    )
    .await;
    let reply = world.get("/query?q=SELECT+Id+FROM+Account").await;
    assert_eq!(
        reply.json(),
        json!([{"errorCode": "QUERY_TIMEOUT", "message": "Your query request was running for too long."}])
    );
    assert_eq!(world.get("/query?q=SELECT+Id+FROM+Account").await.status, 200);
}

#[tokio::test]
async fn a_lost_answer_is_committed() {
    for spec in ["lost-503", "lost-504", "lost-reset", "malformed"] {
        let world = struck_by(&format!("{spec},op=collections-update,count=1")).await;
        let id = world.ids("Account")[0].clone();
        let body = super::wire::collection("Account", &[(&id, json!({"Site": "x"}))]).to_string();
        let reply = world.try_call("PATCH", "/composite/sobjects", &[], &body).await;
        match spec {
            "lost-reset" => assert!(reply.is_err()),
            "malformed" => assert!(serde_json::from_str::<serde_json::Value>(&reply.unwrap().text).is_err()),
            _ => assert_eq!(reply.unwrap().status.to_string(), spec.trim_start_matches("lost-")),
        }
        assert_eq!(world.stored("Account", &id, "Site").as_deref(), Some("x"));
        assert_eq!(world.control().ledger().len(), 1);
    }
}

#[tokio::test]
async fn a_reset_commits_nothing() {
    let world = struck_by("reset,op=collections-update").await;
    let id = world.ids("Account")[0].clone();
    let body = super::wire::collection("Account", &[(&id, json!({"Site": "x"}))]).to_string();
    assert!(world.try_call("PATCH", "/composite/sobjects", &[], &body).await.is_err());
    assert_eq!(world.control().ledger(), []);
    assert_eq!(world.control().report().calls(Operation::CollectionsUpdate).reset, 1);
}

#[tokio::test]
async fn rows_are_struck_by_id_field_and_text() {
    let world = World::small().await;
    let ids = world.ids("Account");
    let spec = format!(
        "row-lock,record={};row-error,code=STORAGE_LIMIT_EXCEEDED,message=storage limit exceeded,field=Site,sent=big",
        ids[0]
    );
    world.control().set_faults(spec.parse().unwrap());
    let reply = world
        .update(&[
            (&ids[0], json!({"Site": "x"})),
            (&ids[1], json!({"Site": "big"})),
            (&ids[2], json!({"Site": "x"})),
        ])
        .await;
    assert_eq!(reply.codes(), ["UNABLE_TO_LOCK_ROW", "STORAGE_LIMIT_EXCEEDED", ""]);
    assert!(reply.text.contains(&format!("1 records: {}", ids[0])));
}

#[tokio::test]
async fn success_does_not_prove_that_the_value_stuck() {
    let world = World::small().await;
    let ids = world.ids("Account");
    let spec = format!(
        "ignored,record={};differs,record={},field=Site,value=other;differs,record={}",
        ids[0], ids[1], ids[2]
    );
    world.control().set_faults(spec.parse().unwrap());
    let rows: Vec<(&str, serde_json::Value)> =
        ids.iter().take(4).map(|id| (id.as_str(), json!({"Site": "x"}))).collect();
    assert_eq!(world.update(&rows).await.codes(), ["", "", "", ""]);
    let stored: Vec<Option<String>> =
        ids.iter().take(4).map(|id| world.stored("Account", id, "Site")).collect();
    assert_eq!(
        stored,
        [None, Some("other".to_owned()), Some("x (changed)".to_owned()), Some("x".to_owned())]
    );
}

#[tokio::test]
async fn a_hidden_record_is_missing_everywhere() {
    let world = World::small().await;
    let id = world.ids("Account")[0].clone();
    world.control().set_faults(Faults::from(Fault::new(FaultKind::Missing).record(&id)));
    let read = world.post("/composite/sobjects/Account", &json!({"ids": [id], "fields": ["Id"]})).await;
    assert_eq!(read.json(), json!([null]));
    assert_eq!(world.query("SELECT Id FROM Account").await["totalSize"], 9);
    assert_eq!(world.get(&format!("/sobjects/Account/{id}")).await.status, 404);
    assert_eq!(world.update(&[(&id, json!({"Site": "x"}))]).await.codes(), ["INVALID_CROSS_REFERENCE_KEY"]);
}

#[tokio::test]
async fn a_field_goes_away_after_some_calls() {
    let world = struck_by("field-gone,object=Account,field=Site,after=1").await;
    let path = "/query?q=SELECT+Site+FROM+Account";
    assert_eq!(world.get(path).await.status, 200);
    assert_eq!(world.get(path).await.refusal().1, "INVALID_FIELD");
    let id = world.ids("Account")[0].clone();
    assert_eq!(world.update(&[(&id, json!({"Site": "x"}))]).await.codes(), ["INVALID_FIELD"]);
}

#[tokio::test]
async fn the_token_endpoint_can_refuse_for_good_or_for_now() {
    let mut world = struck_by(
        "refresh-busy,op=oauth-token,count=1;invalid-grant,op=oauth-token,count=1;end-session,op=limits",
    )
    .await;
    let form = "grant_type=client_credentials&client_id=sim-consumer-key&client_secret=sim-consumer-secret";
    let ask =
        async |world: &World| world.try_call("POST", "/services/oauth2/token", &[], form).await.unwrap();
    for description in ["token request is already being processed", "expired access/refresh token"] {
        let refused = ask(&world).await;
        assert_eq!((refused.status, &refused.json()["error_description"]), (400, &json!(description)));
    }
    world.token = super::wire::text(&ask(&world).await.json()["access_token"]);
    assert_eq!(world.get("/limits").await.status, 200);
    assert_eq!(world.get("/limits").await.status, 401);
}

#[tokio::test]
async fn a_slow_answer_comes() {
    let world = struck_by("delay,ms=1,op=limits").await;
    assert_eq!(world.get("/limits").await.status, 200);
    assert_eq!(world.control().strikes(), [("delay,ms=1,op=limits".to_owned(), 1)]);
}

#[tokio::test]
async fn chance_is_the_same_for_the_same_seed() {
    let mut runs = Vec::new();
    for seed in [1, 1, 2] {
        let world = World::with(|config| {
            config.seed = seed;
            config.faults = "503,p=0.5,op=limits".parse().unwrap();
        })
        .await;
        let mut statuses = Vec::new();
        for _ in 0..24 {
            statuses.push(world.get("/limits").await.status);
        }
        runs.push(statuses);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
    assert!(runs[0].contains(&503) && runs[0].contains(&200));
}
