//! Runs and connections that a person pauses or cancels on the way: what was sent is followed to its end, nothing else is begun,
//! nothing is lost.

use infill_model::{RunId, RunState};
use infill_sim::hubspot::Limits;
use infill_store::store::{BatchState, Run};

use crate::both_engines;
use crate::limits::check_no_limbo;
use crate::plans::{EVERYBODY, note, same_note};
use crate::world::{Pair, Setting, World};

/// A canary of 5 and ten batches.
const N_ROWS: usize = 1_005;

/// What list 44 holds: the first hundred contacts.
const FEW: &str = r#"{ object: contacts, list: "44" }"#;

/// Every batch takes a while, and four are in flight at once.
fn slowly(setting: Setting) -> Setting {
    let few = |name: &str, n: u32| (format!("INFILL_WORKER_{name}"), n.to_string());
    Setting {
        env: vec![few("CONCURRENCY", 2), few("BATCHES_IN_FLIGHT", 4)],
        ..setting.contacts(N_ROWS).faults("delay,ms=300,op=batch-update")
    }
}

impl World {
    /// Does what a person types, who must be answered so.
    async fn told(&self, args: &[&str], answer: &str) {
        let printed = self.infill(args).await;
        assert_eq!(printed.code, 0, "{args:?}: {}", printed.err);
        assert!(printed.out.contains(answer), "{args:?}: {}", printed.out);
    }

    /// On the embedded pair a process works on every run, as a crew does on the other.
    fn muster(&mut self) {
        if self.pair == Pair::Embedded {
            self.spawn("worker");
        }
    }

    /// Waits until batches of this run are written, and some are left.
    async fn until_under_way(&self, run: RunId) {
        self.wait_for(&format!("run {run} is under way"), async || {
            let progress = self.find(run).await.progress;
            (progress.batches_ran > 1 && progress.batches_ran < progress.batches).then_some(())
        })
        .await;
    }

    /// Waits until nothing of a run is in flight.
    async fn until_still(&self, run: RunId) -> Run {
        self.wait_for(&format!("run {run} stands still"), async || {
            let run = self.find(run).await;
            (run.progress.batches_in_flight == 0).then_some(run)
        })
        .await
    }
}

both_engines! {
    /// On the distributed pair the pause that one program types stops both workers.
    async fn a_paused_run_begins_nothing_more_on_any_worker_and_goes_on_when_it_is_resumed(setting: Setting) {
        let mut world = slowly(setting).start().await;
        let run = world.record(&note(EVERYBODY, ""), &["--all"]).await;
        world.muster();
        world.until_under_way(run).await;
        if world.pair == Pair::Distributed {
            for worker in [1, 2] {
                world.until_logged(worker, "stage=\"run\"").await;
            }
        }
        let id = run.to_string();
        world.told(&["pause", &id, "--as", "ann"], "is paused: batches in flight are finished or set aside").await;
        world.told(&["pause", &id], "is paused already, since ").await;
        let still = world.until_still(run).await;
        assert_eq!(still.state, RunState::Running);
        assert!(still.progress.batches_settled < still.progress.batches, "nothing was left to pause");
        check_no_limbo(&world, &still).await;
        world.told(&["show", &id], " by ann\n").await;
        world.told(&["runs"], "running, paused").await;

        // Everybody is at work on something else, and leaves it alone.
        let other = world.record(&same_note(FEW), &["--all"]).await;
        assert_eq!(world.until_final(other).await.progress.counts.verified, 100);
        assert_eq!(world.find(run).await.progress, still.progress);

        world.told(&["resume", &id], "goes on").await;
        world.until_final(run).await;
        let audit = world.infill(&["audit", "--run", &id]).await.out;
        let acts: Vec<&str> = ["run-resumed", "run-paused", "run-started"]
            .into_iter()
            .filter(|act| audit.matches(act).count() == 1)
            .collect();
        assert_eq!(acts.len(), 3, "{audit}");
        let ended = world.find(run).await;
        assert_eq!((ended.state, ended.progress.counts.total()), (RunState::Completed, N_ROWS as u64));
        assert!(world.letters(&ended).await.is_empty());
    }

    async fn a_paused_connection_pauses_its_runs_and_those_to_come(setting: Setting) {
        let mut world = slowly(setting).start().await;
        let large = world.record(&note(EVERYBODY, ""), &["--all"]).await;
        world.muster();
        world.until_under_way(large).await;
        let small = world.record(&note(FEW, ""), &["--all"]).await;
        world.told(&["pause", "--connection", "main"], "connection main is paused with ").await;
        world.told(&["connections", "list"], "since ").await;
        let still = world.until_still(large).await;
        check_no_limbo(&world, &still).await;
        let later = world.record(&note(FEW, ""), &["--all"]).await;
        world.told(&["show", &later.to_string()], "connection main, since ").await;
        world.told(&["resume", &later.to_string()], "is not paused by itself, but connection main is").await;
        world.until_still(small).await;
        assert_eq!(world.find(large).await.progress, still.progress);
        assert_eq!(world.find(later).await.progress.ids, 0, "it is not even listed");

        // The small one may have had all its batches in flight, and ended with them.
        world.told(&["resume", "--connection", "main"], "connection main goes on with ").await;
        for run in [large, small, later] {
            let ended = world.until_final(run).await;
            assert_eq!(ended.state, RunState::Completed);
            assert!(world.letters(&ended).await.is_empty());
        }
        world.check_no_second_value();
        world.told(&["resume", "--connection", "main"], "connection main is not paused").await;
    }

    /// The worker is killed while the answer to its write is out; whoever comes looks what became of the rows, and writes nothing.
    async fn a_kill_while_paused_leaves_nothing_in_limbo_and_nothing_is_written_until_it_is_resumed(setting: Setting) {
        let setting = slowly(Setting { workers: 0, ..setting });
        let mut world = setting.faults("delay,ms=600000,op=batch-update,after=3,count=1").start().await;
        let run = world.record(&note(EVERYBODY, ""), &["--all"]).await;
        let killed = world.take_up();
        world.until_struck("a batch is written").await;
        world.told(&["pause", "latest"], "is paused").await;
        world.kill(killed).await;
        world.set_faults("");
        let at_work = world.take_up();
        let still = world.until_still(run).await;
        check_no_limbo(&world, &still).await;
        assert!(still.is_paused() && still.progress.batches_settled < still.progress.batches);
        let n_updates = world.batch_updates();

        world.kill(at_work).await;
        let at_work = world.take_up();
        if world.pair == Pair::Embedded {
            world.until_logged(at_work, "`infill resume ").await;
        }
        assert_eq!(world.batch_updates(), n_updates, "something was written while it was paused");
        world.told(&["resume", "latest"], "goes on").await;
        world.until_whole(run, N_ROWS as u64).await;
        if world.pair == Pair::Embedded {
            assert_eq!(world.exit_code(at_work).await, 0, "{}", world.log(at_work));
        }
    }

    /// A worker has one batch in hand; three wait in the queue.
    async fn a_cancelled_run_begins_no_batch_that_is_still_in_the_queue(setting: Setting) {
        let mut setting = slowly(Setting { workers: 0, ..setting });
        setting.env.push(("INFILL_WORKER_CONCURRENCY".to_owned(), "1".to_owned()));
        let mut world = setting.faults("delay,ms=600000,op=batch-update,after=1,count=1").start().await;
        let run = world.record(&note(EVERYBODY, ""), &["--all"]).await;
        let killed = world.take_up();
        world.until_struck("a batch is written").await;
        world.told(&["cancel", "latest"], "nothing else is sent").await;
        world.told(&["cancel", "latest"], "is being cancelled already").await;
        world.kill(killed).await;
        world.set_faults("");
        world.take_up();
        let cancelled = world.until_final(run).await;
        assert_eq!((cancelled.state, cancelled.progress.counts.verified), (RunState::Cancelled, 105));
        check_no_limbo(&world, &cancelled).await;
        world.told(&["cancel", "latest"], "has ended already (cancelled)").await;
        world.told(&["audit", "--run", "latest"], "run-cancelled").await;
    }

    async fn what_waits_for_a_limit_is_set_aside_at_once_and_a_paused_run_can_be_cancelled(setting: Setting) {
        let mut setting = setting.contacts(505);
        setting.portal.limits = Limits { daily: Some(20), ..Limits::unlimited() };
        let mut world = setting.start().await;
        let run = world.record(&note(EVERYBODY, ""), &["--all"]).await;
        world.muster();
        world.until("the run waits for midnight", |run| run.parked.is_some()).await;
        world.told(&["pause", "latest"], "is paused").await;
        // What is written waits for midnight to be read back; what is not written waits for nothing.
        world
            .wait_for("unsent batches are set aside", async || {
                let batches = world.store.batches(run, None, u32::MAX).await.ok()?;
                batches.iter().all(|batch| batch.state != BatchState::Queued).then_some(())
            })
            .await;
        assert_eq!(world.find(run).await.state, RunState::Running);
        world.told(&["cancel", "latest"], "is being cancelled").await;
        let cancelled = world.until_final(run).await;
        assert_eq!(cancelled.state, RunState::Cancelled);
        check_no_limbo(&world, &cancelled).await;
        assert!(world.letters(&cancelled).await.is_empty());
    }
}
