//! The planner: turns a plan into a run, starts what is due by its schedule, and publishes work that the store says is unfinished and nobody is seen working on.
//!
//! Every function is idempotent, so that any number of planners may run: what two of them publish twice is handled
//! once. A run is started by being recorded; publishing its first message is the reconciler's ordinary work.

pub mod approve;
pub mod cancel;
pub mod error;
pub mod pause;
pub mod reconcile;
pub mod retention;
mod schedule;
pub mod start;

pub use error::Error;
pub use reconcile::{Planner, Settings};
