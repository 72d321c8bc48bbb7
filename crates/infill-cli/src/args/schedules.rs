//! `infill schedules …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use infill_model::ConnectionName;

use super::Format;

/// `infill schedules`, and what can be done to one.
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Schedules {
    /// What to do; left out, they are listed.
    #[command(subcommand)]
    pub(crate) verb: Option<Verb>,
    /// How the listing is printed
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// What can be done to a schedule.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Verb {
    /// Checks a plan as `infill check` does and has a planner start it by its schedule; replaces the plan if it is there
    Add {
        /// The plan: YAML, or JSON when it ends in .json
        #[arg(value_name = "PLAN")]
        plan: PathBuf,
    },
    /// Starts nothing by this schedule until it is resumed; a run that goes on is not touched
    Pause(Named),
    /// Ends a pause; starts that passed meanwhile are forgotten
    Resume(Named),
    /// Forgets a schedule; its runs stay
    Remove(Named),
}

/// A schedule, as `infill schedules` lists it.
#[derive(Clone, Debug, Args)]
pub(crate) struct Named {
    /// The name of the plan
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// On which connection, when the plan has schedules on several
    #[arg(long, value_name = "CONNECTION")]
    pub(crate) connection: Option<ConnectionName>,
}
