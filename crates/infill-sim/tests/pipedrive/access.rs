//! Tokens, scopes, the company behind them, and paths that lead nowhere.

use std::time::Duration;

use infill_sim::pipedrive::{Absence, SIM_CODE, SIM_REFRESH_TOKEN, Source};
use serde_json::{Value, json};

use super::wire::{A, Reply, World, send};

/// `sim-client-id:sim-client-secret`
const BASIC: &str = "Authorization: Basic c2ltLWNsaWVudC1pZDpzaW0tY2xpZW50LXNlY3JldA==";

async fn grant(world: &World, form: &str) -> Reply {
    send(world.simulator.addr(), "POST", "/oauth/token", BASIC, form).await.unwrap()
}

async fn refresh(world: &World, token: &str) -> Reply {
    grant(world, &format!("grant_type=refresh_token&refresh_token={token}")).await
}

fn bearer(granted: &Value) -> String {
    format!("Authorization: Bearer {}", granted["access_token"].as_str().unwrap())
}

#[tokio::test]
async fn the_company_and_its_domain_are_told_for_two_tokens() {
    let world = World::small().await;
    let me = world.get("/v1/users/me").await.data();
    assert_eq!(
        (&me["company_domain"], &me["timezone_name"]),
        (&json!("acme-sandbox"), &json!("America/New_York"))
    );
    assert_eq!(
        (&me["id"], &me["timezone_offset"], &me["is_you"]),
        (&json!(11), &json!("-05:00"), &json!(true))
    );
    assert_eq!(world.get("/api/v1/users").await.data().as_array().unwrap().len(), 2);
    assert_eq!(world.control().tokens().today, 2 + 20);
}

#[tokio::test]
async fn a_call_without_a_good_token_is_401() {
    let world = World::small().await;
    for login in ["x-api-token: wrong", "Authorization: Bearer wrong", "x-other: sim-token"] {
        let reply = send(world.simulator.addr(), "GET", "/v1/users/me", login, "").await.unwrap();
        assert_eq!(reply.error(), (401, "unauthorized access".to_owned()));
        assert_eq!(reply.json()["errorCode"], 401);
    }
    let in_query =
        send(world.simulator.addr(), "GET", "/v1/users/me?api_token=sim-token", "x-a: b", "").await.unwrap();
    assert_eq!(in_query.status, 401);
    assert_eq!(world.control().report().unauthorized, 4);
    assert_eq!(world.control().tokens().today, 0);
}

#[tokio::test]
async fn an_access_token_lives_3599_seconds_and_its_refresh_token_stays() {
    let mut world = World::small().await;
    let granted = refresh(&world, SIM_REFRESH_TOKEN).await.json();
    assert_eq!((&granted["expires_in"], &granted["token_type"]), (&json!(3_599), &json!("Bearer")));
    assert_eq!(granted["refresh_token"], SIM_REFRESH_TOKEN);
    assert_eq!(granted["api_domain"], json!(world.simulator.base_url()));
    world.login = bearer(&granted);
    let reply = world.get("/v1/users/me").await;
    assert_eq!((reply.status, reply.header("x-ratelimit-limit")), (200, Some("400")));
    world.control().advance_clock(Duration::from_secs(3_599));
    assert_eq!(world.get("/v1/users/me").await.status, 401);
    world.login = bearer(&refresh(&world, SIM_REFRESH_TOKEN).await.json());
    assert_eq!(world.get("/v1/users/me").await.status, 200);
}

#[tokio::test]
async fn a_refresh_token_dies_of_sixty_idle_days_and_of_uninstalling() {
    let world = World::small().await;
    let days = |n: u64| Duration::from_secs(n * 86_400);
    world.control().advance_clock(days(59));
    assert_eq!(refresh(&world, SIM_REFRESH_TOKEN).await.status, 200);
    world.control().advance_clock(days(59));
    assert_eq!(refresh(&world, SIM_REFRESH_TOKEN).await.status, 200);
    world.control().advance_clock(days(60));
    let idle = refresh(&world, SIM_REFRESH_TOKEN).await;
    assert_eq!((idle.status, &idle.json()["error"]), (400, &json!("invalid_grant")));
    assert_eq!(idle.json()["message"], "Invalid grant: refresh_token is invalid");
    world.control().install_app("another");
    assert_eq!(refresh(&world, "another").await.status, 200);
    world.control().revoke_refresh_tokens();
    assert_eq!(refresh(&world, "another").await.status, 400);
}

#[tokio::test]
async fn a_code_is_good_once_and_for_five_minutes() {
    let world = World::small().await;
    let exchange = |code: &str| format!("grant_type=authorization_code&redirect_uri=x&code={code}");
    let granted = grant(&world, &exchange(SIM_CODE)).await;
    assert_eq!((granted.status, &granted.json()["refresh_token"]), (200, &json!(SIM_REFRESH_TOKEN)));
    assert_eq!(grant(&world, &exchange(SIM_CODE)).await.status, 400);
    let late = world.control().issue_code();
    world.control().advance_clock(Duration::from_secs(300));
    assert_eq!(grant(&world, &exchange(&late)).await.status, 400);
    assert_eq!(grant(&world, &exchange(&world.control().issue_code())).await.status, 200);
    let stranger =
        send(world.simulator.addr(), "POST", "/oauth/token", "Authorization: Basic eDp5", "").await.unwrap();
    assert_eq!((stranger.status, &stranger.json()["error"]), (401, &json!("invalid_client")));
    assert_eq!(
        grant(&world, "grant_type=client_credentials").await.json()["error"],
        "unsupported_grant_type"
    );
}

#[tokio::test]
async fn a_missing_scope_is_403() {
    let mut world = World::with(|config| {
        config.records = Source::Generate(3);
        config.oauth.scopes = vec!["contacts:read".to_owned()];
    })
    .await;
    world.login = bearer(&refresh(&world, SIM_REFRESH_TOKEN).await.json());
    assert_eq!(world.get("/api/v2/persons").await.status, 200);
    let refused = world.update(A, &json!({"name": "X"})).await;
    assert_eq!(refused.error(), (403, "Scope and URL mismatch".to_owned()));
    assert_eq!(world.get("/api/v2/deals").await.status, 403);
}

#[tokio::test]
async fn removed_and_unknown_paths_answer_as_switched() {
    for (absence, status) in [(Absence::Gone, 410), (Absence::NotFound, 404)] {
        let world = World::with(|config| {
            config.switches.removed_v1 = absence;
            config.switches.unknown_path_is_403 = absence == Absence::Gone;
        })
        .await;
        for path in ["/v1/persons", "/api/v1/persons/100001", "/v1/deals", "/v1/organizations"] {
            assert_eq!(world.get(path).await.status, status, "{path}");
        }
        let unknown = if status == 410 { 403 } else { 404 };
        assert_eq!(world.get("/api/v2/nowhere").await.status, unknown);
        let report = world.control().report();
        assert_eq!((report.removed_paths, report.unknown_paths), (4, 1));
        assert_eq!(report.tokens.total, 0);
    }
}
