//! Runs that are previewed, and let go on.

use infill_model::row::RowState;
use infill_model::{Approval, BatchNo, Outcome, Release, RunId, RunState};

use super::World;
use super::values::{at, at_once, count_true, lease, result, save};
use crate::audit::{Act, AuditFilter, NewAuditEntry};
use crate::store::{BatchSave, BatchState, Leased, NewRun, Saved, UnitKind};

/// A dry run of two batches, both evaluated: in the first a row changes and one is refused, in the second nothing is to be done.
async fn previewed(world: &World, number: u8) -> RunId {
    let store = &world.store;
    let run = world.run_with_batches(number, 2).await;
    let from = [RunState::SourceSync];
    assert!(store.move_run(run, &from, RunState::Previewing, None, at(50)).await.unwrap());
    assert_eq!(store.claim(run, UnitKind::Batch, "configure", 3, at(95)).await.unwrap(), [0, 1]);
    let skipped = || result(RowState::Settled(Outcome::Skipped));
    for (no, results, state) in [
        (0, [result(RowState::Intended), result(RowState::Refused)], BatchState::Previewed),
        (1, [skipped(), skipped()], BatchState::Settled),
    ] {
        let leased = store.lease_batch(run, BatchNo(no), &lease(7), false, None, at(100)).await.unwrap();
        assert!(matches!(leased, Leased::Yours(_)), "{leased:?}");
        let saved = store.save_batch(run, BatchNo(no), &lease(7), &save(&results, state)).await.unwrap();
        assert!(matches!(saved, Saved::Yes(_)), "{saved:?}");
    }
    assert!(store.move_run(run, &[RunState::Previewing], RunState::Previewed, None, at(120)).await.unwrap());
    run
}

fn approval(by: u64) -> Approval {
    Approval { by: format!("ann{by}").into(), digest: Some("3f1c".into()) }
}

async fn release(world: &World, run: RunId, by: u64) -> bool {
    let stored = world.store.run(run).await.unwrap().unwrap();
    let entry = NewAuditEntry::of_run(at(130), approval(by).by, Act::RunApproved, &stored);
    let approved = approval(by);
    let approved = Some((&approved, &entry));
    world.store.release_run(run, RunState::Previewed, RunState::Canary, approved, at(130)).await.unwrap()
}

pub(super) async fn a_released_run_writes_what_it_previewed(world: &World) {
    let store = &world.store;
    let run = previewed(world, 1).await;
    let progress = store.progress(run).await.unwrap();
    assert_eq!((progress.intended, progress.refused, progress.batches_previewed), (1, 1, 1));
    assert_eq!((progress.batches_settled, progress.batches_in_flight), (1, 0));

    assert!(release(world, run, 1).await);
    let stored = store.run(run).await.unwrap().unwrap();
    assert_eq!((stored.state, stored.ended_at), (RunState::Canary, None));
    let released = Release { at: at(130), approval: Some(approval(1)), batches_settled: 1, refused: 1 };
    assert_eq!(stored.released, Some(released));
    assert_eq!(stored.progress.batches_previewed, 0);
    assert_eq!(store.new_runs(5).await.unwrap(), [run], "it is to begin");
    assert_eq!(store.claim(run, UnitKind::Batch, "configure", 1, at(131)).await.unwrap(), [0]);
    let batch = &store.batches(run, None, 1).await.unwrap()[0];
    assert_eq!(batch.results, [result(RowState::Intended), result(RowState::Refused)], "as previewed");

    let done = [RowState::Settled(Outcome::Verified), RowState::Settled(Outcome::Failed)].map(result);
    store.lease_batch(run, BatchNo(0), &lease(8), false, None, at(132)).await.unwrap();
    let settled = BatchSave { now: at(133), ..save(&done, BatchState::Settled) };
    store.save_batch(run, BatchNo(0), &lease(8), &settled).await.unwrap();
    let progress = store.progress(run).await.unwrap();
    assert_eq!((progress.intended, progress.refused, progress.batches_settled), (0, 0, 2));
    assert_eq!((progress.counts.verified, progress.counts.failed, progress.counts.skipped), (1, 1, 2));
}

pub(super) async fn of_many_who_release_a_run_one_is_heard(world: &World) {
    let run = previewed(world, 1).await;
    let heard = at_once(8, async |by| release(world, run, by).await).await;
    assert_eq!(count_true(&heard), 1);
    let filter = AuditFilter { run: Some(run), ..AuditFilter::default() };
    let entries = world.store.audited(&filter, None, 100).await.unwrap();
    let approved: Vec<_> = entries.iter().filter(|stored| stored.entry.act == Act::RunApproved).collect();
    let released = world.store.run(run).await.unwrap().unwrap().released.unwrap();
    assert_eq!(approved.len(), 1);
    assert_eq!(released.approval.unwrap().by, approved[0].entry.by);
}

pub(super) async fn previewed_batches_are_neither_claimed_nor_starved(world: &World) {
    let store = &world.store;
    let run = previewed(world, 1).await;
    assert!(store.move_run(run, &[RunState::Previewed], RunState::Previewing, None, at(125)).await.unwrap());
    assert!(store.claim(run, UnitKind::Batch, "again", 9, at(126)).await.unwrap().is_empty());
    assert!(store.starved_runs(5).await.unwrap().is_empty());
    let dry = NewRun { is_dry: true, ..super::values::new_run(2) };
    store.create_run(&dry).await.unwrap();
    assert!(store.run(dry.id).await.unwrap().unwrap().is_unwritten_preview());
}
