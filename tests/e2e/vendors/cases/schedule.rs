//! Plans that start by themselves. A start is made due by setting it into the past; the schedules of these plans come once in four
//! years, so that nothing else starts.

use infill_model::{Clock as _, Outcome, RunState};
use infill_testkit::SystemClock;

use super::{N_ROWS, usual};
use crate::schedules::leap_days;
use crate::vendors::Tenant;
use crate::world::{Pair, World};

/// The plan of most cases, as the recipe names it.
const PLAN: &str = "Greeting";

impl<T: Tenant> World<T> {
    /// The plan of most cases on leap days, with this rule for overlaps.
    fn scheduled(&self, if_running: &str) -> String {
        let everybody = self.control.recipe().everybody;
        let source = everybody.replace(" }", &format!(", schedule: {} }}", leap_days(if_running)));
        self.greeting("").replace(everybody, &source)
    }

    /// The account answers nothing between a pull and its first write, from the next run on: that run goes on until the fault is
    /// lifted.
    fn hold_up(&self) {
        self.set_faults(T::UNANSWERED_WHILE_CONFIGURED);
    }
}

/// The first takes five rows, because the plan never verified one; the second all.
pub(crate) async fn of_two_planners_one_starts_the_run<T: Tenant>(pair: Pair) {
    let mut world = usual::<T>(pair).await;
    world.keep_schedules();
    world.spawn("planner");
    let said = world.add_schedule(&world.scheduled("wait")).await;
    assert!(said.contains("-02-29 06:00 Europe/Berlin"), "{said}");

    world.make_due(PLAN, SystemClock.now()).await;
    let first = world.until_runs(1).await;
    assert_eq!((first.state, first.progress.rows), (RunState::Completed, 5), "{}", world.logs());
    assert!(
        first.warnings.iter().any(|warning| warning.contains("capped at 5 rows")),
        "{:?}",
        first.warnings
    );

    world.make_due(PLAN, SystemClock.now()).await;
    let second = world.until_runs(2).await;
    let settled = (second.progress.rows, second.progress.counts.of(Outcome::Verified));
    assert_eq!(settled, (N_ROWS as u64, N_ROWS as u64 - 5), "{}", world.logs());
    assert!(second.warnings.is_empty(), "{:?}", second.warnings);
    assert_eq!(world.runs().await.len(), 2);
    world.check_no_second_write();

    let listed = world.infill(&["schedules"]).await.out;
    assert!(listed.contains("completed") && listed.contains("Europe/Berlin"), "{listed}");
}

pub(crate) async fn a_start_waits_for_a_run_in_progress<T: Tenant>(pair: Pair) {
    let mut world = usual::<T>(pair).await;
    world.keep_schedules();
    let plan = world.scheduled("wait");
    world.add_schedule(&plan).await;
    world.hold_up();
    let by_hand = world.record(&plan, &["--all"]).await;
    world.make_due(PLAN, SystemClock.now()).await;
    let waits = world.until_schedule(PLAN, "a start waits", |stored| stored.waiting.is_some()).await;
    assert_eq!((waits.running, waits.skipped), (Some(by_hand), 0));
    let listed = world.infill(&["schedules"]).await.out;
    assert!(listed.contains("when run"), "{listed}");
    assert_eq!(world.runs().await.len(), 1);

    world.set_faults("");
    let last = world.until_runs(2).await;
    let by_hand = world.find(by_hand).await;
    assert!(by_hand.ended_at.unwrap() <= last.created_at, "{by_hand:?} {last:?}");
    assert_eq!(world.schedule(PLAN).await.last_run, Some(last.id));
}

pub(crate) async fn a_start_is_skipped_while_a_run_goes_on<T: Tenant>(pair: Pair) {
    let mut world = usual::<T>(pair).await;
    world.keep_schedules();
    let plan = world.scheduled("skip");
    world.add_schedule(&plan).await;
    world.hold_up();
    world.record(&plan, &["--all"]).await;
    world.make_due(PLAN, SystemClock.now()).await;
    let skipped = world.until_schedule(PLAN, "a start is skipped", |stored| stored.skipped > 0).await;
    assert!(skipped.waiting.is_none() && skipped.next_start > SystemClock.now(), "{skipped:?}");
    world.set_faults("");
    world.until_runs(1).await;

    // The next start finds nothing in its way, and the skipped one was not kept for it.
    world.make_due(PLAN, SystemClock.now()).await;
    world.until_runs(2).await;
    assert_eq!((world.runs().await.len(), world.schedule(PLAN).await.skipped), (2, 1));
}

pub(crate) async fn missed_starts_are_told<T: Tenant>(pair: Pair) {
    let mut world = usual::<T>(pair).await;
    world.add_schedule(&world.scheduled("wait")).await;
    world.make_due(PLAN, "2016-02-29T05:00:00Z".parse().unwrap()).await;
    world.keep_schedules();
    let run = world.until_runs(1).await;
    let told = run.warnings.join("\n");
    let stored = world.schedule(PLAN).await;
    assert!(stored.missed >= 2, "{stored:?}");
    assert!(told.contains(&format!("{} earlier starts were missed", stored.missed)), "{told}");
    assert!(told.contains("-02-29 06:00 Europe/Berlin is late"), "{told}");
    let listed = world.infill(&["schedules", "--format", "json"]).await.out;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed[0]["missed"], stored.missed);
    assert_eq!(world.runs().await.len(), 1, "they became one run");
}
