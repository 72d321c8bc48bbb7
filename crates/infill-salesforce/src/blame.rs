//! Which row an answer is about. Within a collection failed rows have no id and are known by their position; a row counts as
//! confirmed only when its own id is in the answer.

use infill_crm::exchange::{Answer, Classified, Reach, Request};
use infill_crm::meter::Observation;
use infill_crm::{Delivery, Error, Refusal};
use infill_model::{Class, RecordId, Timestamp};

use crate::classify::{Complaint, Fate, classify, is_of_the_plan, limit, refusal};
use crate::id::Id;
use crate::request::{Row, reference};
use crate::response::{CompositeAnswer, PartAnswer, Saved};

/// The answer to an update taken apart by row.
#[derive(Debug, Default, PartialEq)]
pub struct Settled {
    /// Saved: the id was in the answer.
    pub confirmed: Vec<RecordId>,
    /// Refused, each in Salesforce's words.
    pub refused: Vec<(RecordId, Refusal)>,
    /// Said not to be there: to be looked up. The refusal is theirs when they are there all the same.
    pub missing: Vec<(RecordId, Id, Refusal)>,
    /// What the answers within the answer said of the org's limits: the quota is to be told of them.
    pub observed: Vec<(Reach, Observation)>,
    /// Not written this time, through no fault of theirs; the refusal is that of the first.
    again: Option<(usize, Refusal)>,
    /// What kept a whole collection from being written.
    failed: Option<Error>,
}

/// Takes the answer to `request` apart.
#[must_use]
pub fn settle(
    request: &Request,
    collections: &[&[Row<'_>]],
    answer: CompositeAnswer,
    now: Timestamp,
) -> Settled {
    let mut settled = Settled::default();
    let mut parts = answer.composite_response;
    for (nth, rows) in collections.iter().enumerate() {
        let reference = reference(nth);
        let place = parts.iter().position(|part| part.reference_id == reference);
        let Some(place) = place else {
            settled.fail(left_out(rows.len()));
            continue;
        };
        match settled.saved(request, parts.swap_remove(place), now) {
            Ok(saved) => {
                for saved in &saved {
                    settled.heed(request, &saved.errors, now);
                }
                settled.take(rows, saved);
            }
            Err(error) => settled.fail(error),
        }
    }
    settled
}

fn left_out(n_rows: usize) -> Error {
    let message =
        format!("Salesforce's answer leaves out {n_rows} records without a word; they are read back");
    Error { delivery: Delivery::Unknown, ..Error::new(Class::Transient, "records_left_out", message) }
}

impl Settled {
    /// The rows of one collection, or why the whole of it failed.
    fn saved(&mut self, request: &Request, part: PartAnswer, now: Timestamp) -> Result<Vec<Saved>, Error> {
        if !(200..300).contains(&part.http_status_code) {
            let answer = Answer::of(part.http_status_code, &[], part.body.to_string());
            self.hear(classify(request, &answer, now))?;
        }
        serde_json::from_value(part.body).map_err(|error| Error {
            delivery: Delivery::Unknown,
            ..Error::new(
                Class::Bug,
                "unexpected_answer",
                format!("Salesforce's answer to an update cannot be read: {error}"),
            )
        })
    }

    /// Keeps what an answer said of the org's limits.
    fn hear(&mut self, classified: Classified) -> Result<(), Error> {
        let heard = (classified.reach, classified.observation);
        if heard.1 != Observation::default() && !self.observed.contains(&heard) {
            self.observed.push(heard);
        }
        classified.result
    }

    /// A row met a limit that is the org's, if that is what its complaints say: then so would every other.
    pub fn heed(&mut self, request: &Request, complaints: &[Complaint], now: Timestamp) {
        if let Some(Err(error)) = limit(request, complaints, now).map(|limit| self.hear(limit)) {
            self.fail(error);
        }
    }

    fn take(&mut self, rows: &[Row<'_>], saved: Vec<Saved>) {
        if saved.len() != rows.len() {
            // Positions mean nothing now; ids still do.
            self.fail(left_out(rows.len().saturating_sub(saved.len())));
        }
        let positions_hold = saved.len() == rows.len();
        for (nth, saved) in saved.into_iter().enumerate() {
            let id = saved.id.as_deref().and_then(Id::parse);
            let by_id = rows.iter().find(|row| Some(row.id) == id);
            let by_position = if positions_hold && id.is_none() { rows.get(nth) } else { None };
            match (saved.success, by_id.or(by_position)) {
                (true, Some(row)) if by_id.is_some() => self.confirm(row),
                (false, Some(row)) => self.refuse(row, &saved.errors),
                (true, Some(_)) | (_, None) => self.fail(left_out(1)),
            }
        }
    }

    /// A row was saved.
    pub fn confirm(&mut self, row: &Row<'_>) {
        self.confirmed.push(row.record.clone());
    }

    /// A row was not saved, because of this.
    pub fn refuse(&mut self, row: &Row<'_>, complaints: &[Complaint]) {
        let refusal = refusal(complaints);
        match Fate::of(complaints) {
            Fate::Refused => self.refused.push((row.record.clone(), refusal)),
            Fate::Missing => self.missing.push((row.record.clone(), row.id, refusal)),
            Fate::Again => {
                let (n_rows, _) = self.again.get_or_insert((0, refusal));
                *n_rows += 1;
            }
        }
    }

    /// Rows have no answer, because of this.
    pub fn fail(&mut self, error: Error) {
        if self.failed.as_ref().is_none_or(|known| gravity(&error) > gravity(known)) {
            self.failed = Some(error);
        }
    }

    /// What kept records from having an answer, if anything did.
    ///
    /// Records that another transaction held are not tried again here: Salesforce has waited ten seconds for them already, and
    /// the next attempt of the batch comes after a pause, with those records alone.
    #[must_use]
    pub fn cut_short(&mut self) -> Option<Error> {
        if let Some((n_rows, refusal)) = self.again.take() {
            let message = format!("{n_rows} records could not be written this time: {}", refusal.message);
            self.fail(Error::new(Class::Transient, refusal.code, message));
        }
        self.failed.take()
    }

    /// The error to stop the run with, when every row was refused for what every other would meet as well: told row by row, it
    /// is the plan's or the org's fault all the same. Nothing was written, so nothing is lost by saying so.
    #[must_use]
    pub fn plan_fault(&self) -> Option<Error> {
        let (_, first) = self.refused.first()?;
        let is_all = self.confirmed.is_empty()
            && self.missing.is_empty()
            && self.again.is_none()
            && self.failed.is_none()
            && self.refused.iter().all(|(_, refusal)| is_of_the_plan(refusal));
        let way_out = "no row can be written: check the plan's writeback and what the user may edit";
        is_all.then(|| Error {
            property: first.property.as_ref().map(|property| property.as_str().to_owned()),
            ..Error::new(Class::Configuration, first.code.clone(), format!("{}; {way_out}", first.message))
        })
    }
}

/// Of the errors of several collections, the one to tell: what may have been written must be read back first, and what concerns
/// more than rows comes before what rows are guilty of.
const fn gravity(error: &Error) -> u8 {
    match (error.delivery, error.class) {
        (Delivery::Unknown, _) => 3,
        (Delivery::Refused, Class::Throttled | Class::Unauthorized | Class::Configuration | Class::Bug) => 2,
        (Delivery::Refused, Class::Rejected | Class::Conflict | Class::Gone) => 1,
        (Delivery::Refused, Class::Transient) => 0,
    }
}

#[cfg(test)]
mod tests {
    use infill_crm::exchange::{Body, Effect, Method};
    use infill_crm::meter::Meter;
    use infill_model::Value;
    use serde_json::json;

    use super::*;

    fn ids(count: usize) -> Vec<RecordId> {
        (0..count).map(|nth| Id::parse(&format!("003ak00000jvI{nth:02}")).unwrap().as_str().into()).collect()
    }

    fn rows(records: &[RecordId]) -> Vec<Row<'_>> {
        records
            .iter()
            .map(|record| Row { id: Id::parse(record.as_str()).unwrap(), record, fields: Vec::new() })
            .collect()
    }

    fn settled(collections: &[&[Row<'_>]], parts: &[(u16, Value)]) -> Settled {
        let parts: Vec<Value> = parts
            .iter()
            .enumerate()
            .map(|(nth, (status, body))| {
                json!({"body": body, "httpHeaders": {}, "httpStatusCode": status, "referenceId": reference(nth)})
            })
            .rev()
            .collect();
        let answer = serde_json::from_value(json!({"compositeResponse": parts})).unwrap();
        let request = Request {
            operation: "update",
            method: Method::Post,
            path: String::new(),
            headers: Vec::new(),
            body: Body::Empty,
            meter: Meter::General,
            cost: 1,
            effect: Effect::Write,
        };
        settle(&request, collections, answer, "2026-11-20T12:00:00Z".parse().unwrap())
    }

    fn ok(id: &RecordId) -> Value {
        json!({"id": id, "success": true, "errors": []})
    }

    fn no(code: &str, message: &str) -> Value {
        json!({"success": false, "errors": [{"statusCode": code, "message": message, "fields": []}]})
    }

    #[test]
    fn failed_rows_are_known_by_position_and_good_ones_by_id() {
        let ids = ids(5);
        let rows = rows(&ids);
        let mut settled = settled(
            &[&rows],
            &[(
                200,
                json!([
                    ok(&ids[0]),
                    no("FIELD_CUSTOM_VALIDATION_EXCEPTION", "Say why."),
                    no("ENTITY_IS_DELETED", "entity is deleted"),
                    no("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record"),
                    {"success": true, "errors": []},
                ]),
            )],
        );
        assert_eq!(settled.confirmed, ids[..1]);
        assert_eq!(settled.refused.len(), 1);
        assert_eq!(
            (&settled.refused[0].0, settled.refused[0].1.message.as_str()),
            (&ids[1], "Salesforce: Say why.")
        );
        assert_eq!(settled.missing[0].0, ids[2]);
        // A success without an id proves nothing: it is read back.
        let error = settled.cut_short().unwrap();
        assert_eq!((error.code.as_str(), error.delivery), ("records_left_out", Delivery::Unknown));
    }

    #[test]
    fn locked_rows_go_again_and_are_certainly_not_written() {
        let ids = ids(2);
        let rows = rows(&ids);
        let locked = no(
            "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
            "T: execution of U caused by: UNABLE_TO_LOCK_ROW: 001x",
        );
        let mut settled = settled(&[&rows], &[(200, json!([ok(&ids[0]), locked]))]);
        let error = settled.cut_short().unwrap();
        assert_eq!((error.class, error.delivery), (Class::Transient, Delivery::Refused));
        assert!(error.message.starts_with("1 records could not be written this time"), "{error}");
        assert_eq!(settled.cut_short(), None);
    }

    #[test]
    fn one_collection_fails_and_the_others_are_settled() {
        let ids = ids(3);
        let rows = rows(&ids);
        let collections = [&rows[..1], &rows[1..2], &rows[2..]];
        let malformed = json!([{"errorCode": "JSON_PARSER_ERROR", "message": "Cannot deserialize"}]);
        let broken = json!([{"errorCode": "SERVER_UNAVAILABLE", "message": "busy"}]);
        for (parts, class, delivery) in [
            (
                vec![(200, json!([ok(&ids[0])])), (400, malformed.clone())],
                Class::Transient,
                Delivery::Unknown,
            ),
            (
                vec![(200, json!([ok(&ids[0])])), (400, malformed.clone()), (200, json!([ok(&ids[2])]))],
                Class::Rejected,
                Delivery::Refused,
            ),
            (
                vec![(200, json!([ok(&ids[0])])), (400, malformed), (503, broken)],
                Class::Transient,
                Delivery::Unknown,
            ),
        ] {
            let mut settled = settled(&collections, &parts);
            assert!(settled.confirmed.contains(&ids[0]));
            let error = settled.cut_short().unwrap();
            assert_eq!((error.class, error.delivery), (class, delivery), "{error}");
        }
    }

    #[test]
    fn a_limit_met_within_a_call_is_the_orgs_whether_a_part_or_a_row_meets_it() {
        let ids = ids(2);
        let rows = rows(&ids);
        let concurrent = "ConcurrentRequests (Concurrent API Requests) Limit exceeded.";
        let part = json!([{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": concurrent}]);
        let row = no("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.");
        for (second, day_spent) in [((403, part), false), ((200, json!([row])), true)] {
            let mut settled = settled(&[&rows[..1], &rows[1..]], &[(200, json!([ok(&ids[0])])), second]);
            assert_eq!(settled.confirmed, ids[..1]);
            let [(Reach::Account, observation)] = settled.observed.as_slice() else {
                panic!("{:?}", settled.observed);
            };
            assert_eq!(observation.day_spent, day_spent);
            let until = observation.cool_down_until;
            let error = settled.cut_short().unwrap();
            assert_eq!((error.class, error.delivery), (Class::Throttled, Delivery::Refused), "{error}");
            assert!(error.until.is_some() && error.until == until, "{error:?}");
        }
    }

    #[test]
    fn answers_that_lost_their_order_are_believed_by_id_alone() {
        let ids = ids(3);
        let rows = rows(&ids);
        let mut settled = settled(&[&rows], &[(200, json!([ok(&ids[2]), no("X", "y")]))]);
        assert_eq!(settled.confirmed, ids[2..]);
        assert!(settled.refused.is_empty(), "whose refusal it is cannot be known");
        assert_eq!(settled.cut_short().unwrap().delivery, Delivery::Unknown);
    }

    #[test]
    fn what_no_row_can_be_written_to_stops_the_run() {
        let ids = ids(2);
        let rows = rows(&ids);
        let hidden = no("INVALID_FIELD_FOR_INSERT_UPDATE", "Unable to create/update fields: Fax.");
        let all = settled(&[&rows], &[(200, json!([hidden, hidden]))]);
        let fault = all.plan_fault().unwrap();
        assert_eq!(
            (fault.class, fault.code.as_str()),
            (Class::Configuration, "INVALID_FIELD_FOR_INSERT_UPDATE")
        );
        let some = settled(&[&rows], &[(200, json!([hidden, ok(&ids[1])]))]);
        assert_eq!(some.plan_fault(), None);
    }
}
