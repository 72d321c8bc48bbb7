//! Every method of the connector against the simulator, which shares no code with it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod world;

use std::collections::BTreeSet;
use std::sync::Arc;

use infill_crm::auth::{StaticToken, Tokens};
use infill_crm::meter::Meter;
use infill_crm::{Crm, Delivery, Pull, Update, conformance};
use infill_hubspot::ApiVersion;
use infill_model::row::Gone;
use infill_model::slice::{Readiness, Selection};
use infill_model::{Class, Properties, PropertyName, RecordId, Timestamp};
use infill_sim::hubspot::{self as sim, Operation};
use serde_json::json;

use crate::world::{World, condition, contacts, list, oauth, record, sorted, unlimited, update};

#[tokio::test]
async fn the_account_tells_its_id_zone_and_limits() {
    let config = sim::Config {
        limits: sim::Limits::of(sim::LimitTier::Professional),
        time_zone: "Europe/Berlin".to_owned(),
        ..unlimited()
    };
    for version in ApiVersion::ALL {
        let world = World::of(config.clone(), version).await;
        let account = world.hubspot.account().await.unwrap();
        assert_eq!((account.id.as_str(), account.time_zone.as_str()), ("424242", "Europe/Berlin"));
        assert_eq!(account.daily_limit, Some(625_000), "{version}");
        assert!(account.daily_used.is_some());
        let url = world.hubspot.record_address(&account, &contacts()).unwrap().of(&record(7));
        assert_eq!(url, "https://app.hubspot.com/contacts/424242/record/0-1/7");
        assert!(conformance::record_address(&world.hubspot, &account, &contacts(), &record(7)).is_empty());
    }
}

#[tokio::test]
async fn lists_are_found_by_id_and_by_name_and_pulled_whole() {
    let world = World::bundled().await;
    let lists = world.hubspot.lists().await.unwrap();
    let kind = |id: &str| lists.iter().find(|list| list.id.as_str() == id).unwrap().kind.clone();
    assert_eq!((kind("42"), kind("43"), kind("44")), ("static".into(), "active".into(), "snapshot".into()));

    for version in ApiVersion::ALL {
        let world = World::of(unlimited(), version).await;
        let slice = world.hubspot.resolve(&contacts(), &list("42")).await.unwrap();
        assert_eq!((slice.size, slice.readiness), (Some(537), Readiness::Ready), "{version}");
        let broken = conformance::listing(&world.hubspot, &slice, &Pull::default()).await.unwrap();
        assert_eq!(broken, Vec::<String>::new());
    }
    let slice = world.hubspot.resolve(&contacts(), &list("42")).await.unwrap();
    let members = world.sim.control().members("42").unwrap();
    assert_eq!(world.listed(&slice).await, members.into_iter().map(record).collect::<Vec<_>>());

    let name = lists.iter().find(|list| list.id.as_str() == "48").unwrap().name.to_uppercase();
    let by_name = world.hubspot.resolve(&contacts(), &list(&name)).await.unwrap();
    assert_eq!(by_name, world.hubspot.resolve(&contacts(), &list("48")).await.unwrap());
    assert!(world.listed(&world.hubspot.resolve(&contacts(), &list("45")).await.unwrap()).await.is_empty());
}

#[tokio::test]
async fn a_list_that_cannot_be_pulled_is_refused_with_the_way_out() {
    let world = World::bundled().await;
    let refused = async |object: &str, selection: Selection| {
        let error = world.hubspot.resolve(&object.into(), &selection).await.unwrap_err();
        assert_eq!(error.class, Class::Configuration, "{error}");
        error.message
    };
    let name =
        world.hubspot.lists().await.unwrap().into_iter().find(|list| list.id.as_str() == "42").unwrap().name;
    let misspelt = format!("{name}x");
    let said = refused("contacts", list(&misspelt)).await;
    assert!(said.contains(&format!("did you mean \"{name}\"")), "{said}");
    let said = refused("contacts", list("46")).await;
    assert!(said.contains("holds companies and the plan's object is contacts"), "{said}");
    let said = refused("companies", list(&name)).await;
    assert!(said.contains("holds contacts and the plan's object is companies"), "{said}");
    refused("contacts", list("47")).await;
    refused("contacts", list("999999")).await;
    let said = refused("contacts", Selection::View("mine".to_owned())).await;
    assert!(said.contains("name a `list`, or give a `filter`"), "{said}");
    refused("contacts", Selection::Query("select".to_owned())).await;
}

#[tokio::test]
async fn a_list_that_is_still_processing_says_so_until_it_is_done() {
    let world = World::bundled().await;
    world.faults("processing,list=48,looks=2");
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(world.hubspot.resolve(&contacts(), &list("48")).await.unwrap().readiness);
    }
    assert_eq!(seen.first(), Some(&Readiness::Processing));
    assert_eq!(seen.last(), Some(&Readiness::Ready));
}

#[tokio::test]
async fn the_catalog_keeps_the_laws_of_every_connector() {
    let world = World::bundled().await;
    for object in ["contacts", "companies", "deals", "tickets", sim::CUSTOM_OBJECT] {
        let catalog = world.hubspot.catalog(&object.into()).await.unwrap();
        assert!(catalog.get(&"hs_object_id".into()).is_some_and(|id| id.read_only.is_some()), "{object}");
        let broken = conformance::checks(&world.hubspot, &catalog.properties);
        assert_eq!(broken, Vec::<String>::new(), "{object}");
        let values = [
            json!("2026-11-20"),
            json!("1795132800000"),
            json!("2026-11-20T10:00:00+01:00"),
            json!(" 007.50 "),
            json!("a;b;a"),
            json!("TRUE"),
            json!("José \"Pepe\" O'Neil"),
            json!(12.25),
            json!(true),
            json!(["x", "y"]),
        ];
        let broken = conformance::values(&world.hubspot, &catalog.properties, &values);
        assert_eq!(broken, Vec::<String>::new(), "{object}");
    }
    assert!(conformance::limits(&world.hubspot).is_empty());
    let error = world.hubspot.catalog(&"2-999999".into()).await.unwrap_err();
    assert_eq!(error.class, Class::Configuration, "{error:?}");
}

#[tokio::test]
async fn a_filter_of_12_000_matches_is_pulled_completely() {
    let config = sim::Config { records: sim::Source::Generate(12_000), ..unlimited() };
    let world = World::of(config, ApiVersion::default()).await;
    let everyone = Selection::Filter(vec![condition("email", "is not empty", &[])]);
    let slice = world.hubspot.resolve(&contacts(), &everyone).await.unwrap();
    assert_eq!(slice.size, Some(12_000));
    let listed = world.listed(&slice).await;
    let expected: Vec<RecordId> =
        world.sim.control().record_ids("contacts").unwrap().into_iter().map(record).collect();
    assert_eq!(listed, expected);
    let calls = world.sim.control().report().calls(Operation::Search).received;
    assert!(calls <= 62, "{calls} searches: no more pages than there are, and one to count");
}

#[tokio::test]
async fn a_filter_means_what_it_says() {
    let world = World::bundled().await;
    let control = world.sim.control();
    let with_value = |property: &str, is: &dyn Fn(Option<String>) -> bool| {
        let ids = control.record_ids("contacts").unwrap();
        ids.into_iter()
            .filter(|id| is(control.value("contacts", *id, property).unwrap()))
            .collect::<Vec<u64>>()
    };
    let ids = world.ids(3);
    let as_number = |idx: usize| json!(ids[idx].as_str().parse::<u64>().unwrap());
    for (conditions, expected) in [
        (vec![condition("phone", "is empty", &[])], with_value("phone", &|value| value.is_none())),
        (vec![condition("phone", "is not empty", &[])], with_value("phone", &|value| value.is_some())),
        (
            vec![condition("hs_object_id", "is between", &[as_number(0), as_number(2)])],
            ids.iter().map(|id| id.as_str().parse().unwrap()).collect(),
        ),
        (vec![condition("hs_object_id", "less than", &[as_number(0)])], Vec::new()),
    ] {
        let slice = world.hubspot.resolve(&contacts(), &Selection::Filter(conditions.clone())).await.unwrap();
        let listed = world.listed(&slice).await;
        assert_eq!(listed, expected.into_iter().map(record).collect::<Vec<_>>(), "{conditions:?}");
        assert!(conformance::listing(&world.hubspot, &slice, &Pull::default()).await.unwrap().is_empty());
    }
    let misspelt = Selection::Filter(vec![condition("emial", "is not empty", &[])]);
    let error = world.hubspot.resolve(&contacts(), &misspelt).await.unwrap_err();
    assert!(error.message.contains("did you mean \"email\""), "{error}");
}

#[tokio::test]
async fn a_search_whose_index_still_knows_deleted_records_goes_on_to_its_end() {
    let lag = std::time::Duration::from_secs(600);
    let config = sim::Config { records: sim::Source::Generate(600), index_lag: lag, ..unlimited() };
    let world = World::of(config, ApiVersion::default()).await;
    let control = world.sim.control();
    control.advance_clock(lag * 2);
    let ids = control.record_ids("contacts").unwrap();
    // A whole page of matches that are there no more, in the middle.
    ids.iter().skip(200).take(200).for_each(|id| control.archive("contacts", *id).unwrap());
    let everyone = Selection::Filter(vec![condition("email", "is not empty", &[])]);
    let slice = world.hubspot.resolve(&contacts(), &everyone).await.unwrap();
    let listed = world.listed(&slice).await;
    assert_eq!(listed, control.record_ids("contacts").unwrap().into_iter().map(record).collect::<Vec<_>>());
    assert_eq!(listed.len(), 400);
}

#[tokio::test]
async fn a_read_accounts_for_missing_merged_and_unset() {
    for (omit_unset, version) in [(false, ApiVersion::V3), (true, ApiVersion::V2026_09)] {
        let mut config = unlimited();
        config.switches.omit_unset = omit_unset;
        config.api_version = version.as_str().parse().unwrap();
        let world = World::of(config, version).await;
        let control = world.sim.control();
        let ids = world.ids(5);
        let number = |idx: usize| ids[idx].as_str().parse::<u64>().unwrap();
        control.archive("contacts", number(1)).unwrap();
        control.merge("contacts", number(4), number(2)).unwrap();
        let asked: Vec<RecordId> = ids.iter().take(4).cloned().chain([record(999_999_999)]).collect();
        let properties: Vec<PropertyName> = vec!["firstname".into(), "twitterhandle".into()];
        let broken = conformance::reading(&world.hubspot, &contacts(), &asked, &properties).await.unwrap();
        assert_eq!(broken, Vec::<String>::new());

        let answer = world.hubspot.read(&contacts(), &asked, &properties).await.unwrap();
        let gone =
            |id: &RecordId| answer.gone.iter().find(|(gone, _)| gone == id).map(|(_, gone)| gone.clone());
        assert_eq!(gone(&ids[1]), Some(Gone { survivor: None }));
        assert_eq!(gone(&ids[2]), Some(Gone { survivor: Some(ids[4].clone()) }));
        assert_eq!(gone(&record(999_999_999)), Some(Gone { survivor: None }));
        let first = answer.records.iter().find(|record| record.id == ids[0]).unwrap();
        let stored = control.value("contacts", number(0), "firstname").unwrap().unwrap();
        assert_eq!(first.properties["firstname"], json!(stored));
    }
}

#[tokio::test]
async fn a_read_of_nothing_but_missing_records_is_no_error_in_either_form() {
    for all_missing_is_404 in [false, true] {
        let mut config = unlimited();
        config.switches.all_missing_is_404 = all_missing_is_404;
        let world = World::of(config, ApiVersion::default()).await;
        let asked: Vec<RecordId> = (0..100).map(|n| record(999_000_000 + n)).collect();
        let answer = world.hubspot.read(&contacts(), &asked, &["email".into()]).await.unwrap();
        assert_eq!((answer.records.len(), answer.gone.len()), (0, 100));
        let singles = world.sim.control().report().total_received();
        assert!(singles <= 21, "{singles} calls: a file of foreign ids must not cost a call each");
    }
    let world = World::bundled().await;
    let error = world.hubspot.read(&contacts(), &["a@b.c".into()], &[]).await.unwrap_err();
    assert_eq!((error.class, error.records), (Class::Rejected, vec!["a@b.c".into()]));
}

#[tokio::test]
async fn a_write_is_confirmed_by_id_and_reads_back_to_the_letter() {
    const NAME: &str = "Zoë \"Z\" O'Neil-Łukasz `x`\n\\ {{y}} 🦀";
    for version in ApiVersion::ALL {
        let world = World::of(unlimited(), version).await;
        let ids = world.ids(100);
        let updates: Vec<Update> = ids.iter().map(|id| update(id, "firstname", NAME)).collect();
        let answer = world.write(&updates).await.unwrap();
        assert_eq!(sorted(&answer.confirmed), sorted(&ids), "{version}");
        assert!(answer.refused.is_empty() && answer.gone.is_empty());
        let read = world.hubspot.read(&contacts(), &ids, &["firstname".into()]).await.unwrap();
        assert!(read.records.iter().all(|record| record.properties["firstname"] == json!(NAME)));
        assert_eq!(world.sim.control().ledger().len(), 100);

        let again = conformance::writing(&world.hubspot, &contacts(), &[], &updates).await.unwrap();
        assert_eq!(again, Vec::<String>::new());
        let clear = Update {
            record: ids[0].clone(),
            properties: Properties::from([("firstname".into(), json!(null))]),
        };
        world.write(&[clear]).await.unwrap();
        let read = world.hubspot.read(&contacts(), &ids[..1], &["firstname".into()]).await.unwrap();
        assert_eq!(read.records[0].properties["firstname"], json!(null));
    }
}

#[tokio::test]
async fn one_bad_row_is_refused_alone_when_traces_work_and_named_when_they_do_not() {
    for (traced_partial, version) in
        [(true, ApiVersion::V3), (true, ApiVersion::V2026_09), (false, ApiVersion::V3)]
    {
        let mut config = unlimited();
        config.switches.traced_partial = traced_partial;
        config.api_version = version.as_str().parse().unwrap();
        let world = World::of(config, version).await;
        let ids = world.ids(100);
        let mut updates: Vec<Update> = ids.iter().map(|id| update(id, "hs_lead_status", "NEW")).collect();
        updates[7] = update(&ids[7], "hs_lead_status", "NO_SUCH_STATUS");
        let written = world.write(&updates).await;
        if traced_partial {
            let answer = written.unwrap();
            assert_eq!(answer.confirmed.len(), 99);
            let [(id, refusal)] = answer.refused.as_slice() else { panic!("{:?}", answer.refused) };
            assert_eq!((id, refusal.code.as_str()), (&ids[7], "INVALID_OPTION"));
            assert_eq!(refusal.property.as_ref().unwrap().as_str(), "hs_lead_status");
            assert!(refusal.message.contains("NO_SUCH_STATUS"), "{}", refusal.message);
        } else {
            let error = written.unwrap_err();
            assert_eq!((error.class, error.delivery), (Class::Rejected, Delivery::Refused));
            assert_eq!(error.records, [ids[7].clone()], "{error:?}");
            assert!(error.correlation_id.is_some());
            assert!(world.sim.control().ledger().is_empty());
        }
    }
}

#[tokio::test]
async fn a_write_to_records_that_are_gone_says_what_became_of_them() {
    let world = World::bundled().await;
    let control = world.sim.control();
    let ids = world.ids(4);
    let number = |idx: usize| ids[idx].as_str().parse::<u64>().unwrap();
    control.archive("contacts", number(1)).unwrap();
    control.merge("contacts", number(3), number(2)).unwrap();
    let updates: Vec<Update> = ids.iter().take(3).map(|id| update(id, "firstname", "X")).collect();
    let answer = world.write(&updates).await.unwrap();
    assert_eq!(answer.confirmed, [ids[0].clone()]);
    assert_eq!(answer.gone, [(ids[1].clone(), Gone { survivor: None })]);
    // The merged one is left out of a 200: unconfirmed, and a read tells.
    let read = world.hubspot.read(&contacts(), &ids[2..3], &[]).await.unwrap();
    assert_eq!(read.gone, [(ids[2].clone(), Gone { survivor: Some(ids[3].clone()) })]);
    // Alone in its batch, a deleted record is gone all the same.
    let answer = world.write(&updates[1..2]).await.unwrap();
    assert_eq!(answer.gone, [(ids[1].clone(), Gone { survivor: None })]);
}

#[tokio::test]
async fn a_2xx_with_nothing_done_confirms_nothing() {
    let world = World::bundled().await;
    world.faults("no-op,op=batch-update,count=1;omit,record=100002");
    let updates: Vec<Update> = world.ids(3).iter().map(|id| update(id, "firstname", "X")).collect();
    let answer = world.write(&updates).await.unwrap();
    assert_eq!(answer, infill_crm::WriteAnswer::default());
    let answer = world.write(&updates).await.unwrap();
    assert_eq!(sorted(&answer.confirmed), BTreeSet::from(["100001", "100003"]));
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_unknown_and_a_refused_one_is_not() {
    let world = World::bundled().await;
    let updates: Vec<Update> = world.ids(3).iter().map(|id| update(id, "firstname", "X")).collect();
    for (fault, class, delivery) in [
        ("lost-reset", Class::Transient, Delivery::Unknown),
        ("reset", Class::Transient, Delivery::Unknown),
        ("lost-504", Class::Transient, Delivery::Unknown),
        ("524", Class::Transient, Delivery::Unknown),
        ("malformed", Class::Transient, Delivery::Unknown),
        ("423", Class::Transient, Delivery::Refused),
        ("477,seconds=60", Class::Throttled, Delivery::Refused),
        ("429,policy=ten-secondly", Class::Throttled, Delivery::Refused),
        ("403", Class::Configuration, Delivery::Refused),
        ("414", Class::Bug, Delivery::Refused),
    ] {
        world.faults(&format!("{fault},op=batch-update,count=1"));
        let error = world.write(&updates).await.unwrap_err();
        assert_eq!((error.class, error.delivery), (class, delivery), "{fault}: {error:?}");
    }
}

#[tokio::test]
async fn a_property_that_vanished_or_is_read_only_stops_the_run() {
    for traced_partial in [true, false] {
        let mut config = unlimited();
        config.switches.traced_partial = traced_partial;
        let world = World::of(config, ApiVersion::default()).await;
        world.sim.control().delete_property("contacts", "twitterhandle").unwrap();
        for (property, code) in
            [("twitterhandle", "PROPERTY_DOESNT_EXIST"), ("hs_object_id", "READ_ONLY_VALUE")]
        {
            let updates: Vec<Update> = world.ids(3).iter().map(|id| update(id, property, "1")).collect();
            let error = world.write(&updates).await.unwrap_err();
            assert_eq!((error.class, error.code.as_str()), (Class::Configuration, code), "{error:?}");
            assert_eq!(error.property.as_deref(), Some(property));
            assert!(error.message.ends_with("take it out of the plan's writeback"), "{error}");
        }
    }
}

#[tokio::test]
async fn the_primary_company_is_set_by_its_property() {
    let world = World::bundled().await;
    let company = world.sim.control().record_ids("companies").unwrap()[0].to_string();
    let id = world.ids(1).remove(0);
    let catalog = world.hubspot.catalog(&contacts()).await.unwrap();
    let property = catalog.get(&"associatedcompanyid".into()).unwrap();
    assert_eq!(world.hubspot.check(property, &json!(company), &[]), Ok(()));
    let answer = world.write(&[update(&id, "associatedcompanyid", &company)]).await.unwrap();
    assert_eq!(answer.confirmed, std::slice::from_ref(&id));
    let read = world.hubspot.read(&contacts(), &[id], &["associatedcompanyid".into()]).await.unwrap();
    let stored = world.hubspot.normalize(property, &read.records[0].properties["associatedcompanyid"]);
    assert_eq!(stored, json!(company));
}

#[tokio::test]
async fn limits_cool_the_connection_down_until_the_right_moment() {
    let limits = sim::Limits {
        ten_seconds: Some(5),
        daily: Some(20),
        ..sim::Limits::of(sim::LimitTier::Professional)
    };
    let start_at = "2026-11-20T12:00:00Z".parse().unwrap();
    let world =
        World::of(sim::Config { limits, start_at: Some(start_at), ..unlimited() }, ApiVersion::default())
            .await;
    let control = world.sim.control();
    let ids = world.ids(1);
    let mut errors = Vec::new();
    // Two windows are enough to spend the day; the connector learns the time zone on the way, before it is too late.
    for _ in 0..10 {
        for _ in 0..5 {
            errors.extend(world.hubspot.read(&contacts(), &ids, &[]).await.err());
        }
        control.advance_clock(std::time::Duration::from_secs(10));
    }
    assert!(errors.iter().all(|error| error.class == Class::Throttled), "{errors:?}");
    // The account is in New York.
    let midnight: Timestamp = "2026-11-21T05:00:00Z".parse().unwrap();
    assert_eq!(errors.last().unwrap().until, Some(midnight));
    let observed = world.quota.observed.lock().unwrap();
    assert!(observed.iter().any(|(meter, seen)| {
        *meter == Meter::Search && seen.day_spent && seen.cool_down_until == Some(midnight)
    }));
    assert!(observed.iter().any(|(_, seen)| seen.daily_limit == Some(20)));
}

#[tokio::test]
async fn an_expired_token_is_renewed_in_the_middle_of_a_run() {
    let world =
        World::with_tokens(unlimited(), ApiVersion::default(), |sim| oauth(sim, sim::SIM_CLIENT_SECRET))
            .await;
    let ids = world.ids(2);
    world.hubspot.read(&contacts(), &ids, &[]).await.unwrap();
    world.sim.control().expire_tokens();
    let answer = world.write(&[update(&ids[0], "firstname", "X")]).await.unwrap();
    assert_eq!(answer.confirmed, [ids[0].clone()]);
    assert!(world.quota.paused.lock().unwrap().is_empty());
    let account = world.hubspot.account().await.unwrap();
    assert_eq!(account.daily_limit, None, "an OAuth app has no day's budget");
}

#[tokio::test]
async fn a_revoked_grant_pauses_the_connection_and_a_wrong_secret_does_not() {
    let world =
        World::with_tokens(unlimited(), ApiVersion::default(), |sim| oauth(sim, sim::SIM_CLIENT_SECRET))
            .await;
    let ids = world.ids(1);
    world.hubspot.read(&contacts(), &ids, &[]).await.unwrap();
    world.sim.control().revoke_refresh_tokens();
    world.sim.control().expire_tokens();
    let error = world.hubspot.read(&contacts(), &ids, &[]).await.unwrap_err();
    assert_eq!(error.class, Class::Unauthorized);
    assert!(error.message.contains("authorise the app again"), "{error}");
    assert_eq!(world.quota.paused.lock().unwrap().len(), 1);

    let world =
        World::with_tokens(unlimited(), ApiVersion::default(), |sim| oauth(sim, "not-the-secret")).await;
    let error = world.hubspot.read(&contacts(), &ids, &[]).await.unwrap_err();
    assert_eq!((error.class, error.code.as_str()), (Class::Configuration, "oauth_app"), "{error}");
    assert!(world.quota.paused.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_token_that_is_wrong_or_may_not_is_told_apart() {
    let token = |secret: &'static str| {
        move |_: &sim::Simulator| Arc::new(StaticToken::new(secret.into())) as Arc<dyn Tokens>
    };
    let world = World::with_tokens(unlimited(), ApiVersion::default(), token("pat-na1-no-such-token")).await;
    let error = world.hubspot.account().await.unwrap_err();
    assert_eq!(error.class, Class::Unauthorized);
    assert!(!format!("{error:?}").contains("no-such-token"));
    assert_eq!(world.quota.paused.lock().unwrap().len(), 1);

    let mut config = unlimited();
    config.tokens = vec![sim::StaticToken {
        secret: "reads-only".to_owned(),
        app_id: 7,
        scopes: vec!["crm.objects.contacts.read".to_owned(), "oauth".to_owned()],
    }];
    let world = World::with_tokens(config, ApiVersion::default(), token("reads-only")).await;
    let ids = world.ids(1);
    world.hubspot.read(&contacts(), &ids, &[]).await.unwrap();
    let error = world.write(&[update(&ids[0], "firstname", "X")]).await.unwrap_err();
    assert_eq!(error.class, Class::Configuration);
    assert!(error.message.contains("crm.objects.contacts.write"), "{error}");
}
