//! Bulk API 2.0 jobs: their states, and how they get on.

use std::collections::BTreeMap;

use super::catalog::{Field, Kind};
use super::config::Pace;
use super::fault::FaultKind;
use super::file::{File, Line, LineEnding};
use super::id;
use super::org::Org;
use super::route::Operation;
use super::store::{Store, Table};
use super::value::{Given, RowError};
use super::write::{Row, Save, Saved, Verb, save};

/// Rows of one transaction.
const TRANSACTION: usize = 200;
/// The vendor's cap on the header row.
const MAX_HEADER_CHARS: usize = 32_000;
/// Numbers of jobs hold locks in the place of a call's, above all of them.
const LOCKS_OF_JOBS: u64 = 1 << 62;

/// The state of a job, by the vendor's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Open,
    UploadComplete,
    InProgress,
    JobComplete,
    Failed,
    Aborted,
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Open => "Open",
            Self::UploadComplete => "UploadComplete",
            Self::InProgress => "InProgress",
            Self::JobComplete => "JobComplete",
            Self::Failed => "Failed",
            Self::Aborted => "Aborted",
        }
    }

    pub(crate) fn is_over(self) -> bool {
        matches!(self, Self::JobComplete | Self::Failed | Self::Aborted)
    }
}

/// An ingest job.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) number: u64,
    pub(crate) object: &'static str,
    /// The vendor's word for what it does.
    pub(crate) word: String,
    pub(crate) verb: Verb,
    pub(crate) key: Option<String>,
    pub(crate) assigns: bool,
    pub(crate) ending: LineEnding,
    pub(crate) delimiter: (&'static str, char),
    pub(crate) version: u16,
    pub(crate) state: State,
    pub(crate) file: Option<File>,
    pub(crate) is_uploaded: bool,
    /// Rows that were processed, in the order of the file.
    pub(crate) results: Vec<Saved>,
    pub(crate) error: Option<String>,
    pub(crate) created_ms: i64,
    pub(crate) modified_ms: i64,
    /// When the upload was declared complete.
    pub(crate) queued_ms: Option<i64>,
    /// Looks since then.
    pub(crate) n_looks: u64,
    /// More looks that show `InProgress`, as a fault asks.
    pub(crate) slow_looks: u64,
    /// Rows after which a fault ends it.
    pub(crate) fails_after: Option<usize>,
}

impl Job {
    pub(crate) fn id(&self) -> String {
        job_id(self.number)
    }

    pub(crate) fn n_failed(&self) -> usize {
        self.results.iter().filter(|row| !row.is_success()).count()
    }

    pub(crate) fn n_rows(&self) -> usize {
        self.file.as_ref().map_or(0, |file| file.lines.len())
    }

    fn end(&mut self, state: State, error: Option<String>, now_ms: i64) {
        self.state = state;
        self.error = error;
        self.modified_ms = now_ms;
    }
}

/// The id of a job.
pub(crate) fn job_id(number: u64) -> String {
    id::id18("750", number)
}

/// A query job, whose records are fixed when it is made.
#[derive(Debug, Clone)]
pub(crate) struct QueryJob {
    pub(crate) number: u64,
    pub(crate) word: String,
    pub(crate) text: String,
    pub(crate) object: &'static str,
    pub(crate) version: u16,
    pub(crate) state: State,
    pub(crate) header: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
    pub(crate) created_ms: i64,
    pub(crate) n_looks: u64,
}

/// The jobs of an org.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    pub(crate) ingest: BTreeMap<u64, Job>,
    pub(crate) queries: BTreeMap<u64, QueryJob>,
    n_made: u64,
}

impl Jobs {
    /// The number of a new job.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.n_made += 1;
        1_000_000_000 + self.n_made
    }

    /// The number in a job's id.
    pub(crate) fn number_of(text: &str) -> Option<u64> {
        id::parse(text).filter(|id| id.prefix == "750").and_then(|id| id.number)
    }
}

/// Lets jobs that follow the clock get on.
pub(crate) fn settle(org: &Org, now_ms: i64) {
    let Pace::Clock { queued, per_transaction } = org.config.bulk.pace else { return };
    let mut jobs = org.jobs();
    for job in jobs.ingest.values_mut().filter(|job| !job.state.is_over()) {
        let Some(queued_ms) = job.queued_ms else { continue };
        let started_ms = queued_ms.saturating_add(millis(queued));
        if now_ms < started_ms {
            continue;
        }
        let per_transaction_ms = millis(per_transaction).max(1);
        let n_transactions = usize::try_from((now_ms - started_ms) / per_transaction_ms).unwrap_or(0);
        let wanted = n_transactions.saturating_mul(TRANSACTION);
        advance(org, job, wanted, true, now_ms);
    }
}

fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// One look at a job, which lets it get on where polls do.
pub(crate) fn look(org: &Org, job: &mut Job, now_ms: i64) {
    let Pace::Polls { in_progress, rows_per_poll } = org.config.bulk.pace else { return };
    if job.queued_ms.is_none() || job.state.is_over() {
        return;
    }
    job.n_looks += 1;
    let wanted = job.results.len().saturating_add(rows_per_poll.max(TRANSACTION));
    let may_end = job.n_looks > in_progress.saturating_add(job.slow_looks);
    advance(org, job, wanted, may_end, now_ms);
}

/// Processes rows up to a number of them, in whole transactions, and ends the job when all are done and it may end.
fn advance(org: &Org, job: &mut Job, wanted: usize, may_end: bool, now_ms: i64) {
    if job.state == State::UploadComplete {
        job.state = State::InProgress;
        job.modified_ms = now_ms;
        if let Err(message) = check_header(org, job) {
            job.end(State::Failed, Some(message), now_ms);
            return;
        }
    }
    let stop = job.fails_after.unwrap_or(usize::MAX);
    while job.results.len() < wanted.min(job.n_rows()).min(stop) {
        let until = (job.results.len() + TRANSACTION).min(stop);
        transact(org, job, until, now_ms);
    }
    if job.results.len() >= stop && job.results.len() < job.n_rows() {
        job.end(
            State::Failed,
            Some("InternalServerError : Batch failed after too many retries".to_owned()),
            now_ms,
        );
    } else if may_end && job.results.len() == job.n_rows() {
        job.end(State::JobComplete, None, now_ms);
    }
}

fn check_header(org: &Org, job: &Job) -> Result<(), String> {
    let Some(file) = &job.file else {
        return Err(job.error.clone().unwrap_or_else(|| "InvalidBatch : No data was uploaded".to_owned()));
    };
    if file.header.iter().map(|name| name.chars().count() + 1).sum::<usize>() > MAX_HEADER_CHARS {
        return Err(format!("InvalidBatch : Header row is longer than {MAX_HEADER_CHARS} characters"));
    }
    let store = org.store();
    let Some(table) = store.table(job.object) else { return Err("InvalidEntity".to_owned()) };
    match file.header.iter().find(|name| !is_column(&store, table, name)) {
        Some(name) => Err(format!("InvalidBatch : Field name not found : {name}")),
        None => Ok(()),
    }
}

fn is_column(store: &Store, table: &Table, name: &str) -> bool {
    let Some((relationship, key)) = name.split_once('.') else { return table.catalog.find(name).is_some() };
    let targets =
        table.catalog.relationship(relationship).map(|(_, field)| field.refers.clone()).unwrap_or_default();
    let mut targets = targets.iter().filter_map(|object| store.table(object));
    targets.any(|target| target.catalog.find(key).is_some_and(|(_, field)| field.is_key()))
}

/// Saves the rows up to `until`, as one transaction.
fn transact(org: &Org, job: &mut Job, until: usize, now_ms: i64) {
    let Some(file) = &job.file else { return };
    let lines: Vec<&Line> = file.lines.iter().take(until).skip(job.results.len()).collect();
    let rows: Vec<Result<Row<'_>, RowError>> =
        lines.iter().map(|line| row(job, &file.header, line)).collect();
    let good: Vec<Row<'_>> = rows.iter().filter_map(|row| row.as_ref().ok()).cloned().collect();
    let board = org.board();
    let nth = LOCKS_OF_JOBS + job.number;
    let how = Save {
        org,
        board: &board,
        operation: Operation::IngestState,
        verb: job.verb.clone(),
        all_or_none: false,
        assigns: job.assigns,
        allows_duplicates: false,
        now_ms,
        nth,
    };
    // Cells of a file are never of the wrong JSON type.
    let mut saved = org.change(|store| save(&how, store, &good)).unwrap_or_default().into_iter();
    org.locks().release(nth);
    let failed = |error: RowError| Saved { id: None, created: false, errors: vec![error] };
    let lost = || failed(RowError::new("UNKNOWN_EXCEPTION", "An unexpected error occurred"));
    let results: Vec<Saved> = rows
        .into_iter()
        .map(|row| match row {
            Ok(row) => {
                let mut result = saved.next().unwrap_or_else(lost);
                // A failed row is told with the id that it was sent with.
                result.id = result.id.or(row.id);
                result
            }
            Err(error) => failed(error),
        })
        .collect();
    job.results.extend(results);
}

/// A line of a file as a row: an empty cell leaves its field alone, `#N/A` clears it.
fn row<'a>(job: &Job, header: &[String], line: &'a Line) -> Result<Row<'a>, RowError> {
    let invalid = |message: String| RowError::new("INVALID_FIELD", message);
    let cells = line.as_ref().map_err(|message| invalid(message.clone()))?;
    if cells.len() != header.len() {
        let message = format!(
            "The number of columns in a row ({}) is not that of the header ({})",
            cells.len(),
            header.len()
        );
        return Err(invalid(message));
    }
    let mut row = Row { object: job.object.to_owned(), id: None, fields: Vec::new() };
    for (column, (name, cell)) in header.iter().zip(cells).enumerate() {
        if name.eq_ignore_ascii_case("id") {
            row.id = Some(cell.clone()).filter(|id| !id.is_empty());
        } else if cell == "#N/A" {
            row.fields.push((name.clone(), Given::Json(&serde_json::Value::Null)));
        } else if !cell.is_empty() {
            row.fields.push((name.clone(), Given::Csv { text: cell, column }));
        }
    }
    Ok(row)
}

/// A cell of a result as the org renders it: numbers and times in its own way.
pub(crate) fn rerender(field: Option<&Field>, cell: &str) -> String {
    let Some(field) = field.filter(|_| cell != "#N/A" && !cell.is_empty()) else { return cell.to_owned() };
    if !field.kind.is_number() && field.kind != Kind::DateTime {
        return cell.to_owned();
    }
    match super::value::read(field, Given::Csv { text: cell, column: 0 }) {
        Ok(Some(value)) => value.render(field.kind),
        Ok(None) | Err(_) => cell.to_owned(),
    }
}

/// What a fault wants of a job that is queued now.
pub(crate) fn strike(org: &Org, job: &mut Job) {
    let board = org.board();
    if let Some(FaultKind::BulkSlow { looks }) =
        board.strike_job(job.object, |kind| matches!(kind, FaultKind::BulkSlow { .. }))
    {
        job.slow_looks = *looks;
    }
    if let Some(FaultKind::BulkFail { rows }) =
        board.strike_job(job.object, |kind| matches!(kind, FaultKind::BulkFail { .. }))
    {
        job.fails_after = Some(usize::try_from(*rows).unwrap_or(usize::MAX));
    }
}
