//! What a worker and a planner answer over HTTP: `/metrics`, `/healthz` and `/readyz`.
//!
//! It never publishes a message and never learns what a broker or a store is: whether they can be reached is asked
//! through [`Readiness`], which the binary implements. There is no login here, so it listens on loopback unless the
//! configuration says otherwise.

pub mod health;
pub mod metrics;
pub mod serve;

pub use health::{Health, Readiness};
pub use serve::{DEFAULT_LISTEN, Error, bind, serve};
