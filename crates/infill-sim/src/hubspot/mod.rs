//! A simulator of HubSpot's CRM API on a local port.
//!
//! [`start`] serves a portal as a [`Config`] describes it; [`Control`] looks into it and changes it from the same
//! process, the [admin endpoints](admin) do so from another. The [text form of faults](fault) is for command lines.
//!
//! What HubSpot documents or was recorded doing is simulated as such. Where documents and recordings are silent or
//! disagree, a [switch](Switches) chooses, and its default is the likelier behaviour.
//!
//! # Lists of every portal
//!
//! | id | kind | members |
//! | --- | --- | --- |
//! | `42` | MANUAL | every contact the portal began with |
//! | `43` | DYNAMIC | contacts without `hs_content_membership_notes`: writing the note ends the membership |
//! | `44` | SNAPSHOT | the first 100 contacts |
//! | `45` | MANUAL | nobody |
//! | `46` | MANUAL | every company |
//! | `47` | MANUAL | of an object type that the API refuses to read |
//! | `48` | DYNAMIC | contacts with a `phone` |
//!
//! Contacts have ids from 100001, companies from 7000001, deals from 8000001, tickets from 9000001, and the custom
//! object [`CUSTOM_OBJECT`] from 6000001. Of the bundled people six have no phone.
//!
//! # What is not there
//!
//! Associations, owners, pipelines, webhooks, flows and custom workflow actions; upsert, batch archive and GDPR delete;
//! creating lists and properties. Such paths answer 404.

pub mod admin;
mod answer;
mod auth;
mod batch;
mod board;
mod catalog;
mod config;
mod control;
mod dispatch;
pub mod fault;
mod filter;
mod limits;
mod list;
mod lists;
mod object;
mod portal;
mod properties;
mod read;
mod record;
mod report;
mod route;
mod search;
mod seed;
mod server;
mod store;
mod value;
mod write;

use std::net::SocketAddr;
use std::sync::Arc;

use jiff::tz::TimeZone;
use tokio::net::TcpListener;

pub use self::config::{
    ALL_SCOPES, ApiVersion, ConditionalRequired, Config, MultiStatus, OauthApp, SIM_CLIENT_ID,
    SIM_CLIENT_SECRET, SIM_REFRESH_TOKEN, SIM_TOKEN, Source, StaticToken, Switches, UnknownWord,
};
pub use self::control::Control;
pub use self::fault::{Fault, FaultKind, Faults, Target};
pub use self::limits::{LimitTier, Limits, Policy, WorstWindows};
pub use self::object::CUSTOM_OBJECT;
pub use self::report::{Calls, Report, Write};
pub use self::route::Operation;

use self::portal::Portal;
use self::store::{Aftermath, Store};
use crate::clock::Clock;
use crate::serving::Serving;

/// Why a simulator did not start, or could not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file of records cannot be read.
    #[error("cannot read records from {path}")]
    Records {
        /// The file.
        path: String,
        /// Where and why reading stopped.
        source: csv::Error,
    },
    /// The time zone is not an IANA name.
    #[error("`{name}` is not a time zone; use an IANA name such as America/New_York")]
    TimeZone {
        /// The name as given.
        name: String,
        /// What the time zone database said.
        source: jiff::Error,
    },
    /// No object type has that name.
    #[error("no object type is called `{0}`")]
    UnknownObject(String),
    /// No record has that id.
    #[error("there is no record {0}")]
    UnknownRecord(u64),
    /// No property has that name.
    #[error("there is no property `{0}`")]
    UnknownProperty(String),
    /// No list has that id.
    #[error("there is no list {0}")]
    UnknownList(String),
    /// The property does not take the value.
    #[error("the value was refused: {0}")]
    Refused(String),
}

/// A simulated portal that is being served. Dropping it closes the port at once.
#[derive(Debug)]
pub struct Simulator {
    serving: Serving,
    control: Control,
}

/// Starts a portal on the current tokio runtime.
///
/// # Errors
/// [`Error::Listen`], [`Error::Records`] and [`Error::TimeZone`].
pub async fn start(config: Config) -> Result<Simulator, Error> {
    let name = &config.time_zone;
    let zone = TimeZone::get(name).map_err(|source| Error::TimeZone { name: name.clone(), source })?;
    let clock = Clock::starting_at(config.start_at);
    let mut store = Store::new(Aftermath {
        seed: config.seed,
        background_edits: config.switches.background_edits,
        list_lag_ms: i64::try_from(config.list_lag.as_millis()).unwrap_or(i64::MAX),
    });
    seed::fill(&mut store, &config, clock.now_ms())?;
    let wanted = config.listen;
    let listen = |source| Error::Listen { address: wanted, source };
    let listener = TcpListener::bind(wanted).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let portal = Arc::new(Portal::new(config, format!("http://{address}"), zone, clock, store));
    let serving = Serving::start("hubspot", address, listener, server::router(Arc::clone(&portal)));
    Ok(Simulator { serving, control: Control(portal) })
}

impl Simulator {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.serving.address
    }

    /// The base of every path, such as `http://127.0.0.1:41234`, in the place of `https://api.hubapi.com`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.serving.address)
    }

    /// A handle on the portal; it may outlive the port.
    #[must_use]
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Serves until [`Simulator::shutdown`], or until the task is ended from outside.
    pub async fn wait(&mut self) {
        self.serving.wait().await;
    }

    /// Stops accepting calls, finishes those under way, and closes the port.
    pub async fn shutdown(self) {
        self.serving.shutdown().await;
    }
}
