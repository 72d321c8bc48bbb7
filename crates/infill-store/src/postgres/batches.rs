//! Batches: leases that fence, and saves that count by difference.

use infill_model::{BatchNo, RunId, Timestamp};
use tokio_postgres::Row;

use super::pool::{Parameter, Pool};
use super::runs::tally;
use crate::error::Error;
use crate::page::{write_produced, write_states};
use crate::store::{Batch, BatchSave, Lease, Leased, Saved};
use crate::stored::{self, LetterColumns, MemoryColumns, StoredBatch, progress_columns, signed};

pub(super) async fn break_leases(pool: &Pool, run: RunId) -> Result<(), Error> {
    // In order, so that two of these cannot each hold what the other waits for.
    let sql = "UPDATE batches b SET lease_owner = NULL, lease_until = NULL \
               FROM (SELECT no FROM batches WHERE run_id = $1 AND lease_owner IS NOT NULL \
                     ORDER BY no FOR UPDATE) held \
               WHERE b.run_id = $1 AND b.no = held.no";
    pool.execute("break leases", sql, &[&run.as_uuid()]).await?;
    Ok(())
}

pub(super) async fn lease(
    pool: &Pool,
    run: RunId,
    batch: BatchNo,
    lease: Lease,
    take_over: bool,
    known: Option<u64>,
    now: Timestamp,
) -> Result<Leased, Error> {
    let operation = "lease a batch";
    let (id, no) = (run.as_uuid(), i64::from(batch.0));
    let sql = "UPDATE batches SET lease_owner = $3, lease_until = $4, touched_at = $5 \
               WHERE run_id = $1 AND no = $2 \
               AND ($6 OR lease_until IS NULL OR lease_until <= $5 OR lease_owner = $3) \
               RETURNING revision IS NOT DISTINCT FROM $7, \
               CASE WHEN revision IS DISTINCT FROM $7 THEN source END AS source, \
               CASE WHEN revision IS DISTINCT FROM $7 THEN results END AS results, no, state, states, pulled_at, saved_at, revision, job";
    let (owner, known) = (lease.owner.cast_signed(), known.map(signed));
    let taken =
        pool.query_opt(operation, sql, &[&id, &no, &owner, &lease.until, &now, &take_over, &known]).await?;
    if let Some(row) = taken {
        let is_known = row.try_get(0).map_err(Pool::unreadable(operation))?;
        return Ok(if is_known {
            Leased::AsKnown
        } else {
            Leased::Yours(read(&row).map_err(Pool::unreadable(operation))?.read(run)?)
        });
    }
    let sql = "SELECT lease_until FROM batches WHERE run_id = $1 AND no = $2";
    let Some(row) = pool.query_opt(operation, sql, &[&id, &no]).await? else {
        return Ok(Leased::Missing);
    };
    let until: Option<Timestamp> = row.try_get(0).map_err(Pool::unreadable(operation))?;
    // It may have become free meanwhile: then it is worth another try at once.
    Ok(Leased::Busy { until: until.unwrap_or(now) })
}

/// One statement for everything: the batch as it was under its lock, the batch and the run's counts changed by the
/// difference, the letters, and what `$more` adds. A save that is already there to the letter changes nothing but the lease.
macro_rules! save_statement {
    ($more:expr) => { concat!(
    "WITH old AS ( \
         SELECT state, verified, written, unchanged, skipped, held, differs, failed, gone, \
             guarded_by_read, guarded_by_age, intended, refused, \
             CASE WHEN saved_at = $7 AND state = $4 AND states = $20 THEN results = coalesce($5, results) \
             ELSE false END AS repeated \
         FROM batches WHERE run_id = $1 AND no = $2 AND lease_owner = $3 FOR UPDATE \
     ), saved AS ( \
         UPDATE batches b SET state = $4, results = coalesce($5, b.results), states = $20, \
             revision = b.revision + 1, touched_at = $7, saved_at = $7, lease_until = $6, \
             verified = $9, written = $10, unchanged = $11, skipped = $12, held = $13, differs = $14, \
             failed = $15, gone = $16, guarded_by_read = $21, guarded_by_age = $22, intended = $23, refused = $24 \
         FROM old WHERE b.run_id = $1 AND b.no = $2 RETURNING old.* \
     ), lettered AS ( \
         INSERT INTO letters AS l \
             (run_id, batch_no, record, code, property, cause, message, letter, first_at, last_at) \
         SELECT $1, $2, n.record, n.code, n.property, n.cause, n.message, n.letter, $7, $7 \
         FROM saved s, unnest($17::text[], $18::text[], $19::text[], $25::text[], $26::text[], $27::text[]) \
             AS n (record, code, letter, property, cause, message) \
         WHERE NOT s.repeated \
         ON CONFLICT (run_id, record) DO UPDATE SET batch_no = excluded.batch_no, code = excluded.code, \
             property = excluded.property, cause = excluded.cause, message = excluded.message, \
             letter = excluded.letter, attempts = l.attempts + 1, status = 'open', last_at = excluded.last_at \
         RETURNING l.id, l.record \
     ), noted AS ( \
         INSERT INTO letter_events (letter_id, at, event) \
         SELECT l.id, $7, n.event FROM lettered l \
         JOIN unnest($17::text[], $28::text[]) AS n (record, event) ON n.record = l.record \
     ), counted AS ( \
         UPDATE run_progress p SET \
             batches_queued = p.batches_queued + ($4 = 'queued')::int - (s.state = 'queued')::int, \
             batches_ran = p.batches_ran + ($4 = 'ran')::int - (s.state = 'ran')::int, \
             batches_settled = p.batches_settled + ($4 = 'settled')::int - (s.state = 'settled')::int, \
             verified = p.verified + $9 - s.verified, written = p.written + $10 - s.written, \
             unchanged = p.unchanged + $11 - s.unchanged, skipped = p.skipped + $12 - s.skipped, \
             held = p.held + $13 - s.held, differs = p.differs + $14 - s.differs, \
             failed = p.failed + $15 - s.failed, gone = p.gone + $16 - s.gone, \
             guarded_by_read = p.guarded_by_read + $21 - s.guarded_by_read, \
             guarded_by_age = p.guarded_by_age + $22 - s.guarded_by_age, \
             intended = p.intended + $23 - s.intended, refused = p.refused + $24 - s.refused, \
             batches_previewed = p.batches_previewed + ($4 = 'previewed')::int - (s.state = 'previewed')::int, \
             calls = p.calls + CASE WHEN s.repeated THEN 0 ELSE $8::bigint END, saved_at = $7 \
         FROM saved s WHERE p.run_id = $1 RETURNING p.* \
     )",
    $more,
    " SELECT ",
    progress_columns!(),
    " FROM counted"
    ) };
}

/// A save of a plan that remembers nothing.
const SAVE: &str = save_statement!("");

/// A save that remembers and forgets records, too.
const SAVE_AND_LEARN: &str = save_statement!(
    ", kept AS ( \
         INSERT INTO seen (plan_name, connection, object, record, fingerprint, run_id) \
         SELECT $29, $30, $31, k.record, k.fingerprint, $1 \
         FROM saved, unnest($32::text[], $33::text[]) WITH ORDINALITY AS k (record, fingerprint, place) \
         ORDER BY k.place \
         ON CONFLICT (plan_name, connection, object, record) DO UPDATE SET \
             fingerprint = excluded.fingerprint, run_id = excluded.run_id \
     ), dropped AS ( \
         DELETE FROM seen USING saved WHERE plan_name = $29 AND connection = $30 AND object = $31 \
         AND record = ANY ($34::text[]) \
     )"
);

pub(super) async fn save(
    pool: &Pool,
    run: RunId,
    batch: BatchNo,
    lease: Lease,
    save: &BatchSave<'_>,
) -> Result<Saved, Error> {
    let produced = save.has_produced.then(|| write_produced(save.results)).transpose()?;
    let states = write_states(save.results)?;
    let until = save.keep_lease.then_some(lease.until);
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
    ] = stored::tally(save.results);
    let LetterColumns { records, codes, properties, causes, messages, letters, events } =
        LetterColumns::new(save.letters)?;
    let operation = "save a batch";
    let id = run.as_uuid();
    let (no, owner, state, calls) =
        (i64::from(batch.0), lease.owner.cast_signed(), save.state.as_str(), signed(save.calls));
    let columns = save.memory.map(|(_, learnt)| MemoryColumns::new(learnt)).unwrap_or_default();
    let memory = save
        .memory
        .map(|(memory, _)| (memory.plan_name.as_str(), memory.connection.as_str(), memory.object.as_str()));
    let mut parameters: Vec<Parameter<'_>> = vec![
        &id,
        &no,
        &owner,
        &state,
        &produced,
        &until,
        &save.now,
        &calls,
        &verified,
        &written,
        &unchanged,
        &skipped,
        &held,
        &differs,
        &failed,
        &gone,
        &records,
        &codes,
        &letters,
        &states,
        &by_read,
        &by_age,
        &intended,
        &refused,
        &properties,
        &causes,
        &messages,
        &events,
    ];
    let mut statement = SAVE;
    if let Some((plan, connection, object)) = &memory {
        statement = SAVE_AND_LEARN;
        parameters.extend::<[Parameter<'_>; 6]>([
            plan,
            connection,
            object,
            &columns.records,
            &columns.fingerprints,
            &columns.dropped,
        ]);
    }
    let counts = pool.query_opt(operation, statement, &parameters).await?;
    counts.map_or(Ok(Saved::LeaseLost), |row| {
        Ok(Saved::Yes(tally(&row, 0).map_err(Pool::unreadable(operation))?.into()))
    })
}

pub(super) async fn keep_job(
    pool: &Pool,
    run: RunId,
    batch: BatchNo,
    lease: Lease,
    job: Option<&str>,
) -> Result<bool, Error> {
    let sql = "UPDATE batches SET job = $4 WHERE run_id = $1 AND no = $2 AND lease_owner = $3";
    let (id, no, owner) = (run.as_uuid(), i64::from(batch.0), lease.owner.cast_signed());
    Ok(pool.execute("keep a job", sql, &[&id, &no, &owner, &job]).await? > 0)
}

pub(super) async fn job(pool: &Pool, run: RunId, batch: BatchNo) -> Result<Option<String>, Error> {
    let operation = "read a job";
    let sql = "SELECT job FROM batches WHERE run_id = $1 AND no = $2";
    let row = pool.query_opt(operation, sql, &[&run.as_uuid(), &i64::from(batch.0)]).await?;
    row.map_or(Ok(None), |row| row.try_get(0).map_err(Pool::unreadable(operation)))
}

pub(super) async fn list(
    pool: &Pool,
    run: RunId,
    after: Option<BatchNo>,
    limit: u32,
) -> Result<Vec<Batch>, Error> {
    let operation = "list batches";
    let after = after.map_or(-1, |no| i64::from(no.0));
    let sql = "SELECT source, results, no, state, states, pulled_at, saved_at, revision, job FROM batches \
               WHERE run_id = $1 AND no > $2 ORDER BY no LIMIT $3";
    let rows = pool.query(operation, sql, &[&run.as_uuid(), &after, &i64::from(limit)]).await?;
    rows.iter().map(|row| read(row).map_err(Pool::unreadable(operation))?.read(run)).collect()
}

fn read(row: &Row) -> Result<StoredBatch, tokio_postgres::Error> {
    Ok(StoredBatch {
        source: row.try_get("source")?,
        results: row.try_get("results")?,
        no: row.try_get("no")?,
        state: row.try_get("state")?,
        states: row.try_get("states")?,
        pulled_at: row.try_get("pulled_at")?,
        saved_at: row.try_get("saved_at")?,
        revision: row.try_get("revision")?,
        job: row.try_get("job")?,
    })
}
