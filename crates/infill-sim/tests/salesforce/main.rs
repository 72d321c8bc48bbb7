//! A simulated Salesforce org as a client meets it: over a socket, one behaviour per test.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails where it stands"
)]

mod access;
mod admin;
mod automation;
mod bulk;
mod collections;
mod describe;
mod faults;
mod limits;
mod query;
mod record;
mod wire;
