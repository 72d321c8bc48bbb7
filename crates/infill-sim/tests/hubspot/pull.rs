//! Lists, members, catalogue and reads by id.

use infill_sim::hubspot::{ApiVersion, CUSTOM_OBJECT, Source};
use serde_json::{Value, json};

use super::wire::{A, B, C, World};

#[tokio::test]
async fn a_list_is_found_by_id_by_name_by_ids_and_by_search() {
    let world = World::with(|_| {}).await;
    let by_id = world.get("/crm/v3/lists/42").await.json();
    assert_eq!(by_id["list"]["processingType"], "MANUAL");
    assert_eq!(by_id["list"]["additionalProperties"]["hs_list_size"], "537");
    let by_name =
        world.get("/crm/v3/lists/object-type-id/0-1/name/members%20of%20CONGRESS%20%28static%29").await;
    assert_eq!(by_name.json(), by_id);
    let many = world.get("/crm/v3/lists/?listIds=42&listIds=45&listIds=999").await.json();
    let ids: Vec<&Value> = many["lists"].as_array().unwrap().iter().map(|list| &list["listId"]).collect();
    assert_eq!(ids, ["42", "45"]);
    let found = world.post("/crm/v3/lists/search", &json!({"query": "(ACTIVE)", "count": 1})).await.json();
    assert_eq!((&found["total"], &found["hasMore"], &found["offset"]), (&json!(2), &json!(true), &json!(1)));
    let dynamic = world.post("/crm/v3/lists/search", &json!({"processingTypes": ["DYNAMIC"]})).await.json();
    assert_eq!(dynamic["lists"].as_array().unwrap().len(), 2);
    let unknown = world.get("/crm/v3/lists/4711").await;
    assert_eq!((unknown.status, unknown.json()["category"].as_str()), (404, Some("OBJECT_NOT_FOUND")));
}

#[tokio::test]
async fn the_filter_tree_of_a_list_comes_when_asked_for() {
    let world = World::small().await;
    assert!(world.get("/crm/v3/lists/43").await.json()["list"].get("filterBranch").is_none());
    let list = world.get("/crm/v3/lists/43?includeFilters=true").await.json();
    let filter = &list["list"]["filterBranch"]["filterBranches"][0]["filters"][0];
    assert_eq!(filter["property"], "hs_content_membership_notes");
}

#[tokio::test]
async fn all_lists_come_by_a_cursor_that_fits_one_search_only() {
    let world = World::small().await;
    let mut body = json!({"limit": 3});
    let mut ids = Vec::new();
    loop {
        let page = world.post("/crm/lists/2026-09/all", &body).await.json();
        ids.extend(
            page["results"]
                .as_array()
                .unwrap()
                .iter()
                .map(|list| list["listId"].as_str().unwrap().to_owned()),
        );
        let Some(after) = page["paging"]["next"]["after"].as_str() else { break };
        let other = world.post("/crm/lists/2026-09/all", &json!({"query": "x", "after": after})).await;
        assert_eq!((other.status, other.json()["subCategory"].as_str()), (400, Some("INVALID_CURSOR")));
        body["after"] = json!(after);
    }
    assert_eq!(ids, ["42", "43", "44", "45", "46", "47", "48"]);
    let typed = world.post("/crm/lists/2026-09/all", &json!({"processingTypes": ["ODD"]})).await;
    assert_eq!(typed.json()["subCategory"], "ListError.INVALID_PROCESSING_TYPE");
}

#[tokio::test]
async fn members_come_in_pages_of_250_by_record_id() {
    let world = World::with(|_| {}).await;
    let mut after = String::new();
    let mut sizes = Vec::new();
    let mut ids = Vec::new();
    loop {
        let reply = world.get(&format!("/crm/v3/lists/42/memberships?limit=250{after}")).await;
        let body = reply.json();
        let page: Vec<u64> = reply.ids();
        assert!(body["results"][0]["membershipTimestamp"].as_str().unwrap().ends_with('Z'));
        sizes.push(page.len());
        ids.extend(page);
        let Some(next) = body["paging"]["next"]["after"].as_str() else { break };
        after = format!("&after={}", next.replace('=', "%3D"));
    }
    assert_eq!(sizes, [250, 250, 37]);
    assert_eq!(ids, world.control().record_ids("contacts").unwrap());
    let too_many = world.get("/crm/v3/lists/42/memberships?limit=251").await;
    assert_eq!((too_many.status, too_many.json()["category"].as_str()), (400, Some("VALIDATION_ERROR")));
    assert_eq!(world.get("/crm/v3/lists/42/memberships?after=%21").await.status, 400);
}

#[tokio::test]
async fn members_come_backwards_before_a_record_and_in_the_order_of_joining() {
    let world = World::small().await;
    let control = world.control();
    control.remove_members("42", &[A]).unwrap();
    control.add_members("42", &[A]).unwrap();
    let order = |reply: &Value| -> Vec<String> {
        reply["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["recordId"].as_str().unwrap().to_owned())
            .collect()
    };
    let joined = world.get("/crm/v3/lists/42/memberships/join-order?limit=250").await.json();
    assert_eq!(order(&joined).last().unwrap(), "100001");
    let first = world.get("/crm/v3/lists/42/memberships?limit=2&after=MTAwMDA0").await.json();
    assert_eq!(order(&first), ["100005", "100006"]);
    let before = first["paging"]["prev"]["before"].as_str().unwrap().replace('=', "%3D");
    let back = world.get(&format!("/crm/v3/lists/42/memberships?limit=2&before={before}")).await.json();
    assert_eq!(order(&back), ["100004", "100003"]);
}

#[tokio::test]
async fn a_list_of_an_unreadable_type_is_refused_and_an_empty_one_is_empty() {
    let world = World::small().await;
    for path in ["/crm/v3/lists/47", "/crm/v3/lists/47/memberships"] {
        let reply = world.get(path).await;
        assert_eq!(reply.status, 400);
        assert_eq!(reply.json()["subCategory"], "ListError.INVALID_OBJECT_TYPE_FOR_LIST");
    }
    assert_eq!(world.get("/crm/v3/lists/45/memberships").await.json()["results"], json!([]));
}

#[tokio::test]
async fn members_are_changed_by_hand_in_static_lists_only() {
    let world = World::small().await;
    let added = world.send("PUT", "/crm/v3/lists/45/memberships/add", "[\"100001\", \"7\"]").await.json();
    assert_eq!(
        added,
        json!({"recordsIdsAdded": ["100001"], "recordIdsRemoved": [], "recordIdsMissing": ["7"]})
    );
    assert_eq!(world.control().members("45").unwrap(), [A]);
    world.send("PUT", "/crm/v3/lists/45/memberships/remove", "[\"100001\"]").await;
    assert!(world.control().members("45").unwrap().is_empty());
    assert_eq!(world.send("PUT", "/crm/v3/lists/43/memberships/add", "[\"100001\"]").await.status, 400);
}

#[tokio::test]
async fn all_path_styles_answer_alike() {
    let world = World::small().await;
    let body = json!({"inputs": [{"id": A.to_string()}], "properties": ["email"]});
    let mut answers = Vec::new();
    for base in ["/crm/v3/objects/contacts", "/crm/objects/2026-03/0-1", "/crm/objects/2026-09/contact"] {
        answers.push(world.post(&format!("{base}/batch/read"), &body).await.result(A));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(world.get("/crm/lists/2026-03/42").await.status, 200);
    assert_eq!(world.get("/crm/properties/2026-09/contacts").await.status, 200);
    assert_eq!(world.get("/crm/objects/2019-01/contacts").await.status, 404);
}

#[tokio::test]
async fn names_come_through_to_the_letter() {
    let world = World::with(|_| {}).await;
    let names = |reply: &Value| reply["properties"]["fullname"].as_str().unwrap().to_owned();
    let ids = world.control().record_ids("contacts").unwrap();
    let mut all = Vec::new();
    for chunk in ids.chunks(100) {
        let reply = world.read(chunk, &["fullname", "phone", "email"]).await;
        all.extend(chunk.iter().map(|id| reply.result(*id)));
    }
    let people: Vec<&Value> = all.iter().filter(|row| !row["properties"]["fullname"].is_null()).collect();
    for name in ["Jesús G. \"Chuy\" García", "Alexandria Ocasio-Cortez", "Henry C. \"Hank\" Johnson, Jr."] {
        assert!(people.iter().any(|row| names(row) == name), "{name}");
    }
    assert_eq!(all[0]["properties"]["phone"], "202-224-3441");
    let without_phone = all.iter().filter(|row| row["properties"]["phone"].is_null()).count();
    assert_eq!(without_phone, 6);
    let mut emails: Vec<&str> = all.iter().map(|row| row["properties"]["email"].as_str().unwrap()).collect();
    emails.sort_unstable();
    emails.dedup();
    assert_eq!(emails.len(), 537);
}

#[tokio::test]
async fn a_read_ignores_unknown_names_and_shows_unset_properties_as_null() {
    let world = World::small().await;
    let record = world.read(&[A], &["zip", "no_such_property", "firstname"]).await.result(A);
    let keys: Vec<&String> = record["properties"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["createdate", "firstname", "hs_object_id", "lastmodifieddate", "zip"]);
    assert_eq!(record["properties"]["zip"], Value::Null);
    assert_eq!(record["url"], "https://app.hubspot.com/contacts/424242/record/0-1/100001");
    let bare = World::with(|config| config.switches.omit_unset = true).await;
    assert!(bare.read(&[A], &["zip"]).await.result(A)["properties"].get("zip").is_none());
}

#[tokio::test]
async fn missing_ids_share_one_error_under_207_or_200() {
    for (version, status) in [(ApiVersion::V3, 207), (ApiVersion::V2026_03, 207), (ApiVersion::V2026_09, 200)]
    {
        let world = World::with(|config| config.api_version = version).await;
        let reply = world.read(&[A, 5, 6], &[]).await;
        let body = reply.json();
        assert_eq!((reply.status, reply.ids(), &body["numErrors"]), (status, vec![A], &json!(1)));
        assert_eq!(body["errors"][0]["category"], "OBJECT_NOT_FOUND");
        assert_eq!(body["errors"][0]["context"]["ids"], json!(["5", "6"]));
        assert!(
            body["errors"][0]["message"].as_str().unwrap().starts_with("Could not get some CONTACT objects")
        );
        let none = world.read(&[5], &[]).await;
        assert_eq!((none.status, none.ids()), (status, vec![]));
    }
    let strict = World::with(|config| config.switches.all_missing_is_404 = true).await;
    assert_eq!(strict.read(&[5], &[]).await.status, 404);
}

#[tokio::test]
async fn a_batch_read_takes_100_ids_and_comes_in_an_order_of_its_own() {
    let world = World::with(|config| config.records = Source::Generate(101)).await;
    let ids = world.control().record_ids("contacts").unwrap();
    assert_eq!(world.read(&ids, &[]).await.status, 400);
    let reply = world.read(&ids[..100], &[]).await;
    assert_eq!(reply.ids(), ids[..100]);
    let in_order: Vec<Value> =
        reply.json()["results"].as_array().unwrap().iter().map(|row| row["id"].clone()).collect();
    let sent: Vec<Value> = ids[..100].iter().map(|id| json!(id.to_string())).collect();
    assert_ne!(in_order, sent);
}

#[tokio::test]
async fn a_batch_read_finds_contacts_by_a_unique_property() {
    let world = World::with(|_| {}).await;
    let body = json!({"idProperty": "email", "inputs": [{"id": "Maria.Cantwell@congress.example"}]});
    assert_eq!(world.post("/crm/v3/objects/contacts/batch/read", &body).await.ids(), [A]);
    let body = json!({"idProperty": "city", "inputs": [{"id": "Everett"}]});
    assert_eq!(world.post("/crm/v3/objects/contacts/batch/read", &body).await.status, 400);
}

#[tokio::test]
async fn a_merged_id_leads_to_the_survivor_one_by_one_and_is_left_out_of_batches() {
    let world = World::small().await;
    world.control().merge("contacts", A, B).unwrap();
    let one = world.get(&format!("/crm/v3/objects/contacts/{B}")).await.json();
    assert_eq!(one["id"], A.to_string());
    let batch = world.read(&[A, B, C], &[]).await;
    assert_eq!((batch.status, batch.ids()), (200, vec![A, C]));
    assert!(batch.json().get("numErrors").is_none());
}

#[tokio::test]
async fn an_archived_record_is_gone_until_it_is_restored() {
    let world = World::small().await;
    assert_eq!(world.send("DELETE", &format!("/crm/v3/objects/contacts/{A}"), "").await.status, 204);
    let gone = world.get(&format!("/crm/v3/objects/contacts/{A}")).await;
    assert_eq!((gone.status, gone.json()["message"].as_str()), (404, Some("resource not found")));
    assert!(gone.json().get("category").is_none());
    let archived = world.get(&format!("/crm/v3/objects/contacts/{A}?archived=true")).await.json();
    assert_eq!(archived["archived"], true);
    world.control().restore("contacts", A).unwrap();
    assert_eq!(world.get(&format!("/crm/v3/objects/contacts/{A}")).await.status, 200);
}

#[tokio::test]
async fn objects_are_paged_by_the_id_of_the_next_one() {
    let world = World::small().await;
    let first = world.get("/crm/v3/objects/contacts?limit=4&properties=email,phone").await;
    assert_eq!(first.ids(), [A, B, C, 100_004]);
    assert_eq!(first.json()["paging"]["next"]["after"], "100005");
    let last = world.get("/crm/v3/objects/contacts?limit=100&after=100005").await;
    assert_eq!(last.ids().len(), 6);
    assert!(last.json().get("paging").is_none());
    assert_eq!(world.get("/crm/v3/objects/contacts?limit=101").await.status, 400);
    assert_eq!(world.get("/crm/v3/objects/contacts?limit=51&propertiesWithHistory=phone").await.status, 400);
}

#[tokio::test]
async fn an_address_that_is_too_long_is_414_in_html() {
    let world = World::small().await;
    let reply = world.get(&format!("/crm/v3/objects/contacts?properties={}", "x,".repeat(8_100))).await;
    assert_eq!(reply.status, 414);
    assert!(reply.header("content-type").unwrap().starts_with("text/html"));
}

#[tokio::test]
async fn the_catalogue_tells_what_can_be_written_and_hides_sensitive_properties() {
    let world = World::small().await;
    let body = world.get("/crm/v3/properties/contacts").await.json();
    let all = body["results"].as_array().unwrap();
    let find = |name: &str| all.iter().find(|property| property["name"] == name).unwrap();
    assert_eq!(find("hs_object_id")["modificationMetadata"]["readOnlyValue"], true);
    assert_eq!(find("phone")["modificationMetadata"]["readOnlyValue"], false);
    let company = find("associatedcompanyid");
    assert_eq!(
        (&company["externalOptions"], &company["hidden"], &company["options"]),
        (&json!(true), &json!(true), &json!([]))
    );
    assert!(find("interests")["options"].as_array().unwrap().iter().any(|option| option["hidden"] == true));
    assert!(!all.iter().any(|property| property["name"] == "national_id"));
    let sensitive = world.get("/crm/v3/properties/contacts?dataSensitivity=sensitive").await.json();
    assert_eq!(sensitive["results"].as_array().unwrap().len(), 2);
    assert_eq!(world.get("/crm/v3/properties/contacts/phone").await.json()["fieldType"], "phonenumber");
    assert_eq!(world.get("/crm/v3/properties/contacts/phonee").await.status, 404);
    let rules = world.get("/crm/v3/property-validations/0-1").await.json();
    assert!(rules["results"].as_array().unwrap().iter().any(|entry| entry["propertyName"] == "external_ref"));
}

#[tokio::test]
async fn other_objects_are_there_and_unknown_ones_are_named() {
    let world = World::small().await;
    for object in ["companies", "deals", "tickets", CUSTOM_OBJECT, "0-2"] {
        assert!(!world.get(&format!("/crm/v3/objects/{object}")).await.ids().is_empty(), "{object}");
    }
    let reply = world.get("/crm/v3/objects/butterflies").await;
    assert_eq!(
        (reply.status, &reply.json()["message"]),
        (400, &json!("Unable to infer object type from: butterflies"))
    );
    assert!(reply.json().get("category").is_none());
}

#[tokio::test]
async fn the_account_tells_its_zone_and_todays_usage() {
    let world = World::small().await;
    let details = world.get("/account-info/v3/details").await.json();
    assert_eq!(
        (&details["portalId"], &details["timeZone"], &details["utcOffset"]),
        (&json!(424_242), &json!("America/New_York"), &json!("-05:00"))
    );
    let usage = world.get("/account-info/v3/api-usage/daily/private-apps").await.json();
    assert_eq!(usage["results"][0]["currentUsage"], 2);
    assert_eq!(usage["results"][0]["usageLimit"], 625_000);
    assert_eq!(usage["results"][0]["resetsAt"], "2026-11-21T05:00:00.000Z");
}
