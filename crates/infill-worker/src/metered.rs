//! A broker whose publishes are counted and timed. The engines themselves know nothing of metrics.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use infill_broker::broker::Status;
use infill_broker::{Broker, Consumer, DeadLettered, Depth, Error};
use infill_model::{Stage, StageMessage};
use infill_telemetry::{Metrics, Publish};
use tokio::time::Instant;

/// Counts what goes to the broker inside.
#[derive(Debug)]
pub struct MeteredBroker {
    inner: Arc<dyn Broker>,
    metrics: Metrics,
}

impl MeteredBroker {
    /// Wraps a broker.
    #[must_use]
    pub fn new(inner: Arc<dyn Broker>, metrics: Metrics) -> Self {
        Self { inner, metrics }
    }
}

const fn result(published: &Result<(), Error>) -> Publish {
    match published {
        Ok(()) => Publish::Confirmed,
        Err(Error::NotTaken { .. }) => Publish::Nacked,
        Err(Error::Timeout { .. }) => Publish::TimedOut,
        Err(Error::Unreachable { .. } | Error::Refused { .. } | Error::Closed) => Publish::Lost,
    }
}

#[async_trait]
impl Broker for MeteredBroker {
    async fn publish(&self, message: &StageMessage, delay: Option<Duration>) -> Result<(), Error> {
        let started = Instant::now();
        let published = self.inner.publish(message, delay).await;
        self.metrics.published(message.work.stage(), result(&published), started.elapsed());
        published
    }

    async fn publish_dead_letter(&self, letter: &DeadLettered) -> Result<(), Error> {
        self.inner.publish_dead_letter(letter).await
    }

    async fn consume(&self, stages: &[Stage], prefetch: u16) -> Result<Box<dyn Consumer>, Error> {
        self.inner.consume(stages, prefetch).await
    }

    async fn ready(&self) -> Result<(), Error> {
        self.inner.ready().await
    }

    async fn depth(&self, stage: Stage) -> Result<Depth, Error> {
        self.inner.depth(stage).await
    }

    fn status(&self) -> Status {
        self.inner.status()
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
