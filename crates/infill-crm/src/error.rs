//! What can go wrong with a call, classed once, where the answer is read.

use infill_model::{Class, RecordId, Timestamp};

use crate::exchanged::Exchanged;

/// A call that did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// Decides what happens next.
    pub class: Class,
    /// Stable: the vendor's code or category where there is one, else ours (`connect_failed`, `unreadable_answer`).
    pub code: String,
    /// What happened and the way out, without anything secret.
    pub message: String,
    /// HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// The property at fault, where the vendor names it.
    pub property: Option<String>,
    /// The vendor's correlation id, for its support.
    pub correlation_id: Option<String>,
    /// For `throttled`: when to come back. For `transient`: the earliest the vendor wants to be asked again.
    pub until: Option<Timestamp>,
    /// For `transient`: attempts in all that are worth their cost, where those are fewer than usual.
    pub max_attempts: Option<u32>,
    /// Records the vendor names as the cause of a refusal of the whole batch.
    pub records: Vec<RecordId>,
    /// Whether the vendor may have committed the call all the same.
    pub delivery: Delivery,
    /// What was asked and answered, when there was an answer.
    pub exchanged: Option<Box<Exchanged>>,
}

/// Whether a failed call may have taken effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It certainly did not: refused, or never sent.
    Refused,
    /// It may have: the answer was lost or unreadable. Its rows are unconfirmed and must be read back.
    Unknown,
}

impl Error {
    /// An error of `class`, nothing else known, certain not to have taken effect.
    #[must_use]
    pub fn new(class: Class, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            class,
            code: code.into(),
            message: message.into(),
            status: None,
            property: None,
            correlation_id: None,
            until: None,
            max_attempts: None,
            records: Vec::new(),
            delivery: Delivery::Refused,
            exchanged: None,
        }
    }
}
