//! What is remembered of records from one run of a plan to the next, for plans that say `only`.

use serde::{Deserialize, Serialize};

use crate::id::{ConnectionName, Fingerprint, ObjectType, RecordId, RunId};
use crate::plan::Plan;

/// Whose memory it is: runs of plans with one name, on one connection and one kind of record, share it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MemoryKey {
    /// The plan, by name.
    pub plan_name: String,
    /// The connection it runs on.
    pub connection: ConnectionName,
    /// The kind of record.
    pub object: ObjectType,
}

impl MemoryKey {
    /// The memory of a plan.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        Self {
            plan_name: plan.name.clone(),
            connection: plan.connection.clone(),
            object: plan.source.object.clone(),
        }
    }
}

/// What is remembered of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The record.
    pub record: RecordId,
    /// What its inputs and the plan's recipe were.
    pub fingerprint: Fingerprint,
    /// The run in which it went well.
    pub run: RunId,
}

/// What to remember and what to forget of some records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Learnt {
    /// Records whose rows settled well.
    pub kept: Vec<(RecordId, Fingerprint)>,
    /// Records whose rows settled otherwise.
    pub dropped: Vec<RecordId>,
}
