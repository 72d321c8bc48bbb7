//! Which row an answer is about: matched by id and trace id, never by position.
//!
//! A row counts as confirmed only when its own id is among the results and no error names it. A row that is in
//! neither is left out: nobody knows, so it is read back.

use std::collections::{HashMap, HashSet};

use infill_crm::{Error, Refusal, Update};
use infill_model::{Class, PropertyName, RecordId};

use crate::classify::{Complaint, PLAN_CODES, Problem};
use crate::request::sent_text;
use crate::response::BatchUpdated;

/// Categories of an entry that says nothing against the row: it may go again.
const TRY_AGAIN: [&str; 4] = ["RATE_LIMITS", "INTERNAL_ERROR", "SERVICE_UNAVAILABLE", "TIMEOUT"];

/// The category of a record that is not there.
pub const NOT_FOUND: &str = "OBJECT_NOT_FOUND";

/// A mixed answer taken apart by row.
#[derive(Debug, Default, PartialEq)]
pub struct Settled {
    /// Updated: the id was in the results.
    pub confirmed: Vec<RecordId>,
    /// Refused, each in HubSpot's words.
    pub refused: Vec<(RecordId, Refusal)>,
    /// Not there, to be looked up one by one.
    pub missing: Vec<RecordId>,
}

/// Takes the answer to a batch update apart.
#[must_use]
pub fn settle(updates: &[Update], answer: &BatchUpdated<'_>) -> Settled {
    let mut settled = Settled::default();
    let sent: HashMap<&str, &RecordId> =
        updates.iter().map(|update| (update.record.as_str(), &update.record)).collect();
    let mut named: HashSet<&RecordId> = HashSet::new();
    for error in answer.errors.iter().flatten() {
        let complaint = Complaint::of(error);
        let mut records: Vec<&RecordId> = complaint
            .ids
            .iter()
            .map(RecordId::as_str)
            .chain(complaint.traces.iter().map(String::as_str))
            .filter_map(|id| sent.get(id).copied())
            .collect();
        if let ([], [only]) = (records.as_slice(), updates) {
            records.push(&only.record);
        }
        for record in records {
            if !named.insert(record) {
                continue;
            }
            match complaint.category.as_deref() {
                Some(NOT_FOUND) => settled.missing.push(record.clone()),
                Some(category) if TRY_AGAIN.contains(&category) => {}
                Some(_) | None => settled.refused.push((record.clone(), refusal(&complaint))),
            }
        }
    }
    for result in answer.results.iter().flatten() {
        if let Some(record) = sent.get(result.id.as_ref())
            && named.insert(record)
        {
            settled.confirmed.push((*record).clone());
        }
    }
    settled
}

impl Settled {
    /// The error to stop the run with, when every row was refused for a property that none can be written to: told
    /// row by row, it is the plan's fault all the same. Nothing was written, so nothing is lost by saying so.
    #[must_use]
    pub fn plan_fault(&self) -> Option<Error> {
        let (_, first) = self.refused.first()?;
        let is_plan_fault = |refusal: &Refusal| PLAN_CODES.contains(&refusal.code.as_str());
        let is_all = self.confirmed.is_empty()
            && self.missing.is_empty()
            && self.refused.iter().all(|(_, refusal)| is_plan_fault(refusal));
        let way_out = "no row can be written to it: take it out of the plan's writeback";
        is_all.then(|| Error {
            property: first.property.as_ref().map(|property| property.as_str().to_owned()),
            correlation_id: first.correlation_id.clone(),
            ..Error::new(Class::Configuration, first.code.clone(), format!("{}; {way_out}", first.message))
        })
    }
}

fn refusal(complaint: &Complaint) -> Refusal {
    Refusal {
        code: complaint.code().unwrap_or("REFUSED").to_owned(),
        message: format!("HubSpot: {}", complaint.words()),
        property: complaint.property().map(PropertyName::from),
        correlation_id: complaint.correlation_id.clone(),
    }
}

/// Names the rows that made HubSpot refuse a whole batch, as far as it lets us know: by id, by the offending value,
/// or because only one row could have. Leaves `records` empty where it does not.
pub fn name_records(error: &mut Error, updates: &[Update], complaint: &Complaint) {
    if !matches!(error.class, Class::Rejected | Class::Gone) {
        return;
    }
    let sent: HashSet<&RecordId> = updates.iter().map(|update| &update.record).collect();
    let mut guilty: Vec<RecordId> = complaint
        .ids
        .iter()
        .cloned()
        .chain(complaint.traces.iter().map(|trace| RecordId::from(trace.as_str())))
        .filter(|id| sent.contains(id))
        .collect();
    if guilty.is_empty() && error.class == Class::Rejected {
        let problems = &complaint.problems;
        let times = |problem: &Problem| problems.iter().filter(|other| *other == problem).count();
        guilty =
            problems.iter().flat_map(|problem| blamed(updates, problem, times(problem))).cloned().collect();
    }
    if let ([], [only]) = (guilty.as_slice(), updates) {
        guilty.push(only.record.clone());
    }
    guilty.sort_unstable();
    guilty.dedup();
    error.records = guilty;
}

/// The rows whose value of the property is the one that the problem's message names: `V was not one of …`,
/// `V was not a valid long.` Of several values that fit, the longest is meant.
///
/// HubSpot says a problem once for each offending row. When more rows than that carry the value, some of them are innocent,
/// and nobody is blamed: halving finds out.
fn blamed<'a>(updates: &'a [Update], problem: &Problem, times_said: usize) -> Vec<&'a RecordId> {
    let Some(property) = problem.property.as_deref() else { return Vec::new() };
    let carriers: Vec<(&RecordId, String)> = updates
        .iter()
        .filter_map(|update| {
            let value = update.properties.get(property).filter(|value| !value.is_null())?;
            Some((&update.record, sent_text(value)))
        })
        .collect();
    // An invalid value was sent by somebody; a missing one would be the fault of a row that did not send it.
    let is_invalid_value = problem.code.as_deref().is_some_and(|code| code.starts_with("INVALID_"));
    if let ([(only, _)], true) = (carriers.as_slice(), is_invalid_value) {
        return vec![only];
    }
    let named = carriers.iter().map(|(_, value)| value).filter(|value| names(&problem.message, value));
    let Some(longest) = named.max_by_key(|value| value.len()) else { return Vec::new() };
    let suspects: Vec<&RecordId> =
        carriers.iter().filter(|(_, value)| value == longest).map(|(record, _)| *record).collect();
    if suspects.len() > times_said { Vec::new() } else { suspects }
}

/// Whether a message names a value as the offending one.
fn names(message: &str, value: &str) -> bool {
    let starts_with_it = message.strip_prefix(value).is_some_and(|rest| rest.starts_with(" was not "));
    let is_the_address = value.contains('@')
        && message.split_whitespace().any(|word| word.trim_matches(['"', '\'', ',', ':', '.']) == value);
    !value.is_empty() && (starts_with_it || is_the_address)
}
