//! What is written, when it is held back, and how it is proven.

use infill_model::{Class, Outcome, RunState};
use infill_sim::hubspot::{Control, Operation, Source};

use crate::both_engines;
use crate::plans::{EVERYBODY, NOTE, note};

/// An edit of one record's note by a person.
fn edit(record: u64) -> impl FnOnce(&Control) {
    move |portal| portal.edit("contacts", record, NOTE, "Mine").unwrap()
}

both_engines! {
    async fn a_value_that_reads_back_differently_is_kept_beside_the_wanted_one(setting: Setting) {
        let world =
            setting.contacts(105).faults("differs,op=batch-update,record=100050,value=Theirs").start().await;
        let ended = world.run(&note(EVERYBODY, "")).await;
        assert_eq!(ended.run.state, RunState::Completed, "{}", ended.printed.err);
        assert_eq!((ended.count(Outcome::Verified), ended.printed.code), (104, 1));
        assert_eq!(ended.records(Outcome::Differs), [100_050]);
        let result = ended.result(100_050);
        assert_eq!(result.found[NOTE], "Theirs");
        assert!(result.wanted[NOTE].as_str().unwrap().starts_with("Hello "));
        let cause = result.cause.as_ref().unwrap();
        assert_eq!(
            (cause.code.as_str(), cause.class, cause.property.as_deref()),
            ("reads_back_differently", Class::Conflict, Some(NOTE))
        );
        assert!(
            ended.printed.out.contains(&format!("look: infill rows {} --outcome differs", ended.run.id)),
            "{}",
            ended.printed.out
        );
    }

    async fn a_canary_that_fails_stops_the_rest(setting: Setting) {
        let world = setting.contacts(305).faults("bad-row,record=100003").start().await;
        let ended = world.run(&note(EVERYBODY, "")).await;
        assert_eq!((ended.run.state, ended.printed.code), (RunState::Stopped, 3), "{}", ended.printed.err);
        let cause = ended.run.cause.as_ref().unwrap();
        assert_eq!(cause.code, "canary_failed");
        assert!(cause.message.contains("of the first 5 rows 1 failed"), "{}", cause.message);
        assert!(cause.message.contains("the other 300 rows were not touched"), "{}", cause.message);
        assert!(ended.printed.out.contains("canary_failed"), "{}", ended.printed.out);
        assert_eq!((ended.count(Outcome::Verified), ended.records(Outcome::Failed)), (4, vec![100_003]));
        assert_eq!(world.control.report().records_written, 4);
    }

    async fn a_canary_that_reads_back_differently_stops_the_rest(setting: Setting) {
        let world = setting.contacts(305).faults("differs,op=batch-update,record=100003").start().await;
        let ended = world.run(&note(EVERYBODY, "")).await;
        assert_eq!((ended.run.state, ended.printed.code), (RunState::Stopped, 3), "{}", ended.printed.err);
        assert_eq!((ended.count(Outcome::Verified), ended.records(Outcome::Differs)), (4, vec![100_003]));
        assert_eq!(world.control.report().records_written, 5);
    }

    async fn a_value_that_a_person_changed_meanwhile_is_held(setting: Setting) {
        let world = setting.contacts(105).start().await;
        let plan = note(EVERYBODY, "  if_changed: hold\n  guard_older_than: 0");
        let ended = world.run_changed(&plan, edit(100_050), "").await;
        assert_eq!(ended.run.state, RunState::Completed, "{}", ended.printed.err);
        assert_eq!((ended.count(Outcome::Verified), ended.printed.code), (104, 1));
        assert_eq!(ended.records(Outcome::Held), [100_050]);
        assert_eq!(ended.result(100_050).found[NOTE], "Mine");
        assert_eq!(world.control.value("contacts", 100_050, NOTE).unwrap().as_deref(), Some("Mine"));
        assert!(
            ended.printed.out.contains("changed by somebody since the pull; nothing was sent"),
            "{}",
            ended.printed.out
        );
    }

    async fn a_value_that_a_person_changed_is_overwritten_where_the_plan_says_so(setting: Setting) {
        let world = setting.contacts(105).start().await;
        let plan = note(EVERYBODY, "  if_changed: overwrite\n  guard_older_than: 0");
        world.run_changed(&plan, edit(100_050), "").await.all(Outcome::Verified, 105);
    }

    async fn a_change_of_another_property_holds_nothing(setting: Setting) {
        let world = setting.contacts(105).start().await;
        let plan = note(EVERYBODY, "  if_changed: hold\n  guard_older_than: 0");
        let promote = |portal: &Control| portal.edit("contacts", 100_050, "jobtitle", "President").unwrap();
        world.run_changed(&plan, promote, "").await.all(Outcome::Verified, 105);
    }

    async fn only_empty_values_are_filled_where_the_plan_says_so(setting: Setting) {
        let world = setting.contacts(105).start().await;
        edit(100_002)(&world.control);
        edit(100_050)(&world.control);
        let plan =
            note(EVERYBODY, "").replace("formatted_data}}\" }", "formatted_data}}\", when: if_empty }");
        let ended = world.run(&plan).await;
        assert_eq!(ended.records(Outcome::Unchanged), [100_002, 100_050], "{}", ended.printed.err);
        assert_eq!((ended.count(Outcome::Verified), ended.printed.code), (103, 0));
        assert_eq!(world.control.value("contacts", 100_050, NOTE).unwrap().as_deref(), Some("Mine"));
    }

    async fn a_plan_that_wants_no_read_back_reads_only_its_canary_back(setting: Setting) {
        let world = setting.contacts(205).start().await;
        let ended = world.run(&note(EVERYBODY, "verify: none")).await;
        assert_eq!((ended.count(Outcome::Verified), ended.count(Outcome::Written)), (5, 200));
        assert_eq!(ended.printed.code, 0);
        // Three to pull, one for the canary.
        assert_eq!(world.control.report().calls(Operation::BatchRead).received, 4);
    }

    async fn a_sample_is_read_back_and_the_rest_is_not(setting: Setting) {
        let world = setting.contacts(205).start().await;
        let ended = world.run(&note(EVERYBODY, "verify: { sample: 50 }")).await;
        let (verified, written) = (ended.count(Outcome::Verified), ended.count(Outcome::Written));
        assert_eq!((verified + written, ended.printed.code), (205, 0));
        assert!((25..=85).contains(&verified), "{verified} of 205 were read back where 50 were asked for");
    }

    async fn several_properties_and_the_primary_company_go_in_one_call(setting: Setting) {
        const PLAN: &str = r#"
name: Several
connection: main
source: { object: contacts, list: "42" }
inputs: [firstname, jobtitle]
chain:
  - id: loud
    action: format_data_using_js_expression
    inputs: { data_formatter: "{{input.jobtitle}}.toUpperCase()" }
writeback:
  properties:
    - { name: hs_cross_account_note, value: "Dear {{input.firstname}}" }
    - { name: jobtitle, value: "{{loud.formatted_data}}" }
    - { name: associatedcompanyid, value: "7000003" }
"#;
        let world = setting.contacts(205).start().await;
        let ended = world.run(PLAN).await;
        ended.all(Outcome::Verified, 205);
        assert_eq!(world.batch_updates(), 3, "the canary and two batches");
        for (row, _) in &ended.rows {
            let id: u64 = row.record.as_str().parse().unwrap();
            let stored =
                |property: &str| world.control.value("contacts", id, property).unwrap().unwrap_or_default();
            let input = |name: &str| row.inputs[name].as_str().unwrap();
            assert_eq!(stored(NOTE), format!("Dear {}", input("firstname")));
            assert_eq!(stored("jobtitle"), input("jobtitle").to_uppercase());
            assert_eq!(stored("associatedcompanyid"), "7000003");
        }
    }

    async fn names_come_through_to_the_letter(setting: Setting) {
        const NAMES: [&str; 12] = [
            "O'Brien",
            "John \"Jack\" Díaz-Balart",
            "Zoë",
            "`backtick`",
            "${process.exit()}",
            "{{input.lastname}}",
            "a\\b\\n",
            "line\nbreak",
            "Ünïcødé 🦀",
            "שלום",
            "<b>&amp;</b>",
            "'; return 'x",
        ];
        const PLAN: &str = r#"
name: Names
connection: main
source: { object: contacts, list: "42" }
inputs: [firstname]
chain:
  - id: bare
    action: format_data_using_js_expression
    inputs: { data_formatter: "{{input.firstname}}" }
  - id: double
    action: format_data_using_js_expression
    inputs: { data_formatter: 'return "<{{input.firstname}}>"' }
  - id: template
    action: format_data_using_js_expression
    inputs: { data_formatter: 'return `[{{input.firstname}}]` + "-" + {{bare.formatted_data}}' }
writeback:
  properties:
    - { name: hs_cross_account_note, value: "{{double.formatted_data}}{{template.formatted_data}}={{input.firstname}}" }
"#;
        let people = tempfile::NamedTempFile::new().unwrap();
        let mut csv = String::from("firstname\n");
        for name in NAMES {
            csv.push_str(&format!("\"{}\"\n", name.replace('"', "\"\"")));
        }
        std::fs::write(people.path(), csv).unwrap();
        let mut setting = setting;
        setting.portal.records = Source::Csv(people.path().to_owned());
        let world = setting.start().await;
        let ended = world.run(PLAN).await;
        ended.all(Outcome::Verified, 12);
        for ((row, _), name) in ended.rows.iter().zip(NAMES) {
            let id = row.record.as_str().parse().unwrap();
            let stored = world.control.value("contacts", id, NOTE).unwrap();
            assert_eq!(stored.as_deref(), Some(format!("<{name}>[{name}]-{name}={name}").as_str()));
        }
    }
}
