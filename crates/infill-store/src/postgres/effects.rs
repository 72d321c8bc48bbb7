//! What actions make once for a row.

use infill_model::Timestamp;

use super::pool::{Parameter, Pool};
use crate::error::Error;
use crate::store::{Begun, EffectKey, Outputs};
use crate::stored::{begun, encode};

pub(super) async fn begin(pool: &Pool, effect: &EffectKey, now: Timestamp) -> Result<Begun, Error> {
    let operation = "begin an effect";
    let (run, record, action) = (effect.run.as_uuid(), effect.record.as_str(), effect.action.as_str());
    let key: [Parameter<'_>; 3] = [&run, &record, &action];
    let sql = "INSERT INTO effects (run_id, record, action, intended_at) VALUES ($1, $2, $3, $4) \
               ON CONFLICT DO NOTHING";
    if pool.execute(operation, sql, &[&run, &record, &action, &now]).await? > 0 {
        return Ok(Begun::Now);
    }
    let sql = "SELECT intended_at, outputs FROM effects WHERE run_id = $1 AND record = $2 AND action = $3";
    // An effect goes only with its run.
    let Some(row) = pool.query_opt(operation, sql, &key).await? else { return Ok(Begun::Before { at: now }) };
    let at: Timestamp = row.try_get(0).map_err(Pool::unreadable(operation))?;
    let outputs: Option<String> = row.try_get(1).map_err(Pool::unreadable(operation))?;
    begun(effect, at, outputs.as_deref())
}

pub(super) async fn end(pool: &Pool, effect: &EffectKey, outputs: &Outputs) -> Result<(), Error> {
    let outputs = encode(outputs)?;
    let (run, record, action) = (effect.run.as_uuid(), effect.record.as_str(), effect.action.as_str());
    let sql = "UPDATE effects SET outputs = $4 WHERE run_id = $1 AND record = $2 AND action = $3";
    pool.execute("end an effect", sql, &[&run, &record, &action, &outputs]).await?;
    Ok(())
}
