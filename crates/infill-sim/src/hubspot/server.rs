//! The port: accepting connections, reading calls, sending answers, and cutting a connection when a fault asks for it.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use super::admin;
use super::answer::Answer;
use super::dispatch::{Incoming, dispatch};
use super::portal::Portal;

/// A batch of 100 inputs is far below this.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// The router that answers every path.
pub(crate) fn router(portal: Arc<Portal>) -> Router {
    Router::new().fallback(serve).with_state(portal)
}

async fn serve(
    State(portal): State<Arc<Portal>>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        return respond(Answer::html(413, "Payload Too Large"), None);
    };
    let authorization = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let incoming = Incoming {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        authorization,
        body: &body,
    };
    if incoming.path.starts_with(admin::PREFIX) {
        return respond(admin::answer(&portal, &incoming), None);
    }
    let outgoing = dispatch(&portal, &incoming);
    if !outgoing.delay.is_zero() {
        slow_down(outgoing.delay).await;
    }
    match outgoing.answer {
        Some(answer) => respond(answer, Some(&outgoing.correlation_id)),
        None => {
            line.cut();
            Response::new(Body::empty())
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a fault asked for a slow answer, and the caller is to feel it"
)]
async fn slow_down(delay: std::time::Duration) {
    tokio::time::sleep(delay).await;
}

fn respond(answer: Answer, correlation_id: Option<&str>) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    if let Some(value) = correlation_id.and_then(|id| HeaderValue::from_str(id).ok()) {
        headers.insert("x-hubspot-correlation-id", value);
    }
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    response
}

/// A listener whose connections can be reset by the handler of a call.
#[derive(Debug)]
pub(crate) struct Port(pub(crate) TcpListener);

impl Listener for Port {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(error = %error, "nodelay was not set");
        }
        (Wire { stream, line: Line::default() }, address)
    }

    fn local_addr(&self) -> Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// Lets a handler reset the connection it answers on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Line(Arc<AtomicBool>);

impl Line {
    /// The next byte that would be sent resets the connection in its place.
    fn cut(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_cut(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Connected<IncomingStream<'_, Port>> for Line {
    fn connect_info(stream: IncomingStream<'_, Port>) -> Self {
        stream.io().line.clone()
    }
}

/// A connection that fails its writes once cut, and closes with a reset.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    line: Line,
}

impl Wire {
    fn check(&self) -> Result<()> {
        if !self.line.is_cut() {
            return Ok(());
        }
        self.stream.set_zero_linger()?;
        Err(Error::from(ErrorKind::ConnectionReset))
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        // A reset, not an orderly end.
        self.check()?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
