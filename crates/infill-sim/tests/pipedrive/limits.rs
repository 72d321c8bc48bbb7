//! The day's tokens, the windows of two seconds, and what comes of ignoring 429.

use std::time::Duration;

use infill_sim::pipedrive::{Config, LimitTier, Limits, Source};
use serde_json::json;

use super::wire::{A, World};

fn limited(limits: Limits) -> impl FnOnce(&mut Config) {
    move |config| {
        config.records = Source::Generate(3);
        config.limits = limits;
    }
}

#[tokio::test]
async fn every_call_costs_its_tokens_and_says_what_is_left() {
    let world = World::with(limited(Limits::of(LimitTier::Lite))).await;
    let reply = world.get("/api/v2/persons").await;
    assert_eq!(reply.header("x-ratelimit-limit"), Some("20"));
    assert_eq!(reply.header("x-ratelimit-remaining"), Some("19"));
    assert_eq!(reply.header("x-ratelimit-reset"), Some("2"));
    assert_eq!(reply.header("x-daily-ratelimit-token-limit"), Some("30000"));
    assert_eq!(reply.header("x-daily-ratelimit-token-remaining"), Some("29990"));
    assert_eq!(reply.header("x-daily-requests-left"), None);
    world.update(A, &json!({"name": "New Name"})).await;
    let posted = world.post("/api/v2/persons", &json!({"name": "Another"})).await;
    assert_eq!((posted.status, posted.header("x-daily-requests-left")), (200, Some("29980")));
    world.get(&format!("/api/v2/persons/{A}")).await;
    let report = world.control().report();
    assert_eq!((report.tokens.today, report.calls("update persons").tokens), (21, 5));
}

#[tokio::test]
async fn the_undocumented_headers_can_be_missing() {
    let world = World::with(|config| config.switches.daily_headers = false).await;
    let reply = world.get("/v1/users/me").await;
    assert_eq!(reply.header("x-daily-ratelimit-token-remaining"), None);
    assert_eq!(reply.header("x-ratelimit-remaining"), Some("99"));
}

#[tokio::test]
async fn the_window_refuses_and_rolls_on() {
    let world = World::with(limited(Limits { burst: Some(2), ..Limits::of(LimitTier::Premium) })).await;
    for left in ["1", "0"] {
        assert_eq!(world.get("/v1/users/me").await.header("x-ratelimit-remaining"), Some(left));
    }
    let refused = world.get("/v1/users/me").await;
    assert_eq!(refused.error(), (429, "request over limit".to_owned()));
    assert_eq!(refused.json()["errorCode"], 429);
    assert_eq!(refused.header("retry-after"), None);
    assert_eq!(refused.header("x-ratelimit-remaining"), Some("0"));
    assert_ne!(refused.header("x-daily-ratelimit-token-remaining"), Some("0"));
    world.control().advance_clock(Duration::from_secs(2));
    assert_eq!(world.get("/v1/users/me").await.status, 200);
    let report = world.control().report();
    assert_eq!((report.refused["burst"], report.calls("me").throttled), (1, 1));
    assert_eq!((report.worst.burst_received, report.worst.burst_accepted), (3, 2));
    assert_eq!(report.tokens.total, 6);
}

#[tokio::test]
async fn searches_have_a_window_of_their_own() {
    let world =
        World::with(limited(Limits { search_burst: Some(1), ..Limits::of(LimitTier::Premium) })).await;
    assert_eq!(world.get("/api/v2/persons/search?term=an").await.status, 200);
    assert_eq!(world.get("/api/v2/persons/search?term=an").await.status, 429);
    assert_eq!(world.get("/api/v2/persons").await.status, 200);
    assert_eq!(world.control().report().refused["search"], 1);
    assert_eq!(world.control().tokens().today, 30);
}

#[tokio::test]
async fn a_spent_day_refuses_everything_until_the_servers_midnight() {
    let world = World::with(|config| {
        limited(Limits { daily_tokens: Some(30), ..Limits::of(LimitTier::Premium) })(config);
        config.server_time_zone = "Europe/Tallinn".to_owned();
    })
    .await;
    world.control().spend_tokens(27);
    let last = world.update(A, &json!({"name": "New Name"})).await;
    assert_eq!((last.status, last.header("x-daily-ratelimit-token-remaining")), (200, Some("0")));
    let refused = world.get("/v1/users/me").await;
    assert_eq!(refused.error(), (429, "request over limit".to_owned()));
    assert_eq!(refused.header("x-daily-ratelimit-token-remaining"), Some("0"));
    assert_ne!(refused.header("x-ratelimit-remaining"), Some("0"));
    // It is 17:00 in UTC, and 19:00 in Tallinn.
    world.control().advance_clock(Duration::from_secs(5 * 3_600 - 60));
    assert_eq!(world.get("/v1/users/me").await.status, 429);
    world.control().advance_clock(Duration::from_secs(60));
    assert_eq!(world.get("/v1/users/me").await.status, 200);
    assert_eq!(world.control().report().refused["daily"], 2);
}

#[tokio::test]
async fn who_ignores_429_is_shown_cloudflares_page() {
    let world = World::with(|config| {
        limited(Limits { burst: Some(0), ..Limits::of(LimitTier::Premium) })(config);
        config.switches.blocks_after = Some(3);
        config.switches.blocks_for = Duration::from_secs(30);
    })
    .await;
    for _ in 0..3 {
        assert_eq!(world.get("/v1/users/me").await.status, 429);
    }
    let blocked = world.get("/v1/users/me").await;
    assert_eq!(blocked.status, 403);
    assert!(blocked.header("content-type").unwrap().starts_with("text/html"));
    assert!(blocked.text.contains("Cloudflare"));
    world.control().set_limits(Limits::of(LimitTier::Premium));
    assert_eq!(world.get("/v1/users/me").await.status, 403);
    world.control().advance_clock(Duration::from_secs(31));
    assert_eq!(world.get("/v1/users/me").await.status, 200);
    assert_eq!(world.control().report().refused["blocked"], 2);
}
