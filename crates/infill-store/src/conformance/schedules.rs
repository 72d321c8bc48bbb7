//! Schedules: kept as told, and every start decided once.

use infill_model::plan::Plan;
use infill_model::{RunState, Timestamp};

use super::World;
use super::values::{at, at_once, count_true, new_run, plan, run_id};
use crate::schedule::{ScheduleKey, ScheduleStep, ScheduledStart, StoredSchedule};
use crate::store::NewRun;

fn key() -> ScheduleKey {
    ScheduleKey { plan_name: "Notes".to_owned(), connection: "main".into() }
}

fn on(connection: &str) -> Plan {
    Plan { connection: connection.into(), ..plan("Notes") }
}

/// A start at second 100, recorded as the run of this number.
fn start(revision: u64, number: u8) -> ScheduleStep {
    let warnings = vec!["2 starts were missed".to_owned()];
    let start = ScheduledStart { due: at(100), run: new_run(number), warnings };
    ScheduleStep { missed: 2, skipped: 1, start: Some(start), ..stand_still(revision) }
}

/// The next start moves on, and nothing else happens.
fn stand_still(revision: u64) -> ScheduleStep {
    ScheduleStep { revision, next_start: at(200), waiting: None, missed: 0, skipped: 0, start: None }
}

impl World {
    async fn schedule(&self) -> StoredSchedule {
        let all = self.store.schedules(None).await.unwrap();
        all.into_iter().find(|schedule| schedule.key() == key()).unwrap()
    }
}

pub(super) async fn a_schedule_is_read_back_as_saved(world: &World) {
    let store = &world.store;
    for connection in ["other", "main"] {
        store.save_schedule(&on(connection), at(100)).await.unwrap();
    }
    let all = store.schedules(None).await.unwrap();
    let connections: Vec<&str> = all.iter().map(|schedule| schedule.plan.connection.as_str()).collect();
    assert_eq!(connections, ["main", "other"]);
    let found = &all[0];
    assert_eq!((&found.plan, found.next_start), (&plan("Notes"), at(100)));
    assert_eq!((found.waiting, found.paused_at, found.last_start), (None, None, None));
    assert_eq!((found.last_run, found.running), (None, None));
    assert_eq!((found.missed, found.missed_untold, found.skipped), (0, 0, 0));

    let never: Timestamp = "9999-01-01T00:00:00Z".parse().unwrap();
    store.save_schedule(&plan("Notes"), never).await.unwrap();
    let again = world.schedule().await;
    assert!(again.revision > found.revision);
    assert_eq!(again.next_start, never, "the calendar may end");
}

pub(super) async fn a_start_records_its_run_and_what_it_tells(world: &World) {
    let store = &world.store;
    store.save_schedule(&plan("Notes"), at(100)).await.unwrap();
    let missed = ScheduleStep { missed: 3, waiting: Some(at(90)), ..stand_still(0) };
    assert!(store.step_schedule(&key(), &missed).await.unwrap());
    let waits = world.schedule().await;
    assert_eq!((waits.missed, waits.missed_untold, waits.waiting), (3, 3, Some(at(90))));

    assert!(store.step_schedule(&key(), &start(waits.revision, 1)).await.unwrap());
    let started = world.schedule().await;
    assert_eq!((started.missed, started.missed_untold, started.skipped), (5, 0, 1));
    assert_eq!((started.waiting, started.next_start, started.last_start), (None, at(200), Some(at(100))));
    assert_eq!((started.last_run, started.running), (Some(run_id(1)), Some(run_id(1))));
    let run = store.run(run_id(1)).await.unwrap().unwrap();
    assert_eq!((run.state, run.warnings), (RunState::SourceSync, vec!["2 starts were missed".to_owned()]));
    assert_eq!(store.stale_work(None, at(300), 10).await.unwrap().len(), 1, "it waits to be published");
}

pub(super) async fn of_many_planners_one_starts_the_run(world: &World) {
    world.store.save_schedule(&plan("Notes"), at(100)).await.unwrap();
    let started = at_once(6, async |n| {
        let number = u8::try_from(n).unwrap() + 1;
        world.store.step_schedule(&key(), &start(0, number)).await.unwrap()
    })
    .await;
    assert_eq!(count_true(&started), 1, "{started:?}");
    let runs = world.store.runs(&crate::store::RunFilter::default()).await.unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!(world.schedule().await.last_run, Some(runs[0].id));
}

pub(super) async fn nothing_starts_beside_a_run_of_the_plan(world: &World) {
    let store = &world.store;
    store.save_schedule(&plan("Notes"), at(100)).await.unwrap();
    // Neither another connection's run nor another plan's stands in the way.
    store.create_run(&NewRun { plan: on("other"), ..new_run(7) }).await.unwrap();
    store.create_run(&NewRun { plan: plan("Others"), ..new_run(8) }).await.unwrap();
    assert_eq!(world.schedule().await.running, None);

    store.create_run(&new_run(1)).await.unwrap();
    assert_eq!(world.schedule().await.running, Some(run_id(1)));
    assert!(!store.step_schedule(&key(), &start(0, 2)).await.unwrap());
    assert!(store.run(run_id(2)).await.unwrap().is_none());
    assert_eq!(world.schedule().await.missed, 0, "nothing of the step was kept");

    store.move_run(run_id(1), &[RunState::SourceSync], RunState::Empty, None, at(150)).await.unwrap();
    assert!(store.step_schedule(&key(), &start(0, 2)).await.unwrap());
    assert!(store.run(run_id(2)).await.unwrap().is_some());
}

pub(super) async fn only_what_may_be_due_is_listed_to_planners(world: &World) {
    let store = &world.store;
    let due = async |second| store.schedules(Some(at(second))).await.unwrap().len();
    store.save_schedule(&plan("Notes"), at(100)).await.unwrap();
    assert_eq!((due(99).await, due(100).await), (0, 1));
    let waits = ScheduleStep { waiting: Some(at(100)), ..stand_still(0) };
    assert!(store.step_schedule(&key(), &waits).await.unwrap());
    assert_eq!(due(101).await, 1, "a start waits");
    assert!(store.pause_schedule(&key(), at(101)).await.unwrap());
    assert_eq!((due(500).await, store.schedules(None).await.unwrap().len()), (0, 1));
}

pub(super) async fn a_paused_schedule_starts_nothing_until_it_is_resumed(world: &World) {
    let store = &world.store;
    assert!(!store.pause_schedule(&key(), at(90)).await.unwrap(), "it is not there");
    store.save_schedule(&plan("Notes"), at(100)).await.unwrap();
    assert!(!store.resume_schedule(&key(), at(300)).await.unwrap(), "it is not paused");
    assert!(store.pause_schedule(&key(), at(90)).await.unwrap());
    assert!(store.pause_schedule(&key(), at(95)).await.unwrap());
    let paused = world.schedule().await;
    assert_eq!(paused.paused_at, Some(at(90)), "since the first time");
    assert!(!store.step_schedule(&key(), &start(paused.revision, 1)).await.unwrap());
    store.save_schedule(&plan("Notes"), at(110)).await.unwrap();
    assert_eq!(world.schedule().await.paused_at, Some(at(90)), "a new plan does not end the pause");

    assert!(store.resume_schedule(&key(), at(300)).await.unwrap());
    let resumed = world.schedule().await;
    assert_eq!((resumed.paused_at, resumed.next_start, resumed.waiting), (None, at(300), None));
    assert!(store.step_schedule(&key(), &start(resumed.revision, 1)).await.unwrap());
}

pub(super) async fn a_removed_schedule_leaves_its_runs(world: &World) {
    let store = &world.store;
    store.save_schedule(&plan("Notes"), at(100)).await.unwrap();
    assert!(store.step_schedule(&key(), &start(0, 1)).await.unwrap());
    assert!(store.remove_schedule(&key()).await.unwrap());
    assert!(!store.remove_schedule(&key()).await.unwrap());
    assert!(store.schedules(None).await.unwrap().is_empty());
    assert!(store.run(run_id(1)).await.unwrap().is_some());
    assert!(!store.step_schedule(&key(), &start(1, 2)).await.unwrap(), "nothing starts any more");
}
