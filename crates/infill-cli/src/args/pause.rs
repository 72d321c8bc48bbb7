//! `infill pause` and `infill resume`.

use clap::Args;
use infill_model::ConnectionName;

use super::RunRef;

/// A run, or a connection with every run on it.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Pausable {
    /// The run: an id, its first or last characters, or `latest`
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<RunRef>,
    /// A connection with every run on it, those to come as well
    #[arg(long, value_name = "NAME")]
    pub(crate) connection: Option<ConnectionName>,
}
