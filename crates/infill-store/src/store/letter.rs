//! Dead letters: rows that will not be tried again by themselves.

use infill_model::letter::{Exchange, SharedCause};
use infill_model::row::Cause;
use infill_model::{
    Actor, BatchNo, CauseId, ConnectionName, Properties, PropertyName, RecordId, RunId, Stage, Timestamp,
};
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
    /// What of the cause it shares with other letters; kept apart, to find them by.
    #[serde(skip)]
    pub shared: SharedCause,
    /// What was to be written.
    pub wanted: Properties,
    /// The before-image.
    pub before: Properties,
    /// What the CRM held at the last look, where there was one.
    #[serde(default, skip_serializing_if = "Properties::is_empty")]
    pub found: Properties,
    /// What was asked of the CRM and what it answered, where the row failed on an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<Exchange>,
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
    /// Of one cause.
    pub cause: Option<CauseId>,
    /// With this code.
    pub code: Option<String>,
    /// About this property.
    pub property: Option<PropertyName>,
    /// Of one run.
    pub run: Option<RunId>,
    /// Of runs of plans with this name.
    pub plan_name: Option<String>,
    /// Of runs on this connection.
    pub connection: Option<ConnectionName>,
    /// Failed or changed at this moment or later.
    pub since: Option<Timestamp>,
    /// With this status.
    pub status: Option<LetterStatus>,
}

/// The dead letters of one cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterCause {
    /// What they share.
    pub shared: SharedCause,
    /// Their code.
    pub code: String,
    /// The property at fault, where known.
    pub property: Option<String>,
    /// How many there are.
    pub n_letters: u64,
    /// The first failure.
    pub first_at: Timestamp,
    /// The latest failure or change.
    pub last_at: Timestamp,
    /// One of them.
    pub example: i64,
}

/// How rows of dead letters are tried again in their own run.
#[derive(Clone, Debug)]
pub struct Reopen {
    /// Values to write in place of what was wanted; when there are none, the rows are evaluated again.
    pub set: Properties,
    /// Who wants it.
    pub by: Actor,
    /// When.
    pub now: Timestamp,
}

/// Something that happened to a dead letter.
#[derive(Clone, Debug, PartialEq)]
pub struct LetterEvent {
    /// The letter: the one asked for, or one whose row was tried again in the run of that.
    pub letter: i64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: LetterChange,
}

/// What happened to a dead letter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum LetterChange {
    /// Its row failed.
    Failed {
        /// Why.
        cause: Cause,
    },
    /// Its row was tried again.
    Retried {
        /// By whom.
        by: Actor,
        /// With these values in place of what was wanted.
        #[serde(default, skip_serializing_if = "Properties::is_empty")]
        set: Properties,
        /// In another run than the letter's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        into: Option<RunId>,
    },
    /// It was given up.
    Discarded {
        /// By whom.
        by: Actor,
        /// Why.
        why: String,
    },
}
