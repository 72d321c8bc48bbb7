//! The faults of a running company: which of them strike a call.

use super::entity::Entity;
use super::fault::{Fault, Faults};
use super::spec::Operation;
use crate::fault::{Tally, draw, mix};

/// A call as faults see it.
pub(crate) struct Meeting<'a> {
    pub(crate) operation: Operation,
    pub(crate) entity: Option<Entity>,
    /// The records it names.
    pub(crate) records: &'a [String],
    /// Whether it writes the field of that code or name.
    pub(crate) sends: &'a dyn Fn(&str) -> bool,
}

/// The faults of a running company with their tallies.
#[derive(Debug)]
pub(crate) struct Board {
    faults: Vec<(Fault, Tally)>,
    seed: u64,
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

    /// The faults that strike a call.
    pub(crate) fn strike(&self, meeting: &Meeting<'_>) -> Vec<&Fault> {
        let mut struck = Vec::new();
        for (stream, (fault, tally)) in (0_u64..).zip(&self.faults) {
            let chance = |nth| {
                let of_record = meeting.records.first().filter(|_| fault.kind.is_of_record());
                draw(self.seed, stream, of_record.map_or(nth, |record| number(record)))
            };
            if meets(fault, meeting) && tally.strikes(&fault.firing, chance) {
                struck.push(fault);
            }
        }
        struck
    }
}

fn meets(Fault { kind, target, .. }: &Fault, meeting: &Meeting<'_>) -> bool {
    let is_on = target.operations.is_empty() || target.operations.contains(&meeting.operation);
    let is_of = kind.changes_by_itself() || target.entity.is_none() || target.entity == meeting.entity;
    let names = kind.changes_by_itself()
        || target.records.is_empty()
        || target.records.iter().any(|record| meeting.records.contains(record));
    let sends = kind.changes_by_itself() || target.field.as_ref().is_none_or(|field| (meeting.sends)(field));
    is_on && is_of && names && sends
}

/// A number that stands for a record's id.
fn number(id: &str) -> u64 {
    id.bytes().fold(0, |number, byte| mix(number ^ u64::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_by_record_does_not_depend_on_the_order_of_calls() {
        let struck = |seed: u64, ids: &[String]| -> Vec<String> {
            let board = Board::new("bad-row,p=0.3".parse().unwrap(), seed);
            let is_bad = |id: &String| {
                let records = std::slice::from_ref(id);
                let meeting =
                    Meeting { operation: Operation::Update, entity: None, records, sends: &|_| true };
                !board.strike(&meeting).is_empty()
            };
            let mut bad: Vec<String> = ids.iter().filter(|id| is_bad(id)).cloned().collect();
            bad.sort();
            bad
        };
        let ids: Vec<String> = (1..200).map(|id| id.to_string()).collect();
        let backwards: Vec<String> = ids.iter().rev().cloned().collect();
        assert_eq!(struck(1, &ids), struck(1, &backwards));
        assert_ne!(struck(1, &ids), struck(2, &ids));
    }
}
