//! Schedules: each change is one statement or one transaction, each start is decided on one revision.

use infill_model::{Plan, RunId, Timestamp};
use tokio_postgres::Row;

use super::pool::Pool;
use super::runs;
use crate::error::Error;
use crate::schedule::{
    ScheduleColumns, ScheduleKey, ScheduleStep, StoredSchedule, first_warnings, schedule_columns,
};
use crate::stored::{encode, signed};

pub(super) async fn save(pool: &Pool, plan: &Plan, next_start: Timestamp) -> Result<(), Error> {
    let (name, connection) = (&plan.name, plan.connection.as_str());
    let sql = "INSERT INTO schedules AS s (plan_name, connection, plan, next_start) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (plan_name, connection) DO UPDATE SET plan = $3, next_start = $4, \
               revision = s.revision + 1";
    pool.execute("save a schedule", sql, &[name, &connection, &encode(plan)?, &next_start]).await?;
    Ok(())
}

pub(super) async fn list(pool: &Pool, due_by: Option<Timestamp>) -> Result<Vec<StoredSchedule>, Error> {
    let sql = concat!(
        "SELECT ",
        schedule_columns!(),
        " FROM schedules s WHERE $1::timestamptz IS NULL \
         OR (s.paused_at IS NULL AND (s.next_start <= $1 OR s.waiting IS NOT NULL)) \
         ORDER BY s.plan_name, s.connection"
    );
    let operation = "list schedules";
    let rows = pool.query(operation, sql, &[&due_by]).await?;
    rows.iter().map(|row| columns(row).map_err(Pool::unreadable(operation))?.read()).collect()
}

fn columns(row: &Row) -> Result<ScheduleColumns, tokio_postgres::Error> {
    let run = |column: usize| row.try_get::<_, Option<_>>(column).map(|id| id.map(RunId::from_uuid));
    Ok(ScheduleColumns {
        plan: row.try_get(0)?,
        next_start: row.try_get(1)?,
        waiting: row.try_get(2)?,
        paused_at: row.try_get(3)?,
        missed: row.try_get(4)?,
        missed_told: row.try_get(5)?,
        skipped: row.try_get(6)?,
        last_start: row.try_get(7)?,
        last_run: run(8)?,
        revision: row.try_get(9)?,
        running: run(10)?,
    })
}

/// Whoever comes second waits for the tuple and then finds another revision.
pub(super) async fn step(pool: &Pool, key: &ScheduleKey, step: &ScheduleStep) -> Result<bool, Error> {
    let sql = "UPDATE schedules SET next_start = $4, waiting = $5, missed = missed + $6, skipped = skipped + $7, \
               missed_told = CASE WHEN $8::uuid IS NULL THEN missed_told ELSE missed + $6 END, \
               last_run = coalesce($8, last_run), last_start = coalesce($9, last_start), revision = revision + 1 \
               WHERE plan_name = $1 AND connection = $2 AND revision = $3 AND paused_at IS NULL \
               AND ($8::uuid IS NULL OR NOT EXISTS (SELECT 1 FROM runs WHERE plan_name = $1 AND connection = $2 \
               AND ended_at IS NULL))";
    let (name, connection) = (&key.plan_name, key.connection.as_str());
    let (revision, missed, skipped) = (signed(step.revision), signed(step.missed), signed(step.skipped));
    let run = step.start.as_ref().map(|start| start.run.id.as_uuid());
    let due = step.start.as_ref().map(|start| start.due);
    pool.call("decide about a start", async {
        let mut client = pool.client().await?;
        let transaction = client.transaction().await?;
        let is_first = transaction
            .execute(
                sql,
                &[
                    name,
                    &connection,
                    &revision,
                    &step.next_start,
                    &step.waiting,
                    &missed,
                    &skipped,
                    &run,
                    &due,
                ],
            )
            .await?
            > 0;
        if let Some(start) = step.start.as_ref().filter(|_| is_first) {
            runs::insert(&transaction, &start.run).await?;
            if let Some(warnings) = first_warnings(start)? {
                transaction
                    .execute("UPDATE runs SET warnings = $2 WHERE id = $1", &[&run, &warnings])
                    .await?;
            }
        }
        transaction.commit().await?;
        Ok(is_first)
    })
    .await
}

pub(super) async fn pause(pool: &Pool, key: &ScheduleKey, at: Timestamp) -> Result<bool, Error> {
    let sql = "UPDATE schedules SET paused_at = coalesce(paused_at, $3), revision = revision + 1 \
               WHERE plan_name = $1 AND connection = $2";
    Ok(pool.execute("pause a schedule", sql, &[&key.plan_name, &key.connection.as_str(), &at]).await? > 0)
}

pub(super) async fn resume(pool: &Pool, key: &ScheduleKey, next_start: Timestamp) -> Result<bool, Error> {
    let sql = "UPDATE schedules SET paused_at = NULL, waiting = NULL, next_start = $3, revision = revision + 1 \
               WHERE plan_name = $1 AND connection = $2 AND paused_at IS NOT NULL";
    let parameters: [super::pool::Parameter<'_>; 3] = [&key.plan_name, &key.connection.as_str(), &next_start];
    Ok(pool.execute("resume a schedule", sql, &parameters).await? > 0)
}

pub(super) async fn remove(pool: &Pool, key: &ScheduleKey) -> Result<bool, Error> {
    let sql = "DELETE FROM schedules WHERE plan_name = $1 AND connection = $2";
    Ok(pool.execute("remove a schedule", sql, &[&key.plan_name, &key.connection.as_str()]).await? > 0)
}
