//! Templates: tables of text in, value out; and the law that a value is never read as a template.

use infill_model::cell::{Cell, CellStatus};
use infill_model::id::PropertyName;
use infill_model::value::Properties;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::reference::Known;

const LIST: &str = r#"[{"type":"home","no":"1"},{"type":"work","no":"2"},{"type":"work","no":"3"}]"#;

fn scope<'a>(inputs: &'a [PropertyName], actions: &'a [Known<'a>]) -> Scope<'a> {
    Scope { inputs, actions, n_before: actions.len() }
}

fn compile(text: &str) -> Result<Template, Vec<Problem>> {
    let inputs = ["name", "empty", "null", "date", "n", "flag", "list"].map(PropertyName::from);
    let actions = [Known { id: "a", outputs: Some(&["formatted_data"]) }];
    Template::compile(text, scope(&inputs, &actions))
}

fn render_with(text: &str, name: &str) -> Result<Value, Failure> {
    let template = compile(text).unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
    let inputs = Properties::from([
        ("name".into(), json!(name)),
        ("empty".into(), json!("")),
        ("null".into(), json!(null)),
        ("date".into(), json!("2024-02-29T13:05:06.789Z")),
        ("n".into(), json!(41)),
        ("flag".into(), json!(true)),
        ("list".into(), serde_json::from_str(LIST).unwrap()),
    ]);
    let outputs = Properties::from([("formatted_data".into(), json!(LIST))]);
    let cells = [Cell { action: "a".into(), status: CellStatus::Complete, outputs, error: None }];
    template.resolve(RowView { inputs: &inputs, cells: &cells }).map(Cow::into_owned)
}

#[track_caller]
fn check(text: &str, value: Value) {
    assert_eq!(render_with(text, "Zoë O'Brien").unwrap(), value, "{text}");
}

#[test]
fn one_bare_reference_yields_the_value_and_anything_else_yields_text() {
    check("", json!(""));
    check("plain } text {", json!("plain } text {"));
    check("{{input.name}}", json!("Zoë O'Brien"));
    check(" {{ input.name }}\n", json!("Zoë O'Brien"));
    check("{{input.null}}", json!(null));
    check("{{input.n}}", json!(41));
    check("{{input.flag}}", json!(true));
    check("{{a.formatted_data}}", json!(LIST));
    check("{{a.formatted_data[1]?.no}}", json!("2"));
    check("{{a.formatted_data[9]?.no}}", json!(null));
    check("Hi {{input.name}}!", json!("Hi Zoë O'Brien!"));
    check("{{{input.n}}}", json!("{41}"));
    check("{{{ input.n | plus: 1 }}}", json!("{42}"));
    check("{{input.n}}{{input.flag}}{{input.null}}{{input.empty}}", json!("41true"));
}

#[test]
fn liquid_filters_work_on_references() {
    check("{{ input.name | upcase }}", json!("ZOË O'BRIEN"));
    check("{{- input.name | upcase -}} ", json!("ZOË O'BRIEN"));
    check("Dear {{ input.empty | default: \"friend\" }},", json!("Dear friend,"));
    check("Dear {{ input.null | default: input.name }},", json!("Dear Zoë O'Brien,"));
    check("{{ input.name | replace: \"}}\", \"{{\" | append: ' | x' }}", json!("Zoë O'Brien | x"));
    check("{{ input.n | plus: 1 | times: 2.5 }}", json!("105"));
    check("{{ input.date | date: \"%d %B %Y\" }}", json!("29 February 2024"));
    check("{{ input.null | date: \"%d %B %Y\" }}", json!(""));
    check("{{ \"text\" | upcase }}{{ input.name }}", json!("TEXTZoë O'Brien"));
}

#[test]
fn list_filters_read_json_from_text_and_from_values() {
    for source in ["a.formatted_data", "input.list"] {
        check(
            &format!("{{{{ {source} | where: \"type\", \"work\" | map: \"no\" | join: \"+\" }}}}"),
            json!("2+3"),
        );
        check(&format!("{{{{ {source} | map: \"no\" | first }}}}"), json!("1"));
    }
    check("{{ a.formatted_data | where: \"type\", \"fax\" | map: \"no\" | first }}", json!(""));
    check("{{ input.empty | where: \"type\", \"work\" | map: \"no\" | first }}", json!(""));
    check("{{ input.null | map: \"no\" | join: \",\" }}", json!(""));
    check("{{ a.formatted_data[0].no | append: \"!\" }}", json!("1!"));
    check("{{ input.list | concat: a.formatted_data | size }}", json!("6"));
}

#[test]
fn lengths_are_counted_in_characters() {
    check("{{ input.name | size }}", json!("11"));
    check("{{ input.name | truncate: 11 }}", json!("Zoë O'Brien"));
    check("{{ input.name | truncate: 6 }}", json!("Zoë..."));
    check("{{ input.name | truncate: 4, \"…\" }}", json!("Zoë…"));
    check("{{ input.name | slice: 2, 3 }}", json!("ë O"));
    check("{{ input.name | slice: -5, 9 }}", json!("Brien"));
    check("{{ input.list | slice: 1, 2 | map: \"no\" | join: \"+\" }}", json!("2+3"));
    check("{{ input.list | size }}", json!("3"));
}

#[test]
fn tags_that_cannot_loop_are_let_in() {
    check("{% if input.flag %}yes{% else %}no{% endif %}", json!("yes"));
    check("{% if input.name contains \"Zoë\" and input.n > 40 %}yes{% endif %}", json!("yes"));
    check("{% unless input.null %}none{% endunless %}", json!("none"));
    check("{%- case input.n -%}{% when 41 %}x{% else %}y{% endcase %}", json!("x"));
    check("{% raw %}{{ input.nothing }}{% endraw %}{{input.n}}", json!("{{ input.nothing }}41"));
    check("{% raw %}{{{% endraw %} {{input.n}}", json!("{{ 41"));
    check("{% comment %}{{ input.nothing }}{% endcomment %}z", json!("z"));
}

#[test]
fn every_problem_of_a_template_is_found_at_compile_time() {
    let check = |text: &str, parts: &[&str]| {
        let problems = compile(text).map(|_| ()).unwrap_err();
        let messages: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
        assert_eq!(messages.len(), parts.len(), "{text}: {messages:?}");
        for (message, part) in messages.iter().zip(parts) {
            assert!(message.contains(part), "{text}: {message}");
        }
    };
    check("{{input.nam}} and {{b.x}}", &["did you mean \"name\"", "no action is called \"b\""]);
    check("{{ input.nam | upcase }}", &["did you mean \"name\""]);
    check("{{ input.name | default: input.nam }}", &["did you mean \"name\""]);
    check("{{ input.name | upcas }}", &["no Liquid filter \"upcas\"; did you mean \"upcase\""]);
    check("{% if input.nam %}x{% endif %}", &["did you mean \"name\""]);
    check(
        "{% for x in input.list %}{{ x }}{% endfor %}",
        &["tag \"for\" cannot", "no action is called \"x\"", "tag \"endfor\" cannot"],
    );
    check("{% include 'x' %}", &["tag \"include\" cannot be used"]);
    check("{% if (1..9) contains input.n %}x{% endif %}", &["a range cannot be used"]);
    check("{{input.first name}}", &["{{input.first name}} is not a reference"]);
    check("{{}}", &["{{}} is not a reference"]);
    check("{{ input.name", &["\"{{\" is never closed"]);
    check("{% if input.name %}x", &["not valid Liquid"]);
    check("{% raw %}x", &["never closed by {% endraw %}"]);
    check("{{ input.name | date: \"%!\" }}", &["does not know the format \"%!\""]);
    check("{{ input.name | slice }}", &["`slice` takes offset, length"]);
    check("{{ input.name | date }}", &["takes one argument"]);
}

#[test]
fn a_filter_that_refuses_fails_with_a_message_and_without_the_value() {
    let failure = render_with("{{ input.name | date: \"%Y\" }}", "secret").unwrap_err();
    assert_eq!(failure.code, Code::TemplateFailed);
    assert!(failure.message.contains("no date"), "{}", failure.message);
    assert!(!failure.message.contains("secret"), "{}", failure.message);
    let failure = render_with("{{ input.name | where: \"type\", \"x\" }}", "secret").unwrap_err();
    assert!(failure.message.contains("Array of objects"), "{}", failure.message);
    assert!(!failure.message.contains("secret"), "{}", failure.message);
}

proptest! {
    #[test]
    fn a_value_is_never_read_as_a_template(name in "(\\PC|\\{\\{|\\}\\}|\\{%|%\\}|[\"'`\n\\\\])*") {
        prop_assert_eq!(render_with("{{input.name}}", &name).unwrap(), json!(name));
        prop_assert_eq!(render_with("a{{input.name}}b", &name).unwrap(), json!(format!("a{name}b")));
        prop_assert_eq!(render_with("{{ input.name | append: \"b\" }}", &name).unwrap(), json!(format!("{name}b")));
        prop_assert_eq!(render_with("{% if true %}{{ input.name }}{% endif %}", &name).unwrap(), json!(name));
    }

    #[test]
    fn no_text_makes_the_compiler_panic(text in "(\\PC|\\{\\{|\\}\\}|\\{%|%\\}|input\\.name|[|\"'])*") {
        let compiled = compile(&text);
        prop_assert!(compiled.is_ok() || !compiled.unwrap_err().is_empty());
    }
}
