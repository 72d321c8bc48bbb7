//! Plans that take only new records, or only changed ones: what earlier runs have seen is left out or left as it is.

use infill_model::{Outcome, RunState};

use super::{IN_BATCH, IN_CANARY, N_ROWS, check_all_but, killed_while, usual};
use crate::vendors::trouble::Call;
use crate::vendors::{Tenant, Trouble};
use crate::world::{Ended, Pair, World};

impl<T: Tenant> World<T> {
    /// The usual plan for the records that a person has chosen, taking the new ones alone.
    fn greeting_chosen(&self) -> String {
        let recipe = self.control.recipe();
        let (object, _) = recipe.everybody.split_once(',').expect("an object and a slice");
        let condition = format!("{{ variable: {}, operator: is, values: [Chosen] }}", recipe.inputs[0]);
        let source = format!("{object}, filter: [{condition}], only: new }}");
        self.greeting("").replace(recipe.everybody, &source)
    }

    fn choose(&self, places: std::ops::Range<usize>) -> Vec<String> {
        let chosen: Vec<String> = places.map(|place| self.nth(place)).collect();
        let input = self.control.recipe().inputs[0];
        chosen.iter().for_each(|record| self.control.type_in(record, input, "Chosen"));
        chosen
    }
}

/// The run ended without a row, well, and said why.
#[track_caller]
fn check_nothing_new(ended: &Ended, n_seen: usize) {
    assert_eq!((ended.run.state, ended.printed.code), (RunState::Empty, 0), "{}", ended.printed.err);
    let said =
        format!("nothing new: {n_seen} records were seen by an earlier run, so there was nothing to do");
    assert!(ended.printed.out.contains(&said), "{}", ended.printed.out);
    let progress = &ended.run.progress;
    assert_eq!((progress.ids, progress.chunks, progress.rows), (0, 0, 0), "nothing is read");
}

pub(crate) async fn new_records_alone_are_pulled_and_worked_on<T: Tenant>(pair: Pair) {
    let world = usual::<T>(pair).await;
    let first = world.choose(0..8);
    let ended = world.run(&world.greeting_chosen()).await;
    ended.all(Outcome::Verified, first.len() as u64);
    let said = "so every record counts as new";
    assert!(ended.printed.err.contains(said), "{}", ended.printed.err);
    world.control.forget();
    check_nothing_new(&world.run(&world.greeting_chosen()).await, first.len());
    assert_eq!((world.control.write_calls(), world.n_written()), (0, 0));
    let joined = world.choose(10..13);
    let ended = world.run(&world.greeting_chosen()).await;
    ended.all(Outcome::Verified, 3);
    let mut found = ended.ids(Outcome::Verified);
    found.sort_unstable();
    assert_eq!(found, joined);
    assert_eq!((ended.rows.len(), world.n_written()), (3, 3));
    let said = "8 records were seen by an earlier run: left out";
    assert!(ended.printed.out.contains(said), "{}", ended.printed.out);
}

pub(crate) async fn a_cap_counts_new_records_and_the_next_run_goes_on_from_there<T: Tenant>(pair: Pair) {
    let world = usual::<T>(pair).await;
    let plan = world.greeting_taking(", max_count: 12, only: new");
    // It never verified a row.
    world.run_with(&plan, &[]).await.all(Outcome::Verified, 5);
    let second = world.run_with(&plan, &[]).await;
    second.all(Outcome::Verified, 12);
    assert!(second.printed.err.contains("warning: capped at 12"), "{}", second.printed.err);
    world.run_with(&plan, &["--limit", "3"]).await.all(Outcome::Verified, 3);
    world.run_with(&plan, &[]).await.all(Outcome::Verified, 10);
    check_nothing_new(&world.run_with(&plan, &[]).await, N_ROWS);
    assert_eq!(world.n_written(), N_ROWS);
    world.check_no_second_write();
}

pub(crate) async fn changed_records_alone_are_evaluated_and_written<T: Tenant>(pair: Pair) {
    let world = usual::<T>(pair).await;
    let plan = world.greeting_taking(", only: changed");
    world.run(&plan).await.all(Outcome::Verified, N_ROWS as u64);
    world.control.forget();
    let changed = world.nth(IN_BATCH);
    world.control.type_in(&changed, world.control.recipe().inputs[0], "Changed");
    // What is written is no input.
    world.control.type_in(&world.nth(IN_CANARY), &world.control.recipe().target, "Somebody else's");
    let n_typed = world.control.writes().len();
    let ended = world.run(&plan).await;
    assert_eq!((ended.run.state, ended.printed.code), (RunState::Completed, 0), "{}", ended.printed.err);
    assert_eq!(ended.ids(Outcome::Verified), [&changed]);
    assert_eq!(ended.count(Outcome::Skipped), N_ROWS as u64 - 1);
    assert_eq!(world.control.writes().len() - n_typed, 1);
    for (row, result) in ended.rows.iter().filter(|(row, _)| row.record.as_str() != changed) {
        let code = result.cause.as_ref().map(|cause| cause.code.as_str());
        assert_eq!(code, Some("inputs_unchanged"), "record {}", row.record);
        assert!(result.cells.is_empty(), "record {} was evaluated", row.record);
    }
    let said = "29 records have the inputs of an earlier run: skipped";
    assert!(ended.printed.out.contains(said), "{}", ended.printed.out);
    world.control.forget();
    let again = world.run(&plan).await;
    again.all(Outcome::Skipped, N_ROWS as u64);
    assert!(again.printed.out.contains("nothing has changed: 30 records"), "{}", again.printed.out);
    assert_eq!(world.control.write_calls(), 0);
}

pub(crate) async fn a_row_that_failed_comes_again<T: Tenant>(pair: Pair) {
    for only in [", only: new", ", only: changed"] {
        let world = usual::<T>(pair).await;
        let (plan, bad) = (world.greeting_taking(only), world.nth(IN_BATCH));
        world.meet(&[Trouble::BadRow(&bad)]);
        check_all_but(&world.run(&plan).await, Outcome::Failed, &bad);
        world.set_faults("");
        world.control.forget();
        let ended = world.run(&plan).await;
        assert_eq!((ended.ids(Outcome::Verified), ended.printed.code), (vec![bad.as_str()], 0), "{only}");
        let n_skipped = ended.count(Outcome::Skipped);
        assert_eq!(n_skipped, if only.ends_with("new") { 0 } else { N_ROWS as u64 - 1 });
        assert_eq!(world.n_written(), 1);
    }
}

pub(crate) async fn a_process_killed_after_a_write_leaves_nothing_new_behind<T: Tenant>(pair: Pair) {
    for call in [Call::Writing, Call::ReadingBack] {
        let world = killed_while::<T>(pair, ", only: new", call, RunState::Running).await;
        world.check_no_second_write();
        world.control.forget();
        check_nothing_new(&world.run(&world.greeting_taking(", only: new")).await, N_ROWS);
        assert!(world.control.writes().is_empty(), "{call:?}");
    }
}
