//! Salesforce's limits: requests of the whole org in any 24 hours, and requests that last long at the same time.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::limit::RollingWindow;
use crate::word::UnknownWord;

/// The daily limit counts any 24 hours.
const DAY_MS: i64 = 86_400_000;
/// A request counts as long-running from here.
const LONG_MS: i64 = 20_000;

/// An edition of Salesforce, which decides the limits; with ten licences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edition {
    /// 15,000 requests a day, 5 long ones at once.
    Developer,
    /// 110,000 requests a day, 25 long ones at once.
    Enterprise,
    /// Unlimited and Performance Edition: 150,000 requests a day, 25 long ones at once.
    Unlimited,
    /// A full sandbox: 5,000,000 requests a day, 25 long ones at once.
    Sandbox,
    /// No limit at all; not something Salesforce sells.
    None,
}

impl Edition {
    const ALL: [Self; 5] = [Self::Developer, Self::Enterprise, Self::Unlimited, Self::Sandbox, Self::None];

    /// The word used on command lines.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Developer => "developer",
            Self::Enterprise => "enterprise",
            Self::Unlimited => "unlimited",
            Self::Sandbox => "sandbox",
            Self::None => "none",
        }
    }
}

/// How much an org may be asked; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests of the org in any 24 hours.
    pub daily: Option<u64>,
    /// Requests over the daily limit that are still answered. Documented without a number; default 0.
    pub tolerated: u64,
    /// Requests that have lasted 20 seconds or more, at the same time.
    pub concurrent_long: Option<u64>,
}

impl Limits {
    /// The limits of an edition.
    #[must_use]
    pub fn of(edition: Edition) -> Self {
        let (daily, concurrent_long) = match edition {
            Edition::Developer => (Some(15_000), Some(5)),
            Edition::Enterprise => (Some(110_000), Some(25)),
            Edition::Unlimited => (Some(150_000), Some(25)),
            Edition::Sandbox => (Some(5_000_000), Some(25)),
            Edition::None => (None, None),
        };
        Self { daily, tolerated: 0, concurrent_long }
    }
}

impl FromStr for Limits {
    type Err = UnknownWord;

    /// An edition's word, or `N` requests a day.
    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        if let Some(edition) = Edition::ALL.into_iter().find(|edition| edition.as_str() == text) {
            return Ok(Self::of(edition));
        }
        match text.parse() {
            Ok(daily) => Ok(Self { daily: Some(daily), ..Self::of(Edition::Enterprise) }),
            Err(_) => Err(UnknownWord {
                what: "limit",
                word: text.to_owned(),
                valid: format!(
                    "{}, or a number of requests a day such as 15000",
                    Edition::ALL.map(Edition::as_str).join(", ")
                ),
            }),
        }
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.daily {
            Some(daily) => write!(f, "{daily}"),
            None => f.write_str(Edition::None.as_str()),
        }
    }
}

/// Why a request is refused with `REQUEST_LIMIT_EXCEEDED`; only the message tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The org's requests of 24 hours.
    Daily,
    /// Too many long requests at once.
    Concurrent,
    /// Too many long transactions in the org's own code.
    LongTransactions,
}

impl Cause {
    pub(crate) const ALL: [Self; 3] = [Self::Daily, Self::Concurrent, Self::LongTransactions];

    /// The word used in fault specifications and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Concurrent => "concurrent",
            Self::LongTransactions => "long-transactions",
        }
    }

    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Daily => "TotalRequests Limit exceeded.",
            Self::Concurrent => "ConcurrentRequests (Concurrent API Requests) Limit exceeded.",
            Self::LongTransactions => "ConcurrentPerOrgLongTxn Limit exceeded.",
        }
    }
}

/// What was used, for reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Requests that count against the daily limit, in the 24 hours until now.
    pub last_24_hours: u64,
    /// The most that any 24 hours held.
    pub worst_24_hours: u64,
    /// The most requests that were under way at once.
    pub most_at_once: u64,
}

/// Counts requests and refuses those over a limit.
#[derive(Debug)]
pub(crate) struct Meters {
    limits: Limits,
    day: RollingWindow,
    /// Requests under way by number, with the time they began.
    under_way: BTreeMap<u64, i64>,
    most_at_once: u64,
}

impl Meters {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, day: RollingWindow::new(DAY_MS), under_way: BTreeMap::new(), most_at_once: 0 }
    }

    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Counts a request, or says which limit it would break. A refused one is not counted.
    pub(crate) fn admit(&mut self, now_ms: i64) -> Result<(), Cause> {
        let n_long = self.under_way.values().filter(|began_ms| now_ms - **began_ms >= LONG_MS).count();
        if self.limits.concurrent_long.is_some_and(|max| u64::try_from(n_long).unwrap_or(u64::MAX) >= max) {
            return Err(Cause::Concurrent);
        }
        let used = self.day.count(now_ms);
        if self.limits.daily.is_some_and(|max| used >= max.saturating_add(self.limits.tolerated)) {
            return Err(Cause::Daily);
        }
        self.day.add(now_ms);
        Ok(())
    }

    /// Notes that a request is under way until [`Meters::end`].
    pub(crate) fn begin(&mut self, nth: u64, now_ms: i64) {
        self.under_way.insert(nth, now_ms);
        let n = u64::try_from(self.under_way.len()).unwrap_or(u64::MAX);
        self.most_at_once = self.most_at_once.max(n);
    }

    pub(crate) fn end(&mut self, nth: u64) {
        self.under_way.remove(&nth);
    }

    /// Used and allowed requests, for `Sforce-Limit-Info`.
    pub(crate) fn standing(&mut self, now_ms: i64) -> (u64, Option<u64>) {
        (self.day.count(now_ms), self.limits.daily)
    }

    pub(crate) fn usage(&mut self, now_ms: i64) -> Usage {
        Usage {
            last_24_hours: self.day.count(now_ms),
            worst_24_hours: self.day.worst(),
            most_at_once: self.most_at_once,
        }
    }

    pub(crate) fn forget_worst(&mut self) {
        self.day.forget_worst();
        self.most_at_once = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_is_any_24_hours_and_some_overshoot_is_tolerated() {
        let mut meters = Meters::new(Limits { daily: Some(2), tolerated: 1, concurrent_long: None });
        assert_eq!((meters.admit(0), meters.admit(1), meters.admit(2)), (Ok(()), Ok(()), Ok(())));
        assert_eq!(meters.admit(3), Err(Cause::Daily));
        assert_eq!(meters.standing(3), (3, Some(2)));
        assert_eq!(meters.admit(DAY_MS), Ok(()));
        assert_eq!(meters.usage(DAY_MS).worst_24_hours, 3);
    }

    #[test]
    fn only_requests_that_last_count_as_concurrent() {
        let mut meters = Meters::new(Limits { concurrent_long: Some(2), ..Limits::of(Edition::None) });
        for nth in 0..3 {
            meters.begin(nth, 0);
        }
        assert_eq!(meters.admit(LONG_MS - 1), Ok(()));
        assert_eq!(meters.admit(LONG_MS), Err(Cause::Concurrent));
        meters.end(0);
        meters.end(1);
        assert_eq!(meters.admit(LONG_MS), Ok(()));
        assert_eq!(meters.usage(LONG_MS).most_at_once, 3);
    }

    #[test]
    fn limits_are_read_from_words_and_numbers() {
        assert_eq!("developer".parse::<Limits>().unwrap().daily, Some(15_000));
        assert_eq!("none".parse::<Limits>().unwrap(), Limits::of(Edition::None));
        assert_eq!("70".parse::<Limits>().unwrap().daily, Some(70));
        assert!("gold".parse::<Limits>().unwrap_err().to_string().contains("enterprise"));
    }
}
