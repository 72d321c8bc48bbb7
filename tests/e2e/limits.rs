//! HubSpot's limits, and storms of refusals: waited out, at no row's cost.

use std::time::Duration;

use infill_model::row::RowState;
use infill_model::{Outcome, RunState, Timestamp};
use infill_sim::hubspot::{Limits, Operation};
use jiff::tz::TimeZone;

use crate::both_engines;
use crate::plans::{EVERYBODY, note};

both_engines! {
    async fn a_storm_of_429_cools_the_connection_down_and_costs_no_attempt(setting: Setting) {
        let world = setting.contacts(1_005).faults("429,op=batch-update,after=1,count=8").start().await;
        let ended = world.run(&note(EVERYBODY, "")).await;
        ended.all(Outcome::Verified, 1_005);
        let report = world.control.report();
        assert_eq!(report.total_throttled(), 8, "nobody calls while the connection cools down");
        assert_eq!(report.most_writes_of_one_property, 1);
        assert!(ended.printed.err.contains("waiting until"), "{}", ended.printed.err);
        assert!(ended.printed.err.contains("the CRM asked for a pause on this connection"), "{}", ended.printed.err);
    }

    async fn a_storm_of_503_is_tried_again_until_it_is_over(setting: Setting) {
        let world = setting.contacts(1_005).faults("503,op=batch-update,after=1,count=8;502,op=batch-read,count=2").start().await;
        let ended = world.run(&note(EVERYBODY, "")).await;
        ended.all(Outcome::Verified, 1_005);
        let report = world.control.report();
        assert_eq!((report.calls(Operation::BatchUpdate).failed, report.calls(Operation::BatchRead).failed), (8, 2));
        world.check_no_second_value();
    }

    async fn the_burst_limit_is_kept_without_a_single_429(setting: Setting) {
        let mut setting = setting.contacts(905);
        setting.portal.limits = Limits { ten_seconds: Some(30), ..Limits::unlimited() };
        setting.connection = "calls_per_10_seconds = 30\n".into();
        let world = setting.start().await;
        world.run(&note(EVERYBODY, "")).await.all(Outcome::Verified, 905);
        let report = world.control.report();
        assert_eq!(report.total_throttled(), 0);
        assert!(report.worst.ten_seconds_received <= 30, "{:?}", report.worst);
        assert!(report.total_received() > 30, "the limit was never met");
    }

    async fn a_spent_day_parks_the_run_until_the_accounts_midnight(setting: Setting) {
        let mut setting = setting.contacts(505);
        setting.portal.limits = Limits { daily: Some(20), ..Limits::unlimited() };
        let world = setting.start().await;
        let path = world.plan(&note(EVERYBODY, ""));
        let args = ["run", path.to_str().unwrap(), "--all"];
        let parking = async {
            let run = world.until("the run is parked", |run| run.parked.is_some()).await;
            let cancelled = world.infill(&["cancel", "latest"]).await;
            assert_eq!(cancelled.code, 0, "{}", cancelled.err);
            run
        };
        let (printed, parked) = tokio::join!(world.infill(&args), parking);
        let parked = parked.parked.unwrap();
        let now = Timestamp::from_millisecond(world.control.now_ms()).unwrap();
        let here = now.to_zoned(TimeZone::get("America/New_York").unwrap());
        let midnight = here.tomorrow().unwrap().start_of_day().unwrap().timestamp();
        let off = Duration::try_from(parked.until.duration_since(midnight).abs()).unwrap();
        assert!(off <= Duration::from_secs(5), "parked until {} and not {midnight}", parked.until);
        assert!(parked.why.contains("midnight"), "{}", parked.why);

        assert_eq!(printed.code, 3, "{}", printed.err);
        assert!(printed.err.contains(&format!("waiting until {}", parked.until)), "{}", printed.err);
        let run = world.latest().await;
        assert_eq!(run.state, RunState::Cancelled);
        assert!(world.letters(&run).await.is_empty(), "a spent day is no row's fault");
        for (row, result) in world.rows(&run).await {
            let fits = matches!(result.state, RowState::Pending | RowState::Intended | RowState::Settled(Outcome::Verified));
            assert!(fits, "record {} is {:?}", row.record, result.state);
        }
        assert_eq!(world.control.report().calls(Operation::BatchUpdate).throttled.min(1), 1);
    }
}
