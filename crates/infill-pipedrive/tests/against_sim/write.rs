//! Writing: every type reads back as it was sent, one bad record stops no other, and lists are merged.

use infill_crm::{Crm, Update, conformance};
use infill_model::property::PropertyDef;
use infill_model::row::Gone;
use infill_model::{Class, PropertyName, RecordId, Value};
use infill_sim::pipedrive as sim;
use serde_json::json;

use crate::world::{World, persons, sorted, unlimited, update};

#[tokio::test]
async fn a_batch_is_confirmed_by_id_and_reads_back_to_the_letter() {
    const NAME: &str = "Zoë \"Z\" O'Neil-Łukasz `x`\n\\ {{y}} 🦀";
    let world = World::bundled().await;
    let ids = world.ids("persons", 100);
    let greeting = world.code("persons", "Greeting");
    let answer = world.write("persons", &ids, &greeting, &json!(NAME)).await.unwrap();
    assert_eq!(sorted(&answer.confirmed), sorted(&ids));
    assert!(answer.refused.is_empty() && answer.gone.is_empty() && answer.cut_short.is_none());
    let read = world.pipedrive.read(&persons(), &ids, std::slice::from_ref(&greeting)).await.unwrap();
    assert!(read.records.iter().all(|record| record.properties[&greeting] == json!(NAME)));
    assert_eq!(world.sim.control().ledger().len(), 100);
    assert_eq!(
        world.sim.control().report().calls("update persons").received,
        100,
        "one call for each record"
    );

    let targets = world.targets("persons", &[&greeting]).await;
    let updates: Vec<Update> = ids.iter().map(|id| update(id, &[(&greeting, json!("x"))])).collect();
    let targets: Vec<&PropertyDef> = targets.iter().collect();
    let broken = conformance::writing(&world.pipedrive, &persons(), &targets, &updates).await.unwrap();
    assert_eq!(broken, Vec::<String>::new());
}

/// Writes a value to one record, reads it back, and checks that both compare equal; then clears it.
async fn check_round_trip(world: &World, object: &str, name: &PropertyName, value: &Value) {
    let ids = world.ids(object, 1);
    let answer = world.write(object, &ids, name, value).await.unwrap();
    assert_eq!(answer.confirmed, ids, "{object} {name} {value}: {answer:?}");
    let target = world.targets(object, &[name]).await.remove(0);
    assert!(world.pipedrive.check(&target, value, &[]).is_ok());
    let read_back = async || {
        let read = world.pipedrive.read(&object.into(), &ids, std::slice::from_ref(name)).await.unwrap();
        let held = read.records.first().and_then(|record| record.properties.get(name)).unwrap();
        world.pipedrive.normalize(&target, held)
    };
    assert_eq!(read_back().await, world.pipedrive.normalize(&target, value), "{object} {name} {value}");
    if infill_pipedrive::field::is_custom(name.as_str()) {
        let answer = world.write(object, &ids, name, &Value::Null).await.unwrap();
        assert_eq!(answer.confirmed, ids, "{object} {name} cleared: {answer:?}");
        assert_eq!(read_back().await, Value::Null, "{object} {name}");
    }
}

#[tokio::test]
async fn every_type_of_custom_field_reads_back_as_it_was_sent_and_can_be_cleared() {
    let world = World::bundled().await;
    for object in ["persons", "organizations", "deals", "products"] {
        for (field, value) in [
            ("Greeting", json!("Hello")),
            ("Background", json!("long\ntext")),
            ("Region", json!("North")),
            ("Score", json!("7.50")),
            ("Seats", json!(12)),
            ("Budget", json!("10.5 EUR")),
            ("Renewal date", json!("2026-11-20")),
            ("Trial period", json!("2026-11-20/2026-12-20")),
            ("Best time to call", json!("9:30")),
            (
                "Office hours",
                json!({"value": "09:00:00", "until": "17:00:00", "timezone_name": "Europe/Berlin"}),
            ),
            ("Assistant phone", json!("+49 30 1")),
            ("Tier", json!("Gold")),
            ("Interests", json!("Events; Webinars")),
            ("Site address", json!("Main St 1, Bonn")),
            ("Account manager", json!("11")),
            ("Partner", json!("7001")),
            ("Referred by", json!("100001")),
        ] {
            check_round_trip(&world, object, &world.code(object, field), &value).await;
        }
    }
}

#[tokio::test]
async fn built_in_fields_read_back_as_they_were_sent() {
    let world = World::bundled().await;
    for (object, field, value) in [
        ("persons", "name", json!("Ann Lee")),
        ("persons", "owner_id", json!(12)),
        ("persons", "org_id", json!("7001")),
        ("persons", "label_ids", json!("Customer;Hot lead")),
        ("persons", "visible_to", json!("Entire company")),
        ("persons", "marketing_status", json!("subscribed")),
        ("organizations", "address", json!({"value": "Main St 1", "locality": "Bonn"})),
        ("organizations", "website", json!("https://example.org")),
        ("organizations", "industry", json!("Energy")),
        ("organizations", "annual_revenue", json!("1000000")),
        ("deals", "value", json!("12.5")),
        ("deals", "currency", json!("USD")),
        ("deals", "probability", json!(40)),
        ("deals", "expected_close_date", json!("2026-12-01")),
        ("products", "description", json!("What it is")),
        ("products", "tax", json!(19)),
        ("activities", "subject", json!("Call back")),
        ("activities", "done", json!("true")),
        ("activities", "due_date", json!("2026-12-01")),
        ("leads", "title", json!("Lead of Ann")),
        ("leads", "value", json!("7 USD")),
        ("leads", "expected_close_date", json!("2026-12-01")),
        ("leads", "was_seen", json!(true)),
    ] {
        check_round_trip(&world, object, &field.into(), &value).await;
    }
    for (field, value) in [("Greeting", json!("Hello")), ("Score", json!(7)), ("Tier", json!("Gold"))] {
        check_round_trip(&world, "leads", &world.code("leads", field), &value).await;
    }
}

#[tokio::test]
async fn all_properties_of_a_record_go_into_one_call() {
    let world = World::bundled().await;
    let ids = world.ids("persons", 1);
    let names: [PropertyName; 3] =
        ["name".into(), world.code("persons", "Greeting"), world.code("persons", "Tier")];
    let targets = world.targets("persons", &names.iter().collect::<Vec<_>>()).await;
    let one =
        update(&ids[0], &[(&names[0], json!("Ann")), (&names[1], json!("Hi")), (&names[2], json!("Gold"))]);
    let targets: Vec<_> = targets.iter().collect();
    let written = world.pipedrive.write(&persons(), &targets, &[one], None).await.unwrap();
    assert_eq!(written.answered().unwrap().confirmed, ids);
    let control = world.sim.control();
    assert_eq!(control.report().calls("update persons").received, 1);
    assert_eq!(
        control.value("persons", &ids[0], "Tier").unwrap(),
        control.option_id("persons", "Tier", "Gold").unwrap()
    );
}

#[tokio::test]
async fn an_address_is_added_to_those_that_are_there() {
    let world = World::bundled().await;
    let ids = world.ids("persons", 2);
    let before = json!([
        {"value": "old@x.y", "primary": true, "label": "home"},
        {"value": "two@x.y", "primary": false, "label": "other"},
    ]);
    world.sim.control().edit("persons", &ids[0], "emails", &before).unwrap();
    let answer = world.write("persons", &ids, &"email".into(), &json!("new@x.y")).await.unwrap();
    assert_eq!(sorted(&answer.confirmed), sorted(&ids));
    assert_eq!(
        world.value("persons", &ids[0], "emails"),
        json!([
            {"value": "new@x.y", "primary": true, "label": "work"},
            {"value": "old@x.y", "primary": false, "label": "home"},
            {"value": "two@x.y", "primary": false, "label": "other"},
        ])
    );
    let read = world.pipedrive.read(&persons(), &ids[..1], &["email".into()]).await.unwrap();
    assert_eq!(read.records[0].properties["email"], "new@x.y");
    // One read for the whole batch.
    assert_eq!(world.sim.control().report().calls("list persons").received, 2);

    // Who is gone when the list is read has no list to merge with.
    world.sim.control().delete("persons", &ids[1]).unwrap();
    let answer = world.write("persons", &ids, &"phone".into(), &json!("+49 30 1")).await.unwrap();
    assert_eq!(answer.confirmed, ids[..1]);
    assert_eq!(answer.gone, [(ids[1].clone(), Gone { survivor: None })]);
}

#[tokio::test]
async fn one_bad_record_is_refused_alone() {
    let world = World::bundled().await;
    let ids = world.ids("persons", 20);
    world.faults(&format!("bad-row,record={}", ids[7]));
    world.sim.control().delete("persons", &ids[9]).unwrap();
    let greeting = world.code("persons", "Greeting");
    let answer = world.write("persons", &ids, &greeting, &json!("Hello")).await.unwrap();
    assert_eq!(answer.confirmed.len(), 18);
    let [(id, refusal)] = answer.refused.as_slice() else { panic!("{:?}", answer.refused) };
    assert_eq!(id, &ids[7]);
    assert!(refusal.message.starts_with("Pipedrive: Validation failed"), "{}", refusal.message);
    assert_eq!(answer.gone, [(ids[9].clone(), Gone { survivor: None })]);
    assert!(answer.cut_short.is_none());

    // A value that does not fit costs no call.
    let before = world.sim.control().report().calls("update persons").received;
    let answer =
        world.write("persons", &ids[..1], &world.code("persons", "Score"), &json!("many")).await.unwrap();
    assert_eq!(answer.refused[0].1.code, "not_a_number");
    assert_eq!(world.sim.control().report().calls("update persons").received, before);
}

#[tokio::test]
async fn a_record_that_is_deleted_is_gone_in_either_answer() {
    for deleted in [sim::Absence::NotFound, sim::Absence::Gone] {
        let mut config = unlimited();
        config.switches.deleted = deleted;
        let world = World::of(config).await;
        for object in ["persons", "leads"] {
            let ids = world.ids(object, 2);
            world.sim.control().delete(object, &ids[0]).unwrap();
            let name = if object == "persons" { "name" } else { "title" };
            let answer = world.write(object, &ids, &name.into(), &json!("X")).await.unwrap();
            assert_eq!(answer.gone, [(ids[0].clone(), Gone { survivor: None })], "{object}");
            assert_eq!(answer.confirmed, ids[1..]);
        }
    }
}

#[tokio::test]
async fn a_record_that_a_write_does_not_find_is_read_before_it_is_gone() {
    for object in ["persons", "leads"] {
        let world = World::bundled().await;
        let ids = world.ids(object, 3);
        world.sim.control().delete(object, &ids[0]).unwrap();
        world.faults(&format!("404,op=update,record={}", ids[1]));
        let name = if object == "persons" { "name" } else { "title" };
        let answer = world.write(object, &ids, &name.into(), &json!("X")).await.unwrap();
        assert_eq!(answer.gone, [(ids[0].clone(), Gone { survivor: None })], "{object}");
        assert_eq!((&answer.refused[0].0, answer.refused.len()), (&ids[1], 1), "{object}");
        assert!(answer.refused[0].1.message.contains("the record is there"), "{:?}", answer.refused);
        assert_eq!(answer.confirmed, ids[2..]);
    }
}

#[tokio::test]
async fn ids_of_another_system_are_refused_before_any_call() {
    let world = World::bundled().await;
    let error =
        world.write("persons", &["0035g00000abcDE".into()], &"name".into(), &json!("X")).await.unwrap_err();
    assert_eq!((error.class, error.records), (Class::Rejected, vec![RecordId::from("0035g00000abcDE")]));
    assert!(world.sim.control().ledger().is_empty());
}
