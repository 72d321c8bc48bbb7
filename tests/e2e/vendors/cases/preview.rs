//! Looking before anything is written, and a person's say over it.

use infill_model::{Outcome, RunState};

use super::{IN_BATCH, IN_CANARY, N_ROWS, usual};
use crate::vendors::Tenant;
use crate::world::{Ended, Pair, World};

/// Runs a command about the latest run to its end, and checks that portal and store agree.
async fn go_on<T: Tenant>(world: &World<T>, args: &[&str]) -> Ended {
    let printed = world.infill(args).await;
    let run = world.latest().await;
    let rows = world.rows(&run).await;
    let ended = Ended { printed, run, rows };
    world.check_agreement(&ended);
    ended
}

pub(crate) async fn a_dry_run_changes_nothing_and_its_apply_changes_exactly_that<T: Tenant>(pair: Pair) {
    let world = usual::<T>(pair).await;
    let target = world.control.recipe().target;
    let (theirs, had) = (world.nth(IN_BATCH), world.nth(IN_CANARY));
    world.control.type_in(&had, &target, "Before");
    world.control.forget();
    let dry = world.run_with(&world.greeting(""), &["--dry-run"]).await;
    assert_eq!((dry.run.state, dry.printed.code), (RunState::Previewed, 0), "{}", dry.printed.err);
    assert_eq!(world.n_written(), 0, "a dry run wrote");
    assert!(dry.printed.out.contains("infill apply"), "{}", dry.printed.out);
    let page = world.infill(&["preview", "latest", "--format", "json"]).await;
    let page: serde_json::Value = serde_json::from_str(&page.out).expect("JSON");
    assert_eq!(
        (&page["fates"]["change"], page["rows"].as_array().map(Vec::len)),
        (&N_ROWS.into(), Some(N_ROWS))
    );

    world.control.type_in(&theirs, &target, "Theirs");
    world.control.forget();
    let stale = world.infill(&["apply", "latest", "--digest", "000000000000"]).await;
    assert_eq!((stale.code, world.n_written()), (2, 0), "{}", stale.err);
    assert!(stale.err.contains("what was looked at is not what would be written"), "{}", stale.err);
    let digest = page["digest"].as_str().expect("a digest");
    let applied = go_on(&world, &["apply", "latest", "--digest", digest]).await;
    assert_eq!(
        (applied.run.state, applied.printed.code),
        (RunState::Completed, 1),
        "{}",
        applied.printed.err
    );
    assert_eq!(applied.ids(Outcome::Held), [theirs.as_str()]);
    assert_eq!(applied.count(Outcome::Verified), N_ROWS as u64 - 1);
    for row in page["rows"].as_array().expect("rows") {
        let record = row["record"].as_str().expect("a record");
        let expected = if record == theirs { "Theirs" } else { row["new"].as_str().expect("a value") };
        assert_eq!(world.control.stored(record, &target), expected, "record {record}");
    }
    let again = world.infill(&["apply", "latest"]).await;
    assert_eq!(again.code, 2, "{}", again.err);
    assert!(again.err.contains("was approved already, by"), "{}", again.err);
}

pub(crate) async fn a_run_that_would_change_too_much_stops_before_it_writes<T: Tenant>(pair: Pair) {
    let world = usual::<T>(pair).await;
    let stopped = world.run(&world.greeting("max_changed: 50%")).await;
    assert_eq!((stopped.run.state, stopped.printed.code), (RunState::Stopped, 3), "{}", stopped.printed.err);
    assert_eq!(stopped.run.cause.as_ref().map(|cause| cause.code.as_str()), Some("too_many_changes"));
    assert_eq!((world.n_written(), stopped.run.progress.intended), (0, N_ROWS as u64));
    let most = format!("max_changed: {N_ROWS}");
    world.run(&world.greeting(&most)).await.all(Outcome::Verified, N_ROWS as u64);
    world.check_no_second_write();
}

pub(crate) async fn a_run_waits_after_its_canary_for_one_of_two_who_approve_it<T: Tenant>(pair: Pair) {
    let mut world = usual::<T>(pair).await;
    let waits = world.run(&world.greeting("approve: manual")).await;
    assert_eq!((waits.run.state, waits.printed.code), (RunState::Waiting, 4), "{}", waits.printed.err);
    let n_canary = world.n_written();
    assert_eq!(waits.count(Outcome::Verified), n_canary as u64);
    assert!((1..N_ROWS).contains(&n_canary), "{n_canary} rows were written");
    let approve = async |who| world.infill(&["approve", "latest", "--as", who]).await;
    let (ann, ben) = tokio::join!(approve("ann"), approve("ben"));
    let mut codes = [ann.code, ben.code];
    codes.sort_unstable();
    assert_eq!(codes, [0, 2], "{}{}", ann.err, ben.err);
    world.take_up();
    world.until_whole(waits.run.id, N_ROWS as u64).await;
    let (heard, late) = if ann.code == 0 { ("ann", &ben) } else { ("ben", &ann) };
    assert!(late.err.contains(&format!("was approved already, by {heard}")), "{}", late.err);
    let audit = world.infill(&["audit", "--run", "latest"]).await;
    assert_eq!(audit.out.matches("run-approved").count(), 1, "{}", audit.out);

    let second = world.run(&world.greeting("approve: manual\ncanary: 0").replace("Hello", "Dear")).await;
    assert_eq!(
        (second.run.state, second.count(Outcome::Verified)),
        (RunState::Waiting, 0),
        "previewed first"
    );
    let rejected = go_on(&world, &["reject", "latest", "--why", "too dear"]).await;
    assert_eq!((rejected.run.state, rejected.printed.code), (RunState::Cancelled, 0));
    let why = rejected.run.cause.map(|cause| cause.message).unwrap_or_default();
    assert!(why.contains("too dear") && why.contains("nothing was written"), "{why}");
}

pub(crate) async fn rows_refused_in_a_preview_fail_when_it_is_applied_and_not_before<T: Tenant>(pair: Pair) {
    let world = usual::<T>(pair).await;
    let plan = world
        .greeting("")
        .replace("return \"Hello", "if ({{input.FIRST}} === \"Nobody\") throw 1; return \"Hello");
    let plan = plan.replace("FIRST", world.control.recipe().inputs[0]);
    let guilty = world.nth(IN_CANARY);
    world.control.type_in(&guilty, world.control.recipe().inputs[0], "Nobody");
    world.control.forget();
    let dry = world.run_with(&plan, &["--dry-run"]).await;
    assert_eq!(
        (dry.run.progress.refused, dry.run.progress.intended),
        (1, N_ROWS as u64 - 1),
        "{}",
        dry.printed.out
    );
    let letters = async || world.infill(&["dead-letters", "list", "--format", "json"]).await.out;
    assert_eq!(letters().await.trim(), "[]", "a dry run leaves no dead letter");
    let applied = go_on(&world, &["apply", "latest"]).await;
    assert_eq!(
        (applied.run.state, applied.ids(Outcome::Failed)),
        (RunState::Completed, vec![guilty.as_str()])
    );
    assert!(letters().await.contains(&guilty));
}
