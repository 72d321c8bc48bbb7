//! A real RabbitMQ behind a network that breaks.

use std::collections::BTreeSet;
use std::net::{SocketAddr, ToSocketAddrs};
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;

use futures::FutureExt;

use infill_telemetry::chain;
use infill_testkit::ChaosProxy;
use lapin::uri::AMQPUri;
use secrecy::ExposeSecret;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::tests::{Rabbit, test_config, test_uri};
use super::*;
use crate::conformance::{DEADLINE, ack, batch, clean_up, holds, message, next, soon, until};

/// Short enough for a test, long enough for a busy machine.
const SHORT: Duration = Duration::from_secs(2);

/// A world behind a proxy, with limits of [`SHORT`] where a test waits them out.
async fn behind_proxy() -> (ChaosProxy, Config) {
    let mut uri: AMQPUri = test_uri().parse().unwrap();
    let upstream: SocketAddr =
        (uri.authority.host.as_str(), uri.authority.port).to_socket_addrs().unwrap().next().unwrap();
    let proxy = ChaosProxy::start(upstream).await.unwrap();
    uri.authority.host = proxy.addr().ip().to_string();
    uri.authority.port = proxy.addr().port();
    (proxy, test_config(uri.to_string()))
}

async fn in_a_broken_world(timeouts: Timeouts, case: impl AsyncFnOnce(&ChaosProxy, &Rabbit)) {
    let (proxy, config) = behind_proxy().await;
    in_this_broken_world(&proxy, Config { timeouts, ..config }, case).await;
}

async fn in_this_broken_world(
    proxy: &ChaosProxy,
    config: Config,
    case: impl AsyncFnOnce(&ChaosProxy, &Rabbit),
) {
    let world = Rabbit::with(config).await;
    let ended = AssertUnwindSafe(case(proxy, &world)).catch_unwind().await;
    proxy.restore();
    clean_up(world, ended).await;
}

async fn status_becomes(broker: &RabbitMq, what: &str, wanted: impl Fn(Status) -> bool) {
    until(what, async || wanted(broker.status())).await;
}

/// Publishes until the broker has it, as a worker whose delivery comes again does.
async fn publish_surely(broker: &RabbitMq, no: u32) {
    soon("a confirm", async {
        while let Err(error) = broker.publish(&message(no), None).await {
            assert!(!error.is_final(), "{}", chain(&error));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_resets_under_load_lose_nothing() {
    const N_RESETS: u64 = 20;
    const N_AT_ONCE: u32 = 8;
    /// Published by the one who breaks, so that each session has worked before it is cut.
    const PROBE: u32 = u32::MAX;
    in_a_broken_world(Timeouts::default(), async |proxy, world| {
        let broker = &world.broker;
        let (broken, all_seen) = (CancellationToken::new(), CancellationToken::new());
        let seen = Mutex::new(BTreeSet::new());
        let publishing = async {
            let mut n_published = 0;
            while !broken.is_cancelled() {
                let burst = n_published..n_published + N_AT_ONCE;
                futures::future::join_all(burst.map(|no| publish_surely(broker, no))).await;
                n_published += N_AT_ONCE;
            }
            let lost =
                || (0..n_published).filter(|no| !seen.lock().unwrap().contains(no)).collect::<Vec<u32>>();
            let waited = timeout(DEADLINE, holds(async || lost().is_empty())).await;
            all_seen.cancel();
            assert!(waited.is_ok(), "lost {:?} of {n_published}", lost());
        };
        let mut consumer = broker.consume(&[Stage::Run], 20).await.unwrap();
        let consuming = async {
            while let Some(delivered) = tokio::select! {
                delivered = consumer.next() => delivered,
                () = all_seen.cancelled() => None,
            } {
                seen.lock().unwrap().insert(batch(&delivered));
                // A lost acknowledgement means a duplicate, never a loss.
                drop(delivered.delivery.ack().await);
            }
        };
        let breaking = async {
            for n_resets in 0..N_RESETS {
                publish_surely(broker, PROBE).await;
                proxy.cut();
                status_becomes(broker, "the next session", |status| status.reconnects > n_resets).await;
            }
            broken.cancel();
        };
        futures::join!(publishing, consuming, breaking);
        assert!(broker.status().reconnects >= N_RESETS);
    })
    .await;
}

#[tokio::test]
async fn a_consumer_resumes_after_a_reset_and_what_was_in_hand_comes_again() {
    in_a_broken_world(Timeouts::default(), async |proxy, world| {
        let broker = &world.broker;
        let mut consumer = broker.consume(&[Stage::Run, Stage::Verify], 5).await.unwrap();
        broker.publish(&message(1), None).await.unwrap();
        let held = next(&mut consumer).await;
        proxy.cut();
        let again = next(&mut consumer).await;
        assert_eq!((batch(&again), again.redelivered), (1, true));
        // The hand-over of the lost session is worthless, and says so.
        let stale = soon("an answer", held.delivery.ack()).await;
        assert!(!matches!(stale, Ok(true)), "{stale:?}");
        assert_eq!(broker.status().acks_lost, 1);
        ack(again).await;
        assert_eq!(broker.status(), Status { connected: true, blocked: false, reconnects: 1, acks_lost: 1 });

        broker.publish(&message(2), None).await.unwrap();
        let fresh = next(&mut consumer).await;
        assert_eq!((batch(&fresh), fresh.redelivered), (2, false));
        ack(fresh).await;
    })
    .await;
}

#[tokio::test]
async fn an_outage_is_told_to_publishers_and_ridden_out_by_consumers() {
    let timeouts = Timeouts { session: Duration::from_millis(50), ..Timeouts::default() };
    in_a_broken_world(timeouts, async |proxy, world| {
        let broker = &world.broker;
        let mut consumer = broker.consume(&[Stage::Run], 5).await.unwrap();
        proxy.refuse();
        status_becomes(broker, "the outage", |status| !status.connected).await;
        for error in [broker.publish(&message(1), None).await.unwrap_err(), broker.ready().await.unwrap_err()]
        {
            assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
            assert!(
                chain(&error).to_string().starts_with("reach the broker at 127.0.0.1:"),
                "{}",
                chain(&error)
            );
        }
        proxy.restore();
        publish_surely(broker, 1).await;
        ack(next(&mut consumer).await).await;
        broker.ready().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_confirm_that_never_comes_is_an_error() {
    let timeouts = Timeouts { confirm: SHORT, close: SHORT, ..Timeouts::default() };
    in_a_broken_world(timeouts, async |proxy, world| {
        proxy.black_hole();
        let error = soon("an error", world.broker.publish(&message(1), None)).await.unwrap_err();
        assert_eq!(chain(&error).to_string(), "have a publish confirmed within 2 s");
        assert!(!error.is_final());
        assert!(!world.broker.status().connected, "a silent session is given up");

        // Whether it took effect was unknown: it may come once more.
        proxy.restore();
        publish_surely(&world.broker, 1).await;
        let mut consumer = world.broker.consume(&[Stage::Run], 5).await.unwrap();
        ack(next(&mut consumer).await).await;
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_never_answers_is_given_up() {
    let (proxy, config) = behind_proxy().await;
    proxy.black_hole();
    let timeouts = Timeouts { connect: SHORT, ..Timeouts::default() };
    let error = soon("an error", RabbitMq::connect(Config { timeouts, ..config })).await.unwrap_err();
    assert_eq!(chain(&error).to_string(), "open an AMQP connection within 2 s");
}

#[tokio::test]
async fn a_peer_that_falls_silent_is_noticed_by_its_heartbeat() {
    let (proxy, config) = behind_proxy().await;
    let uri = format!("{}?heartbeat=1", config.uri.expose_secret());
    in_this_broken_world(&proxy, Config { uri: uri.into(), ..config }, async |proxy, world| {
        proxy.black_hole();
        status_becomes(&world.broker, "the silence", |status| !status.connected).await;
        proxy.restore();
        status_becomes(&world.broker, "the next session", |status| status.connected).await;
    })
    .await;
}

#[tokio::test]
async fn a_queue_deleted_under_its_consumer_is_declared_again() {
    in_a_broken_world(Timeouts::default(), async |_proxy, world| {
        let broker = &world.broker;
        let mut consumer = broker.consume(&[Stage::Verify, Stage::Run], 5).await.unwrap();
        world.delete_queue("stage.run").await;
        let rebuilt =
            status_becomes(broker, "the next session", |status| status.reconnects > 0 && status.connected);
        let ended =
            soon("the end of the consumer", futures::future::select(Box::pin(rebuilt), consumer.next()))
                .await;
        assert!(matches!(ended, futures::future::Either::Left(_)), "nothing was published yet");
        drop(ended);
        publish_surely(broker, 1).await;
        let delivered = next(&mut consumer).await;
        assert_eq!(batch(&delivered), 1);
        ack(delivered).await;
    })
    .await;
}

#[tokio::test]
async fn a_publish_to_a_deleted_queue_is_not_taken_and_the_next_one_is() {
    in_a_broken_world(Timeouts::default(), async |_proxy, world| {
        world.delete_queue("stage.run").await;
        let error = world.broker.publish(&message(1), None).await.unwrap_err();
        let Error::NotTaken { queue, .. } = &error else { panic!("{error:?}") };
        assert_eq!(queue, &world.name("stage.run"));
        publish_surely(&world.broker, 1).await;
        assert_eq!(world.broker.depth(Stage::Run).await.unwrap().ready, 1);
    })
    .await;
}

#[tokio::test]
async fn a_blocked_broker_takes_nothing_hands_out_nothing_and_keeps_its_session() {
    in_a_broken_world(Timeouts::default(), async |proxy, world| {
        let broker = &world.broker;
        let mut consumer = broker.consume(&[Stage::Run], 5).await.unwrap();
        broker.publish(&message(1), None).await.unwrap();
        // The broker's own words, between its frames: nothing is under way.
        proxy.inject(&connection_blocked("low on memory"));
        status_becomes(broker, "the alarm", |status| status.blocked).await;

        let error = broker.publish(&message(2), None).await.unwrap_err();
        let Error::NotTaken { reason, .. } = &error else { panic!("{error:?}") };
        assert!(reason.contains("low on memory"), "{reason}");
        assert!(
            timeout(Duration::from_millis(200), consumer.next()).await.is_err(),
            "nothing could be finished"
        );

        proxy.inject(&CONNECTION_UNBLOCKED);
        ack(next(&mut consumer).await).await;
        broker.publish(&message(3), None).await.unwrap();
        assert_eq!(broker.status(), Status { connected: true, ..Status::default() });
    })
    .await;
}

#[tokio::test]
async fn closing_during_an_outage_ends() {
    let timeouts = Timeouts { close: Duration::from_millis(100), ..Timeouts::default() };
    in_a_broken_world(timeouts, async |proxy, world| {
        let mut consumer = world.broker.consume(&[Stage::Run], 5).await.unwrap();
        proxy.black_hole();
        soon("the end", world.broker.close()).await;
        soon("the end", consumer.cancel()).await;
        assert!(soon("the end", consumer.next()).await.is_none());
        proxy.restore();
    })
    .await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn sessions_that_are_given_up_leave_no_thread_behind() {
    let timeouts = Timeouts {
        connect: Duration::from_millis(100),
        close: Duration::from_millis(100),
        ..Timeouts::default()
    };
    let (proxy, config) = behind_proxy().await;
    let open_sockets = || {
        let to_proxy = format!("{:04X}", proxy.addr().port());
        let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
        // Column 3 is the remote address, column 4 the state; 01 is ESTABLISHED.
        let open = |line: &&str| {
            let mut columns = line.split_whitespace().skip(2);
            columns.next().is_some_and(|remote| remote.ends_with(&to_proxy)) && columns.next() == Some("01")
        };
        table.lines().filter(open).count()
    };
    proxy.black_hole();
    for _ in 0..5 {
        let config = Config { timeouts, ..config.clone() };
        assert!(matches!(RabbitMq::connect(config).await, Err(Error::Timeout { .. })));
    }
    until("every socket closed", async || open_sockets() == 0).await;
}

/// The frame of `connection.blocked`.
fn connection_blocked(reason: &str) -> Vec<u8> {
    let length = u8::try_from(reason.len()).unwrap();
    let mut frame = vec![1, 0, 0, 0, 0, 0, 5 + length, 0, 10, 0, 60, length];
    frame.extend(reason.as_bytes());
    frame.push(0xCE);
    frame
}

/// The frame of `connection.unblocked`.
const CONNECTION_UNBLOCKED: [u8; 12] = [1, 0, 0, 0, 0, 0, 4, 0, 10, 0, 61, 0xCE];
