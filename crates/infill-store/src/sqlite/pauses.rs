//! Pauses of runs and connections.

use infill_model::ConnectionName;
use rusqlite::{Transaction, params};

use super::audit;
use super::connections::{Connections, micros, moment};
use crate::audit::{NewAuditEntry, kept};
use crate::commit::Commit;
use crate::error::Error;
use crate::pause::{Pausable, Paused};

pub(super) async fn pause(
    connections: &Connections,
    what: &Pausable,
    entry: &NewAuditEntry,
) -> Result<bool, Error> {
    let (what, entry) = (what.clone(), entry.clone());
    connections
        .write("pause", Commit::Durable, move |store| {
            let (since, by) = (micros(entry.at), kept(entry.by.as_str()));
            let n_paused = match &what {
                Pausable::Run(run) => store
                    .prepare_cached(
                        "UPDATE runs SET paused_at = ?2, paused_by = ?3 WHERE id = ?1 AND paused_at IS NULL \
                         AND ended_at IS NULL AND state <> 'cancelling'",
                    )?
                    .execute(params![run.to_string(), since, by])?,
                Pausable::Connection(name) => store
                    .prepare_cached(
                        "INSERT INTO paused_connections (name, since, actor) VALUES (?1, ?2, ?3) \
                         ON CONFLICT DO NOTHING",
                    )?
                    .execute(params![name.as_str(), since, by])?,
            };
            Ok(done(store, n_paused, &what, &entry)?)
        })
        .await
}

pub(super) async fn resume(
    connections: &Connections,
    what: &Pausable,
    entry: &NewAuditEntry,
) -> Result<bool, Error> {
    let (what, entry) = (what.clone(), entry.clone());
    connections
        .write("end a pause", Commit::Durable, move |store| {
            let n_resumed = match &what {
                Pausable::Run(run) => store
                    .prepare_cached(
                        "UPDATE runs SET paused_at = NULL, paused_by = NULL WHERE id = ?1 AND paused_at IS NOT NULL",
                    )?
                    .execute([run.to_string()])?,
                Pausable::Connection(name) => store
                    .prepare_cached("DELETE FROM paused_connections WHERE name = ?1")?
                    .execute([name.as_str()])?,
            };
            Ok(done(store, n_resumed, &what, &entry)?)
        })
        .await
}

/// When something has changed: records it, and ends the parks of the runs concerned.
fn done(
    store: &Transaction<'_>,
    n_changed: usize,
    what: &Pausable,
    entry: &NewAuditEntry,
) -> rusqlite::Result<bool> {
    if n_changed == 0 {
        return Ok(false);
    }
    audit::insert(store, entry)?;
    let unpark = "UPDATE runs SET parked_until = NULL, parked_why = NULL WHERE ended_at IS NULL";
    match what {
        Pausable::Run(run) => {
            store.prepare_cached(&format!("{unpark} AND id = ?1"))?.execute([run.to_string()])?
        }
        Pausable::Connection(name) => {
            store.prepare_cached(&format!("{unpark} AND connection = ?1"))?.execute([name.as_str()])?
        }
    };
    Ok(true)
}

pub(super) async fn connections(store: &Connections) -> Result<Vec<(ConnectionName, Paused)>, Error> {
    store
        .read("list paused connections", |store| {
            let sql = "SELECT name, since, actor FROM paused_connections ORDER BY name";
            let mut statement = store.prepare_cached(sql)?;
            let paused = statement.query_map([], |row| {
                let (name, by): (String, String) = (row.get(0)?, row.get(2)?);
                Ok((name.into(), Paused { at: moment(row.get(1)?), by: by.into() }))
            })?;
            Ok(paused.collect::<Result<_, _>>()?)
        })
        .await
}
