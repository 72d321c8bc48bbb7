//! The counts of a run equal a recount of its batches, whatever happened and in whatever order.

use std::collections::BTreeMap;

use infill_model::outcome::Counts;
use infill_model::row::{GuardedBy, RowState};
use infill_model::{Actor, BatchNo, Outcome, RowResult, RunId, RunState};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Handle;

use super::World;
use super::values::{as_is, at, letter, record, result};
use crate::store::{
    BatchSave, BatchState, Lease, Leased, LetterFilter, LetterStatus, Progress, Saved, Store, UnitKind,
};

/// Batches of the run, two rows each.
const BATCHES: u32 = 4;

/// Something a program does.
#[derive(Clone, Debug)]
enum Step {
    Claim { claimant: u8, window: u32 },
    Lease { batch: u32, owner: u64, take_over: bool },
    Save { batch: u32, owner: u64, rows: [Standing; 2], state: BatchState, keep_lease: bool },
    BreakLeases,
    Reopen { batch: u32 },
    Wait { seconds: i64 },
}

fn row_state() -> impl Strategy<Value = RowState> {
    prop_oneof![
        Just(RowState::Intended),
        Just(RowState::Refused),
        Just(RowState::Confirmed),
        proptest::sample::select(Outcome::ALL.to_vec()).prop_map(RowState::Settled),
        Just(RowState::Settled(Outcome::Failed)),
    ]
}

/// A row's state with what it was guarded by.
type Standing = (RowState, Option<GuardedBy>);

fn standing() -> impl Strategy<Value = Standing> {
    (row_state(), proptest::option::of(proptest::sample::select(GuardedBy::ALL.to_vec())))
}

fn step() -> impl Strategy<Value = Step> {
    let batch = 0..BATCHES;
    let owner = 1..4_u64;
    let state = proptest::sample::select(vec![
        BatchState::Queued,
        BatchState::Ran,
        BatchState::Previewed,
        BatchState::Settled,
    ]);
    prop_oneof![
        (0..2_u8, 0..5_u32).prop_map(|(claimant, window)| Step::Claim { claimant, window }),
        (batch.clone(), owner.clone(), any::<bool>()).prop_map(|(batch, owner, take_over)| Step::Lease {
            batch,
            owner,
            take_over
        }),
        (batch.clone(), owner, [standing(), standing()], state, any::<bool>()).prop_map(
            |(batch, owner, rows, state, keep_lease)| {
                Step::Save { batch, owner, rows, state, keep_lease }
            }
        ),
        Just(Step::BreakLeases),
        batch.prop_map(|batch| Step::Reopen { batch }),
        (1..90_i64).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

/// What a batch should be like.
#[derive(Clone, Debug, Default)]
struct Expected {
    state: Option<BatchState>,
    results: Vec<RowResult>,
    /// The last holder, and until when it holds.
    holder: Option<(u64, Option<i64>)>,
}

/// What the run should be like.
#[derive(Debug)]
struct Model {
    now: i64,
    calls: u64,
    batches: BTreeMap<u32, Expected>,
}

impl Model {
    fn batch(&mut self, no: u32) -> &mut Expected {
        self.batches.get_mut(&no).unwrap()
    }

    fn state(&self, no: u32) -> BatchState {
        self.batches[&no].state.unwrap_or(BatchState::Pending)
    }

    fn count(&self, wanted: &[BatchState]) -> u32 {
        let n = self.batches.keys().filter(|no| wanted.contains(&self.state(**no))).count();
        u32::try_from(n).unwrap()
    }

    fn progress(&self, start: Progress) -> Progress {
        let results = || self.batches.values().flat_map(|batch| &batch.results);
        let settled = || results().filter(|result| result.outcome().is_some());
        let in_state = |state| results().filter(|result| result.state == state).count().try_into().unwrap();
        Progress {
            batches_ran: self.count(&[BatchState::Ran, BatchState::Settled]),
            batches_settled: self.count(&[BatchState::Settled]),
            batches_in_flight: self.count(&[BatchState::Queued, BatchState::Ran]),
            batches_previewed: self.count(&[BatchState::Previewed]),
            intended: in_state(RowState::Intended),
            refused: in_state(RowState::Refused),
            counts: settled().filter_map(RowResult::outcome).collect::<Counts>(),
            guarded: settled().filter_map(|result| result.guarded_by).collect(),
            calls: self.calls,
            ..start
        }
    }
}

async fn take(store: &dyn Store, run: RunId, step: &Step, model: &mut Model) {
    let now = model.now;
    match *step {
        Step::Wait { seconds } => model.now += seconds,
        Step::Claim { claimant, window } => {
            let room = window.saturating_sub(model.count(&[BatchState::Queued, BatchState::Ran]));
            let pending: Vec<u32> =
                (0..BATCHES).filter(|no| model.state(*no) == BatchState::Pending).collect();
            let name = format!("claimant {claimant}");
            let claimed = store.claim(run, UnitKind::Batch, &name, window, at(now)).await.unwrap();
            for no in pending.into_iter().take(usize::try_from(room).unwrap()) {
                assert!(claimed.contains(&no), "{claimed:?} lacks {no}");
                model.batch(no).state = Some(BatchState::Queued);
            }
        }
        Step::Lease { batch, owner, take_over } => {
            let lease = Lease { owner, until: at(now + 60) };
            let leased =
                store.lease_batch(run, BatchNo(batch), &lease, take_over, None, at(now)).await.unwrap();
            let expected = model.batch(batch);
            let free = expected
                .holder
                .is_none_or(|(by, until)| by == owner || until.is_none_or(|until| until <= now));
            assert_eq!(matches!(leased, Leased::Yours(_)), free || take_over, "{leased:?}");
            if let Leased::Yours(batch) = leased {
                assert_eq!(batch.results, expected.results);
                expected.holder = Some((owner, Some(now + 60)));
            }
        }
        Step::Save { batch, owner, rows, state, keep_lease } => {
            let results = rows.map(|(state, guarded_by)| RowResult { guarded_by, ..result(state) });
            save(store, run, model, (batch, owner), results, state, keep_lease).await;
        }
        Step::BreakLeases => {
            store.break_leases(run).await.unwrap();
            model.batches.values_mut().for_each(|batch| batch.holder = None);
        }
        Step::Reopen { batch } => {
            let open = LetterFilter { status: Some(LetterStatus::Open), ..LetterFilter::default() };
            let letters = store.letters(&open, None, 100).await.unwrap();
            let ids: Vec<i64> = letters
                .iter()
                .filter(|letter| letter.batch == BatchNo(batch))
                .map(|letter| letter.id)
                .collect();
            let reopened = store.reopen(run, BatchNo(batch), &ids, &as_is(now)).await.unwrap();
            assert_eq!(reopened, u64::try_from(ids.len()).unwrap());
            let expected = model.batch(batch);
            if reopened > 0 {
                let records: Vec<_> = letters.iter().map(|letter| &letter.letter.record).collect();
                for (place, result) in expected.results.iter_mut().enumerate() {
                    if records.contains(&&record(batch, place)) {
                        *result = RowResult::default();
                    }
                }
                expected.state = None;
                expected.holder = None;
            }
        }
    }
}

async fn save(
    store: &dyn Store,
    run: RunId,
    model: &mut Model,
    (no, owner): (u32, u64),
    results: [RowResult; 2],
    state: BatchState,
    keep_lease: bool,
) {
    model.now += 1;
    let now = model.now;
    let failed = |(place, result): (usize, &RowResult)| {
        (result.outcome() == Some(Outcome::Failed)).then(|| letter(record(no, place).as_str(), "code"))
    };
    let letters: Vec<_> = results.iter().enumerate().filter_map(failed).collect();
    let save = BatchSave {
        results: &results,
        has_produced: true,
        state,
        keep_lease,
        letters: &letters,
        memory: None,
        calls: 2,
        now: at(now),
    };
    let lease = Lease { owner, until: at(now + 60) };
    let holds = model.batch(no).holder.is_some_and(|(by, _)| by == owner);
    // Twice, as after an answer that was lost.
    for _ in 0..2 {
        let saved = store.save_batch(run, BatchNo(no), &lease, &save).await.unwrap();
        assert_eq!(matches!(saved, Saved::Yes(_)), holds, "{saved:?}");
    }
    if holds {
        let until = keep_lease.then_some(now + 60);
        *model.batch(no) =
            Expected { state: Some(state), results: results.to_vec(), holder: Some((owner, until)) };
        model.calls += 2;
    }
}

async fn play(world: &World, steps: &[Step], number: u8) {
    let store = &*world.store;
    let run = world.run_with_batches(number, BATCHES).await;
    let from = [RunState::SourceSync];
    store.move_run(run, &from, RunState::Running, None, at(90)).await.unwrap();
    let start = store.progress(run).await.unwrap();
    let batches = (0..BATCHES).map(|no| (no, Expected::default())).collect();
    let mut model = Model { now: 100, calls: 0, batches };
    for step in steps {
        take(store, run, step, &mut model).await;
        assert_eq!(store.progress(run).await.unwrap(), model.progress(start), "after {step:?}");
    }
    for batch in store.batches(run, None, BATCHES).await.unwrap() {
        assert_eq!(batch.state, model.state(batch.no.0));
        assert_eq!(batch.results, model.batches[&batch.no.0].results);
    }
    let letters = LetterFilter { run: Some(run), ..LetterFilter::default() };
    store.discard_letters(&letters, &Actor::program(), "done", at(model.now)).await.unwrap();
}

pub(super) async fn counts_equal_a_recount_after_anything(world: &World) {
    let handle = Handle::current();
    let mut number = 0;
    let cases = std::cell::RefCell::new(&mut number);
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let outcome = tokio::task::block_in_place(|| {
        runner.run(&proptest::collection::vec(step(), 1..40), |steps| {
            let number = {
                let mut cases = cases.borrow_mut();
                **cases = u8::wrapping_add(**cases, 1);
                **cases
            };
            handle.block_on(play(world, &steps, number));
            Ok(())
        })
    });
    outcome.unwrap_or_else(|e| panic!("{e}"));
}
