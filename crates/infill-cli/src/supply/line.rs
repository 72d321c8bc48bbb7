//! One line of a file of ids: the record, the inputs, or why it cannot be used.

use infill_model::row::Cause;
use infill_model::slice::Supplied;
use infill_model::{Class, ObjectType, Properties, PropertyName, Value};

use super::physical::TooLong;
use super::record_id;
use crate::config::Vendor;

/// Characters of a field that a message quotes.
const QUOTED_CHARS: usize = 60;

/// How the lines of a file are read.
#[derive(Debug)]
pub(super) struct Reading {
    /// What people call the file.
    pub(super) label: String,
    /// The column of the ids.
    pub(super) id: usize,
    /// Columns that the header has.
    pub(super) width: usize,
    /// The inputs that the file has, with their columns.
    pub(super) inputs: Vec<(PropertyName, usize)>,
    /// Whose ids they are.
    pub(super) vendor: Vendor,
    /// Of which kind of record.
    pub(super) object: ObjectType,
}

impl Reading {
    /// The record that ends on line `last`; nothing for one of empty fields alone, as spreadsheets add them.
    pub(super) fn read(&self, fields: &csv::ByteRecord, last: u64) -> Option<Supplied> {
        if fields.iter().all(<[u8]>::is_empty) {
            return None;
        }
        let n_newlines = fields.as_slice().iter().filter(|byte| **byte == b'\n').count();
        let line = last.saturating_sub(u64::try_from(n_newlines).unwrap_or(u64::MAX)).max(1);
        Some(match self.values(fields) {
            Ok((record, inputs)) => Supplied { record, line, inputs, fault: None },
            Err((code, why)) => self.fault(line, last, code, &why),
        })
    }

    fn values(
        &self,
        fields: &csv::ByteRecord,
    ) -> Result<(infill_model::RecordId, Properties), (&'static str, String)> {
        let not_utf8 = || ("not_utf8", "is not UTF-8 text; save the file as \"CSV UTF-8\"".to_owned());
        let field =
            |column: usize| fields.get(column).map(std::str::from_utf8).transpose().map_err(|_| not_utf8());
        let is_longer = fields.iter().skip(self.width).any(|field| !field.is_empty());
        if fields.len() < self.width || is_longer {
            let why = format!(
                "has {} fields and the header {}; look for a quote or a delimiter too many",
                fields.len(),
                self.width
            );
            return Err(("broken_line", why));
        }
        let text = field(self.id)?.unwrap_or_default().trim();
        if text.is_empty() {
            return Err(("no_record_id", "has no record id".to_owned()));
        }
        let record = record_id(self.vendor, &self.object, text).ok_or_else(|| {
            let quoted: String = text.chars().take(QUOTED_CHARS).collect();
            let what = format!("\"{quoted}\", which is no id of {} in {}", self.object, self.vendor.as_str());
            ("malformed_record_id", format!("has {what}; a spreadsheet may have changed it"))
        })?;
        let mut inputs = Properties::new();
        for (name, column) in &self.inputs {
            let text = field(*column)?.unwrap_or_default();
            let value = if text.is_empty() { Value::Null } else { Value::from(text) };
            inputs.insert(name.clone(), value);
        }
        Ok((record, inputs))
    }

    fn fault(&self, line: u64, last: u64, code: &str, why: &str) -> Supplied {
        let label = &self.label;
        let place = if line == last { format!("line {line}") } else { format!("lines {line} to {last}") };
        let message = format!("{place} of {label} {why}; mend it and run a file of such lines again");
        let cause = Cause {
            class: Class::Rejected,
            code: code.to_owned(),
            message,
            property: None,
            correlation_id: None,
            at: None,
        };
        Supplied { record: Supplied::name_of(line), line, inputs: Properties::new(), fault: Some(cause) }
    }
}

/// Why a file cannot be read on, at the record that begins on a line.
pub(super) fn broken_off(error: &csv::Error, line: u64) -> String {
    if let csv::ErrorKind::Io(error) = error.kind()
        && error.get_ref().is_some_and(|inner| inner.is::<TooLong>())
    {
        return format!(
            "has a record longer than 1 MiB, which begins on line {line}: a quote is opened there and not closed; nothing \
             was started"
        );
    }
    format!("cannot be read on from line {line}: {error}; nothing was started")
}
