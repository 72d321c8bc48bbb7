//! What is really to be sent for one row.
//!
//! Law: never more than the chain produced; never a property whose record already has the value; with `if_empty`, never
//! a property that has any value; with `ignore_empty`, never nothing.

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
        let allowed = match target.when {
            When::Always => true,
            When::IfEmpty => value::is_empty(had),
        };
        let is_ignored = target.ignore_empty && value::is_empty(Some(wanted));
        allowed && !is_ignored && !same(&target.property, Some(wanted), had, normalize)
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
        let targets = [target("always", When::Always), target("if_empty", When::IfEmpty)];
        let produced = properties(&[("always", json!("new")), ("if_empty", json!("new"))]);
        for (before, sent) in [
            (properties(&[]), vec!["always", "if_empty"]),
            (properties(&[("always", json!("NEW")), ("if_empty", json!(" "))]), vec!["if_empty"]),
            (properties(&[("always", json!("old")), ("if_empty", json!("old"))]), vec!["always"]),
            (properties(&[("always", json!("new")), ("if_empty", json!("x"))]), vec![]),
        ] {
            let intended = intend(&targets, &produced, &before, &lower);
            let names: Vec<&str> = intended.keys().map(infill_model::PropertyName::as_str).collect();
            assert_eq!(names, sent, "{before:?}");
        }
    }

    #[test]
    fn clearing_a_value_is_a_change() {
        let targets = [target("always", When::Always)];
        let produced = properties(&[("always", json!(null))]);
        assert_eq!(intend(&targets, &produced, &properties(&[("always", json!("x"))]), &lower).len(), 1);
        assert!(intend(&targets, &produced, &properties(&[]), &lower).is_empty());
    }

    #[test]
    fn an_empty_value_that_is_ignored_leaves_the_property_alone() {
        let target = TargetProperty { ignore_empty: true, ..target("always", When::Always) };
        let before = properties(&[("always", json!("x"))]);
        for (produced, n_sent) in [(json!(null), 0), (json!(" "), 0), (json!("y"), 1), (json!(0), 1)] {
            let produced = properties(&[("always", produced)]);
            assert_eq!(intend(std::slice::from_ref(&target), &produced, &before, &lower).len(), n_sent);
        }
    }
}
