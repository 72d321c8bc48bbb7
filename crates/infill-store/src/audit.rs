//! Who did what, for people who ask later.

use std::fmt;
use std::str::FromStr;

use infill_model::{Actor, ConnectionName, Plan, RunId, Timestamp};
use serde::Serialize;

use crate::error::Error;
use crate::store::{NewRun, Run};

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// A run was recorded.
    RunStarted,
    /// A run that was interrupted was taken up.
    RunTakenUp,
    /// A run was asked to end.
    RunCancelled,
    /// A run met something that a person must see to.
    RunStopped,
    /// Nothing new of a run is begun.
    RunPaused,
    /// A run that was paused goes on.
    RunResumed,
    /// What a run is about to write was approved.
    RunApproved,
    /// What a run is about to write was not approved.
    RunRejected,
    /// A run that takes this one back was recorded.
    RunUndone,
    /// Nothing new is begun on a connection: by hand, or because its login is refused.
    ConnectionPaused,
    /// Runs of a connection that was paused go on.
    ConnectionResumed,
    /// Rows with dead letters were opened again.
    LettersRetried,
    /// Dead letters were given up.
    LettersDiscarded,
    /// A plan was given to planners to start, or replaced.
    ScheduleAdded,
    /// A schedule starts nothing any more, for a while.
    SchedulePaused,
    /// A schedule starts runs again.
    ScheduleResumed,
    /// A schedule was taken away.
    ScheduleRemoved,
    /// What a plan remembered of its records was forgotten.
    RecordsForgotten,
    /// The values of a run were taken away for good.
    RunPurged,
}

impl Act {
    /// Every act.
    pub const ALL: [Self; 19] = [
        Self::RunStarted,
        Self::RunTakenUp,
        Self::RunCancelled,
        Self::RunStopped,
        Self::RunPaused,
        Self::RunResumed,
        Self::RunApproved,
        Self::RunRejected,
        Self::RunUndone,
        Self::ConnectionPaused,
        Self::ConnectionResumed,
        Self::LettersRetried,
        Self::LettersDiscarded,
        Self::ScheduleAdded,
        Self::SchedulePaused,
        Self::ScheduleResumed,
        Self::ScheduleRemoved,
        Self::RecordsForgotten,
        Self::RunPurged,
    ];

    /// The wire value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RunStarted => "run-started",
            Self::RunTakenUp => "run-taken-up",
            Self::RunCancelled => "run-cancelled",
            Self::RunStopped => "run-stopped",
            Self::RunPaused => "run-paused",
            Self::RunResumed => "run-resumed",
            Self::RunApproved => "run-approved",
            Self::RunRejected => "run-rejected",
            Self::RunUndone => "run-undone",
            Self::ConnectionPaused => "connection-paused",
            Self::ConnectionResumed => "connection-resumed",
            Self::LettersRetried => "letters-retried",
            Self::LettersDiscarded => "letters-discarded",
            Self::ScheduleAdded => "schedule-added",
            Self::SchedulePaused => "schedule-paused",
            Self::ScheduleResumed => "schedule-resumed",
            Self::ScheduleRemoved => "schedule-removed",
            Self::RecordsForgotten => "records-forgotten",
            Self::RunPurged => "run-purged",
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Act {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|act| act.as_str() == text).ok_or_else(|| Error::Query {
            operation: "read the audit",
            source: format!("unknown act \"{text}\"").into(),
        })
    }
}

/// An entry to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: Actor,
    /// What.
    pub act: Act,
    /// The run it was done to.
    pub run: Option<RunId>,
    /// The connection it was done to, or that of the run.
    pub connection: Option<ConnectionName>,
    /// The plan it was done to, or that of the run.
    pub plan_name: Option<String>,
    /// What else a person may want to know; empty when there is nothing.
    pub detail: String,
}

impl NewAuditEntry {
    /// An act that is done to nothing in particular.
    #[must_use]
    pub fn new(at: Timestamp, by: Actor, act: Act) -> Self {
        Self { at, by, act, run: None, connection: None, plan_name: None, detail: String::new() }
    }

    /// An act that is done to a run.
    #[must_use]
    pub fn of_run(at: Timestamp, by: Actor, act: Act, run: &Run) -> Self {
        Self { run: Some(run.id), ..Self::of_plan(at, by, act, &run.plan) }
    }

    /// An act that is done to a plan on its connection.
    #[must_use]
    pub fn of_plan(at: Timestamp, by: Actor, act: Act, plan: &Plan) -> Self {
        let (connection, plan_name) = (Some(plan.connection.clone()), Some(plan.name.clone()));
        Self { connection, plan_name, ..Self::new(at, by, act) }
    }

    /// The same with more to know.
    #[must_use]
    pub fn with(self, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), ..self }
    }

    /// What the recording of a run adds: its start, and for one that takes another back what becomes of that.
    pub(crate) fn of_start(run: &NewRun) -> Vec<Self> {
        let entry =
            |act, id| Self { run: Some(id), ..Self::of_plan(run.created_at, run.by.clone(), act, &run.plan) };
        let started = entry(Act::RunStarted, run.id);
        match (run.plan.source.undoes, run.cap) {
            (Some(undone), _) => vec![
                entry(Act::RunUndone, undone).with(format!("by run {}", run.id)),
                started.with(format!("takes run {undone} back")),
            ],
            (None, Some(cap)) => vec![started.with(format!("at most {cap} rows"))],
            (None, None) => vec![started],
        }
    }
}

/// An entry as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its id, growing.
    pub id: i64,
    /// What happened.
    pub entry: NewAuditEntry,
}

/// Which entries. Everything given must match.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Of one run.
    pub run: Option<RunId>,
    /// Of one actor.
    pub by: Option<Actor>,
    /// Not older than this.
    pub since: Option<Timestamp>,
}

/// Text as every engine can keep it: PostgreSQL's has no NUL.
pub(crate) fn kept(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
