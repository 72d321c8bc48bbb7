//! Taking dead-lettered messages away, as a subscriber does.

use infill_model::RunId;
use infill_model::error::Class;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicGetOptions};

use super::RabbitMq;
use super::fault::{Fault, call};
use super::properties::header;
use super::session::Session;
use crate::broker::DeadLettered;
use crate::error::Error;

/// Why a message cannot be one of Infill's.
type Foreign = Box<dyn std::error::Error + Send + Sync>;

const TAKE: &str = "take a dead-lettered message";

/// Why the broker itself put a message aside, such as `delivery_limit`.
const PUT_ASIDE: &str = "x-first-death-reason";

impl RabbitMq {
    /// Takes the oldest message off `infill.dead-letters`; `None` when there is none. A message that the broker put there has its
    /// reason as the code and the stage message as the body.
    ///
    /// # Errors
    /// As [`Broker::publish`](crate::Broker::publish); and [`Error::Refused`] when the message is none of Infill's, which then
    /// stays where it is.
    pub async fn take_dead_letter(&self) -> Result<Option<DeadLettered>, Error> {
        let session = self.shared.session().await?;
        match self.get(&session).await {
            Ok(None) => Ok(None),
            Ok(Some(Ok(letter))) => Ok(Some(letter)),
            Ok(Some(Err(foreign))) => Err(Error::Refused {
                address: self.shared.address.clone(),
                hint: format!("somebody else publishes to {}", self.shared.topology.dead_letters()),
                source: foreign,
            }),
            Err(fault) => Err(self.shared.give_up(&session, fault)),
        }
    }

    async fn get(&self, session: &Session) -> Result<Option<Result<DeadLettered, Foreign>>, Fault> {
        let limit = self.shared.config.timeouts.call;
        // A channel of its own: asking for a queue that is gone closes the channel it is asked on.
        let channel = call(TAKE, limit, session.consuming().create_channel()).await?;
        let queue = self.shared.topology.dead_letters();
        let got = call(TAKE, limit, channel.basic_get(queue.into(), BasicGetOptions::default())).await?;
        let letter = got.as_ref().map(|got| read(&got.delivery));
        if let (Some(got), Some(Ok(_))) = (&got, &letter) {
            call(TAKE, limit, got.delivery.ack(BasicAckOptions::default())).await?;
        }
        call(TAKE, limit, channel.close(200, "OK".into())).await?;
        Ok(letter)
    }
}

/// Reads a dead-lettered message as `docs/messages.md` tells a subscriber to.
fn read(delivery: &Delivery) -> Result<DeadLettered, Foreign> {
    let headers = delivery.properties.headers().clone().unwrap_or_default();
    let text = |name: &str| Some(headers.inner().get(name)?.as_long_string()?.to_string());
    let class = text(header::CLASS);
    Ok(DeadLettered {
        stage: delivery.routing_key.as_str().parse()?,
        run: text(header::RUN).map(|run| run.parse::<RunId>()).transpose()?,
        record: text(header::RECORD).map(Into::into),
        class: Class::ALL
            .into_iter()
            .find(|known| class.as_deref() == Some(known.as_str()))
            .unwrap_or(Class::Bug),
        code: text(header::CODE).or_else(|| text(PUT_ASIDE)).unwrap_or_default(),
        message: text(header::MESSAGE).unwrap_or_default(),
        body: delivery.data.clone(),
    })
}
