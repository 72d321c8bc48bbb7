//! Actions that the CRM performs for single rows: what they make is made once, whatever dies or gets lost on the way.

use std::collections::BTreeSet;

use infill_model::{Outcome, RunState};
use infill_sim::salesforce::{Control, Operation};

use crate::plans::note;
use crate::vendors::Tenant;
use crate::world::{Ended, Pair, Printed, Setting, World};

type Org = Control;

const PAIRS: [Pair; 2] = [Pair::Embedded, Pair::Distributed];

/// The documented plan that upserts without an external id field.
const ACCOUNTS_OF_LEADS: &str = include_str!("../../docs/plans/account-of-each-lead.yaml");

/// Rows of [`plan`]: a canary of five, and a batch.
const N_ROWS: usize = 24;

async fn world(pair: Pair, more: &str) -> World<Org> {
    Setting::of(pair, Org::with_records(N_ROWS)).connection(more).start().await
}

/// A plan over all accounts whose chain is this, and which writes a template.
fn plan(chain: &str, value: &str) -> String {
    format!(
        "name: Actions\nconnection: main\nsource: {{ object: Account, view: AllAccounts }}\n\
         inputs: [Id, Name, BillingCity]\nchain:\n{chain}\nwriteback:\n  properties: [{{ name: Greeting__c, value: '{value}' }}]\n"
    )
}

const TASK: &str = r#"  - id: task
    action: salesforce_create_task
    inputs: { subject: "Call {{input.Name}}", what_id: "{{input.Id}}", activity_date: "2026-12-01", description: Ask. }
"#;

const CREATE: &str = r#"  - id: person
    action: salesforce_create_record
    inputs:
      salesforce_object: Contact
      add_fields_and_their_values:
        - { name: LastName, value: "Of {{input.Name}}" }
        - { name: AccountId, value: "{{input.Id}}" }
"#;

fn of_object(world: &World<Org>, object: &str) -> Vec<String> {
    world.control.record_ids(object).expect("the object is there")
}

fn value(world: &World<Org>, object: &str, id: &str, field: &str) -> String {
    world.control.value(object, id, field).expect("the field is there").unwrap_or_default()
}

/// Runs a plan that is refused.
async fn refused<T: Tenant>(world: &World<T>, plan: &str) -> Printed {
    let path = world.plan(plan);
    world.infill(&["run", path.to_str().expect("a path in UTF-8"), "--all"]).await
}

/// Checks that each account has one task of its own, and holds its id.
fn check_tasks(world: &World<Org>) {
    let tasks = of_object(world, "Task");
    let whats: BTreeSet<String> = tasks.iter().map(|task| value(world, "Task", task, "WhatId")).collect();
    assert_eq!((tasks.len(), whats.len()), (N_ROWS, N_ROWS), "{}", world.logs());
    for task in &tasks {
        let account = value(world, "Task", task, "WhatId");
        assert_eq!(value(world, "Account", &account, "Greeting__c"), *task);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_looks_up_updates_creates_and_upserts() {
    let chain = format!(
        r#"{TASK}{CREATE}  - id: found
    action: salesforce_lookup_record
    inputs:
      salesforce_object: Contact
      add_fields_and_their_values: [{{ name: AccountId, value: "{{{{input.Id}}}}" }}, {{ name: LastName, value: "Of {{{{input.Name}}}}" }}]
      search_operator: AND
      exact_match: true
  - id: nobody
    action: salesforce_lookup_record
    inputs:
      salesforce_object: Contact
      add_fields_and_their_values: [{{ name: LastName, value: "Nobody of {{{{input.Name}}}}" }}]
      search_operator: OR
  - id: retitle
    action: salesforce_update_record
    run_if: {{ conditions: [{{ variable: "{{{{nobody.records_found}}}}", operator: is empty }}] }}
    inputs:
      record_id: "{{{{found.records_found[0].Id}}}}"
      salesforce_object: Contact
      add_fields_and_their_values: [{{ name: Title, value: "Buyer in {{{{input.BillingCity}}}}" }}, {{ name: Phone, value: null }}]
  - id: deal
    action: salesforce_upsert_record
    inputs:
      salesforce_object: Opportunity
      salesforce_external_id_field: External_Key__c
      add_fields_and_their_values:
        - {{ name: External_Key__c, value: "K-{{{{input.Id}}}}" }}
        - {{ name: Name, value: "Renewal" }}
        - {{ name: StageName, value: Prospecting }}
        - {{ name: CloseDate, value: "2026-12-31" }}
      force_update_on_collision: true
"#
    );
    for pair in PAIRS {
        let world = world(pair, "").await;
        let (n_contacts, n_deals) =
            (of_object(&world, "Contact").len(), of_object(&world, "Opportunity").len());
        let ended = world.run(&plan(&chain, "{{retitle.record_id}} {{deal.operation_type}}")).await;
        ended.all(Outcome::Verified, N_ROWS as u64);
        assert_eq!(of_object(&world, "Contact").len(), n_contacts + N_ROWS);
        assert_eq!(of_object(&world, "Opportunity").len(), n_deals + N_ROWS);
        for account in of_object(&world, "Account") {
            let greeting = value(&world, "Account", &account, "Greeting__c");
            let contact = greeting.strip_suffix(" Insert").unwrap_or_else(|| panic!("{greeting}"));
            assert_eq!(value(&world, "Contact", contact, "AccountId"), account);
            assert!(value(&world, "Contact", contact, "Title").starts_with("Buyer in "));
        }
        // The forecast counts the calls of the chain.
        let forecast = ended.run.compiled.as_ref().expect("it was configured").forecast;
        assert!(forecast.calls >= 7 * N_ROWS as u64, "{forecast:?}");
        // A second run finds the opportunities of the first.
        let again = world.run(&plan(&chain, "{{deal.operation_type}}")).await;
        assert_eq!(again.count(Outcome::Failed), 0, "{}", again.printed.err);
        assert_eq!(of_object(&world, "Opportunity").len(), n_deals + N_ROWS);
        let account = &of_object(&world, "Account")[0];
        assert_eq!(value(&world, "Account", account, "Greeting__c"), "Update");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_make_no_second_record() {
    for pair in PAIRS {
        for more in ["", "replay_key_field = \"External_Key__c\"\n"] {
            let world = world(pair, more).await;
            world.set_faults("lost-reset,op=record-create,after=6,every=3,count=3");
            world.run(&plan(TASK, "{{task.record_id}}")).await.all(Outcome::Verified, N_ROWS as u64);
            assert_eq!(world.control.report().faults.iter().map(|(_, n)| n).sum::<u64>(), 3);
            check_tasks(&world);
        }
        let world = world(pair, "").await;
        let n_contacts = of_object(&world, "Contact").len();
        world.set_faults("lost-504,op=record-create,after=3,every=2,count=2");
        world.run(&plan(CREATE, "{{person.record_id}}")).await.all(Outcome::Verified, N_ROWS as u64);
        assert_eq!(of_object(&world, "Contact").len(), n_contacts + N_ROWS);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_killed_after_the_vendor_committed_makes_no_second_record() {
    for pair in PAIRS {
        for chain in [TASK, CREATE] {
            let mut world =
                Setting { workers: 0, ..Setting::of(pair, Org::with_records(N_ROWS)) }.start().await;
            let n_contacts = of_object(&world, "Contact").len();
            let id = if chain == TASK { "task" } else { "person" };
            let plan = plan(chain, &format!("{{{{{id}.record_id}}}}"));
            let run = world.record(&plan, &["--all"]).await;
            // The org has made the record, and does not answer.
            world.set_faults("delay,ms=600000,op=record-create,after=8,count=1");
            let at_work = world.take_up();
            world.until_struck("a record is created").await;
            world.kill(at_work).await;
            world.set_faults("");
            world.take_up();
            let ended = world.until_final(run).await;
            assert_eq!(
                (ended.state, ended.progress.counts.verified),
                (RunState::Completed, N_ROWS as u64),
                "{ended:?}\n{}",
                world.logs()
            );
            if chain == TASK {
                check_tasks(&world);
            } else {
                assert_eq!(of_object(&world, "Contact").len(), n_contacts + N_ROWS);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_upsert_without_an_external_id_makes_nothing_twice() {
    for pair in PAIRS {
        let world = Setting::of(pair, Org::bundled()).start().await;
        let leads = of_object(&world, "Lead");
        // Two leads of one company in one run do not see each other.
        for (at, lead) in leads.iter().enumerate() {
            world.control.edit("Lead", lead, "Company", &format!("Company {at}")).expect("a person may");
        }
        let n_accounts = of_object(&world, "Account").len();
        let all_well = |ended: &Ended| {
            assert_eq!(ended.run.progress.counts.failed, 0, "{}", ended.printed.err);
            assert_eq!(ended.run.state, RunState::Completed, "{}", ended.printed.err);
        };
        all_well(&world.run(ACCOUNTS_OF_LEADS).await);
        assert_eq!(of_object(&world, "Account").len(), n_accounts + leads.len());
        let noted = value(&world, "Lead", &leads[0], "Description");
        assert!(noted.starts_with("Account 001"), "{noted}");
        let again = world.run(ACCOUNTS_OF_LEADS).await;
        all_well(&again);
        assert_eq!(of_object(&world, "Account").len(), n_accounts + leads.len());
        assert_eq!(value(&world, "Lead", &leads[0], "Description"), noted, "the same account");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_the_field_does_not_take_is_refused_before_any_call() {
    let update = |stage: &str, goes_on: bool| {
        format!(
            r#"  - id: deal
    action: salesforce_update_record
    continue_workflow_if_action_fails: {goes_on}
    inputs:
      record_id: "{{{{input.Id}}}}"
      salesforce_object: Opportunity
      add_fields_and_their_values: [{{ name: StageName, value: "{stage}" }}]
"#
        )
    };
    let world = world(Pair::Embedded, "").await;
    let refused = refused(&world, &plan(&update("closed won", false), "x")).await;
    assert_eq!(refused.code, 2, "{}", refused.err);
    assert!(refused.err.contains(".yaml:12:") && refused.err.contains("\"Closed Won\""), "{}", refused.err);
    // One that comes from the row fails the row.
    let ended = world.run_with(&plan(&update("{{input.Name}}", false), "x"), &["--all"]).await;
    assert_eq!((ended.run.state, ended.count(Outcome::Failed)), (RunState::Stopped, 5), "the canary");
    let cause = ended.rows.iter().find_map(|(_, result)| result.cause.clone()).expect("a cause");
    assert_eq!(cause.code, "invalid_option", "{cause:?}");
    // Or is gone on from.
    let ended = world.run(&plan(&update("{{input.Name}}", true), "x")).await;
    ended.all(Outcome::Verified, N_ROWS as u64);
    assert_eq!(world.control.report().calls(Operation::RecordUpdate).received, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_of_another_vendor_is_refused_before_the_first_row() {
    let world = Setting::new(Pair::Embedded).contacts(5).start().await;
    let plan = note(crate::plans::EVERYBODY, "")
        .replace("chain:", "chain:\n  - { id: t, action: salesforce_create_task, inputs: { subject: x } }");
    let refused = refused(&world, &plan).await;
    assert_eq!(refused.code, 2, "{}", refused.err);
    assert!(refused.err.contains("has no action \"salesforce_create_task\""), "{}", refused.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writeback_written_as_an_update_is_one() {
    let writeback = |action: &str, empty: &str| {
        format!(
            "name: Update\nconnection: main\nsource: {{ object: Account, view: AllAccounts }}\ninputs: [Name, Fax]\nwriteback:\n  \
             action: {action}\n  inputs:\n    add_fields_and_their_values:\n      \
             - {{ name: Greeting__c, value: 'Hello {{{{input.Name}}}}' }}\n      \
             - {{ name: BillingCity, value: '{{{{input.Fax}}}}' }}\n{empty}"
        )
    };
    let world = world(Pair::Embedded, "").await;
    let account = of_object(&world, "Account").remove(0);
    let city = value(&world, "Account", &account, "BillingCity");
    let ended = world.run(&writeback("salesforce_update_record", "")).await;
    ended.all(Outcome::Verified, N_ROWS as u64);
    assert_eq!(value(&world, "Account", &account, "BillingCity"), city, "an empty value is ignored");
    let ended = world.run(&writeback("salesforce_update_record", "    ignore_empty_values: false\n")).await;
    ended.all(Outcome::Verified, N_ROWS as u64);
    assert_eq!(value(&world, "Account", &account, "BillingCity"), "", "and clears when it is not");
    let creating = refused(&world, &writeback("salesforce_upsert_record", "")).await;
    assert_eq!(creating.code, 2, "{}", creating.err);
    assert!(
        creating.err.contains(".yaml:6:") && creating.err.contains("can create a record"),
        "{}",
        creating.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_with_the_call_postpones_the_batch_and_a_retry_makes_nothing_twice() {
    for pair in PAIRS {
        let world = world(pair, "").await;
        // Nothing was made by these, and the row that is refused fails alone.
        let guilty = of_object(&world, "Account").remove(N_ROWS - 1);
        let name = value(&world, "Account", &guilty, "Name");
        world.set_faults(&format!(
            "503,op=record-create,after=7,count=2;403,cause=concurrent,op=record-create,after=12,count=1;row-error,op=record-create,field=Subject,sent=Call {name}"
        ));
        let ended = world.run(&plan(TASK, "{{task.record_id}}")).await;
        assert_eq!(ended.ids(Outcome::Failed), [guilty.as_str()], "{}", world.logs());
        assert_eq!(of_object(&world, "Task").len(), N_ROWS - 1);
        let letters = world.letters(&ended.run).await;
        assert_eq!(letters[0].letter.cause.code, "FIELD_CUSTOM_VALIDATION_EXCEPTION");
        let [unavailable, throttled, ..] = world.control.fault_strikes()[..] else { panic!("three faults") };
        assert_eq!((unavailable, throttled), (2, 1), "{}", world.logs());
        world.set_faults("");
        let retried = world.infill(&["dead-letters", "retry", "--run", "latest", "--yes"]).await;
        assert_eq!(retried.code, 0, "{}", retried.err);
        let resumed = world.infill(&["run", "--resume", "latest"]).await;
        assert_eq!(resumed.code, 0, "{}\n{}", resumed.err, world.logs());
        check_tasks(&world);
    }
}
