//! Keeps runs, chunks, batches with their row pages and before-images, dead letters, quotas and logins.
//!
//! Two engines behind one trait: [`sqlite`] in a file, [`postgres`] on a server. The store is the truth about a run; the broker only
//! says who looks at it next. It decides nothing: every transition is a compare-and-set that the caller
//! asked for, and no remote call happens inside a transaction.

pub mod audit;
mod commit;
#[cfg(test)]
mod conformance;
pub mod error;
mod migrations;
mod page;
pub mod pause;
pub mod postgres;
mod purge;
pub mod schedule;
pub mod sqlite;
mod stale;
pub mod store;
mod stored;
pub mod vault;

pub use error::Error;
pub use postgres::Postgres;
pub use sqlite::Sqlite;
pub use store::Store;
