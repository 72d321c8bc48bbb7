//! One call from its first byte to its answer: token, limits, faults, scope, operation, faults again.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, Refusal, timestamp};
use super::auth::Denial;
use super::batch::id_text;
use super::fault::{Fault, FaultKind};
use super::limits::Policy;
use super::portal::{Ask, Portal, object};
use super::report::End;
use super::route::{Call, Operation, route};
use super::{lists, properties, read, search, write};
use crate::query::Pairs;

/// Addresses longer than this do not get through HubSpot's edge; measured at about 16.2 thousand characters.
const MAX_URI_CHARS: usize = 16_200;

/// A call as it came over the wire.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Incoming<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) authorization: Option<&'a str>,
    pub(crate) body: &'a [u8],
}

/// What to send back, and when.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) delay: Duration,
    /// `None` resets the connection.
    pub(crate) answer: Option<Answer>,
    pub(crate) correlation_id: String,
}

/// Answers a call to the vendor's API.
pub(crate) fn dispatch(portal: &Portal, incoming: &Incoming<'_>) -> Outgoing {
    let now_ms = portal.clock.now_ms();
    portal.settle(now_ms);
    let nth = portal.next_request();
    let correlation_id = portal.correlation_id(nth);
    let at_once = |answer| Outgoing {
        delay: Duration::ZERO,
        answer: Some(answer),
        correlation_id: correlation_id.clone(),
    };
    if incoming.path.len() + incoming.query.len() + 1 > MAX_URI_CHARS {
        return at_once(Answer::html(414, "Request-URI Too Large"));
    }
    let Some(call) = route(incoming.method, incoming.path) else {
        portal.counts().unknown_paths += 1;
        return at_once(Answer::html(404, "Not Found"));
    };
    let (delay, answer) = answer(portal, incoming, &call, now_ms, nth);
    let end = answer.as_ref().map_or(End::Reset, |answer| End::Status(answer.status));
    portal.counts().end(call.operation, end);
    Outgoing { delay, answer, correlation_id }
}

fn answer(
    portal: &Portal,
    incoming: &Incoming<'_>,
    call: &Call,
    now_ms: i64,
    nth: u64,
) -> (Duration, Option<Answer>) {
    let correlation_id = portal.correlation_id(nth);
    let at_once = |answer| (Duration::ZERO, Some(answer));
    let query = Pairs::parse(incoming.query);
    let board = portal.board();
    let faults =
        |object| board.strike_call(call.operation, object, |ids| names_one_of(call, incoming.body, ids));
    if call.operation.is_oauth() {
        let mut strikes = Strikes::sort(if board.is_empty() { Vec::new() } else { faults(None) });
        let answer = strikes.before(portal, call, now_ms, &correlation_id);
        if answer.is_none() && strikes.resets {
            return (strikes.delay, None);
        }
        let answer = answer.unwrap_or_else(|| oauth(portal, incoming, call, &query, now_ms));
        return (strikes.delay, strikes.after(answer, &correlation_id));
    }
    let caller = match portal.auth().authenticate(incoming.authorization, now_ms) {
        Ok(caller) => caller,
        Err(Denial::Refusal(refusal)) => return at_once(refusal.answer(&correlation_id)),
        Err(Denial::BadlyFormed) => return at_once(Answer::html(530, "Origin DNS error")),
    };
    let is_search = call.operation == Operation::Search;
    let admitted = portal.meters().admit(caller.spender, is_search, now_ms);
    let standing = match admitted {
        Ok(standing) => standing,
        Err(policy) => return at_once(throttle(portal, policy, now_ms, &correlation_id)),
    };
    let object_type = call.object.as_deref().and_then(object);
    let mut strikes = Strikes::sort(if board.is_empty() {
        Vec::new()
    } else {
        faults(object_type.map(super::object::ObjectType::names))
    });
    if let Some(answer) = strikes.before(portal, call, now_ms, &correlation_id) {
        return (strikes.delay, strikes.after(answer, &correlation_id));
    }
    if strikes.resets {
        return (strikes.delay, None);
    }
    let ask =
        Ask { portal, call, query: &query, body: incoming.body, caller: &caller, board: &board, now_ms, nth };
    let answer = caller
        .require(call.operation, object_type)
        .and_then(|()| operate(&ask))
        .unwrap_or_else(|refusal| refusal.answer(&correlation_id))
        .with_standing(standing);
    (strikes.delay, strikes.after(answer, &correlation_id))
}

/// The call-level faults of one call, by when they act.
#[derive(Debug, Default)]
struct Strikes<'f> {
    delay: Duration,
    early: Option<&'f FaultKind>,
    late: Option<&'f FaultKind>,
    /// Reset before anything is committed.
    resets: bool,
    gone: Vec<(Option<&'f str>, &'f str)>,
}

impl<'f> Strikes<'f> {
    fn sort(faults: Vec<&'f Fault>) -> Self {
        let mut strikes = Self::default();
        for fault in faults {
            match &fault.kind {
                FaultKind::Delay(delay) => strikes.delay += *delay,
                FaultKind::Status { .. } | FaultKind::Throttle(_) | FaultKind::NoOp => {
                    strikes.early = strikes.early.or(Some(&fault.kind));
                }
                FaultKind::Reset => strikes.resets = true,
                FaultKind::LostStatus(_) | FaultKind::LostReset | FaultKind::Malformed => {
                    strikes.late = strikes.late.or(Some(&fault.kind));
                }
                FaultKind::PropertyGone => {
                    if let Some(property) = &fault.target.property {
                        strikes.gone.push((fault.target.object.as_deref(), property));
                    }
                }
                FaultKind::Omit
                | FaultKind::Missing
                | FaultKind::BadRow { .. }
                | FaultKind::Differs(_)
                | FaultKind::Processing { .. }
                | FaultKind::Leave => {}
            }
        }
        strikes
    }

    /// What happens before the operation; an answer takes its place.
    fn before(&mut self, portal: &Portal, call: &Call, now_ms: i64, correlation_id: &str) -> Option<Answer> {
        for (object, property) in self.gone.drain(..) {
            portal.change(|store| {
                store
                    .table_mut(object.unwrap_or("contacts"))
                    .is_some_and(|table| table.catalog.delete(property))
            });
        }
        match self.early? {
            FaultKind::Throttle(policy) => Some(throttle(portal, *policy, now_ms, correlation_id)),
            FaultKind::NoOp => Some(nothing_done(call.operation, now_ms)),
            FaultKind::Status { status, retry_after } => {
                Some(failure(*status, *retry_after, now_ms, correlation_id))
            }
            FaultKind::LostStatus(_)
            | FaultKind::Reset
            | FaultKind::LostReset
            | FaultKind::Malformed
            | FaultKind::Delay(_)
            | FaultKind::Omit
            | FaultKind::Missing
            | FaultKind::BadRow { .. }
            | FaultKind::Differs(_)
            | FaultKind::Processing { .. }
            | FaultKind::Leave
            | FaultKind::PropertyGone => None,
        }
    }

    /// What happens to the answer on its way back; `None` resets the connection.
    fn after(&self, mut answer: Answer, correlation_id: &str) -> Option<Answer> {
        match self.late {
            Some(FaultKind::LostReset) => None,
            Some(FaultKind::LostStatus(status)) => Some(failure(*status, Duration::ZERO, 0, correlation_id)),
            Some(FaultKind::Malformed) => {
                answer.body.truncate(answer.body.len() / 2);
                Some(answer)
            }
            Some(_) | None => Some(answer),
        }
    }
}

/// Whether a call's path or inputs name one of some records.
fn names_one_of(call: &Call, body: &[u8], ids: &[u64]) -> bool {
    #[derive(Deserialize)]
    struct Inputs {
        #[serde(default)]
        inputs: Vec<Value>,
    }
    let is_one = |text: &str| text.parse().is_ok_and(|id| ids.contains(&id));
    if call.key.as_deref().is_some_and(is_one) {
        return true;
    }
    let inputs = serde_json::from_slice::<Inputs>(body).map(|body| body.inputs).unwrap_or_default();
    inputs.iter().filter_map(|input| input.get("id")).any(|id| is_one(&id_text(id)))
}

fn throttle(portal: &Portal, policy: Policy, now_ms: i64, correlation_id: &str) -> Answer {
    portal.counts().refuse(policy);
    let mut answer = Refusal::over_limit(policy, correlation_id).answer(correlation_id);
    if portal.config.switches.retry_after {
        let seconds = match policy {
            Policy::Secondly => 1,
            Policy::TenSecondly => 10,
            Policy::Daily => (portal.meters().daily_usage(now_ms).resets_at_ms - now_ms).max(0) / 1_000 + 1,
        };
        answer.headers.push(("retry-after", seconds.to_string()));
    }
    answer
}

/// The answer of a status that a fault asks for.
fn failure(status: u16, retry_after: Duration, now_ms: i64, correlation_id: &str) -> Answer {
    let refusal = match status {
        400 => Refusal::validation("Invalid input"),
        401 => Refusal::expired(now_ms, now_ms),
        403 => Refusal::missing_scopes(&["crm.objects.contacts.write"]),
        404 => Refusal::not_found(),
        414 => return Answer::html(414, "Request-URI Too Large"),
        423 => Refusal::bare(423, "The record is locked by another request; wait at least 2 seconds"),
        477 => Refusal::bare(477, "This account is being moved to another data centre"),
        500 => Refusal::bare(500, "internal error"),
        502 => return Answer::html(502, "Bad Gateway"),
        503 => return Answer::html(503, "Service Temporarily Unavailable"),
        504 => return Answer::html(504, "Gateway Time-out"),
        521 => return Answer::html(521, "Web server is down"),
        523 => return Answer::html(523, "Origin is unreachable"),
        _ => return Answer::html(status, "A timeout occurred"),
    };
    let mut answer = refusal.answer(correlation_id);
    if status == 477 {
        answer.headers.push(("retry-after", retry_after.as_secs().to_string()));
    }
    answer
}

/// Success in form, with nothing done.
fn nothing_done(operation: Operation, now_ms: i64) -> Answer {
    let at = timestamp(now_ms);
    match operation {
        Operation::BatchRead | Operation::BatchUpdate | Operation::BatchCreate => Answer::value(
            200,
            &json!({"status": "COMPLETE", "results": [], "startedAt": at, "completedAt": at}),
        ),
        Operation::ListSearch
        | Operation::ListAll
        | Operation::ListGet
        | Operation::ListByName
        | Operation::ListMany
        | Operation::Memberships
        | Operation::MembershipsJoinOrder
        | Operation::MembershipsAdd
        | Operation::MembershipsRemove
        | Operation::Properties
        | Operation::PropertyGet
        | Operation::PropertyValidations
        | Operation::ObjectList
        | Operation::ObjectGet
        | Operation::ObjectCreate
        | Operation::ObjectUpdate
        | Operation::ObjectArchive
        | Operation::Search
        | Operation::AccountDetails
        | Operation::DailyUsage
        | Operation::OauthToken
        | Operation::OauthIntrospect => Answer::value(200, &json!({"results": []})),
    }
}

fn oauth(portal: &Portal, incoming: &Incoming<'_>, call: &Call, query: &Pairs, now_ms: i64) -> Answer {
    let form = Pairs::parse(&String::from_utf8_lossy(incoming.body));
    // v1 put the values into the query.
    let form = if form == Pairs::default() { query } else { &form };
    if call.operation == Operation::OauthToken {
        return portal.auth().grant(form, now_ms);
    }
    let token = call.key.as_deref().or(form.first("token")).unwrap_or_default();
    portal.auth().introspect(token, now_ms)
}

fn operate(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    match ask.call.operation {
        Operation::ListSearch => lists::search(ask),
        Operation::ListAll => lists::all(ask),
        Operation::ListGet | Operation::ListByName => lists::get(ask),
        Operation::ListMany => lists::many(ask),
        Operation::Memberships => lists::members(ask, false),
        Operation::MembershipsJoinOrder => lists::members(ask, true),
        Operation::MembershipsAdd => lists::change(ask, true),
        Operation::MembershipsRemove => lists::change(ask, false),
        Operation::Properties => properties::list(ask),
        Operation::PropertyGet => properties::get(ask),
        Operation::PropertyValidations => properties::validations(ask),
        Operation::ObjectList => read::list(ask),
        Operation::ObjectGet => read::get(ask),
        Operation::ObjectCreate => write::create(ask),
        Operation::ObjectUpdate => write::update(ask),
        Operation::ObjectArchive => write::archive(ask),
        Operation::BatchRead => read::batch(ask),
        Operation::BatchCreate => write::batch_create(ask),
        Operation::BatchUpdate => write::batch_update(ask),
        Operation::Search => search::search(ask),
        Operation::AccountDetails => Ok(properties::account(ask)),
        Operation::DailyUsage => Ok(properties::daily_usage(ask)),
        Operation::OauthToken | Operation::OauthIntrospect => Err(Refusal::not_found()),
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::super::config::Config;
    use super::super::store::{Aftermath, Store};
    use super::*;
    use crate::clock::Clock;

    #[tokio::test]
    async fn delays_add_up_and_the_answer_is_the_ordinary_one() {
        let faults = "delay,ms=60,op=account-details;delay,ms=40".parse().unwrap();
        let config = Config { faults, ..Config::default() };
        let aftermath = Aftermath { seed: 0, background_edits: false, list_lag_ms: 0 };
        let clock = Clock::starting_at(None);
        let portal = Portal::new(config, String::new(), TimeZone::UTC, clock, Store::new(aftermath));
        let ask = |path| Incoming {
            method: "GET",
            path,
            query: "",
            authorization: Some("Bearer sim-token"),
            body: b"",
        };
        let details = dispatch(&portal, &ask("/account-info/v3/details"));
        assert_eq!(details.delay, Duration::from_millis(100));
        assert_eq!(details.answer.map(|answer| answer.status), Some(200));
        let usage = dispatch(&portal, &ask("/account-info/v3/api-usage/daily/private-apps"));
        assert_eq!(usage.delay, Duration::from_millis(40));
    }
}
