//! Plans that start by themselves: looking after their schedules. What their starts do is among the cases of every vendor,
//! `vendors::cases::schedule`.

use infill_model::{Clock as _, Timestamp};
use infill_store::schedule::StoredSchedule;
use infill_store::store::{Run, RunFilter};
use infill_testkit::SystemClock;

use crate::both_engines;
use crate::plans::{note, same_note};
use crate::vendors::Tenant;
use crate::world::{Pair, World};

/// A schedule on leap days, with this rule for overlaps.
pub(crate) fn leap_days(if_running: &str) -> String {
    format!(r#"{{ cron: "0 6 29 2 *", time_zone: Europe/Berlin, if_running: {if_running} }}"#)
}

/// All contacts on leap days.
fn on_leap_days() -> String {
    format!(r#"{{ object: contacts, list: "42", schedule: {} }}"#, leap_days("wait"))
}

impl<T: Tenant> World<T> {
    /// Adds the schedule of a plan by the command.
    pub(crate) async fn add_schedule(&self, plan: &str) -> String {
        let path = self.plan(plan);
        let printed = self.infill(&["schedules", "add", path.to_str().expect("a path in UTF-8")]).await;
        assert_eq!(printed.code, 0, "{}", printed.err);
        printed.out
    }

    pub(crate) async fn schedule(&self, plan_name: &str) -> StoredSchedule {
        let all = self.store.schedules(None).await.expect("the store answers");
        all.into_iter().find(|stored| stored.plan.name == plan_name).expect("the plan is scheduled")
    }

    /// Makes a start of the plan due, as of a moment.
    pub(crate) async fn make_due(&self, plan_name: &str, at: Timestamp) {
        let plan = self.schedule(plan_name).await.plan;
        self.store.save_schedule(&plan, at).await.expect("the schedule is saved");
    }

    /// Somebody who keeps schedules and works on runs, where the world does not begin with one.
    pub(crate) fn keep_schedules(&mut self) {
        if self.pair == Pair::Embedded {
            self.spawn("planner");
        }
    }

    /// All runs, newest first.
    pub(crate) async fn runs(&self) -> Vec<Run> {
        self.store.runs(&RunFilter::default()).await.expect("the store answers")
    }

    /// Waits until there are so many runs and the newest has ended.
    pub(crate) async fn until_runs(&self, n_runs: usize) -> Run {
        let what = format!("{n_runs} runs have ended");
        self.wait_for(&what, async || {
            let mut runs = self.runs().await;
            let all_ended = runs.iter().all(|run| run.state.is_final());
            (all_ended && runs.len() >= n_runs).then(|| runs.swap_remove(0))
        })
        .await
    }

    /// Waits until the schedule fits.
    pub(crate) async fn until_schedule(
        &self,
        plan_name: &str,
        what: &str,
        fits: impl Fn(&StoredSchedule) -> bool,
    ) -> StoredSchedule {
        self.wait_for(what, async || Some(self.schedule(plan_name).await).filter(|stored| fits(stored))).await
    }
}

fn now() -> Timestamp {
    SystemClock.now()
}

both_engines! {
    /// What a planner did with the other plan shows that it looked at this one.
    async fn a_paused_schedule_starts_nothing(setting: Setting) {
        let mut world = setting.contacts(3).start().await;
        world.keep_schedules();
        world.add_schedule(&note(&on_leap_days(), "")).await;
        world.add_schedule(&same_note(&on_leap_days())).await;
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

    async fn a_run_by_hand_is_not_what_the_schedule_starts(setting: Setting) {
        let world = setting.contacts(3).start().await;
        let ended = world.run(&note(&on_leap_days(), "")).await;
        assert!(ended.printed.err.contains("infill schedules add"), "{}", ended.printed.err);
        assert!(world.store.schedules(None).await.unwrap().is_empty());

        let unscheduled = world.plan(&note(r#"{ object: contacts, list: "42" }"#, ""));
        let refused = world.infill(&["schedules", "add", unscheduled.to_str().unwrap()]).await;
        assert_eq!(refused.code, 2);
        assert!(refused.err.contains("has no schedule"), "{}", refused.err);
    }
}
