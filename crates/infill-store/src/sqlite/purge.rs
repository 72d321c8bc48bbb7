//! Taking the values of ended runs away.

use infill_model::{RunId, Timestamp};
use rusqlite::{Transaction, params};

use super::audit;
use super::connections::{Connections, Trouble, micros};
use super::runs::id;
use crate::audit::NewAuditEntry;
use crate::commit::Commit;
use crate::error::Error;
use crate::purge::purge_statements;

pub(super) async fn outdated(
    connections: &Connections,
    before: Timestamp,
    limit: u32,
) -> Result<Vec<RunId>, Error> {
    let sql = "SELECT id FROM runs r WHERE ended_at < ?1 \
               AND (purged_at IS NULL OR EXISTS (SELECT 1 FROM batches WHERE run_id = r.id)) \
               AND NOT EXISTS (SELECT 1 FROM letters WHERE run_id = r.id AND status = 'open') \
               ORDER BY ended_at, id LIMIT ?2";
    connections
        .read("look for outdated runs", move |store| {
            let mut statement = store.prepare_cached(sql)?;
            let found = statement.query_map(params![micros(before), limit], |row| id(row, 0))?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
}

pub(super) async fn purge(
    connections: &Connections,
    entry: &NewAuditEntry,
    run: RunId,
    limit: u32,
) -> Result<u64, Error> {
    let entry = entry.clone();
    connections
        .write("purge a run", Commit::Durable, move |store| {
            let key = run.to_string();
            if !mark(store, &entry, &key)? {
                return Ok(0);
            }
            let mut n_taken = 0_u64;
            for statement in purge_statements!("?1", "?2") {
                let n = store.prepare_cached(statement)?.execute(params![key, limit])?;
                n_taken = n_taken.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
            }
            Ok(n_taken)
        })
        .await
}

/// Marks a run that has ended as purged, if it is not; says whether it is then.
fn mark(store: &Transaction<'_>, entry: &NewAuditEntry, run: &str) -> Result<bool, Trouble> {
    let sql = "UPDATE runs SET purged_at = ?2 WHERE id = ?1 AND ended_at IS NOT NULL AND purged_at IS NULL";
    if store.prepare_cached(sql)?.execute(params![run, micros(entry.at)])? > 0 {
        audit::insert(store, entry)?;
        return Ok(true);
    }
    let sql = "SELECT EXISTS (SELECT 1 FROM runs WHERE id = ?1 AND purged_at IS NOT NULL)";
    Ok(store.prepare_cached(sql)?.query_row([run], |row| row.get(0))?)
}
