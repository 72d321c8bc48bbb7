//! `cargo xtask bench`: runs the real programs as separate processes against the simulator and prints what the product promises next
//! to what was seen. Ratios come from one run on one machine; absolute figures are the machine's.

#![expect(clippy::disallowed_methods, reason = "it measures wall time from outside of any runtime")]

mod portal;
mod process;
mod table;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::bail;

use self::portal::Portal;
use self::process::{Program, Used};
use self::table::{Bound, Table};
use crate::services::Services;

/// Calls and batches at once, of the worker and of the bare loop alike.
const CONCURRENCY: usize = 16;

/// Rows of the large runs, of the small ones, and of those under HubSpot's limits.
const LARGE: u64 = 100_000;
const SMALL: u64 = 10_000;
const LIMITED: u64 = 20_000;

/// HubSpot's burst limit.
const CALLS_PER_WINDOW: u64 = 190;
const WINDOW: Duration = Duration::from_secs(10);

/// Which engine pair a figure is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pair {
    Embedded,
    Distributed { workers: usize },
}

impl Pair {
    fn label(self) -> String {
        match self {
            Self::Embedded => "embedded".into(),
            Self::Distributed { workers: 1 } => "distributed, 1 worker".into(),
            Self::Distributed { workers } => format!("distributed, {workers} workers"),
        }
    }
}

/// What a run showed.
struct Seen {
    rows: u64,
    calls: u64,
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

/// Runs the benchmark and prints its table.
pub(crate) fn bench(root: &Path, services: &Services) -> anyhow::Result<()> {
    let programs = Programs::build(root)?;
    let one = Pair::Distributed { workers: 1 };
    let mut table = Table::new();

    eprintln!("bare loop, {LARGE} rows");
    let bare = programs.bare_loop(LARGE)?;
    table.row("rows/s", "bare loop, 100,000 rows", per_second(&bare), Bound::None);

    for (pair, most_time, most_cpu) in [(Pair::Embedded, 1.5, 0.30), (one, 2.5, 0.45)] {
        eprintln!("{}, {SMALL} rows", pair.label());
        let small = programs.run(pair, services, SMALL, None)?;
        eprintln!("{}, {LARGE} rows", pair.label());
        let large = programs.run(pair, services, LARGE, None)?;
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
        table.row(
            "calls per 1,000 rows",
            &format!("{label}, of 100,000"),
            per_thousand(large.calls, &large),
            Bound::AtMost(34.0),
        );
        if let Some(messages) = large.messages {
            table.row("messages per 1,000 rows", &label, per_thousand(messages, &large), Bound::AtMost(25.0));
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

    for pair in [Pair::Embedded, one, Pair::Distributed { workers: 4 }] {
        eprintln!("{}, {LIMITED} rows at {CALLS_PER_WINDOW} calls per 10 s", pair.label());
        let limited = programs.run(pair, services, LIMITED, Some(CALLS_PER_WINDOW))?;
        let label = pair.label();
        if let Some(share) = limited.share {
            table.row("share of the allowance used", &label, share, Bound::AtLeast(0.97));
        }
        table.row("calls refused with 429", &label, as_float(limited.refused), Bound::AtMost(0.0));
    }
    table.print();
    Ok(())
}

fn per_second(seen: &Seen) -> f64 {
    as_float(seen.rows) / seen.seconds
}

fn per_thousand(count: u64, seen: &Seen) -> f64 {
    as_float(count) * 1_000.0 / as_float(seen.rows)
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
}

impl Programs {
    fn build(root: &Path) -> anyhow::Result<Self> {
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
        Ok(Self { infill: release.join("infill"), bare_loop: release.join("examples/bare_loop"), folder })
    }

    fn bare_loop(&self, rows: u64) -> anyhow::Result<Seen> {
        let portal = Portal::start(&self.infill, &self.folder, rows, false)?;
        let concurrency = CONCURRENCY.to_string();
        let mut command = std::process::Command::new(&self.bare_loop);
        command.args([portal.base_url(), portal::TOKEN, "42", &concurrency]);
        let started = Instant::now();
        let used = Program::start("bare-loop", command, &self.folder)?.wait()?;
        let seconds = started.elapsed().as_secs_f64();
        let report = portal.report()?;
        Ok(Seen {
            rows,
            calls: report.calls,
            refused: report.refused,
            seconds,
            peak_mb: used.peak_mb,
            used,
            messages: None,
            share: None,
        })
    }

    fn run(&self, pair: Pair, services: &Services, rows: u64, limit: Option<u64>) -> anyhow::Result<Seen> {
        let portal = Portal::start(&self.infill, &self.folder, rows, limit.is_some())?;
        let world = World::new(self, pair, services, &portal, limit)?;
        let mut crew = Vec::new();
        if let Pair::Distributed { workers } = pair {
            crew.push(Program::start("planner", world.infill(&["planner"]), &self.folder)?);
            for no in 0..workers {
                let mut worker = world.infill(&["worker"]);
                worker.env("INFILL_SERVER_LISTEN", world.metrics_address(no));
                crew.push(Program::start(&format!("worker-{no}"), worker, &self.folder)?);
            }
            world.wait_for_workers(workers)?;
        }
        let before: Used = crew.iter().map(Program::used).sum();
        let started = Instant::now();
        let run = Program::start("run", world.infill(&["run", "plan.yaml", "--all"]), &self.folder)?;
        let pace = limit.map(|_| portal.watch_pace(&run)).transpose()?;
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
        let share = pace.map(|pace| pace.share(CALLS_PER_WINDOW, WINDOW));
        Ok(Seen {
            rows,
            calls: report.calls,
            refused: report.refused,
            seconds,
            used: all,
            peak_mb,
            messages,
            share,
        })
    }
}

/// The folder of one run: configuration, plan, store.
struct World {
    folder: PathBuf,
    infill: PathBuf,
    env: Vec<(String, String)>,
}

const PLAN: &str = r#"
name: Benchmark
connection: main
source: { object: contacts, list: "42" }
inputs: [firstname, jobtitle, phone]
chain:
  - id: has_name
    action: filter
    inputs: { path_conditions: [{ variable: "{{input.firstname}}", operator: is not empty }] }
  - id: note
    action: format_data_using_js_expression
    inputs: { data_formatter: 'return "Hello " + {{input.firstname}}.trim() + ", " + {{input.jobtitle}};' }
writeback:
  properties: [{ name: hs_cross_account_note, value: "{{note.formatted_data}}" }]
  if_changed: overwrite
"#;

impl World {
    fn new(
        programs: &Programs,
        pair: Pair,
        services: &Services,
        portal: &Portal,
        limit: Option<u64>,
    ) -> anyhow::Result<Self> {
        let name = format!("bench_{}_{}", std::process::id(), portal.port());
        let folder = programs.folder.join(&name);
        std::fs::create_dir_all(&folder)?;
        let engine = match pair {
            Pair::Embedded => "[store]\npath = \"infill.db\"\n".to_owned(),
            Pair::Distributed { .. } => format!(
                "[engine]\nkind = \"distributed\"\n[store]\nschema = \"{name}\"\n[broker]\nprefix = \"{name}\"\n"
            ),
        };
        let limit = limit.map_or_else(|| "\"unlimited\"".to_owned(), |calls| calls.to_string());
        let config = format!(
            "{engine}[worker]\nconcurrency = {CONCURRENCY}\nbatches_in_flight = {CONCURRENCY}\n[server]\nlisten = \"\"\n\
             [connections.main]\ncrm = \"hubspot\"\ntoken_env = \"BENCH_TOKEN\"\nbase_url = \"{}\"\ncalls_per_10_seconds = {limit}\n",
            portal.base_url()
        );
        std::fs::write(folder.join("infill.toml"), config)?;
        std::fs::write(folder.join("plan.yaml"), PLAN)?;
        let env = [
            ("BENCH_TOKEN", portal::TOKEN),
            ("INFILL_AMQP_URL", &services.amqp_url),
            ("INFILL_DATABASE_URL", &services.database_url),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Ok(Self { folder, infill: programs.infill.clone(), env })
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

/// A counter printed as a float, whole by nature.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a counter is whole and not negative"
)]
fn as_count(counter: f64) -> u64 {
    counter as u64
}
