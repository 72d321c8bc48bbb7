//! Claims, and finding again what was lost.

use std::collections::BTreeSet;

use infill_model::message::Work;
use infill_model::{BatchNo, ChunkNo, Outcome, RunState};

use super::World;
use super::values::{at, at_once, lease, leased, new_run, record, run_id, save, settled};
use crate::store::{BatchState, Listing, ListingStep, Parked, UnitKind};

const LISTING: Work = Work::SourceSync { chunk: None };

const fn chunk(no: u32) -> Work {
    Work::SourceSync { chunk: Some(ChunkNo(no)) }
}

const fn run_batch(no: u32) -> Work {
    Work::Run { batch: BatchNo(no) }
}

const fn verify(no: u32) -> Work {
    Work::Verify { batch: BatchNo(no) }
}

pub(super) async fn a_claim_fills_the_window_lowest_first(world: &World) {
    let store = &world.store;
    let run = world.starved(1, 5).await;
    let claim =
        async |claimant, window| store.claim(run, UnitKind::Batch, claimant, window, at(60)).await.unwrap();
    assert_eq!(claim("a", 2).await, [0, 1]);
    assert_eq!(claim("b", 2).await, [0; 0]);
    assert_eq!(claim("b", 3).await, [2]);
    assert_eq!(store.progress(run).await.unwrap().batches_in_flight, 3);
    world.settle(run, 1, &[Outcome::Verified, Outcome::Verified], &[]).await;
    assert_eq!(claim("c", 3).await, [3]);
    assert_eq!(claim("c", 0).await, [3]);
}

pub(super) async fn a_claimant_is_told_again_what_it_has_not_touched(world: &World) {
    let store = &world.store;
    let run = world.starved(1, 4).await;
    let claim = async |window| store.claim(run, UnitKind::Batch, "batch 7", window, at(60)).await.unwrap();
    assert_eq!(claim(2).await, [0, 1]);
    assert_eq!(claim(2).await, [0, 1]);
    store.touch(run, &run_batch(0), at(61)).await.unwrap();
    assert_eq!(claim(3).await, [1, 2]);
    leased(&**store, run, 1, lease(1)).await;
    assert_eq!(claim(3).await, [2]);

    let run = run_id(2);
    store.create_run(&new_run(2)).await.unwrap();
    let to = Listing { ids: 3, chunks: 3, ..Listing::default() };
    let chunks = (0..3).map(|no| vec![record(no, 0)]).collect();
    store.freeze(run, &ListingStep { from: (0, 0), to, chunks }).await.unwrap();
    let claim = async |window| store.claim(run, UnitKind::Chunk, "page 1", window, at(60)).await.unwrap();
    assert_eq!(claim(2).await, [0, 1]);
    store.touch(run, &chunk(0), at(61)).await.unwrap();
    assert_eq!(claim(2).await, [1]);
    store.store_chunk(run, ChunkNo(1), &[], at(62)).await.unwrap();
    assert_eq!(claim(2).await, [2]);
}

pub(super) async fn many_claimers_share_nothing_and_stay_within_the_window(world: &World) {
    let store = &world.store;
    let run = world.starved(1, 12).await;
    let claims = at_once(8, async |n| {
        store.claim(run, UnitKind::Batch, &format!("worker {n}"), 5, at(60)).await.unwrap()
    })
    .await;
    let all: Vec<u32> = claims.into_iter().flatten().collect();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    assert_eq!(all.len(), 5);
    assert_eq!(store.progress(run).await.unwrap().batches_in_flight, 5);
}

pub(super) async fn a_run_never_published_is_found_again(world: &World) {
    let store = &world.store;
    store.create_run(&new_run(1)).await.unwrap();
    assert_eq!(world.stale(run_id(1), 0).await, [LISTING]);
    store.touch(run_id(1), &LISTING, at(10)).await.unwrap();
    assert_eq!(world.stale(run_id(1), 10).await, []);
    assert_eq!(world.stale(run_id(1), 11).await, [LISTING]);
}

pub(super) async fn each_lost_stage_is_found_again(world: &World) {
    let store = &world.store;
    let run = run_id(1);
    store.create_run(&new_run(1)).await.unwrap();
    store.touch(run, &LISTING, at(10)).await.unwrap();
    let to = Listing { ids: 2, chunks: 2, done: true, ..Listing::default() };
    let chunks = vec![vec![record(0, 0)], vec![record(1, 0)]];
    store.freeze(run, &ListingStep { from: (0, 0), to, chunks }).await.unwrap();
    assert_eq!(world.stale(run, 50).await, [LISTING], "chunks not yet claimed");
    store.claim(run, UnitKind::Chunk, "listing", 2, at(20)).await.unwrap();
    store.touch(run, &chunk(0), at(30)).await.unwrap();
    assert_eq!(world.stale(run, 20).await, []);
    assert_eq!(world.stale(run, 21).await, [chunk(1)]);
    assert_eq!(world.stale(run, 50).await, [chunk(1), chunk(0)], "oldest first");
    for no in 0..2 {
        let batches = [super::values::new_batch(no, 2)];
        store.store_chunk(run, ChunkNo(no), &batches, at(40)).await.unwrap();
    }
    assert_eq!(world.stale(run, 50).await, [LISTING], "every chunk read, the run not moved on");

    let go = async |from, to, second| {
        assert!(store.move_run(run, &[from], to, None, at(second)).await.unwrap());
    };
    go(RunState::SourceSync, RunState::AwaitRows, 50).await;
    assert_eq!(world.stale(run, 50).await, []);
    assert_eq!(world.stale(run, 51).await, [Work::AwaitRows]);
    go(RunState::AwaitRows, RunState::ConfigureChain, 52).await;
    assert_eq!(world.stale(run, 53).await, [Work::ConfigureChain]);
    go(RunState::ConfigureChain, RunState::Running, 54).await;
    store.claim(run, UnitKind::Batch, "planner", 2, at(60)).await.unwrap();
    assert_eq!(world.stale(run, 60).await, []);
    leased(&**store, run, 1, lease(1)).await;
    assert_eq!(world.stale(run, 61).await, [run_batch(0)]);
    assert_eq!(world.stale(run, 101).await, [run_batch(0), run_batch(1)]);
    let results = settled(&[Outcome::Skipped, Outcome::Skipped]);
    store.save_batch(run, BatchNo(1), &lease(1), &save(&results, BatchState::Ran)).await.unwrap();
    assert_eq!(world.stale(run, 111).await, [run_batch(0), verify(1)]);
    store.touch(run, &verify(1), at(500)).await.unwrap();
    assert_eq!(world.stale(run, 400).await, [run_batch(0)], "it rightly waits");
    go(RunState::Running, RunState::Cancelled, 120).await;
    assert_eq!(world.stale(run, 999).await, []);
}

pub(super) async fn a_parked_run_is_left_alone_until_its_moment(world: &World) {
    let store = &world.store;
    let run = world.running(1, 2).await;
    assert_eq!(world.stale(run, 200).await, [run_batch(0), run_batch(1)]);
    let parked = Parked { until: at(300), why: "the day's calls are spent".to_owned() };
    store.park_run(run, Some(&parked)).await.unwrap();
    assert_eq!(world.stale(run, 299).await, []);
    assert_eq!(world.stale(run, 300).await, [run_batch(0), run_batch(1)]);
    store.create_run(&new_run(2)).await.unwrap();
    let all = store.stale_work(None, at(299), 10).await.unwrap();
    assert_eq!(all, [(run_id(2), LISTING)]);
    assert_eq!(store.stale_work(None, at(301), 1).await.unwrap(), [(run_id(2), LISTING)]);
}

pub(super) async fn a_run_left_between_two_steps_is_found_again(world: &World) {
    let store = &world.store;
    let run = world.run_with_batches(1, 2).await;
    let go = async |from, to| {
        assert!(store.move_run(run, &[from], to, None, at(90)).await.unwrap());
    };
    go(RunState::SourceSync, RunState::Canary).await;
    assert_eq!(world.stale(run, 200).await, [Work::ConfigureChain]);
    store.claim(run, UnitKind::Batch, "configure", 1, at(95)).await.unwrap();
    world.settle(run, 0, &[Outcome::Verified, Outcome::Verified], &[]).await;
    assert_eq!(world.stale(run, 110).await, [], "saved just now");
    assert_eq!(world.stale(run, 200).await, [Work::ConfigureChain]);
    go(RunState::Canary, RunState::Running).await;
    assert_eq!(world.stale(run, 200).await, [], "starved, not stale");
    store.claim(run, UnitKind::Batch, "verify 0", 2, at(96)).await.unwrap();
    world.settle(run, 1, &[Outcome::Verified, Outcome::Verified], &[]).await;
    assert_eq!(world.stale(run, 200).await, [verify(1)]);
    go(RunState::Running, RunState::Cancelling).await;
    assert_eq!(world.stale(run, 200).await, [verify(1)]);
}

pub(super) async fn batches_are_claimed_while_a_run_writes_and_at_no_other_time(world: &World) {
    let store = &world.store;
    let run = world.run_with_batches(1, 3).await;
    let claim = async |second| store.claim(run, UnitKind::Batch, "one", 2, at(second)).await.unwrap();
    assert!(claim(80).await.is_empty());
    store.move_run(run, &[RunState::SourceSync], RunState::Running, None, at(90)).await.unwrap();
    assert_eq!(claim(91).await, [0, 1]);
    store.move_run(run, &[RunState::Running], RunState::Cancelling, None, at(92)).await.unwrap();
    world.settle(run, 0, &[Outcome::Unchanged, Outcome::Unchanged], &[]).await;
    assert_eq!(claim(120).await, [1], "what it had claimed is its own");
}

pub(super) async fn new_runs_are_those_never_published(world: &World) {
    let store = &world.store;
    let run = world.run_with_batches(1, 1).await;
    assert_eq!(store.new_runs(10).await.unwrap(), [run]);
    store.touch(run, &Work::SourceSync { chunk: None }, at(60)).await.unwrap();
    assert!(store.new_runs(10).await.unwrap().is_empty());
}

pub(super) async fn a_run_with_pending_batches_and_room_is_starved(world: &World) {
    let store = &world.store;
    let run = world.run_with_batches(1, 5).await;
    let starved = async || store.starved_runs(10).await.unwrap();
    assert_eq!(starved().await, [], "not running");
    store.move_run(run, &[RunState::SourceSync], RunState::Running, None, at(90)).await.unwrap();
    assert_eq!(starved().await, [run]);
    store.claim(run, UnitKind::Batch, "planner", 3, at(95)).await.unwrap();
    assert_eq!(starved().await, [], "no room");
    for no in 0..3 {
        world.settle(run, no, &[Outcome::Unchanged, Outcome::Unchanged], &[]).await;
    }
    assert_eq!(starved().await, [run]);
    store.claim(run, UnitKind::Batch, "planner", 3, at(120)).await.unwrap();
    assert_eq!(starved().await, [], "nothing pending");
}
