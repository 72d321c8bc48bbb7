//! The counters themselves: one typed method per thing that happens, so that no caller spells a name or a label.
//!
//! A value, not a global: the binary makes one and hands out clones. Two in one process (two tests) know nothing of
//! each other.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use infill_model::outcome::Counts;
use infill_model::{Class, ConnectionName, Outcome, RunState, Stage};
use prometheus::core::{Collector, GenericGauge};
use prometheus::{
    CounterVec, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use crate::label::{self, Handled, Publish, Role, ScheduledStart};
use crate::metric::{self, Kind, Metric};

/// Everything that is counted in one process. Cheap to clone; clones count together.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    messages: IntCounterVec,
    message_duration: HistogramVec,
    queue_wait: HistogramVec,
    in_progress: IntGaugeVec,
    errors: IntCounterVec,
    rows: IntCounterVec,
    call_duration: HistogramVec,
    quota_wait: HistogramVec,
    quota_window_left: IntGaugeVec,
    quota_day_left: IntGaugeVec,
    cooled_down: CounterVec,
    paused: IntGaugeVec,
    connected: IntGaugeVec,
    blocked: IntGaugeVec,
    reconnects: IntCounterVec,
    acks_lost: IntCounterVec,
    published: IntCounterVec,
    confirm_duration: HistogramVec,
    republished: IntCounterVec,
    scheduled_starts: IntCounterVec,
    runs_open: IntGaugeVec,
    batches_in_flight: IntGaugeVec,
    rows_pulled: IntGaugeVec,
    rows_settled: IntGaugeVec,
    oldest_age: GaugeVec,
}

/// Where the runs that have not ended stand, summed over them so that no run is a label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenRuns {
    /// How many are in each state; states left out count none, final states are ignored.
    pub by_state: Vec<(RunState, u64)>,
    /// Batches published and not finished.
    pub batches_in_flight: u64,
    /// Rows they hold.
    pub rows_pulled: u64,
    /// Rows that have their final outcome.
    pub rows_settled: u64,
    /// Age of the oldest; zero without one.
    pub oldest_age: Duration,
}

/// Counts a message as being handled until dropped.
#[must_use = "the message counts as in progress until this is dropped"]
pub struct InProgress(GenericGauge<prometheus::core::AtomicI64>);

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl fmt::Debug for InProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProgress").finish_non_exhaustive()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All at zero. Series whose labels are known beforehand exist from the start, so that a rate over the first error
    /// is not lost.
    #[must_use]
    pub fn new() -> Self {
        let registry = Registry::new();
        let build_info: IntGaugeVec = register(&registry, &metric::BUILD_INFO, IntGaugeVec::new);
        build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        #[cfg(target_os = "linux")]
        add(&registry, prometheus::process_collector::ProcessCollector::for_self());
        let inner = Inner {
            messages: register(&registry, &metric::WORKER_MESSAGES, IntCounterVec::new),
            message_duration: histogram(&registry, &metric::WORKER_MESSAGE_DURATION),
            queue_wait: histogram(&registry, &metric::WORKER_QUEUE_WAIT),
            in_progress: register(&registry, &metric::WORKER_MESSAGES_IN_PROGRESS, IntGaugeVec::new),
            errors: register(&registry, &metric::WORKER_ERRORS, IntCounterVec::new),
            rows: register(&registry, &metric::ROWS, IntCounterVec::new),
            call_duration: histogram(&registry, &metric::CRM_CALL_DURATION),
            quota_wait: histogram(&registry, &metric::CRM_QUOTA_WAIT),
            quota_window_left: register(&registry, &metric::CRM_QUOTA_WINDOW_LEFT, IntGaugeVec::new),
            quota_day_left: register(&registry, &metric::CRM_QUOTA_DAY_LEFT, IntGaugeVec::new),
            cooled_down: register(&registry, &metric::CRM_COOLED_DOWN, CounterVec::new),
            paused: register(&registry, &metric::CRM_CONNECTION_PAUSED, IntGaugeVec::new),
            connected: register(&registry, &metric::BROKER_CONNECTED, IntGaugeVec::new),
            blocked: register(&registry, &metric::BROKER_BLOCKED, IntGaugeVec::new),
            reconnects: register(&registry, &metric::BROKER_RECONNECTS, IntCounterVec::new),
            acks_lost: register(&registry, &metric::BROKER_ACKS_LOST, IntCounterVec::new),
            published: register(&registry, &metric::BROKER_MESSAGES_PUBLISHED, IntCounterVec::new),
            confirm_duration: histogram(&registry, &metric::BROKER_CONFIRM_DURATION),
            republished: register(&registry, &metric::PLANNER_REPUBLISHED, IntCounterVec::new),
            scheduled_starts: register(&registry, &metric::PLANNER_SCHEDULED_STARTS, IntCounterVec::new),
            runs_open: register(&registry, &metric::RUNS_OPEN, IntGaugeVec::new),
            batches_in_flight: register(&registry, &metric::RUNS_BATCHES_IN_FLIGHT, IntGaugeVec::new),
            rows_pulled: register(&registry, &metric::RUNS_ROWS_PULLED, IntGaugeVec::new),
            rows_settled: register(&registry, &metric::RUNS_ROWS_SETTLED, IntGaugeVec::new),
            oldest_age: register(&registry, &metric::RUNS_OLDEST_AGE, GaugeVec::new),
            registry,
        };
        inner.touch();
        Self(Arc::new(inner))
    }

    /// A stage message is being handled, until the answer is dropped.
    pub fn message_started(&self, stage: Stage) -> InProgress {
        let gauge = self.0.in_progress.with_label_values(&[stage.as_str()]);
        gauge.inc();
        InProgress(gauge)
    }

    /// A stage message got its verdict, `took` after it was taken.
    pub fn message_handled(&self, stage: Stage, handled: Handled, took: Duration) {
        let labels = [stage.as_str(), handled.as_str()];
        self.0.messages.with_label_values(&labels).inc();
        self.0.message_duration.with_label_values(&labels).observe(took.as_secs_f64());
    }

    /// A stage message waited this long in the queue.
    pub fn queue_waited(&self, stage: Stage, wait: Duration) {
        self.0.queue_wait.with_label_values(&[stage.as_str()]).observe(wait.as_secs_f64());
    }

    /// An error kept a stage message from completing.
    pub fn error_met(&self, stage: Stage, class: Class) {
        self.0.errors.with_label_values(&[stage.as_str(), class.as_str()]).inc();
    }

    /// `n_rows` rows got their final outcome.
    pub fn rows_settled(&self, outcome: Outcome, n_rows: u64) {
        self.0.rows.with_label_values(&[outcome.as_str()]).inc_by(n_rows);
    }

    /// Rows got their final outcomes.
    pub fn counts_settled(&self, counts: &Counts) {
        for outcome in Outcome::ALL {
            self.rows_settled(outcome, counts.of(outcome));
        }
    }

    /// A call to the CRM was answered or failed; `class` is that of its error. `operation` is the connector's own word
    /// for the call, never a path with an id in it.
    pub fn crm_called(
        &self,
        connection: &ConnectionName,
        operation: &'static str,
        class: Option<Class>,
        took: Duration,
    ) {
        let labels = [connection.as_str(), operation, label::class(class)];
        self.0.call_duration.with_label_values(&labels).observe(took.as_secs_f64());
    }

    /// A call waited this long for its quota.
    pub fn quota_waited(&self, connection: &ConnectionName, wait: Duration) {
        self.0.quota_wait.with_label_values(&[connection.as_str()]).observe(wait.as_secs_f64());
    }

    /// What the connection may still spend: in its present burst window, and today where that is known.
    pub fn quota_left(&self, connection: &ConnectionName, window: u64, day: Option<u64>) {
        self.0.quota_window_left.with_label_values(&[connection.as_str()]).set(gauge_value(window));
        if let Some(day) = day {
            self.0.quota_day_left.with_label_values(&[connection.as_str()]).set(gauge_value(day));
        }
    }

    /// The vendor told the connection to send nothing for this long. Told once per cool-down, not once per waiting call.
    pub fn cooled_down(&self, connection: &ConnectionName, wait: Duration) {
        self.0.cooled_down.with_label_values(&[connection.as_str()]).inc_by(wait.as_secs_f64());
    }

    /// Whether the connection's login is refused and nothing is sent.
    pub fn connection_paused(&self, connection: &ConnectionName, paused: bool) {
        self.0.paused.with_label_values(&[connection.as_str()]).set(i64::from(paused));
    }

    /// Whether there is a session with the broker.
    pub fn broker_connected(&self, role: Role, connected: bool) {
        self.0.connected.with_label_values(&[role.as_str()]).set(i64::from(connected));
    }

    /// Whether the broker blocks the connection.
    pub fn broker_blocked(&self, role: Role, blocked: bool) {
        self.0.blocked.with_label_values(&[role.as_str()]).set(i64::from(blocked));
    }

    /// A lost session was rebuilt.
    pub fn broker_reconnected(&self, role: Role) {
        self.0.reconnects.with_label_values(&[role.as_str()]).inc();
    }

    /// An ack did not reach the broker: the session broke, no answer came, or the delivery is no longer known.
    pub fn ack_lost(&self, stage: Stage) {
        self.0.acks_lost.with_label_values(&[stage.as_str()]).inc();
    }

    /// A stage message was published and the broker answered, or did not, after `took`.
    pub fn published(&self, stage: Stage, result: Publish, took: Duration) {
        self.0.published.with_label_values(&[stage.as_str(), result.as_str()]).inc();
        self.0.confirm_duration.with_label_values(&[result.as_str()]).observe(took.as_secs_f64());
    }

    /// The reconciler published work again whose message was lost.
    pub fn republished(&self, stage: Stage, n_messages: u64) {
        self.0.republished.with_label_values(&[stage.as_str()]).inc_by(n_messages);
    }

    /// Starts that a schedule asked for were decided.
    pub fn scheduled_starts(&self, result: ScheduledStart, n_starts: u64) {
        self.0.scheduled_starts.with_label_values(&[result.as_str()]).inc_by(n_starts);
    }

    /// Where the open runs stand; replaces what was said before.
    pub fn open_runs(&self, runs: &OpenRuns) {
        for state in RunState::ALL.into_iter().filter(|state| !state.is_final()) {
            let n_runs = runs.by_state.iter().filter(|(of, _)| *of == state).map(|(_, n)| n).sum();
            self.0.runs_open.with_label_values(&[state.as_str()]).set(gauge_value(n_runs));
        }
        self.0.batches_in_flight.with_label_values::<&str>(&[]).set(gauge_value(runs.batches_in_flight));
        self.0.rows_pulled.with_label_values::<&str>(&[]).set(gauge_value(runs.rows_pulled));
        self.0.rows_settled.with_label_values::<&str>(&[]).set(gauge_value(runs.rows_settled));
        self.0.oldest_age.with_label_values::<&str>(&[]).set(runs.oldest_age.as_secs_f64());
    }

    /// Everything in the Prometheus text format, version 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        if let Err(error) = TextEncoder::new().encode_utf8(&self.0.registry.gather(), &mut text) {
            tracing::error!({ crate::field::ERROR } = %crate::chain(&error), "metrics not rendered in full");
        }
        text
    }
}

impl Inner {
    /// Brings the series into being whose labels are all enums. Histograms are left to their first observation: their
    /// zeros are many and a rate over them starts with the first one anyway.
    fn touch(&self) {
        for stage in Stage::ALL.map(Stage::as_str) {
            for handled in Handled::ALL {
                self.messages.with_label_values(&[stage, handled.as_str()]);
            }
            for class in Class::ALL {
                self.errors.with_label_values(&[stage, class.as_str()]);
            }
            for result in Publish::ALL {
                self.published.with_label_values(&[stage, result.as_str()]);
            }
            self.in_progress.with_label_values(&[stage]);
            self.acks_lost.with_label_values(&[stage]);
            self.republished.with_label_values(&[stage]);
        }
        for outcome in Outcome::ALL {
            self.rows.with_label_values(&[outcome.as_str()]);
        }
        for result in ScheduledStart::ALL {
            self.scheduled_starts.with_label_values(&[result.as_str()]);
        }
        for role in Role::ALL {
            self.reconnects.with_label_values(&[role.as_str()]);
        }
    }
}

/// A gauge holds an `i64`; a count beyond it is shown as the largest there is.
fn gauge_value(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    metric: &Metric,
    make: impl FnOnce(Opts, &[&str]) -> prometheus::Result<C>,
) -> C {
    made(registry, metric, make(Opts::new(metric.name, metric.help), metric.labels))
}

fn histogram(registry: &Registry, metric: &Metric) -> HistogramVec {
    let buckets = match metric.kind {
        Kind::Histogram(buckets) => buckets.to_vec(),
        Kind::Counter | Kind::Gauge => Vec::new(),
    };
    let opts = HistogramOpts::new(metric.name, metric.help).buckets(buckets);
    made(registry, metric, HistogramVec::new(opts, metric.labels))
}

#[expect(
    clippy::expect_used,
    reason = "names, labels and buckets are constants; every test that makes a `Metrics` checks them all"
)]
fn made<C: Collector + Clone + 'static>(
    registry: &Registry,
    metric: &Metric,
    made: prometheus::Result<C>,
) -> C {
    let collector = made.expect(metric.name);
    add(registry, collector.clone());
    collector
}

#[expect(
    clippy::expect_used,
    reason = "fails only for a name given twice; every test that makes a `Metrics` checks it"
)]
fn add(registry: &Registry, collector: impl Collector + 'static) {
    registry.register(Box::new(collector)).expect("metric names are unique");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::metric::CATALOGUE;

    fn busy() -> Metrics {
        let metrics = Metrics::new();
        let portal = ConnectionName::from("main-hubspot");
        metrics.message_handled(Stage::Run, Handled::Completed, Duration::from_millis(120));
        metrics.queue_waited(Stage::Run, Duration::from_millis(3));
        metrics.error_met(Stage::Verify, Class::Transient);
        metrics.rows_settled(Outcome::Verified, 100);
        metrics.crm_called(&portal, "batch_update", None, Duration::from_millis(80));
        metrics.crm_called(&portal, "batch_update", Some(Class::Throttled), Duration::from_millis(5));
        metrics.quota_waited(&portal, Duration::from_millis(50));
        metrics.quota_left(&portal, 189, Some(624_000));
        metrics.cooled_down(&portal, Duration::from_millis(1500));
        metrics.connection_paused(&portal, true);
        metrics.broker_connected(Role::Consumer, true);
        metrics.broker_blocked(Role::Publisher, false);
        metrics.broker_reconnected(Role::Consumer);
        metrics.ack_lost(Stage::Run);
        metrics.published(Stage::Verify, Publish::Confirmed, Duration::from_millis(1));
        metrics.republished(Stage::Run, 2);
        metrics.scheduled_starts(ScheduledStart::Missed, 3);
        metrics.open_runs(&OpenRuns {
            by_state: vec![(RunState::Running, 2)],
            batches_in_flight: 8,
            rows_pulled: 537,
            rows_settled: 40,
            oldest_age: Duration::from_secs(61),
        });
        metrics
    }

    #[track_caller]
    fn check(metrics: &Metrics, line: &str) {
        let text = metrics.render();
        assert!(text.lines().any(|of| of == line), "no line {line:?} in\n{text}");
    }

    #[test]
    fn every_metric_of_the_catalogue_is_rendered_and_no_other() {
        let text = busy().render();
        let rendered: BTreeSet<(&str, &str)> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
            .filter(|(name, _)| !name.starts_with("process_"))
            .collect();
        let declared: BTreeSet<(&str, &str)> =
            CATALOGUE.map(|metric| (metric.name, metric.kind.as_str())).into();
        assert_eq!(rendered, declared);
    }

    #[test]
    fn names_follow_the_grammar() {
        for metric in CATALOGUE {
            assert!(metric.name.starts_with("infill_"), "{}", metric.name);
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter, "{}", metric.name);
            if let Kind::Histogram(buckets) = metric.kind {
                assert!(metric.name.ends_with("_seconds"), "{}", metric.name);
                assert!(buckets.is_sorted(), "{}", metric.name);
            }
            assert!(metric.help.ends_with('.'), "{}", metric.name);
        }
    }

    #[test]
    fn what_happened_is_what_is_shown() {
        let metrics = busy();
        check(&metrics, r#"infill_worker_messages_total{result="completed",stage="run"} 1"#);
        check(
            &metrics,
            r#"infill_worker_message_duration_seconds_bucket{result="completed",stage="run",le="0.1"} 0"#,
        );
        check(
            &metrics,
            r#"infill_worker_message_duration_seconds_bucket{result="completed",stage="run",le="0.5"} 1"#,
        );
        check(&metrics, r#"infill_rows_total{outcome="verified"} 100"#);
        check(
            &metrics,
            r#"infill_crm_call_duration_seconds_count{class="ok",connection="main-hubspot",operation="batch_update"} 1"#,
        );
        check(&metrics, r#"infill_crm_quota_day_left_calls{connection="main-hubspot"} 624000"#);
        check(&metrics, r#"infill_crm_cooled_down_seconds_total{connection="main-hubspot"} 1.5"#);
        check(&metrics, r#"infill_broker_connected{role="consumer"} 1"#);
        check(&metrics, r#"infill_runs_open{state="running"} 2"#);
        check(&metrics, "infill_runs_pulled_rows 537");
    }

    #[test]
    fn series_known_beforehand_start_at_zero() {
        let metrics = Metrics::new();
        check(&metrics, r#"infill_worker_messages_total{result="dead_lettered",stage="verify"} 0"#);
        check(&metrics, r#"infill_rows_total{outcome="failed"} 0"#);
        check(&metrics, r#"infill_broker_reconnects_total{role="publisher"} 0"#);
    }

    #[test]
    fn a_message_is_in_progress_until_its_guard_is_dropped() {
        let metrics = Metrics::new();
        let held = metrics.message_started(Stage::Run);
        check(&metrics, r#"infill_worker_messages_in_progress{stage="run"} 1"#);
        drop(held);
        check(&metrics, r#"infill_worker_messages_in_progress{stage="run"} 0"#);
    }

    #[test]
    fn a_state_that_no_run_is_in_any_more_goes_back_to_zero() {
        let metrics = busy();
        metrics.open_runs(&OpenRuns::default());
        check(&metrics, r#"infill_runs_open{state="running"} 0"#);
        check(&metrics, "infill_runs_oldest_age_seconds 0");
    }

    #[test]
    fn clones_count_together_and_others_apart() {
        let (one, other) = (Metrics::new(), Metrics::new());
        one.clone().rows_settled(Outcome::Gone, 3);
        check(&one, r#"infill_rows_total{outcome="gone"} 3"#);
        check(&other, r#"infill_rows_total{outcome="gone"} 0"#);
    }
}
