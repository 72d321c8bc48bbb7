//! What can go wrong in a simulated portal, and the text form of it.
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
//! | `400` `401` `403` `404` `414` `423` `477` `500` `502` `503` `504` `521` `523` `524` | that status; nothing is committed. 401 is an expired token, 477 has `Retry-After` | `seconds` (of `Retry-After`, 30) |
//! | `429` | a refused call although the limit is not reached | `policy` (`ten-secondly`, `daily`, `secondly`) |
//! | `lost-500` `lost-502` `lost-503` `lost-504` `lost-524` | the call is committed, the answer is that status | |
//! | `reset` | the connection is reset; nothing is committed | |
//! | `lost-reset` | the call is committed, then the connection is reset | |
//! | `malformed` | the call is committed, the answer is cut-off JSON with its ordinary status | |
//! | `no-op` | 2xx with `COMPLETE` and no results; nothing is committed | |
//! | `delay` | a slow answer | `ms` (1000) |
//! | `omit` | the record is left out of a batch's results, without an error, and is not written | |
//! | `missing` | the record is reported as `OBJECT_NOT_FOUND`, and is not written | |
//! | `bad-row` | the record's write is refused: a 400 for the whole batch that does not name it, or an error entry when the inputs have trace ids | `answer` (`whole`, `partial`; else as [`Switches::traced_partial`](super::Switches::traced_partial) says) |
//! | `differs` | another value than the sent one is stored | `value` (else the sent one with ` (changed)`) |
//! | `processing` | a list is `PROCESSING` and shows half its members for the first looks | `looks` (3) |
//! | `leave` | the written record leaves the list at once | |
//! | `property-gone` | the property is deleted, by default at the first call | |
//!
//! Keys of every kind, which say where and when it strikes:
//!
//! | key | meaning |
//! | --- | --- |
//! | `op` | operations, joined by `\|`; see [`Operation`]. Default: every operation that the kind can strike |
//! | `object` | the object type, in the plural or as an id |
//! | `record` | record ids, joined by `\|`; a call is struck when it names one of them |
//! | `property` | only writes of this property (for `property-gone`: the one to delete) |
//! | `sent` | only writes of exactly this value |
//! | `list` | the list's id, for `processing` and `leave`; default every list |
//! | `after` | that many matches are left alone first |
//! | `every` | of those that follow, each n-th only |
//! | `count` | at most that many strikes |
//! | `p` | chance of each strike, 0 to 1; for kinds that strike records it depends on the record's id alone, so that it stays the same when a batch is split |
//!
//! Examples: `503,op=batch-update,count=3`, `lost-reset,op=batch-update,every=10`, `bad-row,record=100007`,
//! `differs,property=phone,p=0.02;429,count=20`.

use std::fmt::{self, Write as _};
use std::str::FromStr;
use std::time::Duration;

use super::limits::Policy;
use super::route::Operation;
use crate::fault::{Clause, Firing, SpecError, parse_clauses};

/// Statuses that a fault may answer before anything is committed, but for 429.
const STATUSES: [u16; 14] = [400, 401, 403, 404, 414, 423, 477, 500, 502, 503, 504, 521, 523, 524];
/// Statuses that a fault may answer after the commit.
const LOST_STATUSES: [u16; 5] = [500, 502, 503, 504, 524];

const KEYS: &str = "op, object, record, property, sent, list, after, every, count, p";

/// What a fault does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// Answers the status and commits nothing.
    Status {
        /// One of the statuses of the module's table.
        status: u16,
        /// `Retry-After` of a 477.
        retry_after: Duration,
    },
    /// Answers a 429 and commits nothing.
    Throttle(Policy),
    /// Commits, then answers the status.
    LostStatus(u16),
    /// Resets the connection and commits nothing.
    Reset,
    /// Commits, then resets the connection.
    LostReset,
    /// Commits, then answers JSON that is cut off.
    Malformed,
    /// Answers success and commits nothing.
    NoOp,
    /// Answers late.
    Delay(Duration),
    /// Leaves a record out of a batch, silently.
    Omit,
    /// Says that a record does not exist.
    Missing,
    /// Refuses a record's write.
    BadRow {
        /// Whether one error entry or the whole batch; `None` follows the portal's switch.
        partial: Option<bool>,
    },
    /// Stores another value than the sent one: the given one, or the sent one with ` (changed)`.
    Differs(Option<String>),
    /// Keeps a list processing for this many looks.
    Processing {
        /// Answers about the list that still say `PROCESSING`.
        looks: u64,
    },
    /// Takes a written record out of the list.
    Leave,
    /// Deletes the property that the target names.
    PropertyGone,
}

impl FaultKind {
    /// The word of the text form.
    #[must_use]
    pub fn word(&self) -> String {
        match self {
            Self::Status { status, .. } => status.to_string(),
            Self::Throttle(_) => "429".to_owned(),
            Self::LostStatus(status) => format!("lost-{status}"),
            Self::Reset => "reset".to_owned(),
            Self::LostReset => "lost-reset".to_owned(),
            Self::Malformed => "malformed".to_owned(),
            Self::NoOp => "no-op".to_owned(),
            Self::Delay(_) => "delay".to_owned(),
            Self::Omit => "omit".to_owned(),
            Self::Missing => "missing".to_owned(),
            Self::BadRow { .. } => "bad-row".to_owned(),
            Self::Differs(_) => "differs".to_owned(),
            Self::Processing { .. } => "processing".to_owned(),
            Self::Leave => "leave".to_owned(),
            Self::PropertyGone => "property-gone".to_owned(),
        }
    }

    /// Whether it strikes a call as a whole, and not a record or a list within one.
    pub(crate) fn strikes_calls(&self) -> bool {
        match self {
            Self::Status { .. }
            | Self::Throttle(_)
            | Self::LostStatus(_)
            | Self::Reset
            | Self::LostReset
            | Self::Malformed
            | Self::NoOp
            | Self::Delay(_)
            | Self::PropertyGone => true,
            Self::Omit
            | Self::Missing
            | Self::BadRow { .. }
            | Self::Differs(_)
            | Self::Processing { .. }
            | Self::Leave => false,
        }
    }
}

/// Where a fault may strike; an empty part leaves that open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// Operations.
    pub operations: Vec<Operation>,
    /// Object type, in the plural or as an id.
    pub object: Option<String>,
    /// Record ids.
    pub records: Vec<u64>,
    /// A property that the write must set.
    pub property: Option<String>,
    /// The value it must be set to.
    pub sent: Option<String>,
    /// Id of a list.
    pub list: Option<String>,
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
    pub fn record(mut self, id: u64) -> Self {
        self.target.records.push(id);
        self
    }

    /// Strikes writes of this property.
    #[must_use]
    pub fn property(mut self, name: &str) -> Self {
        self.target.property = Some(name.to_owned());
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

/// The faults of a portal, in the order in which they are tried.
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
    if fault.kind == FaultKind::PropertyGone {
        if fault.target.property.is_none() {
            return Err(SpecError("`property-gone` needs `property`".to_owned()));
        }
        fault.firing.count = Some(1);
    }
    Ok(fault)
}

fn kind(word: &str) -> Result<FaultKind, SpecError> {
    const WORDS: [(&str, FaultKind); 13] = [
        ("429", FaultKind::Throttle(Policy::TenSecondly)),
        ("reset", FaultKind::Reset),
        ("lost-reset", FaultKind::LostReset),
        ("malformed", FaultKind::Malformed),
        ("no-op", FaultKind::NoOp),
        ("delay", FaultKind::Delay(Duration::from_secs(1))),
        ("omit", FaultKind::Omit),
        ("missing", FaultKind::Missing),
        ("bad-row", FaultKind::BadRow { partial: None }),
        ("differs", FaultKind::Differs(None)),
        ("processing", FaultKind::Processing { looks: 3 }),
        ("leave", FaultKind::Leave),
        ("property-gone", FaultKind::PropertyGone),
    ];
    if let Some((_, kind)) = WORDS.iter().find(|(name, _)| *name == word) {
        return Ok(kind.clone());
    }
    let number = |text: &str, valid: &[u16]| text.parse().ok().filter(|status| valid.contains(status));
    let lost = word.strip_prefix("lost-").and_then(|text| number(text, &LOST_STATUSES));
    let kind = lost.map(FaultKind::LostStatus).or_else(|| {
        let retry_after = Duration::from_secs(30);
        number(word, &STATUSES).map(|status| FaultKind::Status { status, retry_after })
    });
    kind.ok_or_else(|| {
        let words = WORDS.iter().map(|(name, _)| (*name).to_owned());
        let statuses = STATUSES.iter().map(u16::to_string);
        let lost = LOST_STATUSES.iter().map(|status| format!("lost-{status}"));
        let valid: Vec<String> = statuses.chain(lost).chain(words).collect();
        SpecError(format!("`{word}` is no kind of fault; use one of: {}", valid.join(", ")))
    })
}

fn set(fault: &mut Fault, key: &str, value: &str) -> Result<(), SpecError> {
    if fault.firing.set(key, value)? {
        return Ok(());
    }
    let bad = |what: &str| SpecError(format!("`{key}={value}` is not {what}"));
    let whole = || value.parse::<u64>().map_err(|_| bad("a whole number"));
    let words = || value.split('|').map(str::trim).filter(|word| !word.is_empty());
    match (key, &mut fault.kind) {
        ("op", _) => {
            let operations = words().map(|word| word.parse().map_err(|error| SpecError(format!("{error}"))));
            fault.target.operations = operations.collect::<Result<_, _>>()?;
        }
        ("object", _) => fault.target.object = Some(value.to_owned()),
        ("record", _) => {
            let ids = words().map(|word| word.parse().map_err(|_| bad("record ids joined by `|`")));
            fault.target.records = ids.collect::<Result<_, _>>()?;
        }
        ("property", _) => fault.target.property = Some(value.to_owned()),
        ("sent", _) => fault.target.sent = Some(value.to_owned()),
        ("list", _) => fault.target.list = Some(value.to_owned()),
        ("seconds", FaultKind::Status { retry_after, .. }) => *retry_after = Duration::from_secs(whole()?),
        ("policy", FaultKind::Throttle(policy)) => {
            *policy = value.parse().map_err(|error| SpecError(format!("{error}")))?;
        }
        ("ms", FaultKind::Delay(delay)) => *delay = Duration::from_millis(whole()?),
        ("value", FaultKind::Differs(stored)) => *stored = Some(value.to_owned()),
        ("looks", FaultKind::Processing { looks }) => *looks = whole()?,
        ("answer", FaultKind::BadRow { partial }) => {
            *partial = match value {
                "whole" => Some(false),
                "partial" => Some(true),
                _ => return Err(bad("`whole` or `partial`")),
            };
        }
        (_, kind) => {
            let own = match kind {
                FaultKind::Status { .. } => ", seconds",
                FaultKind::Throttle(_) => ", policy",
                FaultKind::Delay(_) => ", ms",
                FaultKind::Differs(_) => ", value",
                FaultKind::Processing { .. } => ", looks",
                FaultKind::BadRow { .. } => ", answer",
                FaultKind::LostStatus(_)
                | FaultKind::Reset
                | FaultKind::LostReset
                | FaultKind::Malformed
                | FaultKind::NoOp
                | FaultKind::Omit
                | FaultKind::Missing
                | FaultKind::Leave
                | FaultKind::PropertyGone => "",
            };
            let word = kind.word();
            return Err(SpecError(format!("`{word}` has no key `{key}`; use one of: {KEYS}{own}")));
        }
    }
    Ok(())
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
    f.write_str(&kind.word())?;
    match kind {
        FaultKind::Status { retry_after, .. } if *retry_after != Duration::from_secs(30) => {
            write!(f, ",seconds={}", retry_after.as_secs())?;
        }
        FaultKind::Throttle(policy) if *policy != Policy::TenSecondly => {
            write!(f, ",policy={}", policy.as_str())?;
        }
        FaultKind::Delay(delay) => write!(f, ",ms={}", delay.as_millis())?,
        FaultKind::Differs(Some(value)) => write!(f, ",value={value}")?,
        FaultKind::Processing { looks } => write!(f, ",looks={looks}")?,
        FaultKind::BadRow { partial: Some(partial) } => {
            write!(f, ",answer={}", if *partial { "partial" } else { "whole" })?;
        }
        FaultKind::Status { .. }
        | FaultKind::Throttle(_)
        | FaultKind::LostStatus(_)
        | FaultKind::Reset
        | FaultKind::LostReset
        | FaultKind::Malformed
        | FaultKind::NoOp
        | FaultKind::Omit
        | FaultKind::Missing
        | FaultKind::BadRow { partial: None }
        | FaultKind::Differs(None)
        | FaultKind::Leave
        | FaultKind::PropertyGone => {}
    }
    let joined = |words: Vec<String>| words.join("|");
    if !target.operations.is_empty() {
        write!(f, ",op={}", joined(target.operations.iter().map(ToString::to_string).collect()))?;
    }
    if !target.records.is_empty() {
        write!(f, ",record={}", joined(target.records.iter().map(ToString::to_string).collect()))?;
    }
    let texts = [
        ("object", &target.object),
        ("property", &target.property),
        ("sent", &target.sent),
        ("list", &target.list),
    ];
    for (key, text) in texts {
        if let Some(text) = text {
            write!(f, ",{key}={text}")?;
        }
    }
    // It strikes once, which need not be said.
    let count = firing.count.filter(|_| *kind != FaultKind::PropertyGone);
    write!(f, "{}", Firing { count, ..firing.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_reads_back_to_the_same_faults() {
        for spec in [
            "503,op=batch-update|batch-read,count=3",
            "429,policy=daily",
            "477,seconds=5",
            "lost-504,op=batch-update,after=2,every=3",
            "reset;lost-reset;malformed;no-op",
            "delay,ms=20",
            "omit,record=1|2",
            "missing,object=contacts,p=0.5",
            "bad-row,answer=whole,property=phone,sent=nope",
            "differs,value=x,property=phone",
            "processing,looks=2,list=42",
            "leave,list=43",
            "property-gone,property=phone,after=7",
        ] {
            let faults: Faults = spec.parse().unwrap();
            assert_eq!(faults.to_string(), spec);
        }
    }

    #[test]
    fn a_wrong_word_is_answered_with_the_right_ones() {
        let message = |spec: &str| spec.parse::<Faults>().unwrap_err().to_string();
        assert!(message("418").contains("lost-reset"), "{}", message("418"));
        assert!(message("503,op=batchupdate").contains("batch-update"));
        assert!(message("503,looks=3").contains("count"));
        assert!(message("bad-row,answer=maybe").contains("`whole` or `partial`"));
        assert!(message("503,p=2").contains("from 0 to 1"));
        assert!(message("property-gone").contains("needs `property`"));
    }
}
