//! Running the tests, and cleaning up after them however they end.

use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context;
use infill_testkit::services::{AMQP_URL, DATABASE_URL, SERVICES_DIR};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::services::Services;

/// How long interrupted tests may take to end by themselves.
const GRACE: Duration = Duration::from_secs(10);

/// The variable that tells Rust's test programs how many tests to run at once.
const TEST_THREADS: &str = "RUST_TEST_THREADS";

/// What a shell reports of a program ended by Ctrl-C: 128 and the signal's number.
const INTERRUPTED: u8 = 130;

/// Finds or starts the services, runs `cargo test --workspace` with `args`, and ends what it started, also on Ctrl-C
/// and SIGTERM.
pub(crate) async fn test(args: &[String]) -> anyhow::Result<ExitCode> {
    let mut interrupt = Interrupt::listen()?;
    let services = tokio::select! {
        services = Services::have() => services?,
        () = interrupt.came() => return Ok(ExitCode::from(INTERRUPTED)),
    };
    let mut command = Command::new(env!("CARGO"));
    command.arg("test");
    if !names_packages(args) {
        command.arg("--workspace");
    }
    command
        .args(args)
        .env(AMQP_URL, &services.amqp_url)
        .env(DATABASE_URL, &services.database_url)
        .env(SERVICES_DIR, services.dir())
        .env(TEST_THREADS, test_threads().to_string())
        .stdin(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    let mut tests = command.spawn().context("start cargo test")?;
    let status = tokio::select! {
        status = tests.wait() => Some(status.context("wait for cargo test")?),
        () = interrupt.came() => None,
    };
    if status.is_none() {
        end(&mut tests).await;
    }
    services.end().await?;
    Ok(status.map_or(ExitCode::from(INTERRUPTED), exit_code))
}

/// Tests at once: most of what an end-to-end test does is waiting for processes of its own.
fn test_threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get).saturating_mul(2)
}

/// Whether the caller chose packages; else all are tested.
fn names_packages(args: &[String]) -> bool {
    let of_cargo = args.iter().take_while(|arg| *arg != "--");
    of_cargo
        .into_iter()
        .any(|arg| arg.starts_with("-p") || arg.starts_with("--package") || arg == "--manifest-path")
}

/// Keeps the services up until Ctrl-C.
pub(crate) async fn keep_services() -> anyhow::Result<ExitCode> {
    let mut interrupt = Interrupt::listen()?;
    let services = tokio::select! {
        services = Services::have() => services?,
        () = interrupt.came() => return Ok(ExitCode::from(INTERRUPTED)),
    };
    println!("export {AMQP_URL}='{}'", services.amqp_url);
    println!("export {DATABASE_URL}='{}'", services.database_url);
    eprintln!("both are up until Ctrl-C");
    interrupt.came().await;
    services.end().await?;
    Ok(ExitCode::SUCCESS)
}

/// Ends cargo and the test binaries under it.
async fn end(tests: &mut Child) {
    let Some(group) = tests.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) else {
        return;
    };
    // Whoever has ended already need not be told.
    kill_process_group(group, Signal::INT).ok();
    if tokio::time::timeout(GRACE, tests.wait()).await.is_err() {
        kill_process_group(group, Signal::KILL).ok();
    }
}

fn exit_code(status: ExitStatus) -> ExitCode {
    if status.success() {
        return ExitCode::SUCCESS;
    }
    status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// Ctrl-C and SIGTERM.
pub(crate) struct Interrupt {
    ctrl_c: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Interrupt {
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("listen to signals");
        Ok(Self { ctrl_c: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    pub(crate) async fn came(&mut self) {
        tokio::select! {
            _ = self.ctrl_c.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_packages_are_tested_unless_some_are_named() {
        let named =
            |args: &str| names_packages(&args.split_whitespace().map(String::from).collect::<Vec<_>>());
        assert!(!named("rows -- -p"));
        assert!(named("-p infill-store rows"));
        assert!(named("--package=infill-store"));
    }
}
