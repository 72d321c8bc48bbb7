//! One connection that writes and a few that read, each used on the blocking pool.
//!
//! A connection whose work panicked is dropped with its transaction, and the next one opens afresh. A caller that
//! gives up waiting leaves the work to finish by itself.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use tokio::sync::Semaphore;

use crate::error::Error;

/// How long a statement waits for another process that writes to the same file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Statements kept prepared on each connection: more than the engine has.
const STATEMENTS: usize = 64;

/// Connections that only read: listings must not wait for one another.
const READERS: usize = 3;

/// WAL pages after which a commit also moves them into the file (16 MiB): fewer syncs than the default of 1,000.
const CHECKPOINT_PAGES: u32 = 4_000;

/// What a commit survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Commit {
    /// The death of any process. A power cut may undo the last few, always from the end; what they held is then
    /// done again.
    Ordered,
    /// A power cut as well, together with everything committed before.
    Durable,
}

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
    writer: Lane,
    readers: Lane,
}

/// Connections of one kind, each used by one caller at a time; callers queue in the order they came.
struct Lane {
    idle: Arc<Mutex<Vec<Opened>>>,
    permits: Arc<Semaphore>,
}

/// A connection, and what its commits survive as it is set.
struct Opened {
    connection: Connection,
    commit: Commit,
}

impl Lane {
    fn new(size: usize) -> Self {
        Self { idle: Arc::default(), permits: Arc::new(Semaphore::new(size)) }
    }
}

impl Connections {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            address: path.display().to_string().into(),
            path: path.into(),
            writer: Lane::new(1),
            readers: Lane::new(READERS),
        }
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
        self.on(&self.readers, operation, move |opened| work(&opened.connection)).await
    }

    /// Writes, in one transaction that starts with the right to write.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        operation: &'static str,
        commit: Commit,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, Error> {
        self.on(&self.writer, operation, move |Opened { connection, commit: set }| {
            if *set != commit {
                // SQLite refuses to change this within a transaction.
                connection.execute_batch(match commit {
                    Commit::Durable => "PRAGMA synchronous = FULL",
                    Commit::Ordered => "PRAGMA synchronous = NORMAL",
                })?;
                *set = commit;
            }
            let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
            let out = work(&transaction)?;
            transaction.commit()?;
            Ok(out)
        })
        .await
    }

    async fn on<T: Send + 'static>(
        &self,
        lane: &Lane,
        operation: &'static str,
        work: impl FnOnce(&mut Opened) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, Error> {
        let closed = |source| Error::Query { operation, source };
        let permit = Arc::clone(&lane.permits).acquire_owned().await.map_err(|e| closed(e.into()))?;
        let (idle, path, address) =
            (Arc::clone(&lane.idle), Arc::clone(&self.path), Arc::clone(&self.address));
        let used = tokio::task::spawn_blocking(move || {
            let spare = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let opened = spare.map_or_else(
                || connect(&path).map(|connection| Opened { connection, commit: Commit::Ordered }),
                Ok,
            );
            let outcome = opened.map_err(Trouble::Sqlite).and_then(|mut opened| {
                let outcome = work(&mut opened);
                idle.lock().unwrap_or_else(PoisonError::into_inner).push(opened);
                outcome
            });
            drop(permit);
            outcome
        });
        let outcome = used.await.map_err(|e| closed(e.into()))?;
        outcome.map_err(|trouble| explain(trouble, operation, &address))
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
