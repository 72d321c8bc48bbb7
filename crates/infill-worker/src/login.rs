//! Rotating logins, kept in the store and refreshed by one worker at a time.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backon::{BackoffBuilder, ConstantBuilder};
use infill_crm::Error;
use infill_crm::auth::{AccessToken, Refresh, Tokens};
use infill_model::error::Class;
use infill_model::{Clock, ConnectionName, Timestamp};
use infill_store::Store;
use infill_store::store::Login;
use secrecy::SecretString;
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
            let stored =
                self.store.login(&self.connection).await.map_err(|source| self.unreachable(&source))?;
            let newest = stored.unwrap_or_else(|| Login {
                version: 0,
                access: None,
                refresh: self.configured.clone(),
                expires_at: None,
            });
            if stale.is_none_or(|stale| newest.version > stale) && self.is_good(&newest) {
                return Ok(newest);
            }
            if self.take_lease().await? {
                return self.refresh_now(&newest).await;
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

    async fn take_lease(&self) -> Result<bool, Error> {
        let now = self.clock.now();
        let until = now.saturating_add(REFRESH_LEASE).unwrap_or(now);
        let taken = self.store.lease_login(&self.connection, rand::random(), until, now).await;
        taken.map_err(|source| self.unreachable(&source))
    }

    async fn refresh_now(&self, from: &Login) -> Result<Login, Error> {
        let refreshed = self.refresh.refresh(&from.refresh).await?;
        let login = Login {
            version: from.version.saturating_add(1),
            access: Some(refreshed.access),
            refresh: refreshed.refresh.unwrap_or_else(|| from.refresh.clone()),
            expires_at: refreshed.expires_at,
        };
        // Kept before it is used: a rotated refresh token that is lost cannot be had again.
        let kept = self.store.save_login(&self.connection, &login).await;
        kept.map_err(|source| self.unreachable(&source))?;
        tracing::info!(connection = %self.connection, version = login.version, "login refreshed");
        Ok(login)
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
    Ok(AccessToken { secret, version: login.version })
}
