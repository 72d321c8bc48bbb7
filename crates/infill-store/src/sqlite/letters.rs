//! Dead letters: listed, reopened, discarded.

use std::collections::HashSet;

use infill_model::{BatchNo, RecordId, RunId, Timestamp};
use rusqlite::{OptionalExtension, ToSql, Transaction, params};

use super::batches::{Difference, Held, held_columns};
use super::connections::{Connections, Trouble, micros, moment};
use super::runs::id;
use crate::commit::Commit;
use crate::error::Error;
use crate::page::{write_produced, write_states};
use crate::store::{BatchState, Letter, LetterFilter};
use crate::stored::{self, StoredLetter, reopen_rows, result_page, source_page, unsigned};

/// The condition of a filter over parameters 1 to 4.
macro_rules! matches_filter {
    () => {
        "(?1 IS NULL OR id = ?1) AND (?2 IS NULL OR run_id = ?2) AND (?3 IS NULL OR code = ?3) \
         AND (?4 IS NULL OR status = ?4)"
    };
}

/// A filter as parameters.
struct Parameters {
    id: Option<i64>,
    run: Option<String>,
    code: Option<String>,
    status: Option<&'static str>,
}

impl Parameters {
    fn new(filter: &LetterFilter) -> Self {
        Self {
            id: filter.id,
            run: filter.run.map(|run| run.to_string()),
            code: filter.code.clone(),
            status: filter.status.map(|status| status.as_str()),
        }
    }

    fn and<'a>(&'a self, more: &'a [&'a dyn ToSql]) -> Vec<&'a dyn ToSql> {
        let own: [&dyn ToSql; 4] = [&self.id, &self.run, &self.code, &self.status];
        own.into_iter().chain(more.iter().copied()).collect()
    }
}

pub(super) async fn list(
    connections: &Connections,
    filter: &LetterFilter,
    after: Option<i64>,
    limit: u32,
) -> Result<Vec<Letter>, Error> {
    let filter = Parameters::new(filter);
    connections
        .read("list dead letters", move |store| {
            let mut statement = store.prepare_cached(concat!(
                "SELECT id, run_id, batch_no, letter, attempts, status, first_at, last_at FROM letters WHERE ",
                matches_filter!(),
                " AND id > ?5 ORDER BY id LIMIT ?6"
            ))?;
            let mut rows = statement.query(&*filter.and(&[&after.unwrap_or(0), &limit]))?;
            let mut letters = Vec::new();
            while let Some(row) = rows.next()? {
                let letter = StoredLetter {
                    id: row.get(0)?,
                    run: id(row, 1)?,
                    batch: row.get(2)?,
                    letter: row.get(3)?,
                    attempts: row.get(4)?,
                    status: row.get(5)?,
                    first_at: moment(row.get(6)?),
                    last_at: moment(row.get(7)?),
                };
                letters.push(letter.read()?);
            }
            Ok(letters)
        })
        .await
}

pub(super) async fn count(connections: &Connections, filter: &LetterFilter) -> Result<u64, Error> {
    let filter = Parameters::new(filter);
    connections
        .read("count dead letters", move |store| {
            let sql = concat!("SELECT count(*) FROM letters WHERE ", matches_filter!());
            let n: i64 = store.prepare_cached(sql)?.query_row(&*filter.and(&[]), |row| row.get(0))?;
            Ok(unsigned(n))
        })
        .await
}

pub(super) async fn discard(
    connections: &Connections,
    filter: &LetterFilter,
    now: Timestamp,
) -> Result<u64, Error> {
    let filter = Parameters::new(filter);
    connections
        .write("discard dead letters", Commit::Durable, move |store| {
            let sql = concat!(
                "UPDATE letters SET status = 'discarded', last_at = ?5 WHERE status = 'open' AND ",
                matches_filter!()
            );
            let n = store.prepare_cached(sql)?.execute(&*filter.and(&[&micros(now)]))?;
            Ok(u64::try_from(n).unwrap_or(u64::MAX))
        })
        .await
}

pub(super) async fn reopen(
    connections: &Connections,
    run: RunId,
    batch: BatchNo,
    letters: &[i64],
    now: Timestamp,
) -> Result<u64, Error> {
    let letters = letters.to_vec();
    connections
        .write("reopen rows", Commit::Durable, move |store| {
            let key = run.to_string();
            if !can_reopen(store, run, &key)? {
                return Ok(0);
            }
            let records = retry_letters(store, &key, batch, &letters, micros(now))?;
            if records.is_empty() {
                return Ok(0);
            }
            store
                .prepare_cached(
                    "UPDATE runs SET cause = NULL, parked_until = NULL, parked_why = NULL, ended_at = NULL, \
                     touched_at = ?2, state = CASE WHEN state = 'stopped' AND ?3 = 0 AND (\
                         SELECT batches_queued + batches_ran + batches_settled FROM run_progress \
                         WHERE run_id = ?1) = 1 THEN 'canary' ELSE 'running' END WHERE id = ?1",
                )?
                .execute(params![key, micros(now), batch.0])?;
            reopen_batch(store, run, &key, batch, &records)
        })
        .await
}

fn can_reopen(store: &Transaction<'_>, run: RunId, key: &str) -> Result<bool, Trouble> {
    let open: Option<bool> = store
        .prepare_cached("SELECT state IN ('completed', 'stopped', 'running') AND purged_at IS NULL FROM runs WHERE id = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?;
    Ok(open.ok_or(Error::NoSuchRun(run))?)
}

/// Marks those of the letters that are open and of this batch; gives their records.
fn retry_letters(
    store: &Transaction<'_>,
    run: &str,
    batch: BatchNo,
    letters: &[i64],
    now: i64,
) -> Result<HashSet<RecordId>, Trouble> {
    let mut statement = store.prepare_cached(
        "UPDATE letters SET status = 'retried', last_at = ?4 \
         WHERE id = ?3 AND run_id = ?1 AND batch_no = ?2 AND status = 'open' RETURNING record",
    )?;
    let mut records = HashSet::new();
    for letter in letters {
        let record: Option<String> =
            statement.query_row(params![run, batch.0, letter, now], |row| row.get(0)).optional()?;
        records.extend(record.map(RecordId::from));
    }
    Ok(records)
}

fn reopen_batch(
    store: &Transaction<'_>,
    run: RunId,
    key: &str,
    batch: BatchNo,
    records: &HashSet<RecordId>,
) -> Result<u64, Trouble> {
    let (held, source, produced, states): (Held, String, String, String) = store
        .prepare_cached(
            concat!(
                "SELECT ",
                held_columns!(),
                ", s.page, coalesce(r.page, '[]'), states FROM batches b JOIN source_pages s ON s.batch_id = b.id \
                 LEFT JOIN result_pages r ON r.batch_id = b.id WHERE run_id = ?1 AND no = ?2"
            ),
        )?
        .query_row(params![key, batch.0], |row| {
            Ok((Held::read(row)?, row.get(13)?, row.get(14)?, row.get(15)?))
        })?;
    let rows = source_page(run, &source)?;
    let mut results = result_page(run, &produced, &states)?;
    let reopened = reopen_rows(&rows, &mut results, records);
    let counts = stored::tally(&results);
    let [verified, written, unchanged, skipped, held_back, differs, failed, gone, by_read, by_age] = counts;
    store
        .prepare_cached(
            "UPDATE batches SET state = 'pending', claimed_by = NULL, claimed_at = NULL, touched_at = NULL, \
             lease_owner = NULL, lease_until = NULL, verified = ?2, written = ?3, unchanged = ?4, skipped = ?5, \
             held = ?6, differs = ?7, failed = ?8, gone = ?9, states = ?10, guarded_by_read = ?11, guarded_by_age = ?12, \
             revision = revision + 1 \
             WHERE id = ?1",
        )?
        .execute(params![
            held.id,
            verified,
            written,
            unchanged,
            skipped,
            held_back,
            differs,
            failed,
            gone,
            write_states(&results)?,
            by_read,
            by_age
        ])?;
    store
        .prepare_cached("UPDATE result_pages SET page = ?2 WHERE batch_id = ?1")?
        .execute(params![held.id, write_produced(&results)?])?;
    let difference = Difference {
        from: &held.state,
        to: BatchState::Pending.as_str(),
        counts: stored::moved(held.counts, counts),
        calls: 0,
        saved_at: None,
    };
    difference.add(store, key)?;
    Ok(reopened)
}
