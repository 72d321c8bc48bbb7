//! The admin endpoints: what a simulator has seen, and changing it from outside the process.
//!
//! They need no token, are counted and metered by nothing, and are struck by no fault. Bodies are JSON.
//!
//! | call | what it does |
//! | --- | --- |
//! | `GET /_admin` | lists these endpoints |
//! | `GET /_admin/report` | calls per operation, refused calls per policy, worst windows, strikes of faults, writes in all |
//! | `GET /_admin/ledger?after=N&limit=N&object=O&record=ID` | committed property writes of clients, in order; `next` is the `after` of the next page (`limit` is 1000 unless given) |
//! | `GET /_admin/writes/{object}` | property writes per record id |
//! | `GET /_admin/records/{object}?after=ID&limit=N` | ids of records (100 unless given) |
//! | `GET /_admin/records/{object}/{id}` | one record: values, history of those that changed, survivor |
//! | `POST /_admin/records/{object}/{id}` | `{"properties": {"name": "value"}}`: edits as a person |
//! | `POST /_admin/merge` | `{"object", "survivor", "merged"}` |
//! | `POST /_admin/archive`, `POST /_admin/restore` | `{"object", "record"}` |
//! | `POST /_admin/properties/delete` | `{"object", "property"}` |
//! | `GET /_admin/lists/{id}` | ids of its members |
//! | `POST /_admin/lists/{id}` | `{"add": [...], "remove": [...]}` |
//! | `GET /_admin/faults` | the faults in force and their strikes |
//! | `POST /_admin/faults` | `{"spec": "..."}` replaces them; an empty text ends them |
//! | `POST /_admin/limits` | `{"limits": "professional"}` or a tier, `N`, `N/D` |
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
use super::answer::{Answer, timestamp};
use super::batch::id_text;
use super::control::Control;
use super::dispatch::Incoming;
use super::fault::Faults;
use super::limits::Limits;
use super::portal::Portal;
use super::report::Write;
use crate::query::{Pairs, percent_decode};

/// Where the admin endpoints begin.
pub(crate) const PREFIX: &str = "/_admin";

const DEFAULT_LEDGER_PAGE: usize = 1_000;
const DEFAULT_RECORDS_PAGE: usize = 100;

/// The endpoints, for `GET /_admin`.
const ENDPOINTS: [&str; 20] = [
    "GET /_admin/report",
    "GET /_admin/ledger?after=N&limit=N&object=O&record=ID",
    "GET /_admin/writes/{object}",
    "GET /_admin/records/{object}?after=ID&limit=N",
    "GET /_admin/records/{object}/{id}",
    "POST /_admin/records/{object}/{id} {\"properties\": {}}",
    "POST /_admin/merge {\"object\", \"survivor\", \"merged\"}",
    "POST /_admin/archive {\"object\", \"record\"}",
    "POST /_admin/restore {\"object\", \"record\"}",
    "POST /_admin/properties/delete {\"object\", \"property\"}",
    "GET /_admin/lists/{id}",
    "POST /_admin/lists/{id} {\"add\": [], \"remove\": []}",
    "GET /_admin/faults",
    "POST /_admin/faults {\"spec\": \"\"}",
    "POST /_admin/limits {\"limits\": \"professional\"}",
    "GET /_admin/clock",
    "POST /_admin/clock {\"advance_ms\": 0}",
    "POST /_admin/tokens {\"expire\": true, \"revoke\": true, \"ttl_s\": 0}",
    "POST /_admin/reset",
    "GET /_admin",
];

/// What went wrong with an admin call: its status and a message.
struct Trouble(u16, String);

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self(404, error.to_string())
    }
}

/// Answers an admin call.
pub(crate) fn answer(portal: &Arc<Portal>, incoming: &Incoming<'_>) -> Answer {
    let control = Control(Arc::clone(portal));
    let path = percent_decode(incoming.path);
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).skip(1).collect();
    match perform(&control, incoming, &segments) {
        Ok(body) => Answer::value(200, &body),
        Err(Trouble(status, message)) => Answer::value(status, &json!({"error": message})),
    }
}

fn perform(control: &Control, incoming: &Incoming<'_>, segments: &[&str]) -> Result<Value, Trouble> {
    let query = Pairs::parse(incoming.query);
    match (incoming.method, segments) {
        ("GET", []) => Ok(json!({"endpoints": ENDPOINTS})),
        ("GET", ["report"]) => to_value(&control.report()),
        ("GET", ["ledger"]) => ledger(control, &query),
        ("GET", ["writes", object]) => to_value(&control.writes_per_record(object)?),
        ("GET", ["records", object]) => records(control, object, &query),
        ("GET", ["records", object, id]) => Ok(control.record(object, number(id)?)?),
        ("POST", ["records", object, id]) => edit(control, object, number(id)?, read(incoming)?),
        ("POST", ["merge"]) => {
            let Merge { object, survivor, merged } = read(incoming)?;
            control.merge(&object, number(&id_text(&survivor))?, number(&id_text(&merged))?)?;
            Ok(json!({}))
        }
        ("POST", ["archive"]) => {
            let One { object, record } = read(incoming)?;
            control.archive(&object, number(&id_text(&record))?)?;
            Ok(json!({}))
        }
        ("POST", ["restore"]) => {
            let One { object, record } = read(incoming)?;
            control.restore(&object, number(&id_text(&record))?)?;
            Ok(json!({}))
        }
        ("POST", ["properties", "delete"]) => {
            let Delete { object, property } = read(incoming)?;
            control.delete_property(&object, &property)?;
            Ok(json!({}))
        }
        ("GET", ["lists", id]) => {
            let members: Vec<String> = control.members(id)?.iter().map(u64::to_string).collect();
            Ok(json!({"size": members.len(), "members": members}))
        }
        ("POST", ["lists", id]) => {
            let Membership { add, remove } = read(incoming)?;
            let ids = |values: Vec<Value>| {
                values.iter().map(|id| number(&id_text(id))).collect::<Result<Vec<_>, _>>()
            };
            control.add_members(id, &ids(add)?)?;
            control.remove_members(id, &ids(remove)?)?;
            Ok(json!({}))
        }
        ("GET", ["faults"]) => {
            Ok(json!({"spec": control.faults().to_string(), "strikes": control.strikes()}))
        }
        ("POST", ["faults"]) => {
            let Spec { spec } = read(incoming)?;
            let faults: Faults = spec.parse().map_err(|error| Trouble(400, format!("{error}")))?;
            control.set_faults(faults);
            Ok(json!({"spec": control.faults().to_string()}))
        }
        ("POST", ["limits"]) => {
            let NewLimits { limits } = read(incoming)?;
            let limits: Limits = limits.parse().map_err(|error| Trouble(400, format!("{error}")))?;
            control.set_limits(limits);
            Ok(json!({}))
        }
        ("GET", ["clock"]) => Ok(clock(control)),
        ("POST", ["clock"]) => {
            let Advance { advance_ms } = read(incoming)?;
            control.advance_clock(Duration::from_millis(advance_ms));
            Ok(clock(control))
        }
        ("POST", ["tokens"]) => {
            let Tokens { expire, revoke, ttl_s } = read(incoming)?;
            if expire {
                control.expire_tokens();
            }
            if revoke {
                control.revoke_refresh_tokens();
            }
            if let Some(seconds) = ttl_s {
                control.set_token_ttl(Duration::from_secs(seconds));
            }
            Ok(json!({}))
        }
        ("POST", ["reset"]) => {
            control.reset_counters();
            Ok(json!({}))
        }
        _ => Err(Trouble(404, "no such admin endpoint; GET /_admin lists them".to_owned())),
    }
}

#[derive(Deserialize)]
struct Merge {
    object: String,
    survivor: Value,
    merged: Value,
}

#[derive(Deserialize)]
struct One {
    object: String,
    record: Value,
}

#[derive(Deserialize)]
struct Delete {
    object: String,
    property: String,
}

#[derive(Deserialize)]
struct Edit {
    properties: Map<String, Value>,
}

#[derive(Deserialize)]
struct Membership {
    #[serde(default)]
    add: Vec<Value>,
    #[serde(default)]
    remove: Vec<Value>,
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

fn read<T: DeserializeOwned>(incoming: &Incoming<'_>) -> Result<T, Trouble> {
    serde_json::from_slice(incoming.body)
        .map_err(|error| Trouble(400, format!("cannot read the body: {error}")))
}

fn to_value(value: &impl serde::Serialize) -> Result<Value, Trouble> {
    serde_json::to_value(value).map_err(|error| Trouble(500, format!("cannot write the answer: {error}")))
}

fn number(text: &str) -> Result<u64, Trouble> {
    text.parse().map_err(|_| Trouble(400, format!("`{text}` is not a whole number")))
}

fn clock(control: &Control) -> Value {
    json!({"now": timestamp(control.now_ms()), "now_ms": control.now_ms()})
}

fn edit(control: &Control, object: &str, id: u64, Edit { properties }: Edit) -> Result<Value, Trouble> {
    for (name, value) in &properties {
        control.edit(object, id, name, &id_text(value)).map_err(|error| {
            let status = if matches!(error, Error::Refused(_)) { 400 } else { 404 };
            Trouble(status, error.to_string())
        })?;
    }
    Ok(control.record(object, id)?)
}

fn records(control: &Control, object: &str, query: &Pairs) -> Result<Value, Trouble> {
    let after = query.first("after").map(number).transpose()?.unwrap_or(0);
    let limit = page(query, DEFAULT_RECORDS_PAGE)?;
    let ids = control.record_ids(object)?;
    let shown: Vec<String> = ids.iter().filter(|id| **id > after).take(limit).map(u64::to_string).collect();
    Ok(json!({"total": ids.len(), "records": shown}))
}

fn page(query: &Pairs, default: usize) -> Result<usize, Trouble> {
    let given = query.first("limit").map(number).transpose()?;
    Ok(given.map_or(default, |limit| usize::try_from(limit).unwrap_or(usize::MAX)))
}

fn ledger(control: &Control, query: &Pairs) -> Result<Value, Trouble> {
    let after = query.first("after").map(number).transpose()?.unwrap_or(0);
    let after = usize::try_from(after).unwrap_or(usize::MAX);
    let limit = page(query, DEFAULT_LEDGER_PAGE)?;
    let object = query.first("object");
    let record = query.first("record").map(number).transpose()?;
    let is_wanted = |write: &Write| {
        object.is_none_or(|object| write.object == object)
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
