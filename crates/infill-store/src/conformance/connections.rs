//! Quotas and logins.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use infill_model::Timestamp;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::World;
use super::values::{at, at_once, count_true};
use crate::Error;
use crate::store::Login;

/// Another key than the suite's.
const OTHER_KEY: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

pub(super) async fn quotas_are_decided_one_after_the_other(world: &World) {
    const WORKERS: u64 = 4;
    const EACH: i64 = 5;
    let moments: Arc<Mutex<Vec<(i64, Timestamp)>>> = Arc::default();
    at_once(WORKERS, async |_| {
        let store = world.open(None).await.unwrap();
        for _ in 0..EACH {
            let moments = Arc::clone(&moments);
            let decide = move |state: Option<Value>, now: Timestamp| {
                let spent = state.map_or(0, |state| state["spent"].as_i64().unwrap());
                moments.lock().unwrap().push((spent, now));
                Some(json!({ "spent": spent + 1, "note": "\u{0}" }))
            };
            store.update_quota(&"main".into(), Box::new(decide)).await.unwrap();
        }
    })
    .await;
    let spent = i64::try_from(WORKERS).unwrap() * EACH;
    let quota = world.store.quota(&"main".into()).await.unwrap();
    assert_eq!(quota, Some(json!({ "spent": spent, "note": "\u{0}" })));
    let mut moments = moments.lock().unwrap().clone();
    moments.sort_by_key(|(spent, _)| *spent);
    assert_eq!(moments.iter().map(|(spent, _)| *spent).collect::<Vec<_>>(), (0..spent).collect::<Vec<_>>());
    if matches!(world.engine, super::Engine::Postgres(_)) {
        // One clock for all; on SQLite each program here was given a clock of its own.
        assert!(moments.is_sorted_by_key(|(_, now)| *now), "{moments:?}");
    }
}

pub(super) async fn a_decision_to_leave_a_quota_leaves_it(world: &World) {
    let store = &world.store;
    store.update_quota(&"main".into(), Box::new(|state, _| state)).await.unwrap();
    assert_eq!(store.quota(&"main".into()).await.unwrap(), None);
    store.update_quota(&"main".into(), Box::new(|_, _| Some(json!(1)))).await.unwrap();
    store.update_quota(&"main".into(), Box::new(|_, _| None)).await.unwrap();
    store.update_quota(&"other".into(), Box::new(|_, _| Some(json!(2)))).await.unwrap();
    assert_eq!(store.quota(&"main".into()).await.unwrap(), Some(json!(1)));
}

pub(super) async fn a_panic_in_a_decision_blocks_nobody(world: &World) {
    let main = "main".into();
    let update = world.store.update_quota(&main, Box::new(|_, _| panic!("a bug in a decision")));
    drop(AssertUnwindSafe(update).catch_unwind().await);
    world.store.update_quota(&"main".into(), Box::new(|_, _| Some(json!(1)))).await.unwrap();
    assert_eq!(world.store.quota(&"main".into()).await.unwrap(), Some(json!(1)));
}

fn login(version: u64) -> Login {
    Login {
        version,
        access: Some(format!("access-{version}").into()),
        refresh: format!("refresh-{version}").into(),
        expires_at: Some(at(1_800)),
        base_url: Some(format!("https://{version}.example")),
    }
}

pub(super) async fn a_login_is_replaced_only_by_its_next_version(world: &World) {
    let main = "main".into();
    let store = &world.store;
    assert!(store.login(&main).await.unwrap().is_none());
    assert!(store.save_login(&main, &login(1)).await.unwrap());
    assert!(!store.save_login(&main, &login(1)).await.unwrap(), "repeated");
    assert!(!store.save_login(&main, &login(3)).await.unwrap(), "one was missed");
    let saved = at_once(6, async |_| store.save_login(&main, &login(2)).await.unwrap()).await;
    assert_eq!(count_true(&saved), 1);
    let stored = world.open(Some(super::KEY)).await.unwrap().login(&main).await.unwrap().unwrap();
    assert_eq!((stored.version, stored.expires_at), (2, login(2).expires_at));
    assert_eq!(stored.base_url, login(2).base_url);
    assert_eq!(stored.access.unwrap().expose_secret(), "access-2");
    assert_eq!(stored.refresh.expose_secret(), "refresh-2");
    assert!(store.login(&"other".into()).await.unwrap().is_none());
}

pub(super) async fn one_program_at_a_time_refreshes_a_login(world: &World) {
    let main = "main".into();
    let lease =
        async |owner, until, now| world.store.lease_login(&main, owner, at(until), at(now)).await.unwrap();
    let taken = at_once(6, async |n| lease(n + 1, 10, 0).await).await;
    assert_eq!(count_true(&taken), 1);
    assert!(world.store.login(&main).await.unwrap().is_none(), "a lease is no login");
    assert!(!lease(99, 19, 9).await);
    assert!(lease(99, 20, 10).await, "lapsed");
    assert!(lease(99, 21, 11).await, "its own");
    assert!(world.store.save_login(&main, &login(5)).await.unwrap(), "there was none");
    assert!(lease(1, 22, 12).await, "ended by the save");
}

pub(super) async fn a_login_needs_the_key_it_was_sealed_with(world: &World) {
    let main = "main".into();
    let keyless = world.open(None).await.unwrap();
    let refused = keyless.save_login(&main, &login(1)).await.unwrap_err();
    assert!(matches!(refused, Error::Refused { .. }) && refused.to_string().contains("INFILL_SECRET_KEY"));
    world.store.save_login(&main, &login(1)).await.unwrap();
    assert!(matches!(keyless.login(&main).await, Err(Error::Refused { .. })));
    let other = world.open(Some(OTHER_KEY)).await.unwrap();
    assert!(matches!(other.login(&main).await, Err(Error::WrongKey { .. })));
    let stored = world.stored_logins().await;
    assert!(!stored.is_empty());
    for secret in ["access-1", "refresh-1", super::KEY] {
        let secret = secret.as_bytes();
        assert!(!stored.windows(secret.len()).any(|bytes| bytes == secret), "found in clear");
    }
}
