//! Pipedrive behind the [`infill_crm::Crm`] trait: saved filters and conditions, reads by ids, one update per record,
//! the field catalogue, and OAuth refresh.
//!
//! Everything is a pure function of values but [`client`] and [`oauth`], which make the calls. Version 2 of the API is
//! spoken wherever there is one; filters, leads and the company itself are version 1 still.

pub mod catalog;
pub mod check;
pub mod classify;
pub mod client;
pub mod contact;
pub mod encode;
pub mod field;
pub mod filter;
pub mod ids;
pub mod normalize;
pub mod oauth;
pub mod object;
pub mod request;
pub mod response;
pub mod slice;
pub mod tally;
pub mod typed;

pub use client::Pipedrive;
pub use oauth::OAuthRefresh;

/// The header that an API token stands in.
pub const TOKEN_HEADER: &str = "x-api-token";
