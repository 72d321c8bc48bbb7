//! Taking the values of ended runs away.

use infill_model::slice::{Supplied, SuppliedPlace};
use infill_model::{ActionId, Outcome, Properties, RunId, RunState};

use super::World;
use super::values::{as_is, at, letter, record, run_id};
use crate::audit::{Act, AuditFilter, NewAuditEntry};
use crate::store::{Begun, EffectKey, LetterFilter, Run};

fn entry(run: RunId, second: i64) -> NewAuditEntry {
    NewAuditEntry { run: Some(run), ..NewAuditEntry::new(at(second), "ann@desk".into(), Act::RunPurged) }
}

async fn stored(world: &World, run: RunId) -> Run {
    world.store.run(run).await.unwrap().unwrap()
}

/// A run of two batches that has ended at this second; a row of it failed.
async fn ended(world: &World, number: u8, second: i64) -> RunId {
    let run = world.running(number, 2).await;
    let letters = [letter(record(0, 1).as_str(), "INVALID")];
    world.settle(run, 0, &[Outcome::Verified, Outcome::Failed], &letters).await;
    world.settle(run, 1, &[Outcome::Verified, Outcome::Held], &[]).await;
    let from = [RunState::Running];
    assert!(world.store.move_run(run, &from, RunState::Completed, None, at(second)).await.unwrap());
    run
}

pub(super) async fn a_purged_run_keeps_its_counts_and_nothing_else(world: &World) {
    let store = &*world.store;
    let run = ended(world, 1, 200).await;
    let effect = EffectKey { run, record: record(0, 0), action: ActionId::from("create") };
    assert_eq!(store.begin_effect(&effect, at(100)).await.unwrap(), Begun::Now);
    let line = Supplied { record: record(0, 0), line: 1, inputs: Properties::new(), fault: None };
    store.supply(run, &[line]).await.unwrap();
    let before = stored(world, run).await;

    let mut n_steps = 0;
    while store.purge(&entry(run, 300 + n_steps), run, 1).await.unwrap() > 0 {
        n_steps += 1;
        assert_eq!(stored(world, run).await.purged_at, Some(at(300)), "from the first step on");
    }
    assert_eq!(n_steps, 2, "two batches, one at a time");
    let purged = stored(world, run).await;
    assert_eq!((purged.progress, purged.state), (before.progress, RunState::Completed));
    assert!(store.batches(run, None, 9).await.unwrap().is_empty());
    assert_eq!(
        store.count_letters(&LetterFilter { run: Some(run), ..LetterFilter::default() }).await.unwrap(),
        0
    );
    assert!(store.supplied(run, SuppliedPlace::default(), 9).await.unwrap().is_empty());
    assert!(store.places(&"main".into(), &record(0, 0), None, 9).await.unwrap().is_empty());
    assert_eq!(store.begin_effect(&effect, at(400)).await.unwrap(), Begun::Now, "the effect is forgotten");
    let filter = AuditFilter { run: Some(run), ..AuditFilter::default() };
    let audited = store.audited(&filter, None, 9).await.unwrap();
    let purges: Vec<_> = audited.iter().filter(|entry| entry.entry.act == Act::RunPurged).collect();
    assert_eq!((purges.len(), purges[0].entry.at), (1, at(300)));
}

pub(super) async fn a_run_that_has_not_ended_is_not_purged(world: &World) {
    let run = world.running(1, 1).await;
    assert_eq!(world.store.purge(&entry(run, 300), run, 9).await.unwrap(), 0);
    assert_eq!((stored(world, run).await.purged_at, stored(world, run).await.progress.batches), (None, 1));
    assert_eq!(world.store.batches(run, None, 9).await.unwrap().len(), 1);
    assert_eq!(world.store.purge(&entry(run_id(9), 300), run_id(9), 9).await.unwrap(), 0, "there is none");
}

pub(super) async fn rows_of_a_purged_run_are_not_opened_again(world: &World) {
    let store = &*world.store;
    let run = ended(world, 1, 200).await;
    let letters = store.letters(&LetterFilter::default(), None, 9).await.unwrap();
    // The letters go with the first step; whoever read them before that must not open rows that are about to go.
    store.purge(&entry(run, 300), run, 1).await.unwrap();
    let ids: Vec<i64> = letters.iter().map(|letter| letter.id).collect();
    assert_eq!(store.reopen(run, letters[0].batch, &ids, &as_is(301)).await.unwrap(), 0);
    assert_eq!(stored(world, run).await.state, RunState::Completed);
}

pub(super) async fn only_ended_runs_without_open_letters_are_outdated_oldest_first(world: &World) {
    let store = &*world.store;
    let (newer, older, open) =
        (ended(world, 1, 210).await, ended(world, 2, 200).await, ended(world, 3, 205).await);
    world.running(4, 1).await;
    for run in [newer, older] {
        let letters = LetterFilter { run: Some(run), ..LetterFilter::default() };
        store.discard_letters(&letters, &"ann@office".into(), "done", at(220)).await.unwrap();
    }
    let outdated = async |before, limit| store.outdated(at(before), limit).await.unwrap();
    assert_eq!(outdated(1000, 9).await, [older, newer]);
    assert_eq!(outdated(1000, 1).await, [older]);
    assert_eq!(outdated(210, 9).await, [older], "not the one that ended at that moment");
    store.purge(&entry(older, 300), older, 1).await.unwrap();
    assert_eq!(outdated(1000, 9).await, [older, newer], "begun, and not purged to the end");
    while store.purge(&entry(older, 300), older, 1).await.unwrap() > 0 {}
    assert_eq!(outdated(1000, 9).await, [newer]);
    assert_eq!(stored(world, open).await.purged_at, None);
}
