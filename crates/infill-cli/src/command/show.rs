//! `infill show`: one run, and what to type next.

use std::io::{self, Write};

use anyhow::Context;
use infill_model::{Outcome, RunState};
use infill_store::store::Run;

use crate::args::{self, Format};
use crate::command::pause::since;
use crate::compose::Parts;
use crate::exit::Exit;
use crate::render::{self, shown};
use crate::summary::guarded;
use crate::view::WholeRunView;

/// Shows a run.
pub(crate) async fn show(parts: &Parts, args: &args::Show) -> anyhow::Result<Exit> {
    let run = parts.find_run(&args.run).await?;
    let mut out = io::stdout().lock();
    match args.format {
        Format::Json => render::write_json(&mut out, &WholeRunView::of(&run))?,
        Format::Table => write(&mut out, &run, parts.is_embedded())?,
    }
    Ok(Exit::Well)
}

fn write(out: &mut dyn Write, run: &Run, is_embedded: bool) -> anyhow::Result<()> {
    for (name, text) in facts(run) {
        writeln!(out, "{name:<11} {}", shown(&text)).context("print the run")?;
    }
    for hint in hints(run, is_embedded) {
        writeln!(out, "{:<11} {hint}", "next").context("print the run")?;
    }
    Ok(())
}

/// Everything worth a line, each with its name.
fn facts(run: &Run) -> Vec<(&'static str, String)> {
    let progress = &run.progress;
    let plan = &run.plan;
    let mut facts = vec![
        ("run", run.id.to_string()),
        ("plan", plan.name.clone()),
        ("connection", format!("{}, {}", plan.connection, plan.source.object)),
    ];
    if let Some(slice) = &run.slice {
        let size = slice.size.map(|size| format!(", {} records", render::count(size))).unwrap_or_default();
        facts.push(("slice", format!("{}{size}", slice.label)));
    }
    if let Some(cap) = run.cap {
        facts.push(("cap", format!("at most {} rows", render::count(cap))));
    }
    facts.push(("state", run.state.to_string()));
    if let Some(cause) = &run.cause {
        facts.push(("why", format!("{} ({}, {})", cause.message, cause.class, cause.code)));
    }
    if run.is_paused() {
        let connection = |paused| format!("connection {}, {}", plan.connection, since(paused));
        facts.extend(run.paused.as_ref().map(|paused| ("paused", since(paused))));
        facts.extend(run.connection_paused.as_ref().map(|paused| ("paused", connection(paused))));
    }
    if let Some(parked) = &run.parked {
        facts.push(("waits", format!("until {}: {}", render::moment(parked.until), parked.why)));
    }
    let settled = progress.counts.total();
    facts.push((
        "rows",
        format!("{} pulled, {} settled", render::count(progress.rows), render::count(settled)),
    ));
    for outcome in Outcome::ALL {
        let n_rows = progress.counts.of(outcome);
        if n_rows > 0 {
            facts.push(("", format!("{:<10} {:>9}", outcome, render::count(n_rows))));
        }
    }
    if let Some(guarded) = guarded(run) {
        facts.push(("guarded", guarded));
    }
    for (name, n_rows) in [("to write", progress.intended), ("refused", progress.refused)] {
        if n_rows > 0 {
            facts.push(("", format!("{name:<10} {:>9}", render::count(n_rows))));
        }
    }
    let approval = run.released.as_ref().and_then(|release| Some((release.at, release.approval.as_ref()?)));
    if let Some((at, approval)) = approval {
        facts.push(("approved", format!("by {} at {}", approval.by, render::moment(at))));
    }
    if progress.batches > 0 {
        facts.push((
            "batches",
            format!(
                "{} of {} settled, {} in flight",
                progress.batches_settled, progress.batches, progress.batches_in_flight
            ),
        ));
    }
    let forecast = run
        .compiled
        .as_ref()
        .map(|compiled| format!("; at most {} more were forecast after the pull", compiled.forecast.calls))
        .unwrap_or_default();
    facts.push(("calls", format!("{}{forecast}", render::count(progress.calls))));
    facts.push(("started", render::moment(run.created_at)));
    if let Some(ended) = run.ended_at {
        let seconds = ended.duration_since(run.created_at).as_secs();
        facts.push(("ended", format!("{}, after {seconds} s", render::moment(ended))));
    }
    if let Some(purged) = run.purged_at {
        let what = "its rows, before-images and dead letters are gone, and it cannot be taken back";
        facts.push(("purged", format!("{}: {what}", render::moment(purged))));
    }
    facts.extend(run.warnings.iter().map(|warning| ("warning", warning.clone())));
    facts
}

/// What a person may want to type now.
fn hints(run: &Run, is_embedded: bool) -> Vec<String> {
    let id = run.id;
    let counts = &run.progress.counts;
    let mut hints = Vec::new();
    if run.purged_at.is_some() {
        return hints;
    }
    match run.state {
        RunState::SourceSync
        | RunState::AwaitRows
        | RunState::ConfigureChain
        | RunState::Previewing
        | RunState::Canary
        | RunState::Running => {
            if run.paused.is_some() {
                hints.push(format!("infill resume {id}"));
            }
            if run.connection_paused.is_some() {
                hints.push(format!("infill resume --connection {}", run.plan.connection));
            }
            if is_embedded {
                hints.push(format!("infill run --resume {id}   if no process works on it"));
            }
            hints.push(format!("infill cancel {id}"));
        }
        RunState::Cancelling => {
            if is_embedded {
                hints.push(format!("infill run --resume {id}   ends it, if no process works on it"));
            }
        }
        RunState::Stopped => {
            hints.push(
                "mend what is said under why, then run the plan again: rows already written come out unchanged"
                    .to_owned(),
            );
        }
        RunState::Previewed => {
            hints.push(format!("infill preview {id}"));
            hints.push(format!("infill apply {id}   writes exactly what it shows"));
        }
        RunState::Waiting => {
            if run.is_previewed() {
                hints.push(format!("infill preview {id}"));
            }
            hints.push(format!("infill approve {id}"));
            hints.push(format!("infill reject {id} --why \"...\""));
        }
        RunState::Empty => hints.push("the slice holds no record: look at it in the CRM".to_owned()),
        RunState::Completed | RunState::Cancelled => {}
    }
    for outcome in [Outcome::Held, Outcome::Differs, Outcome::Gone] {
        if counts.of(outcome) > 0 {
            hints.push(format!("infill rows {id} --outcome {outcome}"));
        }
    }
    if counts.failed > 0 {
        hints.push(format!("infill dead-letters --run {id}"));
    }
    hints
}

#[cfg(test)]
mod tests {
    use infill_model::row::GuardCounts;
    use infill_store::pause::Paused;

    use super::*;
    use crate::sample;

    fn shown_of(run: &Run, is_embedded: bool) -> String {
        let mut out = Vec::new();
        write(&mut out, run, is_embedded).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_run_under_way_shows_how_far_it_is_and_how_to_stop_it() {
        let mut run = sample::run(RunState::Running);
        run.progress.rows = 1200;
        run.progress.counts.verified = 1000;
        run.progress.guarded = GuardCounts { by_read: 600, by_age: 400 };
        let said = shown_of(&run, true);
        assert!(said.contains("guarded     600 rows by a read just before the write, 400 rows by"), "{said}");
        assert!(said.contains("rows        1,200 pulled, 1,000 settled"), "{said}");
        assert!(said.contains(&format!("next        infill cancel {}", run.id)), "{said}");
        assert!(said.contains("--resume"), "{said}");
        assert!(!shown_of(&run, false).contains("--resume"), "others work on it");
    }

    #[test]
    fn a_paused_run_says_who_paused_it_and_how_it_goes_on() {
        let mut run = sample::run(RunState::Running);
        run.paused = Some(Paused { at: sample::now(), by: "ann@desk".into() });
        run.connection_paused = Some(Paused { at: sample::now(), by: "ben@desk".into() });
        let said = shown_of(&run, false);
        for part in
            ["paused      since ", "by ann@desk", "paused      connection main, since ", "by ben@desk"]
        {
            assert!(said.contains(part), "{part} in {said}");
        }
        assert!(said.contains(&format!("next        infill resume {}", run.id)), "{said}");
        assert!(said.contains("next        infill resume --connection main"), "{said}");
    }

    #[test]
    fn a_purged_run_says_since_when_and_sends_nobody_to_its_rows() {
        let mut run = sample::run(RunState::Completed);
        run.progress.counts.held = 1;
        run.purged_at = Some(sample::now());
        let said = shown_of(&run, true);
        assert!(said.contains(&format!("purged      {}: its rows", render::moment(sample::now()))), "{said}");
        assert!(!said.contains("infill rows"), "{said}");
    }

    #[test]
    fn a_stopped_run_says_why_and_what_its_rows_need() {
        let mut run = sample::run(RunState::Stopped);
        run.cause = Some(sample::cause("the property \"phon\" does not exist\u{1b}[0m"));
        run.progress.counts.failed = 2;
        run.progress.counts.held = 1;
        let said = shown_of(&run, false);
        for part in ["the property \"phon\" does not exist\\u{1b}[0m", "--outcome held", "dead-letters --run"]
        {
            assert!(said.contains(part), "{part} in {said}");
        }
    }
}
