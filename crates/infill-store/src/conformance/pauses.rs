//! Pauses: what is found, claimed and told of a run that somebody paused.

use infill_model::message::Work;
use infill_model::{BatchNo, Plan, RunId, RunState};

use super::World;
use super::values::{at, at_once, count_true, new_run, plan, record, run_id};
use crate::audit::{Act, AuditFilter, NewAuditEntry};
use crate::pause::{Pausable, Paused};
use crate::store::{Listing, ListingStep, NewRun, Parked, Run, RunFilter, UnitKind};

fn entry(second: i64, act: Act) -> NewAuditEntry {
    NewAuditEntry::new(at(second), "ann@desk".into(), act)
}

fn connection() -> Pausable {
    Pausable::Connection("main".into())
}

impl World {
    /// A run under way with its listing, with chunks that nobody has claimed.
    async fn listed(&self, number: u8, chunks: u32) -> RunId {
        let run = run_id(number);
        self.store.create_run(&new_run(number)).await.unwrap();
        let to = Listing { ids: u64::from(chunks), chunks, ..Listing::default() };
        let chunks = (0..chunks).map(|no| vec![record(no, 0)]).collect();
        assert!(self.store.freeze(run, &ListingStep { from: (0, 0), to, chunks }).await.unwrap());
        run
    }

    async fn pause(&self, what: &Pausable, second: i64) -> bool {
        let act = if matches!(what, Pausable::Run(_)) { Act::RunPaused } else { Act::ConnectionPaused };
        self.store.pause(what, &entry(second, act)).await.unwrap()
    }

    async fn resume(&self, what: &Pausable) -> bool {
        let act = if matches!(what, Pausable::Run(_)) { Act::RunResumed } else { Act::ConnectionResumed };
        self.store.resume(what, &entry(900, act)).await.unwrap()
    }

    async fn read(&self, run: RunId) -> Run {
        self.store.run(run).await.unwrap().unwrap()
    }

    async fn claims(&self, run: RunId, claimant: &str) -> Vec<u32> {
        self.store.claim(run, UnitKind::Batch, claimant, 2, at(60)).await.unwrap()
    }
}

pub(super) async fn a_pause_is_shown_with_who_and_when_and_is_made_once(world: &World) {
    let run = Pausable::Run(run_id(1));
    world.store.create_run(&new_run(1)).await.unwrap();
    let paused = at_once(4, async |n| world.pause(&run, 100 + i64::try_from(n).unwrap()).await).await;
    assert_eq!(count_true(&paused), 1, "{paused:?}");
    let stored = world.read(run_id(1)).await;
    let Some(Paused { at: since, by }) = stored.paused.clone() else { panic!("{stored:?}") };
    assert!(since >= at(100) && stored.is_paused());
    assert_eq!((by, stored.connection_paused), ("ann@desk".into(), None));
    assert!(world.store.runs(&RunFilter::default()).await.unwrap()[0].is_paused());

    assert!(world.resume(&run).await);
    assert!(!world.resume(&run).await, "there is nothing to end");
    assert!(!world.read(run_id(1)).await.is_paused());
    let acts = world.store.audited(&AuditFilter::default(), None, 9).await.unwrap();
    let acts: Vec<Act> = acts.into_iter().map(|found| found.entry.act).collect();
    assert_eq!(acts, [Act::RunResumed, Act::RunPaused, Act::RunStarted], "what changed nothing is not told");
}

pub(super) async fn a_paused_run_gives_nothing_to_claim(world: &World) {
    let run = world.starved(1, 4).await;
    assert_eq!(world.claims(run, "one").await, [0, 1]);
    assert!(world.pause(&Pausable::Run(run), 70).await);
    for claimant in ["one", "another"] {
        assert_eq!(world.claims(run, claimant).await, [0; 0], "not even what {claimant} claimed before");
    }
    assert!(world.resume(&Pausable::Run(run)).await);
    assert_eq!(world.claims(run, "one").await, [0, 1]);

    let listed = world.listed(2, 3).await;
    let chunks = async || world.store.claim(listed, UnitKind::Chunk, "list", 2, at(60)).await.unwrap();
    assert!(world.pause(&Pausable::Run(listed), 70).await);
    assert_eq!(chunks().await, [0; 0]);
    assert!(world.resume(&Pausable::Run(listed)).await);
    assert_eq!(chunks().await, [0, 1]);
}

pub(super) async fn of_a_paused_run_only_batches_in_flight_are_found(world: &World) {
    let store = &world.store;
    store.create_run(&new_run(1)).await.unwrap();
    world.listed(2, 3).await;
    store.claim(run_id(2), UnitKind::Chunk, "list", 2, at(60)).await.unwrap();
    let running = world.starved(3, 4).await;
    world.claims(running, "one").await;
    let starved = world.starved(4, 4).await;
    for run in [run_id(1), run_id(2), running, starved] {
        assert!(world.pause(&Pausable::Run(run), 70).await);
    }
    let lost = async || store.stale_work(None, at(800), 99).await.unwrap();
    let of_batch = |no| (running, Work::Run { batch: BatchNo(no) });
    assert_eq!(lost().await, [of_batch(0), of_batch(1)]);
    assert!(store.new_runs(9).await.unwrap().is_empty());
    assert!(store.starved_runs(9).await.unwrap().is_empty());

    for run in [run_id(1), run_id(2), running, starved] {
        assert!(world.resume(&Pausable::Run(run)).await);
        store.hasten(run).await.unwrap();
    }
    assert_eq!(store.stale_work(None, at(-800), 99).await.unwrap().len(), 6, "everything is due at once");
    assert_eq!(store.starved_runs(9).await.unwrap().len(), 2);
}

pub(super) async fn a_paused_connection_pauses_every_run_on_it(world: &World) {
    let store = &world.store;
    let run = world.starved(1, 4).await;
    assert!(world.pause(&connection(), 70).await);
    assert!(!world.pause(&connection(), 71).await, "it is paused already");
    let other = Plan { connection: "other".into(), ..plan("Notes") };
    store.create_run(&NewRun { plan: other, ..new_run(2) }).await.unwrap();
    store.create_run(&new_run(3)).await.unwrap();
    let since = Paused { at: at(70), by: "ann@desk".into() };
    for (of, paused) in [(run, Some(&since)), (run_id(2), None), (run_id(3), Some(&since))] {
        let found = world.read(of).await;
        assert_eq!((found.connection_paused.as_ref(), found.is_paused()), (paused, paused.is_some()));
    }
    assert_eq!(store.paused_connections().await.unwrap(), [("main".into(), since)]);
    assert_eq!(world.claims(run, "one").await, [0; 0]);
    assert!(store.starved_runs(9).await.unwrap().is_empty());
    assert_eq!(store.new_runs(9).await.unwrap(), [run_id(2)]);

    assert!(world.resume(&connection()).await);
    assert!(!world.resume(&connection()).await);
    assert!(store.paused_connections().await.unwrap().is_empty());
    assert_eq!(world.claims(run, "one").await, [0, 1]);
}

pub(super) async fn a_run_goes_on_when_both_pauses_have_ended(world: &World) {
    let run = world.starved(1, 4).await;
    assert!(world.pause(&Pausable::Run(run), 70).await && world.pause(&connection(), 71).await);
    assert!(world.resume(&connection()).await);
    assert!(world.read(run).await.is_paused());
    assert!(world.pause(&connection(), 72).await && world.resume(&Pausable::Run(run)).await);
    assert_eq!(world.claims(run, "one").await, [0; 0]);
    assert!(world.resume(&connection()).await);
    assert_eq!(world.claims(run, "one").await, [0, 1]);
}

pub(super) async fn what_is_being_cancelled_or_has_ended_is_not_paused(world: &World) {
    let store = &world.store;
    let run = world.starved(1, 4).await;
    world.claims(run, "one").await;
    assert!(world.pause(&Pausable::Run(run), 70).await && world.pause(&connection(), 70).await);
    assert!(store.move_run(run, &[RunState::Running], RunState::Cancelling, None, at(80)).await.unwrap());
    assert!(!world.read(run).await.is_paused(), "it goes on to its end");
    assert_eq!(store.stale_work(Some(run), at(800), 9).await.unwrap().len(), 2);
    assert_eq!(world.claims(run, "one").await, [0, 1], "what it had claimed is its own");
    assert!(world.resume(&Pausable::Run(run)).await && !world.pause(&Pausable::Run(run), 90).await);
    assert!(store.move_run(run, &[RunState::Cancelling], RunState::Cancelled, None, at(99)).await.unwrap());
    assert!(!world.pause(&Pausable::Run(run), 100).await && !world.read(run).await.is_paused());
    assert!(!world.pause(&Pausable::Run(run_id(9)), 100).await, "it is not there");
}

pub(super) async fn a_pause_and_its_end_clear_the_park(world: &World) {
    let store = &world.store;
    let run = world.starved(1, 4).await;
    let parked = Parked { until: at(999), why: "the day's calls are spent".to_owned() };
    for what in [Pausable::Run(run), connection()] {
        store.park_run(run, Some(&parked)).await.unwrap();
        assert!(world.pause(&what, 70).await);
        assert_eq!(world.read(run).await.parked, None, "what waits is set aside now");
        store.park_run(run, Some(&parked)).await.unwrap();
        assert!(world.resume(&what).await);
        assert_eq!(world.read(run).await.parked, None, "and goes on now");
    }
}
