//! The time a simulator lives in.
//!
//! It starts at a wall time, runs with tokio's clock (so a test with paused time pauses the simulator as well), and can
//! be moved forward. It never goes back, and it never makes anybody wait.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// A clock in milliseconds since the Unix epoch that can be advanced.
#[derive(Debug)]
pub struct Clock {
    start_ms: i64,
    since: Instant,
    offset_ms: AtomicI64,
}

impl Clock {
    /// A clock that shows `start` now, or the wall time when `start` is `None`.
    #[must_use]
    pub fn starting_at(start: Option<Timestamp>) -> Self {
        let start_ms = start.unwrap_or_else(wall_time).as_millisecond();
        Self { start_ms, since: Instant::now(), offset_ms: AtomicI64::new(0) }
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        let elapsed_ms = i64::try_from(self.since.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.start_ms.saturating_add(elapsed_ms).saturating_add(self.offset_ms.load(Ordering::Relaxed))
    }

    /// How far the clock was moved forward so far.
    #[must_use]
    pub fn offset(&self) -> Duration {
        Duration::from_millis(self.offset_ms.load(Ordering::Relaxed).unsigned_abs())
    }

    /// Moves the clock forward by `by`; parts of a millisecond are dropped.
    pub fn advance(&self, by: Duration) {
        let by_ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.offset_ms.fetch_add(by_ms, Ordering::Relaxed);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where a simulator without a given start reads the wall clock"
)]
fn wall_time() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn runs_with_tokio_and_can_be_advanced() {
        let clock = Clock::starting_at(Some(Timestamp::from_second(1_000).unwrap()));
        assert_eq!(clock.now_ms(), 1_000_000);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(clock.now_ms(), 1_002_000);
        clock.advance(Duration::from_millis(1_500));
        assert_eq!(clock.now_ms(), 1_003_500);
        assert_eq!(clock.offset(), Duration::from_millis(1_500));
    }
}
