//! Taking a run back.

use infill_model::Outcome;

use super::{IN_BATCH, IN_CANARY, N_ROWS, usual, with_records};
use crate::vendors::trouble::Call;
use crate::vendors::{Tenant, Trouble};
use crate::world::{Ended, Pair, Setting, World};

/// Runs `infill undo` to its end, and checks that portal and store agree.
async fn undo<T: Tenant>(world: &World<T>, args: &[&str]) -> Ended {
    let printed = world.infill(&[&["undo"], args].concat()).await;
    let run = world.latest().await;
    let rows = world.rows(&run).await;
    let ended = Ended { printed, run, rows };
    world.check_agreement(&ended);
    ended
}

pub(crate) async fn an_undo_puts_back_what_nobody_changed_since_and_can_be_undone<T: Tenant>(pair: Pair) {
    let world = usual::<T>(pair).await;
    let target = world.control.recipe().target;
    let (had, changed) = (world.nth(IN_CANARY), world.nth(IN_BATCH));
    world.control.type_in(&had, &target, "O'Brien's \"note\", Zoë");
    let first = world.run(&world.greeting("")).await;
    first.all(Outcome::Verified, N_ROWS as u64);
    let ours = world.control.stored(&had, &target);
    world.control.type_in(&changed, &target, "Theirs");

    let n_writes = world.control.writes().len();
    let dry = world.infill(&["undo", "latest", "--dry-run"]).await;
    assert_eq!(dry.code, 0, "{}", dry.err);
    assert!(dry.out.contains(&format!("{}  put back", N_ROWS - 1)), "{}", dry.out);
    assert!(dry.out.contains("1  leave alone"), "{}", dry.out);
    assert_eq!(world.control.writes().len(), n_writes, "a dry run wrote");

    let undone = undo(&world, &["latest"]).await;
    assert_eq!((undone.ids(Outcome::Held), undone.printed.code), (vec![changed.as_str()], 1));
    assert_eq!(undone.count(Outcome::Verified), N_ROWS as u64 - 1, "{}", undone.printed.err);
    for record in world.control.records() {
        let expected = match &record {
            record if *record == changed => "Theirs",
            record if *record == had => "O'Brien's \"note\", Zoë",
            _ => "",
        };
        assert_eq!(world.control.stored(&record, &target), expected, "record {record}");
    }

    let again = undo(&world, &[&first.run.id.to_string()]).await;
    assert_eq!((again.count(Outcome::Unchanged), again.count(Outcome::Held)), (N_ROWS as u64 - 1, 1));
    let redone = undo(&world, &[&undone.run.id.to_string(), "--record", &had]).await;
    assert_eq!(redone.ids(Outcome::Verified), [had.as_str()]);
    assert_eq!(redone.printed.code, 0, "{}", redone.printed.err);
    assert_eq!(world.control.stored(&had, &target), ours);
}

pub(crate) async fn an_undo_takes_back_one_property_and_leaves_another<T: Tenant>(pair: Pair) {
    let world = usual::<T>(pair).await;
    let recipe = world.control.recipe();
    let other = format!("properties: [{{ name: \"{}\", value: Seen }}, {{ name: ", recipe.second);
    let plan = world.greeting("").replace("properties: [{ name: ", &other);
    world.run(&plan).await.all(Outcome::Verified, N_ROWS as u64);
    let changed = world.nth(IN_BATCH);
    world.control.type_in(&changed, &recipe.second, "Theirs");
    let undone = undo(&world, &["latest"]).await;
    undone.all(Outcome::Verified, N_ROWS as u64);
    assert_eq!(world.control.stored(&changed, &recipe.second), "Theirs");
    assert_eq!(world.control.stored(&changed, &recipe.target), "");
    let left = undone.rows.iter().filter(|(_, result)| result.cause.is_some());
    let left: Vec<&str> = left.map(|(row, _)| row.record.as_str()).collect();
    assert_eq!(left, [changed.as_str()]);
    assert!(undone.printed.out.contains("some records keep a value"), "{}", undone.printed.out);
}

pub(crate) async fn a_process_killed_in_an_undo_loses_nothing<T: Tenant>(pair: Pair) {
    let mut world = Setting { workers: 0, ..with_records::<T>(pair, N_ROWS) }.start().await;
    let run = world.record(&world.greeting(""), &["--all"]).await;
    let first = world.take_up();
    world.until_whole(run, N_ROWS as u64).await;
    world.kill(first).await;
    world.control.forget();

    let printed = world.infill(&["undo", &run.to_string(), "--detach"]).await;
    assert_eq!(printed.code, 0, "{}", printed.err);
    let undo = world.latest().await.id;
    world.meet(&[Trouble::Unanswered(Call::Writing)]);
    let killed = world.take_up();
    world.until_struck("the undo is not answered").await;
    world.kill(killed).await;
    world.set_faults("");
    world.take_up();
    world.until_whole(undo, N_ROWS as u64).await;
    world.check_no_second_write();
    let target = world.control.recipe().target;
    for record in world.control.records() {
        assert_eq!(world.control.stored(&record, &target), "", "record {record}");
    }
}
