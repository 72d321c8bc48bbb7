//! What runs of one plan remember: beside the shared cases, what only a portal's lists, files and schedules show.

use infill_model::seen::MemoryKey;
use infill_model::{Clock as _, Outcome, RunState};
use infill_testkit::SystemClock;

use crate::both_engines;
use crate::plans::{NOTE, note};
use crate::world::{Ended, Pair, World};

const NEW: &str = r#"{ object: contacts, list: "42", only: new }"#;
const CHANGED: &str = r#"{ object: contacts, list: "42", only: changed }"#;

/// The run ended without a row, and well.
#[track_caller]
fn check_nothing_new(ended: &Ended) {
    assert_eq!((ended.run.state, ended.printed.code), (RunState::Empty, 0), "{}", ended.printed.err);
    assert!(ended.printed.out.contains("warning: nothing new: "), "{}", ended.printed.out);
}

impl World {
    /// How many records are remembered, by the name of a plan.
    async fn n_seen(&self, plan_name: &str) -> u64 {
        let memories = self.store.memories(plan_name).await.expect("the store answers");
        memories.iter().map(|(_, n_records)| n_records).sum()
    }
}

both_engines! {
    async fn rows_that_did_not_go_well_come_again(setting: Setting) {
        let world = setting.contacts(20).start().await;
        let held = |portal: &infill_sim::hubspot::Control| {
            portal.edit("contacts", 100_012, NOTE, "Somebody's").unwrap();
            portal.archive("contacts", 100_013).unwrap();
        };
        let plan = note(NEW, "  guard_older_than: 0");
        let ended = world.run_changed(&plan, held, "").await;
        assert_eq!((ended.records(Outcome::Held), ended.records(Outcome::Gone)), (vec![100_012], vec![100_013]));
        assert_eq!(world.n_seen("Note").await, 18);
        let ended = world.run(&plan).await;
        assert_eq!(ended.records(Outcome::Verified), [100_012]);
        check_nothing_new(&world.run(&plan).await);
    }

    async fn a_cancelled_run_leaves_what_it_did_not_reach(setting: Setting) {
        let mut setting = setting.contacts(305);
        setting.env.push(("INFILL_WORKER_BATCHES_IN_FLIGHT".to_owned(), "1".to_owned()));
        let world = setting.faults("delay,ms=1500,op=batch-update,after=1").start().await;
        let path = world.plan(&note(NEW, ""));
        let args = ["run", path.to_str().unwrap(), "--all"];
        let cancelling = async {
            world.until("the canary held", |run| run.progress.counts.total() >= 5).await;
            world.infill(&["cancel", "latest"]).await
        };
        tokio::join!(world.infill(&args), cancelling);
        let cancelled = world.latest().await;
        assert_eq!(cancelled.state, RunState::Cancelled);
        world.set_faults("");
        let n_verified = cancelled.progress.counts.verified;
        assert_eq!(world.n_seen("Note").await, n_verified);
        world.run(&note(NEW, "")).await.all(Outcome::Verified, 305 - n_verified);
        assert_eq!(world.control.report().most_writes_of_one_property, 1);
        check_nothing_new(&world.run(&note(NEW, "")).await);
    }

    async fn another_chain_or_another_plan_starts_afresh(setting: Setting) {
        let world = setting.contacts(12).start().await;
        world.run(&note(CHANGED, "")).await.all(Outcome::Verified, 12);
        world.run(&note(CHANGED, "canary: 3\nverify: none")).await.all(Outcome::Skipped, 12);
        let other_text = note(CHANGED, "").replace("Hello", "Good day");
        assert_ne!(other_text, note(CHANGED, ""));
        world.run(&other_text).await.all(Outcome::Verified, 12);
        let renamed = note(NEW, "").replace("name: Note", "name: Another note");
        world.run(&renamed).await.all(Outcome::Verified, 12);
        // Either word knows what the other has seen.
        check_nothing_new(&world.run(&note(NEW, "")).await);
    }

    async fn what_is_forgotten_is_new_again(setting: Setting) {
        let world = setting.contacts(12).start().await;
        world.run(&note(NEW, "")).await.all(Outcome::Verified, 12);
        let asked = world.infill(&["forget", "Note"]).await;
        assert_eq!(asked.code, 2, "{}", asked.err);
        assert!(asked.err.contains("12 records that \"Note\" has seen on main will be forgotten"), "{}", asked.err);
        assert_eq!(world.n_seen("Note").await, 12);
        let done = world.infill(&["forget", "Note", "--yes"]).await;
        assert!(done.out.contains("12 records are forgotten"), "{}", done.out);
        world.run(&note(NEW, "")).await.all(Outcome::Unchanged, 12);
        let nothing = world.infill(&["forget", "Nobody", "--yes"]).await;
        assert_eq!(nothing.code, 0, "{}", nothing.err);
        assert!(nothing.out.contains("nothing is remembered of records of a plan \"Nobody\""), "{}", nothing.out);
    }

    async fn a_file_that_grows_is_worked_on_where_it_grew(setting: Setting) {
        let world = setting.contacts(20).start().await;
        let people = world.dir().join("people.csv");
        let plan = note("{ object: contacts, ids: people.csv, only: new }", "");
        std::fs::write(&people, "id\n100001\n100002\n100003\n100004\n100005\n100006\n").unwrap();
        world.run(&plan).await.all(Outcome::Verified, 6);
        // The lines that cannot be used are no part of the canary, though few others are new.
        std::fs::write(&people, "id\n100001\nx\n100003\n100007\n100008\n100002\ny\n").unwrap();
        let ended = world.run(&plan).await;
        assert_eq!((ended.run.state, ended.printed.code), (RunState::Completed, 1), "{}", ended.printed.err);
        assert_eq!(ended.records(Outcome::Verified), [100_007, 100_008]);
        assert_eq!(ended.ids(Outcome::Failed), ["line 3", "line 8"]);
        assert_eq!(world.control.report().records_written, 8);
    }

    async fn an_input_of_a_file_that_changes_is_worked_on(setting: Setting) {
        let world = setting.contacts(20).start().await;
        let people = world.dir().join("people.csv");
        let plan = note("{ object: contacts, ids: people.csv, only: changed }", "");
        std::fs::write(&people, "id,firstname\n100001,Ada\n100002,Bo\n100003,Cy\n").unwrap();
        world.run(&plan).await.all(Outcome::Verified, 3);
        std::fs::write(&people, "id,firstname\n100001,Ada\n100002,Bob\n100003,Cy\n").unwrap();
        let ended = world.run(&plan).await;
        assert_eq!(ended.records(Outcome::Verified), [100_002]);
        assert_eq!(ended.count(Outcome::Skipped), 2);
    }

    async fn a_sample_is_drawn_from_the_new_records(setting: Setting) {
        let world = setting.contacts(50).start().await;
        let plan = note(r#"{ object: contacts, list: "42", sample: 20, only: new }"#, "");
        for n_new in [20, 20, 10] {
            world.run(&plan).await.all(Outcome::Verified, n_new);
        }
        check_nothing_new(&world.run(&plan).await);
        assert_eq!(world.control.report().most_writes_of_one_property, 1);
    }

    async fn the_changed_ones_are_the_canary(setting: Setting) {
        let world = setting.contacts(300).start().await;
        world.run(&note(CHANGED, "")).await.all(Outcome::Verified, 300);
        for record in [100_100, 100_200, 100_300] {
            world.control.edit("contacts", record, "firstname", "Changed").unwrap();
        }
        world.set_faults("bad-row,record=100200");
        let stopped = world.run(&note(CHANGED, "")).await;
        assert_eq!((stopped.run.state, stopped.printed.code), (RunState::Stopped, 3), "{}", stopped.printed.err);
        assert_eq!(stopped.records(Outcome::Verified), [100_100, 100_300]);
        world.set_faults("");
        let ended = world.run(&note(CHANGED, "")).await;
        assert_eq!(ended.records(Outcome::Verified), [100_200]);
        assert_eq!(ended.count(Outcome::Skipped), 299);
    }

    /// Each morning only what is new: five rows first, because the plan never verified one, then the rest, then nothing.
    async fn a_schedule_works_on_what_is_new(setting: Setting) {
        let mut world = setting.contacts(12).start().await;
        if world.pair == Pair::Embedded {
            world.spawn("planner");
        }
        let source = r#"{ object: contacts, list: "42", only: new, schedule: "0 6 29 2 *" }"#;
        let path = world.plan(&note(source, ""));
        let added = world.infill(&["schedules", "add", path.to_str().unwrap()]).await;
        assert_eq!(added.code, 0, "{}", added.err);
        for (n_runs, expected) in [(1, (RunState::Completed, 5)), (2, (RunState::Completed, 7)), (3, (RunState::Empty, 0))] {
            let all = world.store.schedules(None).await.unwrap();
            world.store.save_schedule(&all[0].plan, SystemClock.now()).await.unwrap();
            let run = world
                .wait_for("the scheduled run has ended", async || {
                    let mut runs = world.store.runs(&Default::default()).await.ok()?;
                    let is_done = runs.len() == n_runs && runs.iter().all(|run| run.state.is_final());
                    is_done.then(|| runs.swap_remove(0))
                })
                .await;
            assert_eq!((run.state, run.progress.counts.verified), expected, "{:?}", run.warnings);
        }
        assert_eq!(world.n_seen("Note").await, 12);
        let memories = world.store.memories("Note").await.unwrap();
        let key = MemoryKey { plan_name: "Note".to_owned(), connection: "main".into(), object: "contacts".into() };
        assert_eq!(memories, [(key, 12)]);
    }

    async fn a_dead_letter_tried_again_is_seen_when_it_goes_well(setting: Setting) {
        let world = setting.contacts(20).faults("bad-row,record=100015").start().await;
        let ended = world.run(&note(NEW, "")).await;
        assert_eq!(ended.records(Outcome::Failed), [100_015]);
        assert_eq!(world.n_seen("Note").await, 19);
        world.set_faults("");
        let retried = world.infill(&["dead-letters", "retry", "--run", "latest", "--yes"]).await;
        assert_eq!(retried.code, 0, "{}", retried.err);
        if world.pair == Pair::Embedded {
            world.infill(&["run", "--resume", "latest"]).await;
        }
        world.until("the row is verified", |run| run.progress.counts.verified == 20 && run.state.is_final()).await;
        check_nothing_new(&world.run(&note(NEW, "")).await);
    }
}
