//! Time is an input: decisions take a [`Timestamp`], loops take a [`Clock`].

pub use jiff::Timestamp;

/// Wall time, handed in so that a test can own it.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The present moment.
    fn now(&self) -> Timestamp;
}
