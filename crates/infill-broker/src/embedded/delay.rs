//! Messages that wait for their time, soonest first. Time is an input.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use infill_model::Stage;
use tokio::time::Instant;

use super::queue::Parcel;

/// A heap by due time; messages due at the same moment come out in the order they went in.
#[derive(Debug, Default)]
pub(super) struct Delays {
    waiting: BinaryHeap<Reverse<Waiting>>,
    n_seen: u64,
}

#[derive(Debug)]
struct Waiting {
    due: Instant,
    order: u64,
    stage: Stage,
    parcel: Parcel,
}

impl Delays {
    pub(super) fn push(&mut self, due: Instant, stage: Stage, parcel: Parcel) {
        let order = self.n_seen;
        self.n_seen += 1;
        self.waiting.push(Reverse(Waiting { due, order, stage, parcel }));
    }

    /// The next message whose time has come.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(Stage, Parcel)> {
        if self.next_due()? > now {
            return None;
        }
        self.waiting.pop().map(|Reverse(Waiting { stage, parcel, .. })| (stage, parcel))
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.waiting.peek().map(|Reverse(waiting)| waiting.due)
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }
}

impl Waiting {
    fn key(&self) -> (Instant, u64) {
        (self.due, self.order)
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn messages_come_out_when_due_and_soonest_first() {
        let start = Instant::now();
        let at = |secs| start + Duration::from_secs(secs);
        let mut delays = Delays::default();
        for secs in [30, 10, 20, 10] {
            delays.push(at(secs), Stage::Run, Parcel::new(format!("{secs}").as_bytes()));
        }
        assert_eq!(delays.next_due(), Some(at(10)));
        assert!(delays.pop_due(at(9)).is_none());

        let mut seen = Vec::new();
        while let Some((_, parcel)) = delays.pop_due(at(20)) {
            seen.push(String::from_utf8(parcel.body.to_vec()).unwrap());
        }
        assert_eq!(seen, ["10", "10", "20"]);
        assert_eq!(delays.next_due(), Some(at(30)));
    }
}
