//! `infill rows`: the rows of a run, page after page; never all in memory.

use std::io::{self, Write};

use anyhow::Context;
use infill_model::{BatchNo, Outcome, PropertyName, RecordId, Row, RowResult, value};
use infill_store::Store;
use infill_store::store::Run;

use crate::args::{self, RowFormat};
use crate::command::purge::still_has_values;
use crate::compose::Parts;
use crate::exit::Exit;
use crate::render::{self, JsonItems};
use crate::view::RowView;

/// Batches read from the store at once: at HubSpot's hundred records a batch, a few megabytes.
const BATCHES_AT_ONCE: u32 = 20;

/// Columns of the table; the text after them is not cut.
const RECORD_WIDTH: usize = 16;
const OUTCOME_WIDTH: usize = 9;

/// The widest a single value is shown in the table.
const VALUE_WIDTH: usize = 40;

/// What stands in place of an outcome while there is none.
const PENDING: &str = "pending";

/// Lists the rows of a run.
pub(crate) async fn rows(parts: &Parts, args: &args::Rows) -> anyhow::Result<Exit> {
    let run = parts.find_run(&args.run).await?;
    still_has_values(&run, "its rows can no longer be listed")?;
    let wanted = Wanted { outcomes: &args.outcomes, record: args.record.as_ref() };
    let mut out = io::BufWriter::new(io::stdout().lock());
    write(&mut out, parts.store.as_ref(), &run, wanted, args.format).await?;
    out.flush().context("print the rows")?;
    Ok(Exit::Well)
}

async fn write(
    out: &mut dyn Write,
    store: &dyn Store,
    run: &Run,
    wanted: Wanted<'_>,
    format: RowFormat,
) -> anyhow::Result<()> {
    let mut sink: Box<dyn Sink + '_> = match format {
        RowFormat::Table => Box::new(Lines::begin(out)?),
        RowFormat::Json => Box::new(JsonItems::begin(out)?),
        RowFormat::Csv => Box::new(Csv::begin(out, run)?),
    };
    let mut after: Option<BatchNo> = None;
    loop {
        let batches = store.batches(run.id, after, BATCHES_AT_ONCE).await?;
        let Some(last) = batches.last() else { return sink.end() };
        after = Some(last.no);
        for batch in &batches {
            for (idx, row) in batch.rows.iter().enumerate() {
                let result = batch.results.get(idx);
                if wanted.has(row, result) {
                    sink.row(row, result)?;
                }
            }
        }
    }
}

/// Which rows; everything given must match.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    /// Those that ended so; none for all.
    outcomes: &'a [Outcome],
    record: Option<&'a RecordId>,
}

impl Wanted<'_> {
    fn has(self, row: &Row, result: Option<&RowResult>) -> bool {
        let outcome = result.and_then(RowResult::outcome);
        let has_outcome =
            self.outcomes.is_empty() || outcome.is_some_and(|outcome| self.outcomes.contains(&outcome));
        has_outcome && self.record.is_none_or(|record| *record == row.record)
    }
}

/// Takes rows one by one.
trait Sink {
    fn row(&mut self, row: &Row, result: Option<&RowResult>) -> anyhow::Result<()>;
    fn end(self: Box<Self>) -> anyhow::Result<()>;
}

impl Sink for JsonItems<'_> {
    fn row(&mut self, row: &Row, result: Option<&RowResult>) -> anyhow::Result<()> {
        self.item(&RowView::of(row, result))
    }

    fn end(self: Box<Self>) -> anyhow::Result<()> {
        JsonItems::end(*self)
    }
}

/// A line a row, for a person.
struct Lines<'a> {
    out: &'a mut dyn Write,
}

impl<'a> Lines<'a> {
    fn begin(out: &'a mut dyn Write) -> anyhow::Result<Self> {
        let head = render::line(&[("RECORD", RECORD_WIDTH), ("OUTCOME", OUTCOME_WIDTH)], "WHAT");
        writeln!(out, "{head}").context("print the rows")?;
        Ok(Self { out })
    }
}

impl Sink for Lines<'_> {
    fn row(&mut self, row: &Row, result: Option<&RowResult>) -> anyhow::Result<()> {
        let outcome = result.and_then(RowResult::outcome).map_or(PENDING, Outcome::as_str);
        let what = result.map(|result| what(row, result)).unwrap_or_default();
        let cells = [(row.record.as_str(), RECORD_WIDTH), (outcome, OUTCOME_WIDTH)];
        writeln!(self.out, "{}", render::line(&cells, &what)).context("print the rows")
    }

    fn end(self: Box<Self>) -> anyhow::Result<()> {
        Ok(())
    }
}

/// What was written, or why it was not, in a line.
fn what(row: &Row, result: &RowResult) -> String {
    let short = |value: Option<&infill_model::Value>| render::cut(&render::of_value(value), VALUE_WIDTH);
    let mut parts: Vec<String> = Vec::new();
    for (name, wanted) in &result.wanted {
        let before = row.before.get(name);
        let change = if before == Some(wanted) {
            format!("{name}: {}", short(before))
        } else {
            format!("{name}: {} → {}", short(before), short(Some(wanted)))
        };
        parts.push(match result.found.get(name) {
            Some(found) => format!("{change}, found {}", short(Some(found))),
            None => change,
        });
    }
    if let Some(cause) = &result.cause {
        parts.push(format!("{} ({})", cause.message, cause.code));
    }
    if let Some(survivor) = &result.survivor {
        parts.push(format!("merged into {survivor}"));
    }
    parts.join("; ")
}

/// A record a row, with a column for each property the plan writes.
struct Csv<'a> {
    writer: csv::Writer<&'a mut dyn Write>,
    targets: Vec<PropertyName>,
}

impl<'a> Csv<'a> {
    fn begin(out: &'a mut dyn Write, run: &Run) -> anyhow::Result<Self> {
        let targets: Vec<PropertyName> =
            run.plan.writeback.properties.iter().map(|property| property.name.clone()).collect();
        let mut writer = csv::Writer::from_writer(out);
        let mut head = vec!["record".to_owned(), "outcome".to_owned()];
        for name in &targets {
            head.extend(["before", "wanted", "found"].map(|which| format!("{which}.{name}")));
        }
        head.extend(
            ["class", "code", "message", "property", "correlation_id", "survivor"].map(str::to_owned),
        );
        write_record(&mut writer, &head)?;
        Ok(Self { writer, targets })
    }
}

impl Sink for Csv<'_> {
    fn row(&mut self, row: &Row, result: Option<&RowResult>) -> anyhow::Result<()> {
        let text = |value: Option<&infill_model::Value>| value.map(value::to_text).unwrap_or_default();
        let outcome = result.and_then(RowResult::outcome).map_or(PENDING, Outcome::as_str);
        let mut record = vec![row.record.to_string(), outcome.to_owned()];
        for name in &self.targets {
            record.push(text(row.before.get(name)));
            record.push(text(result.and_then(|result| result.wanted.get(name))));
            record.push(text(result.and_then(|result| result.found.get(name))));
        }
        let cause = result.and_then(|result| result.cause.as_ref());
        record.extend([
            cause.map(|cause| cause.class.to_string()).unwrap_or_default(),
            cause.map(|cause| cause.code.clone()).unwrap_or_default(),
            cause.map(|cause| cause.message.clone()).unwrap_or_default(),
            cause.and_then(|cause| cause.property.clone()).unwrap_or_default(),
            cause.and_then(|cause| cause.correlation_id.clone()).unwrap_or_default(),
            result
                .and_then(|result| result.survivor.as_ref())
                .or(row.gone.as_ref().and_then(|gone| gone.survivor.as_ref()))
                .map(ToString::to_string)
                .unwrap_or_default(),
        ]);
        write_record(&mut self.writer, &record)
    }

    fn end(mut self: Box<Self>) -> anyhow::Result<()> {
        self.writer.flush().context("print the rows")
    }
}

fn write_record(writer: &mut csv::Writer<&mut dyn Write>, record: &[String]) -> anyhow::Result<()> {
    render::write_csv(writer, record).context("print the rows")
}

#[cfg(test)]
mod tests {
    use infill_model::RunState;
    use serde_json::{Value, json};

    use super::*;
    use crate::sample;

    async fn listed(format: RowFormat, outcomes: &[Outcome]) -> String {
        let (store, run) = sample::store_with_rows().await;
        assert_eq!(run.state, RunState::SourceSync);
        let mut out = Vec::new();
        let wanted = Wanted { outcomes, record: None };
        write(&mut out, &*store, &run, wanted, format).await.unwrap();
        String::from_utf8(out).unwrap()
    }

    #[tokio::test]
    async fn a_table_has_a_line_a_row() {
        let said = listed(RowFormat::Table, &[]).await;
        let lines: Vec<&str> = said.lines().map(str::trim_end).collect();
        assert_eq!(
            lines,
            [
                "RECORD            OUTCOME    WHAT",
                "101               verified   phone: (202) 225-2801 → +12022252801",
                "102               failed     phone: (empty) → 1\\u{1b}[2J; Zoë's \"phone\", is no number (INVALID)",
                "103               pending",
            ]
        );
    }

    #[tokio::test]
    async fn only_the_outcomes_asked_for_are_listed() {
        let said = listed(RowFormat::Table, &[Outcome::Failed]).await;
        assert_eq!(said.lines().count(), 2, "{said}");
        assert!(said.contains("102"), "{said}");
    }

    #[tokio::test]
    async fn the_row_of_one_record_can_be_asked_for() {
        let (store, run) = sample::store_with_rows().await;
        let mut out = Vec::new();
        let record = RecordId::from("103");
        let wanted = Wanted { outcomes: &[], record: Some(&record) };
        write(&mut out, &*store, &run, wanted, RowFormat::Json).await.unwrap();
        let rows: Vec<Value> = serde_json::from_slice(&out).unwrap();
        assert_eq!((rows.len(), &rows[0]["record"]), (1, &json!("103")));
    }

    #[tokio::test]
    async fn json_is_one_array_with_every_value_to_the_letter() {
        let said = listed(RowFormat::Json, &[]).await;
        let rows: Vec<Value> = serde_json::from_str(&said).unwrap();
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[1]["wanted"]["phone"], json!("1\u{1b}[2J"));
        assert_eq!(rows[1]["outcome"], json!("failed"));
        assert_eq!(rows[2]["outcome"], json!(null));
    }

    #[tokio::test]
    async fn csv_reads_back_with_every_value_to_the_letter() {
        let said = listed(RowFormat::Csv, &[]).await;
        let mut reader = csv::Reader::from_reader(said.as_bytes());
        let head = reader.headers().unwrap().clone();
        assert_eq!(
            head.iter().take(4).collect::<Vec<_>>(),
            ["record", "outcome", "before.phone", "wanted.phone"]
        );
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.iter().map(|row| &row[0]).collect::<Vec<_>>(), ["101", "102", "103"]);
        assert_eq!(&rows[1][3], "1\u{1b}[2J");
        assert_eq!(&rows[1][7], "Zoë's \"phone\", is no number");
    }
}
