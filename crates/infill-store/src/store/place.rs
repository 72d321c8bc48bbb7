//! Where a record stands among the rows of all runs.

use infill_model::{BatchNo, RunId};

/// A batch of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The run.
    pub run: RunId,
    /// The batch.
    pub batch: BatchNo,
}
