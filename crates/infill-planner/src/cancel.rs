//! Cancelling a run: nothing new is begun, batches that were begun finish, and no row is left in limbo.
//!
//! What waits for another try, for the day's budget or for a mended login does not keep the run: it is looked at once more, now.

use infill_model::row::Cause;
use infill_model::run::CANCELLED_BY_HAND;
use infill_model::{Actor, Class, RunState, Timestamp};
use infill_store::Store;
use infill_store::audit::{Act, NewAuditEntry};
use infill_store::store::Run;

use crate::error::Error;

/// Asks a run to stop, and records who did; says whether it was under way. Asking again changes nothing.
///
/// # Errors
/// When the store fails.
pub async fn cancel(store: &dyn Store, run: &Run, by: &Actor, now: Timestamp) -> Result<bool, Error> {
    let entry = NewAuditEntry::of_run(now, by.clone(), Act::RunCancelled, run);
    let cause = Cause {
        class: Class::Configuration,
        code: CANCELLED_BY_HAND.into(),
        message: "cancelled by hand; rows that had not begun were not touched".into(),
        property: None,
        correlation_id: None,
        at: Some(now),
    };
    let nothing_in_flight =
        [RunState::SourceSync, RunState::AwaitRows, RunState::ConfigureChain, RunState::Waiting];
    if store.move_run_by(&entry, run.id, &nothing_in_flight, RunState::Cancelled, Some(&cause)).await? {
        return Ok(true);
    }
    let in_flight = [RunState::Previewing, RunState::Canary, RunState::Running];
    if !store.move_run_by(&entry, run.id, &in_flight, RunState::Cancelling, Some(&cause)).await? {
        return Ok(false);
    }
    store.hasten(run.id).await?;
    Ok(true)
}
