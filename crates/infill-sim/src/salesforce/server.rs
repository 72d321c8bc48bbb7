//! The port: reading calls, sending answers, and holding, delaying or cutting them when a fault asks for it.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use super::admin;
use super::answer::Answer;
use super::dispatch::{Incoming, Outgoing, dispatch};
use super::org::Org;
use crate::wire::Line;

/// Above the vendor's cap on the file of a bulk job, which the ingest call enforces itself.
const MAX_BODY_BYTES: usize = 256 * 1024 * 1024;

/// The router that answers every path.
pub(crate) fn router(org: Arc<Org>) -> Router {
    Router::new().fallback(serve).with_state(org)
}

async fn serve(
    State(org): State<Arc<Org>>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        return respond(Answer::html(413, "Payload Too Large"));
    };
    let incoming = Incoming {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        headers: &parts.headers,
        body: &body,
    };
    if incoming.path.starts_with(admin::PREFIX) {
        return respond(admin::answer(&org, &incoming));
    }
    let mut released = org.released.subscribe();
    let Outgoing { delay, is_held, answer, flight } = dispatch(&org, &incoming);
    if !delay.is_zero() {
        slow_down(delay).await;
    }
    if is_held {
        let _held = Held::begin(&org);
        // The sender lives as long as the org, which this call holds.
        if released.changed().await.is_err() {
            tracing::debug!("the org is gone");
        }
    }
    drop(flight);
    match answer {
        Some(answer) => respond(answer),
        None => {
            line.cut();
            Response::new(Body::empty())
        }
    }
}

/// Counts an answer as held until it is dropped.
struct Held<'a>(&'a Org);

impl<'a> Held<'a> {
    fn begin(org: &'a Org) -> Self {
        org.held.send_modify(|n| *n += 1);
        Self(org)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.held.send_modify(|n| *n = n.saturating_sub(1));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a fault asked for a slow answer, and the caller is to feel it"
)]
async fn slow_down(delay: std::time::Duration) {
    tokio::time::sleep(delay).await;
}

fn respond(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    response
}
