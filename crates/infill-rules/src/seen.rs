//! What a plan that says `only` remembers of its records, and which rows that leaves to work on.
//!
//! Law: a record is remembered when its row settled well, and forgotten when it did not; so whatever went wrong, however
//! often and in whichever run, comes again. Remembering twice is remembering once.

use infill_model::plan::{Only, PropertyWrite};
use infill_model::seen::{Learnt, Seen};
use infill_model::{Fingerprint, Plan, Properties, Row, RowResult, RunId, Value};
use sha2::{Digest, Sha256};

/// Bytes of a fingerprint: two of them are the same by chance once in 2^64 records.
const FINGERPRINT_BYTES: usize = 16;

/// Takes fingerprints for one plan.
///
/// They cover the inputs, the chain, and the values that are written and when: what a row comes to. What only says how
/// careful to be, or which records, does not count. Fingerprints are stored, so their making is pinned by a test.
#[derive(Clone, Debug)]
pub struct Fingerprinter {
    recipe: Sha256,
}

impl Fingerprinter {
    /// For the recipe of this plan.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let mut recipe = Sha256::new();
        for action in &plan.chain {
            // A part that could not be written would be an empty one; all are plain data.
            write_value(&mut recipe, &serde_json::to_value(action).unwrap_or_default());
        }
        for PropertyWrite { name, value, when, ignore_empty, if_changed: _ } in &plan.writeback.properties {
            write_text(&mut recipe, name.as_str());
            write_text(&mut recipe, value);
            write_value(&mut recipe, &serde_json::to_value(when).unwrap_or_default());
            // Only where it is said, so that the fingerprints of other plans stay what they are.
            if *ignore_empty {
                write_text(&mut recipe, "ignore_empty");
            }
        }
        Self { recipe }
    }

    /// The fingerprint of these inputs. A property that was never set and one that was emptied are the same.
    #[must_use]
    pub fn take(&self, inputs: &Properties) -> Fingerprint {
        let mut hash = self.recipe.clone();
        for (name, value) in inputs {
            write_text(&mut hash, name.as_str());
            let is_empty = value.as_str().is_some_and(str::is_empty);
            write_value(&mut hash, if is_empty { &Value::Null } else { value });
        }
        let hex = |byte: &u8| format!("{byte:02x}");
        hash.finalize().iter().take(FINGERPRINT_BYTES).map(hex).collect::<String>().into()
    }
}

/// A text with its length before it, so that two texts cannot run into one another.
fn write_text(hash: &mut Sha256, text: &str) {
    write_length(hash, text.len());
    hash.update(text);
}

fn write_length(hash: &mut Sha256, length: usize) {
    hash.update(u64::try_from(length).unwrap_or(u64::MAX).to_be_bytes());
}

/// A value whose fields come in the order of their names, whatever order the CRM gave them in.
fn write_value(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => write_text(hash, &value.to_string()),
        Value::String(text) => {
            hash.update("s");
            write_text(hash, text);
        }
        Value::Array(items) => {
            hash.update("a");
            write_length(hash, items.len());
            items.iter().for_each(|item| write_value(hash, item));
        }
        Value::Object(fields) => {
            hash.update("o");
            write_length(hash, fields.len());
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            for (name, value) in fields {
                write_text(hash, name);
                write_value(hash, value);
            }
        }
    }
}

/// The run that a row need not be worked on because of: the plan takes changed records alone, and in that run it had the
/// same inputs and the same recipe.
#[must_use]
pub fn same_as(only: Option<Only>, fingerprint: &Fingerprint, seen: Option<&Seen>) -> Option<RunId> {
    let seen = seen.filter(|_| only == Some(Only::Changed))?;
    (seen.fingerprint == *fingerprint).then_some(seen.run)
}

/// What the rows of a batch teach. Rows that are not settled teach nothing yet, and rows that were left as they were teach
/// nothing new.
#[must_use]
pub fn learn(fingerprints: &Fingerprinter, rows: &[Row], results: &[RowResult]) -> Learnt {
    let mut learnt = Learnt::default();
    for (row, result) in rows.iter().zip(results).filter(|(row, _)| row.same_as.is_none()) {
        match result.outcome() {
            None => {}
            Some(outcome) if outcome.is_well() => {
                learnt.kept.push((row.record.clone(), fingerprints.take(&row.inputs)));
            }
            Some(_) => learnt.dropped.push(row.record.clone()),
        }
    }
    learnt
}

#[cfg(test)]
mod tests {
    use infill_model::row::RowState;
    use infill_model::{Outcome, Timestamp};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn plan(value: &str) -> Plan {
        serde_json::from_value(json!({
            "name": "Note", "connection": "main",
            "source": { "object": "contacts", "list": "42" },
            "inputs": ["a"],
            "chain": [{ "id": "x", "action": "filter", "inputs": { "path_conditions": [] } }],
            "writeback": { "properties": [{ "name": "note", "value": value }] },
        }))
        .unwrap()
    }

    fn inputs(pairs: &[(&str, Value)]) -> Properties {
        pairs.iter().map(|(name, value)| ((*name).into(), value.clone())).collect()
    }

    fn row(record: u32, value: Value) -> Row {
        Row {
            record: record.to_string().into(),
            inputs: inputs(&[("a", value)]),
            before: Properties::new(),
            gone: None,
            refused: None,
            same_as: None,
        }
    }

    #[test]
    fn a_fingerprint_is_pinned() {
        let taken = Fingerprinter::of(&plan("{{input.a}}")).take(&inputs(&[("a", json!("Zoë"))]));
        assert_eq!(taken.as_str(), PINNED);
    }

    const PINNED: &str = "dbc38c7415a9dd73703da047d211495a";

    #[test]
    fn what_a_row_comes_to_counts_and_nothing_else() {
        let (one, other) = (plan("{{input.a}}"), plan("{{input.a}}!"));
        let take = |plan: &Plan, value: Value| Fingerprinter::of(plan).take(&inputs(&[("a", value)]));
        assert_ne!(take(&one, json!("x")), take(&other, json!("x")), "another value is written");
        let chained = Plan { chain: Vec::new(), ..one.clone() };
        assert_ne!(take(&one, json!("x")), take(&chained, json!("x")), "another chain");
        let careful = Plan { canary: 9, verify: infill_model::plan::Verify::None, ..one.clone() };
        assert_eq!(take(&one, json!("x")), take(&careful, json!("x")));
        assert_eq!(take(&one, json!("")), take(&one, json!(null)));
        for (a, b) in [
            (json!("x"), json!("y")),
            (json!("x"), json!("x ")),
            (json!("1"), json!(1)),
            (json!(null), json!(false)),
            (json!(["ab"]), json!(["a", "b"])),
            (json!({ "a": { "b": 1 } }), json!({ "a": {}, "b": 1 })),
        ] {
            assert_ne!(take(&one, a.clone()), take(&one, b.clone()), "{a} {b}");
        }
        let swapped = inputs(&[("a", json!("xy")), ("b", json!("z"))]);
        let joined = inputs(&[("a", json!("x")), ("b", json!("yz"))]);
        assert_ne!(Fingerprinter::of(&one).take(&swapped), Fingerprinter::of(&one).take(&joined));
    }

    #[test]
    fn only_a_plan_that_takes_changed_records_leaves_a_row_as_it_is() {
        let fingerprints = Fingerprinter::of(&plan("v"));
        let now = fingerprints.take(&inputs(&[("a", json!("x"))]));
        let run = RunId::new(Timestamp::UNIX_EPOCH, [1; 10]);
        let seen = Seen { record: "7".into(), fingerprint: now.clone(), run };
        let before = fingerprints.take(&inputs(&[("a", json!("w"))]));
        let changed = Seen { fingerprint: before, ..seen.clone() };
        assert_eq!(same_as(Some(Only::Changed), &now, Some(&seen)), Some(run));
        assert_eq!(same_as(Some(Only::Changed), &now, Some(&changed)), None);
        assert_eq!(same_as(Some(Only::Changed), &now, None), None);
        assert_eq!(same_as(Some(Only::New), &now, Some(&seen)), None);
        assert_eq!(same_as(None, &now, Some(&seen)), None);
    }

    proptest! {
        #[test]
        fn a_row_is_kept_or_dropped_once_it_is_settled_and_not_before(
            states in prop::collection::vec((0..11_usize, any::<bool>()), 0..20)
        ) {
            let fingerprints = Fingerprinter::of(&plan("v"));
            let run = RunId::new(Timestamp::UNIX_EPOCH, [1; 10]);
            let (mut rows, mut results) = (Vec::new(), Vec::new());
            for (i, (state, same)) in states.iter().enumerate() {
                let same_as = same.then_some(run);
                rows.push(Row { same_as, ..row(u32::try_from(i).unwrap(), json!(i)) });
                let open = [RowState::Pending, RowState::Intended, RowState::Confirmed];
                let state = open.get(*state).copied()
                    .unwrap_or_else(|| RowState::Settled(Outcome::ALL[state - open.len()]));
                results.push(RowResult { state, ..RowResult::default() });
            }
            let learnt = learn(&fingerprints, &rows, &results);
            prop_assert_eq!(&learnt, &learn(&fingerprints, &rows, &results));
            for (row, result) in rows.iter().zip(&results) {
                let is_kept = learnt.kept.iter().any(|(record, _)| *record == row.record);
                let is_dropped = learnt.dropped.contains(&row.record);
                let is_well = result.outcome().map(Outcome::is_well);
                let teaches = row.same_as.is_none();
                prop_assert_eq!(is_kept, teaches && is_well == Some(true));
                prop_assert_eq!(is_dropped, teaches && is_well == Some(false));
            }
        }

        #[test]
        fn the_order_of_fields_does_not_count(a in any::<i64>(), b in ".{0,5}") {
            let take = |text: String| {
                let value: Value = serde_json::from_str(&text).unwrap();
                Fingerprinter::of(&plan("v")).take(&inputs(&[("a", value)]))
            };
            let b = json!(b);
            let forth = take(format!("{{\"a\":{a},\"b\":{{\"x\":{b},\"y\":1}}}}"));
            prop_assert_eq!(forth, take(format!("{{\"b\":{{\"y\":1,\"x\":{b}}},\"a\":{a}}}")));
        }
    }
}
