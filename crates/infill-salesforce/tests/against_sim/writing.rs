//! Writing: every row has its answer, whatever happens to the others.

use std::collections::BTreeSet;

use infill_crm::{Crm, Delivery, Update, conformance};
use infill_model::row::Gone;
use infill_model::{Class, RecordId};
use infill_salesforce::{Config, Manners};
use infill_sim::salesforce::{self as sim, Operation};
use serde_json::json;

use crate::world::{World, accounts, greetings, sorted, update};

#[tokio::test]
async fn two_thousand_records_are_written_in_two_requests() {
    let org = sim::Config { records: sim::Source::Generate(2_000), ..sim::Config::default() };
    let world = World::of(org, Config::default()).await;
    let ids = world.ids(2_000);
    let updates = greetings(&ids);
    let answer = world.write(&updates).await.unwrap();
    assert_eq!(sorted(&answer.confirmed), sorted(&ids));
    assert_eq!(answer.cut_short, None);
    assert_eq!(world.sim.control().report().calls(Operation::Composite).received, 2);
    assert_eq!(world.value(&ids[1_999], "Greeting__c"), Some(format!("Hello {}", ids[1_999])));

    let targets = world.targets(&["Greeting__c"]).await;
    let targets: Vec<_> = targets.iter().collect();
    let broken = conformance::writing(&world.salesforce, &accounts(), &targets, &updates).await.unwrap();
    assert_eq!(broken, Vec::<String>::new());
}

#[tokio::test]
async fn a_second_request_that_fails_takes_nothing_from_the_first() {
    for (faults, n_written) in
        [("503,op=composite,after=1", 1_000), ("lost-reset,op=composite,after=1", 1_500)]
    {
        let faults = faults.parse().unwrap();
        let org = sim::Config { records: sim::Source::Generate(1_500), faults, ..sim::Config::default() };
        let world = World::of(org, Config::default()).await;
        let ids = world.ids(1_500);
        let answer = world.write(&greetings(&ids)).await.unwrap();
        assert_eq!(sorted(&answer.confirmed), sorted(&ids[..1_000]));
        let error = answer.cut_short.unwrap();
        assert_eq!((error.class, error.delivery), (Class::Transient, Delivery::Unknown));
        assert_eq!(world.sim.control().ledger().len(), n_written);
    }
}

#[tokio::test]
async fn values_are_stored_as_they_are_compared() {
    let world = World::bundled().await;
    let id = world.ids(1).remove(0);
    let fields = [
        ("Greeting__c", json!("  Tom's \"caf\u{e9}\" \\ 100%  ")),
        ("Score__c", json!("2.675")),
        ("AnnualRevenue", json!("1500000")),
        ("NumberOfEmployees", json!("12")),
        ("Verified_On__c", json!("2026-01-31")),
        ("Last_Enriched__c", json!("2026-01-31T10:00:00.987+02:00")),
        ("Is_Target__c", json!("TRUE")),
        ("Contact_Email__c", json!("Ann@Example.com")),
        ("OwnerId", json!(world.value(&id, "OwnerId").unwrap().get(..15).unwrap())),
    ];
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let targets = world.targets(&names).await;
    let answer = world.write(&[update(&id, &fields)]).await.unwrap();
    assert_eq!(answer.confirmed, std::slice::from_ref(&id), "{answer:?}");
    let asked: Vec<_> = targets.iter().map(|target| target.name.clone()).collect();
    let read = world.salesforce.read(&accounts(), &[id], &asked).await.unwrap();
    for (target, (name, sent)) in targets.iter().zip(&fields) {
        assert_eq!(world.salesforce.check(target, sent, &[]), Ok(()), "{name}");
        let stored = &read.records[0].properties[*name];
        assert_eq!(
            world.salesforce.normalize(target, stored),
            world.salesforce.normalize(target, sent),
            "{name}"
        );
    }
}

#[tokio::test]
async fn absent_is_left_alone_null_and_empty_clear() {
    let world = World::bundled().await;
    let ids = world.ids(3);
    for id in &ids {
        world.sim.control().edit("Account", id.as_str(), "Greeting__c", "before").unwrap();
        world.sim.control().edit("Account", id.as_str(), "Score__c", "1").unwrap();
    }
    let updates = [
        update(&ids[0], &[("Score__c", json!(2))]),
        update(&ids[1], &[("Greeting__c", json!(null)), ("Score__c", json!(null))]),
        update(&ids[2], &[("Greeting__c", json!("")), ("Score__c", json!(""))]),
    ];
    let answer = world.write(&updates).await.unwrap();
    assert_eq!(sorted(&answer.confirmed), sorted(&ids), "{answer:?}");
    assert_eq!(world.value(&ids[0], "Greeting__c").as_deref(), Some("before"));
    for id in &ids[1..] {
        assert_eq!((world.value(id, "Greeting__c"), world.value(id, "Score__c")), (None, None));
    }
}

#[tokio::test]
async fn bad_rows_do_not_sink_the_good_ones() {
    let mut org = sim::Config::default();
    org.automation.validation_rules.push(sim::ValidationRule {
        object: "Account".to_owned(),
        refuses_when: "Greeting__c = 'forbidden'".to_owned(),
        message: "Say something else.".to_owned(),
        field: Some("Greeting__c".to_owned()),
    });
    let world = World::of(org, Config::default()).await;
    let ids = world.ids(6);
    let control = world.sim.control();
    control.delete("Account", ids[3].as_str()).unwrap();
    control.merge("Account", ids[0].as_str(), ids[4].as_str()).unwrap();
    let never = RecordId::from("001ak00000zzzzzAAA");
    let updates = [
        update(&ids[0], &[("Greeting__c", json!("fine"))]),
        update(&ids[1], &[("Greeting__c", json!("forbidden"))]),
        update(&ids[2], &[("Segment__c", json!("No such segment"))]),
        update(&ids[3], &[("Greeting__c", json!("fine"))]),
        update(&ids[4], &[("Greeting__c", json!("fine"))]),
        update(&never, &[("Greeting__c", json!("fine"))]),
        update(&ids[5], &[("Greeting__c", json!("fine")), ("ParentId", json!("001ak00000zzzzyAAA"))]),
    ];
    let answer = world.write(&updates).await.unwrap();
    assert_eq!(answer.confirmed, [ids[0].clone()], "{answer:?}");
    assert_eq!(answer.cut_short, None);
    let refused: Vec<_> = answer.refused.iter().map(|(id, why)| (id, why.code.as_str())).collect();
    assert_eq!(refused[0], (&ids[1], "FIELD_CUSTOM_VALIDATION_EXCEPTION"));
    assert_eq!(refused[1], (&ids[2], "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"));
    assert_eq!(refused[2].0, &ids[5], "its parent is missing, not the record");
    assert_eq!(answer.refused[0].1.message, "Salesforce: Say something else.");
    let survivor = |of: Option<&RecordId>| Gone { survivor: of.cloned() };
    let gone: BTreeSet<_> = answer.gone.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(gone, BTreeSet::from([ids[3].as_str(), ids[4].as_str(), never.as_str()]));
    assert!(answer.gone.contains(&(ids[4].clone(), survivor(Some(&ids[0])))), "{answer:?}");
}

#[tokio::test]
async fn a_record_named_twice_in_two_spellings_is_written_once() {
    let world = World::bundled().await;
    let id = world.ids(1).remove(0);
    let short = RecordId::from(id.as_str().get(..15).unwrap());
    let answer = world.write(&greetings(&[id.clone(), short.clone()])).await.unwrap();
    assert_eq!(answer.confirmed, [id]);
    assert_eq!((&answer.refused[0].0, answer.refused[0].1.code.as_str()), (&short, "record_named_twice"));
}

#[tokio::test]
async fn a_locked_row_goes_again_and_an_approval_does_not() {
    let world = World::bundled().await;
    let ids = world.ids(3);
    let control = world.sim.control();
    control.lock_row(ids[1].as_str());
    control.set_in_approval("Account", ids[2].as_str(), true).unwrap();
    let answer = world.write(&greetings(&ids)).await.unwrap();
    assert_eq!(answer.confirmed, [ids[0].clone()]);
    assert_eq!((&answer.refused[0].0, answer.refused[0].1.code.as_str()), (&ids[2], "ENTITY_IS_LOCKED"));
    let error = answer.cut_short.unwrap();
    assert_eq!((error.class, error.delivery), (Class::Transient, Delivery::Refused));
    assert_eq!(error.code, "UNABLE_TO_LOCK_ROW");
    control.unlock_row(ids[1].as_str());
    assert_eq!(world.write(&greetings(&ids[1..2])).await.unwrap().confirmed, ids[1..2]);
}

#[tokio::test]
async fn a_value_of_a_wrong_type_sinks_its_collection_only() {
    let org = sim::Config { records: sim::Source::Generate(400), ..sim::Config::default() };
    let world = World::of(org, Config::default()).await;
    let ids = world.ids(400);
    let mut updates = greetings(&ids);
    updates[250] = update(&ids[250], &[("Score__c", json!("no number"))]);
    let answer = world.write(&updates).await.unwrap();
    // Five collections of eighty; the guilty row is in the fourth.
    assert_eq!(answer.confirmed.len(), 320);
    assert!(!answer.confirmed.contains(&ids[250]) && answer.confirmed.contains(&ids[239]));
    let error = answer.cut_short.unwrap();
    assert_eq!((error.class, error.delivery), (Class::Rejected, Delivery::Refused), "{error}");
    // The worker halves what was left out; alone, the guilty row is refused as a whole.
    let error = world.write(&updates[250..=250]).await.unwrap_err();
    assert_eq!((error.class, error.code.as_str()), (Class::Rejected, "JSON_PARSER_ERROR"), "{error}");
}

#[tokio::test]
async fn a_limit_met_within_a_call_cools_the_connection_down() {
    let wrapped = "row-error,code=REQUEST_LIMIT_EXCEEDED,message=ConcurrentRequests Limit exceeded.";
    for (fault, day_spent) in [
        ("403,cause=concurrent,op=collections-update,after=1,count=1".to_owned(), false),
        ("403,cause=daily,op=collections-update,after=1,count=1".to_owned(), true),
        (format!("{wrapped},count=1"), false),
    ] {
        let org = sim::Config { records: sim::Source::Generate(40), ..sim::Config::default() };
        let world = World::of(org, Config::default()).await;
        let ids = world.ids(40);
        world.targets(&["Greeting__c"]).await;
        world.faults(&fault);
        let answer = world.write(&greetings(&ids)).await.unwrap();
        assert!((20..40).contains(&answer.confirmed.len()), "{fault}: {}", answer.confirmed.len());
        let error = answer.cut_short.unwrap();
        assert_eq!((error.class, error.delivery), (Class::Throttled, Delivery::Refused), "{fault}");
        let observed = world.quota.observed.lock().unwrap();
        let heard = observed.iter().filter(|(_, seen)| seen.cool_down_until.is_some());
        let heard: Vec<_> = heard.map(|(_, seen)| (seen.cool_down_until, seen.day_spent)).collect();
        assert!(!heard.is_empty(), "{fault}");
        assert!(heard.iter().all(|heard| *heard == (error.until, day_spent)), "{fault}: {heard:?}");
    }
}

#[tokio::test]
async fn a_lost_answer_is_told_from_a_refused_call() {
    let world = World::bundled().await;
    let updates = greetings(&world.ids(3));
    world.targets(&["Greeting__c"]).await;
    for (fault, class, delivery) in [
        ("lost-reset", Class::Transient, Delivery::Unknown),
        ("lost-503", Class::Transient, Delivery::Unknown),
        ("malformed", Class::Transient, Delivery::Unknown),
        ("reset", Class::Transient, Delivery::Unknown),
        ("403,cause=daily", Class::Throttled, Delivery::Refused),
        ("403,cause=concurrent", Class::Throttled, Delivery::Refused),
        ("403,cause=long-transactions", Class::Throttled, Delivery::Refused),
        ("error,code=UNABLE_TO_LOCK_ROW,message=locked", Class::Transient, Delivery::Refused),
        ("414", Class::Bug, Delivery::Refused),
    ] {
        world.faults(&format!("{fault},op=composite,count=1"));
        let error = world.write(&updates).await.unwrap_err();
        assert_eq!((error.class, error.delivery), (class, delivery), "{fault}: {error:?}");
    }
}

#[tokio::test]
async fn the_day_is_watched_and_its_end_is_waited_for_by_the_quarter_of_an_hour() {
    let limits = sim::Limits { daily: Some(5), ..sim::Limits::of(sim::Edition::Enterprise) };
    let world = World::of(sim::Config { limits, ..sim::Config::default() }, Config::default()).await;
    let ids = world.ids(1);
    let mut last = None;
    for _ in 0..6 {
        last = world.salesforce.read(&accounts(), &ids, &["Name".into()]).await.err();
    }
    let error = last.unwrap();
    assert_eq!((error.class, error.code.as_str()), (Class::Throttled, "REQUEST_LIMIT_EXCEEDED"));
    let wait = error.until.unwrap().as_millisecond() - world.sim.control().now_ms();
    assert!((14 * 60_000..=15 * 60_000).contains(&wait), "{wait}");
    let observed = world.quota.observed.lock().unwrap();
    assert!(observed.iter().any(|(_, seen)| seen.daily_limit == Some(5)));
    assert!(observed.iter().any(|(_, seen)| seen.day_spent && seen.cool_down_until == error.until));
}

#[tokio::test]
async fn a_field_that_no_row_may_be_written_to_stops_the_run() {
    let org = sim::Config {
        read_only_fields: vec![("Account".to_owned(), "Fax".to_owned())],
        ..sim::Config::default()
    };
    let world = World::of(org, Config::default()).await;
    let ids = world.ids(3);
    let fax: Vec<Update> = ids.iter().map(|id| update(id, &[("Fax", json!("1"))])).collect();
    let error = world.write(&fax).await.unwrap_err();
    assert_eq!((error.class, error.code.as_str()), (Class::Configuration, "INVALID_FIELD_FOR_INSERT_UPDATE"));

    let targets = world.targets(&["Greeting__c"]).await;
    world.sim.control().hide_field("Account", "Greeting__c").unwrap();
    let error =
        world.salesforce.write(&accounts(), &[&targets[0]], &greetings(&ids), None).await.unwrap_err();
    assert_eq!((error.class, error.code.as_str()), (Class::Configuration, "INVALID_FIELD"), "{error}");
}

#[tokio::test]
async fn assignment_rules_and_duplicates_go_by_the_connection() {
    let assignee = |world: &World| world.sim.control().record_ids("User").unwrap().remove(2);
    for (manners, moves, saves) in [
        (Manners::default(), false, false),
        (Manners { auto_assign: true, allow_duplicates: true }, true, true),
    ] {
        let mut org = sim::Config::default();
        org.automation.duplicate_rules.push(sim::DuplicateRule {
            object: "Account".to_owned(),
            field: "Greeting__c".to_owned(),
            action: sim::DuplicateAction::Alert,
        });
        // The ids of the users are known once there is an org.
        let user = assignee(&World::bundled().await);
        org.automation.assignment_rules.push(("Account".to_owned(), user.clone()));
        let config = Config { manners, ..Config::default() };
        let world = World::of(org, config).await;
        let ids = world.ids(2);
        world.sim.control().edit("Account", ids[1].as_str(), "Greeting__c", "same").unwrap();
        let answer = world
            .write(&[
                update(&ids[0], &[("Greeting__c", json!("same"))]),
                update(&ids[1], &[("Site", json!("here"))]),
            ])
            .await
            .unwrap();
        assert_eq!(world.value(&ids[1], "OwnerId").as_deref() == Some(user.as_str()), moves, "{manners:?}");
        assert_eq!(answer.confirmed.contains(&ids[0]), saves, "{answer:?}");
    }
}
