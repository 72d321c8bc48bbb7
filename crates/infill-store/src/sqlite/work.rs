//! Work in flight: what is claimed, when it was last seen alive, and what nobody holds any more.

use infill_model::message::Work;
use infill_model::{BatchNo, ChunkNo, RunId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::connections::{Connections, Trouble, micros, moment};
use super::runs::id;
use crate::commit::Commit;
use crate::error::Error;
use crate::pause::is_paused;
use crate::stale::{Found, Standing, oldest};
use crate::store::UnitKind;
use crate::stored::{run_state, small};

pub(super) async fn claim(
    connections: &Connections,
    run: RunId,
    kind: UnitKind,
    claimant: &str,
    window: u32,
    now: Timestamp,
) -> Result<Vec<u32>, Error> {
    let claimant = claimant.to_owned();
    connections
        .write("claim work", Commit::Ordered, move |store| {
            let run = run.to_string();
            match kind {
                UnitKind::Chunk => claim_units(store, &CHUNKS, &run, &claimant, window, micros(now)),
                UnitKind::Batch => claim_units(store, &BATCHES, &run, &claimant, window, micros(now)),
            }
        })
        .await
}

/// The statements of a claim, for one kind of unit. SQLite uses a partial index only for a query that repeats the
/// index's condition word for word.
struct Claim {
    in_flight: &'static str,
    take: &'static str,
    count: &'static str,
    mine: &'static str,
}

const CHUNKS: Claim = Claim {
    in_flight: "SELECT chunks_in_flight FROM run_progress WHERE run_id = ?1",
    take: "UPDATE chunks SET claimed_by = ?2, claimed_at = ?3, touched_at = NULL WHERE run_id = ?1 AND no IN \
           (SELECT no FROM chunks WHERE run_id = ?1 AND claimed_by IS NULL AND read = 0 ORDER BY no LIMIT ?4)",
    count: "UPDATE run_progress SET chunks_in_flight = chunks_in_flight + ?2 WHERE run_id = ?1",
    mine: "SELECT no FROM chunks WHERE run_id = ?1 AND claimed_by IS NOT NULL AND read = 0 \
           AND claimed_by = ?2 AND touched_at IS NULL ORDER BY no",
};

const BATCHES: Claim = Claim {
    in_flight: "SELECT batches_queued + batches_ran FROM run_progress JOIN runs ON id = run_id \
                WHERE run_id = ?1 AND runs.state IN ('previewing', 'canary', 'running')",
    take: "UPDATE batches SET state = 'queued', claimed_by = ?2, claimed_at = ?3, touched_at = NULL \
           WHERE run_id = ?1 AND no IN \
           (SELECT no FROM batches WHERE run_id = ?1 AND state = 'pending' ORDER BY no LIMIT ?4)",
    count: "UPDATE run_progress SET batches_queued = batches_queued + ?2 WHERE run_id = ?1",
    mine: "SELECT no FROM batches WHERE run_id = ?1 AND state IN ('queued', 'ran') AND state = 'queued' \
           AND claimed_by = ?2 AND touched_at IS NULL ORDER BY no",
};

fn claim_units(
    store: &Transaction<'_>,
    claim: &Claim,
    run: &str,
    claimant: &str,
    window: u32,
    now: i64,
) -> Result<Vec<u32>, Trouble> {
    let is_paused = concat!("SELECT 1 FROM runs WHERE id = ?1 AND ", is_paused!());
    if store.prepare_cached(is_paused)?.exists([run])? {
        return Ok(Vec::new());
    }
    let in_flight: Option<i64> =
        store.prepare_cached(claim.in_flight)?.query_row([run], |row| row.get(0)).optional()?;
    let room = in_flight.map_or(0, |in_flight| i64::from(window).saturating_sub(in_flight));
    if room > 0 {
        let taken = store.prepare_cached(claim.take)?.execute(params![run, claimant, now, room])?;
        if taken > 0 {
            store
                .prepare_cached(claim.count)?
                .execute(params![run, i64::try_from(taken).unwrap_or(i64::MAX)])?;
        }
    }
    // What was taken just now is untouched as well.
    let mut statement = store.prepare_cached(claim.mine)?;
    let numbers = statement.query_map([run, claimant], |row| row.get(0))?;
    Ok(numbers.collect::<Result<_, _>>()?)
}

pub(super) async fn touch(
    connections: &Connections,
    run: RunId,
    work: Work,
    at: Timestamp,
) -> Result<(), Error> {
    connections
        .write("note that work is alive", Commit::Ordered, move |store| {
            let (run, at) = (run.to_string(), micros(at));
            match work {
                Work::SourceSync { chunk: Some(ChunkNo(no)) } => store
                    .prepare_cached("UPDATE chunks SET touched_at = ?3 WHERE run_id = ?1 AND no = ?2")?
                    .execute(params![run, no, at])?,
                Work::Run { batch: BatchNo(no) } | Work::Verify { batch: BatchNo(no) } => store
                    .prepare_cached("UPDATE batches SET touched_at = ?3 WHERE run_id = ?1 AND no = ?2")?
                    .execute(params![run, no, at])?,
                Work::SourceSync { chunk: None } | Work::AwaitRows | Work::ConfigureChain => store
                    .prepare_cached("UPDATE runs SET touched_at = ?2 WHERE id = ?1")?
                    .execute(params![run, at])?,
            };
            Ok(())
        })
        .await
}

pub(super) async fn stale(
    connections: &Connections,
    only: Option<RunId>,
    before: Timestamp,
    limit: u32,
) -> Result<Vec<(RunId, Work)>, Error> {
    connections
        .read("look for lost work", move |store| {
            let only = only.map(|run| run.to_string());
            let mut found = stale_units(store, STALE_CHUNKS, only.as_deref(), before, limit)?;
            found.extend(stale_units(store, STALE_BATCHES, only.as_deref(), before, limit)?);
            found.extend(
                standings(store, only.as_deref(), before)?.iter().filter_map(|run| run.stale_work(before)),
            );
            Ok(oldest(found, limit))
        })
        .await
}

const STALE_CHUNKS: &str = concat!(
    "SELECT run_id, no, 'chunk', coalesce(c.touched_at, c.claimed_at) AS alive_at \
     FROM runs JOIN chunks c ON run_id = id AND claimed_by IS NOT NULL AND read = 0 \
     WHERE ended_at IS NULL AND runs.state = 'source-sync' AND (?1 IS NULL OR id = ?1) \
     AND (parked_until IS NULL OR parked_until <= ?2) AND (alive_at IS NULL OR alive_at < ?2) AND NOT ",
    is_paused!(),
    " ORDER BY alive_at LIMIT ?3"
);

const STALE_BATCHES: &str = "SELECT run_id, no, b.state, coalesce(b.touched_at, b.claimed_at) AS alive_at \
     FROM runs JOIN batches b ON run_id = runs.id AND b.state IN ('queued', 'ran') \
     WHERE ended_at IS NULL AND runs.state IN ('previewing', 'canary', 'running', 'cancelling') \
     AND (?1 IS NULL OR runs.id = ?1) \
     AND (parked_until IS NULL OR parked_until <= ?2) AND (alive_at IS NULL OR alive_at < ?2) \
     ORDER BY alive_at LIMIT ?3";

fn stale_units(
    store: &Connection,
    sql: &'static str,
    only: Option<&str>,
    before: Timestamp,
    limit: u32,
) -> Result<Vec<Found>, Trouble> {
    let mut statement = store.prepare_cached(sql)?;
    let mut rows = statement.query(params![only, micros(before), limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (no, kind): (u32, String) = (row.get(1)?, row.get(2)?);
        let work = match kind.as_str() {
            "chunk" => Work::SourceSync { chunk: Some(ChunkNo(no)) },
            "queued" => Work::Run { batch: BatchNo(no) },
            _ => Work::Verify { batch: BatchNo(no) },
        };
        found.push((row.get::<_, Option<i64>>(3)?.map(moment), id(row, 0)?, work));
    }
    Ok(found)
}

fn standings(store: &Connection, only: Option<&str>, before: Timestamp) -> Result<Vec<Standing>, Trouble> {
    let sql = concat!(
        "SELECT id, state, listed, chunks_in_flight, batches, batches_queued + batches_ran, batches_settled, \
         touched_at, saved_at, ",
        is_paused!(),
        " FROM runs JOIN run_progress ON run_id = id WHERE ended_at IS NULL AND (?1 IS NULL OR id = ?1) \
         AND (parked_until IS NULL OR parked_until <= ?2) AND (touched_at IS NULL OR touched_at < ?2)"
    );
    let mut statement = store.prepare_cached(sql)?;
    let mut rows = statement.query(params![only, micros(before)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let run = id(row, 0)?;
        let state: String = row.get(1)?;
        found.push(Standing {
            run,
            state: run_state(run, &state)?,
            is_paused: row.get(9)?,
            listed: row.get(2)?,
            chunks_in_flight: small(row.get(3)?),
            batches: small(row.get(4)?),
            batches_in_flight: small(row.get(5)?),
            batches_settled: small(row.get(6)?),
            touched_at: row.get::<_, Option<i64>>(7)?.map(moment),
            saved_at: row.get::<_, Option<i64>>(8)?.map(moment),
        });
    }
    Ok(found)
}

pub(super) async fn new_runs(connections: &Connections, limit: u32) -> Result<Vec<RunId>, Error> {
    connections
        .read("look for new runs", move |store| {
            let sql = concat!(
                "SELECT id FROM runs WHERE ended_at IS NULL AND touched_at IS NULL AND NOT ",
                is_paused!(),
                " ORDER BY id LIMIT ?1"
            );
            let mut statement = store.prepare_cached(sql)?;
            let runs = statement.query_map([limit], |row| id(row, 0))?;
            Ok(runs.collect::<Result<_, _>>()?)
        })
        .await
}

pub(super) async fn starved_runs(connections: &Connections, limit: u32) -> Result<Vec<RunId>, Error> {
    connections
        .read("look for starved runs", move |store| {
            let mut statement = store.prepare_cached(concat!(
                "SELECT id FROM runs JOIN run_progress ON run_id = id \
                 WHERE ended_at IS NULL \
                 AND batches > batches_queued + batches_ran + batches_settled + batches_previewed \
                 AND ((state IN ('previewing', 'running') AND batches_queued + batches_ran < in_flight) \
                     OR (state = 'canary' AND batches_queued + batches_ran + batches_settled = 0)) AND NOT ",
                is_paused!(),
                " ORDER BY saved_at, id LIMIT ?1",
            ))?;
            let runs = statement.query_map([limit], |row| id(row, 0))?;
            Ok(runs.collect::<Result<_, _>>()?)
        })
        .await
}
