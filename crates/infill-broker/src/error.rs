//! What can go wrong between a program and its broker.

/// A broker operation that failed. All are transient unless said otherwise: the caller's delivery comes again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No session with the broker, or it was lost on the way.
    #[error("reach the broker at {address}")]
    Unreachable {
        /// Where, without credentials.
        address: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The broker refused the login, the vhost or the topology: a person must act.
    #[error("use the broker at {address}: {hint}")]
    Refused {
        /// Where, without credentials.
        address: String,
        /// The way out.
        hint: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No answer in time; whether it took effect is unknown.
    #[error("{operation} within {seconds} s")]
    Timeout {
        /// What was asked.
        operation: &'static str,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The broker did not take responsibility for a message: nacked, or no queue would take it.
    #[error("publish to {queue}: {reason}")]
    NotTaken {
        /// Where to.
        queue: String,
        /// Nacked or returned, and what to do.
        reason: String,
    },
    /// This process closed it.
    #[error("broker is closed")]
    Closed,
}

impl Error {
    /// Whether trying again without a person's help is pointless.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Refused { .. } | Self::Closed => true,
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::NotTaken { .. } => false,
        }
    }
}
