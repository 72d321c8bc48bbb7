//! One call from its first byte to its answer: token, limits, faults, scope, parameters, operation, faults again.

use std::time::Duration;

use serde_json::Value;

use super::answer::{Answer, Refusal};
use super::auth::Caller;
use super::board::Meeting;
use super::company::{Ask, Company, Effects};
use super::control::edit;
use super::entity::Entity;
use super::fault::{Fault, FaultKind, Target};
use super::limits::Policy;
use super::report::{End, words};
use super::spec::{Endpoint, Operation, Route, Version};
use super::{account, fields, filters, lead, read, search, write};
use crate::query::Pairs;

/// What version 1 no longer has, by the first part of the path.
const REMOVED_V1: [&str; 8] =
    ["persons", "organizations", "deals", "products", "activities", "stages", "pipelines", "itemSearch"];

/// A call as it came over the wire.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Incoming<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) authorization: Option<&'a str>,
    pub(crate) api_token: Option<&'a str>,
    pub(crate) body: &'a [u8],
}

/// What to send back, and when.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) delay: Duration,
    /// `None` resets the connection.
    pub(crate) answer: Option<Answer>,
}

impl Outgoing {
    fn at_once(answer: Answer) -> Self {
        Self { delay: Duration::ZERO, answer: Some(answer) }
    }
}

/// Answers a call to the vendor's API.
pub(crate) fn dispatch(company: &Company, incoming: &Incoming<'_>) -> Outgoing {
    if is_removed(incoming.path) {
        company.counts().removed_paths += 1;
        let status = company.config.switches.removed_v1.status();
        let refusal = Refusal::v1(status, "This endpoint is no longer supported", Some("Use API v2"));
        return Outgoing::at_once(refusal.answer());
    }
    if (incoming.method, incoming.path) == ("POST", "/oauth/token") {
        return grant(company, incoming);
    }
    match company.spec.route(incoming.method, incoming.path) {
        Some(route) => answer(company, incoming, &route),
        None => {
            company.counts().unknown_paths += 1;
            let is_403 = company.config.switches.unknown_path_is_403;
            let refusal =
                if is_403 { Refusal::scope_mismatch() } else { Refusal::v1(404, "Unknown method .", None) };
            Outgoing::at_once(refusal.answer())
        }
    }
}

fn is_removed(path: &str) -> bool {
    let rest = path.strip_prefix("/api/v1/").or_else(|| path.strip_prefix("/v1/"));
    rest.and_then(|rest| rest.split('/').next()).is_some_and(|first| REMOVED_V1.contains(&first))
}

fn grant(company: &Company, incoming: &Incoming<'_>) -> Outgoing {
    let now_ms = company.clock.now_ms();
    let board = company.board();
    let meeting = Meeting { operation: Operation::OauthToken, entity: None, records: &[], sends: &|_| false };
    let strikes = Strikes::sort(board.strike(&meeting));
    let outgoing = strikes.around(None, || {
        let form = Pairs::parse(&String::from_utf8_lossy(incoming.body));
        let mut auth = company.auth();
        auth.grant(incoming.authorization, &form, &company.base_url, now_ms)
    });
    count(company, Operation::OauthToken.to_string(), 0, &outgoing);
    outgoing
}

fn answer(company: &Company, incoming: &Incoming<'_>, route: &Route<'_>) -> Outgoing {
    let now_ms = company.clock.now_ms();
    let endpoint = route.endpoint;
    let (caller, standing) = match let_in(company, incoming, endpoint, now_ms) {
        Ok(admitted) => admitted,
        Err(answer) => return Outgoing::at_once(answer),
    };
    let board = company.board();
    let query = Pairs::parse(incoming.query);
    let names = named(route, &query);
    let sent = serde_json::from_slice::<Value>(incoming.body).unwrap_or(Value::Null);
    let entity = endpoint.entity.unwrap_or(Entity::Person);
    let sends = |word: &str| sends(company, entity, &sent, word);
    let meeting =
        Meeting { operation: endpoint.operation, entity: endpoint.entity, records: &names, sends: &sends };
    let strikes = Strikes::sort(board.strike(&meeting));
    strikes.change_catalog(company);
    if strikes.expires_tokens {
        company.auth().expire_all();
    }
    let outgoing = strikes.around(Some(&caller), || {
        let key = route.key.as_deref().unwrap_or_default();
        let (query, body, effects) = (&query, incoming.body, &strikes.effects);
        let ask = Ask { company, endpoint, entity, key, query, body, effects, now_ms };
        let done =
            caller.require(&endpoint.scopes).and_then(|()| check_query(&ask)).and_then(|()| operate(&ask));
        let mut answer = done.unwrap_or_else(|refusal| refusal.answer());
        answer.headers.extend(standing);
        answer
    });
    strikes.edit_as_person(company, entity, now_ms);
    match strikes.throttle {
        Some(policy) => company.counts().end(words(endpoint), endpoint.tokens, End::Refused(policy)),
        None => count(company, words(endpoint), endpoint.tokens, &outgoing),
    }
    outgoing
}

/// The headers that tell what is left.
type Headers = Vec<(&'static str, String)>;

/// The caller and what is left to it, or the answer to who is not known or has nothing left.
fn let_in(
    company: &Company,
    incoming: &Incoming<'_>,
    endpoint: &Endpoint,
    now_ms: i64,
) -> Result<(Caller, Headers), Answer> {
    let authenticated = company.auth().authenticate(incoming.api_token, incoming.authorization, now_ms);
    let caller = authenticated.map_err(|refusal| {
        company.counts().end(words(endpoint), 0, End::Status(refusal.status));
        refusal.answer()
    })?;
    let switches = &company.config.switches;
    let is_search = endpoint.operation == Operation::Search;
    let is_write = matches!(incoming.method, "POST" | "PUT") && !caller.spender.oauth;
    let admitted = company.meters().admit(&caller.spender, is_search, endpoint.tokens, switches, now_ms);
    match admitted {
        Ok(standing) => Ok((caller, standing.headers(switches, is_write))),
        Err((policy, standing)) => {
            company.counts().end(words(endpoint), 0, End::Refused(policy));
            let mut answer = refused(policy);
            if policy != Policy::Blocked {
                answer.headers.extend(standing.headers(switches, is_write));
            }
            Err(answer)
        }
    }
}

fn count(company: &Company, words: String, tokens: u64, outgoing: &Outgoing) {
    let end = outgoing.answer.as_ref().map_or(End::Reset, |answer| End::Status(answer.status));
    company.counts().end(words, tokens, end);
}

fn refused(policy: Policy) -> Answer {
    match policy {
        Policy::Blocked => Answer::cloudflare(),
        Policy::Burst | Policy::Search | Policy::Daily => Refusal::over_limit().answer(),
    }
}

/// The records a call names: in its path, or as `ids`.
fn named(route: &Route<'_>, query: &Pairs) -> Vec<String> {
    let ids = query.list("ids").into_iter().map(str::to_owned);
    route.key.clone().into_iter().chain(ids).collect()
}

/// Whether a body writes the field of that code or name.
fn sends(company: &Company, entity: Entity, sent: &Value, word: &str) -> bool {
    let store = company.store();
    let code = store.field(entity, word).map_or(word, |field| super::store::answer_name(&field.code));
    sent.get(code).is_some() || sent.get("custom_fields").is_some_and(|custom| custom.get(code).is_some())
}

/// Version 2 refuses parameters that it does not know.
fn check_query(ask: &Ask<'_>) -> Result<(), Refusal> {
    let known = &ask.endpoint.parameters;
    let unknown: Vec<String> = ask
        .query
        .keys()
        .filter(|name| !known.contains(name))
        .map(|name| format!("{name}: Parameter '{name}' is not allowed for this request"))
        .collect();
    if ask.endpoint.version == Version::V1 || unknown.is_empty() {
        return Ok(());
    }
    Err(Refusal::validation(&unknown))
}

fn operate(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let is_lead_v1 = ask.entity == Entity::Lead;
    match ask.endpoint.operation {
        Operation::List if is_lead_v1 => lead::list(ask, false),
        Operation::Archived if is_lead_v1 => lead::list(ask, true),
        Operation::List => read::list(ask, false),
        Operation::Archived => read::list(ask, true),
        Operation::Get => read::get(ask),
        Operation::Create => write::create(ask),
        Operation::Update => write::update(ask),
        Operation::Delete => write::delete(ask),
        Operation::Search => search::search(ask),
        Operation::Fields => fields::list(ask),
        Operation::Field => fields::get(ask),
        Operation::FieldsV1 => fields::list_v1(ask),
        Operation::DealProducts => write::products(ask),
        Operation::DealProductCreate => write::attach(ask),
        Operation::Filters => filters::list(ask),
        Operation::Filter => filters::get(ask),
        Operation::FilterCreate => filters::create(ask),
        Operation::FilterUpdate => filters::update(ask),
        Operation::FilterDelete => filters::delete(ask),
        Operation::FilterHelpers => Ok(filters::helpers()),
        Operation::Stages => account::stages(ask),
        Operation::Pipelines => Ok(account::pipelines()),
        Operation::Users => Ok(account::users(ask)),
        Operation::User => account::user(ask),
        Operation::Me => Ok(account::me(ask)),
        Operation::Currencies => Ok(account::currencies()),
        Operation::LeadLabels => Ok(account::lead_labels()),
        Operation::OauthToken => Err(Refusal::scope_mismatch()),
    }
}

/// The faults of one call, by when they act.
#[derive(Debug, Default)]
struct Strikes<'f> {
    delay: Duration,
    status: Option<u16>,
    throttle: Option<Policy>,
    late: Option<&'f FaultKind>,
    /// Reset before anything is committed.
    resets: bool,
    expires_tokens: bool,
    effects: Effects<'f>,
    /// Changes by people, with what they are about.
    changes: Vec<(&'f FaultKind, &'f Target)>,
}

impl<'f> Strikes<'f> {
    fn sort(faults: Vec<&'f Fault>) -> Self {
        let mut strikes = Self::default();
        for fault in faults {
            match &fault.kind {
                FaultKind::Delay(delay) => strikes.delay += *delay,
                FaultKind::Status(status) => strikes.status = strikes.status.or(Some(*status)),
                FaultKind::Throttle(policy) => strikes.throttle = strikes.throttle.or(Some(*policy)),
                FaultKind::Reset => strikes.resets = true,
                FaultKind::LostStatus(_) | FaultKind::LostReset | FaultKind::Malformed => {
                    strikes.late = strikes.late.or(Some(&fault.kind));
                }
                FaultKind::NoOp => strikes.effects.no_op = true,
                FaultKind::Phantom => strikes.effects.phantom = true,
                FaultKind::Missing => strikes.effects.missing = Some(&fault.target.records),
                FaultKind::BadRow => strikes.effects.bad_row = Some(fault),
                FaultKind::Differs(_) => strikes.effects.differs = Some(fault),
                FaultKind::ExpireTokens => strikes.expires_tokens = true,
                FaultKind::HumanEdit(_) | FaultKind::FieldGone | FaultKind::OptionRenamed { .. } => {
                    strikes.changes.push((&fault.kind, &fault.target));
                }
            }
        }
        strikes
    }

    /// What happens before, in place of, and after an operation.
    fn around(&self, caller: Option<&Caller>, operation: impl FnOnce() -> Answer) -> Outgoing {
        let answer = if let Some(policy) = self.throttle {
            Some(refused(policy))
        } else if self.expires_tokens && caller.is_some_and(|caller| caller.spender.oauth) {
            Some(Refusal::unauthorized().answer())
        } else if let Some(status) = self.status {
            Some(failure(status))
        } else if self.resets {
            None
        } else {
            self.after(operation())
        };
        Outgoing { delay: self.delay, answer }
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

    /// Fields that go and options that are renamed, before the call sees them.
    fn change_catalog(&self, company: &Company) {
        for (kind, target) in &self.changes {
            let word = target.field.as_deref().unwrap_or_default();
            let home = target.entity.unwrap_or(Entity::Person).custom_home();
            let mut store = company.store_mut();
            let catalog = &mut store.table_mut(home).catalog;
            let is_done = if let FaultKind::OptionRenamed { from, to } = kind {
                catalog.rename_choice(word, from, to)
            } else {
                **kind != FaultKind::FieldGone || catalog.delete(word)
            };
            if !is_done {
                tracing::warn!(field = word, "a fault names no such field or option");
            }
        }
    }

    fn edit_as_person(&self, company: &Company, entity: Entity, now_ms: i64) {
        for (kind, target) in &self.changes {
            let FaultKind::HumanEdit(typed) = kind else { continue };
            let value = serde_json::from_str(typed).unwrap_or_else(|_| typed.as_str().into());
            let word = target.field.as_deref().unwrap_or_default();
            for record in &target.records {
                let mut store = company.store_mut();
                if let Err(error) = edit(
                    &company.spec,
                    &mut store,
                    target.entity.unwrap_or(entity),
                    record,
                    word,
                    &value,
                    now_ms,
                ) {
                    tracing::warn!(error = %error, "a fault's edit was refused");
                }
            }
        }
    }
}

fn failure(status: u16) -> Answer {
    match status {
        501 => Answer::html(501, "Not Implemented"),
        502 => Answer::html(502, "Bad Gateway"),
        503 => Answer::html(503, "Service Unavailable"),
        504 => Answer::html(504, "Gateway Timeout"),
        _ => Refusal::of_status(status).answer(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removed_paths_are_those_of_version_1() {
        assert!(is_removed("/v1/persons"));
        assert!(is_removed("/api/v1/deals/5"));
        assert!(!is_removed("/api/v2/persons"));
        assert!(!is_removed("/v1/personFields"));
        assert!(!is_removed("/v1/leads"));
    }

    #[test]
    fn every_path_that_is_gone_is_unknown_to_the_spec() {
        let spec = super::super::spec::Spec::load();
        assert!(REMOVED_V1.iter().all(|word| spec.route("GET", &format!("/v1/{word}")).is_none()));
    }
}
