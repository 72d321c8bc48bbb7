//! Processes that end in the middle of their work: killed, interrupted, drained.

use infill_model::{RunId, RunState};
use infill_sim::hubspot::Control;
use infill_store::store::BatchState;

use crate::both_engines;
use crate::plans::{EVERYBODY, note};
use crate::world::{Pair, Setting, World};

/// A canary of 5 and three batches.
const N_ROWS: usize = 305;

/// A place where a run stands still: the portal has got a call and does not answer it.
#[derive(Clone, Copy, Debug)]
struct Stop {
    /// What the run is doing there.
    doing: &'static str,
    /// The call that is not answered.
    fault: &'static str,
    state: RunState,
    /// What happens in the portal meanwhile.
    change: fn(&Control),
}

impl Stop {
    const fn at(doing: &'static str, fault: &'static str, state: RunState) -> Self {
        Self { doing, fault, state, change: |_| {} }
    }
}

const LISTING: Stop =
    Stop::at("ids are listed", "delay,ms=600000,op=memberships,count=1", RunState::SourceSync);
const READING: Stop =
    Stop::at("values are read", "delay,ms=600000,op=batch-read,count=1", RunState::SourceSync);
/// The list is found larger than what is listed afterwards, so that the next stage asks again.
const SHRINKING: Stop = Stop { change: lose_a_member, ..LISTING };
const AWAITING: Stop =
    Stop::at("rows are awaited", "delay,ms=600000,op=list-get,count=1", RunState::AwaitRows);
const CONFIGURING: Stop =
    Stop::at("the chain is configured", "delay,ms=600000,op=properties,count=1", RunState::ConfigureChain);
const CANARY: Stop =
    Stop::at("the canary is written", "delay,ms=600000,op=batch-update,count=1", RunState::Canary);
/// Four reads pulled the rows.
const CANARY_VERIFYING: Stop =
    Stop::at("the canary is read back", "delay,ms=600000,op=batch-read,after=4,count=1", RunState::Canary);
const WRITING: Stop =
    Stop::at("a batch is written", "delay,ms=600000,op=batch-update,after=1,count=1", RunState::Running);
const VERIFYING: Stop =
    Stop::at("a batch is read back", "delay,ms=600000,op=batch-read,after=5,count=1", RunState::Running);

fn lose_a_member(portal: &Control) {
    let last = *portal.members("42").expect("list 42").last().expect("a member");
    portal.remove_members("42", &[last]).expect("list 42");
}

/// A world where a run is recorded and nobody works on it yet.
async fn recorded(setting: Setting) -> (World, RunId) {
    let world = Setting { workers: 0, ..setting.contacts(N_ROWS) }.start().await;
    let run = world.record(&note(EVERYBODY, ""), &["--all"]).await;
    (world, run)
}

/// Waits until the run stands still where it shall.
async fn reach(world: &World, run: RunId, stop: Stop) {
    world.until_struck(stop.doing).await;
    assert_eq!(world.find(run).await.state, stop.state, "while {}", stop.doing);
}

/// Whoever works is killed at each stop. On the distributed pair another worker lives on; on the embedded one the run is
/// resumed.
async fn killed_while(setting: Setting, stops: &[Stop]) {
    let (mut world, run) = recorded(setting).await;
    world.set_faults(stops[0].fault);
    let mut at_work = world.take_up();
    for (i, stop) in stops.iter().enumerate() {
        reach(&world, run, *stop).await;
        let next = stops.get(i + 1).map_or("", |next| next.fault);
        match world.pair {
            Pair::Embedded => {
                world.kill(at_work).await;
                (stop.change)(&world.control);
                world.set_faults(next);
                at_work = world.take_up();
            }
            Pair::Distributed => {
                let other = world.take_up();
                world.until_logged(other, "worker started").await;
                (stop.change)(&world.control);
                world.set_faults(next);
                world.kill(at_work).await;
                at_work = other;
            }
        }
    }
    let n_members = world.control.members("42").expect("list 42").len();
    world.until_whole(run, n_members as u64).await;
    if world.pair == Pair::Embedded {
        assert_eq!(world.exit_code(at_work).await, 0, "{}", world.log(at_work));
    }
}

both_engines! {
    async fn a_kill_while_ids_are_listed_loses_nothing(setting: Setting) {
        killed_while(setting, &[LISTING]).await;
    }

    async fn a_kill_while_values_are_read_loses_nothing(setting: Setting) {
        killed_while(setting, &[READING]).await;
    }

    async fn a_kill_while_rows_are_awaited_loses_nothing(setting: Setting) {
        killed_while(setting, &[SHRINKING, AWAITING]).await;
    }

    async fn a_kill_while_the_chain_is_configured_loses_nothing(setting: Setting) {
        killed_while(setting, &[CONFIGURING]).await;
    }

    async fn a_kill_while_the_canary_is_written_loses_nothing(setting: Setting) {
        killed_while(setting, &[CANARY]).await;
    }

    async fn a_kill_while_the_canary_is_read_back_loses_nothing(setting: Setting) {
        killed_while(setting, &[CANARY_VERIFYING]).await;
    }

    async fn a_kill_while_a_batch_is_written_loses_nothing(setting: Setting) {
        killed_while(setting, &[WRITING]).await;
    }

    async fn a_kill_while_a_batch_is_read_back_loses_nothing(setting: Setting) {
        killed_while(setting, &[VERIFYING]).await;
    }

    /// Everybody dies at each stop, and somebody new comes.
    async fn a_run_survives_a_kill_in_every_stage(setting: Setting) {
        let (mut world, run) = recorded(setting).await;
        let canary_read_back = Stop { fault: CANARY_AGAIN, ..CANARY_VERIFYING };
        let batch_written = Stop { fault: "delay,ms=600000,op=batch-update,count=1", ..WRITING };
        let stops = [SHRINKING, READING, AWAITING, CONFIGURING, CANARY, canary_read_back, batch_written];
        for stop in stops {
            world.set_faults(stop.fault);
            let at_work = world.take_up();
            reach(&world, run, stop).await;
            world.kill(at_work).await;
            (stop.change)(&world.control);
        }
        world.set_faults("");
        world.take_up();
        world.until_whole(run, N_ROWS as u64 - 1).await;
    }
}

/// Whoever takes up a batch that was begun reads it before it writes, so the second read is the one of the next stage.
const CANARY_AGAIN: &str = "delay,ms=600000,op=batch-read,after=1,count=1";

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_written_by_a_killed_process_is_not_written_again() {
    for pair in [Pair::Embedded, Pair::Distributed] {
        let (mut world, run) = recorded(Setting::new(pair)).await;
        world.set_faults(WRITING.fault);
        let at_work = world.take_up();
        reach(&world, run, WRITING).await;
        // The portal has committed the write that is not answered.
        world.kill(at_work).await;
        world.set_faults("");
        world.take_up();
        world.until_whole(run, N_ROWS as u64).await;
        assert_eq!(world.control.report().most_writes_of_one_property, 1, "{pair:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_finishes_what_is_in_hand_and_says_how_to_go_on() {
    let (mut world, run) = recorded(Setting::new(Pair::Embedded)).await;
    let stops = [
        ("delay,ms=2000,op=memberships,count=1", RunState::SourceSync),
        ("delay,ms=2000,op=properties,count=1", RunState::ConfigureChain),
        ("delay,ms=2000,op=batch-update,count=1", RunState::Canary),
        ("delay,ms=2000,op=batch-update,after=1,count=1", RunState::Running),
    ];
    for (fault, state) in stops {
        world.set_faults(fault);
        let process = world.take_up();
        world.until_struck(fault).await;
        assert_eq!(world.find(run).await.state, state);
        world.signal(process, "INT");
        assert_eq!(world.exit_code(process).await, 3, "{}", world.log(process));
        let said = world.log(process);
        assert!(said.contains(&format!("`infill run --resume {run}` goes on where it stopped")), "{said}");
        assert!(!world.find(run).await.state.is_final(), "interrupted by {fault}");
    }
    // Any later `infill worker` carries on.
    world.set_faults("");
    let worker = world.spawn("worker");
    world.until_whole(run, N_ROWS as u64).await;
    // What was in hand was finished and recorded each time, so nothing was sent twice.
    assert_eq!(world.control.report().most_writes_of_one_property, 1);
    world.signal(worker, "TERM");
    assert_eq!(world.exit_code(worker).await, 0, "{}", world.log(worker));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_ctrl_c_ends_at_once_and_nothing_is_lost() {
    let (mut world, run) = recorded(Setting::new(Pair::Embedded)).await;
    world.set_faults(WRITING.fault);
    let process = world.take_up();
    reach(&world, run, WRITING).await;
    world.signal(process, "INT");
    world.until_logged(process, "once more ends at once").await;
    world.signal(process, "INT");
    assert_eq!(world.exit_code(process).await, 3, "{}", world.log(process));
    let said = world.log(process);
    assert!(said.contains(&format!("`infill run --resume {run}`")), "{said}");
    world.take_up();
    world.until_whole(run, N_ROWS as u64).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_told_to_stop_finishes_what_it_holds() {
    let (mut world, run) = recorded(Setting::new(Pair::Distributed)).await;
    world.set_faults("delay,ms=2000,op=batch-update,after=1,count=1");
    let worker = world.take_up();
    world.until_struck("a batch is written").await;
    world.signal(worker, "TERM");
    assert_eq!(world.exit_code(worker).await, 0, "{}", world.log(worker));
    assert!(world.log(worker).contains("worker drained"), "{}", world.log(worker));
    let batches = world.store.batches(run, None, u32::MAX).await.expect("the store answers");
    let is_recorded = |state| matches!(state, BatchState::Ran | BatchState::Settled);
    assert!(
        batches.iter().filter(|batch| is_recorded(batch.state)).count() >= 2,
        "{:?}",
        world.find(run).await
    );
    let n_writes = world.batch_updates();
    world.take_up();
    world.until_whole(run, N_ROWS as u64).await;
    assert_eq!(world.control.report().most_writes_of_one_property, 1);
    assert!(n_writes >= 2, "the delayed write was finished");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_told_twice_to_stop_gives_back_what_it_holds() {
    let (mut world, run) = recorded(Setting::new(Pair::Distributed)).await;
    world.set_faults(WRITING.fault);
    let worker = world.take_up();
    reach(&world, run, WRITING).await;
    world.signal(worker, "TERM");
    world.until_logged(worker, "once more ends at once").await;
    world.signal(worker, "TERM");
    assert_eq!(world.exit_code(worker).await, 3, "{}", world.log(worker));
    world.take_up();
    world.until_whole(run, N_ROWS as u64).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_may_start_in_any_order() {
    let (mut world, run) = recorded(Setting::new(Pair::Distributed)).await;
    // The world's own planner may have published the first message; the second run is recorded when there is none.
    world.kill(0).await;
    let later = world.record(&note(EVERYBODY, ""), &["--all"]).await;
    let worker = world.take_up();
    world.until_logged(worker, "worker started").await;
    assert_eq!(world.find(later).await.progress.ids, 0, "nobody starts a run but a planner");
    world.spawn("planner");
    let ended = world.until_final(later).await;
    assert_eq!((ended.state, ended.progress.counts.all_well()), (RunState::Completed, true), "{ended:?}");
    assert_eq!(world.until_final(run).await.state, RunState::Completed);
    world.check_no_second_value();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_without_its_planner_and_another_planner_starts_what_was_recorded_meanwhile() {
    let (mut world, run) = recorded(Setting::new(Pair::Distributed)).await;
    world.set_faults("delay,ms=1000,op=batch-update,count=1");
    world.take_up();
    world.until_struck("the canary is written").await;
    world.kill(0).await;
    let later = world.record(&note(EVERYBODY, ""), &["--all"]).await;
    world.until_whole(run, N_ROWS as u64).await;
    assert_eq!(world.find(later).await.state, RunState::SourceSync);
    world.spawn("planner");
    let ended = world.until_final(later).await;
    assert_eq!((ended.state, ended.progress.counts.unchanged), (RunState::Completed, N_ROWS as u64));
}
