//! Workers: take a stage message, load what it names, do the work, record the result, publish what comes next, and only then
//! acknowledge.
//!
//! A worker keeps nothing between messages but caches that can be rebuilt. It knows no vendor, no queueing
//! product and no database: connectors, broker and store are handed in. Stage modules return a [`Verdict`];
//! [`consume`] is the only place that publishes and acknowledges.

pub mod advance;
pub mod await_rows;
pub mod configure_chain;
pub mod consume;
pub mod context;
pub mod login;
pub mod meter;
pub mod metered;
pub mod preflight;
mod preview;
pub mod run_batch;
pub mod source_sync;
mod supplied;
pub mod unfinished;
pub mod verdict;
pub mod verify;

mod handed_over;
mod letter;
mod perform;
mod seen;
mod undo;
mod write;

pub use consume::Worker;
pub use context::{Connections, Context, Settings};
pub use verdict::{Failure, Verdict};
