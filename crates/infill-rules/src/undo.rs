//! Taking a run back: which values of a record are put back, and which are not ours any more.
//!
//! Law: only a property that still holds what the run wrote is touched, and it gets its before-image; a property that holds
//! the before-image already is left alone; whatever else it holds is somebody's, and stays.

use infill_model::row::Written;
use infill_model::run::TargetProperty;
use infill_model::{Outcome, Properties, PropertyName, Row, RowResult};

use crate::compare::{Normalize, same};

/// The name under which a row of an undo carries its [`Written`].
pub const INPUT: &str = "undo";

/// What was done to the record of a row: nothing, or what may have been written. A row that failed may have been written before
/// its answer was lost; what its record holds will tell.
#[must_use]
pub fn written(row: &Row, result: &RowResult) -> Option<Written> {
    match result.outcome()? {
        Outcome::Verified | Outcome::Written | Outcome::Differs | Outcome::Failed => {}
        Outcome::Unchanged | Outcome::Skipped | Outcome::Held | Outcome::Gone => return None,
    }
    let before_of = |name: &PropertyName| row.before.get(name).cloned().unwrap_or_default();
    let before = result.wanted.keys().map(|name| (name.clone(), before_of(name))).collect();
    (!result.wanted.is_empty()).then(|| Written { wrote: result.wanted.clone(), before })
}

/// What an undo does to one record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Undone {
    /// Properties to put back.
    pub restore: Properties,
    /// Properties that hold neither what the run wrote nor what was there before.
    pub theirs: Vec<PropertyName>,
}

/// Judges one record by what it holds now.
#[must_use]
pub fn undo(
    targets: &[TargetProperty],
    written: &Written,
    now: &Properties,
    normalize: Normalize<'_>,
) -> Undone {
    let mut undone = Undone::default();
    for TargetProperty { property, .. } in targets {
        let name = &property.name;
        let Some(ours) = written.wrote.get(name) else { continue };
        let (before, found) = (written.before.get(name), now.get(name));
        if same(property, before, found, normalize) {
            continue;
        }
        if same(property, Some(ours), found, normalize) {
            undone.restore.insert(name.clone(), before.cloned().unwrap_or_default());
        } else {
            undone.theirs.push(name.clone());
        }
    }
    undone
}

/// What a property holds, seen from a run that meant to write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// The run's value.
    Ours,
    /// Its before-image.
    Before,
    /// Something else.
    Other,
}

/// Whose value a property of one record holds; `None` for a property that the run did not mean to write.
#[must_use]
pub fn holds(
    target: &TargetProperty,
    written: &Written,
    now: &Properties,
    normalize: Normalize<'_>,
) -> Option<Holds> {
    let name = &target.property.name;
    let ours = written.wrote.get(name)?;
    let is = |value| same(&target.property, value, now.get(name), normalize);
    Some(if is(Some(ours)) {
        Holds::Ours
    } else if is(written.before.get(name)) {
        Holds::Before
    } else {
        Holds::Other
    })
}

#[cfg(test)]
mod tests {
    use infill_model::plan::When;
    use infill_model::row::RowState;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::compare::tests::{lower, properties, target};

    fn to_note(wrote: serde_json::Value, before: serde_json::Value) -> Written {
        Written { wrote: properties(&[("note", wrote)]), before: properties(&[("note", before)]) }
    }

    #[test]
    fn only_what_is_still_ours_is_put_back() {
        let targets = [target("note", When::IfEmpty), target("other", When::default())];
        let judge = |now: serde_json::Value| {
            undo(&targets, &to_note(json!("ours"), json!(null)), &properties(&[("note", now)]), &lower)
        };
        assert_eq!(judge(json!("OURS")).restore, properties(&[("note", json!(null))]));
        assert_eq!(judge(json!("")), Undone::default(), "cleared already");
        assert_eq!(judge(json!("theirs")), Undone { theirs: vec!["note".into()], ..Undone::default() });
    }

    #[test]
    fn only_rows_that_may_have_been_written_are_taken_back() {
        let row = Row {
            record: "7".into(),
            inputs: Properties::new(),
            before: properties(&[("note", json!("old")), ("other", json!("x"))]),
            gone: None,
            refused: None,
            same_as: None,
        };
        let of = |outcome, wanted: Properties| {
            written(&row, &RowResult { wanted, state: RowState::Settled(outcome), ..RowResult::default() })
        };
        let note = || properties(&[("note", json!("new"))]);
        assert_eq!(of(Outcome::Verified, note()), Some(to_note(json!("new"), json!("old"))));
        assert!(of(Outcome::Failed, note()).is_some() && of(Outcome::Differs, note()).is_some());
        assert_eq!([of(Outcome::Held, note()), of(Outcome::Failed, Properties::new())], [None, None]);
        assert_eq!(written(&row, &RowResult::default()), None);
    }

    #[test]
    fn a_value_is_ours_first_and_what_was_there_next() {
        let (note, other) = (target("note", When::default()), target("other", When::default()));
        let of = |ours, before, now| {
            let now = properties(&[("note", json!(now))]);
            holds(&note, &to_note(json!(ours), json!(before)), &now, &lower)
        };
        assert_eq!(of("new", "old", "NEW"), Some(Holds::Ours));
        assert_eq!(of("new", "old", "old"), Some(Holds::Before));
        assert_eq!(of("new", "old", "x"), Some(Holds::Other));
        assert_eq!(of("same", "same", "same"), Some(Holds::Ours), "sent to a record that had it");
        let written = to_note(json!("new"), json!("old"));
        assert_eq!(holds(&other, &written, &Properties::new(), &lower), None);
    }

    fn value() -> impl Strategy<Value = serde_json::Value> {
        prop::sample::select(vec![json!(null), json!(""), json!("a"), json!("A"), json!("b"), json!(1)])
    }

    proptest! {
        /// Undoing what the undo wrote gives the run's value back, and undoing twice changes nothing the second time.
        #[test]
        fn an_undo_can_be_undone_and_repeated(ours in value(), before in value()) {
            let targets = [target("note", When::default())];
            let first = to_note(ours.clone(), before.clone());
            let held = properties(&[("note", ours)]);
            let undone = undo(&targets, &first, &held, &lower);
            prop_assert!(undone.theirs.is_empty());
            let mut now = held.clone();
            now.extend(undone.restore.clone());
            prop_assert_eq!(undo(&targets, &first, &now, &lower), Undone::default());
            let back = Written { wrote: undone.restore.clone(), before: held.clone() };
            now.extend(undo(&targets, &back, &now, &lower).restore);
            prop_assert_eq!(now, held);
        }
    }
}
