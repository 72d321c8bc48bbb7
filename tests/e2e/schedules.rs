//! Plans that start by themselves. A start is made due by setting it into the past; the schedules of these plans come once in four
//! years, so that nothing else starts.

use infill_model::{Clock as _, Outcome, RunState, Timestamp};
use infill_store::schedule::StoredSchedule;
use infill_store::store::{Run, RunFilter};
use infill_testkit::SystemClock;

use crate::both_engines;
use crate::plans::{note, same_note};
use crate::world::{Pair, World};

/// All contacts, on leap days, with this rule for overlaps.
fn leap_days(if_running: &str) -> String {
    format!(
        r#"{{ object: contacts, list: "42", schedule: {{ cron: "0 6 29 2 *", time_zone: Europe/Berlin, if_running: {if_running} }} }}"#
    )
}

/// Writes fail until the faults are lifted, so the run goes on until then.
const NO_WRITES: &str = "503,op=batch-update";

impl World {
    /// Adds the schedule of a plan by the command.
    async fn add_schedule(&self, plan: &str) -> String {
        let path = self.plan(plan);
        let printed = self.infill(&["schedules", "add", path.to_str().expect("a path in UTF-8")]).await;
        assert_eq!(printed.code, 0, "{}", printed.err);
        printed.out
    }

    async fn schedule(&self, plan_name: &str) -> StoredSchedule {
        let all = self.store.schedules(None).await.expect("the store answers");
        all.into_iter().find(|stored| stored.plan.name == plan_name).expect("the plan is scheduled")
    }

    /// Makes a start of the plan due, as of a moment.
    async fn make_due(&self, plan_name: &str, at: Timestamp) {
        let plan = self.schedule(plan_name).await.plan;
        self.store.save_schedule(&plan, at).await.expect("the schedule is saved");
    }

    /// Somebody who keeps schedules and works on runs, where the world does not begin with one.
    fn keep_schedules(&mut self) {
        if self.pair == Pair::Embedded {
            self.spawn("planner");
        }
    }

    /// All runs, newest first.
    async fn runs(&self) -> Vec<Run> {
        self.store.runs(&RunFilter::default()).await.expect("the store answers")
    }

    /// Waits until there are so many runs and the newest has ended.
    async fn until_runs(&self, n_runs: usize) -> Run {
        let what = format!("{n_runs} runs have ended");
        self.wait_for(&what, async || {
            let mut runs = self.runs().await;
            let all_ended = runs.iter().all(|run| run.state.is_final());
            (all_ended && runs.len() >= n_runs).then(|| runs.swap_remove(0))
        })
        .await
    }

    /// Waits until the schedule fits.
    async fn until_schedule(&self, what: &str, fits: impl Fn(&StoredSchedule) -> bool) -> StoredSchedule {
        self.wait_for(what, async || Some(self.schedule("Note").await).filter(|stored| fits(stored))).await
    }
}

fn now() -> Timestamp {
    SystemClock.now()
}

both_engines! {
    /// The first takes five rows, because the plan never verified one; the second all.
    async fn of_two_planners_one_starts_the_run(setting: Setting) {
        let mut world = setting.contacts(12).start().await;
        world.keep_schedules();
        world.spawn("planner");
        let said = world.add_schedule(&note(&leap_days("wait"), "")).await;
        assert!(said.contains("-02-29 06:00 Europe/Berlin"), "{said}");

        world.make_due("Note", now()).await;
        let first = world.until_runs(1).await;
        assert_eq!((first.state, first.progress.rows), (RunState::Completed, 5), "{}", world.logs());
        assert!(first.warnings.iter().any(|warning| warning.contains("capped at 5 rows")), "{:?}", first.warnings);

        world.make_due("Note", now()).await;
        let second = world.until_runs(2).await;
        assert_eq!((second.progress.rows, second.progress.counts.of(Outcome::Verified)), (12, 7), "{}", world.logs());
        assert!(second.warnings.is_empty(), "{:?}", second.warnings);
        assert_eq!(world.runs().await.len(), 2);

        let listed = world.infill(&["schedules"]).await.out;
        assert!(listed.contains("completed") && listed.contains("Europe/Berlin"), "{listed}");
    }

    async fn a_start_waits_for_a_run_in_progress(setting: Setting) {
        let mut world = setting.contacts(3).faults(NO_WRITES).start().await;
        world.keep_schedules();
        let plan = note(&leap_days("wait"), "");
        world.add_schedule(&plan).await;
        let by_hand = world.record(&plan, &["--all"]).await;
        world.make_due("Note", now()).await;
        let waits = world.until_schedule("a start waits", |stored| stored.waiting.is_some()).await;
        assert_eq!((waits.running, waits.skipped), (Some(by_hand), 0));
        let listed = world.infill(&["schedules"]).await.out;
        assert!(listed.contains("when run"), "{listed}");
        assert_eq!(world.runs().await.len(), 1);

        world.set_faults("");
        let last = world.until_runs(2).await;
        let by_hand = world.find(by_hand).await;
        assert!(by_hand.ended_at.unwrap() <= last.created_at, "{by_hand:?} {last:?}");
        assert_eq!(world.schedule("Note").await.last_run, Some(last.id));
    }

    async fn a_start_is_skipped_while_a_run_goes_on(setting: Setting) {
        let mut world = setting.contacts(3).faults(NO_WRITES).start().await;
        world.keep_schedules();
        let plan = note(&leap_days("skip"), "");
        world.add_schedule(&plan).await;
        world.record(&plan, &["--all"]).await;
        world.make_due("Note", now()).await;
        let skipped = world.until_schedule("a start is skipped", |stored| stored.skipped > 0).await;
        assert!(skipped.waiting.is_none() && skipped.next_start > now(), "{skipped:?}");
        world.set_faults("");
        world.until_runs(1).await;

        // The next start finds nothing in its way, and the skipped one was not kept for it.
        world.make_due("Note", now()).await;
        world.until_runs(2).await;
        assert_eq!((world.runs().await.len(), world.schedule("Note").await.skipped), (2, 1));
    }

    /// What a planner did with the other plan shows that it looked at this one.
    async fn a_paused_schedule_starts_nothing(setting: Setting) {
        let mut world = setting.contacts(3).start().await;
        world.keep_schedules();
        world.add_schedule(&note(&leap_days("wait"), "")).await;
        world.add_schedule(&same_note(&leap_days("wait"))).await;
        let paused = world.infill(&["schedules", "pause", "Note"]).await;
        assert_eq!(paused.code, 0, "{}", paused.err);
        world.make_due("Note", now()).await;
        world.make_due("Same note", now()).await;
        let other = world.until_runs(1).await;
        assert_eq!(other.plan.name, "Same note");
        assert!(world.infill(&["schedules"]).await.out.contains("paused"));

        let resumed = world.infill(&["schedules", "resume", "Note"]).await;
        assert!(resumed.out.contains("-02-29 06:00 Europe/Berlin"), "{}", resumed.out);
        world.make_due("Same note", now()).await;
        world.until_runs(2).await;
        assert!(world.runs().await.iter().all(|run| run.plan.name == "Same note"), "what passed is forgotten");
        let removed = world.infill(&["schedules", "remove", "Note"]).await;
        assert_eq!((removed.code, world.infill(&["schedules", "remove", "Note"]).await.code), (0, 2));
    }

    async fn missed_starts_are_told(setting: Setting) {
        let mut world = setting.contacts(3).start().await;
        world.add_schedule(&note(&leap_days("wait"), "")).await;
        world.make_due("Note", "2016-02-29T05:00:00Z".parse().unwrap()).await;
        world.keep_schedules();
        let run = world.until_runs(1).await;
        let told = run.warnings.join("\n");
        let stored = world.schedule("Note").await;
        assert!(stored.missed >= 2, "{stored:?}");
        assert!(told.contains(&format!("{} earlier starts were missed", stored.missed)), "{told}");
        assert!(told.contains("-02-29 06:00 Europe/Berlin is late"), "{told}");
        let listed = world.infill(&["schedules", "--format", "json"]).await.out;
        let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
        assert_eq!(listed[0]["missed"], stored.missed);
        assert_eq!(world.runs().await.len(), 1, "they became one run");
    }

    async fn a_run_by_hand_is_not_what_the_schedule_starts(setting: Setting) {
        let world = setting.contacts(3).start().await;
        let ended = world.run(&note(&leap_days("wait"), "")).await;
        assert!(ended.printed.err.contains("infill schedules add"), "{}", ended.printed.err);
        assert!(world.store.schedules(None).await.unwrap().is_empty());

        let unscheduled = world.plan(&note(r#"{ object: contacts, list: "42" }"#, ""));
        let refused = world.infill(&["schedules", "add", unscheduled.to_str().unwrap()]).await;
        assert_eq!(refused.code, 2);
        assert!(refused.err.contains("has no schedule"), "{}", refused.err);
    }
}
