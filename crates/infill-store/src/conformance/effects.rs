//! What actions make once for a row.

use serde_json::json;

use super::World;
use super::values::{at, at_once, new_run, run_id};
use crate::store::{Begun, EffectKey, Outputs};

fn key(record: &str, action: &str) -> EffectKey {
    EffectKey { run: run_id(1), record: record.into(), action: action.into() }
}

pub(super) async fn an_effect_is_known_from_its_beginning(world: &World) {
    let store = &world.store;
    store.create_run(&new_run(1)).await.unwrap();
    assert_eq!(store.begin_effect(&key("7", "task"), at(5)).await.unwrap(), Begun::Now);
    assert_eq!(store.begin_effect(&key("7", "task"), at(9)).await.unwrap(), Begun::Before { at: at(5) });
    let outputs = Outputs::from_iter([("record_id".to_owned(), json!("00T \"\u{0}\" ä"))]);
    for _ in 0..2 {
        store.end_effect(&key("7", "task"), &outputs).await.unwrap();
        let begun = store.begin_effect(&key("7", "task"), at(9)).await.unwrap();
        assert_eq!(begun, Begun::Done(outputs.clone()));
    }
    // It is one row's and one action's.
    for other in [key("8", "task"), key("7", "create")] {
        store.end_effect(&other, &outputs).await.unwrap();
        assert_eq!(store.begin_effect(&other, at(5)).await.unwrap(), Begun::Now);
    }
}

pub(super) async fn of_many_who_begin_an_effect_one_is_the_first(world: &World) {
    let store = &world.store;
    store.create_run(&new_run(1)).await.unwrap();
    let begun = at_once(8, async |_| store.begin_effect(&key("7", "task"), at(5)).await.unwrap()).await;
    assert_eq!(begun.iter().filter(|begun| **begun == Begun::Now).count(), 1, "{begun:?}");
    let known = Begun::Before { at: at(5) };
    assert_eq!(begun.iter().filter(|begun| **begun == known).count(), 7, "{begun:?}");
}
