//! HubSpot's limits, and storms of refusals: waited out, at no row's cost.

use std::time::Duration;

use infill_model::row::RowState;
use infill_model::{Outcome, RunState, Timestamp};
use infill_sim::hubspot::{Limits, Operation};
use infill_store::store::Run;
use jiff::tz::TimeZone;

use crate::both_engines;
use crate::plans::{EVERYBODY, note};
use crate::world::World;

/// Every row of a run that ended early was either not begun, and nothing of it was sent, or it has an outcome.
pub(crate) async fn check_no_limbo(world: &World, run: &Run) {
    let written = world.control.writes_per_record("contacts").unwrap();
    for (row, result) in world.rows(run).await {
        let was_sent = written.contains_key(&row.record.as_str().parse().unwrap());
        let fits = match result.state {
            RowState::Pending => !was_sent,
            RowState::Settled(Outcome::Verified | Outcome::Written) => was_sent,
            // A paused run goes on with what its rows are to get.
            RowState::Intended => !run.state.is_final() && !was_sent,
            RowState::Settled(_) | RowState::Refused | RowState::Confirmed => false,
        };
        assert!(fits, "record {} is {:?}, sent: {was_sent}", row.record, result.state);
    }
}

both_engines! {
    async fn a_storm_of_429_cools_the_connection_down_and_costs_no_attempt(setting: Setting) {
        let mut setting =
            setting.contacts(1_005).faults("429,policy=secondly,op=batch-update,after=1,count=6");
        // One second, in place of the ten that a refusal means by itself.
        setting.portal.switches.retry_after = true;
        let world = setting.start().await;
        let ended = world.run(&note(EVERYBODY, "")).await;
        ended.all(Outcome::Verified, 1_005);
        let report = world.control.report();
        assert_eq!(report.total_throttled(), 6);
        assert_eq!(report.most_writes_of_one_property, 1);
    }

    async fn a_storm_of_503_is_tried_again_until_it_is_over(setting: Setting) {
        let world = setting
            .contacts(1_005)
            .faults("503,op=batch-update,after=1,count=8;502,op=batch-read,count=2")
            .start()
            .await;
        let ended = world.run(&note(EVERYBODY, "")).await;
        ended.all(Outcome::Verified, 1_005);
        let report = world.control.report();
        assert_eq!(
            (report.calls(Operation::BatchUpdate).failed, report.calls(Operation::BatchRead).failed),
            (8, 2)
        );
        world.check_no_second_value();
    }

    async fn a_spent_day_parks_the_run_until_the_accounts_midnight(setting: Setting) {
        let mut setting = setting.contacts(505);
        setting.portal.limits = Limits { daily: Some(20), ..Limits::unlimited() };
        let world = setting.start().await;
        let path = world.plan(&note(EVERYBODY, ""));
        let args = ["run", path.to_str().unwrap(), "--all"];
        let parking = async {
            let run = world.until("the run is parked", |run| run.parked.is_some()).await;
            let shown = world.infill(&["show", "latest"]).await;
            let cancelled = world.infill(&["cancel", "latest"]).await;
            assert_eq!(cancelled.code, 0, "{}", cancelled.err);
            (run.parked.unwrap(), shown)
        };
        let (printed, (parked, shown)) = tokio::join!(world.infill(&args), parking);
        let now = Timestamp::from_millisecond(world.control.now_ms()).unwrap();
        let here = now.to_zoned(TimeZone::get("America/New_York").unwrap());
        let midnight = here.tomorrow().unwrap().start_of_day().unwrap().timestamp();
        let off = Duration::try_from(parked.until.duration_since(midnight).abs()).unwrap();
        assert!(off <= Duration::from_secs(5), "parked until {} and not {midnight}", parked.until);
        assert!(parked.why.contains("they start anew at the account's midnight"), "{}", parked.why);
        assert!(shown.out.contains("they start anew at the account's midnight"), "{}", shown.out);

        // A cancelled run does not wait for midnight, and nothing of it is in limbo.
        assert_eq!(printed.code, 3, "{}", printed.err);
        let run = world.latest().await;
        assert_eq!(run.state, RunState::Cancelled);
        assert!(world.letters(&run).await.is_empty(), "a spent day is no row's fault");
        check_no_limbo(&world, &run).await;
        assert_eq!(world.control.report().calls(Operation::BatchUpdate).throttled.min(1), 1);
    }

    async fn a_run_cancelled_while_its_batches_wait_for_another_try_ends_with_nothing_in_limbo(
        setting: Setting,
    ) {
        let world = setting
            .contacts(1_005)
            .faults("lost-504,op=batch-update,after=3;503,op=batch-update,after=2,every=2")
            .start()
            .await;
        let path = world.plan(&note(EVERYBODY, ""));
        let args = ["run", path.to_str().unwrap(), "--all"];
        let cancelling = async {
            world.until("batches are written", |run| run.progress.counts.total() > 5).await;
            world.infill(&["cancel", "latest"]).await
        };
        let (printed, cancelled) = tokio::join!(world.infill(&args), cancelling);
        assert!(
            cancelled.out.contains("batches in flight finish and keep their outcomes, nothing else is sent"),
            "{}",
            cancelled.out
        );
        let run = world.latest().await;
        assert_eq!((run.state, printed.code), (RunState::Cancelled, 3), "{}", printed.err);
        assert!(
            printed.out.contains("cancelled by hand; rows that had not begun were not touched"),
            "{}",
            printed.out
        );
        check_no_limbo(&world, &run).await;
        assert!(world.letters(&run).await.is_empty());
        let settled = world.control.report().records_written;
        assert_eq!(u64::try_from(settled).unwrap(), run.progress.counts.total());
    }
}
