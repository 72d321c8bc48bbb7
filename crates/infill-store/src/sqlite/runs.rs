//! Runs and their counts.

use infill_model::row::Cause;
use infill_model::{Approval, CompiledRun, ConnectionName, Release, RunId, RunState, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::audit;
use super::connections::{Connections, Trouble, micros, moment};
use crate::audit::NewAuditEntry;
use crate::commit::Commit;
use crate::error::Error;
use crate::pause::Paused;
use crate::store::{NewRun, Parked, Progress, Run, RunFilter};
use crate::stored::{
    Immutable, Recent, StoredRun, Tally, add_warning, encode, progress_columns, released_at, signed,
    unsigned, wire,
};

pub(super) async fn create(connections: &Connections, run: &NewRun) -> Result<(), Error> {
    let recorded = Recorded::new(run)?;
    connections.write("record a run", Commit::Durable, move |store| Ok(recorded.insert(store)?)).await
}

/// A run as it is recorded.
pub(super) struct Recorded {
    id: String,
    plan_name: String,
    connection: String,
    plan: String,
    cap: Option<i64>,
    in_flight: u32,
    slice: Option<String>,
    is_dry: bool,
    created_at: i64,
    entries: Vec<NewAuditEntry>,
}

impl Recorded {
    pub(super) fn new(run: &NewRun) -> Result<Self, Error> {
        Ok(Self {
            id: run.id.to_string(),
            plan_name: run.plan.name.clone(),
            connection: run.plan.connection.to_string(),
            plan: encode(&run.plan)?,
            cap: run.cap.map(signed),
            in_flight: run.in_flight,
            slice: run.slice.as_ref().map(encode).transpose()?,
            is_dry: run.is_dry,
            created_at: micros(run.created_at),
            entries: NewAuditEntry::of_start(run),
        })
    }

    /// Inside whatever transaction is open; a run that is there already stays as it is.
    pub(super) fn insert(&self, store: &Connection) -> rusqlite::Result<()> {
        let recorded = store
            .prepare_cached(
                "INSERT INTO runs (id, plan_name, connection, plan, row_cap, in_flight, state, slice, is_dry, created_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (id) DO NOTHING",
            )?
            .execute(params![
                self.id,
                self.plan_name,
                self.connection,
                self.plan,
                self.cap,
                self.in_flight,
                RunState::SourceSync.as_str(),
                self.slice,
                self.is_dry,
                self.created_at
            ])?;
        if recorded > 0 {
            store.prepare_cached("INSERT INTO run_progress (run_id) VALUES (?1)")?.execute([&self.id])?;
            self.entries.iter().try_for_each(|entry| audit::insert(store, entry))?;
        }
        Ok(())
    }
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

pub(super) async fn read(
    connections: &Connections,
    recent: &Recent,
    run: RunId,
) -> Result<Option<Run>, Error> {
    let known = recent.of(run);
    let (has_plan, has_compiled) = (known.plan.is_some(), known.compiled.is_some());
    let found = connections
        .read("read a run", move |store| {
            let sql = concat!(
                "SELECT CASE WHEN ?2 THEN NULL ELSE plan END, CASE WHEN ?3 THEN NULL ELSE compiled END, ",
                run_columns!(),
                " WHERE id = ?1"
            );
            let found = store
                .prepare_cached(sql)?
                .query_row(params![run.to_string(), has_plan, has_compiled], |row| stored(row, run))
                .optional()?;
            Ok(found)
        })
        .await?;
    let Some(found) = found else { return Ok(None) };
    let run = found.read(known)?;
    recent.keep(&run);
    Ok(Some(run))
}

pub(super) async fn list(connections: &Connections, filter: &RunFilter) -> Result<Vec<Run>, Error> {
    let RunFilter { unfinished, plan_name, limit } = filter.clone();
    // SQLite takes a negative limit as none.
    let limit = if limit == 0 { -1 } else { i64::from(limit) };
    let found = connections
        .read("list runs", move |store| {
            let sql = concat!(
                "SELECT plan, compiled, ",
                run_columns!(),
                " WHERE (NOT ?1 OR ended_at IS NULL) AND (?2 IS NULL OR plan_name = ?2) \
                 ORDER BY created_at DESC, id DESC LIMIT ?3"
            );
            let mut statement = store.prepare_cached(sql)?;
            let mut rows = statement.query(params![unfinished, plan_name, limit])?;
            let mut runs = Vec::new();
            while let Some(row) = rows.next()? {
                runs.push(stored(row, id(row, 2)?)?);
            }
            Ok(runs)
        })
        .await?;
    found.into_iter().map(|run| run.read(Immutable::default())).collect()
}

pub(super) async fn has_verified(
    connections: &Connections,
    plan_name: &str,
    connection: &ConnectionName,
) -> Result<bool, Error> {
    let (plan_name, connection) = (plan_name.to_owned(), connection.to_string());
    connections
        .read("look for verified rows", move |store| {
            let sql = "SELECT EXISTS (SELECT 1 FROM runs JOIN run_progress ON run_id = id \
                       WHERE plan_name = ?1 AND connection = ?2 AND verified > 0)";
            Ok(store.prepare_cached(sql)?.query_row([plan_name, connection], |row| row.get(0))?)
        })
        .await
}

pub(super) async fn move_to(
    connections: &Connections,
    run: RunId,
    from: &[RunState],
    to: RunState,
    cause: Option<&Cause>,
    now: Timestamp,
    entry: Option<&NewAuditEntry>,
) -> Result<bool, Error> {
    let from = wire(from);
    let entry = entry.cloned();
    let cause = cause.map(encode).transpose()?;
    connections
        .write("move a run", Commit::Durable, move |store| {
            let id = run.to_string();
            let state: Option<String> = store
                .prepare_cached("SELECT state FROM runs WHERE id = ?1")?
                .query_row([&id], |row| row.get(0))
                .optional()?;
            let state = state.ok_or(Error::NoSuchRun(run))?;
            if !from.contains(&state.as_str()) {
                return Ok(false);
            }
            store
                .prepare_cached(
                    "UPDATE runs SET state = ?2, cause = ?3, ended_at = ?4, touched_at = ?5, \
                     parked_until = NULL, parked_why = NULL WHERE id = ?1",
                )?
                .execute(params![id, to.as_str(), cause, to.is_final().then(|| micros(now)), micros(now)])?;
            entry.iter().try_for_each(|entry| audit::insert(store, entry))?;
            Ok(true)
        })
        .await
}

pub(super) async fn release(
    connections: &Connections,
    run: RunId,
    from: RunState,
    to: RunState,
    approval: Option<(&Approval, &NewAuditEntry)>,
    now: Timestamp,
) -> Result<bool, Error> {
    let (approval, entry) = approval.map(|(approval, entry)| (approval.clone(), entry.clone())).unzip();
    connections
        .write("release a run", Commit::Durable, move |store| {
            let id = run.to_string();
            let stands: Option<(String, u32, i64)> = store
                .prepare_cached(
                    "SELECT state, batches_settled, refused FROM runs JOIN run_progress ON run_id = id WHERE id = ?1",
                )?
                .query_row([&id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional()?;
            let (state, batches_settled, refused) = stands.ok_or(Error::NoSuchRun(run))?;
            if state != from.as_str() {
                return Ok(false);
            }
            let release = Release { at: now, approval, batches_settled, refused: unsigned(refused) };
            store
                .prepare_cached(
                    "UPDATE batches SET state = 'pending', claimed_by = NULL, claimed_at = NULL, touched_at = NULL \
                     WHERE run_id = ?1 AND state = 'previewed'",
                )?
                .execute([&id])?;
            store
                .prepare_cached("UPDATE run_progress SET batches_previewed = 0, saved_at = NULL WHERE run_id = ?1")?
                .execute([&id])?;
            let touched_at = released_at(to, now).map(micros);
            store
                .prepare_cached(
                    "UPDATE runs SET state = ?2, released = ?3, cause = NULL, ended_at = NULL, touched_at = ?4, \
                     parked_until = NULL, parked_why = NULL WHERE id = ?1",
                )?
                .execute(params![id, to.as_str(), encode(&release)?, touched_at])?;
            entry.iter().try_for_each(|entry| audit::insert(store, entry))?;
            Ok(true)
        })
        .await
}

pub(super) async fn park(
    connections: &Connections,
    run: RunId,
    parked: Option<&Parked>,
) -> Result<(), Error> {
    let until = parked.map(|parked| micros(parked.until));
    let why = parked.map(|parked| encode(&parked.why)).transpose()?;
    connections
        .write("park a run", Commit::Ordered, move |store| {
            let sql = "UPDATE runs SET parked_until = ?2, parked_why = ?3 WHERE id = ?1";
            let parked = store.prepare_cached(sql)?.execute(params![run.to_string(), until, why])?;
            found(run, parked)
        })
        .await
}

pub(super) async fn warn(connections: &Connections, run: RunId, warning: &str) -> Result<(), Error> {
    let warning = warning.to_owned();
    connections
        .write("add a warning to a run", Commit::Ordered, move |store| {
            let id = run.to_string();
            let known: Option<String> = store
                .prepare_cached("SELECT warnings FROM runs WHERE id = ?1")?
                .query_row([&id], |row| row.get(0))
                .optional()?;
            if let Some(warnings) = add_warning(run, &known.ok_or(Error::NoSuchRun(run))?, &warning)? {
                let sql = "UPDATE runs SET warnings = ?2 WHERE id = ?1";
                store.prepare_cached(sql)?.execute([id, warnings])?;
            }
            Ok(())
        })
        .await
}

pub(super) async fn add_calls(connections: &Connections, run: RunId, calls: u64) -> Result<(), Error> {
    connections
        .write("count calls", Commit::Ordered, move |store| {
            let sql = "UPDATE run_progress SET calls = calls + ?2 WHERE run_id = ?1";
            found(run, store.prepare_cached(sql)?.execute(params![run.to_string(), signed(calls)])?)
        })
        .await
}

pub(super) async fn save_compiled(
    connections: &Connections,
    run: RunId,
    compiled: &CompiledRun,
) -> Result<(), Error> {
    let compiled = encode(compiled)?;
    connections
        .write("keep a compiled run", Commit::Ordered, move |store| {
            let sql = "UPDATE runs SET compiled = coalesce(compiled, ?2) WHERE id = ?1";
            found(run, store.prepare_cached(sql)?.execute(params![run.to_string(), compiled])?)
        })
        .await
}

pub(super) async fn progress(connections: &Connections, run: RunId) -> Result<Progress, Error> {
    connections.read("read the counts of a run", move |store| read_progress(store, run)).await
}

/// The counts of a run, inside whatever transaction is open.
pub(super) fn read_progress(store: &Connection, run: RunId) -> Result<Progress, Trouble> {
    let sql = concat!("SELECT ", progress_columns!(), " FROM run_progress WHERE run_id = ?1");
    let counts = store.prepare_cached(sql)?.query_row([run.to_string()], |row| tally(row, 0)).optional()?;
    Ok(counts.ok_or(Error::NoSuchRun(run))?.into())
}

/// An update of a run that must exist.
pub(super) fn found(run: RunId, changed: usize) -> Result<(), Trouble> {
    if changed == 0 { Err(Error::NoSuchRun(run).into()) } else { Ok(()) }
}

/// A run id in a column.
pub(super) fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<RunId> {
    let text: String = row.get(column)?;
    text.parse().map_err(|e| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(e))
    })
}

/// [`progress_columns`] from `first` on.
pub(super) fn tally(row: &Row<'_>, first: usize) -> rusqlite::Result<Tally> {
    let mut columns = first..;
    let mut next = || row.get::<_, i64>(columns.next().unwrap_or_default());
    Ok(Tally {
        ids: next()?,
        chunks: next()?,
        chunks_read: next()?,
        listed: next()? != 0,
        rows: next()?,
        batches: next()?,
        queued: next()?,
        ran: next()?,
        settled: next()?,
        counts: [
            next()?,
            next()?,
            next()?,
            next()?,
            next()?,
            next()?,
            next()?,
            next()?,
            next()?,
            next()?,
            next()?,
            next()?,
        ],
        calls: next()?,
        same: next()?,
        previewed: next()?,
    })
}

fn stored(row: &Row<'_>, id: RunId) -> rusqlite::Result<StoredRun> {
    let at = |column| row.get::<_, Option<i64>>(column).map(|micros| micros.map(moment));
    Ok(StoredRun {
        id,
        plan: row.get(0)?,
        compiled: row.get(1)?,
        state: row.get(3)?,
        cause: row.get(4)?,
        parked_until: at(5)?,
        parked_why: row.get(6)?,
        cap: row.get(7)?,
        in_flight: row.get(8)?,
        slice: row.get(9)?,
        warnings: row.get(10)?,
        created_at: moment(row.get(11)?),
        ended_at: at(12)?,
        listing: row.get(13)?,
        is_dry: row.get(14)?,
        released: row.get(15)?,
        touched_at: at(16)?,
        purged_at: at(17)?,
        paused: Paused::read(at(18)?, row.get(19)?),
        connection_paused: Paused::read(at(20)?, row.get(21)?),
        progress: tally(row, 22)?.into(),
    })
}
