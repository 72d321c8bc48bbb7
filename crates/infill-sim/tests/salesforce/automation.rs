//! What the org does by itself: rules, triggers, owners, products, locks.

use infill_sim::salesforce::{
    Automation, DuplicateAction, DuplicateRule, SIM_ASSIGNEE_ID, SIM_USER_ID, Source, Trigger, ValidationRule,
};
use serde_json::{Value, json};

use super::wire::{World, collection};

async fn automated(automation: Automation) -> World {
    World::with(|config| {
        config.records = Source::Generate(10);
        config.automation = automation;
    })
    .await
}

#[tokio::test]
async fn a_validation_rule_speaks_the_administrators_words() {
    let rule = ValidationRule {
        object: "Account".to_owned(),
        refuses_when: "Score__c > 100 AND Segment__c != 'Enterprise'".to_owned(),
        message: "Only enterprises score so high".to_owned(),
        field: Some("Score__c".to_owned()),
    };
    let world = automated(Automation { validation_rules: vec![rule], ..Automation::default() }).await;
    let ids = world.ids("Account");
    let high = json!({"Score__c": 101});
    let reply = world
        .update(&[(&ids[0], high), (&ids[1], json!({"Score__c": 101, "Segment__c": "Enterprise"}))])
        .await;
    assert_eq!(reply.codes(), ["FIELD_CUSTOM_VALIDATION_EXCEPTION", ""]);
    let error = &reply.json()[0]["errors"][0];
    assert_eq!(
        (&error["message"], &error["fields"]),
        (&json!("Only enterprises score so high"), &json!(["Score__c"]))
    );
}

#[tokio::test]
async fn a_trigger_overwrites_a_value_after_success() {
    let trigger = Trigger {
        object: "Account".to_owned(),
        when: Some("Greeting__c LIKE 'Hello%'".to_owned()),
        field: "Greeting__c".to_owned(),
        value: "Good day".to_owned(),
    };
    let world = automated(Automation { triggers: vec![trigger], ..Automation::default() }).await;
    let ids = world.ids("Account");
    let reply = world
        .update(&[(&ids[0], json!({"Greeting__c": "Hello Ann"})), (&ids[1], json!({"Greeting__c": "Hi"}))])
        .await;
    assert_eq!(reply.codes(), ["", ""]);
    assert_eq!(world.stored("Account", &ids[0], "Greeting__c").as_deref(), Some("Good day"));
    let ledger = world.control().ledger();
    assert_eq!((ledger[0].sent.as_deref(), ledger[0].new.as_deref()), (Some("Hello Ann"), Some("Good day")));
    assert_eq!(world.control().report().recalculated, 1);
}

#[tokio::test]
async fn amount_of_an_opportunity_with_products_is_ignored() {
    let world = World::with(|_| ()).await;
    let ids = world.ids("Opportunity");
    let (plain, products) = (&ids[0], &ids[4]);
    let before = world.stored("Opportunity", products, "Amount");
    let rows = [
        (plain.as_str(), json!({"Amount": 5})),
        (products.as_str(), json!({"Amount": 5, "StageName": "Closed Won"})),
    ];
    let reply = world.patch("/composite/sobjects", &collection("Opportunity", &rows)).await;
    assert_eq!(reply.codes(), ["", ""]);
    assert_eq!(world.stored("Opportunity", plain, "Amount").as_deref(), Some("5.0"));
    assert_eq!(world.stored("Opportunity", products, "Amount"), before);
    assert_eq!(world.stored("Opportunity", products, "Probability").as_deref(), Some("100.0"));
    assert_eq!(world.stored("Opportunity", products, "IsWon").as_deref(), Some("true"));
    world.control().set_products(products, false).unwrap();
    world.patch("/composite/sobjects", &collection("Opportunity", &[(products, json!({"Amount": 5}))])).await;
    assert_eq!(world.stored("Opportunity", products, "Amount").as_deref(), Some("5.0"));
}

#[tokio::test]
async fn an_assignment_rule_moves_the_owner_unless_the_header_says_no() {
    let owner = SIM_ASSIGNEE_ID.to_owned();
    let world = automated(Automation {
        assignment_rules: vec![("Account".to_owned(), owner.clone())],
        ..Automation::default()
    })
    .await;
    let ids = world.ids("Account");
    let mine = world.stored("Account", &ids[0], "OwnerId");
    let body = collection("Account", &[(&ids[0], json!({"Site": "x"}))]);
    world.call("PATCH", "/composite/sobjects", &[("Sforce-Auto-Assign", "FALSE")], &body).await;
    assert_eq!(world.stored("Account", &ids[0], "OwnerId"), mine);
    world.patch("/composite/sobjects", &body).await;
    assert_eq!(world.stored("Account", &ids[0], "OwnerId"), Some(owner.clone()));
    assert_eq!((&world.ids("User")[2], &world.ids("User")[0]), (&owner, &SIM_USER_ID.to_owned()));
}

#[tokio::test]
async fn a_duplicate_alert_gives_way_to_the_header_and_a_block_does_not() {
    for (action, allowed) in [(DuplicateAction::Alert, ""), (DuplicateAction::Block, "DUPLICATES_DETECTED")] {
        let rule = DuplicateRule { object: "Account".to_owned(), field: "Name".to_owned(), action };
        let world = automated(Automation { duplicate_rules: vec![rule], ..Automation::default() }).await;
        let ids = world.ids("Account");
        let name = world.stored("Account", &ids[1], "Name").unwrap().to_uppercase();
        let body = collection("Account", &[(&ids[0], json!({"Name": name}))]);
        let refused = world.patch("/composite/sobjects", &body).await;
        assert_eq!(refused.codes(), ["DUPLICATES_DETECTED"]);
        assert_eq!(refused.json()[0]["errors"][0]["message"], "Use one of these records?");
        let header = [("Sforce-Duplicate-Rule-Header", "allowSave=true; runAsCurrentUser=true")];
        let reply = world.call("PATCH", "/composite/sobjects", &header, &body).await;
        assert_eq!(reply.codes(), [allowed]);
        let one = world.patch(&format!("/sobjects/Account/{}", ids[2]), &json!({"Name": name})).await;
        assert!(one.json()[0]["duplicateResult"].is_object());
    }
}

#[tokio::test]
async fn calls_that_overlap_collide_on_a_shared_account() {
    let world =
        World::with(|config| config.faults = "hold,op=collections-update,count=1".parse().unwrap()).await;
    let contacts = world.ids("Contact");
    let write = async |id: &str| {
        world.patch("/composite/sobjects", &collection("Contact", &[(id, json!({"Title": "x"}))])).await
    };
    let control = world.control();
    let others = async {
        control.wait_for_held(1).await;
        // The second contact is of the same account, the fourth of another.
        let replies = (write(&contacts[1]).await, write(&contacts[3]).await);
        control.release();
        replies
    };
    let (first, (sibling, stranger)) = tokio::join!(write(&contacts[0]), others);
    assert_eq!((first.codes(), stranger.codes()), (vec![String::new()], vec![String::new()]));
    assert_eq!(sibling.codes(), ["UNABLE_TO_LOCK_ROW"]);
    let account = world.stored("Contact", &contacts[1], "AccountId").unwrap();
    let message = sibling.json()[0]["errors"][0]["message"].as_str().unwrap().to_owned();
    assert_eq!(message, format!("unable to obtain exclusive access to this record or 1 records: {account}"));
    assert_eq!(write(&contacts[1]).await.codes(), [""]);
}

#[tokio::test]
async fn somebody_elses_lock_and_an_approval_keep_a_row() {
    let world = World::small().await;
    let ids = world.ids("Account");
    world.control().lock_row(&ids[0]);
    world.control().set_in_approval("Account", &ids[1], true).unwrap();
    let rows: Vec<(&str, Value)> = ids.iter().take(3).map(|id| (id.as_str(), json!({"Site": "x"}))).collect();
    assert_eq!(world.update(&rows).await.codes(), ["UNABLE_TO_LOCK_ROW", "ENTITY_IS_LOCKED", ""]);
    world.control().unlock_row(&ids[0]);
    world.control().set_in_approval("Account", &ids[1], false).unwrap();
    assert_eq!(world.update(&rows).await.codes(), ["", "", ""]);
}

#[tokio::test]
async fn a_rule_that_cannot_be_read_stops_the_start() {
    let rule = ValidationRule {
        object: "Account".to_owned(),
        refuses_when: "Nothing__c = 1".to_owned(),
        message: String::new(),
        field: None,
    };
    let automation = Automation { validation_rules: vec![rule], ..Automation::default() };
    let config = infill_sim::salesforce::Config { automation, ..infill_sim::salesforce::Config::default() };
    let error = infill_sim::salesforce::start(config).await.unwrap_err();
    assert!(error.to_string().contains("Nothing__c"));
}
