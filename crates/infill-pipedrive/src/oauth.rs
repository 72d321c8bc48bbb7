//! Trading a refresh token for a new access token.
//!
//! Access tokens live an hour (3,599 seconds). The refresh token stays the same, and dies after 60 days without use.
//! Early, single-flight refresh is the store's; this is one exchange.

use std::time::Duration;

use async_trait::async_trait;
use infill_crm::auth::{Refresh, Refreshed};
use infill_crm::exchange::{Answer, Body, Classified, Effect, Method, Request, parse};
use infill_crm::meter::Meter;
use infill_crm::transport::Url;
use infill_crm::{Error, Transport};
use infill_model::{Class, Timestamp};
use secrecy::SecretString;
use serde::Deserialize;

use crate::classify::{Complaint, classify};

/// Where Pipedrive gives tokens.
const AUTHORITY: &str = "https://oauth.pipedrive.com";

/// Where tokens are given for the API at this address: Pipedrive's own host, or the same host for anything that is not
/// Pipedrive's (a proxy, a simulator).
#[must_use]
pub fn authority(base_url: &Url) -> Url {
    let is_pipedrive =
        base_url.host_str().is_some_and(|host| host == "pipedrive.com" || host.ends_with(".pipedrive.com"));
    if is_pipedrive && let Ok(authority) = Url::parse(AUTHORITY) { authority } else { base_url.clone() }
}

/// Refreshes access tokens at Pipedrive.
#[derive(Debug)]
pub struct OAuthRefresh {
    transport: Transport,
}

impl OAuthRefresh {
    /// Refreshes through a [`Transport::without_login`] to [`authority`] that names the app by
    /// [`Transport::as_client`].
    #[must_use]
    pub fn new(transport: Transport) -> Self {
        Self { transport }
    }
}

/// `POST /oauth/token`.
#[derive(Deserialize)]
struct Granted {
    access_token: SecretString,
    refresh_token: Option<SecretString>,
    /// Seconds.
    expires_in: u64,
    /// The address of the company's API.
    api_domain: Option<String>,
}

/// What the token endpoint's answer means.
fn classify_grant(request: &Request, answer: &Answer, now: Timestamp) -> Classified {
    let is_of_the_grant = (400..500).contains(&answer.status) && !matches!(answer.status, 408 | 429);
    if !is_of_the_grant {
        return classify(request, answer, now, None);
    }
    let complaint = Complaint::read(&answer.body).unwrap_or_default();
    let all = format!("{} {}", complaint.error, complaint.info).to_lowercase();
    let (class, code, way_out) = if all.contains("invalid grant") || all.contains("invalid_grant") {
        let way_out = "the app was uninstalled, its user changed, or the grant was not used for 60 days: install it again";
        (Class::Unauthorized, "grant_revoked", way_out)
    } else {
        let way_out = "check the client id and secret of the app; the user's grant is not at fault";
        (Class::Configuration, "oauth_app", way_out)
    };
    let message = format!("Pipedrive: {}; {way_out}", complaint.words());
    Classified::failed(Error { status: Some(answer.status), ..Error::new(class, code, message) })
}

#[async_trait]
impl Refresh for OAuthRefresh {
    async fn refresh(&self, refresh_token: &SecretString) -> Result<Refreshed, Error> {
        let request = Request {
            operation: "oauth_refresh",
            method: Method::Post,
            path: "/oauth/token".to_owned(),
            headers: Vec::new(),
            body: Body::Form(vec![
                ("grant_type", "refresh_token".into()),
                ("refresh_token", refresh_token.clone()),
            ]),
            meter: Meter::Free,
            cost: 0,
            effect: Effect::Write,
        };
        let answer =
            self.transport.call(&request, |answer, now| classify_grant(&request, answer, now)).await?;
        let granted: Granted = parse("Pipedrive", &request, &answer)?;
        let lifetime = Duration::from_secs(granted.expires_in);
        Ok(Refreshed {
            access: granted.access_token,
            refresh: granted.refresh_token,
            expires_at: self.transport.now().checked_add(lifetime).ok(),
            base_url: granted.api_domain.and_then(|domain| Url::parse(&domain).ok()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_given_by_pipedrives_own_host_or_by_whoever_stands_in_for_it() {
        for (base, expected) in [
            ("https://api.pipedrive.com", "https://oauth.pipedrive.com/"),
            ("https://acme.pipedrive.com", "https://oauth.pipedrive.com/"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/"),
            ("https://pipedrive.com.example.org", "https://pipedrive.com.example.org/"),
        ] {
            assert_eq!(authority(&base.parse().unwrap()).as_str(), expected);
        }
    }

    #[test]
    fn a_wrong_app_is_not_a_revoked_grant() {
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
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        for (status, body, class, code) in [
            (
                400,
                r#"{"success":false,"message":"Invalid grant: refresh_token is invalid","error":"invalid_grant"}"#,
                Class::Unauthorized,
                "grant_revoked",
            ),
            (
                400,
                r#"{"success":false,"error":"Invalid grant: refresh_token is invalid"}"#,
                Class::Unauthorized,
                "grant_revoked",
            ),
            (401, r#"{"error":"invalid_client"}"#, Class::Configuration, "oauth_app"),
            (403, "<html>", Class::Configuration, "oauth_app"),
            (503, "", Class::Transient, "http_503"),
            (429, r#"{"error":"request over limit"}"#, Class::Throttled, "http_429"),
        ] {
            let error = classify_grant(&request, &Answer::of(status, &[], body), now).result.unwrap_err();
            assert_eq!((error.class, error.code.as_str()), (class, code), "{status} {body}");
        }
    }
}
