//! Chores of the repository: `cargo xtask test`, `cargo xtask services`, `cargo xtask layout`, `cargo xtask bench`.
//!
//! Decides where the services of a test run come from and installs what is missing; starting them is the testkit's.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

mod bench;
mod document;
mod install;
mod layout;
mod services;
mod test;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use tokio::runtime::Handle;

/// Chores of the repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs every test against a real RabbitMQ and PostgreSQL, found or started for the run.
    Test {
        /// Arguments for `cargo test`, after `--`: `cargo xtask test -- -p infill-store rows`.
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Keeps both services up until Ctrl-C and prints the variables that name them, for plain `cargo test`.
    Services,
    /// Measures the real programs against the simulator and prints what was promised next to what was seen.
    Bench {
        /// The parts to measure; all of them when none is named.
        parts: Vec<bench::Part>,
    },
    /// Checks who depends on whom, and that documents speak of what exists.
    Layout,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = match Args::parse().command {
        Command::Test { args } => test::test(&args).await,
        Command::Services => test::keep_services().await,
        Command::Bench { parts } => run_bench(parts).await,
        Command::Layout => check_layout(),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run_bench(parts: Vec<bench::Part>) -> anyhow::Result<ExitCode> {
    let services = services::Services::have().await?;
    let mut interrupt = test::Interrupt::listen()?;
    let site = bench::Site::new(&services.amqp_url, &services.database_url, Handle::current());
    let (root, on_site) = (root()?, site.clone());
    // It waits for processes, and takes away what it made on its way out, so it is never just dropped.
    let mut measuring = tokio::task::spawn_blocking(move || bench::bench(&root, on_site, &parts));
    let measured = tokio::select! {
        measured = &mut measuring => measured,
        () = interrupt.came() => {
            site.interrupt();
            measuring.await
        }
    };
    services.end().await?;
    measured.context("the benchmark broke")?.map(|()| ExitCode::SUCCESS)
}

fn check_layout() -> anyhow::Result<ExitCode> {
    let mut faults = layout::check()?;
    faults.extend(document::check(&root()?)?);
    for fault in &faults {
        eprintln!("{fault}");
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The top of the repository.
fn root() -> anyhow::Result<PathBuf> {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(xtask.parent().context("xtask has no parent directory")?.to_owned())
}
