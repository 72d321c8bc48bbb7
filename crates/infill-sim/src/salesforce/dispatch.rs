//! One call from its first byte to its answer: session, limits, faults, operation, faults again.

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use serde_json::json;

use super::answer::{Answer, Refusal};
use super::auth::{self, refuse};
use super::config::ApiVersion;
use super::fault::{Fault, FaultKind};
use super::limits::Cause;
use super::org::{Ask, Flight, Org};
use super::report::End;
use super::route::{Call, Operation, route};
use super::write::Verb;
use super::{
    bulk, bulk_query, collections, composite, describe, identity, ingest, list_view, query, record_call,
};
use crate::query::Pairs;

/// The vendor's cap on the address and the headers together.
const MAX_HEAD_BYTES: usize = 16_384;

/// A call as it came over the wire.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Incoming<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

/// What to send back, and when.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) delay: Duration,
    /// Whether the answer waits to be released.
    pub(crate) is_held: bool,
    /// `None` resets the connection.
    pub(crate) answer: Option<Answer>,
    /// Dropped once the answer is on its way.
    pub(crate) flight: Flight,
}

/// Answers a call to the vendor's API.
pub(crate) fn dispatch(org: &Arc<Org>, incoming: &Incoming<'_>) -> Outgoing {
    let now_ms = org.clock.now_ms();
    let nth = org.next_request();
    bulk::settle(org, now_ms);
    let found = route(incoming.method, incoming.path);
    let outcome = match &found {
        _ if uri_len(incoming) > MAX_HEAD_BYTES => Outcome::answered(Answer::html(414, "URI Too Long")),
        _ if uri_len(incoming) + head_len(incoming.headers) > MAX_HEAD_BYTES => {
            Outcome::answered(Answer::html(431, "Request Header Fields Too Large"))
        }
        Some(call) => run(org, incoming, call, now_ms, nth),
        None => {
            org.counts().unknown_paths += 1;
            Outcome::answered(Refusal::not_found().answer())
        }
    };
    let is_open = found.as_ref().is_some_and(|call| call.operation.is_open());
    // Begun only now: a call is not long because of itself.
    let flight = Flight::begin(org, nth, now_ms);
    if let Some(call) = &found {
        let end = match &outcome.answer {
            None => End::Reset,
            Some(_) if outcome.is_throttled => End::Throttled,
            Some(answer) => End::Status(answer.status),
        };
        org.counts().end(call.operation, end);
    }
    let answer =
        outcome.answer.map(|answer| if is_open { answer } else { with_standing(org, answer, now_ms) });
    Outgoing { delay: outcome.delay, is_held: outcome.is_held, answer, flight }
}

fn uri_len(incoming: &Incoming<'_>) -> usize {
    incoming.path.len() + incoming.query.len() + 1
}

fn head_len(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

fn with_standing(org: &Org, answer: Answer, now_ms: i64) -> Answer {
    let (used, max) = org.meters().standing(now_ms);
    let max = max.map_or_else(|| "unlimited".to_owned(), |max| max.to_string());
    let app = if org.config.switches.per_app_usage {
        format!("; per-app-api-usage={used}/{max}(appName=sim)")
    } else {
        String::new()
    };
    answer.with("sforce-limit-info", format!("api-usage={used}/{max}{app}"))
}

#[derive(Debug, Default)]
struct Outcome {
    delay: Duration,
    is_held: bool,
    is_throttled: bool,
    answer: Option<Answer>,
}

impl Outcome {
    fn answered(answer: Answer) -> Self {
        Self { answer: Some(answer), ..Self::default() }
    }
}

fn run(org: &Arc<Org>, incoming: &Incoming<'_>, call: &Call, now_ms: i64, nth: u64) -> Outcome {
    let operation = call.operation;
    if let Some(refusal) = check_version(org, call) {
        return Outcome::answered(refusal.answer());
    }
    if !operation.is_open()
        && let Err(refusal) = org.auth().admit(incoming.headers, now_ms)
    {
        return Outcome::answered(refusal.answer());
    }
    if !operation.is_open() && !operation.is_free() {
        let admitted = org.meters().admit(now_ms);
        if let Err(cause) = admitted {
            return throttle(org, cause);
        }
        org.counts().api_requests += 1;
    }
    let board = org.board();
    let object = Some(call.object.as_str()).filter(|object| !object.is_empty());
    let faults = board.strike_call(operation, object, |ids| names_one_of(call, incoming.body, ids));
    let strikes = Strikes::sort(org, incoming.headers, &faults);
    let mut outcome = Outcome { delay: strikes.delay, is_held: strikes.is_held, ..Outcome::default() };
    match strikes.early {
        Some(FaultKind::Limit(cause)) => return Outcome { delay: outcome.delay, ..throttle(org, *cause) },
        Some(FaultKind::Reset) => return outcome,
        Some(kind) => {
            outcome.answer = Some(early(kind));
            return outcome;
        }
        None => {}
    }
    let query = Pairs::parse(incoming.query);
    let answer = if operation == Operation::OauthToken {
        let form = Pairs::parse(&String::from_utf8_lossy(incoming.body));
        org.auth().grant(&form, incoming.headers, nth, now_ms)
    } else {
        let (headers, body) = (incoming.headers, incoming.body);
        let ask = Ask { org, call, query: &query, headers, body, board: &board, now_ms, nth };
        operate(&ask).unwrap_or_else(Refusal::answer)
    };
    outcome.answer = strikes.after(answer);
    outcome
}

fn check_version(org: &Org, call: &Call) -> Option<Refusal> {
    if call.version == 0 {
        return None;
    }
    if call.version < ApiVersion::OLDEST.major() {
        return Some(Refusal::new(410, "UNSUPPORTED_API_VERSION", "The requested API version is retired"));
    }
    (call.version > org.config.api_version.major()).then(Refusal::not_found)
}

fn throttle(org: &Org, cause: Cause) -> Outcome {
    org.counts().refuse(cause);
    let answer = Refusal::new(403, "REQUEST_LIMIT_EXCEEDED", cause.message()).answer();
    Outcome { is_throttled: true, ..Outcome::answered(answer) }
}

/// Whether a call's path, address or body names one of some records.
fn names_one_of(call: &Call, body: &[u8], ids: &[String]) -> bool {
    let body = String::from_utf8_lossy(body);
    ids.iter().any(|id| call.key == *id || id.get(..15).is_some_and(|short| body.contains(short)))
}

/// The call-level faults of one call, by when they act.
#[derive(Debug, Default)]
struct Strikes<'f> {
    delay: Duration,
    is_held: bool,
    early: Option<&'f FaultKind>,
    late: Option<&'f FaultKind>,
}

impl<'f> Strikes<'f> {
    /// Sorts them, and does what is done whatever the answer.
    fn sort(org: &Org, headers: &HeaderMap, faults: &[&'f Fault]) -> Self {
        let mut strikes = Self::default();
        for fault in faults {
            match &fault.kind {
                FaultKind::Delay(delay) => strikes.delay += *delay,
                FaultKind::Hold => strikes.is_held = true,
                FaultKind::EndSession => org.auth().end_session(headers),
                FaultKind::FieldGone => {
                    let object = fault.target.object.as_deref().unwrap_or("Account");
                    org.hide_field(object, fault.target.field.as_deref().unwrap_or_default());
                }
                FaultKind::Status(_)
                | FaultKind::Limit(_)
                | FaultKind::Error { .. }
                | FaultKind::Reset
                | FaultKind::InvalidGrant
                | FaultKind::RefreshBusy => strikes.early = strikes.early.or(Some(&fault.kind)),
                FaultKind::LostStatus(_) | FaultKind::LostReset | FaultKind::Malformed => {
                    strikes.late = strikes.late.or(Some(&fault.kind));
                }
                FaultKind::RowError { .. }
                | FaultKind::RowLock
                | FaultKind::Ignored
                | FaultKind::Differs(_)
                | FaultKind::Missing
                | FaultKind::BulkFail { .. }
                | FaultKind::BulkSlow { .. } => {}
            }
        }
        strikes
    }

    /// What happens to the answer on its way back; `None` resets the connection.
    fn after(&self, mut answer: Answer) -> Option<Answer> {
        match self.late {
            Some(FaultKind::LostReset) => None,
            Some(FaultKind::LostStatus(status)) => Some(failure(*status)),
            Some(FaultKind::Malformed) => {
                answer.body.truncate(answer.body.len() / 2);
                Some(answer)
            }
            Some(_) | None => Some(answer),
        }
    }
}

/// The answer that takes an operation's place.
fn early(kind: &FaultKind) -> Answer {
    if let FaultKind::Status(status) = kind {
        return failure(*status);
    }
    if let FaultKind::Error { code, message } = kind {
        return Refusal::new(400, code, message.clone()).answer();
    }
    let is_busy = *kind == FaultKind::RefreshBusy;
    refuse("invalid_grant", if is_busy { auth::BUSY } else { auth::EXPIRED })
}

fn failure(status: u16) -> Answer {
    let refusal = match status {
        401 => Refusal::session(),
        404 => Refusal::not_found(),
        500 => Refusal::new(
            500,
            "UNKNOWN_EXCEPTION",
            "An unexpected error occurred. Please include this ErrorId",
        ),
        503 => Refusal::new(503, "SERVER_UNAVAILABLE", "The server is temporarily unavailable"),
        414 => return Answer::html(414, "URI Too Long"),
        502 => return Answer::html(502, "Bad Gateway"),
        _ => return Answer::html(status, "Gateway Timeout"),
    };
    refusal.answer()
}

/// Carries out a subrequest of a composite call, whose operation a fault may refuse as that of a call of its own: faults that name
/// the operation, for all others have had their turn with the call around it.
pub(crate) fn operate_part(ask: &Ask<'_>) -> Answer {
    let object = Some(ask.call.object.as_str()).filter(|object| !object.is_empty());
    let faults =
        ask.board.strike_part(ask.call.operation, object, |ids| names_one_of(ask.call, ask.body, ids));
    match faults.map(|fault| &fault.kind) {
        Some(FaultKind::Limit(cause)) => {
            ask.org.counts().refuse(*cause);
            Refusal::new(403, "REQUEST_LIMIT_EXCEEDED", cause.message()).answer()
        }
        Some(kind) => early(kind),
        None => operate(ask).unwrap_or_else(Refusal::answer),
    }
}

/// Carries out a call that was let in; a subrequest of a composite call comes here as well.
pub(crate) fn operate(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    use Operation as O;
    match ask.call.operation {
        O::Versions => Ok(identity::versions(ask)),
        O::Resources => Ok(identity::resources(ask)),
        O::OauthToken => Err(Refusal::not_found()),
        O::OauthRevoke => Ok(ask.org.auth().revoke(&Pairs::parse(&String::from_utf8_lossy(ask.body)))),
        O::Userinfo => Ok(identity::userinfo(ask)),
        O::Identity => Ok(identity::identity(ask)),
        O::Limits => Ok(identity::limits(ask)),
        O::DescribeGlobal => Ok(describe::global(ask)),
        O::Describe => describe::describe(ask),
        O::PicklistValues => describe::picklist_values(ask),
        O::Query | O::QueryAll => query::query(ask),
        O::QueryMore => query::more(ask),
        O::ListViews => list_view::list(ask),
        O::ListViewDescribe => list_view::describe(ask),
        O::ListViewResults => list_view::results(ask),
        O::RecordGet => record_call::get(ask),
        O::RecordCreate => record_call::create(ask),
        O::RecordUpdate => record_call::update(ask),
        O::RecordUpsert => record_call::upsert(ask),
        O::RecordDelete => record_call::delete(ask),
        O::CollectionsRetrieve => collections::retrieve(ask),
        O::CollectionsCreate => collections::save_all(ask, Verb::Insert),
        O::CollectionsUpdate => collections::save_all(ask, Verb::Update),
        O::CollectionsUpsert => {
            let update_only = ask.query.is_true("updateOnly");
            collections::save_all(ask, Verb::Upsert { key: ask.call.key.clone(), update_only })
        }
        O::CollectionsDelete => collections::delete(ask),
        O::Composite => composite::composite(ask),
        O::IngestCreate => ingest::create(ask),
        O::IngestList => Ok(ingest::list(ask)),
        O::IngestUpload => ingest::upload(ask),
        O::IngestState => ingest::set_state(ask),
        O::IngestInfo => ingest::info(ask),
        O::IngestResults => ingest::results(ask),
        O::IngestDelete => ingest::delete(ask),
        O::BulkQueryCreate => bulk_query::create(ask),
        O::BulkQueryInfo => bulk_query::info(ask),
        O::BulkQueryState => bulk_query::set_state(ask),
        O::BulkQueryResults => bulk_query::results(ask),
        O::BulkQueryDelete => bulk_query::delete(ask),
    }
}

/// A call to no resource inside a composite call.
pub(crate) fn no_such_resource() -> Answer {
    Answer::value(
        404,
        &json!([{"errorCode": "NOT_FOUND", "message": "The requested resource does not exist"}]),
    )
}
