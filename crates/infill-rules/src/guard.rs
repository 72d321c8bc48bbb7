//! Whether a row may still be written: did somebody change a target between pull and write?
//!
//! Law: a value that is already what we want is never a conflict (it may be our own write whose answer was lost);
//! a property with `hold` that differs from its before-image holds the whole row; a write that changes nothing leaves no trace, so
//! nothing that the record holds proves it. When the record as a whole was last changed decides
//! nothing: that moves with every other property, and with what the vendor does by itself.

use infill_model::plan::IfChanged;
use infill_model::run::TargetProperty;
use infill_model::{Properties, PropertyName, Timestamp};

use crate::compare::{Normalize, differing, same};

/// What the guard says of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guarded {
    /// Write it.
    Write,
    /// The record holds the wanted values already: go on to verification.
    AlreadyThere,
    /// Somebody changed these targets: send nothing.
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
    normalize: Normalize<'_>,
) -> Guarded {
    if is_written(targets, wanted, before, found, normalize) {
        return Guarded::AlreadyThere;
    }
    let is_conflict = |target: &&TargetProperty| {
        let name = &target.property.name;
        let is = |value| same(&target.property, value, found.get(name), normalize);
        target.if_changed == IfChanged::Hold
            && wanted.get(name).is_some_and(|wanted| !is(before.get(name)) && !is(Some(wanted)))
    };
    let changed: Vec<_> =
        targets.iter().filter(is_conflict).map(|target| target.property.name.clone()).collect();
    if changed.is_empty() { Guarded::Write } else { Guarded::Hold(changed) }
}

/// Whether a record shows that the row was written: it holds every wanted value, and did not before.
#[must_use]
pub fn is_written(
    targets: &[TargetProperty],
    wanted: &Properties,
    before: &Properties,
    found: &Properties,
    normalize: Normalize<'_>,
) -> bool {
    let is_held_by = |record| differing(targets, wanted, record, normalize).is_empty();
    is_held_by(found) && !is_held_by(before)
}

#[cfg(test)]
mod tests {
    use infill_model::plan::When;
    use serde_json::json;

    use super::*;
    use crate::compare::tests::{lower, properties, target};

    #[test]
    fn a_change_by_a_person_is_held_and_our_own_write_is_not() {
        let judge = |found: &Properties, if_changed| {
            let note = TargetProperty { if_changed, ..target("note", When::default()) };
            let targets = [note, target("other", When::default())];
            let wanted = properties(&[("note", json!("ours"))]);
            guard(&targets, &wanted, &of("before", "x"), found, &lower)
        };
        assert_eq!(judge(&of("before", "x"), IfChanged::Hold), Guarded::Write);
        assert_eq!(judge(&of("theirs", "x"), IfChanged::Hold), Guarded::Hold(vec!["note".into()]));
        assert_eq!(judge(&of("theirs", "x"), IfChanged::Overwrite), Guarded::Write);
        assert_eq!(judge(&of("ours", "x"), IfChanged::Hold), Guarded::AlreadyThere);
        assert_eq!(judge(&of("before", "changed"), IfChanged::Hold), Guarded::Write);
    }

    #[test]
    fn one_property_that_is_to_be_held_holds_the_row_and_one_to_be_overwritten_does_not() {
        let overwritten =
            TargetProperty { if_changed: IfChanged::Overwrite, ..target("other", When::default()) };
        let targets = [target("note", When::default()), overwritten];
        let judge = |found| guard(&targets, &of("ours", "ours"), &of("before", "before"), &found, &lower);
        assert_eq!(judge(of("before", "theirs")), Guarded::Write);
        assert_eq!(judge(of("theirs", "before")), Guarded::Hold(vec!["note".into()]));
        assert_eq!(judge(of("theirs", "theirs")), Guarded::Hold(vec!["note".into()]));
        assert_eq!(judge(of("ours", "theirs")), Guarded::Write, "what we want is no conflict");
    }

    #[test]
    fn a_write_that_changes_nothing_is_not_proven_by_what_the_record_holds() {
        let targets = [target("note", When::Always), target("other", When::Always)];
        let judge = |before: &Properties, found: &Properties| {
            guard(&targets, &of("ours", "ours"), before, found, &lower)
        };
        assert_eq!(judge(&of("ours", "OURS"), &of("ours", "ours")), Guarded::Write);
        assert_eq!(judge(&of("ours", "before"), &of("ours", "ours")), Guarded::AlreadyThere);
        assert_eq!(judge(&of("ours", "ours"), &of("theirs", "ours")), Guarded::Hold(vec!["note".into()]));
    }

    fn of(note: &str, other: &str) -> Properties {
        properties(&[("note", json!(note)), ("other", json!(other))])
    }

    #[test]
    fn a_before_image_is_trusted_for_as_long_as_the_plan_says() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert!(!is_stale(at(100), at(129), 30));
        assert!(is_stale(at(100), at(130), 30));
        assert!(is_stale(at(100), at(100), 0));
    }
}
