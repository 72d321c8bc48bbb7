//! What a connection may still spend: its burst window, its search limit, its day, its cool-down.
//!
//! Law: whatever the order of askers, no window of the limit's length holds more grants than the limit allows. A grant is a reservation for a
//! moment, now or soon, so that nobody polls and each call costs one look at the state.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Added to every window: grants are timed where they are given and counted where they arrive, and a
/// call that dawdles on the way must not meet one that hurries in the vendor's window. Two and a half percent of ten seconds.
const WINDOW_MARGIN_MS: i64 = 250;

/// A reservation further ahead than this is not given: the caller comes back by a delayed message instead.
pub const LONGEST_RESERVATION_MS: i64 = 15_000;

/// So many calls in any window of this length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Calls.
    pub calls: u32,
    /// Length of the window in milliseconds.
    pub per_ms: i64,
}

/// The limits of a connection. `None` is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The burst window.
    pub general: Option<Rate>,
    /// The search limit.
    pub search: Option<Rate>,
    /// Calls a day that we allow ourselves, on top of what the vendor says.
    pub daily: Option<u64>,
}

/// Which limit a call counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meter {
    /// The burst window and the day.
    General,
    /// The search limit and the day.
    Search,
}

/// What all workers of a connection have spent together. Stored as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    general: Window,
    search: Window,
    day: Day,
    paused: Option<String>,
    /// Milliseconds spent cooling down, over all time; for metrics.
    cooled_ms: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Window {
    /// Moments of the latest grants, ascending, at most as many as the limit allows in a window.
    grants: VecDeque<i64>,
    cool_down_until: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Day {
    /// The account's next midnight when this day was begun.
    ends: Option<i64>,
    used: u64,
    /// What the vendor last said is left, less what was granted since.
    remaining: Option<u64>,
}

/// The answer to one asker. Moments are milliseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Send at this moment, not before.
    At(i64),
    /// The connection cools down, or the window is full for long: ask again then.
    CoolDown {
        /// When.
        until: i64,
    },
    /// The day's budget is spent: ask again at the account's midnight.
    DaySpent {
        /// When.
        until: i64,
    },
    /// Somebody must mend the login first.
    Paused {
        /// Why.
        why: String,
    },
}

impl State {
    /// Asks for one call. `midnight` is the account's next midnight, where known.
    pub fn spend(&mut self, limits: &Limits, meter: Meter, now: i64, midnight: Option<i64>) -> Grant {
        if let Some(why) = &self.paused {
            return Grant::Paused { why: why.clone() };
        }
        self.turn_day(now, midnight);
        let day_ends = self.day.ends.or(midnight).unwrap_or(now.saturating_add(3_600_000));
        let spent = limits.daily.is_some_and(|limit| self.day.used >= limit);
        if spent || self.day.remaining == Some(0) {
            return Grant::DaySpent { until: day_ends };
        }
        let (window, rate) = match meter {
            Meter::General => (&mut self.general, limits.general),
            Meter::Search => (&mut self.search, limits.search),
        };
        let earliest = match window.cool_down_until {
            Some(until) if until > now.saturating_add(LONGEST_RESERVATION_MS) => {
                return Grant::CoolDown { until };
            }
            Some(until) => until.max(now),
            None => now,
        };
        let at = window.next_free(rate, earliest);
        if at > now.saturating_add(LONGEST_RESERVATION_MS) {
            return Grant::CoolDown { until: at };
        }
        window.take(rate, at);
        self.day.used = self.day.used.saturating_add(1);
        self.day.remaining = self.day.remaining.map(|left| left.saturating_sub(1));
        Grant::At(at)
    }

    /// The vendor refuses calls of this meter until a moment.
    pub fn cool_down(&mut self, meter: Meter, now: i64, until: i64) {
        let window = match meter {
            Meter::General => &mut self.general,
            Meter::Search => &mut self.search,
        };
        let from = window.cool_down_until.unwrap_or(now).max(now);
        self.cooled_ms =
            self.cooled_ms.saturating_add(u64::try_from(until.saturating_sub(from)).unwrap_or(0));
        window.cool_down_until = Some(window.cool_down_until.map_or(until, |other| other.max(until)));
    }

    /// The vendor says the day is spent, until the account's midnight.
    pub fn spend_day(&mut self, midnight: i64) {
        self.day.ends = Some(midnight);
        self.day.remaining = Some(0);
    }

    /// The vendor says so many calls are left today. Others spend from the same budget, so the vendor is believed over our own count.
    pub fn observe_remaining(&mut self, now: i64, midnight: Option<i64>, remaining: u64) {
        self.turn_day(now, midnight);
        self.day.remaining = Some(remaining);
    }

    /// Stops all calls until [`State::resume`].
    pub fn pause(&mut self, why: &str) {
        self.paused = Some(why.to_owned());
    }

    /// Ends a pause.
    pub fn resume(&mut self) {
        self.paused = None;
    }

    /// Why the connection is paused, if it is.
    #[must_use]
    pub fn paused(&self) -> Option<&str> {
        self.paused.as_deref()
    }

    /// Calls that could be sent at once now; `None` when unlimited.
    #[must_use]
    pub fn left_in_window(&self, limits: &Limits, now: i64) -> Option<u32> {
        let rate = limits.general?;
        let since = now.saturating_sub(rate.per_ms).saturating_sub(WINDOW_MARGIN_MS);
        let spent = self.general.grants.iter().filter(|at| **at > since).count();
        Some(rate.calls.saturating_sub(u32::try_from(spent).unwrap_or(u32::MAX)))
    }

    /// Calls left today as far as known.
    #[must_use]
    pub fn left_today(&self, limits: &Limits) -> Option<u64> {
        let ours = limits.daily.map(|limit| limit.saturating_sub(self.day.used));
        match (ours, self.day.remaining) {
            (Some(ours), Some(theirs)) => Some(ours.min(theirs)),
            (one, other) => one.or(other),
        }
    }

    /// Milliseconds spent cooling down, over all time.
    #[must_use]
    pub const fn cooled_ms(&self) -> u64 {
        self.cooled_ms
    }

    fn turn_day(&mut self, now: i64, midnight: Option<i64>) {
        if self.day.ends.is_some_and(|ends| now >= ends) {
            self.day = Day::default();
        }
        if self.day.ends.is_none() {
            self.day.ends = midnight;
        }
    }
}

impl Window {
    fn next_free(&self, rate: Option<Rate>, earliest: i64) -> i64 {
        let Some(rate) = rate else { return earliest };
        let calls = usize::try_from(rate.calls.max(1)).unwrap_or(usize::MAX);
        let after_latest = self.grants.back().map_or(earliest, |latest| earliest.max(*latest));
        match self.grants.len().checked_sub(calls).and_then(|idx| self.grants.get(idx)) {
            Some(leaving) => {
                after_latest.max(leaving.saturating_add(rate.per_ms).saturating_add(WINDOW_MARGIN_MS))
            }
            None => after_latest,
        }
    }

    fn take(&mut self, rate: Option<Rate>, at: i64) {
        let Some(rate) = rate else { return };
        self.grants.push_back(at);
        let keep = usize::try_from(rate.calls.max(1)).unwrap_or(usize::MAX);
        while self.grants.len() > keep {
            self.grants.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HUBSPOT: Limits = Limits {
        general: Some(Rate { calls: 190, per_ms: 10_000 }),
        search: Some(Rate { calls: 5, per_ms: 1_000 }),
        daily: None,
    };

    fn granted(grant: Grant) -> i64 {
        let Grant::At(at) = grant else { panic!("{grant:?}") };
        at
    }

    #[test]
    fn a_burst_goes_at_once_and_the_next_call_waits_for_the_window() {
        let mut state = State::default();
        for _ in 0..190 {
            assert_eq!(state.spend(&HUBSPOT, Meter::General, 1_000, None), Grant::At(1_000));
        }
        assert_eq!(state.left_in_window(&HUBSPOT, 1_000), Some(0));
        assert_eq!(state.spend(&HUBSPOT, Meter::General, 1_000, None), Grant::At(11_250));
        assert_eq!(state.spend(&HUBSPOT, Meter::Search, 1_000, None), Grant::At(1_000));
    }

    #[test]
    fn at_least_97_percent_of_the_allowance_is_granted_to_whoever_keeps_asking() {
        let mut state = State::default();
        let (mut now, mut calls) = (0, 0);
        while now < 100_000 {
            now = granted(state.spend(&HUBSPOT, Meter::General, now, None));
            calls += i64::from(now < 100_000);
        }
        assert!(calls * 100 >= 190 * 10 * 97, "{calls}");
    }

    #[test]
    fn a_long_cool_down_turns_askers_away_and_a_short_one_lets_them_wait() {
        let mut state = State::default();
        state.cool_down(Meter::General, 0, 10_000);
        assert_eq!(state.spend(&HUBSPOT, Meter::General, 0, None), Grant::At(10_000));
        state.cool_down(Meter::General, 0, 60_000);
        assert_eq!(state.spend(&HUBSPOT, Meter::General, 0, None), Grant::CoolDown { until: 60_000 });
        assert_eq!(state.cooled_ms(), 60_000);
        assert_eq!(state.spend(&HUBSPOT, Meter::General, 61_000, None), Grant::At(61_000));
    }

    #[test]
    fn a_spent_day_ends_at_midnight() {
        let midnight = Some(86_400_000);
        let limits = Limits { daily: Some(2), ..Limits::default() };
        let mut state = State::default();
        assert_eq!(state.spend(&limits, Meter::General, 0, midnight), Grant::At(0));
        assert_eq!(state.spend(&limits, Meter::Search, 1, midnight), Grant::At(1));
        assert_eq!(state.spend(&limits, Meter::General, 2, midnight), Grant::DaySpent { until: 86_400_000 });
        let tomorrow = Some(2 * 86_400_000);
        assert_eq!(state.spend(&limits, Meter::General, 86_400_000, tomorrow), Grant::At(86_400_000));

        let mut told = State::default();
        told.spend_day(500);
        assert_eq!(told.spend(&HUBSPOT, Meter::General, 499, Some(500)), Grant::DaySpent { until: 500 });
        assert_eq!(told.spend(&HUBSPOT, Meter::General, 500, Some(900)), Grant::At(500));
    }

    #[test]
    fn a_paused_connection_says_why() {
        let mut state = State::default();
        state.pause("token revoked");
        assert_eq!(
            state.spend(&HUBSPOT, Meter::General, 0, None),
            Grant::Paused { why: "token revoked".into() }
        );
        state.resume();
        assert_eq!(state.spend(&HUBSPOT, Meter::General, 0, None), Grant::At(0));
    }

    #[test]
    fn the_state_survives_being_stored() {
        let mut state = State::default();
        for now in 0..300 {
            let _grant = state.spend(&HUBSPOT, Meter::General, now, Some(1_000_000));
        }
        let stored = serde_json::to_value(&state).unwrap();
        assert_eq!(serde_json::from_value::<State>(stored).unwrap(), state);
    }

    proptest! {
        #[test]
        fn no_window_ever_holds_more_than_the_limit(
            calls in 1_u32..20,
            per_ms in 100_i64..5_000,
            steps in prop::collection::vec((0_i64..800, 1_usize..30), 1..60),
        ) {
            let limits = Limits { general: Some(Rate { calls, per_ms }), ..Limits::default() };
            let (mut state, mut now, mut grants) = (State::default(), 0, Vec::new());
            for (pause, askers) in steps {
                now += pause;
                for _ in 0..askers {
                    if let Grant::At(at) = state.spend(&limits, Meter::General, now, None) {
                        prop_assert!(at >= now);
                        grants.push(at);
                    }
                }
            }
            for (i, first) in grants.iter().enumerate() {
                let inside = grants[i..].iter().filter(|at| **at < first + per_ms).count();
                prop_assert!(inside <= usize::try_from(calls).unwrap(), "{inside} > {calls}");
            }
        }
    }
}
