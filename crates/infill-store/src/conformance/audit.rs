//! The audit: who did what, and when.

use infill_model::{RunState, Timestamp};

use super::World;
use super::values::{at, at_once, cause, count_true, new_run, plan, run_id};
use crate::audit::{Act, AuditFilter, NewAuditEntry};
use crate::schedule::{ScheduleKey, ScheduleStep, ScheduledStart};
use crate::store::NewRun;

fn entry(second: i64, by: &str, act: Act) -> NewAuditEntry {
    NewAuditEntry::new(at(second), by.into(), act)
}

impl World {
    async fn audited(&self, filter: &AuditFilter) -> Vec<NewAuditEntry> {
        let found = self.store.audited(filter, None, 100).await.unwrap();
        found.into_iter().map(|found| found.entry).collect()
    }

    async fn acts(&self, filter: &AuditFilter) -> Vec<Act> {
        self.audited(filter).await.into_iter().map(|entry| entry.act).collect()
    }
}

pub(super) async fn entries_are_read_back_newest_first(world: &World) {
    let mut expected: Vec<NewAuditEntry> =
        (0..).zip(Act::ALL).map(|(second, act)| entry(second, "ann@desk", act)).collect();
    for entry in &expected {
        world.store.audit(entry).await.unwrap();
    }
    let whole = NewAuditEntry {
        run: Some(run_id(1)),
        ..NewAuditEntry::of_plan(at(50), "Zoë".into(), Act::LettersDiscarded, &plan("Notes"))
    };
    world.store.audit(&whole.clone().with("12 letters: \"no\0\"")).await.unwrap();
    let found = world.audited(&AuditFilter::default()).await;
    assert_eq!(found[0], whole.with("12 letters: \"no\u{fffd}\""), "no engine needs to keep a NUL");
    expected.reverse();
    assert_eq!(found[1..], expected);
}

pub(super) async fn entries_are_filtered_and_paged(world: &World) {
    let store = &world.store;
    for second in 0..6 {
        let by = if second % 2 == 0 { "ann@desk" } else { "ben@desk" };
        let run = (second < 3).then(|| run_id(1));
        store.audit(&NewAuditEntry { run, ..entry(second, by, Act::RunTakenUp) }).await.unwrap();
    }
    let moments = async |filter: AuditFilter| {
        world.audited(&filter).await.into_iter().map(|entry| entry.at).collect::<Vec<Timestamp>>()
    };
    let none = AuditFilter::default();
    assert_eq!(moments(AuditFilter { run: Some(run_id(1)), ..none.clone() }).await, [at(2), at(1), at(0)]);
    assert_eq!(
        moments(AuditFilter { by: Some("ben@desk".into()), ..none.clone() }).await,
        [at(5), at(3), at(1)]
    );
    assert_eq!(moments(AuditFilter { since: Some(at(4)), ..none.clone() }).await, [at(5), at(4)]);
    let both = AuditFilter { run: Some(run_id(1)), by: Some("ben@desk".into()), since: Some(at(1)) };
    assert_eq!(moments(both).await, [at(1)]);

    let page = store.audited(&none, None, 4).await.unwrap();
    assert_eq!(page.len(), 4);
    let rest = store.audited(&none, Some(page[3].id), 4).await.unwrap();
    assert_eq!(rest.iter().map(|found| found.entry.at).collect::<Vec<_>>(), [at(1), at(0)]);
}

pub(super) async fn a_start_is_recorded_with_its_run_and_once(world: &World) {
    let store = &world.store;
    for _ in 0..2 {
        store.create_run(&new_run(1)).await.unwrap();
    }
    let key = ScheduleKey::of(&plan("Notes"));
    let start =
        ScheduledStart { due: at(100), run: NewRun { by: "infill".into(), ..new_run(2) }, warnings: vec![] };
    let step = ScheduleStep {
        revision: 0,
        next_start: at(200),
        waiting: None,
        missed: 0,
        skipped: 0,
        start: Some(start),
    };
    store.save_schedule(&plan("Notes"), at(100)).await.unwrap();
    assert!(!store.step_schedule(&key, &step).await.unwrap(), "a run of the plan goes on");
    let found = world.audited(&AuditFilter::default()).await;
    let started = NewAuditEntry {
        run: Some(run_id(1)),
        ..NewAuditEntry::of_plan(at(1), "ann@desk".into(), Act::RunStarted, &plan("Notes"))
    };
    assert_eq!(found, [started.with("at most 5 rows")]);

    store.move_run(run_id(1), &[RunState::SourceSync], RunState::Empty, None, at(150)).await.unwrap();
    assert!(store.step_schedule(&key, &step).await.unwrap());
    let by_schedule = AuditFilter { by: Some("infill".into()), ..AuditFilter::default() };
    let found = world.audited(&by_schedule).await;
    assert_eq!((found.len(), found[0].run, found[0].act), (1, Some(run_id(2)), Act::RunStarted));
}

pub(super) async fn an_undo_is_recorded_with_both_runs(world: &World) {
    let mut undo = new_run(2);
    undo.plan.source.undoes = Some(run_id(1));
    world.store.create_run(&undo).await.unwrap();
    let of = |number| AuditFilter { run: Some(run_id(number)), ..AuditFilter::default() };
    assert_eq!(world.acts(&of(1)).await, [Act::RunUndone]);
    assert_eq!(world.acts(&of(2)).await, [Act::RunStarted]);
    assert!(world.audited(&of(2)).await[0].detail.contains(&run_id(1).to_string()));
}

pub(super) async fn a_move_is_recorded_if_the_run_moved(world: &World) {
    let store = &world.store;
    store.create_run(&new_run(1)).await.unwrap();
    let run = store.run(run_id(1)).await.unwrap().unwrap();
    let moved = at_once(4, async |_| {
        let entry = NewAuditEntry::of_run(at(9), "ben@desk".into(), Act::RunCancelled, &run);
        let from = [RunState::SourceSync];
        store
            .move_run_by(&entry, run.id, &from, RunState::Cancelled, Some(&cause("cancelled")))
            .await
            .unwrap()
    })
    .await;
    assert_eq!(count_true(&moved), 1, "{moved:?}");
    assert_eq!(world.acts(&AuditFilter::default()).await, [Act::RunCancelled, Act::RunStarted]);
    let stored = store.run(run_id(1)).await.unwrap().unwrap();
    assert_eq!((stored.state, stored.ended_at), (RunState::Cancelled, Some(at(9))));
}
