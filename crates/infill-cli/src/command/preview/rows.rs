//! Every row of a preview: what it holds, and what it will hold.

use std::io::Write;

use anyhow::Context;
use infill_model::{PropertyName, Row, RowResult, Value, value};
use infill_rules::preview::Fate;
use infill_store::Store;
use infill_store::store::Run;
use serde::Serialize;
use serde_json::Map;

use super::Pages;
use crate::render;

/// Columns of the table; the text after them is not cut.
const RECORD_WIDTH: usize = 18;
const FATE_WIDTH: usize = 7;
const PROPERTY_WIDTH: usize = 24;

/// The widest a single value is shown in the table.
const VALUE_WIDTH: usize = 40;

/// A value that changes, or a row that does not.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    pub(super) record: &'a str,
    pub(super) fate: Fate,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) property: Option<&'a PropertyName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) old: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) new: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<&'a str>,
}

/// The lines of one row: one for each property that is wanted, or one in all.
pub(super) fn lines<'a>(row: &'a Row, result: Option<&'a RowResult>) -> Vec<Line<'a>> {
    let fate = Fate::of(result);
    let cause = result.and_then(|result| result.cause.as_ref());
    let line = |property: Option<(&'a PropertyName, &'a Value)>| Line {
        record: row.record.as_str(),
        fate,
        property: property.map(|(name, _)| name),
        old: property.and_then(|(name, _)| row.before.get(name)),
        new: property.map(|(_, new)| new),
        code: cause.map(|cause| cause.code.as_str()),
        why: cause.map(|cause| cause.message.as_str()),
    };
    let wanted: Vec<Line<'a>> =
        result.into_iter().flat_map(|result| &result.wanted).map(|change| line(Some(change))).collect();
    if wanted.is_empty() { vec![line(None)] } else { wanted }
}

/// Hands every line of a run to `take`.
pub(super) async fn each(
    store: &dyn Store,
    run: &Run,
    mut take: impl FnMut(&Line<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut pages = Pages::of(store, run);
    while let Some(batches) = pages.next().await? {
        for batch in &batches {
            for (i, row) in batch.rows.iter().enumerate() {
                lines(row, batch.results.get(i)).iter().try_for_each(&mut take)?;
            }
        }
    }
    Ok(())
}

/// For a person, a line each.
pub(super) async fn table(out: &mut dyn Write, store: &dyn Store, run: &Run) -> anyhow::Result<()> {
    let head = [("RECORD", RECORD_WIDTH), ("WHAT", FATE_WIDTH), ("PROPERTY", PROPERTY_WIDTH)];
    writeln!(out, "{}", render::line(&head, "NOW → WILL BE")).context("print the preview")?;
    each(store, run, |line| {
        let short = |value| render::cut(&render::of_value(value), VALUE_WIDTH);
        let change = line.new.map(|new| format!("{} → {}", short(line.old), short(Some(new))));
        let last = [change.as_deref(), line.why].into_iter().flatten().collect::<Vec<_>>().join("; ");
        let property = line.property.map(PropertyName::as_str).unwrap_or_default();
        let cells =
            [(line.record, RECORD_WIDTH), (line.fate.as_str(), FATE_WIDTH), (property, PROPERTY_WIDTH)];
        writeln!(out, "{}", render::line(&cells, &last)).context("print the preview")
    })
    .await
}

/// For a program: the head with the rows in it, all in one object.
pub(super) async fn json(
    out: &mut dyn Write,
    store: &dyn Store,
    run: &Run,
    mut head: Map<String, Value>,
    forecast: Option<Value>,
) -> anyhow::Result<()> {
    head.insert("forecast".to_owned(), forecast.unwrap_or_default());
    let head = serde_json::to_string(&head).context("put the preview into JSON")?;
    // The rows come last, one after the other, into an object that stays open for them.
    let open = head.strip_suffix('}').unwrap_or(&head);
    write!(out, "{open},\"rows\":[").context("print the preview")?;
    let mut is_first = true;
    each(store, run, |line| {
        let comma = if std::mem::take(&mut is_first) { "" } else { "," };
        let line = serde_json::to_string(line).context("put a row into JSON")?;
        write!(out, "{comma}\n{line}").context("print the preview")
    })
    .await?;
    writeln!(out, "\n]}}").context("print the preview")
}

/// For a spreadsheet.
pub(super) async fn csv(out: &mut dyn Write, store: &dyn Store, run: &Run) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    let mut write = |record: [&str; 7]| render::write_csv(&mut writer, record).context("print the preview");
    write(["record", "what", "property", "old", "new", "code", "why"])?;
    each(store, run, |line| {
        let text = |value: Option<&Value>| value.map(value::to_text).unwrap_or_default();
        write([
            line.record,
            line.fate.as_str(),
            line.property.map(PropertyName::as_str).unwrap_or_default(),
            &text(line.old),
            &text(line.new),
            line.code.unwrap_or_default(),
            line.why.unwrap_or_default(),
        ])
    })
    .await?;
    writer.flush().context("print the preview")
}
