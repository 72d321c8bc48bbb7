//! Compiling plans: each fault, at its path; and all of them at once.

use infill_model::error::{Fault, FaultCode};
use infill_model::plan::Plan;
use serde_json::{Value, json};

use super::Chain;
use crate::condition::Operator;
use crate::failure::Code;
use crate::script::{MEMORY_LIMIT_BYTES, STACK_LIMIT_BYTES, TIME_LIMIT};

fn compile(chain: &Value, properties: &Value) -> Result<Chain, Vec<Fault>> {
    let plan: Plan = serde_json::from_value(json!({
        "name": "a plan",
        "connection": "main",
        "source": { "object": "contacts", "list": "1" },
        "inputs": ["firstname", "lastname", "phone"],
        "chain": chain,
        "writeback": { "properties": properties },
    }))
    .unwrap();
    Chain::compile(&plan)
}

#[track_caller]
fn check(chain: Value, faults: &[(FaultCode, &str, &str)]) {
    let found = compile(&chain, &json!([])).map(|_| ()).unwrap_err();
    check_faults(&found, faults);
}

#[track_caller]
fn check_faults(found: &[Fault], wanted: &[(FaultCode, &str, &str)]) {
    let places: Vec<(FaultCode, &str)> =
        found.iter().map(|fault| (fault.code, fault.path.as_str())).collect();
    let wanted_places: Vec<(FaultCode, &str)> = wanted.iter().map(|(code, path, _)| (*code, *path)).collect();
    assert_eq!(places, wanted_places, "{found:#?}");
    for (fault, (_, _, part)) in found.iter().zip(wanted) {
        assert!(fault.message.contains(part), "{fault}");
    }
}

fn format(id: &str, code: &str) -> Value {
    json!({"id": id, "action": "format_data_using_js_expression", "inputs": {"data_formatter": code}})
}

#[test]
fn kinds_and_their_keys_are_checked() {
    check(
        json!([{"id": "a", "action": "format_data_using_js_expresion", "inputs": {"data_formatter": "1"}}]),
        &[(FaultCode::UnknownAction, "chain[0].action", "did you mean \"format_data_using_js_expression\"?")],
    );
    check(
        json!([{"id": "a", "action": "zap"}]),
        &[(
            FaultCode::UnknownAction,
            "chain[0].action",
            "there are \"filter\", \"format_data_using_js_expression\", \"salesforce_create_record\"",
        )],
    );
    check(
        json!([{"id": "a", "action": "format_data_using_js_expression", "inputs": {"data_formater": "1"}}]),
        &[
            (FaultCode::UnknownKey, "chain[0].inputs.data_formater", "did you mean \"data_formatter\"?"),
            (FaultCode::MissingKey, "chain[0].inputs", "needs the input `data_formatter`"),
        ],
    );
    check(
        json!([{"id": "a", "action": "format_data_using_js_expression", "inputs": {"data_formatter": "1", "zap": 1}}]),
        &[(FaultCode::UnknownKey, "chain[0].inputs.zap", "has no input `zap`")],
    );
    check(
        json!([{"id": "a", "action": "format_data_using_js_expression", "inputs": {"data_formatter": 5}}]),
        &[(FaultCode::InvalidValue, "chain[0].inputs.data_formatter", "is text")],
    );
    check(
        json!([{"id": "a", "action": "filter", "inputs": {"path_conditions": {"variable": "x"}}}]),
        &[(FaultCode::InvalidValue, "chain[0].inputs.path_conditions", "a list of conditions is wanted")],
    );
    check(
        json!([{"id": "a", "action": "filter", "inputs": {"path_conditions": []}}]),
        &[(FaultCode::InvalidValue, "chain[0].inputs.path_conditions", "there are no conditions")],
    );
}

#[test]
fn an_action_of_another_system_is_checked_as_far_as_the_plan_tells() {
    let update = |change: Value| {
        let mut inputs = json!({
            "record_id": "{{input.phone}}",
            "salesforce_object": "Opportunity",
            "add_fields_and_their_values": [{"name": "NextStep", "value": "Call {{input.firstname}}"}],
        });
        for (key, value) in change.as_object().unwrap() {
            inputs[key] = value.clone();
        }
        json!([{"id": "a", "action": "salesforce_update_record", "inputs": inputs}])
    };
    assert!(compile(&update(json!({"ignore_empty_values": false})), &json!([])).is_ok());
    let outputs = json!([{"name": "note", "value": "{{a.record_id}} {{a.account_url}}"}]);
    assert!(compile(&update(json!({})), &outputs).is_ok());
    let of = |key: &str| format!("chain[0].inputs.{key}");
    let list = "add_fields_and_their_values";
    for (change, code, path, part) in [
        (json!({"record_id": ""}), FaultCode::InvalidValue, of("record_id"), "is text"),
        (json!({"record_id": "{{input.x}}"}), FaultCode::UnknownReference, of("record_id"), "no input \"x\""),
        (
            json!({"salesforce_object": "{{input.phone}}"}),
            FaultCode::InvalidValue,
            of("salesforce_object"),
            "written out",
        ),
        (
            json!({"ignore_empty_values": "no"}),
            FaultCode::InvalidValue,
            of("ignore_empty_values"),
            "true or false",
        ),
        (json!({"ignore_empty": true}), FaultCode::UnknownKey, of("ignore_empty"), "ignore_empty_values"),
        (json!({list: []}), FaultCode::InvalidValue, of(list), "at least one"),
        (
            json!({list: [{"name": "A", "value": 1}, {"name": "A", "value": 2}]}),
            FaultCode::Duplicate,
            of(&format!("{list}[1].name")),
            "named twice",
        ),
        (json!({list: [{"name": "A"}]}), FaultCode::MissingKey, of(&format!("{list}[0]")), "null clears"),
        (
            json!({list: [{"name": "A", "valeu": 1}]}),
            FaultCode::UnknownKey,
            of(&format!("{list}[0].valeu")),
            "value",
        ),
        (json!({list: [{"value": 1}]}), FaultCode::MissingKey, of(&format!("{list}[0]")), "API name"),
        (
            json!({list: [{"name": "A", "value": ["x"]}]}),
            FaultCode::InvalidValue,
            of(&format!("{list}[0].value")),
            "text, a number",
        ),
    ] {
        check(update(change), &[(code, &path, part)]);
    }
    check(
        json!([{"id": "a", "action": "salesforce_lookup_record", "inputs": {
            "salesforce_object": "Account", list: [{"name": "Name", "value": "x"}], "search_operator": "and"}}]),
        &[(FaultCode::InvalidValue, "chain[0].inputs.search_operator", "\"AND\" or \"OR\"")],
    );
    check(
        json!([{"id": "a", "action": "salesforce_create_task", "inputs": {"subjekt": "x"}}]),
        &[
            (FaultCode::UnknownKey, "chain[0].inputs.subjekt", "did you mean \"subject\"?"),
            (FaultCode::MissingKey, "chain[0].inputs", "needs the input `subject`"),
        ],
    );
}

#[test]
fn ids_are_unique_and_can_be_named() {
    check(
        json!([format("a", "1"), format("a", "2")]),
        &[(FaultCode::Duplicate, "chain[1].id", "called \"a\" already")],
    );
    check(
        json!([format("input", "1")]),
        &[(FaultCode::InvalidValue, "chain[0].id", "cannot be an action's id")],
    );
    check(
        json!([format("a b", "1")]),
        &[(FaultCode::InvalidValue, "chain[0].id", "cannot be an action's id")],
    );
    check(json!([format("", "1")]), &[(FaultCode::InvalidValue, "chain[0].id", "cannot be an action's id")]);
}

#[test]
fn references_see_inputs_and_earlier_actions_only() {
    check(
        json!([format("a", "{{b.formatted_data}}"), format("b", "'{{a.formatted_data}}'")]),
        &[(FaultCode::Cycle, "chain[0].inputs.data_formatter", "a later action")],
    );
    check(
        json!([format("a", "{{a.formatted_data}} + 1")]),
        &[(FaultCode::Cycle, "chain[0].inputs.data_formatter", "itself")],
    );
    check(
        json!([format("a", "{{input.hs_object_id}}")]),
        &[(FaultCode::UnknownReference, "chain[0].inputs.data_formatter", "no input \"hs_object_id\"")],
    );
    check(
        json!([{"id": "a", "action": "filter", "inputs": {"path_conditions":
            [{"variable": "{{a.x}}", "operator": "is equal to", "values": ["{{b.formatted_data}}"]}]}}, format("b", "1")]),
        &[
            (FaultCode::UnknownOperator, "chain[0].inputs.path_conditions[0].operator", "write \"is\""),
            (FaultCode::Cycle, "chain[0].inputs.path_conditions[0].variable", "itself"),
            (FaultCode::Cycle, "chain[0].inputs.path_conditions[0].values[0]", "a later action"),
        ],
    );
}

#[test]
fn a_fault_in_a_script_has_line_and_column_of_the_script() {
    let faults =
        compile(&json!([format("a", "const a = {{input.phone}};\nreturn a +;")]), &json!([])).unwrap_err();
    let [fault] = faults.as_slice() else { panic!("{faults:?}") };
    assert_eq!(fault.code, FaultCode::ScriptSyntax);
    assert_eq!((fault.line, fault.column), (Some(2), Some(11)));
    assert!(fault.message.starts_with("line 2, column 11 of the script: "), "{fault}");
}

#[test]
fn run_if_is_checked_as_a_filter_is() {
    let mut action = format("a", "1");
    action["run_if"] = json!({"conditions": [
        {"conditions": [{"variable": "{{input.phon}}", "operator": "not empty"}]},
        {"conditions": []},
    ]});
    check(
        json!([action]),
        &[
            (FaultCode::InvalidValue, "chain[0].run_if.conditions[1].conditions", "no conditions"),
            (
                FaultCode::UnknownOperator,
                "chain[0].run_if.conditions[0].conditions[0].operator",
                "write \"is not empty\"",
            ),
            (
                FaultCode::UnknownReference,
                "chain[0].run_if.conditions[0].conditions[0].variable",
                "did you mean \"phone\"",
            ),
        ],
    );
}

#[test]
fn the_writeback_is_checked_and_every_fault_of_a_plan_is_reported_at_once() {
    let faults = compile(
        &json!([format("a", "{{input.firstnme}}"), {"id": "a", "action": "filtr"}, format("c", "return")]),
        &json!([
            {"name": "note", "value": "{{a.formatted_data}} {{ input.phone | upcas }}"},
            {"name": "note", "value": "{{c.data}}"},
        ]),
    );
    check_faults(
        &faults.unwrap_err(),
        &[
            (FaultCode::UnknownReference, "chain[0].inputs.data_formatter", "did you mean \"firstname\""),
            (FaultCode::Duplicate, "chain[1].id", "called \"a\" already"),
            (FaultCode::UnknownAction, "chain[1].action", "did you mean \"filter\"?"),
            (FaultCode::InvalidValue, "writeback.properties[0].value", "no Liquid filter \"upcas\""),
            (FaultCode::Duplicate, "writeback.properties[1].name", "written twice"),
            (FaultCode::UnknownReference, "writeback.properties[1].value", "no output \"data\""),
        ],
    );
}

#[test]
fn the_guide_names_every_limit_code_and_operator() {
    let guide = include_str!("../../../../docs/chain.md");
    let limits = [
        format!("| time | {} ms | `script_timeout` |", TIME_LIMIT.as_millis()),
        format!(
            "| memory of the script engine | {} MiB | `script_out_of_memory` |",
            MEMORY_LIMIT_BYTES >> 20
        ),
        format!("| stack | {} KiB | `script_stack_overflow` |", STACK_LIMIT_BYTES >> 10),
    ];
    let codes = Code::ALL.map(|code| format!("`{}`", code.as_str()));
    let operators = Operator::ALL.map(|operator| format!("`{operator}`"));
    for named in limits.iter().chain(&codes).chain(&operators) {
        assert!(guide.contains(named.as_str()), "{named}");
    }
}

#[test]
fn a_chain_is_shared_between_threads_and_an_evaluator_moves_to_one() {
    fn is_shared<T: Send + Sync + Clone>(_: &T) {}
    fn moves<T: Send>(_: &T) {}
    let chain = compile(&json!([format("a", "1 + 1")]), &json!([])).unwrap();
    is_shared(&chain);
    moves(&chain.evaluator().unwrap());
}
