//! The admin endpoints: what a simulator has seen, and changing it from outside the process.
//!
//! They need no session, are counted and metered by nothing, and are struck by no fault. Bodies are JSON.
//!
//! | call | what it does |
//! | --- | --- |
//! | `GET /_admin` | lists these endpoints |
//! | `GET /_admin/report` | calls per operation, API requests, refused calls per cause, strikes of faults, writes in all |
//! | `GET /_admin/ledger?after=N&limit=N&object=O&record=ID` | committed field writes of clients, in order; `next` is the `after` of the next page (`limit` is 1000 unless given) |
//! | `GET /_admin/writes/{object}` | field writes per record id |
//! | `GET /_admin/records/{object}?limit=N` | ids of records (100 unless given) |
//! | `GET /_admin/records/{object}/{id}` | one record with its values |
//! | `POST /_admin/records/{object}/{id}` | `{"fields": {"name": "value"}}`: edits as a person |
//! | `POST /_admin/merge` | `{"object", "survivor", "merged"}` |
//! | `POST /_admin/delete`, `POST /_admin/undelete`, `POST /_admin/touch` | `{"object", "record"}` |
//! | `POST /_admin/approval` | `{"object", "record", "locked": true}` |
//! | `POST /_admin/lock`, `POST /_admin/unlock` | `{"record"}`: somebody else's transaction holds the row |
//! | `POST /_admin/fields/hide` | `{"object", "field"}` |
//! | `GET /_admin/faults` | the faults in force and their strikes |
//! | `POST /_admin/faults` | `{"spec": "..."}` replaces them; an empty text ends them |
//! | `POST /_admin/release` | lets go the answers that `hold` faults hold |
//! | `POST /_admin/limits` | `{"limits": "enterprise"}` or another edition, or a number of requests a day |
//! | `GET /_admin/clock` | the simulator's time |
//! | `POST /_admin/clock` | `{"advance_ms": N}` moves it forward |
//! | `POST /_admin/tokens` | `{"expire": true}` ends access tokens, `{"revoke": true}` refresh tokens, `{"ttl_s": N}` sets their life |
//! | `POST /_admin/reset` | forgets counts, ledger and worst windows |

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::Error;
use super::answer::Answer;
use super::control::Control;
use super::dispatch::Incoming;
use super::fault::Faults;
use super::limits::Limits;
use super::org::Org;
use super::report::Write;
use super::value::utc;
use crate::query::{Pairs, percent_decode};

/// Where the admin endpoints begin.
pub(crate) const PREFIX: &str = "/_admin";

const DEFAULT_LEDGER_PAGE: usize = 1_000;
const DEFAULT_RECORDS_PAGE: usize = 100;

/// The endpoints, for `GET /_admin`.
const ENDPOINTS: [&str; 22] = [
    "GET /_admin/report",
    "GET /_admin/ledger?after=N&limit=N&object=O&record=ID",
    "GET /_admin/writes/{object}",
    "GET /_admin/records/{object}?limit=N",
    "GET /_admin/records/{object}/{id}",
    "POST /_admin/records/{object}/{id} {\"fields\": {}}",
    "POST /_admin/merge {\"object\", \"survivor\", \"merged\"}",
    "POST /_admin/delete {\"object\", \"record\"}",
    "POST /_admin/undelete {\"object\", \"record\"}",
    "POST /_admin/touch {\"object\", \"record\"}",
    "POST /_admin/approval {\"object\", \"record\", \"locked\"}",
    "POST /_admin/lock {\"record\"}",
    "POST /_admin/unlock {\"record\"}",
    "POST /_admin/fields/hide {\"object\", \"field\"}",
    "GET /_admin/faults",
    "POST /_admin/faults {\"spec\": \"\"}",
    "POST /_admin/release",
    "POST /_admin/limits {\"limits\": \"enterprise\"}",
    "GET /_admin/clock",
    "POST /_admin/clock {\"advance_ms\": 0}",
    "POST /_admin/tokens {\"expire\": true, \"revoke\": true, \"ttl_s\": 0}",
    "POST /_admin/reset",
];

/// What went wrong with an admin call: its status and a message.
struct Trouble(u16, String);

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        let status = if matches!(error, Error::Refused(_)) { 400 } else { 404 };
        Self(status, error.to_string())
    }
}

/// Answers an admin call.
pub(crate) fn answer(org: &Arc<Org>, incoming: &Incoming<'_>) -> Answer {
    let control = Control(Arc::clone(org));
    let path = percent_decode(incoming.path);
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).skip(1).collect();
    let done = match incoming.method {
        "GET" => look(&control, &segments, &Pairs::parse(incoming.query)),
        "POST" => act(&control, &segments, incoming.body),
        _ => Err(no_such_endpoint()),
    };
    match done {
        Ok(body) => Answer::value(200, &body),
        Err(Trouble(status, message)) => Answer::value(status, &json!({"error": message})),
    }
}

fn no_such_endpoint() -> Trouble {
    Trouble(404, "no such admin endpoint; GET /_admin lists them".to_owned())
}

fn look(control: &Control, segments: &[&str], query: &Pairs) -> Result<Value, Trouble> {
    match segments {
        [] => Ok(json!({"endpoints": ENDPOINTS})),
        ["report"] => to_value(&control.report()),
        ["ledger"] => ledger(control, query),
        ["writes", object] => to_value(&control.writes_per_record(object)?),
        ["records", object] => {
            let ids = control.record_ids(object)?;
            let shown: Vec<&String> =
                ids.iter().take(number(query, "limit", DEFAULT_RECORDS_PAGE)?).collect();
            Ok(json!({"total": ids.len(), "records": shown}))
        }
        ["records", object, id] => Ok(control.record(object, id)?),
        ["faults"] => Ok(json!({"spec": control.faults().to_string(), "strikes": control.strikes()})),
        ["clock"] => Ok(clock(control)),
        _ => Err(no_such_endpoint()),
    }
}

fn act(control: &Control, segments: &[&str], body: &[u8]) -> Result<Value, Trouble> {
    match segments {
        ["records", object, id] => {
            let Edit { fields } = read(body)?;
            for (name, value) in &fields {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                control.edit(object, id, name, if value.is_null() { "" } else { &text })?;
            }
            return Ok(control.record(object, id)?);
        }
        ["merge"] => {
            let Merge { object, survivor, merged } = read(body)?;
            control.merge(&object, &survivor, &merged)?;
        }
        ["delete" | "undelete" | "touch" | "approval"] => {
            let One { object, record, locked } = read(body)?;
            match segments.first() {
                Some(&"delete") => control.delete(&object, &record)?,
                Some(&"undelete") => control.undelete(&object, &record)?,
                Some(&"touch") => control.touch(&object, &record)?,
                _ => control.set_in_approval(&object, &record, locked)?,
            }
        }
        ["lock"] => control.lock_row(&read::<Row>(body)?.record),
        ["unlock"] => control.unlock_row(&read::<Row>(body)?.record),
        ["fields", "hide"] => {
            let Hide { object, field } = read(body)?;
            control.hide_field(&object, &field)?;
        }
        ["faults"] => {
            let faults: Faults =
                read::<Spec>(body)?.spec.parse().map_err(|error| Trouble(400, format!("{error}")))?;
            control.set_faults(faults);
            return Ok(json!({"spec": control.faults().to_string()}));
        }
        ["release"] => control.release(),
        ["limits"] => {
            let limits: Limits =
                read::<NewLimits>(body)?.limits.parse().map_err(|error| Trouble(400, format!("{error}")))?;
            control.set_limits(limits);
        }
        ["clock"] => {
            control.advance_clock(Duration::from_millis(read::<Advance>(body)?.advance_ms));
            return Ok(clock(control));
        }
        ["tokens"] => tokens(control, &read(body)?),
        ["reset"] => control.reset_counters(),
        _ => return Err(no_such_endpoint()),
    }
    Ok(json!({}))
}

fn tokens(control: &Control, Tokens { expire, revoke, ttl_s }: &Tokens) {
    if *expire {
        control.expire_tokens();
    }
    if *revoke {
        control.revoke_refresh_tokens();
    }
    if let Some(seconds) = ttl_s {
        control.set_token_ttl(Duration::from_secs(*seconds));
    }
}

#[derive(Deserialize)]
struct Edit {
    fields: Map<String, Value>,
}

#[derive(Deserialize)]
struct Merge {
    object: String,
    survivor: String,
    merged: String,
}

#[derive(Deserialize)]
struct One {
    object: String,
    record: String,
    #[serde(default)]
    locked: bool,
}

#[derive(Deserialize)]
struct Row {
    record: String,
}

#[derive(Deserialize)]
struct Hide {
    object: String,
    field: String,
}

#[derive(Deserialize)]
struct Spec {
    spec: String,
}

#[derive(Deserialize)]
struct NewLimits {
    limits: String,
}

#[derive(Deserialize)]
struct Advance {
    advance_ms: u64,
}

#[derive(Deserialize)]
struct Tokens {
    #[serde(default)]
    expire: bool,
    #[serde(default)]
    revoke: bool,
    #[serde(default)]
    ttl_s: Option<u64>,
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Trouble> {
    serde_json::from_slice(body).map_err(|error| Trouble(400, format!("cannot read the body: {error}")))
}

fn to_value(value: &impl serde::Serialize) -> Result<Value, Trouble> {
    serde_json::to_value(value).map_err(|error| Trouble(500, format!("cannot write the answer: {error}")))
}

fn number(query: &Pairs, name: &str, default: usize) -> Result<usize, Trouble> {
    let given = query
        .first(name)
        .map(|text| text.parse().map_err(|_| Trouble(400, format!("`{text}` is not a whole number"))));
    given.transpose().map(|given| given.unwrap_or(default))
}

fn clock(control: &Control) -> Value {
    json!({"now": utc(control.now_ms()), "now_ms": control.now_ms()})
}

fn ledger(control: &Control, query: &Pairs) -> Result<Value, Trouble> {
    let after = number(query, "after", 0)?;
    let limit = number(query, "limit", DEFAULT_LEDGER_PAGE)?;
    let (object, record) = (query.first("object"), query.first("record"));
    let is_wanted = |write: &Write| {
        object.is_none_or(|object| write.object.eq_ignore_ascii_case(object))
            && record.is_none_or(|record| write.record == record)
    };
    let ledger = control.ledger();
    let wanted = ledger.iter().enumerate().skip(after).filter(|(_, write)| is_wanted(write));
    let shown: Vec<(usize, &Write)> = wanted.take(limit).collect();
    let last = shown.last().map_or(after, |(idx, _)| idx + 1);
    let writes: Vec<&Write> = shown.into_iter().map(|(_, write)| write).collect();
    let next = ledger.iter().skip(last).any(is_wanted).then_some(last);
    Ok(json!({"total": ledger.len(), "writes": to_value(&writes)?, "next": next}))
}
