//! The seam: what the engines have in common, which is the weaker of the two.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use infill_model::error::Class;
use infill_model::message::Garbled;
use infill_model::{RecordId, RunId, Stage, StageMessage};

use crate::error::Error;

/// Carries stage messages.
///
/// Promises: a message whose [`Broker::publish`] returned `Ok` is delivered at least once unless the broker is
/// wiped; a delivery neither acknowledged nor returned is delivered again once it and its consumer are
/// dropped; a delayed message never comes early and comes late by about a second at most beyond its delay's tier.
/// Does not promise: order, or only one delivery.
///
/// A message handed out [`DELIVERY_LIMIT`](crate::topology::DELIVERY_LIMIT) + 1 times without an acknowledgement is
/// a poison message: it goes to the dead-lettered messages and is not delivered again.
#[async_trait]
pub trait Broker: Send + Sync + Debug {
    /// Publishes to the stage's queue and returns once the broker confirmed that it took responsibility. With a
    /// `delay`, the message waits in the shortest delay tier that is at least as long as the delay, or in the longest
    /// there is (the receiver compares `not_before` and sends early arrivals round again).
    ///
    /// # Errors
    /// After [`Error::NotTaken`] the message is certainly not with the broker. After [`Error::Timeout`] and
    /// [`Error::Unreachable`] it may be: publish it again, or leave the delivery it follows from unacknowledged, and
    /// expect a duplicate.
    async fn publish(&self, message: &StageMessage, delay: Option<Duration>) -> Result<(), Error>;

    /// Publishes to `infill.dead-letters`, for other systems to subscribe to, and returns once confirmed.
    ///
    /// # Errors
    /// As [`Broker::publish`].
    async fn publish_dead_letter(&self, letter: &DeadLettered) -> Result<(), Error>;

    /// Consumes the stages, holding at most `prefetch` unacknowledged deliveries of each. A `prefetch` of 0 counts
    /// as 1: AMQP reads 0 as "no bound".
    ///
    /// # Errors
    /// When the broker cannot be reached now; once this returned `Ok`, the consumer rides through outages by itself.
    async fn consume(&self, stages: &[Stage], prefetch: u16) -> Result<Box<dyn Consumer>, Error>;

    /// Whether the broker can be used right now.
    ///
    /// # Errors
    /// Why it cannot; the last fault when the session is being rebuilt.
    async fn ready(&self) -> Result<(), Error>;

    /// Messages waiting in the stage's queue, ready for delivery; those in a delay do not count.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    async fn depth(&self, stage: Stage) -> Result<Depth, Error>;

    /// The state of the link, for metrics and health pages. Reads memory only.
    fn status(&self) -> Status;

    /// Flushes what is held and closes: publishers get [`Error::Closed`], consumers end, unanswered deliveries come
    /// again elsewhere. Idempotent.
    async fn close(&self);
}

/// A running subscription. It survives faults of the session: it is resumed inside, and deliveries of the lost session come
/// again.
///
/// Dropping it ends it like [`Consumer::cancel`], except that what was prefetched and not handed out goes back
/// only once every delivery in hand is answered or dropped.
#[async_trait]
pub trait Consumer: Send + Debug {
    /// The next delivery, taking turns between the stages; `None` once [`Consumer::cancel`] was called or the broker
    /// was closed. While the broker blocks publishers nothing is handed out, because nothing could be finished.
    /// Cancel-safe.
    async fn next(&mut self) -> Option<Delivered>;

    /// Stops new deliveries; what was prefetched and not handed out goes back to the queue. Deliveries in hand can
    /// still be answered.
    async fn cancel(&mut self);
}

/// One hand-over of one message.
#[derive(Debug)]
pub struct Delivered {
    /// The queue's stage.
    pub stage: Stage,
    /// What it says, if it can be read.
    pub message: Result<StageMessage, Garbled>,
    /// The body as received when `message` is an error, for the dead letter; else empty.
    pub body: Vec<u8>,
    /// Whether the broker handed it out before.
    pub redelivered: bool,
    /// The hand-over, to be answered exactly once.
    pub delivery: Box<dyn Delivery>,
}

impl Delivered {
    /// Reads a body as it came off the stage's queue.
    pub(crate) fn read(stage: Stage, body: &[u8], redelivered: bool, delivery: Box<dyn Delivery>) -> Self {
        let message = StageMessage::decode(body);
        let body = if message.is_err() { body.to_vec() } else { Vec::new() };
        Self { stage, message, body, redelivered, delivery }
    }
}

/// How a hand-over is answered. Dropping it unanswered, as a panic does, is [`Delivery::requeue`] without waiting.
#[async_trait]
pub trait Delivery: Send + Debug {
    /// Done. `Ok(false)` when the broker no longer knows the delivery and will deliver it again.
    ///
    /// # Errors
    /// When the broker may not have heard it: the message may come again.
    async fn ack(self: Box<Self>) -> Result<bool, Error>;

    /// Back to the queue, for somebody else. Counts towards the delivery limit.
    ///
    /// # Errors
    /// When the broker may not have heard it; the message comes again all the same.
    async fn requeue(self: Box<Self>) -> Result<(), Error>;
}

/// What is known of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// Messages ready for delivery.
    pub ready: u64,
}

/// The state of the link to the broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Whether there is a session right now.
    pub connected: bool,
    /// Whether the broker refuses to take messages (a memory or disk alarm); it still delivers.
    pub blocked: bool,
    /// Sessions rebuilt after a fault since the start.
    pub reconnects: u64,
    /// Acknowledgements that the broker did not take, or may not have heard, since the start; each is a likely duplicate.
    pub acks_lost: u64,
}

/// A failed writeback or a poison message, for the queue `infill.dead-letters`: ids and causes, never a record's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLettered {
    /// The stage it failed in.
    pub stage: Stage,
    /// The run, when known.
    pub run: Option<RunId>,
    /// The record, for a failed writeback.
    pub record: Option<RecordId>,
    /// The class.
    pub class: Class,
    /// The stable code.
    pub code: String,
    /// What happened and the way out. RabbitMQ carries the first 4 KiB.
    pub message: String,
    /// The body as received, for a message that could not be read; else empty.
    pub body: Vec<u8>,
}
