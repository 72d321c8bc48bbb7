//! Planner and worker held by one process.

use std::sync::Arc;

use infill_model::RunId;
use infill_planner::Planner;
use infill_worker::{Context, Worker};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::compose::Parts;

/// The loops at work.
pub(crate) struct Crew {
    stop: CancellationToken,
    worker: JoinHandle<Result<(), infill_worker::Failure>>,
    planner: JoinHandle<()>,
    context: Arc<Context>,
}

impl Crew {
    /// Starts both on the embedded broker, for one run or for all that are unfinished. Runs that an earlier process left are
    /// taken up at once: on this engine nobody else can be holding them.
    pub(crate) async fn muster(parts: &Parts, only: Option<RunId>) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        let context = Arc::new(parts.worker_context().await?);
        let planner = Planner::new(
            Arc::clone(&parts.store),
            Arc::clone(&context.broker),
            Arc::clone(&parts.clock),
            parts.metrics.clone(),
            parts.heartbeat.clone(),
            parts.planner_settings(),
        );
        let unfinished = parts.unfinished(only).await?;
        for run in unfinished {
            planner.revive(run).await?;
        }
        let worker = Worker::new(Arc::clone(&context));
        let (on_worker, on_planner) = (stop.clone(), stop.clone());
        let worker = tokio::spawn(async move { worker.drive(on_worker).await });
        let planner = tokio::spawn(async move { planner.drive(only, on_planner).await });
        Ok(Self { stop, worker, planner, context })
    }

    /// Starts both for all unfinished runs, with metrics and health, and holds them until told to stop.
    pub(crate) async fn serve(parts: &Parts, stop: CancellationToken) -> anyhow::Result<()> {
        let crew = Self::muster(parts, None).await?;
        let pages = parts.serve(Arc::clone(&crew.context.broker), stop.clone()).await?;
        tracing::info!("planner and worker started on the embedded engine");
        stop.cancelled().await;
        crew.dismiss().await;
        Ok(pages.await?)
    }

    /// Stops both; what they hold is finished or goes back.
    pub(crate) async fn dismiss(self) {
        self.stop.cancel();
        match self.worker.await {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => tracing::error!(error = %infill_telemetry::chain(&failure), "worker failed"),
            Err(broken) => tracing::error!(error = %broken, "worker broke"),
        }
        if let Err(broken) = self.planner.await {
            tracing::error!(error = %broken, "planner broke");
        }
        self.context.broker.close().await;
    }
}
