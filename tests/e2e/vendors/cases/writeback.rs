//! What is written, when it is held back, and how it is proven.

use infill_model::row::GuardCounts;
use infill_model::{Class, Outcome, value};

use super::{IN_BATCH, N_ROWS, check_all_but, usual, with_records};
use crate::vendors::{Tenant, Trouble};
use crate::world::{Pair, Setting};

pub(crate) async fn everybody_is_enriched_and_a_second_run_sends_nothing<T: Tenant>(pair: Pair) {
    let world = Setting::<T>::of(pair, T::bundled()).start().await;
    let n_rows = world.control.records().len() as u64;
    assert!(n_rows > 500, "the bundled people or companies");
    let recipe = world.control.recipe();
    let first = world.run(&world.greeting("")).await;
    first.all(Outcome::Verified, n_rows);
    for (row, result) in &first.rows {
        let [name, other] = recipe.inputs.map(|input| row.inputs[input].as_str().expect("a text"));
        assert_eq!(result.wanted[recipe.target.as_str()], format!("Hello {name} of {other}"));
    }
    world.check_no_second_write();
    world.control.forget();
    let second = world.run(&world.greeting("")).await;
    second.all(Outcome::Unchanged, n_rows);
    assert!(world.control.writes().is_empty(), "the second run wrote");
    assert_eq!(world.control.write_calls(), 0, "the second run sent updates");
}

pub(crate) async fn names_come_through_to_the_letter<T: Tenant>(pair: Pair) {
    const NAMES: [&str; 10] = [
        "O'Brien",
        "John \"Jack\" Díaz-Balart",
        "Zoë",
        "`backtick`",
        "${process.exit()}",
        "{{input.lastname}}",
        "a\\b\\n",
        "Ünïcødé 🦀",
        "<b>&amp;</b>",
        "'; return 'x",
    ];
    let world = with_records::<T>(pair, NAMES.len()).start().await;
    let recipe = world.control.recipe();
    for (record, name) in world.control.records().iter().zip(NAMES) {
        world.control.type_in(record, recipe.inputs[0], name);
    }
    let ended = world.run(&world.greeting("")).await;
    ended.all(Outcome::Verified, NAMES.len() as u64);
    for (record, name) in world.control.records().iter().zip(NAMES) {
        let stored = world.control.stored(record, &recipe.target);
        assert!(stored.starts_with(&format!("Hello {name} of ")), "{name} became {stored}");
    }
}

pub(crate) async fn several_properties_go_in_one_call<T: Tenant>(pair: Pair) {
    let world = usual::<T>(pair).await;
    world.run(&world.greeting("")).await.all(Outcome::Verified, N_ROWS as u64);
    let n_calls = world.control.write_calls();
    let recipe = world.control.recipe();
    let other = format!("properties: [{{ name: \"{}\", value: Seen }}, {{ name: ", recipe.second);
    let plan = world.greeting("").replace("properties: [{ name: ", &other).replace("Hello", "Dear");
    world.run(&plan).await.all(Outcome::Verified, N_ROWS as u64);
    assert_eq!(world.control.write_calls(), 2 * n_calls, "as many calls as for one property");
    for record in world.control.records() {
        assert_eq!(world.control.stored(&record, &recipe.second), "Seen");
    }
}

pub(crate) async fn only_empty_values_are_filled_where_the_plan_says_so<T: Tenant>(pair: Pair) {
    let world = usual::<T>(pair).await;
    let (taken, target) = (world.nth(IN_BATCH), world.control.recipe().target);
    world.control.type_in(&taken, &target, "Mine");
    let plan = world.greeting("").replace("formatted_data}}\" }", "formatted_data}}\", when: if_empty }");
    let ended = world.run(&plan).await;
    assert_eq!((ended.ids(Outcome::Unchanged), ended.printed.code), (vec![taken.as_str()], 0));
    assert_eq!(ended.count(Outcome::Verified), N_ROWS as u64 - 1);
    assert_eq!(world.control.stored(&taken, &target), "Mine");
}

pub(crate) async fn a_plan_that_wants_no_read_back_reads_its_canary_back<T: Tenant>(pair: Pair) {
    let world = usual::<T>(pair).await;
    let ended = world.run(&world.greeting("verify: none")).await;
    assert_eq!((ended.count(Outcome::Verified), ended.count(Outcome::Written)), (5, N_ROWS as u64 - 5));
    assert_eq!(ended.printed.code, 0, "{}", ended.printed.err);
}

pub(crate) async fn a_value_that_reads_back_differently_is_kept_beside_the_wanted_one<T: Tenant>(pair: Pair) {
    let world = usual::<T>(pair).await;
    let struck = world.nth(IN_BATCH);
    let ended = world.run_among(&[Trouble::Differs(&struck, "Theirs")]).await;
    check_all_but(&ended, Outcome::Differs, &struck);
    let (result, target) = (ended.result(&struck), world.control.recipe().target);
    assert_eq!(result.found[target.as_str()], "Theirs");
    assert!(result.wanted[target.as_str()].as_str().is_some_and(|text| text.starts_with("Hello ")));
    let cause = result.cause.as_ref().expect("a cause");
    assert_eq!((cause.code.as_str(), cause.class), ("reads_back_differently", Class::Conflict));
}

pub(crate) async fn a_success_with_nothing_done_is_never_taken_for_written<T: Tenant>(pair: Pair) {
    let world = usual::<T>(pair).await;
    let struck = world.nth(IN_BATCH);
    let ended = world.run_among(&[Trouble::NothingDone(&struck)]).await;
    if T::VOUCHES_FOR_NOTHING {
        check_all_but(&ended, Outcome::Differs, &struck);
        let result = ended.result(&struck);
        let target = world.control.recipe().target;
        assert!(result.wanted[target.as_str()].as_str().is_some_and(|text| text.starts_with("Hello ")));
        assert!(value::is_empty(result.found.get(target.as_str())), "{:?}", result.found);
        assert_eq!(world.n_written(), N_ROWS - 1);
    } else {
        ended.all(Outcome::Verified, N_ROWS as u64);
    }
    world.check_no_second_write();
}

pub(crate) async fn a_value_that_a_person_changed_between_pull_and_write_is_held<T: Tenant>(pair: Pair) {
    let world = usual::<T>(pair).await;
    let (edited, target) = (world.nth(IN_BATCH), world.control.recipe().target);
    let plan = world.greeting("  if_changed: hold\n  guard_older_than: 0");
    let ended = world.run_changed(&plan, |tenant| tenant.type_in(&edited, &target, "Mine"), "").await;
    check_all_but(&ended, Outcome::Held, &edited);
    let result = ended.result(&edited);
    assert_eq!(result.found[target.as_str()], "Mine");
    let cause = result.cause.as_ref().expect("a cause");
    assert_eq!((cause.code.as_str(), cause.class), ("changed_since_pull", Class::Conflict));
    assert_eq!(cause.property.as_deref(), Some(target.as_str()));
    assert!(cause.message.contains("the record was last changed at "), "{}", cause.message);
    assert_eq!(world.control.stored(&edited, &target), "Mine");
    assert_eq!(world.n_written(), N_ROWS - 1, "something was sent for a row that is held");
}

pub(crate) async fn a_change_by_a_person_is_overwritten_where_the_plan_says_so<T: Tenant>(pair: Pair) {
    let world = usual::<T>(pair).await;
    let (edited, target) = (world.nth(IN_BATCH), world.control.recipe().target);
    let plan = world.greeting("  if_changed: overwrite\n  guard_older_than: 0");
    let ended = world.run_changed(&plan, |tenant| tenant.type_in(&edited, &target, "Mine"), "").await;
    ended.all(Outcome::Verified, N_ROWS as u64);
}

pub(crate) async fn a_change_of_another_property_holds_nothing<T: Tenant>(pair: Pair) {
    let world = usual::<T>(pair).await;
    let (edited, other) = (world.nth(IN_BATCH), world.control.recipe().second);
    let plan = world.greeting("  if_changed: hold\n  guard_older_than: 0");
    let ended = world.run_changed(&plan, |tenant| tenant.type_in(&edited, &other, "Mine"), "").await;
    ended.all(Outcome::Verified, N_ROWS as u64);
    assert_eq!(world.control.stored(&edited, &other), "Mine");
}

pub(crate) async fn each_property_says_for_itself_when_it_is_written_and_held<T: Tenant>(pair: Pair) {
    let world = usual::<T>(pair).await;
    let recipe = world.control.recipe();
    let (first_edited, second_edited) = (world.nth(IN_BATCH), world.nth(IN_BATCH + 1));
    let both = format!(
        "properties: [{{ name: \"{}\", value: Seen, when: always, if_changed: overwrite }}, {{ name: ",
        recipe.second
    );
    let plan = world.greeting("  guard_older_than: 0").replace("properties: [{ name: ", &both);
    let edit = |tenant: &T| {
        tenant.type_in(&first_edited, &recipe.target, "Mine");
        tenant.type_in(&second_edited, &recipe.second, "Mine");
    };
    let first = world.run_changed(&plan, edit, "").await;
    check_all_but(&first, Outcome::Held, &first_edited);
    let result = first.result(&first_edited);
    assert_eq!(
        result.cause.as_ref().and_then(|cause| cause.property.as_deref()),
        Some(recipe.target.as_str())
    );
    assert_ne!(world.control.stored(&first_edited, &recipe.second), "Seen", "a part of a held row was sent");
    assert_eq!(world.control.stored(&second_edited, &recipe.second), "Seen");
    assert_eq!(first.run.progress.guarded, GuardCounts { by_read: N_ROWS as u64, by_age: 0 });

    let n_calls = world.control.write_calls();
    let trusting = plan.replace("guard_older_than: 0", "guard_older_than: 3600");
    let second = world.run(&trusting).await;
    second.all(Outcome::Verified, N_ROWS as u64);
    assert!(world.control.write_calls() >= 2 * n_calls, "what records hold already was not sent again");
    assert_eq!(second.run.progress.guarded, GuardCounts { by_read: 0, by_age: N_ROWS as u64 });
    assert!(second.printed.out.contains("guarded: 30 rows by values pulled less than 3600 s before"));
    let sent = second.result(&second_edited);
    assert_eq!(sent.wanted.keys().map(|name| name.as_str()).collect::<Vec<_>>(), [recipe.second.as_str()]);
}
