//! Effects: what an action of a chain makes once for a row.

use infill_model::{ActionId, RecordId, RunId, Timestamp};

/// The named outputs of an action.
pub type Outputs = serde_json::Map<String, serde_json::Value>;

/// What names an effect: an action makes something once for a row of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectKey {
    /// The run.
    pub run: RunId,
    /// The row.
    pub record: RecordId,
    /// The action.
    pub action: ActionId,
}

impl std::fmt::Display for EffectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.run, self.record, self.action)
    }
}

/// What was known of an effect that is to begin.
#[derive(Clone, Debug, PartialEq)]
pub enum Begun {
    /// Nothing: it begins now.
    Now,
    /// It was begun, and nobody knows whether it was made.
    Before {
        /// When it was first begun.
        at: Timestamp,
    },
    /// It was made, and gave this.
    Done(Outputs),
}
