//! Batches: leases that fence, and saves that count by difference.

use infill_model::seen::MemoryKey;
use infill_model::{BatchNo, RunId, Timestamp};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::connections::{Connections, Trouble, micros, moment};
use super::runs::tally;
use super::{letters, seen};
use crate::commit::Commit;
use crate::error::Error;
use crate::page::{write_produced, write_states};
use crate::store::{Batch, BatchSave, BatchState, Lease, Leased, Saved};
use crate::stored::{self, Counted, LetterColumns, MemoryColumns, StoredBatch, progress_columns, signed};

pub(super) async fn break_leases(connections: &Connections, run: RunId) -> Result<(), Error> {
    connections
        .write("break leases", Commit::Ordered, move |store| {
            let sql = "UPDATE batches SET lease_owner = NULL, lease_until = NULL \
                       WHERE run_id = ?1 AND lease_owner IS NOT NULL";
            store.prepare_cached(sql)?.execute([run.to_string()])?;
            Ok(())
        })
        .await
}

pub(super) async fn lease(
    connections: &Connections,
    run: RunId,
    batch: BatchNo,
    lease: Lease,
    take_over: bool,
    known: Option<u64>,
    now: Timestamp,
) -> Result<Leased, Error> {
    connections
        .write("lease a batch", Commit::Ordered, move |store| {
            let key = params![
                run.to_string(),
                batch.0,
                lease.owner.cast_signed(),
                micros(lease.until),
                micros(now),
                take_over
            ];
            let taken = store
                .prepare_cached(
                    "UPDATE batches SET lease_owner = ?3, lease_until = ?4, touched_at = ?5 \
                     WHERE run_id = ?1 AND no = ?2 \
                     AND (?6 OR lease_until IS NULL OR lease_until <= ?5 OR lease_owner = ?3)",
                )?
                .execute(key)?;
            if taken > 0 {
                if let Some(known) = known
                    && revision(store, run, batch)? == Some(signed(known))
                {
                    return Ok(Leased::AsKnown);
                }
                let sql = concat!(batch_query!(), " WHERE run_id = ?1 AND no = ?2");
                let batch = store.prepare_cached(sql)?.query_row(params![run.to_string(), batch.0], read)?;
                return Ok(Leased::Yours(batch.read(run)?));
            }
            let until: Option<Option<i64>> = store
                .prepare_cached("SELECT lease_until FROM batches WHERE run_id = ?1 AND no = ?2")?
                .query_row(params![run.to_string(), batch.0], |row| row.get(0))
                .optional()?;
            Ok(until.map_or(Leased::Missing, |until| Leased::Busy { until: until.map_or(now, moment) }))
        })
        .await
}

fn revision(store: &Transaction<'_>, run: RunId, batch: BatchNo) -> rusqlite::Result<Option<i64>> {
    store
        .prepare_cached("SELECT revision FROM batches WHERE run_id = ?1 AND no = ?2")?
        .query_row(params![run.to_string(), batch.0], |row| row.get(0))
        .optional()
}

/// What a save changes, ready for the statements.
struct Change {
    state: BatchState,
    produced: Option<String>,
    states: String,
    counts: Counted,
    keep_lease: bool,
    letters: LetterColumns,
    memory: Option<(MemoryKey, MemoryColumns)>,
    calls: i64,
    now: i64,
}

pub(super) async fn save(
    connections: &Connections,
    run: RunId,
    batch: BatchNo,
    lease: Lease,
    save: &BatchSave<'_>,
) -> Result<Saved, Error> {
    let change = Change {
        state: save.state,
        produced: save.has_produced.then(|| write_produced(save.results)).transpose()?,
        states: write_states(save.results)?,
        counts: stored::tally(save.results),
        keep_lease: save.keep_lease,
        letters: LetterColumns::new(save.letters)?,
        memory: save.memory.map(|(key, learnt)| (key.clone(), MemoryColumns::new(learnt))),
        calls: signed(save.calls),
        now: micros(save.now),
    };
    let commit = Commit::of_save(save.results);
    connections
        .write("save a batch", commit, move |store| save_change(store, run, batch, lease, &change))
        .await
}

fn save_change(
    store: &Transaction<'_>,
    run: RunId,
    batch: BatchNo,
    lease: Lease,
    change: &Change,
) -> Result<Saved, Trouble> {
    let key = run.to_string();
    let held: Option<(Held, bool)> = store
        .prepare_cached(concat!(
            "SELECT ",
            held_columns!(),
            ", states = ?4 FROM batches b WHERE run_id = ?1 AND no = ?2 AND lease_owner = ?3"
        ))?
        .query_row(params![key, batch.0, lease.owner.cast_signed(), change.states], |row| {
            Ok((Held::read(row)?, row.get(15)?))
        })
        .optional()?;
    let Some((held, stands_alike)) = held else { return Ok(Saved::LeaseLost) };
    let repeated = held.saved_at == Some(change.now)
        && held.state == change.state.as_str()
        && stands_alike
        && has_produced(store, held.id, change)?;
    let [
        verified,
        written,
        unchanged,
        skipped,
        held_back,
        differs,
        failed,
        gone,
        by_read,
        by_age,
        intended,
        refused,
    ] = change.counts;
    store
        .prepare_cached(
            "UPDATE batches SET state = ?2, touched_at = ?3, saved_at = ?3, lease_until = ?4, verified = ?5, \
             written = ?6, unchanged = ?7, skipped = ?8, held = ?9, differs = ?10, failed = ?11, gone = ?12, \
             states = ?13, guarded_by_read = ?14, guarded_by_age = ?15, intended = ?16, refused = ?17, \
             revision = revision + 1 WHERE id = ?1",
        )?
        .execute(params![
            held.id,
            change.state.as_str(),
            change.now,
            change.keep_lease.then(|| micros(lease.until)),
            verified,
            written,
            unchanged,
            skipped,
            held_back,
            differs,
            failed,
            gone,
            change.states,
            by_read,
            by_age,
            intended,
            refused
        ])?;
    if !repeated {
        if let Some(produced) = &change.produced {
            store
                .prepare_cached(
                    "INSERT INTO result_pages (batch_id, page) VALUES (?1, ?2) \
                     ON CONFLICT (batch_id) DO UPDATE SET page = excluded.page",
                )?
                .execute(params![held.id, produced])?;
        }
        letters::insert(store, &key, batch, &change.letters, change.now)?;
        if let Some((memory, columns)) = &change.memory {
            seen::learn(store, memory, columns, &key)?;
        }
    }
    let difference = Difference {
        from: &held.state,
        to: change.state.as_str(),
        counts: stored::moved(held.counts, change.counts),
        calls: if repeated { 0 } else { change.calls },
        saved_at: Some(change.now),
    };
    Ok(Saved::Yes(difference.add(store, &key)?))
}

/// Whether what a change produced is stored to the letter.
fn has_produced(store: &Transaction<'_>, batch_id: i64, change: &Change) -> rusqlite::Result<bool> {
    let Some(produced) = &change.produced else { return Ok(true) };
    let same = store
        .prepare_cached("SELECT page = ?2 FROM result_pages WHERE batch_id = ?1")?
        .query_row(params![batch_id, produced], |row| row.get(0))
        .optional()?;
    Ok(same.unwrap_or(false))
}

/// A batch as its holder left it.
pub(super) struct Held {
    pub(super) id: i64,
    pub(super) state: String,
    pub(super) saved_at: Option<i64>,
    pub(super) counts: Counted,
}

/// The columns of [`Held`], 15 of them.
macro_rules! held_columns {
    () => {
        "b.id, state, saved_at, verified, written, unchanged, skipped, held, differs, failed, gone, \
         guarded_by_read, guarded_by_age, intended, refused"
    };
}
pub(super) use held_columns;

impl Held {
    /// Reads [`held_columns`].
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let mut counts = Counted::default();
        for (column, slot) in (3..).zip(&mut counts) {
            *slot = row.get(column)?;
        }
        Ok(Self { id: row.get(0)?, state: row.get(1)?, saved_at: row.get(2)?, counts })
    }
}

/// How the counts of a run change with one batch.
pub(super) struct Difference<'a> {
    pub(super) from: &'a str,
    pub(super) to: &'static str,
    pub(super) counts: Counted,
    pub(super) calls: i64,
    pub(super) saved_at: Option<i64>,
}

impl Difference<'_> {
    /// Adds it to the counts; gives them as they are then.
    pub(super) fn add(&self, store: &Transaction<'_>, run: &str) -> Result<crate::store::Progress, Trouble> {
        let state =
            |state: BatchState| i64::from(self.to == state.as_str()) - i64::from(self.from == state.as_str());
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
        ] = self.counts;
        let sql = concat!(
            "UPDATE run_progress SET batches_queued = batches_queued + ?2, batches_ran = batches_ran + ?3, \
             batches_settled = batches_settled + ?4, verified = verified + ?5, written = written + ?6, \
             unchanged = unchanged + ?7, skipped = skipped + ?8, held = held + ?9, differs = differs + ?10, \
             failed = failed + ?11, gone = gone + ?12, calls = calls + ?13, saved_at = coalesce(?14, saved_at), \
             guarded_by_read = guarded_by_read + ?15, guarded_by_age = guarded_by_age + ?16, \
             batches_previewed = batches_previewed + ?17, intended = intended + ?18, refused = refused + ?19 \
             WHERE run_id = ?1 RETURNING ",
            progress_columns!()
        );
        let counts = store.prepare_cached(sql)?.query_row(
            params![
                run,
                state(BatchState::Queued),
                state(BatchState::Ran),
                state(BatchState::Settled),
                verified,
                written,
                unchanged,
                skipped,
                held,
                differs,
                failed,
                gone,
                self.calls,
                self.saved_at,
                by_read,
                by_age,
                state(BatchState::Previewed),
                intended,
                refused
            ],
            |row| tally(row, 0),
        )?;
        Ok(counts.into())
    }
}

pub(super) async fn keep_job(
    connections: &Connections,
    run: RunId,
    batch: BatchNo,
    lease: Lease,
    job: Option<&str>,
) -> Result<bool, Error> {
    let job = job.map(str::to_owned);
    connections
        .write("keep a job", Commit::Durable, move |store| {
            let sql = "UPDATE batches SET job = ?4 WHERE run_id = ?1 AND no = ?2 AND lease_owner = ?3";
            let held = params![run.to_string(), batch.0, lease.owner.cast_signed(), job];
            Ok(store.prepare_cached(sql)?.execute(held)? > 0)
        })
        .await
}

pub(super) async fn job(
    connections: &Connections,
    run: RunId,
    batch: BatchNo,
) -> Result<Option<String>, Error> {
    connections
        .read("read a job", move |store| {
            let sql = "SELECT job FROM batches WHERE run_id = ?1 AND no = ?2";
            let found: Option<Option<String>> = store
                .prepare_cached(sql)?
                .query_row(params![run.to_string(), batch.0], |row| row.get(0))
                .optional()?;
            Ok(found.flatten())
        })
        .await
}

pub(super) async fn list(
    connections: &Connections,
    run: RunId,
    after: Option<BatchNo>,
    limit: u32,
) -> Result<Vec<Batch>, Error> {
    let after = after.map_or(-1, |no| i64::from(no.0));
    connections
        .read("list batches", move |store| {
            let sql = concat!(batch_query!(), " WHERE run_id = ?1 AND no > ?2 ORDER BY no LIMIT ?3");
            let mut statement = store.prepare_cached(sql)?;
            let mut rows = statement.query(params![run.to_string(), after, limit])?;
            let mut batches = Vec::new();
            while let Some(row) = rows.next()? {
                batches.push(read(row)?.read(run)?);
            }
            Ok(batches)
        })
        .await
}

/// The columns that [`read`] reads.
macro_rules! batch_query {
    () => {
        "SELECT no, state, s.page, coalesce(r.page, '[]'), states, pulled_at, revision, job, saved_at FROM batches b \
         JOIN source_pages s ON s.batch_id = b.id LEFT JOIN result_pages r ON r.batch_id = b.id"
    };
}
use batch_query;

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<StoredBatch> {
    Ok(StoredBatch {
        no: row.get(0)?,
        state: row.get(1)?,
        source: row.get(2)?,
        results: row.get(3)?,
        states: row.get(4)?,
        pulled_at: moment(row.get(5)?),
        revision: row.get(6)?,
        job: row.get(7)?,
        saved_at: row.get::<_, Option<i64>>(8)?.map(moment),
    })
}
