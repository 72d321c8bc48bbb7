//! Freezing ids and storing what was read of them.

use infill_model::ChunkNo;
use infill_model::row::Gone;

use super::World;
use super::values::{at, at_once, count_true, lease, leased, new_batch, new_run, record, row, run_id};
use crate::store::{Chunk, Listing, ListingStep, NewBatch, Progress, UnitKind};

/// Two ids make a chunk; the third is the tail.
fn first_step() -> ListingStep {
    let to = Listing {
        left_out: 0,
        cursor: Some("after \"3\"".to_owned()),
        done: false,
        ids: 3,
        chunks: 1,
        tail: vec!["3".into()],
        last: Some("3".into()),
        write_batch: Some(200),
        besides: vec!["kind".into()],
    };
    ListingStep { from: (0, 0), to, chunks: vec![vec!["1".into(), "2".into()]] }
}

fn last_step() -> ListingStep {
    let to = Listing { done: true, ids: 3, chunks: 2, last: Some("3".into()), ..Listing::default() };
    ListingStep { from: (3, 1), to, chunks: vec![vec!["3".into()]] }
}

pub(super) async fn the_listing_moves_on_only_from_where_it_stands(world: &World) {
    let store = &world.store;
    let run = run_id(1);
    store.create_run(&new_run(1)).await.unwrap();
    assert!(!store.freeze(run, &last_step()).await.unwrap());
    let frozen = at_once(4, async |_| store.freeze(run, &first_step()).await.unwrap()).await;
    assert_eq!(count_true(&frozen), 1);
    assert_eq!(store.run(run).await.unwrap().unwrap().listing, first_step().to);
    assert!(store.freeze(run, &last_step()).await.unwrap());
    assert_eq!(store.run(run).await.unwrap().unwrap().listing, last_step().to);
    let progress = store.progress(run).await.unwrap();
    assert_eq!(progress, Progress { ids: 3, chunks: 2, listed: true, ..Progress::default() });
    let chunk = async |no| store.chunk(run, ChunkNo(no)).await.unwrap();
    assert_eq!(chunk(0).await, Some(Chunk { records: vec!["1".into(), "2".into()], read: false }));
    assert_eq!(chunk(1).await, Some(Chunk { records: vec!["3".into()], read: false }));
    assert_eq!(chunk(2).await, None);
}

pub(super) async fn a_late_step_does_not_reopen_a_finished_listing(world: &World) {
    let store = &world.store;
    let run = run_id(1);
    store.create_run(&new_run(1)).await.unwrap();
    // A page that held nothing new moves the cursor alone.
    let page = |cursor: Option<&str>| {
        let to = Listing { cursor: cursor.map(str::to_owned), done: cursor.is_none(), ..Listing::default() };
        ListingStep { from: (0, 0), to, chunks: Vec::new() }
    };
    assert!(store.freeze(run, &page(Some("a"))).await.unwrap());
    assert!(store.freeze(run, &page(None)).await.unwrap());
    assert!(!store.freeze(run, &page(Some("a"))).await.unwrap());
    assert!(store.run(run).await.unwrap().unwrap().listing.done);
}

pub(super) async fn a_chunk_is_stored_once(world: &World) {
    let store = &world.store;
    let run = run_id(1);
    store.create_run(&new_run(1)).await.unwrap();
    store.freeze(run, &first_step()).await.unwrap();
    assert_eq!(store.claim(run, UnitKind::Chunk, "listing", 5, at(1)).await.unwrap(), [0]);
    let batches = [new_batch(0, 2), new_batch(1, 1)];
    let progress = store.store_chunk(run, ChunkNo(0), &batches, at(2)).await.unwrap();
    let expected = Progress { ids: 3, chunks: 1, chunks_read: 1, rows: 3, batches: 2, ..Progress::default() };
    assert_eq!(progress, expected);
    let repeated = store.store_chunk(run, ChunkNo(0), &[new_batch(2, 9)], at(3)).await.unwrap();
    assert_eq!(repeated, expected);
    assert_eq!(store.batches(run, None, 10).await.unwrap().len(), 2);
    assert!(store.chunk(run, ChunkNo(0)).await.unwrap().unwrap().read);
}

pub(super) async fn of_many_readers_of_a_chunk_one_stores_it(world: &World) {
    let store = &world.store;
    let run = run_id(1);
    store.create_run(&new_run(1)).await.unwrap();
    store.freeze(run, &first_step()).await.unwrap();
    at_once(6, async |_| store.store_chunk(run, ChunkNo(0), &[new_batch(0, 2)], at(2)).await.unwrap()).await;
    let progress = store.progress(run).await.unwrap();
    assert_eq!((progress.rows, progress.batches, progress.chunks_read), (2, 1, 1));
}

pub(super) async fn any_text_survives_in_a_page(world: &World) {
    let store = &world.store;
    let run = world.run_with_batches(1, 1).await;
    let mut gone = row(record(1, 1));
    gone.gone = Some(Gone { survivor: Some("7".into()) });
    let rows = vec![row("id \"with\" \u{0} 李".into()), gone];
    let batch = NewBatch { rows: rows.clone(), ..new_batch(1, 0) };
    let to = Listing { ids: 4, chunks: 2, ..Listing::default() };
    let step = ListingStep { from: (2, 1), to, chunks: vec![vec!["4".into()]] };
    // The listing is done: another chunk cannot be cut, so the batch comes with a run of its own.
    assert!(!store.freeze(run, &step).await.unwrap());
    let run = run_id(2);
    store.create_run(&new_run(2)).await.unwrap();
    let records = vec![vec!["quote \" and NUL \u{0}".into()]];
    let to = Listing { ids: 1, chunks: 1, done: true, ..Listing::default() };
    store.freeze(run, &ListingStep { from: (0, 0), to, chunks: records.clone() }).await.unwrap();
    assert_eq!(store.chunk(run, ChunkNo(0)).await.unwrap().unwrap().records, records[0]);
    store.store_chunk(run, ChunkNo(0), &[batch], at(3)).await.unwrap();
    let leased = leased(&**store, run, 1, lease(1)).await;
    assert_eq!((leased.rows, leased.pulled_at), (rows.into(), at(7)));
}
