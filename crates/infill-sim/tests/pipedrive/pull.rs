//! Reading: pages, ids, sorting, what of a record is shown, the catalogue, search.

use std::collections::HashSet;
use std::time::Duration;

use infill_sim::pipedrive::{Absence, Source};
use serde_json::{Value, json};

use super::wire::{A, B, C, World};

#[tokio::test]
async fn pages_of_500_lead_to_everybody_once() {
    let world = World::with(|_| {}).await;
    let first = world.get("/api/v2/persons?limit=500").await;
    assert_eq!((first.ids().len(), first.ids()[0]), (500, A));
    let cursor = first.next().unwrap();
    let second = world.get(&format!("/api/v2/persons?limit=500&cursor={cursor}")).await;
    assert_eq!((second.ids().len(), second.next()), (37, None));
    let all: HashSet<u64> = first.ids().into_iter().chain(second.ids()).collect();
    assert_eq!(all.len(), 537);
    assert_eq!(world.get("/api/v2/persons").await.ids().len(), 100);
    let refused = world.get("/api/v2/persons?limit=501").await;
    assert_eq!(refused.json()["code"], "ERR_SCHEMA_VALIDATION_FAILED");
    assert_eq!(world.get("/api/v2/persons?cursor=nonsense").await.status, 400);
}

#[tokio::test]
async fn a_person_has_arrays_of_addresses_a_link_and_custom_values() {
    let world = World::with(|_| {}).await;
    let person = world.get(&format!("/api/v2/persons/{A}")).await.data();
    assert_eq!((&person["name"], &person["first_name"]), (&json!("Maria Cantwell"), &json!("Maria")));
    assert_eq!(
        person["emails"],
        json!([{"value": "maria.cantwell@congress.example", "primary": true, "label": "work"}])
    );
    assert_eq!(person["phones"][0]["value"], "202-224-3441");
    assert_eq!(person["custom_fields"][world.code("party")], "Democrat");
    assert_eq!(person["custom_fields"][world.code("Greeting")], Value::Null);
    assert_eq!((person.get("notes"), person.get("marketing_status")), (None, None));
    let organization = world.get(&format!("/api/v2/organizations/{}", person["org_id"])).await.data();
    assert_eq!(organization["name"], "U.S. Senate");
    let phones = world.control().filter_members(3).unwrap();
    assert_eq!(phones.len(), 531);
}

#[tokio::test]
async fn unset_custom_fields_can_be_absent() {
    let world = World::with(|config| {
        config.records = Source::Generate(1);
        config.switches.omit_unset = true;
    })
    .await;
    let custom = world.get(&format!("/api/v2/persons/{A}")).await.data()["custom_fields"].clone();
    assert!(custom.get(world.code("Region")).is_some());
    assert!(custom.get(world.code("Greeting")).is_none());
}

#[tokio::test]
async fn missing_and_deleted_ids_are_left_out() {
    let world = World::small().await;
    world.control().delete("persons", B).unwrap();
    let reply = world.get(&format!("/api/v2/persons?ids={C},{B},5,{A}")).await;
    assert_eq!(reply.ids(), [A, C]);
    let many: Vec<String> = (1..=101).map(|id| id.to_string()).collect();
    assert_eq!(world.get(&format!("/api/v2/persons?ids={}", many.join(","))).await.status, 400);
}

#[tokio::test]
async fn a_filter_makes_ids_ignored() {
    let world = World::small().await;
    assert_eq!(world.get(&format!("/api/v2/persons?filter_id=1&ids={A}")).await.ids().len(), 10);
    assert_eq!(world.get("/api/v2/persons?filter_id=4").await.ids(), Vec::<u64>::new());
    assert_eq!(world.get("/api/v2/persons?filter_id=8").await.status, 404);
    assert_eq!(world.get("/api/v2/persons?filter_id=6").await.status, 400);
}

#[tokio::test]
async fn deleted_records_are_404_or_410() {
    for (absence, status) in [(Absence::NotFound, 404), (Absence::Gone, 410)] {
        let world = World::with(|config| {
            config.records = Source::Generate(3);
            config.switches.deleted = absence;
        })
        .await;
        let removed = world.send("DELETE", &format!("/api/v2/persons/{A}"), "").await;
        assert_eq!(removed.data(), json!({"id": A}));
        assert_eq!(world.get(&format!("/api/v2/persons/{A}")).await.status, status);
        assert_eq!(world.update(A, &json!({"name": "X"})).await.status, status);
        assert_eq!(world.get("/api/v2/persons/5").await.status, 404);
        assert_eq!(world.get("/api/v2/persons").await.ids(), [B, C]);
    }
}

#[tokio::test]
async fn lists_sort_by_time_and_page_in_that_order() {
    let world = World::small().await;
    world.control().advance_clock(Duration::from_secs(60));
    world.update(B, &json!({"name": "Edited Early"})).await;
    world.control().advance_clock(Duration::from_secs(60));
    world.update(A, &json!({"name": "Edited Late"})).await;
    let path = "/api/v2/persons?sort_by=update_time&sort_direction=desc&limit=4";
    let first = world.get(path).await;
    assert_eq!(first.ids()[..2], [A, B]);
    let second = world.get(&format!("{path}&cursor={}", first.next().unwrap())).await;
    let third = world.get(&format!("{path}&cursor={}", second.next().unwrap())).await;
    let all: HashSet<u64> = [first.ids(), second.ids(), third.ids()].concat().into_iter().collect();
    assert_eq!((all.len(), third.ids().len(), third.next()), (10, 2, None));
    let since = world.get("/api/v2/persons?updated_since=2026-11-20T17:00:30Z").await;
    assert_eq!(since.ids(), [A, B]);
    let until = world
        .get("/api/v2/persons?updated_since=2026-11-20T17:00:30Z&updated_until=2026-11-20T17:01:30Z")
        .await;
    assert_eq!(until.ids(), [B]);
    let fraction = world.get("/api/v2/persons?updated_since=2026-11-20T17:00:30.000Z").await;
    assert_eq!(fraction.error().0, 400);
    assert!(fraction.error().1.contains("not a valid datetime"));
}

#[tokio::test]
async fn custom_fields_narrow_the_answer_to_fifteen_keys_at_most() {
    let world = World::small().await;
    let code = world.code("Region");
    let person = &world.get(&format!("/api/v2/persons?custom_fields={code}&limit=1")).await.data()[0];
    assert_eq!(person["custom_fields"].as_object().unwrap().keys().collect::<Vec<_>>(), [&code]);
    let codes: Vec<String> = world.control().fields("persons").unwrap().into_values().collect();
    assert_eq!(
        world.get(&format!("/api/v2/persons?custom_fields={}", codes[..15].join(","))).await.status,
        200
    );
    let refused = world.get(&format!("/api/v2/persons?custom_fields={}", codes[..16].join(","))).await;
    assert_eq!(
        refused.error(),
        (400, "Validation failed: custom_fields: A maximum of 15 keys is allowed".to_owned())
    );
}

#[tokio::test]
async fn labels_of_options_change_the_shape() {
    let world = World::small().await;
    let control = world.control();
    let gold = control.option_id("persons", "Tier", "Gold").unwrap();
    let events = control.option_id("persons", "Interests", "Events").unwrap();
    control.edit("persons", A, "Tier", &gold).unwrap();
    control.edit("persons", A, "Interests", &json!([events])).unwrap();
    control.edit("persons", A, "label_ids", &json!([2])).unwrap();
    let (tier, interests) = (world.code("Tier"), world.code("Interests"));
    let plain = world.get(&format!("/api/v2/persons/{A}")).await.data();
    assert_eq!(
        (&plain["custom_fields"][&tier], &plain["custom_fields"][&interests]),
        (&gold, &json!([events]))
    );
    let path = format!(
        "/api/v2/persons/{A}?include_option_labels=true&include_labels=true&include_fields=notes_count"
    );
    let labelled = world.get(&path).await.data();
    assert_eq!(labelled["custom_fields"][&tier], json!({"id": gold, "label": "Gold"}));
    assert_eq!(labelled["custom_fields"][&interests], json!([{"id": events, "label": "Events"}]));
    assert_eq!(labelled["labels"], json!([{"id": 2, "label": "Hot lead"}]));
    assert_eq!(labelled["notes_count"], 0);
    assert_eq!(world.get(&format!("/api/v2/persons/{A}?include_fields=mood")).await.status, 400);
}

#[tokio::test]
async fn an_unknown_parameter_is_refused_by_name() {
    let world = World::small().await;
    let refused = world.get("/api/v2/persons?start=0&page=1").await;
    let text = "Validation failed: start: Parameter 'start' is not allowed for this request; \
                page: Parameter 'page' is not allowed for this request";
    assert_eq!(refused.error(), (400, text.to_owned()));
}

#[tokio::test]
async fn archived_deals_are_listed_apart() {
    let world = World::small().await;
    assert_eq!(world.get("/api/v2/deals").await.ids(), (8_001..=8_009).collect::<Vec<u64>>());
    assert_eq!(world.get("/api/v2/deals?ids=8010").await.ids(), Vec::<u64>::new());
    assert_eq!(world.get("/api/v2/deals/archived").await.ids(), [8_010]);
    assert_eq!(world.get("/api/v2/deals?status=won,lost").await.ids(), [8_008, 8_009]);
    world.control().delete("deals", 8_001).unwrap();
    assert_eq!(world.get("/api/v2/deals?status=deleted").await.ids(), [8_001]);
    world.control().advance_clock(Duration::from_secs(30 * 86_400));
    assert_eq!(world.get("/api/v2/deals?status=deleted").await.ids(), Vec::<u64>::new());
    assert_eq!(world.get("/api/v2/persons?deal_id=8002").await.ids(), [B]);
    assert_eq!(world.get(&format!("/api/v2/deals?person_id={C}")).await.ids(), [8_003]);
}

#[tokio::test]
async fn the_catalogue_tells_types_options_and_subfields() {
    let world = World::small().await;
    let mut cursor = String::new();
    let mut fields = Vec::new();
    loop {
        let page = world.get(&format!("/api/v2/personFields?limit=10&cursor={cursor}")).await;
        fields.extend(page.data().as_array().unwrap().clone());
        match page.next() {
            Some(next) => cursor = next,
            None => break,
        }
    }
    let by_name = |name: &str| fields.iter().find(|field| field["field_name"] == name).unwrap();
    assert_eq!(by_name("Email")["field_code"], "email");
    let tier = by_name("Tier");
    assert_eq!((&tier["field_type"], &tier["is_custom_field"]), (&json!("enum"), &json!(true)));
    assert_eq!(tier["options"][2]["label"], "Gold");
    assert!(tier["options"][2]["id"].is_u64());
    assert_eq!(by_name("Budget")["subfields"][1]["field_code"], "currency");
    assert_eq!(by_name("Name")["options"], Value::Null);
    let kinds: HashSet<&str> = fields
        .iter()
        .filter(|field| field["is_custom_field"] == true)
        .map(|field| field["field_type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds.len(), 17);
    let code = tier["field_code"].as_str().unwrap();
    let one = world.get(&format!("/api/v2/personFields/{code}?include_fields=ui_visibility")).await;
    assert_eq!(one.data()["ui_visibility"]["add_visible_flag"], true);
    assert_eq!(world.get("/api/v2/personFields/nothing").await.status, 404);
    for path in ["organizationFields", "dealFields", "productFields", "activityFields"] {
        assert_eq!(world.get(&format!("/api/v2/{path}")).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn field_codes_belong_to_the_account() {
    let codes = |seed| async move {
        let world = World::with(|config| config.seed = seed).await;
        (world.code("Greeting"), world.code("party"))
    };
    assert_eq!(codes(1).await, codes(1).await);
    assert_ne!(codes(1).await, codes(2).await);
}

#[tokio::test]
async fn search_looks_into_names_and_addresses() {
    let world = World::with(|_| {}).await;
    let found = world.get("/api/v2/persons/search?term=MARIA.cantwell&fields=email").await.data();
    assert_eq!(found["items"][0]["item"]["id"], A);
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    assert_eq!(found["items"][0]["item"]["organization"]["name"], "U.S. Senate");
    let exact = |term: &str| format!("/api/v2/persons/search?exact_match=true&fields=name&term={term}");
    assert_eq!(world.get(&exact("maria+cantwell")).await.data()["items"].as_array().unwrap().len(), 1);
    assert_eq!(world.get(&exact("m")).await.data()["items"], json!([]));
    assert_eq!(world.get("/api/v2/persons/search?term=m").await.status, 400);
    let page = world.get("/api/v2/persons/search?term=congress.example&limit=500").await;
    let next = page.next().unwrap();
    let rest =
        world.get(&format!("/api/v2/persons/search?term=congress.example&limit=500&cursor={next}")).await;
    assert_eq!((rest.data()["items"].as_array().unwrap().len(), rest.next()), (37, None));
}

#[tokio::test]
async fn a_file_of_persons_brings_its_columns() {
    let path = std::env::temp_dir().join(format!("pipedrive-sim-{}.csv", std::process::id()));
    std::fs::write(&path, "id,name,email,company,Shoe size\n5,Ann Lee,ann@x.example,Acme,38\n9,Bo,,,\n")
        .unwrap();
    let world = World::with(|config| config.records = Source::Csv(path.clone())).await;
    std::fs::remove_file(path).unwrap();
    assert_eq!(world.get("/api/v2/persons").await.ids(), [5, 9]);
    assert_eq!(world.stored(5, "Shoe size"), "38");
    assert_eq!((world.stored(9, "emails"), world.stored(9, "org_id")), (json!([]), Value::Null));
}
