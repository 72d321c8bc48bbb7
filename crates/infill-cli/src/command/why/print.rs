//! The answer for a person.

use std::io::Write;

use anyhow::Context;
use infill_model::{Outcome, Properties};

use super::{ChangeView, NowView, Standing, Story, TraceView};
use crate::command::purge::n_runs;
use crate::render::{cut, moment, of_value, shown};

/// The widest a value may be, in characters; JSON has it whole.
const WIDEST: usize = 80;

/// Writes the answer.
pub(super) fn write(out: &mut dyn Write, story: &Story<'_>) -> anyhow::Result<()> {
    lines(story).iter().try_for_each(|line| writeln!(out, "{}", shown(line))).context("print the answer")
}

fn lines(story: &Story<'_>) -> Vec<String> {
    let mut lines = vec![format!("{} {} on {}", story.object, story.record, story.connection)];
    lines.extend(story.url.clone());
    lines.push(String::new());
    if story.gone {
        lines.push("the record is no longer there: deleted, or merged into another".to_owned());
    } else {
        lines.extend(story.properties.iter().map(now));
    }
    for run in &story.runs {
        lines.push(String::new());
        lines.extend(trace(run));
    }
    if story.runs.is_empty() {
        lines.push("no run in this store wrote it, or meant to".to_owned());
    }
    if story.purged_runs > 0 {
        lines.push(String::new());
        lines.push(format!(
            "the values of {} on {} of this connection were purged: what they did to this record is no longer known",
            n_runs(story.purged_runs),
            story.object
        ));
    }
    lines
}

fn now(now: &NowView<'_>) -> String {
    let value = value(now.value);
    let Some(writer) = &now.written_by else {
        return format!("{} holds {value}: no run in this store wrote it", now.property);
    };
    let run = format!("run {} (\"{}\", {})", writer.run, writer.plan_name, moment(writer.at));
    match now.standing {
        None => format!("{} was last written by {run}", now.property),
        Some(Standing::Ours) => format!("{} holds {value}: written by {run}", now.property),
        Some(Standing::AsBefore) => {
            format!("{} holds {value}, as before {run}: somebody put it back", now.property)
        }
        Some(Standing::ChangedSince) => {
            format!("{} holds {value}: somebody changed it since {run}", now.property)
        }
    }
}

fn trace(run: &TraceView<'_>) -> Vec<String> {
    let outcome = run.outcome.map_or("not settled", Outcome::as_str);
    let settled = run.settled_at.unwrap_or(run.started_at);
    let mut lines = vec![format!("{}  {outcome}  \"{}\", run {}", moment(settled), run.plan_name, run.run)];
    lines.extend(run.changes.iter().map(|change| format!("  {}", changed(change, run.outcome))));
    if let Some(undone) = run.undoes {
        lines.push(format!("  takes run {undone} back"));
    }
    if let Some(inputs) = run.inputs.filter(|inputs| !inputs.is_empty()) {
        lines.push(format!("  from {} (read {})", listed(inputs), moment(run.pulled_at)));
    }
    for cell in run.cells {
        let outputs: Vec<String> =
            cell.outputs.iter().map(|(name, output)| format!("{name} = {}", value(Some(output)))).collect();
        let error = cell.error.as_ref().map(|error| format!("failed: {} ({})", error.message, error.code));
        let gave = error.unwrap_or_else(|| outputs.join(", "));
        if !gave.is_empty() {
            lines.push(format!("  by {}: {gave}", cell.action));
        }
    }
    if let Some(cause) = run.cause {
        lines.push(format!("  why: {} ({})", cause.message, cause.code));
    }
    lines
}

fn changed(change: &ChangeView<'_>, outcome: Option<Outcome>) -> String {
    let ChangeView { property, before, wanted, found } = change;
    let meant = format!("{property}: {} → {}", value(*before), value(Some(wanted)));
    let what = match outcome {
        Some(Outcome::Verified) => "read back and equal",
        Some(Outcome::Written) => "confirmed by the CRM, not read back",
        Some(Outcome::Differs) => "written, but it read back differently",
        Some(Outcome::Held) => "not sent: somebody had changed the record",
        Some(Outcome::Failed) => "refused or out of tries",
        Some(Outcome::Gone) => "the record was gone",
        Some(Outcome::Unchanged | Outcome::Skipped) => "not sent",
        None => "under way",
    };
    let found = found.map(|found| format!("; it held {}", value(Some(found)))).unwrap_or_default();
    format!("{meant}, {what}{found}")
}

fn listed(properties: &Properties) -> String {
    let each: Vec<String> =
        properties.iter().map(|(name, input)| format!("{name} = {}", value(Some(input)))).collect();
    each.join(", ")
}

fn value(value: Option<&infill_model::Value>) -> String {
    cut(&of_value(value), WIDEST)
}
