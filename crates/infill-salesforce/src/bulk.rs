//! Bulk API 2.0: what goes by jobs, what is kept of a job, and the files that go in and out.
//!
//! A file keeps three things apart that JSON keeps apart as well: an empty cell leaves its field alone, `#N/A` clears it, and
//! anything else is set. So rows that set different fields share a file. What no cell can say, the text `#N/A` itself and texts
//! beyond the limit of a cell, goes by collections.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use infill_crm::exchange::Bytes;
use infill_crm::{Cursor, Error, Job};
use infill_model::property::{PropertyDef, PropertyKind};
use infill_model::value::to_text;
use infill_model::{Class, Properties, PropertyName, RecordId, Timestamp, Value};
use serde::{Deserialize, Serialize};

use crate::classify::Complaint;
use crate::id::Id;
use crate::request::{JobKind, Row};

/// A run of more records than this goes by jobs. Below, collections are as cheap and answer at once.
pub const MOST_BY_COLLECTIONS: u64 = 10_000;
/// A write of no more rows than this goes by collections in any case: a job takes more requests.
pub const FEW_ROWS: usize = 5_000;
/// Rows of a batch that goes by a job: 13 of the largest reads, for the guard and the read-back.
pub const JOB_ROWS: u32 = 26_000;
/// Records on one page of a job's results.
pub const PAGE: u32 = 25_000;
/// Requests that a job takes: it is made, filled, closed, looked at three times, and its results are read.
pub const CALLS_PER_JOB: u32 = 7;
/// Requests for a listing besides its pages: the fields, the job, looks at it.
pub const CALLS_PER_LISTING: u32 = 6;
/// Salesforce takes 150 MB as base64, and says to send no more than this.
const LARGEST_FILE: usize = 100_000_000;
/// Characters that one cell holds.
const LONGEST_CELL: usize = 32_000;
/// What clears a field.
const CLEARS: &str = "#N/A";

/// Between two looks at a job, at least and at most.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// What a row takes at Salesforce when all goes well.
const PER_ROW_WRITTEN: Duration = Duration::from_micros(500);
const PER_ROW_LISTED: Duration = Duration::from_micros(50);

/// Which way records go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Route {
    /// By size.
    #[default]
    Auto,
    /// sObject Collections, whatever the size.
    Collections,
    /// Bulk API 2.0, whatever the size.
    Bulk,
}

impl Route {
    /// Every route with its word.
    pub const ALL: [(&'static str, Self); 3] =
        [("auto", Self::Auto), ("collections", Self::Collections), ("bulk", Self::Bulk)];
}

impl FromStr for Route {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|(word, _)| *word == text);
        let words = Self::ALL.map(|(word, _)| word).join(", ");
        found
            .map(|(_, route)| route)
            .ok_or_else(|| format!("unknown transport \"{text}\"; use one of {words}"))
    }
}

/// How long a job of so many rows is left alone that is this old: longer as it takes longer.
#[must_use]
pub fn wait(kind: JobKind, n_rows: u64, since: Timestamp, now: Timestamp) -> Duration {
    let per_row = match kind {
        JobKind::Ingest => PER_ROW_WRITTEN,
        JobKind::Query => PER_ROW_LISTED,
    };
    let estimate = per_row.saturating_mul(u32::try_from(n_rows).unwrap_or(u32::MAX));
    let age = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    estimate.max(age / 2).clamp(SHORTEST_WAIT, LONGEST_WAIT)
}

/// What is kept of the job of a write. Commonly one; several when the file would be too large.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Salesforce's ids.
    pub jobs: Vec<String>,
    /// Rows that they hold together.
    pub n_rows: u64,
    /// Whether they were filled and closed.
    pub is_sent: bool,
    /// When they were made.
    pub since: Timestamp,
}

impl Kept {
    /// Reads what was kept.
    ///
    /// # Errors
    /// `bug` when it is not one of this connector's.
    pub fn of(job: &Job) -> Result<Self, Error> {
        serde_json::from_str(&job.0).map_err(|error| {
            Error::new(Class::Bug, "bulk_job", format!("\"{}\" is no job of Salesforce's: {error}", job.0))
        })
    }

    /// As it is kept.
    #[must_use]
    pub fn to_job(&self) -> Job {
        Job(serde_json::json!(self).to_string())
    }
}

/// A place in a listing by a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Salesforce's id of the job.
    pub job: String,
    /// Where its results go on; `None` before the first page.
    pub locator: Option<String>,
    /// The last record of the pages before: where to go on without the job.
    pub last: Option<String>,
    /// How many records are still wanted.
    pub most: Option<u64>,
    /// When the job was made: values may have changed since.
    pub since: Timestamp,
    /// What it selects besides the id.
    pub columns: Vec<Column>,
}

impl Place {
    /// The place that a cursor holds; `None` when it is one in a listing without a job.
    ///
    /// # Errors
    /// `bug` when it is neither.
    pub fn of(cursor: &Cursor) -> Result<Option<Self>, Error> {
        if !cursor.0.starts_with('{') {
            return Ok(None);
        }
        serde_json::from_str(&cursor.0).map(Some).map_err(|error| {
            let message = format!("\"{}\" is no place in a listing: {error}", cursor.0);
            Error::new(Class::Bug, "listing_cursor", message)
        })
    }

    /// As a cursor.
    #[must_use]
    pub fn to_cursor(&self) -> Cursor {
        Cursor(serde_json::json!(self).to_string())
    }
}

/// A column of a query's results.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// What the plan calls it.
    pub name: PropertyName,
    /// What Salesforce calls it.
    field: String,
    /// How its cells are read.
    kind: CellKind,
}

impl Column {
    /// The field, unless it is the id, which is selected in any case.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        Some(self.field.as_str()).filter(|field| *field != "Id")
    }
}

/// How a cell is read, so that a value is the same whether it came in a file or as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum CellKind {
    Text,
    Number,
    Flag,
    Moment,
}

/// The columns for these properties; `None` when one of them cannot stand in a file, such as an address, or is not there.
#[must_use]
pub fn columns(wanted: &[PropertyName], known: &[PropertyDef]) -> Option<Vec<Column>> {
    const NO_CELL: [&str; 5] = ["address", "location", "base64", "complexvalue", "anytype"];
    let column = |name: &PropertyName| {
        let found = known.iter().find(|known| known.name.as_str().eq_ignore_ascii_case(name.as_str()))?;
        let kind = match found.kind {
            PropertyKind::Number => CellKind::Number,
            PropertyKind::Bool => CellKind::Flag,
            PropertyKind::DateTime => CellKind::Moment,
            PropertyKind::Text
            | PropertyKind::Html
            | PropertyKind::Phone
            | PropertyKind::Email
            | PropertyKind::Date
            | PropertyKind::Enumeration
            | PropertyKind::MultiEnumeration
            | PropertyKind::Other => CellKind::Text,
        };
        let has_no_cell = NO_CELL.iter().any(|no_cell| found.vendor_type.to_lowercase().starts_with(no_cell));
        let field = found.name.as_str().to_owned();
        (!has_no_cell).then(|| Column { name: name.clone(), field, kind })
    };
    wanted.iter().map(column).collect()
}

impl CellKind {
    fn read(self, cell: &str) -> Value {
        if cell.is_empty() {
            return Value::Null;
        }
        let text = || Value::String(cell.to_owned());
        match self {
            Self::Text => text(),
            Self::Number => serde_json::from_str(cell).ok().filter(Value::is_number).unwrap_or_else(text),
            Self::Flag => cell.parse().map_or_else(|_| text(), Value::Bool),
            // As JSON has it.
            Self::Moment => match cell.strip_suffix('Z') {
                Some(at) => Value::String(format!("{at}+0000")),
                None => text(),
            },
        }
    }
}

/// The records on a page of a query's results, whose first column is the id.
///
/// # Errors
/// When it is no such page.
pub fn records(body: &[u8], columns: &[Column]) -> csv::Result<Vec<(RecordId, Properties)>> {
    let mut reader = csv::Reader::from_reader(body);
    let mut record = csv::StringRecord::new();
    let mut records = Vec::new();
    while reader.read_record(&mut record)? {
        let mut cells = record.iter();
        let id = cells.next().unwrap_or_default();
        let mut properties = Properties::new();
        for column in columns {
            let cell = if column.field().is_some() { cells.next().unwrap_or_default() } else { id };
            properties.insert(column.name.clone(), column.kind.read(cell));
        }
        records.push((RecordId::from(id), properties));
    }
    Ok(records)
}

/// A value as a cell that sets it; the empty text clears, as it does in JSON.
fn cell(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => CLEARS.into(),
        Value::String(text) if text.is_empty() => CLEARS.into(),
        Value::String(text) => text.into(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => to_text(value).into(),
    }
}

/// Whether the values of a row can stand in cells.
#[must_use]
pub fn is_carried(row: &Row<'_>) -> bool {
    row.fields.iter().all(|(_, value)| match value {
        Value::String(text) => text != CLEARS && text.chars().nth(LONGEST_CELL).is_none(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => true,
    })
}

/// Rows in the files they go in: the same rows, the same files.
#[must_use]
pub fn files<'r, 'a>(rows: &[&'r Row<'a>]) -> Vec<Vec<&'r Row<'a>>> {
    cut(rows, LARGEST_FILE)
}

fn cut<'r, 'a>(rows: &[&'r Row<'a>], largest: usize) -> Vec<Vec<&'r Row<'a>>> {
    let mut files: Vec<Vec<&Row<'a>>> = Vec::new();
    let mut n_bytes = 0;
    for row in rows {
        // Quotes are doubled at worst.
        let size = row
            .fields
            .iter()
            .fold(row.id.as_str().len(), |size, (_, value)| size + 2 * cell(value).len() + 3);
        n_bytes += size;
        match files.last_mut().filter(|_| n_bytes <= largest) {
            Some(file) => file.push(row),
            None => {
                files.push(vec![row]);
                n_bytes = size;
            }
        }
    }
    files
}

/// The file of an update: UTF-8, commas, lines that end in LF. Its columns are the id and every field that any row sets.
///
/// # Errors
/// `bug` when it cannot be written.
pub fn file(rows: &[&Row<'_>]) -> Result<Bytes, Error> {
    written(rows).map_err(|error| {
        Error::new(Class::Bug, "request_not_built", format!("cannot write the file of a job: {error}"))
    })
}

fn written(rows: &[&Row<'_>]) -> Result<Bytes, Box<dyn std::error::Error>> {
    let names: BTreeSet<&PropertyName> =
        rows.iter().flat_map(|row| row.fields.iter().map(|(name, _)| *name)).collect();
    let mut writer =
        csv::WriterBuilder::new().terminator(csv::Terminator::Any(b'\n')).from_writer(Vec::new());
    writer.write_field("Id")?;
    writer.write_record(names.iter().map(|name| name.as_str()))?;
    for row in rows {
        writer.write_field(row.id.as_str())?;
        let cell_of = |name: &&PropertyName| {
            let field = row.fields.iter().find(|(field, _)| field == name);
            field.map_or(Cow::Borrowed(""), |(_, value)| cell(value))
        };
        for name in &names {
            writer.write_field(cell_of(name).as_ref())?;
        }
        writer.write_record(None::<&[u8]>)?;
    }
    Ok(Bytes::from(writer.into_inner()?))
}

/// What a job's results say of records: the id of each, and its error where there is one.
///
/// # Errors
/// When they cannot be read.
pub fn told(body: &[u8]) -> csv::Result<Vec<(Id, String)>> {
    if body.is_empty() {
        return Ok(Vec::new());
    }
    let mut reader = csv::Reader::from_reader(body);
    let column = |reader: &mut csv::Reader<&[u8]>, name: &str| {
        Ok::<_, csv::Error>(reader.headers()?.iter().position(|header| header.eq_ignore_ascii_case(name)))
    };
    let (told, sent) = (column(&mut reader, "sf__Id")?, column(&mut reader, "Id")?);
    let error = column(&mut reader, "sf__Error")?;
    let mut record = csv::StringRecord::new();
    let mut rows = Vec::new();
    while reader.read_record(&mut record)? {
        let text = |column: Option<usize>| column.and_then(|column| record.get(column)).unwrap_or_default();
        rows.extend(
            Id::parse(text(told)).or_else(|| Id::parse(text(sent))).map(|id| (id, text(error).to_owned())),
        );
    }
    Ok(rows)
}

/// The error of a row, which a job tells as `CODE:message:fields --`.
#[must_use]
pub fn complaint(text: &str) -> Complaint {
    let (code, said) = text.split_once(':').unwrap_or(("", text));
    let (message, fields) = match said.trim_end().strip_suffix("--").and_then(|said| said.rsplit_once(':')) {
        Some((message, fields)) => (message, fields),
        None => (said, ""),
    };
    let fields: Vec<String> =
        fields.split([' ', ',']).filter(|field| !field.is_empty()).map(str::to_owned).collect();
    Complaint { code: Some(code.to_owned()), message: Some(message.trim().to_owned()), fields: Some(fields) }
}

#[cfg(test)]
mod tests;
