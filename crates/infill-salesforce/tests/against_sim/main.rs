//! Every method of the connector against the simulator, which shares no code with it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod actions;
mod bulk;
mod login;
mod world;
mod writing;

use std::collections::BTreeSet;
use std::time::Duration;

use infill_crm::{Crm, Pull, conformance};
use infill_model::plan::Combinator;
use infill_model::row::Gone;
use infill_model::slice::{Readiness, Selection};
use infill_model::{Class, Properties, PropertyName, RecordId};
use infill_salesforce::Config;
use infill_sim::salesforce::{self as sim, Operation};
use serde_json::json;

use crate::world::{World, accounts, condition, query, sorted, update, view};

#[tokio::test]
async fn the_account_tells_the_org_its_zone_and_its_day() {
    let org = sim::Config { time_zone: "Europe/London".to_owned(), ..sim::Config::default() };
    let world = World::of(org, Config::default()).await;
    let account = world.salesforce.account().await.unwrap();
    assert_eq!(account.time_zone, "Europe/London");
    assert_eq!(account.daily_limit, Some(110_000));
    assert!(account.daily_used.is_some_and(|used| used < 10), "{account:?}");
    assert!(account.id.starts_with("00D"), "{account:?}");
    assert_eq!(account.label, "Salesforce org Infinite Widgets");
    // A user who may not see the org is at least somebody in it.
    world.faults(
        "error,code=INVALID_TYPE,message=sObject type 'Organization' is not supported,op=query,count=1",
    );
    let hidden = world.salesforce.account().await.unwrap();
    assert_eq!((&hidden.id, &hidden.time_zone), (&account.id, &account.time_zone));
    assert!(hidden.label.ends_with("user integration@sim.example"), "{hidden:?}");
    let id = world.ids(1).remove(0);
    let url = world.salesforce.record_address(&account, &accounts()).unwrap().of(&id);
    assert_eq!(url, format!("https://127.0.0.1/lightning/r/Account/{id}/view"));
    let broken = conformance::record_address(&world.salesforce, &account, &accounts(), &id);
    assert_eq!(broken, Vec::<String>::new());
}

#[tokio::test]
async fn list_views_are_found_by_id_label_and_name_and_pulled_whole() {
    let org = sim::Config { records: sim::Source::Generate(4_500), ..sim::Config::default() };
    let world = World::of(org, Config::default()).await;
    let lists = world.salesforce.lists().await.unwrap();
    let all = lists.iter().find(|list| list.name == "All Accounts").unwrap();
    assert_eq!((all.object.clone(), all.kind.as_str()), (accounts(), "list view"));

    let slice = world.salesforce.resolve(&accounts(), &view("all accounts")).await.unwrap();
    assert_eq!((slice.size, slice.readiness), (Some(4_500), Readiness::Ready));
    for same in [view("AllAccounts"), view(all.id.as_str()), Selection::List(all.id.clone())] {
        let found = world.salesforce.resolve(&accounts(), &same).await.unwrap();
        assert_eq!((found.handle, found.size), (slice.handle.clone(), slice.size));
    }
    let broken = conformance::listing(&world.salesforce, &slice, &Pull::default()).await.unwrap();
    assert_eq!(broken, Vec::<String>::new());
    assert_eq!(sorted(&world.listed(&slice).await), sorted(&world.ids(4_500)));
    assert_eq!(
        world.sim.control().report().calls(Operation::QueryMore).received,
        0,
        "no locator is ever used"
    );

    let mine = world.salesforce.resolve(&accounts(), &view("MyAccounts")).await.unwrap();
    assert!(mine.label.contains("records of the connected user"), "{}", mine.label);
    assert_eq!(mine.size, Some(u64::try_from(world.listed(&mine).await.len()).unwrap()));
}

#[tokio::test]
async fn a_read_tells_the_last_change_and_by_whom_where_the_object_has_the_stamps() {
    let world = World::bundled().await;
    let ids = world.ids(2);
    let names = [PropertyName::from("Phone")];
    let read = world.salesforce.read(&accounts(), &ids, &names).await.unwrap();
    let before = read.records[0].changed.clone().unwrap();
    world.sim.control().advance_clock(Duration::from_mins(1));
    world.sim.control().edit("Account", ids[0].as_str(), "Greeting__c", "Mine").unwrap();
    let read = world.salesforce.read(&accounts(), &ids, &names).await.unwrap();
    let after = read.records[0].changed.clone().unwrap();
    assert!(after.at > before.at, "{before:?} {after:?}");
    assert!(
        after.by.as_deref().is_some_and(|by| by.starts_with("005")) && after.by != before.by,
        "{after:?}"
    );
    assert_eq!(read.records[0].properties.keys().collect::<Vec<_>>(), [&names[0]]);

    world.faults(
        "error,code=INVALID_FIELD,message=No such column 'LastModifiedById' on entity 'Account',\
         op=collections-retrieve,count=1",
    );
    let read = world.salesforce.read(&accounts(), &ids, &names).await.unwrap();
    assert_eq!((read.records.len(), read.records[0].changed.clone()), (2, None));
}

#[tokio::test]
async fn a_view_that_empties_as_it_is_written_is_listed_to_its_end() {
    let world = World::bundled().await;
    let slice = world.salesforce.resolve(&accounts(), &view("WithoutGreeting")).await.unwrap();
    let before = world.listed(&slice).await;
    world.sim.control().edit("Account", before[0].as_str(), "Greeting__c", "Hello").unwrap();
    assert_eq!(world.listed(&slice).await, before[1..]);
}

#[tokio::test]
async fn a_selection_that_cannot_be_pulled_is_refused_with_the_way_out() {
    let world = World::bundled().await;
    for (object, selection, said) in [
        ("Account", view("All Acounts"), "did you mean \"All Accounts\""),
        ("Account", view("00B000000000001AAA"), "no list view"),
        ("Contact", view("All Accounts"), "no list view \"All Accounts\" of Contact"),
        ("accounts", view("All Accounts"), "did you mean \"Account\""),
        ("Accounts!", view("x"), "is no object of Salesforce"),
        ("Contact", query("SELECT Id FROM Account"), "is of Account and the plan's object is Contact"),
        ("Account", query("SELECT Id FROM Account LIMIT 3"), "max_count"),
        ("Account", query("SELECT Id FROM Account WHERE Nmae = 'x'"), "No such column"),
        ("Account", Selection::Filter(vec![condition("Nmae", "is empty", &[])]), "did you mean \"Name\""),
    ] {
        let error = world.salesforce.resolve(&object.into(), &selection).await.unwrap_err();
        assert_eq!(error.class, Class::Configuration, "{error}");
        assert!(error.message.contains(said), "{error}");
    }
}

#[tokio::test]
async fn a_query_is_pulled_by_its_condition() {
    let world = World::bundled().await;
    let soql = "SELECT Name FROM Account WHERE Industry = 'Information Technology' OR Name LIKE 'A%' ORDER BY Name DESC";
    let slice = world.salesforce.resolve(&accounts(), &query(soql)).await.unwrap();
    let listed = world.listed(&slice).await;
    assert_eq!(slice.size, Some(u64::try_from(listed.len()).unwrap()));
    assert!(listed.len() > 20, "{}", listed.len());
    for id in &listed {
        let is_tech = world.value(id, "Industry").as_deref() == Some("Information Technology");
        assert!(is_tech || world.value(id, "Name").unwrap().to_lowercase().starts_with('a'), "{id}");
    }
}

#[tokio::test]
async fn a_filter_means_what_it_says() {
    let world = World::bundled().await;
    let ids = world.ids(4);
    let control = world.sim.control();
    control.edit("Account", ids[0].as_str(), "Site", "it's 100% \\ new").unwrap();
    control.edit("Account", ids[1].as_str(), "Site", "100 new").unwrap();
    control.edit("Account", ids[0].as_str(), "Score__c", "7.5").unwrap();
    control.edit("Account", ids[1].as_str(), "Verified_On__c", "2026-01-31").unwrap();
    control.edit("Account", ids[2].as_str(), "Is_Target__c", "true").unwrap();
    let or = |condition| infill_model::plan::Condition { combinator: Combinator::Or, ..condition };
    for (conditions, expected) in [
        (vec![condition("Site", "is", &[json!("it's 100% \\ new")])], vec![0]),
        (vec![condition("Site", "contains", &[json!("100%")])], vec![0]),
        (vec![condition("Site", "contains", &[json!("new")])], vec![0, 1]),
        (vec![condition("Score__c", "greater than", &[json!("7.25")])], vec![0]),
        (
            vec![condition("Verified_On__c", "is between", &[json!("2026-01-01"), json!("2026-01-31")])],
            vec![1],
        ),
        (vec![condition("Is_Target__c", "is", &[json!(true)])], vec![2]),
        (
            vec![
                condition("Is_Target__c", "is", &[json!(true)]),
                or(condition("Score__c", "is not empty", &[])),
                condition("Site", "is empty", &[]),
            ],
            vec![2],
        ),
    ] {
        let slice =
            world.salesforce.resolve(&accounts(), &Selection::Filter(conditions.clone())).await.unwrap();
        let wanted: Vec<&RecordId> = expected.iter().map(|idx: &usize| &ids[*idx]).collect();
        assert_eq!(sorted(&world.listed(&slice).await), sorted(wanted), "{conditions:?}");
    }
    let without = Selection::Filter(vec![condition("Site", "does not contain", &[json!("new")])]);
    let slice = world.salesforce.resolve(&accounts(), &without).await.unwrap();
    let listed = world.listed(&slice).await;
    let n_accounts = control.record_ids("Account").unwrap().len();
    assert_eq!(listed.len(), n_accounts - 2, "those without a site are among them");
}

#[tokio::test]
async fn the_catalog_keeps_the_laws_of_every_connector() {
    let world = World::bundled().await;
    for object in ["Account", "Contact", "Lead", "Opportunity"] {
        let catalog = world.salesforce.catalog(&object.into()).await.unwrap();
        assert!(catalog.get(&"Id".into()).is_some_and(|id| id.read_only.is_some()), "{object}");
        let broken = conformance::checks(&world.salesforce, &catalog.properties);
        assert_eq!(broken, Vec::<String>::new(), "{object}");
        let values = [
            json!("2026-11-20"),
            json!("2026-11-20T10:00:00+01:00"),
            json!(" 007.50 "),
            json!("a;b;a"),
            json!("TRUE"),
            json!("José \"Pepe\" O'Neil"),
            json!(12.255),
            json!(true),
            json!(["x", "y"]),
        ];
        let broken = conformance::values(&world.salesforce, &catalog.properties, &values);
        assert_eq!(broken, Vec::<String>::new(), "{object}");
    }
    assert!(conformance::limits(&world.salesforce).is_empty());
    let account = world.salesforce.catalog(&accounts()).await.unwrap();
    let reason = |name: &str| account.get(&name.into()).unwrap().read_only.clone().unwrap_or_default();
    assert!(reason("Revenue_per_Employee__c").contains("formula"), "{}", reason("Revenue_per_Employee__c"));
    assert!(reason("Account_No__c").contains("numbers it"), "{}", reason("Account_No__c"));
    let error = world.salesforce.catalog(&"accounts".into()).await.unwrap_err();
    assert_eq!(error.class, Class::Configuration);
    assert!(error.message.contains("did you mean \"Account\""), "{error}");
}

#[tokio::test]
async fn what_a_record_type_has_of_a_restricted_picklist_is_known_before_the_write() {
    let world = World::bundled().await;
    let names = |names: &[&str]| names.iter().map(|name| PropertyName::from(*name)).collect::<Vec<_>>();
    for (object, targets, deciding) in [
        ("Account", &["Segment__c", "Topics__c", "Greeting__c"][..], &["RecordTypeId"][..]),
        ("Account", &["Industry", "Greeting__c", "Nothing__c"], &[]),
        ("Contact", &["LeadSource"], &[]),
    ] {
        let asked = world.salesforce.deciding(&object.into(), &names(targets)).await.unwrap();
        assert_eq!(asked, names(deciding), "{object} {targets:?}");
    }
    let completed = async |names: &[&str]| {
        let targets = world.targets(names).await;
        world.salesforce.complete(&accounts(), targets).await
    };
    let asked_types = || world.sim.control().report().calls(Operation::PicklistValues).received;
    completed(&["Industry", "Greeting__c"]).await.unwrap();
    assert_eq!(asked_types(), 0, "nothing depends on a type");
    let segment = completed(&["Segment__c"]).await.unwrap().remove(0);
    assert_eq!(asked_types(), 2, "a call for each type");

    let types = world.sim.control().record_ids("RecordType").unwrap();
    let ids = world.ids(3);
    for (id, record_type, choice, is_taken) in [
        (&ids[0], &types[0], "Enterprise", true),
        (&ids[1], &types[1], "Enterprise", false),
        (&ids[2], &types[1], "Small", true),
    ] {
        world.sim.control().edit("Account", id.as_str(), "RecordTypeId", record_type).unwrap();
        let read =
            world.salesforce.read(&accounts(), std::slice::from_ref(id), &names(&["RecordTypeId"])).await;
        let known = &read.unwrap().records[0].properties;
        let checked = world.salesforce.check(&segment, &json!(choice), &[known]);
        assert_eq!(checked.is_ok(), is_taken, "{choice}: {checked:?}");
        let answer = world.write(&[update(id, &[("Segment__c", json!(choice))])]).await.unwrap();
        assert_eq!(answer.refused.is_empty(), is_taken, "Salesforce says the same of {choice}");
    }

    world.faults("error,code=INSUFFICIENT_ACCESS,message=not yours,op=picklist-values,count=2");
    let unknown = completed(&["Segment__c"]).await.unwrap().remove(0);
    let supplier = Properties::from_iter([("RecordTypeId".into(), json!(types[1]))]);
    assert_eq!(
        world.salesforce.check(&unknown, &json!("Enterprise"), &[&supplier]),
        Ok(()),
        "left to Salesforce"
    );
    world.faults("503,op=picklist-values,count=1");
    assert_eq!(completed(&["Segment__c"]).await.unwrap_err().class, Class::Transient);
}

#[tokio::test]
async fn a_read_accounts_for_every_id_in_whatever_spelling() {
    let world = World::bundled().await;
    let ids = world.ids(503);
    let fields: Vec<PropertyName> =
        ["Name", "Score__c", "Is_Target__c", "Greeting__c", "Id"].map(Into::into).to_vec();
    let broken = conformance::reading(&world.salesforce, &accounts(), &ids, &fields).await.unwrap();
    assert_eq!(broken, Vec::<String>::new());

    let short = RecordId::from(ids[0].as_str().get(..15).unwrap());
    let damaged = RecordId::from(ids[1].as_str().to_uppercase());
    let spelt = [short, ids[0].clone(), damaged];
    let broken = conformance::reading(&world.salesforce, &accounts(), &spelt, &fields).await.unwrap();
    assert_eq!(broken, Vec::<String>::new());
    let read = world.salesforce.read(&accounts(), &spelt, &fields).await.unwrap();
    assert_eq!(read.records[0].properties, read.records[1].properties);

    let strange = [ids[0].clone(), RecordId::from("4711"), RecordId::from("nobody")];
    let error = world.salesforce.read(&accounts(), &strange, &fields).await.unwrap_err();
    assert_eq!((error.class, error.records.as_slice()), (Class::Rejected, &strange[1..]));
}

#[tokio::test]
async fn a_record_that_is_not_there_is_gone_with_its_survivor() {
    let world = World::bundled().await;
    let ids = world.ids(4);
    let control = world.sim.control();
    control.delete("Account", ids[0].as_str()).unwrap();
    control.merge("Account", ids[2].as_str(), ids[1].as_str()).unwrap();
    let never = RecordId::from("001ak00000zzzzzAAA");
    let all = [ids.clone(), vec![never.clone()]].concat();
    let broken = conformance::reading(&world.salesforce, &accounts(), &all, &["Name".into()]).await;
    assert_eq!(broken.unwrap(), Vec::<String>::new());
    let read = world.salesforce.read(&accounts(), &all, &["Name".into()]).await.unwrap();
    let gone: BTreeSet<_> = read
        .gone
        .iter()
        .map(|(id, gone)| (id.as_str(), gone.survivor.as_ref().map(RecordId::as_str)))
        .collect();
    assert_eq!(
        gone,
        BTreeSet::from([
            (ids[0].as_str(), None),
            (ids[1].as_str(), Some(ids[2].as_str())),
            (never.as_str(), None)
        ])
    );
    assert_eq!(read.records.len(), 2);
    assert_eq!(read.gone.len(), 3);
    assert!(read.gone.contains(&(ids[0].clone(), Gone { survivor: None })));

    // An object without a recycle bin tells no survivors.
    world.faults("error,code=INVALID_FIELD,message=No such column IsDeleted,op=query-all");
    let read = world.salesforce.read(&accounts(), &all, &["Name".into()]).await.unwrap();
    assert_eq!((read.records.len(), read.gone.len()), (2, 3));
    assert!(read.gone.iter().all(|(_, gone)| gone.survivor.is_none()));
    world.faults("503,op=query-all");
    let error = world.salesforce.read(&accounts(), &all, &["Name".into()]).await.unwrap_err();
    assert_eq!(error.class, Class::Transient, "nobody is gone on a guess");
}

#[tokio::test]
async fn a_field_that_is_hidden_stops_the_run() {
    let org = sim::Config {
        hidden_fields: vec![("Account".to_owned(), "Fax".to_owned())],
        ..sim::Config::default()
    };
    let world = World::of(org, Config::default()).await;
    assert_eq!(world.salesforce.catalog(&accounts()).await.unwrap().get(&"Fax".into()), None);
    let error = world.salesforce.read(&accounts(), &world.ids(1), &["Fax".into()]).await.unwrap_err();
    assert_eq!((error.class, error.code.as_str()), (Class::Configuration, "INVALID_FIELD"), "{error}");
}
