//! The stage `await-rows`: checks that what arrived is what the CRM says the slice holds, or the cap.

use std::time::Duration;

use infill_model::row::Cause;
use infill_model::{Class, RunState};
use infill_store::store::Run;

use crate::context::Context;
use crate::seen::{told, told_empty};
use crate::source_sync::most;
use crate::verdict::{Failure, Verdict};

/// Looks at a count that does not fit before going on with what arrived.
const LOOKS: u32 = 3;

/// Between two looks.
const BETWEEN_LOOKS: Duration = Duration::from_secs(5);

/// Checks the count.
///
/// # Errors
/// As the CRM and the store.
pub async fn await_rows(context: &Context, run: &Run, attempt: u32) -> Result<Verdict, Failure> {
    if run.state != RunState::AwaitRows {
        return Ok(Verdict::Complete);
    }
    let now = context.clock.now();
    let arrived = run.listing.ids;
    let expected = expected(context, run).await?;
    if let Some(size) = expected
        && size > arrived
    {
        let records = if run.listing.left_out > 0 { "new records" } else { "records" };
        if attempt < LOOKS {
            let message = format!("the CRM says {size} {records}, {arrived} arrived");
            let cause = Cause {
                class: Class::Transient,
                code: "rows_missing".into(),
                message,
                property: None,
                correlation_id: None,
                at: Some(now),
            };
            return Ok(Verdict::Retry { at: now.saturating_add(BETWEEN_LOOKS).unwrap_or(now), cause });
        }
        let text = format!(
            "the CRM says the slice holds {size} {records}, {arrived} arrived; this run covers the {arrived} that arrived"
        );
        context.store.warn_run(run.id, &text).await?;
    }
    if arrived == 0 {
        context.store.warn_run(run.id, &told_empty(run)).await?;
        context.store.move_run(run.id, &[RunState::AwaitRows], RunState::Empty, None, now).await?;
        return Ok(Verdict::Drop);
    }
    if let Some(text) = told(run) {
        context.store.warn_run(run.id, &text).await?;
    }
    context.store.move_run(run.id, &[RunState::AwaitRows], RunState::ConfigureChain, None, now).await?;
    Ok(Verdict::Complete)
}

/// How many rows should have arrived, where the CRM says so.
async fn expected(context: &Context, run: &Run) -> Result<Option<u64>, Failure> {
    if run.plan.source.is_supplied() {
        // The file was taken in before the run began: what was listed is what there is.
        return Ok(None);
    }
    let under_cap = |size: u64| {
        let size = size.saturating_sub(run.listing.left_out);
        most(run).map_or(size, |most| size.min(most))
    };
    let known = run.slice.as_ref().and_then(|slice| slice.size).map(under_cap);
    if known.is_none_or(|size| size <= run.listing.ids) {
        return Ok(known);
    }
    let Some(selection) = run.plan.source.selection() else { return Ok(None) };
    let crm = context.connections.crm(&run.plan.connection).await?;
    let slice = crm.resolve(&run.plan.source.object, &selection).await?;
    Ok(slice.size.map(under_cap))
}
