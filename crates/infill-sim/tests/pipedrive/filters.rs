//! The filters of version 1, and the records they hold.

use infill_sim::pipedrive::Source;
use serde_json::{Value, json};

use super::wire::{A, B, World};

/// The number of a field, which only version 1 tells.
async fn number(world: &World, list: &str, name: &str) -> String {
    let fields = world.get(&format!("/v1/{list}?limit=500")).await.data();
    let field = fields.as_array().unwrap().iter().find(|field| field["name"] == name).unwrap().clone();
    field["id"].to_string()
}

fn filter(all: &Value, any: &Value) -> Value {
    json!({
        "name": "Mine", "type": "people",
        "conditions": {"glue": "and", "conditions": [{"glue": "and", "conditions": all}, {"glue": "or", "conditions": any}]},
    })
}

fn condition(object: &str, field_id: &str, operator: &str, value: Value) -> Value {
    json!({"object": object, "field_id": field_id, "operator": operator, "value": value, "extra_value": null})
}

#[tokio::test]
async fn visible_filters_are_listed_and_told() {
    let world = World::small().await;
    let names = |reply: Value| -> Vec<String> {
        reply.as_array().unwrap().iter().map(|filter| filter["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(world.get("/v1/filters").await.data()).len(), 9);
    let people = names(world.get("/v1/filters?type=people").await.data());
    assert_eq!(people, ["All persons", "Persons without a greeting", "Persons with a phone", "Nobody"]);
    let plain = world.get("/v1/filters/2").await.data();
    let inner = &plain["conditions"]["conditions"][0]["conditions"][0];
    assert_eq!((&inner["operator"], inner.get("field_code")), (&json!("IS NULL"), None));
    let coded = world.get("/v1/filters/2?include_field_code=true").await.data();
    assert_eq!(
        coded["conditions"]["conditions"][0]["conditions"][0]["field_code"],
        json!(world.code("Greeting"))
    );
    assert_eq!(world.get("/v1/filters/8").await.status, 404);
    assert_eq!(world.get("/v1/filters?type=mood").await.status, 400);
    assert_eq!(
        world.get("/v1/filters/helpers").await.data()["operators"]["varchar"]["LIKE '%$%'"],
        "contains"
    );
}

#[tokio::test]
async fn a_new_filter_holds_what_its_conditions_say() {
    let world = World::with(|_| {}).await;
    let party = number(&world, "personFields", "party").await;
    let state = number(&world, "personFields", "state").await;
    let name = number(&world, "organizationFields", "Name").await;
    let all = json!([
        condition("person", &party, "=", json!("independent")),
        condition("organization", &name, "LIKE '%$%'", json!("senate")),
    ]);
    let made = world.post("/v1/filters", &filter(&all, &json!([]))).await.data();
    let path = format!("/api/v2/persons?filter_id={}&limit=500", made["id"]);
    let independents = world.get(&path).await.ids().len();
    assert!((1..10).contains(&independents), "{independents}");
    let any =
        json!([condition("person", &state, "=", json!("ME")), condition("person", &state, "=", json!("VT"))]);
    let renamed = json!({"name": "Two states", "conditions": filter(&json!([]), &any)["conditions"]});
    let changed =
        world.send("PUT", &format!("/v1/filters/{}", made["id"]), &renamed.to_string()).await.data();
    assert_eq!(changed["name"], "Two states");
    let people = world.get(&path).await.data();
    let states: Vec<&Value> = people
        .as_array()
        .unwrap()
        .iter()
        .map(|person| &person["custom_fields"][world.code("state")])
        .collect();
    assert!(states.iter().all(|state| **state == "ME" || **state == "VT"));
    assert_eq!(states.len(), 4 + 3);
    assert_eq!(world.send("DELETE", &format!("/v1/filters/{}", made["id"]), "").await.status, 200);
    assert_eq!(world.get(&path).await.status, 404);
}

#[tokio::test]
async fn writing_a_field_ends_the_membership_that_depends_on_it() {
    let world = World::small().await;
    assert_eq!(world.get("/api/v2/persons?filter_id=2").await.ids().len(), 10);
    world.set(A, "Greeting", json!("Hello")).await;
    world.set(B, "Greeting", json!("")).await;
    let left = world.get("/api/v2/persons?filter_id=2").await.ids();
    assert_eq!((left.len(), left[0]), (9, B));
}

#[tokio::test]
async fn bad_conditions_are_refused() {
    let world = World::with(|config| config.records = Source::Empty).await;
    let name = number(&world, "personFields", "Name").await;
    let tier = number(&world, "personFields", "Tier").await;
    let good = |n: usize| Value::Array(vec![condition("person", &name, "=", json!("x")); n]);
    let refused = |all: Value, any: Value| {
        let body = filter(&all, &any);
        let world = &world;
        async move { world.post("/v1/filters", &body).await.json()["error_info"].as_str().unwrap().to_owned() }
    };
    assert!(
        refused(json!([condition("person", "999999", "=", json!(1))]), json!([])).await.contains("999999")
    );
    assert!(
        refused(json!([condition("person", &tier, "LIKE '$%'", json!(1))]), json!([])).await.contains("enum")
    );
    assert!(refused(json!([condition("ghost", &name, "=", json!(1))]), json!([])).await.contains("ghost"));
    assert!(refused(good(9), good(8)).await.contains("16"));
    assert_eq!(world.post("/v1/filters", &filter(&good(8), &good(8))).await.status, 200);
    let lonely = json!({"name": "x", "type": "people", "conditions": {"glue": "and", "conditions": []}});
    assert_eq!(world.post("/v1/filters", &lonely).await.status, 400);
    assert_eq!(world.post("/v1/filters", &json!({"name": "x", "type": "mood"})).await.status, 400);
}
