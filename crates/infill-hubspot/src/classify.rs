//! What an answer means: one pure function from status, headers and body to a class.
//!
//! The parser prefers `errors[].code` with `context.propertyName`, falls back to the JSON that HubSpot embeds in
//! `message`, and never fails on a field that is missing: all of them are optional.

use std::time::Duration;

use infill_crm::exchange::{Answer, Classified, Effect, Reach, Request};
use infill_crm::meter::{Meter, Observation};
use infill_crm::{Delivery, Error};
use infill_model::{Class, RecordId, Timestamp};
use jiff::tz::TimeZone;
use serde_json::Value;

/// After a refusal by the search limit, which is per second.
const SECONDLY: Duration = Duration::from_secs(1);
/// After a refusal by the window of ten seconds.
const TEN_SECONDLY: Duration = Duration::from_secs(10);
/// After the day is spent, while the account's time zone is not known.
const DAILY_WITHOUT_ZONE: Duration = Duration::from_secs(3600);
/// HubSpot asks to leave a locked record alone for at least this long.
const LOCKED: Duration = Duration::from_secs(2);
/// HubSpot asks to pause "a few seconds" after a failure of its own.
const SERVER_FAILURE: Duration = Duration::from_secs(3);
/// The longest a `Retry-After` is believed: what HubSpot names for a move between data centres.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);
/// Characters of HubSpot's words that are kept; lists of options run long.
const LONGEST_MESSAGE: usize = 1_000;

/// Codes of a property that no row can be written to: the plan's fault, not a row's.
pub const PLAN_CODES: [&str; 2] = ["PROPERTY_DOESNT_EXIST", "READ_ONLY_VALUE"];

/// What HubSpot said about one error, however it said it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Complaint {
    /// Its message, as it came.
    pub message: Option<String>,
    /// `VALIDATION_ERROR`, `CONFLICT`, `OBJECT_NOT_FOUND`; `errorType` in older bodies.
    pub category: Option<String>,
    /// `ListError.INVALID_OBJECT_TYPE_FOR_LIST`.
    pub sub_category: Option<String>,
    /// HubSpot's id of the call.
    pub correlation_id: Option<String>,
    /// `DAILY`, `TEN_SECONDLY_ROLLING`.
    pub policy: Option<String>,
    /// The records named in `context.ids`.
    pub ids: Vec<RecordId>,
    /// The trace ids named in `context.objectWriteTraceId`.
    pub traces: Vec<String>,
    /// The scopes that are missing.
    pub scopes: Vec<String>,
    /// What is wrong with which property.
    pub problems: Vec<Problem>,
}

/// What is wrong with one property of one record; HubSpot does not say of which.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// `INVALID_OPTION`.
    pub code: Option<String>,
    /// The property.
    pub property: Option<String>,
    /// HubSpot's words; may start with the offending value.
    pub message: String,
}

impl Complaint {
    /// Reads an error body; `None` when it is not HubSpot's JSON.
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        serde_json::from_slice::<Value>(body).ok().filter(Value::is_object).map(|value| Self::of(&value))
    }

    /// Reads an error, alone or as an entry of a batch's `errors`.
    #[must_use]
    pub fn of(error: &Value) -> Self {
        let message = text(error, "message");
        let mut problems = message.as_deref().map(embedded).unwrap_or_default();
        let details = error.get("errors").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let mut scopes = texts(error, "requiredGranularScopes");
        let mut ids = texts(error, "ids");
        for detail in details {
            scopes.extend(texts(detail, "requiredGranularScopes"));
            ids.extend(texts(detail, "ids"));
        }
        if problems.is_empty() {
            problems = details.iter().map(problem).collect();
        }
        scopes.sort_unstable();
        scopes.dedup();
        Self {
            message,
            category: text(error, "category").or_else(|| text(error, "errorType")),
            sub_category: text(error, "subCategory"),
            correlation_id: text(error, "correlationId"),
            policy: text(error, "policyName"),
            ids: ids.into_iter().map(RecordId::from).collect(),
            traces: texts(error, "objectWriteTraceId"),
            scopes,
            problems,
        }
    }

    /// The most exact code there is.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.problems
            .iter()
            .find_map(|problem| problem.code.as_deref())
            .or(self.sub_category.as_deref())
            .or(self.category.as_deref())
    }

    /// The property at fault, when there is one and only one.
    #[must_use]
    pub fn property(&self) -> Option<&str> {
        let mut named = self.problems.iter().filter_map(|problem| problem.property.as_deref());
        let first = named.next()?;
        named.all(|other| other == first).then_some(first)
    }

    /// HubSpot's words for a person: the problems when they were told apart, else the message.
    #[must_use]
    pub fn words(&self) -> String {
        const MOST: usize = 3;
        let mut words: Vec<&str> = Vec::new();
        for problem in &self.problems {
            if !problem.message.is_empty() && !words.contains(&problem.message.as_str()) {
                words.push(&problem.message);
            }
        }
        let more = words.len().saturating_sub(MOST);
        words.truncate(MOST);
        let mut all = match (words.is_empty(), &self.message) {
            (true, Some(message)) => message.clone(),
            (true, None) => "no reason given".to_owned(),
            (false, _) => words.join("; "),
        };
        if let Some((end, _)) = all.char_indices().nth(LONGEST_MESSAGE) {
            all.truncate(end);
            all.push('…');
        }
        if more > 0 {
            all.push_str(&format!(" (and {more} more)"));
        }
        all
    }

    /// The code of a property that no row can be written to, with the property.
    fn plan_fault(&self) -> Option<&Problem> {
        self.problems
            .iter()
            .find(|problem| problem.code.as_deref().is_some_and(|code| PLAN_CODES.contains(&code)))
    }
}

/// The problems in a message of the form `Property values were not valid: [{…}, …]`.
fn embedded(message: &str) -> Vec<Problem> {
    let Some((_, array)) = message.split_once("Property values were not valid:") else { return Vec::new() };
    let frames: Vec<Value> = serde_json::from_str(array.trim()).unwrap_or_default();
    frames
        .iter()
        .map(|frame| Problem {
            code: text(frame, "error"),
            property: text(frame, "name"),
            message: text(frame, "message")
                .or_else(|| text(frame, "localizedErrorMessage"))
                .unwrap_or_default(),
        })
        .collect()
}

/// The problem in one entry of `errors`.
fn problem(detail: &Value) -> Problem {
    Problem {
        code: text(detail, "code"),
        property: texts(detail, "propertyName").into_iter().next().or_else(|| text(detail, "in")),
        message: text(detail, "message").unwrap_or_default(),
    }
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).map(str::to_owned)
}

/// A list in an error's `context`; HubSpot writes a single value as a list, old bodies do not.
fn texts(error: &Value, key: &str) -> Vec<String> {
    match error.get("context").and_then(|context| context.get(key)) {
        Some(Value::Array(items)) => items.iter().map(infill_model::value::to_text).collect(),
        Some(Value::Null) | None => Vec::new(),
        Some(one) => vec![infill_model::value::to_text(one)],
    }
}

/// What an answer means. `zone` is the account's, where known: the day's budget starts anew at its midnight.
#[must_use]
pub fn classify(request: &Request, zone: Option<&TimeZone>, answer: &Answer, now: Timestamp) -> Classified {
    let mut observation = Observation {
        daily_remaining: answer.headers.number("X-HubSpot-RateLimit-Daily-Remaining"),
        daily_limit: answer.headers.number("X-HubSpot-RateLimit-Daily"),
        ..Observation::default()
    };
    if (200..300).contains(&answer.status) {
        return Classified { observation, ..Classified::good() };
    }
    let complaint = Complaint::read(&answer.body);
    let is_json = complaint.is_some();
    let complaint = complaint.unwrap_or_default();
    let verdict = Verdict::of(request, answer, &complaint, is_json, zone, now);
    let reach = match verdict.wait {
        Wait::Account { .. } => Reach::Account,
        Wait::None | Wait::Call(_) | Wait::Meter(_) => Reach::Meter,
    };
    match verdict.wait {
        Wait::None | Wait::Call(_) => {}
        Wait::Meter(until) => observation.cool_down_until = Some(until),
        Wait::Account { until, day_spent } => {
            observation.cool_down_until = Some(until);
            observation.day_spent = day_spent;
        }
    }
    let error = Error {
        status: Some(answer.status),
        property: complaint.property().map(str::to_owned),
        correlation_id: complaint
            .correlation_id
            .clone()
            .or_else(|| answer.headers.get("X-HubSpot-Correlation-Id").map(str::to_owned)),
        until: verdict.wait.until(),
        records: complaint.ids.clone(),
        delivery: verdict.delivery,
        ..Error::new(verdict.class, verdict.code, verdict.message)
    };
    Classified { observation, reach, result: Err(error) }
}

/// How long a refusal lasts, and for whom.
#[derive(Clone, Copy)]
enum Wait {
    /// It does not pass by waiting.
    None,
    /// For this call alone.
    Call(Timestamp),
    /// For every call of the meter.
    Meter(Timestamp),
    /// For every call of the account.
    Account { until: Timestamp, day_spent: bool },
}

impl Wait {
    const fn until(self) -> Option<Timestamp> {
        match self {
            Self::None => None,
            Self::Call(until) | Self::Meter(until) | Self::Account { until, .. } => Some(until),
        }
    }
}

struct Verdict {
    class: Class,
    code: String,
    message: String,
    wait: Wait,
    delivery: Delivery,
}

impl Verdict {
    fn of(
        request: &Request,
        answer: &Answer,
        complaint: &Complaint,
        is_json: bool,
        zone: Option<&TimeZone>,
        now: Timestamp,
    ) -> Self {
        let status = answer.status;
        let code = complaint.code().map_or_else(|| format!("http_{status}"), str::to_owned);
        let said = if is_json {
            format!("HubSpot: {}", complaint.words())
        } else {
            format!(
                "HubSpot answered {status} to {} with {} bytes of {} in place of its JSON",
                request.operation,
                answer.body.len(),
                answer.headers.get("Content-Type").unwrap_or("unknown type")
            )
        };
        let simply = |class| Self {
            class,
            code: code.clone(),
            message: said.clone(),
            wait: Wait::None,
            delivery: Delivery::Refused,
        };
        let with = |class, code: &str, way_out: &str| Self {
            code: code.to_owned(),
            message: format!("{said}; {way_out}"),
            ..simply(class)
        };
        match status {
            300..400 => with(Class::Configuration, "redirect", "is the connection's base_url HubSpot's?"),
            400 => Self::bad_request(request, complaint, is_json, simply, with),
            401 => simply(Class::Unauthorized),
            403 if !complaint.scopes.is_empty() => Self {
                message: format!(
                    "HubSpot: {}; give the token one of the scopes {}",
                    complaint.words(),
                    complaint.scopes.join(", ")
                ),
                ..simply(Class::Configuration)
            },
            403 => simply(Class::Configuration),
            404 if is_json => simply(Class::Gone),
            404 => with(
                Class::Configuration,
                "no_such_address",
                "check base_url and api_version of the connection",
            ),
            408 => Self { delivery: request.effect.delivery_when_lost(), ..simply(Class::Transient) },
            409 => match request.effect {
                Effect::Write => simply(Class::Rejected),
                Effect::Read => simply(Class::Conflict),
            },
            423 => Self { wait: Wait::Call(after(now, LOCKED)), ..simply(Class::Transient) },
            429 => match throttled(request, complaint, answer, zone, now) {
                wait @ Wait::Account { .. } => {
                    let until = "the calls of the day are spent; they start anew at the account's midnight";
                    Self { wait, ..with(Class::Throttled, &code, until) }
                }
                wait @ (Wait::None | Wait::Call(_) | Wait::Meter(_)) => {
                    Self { wait, ..simply(Class::Throttled) }
                }
            },
            477 => {
                let until = after(now, retry_after(answer).unwrap_or(LONGEST_WAIT));
                Self {
                    wait: Wait::Account { until, day_spent: false },
                    ..with(Class::Throttled, "account_moving", "the account moves to another data centre")
                }
            }
            530 => with(Class::Unauthorized, "malformed_token", "the token is not one of HubSpot's"),
            500..600 => {
                let pause = retry_after(answer).unwrap_or(SERVER_FAILURE);
                Self {
                    wait: Wait::Call(after(now, pause)),
                    delivery: request.effect.delivery_when_lost(),
                    ..simply(Class::Transient)
                }
            }
            _ => simply(Class::Bug),
        }
    }

    /// A 400 is the row's fault when a row was sent and the plan's otherwise, but for those that say so themselves.
    fn bad_request(
        request: &Request,
        complaint: &Complaint,
        is_json: bool,
        simply: impl Fn(Class) -> Self,
        with: impl Fn(Class, &str, &str) -> Self,
    ) -> Self {
        let message = complaint.message.as_deref().unwrap_or_default();
        if let Some(fault) = complaint.plan_fault() {
            let way_out = "no row can be written to it: take it out of the plan's writeback";
            let code = fault.code.as_deref().unwrap_or_default();
            return with(Class::Configuration, code, way_out);
        }
        if message.starts_with("Unable to infer object type") {
            return with(Class::Configuration, "unknown_object", "check the plan's object");
        }
        if message.starts_with("Invalid input JSON") {
            return with(Class::Bug, "malformed_request", "this is a fault of Infill");
        }
        if !is_json {
            return simply(Class::Bug);
        }
        match request.effect {
            Effect::Write => simply(Class::Rejected),
            Effect::Read => simply(Class::Configuration),
        }
    }
}

/// How long a 429 lasts: by policy, since HubSpot documents no `Retry-After` for API clients; one that is sent
/// is obeyed.
fn throttled(
    request: &Request,
    complaint: &Complaint,
    answer: &Answer,
    zone: Option<&TimeZone>,
    now: Timestamp,
) -> Wait {
    let is_daily = match complaint.policy.as_deref() {
        Some(policy) => policy.eq_ignore_ascii_case("DAILY"),
        // The refusal by the search limit names no policy; nor may others.
        None => complaint.message.as_deref().is_some_and(|message| message.contains("daily limit")),
    };
    let told = retry_after(answer);
    if is_daily {
        let midnight = zone.and_then(|zone| next_midnight(now, zone));
        let until = midnight.unwrap_or_else(|| after(now, told.unwrap_or(DAILY_WITHOUT_ZONE)));
        return Wait::Account { until, day_spent: true };
    }
    let by_policy = match request.meter {
        Meter::Search => SECONDLY,
        Meter::General | Meter::Free => TEN_SECONDLY,
    };
    Wait::Meter(after(now, told.unwrap_or(by_policy)))
}

/// The next midnight in a time zone; at a midnight that does not exist, the first moment of the day.
#[must_use]
pub fn next_midnight(now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let tomorrow = now.to_zoned(zone.clone()).date().tomorrow().ok()?;
    Some(tomorrow.to_zoned(zone.clone()).ok()?.timestamp())
}

fn retry_after(answer: &Answer) -> Option<Duration> {
    answer.headers.number("Retry-After").map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT))
}

fn after(now: Timestamp, wait: Duration) -> Timestamp {
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}
