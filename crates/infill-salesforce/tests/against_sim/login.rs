//! Logins: the three grants, tokens that die, grants that are revoked.

use std::sync::Arc;

use infill_crm::Crm;
use infill_crm::auth::{StaticToken, Tokens};
use infill_model::Class;
use infill_salesforce::{Config, Grant, JwtBearer};
use infill_sim::salesforce as sim;
use serde_json::json;

use crate::world::{World, accounts, app, login, update};

/// A key made for tests, and used nowhere else.
const KEY: &str = include_str!("../fixtures/rsa_for_tests.pem");
const PUBLIC_KEY: &str = include_str!("../fixtures/rsa_for_tests.pub.pem");

fn org() -> sim::Config {
    let rotating = sim::App { rotates_refresh_tokens: true, ..sim::App::default() };
    let jwt = sim::JwtCheck::PublicKey(PUBLIC_KEY.to_owned());
    sim::Config { app: sim::App { jwt, ..rotating }, ..sim::Config::default() }
}

fn bearer(sim: &sim::Simulator) -> Grant {
    let (client, user) = (sim::SIM_CLIENT_ID.to_owned(), sim::SIM_USERNAME.to_owned());
    Grant::JwtBearer(JwtBearer::new(client, user, sim.base_url(), &KEY.into()).unwrap())
}

#[tokio::test]
async fn every_grant_gets_in_and_a_token_that_dies_is_renewed_in_the_middle_of_a_run() {
    for grant in [
        |_: &sim::Simulator| Grant::RefreshToken(app(sim::SIM_CLIENT_SECRET)),
        |_: &sim::Simulator| Grant::ClientCredentials(app(sim::SIM_CLIENT_SECRET)),
        bearer,
    ] {
        let world = World::with_tokens(org(), Config::default(), |sim| login(sim, grant(sim))).await;
        let ids = world.ids(1);
        for _ in 0..3 {
            world.sim.control().expire_tokens();
            world.write(&[update(&ids[0], &[("Greeting__c", json!("X"))])]).await.unwrap();
        }
        assert!(world.quota.paused.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_second_refresh_at_once_is_transient_and_a_revoked_grant_pauses_the_connection() {
    let grant = || Grant::RefreshToken(app(sim::SIM_CLIENT_SECRET));
    let world = World::with_tokens(org(), Config::default(), |sim| login(sim, grant())).await;
    world.faults("refresh-busy,count=1");
    let error = world.salesforce.catalog(&accounts()).await.unwrap_err();
    assert_eq!((error.class, error.code.as_str()), (Class::Transient, "refresh_in_progress"), "{error}");
    assert!(world.quota.paused.lock().unwrap().is_empty());
    world.salesforce.catalog(&accounts()).await.unwrap();

    world.sim.control().revoke_refresh_tokens();
    world.sim.control().expire_tokens();
    let error = world.salesforce.catalog(&accounts()).await.unwrap_err();
    assert_eq!(error.class, Class::Unauthorized);
    assert!(error.message.contains("authorise the app again"), "{error}");
    assert_eq!(world.quota.paused.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_wrong_secret_is_no_revoked_grant_and_an_unapproved_user_is_told() {
    let world = World::with_tokens(org(), Config::default(), |sim| {
        login(sim, Grant::ClientCredentials(app("not-the-secret-of-the-app")))
    })
    .await;
    let error = world.salesforce.catalog(&accounts()).await.unwrap_err();
    assert_eq!((error.class, error.code.as_str()), (Class::Configuration, "oauth_app"), "{error}");
    assert!(world.quota.paused.lock().unwrap().is_empty());

    let unapproved = sim::App { jwt: sim::JwtCheck::Refused, ..sim::App::default() };
    let org = sim::Config { app: unapproved, ..sim::Config::default() };
    let world = World::with_tokens(org, Config::default(), |sim| login(sim, bearer(sim))).await;
    let error = world.salesforce.catalog(&accounts()).await.unwrap_err();
    assert_eq!(error.class, Class::Unauthorized);
    assert!(error.message.contains("approve the app for the user beforehand"), "{error}");
}

#[tokio::test]
async fn a_session_that_is_refused_pauses_the_connection_and_is_never_told() {
    let world = World::with_tokens(org(), Config::default(), |_| {
        Arc::new(StaticToken::new("00Dak000000sim!no-such-session".into())) as Arc<dyn Tokens>
    })
    .await;
    let error = world.salesforce.account().await.unwrap_err();
    assert_eq!((error.class, error.code.as_str()), (Class::Unauthorized, "INVALID_SESSION_ID"));
    assert!(error.message.contains("IP ranges"), "{error}");
    assert!(!format!("{error:?}").contains("no-such-session"));
    assert_eq!(world.quota.paused.lock().unwrap().len(), 1);
}
