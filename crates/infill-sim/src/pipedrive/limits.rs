//! Pipedrive's limits: a day's tokens per company, and a rolling two seconds per API token or OAuth app.
//!
//! A call costs what the API's description says. It is let in while anything of the day is left, so that the last one may
//! spend more than there was; from then on every call is refused until the server's midnight. Calls that a limit refused cost
//! nothing. Searches have a window of their own and do not count in the other.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::config::Switches;
use crate::limit::RollingWindow;
use crate::word::UnknownWord;

const BURST_MS: i64 = 2_000;
/// What `x-ratelimit-reset` says: the whole window, which is never too short.
const BURST_SECONDS: u64 = 2;
/// Tokens of a day and seat, before the tier's factor.
const DAY_PER_SEAT: u64 = 30_000;
const SEARCHES: u64 = 10;

/// A price tier of Pipedrive, which decides the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitTier {
    /// 30,000 tokens a day and seat, 20 calls in 2 s (80 by OAuth).
    Lite,
    /// 60,000 tokens, 40 calls (160).
    Growth,
    /// 150,000 tokens, 100 calls (400).
    Premium,
    /// 210,000 tokens, 120 calls (480).
    Ultimate,
    /// No limit at all, searches included; not something Pipedrive sells.
    Unlimited,
}

impl LimitTier {
    const ALL: [Self; 5] = [Self::Lite, Self::Growth, Self::Premium, Self::Ultimate, Self::Unlimited];

    /// The word used on command lines.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lite => "lite",
            Self::Growth => "growth",
            Self::Premium => "premium",
            Self::Ultimate => "ultimate",
            Self::Unlimited => "unlimited",
        }
    }
}

/// How much a company may ask; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Tokens of the whole company between two midnights of the server.
    pub daily_tokens: Option<u64>,
    /// Calls with one API token in any 2 s, searches not counted.
    pub burst: Option<u64>,
    /// The same for the OAuth app.
    pub oauth_burst: Option<u64>,
    /// Searches with one token in any 2 s.
    pub search_burst: Option<u64>,
}

impl Limits {
    /// The limits of a tier with one seat.
    #[must_use]
    pub fn of(tier: LimitTier) -> Self {
        Self::of_seats(tier, 1)
    }

    /// The limits of a tier with that many seats.
    #[must_use]
    pub fn of_seats(tier: LimitTier, n_seats: u64) -> Self {
        let (factor, burst) = match tier {
            LimitTier::Lite => (1, 20),
            LimitTier::Growth => (2, 40),
            LimitTier::Premium => (5, 100),
            LimitTier::Ultimate => (7, 120),
            LimitTier::Unlimited => return Self::unlimited(),
        };
        Self {
            daily_tokens: Some(DAY_PER_SEAT * factor * n_seats),
            burst: Some(burst),
            oauth_burst: Some(burst * 4),
            search_burst: Some(SEARCHES),
        }
    }

    /// No limits.
    #[must_use]
    pub fn unlimited() -> Self {
        Self { daily_tokens: None, burst: None, oauth_burst: None, search_burst: None }
    }
}

impl FromStr for Limits {
    type Err = UnknownWord;

    /// A tier's word, with seats as in `lite*3`; or `N` calls per 2 s, or `N/D` with `D` tokens a day as well.
    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let unknown = || UnknownWord {
            what: "limit",
            word: text.to_owned(),
            valid: format!(
                "{}, a tier with seats such as lite*3, a number of calls per 2 s such as 20, or with a day's tokens such as 20/30000",
                LimitTier::ALL.map(LimitTier::as_str).join(", ")
            ),
        };
        let (word, n_seats) = match text.split_once('*') {
            Some((word, seats)) => (word, seats.parse().map_err(|_| unknown())?),
            None => (text, 1),
        };
        if let Some(tier) = LimitTier::ALL.into_iter().find(|tier| tier.as_str() == word) {
            return Ok(Self::of_seats(tier, n_seats));
        }
        let (burst, day) = text.split_once('/').map_or((text, None), |(burst, day)| (burst, Some(day)));
        let burst: u64 = burst.parse().map_err(|_| unknown())?;
        let daily_tokens = day.map(|day| day.parse().map_err(|_| unknown())).transpose()?;
        Ok(Self { daily_tokens, burst: Some(burst), oauth_burst: Some(burst), search_burst: Some(SEARCHES) })
    }
}

/// Which limit refused a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Policy {
    /// Two seconds of one token.
    Burst,
    /// Two seconds of searches.
    Search,
    /// The company's day.
    Daily,
    /// Cloudflare, after too many calls in spite of 429.
    Blocked,
}

impl Policy {
    const ALL: [Self; 4] = [Self::Burst, Self::Search, Self::Daily, Self::Blocked];

    /// The word of reports and fault specifications.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Burst => "burst",
            Self::Search => "search",
            Self::Daily => "daily",
            Self::Blocked => "blocked",
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Policy {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|policy| policy.as_str() == word).ok_or_else(|| UnknownWord {
            what: "limit",
            word: word.to_owned(),
            valid: Self::ALL.map(Self::as_str).join(", "),
        })
    }
}

/// The fullest windows so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct WorstWindows {
    /// Most calls of one token that arrived in 2 s, refused ones too.
    pub burst_received: u64,
    /// Most calls of one token that were let in.
    pub burst_accepted: u64,
    /// Most searches of one token that arrived in 2 s.
    pub search_received: u64,
    /// Most searches of one token that were let in.
    pub search_accepted: u64,
}

/// What was spent of the day, and since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TokensSpent {
    /// Tokens of the present day.
    pub today: u64,
    /// Tokens since the start.
    pub total: u64,
    /// The day's budget; `None` is none.
    pub budget: Option<u64>,
    /// When the day ends, in milliseconds since the Unix epoch.
    pub resets_at_ms: i64,
}

/// Who spends: a token with a window of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spender {
    pub(crate) token: Arc<str>,
    pub(crate) oauth: bool,
}

/// What is left after a call, for its headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Limit and rest of the window.
    window: Option<(u64, u64)>,
    /// Limit and rest of the day.
    day: Option<(u64, u64)>,
}

impl Standing {
    /// The headers of an answer; `is_write` is a POST or PUT with an API token.
    pub(crate) fn headers(self, switches: &Switches, is_write: bool) -> Vec<(&'static str, String)> {
        let mut headers = Vec::new();
        if let Some((limit, left)) = self.window {
            headers.push(("x-ratelimit-limit", limit.to_string()));
            headers.push(("x-ratelimit-remaining", left.to_string()));
            headers.push(("x-ratelimit-reset", BURST_SECONDS.to_string()));
        }
        if let Some((limit, left)) = self.day {
            if is_write {
                headers.push(("x-daily-requests-left", left.to_string()));
            }
            if switches.daily_headers {
                headers.push(("x-daily-ratelimit-token-limit", limit.to_string()));
                headers.push(("x-daily-ratelimit-token-remaining", left.to_string()));
            }
        }
        headers
    }
}

#[derive(Debug)]
struct Pair {
    received: RollingWindow,
    accepted: RollingWindow,
}

impl Pair {
    fn new() -> Self {
        Self { received: RollingWindow::new(BURST_MS), accepted: RollingWindow::new(BURST_MS) }
    }
}

#[derive(Debug)]
struct Bucket {
    calls: Pair,
    searches: Pair,
    /// 429 answers since the last call that was let in.
    n_refused: u64,
    blocked_until_ms: i64,
}

/// Counts calls and tokens, and refuses those over a limit.
#[derive(Debug)]
pub(crate) struct Meters {
    limits: Limits,
    zone: TimeZone,
    buckets: HashMap<Arc<str>, Bucket>,
    today: u64,
    total: u64,
    day_ends_ms: i64,
}

impl Meters {
    pub(crate) fn new(limits: Limits, zone: TimeZone, now_ms: i64) -> Self {
        let day_ends_ms = next_midnight(&zone, now_ms);
        Self { limits, zone, buckets: HashMap::new(), today: 0, total: 0, day_ends_ms }
    }

    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Spends tokens as other integrations of the company do.
    pub(crate) fn spend(&mut self, tokens: u64, now_ms: i64) {
        self.turn_day(now_ms);
        self.today = self.today.saturating_add(tokens);
    }

    /// Counts a call and says what is left, or which limit refuses it.
    pub(crate) fn admit(
        &mut self,
        spender: &Spender,
        is_search: bool,
        tokens: u64,
        switches: &Switches,
        now_ms: i64,
    ) -> Result<Standing, (Policy, Standing)> {
        self.turn_day(now_ms);
        let (limits, today) = (self.limits, self.today);
        let bucket = self.buckets.entry(Arc::clone(&spender.token)).or_insert_with(|| Bucket {
            calls: Pair::new(),
            searches: Pair::new(),
            n_refused: 0,
            blocked_until_ms: i64::MIN,
        });
        let (pair, limit, policy) = if is_search {
            (&mut bucket.searches, limits.search_burst, Policy::Search)
        } else {
            let limit = if spender.oauth { limits.oauth_burst } else { limits.burst };
            (&mut bucket.calls, limit, Policy::Burst)
        };
        pair.received.add(now_ms);
        let used = pair.accepted.count(now_ms);
        let standing = |used: u64, today: u64| Standing {
            window: limit.map(|max| (max, max.saturating_sub(used))),
            day: limits.daily_tokens.map(|max| (max, max.saturating_sub(today))),
        };
        if now_ms < bucket.blocked_until_ms {
            return Err((Policy::Blocked, standing(used, today)));
        }
        let broken = if limits.daily_tokens.is_some_and(|max| today >= max) {
            Some(Policy::Daily)
        } else {
            limit.is_some_and(|max| used >= max).then_some(policy)
        };
        if let Some(policy) = broken {
            bucket.n_refused += 1;
            if !spender.oauth && switches.blocks_after.is_some_and(|max| bucket.n_refused > max) {
                let block_ms = i64::try_from(switches.blocks_for.as_millis()).unwrap_or(i64::MAX);
                bucket.blocked_until_ms = now_ms.saturating_add(block_ms);
                bucket.n_refused = 0;
                return Err((Policy::Blocked, standing(used, today)));
            }
            return Err((policy, standing(used, today)));
        }
        bucket.n_refused = 0;
        let used = pair.accepted.add(now_ms);
        self.today = today.saturating_add(tokens);
        self.total = self.total.saturating_add(tokens);
        Ok(standing(used, self.today))
    }

    pub(crate) fn tokens(&mut self, now_ms: i64) -> TokensSpent {
        self.turn_day(now_ms);
        TokensSpent {
            today: self.today,
            total: self.total,
            budget: self.limits.daily_tokens,
            resets_at_ms: self.day_ends_ms,
        }
    }

    pub(crate) fn worst(&self) -> WorstWindows {
        let most = |pick: fn(&Bucket) -> u64| self.buckets.values().map(pick).max().unwrap_or(0);
        WorstWindows {
            burst_received: most(|bucket| bucket.calls.received.worst()),
            burst_accepted: most(|bucket| bucket.calls.accepted.worst()),
            search_received: most(|bucket| bucket.searches.received.worst()),
            search_accepted: most(|bucket| bucket.searches.accepted.worst()),
        }
    }

    pub(crate) fn forget_worst(&mut self) {
        for bucket in self.buckets.values_mut() {
            for pair in [&mut bucket.calls, &mut bucket.searches] {
                pair.received.forget_worst();
                pair.accepted.forget_worst();
            }
        }
    }

    fn turn_day(&mut self, now_ms: i64) {
        if now_ms >= self.day_ends_ms {
            self.today = 0;
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
    use std::time::Duration;

    use super::*;

    fn spender(oauth: bool) -> Spender {
        Spender { token: "t".into(), oauth }
    }

    fn meters(limits: Limits) -> Meters {
        Meters::new(limits, TimeZone::UTC, 0)
    }

    #[test]
    fn the_last_call_of_the_day_may_overdraw_and_midnight_gives_all_back() {
        let mut meters = meters(Limits { daily_tokens: Some(12), ..Limits::unlimited() });
        let switches = Switches::default();
        let mut admit = |tokens, now_ms| meters.admit(&spender(false), false, tokens, &switches, now_ms);
        assert_eq!(admit(10, 0).unwrap().day, Some((12, 2)));
        assert_eq!(admit(5, 1).unwrap().day, Some((12, 0)));
        assert_eq!(admit(1, 2).unwrap_err().0, Policy::Daily);
        assert_eq!(admit(1, 86_399_999).unwrap_err().0, Policy::Daily);
        assert_eq!(admit(5, 86_400_000).unwrap().day, Some((12, 7)));
        assert_eq!((meters.tokens(86_400_000).today, meters.tokens(86_400_000).total), (5, 20));
    }

    #[test]
    fn windows_roll_and_searches_have_their_own() {
        let mut meters = meters(Limits { burst: Some(2), search_burst: Some(1), ..Limits::unlimited() });
        let switches = Switches::default();
        let mut admit = |search, now_ms| meters.admit(&spender(false), search, 1, &switches, now_ms);
        assert!(admit(false, 0).is_ok());
        assert!(admit(false, 1_000).is_ok());
        assert_eq!(admit(false, 1_999).unwrap_err().0, Policy::Burst);
        assert!(admit(true, 1_999).is_ok());
        assert_eq!(admit(true, 1_999).unwrap_err().0, Policy::Search);
        assert_eq!(admit(false, 2_000).unwrap().window, Some((2, 0)));
        assert_eq!(meters.worst().burst_received, 3);
        assert_eq!(meters.worst().burst_accepted, 2);
    }

    #[test]
    fn who_goes_on_after_429_is_blocked_unless_by_oauth() {
        let switches =
            Switches { blocks_after: Some(2), blocks_for: Duration::from_secs(60), ..Switches::default() };
        let limits = Limits { burst: Some(0), oauth_burst: Some(0), ..Limits::unlimited() };
        for (oauth, third) in [(false, Policy::Blocked), (true, Policy::Burst)] {
            let mut meters = meters(limits);
            let mut admit =
                |now_ms| meters.admit(&spender(oauth), false, 1, &switches, now_ms).unwrap_err().0;
            assert_eq!([admit(0), admit(1), admit(2)], [Policy::Burst, Policy::Burst, third]);
            assert_eq!(admit(60_001), third);
            assert_eq!(admit(60_002), Policy::Burst);
        }
    }

    #[test]
    fn limits_are_read_from_words_and_numbers() {
        assert_eq!("lite".parse::<Limits>().unwrap().daily_tokens, Some(30_000));
        assert_eq!("ultimate*3".parse::<Limits>().unwrap().daily_tokens, Some(630_000));
        assert_eq!("growth".parse::<Limits>().unwrap().oauth_burst, Some(160));
        assert_eq!("5/200".parse::<Limits>().unwrap().daily_tokens, Some(200));
        assert!("gold".parse::<Limits>().unwrap_err().to_string().contains("premium"));
    }
}
