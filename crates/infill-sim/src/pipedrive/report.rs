//! What a simulator tells about the calls and writes it has seen.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::answer::timestamp_ms;
use super::limits::{Policy, TokensSpent, WorstWindows};
use super::spec::{Endpoint, Operation};

/// One field of one record, written by a client and committed.
///
/// It is in the ledger whether the client got the answer or not, and whether the value changed or not.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Write {
    /// When, in milliseconds since the Unix epoch.
    #[serde(rename = "at", serialize_with = "as_timestamp")]
    pub at_ms: i64,
    /// The kind of record, in the plural.
    pub object: &'static str,
    /// The record's id as in paths.
    pub record: String,
    /// The field: its name in the body, or the code of a custom field.
    pub field: Arc<str>,
    /// The value before.
    pub old: Value,
    /// The value that was stored, which may be another than the sent one.
    pub new: Value,
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
    serializer.serialize_str(&timestamp_ms(*ms))
}

fn as_text<S: Serializer>(value: &impl ToString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.to_string())
}

/// How the calls of one endpoint ended, and what they cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Calls {
    /// Calls that arrived.
    pub received: u64,
    /// Answered 2xx.
    pub succeeded: u64,
    /// Answered 429, whether a limit or a fault said so, or blocked by Cloudflare.
    pub throttled: u64,
    /// Answered another status.
    pub failed: u64,
    /// Not answered: the connection was reset.
    pub reset: u64,
    /// Tokens spent.
    pub tokens: u64,
}

/// Everything counted since the start or the last reset.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Calls by endpoint, such as `update persons` or `me`; what nobody called is left out.
    pub calls: BTreeMap<String, Calls>,
    /// Tokens spent; a reset of the counters leaves them.
    pub tokens: TokensSpent,
    /// Calls that a limit or a fault refused, by limit.
    pub refused: BTreeMap<&'static str, u64>,
    /// Calls refused with 401.
    pub unauthorized: u64,
    /// Calls to no known path.
    pub unknown_paths: u64,
    /// Calls to v1 paths that are gone.
    pub removed_paths: u64,
    /// The fullest windows.
    pub worst: WorstWindows,
    /// Strikes of each fault, by its text form.
    pub faults: Vec<(String, u64)>,
    /// Writes of fields in the ledger.
    pub writes: usize,
    /// Records that were written at least once.
    pub records_written: usize,
    /// The most writes that one field of one record got.
    pub most_writes_of_one_field: u32,
    /// The simulator's time.
    pub now: String,
}

impl Report {
    /// Calls of one endpoint by its words, such as `update persons`; all zero when there were none.
    #[must_use]
    pub fn calls(&self, endpoint: &str) -> Calls {
        self.calls.get(endpoint).copied().unwrap_or_default()
    }

    /// Calls that arrived, to every endpoint.
    #[must_use]
    pub fn total_received(&self) -> u64 {
        self.calls.values().map(|calls| calls.received).sum()
    }
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Status(u16),
    Refused(Policy),
    Reset,
}

/// The counters behind a [`Report`].
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) calls: BTreeMap<String, Calls>,
    pub(crate) refused: BTreeMap<&'static str, u64>,
    pub(crate) unauthorized: u64,
    pub(crate) unknown_paths: u64,
    pub(crate) removed_paths: u64,
}

impl Counts {
    pub(crate) fn end(&mut self, words: String, tokens: u64, end: End) {
        let calls = self.calls.entry(words).or_default();
        calls.received += 1;
        calls.tokens += tokens;
        match end {
            End::Reset => calls.reset += 1,
            End::Refused(policy) => {
                calls.throttled += 1;
                *self.refused.entry(policy.as_str()).or_default() += 1;
            }
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

/// The words by which a report names an endpoint.
pub(crate) fn words(endpoint: &Endpoint) -> String {
    match endpoint.entity {
        Some(entity) => format!("{} {entity}", endpoint.operation),
        None => endpoint.operation.to_string(),
    }
}
