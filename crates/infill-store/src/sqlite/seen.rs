//! What is remembered of records from run to run.

use infill_model::RecordId;
use infill_model::seen::{MemoryKey, Seen};
use rusqlite::{Row, Transaction, params};

use super::connections::{Connections, Trouble};
use super::runs::id;
use crate::commit::Commit;
use crate::error::Error;
use crate::stored::{MemoryColumns, encode, unsigned};

/// Keeps and drops within the transaction of a save.
pub(super) fn learn(
    store: &Transaction<'_>,
    memory: &MemoryKey,
    columns: &MemoryColumns,
    run: &str,
) -> Result<(), Trouble> {
    let (plan, connection, object) = (&memory.plan_name, memory.connection.as_str(), memory.object.as_str());
    let mut keep = store.prepare_cached(
        "INSERT INTO seen (plan_name, connection, object, record, fingerprint, run_id) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET \
         fingerprint = excluded.fingerprint, run_id = excluded.run_id",
    )?;
    for (record, fingerprint) in columns.records.iter().zip(&columns.fingerprints) {
        keep.execute(params![plan, connection, object, record, fingerprint, run])?;
    }
    let mut drop = store.prepare_cached(
        "DELETE FROM seen WHERE plan_name = ?1 AND connection = ?2 AND object = ?3 AND record = ?4",
    )?;
    for record in &columns.dropped {
        drop.execute(params![plan, connection, object, record])?;
    }
    Ok(())
}

pub(super) async fn of_records(
    connections: &Connections,
    memory: &MemoryKey,
    records: &[RecordId],
) -> Result<Vec<Seen>, Error> {
    let (memory, records) = (memory.clone(), encode(records)?);
    connections
        .read("look for records seen before", move |store| {
            let MemoryKey { plan_name, connection, object } = &memory;
            let mut statement = store.prepare_cached(
                "SELECT record, fingerprint, run_id FROM seen WHERE plan_name = ?1 AND connection = ?2 \
                 AND object = ?3 AND record IN (SELECT value FROM json_each(?4))",
            )?;
            let key = params![plan_name, connection.as_str(), object.as_str(), records];
            let found = statement.query_map(key, seen)?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
}

pub(super) async fn memories(
    connections: &Connections,
    plan_name: &str,
) -> Result<Vec<(MemoryKey, u64)>, Error> {
    let plan_name = plan_name.to_owned();
    connections
        .read("count what is remembered", move |store| {
            let mut statement = store.prepare_cached(
                "SELECT connection, object, count(*) FROM seen WHERE plan_name = ?1 \
                 GROUP BY connection, object ORDER BY connection, object",
            )?;
            let found = statement.query_map([&plan_name], |row| {
                let (connection, object): (String, String) = (row.get(0)?, row.get(1)?);
                let key = MemoryKey {
                    plan_name: plan_name.clone(),
                    connection: connection.into(),
                    object: object.into(),
                };
                Ok((key, unsigned(row.get(2)?)))
            })?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
}

pub(super) async fn forget(connections: &Connections, memory: &MemoryKey, limit: u32) -> Result<u64, Error> {
    let memory = memory.clone();
    connections
        .write("forget records", Commit::Durable, move |store| {
            let MemoryKey { plan_name, connection, object } = &memory;
            let sql = "DELETE FROM seen WHERE plan_name = ?1 AND connection = ?2 AND object = ?3 AND record IN (\
                       SELECT record FROM seen WHERE plan_name = ?1 AND connection = ?2 AND object = ?3 LIMIT ?4)";
            let key = params![plan_name, connection.as_str(), object.as_str(), limit];
            let n = store.prepare_cached(sql)?.execute(key)?;
            Ok(u64::try_from(n).unwrap_or(u64::MAX))
        })
        .await
}

fn seen(row: &Row<'_>) -> rusqlite::Result<Seen> {
    let (record, fingerprint): (String, String) = (row.get(0)?, row.get(1)?);
    Ok(Seen { record: record.into(), fingerprint: fingerprint.into(), run: id(row, 2)? })
}
