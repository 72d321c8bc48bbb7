//! Scripts: what references become wherever they stand, what results become, and what is refused.

use std::cell::RefCell;
use std::sync::Arc;

use infill_model::error::FaultCode;
use infill_model::id::PropertyName;
use infill_model::value::{Properties, Value};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::failure::{Code, Failure};
use crate::reference::{RowView, Scope};

const INPUTS: [&str; 8] = ["x", "y", "null", "absent", "n", "flag", "list", "json"];

fn inputs(x: &str) -> Properties {
    Properties::from([
        ("x".into(), json!(x)),
        ("y".into(), json!("Y")),
        ("null".into(), json!(null)),
        ("n".into(), json!(41.5)),
        ("flag".into(), json!(true)),
        ("list".into(), json!([{"k": 1}, {"k": 2}])),
        ("json".into(), json!(r#"{"a": {"b": ["deep"]}, "__proto__": {"c": 1}}"#)),
    ])
}

pub(super) fn compile(code: &str) -> Result<Script, Vec<ScriptProblem>> {
    let names = INPUTS.map(PropertyName::from);
    Script::compile(code, Scope { inputs: &names, actions: &[], n_before: 0 })
}

pub(super) fn scripts(codes: &[&str]) -> Scripts {
    let compiled: Vec<Script> = codes
        .iter()
        .map(|code| compile(code).unwrap_or_else(|problems| panic!("{code}: {problems:?}")))
        .collect();
    Scripts::new(Arc::from(compiled)).unwrap()
}

pub(super) fn run_with(scripts: &mut Scripts, index: usize, x: &str) -> Result<String, Failure> {
    scripts.run(index, RowView { inputs: &inputs(x), cells: &[] })
}

fn run(code: &str, x: &str) -> Result<String, Failure> {
    run_with(&mut scripts(&[code]), 0, x)
}

#[track_caller]
fn check(code: &str, result: &str) {
    assert_eq!(run(code, "Zoë \"O'Brien\"").as_deref(), Ok(result), "{code}");
}

#[test]
fn a_script_is_an_expression_or_statements_that_return() {
    check("1 + 1", "2");
    check("  \"a\"  ", "a");
    check("\"a\" + \"b\";", "ab");
    check("\"a\" + \"b\"; // done\n", "ab");
    check("return \"a\";", "a");
    check("return \"a\"", "a");
    check("const first = {{input.y}};\n\nif (first) {\n  return first + \"!\";\n}\nreturn \"nobody\";", "Y!");
    check("const first = {{input.y}}; // who\r\nreturn first", "Y");
    check("(() => { const a = {{input.y}}; return a + 1; })()", "Y1");
    check("(function () {\n  return {{input.y}};\n})();", "Y");
    check("{a: 1}", "{\"a\":1}");
    check("{}", "{}");
    check("/* nothing */ 5 /* more */", "5");
    check("{ return: 1 }.return", "1");
}

#[test]
fn references_are_bound_wherever_they_stand() {
    check("{{input.x}}", "Zoë \"O'Brien\"");
    check("{{ input.x }}.length", "13");
    check("\"{{input.x}}\"", "Zoë \"O'Brien\"");
    check("'{{input.x}}'", "Zoë \"O'Brien\"");
    check("`{{input.x}}`", "Zoë \"O'Brien\"");
    check("\"Hi {{input.x}}, {{input.y}}!\"", "Hi Zoë \"O'Brien\", Y!");
    check("'it\\'s {{input.y}}\\n\\u00e9'", "it's Y\n\u{e9}");
    check("`a${ {{input.y}} }b{{input.y}}c${`{{input.y}}` + \"{{input.y}}\"}`", "aYbYcYY");
    check("`Cost: ${{input.n}}`", "Cost: $41.5");
    check("`${{{input.y}}}`", "Y");
    check("`{{{input.y}}}`", "{Y}");
    check("\"{{{input.y}}}\"", "{Y}");
    check("\"{{input.y}}\".toLowerCase()", "y");
    check("typeof\"{{input.y}}\"", "string");
    check("[{{input.y}}, {{input.n}}]", "[\"Y\",41.5]");
    check("({a:{b:{{input.y}}}}).a.b", "Y");
    check("({ \"{{input.y}}\": 1, {{input.x}}: 2 })", "{\"Y\":1,\"Zoë \\\"O'Brien\\\"\":2}");
    check("{{input.flag}} ? \"{{input.y}}\" : 'no'", "Y");
    check("String.raw`\\n{{input.y}}`", "\\nY");
    check("\"\\{{input.y}}\"", "{{input.y}}");
    check("`\\{{input.y}}`", "{{input.y}}");
    check("const a = 1\n\"{{input.y}}\".trim()\nreturn a", "1");
    check("\"a\\\n{{input.y}}\"", "aY");
}

#[test]
fn a_value_in_a_literal_is_text_and_a_bare_one_is_a_value() {
    check("{{input.null}}", "");
    check("{{input.null}} === null", "true");
    check("{{input.absent}} === null", "true");
    check("\"a{{input.null}}b\" + `c{{input.null}}d`", "abcd");
    check("typeof {{input.n}}", "number");
    check("typeof \"{{input.n}}\" + typeof `{{input.n}}`", "stringstring");
    check("{{input.flag}} === true", "true");
    check("\"{{input.flag}} {{input.n}}\"", "true 41.5");
    check("{{input.list}}.map((item) => item.k).join(\"+\")", "1+2");
    check("\"{{input.list}}\"", "[{\"k\":1},{\"k\":2}]");
    check("{{input.list[1].k}} + 1", "3");
    check("{{input.json?.a?.b?.[0]}}.toUpperCase()", "DEEP");
    check("{{input.json.a.x?.y}} ?? \"none\"", "none");
    check("Object.getPrototypeOf({{input.list[0]}}) === Object.prototype", "true");
}

#[test]
fn literals_comments_and_regular_expressions_end_where_javascript_ends_them() {
    check("// {{input.nothing}} it's\n1", "1");
    check("/* {{input.nothing}} \" */ 1", "1");
    check("1 <!-- {{input.nothing}} it's", "1");
    check("1\n--> {{input.nothing}} it's", "1");
    check("\"// {{input.y}}\"", "// Y");
    check("'a/*' + \"{{input.y}}\" + '*/'", "a/*Y*/");
    check("\"a'b\".replace(/'/g, \"{{input.y}}\")", "aYb");
    check("\"a/b\".replace(/[/\"]/, '{{input.y}}')", "aYb");
    check("\"a\\\\\" + '{{input.y}}'", "a\\Y");
    check("`a\\`{{input.y}}`", "a`Y");
    check("10 / 2 / 5 + '{{input.y}}'", "1Y");
    check("const f = (a) => { return a / 2 }\nreturn f(4) + /\"/.source + '{{input.y}}'", "2\"Y");
    check("let i = 4; i++ / 2; if (i) /'/.test(\"'\"); return '{{input.y}}'", "Y");
    check("const o = { a: 4 }; return o.a / 2 + '/{{input.y}}'", "2/Y");
    check("[4][0] / 2 + \"'\" + '{{input.y}}'", "2'Y");
    check("({ a: 4 }) / 2 + \"'\" + '{{input.y}}'", "NaN'Y");
    check("return /'/.test(\"'\") + '{{input.y}}'", "trueY");
    check("`${{ a: '}' }.a}${/}'/.source}{{input.y}}`", "}}'Y");
    check("const a = 1, b = 2; return a ? { c: b / 1 } : { d: /'/ }", "{\"c\":2}");
    check("switch (1) { case 1: { return '{{input.y}}' } }", "Y");
    check("1..toFixed(1) + 1.5.toFixed() + (1./2)", "1.020.5");
    check("true ?.5 : 1", "0.5");
    check("'a'?.length", "1");
}

#[test]
fn results_become_text_as_javascript_prints_it() {
    check("undefined", "");
    check("null", "");
    check("\"\"", "");
    check("true", "true");
    check("1e21", "1e+21");
    check("0.1 + 0.2", "0.30000000000000004");
    check("5.0", "5");
    check("-0", "0");
    check("NaN", "NaN");
    check("12345678901234567890n", "12345678901234567890");
    check("[1, \"a\", null, undefined]", "[1,\"a\",null,null]");
    check("({ a: { b: \"é\" }, c: undefined })", "{\"a\":{\"b\":\"é\"}}");
    check("new Date(Date.UTC(2024, 1, 29))", "2024-02-29T00:00:00.000Z");
    check("if ({{input.null}}) return \"x\";", "");
    check("\"a\\0b\"", "a\0b");
    check("\"😀\" + \"\\ud83d\\ude00\"", "😀😀");
}

#[track_caller]
fn fails(code: &str, with: Code, part: &str) {
    let failure = run(code, "x").unwrap_err();
    assert_eq!(failure.code, with, "{code}: {failure:?}");
    assert!(failure.message.contains(part), "{code}: {}", failure.message);
}

#[test]
fn a_result_that_cannot_be_text_fails() {
    fails("() => 1", Code::ScriptResult, "call it");
    fails("(x) => { return x }", Code::ScriptResult, "call it");
    fails("Symbol(\"a\")", Code::ScriptResult, "cannot be text");
    fails("(async () => 1)()", Code::ScriptResult, "a promise");
    fails("Promise.resolve(1)", Code::ScriptResult, "a promise");
    fails("new Error(\"a\")", Code::ScriptResult, "`throw` it");
    fails("\"😀\"[0]", Code::ScriptResult, "half of a character");
    fails("[\"😀\".slice(1)].join()", Code::ScriptResult, "half of a character");
}

#[test]
fn a_throw_says_what_where_and_which_references_were_empty() {
    fails("{{input.null}}.trim()", Code::ScriptThrew, "TypeError: ");
    fails("{{input.null}}.trim()", Code::ScriptThrew, "; {{input.null}} was empty");
    fails(
        "const a = 1;\nreturn {{input.absent}}.trim() + {{input.null}}.trim();",
        Code::ScriptThrew,
        "at line 2, column",
    );
    fails(
        "{{input.absent}}.trim() + {{input.null}}.trim()",
        Code::ScriptThrew,
        "; empty were {{input.absent}}, {{input.null}}",
    );
    fails("if ({{input.x}}) throw new RangeError(\"no\"); return 1", Code::ScriptThrew, "RangeError: no");
    let long = run("throw new Error(\"é\".repeat(9999)); return 1", "x").unwrap_err().message;
    assert!(long.contains("éé… at line 1") && long.chars().count() < 600, "{long}");
    fails("return (() => { throw \"text\" })()", Code::ScriptThrew, "the script threw text");
    fails("{{input.x}}()", Code::ScriptThrew, "not a function");
    fails("unknown + 1", Code::ScriptThrew, "unknown");
    fails("return (y = 1)", Code::ScriptThrew, "ReferenceError");
}

#[track_caller]
fn refused(code: &str, with: FaultCode, place: Option<(u32, u32)>, part: &str) {
    let problems = compile(code).map(|_| ()).unwrap_err();
    let [ScriptProblem { problem, place: found }] = problems.as_slice() else {
        panic!("{code}: {problems:?}")
    };
    let place = place.map(|(line, column)| Place { line, column });
    assert_eq!((problem.code, *found), (with, place), "{code}: {problem:?}");
    assert!(problem.message.contains(part), "{code}: {}", problem.message);
}

#[test]
fn javascript_that_does_not_parse_is_refused_with_line_and_column_of_the_source() {
    let syntax = |code: &str, line: u32, column: u32, part: &str| {
        refused(code, FaultCode::ScriptSyntax, Some((line, column)), part);
    };
    syntax("return 1 +;", 1, 11, "unexpected token in expression: ';'");
    syntax("const a = 1;\nconst = 2;\nreturn a", 2, 7, "");
    syntax("Hello {{input.x}}", 1, 7, "{{input.x}}");
    syntax("return \"{{input.x}}\" \"é{{input.y}}\" ü", 1, 22, "expecting ';'");
    syntax("const é = {{input.x}}; return é é", 1, 33, "");
    syntax("1 +", 1, 4, "ends too early");
    syntax("return 1 +\n", 2, 1, "ends too early");
    syntax("return (1", 1, 8, "\"(\" is never closed");
    syntax("return 1)", 1, 9, "\")\" closes nothing");
    syntax("return [1)", 1, 10, "\"]\" is wanted here");
    syntax("return \"a", 1, 8, "the string is never closed by \"");
    syntax("return 'a\n'", 1, 8, "the string is never closed by '");
    syntax("return `a${1}b", 1, 13, "the template literal is never closed");
    syntax("return 1 /* a", 1, 10, "the comment is never closed");
    syntax("return /a", 1, 8, "the regular expression is never closed");
    syntax("const a = {{input.x}};\na.trim()", 1, 1, "never return a value; add `return`");
    syntax("function f() { return 1 }\nf()", 1, 1, "never return a value; add `return`");
    syntax("({ {{input.x}} })", 1, 4, "without a key");
    syntax("\"\\u{zz}{{input.x}}\"", 1, 1, "");
    syntax("1\0", 1, 2, "NUL");
    refused("", FaultCode::ScriptSyntax, None, "there is no code");
    refused("// only a comment", FaultCode::ScriptSyntax, None, "there is no code");
    // The source cannot close our function and go on outside it.
    syntax("1); globalThis.a = 1; (1", 1, 2, "\")\" closes nothing");
    syntax("return 1 }); (function () {", 1, 10, "\"}\" closes nothing");
}

#[test]
fn a_reference_that_is_none_is_refused_with_its_place() {
    let reference = |code: &str, column: u32, part: &str| {
        refused(code, FaultCode::UnknownReference, Some((1, column)), part);
    };
    reference("1 + {{input.z}}", 5, "no input \"z\"");
    reference("\"a {{input.z}}\"", 4, "no input \"z\"");
    reference("`a {{input.z}}`", 4, "no input \"z\"");
    reference("\"{{input.first name}}\"", 2, "{{input.first name}} is not a reference");
    reference("\"{{input.x\"", 2, "begins no reference");
    reference("{{ input.x | upcase }}", 1, "a Liquid filter cannot stand in JavaScript");
    reference("/{{input.x}}/.test(\"a\")", 2, "new RegExp");
    reference("({}).{{input.x}}", 6, "write object[{{input.x}}]");
    let problems = compile("{{input.z}} + '{{input.w}}' + `{{input.v}}`").map(|_| ()).unwrap_err();
    assert_eq!(problems.len(), 3, "{problems:?}");
}

#[test]
fn names_of_ours_never_meet_names_of_the_author() {
    check("const $ref0$ = 1, $text0$ = 2; return $ref0$ + $text0$ + {{input.y}} + \"{{input.y}}\"", "3YY");
    check("(($ref, $text) => $ref + $text)({{input.y}}, \"{{input.y}}!\")", "YY!");
}

const ANY_TEXT: &str = "(\\PC|[\\x00-\\x1f]|\\{\\{|\\}\\}|\\$\\{|</script>|[\"'`\\\\\n\r\u{2028}\u{2029}])*";

/// A script for each way a reference can stand, with what goes around the value.
const STANDINGS: [(&str, &str, &str); 12] = [
    ("return {{input.x}}", "", ""),
    ("return \"{{input.x}}\"", "", ""),
    ("return '{{input.x}}'", "", ""),
    ("return `{{input.x}}`", "", ""),
    ("return \"a{{input.x}}b\"", "a", "b"),
    ("return 'a{{input.x}}b'", "a", "b"),
    ("return `a{{input.x}}b`", "a", "b"),
    ("return `a${\"{{input.x}}\"}b`", "a", "b"),
    ("return `a${`${ {{input.x}} }`}b`", "a", "b"),
    ("\"a\" + {{input.x}} + 'b'", "a", "b"),
    ("/* ' */ [\"a{{input.x}}\", 'b'].join(\"\")", "a", "b"),
    ("return Object.keys({ \"a{{input.x}}b\": 1 })[0]", "a", "b"),
];

#[test]
fn a_value_never_changes_what_the_code_means() {
    let scripts = RefCell::new(scripts(&STANDINGS.map(|(code, _, _)| code)));
    proptest!(ProptestConfig::with_cases(500), |(value in ANY_TEXT)| {
        for (index, (code, before, after)) in STANDINGS.iter().enumerate() {
            let result = run_with(&mut scripts.borrow_mut(), index, &value);
            prop_assert_eq!(result, Ok(format!("{before}{value}{after}")), "{}", code);
        }
    });
}

proptest! {
    #[test]
    fn a_json_value_comes_through_whole(value in json_value()) {
        let names = INPUTS.map(PropertyName::from);
        let scope = Scope { inputs: &names, actions: &[], n_before: 0 };
        let script = Script::compile("JSON.stringify({{input.x}})", scope).unwrap();
        let inputs = Properties::from([("x".into(), value.clone())]);
        let mut scripts = Scripts::new(Arc::from([script])).unwrap();
        let result = scripts.run(0, RowView { inputs: &inputs, cells: &[] }).unwrap();
        prop_assert_eq!(serde_json::from_str::<Value>(&result).unwrap(), value);
    }

    #[test]
    fn no_text_makes_the_compiler_panic(code in "(\\PC|\\{\\{input\\.x\\}\\}|[\"'`/*(){}\\[\\];:?.$\\\\\n]|return )*") {
        let compiled = compile(&code);
        prop_assert!(compiled.is_ok() || !compiled.unwrap_err().is_empty());
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("__proto__|constructor|toJSON|[a-z]{1,3}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}
