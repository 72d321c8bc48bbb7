//! `infill lists`: the lists of a connection's account.

use std::io::{self, Write};

use anyhow::Context;

use crate::args::{self, Format};
use crate::compose::Parts;
use crate::exit::Exit;
use crate::render;

/// Lists the lists.
pub(crate) async fn lists(parts: &Parts, args: &args::Lists) -> anyhow::Result<Exit> {
    let crm = parts.connections.connect(&args.connection).await?;
    let lists = crm.lists().await?;
    let mut out = io::stdout().lock();
    match args.format {
        Format::Json => render::write_json(&mut out, &lists)?,
        Format::Table if lists.is_empty() => {
            writeln!(out, "the account has no lists").context("print the lists")?;
        }
        Format::Table => {
            let mut table = vec![["id", "name", "object", "kind", "size"].map(str::to_owned).to_vec()];
            table.extend(lists.into_iter().map(|list| {
                let size = list.size.map(render::count).unwrap_or_default();
                vec![list.id.to_string(), list.name, list.object.to_string(), list.kind, size]
            }));
            render::write_table(&mut out, &table)?;
        }
    }
    Ok(Exit::Well)
}
