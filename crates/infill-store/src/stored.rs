//! How values are kept, whatever the engine: JSON as text, counters as signed 64-bit numbers.

mod letter;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use infill_model::outcome::Counts;
use infill_model::row::{GuardCounts, RowState};
use infill_model::seen::Learnt;
use infill_model::slice::Supplied;
use infill_model::{
    BatchNo, CompiledRun, Fingerprint, Outcome, Plan, RecordId, Row, RowResult, RunId, RunState, Timestamp,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use self::letter::{
    LetterColumns, StoredCause, StoredEvent, StoredLetter, cause_columns, history_query, letter_columns,
};
use crate::error::Error;
use crate::page;
use crate::pause::Paused;
use crate::store::{Batch, BatchState, Begun, EffectKey, Listing, NewBatch, Parked, Progress, Run};

/// The columns of [`Tally`] and the two beside it, in the order both engines read them.
macro_rules! progress_columns {
    () => {
        "ids, chunks, chunks_read, listed, n_rows, batches, batches_queued, batches_ran, batches_settled, \
         verified, written, unchanged, skipped, held, differs, failed, gone, guarded_by_read, guarded_by_age, \
         intended, refused, calls, n_same, batches_previewed"
    };
}
pub(crate) use progress_columns;

/// A line of a file of record ids, as it is kept.
pub(crate) struct StoredSupplied {
    pub(crate) record: String,
    pub(crate) line: i64,
    pub(crate) inputs: String,
    pub(crate) fault: Option<String>,
}

impl StoredSupplied {
    pub(crate) fn new(supplied: &Supplied) -> Result<Self, Error> {
        Ok(Self {
            record: supplied.record.as_str().to_owned(),
            line: signed(supplied.line),
            inputs: encode(&supplied.inputs)?,
            fault: supplied.fault.as_ref().map(encode).transpose()?,
        })
    }

    pub(crate) fn read(self, run: RunId) -> Result<Supplied, Error> {
        let what = "a line of a file of ids";
        Ok(Supplied {
            record: self.record.into(),
            line: unsigned(self.line),
            inputs: decode(what, run, &self.inputs)?,
            fault: self.fault.as_deref().map(|fault| decode(what, run, fault)).transpose()?,
        })
    }
}

/// What is known of an effect that was noted before.
pub(crate) fn begun(effect: &EffectKey, at: Timestamp, outputs: Option<&str>) -> Result<Begun, Error> {
    let outputs = outputs.map(|outputs| decode("what an action gave", effect.run, outputs)).transpose()?;
    Ok(outputs.map_or(Begun::Before { at }, Begun::Done))
}

/// Keeps a value as JSON.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value)
        .map_err(|e| Error::Query { operation: "write a value as JSON", source: e.into() })
}

/// Reads a value back.
pub(crate) fn decode<T: DeserializeOwned>(what: &'static str, run: RunId, text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|e| Error::Corrupt { what, run, source: e.into() })
}

/// Reads a source page.
pub(crate) fn source_page(run: RunId, text: &str) -> Result<Vec<Row>, Error> {
    page::read_rows(text).map_err(|e| Error::Corrupt { what: "a source page", run, source: e.into() })
}

/// Reads a result page with the states beside it.
pub(crate) fn result_page(run: RunId, produced: &str, states: &str) -> Result<Vec<RowResult>, Error> {
    page::read_results(produced, states).map_err(|e| Error::Corrupt {
        what: "a result page",
        run,
        source: e.into(),
    })
}

/// A number as databases have them; numbers of ours stay far below the bound.
pub(crate) fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// A counter read back; the schema keeps it from going below zero.
pub(crate) fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

/// A small counter or ordinal read back.
pub(crate) fn small(n: i64) -> u32 {
    u32::try_from(n.max(0)).unwrap_or(u32::MAX)
}

/// A page's length.
pub(crate) fn len<T>(items: &[T]) -> u64 {
    u64::try_from(items.len()).unwrap_or(u64::MAX)
}

/// What is counted of rows, in the order of the columns: of settled ones the outcomes as in [`Outcome::ALL`] and the guards by
/// read and by age; then those that are intended and those that are refused.
pub(crate) type Counted = [i64; 12];

/// Counts a result page.
pub(crate) fn tally(results: &[RowResult]) -> Counted {
    let settled = || results.iter().filter(|result| result.outcome().is_some());
    let counts: Counts = settled().filter_map(RowResult::outcome).collect();
    let guards: GuardCounts = settled().filter_map(|result| result.guarded_by).collect();
    let in_state = |state| {
        let rows = results.iter().filter(|result| result.state == state);
        i64::try_from(rows.count()).unwrap_or(i64::MAX)
    };
    let [verified, written, unchanged, skipped, held, differs, failed, gone] =
        Outcome::ALL.map(|outcome| signed(counts.of(outcome)));
    let (by_read, by_age) = (signed(guards.by_read), signed(guards.by_age));
    let (intended, refused) = (in_state(RowState::Intended), in_state(RowState::Refused));
    [verified, written, unchanged, skipped, held, differs, failed, gone, by_read, by_age, intended, refused]
}

/// How far counts move from one page to the next.
pub(crate) fn moved(from: Counted, to: Counted) -> Counted {
    let mut moved = to;
    moved.iter_mut().zip(from).for_each(|(to, from)| *to -= from);
    moved
}

/// The outcomes among counts read back.
pub(crate) fn counts(
    [verified, written, unchanged, skipped, held, differs, failed, gone, ..]: Counted,
) -> Counts {
    Counts {
        verified: unsigned(verified),
        written: unsigned(written),
        unchanged: unsigned(unchanged),
        skipped: unsigned(skipped),
        held: unsigned(held),
        differs: unsigned(differs),
        failed: unsigned(failed),
        gone: unsigned(gone),
    }
}

/// The columns of [`progress_columns`] as read.
pub(crate) struct Tally {
    pub(crate) ids: i64,
    pub(crate) chunks: i64,
    pub(crate) chunks_read: i64,
    pub(crate) listed: bool,
    pub(crate) rows: i64,
    pub(crate) batches: i64,
    pub(crate) queued: i64,
    pub(crate) ran: i64,
    pub(crate) settled: i64,
    pub(crate) counts: Counted,
    pub(crate) calls: i64,
    pub(crate) same: i64,
    pub(crate) previewed: i64,
}

impl From<Tally> for Progress {
    fn from(tally: Tally) -> Self {
        let [.., by_read, by_age, intended, refused] = tally.counts;
        Self {
            ids: unsigned(tally.ids),
            chunks: small(tally.chunks),
            chunks_read: small(tally.chunks_read),
            listed: tally.listed,
            rows: unsigned(tally.rows),
            same: unsigned(tally.same),
            batches: small(tally.batches),
            batches_ran: small(tally.ran.saturating_add(tally.settled)),
            batches_settled: small(tally.settled),
            batches_in_flight: small(tally.queued.saturating_add(tally.ran)),
            batches_previewed: small(tally.previewed),
            intended: unsigned(intended),
            refused: unsigned(refused),
            counts: counts(tally.counts),
            guarded: GuardCounts { by_read: unsigned(by_read), by_age: unsigned(by_age) },
            calls: unsigned(tally.calls),
        }
    }
}

/// The columns of a run as read. `plan` and `compiled` are left out of the query when the cache has them.
pub(crate) struct StoredRun {
    pub(crate) id: RunId,
    pub(crate) plan: Option<String>,
    pub(crate) state: String,
    pub(crate) cause: Option<String>,
    pub(crate) parked_until: Option<Timestamp>,
    pub(crate) parked_why: Option<String>,
    pub(crate) cap: Option<i64>,
    pub(crate) in_flight: i64,
    pub(crate) is_dry: bool,
    pub(crate) released: Option<String>,
    pub(crate) touched_at: Option<Timestamp>,
    pub(crate) slice: Option<String>,
    pub(crate) compiled: Option<String>,
    pub(crate) warnings: String,
    pub(crate) created_at: Timestamp,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) purged_at: Option<Timestamp>,
    pub(crate) listing: Option<String>,
    pub(crate) paused: Option<Paused>,
    pub(crate) connection_paused: Option<Paused>,
    pub(crate) progress: Progress,
}

impl StoredRun {
    /// The run, with what never changes taken from `known` where it is there.
    pub(crate) fn read(self, known: Immutable) -> Result<Run, Error> {
        let Self { id, progress, .. } = self;
        let plan = match (known.plan, self.plan) {
            (Some(plan), _) => plan,
            (None, text) => Arc::new(decode("the plan", id, &text.unwrap_or_default())?),
        };
        let compiled = match (known.compiled, self.compiled) {
            (Some(compiled), _) => Some(compiled),
            (None, text) => text.map(|text| decode("the compiled run", id, &text)).transpose()?.map(Arc::new),
        };
        let parked = match (self.parked_until, self.parked_why) {
            (Some(until), Some(why)) => {
                Some(Parked { until, why: decode("the reason of the park", id, &why)? })
            }
            (Some(_) | None, _) => None,
        };
        Ok(Run {
            id,
            plan,
            state: run_state(id, &self.state)?,
            cause: self.cause.map(|text| decode("the cause", id, &text)).transpose()?,
            parked,
            paused: self.paused,
            connection_paused: self.connection_paused,
            cap: self.cap.map(unsigned),
            in_flight: small(self.in_flight),
            is_dry: self.is_dry,
            released: self.released.map(|text| decode("the release", id, &text)).transpose()?,
            touched_at: self.touched_at,
            slice: self.slice.map(|text| decode("the slice", id, &text)).transpose()?,
            listing: self
                .listing
                .map_or_else(|| Ok(Listing::default()), |text| decode("the listing", id, &text))?,
            compiled,
            progress,
            warnings: decode("the warnings", id, &self.warnings)?,
            created_at: self.created_at,
            ended_at: self.ended_at,
            purged_at: self.purged_at,
        })
    }
}

/// Reads a run state.
pub(crate) fn run_state(run: RunId, text: &str) -> Result<RunState, Error> {
    text.parse().map_err(|e: String| Error::Corrupt { what: "the state", run, source: e.into() })
}

/// When a released run was last touched: a canary never, so that whoever looks for runs that nobody has begun finds it at once;
/// the batches of a running one are looked for by themselves.
pub(crate) fn released_at(to: RunState, now: Timestamp) -> Option<Timestamp> {
    (to != RunState::Canary).then_some(now)
}

/// States as stored.
pub(crate) fn wire(states: &[RunState]) -> Vec<&'static str> {
    states.iter().map(|state| state.as_str()).collect()
}

/// The columns of a batch as read.
pub(crate) struct StoredBatch {
    pub(crate) no: i64,
    pub(crate) state: String,
    pub(crate) source: String,
    pub(crate) results: String,
    pub(crate) states: String,
    pub(crate) pulled_at: Timestamp,
    pub(crate) saved_at: Option<Timestamp>,
    pub(crate) revision: i64,
    pub(crate) job: Option<String>,
}

impl StoredBatch {
    pub(crate) fn read(self, run: RunId) -> Result<Batch, Error> {
        let rows = Arc::new(source_page(run, &self.source)?);
        // The text of a large batch is not kept beside what is read of it.
        drop(self.source);
        Ok(Batch {
            no: BatchNo(small(self.no)),
            state: batch_state(run, &self.state)?,
            rows,
            results: result_page(run, &self.results, &self.states)?,
            pulled_at: self.pulled_at,
            saved_at: self.saved_at,
            revision: unsigned(self.revision),
            job: self.job,
        })
    }
}

/// Reads a batch state.
pub(crate) fn batch_state(run: RunId, text: &str) -> Result<BatchState, Error> {
    [BatchState::Pending, BatchState::Queued, BatchState::Ran, BatchState::Previewed, BatchState::Settled]
        .into_iter()
        .find(|state| state.as_str() == text)
        .ok_or_else(|| Error::Corrupt {
            what: "the state of a batch",
            run,
            source: format!("unknown batch state \"{text}\"").into(),
        })
}

/// What is remembered of records as columns, in the order of the records: two saves at once that change the same ones then wait for
/// one another rather than each for what the other holds.
#[derive(Clone, Default)]
pub(crate) struct MemoryColumns {
    pub(crate) records: Vec<String>,
    pub(crate) fingerprints: Vec<String>,
    pub(crate) dropped: Vec<String>,
}

impl MemoryColumns {
    pub(crate) fn new(learnt: &Learnt) -> Self {
        let by_record: BTreeMap<&RecordId, &Fingerprint> =
            learnt.kept.iter().map(|(record, fingerprint)| (record, fingerprint)).collect();
        let mut dropped: Vec<String> = learnt.dropped.iter().map(ToString::to_string).collect();
        dropped.sort_unstable();
        Self {
            records: by_record.keys().map(ToString::to_string).collect(),
            fingerprints: by_record.values().map(ToString::to_string).collect(),
            dropped,
        }
    }
}

/// The smallest and the largest record id of a page, as [`sought`] spells them; empty for an empty page.
pub(crate) fn bounds(rows: &[Row]) -> (String, String) {
    let ids = || rows.iter().map(|row| sought(&row.record));
    (ids().min().unwrap_or_default(), ids().max().unwrap_or_default())
}

/// A record id to search by. PostgreSQL's text has no NUL.
pub(crate) fn sought(record: &RecordId) -> String {
    record.as_str().replace('\0', "\u{fffd}")
}

/// Rows that are left as they are.
pub(crate) fn n_same(batches: &[NewBatch]) -> i64 {
    let rows = batches.iter().flat_map(|batch| &batch.rows);
    i64::try_from(rows.filter(|row| row.same_as.is_some()).count()).unwrap_or(i64::MAX)
}

/// Adds a warning to the stored ones; `None` when it is there already.
pub(crate) fn add_warning(run: RunId, stored: &str, warning: &str) -> Result<Option<String>, Error> {
    let mut warnings: Vec<String> = decode("the warnings", run, stored)?;
    if warnings.iter().any(|known| known == warning) {
        return Ok(None);
    }
    warnings.push(warning.to_owned());
    encode(&warnings).map(Some)
}

/// What of a run never changes once it is there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Immutable {
    pub(crate) plan: Option<Arc<Plan>>,
    pub(crate) compiled: Option<Arc<CompiledRun>>,
}

/// Runs whose immutable parts are kept parsed, so that a message costs no parsing of the plan.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<HashMap<RunId, Immutable>>);

impl Recent {
    /// Runs kept; a worker meets a few at a time, and a forgotten one costs one parse.
    const CAPACITY: usize = 64;

    pub(crate) fn of(&self, run: RunId) -> Immutable {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&run).cloned().unwrap_or_default()
    }

    pub(crate) fn keep(&self, run: &Run) {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if runs.len() >= Self::CAPACITY && !runs.contains_key(&run.id) {
            runs.clear();
        }
        let plan = Some(Arc::clone(&run.plan));
        runs.insert(run.id, Immutable { plan, compiled: run.compiled.clone() });
    }
}
