//! Carries stage messages: at least once, in no promised order, with delays.
//!
//! Two engines behind one trait: [`embedded`] in the process, [`rabbitmq`] through AMQP 0-9-1. Neither knows
//! what a message means.

pub mod broker;
#[cfg(test)]
mod conformance;
pub mod embedded;
pub mod error;
pub mod rabbitmq;
pub mod topology;

pub use broker::{Broker, Consumer, DeadLettered, Delivered, Delivery, Depth, Status};
pub use embedded::Embedded;
pub use error::Error;
pub use rabbitmq::RabbitMq;
