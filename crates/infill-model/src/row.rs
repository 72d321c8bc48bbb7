//! Rows: one source record within a run, as stored in pages of one batch.
//!
//! A batch has two pages. The source page is written once by `source-sync` and never changes: it holds the
//! inputs and the before-images. The result page is written by `run` and `verify`.

use serde::{Deserialize, Serialize};

use crate::cell::Cell;
use crate::error::Class;
use crate::id::{RecordId, RunId};
use crate::outcome::Outcome;
use crate::time::Timestamp;
use crate::value::Properties;

/// One source record as it was pulled. Immutable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The record.
    pub record: RecordId,
    /// What the chain may read.
    pub inputs: Properties,
    /// The before-image: each target property as it was when pulled, and what tells which options targets take.
    pub before: Properties,
    /// Set when the record was gone already at the pull; then `inputs` and `before` are empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<Gone>,
    /// Why nothing can be done with the row, known before any call: its line of a file names no record. Then `inputs`
    /// and `before` are empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Cause>,
    /// An earlier run that the row went well in with the same inputs: a plan that takes changed records alone does
    /// nothing with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_as: Option<RunId>,
}

/// What became of a record that is no longer there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// The record it was merged into; `None` when deleted.
    pub survivor: Option<RecordId>,
}

/// What happened to one row; the result page holds one for every row of the source page, in its order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RowResult {
    /// What each action produced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cells: Vec<Cell>,
    /// What is to be written, as intended before the first call (rule 3: write once, or write the same).
    #[serde(default, skip_serializing_if = "Properties::is_empty")]
    pub wanted: Properties,
    /// How far the row is.
    #[serde(default)]
    pub state: RowState,
    /// By what it was known, just before the write, that nobody had changed its targets; `None` when nothing was to be
    /// written, or nobody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guarded_by: Option<GuardedBy>,
    /// Why, when it did not settle well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// What the CRM held at the last look, where that matters: `held` and `differs`.
    #[serde(default, skip_serializing_if = "Properties::is_empty")]
    pub found: Properties,
    /// The record it was merged into, for `gone`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub survivor: Option<RecordId>,
}

/// By what a row was guarded just before its write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuardedBy {
    /// Its targets were read again.
    Read,
    /// Its before-image was young enough to be trusted.
    Age,
}

impl GuardedBy {
    /// Every way.
    pub const ALL: [Self; 2] = [Self::Read, Self::Age];

    /// The wire value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Age => "age",
        }
    }
}

/// How many settled rows were guarded just before their write, and by what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GuardCounts {
    /// See [`GuardedBy::Read`].
    pub by_read: u64,
    /// See [`GuardedBy::Age`].
    pub by_age: u64,
}

impl FromIterator<GuardedBy> for GuardCounts {
    fn from_iter<I: IntoIterator<Item = GuardedBy>>(rows: I) -> Self {
        rows.into_iter().fold(Self::default(), |counted, row| match row {
            GuardedBy::Read => Self { by_read: counted.by_read.saturating_add(1), ..counted },
            GuardedBy::Age => Self { by_age: counted.by_age.saturating_add(1), ..counted },
        })
    }
}

/// What a run did to one record, as an undo of the run carries it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Written {
    /// What it wrote.
    pub wrote: Properties,
    /// What these properties held before.
    pub before: Properties,
}

/// How far a row is within its batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowState {
    /// Not evaluated.
    #[default]
    Pending,
    /// Evaluated; `wanted` is to be written.
    Intended,
    /// Evaluated for a preview, and it cannot be written: it fails for its cause when the run goes on.
    Refused,
    /// The CRM confirmed the write of this record's id; to be read back.
    Confirmed,
    /// Done.
    Settled(Outcome),
}

impl RowResult {
    /// The outcome, once there is one.
    #[must_use]
    pub const fn outcome(&self) -> Option<Outcome> {
        match self.state {
            RowState::Settled(outcome) => Some(outcome),
            RowState::Pending | RowState::Intended | RowState::Refused | RowState::Confirmed => None,
        }
    }
}

/// Why a row did not settle well, kept with the vendor's own words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The class.
    pub class: Class,
    /// Stable code: the vendor's where there is one (`INVALID_OPTION`), else ours (`out_of_attempts`).
    pub code: String,
    /// What happened and the way out.
    pub message: String,
    /// The property at fault, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub property: Option<String>,
    /// The vendor's correlation id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}
