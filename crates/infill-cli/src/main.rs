//! `infill`: enriches CRM records in place and proves it by reading them back.
//!
//! The only crate that names engines and vendors: `args` parses, `config` resolves, `compose` builds, `command`
//! calls, `render` prints.
#![expect(
    clippy::print_stderr,
    reason = "progress and errors go to stderr; results go to stdout through `render`"
)]

mod actor;
mod age;
mod args;
mod command;
mod compose;
mod config;
mod exit;
mod progress;
mod render;
#[cfg(test)]
mod sample;
mod summary;
mod supply;
mod view;

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use infill_telemetry::{chain, init_logging, redact};

use args::{Args, Command, Global};
use compose::Parts;
use exit::{Exit, Usage};

/// A third of a run's CPU is small allocations for records, rows and cells; this one makes them for less than the system's.
/// Without huge pages (`no_thp`): with them a run of 100,000 rows held 150 MB in place of 84.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help that nobody reads to its end is no error.
            error.print().unwrap_or_default();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match run(args) {
        Ok(exit) => exit.into(),
        Err(error) if exit::is_closed_pipe(&error) => Exit::Well.into(),
        Err(error) => {
            eprintln!("error: {}", redact(&chain(error.as_ref()).to_string()));
            exit::of_error(&error).into()
        }
    }
}

fn run(args: Args) -> anyhow::Result<Exit> {
    start_logging(&args.global, &args.command)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    runtime.block_on(dispatch(args.global, args.command))
}

/// Loops tell what they do; commands speak through their results, and log only what goes wrong.
fn start_logging(global: &Global, command: &Command) -> anyhow::Result<()> {
    let default = match command {
        Command::Worker(_) | Command::Planner(_) | Command::Sim(_) => "info",
        Command::Demo(_)
        | Command::Check(_)
        | Command::Run(_)
        | Command::Runs(_)
        | Command::Schedules(_)
        | Command::Forget(_)
        | Command::Show(_)
        | Command::Rows(_)
        | Command::Preview(_)
        | Command::Apply(_)
        | Command::Approve(_)
        | Command::Reject(_)
        | Command::Cancel(_)
        | Command::Pause(_)
        | Command::Resume(_)
        | Command::Audit(_)
        | Command::Undo(_)
        | Command::Why(_)
        | Command::Purge(_)
        | Command::DeadLetters(_)
        | Command::Lists(_)
        | Command::Properties(_)
        | Command::Connections(_)
        | Command::Schema(_)
        | Command::Completions(_) => "warn",
    };
    let filter = global.log.as_deref().unwrap_or(default);
    init_logging(global.log_format.into(), filter, std::io::stderr)
        .map_err(|source| anyhow::Error::new(source).context(Usage("set up the log".to_owned())))
}

async fn dispatch(global: Global, command: Command) -> anyhow::Result<Exit> {
    let config = || config::load(global.config.as_deref());
    let actor = || actor::resolve(global.actor.clone());
    let open = async |config| Parts::open(config, actor()).await;
    let parts = async || open(config()?).await;
    match command {
        Command::Demo(args) => command::demo::demo(&args, actor()).await,
        Command::Check(args) => command::check::check(&parts().await?, &args).await,
        Command::Run(args) => command::run::run(&parts().await?, &args).await,
        Command::Runs(args) => command::runs::runs(&parts().await?, &args).await,
        Command::Forget(args) => command::forget::forget(&parts().await?, &args).await,
        Command::Schedules(args) => command::schedules::schedules(&parts().await?, &args).await,
        Command::Show(args) => command::show::show(&parts().await?, &args).await,
        Command::Rows(args) => command::rows::rows(&parts().await?, &args).await,
        Command::Preview(args) => command::preview::preview(&parts().await?, &args).await,
        Command::Apply(args) => command::approve::apply(&parts().await?, &args).await,
        Command::Approve(args) => command::approve::approve(&parts().await?, &args).await,
        Command::Reject(args) => command::approve::reject(&parts().await?, &args).await,
        Command::Cancel(args) => command::cancel::cancel(&parts().await?, &args).await,
        Command::Pause(args) => command::pause::pause(&parts().await?, &args).await,
        Command::Resume(args) => command::pause::resume(&parts().await?, &args).await,
        Command::Audit(args) => command::audit::audit(&parts().await?, &args).await,
        Command::Undo(args) => command::undo::undo(&parts().await?, &args).await,
        Command::Why(args) => command::why::why(&parts().await?, &args).await,
        Command::Purge(args) => command::purge::purge(&parts().await?, &args).await,
        Command::DeadLetters(args) => command::dead_letters::dead_letters(&parts().await?, &args).await,
        Command::Lists(args) => command::lists::lists(&parts().await?, &args).await,
        Command::Properties(args) => command::properties::properties(&parts().await?, &args).await,
        Command::Connections(args) => command::connections::connections(&config()?, &actor(), &args).await,
        Command::Worker(args) => {
            let mut config = config()?;
            config.worker.concurrency = args.concurrency.unwrap_or(config.worker.concurrency);
            config.listen = args.listen.or(config.listen);
            command::worker::worker(&open(config).await?).await
        }
        Command::Planner(args) => {
            let mut config = config()?;
            config.listen = args.listen.or(config.listen);
            command::planner::planner(&open(config).await?).await
        }
        Command::Sim(args) => command::sim::sim(args).await,
        Command::Schema(args) => command::schema::schema(args),
        Command::Completions(args) => command::completions::completions(args),
    }
}
