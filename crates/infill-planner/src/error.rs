//! What can go wrong while planning.

/// A planning step that failed; trying again is always safe.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store.
    #[error("use the store")]
    Store(#[from] infill_store::Error),
    /// The broker.
    #[error("use the broker")]
    Broker(#[from] infill_broker::Error),
}
