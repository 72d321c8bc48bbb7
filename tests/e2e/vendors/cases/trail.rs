//! Looking back at what was written, and letting go of it.

use infill_model::Outcome;

use super::{IN_BATCH, N_ROWS, usual};
use crate::vendors::Tenant;
use crate::world::{Pair, World};

/// What `infill why` says of the target of a record.
async fn why<T: Tenant>(world: &World<T>, object: &str, record: &str, more: &[&str]) -> String {
    let target = world.control.recipe().target;
    let printed = world.infill(&[&["why", "main", object, record, &target], more].concat()).await;
    assert_eq!(printed.code, 0, "{}", printed.err);
    printed.out
}

pub(crate) async fn a_record_tells_which_runs_wrote_it_and_whether_that_is_still_there<T: Tenant>(
    pair: Pair,
) {
    let world = usual::<T>(pair).await;
    let target = world.control.recipe().target;
    let (asked, changed) = (world.nth(IN_BATCH), world.nth(IN_BATCH + 1));
    let first = world.run(&world.greeting("")).await;
    first.all(Outcome::Verified, N_ROWS as u64);
    let second = world.run(&world.greeting("").replace("Hello", "Dear")).await;
    second.all(Outcome::Verified, N_ROWS as u64);
    world.control.type_in(&changed, &target, "Mine");
    let object = first.run.plan.source.object.as_str();

    let said = why(&world, object, &asked, &[]).await;
    let now = world.control.stored(&asked, &target);
    let (first_id, second_id) = (first.run.id.to_string(), second.run.id.to_string());
    assert!(said.contains(&format!("{target} holds {now}: written by run {second_id}")), "{said}");
    let newest_first = said.rfind(&second_id).zip(said.find(&first_id)).is_some_and(|(new, old)| new < old);
    assert!(newest_first, "{said}");
    for part in
        ["(empty) → Hello ", " → Dear ", "read back and equal", "from ", "by note: formatted_data = Dear "]
    {
        assert!(said.contains(part), "\"{part}\" in {said}");
    }
    let said = why(&world, object, &changed, &[]).await;
    assert!(said.contains(&format!("holds Mine: somebody changed it since run {second_id}")), "{said}");

    let undone = world.infill(&["undo", "latest"]).await;
    assert_eq!(undone.code, 1, "{}", undone.err);
    let said = why(&world, object, &asked, &["--format", "json"]).await;
    let story: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(story["runs"].as_array().map(Vec::len), Some(3), "{said}");
    assert_eq!(
        (&story["runs"][0]["undoes"], &story["runs"][1]["run"]),
        (&second_id.as_str().into(), &second_id.as_str().into())
    );
    assert_eq!(story["properties"][0]["standing"], "ours", "the undo's");
    let elsewhere = why(&world, object, &world.nth(0), &[]).await;
    assert!(!elsewhere.contains(&now), "another record's value: {elsewhere}");
}

pub(crate) async fn a_purged_run_keeps_its_counts_and_cannot_be_taken_back<T: Tenant>(pair: Pair) {
    let world = usual::<T>(pair).await;
    let ended = world.run(&world.greeting("")).await;
    ended.all(Outcome::Verified, N_ROWS as u64);
    let unasked = world.infill(&["purge", "latest"]).await;
    assert_eq!(unasked.code, 2, "{}", unasked.out);
    assert!(unasked.err.contains("the values of 30 rows of run"), "{}", unasked.err);
    let purged = world.infill(&["purge", "latest", "--yes"]).await;
    assert_eq!(purged.code, 0, "{}", purged.err);

    let n_writes = world.control.writes().len();
    for (args, so) in [
        (&["undo", "latest"][..], "it can no longer be taken back"),
        (&["rows", "latest"], "its rows can no longer be listed"),
    ] {
        let refused = world.infill(args).await;
        assert_eq!(refused.code, 2, "{args:?} {}", refused.out);
        assert!(refused.err.contains("were purged on ") && refused.err.contains(so), "{}", refused.err);
    }
    assert_eq!(world.control.writes().len(), n_writes, "something was written");
    let shown = world.infill(&["show", "latest"]).await.out;
    assert!(shown.contains("purged ") && shown.contains("30 pulled, 30 settled"), "{shown}");
    let record = world.nth(IN_BATCH);
    let said = why(&world, ended.run.plan.source.object.as_str(), &record, &[]).await;
    assert!(said.contains("the values of 1 run on "), "{said}");
}
