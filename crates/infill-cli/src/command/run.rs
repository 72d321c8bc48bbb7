//! `infill run`: checks the plan against the account, records the run, and follows it to its end. On the embedded engine this
//! process holds planner and worker; on the distributed one it only records and watches.

use std::path::Path;

use anyhow::Context as _;
use infill_model::error::{Fault, FaultCode};
use infill_model::plan::{Only, parse};
use infill_model::seen::MemoryKey;
use infill_model::slice::ResolvedSlice;
use infill_model::{Plan, RunId, RunState, Timestamp};
use infill_planner::start::{Asked, cap, start};
use infill_rules::forecast::{Known, forecast};
use infill_store::audit::{Act, NewAuditEntry};
use infill_store::store::{NewRun, Run};
use infill_worker::preflight::{self, Preflight, cannot_preview};
use tokio_util::sync::CancellationToken;

use crate::args;
use crate::command::crew::Crew;
use crate::command::pause::told;
use crate::command::preview;
use crate::compose::Parts;
use crate::exit::{self, Exit, Faulty, Usage};
use crate::progress::{Allowance, Followed, exit_of, follow};
use crate::{summary, supply};

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
    if plan.source.schedule.is_some() {
        eprintln!(
            "this runs the plan once, now; `infill schedules add {}` has its schedule start it",
            path.display()
        );
    }
    let asked = match (args.all, args.limit) {
        (true, _) => Asked::All,
        (false, Some(limit)) => Asked::AtMost(limit),
        (false, None) => Asked::AsPlanned,
    };
    if (args.dry_run || plan.is_previewed())
        && let Some(why) = cannot_preview(&plan)
    {
        return Err(Usage(why).into());
    }
    let stamp = Stamp::now(parts);
    let file = open_ids(parts, &plan, path)?;
    let mut found = look(parts, &plan, path, file.as_ref().map(supply::File::slice)).await?;
    let mut notes = Vec::new();
    if let Some(file) = file {
        let taken = file.take_in(&parts.store, parts.clock.as_ref(), stamp.id()).await?;
        (found.slice, notes) = (taken.slice, taken.notes);
    }
    let has_verified = parts.store.has_verified(&plan.name, &plan.connection).await?;
    // A preview writes nothing, so it need not begin small.
    let (cap, is_first) = cap(plan.source.most(), asked, has_verified || args.dry_run);
    report(parts, &plan, &found, cap);
    report_memory(parts, &plan).await?;
    notes.iter().for_each(|note| eprintln!("  warning: {note}"));
    let takes_new = plan.source.only == Some(Only::New);
    if is_first {
        eprintln!(
            "  this plan has never verified a row on {}: it runs on {} rows; --all runs it on all of them",
            plan.connection,
            cap.unwrap_or_default()
        );
    } else if let (Some(cap), Some(size)) = (cap, found.slice.size)
        && cap < size
        && plan.source.sample == Some(cap)
    {
        let which = if takes_new { "those that are new" } else { "the same ones each time" };
        eprintln!("  sample      {cap} of {size} records, {which}");
    } else if let (Some(cap), Some(size)) = (cap, found.slice.size)
        && cap < size
        && !takes_new
    {
        eprintln!("  warning: capped at {cap} of {size} records; the other {} are not touched", size - cap);
    }
    let given = plan.source.ids.is_some().then_some(found.slice);
    let id = record_at(parts, Asking { plan, cap, slice: given, is_dry: args.dry_run }, stamp).await?;
    for note in &notes {
        parts.store.warn_run(id, note).await?;
    }
    eprintln!("run {id}");
    if args.detach { leave(parts, id).await } else { work_and_follow(parts, id).await }
}

/// Leaves a run to others, and says who works on it.
pub(crate) async fn leave(parts: &Parts, id: RunId) -> anyhow::Result<Exit> {
    let who = if parts.is_embedded() {
        "`infill worker`, or `infill run --resume`, works"
    } else {
        "the workers work"
    };
    eprintln!("  recorded; {who} on it; `infill show {id}` tells how far it is");
    if let Some(why) = parts.store.run(id).await?.as_ref().and_then(told) {
        eprintln!("  it waits: {why}");
    }
    Ok(Exit::Well)
}

/// Records the run in the store.
pub(crate) async fn record(parts: &Parts, plan: Plan, cap: Option<u64>) -> anyhow::Result<RunId> {
    record_at(parts, Asking { plan, cap, slice: None, is_dry: false }, Stamp::now(parts)).await
}

/// What is asked for with a run.
pub(crate) struct Asking {
    /// The plan.
    pub(crate) plan: Plan,
    /// At most this many rows.
    pub(crate) cap: Option<u64>,
    /// The slice, when it is known already.
    pub(crate) slice: Option<ResolvedSlice>,
    /// Only a preview.
    pub(crate) is_dry: bool,
}

/// What the id of a run is made of.
#[derive(Clone, Copy)]
pub(crate) struct Stamp {
    now: Timestamp,
    random: [u8; 10],
}

impl Stamp {
    /// One for a run that begins now.
    pub(crate) fn now(parts: &Parts) -> Self {
        Self { now: parts.clock.now(), random: rand::random() }
    }

    /// The id.
    pub(crate) fn id(self) -> RunId {
        RunId::new(self.now, self.random)
    }
}

/// Records a run whose id is known already, because something was supplied to it.
pub(crate) async fn record_at(parts: &Parts, asking: Asking, stamp: Stamp) -> anyhow::Result<RunId> {
    let Asking { plan, cap, slice, is_dry } = asking;
    let run = NewRun {
        id: stamp.id(),
        plan,
        cap,
        in_flight: parts.config.worker.batches_in_flight,
        slice,
        is_dry,
        created_at: stamp.now,
        by: parts.actor.clone(),
    };
    Ok(start(parts.store.as_ref(), run).await?)
}

/// The file of record ids that a plan names, if it names one, read up to its header.
///
/// # Errors
/// [`Faulty`] with the place of `ids` in the plan.
pub(crate) fn open_ids(parts: &Parts, plan: &Plan, path: &Path) -> anyhow::Result<Option<supply::File>> {
    let vendor = parts.config.connection(&plan.connection)?.vendor;
    supply::File::open(plan, path, vendor).map_err(|Usage(why)| {
        let mut faults = [Fault::new(FaultCode::InvalidValue, "source.ids", why)];
        if let Ok(text) = std::fs::read_to_string(path) {
            parse::locate(&text, &mut faults);
        }
        faulty(&path.display().to_string(), &faults).into()
    })
}

/// The pre-flight: asks the account everything that can be asked before the first row. `given` is the slice of a plan whose
/// records are supplied.
pub(crate) async fn look(
    parts: &Parts,
    plan: &Plan,
    path: &Path,
    given: Option<ResolvedSlice>,
) -> anyhow::Result<Preflight> {
    let crm = parts.connections.connect(&plan.connection).await?;
    // Whoever starts a run by hand may have mended the login; if not, the first call pauses the connection again.
    parts.connections.resume(&plan.connection).await?;
    match preflight::preflight(crm.as_ref(), plan, given).await {
        Ok(found) => Ok(found),
        Err(preflight::Error::Faults(mut faults)) => {
            if let Ok(text) = std::fs::read_to_string(path) {
                parse::locate(&text, &mut faults);
            }
            Err(faulty(&path.display().to_string(), &faults).into())
        }
        Err(preflight::Error::Crm(error)) => {
            Err(anyhow::Error::new(error).context(format!("connection {}", plan.connection)))
        }
    }
}

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
    if let Some(schedule) = &plan.source.schedule {
        let next = schedule.next_after(parts.clock.now()).map(|next| schedule.local(next));
        eprintln!("  schedule    {schedule}, next {}", next.as_deref().unwrap_or("never"));
    }
    let Some(rows) = found.slice.size.or(cap).map(|rows| rows.min(cap.unwrap_or(u64::MAX))) else {
        eprintln!("  forecast    after the pull: the CRM does not tell how many records it is");
        return;
    };
    let sizes = found.sizes;
    let cost = forecast(&Known {
        rows,
        canary: plan.canary.into(),
        write_batch: sizes.write_batch.into(),
        write_call: sizes.write_call.into(),
        calls_per_write: sizes.calls_per_write.into(),
        read_batch: sizes.read_batch.into(),
        action_calls: found.action_calls,
        write_cost: sizes.costs.write.into(),
        read_cost: sizes.costs.read.into(),
        verify: plan.verify,
        rate: parts.connections.limits(&plan.connection).general,
        left_today: found.account.left_today(),
    });
    // A slice that does not tell its size may have to be looked for among all records.
    let looks = u64::from(sizes.looks);
    let (pages, besides) = match found.slice.size {
        Some(_) => (rows.div_ceil(sizes.id_page.max(1).into()) + looks, ""),
        None => (looks, " besides the listing"),
    };
    let reads = if sizes.lists_values { 0 } else { rows.div_ceil(sizes.read_batch.max(1).into()) };
    let calls = cost.calls + pages + reads;
    let units = cost.units + pages * u64::from(sizes.costs.list) + reads * u64::from(sizes.costs.read);
    let unit = parts.connections.unit(&plan.connection);
    let left = cost.calls_left_today.map(|left| format!(" of {left} left today")).unwrap_or_default();
    let spent = if unit == "calls" { left } else { format!(", {units} {unit}{left}") };
    let time =
        cost.seconds.filter(|seconds| *seconds > 0).map(|s| format!(", at least {s} s by the burst limit"));
    eprintln!("  forecast    at most {calls} calls{besides}{spent}{}", time.unwrap_or_default());
    if cost.calls_left_today.is_some_and(|left| left < units) {
        eprintln!(
            "  warning: today's {unit} may not suffice; then the run waits for the account's midnight and goes on"
        );
    }
}

/// Prints what a plan with `only` has seen.
pub(crate) async fn report_memory(parts: &Parts, plan: &Plan) -> anyhow::Result<()> {
    let Some(only) = plan.source.only else { return Ok(()) };
    let key = MemoryKey::of(plan);
    let memories = parts.store.memories(&plan.name).await?;
    let n_seen = memories.into_iter().find(|(known, _)| *known == key).map_or(0, |(_, n_records)| n_records);
    let word = only.as_str();
    if n_seen == 0 {
        eprintln!(
            "  only        {word}: nothing is remembered yet of {} on {}, so every record counts as {word}",
            plan.source.object, plan.connection
        );
        return Ok(());
    }
    let left = match only {
        Only::New => "those in the slice are left out",
        Only::Changed => "those in the slice with the same inputs are skipped",
    };
    eprintln!("  only        {word}: {n_seen} records were seen by earlier runs; {left}");
    Ok(())
}

async fn go_on(parts: &Parts, run: &Run) -> anyhow::Result<Exit> {
    if run.state.is_final() {
        eprintln!("run {} is {} already", run.id, run.state);
        return summary::print(parts, run).await.map(|()| exit_of(run));
    }
    let entry = NewAuditEntry::of_run(parts.clock.now(), parts.actor.clone(), Act::RunTakenUp, run);
    parts.store.audit(&entry).await?;
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
        Followed::Ended(run) if run.state == RunState::Previewed => {
            preview::print(parts, &run).await?;
            Ok(exit_of(&run))
        }
        Followed::Ended(run) => {
            summary::print(parts, &run).await?;
            summary::print_way_back(&run)?;
            Ok(exit_of(&run))
        }
        Followed::Waits(run) if run.is_previewed() => {
            preview::print(parts, &run).await?;
            Ok(Exit::Waits)
        }
        Followed::Waits(run) => {
            summary::print(parts, &run).await?;
            eprintln!(
                "  the canary held, and the plan says approve: manual: look at `infill rows {id}`, then"
            );
            eprintln!("  infill approve {id}   writes the rest, infill reject {id} --why \"...\" leaves it");
            Ok(Exit::Waits)
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
    let connection = &run.plan.connection;
    let (limits, unit) = (parts.connections.limits(connection), parts.connections.unit(connection));
    let allowance = Allowance { limits, unit };
    let followed = follow(parts.store.as_ref(), parts.clock.as_ref(), &allowance, id, &stop).await;
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
