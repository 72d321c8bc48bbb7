//! Dead letters: listed, reopened, discarded.

use std::collections::HashSet;

use deadpool_postgres::Transaction;
use infill_model::{
    Actor, BatchNo, CauseId, ConnectionName, PropertyName, RecordId, RowResult, RunId, Timestamp,
};
use tokio_postgres::Row;

use super::pool::{Parameter, Pool, Trouble};
use super::runs::id;
use crate::error::Error;
use crate::page::{write_produced, write_states};
use crate::store::{Letter, LetterCause, LetterChange, LetterEvent, LetterFilter, Reopen};
use crate::stored::{
    self, StoredCause, StoredEvent, StoredLetter, cause_columns, history_query, letter_columns, result_page,
    source_page, unsigned,
};

/// The condition of a filter over parameters 1 to 9.
macro_rules! matches_filter {
    () => {
        "($1::bigint IS NULL OR id = $1) AND ($2::text IS NULL OR cause = $2) \
         AND ($3::text IS NULL OR code = $3) AND ($4::text IS NULL OR property = $4) \
         AND ($5::text IS NULL OR run_id = $5::text::uuid) \
         AND ($6::text IS NULL OR run_id IN (SELECT id FROM runs WHERE plan_name = $6)) \
         AND ($7::text IS NULL OR run_id IN (SELECT id FROM runs WHERE connection = $7)) \
         AND ($8::timestamptz IS NULL OR last_at >= $8) AND ($9::text IS NULL OR status = $9)"
    };
}

/// A filter as parameters.
struct Parameters<'a> {
    id: Option<i64>,
    cause: Option<&'a str>,
    code: Option<&'a str>,
    property: Option<&'a str>,
    run: Option<String>,
    plan_name: Option<&'a str>,
    connection: Option<&'a str>,
    since: Option<Timestamp>,
    status: Option<&'static str>,
}

impl<'a> Parameters<'a> {
    fn new(filter: &'a LetterFilter) -> Self {
        Self {
            id: filter.id,
            cause: filter.cause.as_ref().map(CauseId::as_str),
            code: filter.code.as_deref(),
            property: filter.property.as_ref().map(PropertyName::as_str),
            run: filter.run.map(|run| run.to_string()),
            plan_name: filter.plan_name.as_deref(),
            connection: filter.connection.as_ref().map(ConnectionName::as_str),
            since: filter.since,
            status: filter.status.map(|status| status.as_str()),
        }
    }

    fn and<'b>(&'b self, more: &[Parameter<'b>]) -> Vec<Parameter<'b>> {
        let Self { id, cause, code, property, run, plan_name, connection, since, status } = self;
        let own: [Parameter<'b>; 9] = [id, cause, code, property, run, plan_name, connection, since, status];
        own.into_iter().chain(more.iter().copied()).collect()
    }
}

pub(super) async fn list(
    pool: &Pool,
    filter: &LetterFilter,
    after: Option<i64>,
    limit: u32,
) -> Result<Vec<Letter>, Error> {
    let operation = "list dead letters";
    let sql = concat!(
        "SELECT ",
        letter_columns!(),
        " FROM letters WHERE ",
        matches_filter!(),
        " AND id > $10 ORDER BY id LIMIT $11"
    );
    let (after, limit) = (after.unwrap_or(0), i64::from(limit));
    let rows = pool.query(operation, sql, &Parameters::new(filter).and(&[&after, &limit])).await?;
    rows.iter().map(|row| stored(row).map_err(Pool::unreadable(operation))?.read()).collect()
}

fn stored(row: &Row) -> Result<StoredLetter, tokio_postgres::Error> {
    Ok(StoredLetter {
        id: row.try_get(0)?,
        run: id(row, 1)?,
        batch: row.try_get(2)?,
        letter: row.try_get(3)?,
        attempts: row.try_get(4)?,
        status: row.try_get(5)?,
        first_at: row.try_get(6)?,
        last_at: row.try_get(7)?,
        cause: row.try_get(8)?,
        message: row.try_get(9)?,
    })
}

pub(super) async fn count(pool: &Pool, filter: &LetterFilter) -> Result<u64, Error> {
    let operation = "count dead letters";
    let sql = concat!("SELECT count(*) FROM letters WHERE ", matches_filter!());
    let row = pool.query_opt(operation, sql, &Parameters::new(filter).and(&[])).await?;
    let n = row.map_or(Ok(0), |row| row.try_get(0)).map_err(Pool::unreadable(operation))?;
    Ok(unsigned(n))
}

pub(super) async fn causes(
    pool: &Pool,
    filter: &LetterFilter,
    limit: u32,
) -> Result<Vec<LetterCause>, Error> {
    let operation = "list causes of dead letters";
    let sql = concat!(
        "SELECT ",
        cause_columns!(),
        " FROM letters WHERE ",
        matches_filter!(),
        " GROUP BY cause ORDER BY count(*) DESC, cause LIMIT $10"
    );
    let rows = pool.query(operation, sql, &Parameters::new(filter).and(&[&i64::from(limit)])).await?;
    let read = |row: &Row| -> Result<LetterCause, tokio_postgres::Error> {
        let stored = StoredCause {
            id: row.try_get(0)?,
            message: row.try_get(1)?,
            code: row.try_get(2)?,
            property: row.try_get(3)?,
            letters: row.try_get(4)?,
            first_at: row.try_get(5)?,
            last_at: row.try_get(6)?,
            example: row.try_get(7)?,
        };
        Ok(stored.into())
    };
    rows.iter().map(|row| read(row).map_err(Pool::unreadable(operation))).collect()
}

pub(super) async fn runs(pool: &Pool, filter: &LetterFilter) -> Result<Vec<(RunId, u64)>, Error> {
    let operation = "list runs of dead letters";
    let sql = concat!(
        "SELECT run_id, count(*) FROM letters WHERE ",
        matches_filter!(),
        " GROUP BY run_id ORDER BY run_id"
    );
    let rows = pool.query(operation, sql, &Parameters::new(filter).and(&[])).await?;
    let read =
        |row: &Row| -> Result<_, tokio_postgres::Error> { Ok((id(row, 0)?, unsigned(row.try_get(1)?))) };
    rows.iter().map(|row| read(row).map_err(Pool::unreadable(operation))).collect()
}

pub(super) async fn history(pool: &Pool, letter: i64) -> Result<Vec<LetterEvent>, Error> {
    let operation = "read the history of a dead letter";
    let rows = pool.query(operation, history_query!("$1"), &[&letter]).await?;
    let read = |row: &Row| -> Result<StoredEvent, tokio_postgres::Error> {
        let (letter, run) = (row.try_get(0)?, id(row, 1)?);
        Ok(StoredEvent { letter, run, at: row.try_get(2)?, event: row.try_get(3)? })
    };
    rows.iter().map(|row| read(row).map_err(Pool::unreadable(operation))?.read()).collect()
}

pub(super) async fn discard(
    pool: &Pool,
    filter: &LetterFilter,
    by: &Actor,
    why: &str,
    now: Timestamp,
) -> Result<u64, Error> {
    let event = stored::encode(&LetterChange::Discarded { by: by.clone(), why: why.to_owned() })?;
    let sql = concat!(
        "WITH discarded AS ( \
             UPDATE letters SET status = 'discarded', last_at = $10 WHERE status = 'open' AND ",
        matches_filter!(),
        " RETURNING id \
         ) INSERT INTO letter_events (letter_id, at, event) SELECT id, $10, $11 FROM discarded"
    );
    let filter = Parameters::new(filter);
    pool.execute("discard dead letters", sql, &filter.and(&[&now, &event])).await
}

pub(super) async fn retry_in(
    pool: &Pool,
    into: RunId,
    letters: &[i64],
    by: &Actor,
    now: Timestamp,
) -> Result<u64, Error> {
    let change = LetterChange::Retried { by: by.clone(), set: Default::default(), into: Some(into) };
    let event = stored::encode(&change)?;
    let sql = "WITH retried AS ( \
                   UPDATE letters SET status = 'retried', last_at = $2 \
                   WHERE id = ANY($1) AND status = 'open' RETURNING id \
               ) INSERT INTO letter_events (letter_id, at, into_run, event) \
               SELECT id, $2, $3, $4 FROM retried";
    let parameters: [Parameter<'_>; 4] = [&letters, &now, &into.as_uuid(), &event];
    pool.execute("retry dead letters in another run", sql, &parameters).await
}

pub(super) async fn reopen(
    pool: &Pool,
    run: RunId,
    batch: BatchNo,
    letters: &[i64],
    how: &Reopen,
) -> Result<u64, Error> {
    pool.call("reopen rows", async {
        let mut client = pool.client().await?;
        let transaction = client.transaction().await?;
        let reopened = reopen_in(&transaction, run, batch, letters, how).await?;
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
    how: &Reopen,
) -> Result<u64, Trouble> {
    let (id, no, now) = (run.as_uuid(), i64::from(batch.0), how.now);
    let pages = "SELECT source, results, states FROM batches WHERE run_id = $1 AND no = $2 FOR UPDATE";
    let pages = transaction.query_opt(pages, &[&id, &no]).await?;
    let can_reopen = "SELECT state IN ('completed', 'stopped', 'running') AND purged_at IS NULL FROM runs WHERE id = $1 FOR UPDATE";
    let can_reopen = transaction.query_opt(can_reopen, &[&id]).await?.ok_or(Error::NoSuchRun(run))?;
    let (Some(pages), true) = (pages, can_reopen.try_get(0)?) else { return Ok(0) };

    let retry = "WITH retried AS ( \
                     UPDATE letters SET status = 'retried', last_at = $4 \
                     WHERE id = ANY($3) AND run_id = $1 AND batch_no = $2 AND status = 'open' RETURNING id, record \
                 ), noted AS ( \
                     INSERT INTO letter_events (letter_id, at, event) SELECT id, $4, $5 FROM retried \
                 ) SELECT record FROM retried";
    let retried = transaction.query(retry, &[&id, &no, &letters, &now, &how.event()?]).await?;
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
    let reopened = how.rows(&rows, &mut results, &records);
    reopen_batch(transaction, run, batch, &results).await?;
    Ok(reopened)
}

async fn reopen_batch(
    transaction: &Transaction<'_>,
    run: RunId,
    batch: BatchNo,
    results: &[RowResult],
) -> Result<(), Trouble> {
    let [
        verified,
        written,
        unchanged,
        skipped,
        held,
        differs,
        failed,
        gone,
        by_read,
        by_age,
        intended,
        refused,
    ] = stored::tally(results);
    let sql = "WITH old AS ( \
                   SELECT state, verified, written, unchanged, skipped, held, differs, failed, gone, \
                       guarded_by_read, guarded_by_age, intended, refused \
                   FROM batches WHERE run_id = $1 AND no = $2 \
               ), saved AS ( \
                   UPDATE batches b SET state = 'pending', results = $3, claimed_by = NULL, claimed_at = NULL, \
                       touched_at = NULL, lease_owner = NULL, lease_until = NULL, verified = $4, written = $5, \
                       unchanged = $6, skipped = $7, held = $8, differs = $9, failed = $10, gone = $11, \
                       states = $12, guarded_by_read = $13, guarded_by_age = $14, intended = $15, refused = $16, \
                       revision = revision + 1 \
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
                   guarded_by_age = p.guarded_by_age + $14 - s.guarded_by_age, \
                   intended = p.intended + $15 - s.intended, refused = p.refused + $16 - s.refused, \
                   batches_previewed = p.batches_previewed - (s.state = 'previewed')::int \
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
                &intended,
                &refused,
            ],
        )
        .await?;
    Ok(())
}
