//! Dead letters.

use infill_model::row::RowState;
use infill_model::{BatchNo, Outcome, RowResult, RunState};

use super::World;
use super::values::{at, cause, lease, leased, letter, result, run_id, save};
use crate::store::{BatchSave, BatchState, LetterFilter, LetterStatus, Progress, Saved, UnitKind};

async fn ids(world: &World, filter: &LetterFilter) -> Vec<i64> {
    let letters = world.store.letters(filter, None, 100).await.unwrap();
    letters.into_iter().map(|letter| letter.id).collect()
}

/// A running run of two batches; the second row of the first has failed.
async fn one_failed(world: &World, number: u8) -> i64 {
    let run = world.running(number, 2).await;
    let letters = [letter("0-1", "INVALID_OPTION")];
    world.settle(run, 0, &[Outcome::Verified, Outcome::Failed], &letters).await;
    let filter = LetterFilter { run: Some(run), ..LetterFilter::default() };
    ids(world, &filter).await[0]
}

pub(super) async fn a_letter_comes_with_the_save_that_failed_the_row(world: &World) {
    one_failed(world, 1).await;
    let letters = world.store.letters(&LetterFilter::default(), None, 10).await.unwrap();
    let [stored] = letters.as_slice() else { panic!("{letters:?}") };
    assert_eq!(stored.letter, letter("0-1", "INVALID_OPTION"));
    assert_eq!((stored.run, stored.batch, stored.attempts), (run_id(1), BatchNo(0), 1));
    assert_eq!((stored.status, stored.first_at, stored.last_at), (LetterStatus::Open, at(110), at(110)));
}

pub(super) async fn reopened_rows_are_pending_and_the_run_goes_on(world: &World) {
    let store = &world.store;
    let run = run_id(1);
    let id = one_failed(world, 1).await;
    world.settle(run, 1, &[Outcome::Unchanged, Outcome::Unchanged], &[]).await;
    let from = [RunState::Running];
    store.move_run(run, &from, RunState::Stopped, Some(&cause("x")), at(120)).await.unwrap();
    let before = store.progress(run).await.unwrap();

    assert_eq!(store.reopen(run, BatchNo(1), &[id], at(130)).await.unwrap(), 0, "of another batch");
    assert_eq!(store.reopen(run, BatchNo(0), &[id, 999], at(130)).await.unwrap(), 1);
    let stored = store.run(run).await.unwrap().unwrap();
    assert_eq!((stored.state, stored.ended_at, stored.cause), (RunState::Running, None, None));
    let mut counts = before.counts;
    counts.failed = 0;
    let expected = Progress { counts, batches_settled: 1, batches_ran: 1, ..before };
    assert_eq!(stored.progress, expected);
    let batch = &store.batches(run, None, 1).await.unwrap()[0];
    assert_eq!(batch.state, BatchState::Pending);
    assert_eq!(batch.results[0], result(RowState::Settled(Outcome::Verified)));
    assert_eq!(batch.results[1], RowResult::default());
    let letter = &store.letters(&LetterFilter::default(), None, 1).await.unwrap()[0];
    assert_eq!((letter.status, letter.last_at), (LetterStatus::Retried, at(130)));

    assert_eq!(store.reopen(run, BatchNo(0), &[id], at(131)).await.unwrap(), 0, "repeated");
    assert_eq!(store.progress(run).await.unwrap(), expected);
    let late = save(&[], BatchState::Settled);
    assert!(matches!(store.save_batch(run, BatchNo(0), &lease(7), &late).await.unwrap(), Saved::LeaseLost));
    assert_eq!(store.starved_runs(5).await.unwrap(), [run]);
    assert_eq!(store.claim(run, UnitKind::Batch, "again", 3, at(132)).await.unwrap(), [0]);
}

pub(super) async fn a_row_that_fails_again_adds_an_attempt_to_its_letter(world: &World) {
    let store = &world.store;
    let run = run_id(1);
    let id = one_failed(world, 1).await;
    store.reopen(run, BatchNo(0), &[id], at(130)).await.unwrap();
    leased(&**store, run, 0, lease(9)).await;
    let results = super::values::settled(&[Outcome::Verified, Outcome::Failed]);
    let letters = [letter("0-1", "first"), letter("0-1", "READ_ONLY")];
    let save = BatchSave { letters: &letters, now: at(140), ..save(&results, BatchState::Settled) };
    store.save_batch(run, BatchNo(0), &lease(9), &save).await.unwrap();
    let stored = store.letters(&LetterFilter::default(), None, 10).await.unwrap();
    let [stored] = stored.as_slice() else { panic!("{stored:?}") };
    assert_eq!((stored.id, stored.attempts, stored.status), (id, 2, LetterStatus::Open));
    assert_eq!((stored.first_at, stored.last_at), (at(110), at(140)));
    assert_eq!(stored.letter.cause.code, "READ_ONLY");
}

pub(super) async fn a_run_stopped_by_its_canary_goes_back_to_it(world: &World) {
    let store = &world.store;
    let run = world.run_with_batches(1, 2).await;
    store.move_run(run, &[RunState::SourceSync], RunState::Canary, None, at(90)).await.unwrap();
    store.claim(run, UnitKind::Batch, "configure", 1, at(95)).await.unwrap();
    world.settle(run, 0, &[Outcome::Verified, Outcome::Failed], &[letter("0-1", "INVALID_OPTION")]).await;
    let id = ids(world, &LetterFilter { run: Some(run), ..LetterFilter::default() }).await[0];
    store.move_run(run, &[RunState::Canary], RunState::Stopped, None, at(120)).await.unwrap();
    assert_eq!(store.reopen(run, BatchNo(0), &[id], at(130)).await.unwrap(), 1);
    assert_eq!(store.run(run).await.unwrap().unwrap().state, RunState::Canary);
    assert_eq!(store.starved_runs(5).await.unwrap(), [run]);
    assert_eq!(store.claim(run, UnitKind::Batch, "canary", 1, at(131)).await.unwrap(), [0]);
    assert_eq!(store.starved_runs(5).await.unwrap(), [], "the rest waits for it");
}

pub(super) async fn letters_of_a_cancelled_run_stay_closed(world: &World) {
    let store = &world.store;
    let run = run_id(1);
    let id = one_failed(world, 1).await;
    let before = store.progress(run).await.unwrap();
    store.move_run(run, &[RunState::Running], RunState::Cancelled, None, at(120)).await.unwrap();
    assert_eq!(store.reopen(run, BatchNo(0), &[id], at(130)).await.unwrap(), 0);
    assert_eq!(store.run(run).await.unwrap().unwrap().state, RunState::Cancelled);
    assert_eq!(store.progress(run).await.unwrap(), before);
    let open = LetterFilter { status: Some(LetterStatus::Open), ..LetterFilter::default() };
    assert_eq!(ids(world, &open).await, [id]);
}

pub(super) async fn letters_are_filtered_counted_and_discarded(world: &World) {
    let store = &world.store;
    let first = one_failed(world, 1).await;
    let run = world.running(2, 1).await;
    let letters = [letter("0-0", "GONE\0"), letter("0-1", "INVALID_OPTION")];
    world.settle(run, 0, &[Outcome::Failed, Outcome::Failed], &letters).await;
    let all = LetterFilter::default();
    let everything = ids(world, &all).await;
    assert_eq!((everything.len(), everything[0]), (3, first));
    assert!(everything.is_sorted());
    let after = store.letters(&all, Some(first), 1).await.unwrap();
    assert_eq!(after.iter().map(|letter| letter.id).collect::<Vec<_>>(), everything[1..2]);

    let code = LetterFilter { code: Some("INVALID_OPTION".to_owned()), ..all.clone() };
    assert_eq!(store.count_letters(&code).await.unwrap(), 2);
    let both = LetterFilter { run: Some(run), ..code };
    assert_eq!(store.count_letters(&both).await.unwrap(), 1);
    assert_eq!(ids(world, &LetterFilter { id: Some(first), ..all.clone() }).await, [first]);

    assert_eq!(store.discard_letters(&both, at(200)).await.unwrap(), 1);
    assert_eq!(store.discard_letters(&both, at(201)).await.unwrap(), 0);
    let discarded = LetterFilter { status: Some(LetterStatus::Discarded), ..all.clone() };
    assert_eq!(store.letters(&discarded, None, 9).await.unwrap()[0].last_at, at(200));
    assert_eq!(store.count_letters(&all).await.unwrap(), 3);
    assert_eq!(store.discard_letters(&discarded, at(202)).await.unwrap(), 0);
}
