//! A planner with a clock of the test's own, over a real store; nobody works on the runs.

use std::sync::{Arc, Mutex};

use infill_broker::embedded::Embedded;
use infill_model::{Clock, Plan, RunState};
use infill_store::audit::{Act, AuditFilter};
use infill_store::store::{Run, RunFilter};
use infill_store::{Sqlite, Store};
use infill_telemetry::{Heartbeat, Metrics};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::Settings;

#[derive(Debug)]
struct Manual(Mutex<Timestamp>);

impl Clock for Manual {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

struct World {
    clock: Arc<Manual>,
    store: Arc<dyn Store>,
    planner: Planner,
    _folder: TempDir,
}

/// On a day in 2026, UTC.
fn at(time: &str) -> Timestamp {
    format!("2026-09-01T{time}:00Z").parse().unwrap()
}

/// Starts at every full hour.
fn plan(if_running: &str) -> Plan {
    serde_json::from_value(json!({
        "name": "Notes",
        "connection": "main",
        "source": { "object": "contacts", "list": "42", "max_count": 900,
                    "schedule": { "cron": "0 * * * *", "if_running": if_running } },
        "writeback": { "properties": [{ "name": "note", "value": "Hi" }] },
    }))
    .unwrap()
}

impl World {
    /// At 05:30, with a schedule whose next start is at 06:00.
    async fn new(if_running: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let clock = Arc::new(Manual(Mutex::new(at("05:30"))));
        let path = folder.path().join("infill.db");
        let store: Arc<dyn Store> = Arc::new(Sqlite::open(path, None, clock.clone()).await.unwrap());
        store.save_schedule(&plan(if_running), at("06:00")).await.unwrap();
        let planner = Self::planner(&store, &clock);
        Self { clock, store, planner, _folder: folder }
    }

    fn planner(store: &Arc<dyn Store>, clock: &Arc<Manual>) -> Planner {
        Planner::new(
            Arc::clone(store),
            Arc::new(Embedded::new()),
            clock.clone(),
            Metrics::new(),
            Heartbeat::new(),
            Settings::default(),
        )
    }

    /// A round at this time.
    async fn round(&self, time: &str) {
        *self.clock.0.lock().unwrap() = at(time);
        self.planner.round(None).await.unwrap();
    }

    /// All runs, newest first.
    async fn runs(&self) -> Vec<Run> {
        self.store.runs(&RunFilter::default()).await.unwrap()
    }

    async fn schedule(&self) -> StoredSchedule {
        self.store.schedules(None).await.unwrap().remove(0)
    }

    /// Ends the run that goes on.
    async fn end(&self) {
        let run = self.schedule().await.running.unwrap();
        let from = [RunState::SourceSync];
        assert!(self.store.move_run(run, &from, RunState::Completed, None, self.clock.now()).await.unwrap());
    }
}

#[tokio::test]
async fn a_start_that_is_due_is_recorded_and_published_once() {
    let world = World::new("wait").await;
    world.round("05:59").await;
    assert!(world.runs().await.is_empty());
    assert_eq!(world.planner.keep_schedules(at("06:00")).await.unwrap(), 1);
    assert_eq!(world.planner.keep_schedules(at("06:00")).await.unwrap(), 0);
    world.round("06:00").await;
    let runs = world.runs().await;
    assert_eq!((runs.len(), runs[0].created_at), (1, at("06:00")));
    assert!(world.store.stale_work(None, at("06:00"), 9).await.unwrap().is_empty(), "its message is out");
    let schedule = world.schedule().await;
    assert_eq!((schedule.next_start, schedule.last_start), (at("07:00"), Some(at("06:00"))));
    assert_eq!(schedule.last_run, Some(runs[0].id));
    let by_itself = AuditFilter { by: Some(Actor::program()), ..AuditFilter::default() };
    let audit = world.store.audited(&by_itself, None, 9).await.unwrap();
    assert_eq!(audit.len(), 1, "{audit:?}");
    assert_eq!((audit[0].entry.act, audit[0].entry.run), (Act::RunStarted, Some(runs[0].id)));
}

#[tokio::test]
async fn of_two_planners_one_starts_it() {
    let world = World::new("wait").await;
    let other = World::planner(&world.store, &world.clock);
    let now = at("06:00");
    let (left, right) = tokio::join!(world.planner.keep_schedules(now), other.keep_schedules(now));
    assert_eq!(left.unwrap() + right.unwrap(), 1);
    assert_eq!(world.runs().await.len(), 1);
}

#[tokio::test]
async fn a_planner_of_one_run_leaves_schedules_alone() {
    let world = World::new("wait").await;
    *world.clock.0.lock().unwrap() = at("06:00");
    world.planner.round(Some(RunId::new(at("06:00"), [0; 10]))).await.unwrap();
    assert!(world.runs().await.is_empty());
}

#[tokio::test]
async fn a_start_waits_until_the_run_in_progress_has_ended() {
    let world = World::new("wait").await;
    world.round("06:00").await;
    world.round("07:00").await;
    world.round("08:00").await;
    assert_eq!(world.runs().await.len(), 1);
    let waits = world.schedule().await;
    assert_eq!((waits.waiting, waits.skipped, waits.next_start), (Some(at("08:00")), 1, at("09:00")));
    world.end().await;
    world.round("08:20").await;
    let runs = world.runs().await;
    assert_eq!(runs.len(), 2);
    assert!(!runs[0].warnings.iter().any(|warning| warning.contains("late")), "{:?}", runs[0].warnings);
    let started = world.schedule().await;
    assert_eq!((started.waiting, started.last_start), (None, Some(at("08:00"))));
}

#[tokio::test]
async fn a_start_is_skipped_while_a_run_goes_on() {
    let world = World::new("skip").await;
    world.round("06:00").await;
    world.round("07:00").await;
    world.end().await;
    world.round("07:30").await;
    assert_eq!(world.runs().await.len(), 1);
    let schedule = world.schedule().await;
    assert_eq!((schedule.skipped, schedule.waiting, schedule.next_start), (1, None, at("08:00")));
}

#[tokio::test]
async fn missed_starts_become_one_late_run_that_tells_of_them() {
    let world = World::new("wait").await;
    world.round("09:20").await;
    let runs = world.runs().await;
    assert_eq!(runs.len(), 1);
    let told = runs[0].warnings.join("\n");
    assert!(told.contains("3 earlier starts were missed"), "{told}");
    assert!(told.contains("the start of 2026-09-01 09:00 UTC is late"), "{told}");
    let schedule = world.schedule().await;
    assert_eq!((schedule.missed, schedule.missed_untold, schedule.next_start), (3, 0, at("10:00")));
}

#[tokio::test]
async fn starts_missed_before_one_that_waits_are_told_by_the_run_that_comes() {
    let world = World::new("wait").await;
    world.round("06:00").await;
    world.round("09:20").await;
    world.end().await;
    world.round("09:30").await;
    let told = world.runs().await[0].warnings.join("\n");
    assert!(told.contains("2 earlier starts were missed"), "{told}");
}

#[tokio::test]
async fn a_paused_schedule_starts_nothing() {
    let world = World::new("wait").await;
    let key = world.schedule().await.key();
    assert!(world.store.pause_schedule(&key, at("05:40")).await.unwrap());
    world.round("07:30").await;
    assert!(world.runs().await.is_empty());
    assert!(world.store.resume_schedule(&key, at("08:00")).await.unwrap());
    world.round("07:31").await;
    assert!(world.runs().await.is_empty(), "what passed meanwhile is forgotten");
    world.round("08:00").await;
    assert_eq!(world.runs().await.len(), 1);
}

#[tokio::test]
async fn a_plan_that_never_verified_a_row_is_capped_and_says_so() {
    let world = World::new("wait").await;
    world.round("06:00").await;
    let run = world.runs().await.remove(0);
    assert_eq!(run.cap, Some(5));
    assert!(run.warnings[0].contains("capped at 5 rows"), "{:?}", run.warnings);
}
