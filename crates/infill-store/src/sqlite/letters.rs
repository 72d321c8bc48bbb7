//! Dead letters: recorded, listed, reopened, discarded.

use std::collections::HashSet;

use infill_model::{Actor, BatchNo, RecordId, RunId, Timestamp};
use rusqlite::{OptionalExtension, Row, ToSql, Transaction, params};

use super::batches::{Difference, Held, held_columns};
use super::connections::{Connections, Trouble, micros, moment};
use super::runs::id;
use crate::commit::Commit;
use crate::error::Error;
use crate::page::{write_produced, write_states};
use crate::store::{BatchState, Letter, LetterCause, LetterChange, LetterEvent, LetterFilter, Reopen};
use crate::stored::{
    self, LetterColumns, StoredCause, StoredEvent, StoredLetter, cause_columns, history_query,
    letter_columns, result_page, source_page, unsigned,
};

/// The condition of a filter over parameters 1 to 9.
macro_rules! matches_filter {
    () => {
        "(?1 IS NULL OR id = ?1) AND (?2 IS NULL OR cause = ?2) AND (?3 IS NULL OR code = ?3) \
         AND (?4 IS NULL OR property = ?4) AND (?5 IS NULL OR run_id = ?5) \
         AND (?6 IS NULL OR run_id IN (SELECT id FROM runs WHERE plan_name = ?6)) \
         AND (?7 IS NULL OR run_id IN (SELECT id FROM runs WHERE connection = ?7)) \
         AND (?8 IS NULL OR last_at >= ?8) AND (?9 IS NULL OR status = ?9)"
    };
}

/// A filter as parameters.
struct Parameters {
    id: Option<i64>,
    cause: Option<String>,
    code: Option<String>,
    property: Option<String>,
    run: Option<String>,
    plan_name: Option<String>,
    connection: Option<String>,
    since: Option<i64>,
    status: Option<&'static str>,
}

impl Parameters {
    fn new(filter: &LetterFilter) -> Self {
        Self {
            id: filter.id,
            cause: filter.cause.as_ref().map(ToString::to_string),
            code: filter.code.clone(),
            property: filter.property.as_ref().map(ToString::to_string),
            run: filter.run.map(|run| run.to_string()),
            plan_name: filter.plan_name.clone(),
            connection: filter.connection.as_ref().map(ToString::to_string),
            since: filter.since.map(micros),
            status: filter.status.map(|status| status.as_str()),
        }
    }

    fn and<'a>(&'a self, more: &'a [&'a dyn ToSql]) -> Vec<&'a dyn ToSql> {
        let Self { id, cause, code, property, run, plan_name, connection, since, status } = self;
        let own: [&dyn ToSql; 9] = [id, cause, code, property, run, plan_name, connection, since, status];
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
                "SELECT ",
                letter_columns!(),
                " FROM letters WHERE ",
                matches_filter!(),
                " AND id > ?10 ORDER BY id LIMIT ?11"
            ))?;
            let mut rows = statement.query(&*filter.and(&[&after.unwrap_or(0), &limit]))?;
            let mut letters = Vec::new();
            while let Some(row) = rows.next()? {
                letters.push(stored(row)?.read()?);
            }
            Ok(letters)
        })
        .await
}

fn stored(row: &Row<'_>) -> rusqlite::Result<StoredLetter> {
    Ok(StoredLetter {
        id: row.get(0)?,
        run: id(row, 1)?,
        batch: row.get(2)?,
        letter: row.get(3)?,
        attempts: row.get(4)?,
        status: row.get(5)?,
        first_at: moment(row.get(6)?),
        last_at: moment(row.get(7)?),
        cause: row.get(8)?,
        message: row.get(9)?,
    })
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

pub(super) async fn causes(
    connections: &Connections,
    filter: &LetterFilter,
    limit: u32,
) -> Result<Vec<LetterCause>, Error> {
    let filter = Parameters::new(filter);
    connections
        .read("list causes of dead letters", move |store| {
            let mut statement = store.prepare_cached(concat!(
                "SELECT ",
                cause_columns!(),
                " FROM letters WHERE ",
                matches_filter!(),
                " GROUP BY cause ORDER BY count(*) DESC, cause LIMIT ?10"
            ))?;
            let causes = statement.query_map(&*filter.and(&[&limit]), |row| {
                let stored = StoredCause {
                    id: row.get(0)?,
                    message: row.get(1)?,
                    code: row.get(2)?,
                    property: row.get(3)?,
                    letters: row.get(4)?,
                    first_at: moment(row.get(5)?),
                    last_at: moment(row.get(6)?),
                    example: row.get(7)?,
                };
                Ok(stored.into())
            })?;
            Ok(causes.collect::<Result<_, _>>()?)
        })
        .await
}

pub(super) async fn runs(
    connections: &Connections,
    filter: &LetterFilter,
) -> Result<Vec<(RunId, u64)>, Error> {
    let filter = Parameters::new(filter);
    connections
        .read("list runs of dead letters", move |store| {
            let mut statement = store.prepare_cached(concat!(
                "SELECT run_id, count(*) FROM letters WHERE ",
                matches_filter!(),
                " GROUP BY run_id ORDER BY run_id"
            ))?;
            let runs = statement
                .query_map(&*filter.and(&[]), |row| Ok((id(row, 0)?, unsigned(row.get(1)?))))?
                .collect::<Result<_, _>>()?;
            Ok(runs)
        })
        .await
}

pub(super) async fn history(connections: &Connections, letter: i64) -> Result<Vec<LetterEvent>, Error> {
    connections
        .read("read the history of a dead letter", move |store| {
            let mut statement = store.prepare_cached(history_query!("?1"))?;
            let mut rows = statement.query([letter])?;
            let mut events = Vec::new();
            while let Some(row) = rows.next()? {
                let event = StoredEvent {
                    letter: row.get(0)?,
                    run: id(row, 1)?,
                    at: moment(row.get(2)?),
                    event: row.get(3)?,
                };
                events.push(event.read()?);
            }
            Ok(events)
        })
        .await
}

/// Records the letters of a save: one for each record of a run, which another failure opens again.
pub(super) fn insert(
    store: &Transaction<'_>,
    run: &str,
    batch: BatchNo,
    columns: &LetterColumns,
    now: i64,
) -> rusqlite::Result<()> {
    let mut record = store.prepare_cached(
        "INSERT INTO letters (run_id, batch_no, record, code, property, cause, message, letter, first_at, last_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9) ON CONFLICT (run_id, record) DO UPDATE SET \
         batch_no = excluded.batch_no, code = excluded.code, property = excluded.property, \
         cause = excluded.cause, message = excluded.message, letter = excluded.letter, \
         attempts = attempts + 1, status = 'open', last_at = excluded.last_at RETURNING id",
    )?;
    for (i, letter) in columns.letters.iter().enumerate() {
        let LetterColumns { records, codes, properties, causes, messages, events, .. } = columns;
        let copies = params![
            run,
            batch.0,
            records.get(i),
            codes.get(i),
            properties.get(i),
            causes.get(i),
            messages.get(i),
            letter,
            now
        ];
        let id: i64 = record.query_row(copies, |row| row.get(0))?;
        note(store, id, now, None, events.get(i).map(String::as_str).unwrap_or_default())?;
    }
    Ok(())
}

/// Notes what happened to a letter.
fn note(
    store: &Transaction<'_>,
    letter: i64,
    now: i64,
    into: Option<&str>,
    event: &str,
) -> rusqlite::Result<()> {
    store
        .prepare_cached("INSERT INTO letter_events (letter_id, at, into_run, event) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![letter, now, into, event])?;
    Ok(())
}

pub(super) async fn discard(
    connections: &Connections,
    filter: &LetterFilter,
    by: &Actor,
    why: &str,
    now: Timestamp,
) -> Result<u64, Error> {
    let filter = Parameters::new(filter);
    let event = stored::encode(&LetterChange::Discarded { by: by.clone(), why: why.to_owned() })?;
    connections
        .write("discard dead letters", Commit::Durable, move |store| {
            let sql = concat!(
                "INSERT INTO letter_events (letter_id, at, event) SELECT id, ?10, ?11 FROM letters \
                 WHERE status = 'open' AND ",
                matches_filter!()
            );
            store.prepare_cached(sql)?.execute(&*filter.and(&[&micros(now), &event]))?;
            let sql = concat!(
                "UPDATE letters SET status = 'discarded', last_at = ?10 WHERE status = 'open' AND ",
                matches_filter!()
            );
            let n = store.prepare_cached(sql)?.execute(&*filter.and(&[&micros(now)]))?;
            Ok(u64::try_from(n).unwrap_or(u64::MAX))
        })
        .await
}

pub(super) async fn retry_in(
    connections: &Connections,
    into: RunId,
    letters: &[i64],
    by: &Actor,
    now: Timestamp,
) -> Result<u64, Error> {
    let change = LetterChange::Retried { by: by.clone(), set: Default::default(), into: Some(into) };
    let (event, letters, now) = (stored::encode(&change)?, letters.to_vec(), micros(now));
    connections
        .write("retry dead letters in another run", Commit::Durable, move |store| {
            let into = into.to_string();
            let mut retry = store.prepare_cached(
                "UPDATE letters SET status = 'retried', last_at = ?2 WHERE id = ?1 AND status = 'open'",
            )?;
            let mut n_retried = 0_u64;
            for letter in letters {
                if retry.execute(params![letter, now])? > 0 {
                    note(store, letter, now, Some(&into), &event)?;
                    n_retried += 1;
                }
            }
            Ok(n_retried)
        })
        .await
}

pub(super) async fn reopen(
    connections: &Connections,
    run: RunId,
    batch: BatchNo,
    letters: &[i64],
    how: &Reopen,
) -> Result<u64, Error> {
    let (letters, how, now) = (letters.to_vec(), how.clone(), how.now);
    let event = how.event()?;
    connections
        .write("reopen rows", Commit::Durable, move |store| {
            let key = run.to_string();
            if !can_reopen(store, run, &key)? {
                return Ok(0);
            }
            let records = retry_letters(store, &key, batch, &letters, micros(now), &event)?;
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
            reopen_batch(store, run, &key, batch, &records, &how)
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
    event: &str,
) -> Result<HashSet<RecordId>, Trouble> {
    let mut statement = store.prepare_cached(
        "UPDATE letters SET status = 'retried', last_at = ?4 \
         WHERE id = ?3 AND run_id = ?1 AND batch_no = ?2 AND status = 'open' RETURNING record",
    )?;
    let mut records = HashSet::new();
    for letter in letters {
        let record: Option<String> =
            statement.query_row(params![run, batch.0, letter, now], |row| row.get(0)).optional()?;
        if record.is_some() {
            note(store, *letter, now, None, event)?;
        }
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
    how: &Reopen,
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
            Ok((Held::read(row)?, row.get(15)?, row.get(16)?, row.get(17)?))
        })?;
    let rows = source_page(run, &source)?;
    let mut results = result_page(run, &produced, &states)?;
    let reopened = how.rows(&rows, &mut results, records);
    let counts = stored::tally(&results);
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
    ] = counts;
    store
        .prepare_cached(
            "UPDATE batches SET state = 'pending', claimed_by = NULL, claimed_at = NULL, touched_at = NULL, \
             lease_owner = NULL, lease_until = NULL, verified = ?2, written = ?3, unchanged = ?4, skipped = ?5, \
             held = ?6, differs = ?7, failed = ?8, gone = ?9, states = ?10, guarded_by_read = ?11, guarded_by_age = ?12, \
             intended = ?13, refused = ?14, \
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
            by_age,
            intended,
            refused
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
