//! What both engines promise, as one suite: each case is run on each engine.
//!
//! An engine takes part by implementing [`World`] and calling `conformance!`. Every case owns a world.

use std::collections::BTreeSet;
use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use infill_model::error::Class;
use infill_model::message::{Garbled, Work};
use infill_model::time::Timestamp;
use infill_model::{BatchNo, RunId, Stage, StageMessage};
use tokio::time::{Instant, timeout};

use crate::broker::{Broker, Consumer, DeadLettered, Delivered};
use crate::error::Error;
use crate::topology::DELIVERY_LIMIT;

/// How long a condition may take to come true. Only a failing test waits that long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A broker of the test's own.
#[async_trait(?Send)]
pub(crate) trait World {
    async fn new() -> Self;

    fn broker(&self) -> &dyn Broker;

    /// What another program might send.
    async fn publish_body(&self, stage: Stage, body: &[u8]);

    /// Takes the next dead-lettered message, as a system that subscribes would see it.
    async fn dead_letter(&self) -> DeadLettered;

    /// Leaves nothing behind.
    async fn end(self);
}

/// Runs the suite on an engine: `conformance!(TheWorld, (arguments of tokio::test))`.
macro_rules! conformance {
    ($world:ty, $runtime:tt) => {
        $crate::conformance::conformance! { $world, $runtime,
            a_published_message_is_delivered_once_and_acked_for_good,
            many_published_at_once_are_all_delivered,
            stages_do_not_mix_and_one_consumer_serves_several,
            a_busy_stage_does_not_starve_another,
            a_requeued_message_comes_again_and_says_so,
            an_unanswered_message_comes_again_when_its_consumer_goes,
            a_delivery_dropped_in_hand_comes_again_to_the_same_consumer,
            a_consumer_holds_no_more_than_its_prefetch,
            a_prefetch_of_zero_counts_as_one,
            cancel_hands_back_the_prefetched_and_keeps_what_is_in_hand,
            a_delayed_message_never_comes_early_and_blocks_no_other,
            a_garbled_body_is_handed_out_as_such,
            a_message_that_always_comes_back_is_dead_lettered,
            a_dead_letter_carries_its_cause,
            depth_counts_what_is_ready,
            an_abandoned_next_loses_nothing,
            close_ends_everything_and_may_be_repeated,
        }
    };
    ($world:ty, $runtime:tt, $($case:ident,)*) => { $(
        #[tokio::test $runtime]
        async fn $case() {
            $crate::conformance::in_a_world::<$world>(async |world| $crate::conformance::$case(world).await).await;
        }
    )* };
}
pub(crate) use conformance;

/// Runs a case in a new world.
pub(crate) async fn in_a_world<W: World>(case: impl AsyncFnOnce(&W)) {
    let world = W::new().await;
    let ended = AssertUnwindSafe(case(&world)).catch_unwind().await;
    clean_up(world, ended).await;
}

/// Ends the world, and then fails if the case did.
pub(crate) async fn clean_up(world: impl World, ended: std::thread::Result<()>) {
    world.end().await;
    if let Err(panic) = ended {
        resume_unwind(panic);
    }
}

/// Waits for something that must come true.
pub(crate) async fn soon<T>(what: &str, condition: impl Future<Output = T>) -> T {
    timeout(DEADLINE, condition).await.unwrap_or_else(|_| panic!("{what}: not within {DEADLINE:?}"))
}

/// [`soon`] for a condition that nobody announces.
pub(crate) async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    soon(what, holds(condition)).await;
}

/// Looks again and again until the condition holds.
pub(crate) async fn holds(condition: impl AsyncFn() -> bool) {
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    while !condition().await {
        looks.tick().await;
    }
}

pub(crate) async fn next(consumer: &mut Box<dyn Consumer>) -> Delivered {
    soon("a delivery", consumer.next()).await.expect("the consumer is not cancelled")
}

pub(crate) fn message(batch: u32) -> StageMessage {
    of(Work::Run { batch: BatchNo(batch) })
}

fn of(work: Work) -> StageMessage {
    let now = Timestamp::from_second(1_700_000_000).unwrap();
    StageMessage::first(RunId::new(now, [7; 10]), work, now)
}

pub(crate) fn batch(delivered: &Delivered) -> u32 {
    delivered.message.as_ref().unwrap().work.batch().unwrap().0
}

pub(crate) async fn ack(delivered: Delivered) {
    assert!(delivered.delivery.ack().await.unwrap(), "the broker knows the delivery");
}

async fn publish(world: &impl World, batches: std::ops::Range<u32>) {
    for batch in batches {
        world.broker().publish(&message(batch), None).await.unwrap();
    }
}

/// Returns once `n` messages are ready.
async fn depth_becomes(broker: &dyn Broker, stage: Stage, n: u64) {
    until("the depth", async || broker.depth(stage).await.unwrap().ready == n).await;
}

pub(crate) async fn a_published_message_is_delivered_once_and_acked_for_good(world: &impl World) {
    publish(world, 1..2).await;
    let mut consumer = world.broker().consume(&[Stage::Run], 10).await.unwrap();
    let delivered = next(&mut consumer).await;
    assert_eq!(delivered.message.as_ref().unwrap(), &message(1));
    assert_eq!((delivered.stage, delivered.redelivered, delivered.body.len()), (Stage::Run, false, 0));
    ack(delivered).await;
    consumer.cancel().await;

    // The next message is the only one there: the first is gone for good.
    publish(world, 2..3).await;
    let mut consumer = world.broker().consume(&[Stage::Run], 10).await.unwrap();
    let delivered = next(&mut consumer).await;
    assert_eq!((batch(&delivered), delivered.redelivered), (2, false));
    ack(delivered).await;
}

pub(crate) async fn many_published_at_once_are_all_delivered(world: &impl World) {
    const N: u32 = 200;
    let mut consumer = world.broker().consume(&[Stage::Run], 20).await.unwrap();
    let publishing = futures::future::join_all((0..N).map(|batch| async move {
        world.broker().publish(&message(batch), None).await.unwrap();
    }));
    let consuming = async {
        let mut seen = BTreeSet::new();
        while seen.len() < N as usize {
            let delivered = next(&mut consumer).await;
            assert!(seen.insert(batch(&delivered)), "without a fault nothing comes twice");
            ack(delivered).await;
        }
    };
    futures::join!(publishing, consuming);
}

pub(crate) async fn stages_do_not_mix_and_one_consumer_serves_several(world: &impl World) {
    let works = [
        Work::SourceSync { chunk: None },
        Work::AwaitRows,
        Work::ConfigureChain,
        Work::Run { batch: BatchNo(1) },
        Work::Verify { batch: BatchNo(1) },
    ];
    for work in works {
        world.broker().publish(&of(work), None).await.unwrap();
    }
    let mut verify = world.broker().consume(&[Stage::Verify], 10).await.unwrap();
    let delivered = next(&mut verify).await;
    assert_eq!((delivered.stage, delivered.message.as_ref().unwrap().work), (Stage::Verify, works[4]));
    ack(delivered).await;

    let mut rest = world.broker().consume(&Stage::ALL, 10).await.unwrap();
    let mut seen = BTreeSet::new();
    while seen.len() < 4 {
        let delivered = next(&mut rest).await;
        assert_eq!(delivered.message.as_ref().unwrap().work.stage(), delivered.stage);
        seen.insert(delivered.stage);
        ack(delivered).await;
    }
    assert!(!seen.contains(&Stage::Verify));
}

pub(crate) async fn a_busy_stage_does_not_starve_another(world: &impl World) {
    const N: u32 = 40;
    publish(world, 0..N).await;
    world.broker().publish(&of(Work::Verify { batch: BatchNo(0) }), None).await.unwrap();
    let mut consumer = world.broker().consume(&[Stage::Run, Stage::Verify], 50).await.unwrap();
    let mut n_before = 0;
    loop {
        let delivered = next(&mut consumer).await;
        let stage = delivered.stage;
        ack(delivered).await;
        if stage == Stage::Verify {
            break;
        }
        n_before += 1;
    }
    assert!(n_before < N, "verify was served only after all of run");
}

pub(crate) async fn a_requeued_message_comes_again_and_says_so(world: &impl World) {
    publish(world, 1..2).await;
    let mut consumer = world.broker().consume(&[Stage::Run], 1).await.unwrap();
    next(&mut consumer).await.delivery.requeue().await.unwrap();
    let again = next(&mut consumer).await;
    assert_eq!((batch(&again), again.redelivered), (1, true));
    ack(again).await;
}

pub(crate) async fn an_unanswered_message_comes_again_when_its_consumer_goes(world: &impl World) {
    publish(world, 1..2).await;
    let mut consumer = world.broker().consume(&[Stage::Run], 1).await.unwrap();
    let held = next(&mut consumer).await;
    drop(consumer);
    drop(held);
    let mut other = world.broker().consume(&[Stage::Run], 1).await.unwrap();
    let again = next(&mut other).await;
    assert_eq!((batch(&again), again.redelivered), (1, true));
    ack(again).await;
}

pub(crate) async fn a_delivery_dropped_in_hand_comes_again_to_the_same_consumer(world: &impl World) {
    publish(world, 1..2).await;
    let mut consumer = world.broker().consume(&[Stage::Run], 1).await.unwrap();
    drop(next(&mut consumer).await);
    let again = next(&mut consumer).await;
    assert_eq!((batch(&again), again.redelivered), (1, true));
    ack(again).await;
}

pub(crate) async fn a_consumer_holds_no_more_than_its_prefetch(world: &impl World) {
    let mut small = world.broker().consume(&[Stage::Run], 2).await.unwrap();
    publish(world, 0..4).await;
    let (first, second) = (next(&mut small).await, next(&mut small).await);
    // What it may not hold is there for another.
    let mut other = world.broker().consume(&[Stage::Run], 10).await.unwrap();
    let (third, fourth) = (next(&mut other).await, next(&mut other).await);
    let all: BTreeSet<u32> = [&first, &second, &third, &fourth].map(batch).into();
    assert_eq!(all, (0..4).collect());

    // An answer makes room.
    other.cancel().await;
    ack(first).await;
    publish(world, 4..5).await;
    let fifth = next(&mut small).await;
    assert_eq!(batch(&fifth), 4);
    for delivered in [second, third, fourth, fifth] {
        ack(delivered).await;
    }
}

pub(crate) async fn a_prefetch_of_zero_counts_as_one(world: &impl World) {
    let mut one = world.broker().consume(&[Stage::Run], 0).await.unwrap();
    publish(world, 0..2).await;
    let first = next(&mut one).await;
    let mut other = world.broker().consume(&[Stage::Run], 1).await.unwrap();
    let second = next(&mut other).await;
    assert_ne!(batch(&first), batch(&second));
    ack(first).await;
    ack(second).await;
}

pub(crate) async fn cancel_hands_back_the_prefetched_and_keeps_what_is_in_hand(world: &impl World) {
    publish(world, 0..5).await;
    let mut leaving = world.broker().consume(&[Stage::Run], 5).await.unwrap();
    let in_hand = next(&mut leaving).await;
    leaving.cancel().await;
    assert!(soon("the end", leaving.next()).await.is_none());
    leaving.cancel().await;

    let mut other = world.broker().consume(&[Stage::Run], 5).await.unwrap();
    let mut seen = BTreeSet::from([batch(&in_hand)]);
    for _ in 0..4 {
        let delivered = next(&mut other).await;
        assert!(seen.insert(batch(&delivered)));
        ack(delivered).await;
    }
    ack(in_hand).await;
    assert_eq!(seen, (0..5).collect());
}

pub(crate) async fn a_delayed_message_never_comes_early_and_blocks_no_other(world: &impl World) {
    let delay = Duration::from_millis(700);
    let mut consumer = world.broker().consume(&[Stage::Run], 10).await.unwrap();
    let published = Instant::now();
    world.broker().publish(&message(1), Some(delay)).await.unwrap();
    world.broker().publish(&message(2), Some(Duration::ZERO)).await.unwrap();
    let first = next(&mut consumer).await;
    assert_eq!(batch(&first), 2, "the delayed one must not stand in its way");
    ack(first).await;
    let second = next(&mut consumer).await;
    assert!(published.elapsed() >= delay, "came after {:?}", published.elapsed());
    assert_eq!((batch(&second), second.stage, second.redelivered), (1, Stage::Run, false));
    ack(second).await;
}

pub(crate) async fn a_garbled_body_is_handed_out_as_such(world: &impl World) {
    world.publish_body(Stage::Verify, b"\xff not a stage message").await;
    let mut consumer = world.broker().consume(&[Stage::Verify], 1).await.unwrap();
    let delivered = next(&mut consumer).await;
    assert!(matches!(delivered.message, Err(Garbled::Unreadable(_))));
    assert_eq!(
        (delivered.stage, delivered.body.as_slice()),
        (Stage::Verify, &b"\xff not a stage message"[..])
    );
    ack(delivered).await;

    world.publish_body(Stage::Verify, br#"{"version":9}"#).await;
    let delivered = next(&mut consumer).await;
    assert!(matches!(delivered.message, Err(Garbled::Version { found: 9 })));
    ack(delivered).await;
}

pub(crate) async fn a_message_that_always_comes_back_is_dead_lettered(world: &impl World) {
    publish(world, 1..2).await;
    let mut consumer = world.broker().consume(&[Stage::Run], 1).await.unwrap();
    for _ in 0..=DELIVERY_LIMIT {
        next(&mut consumer).await.delivery.requeue().await.unwrap();
    }
    let dead = soon("the dead letter", world.dead_letter()).await;
    assert_eq!((dead.stage, dead.code.as_str()), (Stage::Run, "delivery_limit"));
    assert_eq!(StageMessage::decode(&dead.body).unwrap(), message(1), "the message is kept as it was");

    // And it is not delivered any more.
    publish(world, 2..3).await;
    let delivered = next(&mut consumer).await;
    assert_eq!(batch(&delivered), 2);
    ack(delivered).await;
}

pub(crate) async fn a_dead_letter_carries_its_cause(world: &impl World) {
    let writeback = DeadLettered {
        stage: Stage::Run,
        run: Some(message(1).run),
        record: Some("4711".into()),
        class: Class::Rejected,
        code: "invalid_option".to_owned(),
        message: "row 4711: “gold” is no option of tier; the options are silver and bronze".to_owned(),
        body: Vec::new(),
    };
    let poison = DeadLettered {
        stage: Stage::Verify,
        run: None,
        record: None,
        class: Class::Bug,
        code: "message_garbled".to_owned(),
        message: "message body is not a stage message".to_owned(),
        body: b"\xff\x00".to_vec(),
    };
    for letter in [writeback, poison] {
        world.broker().publish_dead_letter(&letter).await.unwrap();
        assert_eq!(soon("the dead letter", world.dead_letter()).await, letter);
    }
}

pub(crate) async fn depth_counts_what_is_ready(world: &impl World) {
    let broker = world.broker();
    assert_eq!(broker.depth(Stage::Run).await.unwrap().ready, 0);
    publish(world, 0..3).await;
    broker.publish(&message(9), Some(Duration::from_secs(3600))).await.unwrap();
    depth_becomes(broker, Stage::Run, 3).await;
    assert_eq!(broker.depth(Stage::Verify).await.unwrap().ready, 0);
    let mut consumer = broker.consume(&[Stage::Run], 1).await.unwrap();
    let held = next(&mut consumer).await;
    depth_becomes(broker, Stage::Run, 2).await;
    ack(held).await;
}

pub(crate) async fn an_abandoned_next_loses_nothing(world: &impl World) {
    let mut consumer = world.broker().consume(&[Stage::Run], 10).await.unwrap();
    for round in 0..20 {
        // Polled once and dropped, before and after there is something to deliver.
        assert!(consumer.next().now_or_never().is_none());
        publish(world, round..round + 1).await;
        let delivered = match consumer.next().now_or_never() {
            Some(delivered) => delivered.unwrap(),
            None => next(&mut consumer).await,
        };
        assert_eq!((batch(&delivered), delivered.redelivered), (round, false));
        ack(delivered).await;
    }
}

pub(crate) async fn close_ends_everything_and_may_be_repeated(world: &impl World) {
    let broker = world.broker();
    broker.ready().await.unwrap();
    assert!(broker.status().connected);
    let mut consumer = broker.consume(&[Stage::Run], 1).await.unwrap();
    let (ended, ()) = futures::join!(soon("the end", consumer.next()), broker.close());
    assert!(ended.is_none());
    broker.close().await;

    assert!(!broker.status().connected);
    assert!(matches!(broker.ready().await, Err(Error::Closed)));
    assert!(matches!(broker.publish(&message(1), None).await, Err(Error::Closed)));
    assert!(matches!(broker.depth(Stage::Run).await, Err(Error::Closed)));
    assert!(matches!(broker.consume(&[Stage::Run], 1).await, Err(Error::Closed)));
}
