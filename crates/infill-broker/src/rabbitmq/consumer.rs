//! A subscription that outlives sessions: one channel per stage, merged in turns.

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, SelectAll};
use futures::{FutureExt, StreamExt};
use infill_model::Stage;
use infill_telemetry::chain;
use lapin::Channel;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::FieldTable;
use tokio::time::timeout;

use super::delivery::Hand;
use super::fault::{Fault, call};
use super::session::Session;
use super::supervisor::Shared;
use crate::broker::{Consumer, Delivered};
use crate::error::Error;

/// What [`Broker::consume`](crate::Broker::consume) hands out.
///
/// There is no task behind it: [`Consumer::next`] polls, and what arrives meanwhile waits in lapin, bounded by the prefetch.
pub(super) struct Subscriber {
    shared: Arc<Shared>,
    stages: Arc<[Stage]>,
    prefetch: u16,
    state: State,
}

enum State {
    /// Kept as a future between calls, so that a cancelled `next` does not start over.
    Subscribing(BoxFuture<'static, Result<Subscription, Error>>),
    Live(Subscription),
    Ended,
}

/// The consumers of one session.
struct Subscription {
    session: Arc<Session>,
    channels: Vec<Channel>,
    arrivals: SelectAll<BoxStream<'static, Arrival>>,
}

/// Something from one stage's consumer.
struct Arrival {
    stage: Stage,
    channel: Channel,
    /// `None` when the broker ended the consumer.
    delivery: Option<lapin::Result<lapin::message::Delivery>>,
}

impl Subscriber {
    /// Subscribes once, so that a broker that is down is noticed; later outages are ridden out.
    pub(super) async fn start(shared: Arc<Shared>, stages: &[Stage], prefetch: u16) -> Result<Self, Error> {
        let stages: Arc<[Stage]> = stages.into();
        let session = shared.session().await?;
        let subscription = Subscription::open(&shared, session, &stages, prefetch).await?;
        Ok(Self { shared, stages, prefetch, state: State::Live(subscription) })
    }

    /// Waits for the next session and subscribes on it.
    fn resubscribe(&self) -> State {
        let (shared, stages, prefetch) = (Arc::clone(&self.shared), Arc::clone(&self.stages), self.prefetch);
        State::Subscribing(
            async move {
                let session = shared.next_session().await?;
                Subscription::open(&shared, session, &stages, prefetch).await
            }
            .boxed(),
        )
    }
}

#[async_trait]
impl Consumer for Subscriber {
    async fn next(&mut self) -> Option<Delivered> {
        loop {
            match &mut self.state {
                State::Ended => return None,
                State::Subscribing(subscribing) => match subscribing.await {
                    Ok(subscription) => self.state = State::Live(subscription),
                    Err(Error::Closed) => self.state = State::Ended,
                    Err(error) => {
                        tracing::debug!(error = %chain(&error), "not subscribed");
                        self.state = self.resubscribe();
                    }
                },
                State::Live(subscription) => match subscription.next(&self.shared).await {
                    Some(delivered) => return Some(delivered),
                    None => self.state = self.resubscribe(),
                },
            }
        }
    }

    async fn cancel(&mut self) {
        if let State::Live(subscription) = std::mem::replace(&mut self.state, State::Ended) {
            subscription.cancel(&self.shared).await;
        }
    }
}

impl Subscription {
    /// A fault here fails the session, so that a caller that tries again gets another one.
    async fn open(
        shared: &Shared,
        session: Arc<Session>,
        stages: &[Stage],
        prefetch: u16,
    ) -> Result<Self, Error> {
        let mut subscription = Self { session, channels: Vec::new(), arrivals: SelectAll::new() };
        for &stage in stages {
            if let Err(fault) = subscription.add(shared, stage, prefetch).await {
                return Err(shared.give_up(&subscription.session, fault));
            }
        }
        Ok(subscription)
    }

    async fn add(&mut self, shared: &Shared, stage: Stage, prefetch: u16) -> Result<(), Fault> {
        const CONSUME: &str = "start consuming";
        let limit = shared.config.timeouts.call;
        let channel = call(CONSUME, limit, self.session.consuming().create_channel()).await?;
        call(CONSUME, limit, channel.basic_qos(prefetch, BasicQosOptions::default())).await?;
        let consumer = channel.basic_consume(
            shared.topology.stage(stage).into(),
            self.session.consumer_tag().into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let consumer = call(CONSUME, limit, consumer).await?;
        let arrival = {
            let channel = channel.clone();
            move |delivery| Arrival { stage, channel: channel.clone(), delivery }
        };
        // The merged stream would drop an ended consumer in silence, hence the last word.
        let arrivals = consumer.map(Some).chain(stream::once(async { None })).map(arrival);
        self.arrivals.push(arrivals.boxed());
        self.channels.push(channel);
        Ok(())
    }

    /// The next delivery of this session; `None` once the session is lost.
    async fn next(&mut self, shared: &Arc<Shared>) -> Option<Delivered> {
        loop {
            // First of all whether the session is lost: its buffered deliveries will come again.
            let arrival = tokio::select! {
                biased;
                () = self.session.lost.cancelled() => return None,
                () = shared.closing.cancelled() => return None,
                arrival = async {
                    self.session.unblocked().await;
                    self.arrivals.next().await
                } => arrival,
            };
            let Some(Arrival { stage, channel, delivery }) = arrival else {
                // Without stages there is nothing to come; wait for the end.
                self.session.lost.cancelled().await;
                return None;
            };
            match delivery {
                Some(Ok(delivery)) if delivery.acker.usable() => {
                    let lapin::message::Delivery { data, redelivered, acker, .. } = delivery;
                    let hand = Hand {
                        shared: Arc::clone(shared),
                        session: Arc::clone(&self.session),
                        acker: Some(acker),
                        _channel: channel,
                    };
                    return Some(Delivered::read(stage, &data, redelivered, Box::new(hand)));
                }
                // Its channel is closed: the broker has taken it back.
                Some(Ok(_stale)) => {}
                Some(Err(source)) => self.session.fail(Fault::Amqp { operation: "keep consuming", source }),
                None => self.session.fail(Fault::ConsumerEnded { queue: shared.topology.stage(stage) }),
            }
        }
    }

    /// Ends the consumers and puts back what they had fetched ahead.
    async fn cancel(mut self, shared: &Shared) {
        if let Err(fault) = self.give_back(shared).await {
            self.session.fail(fault);
        }
    }

    async fn give_back(&mut self, shared: &Shared) -> Result<(), Fault> {
        const CANCEL: &str = "stop consuming";
        let limit = shared.config.timeouts.call;
        for channel in &self.channels {
            let cancelled =
                channel.basic_cancel(self.session.consumer_tag().into(), BasicCancelOptions::default());
            call(CANCEL, limit, cancelled).await?;
        }
        // Everything that was on its way arrived before the broker's answer, and the streams end by themselves.
        loop {
            match timeout(limit, self.arrivals.next()).await {
                Ok(Some(Arrival { delivery: Some(Ok(delivery)), .. })) => {
                    // `nack`, not `reject`: nobody has looked at it, and from RabbitMQ 4.3 a `nack` does not count.
                    let requeue = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
                    call(CANCEL, limit, delivery.acker.nack(requeue)).await?;
                }
                Ok(Some(Arrival { delivery: Some(Err(source)), .. })) => {
                    return Err(Fault::Amqp { operation: CANCEL, source });
                }
                Ok(Some(Arrival { delivery: None, .. })) => {}
                Ok(None) => return Ok(()),
                Err(_elapsed) => return Err(Fault::Silent { operation: CANCEL, limit }),
            }
        }
    }
}

impl std::fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match &self.state {
            State::Subscribing(_) => "subscribing",
            State::Live(_) => "live",
            State::Ended => "ended",
        };
        f.debug_struct("Subscriber")
            .field("stages", &self.stages)
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
