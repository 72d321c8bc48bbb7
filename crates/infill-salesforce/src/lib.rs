//! Salesforce behind the [`infill_crm::Crm`] trait: list views, filters and queries, collections of records read and
//! updated by id, `describe` as the catalog, and the three OAuth grants that a server uses.
//!
//! Everything is a pure function of values but [`client`] and [`oauth`], which make the calls.

pub mod action;
pub mod blame;
pub mod bulk;
pub mod catalog;
pub mod check;
pub mod classify;
pub mod client;
pub mod filter;
pub mod id;
pub mod ids;
pub mod normalize;
pub mod oauth;
pub mod object;
pub mod parent;
pub mod record_type;
pub mod request;
pub mod response;
pub mod slice;
pub mod soql;
pub mod statement;

pub use bulk::Route;
pub use client::{Config, Salesforce};
pub use oauth::{Grant, JwtBearer, OAuthApp, OAuthRefresh};
pub use request::{ApiVersion, Manners};
