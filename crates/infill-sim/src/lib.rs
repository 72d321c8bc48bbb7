//! Simulators of the vendors' public APIs, each served over HTTP on a local port.
//!
//! A simulator answers like the vendor does: the same paths, bodies, headers, limits and faults, deterministic for a
//! seed. It knows nothing of Infill and shares no code with the connectors, so that a misreading of the vendor's
//! documents cannot agree with itself; any client of the vendor can be pointed at it.
//!
//! - [`hubspot`]: HubSpot's CRM API.
//! - [`pipedrive`]: Pipedrive's API, versions 1 and 2.
//! - [`salesforce`]: Salesforce's REST API and Bulk API 2.0.
//! - [`fault`]: when a fault fires, and the text form of fault specifications, for every vendor.
//! - [`limit`]: counting calls in a rolling window.
//! - [`clock`]: the time a simulator lives in, which tests may move forward.

pub mod clock;
pub mod fault;
pub mod hubspot;
pub mod limit;
mod people;
pub mod pipedrive;
mod query;
pub mod salesforce;
mod serving;
mod wire;
mod word;
