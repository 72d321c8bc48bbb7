//! What can go wrong in a simulated org, and the text form of it.
//!
//! # The text form
//!
//! ```text
//! SPEC  := FAULT (';' FAULT)*
//! FAULT := KIND (',' KEY '=' VALUE)*
//! ```
//!
//! | kind | what happens | keys of its own |
//! | --- | --- | --- |
//! | `401` `404` `414` `500` `502` `503` `504` | that status; nothing is committed. 401 is `INVALID_SESSION_ID`, 503 `SERVER_UNAVAILABLE` | |
//! | `403` | `REQUEST_LIMIT_EXCEEDED` although no limit is reached | `cause` (`daily`, `concurrent`, `long-transactions`) |
//! | `error` | 400 with any `errorCode` for the whole call, such as `QUERY_TIMEOUT` or `INVALID_QUERY_LOCATOR` | `code`, `message` |
//! | `lost-500` `lost-502` `lost-503` `lost-504` | the call is committed, the answer is that status | |
//! | `reset` | the connection is reset; nothing is committed | |
//! | `lost-reset` | the call is committed, then the connection is reset | |
//! | `malformed` | the call is committed, the answer is cut-off JSON with its ordinary status | |
//! | `delay` | a slow answer; the call holds its row locks for that long | `ms` (1000) |
//! | `hold` | no answer until somebody releases it ([`Control::release`](super::Control::release)); row locks are held | |
//! | `end-session` | the access token is good for this call and for no other | |
//! | `invalid-grant` | the token endpoint refuses for good: somebody must approve the app again | |
//! | `refresh-busy` | the token endpoint says that another refresh is under way | |
//! | `row-error` | the write of a record is refused with any `statusCode` | `code` (`FIELD_CUSTOM_VALIDATION_EXCEPTION`), `message` |
//! | `row-lock` | the write of a record is refused with `UNABLE_TO_LOCK_ROW` | |
//! | `ignored` | the write of a record succeeds and changes nothing | |
//! | `differs` | another text than the sent one is stored | `value` (else the sent one with ` (changed)`) |
//! | `missing` | a record is hidden from reads, and its write is refused as of a record that never was | |
//! | `bulk-fail` | a Bulk API job ends as `Failed` after so many rows, which stay written | `rows` (0) |
//! | `bulk-slow` | a Bulk API job shows `InProgress` for more looks | `looks` (3) |
//! | `field-gone` | the field is hidden from the user, by default at the first call | |
//!
//! Keys of every kind, which say where and when it strikes:
//!
//! | key | meaning |
//! | --- | --- |
//! | `op` | operations, joined by `\|`; see [`Operation`]. Default: every operation that the kind can strike |
//! | `object` | the object, such as `Account` |
//! | `record` | record ids of 18 characters, joined by `\|` |
//! | `field` | only writes of this field (for `field-gone`: the one to hide) |
//! | `sent` | only writes of exactly this text |
//! | `after` | that many matches are left alone first |
//! | `every` | of those that follow, each n-th only |
//! | `count` | at most that many strikes |
//! | `p` | chance of each strike, 0 to 1; for kinds that strike records it depends on the record's id alone |
//!
//! `403`, `error` and the statuses also refuse a subrequest of a composite call, and that alone, when `op` names its operation.
//!
//! Of the faults that decide what a call is answered, the first strikes and the others are not counted: `503,count=2;403,count=1`
//! is two 503 and then one 403.
//!
//! Examples: `503,op=collections-update,count=3`, `lost-reset,op=collections-update,every=10`,
//! `row-lock,p=0.05;403,cause=daily,after=100,count=5`.

use std::fmt::{self, Write as _};
use std::str::FromStr;
use std::time::Duration;

use super::limits::Cause;
use super::route::Operation;
use crate::fault::{Clause, Firing, SpecError, parse_clauses};

/// Statuses that a fault may answer before anything is committed, but for 403.
const STATUSES: [u16; 7] = [401, 404, 414, 500, 502, 503, 504];
/// Statuses that a fault may answer after the commit.
const LOST_STATUSES: [u16; 4] = [500, 502, 503, 504];

const KEYS: &str = "op, object, record, field, sent, after, every, count, p";

/// What a fault does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// Answers the status and commits nothing.
    Status(u16),
    /// Answers 403 `REQUEST_LIMIT_EXCEEDED` and commits nothing.
    Limit(Cause),
    /// Answers 400 with this code and message and commits nothing.
    Error {
        /// The `errorCode`.
        code: String,
        /// The message.
        message: String,
    },
    /// Commits, then answers the status.
    LostStatus(u16),
    /// Resets the connection and commits nothing.
    Reset,
    /// Commits, then resets the connection.
    LostReset,
    /// Commits, then answers JSON that is cut off.
    Malformed,
    /// Answers late.
    Delay(Duration),
    /// Commits, and answers when released.
    Hold,
    /// Ends the session that the call uses.
    EndSession,
    /// Refuses a token request for good.
    InvalidGrant,
    /// Refuses a token request because of another one.
    RefreshBusy,
    /// Refuses a record's write.
    RowError {
        /// The `statusCode`.
        code: String,
        /// The message.
        message: String,
    },
    /// Refuses a record's write because its lock is taken.
    RowLock,
    /// Accepts a record's write and does not do it.
    Ignored,
    /// Stores another text than the sent one: the given one, or the sent one with ` (changed)`.
    Differs(Option<String>),
    /// Hides a record.
    Missing,
    /// Ends a job as `Failed`.
    BulkFail {
        /// Rows that are processed before.
        rows: u64,
    },
    /// Keeps a job `InProgress`.
    BulkSlow {
        /// Looks that still show it.
        looks: u64,
    },
    /// Hides the field that the target names.
    FieldGone,
}

/// Every word of the text form but the numbers, with the kind it stands for.
fn words() -> [(&'static str, FaultKind); 18] {
    let error = |code: &str| (code.to_owned(), "The request was refused by a fault".to_owned());
    let (code, message) = error("QUERY_TIMEOUT");
    let (row_code, row_message) = error("FIELD_CUSTOM_VALIDATION_EXCEPTION");
    [
        ("403", FaultKind::Limit(Cause::Daily)),
        ("error", FaultKind::Error { code, message }),
        ("reset", FaultKind::Reset),
        ("lost-reset", FaultKind::LostReset),
        ("malformed", FaultKind::Malformed),
        ("delay", FaultKind::Delay(Duration::from_secs(1))),
        ("hold", FaultKind::Hold),
        ("end-session", FaultKind::EndSession),
        ("invalid-grant", FaultKind::InvalidGrant),
        ("refresh-busy", FaultKind::RefreshBusy),
        ("row-error", FaultKind::RowError { code: row_code, message: row_message }),
        ("row-lock", FaultKind::RowLock),
        ("ignored", FaultKind::Ignored),
        ("differs", FaultKind::Differs(None)),
        ("missing", FaultKind::Missing),
        ("bulk-fail", FaultKind::BulkFail { rows: 0 }),
        ("bulk-slow", FaultKind::BulkSlow { looks: 3 }),
        ("field-gone", FaultKind::FieldGone),
    ]
}

impl FaultKind {
    /// The word of the text form.
    #[must_use]
    pub fn word(&self) -> String {
        if let Self::Status(status) = self {
            return status.to_string();
        }
        if let Self::LostStatus(status) = self {
            return format!("lost-{status}");
        }
        let same = |(_, kind): &&(&str, Self)| std::mem::discriminant(kind) == std::mem::discriminant(self);
        words().iter().find(same).map(|(word, _)| (*word).to_owned()).unwrap_or_default()
    }

    /// Whether it decides what a call is answered, so that only one of them may strike a call.
    pub(crate) fn decides_answer(&self) -> bool {
        self.strikes_calls()
            && !matches!(self, Self::Delay(_) | Self::Hold | Self::EndSession | Self::FieldGone)
    }

    /// Whether it can refuse a subrequest of a composite call, without the others.
    pub(crate) fn refuses_parts(&self) -> bool {
        matches!(self, Self::Status(_) | Self::Limit(_) | Self::Error { .. })
    }

    /// Whether it strikes a call as a whole, and not a record or a job within one.
    pub(crate) fn strikes_calls(&self) -> bool {
        match self {
            Self::Status(_)
            | Self::Limit(_)
            | Self::Error { .. }
            | Self::LostStatus(_)
            | Self::Reset
            | Self::LostReset
            | Self::Malformed
            | Self::Delay(_)
            | Self::Hold
            | Self::EndSession
            | Self::InvalidGrant
            | Self::RefreshBusy
            | Self::FieldGone => true,
            Self::RowError { .. }
            | Self::RowLock
            | Self::Ignored
            | Self::Differs(_)
            | Self::Missing
            | Self::BulkFail { .. }
            | Self::BulkSlow { .. } => false,
        }
    }
}

/// Where a fault may strike; an empty part leaves that open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// Operations.
    pub operations: Vec<Operation>,
    /// The object.
    pub object: Option<String>,
    /// Record ids of 18 characters.
    pub records: Vec<String>,
    /// A field that the write must set.
    pub field: Option<String>,
    /// The text it must be set to.
    pub sent: Option<String>,
}

/// One fault: what, where and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// What happens.
    pub kind: FaultKind,
    /// Where.
    pub target: Target,
    /// When.
    pub firing: Firing,
}

impl Fault {
    /// A fault that strikes everywhere and always.
    #[must_use]
    pub fn new(kind: FaultKind) -> Self {
        Self { kind, target: Target::default(), firing: Firing::default() }
    }

    /// Strikes this operation (and the others named so).
    #[must_use]
    pub fn on(mut self, operation: Operation) -> Self {
        self.target.operations.push(operation);
        self
    }

    /// Strikes this record (and the others named so).
    #[must_use]
    pub fn record(mut self, id: &str) -> Self {
        self.target.records.push(id.to_owned());
        self
    }

    /// Strikes writes of this field.
    #[must_use]
    pub fn field(mut self, name: &str) -> Self {
        self.target.field = Some(name.to_owned());
        self
    }

    /// Strikes at most `count` times.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.firing.count = Some(count);
        self
    }

    /// Whether it may strike the operation.
    pub(crate) fn is_on(&self, operation: Operation) -> bool {
        self.target.operations.is_empty() || self.target.operations.contains(&operation)
    }
}

/// The faults of an org, in the order in which they are tried.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// No faults.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl FromStr for Faults {
    type Err = SpecError;

    /// Reads the text form of the [module's page](self).
    fn from_str(spec: &str) -> Result<Self, SpecError> {
        parse_clauses(spec)?.into_iter().map(fault).collect::<Result<_, _>>().map(Self)
    }
}

fn fault(clause: Clause) -> Result<Fault, SpecError> {
    let mut fault = Fault::new(kind(&clause.kind)?);
    for (key, value) in &clause.pairs {
        set(&mut fault, key, value)?;
    }
    if fault.kind == FaultKind::FieldGone {
        if fault.target.field.is_none() {
            return Err(SpecError("`field-gone` needs `field`".to_owned()));
        }
        fault.firing.count = Some(1);
    }
    Ok(fault)
}

fn kind(word: &str) -> Result<FaultKind, SpecError> {
    let words = words();
    if let Some((_, kind)) = words.iter().find(|(known, _)| *known == word) {
        return Ok(kind.clone());
    }
    let number = |text: &str, known: &[u16]| text.parse().ok().filter(|status| known.contains(status));
    if let Some(status) = number(word, &STATUSES) {
        return Ok(FaultKind::Status(status));
    }
    if let Some(status) = word.strip_prefix("lost-").and_then(|text| number(text, &LOST_STATUSES)) {
        return Ok(FaultKind::LostStatus(status));
    }
    let numbers =
        STATUSES.iter().map(u16::to_string).chain(LOST_STATUSES.iter().map(|of| format!("lost-{of}")));
    let valid: Vec<String> = words.iter().map(|(word, _)| (*word).to_owned()).chain(numbers).collect();
    Err(SpecError(format!("`{word}` is no kind of fault; use one of: {}", valid.join(", "))))
}

fn set(fault: &mut Fault, key: &str, value: &str) -> Result<(), SpecError> {
    if fault.firing.set(key, value)? {
        return Ok(());
    }
    let bad = |what: &str| SpecError(format!("`{key}={value}` is not {what}"));
    let whole = || value.parse::<u64>().map_err(|_| bad("a whole number"));
    let split = || value.split('|').map(str::trim).filter(|part| !part.is_empty());
    match (key, &mut fault.kind) {
        ("op", _) => {
            let operations = split().map(|word| word.parse().map_err(|error| SpecError(format!("{error}"))));
            fault.target.operations = operations.collect::<Result<_, _>>()?;
        }
        ("object", _) => fault.target.object = Some(value.to_owned()),
        ("record", _) => fault.target.records = split().map(str::to_owned).collect(),
        ("field", _) => fault.target.field = Some(value.to_owned()),
        ("sent", _) => fault.target.sent = Some(value.to_owned()),
        ("cause", FaultKind::Limit(cause)) => {
            let found = Cause::ALL.into_iter().find(|cause| cause.as_str() == value);
            *cause =
                found.ok_or_else(|| bad(&format!("one of: {}", Cause::ALL.map(Cause::as_str).join(", "))))?;
        }
        ("code", FaultKind::Error { code, .. } | FaultKind::RowError { code, .. }) => value.clone_into(code),
        ("message", FaultKind::Error { message, .. } | FaultKind::RowError { message, .. }) => {
            value.clone_into(message);
        }
        ("ms", FaultKind::Delay(delay)) => *delay = Duration::from_millis(whole()?),
        ("value", FaultKind::Differs(stored)) => *stored = Some(value.to_owned()),
        ("rows", FaultKind::BulkFail { rows }) => *rows = whole()?,
        ("looks", FaultKind::BulkSlow { looks }) => *looks = whole()?,
        (_, kind) => {
            let own: String = own_keys(kind).iter().map(|(key, _)| format!(", {key}")).collect();
            let word = kind.word();
            return Err(SpecError(format!("`{word}` has no key `{key}`; use one of: {KEYS}{own}")));
        }
    }
    Ok(())
}

/// The keys that only this kind has, with their values.
fn own_keys(kind: &FaultKind) -> Vec<(&'static str, String)> {
    match kind {
        FaultKind::Limit(cause) => vec![("cause", cause.as_str().to_owned())],
        FaultKind::Error { code, message } | FaultKind::RowError { code, message } => {
            vec![("code", code.clone()), ("message", message.clone())]
        }
        FaultKind::Delay(delay) => vec![("ms", delay.as_millis().to_string())],
        FaultKind::Differs(value) => vec![("value", value.clone().unwrap_or_default())],
        FaultKind::BulkFail { rows } => vec![("rows", rows.to_string())],
        FaultKind::BulkSlow { looks } => vec![("looks", looks.to_string())],
        FaultKind::Status(_)
        | FaultKind::LostStatus(_)
        | FaultKind::Reset
        | FaultKind::LostReset
        | FaultKind::Malformed
        | FaultKind::Hold
        | FaultKind::EndSession
        | FaultKind::InvalidGrant
        | FaultKind::RefreshBusy
        | FaultKind::RowLock
        | FaultKind::Ignored
        | FaultKind::Missing
        | FaultKind::FieldGone => Vec::new(),
    }
}

impl fmt::Display for Faults {
    /// The text form; reading it gives the same faults.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (idx, fault) in self.0.iter().enumerate() {
            if idx > 0 {
                f.write_char(';')?;
            }
            write_fault(f, fault)?;
        }
        Ok(())
    }
}

fn write_fault(f: &mut fmt::Formatter<'_>, Fault { kind, target, firing }: &Fault) -> fmt::Result {
    let word = kind.word();
    f.write_str(&word)?;
    let usual =
        words().into_iter().find(|(of, _)| *of == word).map(|(_, kind)| own_keys(&kind)).unwrap_or_default();
    for (key, value) in own_keys(kind) {
        if !usual.contains(&(key, value.clone())) {
            write!(f, ",{key}={value}")?;
        }
    }
    if !target.operations.is_empty() {
        let words: Vec<&str> = target.operations.iter().map(|operation| operation.as_str()).collect();
        write!(f, ",op={}", words.join("|"))?;
    }
    if !target.records.is_empty() {
        write!(f, ",record={}", target.records.join("|"))?;
    }
    for (key, text) in [("object", &target.object), ("field", &target.field), ("sent", &target.sent)] {
        if let Some(text) = text {
            write!(f, ",{key}={text}")?;
        }
    }
    // It strikes once, which need not be said.
    let count = firing.count.filter(|_| *kind != FaultKind::FieldGone);
    write!(f, "{}", Firing { count, ..firing.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_reads_back_to_the_same_faults() {
        for spec in [
            "503,op=collections-update|query,count=3",
            "403,cause=long-transactions",
            "403;401;414",
            "error,code=INVALID_QUERY_LOCATOR,message=gone,op=query-more",
            "lost-504,op=collections-update,after=2,every=3",
            "reset;lost-reset;malformed;hold;end-session;invalid-grant;refresh-busy",
            "delay,ms=20",
            "row-error,code=ENTITY_IS_LOCKED,record=001ak000015FTGhAAM",
            "row-lock,p=0.5;ignored;missing,object=Account",
            "differs,value=x,field=Phone,sent=nope",
            "bulk-fail,rows=250;bulk-slow,looks=2",
            "field-gone,field=Phone,after=7",
        ] {
            let faults: Faults = spec.parse().unwrap();
            assert_eq!(faults.to_string(), spec);
        }
    }

    #[test]
    fn a_wrong_word_is_answered_with_the_right_ones() {
        let message = |spec: &str| spec.parse::<Faults>().unwrap_err().to_string();
        assert!(message("418").contains("lost-reset"));
        assert!(message("503,op=collections").contains("collections-update"));
        assert!(message("503,looks=3").contains("count"));
        assert!(message("403,cause=maybe").contains("concurrent"));
        assert!(message("503,p=2").contains("from 0 to 1"));
        assert!(message("field-gone").contains("needs `field`"));
    }
}
