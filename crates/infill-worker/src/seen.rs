//! What earlier runs of a plan that says `only` have seen: left out of the listing, or left as it is, and told at the end of the
//! pull. The plan says `only`, or none of this costs anything.

use std::collections::{HashMap, HashSet};

use infill_model::plan::Only;
use infill_model::row::{Cause, RowState};
use infill_model::seen::{Learnt, MemoryKey, Seen};
use infill_model::{Class, Outcome, RecordId, Row, RowResult, RunId, Timestamp};
use infill_rules::seen::{Fingerprinter, learn, same_as};
use infill_store::store::Run;

use crate::context::Context;
use crate::verdict::Failure;

/// Of these ids, those that an earlier run has seen and this one leaves out.
pub(crate) async fn left_out(
    context: &Context,
    run: &Run,
    records: &[RecordId],
) -> Result<HashSet<RecordId>, Failure> {
    if run.plan.source.only != Some(Only::New) || records.is_empty() {
        return Ok(HashSet::new());
    }
    let seen = context.store.seen(&MemoryKey::of(&run.plan), records).await?;
    Ok(seen.into_iter().map(|seen| seen.record).collect())
}

/// Marks the rows that an earlier run worked on with the same inputs, and puts them after the others: so the canary is of rows
/// that are worked on, as far as there are any. Rows that are refused stay last.
pub(crate) async fn mark_same(context: &Context, run: &Run, mut rows: Vec<Row>) -> Result<Vec<Row>, Failure> {
    let only = run.plan.source.only;
    if only != Some(Only::Changed) {
        return Ok(rows);
    }
    let records: Vec<RecordId> = rows.iter().map(|row| row.record.clone()).collect();
    let seen = context.store.seen(&MemoryKey::of(&run.plan), &records).await?;
    let seen: HashMap<&RecordId, &Seen> = seen.iter().map(|seen| (&seen.record, seen)).collect();
    let fingerprints = Fingerprinter::of(&run.plan);
    for row in rows.iter_mut().filter(|row| row.gone.is_none() && row.refused.is_none()) {
        row.same_as = same_as(only, &fingerprints.take(&row.inputs), seen.get(&row.record).copied());
    }
    rows.sort_by_key(|row| (row.refused.is_some(), row.same_as.is_some()));
    Ok(rows)
}

/// Settles a row that is left as it is.
pub(crate) fn leave(result: &mut RowResult, same_as: RunId, now: Timestamp) {
    result.state = RowState::Settled(Outcome::Skipped);
    result.cause = Some(Cause {
        class: Class::Rejected,
        code: "inputs_unchanged".into(),
        message: format!(
            "its inputs are what they were in run {same_as}, where it went well, and the plan takes only what changed"
        ),
        property: None,
        correlation_id: None,
        at: Some(now),
    });
}

/// What the rows of a batch teach the plan, if it remembers anything.
pub(crate) fn learnt(run: &Run, rows: &[Row], results: &[RowResult]) -> Option<(MemoryKey, Learnt)> {
    run.plan.source.only?;
    Some((MemoryKey::of(&run.plan), learn(&Fingerprinter::of(&run.plan), rows, results)))
}

/// What to tell of a pull that is complete.
pub(crate) fn told(run: &Run) -> Option<String> {
    let (left_out, same, rows) = (run.listing.left_out, run.progress.same, run.progress.rows);
    match run.plan.source.only? {
        Only::New => (left_out > 0).then(|| format!("{}: left out", records_seen(left_out))),
        Only::Changed if same == 0 => None,
        Only::Changed => {
            let nothing = if same == rows { "nothing has changed: " } else { "" };
            let records = if same == 1 { "record has" } else { "records have" };
            Some(format!("{nothing}{same} {records} the inputs of an earlier run: skipped"))
        }
    }
}

/// What to tell of a slice without a record to work on.
pub(crate) fn told_empty(run: &Run) -> String {
    match run.listing.left_out {
        0 => "the slice holds no record, so there was nothing to do".to_owned(),
        left_out => format!("nothing new: {}, so there was nothing to do", records_seen(left_out)),
    }
}

fn records_seen(n_records: u64) -> String {
    let records = if n_records == 1 { "record was" } else { "records were" };
    format!("{n_records} {records} seen by an earlier run")
}
