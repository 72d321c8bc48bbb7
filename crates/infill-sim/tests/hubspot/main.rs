//! A simulated HubSpot portal as a client meets it: over a socket, one behaviour per test.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails where it stands"
)]

mod access;
mod admin;
mod faults;
mod pull;
mod search;
mod wire;
mod write;
