//! The broker over AMQP 0-9-1: RabbitMQ 3.10 to 4.x.
//!
//! One supervised session at a time: a connection that publishes and one that consumes (a memory alarm stops a
//! publishing connection altogether, acknowledgements included), one confirm channel, one channel per consumed
//! stage. Any fault drops the whole session and builds another. There is no pool, and lapin's own recovery is
//! off: it leaks threads and leaves confirms pending for as long as an outage lasts. Every wait on lapin has a limit
//! from [`Timeouts`].

mod connection;
mod consumer;
mod dead_letters;
mod declare;
mod delivery;
mod fault;
#[cfg(test)]
mod fault_tests;
mod properties;
mod publisher;
mod session;
mod supervisor;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use infill_model::{Stage, StageMessage};
use secrecy::SecretString;
use tokio_util::sync::DropGuard;
use tokio_util::task::TaskTracker;

use crate::broker::{Broker, Consumer, DeadLettered, Depth, Status};
use crate::error::Error;
use crate::topology;

use publisher::Envelope;
use supervisor::{Link, Shared};

/// How to reach RabbitMQ, and who asks.
#[derive(Clone, Debug)]
pub struct Config {
    /// `amqp://user:password@host:5672/vhost`, or `amqps://`; the default vhost `/` is spelt `%2f`. A `heartbeat` in its
    /// query wins over [`HEARTBEAT_SECONDS`].
    pub uri: SecretString,
    /// Starts every name on the broker; letters, digits, `.`, `_` and `-`, at most 64.
    pub prefix: String,
    /// The program's part, for the connection's name: `worker`, `planner`.
    pub role: String,
    /// The machine's name, for the connection's name.
    pub host: String,
    /// How long to wait for what.
    pub timeouts: Timeouts,
}

/// How long to wait for an answer before the session is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP, TLS and AMQP handshakes of one connection.
    pub connect: Duration,
    /// One question on a channel: declare, consume, cancel.
    pub call: Duration,
    /// A publish and its confirm. Generous: a quorum queue may be electing a leader.
    pub confirm: Duration,
    /// Handing an acknowledgement to the socket.
    pub ack: Duration,
    /// A publisher's wait for a session that is being rebuilt.
    pub session: Duration,
    /// Closing what is given up.
    pub close: Duration,
}

/// Seconds between heartbeats. A silent peer is given up after twice that; the server's default of 60 is too slow.
pub const HEARTBEAT_SECONDS: u16 = 10;

/// The longest prefix; the longest name under it then stays far below AMQP's 255 bytes.
const MAX_PREFIX_BYTES: usize = 64;

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            call: Duration::from_secs(10),
            confirm: Duration::from_secs(10),
            ack: Duration::from_secs(5),
            session: Duration::from_secs(5),
            close: Duration::from_secs(2),
        }
    }
}

impl Config {
    /// The usual settings for a program's part.
    #[must_use]
    pub fn new(uri: SecretString, role: &str) -> Self {
        Self {
            uri,
            prefix: topology::PREFIX.to_owned(),
            role: role.to_owned(),
            host: connection::hostname(),
            timeouts: Timeouts::default(),
        }
    }
}

/// RabbitMQ. Dropping it ends its session; [`Broker::close`] ends it politely.
#[derive(Debug)]
pub struct RabbitMq {
    shared: Arc<Shared>,
    supervisor: TaskTracker,
    _closing: DropGuard,
}

impl RabbitMq {
    /// Opens a session, declares the topology, and keeps a session from then on.
    ///
    /// # Errors
    /// [`Error::Refused`] when a person must act: a URI that cannot be read, a wrong password or vhost, queues of the
    /// same name with other arguments. [`Error::Unreachable`] or [`Error::Timeout`] when the broker is merely down; it
    /// is the caller's choice to try again.
    pub async fn connect(config: Config) -> Result<Self, Error> {
        let shared = Arc::new(Shared::new(config)?);
        let supervisor = TaskTracker::new();
        let first = shared.open_session().await.map_err(|fault| fault.into_error(&shared.address))?;
        supervisor.spawn(supervisor::supervise(Arc::clone(&shared), first));
        supervisor.close();
        let closing = shared.closing.clone().drop_guard();
        Ok(Self { shared, supervisor, _closing: closing })
    }

    /// Names of exchanges and queues that the broker does not have. Declares nothing.
    ///
    /// # Errors
    /// As [`RabbitMq::connect`].
    pub async fn lacks(config: Config) -> Result<Vec<String>, Error> {
        let shared = Shared::new(config)?;
        declare::lacks(&shared).await.map_err(|fault| fault.into_error(&shared.address))
    }

    /// Deletes every exchange and queue under the prefix with all messages in them, to uninstall. Programs that still run
    /// declare them anew.
    ///
    /// # Errors
    /// As [`RabbitMq::connect`].
    pub async fn delete_topology(config: Config) -> Result<(), Error> {
        let shared = Shared::new(config)?;
        declare::delete(&shared).await.map_err(|fault| fault.into_error(&shared.address))
    }

    /// Publishes a body as it is, readable or not: what a program of another version might send.
    ///
    /// # Errors
    /// As [`Broker::publish`].
    pub async fn publish_body(
        &self,
        stage: Stage,
        body: &[u8],
        delay: Option<Duration>,
    ) -> Result<(), Error> {
        let (exchange, queue) = self.route(stage, delay);
        let properties = properties::plain();
        publisher::publish(&self.shared, Envelope { exchange, queue, stage, body, properties }).await
    }

    /// The exchange to publish to and the queue it leads to.
    fn route(&self, stage: Stage, delay: Option<Duration>) -> (String, String) {
        let topology = &self.shared.topology;
        match delay.filter(|delay| !delay.is_zero()).map(topology::tier) {
            Some(tier) => (topology.retry(tier), topology.retry(tier)),
            None => (topology.stages(), topology.stage(stage)),
        }
    }
}

#[async_trait]
impl Broker for RabbitMq {
    async fn publish(&self, message: &StageMessage, delay: Option<Duration>) -> Result<(), Error> {
        let stage = message.work.stage();
        let (exchange, queue) = self.route(stage, delay);
        let properties = properties::of_stage_message(message);
        let body = &message.encode();
        publisher::publish(&self.shared, Envelope { exchange, queue, stage, body, properties }).await
    }

    async fn publish_dead_letter(&self, letter: &DeadLettered) -> Result<(), Error> {
        let name = self.shared.topology.dead_letters();
        let envelope = Envelope {
            exchange: name.clone(),
            queue: name,
            stage: letter.stage,
            body: &letter.body,
            properties: properties::of_dead_letter(letter),
        };
        publisher::publish(&self.shared, envelope).await
    }

    async fn consume(&self, stages: &[Stage], prefetch: u16) -> Result<Box<dyn Consumer>, Error> {
        let consumer = consumer::Subscriber::start(Arc::clone(&self.shared), stages, prefetch.max(1)).await?;
        Ok(Box::new(consumer))
    }

    async fn ready(&self) -> Result<(), Error> {
        let link = self.shared.link.borrow().clone();
        match link {
            Link::Up(session) => match session.fault() {
                None => Ok(()),
                Some(fault) => Err(fault.into_error(&self.shared.address)),
            },
            Link::Down(fault) => Err(fault.into_error(&self.shared.address)),
            Link::Closed => Err(Error::Closed),
        }
    }

    async fn depth(&self, stage: Stage) -> Result<Depth, Error> {
        let session = self.shared.session().await?;
        let queue = self.shared.topology.stage(stage);
        match declare::depth(&session, &queue, self.shared.config.timeouts.call).await {
            Ok(ready) => Ok(Depth { ready: ready.into() }),
            Err(fault) => Err(self.shared.give_up(&session, fault)),
        }
    }

    fn status(&self) -> Status {
        let link = self.shared.link.borrow().clone();
        let session = match &link {
            Link::Up(session) if session.fault().is_none() => Some(session),
            Link::Up(_) | Link::Down(_) | Link::Closed => None,
        };
        Status {
            connected: session.is_some(),
            blocked: session.is_some_and(|session| session.blocked().is_some()),
            reconnects: self.shared.tally.reconnects.load(Ordering::Relaxed),
            acks_lost: self.shared.tally.acks_lost.load(Ordering::Relaxed),
        }
    }

    async fn close(&self) {
        self.shared.closing.cancel();
        self.supervisor.wait().await;
    }
}
