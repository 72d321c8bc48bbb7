//! The account, its fields, its filters, and reading.

use std::collections::BTreeSet;

use infill_crm::{Crm, Pull, conformance};
use infill_model::row::Gone;
use infill_model::slice::Selection;
use infill_model::{Class, PropertyName, RecordId, Value};
use infill_sim::pipedrive as sim;
use serde_json::json;

use crate::world::{World, condition, persons, sorted, unlimited, view};

#[tokio::test]
async fn the_account_tells_its_company_and_what_is_left_of_the_day() {
    let limits = sim::Limits::of(sim::LimitTier::Lite);
    let world = World::of(sim::Config { limits, ..unlimited() }).await;
    world.sim.control().spend_tokens(1_000);
    let account = world.pipedrive.account().await.unwrap();
    assert_eq!(account.label, "Pipedrive company Acme");
    assert_eq!(account.daily_limit, Some(30_000));
    assert_eq!(account.daily_used, Some(1_002), "what others spent, and this call");
    let url = world.pipedrive.record_address(&account, &persons()).unwrap().of(&"7".into());
    assert_eq!(url, "https://acme-sandbox.pipedrive.com/person/7");
    assert!(conformance::record_address(&world.pipedrive, &account, &persons(), &"7".into()).is_empty());
    assert_eq!(world.pipedrive.record_address(&account, &"activities".into()), None);

    let mut config = sim::Config { limits, ..unlimited() };
    config.switches.daily_headers = false;
    let account = World::of(config).await.pipedrive.account().await.unwrap();
    assert_eq!((account.daily_limit, account.daily_used), (None, None));
}

#[tokio::test]
async fn the_catalog_keeps_the_laws_of_every_connector() {
    let world = World::bundled().await;
    for object in ["persons", "organizations", "deals", "products", "activities", "leads"] {
        let catalog = world.pipedrive.catalog(&object.into()).await.unwrap();
        assert!(catalog.properties.iter().any(|property| property.read_only.is_none()), "{object}");
        assert_eq!(
            conformance::checks(&world.pipedrive, &catalog.properties),
            Vec::<String>::new(),
            "{object}"
        );
        let values = [
            json!("2026-11-20"),
            json!("2026-11-20T10:00:00+01:00"),
            json!("10.5 EUR"),
            json!({"value": 10.5, "currency": "EUR"}),
            json!("2026-11-20/2026-11-21"),
            json!("09:30"),
            json!(" 007.50 "),
            json!("1;2;1"),
            json!("TRUE"),
            json!("José \"Pepe\" O'Neil"),
            json!("a.B@c.de"),
            json!(12.25),
            json!(true),
            json!(["1", 2]),
            json!({"value": "Main St 1", "locality": "Bonn"}),
        ];
        let broken = conformance::values(&world.pipedrive, &catalog.properties, &values);
        assert_eq!(broken, Vec::<String>::new(), "{object}");
    }
    assert!(conformance::limits(&world.pipedrive).is_empty());
    let persons = world.pipedrive.catalog(&persons()).await.unwrap();
    let greeting = persons.get(&world.code("persons", "Greeting")).unwrap();
    assert_eq!((greeting.label.as_str(), greeting.read_only.as_ref()), ("Greeting", None));
    assert!(persons.get(&"add_time".into()).unwrap().read_only.is_some());
    let error = world.pipedrive.catalog(&"person".into()).await.unwrap_err();
    assert!(error.message.contains("did you mean \"persons\""), "{error}");
}

#[tokio::test]
async fn filters_are_found_by_id_and_by_name_and_pulled_whole() {
    let world = World::bundled().await;
    let control = world.sim.control();
    let lists = world.pipedrive.lists().await.unwrap();
    let name = lists.iter().find(|list| list.id.as_str() == "3").unwrap().name.clone();
    let by_name = world.pipedrive.resolve(&persons(), &view(&name.to_uppercase())).await.unwrap();
    assert_eq!(by_name, world.pipedrive.resolve(&persons(), &view("3")).await.unwrap());
    assert_eq!(by_name, world.pipedrive.resolve(&persons(), &Selection::List("3".into())).await.unwrap());

    for (object, filter) in [
        ("persons", 1),
        ("persons", 3),
        ("persons", 4),
        ("organizations", 5),
        ("deals", 6),
        ("leads", 7),
        ("products", 9),
        ("activities", 10),
    ] {
        let slice = world.pipedrive.resolve(&object.into(), &view(&filter.to_string())).await.unwrap();
        assert_eq!(
            conformance::listing(&world.pipedrive, &slice, &Pull::default()).await.unwrap(),
            Vec::<String>::new()
        );
        // What is archived is in no list.
        let is_archived =
            |id: &str| control.value(object, id, "is_archived").is_ok_and(|archived| archived == json!(true));
        let members: BTreeSet<String> = control.filter_members(filter).unwrap().into_iter().collect();
        let listed = world.listed(&slice).await;
        let expected: BTreeSet<&str> =
            members.iter().map(String::as_str).filter(|id| !is_archived(id)).collect();
        assert_eq!((listed.len(), sorted(&listed)), (expected.len(), expected), "{object} {filter}");
    }
}

#[tokio::test]
async fn a_filter_that_cannot_be_pulled_is_refused_with_the_way_out() {
    let world = World::bundled().await;
    let refused = async |object: &str, selection: Selection| {
        let error = world.pipedrive.resolve(&object.into(), &selection).await.unwrap_err();
        assert_eq!(error.class, Class::Configuration, "{error}");
        error.message
    };
    let lists = world.pipedrive.lists().await.unwrap();
    let name = lists.iter().find(|list| list.id.as_str() == "1").unwrap().name.clone();
    let said = refused("persons", view(&format!("{name}x"))).await;
    assert!(said.contains(&format!("did you mean \"{name}\"")), "{said}");
    let said = refused("persons", view("6")).await;
    assert!(said.contains("selects deals and the plan's object is persons"), "{said}");
    let said = refused("deals", view(&name)).await;
    assert!(said.contains("selects persons and the plan's object is deals"), "{said}");
    let said = refused("persons", view("8")).await;
    assert!(said.contains("must be shared"), "the filter of another user: {said}");
    let said = refused("persons", Selection::Query("select".to_owned())).await;
    assert!(said.contains("name a saved filter as `view`"), "{said}");
}

#[tokio::test]
async fn conditions_select_what_they_say_and_leave_no_filter_behind() {
    let world = World::of(sim::Config { records: sim::Source::Generate(1_200), ..unlimited() }).await;
    let control = world.sim.control();
    let tier = world.code("persons", "Tier");
    let gold = control.option_id("persons", "Tier", "Gold").unwrap();
    let all = world.ids("persons", 2_000);
    for id in all.iter().step_by(300) {
        control.edit("persons", id, "Tier", &gold).unwrap();
    }
    let with_tier = |is: &dyn Fn(&Value) -> bool| {
        all.iter().filter(|id| is(&world.value("persons", id, "Tier"))).cloned().collect::<Vec<RecordId>>()
    };
    let id_of = |at: usize| json!(all[at].as_str().parse::<u64>().unwrap());
    let filters_before = world.pipedrive.lists().await.unwrap();
    for (conditions, expected) in [
        (vec![condition("id", "is not empty", &[])], all.clone()),
        (vec![condition("id", "less than", &[id_of(3)])], all[..3].to_vec()),
        (vec![condition("id", "is between", &[id_of(498), id_of(502)])], all[498..=502].to_vec()),
        (vec![condition("Tier", "is", &[json!("gold")])], with_tier(&|value| *value == gold)),
        (vec![condition(tier.as_str(), "is empty", &[])], with_tier(&Value::is_null)),
        (
            vec![
                condition("Tier", "is", std::slice::from_ref(&gold)),
                condition("id", "greater than", &[id_of(299)]),
            ],
            with_tier(&|value| *value == gold).into_iter().filter(|id| all[300..].contains(id)).collect(),
        ),
    ] {
        let slice =
            world.pipedrive.resolve(&persons(), &Selection::Filter(conditions.clone())).await.unwrap();
        assert_eq!(slice.size, None);
        assert_eq!(world.listed(&slice).await, expected, "{conditions:?}");
        assert!(conformance::listing(&world.pipedrive, &slice, &Pull::default()).await.unwrap().is_empty());
    }
    assert_eq!(world.pipedrive.lists().await.unwrap(), filters_before);
    let misspelt = Selection::Filter(vec![condition("Teir", "is not empty", &[])]);
    let error = world.pipedrive.resolve(&persons(), &misspelt).await.unwrap_err();
    assert!(error.message.contains("\"Tier\""), "{error}");
}

#[tokio::test]
async fn a_read_accounts_for_missing_deleted_and_unset() {
    for omit_unset in [false, true] {
        let mut config = unlimited();
        config.switches.omit_unset = omit_unset;
        let world = World::of(config).await;
        let control = world.sim.control();
        for object in ["persons", "organizations", "deals", "products", "activities", "leads"] {
            let ids = world.ids(object, 4);
            control.delete(object, &ids[1]).unwrap();
            let nobody: RecordId = if object == "leads" {
                "adf21080-0e10-11eb-879b-05d71fb426ec".into()
            } else {
                "999999999".into()
            };
            let asked = [ids[0].clone(), ids[1].clone(), ids[2].clone(), nobody.clone()];
            let mut properties: Vec<PropertyName> = vec!["owner_id".into()];
            if object != "activities" {
                properties.push(world.code(object, "Score"));
            }
            let broken =
                conformance::reading(&world.pipedrive, &object.into(), &asked, &properties).await.unwrap();
            assert_eq!(broken, Vec::<String>::new(), "{object}");
            let answer = world.pipedrive.read(&object.into(), &asked, &properties).await.unwrap();
            let gone = |id: &RecordId| (id.clone(), Gone { survivor: None });
            assert_eq!(answer.gone, [gone(&ids[1]), gone(&nobody)], "{object}");
            assert_eq!(
                answer.records[0].properties["owner_id"],
                control.value(object, &ids[0], "owner_id").unwrap()
            );
        }
    }
    let world = World::bundled().await;
    let error = world.pipedrive.read(&persons(), &["a@b.c".into()], &[]).await.unwrap_err();
    assert_eq!((error.class, error.records), (Class::Rejected, vec!["a@b.c".into()]));
}

#[tokio::test]
async fn a_read_shows_the_primary_address_and_fields_that_are_answered_on_request() {
    let world = World::bundled().await;
    let id = world.ids("persons", 1);
    let emails = json!([
        {"value": "second@x.y", "primary": false, "label": "home"},
        {"value": "first@x.y", "primary": true, "label": "work"},
    ]);
    world.sim.control().edit("persons", &id[0], "emails", &emails).unwrap();
    let names: [PropertyName; 2] = ["email".into(), "notes_count".into()];
    let answer = world.pipedrive.read(&persons(), &id, &names).await.unwrap();
    assert_eq!(answer.records[0].properties["email"], "first@x.y");
    assert!(answer.records[0].properties["notes_count"].is_number());
}

#[tokio::test]
async fn a_custom_field_may_be_called_by_its_label() {
    let world = World::bundled().await;
    let ids = world.ids("persons", 2);
    let names: [PropertyName; 2] = ["Greeting".into(), "Best time to call".into()];
    let answer = world.write("persons", &ids, &names[0], &json!("Hello")).await.unwrap();
    assert_eq!(answer.confirmed.len(), 2);
    assert_eq!(world.value("persons", &ids[0], "Greeting"), "Hello");
    let broken = conformance::reading(&world.pipedrive, &persons(), &ids, &names).await.unwrap();
    assert_eq!(broken, Vec::<String>::new());
    let read = world.pipedrive.read(&persons(), &ids, &names).await.unwrap();
    assert_eq!(read.records[0].properties["Greeting"], "Hello");
    let n_looks = world.sim.control().report().calls("fields persons").received;
    assert_eq!(n_looks, 1, "the fields are described once");

    let renamed = World::bundled().await;
    renamed.sim.control().delete_field("persons", "Greeting").unwrap();
    let error = renamed.pipedrive.read(&persons(), &ids, &names).await.unwrap_err();
    assert_eq!((error.class, error.code.as_str()), (Class::Configuration, "unknown_field"), "{error}");
}

#[tokio::test]
async fn what_is_asked_costs_what_it_is_said_to_cost() {
    let world = World::bundled().await;
    world.pipedrive.account().await.unwrap();
    world.pipedrive.lists().await.unwrap();
    for object in ["persons", "deals", "leads"] {
        let properties = world.pipedrive.catalog(&object.into()).await.unwrap().properties;
        let ids = world.ids(object, 3);
        let filter = match object {
            "persons" => "1",
            "deals" => "6",
            _ => "7",
        };
        let slice = world.pipedrive.resolve(&object.into(), &view(filter)).await.unwrap();
        world.listed(&slice).await;
        world.pipedrive.read(&object.into(), &ids, &[]).await.unwrap();
        let name = if object == "persons" { "name" } else { "title" };
        assert!(properties.iter().any(|property| property.name.as_str() == name));
        world.write(object, &ids, &name.into(), &json!("X")).await.unwrap();
    }
    assert_eq!(*world.quota.spent.lock().unwrap(), world.sim.control().tokens().total);
}
