//! Publishing: mandatory, persistent, and answered only by its own confirm.

use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Confirmation};

use infill_model::Stage;

use super::fault::{Fault, call};
use super::session::Session;
use super::supervisor::Shared;
use crate::error::Error;

const PUBLISH: &str = "have a publish confirmed";

/// A message with its way.
#[derive(Debug)]
pub(super) struct Envelope<'a> {
    pub(super) exchange: String,
    /// Where the exchange leads, for errors.
    pub(super) queue: String,
    /// The routing key.
    pub(super) stage: Stage,
    pub(super) body: &'a [u8],
    pub(super) properties: BasicProperties,
}

/// Publishes, and returns once the broker took responsibility.
pub(super) async fn publish(shared: &Shared, envelope: Envelope<'_>) -> Result<(), Error> {
    let session = shared.session().await?;
    let queue = envelope.queue.clone();
    // lapin would hold the message back and send it whenever the alarm ends, long after the caller gave up on it.
    if let Some(reason) = session.blocked() {
        let reason = format!("the broker takes no messages ({reason}): free memory or disk on its machine");
        return Err(Error::NotTaken { queue, reason });
    }
    let confirmed = call(PUBLISH, shared.config.timeouts.confirm, send(&session, envelope)).await;
    match confirmed {
        Ok(Confirmation::Ack(None)) => {
            session.prove();
            Ok(())
        }
        Ok(Confirmation::Ack(Some(_returned)) | Confirmation::Nack(Some(_returned))) => {
            // The next session declares the queue again, so the next try finds it.
            session.fail(Fault::Unroutable { queue: queue.clone() });
            let reason = "the broker has no such queue; it is being declared again".to_owned();
            Err(Error::NotTaken { queue, reason })
        }
        Ok(Confirmation::Nack(None)) => {
            let reason = "the broker refused it: the queue is full or has lost its quorum; look at its page"
                .to_owned();
            Err(Error::NotTaken { queue, reason })
        }
        Ok(Confirmation::NotRequested) => Err(shared.give_up(&session, Fault::Ended)),
        // The broker said why it is silent; a new session would be blocked just the same.
        Err(fault @ Fault::Silent { .. }) if session.blocked().is_some() => {
            Err(fault.into_error(&shared.address))
        }
        Err(fault) => Err(shared.give_up(&session, fault)),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that publishes: mandatory, and waits for the confirm"
)]
async fn send(session: &Session, envelope: Envelope<'_>) -> lapin::Result<Confirmation> {
    let Envelope { exchange, stage, body, properties, .. } = envelope;
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let written = session
        .confirms
        .basic_publish(exchange.into(), stage.as_str().into(), options, body, properties)
        .await?;
    written.await
}
