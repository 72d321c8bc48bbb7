//! What is remembered of records from run to run. A save of a batch keeps and drops it.

use infill_model::RecordId;
use infill_model::seen::{MemoryKey, Seen};
use tokio_postgres::Row;

use super::pool::Pool;
use super::runs::id;
use crate::error::Error;
use crate::stored::unsigned;

pub(super) async fn of_records(
    pool: &Pool,
    memory: &MemoryKey,
    records: &[RecordId],
) -> Result<Vec<Seen>, Error> {
    let operation = "look for records seen before";
    let MemoryKey { plan_name, connection, object } = memory;
    let records: Vec<&str> = records.iter().map(RecordId::as_str).collect();
    let sql = "SELECT record, fingerprint, run_id FROM seen \
               WHERE plan_name = $1 AND connection = $2 AND object = $3 AND record = ANY ($4)";
    let found =
        pool.query(operation, sql, &[&plan_name, &connection.as_str(), &object.as_str(), &records]).await?;
    found.iter().map(|row| seen(row).map_err(Pool::unreadable(operation))).collect()
}

pub(super) async fn memories(pool: &Pool, plan_name: &str) -> Result<Vec<(MemoryKey, u64)>, Error> {
    let operation = "count what is remembered";
    let sql = "SELECT connection, object, count(*) FROM seen WHERE plan_name = $1 \
               GROUP BY connection, object ORDER BY connection, object";
    let found = pool.query(operation, sql, &[&plan_name]).await?;
    let read = |row: &Row| {
        let (connection, object): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let key = MemoryKey {
            plan_name: plan_name.to_owned(),
            connection: connection.into(),
            object: object.into(),
        };
        Ok((key, unsigned(row.try_get(2)?)))
    };
    found.iter().map(|row| read(row).map_err(Pool::unreadable(operation))).collect()
}

pub(super) async fn forget(pool: &Pool, memory: &MemoryKey, limit: u32) -> Result<u64, Error> {
    let MemoryKey { plan_name, connection, object } = memory;
    let sql = "DELETE FROM seen WHERE plan_name = $1 AND connection = $2 AND object = $3 AND record IN (\
               SELECT record FROM seen WHERE plan_name = $1 AND connection = $2 AND object = $3 LIMIT $4)";
    let key: [super::pool::Parameter<'_>; 4] =
        [&plan_name, &connection.as_str(), &object.as_str(), &i64::from(limit)];
    pool.execute("forget records", sql, &key).await
}

fn seen(row: &Row) -> Result<Seen, tokio_postgres::Error> {
    let (record, fingerprint): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    Ok(Seen { record: record.into(), fingerprint: fingerprint.into(), run: id(row, 2)? })
}
