//! What a plan may say, and what is said about each kind of mistake.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use super::*;

const WHOLE: &str = r#"
name: Greeting note
connection: main-hubspot
source:
  object: contacts
  list: "42"
  max_count: 5
inputs: [email, firstname]
chain:
  - id: enrichment
    action: format_data_using_js_expression
    inputs:
      data_formatter: |
        const name = {{input.firstname}};
        return "Hello " + name.trim();
    run_if:
      conditions:
        - { variable: "{{input.firstname}}", operator: is not empty }
        - conditions:
            - { variable: "{{input.email}}", operator: contains, values: [acme], combinator: OR }
          combinator: AND
  - id: only_named
    action: filter
    inputs:
      path_conditions: [{ variable: "{{input.firstname}}", operator: is not empty }]
    continue_workflow_if_action_fails: true
writeback:
  properties:
    - { name: hs_cross_account_note, value: "{{enrichment.formatted_data}}", when: if_empty }
  if_changed: overwrite
  guard_older_than: 60
verify: { sample: 100 }
canary: 3
"#;

/// The smallest plan there is, with a line replaced.
fn with(line: &str, instead: &str) -> String {
    let smallest = "name: n\nconnection: c\nsource:\n  object: contacts\n  list: L\ninputs: [email]\nchain: []\n\
                    writeback:\n  properties:\n    - name: p\n      value: v\nverify: all\ncanary: 5\n";
    assert!(smallest.contains(line), "{line:?} is in the plan");
    smallest.replace(line, instead)
}

fn rendered(text: &str) -> String {
    match parse(text, "plan.yaml") {
        Ok(plan) => format!("accepted: {plan:?}"),
        Err(faults) => faults.iter().map(|fault| fault.in_file("plan.yaml")).collect::<Vec<_>>().join("\n"),
    }
}

#[test]
fn a_whole_plan_is_read() {
    let plan = parse(WHOLE, "plan.yaml").unwrap();
    assert_eq!(plan.source.list, Some("42".into()));
    assert_eq!((plan.canary, plan.verify), (3, Verify::Sample(100)));
    assert_eq!(plan.writeback.guard_older_than, 60);
    let run_if = plan.chain[0].run_if.as_ref().unwrap();
    let ConditionNode::Group(group) = &run_if.conditions[1] else { panic!("{run_if:?}") };
    let ConditionNode::Leaf(leaf) = &group.conditions[0] else { panic!("{group:?}") };
    assert_eq!((leaf.combinator, &leaf.values), (Combinator::Or, &vec![json!("acme")]));
    assert!(plan.chain[1].continue_workflow_if_action_fails);
}

#[test]
fn what_is_left_out_has_a_default() {
    let plan = parse(
        "{name: n, connection: c, source: {object: o, list: 42}, writeback: {properties: [{name: p, value: v}]}}",
        "plan.yaml",
    )
    .unwrap();
    assert_eq!(plan.source.list, Some("42".into()), "a bare number is a list id too");
    assert_eq!((plan.verify, plan.canary), (Verify::All, DEFAULT_CANARY));
    assert_eq!(plan.writeback.if_changed, IfChanged::Hold);
    assert_eq!(plan.writeback.guard_older_than, DEFAULT_GUARD_OLDER_THAN_SECONDS);
    assert_eq!(plan.writeback.properties[0].when, When::IfDifferent);
    assert_eq!(plan.writeback.properties[0].if_changed, None);
}

#[test]
fn a_file_of_ids_is_a_name_or_a_mapping() {
    for (written, file, column) in [
        ("people.csv", "people.csv", None),
        ("\"-\"", "-", None),
        ("{ file: people.csv }", "people.csv", None),
        ("{ file: ../people.csv, column: Record ID }", "../people.csv", Some("Record ID")),
    ] {
        let text = with("  list: L", &format!("  ids: {written}\n  sample: 50"));
        let source = parse(&text, "plan.yaml").unwrap().source;
        let ids = source.ids.as_ref().unwrap();
        assert_eq!((ids.file(), ids.column(), source.most()), (file, column, Some(50)), "{written}");
    }
}

#[test]
fn words_that_other_readers_take_for_booleans_and_numbers_stay_text() {
    let text = with(
        "  list: L",
        "  filter:\n    - { variable: v, operator: contains any of, values: [no, 007, 1_000, 7, on] }",
    );
    let plan = parse(&text, "plan.yaml").unwrap();
    assert_eq!(
        plan.source.filter.unwrap()[0].values,
        [json!("no"), json!("007"), json!("1_000"), json!(7), json!("on")]
    );
}

#[test]
fn each_mistake_has_a_place_and_a_way_out() {
    let chain = |action: &str| with("chain: []", &format!("chain:\n{action}"));
    let cases: Vec<(&str, String)> = vec![
        ("an empty file", String::new()),
        ("a list where the plan should be", "- a\n- b\n".to_owned()),
        ("malformed YAML", "name: n\nsource: [1, 2\nverify: all\n".to_owned()),
        ("an unquoted reference", with("value: v", "value: {{enrichment.formatted_data}}")),
        ("two documents", with("name: n", "name: n\n---\nname: m")),
        ("an unknown key", with("chain: []", "chian: []")),
        ("an unknown key unlike any other", with("verify: all", "xyzzy: all")),
        ("a required key misspelt", with("writeback:", "writebak:")),
        ("a missing key", with("connection: c\n", "")),
        ("a key given twice", with("name: n", "name: n\nname: m")),
        ("an empty name", with("name: n", "name: \"  \"")),
        ("a number for a name", with("name: n", "name: 2024")),
        ("nothing for a name", with("name: n", "name:")),
        ("no way of selecting", with("  list: L\n", "")),
        ("two ways of selecting", with("  list: L", "  list: L\n  query: q")),
        ("a filter of nothing", with("  list: L", "  filter: []")),
        ("a schedule of four fields", with("  list: L", "  list: L\n  schedule: 0 6 * *")),
        ("a schedule with an hour too many", with("  list: L", "  list: L\n  schedule: {cron: 0 24 * * *}")),
        (
            "a schedule misspelt",
            with(
                "  list: L",
                "  list: L\n  schedule: {corn: 0 6 * * 1, time_zone: Europe/Berln, if_running: queue}",
            ),
        ),
        ("a schedule that is a number", with("  list: L", "  list: L\n  schedule: 5")),
        ("a file of ids on a schedule", with("  list: L", "  ids: a.csv\n  schedule: 0 6 * * 1")),
        ("a file of ids without its name", with("  list: L", "  ids: { column: ID }")),
        ("a file of ids with a key misspelt", with("  list: L", "  ids: { file: a.csv, colum: ID }")),
        ("files of ids", with("  list: L", "  ids: [a.csv, b.csv]")),
        ("standard input without quotes", with("  list: L", "  ids: -")),
        ("a sample of no records", with("  list: L", "  list: L\n  sample: 0")),
        ("a sample of too many records", with("  list: L", "  list: L\n  sample: 10001")),
        ("records of another kind", with("  list: L", "  list: L\n  only: newest")),
        ("changed records without inputs", {
            with("  list: L", "  list: L\n  only: changed").replace("[email]", "[]")
        }),
        ("a cap of nothing", with("  list: L", "  list: L\n  max_count: 0")),
        ("a cap below zero", with("  list: L", "  list: L\n  max_count: -1")),
        ("inputs that are no list", with("[email]", "email")),
        ("an input twice", with("[email]", "[email, phone, email]")),
        ("an input that is a mapping", with("[email]", "[{email: 1}]")),
        ("too many of a hundred", with("canary: 5", "max_failed: 100%")),
        ("a share without a sign", with("canary: 5", "max_failed: 2 percent")),
        ("a canary out of range", with("canary: 5", "canary: 1001")),
        ("a canary in words", with("canary: 5", "canary: five")),
        ("an unknown way to verify", with("verify: all", "verify: al")),
        ("a sample without a number", with("verify: all", "verify: sample")),
        ("a sample of nothing", with("verify: all", "verify: {sample: 0}")),
        ("no property to write", with("    - name: p\n      value: v\n", "    []\n")),
        ("a property twice", with("value: v", "value: v\n    - {name: p, value: w}")),
        ("a number for a value", with("value: v", "value: 5")),
        ("an unknown time to write", with("value: v", "value: v\n      when: if_emtpy")),
        ("an unknown guard", with("verify: all", "  if_changed: holdd\nverify: all")),
        ("an action id twice", chain("  - {id: a, action: filter}\n  - {id: a, action: filter}")),
        ("an action id no reference can hold", chain("  - {id: my action, action: filter}")),
        ("an action called input", chain("  - {id: input, action: filter}")),
        ("an action without a kind", chain("  - id: a\n    actoin: filter\n    outputs: {}")),
        ("a condition's key misspelt", {
            chain(
                "  - id: a\n    action: filter\n    run_if:\n      conditions:\n        - conditions:\n            \
                 - { variable: x, operatr: is, value: 5 }",
            )
        }),
        ("a group's key misspelt", {
            chain(
                "  - id: a\n    action: f\n    run_if:\n      conditions: [{conditons: [], combinator: XOR}]",
            )
        }),
        ("several at once", {
            let text = with("canary: 5", "canary: many");
            text.replace("name: n", "nme: n")
                .replace("verify: all", "verify: some")
                .replace("list: L", "list: []")
        }),
    ];
    let shown: String = cases.iter().map(|(what, text)| format!("{what}\n{}\n\n", rendered(text))).collect();
    insta::assert_snapshot!(shown);
}

#[test]
fn json_is_read_by_its_own_rules() {
    let plan = json!({
        "name": "Zoë \u{1f600}", "connection": "c", "source": {"object": "contacts", "list": "L"},
        "writeback": {"properties": [{"name": "p", "value": "{{input.a}}"}]}, "inputs": ["a"],
    });
    let pretty = serde_json::to_string_pretty(&plan).unwrap().replace("  ", "\t");
    assert_eq!(parse(&pretty, "plan.json").unwrap().name, "Zoë \u{1f600}");

    let faults = parse("{\n  \"name\": \"n\",\n}", "plan.JSON").unwrap_err();
    assert_eq!(faults[0].in_file("plan.json"), "plan.json:3:1: not readable as JSON: key must be a string");
    let faults = parse(&pretty.replace("\"list\"", "\"lst\""), "plan.json").unwrap_err();
    assert!(faults[0].message.contains("did you mean \"list\"?"), "{faults:?}");
    assert_eq!((faults.len(), faults[0].line), (1, Some(8)));
}

#[test]
fn a_fault_with_a_path_gets_its_place() {
    let fault = |path: &str| Fault::new(FaultCode::UnknownAction, path, "unknown");
    let mut faults = [
        fault("chain[0].action"),
        fault("chain[1].inputs.path_conditions[0].operator"),
        fault("chain[1].inputs.no_such_key"),
        fault("writeback.properties[0].value"),
        fault(""),
    ];
    locate(WHOLE, &mut faults);
    let places: Vec<_> = faults.iter().map(|fault| (fault.line, fault.column)).collect();
    let place = |line, column| (Some(line), Some(column));
    assert_eq!(places, [place(11, 13), place(25, 70), place(25, 7), place(29, 45), place(2, 1)]);
    assert_eq!(faults[0].in_file("plan.yaml"), "plan.yaml:11:13: chain[0].action: unknown");
}

#[test]
fn a_position_in_a_script_becomes_one_in_the_file() {
    let located = |yaml: &str, line: u32, column: u32| {
        let mut fault = Fault::new(FaultCode::ScriptSyntax, "f", "line, column: unexpected token");
        (fault.line, fault.column) = (Some(line), Some(column));
        let mut faults = [fault];
        locate(yaml, &mut faults);
        (faults[0].line.unwrap(), faults[0].column.unwrap())
    };
    assert_eq!(located("f: |\n  a\n    b c\n", 2, 5), (3, 7), "in a block");
    assert_eq!(located("a: 1\nf: 'f(x'\n", 1, 3), (2, 7), "in quotes, though the key looks like the script");
    assert_eq!(located("f: f(x\n", 1, 3), (1, 6), "in plain text");
    assert_eq!(located("f: \"a\\\"b\"\n", 1, 3), (1, 4), "behind an escape: where the text begins");
    assert_eq!(located("f: >\n  a\n  b\n", 1, 4), (2, 3), "folded: where the text begins");
}

#[test]
fn a_stored_condition_says_what_is_wrong_with_it() {
    let said =
        serde_json::from_value::<ConditionNode>(json!({"variable": "v", "operatr": "is"})).unwrap_err();
    assert!(said.to_string().contains("unknown field `operatr`"), "{said}");
}

#[test]
fn reader_and_schema_know_the_same_keys() {
    let schema = schema();
    let keys_of = |properties: &Value| -> BTreeSet<String> {
        properties.as_object().unwrap().keys().cloned().collect()
    };
    let read: [(&str, &[&str]); 9] = [
        ("Source", SOURCE_KEYS),
        ("WholeSchedule", schedule::KEYS),
        ("Action", ACTION_KEYS),
        ("RunIf", RUN_IF_KEYS),
        ("ConditionGroup", GROUP_KEYS),
        ("Condition", CONDITION_KEYS),
        ("Writeback", WRITEBACK_KEYS),
        ("PropertyWrite", PROPERTY_KEYS),
        ("", PLAN_KEYS),
    ];
    for (name, keys) in read {
        let of = if name.is_empty() { &schema } else { &schema["$defs"][name] };
        let known: BTreeSet<String> = keys.iter().map(ToString::to_string).collect();
        assert_eq!(keys_of(&of["properties"]), known, "{name}");
        assert_eq!(of["additionalProperties"], json!(false), "{name}");
    }
}

/// The guide that is held to the code.
const GUIDE: &str = include_str!("../../../../../docs/plan.md");

#[test]
fn the_guide_has_every_key_and_its_plans_are_plans() {
    let keys = [
        PLAN_KEYS,
        SOURCE_KEYS,
        schedule::KEYS,
        ACTION_KEYS,
        RUN_IF_KEYS,
        GROUP_KEYS,
        CONDITION_KEYS,
        WRITEBACK_KEYS,
        PROPERTY_KEYS,
    ];
    for key in keys.into_iter().flatten() {
        assert!(GUIDE.contains(&format!("`{key}`")) || GUIDE.contains(&format!("`{key}: ")), "{key}");
    }
    let plans: Vec<&str> =
        GUIDE.split("```yaml\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0)).collect();
    assert_eq!(plans.len(), 5);
    for plan in plans {
        assert!(parse(plan, "plan.yaml").is_ok(), "{plan}\n{:?}", parse(plan, "plan.yaml"));
    }
}

fn any_plan() -> impl Strategy<Value = Plan> {
    let text = || "[^\\s\\p{Cc}][^\\p{Cc}]{0,12}";
    let value =
        prop_oneof![Just(json!(null)), any::<bool>().prop_map(Value::from), text().prop_map(Value::from)];
    let condition = (text(), text(), proptest::collection::vec(value, 0..3), any::<bool>()).prop_map(
        |(variable, operator, values, either)| Condition {
            variable,
            operator,
            values,
            combinator: if either { Combinator::Or } else { Combinator::And },
        },
    );
    let script = "[ -~\n\"'`{}é—]{0,40}";
    (text(), text(), proptest::collection::vec(condition, 1..3), script, any::<u16>(), 0..=MAX_CANARY)
        .prop_map(|(name, target, conditions, script, seconds, canary)| Plan {
            name,
            connection: "c".into(),
            source: Source {
                object: "contacts".into(),
                list: None,
                filter: Some(conditions.clone()),
                view: None,
                query: None,
                ids: None,
                max_count: Some(u64::from(seconds) + 1),
                undoes: None,
                retries: false,
                only: [None, Some(Only::New), Some(Only::Changed)][usize::from(seconds % 3)],
                sample: (seconds % 2 == 0).then_some(50),
                schedule: None,
            },
            inputs: vec![target.as_str().into()],
            chain: vec![Action {
                id: "a".into(),
                action: "f".to_owned(),
                inputs: Map::from_iter([("data_formatter".to_owned(), script.clone().into())]),
                run_if: Some(RunIf {
                    conditions: vec![ConditionNode::Group(ConditionGroup {
                        conditions: conditions.into_iter().map(ConditionNode::Leaf).collect(),
                        combinator: Combinator::Or,
                    })],
                    continue_workflow_if_run_condition_not_met: seconds % 2 == 0,
                }),
                continue_workflow_if_action_fails: seconds % 3 == 0,
            }],
            writeback: Writeback {
                properties: vec![PropertyWrite {
                    name: target.into(),
                    value: script,
                    when: [When::Always, When::IfEmpty, When::IfDifferent][usize::from(seconds % 3)],
                    ignore_empty: seconds % 5 == 0,
                    if_changed: [None, Some(IfChanged::Hold), Some(IfChanged::Overwrite)]
                        [usize::from(seconds % 3)],
                }],
                action: None,
                inputs: Map::new(),
                if_changed: IfChanged::Overwrite,
                guard_older_than: seconds.into(),
            },
            verify: Verify::Sample(u64::from(seconds) + 1),
            canary,
            max_failed: [None, Some(Most::Rows(seconds.into())), Some(Most::Percent(2))]
                [usize::from(seconds % 3)],
            max_changed: [None, Some(Most::Rows(seconds.into())), Some(Most::Percent(99))]
                [usize::from(seconds % 3)],
            approve: [Approve::Automatic, Approve::Manual][usize::from(seconds % 2)],
        })
}

/// The plan of the writeback written as an action with these inputs.
fn acting(action: &str, inputs: &str) -> String {
    format!(
        "name: a\nconnection: c\nsource: {{ object: Account, view: v }}\nwriteback:\n  action: {action}\n  inputs: {inputs}\n"
    )
}

#[test]
fn a_writeback_may_be_written_as_an_update() {
    let list = "add_fields_and_their_values: [{ name: Phone, value: \"{{input.x}}\" }]";
    for (more, ignore_empty) in
        [("", true), (", ignore_empty_values: false, record_id: \"{{ input.Id }}\"", false)]
    {
        let plan =
            parse(&acting("salesforce_update_record", &format!("{{ {list}{more} }}")), "plan.yaml").unwrap();
        let property = PropertyWrite {
            name: "Phone".into(),
            value: "{{input.x}}".to_owned(),
            when: When::IfDifferent,
            ignore_empty,
            if_changed: None,
        };
        assert_eq!(plan.writeback.properties, [property]);
        assert_eq!(plan.writeback.inputs["salesforce_object"], "Account");
        assert_eq!(plan.writeback.path_of(0), "writeback.inputs.add_fields_and_their_values[0]");
        let kept: Plan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
        assert_eq!(kept, plan);
    }
    for (action, more, said) in [
        ("salesforce_upsert_record", "", "can create a record"),
        ("salesforce_updat_record", "", "did you mean \"salesforce_update_record\"?"),
        ("salesforce_update_record", ", record_id: \"{{input.Other}}\"", "the row's own record"),
        ("salesforce_update_record", ", salesforce_object: Contact", "records are of Account"),
        ("salesforce_update_record", ", run_salesforce_assignment_rules: true", "auto_assign"),
        ("salesforce_update_record", ", ignore_empty: true", "ignore_empty_values"),
    ] {
        let faults = parse(&acting(action, &format!("{{ {list}{more} }}")), "plan.yaml").unwrap_err();
        assert!(faults[0].message.contains(said) && faults[0].line.is_some(), "{action}{more}: {faults:?}");
    }
    let both = format!("{}  properties: []\n", acting("salesforce_update_record", &format!("{{ {list} }}")));
    let faults = parse(&both, "plan.yaml").unwrap_err();
    assert!(faults[0].message.contains("leave out one of the two"), "{faults:?}");
}

proptest! {
    #[test]
    fn a_plan_written_out_reads_back_the_same(plan in any_plan()) {
        let json = serde_json::to_string_pretty(&plan).unwrap();
        prop_assert_eq!(parse(&json, "plan.json").map_err(|faults| format!("{faults:?}\n{json}")), Ok(plan.clone()));
        let yaml = serde_saphyr::to_string(&plan).unwrap();
        prop_assert_eq!(parse(&yaml, "plan.yaml").map_err(|faults| format!("{faults:?}\n{yaml}")), Ok(plan));
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,200}") {
        if let Err(faults) = parse(&text, "plan.yaml") {
            prop_assert!(!faults.is_empty());
        }
    }
}
