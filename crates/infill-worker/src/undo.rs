//! The rows of a run that takes another one back: judged by what their records hold, in the place of a chain.

use infill_crm::Crm;
use infill_model::error::Class;
use infill_model::row::{Cause, Gone, RowState, Written};
use infill_model::{CompiledRun, Outcome, PropertyName, Row, RowResult, RunId, Timestamp};
use infill_rules::undo::{INPUT, undo};
use infill_store::store::Run;

use crate::letter::fail;
use crate::write::settle_gone;

/// What people are told when something is left alone in a record of which the rest is put back.
pub(crate) fn left_in_part(run: &Run) -> String {
    format!(
        "some records keep a value that somebody changed since, beside others that are put back; \
         `infill rows {}` names each (changed_since_run)",
        run.id
    )
}

/// Says of every pending row what is to be put back; and whether any row is put back only in part.
pub(crate) fn judge(
    undoes: RunId,
    rows: &[Row],
    results: &mut [RowResult],
    compiled: &CompiledRun,
    crm: &dyn Crm,
    now: Timestamp,
) -> bool {
    let mut is_any_left_in_part = false;
    let normalize = |property: &_, value: &_| crm.normalize(property, value);
    for (row, result) in rows.iter().zip(results).filter(|(_, result)| result.state == RowState::Pending) {
        if let Some(cause) = &row.refused {
            fail(result, Cause { at: Some(now), ..cause.clone() });
            continue;
        }
        if let Some(gone) = &row.gone {
            settle_gone(result, Gone { survivor: gone.survivor.clone() });
            continue;
        }
        let written = row.inputs.get(&PropertyName::from(INPUT)).cloned().unwrap_or_default();
        let written: Written = match serde_json::from_value(written) {
            Ok(written) => written,
            Err(source) => {
                fail(result, unreadable(row, undoes, &source, now));
                continue;
            }
        };
        let undone = undo(&compiled.targets, &written, &row.before, &normalize);
        is_any_left_in_part |= !undone.theirs.is_empty() && !undone.restore.is_empty();
        result.cause = (!undone.theirs.is_empty()).then(|| left_alone(row, undoes, &undone.theirs, now));
        result.state = if !undone.restore.is_empty() {
            RowState::Intended
        } else if undone.theirs.is_empty() {
            RowState::Settled(Outcome::Unchanged)
        } else {
            result.found.clone_from(&row.before);
            RowState::Settled(Outcome::Held)
        };
        result.wanted = undone.restore;
    }
    is_any_left_in_part
}

fn left_alone(row: &Row, undoes: RunId, theirs: &[PropertyName], now: Timestamp) -> Cause {
    let names: Vec<&str> = theirs.iter().map(PropertyName::as_str).collect();
    Cause {
        class: Class::Conflict,
        code: "changed_since_run".into(),
        message: format!(
            "{} of record {} no longer holds what run {undoes} wrote, so somebody changed it since; it is left as it is",
            names.join(", "),
            row.record
        ),
        property: names.first().map(|name| (*name).to_owned()),
        correlation_id: None,
        at: Some(now),
    }
}

fn unreadable(row: &Row, undoes: RunId, source: &serde_json::Error, now: Timestamp) -> Cause {
    Cause {
        class: Class::Bug,
        code: "undo_unreadable".into(),
        message: format!(
            "what run {undoes} wrote to record {} cannot be read ({source}); nothing was sent",
            row.record
        ),
        property: None,
        correlation_id: None,
        at: Some(now),
    }
}
