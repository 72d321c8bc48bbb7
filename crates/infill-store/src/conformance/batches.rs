//! Leases and saves.

use infill_model::outcome::Counts;
use infill_model::row::RowState;
use infill_model::{BatchNo, Outcome, RowResult, RunState};

use super::World;
use super::values::{as_is, at, at_once, count_true, lease, leased, result, save, settled};
use crate::store::{BatchSave, BatchState, Lease, Leased, Progress, Saved};

pub(super) async fn a_lease_keeps_others_out_until_it_lapses(world: &World) {
    let run = world.running(1, 1).await;
    let lease_at = async |owner, take_over, second| {
        let lease = Lease { owner, until: at(second + 60) };
        world.store.lease_batch(run, BatchNo(0), &lease, take_over, None, at(second)).await.unwrap()
    };
    let Leased::Yours(batch) = lease_at(1, false, 100).await else { panic!("free") };
    assert_eq!((batch.no, batch.state, batch.rows.len()), (BatchNo(0), BatchState::Queued, 2));
    assert!(batch.results.is_empty());
    assert!(matches!(lease_at(2, false, 159).await, Leased::Busy { until } if until == at(160)));
    assert!(matches!(lease_at(1, false, 101).await, Leased::Yours(_)), "its own");
    assert!(matches!(lease_at(2, false, 161).await, Leased::Yours(_)), "lapsed");
    assert!(matches!(lease_at(3, true, 162).await, Leased::Yours(_)), "taken over");
    assert!(matches!(lease_at(2, false, 163).await, Leased::Busy { .. }));
    let missing = world.store.lease_batch(run, BatchNo(9), &lease(1), true, None, at(100)).await.unwrap();
    assert!(matches!(missing, Leased::Missing));
}

pub(super) async fn of_many_handlers_one_gets_the_lease(world: &World) {
    let run = world.running(1, 1).await;
    let yours = at_once(8, async |n| {
        let leased =
            world.store.lease_batch(run, BatchNo(0), &lease(n + 1), false, None, at(100)).await.unwrap();
        matches!(leased, Leased::Yours(_))
    });
    assert_eq!(count_true(&yours.await), 1);
}

pub(super) async fn a_broken_lease_cannot_save(world: &World) {
    let store = &world.store;
    let run = world.running(1, 1).await;
    leased(&**store, run, 0, lease(1)).await;
    leased(&**store, run, 0, lease(u64::MAX)).await;
    let before = store.progress(run).await.unwrap();
    let results = settled(&[Outcome::Verified, Outcome::Failed]);
    let letters = [super::values::letter("0-1", "x")];
    let late = BatchSave { letters: &letters, ..save(&results, BatchState::Settled) };
    let saved = store.save_batch(run, BatchNo(0), &lease(1), &late).await.unwrap();
    assert!(matches!(saved, Saved::LeaseLost));
    assert_eq!(store.progress(run).await.unwrap(), before);
    assert_eq!(store.count_letters(&Default::default()).await.unwrap(), 0);
    let saved = store.save_batch(run, BatchNo(0), &lease(u64::MAX), &late).await.unwrap();
    assert!(matches!(saved, Saved::Yes(_)));
    let missing = store.save_batch(run, BatchNo(9), &lease(1), &late).await.unwrap();
    assert!(matches!(missing, Saved::LeaseLost));
}

pub(super) async fn a_save_repeated_counts_once(world: &World) {
    let store = &world.store;
    let run = world.running(1, 1).await;
    leased(&**store, run, 0, lease(1)).await;
    let results = settled(&[Outcome::Verified, Outcome::Failed]);
    let letters = [super::values::letter("0-1", "x")];
    let save = BatchSave { letters: &letters, calls: 3, ..save(&results, BatchState::Settled) };
    let mut answers = Vec::new();
    for _ in 0..3 {
        match store.save_batch(run, BatchNo(0), &lease(1), &save).await.unwrap() {
            Saved::Yes(progress) => answers.push(progress),
            Saved::LeaseLost => panic!("nobody else had it"),
        }
    }
    assert_eq!((answers[0].calls, answers[0].counts.total(), answers[0].batches_settled), (3, 2, 1));
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    let letters = store.letters(&Default::default(), None, 10).await.unwrap();
    assert_eq!(letters.iter().map(|letter| letter.attempts).collect::<Vec<_>>(), [1]);
}

pub(super) async fn a_save_moves_the_counts_by_the_difference(world: &World) {
    let store = &world.store;
    let run = world.running(1, 2).await;
    let started = store.progress(run).await.unwrap();
    assert_eq!((started.batches_in_flight, started.batches_ran), (2, 0));
    leased(&**store, run, 0, lease(1)).await;
    let step = async |results: &[RowResult], state, keep_lease, second| {
        let save = BatchSave { keep_lease, now: at(second), ..save(results, state) };
        match store.save_batch(run, BatchNo(0), &lease(1), &save).await.unwrap() {
            Saved::Yes(progress) => progress,
            Saved::LeaseLost => panic!("nobody else had it"),
        }
    };
    let intended = [result(RowState::Intended), result(RowState::Settled(Outcome::Skipped))];
    let progress = step(&intended, BatchState::Queued, true, 101).await;
    let skipped = Counts { skipped: 1, ..Counts::default() };
    assert_eq!(progress, Progress { counts: skipped, calls: 1, intended: 1, ..started });
    let busy = store.lease_batch(run, BatchNo(0), &lease(2), false, None, at(102)).await.unwrap();
    assert!(matches!(busy, Leased::Busy { .. }), "the lease was kept");

    let confirmed = [result(RowState::Confirmed), result(RowState::Settled(Outcome::Skipped))];
    let progress = step(&confirmed, BatchState::Ran, false, 103).await;
    assert_eq!(progress, Progress { counts: skipped, calls: 2, batches_ran: 1, ..started });

    let batch = leased(&**store, run, 0, lease(1)).await;
    assert_eq!((batch.state, batch.results), (BatchState::Ran, confirmed.to_vec()));
    let done = settled(&[Outcome::Verified, Outcome::Skipped]);
    let progress = step(&done, BatchState::Settled, false, 104).await;
    let counts = Counts { verified: 1, skipped: 1, ..Counts::default() };
    let expected =
        Progress { counts, calls: 3, batches_ran: 1, batches_settled: 1, batches_in_flight: 1, ..started };
    assert_eq!(progress, expected);
    assert_eq!(store.run(run).await.unwrap().unwrap().progress, expected);
}

pub(super) async fn what_was_produced_stays_when_only_states_are_saved(world: &World) {
    let store = &world.store;
    let run = world.running(1, 1).await;
    let revision = leased(&**store, run, 0, lease(1)).await.revision;
    let intended = [result(RowState::Intended), result(RowState::Intended)];
    let first = BatchSave { keep_lease: true, ..save(&intended, BatchState::Queued) };
    let saved = store.save_batch(run, BatchNo(0), &lease(1), &first).await.unwrap();
    assert!(matches!(saved, Saved::Yes(_)));
    let states = [RowState::Confirmed, RowState::Settled(Outcome::Gone)]
        .map(|state| RowResult { state, ..RowResult::default() });
    let then = BatchSave { has_produced: false, now: at(111), ..save(&states, BatchState::Ran) };
    let saved = store.save_batch(run, BatchNo(0), &lease(1), &then).await.unwrap();
    assert!(matches!(saved, Saved::Yes(_)));
    let batch = leased(&**store, run, 0, lease(2)).await;
    assert_eq!(batch.results, [result(RowState::Confirmed), result(RowState::Settled(Outcome::Gone))]);
    assert_eq!(batch.revision, revision + 2, "one more with each save");
}

pub(super) async fn who_knows_a_batch_is_spared_its_pages_until_it_changes(world: &World) {
    let store = &world.store;
    let run = world.running(1, 1).await;
    let batch = leased(&**store, run, 0, lease(1)).await;
    let known = async |owner, known| {
        store.lease_batch(run, BatchNo(0), &lease(owner), true, Some(known), at(100)).await.unwrap()
    };
    let as_known = known(2, batch.revision).await;
    assert!(matches!(as_known, Leased::AsKnown));
    let lost = store.save_batch(run, BatchNo(0), &lease(1), &save(&[], BatchState::Queued)).await.unwrap();
    assert!(matches!(lost, Saved::LeaseLost), "it is leased all the same");
    let failed = settled(&[Outcome::Verified, Outcome::Failed]);
    let letters = [super::values::letter("0-1", "x")];
    let save = BatchSave { letters: &letters, ..save(&failed, BatchState::Settled) };
    let saved = store.save_batch(run, BatchNo(0), &lease(2), &save).await.unwrap();
    assert!(matches!(saved, Saved::Yes(_)));
    let Leased::Yours(saved) = known(3, batch.revision).await else { panic!("it was saved") };
    let letters = store.letters(&Default::default(), None, 10).await.unwrap();
    assert!(store.move_run(run, &[RunState::Running], RunState::Completed, None, at(120)).await.unwrap());
    assert_eq!(store.reopen(run, BatchNo(0), &[letters[0].id], &as_is(121)).await.unwrap(), 1);
    assert!(matches!(known(4, saved.revision).await, Leased::Yours(_)), "a row was reopened");
}

pub(super) async fn a_job_is_kept_with_its_batch_by_the_holder_alone(world: &World) {
    let store = &world.store;
    let run = world.running(1, 2).await;
    let batch = leased(&**store, run, 0, lease(1)).await;
    assert_eq!((batch.job, store.job(run, BatchNo(0)).await.unwrap()), (None, None));
    let keep = async |owner, job| store.keep_job(run, BatchNo(0), &lease(owner), job).await.unwrap();
    assert!(!keep(2, Some("theirs")).await, "not its lease");
    assert!(keep(1, Some("750")).await);
    assert!(keep(1, Some("750")).await, "again");
    let results = [result(RowState::Intended), result(RowState::Intended)];
    store.save_batch(run, BatchNo(0), &lease(1), &save(&results, BatchState::Queued)).await.unwrap();
    assert_eq!(store.job(run, BatchNo(0)).await.unwrap().as_deref(), Some("750"));
    assert_eq!(leased(&**store, run, 0, lease(3)).await.job.as_deref(), Some("750"));
    assert!(!keep(1, None).await, "the lease was lost");
    assert!(keep(3, None).await);
    assert_eq!(store.job(run, BatchNo(0)).await.unwrap(), None);
    assert_eq!(store.job(run, BatchNo(1)).await.unwrap(), None);
    assert!(!store.keep_job(run, BatchNo(9), &lease(3), Some("x")).await.unwrap(), "no such batch");
    assert_eq!(store.job(run, BatchNo(9)).await.unwrap(), None);
}

pub(super) async fn broken_leases_are_free_at_once(world: &World) {
    let store = &world.store;
    let run = world.running(1, 3).await;
    let other = world.running(2, 1).await;
    for no in 0..3 {
        leased(&**store, run, no, lease(1)).await;
    }
    leased(&**store, other, 0, lease(1)).await;
    at_once(3, async |_| store.break_leases(run).await.unwrap()).await;
    let results = settled(&[Outcome::Skipped, Outcome::Skipped]);
    let save = save(&results, BatchState::Settled);
    assert!(matches!(store.save_batch(run, BatchNo(0), &lease(1), &save).await.unwrap(), Saved::LeaseLost));
    let free = store.lease_batch(run, BatchNo(0), &lease(2), false, None, at(101)).await.unwrap();
    assert!(matches!(free, Leased::Yours(_)));
    let held = store.lease_batch(other, BatchNo(0), &lease(2), false, None, at(101)).await.unwrap();
    assert!(matches!(held, Leased::Busy { .. }), "another run's");
}

pub(super) async fn batches_are_listed_in_order(world: &World) {
    let run = world.running(1, 5).await;
    world.settle(run, 3, &[Outcome::Verified, Outcome::Gone], &[]).await;
    let list = async |after: Option<u32>, limit| {
        let batches = world.store.batches(run, after.map(BatchNo), limit).await.unwrap();
        batches.into_iter().map(|batch| (batch.no.0, batch.results.len())).collect::<Vec<_>>()
    };
    assert_eq!(list(None, 2).await, [(0, 0), (1, 0)]);
    assert_eq!(list(Some(1), 10).await, [(2, 0), (3, 2), (4, 0)]);
    assert_eq!(list(Some(4), 10).await, []);
}
