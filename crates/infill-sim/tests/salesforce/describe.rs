//! Describe: objects, fields, picklists.

use std::time::Duration;

use infill_sim::salesforce::Source;
use serde_json::{Value, json};

use super::wire::World;

async fn fields(world: &World, object: &str) -> Value {
    let reply = world.get(&format!("/sobjects/{object}/describe")).await;
    assert_eq!(reply.status, 200);
    let fields = reply.json()["fields"].as_array().unwrap().clone();
    fields
        .into_iter()
        .map(|field| (field["name"].as_str().unwrap().to_owned(), field))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[tokio::test]
async fn flags_tell_what_the_user_may_do() {
    let world = World::with(|config| {
        config.records = Source::Empty;
        config.hidden_fields = vec![("account".to_owned(), "fax".to_owned())];
        config.read_only_fields = vec![("Account".to_owned(), "Website".to_owned())];
    })
    .await;
    let account = fields(&world, "Account").await;
    assert!(account.get("Fax").is_none());
    assert_eq!(
        (&account["Website"]["updateable"], &account["Website"]["permissionable"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(
        (&account["Name"]["updateable"], &account["Name"]["nillable"], &account["Name"]["length"]),
        (&json!(true), &json!(false), &json!(255))
    );
    assert_eq!(
        (&account["Revenue_per_Employee__c"]["calculated"], &account["Account_No__c"]["autoNumber"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(
        (&account["BillingAddress"]["type"], &account["BillingCity"]["compoundFieldName"]),
        (&json!("address"), &json!("BillingAddress"))
    );
    assert_eq!(
        (&account["External_Key__c"]["externalId"], &account["External_Key__c"]["unique"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(account["ParentId"]["referenceTo"], json!(["Account"]));
    assert_eq!(
        (&account["Score__c"]["precision"], &account["Score__c"]["scale"], &account["Score__c"]["soapType"]),
        (&json!(6), &json!(2), &json!("xsd:double"))
    );
    assert_eq!(
        (&account["NumberOfEmployees"]["digits"], &account["NumberOfEmployees"]["type"]),
        (&json!(8), &json!("int"))
    );
    let contact = fields(&world, "Contact").await;
    assert_eq!(
        (&contact["Email"]["idLookup"], &contact["Email"]["externalId"]),
        (&json!(true), &json!(false))
    );
    let task = fields(&world, "Task").await;
    assert_eq!(
        (&task["TaskSubtype"]["createable"], &task["TaskSubtype"]["updateable"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(task["WhoId"]["polymorphicForeignKey"], true);
}

#[tokio::test]
async fn picklists_tell_active_values_and_what_controls_them() {
    let world = World::small().await;
    let account = fields(&world, "Account").await;
    assert_eq!(
        (&account["Segment__c"]["restrictedPicklist"], &account["Industry"]["restrictedPicklist"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(
        account["Segment__c"]["picklistValues"][3],
        json!({"value": "Retired", "label": "Retired", "active": false, "defaultValue": false, "validFor": null})
    );
    assert_eq!(
        (&account["Sub_Segment__c"]["dependentPicklist"], &account["Sub_Segment__c"]["controllerName"]),
        (&json!(true), &json!("Segment__c"))
    );
    assert_eq!(account["Sub_Segment__c"]["picklistValues"][1]["validFor"], "wA==");
    let body = world.get("/sobjects/Account/describe").await.json();
    assert_eq!(body["recordTypeInfos"][0]["name"], "Customer");
    assert_eq!(body["keyPrefix"], "001");
    let types = world.get("/ui-api/object-info/Account/picklist-values/012000000000000AAA").await.json();
    assert_eq!(types["picklistFieldValues"]["Segment__c"]["values"].as_array().unwrap().len(), 3);
    assert_eq!(types["picklistFieldValues"]["Sub_Segment__c"]["controllerValues"]["Mid-Market"], 1);
    let supplier = body["recordTypeInfos"][1]["recordTypeId"].as_str().unwrap();
    let types = world.get(&format!("/ui-api/object-info/Account/picklist-values/{supplier}")).await.json();
    assert_eq!(types["picklistFieldValues"]["Segment__c"]["values"][0]["value"], "Mid-Market");
    assert_eq!(
        world.get("/ui-api/object-info/Account/picklist-values/012000000000001AAA").await.refusal().0,
        404
    );
    assert_eq!(world.get("/sobjects/Nothing/describe").await.refusal().0, 404);
    assert_eq!(world.get("/sobjects").await.json()["sobjects"].as_array().unwrap().len(), 8);
}

#[tokio::test]
async fn describe_is_told_again_only_when_it_changed() {
    let world = World::small().await;
    let first = world.get("/sobjects/Account/describe").await;
    let since = first.header("last-modified").unwrap().to_owned();
    let again = async || {
        world.call("GET", "/sobjects/Account/describe", &[("If-Modified-Since", &since)], &Value::Null).await
    };
    let unchanged = again().await;
    assert_eq!((unchanged.status, unchanged.text.as_str()), (304, ""));
    world.control().advance_clock(Duration::from_secs(60));
    world.control().hide_field("Account", "Phone").unwrap();
    assert_eq!(again().await.status, 200);
    assert!(world.control().hide_field("Account", "Phone").is_err());
}
