//! HubSpot behind the [`infill_crm::Crm`] trait: lists and searches, batch reads and batch updates by record id,
//! the property catalog, and OAuth refresh.
//!
//! Everything is a pure function of values but [`client`] and [`oauth`], which make the calls. The
//! shapes are those of HubSpot's guides and of answers seen on the wire.

pub mod blame;
pub mod catalog;
pub mod check;
pub mod classify;
pub mod client;
pub mod filter;
pub mod ids;
pub mod normalize;
pub mod oauth;
pub mod object;
pub mod request;
pub mod response;
pub mod slice;

pub use client::{Config, HubSpot};
pub use oauth::{OAuthApp, OAuthRefresh};
pub use request::ApiVersion;
