//! What the embedded broker holds, as a plain value: no lock, no clock, no waiting.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use infill_model::Stage;
use tokio::time::Instant;

use super::delay::Delays;
use super::{DeadLetters, poisoned};
use crate::broker::DeadLettered;
use crate::topology::DELIVERY_LIMIT;

/// A message held for delivery.
#[derive(Clone, Debug)]
pub(super) struct Parcel {
    pub(super) body: Arc<[u8]>,
    /// How often it was handed out and came back.
    pub(super) returns: u32,
}

impl Parcel {
    pub(super) fn new(body: &[u8]) -> Self {
        Self { body: body.into(), returns: 0 }
    }
}

/// Why a message was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Closed,
    Full { limit: usize },
}

/// The stage queues, the delays and the dead-lettered messages.
#[derive(Debug)]
pub(super) struct Queues {
    ready: BTreeMap<Stage, VecDeque<Parcel>>,
    delays: Delays,
    /// Ready and delayed messages by stage, for the limit.
    n_held: BTreeMap<Stage, usize>,
    limit: usize,
    dead: VecDeque<DeadLettered>,
    n_dead_kept: usize,
    n_dead_dropped: u64,
    is_closed: bool,
}

impl Queues {
    pub(super) fn new(limit: usize, n_dead_kept: usize) -> Self {
        Self {
            ready: BTreeMap::new(),
            delays: Delays::default(),
            n_held: BTreeMap::new(),
            limit,
            dead: VecDeque::new(),
            n_dead_kept,
            n_dead_dropped: 0,
            is_closed: false,
        }
    }

    pub(super) fn put(&mut self, stage: Stage, parcel: Parcel, due: Option<Instant>) -> Result<(), Refusal> {
        if self.is_closed {
            return Err(Refusal::Closed);
        }
        let n_held = self.n_held.entry(stage).or_default();
        if *n_held >= self.limit {
            return Err(Refusal::Full { limit: self.limit });
        }
        *n_held += 1;
        match due {
            Some(due) => self.delays.push(due, stage, parcel),
            None => self.ready.entry(stage).or_default().push_back(parcel),
        }
        Ok(())
    }

    /// Moves what has come due to its queue.
    pub(super) fn promote(&mut self, now: Instant) {
        while let Some((stage, parcel)) = self.delays.pop_due(now) {
            self.ready.entry(stage).or_default().push_back(parcel);
        }
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.delays.next_due()
    }

    pub(super) fn take(&mut self, stage: Stage) -> Option<Parcel> {
        let parcel = self.ready.get_mut(&stage)?.pop_front()?;
        if let Some(n_held) = self.n_held.get_mut(&stage) {
            *n_held = n_held.saturating_sub(1);
        }
        Some(parcel)
    }

    /// Takes a message back, even into a full queue: it was here before. To the front, as RabbitMQ tries to do.
    pub(super) fn give_back(&mut self, stage: Stage, parcel: Parcel) {
        if self.is_closed {
            return;
        }
        let parcel = Parcel { returns: parcel.returns.saturating_add(1), ..parcel };
        if parcel.returns > DELIVERY_LIMIT {
            let letter = poisoned(stage, &parcel);
            tracing::error!(%stage, error.code = letter.code, "message dead-lettered");
            self.keep(letter);
            return;
        }
        *self.n_held.entry(stage).or_default() += 1;
        self.ready.entry(stage).or_default().push_front(parcel);
    }

    /// Keeps a dead-lettered message, in the place of the oldest if need be.
    pub(super) fn bury(&mut self, letter: DeadLettered) -> Result<(), Refusal> {
        if self.is_closed {
            return Err(Refusal::Closed);
        }
        self.keep(letter);
        Ok(())
    }

    fn keep(&mut self, letter: DeadLettered) {
        while self.dead.len() >= self.n_dead_kept && self.dead.pop_front().is_some() {
            if self.n_dead_dropped == 0 {
                tracing::warn!(
                    kept = self.n_dead_kept,
                    "dropping the oldest dead-lettered messages; the store has every dead letter"
                );
            }
            self.n_dead_dropped += 1;
        }
        self.dead.push_back(letter);
    }

    pub(super) fn dead_letters(&self) -> DeadLetters {
        DeadLetters { kept: self.dead.iter().cloned().collect(), dropped: self.n_dead_dropped }
    }

    /// Messages ready now.
    pub(super) fn ready(&mut self, stage: Stage, now: Instant) -> usize {
        self.promote(now);
        self.ready.get(&stage).map_or(0, VecDeque::len)
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Forgets every message; dead-lettered ones can still be read.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
        self.ready.clear();
        self.delays.clear();
        self.n_held.clear();
    }
}

#[cfg(test)]
mod tests {
    use infill_model::error::Class;

    use super::*;

    fn parcel() -> Parcel {
        Parcel::new(b"x")
    }

    #[test]
    fn a_full_queue_refuses_and_takes_again_when_there_is_room() {
        let mut queues = Queues::new(2, 1);
        let later = Instant::now() + std::time::Duration::from_secs(60);
        queues.put(Stage::Run, parcel(), None).unwrap();
        queues.put(Stage::Run, parcel(), Some(later)).unwrap();
        assert_eq!(queues.put(Stage::Run, parcel(), None), Err(Refusal::Full { limit: 2 }));
        queues.put(Stage::Verify, parcel(), None).expect("each stage has its own limit");

        queues.take(Stage::Run).unwrap();
        queues.put(Stage::Run, parcel(), None).unwrap();
    }

    #[test]
    fn what_was_handed_out_comes_back_even_into_a_full_queue() {
        let mut queues = Queues::new(1, 1);
        queues.put(Stage::Run, parcel(), None).unwrap();
        let taken = queues.take(Stage::Run).unwrap();
        queues.put(Stage::Run, parcel(), None).unwrap();
        queues.give_back(Stage::Run, taken);
        assert_eq!(queues.ready(Stage::Run, Instant::now()), 2);
    }

    #[test]
    fn the_newest_dead_letters_are_kept_and_the_rest_counted() {
        let mut queues = Queues::new(1, 2);
        for no in 0..5 {
            let code = format!("code_{no}");
            let letter = DeadLettered { code, ..poisoned(Stage::Run, &parcel()) };
            assert_eq!(letter.class, Class::Bug);
            queues.bury(letter).unwrap();
        }
        let DeadLetters { kept, dropped } = queues.dead_letters();
        let codes: Vec<&str> = kept.iter().map(|letter| letter.code.as_str()).collect();
        assert_eq!((codes, dropped), (vec!["code_3", "code_4"], 3));
    }

    #[test]
    fn a_closed_queue_takes_nothing_back() {
        let mut queues = Queues::new(1, 1);
        queues.put(Stage::Run, parcel(), None).unwrap();
        let taken = queues.take(Stage::Run).unwrap();
        queues.close();
        queues.give_back(Stage::Run, taken);
        assert_eq!(queues.ready(Stage::Run, Instant::now()), 0);
        assert_eq!(queues.put(Stage::Run, parcel(), None), Err(Refusal::Closed));
    }
}
