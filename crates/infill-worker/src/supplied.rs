//! The lines of a file of record ids, which `infill run` took into the store: listed and read from there in the place of the CRM.

use std::collections::HashMap;

use infill_crm::{Cursor, Page};
use infill_model::row::Cause;
use infill_model::slice::{Supplied, SuppliedPlace, Supply};
use infill_model::{Class, RecordId};
use infill_store::store::Run;

use crate::context::Context;
use crate::verdict::Failure;

/// Ids on one page of the listing.
const PAGE: u32 = 1_000;

/// What the file of a run is known to hold; `None` for a run that selects its records otherwise.
pub(crate) fn supply(run: &Run) -> Option<Supply> {
    Supply::of(run.slice.as_ref().filter(|_| run.plan.source.is_supplied())?)
}

/// One page of ids. A sample is drawn from the lines that can be used.
pub(crate) async fn page(context: &Context, run: &Run, cursor: Option<&Cursor>) -> Result<Page, Failure> {
    let after = cursor.map_or_else(|| Ok(SuppliedPlace::default()), |cursor| place(context, cursor))?;
    let mut lines = context.store.supplied(run.id, after, PAGE).await?;
    let is_full = u32::try_from(lines.len()).is_ok_and(|n_lines| n_lines == PAGE);
    let next = lines.last().filter(|_| is_full).map(|last| cursor_at(last.place()));
    if run.plan.source.sample.is_some() {
        lines.retain(|line| line.fault.is_none());
    }
    Ok(Page::of_ids(lines.into_iter().map(|line| line.record).collect(), next))
}

fn cursor_at(place: SuppliedPlace) -> Cursor {
    Cursor(serde_json::json!(place).to_string())
}

fn place(context: &Context, cursor: &Cursor) -> Result<SuppliedPlace, Failure> {
    serde_json::from_str(&cursor.0).map_err(|source| {
        Failure::Stop(Cause {
            class: Class::Bug,
            code: "listing_cursor".into(),
            message: format!("\"{}\" is no place in a file of ids: {source}", cursor.0),
            property: None,
            correlation_id: None,
            at: Some(context.clock.now()),
        })
    })
}

/// What the file has of these records; nothing for a run that selects its records otherwise.
pub(crate) async fn for_records(
    context: &Context,
    run: &Run,
    records: &[RecordId],
) -> Result<HashMap<RecordId, Supplied>, Failure> {
    if !run.plan.source.is_supplied() {
        return Ok(HashMap::new());
    }
    let lines = context.store.supplied_for(run.id, records).await?;
    Ok(lines.into_iter().map(|line| (line.record.clone(), line)).collect())
}
