//! `infill check`: everything that can be said about a plan without touching a row.

use crate::args;
use crate::command::run::{look, open_ids, read_plan, report, report_memory};
use crate::compose::Parts;
use crate::exit::Exit;
use crate::render::say;
use crate::supply;

/// Checks the text, the chain, and what the plan names in the live account.
pub(crate) async fn check(parts: &Parts, args: &args::Check) -> anyhow::Result<Exit> {
    let plan = read_plan(&args.plan)?;
    let ids = open_ids(parts, &plan, &args.plan)?;
    let found = look(parts, &plan, &args.plan, ids.as_ref().map(supply::File::slice)).await?;
    let cap = plan.source.most();
    match args.format {
        args::Format::Table => {
            report(parts, &plan, &found, cap);
            report_memory(parts, &plan).await?;
            say!("{}: no fault found", args.plan.display());
        }
        args::Format::Json => {
            let properties: Vec<&str> =
                found.targets.iter().map(|target| target.property.name.as_str()).collect();
            let checked = serde_json::json!({
                "plan": plan.name,
                "account": found.account,
                "slice": found.slice,
                "writes": properties,
                "faults": [],
            });
            say!("{checked:#}");
        }
    }
    Ok(Exit::Well)
}
