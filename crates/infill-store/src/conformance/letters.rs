//! Dead letters.

use infill_model::row::RowState;
use infill_model::{BatchNo, Outcome, Properties, RowResult, RunId, RunState, Timestamp};
use serde_json::json;

use super::World;
use super::values::{as_is, at, cause, lease, leased, letter, result, run_id, save};
use crate::store::{
    BatchSave, BatchState, LetterChange, LetterFilter, LetterStatus, Progress, Reopen, Saved, UnitKind,
};

/// Gives up letters; says how many.
async fn discard(world: &World, filter: &LetterFilter, second: i64) -> u64 {
    world.store.discard_letters(filter, &"bob@office".into(), "sold", at(second)).await.unwrap()
}

/// What happened to a letter, with its second.
async fn history(world: &World, letter: i64) -> Vec<(i64, i64, LetterChange)> {
    let events = world.store.letter_history(letter).await.unwrap();
    let second = |moment: Timestamp| moment.as_second() - at(0).as_second();
    events.into_iter().map(|event| (event.letter, second(event.at), event.what)).collect()
}

fn failed(code: &str) -> LetterChange {
    LetterChange::Failed { cause: cause(code) }
}

fn retried(into: Option<RunId>) -> LetterChange {
    LetterChange::Retried { by: "ann@office".into(), set: Properties::new(), into }
}

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

    assert_eq!(store.reopen(run, BatchNo(1), &[id], &as_is(130)).await.unwrap(), 0, "of another batch");
    assert_eq!(store.reopen(run, BatchNo(0), &[id, 999], &as_is(130)).await.unwrap(), 1);
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

    assert_eq!(store.reopen(run, BatchNo(0), &[id], &as_is(131)).await.unwrap(), 0, "repeated");
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
    store.reopen(run, BatchNo(0), &[id], &as_is(130)).await.unwrap();
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
    let expected =
        [(id, 110, failed("INVALID_OPTION")), (id, 130, retried(None)), (id, 140, failed("READ_ONLY"))];
    assert_eq!(history(world, id).await, expected);
    store.save_batch(run, BatchNo(0), &lease(9), &save).await.unwrap();
    assert_eq!(history(world, id).await, expected, "the same save again");
}

pub(super) async fn rows_reopened_with_values_are_as_good_as_evaluated(world: &World) {
    let store = &world.store;
    let run = run_id(1);
    let id = one_failed(world, 1).await;
    let set: Properties = [("phone".into(), json!("+1")), ("note".into(), json!(null))].into();
    let how = Reopen { set: set.clone(), ..as_is(130) };
    assert_eq!(store.reopen(run, BatchNo(0), &[id], &how).await.unwrap(), 1);
    let batch = &store.batches(run, None, 1).await.unwrap()[0];
    assert_eq!(batch.state, BatchState::Pending);
    let expected = RowResult { wanted: set.clone(), state: RowState::Intended, ..RowResult::default() };
    assert_eq!(batch.results[1], expected);
    let tried = LetterChange::Retried { by: "ann@office".into(), set, into: None };
    assert_eq!(history(world, id).await[1], (id, 130, tried));
}

pub(super) async fn a_letter_whose_row_fails_in_another_run_keeps_its_history(world: &World) {
    let store = &world.store;
    let first = one_failed(world, 1).await;
    let other = one_failed(world, 9).await;
    let (second, by) = (run_id(2), "ann@office".into());
    assert_eq!(store.retry_in(second, &[first, first, 999], &by, at(120)).await.unwrap(), 1);
    assert_eq!(store.retry_in(second, &[first], &by, at(121)).await.unwrap(), 0, "repeated");
    one_failed(world, 2).await;
    let id = ids(world, &LetterFilter { run: Some(second), ..LetterFilter::default() }).await[0];
    let before = [(first, 110, failed("INVALID_OPTION")), (first, 120, retried(Some(second)))];
    assert_eq!(history(world, first).await, before);
    let again = (id, 110, failed("INVALID_OPTION"));
    assert_eq!(history(world, id).await, [before[0].clone(), again, before[1].clone()]);
    assert_eq!(history(world, other).await.len(), 1, "of the same record, but not tried again there");
    let stored = store.letters(&LetterFilter { id: Some(first), ..LetterFilter::default() }, None, 1).await;
    assert_eq!(stored.unwrap()[0].status, LetterStatus::Retried);
}

pub(super) async fn letters_are_grouped_by_their_causes(world: &World) {
    let store = &world.store;
    let first = one_failed(world, 1).await;
    let run = world.running(2, 1).await;
    let letters = [letter("0-0", "GONE\0"), letter("0-1", "INVALID_OPTION")];
    world.settle(run, 0, &[Outcome::Failed, Outcome::Failed], &letters).await;
    let causes = store.letter_causes(&LetterFilter::default(), 10).await.unwrap();
    let [options, gone] = causes.as_slice() else { panic!("{causes:?}") };
    assert_eq!((options.n_letters, options.code.as_str()), (2, "INVALID_OPTION"));
    assert_eq!((options.first_at, options.last_at), (at(110), at(110)));
    assert_eq!(options.property.as_deref(), Some("note"));
    assert_eq!(options.shared, letters[1].shared);
    assert!(options.example > first, "the newest");
    assert_eq!((gone.n_letters, gone.code.as_str()), (1, "GONE\u{fffd}"));
    assert_eq!(store.letter_causes(&LetterFilter::default(), 1).await.unwrap(), causes[..1]);

    let of_cause = LetterFilter { cause: Some(options.shared.id.clone()), ..LetterFilter::default() };
    assert_eq!(store.count_letters(&of_cause).await.unwrap(), 2);
    let of_run = LetterFilter { run: Some(run), ..of_cause.clone() };
    assert_eq!(store.letter_causes(&of_run, 10).await.unwrap()[0].n_letters, 1);
    assert_eq!(store.letter_runs(&of_cause).await.unwrap(), [(run_id(1), 1), (run, 1)]);
}

pub(super) async fn a_run_stopped_by_its_canary_goes_back_to_it(world: &World) {
    let store = &world.store;
    let run = world.run_with_batches(1, 2).await;
    store.move_run(run, &[RunState::SourceSync], RunState::Canary, None, at(90)).await.unwrap();
    store.claim(run, UnitKind::Batch, "configure", 1, at(95)).await.unwrap();
    world.settle(run, 0, &[Outcome::Verified, Outcome::Failed], &[letter("0-1", "INVALID_OPTION")]).await;
    let id = ids(world, &LetterFilter { run: Some(run), ..LetterFilter::default() }).await[0];
    store.move_run(run, &[RunState::Canary], RunState::Stopped, None, at(120)).await.unwrap();
    assert_eq!(store.reopen(run, BatchNo(0), &[id], &as_is(130)).await.unwrap(), 1);
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
    assert_eq!(store.reopen(run, BatchNo(0), &[id], &as_is(130)).await.unwrap(), 0);
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

    let with = |change: fn(&mut LetterFilter)| {
        let mut filter = LetterFilter::default();
        change(&mut filter);
        filter
    };
    for (filter, expected) in [
        (with(|filter| filter.property = Some("note".into())), 3),
        (with(|filter| filter.property = Some("phone".into())), 0),
        (with(|filter| filter.plan_name = Some("Notes".to_owned())), 3),
        (with(|filter| filter.plan_name = Some("Others".to_owned())), 0),
        (with(|filter| filter.connection = Some("main".into())), 3),
        (with(|filter| filter.connection = Some("other".into())), 0),
        (with(|filter| filter.since = Some(at(110))), 3),
        (with(|filter| filter.since = Some(at(111))), 0),
    ] {
        assert_eq!(store.count_letters(&filter).await.unwrap(), expected, "{filter:?}");
    }

    assert_eq!(discard(world, &both, 200).await, 1);
    assert_eq!(discard(world, &both, 201).await, 0);
    let discarded = LetterFilter { status: Some(LetterStatus::Discarded), ..all.clone() };
    assert_eq!(store.letters(&discarded, None, 9).await.unwrap()[0].last_at, at(200));
    assert_eq!(store.count_letters(&all).await.unwrap(), 3);
    assert_eq!(discard(world, &discarded, 202).await, 0);
    let given_up = LetterChange::Discarded { by: "bob@office".into(), why: "sold".to_owned() };
    let id = ids(world, &discarded).await[0];
    assert_eq!(history(world, id).await[1..], [(id, 200, given_up)]);
}
