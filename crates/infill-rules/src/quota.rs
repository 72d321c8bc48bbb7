//! What a connection may still spend: its burst window, its search limit, its day, its cool-down.
//!
//! Laws: whatever the order of askers, no window of the limit's length holds more grants than the limit allows, and no day spends more units than
//! it allows less the reserve. A window counts calls; the day counts units, as many as a call costs. A grant is a reservation for a moment, now or
//! soon, so that nobody polls and each call costs one look at the state.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Added to every window: grants are timed where they are given and counted where they arrive, and a
/// call that dawdles on the way must not meet one that hurries in the vendor's window. Two and a half percent of ten seconds.
const WINDOW_MARGIN_MS: i64 = 250;

/// A reservation further ahead than this is not given: the caller comes back by a delayed message instead.
pub const LONGEST_RESERVATION_MS: i64 = 15_000;

/// What the vendor said is left of a day without a known end is believed for this long; then a call is tried, whose answer tells.
const DAY_RECHECK_MS: i64 = 3_600_000;

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
    /// Units a day that we allow ourselves, on top of what the vendor says. A unit is a call, or what the vendor counts in its place.
    pub daily: Option<u64>,
    /// The share of the day, in percent, that is left to others who spend from the same account.
    pub reserve_percent: u8,
    /// Whether the vendor's day is any 24 hours, so that more becomes free by and by and not at a midnight.
    pub is_day_rolling: bool,
}

impl Limits {
    /// The units kept for others of a day of `allowed`, rounded up.
    #[must_use]
    pub fn reserve(&self, allowed: u64) -> u64 {
        let hundredths = u128::from(allowed).saturating_mul(u128::from(self.reserve_percent.min(100)));
        u64::try_from(hundredths.div_ceil(100)).unwrap_or(allowed)
    }
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
    /// When it said so.
    told_at: Option<i64>,
    /// What the vendor last said is allowed in a day.
    allowed: Option<u64>,
    /// The vendor refuses everything until then, whatever our count says.
    spent_until: Option<i64>,
}

impl Day {
    /// When the vendor's word on what is left grows too old to be believed.
    fn believed_until(&self) -> Option<i64> {
        self.remaining.and(self.told_at).map(|told_at| told_at.saturating_add(DAY_RECHECK_MS))
    }

    /// Units that may still be spent, the reserve taken off; `None` when unlimited.
    fn left(&self, limits: &Limits) -> Option<u64> {
        let ours =
            limits.daily.map(|daily| daily.saturating_sub(limits.reserve(daily)).saturating_sub(self.used));
        let kept = limits.reserve(self.allowed.or(limits.daily).unwrap_or(0));
        let theirs = self.remaining.map(|remaining| remaining.saturating_sub(kept));
        match (ours, theirs) {
            (Some(ours), Some(theirs)) => Some(ours.min(theirs)),
            (one, other) => one.or(other),
        }
    }
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
    /// Asks for one call that costs so many units of the day. `midnight` is the account's next midnight, where known.
    pub fn spend(
        &mut self,
        limits: &Limits,
        meter: Meter,
        cost: u32,
        now: i64,
        midnight: Option<i64>,
    ) -> Grant {
        if let Some(why) = &self.paused {
            return Grant::Paused { why: why.clone() };
        }
        self.turn_day(now, midnight);
        if let Some(until) = self.day.spent_until.filter(|until| *until > now) {
            return Grant::DaySpent { until };
        }
        let cost = u64::from(cost);
        let ends = self.day.ends.or(midnight).filter(|_| !limits.is_day_rolling);
        let believed_until = self.day.believed_until().filter(|_| ends.is_none());
        if believed_until.is_some_and(|until| until <= now) {
            self.day.remaining = None;
        }
        if self.day.left(limits).is_some_and(|left| left < cost) {
            let until = ends.or(believed_until).unwrap_or(now.saturating_add(DAY_RECHECK_MS));
            return Grant::DaySpent { until };
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
        self.day.used = self.day.used.saturating_add(cost);
        self.day.remaining = self.day.remaining.map(|left| left.saturating_sub(cost));
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

    /// The vendor says the day is spent, until a moment: the account's midnight, or when to ask again. Our own count of the day goes on.
    pub fn spend_day(&mut self, until: i64) {
        self.day.spent_until = Some(until);
        self.day.remaining = None;
    }

    /// The vendor says so many units are left today, of so many where it tells. Others spend from the same budget, so the vendor is believed over
    /// our own count.
    pub fn observe_remaining(
        &mut self,
        now: i64,
        midnight: Option<i64>,
        remaining: u64,
        allowed: Option<u64>,
    ) {
        self.turn_day(now, midnight);
        (self.day.remaining, self.day.told_at) = (Some(remaining), Some(now));
        self.day.allowed = allowed.or(self.day.allowed);
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

    /// Units left today as far as known, the reserve taken off.
    #[must_use]
    pub fn left_today(&self, limits: &Limits, now: i64) -> Option<u64> {
        if self.day.spent_until.is_some_and(|until| until > now) { Some(0) } else { self.day.left(limits) }
    }

    /// Milliseconds spent cooling down, over all time.
    #[must_use]
    pub const fn cooled_ms(&self) -> u64 {
        self.cooled_ms
    }

    fn turn_day(&mut self, now: i64, midnight: Option<i64>) {
        if self.day.ends.is_some_and(|ends| now >= ends) {
            // The vendor's refusal outlives our midnight: it knows when its own day ends.
            self.day = Day { spent_until: self.day.spent_until, ..Day::default() };
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
        reserve_percent: 0,
        is_day_rolling: false,
    };

    fn granted(grant: Grant) -> i64 {
        let Grant::At(at) = grant else { panic!("{grant:?}") };
        at
    }

    #[test]
    fn a_burst_goes_at_once_and_the_next_call_waits_for_the_window() {
        let mut state = State::default();
        for _ in 0..190 {
            assert_eq!(state.spend(&HUBSPOT, Meter::General, 1, 1_000, None), Grant::At(1_000));
        }
        assert_eq!(state.left_in_window(&HUBSPOT, 1_000), Some(0));
        assert_eq!(state.spend(&HUBSPOT, Meter::General, 1, 1_000, None), Grant::At(11_250));
        assert_eq!(state.spend(&HUBSPOT, Meter::Search, 1, 1_000, None), Grant::At(1_000));
    }

    #[test]
    fn at_least_97_percent_of_the_allowance_is_granted_to_whoever_keeps_asking() {
        let mut state = State::default();
        let (mut now, mut calls) = (0, 0);
        while now < 100_000 {
            now = granted(state.spend(&HUBSPOT, Meter::General, 1, now, None));
            calls += i64::from(now < 100_000);
        }
        assert!(calls * 100 >= 190 * 10 * 97, "{calls}");
    }

    #[test]
    fn a_long_cool_down_turns_askers_away_and_a_short_one_lets_them_wait() {
        let mut state = State::default();
        state.cool_down(Meter::General, 0, 10_000);
        assert_eq!(state.spend(&HUBSPOT, Meter::General, 1, 0, None), Grant::At(10_000));
        state.cool_down(Meter::General, 0, 60_000);
        assert_eq!(state.spend(&HUBSPOT, Meter::General, 1, 0, None), Grant::CoolDown { until: 60_000 });
        assert_eq!(state.cooled_ms(), 60_000);
        assert_eq!(state.spend(&HUBSPOT, Meter::General, 1, 61_000, None), Grant::At(61_000));
    }

    #[test]
    fn a_spent_day_ends_at_midnight() {
        let midnight = Some(86_400_000);
        let limits = Limits { daily: Some(2), ..Limits::default() };
        let mut state = State::default();
        assert_eq!(state.spend(&limits, Meter::General, 1, 0, midnight), Grant::At(0));
        assert_eq!(state.spend(&limits, Meter::Search, 1, 1, midnight), Grant::At(1));
        assert_eq!(
            state.spend(&limits, Meter::General, 1, 2, midnight),
            Grant::DaySpent { until: 86_400_000 }
        );
        let tomorrow = Some(2 * 86_400_000);
        assert_eq!(state.spend(&limits, Meter::General, 1, 86_400_000, tomorrow), Grant::At(86_400_000));

        let mut told = State::default();
        told.spend_day(500);
        assert_eq!((told.left_today(&HUBSPOT, 499), told.left_today(&HUBSPOT, 500)), (Some(0), None));
        assert_eq!(told.spend(&HUBSPOT, Meter::General, 1, 499, Some(500)), Grant::DaySpent { until: 500 });
        assert_eq!(told.spend(&HUBSPOT, Meter::General, 1, 500, Some(900)), Grant::At(500));
    }

    #[test]
    fn a_refusal_for_the_day_does_not_begin_our_own_count_anew() {
        let limits = Limits { daily: Some(10), ..Limits::default() };
        let midnight = Some(1_000);
        let mut state = State::default();
        assert_eq!(state.spend(&limits, Meter::General, 7, 0, midnight), Grant::At(0));
        state.spend_day(100);
        assert_eq!(state.spend(&limits, Meter::General, 1, 99, midnight), Grant::DaySpent { until: 100 });
        assert_eq!(state.spend(&limits, Meter::General, 5, 100, midnight), Grant::DaySpent { until: 1_000 });
        assert_eq!(state.spend(&limits, Meter::General, 3, 100, midnight), Grant::At(100));
    }

    #[test]
    fn a_share_of_the_vendors_day_is_left_to_others() {
        let limits = Limits { reserve_percent: 20, ..Limits::default() };
        let mut state = State::default();
        state.observe_remaining(0, Some(1_000), 203, Some(1_000));
        assert_eq!(state.left_today(&limits, 0), Some(3));
        assert_eq!(state.spend(&limits, Meter::General, 3, 0, Some(1_000)), Grant::At(0));
        assert_eq!(state.spend(&limits, Meter::General, 1, 0, Some(1_000)), Grant::DaySpent { until: 1_000 });
        // Rounded up, and never more than the day.
        assert_eq!((limits.reserve(1), limits.reserve(u64::MAX) > u64::MAX / 6), (1, true));
        assert_eq!(Limits { reserve_percent: 255, ..limits }.reserve(7), 7);
    }

    #[test]
    fn a_day_without_a_known_end_is_asked_about_again_by_the_hour() {
        let reserving = Limits { reserve_percent: 20, ..Limits::default() };
        let far = Some(20 * DAY_RECHECK_MS);
        for (limits, midnight) in [(reserving, None), (Limits { is_day_rolling: true, ..reserving }, far)] {
            let mut state = State::default();
            state.observe_remaining(5, midnight, 200, Some(1_000));
            let again = Grant::DaySpent { until: 5 + DAY_RECHECK_MS };
            assert_eq!(state.spend(&limits, Meter::General, 1, 6, midnight), again);
            assert_eq!(state.spend(&limits, Meter::General, 1, 4 + DAY_RECHECK_MS, midnight), again);
            let now = 5 + DAY_RECHECK_MS;
            assert_eq!(state.spend(&limits, Meter::General, 1, now, midnight), Grant::At(now));
            state.observe_remaining(now, midnight, 199, Some(1_000));
            let again = Grant::DaySpent { until: now + DAY_RECHECK_MS };
            assert_eq!(state.spend(&limits, Meter::General, 1, now + 1, midnight), again);
        }
        let mut state = State::default();
        state.observe_remaining(5, far, 200, Some(1_000));
        let at_midnight = Grant::DaySpent { until: 20 * DAY_RECHECK_MS };
        assert_eq!(state.spend(&reserving, Meter::General, 1, 6 + DAY_RECHECK_MS, far), at_midnight);
    }

    #[test]
    fn a_paused_connection_says_why() {
        let mut state = State::default();
        state.pause("token revoked");
        assert_eq!(
            state.spend(&HUBSPOT, Meter::General, 1, 0, None),
            Grant::Paused { why: "token revoked".into() }
        );
        state.resume();
        assert_eq!(state.spend(&HUBSPOT, Meter::General, 1, 0, None), Grant::At(0));
    }

    #[test]
    fn the_state_survives_being_stored() {
        let mut state = State::default();
        for now in 0..300 {
            let _grant = state.spend(&HUBSPOT, Meter::General, 1, now, Some(1_000_000));
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
                    if let Grant::At(at) = state.spend(&limits, Meter::General, 1, now, None) {
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

        #[test]
        fn no_day_spends_more_than_it_allows_less_the_reserve(
            daily in 1_u64..200,
            reserve_percent in 0_u8..=100,
            askers in prop::collection::vec((any::<bool>(), 1_u32..50, 0_i64..700, 0_u8..12), 1..80),
        ) {
            const DAY_MS: i64 = 2_000;
            let limits = Limits { daily: Some(daily), reserve_percent, ..Limits::default() };
            let (mut state, mut now, mut spent) = (State::default(), 0, std::collections::BTreeMap::new());
            for (is_search, cost, pause, vendor_says) in askers {
                now += pause;
                let midnight = Some((now / DAY_MS + 1) * DAY_MS);
                match vendor_says {
                    0 => state.spend_day(now + 100),
                    1 => state.observe_remaining(now, midnight, daily * 2, Some(daily)),
                    _ => {}
                }
                let meter = if is_search { Meter::Search } else { Meter::General };
                if let Grant::At(_) = state.spend(&limits, meter, cost, now, midnight) {
                    *spent.entry(now / DAY_MS).or_insert(0) += u64::from(cost);
                }
            }
            for units in spent.values() {
                prop_assert!(*units <= daily - limits.reserve(daily), "{units} of {daily} less {reserve_percent} %");
            }
        }

        #[test]
        fn what_the_vendor_says_is_left_is_never_overspent(
            remaining in 0_u64..200,
            allowed in 1_u64..400,
            reserve_percent in 0_u8..=100,
            costs in prop::collection::vec(1_u32..50, 1..80),
        ) {
            let limits = Limits { reserve_percent, ..Limits::default() };
            let mut state = State::default();
            state.observe_remaining(0, Some(1_000), remaining, Some(allowed));
            let granted: u64 = costs
                .into_iter()
                .filter(|cost| state.spend(&limits, Meter::General, *cost, 1, Some(1_000)) == Grant::At(1))
                .map(u64::from)
                .sum();
            prop_assert!(granted <= remaining.saturating_sub(limits.reserve(allowed)));
        }
    }
}
