//! How a connection logs in: with a token, or by one of the grants that its vendor has.

use infill_model::document::{At, Fields};
use infill_model::error::FaultCode;

use super::Reader;
use crate::config::{App, Jwt, Login, OAuth, Vendor};

pub(in crate::config) const OAUTH_KEYS: &[&str] =
    &["client_id", "client_secret_env", "client_secret_file", "refresh_token_env", "refresh_token_file"];
pub(in crate::config) const CLIENT_CREDENTIALS_KEYS: &[&str] =
    &["client_id", "client_secret_env", "client_secret_file"];
pub(in crate::config) const JWT_KEYS: &[&str] =
    &["client_id", "username", "private_key_env", "private_key_file", "audience"];

impl Reader<'_> {
    pub(super) fn login(&mut self, name: &str, vendor: Option<Vendor>, fields: &Fields<'_>) -> Option<Login> {
        let mut ways = vec!["token_env", "token_file", "oauth"];
        ways.extend(vendor.map_or(&[][..], |vendor| vendor.terms().logins));
        let given: Vec<&str> = ways.iter().copied().filter(|key| fields.get(key).is_some()).collect();
        if given.len() > 1 {
            let message = format!("give one of {}; found {}", ways.join(", "), given.join(" and "));
            self.faults.push(fields.at().fault(FaultCode::Duplicate, message));
            return None;
        }
        match given.first().and_then(|key| Some((*key, fields.get(key)?))) {
            Some(("oauth", at)) => return self.oauth(name, &at).map(Login::OAuth),
            Some(("client_credentials", at)) => {
                return self.client_credentials(name, &at).map(Login::ClientCredentials);
            }
            Some(("jwt", at)) => return self.jwt(name, &at).map(Login::Jwt),
            Some(_) | None => {}
        }
        let is_explained = fields.get("token").is_some() || ways.iter().any(|key| fields.is_misspelt(key));
        if given.is_empty() && !is_explained {
            let message = "does not say how to log in; give one of token_env, token_file, \
                           or a table [connections.NAME.oauth]";
            self.faults.push(fields.at().fault(FaultCode::MissingKey, message));
        }
        let what = format!("the token of connection {name}");
        self.secret(fields, "token", &what).map(Login::Token)
    }

    fn oauth(&mut self, name: &str, at: &At<'_>) -> Option<OAuth> {
        let fields = self.fields_without_secrets(at, OAUTH_KEYS, &["client_secret", "refresh_token"])?;
        let app = self.app(name, &fields);
        let refresh = self.required_secret(name, &fields, "refresh_token", "refresh token");
        let App { client_id, client_secret } = app?;
        Some(OAuth { client_id, client_secret, refresh_token: refresh? })
    }

    fn client_credentials(&mut self, name: &str, at: &At<'_>) -> Option<App> {
        let fields = self.fields_without_secrets(at, CLIENT_CREDENTIALS_KEYS, &["client_secret"])?;
        self.app(name, &fields)
    }

    fn app(&mut self, name: &str, fields: &Fields<'_>) -> Option<App> {
        let client_id = self.required_name(fields, "client_id");
        let secret = self.required_secret(name, fields, "client_secret", "client secret");
        Some(App { client_id: client_id?, client_secret: secret? })
    }

    fn jwt(&mut self, name: &str, at: &At<'_>) -> Option<Jwt> {
        let fields = self.fields_without_secrets(at, JWT_KEYS, &["private_key"])?;
        let client_id = self.required_name(&fields, "client_id");
        let username = self.required_name(&fields, "username");
        let private_key = self.required_secret(name, &fields, "private_key", "private key (RSA, PEM)");
        let audience = fields.get("audience").map(|at| at.name(&mut self.faults).map(str::to_owned));
        Some(Jwt {
            client_id: client_id?,
            username: username?,
            private_key: private_key?,
            audience: audience.map_or(Some(None), |audience| audience.map(Some))?,
        })
    }

    fn required_name(&mut self, fields: &Fields<'_>, key: &'static str) -> Option<String> {
        let name = fields.require(key, &mut self.faults).and_then(|at| at.name(&mut self.faults));
        name.map(str::to_owned)
    }
}
