//! How long until the next try.
//!
//! Law: delays grow by doubling up to a cap and are spread by jitter over the upper half, so that a crowd that failed together does not
//! come back together; the policy starts at any attempt, because the attempt travels in the message.

use std::time::Duration;

/// Exponential backoff with equal jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The delay after the first attempt, before jitter.
    pub base: Duration,
    /// No delay is longer.
    pub cap: Duration,
    /// Attempts in all, the first included.
    pub max_attempts: u32,
}

impl Default for RetryPolicy {
    /// Eight attempts over about two to four minutes.
    fn default() -> Self {
        Self { base: Duration::from_secs(2), cap: Duration::from_mins(5), max_attempts: 8 }
    }
}

impl RetryPolicy {
    /// The delay after `attempt` (from 1) failed, or `None` when it was the last. `jitter` is a random number in
    /// `0.0..1.0`; the delay lies between half the doubled base and all of it.
    #[must_use]
    pub fn delay(&self, attempt: u32, jitter: f64) -> Option<Duration> {
        if attempt >= self.max_attempts {
            return None;
        }
        let doublings = attempt.saturating_sub(1).min(31);
        let full = self.base.saturating_mul(1_u32 << doublings).min(self.cap);
        Some(full.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_whole_schedule() {
        let policy = RetryPolicy::default();
        let schedule: Vec<Option<(f64, f64)>> = (1..=8)
            .map(|attempt| {
                let at = |jitter| policy.delay(attempt, jitter).map(|delay| delay.as_secs_f64());
                at(0.0).zip(at(1.0))
            })
            .collect();
        assert_eq!(
            schedule,
            [
                Some((1.0, 2.0)),
                Some((2.0, 4.0)),
                Some((4.0, 8.0)),
                Some((8.0, 16.0)),
                Some((16.0, 32.0)),
                Some((32.0, 64.0)),
                Some((64.0, 128.0)),
                None,
            ]
        );
    }

    proptest! {
        #[test]
        fn delays_are_capped_and_spread(attempt in 1_u32..100, a in 0.0_f64..1.0, b in 0.0_f64..1.0) {
            let policy = RetryPolicy { max_attempts: 200, ..RetryPolicy::default() };
            let (left, right) = (policy.delay(attempt, a).unwrap(), policy.delay(attempt, b).unwrap());
            prop_assert!(left <= policy.cap && right <= policy.cap);
            prop_assert!((a - b).abs() < 1e-6 || left != right);
        }
    }
}
