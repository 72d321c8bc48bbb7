//! One connection that writes, in `writer`, and a few that read, each used on the blocking pool.
//!
//! A connection whose work panicked is dropped with its transaction, and the next one opens afresh. A caller that
//! gives up waiting leaves the work to finish by itself.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction};
use tokio::sync::Semaphore;

use super::writer::Writer;
use crate::commit::Commit;
use crate::error::Error;

/// How long a statement waits for another process that writes to the same file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Statements kept prepared on each connection: more than the engine has.
const STATEMENTS: usize = 64;

/// Connections that only read: listings must not wait for one another.
const READERS: usize = 3;

/// WAL pages after which a commit also moves them into the file (16 MiB): fewer syncs than the default of 1,000.
const CHECKPOINT_PAGES: u32 = 4_000;

/// What can go wrong while a connection is used.
pub(super) enum Trouble {
    /// SQLite says so.
    Sqlite(rusqlite::Error),
    /// Something that is an error of the store already.
    Store(Error),
}

impl From<rusqlite::Error> for Trouble {
    fn from(e: rusqlite::Error) -> Self {
        Self::Sqlite(e)
    }
}

impl From<Error> for Trouble {
    fn from(e: Error) -> Self {
        Self::Store(e)
    }
}

/// The connections to one file.
pub(super) struct Connections {
    address: Arc<str>,
    path: Arc<Path>,
    writer: Writer,
    /// Each used by one caller at a time; callers queue in the order they came.
    readers: Arc<Mutex<Vec<Connection>>>,
    room: Arc<Semaphore>,
}

impl Connections {
    pub(super) fn new(path: &Path) -> Self {
        let address = path.display().to_string().into();
        let path: Arc<Path> = path.into();
        let writer = Writer::new(Arc::clone(&path));
        Self { address, path, writer, readers: Arc::default(), room: Arc::new(Semaphore::new(READERS)) }
    }

    /// Where the store is, for messages.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Reads.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Connection) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, Error> {
        let closed = |source| Error::Query { operation, source };
        let permit = Arc::clone(&self.room).acquire_owned().await.map_err(|e| closed(e.into()))?;
        let (readers, path) = (Arc::clone(&self.readers), Arc::clone(&self.path));
        let used = tokio::task::spawn_blocking(move || {
            let spare = readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = spare.map_or_else(|| connect(&path), Ok)?;
            let outcome = work(&connection);
            readers.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            drop(permit);
            outcome
        });
        let outcome = used.await.map_err(|e| closed(e.into()))?;
        outcome.map_err(|trouble| explain(trouble, operation, &self.address))
    }

    /// Writes, in a transaction that starts with the right to write.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        operation: &'static str,
        commit: Commit,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, Error> {
        let written = self.writer.write(commit, work).await;
        let gone = || Error::Query { operation, source: "the work on the file broke off".into() };
        written.ok_or_else(gone)?.map_err(|trouble| explain(trouble, operation, &self.address))
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Opens a connection to a file that exists; its commits are [`Commit::Ordered`].
pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // `fullfsync` matters on macOS alone, where a plain sync leaves data in the drive's cache.
    connection.execute_batch(&format!(
        "PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; PRAGMA fullfsync = ON; \
         PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES};"
    ))?;
    Ok(connection)
}

/// Says what kind of trouble it is.
pub(super) fn explain(trouble: Trouble, operation: &'static str, address: &str) -> Error {
    let source = match trouble {
        Trouble::Store(error) => return error,
        Trouble::Sqlite(source) => source,
    };
    let refused = |hint: &str, source: rusqlite::Error| Error::Refused {
        address: address.to_owned(),
        hint: hint.to_owned(),
        source: Some(source.into()),
    };
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::SystemIoFailure) => {
            Error::Unreachable { address: address.to_owned(), source: source.into() }
        }
        Some(ErrorCode::CannotOpen) => {
            refused("the file cannot be opened; check its path and its rights", source)
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            refused("the file and its folder must be writable for this user", source)
        }
        Some(ErrorCode::DiskFull) => refused("the disk is full; free some space and start again", source),
        Some(ErrorCode::NotADatabase) => refused(
            "the file is not an Infill store; give the path of another file, it is made if missing",
            source,
        ),
        Some(ErrorCode::DatabaseCorrupt) => {
            refused("the file is damaged; restore it from a copy, or start with a new file", source)
        }
        Some(_) | None => Error::Query { operation, source: source.into() },
    }
}

/// A moment as SQLite keeps it: microseconds since 1970 UTC.
pub(super) fn micros(at: infill_model::Timestamp) -> i64 {
    at.as_microsecond()
}

/// A moment read back.
pub(super) fn moment(micros: i64) -> infill_model::Timestamp {
    // What was written came from a moment; only a damaged file can hold one out of range.
    infill_model::Timestamp::from_microsecond(micros).unwrap_or(infill_model::Timestamp::UNIX_EPOCH)
}
