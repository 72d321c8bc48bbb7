//! One quota per connection for all its workers, kept in the store; and the count of calls a message cost.

use std::cell::Cell;
use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use infill_crm::Error;
use infill_crm::meter::{Meter, Observation, Quota};
use infill_model::error::Class;
use infill_model::{Actor, Clock, ConnectionName, Timestamp};
use infill_rules::quota::Meter as Counted;
use infill_rules::quota::{Grant, Limits, State};
use infill_store::Store;
use infill_store::audit::{Act, NewAuditEntry};
use infill_telemetry::Metrics;
use tokio::time::Instant;

/// A connection without a burst limit is asked about cool-downs this often, not before each call.
const UNLIMITED_RECHECK: Duration = Duration::from_millis(250);

/// A call this late after its moment takes another: with what it may dawdle on the wire it would outgrow the window's margin.
const LATE: Duration = Duration::from_millis(100);

/// Moments reserved for one call at most; a machine that is held up each time sends at the last.
const RESERVATIONS: u32 = 3;

tokio::task_local! {
    static CALLS: Cell<u64>;
}

/// Runs `work` and counts the calls it makes, except those taken out by [`take_calls`] meanwhile.
pub async fn counting<F: Future>(work: F) -> (F::Output, u64) {
    CALLS
        .scope(Cell::new(0), async {
            let output = work.await;
            (output, take_calls())
        })
        .await
}

/// The calls counted since the last time, for a save in the middle of [`counting`].
#[must_use]
pub fn take_calls() -> u64 {
    CALLS.try_with(|calls| calls.replace(0)).unwrap_or(0)
}

/// The quota of one connection, backed by the store.
#[derive(Debug)]
pub struct StoreQuota {
    store: Arc<dyn Store>,
    connection: ConnectionName,
    limits: Limits,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    time_zone: OnceLock<jiff::tz::TimeZone>,
    /// When an unlimited connection was last found free to call.
    found_free: Mutex<Option<Instant>>,
}

impl StoreQuota {
    /// The quota of `connection` with these limits.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        connection: ConnectionName,
        limits: Limits,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Self {
        let (time_zone, found_free) = (OnceLock::new(), Mutex::default());
        Self { store, connection, limits, clock, metrics, time_zone, found_free }
    }

    /// Tells the account's time zone (an IANA name), whose midnight starts the day's budget anew. An unknown one is taken for UTC.
    pub fn set_time_zone(&self, name: &str) {
        self.time_zone.get_or_init(|| jiff::tz::TimeZone::get(name).unwrap_or(jiff::tz::TimeZone::UTC));
    }

    fn midnight(&self, now: Timestamp) -> Option<i64> {
        let zone = self.time_zone.get()?.clone();
        let tomorrow = now.to_zoned(zone).tomorrow().ok()?.start_of_day().ok()?;
        Some(tomorrow.timestamp().as_millisecond())
    }

    /// Changes the stored state; gives what `decide` gave, and the store's own moment.
    async fn change<T: Send + 'static>(
        &self,
        decide: impl FnOnce(&mut State, Timestamp) -> T + Send + 'static,
    ) -> Result<(T, Timestamp), Error> {
        let (answer_tx, answer_rx) = tokio::sync::oneshot::channel();
        let decision = Box::new(move |stored: Option<serde_json::Value>, now: Timestamp| {
            let mut state = stored.and_then(|json| serde_json::from_value(json).ok()).unwrap_or_default();
            let answer = decide(&mut state, now);
            // Nobody waits for the answer when the caller was cancelled; the state is kept all the same.
            drop(answer_tx.send((answer, now)));
            serde_json::to_value(&state).ok()
        });
        let stored = self.store.update_quota(&self.connection, decision).await;
        stored.map_err(|source| self.unreachable(&source))?;
        answer_rx.await.map_err(|_| {
            Error::new(Class::Transient, "quota_unreachable", "the store did not take the quota's decision")
        })
    }

    fn unreachable(&self, source: &infill_store::Error) -> Error {
        let why = infill_telemetry::chain(source).to_string();
        let message = format!("ask the quota of {}: {why}", self.connection);
        Error::new(Class::Transient, "quota_unreachable", message)
    }

    fn is_known_free(&self) -> bool {
        let found = *self.found_free.lock().unwrap_or_else(PoisonError::into_inner);
        found.is_some_and(|at| at.elapsed() < UNLIMITED_RECHECK)
    }

    fn remember(&self, free: bool) {
        *self.found_free.lock().unwrap_or_else(PoisonError::into_inner) = free.then(Instant::now);
    }

    /// Ends a pause, after a person mended the login; says whether there was one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn resume(&self) -> Result<bool, Error> {
        let was_paused = |state: &mut State, _| {
            let was_paused = state.paused().is_some();
            state.resume();
            was_paused
        };
        let (was_paused, _) = self.change(was_paused).await?;
        self.metrics.connection_paused(&self.connection, false);
        Ok(was_paused)
    }

    /// Reserves a moment and waits for it. `false` when the process was held up and the moment is past: the call would arrive
    /// among those of a later one.
    async fn reserve(&self, counted: Counted, cost: u32) -> Result<bool, Error> {
        let (limits, midnight) = (self.limits, self.midnight(self.clock.now()));
        let spent = self.change(move |state, now| {
            let now = now.as_millisecond();
            let grant = state.spend(&limits, counted, cost, now, midnight);
            (grant, state.left_in_window(&limits, now), state.left_today(&limits, now), Instant::now())
        });
        let ((grant, window, day, decided_at), now) = spent.await?;
        if let Some(window) = window {
            self.metrics.quota_left(&self.connection, window.into(), day);
        }
        self.remember(matches!(grant, Grant::At(at) if at <= now.as_millisecond()));
        // Another process may have paused or resumed the connection.
        self.metrics.connection_paused(&self.connection, matches!(grant, Grant::Paused { .. }));
        match grant {
            Grant::At(at) => {
                let wait = u64::try_from(at.saturating_sub(now.as_millisecond())).unwrap_or(0);
                let due = decided_at + Duration::from_millis(wait);
                self.wait_until(due).await;
                Ok(due.elapsed() < LATE)
            }
            Grant::CoolDown { until } => {
                let why = "the CRM asked for a pause on this connection";
                Err(throttled(until, "cooling_down", why))
            }
            Grant::DaySpent { until } => {
                let why = if limits.is_day_rolling {
                    "the calls of the last 24 hours are spent but for what is left to others; they become free by and by"
                } else {
                    "the calls or tokens of the day are spent; they start anew at the account's midnight"
                };
                Err(throttled(until, "day_spent", why))
            }
            Grant::Paused { why } => {
                let message = format!(
                    "connection {} is paused: {why}; mend the login, then `infill connections test {}` resumes it",
                    self.connection, self.connection
                );
                Err(Error::new(Class::Unauthorized, "connection_paused", message))
            }
        }
    }

    async fn wait_until(&self, due: Instant) {
        let wait = due.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            return;
        }
        self.metrics.quota_waited(&self.connection, wait);
        // The one place that waits in the process: a reservation is seconds away at most, and a trip through a delay queue
        // for each call would cost more messages than rows.
        tokio::time::sleep_until(due).await;
    }
}

fn counted(meter: Meter) -> Option<Counted> {
    match meter {
        Meter::General => Some(Counted::General),
        Meter::Search => Some(Counted::Search),
        Meter::Free => None,
    }
}

#[async_trait]
impl Quota for StoreQuota {
    async fn acquire(&self, meter: Meter, cost: u32) -> Result<(), Error> {
        let Some(counted) = counted(meter) else { return Ok(()) };
        let Limits { general, search: _, daily, reserve_percent, is_day_rolling: _ } = self.limits;
        let is_unlimited =
            general.is_none() && daily.is_none() && reserve_percent == 0 && meter == Meter::General;
        if !(is_unlimited && self.is_known_free()) {
            for _ in 0..RESERVATIONS {
                if self.reserve(counted, cost).await? {
                    break;
                }
            }
        }
        // Outside of a message (a command at the prompt) nobody counts.
        CALLS.try_with(|calls| calls.set(calls.get().saturating_add(1))).unwrap_or_default();
        Ok(())
    }

    async fn observe(&self, meter: Meter, observation: Observation) -> Result<(), Error> {
        let Some(counted) = counted(meter) else { return Ok(()) };
        let is_news = observation.cool_down_until.is_some() || observation.day_spent;
        // The vendor tells what is left of the day with every answer; only a small rest is worth a write.
        const WORTH_NOTING: u64 = 2_000;
        let kept = self.limits.reserve(observation.daily_limit.or(self.limits.daily).unwrap_or(0));
        let is_low = observation.daily_remaining.is_some_and(|left| left < WORTH_NOTING.saturating_add(kept));
        if !is_news && !is_low {
            return Ok(());
        }
        self.remember(false);
        let midnight = self.midnight(self.clock.now());
        let local_now = self.clock.now().as_millisecond();
        let (cooled, _) = self
            .change(move |state, now| {
                let now = now.as_millisecond();
                let until = observation.cool_down_until.map(|until| {
                    // The vendor's wish is a length of time from the answer on; the store's clock may differ from ours.
                    now.saturating_add(until.as_millisecond().saturating_sub(local_now))
                });
                if let Some(remaining) = observation.daily_remaining {
                    state.observe_remaining(now, midnight, remaining, observation.daily_limit);
                }
                if observation.day_spent {
                    // The vendor knows better than we when its day ends.
                    state.spend_day(until.or(midnight).unwrap_or(now));
                    return 0;
                }
                let before = state.cooled_ms();
                if let Some(until) = until {
                    state.cool_down(counted, now, until);
                }
                state.cooled_ms().saturating_sub(before)
            })
            .await?;
        self.metrics.cooled_down(&self.connection, Duration::from_millis(cooled));
        Ok(())
    }

    async fn pause(&self, why: &str) -> Result<(), Error> {
        let why = why.to_owned();
        self.remember(false);
        let entry = NewAuditEntry {
            connection: Some(self.connection.clone()),
            ..NewAuditEntry::new(self.clock.now(), Actor::program(), Act::ConnectionPaused).with(&*why)
        };
        let pause = move |state: &mut State, _| {
            let is_first = state.paused().is_none();
            state.pause(&why);
            is_first
        };
        let (is_first, _) = self.change(pause).await?;
        self.metrics.connection_paused(&self.connection, true);
        if is_first {
            self.store.audit(&entry).await.map_err(|source| self.unreachable(&source))?;
        }
        Ok(())
    }
}

fn throttled(until: i64, code: &str, message: &str) -> Error {
    let until = Timestamp::from_millisecond(until).ok();
    let when = until.map(|until| format!("; goes on at {until}")).unwrap_or_default();
    Error { until, ..Error::new(Class::Throttled, code, format!("{message}{when}")) }
}
