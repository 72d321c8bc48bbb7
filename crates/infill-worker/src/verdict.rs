//! What became of a message, as data; and how an error becomes one.

use std::time::Duration;

use infill_crm::Exchanged;
use infill_model::Timestamp;
use infill_model::error::Class;
use infill_model::message::Work;
use infill_model::row::Cause;
use infill_rules::retry::RetryPolicy;
use infill_store::store::Progress;

/// How long a message waits before it looks again whether a paused connection was mended.
pub const PAUSED_RECHECK: Duration = Duration::from_secs(30);

/// How long a message waits at most for a store or a broker to come back. The message's attempts are the CRM's, so the wait does not
/// grow.
const POSTPONEMENT: Duration = Duration::from_secs(5);

/// What became of a message. The driver in [`crate::consume`] acts on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Done: see what the run needs next, then acknowledge.
    Complete,
    /// Done, and the run stands like this: as [`Verdict::Complete`].
    CompleteAt(Progress),
    /// Done, and this comes next.
    Then(Work),
    /// Somebody else has it, or it was done before.
    Drop,
    /// Again later; costs an attempt.
    Retry {
        /// Not before.
        at: Timestamp,
        /// Why.
        cause: Cause,
    },
    /// Again later; costs no attempt. The run is parked when the wait is long.
    Wait {
        /// Not before.
        until: Timestamp,
        /// Why, for a person.
        why: String,
    },
    /// Again later; costs no attempt. The CRM is at work on rows that were handed over to it, and what becomes of them must be
    /// known, whatever becomes of the run.
    Await {
        /// Not before.
        until: Timestamp,
    },
    /// Store or broker cannot be used, so nothing can be recorded: again later, costs no attempt.
    Postpone {
        /// Not before.
        at: Timestamp,
    },
    /// Out of attempts, or an answer nobody can read: what is unsettled fails, each row with a dead letter.
    GiveUp {
        /// Why.
        cause: Cause,
        /// The call that failed last, when it had an answer.
        exchanged: Option<Box<Exchanged>>,
    },
    /// The run cannot go on until a person acts.
    Stop {
        /// Why.
        cause: Cause,
    },
}

impl Verdict {
    /// Why the work is not finished, for a person; `None` when it is, or is somebody else's.
    #[must_use]
    pub fn unfinished(&self) -> Option<String> {
        match self {
            Self::Complete
            | Self::CompleteAt(_)
            | Self::Then(_)
            | Self::Drop
            | Self::Await { .. }
            | Self::Postpone { .. } => None,
            Self::Wait { why, .. } => Some(why.clone()),
            Self::Retry { cause, .. } | Self::GiveUp { cause, .. } | Self::Stop { cause } => {
                Some(cause.message.clone())
            }
        }
    }

    /// The error behind it, where there is one.
    #[must_use]
    pub const fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Retry { cause, .. } | Self::GiveUp { cause, .. } | Self::Stop { cause } => Some(cause),
            Self::Complete
            | Self::CompleteAt(_)
            | Self::Then(_)
            | Self::Drop
            | Self::Wait { .. }
            | Self::Await { .. }
            | Self::Postpone { .. } => None,
        }
    }
}

/// What kept a handler from finishing.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A call to the CRM.
    #[error("call the CRM")]
    Crm(#[from] infill_crm::Error),
    /// The store.
    #[error("use the store")]
    Store(#[from] infill_store::Error),
    /// The broker.
    #[error("use the broker")]
    Broker(#[from] infill_broker::Error),
    /// The script engine could not be made.
    #[error("start the script engine")]
    Engine(#[source] infill_chain::Error),
    /// The handler found that the run cannot go on.
    #[error("{}", .0.message)]
    Stop(Cause),
}

impl Failure {
    /// The class, for metrics.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Crm(error) => error.class,
            Self::Stop(cause) => cause.class,
            Self::Store(_) | Self::Broker(_) => Class::Transient,
            Self::Engine(_) => Class::Bug,
        }
    }
}

/// The vendor's error as a cause to keep.
#[must_use]
pub fn cause_of(error: &infill_crm::Error, at: Timestamp) -> Cause {
    Cause {
        class: error.class,
        code: error.code.clone(),
        message: error.message.clone(),
        property: error.property.clone(),
        correlation_id: error.correlation_id.clone(),
        at: Some(at),
    }
}

/// What to do about a failure on the given attempt. Pure: `jitter` is a random number in `0.0..1.0`.
#[must_use]
pub fn judge(failure: &Failure, attempt: u32, policy: &RetryPolicy, now: Timestamp, jitter: f64) -> Verdict {
    let after = |delay: Duration| now.saturating_add(delay).unwrap_or(now);
    match failure {
        Failure::Stop(cause) => Verdict::Stop { cause: cause.clone() },
        Failure::Crm(error) => {
            let cause = cause_of(error, now);
            let give_up = |cause| Verdict::GiveUp { cause, exchanged: error.exchanged.clone() };
            match error.class {
                Class::Throttled => Verdict::Wait {
                    until: error.until.unwrap_or_else(|| after(policy.base)),
                    why: error.message.clone(),
                },
                Class::Unauthorized => {
                    Verdict::Wait { until: after(PAUSED_RECHECK), why: error.message.clone() }
                }
                Class::Configuration => Verdict::Stop { cause },
                Class::Transient | Class::Conflict => match policy.delay(attempt, jitter) {
                    Some(delay) if error.max_attempts.is_none_or(|most| attempt < most) => {
                        let at = after(delay);
                        Verdict::Retry { at: error.until.map_or(at, |until| at.max(until)), cause }
                    }
                    Some(_) | None => give_up(out_of_attempts(&cause, attempt)),
                },
                Class::Rejected | Class::Gone | Class::Bug => give_up(cause),
            }
        }
        // Without store or broker nothing can be settled, so nothing is given up either: it waits for them.
        Failure::Store(_) | Failure::Broker(_) | Failure::Engine(_) => {
            Verdict::Postpone { at: after(POSTPONEMENT.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))) }
        }
    }
}

fn out_of_attempts(last: &Cause, attempts: u32) -> Cause {
    Cause {
        code: "out_of_attempts".into(),
        message: format!(
            "gave up after {attempts} attempts; the last one ended with {}: {} (`infill dead-letters retry` tries again)",
            last.code, last.message
        ),
        ..last.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(class: Class, attempt: u32) -> Verdict {
        let error = infill_crm::Error::new(class, "code", "message");
        judge(&Failure::Crm(error), attempt, &RetryPolicy::default(), Timestamp::UNIX_EPOCH, 0.5)
    }

    #[test]
    fn the_class_decides() {
        for class in Class::ALL {
            let verdict = judged(class, 1);
            let fits = match class {
                Class::Transient | Class::Conflict => matches!(verdict, Verdict::Retry { .. }),
                Class::Throttled | Class::Unauthorized => matches!(verdict, Verdict::Wait { .. }),
                Class::Configuration => matches!(verdict, Verdict::Stop { .. }),
                Class::Rejected | Class::Gone | Class::Bug => matches!(verdict, Verdict::GiveUp { .. }),
            };
            assert!(fits, "{class}: {verdict:?}");
        }
    }

    #[test]
    fn the_last_attempt_gives_up_and_names_the_way_out() {
        let Verdict::GiveUp { cause, .. } = judged(Class::Transient, 8) else { panic!("gives up") };
        assert_eq!(cause.code, "out_of_attempts");
        assert!(cause.message.contains("dead-letters retry"), "{}", cause.message);
    }

    #[test]
    fn what_is_worth_fewer_attempts_gets_fewer() {
        let error = infill_crm::Error {
            max_attempts: Some(3),
            ..infill_crm::Error::new(Class::Transient, "http_500", "message")
        };
        let judged = |attempt| {
            let failure = Failure::Crm(error.clone());
            judge(&failure, attempt, &RetryPolicy::default(), Timestamp::UNIX_EPOCH, 0.5)
        };
        assert!(matches!(judged(2), Verdict::Retry { .. }));
        assert!(matches!(judged(3), Verdict::GiveUp { .. }));
    }

    #[test]
    fn a_store_that_is_down_costs_no_attempt() {
        let failure = Failure::Store(infill_store::Error::Query {
            operation: "save",
            source: Box::new(std::io::Error::other("down")),
        });
        let verdict = judge(&failure, 500, &RetryPolicy::default(), Timestamp::UNIX_EPOCH, 0.5);
        assert!(matches!(verdict, Verdict::Postpone { .. }), "{verdict:?}");
    }

    #[test]
    fn the_vendors_wish_is_honoured_when_it_is_longer() {
        let until = Timestamp::from_second(1_000).unwrap();
        let error =
            infill_crm::Error { until: Some(until), ..infill_crm::Error::new(Class::Transient, "c", "m") };
        let verdict = judge(&Failure::Crm(error), 1, &RetryPolicy::default(), Timestamp::UNIX_EPOCH, 0.5);
        assert!(matches!(verdict, Verdict::Retry { at, .. } if at == until), "{verdict:?}");
    }
}
