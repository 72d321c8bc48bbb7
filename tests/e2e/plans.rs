//! Plans that several cases share.

/// All contacts the portal began with.
pub(crate) const EVERYBODY: &str = r#"{ object: contacts, list: "42" }"#;

/// The property that most cases write.
pub(crate) const NOTE: &str = "hs_cross_account_note";

/// A plan that writes a note made of the names; `more` follows the properties of the writeback.
pub(crate) fn note(source: &str, more: &str) -> String {
    const PLAN: &str = r#"
name: Note
connection: main
source: SOURCE
inputs: [firstname, lastname]
chain:
  - id: note
    action: format_data_using_js_expression
    inputs: { data_formatter: 'return "Hello " + {{input.firstname}} + " " + {{input.lastname}};' }
writeback:
  properties: [{ name: hs_cross_account_note, value: "{{note.formatted_data}}" }]
MORE
"#;
    PLAN.replace("SOURCE", source).replace("MORE", more)
}

/// A plan that writes the same text to everybody, so that no refusal tells the rows apart by their value.
pub(crate) fn same_note(source: &str) -> String {
    const PLAN: &str = r#"
name: Same note
connection: main
source: SOURCE
writeback:
  properties: [{ name: hs_cross_account_note, value: Checked }]
"#;
    PLAN.replace("SOURCE", source)
}
