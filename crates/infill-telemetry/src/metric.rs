//! The catalogue: every metric's name, kind, labels, help and buckets. Nothing else in the workspace names a metric.
//!
//! `docs/metrics.md` shows this table, and the Grafana board and the alert rules use it; tests hold all three to it.

/// One metric of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// `infill_<part>_<what>_<unit>[_total]`.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// Label names, in the order in which values are given.
    pub labels: &'static [&'static str],
    /// What it says, in one sentence.
    pub help: &'static str,
}

/// What a metric does over time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by upper bounds, in seconds.
    Histogram(&'static [f64]),
}

impl Kind {
    /// The word of the Prometheus text format.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// Handling a message: from a decision of milliseconds to RabbitMQ's consumer timeout of 30 minutes.
const HANDLING_SECONDS: &[f64] = &[0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0];

/// Waiting in a queue: as handling, and an hour for a connection that cools down.
const WAITING_SECONDS: &[f64] = &[0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0];

/// One HTTP call: from loopback to beyond the transport's timeout.
const CALL_SECONDS: &[f64] = &[0.005, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// One publisher confirm: a quorum queue on one node answers in about a millisecond.
const CONFIRM_SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0];

/// Messages handled.
pub const WORKER_MESSAGES: Metric = Metric {
    name: "infill_worker_messages_total",
    kind: Kind::Counter,
    labels: &["stage", "result"],
    help: "Stage messages handled, by how that ended.",
};

/// How long handling took.
pub const WORKER_MESSAGE_DURATION: Metric = Metric {
    name: "infill_worker_message_duration_seconds",
    kind: Kind::Histogram(HANDLING_SECONDS),
    labels: &["stage", "result"],
    help: "Time from taking a stage message to its verdict.",
};

/// How long messages were queued.
pub const WORKER_QUEUE_WAIT: Metric = Metric {
    name: "infill_worker_queue_wait_seconds",
    kind: Kind::Histogram(WAITING_SECONDS),
    labels: &["stage"],
    help: "Time from publishing a stage message to taking it, or from its not-before moment if it had one.",
};

/// Messages being handled.
pub const WORKER_MESSAGES_IN_PROGRESS: Metric = Metric {
    name: "infill_worker_messages_in_progress",
    kind: Kind::Gauge,
    labels: &["stage"],
    help: "Stage messages being handled by this process now.",
};

/// Errors that led to a verdict other than completed.
pub const WORKER_ERRORS: Metric = Metric {
    name: "infill_worker_errors_total",
    kind: Kind::Counter,
    labels: &["stage", "class"],
    help: "Errors that kept a stage message from completing, by class.",
};

/// Rows settled.
pub const ROWS: Metric = Metric {
    name: "infill_rows_total",
    kind: Kind::Counter,
    labels: &["outcome"],
    help: "Rows that got their final outcome.",
};

/// CRM calls.
pub const CRM_CALL_DURATION: Metric = Metric {
    name: "infill_crm_call_duration_seconds",
    kind: Kind::Histogram(CALL_SECONDS),
    labels: &["connection", "operation", "class"],
    help: "Calls to the CRM, by class of result; ok when it went well.",
};

/// Waiting for the quota.
pub const CRM_QUOTA_WAIT: Metric = Metric {
    name: "infill_crm_quota_wait_seconds",
    kind: Kind::Histogram(CALL_SECONDS),
    labels: &["connection"],
    help: "Time a call waited for the connection's quota before it was sent.",
};

/// Calls left in the burst window.
pub const CRM_QUOTA_WINDOW_LEFT: Metric = Metric {
    name: "infill_crm_quota_window_left_calls",
    kind: Kind::Gauge,
    labels: &["connection"],
    help: "Calls left in the connection's present burst window.",
};

/// Calls left today.
pub const CRM_QUOTA_DAY_LEFT: Metric = Metric {
    name: "infill_crm_quota_day_left_calls",
    kind: Kind::Gauge,
    labels: &["connection"],
    help: "Calls left to the connection until the account's midnight, where the vendor says.",
};

/// Cooling down.
pub const CRM_COOLED_DOWN: Metric = Metric {
    name: "infill_crm_cooled_down_seconds_total",
    kind: Kind::Counter,
    labels: &["connection"],
    help: "Seconds the vendor told the connection to send nothing.",
};

/// Paused connections.
pub const CRM_CONNECTION_PAUSED: Metric = Metric {
    name: "infill_crm_connection_paused",
    kind: Kind::Gauge,
    labels: &["connection"],
    help: "1 while the connection's login is refused and nothing is sent, else 0.",
};

/// Whether the broker is connected.
pub const BROKER_CONNECTED: Metric = Metric {
    name: "infill_broker_connected",
    kind: Kind::Gauge,
    labels: &["role"],
    help: "1 while this process has a session with the broker, else 0.",
};

/// Whether the broker blocks.
pub const BROKER_BLOCKED: Metric = Metric {
    name: "infill_broker_blocked",
    kind: Kind::Gauge,
    labels: &["role"],
    help: "1 while the broker blocks the connection because it is short of memory or disk, else 0.",
};

/// Sessions rebuilt.
pub const BROKER_RECONNECTS: Metric = Metric {
    name: "infill_broker_reconnects_total",
    kind: Kind::Counter,
    labels: &["role"],
    help: "Sessions with the broker that were lost and rebuilt.",
};

/// Acks the broker did not take.
pub const BROKER_ACKS_LOST: Metric = Metric {
    name: "infill_broker_acks_lost_total",
    kind: Kind::Counter,
    labels: &["stage"],
    help: "Acks that did not reach the broker; the messages are delivered again.",
};

/// Messages published.
pub const BROKER_MESSAGES_PUBLISHED: Metric = Metric {
    name: "infill_broker_messages_published_total",
    kind: Kind::Counter,
    labels: &["stage", "result"],
    help: "Stage messages published, by what the broker answered.",
};

/// How long a confirm took.
pub const BROKER_CONFIRM_DURATION: Metric = Metric {
    name: "infill_broker_confirm_duration_seconds",
    kind: Kind::Histogram(CONFIRM_SECONDS),
    labels: &["result"],
    help: "Time from publishing a stage message to the broker's answer.",
};

/// Work that had no message.
pub const PLANNER_REPUBLISHED: Metric = Metric {
    name: "infill_planner_republished_total",
    kind: Kind::Counter,
    labels: &["stage"],
    help: "Unfinished work whose message was lost and that the reconciler published again.",
};

/// Starts that schedules asked for.
pub const PLANNER_SCHEDULED_STARTS: Metric = Metric {
    name: "infill_planner_scheduled_starts_total",
    kind: Kind::Counter,
    labels: &["result"],
    help: "Starts that schedules asked for, by what became of them.",
};

/// Runs by state.
pub const RUNS_OPEN: Metric = Metric {
    name: "infill_runs_open",
    kind: Kind::Gauge,
    labels: &["state"],
    help: "Runs that have not ended, by state.",
};

/// Batches in flight.
pub const RUNS_BATCHES_IN_FLIGHT: Metric = Metric {
    name: "infill_runs_batches_in_flight",
    kind: Kind::Gauge,
    labels: &[],
    help: "Batches of all open runs that are published and not finished.",
};

/// Rows pulled by open runs.
pub const RUNS_ROWS_PULLED: Metric = Metric {
    name: "infill_runs_pulled_rows",
    kind: Kind::Gauge,
    labels: &[],
    help: "Rows that the open runs hold, in sum.",
};

/// Rows settled by open runs.
pub const RUNS_ROWS_SETTLED: Metric = Metric {
    name: "infill_runs_settled_rows",
    kind: Kind::Gauge,
    labels: &[],
    help: "Rows of the open runs that have their final outcome, in sum.",
};

/// Age of the oldest open run.
pub const RUNS_OLDEST_AGE: Metric = Metric {
    name: "infill_runs_oldest_age_seconds",
    kind: Kind::Gauge,
    labels: &[],
    help: "Age of the oldest open run; 0 without one.",
};

/// What is running.
pub const BUILD_INFO: Metric = Metric {
    name: "infill_build_info",
    kind: Kind::Gauge,
    labels: &["version"],
    help: "Always 1; the label says which version runs.",
};

/// Every metric that Infill itself defines, in the order in which the documentation lists them.
///
/// Beside them, on Linux, stand the `process_*` metrics that every Prometheus client has.
pub const CATALOGUE: [Metric; 26] = [
    WORKER_MESSAGES,
    WORKER_MESSAGE_DURATION,
    WORKER_QUEUE_WAIT,
    WORKER_MESSAGES_IN_PROGRESS,
    WORKER_ERRORS,
    ROWS,
    CRM_CALL_DURATION,
    CRM_QUOTA_WAIT,
    CRM_QUOTA_WINDOW_LEFT,
    CRM_QUOTA_DAY_LEFT,
    CRM_COOLED_DOWN,
    CRM_CONNECTION_PAUSED,
    BROKER_CONNECTED,
    BROKER_BLOCKED,
    BROKER_RECONNECTS,
    BROKER_ACKS_LOST,
    BROKER_MESSAGES_PUBLISHED,
    BROKER_CONFIRM_DURATION,
    PLANNER_REPUBLISHED,
    PLANNER_SCHEDULED_STARTS,
    RUNS_OPEN,
    RUNS_BATCHES_IN_FLIGHT,
    RUNS_ROWS_PULLED,
    RUNS_ROWS_SETTLED,
    RUNS_OLDEST_AGE,
    BUILD_INFO,
];
