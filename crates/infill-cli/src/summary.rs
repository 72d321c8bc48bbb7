//! The end of a run, for a person or for a program: outcomes, calls, time, and what to type next. Goes to stdout.

use infill_model::plan::Only;
use infill_model::row::GuardCounts;
use infill_model::{Outcome, RunState};
use infill_store::store::{LetterFilter, LetterStatus, Run};

use crate::compose::Parts;
use crate::render::{count, say};

/// Prints the summary of a run.
pub(crate) async fn print(parts: &Parts, run: &Run) -> anyhow::Result<()> {
    let counts = &run.progress.counts;
    let is_of_changed = run.plan.source.only == Some(Only::Changed);
    say!("{} \"{}\" {}", run.id, run.plan.name, run.state);
    for outcome in Outcome::ALL {
        let n_rows = counts.of(outcome);
        if n_rows > 0 {
            let meaning = if is_of_changed && outcome == Outcome::Skipped {
                "a condition was not met, or the inputs are what they were"
            } else {
                meaning(outcome)
            };
            say!("  {outcome:<10} {n_rows:>9}  {meaning}");
        }
    }
    let not_begun = run.progress.rows.saturating_sub(counts.total());
    if not_begun > 0 {
        let why = if run.state == RunState::Waiting {
            "they wait for somebody to approve the run"
        } else {
            "no outcome: the run ended before their turn"
        };
        say!("  not begun  {not_begun:>9}  {why}");
    }
    if let Some(guarded) = guarded(run) {
        say!("  guarded: {guarded}");
    }
    say!("  {} rows, {} calls, {}", run.progress.rows, run.progress.calls, took(parts, run));
    if let Some(cause) = &run.cause {
        say!("  why: {} ({})", cause.message, cause.code);
    }
    for warning in &run.warnings {
        say!("  warning: {warning}");
    }
    for hint in hints(parts, run).await? {
        say!("  {hint}");
    }
    Ok(())
}

/// Prints the way back, for a run that wrote something to an account that is there tomorrow.
pub(crate) fn print_way_back(run: &Run) -> anyhow::Result<()> {
    let counts = &run.progress.counts;
    if counts.verified + counts.written > 0 && run.plan.source.undoes.is_none() {
        say!("  not what you wanted? infill undo {} --dry-run", run.id);
    }
    Ok(())
}

/// By what rows were guarded just before their write; `None` when none was.
pub(crate) fn guarded(run: &Run) -> Option<String> {
    let GuardCounts { by_read, by_age } = run.progress.guarded;
    let trusted = run.compiled.as_ref().map_or(0, |compiled| compiled.guard_older_than_seconds);
    let by_read = (by_read > 0).then(|| format!("{} rows by a read just before the write", count(by_read)));
    let by_age =
        (by_age > 0).then(|| format!("{} rows by values pulled less than {trusted} s before", count(by_age)));
    let parts: Vec<String> = by_read.into_iter().chain(by_age).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn took(parts: &Parts, run: &Run) -> String {
    let end = run.ended_at.unwrap_or_else(|| parts.clock.now());
    let seconds = end.duration_since(run.created_at).as_secs_f64();
    if seconds < 120.0 { format!("{seconds:.1} s") } else { format!("{:.1} min", seconds / 60.0) }
}

const fn meaning(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Verified => "written, read back by id, equal",
        Outcome::Written => "confirmed by the CRM; the plan asked for no read-back",
        Outcome::Unchanged => "had the value already; nothing was sent",
        Outcome::Skipped => "a condition was not met",
        Outcome::Held => "changed by somebody since the pull; nothing was sent",
        Outcome::Differs => "written, but shows another value now; both are kept",
        Outcome::Failed => "refused or out of tries; each has a dead letter",
        Outcome::Gone => "deleted, or merged into another record",
    }
}

async fn hints(parts: &Parts, run: &Run) -> anyhow::Result<Vec<String>> {
    let id = run.id;
    let counts = &run.progress.counts;
    let mut hints = Vec::new();
    for outcome in [Outcome::Held, Outcome::Differs, Outcome::Gone] {
        if counts.of(outcome) > 0 {
            hints.push(format!("look: infill rows {id} --outcome {outcome}"));
        }
    }
    let open = LetterFilter { run: Some(id), status: Some(LetterStatus::Open), ..LetterFilter::default() };
    let n_letters = parts.store.count_letters(&open).await?;
    if n_letters > 0 {
        hints.push(format!("look: infill dead-letters --run {id}   ({n_letters} open)"));
    }
    if run.cap.is_some_and(|cap| run.progress.ids >= cap)
        && run.state == RunState::Completed
        && counts.all_well()
    {
        let rest = if run.plan.source.only == Some(Only::New) { "rest" } else { "whole slice" };
        hints.push(format!("these rows went well: infill run PLAN --all runs it on the {rest}"));
    }
    Ok(hints)
}
