//! `infill apply`, `infill approve` and `infill reject`: a person's say over a run that was previewed or waits.

use std::io::{self, Write};

use anyhow::Context;
use infill_model::{Approval, RunState};
use infill_planner::approve;
use infill_rules::preview::is_digest;
use infill_store::store::Run;

use crate::args::preview as args;
use crate::command::preview;
use crate::command::purge::still_has_values;
use crate::command::run::{leave, work_and_follow};
use crate::compose::Parts;
use crate::exit::{Exit, Usage};
use crate::render;

/// Writes what a dry run has previewed.
pub(crate) async fn apply(parts: &Parts, args: &args::Apply) -> anyhow::Result<Exit> {
    let run = parts.find_run(&args.run).await?;
    if run.state == RunState::Waiting {
        return Err(Usage(format!("run {0} waits for an approval: `infill approve {0}`", run.id)).into());
    }
    release(parts, &run, args.digest.as_deref()).await?;
    eprintln!("run {} writes what was previewed", run.id);
    if args.detach { leave(parts, run.id).await } else { work_and_follow(parts, run.id).await }
}

/// Lets a run go on that waits for it.
pub(crate) async fn approve(parts: &Parts, args: &args::Approve) -> anyhow::Result<Exit> {
    let run = parts.find_run(&args.run).await?;
    if run.state == RunState::Previewed {
        return Err(Usage(format!(
            "run {0} was a dry run: `infill apply {0}` writes what it previewed",
            run.id
        ))
        .into());
    }
    release(parts, &run, args.digest.as_deref()).await?;
    let who = if parts.is_embedded() {
        format!("`infill run --resume {}` goes on with it", run.id)
    } else {
        "the workers go on with it".to_owned()
    };
    say(&format!(
        "run {} is approved by {}; {who}, unless somebody follows it already",
        run.id, parts.actor
    ))?;
    Ok(Exit::Well)
}

/// Ends a run that nobody has let go on.
pub(crate) async fn reject(parts: &Parts, args: &args::Reject) -> anyhow::Result<Exit> {
    let run = parts.find_run(&args.run).await?;
    if !approve::reject(parts.store.as_ref(), &run, &parts.actor, &args.why, parts.clock.now()).await? {
        return Err(decided(parts, &run).await?.into());
    }
    let rest = if run.is_previewed() {
        "nothing was written"
    } else {
        "what its canary wrote stays; the other rows were not touched"
    };
    say(&format!("run {} is rejected; {rest}", run.id))?;
    Ok(Exit::Well)
}

async fn release(parts: &Parts, run: &Run, digest: Option<&str>) -> anyhow::Result<()> {
    if !approve::ASKS.contains(&run.state) {
        return Err(decided(parts, run).await?.into());
    }
    still_has_values(run, "what it previewed can no longer be written; run the plan again")?;
    let (id, now) = (run.id, parts.clock.now());
    let valid_for = parts.config.planner.approve_within;
    if approve::is_too_old(run, valid_for, now) {
        let message = format!(
            "what run {id} shows is older than approve_within allows ({} h), so the records may hold something else by now; \
             run the plan again, and `infill reject {id} --why \"too old\"` puts this one away",
            valid_for.as_secs() / 3_600
        );
        return Err(Usage(message).into());
    }
    let seen =
        if run.is_previewed() { Some(preview::of(parts.store.as_ref(), run).await?.digest()) } else { None };
    match (digest, &seen) {
        (Some(typed), Some(seen)) if !is_digest(typed, seen) => {
            let message = format!(
                "the digest of run {id} is {seen}, and not {typed}: what was looked at is not what would be written; nothing was \
                 done; look again with `infill preview {id}`"
            );
            return Err(Usage(message).into());
        }
        (Some(_), None) => {
            let message = format!(
                "run {id} was not previewed, it waits after its canary and has no digest; leave --digest out"
            );
            return Err(Usage(message).into());
        }
        _ => {}
    }
    // Whoever lets a run go on by hand may have mended the login; if not, the first call pauses the connection again.
    parts.connections.resume(&run.plan.connection).await?;
    let approval = Approval { by: parts.actor.clone(), digest: seen };
    if !approve::approve(parts.store.as_ref(), run, &approval, now).await? {
        return Err(decided(parts, run).await?.into());
    }
    Ok(())
}

/// Why there is nothing to decide about a run.
async fn decided(parts: &Parts, run: &Run) -> anyhow::Result<Usage> {
    let run = parts.store.run(run.id).await?.context("the run is no longer in the store")?;
    let by = run.released.as_ref().and_then(|release| Some((release.at, release.approval.as_ref()?)));
    Ok(Usage(match by {
        Some((at, approval)) => {
            format!(
                "run {} was approved already, by {} at {}; it is {}",
                run.id,
                approval.by,
                render::moment(at),
                run.state
            )
        }
        None => format!(
            "run {} does not wait for anybody ({}); `infill run PLAN --dry-run` makes one that does, as does approve: manual in a plan",
            run.id, run.state
        ),
    }))
}

fn say(line: &str) -> anyhow::Result<()> {
    writeln!(io::stdout().lock(), "{line}").context("print what happens")
}
