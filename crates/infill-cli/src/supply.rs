//! A file of record ids: its header is looked at before the pre-flight, its lines are taken into the store after it, part by part.
//!
//! The run is recorded only when the whole file is in, so no run ever starts on half a file.

mod header;
mod line;
mod physical;
mod source;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use infill_model::plan::Plan;
use infill_model::slice::{ResolvedSlice, Supplied, Supply};
use infill_model::{Clock, ObjectType, PropertyName, RecordId, RunId, Timestamp};
use infill_store::Store;
use jiff::SignedDuration;

use crate::config::Vendor;
use crate::exit::Usage;
use header::Header;
use line::Reading;
use physical::Physical;
use source::Text;

/// Lines that one call gives to the store at most.
const PART_LINES: usize = 1_000;

/// Bytes of inputs after which a part is full before it has so many lines.
const PART_BYTES: usize = 1024 * 1024;

/// How long a file may take to be taken in: what feeds standard input may never end.
const TAKING_AT_MOST: SignedDuration = SignedDuration::from_hours(24);

/// How old lines must be that no run came for before they are forgotten: nobody is taking them in any more.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Lines that a message names one by one.
const LINES_NAMED: usize = 10;

/// A file of record ids, read up to its header.
pub(crate) struct File {
    label: String,
    column: String,
    reading: Reading,
    lines: csv::Reader<Physical<Text>>,
    object: ObjectType,
}

impl File {
    /// Opens the file that a plan names, relative to the plan's own, and reads its header; `None` for a plan that selects its
    /// records otherwise.
    ///
    /// # Errors
    /// [`Usage`] when it cannot be read, is no CSV, or its header does not tell the id column.
    pub(crate) fn open(plan: &Plan, plan_file: &Path, vendor: Vendor) -> Result<Option<Self>, Usage> {
        let Some(ids) = &plan.source.ids else { return Ok(None) };
        let (label, text) = source::open(ids.file(), plan_file)?;
        Self::read_header(label, text, plan, ids.column(), vendor).map(Some)
    }

    fn read_header(
        label: String,
        text: Text,
        plan: &Plan,
        column: Option<&str>,
        vendor: Vendor,
    ) -> Result<Self, Usage> {
        let refuse = |why: String| Usage(format!("{label} {why}"));
        let (delimiter, text) = source::begin(text).map_err(refuse)?;
        let mut lines = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(Physical::new(text));
        let mut fields = csv::ByteRecord::new();
        lines.read_byte_record(&mut fields).map_err(|error| refuse(line::broken_off(&error, 1)))?;
        let header = Header::of(&fields).map_err(refuse)?;
        let object = plan.source.object.clone();
        let id = header.id_column(column, &id_headers(vendor, &object)).map_err(refuse)?;
        let inputs = header.inputs(&plan.inputs).map_err(refuse)?;
        let column = header.name(id).to_owned();
        let reading = Reading {
            label: label.clone(),
            id,
            width: header.width(),
            inputs,
            vendor,
            object: object.clone(),
        };
        Ok(Self { label, column, reading, lines, object })
    }

    /// The slice as it is known before the lines are: which inputs the file has.
    pub(crate) fn slice(&self) -> ResolvedSlice {
        self.slice_of(0, None)
    }

    fn slice_of(&self, n_sound: u64, size: Option<u64>) -> ResolvedSlice {
        let inputs: Vec<PropertyName> = self.reading.inputs.iter().map(|(name, _)| name.clone()).collect();
        let label = format!("ids in column \"{}\" of {}", self.column, self.label);
        Supply { inputs, n_sound }.into_slice(self.object.clone(), label, size)
    }

    /// The next lines; none at the end of the file.
    fn part(&mut self) -> Result<Vec<Supplied>, Usage> {
        let mut part = Vec::new();
        let mut n_bytes = 0;
        let mut fields = csv::ByteRecord::new();
        while part.len() < PART_LINES && n_bytes < PART_BYTES {
            let before = self.lines.get_ref().served();
            self.lines.get_mut().begin_record();
            let has_more = self.lines.read_byte_record(&mut fields).map_err(|error| {
                Usage(format!("{} {}", self.label, line::broken_off(&error, before.saturating_add(1))))
            })?;
            if !has_more {
                break;
            }
            n_bytes = n_bytes.saturating_add(fields.as_slice().len());
            part.extend(self.reading.read(&fields, self.lines.get_ref().served()));
        }
        Ok(part)
    }

    /// Takes every line into the store, for a run that is not recorded yet.
    ///
    /// # Errors
    /// [`Usage`] when the file breaks off, takes too long, or has no line that can be used; the store's errors. What was taken in
    /// then is forgotten by a later run of a file.
    pub(crate) async fn take_in(
        mut self,
        store: &Arc<dyn Store>,
        clock: &dyn Clock,
        run: RunId,
    ) -> anyhow::Result<Taken> {
        let started = clock.now();
        let before = |age| started.saturating_sub(age).unwrap_or(Timestamp::MIN);
        store.forget_supplied(before(FORGOTTEN_AFTER)).await?;
        let mut count = Count::default();
        loop {
            // A file may be slow, and standard input waits for whoever writes it.
            let (file, part) = tokio::task::spawn_blocking(move || {
                let part = self.part();
                (self, part)
            })
            .await?;
            self = file;
            let part = part?;
            if part.is_empty() {
                break;
            }
            let repeated = store.supply(run, &part).await?;
            count.add(&part, &repeated);
            if clock.now().duration_since(started) > TAKING_AT_MOST {
                let label = &self.label;
                anyhow::bail!(Usage(format!("{label} did not end within 24 hours; split it")));
            }
        }
        if count.n_sound == 0 && count.n_faulty > 0 {
            let (label, faults) = (&self.label, count.faults.join("; "));
            anyhow::bail!(Usage(format!("{label} has no line that can be used: {faults}")));
        }
        let slice = self.slice_of(count.n_sound, Some(count.n_sound.saturating_add(count.n_faulty)));
        Ok(Taken { slice, notes: count.notes(&self.label) })
    }
}

/// A file that is in the store.
#[derive(Debug)]
pub(crate) struct Taken {
    /// The slice that it makes.
    pub(crate) slice: ResolvedSlice,
    /// What people should know about its lines.
    pub(crate) notes: Vec<String>,
}

/// What was met among the lines.
#[derive(Debug, Default)]
struct Count {
    n_sound: u64,
    n_faulty: u64,
    n_repeated: u64,
    /// The first faults, in words.
    faults: Vec<String>,
    /// The first lines that name a record again.
    repeated: Vec<String>,
}

impl Count {
    fn add(&mut self, part: &[Supplied], repeated: &[u64]) {
        let n = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let faults: Vec<&str> =
            part.iter().filter_map(|line| line.fault.as_ref()).map(|fault| fault.message.as_str()).collect();
        self.n_faulty = self.n_faulty.saturating_add(n(faults.len()));
        self.n_repeated = self.n_repeated.saturating_add(n(repeated.len()));
        let sound = part.len().saturating_sub(faults.len()).saturating_sub(repeated.len());
        self.n_sound = self.n_sound.saturating_add(n(sound));
        let room = |taken: usize| LINES_NAMED.saturating_sub(taken);
        self.faults.extend(faults.into_iter().take(room(self.faults.len())).map(ToOwned::to_owned));
        self.repeated.extend(repeated.iter().take(room(self.repeated.len())).map(u64::to_string));
    }

    fn notes(&self, label: &str) -> Vec<String> {
        let more = |n: u64| if n > u64::try_from(LINES_NAMED).unwrap_or(0) { ", …" } else { "" };
        let mut notes = Vec::new();
        if self.n_faulty > 0 {
            let (n, faults) = (self.n_faulty, self.faults.join("; "));
            let (lines, fail) = if n == 1 { ("line", "fails") } else { ("lines", "fail") };
            notes.push(format!("{n} {lines} of {label} cannot be used and {fail}: {faults}{}", more(n)));
        }
        if self.n_repeated > 0 {
            let (n, repeated) = (self.n_repeated, self.repeated.join(", "));
            let (lines, name) = if n == 1 { ("line", "names") } else { ("lines", "name") };
            notes.push(format!(
                "{n} {lines} of {label} {name} a record that an earlier line names, and the earlier one counts: \
                 line {repeated}{}",
                more(n)
            ));
        }
        notes
    }
}

/// The usual headers of a vendor's record ids.
fn id_headers(vendor: Vendor, object: &ObjectType) -> Vec<String> {
    match vendor {
        Vendor::HubSpot => infill_hubspot::ids::headers(object),
        Vendor::Pipedrive => infill_pipedrive::ids::headers(object),
        Vendor::Salesforce => infill_salesforce::ids::headers(object),
    }
}

/// The record id that a text is, as the vendor spells it.
fn record_id(vendor: Vendor, object: &ObjectType, text: &str) -> Option<RecordId> {
    match vendor {
        Vendor::HubSpot => infill_hubspot::ids::record_id(text),
        Vendor::Pipedrive => infill_pipedrive::ids::record_id(object, text),
        Vendor::Salesforce => infill_salesforce::ids::record_id(text),
    }
}
