//! `infill preview`: what a run is about to do, before it does it. Rows are read page after page and never all held.

mod page;
mod rows;

use std::io::{self, Write};

use anyhow::Context;
use infill_model::{BatchNo, RunState};
use infill_rules::forecast::{Known, forecast};
use infill_rules::preview::{Fate, Preview};
use infill_store::Store;
use infill_store::store::{Batch, Run};
use serde_json::json;

use crate::args::preview::{self as args, PreviewFormat};
use crate::command::purge::still_has_values;
use crate::compose::Parts;
use crate::exit::{Exit, Usage};
use crate::render::{self, shown};

/// Batches read from the store at once.
const BATCHES_AT_ONCE: u32 = 20;

/// Prints what a run is about to do.
pub(crate) async fn preview(parts: &Parts, args: &args::Preview) -> anyhow::Result<Exit> {
    let run = parts.find_run(&args.run).await?;
    still_has_values(&run, "there is nothing left to show; `infill show` has its counts")?;
    if run.progress.batches == 0 {
        let message = format!(
            "run {} has no rows yet ({}); `infill show {}` tells how far it is",
            run.id, run.state, run.id
        );
        return Err(Usage(message).into());
    }
    let store = parts.store.as_ref();
    let mut out = io::BufWriter::new(io::stdout().lock());
    match args.format {
        PreviewFormat::Table => {
            let preview = of(store, &run).await?;
            write(&mut out, &run, &preview)?;
            write_forecast(&mut out, parts, &run).await?;
            if args.rows {
                rows::table(&mut out, store, &run).await?;
            }
            write_end(&mut out, &run, &preview)?;
        }
        PreviewFormat::Json => {
            let preview = of(store, &run).await?;
            let head = head(&run, &preview);
            let cost = cost(parts, &run).await.ok().map(|cost| json!(cost.forecast));
            rows::json(&mut out, store, &run, head, cost).await?;
        }
        PreviewFormat::Csv => rows::csv(&mut out, store, &run).await?,
        PreviewFormat::Html => {
            let preview = of(store, &run).await?;
            let cost = told_forecast(parts, &run).await;
            page::write(&mut out, store, &run, &preview, &cost).await?;
        }
    }
    out.flush().context("print the preview")?;
    Ok(Exit::Well)
}

/// Prints a preview for a person, as it ends a dry run.
pub(crate) async fn print(parts: &Parts, run: &Run) -> anyhow::Result<()> {
    let preview = of(parts.store.as_ref(), run).await?;
    let mut out = io::stdout().lock();
    write(&mut out, run, &preview)?;
    write_forecast(&mut out, parts, run).await?;
    write_end(&mut out, run, &preview)
}

/// The preview of a run.
pub(crate) async fn of(store: &dyn Store, run: &Run) -> anyhow::Result<Preview> {
    let mut preview = Preview::of(&run.plan);
    let mut pages = Pages::of(store, run);
    while let Some(batches) = pages.next().await? {
        for batch in &batches {
            batch.rows.iter().enumerate().for_each(|(i, row)| preview.add(row, batch.results.get(i)));
        }
    }
    Ok(preview)
}

/// The batches of a run, some at a time.
struct Pages<'a> {
    store: &'a dyn Store,
    run: &'a Run,
    after: Option<BatchNo>,
}

impl<'a> Pages<'a> {
    const fn of(store: &'a dyn Store, run: &'a Run) -> Self {
        Self { store, run, after: None }
    }

    async fn next(&mut self) -> anyhow::Result<Option<Vec<Batch>>> {
        let batches = self.store.batches(self.run.id, self.after, BATCHES_AT_ONCE).await?;
        let Some(last) = batches.last() else { return Ok(None) };
        self.after = Some(last.no);
        Ok(Some(batches))
    }
}

fn write(out: &mut dyn Write, run: &Run, preview: &Preview) -> anyhow::Result<()> {
    let wrote =
        if run.is_unwritten_preview() { "nothing is written" } else { "this is what it set out to do" };
    writeln!(out, "preview of run {} \"{}\": {} rows, {wrote}", run.id, shown(&run.plan.name), preview.rows)
        .context("print the preview")?;
    let is_met = |fate: &Fate| {
        preview.fates.contains_key(fate)
            || preview.properties.iter().any(|property| property.rows.contains_key(fate))
    };
    let fates: Vec<Fate> = Fate::ALL.into_iter().filter(is_met).collect();
    let of = |rows: &std::collections::BTreeMap<Fate, u64>| {
        fates
            .iter()
            .map(|fate| render::count(rows.get(fate).copied().unwrap_or_default()))
            .collect::<Vec<_>>()
    };
    let head = std::iter::once("property".to_owned()).chain(fates.iter().map(ToString::to_string)).collect();
    let line = |name: &str, rows: &std::collections::BTreeMap<Fate, u64>| {
        std::iter::once(name.to_owned()).chain(of(rows)).collect::<Vec<_>>()
    };
    let mut table: Vec<Vec<String>> = vec![head];
    table.extend(preview.properties.iter().map(|property| line(property.name.as_str(), &property.rows)));
    table.push(line("(rows)", &preview.fates));
    render::write_table(out, &table)?;
    let examples: Vec<Vec<String>> = preview
        .properties
        .iter()
        .flat_map(|property| property.examples.iter().map(move |change| (property, change)))
        .map(|(property, change)| {
            let (old, new) = (render::of_value(Some(&change.old)), render::of_value(Some(&change.new)));
            vec![change.record.to_string(), property.name.to_string(), old, new]
        })
        .collect();
    if !examples.is_empty() {
        let head = ["for example", "property", "now", "will be"].map(str::to_owned).to_vec();
        render::write_table(out, &std::iter::once(head).chain(examples).collect::<Vec<_>>())?;
    }
    for (fate, why) in [
        (Fate::Stay, "have every value already"),
        (Fate::Skipped, "are skipped, a condition is not met"),
        (Fate::Held, "are held, somebody changed them since the pull"),
        (Fate::Gone, "are gone, deleted or merged"),
    ] {
        if let (Some(n_rows), Some(examples)) = (preview.fates.get(&fate), preview.examples.get(&fate)) {
            let such: Vec<&str> = examples.iter().map(infill_model::RecordId::as_str).collect();
            let line = format!("  {} {why}, such as {}", render::count(*n_rows), such.join(", "));
            writeln!(out, "{}", shown(&line)).context("print the preview")?;
        }
    }
    for refused in &preview.refused {
        let line = format!(
            "  {} refused ({}), such as record {}: {}",
            render::count(refused.rows),
            refused.code,
            refused.record,
            refused.message
        );
        writeln!(out, "{}", shown(&line)).context("print the preview")?;
    }
    Ok(())
}

/// What the writes of a run will cost.
struct Cost {
    forecast: infill_model::run::Forecast,
    /// What the day is counted in.
    unit: &'static str,
    /// Calls that one burst window has room for, and how long it is in milliseconds.
    window: Option<(u32, i64)>,
}

/// Asks the account what is left of the day, and reckons what the rest of the run costs.
async fn cost(parts: &Parts, run: &Run) -> anyhow::Result<Cost> {
    let connection = &run.plan.connection;
    let crm = parts.connections.connect(connection).await?;
    let account = crm.account().await?;
    let rows = run.progress.intended;
    let sizes = crm.limits(Some(rows));
    let rate = parts.connections.limits(connection).general;
    let known = Known {
        rows,
        canary: run.plan.canary.into(),
        write_batch: sizes.write_batch.into(),
        write_call: sizes.write_call.into(),
        calls_per_write: sizes.calls_per_write.into(),
        read_batch: sizes.read_batch.into(),
        action_calls: 0,
        write_cost: sizes.costs.write.into(),
        read_cost: sizes.costs.read.into(),
        verify: run.plan.verify,
        rate,
        left_today: account.left_today(),
    };
    let mut forecast = forecast(&known);
    // Every row is read once more just before its write.
    let guards =
        rows.div_ceil(u64::from(sizes.read_batch.max(1))).max(u64::from(run.progress.batches_previewed));
    forecast.calls = forecast.calls.saturating_add(guards);
    forecast.units = forecast.units.saturating_add(guards.saturating_mul(sizes.costs.read.into()));
    let window = rate.map(|rate| (rate.calls, rate.per_ms));
    Ok(Cost { forecast, unit: parts.connections.unit(connection), window })
}

/// What the rest of a run costs, in a line; or why that is not known.
async fn told_forecast(parts: &Parts, run: &Run) -> String {
    if run.progress.intended == 0 {
        return "nothing is left to be written".to_owned();
    }
    let Cost { forecast, unit, window } = match cost(parts, run).await {
        Ok(cost) => cost,
        Err(error) => return format!("not known, the account could not be asked: {error:#}"),
    };
    let mut told = format!("at most {} calls", render::count(forecast.calls));
    if let Some((calls, per_ms)) = window {
        let windows = forecast.calls.div_ceil(u64::from(calls.max(1)));
        let seconds = per_ms / 1_000;
        let share = percent(forecast.calls, calls.into());
        told.push_str(&match windows {
            0 | 1 => format!(", {share} of one window of {seconds} s"),
            _ => format!(", {windows} windows of {seconds} s"),
        });
    }
    if let Some(left) = forecast.calls_left_today {
        let share = percent(forecast.units, left);
        told.push_str(&format!(", {share} of the {} {unit} left today", render::count(left)));
    }
    if let Some(seconds) = forecast.seconds.filter(|seconds| *seconds > 0) {
        told.push_str(&format!(", at least {seconds} s by the burst limit"));
    }
    told
}

/// A share in whole percent, rounded up, so that little is not nothing.
fn percent(part: u64, whole: u64) -> String {
    format!("{} %", part.saturating_mul(100).div_ceil(whole.max(1)))
}

async fn write_forecast(out: &mut dyn Write, parts: &Parts, run: &Run) -> anyhow::Result<()> {
    if !run.is_unwritten_preview() {
        return Ok(());
    }
    writeln!(out, "  to write it: {}", told_forecast(parts, run).await).context("print the preview")
}

fn write_end(out: &mut dyn Write, run: &Run, preview: &Preview) -> anyhow::Result<()> {
    writeln!(out, "  digest {}", preview.digest()).context("print the preview")?;
    for line in next(run, preview) {
        writeln!(out, "  {line}").context("print the preview")?;
    }
    Ok(())
}

/// What to type next.
fn next(run: &Run, preview: &Preview) -> Vec<String> {
    let (id, digest) = (run.id, preview.digest());
    let short: String = digest.chars().take(infill_rules::preview::DIGEST_PREFIX).collect();
    let page = format!(
        "all rows: infill preview {id} --rows; as a page: infill preview {id} --format html > preview.html"
    );
    if run.state == RunState::Waiting {
        vec![
            page,
            format!("write exactly this: infill approve {id} --digest {short}"),
            format!("or not: infill reject {id} --why \"...\""),
        ]
    } else if run.state == RunState::Previewed && preview.fates.contains_key(&Fate::Change) {
        vec![page, format!("write exactly this: infill apply {id} --digest {short}")]
    } else {
        Vec::new()
    }
}

/// A preview without its rows, for programs.
fn head(run: &Run, preview: &Preview) -> serde_json::Map<String, serde_json::Value> {
    let fields = [
        ("run", json!(run.id)),
        ("plan_name", json!(run.plan.name)),
        ("connection", json!(run.plan.connection)),
        ("object", json!(run.plan.source.object)),
        ("state", json!(run.state)),
        ("digest", json!(preview.digest())),
        ("n_rows", json!(preview.rows)),
        ("fates", json!(preview.fates)),
        ("examples", json!(preview.examples)),
        ("properties", json!(preview.properties)),
        ("refused", json!(preview.refused)),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
