//! A simulator of Salesforce's REST API and Bulk API 2.0 on a local port.
//!
//! [`start`] serves an org as a [`Config`] describes it; [`Control`] looks into it and changes it from the same
//! process, the [admin endpoints](admin) do so from another. The [text form of faults](fault) is for command lines.
//!
//! What Salesforce documents or was recorded doing is simulated as such. Where documents and recordings are silent or
//! disagree, a [switch](Switches) chooses, and its default is the likelier behaviour.
//!
//! # What every org has
//!
//! Accounts from the source; contacts, opportunities and leads with them; three users, two record types of Account, and the Organization.
//! `CIK__c` is an external id that is not unique (companies with two classes of shares have one CIK), `External_Key__c` one
//! that is. `Segment__c` is a restricted picklist whose `Enterprise` suppliers do not take (no account has a record type at first), `Audit_Note__c` is read-only, `Revenue_per_Employee__c` is a formula.
//! Every fifth opportunity has products.
//!
//! | list view | object | selects |
//! | --- | --- | --- |
//! | `AllAccounts` | Account | every account |
//! | `TechAccounts` | Account | those in `Information Technology`, by name |
//! | `WithoutGreeting` | Account | those without `Greeting__c`: writing it ends the membership |
//! | `MyAccounts` | Account | those of the connected user |
//! | `AllContacts`, `AllLeads`, `AllOpportunities` | their object | every record |
//!
//! # What is not there
//!
//! SOAP, Bulk API 1.0, Metadata, Tooling and Streaming; SOSL; aggregate queries but counts; subqueries; composite batch,
//! graph and tree; entity tags; custom objects; converting leads. Such paths answer 404.

pub mod admin;
mod answer;
mod auth;
mod automation;
mod board;
mod bulk;
mod bulk_query;
mod catalog;
mod check;
mod collections;
mod commit;
mod composite;
mod condition;
mod config;
mod control;
mod describe;
mod dispatch;
pub mod fault;
mod file;
mod id;
mod identity;
mod ingest;
mod jwt;
mod limits;
mod list_view;
mod lock;
mod org;
mod query;
mod record;
mod record_call;
mod record_type;
mod report;
mod route;
mod seed;
mod select;
mod server;
mod soql;
mod store;
mod token;
mod value;
mod write;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;

pub use self::config::{
    ApiVersion, App, Automation, Bulk, Config, DuplicateAction, DuplicateRule, JwtCheck, Pace,
    RecordTypeValues, SIM_ASSIGNEE_ID, SIM_CLIENT_ID, SIM_CLIENT_SECRET, SIM_REFRESH_TOKEN, SIM_SESSION,
    SIM_USER_ID, SIM_USERNAME, Source, Switches, Trigger, TypeErrors, ValidationRule,
};
pub use self::control::Control;
pub use self::fault::{Fault, FaultKind, Faults, Target};
pub use self::limits::{Cause, Edition, Limits, Usage};
pub use self::report::{Calls, Report, Write};
pub use self::route::Operation;
pub use crate::word::UnknownWord;

use self::automation::Rules;
use self::org::Org;
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
    /// The condition of a rule or trigger cannot be read.
    #[error("an automation's condition was refused: {0}")]
    Automation(String),
    /// No object has that name.
    #[error("no object is called `{0}`")]
    UnknownObject(String),
    /// No record has that id.
    #[error("there is no record {0}")]
    UnknownRecord(String),
    /// No field has that name.
    #[error("there is no field `{0}`")]
    UnknownField(String),
    /// The field does not take the value.
    #[error("the value was refused: {0}")]
    Refused(String),
}

/// A simulated org that is being served. Dropping it closes the port at once.
#[derive(Debug)]
pub struct Simulator {
    serving: Serving,
    control: Control,
}

/// Starts an org on the current tokio runtime.
///
/// # Errors
/// [`Error::Listen`], [`Error::Records`], [`Error::Automation`], and [`Error::UnknownObject`] or [`Error::UnknownField`] when
/// the configuration hides what is not there.
pub async fn start(config: Config) -> Result<Simulator, Error> {
    let clock = Clock::starting_at(config.start_at);
    let mut store = Store::new();
    seed::fill(&mut store, &config, clock.now_ms())?;
    restrict(&mut store, &config)?;
    let rules = Rules::compile(&config.automation, &store)?;
    let wanted = config.listen;
    let listen = |source| Error::Listen { address: wanted, source };
    let listener = TcpListener::bind(wanted).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let org = Arc::new(Org::new(config, format!("http://{address}"), clock, rules, store));
    let serving = Serving::start("salesforce", address, listener, server::router(Arc::clone(&org)));
    Ok(Simulator { serving, control: Control(org) })
}

/// Hides and locks the fields that the connected user may not see or edit.
fn restrict(store: &mut Store, config: &Config) -> Result<(), Error> {
    let mut apply = |(object, field): &(String, String), hides: bool| {
        let table = store.table_mut(object).ok_or_else(|| Error::UnknownObject(object.clone()))?;
        let is_done = if hides { table.hide(field) } else { table.catalog.lock(field) };
        if is_done { Ok(()) } else { Err(Error::UnknownField(field.clone())) }
    };
    config.hidden_fields.iter().try_for_each(|of| apply(of, true))?;
    config.read_only_fields.iter().try_for_each(|of| apply(of, false))?;
    config.hidden_objects.iter().try_for_each(|object| {
        if store.hide_object(object) { Ok(()) } else { Err(Error::UnknownObject(object.clone())) }
    })
}

impl Simulator {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.serving.address
    }

    /// The base of every path, such as `http://127.0.0.1:41234`: the login host and the instance at once.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.serving.address)
    }

    /// A handle on the org; it may outlive the port.
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
