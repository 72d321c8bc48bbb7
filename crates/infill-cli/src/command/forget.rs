//! `infill forget`: ends what a plan with `only` remembers of its records.

use infill_model::seen::MemoryKey;
use infill_store::audit::{Act, NewAuditEntry};

use crate::args;
use crate::command::dead_letters::agreed;
use crate::compose::Parts;
use crate::exit::{Exit, Usage};
use crate::render::say;

/// Records forgotten in one transaction: whoever works meanwhile waits no longer than for that.
const AT_ONCE: u32 = 10_000;

/// Says how much is remembered, asks, and forgets it.
pub(crate) async fn forget(parts: &Parts, args: &args::Forget) -> anyhow::Result<Exit> {
    let all = parts.store.memories(&args.name).await?;
    let is_meant = |key: &MemoryKey| args.connection.as_ref().is_none_or(|wanted| *wanted == key.connection);
    let meant: Vec<(MemoryKey, u64)> = all.into_iter().filter(|(key, _)| is_meant(key)).collect();
    let Some((first, _)) = meant.first() else {
        say!("nothing is remembered of records of a plan \"{}\"", args.name);
        return Ok(Exit::Well);
    };
    if let Some((second, _)) = meant.iter().find(|(key, _)| key.connection != first.connection) {
        anyhow::bail!(Usage(format!(
            "the plan has seen records on {} and on {}; say which with --connection",
            first.connection, second.connection
        )));
    }
    let n_records: u64 = meant.iter().map(|(_, n_records)| n_records).sum();
    let what = format!(
        "{n_records} records that \"{}\" has seen on {} will be forgotten; its next run takes them as new",
        args.name, first.connection
    );
    if !args.yes && !agreed(&what)? {
        say!("nothing was done");
        return Ok(Exit::Well);
    }
    let entry = NewAuditEntry {
        plan_name: Some(args.name.clone()),
        connection: Some(first.connection.clone()),
        ..NewAuditEntry::new(parts.clock.now(), parts.actor.clone(), Act::RecordsForgotten)
    };
    parts.store.audit(&entry.with(format!("{n_records} records"))).await?;
    let mut n_forgotten = 0_u64;
    for (memory, _) in &meant {
        loop {
            let n = parts.store.forget(memory, AT_ONCE).await?;
            n_forgotten = n_forgotten.saturating_add(n);
            if n == 0 {
                break;
            }
        }
    }
    say!("{n_forgotten} records are forgotten");
    Ok(Exit::Well)
}
