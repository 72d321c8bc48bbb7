//! What actions make once for a row.

use infill_model::Timestamp;
use rusqlite::params;

use super::connections::{Connections, Trouble, micros, moment};
use crate::commit::Commit;
use crate::error::Error;
use crate::store::{Begun, EffectKey, Outputs};
use crate::stored::{begun, encode};

pub(super) async fn begin(
    connections: &Connections,
    effect: &EffectKey,
    now: Timestamp,
) -> Result<Begun, Error> {
    let effect = effect.clone();
    connections
        .write("begin an effect", Commit::Durable, move |store| {
            let (run, record, action) =
                (effect.run.to_string(), effect.record.as_str(), effect.action.as_str());
            let added = store
                .prepare_cached(
                    "INSERT INTO effects (run_id, record, action, intended_at) VALUES (?1, ?2, ?3, ?4) \
                     ON CONFLICT DO NOTHING",
                )?
                .execute(params![run, record, action, micros(now)])?;
            if added > 0 {
                return Ok(Begun::Now);
            }
            let (at, outputs): (i64, Option<String>) = store
                .prepare_cached(
                    "SELECT intended_at, outputs FROM effects WHERE run_id = ?1 AND record = ?2 AND action = ?3",
                )?
                .query_row(params![run, record, action], |row| Ok((row.get(0)?, row.get(1)?)))?;
            begun(&effect, moment(at), outputs.as_deref()).map_err(Trouble::from)
        })
        .await
}

pub(super) async fn end(
    connections: &Connections,
    effect: &EffectKey,
    outputs: &Outputs,
) -> Result<(), Error> {
    let (effect, outputs) = (effect.clone(), encode(outputs)?);
    connections
        .write("end an effect", Commit::Ordered, move |store| {
            let key =
                params![effect.run.to_string(), effect.record.as_str(), effect.action.as_str(), outputs];
            store
                .prepare_cached(
                    "UPDATE effects SET outputs = ?4 WHERE run_id = ?1 AND record = ?2 AND action = ?3",
                )?
                .execute(key)?;
            Ok(())
        })
        .await
}
