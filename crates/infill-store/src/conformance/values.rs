//! Values that the tests store.

use infill_model::error::Class;
use infill_model::letter::{Exchange, SharedCause};
use infill_model::message::Work;
use infill_model::row::{Cause, RowState};
use infill_model::{
    BatchNo, ChunkNo, Outcome, Plan, Properties, RecordId, Row, RowResult, RunId, RunState, Stage, Timestamp,
};
use serde_json::json;

use super::World;
use crate::Store;
use crate::store::{
    BatchSave, BatchState, Lease, Leased, Listing, ListingStep, NewBatch, NewLetter, NewRun, Reopen, Saved,
    UnitKind,
};

/// A moment, in seconds.
pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// The run of this number.
pub(super) fn run_id(number: u8) -> RunId {
    RunId::new(at(i64::from(number)), [number; 10])
}

pub(super) fn plan(name: &str) -> Plan {
    serde_json::from_value(json!({
        "name": name,
        "connection": "main",
        "source": { "object": "contacts", "list": "42" },
        "inputs": ["firstname"],
        "writeback": { "properties": [{ "name": "note", "value": "{{input.firstname}}" }] },
    }))
    .unwrap()
}

pub(super) fn new_run(number: u8) -> NewRun {
    NewRun {
        id: run_id(number),
        plan: plan("Notes"),
        cap: Some(5),
        in_flight: 3,
        slice: None,
        is_dry: false,
        created_at: at(i64::from(number)),
        by: "ann@desk".into(),
    }
}

pub(super) fn cause(code: &str) -> Cause {
    Cause {
        class: Class::Rejected,
        code: code.to_owned(),
        message: "the \"value\" is not one of the options\0".to_owned(),
        property: Some("note".to_owned()),
        correlation_id: None,
        at: Some(at(0)),
    }
}

pub(super) fn letter(record: &str, code: &str) -> NewLetter {
    NewLetter {
        record: record.into(),
        stage: Stage::Run,
        cause: cause(code),
        shared: SharedCause {
            id: format!("id of {code}").replace('\0', "").into(),
            message: "the <value>".to_owned(),
        },
        wanted: [("note".into(), json!("Hi"))].into(),
        before: [("note".into(), json!(null))].into(),
        found: [("note".into(), json!("theirs"))].into(),
        exchange: Some(Exchange {
            request: "POST /batch/update".to_owned(),
            sent: "{\"id\":\"1\"}\0".to_owned(),
            status: 400,
            answered: "no".to_owned(),
        }),
    }
}

/// A person who tries rows again, as they were, at a second.
pub(super) fn as_is(second: i64) -> Reopen {
    Reopen { set: Properties::new(), by: "ann@office".into(), now: at(second) }
}

/// The record in this place of this batch.
pub(super) fn record(batch: u32, place: usize) -> RecordId {
    format!("{batch}-{place}").into()
}

pub(super) fn row(record: RecordId) -> Row {
    Row {
        record,
        inputs: [("firstname".into(), json!("O'Brien \"Zoë\" 李\n\u{0}\u{1f600}`${x}`"))].into(),
        before: [("note".into(), json!("was \u{0}"))].into(),
        gone: None,
        refused: None,
        same_as: None,
    }
}

pub(super) fn new_batch(no: u32, n_rows: usize) -> NewBatch {
    let rows = (0..n_rows).map(|place| row(record(no, place))).collect();
    NewBatch { no: BatchNo(no), rows, pulled_at: at(7) }
}

/// A result in this state, with something wanted.
pub(super) fn result(state: RowState) -> RowResult {
    RowResult { wanted: [("note".into(), json!("Hi"))].into(), state, ..RowResult::default() }
}

/// A result page of these outcomes.
pub(super) fn settled(outcomes: &[Outcome]) -> Vec<RowResult> {
    outcomes.iter().map(|outcome| result(RowState::Settled(*outcome))).collect()
}

/// A lease of a minute from the second 100 on.
pub(super) fn lease(owner: u64) -> Lease {
    Lease { owner, until: at(160) }
}

pub(super) fn save(results: &[RowResult], state: BatchState) -> BatchSave<'_> {
    BatchSave {
        results,
        has_produced: true,
        state,
        keep_lease: false,
        letters: &[],
        memory: None,
        calls: 1,
        now: at(110),
    }
}

impl World {
    /// A run whose slice is frozen in chunks of one id each and read into batches of two rows each.
    pub(super) async fn run_with_batches(&self, number: u8, n: u32) -> RunId {
        let run = run_id(number);
        self.store.create_run(&new_run(number)).await.unwrap();
        let chunks = (0..n).map(|no| vec![record(no, 0), record(no, 1)]).collect();
        let to = Listing { ids: u64::from(n) * 2, chunks: n, done: true, ..Listing::default() };
        let step = ListingStep { from: (0, 0), to, chunks };
        assert!(self.store.freeze(run, &step).await.unwrap());
        for no in 0..n {
            self.store.store_chunk(run, ChunkNo(no), &[new_batch(no, 2)], at(50)).await.unwrap();
        }
        run
    }

    /// As [`World::run_with_batches`], running, with nothing claimed.
    pub(super) async fn starved(&self, number: u8, n: u32) -> RunId {
        let run = self.run_with_batches(number, n).await;
        let from = [RunState::SourceSync];
        assert!(self.store.move_run(run, &from, RunState::Running, None, at(50)).await.unwrap());
        run
    }

    /// As [`World::starved`], with every batch claimed.
    pub(super) async fn running(&self, number: u8, n: u32) -> RunId {
        let run = self.starved(number, n).await;
        self.store.claim(run, UnitKind::Batch, "planner", n, at(95)).await.unwrap();
        run
    }

    /// Leases a batch and saves these outcomes for it.
    pub(super) async fn settle(&self, run: RunId, batch: u32, outcomes: &[Outcome], letters: &[NewLetter]) {
        let batch = BatchNo(batch);
        let lease = lease(7);
        let leased = self.store.lease_batch(run, batch, &lease, false, None, at(100)).await.unwrap();
        assert!(matches!(leased, Leased::Yours(_)), "{leased:?}");
        let results = settled(outcomes);
        let save = BatchSave { letters, ..save(&results, BatchState::Settled) };
        let saved = self.store.save_batch(run, batch, &lease, &save).await.unwrap();
        assert!(matches!(saved, Saved::Yes(_)), "{saved:?}");
    }

    /// Work of one run that nobody has touched since a second.
    pub(super) async fn stale(&self, run: RunId, before: i64) -> Vec<Work> {
        let found = self.store.stale_work(Some(run), at(before), 100).await.unwrap();
        assert!(found.iter().all(|(of, _)| *of == run));
        found.into_iter().map(|(_, work)| work).collect()
    }
}

/// Does `work` with the store as `n` programs would, all at once.
pub(super) async fn at_once<T>(n: u64, work: impl AsyncFn(u64) -> T) -> Vec<T> {
    futures::future::join_all((0..n).map(|i| work(i))).await
}

/// How many are true.
pub(super) fn count_true(answers: &[bool]) -> usize {
    answers.iter().filter(|yes| **yes).count()
}

/// The batch of a lease that was given.
pub(super) async fn leased(store: &dyn Store, run: RunId, batch: u32, lease: Lease) -> crate::store::Batch {
    match store.lease_batch(run, BatchNo(batch), &lease, true, None, at(100)).await.unwrap() {
        Leased::Yours(batch) => batch,
        other @ (Leased::AsKnown | Leased::Busy { .. } | Leased::Missing) => panic!("not leased: {other:?}"),
    }
}
