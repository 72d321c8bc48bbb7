//! Pausing: what was sent is followed to its end, nothing else is begun, and nothing is lost.
//!
//! The workers do it, by what the store says of a run: claims give nothing, and whoever gets a message of a paused run sets its work
//! aside. What waits for another try or a budget would come to that only when its time has come, so it is made due here.

use infill_model::{Actor, ConnectionName, Timestamp};
use infill_store::Store;
use infill_store::audit::{Act, NewAuditEntry};
use infill_store::pause::Pausable;
use infill_store::store::{Run, RunFilter};

use crate::error::Error;

/// Pauses a run, and records who did; says whether it was under way and not paused.
///
/// # Errors
/// When the store fails.
pub async fn pause_run(store: &dyn Store, run: &Run, by: &Actor, now: Timestamp) -> Result<bool, Error> {
    let entry = NewAuditEntry::of_run(now, by.clone(), Act::RunPaused, run);
    let has_changed = store.pause(&Pausable::Run(run.id), &entry).await?;
    if has_changed {
        store.hasten(run.id).await?;
    }
    Ok(has_changed)
}

/// Ends the pause of a run, and records who did; says whether there was one.
///
/// # Errors
/// When the store fails.
pub async fn resume_run(store: &dyn Store, run: &Run, by: &Actor, now: Timestamp) -> Result<bool, Error> {
    let entry = NewAuditEntry::of_run(now, by.clone(), Act::RunResumed, run);
    let has_changed = store.resume(&Pausable::Run(run.id), &entry).await?;
    if has_changed {
        store.hasten(run.id).await?;
    }
    Ok(has_changed)
}

/// Pauses a connection with every run on it, those to come as well, and records who did; says whether it was not paused.
///
/// # Errors
/// When the store fails.
pub async fn pause_connection(
    store: &dyn Store,
    connection: &ConnectionName,
    by: &Actor,
    now: Timestamp,
) -> Result<bool, Error> {
    let entry = of_connection(now, by, Act::ConnectionPaused, connection);
    let has_changed = store.pause(&Pausable::Connection(connection.clone()), &entry).await?;
    if has_changed {
        hasten_all(store, connection).await?;
    }
    Ok(has_changed)
}

/// Ends the pause of a connection, and records who did; says whether there was one. Runs that were paused by themselves stay so.
///
/// # Errors
/// When the store fails.
pub async fn resume_connection(
    store: &dyn Store,
    connection: &ConnectionName,
    by: &Actor,
    now: Timestamp,
) -> Result<bool, Error> {
    let entry = of_connection(now, by, Act::ConnectionResumed, connection);
    let has_changed = store.resume(&Pausable::Connection(connection.clone()), &entry).await?;
    if has_changed {
        hasten_all(store, connection).await?;
    }
    Ok(has_changed)
}

fn of_connection(now: Timestamp, by: &Actor, act: Act, connection: &ConnectionName) -> NewAuditEntry {
    NewAuditEntry { connection: Some(connection.clone()), ..NewAuditEntry::new(now, by.clone(), act) }
}

async fn hasten_all(store: &dyn Store, connection: &ConnectionName) -> Result<(), Error> {
    let unfinished = RunFilter { unfinished: true, ..RunFilter::default() };
    for run in store.runs(&unfinished).await? {
        if run.plan.connection == *connection {
            store.hasten(run.id).await?;
        }
    }
    Ok(())
}
