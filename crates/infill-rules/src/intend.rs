//! What is really to be sent for one row.
//!
//! Law: never more than the chain produced; never a property whose record already has the value, but with `always`; with
//! `if_empty`, never a property that has any value; with `ignore_empty`, never nothing.

use infill_model::plan::When;
use infill_model::run::TargetProperty;
use infill_model::{Properties, Value, value};

use crate::compare::{Normalize, same};

/// The properties to send: empty means the row is unchanged.
#[must_use]
pub fn intend(
    targets: &[TargetProperty],
    produced: &Properties,
    before: &Properties,
    normalize: Normalize<'_>,
) -> Properties {
    let is_to_send = |target: &TargetProperty, wanted: &Value| {
        let had = before.get(&target.property.name);
        let is_other = || !same(&target.property, Some(wanted), had, normalize);
        let is_due = match target.when {
            When::Always => true,
            When::IfEmpty => value::is_empty(had) && is_other(),
            When::IfDifferent => is_other(),
        };
        let is_ignored = target.ignore_empty && value::is_empty(Some(wanted));
        is_due && !is_ignored
    };
    targets
        .iter()
        .filter_map(|target| {
            let name = &target.property.name;
            let wanted = produced.get(name)?;
            is_to_send(target, wanted).then(|| (name.clone(), wanted.clone()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::compare::tests::{lower, properties, target};

    #[test]
    fn only_what_changes_is_sent() {
        let targets = [target("if_different", When::IfDifferent), target("if_empty", When::IfEmpty)];
        let produced = properties(&[("if_different", json!("new")), ("if_empty", json!("new"))]);
        for (before, sent) in [
            (properties(&[]), vec!["if_different", "if_empty"]),
            (properties(&[("if_different", json!("NEW")), ("if_empty", json!(" "))]), vec!["if_empty"]),
            (properties(&[("if_different", json!("old")), ("if_empty", json!("old"))]), vec!["if_different"]),
            (properties(&[("if_different", json!("new")), ("if_empty", json!("x"))]), vec![]),
        ] {
            let intended = intend(&targets, &produced, &before, &lower);
            let names: Vec<&str> = intended.keys().map(infill_model::PropertyName::as_str).collect();
            assert_eq!(names, sent, "{before:?}");
        }
    }

    #[test]
    fn what_is_sent_always_is_sent_to_a_record_that_has_it() {
        let note = |text: &str| properties(&[("note", json!(text))]);
        let targets = [target("note", When::Always)];
        assert_eq!(intend(&targets, &note("new"), &note("new"), &lower), note("new"));
        let ignoring = [TargetProperty { ignore_empty: true, ..target("note", When::Always) }];
        assert!(intend(&ignoring, &note(""), &note("x"), &lower).is_empty());
        assert!(intend(&targets, &properties(&[]), &note("x"), &lower).is_empty(), "nothing was produced");
    }

    #[test]
    fn clearing_a_value_is_a_change() {
        let targets = [target("note", When::IfDifferent)];
        let produced = properties(&[("note", json!(null))]);
        assert_eq!(intend(&targets, &produced, &properties(&[("note", json!("x"))]), &lower).len(), 1);
        assert!(intend(&targets, &produced, &properties(&[]), &lower).is_empty());
    }

    #[test]
    fn an_empty_value_that_is_ignored_leaves_the_property_alone() {
        let target = TargetProperty { ignore_empty: true, ..target("note", When::IfDifferent) };
        let before = properties(&[("note", json!("x"))]);
        for (produced, n_sent) in [(json!(null), 0), (json!(" "), 0), (json!("y"), 1), (json!(0), 1)] {
            let produced = properties(&[("note", produced)]);
            assert_eq!(intend(std::slice::from_ref(&target), &produced, &before, &lower).len(), n_sent);
        }
    }
}
