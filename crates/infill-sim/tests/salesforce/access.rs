//! Sessions, tokens and who is connected.

use std::time::Duration;

use infill_sim::salesforce::{Config, JwtCheck, SIM_CLIENT_ID, SIM_CLIENT_SECRET, SIM_REFRESH_TOKEN, Source};
use serde_json::{Value, json};

use super::wire::{Reply, World, send, text};

const TOKEN: &str = "/services/oauth2/token";
/// Signed by the key that belongs to [`PUBLIC_KEY`]; expires three minutes after the org's start.
const ASSERTION: &str = include_str!("assertion.jwt");
const PUBLIC_KEY: &str = include_str!("assertion_public.pem");

async fn ask(world: &World, form: &str) -> Reply {
    world
        .try_call("POST", TOKEN, &[("content-type", "application/x-www-form-urlencoded")], form)
        .await
        .unwrap()
}

async fn refresh(world: &World, token: &str) -> Reply {
    let form = format!(
        "grant_type=refresh_token&client_id={SIM_CLIENT_ID}&client_secret={SIM_CLIENT_SECRET}&refresh_token={token}"
    );
    ask(world, &form).await
}

async fn bearer(world: &World, assertion: &str) -> Reply {
    ask(
        world,
        &format!("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}"),
    )
    .await
}

fn rotating(config: &mut Config) {
    config.records = Source::Empty;
    config.app.rotates_refresh_tokens = true;
}

#[tokio::test]
async fn a_call_without_a_good_session_is_401_with_an_array() {
    let world = World::small().await;
    for (header, code) in [("Bearer wrong", "INVALID_SESSION_ID"), ("wrong", "INVALID_AUTH_HEADER")] {
        let path = "/services/data/v68.0/limits";
        let reply =
            send(world.simulator.addr(), "GET", path, &[("authorization", header)], "").await.unwrap();
        assert_eq!(reply.refusal(), (401, code.to_owned()));
    }
    let none = send(world.simulator.addr(), "GET", "/services/data/v68.0/limits", &[], "").await.unwrap();
    assert_eq!(
        none.json(),
        json!([{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}])
    );
    assert_eq!(world.control().report().unauthorized, 3);
    assert_eq!(world.control().report().api_requests, 0);
}

#[tokio::test]
async fn versions_need_no_session_and_old_ones_are_gone() {
    let world = World::with(|config| config.api_version = "60.0".parse().unwrap()).await;
    let versions = send(world.simulator.addr(), "GET", "/services/data", &[], "").await.unwrap().json();
    assert_eq!(versions.as_array().unwrap().last().unwrap()["version"], "60.0");
    assert_eq!(world.get("/services/data/v30.0/limits").await.status, 410);
    assert_eq!(world.get("/services/data/v61.0/limits").await.status, 404);
    assert_eq!(world.get("/services/data/v31.0/limits").await.status, 200);
    assert!(world.get("/services/data/v60.0").await.json()["sobjects"].is_string());
}

#[tokio::test]
async fn a_refresh_tells_the_instance_and_no_life() {
    let mut world = World::small().await;
    let granted = refresh(&world, SIM_REFRESH_TOKEN).await.json();
    assert_eq!(granted["instance_url"], json!(world.simulator.base_url()));
    assert_eq!(granted["token_type"], "Bearer");
    assert!(granted.get("expires_in").is_none() && granted.get("refresh_token").is_none());
    assert!(text(&granted["issued_at"]).parse::<i64>().is_ok());
    world.token = text(&granted["access_token"]);
    assert_eq!(world.get("/limits").await.status, 200);
    let identity = text(&granted["id"]).replace(&world.simulator.base_url(), "");
    let who = world.get(&identity).await.json();
    assert_eq!(
        (&who["timezone"], &who["username"]),
        (&json!("America/New_York"), &json!("integration@sim.example"))
    );
    assert_eq!(world.get("/services/oauth2/userinfo").await.json()["zoneinfo"], "America/New_York");
    let org = world.query("SELECT Id, Name, TimeZoneSidKey, IsSandbox FROM Organization").await["records"][0]
        .clone();
    assert_eq!((&org["Id"], &org["Name"]), (&who["organization_id"], &json!("Infinite Widgets")));
    assert_eq!((&org["TimeZoneSidKey"], &org["IsSandbox"]), (&json!("America/New_York"), &json!(false)));
    world.control().advance_clock(Duration::from_secs(7_200));
    assert_eq!(world.get("/limits").await.refusal().0, 401);
}

#[tokio::test]
async fn a_token_may_be_good_for_some_calls_only() {
    let mut world = World::with(|config| {
        config.records = Source::Empty;
        config.app.calls_per_token = Some(2);
    })
    .await;
    world.token = text(&refresh(&world, SIM_REFRESH_TOKEN).await.json()["access_token"]);
    for status in [200, 200, 401] {
        assert_eq!(world.get("/limits").await.status, status);
    }
    world.token = text(&refresh(&world, SIM_REFRESH_TOKEN).await.json()["access_token"]);
    world.control().expire_tokens();
    assert_eq!(world.get("/limits").await.status, 401);
}

#[tokio::test]
async fn presenting_a_rotated_token_ends_everything() {
    let mut world = World::with(rotating).await;
    let first = refresh(&world, SIM_REFRESH_TOKEN).await.json();
    let second = refresh(&world, &text(&first["refresh_token"])).await.json();
    world.token = text(&second["access_token"]);
    assert_eq!(world.get("/limits").await.status, 200);
    let reused = refresh(&world, SIM_REFRESH_TOKEN).await;
    assert_eq!(
        (reused.status, reused.json()),
        (400, json!({"error": "invalid_grant", "error_description": "expired access/refresh token"}))
    );
    assert_eq!(world.get("/limits").await.status, 401);
    assert_eq!(refresh(&world, &text(&second["refresh_token"])).await.status, 400);
    world.control().approve_app("fresh");
    assert_eq!(refresh(&world, "fresh").await.status, 200);
}

#[tokio::test]
async fn two_refreshes_of_one_token_do_not_meet() {
    let world = World::with(|config| {
        rotating(config);
        config.faults = "hold,op=oauth-token,count=1".parse().unwrap();
    })
    .await;
    let control = world.control();
    let second = async {
        control.wait_for_held(1).await;
        let refused = refresh(&world, SIM_REFRESH_TOKEN).await;
        control.release();
        refused
    };
    let (first, second) = tokio::join!(refresh(&world, SIM_REFRESH_TOKEN), second);
    assert_eq!(first.status, 200);
    assert_eq!(second.json()["error"], "invalid_grant");
    assert_eq!(second.json()["error_description"], "token request is already being processed");
    assert_eq!(refresh(&world, &text(&first.json()["refresh_token"])).await.status, 200);
}

#[tokio::test]
async fn client_credentials_and_assertions_give_no_refresh_token() {
    let mut world = World::with(|config| {
        config.records = Source::Empty;
        config.app.jwt = JwtCheck::PublicKey(PUBLIC_KEY.to_owned());
    })
    .await;
    let form =
        format!("grant_type=client_credentials&client_id={SIM_CLIENT_ID}&client_secret={SIM_CLIENT_SECRET}");
    for reply in [ask(&world, &form).await, bearer(&world, ASSERTION).await] {
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert!(reply.json().get("refresh_token").is_none());
        world.token = text(&reply.json()["access_token"]);
        assert_eq!(world.get("/limits").await.status, 200);
    }
    let (signed, _) = ASSERTION.rsplit_once('.').unwrap();
    assert_eq!(
        bearer(&world, &format!("{signed}.AAAA")).await.json()["error_description"],
        "invalid assertion"
    );
    world.control().advance_clock(Duration::from_secs(180));
    assert_eq!(bearer(&world, ASSERTION).await.json()["error_description"], "expired authorization code");
    // `sim-consumer-key:sim-consumer-secret`
    let basic = [("authorization", "Basic c2ltLWNvbnN1bWVyLWtleTpzaW0tY29uc3VtZXItc2VjcmV0")];
    let by_header =
        send(world.simulator.addr(), "POST", TOKEN, &basic, "grant_type=client_credentials").await;
    assert_eq!(by_header.unwrap().status, 200);
    let wrong = ask(&world, "grant_type=client_credentials&client_id=x&client_secret=y").await;
    assert_eq!((wrong.status, &wrong.json()["error"]), (400, &json!("invalid_client_id")));
    assert_eq!(ask(&world, "grant_type=password").await.status, 400);
}

#[tokio::test]
async fn an_assertion_needs_an_approved_app() {
    let world = World::with(|config| config.app.jwt = JwtCheck::Refused).await;
    assert_eq!(
        bearer(&world, ASSERTION).await.json()["error_description"],
        "user hasn't approved this consumer"
    );
    let unsigned = World::with(|config| config.records = Source::Empty).await;
    let (signed, _) = ASSERTION.rsplit_once('.').unwrap();
    assert_eq!(bearer(&unsigned, &format!("{signed}.AAAA")).await.status, 200);
}

#[tokio::test]
async fn a_revoked_token_is_no_more() {
    let mut world = World::small().await;
    world.token = text(&refresh(&world, SIM_REFRESH_TOKEN).await.json()["access_token"]);
    let form = format!("token={SIM_REFRESH_TOKEN}");
    let revoked = world.try_call("POST", "/services/oauth2/revoke", &[], &form).await.unwrap();
    assert_eq!(revoked.status, 200);
    assert_eq!(world.get("/limits").await.status, 401);
    assert_eq!(refresh(&world, SIM_REFRESH_TOKEN).await.json()["error"], "invalid_grant");
    assert_eq!(world.call("GET", "/services/oauth2/userinfo", &[], &Value::Null).await.status, 401);
}
