//! Actions of a chain that a CRM performs, one record at a time: what is asked and what comes back. What an action is called
//! and what it takes is between the chain and the vendor's crate.

use infill_model::error::{Fault, FaultCode};
use infill_model::{Class, Timestamp, Value};
use serde_json::Map;

use crate::error::Error;

/// The named outputs of an action.
pub type Outputs = Map<String, Value>;

/// An action as a plan has it, before any row.
#[derive(Clone, Copy, Debug)]
pub struct ActionPlan<'a> {
    /// Its kind, as plans name it: `salesforce_update_record`.
    pub kind: &'a str,
    /// Its inputs; a value may be a template still.
    pub inputs: &'a Map<String, Value>,
}

/// An action to perform for one row.
#[derive(Clone, Copy, Debug)]
pub struct ActionCall<'a> {
    /// Its kind, as plans name it.
    pub kind: &'a str,
    /// What [`Crm::prepare`](crate::Crm::prepare) gave for it.
    pub prepared: &'a str,
    /// Its inputs, resolved against the row.
    pub inputs: &'a Map<String, Value>,
    /// For an action that makes something each time it is performed: how to know again what was made.
    pub replay: Option<Replay<'a>>,
}

/// How to know again what an action has made, when nobody knows whether it did.
#[derive(Clone, Copy, Debug)]
pub struct Replay<'a> {
    /// The same each time for one action on one row of one run, and of no other.
    pub key: &'a str,
    /// When it was first intended: what it made cannot be older.
    pub since: Timestamp,
    /// It was begun before, and how that ended is not known: what it may have made is to be looked up first.
    pub is_repeat: bool,
}

/// Why an action of a plan cannot be performed.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// The CRM could not be asked.
    #[error("ask the CRM")]
    Crm(#[from] Error),
    /// What is wrong; paths begin at the action: `inputs.salesforce_object`.
    #[error("the action does not fit the account")]
    Faults(Vec<Fault>),
}

/// The fault of an action that is another vendor's.
pub(crate) fn not_performed(kind: &str) -> Unfit {
    let message = format!("the plan's connection is to a CRM that has no action \"{kind}\"");
    Unfit::Faults(vec![Fault::new(FaultCode::Unsupported, "action", message)])
}

/// The error of a call to an action that was never prepared.
pub(crate) fn unprepared(kind: &str) -> Error {
    Error::new(Class::Bug, "action_unprepared", format!("this connection performs no {kind}"))
}
