//! Rotating logins, kept in the store and refreshed by one worker at a time.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backon::{BackoffBuilder, ConstantBuilder};
use infill_crm::Error;
use infill_crm::auth::{AccessToken, Refresh, Tokens};
use infill_crm::transport::Url;
use infill_model::error::Class;
use infill_model::{Clock, ConnectionName, Timestamp};
use infill_store::Store;
use infill_store::store::Login;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// A token is refreshed this long before it stops working, so that no call meets its end.
const REFRESH_EARLY: Duration = Duration::from_mins(1);

/// How long one worker may take to refresh before another may try.
const REFRESH_LEASE: Duration = Duration::from_secs(30);

/// How often a worker that waits for another's refresh looks.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// The login of one connection, backed by the store.
#[derive(Debug)]
pub struct StoreTokens {
    store: Arc<dyn Store>,
    connection: ConnectionName,
    refresh: Arc<dyn Refresh>,
    /// The refresh token of the configuration, good until the vendor rotates it.
    configured: SecretString,
    clock: Arc<dyn Clock>,
    held: Mutex<Option<Login>>,
}

impl StoreTokens {
    /// The login of `connection`, starting from the configuration's refresh token when the store has none.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        connection: ConnectionName,
        refresh: Arc<dyn Refresh>,
        configured: SecretString,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, connection, refresh, configured, clock, held: Mutex::default() }
    }

    fn is_good(&self, login: &Login) -> bool {
        let soon = self.clock.now().saturating_add(REFRESH_EARLY).unwrap_or(Timestamp::MAX);
        login.access.is_some() && login.expires_at.is_none_or(|at| at > soon)
    }

    /// A login newer than `stale` that is good, refreshed by us or by whoever is at it.
    async fn newer(&self, stale: Option<u64>) -> Result<Login, Error> {
        let looks = REFRESH_LEASE.as_millis() / LOOK_AGAIN.as_millis();
        let mut waits = ConstantBuilder::default()
            .with_delay(LOOK_AGAIN)
            .with_max_times(usize::try_from(looks).unwrap_or(usize::MAX))
            .build();
        loop {
            let newest = self.newest().await?;
            if self.serves(&newest, stale) {
                return Ok(newest);
            }
            let owner = rand::random::<u64>() >> 1;
            if self.lease(owner, REFRESH_LEASE).await? {
                let renewed = self.refresh_once(stale).await;
                // A refresh that was kept ended the lease. One that was not needed or failed must not keep others waiting.
                if let Err(error) = self.lease(owner, Duration::ZERO).await {
                    tracing::debug!(connection = %self.connection, error = %error, "refresh lease left to lapse");
                }
                return renewed;
            }
            let Some(wait) = waits.next() else {
                let message = format!(
                    "another worker is refreshing the login of {} and does not finish",
                    self.connection
                );
                return Err(Error::new(Class::Transient, "login_refresh_slow", message));
            };
            tokio::time::sleep_until(Instant::now() + wait).await;
        }
    }

    /// The login in the store, or the configuration's.
    async fn newest(&self) -> Result<Login, Error> {
        let stored = self.store.login(&self.connection).await.map_err(|source| self.unreachable(&source))?;
        Ok(stored.unwrap_or_else(|| Login {
            version: 0,
            access: None,
            refresh: self.configured.clone(),
            expires_at: None,
            base_url: None,
        }))
    }

    fn serves(&self, login: &Login, stale: Option<u64>) -> bool {
        stale.is_none_or(|stale| login.version > stale) && self.is_good(login)
    }

    /// Takes the right to refresh for a while, or gives it back at once; says whether it was ours to take.
    async fn lease(&self, owner: u64, length: Duration) -> Result<bool, Error> {
        let now = self.clock.now();
        let until = now.saturating_add(length).unwrap_or(now);
        let taken = self.store.lease_login(&self.connection, owner, until, now).await;
        taken.map_err(|source| self.unreachable(&source))
    }

    /// Refreshes as the holder of the lease, unless whoever held it before has done so since we looked.
    async fn refresh_once(&self, stale: Option<u64>) -> Result<Login, Error> {
        let newest = self.newest().await?;
        if self.serves(&newest, stale) { Ok(newest) } else { self.refresh_now(&newest).await }
    }

    async fn refresh_now(&self, from: &Login) -> Result<Login, Error> {
        let (refreshed, used) = match self.refresh.refresh(&from.refresh).await {
            Err(refused) if refused.class == Class::Unauthorized && !self.is_configured(&from.refresh) => {
                // The kept refresh token is revoked. The configured one is that of a new installation, if a person has
                // mended the login since, or an older one that is worth nothing either.
                match self.refresh.refresh(&self.configured).await {
                    Err(error) if error.class == Class::Unauthorized => return Err(refused),
                    other => (other?, &self.configured),
                }
            }
            other => (other?, &from.refresh),
        };
        let login = Login {
            version: from.version.saturating_add(1),
            access: Some(refreshed.access),
            refresh: refreshed.refresh.unwrap_or_else(|| used.clone()),
            expires_at: refreshed.expires_at,
            base_url: refreshed.base_url.map(String::from),
        };
        // Kept before it is used: a rotated refresh token that is lost cannot be had again.
        let kept = self.store.save_login(&self.connection, &login).await;
        kept.map_err(|source| self.unreachable(&source))?;
        tracing::info!(connection = %self.connection, version = login.version, "login refreshed");
        Ok(login)
    }

    fn is_configured(&self, refresh: &SecretString) -> bool {
        refresh.expose_secret() == self.configured.expose_secret()
    }

    fn unreachable(&self, source: &infill_store::Error) -> Error {
        let class = if source.is_final() { Class::Configuration } else { Class::Transient };
        let why = infill_telemetry::chain(source);
        Error::new(class, "login_store", format!("keep the login of {}: {why}", self.connection))
    }
}

#[async_trait]
impl Tokens for StoreTokens {
    async fn token(&self) -> Result<AccessToken, Error> {
        let mut held = self.held.lock().await;
        let login = match held.take().filter(|login| self.is_good(login)) {
            Some(login) => login,
            None => self.newer(None).await?,
        };
        let token = access(&login);
        *held = Some(login);
        token
    }

    async fn renew(&self, stale: u64) -> Result<AccessToken, Error> {
        // Held across the refresh: within this process everybody waits for the one that is at it.
        let mut held = self.held.lock().await;
        let login = match held.take().filter(|login| login.version > stale) {
            Some(login) => login,
            None => self.newer(Some(stale)).await?,
        };
        let token = access(&login);
        *held = Some(login);
        token
    }
}

fn access(login: &Login) -> Result<AccessToken, Error> {
    let secret = login.access.clone().ok_or_else(|| {
        Error::new(Class::Unauthorized, "no_access_token", "the login holds no access token after a refresh")
    })?;
    let base_url = login.base_url.as_deref().and_then(|url| Url::parse(url).ok());
    Ok(AccessToken { secret, version: login.version, base_url })
}
