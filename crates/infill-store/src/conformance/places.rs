//! Finding a record among the rows of all runs.

use infill_model::row::RowState;
use infill_model::{BatchNo, ChunkNo, Outcome, RecordId};

use super::World;
use super::values::{at, new_batch, new_run, record, row, run_id};
use crate::store::{Listing, ListingStep, NewBatch, NewRun, Place};

fn place(run: u8, batch: u32) -> Place {
    Place { run: run_id(run), batch: BatchNo(batch) }
}

async fn found(world: &World, record: &RecordId) -> Vec<Place> {
    world.store.places(&"main".into(), record, None, 100).await.unwrap()
}

pub(super) async fn a_record_is_found_in_the_batches_that_hold_it_newest_run_first(world: &World) {
    for run in [1, 2, 3] {
        world.run_with_batches(run, 4).await;
    }
    let sought = record(2, 1);
    assert_eq!(found(world, &sought).await, [place(3, 2), place(2, 2), place(1, 2)], "no other page is read");
    assert_eq!(found(world, &"2-2".into()).await, [], "after the last of its batch and before the next");
    let elsewhere = world.store.places(&"other".into(), &sought, None, 100).await.unwrap();
    assert_eq!(elsewhere, []);
    let mut paged = Vec::new();
    while let Some(next) =
        world.store.places(&"main".into(), &sought, paged.last().copied(), 1).await.unwrap().first()
    {
        paged.push(*next);
    }
    assert_eq!(paged, found(world, &sought).await);
}

pub(super) async fn rows_in_any_order_are_found_all_the_same(world: &World) {
    let run = run_id(1);
    world.store.create_run(&NewRun { ..new_run(1) }).await.unwrap();
    // As from a file: the largest first, cases mixed, longer than one another, with what an engine may not store.
    let ids = [["9", "Zoë", "a\u{0}"], ["10", "zoë", "B"]];
    let chunks = vec![ids.as_flattened().iter().map(|id| RecordId::from(*id)).collect()];
    let to = Listing { ids: 6, chunks: 1, done: true, ..Listing::default() };
    assert!(world.store.freeze(run, &ListingStep { from: (0, 0), to, chunks }).await.unwrap());
    let batches: Vec<NewBatch> = (0..)
        .zip(ids)
        .map(|(no, ids)| NewBatch { rows: ids.map(|id| row(id.into())).to_vec(), ..new_batch(no, 0) })
        .collect();
    world.store.store_chunk(run, ChunkNo(0), &batches, at(1)).await.unwrap();
    for (no, ids) in (0..).zip(ids) {
        for id in ids {
            assert!(found(world, &id.into()).await.contains(&place(1, no)), "{id:?}");
        }
    }
    assert_eq!(found(world, &"0".into()).await, []);
}

pub(super) async fn a_batch_tells_when_its_results_were_saved(world: &World) {
    let run = world.running(1, 1).await;
    assert_eq!(world.store.batches(run, None, 1).await.unwrap()[0].saved_at, None);
    world.settle(run, 0, &[Outcome::Verified, Outcome::Held], &[]).await;
    let batch = world.store.batches(run, None, 1).await.unwrap().remove(0);
    assert_eq!((batch.saved_at, batch.results[1].state), (Some(at(110)), RowState::Settled(Outcome::Held)));
}
