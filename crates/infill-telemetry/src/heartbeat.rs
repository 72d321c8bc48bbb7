//! How a loop says that it still turns.
//!
//! It counts and knows no time: who judges how long a silence is too long (`/healthz`) brings the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the turns of one loop. Clones share the count.
#[derive(Clone, Debug, Default)]
pub struct Heartbeat(Arc<AtomicU64>);

impl Heartbeat {
    /// A loop that has not turned yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The loop turned. To be called at least every few seconds, also while there is nothing to do.
    pub fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it turned.
    #[must_use]
    pub fn beats(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
