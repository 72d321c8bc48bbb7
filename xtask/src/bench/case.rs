//! One measured run: on which CRM and engine pair, of how many rows, under which limits.

use super::crm::{Burst, Care, Crm, Limits};

/// Which engine pair a figure is of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pair {
    Embedded,
    Distributed { workers: usize },
}

impl Pair {
    pub(super) fn label(self) -> String {
        match self {
            Self::Embedded => "embedded".into(),
            Self::Distributed { workers: 1 } => "distributed, 1 worker".into(),
            Self::Distributed { workers } => format!("distributed, {workers} workers"),
        }
    }
}

/// What is run.
#[derive(Clone, Copy)]
pub(super) struct Case {
    pub(super) crm: &'static Crm,
    pub(super) pair: Pair,
    pub(super) rows: u64,
    pub(super) care: Care,
    /// The window that is spent, if any.
    pub(super) burst: Option<&'static Burst>,
}

impl Case {
    /// As fast as it goes, with nothing read twice.
    pub(super) const fn of(crm: &'static Crm, pair: Pair, rows: u64) -> Self {
        Self { crm, pair, rows, care: Care::None, burst: None }
    }

    /// Every row is read once more before it is written.
    pub(super) const fn guarded(self) -> Self {
        Self { care: Care::Guarded, ..self }
    }

    /// Under the CRM's burst limit, where it has one.
    pub(super) const fn limited(self) -> Self {
        Self { burst: self.crm.burst.as_ref(), ..self }
    }

    /// The limits that hold.
    pub(super) fn limits(&self) -> &'static Limits {
        self.burst.map_or(&self.crm.unlimited, |burst| &burst.limits)
    }

    /// Says what is measured now.
    pub(super) fn announce(&self) {
        let under = if self.burst.is_some() { ", under its limits" } else { "" };
        eprintln!("{}, {}, {} rows{under}", self.crm.name, self.pair.label(), self.rows);
    }
}
