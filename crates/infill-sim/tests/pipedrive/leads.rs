//! Leads, which version 1 reads and writes.

use infill_sim::pipedrive::Source;
use serde_json::{Value, json};

use super::wire::World;

#[tokio::test]
async fn leads_page_by_start() {
    let world = World::small().await;
    let first = world.get("/v1/leads?limit=5").await.json();
    assert_eq!(
        first["additional_data"]["pagination"],
        json!({"start": 0, "limit": 5, "more_items_in_collection": true, "next_start": 5})
    );
    let second = world.get("/v1/leads?limit=5&start=5").await.json();
    assert_eq!(second["data"].as_array().unwrap().len(), 4);
    assert_eq!(second["additional_data"]["pagination"]["more_items_in_collection"], false);
    assert_eq!(world.get("/v1/leads/archived").await.data().as_array().unwrap().len(), 1);
    assert_eq!(world.get("/v1/leads?filter_id=7").await.data().as_array().unwrap().len(), 9);
    let lead = &first["data"][0];
    assert_eq!((lead["id"].as_str().unwrap().len(), &lead["value"]["amount"]), (36, &json!(500)));
    let sorted = world.get("/v1/leads?sort=title+DESC").await.data();
    assert!(sorted[0]["title"].as_str().unwrap() > sorted[1]["title"].as_str().unwrap());
}

#[tokio::test]
async fn a_lead_is_written_with_the_custom_fields_of_deals_beside_the_others() {
    let world = World::small().await;
    let control = world.control();
    let id = control.record_ids("leads").unwrap()[0].clone();
    let code = |name: &str| control.field_code("deals", name).unwrap();
    let (greeting, budget, tier) = (code("Greeting"), code("Budget"), code("Tier"));
    let gold = control.option_id("deals", "Tier", "Gold").unwrap();
    let body = json!({
        "title": "New title", &greeting: "Hello", &budget: 12.5, format!("{budget}_currency"): "EUR", &tier: gold,
    });
    let lead = world.patch(&format!("/v1/leads/{id}"), &body).await.data();
    assert_eq!((&lead["title"], &lead[&greeting]), (&json!("New title"), &json!("Hello")));
    assert_eq!((&lead[&budget], &lead[format!("{budget}_currency")]), (&json!(12.5), &json!("EUR")));
    assert_eq!(lead[&tier], json!(gold.to_string()));
    assert_eq!(control.value("leads", &id, "Budget").unwrap(), json!({"value": 12.5, "currency": "EUR"}));
    assert_eq!(world.get(&format!("/v1/leads/{id}")).await.data(), lead);
    assert!(lead.get(code("Background")).is_none());
    let cleared = world.patch(&format!("/v1/leads/{id}"), &json!({&greeting: null})).await.data();
    assert!(cleared.get(&greeting).is_none());
    assert_eq!(control.writes_per_record("leads").unwrap()[&id], 5);
    let fields = world.get("/v1/leadFields?limit=500").await.data();
    assert!(fields.as_array().unwrap().iter().any(|field| field["key"] == json!(greeting)));
}

#[tokio::test]
async fn bad_leads_are_refused_in_the_words_of_version_1() {
    let world = World::with(|config| config.records = Source::Generate(3)).await;
    let id = world.control().record_ids("leads").unwrap()[0].clone();
    for (body, info) in [
        (json!({"owner_id": "11"}), "\"owner_id\" must be a number"),
        (json!({"mood": 1}), "\"mood\" is not allowed"),
        (json!({"visible_to": 3}), "\"visible_to\" is invalid: Expected one of \"1\", \"3\", \"5\", \"7\""),
    ] {
        let refused = world.patch(&format!("/v1/leads/{id}"), &body).await;
        assert_eq!(refused.error(), (400, "provided dataset is not valid".to_owned()));
        assert_eq!(refused.json()["error_info"], info);
    }
    let lonely = world.post("/v1/leads", &json!({"title": "Nobody's"})).await;
    assert_eq!(lonely.status, 400);
    let made = world.post("/v1/leads", &json!({"title": "Hers", "person_id": 100_001})).await;
    assert_eq!(made.status, 201);
    let path = format!("/v1/leads/{}", made.data()["id"].as_str().unwrap());
    assert_eq!(world.send("DELETE", &path, "").await.status, 200);
    assert_eq!(world.get(&path).await.status, 404);
    assert_eq!(world.get("/v1/leads/adf21080-0e10-11eb-879b-05d71fb426ec").await.json()["data"], Value::Null);
}
