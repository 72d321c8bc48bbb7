//! Pauses of runs and connections.

use infill_model::ConnectionName;

use super::audit;
use super::pool::{Parameter, Pool};
use crate::audit::{NewAuditEntry, kept};
use crate::error::Error;
use crate::pause::{Pausable, Paused};

pub(super) async fn pause(pool: &Pool, what: &Pausable, entry: &NewAuditEntry) -> Result<bool, Error> {
    let by = kept(entry.by.as_str());
    match what {
        Pausable::Run(run) => {
            let sql = "UPDATE runs SET paused_at = $2, paused_by = $3 WHERE id = $1 AND paused_at IS NULL \
                       AND ended_at IS NULL AND state <> 'cancelling'";
            change(pool, "pause", sql, &[&run.as_uuid(), &entry.at, &by], what, entry).await
        }
        Pausable::Connection(name) => {
            let sql = "INSERT INTO paused_connections (name, since, actor) VALUES ($1, $2, $3) \
                       ON CONFLICT DO NOTHING";
            change(pool, "pause", sql, &[&name.as_str(), &entry.at, &by], what, entry).await
        }
    }
}

pub(super) async fn resume(pool: &Pool, what: &Pausable, entry: &NewAuditEntry) -> Result<bool, Error> {
    match what {
        Pausable::Run(run) => {
            let sql =
                "UPDATE runs SET paused_at = NULL, paused_by = NULL WHERE id = $1 AND paused_at IS NOT NULL";
            change(pool, "end a pause", sql, &[&run.as_uuid()], what, entry).await
        }
        Pausable::Connection(name) => {
            let sql = "DELETE FROM paused_connections WHERE name = $1";
            change(pool, "end a pause", sql, &[&name.as_str()], what, entry).await
        }
    }
}

/// Carries out a statement; when something has changed by it, records that and ends the parks of the runs concerned.
async fn change(
    pool: &Pool,
    operation: &'static str,
    sql: &'static str,
    parameters: &[Parameter<'_>],
    what: &Pausable,
    entry: &NewAuditEntry,
) -> Result<bool, Error> {
    pool.call(operation, async {
        let mut client = pool.client().await?;
        let transaction = client.transaction().await?;
        if transaction.execute(sql, parameters).await? == 0 {
            return Ok(false);
        }
        audit::insert(&transaction, entry).await?;
        let unpark = "UPDATE runs SET parked_until = NULL, parked_why = NULL WHERE ended_at IS NULL";
        match what {
            Pausable::Run(run) => {
                transaction.execute(&format!("{unpark} AND id = $1"), &[&run.as_uuid()]).await?
            }
            Pausable::Connection(name) => {
                transaction.execute(&format!("{unpark} AND connection = $1"), &[&name.as_str()]).await?
            }
        };
        transaction.commit().await?;
        Ok(true)
    })
    .await
}

pub(super) async fn connections(pool: &Pool) -> Result<Vec<(ConnectionName, Paused)>, Error> {
    let operation = "list paused connections";
    let sql = "SELECT name, since, actor FROM paused_connections ORDER BY name";
    let rows = pool.query(operation, sql, &[]).await?;
    pool.call(operation, async {
        rows.iter()
            .map(|row| {
                let (name, by): (&str, &str) = (row.try_get(0)?, row.try_get(2)?);
                Ok((name.into(), Paused { at: row.try_get(1)?, by: by.into() }))
            })
            .collect()
    })
    .await
}
