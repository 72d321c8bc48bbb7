//! The conformance suite on paused time, and what only the embedded broker promises.

use std::collections::BTreeMap;

use futures::FutureExt;
use tokio::sync::Mutex;

use super::*;
use crate::conformance::{World, ack, batch, conformance, holds, message, next, soon};

struct InProcess {
    broker: Embedded,
    n_dead_seen: Mutex<usize>,
}

#[async_trait(?Send)]
impl World for InProcess {
    async fn new() -> Self {
        Self { broker: Embedded::new(), n_dead_seen: Mutex::new(0) }
    }

    fn broker(&self) -> &dyn Broker {
        &self.broker
    }

    async fn publish_body(&self, stage: Stage, body: &[u8]) {
        self.broker.publish_body(stage, body, None).unwrap();
    }

    async fn dead_letter(&self) -> DeadLettered {
        let mut n_seen = self.n_dead_seen.lock().await;
        holds(async || self.broker.dead_letters().kept.len() > *n_seen).await;
        *n_seen += 1;
        self.broker.dead_letters().kept[*n_seen - 1].clone()
    }

    async fn end(self) {
        self.broker.close().await;
    }
}

conformance!(InProcess, (start_paused = true));

#[tokio::test(start_paused = true)]
async fn a_delay_is_kept_to_the_millisecond() {
    let broker = Embedded::new();
    let mut consumer = broker.consume(&[Stage::Run], 10).await.unwrap();
    let start = Instant::now();
    let delays = BTreeMap::from([(1, 86_400_000), (2, 1), (3, 10_000), (4, 10_001)]);
    for (&no, &millis) in &delays {
        broker.publish(&message(no), Some(Duration::from_millis(millis))).await.unwrap();
    }
    let mut order = Vec::new();
    for _ in 0..delays.len() {
        let delivered = consumer.next().await.unwrap();
        let no = batch(&delivered);
        assert_eq!(start.elapsed(), Duration::from_millis(delays[&no]), "message {no}");
        order.push(no);
        ack(delivered).await;
    }
    assert_eq!(order, [2, 3, 4, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_at_once_even_from_within_a_handler() {
    let broker = Embedded::with_limits(1, 1);
    broker.publish(&message(1), None).await.unwrap();
    let mut consumer = broker.consume(&[Stage::Run], 1).await.unwrap();
    let in_hand = next(&mut consumer).await;
    broker.publish(&message(2), None).await.unwrap();
    let refused = broker.publish(&message(3), Some(Duration::from_secs(1))).now_or_never().unwrap();
    let Err(Error::NotTaken { queue, reason }) = refused else { panic!("taken: {refused:?}") };
    assert_eq!(queue, "infill.stage.run");
    assert!(reason.contains("start workers"), "{reason}");
    ack(in_hand).await;
    ack(next(&mut consumer).await).await;
    broker.publish(&message(3), None).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn every_waiting_consumer_gets_its_share() {
    let broker = Embedded::new();
    let consume = async |stage| {
        let mut consumer = broker.consume(&[stage], 1).await.unwrap();
        let delivered = next(&mut consumer).await;
        ack(delivered).await;
    };
    let publishing = async {
        // The consumers wait by now: they were polled first.
        broker.publish(&message(1), None).await.unwrap();
        broker.publish(&message(2), None).await.unwrap();
        broker.publish_body(Stage::Verify, b"x", Some(Duration::from_secs(5))).unwrap();
    };
    let waiting = async { futures::join!(consume(Stage::Run), consume(Stage::Verify), consume(Stage::Run)) };
    soon("all three", async { futures::join!(waiting, publishing) }).await;
}

#[tokio::test]
async fn clones_are_one_broker() {
    let broker = Embedded::new();
    broker.clone().publish(&message(1), None).await.unwrap();
    assert_eq!(broker.depth(Stage::Run).await.unwrap().ready, 1);
    assert_eq!(broker.status(), Status { connected: true, ..Status::default() });
}
