//! What can go wrong between a program and its store.

use infill_model::RunId;

/// A store operation that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store cannot be reached or used now; trying again may help.
    #[error("reach the store at {address}")]
    Unreachable {
        /// Where, without credentials.
        address: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store refuses: wrong login, a file that is not ours, a full disk. A person must act.
    #[error("use the store at {address}: {hint}")]
    Refused {
        /// Where, without credentials.
        address: String,
        /// The way out.
        hint: String,
        /// Why.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// Programs of two versions share one store.
    #[error(
        "the store has schema {found}, this program knows schema {known}: run the same Infill version \
         everywhere; the newer program upgrades the store when it starts"
    )]
    Version {
        /// In the store.
        found: i64,
        /// In this program.
        known: i64,
    },
    /// A statement failed.
    #[error("{operation} in the store")]
    Query {
        /// What was asked.
        operation: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What is stored cannot be understood.
    #[error("read {what} of run {run} from the store")]
    Corrupt {
        /// Which value.
        what: &'static str,
        /// Whose.
        run: RunId,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No run has this id.
    #[error("no run {0} in this store; `infill runs` lists them")]
    NoSuchRun(RunId),
    /// A stored login cannot be decrypted.
    #[error(
        "decrypt the login of connection {connection}: the key in {key_variable} is not the one it was encrypted with"
    )]
    WrongKey {
        /// Whose.
        connection: String,
        /// The variable that holds the key.
        key_variable: &'static str,
    },
}

impl Error {
    /// Whether trying again without a person's help is pointless.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Refused { .. }
            | Self::Version { .. }
            | Self::Corrupt { .. }
            | Self::NoSuchRun(_)
            | Self::WrongKey { .. } => true,
            Self::Unreachable { .. } | Self::Query { .. } => false,
        }
    }
}
