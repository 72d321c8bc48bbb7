//! `infill why` and `infill purge`: looking back, and letting go.

use clap::Args;
use infill_model::{ConnectionName, ObjectType, PropertyName, RecordId};

use super::{Format, RunRef};
use crate::age::Age;

/// `infill why`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Why {
    /// The connection, as the configuration names it
    #[arg(value_name = "CONNECTION")]
    pub(crate) connection: ConnectionName,
    /// The kind of record, as plans name it
    #[arg(value_name = "OBJECT")]
    pub(crate) object: ObjectType,
    /// The record's id
    #[arg(value_name = "RECORD")]
    pub(crate) record: RecordId,
    /// Only this property [default: every property that a run wrote]
    #[arg(value_name = "PROPERTY")]
    pub(crate) property: Option<PropertyName>,
    /// How the answer is printed
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// `infill purge`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Purge {
    /// Which runs.
    #[command(flatten)]
    pub(crate) which: WhichRuns,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// Which runs are purged.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct WhichRuns {
    /// The run: an id, its first or last characters, or `latest`
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<RunRef>,
    /// All runs that ended longer ago than this, as in 90d or 12w; those with open dead letters stay
    #[arg(long, value_name = "AGE")]
    pub(crate) older_than: Option<Age>,
}
