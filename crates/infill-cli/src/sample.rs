//! What the tests of commands work on: a store with one run, two batches and three rows.

use std::ops::Deref;
use std::sync::Arc;

use infill_model::letter::{Exchange, SharedCause};
use infill_model::row::{Cause, RowState};
use infill_model::slice::Selection;
use infill_model::{
    BatchNo, ChunkNo, Class, Clock, Outcome, Plan, Properties, Row, RowResult, RunId, RunState, Stage,
    Timestamp, Value,
};
use infill_store::store::{
    BatchSave, BatchState, Lease, Leased, Listing, ListingStep, NewBatch, NewLetter, NewRun, Progress, Run,
    Saved,
};
use infill_store::{Sqlite, Store};
use serde_json::json;

/// A store in a folder that goes when the test ends.
pub(crate) struct Kept {
    store: Arc<dyn Store>,
    _folder: tempfile::TempDir,
}

impl Deref for Kept {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        self.store.as_ref()
    }
}

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        now()
    }
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_millisecond(1_788_000_000_000).unwrap()
}

pub(crate) fn plan() -> Plan {
    let text = "{name: Phones, connection: main, source: {object: contacts, list: 42}, inputs: [phone], \
                writeback: {properties: [{name: phone, value: '{{input.phone}}'}]}}";
    let plan = infill_model::plan::parse::parse(text, "plan.yaml").unwrap();
    assert!(matches!(plan.source.selection(), Some(Selection::List(_))));
    plan
}

/// A run that is in no store.
pub(crate) fn run(state: RunState) -> Run {
    Run {
        id: RunId::new(now(), [7; 10]),
        plan: Arc::new(plan()),
        state,
        cause: None,
        parked: None,
        paused: None,
        connection_paused: None,
        cap: None,
        in_flight: 8,
        is_dry: false,
        released: None,
        touched_at: None,
        slice: None,
        listing: Listing::default(),
        compiled: None,
        progress: Progress::default(),
        warnings: Vec::new(),
        created_at: now(),
        ended_at: None,
        purged_at: None,
    }
}

pub(crate) fn cause(message: &str) -> Cause {
    Cause {
        class: Class::Rejected,
        code: "INVALID".into(),
        message: message.into(),
        property: None,
        correlation_id: None,
        at: None,
    }
}

fn phone(value: &str) -> Properties {
    let value = if value.is_empty() { Value::Null } else { json!(value) };
    Properties::from([("phone".into(), value)])
}

fn row(record: &str, value: &str) -> Row {
    Row {
        record: record.into(),
        inputs: phone(value),
        before: phone(value),
        gone: None,
        refused: None,
        same_as: None,
    }
}

/// Row 101 is verified, 102 failed and has an open letter (its values try to drive the terminal), 103 is not begun.
pub(crate) async fn store_with_rows() -> (Kept, Run) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("infill.db");
    let store: Arc<dyn Store> = Arc::new(Sqlite::open(path, None, Arc::new(Still)).await.unwrap());
    let id = RunId::new(now(), [7; 10]);
    let new = NewRun {
        id,
        plan: plan(),
        cap: None,
        in_flight: 8,
        slice: None,
        is_dry: false,
        created_at: now(),
        by: "ann@desk".into(),
    };
    store.create_run(&new).await.unwrap();
    let records = ["101", "102", "103"].map(Into::into).to_vec();
    let listing = Listing { done: true, ids: 3, chunks: 1, ..Listing::default() };
    let step = ListingStep { from: (0, 0), to: listing, chunks: vec![records] };
    assert!(store.freeze(id, &step).await.unwrap());
    let batch = |no, rows| NewBatch { no: BatchNo(no), rows, pulled_at: now() };
    let batches =
        [batch(0, vec![row("101", "(202) 225-2801"), row("102", "")]), batch(1, vec![row("103", "1")])];
    store.store_chunk(id, ChunkNo(0), &batches, now()).await.unwrap();

    let until = now() + jiff::Span::new().minutes(2);
    let lease = Lease { owner: 1, until };
    let leased = store.lease_batch(id, BatchNo(0), &lease, false, None, now()).await.unwrap();
    assert!(matches!(leased, Leased::Yours(_)));
    let refused = cause("Zoë's \"phone\", is no number");
    let wanted = phone("1\u{1b}[2J");
    let results = [
        RowResult {
            wanted: phone("+12022252801"),
            state: RowState::Settled(Outcome::Verified),
            ..RowResult::default()
        },
        RowResult {
            wanted: wanted.clone(),
            state: RowState::Settled(Outcome::Failed),
            cause: Some(refused.clone()),
            ..RowResult::default()
        },
    ];
    let letter = NewLetter {
        record: "102".into(),
        stage: Stage::Run,
        cause: refused,
        shared: SharedCause { id: "8c1d2f3a".into(), message: "Zoë's <value>, is no number".into() },
        wanted,
        before: phone(""),
        found: phone("theirs"),
        exchange: Some(Exchange {
            request: "POST /batch/update".into(),
            sent: r#"{"id":"102"}"#.into(),
            status: 400,
            answered: r#"{"message":"no"}"#.into(),
        }),
    };
    let save = BatchSave {
        results: &results,
        has_produced: true,
        state: BatchState::Settled,
        keep_lease: false,
        letters: &[letter],
        memory: None,
        calls: 2,
        now: now(),
    };
    let saved = store.save_batch(id, BatchNo(0), &lease, &save).await.unwrap();
    assert!(matches!(saved, Saved::Yes(_)));
    let run = store.run(id).await.unwrap().unwrap();
    (Kept { store, _folder: folder }, run)
}
