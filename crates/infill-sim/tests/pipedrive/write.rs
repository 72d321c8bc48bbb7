//! Writes of one record: what is stored, what the answer shows, what is refused and in which words.

use std::time::Duration;

use infill_sim::pipedrive::Source;
use serde_json::{Value, json};

use super::wire::{A, B, World};

#[tokio::test]
async fn the_answer_is_the_whole_record_and_unmentioned_values_stay() {
    let world = World::small().await;
    let region = world.stored(A, "Region");
    world.control().advance_clock(Duration::from_secs(5));
    let reply = world.set(A, "Greeting", json!("Grüße an \"Ana\"")).await;
    let person = reply.data();
    assert_eq!((&person["id"], &person["update_time"]), (&json!(A), &json!("2026-11-20T17:00:05Z")));
    assert_eq!(person["custom_fields"][world.code("Greeting")], "Grüße an \"Ana\"");
    assert_eq!(person["custom_fields"][world.code("Region")], region);
    assert_eq!(world.get(&format!("/api/v2/persons/{A}")).await.data(), person);
    let ledger = world.control().ledger();
    assert_eq!(ledger.len(), 1);
    assert_eq!((&ledger[0].old, &ledger[0].new), (&Value::Null, &json!("Grüße an \"Ana\"")));
    assert_eq!((ledger[0].object, ledger[0].record.as_str()), ("persons", "100001"));
}

#[tokio::test]
async fn a_write_of_what_is_there_leaves_the_time_alone_unless_switched() {
    for (keeps, time) in [(true, "2026-11-20T17:00:00Z"), (false, "2026-11-20T17:00:09Z")] {
        let world = World::with(|config| {
            config.records = Source::Generate(1);
            config.switches.no_op_keeps_update_time = keeps;
        })
        .await;
        world.set(A, "Greeting", json!("Hello")).await;
        world.control().advance_clock(Duration::from_secs(9));
        let again = world.set(A, "Greeting", json!("Hello")).await.data();
        assert_eq!(again["update_time"], time);
        assert_eq!(world.control().ledger().iter().filter(|write| write.is_change()).count(), 1);
    }
}

#[tokio::test]
async fn null_clears_every_type() {
    let world = World::small().await;
    let control = world.control();
    let values = [
        ("Greeting", json!("x")),
        ("Score", json!(1.5)),
        ("Budget", json!({"value": 1, "currency": "USD"})),
        ("Tier", control.option_id("persons", "Tier", "Gold").unwrap()),
        ("Interests", json!([control.option_id("persons", "Interests", "Events").unwrap()])),
        ("Site address", json!({"value": "1 Main St"})),
        ("Best time to call", json!({"value": "09:00:00", "timezone_name": "Europe/Berlin"})),
        ("Partner", json!(7_001)),
    ];
    for (name, value) in values {
        assert_eq!(world.set(A, name, value).await.status, 200, "{name}");
        assert_ne!(world.stored(A, name), Value::Null, "{name}");
        assert_eq!(world.set(A, name, Value::Null).await.status, 200, "{name}");
        assert_eq!(world.stored(A, name), Value::Null, "{name}");
    }
}

#[tokio::test]
async fn faults_are_told_in_the_vendors_words_all_at_once() {
    let world = World::small().await;
    let (greeting, tier, call) =
        (world.code("Greeting"), world.code("Tier"), world.code("Best time to call"));
    for (body, text) in [
        (
            json!({"custom_fields": {&tier: "5"}}),
            format!(
                "Validation failed: custom_fields: Expected 'number' as value for single option custom field '{tier}'"
            ),
        ),
        (json!({&greeting: "x", "mood": 1}), {
            let mut names = [greeting.as_str(), "mood"];
            names.sort_unstable();
            let fault = |name| format!("{name}: Parameter '{name}' is not allowed for this request");
            format!("Validation failed: {}", names.map(fault).join("; "))
        }),
        (
            json!({"custom_fields": {"abc": 1}}),
            "Validation failed: custom_fields: Unknown key 'abc'".to_owned(),
        ),
        (
            json!({"custom_fields": {&greeting: {"value": "x"}}}),
            format!("Validation failed: custom_fields: Invalid collection '{greeting}'"),
        ),
        (
            json!({"custom_fields": {&call: "09:00:00"}}),
            format!("Validation failed: custom_fields: Time custom field value expected 'object' '{call}'"),
        ),
        (json!({"owner_id": "11"}), "Validation failed: owner_id: Expected 'number' as value".to_owned()),
        (json!({"name": null}), "Validation failed: name: Expected 'string' as value".to_owned()),
        (
            json!({"custom_fields": []}),
            "Validation failed: custom_fields: Expected 'object' as value".to_owned(),
        ),
    ] {
        let refused = world.update(A, &body).await;
        assert_eq!(refused.error(), (400, text), "{body}");
        assert_eq!(refused.json()["code"], "ERR_SCHEMA_VALIDATION_FAILED");
    }
    assert_eq!(world.update(A, &json!([1])).await.status, 400);
    assert_eq!(world.control().ledger(), []);
}

#[tokio::test]
async fn texts_without_the_code_are_those_of_before_may_2026() {
    let world = World::with(|config| {
        config.records = Source::Generate(1);
        config.switches.names_field_codes = false;
    })
    .await;
    let refused = world.set(A, "Best time to call", json!("09:00:00")).await;
    assert_eq!(
        refused.error().1,
        "Validation failed: custom_fields: Time custom field value expected 'object'"
    );
}

#[tokio::test]
async fn one_level_too_many_is_an_internal_error() {
    let world = World::small().await;
    let body = json!({"custom_fields": {"custom_fields": {world.code("Greeting"): "x"}}});
    let reply = world.update(A, &body).await;
    assert_eq!(reply.status, 500);
    assert_eq!(
        reply.json(),
        json!({"success": false, "error": "Internal Server Error", "code": "ERR_UNKNOWN"})
    );
}

#[tokio::test]
async fn contact_sync_fields_are_403_without_contact_sync() {
    let world = World::small().await;
    assert_eq!(world.update(A, &json!({"job_title": "CEO"})).await.error().0, 403);
    let synced = World::with(|config| {
        config.records = Source::Generate(1);
        config.contact_sync = true;
    })
    .await;
    let person = synced.update(A, &json!({"job_title": "CEO", "birthday": "1980-02-29"})).await.data();
    assert_eq!((&person["job_title"], &person["notes"]), (&json!("CEO"), &Value::Null));
}

#[tokio::test]
async fn addresses_of_a_person_are_replaced_as_a_whole() {
    let world = World::small().await;
    let two = json!({"phones": [{"value": "1", "label": "home"}, {"value": "2", "primary": true}]});
    assert_eq!(
        world.update(A, &two).await.data()["phones"],
        json!([{"value": "1", "primary": false, "label": "home"}, {"value": "2", "primary": true, "label": "work"}])
    );
    world.update(A, &json!({"phones": [{"value": "3"}]})).await;
    assert_eq!(world.stored(A, "phones"), json!([{"value": "3", "primary": true, "label": "work"}]));
    world.update(A, &json!({"phones": []})).await;
    assert_eq!(world.stored(A, "phones"), json!([]));
    let both = json!({"emails": [{"value": "a", "primary": true}, {"value": "b", "primary": true}]});
    assert_eq!(world.update(A, &both).await.status, 400);
    assert_eq!(world.update(A, &json!({"emails": "a@b.example"})).await.status, 400);
}

#[tokio::test]
async fn parts_of_an_address_that_are_left_out_become_null() {
    let world = World::small().await;
    let path = "/api/v2/organizations/7001";
    assert_ne!(world.get(path).await.data()["address"]["locality"], Value::Null);
    let written =
        world.patch(path, &json!({"address": {"value": "2 Side St"}, "employee_count": 12})).await.data();
    assert_eq!(
        (&written["address"]["value"], &written["address"]["locality"]),
        (&json!("2 Side St"), &Value::Null)
    );
    assert_eq!(written["employee_count"], 12);
    assert_eq!(world.patch(path, &json!({"employee_count": "12"})).await.status, 400);
}

#[tokio::test]
async fn the_value_of_a_deal_with_products_is_computed() {
    for refuses in [false, true] {
        let world = World::with(|config| {
            config.records = Source::Generate(3);
            config.switches.refuses_value_with_products = refuses;
        })
        .await;
        let line = json!({"product_id": 9_001, "item_price": 20, "quantity": 3});
        assert_eq!(world.patch("/api/v2/deals/8001", &json!({"value": 5})).await.data()["value"], 5);
        assert_eq!(world.post("/api/v2/deals/8001/products", &line).await.status, 201);
        assert_eq!(world.get("/api/v2/deals/8001").await.data()["value"], 60.0);
        assert_eq!(world.get("/api/v2/deals/8001/products").await.data()[0]["sum"], 60.0);
        let written = world.patch("/api/v2/deals/8001", &json!({"value": 5})).await;
        assert_eq!(written.status, if refuses { 400 } else { 200 });
        assert_eq!(world.get("/api/v2/deals/8001").await.data()["value"], 60.0);
        assert_eq!(world.patch("/api/v2/deals/8001", &json!({"title": "Other"})).await.data()["value"], 60.0);
    }
}

#[tokio::test]
async fn the_state_of_a_deal_follows_rules() {
    let world = World::small().await;
    let deal = "/api/v2/deals/8001";
    assert_eq!(world.patch(deal, &json!({"lost_reason": "Price"})).await.status, 400);
    let lost = world.patch(deal, &json!({"status": "lost", "lost_reason": "Price"})).await.data();
    assert_eq!((&lost["lost_time"], &lost["won_time"]), (&json!("2026-11-20T17:00:00Z"), &Value::Null));
    assert_eq!(world.patch(deal, &json!({"status": "paused"})).await.status, 400);
    let moved = world.patch("/api/v2/deals/8002", &json!({"pipeline_id": 2})).await.data();
    assert_eq!((&moved["pipeline_id"], &moved["stage_id"]), (&json!(2), &json!(4)));
    assert_eq!(
        world.patch("/api/v2/deals/8002", &json!({"pipeline_id": 1, "stage_id": 5})).await.status,
        400
    );
    assert_eq!(world.patch("/api/v2/deals/8010", &json!({"title": "x"})).await.status, 400);
    let opened = world.patch("/api/v2/deals/8010", &json!({"is_archived": false, "title": "x"})).await.data();
    assert_eq!((&opened["title"], &opened["is_archived"]), (&json!("x"), &json!(false)));
    assert_eq!(
        world.patch("/api/v2/deals/8003", &json!({"is_deleted": true})).await.data()["is_deleted"],
        true
    );
    assert_eq!(world.get("/api/v2/deals/8003").await.status, 404);
}

#[tokio::test]
async fn the_other_kinds_of_records_are_created_changed_and_deleted() {
    let world = World::small().await;
    for (kind, body, change) in [
        ("persons", json!({"name": "Ann Lee", "org_id": 7_001}), json!({"name": "Ann Li"})),
        ("organizations", json!({"name": "Acme"}), json!({"website": null})),
        ("deals", json!({"title": "Big", "person_id": B}), json!({"expected_close_date": "2027-01-31"})),
        ("products", json!({"name": "Mug"}), json!({"code": "MUG"})),
        ("activities", json!({"subject": "Call"}), json!({"done": true})),
    ] {
        let made = world.post(&format!("/api/v2/{kind}"), &body).await;
        assert_eq!(made.status, if kind == "products" { 201 } else { 200 }, "{kind}");
        let path = format!("/api/v2/{kind}/{}", made.data()["id"]);
        let (name, value) = change.as_object().unwrap().iter().next().unwrap();
        assert_eq!(world.patch(&path, &change).await.data()[name], *value, "{kind}");
        assert_eq!(world.send("DELETE", &path, "").await.status, 200, "{kind}");
        assert_eq!(world.get(&path).await.status, 404, "{kind}");
    }
    let nameless = world.post("/api/v2/organizations", &json!({"website": "x"})).await;
    assert_eq!(nameless.error().1, "Validation failed: name: Parameter 'name' is required");
    let orphan = world.post("/api/v2/persons", &json!({"name": "x", "org_id": 5})).await;
    assert_eq!(orphan.status, 400);
}
