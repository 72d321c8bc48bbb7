//! Dead letters as they are kept.

use std::collections::{BTreeMap, HashSet};

use infill_model::letter::SharedCause;
use infill_model::row::RowState;
use infill_model::{BatchNo, RecordId, Row, RowResult, RunId, Timestamp};

use super::{decode, encode, small, unsigned};
use crate::error::Error;
use crate::store::{Letter, LetterCause, LetterChange, LetterEvent, LetterStatus, NewLetter, Reopen};

/// The columns of [`StoredLetter`], in the order both engines read them.
macro_rules! letter_columns {
    () => {
        "id, run_id, batch_no, letter, attempts, status, first_at, last_at, cause, message"
    };
}
pub(crate) use letter_columns;

/// The columns of a letter as read.
pub(crate) struct StoredLetter {
    pub(crate) id: i64,
    pub(crate) run: RunId,
    pub(crate) batch: i64,
    pub(crate) letter: String,
    pub(crate) attempts: i64,
    pub(crate) status: String,
    pub(crate) first_at: Timestamp,
    pub(crate) last_at: Timestamp,
    pub(crate) cause: String,
    pub(crate) message: String,
}

impl StoredLetter {
    pub(crate) fn read(self) -> Result<Letter, Error> {
        let status = [LetterStatus::Open, LetterStatus::Retried, LetterStatus::Discarded]
            .into_iter()
            .find(|status| status.as_str() == self.status)
            .ok_or_else(|| Error::Corrupt {
                what: "the status of a dead letter",
                run: self.run,
                source: format!("unknown status \"{}\"", self.status).into(),
            })?;
        let letter: NewLetter = decode("a dead letter", self.run, &self.letter)?;
        let shared = SharedCause { id: self.cause.into(), message: self.message };
        Ok(Letter {
            id: self.id,
            run: self.run,
            batch: BatchNo(small(self.batch)),
            letter: NewLetter { shared, ..letter },
            attempts: small(self.attempts),
            status,
            first_at: self.first_at,
            last_at: self.last_at,
        })
    }
}

/// The columns of [`StoredCause`], in the order both engines read them; letters are grouped by their cause.
macro_rules! cause_columns {
    () => {
        "cause, min(message), min(code), min(property), count(*), min(first_at), max(last_at), max(id)"
    };
}
pub(crate) use cause_columns;

/// What letters of one cause have in common, as read.
pub(crate) struct StoredCause {
    pub(crate) id: String,
    pub(crate) message: String,
    pub(crate) code: String,
    pub(crate) property: Option<String>,
    pub(crate) letters: i64,
    pub(crate) first_at: Timestamp,
    pub(crate) last_at: Timestamp,
    pub(crate) example: i64,
}

impl From<StoredCause> for LetterCause {
    fn from(stored: StoredCause) -> Self {
        Self {
            shared: SharedCause { id: stored.id.into(), message: stored.message },
            code: stored.code,
            property: stored.property,
            n_letters: unsigned(stored.letters),
            first_at: stored.first_at,
            last_at: stored.last_at,
            example: stored.example,
        }
    }
}

/// Finds what happened to a letter `?1` and to those whose rows were tried again in its run, and so on.
macro_rules! history_query {
    ($letter:literal) => {
        concat!(
            "WITH RECURSIVE line (id) AS (SELECT id FROM letters WHERE id = ",
            $letter,
            " UNION SELECT e.letter_id FROM line JOIN letters l ON l.id = line.id \
             JOIN letters earlier ON earlier.record = l.record \
             JOIN letter_events e ON e.letter_id = earlier.id AND e.into_run = l.run_id) \
             SELECT e.letter_id, l.run_id, e.at, e.event FROM letter_events e JOIN line ON line.id = e.letter_id \
             JOIN letters l ON l.id = e.letter_id ORDER BY e.at, e.id"
        )
    };
}
pub(crate) use history_query;

/// Something that happened to a letter, as read.
pub(crate) struct StoredEvent {
    pub(crate) letter: i64,
    pub(crate) run: RunId,
    pub(crate) at: Timestamp,
    pub(crate) event: String,
}

impl StoredEvent {
    pub(crate) fn read(self) -> Result<LetterEvent, Error> {
        let what = decode("what happened to a dead letter", self.run, &self.event)?;
        Ok(LetterEvent { letter: self.letter, at: self.at, what })
    }
}

/// Dead letters as columns: at most one for each record, the last one given.
#[derive(Default)]
pub(crate) struct LetterColumns {
    pub(crate) records: Vec<String>,
    pub(crate) codes: Vec<String>,
    pub(crate) properties: Vec<Option<String>>,
    pub(crate) causes: Vec<String>,
    pub(crate) messages: Vec<String>,
    pub(crate) letters: Vec<String>,
    /// What happened to each: it failed.
    pub(crate) events: Vec<String>,
}

impl LetterColumns {
    pub(crate) fn new(letters: &[NewLetter]) -> Result<Self, Error> {
        let by_record: BTreeMap<&RecordId, &NewLetter> =
            letters.iter().map(|letter| (&letter.record, letter)).collect();
        // Copies to search by; the letter itself keeps everything to the letter. PostgreSQL's text has no NUL.
        let copy = |text: &str| text.replace('\0', "\u{fffd}");
        let mut columns = Self::default();
        for (record, letter) in by_record {
            columns.records.push(record.to_string());
            columns.codes.push(copy(&letter.cause.code));
            columns.properties.push(letter.cause.property.as_deref().map(copy));
            columns.causes.push(letter.shared.id.to_string());
            columns.messages.push(copy(&letter.shared.message));
            columns.letters.push(encode(letter)?);
            columns.events.push(encode(&LetterChange::Failed { cause: letter.cause.clone() })?);
        }
        Ok(columns)
    }
}

impl Reopen {
    /// What happens to each of the letters.
    pub(crate) fn event(&self) -> Result<String, Error> {
        encode(&LetterChange::Retried { by: self.by.clone(), set: self.set.clone(), into: None })
    }

    /// Reopens the rows of these records; says how many. `results` is empty when the batch was never saved: then its rows are pending
    /// already and only counted.
    pub(crate) fn rows(&self, rows: &[Row], results: &mut [RowResult], records: &HashSet<RecordId>) -> u64 {
        let is_meant = |row: &&Row| records.contains(&row.record);
        for (row, result) in rows.iter().zip(results.iter_mut()).filter(|(row, _)| is_meant(row)) {
            self.row(row, result);
        }
        u64::try_from(rows.iter().filter(is_meant).count()).unwrap_or(u64::MAX)
    }

    /// Sets a row back to what it was before it was evaluated, or as good as evaluated to the values that are set. There is nothing to
    /// write where there is no record.
    fn row(&self, row: &Row, result: &mut RowResult) {
        let before = std::mem::take(result);
        if self.set.is_empty() || row.refused.is_some() || row.gone.is_some() {
            return;
        }
        result.cells = before.cells;
        result.wanted = before.wanted;
        result.wanted.extend(self.set.clone());
        result.state = RowState::Intended;
    }
}
