//! Bad input: each gets a clear message that says what, where and the way out, and nothing is written.

use infill_model::{Class, Outcome, RunState};
use infill_sim::hubspot::Source;
use infill_store::store::RunFilter;

use crate::both_engines;
use crate::plans::{EVERYBODY, note};
use crate::world::{Pair, Setting, World};

/// Refuses a plan: exit code 2, every part said, no run recorded, nothing written.
async fn check_refused(world: &World, what: &str, plan: &str, said: &[&str]) {
    let path = world.plan(plan);
    let printed = world.infill(&["run", path.to_str().unwrap(), "--all"]).await;
    assert_eq!(printed.code, 2, "{what}: {}", printed.err);
    let file = format!("{}", path.display());
    for part in said {
        let part = part.replace("FILE", &file);
        assert!(printed.err.contains(&part), "{what}: \"{part}\" in {}", printed.err);
    }
    let runs = world.store.runs(&RunFilter::default()).await.unwrap();
    assert!(runs.is_empty(), "{what}: a run was recorded");
    assert!(world.control.ledger().is_empty(), "{what}: something was written");
}

/// The plan of most cases, with one thing changed.
fn changed(from: &str, to: &str) -> String {
    let plan = note(EVERYBODY, "");
    assert!(plan.contains(from), "{from}");
    plan.replacen(from, to, 1)
}

/// The plan with one more action at the end of its chain.
fn with_action(action: &str) -> String {
    changed("writeback:", &format!("  - {action}\nwriteback:"))
}

both_engines! {
    async fn a_plan_that_cannot_be_read_is_refused_with_its_place(setting: Setting) {
        let world = setting.contacts(20).start().await;
        let format = r#"action: format_data_using_js_expression, inputs: { data_formatter: "{{input.firstname}}" }"#;
        let second = with_action(&format!("{{ id: note, {format} }}"));
        let later = with_action(&format!("{{ id: b, {format} }}"));
        let later = later.replace("{{input.lastname}}", "{{b.formatted_data}}");
        let dialect = with_action(
            "{ id: f, action: filter, inputs: { path_conditions: [\
             { variable: \"{{input.firstname}}\", operator: is equal to, values: [Ana] }] } }",
        );
        for (what, plan, said) in [
            ("malformed YAML", changed("lastname]", "lastname"), &["FILE:", "not readable as YAML"][..]),
            (
                "an unknown key",
                changed("connection:", "conection:"),
                &["FILE:3:1: unknown key \"conection\"; did you mean \"connection\"?"],
            ),
            (
                "an unknown key within",
                changed("  properties:", "  if_change: hold\n  properties:"),
                &["FILE:11:3: writeback: unknown key \"if_change\"; did you mean \"if_changed\"?"],
            ),
            ("a missing key", changed("connection: main\n", ""), &["missing key \"connection\""]),
            (
                "a wrong type",
                changed("writeback:", "canary: many\nwriteback:"),
                &["FILE:10:9: canary: expected a whole number from 0 to 1000, found the text \"many\""],
            ),
            (
                "a missing input",
                changed("{{input.lastname}}", "{{input.lastnam}}"),
                &[
                    "FILE:9:78: chain[0].inputs.data_formatter",
                    "the plan has no input \"lastnam\"; did you mean \"lastname\"",
                ],
            ),
            (
                "a missing action",
                changed("{{note.", "{{nte."),
                &[
                    "FILE:11:54: writeback.properties[0].value",
                    "no action is called \"nte\"; did you mean \"note\"?",
                ],
            ),
            (
                "a missing output",
                changed("formatted_data}}", "formated_data}}"),
                &["there is no output \"formated_data\"; action \"note\" has \"formatted_data\""],
            ),
            (
                "a reference to itself",
                changed("{{input.lastname}}", "{{note.formatted_data}}"),
                &[
                    "FILE:9:78:",
                    "{{note.formatted_data}} refers to itself; an action sees only those before it in the chain",
                ],
            ),
            (
                "a cycle",
                later,
                &[
                    "{{b.formatted_data}} refers to a later action; an action sees only those before it in the chain",
                ],
            ),
            (
                "a duplicate id",
                second,
                &["FILE:10:5: chain[1]: action id \"note\" is used twice; ids are unique in a chain"],
            ),
            (
                "JavaScript that does not parse",
                changed("\"Hello \" +", "\"Hello \" + +* "),
                &[
                    "FILE:9:51: chain[0].inputs.data_formatter: line 1, column 20 of the script: unexpected token",
                ],
            ),
            (
                "an operator of another dialect",
                dialect,
                &["\"is equal to\" is not an operator of a chain; write \"is\""],
            ),
            (
                "an operator of another dialect in a filter",
                changed("list: \"42\"", "filter: [{ variable: firstname, operator: equals, values: [Ana] }]"),
                &["FILE:4:", "source.filter[0].operator: \"equals\" is not an operator"],
            ),
            (
                "an unknown action",
                changed("action: format_data_using_js_expression", "action: format_data_using_js"),
                &[
                    "FILE:8:13:",
                    "there is no action \"format_data_using_js\"; did you mean \"format_data_using_js_expression\"?",
                ],
            ),
        ] {
            check_refused(&world, what, &plan, said).await;
        }
    }

    async fn a_plan_that_does_not_fit_the_account_is_refused_with_the_nearest_names(setting: Setting) {
        let world = setting.contacts(20).start().await;
        let properties = "{ name: hs_cross_account_note, value: \"{{note.formatted_data}}\" }";
        for (what, plan, said) in [
            (
                "a property off by one letter",
                changed("hs_cross_account_note", "hs_cross_account_not"),
                &[
                    "FILE:11:24: writeback.properties[0].name: contacts has no property \"hs_cross_account_not\"; did you mean \"hs_cross_account_note\"",
                ][..],
            ),
            (
                "an input off by one letter",
                note(EVERYBODY, "").replace("lastname", "lastnam"),
                &["FILE:5:21: inputs[1]: contacts has no property \"lastnam\"; did you mean \"lastname\""],
            ),
            (
                "a property that cannot be written",
                changed("hs_cross_account_note", "lastmodifieddate"),
                &["property \"lastmodifieddate\"", "cannot be written: only HubSpot itself sets its value"],
            ),
            (
                "a wrong option",
                changed(properties, "{ name: lifecyclestage, value: leed }"),
                &["property \"lifecyclestage\": \"leed\" is none of its 8 options; did you mean \"lead\"?"],
            ),
            (
                "a label in place of an option",
                changed(properties, "{ name: lifecyclestage, value: Marketing Qualified Lead }"),
                &["is the label of an option; write its value \"marketingqualifiedlead\""],
            ),
            (
                "a list that does not exist",
                changed("\"42\"", "\"999\""),
                &["HubSpot has no list with the id or name \"999\"", "`infill lists` shows them"],
            ),
            (
                "a list of another object",
                changed("\"42\"", "\"46\""),
                &[
                    "list \"All companies (static)\" (46) holds companies and the plan's object is contacts; change one of the two",
                ],
            ),
            (
                "a list's name off by one letter",
                changed("\"42\"", "Generated contact (static)"),
                &["did you mean \"Generated contacts (static)\"?"],
            ),
            (
                "an unknown object",
                changed("object: contacts", "object: contact"),
                &["HubSpot has no object \"contact\"", "did you mean \"contacts\"?"],
            ),
            (
                "an unknown connection",
                changed("connection: main", "connection: mian"),
                &["no connection \"mian\" in", "did you mean \"main\"?"],
            ),
        ] {
            check_refused(&world, what, &plan, said).await;
        }
    }

    async fn every_fault_of_a_plan_is_told_at_once(setting: Setting) {
        let world = setting.contacts(20).start().await;
        let plan = changed("hs_cross_account_note", "hs_cross_account_not").replace("firstname", "firstnam");
        check_refused(
            &world,
            "two faults",
            &plan,
            &["FILE has 2 faults", "\"hs_cross_account_note\"", "\"firstname\""],
        )
        .await;
    }

    async fn a_token_that_is_refused_starts_nothing_and_the_right_one_does(setting: Setting) {
        let mut world = setting.contacts(20).start().await;
        let plan = note(EVERYBODY, "");
        world.set_env("SIM_TOKEN", "pat-na1-of-another-account");
        check_refused(
            &world,
            "a foreign token",
            &plan,
            &[
                "connection main: HubSpot: Authentication credentials not found",
                "put a valid one where the connection's token_env or token_file points",
            ],
        )
        .await;
        world.set_env("SIM_TOKEN", "");
        check_refused(
            &world,
            "no token",
            &plan,
            &["environment variable SIM_TOKEN is empty; set it to the token of connection main"],
        )
        .await;
        world.set_env("SIM_TOKEN", infill_sim::hubspot::SIM_TOKEN);
        world.restart_crew().await;
        world.run(&plan).await.all(Outcome::Verified, 20);
    }

    async fn a_script_that_never_ends_or_eats_memory_or_throws_fails_its_row_alone(setting: Setting) {
        const PLAN: &str = r#"
name: Greedy
connection: main
source: { object: contacts, list: "42" }
inputs: [firstname]
chain:
  - id: greedy
    action: format_data_using_js_expression
    inputs:
      data_formatter: |
        const name = {{input.firstname}};
        if (name === "loop") for (;;) {}
        if (name === "eat") { const all = []; for (;;) all.push(new Array(1000).fill(name + all.length)); }
        if (name === "throw") return null.length;
        if (name === "deep") { const down = () => down() + 1; return down(); }
        return name.toUpperCase();
writeback:
  properties: [{ name: hs_cross_account_note, value: "{{greedy.formatted_data}}" }]
"#;
        let mut names: Vec<String> = (1..=60).map(|n| format!("person {n}")).collect();
        for (row, name) in [(10, "loop"), (20, "eat"), (30, "throw"), (40, "deep")] {
            names[row] = name.to_owned();
        }
        let people = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(people.path(), format!("firstname\n{}\n", names.join("\n"))).unwrap();
        let mut setting = setting;
        setting.portal.records = Source::Csv(people.path().to_owned());
        let world = setting.start().await;
        let ended = world.run(PLAN).await;
        assert_eq!((ended.run.state, ended.printed.code), (RunState::Completed, 1), "{}", ended.printed.err);
        assert_eq!(ended.count(Outcome::Verified), 56);
        assert_eq!(ended.records(Outcome::Failed), [100_011, 100_021, 100_031, 100_041]);
        for (record, code) in [
            (100_011, "script_timeout"),
            (100_021, "script_out_of_memory"),
            (100_031, "script_threw"),
            (100_041, "script_stack_overflow"),
        ] {
            let cause = ended.result(record).cause.as_ref().unwrap();
            assert_eq!((cause.code.as_str(), cause.class), (code, Class::Rejected), "{}", cause.message);
            assert!(cause.message.starts_with("action greedy: "), "{}", cause.message);
        }
        assert_eq!(world.letters(&ended.run).await.len(), 4);
    }

    async fn a_value_outside_the_options_fails_its_row_before_the_call(setting: Setting) {
        const PLAN: &str = r#"
name: Roles
connection: main
source: { object: contacts, list: "42" }
inputs: [firstname]
writeback:
  properties: [{ name: hs_content_membership_status, value: "{{input.firstname}}" }]
"#;
        let people = tempfile::NamedTempFile::new().unwrap();
        let names =
            ["active", "inactive", "active", "active", "active", "activ", "Inactive", "inactive", "gone"];
        std::fs::write(people.path(), format!("firstname\n{}\n", names.join("\n"))).unwrap();
        let mut setting = setting;
        setting.portal.records = Source::Csv(people.path().to_owned());
        let world = setting.start().await;
        let ended = world.run(PLAN).await;
        assert_eq!((ended.count(Outcome::Verified), ended.printed.code), (6, 1), "{}", ended.printed.err);
        assert_eq!(ended.records(Outcome::Failed), [100_006, 100_007, 100_009]);
        for (record, said) in [
            (100_006, "\"activ\" is none of its 2 options; did you mean \"active\""),
            (100_007, "\"Inactive\" is the label of an option; write its value \"inactive\""),
            (100_009, "\"gone\" is none of its 2 options"),
        ] {
            let cause = ended.result(record).cause.as_ref().unwrap();
            assert_eq!(
                (cause.code.as_str(), cause.property.as_deref()),
                ("invalid_option", Some("hs_content_membership_status"))
            );
            assert!(cause.message.contains(said), "{}", cause.message);
        }
        assert_eq!(world.control.report().records_written, 6);
        assert_eq!(world.batch_updates(), 2, "no call was spent on what HubSpot would refuse");
    }

    async fn a_property_deleted_on_the_way_stops_the_run_and_leaves_no_row_in_limbo(setting: Setting) {
        let world = setting
            .contacts(1_005)
            .faults("property-gone,op=batch-update,property=hs_cross_account_note,after=3")
            .start()
            .await;
        let path = world.plan(&note(EVERYBODY, ""));
        let printed = world.infill(&["run", path.to_str().unwrap(), "--all"]).await;
        let run = world.latest().await;
        assert_eq!((run.state, printed.code), (RunState::Stopped, 3), "{}", printed.err);
        let cause = run.cause.as_ref().unwrap();
        assert_eq!((cause.code.as_str(), cause.class), ("PROPERTY_DOESNT_EXIST", Class::Configuration));
        assert!(cause.message.contains("take it out of the plan's writeback"), "{}", cause.message);
        assert!(printed.out.contains("PROPERTY_DOESNT_EXIST"), "{}", printed.out);
        let written = world.control.writes_per_record("contacts").unwrap();
        for (row, result) in world.rows(&run).await {
            let was_sent = written.contains_key(&row.record.as_str().parse().unwrap());
            assert_eq!(result.outcome().is_some(), was_sent, "record {}: {:?}", row.record, result.state);
        }
        assert!(!written.is_empty() && written.len() < 1_005);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_records_with_a_broken_row_is_refused_with_its_line() {
    let world = Setting::new(Pair::Embedded).contacts(1).start().await;
    std::fs::write(world.dir().join("broken.csv"), "firstname,lastname\nAna,Abbott\nBo\nCarlos,Castro\n")
        .unwrap();
    let printed = world.infill(&["sim", "hubspot", "--records", "broken.csv"]).await;
    assert_eq!(printed.code, 2, "{}", printed.err);
    for part in ["broken.csv", "line: 3"] {
        assert!(printed.err.contains(part), "{part} in {}", printed.err);
    }
    let printed = world.infill(&["sim", "hubspot", "--records", "nobody.csv"]).await;
    assert_eq!(printed.code, 2, "{}", printed.err);
    assert!(printed.err.contains("nobody.csv"), "{}", printed.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_file_that_cannot_be_used_is_named() {
    let mut world = Setting::new(Pair::Embedded).contacts(1).start().await;
    let plan = world.plan(&note(EVERYBODY, ""));
    let args = ["run", plan.to_str().unwrap()];
    let nowhere = world.dir().join("infill.toml").join("infill.db");
    world.set_env("INFILL_STORE_PATH", nowhere.to_str().unwrap());
    let printed = world.infill(&args).await;
    assert_eq!(printed.code, 2, "{}", printed.err);
    assert!(printed.err.contains(nowhere.to_str().unwrap()), "{}", printed.err);

    let other = world.dir().join("photo.db");
    std::fs::write(&other, "this is no database but long enough to have a header of its own".repeat(20))
        .unwrap();
    world.set_env("INFILL_STORE_PATH", other.to_str().unwrap());
    let printed = world.infill(&args).await;
    assert_eq!(printed.code, 2, "{}", printed.err);
    assert!(printed.err.contains("photo.db"), "{}", printed.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn services_that_cannot_be_reached_are_named_without_their_passwords() {
    let mut world = Setting { workers: 0, ..Setting::new(Pair::Distributed).contacts(1) }.start().await;
    let plan = world.plan(&note(EVERYBODY, ""));
    let run = ["run", plan.to_str().unwrap()];
    let amqp = "amqp://somebody:hunter2@127.0.0.1:1/%2f";
    let database = "postgres://somebody:hunter2@127.0.0.1:1/infill";
    let good = world.env("INFILL_DATABASE_URL").to_owned();
    for (variable, value, commands) in [
        ("INFILL_DATABASE_URL", database, &[&run[..], &["worker"], &["planner"], &["runs"]][..]),
        ("INFILL_AMQP_URL", amqp, &[&["worker"], &["planner"]]),
    ] {
        world.set_env(variable, value);
        for args in commands {
            let printed = world.infill(args).await;
            assert_eq!(printed.code, 2, "{variable}, {args:?}: {}", printed.err);
            assert!(printed.err.contains("127.0.0.1:1"), "{variable}, {args:?}: {}", printed.err);
            assert!(!printed.err.contains("hunter2"), "{variable}, {args:?}: {}", printed.err);
        }
        world.set_env("INFILL_DATABASE_URL", &good);
    }
    assert!(world.control.ledger().is_empty());
}
