//! What to do about a schedule at a moment: start a run, keep a start waiting, or let it pass.
//!
//! Law: no run starts while one goes on; every start that came due is counted exactly once, as started, waiting, skipped or missed;
//! what is decided lies behind, so that the next start is always in the future.

use infill_model::Timestamp;
use infill_model::schedule::IfRunning;

/// Missed starts are counted up to here: a planner that was away for a year need not count every minute of it.
pub const MOST_COUNTED: u64 = 10_000;

/// The next start where there is none: a moment that every store can hold, the year 9999.
pub const NEVER: Timestamp = Timestamp::constant(253_370_764_800, 0);

/// How a schedule stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The first start that nobody decided about.
    pub next: Timestamp,
    /// A start that waits for the end of a run.
    pub waiting: Option<Timestamp>,
    /// A run of the plan on its connection goes on.
    pub is_running: bool,
}

/// What becomes of the starts that came due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Start a run, for this start.
    pub start: Option<Timestamp>,
    /// The start that waits from now on.
    pub waiting: Option<Timestamp>,
    /// The first start to come; [`NEVER`] where the calendar ends.
    pub next: Timestamp,
    /// Starts that passed while nobody looked, and a later one came due: they have no run of their own.
    pub missed: u64,
    /// Starts that a run in progress kept from having one.
    pub skipped: u64,
}

/// Decides; `None` when there is nothing to do yet. Of several starts that came due the last one counts, however late it is: a
/// run does the work of all of them.
#[must_use]
pub fn decide(
    standing: Standing,
    if_running: IfRunning,
    now: Timestamp,
    next_after: impl Fn(Timestamp) -> Option<Timestamp>,
) -> Option<Decision> {
    let Standing { next, waiting, is_running } = standing;
    let due = due(next, now, &next_after);
    // The later one stands for both.
    let (start, superseded) = match (due.last, waiting) {
        (Some(last), Some(_)) => (last, 1),
        (Some(last), None) => (last, 0),
        (None, Some(waiting)) => (waiting, 0),
        (None, None) => return None,
    };
    let decided =
        Decision { start: None, waiting: None, next: due.next, missed: due.missed, skipped: superseded };
    match (is_running, if_running) {
        (false, _) => Some(Decision { start: Some(start), ..decided }),
        (true, IfRunning::Wait) if due.last.is_none() => None,
        (true, IfRunning::Wait) => Some(Decision { waiting: Some(start), ..decided }),
        (true, IfRunning::Skip) => Some(Decision { skipped: superseded.saturating_add(1), ..decided }),
    }
}

/// The starts that came due.
struct Due {
    last: Option<Timestamp>,
    /// Those before the last.
    missed: u64,
    next: Timestamp,
}

fn due(first: Timestamp, now: Timestamp, next_after: &impl Fn(Timestamp) -> Option<Timestamp>) -> Due {
    let (mut last, mut missed, mut next) = (None, 0, first);
    while next <= now && missed < MOST_COUNTED {
        missed = missed.saturating_add(u64::from(last.is_some()));
        last = Some(next);
        next = next_after(next).unwrap_or(NEVER);
    }
    if next <= now {
        next = next_after(now).unwrap_or(NEVER);
    }
    Due { last, missed, next }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The second, as a moment.
    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// Starts every ten seconds.
    fn tens(after: Timestamp) -> Option<Timestamp> {
        Some(at(after.as_second().div_euclid(10) * 10 + 10))
    }

    fn decided(
        next: i64,
        waiting: Option<i64>,
        is_running: bool,
        rule: IfRunning,
        now: i64,
    ) -> Option<Decision> {
        decide(Standing { next: at(next), waiting: waiting.map(at), is_running }, rule, at(now), tens)
    }

    const NOTHING: Decision =
        Decision { start: None, waiting: None, next: Timestamp::UNIX_EPOCH, missed: 0, skipped: 0 };

    #[test]
    fn a_start_that_is_due_starts() {
        assert_eq!(decided(10, None, false, IfRunning::Wait, 9), None);
        let decision = decided(10, None, false, IfRunning::Wait, 10);
        assert_eq!(decision, Some(Decision { start: Some(at(10)), next: at(20), ..NOTHING }));
    }

    #[test]
    fn missed_starts_become_one_late_start_for_the_last_of_them() {
        let decision = decided(10, None, false, IfRunning::Skip, 45);
        assert_eq!(decision, Some(Decision { start: Some(at(40)), next: at(50), missed: 3, ..NOTHING }));
    }

    #[test]
    fn a_start_waits_for_the_run_in_progress_and_several_become_one() {
        let first = decided(10, None, true, IfRunning::Wait, 10);
        assert_eq!(first, Some(Decision { waiting: Some(at(10)), next: at(20), ..NOTHING }));
        assert_eq!(decided(20, Some(10), true, IfRunning::Wait, 15), None, "it waits on");
        let second = decided(20, Some(10), true, IfRunning::Wait, 20);
        assert_eq!(second, Some(Decision { waiting: Some(at(20)), next: at(30), skipped: 1, ..NOTHING }));
        let ended = decided(30, Some(20), false, IfRunning::Wait, 23);
        assert_eq!(ended, Some(Decision { start: Some(at(20)), next: at(30), ..NOTHING }));
    }

    #[test]
    fn a_start_is_skipped_while_a_run_goes_on() {
        let decision = decided(10, None, true, IfRunning::Skip, 10);
        assert_eq!(decision, Some(Decision { skipped: 1, next: at(20), ..NOTHING }));
    }

    #[test]
    fn a_year_of_missed_minutes_is_not_counted_to_its_end() {
        let decision = decided(0, None, false, IfRunning::Wait, 31_536_005).unwrap();
        assert_eq!(decision.missed, MOST_COUNTED);
        assert_eq!(decision.next, at(31_536_010));
    }

    proptest! {
        #[test]
        fn every_start_that_came_due_is_counted_once(
            next in 0_i64..200, late in 0_i64..500, waits in any::<bool>(), is_running in any::<bool>(), skips in any::<bool>(),
        ) {
            let next = next * 10;
            let now = next + late - 100;
            let waiting = waits.then_some(next - 10);
            let rule = if skips { IfRunning::Skip } else { IfRunning::Wait };
            let n_due = u64::try_from((now - next).div_euclid(10) + 1).unwrap_or(0);
            let Some(decision) = decided(next, waiting, is_running, rule, now) else {
                prop_assert!(n_due == 0 && (waiting.is_none() || is_running));
                return Ok(());
            };
            prop_assert!(!is_running || decision.start.is_none());
            prop_assert!(decision.next > at(now));
            let kept = u64::from(decision.start.is_some()) + u64::from(decision.waiting.is_some());
            prop_assert_eq!(kept + decision.missed + decision.skipped, n_due + u64::from(waits));
        }
    }
}
