//! Listening, routing, and stopping without cutting an answer short.

use std::future::IntoFuture;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use infill_telemetry::Metrics;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{health, metrics};

/// Where to listen when the configuration does not say: loopback, on the port that Prometheus exporters of
/// OpenTelemetry use.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);

/// How long open answers may still take after the shutdown began. A scrape takes milliseconds.
const GRACE: Duration = Duration::from_secs(5);

/// The server cannot work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("listen on {listen}; choose another with `[server] listen`")]
    Bind {
        /// The address asked for.
        listen: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The listener broke.
    #[error("serve metrics and health")]
    Serve {
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Takes the address, so that a program can fail before it starts working. Port 0 takes any free port.
///
/// # Errors
/// [`Error::Bind`] when the address is taken or not this machine's.
pub async fn bind(listen: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(listen).await.map_err(|source| Error::Bind { listen, source })
}

/// Answers until `shutdown` is cancelled; answers begun by then are finished, for at most five seconds.
///
/// # Errors
/// [`Error::Serve`] when the listener breaks.
pub async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    health: health::Health,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    if let Ok(listen) = listener.local_addr() {
        tracing::info!(%listen, "serving metrics and health");
    }
    let drained = shutdown.clone().cancelled_owned();
    let mut serving =
        pin!(axum::serve(listener, router(metrics, health)).with_graceful_shutdown(drained).into_future());
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = shutdown.cancelled() => tokio::time::timeout(GRACE, serving).await.unwrap_or(Ok(())),
    };
    ended.map_err(|source| Error::Serve { source })
}

fn router(metrics: Metrics, health: health::Health) -> Router {
    Router::new()
        .route("/metrics", get(metrics::show).with_state(metrics))
        .route("/healthz", get(health::alive).with_state(health.clone()))
        .route("/readyz", get(health::ready).with_state(health))
        .fallback(async || (StatusCode::NOT_FOUND, "there is /metrics, /healthz and /readyz\n"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use infill_telemetry::Heartbeat;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tower::ServiceExt;

    use super::*;
    use crate::Readiness;
    use crate::health::Health;

    #[derive(Debug)]
    struct Reachable;

    #[async_trait::async_trait]
    impl Readiness for Reachable {
        async fn check(&self) -> Result<(), Vec<String>> {
            Ok(())
        }
    }

    fn health() -> Health {
        Health::new(Heartbeat::new(), Arc::new(Reachable))
    }

    async fn answer(path: &str) -> (u16, Option<String>, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router(Metrics::new(), health()).oneshot(request).await.unwrap();
        let kind = response.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, kind, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn metrics_come_in_the_text_format() {
        let (status, kind, body) = answer("/metrics").await;
        assert_eq!((status, kind.as_deref()), (200, Some("text/plain; version=0.0.4; charset=utf-8")));
        assert!(body.contains("# TYPE infill_rows_total counter"), "{body}");
    }

    #[tokio::test]
    async fn health_answers_at_its_two_paths() {
        assert_eq!(answer("/healthz").await.0, 200);
        assert_eq!(answer("/readyz").await.0, 200);
    }

    #[tokio::test]
    async fn an_unknown_path_says_which_there_are() {
        let (status, _, body) = answer("/").await;
        assert_eq!((status, body.as_str()), (404, "there is /metrics, /healthz and /readyz\n"));
    }

    #[test]
    fn the_default_address_is_loopback() {
        assert!(DEFAULT_LISTEN.ip().is_loopback());
    }

    #[tokio::test]
    async fn an_address_in_use_is_named_with_the_way_out() {
        let taken = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let error = bind(taken.local_addr().unwrap()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("listen on {}; choose another with `[server] listen`", taken.local_addr().unwrap())
        );
    }

    #[tokio::test]
    async fn shutdown_ends_the_server_although_a_client_holds_its_connection_open() {
        let listener = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, Metrics::new(), health(), shutdown.clone()));

        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        let mut status = [0; 15];
        client.read_exact(&mut status).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 200 OK");

        shutdown.cancel();
        serving.await.unwrap().unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }
}
