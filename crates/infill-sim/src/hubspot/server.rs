//! The port: reading calls, sending answers, and cutting a connection when a fault asks for it.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use super::admin;
use super::answer::Answer;
use super::dispatch::{Incoming, dispatch};
use super::portal::Portal;
use crate::wire::Line;

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
