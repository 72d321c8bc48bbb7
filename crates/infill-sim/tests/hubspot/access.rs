//! Tokens, scopes and rate limits.

use std::time::Duration;

use infill_sim::hubspot::{
    Config, LimitTier, Limits, SIM_CLIENT_ID, SIM_CLIENT_SECRET, SIM_REFRESH_TOKEN, Source, StaticToken,
};
use serde_json::{Value, json};

use super::wire::{A, Reply, World, send};

async fn grant(world: &World, path: &str, refresh_token: &str) -> Reply {
    let form = format!(
        "grant_type=refresh_token&client_id={SIM_CLIENT_ID}&client_secret={SIM_CLIENT_SECRET}&refresh_token={refresh_token}"
    );
    world.send("POST", path, &form).await
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn limited(limits: Limits) -> impl FnOnce(&mut Config) {
    move |config| {
        config.records = Source::Generate(3);
        config.limits = limits;
    }
}

#[tokio::test]
async fn a_call_without_a_good_token_is_401_and_a_badly_formed_one_530() {
    let world = World::small().await;
    for authorization in ["Bearer wrong", "Basic abc", ""] {
        let reply = send(world.simulator.addr(), "GET", "/crm/v3/lists/42", authorization, "").await.unwrap();
        assert_eq!((reply.status, &reply.json()["category"]), (401, &json!("INVALID_AUTHENTICATION")));
    }
    let reply = send(world.simulator.addr(), "GET", "/crm/v3/lists/42", "Bearer <token>", "").await.unwrap();
    assert_eq!(reply.status, 530);
    assert_eq!(world.control().report().unauthorized, 3);
}

#[tokio::test]
async fn a_missing_scope_is_403_and_says_which() {
    let world = World::with(|config| {
        let scopes = vec!["crm.objects.contacts.read".to_owned()];
        config.tokens = vec![StaticToken { secret: "sim-token".to_owned(), app_id: 1, scopes }];
    })
    .await;
    assert_eq!(world.read(&[A], &[]).await.status, 200);
    let reply = world.write("city", &[(A, "Rome")]).await;
    assert_eq!((reply.status, &reply.json()["category"]), (403, &json!("MISSING_SCOPES")));
    let needed = &reply.json()["errors"][0]["context"]["requiredGranularScopes"];
    assert_eq!(needed, &json!(["crm.objects.contacts.write"]));
    assert_eq!(world.get("/crm/v3/lists/42").await.status, 403);
}

#[tokio::test]
async fn an_access_token_lives_for_its_time_and_is_refreshed() {
    let mut world = World::small().await;
    for path in ["/oauth/v1/token", "/oauth/v3/token", "/oauth/2026-03/token"] {
        let granted = grant(&world, path, SIM_REFRESH_TOKEN).await.json();
        assert_eq!(
            (&granted["expires_in"], &granted["refresh_token"]),
            (&json!(1_800), &json!(SIM_REFRESH_TOKEN))
        );
        assert_eq!((&granted["hub_id"], &granted["token_type"]), (&json!(424_242), &json!("bearer")));
    }
    world.token = text(&grant(&world, "/oauth/v3/token", SIM_REFRESH_TOKEN).await.json()["access_token"]);
    let reply = world.read(&[A], &[]).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("x-hubspot-ratelimit-max"), Some("110"));
    assert_eq!(reply.header("x-hubspot-ratelimit-daily"), None);
    let inspected =
        world.send("POST", "/oauth/v3/token/introspect", &format!("token={}", world.token)).await.json();
    assert_eq!((&inspected["active"], &inspected["token_type"]), (&json!(true), &json!("access")));
    world.control().advance_clock(Duration::from_secs(1_800));
    let expired = world.read(&[A], &[]).await;
    assert_eq!((expired.status, &expired.json()["category"]), (401, &json!("EXPIRED_AUTHENTICATION")));
    assert!(
        expired.json()["message"]
            .as_str()
            .unwrap()
            .starts_with("The OAuth token used to make this call expired ")
    );
    assert!(expired.json()["context"]["expire time"][0].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn a_rotated_refresh_token_is_good_once() {
    let world = World::with(|config| {
        config.oauth.rotates_refresh_tokens = true;
        config.oauth.token_ttl = Duration::from_secs(60);
    })
    .await;
    let first = grant(&world, "/oauth/v3/token", SIM_REFRESH_TOKEN).await.json();
    assert_eq!(first["expires_in"], 60);
    let again = grant(&world, "/oauth/v3/token", SIM_REFRESH_TOKEN).await;
    assert_eq!((again.status, &again.json()["status"]), (400, &json!("BAD_REFRESH_TOKEN")));
    assert_eq!(again.json()["error"], "invalid_grant");
    assert_eq!(grant(&world, "/oauth/v3/token", &text(&first["refresh_token"])).await.status, 200);
    let wrong = world.send("POST", "/oauth/v3/token", "grant_type=refresh_token&client_id=x").await;
    assert_eq!((wrong.status, &wrong.json()["error"]), (400, &json!("invalid_client")));
}

#[tokio::test]
async fn the_ten_second_window_refuses_by_name_and_passes() {
    let limits = Limits { ten_seconds: Some(3), ..Limits::of(LimitTier::Professional) };
    let world = World::with(limited(limits)).await;
    for left in ["2", "1", "0"] {
        let reply = world.get("/crm/v3/lists/42").await;
        assert_eq!(reply.header("x-hubspot-ratelimit-remaining"), Some(left));
        assert_eq!(reply.header("x-hubspot-ratelimit-interval-milliseconds"), Some("10000"));
    }
    let refused = world.get("/crm/v3/lists/42").await;
    let body = refused.json();
    assert_eq!((refused.status, &body["policyName"]), (429, &json!("TEN_SECONDLY_ROLLING")));
    assert_eq!(body["errorType"], "RATE_LIMIT");
    assert!(body.get("category").is_none());
    assert_eq!(refused.header("retry-after"), None);
    assert_eq!(refused.header("x-hubspot-correlation-id"), body["correlationId"].as_str());
    world.control().advance_clock(Duration::from_secs(10));
    assert_eq!(world.get("/crm/v3/lists/42").await.status, 200);
    let report = world.control().report();
    assert_eq!((report.refused["ten-secondly"], report.total_throttled()), (1, 1));
    assert_eq!((report.worst.ten_seconds_accepted, report.worst.ten_seconds_received), (3, 4));
}

#[tokio::test]
async fn a_refused_search_has_another_body_and_no_window_headers() {
    let limits = Limits { search_per_second: Some(0), ..Limits::of(LimitTier::Professional) };
    let world = World::with(limited(limits)).await;
    let refused = world.post("/crm/v3/objects/contacts/search", &json!({})).await;
    let body = refused.json();
    assert_eq!((refused.status, &body["category"]), (429, &json!("RATE_LIMITS")));
    assert_eq!(body["message"], "You have reached your secondly limit.");
    assert!(body.get("policyName").is_none());
    world.control().set_limits(Limits::of(LimitTier::Professional));
    let found = world.post("/crm/v3/objects/contacts/search", &json!({})).await;
    assert_eq!(found.header("x-hubspot-ratelimit-max"), None);
    assert_eq!(found.header("x-hubspot-ratelimit-daily"), Some("625000"));
}

#[tokio::test]
async fn the_daily_limit_holds_until_the_accounts_midnight() {
    let limits = Limits { daily: Some(2), ..Limits::of(LimitTier::Professional) };
    let world = World::with(|config| {
        limited(limits)(config);
        config.switches.retry_after = true;
    })
    .await;
    world.get("/crm/v3/lists/42").await;
    let last = world.get("/crm/v3/lists/42").await;
    assert_eq!(last.header("x-hubspot-ratelimit-daily-remaining"), Some("0"));
    let refused = world.get("/crm/v3/lists/42").await;
    assert_eq!((refused.status, &refused.json()["policyName"]), (429, &json!("DAILY")));
    assert_eq!(refused.json()["message"], "You have reached your daily limit.");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    world.control().advance_clock(Duration::from_secs(wait));
    assert_eq!(world.get("/crm/v3/lists/42").await.status, 200);
}
