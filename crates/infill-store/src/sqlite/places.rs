//! Where a record stands.

use infill_model::{BatchNo, ConnectionName, RecordId};
use rusqlite::params;

use super::connections::{Connections, Trouble};
use super::runs::id;
use crate::error::Error;
use crate::store::Place;
use crate::stored::{small, sought};

pub(super) async fn list(
    connections: &Connections,
    connection: &ConnectionName,
    record: &RecordId,
    after: Option<Place>,
    limit: u32,
) -> Result<Vec<Place>, Error> {
    let (connection, record) = (connection.to_string(), sought(record));
    let (run, no) = after.map(|place| (place.run.to_string(), place.batch.0)).unzip();
    let sql = "SELECT b.run_id, b.no FROM runs r JOIN batches b ON b.run_id = r.id \
               WHERE r.connection = ?1 AND b.first_record <= ?2 AND b.last_record >= ?2 \
               AND (?3 IS NULL OR r.id < ?3 OR (r.id = ?3 AND b.no > ?4)) \
               ORDER BY r.id DESC, b.no LIMIT ?5";
    connections
        .read("look for a record", move |store| {
            let mut statement = store.prepare_cached(sql)?;
            let found = statement.query_map(params![connection, record, run, no, limit], |row| {
                Ok(Place { run: id(row, 0)?, batch: BatchNo(small(row.get(1)?)) })
            })?;
            Ok::<_, Trouble>(found.collect::<Result<_, _>>()?)
        })
        .await
}
