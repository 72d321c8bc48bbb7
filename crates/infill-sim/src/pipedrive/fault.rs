//! What can go wrong in a simulated company, and the text form of it.
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
//! | `400` `401` `402` `403` `404` `405` `410` `415` `500` `501` `502` `503` `504` | that status; nothing is committed. From 501 on the body is HTML | |
//! | `429` | a refused call although no limit is reached; `blocked` is Cloudflare's 403 | `policy` (`burst`, `search`, `daily`, `blocked`) |
//! | `lost-500` `lost-502` `lost-503` `lost-504` | the call is committed, the answer is that status | |
//! | `reset` | the connection is reset; nothing is committed | |
//! | `lost-reset` | the call is committed, then the connection is reset | |
//! | `malformed` | the call is committed, the answer is cut-off JSON with its ordinary status | |
//! | `no-op` | a write answers 200 with the record as it was; nothing is committed | |
//! | `phantom` | a write answers 200 with the values sent; nothing is committed | |
//! | `delay` | a slow answer | `ms` (1000) |
//! | `missing` | the record is not found, and is left out where ids are asked for | |
//! | `bad-row` | the write of the record is refused with a 400 that names a field | |
//! | `differs` | another value than the sent one is stored; the answer shows the sent one | `value` (else the sent text with ` (changed)`) |
//! | `human-edit` | after the call a person sets `field` of the records `record` | `value` |
//! | `field-gone` | the custom field is deleted, by default at the first call | |
//! | `option-renamed` | the option `from` of the field becomes `to`, by default at the first call | `from`, `to` |
//! | `expire-tokens` | every OAuth access token ends before the call | |
//!
//! Keys of every kind, which say where and when it strikes:
//!
//! | key | meaning |
//! | --- | --- |
//! | `op` | operations, joined by `\|`; see [`Operation`]. Default: every operation |
//! | `object` | `persons`, `organizations`, `deals`, `products`, `activities` or `leads` |
//! | `record` | record ids, joined by `\|`; a call is struck when it names one of them (but for `human-edit`) |
//! | `field` | only writes of this field, by its code or name; for `human-edit`, `field-gone` and `option-renamed` the field itself |
//! | `after` | that many matches are left alone first |
//! | `every` | of those that follow, each n-th only |
//! | `count` | at most that many strikes |
//! | `p` | chance of each strike, 0 to 1; for `missing`, `bad-row` and `differs` it depends on the record's id alone |
//!
//! Examples: `503,op=update,count=3`, `lost-reset,op=update,every=10`, `bad-row,record=100007`,
//! `differs,field=Greeting,p=0.02;429,count=20`, `human-edit,op=list,count=1,record=100001,field=Greeting,value=Mine`.

use std::fmt::{self, Write as _};
use std::str::FromStr;
use std::time::Duration;

use super::entity::Entity;
use super::limits::Policy;
use super::spec::Operation;
use crate::fault::{Clause, Firing, SpecError, parse_clauses};

/// Statuses that a fault may answer before anything is committed, but for 429.
const STATUSES: [u16; 13] = [400, 401, 402, 403, 404, 405, 410, 415, 500, 501, 502, 503, 504];
/// Statuses that a fault may answer after the commit.
const LOST_STATUSES: [u16; 4] = [500, 502, 503, 504];

const KEYS: &str = "op, object, record, field, after, every, count, p";

/// What a fault does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// Answers the status and commits nothing.
    Status(u16),
    /// Answers a 429, or Cloudflare's 403, and commits nothing.
    Throttle(Policy),
    /// Commits, then answers the status.
    LostStatus(u16),
    /// Resets the connection and commits nothing.
    Reset,
    /// Commits, then resets the connection.
    LostReset,
    /// Commits, then answers JSON that is cut off.
    Malformed,
    /// Answers a write with the record as it was, and commits nothing.
    NoOp,
    /// Answers a write with the values sent, and commits nothing.
    Phantom,
    /// Answers late.
    Delay(Duration),
    /// Says that a record does not exist.
    Missing,
    /// Refuses a record's write.
    BadRow,
    /// Stores another value than the sent one: the given one, or the sent text with ` (changed)`.
    Differs(Option<String>),
    /// A person sets a field after the call.
    HumanEdit(String),
    /// Deletes the custom field that the target names.
    FieldGone,
    /// Renames an option of the field that the target names.
    OptionRenamed {
        /// Its label.
        from: String,
        /// Its new label.
        to: String,
    },
    /// Ends every OAuth access token.
    ExpireTokens,
}

impl FaultKind {
    /// The word of the text form.
    #[must_use]
    pub fn word(&self) -> String {
        let word = match self {
            Self::Status(status) => return status.to_string(),
            Self::LostStatus(status) => return format!("lost-{status}"),
            Self::Throttle(_) => "429",
            Self::Reset => "reset",
            Self::LostReset => "lost-reset",
            Self::Malformed => "malformed",
            Self::NoOp => "no-op",
            Self::Phantom => "phantom",
            Self::Delay(_) => "delay",
            Self::Missing => "missing",
            Self::BadRow => "bad-row",
            Self::Differs(_) => "differs",
            Self::HumanEdit(_) => "human-edit",
            Self::FieldGone => "field-gone",
            Self::OptionRenamed { .. } => "option-renamed",
            Self::ExpireTokens => "expire-tokens",
        };
        word.to_owned()
    }

    /// Whether its chance belongs to the record, so that a repeated call meets the same fate.
    pub(crate) fn is_of_record(&self) -> bool {
        matches!(self, Self::Missing | Self::BadRow | Self::Differs(_))
    }

    /// Whether `field` and `record` say what it changes, and not which calls it strikes.
    pub(crate) fn changes_by_itself(&self) -> bool {
        matches!(self, Self::HumanEdit(_) | Self::FieldGone | Self::OptionRenamed { .. })
    }
}

/// Where a fault may strike; an empty part leaves that open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// Operations.
    pub operations: Vec<Operation>,
    /// Kind of record.
    pub entity: Option<Entity>,
    /// Record ids, as in paths.
    pub records: Vec<String>,
    /// A field, by its code or name.
    pub field: Option<String>,
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
    pub fn record(mut self, id: impl fmt::Display) -> Self {
        self.target.records.push(id.to_string());
        self
    }

    /// Strikes writes of this field, or is about it.
    #[must_use]
    pub fn field(mut self, word: &str) -> Self {
        self.target.field = Some(word.to_owned());
        self
    }

    /// Strikes at most `count` times.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.firing.count = Some(count);
        self
    }
}

/// The faults of a company, in the order in which they are tried.
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
    if fault.kind.changes_by_itself() {
        if fault.target.field.is_none() {
            return Err(SpecError(format!("`{}` needs `field`", clause.kind)));
        }
        fault.firing.count = fault.firing.count.or(Some(1));
    }
    if matches!(fault.kind, FaultKind::HumanEdit(_)) && fault.target.records.is_empty() {
        return Err(SpecError("`human-edit` needs `record`".to_owned()));
    }
    Ok(fault)
}

fn kind(word: &str) -> Result<FaultKind, SpecError> {
    let words: [(&str, FaultKind); 14] = [
        ("429", FaultKind::Throttle(Policy::Burst)),
        ("reset", FaultKind::Reset),
        ("lost-reset", FaultKind::LostReset),
        ("malformed", FaultKind::Malformed),
        ("no-op", FaultKind::NoOp),
        ("phantom", FaultKind::Phantom),
        ("delay", FaultKind::Delay(Duration::from_secs(1))),
        ("missing", FaultKind::Missing),
        ("bad-row", FaultKind::BadRow),
        ("differs", FaultKind::Differs(None)),
        ("human-edit", FaultKind::HumanEdit(String::new())),
        ("field-gone", FaultKind::FieldGone),
        ("option-renamed", FaultKind::OptionRenamed { from: String::new(), to: String::new() }),
        ("expire-tokens", FaultKind::ExpireTokens),
    ];
    if let Some((_, kind)) = words.iter().find(|(name, _)| *name == word) {
        return Ok(kind.clone());
    }
    let number = |text: &str, valid: &[u16]| text.parse().ok().filter(|status| valid.contains(status));
    let lost = word.strip_prefix("lost-").and_then(|text| number(text, &LOST_STATUSES));
    let kind = lost.map(FaultKind::LostStatus).or_else(|| number(word, &STATUSES).map(FaultKind::Status));
    kind.ok_or_else(|| {
        let statuses = STATUSES.iter().map(u16::to_string);
        let lost = LOST_STATUSES.iter().map(|status| format!("lost-{status}"));
        let valid: Vec<String> =
            statuses.chain(lost).chain(words.iter().map(|(name, _)| (*name).to_owned())).collect();
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
        ("object", _) => {
            fault.target.entity = Some(value.parse().map_err(|error| SpecError(format!("{error}")))?);
        }
        ("record", _) => fault.target.records = words().map(str::to_owned).collect(),
        ("field", _) => fault.target.field = Some(value.to_owned()),
        ("policy", FaultKind::Throttle(policy)) => {
            *policy = value.parse().map_err(|error| SpecError(format!("{error}")))?;
        }
        ("ms", FaultKind::Delay(delay)) => *delay = Duration::from_millis(whole()?),
        ("value", FaultKind::Differs(stored)) => *stored = Some(value.to_owned()),
        ("value", FaultKind::HumanEdit(typed)) => value.clone_into(typed),
        ("from", FaultKind::OptionRenamed { from, .. }) => value.clone_into(from),
        ("to", FaultKind::OptionRenamed { to, .. }) => value.clone_into(to),
        (_, kind) => {
            let word = kind.word();
            let own = match kind {
                FaultKind::Throttle(_) => ", policy",
                FaultKind::Delay(_) => ", ms",
                FaultKind::Differs(_) | FaultKind::HumanEdit(_) => ", value",
                FaultKind::OptionRenamed { .. } => ", from, to",
                FaultKind::Status(_)
                | FaultKind::LostStatus(_)
                | FaultKind::Reset
                | FaultKind::LostReset
                | FaultKind::Malformed
                | FaultKind::NoOp
                | FaultKind::Phantom
                | FaultKind::Missing
                | FaultKind::BadRow
                | FaultKind::FieldGone
                | FaultKind::ExpireTokens => "",
            };
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
        FaultKind::Throttle(policy) if *policy != Policy::Burst => write!(f, ",policy={policy}")?,
        FaultKind::Delay(delay) => write!(f, ",ms={}", delay.as_millis())?,
        FaultKind::Differs(Some(value)) | FaultKind::HumanEdit(value) => write!(f, ",value={value}")?,
        FaultKind::OptionRenamed { from, to } => write!(f, ",from={from},to={to}")?,
        FaultKind::Throttle(_)
        | FaultKind::Differs(None)
        | FaultKind::Status(_)
        | FaultKind::LostStatus(_)
        | FaultKind::Reset
        | FaultKind::LostReset
        | FaultKind::Malformed
        | FaultKind::NoOp
        | FaultKind::Phantom
        | FaultKind::Missing
        | FaultKind::BadRow
        | FaultKind::FieldGone
        | FaultKind::ExpireTokens => {}
    }
    if !target.operations.is_empty() {
        let words: Vec<&str> = target.operations.iter().map(|operation| operation.as_str()).collect();
        write!(f, ",op={}", words.join("|"))?;
    }
    if let Some(entity) = target.entity {
        write!(f, ",object={entity}")?;
    }
    if !target.records.is_empty() {
        write!(f, ",record={}", target.records.join("|"))?;
    }
    if let Some(field) = &target.field {
        write!(f, ",field={field}")?;
    }
    write!(f, "{firing}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_is_read_and_written_alike() {
        for spec in [
            "503,op=update,count=3",
            "lost-reset,op=update|create,every=10;429,policy=daily,after=2",
            "bad-row,object=persons,record=100007|100008",
            "differs,value=x,field=Greeting,p=0.5",
            "human-edit,value=Mine,op=list,record=1,field=Greeting,count=1",
            "option-renamed,from=Silver,to=Platinum,field=Tier,count=1",
            "delay,ms=20;phantom;no-op;expire-tokens",
        ] {
            assert_eq!(spec.parse::<Faults>().unwrap().to_string(), spec);
        }
    }

    #[test]
    fn mistakes_name_the_valid_words() {
        let wrong = |spec: &str| spec.parse::<Faults>().unwrap_err().to_string();
        assert!(wrong("418").contains("lost-reset"));
        assert!(wrong("503,when=now").contains("after"));
        assert!(wrong("503,op=erase").contains("update"));
        assert!(wrong("field-gone").contains("needs `field`"));
        assert!(wrong("human-edit,field=name").contains("needs `record`"));
    }
}
