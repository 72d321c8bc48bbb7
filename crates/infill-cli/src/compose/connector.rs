//! Makes the connector of a connection: the one place that names vendors.

use std::sync::Arc;

use infill_crm::auth::{ClientCredentials, Refresh, Scheme, StaticToken, Tokens};
use infill_crm::meter::Quota;
use infill_crm::transport::{CALL_TIMEOUT, Url};
use infill_crm::{CallObserver, Crm, Transport, TransportConfig};
use infill_model::{Clock, ConnectionName};
use infill_store::Store;
use infill_worker::login::StoreTokens;
use secrecy::{ExposeSecret, SecretString};

use crate::config::{Connection, Login, OAuth, Secret, Switches, Vendor};
use crate::exit::Usage;

/// What the store keeps in the place of a refresh token for grants that have none.
const NO_REFRESH_TOKEN: &str = "none";

/// What a connector is made of.
pub(super) struct Making<'a> {
    pub(super) name: &'a ConnectionName,
    pub(super) connection: &'a Connection,
    pub(super) store: &'a Arc<dyn Store>,
    pub(super) clock: &'a Arc<dyn Clock>,
    pub(super) quota: Arc<dyn Quota>,
    pub(super) observer: Arc<dyn CallObserver>,
}

impl Making<'_> {
    /// The connector of the connection's vendor.
    ///
    /// # Errors
    /// When a secret is not there, or the address cannot be used.
    pub(super) fn connector(&self) -> anyhow::Result<Arc<dyn Crm>> {
        match self.connection.vendor {
            Vendor::HubSpot => self.hubspot(),
            Vendor::Pipedrive => self.pipedrive(),
            Vendor::Salesforce => self.salesforce(),
        }
    }

    fn hubspot(&self) -> anyhow::Result<Arc<dyn Crm>> {
        let api_version = self.connection.api_version.parse().map_err(|error: String| Usage(error))?;
        let tokens = self.tokens(|app| {
            let app = infill_hubspot::OAuthApp {
                client_id: app.client_id.clone(),
                client_secret: app.client_secret.get()?.expose_secret().to_owned().into(),
            };
            let transport = self.without_login(&self.connection.base_url)?;
            Ok(Arc::new(infill_hubspot::OAuthRefresh::new(app, api_version, transport)))
        })?;
        let config = infill_hubspot::Config { api_version };
        Ok(Arc::new(infill_hubspot::HubSpot::new(config, Arc::new(self.transport(tokens, Scheme::Bearer)?))))
    }

    fn pipedrive(&self) -> anyhow::Result<Arc<dyn Crm>> {
        let tokens = self.tokens(|app| {
            let credentials =
                ClientCredentials { id: app.client_id.clone(), secret: app.client_secret.get()?.clone() };
            let authority = infill_pipedrive::oauth::authority(&self.connection.base_url);
            let transport = self.without_login(&authority)?.as_client(credentials);
            Ok(Arc::new(infill_pipedrive::OAuthRefresh::new(transport)))
        })?;
        let scheme = match &self.connection.login {
            Login::Token(_) => Scheme::Header(infill_pipedrive::TOKEN_HEADER),
            Login::OAuth(_) | Login::ClientCredentials(_) | Login::Jwt(_) => Scheme::Bearer,
        };
        Ok(Arc::new(infill_pipedrive::Pipedrive::new(Arc::new(self.transport(tokens, scheme)?))))
    }

    fn salesforce(&self) -> anyhow::Result<Arc<dyn Crm>> {
        let api_version = self.connection.api_version.parse().map_err(|error: String| Usage(error))?;
        let Switches { auto_assign, allow_duplicates, transport: route } = self.connection.switches;
        let replay_key_field = self.connection.replay_key_field.clone();
        let manners = infill_salesforce::Manners { auto_assign, allow_duplicates };
        let tokens = self.salesforce_tokens()?;
        let config = infill_salesforce::Config { api_version, manners, route, replay_key_field };
        Ok(Arc::new(infill_salesforce::Salesforce::new(config, self.transport(tokens, Scheme::Bearer)?)))
    }

    fn salesforce_tokens(&self) -> anyhow::Result<Arc<dyn Tokens>> {
        let app = |client_id: &str, secret: &Secret| -> Result<infill_salesforce::OAuthApp, Usage> {
            let client_secret = secret.get()?.clone();
            Ok(infill_salesforce::OAuthApp { client_id: client_id.to_owned(), client_secret })
        };
        let (grant, refresh_token) = match &self.connection.login {
            Login::Token(token) => return Ok(Arc::new(StaticToken::new(token.get()?.clone()))),
            Login::OAuth(oauth) => {
                let app = app(&oauth.client_id, &oauth.client_secret)?;
                (infill_salesforce::Grant::RefreshToken(app), oauth.refresh_token.get()?.clone())
            }
            Login::ClientCredentials(credentials) => {
                let app = app(&credentials.client_id, &credentials.client_secret)?;
                (infill_salesforce::Grant::ClientCredentials(app), NO_REFRESH_TOKEN.into())
            }
            Login::Jwt(jwt) => {
                let audience = jwt.audience.clone();
                let bearer = infill_salesforce::JwtBearer::new(
                    jwt.client_id.clone(),
                    jwt.username.clone(),
                    audience.unwrap_or_else(|| infill_salesforce::oauth::audience(&self.connection.base_url)),
                    jwt.private_key.get()?,
                )?;
                (infill_salesforce::Grant::JwtBearer(bearer), NO_REFRESH_TOKEN.into())
            }
        };
        let transport = self.without_login(&self.connection.base_url)?;
        let refresh = infill_salesforce::OAuthRefresh::new(grant, transport);
        Ok(self.kept(Arc::new(refresh), refresh_token))
    }

    /// The login: a token that does not change, or tokens that `refresh` renews for an app.
    fn tokens(
        &self,
        refresh: impl FnOnce(&OAuth) -> anyhow::Result<Arc<dyn Refresh>>,
    ) -> anyhow::Result<Arc<dyn Tokens>> {
        match &self.connection.login {
            Login::Token(token) => Ok(Arc::new(StaticToken::new(token.get()?.clone()))),
            Login::OAuth(oauth) => Ok(self.kept(refresh(oauth)?, oauth.refresh_token.get()?.clone())),
            Login::ClientCredentials(_) | Login::Jwt(_) => {
                let (vendor, login) = (self.connection.vendor.as_str(), self.connection.login.as_str());
                anyhow::bail!(Usage(format!("{vendor} has no login by {login}")))
            }
        }
    }

    /// Tokens that the store keeps for all workers.
    fn kept(&self, refresh: Arc<dyn Refresh>, refresh_token: SecretString) -> Arc<dyn Tokens> {
        let (store, clock) = (Arc::clone(self.store), Arc::clone(self.clock));
        Arc::new(StoreTokens::new(store, self.name.clone(), refresh, refresh_token, clock))
    }

    fn transport(&self, tokens: Arc<dyn Tokens>, scheme: Scheme) -> anyhow::Result<Transport> {
        Ok(Transport::new(TransportConfig {
            base_url: self.connection.base_url.clone(),
            tokens,
            scheme,
            quota: Arc::clone(&self.quota),
            clock: Arc::clone(self.clock),
            observer: Arc::clone(&self.observer),
            call_timeout: CALL_TIMEOUT,
        })?)
    }

    /// A transport for the calls that fetch a token.
    fn without_login(&self, base_url: &Url) -> anyhow::Result<Transport> {
        let (clock, observer) = (Arc::clone(self.clock), Arc::clone(&self.observer));
        Ok(Transport::without_login(base_url, clock, observer, CALL_TIMEOUT)?)
    }
}
