//! Every method of the connector against the simulator, which shares no code with it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod pull;
mod refusals;
mod world;
mod write;
