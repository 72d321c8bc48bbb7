//! One session: two connections and a confirm channel that live and die together.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::{Stream, StreamExt};
use lapin::options::{BasicRejectOptions, ConfirmSelectOptions};
use lapin::{Acker, Channel, Connection, Event};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::connection::Wire;
use super::fault::{Fault, call};
use super::supervisor::Shared;
use super::{Timeouts, declare};

/// A session. Shared by publishers, consumers and deliveries; ended by its supervisor once somebody calls
/// [`Session::fail`].
#[derive(Debug)]
pub(super) struct Session {
    publish: Wire,
    consume: Wire,
    /// In confirm mode. Shared by all publishers: faster than a channel each.
    pub(super) confirms: Channel,
    /// Set before `lost` is cancelled.
    fault: OnceLock<Fault>,
    pub(super) lost: CancellationToken,
    /// Why the broker takes no messages, while it does not.
    blocked: watch::Sender<Option<String>>,
    dropped_tx: mpsc::UnboundedSender<Acker>,
    /// Whether the broker confirmed a publish or took an acknowledgement; then rebuilds start over with short delays.
    is_proven: AtomicBool,
}

/// What a session hears. One pair of ears per session, because listeners of one lapin connection steal each other's events.
pub(super) struct Ears {
    publish: Events,
    consume: Events,
    dropped_rx: mpsc::UnboundedReceiver<Acker>,
}

type Events = Pin<Box<dyn Stream<Item = Event> + Send>>;

impl Session {
    /// Opens both connections and declares the topology.
    pub(super) async fn open(shared: &Shared) -> Result<(Arc<Self>, Ears), Fault> {
        const CONFIRMS: &str = "open the confirm channel";
        let Timeouts { call: limit, .. } = shared.config.timeouts;
        let opened =
            futures::try_join!(Wire::open(&shared.config, "publish"), Wire::open(&shared.config, "consume"));
        let (publish, consume) = opened?;
        let ears_publish = Box::pin(publish.amqp_connection.events_listener());
        let ears_consume = Box::pin(consume.amqp_connection.events_listener());
        declare::declare(&consume, &shared.topology, limit).await?;
        let confirms = call(CONFIRMS, limit, publish.amqp_connection.create_channel()).await?;
        call(CONFIRMS, limit, confirms.confirm_select(ConfirmSelectOptions::default())).await?;
        // Unbounded, but no fuller than what consumers hold, which their prefetch bounds.
        let (dropped_tx, dropped_rx) = mpsc::unbounded_channel();
        let session = Self {
            publish,
            consume,
            confirms,
            fault: OnceLock::new(),
            lost: CancellationToken::new(),
            blocked: watch::Sender::new(None),
            dropped_tx,
            is_proven: AtomicBool::new(false),
        };
        Ok((Arc::new(session), Ears { publish: ears_publish, consume: ears_consume, dropped_rx }))
    }

    /// Gives the session up; the first fault counts.
    pub(super) fn fail(&self, fault: Fault) {
        self.fault.get_or_init(|| fault);
        self.lost.cancel();
    }

    /// Why it was given up, if it was.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.fault.get().cloned()
    }

    /// Why the broker takes no messages, if it does not.
    pub(super) fn blocked(&self) -> Option<String> {
        self.blocked.borrow().clone()
    }

    /// Returns once the broker takes messages.
    pub(super) async fn unblocked(&self) {
        let mut blocked = self.blocked.subscribe();
        while blocked.borrow_and_update().is_some() && blocked.changed().await.is_ok() {}
    }

    pub(super) fn prove(&self) {
        self.is_proven.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_proven(&self) -> bool {
        self.is_proven.load(Ordering::Relaxed)
    }

    pub(super) const fn consuming(&self) -> &Connection {
        &self.consume.amqp_connection
    }

    /// The consume connection's name, which is also the tag of its consumers.
    pub(super) fn consumer_tag(&self) -> &str {
        &self.consume.name
    }

    /// Hands back a delivery that was dropped unanswered; the session's task does the talking.
    pub(super) fn hand_back(&self, acker: Acker) {
        if self.dropped_tx.send(acker).is_err() {
            tracing::trace!("session is over: the broker takes the delivery back by itself");
        }
    }

    /// Minds the session until it fails or `closing` is cancelled.
    pub(super) async fn mind(&self, mut ears: Ears, closing: &CancellationToken, timeouts: &Timeouts) {
        loop {
            tokio::select! {
                () = closing.cancelled() => return,
                () = self.lost.cancelled() => return,
                event = ears.publish.next() => self.hear(event),
                event = ears.consume.next() => match event {
                    // Only publishing matters here; the broker delivers on.
                    Some(Event::ConnectionBlocked(_) | Event::ConnectionUnblocked) => {}
                    event => self.hear(event),
                },
                Some(acker) = ears.dropped_rx.recv() => {
                    if let Err(fault) = return_delivery(&acker, timeouts).await {
                        self.fail(fault);
                    }
                }
            }
        }
    }

    fn hear(&self, event: Option<Event>) {
        match event {
            Some(Event::ConnectionBlocked(reason)) => {
                tracing::warn!(reason, "broker blocks publishers");
                self.blocked.send_replace(Some(reason));
            }
            Some(Event::ConnectionUnblocked) => {
                tracing::info!("broker takes messages again");
                self.blocked.send_replace(None);
            }
            Some(Event::Error(source)) => {
                self.fail(Fault::Amqp { operation: "keep the AMQP connection", source });
            }
            None => self.fail(Fault::Ended),
            Some(_) => {}
        }
    }

    /// Ends both connections, politely if the broker listens.
    pub(super) async fn close(&self, limit: Duration) {
        futures::join!(self.publish.close(limit), self.consume.close(limit));
    }
}

/// Puts a delivery back into its queue and lets it count towards the delivery limit.
///
/// `reject`, not `nack`: from RabbitMQ 4.3 a `nack` no longer counts, and a message that always fails would go round for ever.
pub(super) async fn return_delivery(acker: &Acker, timeouts: &Timeouts) -> Result<bool, Fault> {
    call("return a delivery", timeouts.ack, acker.reject(BasicRejectOptions { requeue: true })).await
}

impl std::fmt::Debug for Ears {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ears").finish_non_exhaustive()
    }
}
