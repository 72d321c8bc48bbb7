//! The ledger of the daily limit, and requests that last.

use std::time::Duration;

use infill_sim::salesforce::{Edition, Limits, Source};
use serde_json::json;

use super::wire::World;

fn limited(limits: Limits) -> impl FnOnce(&mut infill_sim::salesforce::Config) {
    move |config| {
        config.records = Source::Empty;
        config.limits = limits;
    }
}

#[tokio::test]
async fn every_answer_tells_what_is_used_and_the_limit_refuses() {
    let world =
        World::with(limited(Limits { daily: Some(3), tolerated: 1, ..Limits::of(Edition::Enterprise) }))
            .await;
    for used in 1..=4 {
        let reply = world.get("/sobjects").await;
        assert_eq!(reply.header("sforce-limit-info"), Some(format!("api-usage={used}/3").as_str()));
    }
    let refused = world.get("/limits").await;
    assert_eq!(
        refused.json(),
        json!([{"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}])
    );
    assert_eq!((refused.status, refused.header("sforce-limit-info")), (403, Some("api-usage=4/3")));
    assert_eq!(refused.header("retry-after"), None);
    let report = world.control().report();
    assert_eq!((report.api_requests, report.refused["daily"], report.usage.last_24_hours), (4, 1, 4));
    assert_eq!((report.calls["limits"].throttled, report.calls["describe-global"].received), (1, 4));
}

#[tokio::test]
async fn the_24_hours_roll() {
    let world = World::with(limited(Limits { daily: Some(2), ..Limits::of(Edition::Enterprise) })).await;
    world.get("/sobjects").await;
    world.control().advance_clock(Duration::from_secs(3_600));
    assert_eq!(world.get("/limits").await.json()["DailyApiRequests"], json!({"Max": 2, "Remaining": 0}));
    assert_eq!(world.get("/sobjects").await.status, 403);
    world.control().advance_clock(Duration::from_secs(23 * 3_600));
    assert_eq!(world.get("/sobjects").await.status, 200);
    assert_eq!(world.get("/sobjects").await.status, 403);
    world.control().set_limits(Limits::of(Edition::None));
    assert_eq!(world.get("/sobjects").await.header("sforce-limit-info"), Some("api-usage=3/unlimited"));
}

#[tokio::test]
async fn requests_that_last_count_at_the_same_time() {
    let world = World::with(|config| {
        limited(Limits { concurrent_long: Some(2), ..Limits::of(Edition::Enterprise) })(config);
        config.faults = "hold,op=describe-global".parse().unwrap();
    })
    .await;
    let control = world.control();
    let probe = async {
        control.wait_for_held(2).await;
        let short = world.get("/limits").await;
        control.advance_clock(Duration::from_secs(20));
        let refused = world.get("/limits").await;
        control.release();
        (short, refused)
    };
    let (first, second, (short, refused)) =
        tokio::join!(world.get("/sobjects"), world.get("/sobjects"), probe);
    assert_eq!((first.status, second.status, short.status), (200, 200, 200));
    assert_eq!(refused.json()[0]["message"], "ConcurrentRequests (Concurrent API Requests) Limit exceeded.");
    assert_eq!(world.get("/limits").await.status, 200);
    assert_eq!(control.report().refused["concurrent"], 1);
}

#[tokio::test]
async fn the_apps_own_share_may_be_told_as_well() {
    let world = World::with(|config| {
        config.records = Source::Empty;
        config.switches.per_app_usage = true;
    })
    .await;
    let told = world.get("/sobjects").await.header("sforce-limit-info").unwrap().to_owned();
    assert_eq!(told, "api-usage=1/110000; per-app-api-usage=1/110000(appName=sim)");
}
