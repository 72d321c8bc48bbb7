//! Who did what.

use rusqlite::{Connection, Row, params};

use super::connections::{Connections, Trouble, micros, moment};
use super::runs;
use crate::audit::{AuditEntry, AuditFilter, NewAuditEntry, kept};
use crate::commit::Commit;
use crate::error::Error;

pub(super) async fn add(connections: &Connections, entry: &NewAuditEntry) -> Result<(), Error> {
    let entry = entry.clone();
    connections.write("add to the audit", Commit::Durable, move |store| Ok(insert(store, &entry)?)).await
}

/// Inside whatever transaction is open.
pub(super) fn insert(store: &Connection, entry: &NewAuditEntry) -> rusqlite::Result<()> {
    let sql = "INSERT INTO audit (at, actor, act, run_id, connection, plan_name, detail) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    store.prepare_cached(sql)?.execute(params![
        micros(entry.at),
        kept(entry.by.as_str()),
        entry.act.as_str(),
        entry.run.map(|run| run.to_string()),
        entry.connection.as_ref().map(|connection| connection.as_str()),
        entry.plan_name,
        kept(&entry.detail)
    ])?;
    Ok(())
}

pub(super) async fn list(
    connections: &Connections,
    filter: &AuditFilter,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<AuditEntry>, Error> {
    let (run, by) = (filter.run.map(|run| run.to_string()), filter.by.as_ref().map(ToString::to_string));
    let since = filter.since.map(micros);
    let sql = "SELECT id, at, actor, act, run_id, connection, plan_name, detail FROM audit \
               WHERE (?1 IS NULL OR run_id = ?1) AND (?2 IS NULL OR actor = ?2) AND (?3 IS NULL OR at >= ?3) \
               AND (?4 IS NULL OR id < ?4) ORDER BY id DESC LIMIT ?5";
    connections
        .read("list the audit", move |store| {
            let mut statement = store.prepare_cached(sql)?;
            let mut rows = statement.query(params![run, by, since, before, limit])?;
            let mut entries = Vec::new();
            while let Some(row) = rows.next()? {
                entries.push(stored(row)?);
            }
            Ok(entries)
        })
        .await
}

fn stored(row: &Row<'_>) -> Result<AuditEntry, Trouble> {
    let act: String = row.get(3)?;
    let has_run = row.get::<_, Option<String>>(4)?.is_some();
    let entry = NewAuditEntry {
        at: moment(row.get(1)?),
        by: row.get::<_, String>(2)?.into(),
        act: act.parse()?,
        run: has_run.then(|| runs::id(row, 4)).transpose()?,
        connection: row.get::<_, Option<String>>(5)?.map(Into::into),
        plan_name: row.get(6)?,
        detail: row.get(7)?,
    };
    Ok(AuditEntry { id: row.get(0)?, entry })
}
