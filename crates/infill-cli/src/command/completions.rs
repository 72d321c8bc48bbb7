//! `infill completions`: a completion script for a shell.

use std::io::{self, Write};

use anyhow::Context;
use clap::CommandFactory;

use crate::args::{self, Args};
use crate::exit::Exit;

/// Prints the script.
pub(crate) fn completions(args: args::Completions) -> anyhow::Result<Exit> {
    // Into memory first: the generator panics when its output is closed.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "infill", &mut script);
    io::stdout().lock().write_all(&script).context("print the script")?;
    Ok(Exit::Well)
}
