//! Conditions: a table of variable, operator, values and verdict; joining; and what is refused.

use infill_model::id::PropertyName;
use infill_model::value::Properties;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn names() -> [PropertyName; 3] {
    ["x", "y", "name"].map(PropertyName::from)
}

fn compile(conditions: &Value) -> Result<Conditions, Vec<Fault>> {
    let mut faults = Vec::new();
    let nodes = read_nodes(conditions, "c", &mut faults);
    let names = names();
    let scope = Scope { inputs: &names, actions: &[], n_before: 0 };
    match Conditions::compile(&nodes, "c", scope, &mut faults) {
        Some(conditions) if faults.is_empty() => Ok(conditions),
        _ => Err(faults),
    }
}

fn verdict(conditions: &Value, x: &Value, y: &Value) -> Result<bool, Failure> {
    let compiled = compile(conditions).unwrap_or_else(|faults| panic!("{conditions}: {faults:?}"));
    let inputs = Properties::from([("x".into(), x.clone()), ("y".into(), y.clone())]);
    compiled.are_met(RowView { inputs: &inputs, cells: &[] })
}

#[track_caller]
fn check(x: Value, operator: &str, values: Value, met: bool) {
    let conditions = json!([{"variable": "{{input.x}}", "operator": operator, "values": values}]);
    assert_eq!(verdict(&conditions, &x, &json!(null)), Ok(met), "{x} {operator} {values}");
}

#[test]
fn is_compares_to_the_letter() {
    check(json!("Zoë"), "is", json!(["Zoë"]), true);
    check(json!("zoë"), "is", json!(["Zoë"]), false);
    check(json!("Zoë "), "is", json!(["Zoë"]), false);
    check(json!("Zoë"), "is not", json!(["Zoe"]), true);
    check(json!(null), "is", json!(["Zoë"]), false);
    check(json!(null), "is not", json!(["Zoë"]), true);
    check(json!(null), "is", json!([""]), true);
    check(json!(true), "is", json!([true]), true);
    check(json!("true"), "is", json!([true]), true);
    check(json!("5"), "is", json!(["5.0"]), false);
    check(json!("5.0"), "is", json!([5]), true);
    check(json!(5), "is", json!(["5"]), true);
    check(json!("five"), "is", json!([5]), false);
}

#[test]
fn contains_looks_for_parts_of_text_and_items_of_lists() {
    check(json!("Jean-Luc O'Neil"), "contains", json!(["O'N"]), true);
    check(json!("Jean-Luc"), "contains", json!(["jean"]), false);
    check(json!("Jean-Luc"), "does not contain", json!(["jean"]), true);
    check(json!(null), "contains", json!(["a"]), false);
    check(json!(null), "does not contain", json!(["a"]), true);
    check(json!("abc"), "contains", json!([""]), false);
    check(json!(["red", "blue"]), "contains", json!(["red"]), true);
    check(json!(["red", "blue"]), "contains", json!(["re"]), false);
    check(json!("a;b;c"), "contains any of", json!(["x", "c"]), true);
    check(json!("a;b;c"), "contains any of", json!(["x", "y"]), false);
    check(json!("a;b;c"), "not contains any of", json!(["x", "y"]), true);
    check(json!("a;b;c"), "not contains any of", json!(["x", "a"]), false);
    check(json!(1205), "contains", json!([20]), true);
}

#[test]
fn empty_is_what_a_person_calls_empty() {
    for empty in [json!(null), json!(""), json!(" \n"), json!([])] {
        check(empty.clone(), "is empty", json!([]), true);
        check(empty, "is not empty", json!([]), false);
    }
    for full in [json!("a"), json!(0), json!(false)] {
        check(full.clone(), "is empty", json!([]), false);
        check(full, "is not empty", json!([]), true);
    }
}

#[test]
fn numbers_compare_as_numbers_and_an_empty_side_is_never_met() {
    check(json!("10"), "greater than", json!([9]), true);
    check(json!("10"), "greater than", json!(["9"]), true);
    check(json!(10), "greater than", json!([10]), false);
    check(json!(" 1e3 "), "greater than", json!([999.5]), true);
    check(json!("9007199254740993"), "greater than", json!(["9007199254740992"]), true);
    check(json!("-2.5"), "less than", json!([-2]), true);
    check(json!("5"), "is between", json!([5, 7]), true);
    check(json!("7"), "is between", json!([5, 7]), true);
    check(json!("7.01"), "is between", json!([5, 7]), false);
    for operator in ["greater than", "less than"] {
        check(json!(null), operator, json!([0]), false);
        check(json!(""), operator, json!([0]), false);
        check(json!("1"), operator, json!(["{{input.y}}"]), false);
    }
    check(json!(null), "is between", json!([0, 9]), false);
}

#[test]
fn a_numeric_operator_on_text_that_is_no_number_fails() {
    for x in [
        json!("ten"),
        json!("1,000"),
        json!("$5"),
        json!("NaN"),
        json!("inf"),
        json!("0x10"),
        json!(true),
        json!([1]),
    ] {
        let conditions = json!([{"variable": "{{input.x}}", "operator": "greater than", "values": [1]}]);
        let failure = verdict(&conditions, &x, &json!(null)).unwrap_err();
        assert_eq!(failure.code, Code::NotANumber, "{x}");
        assert!(failure.message.contains("{{input.x}} is text that is not a number"), "{}", failure.message);
    }
    let conditions = json!([{"variable": "{{input.x}}", "operator": "less than", "values": ["{{input.y}}"]}]);
    let failure = verdict(&conditions, &json!("1"), &json!("many")).unwrap_err();
    assert!(failure.message.contains("value 1 for {{input.x}}"), "{}", failure.message);
}

#[test]
fn conditions_join_left_to_right_without_precedence() {
    let leaf = |is_met: bool, combinator: &str| json!({"variable": "{{input.x}}", "operator": if is_met { "is" } else { "is not" }, "values": ["1"], "combinator": combinator});
    let (t, f) = (true, false);
    let check = |conditions: Value, met: bool| {
        assert_eq!(verdict(&conditions, &json!("1"), &json!(null)), Ok(met), "{conditions}");
    };
    check(json!([leaf(t, "AND"), leaf(f, "AND")]), false);
    check(json!([leaf(f, "AND"), leaf(t, "OR")]), true);
    // With precedence, true OR (true AND false) would be true.
    check(json!([leaf(t, "AND"), leaf(t, "OR"), leaf(f, "AND")]), false);
    // The first combinator is ignored.
    check(json!([leaf(f, "OR")]), false);
    check(json!([leaf(t, "OR"), leaf(t, "AND")]), true);
    // A group is in brackets.
    check(json!([leaf(t, "AND"), {"conditions": [leaf(t, "OR"), leaf(f, "AND")], "combinator": "OR"}]), true);
    check(json!([{"conditions": [leaf(f, "AND"), leaf(t, "OR")]}, leaf(t, "AND")]), true);
}

#[test]
fn what_cannot_matter_is_not_evaluated() {
    let guarded = json!([
        {"variable": "{{input.y}}", "operator": "is", "values": ["number"]},
        {"variable": "{{input.x}}", "operator": "greater than", "values": [1], "combinator": "AND"},
    ]);
    assert_eq!(verdict(&guarded, &json!("many"), &json!("text")), Ok(false));
    assert_eq!(verdict(&guarded, &json!("2"), &json!("number")), Ok(true));
    assert!(verdict(&guarded, &json!("many"), &json!("number")).is_err());
}

#[test]
fn variables_and_values_may_be_templates() {
    let conditions =
        json!([{"variable": "{{ input.x | downcase }}", "operator": "is", "values": ["{{input.y}}@x.org"]}]);
    assert_eq!(verdict(&conditions, &json!("ANA@X.ORG"), &json!("ana")), Ok(true));
}

#[test]
fn what_is_refused_is_refused_with_its_place() {
    let check = |conditions: Value, code: FaultCode, path: &str, part: &str| {
        let faults = compile(&conditions).map(|_| ()).unwrap_err();
        let [fault] = faults.as_slice() else { panic!("{conditions}: {faults:?}") };
        assert_eq!((fault.code, fault.path.as_str()), (code, path), "{conditions}: {fault}");
        assert!(fault.message.contains(part), "{conditions}: {fault}");
    };
    let leaf = |operator: &str, values: Value| json!([{"variable": "{{input.x}}", "operator": operator, "values": values}]);
    check(leaf("is equal to", json!(["a"])), FaultCode::UnknownOperator, "c[0].operator", "write \"is\"");
    check(leaf("is", json!([])), FaultCode::InvalidValue, "c[0].values", "takes one value; there are 0");
    check(
        leaf("is", json!(["a", "b"])),
        FaultCode::InvalidValue,
        "c[0].values",
        "takes one value; there are 2",
    );
    check(leaf("is between", json!([1])), FaultCode::InvalidValue, "c[0].values", "two values");
    check(leaf("is empty", json!(["a"])), FaultCode::InvalidValue, "c[0].values", "no values");
    check(leaf("contains any of", json!([])), FaultCode::InvalidValue, "c[0].values", "one value or more");
    check(
        leaf("greater than", json!(["many"])),
        FaultCode::InvalidValue,
        "c[0].values[0]",
        "\"many\" is not one",
    );
    check(leaf("is", json!([null])), FaultCode::InvalidValue, "c[0].values[0]", "use \"is empty\"");
    check(leaf("is", json!("a")), FaultCode::InvalidValue, "c[0].values", "values: [\"a\"]");
    check(
        leaf("is", json!(["{{input.z}}"])),
        FaultCode::UnknownReference,
        "c[0].values[0]",
        "no input \"z\"",
    );
    let empty = |variable: &str| json!([{"variable": variable, "operator": "is empty"}]);
    check(empty("{{input.nam}}"), FaultCode::UnknownReference, "c[0].variable", "did you mean \"name\"");
    check(empty("name"), FaultCode::InvalidValue, "c[0].variable", "write {{input.name}}");
    check(json!([{"variable": "{{input.x}}"}]), FaultCode::MissingKey, "c[0]", "needs the key `operator`");
    check(json!([{"operator": "is empty"}]), FaultCode::MissingKey, "c[0]", "needs the key `variable`");
    check(
        json!([{"variable": "{{input.x}}", "operator": "is", "value": ["a"], "values": ["a"]}]),
        FaultCode::UnknownKey,
        "c[0].value",
        "did you mean \"values\"?",
    );
    check(
        json!([{"variable": "{{input.x}}", "operator": "is empty", "combinator": "and"}]),
        FaultCode::InvalidValue,
        "c[0].combinator",
        "AND or OR",
    );
    check(json!([{"conditions": []}]), FaultCode::InvalidValue, "c[0].conditions", "no conditions");
    check(json!(["{{input.x}}"]), FaultCode::InvalidValue, "c[0]", "has the keys");
}

#[test]
fn every_fault_of_a_list_is_reported_at_once() {
    let faults = compile(&json!([
        {"variable": "{{input.nam}}", "operator": "=", "values": ["{{input.z}}"]},
        {"conditions": [{"variable": "{{input.x}}", "operator": "nope"}]},
    ]))
    .map(|_| ())
    .unwrap_err();
    let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(paths, ["c[0].operator", "c[0].variable", "c[0].values[0]", "c[1].conditions[0].operator"]);
}

#[test]
fn the_conditions_are_shown_as_written() {
    let compiled = compile(&json!([
        {"variable": "{{input.x}}", "operator": "is not empty"},
        {"conditions": [
            {"variable": "{{input.y}}", "operator": "is", "values": ["a"]},
            {"variable": "{{input.y}}", "operator": "is between", "values": [1, 2], "combinator": "OR"},
        ]},
    ]));
    assert_eq!(
        compiled.unwrap().shown(),
        "{{input.x}} is not empty AND ({{input.y}} is \"a\" OR {{input.y}} is between 1, 2)"
    );
}

#[test]
fn a_source_filter_is_checked_by_the_same_words() {
    let condition = |variable: &str, operator: &str, values: Vec<Value>| Condition {
        variable: variable.to_owned(),
        operator: operator.to_owned(),
        values,
        combinator: Combinator::And,
    };
    assert_eq!(
        check_source_filter(&[
            condition("createdate", "greater than", vec![json!("2024-01-01")]),
            condition("email", "is not empty", vec![]),
        ]),
        []
    );
    let faults = check_source_filter(&[
        condition("{{input.email}}", "is", vec![json!("a")]),
        condition("email", "equals", vec![json!("a")]),
        condition("email", "is", vec![]),
        condition("n", "less than", vec![json!("")]),
    ]);
    let places: Vec<(FaultCode, &str)> =
        faults.iter().map(|fault| (fault.code, fault.path.as_str())).collect();
    assert_eq!(
        places,
        [
            (FaultCode::InvalidValue, "source.filter[0].variable"),
            (FaultCode::UnknownOperator, "source.filter[1].operator"),
            (FaultCode::InvalidValue, "source.filter[2].values"),
            (FaultCode::InvalidValue, "source.filter[3].values[0]"),
        ]
    );
}

proptest! {
    #[test]
    fn is_not_is_the_opposite_of_is_and_so_on(x in "\\PC{0,6}", value in "\\PC{1,3}") {
        for (one, other) in [("is", "is not"), ("contains", "does not contain"), ("contains any of", "not contains any of")] {
            let ask = |operator: &str| {
                // A constant must not look like a template here.
                let value = value.replace(['{', '}'], "_");
                let conditions = json!([{"variable": "{{input.x}}", "operator": operator, "values": [value]}]);
                verdict(&conditions, &json!(x), &json!(null)).unwrap()
            };
            prop_assert_ne!(ask(one), ask(other));
        }
    }

    #[test]
    fn numbers_order_as_numbers(one in -1e9..1e9_f64, two in -1e9..1e9_f64) {
        let conditions = json!([{"variable": "{{input.x}}", "operator": "greater than", "values": [two]}]);
        prop_assert_eq!(verdict(&conditions, &json!(one.to_string()), &json!(null)), Ok(one > two));
    }
}
