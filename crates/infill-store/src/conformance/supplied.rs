//! Taking in a file of record ids before its run is recorded.

use infill_model::slice::{Readiness, ResolvedSlice, Supplied, SuppliedPlace};
use serde_json::json;

use super::World;
use super::values::{at, at_once, cause, new_run, run_id};
use crate::store::NewRun;

fn line(line: u64, record: &str) -> Supplied {
    let inputs = [("firstname".into(), json!("O'Brien \"Zoë\" 李\n\u{0}"))].into();
    Supplied { record: record.into(), line, inputs, fault: None }
}

fn faulty(line: u64) -> Supplied {
    Supplied {
        record: Supplied::name_of(line),
        line,
        inputs: infill_model::Properties::new(),
        fault: Some(cause("no_record_id")),
    }
}

pub(super) async fn lines_are_listed_in_their_order_the_faulty_last(world: &World) {
    let (store, run) = (&world.store, run_id(1));
    let part = [line(2, "70"), faulty(3), line(4, "9"), line(12, "8"), faulty(13)];
    assert!(store.supply(run, &part).await.unwrap().is_empty());
    store.supply(run_id(2), &[line(2, "another run's")]).await.unwrap();
    let in_order = [2, 4, 12, 3, 13].map(|no| part.iter().find(|line| line.line == no).unwrap().clone());
    assert_eq!(store.supplied(run, SuppliedPlace::default(), 10).await.unwrap(), in_order);
    // Page by page it is the same.
    let mut paged = Vec::new();
    while let Ok(page) =
        store.supplied(run, paged.last().map_or_else(SuppliedPlace::default, Supplied::place), 2).await
        && !page.is_empty()
    {
        assert!(page.len() <= 2);
        paged.extend(page);
    }
    assert_eq!(paged, in_order);
    let mut some = store.supplied_for(run, &["9".into(), "line 13".into(), "nobody".into()]).await.unwrap();
    some.sort_by_key(|line| line.line);
    assert_eq!(some, [part[2].clone(), part[4].clone()]);
}

pub(super) async fn a_record_named_twice_is_kept_once_and_told(world: &World) {
    let (store, run) = (&world.store, run_id(1));
    let first = [line(2, "7"), line(3, "8"), line(4, "7")];
    assert_eq!(store.supply(run, &first).await.unwrap(), [4]);
    // The same part again, as after a lost answer.
    assert_eq!(store.supply(run, &first).await.unwrap(), [4]);
    assert_eq!(store.supply(run, &[line(5, "9"), line(6, "8"), line(9, "7")]).await.unwrap(), [6, 9]);
    let kept = store.supplied(run, SuppliedPlace::default(), 10).await.unwrap();
    assert_eq!(kept.iter().map(|line| line.line).collect::<Vec<_>>(), [2, 3, 5]);
    let taken = at_once(3, async |_| store.supply(run, &[line(10, "10")]).await.unwrap()).await;
    assert!(taken.iter().all(Vec::is_empty));
}

pub(super) async fn what_no_run_came_for_is_forgotten_and_nothing_else(world: &World) {
    let store = &world.store;
    for number in 1..=3 {
        store.supply(run_id(number), &[line(2, "7"), line(3, "8")]).await.unwrap();
    }
    let slice = ResolvedSlice {
        object: "contacts".into(),
        label: "ids of people.csv".into(),
        size: Some(2),
        readiness: Readiness::Ready,
        handle: "{}".into(),
    };
    store.create_run(&NewRun { slice: Some(slice.clone()), ..new_run(2) }).await.unwrap();
    assert_eq!(store.run(run_id(2)).await.unwrap().unwrap().slice, Some(slice));
    // Runs 1 and 2 are older than the moment, and run 2 is there.
    assert_eq!(store.forget_supplied(at(3)).await.unwrap(), 2);
    assert_eq!(store.forget_supplied(at(3)).await.unwrap(), 0);
    for (number, n_lines) in [(1, 0), (2, 2), (3, 2)] {
        let left = store.supplied(run_id(number), SuppliedPlace::default(), 10).await.unwrap();
        assert_eq!(left.len(), n_lines, "run {number}");
    }
}
