//! A simulator's server, from its start to its end.

use std::future::IntoFuture;
use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::wire::{Line, Port};

/// A server at work. Dropping it closes the port at once.
#[derive(Debug)]
pub(crate) struct Serving {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Whose API it serves, for the log.
    vendor: &'static str,
    stop: CancellationToken,
    server: Option<JoinHandle<std::io::Result<()>>>,
}

impl Serving {
    /// Serves `router` on the current tokio runtime.
    pub(crate) fn start(
        vendor: &'static str,
        address: SocketAddr,
        listener: TcpListener,
        router: Router,
    ) -> Self {
        let service = router.into_make_service_with_connect_info::<Line>();
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let serving = axum::serve(Port(listener), service).with_graceful_shutdown(stopped);
        let server = tokio::spawn(serving.into_future());
        tracing::debug!(%address, vendor, "simulator started");
        Self { address, vendor, stop, server: Some(server) }
    }

    /// Serves until [`Serving::shutdown`], or until the task is ended from outside.
    pub(crate) async fn wait(&mut self) {
        if let Some(server) = &mut self.server
            && let Err(error) = server.await
        {
            tracing::debug!(error = %error, vendor = self.vendor, "simulator ended");
        }
        self.server = None;
    }

    /// Stops accepting calls, finishes those under way, and closes the port.
    pub(crate) async fn shutdown(mut self) {
        self.stop.cancel();
        self.wait().await;
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}
