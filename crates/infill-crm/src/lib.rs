//! What Infill asks of a CRM, and the one HTTP transport that speaks to any of them.
//!
//! The [`Crm`] trait is the seam: a vendor's crate implements it, everything else is rows in and outcomes out.
//! Nothing here knows a vendor, a store or a queue; quota and logins are asked of small traits handed in.

pub mod action;
pub mod auth;
pub mod conformance;
pub mod crm;
pub mod error;
pub mod exchange;
pub mod exchanged;
pub mod meter;
pub mod transport;

pub use action::{ActionCall, ActionPlan, Outputs, Replay, Unfit};
pub use crm::{
    Account, Catalog, Changed, Costs, Crm, Cursor, Job, Limits, ListInfo, Page, Pull, ReadAnswer, Record,
    Refusal, Update, Values, WriteAnswer, Written,
};
pub use error::{Delivery, Error};
pub use exchanged::Exchanged;
pub use transport::{CallObserver, Transport, TransportConfig};
