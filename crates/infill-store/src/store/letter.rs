//! Dead letters: rows that will not be tried again by themselves.

use infill_model::row::Cause;
use infill_model::{BatchNo, Properties, RecordId, RunId, Stage, Timestamp};
use serde::{Deserialize, Serialize};

/// A dead letter to record. One open letter per (run, record): another adds an attempt to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewLetter {
    /// The record.
    pub record: RecordId,
    /// The stage it failed in.
    pub stage: Stage,
    /// Why.
    pub cause: Cause,
    /// What was to be written.
    pub wanted: Properties,
    /// The before-image.
    pub before: Properties,
}

/// A dead letter as stored.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Its id, growing.
    pub id: i64,
    /// The run.
    pub run: RunId,
    /// The batch.
    pub batch: BatchNo,
    /// What happened.
    pub letter: NewLetter,
    /// How often it failed.
    pub attempts: u32,
    /// What became of it.
    pub status: LetterStatus,
    /// First failure.
    pub first_at: Timestamp,
    /// Latest failure or change.
    pub last_at: Timestamp,
}

/// What became of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LetterStatus {
    /// Waiting for a person.
    Open,
    /// Its row was tried again.
    Retried,
    /// A person gave it up.
    Discarded,
}

impl LetterStatus {
    /// The wire value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Retried => "retried",
            Self::Discarded => "discarded",
        }
    }
}

/// Which dead letters. Everything given must match.
#[derive(Clone, Debug, Default)]
pub struct LetterFilter {
    /// One letter.
    pub id: Option<i64>,
    /// Of one run.
    pub run: Option<RunId>,
    /// With this code.
    pub code: Option<String>,
    /// With this status.
    pub status: Option<LetterStatus>,
}
