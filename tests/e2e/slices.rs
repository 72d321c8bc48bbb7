//! Which records a run covers: lists that change, that are not ready, that are empty; filters with many matches; files of ids;
//! caps and samples.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::Stdio;

use infill_model::slice::SuppliedPlace;
use infill_model::{Outcome, RunId, RunState};
use infill_sim::hubspot::{Limits, Operation};
use infill_store::store::{LetterStatus, RunFilter};

use crate::both_engines;
use crate::plans::{EVERYBODY, NOTE, note};
use crate::vendors::Tenant;
use crate::world::{Pair, Setting, World};

/// A plan that writes what a file says of a stand, which is no property of the CRM, beside a name of the CRM.
fn stands(source: &str) -> String {
    const PLAN: &str = r#"
name: Stands
connection: main
source: SOURCE
inputs: [Stand, firstname, lastname]
writeback:
  properties: [{ name: hs_cross_account_note, value: "{{input.Stand}} {{input.firstname}} {{input.lastname}}" }]
"#;
    PLAN.replace("SOURCE", source)
}

/// A file as people have them. Two records are said twice or not there, three lines cannot be used.
const PEOPLE: &str = "\u{feff}memo;Record ID;firstname;Stand\r\n\
    ;100003;Zoë;\"A \"\"1\"\"\"\r\n\
    \"two\r\nlines\";100001;José;B,2\r\n\
    ;100004;too few\r\n\
    ;;Bo;C\r\n\
    ;100003;Zoë again;D\r\n\
    ;9999999;Nobody;E\r\n\
    ;1E+05;Cy;F\r\n\
    ;100002;李;\r\n";

both_engines! {
    async fn an_active_list_that_loses_its_members_to_the_write_is_covered_whole(setting: Setting) {
        let mut setting = setting.contacts(605);
        setting.portal.list_lag = std::time::Duration::ZERO;
        let world = setting.start().await;
        assert_eq!(world.control.members("43").unwrap().len(), 605);
        let plan = note(r#"{ object: contacts, list: "43" }"#, "")
            .replace("hs_cross_account_note", "hs_content_membership_notes");
        world.run(&plan).await.all(Outcome::Verified, 605);
        assert_eq!(world.control.members("43").unwrap(), [] as [u64; 0], "the write ended every membership");
    }

    async fn members_that_are_taken_out_by_others_meanwhile_are_covered_too(setting: Setting) {
        let world = setting.contacts(305).start().await;
        let leave =
            |portal: &infill_sim::hubspot::Control| portal.remove_members("42", &[100_010, 100_300]).unwrap();
        world
            .run_changed(&note(EVERYBODY, ""), leave, "leave,op=batch-update,list=42")
            .await
            .all(Outcome::Verified, 305);
        assert!(world.control.members("42").unwrap().is_empty());
    }

    async fn a_list_still_processing_is_waited_for_and_covered_whole(setting: Setting) {
        let world = setting.contacts(105).faults("processing,list=42,looks=2").start().await;
        let ended = world.run(&note(EVERYBODY, "")).await;
        ended.all(Outcome::Verified, 105);
        let wait = "is still being computed by the CRM";
        assert!(ended.printed.err.contains(wait), "{}", ended.printed.err);
    }

    async fn a_run_that_waits_for_its_list_is_cancelled_at_once(setting: Setting) {
        let world = setting.contacts(105).faults("processing,list=42,looks=1000").start().await;
        let path = world.plan(&note(EVERYBODY, ""));
        let args = ["run", path.to_str().unwrap(), "--all"];
        let cancelling = async {
            world.until("the run waits for its list", |run| run.parked.is_some()).await;
            world.infill(&["cancel", "latest"]).await
        };
        let (printed, cancelled) = tokio::join!(world.infill(&args), cancelling);
        assert!(cancelled.out.contains("is cancelled; nothing was sent yet"), "{}", cancelled.out);
        assert_eq!((world.latest().await.state, printed.code), (RunState::Cancelled, 3), "{}", printed.err);
        let again = world.infill(&["cancel", "latest"]).await;
        assert!(again.out.contains("has ended already (cancelled); nothing to cancel"), "{}", again.out);
    }

    async fn an_empty_list_is_said_aloud(setting: Setting) {
        let world = setting.contacts(20).start().await;
        let ended = world.run(&note(r#"{ object: contacts, list: "45" }"#, "")).await;
        assert_eq!((ended.run.state, ended.printed.code), (RunState::Empty, 0), "{}", ended.printed.err);
        assert!(
            ended.printed.out.contains("the slice holds no record, so there was nothing to do"),
            "{}",
            ended.printed.out
        );
        assert!(world.control.ledger().is_empty());
    }

    async fn a_list_is_found_by_its_name(setting: Setting) {
        let world = setting.contacts(120).start().await;
        let ended = world.run(&note("{ object: contacts, list: First 100 contacts (snapshot) }", "")).await;
        ended.all(Outcome::Verified, 100);
        assert_eq!(world.control.writes_per_record("contacts").unwrap().len(), 100);
    }

    async fn twelve_thousand_matches_of_a_filter_are_pulled_completely(setting: Setting) {
        let mut setting = setting.contacts(12_000);
        setting.portal.limits = Limits { search_per_second: Some(5), ..Limits::unlimited() };
        let world = setting.start().await;
        let filter =
            "{ object: contacts, filter: [{ variable: lifecyclestage, operator: is, values: [lead] }] }";
        let ended = world.run(&note(filter, "verify: none")).await;
        assert_eq!(ended.run.state, RunState::Completed, "{}", ended.printed.err);
        assert_eq!((ended.count(Outcome::Written), ended.count(Outcome::Verified)), (11_995, 5));
        assert_eq!(ended.printed.code, 0);
        let report = world.control.report();
        assert_eq!((report.records_written, report.most_writes_of_one_property), (12_000, 1));
        assert_eq!(report.calls(Operation::Search).throttled, 0);
    }

    async fn a_plan_that_never_verified_runs_on_five_rows_and_after_that_on_all(setting: Setting) {
        let world = setting.contacts(60).start().await;
        let first = world.run_with(&note(EVERYBODY, ""), &[]).await;
        first.all(Outcome::Verified, 5);
        assert!(
            first.printed.err.contains(
                "this plan has never verified a row on main: it runs on 5 rows; --all runs it on all of them"
            ),
            "{}",
            first.printed.err
        );
        assert!(
            first.printed.out.contains("infill run PLAN --all runs it on the whole slice"),
            "{}",
            first.printed.out
        );
        let second = world.run_with(&note(EVERYBODY, ""), &[]).await;
        assert!(!second.printed.err.contains("has never verified"), "{}", second.printed.err);
        assert_eq!((second.count(Outcome::Unchanged), second.count(Outcome::Verified)), (5, 55));
        assert_eq!(world.control.report().records_written, 60);
    }

    async fn a_file_of_ids_is_worked_on_and_its_bad_lines_fail_alone(setting: Setting) {
        let world = setting.contacts(20).start().await;
        std::fs::write(world.dir().join("people.csv"), PEOPLE).unwrap();
        let ended = world.run(&stands("{ object: contacts, ids: people.csv }")).await;
        assert_eq!((ended.run.state, ended.printed.code), (RunState::Completed, 1), "{}", ended.printed.err);
        assert_eq!(ended.ids(Outcome::Verified), ["100003", "100001", "100002"]);
        assert_eq!(ended.ids(Outcome::Gone), ["9999999"]);
        assert_eq!(ended.ids(Outcome::Failed), ["line 5", "line 6", "line 9"]);
        // What the file has comes from the file, and the rest from the portal.
        for (record, stand, firstname) in [(100_003, "A \"1\"", "Zoë"), (100_001, "B,2", "José"), (100_002, "", "李")] {
            let lastname = world.control.value("contacts", record, "lastname").unwrap().unwrap_or_default();
            let said = world.control.value("contacts", record, NOTE).unwrap().unwrap_or_default();
            assert_eq!(said.trim(), format!("{stand} {firstname} {lastname}").trim());
            assert_ne!(world.control.value("contacts", record, "firstname").unwrap().unwrap_or_default(), firstname);
        }
        let letters = world.letters(&ended.run).await;
        let said: Vec<(&str, &str)> = letters
            .iter()
            .map(|letter| (letter.letter.cause.code.as_str(), letter.letter.cause.message.as_str()))
            .collect();
        for (code, part) in [
            ("broken_line", "line 5 of people.csv has 3 fields and the header 4"),
            ("no_record_id", "line 6 of people.csv has no record id"),
            ("malformed_record_id", "line 9 of people.csv has \"1E+05\", which is no id of contacts"),
        ] {
            let found = said.iter().find(|(known, _)| *known == code);
            assert!(found.is_some_and(|(_, message)| message.starts_with(part)), "{part} in {said:?}");
        }
        assert!(letters.iter().all(|letter| letter.status == LetterStatus::Open));
        for part in [
            "3 lines of people.csv cannot be used and fail: line 5 of people.csv",
            "1 line of people.csv names a record that an earlier line names, and the earlier one counts: line 7",
        ] {
            assert!(ended.printed.err.contains(part), "{part} in {}", ended.printed.err);
            assert!(ended.run.warnings.iter().any(|warning| warning.contains(part)), "{:?}", ended.run.warnings);
        }
        let again = world.run(&stands("{ object: contacts, ids: { file: people.csv, column: Record ID } }")).await;
        assert_eq!((again.count(Outcome::Unchanged), again.count(Outcome::Failed)), (3, 3));
        assert_eq!(world.control.report().records_written, 3);
    }

    async fn three_thousand_ids_of_a_file_are_worked_on_by_everybody(setting: Setting) {
        let world = setting.contacts(3_100).start().await;
        let mut file = String::from("Record ID,Stand\n");
        for record in (100_001..103_001).rev() {
            writeln!(file, "{record},S{record}").unwrap();
        }
        std::fs::write(world.dir().join("people.csv"), file).unwrap();
        let plan = stands("{ object: contacts, ids: people.csv }");
        world.run(&plan).await.all(Outcome::Verified, 3_000);
        let written: BTreeSet<u64> = world.control.writes_per_record("contacts").unwrap().into_keys().collect();
        assert_eq!(written, (100_001..103_001).collect());
        let said = world.control.value("contacts", 100_777, NOTE).unwrap().unwrap();
        assert!(said.starts_with("S100777 "), "{said}");
    }

    async fn ids_come_from_standard_input_too(setting: Setting) {
        let world = setting.contacts(20).start().await;
        let path = world.plan(&stands("{ object: contacts, ids: \"-\" }"));
        let input = world.dir().join("elsewhere.csv");
        std::fs::write(&input, "hs_object_id\tStand\n100002\tA\n100005\tB\n").unwrap();
        let fed = Stdio::from(std::fs::File::open(input).unwrap());
        let printed = world.infill_fed(&["run", path.to_str().unwrap(), "--all"], fed).await;
        assert_eq!(printed.code, 0, "{}", printed.err);
        let written = world.control.writes_per_record("contacts").unwrap();
        assert_eq!(written.into_keys().collect::<Vec<_>>(), [100_002, 100_005]);
        let nothing = world.infill(&["run", path.to_str().unwrap(), "--all"]).await;
        assert_eq!(nothing.code, 2, "{}", nothing.err);
        assert!(nothing.err.contains("standard input is empty"), "{}", nothing.err);
    }

    async fn a_file_that_cannot_be_taken_in_starts_nothing(setting: Setting) {
        let world = setting.contacts(20).start().await;
        let open_quote = format!("Record ID,Stand\n100001,A\n100002,\"{}\n", "x".repeat(2 << 20));
        for (name, text, said) in [
            ("none.csv", "Name,Stand\nAna,A\n", "none.csv has no column with one of the headers \"Record ID\""),
            ("two.csv", "Record ID,id\n1,2\n", "two.csv has several columns that may hold record ids"),
            ("open.csv", &open_quote, "open.csv has a record longer than 1 MiB, which begins on line 3"),
            ("bad.csv", "Record ID,Stand\nx,A\n", "bad.csv has no line that can be used: line 2 of bad.csv"),
            ("", "", "missing.csv"),
        ] {
            if !name.is_empty() {
                std::fs::write(world.dir().join(name), text).unwrap();
            }
            let name = if name.is_empty() { "missing.csv" } else { name };
            let path = world.plan(&stands(&format!("{{ object: contacts, ids: {name} }}")));
            let printed = world.infill(&["run", path.to_str().unwrap(), "--all"]).await;
            assert_eq!(printed.code, 2, "{name}: {}", printed.err);
            assert!(printed.err.contains(said), "{said} in {}", printed.err);
        }
        let path = world.plan(&stands("{ object: contacts, ids: none.csv }"));
        let checked = world.infill(&["check", path.to_str().unwrap()]).await;
        assert_eq!(checked.code, 2, "{}", checked.err);
        assert!(checked.err.contains(":4:34: source.ids: none.csv has no column"), "{}", checked.err);
        assert!(world.store.runs(&RunFilter::default()).await.unwrap().is_empty());
        assert!(world.control.ledger().is_empty());
    }

    async fn a_sample_is_the_same_each_time(setting: Setting) {
        let world = setting.contacts(400).start().await;
        let sampled = note(r#"{ object: contacts, list: "42", sample: 40 }"#, "");
        let ended = world.run(&sampled).await;
        ended.all(Outcome::Verified, 40);
        assert!(ended.printed.err.contains("sample      40 of 400 records"), "{}", ended.printed.err);
        world.run(&sampled).await.all(Outcome::Unchanged, 40);
        world.run_with(&sampled, &["--limit", "7"]).await.all(Outcome::Unchanged, 7);
        let file: String = (100_001..100_401).fold("id\n".to_owned(), |file, record| format!("{file}{record}\n"));
        std::fs::write(world.dir().join("people.csv"), file + "not one\n").unwrap();
        let same = note("{ object: contacts, ids: people.csv, sample: 40 }", "");
        world.run(&same).await.all(Outcome::Unchanged, 40);
        assert_eq!(world.control.report().records_written, 40);
    }

    async fn a_cap_is_kept_and_said(setting: Setting) {
        let world = setting.contacts(60).start().await;
        let capped = note(r#"{ object: contacts, list: "42", max_count: 30 }"#, "");
        let ended = world.run(&capped).await;
        ended.all(Outcome::Verified, 30);
        assert!(
            ended.printed.err.contains("warning: capped at 30 of 60 records; the other 30 are not touched"),
            "{}",
            ended.printed.err
        );
        let limited = world.run_with(&capped, &["--limit", "40"]).await;
        limited.all(Outcome::Unchanged, 30);
        let limited = world.run_with(&capped, &["--limit", "7"]).await;
        limited.all(Outcome::Unchanged, 7);
        assert_eq!(world.control.report().records_written, 30);
    }
}

/// A file of every record of a vendor's, with one text that the vendor has too and a line that names no record.
async fn a_file_names_records_of<T: Tenant>(pair: Pair, header: &str, spelt: impl Fn(&str) -> &str) {
    let world: World<T> = Setting::of(pair, T::with_records(30)).start().await;
    let recipe = world.control.recipe();
    let (first, second) = (recipe.inputs[0], recipe.inputs[1]);
    let mut file = format!("{header};{first}\n");
    for record in world.control.records() {
        writeln!(file, "{};From the file", spelt(&record)).unwrap();
    }
    std::fs::write(world.dir().join("people.csv"), file + "nonsense;x\n").unwrap();
    let object = recipe.everybody.split([',', '}']).next().unwrap();
    let plan = recipe.plan("").replacen(recipe.everybody, &format!("{object}, ids: people.csv }}"), 1);
    let ended = world.run(&plan).await;
    assert_eq!(
        (ended.count(Outcome::Verified), ended.count(Outcome::Failed)),
        (30, 1),
        "{}",
        ended.printed.err
    );
    assert_eq!(ended.ids(Outcome::Failed), ["line 32"]);
    for record in world.control.records() {
        let said = world.control.stored(&record, &recipe.target);
        let other = world.control.stored(&record, second);
        assert!(said.starts_with("Hello From the file of ") && said.ends_with(&other), "{record}: {said}");
    }
}

mod a_file_names_records_of_salesforce {
    use super::*;

    /// As reports have them.
    fn short(id: &str) -> &str {
        id.get(..15).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn embedded() {
        a_file_names_records_of::<infill_sim::salesforce::Control>(Pair::Embedded, "Id", short).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn distributed() {
        a_file_names_records_of::<infill_sim::salesforce::Control>(Pair::Distributed, "Id", short).await;
    }
}

mod a_file_names_records_of_pipedrive {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn embedded() {
        a_file_names_records_of::<infill_sim::pipedrive::Control>(Pair::Embedded, "ID", |id| id).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn distributed() {
        a_file_names_records_of::<infill_sim::pipedrive::Control>(Pair::Distributed, "ID", |id| id).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_half_taken_in_is_no_run_and_is_forgotten() {
    let world = Setting::new(Pair::Embedded).contacts(20).start().await;
    let long_ago = RunId::new(infill_model::Timestamp::from_second(1_700_000_000).unwrap(), [1; 10]);
    let line = infill_model::slice::Supplied {
        record: "100001".into(),
        line: 2,
        inputs: infill_model::Properties::new(),
        fault: None,
    };
    world.store.supply(long_ago, &[line]).await.unwrap();
    std::fs::write(world.dir().join("people.csv"), "id\n100002\n").unwrap();
    world.run(&note("{ object: contacts, ids: people.csv }", "")).await.all(Outcome::Verified, 1);
    assert!(world.store.supplied(long_ago, SuppliedPlace::default(), 10).await.unwrap().is_empty());
    assert_eq!(world.store.runs(&RunFilter::default()).await.unwrap().len(), 1);
}
