//! `infill runs`: the runs in the store, newest first.

use std::io::{self, Write};

use anyhow::Context;
use infill_model::Outcome;
use infill_store::store::{Run, RunFilter};

use crate::args::{self, Format};
use crate::compose::Parts;
use crate::exit::Exit;
use crate::render;
use crate::view::RunView;

/// Lists runs.
pub(crate) async fn runs(parts: &Parts, args: &args::Runs) -> anyhow::Result<Exit> {
    let filter = RunFilter { unfinished: args.unfinished, plan_name: args.plan.clone(), limit: args.limit };
    let runs = parts.store.runs(&filter).await?;
    write(&mut io::stdout().lock(), &runs, args.format)?;
    Ok(Exit::Well)
}

fn write(out: &mut dyn Write, runs: &[Run], format: Format) -> anyhow::Result<()> {
    match format {
        Format::Json => render::write_json(out, &runs.iter().map(RunView::of).collect::<Vec<_>>()),
        Format::Table if runs.is_empty() => {
            writeln!(out, "no runs; `infill run PLAN` makes one").context("print the runs")
        }
        Format::Table => {
            let head = ["run", "plan", "connection", "state", "rows", "settled", "unwell", "started"];
            let mut table = vec![head.map(str::to_owned).to_vec()];
            table.extend(runs.iter().map(line));
            render::write_table(out, &table)
        }
    }
}

fn line(run: &Run) -> Vec<String> {
    let counts = &run.progress.counts;
    let n_unwell =
        Outcome::ALL.into_iter().filter(|outcome| !outcome.is_well()).map(|outcome| counts.of(outcome)).sum();
    let waits = match (run.is_paused(), &run.parked) {
        (true, _) => ", paused",
        (false, Some(_)) => ", waits",
        (false, None) => "",
    };
    vec![
        run.id.to_string(),
        run.plan.name.clone(),
        run.plan.connection.to_string(),
        format!("{}{waits}", run.state),
        render::count(run.progress.rows),
        render::count(counts.total()),
        render::count(n_unwell),
        render::moment(run.created_at),
    ]
}
