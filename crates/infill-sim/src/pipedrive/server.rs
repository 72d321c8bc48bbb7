//! The port: reading calls, sending answers, and cutting a connection when a fault asks for it.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use super::admin;
use super::answer::Answer;
use super::company::Company;
use super::dispatch::{Incoming, dispatch};
use crate::wire::Line;

/// A write of one record is far below this.
const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;

/// The router that answers every path.
pub(crate) fn router(company: Arc<Company>) -> Router {
    Router::new().fallback(serve).with_state(company)
}

async fn serve(
    State(company): State<Arc<Company>>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        return respond(Answer::html(413, "Payload Too Large"));
    };
    let text_of = |name: header::HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let incoming = Incoming {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        authorization: text_of(header::AUTHORIZATION),
        api_token: text_of(header::HeaderName::from_static("x-api-token")),
        body: &body,
    };
    if incoming.path.starts_with(admin::PREFIX) {
        return respond(admin::answer(&company, &incoming));
    }
    let outgoing = dispatch(&company, &incoming);
    if !outgoing.delay.is_zero() {
        slow_down(outgoing.delay).await;
    }
    match outgoing.answer {
        Some(answer) => respond(answer),
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
