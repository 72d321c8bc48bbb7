//! What stops a batch, what it leaves behind, and how the connection waits.

use std::time::Duration;

use infill_crm::{Crm, Delivery};
use infill_model::{Class, RecordId, Timestamp};
use infill_sim::pipedrive as sim;
use serde_json::json;

use crate::world::{World, persons, unlimited};

fn noon() -> sim::Config {
    sim::Config { start_at: Some("2026-11-20T12:00:00Z".parse().unwrap()), ..unlimited() }
}

#[tokio::test]
async fn a_batch_that_runs_into_the_burst_limit_keeps_what_was_confirmed() {
    let world = World::of(noon()).await;
    let ids = world.ids("persons", 40);
    let targets = world.targets("persons", &[&"name".into()]).await;
    world.sim.control().set_limits(sim::Limits { burst: Some(20), ..sim::Limits::unlimited() });
    world.sim.control().advance_clock(Duration::from_secs(3));
    let updates: Vec<_> =
        ids.iter().map(|id| crate::world::update(id, &[(&"name".into(), json!("X"))])).collect();
    let written = world.pipedrive.write(&persons(), &[&targets[0]], &updates, None).await.unwrap();
    let answer = written.answered().unwrap();
    assert_eq!(answer.confirmed.len(), 20, "the window's worth");
    let error = answer.cut_short.unwrap();
    assert_eq!((error.class, error.delivery), (Class::Throttled, Delivery::Refused));
    let now = Timestamp::from_millisecond(world.sim.control().now_ms()).unwrap();
    let wait = Duration::try_from(error.until.unwrap().duration_since(now)).unwrap();
    assert!(wait <= Duration::from_secs(2), "{wait:?}");
    assert_eq!(world.sim.control().ledger().len(), 20);
    let n_refused = world.sim.control().report().calls("update persons").throttled;
    assert!(n_refused <= 4, "{n_refused} calls met the limit: those in flight and no more");
    let observed = world.quota.observed.lock().unwrap();
    assert!(observed.iter().any(|seen| seen.cool_down_until.is_some() && !seen.day_spent));
}

#[tokio::test]
async fn a_spent_day_is_told_from_a_burst_with_and_without_headers() {
    for daily_headers in [true, false] {
        let mut config = noon();
        config.limits = sim::Limits { daily_tokens: Some(1_000), ..sim::Limits::unlimited() };
        config.switches.daily_headers = daily_headers;
        let world = World::of(config).await;
        let control = world.sim.control();
        control.spend_tokens(1_000);
        let ids = world.ids("persons", 1);
        let mut last = world.pipedrive.read(&persons(), &ids, &[]).await.unwrap_err();
        for _ in 0..5 {
            control.advance_clock(Duration::from_secs(2));
            assert_eq!(last.class, Class::Throttled);
            last = world.pipedrive.read(&persons(), &ids, &[]).await.unwrap_err();
        }
        assert_eq!(last.code, "day_spent", "{daily_headers}: {last:?}");
        let now = Timestamp::from_millisecond(control.now_ms()).unwrap();
        assert!(last.until.unwrap().duration_since(now).as_secs() >= 3_500, "{daily_headers}: {last:?}");
        assert!(world.quota.observed.lock().unwrap().iter().any(|seen| seen.day_spent));
    }
}

#[tokio::test]
async fn the_guards_page_of_html_pauses_the_connection() {
    let world = World::bundled().await;
    world.faults("429,policy=blocked,op=update");
    let error =
        world.write("persons", &world.ids("persons", 10), &"name".into(), &json!("X")).await.unwrap_err();
    assert_eq!((error.class, error.code.as_str()), (Class::Throttled, "shut_out"));
    let paused = world.quota.paused.lock().unwrap();
    assert!(paused[0].contains("resume the connection"), "{paused:?}");
    assert!(paused.len() <= 4, "the calls in flight and no more");
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_open_and_a_refused_one_is_not() {
    for (fault, class, delivery, n_confirmed) in [
        ("lost-reset", Class::Transient, Delivery::Unknown, 9),
        ("reset", Class::Transient, Delivery::Unknown, 9),
        ("lost-504", Class::Transient, Delivery::Unknown, 9),
        ("500", Class::Transient, Delivery::Unknown, 9),
        ("503", Class::Transient, Delivery::Unknown, 9),
        ("malformed", Class::Transient, Delivery::Unknown, 9),
    ] {
        let world = World::bundled().await;
        let ids = world.ids("persons", 10);
        world.faults(&format!("{fault},op=update,record={}", ids[3]));
        let answer = world.write("persons", &ids, &"name".into(), &json!("X")).await.unwrap();
        assert_eq!(answer.confirmed.len(), n_confirmed, "{fault}");
        assert!(!answer.confirmed.contains(&ids[3]));
        let error = answer.cut_short.unwrap();
        assert_eq!((error.class, error.delivery), (class, delivery), "{fault}: {error:?}");
        assert_eq!(error.max_attempts, (fault == "500").then_some(3), "{fault}");
    }
}

#[tokio::test]
async fn a_pipedrive_that_is_not_well_is_left_alone_after_a_few_failures() {
    let world = World::bundled().await;
    world.faults("503,op=update");
    let error =
        world.write("persons", &world.ids("persons", 100), &"name".into(), &json!("X")).await.unwrap_err();
    assert_eq!((error.class, error.delivery), (Class::Transient, Delivery::Unknown));
    let n_calls = world.sim.control().report().calls("update persons").received;
    assert!(n_calls <= 8, "{n_calls} calls of a hundred");
}

#[tokio::test]
async fn a_batch_that_takes_long_is_cut_short_and_goes_on_at_once() {
    let world = World::of(noon()).await;
    let ids = world.ids("persons", 100);
    let control = world.sim.control();
    let slow = async {
        // The clock of the company runs on while the batch is under way.
        while control.ledger().len() < 10 {
            tokio::task::yield_now().await;
        }
        control.advance_clock(Duration::from_secs(46));
    };
    let (name, value) = ("name".into(), json!("X"));
    let (answer, ()) = tokio::join!(world.write("persons", &ids, &name, &value), slow);
    let answer = answer.unwrap();
    assert!(answer.confirmed.len() >= 10 && answer.confirmed.len() < 100, "{}", answer.confirmed.len());
    let error = answer.cut_short.unwrap();
    assert_eq!(
        (error.class, error.delivery, error.code.as_str()),
        (Class::Throttled, Delivery::Refused, "batch_takes_long")
    );
    assert_eq!(control.ledger().len(), answer.confirmed.len());
}

#[tokio::test]
async fn a_field_that_was_deleted_stops_the_run() {
    let world = World::bundled().await;
    let ids = world.ids("persons", 3);
    let greeting = world.code("persons", "Greeting");
    let targets = world.targets("persons", &[&greeting]).await;
    world.sim.control().delete_field("persons", "Greeting").unwrap();
    let updates = [crate::world::update(&ids[0], &[(&greeting, json!("X"))])];
    let error = world.pipedrive.write(&persons(), &[&targets[0]], &updates, None).await.unwrap_err();
    assert_eq!((error.class, error.code.as_str()), (Class::Configuration, "unknown_field"), "{error:?}");
    assert_eq!(error.property.as_deref(), Some(greeting.as_str()));
}

#[tokio::test]
async fn fields_of_contact_sync_say_what_they_need() {
    for contact_sync in [false, true] {
        let world = World::of(sim::Config { contact_sync, ..unlimited() }).await;
        let ids = world.ids("persons", 2);
        let written = world.write("persons", &ids, &"job_title".into(), &json!("CEO")).await;
        if contact_sync {
            assert_eq!(written.unwrap().confirmed.len(), 2);
        } else {
            let error = written.unwrap_err();
            assert_eq!(
                (error.class, error.code.as_str()),
                (Class::Configuration, "contact_sync"),
                "{error:?}"
            );
            assert!(
                error.message.contains("job_title can be written while Contact Sync is on only"),
                "{error}"
            );
        }
    }
}

#[tokio::test]
async fn an_expired_token_is_renewed_in_the_middle_of_a_batch() {
    let world = World::with_app(unlimited(), sim::SIM_CLIENT_SECRET).await;
    let ids: Vec<RecordId> = world.ids("persons", 30);
    world.pipedrive.read(&persons(), &ids, &[]).await.unwrap();
    world.sim.control().expire_tokens();
    let answer = world.write("persons", &ids, &"name".into(), &json!("X")).await.unwrap();
    assert_eq!(answer.confirmed.len(), 30);
    assert!(world.quota.paused.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_revoked_grant_pauses_the_connection_and_a_wrong_secret_does_not() {
    let world = World::with_app(unlimited(), sim::SIM_CLIENT_SECRET).await;
    let ids = world.ids("persons", 1);
    world.pipedrive.read(&persons(), &ids, &[]).await.unwrap();
    world.sim.control().revoke_refresh_tokens();
    world.sim.control().expire_tokens();
    let error = world.pipedrive.read(&persons(), &ids, &[]).await.unwrap_err();
    assert_eq!(error.class, Class::Unauthorized);
    assert!(error.message.contains("install it again"), "{error}");
    assert_eq!(world.quota.paused.lock().unwrap().len(), 1);

    let world = World::with_app(unlimited(), "not-the-secret").await;
    let error = world.pipedrive.read(&persons(), &ids, &[]).await.unwrap_err();
    assert_eq!((error.class, error.code.as_str()), (Class::Configuration, "oauth_app"), "{error}");
    assert!(world.quota.paused.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_token_that_is_wrong_or_may_not_is_told_apart() {
    let world = World::with_token(unlimited(), "no-such-token-at-all").await;
    let error = world.pipedrive.account().await.unwrap_err();
    assert_eq!(error.class, Class::Unauthorized);
    assert!(!format!("{error:?}").contains("no-such-token-at-all"));
    assert_eq!(world.quota.paused.lock().unwrap().len(), 1);

    let mut config = unlimited();
    config.oauth.scopes = vec!["base".to_owned(), "contacts:read".to_owned(), "users:read".to_owned()];
    let world = World::with_app(config, sim::SIM_CLIENT_SECRET).await;
    let ids = world.ids("persons", 1);
    world.pipedrive.read(&persons(), &ids, &[]).await.unwrap();
    let error = world.write("persons", &ids, &"name".into(), &json!("X")).await.unwrap_err();
    assert_eq!((error.class, error.code.as_str()), (Class::Configuration, "scope_missing"), "{error:?}");
    assert!(error.message.contains("contacts:full"), "{error}");
}
