//! sObject Collections and composite calls.

use infill_sim::salesforce::{Operation, TypeErrors};
use serde_json::{Value, json};

use super::wire::{World, collection, text};

#[tokio::test]
async fn rows_are_answered_in_order_and_bad_ones_sink_alone() {
    let world = World::small().await;
    let ids = world.ids("Account");
    let reply = world
        .update(&[
            (&ids[2], json!({"Greeting__c": "C"})),
            (&ids[0], json!({"Nothing__c": 1})),
            ("", json!({"Greeting__c": "?"})),
            ("001ak0000000001AAA", json!({"Greeting__c": "?"})),
            ("003ak0000000001AAA", json!({"Greeting__c": "?"})),
            ("broken", json!({"Greeting__c": "?"})),
            (&ids[1], json!({"Greeting__c": "B", "Segment__c": "Huge"})),
            (&ids[3], json!({"Greeting__c": null})),
        ])
        .await;
    let codes = [
        "",
        "INVALID_FIELD",
        "MISSING_ARGUMENT",
        "INVALID_CROSS_REFERENCE_KEY",
        "MALFORMED_ID",
        "MALFORMED_ID",
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
        "",
    ];
    assert_eq!((reply.status, reply.codes()), (200, codes.map(str::to_owned).to_vec()));
    let body = reply.json();
    assert_eq!((&body[0]["id"], &body[0]["success"]), (&json!(ids[2]), &json!(true)));
    assert!(body[1].get("id").is_none());
    assert_eq!(body[1]["errors"][0]["message"], "No such column 'Nothing__c' on sobject of type Account");
    assert_eq!(body[1]["errors"][0]["fields"], json!([]));
    assert_eq!(body[2]["errors"][0]["message"], "Id not specified in an update call");
    assert_eq!(world.stored("Account", &ids[1], "Greeting__c"), None);
    assert_eq!(world.control().writes_per_record("Account").unwrap().len(), 2);
    assert_eq!(world.control().report().calls(Operation::CollectionsUpdate).succeeded, 1);
}

#[tokio::test]
async fn a_restricted_picklist_takes_what_the_record_type_has() {
    let world = World::small().await;
    let (ids, types) = (world.ids("Account"), world.ids("RecordType"));
    let reply = world
        .update(&[
            (&ids[0], json!({"RecordTypeId": types[0], "Segment__c": "Enterprise"})),
            (&ids[1], json!({"RecordTypeId": types[1], "Segment__c": "Small"})),
            (&ids[2], json!({"RecordTypeId": types[1], "Segment__c": "Enterprise"})),
            (&ids[3], json!({"Segment__c": "Enterprise"})),
        ])
        .await;
    assert_eq!(reply.codes(), ["", "", "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", ""]);
}

#[tokio::test]
async fn all_or_none_rolls_the_innocent_back() {
    let world = World::small().await;
    let ids = world.ids("Account");
    let mut body =
        collection("Account", &[(&ids[0], json!({"Site": "x"})), (&ids[1], json!({"Nothing__c": 1}))]);
    body["allOrNone"] = json!(true);
    let reply = world.patch("/composite/sobjects", &body).await;
    assert_eq!(reply.codes(), ["ALL_OR_NONE_OPERATION_ROLLED_BACK", "INVALID_FIELD"]);
    assert_eq!((world.control().ledger(), world.stored("Account", &ids[0], "Site")), (vec![], None));
}

#[tokio::test]
async fn a_call_that_is_malformed_as_a_whole_is_400() {
    let world = World::small().await;
    let ids = world.ids("Account");
    let refusal = async |body: &Value| world.patch("/composite/sobjects", body).await.json();
    assert_eq!(
        refusal(&json!({"records": []})).await,
        json!([{"message": "At least 1 record is required", "errorCode": "REQUIRED_FIELD_MISSING"}])
    );
    let many: Vec<(&str, Value)> = (0..201).map(|_| (ids[0].as_str(), json!({"Site": "x"}))).collect();
    assert_eq!(refusal(&collection("Account", &many)).await[0]["errorCode"], "EXCEEDED_ID_LIMIT");
    let mixed: Vec<Value> = (0..11)
        .map(|at| json!({"attributes": {"type": if at % 2 == 0 { "Account" } else { "Contact" }}, "id": ids[0]}))
        .collect();
    let chunks = refusal(&json!({"records": mixed})).await;
    assert!(text(&chunks[0]["message"]).contains("more than 10 chunks"));
    assert_eq!(refusal(&json!({"records": mixed[..10]})).await.as_array().unwrap().len(), 10);
    let mistyped =
        collection("Account", &[(&ids[1], json!({"Site": "x"})), (&ids[0], json!({"Score__c": "many"}))]);
    assert_eq!(refusal(&mistyped).await[0]["errorCode"], "JSON_PARSER_ERROR");
    assert_eq!(world.control().ledger(), []);
}

#[tokio::test]
async fn a_wrong_type_may_be_the_row_s_error_alone() {
    let world = World::with(|config| config.switches.type_errors = TypeErrors::PerRow).await;
    let ids = world.ids("Account");
    let reply =
        world.update(&[(&ids[0], json!({"Score__c": "many"})), (&ids[1], json!({"Score__c": 2}))]).await;
    assert_eq!(reply.codes(), ["INVALID_TYPE_ON_FIELD_IN_RECORD", ""]);
}

#[tokio::test]
async fn a_record_named_twice_is_refused_twice() {
    let world = World::small().await;
    let ids = world.ids("Account");
    let short: String = ids[0].chars().take(15).collect();
    let reply = world
        .update(&[
            (&ids[0], json!({"Site": "a"})),
            (&ids[1], json!({"Site": "b"})),
            (&short, json!({"Site": "c"})),
        ])
        .await;
    assert_eq!(reply.codes(), ["DUPLICATE_VALUE", "", "DUPLICATE_VALUE"]);
    assert_eq!(world.control().ledger().len(), 1);
}

#[tokio::test]
async fn records_are_read_in_order_with_null_for_the_missing() {
    let world = World::small().await;
    let ids = world.ids("Account");
    world.control().delete("Account", &ids[1]).unwrap();
    let asked = json!({"ids": [ids[2], ids[1], "001ak0000000001AAA", ids[0]], "fields": ["Id", "name"]});
    let read = world.post("/composite/sobjects/Account", &asked).await.json();
    assert_eq!(
        (&read[0]["Id"], &read[1], &read[2], &read[3]["Id"]),
        (&json!(ids[2]), &Value::Null, &Value::Null, &json!(ids[0]))
    );
    assert!(read[0]["Name"].is_string() && read[0]["attributes"]["type"] == "Account");
    let by_url =
        world.get(&format!("/composite/sobjects/Account?ids={},{}&fields=Name", ids[0], ids[2])).await;
    assert_eq!(by_url.json().as_array().unwrap().len(), 2);
    let bad =
        world.post("/composite/sobjects/Account", &json!({"ids": [ids[0]], "fields": ["Nothing__c"]})).await;
    assert_eq!(bad.refusal(), (400, "INVALID_FIELD".to_owned()));
    let many = json!({"ids": vec![&ids[0]; 2_001], "fields": ["Id"]});
    assert_eq!(world.post("/composite/sobjects/Account", &many).await.refusal().1, "EXCEEDED_ID_LIMIT");
    assert_eq!(
        world
            .post("/composite/sobjects/Account", &json!({"ids": vec![&ids[0]; 2_000], "fields": ["Id"]}))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn collections_make_upsert_and_delete() {
    let world = World::small().await;
    let made = world
        .post(
            "/composite/sobjects",
            &collection("Account", &[("", json!({"Name": "A", "External_Key__c": "K1"})), ("", json!({}))]),
        )
        .await;
    assert_eq!(made.codes(), ["", "REQUIRED_FIELD_MISSING"]);
    let rows = [
        ("", json!({"External_Key__c": "k1", "Site": "x"})),
        ("", json!({"External_Key__c": "K2", "Name": "B"})),
    ];
    let path = "/composite/sobjects/Account/External_Key__c";
    let upserted = world.patch(path, &collection("Account", &rows)).await.json();
    assert_eq!((&upserted[0]["created"], &upserted[1]["created"]), (&json!(false), &json!(true)));
    let only = world
        .patch(
            &format!("{path}?updateOnly=true"),
            &collection("Account", &[("", json!({"External_Key__c": "K3", "Name": "C"}))]),
        )
        .await;
    assert_eq!(only.codes(), ["NOT_FOUND"]);
    let clash = world.update(&[(&world.ids("Account")[0], json!({"External_Key__c": "K2"}))]).await;
    assert_eq!(clash.codes(), ["DUPLICATE_VALUE"]);
    let ids = world.ids("Account");
    let gone = world
        .call("DELETE", &format!("/composite/sobjects?ids={},{}", ids[0], ids[1]), &[], &Value::Null)
        .await;
    assert_eq!(gone.codes(), ["", ""]);
    assert_eq!(world.ids("Account").len(), 10);
}

#[tokio::test]
async fn a_composite_call_refers_to_earlier_answers_and_counts_once() {
    let world = World::small().await;
    let base = "/services/data/v68.0";
    let request = |method: &str, url: String, id: &str, body: Value| json!({"method": method, "url": url, "referenceId": id, "body": body});
    let body = json!({"compositeRequest": [
        request("POST", format!("{base}/sobjects/Account"), "made", json!({"Name": "Acme"})),
        request("PATCH", format!("{base}/sobjects/Account/@{{made.id}}"), "changed", json!({"Site": "x"})),
        request("GET", format!("{base}/query?q=SELECT+Id+FROM+Account+WHERE+Site='x'"), "found", Value::Null),
        request("GET", format!("{base}/sobjects/Nothing/describe"), "bad", Value::Null),
    ]});
    let reply = world.post("/composite", &body).await.json();
    let answers = reply["compositeResponse"].as_array().unwrap();
    let statuses: Vec<&Value> = answers.iter().map(|answer| &answer["httpStatusCode"]).collect();
    assert_eq!(statuses, [&json!(201), &json!(204), &json!(200), &json!(404)]);
    assert_eq!(answers[2]["body"]["records"][0]["Id"], answers[0]["body"]["id"]);
    assert_eq!(world.control().report().api_requests, 1);
}

#[tokio::test]
async fn a_composite_call_has_limits_and_may_roll_back() {
    let world = World::small().await;
    let base = "/services/data/v68.0";
    let requests = |n: usize, url: &str| {
        let all: Vec<Value> =
            (0..n).map(|at| json!({"method": "GET", "url": url, "referenceId": format!("r{at}")})).collect();
        json!({"compositeRequest": all})
    };
    for (n, url) in [(26, format!("{base}/limits")), (6, format!("{base}/query?q=SELECT+Id+FROM+User"))] {
        let refused = world.post("/composite", &requests(n, &url)).await.json();
        assert_eq!(refused["compositeResponse"][0]["body"][0]["errorCode"], "LIMIT_EXCEEDED");
    }
    let id = world.ids("Account")[0].clone();
    let body = json!({"allOrNone": true, "compositeRequest": [
        {"method": "PATCH", "url": format!("{base}/sobjects/Account/{id}"), "referenceId": "a", "body": {"Site": "x"}},
        {"method": "PATCH", "url": format!("{base}/sobjects/Account/{id}"), "referenceId": "b", "body": {"Nothing__c": "x"}},
    ]});
    let halted = world.post("/composite", &body).await.json();
    assert_eq!(halted["compositeResponse"][0]["body"][0]["errorCode"], "PROCESSING_HALTED");
    assert_eq!(halted["compositeResponse"][1]["body"][0]["errorCode"], "INVALID_FIELD");
    assert_eq!(world.stored("Account", &id, "Site"), None);
}
