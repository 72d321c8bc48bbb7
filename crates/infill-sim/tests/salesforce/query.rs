//! Queries, their pages, and list views.

use std::time::Duration;

use infill_sim::salesforce::Source;
use serde_json::{Value, json};

use super::wire::{World, text};

fn generated(n: usize) -> impl FnOnce(&mut infill_sim::salesforce::Config) {
    move |config| config.records = Source::Generate(n)
}

#[tokio::test]
async fn a_query_shows_what_was_asked_and_nested_parents() {
    let world = World::with(|_| ()).await;
    let body = world
        .query(
            "SELECT Id, Name, Account.Name, Account.BillingCity, Owner.Name FROM Contact ORDER BY Id LIMIT 1",
        )
        .await;
    let record = &body["records"][0];
    let id = text(&record["Id"]);
    assert_eq!(
        record["attributes"],
        json!({"type": "Contact", "url": format!("/services/data/v68.0/sobjects/Contact/{id}")})
    );
    assert_eq!(
        (&record["Account"]["Name"], &record["Account"]["BillingCity"]),
        (&json!("3M"), &json!("Saint Paul"))
    );
    assert_eq!(record["Owner"]["Name"], "Integration User");
    assert_eq!((&body["totalSize"], &body["done"]), (&json!(1), &json!(true)));
    let count = world.query("SELECT COUNT() FROM Account WHERE Industry = 'Energy' AND Phone != null").await;
    assert!(count["totalSize"].as_u64().unwrap() > 10 && count["records"] == json!([]));
    let one = world.query("SELECT COUNT(Id) FROM Account").await;
    assert_eq!(one["records"][0]["expr0"], 503);
    let address = world.query("SELECT BillingAddress FROM Account WHERE TickerSymbol = 'MMM'").await;
    assert_eq!(address["records"][0]["BillingAddress"]["state"], "Minnesota");
}

#[tokio::test]
async fn pages_are_followed_by_locator_and_cover_every_record_once() {
    let world = World::with(generated(4_500)).await;
    let mut body = world.query("SELECT Id FROM Account").await;
    let mut ids: Vec<Value> = body["records"].as_array().unwrap().clone();
    assert_eq!(ids.len(), 2_000);
    assert!(text(&body["nextRecordsUrl"]).ends_with("-2000"));
    while let Some(next) = body["nextRecordsUrl"].as_str().map(str::to_owned) {
        body = world.get(&next).await.json();
        ids.extend(body["records"].as_array().unwrap().iter().cloned());
    }
    let mut seen: Vec<String> = ids.iter().map(|record| text(&record["Id"])).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!((seen.len(), &body["totalSize"]), (4_500, &json!(4_500)));
    let report = world.control().report();
    assert_eq!(report.calls["query-more"].succeeded, 2);
}

#[tokio::test]
async fn a_page_size_is_advice() {
    let world = World::with(|config| {
        generated(500)(config);
        config.switches.wide_columns = 2;
    })
    .await;
    let size = async |soql: &str, batch: &str| {
        let options = format!("batchSize={batch}");
        let path = format!("/query?q={}", soql.replace(' ', "+"));
        let reply = world.call("GET", &path, &[("Sforce-Query-Options", &options)], &Value::Null).await;
        reply.json()["records"].as_array().unwrap().len()
    };
    assert_eq!(size("SELECT Id FROM Account", "300").await, 300);
    assert_eq!(size("SELECT Id FROM Account", "10").await, 200);
    assert_eq!(size("SELECT Id, Name, Phone FROM Account", "500").await, 250);
}

#[tokio::test]
async fn a_locator_lives_two_days() {
    let world = World::with(generated(2_100)).await;
    let next = text(&world.query("SELECT Id FROM Account").await["nextRecordsUrl"]);
    world.control().advance_clock(Duration::from_secs(2 * 86_400 - 60));
    assert_eq!(world.get(&next).await.status, 200);
    world.control().advance_clock(Duration::from_secs(60));
    assert_eq!(world.get(&next).await.refusal(), (400, "INVALID_QUERY_LOCATOR".to_owned()));
    assert_eq!(world.get("/query/01gak0000000001AAA-2000").await.refusal().1, "INVALID_QUERY_LOCATOR");
    assert_eq!(world.get("/query/nonsense").await.refusal().1, "INVALID_QUERY_LOCATOR");
}

#[tokio::test]
async fn deleted_and_merged_records_are_seen_by_query_all_alone() {
    let world = World::small().await;
    let ids = world.ids("Account");
    world.control().delete("Account", &ids[0]).unwrap();
    world.control().merge("Account", &ids[1], &ids[2]).unwrap();
    assert_eq!(world.query("SELECT COUNT() FROM Account").await["totalSize"], 8);
    let all =
        world.get("/queryAll?q=SELECT+Id,MasterRecordId+FROM+Account+WHERE+IsDeleted=true").await.json();
    assert_eq!(all["totalSize"], 2);
    assert_eq!(all["records"][1]["MasterRecordId"], json!(ids[1]));
}

#[tokio::test]
async fn refused_queries_name_the_place() {
    let world = World::with(|config| {
        config.records = Source::Empty;
        config.hidden_fields = vec![("Account".to_owned(), "Phone".to_owned())];
        config.hidden_objects = vec!["Organization".to_owned()];
    })
    .await;
    for (soql, code, part) in [
        ("SELECT Id FROM Contacts", "INVALID_TYPE", "sObject type 'Contacts' is not supported"),
        ("SELECT Id FROM Organization", "INVALID_TYPE", "sObject type 'Organization' is not supported"),
        ("SELECT Id, Phone FROM Account", "INVALID_FIELD", "No such column 'Phone' on entity 'Account'"),
        ("SELECT Id FROM Account WHERE", "MALFORMED_QUERY", "unexpected token"),
        ("", "MALFORMED_QUERY", "query string"),
    ] {
        let reply = world.get(&format!("/query?q={}", soql.replace(' ', "%20"))).await;
        assert_eq!(reply.refusal(), (400, code.to_owned()));
        let message = text(&reply.json()[0]["message"]);
        assert!(message.contains(part), "{message}");
        assert_eq!(message.starts_with('\n'), !soql.is_empty());
    }
}

#[tokio::test]
async fn a_long_address_does_not_get_through() {
    let world = World::small().await;
    let list = vec!["'001ak0000000001AAA'"; 800].join(",");
    let path = format!("/query?q=SELECT+Id+FROM+Account+WHERE+Id+IN+({list})");
    assert_eq!(world.get(&path).await.status, 414);
    let path = format!("/query?q=SELECT+Id+FROM+Account+WHERE+Name='{}'", "x".repeat(16_250));
    assert_eq!(world.get(&path).await.status, 431);
}

#[tokio::test]
async fn a_list_view_tells_its_query_and_previews_its_cells() {
    let world = World::with(|_| ()).await;
    let views = world.get("/sobjects/Account/listviews").await.json();
    assert_eq!(views["size"], 4);
    let view = |name: &str| {
        views["listviews"]
            .as_array()
            .unwrap()
            .iter()
            .find(|view| view["developerName"] == name)
            .unwrap()
            .clone()
    };
    let tech = view("TechAccounts");
    let described = world.get(&text(&tech["describeUrl"])).await.json();
    let query = text(&described["query"]);
    assert!(query.contains("WHERE Industry = 'Information Technology'"));
    assert_eq!((&described["scope"], &described["sobjectType"]), (&json!("everything"), &json!("Account")));
    assert_eq!(described["columns"][0]["fieldNameOrPath"], "Name");
    let n_tech = world.query(&query).await["totalSize"].as_u64().unwrap();
    let results = world.get(&text(&tech["resultsUrl"])).await.json();
    assert_eq!((&results["size"], &results["done"]), (&json!(25), &json!(false)));
    assert_eq!(results["records"][0]["columns"][0]["fieldNameOrPath"], "Name");
    let whole = world.get(&format!("{}?limit=2000&offset=1", text(&tech["resultsUrl"]))).await.json();
    assert_eq!((whole["size"].as_u64().unwrap(), &whole["done"]), (n_tech - 1, &json!(true)));
    assert_eq!(world.get(&format!("{}?limit=2001", text(&tech["resultsUrl"]))).await.status, 400);
    let mine = world.get(&text(&view("MyAccounts")["describeUrl"])).await.json();
    assert_eq!(mine["scope"], "mine");
    let id = &world.ids("Account")[0];
    let owner = world.ids("User")[1].clone();
    world.control().edit("Account", id, "OwnerId", &owner).unwrap();
    assert_eq!(world.query(&text(&mine["query"])).await["totalSize"], 502);
    assert_eq!(world.get("/sobjects/Contact/listviews/00Bak0000000001AAA/describe").await.status, 404);
}

#[tokio::test]
async fn writing_the_greeting_ends_a_membership() {
    let world = World::small().await;
    let soql = "SELECT COUNT() FROM Account WHERE Greeting__c = null";
    assert_eq!(world.query(soql).await["totalSize"], 10);
    let ids = world.ids("Account");
    world.update(&[(&ids[0], json!({"Greeting__c": "Hello"}))]).await;
    assert_eq!(world.query(soql).await["totalSize"], 9);
}
