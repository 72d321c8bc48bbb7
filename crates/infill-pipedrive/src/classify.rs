//! What an answer means: one pure function from status, headers and body to a class.
//!
//! Three refusals look alike and are not: the burst window (429, over in two seconds), the company's day (429, over at
//! midnight), and the guard in front of Pipedrive (403 with a page of HTML), which shuts whoever goes on after a 429.

use std::time::Duration;

use infill_crm::exchange::{Answer, Classified, Effect, Method, Reach, Request};
use infill_crm::meter::Observation;
use infill_crm::{Delivery, Error};
use infill_model::{Class, Timestamp};
use serde_json::Value;

use crate::field::is_custom;

/// The burst window is so long; no refusal by it lasts longer.
const BURST_WINDOW: Duration = Duration::from_secs(2);
/// A reset further away than this is not that of the burst window.
const LONGEST_BURST: Duration = Duration::from_secs(10);
/// Refusals that nothing explains are those of the day once they have gone on for this long without a good answer: the
/// burst window has passed more than once by then.
const PROVES_DAY: Duration = Duration::from_secs(6);
/// The day ends at midnight in a zone that Pipedrive does not tell, so it is asked again this often.
const DAY_RECHECK: Duration = Duration::from_secs(3600);
/// After a failure of Pipedrive's own.
const SERVER_FAILURE: Duration = Duration::from_secs(3);
/// While Pipedrive is being maintained.
const MAINTENANCE: Duration = Duration::from_secs(30);
/// Characters of Pipedrive's words that are kept.
const LONGEST_MESSAGE: usize = 1_000;

/// What Pipedrive said about an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Complaint {
    /// `error`, as it came.
    pub error: String,
    /// `error_info`, where it says more.
    pub info: String,
    /// `code`, where it is a word.
    pub code: Option<String>,
}

impl Complaint {
    /// Reads an error body; `None` when it is not Pipedrive's JSON.
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        let body = serde_json::from_slice::<Value>(body).ok().filter(Value::is_object)?;
        let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            error: text("error").or_else(|| text("message")).unwrap_or_default(),
            info: text("error_info").unwrap_or_default(),
            code: text("code"),
        })
    }

    /// Its words for a person.
    #[must_use]
    pub fn words(&self) -> String {
        /// What Pipedrive adds to every error.
        const NOISE: &str = "Please check developers.pipedrive.com";
        let mut words = if self.error.is_empty() { "no reason given".to_owned() } else { self.error.clone() };
        if !self.info.is_empty() && self.info != NOISE && !self.error.contains(&self.info) {
            words.push_str(&format!(" ({})", self.info));
        }
        if let Some((end, _)) = words.char_indices().nth(LONGEST_MESSAGE) {
            words.truncate(end);
            words.push('…');
        }
        words
    }

    /// The faults of a validation, which stand in one text.
    fn faults(&self) -> impl Iterator<Item = &str> {
        self.error.trim_start_matches("Validation failed:").split(';').map(str::trim)
    }

    /// The field at fault, when there is one and only one.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        let mut named = self.faults().filter_map(|fault| {
            let mut words = fault.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            let code = words.clone().find(|word| is_custom(word));
            code.or_else(|| words.find(|word| !word.is_empty()).filter(|_| fault.contains(':')))
        });
        let first = named.next().filter(|field| *field != "custom_fields")?;
        named.all(|other| other == first).then_some(first)
    }
}

/// What an answer means. `refused_since` is the moment since when every answer of this connection was a 429.
#[must_use]
pub fn classify(
    request: &Request,
    answer: &Answer,
    now: Timestamp,
    refused_since: Option<Timestamp>,
) -> Classified {
    let header = |name: &str| answer.headers.number(name);
    // Not documented and not always there.
    let mut observation = Observation {
        daily_remaining: header("x-daily-ratelimit-token-remaining"),
        daily_limit: header("x-daily-ratelimit-token-limit"),
        ..Observation::default()
    };
    if (200..300).contains(&answer.status) {
        return Classified { observation, ..Classified::good() };
    }
    let complaint = Complaint::read(&answer.body);
    let verdict = Verdict::of(request, answer, complaint.as_ref(), now, refused_since);
    let reach = match verdict.wait {
        Wait::Day(_) => Reach::Account,
        Wait::None | Wait::Call(_) | Wait::Burst(_) | Wait::Blocked => Reach::Meter,
    };
    match verdict.wait {
        Wait::None | Wait::Call(_) => {}
        Wait::Burst(until) => observation.cool_down_until = Some(until),
        Wait::Day(until) => {
            observation.cool_down_until = Some(until);
            observation.day_spent = true;
        }
        Wait::Blocked => observation.blocked = Some(verdict.message.clone()),
    }
    let error = Error {
        status: Some(answer.status),
        property: complaint.as_ref().and_then(Complaint::field).map(str::to_owned),
        until: verdict.wait.until(),
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
    /// For every call of the burst window.
    Burst(Timestamp),
    /// For every call of the company.
    Day(Timestamp),
    /// Until a person has seen to it.
    Blocked,
}

impl Wait {
    const fn until(self) -> Option<Timestamp> {
        match self {
            Self::None | Self::Blocked => None,
            Self::Call(until) | Self::Burst(until) | Self::Day(until) => Some(until),
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
        complaint: Option<&Complaint>,
        now: Timestamp,
        refused_since: Option<Timestamp>,
    ) -> Self {
        let status = answer.status;
        let code = complaint
            .and_then(|complaint| complaint.code.clone())
            .unwrap_or_else(|| format!("http_{status}"));
        let said = match complaint {
            Some(complaint) => format!("Pipedrive: {}", complaint.words()),
            None => format!(
                "Pipedrive answered {status} to {} with {} bytes of {} in place of its JSON",
                request.operation,
                answer.body.len(),
                answer.headers.get("Content-Type").unwrap_or("unknown type")
            ),
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
        let blocked =
            |code: &str, way_out: &str| Self { wait: Wait::Blocked, ..with(Class::Throttled, code, way_out) };
        let transient = |pause| Self {
            wait: Wait::Call(after(now, pause)),
            delivery: request.effect.delivery_when_lost(),
            ..simply(Class::Transient)
        };
        match (status, complaint) {
            (300..400, _) => {
                with(Class::Configuration, "redirect", "is the connection's base_url Pipedrive's?")
            }
            (400, Some(complaint)) => Self::bad_request(request, complaint, simply, with),
            (401, _) => simply(Class::Unauthorized),
            (402, _) => blocked("company_closed", "the company's subscription has ended"),
            (403, None) => blocked(
                "shut_out",
                "the guard in front of Pipedrive shuts out callers that go on after a 429: find out what else calls with \
                 this login, lower calls_per_2_seconds, wait some minutes, and resume the connection",
            ),
            (403, Some(complaint)) => Self::forbidden(request, complaint, simply, with),
            (404 | 410, Some(_)) if is_about_one_record(request) => simply(Class::Gone),
            (404 | 410, _) => {
                with(Class::Configuration, "no_such_address", "check base_url of the connection")
            }
            (405 | 415 | 501, _) => {
                with(Class::Configuration, &code, "this company's Pipedrive does not offer it")
            }
            (408, _) => Self { delivery: request.effect.delivery_when_lost(), ..simply(Class::Transient) },
            (409, _) | (422, Some(_)) => match request.effect {
                Effect::Write => simply(Class::Rejected),
                Effect::Read => simply(Class::Configuration),
            },
            (429, _) => match throttled(answer, now, refused_since) {
                wait @ Wait::Day(_) => Self {
                    wait,
                    ..with(
                        Class::Throttled,
                        "day_spent",
                        "the company's tokens of the day are spent, by all its integrations",
                    )
                },
                wait @ (Wait::None | Wait::Call(_) | Wait::Burst(_) | Wait::Blocked) => {
                    Self { wait, ..simply(Class::Throttled) }
                }
            },
            (503, _) => transient(MAINTENANCE),
            (500..600, _) => transient(SERVER_FAILURE),
            _ => simply(Class::Bug),
        }
    }

    /// A 400 is the row's fault when a row was sent, but for those that say otherwise.
    fn bad_request(
        request: &Request,
        complaint: &Complaint,
        simply: impl Fn(Class) -> Self,
        with: impl Fn(Class, &str, &str) -> Self,
    ) -> Self {
        let says = |words: &str| complaint.error.contains(words);
        if says("Unknown key") {
            let way_out = "the field was deleted since the run was configured: take it out of the plan, or name the new one";
            return with(Class::Configuration, "unknown_field", way_out);
        }
        if says("is not allowed for this request") {
            return with(Class::Bug, "malformed_request", "this is a fault of Infill");
        }
        match request.effect {
            Effect::Write => simply(Class::Rejected),
            Effect::Read => simply(Class::Configuration),
        }
    }

    /// A 403 with words: the app may not, the company's tier may not, or this user may not with this record.
    fn forbidden(
        request: &Request,
        complaint: &Complaint,
        simply: impl Fn(Class) -> Self,
        with: impl Fn(Class, &str, &str) -> Self,
    ) -> Self {
        if complaint.error.contains("Scope and URL mismatch") {
            let way_out = "give the app the scopes contacts:full, deals:full, products:full, activities:full, leads:full \
                           (those of the plan's object) and users:read; a wrong address is answered the same way";
            return with(Class::Configuration, "scope_missing", way_out);
        }
        let all = format!(
            "{} {} {}",
            complaint.error,
            complaint.info,
            complaint.code.as_deref().unwrap_or_default()
        );
        if all.contains("feature_capping") {
            return with(Class::Configuration, "feature_capping", "the company's tier does not include it");
        }
        if is_about_one_record(request) && request.effect == Effect::Write {
            return simply(Class::Rejected);
        }
        with(Class::Configuration, "forbidden", "the login's user lacks the permission")
    }
}

/// Whether the address ends in a record's id.
fn is_about_one_record(request: &Request) -> bool {
    request.method == Method::Patch || request.operation == crate::request::READ_ONE_V1.operation
}

/// Which limit a 429 is about: Pipedrive's body is the same for all.
fn throttled(answer: &Answer, now: Timestamp, refused_since: Option<Timestamp>) -> Wait {
    let header = |name: &str| answer.headers.number(name);
    let reset = header("x-ratelimit-reset").map(Duration::from_secs);
    if let Some(reset) = reset.filter(|reset| *reset > LONGEST_BURST) {
        return Wait::Day(after(now, reset));
    }
    let is_spent = header("x-daily-ratelimit-token-remaining") == Some(0);
    let goes_on = refused_since.is_some_and(|since| after(since, PROVES_DAY) <= now);
    if is_spent || goes_on {
        return Wait::Day(after(now, DAY_RECHECK));
    }
    let wait = reset.unwrap_or(BURST_WINDOW).clamp(Duration::from_secs(1), BURST_WINDOW);
    Wait::Burst(after(now, wait))
}

fn after(from: Timestamp, wait: Duration) -> Timestamp {
    from.checked_add(wait).unwrap_or(Timestamp::MAX)
}
