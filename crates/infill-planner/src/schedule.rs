//! Keeping schedules: what is due is started, once, by whichever planner comes first.

use std::time::Duration;

use infill_model::schedule::Schedule;
use infill_model::{Actor, RunId, Timestamp};
use infill_rules::schedule::{Decision, MOST_COUNTED, Standing, decide};
use infill_store::schedule::{ScheduleStep, ScheduledStart, StoredSchedule};
use infill_store::store::NewRun;
use infill_telemetry::label;

use crate::error::Error;
use crate::reconcile::Planner;
use crate::start::{Asked, cap};

/// A start this late says so: planners look every second, so nobody was there.
const LATE_AFTER: Duration = Duration::from_mins(1);

impl Planner {
    /// Decides about every start that is due; says how many runs it recorded. The round publishes them.
    ///
    /// # Errors
    /// When the store fails; the next round goes on.
    pub(crate) async fn keep_schedules(&self, now: Timestamp) -> Result<u64, Error> {
        let mut n_started = 0_u64;
        for stored in self.store.schedules(Some(now)).await? {
            n_started = n_started.saturating_add(u64::from(self.keep(&stored, now).await?));
        }
        Ok(n_started)
    }

    /// Whether a run was started.
    async fn keep(&self, stored: &StoredSchedule, now: Timestamp) -> Result<bool, Error> {
        let Some(schedule) = &stored.plan.source.schedule else { return Ok(false) };
        let standing = Standing {
            next: stored.next_start,
            waiting: stored.waiting,
            is_running: stored.running.is_some(),
        };
        let decision = decide(standing, schedule.if_running, now, |after| schedule.next_after(after));
        let Some(decision) = decision else { return Ok(false) };
        let start = match decision.start {
            None => None,
            Some(due) => Some(self.start(stored, schedule, &decision, due, now).await?),
        };
        let step = ScheduleStep {
            revision: stored.revision,
            next_start: decision.next,
            waiting: decision.waiting,
            missed: decision.missed,
            skipped: decision.skipped,
            start,
        };
        let is_ours = self.store.step_schedule(&stored.key(), &step).await?;
        if is_ours {
            self.count_starts(&step);
            log(stored, schedule, &step);
        }
        Ok(is_ours && step.start.is_some())
    }

    fn count_starts(&self, step: &ScheduleStep) {
        let n_started = u64::from(step.start.is_some());
        for (result, n_starts) in [
            (label::ScheduledStart::Started, n_started),
            (label::ScheduledStart::Missed, step.missed),
            (label::ScheduledStart::Skipped, step.skipped),
        ] {
            self.metrics.scheduled_starts(result, n_starts);
        }
    }

    /// The run of a start, as it would be recorded.
    async fn start(
        &self,
        stored: &StoredSchedule,
        schedule: &Schedule,
        decision: &Decision,
        due: Timestamp,
        now: Timestamp,
    ) -> Result<ScheduledStart, Error> {
        let plan = &stored.plan;
        let has_verified = self.store.has_verified(&plan.name, &plan.connection).await?;
        let (cap, is_first) = cap(plan.source.most(), Asked::AsPlanned, has_verified);
        let mut warnings = Vec::new();
        if is_first {
            warnings.push(format!(
                "this plan has never verified a row on {}: the run is capped at {} rows; the next start takes all, once \
                 one is verified",
                plan.connection,
                cap.unwrap_or_default()
            ));
        }
        let missed = stored.missed_untold.saturating_add(decision.missed);
        warnings.extend(missed_warning(missed));
        if stored.waiting.is_none() && is_late(due, now) {
            let due = schedule.local(due);
            warnings.push(format!("the start of {due} is late: no planner ran then; keep one running"));
        }
        let id = RunId::new(now, rand::random());
        let run = NewRun {
            id,
            plan: plan.clone(),
            cap,
            in_flight: self.settings.in_flight.max(1),
            slice: None,
            is_dry: false,
            created_at: now,
            by: Actor::program(),
        };
        Ok(ScheduledStart { due, run, warnings })
    }
}

fn missed_warning(missed: u64) -> Option<String> {
    let least = if missed >= MOST_COUNTED { "at least " } else { "" };
    let starts = if missed == 1 { "start was" } else { "starts were" };
    (missed > 0).then(|| {
        format!("{least}{missed} earlier {starts} missed: no planner ran then; this run stands for them")
    })
}

fn is_late(due: Timestamp, now: Timestamp) -> bool {
    Duration::try_from(now.duration_since(due)).is_ok_and(|late| late > LATE_AFTER)
}

fn log(stored: &StoredSchedule, schedule: &Schedule, step: &ScheduleStep) {
    let (plan, connection) = (&stored.plan.name, &stored.plan.connection);
    if step.missed > 0 {
        tracing::warn!(%plan, %connection, starts = step.missed, "scheduled starts were missed");
    }
    if step.skipped > 0 {
        let running = stored.running.map(tracing::field::display);
        tracing::warn!(%plan, %connection, run.id = running, starts = step.skipped, "scheduled starts were skipped");
    }
    if let Some(waiting) = step.waiting {
        let (due, running) = (schedule.local(waiting), stored.running.map(tracing::field::display));
        tracing::info!(%plan, %connection, run.id = running, due, "a scheduled start waits for a run");
    }
    if let Some(start) = &step.start {
        let due = schedule.local(start.due);
        tracing::info!(%plan, %connection, run.id = %start.run.id, due, "run started by its schedule");
    }
}

#[cfg(test)]
mod tests;
