//! What an answer means: one pure function from status, headers and body to a class, and one from a row's errors to its fate.
//!
//! A whole call is refused by an array of `errorCode` and `message`; a row within a call that went well by an array of
//! `statusCode` and `message`. A code that is not named here is for good, for the row or the call that it came with.

use std::time::Duration;

use infill_crm::exchange::{Answer, Classified, Effect, Reach, Request};
use infill_crm::meter::Observation;
use infill_crm::{Delivery, Error, Refusal};
use infill_model::{Class, PropertyName, Timestamp};
use serde::Deserialize;

/// After the day is spent. The day is any 24 hours, so calls become free by and by and not at a midnight: one is tried now
/// and then.
const DAY_SPENT: Duration = Duration::from_mins(15);
/// After too many long calls at once.
const CONCURRENT: Duration = Duration::from_secs(10);
/// After too much long-running Apex at once, which is the org's own work and takes its time.
const LONG_APEX: Duration = Duration::from_secs(30);
/// After a failure at Salesforce.
const SERVER_FAILURE: Duration = Duration::from_secs(5);
/// Characters of Salesforce's words that are kept.
const LONGEST_MESSAGE: usize = 1_000;

/// Codes of a field that no row can be written to: the plan's fault, not a row's.
const PLAN_CODES: [&str; 3] = ["INVALID_FIELD", "INVALID_FIELD_FOR_INSERT_UPDATE", "INVALID_TYPE"];

/// Codes of an org that takes no write at all.
const ORG_CODES: [&str; 4] =
    ["API_CURRENTLY_DISABLED", "API_DISABLED_FOR_ORG", "INACTIVE_OWNER_OR_USER", "STORAGE_LIMIT_EXCEEDED"];

/// Codes of a row that may go again as it is.
const AGAIN_CODES: [&str; 7] = [
    LOCKED_ROW,
    "ALL_OR_NONE_OPERATION_ROLLED_BACK",
    "QUERY_TIMEOUT",
    SPENT,
    "REQUEST_RUNNING_TOO_LONG",
    "SERVER_UNAVAILABLE",
    "TOO_MANY_APEX_REQUESTS",
];

/// The code of every limit on calls.
const SPENT: &str = "REQUEST_LIMIT_EXCEEDED";

/// The code of a record that another transaction holds.
const LOCKED_ROW: &str = "UNABLE_TO_LOCK_ROW";

/// Codes of a record that is not there, or not any more. The last is also that of a lookup to a record that is not there.
const MISSING_CODES: [&str; 3] = ["ENTITY_IS_DELETED", "NOT_FOUND", "INVALID_CROSS_REFERENCE_KEY"];

/// One thing Salesforce found wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Complaint {
    /// `errorCode` of a call, `statusCode` of a row.
    #[serde(alias = "errorCode", alias = "statusCode")]
    pub code: Option<String>,
    /// Salesforce's words, or an administrator's.
    pub message: Option<String>,
    /// The fields at fault; often empty although there are some.
    pub fields: Option<Vec<String>>,
}

impl Complaint {
    /// Reads the body of a refused call; empty when it is not Salesforce's JSON.
    #[must_use]
    pub fn read(body: &[u8]) -> Vec<Self> {
        serde_json::from_slice(body)
            .or_else(|_| serde_json::from_slice(body).map(|one| vec![one]))
            .unwrap_or_default()
    }

    fn code(&self) -> &str {
        self.code.as_deref().unwrap_or_default()
    }

    fn message(&self) -> &str {
        self.message.as_deref().unwrap_or_default()
    }

    /// Whether the cause lies in a lock or a limit that a trigger met and wrapped into an error of its own.
    fn is_wrapped_contention(&self) -> bool {
        const WRAPPED: [&str; 3] = [LOCKED_ROW, "unable to obtain exclusive access", "Too many SOQL queries"];
        WRAPPED.iter().any(|sign| self.message().contains(sign))
    }
}

/// What becomes of a row that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It may go again: another transaction held the record, or the server was short of time.
    Again,
    /// The record may be gone: to be looked up.
    Missing,
    /// It is refused for good.
    Refused,
}

impl Fate {
    /// The fate of a row with these errors. One that is for good outweighs the others.
    #[must_use]
    pub fn of(complaints: &[Complaint]) -> Self {
        let fates = complaints.iter().map(|complaint| {
            if AGAIN_CODES.contains(&complaint.code()) || complaint.is_wrapped_contention() {
                Self::Again
            } else if MISSING_CODES.contains(&complaint.code()) {
                Self::Missing
            } else {
                Self::Refused
            }
        });
        // An answer without errors that is no success says nothing: the row is refused, with what words there are.
        fates.max_by_key(|fate| *fate as u8).unwrap_or(Self::Refused)
    }
}

/// Why a row was refused, all its errors in one.
#[must_use]
pub fn refusal(complaints: &[Complaint]) -> Refusal {
    let first = complaints.first();
    let code = first.and_then(|complaint| complaint.code.clone()).unwrap_or_else(|| "REFUSED".to_owned());
    let way_out = match code.as_str() {
        "DUPLICATES_DETECTED" => "; where the rule only warns, the connection's allow_duplicates saves it",
        _ => "",
    };
    Refusal {
        code,
        message: format!("Salesforce: {}{way_out}", words(complaints)),
        property: property(complaints).map(PropertyName::from),
        correlation_id: None,
    }
}

/// A limit of the org that one row of a call met, as if the whole call had: it is everybody's.
#[must_use]
pub fn limit(request: &Request, complaints: &[Complaint], now: Timestamp) -> Option<Classified> {
    const STATUS: u16 = 403;
    let met = complaints.iter().find(|complaint| complaint.code() == SPENT)?;
    let body = serde_json::json!([{"errorCode": SPENT, "message": met.message()}]).to_string();
    Some(classify(request, &Answer::of(STATUS, &[], body), now))
}

/// Whether a refusal is one that every row of the plan would meet.
#[must_use]
pub fn is_of_the_plan(refusal: &Refusal) -> bool {
    let code = refusal.code.as_str();
    PLAN_CODES.contains(&code) || ORG_CODES.contains(&code)
}

/// The field at fault, when there is one and only one.
fn property(complaints: &[Complaint]) -> Option<&str> {
    let mut named = complaints.iter().flat_map(|complaint| complaint.fields.iter().flatten());
    let first = named.next()?;
    named.all(|other| other == first).then_some(first)
}

/// Salesforce's words for a person: every error, each once.
fn words(complaints: &[Complaint]) -> String {
    let mut words: Vec<String> = Vec::new();
    for complaint in complaints {
        // A query's message begins with the query and a caret below its fault.
        let said = complaint.message().split_whitespace().collect::<Vec<_>>().join(" ");
        let said = match (said.is_empty(), complaint.code()) {
            (false, _) => said,
            (true, "") => continue,
            (true, code) => code.to_owned(),
        };
        if !words.contains(&said) {
            words.push(said);
        }
    }
    let mut all = if words.is_empty() { "no reason given".to_owned() } else { words.join("; ") };
    if let Some((end, _)) = all.char_indices().nth(LONGEST_MESSAGE) {
        all.truncate(end);
        all.push('…');
    }
    all
}

/// What an answer means.
#[must_use]
pub fn classify(request: &Request, answer: &Answer, now: Timestamp) -> Classified {
    let mut observation = usage(answer);
    if (200..300).contains(&answer.status) {
        return Classified { observation, ..Classified::good() };
    }
    let complaints = Complaint::read(&answer.body);
    let first = complaints.iter().find(|complaint| complaint.code.is_some());
    let ruling = first
        .and_then(|complaint| Ruling::by_code(request.effect, complaint))
        .unwrap_or_else(|| Ruling::by_status(request.effect, answer.status, !complaints.is_empty()));
    let until = ruling.wait.length().map(|wait| now.checked_add(wait).unwrap_or(Timestamp::MAX));
    let reach = match ruling.wait {
        Wait::Account(_) | Wait::Day => Reach::Account,
        Wait::None | Wait::Call(_) => Reach::Meter,
    };
    if reach == Reach::Account {
        observation.cool_down_until = until;
        observation.day_spent = matches!(ruling.wait, Wait::Day);
    }
    let code =
        first.map_or_else(|| format!("http_{}", answer.status), |complaint| complaint.code().to_owned());
    let error = Error {
        status: Some(answer.status),
        property: property(&complaints).map(str::to_owned),
        until,
        delivery: if ruling.is_lost { request.effect.delivery_when_lost() } else { Delivery::Refused },
        ..Error::new(ruling.class, code, message(request, answer, &complaints, ruling.way_out))
    };
    Classified { observation, reach, result: Err(error) }
}

/// What Salesforce said, and the way out.
fn message(request: &Request, answer: &Answer, complaints: &[Complaint], way_out: &str) -> String {
    let mut message = if complaints.is_empty() {
        format!(
            "Salesforce answered {} to {} with {} bytes of {} in place of its JSON",
            answer.status,
            request.operation,
            answer.body.len(),
            answer.headers.get("Content-Type").unwrap_or("unknown type")
        )
    } else {
        format!("Salesforce: {}", words(complaints))
    };
    if !way_out.is_empty() {
        message.push_str("; ");
        message.push_str(way_out);
    }
    message
}

/// What the day's budget says, in `Sforce-Limit-Info: api-usage=10018/100000`.
fn usage(answer: &Answer) -> Observation {
    let told = answer.headers.get("Sforce-Limit-Info").and_then(|info| {
        // Other usages may stand beside it: `api-usage=1/2; per-app-api-usage=17/250(appName=Infill)`.
        let usage = info.split([';', ',']).find_map(|part| part.trim().strip_prefix("api-usage="))?;
        let (used, allowed) = usage.split_once('/')?;
        Some((used.trim().parse::<u64>().ok()?, allowed.trim().parse::<u64>().ok()?))
    });
    Observation {
        daily_remaining: told.map(|(used, allowed)| allowed.saturating_sub(used)),
        daily_limit: told.map(|(_, allowed)| allowed),
        ..Observation::default()
    }
}

/// How long a refusal lasts, and for whom.
#[derive(Clone, Copy)]
enum Wait {
    /// It does not pass by waiting.
    None,
    /// For this call alone.
    Call(Duration),
    /// For every call of the account.
    Account(Duration),
    /// For every call of the account: the day's budget is spent.
    Day,
}

impl Wait {
    const fn length(self) -> Option<Duration> {
        match self {
            Self::None => None,
            Self::Call(wait) | Self::Account(wait) => Some(wait),
            Self::Day => Some(DAY_SPENT),
        }
    }
}

/// What is to be done about a refused call.
#[derive(Clone, Copy)]
struct Ruling {
    class: Class,
    wait: Wait,
    /// Whether Salesforce may have carried the call out all the same.
    is_lost: bool,
    way_out: &'static str,
}

impl Ruling {
    const fn of(class: Class) -> Self {
        Self { class, wait: Wait::None, is_lost: false, way_out: "" }
    }

    const fn with(self, way_out: &'static str) -> Self {
        Self { way_out, ..self }
    }

    const fn after(self, wait: Wait) -> Self {
        Self { wait, ..self }
    }

    /// The call may have been carried out.
    const fn lost(self) -> Self {
        Self { is_lost: true, ..self }
    }

    /// By Salesforce's code, where that says more than the status.
    fn by_code(effect: Effect, complaint: &Complaint) -> Option<Self> {
        let busy = Self::of(Class::Transient).after(Wait::Call(SERVER_FAILURE));
        Some(match complaint.code() {
            // A session of another kind: a new one would be no better.
            "INVALID_SESSION_ID" if complaint.message().contains("not valid for use with the REST API") => {
                Self::of(Class::Configuration)
                    .with("the session is not one for the API: give the app the scope api, and the user the permission API Enabled")
            }
            "INVALID_SESSION_ID" | "INVALID_AUTH_HEADER" | "INVALID_HEADER_TYPE" => Self::of(Class::Unauthorized)
                .with("when a fresh login is refused as well, look at the IP ranges and session policies of the user and the app"),
            SPENT => Self::by_limit(complaint.message()),
            "SERVER_UNAVAILABLE" | "REQUEST_RUNNING_TOO_LONG" | "QUERY_TIMEOUT" => busy.lost(),
            "TOO_MANY_APEX_REQUESTS" | LOCKED_ROW => busy,
            "INVALID_TYPE" => {
                Self::of(Class::Configuration).with("check the plan's object, and that the user may see it")
            }
            code if PLAN_CODES.contains(&code) => Self::of(Class::Configuration)
                .with("check the name of the field, and that the user may see and edit it"),
            code if ORG_CODES.contains(&code) => {
                Self::of(Class::Configuration).with("this is for an administrator of the org to mend")
            }
            "NOT_FOUND" => Self::of(Class::Gone),
            // One value of a wrong type sinks the whole call: its row is found by halving.
            "JSON_PARSER_ERROR" | "INVALID_TYPE_ON_FIELD_IN_RECORD" if effect == Effect::Write => {
                Self::of(Class::Rejected)
            }
            _ if complaint.is_wrapped_contention() => busy,
            _ => return None,
        })
    }

    /// The three refusals that share a code; the message alone tells them apart.
    fn by_limit(message: &str) -> Self {
        let throttled = Self::of(Class::Throttled);
        if message.contains("ConcurrentPerOrgLongTxn") {
            throttled
                .after(Wait::Account(LONG_APEX))
                .with("the org's own long-running Apex takes all of its slots")
        } else if message.contains("Concurrent") {
            throttled.after(Wait::Account(CONCURRENT)).with("too many calls of 20 seconds and more at once")
        } else {
            throttled.after(Wait::Day).with(
                "the org's API requests of the last 24 hours are spent; calls go on as they become free",
            )
        }
    }

    fn by_status(effect: Effect, status: u16, is_json: bool) -> Self {
        match status {
            300..400 => Self::of(Class::Configuration).with("is the connection's base_url the org's?"),
            400 if is_json => match effect {
                Effect::Write => Self::of(Class::Rejected),
                Effect::Read => Self::of(Class::Configuration),
            },
            401 => Self::of(Class::Unauthorized),
            403 => Self::of(Class::Configuration),
            404 if is_json => Self::of(Class::Gone),
            404 => Self::of(Class::Configuration).with("check base_url and api_version of the connection"),
            408 => Self::of(Class::Transient).lost(),
            410 => Self::of(Class::Configuration).with("this api_version is no longer served"),
            420 | 429 => Self::of(Class::Throttled).after(Wait::Account(CONCURRENT)),
            500..600 => Self::of(Class::Transient).after(Wait::Call(SERVER_FAILURE)).lost(),
            _ => Self::of(Class::Bug),
        }
    }
}
