//! A simulated Pipedrive company as a client meets it: over a socket, one behaviour per test.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails where it stands"
)]

mod access;
mod admin;
mod faults;
mod filters;
mod leads;
mod limits;
mod pull;
mod wire;
mod write;
