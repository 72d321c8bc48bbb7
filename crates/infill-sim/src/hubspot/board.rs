//! The faults of a running portal: which of them strike a call, a record or a list.

use super::fault::{Fault, FaultKind, Faults, Target};
use super::route::Operation;
use crate::fault::{Firing, Tally, draw};

/// The faults of a running portal with their tallies.
#[derive(Debug)]
pub(crate) struct Board {
    faults: Vec<(Fault, Tally)>,
    seed: u64,
}

/// A write as faults see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent<'a> {
    pub(crate) property: &'a str,
    pub(crate) value: &'a str,
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

    /// The faults that strike a call as a whole. `object` is the plural name and the id of its object type; `names`
    /// says whether the call names one of some records.
    pub(crate) fn strike_call(
        &self,
        operation: Operation,
        object: Option<(&str, &str)>,
        names: impl Fn(&[u64]) -> bool,
    ) -> Vec<&Fault> {
        let strikes = |(idx, (fault, tally)): (usize, &(Fault, Tally))| {
            let target = &fault.target;
            let is_met = fault.kind.strikes_calls()
                && fault.is_on(operation)
                && is_of(target, object)
                && (target.records.is_empty() || names(&target.records));
            let stream = u64::try_from(idx).unwrap_or(u64::MAX);
            is_met && tally.strikes(&fault.firing, |nth| draw(self.seed, stream, nth))
        };
        let struck = self.faults.iter().enumerate().filter(|entry| strikes((entry.0, entry.1)));
        struck.map(|(_, (fault, _))| fault).collect()
    }

    /// The first fault of `pick` that strikes a record in a call; `sent` are its writes, none for a read.
    pub(crate) fn strike_record(
        &self,
        operation: Operation,
        object: (&str, &str),
        record: u64,
        sent: &[Sent<'_>],
        pick: fn(&FaultKind) -> bool,
    ) -> Option<&Fault> {
        let strikes = |idx: usize, fault: &Fault, tally: &Tally| {
            let target = &fault.target;
            let is_met = pick(&fault.kind)
                && fault.is_on(operation)
                && is_of(target, Some(object))
                && (target.records.is_empty() || target.records.contains(&record))
                && sends(target, sent);
            let stream = u64::try_from(idx).unwrap_or(u64::MAX);
            is_met && tally.strikes(&fault.firing, |_| draw(self.seed, stream, record))
        };
        let mut faults = self.faults.iter().enumerate();
        faults.find(|(idx, (fault, tally))| strikes(*idx, fault, tally)).map(|(_, (fault, _))| fault)
    }

    /// Whether a list is still processing; a look is counted when `is_look`.
    pub(crate) fn is_processing(&self, list: &str, is_look: bool) -> bool {
        self.faults.iter().any(|(fault, tally)| {
            let FaultKind::Processing { looks } = fault.kind else { return false };
            if fault.target.list.as_ref().is_some_and(|id| id != list) {
                return false;
            }
            let firing = Firing { count: Some(looks), ..Firing::default() };
            if is_look { tally.strikes(&firing, |_| 0.0) } else { tally.struck() < looks }
        })
    }

    /// The lists that a record leaves because it was written; the inner `None` is every list.
    pub(crate) fn leaves(
        &self,
        operation: Operation,
        object: (&str, &str),
        record: u64,
    ) -> Option<Option<&str>> {
        let fault = self.strike_record(operation, object, record, &[], |kind| *kind == FaultKind::Leave)?;
        Some(fault.target.list.as_deref())
    }
}

fn is_of(target: &Target, object: Option<(&str, &str)>) -> bool {
    match (&target.object, object) {
        (None, _) => true,
        (Some(wanted), Some((plural, type_id))) => wanted == plural || wanted == type_id,
        (Some(_), None) => false,
    }
}

fn sends(target: &Target, sent: &[Sent<'_>]) -> bool {
    if target.property.is_none() && target.sent.is_none() {
        return true;
    }
    sent.iter().any(|write| {
        target.property.as_ref().is_none_or(|name| name == write.property)
            && target.sent.as_ref().is_none_or(|value| value == write.value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_by_record_does_not_depend_on_the_order_of_calls() {
        let board = |seed| Board::new("bad-row,p=0.3".parse().unwrap(), seed);
        let struck = |board: &Board, ids: &[u64]| -> Vec<u64> {
            let pick = |kind: &FaultKind| matches!(kind, FaultKind::BadRow { .. });
            let is_bad = |id: u64| {
                board.strike_record(Operation::BatchUpdate, ("contacts", "0-1"), id, &[], pick).is_some()
            };
            let mut bad: Vec<u64> = ids.iter().copied().filter(|id| is_bad(*id)).collect();
            bad.sort_unstable();
            bad
        };
        let ids: Vec<u64> = (1..200).collect();
        let backwards: Vec<u64> = ids.iter().rev().copied().collect();
        assert_eq!(struck(&board(1), &ids), struck(&board(1), &backwards));
        assert_ne!(struck(&board(1), &ids), struck(&board(2), &ids));
    }
}
