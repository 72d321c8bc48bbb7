//! `infill schema`: JSON Schemas, so that editors complete and check.

use std::io;

use crate::args::{self, SchemaOf};
use crate::config;
use crate::exit::Exit;
use crate::render;

/// Prints a schema.
pub(crate) fn schema(args: args::Schema) -> anyhow::Result<Exit> {
    let schema = match args.of {
        SchemaOf::Plan => infill_model::plan::parse::schema(),
        SchemaOf::Config => config::schema(),
    };
    render::write_json(&mut io::stdout().lock(), &schema)?;
    Ok(Exit::Well)
}
