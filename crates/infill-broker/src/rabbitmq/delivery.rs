//! Answering a delivery.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use lapin::options::BasicAckOptions;
use lapin::{Acker, Channel};

use super::fault::{Fault, call};
use super::session::{Session, return_delivery};
use super::supervisor::Shared;
use crate::broker::Delivery;
use crate::error::Error;

/// A delivery in hand.
#[derive(Debug)]
pub(super) struct Hand {
    pub(super) shared: Arc<Shared>,
    pub(super) session: Arc<Session>,
    /// `None` once answered.
    pub(super) acker: Option<Acker>,
    /// Keeps the channel open after its consumer is gone; a closed channel would take the delivery back.
    pub(super) _channel: Channel,
}

#[async_trait]
impl Delivery for Hand {
    async fn ack(mut self: Box<Self>) -> Result<bool, Error> {
        let Some(acker) = self.acker.take() else { return Ok(false) };
        let limit = self.shared.config.timeouts.ack;
        let answer = call("acknowledge a delivery", limit, acker.ack(BasicAckOptions::default())).await;
        if let Ok(true) = answer {
            self.session.prove();
            return Ok(true);
        }
        self.shared.tally.acks_lost.fetch_add(1, Ordering::Relaxed);
        match answer {
            Ok(_) => {
                self.session.fail(Fault::AckUnknown);
                Ok(false)
            }
            Err(fault) => Err(self.shared.give_up(&self.session, fault)),
        }
    }

    async fn requeue(mut self: Box<Self>) -> Result<(), Error> {
        let Some(acker) = self.acker.take() else { return Ok(()) };
        match return_delivery(&acker, &self.shared.config.timeouts).await {
            // `false`: the broker took it back already.
            Ok(_) => Ok(()),
            Err(fault) => Err(self.shared.give_up(&self.session, fault)),
        }
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        if let Some(acker) = self.acker.take() {
            self.session.hand_back(acker);
        }
    }
}
