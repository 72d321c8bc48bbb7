//! Pauses: of a run, or of a connection with all its runs. What that means for work is said at the methods of the store.

use infill_model::{Actor, ConnectionName, RunId, RunState, Timestamp};
use serde::Serialize;

use crate::store::Run;

/// What can be paused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pausable {
    /// One run.
    Run(RunId),
    /// A connection, with every run on it, those to come as well.
    Connection(ConnectionName),
}

/// That nothing new is begun until somebody ends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Paused {
    /// Since when.
    pub at: Timestamp,
    /// Who paused it.
    pub by: Actor,
}

impl Paused {
    /// From two columns that are both there or both not.
    pub(crate) fn read(at: Option<Timestamp>, by: Option<String>) -> Option<Self> {
        Some(Self { at: at?, by: by?.into() })
    }
}

impl Run {
    /// Whether nothing new of it is begun: it is paused, or its connection is. One that is being cancelled goes on to its end.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        let has_pause = self.paused.is_some() || self.connection_paused.is_some();
        has_pause && self.state != RunState::Cancelling && !self.state.is_final()
    }
}

/// As [`Run::is_paused`], over the columns of `runs`.
macro_rules! is_paused {
    () => {
        "(state <> 'cancelling' AND ended_at IS NULL \
         AND (paused_at IS NOT NULL OR connection IN (SELECT name FROM paused_connections)))"
    };
}
pub(crate) use is_paused;
