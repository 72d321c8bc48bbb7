//! One quota per connection for all its workers.

use infill_model::Outcome;
use infill_sim::hubspot::{LimitTier, Limits};

use crate::plans::{EVERYBODY, note};
use crate::world::{Pair, Setting, World};

/// Enough that the pull, the writes and the read-backs take more calls than fit in ten seconds.
const N_ROWS: usize = 6_000;

/// As the vendor enforces it, so it is configured: nothing is refused, and the allowance is used.
async fn nothing_is_refused(pair: Pair, workers: usize) {
    let setting = Setting {
        workers,
        connection: "calls_per_10_seconds = 190\n".into(),
        ..Setting::new(pair).contacts(N_ROWS)
    };
    let world = enforcing(setting, Limits::of(LimitTier::Professional)).await;
    let ended = world.run(&note(EVERYBODY, "")).await;
    ended.all(Outcome::Verified, N_ROWS as u64);
    let report = world.control.report();
    assert_eq!(report.total_throttled(), 0, "{report:?}");
    assert!(report.total_received() > 190, "{} calls prove nothing", report.total_received());
    // Most of the allowance is taken at once: a limiter that crawls would pass too.
    let worst = report.worst.ten_seconds_received;
    assert!((150..=190).contains(&worst), "{worst} calls in the fullest ten seconds");
}

async fn enforcing(mut setting: Setting, limits: Limits) -> World {
    setting.portal.limits = limits;
    setting.start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_engine_stays_inside_the_limit() {
    nothing_is_refused(Pair::Embedded, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_worker_stays_inside_the_limit() {
    nothing_is_refused(Pair::Distributed, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_workers_together_stay_inside_the_limit() {
    nothing_is_refused(Pair::Distributed, 3).await;
}

/// Somebody set a higher limit than the account has: refusals come, everybody cools down, and no row pays for it.
async fn refusals_cost_no_attempt(pair: Pair) {
    let setting =
        Setting { connection: "calls_per_10_seconds = 190\n".into(), ..Setting::new(pair).contacts(1_005) };
    let world = enforcing(setting, "30".parse().expect("limits")).await;
    let ended = world.run(&note(EVERYBODY, "")).await;
    ended.all(Outcome::Verified, 1_005);
    assert!(world.letters(&ended.run).await.is_empty());
    world.check_no_second_value();
    let report = world.control.report();
    assert!(report.total_throttled() > 0, "{report:?}");
    // Those that were under way when the first was refused are refused too; nobody keeps trying.
    assert!(report.total_throttled() < 40, "{report:?}");
    let said = format!("{}{}", ended.printed.err, world.all_logs());
    assert!(said.contains("attempt=1"), "{said}");
    assert!(!said.contains("attempt=2"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_cost_no_attempt_on_the_embedded_engine() {
    refusals_cost_no_attempt(Pair::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_cost_no_attempt_with_two_workers() {
    refusals_cost_no_attempt(Pair::Distributed).await;
}
