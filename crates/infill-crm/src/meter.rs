//! Asking the connection's quota before each call, and telling it what the answer said.

use std::fmt::Debug;

use async_trait::async_trait;
use infill_model::Timestamp;

use crate::error::Error;

/// Which of a vendor's meters a call counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Meter {
    /// The account's general allowance: a burst window and a day.
    General,
    /// The search limit, which many vendors keep apart.
    Search,
    /// Counted by nobody (token refresh).
    Free,
}

/// What an answer told about the quota.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// The vendor refuses every call of this meter until then: the whole connection cools down.
    pub cool_down_until: Option<Timestamp>,
    /// The day's budget is spent; `cool_down_until` is then the account's midnight, where known.
    pub day_spent: bool,
    /// The vendor has shut the connection out until a person sees to it, for this reason: the connection is paused.
    pub blocked: Option<String>,
    /// Units left today, as the vendor says: calls, or what it counts in their place.
    pub daily_remaining: Option<u64>,
    /// Units allowed in a day, as the vendor says.
    pub daily_limit: Option<u64>,
}

/// What a connection may still spend. One for all workers of the connection; backed by the store.
#[async_trait]
pub trait Quota: Send + Sync + Debug {
    /// Takes one call of the burst window and `cost` units of the day, waiting briefly when the window is full.
    ///
    /// # Errors
    /// `throttled` with the moment to come back at, when the wait would be long (a cool-down, the day spent);
    /// `unauthorized` when the connection is paused.
    async fn acquire(&self, meter: Meter, cost: u32) -> Result<(), Error>;

    /// Records what an answer said.
    ///
    /// # Errors
    /// When the quota cannot be stored.
    async fn observe(&self, meter: Meter, observation: Observation) -> Result<(), Error>;

    /// Pauses the connection: the login is refused even after a refresh, and trying on would burn every row's attempts.
    ///
    /// # Errors
    /// When the pause cannot be stored.
    async fn pause(&self, why: &str) -> Result<(), Error>;
}
