//! Lines of a file of record ids: kept before the run is recorded, read while it is listed.

use infill_model::slice::{Supplied, SuppliedPlace};
use infill_model::{RecordId, RunId, Timestamp};
use tokio_postgres::Row;

use super::pool::Pool;
use crate::error::Error;
use crate::stored::{StoredSupplied, signed, unsigned};

pub(super) async fn keep(pool: &Pool, run: RunId, part: &[Supplied]) -> Result<Vec<u64>, Error> {
    let part: Vec<StoredSupplied> = part.iter().map(StoredSupplied::new).collect::<Result<_, _>>()?;
    let records: Vec<&str> = part.iter().map(|line| line.record.as_str()).collect();
    let lines: Vec<i64> = part.iter().map(|line| line.line).collect();
    let inputs: Vec<&str> = part.iter().map(|line| line.inputs.as_str()).collect();
    let faults: Vec<Option<&str>> = part.iter().map(|line| line.fault.as_deref()).collect();
    let sql = "WITH part AS ( \
                   SELECT * FROM unnest($2::text[], $3::bigint[], $4::text[], $5::text[]) \
                       AS p (record, line, inputs, fault) \
               ), added AS ( \
                   INSERT INTO supplied (run_id, record, line, is_faulty, inputs, fault) \
                   SELECT $1, record, line, fault IS NOT NULL, inputs, fault FROM part ORDER BY line \
                   ON CONFLICT DO NOTHING RETURNING line \
               ) SELECT line FROM part p WHERE NOT EXISTS (SELECT 1 FROM added a WHERE a.line = p.line) \
                   AND NOT EXISTS (SELECT 1 FROM supplied s \
                       WHERE s.run_id = $1 AND s.record = p.record AND s.line = p.line) ORDER BY line";
    let operation = "take in a part of a file";
    let repeated = pool.query(operation, sql, &[&run.as_uuid(), &records, &lines, &inputs, &faults]).await?;
    let line = |row: &Row| row.try_get(0).map(unsigned).map_err(Pool::unreadable(operation));
    repeated.iter().map(line).collect()
}

pub(super) async fn list(
    pool: &Pool,
    run: RunId,
    after: SuppliedPlace,
    limit: u32,
) -> Result<Vec<Supplied>, Error> {
    let operation = "list what a file supplied";
    let sql = "SELECT record, line, inputs, fault FROM supplied \
               WHERE run_id = $1 AND (is_faulty, line) > ($2, $3) ORDER BY is_faulty, line LIMIT $4";
    let key: [super::pool::Parameter<'_>; 4] =
        [&run.as_uuid(), &after.is_faulty, &signed(after.line), &i64::from(limit)];
    let found = pool.query(operation, sql, &key).await?;
    found.iter().map(|row| stored(row).map_err(Pool::unreadable(operation))?.read(run)).collect()
}

pub(super) async fn of_records(
    pool: &Pool,
    run: RunId,
    records: &[RecordId],
) -> Result<Vec<Supplied>, Error> {
    let operation = "read what a file supplied";
    let records: Vec<&str> = records.iter().map(RecordId::as_str).collect();
    let sql = "SELECT record, line, inputs, fault FROM supplied WHERE run_id = $1 AND record = ANY($2)";
    let found = pool.query(operation, sql, &[&run.as_uuid(), &records]).await?;
    found.iter().map(|row| stored(row).map_err(Pool::unreadable(operation))?.read(run)).collect()
}

pub(super) async fn forget(pool: &Pool, before: Timestamp) -> Result<u64, Error> {
    let first_kept = RunId::new(before, [0; 10]).as_uuid();
    let sql =
        "DELETE FROM supplied s WHERE run_id < $1 AND NOT EXISTS (SELECT 1 FROM runs WHERE id = s.run_id)";
    pool.execute("forget files half taken in", sql, &[&first_kept]).await
}

fn stored(row: &Row) -> Result<StoredSupplied, tokio_postgres::Error> {
    Ok(StoredSupplied {
        record: row.try_get(0)?,
        line: row.try_get(1)?,
        inputs: row.try_get(2)?,
        fault: row.try_get(3)?,
    })
}
