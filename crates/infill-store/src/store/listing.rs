//! The listing of a run's ids: how far it is, and the chunks that it is cut into.

use infill_model::{PropertyName, RecordId};
use serde::{Deserialize, Serialize};

/// How far the listing of ids is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// Where the connector goes on; `None` at the start and at the end.
    pub cursor: Option<String>,
    /// Every page is stored.
    pub done: bool,
    /// Ids frozen so far, the tail included.
    pub ids: u64,
    /// Chunks cut so far.
    pub chunks: u32,
    /// Ids that do not fill a chunk yet.
    pub tail: Vec<RecordId>,
    /// The last id frozen: listings ascend, so an id that does not come after it is a duplicate.
    #[serde(default)]
    pub last: Option<RecordId>,
    /// Ids that an earlier run of the plan has seen, and that are left out.
    #[serde(default)]
    pub left_out: u64,
    /// Rows that batches are cut to, once that is decided: whoever cuts, cuts alike.
    #[serde(default)]
    pub write_batch: Option<u32>,
    /// Properties that are read of every record besides those of the plan, as decided with it.
    #[serde(default)]
    pub besides: Vec<PropertyName>,
}

/// One step of the listing.
#[derive(Clone, Debug)]
pub struct ListingStep {
    /// Where the listing must stand for the step to apply: (ids, chunks).
    pub from: (u64, u32),
    /// Where it stands after.
    pub to: Listing,
    /// Chunks to append, the first numbered `from.1`.
    pub chunks: Vec<Vec<RecordId>>,
}

/// A chunk of frozen ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The ids.
    pub records: Vec<RecordId>,
    /// Its rows are stored.
    pub read: bool,
}
