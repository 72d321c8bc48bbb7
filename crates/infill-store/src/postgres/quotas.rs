//! Quotas: one decision at a time for each connection, by the server's clock.

use infill_model::{ConnectionName, Timestamp};
use tokio_postgres::Row;

use super::pool::{Pool, Trouble};
use crate::error::Error;
use crate::store::QuotaDecision;

/// The clock is read from above the locked tuple, so after the wait for it: moments grow in the order of the
/// decisions.
const LOCK: &str = "WITH locked AS MATERIALIZED (SELECT state FROM quotas WHERE connection = $1 FOR UPDATE) \
                    SELECT state, clock_timestamp() FROM locked";

pub(super) async fn update(
    pool: &Pool,
    connection: &ConnectionName,
    decide: QuotaDecision,
) -> Result<(), Error> {
    let connection = connection.as_str();
    pool.call("update a quota", async {
        let mut client = pool.client().await?;
        let lock = client.prepare_cached(LOCK).await?;
        let keep = client.prepare_cached("UPDATE quotas SET state = $2 WHERE connection = $1").await?;
        let transaction = client.transaction().await?;
        let locked = match transaction.query_opt(&lock, &[&connection]).await? {
            Some(row) => row,
            None => {
                let first = "INSERT INTO quotas (connection) VALUES ($1) ON CONFLICT (connection) DO NOTHING";
                transaction.execute(first, &[&connection]).await?;
                transaction.query_one(&lock, &[&connection]).await?
            }
        };
        let now: Timestamp = locked.try_get(1)?;
        if let Some(kept) = decide(state(&locked)?, now) {
            transaction.execute(&keep, &[&connection, &kept.to_string()]).await?;
        }
        Ok(transaction.commit().await?)
    })
    .await
}

pub(super) async fn read(
    pool: &Pool,
    connection: &ConnectionName,
) -> Result<Option<serde_json::Value>, Error> {
    let operation = "read a quota";
    let sql = "SELECT state FROM quotas WHERE connection = $1";
    pool.call(operation, async {
        let client = pool.client().await?;
        let statement = client.prepare_cached(sql).await?;
        let row = client.query_opt(&statement, &[&connection.as_str()]).await?;
        row.as_ref().map_or(Ok(None), state)
    })
    .await
}

fn state(row: &Row) -> Result<Option<serde_json::Value>, Trouble> {
    let text: Option<&str> = row.try_get(0)?;
    let state = text.map(serde_json::from_str).transpose();
    Ok(state.map_err(|e| Error::Query { operation: "read the state of a quota", source: e.into() })?)
}
