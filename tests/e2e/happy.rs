//! Everything goes well: the real people, end to end.

use infill_model::{Outcome, RunState};

use crate::both_engines;

pub(crate) const NOTE: &str = r#"
name: Note
connection: main
source: { object: contacts, list: "42" }
inputs: [firstname, lastname, phone]
chain:
  - id: note
    action: format_data_using_js_expression
    inputs: { data_formatter: 'return "Hello " + {{input.firstname}} + " " + {{input.lastname}};' }
writeback:
  properties: [{ name: hs_cross_account_note, value: "{{note.formatted_data}}" }]
"#;

both_engines! {
    async fn the_real_people_are_enriched_and_a_second_run_sends_nothing(setting: Setting) {
        let world = setting.start().await;
        let first = world.run(NOTE).await;
        assert_eq!(first.run.state, RunState::Completed, "{:?}\n{}", first.printed, world.logs());
        assert_eq!((first.count(Outcome::Verified), first.printed.code), (537, 0), "{}", first.printed.err);
        for (row, result) in &first.rows {
            let name = |property: &str| row.inputs.get(property).and_then(|value| value.as_str()).unwrap_or_default();
            let expected = format!("Hello {} {}", name("firstname"), name("lastname"));
            assert_eq!(result.wanted["hs_cross_account_note"], expected.as_str());
        }
        world.control.reset_counters();
        let second = world.run(NOTE).await;
        assert_eq!(second.count(Outcome::Unchanged), 537);
        assert!(world.control.ledger().is_empty(), "the second run wrote");
    }
}
