//! Runs and their counts.

use deadpool_postgres::GenericClient;
use infill_model::row::Cause;
use infill_model::{Approval, CompiledRun, ConnectionName, Release, RunId, RunState, Timestamp};
use tokio_postgres::Row;

use super::audit;
use super::pool::{Parameter, Pool, Trouble};
use crate::audit::NewAuditEntry;
use crate::error::Error;
use crate::pause::Paused;
use crate::store::{NewRun, Parked, Progress, Run, RunFilter};
use crate::stored::{
    Immutable, Recent, StoredRun, Tally, add_warning, encode, progress_columns, released_at, signed, small,
    unsigned, wire,
};

pub(super) async fn create(pool: &Pool, run: &NewRun) -> Result<(), Error> {
    pool.call("record a run", async {
        let mut client = pool.client().await?;
        let transaction = client.transaction().await?;
        insert(&transaction, run).await?;
        Ok(transaction.commit().await?)
    })
    .await
}

/// Inside a transaction; a run that is there already stays as it is.
pub(super) async fn insert(client: &impl GenericClient, run: &NewRun) -> Result<(), Trouble> {
    let (name, connection) = (&run.plan.name, run.plan.connection.as_str());
    let (plan, cap, in_flight) = (encode(&run.plan)?, run.cap.map(signed), i64::from(run.in_flight));
    let sql = "WITH recorded AS ( \
                   INSERT INTO runs (id, plan_name, connection, plan, row_cap, in_flight, state, slice, created_at, is_dry) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING RETURNING id \
               ) INSERT INTO run_progress (run_id) SELECT id FROM recorded";
    let state = RunState::SourceSync.as_str();
    let slice = run.slice.as_ref().map(encode).transpose()?;
    let statement = client.prepare_cached(sql).await?;
    let recorded = client
        .execute(
            &statement,
            &[
                &run.id.as_uuid(),
                name,
                &connection,
                &plan,
                &cap,
                &in_flight,
                &state,
                &slice,
                &run.created_at,
                &run.is_dry,
            ],
        )
        .await?;
    if recorded > 0 {
        for entry in NewAuditEntry::of_start(run) {
            audit::insert(client, &entry).await?;
        }
    }
    Ok(())
}

/// The columns of [`stored`], and where they are; `plan` and `compiled` come first.
macro_rules! run_columns {
    () => {
        concat!(
            "id, state, cause, parked_until, parked_why, row_cap, in_flight, slice, warnings, created_at, \
             ended_at, listing, is_dry, released, touched_at, purged_at, paused_at, paused_by, since, actor, ",
            progress_columns!(),
            " FROM runs JOIN run_progress ON run_id = id LEFT JOIN paused_connections ON name = connection"
        )
    };
}

pub(super) async fn read(pool: &Pool, recent: &Recent, run: RunId) -> Result<Option<Run>, Error> {
    let known = recent.of(run);
    let (has_plan, has_compiled) = (known.plan.is_some(), known.compiled.is_some());
    let sql = concat!(
        "SELECT CASE WHEN $2 THEN NULL ELSE plan END, CASE WHEN $3 THEN NULL ELSE compiled END, ",
        run_columns!(),
        " WHERE id = $1"
    );
    let operation = "read a run";
    let row = pool.query_opt(operation, sql, &[&run.as_uuid(), &has_plan, &has_compiled]).await?;
    let Some(row) = row else { return Ok(None) };
    let run = stored(&row).map_err(Pool::unreadable(operation))?.read(known)?;
    recent.keep(&run);
    Ok(Some(run))
}

pub(super) async fn list(pool: &Pool, filter: &RunFilter) -> Result<Vec<Run>, Error> {
    let limit = (filter.limit > 0).then_some(i64::from(filter.limit));
    let sql = concat!(
        "SELECT plan, compiled, ",
        run_columns!(),
        " WHERE (NOT $1 OR ended_at IS NULL) AND ($2::text IS NULL OR plan_name = $2) \
         ORDER BY created_at DESC, id DESC LIMIT $3"
    );
    let operation = "list runs";
    let rows = pool.query(operation, sql, &[&filter.unfinished, &filter.plan_name, &limit]).await?;
    let read = |row| stored(row).map_err(Pool::unreadable(operation))?.read(Immutable::default());
    rows.iter().map(read).collect()
}

pub(super) async fn has_verified(
    pool: &Pool,
    plan_name: &str,
    connection: &ConnectionName,
) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM runs JOIN run_progress ON run_id = id \
               WHERE plan_name = $1 AND connection = $2 AND verified > 0 LIMIT 1";
    let found = pool.query_opt("look for verified rows", sql, &[&plan_name, &connection.as_str()]).await?;
    Ok(found.is_some())
}

pub(super) async fn move_to(
    pool: &Pool,
    run: RunId,
    from: &[RunState],
    to: RunState,
    cause: Option<&Cause>,
    now: Timestamp,
    entry: Option<&NewAuditEntry>,
) -> Result<bool, Error> {
    let cause = cause.map(encode).transpose()?;
    let ended_at = to.is_final().then_some(now);
    let sql = "UPDATE runs SET state = $2, cause = $3, ended_at = $4, touched_at = $5, \
               parked_until = NULL, parked_why = NULL WHERE id = $1 AND state = ANY($6)";
    let has_moved = pool
        .call("move a run", async {
            let mut client = pool.client().await?;
            let transaction = client.transaction().await?;
            let statement = transaction.prepare_cached(sql).await?;
            let parameters: [Parameter<'_>; 6] =
                [&run.as_uuid(), &to.as_str(), &cause, &ended_at, &now, &wire(from)];
            let has_moved = transaction.execute(&statement, &parameters).await? > 0;
            if let Some(entry) = entry.filter(|_| has_moved) {
                audit::insert(&transaction, entry).await?;
            }
            transaction.commit().await?;
            Ok(has_moved)
        })
        .await?;
    if !has_moved {
        must_exist(pool, run).await?;
    }
    Ok(has_moved)
}

pub(super) async fn release(
    pool: &Pool,
    run: RunId,
    from: RunState,
    to: RunState,
    approval: Option<(&Approval, &NewAuditEntry)>,
    now: Timestamp,
) -> Result<bool, Error> {
    let (approval, entry) = approval.unzip();
    pool.call("release a run", async {
        let mut client = pool.client().await?;
        let transaction = client.transaction().await?;
        let id = run.as_uuid();
        // The batches before the run, as a save does.
        transaction
            .execute("SELECT 1 FROM batches WHERE run_id = $1 AND state = 'previewed' ORDER BY no FOR UPDATE", &[&id])
            .await?;
        let stands = "SELECT state, batches_settled, refused FROM runs JOIN run_progress ON run_id = id \
                      WHERE id = $1 FOR UPDATE";
        let stands = transaction.query_opt(stands, &[&id]).await?.ok_or(Error::NoSuchRun(run))?;
        if stands.try_get::<_, &str>(0)? != from.as_str() {
            return Ok(false);
        }
        let (batches_settled, refused) = (small(stands.try_get(1)?), unsigned(stands.try_get(2)?));
        let release = encode(&Release { at: now, approval: approval.cloned(), batches_settled, refused })?;
        let reopen = "UPDATE batches SET state = 'pending', claimed_by = NULL, claimed_at = NULL, touched_at = NULL \
                      WHERE run_id = $1 AND state = 'previewed'";
        transaction.execute(reopen, &[&id]).await?;
        let count = "UPDATE run_progress SET batches_previewed = 0, saved_at = NULL WHERE run_id = $1";
        transaction.execute(count, &[&id]).await?;
        let go_on = "UPDATE runs SET state = $2, released = $3, cause = NULL, ended_at = NULL, touched_at = $4, \
                     parked_until = NULL, parked_why = NULL WHERE id = $1";
        transaction.execute(go_on, &[&id, &to.as_str(), &release, &released_at(to, now)]).await?;
        if let Some(entry) = entry {
            audit::insert(&transaction, entry).await?;
        }
        transaction.commit().await?;
        Ok(true)
    })
    .await
}

pub(super) async fn park(pool: &Pool, run: RunId, parked: Option<&Parked>) -> Result<(), Error> {
    let until = parked.map(|parked| parked.until);
    let why = parked.map(|parked| encode(&parked.why)).transpose()?;
    let sql = "UPDATE runs SET parked_until = $2, parked_why = $3 WHERE id = $1";
    found(run, pool.execute("park a run", sql, &[&run.as_uuid(), &until, &why]).await?)
}

pub(super) async fn warn(pool: &Pool, run: RunId, warning: &str) -> Result<(), Error> {
    pool.call("add a warning to a run", async {
        let mut client = pool.client().await?;
        let transaction = client.transaction().await?;
        let id = run.as_uuid();
        let known = transaction
            .query_opt("SELECT warnings FROM runs WHERE id = $1 FOR UPDATE", &[&id])
            .await?
            .ok_or(Error::NoSuchRun(run))?;
        if let Some(warnings) = add_warning(run, known.try_get(0)?, warning)? {
            transaction.execute("UPDATE runs SET warnings = $2 WHERE id = $1", &[&id, &warnings]).await?;
        }
        Ok(transaction.commit().await?)
    })
    .await
}

pub(super) async fn add_calls(pool: &Pool, run: RunId, calls: u64) -> Result<(), Error> {
    let sql = "UPDATE run_progress SET calls = calls + $2 WHERE run_id = $1";
    found(run, pool.execute("count calls", sql, &[&run.as_uuid(), &signed(calls)]).await?)
}

pub(super) async fn save_compiled(pool: &Pool, run: RunId, compiled: &CompiledRun) -> Result<(), Error> {
    let sql = "UPDATE runs SET compiled = coalesce(compiled, $2) WHERE id = $1";
    found(run, pool.execute("keep a compiled run", sql, &[&run.as_uuid(), &encode(compiled)?]).await?)
}

pub(super) async fn progress(pool: &Pool, run: RunId) -> Result<Progress, Error> {
    let sql = concat!("SELECT ", progress_columns!(), " FROM run_progress WHERE run_id = $1");
    let operation = "read the counts of a run";
    let row = pool.query_opt(operation, sql, &[&run.as_uuid()]).await?.ok_or(Error::NoSuchRun(run))?;
    Ok(tally(&row, 0).map_err(Pool::unreadable(operation))?.into())
}

/// A run that a statement did not change must at least be there.
pub(super) async fn must_exist(pool: &Pool, run: RunId) -> Result<(), Error> {
    let found =
        pool.query_opt("look for a run", "SELECT 1 FROM runs WHERE id = $1", &[&run.as_uuid()]).await?;
    found.map(|_| ()).ok_or(Error::NoSuchRun(run))
}

/// An update of a run that must exist.
pub(super) const fn found(run: RunId, changed: u64) -> Result<(), Error> {
    if changed == 0 { Err(Error::NoSuchRun(run)) } else { Ok(()) }
}

/// A run id in a column.
pub(super) fn id(row: &Row, column: usize) -> Result<RunId, tokio_postgres::Error> {
    row.try_get(column).map(RunId::from_uuid)
}

/// [`progress_columns`] from `first` on.
pub(super) fn tally(row: &Row, first: usize) -> Result<Tally, tokio_postgres::Error> {
    let number = |offset: usize| row.try_get::<_, i64>(first.saturating_add(offset));
    Ok(Tally {
        ids: number(0)?,
        chunks: number(1)?,
        chunks_read: number(2)?,
        listed: row.try_get(first.saturating_add(3))?,
        rows: number(4)?,
        batches: number(5)?,
        queued: number(6)?,
        ran: number(7)?,
        settled: number(8)?,
        counts: [
            number(9)?,
            number(10)?,
            number(11)?,
            number(12)?,
            number(13)?,
            number(14)?,
            number(15)?,
            number(16)?,
            number(17)?,
            number(18)?,
            number(19)?,
            number(20)?,
        ],
        calls: number(21)?,
        same: number(22)?,
        previewed: number(23)?,
    })
}

fn stored(row: &Row) -> Result<StoredRun, tokio_postgres::Error> {
    Ok(StoredRun {
        plan: row.try_get(0)?,
        compiled: row.try_get(1)?,
        id: id(row, 2)?,
        state: row.try_get(3)?,
        cause: row.try_get(4)?,
        parked_until: row.try_get(5)?,
        parked_why: row.try_get(6)?,
        cap: row.try_get(7)?,
        in_flight: row.try_get(8)?,
        slice: row.try_get(9)?,
        warnings: row.try_get(10)?,
        created_at: row.try_get(11)?,
        ended_at: row.try_get(12)?,
        listing: row.try_get(13)?,
        is_dry: row.try_get(14)?,
        released: row.try_get(15)?,
        touched_at: row.try_get(16)?,
        purged_at: row.try_get(17)?,
        paused: Paused::read(row.try_get(18)?, row.try_get(19)?),
        connection_paused: Paused::read(row.try_get(20)?, row.try_get(21)?),
        progress: tally(row, 22)?.into(),
    })
}
