//! Taking the values of ended runs away.

use deadpool_postgres::Transaction;
use infill_model::{RunId, Timestamp};

use super::audit;
use super::pool::{Pool, Trouble};
use super::runs::id;
use crate::audit::NewAuditEntry;
use crate::error::Error;
use crate::purge::purge_statements;

pub(super) async fn outdated(pool: &Pool, before: Timestamp, limit: u32) -> Result<Vec<RunId>, Error> {
    let operation = "look for outdated runs";
    let sql = "SELECT id FROM runs r WHERE ended_at < $1 \
               AND (purged_at IS NULL OR EXISTS (SELECT 1 FROM batches WHERE run_id = r.id)) \
               AND NOT EXISTS (SELECT 1 FROM letters WHERE run_id = r.id AND status = 'open') \
               ORDER BY ended_at, id LIMIT $2";
    let rows = pool.query(operation, sql, &[&before, &i64::from(limit)]).await?;
    rows.iter().map(|row| id(row, 0).map_err(Pool::unreadable(operation))).collect()
}

pub(super) async fn purge(pool: &Pool, entry: &NewAuditEntry, run: RunId, limit: u32) -> Result<u64, Error> {
    pool.call("purge a run", async {
        let mut client = pool.client().await?;
        let transaction = client.transaction().await?;
        let n_taken = if mark(&transaction, entry, run).await? {
            take_away(&transaction, run, limit).await?
        } else {
            0
        };
        transaction.commit().await?;
        Ok(n_taken)
    })
    .await
}

/// Marks a run that has ended as purged, if it is not; says whether it is then.
async fn mark(transaction: &Transaction<'_>, entry: &NewAuditEntry, run: RunId) -> Result<bool, Trouble> {
    let sql = "UPDATE runs SET purged_at = $2 WHERE id = $1 AND ended_at IS NOT NULL AND purged_at IS NULL";
    if transaction.execute(sql, &[&run.as_uuid(), &entry.at]).await? > 0 {
        audit::insert(transaction, entry).await?;
        return Ok(true);
    }
    let sql = "SELECT 1 FROM runs WHERE id = $1 AND purged_at IS NOT NULL";
    Ok(transaction.query_opt(sql, &[&run.as_uuid()]).await?.is_some())
}

async fn take_away(transaction: &Transaction<'_>, run: RunId, limit: u32) -> Result<u64, Trouble> {
    let mut n_taken = 0_u64;
    for statement in purge_statements!("$1", "$2") {
        let n = transaction.execute(statement, &[&run.as_uuid(), &i64::from(limit)]).await?;
        n_taken = n_taken.saturating_add(n);
    }
    Ok(n_taken)
}
