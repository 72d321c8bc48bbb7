//! Logins: a bearer token to send, refreshed early and by one worker at a time.

use std::fmt::Debug;

use async_trait::async_trait;
use infill_model::Timestamp;
use reqwest::Url;
use secrecy::SecretString;

use crate::error::Error;

/// A token to send, and which one it is.
#[derive(Clone, Debug)]
pub struct AccessToken {
    /// The secret.
    pub secret: SecretString,
    /// Grows by one with each refresh; names the token without telling it.
    pub version: u64,
    /// Where calls with it go, when the vendor said so along with the token; else to the connection's own address.
    pub base_url: Option<Url>,
}

/// How a token is sent along with a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    /// `Authorization: Bearer …`
    #[default]
    Bearer,
    /// Bare, in a header of this name.
    Header(&'static str),
}

/// How an OAuth app names itself to the token endpoint of a vendor that wants HTTP Basic.
#[derive(Clone, Debug)]
pub struct ClientCredentials {
    /// The app's public id.
    pub id: String,
    /// Its secret.
    pub secret: SecretString,
}

/// What a refresh brought.
#[derive(Clone, Debug)]
pub struct Refreshed {
    /// The new access token.
    pub access: SecretString,
    /// The new refresh token, when the vendor rotates it.
    pub refresh: Option<SecretString>,
    /// When the access token stops working.
    pub expires_at: Option<Timestamp>,
    /// Where calls with it go, when the vendor says.
    pub base_url: Option<Url>,
}

/// Trades a refresh token for a new access token at the vendor. Implemented by the vendor's crate.
#[async_trait]
pub trait Refresh: Send + Sync + Debug {
    /// One exchange.
    ///
    /// # Errors
    /// `unauthorized` when the grant is revoked; `configuration` when the client is wrong; else as the transport.
    async fn refresh(&self, refresh_token: &SecretString) -> Result<Refreshed, Error>;
}

/// The login of a connection, shared by all its workers; backed by the store for OAuth.
#[async_trait]
pub trait Tokens: Send + Sync + Debug {
    /// A token that is good for at least the next minute.
    ///
    /// # Errors
    /// As [`Refresh::refresh`], or when the token store cannot be reached.
    async fn token(&self) -> Result<AccessToken, Error>;

    /// The vendor refused `stale`: a newer token, refreshed at most once for all that ask.
    ///
    /// # Errors
    /// `unauthorized` when there is none to be had (a static token, a revoked grant).
    async fn renew(&self, stale: u64) -> Result<AccessToken, Error>;
}

/// A token that never changes: a service key, a static-auth app, a legacy private app.
#[derive(Debug)]
pub struct StaticToken(SecretString);

impl StaticToken {
    /// Wraps the token.
    #[must_use]
    pub fn new(secret: SecretString) -> Self {
        Self(secret)
    }
}

#[async_trait]
impl Tokens for StaticToken {
    async fn token(&self) -> Result<AccessToken, Error> {
        Ok(AccessToken { secret: self.0.clone(), version: 0, base_url: None })
    }

    async fn renew(&self, _stale: u64) -> Result<AccessToken, Error> {
        Err(Error::new(
            infill_model::Class::Unauthorized,
            "token_refused",
            "the CRM refuses this token; check that it is not revoked and put a valid one where the \
             connection's token_env or token_file points",
        ))
    }
}
