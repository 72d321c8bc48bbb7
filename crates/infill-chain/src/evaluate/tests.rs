//! Rows through whole chains: cells, decisions, what goes on after a failure, and real people's names.

use infill_model::cell::CellStatus;
use infill_model::plan::Plan;
use serde_json::{Value, json};

use super::*;
use crate::failure::Code;

fn plan(chain: &Value, value: &str) -> Plan {
    serde_json::from_value(json!({
        "name": "a plan",
        "connection": "main",
        "source": { "object": "contacts", "list": "1" },
        "inputs": ["firstname", "jobtitle", "phone", "n"],
        "chain": chain,
        "writeback": { "properties": [{ "name": "note", "value": value }] },
    }))
    .unwrap()
}

fn evaluator(chain: &Value, value: &str) -> Evaluator {
    let chain = Chain::compile(&plan(chain, value)).unwrap_or_else(|faults| panic!("{faults:#?}"));
    chain.evaluator().unwrap()
}

fn inputs(values: Value) -> Properties {
    serde_json::from_value(values).unwrap()
}

fn evaluate(chain: &Value, value: &str, values: Value) -> Evaluated {
    evaluator(chain, value).evaluate(&inputs(values))
}

fn format(id: &str, code: &str) -> Value {
    json!({"id": id, "action": "format_data_using_js_expression", "inputs": {"data_formatter": code}})
}

fn filter(id: &str, conditions: Value) -> Value {
    json!({"id": id, "action": "filter", "inputs": {"path_conditions": conditions}})
}

fn with(mut action: Value, key: &str, value: Value) -> Value {
    action[key] = value;
    action
}

#[track_caller]
fn statuses(evaluated: &Evaluated) -> Vec<(&str, CellStatus)> {
    evaluated.cells.iter().map(|cell| (cell.action.as_str(), cell.status)).collect()
}

fn write(value: Value) -> Decision {
    Decision::Write(Properties::from([("note".into(), value)]))
}

const HAS_PHONE: &str = "{{input.phone}}";

fn has_phone() -> Value {
    json!([{"variable": HAS_PHONE, "operator": "is not empty"}])
}

#[test]
fn a_row_runs_through_the_chain_and_its_value_is_written() {
    let chain = json!([
        format("greet", "return \"Hello \" + {{input.firstname}}.trim();"),
        filter("only", has_phone())
    ]);
    let evaluated = evaluate(&chain, "{{greet.formatted_data}}", json!({"firstname": " Ana ", "phone": "1"}));
    assert_eq!(statuses(&evaluated), [("greet", CellStatus::Complete), ("only", CellStatus::Complete)]);
    assert_eq!(evaluated.cells[0].outputs.get("formatted_data"), Some(&json!("Hello Ana")));
    assert_eq!(evaluated.decision, write(json!("Hello Ana")));
}

#[test]
fn a_chain_may_be_empty_and_a_value_keeps_its_type() {
    let check = |value: &str, written: Value| {
        let evaluated = evaluate(&json!([]), value, json!({"firstname": "Ana", "n": 5}));
        assert_eq!((evaluated.cells.len(), evaluated.decision), (0, write(written)), "{value}");
    };
    check("{{input.n}}", json!(5));
    check("{{input.phone}}", json!(null));
    check("{{input.firstname}} ({{input.n}}) {{input.phone}}", json!("Ana (5) "));
    check("{{ input.firstname | upcase }}", json!("ANA"));
}

#[test]
fn a_bare_reference_in_a_formatter_is_typed_string() {
    let check = |code: &str, written: Value| {
        let values = json!({"firstname": "{\"a\":{\"b\":[1]}}", "n": 5});
        assert_eq!(
            evaluate(&json!([format("a", code)]), "{{a.formatted_data}}", values).decision,
            write(written),
            "{code}"
        );
    };
    check("{{input.n}}", json!("5"));
    check(" {{ input.phone }} ", json!(""));
    check("{{input.firstname?.a}}", json!("{\"b\":[1]}"));
    check("{{input.firstname?.a?.b?.[0]}}", json!("1"));
    check("{{input.firstname?.c?.b}}", json!(""));
}

#[test]
fn a_filter_that_is_not_met_skips_the_row_and_later_cells_stay_queued() {
    let chain = json!([filter("only", has_phone()), format("greet", "1 + 1")]);
    let evaluated = evaluate(&chain, "{{greet.formatted_data}}", json!({"phone": " "}));
    assert_eq!(statuses(&evaluated), [("only", CellStatus::ConditionNotMet), ("greet", CellStatus::Queued)]);
    let reason = "condition not met: {{input.phone}} is not empty".to_owned();
    assert_eq!(evaluated.decision, Decision::Skip { action: "only".into(), reason });
}

#[test]
fn run_if_gates_one_action_and_skips_the_row_unless_told_to_go_on() {
    let gate = |goes_on: bool| {
        let run_if =
            json!({"conditions": has_phone(), "continue_workflow_if_run_condition_not_met": goes_on});
        json!([with(format("a", "1 + 1"), "run_if", run_if), format("b", "\"<{{a.formatted_data}}>\"")])
    };
    let met = evaluate(&gate(false), "{{b.formatted_data}}", json!({"phone": "1"}));
    assert_eq!(met.decision, write(json!("<2>")));
    let skipped = evaluate(&gate(false), "{{b.formatted_data}}", json!({}));
    assert_eq!(statuses(&skipped), [("a", CellStatus::ConditionNotMet), ("b", CellStatus::Queued)]);
    assert!(matches!(&skipped.decision, Decision::Skip { action, .. } if action.as_str() == "a"));
    let went_on = evaluate(&gate(true), "{{b.formatted_data}}", json!({}));
    assert_eq!(statuses(&went_on), [("a", CellStatus::ConditionNotMet), ("b", CellStatus::Complete)]);
    assert_eq!(went_on.decision, write(json!("<>")));
}

#[test]
fn a_failure_ends_the_row_unless_told_to_go_on() {
    let chain = |goes_on: bool| {
        let failing = with(
            format("a", "{{input.firstname}}.trim()"),
            "continue_workflow_if_action_fails",
            json!(goes_on),
        );
        json!([failing, format("b", "{{a.formatted_data}} === null ? \"none\" : \"some\"")])
    };
    let failed = evaluate(&chain(false), "{{b.formatted_data}}", json!({"firstname": null}));
    assert_eq!(statuses(&failed), [("a", CellStatus::Failed), ("b", CellStatus::Queued)]);
    let Decision::Fail(error, action) = &failed.decision else { panic!("{failed:?}") };
    assert_eq!((error.code.as_str(), action.as_str()), ("script_threw", "a"));
    assert_eq!(failed.cells[0].error.as_ref(), Some(error));
    assert_eq!(
        error.message,
        "a: TypeError: cannot read property 'trim' of null at line 1, column 1; {{input.firstname}} was empty"
    );
    let went_on = evaluate(&chain(true), "{{b.formatted_data}}", json!({"firstname": null}));
    assert_eq!(statuses(&went_on), [("a", CellStatus::Failed), ("b", CellStatus::Complete)]);
    assert!(went_on.cells[0].error.is_some() && went_on.cells[0].outputs.is_empty());
    assert_eq!(went_on.decision, write(json!("none")));
}

#[test]
fn what_broke_is_an_error_and_what_the_data_made_fail_is_failed() {
    let number = json!([{"variable": "{{input.phone}}", "operator": "greater than", "values": [1]}]);
    let gated = with(format("a", "1 + 1"), "run_if", json!({"conditions": number.clone()}));
    for (action, code, status) in [
        (format("a", "{{input.n}}.x.y"), Code::ScriptThrew, CellStatus::Failed),
        (format("a", "() => 1"), Code::ScriptResult, CellStatus::Failed),
        (format("a", "for (;;) {} return 1"), Code::ScriptTimeout, CellStatus::Error),
        (format("a", "\"x\".repeat(2 ** 26)"), Code::ScriptOutOfMemory, CellStatus::Error),
        (format("a", "const f = () => f() + 1; return f()"), Code::ScriptStackOverflow, CellStatus::Error),
        (filter("a", number), Code::NotANumber, CellStatus::Failed),
        (gated, Code::NotANumber, CellStatus::Failed),
    ] {
        let evaluated = evaluate(&json!([action]), "x", json!({"phone": "none"}));
        let cell = &evaluated.cells[0];
        let error = cell.error.as_ref().unwrap_or_else(|| panic!("{action}: {evaluated:?}"));
        assert_eq!((cell.status, error.code.as_str()), (status, code.as_str()), "{action}");
        assert!(error.message.starts_with("a: ") && error.message.len() > 10, "{}", error.message);
        assert_eq!(evaluated.decision, Decision::Fail(error.clone(), "a".into()));
    }
}

#[test]
fn a_writeback_value_that_fails_fails_the_row() {
    let evaluated = evaluate(&json!([]), "{{ input.phone | date: \"%Y\" }}", json!({"phone": "soon"}));
    let Decision::Fail(error, action) = evaluated.decision else { panic!("{:?}", evaluated.decision) };
    assert_eq!((error.code.as_str(), action.as_str()), ("template_failed", WRITEBACK));
    assert!(error.message.starts_with("value for note: "), "{}", error.message);
}

#[test]
fn one_evaluator_goes_through_good_and_bad_rows_alike() {
    let mut evaluator = evaluator(
        &json!([format("a", "if ({{input.n}} === 1) for (;;);\nreturn {{input.firstname}}.trim()")]),
        "{{a.formatted_data}}",
    );
    for n in 0..6 {
        let firstname = if n == 2 { json!(null) } else { json!(format!(" {n}")) };
        let decision = evaluator.evaluate(&inputs(json!({"n": n, "firstname": firstname}))).decision;
        match n {
            1 => assert!(matches!(decision, Decision::Fail(error, _) if error.code == "script_timeout")),
            2 => assert!(matches!(decision, Decision::Fail(error, _) if error.code == "script_threw")),
            n => assert_eq!(decision, write(json!(n.to_string()))),
        }
    }
}

#[test]
fn peoples_names_come_through_to_the_letter() {
    let mut evaluator = evaluator(
        &json!([
            format("code", "return \"Dear \" + {{input.firstname}} + ', ' + '{{input.jobtitle}}'"),
            format("template", "`Dear {{input.firstname}}, ${ {{input.jobtitle}} }`"),
            format("text", "\"Dear {{input.firstname}}, {{input.jobtitle}}\""),
        ]),
        "{{code.formatted_data}}|{{template.formatted_data}}|{{text.formatted_data}}|Dear {{input.firstname}}, {{input.jobtitle}}",
    );
    for name in [
        "Nydia M. Velázquez",
        "Raúl M. Grijalva",
        "Ben Ray Luján",
        "Beto O'Rourke",
        "J. Luis Correa",
        "Robert C. \"Bobby\" Scott",
        "Henry C. \"Hank\" Johnson, Jr.",
        "Debbie Wasserman Schultz",
        "Sheila Cherfilus-McCormick",
        "Jesús G. \"Chuy\" García",
        "Aumua Amata Coleman Radewagen",
        "Linda T. Sánchez",
        "María Elvira Salazar",
        "D'Artagnan `the` ${fourth}",
        "back\\slash",
        "{{input.jobtitle}}",
        "{% if %}",
        "李小龍",
        "O\u{2019}Neil",
        "Zoe\u{308}",
        "line\nbreak",
        "</script><!-- -->",
    ] {
        let decision =
            evaluator.evaluate(&inputs(json!({"firstname": name, "jobtitle": "Rep. \"at large\""}))).decision;
        let one = format!("Dear {name}, Rep. \"at large\"");
        assert_eq!(decision, write(json!([one.as_str(); 4].join("|"))), "{name}");
    }
}

/// A chain that looks a company up, and writes down what came of it.
fn looked_up(goes_on: bool) -> Evaluator {
    let find = json!({"id": "find", "action": "salesforce_lookup_record", "inputs": {
    "salesforce_object": "Account", "search_operator": "AND",
    "add_fields_and_their_values": [
        {"name": "Name", "value": "{{input.firstname}}"}, {"name": "Phone", "value": null},
    ]}});
    let find = with(find, "continue_workflow_if_action_fails", json!(goes_on));
    evaluator(
        &json!([format("a", "\"one\""), find, format("b", "{{find.records_found[0].Id}} ?? \"none\"")]),
        "{{b.formatted_data}}",
    )
}

#[test]
fn a_row_waits_for_what_another_system_gives_and_goes_on_from_there() {
    let mut evaluator = looked_up(false);
    let row = inputs(json!({"firstname": "O'Neil"}));
    let waiting = evaluator.evaluate(&row);
    assert_eq!(
        statuses(&waiting),
        [("a", CellStatus::Complete), ("find", CellStatus::Running), ("b", CellStatus::Queued)]
    );
    let Decision::Perform(call) = &waiting.decision else { panic!("{waiting:?}") };
    assert_eq!(
        (call.action.as_str(), call.kind, call.is_idempotent),
        ("find", "salesforce_lookup_record", true)
    );
    let wanted = json!({
        "salesforce_object": "Account", "search_operator": "AND", "exact_match": false,
        "add_fields_and_their_values": [{"name": "Name", "value": "O'Neil"}, {"name": "Phone", "value": null}],
    });
    assert_eq!(json!(call.inputs), wanted);
    // Not answered, it is asked again.
    assert_eq!(evaluator.go_on(&row, waiting.cells.clone()), waiting);
    let mut cells = waiting.cells;
    cells[0].outputs.insert("formatted_data".into(), json!("kept"));
    cells[1].status = CellStatus::Complete;
    cells[1].outputs.insert("records_found".into(), json!([{"Id": "001"}]));
    let done = evaluator.go_on(&row, cells);
    assert_eq!(done.decision, write(json!("001")));
    assert_eq!(done.cells[0].outputs["formatted_data"], "kept", "what ended is not run again");
}

#[test]
fn an_action_that_another_system_refused_fails_the_row_unless_told_to_go_on() {
    for goes_on in [false, true] {
        let mut evaluator = looked_up(goes_on);
        let row = inputs(json!({"firstname": "x"}));
        let mut cells = evaluator.evaluate(&row).cells;
        let error = CellError { code: "too_many_found".to_owned(), message: "find: too many".to_owned() };
        cells[1].status = CellStatus::Failed;
        cells[1].error = Some(error.clone());
        let decision = evaluator.go_on(&row, cells).decision;
        let failed = Decision::Fail(error, "find".into());
        assert_eq!(decision, if goes_on { write(json!("none")) } else { failed });
    }
}

#[test]
fn an_input_that_must_not_be_empty_fails_its_cell_and_one_that_may_does_not() {
    let task = json!({"id": "task", "action": "salesforce_create_task", "inputs": {
        "subject": "{{input.firstname}}", "what_id": "{{input.phone}}"}});
    let evaluate = |row: Value| evaluate(&json!([task]), "x", row).decision;
    let Decision::Fail(error, _) = evaluate(json!({})) else { panic!("an empty subject") };
    assert_eq!(error.code, Code::InputEmpty.as_str());
    let Decision::Perform(call) = evaluate(json!({"firstname": "Call"})) else { panic!("a task") };
    assert_eq!(json!(call.inputs), json!({"subject": "Call", "what_id": null}));
    assert!(!call.is_idempotent);
}
