//! The simulated portal of a benchmark (or what another CRM calls it), as a process of its own, and looking at it over HTTP.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;

use super::as_float;
use super::crm::{Burst, Crm};
use super::process::Program;
use super::site::Site;

/// Between two looks at how far a run is.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A running portal.
pub(super) struct Portal {
    port: u16,
    base_url: String,
    _program: Program,
}

/// What a portal counted.
pub(super) struct Report {
    pub(super) calls: u64,
    pub(super) refused: u64,
    /// What was spent of the day, where that is not calls.
    pub(super) units: Option<u64>,
}

impl Portal {
    /// Starts one with so many made-up records, all of which the plan selects, under the limits of a tier.
    pub(super) fn start(
        infill: &Path,
        site: &Site,
        folder: &Path,
        crm: &Crm,
        tier: &str,
        rows: u64,
    ) -> anyhow::Result<Self> {
        // Asking the system for a free port and letting it go again is as near as a program's argument can come.
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = std::process::Command::new(infill);
        command.args(["sim", crm.word, "--limit", tier]);
        command.args(["--port", &port.to_string(), "--generate", &rows.to_string()]);
        let program = Program::start("portal", command, site, folder)?;
        let portal = Self { port, base_url: format!("http://127.0.0.1:{port}"), _program: program };
        let deadline = Instant::now() + Duration::from_secs(60);
        while portal.report().is_err() {
            if Instant::now() > deadline {
                bail!("the simulator does not answer on port {port}");
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(portal)
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn base_url(&self) -> &str {
        &self.base_url
    }

    pub(super) fn report(&self) -> anyhow::Result<Report> {
        let report: Value =
            serde_json::from_str(&get(&format!("127.0.0.1:{}", self.port), "/_admin/report")?)?;
        let calls = report.get("calls").and_then(Value::as_object).context("the report counts calls")?;
        let sum = |key: &str| calls.values().filter_map(|calls| calls.get(key)?.as_u64()).sum();
        let units = report.pointer("/tokens/total").and_then(Value::as_u64);
        Ok(Report { calls: sum("received"), refused: sum("throttled"), units })
    }

    /// Watches how many calls arrive while a program runs.
    pub(super) fn watch_pace(&self, program: &Program) -> anyhow::Result<Pace> {
        let mut looks = Vec::new();
        let mut started = None;
        while program.is_running() {
            let calls = self.report()?.calls;
            if calls > 0 {
                let start = *started.get_or_insert_with(Instant::now);
                looks.push((start.elapsed(), calls));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(Pace { looks })
    }
}

/// Calls that had arrived, by the time since the first.
pub(super) struct Pace {
    looks: Vec<(Duration, u64)>,
}

impl Pace {
    /// The share of the allowance used in the full windows from the first call on; the last window, in which the work ended, does not
    /// count.
    pub(super) fn share(&self, burst: &Burst) -> f64 {
        let total = self.looks.last().map_or(Duration::ZERO, |(at, _)| *at);
        let full = total.as_secs() / burst.window.as_secs();
        let end = burst.window * u32::try_from(full).unwrap_or(0);
        let calls = self.looks.iter().take_while(|(at, _)| *at < end).last().map_or(0, |(_, calls)| *calls);
        as_float(calls) / as_float((burst.calls * full).max(1))
    }
}

/// `GET http://ADDRESS PATH`.
pub(super) fn get(address: &str, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address).with_context(|| format!("connect to {address}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an HTTP answer")?;
    if !head.starts_with("HTTP/1.1 200") {
        bail!("{address}{path} answered {}", head.lines().next().unwrap_or_default());
    }
    Ok(body.to_owned())
}
