//! Calls about one record.

use std::time::Duration;

use serde_json::{Value, json};

use super::wire::{World, text};

#[tokio::test]
async fn a_record_is_made_read_changed_and_deleted() {
    let world = World::small().await;
    let made =
        world.post("/sobjects/Account", &json!({"Name": "Acme", "Score__c": 7, "Is_Target__c": true})).await;
    assert_eq!(made.status, 201);
    let id = text(&made.json()["id"]);
    let path = format!("/sobjects/Account/{id}");
    let read = world.get(&format!("{path}?fields=Name,Score__c,Segment__c")).await.json();
    assert_eq!(
        (&read["Name"], &read["Score__c"], &read["Segment__c"]),
        (&json!("Acme"), &json!(7.0), &Value::Null)
    );
    let changed = world.patch(&path, &json!({"Score__c": null, "Segment__c": "Small"})).await;
    assert_eq!((changed.status, changed.text.as_str()), (204, ""));
    assert_eq!(world.stored("Account", &id, "Score__c"), None);
    let short: String = id.chars().take(15).collect();
    assert_eq!(world.get(&format!("/sobjects/Account/{short}")).await.json()["Segment__c"], "Small");
    assert_eq!(world.call("DELETE", &path, &[], &Value::Null).await.status, 204);
    assert_eq!(world.get(&path).await.refusal(), (404, "ENTITY_IS_DELETED".to_owned()));
    assert_eq!(
        world.patch(&path, &json!({"Name": "x"})).await.refusal(),
        (404, "ENTITY_IS_DELETED".to_owned())
    );
    assert_eq!(
        world.get("/sobjects/Account/001ak0000000001AAA").await.refusal(),
        (404, "NOT_FOUND".to_owned())
    );
    assert_eq!(
        world.patch("/sobjects/Account/001ak0000000001AAA", &json!({"Name": "x"})).await.refusal().0,
        404
    );
}

#[tokio::test]
async fn every_error_of_a_row_is_told() {
    let world = World::small().await;
    let path = format!("/sobjects/Account/{}", world.ids("Account")[0]);
    let refused =
        world.patch(&path, &json!({"TickerSymbol": "x".repeat(21), "Contact_Email__c": "nobody"})).await;
    let body = refused.json();
    let fields = |code: &str| {
        let mut errors = body.as_array().unwrap().iter();
        errors.find(|error| error["errorCode"] == code).map(|error| error["fields"].clone())
    };
    assert_eq!((refused.status, body.as_array().unwrap().len()), (400, 2));
    assert_eq!(fields("STRING_TOO_LONG"), Some(json!(["TickerSymbol"])));
    assert_eq!(fields("INVALID_EMAIL_ADDRESS"), Some(json!(["Contact_Email__c"])));
    let read_only = world.patch(&path, &json!({"Audit_Note__c": "x", "BillingAddress": null})).await;
    assert_eq!(read_only.refusal().1, "INVALID_FIELD_FOR_INSERT_UPDATE");
    assert_eq!(read_only.json()[0]["fields"], json!(["Audit_Note__c", "BillingAddress"]));
    assert_eq!(world.patch(&path, &json!({"Name": null})).await.refusal().1, "REQUIRED_FIELD_MISSING");
    assert_eq!(world.patch(&path, &json!({"Id": "x"})).await.refusal().1, "INVALID_FIELD");
    assert_eq!(world.patch(&path, &json!({"Name": 5})).await.refusal().1, "JSON_PARSER_ERROR");
    assert_eq!(
        world.post("/sobjects/Contact", &json!({"FirstName": "x"})).await.json()[0]["message"],
        "Required fields are missing: [LastName]"
    );
    assert_eq!(world.post("/sobjects/User", &json!({"LastName": "x"})).await.refusal().0, 403);
    let broken = world.try_call("PATCH", &path, &[], "{\"Name\": ").await.unwrap();
    assert_eq!(broken.refusal(), (400, "JSON_PARSER_ERROR".to_owned()));
    assert_eq!(world.control().ledger(), []);
}

#[tokio::test]
async fn an_upsert_by_key_makes_or_changes_and_does_neither_when_several_match() {
    let world = World::with(|_| ()).await;
    let by_key = |value: &str| format!("/sobjects/Account/External_Key__c/{value}");
    let made = world.patch(&by_key("new%2Fone"), &json!({"Name": "New"})).await;
    assert_eq!((made.status, &made.json()["created"]), (201, &json!(true)));
    assert_eq!(world.get(&by_key("new%2Fone")).await.json()["External_Key__c"], "new/one");
    let changed = world.patch(&by_key("MMM"), &json!({"Greeting__c": "Hi"})).await;
    assert_eq!((changed.status, &changed.json()["created"]), (200, &json!(false)));
    let old = "/services/data/v45.0/sobjects/Account/External_Key__c/MMM";
    assert_eq!(world.patch(old, &json!({"Greeting__c": "Hi"})).await.status, 204);
    assert_eq!(
        world.patch(&format!("{}?updateOnly=true", by_key("nobody")), &json!({"Name": "x"})).await.status,
        404
    );
    let several = world.patch("/sobjects/Account/CIK__c/1652044", &json!({"Greeting__c": "Hi"})).await;
    assert_eq!((several.status, several.json().as_array().unwrap().len()), (300, 2));
    assert_eq!(
        world.patch(&by_key("MMM"), &json!({"External_Key__c": "MMM"})).await.refusal().1,
        "INVALID_FIELD"
    );
    assert_eq!(world.patch("/sobjects/Account/Phone/1", &json!({"Name": "x"})).await.refusal().0, 404);
    assert_eq!(world.control().ledger().iter().filter(|write| write.field == "Greeting__c").count(), 2);
}

#[tokio::test]
async fn a_conditional_write_is_refused_when_somebody_was_faster() {
    let world = World::small().await;
    let id = world.ids("Account")[0].clone();
    let path = format!("/sobjects/Account/{id}");
    let since = world.get(&path).await.header("last-modified").unwrap().to_owned();
    let write =
        async || world.call("PATCH", &path, &[("If-Unmodified-Since", &since)], &json!({"Site": "x"})).await;
    assert_eq!(world.call("GET", &path, &[("If-Modified-Since", &since)], &Value::Null).await.status, 304);
    world.control().advance_clock(Duration::from_secs(5));
    world.control().edit("Account", &id, "Phone", "1").unwrap();
    assert_eq!(write().await.status, 412);
    let fresh = world.get(&path).await;
    assert_eq!(fresh.json()["LastModifiedById"], json!(world.ids("User")[1]));
    let now = fresh.header("last-modified").unwrap().to_owned();
    assert_eq!(
        world.call("PATCH", &path, &[("If-Unmodified-Since", &now)], &json!({"Site": "x"})).await.status,
        204
    );
}

#[tokio::test]
async fn a_task_follows_the_rules_of_what_it_is_about() {
    let world = World::small().await;
    let (account, contact, lead) =
        (world.ids("Account")[0].clone(), world.ids("Contact")[0].clone(), world.ids("Lead")[0].clone());
    let made = world
        .post(
            "/sobjects/Task",
            &json!({"Subject": "Call", "WhoId": contact, "WhatId": account, "TaskSubtype": "Call"}),
        )
        .await;
    assert_eq!(made.status, 201, "{}", made.text);
    let id = text(&made.json()["id"]);
    assert_eq!(world.stored("Task", &id, "Status").as_deref(), Some("Not Started"));
    assert_eq!(world.stored("Task", &id, "Priority").as_deref(), Some("Normal"));
    assert_eq!(
        world.patch(&format!("/sobjects/Task/{id}"), &json!({"TaskSubtype": "Email"})).await.refusal().1,
        "INVALID_FIELD_FOR_INSERT_UPDATE"
    );
    let both =
        world.post("/sobjects/Task", &json!({"Subject": "Call", "WhoId": lead, "WhatId": account})).await;
    assert_eq!(both.refusal(), (400, "FIELD_INTEGRITY_EXCEPTION".to_owned()));
    assert_eq!(world.post("/sobjects/Task", &json!({"WhoId": account})).await.refusal().1, "MALFORMED_ID");
    assert_eq!(
        world.post("/sobjects/Task", &json!({"WhatId": "001ak0000000001AAA"})).await.refusal().1,
        "INVALID_CROSS_REFERENCE_KEY"
    );
    let who = world.query("SELECT Who.Name, What.Name FROM Task").await;
    assert_eq!(who["records"][0]["What"]["Name"], json!(world.stored("Account", &account, "Name")));
}
