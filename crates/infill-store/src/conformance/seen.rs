//! What is remembered of records from run to run.

use infill_model::seen::{Learnt, MemoryKey, Seen};
use infill_model::{BatchNo, ChunkNo, Fingerprint, Outcome, RecordId, Row, RunId};

use super::World;
use super::values::{at, at_once, lease, leased, new_batch, new_run, plan, run_id, save, settled};
use crate::Store;
use crate::store::{BatchSave, BatchState, Lease, Listing, ListingStep, NewBatch, Saved};

/// The memory of the plan that the tests run.
fn memory() -> MemoryKey {
    MemoryKey::of(&plan("Notes"))
}

fn kept(records: &[&str], fingerprint: &str) -> Vec<(RecordId, Fingerprint)> {
    records.iter().map(|record| ((*record).into(), fingerprint.into())).collect()
}

fn dropped(records: &[&str]) -> Vec<RecordId> {
    records.iter().map(|record| (*record).into()).collect()
}

/// Saves a batch as settled, `second` seconds on; says whether the holder still had it.
async fn learn(
    store: &dyn Store,
    run: RunId,
    batch: u32,
    lease: Lease,
    memory: (MemoryKey, Learnt),
    second: i64,
) -> bool {
    let results = settled(&[Outcome::Verified, Outcome::Failed]);
    let save =
        BatchSave { memory: Some(&memory), now: at(110 + second), ..save(&results, BatchState::Settled) };
    matches!(store.save_batch(run, BatchNo(batch), &lease, &save).await.unwrap(), Saved::Yes(_))
}

/// What is remembered of these records, in their order.
async fn seen(store: &dyn Store, memory: &MemoryKey, records: &[&str]) -> Vec<(String, String, RunId)> {
    let mut seen = store.seen(memory, &dropped(records)).await.unwrap();
    seen.sort_by(|one, other| one.record.cmp(&other.record));
    let plain = |Seen { record, fingerprint, run }| (record.to_string(), fingerprint.to_string(), run);
    seen.into_iter().map(plain).collect()
}

pub(super) async fn what_went_well_is_remembered_and_what_did_not_is_forgotten(world: &World) {
    let (store, memory) = (&*world.store, memory());
    let run = world.running(1, 2).await;
    leased(store, run, 0, lease(1)).await;
    let first = Learnt { kept: kept(&["1", "2\"\\'"], "a"), dropped: dropped(&["3"]) };
    // Again and again, as after lost answers.
    for _ in 0..3 {
        assert!(learn(store, run, 0, lease(1), (memory.clone(), first.clone()), 0).await);
    }
    let expected = [("1", "a", run), ("2\"\\'", "a", run)];
    let told = expected.map(|(record, print, run)| (record.to_owned(), print.to_owned(), run));
    assert_eq!(seen(store, &memory, &["1", "2\"\\'", "3", "4"]).await, told);
    assert_eq!(store.memories("Notes").await.unwrap(), [(memory.clone(), 2)]);

    let later = world.running(2, 1).await;
    leased(store, later, 0, lease(2)).await;
    let second = Learnt { kept: kept(&["1", "3"], "b"), dropped: dropped(&["2\"\\'", "9"]) };
    assert!(learn(store, later, 0, lease(2), (memory.clone(), second), 1).await);
    let told = ["1", "3"].map(|record| (record.to_owned(), "b".to_owned(), later));
    assert_eq!(seen(store, &memory, &["1", "2\"\\'", "3"]).await, told);
}

pub(super) async fn a_lost_lease_teaches_nothing(world: &World) {
    let (store, memory) = (&*world.store, memory());
    let run = world.running(1, 1).await;
    leased(store, run, 0, lease(1)).await;
    leased(store, run, 0, lease(2)).await;
    let learnt = Learnt { kept: kept(&["1"], "a"), dropped: Vec::new() };
    assert!(!learn(store, run, 0, lease(1), (memory.clone(), learnt), 0).await);
    assert!(store.memories("Notes").await.unwrap().is_empty());
}

pub(super) async fn memories_are_apart_and_forgotten_bit_by_bit(world: &World) {
    let store = &*world.store;
    let run = world.running(1, 4).await;
    let own = memory();
    let others = [
        MemoryKey { connection: "other".into(), ..own.clone() },
        MemoryKey { object: "companies".into(), ..own.clone() },
        MemoryKey { plan_name: "Other".to_owned(), ..own.clone() },
    ];
    for (no, key) in (0..).zip([&own].into_iter().chain(&others)) {
        leased(store, run, no, lease(1)).await;
        let learnt = Learnt { kept: kept(&["1", "2", "3"], "a"), dropped: Vec::new() };
        assert!(learn(store, run, no, lease(1), (key.clone(), learnt), 0).await);
    }
    let [elsewhere, of_companies, by_name] = &others;
    let told = [of_companies, &own, elsewhere].map(|key| (key.clone(), 3));
    assert_eq!(store.memories("Notes").await.unwrap(), told);
    assert_eq!(store.forget(&own, 2).await.unwrap(), 2);
    assert_eq!(store.forget(&own, 2).await.unwrap(), 1);
    assert_eq!(store.forget(&own, 2).await.unwrap(), 0);
    assert_eq!(store.memories("Notes").await.unwrap().len(), 2);
    assert_eq!(store.memories("Other").await.unwrap(), [(by_name.clone(), 3)]);
}

pub(super) async fn runs_at_once_may_learn_of_the_same_records(world: &World) {
    let (store, memory) = (&*world.store, memory());
    let run = world.running(1, 8).await;
    let names: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let backwards: Vec<&str> = all.iter().rev().copied().collect();
    let answers = at_once(8, async |n| {
        let batch = u32::try_from(n).unwrap();
        leased(store, run, batch, lease(n + 1)).await;
        let records = if n % 2 == 0 { &all } else { &backwards };
        let learnt = Learnt { kept: kept(records, &n.to_string()), dropped: Vec::new() };
        learn(store, run, batch, lease(n + 1), (memory.clone(), learnt), 0).await
    });
    assert_eq!(answers.await, [true; 8]);
    assert_eq!(store.memories("Notes").await.unwrap(), [(memory, 50)]);
}

pub(super) async fn rows_left_as_they_are_are_counted_once(world: &World) {
    let (store, run) = (&*world.store, run_id(1));
    store.create_run(&new_run(1)).await.unwrap();
    let chunks = vec![dropped(&["1", "2", "3"])];
    let to = Listing { ids: 3, chunks: 1, done: true, left_out: 7, ..Listing::default() };
    assert!(store.freeze(run, &ListingStep { from: (0, 0), to, chunks }).await.unwrap());
    let mut batch: NewBatch = new_batch(0, 3);
    batch.rows = batch
        .rows
        .into_iter()
        .enumerate()
        .map(|(i, row)| Row { same_as: (i > 0).then(|| run_id(9)), ..row })
        .collect();
    for _ in 0..2 {
        let progress = store.store_chunk(run, ChunkNo(0), &[batch.clone()], at(50)).await.unwrap();
        assert_eq!((progress.rows, progress.same), (3, 2));
    }
    let stored = store.run(run).await.unwrap().unwrap();
    assert_eq!((stored.progress.same, stored.listing.left_out), (2, 7));
    assert_eq!(store.batches(run, None, 1).await.unwrap()[0].rows.to_vec(), batch.rows);
}
