//! What a commit survives, the same on both engines: a sync to the disk costs more than all the rest of a save, so only what
//! cannot be found out again waits for one.

use infill_model::RowResult;
use infill_model::row::RowState;

/// What a commit survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Commit {
    /// The death of any program of ours. A power cut, or the death of the database server, may undo the last few, always from the
    /// end; what they held is then done again.
    Ordered,
    /// A power cut as well, together with everything committed before.
    Durable,
}

impl Commit {
    /// What the save of a result page needs. What is about to be written must be known after a power cut, or the before-image
    /// of a written row could be lost with it. Everything that follows a write can be found out again.
    pub(crate) fn of_save(results: &[RowResult]) -> Self {
        let intends = results.iter().any(|result| matches!(result.state, RowState::Intended));
        if intends { Self::Durable } else { Self::Ordered }
    }
}
