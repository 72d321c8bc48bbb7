//! `infill worker`: handles stage messages until told to stop.

use std::sync::Arc;

use infill_worker::Worker;
use tokio_util::sync::CancellationToken;

use crate::command::crew::Crew;
use crate::command::run::stop_on_signal;
use crate::compose::Parts;
use crate::exit::Exit;

/// Works until SIGTERM or SIGINT, then drains. On the embedded engine it plans too: there is nobody else.
pub(crate) async fn worker(parts: &Parts) -> anyhow::Result<Exit> {
    let stop = CancellationToken::new();
    stop_on_signal(&stop, || {
        tracing::info!("told to stop: what is in hand is finished first, once more ends at once");
    })?;
    if parts.is_embedded() {
        Crew::serve(parts, stop).await?;
        return Ok(Exit::Well);
    }
    let context = Arc::new(parts.worker_context().await?);
    let pages = parts.serve(Arc::clone(&context.broker), stop.clone()).await?;
    tracing::info!(concurrency = context.settings.concurrency, "worker started");
    Worker::new(Arc::clone(&context)).drive(stop.clone()).await?;
    stop.cancel();
    context.broker.close().await;
    pages.await?;
    tracing::info!("worker drained");
    Ok(Exit::Well)
}
