//! The topology on the broker: declaring it, asking about it, deleting it.

use std::time::Duration;

use lapin::options::{
    ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind as Kind};
use tokio::time::timeout;

use super::connection::Wire;
use super::fault::{Fault, call};
use super::session::Session;
use super::supervisor::Shared;
use crate::topology::{Argument, Binding, Exchange, ExchangeKind, Queue, Topology};

const DECLARE: &str = "declare the topology";
const CHANNEL: &str = "open a channel";

/// Declares what is not there yet. What is there with other settings is a refusal (406), and so is a lack of rights
/// (403).
pub(super) async fn declare(wire: &Wire, topology: &Topology, limit: Duration) -> Result<(), Fault> {
    let channel = call(CHANNEL, limit, wire.amqp_connection.create_channel()).await?;
    for Exchange { name, kind, arguments, .. } in &topology.exchanges {
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let declared =
            channel.exchange_declare(name.as_str().into(), kind_of(*kind), options, table(arguments));
        named(name, limit, declared).await?;
    }
    for Queue { name, arguments, .. } in &topology.queues {
        let declared =
            channel.queue_declare(name.as_str().into(), QueueDeclareOptions::durable(), table(arguments));
        named(name, limit, declared).await?;
    }
    for Binding { exchange, queue, binding_key } in &topology.bindings {
        let bound = channel.queue_bind(
            queue.as_str().into(),
            exchange.as_str().into(),
            (*binding_key).into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        named(queue, limit, bound).await?;
    }
    call(DECLARE, limit, channel.close(200, "OK".into())).await
}

/// Messages ready in a queue. Exact, unlike the management page, which lags by seconds for a quorum queue.
pub(super) async fn depth(session: &Session, queue: &str, limit: Duration) -> Result<u32, Fault> {
    const DEPTH: &str = "ask for the depth of a queue";
    // A channel of its own: asking for a queue that is gone closes the channel it is asked on.
    let channel = call(DEPTH, limit, session.consuming().create_channel()).await?;
    let asked =
        call(DEPTH, limit, channel.queue_declare(queue.into(), passive_queue(), FieldTable::default()))
            .await?;
    call(DEPTH, limit, channel.close(200, "OK".into())).await?;
    Ok(asked.message_count())
}

/// What of the topology the broker does not have.
pub(super) async fn lacks(shared: &Shared) -> Result<Vec<String>, Fault> {
    let (topology, limit) = (&shared.topology, shared.config.timeouts.call);
    let wire = Wire::open(&shared.config, "inspect").await?;
    let mut found = Vec::new();
    for Exchange { name, kind, .. } in &topology.exchanges {
        let channel = call(CHANNEL, limit, wire.amqp_connection.create_channel()).await?;
        let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
        let asked =
            channel.exchange_declare(name.as_str().into(), kind_of(*kind), options, FieldTable::default());
        found.extend(exists(name, limit, asked).await?.then(|| name.clone()));
    }
    for Queue { name, .. } in &topology.queues {
        let channel = call(CHANNEL, limit, wire.amqp_connection.create_channel()).await?;
        let asked = channel.queue_declare(name.as_str().into(), passive_queue(), FieldTable::default());
        found.extend(exists(name, limit, asked).await?.then(|| name.clone()));
    }
    wire.close(shared.config.timeouts.close).await;
    Ok(topology.lacks(&found).into_iter().map(str::to_owned).collect())
}

/// Deletes the topology; what is not there is no error.
pub(super) async fn delete(shared: &Shared) -> Result<(), Fault> {
    const DELETE: &str = "delete the topology";
    let limit = shared.config.timeouts.call;
    let wire = Wire::open(&shared.config, "uninstall").await?;
    let channel: Channel = call(CHANNEL, limit, wire.amqp_connection.create_channel()).await?;
    for Exchange { name, .. } in &shared.topology.exchanges {
        call(DELETE, limit, channel.exchange_delete(name.as_str().into(), ExchangeDeleteOptions::default()))
            .await?;
    }
    for Queue { name, .. } in &shared.topology.queues {
        call(DELETE, limit, channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()))
            .await?;
    }
    wire.close(shared.config.timeouts.close).await;
    Ok(())
}

fn passive_queue() -> QueueDeclareOptions {
    QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() }
}

/// [`call`], with the name of what is declared in the fault.
async fn named<T>(
    name: &str,
    limit: Duration,
    answer: impl Future<Output = lapin::Result<T>>,
) -> Result<(), Fault> {
    match timeout(limit, answer).await {
        Ok(Ok(_declared)) => Ok(()),
        Ok(Err(source)) => Err(Fault::Declare { name: name.to_owned(), source }),
        Err(_elapsed) => Err(Fault::Silent { operation: DECLARE, limit }),
    }
}

async fn exists<T>(
    name: &str,
    limit: Duration,
    asked: impl Future<Output = lapin::Result<T>>,
) -> Result<bool, Fault> {
    const NOT_FOUND: u16 = 404;
    match named(name, limit, asked).await {
        Ok(()) => Ok(true),
        Err(Fault::Declare { source, .. }) if matches!(source.kind(), lapin::ErrorKind::ProtocolError(answer) if answer.get_id() == NOT_FOUND) => {
            Ok(false)
        }
        Err(fault) => Err(fault),
    }
}

const fn kind_of(kind: ExchangeKind) -> Kind {
    match kind {
        ExchangeKind::Direct => Kind::Direct,
        ExchangeKind::Fanout => Kind::Fanout,
        ExchangeKind::Topic => Kind::Topic,
    }
}

fn table(arguments: &[(&'static str, Argument)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        let value = match value {
            Argument::Text(text) => AMQPValue::LongString(text.as_str().into()),
            Argument::Number(number) => AMQPValue::LongLongInt((*number).into()),
        };
        table.insert((*name).into(), value);
    }
    table
}
