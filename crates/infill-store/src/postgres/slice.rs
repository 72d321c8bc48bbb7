//! The slice: what it was found to be, its frozen ids in chunks, the rows read from them.

use infill_model::slice::ResolvedSlice;
use infill_model::{ChunkNo, RunId, Timestamp};

use super::pool::Pool;
use super::runs::{found, must_exist, progress, tally};
use crate::error::Error;
use crate::page::write_rows;
use crate::store::{Chunk, ListingStep, NewBatch, Progress};
use crate::stored::{bounds, decode, encode, len, n_same, progress_columns, signed};

pub(super) async fn save(pool: &Pool, run: RunId, slice: &ResolvedSlice) -> Result<(), Error> {
    let sql = "UPDATE runs SET slice = $2 WHERE id = $1";
    found(run, pool.execute("keep a slice", sql, &[&run.as_uuid(), &encode(slice)?]).await?)
}

pub(super) async fn freeze(pool: &Pool, run: RunId, step: &ListingStep) -> Result<bool, Error> {
    let (from_ids, from_chunks) = (signed(step.from.0), i64::from(step.from.1));
    let (listing, ids, chunks) = (encode(&step.to)?, signed(step.to.ids), i64::from(step.to.chunks));
    let records: Vec<String> = step.chunks.iter().map(encode).collect::<Result<_, _>>()?;
    let sql = "WITH moved AS ( \
                   UPDATE run_progress SET listing = $4, ids = $5, chunks = $6, listed = $7 \
                   WHERE run_id = $1 AND ids = $2 AND chunks = $3 AND NOT listed RETURNING run_id \
               ), frozen AS ( \
                   INSERT INTO chunks (run_id, no, records) SELECT run_id, $3 + c.ordinality - 1, c.records \
                   FROM moved, unnest($8::text[]) WITH ORDINALITY AS c (records, ordinality) \
               ) SELECT 1 FROM moved";
    let moved = pool
        .query_opt(
            "freeze ids",
            sql,
            &[&run.as_uuid(), &from_ids, &from_chunks, &listing, &ids, &chunks, &step.to.done, &records],
        )
        .await?;
    if moved.is_none() {
        must_exist(pool, run).await?;
    }
    Ok(moved.is_some())
}

pub(super) async fn chunk(pool: &Pool, run: RunId, chunk: ChunkNo) -> Result<Option<Chunk>, Error> {
    let operation = "read a chunk";
    let sql = "SELECT records, read FROM chunks WHERE run_id = $1 AND no = $2";
    let Some(row) = pool.query_opt(operation, sql, &[&run.as_uuid(), &i64::from(chunk.0)]).await? else {
        return Ok(None);
    };
    let records = row.try_get(0).map_err(Pool::unreadable(operation))?;
    let read = row.try_get(1).map_err(Pool::unreadable(operation))?;
    Ok(Some(Chunk { records: decode("a chunk of ids", run, records)?, read }))
}

pub(super) async fn store_chunk(
    pool: &Pool,
    run: RunId,
    chunk: ChunkNo,
    batches: &[NewBatch],
    now: Timestamp,
) -> Result<Progress, Error> {
    let numbers: Vec<i64> = batches.iter().map(|batch| i64::from(batch.no.0)).collect();
    let lengths: Vec<i64> = batches.iter().map(|batch| signed(len(&batch.rows))).collect();
    let pages: Vec<String> = batches.iter().map(|batch| write_rows(&batch.rows)).collect::<Result<_, _>>()?;
    let (firsts, lasts): (Vec<String>, Vec<String>) = batches.iter().map(|batch| bounds(&batch.rows)).unzip();
    let pulled_at: Vec<Timestamp> = batches.iter().map(|batch| batch.pulled_at).collect();
    let (n_rows, n_batches) = (lengths.iter().sum::<i64>(), signed(len(batches)));
    let sql = concat!(
        "WITH done AS ( \
             UPDATE chunks SET read = true, touched_at = $3 WHERE run_id = $1 AND no = $2 AND NOT read \
             RETURNING (claimed_by IS NOT NULL)::int AS claimed \
         ), stored AS ( \
             INSERT INTO batches (run_id, no, n_rows, source, pulled_at, first_record, last_record) \
             SELECT $1, b.no, b.n_rows, b.source, b.pulled_at, b.first, b.last \
             FROM done, unnest($4::bigint[], $5::bigint[], $6::text[], $7::timestamptz[], $11::text[], $12::text[]) \
                 AS b (no, n_rows, source, pulled_at, first, last) \
         ), counted AS ( \
             UPDATE run_progress p SET chunks_read = chunks_read + 1, \
                 chunks_in_flight = chunks_in_flight - done.claimed, n_rows = n_rows + $8, batches = batches + $9, \
                 n_same = n_same + $10 \
             FROM done WHERE p.run_id = $1 RETURNING p.* \
         ) SELECT ",
        progress_columns!(),
        " FROM counted"
    );
    let operation = "store a chunk";
    let counts = pool
        .query_opt(
            operation,
            sql,
            &[
                &run.as_uuid(),
                &i64::from(chunk.0),
                &now,
                &numbers,
                &lengths,
                &pages,
                &pulled_at,
                &n_rows,
                &n_batches,
                &n_same(batches),
                &firsts,
                &lasts,
            ],
        )
        .await?;
    match counts {
        Some(row) => Ok(tally(&row, 0).map_err(Pool::unreadable(operation))?.into()),
        // The chunk is read already.
        None => progress(pool, run).await,
    }
}
