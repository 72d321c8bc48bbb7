//! What became of the records of one batch, when each is a call of its own.
//!
//! Laws: a record has at most one standing; one bad record stops no other; what concerns the connection stops the rest,
//! and so do failures that come one after another; nobody is gone on the word of a refused write alone.

use std::collections::HashSet;

use infill_crm::{Delivery, Error, Exchanged, Refusal, WriteAnswer};
use infill_model::row::Gone;
use infill_model::{Class, PropertyName, RecordId};

/// Calls of one batch that may fail by no fault of their record before the rest is left for later: with so many, it is
/// Pipedrive that is not well, and each further try would cost its tokens for nothing.
const MOST_FAILURES: usize = 5;

/// Attempts at a record whose write Pipedrive itself broke on, while it took the others: it answers so to what it cannot make sense of.
const ATTEMPTS_AT_BROKEN: u32 = 3;

/// The status of a write that Pipedrive broke on.
const BROKEN: u16 = 500;

/// Collects the standings.
#[derive(Debug, Default)]
pub struct Tally {
    answer: WriteAnswer,
    /// Records whose write was answered as if they were not there.
    missing: Vec<(RecordId, Error)>,
    n_failures: usize,
    /// All failures so far were Pipedrive breaking on the record.
    only_broken: bool,
    stopped: bool,
}

impl Tally {
    /// Notes how the call for one record ended.
    pub fn take(&mut self, record: RecordId, outcome: Result<(), Error>) {
        let error = match outcome {
            Ok(()) => return self.answer.confirmed.push(record),
            Err(error) => error,
        };
        match error.class {
            Class::Rejected | Class::Conflict => self.refused(record, error),
            Class::Gone => self.missing.push((record, error)),
            Class::Transient => {
                let is_broken = error.status == Some(BROKEN);
                self.only_broken = is_broken && (self.n_failures == 0 || self.only_broken);
                self.n_failures += 1;
                let is_enough = self.n_failures >= MOST_FAILURES;
                self.cut_short(error, is_enough);
            }
            Class::Throttled | Class::Unauthorized | Class::Configuration | Class::Bug => {
                self.cut_short(error, true);
            }
        }
    }

    /// Notes a record that a read did not find.
    pub fn gone(&mut self, record: RecordId) {
        self.answer.gone.push((record, Gone { survivor: None }));
    }

    /// The records that a write did not find: to be read before [`Tally::settle_missing`].
    #[must_use]
    pub fn missing(&self) -> Vec<RecordId> {
        self.missing.iter().map(|(record, _)| record.clone()).collect()
    }

    /// Settles them by what a read found. One that is there all the same is refused. When it could not be read, they are certainly
    /// not written, and go again.
    pub fn settle_missing(&mut self, there: Result<HashSet<String>, Error>) {
        let missing = std::mem::take(&mut self.missing);
        let there = match there {
            Ok(there) => there,
            Err(error) if missing.is_empty() => return drop(error),
            Err(error) => return self.cut_short(error, false),
        };
        for (record, error) in missing {
            if there.contains(record.as_str()) {
                let way_out = "the record is there, so the login's user may see it and not change it";
                let message = format!("{}; {way_out}", error.message);
                self.refused(record, Error { message, ..error });
            } else {
                self.gone(record);
            }
        }
    }

    /// Notes a record that a call refused.
    fn refused(&mut self, record: RecordId, error: Error) {
        let (refusal, exchanged) = refusal(error);
        self.answer.exchanged.extend(exchanged);
        self.refuse(record, refusal);
    }

    /// Notes a record that is refused before any call.
    pub fn refuse(&mut self, record: RecordId, refusal: Refusal) {
        self.answer.refused.push((record, refusal));
    }

    /// Leaves the rest for later.
    pub fn stop(&mut self, why: Error) {
        self.cut_short(why, true);
    }

    /// Whether the next record may be sent.
    #[must_use]
    pub const fn goes_on(&self) -> bool {
        !self.stopped
    }

    /// The answer to the whole batch.
    ///
    /// # Errors
    /// What stopped it, when no record has an answer.
    pub fn finish(mut self) -> Result<WriteAnswer, Error> {
        if let Some(error) = self.answer.cut_short.as_mut().filter(|_| self.only_broken && !self.stopped) {
            error.max_attempts = Some(ATTEMPTS_AT_BROKEN);
        }
        let WriteAnswer { confirmed, refused, gone, cut_short, .. } = &mut self.answer;
        if confirmed.is_empty()
            && refused.is_empty()
            && gone.is_empty()
            && let Some(error) = cut_short.take()
        {
            return Err(error);
        }
        Ok(self.answer)
    }

    /// Keeps the error that says most: what stops the rest over what did not, else the first. Some record may have been
    /// written when any of the calls left that open.
    fn cut_short(&mut self, error: Error, stops: bool) {
        let is_open = |error: &Error| error.delivery == Delivery::Unknown;
        let says_more = stops && !self.stopped;
        self.stopped |= stops;
        let (mut kept, other) = match self.answer.cut_short.take() {
            Some(held) if says_more => (error, Some(held)),
            Some(held) => (held, Some(error)),
            None => (error, None),
        };
        if other.as_ref().is_some_and(is_open) {
            kept.delivery = Delivery::Unknown;
        }
        self.answer.cut_short = Some(kept);
    }
}

fn refusal(error: Error) -> (Refusal, Option<Exchanged>) {
    let refusal = Refusal {
        code: error.code,
        message: error.message,
        property: error.property.map(PropertyName::from),
        correlation_id: error.correlation_id,
    };
    (refusal, error.exchanged.map(|exchanged| *exchanged))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn failed(class: Class, delivery: Delivery) -> Result<(), Error> {
        Err(Error { delivery, ..Error::new(class, class.as_str(), "why") })
    }

    #[test]
    fn one_bad_record_stops_no_other_and_a_refusal_of_the_connection_does() {
        let mut tally = Tally::default();
        tally.take("1".into(), failed(Class::Rejected, Delivery::Refused));
        tally.take("2".into(), failed(Class::Gone, Delivery::Refused));
        tally.take("3".into(), failed(Class::Transient, Delivery::Unknown));
        assert!(tally.goes_on());
        tally.take("4".into(), failed(Class::Throttled, Delivery::Refused));
        assert!(!tally.goes_on());
        // In flight when the refusal came.
        tally.take("5".into(), Ok(()));
        assert_eq!(tally.missing(), ["2".into()]);
        tally.settle_missing(Ok(HashSet::new()));
        let answer = tally.finish().unwrap();
        assert_eq!((answer.confirmed, answer.refused.len(), answer.gone.len()), (vec!["5".into()], 1, 1));
        let error = answer.cut_short.unwrap();
        assert_eq!((error.class, error.delivery), (Class::Throttled, Delivery::Unknown));
    }

    #[test]
    fn who_is_gone_is_read_first() {
        let not_found = || failed(Class::Gone, Delivery::Refused);
        let mut tally = Tally::default();
        tally.take("1".into(), not_found());
        tally.take("2".into(), not_found());
        tally.settle_missing(Ok(HashSet::from(["2".to_owned()])));
        let answer = tally.finish().unwrap();
        assert_eq!(answer.gone, [("1".into(), Gone { survivor: None })]);
        assert_eq!(answer.refused[0].0, "2".into());
        assert!(answer.refused[0].1.message.contains("the record is there"), "{:?}", answer.refused);

        let mut tally = Tally::default();
        tally.take("1".into(), not_found());
        tally.settle_missing(Err(Error::new(Class::Throttled, "day_spent", "why")));
        let error = tally.finish().unwrap_err();
        assert_eq!((error.class, error.delivery), (Class::Throttled, Delivery::Refused));
    }

    #[test]
    fn what_pipedrive_breaks_on_gets_few_attempts_unless_it_breaks_on_everything() {
        let broken = |status| Err(Error { status: Some(status), ..Error::new(Class::Transient, "x", "why") });
        let attempts = |statuses: &[u16]| {
            let mut tally = Tally::default();
            for (nth, status) in statuses.iter().enumerate() {
                tally.take(nth.to_string().into(), broken(*status));
            }
            tally.finish().unwrap_err().max_attempts
        };
        assert_eq!(attempts(&[500]), Some(ATTEMPTS_AT_BROKEN));
        assert_eq!(attempts(&[500, 500]), Some(ATTEMPTS_AT_BROKEN));
        assert_eq!(attempts(&[500, 502]), None);
        assert_eq!(attempts(&[502, 500]), None);
        assert_eq!(attempts(&[500; MOST_FAILURES]), None);
    }

    #[test]
    fn failures_in_a_row_leave_the_rest_for_later() {
        let mut tally = Tally::default();
        for n in 1..=MOST_FAILURES {
            assert!(tally.goes_on(), "{n}");
            tally.take(n.to_string().into(), failed(Class::Transient, Delivery::Refused));
        }
        assert!(!tally.goes_on());
        let error = tally.finish().unwrap_err();
        assert_eq!((error.class, error.delivery), (Class::Transient, Delivery::Refused));
    }

    proptest! {
        #[test]
        fn every_record_has_one_standing_or_the_answer_says_why_not(
            outcomes in prop::collection::vec((0_usize..10, any::<bool>()), 0..40),
        ) {
            let mut tally = Tally::default();
            let (mut sent, mut is_open) = (Vec::new(), false);
            for (nth, (class, is_unknown)) in outcomes.into_iter().enumerate() {
                if !tally.goes_on() {
                    break;
                }
                let record = RecordId::from(nth.to_string());
                let delivery = if is_unknown { Delivery::Unknown } else { Delivery::Refused };
                let outcome = Class::ALL.get(class).map_or(Ok(()), |class| failed(*class, delivery));
                let settles = matches!(class, 3..=5 | 8..);
                is_open |= !settles && is_unknown;
                tally.take(record.clone(), outcome);
                sent.push((record, settles));
            }
            tally.settle_missing(Ok(HashSet::new()));
            let answer = match tally.finish() {
                Ok(answer) => answer,
                Err(error) => WriteAnswer { cut_short: Some(error), ..WriteAnswer::default() },
            };
            let answered: Vec<&RecordId> = answer
                .confirmed
                .iter()
                .chain(answer.refused.iter().map(|(id, _)| id))
                .chain(answer.gone.iter().map(|(id, _)| id))
                .collect();
            let expected: BTreeSet<&RecordId> =
                sent.iter().filter(|(_, settles)| *settles).map(|(id, _)| id).collect();
            prop_assert_eq!(answered.len(), expected.len());
            prop_assert_eq!(answered.into_iter().collect::<BTreeSet<_>>(), expected);
            prop_assert_eq!(answer.cut_short.is_some(), sent.iter().any(|(_, settles)| !settles));
            let left_open = answer.cut_short.is_some_and(|error| error.delivery == Delivery::Unknown);
            prop_assert_eq!(left_open, is_open);
        }
    }
}
