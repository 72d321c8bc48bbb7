//! The conformance suite on a real RabbitMQ, and what only it promises.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::AtomicU32;

use futures::StreamExt;
use infill_model::error::Class;
use infill_telemetry::chain;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use secrecy::ExposeSecret;
use tokio::sync::Mutex;

use super::*;
use crate::conformance::{World, ack, conformance, in_a_world, message, next, soon};

/// A broker with a prefix of its own on the RabbitMQ the environment names.
pub(super) struct Rabbit {
    pub(super) config: Config,
    pub(super) broker: RabbitMq,
    dead_letters: Mutex<Option<lapin::Consumer>>,
    /// For what a stranger would do.
    pub(super) amqp_connection: Connection,
}

/// The RabbitMQ to test against.
#[expect(
    clippy::disallowed_methods,
    reason = "tests have no configuration module; the test command tells them by environment"
)]
pub(super) fn test_uri() -> String {
    const NAME: &str = "INFILL_TEST_AMQP_URL";
    std::env::var(NAME).unwrap_or_else(|_| {
        panic!("{NAME} is not set: run the tests by `cargo xtask test`, which finds or starts a RabbitMQ")
    })
}

/// A configuration under a prefix that nobody else has.
pub(super) fn test_config(uri: String) -> Config {
    static N_WORLDS: AtomicU32 = AtomicU32::new(0);
    let no = N_WORLDS.fetch_add(1, Ordering::Relaxed);
    let random = RandomState::new().hash_one(no);
    Config { prefix: format!("t-{random:016x}-{no}"), ..Config::new(uri.into(), "test") }
}

pub(super) async fn stranger() -> Connection {
    Connection::connect(&test_uri(), ConnectionProperties::default()).await.unwrap()
}

impl Rabbit {
    pub(super) async fn with(config: Config) -> Self {
        let broker = RabbitMq::connect(config.clone()).await.unwrap();
        Self { config, broker, dead_letters: Mutex::new(None), amqp_connection: stranger().await }
    }

    pub(super) fn name(&self, role: &str) -> String {
        format!("{}.{role}", self.config.prefix)
    }

    pub(super) async fn delete_queue(&self, role: &str) {
        let channel = self.amqp_connection.create_channel().await.unwrap();
        channel.queue_delete(self.name(role).into(), QueueDeleteOptions::default()).await.unwrap();
    }
}

#[async_trait(?Send)]
impl World for Rabbit {
    async fn new() -> Self {
        Self::with(test_config(test_uri())).await
    }

    fn broker(&self) -> &dyn Broker {
        &self.broker
    }

    async fn publish_body(&self, stage: Stage, body: &[u8]) {
        self.broker.publish_body(stage, body, None).await.unwrap();
    }

    async fn dead_letter(&self) -> DeadLettered {
        let mut consumer = self.dead_letters.lock().await;
        if consumer.is_none() {
            let channel = self.amqp_connection.create_channel().await.unwrap();
            let queue = self.name("dead-letters");
            let options = BasicConsumeOptions::default();
            *consumer = Some(
                channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await.unwrap(),
            );
        }
        let delivery = consumer.as_mut().unwrap().next().await.unwrap().unwrap();
        delivery.ack(BasicAckOptions::default()).await.unwrap();
        read_dead_letter(&delivery)
    }

    async fn end(self) {
        self.broker.close().await;
        RabbitMq::delete_topology(self.config).await.unwrap();
    }
}

/// Reads a dead-lettered message as `docs/messages.md` tells a subscriber to.
fn read_dead_letter(delivery: &lapin::message::Delivery) -> DeadLettered {
    let headers = delivery.properties.headers().clone().unwrap_or_default();
    let header = |name: &str| Some(headers.inner().get(name)?.as_long_string()?.to_string());
    let by_broker = header("x-first-death-reason");
    let class =
        header("x-class").and_then(|class| Class::ALL.into_iter().find(|known| known.as_str() == class));
    assert_eq!(delivery.properties.delivery_mode(), &Some(2), "persistent");
    DeadLettered {
        stage: delivery.routing_key.as_str().parse().unwrap(),
        run: header("x-run").map(|run| run.parse().unwrap()),
        record: header("x-record").map(Into::into),
        class: class.unwrap_or(Class::Bug),
        code: by_broker.or_else(|| header("x-code")).unwrap(),
        message: header("x-message").unwrap_or_default(),
        body: delivery.data.clone(),
    }
}

conformance!(Rabbit, ());

#[tokio::test]
async fn programs_may_start_in_any_order_and_at_once() {
    let config = test_config(test_uri());
    let opened = futures::future::join_all((0..4).map(|_| RabbitMq::connect(config.clone()))).await;
    let brokers: Vec<RabbitMq> = opened.into_iter().map(Result::unwrap).collect();
    let missing = RabbitMq::lacks(config.clone()).await.unwrap();
    for broker in &brokers {
        broker.close().await;
    }
    RabbitMq::delete_topology(config).await.unwrap();
    assert!(missing.is_empty(), "not declared: {missing:?}");
}

#[tokio::test]
async fn what_is_deleted_is_lacking_and_deleting_twice_is_no_error() {
    let config = test_config(test_uri());
    RabbitMq::connect(config.clone()).await.unwrap().close().await;
    RabbitMq::delete_topology(config.clone()).await.unwrap();
    RabbitMq::delete_topology(config.clone()).await.unwrap();
    let missing = RabbitMq::lacks(config).await.unwrap();
    assert_eq!(missing.len(), 11 + 14);
}

#[tokio::test]
async fn a_queue_with_other_arguments_is_refused_by_name() {
    let config = test_config(test_uri());
    let channel = stranger().await.create_channel().await.unwrap();
    let name = format!("{}.stage.run", config.prefix);
    channel
        .queue_declare(name.clone().into(), QueueDeclareOptions::durable(), FieldTable::default())
        .await
        .unwrap();
    let error = RabbitMq::connect(config.clone()).await.unwrap_err();
    RabbitMq::delete_topology(config).await.unwrap();
    let Error::Refused { hint, .. } = &error else { panic!("{error:?}") };
    assert!(hint.contains(&name) && hint.contains("delete it"), "{hint}");
    assert!(error.is_final());
}

#[tokio::test]
async fn a_message_delayed_for_a_stage_without_a_queue_is_kept_aside() {
    in_a_world::<Rabbit>(async |world| {
        // Published to wait while the queue is there; the queue is gone when its time comes.
        world.broker.publish(&message(1), Some(Duration::from_millis(1))).await.unwrap();
        world.delete_queue("stage.run").await;
        let channel = world.amqp_connection.create_channel().await.unwrap();
        let queue = world.name("unrouted");
        let options = BasicConsumeOptions::default();
        let mut unrouted =
            channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await.unwrap();
        let kept = soon("the message", unrouted.next()).await.unwrap().unwrap();
        kept.ack(BasicAckOptions::default()).await.unwrap();
        assert_eq!(StageMessage::decode(&kept.data).unwrap(), message(1));
        assert_eq!(kept.routing_key.as_str(), "run");
    })
    .await;
}

#[tokio::test]
async fn a_subscriber_of_its_own_gets_a_copy_of_each_dead_letter() {
    in_a_world::<Rabbit>(async |world| {
        let channel = world.amqp_connection.create_channel().await.unwrap();
        let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        let own = channel.queue_declare("".into(), options, FieldTable::default()).await.unwrap();
        let bind = lapin::options::QueueBindOptions::default();
        let exchange = world.name("dead-letters");
        channel
            .queue_bind(own.name().clone(), exchange.into(), "verify".into(), bind, FieldTable::default())
            .await
            .unwrap();
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let mut copies = channel
            .basic_consume(own.name().clone(), "".into(), options, FieldTable::default())
            .await
            .unwrap();

        let letter = DeadLettered {
            stage: Stage::Verify,
            run: None,
            record: Some("1".into()),
            class: Class::Gone,
            code: "record_gone".to_owned(),
            message: String::new(),
            body: Vec::new(),
        };
        world.broker.publish_dead_letter(&letter).await.unwrap();
        let copy = soon("the copy", copies.next()).await.unwrap().unwrap();
        assert_eq!(read_dead_letter(&copy), letter);
        assert_eq!(soon("the original", world.dead_letter()).await, letter);
    })
    .await;
}

#[tokio::test]
async fn a_dead_letter_is_taken_whole_and_once() {
    in_a_world::<Rabbit>(async |world| {
        let letter = DeadLettered {
            stage: Stage::Run,
            run: Some(message(1).run),
            record: Some("4711".into()),
            class: Class::Rejected,
            code: "INVALID_OPTION".to_owned(),
            message: "\u{201c}gold\u{201d} is no option".to_owned(),
            body: b"as it came".to_vec(),
        };
        world.broker.publish_dead_letter(&letter).await.unwrap();
        assert_eq!(world.broker.take_dead_letter().await.unwrap(), Some(letter));
        assert_eq!(world.broker.take_dead_letter().await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn an_ack_after_the_broker_closed_is_not_taken() {
    in_a_world::<Rabbit>(async |world| {
        world.broker.publish(&message(1), None).await.unwrap();
        let mut consumer = world.broker.consume(&[Stage::Run], 1).await.unwrap();
        let held = next(&mut consumer).await;
        world.broker.close().await;
        assert!(!matches!(held.delivery.ack().await, Ok(true)));
        assert_eq!(world.broker.status().acks_lost, 1);

        let successor = RabbitMq::connect(world.config.clone()).await.unwrap();
        let mut consumer = successor.consume(&[Stage::Run], 1).await.unwrap();
        let again = next(&mut consumer).await;
        assert!(again.redelivered);
        ack(again).await;
        successor.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_wrong_password_is_refused_with_the_way_out_and_never_printed() {
    let mut uri: lapin::uri::AMQPUri = test_uri().parse().unwrap();
    uri.authority.userinfo.password = "s3cret-wrong".to_owned();
    let config = test_config(uri.to_string());
    assert!(config.uri.expose_secret().contains("s3cret"), "the test would prove nothing");
    let error = RabbitMq::connect(config.clone()).await.unwrap_err();
    let Error::Refused { hint, .. } = &error else { panic!("{error:?}") };
    assert!(hint.contains("password"), "{hint}");
    let printed = format!("{} {error:?} {config:?}", chain(&error));
    assert!(!printed.contains("s3cret"), "{printed}");
}

#[tokio::test]
async fn an_unknown_vhost_is_refused_with_the_way_out() {
    let mut uri: lapin::uri::AMQPUri = test_uri().parse().unwrap();
    uri.vhost = "no-such-vhost".to_owned();
    let error = RabbitMq::connect(test_config(uri.to_string())).await.unwrap_err();
    let Error::Refused { hint, address, .. } = &error else { panic!("{error:?}") };
    assert!(hint.contains("virtual host") && address.ends_with("/no-such-vhost"), "{address}: {hint}");
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused_before_connecting() {
    for uri in ["", "localhost:5672", "http://localhost", "amqp://u:p@host:port/"] {
        let error = RabbitMq::connect(test_config(uri.to_owned())).await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{uri}: {error:?}");
        assert!(
            chain(&error).to_string().contains("amqp://user:password@host:5672/vhost"),
            "{}",
            chain(&error)
        );
    }
    let config = Config { prefix: "no spaces".to_owned(), ..test_config("amqp://u:p@localhost".to_owned()) };
    let error = RabbitMq::connect(config).await.unwrap_err();
    assert!(chain(&error).to_string().contains("\"no spaces\""), "{}", chain(&error));
}

#[tokio::test]
async fn nobody_listening_is_unreachable_and_not_final() {
    let free = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
    let error = RabbitMq::connect(test_config(format!("amqp://u:p@{free}/%2f"))).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(!error.is_final());
    assert_eq!(
        chain(&error).to_string(),
        format!(
            "reach the broker at {free}: open an AMQP connection: IO error: Connection refused (os error 111)"
        )
    );
}

#[tokio::test]
async fn a_peer_that_speaks_http_is_refused_with_the_right_port() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let answering = async {
        let mut sockets = Vec::new();
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            socket.read_exact(&mut [0; 8]).await.unwrap();
            socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
            sockets.push(socket);
        }
    };
    let error = tokio::select! {
        opened = RabbitMq::connect(test_config(format!("amqp://u:p@{addr}/%2f"))) => opened.unwrap_err(),
        () = answering => unreachable!(),
    };
    let Error::Refused { hint, .. } = &error else { panic!("{error:?}") };
    assert!(hint.contains("5672"), "{hint}");
}
