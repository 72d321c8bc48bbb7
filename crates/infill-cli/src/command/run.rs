//! `infill run`: checks the plan against the account, records the run, and follows it to its end. On the embedded engine this
//! process holds planner and worker; on the distributed one it only records and watches.

use std::path::Path;

use anyhow::Context as _;
use infill_model::error::Fault;
use infill_model::plan::parse;
use infill_model::{Plan, RunId};
use infill_planner::start::{Asked, cap, start};
use infill_rules::forecast::{Known, forecast};
use infill_store::store::Run;
use infill_worker::preflight::{self, Preflight};
use tokio_util::sync::CancellationToken;

use crate::args;
use crate::command::crew::Crew;
use crate::compose::Parts;
use crate::exit::{self, Exit, Faulty, Usage};
use crate::progress::{Followed, exit_of, follow};
use crate::summary;

/// Reads a plan and compiles its chain.
///
/// # Errors
/// [`Faulty`] with a line for every fault.
pub(crate) fn read_plan(path: &Path) -> anyhow::Result<Plan> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|source| anyhow::Error::new(source).context(Usage(format!("read the plan {file}"))))?;
    let refuse = |faults: Vec<Fault>| faulty(&file, &faults);
    let plan = parse::parse(&text, &file).map_err(refuse)?;
    let mut faults = infill_chain::Chain::compile(&plan).err().unwrap_or_default();
    faults.extend(infill_chain::check_source_filter(plan.source.filter.as_deref().unwrap_or_default()));
    if faults.is_empty() {
        return Ok(plan);
    }
    parse::locate(&text, &mut faults);
    Err(refuse(faults).into())
}

fn faulty(file: &str, faults: &[Fault]) -> Faulty {
    Faulty { file: file.to_owned(), lines: faults.iter().map(|fault| fault.in_file(file)).collect() }
}

/// Runs a plan, or goes on with a run.
pub(crate) async fn run(parts: &Parts, args: &args::Run) -> anyhow::Result<Exit> {
    if let Some(resume) = &args.resume {
        let run = parts.find_run(resume).await?;
        return go_on(parts, &run).await;
    }
    let Some(path) = &args.plan else { anyhow::bail!(Usage("name a plan, or --resume a run".into())) };
    let plan = read_plan(path)?;
    let asked = match (args.all, args.limit) {
        (true, _) => Asked::All,
        (false, Some(limit)) => Asked::AtMost(limit),
        (false, None) => Asked::AsPlanned,
    };
    let found = look(parts, &plan, &path.display().to_string()).await?;
    let has_verified = parts.store.has_verified(&plan.name, &plan.connection).await?;
    let (cap, is_first) = cap(plan.source.max_count, asked, has_verified);
    report(parts, &plan, &found, cap);
    if is_first {
        eprintln!(
            "  this plan has never verified a row on {}: it runs on {} rows; --all runs it on all of them",
            plan.connection,
            cap.unwrap_or_default()
        );
    } else if let (Some(cap), Some(size)) = (cap, found.slice.size)
        && cap < size
    {
        eprintln!("  warning: capped at {cap} of {size} records; the other {} are not touched", size - cap);
    }
    let id = record(parts, plan, cap).await?;
    eprintln!("run {id}");
    if args.detach {
        let who = if parts.is_embedded() {
            "`infill worker`, or `infill run --resume`, works"
        } else {
            "the workers work"
        };
        eprintln!("  recorded; {who} on it; `infill show {id}` tells how far it is");
        return Ok(Exit::Well);
    }
    work_and_follow(parts, id).await
}

/// Records the run in the store.
pub(crate) async fn record(parts: &Parts, plan: Plan, cap: Option<u64>) -> anyhow::Result<RunId> {
    let in_flight = parts.config.worker.batches_in_flight;
    let random: [u8; 10] = rand::random();
    Ok(start(parts.store.as_ref(), plan, cap, in_flight, parts.clock.now(), random).await?)
}

/// The pre-flight: asks the account everything that can be asked before the first row.
pub(crate) async fn look(parts: &Parts, plan: &Plan, file: &str) -> anyhow::Result<Preflight> {
    let crm = parts.connections.connect(&plan.connection).await?;
    // Whoever starts a run by hand may have mended the login; if not, the first call pauses the connection again.
    parts.connections.resume(&plan.connection).await?;
    match preflight::preflight(crm.as_ref(), plan).await {
        Ok(found) => Ok(found),
        Err(preflight::Error::Faults(mut faults)) => {
            if let Ok(text) = std::fs::read_to_string(file) {
                parse::locate(&text, &mut faults);
            }
            Err(faulty(file, &faults).into())
        }
        Err(preflight::Error::Crm(error)) => {
            Err(anyhow::Error::new(error).context(format!("connection {}", plan.connection)))
        }
    }
}

/// Calls a run makes besides those for rows, at most: the slice is resolved in two, the account told in two, the catalog in one.
const LOOKS: u64 = 5;

/// Prints what the pre-flight found.
pub(crate) fn report(parts: &Parts, plan: &Plan, found: &Preflight, cap: Option<u64>) {
    eprintln!("pre-flight of \"{}\"", plan.name);
    eprintln!(
        "  account     {} ({}), time zone {}",
        found.account.label, plan.connection, found.account.time_zone
    );
    let size = found.slice.size.map_or_else(|| "size not told".to_owned(), |size| format!("{size} records"));
    eprintln!("  slice       {}, {size}", found.slice.label);
    for target in &found.targets {
        let property = &target.property;
        eprintln!("  writes      {} ({}, {}), writable", property.name, property.label, property.vendor_type);
    }
    let rows = found.slice.size.unwrap_or_default().min(cap.unwrap_or(u64::MAX));
    let limits = parts.connections.limits(&plan.connection);
    let sizes = found.sizes;
    let cost = forecast(&Known {
        rows,
        canary: plan.canary.into(),
        write_batch: sizes.write_batch.into(),
        read_batch: sizes.read_batch.into(),
        verify: plan.verify,
        rate: limits.general,
        left_today: found.account.left_today(),
    });
    let pull = rows.div_ceil(sizes.id_page.max(1).into()) + rows.div_ceil(sizes.read_batch.max(1).into());
    let today = cost.calls_left_today.map(|left| format!(" of {left} left today")).unwrap_or_default();
    let time =
        cost.seconds.filter(|seconds| *seconds > 0).map(|s| format!(", at least {s} s by the burst limit"));
    let calls = cost.calls + pull + LOOKS;
    eprintln!("  forecast    at most {calls} calls{today}{}", time.unwrap_or_default());
    if cost.calls_left_today.is_some_and(|left| left < calls) {
        eprintln!(
            "  warning: today's calls may not suffice; then the run waits for the account's midnight and goes on"
        );
    }
}

async fn go_on(parts: &Parts, run: &Run) -> anyhow::Result<Exit> {
    if run.state.is_final() {
        eprintln!("run {} is {} already", run.id, run.state);
        return summary::print(parts, run).await.map(|()| exit_of(run));
    }
    // Whoever resumes a run has mended what stopped it.
    parts.connections.resume(&run.plan.connection).await?;
    eprintln!("run {} goes on from {}", run.id, run.state);
    if parts.is_embedded() {
        return work_and_follow(parts, run.id).await;
    }
    parts.store.break_leases(run.id).await?;
    // What waits for another look at the login, or for another try, need not wait any longer.
    parts.store.park_run(run.id, None).await?;
    parts.store.hasten(run.id).await?;
    work_and_follow(parts, run.id).await
}

/// Does the work (embedded) or watches others do it (distributed), until the run ends. Gives the exit code.
pub(crate) async fn work_and_follow(parts: &Parts, id: RunId) -> anyhow::Result<Exit> {
    let hint = if parts.is_embedded() {
        format!("`infill run --resume {id}` goes on where it stopped")
    } else {
        format!(
            "the workers go on with it; `infill show {id}` tells how far it is, `infill cancel {id}` stops it"
        )
    };
    match work_until_end(parts, id, hint).await? {
        Followed::Ended(run) => {
            summary::print(parts, &run).await?;
            Ok(exit_of(&run))
        }
        Followed::Paused(run, why) => {
            summary::print(parts, &run).await?;
            eprintln!("connection {} is paused: {why}", run.plan.connection);
            eprintln!("  mend the login, then `infill run --resume {id}`; no row was lost");
            Ok(Exit::CouldNotGoOn)
        }
        Followed::Interrupted => Ok(Exit::CouldNotGoOn),
    }
}

/// As [`work_and_follow`], without the summary. Whoever interrupts is told the hint, before what is in hand is finished: they
/// may not wait for that.
pub(crate) async fn work_until_end(parts: &Parts, id: RunId, hint: String) -> anyhow::Result<Followed> {
    let stop = CancellationToken::new();
    let _unwatched = stop.clone().drop_guard();
    let crew = if parts.is_embedded() { Some(Crew::muster(parts, Some(id)).await?) } else { None };
    let finishing =
        if crew.is_some() { "; what is in hand is finished first, once more ends at once" } else { "" };
    stop_on_signal(&stop, move || eprintln!("interrupted{finishing}\n  {hint}"))?;
    let run = parts.store.run(id).await?.context("the run just recorded is not in the store")?;
    let limits = parts.connections.limits(&run.plan.connection);
    let followed = follow(parts.store.as_ref(), parts.clock.as_ref(), &limits, id, &stop).await;
    if let Some(crew) = crew {
        crew.dismiss().await;
    }
    followed
}

/// Says so and cancels `stop` on SIGINT and SIGTERM; a second one ends the process at once. What it held then comes again, as
/// after a crash.
pub(crate) fn stop_on_signal(
    stop: &CancellationToken,
    say: impl FnOnce() + Send + 'static,
) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stop = stop.clone();
    tokio::spawn(async move {
        let mut signalled = async || {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        tokio::select! {
            // Nobody waits for a signal any more.
            () = stop.cancelled() => return,
            () = signalled() => {}
        }
        say();
        stop.cancel();
        signalled().await;
        exit::at_once(Exit::CouldNotGoOn);
    });
    Ok(())
}
