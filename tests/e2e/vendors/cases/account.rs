//! The account as a whole: plans that do not fit it, its logins, its limits.

use std::time::Duration;

use infill_model::{Clock, Outcome, RunState};
use infill_store::store::Run;
use infill_testkit::SystemClock;

use super::{IN_BATCH, N_ROWS, usual, with_records};
use crate::login::VAULT_KEY;
use crate::secrets::check_absent;
use crate::vendors::{Tenant, Trouble};
use crate::world::{Pair, Printed, Setting, World};

/// More than a day, whatever the vendor means by it.
const PAST_THE_DAY: Duration = Duration::from_secs(25 * 3_600);

/// Days that a run may take whose every day is as long as its first one was until the middle of the run.
const MOST_DAYS: usize = 10;

pub(crate) async fn a_plan_that_does_not_fit_the_account_is_refused<T: Tenant>(pair: Pair) {
    let world = usual::<T>(pair).await;
    let (plan, recipe) = (world.greeting(""), world.control.recipe());
    let target = format!("\"{}\"", recipe.target);
    let mut misspelt = recipe.target.clone();
    misspelt.pop();
    let nearest = format!("did you mean \"{}\"", recipe.target);
    world.check_not_begun(&plan.replace(&recipe.target, &misspelt), &["has no property", &nearest]).await;

    let read_only = format!("\"{}\"", recipe.read_only);
    world.check_not_begun(&plan.replace(&target, &read_only), &[&read_only, "cannot be written"]).await;

    let (property, wrong, near) = &recipe.options;
    let with_options = plan.replace(&target, &format!("\"{property}\""));
    let with_options = with_options.replace("\"{{note.formatted_data}}\"", wrong);
    let near = format!("did you mean \"{near}\"");
    world.check_not_begun(&with_options, &["is none of", &near]).await;

    world.check_not_begun(&plan.replace(recipe.everybody, recipe.nowhere), &[]).await;
}

pub(crate) async fn nothing_secret_is_left_behind<T: Tenant>(pair: Pair) {
    for has_login in [false, true] {
        let mut setting = with_records::<T>(pair, N_ROWS);
        if has_login {
            setting = setting.with_login();
        }
        setting.env.push(("INFILL_LOG".to_owned(), "trace".to_owned()));
        let world = setting.start().await;
        let guilty = world.nth(IN_BATCH);
        let ended = world.run_among(&[Trouble::BadRow(&guilty), Trouble::Unavailable(1)]).await;
        let shown = world.infill(&["show", "latest", "--format", "json"]).await;
        let Printed { out, err, .. } = &ended.printed;
        let all = [&world.left_behind().await, out, err, &shown.out, &shown.err].map(String::as_str).concat();
        assert!(
            all.contains(&guilty) && all.contains("TRACE"),
            "what was looked through is not what it should be"
        );
        for secret in [T::TOKEN, T::APP.client_secret, T::APP.refresh_token, VAULT_KEY] {
            check_absent(secret, &all);
        }
    }
}

pub(crate) async fn a_refresh_token_used_up_by_two_workers_at_once_is_renewed_once<T: Tenant>(pair: Pair) {
    // One message at a time, so that the two batches are with two workers.
    let one_at_a_time = ("INFILL_WORKER_CONCURRENCY".to_owned(), "1".to_owned());
    let n_rows = T::THREE_BATCHES;
    let mut setting = Setting::<T>::of(pair, T::rotating(T::with_records(n_rows)));
    if pair == Pair::Distributed {
        setting.env.push(one_at_a_time);
    }
    let world = setting.with_login().start().await;
    world.meet(&[Trouble::SlowWrites]);
    let expiring = async {
        world.until_written(5..n_rows - 20).await;
        world.until_written(n_rows - 20..n_rows).await;
        // Whoever refreshes first is still at it when the other one finds out.
        world.meet(&[Trouble::SlowLogins]);
        world.control.end_tokens();
    };
    let plan = world.greeting("");
    let (ended, ()) = tokio::join!(world.run(&plan), expiring);
    ended.all(Outcome::Verified, n_rows as u64);
    world.check_no_second_value();
    let n_refused = world.control.unauthorized();
    // Within one process the others are told before they find out.
    let n_processes = if pair == Pair::Distributed { 2 } else { 1 };
    assert!(n_refused >= n_processes, "{n_refused} calls found the login expired");
    assert_eq!(world.control.logins(), 2, "one for the start and one for the expired token");

    // Where refresh tokens rotate, that of the configuration is worth nothing by now.
    world.set_faults("");
    world.control.end_tokens();
    world.run(&plan).await.all(Outcome::Unchanged, n_rows as u64);
    assert_eq!(world.control.logins(), 3);
}

pub(crate) async fn a_revoked_login_pauses_the_connection_and_a_mended_one_goes_on<T: Tenant>(pair: Pair) {
    let n_rows = T::THREE_BATCHES;
    let mut world = with_records::<T>(pair, n_rows).with_login().start().await;
    world.meet(&[Trouble::SlowWrites]);
    let path = world.plan(&world.greeting(""));
    let args = ["run", path.to_str().expect("a path in UTF-8"), "--all"];
    let revoking = async {
        world.until_written(5..n_rows).await;
        world.control.revoke();
    };
    let (printed, ()) = tokio::join!(world.infill(&args), revoking);
    assert_eq!(printed.code, 3, "{}", printed.err);
    assert!(printed.err.contains("connection main is paused"), "{}", printed.err);
    let run = world.latest().await;
    assert_eq!((run.state, run.progress.counts.failed), (RunState::Running, 0));
    assert!(world.letters(&run).await.is_empty(), "a lost login is no row's fault");

    // A person lets the app in again and configures what it was given.
    world.control.approve("fresh-refresh-token");
    world.set_env("SIM_REFRESH_TOKEN", "fresh-refresh-token");
    world.set_faults("");
    world.restart_crew().await;
    let resumed = world.infill(&["run", "--resume", "latest"]).await;
    assert_eq!(resumed.code, 0, "{}\n{}", resumed.err, world.logs());
    world.until_whole(run.id, n_rows as u64).await;
}

pub(crate) async fn refusals_of_too_many_calls_cost_no_attempt<T: Tenant>(pair: Pair) {
    let world = usual::<T>(pair).await;
    let ended = world.run_among(&[Trouble::Throttled(1)]).await;
    ended.all(Outcome::Verified, N_ROWS as u64);
    world.check_no_second_write();
    let said = format!("{}{}", ended.printed.err, world.all_logs());
    assert!(said.contains("attempt=1") && !said.contains("attempt=2"), "{said}");
}

/// Lets day after day pass, each as soon as it is spent, until the run ends.
async fn days_go_by<T: Tenant>(world: &World<T>) -> Run {
    for _ in 0..MOST_DAYS {
        world.pass(PAST_THE_DAY).await;
        let waits = |run: &Run| run.parked.as_ref().is_some_and(|parked| parked.until > SystemClock.now());
        let fits = |run: &Run| run.state.is_final() || waits(run);
        let run = world.until("the run ends, or another day is spent", fits).await;
        if run.state.is_final() {
            return run;
        }
    }
    panic!("{MOST_DAYS} days were not enough\n{}", world.logs());
}

pub(crate) async fn a_day_spent_on_the_way_parks_the_run_and_it_goes_on_after_midnight<T: Tenant>(
    pair: Pair,
) {
    let one_batch_at_a_time = ("INFILL_WORKER_BATCHES_IN_FLIGHT".to_owned(), "1".to_owned());
    let n_rows = T::THREE_BATCHES;
    let mut setting = with_records::<T>(pair, n_rows);
    setting.env.push(one_batch_at_a_time);
    let world = setting.start().await;
    world.meet(&[Trouble::SlowWrites]);
    let spending = async {
        world.until_written(5..n_rows).await;
        world.control.allow_a_day(Some(world.control.spent_today()));
        let run = world.until("the run is parked", |run| run.parked.is_some()).await;
        assert_eq!(run.state, RunState::Running);
        assert!(run.progress.counts.total() < n_rows as u64, "{:?}", run.progress);
        assert!(world.n_written() < n_rows, "the day was enough for everybody");
        assert!(world.letters(&run).await.is_empty(), "a spent day is no row's fault");
        world.set_faults("");
        let run = days_go_by(&world).await;
        assert_eq!(run.state, RunState::Completed, "{run:?}");
    };
    let plan = world.greeting("");
    let (ended, ()) = tokio::join!(world.run(&plan), spending);
    ended.all(Outcome::Verified, n_rows as u64);
    world.check_no_second_value();
    let said = format!("{}{}", ended.printed.err, world.all_logs());
    assert!(said.contains("attempt=1") && !said.contains("attempt=2"), "{said}");
}
