//! Whether the first rows allow the rest to follow.
//!
//! Law: the canary holds exactly when no row of it failed or reads back differently. A record that a person changed, deleted
//! or merged meanwhile says nothing against the plan.

use infill_model::outcome::Counts;

/// Whether the rest may follow.
#[must_use]
pub const fn holds(counts: &Counts) -> bool {
    counts.failed == 0 && counts.differs == 0
}

#[cfg(test)]
mod tests {
    use infill_model::Outcome;

    use super::*;

    #[test]
    fn only_failed_and_differs_stop_the_rest() {
        for outcome in Outcome::ALL {
            let counts: Counts = [outcome].into_iter().collect();
            let stops = matches!(outcome, Outcome::Failed | Outcome::Differs);
            assert_eq!(holds(&counts), !stops, "{outcome}");
        }
    }
}
