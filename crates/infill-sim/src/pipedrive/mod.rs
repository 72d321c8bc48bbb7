//! A simulator of Pipedrive's API on a local port.
//!
//! [`start`] serves a company as a [`Config`] describes it; [`Control`] looks into it and changes it from the same process,
//! the [admin endpoints](admin) do so from another. The [text form of faults](fault) is for command lines.
//!
//! Paths, costs in tokens, scopes, parameters and bodies are those of Pipedrive's `OpenAPI` files. What it documents or was
//! seen doing is simulated as such. Where documents are silent, a [switch](Switches) chooses, and its default is the
//! likelier behaviour.
//!
//! # Records of every company
//!
//! Persons have ids from 100001, organizations from 7001, deals from 8001 (8008 won, 8009 lost, 8010 archived), products
//! from 9001, activities from 6001; leads have uuids. Users are 11, whose tokens are accepted, and 12. Of the bundled people
//! six have no phone. Persons, organizations, deals and products have custom fields of every type (`Greeting`,
//! `Background`, `Region`, `Score`, `Seats`, `Budget`, `Renewal date`, `Trial period`, `Best time to call`, `Office hours`,
//! `Assistant phone`, `Tier`, `Interests`, `Site address`, `Account manager`, `Partner`, `Referred by`), whose codes depend on
//! the seed; leads have those of deals. Columns of a CSV file, and of the bundled one, are custom texts of persons.
//!
//! # Filters of every company
//!
//! | id | of | holds |
//! | --- | --- | --- |
//! | `1` | people | everybody |
//! | `2` | people | who has no `Greeting`: writing it ends the membership |
//! | `3` | people | who has a phone |
//! | `4` | people | nobody |
//! | `5` | org | every organization |
//! | `6` | deals | open deals |
//! | `7` | leads | every lead |
//! | `8` | people | everybody, but it is another user's and hidden |
//! | `9` | products | every product |
//! | `10` | activity | what is not done |
//!
//! # What is not there
//!
//! Webhooks, notes, files, projects, followers, changelogs, item search, conversion of leads; creating fields and options; relative
//! dates and operators on ranges in filters. Such paths answer like unknown ones.

mod account;
pub mod admin;
mod answer;
mod auth;
mod board;
mod catalog;
mod company;
mod config;
mod control;
mod dispatch;
mod entity;
pub mod fault;
mod fields;
mod filter;
mod filters;
mod lead;
mod limits;
mod read;
mod report;
mod search;
mod seed;
mod server;
mod spec;
mod store;
mod value;
mod write;

use std::net::SocketAddr;
use std::sync::Arc;

use jiff::tz::TimeZone;
use tokio::net::TcpListener;

pub use self::config::{
    ALL_SCOPES, Absence, Config, OauthApp, SIM_CLIENT_ID, SIM_CLIENT_SECRET, SIM_CODE, SIM_REFRESH_TOKEN,
    SIM_TOKEN, Source, Switches,
};
pub use self::control::Control;
pub use self::entity::Entity;
pub use self::fault::{Fault, FaultKind, Faults, Target};
pub use self::limits::{LimitTier, Limits, Policy, TokensSpent, WorstWindows};
pub use self::report::{Calls, Report, Write};
pub use self::spec::Operation;

use self::company::Company;
use self::store::Store;
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
    /// A time zone is not an IANA name.
    #[error("`{name}` is not a time zone; use an IANA name such as America/New_York")]
    TimeZone {
        /// The name as given.
        name: String,
        /// What the time zone database said.
        source: jiff::Error,
    },
    /// No kind of record has that name.
    #[error(
        "no kind of record is called `{0}`; use persons, organizations, deals, products, activities or leads"
    )]
    UnknownObject(String),
    /// No record has that id.
    #[error("there is no record {0}")]
    UnknownRecord(String),
    /// No field has that code or name.
    #[error("there is no field `{0}`")]
    UnknownField(String),
    /// No option has that label.
    #[error("there is no option `{0}`")]
    UnknownOption(String),
    /// No filter has that id.
    #[error("there is no filter {0}")]
    UnknownFilter(u64),
    /// The field does not take the value.
    #[error("the value was refused: {0}")]
    Refused(String),
}

/// A simulated company that is being served. Dropping it closes the port at once.
#[derive(Debug)]
pub struct Simulator {
    serving: Serving,
    control: Control,
}

/// Starts a company on the current tokio runtime.
///
/// # Errors
/// [`Error::Listen`], [`Error::Records`] and [`Error::TimeZone`].
pub async fn start(config: Config) -> Result<Simulator, Error> {
    let zone =
        |name: &str| TimeZone::get(name).map_err(|source| Error::TimeZone { name: name.to_owned(), source });
    zone(&config.time_zone)?;
    let server_zone = zone(&config.server_time_zone)?;
    let clock = Clock::starting_at(config.start_at);
    let mut store = Store::new(config.seed);
    seed::fill(&mut store, &config, clock.now_ms())?;
    let wanted = config.listen;
    let listen = |source| Error::Listen { address: wanted, source };
    let listener = TcpListener::bind(wanted).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let company = Arc::new(Company::new(config, format!("http://{address}"), server_zone, clock, store));
    let serving = Serving::start("pipedrive", address, listener, server::router(Arc::clone(&company)));
    Ok(Simulator { serving, control: Control(company) })
}

impl Simulator {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.serving.address
    }

    /// The base of every path, such as `http://127.0.0.1:41234`, in the place of `https://api.pipedrive.com` and of
    /// `https://oauth.pipedrive.com`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.serving.address)
    }

    /// A handle on the company; it may outlive the port.
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
