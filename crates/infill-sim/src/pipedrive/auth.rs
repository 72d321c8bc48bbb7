//! Who may call: API tokens that do not expire, OAuth access tokens that do, and the scopes of the latter.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::answer::{Answer, Refusal};
use super::config::OauthApp;
use super::limits::Spender;
use crate::query::Pairs;

/// How long an authorization code is good.
const CODE_TTL_MS: i64 = 300_000;

/// A caller whose token was accepted.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) spender: Spender,
    /// `None` is an API token, which may do what its user may.
    scopes: Option<Arc<HashSet<String>>>,
}

impl Caller {
    /// Refuses a caller that has none of the scopes an operation asks for.
    pub(crate) fn require(&self, any_of: &[&str]) -> Result<(), Refusal> {
        match &self.scopes {
            Some(scopes) if !any_of.iter().any(|scope| scopes.contains(*scope)) => {
                Err(Refusal::scope_mismatch())
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// The tokens of a company.
#[derive(Debug)]
pub(crate) struct Auth {
    tokens: HashSet<String>,
    app: OauthApp,
    app_caller: Caller,
    access: HashMap<String, i64>,
    /// When each was last used.
    refresh: HashMap<String, i64>,
    /// When each was given out.
    codes: HashMap<String, i64>,
    n_minted: u64,
}

impl Auth {
    pub(crate) fn new(tokens: &[String], app: OauthApp, now_ms: i64) -> Self {
        let spender = Spender { token: "oauth".into(), oauth: true };
        let scopes = Some(Arc::new(app.scopes.iter().cloned().collect()));
        Self {
            tokens: tokens.iter().cloned().collect(),
            app_caller: Caller { spender, scopes },
            access: HashMap::new(),
            refresh: HashMap::from([(app.refresh_token.clone(), now_ms)]),
            codes: HashMap::from([(app.code.clone(), now_ms)]),
            app,
            n_minted: 0,
        }
    }

    /// The caller of an `x-api-token` or an `Authorization: Bearer` header.
    pub(crate) fn authenticate(
        &self,
        api_token: Option<&str>,
        authorization: Option<&str>,
        now_ms: i64,
    ) -> Result<Caller, Refusal> {
        if let Some(token) = api_token.filter(|token| self.tokens.contains(*token)) {
            let spender = Spender { token: token.into(), oauth: false };
            return Ok(Caller { spender, scopes: None });
        }
        let bearer = authorization.and_then(|header| header.strip_prefix("Bearer "));
        let expires_ms = bearer.and_then(|token| self.access.get(token.trim()));
        if expires_ms.is_some_and(|expires_ms| *expires_ms > now_ms) {
            return Ok(self.app_caller.clone());
        }
        Err(Refusal::unauthorized())
    }

    /// Ends every access token now; refresh tokens stay.
    pub(crate) fn expire_all(&mut self) {
        self.access.clear();
    }

    /// Revokes every refresh token, as uninstalling the app does.
    pub(crate) fn revoke_refresh_tokens(&mut self) {
        self.refresh.clear();
    }

    /// Makes a refresh token good, as installing the app again does.
    pub(crate) fn install(&mut self, refresh_token: &str, now_ms: i64) {
        self.refresh.insert(refresh_token.to_owned(), now_ms);
    }

    /// Gives out an authorization code, as a user does who allows the app in.
    pub(crate) fn issue_code(&mut self, now_ms: i64) -> String {
        self.n_minted += 1;
        let code = format!("sim-code-{}", self.n_minted);
        self.codes.insert(code.clone(), now_ms);
        code
    }

    /// Changes how long access tokens live from now on.
    pub(crate) fn set_ttl(&mut self, ttl: Duration) {
        self.app.token_ttl = ttl;
    }

    /// `POST /oauth/token`, with the `authorization_code` or the `refresh_token` grant.
    pub(crate) fn grant(
        &mut self,
        authorization: Option<&str>,
        form: &Pairs,
        api_domain: &str,
        now_ms: i64,
    ) -> Answer {
        let refuse = |status: u16, error: &str, message: &str| {
            Answer::value(status, &json!({"success": false, "error": error, "message": message}))
        };
        if authorization != Some(self.basic().as_str()) {
            return refuse(401, "invalid_client", "Invalid client: client is invalid");
        }
        let given = |name: &str| form.first(name).unwrap_or_default().to_owned();
        let refresh = match given("grant_type").as_str() {
            "refresh_token" => {
                let idle_ms = i64::try_from(self.app.refresh_ttl.as_millis()).unwrap_or(i64::MAX);
                let token = given("refresh_token");
                let is_good = self.refresh.get(&token).is_some_and(|used_ms| now_ms - used_ms < idle_ms);
                if !is_good {
                    return refuse(400, "invalid_grant", "Invalid grant: refresh_token is invalid");
                }
                token
            }
            "authorization_code" => {
                let issued_ms = self.codes.remove(&given("code"));
                if issued_ms.is_none_or(|issued_ms| now_ms - issued_ms >= CODE_TTL_MS) {
                    return refuse(400, "invalid_grant", "Invalid grant: authorization code is invalid");
                }
                self.app.refresh_token.clone()
            }
            _ => {
                return refuse(
                    400,
                    "unsupported_grant_type",
                    "Unsupported grant type: grant_type is invalid",
                );
            }
        };
        self.refresh.insert(refresh.clone(), now_ms);
        self.n_minted += 1;
        let access = format!("sim-access-{}", self.n_minted);
        let ttl_ms = i64::try_from(self.app.token_ttl.as_millis()).unwrap_or(i64::MAX);
        self.access.insert(access.clone(), now_ms.saturating_add(ttl_ms));
        Answer::value(
            200,
            &json!({
                "access_token": access, "token_type": "Bearer", "refresh_token": refresh,
                "scope": self.app.scopes.join(","), "expires_in": self.app.token_ttl.as_secs(),
                "api_domain": api_domain,
            }),
        )
    }

    fn basic(&self) -> String {
        let pair = format!("{}:{}", self.app.client_id, self.app.client_secret);
        format!("Basic {}", STANDARD.encode(pair))
    }
}
