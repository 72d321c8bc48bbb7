//! `cargo xtask bench`: runs the real programs as separate processes against the simulator and prints what the product promises next
//! to what was seen. Ratios come from one run on one machine; absolute figures are the machine's.

#![expect(clippy::disallowed_methods, reason = "it measures wall time from outside of any runtime")]

mod case;
mod crm;
mod portal;
mod process;
mod site;
mod table;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::bail;

use self::case::{Case, Pair};
use self::crm::{Crm, HUBSPOT, PIPEDRIVE, SALESFORCE, SALESFORCE_BULK};
use self::portal::Portal;
use self::process::{Program, Used};
pub(crate) use self::site::Site;
use self::table::{Bound, Table};

/// Calls and batches at once, of the worker and of the bare loop alike.
const CONCURRENCY: usize = 16;

const ONE_WORKER: Pair = Pair::Distributed { workers: 1 };

/// Rows of the large runs, of the small ones, and of those under HubSpot's limits.
const LARGE: u64 = 100_000;
const SMALL: u64 = 10_000;
const LIMITED: u64 = 20_000;

/// Rows of the smaller of the two runs that compare CRMs, the other being twice as large; and of Pipedrive's under its limits: at
/// a call for each record they are spent soon.
const COMPARED: u64 = 10_000;
const LIMITED_PIPEDRIVE: u64 = 2_000;

/// What a run showed.
struct Seen {
    rows: u64,
    calls: u64,
    /// What was spent of the day, where that is not calls.
    units: Option<u64>,
    refused: u64,
    seconds: f64,
    /// Of all Infill processes together.
    used: Used,
    /// The largest of any one process.
    peak_mb: f64,
    /// Stage messages published, where the pair tells.
    messages: Option<u64>,
    /// Share of the allowance used while there was work, under a limit.
    share: Option<f64>,
}

/// A part of the benchmark that stands by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// Large runs on HubSpot without limits, beside a bare loop.
    Large,
    /// How much of an allowance is used.
    Limits,
    /// What a thousand rows cost on each CRM.
    Crms,
    /// A large run on Salesforce by jobs.
    Jobs,
}

/// Runs these parts of the benchmark, or all when there are none, and prints its table.
pub(crate) fn bench(root: &Path, site: Site, parts: &[Part]) -> anyhow::Result<()> {
    let programs = Programs::build(root, site)?;
    let mut table = Table::new();
    let is_wanted = |part| parts.is_empty() || parts.contains(&part);
    if is_wanted(Part::Large) {
        large(&mut table, &programs)?;
    }
    if is_wanted(Part::Limits) {
        for pair in [Pair::Embedded, ONE_WORKER, Pair::Distributed { workers: 4 }] {
            pace(&mut table, &programs, &Case::of(&HUBSPOT, pair, LIMITED).limited(), 0.97)?;
        }
        let pipedrive = Case::of(&PIPEDRIVE, Pair::Embedded, LIMITED_PIPEDRIVE).limited();
        pace(&mut table, &programs, &pipedrive, 0.85)?;
    }
    if is_wanted(Part::Crms) {
        for crm in [&HUBSPOT, &SALESFORCE, &PIPEDRIVE] {
            compare(&mut table, &programs, crm)?;
        }
    }
    if is_wanted(Part::Jobs) {
        by_jobs(&mut table, &programs, &SALESFORCE_BULK)?;
    }
    table.print();
    Ok(())
}

/// Large runs and small ones on both engine pairs, as fast as they go, beside a loop that does nothing but the calls.
fn large(table: &mut Table, programs: &Programs) -> anyhow::Result<()> {
    eprintln!("bare loop, {LARGE} rows");
    let bare = programs.bare_loop(LARGE)?;
    table.row("rows/s", "bare loop, 100,000 rows", per_second(&bare), Bound::None);
    table.row("CPU s per 10,000 rows", "bare loop", cpu(&bare), Bound::None);

    for (pair, most_time, most_cpu) in [(Pair::Embedded, 1.5, 0.30), (ONE_WORKER, 2.5, 0.45)] {
        let small = programs.run(&Case::of(&HUBSPOT, pair, SMALL))?;
        let large = programs.run(&Case::of(&HUBSPOT, pair, LARGE))?;
        let label = pair.label();
        table.row("rows/s", &format!("{label}, 100,000 rows"), per_second(&large), Bound::None);
        table.row(
            "time over the bare loop's",
            &label,
            large.seconds / bare.seconds,
            Bound::AtMost(most_time),
        );
        table.row(
            "CPU s per 10,000 rows",
            &format!("{label}, of 10,000"),
            cpu(&small),
            Bound::AtMost(most_cpu),
        );
        table.row(
            "CPU s per 10,000 rows",
            &format!("{label}, of 100,000"),
            cpu(&large),
            Bound::AtMost(most_cpu),
        );
        // Calls for rows alone: a run also looks at the account, the catalog and the list, and has its canary.
        let for_rows = per_thousand(large.calls - small.calls, large.rows - small.rows);
        table.row("calls per 1,000 rows", &label, for_rows, Bound::AtMost(34.0));
        let besides = as_float(large.calls) - for_rows * as_float(large.rows) / 1_000.0;
        table.row("calls of a run besides", &label, besides, Bound::None);
        if let Some(messages) = large.messages {
            table.row(
                "messages per 1,000 rows",
                &label,
                per_thousand(messages, large.rows),
                Bound::AtMost(25.0),
            );
        }
        table.row("peak memory, MB", &format!("{label}, 10,000 rows"), small.peak_mb, Bound::AtMost(150.0));
        table.row(
            "peak memory, MB",
            &format!("{label}, 100,000 rows"),
            large.peak_mb,
            Bound::AtMost((small.peak_mb + 20.0).min(150.0)),
        );
        let growth = (large.seconds / as_float(large.rows)) / (small.seconds / as_float(small.rows));
        table.row("time per row, 100,000 over 10,000", &label, growth, Bound::AtMost(1.15));
    }
    Ok(())
}

/// How much of the allowance is used while there is work, and whether more was asked for.
fn pace(table: &mut Table, programs: &Programs, case: &Case, least: f64) -> anyhow::Result<()> {
    let seen = programs.run(case)?;
    let label = format!("{}, {}", case.crm.name, case.pair.label());
    if let Some(share) = seen.share {
        table.row("share of the allowance used", &label, share, Bound::AtLeast(least));
    }
    table.row("calls refused with 429", &label, as_float(seen.refused), Bound::AtMost(0.0));
    Ok(())
}

/// What a thousand rows cost on each CRM: pulled, guarded, written and verified.
fn compare(table: &mut Table, programs: &Programs, crm: &'static Crm) -> anyhow::Result<()> {
    let run = |rows| programs.run(&Case::of(crm, Pair::Embedded, rows).guarded());
    let (small, large) = (run(COMPARED)?, run(2 * COMPARED)?);
    let rows = large.rows - small.rows;
    let for_rows = per_thousand(large.calls - small.calls, rows);
    table.row("calls per 1,000 rows, guarded", crm.name, for_rows, crm.most_calls);
    if let (Some(small), Some(large), Some(unit)) = (small.units, large.units, crm.unit) {
        let figure = format!("{unit} per 1,000 rows, guarded");
        table.row(&figure, crm.name, per_thousand(large - small, rows), Bound::None);
    }
    let seconds = large.seconds * 1_000.0 / as_float(large.rows);
    table.row("seconds per 1,000 rows, guarded", crm.name, seconds, Bound::None);
    Ok(())
}

/// What a large run costs where it goes by jobs, everything that it asks besides included: a job is not split up by the thousand.
fn by_jobs(table: &mut Table, programs: &Programs, crm: &'static Crm) -> anyhow::Result<()> {
    let seen = programs.run(&Case::of(crm, Pair::Embedded, LARGE).guarded())?;
    let calls = per_thousand(seen.calls, seen.rows);
    table.row("calls per 1,000 rows, guarded", crm.name, calls, crm.most_calls);
    table.row(
        "seconds per 1,000 rows, guarded",
        crm.name,
        seen.seconds * 1_000.0 / as_float(seen.rows),
        Bound::None,
    );
    table.row("peak memory, MB", &format!("{}, 100,000 rows", crm.name), seen.peak_mb, Bound::AtMost(150.0));
    Ok(())
}

fn per_second(seen: &Seen) -> f64 {
    as_float(seen.rows) / seen.seconds
}

fn per_thousand(count: u64, rows: u64) -> f64 {
    as_float(count) * 1_000.0 / as_float(rows)
}

fn cpu(seen: &Seen) -> f64 {
    seen.used.cpu.as_secs_f64() * 10_000.0 / as_float(seen.rows)
}

/// Counts of a benchmark are far below the 2^53 that a float holds exactly.
#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are small")]
fn as_float(count: u64) -> f64 {
    count as f64
}

/// The release builds that are measured.
struct Programs {
    infill: PathBuf,
    bare_loop: PathBuf,
    folder: PathBuf,
    site: Site,
}

impl Programs {
    fn build(root: &Path, site: Site) -> anyhow::Result<Self> {
        let cargo = |args: &[&str]| -> anyhow::Result<()> {
            let built = std::process::Command::new("cargo").args(args).current_dir(root).status()?;
            if built.success() { Ok(()) } else { bail!("cargo {args:?} failed") }
        };
        cargo(&["build", "--release", "--package", "infill-cli"])?;
        cargo(&["build", "--release", "--package", "infill-crm", "--example", "bare_loop"])?;
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let release = target.join("release");
        let folder = target.join("bench");
        std::fs::create_dir_all(&folder)?;
        Ok(Self {
            infill: release.join("infill"),
            bare_loop: release.join("examples/bare_loop"),
            folder,
            site,
        })
    }

    fn start(&self, name: &str, command: std::process::Command) -> anyhow::Result<Program> {
        Program::start(name, command, &self.site, &self.folder)
    }

    fn bare_loop(&self, rows: u64) -> anyhow::Result<Seen> {
        let portal =
            Portal::start(&self.infill, &self.site, &self.folder, &HUBSPOT, HUBSPOT.unlimited.tier, rows)?;
        let concurrency = CONCURRENCY.to_string();
        let mut command = std::process::Command::new(&self.bare_loop);
        command.args([portal.base_url(), HUBSPOT.token, "42", &concurrency]);
        let started = Instant::now();
        let used = Program::start("bare-loop", command, &self.site, &self.folder)?.wait()?;
        let seconds = started.elapsed().as_secs_f64();
        let report = portal.report()?;
        Ok(Seen {
            rows,
            calls: report.calls,
            units: report.units,
            refused: report.refused,
            seconds,
            peak_mb: used.peak_mb,
            used,
            messages: None,
            share: None,
        })
    }

    fn run(&self, case: &Case) -> anyhow::Result<Seen> {
        case.announce();
        let Case { crm, pair, rows, .. } = *case;
        let portal = Portal::start(&self.infill, &self.site, &self.folder, crm, case.limits().tier, rows)?;
        let world = World::new(self, &portal, case)?;
        let mut crew = Vec::new();
        if let Pair::Distributed { workers } = pair {
            crew.push(self.start("planner", world.infill(&["planner"]))?);
            for no in 0..workers {
                let mut worker = world.infill(&["worker"]);
                worker.env("INFILL_SERVER_LISTEN", world.metrics_address(no));
                crew.push(self.start(&format!("worker-{no}"), worker)?);
            }
            world.wait_for_workers(workers)?;
        }
        let before: Used = crew.iter().map(Program::used).sum();
        let started = Instant::now();
        let run = self.start("run", world.infill(&["run", "plan.yaml", "--all"]))?;
        let pace = case.burst.map(|_| portal.watch_pace(&run)).transpose()?;
        let used = run.wait()?;
        let seconds = started.elapsed().as_secs_f64();
        let messages =
            matches!(pair, Pair::Distributed { .. }).then(|| world.messages(crew.len() - 1)).transpose()?;
        let mut all = used;
        let mut peak_mb = if crew.is_empty() { used.peak_mb } else { 0.0 };
        for (no, program) in crew.into_iter().enumerate() {
            let one = program.stop()?;
            // The worker is what is promised to stay small; the planner is the first of the crew.
            if no > 0 {
                peak_mb = f64::max(peak_mb, one.peak_mb);
            }
            all = all + one;
        }
        all = all.since(before);
        let report = portal.report()?;
        let share = pace.zip(case.burst).map(|(pace, burst)| pace.share(burst));
        Ok(Seen {
            rows,
            calls: report.calls,
            units: report.units,
            refused: report.refused,
            seconds,
            used: all,
            peak_mb,
            messages,
            share,
        })
    }
}

/// The folder of one run, with configuration, plan and store; on the distributed pair a schema and queues. All goes when it is
/// dropped, and the logs stay.
struct World {
    name: String,
    site: Site,
    pair: Pair,
    folder: PathBuf,
    infill: PathBuf,
    env: Vec<(String, String)>,
}

impl World {
    fn new(programs: &Programs, portal: &Portal, case: &Case) -> anyhow::Result<Self> {
        let name = format!("bench_{}_{}", std::process::id(), portal.port());
        let folder = programs.folder.join(&name);
        std::fs::create_dir_all(&folder)?;
        let engine = match case.pair {
            Pair::Embedded => "[store]\npath = \"infill.db\"\n".to_owned(),
            Pair::Distributed { .. } => format!(
                "[engine]\nkind = \"distributed\"\n[store]\nschema = \"{name}\"\n[broker]\nprefix = \"{name}\"\n"
            ),
        };
        let config = format!(
            "{engine}[worker]\nconcurrency = {CONCURRENCY}\nbatches_in_flight = {CONCURRENCY}\n[server]\nlisten = \"\"\n\
             [connections.main]\ncrm = \"{}\"\ntoken_env = \"BENCH_TOKEN\"\nbase_url = \"{}\"\n{}",
            case.crm.word,
            portal.base_url(),
            case.limits().connection
        );
        std::fs::write(folder.join("infill.toml"), config)?;
        std::fs::write(folder.join("plan.yaml"), case.crm.plan(case.care))?;
        let site = programs.site.clone();
        let env = [
            ("BENCH_TOKEN", case.crm.token),
            ("INFILL_AMQP_URL", &site.amqp_url),
            ("INFILL_DATABASE_URL", &site.database_url),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Ok(Self { name, site, pair: case.pair, folder, infill: programs.infill.clone(), env })
    }

    fn infill(&self, args: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(&self.infill);
        command.args(args).current_dir(&self.folder).envs(self.env.iter().cloned());
        command.env("INFILL_CONFIG", self.folder.join("infill.toml")).env("INFILL_LOG", "warn");
        command
    }

    fn metrics_address(&self, worker: usize) -> String {
        format!("127.0.0.1:{}", 19_460 + worker)
    }

    fn wait_for_workers(&self, workers: usize) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        for no in 0..workers {
            while portal::get(&self.metrics_address(no), "/readyz").is_err() {
                if Instant::now() > deadline {
                    bail!("worker {no} did not become ready");
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }

    fn messages(&self, workers: usize) -> anyhow::Result<u64> {
        let mut messages = 0;
        for no in 0..workers {
            let metrics = portal::get(&self.metrics_address(no), "/metrics")?;
            messages += metrics
                .lines()
                .filter(|line| line.starts_with("infill_broker_messages_published_total"))
                .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
                .map(as_count)
                .sum::<u64>();
        }
        // The planner publishes the first message of a run.
        Ok(messages + 1)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if matches!(self.pair, Pair::Distributed { .. }) {
            self.site.forget(&self.name);
        }
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            eprintln!("warning: {} is left behind: {error}", self.folder.display());
        }
    }
}

/// A counter printed as a float, whole by nature.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a counter is whole and not negative"
)]
fn as_count(counter: f64) -> u64 {
    counter as u64
}
