//! What Infill tells the people who run it: the names of metrics and their labels, the names of log fields, how an
//! error is printed with its causes, and what must never be printed.
//!
//! The only crate that knows `prometheus`. It keeps no global but the one that `tracing` asks for: a [`Metrics`] is
//! made once by the binary and handed to whoever counts. It opens no port; `infill-server` does.

pub mod chain;
pub mod field;
pub mod heartbeat;
pub mod label;
pub mod log;
pub mod metric;
pub mod metrics;
pub mod redact;

pub use chain::chain;
pub use heartbeat::Heartbeat;
pub use label::{Handled, Publish, Role};
pub use log::{Format, init_logging};
pub use metrics::{Metrics, OpenRuns};
pub use redact::redact;
