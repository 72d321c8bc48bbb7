//! Batches: the rows that travel together, and the right to work on them.

use std::sync::Arc;

use infill_model::seen::{Learnt, MemoryKey};
use infill_model::{BatchNo, Row, RowResult, Timestamp};
use serde::{Deserialize, Serialize};

use super::{NewLetter, Progress};

/// A batch to store.
#[derive(Clone, Debug)]
pub struct NewBatch {
    /// Its number.
    pub no: BatchNo,
    /// Its source page.
    pub rows: Vec<Row>,
    /// When the values were read.
    pub pulled_at: Timestamp,
}

/// How far a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BatchState {
    /// Stored, waiting for its turn.
    Pending,
    /// Its run message is out.
    Queued,
    /// Written; its verify message is out.
    Ran,
    /// Evaluated for a preview; to be written when the run is released.
    Previewed,
    /// Every row has an outcome.
    Settled,
}

impl BatchState {
    /// The wire value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Queued => "queued",
            Self::Ran => "ran",
            Self::Previewed => "previewed",
            Self::Settled => "settled",
        }
    }
}

/// The right to work on a batch for a while. `owner` fences: a save by a holder whose lease was broken is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Random, one per handling.
    pub owner: u64,
    /// When it lapses.
    pub until: Timestamp,
}

/// The answer to [`Store::lease_batch`](crate::Store::lease_batch).
#[derive(Clone, Debug)]
pub enum Leased {
    /// It is yours.
    Yours(Batch),
    /// It is yours, and as you know it.
    AsKnown,
    /// Somebody else has it.
    Busy {
        /// Until when at most.
        until: Timestamp,
    },
    /// There is no such batch.
    Missing,
}

/// A batch with its pages.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Its number.
    pub no: BatchNo,
    /// How far it is.
    pub state: BatchState,
    /// The source page.
    pub rows: Arc<Vec<Row>>,
    /// The result page, one for each row; empty before the first save.
    pub results: Vec<RowResult>,
    /// When the values were read.
    pub pulled_at: Timestamp,
    /// When the results were last saved.
    pub saved_at: Option<Timestamp>,
    /// One more with each change of the results.
    pub revision: u64,
    /// The job that the CRM has for it.
    pub job: Option<String>,
}

/// What a handler did to a batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchSave<'a> {
    /// The result page.
    pub results: &'a [RowResult],
    /// Whether cells and wanted values are new. Else those that are stored stay, and only what became of the rows is
    /// saved, which is little.
    pub has_produced: bool,
    /// How far the batch is now.
    pub state: BatchState,
    /// Keep the lease: the handler goes on.
    pub keep_lease: bool,
    /// New dead letters.
    pub letters: &'a [NewLetter],
    /// What the plan remembers of these rows, when it does: another save of the same changes nothing.
    pub memory: Option<&'a (MemoryKey, Learnt)>,
    /// CRM calls spent since the last save.
    pub calls: u64,
    /// When.
    pub now: Timestamp,
}

/// The answer to [`Store::save_batch`](crate::Store::save_batch).
#[derive(Clone, Copy, Debug)]
pub enum Saved {
    /// It is stored; the run stands like this.
    Yes(Progress),
    /// The lease was lost: somebody else works on it, nothing was stored.
    LeaseLost,
}
