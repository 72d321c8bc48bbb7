//! Who did what.

use deadpool_postgres::GenericClient;
use infill_model::RunId;
use tokio_postgres::Row;

use super::pool::{Parameter, Pool, Trouble};
use crate::audit::{AuditEntry, AuditFilter, NewAuditEntry, kept};
use crate::error::Error;

pub(super) async fn add(pool: &Pool, entry: &NewAuditEntry) -> Result<(), Error> {
    pool.call("add to the audit", async { insert(&pool.client().await?, entry).await }).await
}

/// Inside whatever transaction is open.
pub(super) async fn insert(client: &impl GenericClient, entry: &NewAuditEntry) -> Result<(), Trouble> {
    let sql = "INSERT INTO audit (at, actor, act, run_id, connection, plan_name, detail) \
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let (by, act, detail) = (kept(entry.by.as_str()), entry.act.as_str(), kept(&entry.detail));
    let (run, connection) =
        (entry.run.map(RunId::as_uuid), entry.connection.as_ref().map(|name| name.as_str()));
    let parameters: [Parameter<'_>; 7] = [&entry.at, &by, &act, &run, &connection, &entry.plan_name, &detail];
    let statement = client.prepare_cached(sql).await?;
    client.execute(&statement, &parameters).await?;
    Ok(())
}

pub(super) async fn list(
    pool: &Pool,
    filter: &AuditFilter,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<AuditEntry>, Error> {
    let operation = "list the audit";
    let (run, by) = (filter.run.map(RunId::as_uuid), filter.by.as_ref().map(|by| by.as_str()));
    let sql = "SELECT id, at, actor, act, run_id, connection, plan_name, detail FROM audit \
               WHERE ($1::uuid IS NULL OR run_id = $1) AND ($2::text IS NULL OR actor = $2) \
               AND ($3::timestamptz IS NULL OR at >= $3) AND ($4::bigint IS NULL OR id < $4) \
               ORDER BY id DESC LIMIT $5";
    let rows = pool.query(operation, sql, &[&run, &by, &filter.since, &before, &i64::from(limit)]).await?;
    pool.call(operation, async { rows.iter().map(stored).collect() }).await
}

fn stored(row: &Row) -> Result<AuditEntry, Trouble> {
    let entry = NewAuditEntry {
        at: row.try_get(1)?,
        by: row.try_get::<_, &str>(2)?.into(),
        act: row.try_get::<_, &str>(3)?.parse()?,
        run: row.try_get::<_, Option<_>>(4)?.map(RunId::from_uuid),
        connection: row.try_get::<_, Option<&str>>(5)?.map(Into::into),
        plan_name: row.try_get(6)?,
        detail: row.try_get(7)?,
    };
    Ok(AuditEntry { id: row.try_get(0)?, entry })
}
