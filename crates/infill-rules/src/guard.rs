//! Whether a row may still be written: did somebody change a target between pull and write?
//!
//! Law: a value that is already what we want is never a conflict (it may be our own write whose answer was lost);
//! with `hold`, nothing that differs from the before-image is overwritten. When the record as a whole was last changed decides
//! nothing: that moves with every other property, and with what the vendor does by itself.

use infill_model::plan::IfChanged;
use infill_model::run::TargetProperty;
use infill_model::{Properties, PropertyName, Timestamp};

use crate::compare::{Normalize, differing};

/// What the guard says of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guarded {
    /// Write it.
    Write,
    /// The record holds the wanted values already: go on to verification.
    AlreadyThere,
    /// A person changed these targets: send nothing.
    Hold(Vec<PropertyName>),
}

/// Whether before-images pulled at `pulled_at` are too old to be trusted at `now`.
#[must_use]
pub fn is_stale(pulled_at: Timestamp, now: Timestamp, older_than_seconds: u32) -> bool {
    let age = now.as_second().saturating_sub(pulled_at.as_second());
    age >= i64::from(older_than_seconds)
}

/// Judges one row by what its record holds now.
#[must_use]
pub fn guard(
    targets: &[TargetProperty],
    wanted: &Properties,
    before: &Properties,
    found: &Properties,
    if_changed: IfChanged,
    normalize: Normalize<'_>,
) -> Guarded {
    if differing(targets, wanted, found, normalize).is_empty() {
        return Guarded::AlreadyThere;
    }
    let guarded: Properties =
        wanted.keys().map(|name| (name.clone(), before.get(name).cloned().unwrap_or_default())).collect();
    match if_changed {
        IfChanged::Overwrite => Guarded::Write,
        IfChanged::Hold => match differing(targets, &guarded, found, normalize) {
            changed if changed.is_empty() => Guarded::Write,
            changed => Guarded::Hold(changed),
        },
    }
}

#[cfg(test)]
mod tests {
    use infill_model::plan::When;
    use serde_json::json;

    use super::*;
    use crate::compare::tests::{lower, properties, target};

    #[test]
    fn a_change_by_a_person_is_held_and_our_own_write_is_not() {
        let targets = [target("note", When::Always), target("other", When::Always)];
        let note = |text: &str| properties(&[("note", json!(text)), ("other", json!("x"))]);
        let wanted = properties(&[("note", json!("ours"))]);
        let judge = |found: &Properties, rule| guard(&targets, &wanted, &note("before"), found, rule, &lower);
        assert_eq!(judge(&note("before"), IfChanged::Hold), Guarded::Write);
        assert_eq!(judge(&note("theirs"), IfChanged::Hold), Guarded::Hold(vec!["note".into()]));
        assert_eq!(judge(&note("theirs"), IfChanged::Overwrite), Guarded::Write);
        assert_eq!(judge(&note("ours"), IfChanged::Hold), Guarded::AlreadyThere);
        let elsewhere = properties(&[("note", json!("before")), ("other", json!("changed"))]);
        assert_eq!(judge(&elsewhere, IfChanged::Hold), Guarded::Write);
    }

    #[test]
    fn a_before_image_is_trusted_for_as_long_as_the_plan_says() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert!(!is_stale(at(100), at(129), 30));
        assert!(is_stale(at(100), at(130), 30));
        assert!(is_stale(at(100), at(100), 0));
    }
}
