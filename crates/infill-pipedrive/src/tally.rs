//! What became of the records of one batch, when each is a call of its own.
//!
//! Laws: a record has at most one standing; one bad record stops no other; what concerns the connection stops the rest,
//! and so do failures that come one after another.

use infill_crm::{Delivery, Error, Refusal, WriteAnswer};
use infill_model::row::Gone;
use infill_model::{Class, PropertyName, RecordId};

/// Calls of one batch that may fail by no fault of their record before the rest is left for later: with so many, it is
/// Pipedrive that is not well, and each further try would cost its tokens for nothing.
const MOST_FAILURES: usize = 5;

/// Collects the standings.
#[derive(Debug, Default)]
pub struct Tally {
    answer: WriteAnswer,
    n_failures: usize,
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
            Class::Rejected | Class::Conflict => self.answer.refused.push((record, refusal(error))),
            Class::Gone => self.answer.gone.push((record, Gone { survivor: None })),
            Class::Transient => {
                self.n_failures += 1;
                let is_enough = self.n_failures >= MOST_FAILURES;
                self.cut_short(error, is_enough);
            }
            Class::Throttled | Class::Unauthorized | Class::Configuration | Class::Bug => {
                self.cut_short(error, true);
            }
        }
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
        let WriteAnswer { confirmed, refused, gone, cut_short } = &mut self.answer;
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

fn refusal(error: Error) -> Refusal {
    Refusal {
        code: error.code,
        message: error.message,
        property: error.property.map(PropertyName::from),
        correlation_id: error.correlation_id,
    }
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
        let answer = tally.finish().unwrap();
        assert_eq!((answer.confirmed, answer.refused.len(), answer.gone.len()), (vec!["5".into()], 1, 1));
        let error = answer.cut_short.unwrap();
        assert_eq!((error.class, error.delivery), (Class::Throttled, Delivery::Unknown));
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
