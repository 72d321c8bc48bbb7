//! Dead letters from the command line: found, looked at, tried again, given up.

use infill_model::{Outcome, RunState};
use infill_store::store::{Letter, LetterStatus};
use serde_json::Value;

use crate::both_engines;
use crate::plans::{EVERYBODY, NOTE, note};
use crate::world::World;

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
            "tries        1",
        ] {
            assert!(shown.out.contains(part), "{part} in {}", shown.out);
        }

        let unasked = world.infill(&["dead-letters", "retry", "--run", "latest"]).await;
        assert_eq!(unasked.code, 2);
        assert!(unasked.err.contains("2 open dead letters are meant"), "{}", unasked.err);
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
        let retried = world.infill(&["dead-letters", "retry", "--code", "INVALID_OPTION", "--yes"]).await;
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
        let discarded = world.infill(&["dead-letters", "discard", &id, "--yes"]).await;
        assert!(discarded.out.contains("1 discarded; their rows stay failed"), "{}", discarded.out);
        let again = world.infill(&["dead-letters", "retry", &id, "--yes"]).await;
        assert_eq!(again.code, 0);
        assert!(again.out.contains("no open dead letter is meant; nothing to retry"), "{}", again.out);
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
}
