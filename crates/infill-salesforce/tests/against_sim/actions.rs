//! Actions on single records: what they need of the account, what they send, and that nothing is made twice.

use infill_crm::{ActionCall, ActionPlan, Crm, Delivery, Error, Outputs, Replay, Unfit};
use infill_model::error::FaultCode;
use infill_model::{Class, Timestamp, Value};
use infill_salesforce::Config;
use infill_sim::salesforce::{self as sim, Operation};
use serde_json::{Map, json};

use crate::world::World;

fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn fields(values: &[(&str, Value)]) -> Value {
    values.iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
}

async fn faults(world: &World, kind: &str, inputs: Value) -> Vec<(FaultCode, String, String)> {
    let prepared = world.salesforce.prepare(&ActionPlan { kind, inputs: &map(inputs) }).await;
    let found = if let Err(Unfit::Faults(found)) = prepared { found } else { Vec::new() };
    found.into_iter().map(|fault| (fault.code, fault.path, fault.message)).collect()
}

/// Prepares an action and performs it with the same inputs.
async fn perform(
    world: &World,
    kind: &str,
    inputs: Value,
    replay: Option<Replay<'_>>,
) -> Result<Outputs, Error> {
    let inputs = map(inputs);
    let prepared = world.salesforce.prepare(&ActionPlan { kind, inputs: &inputs }).await.unwrap();
    world.salesforce.perform(&ActionCall { kind, prepared: &prepared, inputs: &inputs, replay }).await
}

fn first(world: &World, object: &str) -> String {
    world.sim.control().record_ids(object).unwrap().remove(0)
}

fn count(world: &World, object: &str) -> usize {
    world.sim.control().record_ids(object).unwrap().len()
}

fn value(world: &World, object: &str, id: &str, field: &str) -> Option<String> {
    world.sim.control().value(object, id, field).unwrap()
}

fn now(world: &World) -> Timestamp {
    Timestamp::from_millisecond(world.sim.control().now_ms()).unwrap()
}

fn text(outputs: &Outputs, name: &str) -> String {
    outputs[name].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_does_not_fit_the_account_is_told_before_any_row() {
    let world = World::bundled().await;
    let update = |object: &str, fields: Value| json!({"record_id": "{{input.Id}}", "salesforce_object": object, "add_fields_and_their_values": fields});
    let found = faults(&world, "salesforce_update_record", update("Opportunty", fields(&[]))).await;
    assert_eq!(found[0].1, "inputs.salesforce_object");
    assert!(found[0].2.contains("did you mean \"Opportunity\"?"), "{found:?}");

    let wrong = fields(&[
        ("NextStp", json!("call")),
        ("ExpectedRevenue", json!(1)),
        ("StageName", json!("closed won")),
        ("CloseDate", json!("31.12.2026")),
        ("Amount", json!("{{input.Amount}}")),
    ]);
    let found = faults(&world, "salesforce_update_record", update("Opportunity", wrong)).await;
    let places: Vec<(FaultCode, &str)> = found.iter().map(|(code, path, _)| (*code, path.as_str())).collect();
    let list = "inputs.add_fields_and_their_values";
    assert_eq!(
        places,
        [
            (FaultCode::UnknownProperty, format!("{list}[0].name").as_str()),
            (FaultCode::PropertyNotWritable, format!("{list}[1].name").as_str()),
            (FaultCode::InvalidOption, format!("{list}[2].value").as_str()),
            (FaultCode::InvalidOption, format!("{list}[3].value").as_str()),
        ]
    );
    assert!(found[0].2.contains("did you mean \"NextStep\"?"), "{found:?}");
    assert!(found[2].2.contains("\"Closed Won\""), "{found:?}");

    let upsert = json!({
        "salesforce_object": "Contact", "salesforce_external_id_field": "Email",
        "add_fields_and_their_values": fields(&[("Email", json!("a@b.c"))]),
    });
    let found = faults(&world, "salesforce_upsert_record", upsert).await;
    assert!(found[0].2.contains("External_Key__c") && found[0].2.contains("look the record up"), "{found:?}");

    let lookup = json!({
        "salesforce_object": "Account", "search_operator": "AND",
        "add_fields_and_their_values": fields(&[("Description", json!("x"))]),
    });
    let found = faults(&world, "salesforce_lookup_record", lookup).await;
    assert!(found[0].2.contains("cannot select by"), "{found:?}");

    // What is set when a record is made and never after can be given to a new one; this picklist takes any text.
    let task = map(json!({"subject": "Call", "task_subtype": "Cal"}));
    let kind = "salesforce_create_task";
    assert!(world.salesforce.prepare(&ActionPlan { kind, inputs: &task }).await.is_ok());
}

#[tokio::test]
async fn a_lookup_finds_none_one_or_several() {
    let world = World::bundled().await;
    let look_up = |values: Value, operator: &str, is_exact: bool| {
        let inputs = json!({
            "salesforce_object": "Account", "search_operator": operator, "exact_match": is_exact,
            "add_fields_and_their_values": values,
        });
        let world = &world;
        async move { perform(world, "salesforce_lookup_record", inputs, None).await }
    };
    let names = |outputs: Result<Outputs, Error>| {
        let outputs = outputs.unwrap();
        let found = outputs["records_found"].as_array().unwrap().clone();
        found.iter().map(|record| record["Name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let name = |text: &str| fields(&[("Name", json!(text))]);
    assert_eq!(names(look_up(name("Nobody's"), "AND", true).await), Vec::<String>::new());
    assert_eq!(names(look_up(name("3M"), "AND", true).await), ["3M"]);
    assert_eq!(names(look_up(name("Alphabet"), "AND", true).await), Vec::<String>::new());
    assert_eq!(names(look_up(name("Alphabet"), "AND", false).await).len(), 2);
    let both = fields(&[("Name", json!("3M")), ("BillingCity", json!("Saint Paul"))]);
    assert_eq!(names(look_up(both, "AND", true).await), ["3M"]);
    let either = fields(&[("Name", json!("3M")), ("Name", json!("x"))]);
    assert_eq!(names(look_up(either, "OR", true).await), ["3M"]);
    // Nothing of a value is read as query.
    assert_eq!(names(look_up(name("x' OR Name != '"), "AND", true).await), Vec::<String>::new());

    let outputs = look_up(name("3M"), "AND", true).await.unwrap();
    let found = outputs["records_found"][0].as_object().unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), ["Id", "Name"]);
    for (values, code) in [(name(""), "search_value_empty"), (name("a"), "too_many_found")] {
        let error = look_up(values, "AND", false).await.unwrap_err();
        assert_eq!((error.class, error.code.as_str()), (Class::Rejected, code));
    }
}

#[tokio::test]
async fn an_update_keeps_empty_null_and_absent_apart() {
    let world = World::bundled().await;
    let id = first(&world, "Account");
    let update = |values: &[(&str, Value)], ignores: bool| {
        let inputs = json!({
            "record_id": id.get(..15).unwrap(), "salesforce_object": "Account", "ignore_empty_values": ignores,
            "run_salesforce_assignment_rules": false, "add_fields_and_their_values": fields(values),
        });
        let world = &world;
        async move { perform(world, "salesforce_update_record", inputs, None).await }
    };
    let outputs = update(&[("Phone", json!("1")), ("Website", json!("w.example"))], true).await.unwrap();
    assert_eq!(outputs["record_id"], json!(id));
    assert!(text(&outputs, "account_url").ends_with(&format!("/lightning/r/Account/{id}/view")));
    update(&[("Phone", json!(null)), ("Website", json!(""))], true).await.unwrap();
    assert_eq!(value(&world, "Account", &id, "Phone").as_deref(), Some("1"));
    assert_eq!(world.sim.control().report().calls(Operation::RecordUpdate).received, 1, "nothing to send");
    update(&[("Phone", json!(null))], false).await.unwrap();
    assert_eq!(value(&world, "Account", &id, "Phone"), None);
    assert_eq!(value(&world, "Account", &id, "Website").as_deref(), Some("w.example"));
    update(&[("Website", json!(""))], false).await.unwrap();
    assert_eq!(value(&world, "Account", &id, "Website"), None);
    world.sim.control().delete("Account", &id).unwrap();
    let error = update(&[("Phone", json!("2"))], true).await.unwrap_err();
    assert_eq!(error.class, Class::Gone);
    assert!(error.code == "ENTITY_IS_DELETED" || error.code == "NOT_FOUND", "{error:?}");
}

#[tokio::test]
async fn assignment_rules_run_only_when_the_action_says_so() {
    let automation = sim::Automation {
        assignment_rules: vec![("Account".to_owned(), sim::SIM_ASSIGNEE_ID.to_owned())],
        ..sim::Automation::default()
    };
    let world = World::of(sim::Config { automation, ..sim::Config::default() }, Config::default()).await;
    let id = first(&world, "Account");
    for (runs, is_assigned) in [(json!(false), false), (json!(true), true)] {
        let inputs = json!({
            "record_id": id, "salesforce_object": "Account", "run_salesforce_assignment_rules": runs,
            "add_fields_and_their_values": fields(&[("Phone", json!("1"))]),
        });
        perform(&world, "salesforce_update_record", inputs, None).await.unwrap();
        let owner = value(&world, "Account", &id, "OwnerId").unwrap();
        assert_eq!(owner == sim::SIM_ASSIGNEE_ID, is_assigned);
    }
}

#[tokio::test]
async fn an_opportunity_is_updated_in_the_types_of_its_fields() {
    let world = World::bundled().await;
    let id = first(&world, "Opportunity");
    let update = |values: &[(&str, Value)]| {
        let inputs = json!({
            "record_id": id, "salesforce_object": "Opportunity", "ignore_empty_values": true,
            "add_fields_and_their_values": fields(values),
        });
        let world = &world;
        async move { perform(world, "salesforce_update_record", inputs, None).await }
    };
    let values = [
        ("StageName", json!("Closed Won")),
        ("Amount", json!("1200.50")),
        ("CloseDate", json!("2026-12-31")),
        ("NextStep", json!("Send \"it\"")),
        ("External_Key__c", json!("K-1")),
    ];
    update(&values).await.unwrap();
    for (field, stored) in [
        ("StageName", "Closed Won"),
        ("Amount", "1200.5"),
        ("CloseDate", "2026-12-31"),
        ("NextStep", "Send \"it\""),
        ("External_Key__c", "K-1"),
    ] {
        assert_eq!(value(&world, "Opportunity", &id, field).as_deref(), Some(stored), "{field}");
    }
    // Values that come from a row are checked before the call; a plan's own were refused when it was configured.
    let n_calls = world.sim.control().report().calls(Operation::RecordUpdate).received;
    for (field, wrong, code) in [
        ("StageName", "closed won", "invalid_option"),
        ("CloseDate", "2026-12-31T10:00:00Z", "not_a_date"),
        ("Amount", "1,200", "not_a_number"),
    ] {
        let plan = json!({
            "record_id": "x", "salesforce_object": "Opportunity",
            "add_fields_and_their_values": fields(&[(field, json!("{{input.x}}"))]),
        });
        let kind = "salesforce_update_record";
        let prepared = world.salesforce.prepare(&ActionPlan { kind, inputs: &map(plan) }).await.unwrap();
        let inputs = map(json!({
            "record_id": id, "salesforce_object": "Opportunity",
            "add_fields_and_their_values": fields(&[(field, json!(wrong))]),
        }));
        let call = ActionCall { kind, prepared: &prepared, inputs: &inputs, replay: None };
        let error = world.salesforce.perform(&call).await.unwrap_err();
        assert_eq!((error.class, error.code.as_str()), (Class::Rejected, code), "{error:?}");
    }
    assert_eq!(world.sim.control().report().calls(Operation::RecordUpdate).received, n_calls);
}

#[tokio::test]
async fn an_upsert_says_what_it_did() {
    let world = World::bundled().await;
    let upsert = |key: &str, city: &str, forces: bool| {
        let inputs = json!({
            "salesforce_object": "Account", "salesforce_external_id_field": "External_Key__c",
            "force_update_on_collision": forces, "ignore_empty_values": true,
            "add_fields_and_their_values": fields(&[
                ("External_Key__c", json!(key)), ("Name", json!("Acorn")), ("BillingCity", json!(city)),
            ]),
        });
        let world = &world;
        async move { perform(world, "salesforce_upsert_record", inputs, None).await }
    };
    let n_accounts = count(&world, "Account");
    for (key, forces) in [("N/1 ä", true), ("N2", false)] {
        let inserted = upsert(key, "Bonn", forces).await.unwrap();
        assert_eq!(inserted["operation_type"], "Insert");
        let id = text(&inserted, "record_id");
        assert_eq!(value(&world, "Account", &id, "External_Key__c").as_deref(), Some(key));
        let skipped = upsert(key, "Rome", false).await.unwrap();
        assert_eq!(
            (text(&skipped, "operation_type").as_str(), text(&skipped, "record_id")),
            ("Skip", id.clone())
        );
        assert_eq!(value(&world, "Account", &id, "BillingCity").as_deref(), Some("Bonn"));
        let updated = upsert(key, "Rome", true).await.unwrap();
        assert_eq!(
            (text(&updated, "operation_type").as_str(), text(&updated, "record_id")),
            ("Update", id.clone())
        );
        assert_eq!(value(&world, "Account", &id, "BillingCity").as_deref(), Some("Rome"));
    }
    assert_eq!(count(&world, "Account"), n_accounts + 2);
    let error = upsert(" ", "Rome", true).await.unwrap_err();
    assert_eq!((error.class, error.code.as_str()), (Class::Rejected, "external_id_empty"));

    // Two accounts have one CIK: none is touched.
    let inputs = json!({
        "salesforce_object": "Account", "salesforce_external_id_field": "CIK__c", "force_update_on_collision": true,
        "add_fields_and_their_values": fields(&[("CIK__c", json!("1652044")), ("Name", json!("x"))]),
    });
    let error = perform(&world, "salesforce_upsert_record", inputs, None).await.unwrap_err();
    assert_eq!((error.class, error.code.as_str()), (Class::Rejected, "several_match"));
}

/// Performs a creation whose answer is lost, and performs it again.
async fn lose_and_repeat(world: &World, kind: &str, inputs: Value) -> Outputs {
    let since = now(world);
    let key = "run/001/task";
    let replay = |is_repeat| Some(Replay { key, since, is_repeat });
    world.faults("lost-reset,op=record-create|record-upsert,count=1");
    let error = perform(world, kind, inputs.clone(), replay(false)).await.unwrap_err();
    assert_eq!(error.class, Class::Transient);
    perform(world, kind, inputs, replay(true)).await.unwrap()
}

#[tokio::test]
async fn what_a_lost_answer_made_is_found_and_not_made_again() {
    for replay_key_field in [None, Some("External_Key__c".to_owned())] {
        let config = Config { replay_key_field: replay_key_field.clone(), ..Config::default() };
        let world = World::of(sim::Config::default(), config).await;
        let (account, contact) = (first(&world, "Account"), first(&world, "Contact"));
        let task = json!({
            "subject": "Call O'Neil", "what_id": account, "who_id": contact, "description": "Ask.\nTwice.",
            "activity_date": "2026-12-01", "task_subtype": "Call",
        });
        let made = lose_and_repeat(&world, "salesforce_create_task", task.clone()).await;
        let [id] = world.sim.control().record_ids("Task").unwrap().try_into().unwrap();
        assert_eq!(made["record_id"], json!(id));
        let description = value(&world, "Task", &id, "Description").unwrap();
        match &replay_key_field {
            None => assert_eq!(description, "Ask.\nTwice.\n\n[infill run/001/task]"),
            Some(field) => {
                assert_eq!(description, "Ask.\nTwice.");
                assert_eq!(value(&world, "Task", &id, field).as_deref(), Some("run/001/task"));
            }
        }
        for (field, stored) in [("ActivityDate", "2026-12-01"), ("TaskSubtype", "Call"), ("WhatId", &account)]
        {
            assert_eq!(value(&world, "Task", &id, field).as_deref(), Some(stored), "{field}");
        }
        // Another row's task with the same words is another task.
        let other = Replay { key: "run/002/task", since: now(&world), is_repeat: true };
        perform(&world, "salesforce_create_task", task, Some(other)).await.unwrap();
        assert_eq!(count(&world, "Task"), 2);

        let n_contacts = count(&world, "Contact");
        let create = json!({
            "salesforce_object": "Contact",
            "add_fields_and_their_values": fields(&[("LastName", json!("Ovid")), ("Phone", json!(null))]),
        });
        let made = lose_and_repeat(&world, "salesforce_create_record", create).await;
        assert_eq!(count(&world, "Contact"), n_contacts + 1);
        assert_eq!(value(&world, "Contact", &text(&made, "record_id"), "LastName").as_deref(), Some("Ovid"));

        for (key, forces) in [("U1", true), ("U2", false)] {
            let upsert = json!({
                "salesforce_object": "Contact", "salesforce_external_id_field": "External_Key__c",
                "force_update_on_collision": forces,
                "add_fields_and_their_values": fields(&[("External_Key__c", json!(key)), ("LastName", json!("Livy"))]),
            });
            let made = lose_and_repeat(&world, "salesforce_upsert_record", upsert).await;
            assert_eq!(made["operation_type"], "Insert", "{key}");
        }
        assert_eq!(count(&world, "Contact"), n_contacts + 3);
    }
}

#[tokio::test]
async fn several_that_may_be_the_lost_one_are_left_to_a_person() {
    let world = World::bundled().await;
    let create = json!({
        "salesforce_object": "Contact", "add_fields_and_their_values": fields(&[("LastName", json!("Ovid"))]),
    });
    let replay = Replay { key: "k", since: now(&world), is_repeat: false };
    for _ in 0..2 {
        perform(&world, "salesforce_create_record", create.clone(), Some(replay)).await.unwrap();
    }
    let repeat = Some(Replay { is_repeat: true, ..replay });
    let error = perform(&world, "salesforce_create_record", create, repeat).await.unwrap_err();
    assert_eq!((error.class, error.code.as_str()), (Class::Rejected, "creation_unknown"));
}

#[tokio::test]
async fn a_throttled_action_is_no_fault_of_its_row_and_made_nothing() {
    let world = World::bundled().await;
    let task = json!({"subject": "Call", "what_id": first(&world, "Account")});
    let update = json!({
        "record_id": first(&world, "Account"), "salesforce_object": "Account",
        "add_fields_and_their_values": fields(&[("Site", json!("here"))]),
    });
    for (kind, inputs, operation) in [
        ("salesforce_create_task", task, "record-create"),
        ("salesforce_update_record", update, "record-update"),
    ] {
        for (cause, day_spent, seconds) in
            [("daily", true, 900), ("concurrent", false, 10), ("long-transactions", false, 30)]
        {
            world.quota.observed.lock().unwrap().clear();
            world.faults(&format!("403,cause={cause},op={operation},count=1"));
            let error = perform(&world, kind, inputs.clone(), None).await.unwrap_err();
            assert_eq!((error.class, error.delivery), (Class::Throttled, Delivery::Refused), "{cause}");
            let wait = error.until.unwrap().as_second() - now(&world).as_second();
            assert!((seconds - 1..=seconds).contains(&wait), "{cause}: {wait}");
            let observed = world.quota.observed.lock().unwrap();
            let heard = observed.iter().find(|(_, seen)| seen.cool_down_until == error.until);
            assert!(heard.is_some_and(|(_, seen)| seen.day_spent == day_spent), "{cause}: {observed:?}");
        }
    }
    assert_eq!(count(&world, "Task"), 0);
    assert_eq!(value(&world, "Account", &first(&world, "Account"), "Site"), None);
}
