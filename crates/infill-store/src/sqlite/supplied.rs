//! Lines of a file of record ids: kept before the run is recorded, read while it is listed.

use infill_model::slice::{Supplied, SuppliedPlace};
use infill_model::{RecordId, RunId, Timestamp};
use rusqlite::{Row, params};

use super::connections::{Connections, Trouble};
use crate::commit::Commit;
use crate::error::Error;
use crate::stored::{StoredSupplied, encode, signed, unsigned};

pub(super) async fn keep(
    connections: &Connections,
    run: RunId,
    part: &[Supplied],
) -> Result<Vec<u64>, Error> {
    let part: Vec<StoredSupplied> = part.iter().map(StoredSupplied::new).collect::<Result<_, _>>()?;
    connections
        .write("take in a part of a file", Commit::Ordered, move |store| {
            let run = run.to_string();
            let mut insert = store.prepare_cached(
                "INSERT INTO supplied (run_id, record, line, is_faulty, inputs, fault) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
            )?;
            let mut known =
                store.prepare_cached("SELECT line FROM supplied WHERE run_id = ?1 AND record = ?2")?;
            let mut repeated = Vec::new();
            for StoredSupplied { record, line, inputs, fault } in &part {
                let added = insert.execute(params![run, record, line, fault.is_some(), inputs, fault])?;
                if added == 0 && known.query_row([&run, record], |row| row.get::<_, i64>(0))? != *line {
                    repeated.push(unsigned(*line));
                }
            }
            Ok(repeated)
        })
        .await
}

pub(super) async fn list(
    connections: &Connections,
    run: RunId,
    after: SuppliedPlace,
    limit: u32,
) -> Result<Vec<Supplied>, Error> {
    connections
        .read("list what a file supplied", move |store| {
            let mut statement = store.prepare_cached(
                "SELECT record, line, inputs, fault FROM supplied \
                 WHERE run_id = ?1 AND (is_faulty, line) > (?2, ?3) ORDER BY is_faulty, line LIMIT ?4",
            )?;
            let key = params![run.to_string(), after.is_faulty, signed(after.line), limit];
            let found = statement.query_map(key, stored)?;
            found.map(|stored| Ok(stored?.read(run)?)).collect::<Result<_, Trouble>>()
        })
        .await
}

pub(super) async fn of_records(
    connections: &Connections,
    run: RunId,
    records: &[RecordId],
) -> Result<Vec<Supplied>, Error> {
    let records = encode(records)?;
    connections
        .read("read what a file supplied", move |store| {
            let mut statement = store.prepare_cached(
                "SELECT record, line, inputs, fault FROM supplied \
                 WHERE run_id = ?1 AND record IN (SELECT value FROM json_each(?2))",
            )?;
            let found = statement.query_map([run.to_string(), records], stored)?;
            found.map(|stored| Ok(stored?.read(run)?)).collect::<Result<_, Trouble>>()
        })
        .await
}

pub(super) async fn forget(connections: &Connections, before: Timestamp) -> Result<u64, Error> {
    connections
        .write("forget files half taken in", Commit::Ordered, move |store| {
            let first_kept = RunId::new(before, [0; 10]).to_string();
            let sql = "DELETE FROM supplied WHERE run_id < ?1 AND run_id NOT IN (SELECT id FROM runs)";
            let forgotten = store.prepare_cached(sql)?.execute([first_kept])?;
            Ok(u64::try_from(forgotten).unwrap_or(u64::MAX))
        })
        .await
}

fn stored(row: &Row<'_>) -> rusqlite::Result<StoredSupplied> {
    Ok(StoredSupplied { record: row.get(0)?, line: row.get(1)?, inputs: row.get(2)?, fault: row.get(3)? })
}
