//! Why a session was given up, and what that means to a caller.

use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;

use crate::error::Error;

/// The operation whose refusal means a wrong login.
pub(super) const OPEN: &str = "open an AMQP connection";

/// Why a session could not be had, or was given up. Cloneable, because everybody who waits on the session hears it.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Fault {
    /// lapin or the broker said no.
    #[error("{operation}")]
    Amqp {
        operation: &'static str,
        #[source]
        source: lapin::Error,
    },
    /// The broker would not declare something.
    #[error("declare {name}")]
    Declare {
        name: String,
        #[source]
        source: lapin::Error,
    },
    /// Nobody answered.
    #[error("{operation} within {limit:?}")]
    Silent { operation: &'static str, limit: Duration },
    /// The configured URI or prefix is no good.
    #[error("{0}")]
    Setting(String),
    /// The broker cancelled a consumer.
    #[error(
        "keep consuming from {queue}: the broker ended the consumer, as it does when the queue is deleted"
    )]
    ConsumerEnded { queue: String },
    /// A publish came back.
    #[error("route a message to {queue}: the broker has no such queue")]
    Unroutable { queue: String },
    /// An acknowledgement of a delivery that the broker took back.
    #[error("acknowledge a delivery: its channel is gone")]
    AckUnknown,
    /// A connection ended without saying why.
    #[error("keep the AMQP connection: it ended")]
    Ended,
}

/// Waits for lapin, but not for ever.
pub(super) async fn call<T>(
    operation: &'static str,
    limit: Duration,
    answer: impl Future<Output = lapin::Result<T>>,
) -> Result<T, Fault> {
    match timeout(limit, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(source)) => Err(Fault::Amqp { operation, source }),
        Err(_elapsed) => Err(Fault::Silent { operation, limit }),
    }
}

impl Fault {
    /// What a caller hears.
    pub(super) fn into_error(self, address: &str) -> Error {
        let address = address.to_owned();
        if let Some(hint) = self.hint() {
            return Error::Refused { address, hint, source: Box::new(self) };
        }
        match self {
            Self::Silent { operation, limit } => {
                Error::Timeout { operation, seconds: limit.as_secs().max(1) }
            }
            Self::Amqp { .. }
            | Self::Declare { .. }
            | Self::Setting(_)
            | Self::ConsumerEnded { .. }
            | Self::Unroutable { .. }
            | Self::AckUnknown
            | Self::Ended => Error::Unreachable { address, source: Box::new(self) },
        }
    }

    /// What a person must do, if waiting will not help.
    fn hint(&self) -> Option<String> {
        match self {
            Self::Setting(_) => Some("correct the broker's settings".to_owned()),
            Self::Declare { name, source } => match reply_code(source)? {
                ACCESS_REFUSED => Some(format!(
                    "the user may not declare {name}: grant it configure, write and read on the names under the prefix \
                     (rabbitmqctl set_permissions)"
                )),
                PRECONDITION_FAILED => Some(format!(
                    "{name} exists with other settings, made by another version of Infill or by hand: let its workers \
                     finish and delete it, or set another prefix"
                )),
                _ => None,
            },
            Self::Amqp { operation, source } => match reply_code(source) {
                Some(ACCESS_REFUSED) if *operation == OPEN => {
                    Some("it refuses the user or the password: check those in the broker URI".to_owned())
                }
                Some(ACCESS_REFUSED) => Some(
                    "the user lacks a permission: grant it configure, write and read on the names under the prefix \
                     (rabbitmqctl set_permissions)"
                        .to_owned(),
                ),
                Some(NOT_ALLOWED) if *operation == OPEN => Some(
                    "the virtual host does not exist or the user may not enter it: check the end of the broker URI (the \
                     default host is spelt %2f), or rabbitmqctl add_vhost and set_permissions"
                        .to_owned(),
                ),
                Some(_) => None,
                None => is_foreign(source).then(|| {
                    "what answers there does not speak AMQP 0-9-1: RabbitMQ's AMQP port is 5672 (5671 with amqps), 15672 \
                     is the management page"
                        .to_owned()
                }),
            },
            Self::Silent { .. }
            | Self::ConsumerEnded { .. }
            | Self::Unroutable { .. }
            | Self::AckUnknown
            | Self::Ended => None,
        }
    }
}

// Reply codes of AMQP 0-9-1.
const ACCESS_REFUSED: u16 = 403;
const PRECONDITION_FAILED: u16 = 406;
const NOT_ALLOWED: u16 = 530;

fn reply_code(error: &lapin::Error) -> Option<u16> {
    if let lapin::ErrorKind::ProtocolError(refusal) = error.kind() { Some(refusal.get_id()) } else { None }
}

/// Whether something answered, but not in AMQP.
fn is_foreign(error: &lapin::Error) -> bool {
    matches!(error.kind(), lapin::ErrorKind::InvalidProtocolVersion(_) | lapin::ErrorKind::ParsingError(_))
}
