//! How a row ends. The outcome is about the write, never about the aggregate of its cells.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The one outcome of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Written, read back by id, equal after normalising.
    Verified,
    /// The CRM confirmed this record's id; the plan asked for no read-back.
    Written,
    /// The record already had the value, so nothing was sent.
    Unchanged,
    /// A condition was not met.
    Skipped,
    /// The target property changed between pull and write; nothing was sent.
    Held,
    /// Written, but the read-back shows another value; both are kept.
    Differs,
    /// Refused or out of tries; it has a dead letter.
    Failed,
    /// The record was deleted, or merged into another.
    Gone,
}

impl Outcome {
    /// Every outcome, in the order a summary shows them.
    pub const ALL: [Self; 8] = [
        Self::Verified,
        Self::Written,
        Self::Unchanged,
        Self::Skipped,
        Self::Held,
        Self::Differs,
        Self::Failed,
        Self::Gone,
    ];

    /// The wire value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Written => "written",
            Self::Unchanged => "unchanged",
            Self::Skipped => "skipped",
            Self::Held => "held",
            Self::Differs => "differs",
            Self::Failed => "failed",
            Self::Gone => "gone",
        }
    }

    /// Whether the row settled well: a person need not look at it.
    #[must_use]
    pub const fn is_well(self) -> bool {
        match self {
            Self::Verified | Self::Written | Self::Unchanged | Self::Skipped => true,
            Self::Held | Self::Differs | Self::Failed | Self::Gone => false,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Outcome {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            format!("unknown outcome \"{text}\"; one of {known}")
        })
    }
}

/// How many rows ended in each outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// See [`Outcome::Verified`].
    pub verified: u64,
    /// See [`Outcome::Written`].
    pub written: u64,
    /// See [`Outcome::Unchanged`].
    pub unchanged: u64,
    /// See [`Outcome::Skipped`].
    pub skipped: u64,
    /// See [`Outcome::Held`].
    pub held: u64,
    /// See [`Outcome::Differs`].
    pub differs: u64,
    /// See [`Outcome::Failed`].
    pub failed: u64,
    /// See [`Outcome::Gone`].
    pub gone: u64,
}

impl Counts {
    /// The count of one outcome.
    #[must_use]
    pub const fn of(&self, outcome: Outcome) -> u64 {
        match outcome {
            Outcome::Verified => self.verified,
            Outcome::Written => self.written,
            Outcome::Unchanged => self.unchanged,
            Outcome::Skipped => self.skipped,
            Outcome::Held => self.held,
            Outcome::Differs => self.differs,
            Outcome::Failed => self.failed,
            Outcome::Gone => self.gone,
        }
    }

    /// Counts one more row.
    pub const fn add(&mut self, outcome: Outcome) {
        let slot = match outcome {
            Outcome::Verified => &mut self.verified,
            Outcome::Written => &mut self.written,
            Outcome::Unchanged => &mut self.unchanged,
            Outcome::Skipped => &mut self.skipped,
            Outcome::Held => &mut self.held,
            Outcome::Differs => &mut self.differs,
            Outcome::Failed => &mut self.failed,
            Outcome::Gone => &mut self.gone,
        };
        *slot = slot.saturating_add(1);
    }

    /// All rows counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        Outcome::ALL.into_iter().map(|outcome| self.of(outcome)).sum()
    }

    /// Whether every row counted settled well.
    #[must_use]
    pub fn all_well(&self) -> bool {
        Outcome::ALL.into_iter().all(|outcome| outcome.is_well() || self.of(outcome) == 0)
    }
}

impl FromIterator<Outcome> for Counts {
    fn from_iter<I: IntoIterator<Item = Outcome>>(outcomes: I) -> Self {
        let mut counts = Self::default();
        outcomes.into_iter().for_each(|outcome| counts.add(outcome));
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_values_are_pinned() {
        for outcome in Outcome::ALL {
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.as_str());
            assert_eq!(outcome.as_str().parse::<Outcome>().unwrap(), outcome);
        }
    }

    #[test]
    fn counts_add_up() {
        let counts: Counts = [Outcome::Verified, Outcome::Failed, Outcome::Verified].into_iter().collect();
        assert_eq!((counts.verified, counts.failed, counts.total()), (2, 1, 3));
        assert!(!counts.all_well());
    }
}
