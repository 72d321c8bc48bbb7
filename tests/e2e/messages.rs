//! Messages on RabbitMQ that come twice, messages nobody can read, and what subscribers of the dead letters get.

use std::collections::BTreeMap;
use std::time::Duration;

use infill_broker::{Broker, DeadLettered, RabbitMq};
use infill_model::{Class, Outcome, RunId, RunState, Stage, StageMessage, Timestamp};
use infill_store::store::LetterStatus;

use crate::plans::{EVERYBODY, note};
use crate::world::{PATIENCE, Pair, Setting, World};

/// How often a message is doubled. Not without end: what is lost to a doubled message must not be found by the next one.
const COPIES: u32 = 3;

/// Publishes what is in flight again until the run is final; says how often each piece of work.
async fn doubling(world: &World, broker: &RabbitMq, run: RunId) -> BTreeMap<String, u32> {
    let mut doubled: BTreeMap<String, u32> = BTreeMap::new();
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    while !world.find(run).await.state.is_final() {
        looks.tick().await;
        let in_flight = world.store.stale_work(Some(run), Timestamp::MAX, 500).await;
        for (run, work) in in_flight.expect("the store answers") {
            let n_copies = doubled.entry(format!("{work:?}")).or_default();
            if *n_copies < COPIES {
                let message = StageMessage::first(run, work, Timestamp::UNIX_EPOCH);
                broker.publish(&message, None).await.expect("RabbitMQ takes it");
                *n_copies += 1;
            }
        }
    }
    doubled
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_come_many_times_are_handled_once() {
    // One message at a time, so that copies wait in the queue and come when their work is done.
    let one_at_a_time = ("INFILL_WORKER_CONCURRENCY".into(), "1".into());
    let setting = Setting { env: vec![one_at_a_time], ..Setting::new(Pair::Distributed) };
    let world = setting.contacts(1_205).faults("delay,ms=50").start().await;
    let broker = world.broker().await;
    let run = world.record(&note(EVERYBODY, ""), &["--all"]).await;
    let doubling = tokio::time::timeout(PATIENCE, doubling(&world, &broker, run)).await;
    let doubled = doubling.unwrap_or_else(|_| panic!("the run does not end\n{}", world.logs()));
    world.until_whole(run, 1_205).await;
    let report = world.control.report();
    assert_eq!((report.records_written, report.most_writes_of_one_property), (1_205, 1));
    // Every stage was doubled, and each of the batches (the canary and twelve) in at least one of its two.
    let n_doubled = |stage: &str| doubled.keys().filter(|work| work.starts_with(stage)).count();
    for stage in ["SourceSync", "ConfigureChain", "Run", "Verify"] {
        assert!(n_doubled(stage) > 0, "{stage} is not among {doubled:?}");
    }
    assert!(n_doubled("Run") + n_doubled("Verify") >= 13, "{doubled:?}");
}

/// Takes dead-lettered messages until there are `n`; then there is none left.
async fn dead_letters(world: &World, broker: &RabbitMq, n: usize) -> Vec<DeadLettered> {
    let mut letters = Vec::new();
    while letters.len() < n {
        let take = async || broker.take_dead_letter().await.expect("RabbitMQ answers");
        letters.push(world.wait_for(&format!("dead letter {} of {n}", letters.len() + 1), take).await);
    }
    letters
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_nobody_can_read_is_dead_lettered_and_the_worker_goes_on() {
    let world = Setting { workers: 1, ..Setting::new(Pair::Distributed).contacts(105) }.start().await;
    let broker = world.broker().await;
    let foreign = br#"{"version":99,"run":"018bcfe5-6800-7707-8707-070707070707","stage":"run","batch":3,"from":"tomorrow"}"#;
    let garbled = b"\xff{ not a message";
    broker.publish_body(Stage::Run, foreign, None).await.expect("RabbitMQ takes it");
    broker.publish_body(Stage::Verify, garbled, None).await.expect("RabbitMQ takes it");
    let mut letters = dead_letters(&world, &broker, 2).await;
    letters.sort_by_key(|letter| letter.stage);

    let [of_run, of_verify] = &letters[..] else { panic!("{letters:?}") };
    assert_eq!(
        (of_run.stage, of_run.class, of_run.code.as_str()),
        (Stage::Run, Class::Bug, "garbled_message")
    );
    assert!(of_run.message.contains("format version 99, this program reads version 1"), "{}", of_run.message);
    assert!(of_run.message.contains("run the same Infill version everywhere"), "{}", of_run.message);
    assert_eq!(of_run.body, foreign);
    assert_eq!((of_verify.stage, of_verify.code.as_str()), (Stage::Verify, "garbled_message"));
    assert_eq!(of_verify.body, garbled);

    world.run(&note(EVERYBODY, "")).await.all(Outcome::Verified, 105);
    assert_eq!(broker.take_dead_letter().await.expect("RabbitMQ answers"), None, "they do not go round");
    for stage in [Stage::Run, Stage::Verify] {
        assert_eq!(broker.depth(stage).await.expect("RabbitMQ answers").ready, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_writeback_is_told_to_subscribers_with_its_cause() {
    let faults = "bad-row,record=100050";
    let world = Setting::new(Pair::Distributed).contacts(105).faults(faults).start().await;
    let broker = world.broker().await;
    let ended = world.run(&note(EVERYBODY, "")).await;
    assert_eq!((ended.run.state, ended.printed.code), (RunState::Completed, 1), "{}", ended.printed.err);
    let kept = world.letters(&ended.run).await;
    let [kept] = &kept[..] else { panic!("{kept:?}") };

    let told = dead_letters(&world, &broker, 1).await.remove(0);
    assert_eq!((told.stage, told.run), (Stage::Run, Some(ended.run.id)));
    assert_eq!(told.record.as_ref().map(|record| record.as_str()), Some("100050"));
    assert_eq!(
        (told.class, &told.code, &told.message),
        (Class::Rejected, &kept.letter.cause.code, &kept.letter.cause.message)
    );
    assert!(!told.code.is_empty() && told.body.is_empty());
    assert_eq!(kept.status, LetterStatus::Open);
    assert_eq!(broker.take_dead_letter().await.expect("RabbitMQ answers"), None);
}
