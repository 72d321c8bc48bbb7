//! Dead letters from the command line: found, looked at, tried again, given up.

use infill_model::{Outcome, RunState};
use infill_store::store::{Letter, LetterStatus};
use serde_json::Value;

use crate::both_engines;
use crate::plans::{EVERYBODY, NOTE, note};
use crate::world::{Pair, World};

/// The records of letters with this status.
fn records(letters: &[Letter], status: LetterStatus) -> Vec<String> {
    let fitting = letters.iter().filter(|letter| letter.status == status);
    let mut records: Vec<String> = fitting.map(|letter| letter.letter.record.to_string()).collect();
    records.sort_unstable();
    records
}

/// Follows the latest run to its end, again.
async fn go_on(world: &World) -> i32 {
    let printed = world.infill(&["run", "--resume", "latest"]).await;
    assert!(world.latest().await.state.is_final(), "{}\n{}", printed.err, world.logs());
    printed.code
}

both_engines! {
    async fn a_dead_letter_is_listed_shown_and_tried_again_until_its_row_is_verified(setting: Setting) {
        let world = setting.contacts(105).faults("bad-row,record=100050|100060").start().await;
        let ended = world.run(&note(EVERYBODY, "")).await;
        assert_eq!((ended.records(Outcome::Failed), ended.printed.code), (vec![100_050, 100_060], 1));

        let causes = world.infill(&["dead-letters", "--format", "json"]).await;
        let causes: Value = serde_json::from_str(&causes.out).unwrap();
        assert_eq!((causes.as_array().map(Vec::len), &causes[0]["letters"]), (Some(1), &2.into()), "{causes}");
        assert_eq!(causes[0]["property"], NOTE);
        let cause = causes[0]["cause_id"].as_str().unwrap();
        let url = causes[0]["example_url"].as_str().unwrap();
        assert!(url.starts_with("https://") && url.ends_with("/record/0-1/100060"), "{url}");
        let grouped = world.infill(&["dead-letters"]).await;
        for part in [cause, "  2 letters  INVALID_OPTION", "<value> was not one of the allowed options", url] {
            assert!(grouped.out.contains(part), "{part} in {}", grouped.out);
        }

        let listed = world.infill(&["dead-letters", "list", "--run", "latest"]).await;
        for part in ["100050", "100060", "INVALID_OPTION", "was not one of the allowed options", "open"] {
            assert!(listed.out.contains(part), "{part} in {}", listed.out);
        }
        let listed =
            world.infill(&["dead-letters", "list", "--code", "INVALID_OPTION", "--format", "json"]).await;
        let letters: Value = serde_json::from_str(&listed.out).unwrap();
        assert_eq!(letters.as_array().map(Vec::len), Some(2), "{letters}");
        let id = letters[0]["id"].to_string();
        let shown = world.infill(&["dead-letters", "show", &id]).await;
        for part in [
            &format!("letter       {id} (open)"),
            "100050",
            "INVALID_OPTION",
            NOTE,
            "(empty) → Hello ",
            "plan         Note on main",
            "/record/0-1/100050",
            "request      POST /crm/",
            "{\"id\":\"100050\",\"objectWriteTraceId\":\"100050\",\"properties\":{",
            "answer       200 {\"category\":\"VALIDATION_ERROR\"",
            "history      ",
            "tries        1",
        ] {
            assert!(shown.out.contains(part), "{part} in {}", shown.out);
        }

        let unasked = world.infill(&["dead-letters", "retry", "--run", "latest"]).await;
        assert_eq!(unasked.code, 2);
        assert!(unasked.err.contains("2 open dead letters of 1 run are meant"), "{}", unasked.err);
        assert!(unasked.err.contains("add --yes"), "{}", unasked.err);
        assert_eq!(
            records(&world.letters(&ended.run).await, LetterStatus::Open).len(),
            2,
            "nothing was done unasked"
        );

        // Tried again too early: it fails once more, and is the same letter.
        let retried = world.infill(&["dead-letters", "retry", &id, "--yes"]).await;
        assert!(retried.out.contains("1 rows of 1 run are open again"), "{}", retried.out);
        assert_eq!(go_on(&world).await, 1);
        let letters = world.letters(&ended.run).await;
        assert_eq!(records(&letters, LetterStatus::Open), ["100050", "100060"]);
        assert_eq!(letters.iter().map(|letter| letter.attempts).sum::<u32>(), 3);

        world.set_faults("");
        let shown = world.infill(&["dead-letters", "show", &id]).await;
        assert_eq!(shown.out.matches("  failed: HubSpot: ").count(), 2, "{}", shown.out);
        assert!(shown.out.contains("  retried by "), "{}", shown.out);
        let retried = world.infill(&["dead-letters", "retry", "--cause", cause, "--yes"]).await;
        assert!(retried.out.contains("2 rows of 1 run are open again"), "{}", retried.out);
        assert_eq!(go_on(&world).await, 0);
        let run = world.latest().await;
        assert_eq!(
            (run.state, run.progress.counts.verified, run.progress.counts.failed),
            (RunState::Completed, 105, 0)
        );
        assert_eq!(records(&world.letters(&run).await, LetterStatus::Retried), ["100050", "100060"]);
        assert_eq!(
            world.control.report().most_writes_of_one_property,
            1,
            "good rows of the batch were left alone"
        );
    }

    async fn a_dead_letter_that_is_given_up_is_never_tried_again(setting: Setting) {
        let world = setting.contacts(20).faults("bad-row,record=100010|100011").start().await;
        let ended = world.run(&note(EVERYBODY, "")).await;
        let letters = world.letters(&ended.run).await;
        let id = letters[0].id.to_string();
        let discarded = world.infill(&["dead-letters", "discard", &id, "--why", "left the company", "--yes"]).await;
        assert!(discarded.out.contains("1 discarded; their rows stay failed"), "{}", discarded.out);
        let again = world.infill(&["dead-letters", "retry", &id, "--yes"]).await;
        assert_eq!(again.code, 0);
        assert!(again.out.contains("no open dead letter is meant"), "{}", again.out);
        let shown = world.infill(&["dead-letters", "show", &id]).await;
        assert!(shown.out.contains(": left the company"), "{}", shown.out);
        let letters = world.letters(&ended.run).await;
        assert_eq!(records(&letters, LetterStatus::Discarded).len(), 1);
        assert_eq!(records(&letters, LetterStatus::Open).len(), 1);
        let run = world.latest().await;
        assert_eq!((run.state, run.progress.counts.failed), (RunState::Completed, 2));
        let unknown = world.infill(&["dead-letters", "show", "999"]).await;
        assert_eq!(unknown.code, 2);
        assert!(unknown.err.contains("no dead letter 999"), "{}", unknown.err);
    }

    async fn rows_of_a_failed_canary_are_tried_again_alone_and_the_rest_follows_when_they_hold(
        setting: Setting,
    ) {
        let world = setting.contacts(205).faults("bad-row,record=100003").start().await;
        let ended = world.run(&note(EVERYBODY, "")).await;
        assert_eq!(ended.run.state, RunState::Stopped);
        let retry = ["dead-letters", "retry", "--run", "latest", "--yes"];
        world.infill(&retry).await;
        assert_eq!(go_on(&world).await, 3, "it is refused again");
        assert_eq!(world.control.report().records_written, 4, "the rest was not touched");
        world.set_faults("");
        world.infill(&retry).await;
        assert_eq!(go_on(&world).await, 0);
        assert_eq!(world.latest().await.progress.counts.verified, 205);
    }

    async fn a_dead_letter_is_tried_again_with_another_value(setting: Setting) {
        let world = setting.contacts(30).start().await;
        let plan = "{name: Stage, connection: main, source: {object: contacts, list: \"42\"}, inputs: [firstname], \
                    canary: 0, writeback: {properties: [{name: lifecyclestage, value: \"{{input.firstname}}\"}]}}";
        let ended = world.run(plan).await;
        assert_eq!(ended.count(Outcome::Failed), 30, "{}", ended.printed.err);
        let again = ["dead-letters", "retry", "--run", "latest", "--yes", "--set"];
        for (set, said) in [
            ("phone=1", "does not write \"phone\"; it writes lifecyclestage"),
            ("lifecyclestage=laed", "--set lifecyclestage: "),
        ] {
            let refused = world.infill(&[&again[..], &[set]].concat()).await;
            assert_eq!(refused.code, 2);
            assert!(refused.err.contains(said), "{}", refused.err);
        }
        assert_eq!(records(&world.letters(&ended.run).await, LetterStatus::Open).len(), 30, "nothing was done");
        let set = world.infill(&[&again[..], &["lifecyclestage=customer"]].concat()).await;
        assert!(set.out.contains("30 rows of 1 run are open again"), "{}{}", set.out, set.err);
        assert_eq!(go_on(&world).await, 0);
        let run = world.latest().await;
        assert_eq!((run.progress.counts.verified, run.progress.counts.failed), (30, 0));
        assert!(world.rows(&run).await.iter().all(|(_, result)| result.wanted["lifecyclestage"] == "customer"));
        assert_eq!(world.control.report().most_writes_of_one_property, 1);
    }

    async fn a_thousand_dead_letters_are_tried_again_while_the_crm_throttles(setting: Setting) {
        const ROWS: u64 = 1_000;
        let mut setting = setting.contacts(1_000);
        // One second, in place of the ten that a refusal means by itself.
        setting.portal.switches.retry_after = true;
        let world = setting.faults("bad-row,answer=partial").start().await;
        let ended = world.run(&note(EVERYBODY, "canary: 0")).await;
        assert_eq!(ended.count(Outcome::Failed), ROWS, "{}", ended.printed.err);
        world.set_faults("429,policy=secondly,op=batch-update,after=1,count=6");
        let retried = world.infill(&["dead-letters", "retry", "--all", "--yes"]).await;
        assert!(retried.out.contains("1,000 rows of 1 run are open again"), "{}", retried.out);
        // Elsewhere the workers are at it already, and whoever takes the run up breaks their leases.
        if world.pair == Pair::Embedded {
            assert_eq!(go_on(&world).await, 0);
        }
        let run = world.until("the run has ended again", |run| run.state.is_final()).await;
        assert_eq!((run.progress.counts.verified, run.progress.counts.failed), (ROWS, 0));
        let letters = world.letters(&run).await;
        assert_eq!(records(&letters, LetterStatus::Retried).len(), 1_000);
        assert!(letters.iter().all(|letter| letter.attempts == 1), "waiting cost no attempt");
        let report = world.control.report();
        assert_eq!((report.total_throttled(), report.most_writes_of_one_property), (6, 1));
    }

    async fn dead_letters_are_tried_again_by_a_changed_plan(setting: Setting) {
        let plan = |value: &str| {
            format!(
                "{{name: Stage, connection: main, source: {{object: contacts, list: \"42\"}}, inputs: [firstname], canary: 0, \
                 writeback: {{properties: [{{name: lifecyclestage, value: \"{value}\"}}]}}}}"
            )
        };
        let world = setting.contacts(30).start().await;
        let first = world.run(&plan("{{input.firstname}}")).await;
        assert_eq!(first.count(Outcome::Failed), 30, "{}", first.printed.err);

        world.set_faults("bad-row,record=100007");
        let changed = world.plan(&plan("customer"));
        let changed = changed.to_str().unwrap();
        let retried = world.infill(&["dead-letters", "retry", "--run", "latest", "--with-plan", changed, "--yes"]).await;
        assert_eq!(retried.code, 1, "{}", retried.err);
        assert!(retried.err.contains("takes up    30 letters"), "{}", retried.err);
        let run = world.latest().await;
        assert_ne!(run.id, first.run.id);
        assert_eq!((run.progress.counts.verified, run.progress.counts.failed), (29, 1));
        assert_eq!(records(&world.letters(&first.run).await, LetterStatus::Retried).len(), 30);

        // The one that fails again has a letter of its own, with all that happened before.
        let letter = world.letters(&run).await.remove(0);
        let shown = world.infill(&["dead-letters", "show", &letter.id.to_string()]).await;
        for part in ["(open)", "letter 7 failed: ", &format!(" in run {}", run.id)] {
            assert!(shown.out.contains(part), "{part} in {}", shown.out);
        }
    }
}
