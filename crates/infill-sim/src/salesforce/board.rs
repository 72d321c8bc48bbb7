//! The faults of a running org: which of them strike a call, a record or a job.

use super::fault::{Fault, FaultKind, Faults, Target};
use super::route::Operation;
use crate::fault::{Tally, draw};

/// The faults of a running org with their tallies.
#[derive(Debug)]
pub(crate) struct Board {
    faults: Vec<(Fault, Tally)>,
    seed: u64,
}

/// A record as faults see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Struck<'a> {
    pub(crate) operation: Operation,
    pub(crate) object: &'a str,
    pub(crate) id: &'a str,
    /// The number in its id, for chances.
    pub(crate) number: u64,
    /// Fields and texts of the write; none for a read.
    pub(crate) sent: &'a [(String, String)],
}

impl Board {
    pub(crate) fn new(faults: Faults, seed: u64) -> Self {
        Self { faults: faults.0.into_iter().map(|fault| (fault, Tally::default())).collect(), seed }
    }

    pub(crate) fn faults(&self) -> Faults {
        Faults(self.faults.iter().map(|(fault, _)| fault.clone()).collect())
    }

    /// Strikes of each fault, in order.
    pub(crate) fn strikes(&self) -> Vec<(String, u64)> {
        let one = |(fault, tally): &(Fault, Tally)| (Faults::from(fault.clone()).to_string(), tally.struck());
        self.faults.iter().map(one).collect()
    }

    /// Whether there is no fault at all, the usual case.
    pub(crate) fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// The faults that strike a call as a whole; `names` says whether the call names one of some records.
    pub(crate) fn strike_call(
        &self,
        operation: Operation,
        object: Option<&str>,
        names: impl Fn(&[String]) -> bool,
    ) -> Vec<&Fault> {
        let strikes = |idx: usize, fault: &Fault, tally: &Tally| {
            let target = &fault.target;
            let is_met = fault.kind.strikes_calls()
                && fault.is_on(operation)
                && (fault.kind == FaultKind::FieldGone || is_of(target, object))
                && (target.records.is_empty() || names(&target.records));
            is_met && tally.strikes(&fault.firing, |nth| draw(self.seed, stream(idx), nth))
        };
        let mut struck: Vec<&Fault> = Vec::new();
        for (idx, (fault, tally)) in self.faults.iter().enumerate() {
            let is_decided = struck.iter().any(|fault| fault.kind.decides_answer());
            if !(is_decided && fault.kind.decides_answer()) && strikes(idx, fault, tally) {
                struck.push(fault);
            }
        }
        struck
    }

    /// The first fault that refuses a subrequest of a composite call: one that names its operation.
    pub(crate) fn strike_part(
        &self,
        operation: Operation,
        object: Option<&str>,
        names: impl Fn(&[String]) -> bool,
    ) -> Option<&Fault> {
        let strikes = |idx: usize, fault: &Fault, tally: &Tally| {
            let target = &fault.target;
            let is_met = fault.kind.refuses_parts()
                && target.operations.contains(&operation)
                && is_of(target, object)
                && (target.records.is_empty() || names(&target.records));
            is_met && tally.strikes(&fault.firing, |nth| draw(self.seed, stream(idx), nth))
        };
        let mut faults = self.faults.iter().enumerate();
        faults.find(|(idx, (fault, tally))| strikes(*idx, fault, tally)).map(|(_, (fault, _))| fault)
    }

    /// The first fault of `pick` that strikes a record.
    pub(crate) fn strike_record(&self, struck: Struck<'_>, pick: fn(&FaultKind) -> bool) -> Option<&Fault> {
        let strikes = |idx: usize, fault: &Fault, tally: &Tally| {
            let target = &fault.target;
            let is_met = pick(&fault.kind)
                && fault.is_on(struck.operation)
                && is_of(target, Some(struck.object))
                && (target.records.is_empty() || target.records.iter().any(|id| id == struck.id))
                && sends(target, struck.sent);
            is_met && tally.strikes(&fault.firing, |_| draw(self.seed, stream(idx), struck.number))
        };
        let mut faults = self.faults.iter().enumerate();
        faults.find(|(idx, (fault, tally))| strikes(*idx, fault, tally)).map(|(_, (fault, _))| fault)
    }

    /// The first fault of `pick` that strikes a job on an object.
    pub(crate) fn strike_job(&self, object: &str, pick: fn(&FaultKind) -> bool) -> Option<&FaultKind> {
        let strikes = |idx: usize, fault: &Fault, tally: &Tally| {
            let is_met = pick(&fault.kind) && is_of(&fault.target, Some(object));
            is_met && tally.strikes(&fault.firing, |nth| draw(self.seed, stream(idx), nth))
        };
        let mut faults = self.faults.iter().enumerate();
        faults.find(|(idx, (fault, tally))| strikes(*idx, fault, tally)).map(|(_, (fault, _))| &fault.kind)
    }
}

fn stream(idx: usize) -> u64 {
    u64::try_from(idx).unwrap_or(u64::MAX)
}

fn is_of(target: &Target, object: Option<&str>) -> bool {
    target
        .object
        .as_ref()
        .is_none_or(|wanted| object.is_some_and(|object| object.eq_ignore_ascii_case(wanted)))
}

fn sends(target: &Target, sent: &[(String, String)]) -> bool {
    if target.field.is_none() && target.sent.is_none() {
        return true;
    }
    sent.iter().any(|(field, text)| {
        target.field.as_ref().is_none_or(|name| name.eq_ignore_ascii_case(field))
            && target.sent.as_ref().is_none_or(|wanted| wanted == text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_by_record_does_not_depend_on_the_order_of_calls() {
        let bad = |seed: u64, numbers: &mut dyn Iterator<Item = u64>| {
            let board = Board::new("row-lock,p=0.3".parse().unwrap(), seed);
            let is_struck = |number: &u64| {
                let struck = Struck {
                    operation: Operation::CollectionsUpdate,
                    object: "Account",
                    id: "",
                    number: *number,
                    sent: &[],
                };
                board.strike_record(struck, |kind| *kind == FaultKind::RowLock).is_some()
            };
            let mut bad: Vec<u64> = numbers.filter(is_struck).collect();
            bad.sort_unstable();
            bad
        };
        assert_eq!(bad(1, &mut (0..200)), bad(1, &mut (0..200).rev()));
        assert_ne!(bad(1, &mut (0..200)), bad(2, &mut (0..200)));
    }
}
