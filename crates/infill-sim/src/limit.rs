//! Counting calls in a rolling window.
//!
//! A [`RollingWindow`] holds the number of calls per millisecond, so its memory is bounded by its span and not by the
//! number of calls. It decides nothing about what is refused: the vendor's module compares its count with a limit.

use std::collections::VecDeque;

/// Calls of the last `span_ms` milliseconds, and the most that any such window ever held.
#[derive(Debug, Clone)]
pub struct RollingWindow {
    span_ms: i64,
    per_ms: VecDeque<(i64, u64)>,
    n_calls: u64,
    worst: u64,
}

impl RollingWindow {
    /// An empty window over `span_ms` milliseconds.
    #[must_use]
    pub fn new(span_ms: i64) -> Self {
        Self { span_ms, per_ms: VecDeque::new(), n_calls: 0, worst: 0 }
    }

    /// Calls in the window that ends at `now_ms`, that is in `(now_ms - span_ms, now_ms]`.
    pub fn count(&mut self, now_ms: i64) -> u64 {
        while let Some(&(at_ms, n)) = self.per_ms.front() {
            if at_ms > now_ms - self.span_ms {
                break;
            }
            self.n_calls -= n;
            self.per_ms.pop_front();
        }
        self.n_calls
    }

    /// Adds one call at `now_ms` and returns the count with it.
    pub fn add(&mut self, now_ms: i64) -> u64 {
        self.count(now_ms);
        match self.per_ms.back_mut() {
            // Two threads may read the clock in one order and arrive here in the other.
            Some((at_ms, n)) if *at_ms >= now_ms => *n += 1,
            Some(_) | None => self.per_ms.push_back((now_ms, 1)),
        }
        self.n_calls += 1;
        self.worst = self.worst.max(self.n_calls);
        self.n_calls
    }

    /// The most calls that any window held so far.
    #[must_use]
    pub fn worst(&self) -> u64 {
        self.worst
    }

    /// Forgets the worst window; the calls of the present one still count.
    pub fn forget_worst(&mut self) {
        self.worst = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::mix;

    #[test]
    fn a_call_leaves_the_window_after_exactly_its_span() {
        let mut window = RollingWindow::new(10_000);
        assert_eq!(window.add(1_000), 1);
        assert_eq!(window.add(1_000), 2);
        assert_eq!(window.count(10_999), 2);
        assert_eq!(window.count(11_000), 0);
        assert_eq!(window.add(11_000), 1);
        assert_eq!(window.worst(), 2);
    }

    #[test]
    fn the_count_is_that_of_a_plain_list_of_calls() {
        for seed in 0..50 {
            let (mut window, mut calls, mut now_ms, mut worst) =
                (RollingWindow::new(100), Vec::new(), 0_i64, 0);
            for n in 0..200_u64 {
                now_ms += i64::try_from(mix(seed ^ mix(n)) % 40).unwrap();
                calls.push(now_ms);
                let plain = calls.iter().filter(|at_ms| **at_ms > now_ms - 100).count();
                assert_eq!(window.add(now_ms), u64::try_from(plain).unwrap());
                worst = worst.max(plain);
            }
            assert_eq!(window.worst(), u64::try_from(worst).unwrap());
        }
    }

    #[test]
    fn a_call_that_arrives_out_of_order_is_counted() {
        let mut window = RollingWindow::new(1_000);
        window.add(500);
        assert_eq!(window.add(499), 2);
        assert_eq!(window.count(1_499), 2);
        assert_eq!(window.count(1_500), 0);
    }
}
