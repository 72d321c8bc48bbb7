//! A run: its states, and the immutable value that `configure-chain` leaves for `run` and `verify`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::{ActionId, Actor, ObjectType, PropertyName};
use crate::letter::RecordAddress;
use crate::plan::{IfChanged, Verify, When};
use crate::property::PropertyDef;
use crate::time::Timestamp;

/// The state of a run.
///
/// ```text
/// source-sync ─▶ await-rows ─▶ configure-chain ─▶ canary ─▶ running ─▶ completed
///      │              │               │             │          │
///      └──────────────┴─▶ empty       └─────────────┴──────────┴─▶ cancelling ─▶ cancelled | stopped
/// ```
///
/// A run that is previewed evaluates every row before it writes the first one, and a run that somebody is to approve waits:
/// after the preview if there is one, else after the canary.
///
/// ```text
/// configure-chain ─▶ previewing ─▶ canary ─▶ running        a plan with max_changed
/// configure-chain ─▶ previewing ─▶ previewed ┄▶ canary      a dry run, and what applies it
/// configure-chain ─▶ previewing ─▶ waiting ┄▶ canary        a plan with approve: manual that is previewed
/// configure-chain ─▶ canary ─▶ waiting ┄▶ running           a plan with approve: manual
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// Pulling ids and values.
    SourceSync,
    /// Waiting for the count to be stable.
    AwaitRows,
    /// Compiling and checking.
    ConfigureChain,
    /// Evaluating every row; nothing is written.
    Previewing,
    /// Waiting for a person to approve it.
    Waiting,
    /// The canary batch is on its way, alone.
    Canary,
    /// The rest is on its way.
    Running,
    /// Asked to stop, or met something a person must see to; batches in flight are finishing.
    Cancelling,
    /// Every row settled.
    Completed,
    /// Every row is evaluated, as a dry run was asked for: nothing was written, and applying it goes on from here.
    Previewed,
    /// The slice held no record.
    Empty,
    /// Could not go on; the run's cause says why.
    Stopped,
    /// Stopped as asked.
    Cancelled,
}

impl RunState {
    /// Every state.
    pub const ALL: [Self; 13] = [
        Self::SourceSync,
        Self::AwaitRows,
        Self::ConfigureChain,
        Self::Previewing,
        Self::Waiting,
        Self::Canary,
        Self::Running,
        Self::Cancelling,
        Self::Completed,
        Self::Previewed,
        Self::Empty,
        Self::Stopped,
        Self::Cancelled,
    ];

    /// The wire value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SourceSync => "source-sync",
            Self::AwaitRows => "await-rows",
            Self::ConfigureChain => "configure-chain",
            Self::Previewing => "previewing",
            Self::Waiting => "waiting",
            Self::Canary => "canary",
            Self::Running => "running",
            Self::Cancelling => "cancelling",
            Self::Completed => "completed",
            Self::Previewed => "previewed",
            Self::Empty => "empty",
            Self::Stopped => "stopped",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more will happen by itself.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Completed | Self::Previewed | Self::Empty | Self::Stopped | Self::Cancelled => true,
            Self::SourceSync
            | Self::AwaitRows
            | Self::ConfigureChain
            | Self::Previewing
            | Self::Waiting
            | Self::Canary
            | Self::Running
            | Self::Cancelling => false,
        }
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for RunState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| format!("unknown run state \"{text}\""))
    }
}

/// The code of the cause of a run that a person cancelled. A run being cancelled for another cause ends as
/// [`RunState::Stopped`].
pub const CANCELLED_BY_HAND: &str = "cancelled";

/// That a previewed or waiting run was let go on, and how it stood then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// When.
    pub at: Timestamp,
    /// Who approved it; `None` when the plan asks nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// Batches that had nothing to write and were settled.
    pub batches_settled: u32,
    /// Rows that were known to fail.
    pub refused: u64,
}

/// A person's yes to what a run is about to write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who.
    pub by: Actor,
    /// The digest of what they saw, for a run that was previewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// What `configure-chain` resolved, once, for the whole run. Workers only carry it out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompiledRun {
    /// The account's time zone (an IANA name): its midnight starts the day's budget anew.
    pub time_zone: String,
    /// Where a person opens its records, where the CRM tells.
    #[serde(default)]
    pub record_address: Option<RecordAddress>,
    /// The kind of record.
    pub object: ObjectType,
    /// The properties the chain reads, as pulled.
    pub inputs: Vec<PropertyName>,
    /// The properties the plan writes, with their live definitions.
    pub targets: Vec<TargetProperty>,
    /// What the connector found for each action of the chain that the CRM performs; opaque to everyone else.
    #[serde(default)]
    pub actions: BTreeMap<ActionId, String>,
    /// A before-image younger than this many seconds is trusted without another read.
    pub guard_older_than_seconds: u32,
    /// How much to read back.
    pub verify: Verify,
    /// The forecast made then.
    pub forecast: Forecast,
}

impl CompiledRun {
    /// Whether any property is left alone when somebody changed it meanwhile.
    #[must_use]
    pub fn holds_changes(&self) -> bool {
        self.targets.iter().any(|target| target.if_changed == IfChanged::Hold)
    }
}

/// One property the plan writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetProperty {
    /// The definition at configure time.
    pub property: PropertyDef,
    /// The value's template.
    pub value: String,
    /// When to write it.
    pub when: When,
    /// Whether a value that comes to nothing leaves the property alone.
    #[serde(default)]
    pub ignore_empty: bool,
    /// What to do when somebody changed it meanwhile.
    #[serde(default)]
    pub if_changed: IfChanged,
}

/// What a run is expected to cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    /// Rows.
    pub rows: u64,
    /// Calls still to make: guard reads not counted, they depend on time.
    pub calls: u64,
    /// What these calls cost of the day, in the vendor's units: calls, or tokens.
    #[serde(default)]
    pub units: u64,
    /// The shortest time the connection's burst limit allows, in seconds; `None` when unlimited.
    pub seconds: Option<u64>,
    /// Units left today, where known.
    pub calls_left_today: Option<u64>,
}
