//! `infill undo`: takes a run back by a run of its own, which puts the before-images back where the records still hold what
//! the run wrote, reads them back, and can itself be taken back.

use std::collections::HashSet;
use std::io::{self, Write};

use anyhow::Context;
use infill_crm::Crm;
use infill_model::row::Written;
use infill_model::slice::{ResolvedSlice, Supplied, Supply};
use infill_model::{Plan, Properties, RecordId};
use infill_planner::start::undo_plan;
use infill_rules::undo::{INPUT, undo as judge, written};
use infill_store::store::{Batch, Run};
use infill_worker::preflight::{self, Preflight};

use crate::args::{self, RunRef};
use crate::command::purge::still_has_values;
use crate::command::run::{Asking, Stamp, leave, record_at, report, work_and_follow};
use crate::compose::Parts;
use crate::exit::{Exit, Usage};
use crate::render;

/// Batches read from the store at once.
const BATCHES: u32 = 10;

/// Records that a dry run shows with their values.
const EXAMPLES: usize = 5;

/// What is said of a run whose values are purged.
const GONE: &str = "it can no longer be taken back";

/// Takes a run back.
pub(crate) async fn undo(parts: &Parts, args: &args::Undo) -> anyhow::Result<Exit> {
    let run = parts.find_run(&args.run).await?;
    let id = run.id;
    if !run.state.is_final() {
        let message = format!(
            "run {id} has not ended ({}); `infill cancel {id}` stops it, then it can be taken back",
            run.state
        );
        return Err(Usage(message).into());
    }
    still_has_values(&run, GONE)?;
    let chosen: HashSet<RecordId> = args.records.iter().cloned().collect();
    let nothing = || {
        Usage(format!("run {id} wrote nothing that could be taken back; `infill rows {id}` lists its rows"))
    };
    let Some(plan) = undo_plan(&run) else { return Err(nothing().into()) };
    let crm = parts.connections.connect(&plan.connection).await?;
    if args.dry_run {
        let slice = slice(&plan, &run, None);
        look(parts, crm.as_ref(), &plan, slice).await?;
        return dry_run(parts, crm.as_ref(), &run, &chosen).await;
    }
    let stamp = Stamp::now(parts);
    let mut n_rows = 0_u64;
    let mut pages = Pages::of(parts, &run);
    while let Some(batches) = pages.next().await? {
        let part: Vec<Supplied> = rows(&batches, &chosen)
            .map(|(record, written)| {
                n_rows += 1;
                let inputs = [(INPUT.into(), serde_json::json!(written))].into();
                Supplied { record, line: n_rows, inputs, fault: None }
            })
            .collect();
        parts.store.supply(stamp.id(), &part).await?;
    }
    // A purge that began meanwhile may have taken rows away before they were read.
    still_has_values(&parts.find_run(&RunRef::Id(id)).await?, GONE)?;
    if n_rows == 0 {
        return Err(nothing().into());
    }
    let found = look(parts, crm.as_ref(), &plan, slice(&plan, &run, Some(n_rows))).await?;
    report(parts, &plan, &found, None);
    eprintln!("  puts back the values that run {id} replaced, where the records still hold what it wrote");
    say_what_stays();
    let undo =
        record_at(parts, Asking { plan, cap: None, slice: Some(found.slice), is_dry: false }, stamp).await?;
    eprintln!("run {undo}");
    if args.detach { leave(parts, undo).await } else { work_and_follow(parts, undo).await }
}

fn say_what_stays() {
    eprintln!(
        "  not taken back: what the writes set off in the CRM (workflows, mails, webhooks), and records that a chain created"
    );
}

async fn look(parts: &Parts, crm: &dyn Crm, plan: &Plan, slice: ResolvedSlice) -> anyhow::Result<Preflight> {
    // Whoever starts a run by hand may have mended the login; if not, the first call pauses the connection again.
    parts.connections.resume(&plan.connection).await?;
    match preflight::preflight(crm, plan, Some(slice)).await {
        Ok(found) => Ok(found),
        Err(preflight::Error::Faults(faults)) => {
            let all: Vec<String> = faults.iter().map(|fault| fault.message.clone()).collect();
            Err(Usage(format!("the account does not let these values be put back: {}", all.join("; ")))
                .into())
        }
        Err(preflight::Error::Crm(error)) => {
            Err(anyhow::Error::new(error).context(format!("connection {}", plan.connection)))
        }
    }
}

fn slice(plan: &Plan, run: &Run, size: Option<u64>) -> ResolvedSlice {
    let supply = Supply { inputs: plan.inputs.clone(), n_sound: size.unwrap_or_default() };
    let label = format!("what run {} (\"{}\") wrote", run.id, run.plan.name);
    supply.into_slice(plan.source.object.clone(), label, size)
}

/// The batches of a run, a few at a time.
struct Pages<'a> {
    parts: &'a Parts,
    run: &'a Run,
    after: Option<infill_model::BatchNo>,
}

impl<'a> Pages<'a> {
    const fn of(parts: &'a Parts, run: &'a Run) -> Self {
        Self { parts, run, after: None }
    }

    async fn next(&mut self) -> anyhow::Result<Option<Vec<Batch>>> {
        let batches = self.parts.store.batches(self.run.id, self.after, BATCHES).await?;
        self.after = batches.last().map(|batch| batch.no);
        Ok(self.after.map(|_| batches))
    }
}

/// What was done to the chosen records; to all, when none is chosen.
fn rows<'a>(
    batches: &'a [Batch],
    chosen: &'a HashSet<RecordId>,
) -> impl Iterator<Item = (RecordId, Written)> + 'a {
    batches
        .iter()
        .flat_map(|batch| batch.rows.iter().zip(&batch.results))
        .filter(|(row, _)| chosen.is_empty() || chosen.contains(&row.record))
        .filter_map(|(row, result)| Some((row.record.clone(), written(row, result)?)))
}

/// What an undo would do.
#[derive(Default)]
struct Forecast {
    n_restored: u64,
    /// Of these, those that keep another property.
    n_in_part: u64,
    n_as_before: u64,
    n_theirs: u64,
    n_gone: u64,
    /// Record, property, the value now, the value to put back.
    examples: Vec<[String; 4]>,
}

async fn dry_run(
    parts: &Parts,
    crm: &dyn Crm,
    run: &Run,
    chosen: &HashSet<RecordId>,
) -> anyhow::Result<Exit> {
    let Some(compiled) = &run.compiled else { return Ok(Exit::Well) };
    let names: Vec<_> = compiled.targets.iter().map(|target| target.property.name.clone()).collect();
    let size = usize::try_from(crm.limits(None).read_batch.max(1)).unwrap_or(usize::MAX);
    let normalize = |property: &_, value: &_| crm.normalize(property, value);
    let mut forecast = Forecast::default();
    let mut pages = Pages::of(parts, run);
    while let Some(batches) = pages.next().await? {
        let rows: Vec<(RecordId, Written)> = rows(&batches, chosen).collect();
        for part in rows.chunks(size) {
            let ids: Vec<RecordId> = part.iter().map(|(record, _)| record.clone()).collect();
            let answer = crm.read(&compiled.object, &ids, &names).await?;
            let now: std::collections::HashMap<RecordId, Properties> =
                answer.records.into_iter().map(|record| (record.id, record.properties)).collect();
            for (record, written) in part {
                match now.get(record) {
                    Some(now) => {
                        forecast.add(record, now, &judge(&compiled.targets, written, now, &normalize));
                    }
                    None => forecast.n_gone += 1,
                }
            }
        }
    }
    forecast.print(run).context("print what an undo would do")?;
    say_what_stays();
    Ok(Exit::Well)
}

impl Forecast {
    fn add(&mut self, record: &RecordId, now: &Properties, undone: &infill_rules::undo::Undone) {
        if !undone.restore.is_empty() {
            self.n_restored += 1;
            self.n_in_part += u64::from(!undone.theirs.is_empty());
        } else if undone.theirs.is_empty() {
            self.n_as_before += 1;
        } else {
            self.n_theirs += 1;
        }
        if self.examples.len() < EXAMPLES {
            self.examples.extend(undone.restore.iter().map(|(name, before)| {
                let (from, to) = (render::of_value(now.get(name)), render::of_value(Some(before)));
                [record.to_string(), name.to_string(), from, to]
            }));
        }
    }

    fn print(&self, run: &Run) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "an undo of run {} would, as the records stand now:", run.id)?;
        for (n_records, what) in [
            (self.n_restored, "put back: they still hold what the run wrote"),
            (self.n_in_part, "of these keep another property, which somebody changed since"),
            (self.n_theirs, "leave alone: somebody changed them since"),
            (self.n_as_before, "have nothing to do: they hold their old values already"),
            (self.n_gone, "find gone: deleted or merged"),
        ] {
            if n_records > 0 {
                writeln!(out, "  {n_records:>9}  {what}")?;
            }
        }
        if !self.examples.is_empty() {
            let head = ["record", "property", "now", "put back"].map(str::to_owned).to_vec();
            let rows = self.examples.iter().map(|example| example.to_vec());
            render::write_table(&mut out, &std::iter::once(head).chain(rows).collect::<Vec<_>>())?;
        }
        Ok(())
    }
}
