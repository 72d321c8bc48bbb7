//! Keeps a session: opens one, minds it, and opens the next when it fails, with growing and jittered delays.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use infill_telemetry::chain;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::fault::Fault;
use super::session::{Ears, Session};
use super::{Config, MAX_PREFIX_BYTES, connection};
use crate::error::Error;
use crate::topology::Topology;

/// The first delay before a rebuild. With its jitter of up to as much again, a fleet does not come back in one beat.
const MIN_DELAY: Duration = Duration::from_millis(200);

/// The longest delay before jitter: how late a healed broker may be noticed.
const MAX_DELAY: Duration = Duration::from_secs(15);

/// How long a session that was lost may take to say goodbye. Mostly nobody listens any more, and the next one is waited for.
const LOST_CLOSE: Duration = Duration::from_millis(200);

/// What publishers, consumers and the supervisor of one [`RabbitMq`](super::RabbitMq) share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Config,
    /// The broker without credentials, for errors.
    pub(super) address: String,
    pub(super) topology: Topology,
    pub(super) link: watch::Sender<Link>,
    pub(super) closing: CancellationToken,
    pub(super) tally: Tally,
}

/// The session as everybody sees it.
#[derive(Clone, Debug)]
pub(super) enum Link {
    /// There is one; it may have failed a moment ago.
    Up(Arc<Session>),
    /// It is being rebuilt, because of this.
    Down(Fault),
    /// This process closed it.
    Closed,
}

/// Counts since the start.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) reconnects: AtomicU64,
    pub(super) acks_lost: AtomicU64,
}

impl Shared {
    pub(super) fn new(config: Config) -> Result<Self, Error> {
        let checked = connection::address(&config).and_then(|address| {
            check_prefix(&config.prefix)?;
            Ok(address)
        });
        let address = checked.map_err(|fault| fault.into_error("the configured address"))?;
        Ok(Self {
            topology: Topology::new(&config.prefix),
            address,
            link: watch::Sender::new(Link::Down(Fault::Ended)),
            closing: CancellationToken::new(),
            tally: Tally::default(),
            config,
        })
    }

    pub(super) async fn open_session(&self) -> Result<(Arc<Session>, Ears), Fault> {
        let (session, ears) = Session::open(self).await?;
        self.link.send_replace(Link::Up(Arc::clone(&session)));
        Ok((session, ears))
    }

    /// A session, waiting a while for the one that is being rebuilt.
    pub(super) async fn session(&self) -> Result<Arc<Session>, Error> {
        match timeout(self.config.timeouts.session, self.next_session()).await {
            Ok(session) => session,
            Err(_elapsed) => {
                let link = self.link.borrow().clone();
                Err(match link {
                    Link::Up(session) => session.fault().unwrap_or(Fault::Ended),
                    Link::Down(fault) => fault,
                    Link::Closed => return Err(Error::Closed),
                }
                .into_error(&self.address))
            }
        }
    }

    /// A session, however long it takes; [`Error::Closed`] when there will be none.
    pub(super) async fn next_session(&self) -> Result<Arc<Session>, Error> {
        let usable = |link: &Link| match link {
            Link::Up(session) => session.fault().is_none(),
            Link::Down(_) => false,
            Link::Closed => true,
        };
        let mut link = self.link.subscribe();
        match link.wait_for(|link| usable(link)).await.as_deref() {
            Ok(Link::Up(session)) => Ok(Arc::clone(session)),
            Ok(Link::Down(_) | Link::Closed) | Err(_) => Err(Error::Closed),
        }
    }

    /// Gives up a session and says what the caller hears of it.
    pub(super) fn give_up(&self, session: &Session, fault: Fault) -> Error {
        session.fail(fault.clone());
        fault.into_error(&self.address)
    }
}

fn check_prefix(prefix: &str) -> Result<(), Fault> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if (1..=MAX_PREFIX_BYTES).contains(&prefix.len()) && prefix.chars().all(is_plain) {
        return Ok(());
    }
    Err(Fault::Setting(format!(
        "name queues after the prefix \"{prefix}\": it must be 1 to {MAX_PREFIX_BYTES} letters, digits, \".\", \"_\" or \"-\""
    )))
}

/// Runs until `closing` is cancelled.
pub(super) async fn supervise(shared: Arc<Shared>, first: (Arc<Session>, Ears)) {
    let timeouts = shared.config.timeouts;
    let mut delays = delays();
    let mut current = Some(first);
    while let Some((session, ears)) = current.take() {
        let opened_at = Instant::now();
        session.mind(ears, &shared.closing, &timeouts).await;
        if shared.closing.is_cancelled() {
            shared.link.send_replace(Link::Closed);
            session.close(timeouts.close).await;
        } else {
            let fault = session.fault().unwrap_or(Fault::Ended);
            tracing::warn!(broker = shared.address, error = %chain(&fault), "broker session lost");
            shared.link.send_replace(Link::Down(fault));
            session.close(timeouts.close.min(LOST_CLOSE)).await;
        }
        // A session that opens and fails at once, again and again, must not be rebuilt in a hurry.
        if session.is_proven() || opened_at.elapsed() > MAX_DELAY {
            delays = self::delays();
        }
        current = rebuild(&shared, &mut delays).await;
    }
    shared.link.send_replace(Link::Closed);
}

/// Opens the next session, however often it takes; `None` when closing.
async fn rebuild(shared: &Shared, delays: &mut ExponentialBackoff) -> Option<(Arc<Session>, Ears)> {
    loop {
        // Without a maximum of times the delays do not end.
        let delay = delays.next().unwrap_or(MAX_DELAY);
        if timeout(delay, shared.closing.cancelled()).await.is_ok() {
            return None;
        }
        let opened = tokio::select! {
            () = shared.closing.cancelled() => return None,
            opened = shared.open_session() => opened,
        };
        match opened {
            Ok(opened) => {
                shared.tally.reconnects.fetch_add(1, Ordering::Relaxed);
                tracing::info!(broker = shared.address, "broker session rebuilt");
                return Some(opened);
            }
            Err(fault) => {
                tracing::warn!(broker = shared.address, error = %chain(&fault), "broker session not rebuilt");
                shared.link.send_replace(Link::Down(fault));
            }
        }
    }
}

fn delays() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(MIN_DELAY)
        .with_max_delay(MAX_DELAY)
        .with_factor(2.0)
        .without_max_times()
        .with_jitter()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_are_capped_are_spread_and_never_end() {
        let base =
            [200, 400, 800, 1_600, 3_200, 6_400, 12_800, 15_000, 15_000, 15_000].map(Duration::from_millis);
        for _ in 0..50 {
            for (delay, base) in delays().zip(base) {
                assert!((base..=base * 2).contains(&delay), "{delay:?} is not {base:?} with jitter");
            }
        }
        let firsts: std::collections::BTreeSet<Duration> = (0..50).filter_map(|_| delays().next()).collect();
        assert!(firsts.len() > 10, "first delays are not spread: {firsts:?}");
        assert!(delays().nth(10_000).is_some());
    }

    #[test]
    fn prefixes_that_would_not_fit_a_name_are_refused() {
        for prefix in ["infill", "team-a.infill", "x"] {
            assert!(check_prefix(prefix).is_ok(), "{prefix}");
        }
        for prefix in ["", "a b", "é", "a/b", &"x".repeat(65)] {
            assert!(check_prefix(prefix).is_err(), "{prefix}");
        }
    }
}
