//! Work in flight: what is claimed, when it was last seen alive, and what nobody holds any more.

use infill_model::message::Work;
use infill_model::{BatchNo, ChunkNo, RunId, Timestamp};
use tokio_postgres::Row;

use super::pool::{Pool, Trouble};
use super::runs::id;
use crate::error::Error;
use crate::pause::is_paused;
use crate::stale::{Found, Standing, oldest};
use crate::store::UnitKind;
use crate::stored::{run_state, small};

/// Claims count before they take, and hold the counts while they do: claimers of one run go one after the other,
/// each seeing what the one before has taken. A unit that somebody holds just now is left for the next claim.
const CLAIM_CHUNKS: &str = concat!(
    "WITH paused AS (SELECT FROM runs WHERE id = $1 AND ",
    is_paused!(),
    "), room AS ( \
         SELECT greatest($4 - chunks_in_flight, 0) AS n FROM run_progress \
         WHERE run_id = $1 AND NOT EXISTS (SELECT FROM paused) FOR UPDATE \
     ), free AS ( \
         SELECT no FROM chunks WHERE run_id = $1 AND claimed_by IS NULL AND NOT read \
         ORDER BY no LIMIT coalesce((SELECT n FROM room), 0) FOR UPDATE SKIP LOCKED \
     ), taken AS ( \
         UPDATE chunks c SET claimed_by = $2, claimed_at = $3, touched_at = NULL \
         FROM free WHERE c.run_id = $1 AND c.no = free.no RETURNING c.no \
     ), counted AS ( \
         UPDATE run_progress SET chunks_in_flight = chunks_in_flight + (SELECT count(*) FROM taken) \
         WHERE run_id = $1 AND EXISTS (SELECT 1 FROM taken) \
     ) SELECT no FROM taken UNION SELECT no FROM chunks WHERE run_id = $1 AND claimed_by IS NOT NULL \
         AND NOT read AND claimed_by = $2 AND touched_at IS NULL AND NOT EXISTS (SELECT FROM paused) ORDER BY no"
);

/// As for chunks.
const CLAIM_BATCHES: &str = concat!(
    "WITH paused AS (SELECT FROM runs WHERE id = $1 AND ",
    is_paused!(),
    "), room AS ( \
         SELECT greatest($4 - batches_queued - batches_ran, 0) AS n FROM run_progress \
         WHERE run_id = $1 AND EXISTS (SELECT FROM runs WHERE id = $1 AND state IN ('previewing', 'canary', 'running')) \
         AND NOT EXISTS (SELECT FROM paused) FOR UPDATE \
     ), free AS ( \
         SELECT no FROM batches WHERE run_id = $1 AND state = 'pending' \
         ORDER BY no LIMIT coalesce((SELECT n FROM room), 0) FOR UPDATE SKIP LOCKED \
     ), taken AS ( \
         UPDATE batches b SET state = 'queued', claimed_by = $2, claimed_at = $3, touched_at = NULL \
         FROM free WHERE b.run_id = $1 AND b.no = free.no RETURNING b.no \
     ), counted AS ( \
         UPDATE run_progress SET batches_queued = batches_queued + (SELECT count(*) FROM taken) \
         WHERE run_id = $1 AND EXISTS (SELECT 1 FROM taken) \
     ) SELECT no FROM taken UNION SELECT no FROM batches WHERE run_id = $1 AND state = 'queued' \
         AND claimed_by = $2 AND touched_at IS NULL AND NOT EXISTS (SELECT FROM paused) ORDER BY no"
);

pub(super) async fn claim(
    pool: &Pool,
    run: RunId,
    kind: UnitKind,
    claimant: &str,
    window: u32,
    now: Timestamp,
) -> Result<Vec<u32>, Error> {
    let sql = match kind {
        UnitKind::Chunk => CLAIM_CHUNKS,
        UnitKind::Batch => CLAIM_BATCHES,
    };
    let operation = "claim work";
    let rows = pool.query(operation, sql, &[&run.as_uuid(), &claimant, &now, &i64::from(window)]).await?;
    let number = |row: &Row| row.try_get(0).map(small).map_err(Pool::unreadable(operation));
    rows.iter().map(number).collect()
}

pub(super) async fn touch(pool: &Pool, run: RunId, work: Work, at: Timestamp) -> Result<(), Error> {
    let operation = "note that work is alive";
    let id = run.as_uuid();
    match work {
        Work::SourceSync { chunk: Some(ChunkNo(no)) } => {
            let sql = "UPDATE chunks SET touched_at = $3 WHERE run_id = $1 AND no = $2";
            pool.execute(operation, sql, &[&id, &i64::from(no), &at]).await?
        }
        Work::Run { batch: BatchNo(no) } | Work::Verify { batch: BatchNo(no) } => {
            let sql = "UPDATE batches SET touched_at = $3 WHERE run_id = $1 AND no = $2";
            pool.execute(operation, sql, &[&id, &i64::from(no), &at]).await?
        }
        Work::SourceSync { chunk: None } | Work::AwaitRows | Work::ConfigureChain => {
            let sql = "UPDATE runs SET touched_at = $2 WHERE id = $1";
            pool.execute(operation, sql, &[&id, &at]).await?
        }
    };
    Ok(())
}

const STALE_CHUNKS: &str = concat!(
    "SELECT run_id, no, 'chunk', coalesce(c.touched_at, c.claimed_at) \
     FROM runs r JOIN chunks c ON c.run_id = r.id AND c.claimed_by IS NOT NULL AND NOT c.read \
     WHERE r.ended_at IS NULL AND r.state = 'source-sync' AND ($1::uuid IS NULL OR r.id = $1) \
     AND (r.parked_until IS NULL OR r.parked_until <= $2) \
     AND (coalesce(c.touched_at, c.claimed_at) < $2) IS NOT FALSE AND NOT ",
    is_paused!(),
    " ORDER BY 4 NULLS FIRST LIMIT $3"
);

const STALE_BATCHES: &str = "SELECT run_id, no, b.state, coalesce(b.touched_at, b.claimed_at) \
     FROM runs r JOIN batches b ON b.run_id = r.id AND b.state IN ('queued', 'ran') \
     WHERE r.ended_at IS NULL AND r.state IN ('previewing', 'canary', 'running', 'cancelling') \
     AND ($1::uuid IS NULL OR r.id = $1) AND (r.parked_until IS NULL OR r.parked_until <= $2) \
     AND (coalesce(b.touched_at, b.claimed_at) < $2) IS NOT FALSE ORDER BY 4 NULLS FIRST LIMIT $3";

const STANDINGS: &str = concat!(
    "SELECT id, state, listed, chunks_in_flight, batches, batches_queued + batches_ran, batches_settled, touched_at, \
     saved_at, ",
    is_paused!(),
    " FROM runs JOIN run_progress ON run_id = id WHERE ended_at IS NULL AND ($1::uuid IS NULL OR id = $1) \
     AND (parked_until IS NULL OR parked_until <= $2) AND (touched_at < $2) IS NOT FALSE"
);

pub(super) async fn stale(
    pool: &Pool,
    only: Option<RunId>,
    before: Timestamp,
    limit: u32,
) -> Result<Vec<(RunId, Work)>, Error> {
    let operation = "look for lost work";
    let only = only.map(RunId::as_uuid);
    let mut found = Vec::new();
    for sql in [STALE_CHUNKS, STALE_BATCHES] {
        for row in pool.query(operation, sql, &[&only, &before, &i64::from(limit)]).await? {
            found.push(unit(&row).map_err(Pool::unreadable(operation))?);
        }
    }
    let standings: Vec<Standing> = pool
        .call(operation, async {
            let client = pool.client().await?;
            let statement = client.prepare_cached(STANDINGS).await?;
            let rows = client.query(&statement, &[&only, &before]).await?;
            rows.iter().map(standing).collect()
        })
        .await?;
    found.extend(standings.iter().filter_map(|run| run.stale_work(before)));
    Ok(oldest(found, limit))
}

fn unit(row: &Row) -> Result<Found, tokio_postgres::Error> {
    let no = small(row.try_get(1)?);
    let work = match row.try_get(2)? {
        "chunk" => Work::SourceSync { chunk: Some(ChunkNo(no)) },
        "queued" => Work::Run { batch: BatchNo(no) },
        _ => Work::Verify { batch: BatchNo(no) },
    };
    Ok((row.try_get(3)?, id(row, 0)?, work))
}

fn standing(row: &Row) -> Result<Standing, Trouble> {
    let run = id(row, 0)?;
    Ok(Standing {
        run,
        state: run_state(run, row.try_get(1)?)?,
        is_paused: row.try_get(9)?,
        listed: row.try_get(2)?,
        chunks_in_flight: small(row.try_get(3)?),
        batches: small(row.try_get(4)?),
        batches_in_flight: small(row.try_get(5)?),
        batches_settled: small(row.try_get(6)?),
        touched_at: row.try_get(7)?,
        saved_at: row.try_get(8)?,
    })
}

pub(super) async fn new_runs(pool: &Pool, limit: u32) -> Result<Vec<RunId>, Error> {
    let operation = "look for new runs";
    let sql = concat!(
        "SELECT id FROM runs WHERE ended_at IS NULL AND touched_at IS NULL AND NOT ",
        is_paused!(),
        " ORDER BY id LIMIT $1"
    );
    let rows = pool.query(operation, sql, &[&i64::from(limit)]).await?;
    rows.iter().map(|row| id(row, 0).map_err(Pool::unreadable(operation))).collect()
}

pub(super) async fn starved_runs(pool: &Pool, limit: u32) -> Result<Vec<RunId>, Error> {
    let operation = "look for starved runs";
    let sql = concat!(
        "SELECT id FROM runs JOIN run_progress ON run_id = id \
               WHERE ended_at IS NULL \
               AND batches > batches_queued + batches_ran + batches_settled + batches_previewed \
               AND ((state IN ('previewing', 'running') AND batches_queued + batches_ran < in_flight) \
                   OR (state = 'canary' AND batches_queued + batches_ran + batches_settled = 0)) AND NOT ",
        is_paused!(),
        " ORDER BY saved_at NULLS FIRST, id LIMIT $1"
    );
    let rows = pool.query(operation, sql, &[&i64::from(limit)]).await?;
    rows.iter().map(|row| id(row, 0).map_err(Pool::unreadable(operation))).collect()
}
