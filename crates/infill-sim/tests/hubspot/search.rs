//! Search: its limits, its lagging index, its live rows.

use std::time::Duration;

use infill_sim::hubspot::{LimitTier, Limits, Source};
use serde_json::{Value, json};

use super::wire::{A, B, Reply, World};

async fn search(world: &World, body: Value) -> Reply {
    world.post("/crm/v3/objects/contacts/search", &body).await
}

fn condition(property: &str, operator: &str, value: &str) -> Value {
    json!([{"filters": [{"propertyName": property, "operator": operator, "value": value}]}])
}

async fn calm(count: usize) -> World {
    World::with(|config| {
        config.records = Source::Generate(count);
        config.limits = Limits::of(LimitTier::Unlimited);
        // Far longer than any test, so that only a test that moves the clock sees the index catch up.
        config.index_lag = Duration::from_secs(600);
    })
    .await
}

#[tokio::test]
async fn a_new_record_is_matched_once_the_index_has_seen_it() {
    let world = calm(3).await;
    let made =
        world.post("/crm/v3/objects/contacts", &json!({"properties": {"email": "new@x.example"}})).await;
    assert_eq!(made.status, 201);
    let by_email = json!({"filterGroups": condition("email", "EQ", "new@x.example")});
    assert_eq!(search(&world, by_email.clone()).await.json()["total"], 0);
    world.control().advance_clock(Duration::from_secs(601));
    assert_eq!(search(&world, by_email).await.json()["total"], 1);
}

#[tokio::test]
async fn an_updated_record_matches_by_its_old_value_and_shows_the_new_one() {
    let world = calm(3).await;
    world.write("city", &[(A, "Paris")]).await;
    let by_paris = json!({"filterGroups": condition("city", "EQ", "paris")});
    assert_eq!(search(&world, by_paris.clone()).await.json()["total"], 0);
    let by_id = json!({"filterGroups": condition("hs_object_id", "EQ", "100001"), "properties": ["city"]});
    assert_eq!(search(&world, by_id).await.result(A)["properties"]["city"], "Paris");
    world.control().advance_clock(Duration::from_secs(601));
    assert_eq!(search(&world, by_paris).await.ids(), [A]);
}

#[tokio::test]
async fn an_archived_record_still_counts_and_has_no_row() {
    let world = calm(3).await;
    world.control().archive("contacts", A).unwrap();
    let reply =
        search(&world, json!({"filterGroups": condition("hs_object_id", "LTE", "100001")})).await.json();
    assert_eq!((&reply["total"], &reply["results"]), (&json!(1), &json!([])));
    world.control().advance_clock(Duration::from_secs(601));
    assert_eq!(search(&world, json!({})).await.json()["total"], 2);
}

#[tokio::test]
async fn paging_ends_at_ten_thousand_and_goes_on_by_record_id() {
    let world = calm(10_300).await;
    let page = |after: usize| json!({"limit": 200, "after": after.to_string(), "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}]});
    let last = search(&world, page(9_800)).await;
    assert_eq!((last.status, &last.json()["total"]), (200, &json!(10_300)));
    assert_eq!(search(&world, page(9_801)).await.status, 400);
    let beyond = last.ids().last().unwrap().to_string();
    let next =
        search(&world, json!({"limit": 200, "filterGroups": condition("hs_object_id", "GT", &beyond)})).await;
    assert_eq!((next.ids().len(), &next.json()["total"]), (200, &json!(300)));
    assert_eq!(next.json()["paging"]["next"]["after"], "200");
}

#[tokio::test]
async fn a_search_that_is_too_large_is_refused() {
    let world = calm(3).await;
    let filter = json!({"propertyName": "city", "operator": "HAS_PROPERTY"});
    let groups = |n_groups: usize, n_filters: usize| json!({"filterGroups": vec![json!({"filters": vec![filter.clone(); n_filters]}); n_groups]});
    let refused = |reply: &Reply| (reply.status, reply.json()["message"].as_str().unwrap().to_owned());
    let (status, message) = refused(&search(&world, groups(6, 1)).await);
    assert_eq!((status, message.as_str()), (400, "too many filterGroups (count: 6, max allowed: 5)"));
    assert_eq!(search(&world, groups(1, 7)).await.status, 400);
    assert_eq!(search(&world, groups(4, 5)).await.status, 400);
    assert_eq!(search(&world, groups(3, 6)).await.status, 200);
    assert_eq!(search(&world, json!({"limit": 201})).await.status, 400);
    assert_eq!(search(&world, json!({"sorts": ["city", "state"]})).await.status, 400);
    assert_eq!(search(&world, json!({"query": "x".repeat(3_000)})).await.status, 400);
    assert_eq!(search(&world, json!({"after": "abc"})).await.status, 400);
    assert_eq!(search(&world, json!({"filterGroups": condition("nope", "EQ", "1")})).await.status, 400);
}

#[tokio::test]
async fn results_are_sorted_by_one_property() {
    let world = calm(3).await;
    for (id, seats) in [(A, "9"), (B, "10")] {
        world.control().edit("contacts", id, "seat_count", seats).unwrap();
    }
    world.control().advance_clock(Duration::from_secs(601));
    let sort = json!({"sorts": [{"propertyName": "seat_count", "direction": "DESCENDING"}], "filterGroups": [{"filters": [{"propertyName": "seat_count", "operator": "HAS_PROPERTY"}]}]});
    let reply = search(&world, sort).await.json();
    let order: Vec<&Value> = reply["results"].as_array().unwrap().iter().map(|row| &row["id"]).collect();
    assert_eq!(order, ["100002", "100001"]);
}

#[tokio::test]
async fn a_query_looks_through_names_and_mail() {
    let world = World::with(|_| {}).await;
    assert_eq!(search(&world, json!({"query": "Ocasio"})).await.ids().len(), 1);
}
