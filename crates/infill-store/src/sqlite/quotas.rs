//! Quotas: one decision at a time for each connection. The clock is this machine's: the file is on it.

use std::sync::Arc;

use infill_model::{Clock, ConnectionName};
use rusqlite::{Connection, OptionalExtension, params};

use super::connections::{Connections, Trouble};
use crate::commit::Commit;
use crate::error::Error;
use crate::store::QuotaDecision;

pub(super) async fn update(
    connections: &Connections,
    clock: Arc<dyn Clock>,
    connection: &ConnectionName,
    decide: QuotaDecision,
) -> Result<(), Error> {
    let connection = connection.to_string();
    connections
        .write("update a quota", Commit::Ordered, move |store| {
            let state = state(store, &connection)?;
            // The right to write is held by now, so moments grow in the order of the decisions.
            if let Some(kept) = decide(state, clock.now()) {
                store
                    .prepare_cached(
                        "INSERT INTO quotas (connection, state) VALUES (?1, ?2) \
                         ON CONFLICT (connection) DO UPDATE SET state = excluded.state",
                    )?
                    .execute(params![connection, kept.to_string()])?;
            }
            Ok(())
        })
        .await
}

pub(super) async fn read(
    connections: &Connections,
    connection: &ConnectionName,
) -> Result<Option<serde_json::Value>, Error> {
    let connection = connection.to_string();
    connections.read("read a quota", move |store| state(store, &connection)).await
}

fn state(store: &Connection, connection: &str) -> Result<Option<serde_json::Value>, Trouble> {
    let text: Option<String> = store
        .prepare_cached("SELECT state FROM quotas WHERE connection = ?1")?
        .query_row([connection], |row| row.get(0))
        .optional()?;
    let state = text.map(|text| serde_json::from_str(&text)).transpose();
    Ok(state.map_err(|e| Error::Query { operation: "read the state of a quota", source: e.into() })?)
}
