//! Which records a run covers, and what becomes of those that go.

use infill_model::{Outcome, RunState};

use super::{IN_BATCH, N_ROWS, check_all_but, usual};
use crate::vendors::{Merging, Tenant};
use crate::world::Pair;

pub(crate) async fn a_slice_that_loses_its_members_to_the_write_is_covered_whole<T: Tenant>(pair: Pair) {
    let world = usual::<T>(pair).await;
    let recipe = world.control.recipe();
    let (without, property) = &recipe.without;
    let plan = world.greeting("").replace(recipe.everybody, without).replace(&recipe.target, property);
    world.run(&plan).await.all(Outcome::Verified, N_ROWS as u64);
    assert_eq!(world.n_written(), N_ROWS);
}

pub(crate) async fn records_that_meet_a_condition_are_pulled_alone<T: Tenant>(pair: Pair) {
    const CHOSEN: [usize; 3] = [3, 17, 29];
    let world = usual::<T>(pair).await;
    let recipe = world.control.recipe();
    let chosen = CHOSEN.map(|place| world.nth(place));
    for record in &chosen {
        world.control.type_in(record, recipe.inputs[0], "Chosen");
    }
    let (object, _) = recipe.everybody.split_once(',').expect("an object and a slice");
    let condition = format!("{{ variable: {}, operator: is, values: [Chosen] }}", recipe.inputs[0]);
    let source = format!("{object}, filter: [{condition}] }}");
    let ended = world.run(&world.greeting("").replace(recipe.everybody, &source)).await;
    ended.all(Outcome::Verified, CHOSEN.len() as u64);
    let mut found = ended.ids(Outcome::Verified);
    found.sort_unstable();
    assert_eq!(found, chosen);
}

pub(crate) async fn a_cap_is_kept<T: Tenant>(pair: Pair) {
    let world = usual::<T>(pair).await;
    let everybody = world.control.recipe().everybody;
    let capped = everybody.replace(" }", ", max_count: 12 }");
    let ended = world.run(&world.greeting("").replace(everybody, &capped)).await;
    ended.all(Outcome::Verified, 12);
    assert_eq!(world.n_written(), 12);
    assert!(ended.printed.err.contains("warning: capped at 12"), "{}", ended.printed.err);
}

pub(crate) async fn an_empty_slice_is_said_aloud<T: Tenant>(pair: Pair) {
    let world = usual::<T>(pair).await;
    let recipe = world.control.recipe();
    let ended = world.run(&world.greeting("").replace(recipe.everybody, recipe.nobody)).await;
    assert_eq!((ended.run.state, ended.printed.code), (RunState::Empty, 0), "{}", ended.printed.err);
    let said = "the slice holds no record, so there was nothing to do";
    assert!(ended.printed.out.contains(said), "{}", ended.printed.out);
    assert!(world.control.writes().is_empty());
}

pub(crate) async fn a_record_deleted_between_pull_and_write_is_gone<T: Tenant>(pair: Pair) {
    let world = usual::<T>(pair).await;
    let lost = world.nth(IN_BATCH);
    let ended = world.run_changed(&world.greeting(""), |tenant| tenant.drop_record(&lost), "").await;
    check_all_but(&ended, Outcome::Gone, &lost);
    assert!(world.letters(&ended.run).await.is_empty(), "gone is no failure");
    assert_eq!(world.n_written(), N_ROWS - 1);
}

pub(crate) async fn a_merged_record_is_gone_with_its_survivor<T: Merging>(pair: Pair) {
    let world = usual::<T>(pair).await;
    let (lost, survivor) = (world.nth(IN_BATCH), world.nth(IN_BATCH + 1));
    let merge = |tenant: &T| tenant.merge_into(&survivor, &lost);
    let ended = world.run_changed(&world.greeting(""), merge, "").await;
    check_all_but(&ended, Outcome::Gone, &lost);
    assert_eq!(ended.result(&lost).survivor.as_ref().map(|id| id.as_str()), Some(survivor.as_str()));
    world.check_no_second_write();
    assert_eq!(world.n_written(), N_ROWS - 1);
}
