//! Which records a run covers: lists that change, that are not ready, that are empty; filters with many matches; caps.

use infill_model::{Outcome, RunState};
use infill_sim::hubspot::{Limits, Operation};

use crate::both_engines;
use crate::plans::{EVERYBODY, note};

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
