//! `infill demo`: the whole of it in a minute, on a simulated portal with the records of real people.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use infill_model::{Outcome, Plan, Row, RowResult, value};
use infill_sim::hubspot::{self, SIM_TOKEN, Simulator};
use infill_store::store::Run;

use crate::args;
use crate::command::run::{look, read_plan, record, report, stop_on_signal, work_until_end};
use crate::compose::Parts;
use crate::config;
use crate::exit::Exit;
use crate::progress::{Followed, exit_of};
use crate::render::{self, say};
use crate::summary;

/// Where the demo keeps its files, under the current directory.
const FOLDER: &str = "infill-demo";

/// The plan, written for the person to edit.
const PLAN: &str = include_str!("demo/plan.yaml");

/// Rows shown before and after.
const ROWS_SHOWN: usize = 8;

/// Runs the demo.
pub(crate) async fn demo(args: &args::Demo) -> anyhow::Result<Exit> {
    let folder = PathBuf::from(FOLDER);
    let simulator = hubspot::start(hubspot::Config::default()).await.context("start the simulated portal")?;
    let plan_path = prepare(&folder, &simulator)?;
    let parts = Parts::open(config::load(Some(&folder.join("infill.toml")))?).await?;
    let n_people = simulator.control().record_ids("contacts")?.len();

    say!("A simulated HubSpot portal is up at {}", simulator.base_url());
    say!("  {n_people} members of the United States Congress, in the static list 42");
    say!("  HubSpot's own limits: 190 calls in any 10 s\n");
    let plan = read_plan(&plan_path)?;
    say!("The plan, {} (edit it and run the demo again):\n", plan_path.display());
    for line in std::fs::read_to_string(&plan_path)?.lines() {
        say!("    {line}");
    }

    say!("\nFirst run: every person is pulled, enriched, written back in place, and read back\n");
    let first = once(&parts, &plan, &plan_path).await?;
    let Some(first) = first else { return Ok(Exit::CouldNotGoOn) };
    say!("\nBefore and after, as the portal has them now:\n");
    show_changes(&parts, &first).await?;

    say!("\nSecond run of the same plan: nothing is sent, every row has its value already\n");
    let writes_before = simulator.control().report().writes;
    let Some(second) = once(&parts, &plan, &plan_path).await? else { return Ok(Exit::CouldNotGoOn) };
    let n_writes = simulator.control().report().writes.saturating_sub(writes_before);
    say!("  the portal's own ledger: {n_writes} writes in this run\n");

    say_what_next(&folder, &plan_path, args.keep);
    let exit = if exit_of(&first) == Exit::Well { exit_of(&second) } else { exit_of(&first) };
    if args.keep {
        keep(&parts, &simulator, &first).await?;
    }
    simulator.shutdown().await;
    Ok(exit)
}

/// Writes the demo's files. A plan that is there already is the person's and stays; the store is new, as the portal is.
fn prepare(folder: &Path, simulator: &Simulator) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder).with_context(|| format!("make the folder {}", folder.display()))?;
    let plan = folder.join("plan.yaml");
    if !plan.exists() {
        std::fs::write(&plan, PLAN)?;
    }
    std::fs::write(folder.join("token"), SIM_TOKEN)?;
    std::fs::write(folder.join("infill.toml"), configuration(&simulator.base_url()))?;
    for file in ["infill.db", "infill.db-wal", "infill.db-shm"] {
        match std::fs::remove_file(folder.join(file)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("remove the store of the last demo, {file}"));
            }
            _ => {}
        }
    }
    Ok(plan)
}

fn configuration(base_url: &str) -> String {
    format!(
        "# Written by `infill demo`, anew each time.\n\
         [store]\n\
         path = \"infill.db\"\n\n\
         [connections.demo-hubspot]\n\
         crm = \"hubspot\"\n\
         token_file = \"token\"          # the simulator's: it opens nothing else\n\
         base_url = \"{base_url}\"\n\
         calls_per_10_seconds = 190\n"
    )
}

async fn once(parts: &Parts, plan: &Plan, plan_path: &Path) -> anyhow::Result<Option<Run>> {
    let found = look(parts, plan, &plan_path.display().to_string()).await?;
    report(parts, plan, &found, None);
    let id = record(parts, plan.clone(), plan.source.max_count).await?;
    match work_until_end(parts, id, "what was not written yet stays as it was".to_owned()).await? {
        Followed::Ended(run) => {
            say!("");
            summary::print(parts, &run).await?;
            Ok(Some(*run))
        }
        Followed::Paused(_, why) => {
            eprintln!("paused: {why}");
            Ok(None)
        }
        Followed::Interrupted => Ok(None),
    }
}

/// A table of a few rows: those whose names are hardest to carry, first.
async fn show_changes(parts: &Parts, run: &Run) -> anyhow::Result<()> {
    let batches = parts.store.batches(run.id, None, u32::MAX).await?;
    let mut rows: Vec<(&Row, &RowResult)> = batches
        .iter()
        .flat_map(|batch| batch.rows.iter().zip(&batch.results))
        .filter(|(_, result)| result.outcome() == Some(Outcome::Verified))
        .collect();
    rows.sort_by_key(|(row, _)| !is_hard_to_carry(row));
    let mut table = vec![["person", "property", "before", "after"].map(str::to_owned).to_vec()];
    for (row, result) in rows.into_iter().take(ROWS_SHOWN) {
        let person = ["firstname", "lastname"]
            .iter()
            .filter_map(|name| row.inputs.get(*name).map(value::to_text))
            .collect::<Vec<_>>()
            .join(" ");
        for (name, wanted) in &result.wanted {
            let before = row.before.get(name).map(value::to_text).unwrap_or_default();
            table.push(vec![person.clone(), name.to_string(), before, value::to_text(wanted)]);
        }
    }
    render::print_table(&table)
}

fn is_hard_to_carry(row: &Row) -> bool {
    row.inputs
        .values()
        .map(value::to_text)
        .any(|text| text.chars().any(|letter| !letter.is_ascii() || matches!(letter, '\'' | '"' | '`')))
}

fn say_what_next(folder: &Path, plan: &Path, keeps: bool) {
    let config = folder.join("infill.toml");
    say!("What to type next:");
    say!("  infill --config {} runs                      both runs", config.display());
    say!("  infill --config {} rows latest --format csv  every row with its outcome", config.display());
    say!("  $EDITOR {}; infill demo              change the plan, see what happens", plan.display());
    say!("  infill schema > plan.schema.json                       completion and checks in your editor");
    if !keeps {
        say!("  infill demo --keep                                     leave the portal up and look at it");
    }
    say!("  docs/hubspot.md                                        your own portal: a token and ten lines");
    say!("(`cargo run --release --` in place of `infill`, if it is not installed)");
}

async fn keep(parts: &Parts, simulator: &Simulator, run: &Run) -> anyhow::Result<()> {
    let batches = parts.store.batches(run.id, None, 1).await?;
    let record = batches.first().and_then(|batch| batch.rows.first()).map(|row| row.record.to_string());
    let base = simulator.base_url();
    say!("\nThe portal stays up until Ctrl-C. Look at it:");
    if let Some(record) = record {
        say!(
            "  curl -H 'Authorization: Bearer {SIM_TOKEN}' \\\n    '{base}/crm/objects/2026-09/contacts/{record}?properties=firstname,phone,hs_cross_account_note'"
        );
    }
    say!("  curl '{base}/_admin/report'");
    let stop = tokio_util::sync::CancellationToken::new();
    stop_on_signal(&stop, || {})?;
    stop.cancelled().await;
    Ok(())
}
