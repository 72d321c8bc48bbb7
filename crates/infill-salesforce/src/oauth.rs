//! Fetching an access token by one of the three grants that a server uses.
//!
//! When a token dies is not told, so it is used until Salesforce refuses it. The keeping of rotated refresh tokens, and that one
//! worker refreshes at a time, are the store's; this is one exchange.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use infill_crm::auth::{Refresh, Refreshed};
use infill_crm::exchange::{Answer, Body, Classified, Effect, Method, Request, parse};
use infill_crm::meter::Meter;
use infill_crm::transport::Url;
use infill_crm::{Error, Transport};
use infill_model::{Class, Timestamp};
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::sign::SigningKey;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::classify::classify;

/// Where tokens are fetched, below the login host.
const TOKEN_PATH: &str = "/services/oauth2/token";

/// How long an assertion may be used. Salesforce takes it for a few minutes at most.
const ASSERTION_LIFETIME: Duration = Duration::from_mins(2);

/// How Infill logs in.
#[derive(Clone, Debug)]
pub enum Grant {
    /// As the user who authorised the app. The refresh token may be another after each use.
    RefreshToken(OAuthApp),
    /// As the user whom the app itself is configured to run as. Only at the org's own host.
    ClientCredentials(OAuthApp),
    /// As a named user, for whom the app is approved beforehand, by the app's certificate.
    JwtBearer(JwtBearer),
}

/// A connected app or external client app.
#[derive(Clone, Debug)]
pub struct OAuthApp {
    /// Its consumer key.
    pub client_id: String,
    /// Its consumer secret.
    pub client_secret: SecretString,
}

/// What a JWT bearer assertion is made of. `Debug` does not show the key.
#[derive(Clone)]
pub struct JwtBearer {
    client_id: String,
    username: String,
    audience: String,
    key: Arc<dyn SigningKey>,
}

impl fmt::Debug for JwtBearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtBearer").field("username", &self.username).finish_non_exhaustive()
    }
}

impl JwtBearer {
    /// Assertions about `username`, signed with an RSA key in PEM.
    ///
    /// # Errors
    /// `configuration` when the text holds no RSA private key.
    pub fn new(
        client_id: String,
        username: String,
        audience: String,
        private_key: &SecretString,
    ) -> Result<Self, Error> {
        let wrong = || {
            let message = "the private key is no RSA key in PEM (-----BEGIN PRIVATE KEY-----)";
            Error::new(Class::Configuration, "private_key", message)
        };
        let der =
            PrivateKeyDer::from_pem_slice(private_key.expose_secret().as_bytes()).map_err(|_| wrong())?;
        let key = any_supported_type(&der).map_err(|_| wrong())?;
        key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).ok_or_else(wrong)?;
        Ok(Self { client_id, username, audience, key })
    }

    /// A signed assertion, good for two minutes from `now`.
    fn assertion(&self, now: Timestamp) -> Result<SecretString, Error> {
        #[derive(Serialize)]
        struct Claims<'a> {
            iss: &'a str,
            sub: &'a str,
            aud: &'a str,
            exp: i64,
        }
        let failed = |why: String| {
            Error::new(
                Class::Bug,
                "assertion_not_signed",
                format!("cannot sign the login's assertion: {why}"),
            )
        };
        let expires = now.checked_add(ASSERTION_LIFETIME).unwrap_or(Timestamp::MAX);
        let claims = Claims {
            iss: &self.client_id,
            sub: &self.username,
            aud: &self.audience,
            exp: expires.as_second(),
        };
        let claims = serde_json::to_vec(&claims).map_err(|error| failed(error.to_string()))?;
        let signed =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#), URL_SAFE_NO_PAD.encode(claims));
        let signer = self
            .key
            .choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])
            .ok_or_else(|| failed("the key is not RSA".to_owned()))?;
        let signature = signer.sign(signed.as_bytes()).map_err(|error| failed(error.to_string()))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)).into())
    }
}

/// Whom an assertion is for, by the host it is sent to: Salesforce wants the login host, not the org's own.
#[must_use]
pub fn audience(login: &Url) -> String {
    let host = login.host_str().unwrap_or_default();
    if host.ends_with(".sandbox.my.salesforce.com") {
        "https://test.salesforce.com".to_owned()
    } else if host.ends_with(".my.salesforce.com") {
        "https://login.salesforce.com".to_owned()
    } else {
        login.origin().ascii_serialization()
    }
}

/// Fetches access tokens at Salesforce.
#[derive(Debug)]
pub struct OAuthRefresh {
    grant: Grant,
    transport: Transport,
}

impl OAuthRefresh {
    /// Fetches by `grant`, through a [`Transport::without_login`] to the login host.
    #[must_use]
    pub fn new(grant: Grant, transport: Transport) -> Self {
        Self { grant, transport }
    }

    /// The fields of the exchange.
    fn form(&self, refresh_token: &SecretString) -> Result<Vec<(&'static str, SecretString)>, Error> {
        let of_app = |grant_type: &str, app: &OAuthApp| {
            vec![
                ("grant_type", grant_type.into()),
                ("client_id", app.client_id.as_str().into()),
                ("client_secret", app.client_secret.clone()),
            ]
        };
        Ok(match &self.grant {
            Grant::RefreshToken(app) => {
                let mut form = of_app("refresh_token", app);
                form.push(("refresh_token", refresh_token.clone()));
                form
            }
            Grant::ClientCredentials(app) => of_app("client_credentials", app),
            Grant::JwtBearer(bearer) => vec![
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer".into()),
                ("assertion", bearer.assertion(self.transport.now())?),
            ],
        })
    }
}

/// A good answer of the token endpoint.
#[derive(Deserialize)]
struct Granted {
    access_token: SecretString,
    refresh_token: Option<SecretString>,
    instance_url: Option<String>,
}

/// An OAuth error, which is not the usual array.
#[derive(Debug, Default, Deserialize)]
struct Denied {
    error: Option<String>,
    error_description: Option<String>,
}

/// What the token endpoint's answer means.
fn classify_grant(grant: &Grant, request: &Request, answer: &Answer, now: Timestamp) -> Classified {
    let is_of_the_grant = (400..500).contains(&answer.status) && !matches!(answer.status, 408 | 420 | 429);
    let denied: Denied = serde_json::from_slice(&answer.body).unwrap_or_default();
    let Some(error) = denied.error.filter(|_| is_of_the_grant) else {
        return classify(request, answer, now);
    };
    let said = denied.error_description.unwrap_or_else(|| error.clone());
    let (class, code, way_out) = if is_already_refreshed(&error, &said) {
        (
            Class::Transient,
            "refresh_in_progress",
            "another program refreshes the same login; it is tried again",
        )
    } else if matches!(error.as_str(), "invalid_grant" | "inactive_user" | "inactive_org") {
        let way_out = match grant {
            Grant::RefreshToken(_) => {
                "the grant was revoked, or its refresh token has been replaced: authorise the app again"
            }
            Grant::ClientCredentials(_) => "give the app a user to run as, and check that the user is active",
            Grant::JwtBearer(_) => {
                "approve the app for the user beforehand, and check the username, the certificate and the audience"
            }
        };
        (Class::Unauthorized, "grant_refused", way_out)
    } else {
        (Class::Configuration, "oauth_app", "check the client id and secret, and the login host in base_url")
    };
    let message = format!("Salesforce: {said}; {way_out}");
    Classified::failed(Error { status: Some(answer.status), ..Error::new(class, code, message) })
}

/// Whether a refusal of the grant means only that a second refresh came too soon after a first: the code is that of a revoked
/// grant, and the words alone tell.
fn is_already_refreshed(error: &str, said: &str) -> bool {
    error == "invalid_grant"
        && ["already being processed", "expired authorization code"].iter().any(|sign| said.contains(sign))
}

#[async_trait]
impl Refresh for OAuthRefresh {
    async fn refresh(&self, refresh_token: &SecretString) -> Result<Refreshed, Error> {
        let request = Request {
            operation: "oauth_token",
            method: Method::Post,
            path: TOKEN_PATH.to_owned(),
            headers: Vec::new(),
            body: Body::Form(self.form(refresh_token)?),
            meter: Meter::Free,
            cost: 0,
            effect: Effect::Write,
        };
        let answer = self
            .transport
            .call(&request, |answer, now| classify_grant(&self.grant, &request, answer, now))
            .await?;
        let granted: Granted = parse("Salesforce", &request, &answer)?;
        let login = self.transport.address().await?;
        let instance = granted.instance_url.as_deref().and_then(|url| Url::parse(url).ok());
        Ok(Refreshed {
            access: granted.access_token,
            refresh: granted.refresh_token,
            expires_at: None,
            // A token fetched over HTTPS is sent over nothing less.
            base_url: instance.filter(|instance| instance.scheme() == login.scheme()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key made for this test, and used nowhere else.
    const KEY: &str = include_str!("../tests/fixtures/rsa_for_tests.pem");
    /// What OpenSSL signs the assertion below with that key.
    const SIGNATURE: &str = include_str!("../tests/fixtures/assertion_signature.txt");

    fn now() -> Timestamp {
        "2026-11-20T12:00:00Z".parse().unwrap()
    }

    fn app() -> OAuthApp {
        OAuthApp { client_id: "3MVG9".to_owned(), client_secret: "secret".into() }
    }

    fn bearer() -> JwtBearer {
        let audience = "https://login.salesforce.com".to_owned();
        JwtBearer::new("3MVG9".to_owned(), "ann@example.com".to_owned(), audience, &KEY.into()).unwrap()
    }

    #[test]
    fn an_assertion_is_signed_as_openssl_signs_it() {
        let assertion = bearer().assertion(now()).unwrap();
        let parts: Vec<&str> = assertion.expose_secret().split('.').collect();
        let text = |part: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        assert_eq!(text(parts[0]), r#"{"alg":"RS256"}"#);
        assert_eq!(
            text(parts[1]),
            r#"{"iss":"3MVG9","sub":"ann@example.com","aud":"https://login.salesforce.com","exp":1795176120}"#
        );
        assert_eq!(parts[2], SIGNATURE.trim());
    }

    #[test]
    fn what_is_no_rsa_key_is_refused_and_no_key_is_shown() {
        for key in ["", "secret", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            let error = JwtBearer::new(String::new(), String::new(), String::new(), &key.into()).unwrap_err();
            assert_eq!((error.class, error.code.as_str()), (Class::Configuration, "private_key"));
        }
        let shown = format!("{:?}", Grant::JwtBearer(bearer()));
        assert_eq!(shown, r#"JwtBearer(JwtBearer { username: "ann@example.com", .. })"#);
    }

    #[test]
    fn an_assertion_is_for_the_login_host() {
        for (login, expected) in [
            ("https://login.salesforce.com", "https://login.salesforce.com"),
            ("https://test.salesforce.com/", "https://test.salesforce.com"),
            ("https://acme.my.salesforce.com", "https://login.salesforce.com"),
            ("https://acme--dev.sandbox.my.salesforce.com", "https://test.salesforce.com"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ] {
            assert_eq!(audience(&login.parse().unwrap()), expected);
        }
    }

    #[test]
    fn a_refused_grant_a_second_refresh_and_a_wrong_app_are_told_apart() {
        let request = Request {
            operation: "oauth_token",
            method: Method::Post,
            path: String::new(),
            headers: Vec::new(),
            body: Body::Empty,
            meter: Meter::Free,
            cost: 0,
            effect: Effect::Write,
        };
        let refresh = Grant::RefreshToken(app());
        for (grant, status, body, class, code) in [
            (
                &refresh,
                400,
                r#"{"error":"invalid_grant","error_description":"expired access/refresh token"}"#,
                Class::Unauthorized,
                "grant_refused",
            ),
            (
                &refresh,
                400,
                r#"{"error":"invalid_grant","error_description":"token request is already being processed"}"#,
                Class::Transient,
                "refresh_in_progress",
            ),
            (
                &refresh,
                400,
                r#"{"error":"invalid_grant","error_description":"expired authorization code"}"#,
                Class::Transient,
                "refresh_in_progress",
            ),
            (
                &Grant::JwtBearer(bearer()),
                400,
                r#"{"error":"invalid_grant","error_description":"user hasn't approved this consumer"}"#,
                Class::Unauthorized,
                "grant_refused",
            ),
            (
                &Grant::ClientCredentials(app()),
                400,
                r#"{"error":"invalid_client","error_description":"invalid client credentials"}"#,
                Class::Configuration,
                "oauth_app",
            ),
            (&refresh, 503, "<html>", Class::Transient, "http_503"),
        ] {
            let answer = Answer::of(status, &[], body);
            let error = classify_grant(grant, &request, &answer, now()).result.unwrap_err();
            assert_eq!((error.class, error.code.as_str()), (class, code), "{body}");
        }
    }
}
