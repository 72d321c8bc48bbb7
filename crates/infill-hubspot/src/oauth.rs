//! Trading a refresh token for a new access token.
//!
//! Early, single-flight refresh and the keeping of rotated tokens are the store's; this is one exchange. A fault
//! of the app's own credentials is never reported as a grant that the user revoked.

use std::time::Duration;

use async_trait::async_trait;
use infill_crm::auth::{Refresh, Refreshed};
use infill_crm::exchange::{Answer, Body, Classified, Effect, Method, Request, parse};
use infill_crm::meter::Meter;
use infill_crm::{Error, Transport};
use infill_model::{Class, Timestamp};
use secrecy::SecretString;
use serde::Deserialize;

use crate::classify::classify;
use crate::request::ApiVersion;

/// The OAuth app that a grant was given to.
#[derive(Clone, Debug)]
pub struct OAuthApp {
    /// Its public id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretString,
}

/// Refreshes access tokens at HubSpot.
#[derive(Debug)]
pub struct OAuthRefresh {
    app: OAuthApp,
    version: ApiVersion,
    transport: Transport,
}

impl OAuthRefresh {
    /// Refreshes for `app`, through a [`Transport::without_login`].
    #[must_use]
    pub fn new(app: OAuthApp, version: ApiVersion, transport: Transport) -> Self {
        Self { app, version, transport }
    }
}

/// `POST /oauth/…/token`.
#[derive(Deserialize)]
struct Granted {
    access_token: SecretString,
    refresh_token: Option<SecretString>,
    /// Seconds.
    expires_in: u64,
}

/// An OAuth error, which is not the usual envelope.
#[derive(Debug, Default, Deserialize)]
struct Denied {
    error: Option<String>,
    error_description: Option<String>,
    status: Option<String>,
    message: Option<String>,
}

/// What the token endpoint's answer means.
fn classify_grant(request: &Request, answer: &Answer, now: Timestamp) -> Classified {
    let usual = classify(request, None, answer, now);
    let is_of_the_grant =
        (400..500).contains(&answer.status) && !matches!(answer.status, 408 | 423 | 429 | 477);
    if !is_of_the_grant {
        return usual;
    }
    let denied: Denied = serde_json::from_slice(&answer.body).unwrap_or_default();
    let said = denied.message.or(denied.error_description).unwrap_or_else(|| "no reason given".to_owned());
    let status = denied.status.unwrap_or_default();
    let error = denied.error.unwrap_or_default();
    let (class, code, way_out) = if status == "BAD_REFRESH_TOKEN" || error == "invalid_grant" {
        let way_out = "the grant was revoked or its refresh token is not this app's: authorise the app again";
        (Class::Unauthorized, "grant_revoked", way_out)
    } else if status == "BAD_HUB" {
        (Class::Configuration, "portal_unknown", "the portal no longer exists: take the connection out")
    } else {
        let way_out = "check the client id and secret of the app; the user's grant is not at fault";
        (Class::Configuration, "oauth_app", way_out)
    };
    let error = Error {
        status: Some(answer.status),
        ..Error::new(class, code, format!("HubSpot: {said}; {way_out}"))
    };
    Classified::failed(error)
}

#[async_trait]
impl Refresh for OAuthRefresh {
    async fn refresh(&self, refresh_token: &SecretString) -> Result<Refreshed, Error> {
        let request = Request {
            operation: "oauth_refresh",
            method: Method::Post,
            path: format!("/oauth/{}/token", self.version),
            headers: Vec::new(),
            body: Body::Form(vec![
                ("grant_type", "refresh_token".into()),
                ("client_id", self.app.client_id.as_str().into()),
                ("client_secret", self.app.client_secret.clone()),
                ("refresh_token", refresh_token.clone()),
            ]),
            meter: Meter::Free,
            cost: 0,
            effect: Effect::Write,
        };
        let answer =
            self.transport.call(&request, |answer, now| classify_grant(&request, answer, now)).await?;
        let granted: Granted = parse("HubSpot", &request, &answer)?;
        let lifetime = Duration::from_secs(granted.expires_in);
        Ok(Refreshed {
            access: granted.access_token,
            refresh: granted.refresh_token,
            expires_at: self.transport.now().checked_add(lifetime).ok(),
            base_url: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(status: u16, body: &'static str) -> (Class, String) {
        let request = Request {
            operation: "oauth_refresh",
            method: Method::Post,
            path: String::new(),
            headers: Vec::new(),
            body: Body::Empty,
            meter: Meter::Free,
            cost: 0,
            effect: Effect::Write,
        };
        let answer = Answer::of(status, &[], body);
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        let error = classify_grant(&request, &answer, now).result.unwrap_err();
        (error.class, error.code)
    }

    #[test]
    fn only_a_bad_grant_is_the_users_doing() {
        for (status, body, expected, code) in [
            (
                400,
                r#"{"error":"invalid_grant","error_description":"missing or unknown refresh token","status":"BAD_REFRESH_TOKEN","message":"missing or unknown refresh token"}"#,
                Class::Unauthorized,
                "grant_revoked",
            ),
            (
                400,
                r#"{"status":"BAD_HUB","error":"access_denied","message":"missing or unknown hub id"}"#,
                Class::Configuration,
                "portal_unknown",
            ),
            (401, r#"{"error":"invalid_client","message":"bad secret"}"#, Class::Configuration, "oauth_app"),
            (
                400,
                r#"{"status":"BAD_CLIENT_ID","message":"missing or unknown client id"}"#,
                Class::Configuration,
                "oauth_app",
            ),
            (418, "<html>", Class::Configuration, "oauth_app"),
            (503, "", Class::Transient, "http_503"),
            (429, r#"{"message":"You have reached your secondly limit."}"#, Class::Throttled, "http_429"),
        ] {
            assert_eq!(class(status, body), (expected, code.to_owned()), "{status} {body}");
        }
    }
}
