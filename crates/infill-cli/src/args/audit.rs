//! `infill audit`.

use clap::Args;
use infill_model::Actor;

use super::{Format, RunRef, Since};

/// `infill audit`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Audit {
    /// Only what was done to this run: an id, its first or last characters, or `latest`
    #[arg(long, value_name = "RUN")]
    pub(crate) run: Option<RunRef>,
    /// Only what this person did, as the listing names them; `infill` is the program itself
    #[arg(long, value_name = "WHO")]
    pub(crate) by: Option<Actor>,
    /// Only what was done since then: 2026-09-01, 2026-09-01T12:30, or how long ago, as in 2h or 3d
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<Since>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    /// How the listing is printed
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}
