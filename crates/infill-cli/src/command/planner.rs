//! `infill planner`: starts recorded runs and publishes again what nobody is seen working on.

use std::sync::Arc;

use infill_planner::Planner;
use tokio_util::sync::CancellationToken;

use crate::command::crew::Crew;
use crate::command::run::stop_on_signal;
use crate::compose::{Parts, Role};
use crate::exit::Exit;

/// Plans until SIGTERM or SIGINT. On the embedded engine it works too: there is nobody else.
pub(crate) async fn planner(parts: &Parts) -> anyhow::Result<Exit> {
    let stop = CancellationToken::new();
    stop_on_signal(&stop, || {
        tracing::info!("told to stop: what is in hand is finished first, once more ends at once");
    })?;
    if parts.is_embedded() {
        Crew::serve(parts, stop).await?;
        return Ok(Exit::Well);
    }
    let broker = parts.broker(Role::Planner).await?;
    let pages = parts.serve(Arc::clone(&broker), stop.clone()).await?;
    let planner = Planner::new(
        Arc::clone(&parts.store),
        Arc::clone(&broker),
        Arc::clone(&parts.clock),
        parts.metrics.clone(),
        parts.heartbeat.clone(),
        parts.planner_settings(),
    );
    tracing::info!("planner started");
    planner.drive(None, stop).await;
    broker.close().await;
    pages.await?;
    Ok(Exit::Well)
}
