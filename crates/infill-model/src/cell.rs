//! A cell: what one action produced for one row.

use serde::{Deserialize, Serialize};

use crate::id::ActionId;
use crate::properties::Properties;

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
    /// Named outputs; empty unless complete. As small as properties: a large batch has a cell for each action of each row.
    #[serde(default, skip_serializing_if = "Properties::is_empty")]
    pub outputs: Properties,
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
