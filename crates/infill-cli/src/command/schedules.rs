//! `infill schedules`: what a planner starts by itself, when next, and what became of the last start.

use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use infill_model::{ConnectionName, Outcome, Plan, RunId, RunState, Schedule, Timestamp};
use infill_rules::schedule::NEVER;
use infill_store::Store;
use infill_store::audit::{Act, NewAuditEntry};
use infill_store::schedule::{ScheduleKey, StoredSchedule};
use infill_store::store::Run;
use serde::Serialize;

use crate::args::Format;
use crate::args::schedules::{Named, Schedules, Verb};
use crate::command::run::{look, read_plan, report, report_memory};
use crate::compose::Parts;
use crate::exit::{Exit, Usage};
use crate::render::{self, say};

/// Lists, adds, pauses, resumes and removes schedules.
pub(crate) async fn schedules(parts: &Parts, args: &Schedules) -> anyhow::Result<Exit> {
    let (store, now) = (parts.store.as_ref(), parts.clock.now());
    match &args.verb {
        None => {
            let kept = kept(store).await?;
            write(&mut io::stdout().lock(), &kept, args.format)?;
        }
        Some(Verb::Add { plan }) => add(parts, plan, now).await?,
        Some(Verb::Pause(named)) => {
            let found = find(store, named).await?;
            if found.paused_at.is_none() {
                note(parts, Act::SchedulePaused, &found.plan, now).await?;
            }
            store.pause_schedule(&found.key(), now).await?;
            let hint = found.running.map(|run| format!("; `infill cancel {run}` stops the run that goes on"));
            say!(
                "{} is paused: nothing starts by its schedule{}",
                told(&found.plan),
                hint.unwrap_or_default()
            );
        }
        Some(Verb::Resume(named)) => {
            let found = find(store, named).await?;
            let (schedule, next) = next_start(&found.plan, now)?;
            if found.paused_at.is_some() {
                note(parts, Act::ScheduleResumed, &found.plan, now).await?;
            }
            let said = if store.resume_schedule(&found.key(), next).await? {
                format!("goes on: {}", next_told(&schedule, next))
            } else {
                "is not paused".to_owned()
            };
            say!("{} {said}", told(&found.plan));
        }
        Some(Verb::Remove(named)) => {
            let found = find(store, named).await?;
            note(parts, Act::ScheduleRemoved, &found.plan, now).await?;
            store.remove_schedule(&found.key()).await?;
            say!("{} has no schedule any more; its runs stay", told(&found.plan));
        }
    }
    Ok(Exit::Well)
}

async fn add(parts: &Parts, path: &Path, now: Timestamp) -> anyhow::Result<()> {
    let plan = read_plan(path)?;
    let (schedule, next) = next_start(&plan, now)?;
    let found = look(parts, &plan, path, None).await?;
    let has_verified = parts.store.has_verified(&plan.name, &plan.connection).await?;
    report(parts, &plan, &found, plan.source.most());
    report_memory(parts, &plan).await?;
    if !has_verified {
        eprintln!(
            "  this plan has never verified a row on {}: a scheduled run takes a few rows until one has; `infill run {}` \
             is the first",
            plan.connection,
            path.display()
        );
    }
    let key = ScheduleKey::of(&plan);
    let before = parts.store.schedules(None).await?.into_iter().find(|stored| stored.key() == key);
    note(parts, Act::ScheduleAdded, &plan, now).await?;
    parts.store.save_schedule(&plan, next).await?;
    let is_paused = before.as_ref().is_some_and(|stored| stored.paused_at.is_some());
    let done = if before.is_some() { "has its schedule replaced" } else { "is scheduled" };
    let next = if is_paused {
        format!("it is still paused, `infill schedules resume \"{}\"` goes on", plan.name)
    } else {
        next_told(&schedule, next)
    };
    say!("{} {done} ({schedule}): {next}", told(&plan));
    let planner =
        if parts.is_embedded() { "`infill planner` starts and works it" } else { "a planner starts it" };
    eprintln!("  {planner}, as long as one runs; `infill schedules` lists it");
    Ok(())
}

/// Records what is about to be done to a schedule.
async fn note(parts: &Parts, act: Act, plan: &Plan, now: Timestamp) -> anyhow::Result<()> {
    let schedule = plan.source.schedule.as_ref().map(ToString::to_string).unwrap_or_default();
    let entry = NewAuditEntry::of_plan(now, parts.actor.clone(), act, plan).with(schedule);
    Ok(parts.store.audit(&entry).await?)
}

fn told(plan: &Plan) -> String {
    format!("\"{}\" on {}", plan.name, plan.connection)
}

fn next_told(schedule: &Schedule, next: Timestamp) -> String {
    if next == NEVER {
        "it has no further start".to_owned()
    } else {
        format!("next start {}", schedule.local(next))
    }
}

/// The schedule of a plan and its next start.
fn next_start(plan: &Plan, now: Timestamp) -> anyhow::Result<(Schedule, Timestamp)> {
    let Some(schedule) = plan.source.schedule.clone() else {
        anyhow::bail!(Usage(format!(
            "the plan \"{}\" has no schedule; give it one under source, as in schedule: \"0 6 * * 1-5\"",
            plan.name
        )));
    };
    if plan.source.ids.is_some() {
        anyhow::bail!(Usage(
            "a file of record ids is read when a run is started by hand, and a planner has no such file; make a list of \
             these records in the CRM"
                .to_owned()
        ));
    }
    let next = schedule.next_after(now).unwrap_or(NEVER);
    Ok((schedule, next))
}

async fn find(store: &dyn Store, named: &Named) -> anyhow::Result<StoredSchedule> {
    let all = store.schedules(None).await?.into_iter();
    let mut fitting = all.filter(|stored| {
        let plan = &stored.plan;
        plan.name == named.name && named.connection.as_ref().is_none_or(|wanted| *wanted == plan.connection)
    });
    let first = fitting.next().ok_or_else(|| {
        Usage(format!("no schedule of a plan \"{}\"; `infill schedules` lists them", named.name))
    })?;
    if let Some(second) = fitting.next() {
        let (first, second) = (&first.plan.connection, &second.plan.connection);
        anyhow::bail!(Usage(format!(
            "the plan has schedules on {first} and on {second}; say which with --connection"
        )));
    }
    Ok(first)
}

/// A schedule and the run it started last.
type Kept = (StoredSchedule, Option<Run>);

async fn kept(store: &dyn Store) -> anyhow::Result<Vec<Kept>> {
    let mut kept = Vec::new();
    for stored in store.schedules(None).await? {
        let last = match stored.last_run {
            Some(run) => store.run(run).await?,
            None => None,
        };
        kept.push((stored, last));
    }
    Ok(kept)
}

fn write(out: &mut dyn Write, kept: &[Kept], format: Format) -> anyhow::Result<()> {
    match format {
        Format::Json => render::write_json(out, &kept.iter().map(View::of).collect::<Vec<_>>()),
        Format::Table if kept.is_empty() => {
            writeln!(out, "no schedules; `infill schedules add PLAN` makes one")
                .context("print the schedules")
        }
        Format::Table => {
            let head =
                ["plan", "connection", "schedule", "next start", "last start", "ended", "missed", "skipped"];
            let mut table = vec![head.map(str::to_owned).to_vec()];
            table.extend(kept.iter().map(line));
            render::write_table(out, &table)
        }
    }
}

fn line((stored, last): &Kept) -> Vec<String> {
    let plan = &stored.plan;
    let local = |at: Timestamp| {
        plan.source.schedule.as_ref().map_or_else(|| render::moment(at), |schedule| schedule.local(at))
    };
    let next = match (stored.paused_at, stored.waiting, stored.running) {
        (Some(_), _, _) => "paused".to_owned(),
        (None, Some(_), Some(run)) => format!("when run {run} has ended"),
        (None, _, _) if stored.next_start == NEVER => "never".to_owned(),
        (None, _, _) => local(stored.next_start),
    };
    vec![
        plan.name.clone(),
        plan.connection.to_string(),
        plan.source.schedule.as_ref().map(ToString::to_string).unwrap_or_default(),
        next,
        stored.last_start.map(local).unwrap_or_default(),
        last.as_ref().map(ended).unwrap_or_default(),
        render::count(stored.missed),
        render::count(stored.skipped),
    ]
}

/// How the last run ended, or how far it is.
fn ended(run: &Run) -> String {
    let counts = &run.progress.counts;
    let unwell = Outcome::ALL.into_iter().filter(|outcome| !outcome.is_well());
    let n_unwell: u64 = unwell.map(|outcome| counts.of(outcome)).sum();
    if n_unwell == 0 {
        run.state.to_string()
    } else {
        format!("{}, {} unwell", run.state, render::count(n_unwell))
    }
}

/// A schedule, as programs read it.
#[derive(Debug, Serialize)]
struct View<'a> {
    plan_name: &'a str,
    connection: &'a ConnectionName,
    schedule: Option<&'a Schedule>,
    next_start: Option<Timestamp>,
    waiting: Option<Timestamp>,
    paused_at: Option<Timestamp>,
    running: Option<RunId>,
    last_start: Option<Timestamp>,
    last_run: Option<LastRun<'a>>,
    missed: u64,
    skipped: u64,
}

#[derive(Debug, Serialize)]
struct LastRun<'a> {
    id: RunId,
    state: RunState,
    warnings: &'a [String],
    ended_at: Option<Timestamp>,
}

impl<'a> View<'a> {
    fn of((stored, last): &'a Kept) -> Self {
        let starts = stored.paused_at.is_none() && stored.next_start != NEVER;
        Self {
            plan_name: &stored.plan.name,
            connection: &stored.plan.connection,
            schedule: stored.plan.source.schedule.as_ref(),
            next_start: starts.then_some(stored.next_start),
            waiting: stored.waiting,
            paused_at: stored.paused_at,
            running: stored.running,
            last_start: stored.last_start,
            last_run: last.as_ref().map(|run| LastRun {
                id: run.id,
                state: run.state,
                warnings: &run.warnings,
                ended_at: run.ended_at,
            }),
            missed: stored.missed,
            skipped: stored.skipped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn scheduled(plan_name: &str, connection: &str) -> Plan {
        let mut plan = sample::plan();
        plan.name = plan_name.to_owned();
        plan.connection = connection.into();
        plan.source.schedule =
            serde_json::from_str(r#"{"cron": "0 6 * * 1-5", "time_zone": "Europe/Berlin"}"#).ok();
        plan
    }

    async fn listed(store: &dyn Store, format: Format) -> String {
        let mut out = Vec::new();
        write(&mut out, &kept(store).await.unwrap(), format).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[tokio::test]
    async fn a_listing_tells_the_next_start_in_the_zone_of_the_plan() {
        let (store, _) = sample::store_with_rows().await;
        assert!(listed(&*store, Format::Table).await.contains("infill schedules add PLAN"));
        let plan = scheduled("Phones", "main");
        let (_, next) = next_start(&plan, "2026-09-04T05:00:00Z".parse().unwrap()).unwrap();
        store.save_schedule(&plan, next).await.unwrap();
        let table = listed(&*store, Format::Table).await;
        assert!(table.contains("0 6 * * 1-5 Europe/Berlin"), "{table}");
        assert!(table.contains("2026-09-07 06:00 Europe/Berlin"), "{table}");
        let json: serde_json::Value = serde_json::from_str(&listed(&*store, Format::Json).await).unwrap();
        assert_eq!(json[0]["next_start"], "2026-09-07T04:00:00Z");
        store.pause_schedule(&ScheduleKey::of(&plan), sample::now()).await.unwrap();
        assert!(listed(&*store, Format::Table).await.contains("paused"));
    }

    #[tokio::test]
    async fn of_two_schedules_of_one_name_the_connection_says_which() {
        let (store, _) = sample::store_with_rows().await;
        for connection in ["main", "other"] {
            store.save_schedule(&scheduled("Phones", connection), sample::now()).await.unwrap();
        }
        let find = async |connection: Option<&str>| {
            let named = Named { name: "Phones".to_owned(), connection: connection.map(Into::into) };
            find(&*store, &named).await.map(|found| found.plan.connection)
        };
        assert!(find(None).await.unwrap_err().to_string().contains("--connection"));
        assert_eq!(find(Some("other")).await.unwrap(), "other".into());
        assert!(find(Some("third")).await.unwrap_err().to_string().contains("infill schedules"));
    }

    #[test]
    fn a_plan_without_a_schedule_or_with_a_file_of_ids_cannot_be_scheduled() {
        let refused = |plan: &Plan| next_start(plan, sample::now()).unwrap_err().to_string();
        assert!(refused(&sample::plan()).contains("has no schedule"));
        let mut plan = scheduled("Phones", "main");
        plan.source.list = None;
        plan.source.ids = Some(infill_model::slice::Ids::File("people.csv".to_owned()));
        assert!(refused(&plan).contains("make a list"));
    }
}
