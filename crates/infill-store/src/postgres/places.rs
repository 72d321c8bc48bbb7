//! Where a record stands.

use infill_model::{BatchNo, ConnectionName, RecordId};
use tokio_postgres::Row;

use super::pool::Pool;
use super::runs::id;
use crate::error::Error;
use crate::store::Place;
use crate::stored::{small, sought};

pub(super) async fn list(
    pool: &Pool,
    connection: &ConnectionName,
    record: &RecordId,
    after: Option<Place>,
    limit: u32,
) -> Result<Vec<Place>, Error> {
    let operation = "look for a record";
    let (run, no) = after.map(|place| (place.run.as_uuid(), i64::from(place.batch.0))).unzip();
    let sql = "SELECT b.run_id, b.no FROM runs r JOIN batches b ON b.run_id = r.id \
               WHERE r.connection = $1 AND b.first_record <= $2 AND b.last_record >= $2 \
               AND ($3::uuid IS NULL OR r.id < $3 OR (r.id = $3 AND b.no > $4)) \
               ORDER BY r.id DESC, b.no LIMIT $5";
    let rows = pool
        .query(operation, sql, &[&connection.as_str(), &sought(record), &run, &no, &i64::from(limit)])
        .await?;
    rows.iter().map(|row| place(row).map_err(Pool::unreadable(operation))).collect()
}

fn place(row: &Row) -> Result<Place, tokio_postgres::Error> {
    Ok(Place { run: id(row, 0)?, batch: BatchNo(small(row.try_get(1)?)) })
}
