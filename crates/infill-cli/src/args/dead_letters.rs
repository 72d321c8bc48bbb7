//! `infill dead-letters …`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgGroup, Args, Subcommand};
use infill_model::{CauseId, ConnectionName, PropertyName, Value};

use super::{Format, RunRef, Since, Status};

/// What the help of the whole shows.
pub(super) const EXAMPLES: &str = "\
Examples:
  infill dead-letters                             what waits, by cause
  infill dead-letters list --cause 8c1d2f3a       the letters of a cause
  infill dead-letters show 17                     one of them, with all that is known
  infill dead-letters retry --cause 8c1d2f3a";

/// `infill dead-letters`, and what can be done with them.
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct DeadLetters {
    /// What to do; left out, their causes are listed.
    #[command(subcommand)]
    pub(crate) verb: Option<Verb>,
    /// Which letters.
    #[command(flatten)]
    pub(crate) filters: Filters,
    /// At most this many causes
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    /// How the listing is printed
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// What can be done with dead letters.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Verb {
    /// Lists dead letters, oldest first
    List(List),
    /// Shows one dead letter with all that is known of it
    Show(Show),
    /// Tries rows again whose letters are open; says how many and asks first
    #[command(after_help = "Examples:\n  infill dead-letters retry 17 18\n  \
                      infill dead-letters retry --cause 8c1d2f3a --set lifecyclestage=lead\n  \
                      infill dead-letters retry --plan Greeting --with-plan greeting.yaml\n  \
                      infill dead-letters retry --run latest --code INVALID_OPTION --yes")]
    Retry(Retry),
    /// Gives open letters up; says how many and asks first
    #[command(after_help = "Example:\n  infill dead-letters discard --cause 8c1d2f3a --why \"sold to ACME\"")]
    Discard(Discard),
}

/// Which letters; everything given must fit.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Filters {
    /// Only letters of this cause, as `infill dead-letters` names it
    #[arg(long, value_name = "CAUSE")]
    pub(crate) cause: Option<CauseId>,
    /// Only letters with this code
    #[arg(long, value_name = "CODE")]
    pub(crate) code: Option<String>,
    /// Only letters about this property
    #[arg(long, value_name = "NAME")]
    pub(crate) property: Option<PropertyName>,
    /// Only letters of this run: an id, its first or last characters, or `latest`
    #[arg(long, value_name = "RUN")]
    pub(crate) run: Option<RunRef>,
    /// Only letters of runs of the plan with this name
    #[arg(long, value_name = "NAME")]
    pub(crate) plan: Option<String>,
    /// Only letters of runs on this connection
    #[arg(long, value_name = "CONNECTION")]
    pub(crate) connection: Option<ConnectionName>,
    /// Only letters that failed or changed since then: 2026-09-01, 2026-09-01T12:30, or how long ago, as in 2h or 3d
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<Since>,
}

/// `infill dead-letters list`.
#[derive(Clone, Debug, Args)]
pub(crate) struct List {
    /// Which letters.
    #[command(flatten)]
    pub(crate) filters: Filters,
    /// Only letters with this status
    #[arg(long, value_enum, default_value_t = Status::Open)]
    pub(crate) status: Status,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    /// How the listing is printed
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// `infill dead-letters show`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Show {
    /// The letter
    #[arg(value_name = "ID")]
    pub(crate) id: i64,
    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// `infill dead-letters retry`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Retry {
    /// Which letters.
    #[command(flatten)]
    pub(crate) which: Which,
    /// Write this value in place of what was wanted, without evaluating the rows again; nothing behind the = clears the
    /// property; may be given several times
    #[arg(long, value_name = "PROPERTY=VALUE")]
    pub(crate) set: Vec<Setting>,
    /// Evaluate the records by this plan in place of the one they failed in, and write them, in a run of their own
    #[arg(long, value_name = "FILE", conflicts_with = "set")]
    pub(crate) with_plan: Option<PathBuf>,
    /// Record that run and leave it to the workers
    #[arg(long, requires = "with_plan")]
    pub(crate) detach: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// `infill dead-letters discard`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Discard {
    /// Which letters.
    #[command(flatten)]
    pub(crate) which: Which,
    /// Why; kept with the letters
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: String,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// Which open letters are meant; all of them only when that is said.
#[derive(Clone, Debug, Default, Args)]
#[command(group(ArgGroup::new("meant").required(true).multiple(true).args(MEANT)))]
pub(crate) struct Which {
    /// Letters by id
    #[arg(value_name = "ID", conflicts_with_all = FILTERS)]
    pub(crate) ids: Vec<i64>,
    /// Letters by what they are of.
    #[command(flatten)]
    pub(crate) filters: Filters,
    /// Every open letter
    #[arg(long, conflicts_with_all = FILTERS, conflicts_with = "ids")]
    pub(crate) all: bool,
}

/// The names of [`Filters`].
const FILTERS: [&str; 7] = ["cause", "code", "property", "run", "plan", "connection", "since"];

/// What says which letters are meant.
const MEANT: [&str; 9] = ["ids", "all", "cause", "code", "property", "run", "plan", "connection", "since"];

/// A value for a property, as `phone=+43 1`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Setting {
    /// The property.
    pub(crate) name: PropertyName,
    /// The value; `Null` clears.
    pub(crate) value: Value,
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err("give a property and its value, as in phone=+4312345".to_owned());
        };
        let value = if value.is_empty() { Value::Null } else { value.into() };
        Ok(Self { name: name.into(), value })
    }
}
