//! Who may call: session ids, access tokens that die, and the four ways to get one.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::config::{App, SIM_USERNAME};
use super::jwt;
use super::store::{INTEGRATION_USER, user_id};
use crate::query::Pairs;

const JWT_GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// The vendor's words when a refresh token, or what it gave, is no more.
pub(crate) const EXPIRED: &str = "expired access/refresh token";
/// The vendor's words when two refreshes of one token meet. The code is the same as of [`EXPIRED`].
pub(crate) const BUSY: &str = "token request is already being processed";

/// The org's id.
pub(crate) const ORG_ID: &str = "00Dak000015ftgHEAQ";

#[derive(Debug)]
struct Access {
    expires_ms: i64,
    calls_left: Option<u64>,
}

/// The tokens of an org.
#[derive(Debug)]
pub(crate) struct Auth {
    sessions: HashSet<String>,
    app: App,
    base_url: String,
    access: HashMap<String, Access>,
    refresh: HashSet<String>,
    /// Rotated away: presenting one ends everything.
    retired: HashSet<String>,
    /// Refresh tokens being exchanged, by the number of the call.
    busy: BTreeMap<u64, String>,
    n_minted: u64,
}

impl Auth {
    pub(crate) fn new(sessions: &[String], app: App, base_url: &str) -> Self {
        Self {
            sessions: sessions.iter().cloned().collect(),
            base_url: base_url.to_owned(),
            access: HashMap::new(),
            refresh: HashSet::from([app.refresh_token.clone()]),
            retired: HashSet::new(),
            busy: BTreeMap::new(),
            n_minted: 0,
            app,
        }
    }

    /// Lets a call in by its `Authorization` header, and counts it against its token.
    pub(crate) fn admit(&mut self, headers: &HeaderMap, now_ms: i64) -> Result<(), Refusal> {
        let Some(header) = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) else {
            return Err(Refusal::session());
        };
        let token = match header.split_once(' ') {
            Some((scheme, token)) if ["bearer", "oauth"].contains(&scheme.to_lowercase().as_str()) => {
                token.trim()
            }
            Some(_) | None => {
                return Err(Refusal::new(401, "INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE"));
            }
        };
        if self.sessions.contains(token) {
            return Ok(());
        }
        let access = self.access.get_mut(token).filter(|access| access.expires_ms > now_ms);
        let access = access.ok_or_else(Refusal::session)?;
        match &mut access.calls_left {
            Some(0) => Err(Refusal::session()),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// `POST /services/oauth2/token`. The token is busy until [`Auth::settle`] with the call's number.
    pub(crate) fn grant(&mut self, form: &Pairs, headers: &HeaderMap, nth: u64, now_ms: i64) -> Answer {
        let field = |name: &str| form.first(name).unwrap_or_default();
        match field("grant_type") {
            "refresh_token" => match self.check_client(form, headers) {
                Some(refused) => refused,
                None => self.refresh(field("refresh_token"), nth, now_ms),
            },
            "client_credentials" if !self.app.has_client_credentials => {
                refuse("invalid_grant", "no client credentials user enabled")
            }
            "client_credentials" => {
                self.check_client(form, headers).unwrap_or_else(|| self.mint(None, now_ms))
            }
            JWT_GRANT => {
                let (app, assertion) = (&self.app, field("assertion"));
                let checked =
                    jwt::check(assertion, &app.jwt, &app.client_id, SIM_USERNAME, &self.base_url, now_ms);
                match checked {
                    Ok(()) => self.mint(None, now_ms),
                    Err(description) => refuse("invalid_grant", description),
                }
            }
            "password" => refuse("invalid_grant", "authentication failure"),
            _ => refuse("unsupported_grant_type", "grant type not supported"),
        }
    }

    /// The client names itself in the form, or by HTTP's basic authentication.
    fn check_client(&self, form: &Pairs, headers: &HeaderMap) -> Option<Answer> {
        let field = |name: &str| form.first(name).unwrap_or_default().to_owned();
        let (id, secret) = basic(headers).unwrap_or_else(|| (field("client_id"), field("client_secret")));
        if id != self.app.client_id {
            return Some(refuse("invalid_client_id", "client identifier invalid"));
        }
        (secret != self.app.client_secret).then(|| refuse("invalid_client", "invalid client credentials"))
    }

    fn refresh(&mut self, given: &str, nth: u64, now_ms: i64) -> Answer {
        if self.busy.values().any(|busy| busy == given) {
            return refuse("invalid_grant", BUSY);
        }
        if self.retired.contains(given) {
            self.refresh.clear();
            self.access.clear();
        }
        if !self.refresh.contains(given) {
            return refuse("invalid_grant", EXPIRED);
        }
        self.busy.insert(nth, given.to_owned());
        let rotated = self.app.rotates_refresh_tokens.then(|| {
            self.refresh.remove(given);
            self.retired.insert(given.to_owned());
            let fresh = format!("sim-refresh-{}", self.n_minted + 1);
            self.refresh.insert(fresh.clone());
            fresh
        });
        self.mint(rotated, now_ms)
    }

    fn mint(&mut self, refresh_token: Option<String>, now_ms: i64) -> Answer {
        self.n_minted += 1;
        let token = format!("{}!sim-access-{}", ORG_ID.get(..15).unwrap_or(ORG_ID), self.n_minted);
        let ttl_ms = i64::try_from(self.app.token_ttl.as_millis()).unwrap_or(i64::MAX);
        let access =
            Access { expires_ms: now_ms.saturating_add(ttl_ms), calls_left: self.app.calls_per_token };
        self.access.insert(token.clone(), access);
        let mut body = json!({
            "access_token": token, "instance_url": self.base_url, "id": self.identity_url(),
            "token_type": "Bearer", "issued_at": now_ms.to_string(), "scope": "refresh_token api id",
            "signature": format!("sim-signature-{}", self.n_minted),
        });
        if let (Value::Object(body), Some(refresh_token)) = (&mut body, refresh_token) {
            body.insert("refresh_token".to_owned(), refresh_token.into());
        }
        Answer::value(200, &body)
    }

    /// The address that says who is connected.
    pub(crate) fn identity_url(&self) -> String {
        format!("{}/id/{ORG_ID}/{}", self.base_url, user_id(INTEGRATION_USER))
    }

    /// `POST /services/oauth2/revoke`.
    pub(crate) fn revoke(&mut self, form: &Pairs) -> Answer {
        let token = form.first("token").unwrap_or_default();
        if self.refresh.remove(token) {
            self.access.clear();
            return Answer::empty(200);
        }
        match self.access.remove(token) {
            Some(_) => Answer::empty(200),
            None => refuse("unsupported_token_type", "this token type is not supported"),
        }
    }

    /// The call of that number is over: its refresh token may be exchanged again.
    pub(crate) fn settle(&mut self, nth: u64) {
        self.busy.remove(&nth);
    }

    /// Ends the session that a call uses, as a fault asks.
    pub(crate) fn end_session(&mut self, headers: &HeaderMap) {
        let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        if let Some((_, token)) = header.and_then(|header| header.split_once(' ')) {
            self.access.remove(token.trim());
        }
    }

    /// Ends every access token now; refresh tokens stay.
    pub(crate) fn expire_all(&mut self) {
        self.access.clear();
    }

    /// Revokes every refresh token: somebody must approve the app again.
    pub(crate) fn revoke_refresh_tokens(&mut self) {
        self.refresh.clear();
    }

    /// Makes a refresh token good, as approving the app again does.
    pub(crate) fn approve(&mut self, refresh_token: &str) {
        self.refresh.insert(refresh_token.to_owned());
    }

    /// Changes how long access tokens live from now on.
    pub(crate) fn set_ttl(&mut self, ttl: Duration) {
        self.app.token_ttl = ttl;
    }
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let header = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let pair = BASE64_STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
    let (id, secret) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

/// A refusal of the token endpoint, which is no array.
pub(crate) fn refuse(error: &str, description: &str) -> Answer {
    Answer::value(400, &json!({"error": error, "error_description": description}))
}
