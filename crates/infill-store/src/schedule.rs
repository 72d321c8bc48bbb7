//! Schedules as the store keeps them. What is done about one is decided elsewhere; here a decision is carried out once.

use infill_model::{ConnectionName, Plan, RunId, Timestamp};

use crate::error::Error;
use crate::store::NewRun;
use crate::stored::{encode, unsigned};

/// Which schedule: a plan has one on each connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleKey {
    /// The plan, by name.
    pub plan_name: String,
    /// The connection it runs on.
    pub connection: ConnectionName,
}

impl ScheduleKey {
    /// Where the schedule of a plan is kept.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        Self { plan_name: plan.name.clone(), connection: plan.connection.clone() }
    }
}

/// A schedule as stored.
#[derive(Clone, Debug)]
pub struct StoredSchedule {
    /// The plan that is started.
    pub plan: Plan,
    /// The first start that nobody decided about.
    pub next_start: Timestamp,
    /// A start that waits for the end of a run.
    pub waiting: Option<Timestamp>,
    /// Nothing starts since then.
    pub paused_at: Option<Timestamp>,
    /// Starts that passed while no planner ran, since the schedule was added.
    pub missed: u64,
    /// Those of them that no run has told of yet.
    pub missed_untold: u64,
    /// Starts that a run in progress kept from having one, since the schedule was added.
    pub skipped: u64,
    /// The start that the last run was for.
    pub last_start: Option<Timestamp>,
    /// The run started last.
    pub last_run: Option<RunId>,
    /// A run of the plan on its connection that goes on, whoever started it.
    pub running: Option<RunId>,
    /// Grows with every change.
    pub revision: u64,
}

impl StoredSchedule {
    /// Which one.
    #[must_use]
    pub fn key(&self) -> ScheduleKey {
        ScheduleKey::of(&self.plan)
    }
}

/// What was decided about a schedule at one revision.
#[derive(Clone, Debug)]
pub struct ScheduleStep {
    /// The revision it was decided on.
    pub revision: u64,
    /// The first start to come.
    pub next_start: Timestamp,
    /// The start that waits from now on.
    pub waiting: Option<Timestamp>,
    /// Starts missed, to be added.
    pub missed: u64,
    /// Starts skipped, to be added.
    pub skipped: u64,
    /// The run to record.
    pub start: Option<ScheduledStart>,
}

/// A run that a schedule starts.
#[derive(Clone, Debug)]
pub struct ScheduledStart {
    /// The start it is for.
    pub due: Timestamp,
    /// The run.
    pub run: NewRun,
    /// What people should know of it.
    pub warnings: Vec<String>,
}

/// The columns of [`ScheduleColumns`], in the order both engines read them.
macro_rules! schedule_columns {
    () => {
        "s.plan, s.next_start, s.waiting, s.paused_at, s.missed, s.missed_told, s.skipped, s.last_start, s.last_run, \
         s.revision, (SELECT r.id FROM runs r WHERE r.plan_name = s.plan_name AND r.connection = s.connection \
         AND r.ended_at IS NULL ORDER BY r.created_at DESC LIMIT 1)"
    };
}
pub(crate) use schedule_columns;

/// A schedule as read.
pub(crate) struct ScheduleColumns {
    pub(crate) plan: String,
    pub(crate) next_start: Timestamp,
    pub(crate) waiting: Option<Timestamp>,
    pub(crate) paused_at: Option<Timestamp>,
    pub(crate) missed: i64,
    pub(crate) missed_told: i64,
    pub(crate) skipped: i64,
    pub(crate) last_start: Option<Timestamp>,
    pub(crate) last_run: Option<RunId>,
    pub(crate) revision: i64,
    pub(crate) running: Option<RunId>,
}

impl ScheduleColumns {
    pub(crate) fn read(self) -> Result<StoredSchedule, Error> {
        let plan = serde_json::from_str(&self.plan)
            .map_err(|e| Error::Query { operation: "read the plan of a schedule", source: e.into() })?;
        Ok(StoredSchedule {
            plan,
            next_start: self.next_start,
            waiting: self.waiting,
            paused_at: self.paused_at,
            missed: unsigned(self.missed),
            missed_untold: unsigned(self.missed.saturating_sub(self.missed_told)),
            skipped: unsigned(self.skipped),
            last_start: self.last_start,
            last_run: self.last_run,
            running: self.running,
            revision: unsigned(self.revision),
        })
    }
}

/// The warnings of a run that has not begun, as they are stored.
pub(crate) fn first_warnings(start: &ScheduledStart) -> Result<Option<String>, Error> {
    if start.warnings.is_empty() { Ok(None) } else { encode(&start.warnings).map(Some) }
}
