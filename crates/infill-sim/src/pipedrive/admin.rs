//! The admin endpoints: what a simulator has seen, and changing it from outside the process.
//!
//! They need no token, are counted and metered by nothing, and are struck by no fault. Bodies are JSON. Kinds of records
//! (`O`) are named as in paths, fields by code or by name.
//!
//! | call | what it does |
//! | --- | --- |
//! | `GET /_admin` | lists these endpoints |
//! | `GET /_admin/report` | calls and tokens per endpoint, refused calls per limit, worst windows, strikes of faults, writes in all |
//! | `GET /_admin/ledger?after=N&limit=N&object=O&record=ID` | committed writes of clients, in order; `next` is the `after` of the next page (`limit` is 1000 unless given) |
//! | `GET /_admin/writes/{O}` | writes per record id |
//! | `GET /_admin/records/{O}?after=N&limit=N` | ids of records, the first `after` skipped (100 unless given) |
//! | `GET /_admin/records/{O}/{id}` | one record |
//! | `POST /_admin/records/{O}/{id}` | `{"fields": {"Greeting": "Hello"}}`: edits as a person |
//! | `POST /_admin/delete`, `POST /_admin/restore` | `{"object", "record"}` |
//! | `GET /_admin/fields/{O}` | codes of the fields by name |
//! | `POST /_admin/fields/add` | `{"object", "name", "type", "options"}` |
//! | `POST /_admin/fields/delete` | `{"object", "field"}` |
//! | `POST /_admin/fields/rename-option` | `{"object", "field", "from", "to"}` |
//! | `GET /_admin/filters/{id}` | ids of the records it holds now |
//! | `GET /_admin/faults` | the faults in force and their strikes |
//! | `POST /_admin/faults` | `{"spec": "..."}` replaces them; an empty text ends them |
//! | `POST /_admin/limits` | `{"limits": "premium"}` or a tier with seats, `N`, `N/D` |
//! | `POST /_admin/spend` | `{"tokens": N}` of the day, as by others |
//! | `GET /_admin/clock` | the simulator's time |
//! | `POST /_admin/clock` | `{"advance_ms": N}` moves it forward |
//! | `POST /_admin/tokens` | `{"expire": true, "revoke": true, "ttl_s": N, "code": true}` for OAuth; `code` gives one out |
//! | `POST /_admin/reset` | forgets counts, ledger and worst windows |

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::Error;
use super::answer::{Answer, timestamp_ms};
use super::catalog::plain;
use super::company::Company;
use super::control::Control;
use super::dispatch::Incoming;
use super::fault::Faults;
use super::limits::Limits;
use super::report::Write;
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
    "GET /_admin/records/{object}?after=N&limit=N",
    "GET /_admin/records/{object}/{id}",
    "POST /_admin/records/{object}/{id} {\"fields\": {}}",
    "POST /_admin/delete {\"object\", \"record\"}",
    "POST /_admin/restore {\"object\", \"record\"}",
    "GET /_admin/fields/{object}",
    "POST /_admin/fields/add {\"object\", \"name\", \"type\", \"options\": []}",
    "POST /_admin/fields/delete {\"object\", \"field\"}",
    "POST /_admin/fields/rename-option {\"object\", \"field\", \"from\", \"to\"}",
    "GET /_admin/filters/{id}",
    "GET /_admin/faults",
    "POST /_admin/faults {\"spec\": \"\"}",
    "POST /_admin/limits {\"limits\": \"premium\"}",
    "POST /_admin/spend {\"tokens\": 0}",
    "GET /_admin/clock",
    "POST /_admin/clock {\"advance_ms\": 0}",
    "POST /_admin/tokens {\"expire\": true, \"revoke\": true, \"ttl_s\": 0, \"code\": true}",
    "POST /_admin/reset",
    "GET /_admin",
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
pub(crate) fn answer(company: &Arc<Company>, incoming: &Incoming<'_>) -> Answer {
    let control = Control(Arc::clone(company));
    let path = percent_decode(incoming.path);
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).skip(1).collect();
    let done = if incoming.method == "GET" {
        look(&control, &Pairs::parse(incoming.query), &segments)
    } else {
        change(&control, incoming, &segments)
    };
    match done {
        Ok(body) => Answer::value(200, &body),
        Err(Trouble(status, message)) => Answer::value(status, &json!({"error": message})),
    }
}

fn unknown() -> Trouble {
    Trouble(404, "no such admin endpoint; GET /_admin lists them".to_owned())
}

fn look(control: &Control, query: &Pairs, segments: &[&str]) -> Result<Value, Trouble> {
    match segments {
        [] => Ok(json!({"endpoints": ENDPOINTS})),
        ["report"] => to_value(&control.report()),
        ["ledger"] => ledger(control, query),
        ["writes", object] => to_value(&control.writes_per_record(object)?),
        ["records", object] => {
            let ids = control.record_ids(object)?;
            let (after, limit) = (page(query, "after", 0)?, page(query, "limit", DEFAULT_RECORDS_PAGE)?);
            let shown: Vec<&String> = ids.iter().skip(after).take(limit).collect();
            Ok(json!({"total": ids.len(), "records": shown}))
        }
        ["records", object, id] => Ok(control.record(object, id)?),
        ["fields", object] => to_value(&control.fields(object)?),
        ["filters", id] => {
            let id = id.parse().map_err(|_| Trouble(400, format!("`{id}` is not a whole number")))?;
            let members = control.filter_members(id)?;
            Ok(json!({"size": members.len(), "members": members}))
        }
        ["faults"] => Ok(json!({"spec": control.faults().to_string(), "strikes": control.strikes()})),
        ["clock"] => Ok(clock(control)),
        _ => Err(unknown()),
    }
}

fn change(control: &Control, incoming: &Incoming<'_>, segments: &[&str]) -> Result<Value, Trouble> {
    match segments {
        ["records", object, id] => {
            let Edit { fields } = read(incoming)?;
            for (name, value) in &fields {
                control.edit(object, id, name, value)?;
            }
            Ok(control.record(object, id)?)
        }
        ["delete"] => {
            let One { object, record } = read(incoming)?;
            done(control.delete(&object, plain(&record)))
        }
        ["restore"] => {
            let One { object, record } = read(incoming)?;
            done(control.restore(&object, plain(&record)))
        }
        ["fields", "add"] => {
            let Add { object, name, kind, options } = read(incoming)?;
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            Ok(json!({"code": control.add_field(&object, &name, &kind, &options)?}))
        }
        ["fields", "delete"] => {
            let FieldOf { object, field, .. } = read(incoming)?;
            done(control.delete_field(&object, &field))
        }
        ["fields", "rename-option"] => {
            let FieldOf { object, field, from, to } = read(incoming)?;
            done(control.rename_option(&object, &field, &from, &to))
        }
        ["faults"] => {
            let Spec { spec } = read(incoming)?;
            let faults: Faults = spec.parse().map_err(|error| Trouble(400, format!("{error}")))?;
            control.set_faults(faults);
            Ok(json!({"spec": control.faults().to_string()}))
        }
        ["limits"] => {
            let NewLimits { limits } = read(incoming)?;
            let limits: Limits = limits.parse().map_err(|error| Trouble(400, format!("{error}")))?;
            control.set_limits(limits);
            Ok(json!({}))
        }
        ["spend"] => {
            let Spend { tokens } = read(incoming)?;
            control.spend_tokens(tokens);
            to_value(&control.tokens())
        }
        ["clock"] => {
            let Advance { advance_ms } = read(incoming)?;
            control.advance_clock(Duration::from_millis(advance_ms));
            Ok(clock(control))
        }
        ["tokens"] => tokens(control, &read(incoming)?),
        ["reset"] => {
            control.reset_counters();
            Ok(json!({}))
        }
        _ => Err(unknown()),
    }
}

#[derive(Deserialize)]
struct One {
    object: String,
    record: Value,
}

#[derive(Deserialize)]
struct Edit {
    fields: Map<String, Value>,
}

#[derive(Deserialize)]
struct Add {
    object: String,
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    options: Vec<String>,
}

#[derive(Deserialize)]
struct FieldOf {
    object: String,
    field: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
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
struct Spend {
    tokens: u64,
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
    code: bool,
    #[serde(default)]
    ttl_s: Option<u64>,
}

fn tokens(control: &Control, wish: &Tokens) -> Result<Value, Trouble> {
    if wish.expire {
        control.expire_tokens();
    }
    if wish.revoke {
        control.revoke_refresh_tokens();
    }
    if let Some(seconds) = wish.ttl_s {
        control.set_token_ttl(Duration::from_secs(seconds));
    }
    Ok(if wish.code { json!({"code": control.issue_code()}) } else { json!({}) })
}

fn done(result: Result<(), Error>) -> Result<Value, Trouble> {
    result?;
    Ok(json!({}))
}

fn read<T: DeserializeOwned>(incoming: &Incoming<'_>) -> Result<T, Trouble> {
    serde_json::from_slice(incoming.body)
        .map_err(|error| Trouble(400, format!("cannot read the body: {error}")))
}

fn to_value(value: &impl serde::Serialize) -> Result<Value, Trouble> {
    serde_json::to_value(value).map_err(|error| Trouble(500, format!("cannot write the answer: {error}")))
}

fn clock(control: &Control) -> Value {
    json!({"now": timestamp_ms(control.now_ms()), "now_ms": control.now_ms()})
}

fn page(query: &Pairs, name: &str, default: usize) -> Result<usize, Trouble> {
    let Some(text) = query.first(name) else { return Ok(default) };
    text.parse().map_err(|_| Trouble(400, format!("`{text}` is not a whole number")))
}

fn ledger(control: &Control, query: &Pairs) -> Result<Value, Trouble> {
    let (after, limit) = (page(query, "after", 0)?, page(query, "limit", DEFAULT_LEDGER_PAGE)?);
    let (object, record) = (query.first("object"), query.first("record"));
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
