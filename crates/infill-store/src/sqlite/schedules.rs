//! Schedules: each change is one transaction, each start is decided on one revision.

use infill_model::{Plan, Timestamp};
use rusqlite::{Row, params};

use super::connections::{Connections, Trouble, micros, moment};
use super::runs;
use crate::commit::Commit;
use crate::error::Error;
use crate::schedule::{
    ScheduleColumns, ScheduleKey, ScheduleStep, StoredSchedule, first_warnings, schedule_columns,
};
use crate::stored::{encode, signed};

pub(super) async fn save(connections: &Connections, plan: &Plan, next_start: Timestamp) -> Result<(), Error> {
    let (key, plan) = (ScheduleKey::of(plan), encode(plan)?);
    let sql = "INSERT INTO schedules (plan_name, connection, plan, next_start) VALUES (?1, ?2, ?3, ?4) \
               ON CONFLICT (plan_name, connection) DO UPDATE SET plan = ?3, next_start = ?4, revision = revision + 1";
    connections
        .write("save a schedule", Commit::Durable, move |store| {
            let parameters = params![key.plan_name, key.connection.as_str(), plan, micros(next_start)];
            store.prepare_cached(sql)?.execute(parameters)?;
            Ok(())
        })
        .await
}

pub(super) async fn list(
    connections: &Connections,
    due_by: Option<Timestamp>,
) -> Result<Vec<StoredSchedule>, Error> {
    let sql = concat!(
        "SELECT ",
        schedule_columns!(),
        " FROM schedules s WHERE ?1 IS NULL OR (s.paused_at IS NULL AND (s.next_start <= ?1 OR s.waiting IS NOT NULL)) \
         ORDER BY s.plan_name, s.connection"
    );
    let found = connections
        .read("list schedules", move |store| {
            let mut statement = store.prepare_cached(sql)?;
            let found = statement.query_map([due_by.map(micros)], columns)?.collect::<Result<Vec<_>, _>>()?;
            Ok(found)
        })
        .await?;
    found.into_iter().map(ScheduleColumns::read).collect()
}

fn columns(row: &Row<'_>) -> rusqlite::Result<ScheduleColumns> {
    let at = |column| row.get::<_, Option<i64>>(column).map(|micros| micros.map(moment));
    let run = |column| {
        let is_there = row.get::<_, Option<String>>(column)?.is_some();
        is_there.then(|| runs::id(row, column)).transpose()
    };
    Ok(ScheduleColumns {
        plan: row.get(0)?,
        next_start: moment(row.get(1)?),
        waiting: at(2)?,
        paused_at: at(3)?,
        missed: row.get(4)?,
        missed_told: row.get(5)?,
        skipped: row.get(6)?,
        last_start: at(7)?,
        last_run: run(8)?,
        revision: row.get(9)?,
        running: run(10)?,
    })
}

pub(super) async fn step(
    connections: &Connections,
    key: &ScheduleKey,
    step: &ScheduleStep,
) -> Result<bool, Error> {
    let (key, step) = (key.clone(), step.clone());
    let recorded = step.start.as_ref().map(|start| runs::Recorded::new(&start.run)).transpose()?;
    let warnings = step.start.as_ref().map(first_warnings).transpose()?.flatten();
    let sql = "UPDATE schedules SET next_start = ?4, waiting = ?5, missed = missed + ?6, skipped = skipped + ?7, \
               missed_told = CASE WHEN ?8 IS NULL THEN missed_told ELSE missed + ?6 END, \
               last_run = coalesce(?8, last_run), last_start = coalesce(?9, last_start), revision = revision + 1 \
               WHERE plan_name = ?1 AND connection = ?2 AND revision = ?3 AND paused_at IS NULL \
               AND (?8 IS NULL OR NOT EXISTS (SELECT 1 FROM runs WHERE plan_name = ?1 AND connection = ?2 \
               AND ended_at IS NULL))";
    connections
        .write("decide about a start", Commit::Durable, move |store| {
            let run = step.start.as_ref().map(|start| start.run.id.to_string());
            let is_first = store.prepare_cached(sql)?.execute(params![
                key.plan_name,
                key.connection.as_str(),
                signed(step.revision),
                micros(step.next_start),
                step.waiting.map(micros),
                signed(step.missed),
                signed(step.skipped),
                run,
                step.start.as_ref().map(|start| micros(start.due)),
            ])? > 0;
            if let Some(recorded) = recorded.filter(|_| is_first) {
                recorded.insert(store)?;
                if let Some(warnings) = warnings {
                    let sql = "UPDATE runs SET warnings = ?2 WHERE id = ?1";
                    store.prepare_cached(sql)?.execute(params![run, warnings])?;
                }
            }
            Ok(is_first)
        })
        .await
}

pub(super) async fn pause(
    connections: &Connections,
    key: &ScheduleKey,
    at: Timestamp,
) -> Result<bool, Error> {
    let sql = "UPDATE schedules SET paused_at = coalesce(paused_at, ?3), revision = revision + 1 \
               WHERE plan_name = ?1 AND connection = ?2";
    change(connections, "pause a schedule", sql, key, Some(at)).await
}

pub(super) async fn resume(
    connections: &Connections,
    key: &ScheduleKey,
    next_start: Timestamp,
) -> Result<bool, Error> {
    let sql = "UPDATE schedules SET paused_at = NULL, waiting = NULL, next_start = ?3, revision = revision + 1 \
               WHERE plan_name = ?1 AND connection = ?2 AND paused_at IS NOT NULL";
    change(connections, "resume a schedule", sql, key, Some(next_start)).await
}

pub(super) async fn remove(connections: &Connections, key: &ScheduleKey) -> Result<bool, Error> {
    let sql = "DELETE FROM schedules WHERE plan_name = ?1 AND connection = ?2";
    change(connections, "remove a schedule", sql, key, None).await
}

/// Carries out a change of one schedule; says whether there was one to change.
async fn change(
    connections: &Connections,
    operation: &'static str,
    sql: &'static str,
    key: &ScheduleKey,
    at: Option<Timestamp>,
) -> Result<bool, Error> {
    let key = key.clone();
    connections
        .write(operation, Commit::Durable, move |store| {
            let mut statement = store.prepare_cached(sql)?;
            let n_changed = match at {
                Some(at) => statement.execute(params![key.plan_name, key.connection.as_str(), micros(at)])?,
                None => statement.execute(params![key.plan_name, key.connection.as_str()])?,
            };
            Ok::<_, Trouble>(n_changed > 0)
        })
        .await
}
