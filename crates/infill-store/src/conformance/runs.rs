//! Runs.

use infill_model::letter::RecordAddress;
use infill_model::plan::Verify;
use infill_model::run::Forecast;
use infill_model::slice::{Readiness, ResolvedSlice};
use infill_model::{BatchNo, CompiledRun, Outcome, RunState};

use super::World;
use super::values::{as_is, at, at_once, cause, count_true, new_run, plan, run_id};
use crate::Error;
use crate::store::{NewRun, Parked, RunFilter};

fn compiled(calls: u64) -> CompiledRun {
    CompiledRun {
        record_address: Some(RecordAddress::new("https://crm.example/{record}")),
        object: "contacts".into(),
        inputs: vec!["firstname".into()],
        targets: Vec::new(),
        actions: std::collections::BTreeMap::new(),
        guard_older_than_seconds: 30,
        time_zone: "Europe/Berlin".to_owned(),
        verify: Verify::All,
        forecast: Forecast { rows: 5, calls, units: calls, seconds: None, calls_left_today: None },
    }
}

pub(super) async fn a_run_is_read_back_as_recorded(world: &World) {
    let store = &world.store;
    assert!(store.run(run_id(1)).await.unwrap().is_none());
    store.create_run(&new_run(1)).await.unwrap();
    let slice = ResolvedSlice {
        object: "contacts".into(),
        label: "list \"News\u{0}letter\" (42)".to_owned(),
        size: Some(9),
        readiness: Readiness::Ready,
        handle: "42".to_owned(),
    };
    store.save_slice(run_id(1), &slice).await.unwrap();
    store.add_calls(run_id(1), 3).await.unwrap();
    store.add_calls(run_id(1), 4).await.unwrap();
    for _ in 0..2 {
        // The second time what never changes comes from memory.
        let run = store.run(run_id(1)).await.unwrap().unwrap();
        assert_eq!((run.id, &*run.plan), (run_id(1), &plan("Notes")));
        assert_eq!((run.state, run.cap, run.in_flight), (RunState::SourceSync, Some(5), 3));
        assert_eq!((run.created_at, run.ended_at), (at(1), None));
        assert_eq!((run.slice.as_ref(), run.progress.calls), (Some(&slice), 7));
        assert!(run.cause.is_none() && run.parked.is_none() && run.compiled.is_none());
        assert!(run.warnings.is_empty() && !run.listing.done);
    }
}

pub(super) async fn recording_a_run_again_changes_nothing(world: &World) {
    let store = &world.store;
    store.create_run(&new_run(1)).await.unwrap();
    store.add_calls(run_id(1), 3).await.unwrap();
    store.create_run(&NewRun { cap: None, ..new_run(1) }).await.unwrap();
    let run = store.run(run_id(1)).await.unwrap().unwrap();
    assert_eq!((run.cap, run.progress.calls), (Some(5), 3));
}

pub(super) async fn runs_are_listed_newest_first(world: &World) {
    let store = &world.store;
    for number in [2, 1, 3] {
        store
            .create_run(&NewRun { plan: plan(["A", "B"][usize::from(number) % 2]), ..new_run(number) })
            .await
            .unwrap();
    }
    store.move_run(run_id(3), &[RunState::SourceSync], RunState::Empty, None, at(9)).await.unwrap();
    let list = async |filter: RunFilter| {
        let runs = store.runs(&filter).await.unwrap();
        runs.into_iter().map(|run| run.id).collect::<Vec<_>>()
    };
    let all = RunFilter::default();
    assert_eq!(list(all.clone()).await, [3, 2, 1].map(run_id));
    assert_eq!(list(RunFilter { limit: 2, ..all.clone() }).await, [3, 2].map(run_id));
    assert_eq!(list(RunFilter { unfinished: true, ..all.clone() }).await, [2, 1].map(run_id));
    assert_eq!(list(RunFilter { plan_name: Some("B".to_owned()), ..all }).await, [3, 1].map(run_id));
}

pub(super) async fn a_run_moves_only_from_the_states_named(world: &World) {
    let store = &world.store;
    store.create_run(&new_run(1)).await.unwrap();
    let parked = Parked { until: at(99), why: "the list is still processing".to_owned() };
    store.park_run(run_id(1), Some(&parked)).await.unwrap();
    let from = [RunState::Canary, RunState::Running];
    assert!(!store.move_run(run_id(1), &from, RunState::Stopped, None, at(5)).await.unwrap());
    let run = store.run(run_id(1)).await.unwrap().unwrap();
    assert_eq!((run.state, run.parked), (RunState::SourceSync, Some(parked)));

    let from = [RunState::AwaitRows, RunState::SourceSync];
    assert!(store.move_run(run_id(1), &from, RunState::Stopped, Some(&cause("x")), at(5)).await.unwrap());
    let run = store.run(run_id(1)).await.unwrap().unwrap();
    assert_eq!((run.state, run.parked, run.cause), (RunState::Stopped, None, Some(cause("x"))));
    assert_eq!(run.ended_at, Some(at(5)));
    assert!(!store.move_run(run_id(1), &from, RunState::Stopped, None, at(6)).await.unwrap());
    assert_eq!(store.run(run_id(1)).await.unwrap().unwrap().ended_at, Some(at(5)));
}

pub(super) async fn of_many_movers_one_moves_the_run(world: &World) {
    let store = &world.store;
    store.create_run(&new_run(1)).await.unwrap();
    let from = [RunState::SourceSync];
    let moved = at_once(8, async |_| {
        store.move_run(run_id(1), &from, RunState::AwaitRows, None, at(5)).await.unwrap()
    });
    assert_eq!(count_true(&moved.await), 1);
}

pub(super) async fn a_park_is_kept_until_it_is_ended(world: &World) {
    let store = &world.store;
    store.create_run(&new_run(1)).await.unwrap();
    let parked = Parked { until: at(99), why: "the day's calls are spent".to_owned() };
    store.park_run(run_id(1), Some(&parked)).await.unwrap();
    assert_eq!(store.run(run_id(1)).await.unwrap().unwrap().parked, Some(parked));
    store.park_run(run_id(1), None).await.unwrap();
    assert_eq!(store.run(run_id(1)).await.unwrap().unwrap().parked, None);
}

pub(super) async fn a_warning_is_added_once(world: &World) {
    let store = &world.store;
    store.create_run(&new_run(1)).await.unwrap();
    at_once(6, async |n| {
        let warning = if n % 2 == 0 { "one \"1\"" } else { "two\0" };
        store.warn_run(run_id(1), warning).await.unwrap();
    })
    .await;
    let mut warnings = store.run(run_id(1)).await.unwrap().unwrap().warnings;
    warnings.sort();
    assert_eq!(warnings, ["one \"1\"", "two\0"]);
}

pub(super) async fn the_first_compiled_run_stays(world: &World) {
    let store = &world.store;
    store.create_run(&new_run(1)).await.unwrap();
    assert!(store.run(run_id(1)).await.unwrap().unwrap().compiled.is_none());
    store.save_compiled(run_id(1), &compiled(10)).await.unwrap();
    store.save_compiled(run_id(1), &compiled(20)).await.unwrap();
    for store in [store, &world.open(None).await.unwrap()] {
        for _ in 0..2 {
            let run = store.run(run_id(1)).await.unwrap().unwrap();
            assert_eq!(run.compiled.as_deref(), Some(&compiled(10)));
        }
    }
}

pub(super) async fn what_a_plan_verified_is_known_per_connection(world: &World) {
    let run = world.running(1, 2).await;
    let has =
        async |plan, connection: &str| world.store.has_verified(plan, &connection.into()).await.unwrap();
    world.settle(run, 0, &[Outcome::Unchanged, Outcome::Failed], &[]).await;
    assert!(!has("Notes", "main").await);
    world.settle(run, 1, &[Outcome::Verified, Outcome::Gone], &[]).await;
    assert!(has("Notes", "main").await);
    assert!(!has("Notes", "other").await && !has("Others", "main").await);
}

pub(super) async fn a_run_that_is_not_there_is_named(world: &World) {
    let store = &world.store;
    let run = run_id(9);
    let missing = [
        store.progress(run).await.map(|_| ()),
        store.move_run(run, &RunState::ALL, RunState::Running, None, at(1)).await.map(|_| ()),
        store.park_run(run, None).await,
        store.warn_run(run, "x").await,
        store.add_calls(run, 1).await,
        store.save_compiled(run, &compiled(1)).await,
        store.reopen(run, BatchNo(0), &[1], &as_is(1)).await.map(|_| ()),
    ];
    for answer in missing {
        assert!(matches!(answer, Err(Error::NoSuchRun(id)) if id == run), "{answer:?}");
    }
}
