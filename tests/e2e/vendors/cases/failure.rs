//! Rows, calls and processes that fail: what can be delivered is, and nothing is left in limbo.

use infill_model::row::RowState;
use infill_model::{Class, Outcome, RunState};
use infill_store::store::{LetterStatus, Run};

use super::{IN_BATCH, IN_CANARY, N_ROWS, check_all_but, killed_while, usual, with_records};
use crate::vendors::trouble::{Call, Loss};
use crate::vendors::{Tenant, Trouble};
use crate::world::{Pair, World};

pub(crate) async fn a_bad_row_fails_alone<T: Tenant>(pair: Pair) {
    let world = usual::<T>(pair).await;
    let guilty = world.nth(IN_BATCH);
    let ended = world.run_among(&[Trouble::BadRow(&guilty)]).await;
    check_all_but(&ended, Outcome::Failed, &guilty);
    let letters = world.letters(&ended.run).await;
    let [letter] = &letters[..] else { panic!("{letters:?}") };
    assert_eq!((letter.letter.record.as_str(), letter.status), (guilty.as_str(), LetterStatus::Open));
    assert_eq!(letter.letter.cause.class, Class::Rejected, "{:?}", letter.letter.cause);
    world.check_no_second_write();
    assert_eq!(world.n_written(), N_ROWS - 1);

    world.set_faults("");
    let retried = world.infill(&["dead-letters", "retry", "--run", "latest", "--yes"]).await;
    assert_eq!(retried.code, 0, "{}", retried.err);
    let resumed = world.infill(&["run", "--resume", "latest"]).await;
    assert_eq!(resumed.code, 0, "{}\n{}", resumed.err, world.logs());
    assert_eq!(world.latest().await.progress.counts.verified, N_ROWS as u64);
    world.check_no_second_write();
}

pub(crate) async fn a_canary_that_fails_stops_the_rest<T: Tenant>(pair: Pair) {
    let world = usual::<T>(pair).await;
    let guilty = world.nth(IN_CANARY);
    let ended = world.run_among(&[Trouble::BadRow(&guilty)]).await;
    assert_eq!((ended.run.state, ended.printed.code), (RunState::Stopped, 3), "{}", ended.printed.err);
    assert_eq!(ended.run.cause.as_ref().map(|cause| cause.code.as_str()), Some("canary_failed"));
    assert_eq!((ended.count(Outcome::Verified), ended.ids(Outcome::Failed)), (4, vec![guilty.as_str()]));
    assert_eq!(world.n_written(), 4, "the rest was touched");
    let audit = world.infill(&["audit", "--by", "infill"]).await;
    assert!(audit.out.contains("run-stopped"), "{}\n{}", audit.out, audit.err);
}

pub(crate) async fn a_run_stops_when_more_rows_fail_than_the_plan_allows<T: Tenant>(pair: Pair) {
    let n_rows = T::THREE_BATCHES;
    let mut setting = with_records::<T>(pair, n_rows);
    setting.env.push(("INFILL_WORKER_BATCHES_IN_FLIGHT".to_owned(), "1".to_owned()));
    let world = setting.start().await;
    let guilty = [world.nth(IN_BATCH), world.nth(IN_BATCH + 1)];
    let [first, second] = &guilty;
    world.meet(&[Trouble::BadRow(first), Trouble::BadRow(second)]);
    let ended = world.run(&world.greeting("max_failed: 1")).await;
    assert_eq!((ended.run.state, ended.printed.code), (RunState::Stopped, 3), "{}", ended.printed.err);
    assert_eq!(ended.run.cause.as_ref().map(|cause| cause.code.as_str()), Some("too_many_failed"));
    let mut failed = ended.ids(Outcome::Failed);
    failed.sort_unstable();
    assert_eq!(failed, guilty.each_ref().map(String::as_str));
    assert_eq!(ended.count(Outcome::Verified), world.n_written() as u64);
    assert!(world.n_written() + 2 < n_rows, "the last batch was touched");
    world.set_faults("");
    world.control.forget();
    let share = world.run(&world.greeting("max_failed: 1%").replace("Hello", "Dear")).await;
    share.all(Outcome::Verified, n_rows as u64);
}

pub(crate) async fn a_gateways_error_is_tried_again<T: Tenant>(pair: Pair) {
    let world = usual::<T>(pair).await;
    let ended = world.run_among(&[Trouble::Unavailable(2)]).await;
    ended.all(Outcome::Verified, N_ROWS as u64);
    world.check_no_second_write();
}

pub(crate) async fn a_connection_reset_before_the_commit_is_tried_again<T: Tenant>(pair: Pair) {
    let world = usual::<T>(pair).await;
    let ended = world.run_among(&[Trouble::Unreached(1)]).await;
    ended.all(Outcome::Verified, N_ROWS as u64);
    world.check_no_second_write();
}

pub(crate) async fn an_answer_lost_to_a_reset_costs_no_second_write<T: Tenant>(pair: Pair) {
    let world = usual::<T>(pair).await;
    let ended = world.run_among(&[Trouble::Lost(Loss::Reset)]).await;
    ended.all(Outcome::Verified, N_ROWS as u64);
    world.check_no_second_write();
}

pub(crate) async fn an_answer_lost_to_a_gateway_costs_no_second_write<T: Tenant>(pair: Pair) {
    let world = usual::<T>(pair).await;
    let ended = world.run_among(&[Trouble::Lost(Loss::Timeout)]).await;
    ended.all(Outcome::Verified, N_ROWS as u64);
    world.check_no_second_write();
}

pub(crate) async fn an_answer_cut_off_costs_no_second_write<T: Tenant>(pair: Pair) {
    let world = usual::<T>(pair).await;
    let ended = world.run_among(&[Trouble::Lost(Loss::CutOff)]).await;
    ended.all(Outcome::Verified, N_ROWS as u64);
    world.check_no_second_write();
}

pub(crate) async fn a_lost_answer_whose_read_back_fails_too_costs_no_second_write<T: Tenant>(pair: Pair) {
    let world = usual::<T>(pair).await;
    let ended = world.run_among(&[Trouble::Lost(Loss::Timeout), Trouble::UnreadOnce]).await;
    ended.all(Outcome::Verified, N_ROWS as u64);
    world.check_no_second_write();
}

pub(crate) async fn a_property_deleted_on_the_way_stops_the_run_and_leaves_no_row_in_limbo<T: Tenant>(
    pair: Pair,
) {
    let world = usual::<T>(pair).await;
    world.meet(&[Trouble::TargetGone]);
    // The property cannot be looked at afterwards, so portal and outcomes are compared by the ledger alone.
    let path = world.plan(&world.greeting(""));
    let printed = world.infill(&["run", path.to_str().expect("a path in UTF-8"), "--all"]).await;
    let run = world.latest().await;
    assert_eq!((run.state, printed.code), (RunState::Stopped, 3), "{}", printed.err);
    let cause = run.cause.as_ref().expect("a cause");
    assert_eq!(cause.class, Class::Configuration, "{cause:?}");
    let rows = world.rows(&run).await;
    assert_eq!(rows.len(), N_ROWS);
    let writes = world.control.writes();
    for (row, result) in rows {
        let was_sent = writes.iter().any(|write| write.record == row.record.as_str());
        assert_eq!(result.outcome().is_some(), was_sent, "record {}: {:?}", row.record, result.state);
    }
    assert_eq!(world.n_written(), 5, "the canary alone");
}

pub(crate) async fn a_process_killed_while_rows_are_pulled_loses_nothing<T: Tenant>(pair: Pair) {
    let world = killed_while::<T>(pair, "", Call::Listing, RunState::SourceSync).await;
    world.check_no_second_write();
}

/// The write was committed, and who made it does not live to know.
pub(crate) async fn a_process_killed_after_a_write_loses_nothing_and_writes_nothing_twice<T: Tenant>(
    pair: Pair,
) {
    let world = killed_while::<T>(pair, "", Call::Writing, RunState::Running).await;
    world.check_no_second_write();
}

pub(crate) async fn a_process_killed_while_a_batch_is_read_back_loses_nothing<T: Tenant>(pair: Pair) {
    let world = killed_while::<T>(pair, "", Call::ReadingBack, RunState::Running).await;
    world.check_no_second_write();
}

/// Every row was sent and verified, or was not sent and has not begun.
async fn check_nothing_in_between<T: Tenant>(world: &World<T>, run: &Run) {
    let writes = world.control.writes();
    for (row, result) in world.rows(run).await {
        let was_sent = writes.iter().any(|write| write.record == row.record.as_str());
        let expected = if was_sent { RowState::Settled(Outcome::Verified) } else { RowState::Pending };
        assert_eq!(result.state, expected, "record {}", row.record);
    }
    assert_eq!(world.n_written() as u64, run.progress.counts.verified);
    assert!(world.n_written() as u64 != run.progress.rows, "nothing was left to do");
}

pub(crate) async fn a_run_paused_on_the_way_stands_still_and_completes_when_it_is_resumed<T: Tenant>(
    pair: Pair,
) {
    let n_rows = T::THREE_BATCHES;
    let mut setting = with_records::<T>(pair, n_rows);
    setting.env.push(("INFILL_WORKER_BATCHES_IN_FLIGHT".to_owned(), "1".to_owned()));
    let world = setting.start().await;
    world.meet(&[Trouble::SlowWrites]);
    let path = world.plan(&world.greeting(""));
    let args = ["run", path.to_str().expect("a path in UTF-8"), "--all"];
    let steering = async {
        world.until_written(5..n_rows).await;
        let paused = world.infill(&["pause", "latest", "--as", "ann"]).await;
        assert_eq!(paused.code, 0, "{}", paused.err);
        let still = world.until("nothing is in flight", |run| run.progress.batches_in_flight == 0).await;
        check_nothing_in_between(&world, &still).await;
        let resumed = world.infill(&["resume", "latest"]).await;
        assert_eq!(resumed.code, 0, "{}", resumed.err);
    };
    let (printed, ()) = tokio::join!(world.infill(&args), steering);
    assert_eq!(printed.code, 0, "{}\n{}", printed.err, world.logs());
    assert!(printed.err.contains(" by ann; `infill resume "), "{}", printed.err);
    assert!(printed.err.contains("no longer paused"), "{}", printed.err);
    assert_eq!(world.latest().await.progress.counts.verified, n_rows as u64);
    world.check_no_second_write();
}

pub(crate) async fn a_run_cancelled_on_the_way_leaves_no_row_in_limbo<T: Tenant>(pair: Pair) {
    let n_rows = T::THREE_BATCHES;
    let mut setting = with_records::<T>(pair, n_rows);
    setting.env.push(("INFILL_WORKER_BATCHES_IN_FLIGHT".to_owned(), "1".to_owned()));
    let world = setting.start().await;
    world.meet(&[Trouble::SlowWrites]);
    let path = world.plan(&world.greeting(""));
    let args = ["run", path.to_str().expect("a path in UTF-8"), "--all"];
    let cancelling = async {
        world.until_written(5..n_rows).await;
        world.infill(&["cancel", "latest"]).await
    };
    let (printed, cancelled) = tokio::join!(world.infill(&args), cancelling);
    assert_eq!((printed.code, cancelled.code), (3, 0), "{}\n{}", printed.err, cancelled.err);
    let run = world.latest().await;
    assert_eq!(run.state, RunState::Cancelled);
    check_nothing_in_between(&world, &run).await;
    world.check_no_second_write();
}
