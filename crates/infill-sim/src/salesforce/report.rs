//! What a simulator tells about the calls and writes it has seen.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::limits::{Cause, Usage};
use super::route::Operation;
use super::value::utc;

/// One field of one record, written by a client and committed.
///
/// It is in the ledger whether the client got the answer or not, and whether the value changed or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Write {
    /// When, in milliseconds since the Unix epoch.
    #[serde(rename = "at", serialize_with = "as_time")]
    pub at_ms: i64,
    /// The object.
    pub object: &'static str,
    /// The record's id of 18 characters.
    pub record: String,
    /// The field's name.
    pub field: String,
    /// The value that was sent, as its type keeps it; `None` clears.
    pub sent: Option<String>,
    /// The value before; `None` is no value.
    pub old: Option<String>,
    /// The value after all automation has run, which may be another than the sent one.
    pub new: Option<String>,
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

    /// Whether something else than the sent value is stored: a trigger, a rule or a fault had its way.
    #[must_use]
    pub fn is_recalculated(&self) -> bool {
        self.sent != self.new
    }
}

fn as_time<S: Serializer>(ms: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&utc(*ms))
}

fn as_text<S: Serializer>(value: &impl ToString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.to_string())
}

/// How the calls of one operation ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Calls {
    /// Calls that arrived.
    pub received: u64,
    /// Answered 2xx, collections with failed rows included.
    pub succeeded: u64,
    /// Answered 403 `REQUEST_LIMIT_EXCEEDED`, whether a limit or a fault said so.
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
    /// API requests that counted against the daily limit.
    pub api_requests: u64,
    /// Calls refused with `REQUEST_LIMIT_EXCEEDED`, by cause.
    pub refused: BTreeMap<&'static str, u64>,
    /// Calls refused with 401.
    pub unauthorized: u64,
    /// Calls to no known path.
    pub unknown_paths: u64,
    /// What was used of the limits.
    pub usage: Usage,
    /// Strikes of each fault, by its text form.
    pub faults: Vec<(String, u64)>,
    /// Field writes in the ledger.
    pub writes: usize,
    /// Records that were written at least once.
    pub records_written: usize,
    /// The most writes that one field of one record got.
    pub most_writes_of_one_field: u32,
    /// Field writes after which something else than the sent value was stored.
    pub recalculated: usize,
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
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Status(u16),
    Throttled,
    Reset,
}

/// The counters behind a [`Report`].
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) calls: BTreeMap<&'static str, Calls>,
    pub(crate) api_requests: u64,
    pub(crate) refused: BTreeMap<&'static str, u64>,
    pub(crate) unauthorized: u64,
    pub(crate) unknown_paths: u64,
}

impl Counts {
    pub(crate) fn refuse(&mut self, cause: Cause) {
        *self.refused.entry(cause.as_str()).or_default() += 1;
    }

    pub(crate) fn end(&mut self, operation: Operation, end: End) {
        let calls = self.calls.entry(operation.as_str()).or_default();
        calls.received += 1;
        match end {
            End::Reset => calls.reset += 1,
            End::Throttled => calls.throttled += 1,
            End::Status(200..=299) => calls.succeeded += 1,
            End::Status(status) => {
                calls.failed += 1;
                if status == 401 {
                    self.unauthorized += 1;
                }
            }
        }
    }
}

/// Field writes of each record of an object in a ledger.
pub(crate) fn writes_per_record(ledger: &[Write], object: &str) -> BTreeMap<String, u32> {
    let mut per_record = BTreeMap::new();
    for write in ledger.iter().filter(|write| write.object.eq_ignore_ascii_case(object)) {
        *per_record.entry(write.record.clone()).or_default() += 1;
    }
    per_record
}
