//! The slice: what it was found to be, its frozen ids in chunks, the rows read from them.

use infill_model::slice::ResolvedSlice;
use infill_model::{ChunkNo, RunId, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};

use super::connections::{Connections, Trouble, micros};
use super::runs::{found, read_progress};
use crate::commit::Commit;
use crate::error::Error;
use crate::page::write_rows;
use crate::store::{Chunk, ListingStep, NewBatch, Progress};
use crate::stored::{bounds, decode, encode, len, n_same, signed};

pub(super) async fn save(connections: &Connections, run: RunId, slice: &ResolvedSlice) -> Result<(), Error> {
    let slice = encode(slice)?;
    connections
        .write("keep a slice", Commit::Ordered, move |store| {
            let sql = "UPDATE runs SET slice = ?2 WHERE id = ?1";
            found(run, store.prepare_cached(sql)?.execute([run.to_string(), slice])?)
        })
        .await
}

pub(super) async fn freeze(connections: &Connections, run: RunId, step: &ListingStep) -> Result<bool, Error> {
    let (from_ids, from_chunks) = step.from;
    let listing = encode(&step.to)?;
    let (ids, n_chunks, listed) = (signed(step.to.ids), step.to.chunks, step.to.done);
    let chunks: Vec<String> = step.chunks.iter().map(encode).collect::<Result<_, _>>()?;
    connections
        .write("freeze ids", Commit::Ordered, move |store| {
            let id = run.to_string();
            let moved = store
                .prepare_cached(
                    "UPDATE run_progress SET listing = ?4, ids = ?5, chunks = ?6, listed = ?7 \
                     WHERE run_id = ?1 AND ids = ?2 AND chunks = ?3 AND NOT listed",
                )?
                .execute(params![id, signed(from_ids), from_chunks, listing, ids, n_chunks, listed])?;
            if moved == 0 {
                read_progress(store, run)?;
                return Ok(false);
            }
            let mut insert =
                store.prepare_cached("INSERT INTO chunks (run_id, no, records) VALUES (?1, ?2, ?3)")?;
            for (no, records) in (i64::from(from_chunks)..).zip(&chunks) {
                insert.execute(params![id, no, records])?;
            }
            Ok(true)
        })
        .await
}

pub(super) async fn chunk(
    connections: &Connections,
    run: RunId,
    chunk: ChunkNo,
) -> Result<Option<Chunk>, Error> {
    connections
        .read("read a chunk", move |store| {
            let found: Option<(String, bool)> = store
                .prepare_cached("SELECT records, read FROM chunks WHERE run_id = ?1 AND no = ?2")?
                .query_row(params![run.to_string(), chunk.0], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let chunk = found.map(|(records, read)| {
                Ok::<_, Error>(Chunk { records: decode("a chunk of ids", run, &records)?, read })
            });
            Ok(chunk.transpose()?)
        })
        .await
}

/// A batch in the form it is stored in.
struct Encoded {
    no: u32,
    n_rows: i64,
    page: String,
    pulled_at: i64,
    bounds: (String, String),
}

pub(super) async fn store_chunk(
    connections: &Connections,
    run: RunId,
    chunk: ChunkNo,
    batches: &[NewBatch],
    now: Timestamp,
) -> Result<Progress, Error> {
    let encode = |batch: &NewBatch| {
        Ok::<_, Error>(Encoded {
            no: batch.no.0,
            n_rows: signed(len(&batch.rows)),
            page: write_rows(&batch.rows)?,
            pulled_at: micros(batch.pulled_at),
            bounds: bounds(&batch.rows),
        })
    };
    let n_same = n_same(batches);
    let batches: Vec<Encoded> = batches.iter().map(encode).collect::<Result<_, _>>()?;
    connections
        .write("store a chunk", Commit::Ordered, move |store| {
            let id = run.to_string();
            let claimed: Option<bool> = store
                .prepare_cached(
                    "UPDATE chunks SET read = 1, touched_at = ?3 WHERE run_id = ?1 AND no = ?2 AND read = 0 \
                     RETURNING claimed_by IS NOT NULL",
                )?
                .query_row(params![id, chunk.0, micros(now)], |row| row.get(0))
                .optional()?;
            let Some(claimed) = claimed else { return read_progress(store, run) };
            insert_batches(store, &id, &batches)?;
            store
                .prepare_cached(
                    "UPDATE run_progress SET chunks_read = chunks_read + 1, \
                     chunks_in_flight = chunks_in_flight - ?2, n_rows = n_rows + ?3, batches = batches + ?4, \
                     n_same = n_same + ?5 WHERE run_id = ?1",
                )?
                .execute(params![
                    id,
                    i64::from(claimed),
                    batches.iter().map(|batch| batch.n_rows).sum::<i64>(),
                    signed(len(&batches)),
                    n_same
                ])?;
            read_progress(store, run)
        })
        .await
}

fn insert_batches(store: &Transaction<'_>, run: &str, batches: &[Encoded]) -> Result<(), Trouble> {
    let mut insert_batch = store.prepare_cached(
        "INSERT INTO batches (run_id, no, n_rows, pulled_at, first_record, last_record) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let mut insert_page =
        store.prepare_cached("INSERT INTO source_pages (batch_id, page) VALUES (?1, ?2)")?;
    for batch in batches {
        let (first, last) = &batch.bounds;
        let id = insert_batch.insert(params![run, batch.no, batch.n_rows, batch.pulled_at, first, last])?;
        insert_page.execute(params![id, batch.page])?;
    }
    Ok(())
}
