//! HubSpot's rate limits: a ten-second window per app, five searches a second per account, and a day per account.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::config::UnknownWord;
use crate::limit::RollingWindow;

const TEN_SECONDS_MS: i64 = 10_000;
const SECOND_MS: i64 = 1_000;

/// A price tier of HubSpot, which decides the limits of a private app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitTier {
    /// 100 calls per 10 s, 250,000 a day.
    Free,
    /// As [`LimitTier::Free`].
    Starter,
    /// 190 calls per 10 s, 625,000 a day.
    Professional,
    /// 190 calls per 10 s, 1,000,000 a day.
    Enterprise,
    /// A public app in one account: 110 calls per 10 s, no daily limit, for static tokens as well.
    Oauth,
    /// No limit at all, searches included; not something HubSpot sells.
    Unlimited,
}

impl LimitTier {
    const ALL: [Self; 6] =
        [Self::Free, Self::Starter, Self::Professional, Self::Enterprise, Self::Oauth, Self::Unlimited];

    /// The word used on command lines.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Starter => "starter",
            Self::Professional => "professional",
            Self::Enterprise => "enterprise",
            Self::Oauth => "oauth",
            Self::Unlimited => "unlimited",
        }
    }
}

impl fmt::Display for LimitTier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for LimitTier {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|tier| tier.as_str() == word).ok_or_else(|| UnknownWord {
            what: "limit tier",
            word: word.to_owned(),
            valid: Self::ALL.map(Self::as_str).join(", "),
        })
    }
}

/// How much a portal may be asked; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Calls of a static token's app in any 10 seconds, searches not counted.
    pub ten_seconds: Option<u64>,
    /// The same for the OAuth app.
    pub oauth_ten_seconds: Option<u64>,
    /// Searches of the whole account in any second.
    pub search_per_second: Option<u64>,
    /// Calls of all static tokens between two midnights of the account, searches counted.
    pub daily: Option<u64>,
}

impl Limits {
    /// The limits of a tier.
    #[must_use]
    pub fn of(tier: LimitTier) -> Self {
        let (ten_seconds, daily) = match tier {
            LimitTier::Free | LimitTier::Starter => (Some(100), Some(250_000)),
            LimitTier::Professional => (Some(190), Some(625_000)),
            LimitTier::Enterprise => (Some(190), Some(1_000_000)),
            LimitTier::Oauth => (Some(110), None),
            LimitTier::Unlimited => return Self::unlimited(),
        };
        Self { ten_seconds, oauth_ten_seconds: Some(110), search_per_second: Some(5), daily }
    }

    /// No limits.
    #[must_use]
    pub fn unlimited() -> Self {
        Self { ten_seconds: None, oauth_ten_seconds: None, search_per_second: None, daily: None }
    }
}

impl FromStr for Limits {
    type Err = UnknownWord;

    /// A tier's word, or `N` calls per 10 seconds, or `N/D` with `D` calls a day as well; both with 5 searches a second.
    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        if let Ok(tier) = text.parse::<LimitTier>() {
            return Ok(Self::of(tier));
        }
        let (window, day) = match text.split_once('/') {
            Some((window, day)) => (window, Some(day)),
            None => (text, None),
        };
        let unknown = || UnknownWord {
            what: "limit",
            word: text.to_owned(),
            valid: format!(
                "{}, a number of calls per 10 seconds such as 190, or with a day's calls such as 190/625000",
                LimitTier::ALL.map(LimitTier::as_str).join(", ")
            ),
        };
        let window: u64 = window.parse().map_err(|_| unknown())?;
        let daily = day.map(|day| day.parse().map_err(|_| unknown())).transpose()?;
        Ok(Self {
            ten_seconds: Some(window),
            oauth_ten_seconds: Some(window),
            search_per_second: Some(5),
            daily,
        })
    }
}

/// Which limit refused a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Policy {
    /// The ten-second window of an app.
    TenSecondly,
    /// The day of the account.
    Daily,
    /// Searches per second of the account.
    Secondly,
}

impl Policy {
    /// The word used in fault specifications and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TenSecondly => "ten-secondly",
            Self::Daily => "daily",
            Self::Secondly => "secondly",
        }
    }
}

impl FromStr for Policy {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let all = [Self::TenSecondly, Self::Daily, Self::Secondly];
        all.into_iter().find(|policy| policy.as_str() == word).ok_or_else(|| UnknownWord {
            what: "rate limit policy",
            word: word.to_owned(),
            valid: all.map(Self::as_str).join(", "),
        })
    }
}

/// Who is calling, as far as limits care.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spender {
    pub(crate) app_id: u32,
    pub(crate) oauth: bool,
}

/// What is left after a call, for its headers.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Standing {
    /// Limit and calls left of the ten-second window; never on a search.
    pub(crate) window: Option<(u64, u64)>,
    /// Limit and calls left of the day; never with OAuth.
    pub(crate) day: Option<(u64, u64)>,
}

/// The fullest windows seen, in calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct WorstWindows {
    /// Calls but searches, of one app, that arrived within some 10 seconds, the refused ones included.
    pub ten_seconds_received: u64,
    /// The same, without the refused ones.
    pub ten_seconds_accepted: u64,
    /// Searches that arrived within some second, the refused ones included.
    pub search_second_received: u64,
    /// The same, without the refused ones.
    pub search_second_accepted: u64,
}

/// The day's budget, as the usage endpoint tells it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DailyUsage {
    pub(crate) limit: Option<u64>,
    pub(crate) used: u64,
    pub(crate) resets_at_ms: i64,
}

#[derive(Debug)]
struct Pair {
    received: RollingWindow,
    accepted: RollingWindow,
}

impl Pair {
    fn over(span_ms: i64) -> Self {
        Self { received: RollingWindow::new(span_ms), accepted: RollingWindow::new(span_ms) }
    }

    fn forget_worst(&mut self) {
        self.received.forget_worst();
        self.accepted.forget_worst();
    }
}

/// Counts calls and refuses those over a limit.
#[derive(Debug)]
pub(crate) struct Meters {
    limits: Limits,
    zone: TimeZone,
    apps: HashMap<u32, Pair>,
    search: Pair,
    daily_used: u64,
    day_ends_ms: i64,
}

impl Meters {
    pub(crate) fn new(limits: Limits, zone: TimeZone, now_ms: i64) -> Self {
        let day_ends_ms = next_midnight(&zone, now_ms);
        Self { limits, zone, apps: HashMap::new(), search: Pair::over(SECOND_MS), daily_used: 0, day_ends_ms }
    }

    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Counts a call and says what is left, or which limit it would break. A refused call is not counted as spent.
    pub(crate) fn admit(
        &mut self,
        spender: Spender,
        is_search: bool,
        now_ms: i64,
    ) -> Result<Standing, Policy> {
        self.turn_day(now_ms);
        let limits = self.limits;
        let (pair, limit, policy) = if is_search {
            (&mut self.search, limits.search_per_second, Policy::Secondly)
        } else {
            let limit = if spender.oauth { limits.oauth_ten_seconds } else { limits.ten_seconds };
            let pair = self.apps.entry(spender.app_id).or_insert_with(|| Pair::over(TEN_SECONDS_MS));
            (pair, limit, Policy::TenSecondly)
        };
        pair.received.add(now_ms);
        let daily = if spender.oauth { None } else { limits.daily };
        if daily.is_some_and(|max| self.daily_used >= max) {
            return Err(Policy::Daily);
        }
        if limit.is_some_and(|max| pair.accepted.count(now_ms) >= max) {
            return Err(policy);
        }
        let spent = pair.accepted.add(now_ms);
        if !spender.oauth {
            self.daily_used += 1;
        }
        Ok(Standing {
            window: limit.filter(|_| !is_search).map(|max| (max, max.saturating_sub(spent))),
            day: daily.map(|max| (max, max.saturating_sub(self.daily_used))),
        })
    }

    pub(crate) fn daily_usage(&mut self, now_ms: i64) -> DailyUsage {
        self.turn_day(now_ms);
        DailyUsage { limit: self.limits.daily, used: self.daily_used, resets_at_ms: self.day_ends_ms }
    }

    pub(crate) fn worst(&self) -> WorstWindows {
        let of_apps = |pick: fn(&Pair) -> u64| self.apps.values().map(pick).max().unwrap_or(0);
        WorstWindows {
            ten_seconds_received: of_apps(|pair| pair.received.worst()),
            ten_seconds_accepted: of_apps(|pair| pair.accepted.worst()),
            search_second_received: self.search.received.worst(),
            search_second_accepted: self.search.accepted.worst(),
        }
    }

    pub(crate) fn forget_worst(&mut self) {
        self.apps.values_mut().for_each(Pair::forget_worst);
        self.search.forget_worst();
    }

    fn turn_day(&mut self, now_ms: i64) {
        if now_ms >= self.day_ends_ms {
            self.daily_used = 0;
            self.day_ends_ms = next_midnight(&self.zone, now_ms);
        }
    }
}

/// The next midnight of the zone after `now_ms`; a day later where the calendar has none.
fn next_midnight(zone: &TimeZone, now_ms: i64) -> i64 {
    let day_later = now_ms.saturating_add(86_400_000);
    let Ok(now) = Timestamp::from_millisecond(now_ms) else { return day_later };
    let tomorrow = now.to_zoned(zone.clone()).tomorrow().and_then(|day| day.start_of_day());
    tomorrow.map_or(day_later, |midnight| midnight.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    const APP: Spender = Spender { app_id: 1, oauth: false };

    #[test]
    fn the_day_ends_at_the_accounts_midnight() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let limits = Limits { daily: Some(2), ..Limits::unlimited() };
        let mut meters = Meters::new(limits, zone, at("2026-11-20T20:00:00Z"));
        let noon = at("2026-11-20T20:00:01Z");
        assert!(meters.admit(APP, false, noon).is_ok());
        assert_eq!(meters.admit(APP, true, noon).unwrap().day, Some((2, 0)));
        assert_eq!(meters.admit(APP, false, at("2026-11-21T04:59:59Z")).unwrap_err(), Policy::Daily);
        assert!(meters.admit(APP, false, at("2026-11-21T05:00:00Z")).is_ok());
        assert_eq!(meters.daily_usage(at("2026-11-21T05:00:00Z")).resets_at_ms, at("2026-11-22T05:00:00Z"));
    }

    #[test]
    fn searches_spend_their_own_second_and_not_the_window() {
        let limits = Limits { ten_seconds: Some(1), ..Limits::of(LimitTier::Professional) };
        let mut meters = Meters::new(limits, TimeZone::UTC, 0);
        for _ in 0..5 {
            assert!(meters.admit(APP, true, 100).unwrap().window.is_none());
        }
        assert_eq!(
            meters.admit(Spender { app_id: 2, oauth: true }, true, 1_099).unwrap_err(),
            Policy::Secondly
        );
        assert_eq!(meters.admit(APP, false, 1_099).unwrap().window, Some((1, 0)));
        assert_eq!(meters.admit(APP, false, 1_099).unwrap_err(), Policy::TenSecondly);
        assert!(meters.admit(APP, true, 1_100).is_ok());
        assert_eq!(
            meters.worst(),
            WorstWindows {
                ten_seconds_received: 2,
                ten_seconds_accepted: 1,
                search_second_received: 6,
                search_second_accepted: 5
            }
        );
    }

    #[test]
    fn limits_are_read_from_words_and_numbers() {
        assert_eq!("enterprise".parse::<Limits>().unwrap().daily, Some(1_000_000));
        assert_eq!("50/2000".parse::<Limits>().unwrap().daily, Some(2_000));
        assert_eq!("50".parse::<Limits>().unwrap().ten_seconds, Some(50));
        assert!("gold".parse::<Limits>().unwrap_err().to_string().contains("professional"));
    }
}
