//! What a simulator tells about the calls and writes it has seen.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::answer::timestamp;
use super::limits::{Policy, WorstWindows};
use super::route::Operation;

/// One property of one record, written by a client and committed.
///
/// It is in the ledger whether the client got the answer or not, and whether the value changed or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Write {
    /// When, in milliseconds since the Unix epoch.
    #[serde(rename = "at", serialize_with = "as_timestamp")]
    pub at_ms: i64,
    /// The object type in the plural, or the id of a custom one.
    pub object: &'static str,
    /// The record's id.
    #[serde(serialize_with = "as_text")]
    pub record: u64,
    /// The property's name.
    pub property: Arc<str>,
    /// The value before; `None` is no value.
    pub old: Option<Arc<str>>,
    /// The value that was stored, which may be another than the sent one; `None` cleared the property.
    pub new: Option<Arc<str>>,
    /// The operation that wrote it.
    #[serde(serialize_with = "as_text")]
    pub operation: Operation,
}

impl Write {
    /// Whether the write changed the stored value.
    #[must_use]
    pub fn is_change(&self) -> bool {
        self.old != self.new
    }
}

fn as_timestamp<S: Serializer>(ms: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&timestamp(*ms))
}

fn as_text<S: Serializer>(value: &impl ToString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.to_string())
}

/// How the calls of one operation ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Calls {
    /// Calls that arrived.
    pub received: u64,
    /// Answered 2xx, a multi-status with errors included.
    pub succeeded: u64,
    /// Answered 429, whether a limit or a fault said so.
    pub throttled: u64,
    /// Answered another status.
    pub failed: u64,
    /// Not answered: the connection was reset.
    pub reset: u64,
}

/// Everything counted since the start or the last reset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Calls by the operation's word; operations that nobody called are left out.
    pub calls: BTreeMap<&'static str, Calls>,
    /// Calls that a limit or a fault refused with 429, by policy.
    pub refused: BTreeMap<&'static str, u64>,
    /// Calls refused with 401.
    pub unauthorized: u64,
    /// Calls to no known path.
    pub unknown_paths: u64,
    /// The fullest windows.
    pub worst: WorstWindows,
    /// Strikes of each fault, by its text form.
    pub faults: Vec<(String, u64)>,
    /// Property writes in the ledger.
    pub writes: usize,
    /// Records that were written at least once.
    pub records_written: usize,
    /// The most writes that one property of one record got.
    pub most_writes_of_one_property: u32,
    /// The simulator's time.
    pub now: String,
}

impl Report {
    /// Calls of one operation; all zero when there were none.
    #[must_use]
    pub fn calls(&self, operation: Operation) -> Calls {
        self.calls.get(operation.as_str()).copied().unwrap_or_default()
    }

    /// Calls that arrived, of every operation.
    #[must_use]
    pub fn total_received(&self) -> u64 {
        self.calls.values().map(|calls| calls.received).sum()
    }

    /// Calls that were refused with 429.
    #[must_use]
    pub fn total_throttled(&self) -> u64 {
        self.calls.values().map(|calls| calls.throttled).sum()
    }
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Status(u16),
    Reset,
}

/// The counters behind a [`Report`].
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) calls: BTreeMap<&'static str, Calls>,
    pub(crate) refused: BTreeMap<&'static str, u64>,
    pub(crate) unauthorized: u64,
    pub(crate) unknown_paths: u64,
}

impl Counts {
    pub(crate) fn refuse(&mut self, policy: Policy) {
        *self.refused.entry(policy.as_str()).or_default() += 1;
    }

    pub(crate) fn end(&mut self, operation: Operation, end: End) {
        let calls = self.calls.entry(operation.as_str()).or_default();
        calls.received += 1;
        match end {
            End::Reset => calls.reset += 1,
            End::Status(200..=299) => calls.succeeded += 1,
            End::Status(429) => calls.throttled += 1,
            End::Status(status) => {
                calls.failed += 1;
                if status == 401 {
                    self.unauthorized += 1;
                }
            }
        }
    }
}

/// Property writes of each record of an object type in a ledger.
pub(crate) fn writes_per_record(ledger: &[Write], object: &str) -> BTreeMap<u64, u32> {
    let mut per_record = BTreeMap::new();
    for write in ledger.iter().filter(|write| write.object == object) {
        *per_record.entry(write.record).or_default() += 1;
    }
    per_record
}
