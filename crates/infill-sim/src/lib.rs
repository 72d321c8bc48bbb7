//! Simulators of the vendors' public APIs, each served over HTTP on a local port.
//!
//! A simulator answers like the vendor does: the same paths, bodies, headers, limits and faults, deterministic for a
//! seed. It knows nothing of Infill and shares no code with the connectors, so that a misreading of the vendor's
//! documents cannot agree with itself; any client of the vendor can be pointed at it.
//!
//! - [`hubspot`]: HubSpot's CRM API.
//! - [`fault`]: when a fault fires, and the text form of fault specifications, for every vendor.
//! - [`limit`]: counting calls in a rolling window.
//! - [`clock`]: the time a simulator lives in, which tests may move forward.

pub mod clock;
pub mod fault;
pub mod hubspot;
pub mod limit;
