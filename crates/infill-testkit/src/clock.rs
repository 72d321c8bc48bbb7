//! Wall time for tests that live through it.

use infill_model::{Clock, Timestamp};

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "a test that runs real processes shares their clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
