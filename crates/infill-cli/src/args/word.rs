//! The words and forms that options take.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use infill_model::{Outcome, RunId, Timestamp};
use infill_store::store::LetterStatus;
use jiff::Span;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::config::Vendor;

/// Fewer characters than this name a run by chance.
const SHORTEST_PART: usize = 4;

/// Characters of a run id in full.
const FULL_ID: usize = 36;

/// A run as a person names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RunRef {
    /// The one recorded last.
    Latest,
    /// By its id.
    Id(RunId),
    /// By the first or last characters of its id.
    Part(String),
}

impl FromStr for RunRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "latest" {
            return Ok(Self::Latest);
        }
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        let part = text.to_ascii_lowercase();
        if !part.chars().all(|each| each.is_ascii_hexdigit() || each == '-') || part.len() > FULL_ID {
            return Err("not a run; give an id as `infill runs` shows it, its first or last characters, \
                        or `latest`"
                .to_owned());
        }
        if part.len() < SHORTEST_PART {
            return Err(format!("too short to tell runs apart; give at least {SHORTEST_PART} characters"));
        }
        Ok(Self::Part(part))
    }
}

impl RunRef {
    /// Whether the run is meant. [`RunRef::Latest`] means none in particular.
    pub(crate) fn means(&self, run: RunId) -> bool {
        match self {
            Self::Latest => false,
            Self::Id(id) => *id == run,
            Self::Part(part) => {
                let full = run.to_string();
                full.starts_with(part.as_str()) || full.ends_with(part.as_str())
            }
        }
    }
}

impl fmt::Display for RunRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::Id(id) => id.fmt(f),
            Self::Part(part) => f.write_str(part),
        }
    }
}

/// Since when, as a person says it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Since {
    /// Since a moment.
    Moment(Timestamp),
    /// Since so long ago.
    Ago(Span),
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(moment) = text.parse() {
            return Ok(Self::Moment(moment));
        }
        // Without a zone it is this machine's time; a date alone is its midnight.
        if let Ok(local) = text.parse::<DateTime>()
            && let Ok(moment) = local.to_zoned(TimeZone::system())
        {
            return Ok(Self::Moment(moment.timestamp()));
        }
        text.parse::<Span>().map(|span| Self::Ago(span.abs())).map_err(|_| {
            "not a moment; give a date (2026-09-01), a date with a time (2026-09-01T12:30), or how long ago \
             (2h, 3d)"
                .to_owned()
        })
    }
}

impl Since {
    /// The moment; the beginning of time for what is longer ago than that.
    pub(crate) fn moment(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Moment(moment) => moment,
            Self::Ago(span) => {
                let then = now.to_zoned(TimeZone::system()).checked_sub(span);
                then.map_or(Timestamp::MIN, |then| then.timestamp())
            }
        }
    }
}

/// How a listing is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For a person
    #[default]
    Table,
    /// For a program
    Json,
}

/// How rows are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum RowFormat {
    /// For a person
    #[default]
    Table,
    /// For a program
    Json,
    /// For a spreadsheet
    Csv,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For a person
    #[default]
    Text,
    /// One JSON object a line, for a collector
    Json,
}

impl From<LogFormat> for infill_telemetry::Format {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Text => Self::Text,
            LogFormat::Json => Self::Json,
        }
    }
}

/// What a schema is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// A plan
    #[default]
    Plan,
    /// The configuration, infill.toml
    Config,
}

/// Which dead letters are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Status {
    /// Those that wait for a person
    Open,
    /// Those whose row was tried again
    Retried,
    /// Those that a person gave up
    Discarded,
    /// All of them
    All,
}

impl Status {
    /// What to ask of the store.
    pub(crate) const fn filter(self) -> Option<LetterStatus> {
        match self {
            Self::Open => Some(LetterStatus::Open),
            Self::Retried => Some(LetterStatus::Retried),
            Self::Discarded => Some(LetterStatus::Discarded),
            Self::All => None,
        }
    }
}

impl ValueEnum for Vendor {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.as_str()))
    }
}

/// Reads an outcome; help and errors name them all.
pub(super) fn outcome() -> impl TypedValueParser<Value = Outcome> {
    PossibleValuesParser::new(Outcome::ALL.map(Outcome::as_str)).try_map(|word| word.parse::<Outcome>())
}
