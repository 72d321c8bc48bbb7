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
/// wiped; a delivery neither acknowledged nor returned is delivered again once its consumer is gone; a
/// delayed message never comes early and comes late by about a second at most beyond its delay's tier.
/// Does not promise: order, or only one delivery.
#[async_trait]
pub trait Broker: Send + Sync + Debug {
    /// Publishes to the stage's queue and returns once the broker confirmed that it took responsibility. With a
    /// `delay`, the message waits in the shortest delay tier that is at least as long as the delay, or in the longest
    /// there is (the receiver compares `not_before` and sends early arrivals round again).
    async fn publish(&self, message: &StageMessage, delay: Option<Duration>) -> Result<(), Error>;

    /// Publishes to `infill.dead-letters`, for other systems to subscribe to, and returns once confirmed.
    async fn publish_dead_letter(&self, letter: &DeadLettered) -> Result<(), Error>;

    /// Consumes the stages, holding at most `prefetch` unacknowledged deliveries of each.
    async fn consume(&self, stages: &[Stage], prefetch: u16) -> Result<Box<dyn Consumer>, Error>;

    /// Whether the broker can be used right now.
    async fn ready(&self) -> Result<(), Error>;

    /// Messages waiting in the stage's queue, ready for delivery.
    async fn depth(&self, stage: Stage) -> Result<Depth, Error>;

    /// Flushes what is held and closes. Idempotent.
    async fn close(&self);
}

/// A running subscription. It survives faults of the session: it is resumed inside, and deliveries of the lost session come
/// again.
#[async_trait]
pub trait Consumer: Send + Debug {
    /// The next delivery; `None` once [`Consumer::cancel`] was called and what was prefetched is handed out or returned.
    /// Cancel-safe.
    async fn next(&mut self) -> Option<Delivered>;

    /// Stops new deliveries; what was prefetched and not handed out goes back to the queue.
    async fn cancel(&mut self);
}

/// One hand-over of one message.
#[derive(Debug)]
pub struct Delivered {
    /// The queue's stage.
    pub stage: Stage,
    /// What it says, if it can be read.
    pub message: Result<StageMessage, Garbled>,
    /// Whether the broker handed it out before.
    pub redelivered: bool,
    /// The hand-over, to be answered exactly once.
    pub delivery: Box<dyn Delivery>,
}

/// How a hand-over is answered.
#[async_trait]
pub trait Delivery: Send + Debug {
    /// Done. `Ok(false)` when the broker no longer knows the delivery and will deliver it again.
    async fn ack(self: Box<Self>) -> Result<bool, Error>;

    /// Back to the queue, for somebody else.
    async fn requeue(self: Box<Self>) -> Result<(), Error>;
}

/// What is known of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// Messages ready for delivery.
    pub ready: u64,
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
    /// What happened and the way out.
    pub message: String,
    /// The body as received, for a message that could not be read; else empty.
    pub body: Vec<u8>,
}
