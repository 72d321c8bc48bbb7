//! Makes the file, recognises it, and brings its schema up to date, one program at a time.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use refinery::Runner;
use rusqlite::{Connection, OptionalExtension};

use super::connections::{Connections, Trouble, connect, explain};
use crate::error::Error;
use crate::migrations::{self, HISTORY};

/// Marks a SQLite file as an Infill store (`infl`).
const APPLICATION_ID: i32 = 0x696e_666c;

/// Makes and migrates the store; gives the schema known.
pub(super) async fn prepare(path: &Path) -> Result<i64, Error> {
    let path = path.to_owned();
    let prepared = tokio::task::spawn_blocking(move || {
        let _lock = lock(&path)?;
        migrate(&path).map_err(|trouble| explain(trouble, "migrate the schema", &path.display().to_string()))
    });
    prepared.await.map_err(|e| Error::Query { operation: "open", source: e.into() })?
}

/// Checks that the schema is the one known.
pub(super) async fn check(connections: &Connections, known: i64) -> Result<(), Error> {
    let found = connections.read("read the schema version", |connection| Ok(version(connection)?)).await?;
    migrations::refuse_other(found, known)
}

/// Makes the folder and the file, and takes the lock that lets one program migrate at a time. The lock stands
/// beside the file: SQLite's own locks on the file would be lost with the first handle that is closed.
fn lock(path: &Path) -> Result<File, Error> {
    let refused = |e: io::Error, what: &Path| Error::Refused {
        address: path.display().to_string(),
        hint: format!("{} cannot be made or written; give a path this user may write to", what.display()),
        source: Some(e.into()),
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|e| refused(e, folder))?;
    }
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push("-lock");
    let lock_path = PathBuf::from(lock_path);
    let lock = create(&lock_path).map_err(|e| refused(e, &lock_path))?;
    lock.lock().map_err(|e| refused(e, &lock_path))?;
    create(path).map_err(|e| refused(e, path))?;
    Ok(lock)
}

/// Opens a file for writing, making it readable for this user alone: it will hold people's data.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn migrate(path: &Path) -> Result<i64, Trouble> {
    let mut connection = connect(path)?;
    recognise(&connection, path)?;
    let runner = migrations::runner(migrations::SQLITE)?;
    let known = migrations::known(&runner);
    migrations::refuse_newer(version(&connection)?, known)?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    // Readers do not wait for the writer, nor it for them.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    apply(&runner, &mut connection)?;
    Ok(known)
}

fn apply(runner: &Runner, connection: &mut Connection) -> Result<(), Error> {
    let report = runner.run(connection).map_err(migrations::failed)?;
    for step in report.applied_migrations() {
        tracing::info!(schema = step.version(), step = step.name(), "store migrated");
    }
    Ok(())
}

/// Refuses a SQLite file that some other program made.
fn recognise(connection: &Connection, path: &Path) -> Result<(), Trouble> {
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    if application == APPLICATION_ID || (application == 0 && tables == 0) {
        return Ok(());
    }
    Err(Trouble::Store(Error::Refused {
        address: path.display().to_string(),
        hint: "the file belongs to another program; give the path of another file, it is made if missing"
            .into(),
        source: None,
    }))
}

/// The newest step applied; 0 before the first.
fn version(connection: &Connection) -> rusqlite::Result<i64> {
    let exists = connection
        .prepare_cached("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1")?
        .query_row([HISTORY], |_| Ok(()))
        .optional()?;
    if exists.is_none() {
        return Ok(0);
    }
    connection
        .prepare_cached("SELECT coalesce(max(version), 0) FROM infill_schema_history")?
        .query_row([], |row| row.get(0))
}
