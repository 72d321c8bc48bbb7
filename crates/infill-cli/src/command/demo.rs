//! `infill demo`: the whole of it in a minute, on a simulated account with the records of real people or companies.
//!
//! One flow for every CRM; what differs is in [`scene`] (words, limits, files, the plan) and [`account`] (the simulator).

mod account;
mod scene;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use infill_model::{Actor, Outcome, Plan, Row, RowResult, value};
use infill_store::store::Run;

use self::account::Account;
use self::scene::Scene;
use crate::args;
use crate::command::run::{look, read_plan, record, report, stop_on_signal, work_until_end};
use crate::compose::Parts;
use crate::config;
use crate::exit::Exit;
use crate::progress::{Followed, exit_of};
use crate::render::{self, say};
use crate::summary;

/// Where demos keep their files, under the current directory.
const FOLDER: &str = "infill-demo";

/// Rows shown before and after.
const ROWS_SHOWN: usize = 8;

/// Runs the demo.
pub(crate) async fn demo(args: &args::Demo, actor: Actor) -> anyhow::Result<Exit> {
    let scene = Scene::of(args.crm);
    let account =
        Account::start(scene.crm).await.with_context(|| format!("start the simulated {}", scene.account))?;
    prepare(scene, &account)?;
    let parts = Parts::open(config::load(Some(&kept(scene.files.config)))?, actor).await?;

    say!("A simulated {} is up at {}", scene.product, account.base_url());
    say!("  {} {}", account.n_records()?, scene.holds);
    say!("  {}\n", scene.limits);
    let plan_path = kept(scene.files.plan);
    let plan = read_plan(&plan_path)?;
    say!("The plan, {} (edit it and run the demo again):\n", plan_path.display());
    for line in std::fs::read_to_string(&plan_path)?.lines() {
        say!("    {line}");
    }

    say!("\nFirst run: every {} is pulled, enriched, written back in place, and read back\n", scene.record);
    let first = once(&parts, &plan, scene, &account).await?;
    let Some(first) = first else { return Ok(Exit::CouldNotGoOn) };
    say!("\nBefore and after, as the {} has them now:\n", scene.account);
    show_changes(&parts, &first, scene).await?;

    say!("\nSecond run of the same plan: nothing is sent, every row has its value already\n");
    let writes_before = account.n_writes();
    let second = once(&parts, &plan, scene, &account).await?;
    let Some(second) = second else { return Ok(Exit::CouldNotGoOn) };
    let n_writes = account.n_writes().saturating_sub(writes_before);
    say!("  the {}'s own ledger: {n_writes} writes in this run\n", scene.account);

    say_what_next(scene, args.keep);
    let exit = if exit_of(&first) == Exit::Well { exit_of(&second) } else { exit_of(&first) };
    if args.keep {
        keep(&parts, scene, &account, &first).await?;
    }
    account.shutdown().await;
    Ok(exit)
}

/// A file of the demo.
fn kept(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

/// Writes the demo's files. A plan that is there already is the person's and stays; the store is new, as the account is.
fn prepare(scene: &Scene, account: &Account) -> anyhow::Result<()> {
    std::fs::create_dir_all(FOLDER).with_context(|| format!("make the folder {FOLDER}"))?;
    let plan = kept(scene.files.plan);
    if !plan.exists() {
        std::fs::write(&plan, scene.plan)?;
    }
    std::fs::write(kept(scene.files.token), account.token())?;
    std::fs::write(kept(scene.files.config), configuration(scene, &account.base_url()))?;
    for ending in ["", "-wal", "-shm"] {
        let file = format!("{}{ending}", scene.files.store);
        match std::fs::remove_file(kept(&file)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("remove the store of the last demo, {file}"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn configuration(scene: &Scene, base_url: &str) -> String {
    let Scene { command, connection, .. } = scene;
    let (crm, store, token) = (scene.crm.as_str(), scene.files.store, scene.files.token);
    format!(
        "# Written by `{command}`, anew each time.\n\
         [store]\n\
         path = \"{store}\"\n\n\
         [connections.demo-{crm}]\n\
         crm = \"{crm}\"\n\
         token_file = \"{token}\"          # the simulator's: it opens nothing else\n\
         base_url = \"{base_url}\"\n\
         {connection}"
    )
}

async fn once(parts: &Parts, plan: &Plan, scene: &Scene, account: &Account) -> anyhow::Result<Option<Run>> {
    let day_before = account.day();
    let found = look(parts, plan, &kept(scene.files.plan), None).await?;
    report(parts, plan, &found, None);
    let id = record(parts, plan.clone(), plan.source.most()).await?;
    match work_until_end(parts, id, "what was not written yet stays as it was".to_owned()).await? {
        Followed::Ended(run) => {
            say!("");
            summary::print(parts, &run).await?;
            if let (Some(before), Some(now)) = (day_before, account.day()) {
                say!(
                    "  {} of the day's {} {} with the pre-flight, by the {}'s own count",
                    render::count(now.spent.saturating_sub(before.spent)),
                    render::count(now.budget),
                    now.unit,
                    scene.account
                );
            }
            Ok(Some(*run))
        }
        // No plan of a demo asks for an approval.
        Followed::Waits(_) => Ok(None),
        Followed::Paused(_, why) => {
            eprintln!("paused: {why}");
            Ok(None)
        }
        Followed::Interrupted => Ok(None),
    }
}

/// A table of a few rows: those whose values are hardest to carry, first.
async fn show_changes(parts: &Parts, run: &Run, scene: &Scene) -> anyhow::Result<()> {
    let batches = parts.store.batches(run.id, None, u32::MAX).await?;
    let mut rows: Vec<(&Row, &RowResult)> = batches
        .iter()
        .flat_map(|batch| batch.rows.iter().zip(&batch.results))
        .filter(|(_, result)| result.outcome() == Some(Outcome::Verified))
        .collect();
    rows.sort_by_key(|(row, _)| ease(row));
    let (name_width, after_width) = scene.widths;
    let mut table = vec![[scene.record, "property", "before", "after"].map(str::to_owned).to_vec()];
    for (row, result) in rows.into_iter().take(ROWS_SHOWN) {
        let name = scene
            .named_by
            .iter()
            .filter_map(|name| row.inputs.get(*name).map(value::to_text))
            .collect::<Vec<_>>()
            .join(" ");
        let name = render::cut(&name, name_width);
        for (property, wanted) in &result.wanted {
            let before = row.before.get(property).map(value::to_text).unwrap_or_default();
            let after = render::cut(&value::to_text(wanted), after_width);
            table.push(vec![name.clone(), property.to_string(), before, after]);
        }
    }
    render::print_table(&table)
}

/// How easily a row's values are carried: least those with letters beyond ASCII, then those with marks that mean something to
/// scripts, queries or markup.
fn ease(row: &Row) -> (bool, bool) {
    let has = |is_hard: fn(char) -> bool| {
        row.inputs.values().map(value::to_text).any(|text| text.contains(is_hard))
    };
    (!has(|each| !each.is_ascii()), !has(|each| matches!(each, '\'' | '"' | '`' | '&')))
}

/// Room for what is to be typed; the two lines about the store are longer.
const TYPED_WIDTH: usize = 53;

fn say_what_next(scene: &Scene, keeps: bool) {
    let Scene { command, account, guide: (page, purpose), .. } = scene;
    let (config, plan) = (kept(scene.files.config), kept(scene.files.plan));
    let infill = format!("infill --config {}", config.display());
    let as_csv = format!("{infill} rows latest --format csv");
    say!("What to type next:");
    say_hint(&format!("{infill} runs"), as_csv.len(), "both runs");
    say_hint(&as_csv, as_csv.len(), "every row with its outcome");
    let hint = |typed: &str, meaning: &str| say_hint(typed, TYPED_WIDTH, meaning);
    hint(&format!("$EDITOR {}; {command}", plan.display()), "change the plan, see what happens");
    hint("infill schema > plan.schema.json", "completion and checks in your editor");
    if !keeps {
        hint(&format!("{command} --keep"), &format!("leave the {account} up and look at it"));
    }
    hint(page, purpose);
    say!("(`cargo run --release --` in place of `infill`, if it is not installed)");
}

fn say_hint(typed: &str, width: usize, meaning: &str) {
    say!("  {typed:<width$}  {meaning}");
}

async fn keep(parts: &Parts, scene: &Scene, account: &Account, run: &Run) -> anyhow::Result<()> {
    let batches = parts.store.batches(run.id, None, 1).await?;
    let record = batches.first().and_then(|batch| batch.rows.first()).map(|row| row.record.to_string());
    let (base, token) = (account.base_url(), account.token());
    say!("\nThe {} stays up until Ctrl-C. Look at it:", scene.account);
    if let Some(record) = record {
        say!("  curl -H '{} {token}' \\\n    '{base}{}'", scene.login, scene.look.replace("RECORD", &record));
    }
    say!("  curl '{base}/_admin/report'");
    let stop = tokio_util::sync::CancellationToken::new();
    stop_on_signal(&stop, || {})?;
    stop.cancelled().await;
    Ok(())
}
