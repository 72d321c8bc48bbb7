//! Dead letters: listed, reopened, discarded.

use std::collections::HashSet;

use deadpool_postgres::Transaction;
use infill_model::{BatchNo, RecordId, RowResult, RunId, Timestamp};

use super::pool::{Pool, Trouble};
use super::runs::id;
use crate::error::Error;
use crate::page::{write_produced, write_states};
use crate::store::{Letter, LetterFilter};
use crate::stored::{self, StoredLetter, reopen_rows, result_page, source_page, unsigned};

/// The condition of a filter over parameters 1 to 4.
macro_rules! matches_filter {
    () => {
        "($1::bigint IS NULL OR id = $1) AND ($2::uuid IS NULL OR run_id = $2) \
         AND ($3::text IS NULL OR code = $3) AND ($4::text IS NULL OR status = $4)"
    };
}

pub(super) async fn list(
    pool: &Pool,
    filter: &LetterFilter,
    after: Option<i64>,
    limit: u32,
) -> Result<Vec<Letter>, Error> {
    let operation = "list dead letters";
    let (run, status) = (filter.run.map(RunId::as_uuid), filter.status.map(|status| status.as_str()));
    let sql = concat!(
        "SELECT id, run_id, batch_no, letter, attempts, status, first_at, last_at FROM letters WHERE ",
        matches_filter!(),
        " AND id > $5 ORDER BY id LIMIT $6"
    );
    let parameters = [&filter.id as _, &run as _, &filter.code as _, &status as _];
    let (after, limit) = (after.unwrap_or(0), i64::from(limit));
    let parameters: Vec<_> = parameters.into_iter().chain([&after as _, &limit as _]).collect();
    let rows = pool.query(operation, sql, &parameters).await?;
    rows.iter().map(|row| stored(row).map_err(Pool::unreadable(operation))?.read()).collect()
}

fn stored(row: &tokio_postgres::Row) -> Result<StoredLetter, tokio_postgres::Error> {
    Ok(StoredLetter {
        id: row.try_get(0)?,
        run: id(row, 1)?,
        batch: row.try_get(2)?,
        letter: row.try_get(3)?,
        attempts: row.try_get(4)?,
        status: row.try_get(5)?,
        first_at: row.try_get(6)?,
        last_at: row.try_get(7)?,
    })
}

pub(super) async fn count(pool: &Pool, filter: &LetterFilter) -> Result<u64, Error> {
    let operation = "count dead letters";
    let (run, status) = (filter.run.map(RunId::as_uuid), filter.status.map(|status| status.as_str()));
    let sql = concat!("SELECT count(*) FROM letters WHERE ", matches_filter!());
    let row = pool.query_opt(operation, sql, &[&filter.id, &run, &filter.code, &status]).await?;
    let n = row.map_or(Ok(0), |row| row.try_get(0)).map_err(Pool::unreadable(operation))?;
    Ok(unsigned(n))
}

pub(super) async fn discard(pool: &Pool, filter: &LetterFilter, now: Timestamp) -> Result<u64, Error> {
    let (run, status) = (filter.run.map(RunId::as_uuid), filter.status.map(|status| status.as_str()));
    let sql = concat!(
        "UPDATE letters SET status = 'discarded', last_at = $5 WHERE status = 'open' AND ",
        matches_filter!()
    );
    pool.execute("discard dead letters", sql, &[&filter.id, &run, &filter.code, &status, &now]).await
}

pub(super) async fn reopen(
    pool: &Pool,
    run: RunId,
    batch: BatchNo,
    letters: &[i64],
    now: Timestamp,
) -> Result<u64, Error> {
    pool.call("reopen rows", async {
        let mut client = pool.client().await?;
        let transaction = client.transaction().await?;
        let reopened = reopen_in(&transaction, run, batch, letters, now).await?;
        transaction.commit().await?;
        Ok(reopened)
    })
    .await
}

/// Locks the batch first, as a save does, then the rest.
async fn reopen_in(
    transaction: &Transaction<'_>,
    run: RunId,
    batch: BatchNo,
    letters: &[i64],
    now: Timestamp,
) -> Result<u64, Trouble> {
    let (id, no) = (run.as_uuid(), i64::from(batch.0));
    let pages = "SELECT source, results, states FROM batches WHERE run_id = $1 AND no = $2 FOR UPDATE";
    let pages = transaction.query_opt(pages, &[&id, &no]).await?;
    let can_reopen = "SELECT state IN ('completed', 'stopped', 'running') AND purged_at IS NULL FROM runs WHERE id = $1 FOR UPDATE";
    let can_reopen = transaction.query_opt(can_reopen, &[&id]).await?.ok_or(Error::NoSuchRun(run))?;
    let (Some(pages), true) = (pages, can_reopen.try_get(0)?) else { return Ok(0) };

    let retry = "UPDATE letters SET status = 'retried', last_at = $4 \
                 WHERE id = ANY($3) AND run_id = $1 AND batch_no = $2 AND status = 'open' RETURNING record";
    let retried = transaction.query(retry, &[&id, &no, &letters, &now]).await?;
    let records: HashSet<RecordId> = retried
        .iter()
        .map(|row| row.try_get::<_, &str>(0).map(RecordId::from))
        .collect::<Result<_, tokio_postgres::Error>>()?;
    if records.is_empty() {
        return Ok(0);
    }

    let move_run = "UPDATE runs SET cause = NULL, parked_until = NULL, parked_why = NULL, ended_at = NULL, \
                    touched_at = $2, state = CASE WHEN state = 'stopped' AND $3::bigint = 0 AND (\
                        SELECT batches_queued + batches_ran + batches_settled FROM run_progress \
                        WHERE run_id = $1) = 1 THEN 'canary' ELSE 'running' END WHERE id = $1";
    transaction.execute(move_run, &[&id, &now, &no]).await?;
    let rows = source_page(run, pages.try_get(0)?)?;
    let mut results = result_page(run, pages.try_get(1)?, pages.try_get(2)?)?;
    let reopened = reopen_rows(&rows, &mut results, &records);
    reopen_batch(transaction, run, batch, &results).await?;
    Ok(reopened)
}

async fn reopen_batch(
    transaction: &Transaction<'_>,
    run: RunId,
    batch: BatchNo,
    results: &[RowResult],
) -> Result<(), Trouble> {
    let [verified, written, unchanged, skipped, held, differs, failed, gone, by_read, by_age] =
        stored::tally(results);
    let sql = "WITH old AS ( \
                   SELECT state, verified, written, unchanged, skipped, held, differs, failed, gone, \
                       guarded_by_read, guarded_by_age \
                   FROM batches WHERE run_id = $1 AND no = $2 \
               ), saved AS ( \
                   UPDATE batches b SET state = 'pending', results = $3, claimed_by = NULL, claimed_at = NULL, \
                       touched_at = NULL, lease_owner = NULL, lease_until = NULL, verified = $4, written = $5, \
                       unchanged = $6, skipped = $7, held = $8, differs = $9, failed = $10, gone = $11, \
                       states = $12, guarded_by_read = $13, guarded_by_age = $14, revision = revision + 1 \
                   FROM old WHERE b.run_id = $1 AND b.no = $2 RETURNING old.* \
               ) UPDATE run_progress p SET \
                   batches_queued = p.batches_queued - (s.state = 'queued')::int, \
                   batches_ran = p.batches_ran - (s.state = 'ran')::int, \
                   batches_settled = p.batches_settled - (s.state = 'settled')::int, \
                   verified = p.verified + $4 - s.verified, written = p.written + $5 - s.written, \
                   unchanged = p.unchanged + $6 - s.unchanged, skipped = p.skipped + $7 - s.skipped, \
                   held = p.held + $8 - s.held, differs = p.differs + $9 - s.differs, \
                   failed = p.failed + $10 - s.failed, gone = p.gone + $11 - s.gone, \
                   guarded_by_read = p.guarded_by_read + $13 - s.guarded_by_read, \
                   guarded_by_age = p.guarded_by_age + $14 - s.guarded_by_age \
               FROM saved s WHERE p.run_id = $1";
    transaction
        .execute(
            sql,
            &[
                &run.as_uuid(),
                &i64::from(batch.0),
                &write_produced(results)?,
                &verified,
                &written,
                &unchanged,
                &skipped,
                &held,
                &differs,
                &failed,
                &gone,
                &write_states(results)?,
                &by_read,
                &by_age,
            ],
        )
        .await?;
    Ok(())
}
