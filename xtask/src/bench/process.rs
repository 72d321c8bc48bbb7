//! A measured process: CPU time and peak memory from `/proc`, read to the very end of its life.

use std::iter::Sum;
use std::ops::Add;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};

use super::site::Site;

/// Linux counts CPU time of processes in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;

/// Between two looks at a process's memory.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a process used.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Used {
    pub(super) cpu: Duration,
    pub(super) peak_mb: f64,
}

impl Used {
    /// What was used after `before` was taken; peaks are not differences.
    pub(super) fn since(self, before: Self) -> Self {
        Self { cpu: self.cpu.saturating_sub(before.cpu), ..self }
    }
}

impl Add for Used {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { cpu: self.cpu + other.cpu, peak_mb: f64::max(self.peak_mb, other.peak_mb) }
    }
}

impl Sum for Used {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

/// A running program; killed when dropped.
pub(super) struct Program {
    name: String,
    child: Child,
    peak_kb: Arc<AtomicU64>,
    site: Site,
}

impl Program {
    /// Starts it; what it prints goes to a file of the folder.
    pub(super) fn start(
        name: &str,
        mut command: Command,
        site: &Site,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let log = std::fs::File::create(folder.join(format!("{name}.log")))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("start {name}"))?;
        let peak_kb = Arc::new(AtomicU64::new(0));
        let (pid, peak) = (child.id(), Arc::clone(&peak_kb));
        std::thread::spawn(move || {
            while let Some(kb) = peak_memory(pid) {
                peak.fetch_max(kb, Ordering::Relaxed);
                std::thread::sleep(LOOK_EVERY);
            }
        });
        Ok(Self { name: name.to_owned(), child, peak_kb, site: site.clone() })
    }

    /// What it used so far.
    pub(super) fn used(&self) -> Used {
        let cpu = stat(self.child.id()).map_or(Duration::ZERO, |stat| stat.cpu);
        let peak_kb = self.peak_kb.load(Ordering::Relaxed);
        Used { cpu, peak_mb: f64::from(u32::try_from(peak_kb).unwrap_or(u32::MAX)) / 1024.0 }
    }

    /// Whether it has not ended, and is still to be waited for.
    pub(super) fn is_running(&self) -> bool {
        !self.site.is_interrupted() && stat(self.child.id()).is_some_and(|stat| !stat.is_zombie)
    }

    /// Waits for its end.
    pub(super) fn wait(mut self) -> anyhow::Result<Used> {
        while self.is_running() {
            std::thread::sleep(LOOK_EVERY / 4);
        }
        if self.site.is_interrupted() {
            bail!("interrupted");
        }
        // Its times can be read until it is waited for.
        let used = self.used();
        let status = self.child.wait()?;
        if !status.success() {
            bail!("{} ended with {status}; see its log under target/bench", self.name);
        }
        Ok(used)
    }

    /// Asks it to end and waits.
    pub(super) fn stop(self) -> anyhow::Result<Used> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        self.wait()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended long ago.
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

struct Stat {
    cpu: Duration,
    is_zombie: bool,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything, so fields are counted from its end: state is the first, times the 12th and 13th.
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let is_zombie = fields.next()? == "Z";
    let user: f64 = fields.nth(10)?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some(Stat { cpu: Duration::from_secs_f64((user + system) / TICKS_PER_SECOND), is_zombie })
}

/// Peak resident memory in kB; `None` once the process has ended.
fn peak_memory(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}
