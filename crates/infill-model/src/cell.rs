//! A cell: what one action produced for one row.

use serde::{Deserialize, Serialize};

use crate::id::ActionId;
use crate::value::Value;

/// The state of a cell. Words of the public action pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CellStatus {
    /// Not reached.
    Queued,
    /// Under way.
    Running,
    /// Done.
    Complete,
    /// The action says no: bad data.
    Failed,
    /// The action broke.
    Error,
    /// Its condition was not met.
    ConditionNotMet,
}

/// What one action produced for one row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The action.
    pub action: ActionId,
    /// How it ended.
    pub status: CellStatus,
    /// Named outputs; empty unless complete.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub outputs: serde_json::Map<String, Value>,
    /// Why it did not complete; always there for `failed` and `error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<CellError>,
}

/// Why a cell failed: always a code and a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellError {
    /// Stable, such as `script_threw`, `script_timeout`, `script_out_of_memory`, `not_a_number`.
    pub code: String,
    /// For a person; says what happened and the way out.
    pub message: String,
}
