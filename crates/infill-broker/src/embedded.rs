//! The broker in the process: the same promises as RabbitMQ's, for as long as the process lives.
//!
//! There is no task behind it and no file: delayed messages come due when somebody looks, and what a crash takes
//! with it the planner's reconciler publishes again from the store. It needs no tokio runtime until
//! somebody consumes.

mod delay;
mod queue;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use infill_model::error::Class;
use infill_model::{Stage, StageMessage};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::broker::{Broker, Consumer, DeadLettered, Delivered, Delivery, Depth, Status};
use crate::error::Error;
use crate::topology::{self, DELIVERY_LIMIT, Topology};

use queue::{Parcel, Queues, Refusal};

/// Messages of one stage, ready or delayed, that the embedded broker holds before it refuses more.
///
/// Publishing to a full queue fails at once instead of waiting: workers publish successors from within the very handlers
/// that would have to finish first. Runs keep few batches in flight, so only a mistake comes near; it bounds
/// memory at some 20 MB a stage.
pub const QUEUE_LIMIT: usize = 100_000;

/// Dead-lettered messages kept for [`Embedded::dead_letters`]. The store is the place of record; this is the
/// counterpart of the queue that other systems may read.
pub const DEAD_LETTERS_KEPT: usize = 1_000;

/// The broker in the process. Clones are the same broker.
#[derive(Clone, Debug)]
pub struct Embedded {
    inner: Arc<Inner>,
}

/// The newest dead-lettered messages, and how many older ones made room for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetters {
    /// Oldest first, at most [`DEAD_LETTERS_KEPT`].
    pub kept: Vec<DeadLettered>,
    /// Older ones that are no longer here.
    pub dropped: u64,
}

#[derive(Debug)]
struct Inner {
    queues: Mutex<Queues>,
    /// Something was put, came back or was answered: whoever waits looks again.
    changed: Notify,
    /// For names in errors, the same as on RabbitMQ.
    topology: Topology,
}

impl Default for Embedded {
    fn default() -> Self {
        Self::new()
    }
}

impl Embedded {
    /// An empty broker.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limits(QUEUE_LIMIT, DEAD_LETTERS_KEPT)
    }

    fn with_limits(queue_limit: usize, dead_letters_kept: usize) -> Self {
        let inner = Inner {
            queues: Mutex::new(Queues::new(queue_limit, dead_letters_kept)),
            changed: Notify::new(),
            topology: Topology::new(topology::PREFIX),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Publishes a body as it is, readable or not: what a program of another version might send.
    ///
    /// # Errors
    /// As [`Broker::publish`].
    pub fn publish_body(&self, stage: Stage, body: &[u8], delay: Option<Duration>) -> Result<(), Error> {
        let now = Instant::now();
        let due = delay.filter(|delay| !delay.is_zero()).map(|delay| now + delay);
        let put = self.inner.lock().put(stage, Parcel::new(body), due);
        put.map_err(|refusal| match refusal {
            Refusal::Closed => Error::Closed,
            Refusal::Full { limit } => Error::NotTaken {
                queue: self.inner.topology.stage(stage),
                reason: format!(
                    "it holds {limit} messages already: start workers for the stage, or lower the batches in flight per run"
                ),
            },
        })?;
        self.inner.changed.notify_waiters();
        Ok(())
    }

    /// The newest dead-lettered messages.
    #[must_use]
    pub fn dead_letters(&self) -> DeadLetters {
        self.inner.lock().dead_letters()
    }
}

#[async_trait]
impl Broker for Embedded {
    async fn publish(&self, message: &StageMessage, delay: Option<Duration>) -> Result<(), Error> {
        self.publish_body(message.work.stage(), &message.encode(), delay)
    }

    async fn publish_dead_letter(&self, letter: &DeadLettered) -> Result<(), Error> {
        self.inner.lock().bury(letter.clone()).map_err(|_closed| Error::Closed)
    }

    async fn consume(&self, stages: &[Stage], prefetch: u16) -> Result<Box<dyn Consumer>, Error> {
        if self.inner.lock().is_closed() {
            return Err(Error::Closed);
        }
        let slots = stages.iter().map(|&stage| Arc::new(Slot { stage, held: AtomicU16::new(0) })).collect();
        Ok(Box::new(Subscription {
            inner: Arc::clone(&self.inner),
            slots,
            prefetch: prefetch.max(1),
            cancelled: false,
        }))
    }

    async fn ready(&self) -> Result<(), Error> {
        if self.inner.lock().is_closed() { Err(Error::Closed) } else { Ok(()) }
    }

    async fn depth(&self, stage: Stage) -> Result<Depth, Error> {
        let mut queues = self.inner.lock();
        if queues.is_closed() {
            return Err(Error::Closed);
        }
        let ready = queues.ready(stage, Instant::now());
        Ok(Depth { ready: u64::try_from(ready).unwrap_or(u64::MAX) })
    }

    fn status(&self) -> Status {
        Status { connected: !self.inner.lock().is_closed(), ..Status::default() }
    }

    async fn close(&self) {
        self.inner.lock().close();
        self.inner.changed.notify_waiters();
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Queues> {
        // No code that holds the lock leaves the queues half changed, so a panic elsewhere does not spoil them.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One stage of a subscription, and how many of its deliveries are in hand.
#[derive(Debug)]
struct Slot {
    stage: Stage,
    held: AtomicU16,
}

#[derive(Debug)]
struct Subscription {
    inner: Arc<Inner>,
    /// In the order of whose turn it is.
    slots: Vec<Arc<Slot>>,
    prefetch: u16,
    cancelled: bool,
}

impl Subscription {
    fn take(&mut self, queues: &mut Queues) -> Option<Delivered> {
        let has_room = |slot: &Slot| slot.held.load(Ordering::Acquire) < self.prefetch;
        let (idx, parcel) = self.slots.iter().enumerate().find_map(|(idx, slot)| {
            let parcel = has_room(slot).then(|| queues.take(slot.stage)).flatten()?;
            Some((idx, parcel))
        })?;
        // The stage that was served goes to the end of the line.
        let slot = self.slots.remove(idx);
        self.slots.push(Arc::clone(&slot));
        slot.held.fetch_add(1, Ordering::AcqRel);
        let (stage, body, redelivered) = (slot.stage, Arc::clone(&parcel.body), parcel.returns > 0);
        let hand = Hand { inner: Arc::clone(&self.inner), slot, parcel: Some(parcel) };
        Some(Delivered::read(stage, &body, redelivered, Box::new(hand)))
    }
}

#[async_trait]
impl Consumer for Subscription {
    async fn next(&mut self) -> Option<Delivered> {
        let inner = Arc::clone(&self.inner);
        loop {
            // Registered before looking, so that nothing put in between goes unnoticed.
            let changed = inner.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let next_due = {
                let mut queues = inner.lock();
                if self.cancelled || queues.is_closed() {
                    return None;
                }
                queues.promote(Instant::now());
                if let Some(delivered) = self.take(&mut queues) {
                    return Some(delivered);
                }
                queues.next_due()
            };
            match next_due {
                Some(due) => tokio::select! {
                    () = changed => {}
                    () = sleep_until(due) => {}
                },
                None => changed.await,
            }
        }
    }

    async fn cancel(&mut self) {
        // Nothing is fetched ahead, so there is nothing to hand back.
        self.cancelled = true;
    }
}

/// A delivery in hand; the parcel is gone once it is answered.
#[derive(Debug)]
struct Hand {
    inner: Arc<Inner>,
    slot: Arc<Slot>,
    parcel: Option<Parcel>,
}

impl Hand {
    /// Gives up the place in the prefetch and lets others look.
    fn let_go(&self) {
        self.slot.held.fetch_sub(1, Ordering::AcqRel);
        self.inner.changed.notify_waiters();
    }

    fn give_back(&mut self) {
        if let Some(parcel) = self.parcel.take() {
            self.inner.lock().give_back(self.slot.stage, parcel);
            self.let_go();
        }
    }
}

#[async_trait]
impl Delivery for Hand {
    async fn ack(mut self: Box<Self>) -> Result<bool, Error> {
        if self.parcel.take().is_some() {
            self.let_go();
        }
        // True even after a close: nothing will deliver it again.
        Ok(true)
    }

    async fn requeue(mut self: Box<Self>) -> Result<(), Error> {
        self.give_back();
        Ok(())
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// What becomes of a message that came back too often.
fn poisoned(stage: Stage, parcel: &Parcel) -> DeadLettered {
    DeadLettered {
        stage,
        run: StageMessage::decode(&parcel.body).ok().map(|message| message.run),
        record: None,
        class: Class::Bug,
        code: "delivery_limit".to_owned(),
        message: format!(
            "came back unacknowledged more than {DELIVERY_LIMIT} times: look for the worker's error, mend its cause, and \
             retry the run's dead letters"
        ),
        body: parcel.body.to_vec(),
    }
}
