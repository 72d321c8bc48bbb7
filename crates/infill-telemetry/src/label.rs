//! Label values as enums, so that the compiler bounds how many time series there are.
//!
//! The only free label is the connection's name, which the configuration bounds. Record ids, run ids, addresses and
//! error texts are never labels.

use infill_model::Class;

/// How the handling of a message ended: the label `result`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Handled {
    /// The work is done and its successor published.
    Completed,
    /// It comes again after a delay and costs an attempt.
    Retried,
    /// It comes again at a known moment and costs no attempt.
    Waited,
    /// It will not come again by itself.
    DeadLettered,
    /// Its run was cancelled or stopped.
    Cancelled,
}

impl Handled {
    /// Every value.
    pub const ALL: [Self; 5] =
        [Self::Completed, Self::Retried, Self::Waited, Self::DeadLettered, Self::Cancelled];

    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Retried => "retried",
            Self::Waited => "waited",
            Self::DeadLettered => "dead_lettered",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What became of a publish: the label `result`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Publish {
    /// The broker took responsibility.
    Confirmed,
    /// The broker said no: a full queue, most often.
    Nacked,
    /// No queue would take it.
    Returned,
    /// No answer in time; it may be in the queue.
    TimedOut,
    /// The session broke before the answer; it may be in the queue.
    Lost,
}

impl Publish {
    /// Every value.
    pub const ALL: [Self; 5] = [Self::Confirmed, Self::Nacked, Self::Returned, Self::TimedOut, Self::Lost];

    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Nacked => "nacked",
            Self::Returned => "returned",
            Self::TimedOut => "timed_out",
            Self::Lost => "lost",
        }
    }
}

/// What became of a start that a schedule asked for: the label `result`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScheduledStart {
    /// A run was recorded for it.
    Started,
    /// It passed while no planner ran.
    Missed,
    /// A run in progress kept it from having one.
    Skipped,
}

impl ScheduledStart {
    /// Every value.
    pub const ALL: [Self; 3] = [Self::Started, Self::Missed, Self::Skipped];

    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Missed => "missed",
            Self::Skipped => "skipped",
        }
    }
}

/// Which of a process's two broker connections: the label `role`.
///
/// They are apart because a broker short of memory stops reading from connections that publish, and with that their acks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The one that publishes.
    Publisher,
    /// The one that consumes.
    Consumer,
}

impl Role {
    /// Every value.
    pub const ALL: [Self; 2] = [Self::Publisher, Self::Consumer];

    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Publisher => "publisher",
            Self::Consumer => "consumer",
        }
    }
}

/// The label `class` of a call that went well.
pub const OK: &str = "ok";

/// The label `class` of a call: the class of its error, or [`OK`].
#[must_use]
pub const fn class(class: Option<Class>) -> &'static str {
    match class {
        Some(class) => class.as_str(),
        None => OK,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_are_pinned() {
        assert_eq!(
            Handled::ALL.map(Handled::as_str),
            ["completed", "retried", "waited", "dead_lettered", "cancelled"]
        );
        assert_eq!(
            Publish::ALL.map(Publish::as_str),
            ["confirmed", "nacked", "returned", "timed_out", "lost"]
        );
        assert_eq!(ScheduledStart::ALL.map(ScheduledStart::as_str), ["started", "missed", "skipped"]);
        assert_eq!(Role::ALL.map(Role::as_str), ["publisher", "consumer"]);
        assert_eq!((class(None), class(Some(Class::Throttled))), ("ok", "throttled"));
    }
}
