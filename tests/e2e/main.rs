//! The real binary on both engine pairs, against a simulated portal whose own ledger of writes must agree with
//! Infill's outcomes for every record.
//!
//! Each case is written once and runs on both pairs through [`both_engines`]. Every test owns its world: a portal, a folder, and on the
//! distributed pair a schema and a prefix for queue names.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests end at the first thing that is not as it should be"
)]

mod actions;
mod bad_input;
mod crash;
mod demo;
mod fairness;
mod happy;
mod letters;
mod limits;
mod login;
mod lost_answers;
mod messages;
mod metrics;
mod only;
mod pauses;
mod plans;
mod quota;
mod refusals;
mod restart;
mod schedules;
mod secrets;
mod slices;
mod vendors;
mod versions;
mod world;
mod writeback;

/// Writes a case once, runs it on both engine pairs.
#[macro_export]
macro_rules! both_engines {
    ($($(#[$doc:meta])* async fn $name:ident($world:ident: Setting $(,)?) $body:block)+) => {
        $(
            mod $name {
                use super::*;

                $(#[$doc])*
                async fn case($world: $crate::world::Setting) $body

                #[tokio::test(flavor = "multi_thread")]
                async fn embedded() {
                    case($crate::world::Setting::new($crate::world::Pair::Embedded)).await;
                }

                #[tokio::test(flavor = "multi_thread")]
                async fn distributed() {
                    case($crate::world::Setting::new($crate::world::Pair::Distributed)).await;
                }
            }
        )+
    };
}
