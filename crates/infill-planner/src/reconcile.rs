//! The reconciler, and the loop of the planner.
//!
//! What the store says is unfinished and nobody has touched for a while is published again. A broker wiped clean
//! loses no run, and a run that was only recorded is started.

use std::sync::Arc;
use std::time::Duration;

use infill_broker::Broker;
use infill_model::message::Work;
use infill_model::{Actor, BatchNo, Clock, RunId, RunState, Stage, StageMessage, Timestamp};
use infill_store::Store;
use infill_store::store::{RunFilter, UnitKind};
use infill_telemetry::{Heartbeat, Metrics, OpenRuns, chain};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::approve::{is_too_old, reject};
use crate::error::Error;

/// Units looked at in one round; what is left comes in the next.
const UNITS_PER_ROUND: u32 = 500;

/// How often the planner looks whether a run was recorded: a person waits for it.
const LOOK_FOR_NEW_EVERY: Duration = Duration::from_millis(100);

/// Numbers a person may set.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Between two rounds.
    pub every: Duration,
    /// Work that nobody touched for this long is published again.
    pub republish_after: Duration,
    /// Batches in flight at once, of a run that a schedule starts.
    pub in_flight: u32,
    /// Values of runs that ended so long ago are purged; `None` keeps them all.
    pub retention: Option<Duration>,
    /// A run that waits for an approval is put away after this long.
    pub approve_within: Duration,
}

/// Batches in flight when nobody says.
const IN_FLIGHT: u32 = 8;

impl Default for Settings {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(1),
            republish_after: Duration::from_mins(1),
            in_flight: IN_FLIGHT,
            retention: None,
            approve_within: Duration::from_hours(24),
        }
    }
}

/// The reconciler with what it needs.
#[derive(Clone, Debug)]
pub struct Planner {
    pub(crate) store: Arc<dyn Store>,
    broker: Arc<dyn Broker>,
    clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    heartbeat: Heartbeat,
    pub(crate) settings: Settings,
}

impl Planner {
    /// A planner over these parts.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        broker: Arc<dyn Broker>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        heartbeat: Heartbeat,
        settings: Settings,
    ) -> Self {
        Self { store, broker, clock, metrics, heartbeat, settings }
    }

    /// Reconciles until told to stop; with `only`, just that run. A round that fails is logged and tried again.
    pub async fn drive(&self, only: Option<RunId>, stop: CancellationToken) {
        let mut rounds = tokio::time::interval(self.settings.every);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looks = tokio::time::interval(LOOK_FOR_NEW_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let done = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = rounds.tick() => {
                    self.heartbeat.beat();
                    self.round(only).await
                }
                _ = looks.tick(), if only.is_none() => self.start_new().await,
            };
            if let Err(error) = done {
                tracing::warn!(error = %chain(&error), "reconciling failed, it is tried again");
                // A store that is away is not asked ten times a second.
                looks.reset_after(self.settings.every);
            }
        }
    }

    /// Publishes the first message of runs that were only recorded.
    async fn start_new(&self) -> Result<u64, Error> {
        let now = self.clock.now();
        let mut n_published = 0_u64;
        for run in self.store.new_runs(UNITS_PER_ROUND).await? {
            let published = self.publish_stale(Some(run), Timestamp::UNIX_EPOCH, now).await?;
            n_published = n_published.saturating_add(published);
        }
        Ok(n_published)
    }

    /// One round: starts what is due by its schedule, purges what is outdated, and publishes what is unfinished. Says how many messages it published. With
    /// `only`, schedules and outdated runs are left to others.
    ///
    /// # Errors
    /// When the store or the broker fails; the next round goes on.
    pub async fn round(&self, only: Option<RunId>) -> Result<u64, Error> {
        let now = self.clock.now();
        if only.is_none() {
            self.keep_schedules(now).await?;
            self.keep_retention(now).await?;
        }
        let before = now.saturating_sub(self.settings.republish_after).unwrap_or(now);
        let mut n_published = self.publish_stale(only, before, now).await?;
        for run in self.store.starved_runs(UNITS_PER_ROUND).await? {
            if only.is_none_or(|only| only == run) {
                n_published = n_published.saturating_add(self.feed(run, now).await?);
            }
        }
        if only.is_none() {
            self.look_at_open_runs(now).await?;
        }
        Ok(n_published)
    }

    /// Publishes everything unfinished of a run at once, whose workers are known to be dead.
    ///
    /// # Errors
    /// When the store or the broker fails; doing it again is safe.
    pub async fn revive(&self, run: RunId) -> Result<u64, Error> {
        self.store.break_leases(run).await?;
        self.store.park_run(run, None).await?;
        let now = self.clock.now();
        self.publish_stale(Some(run), Timestamp::MAX, now).await
    }

    async fn publish_stale(
        &self,
        only: Option<RunId>,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<u64, Error> {
        let stale = self.store.stale_work(only, before, UNITS_PER_ROUND).await?;
        for (run, work) in &stale {
            self.broker.publish(&StageMessage::first(*run, *work, now), None).await?;
            self.store.touch(*run, work, now).await?;
            self.metrics.republished(work.stage(), 1);
            tracing::info!(run.id = %run, stage = %work.stage(), batch.no = work.batch().map(|no| no.0), "work published");
        }
        Ok(u64::try_from(stale.len()).unwrap_or(u64::MAX))
    }

    /// Claims batches for a run that has room and pending batches, such as rows reopened from dead letters.
    async fn feed(&self, run: RunId, now: Timestamp) -> Result<u64, Error> {
        let Some(stored) = self.store.run(run).await? else { return Ok(0) };
        let claimant = format!("planner:{}", now.as_millisecond());
        // The canary goes alone.
        let window = if stored.state == RunState::Canary { 1 } else { stored.in_flight };
        let batches = self.store.claim(run, UnitKind::Batch, &claimant, window, now).await?;
        for no in &batches {
            let work = Work::Run { batch: BatchNo(*no) };
            self.broker.publish(&StageMessage::first(run, work, now), None).await?;
        }
        self.metrics.republished(Stage::Run, u64::try_from(batches.len()).unwrap_or(u64::MAX));
        Ok(u64::try_from(batches.len()).unwrap_or(u64::MAX))
    }

    /// Puts away what nobody approved in time, so that a schedule is not kept waiting for good; and counts the rest.
    async fn look_at_open_runs(&self, now: Timestamp) -> Result<(), Error> {
        let open = self.store.runs(&RunFilter { unfinished: true, ..RunFilter::default() }).await?;
        for run in open.iter().filter(|run| run.state == RunState::Waiting) {
            if is_too_old(run, self.settings.approve_within, now) {
                reject(self.store.as_ref(), run, &Actor::program(), "nobody approved it in time", now)
                    .await?;
            }
        }
        let mut counted = OpenRuns::default();
        for run in &open {
            match counted.by_state.iter_mut().find(|(state, _)| *state == run.state) {
                Some((_, n_runs)) => *n_runs = n_runs.saturating_add(1),
                None => counted.by_state.push((run.state, 1)),
            }
            let age = Duration::try_from(now.duration_since(run.created_at)).unwrap_or_default();
            counted.batches_in_flight += u64::from(run.progress.batches_in_flight);
            counted.rows_pulled += run.progress.rows;
            counted.rows_settled += run.progress.counts.total();
            counted.oldest_age = counted.oldest_age.max(age);
        }
        self.metrics.open_runs(&counted);
        Ok(())
    }
}
