//! Who may call: static bearer tokens, OAuth access tokens that expire, and the scopes of both.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::config::{OauthApp, StaticToken};
use super::limits::Spender;
use super::object::ObjectType;
use super::route::Operation;
use crate::query::Pairs;

type Scopes = Arc<HashSet<String>>;

/// A caller whose token was accepted.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) spender: Spender,
    scopes: Scopes,
}

impl Caller {
    /// Refuses a caller that has none of the scopes an operation asks for.
    pub(crate) fn require(&self, operation: Operation, object: Option<&ObjectType>) -> Result<(), Refusal> {
        let any_of = required(operation, object);
        if any_of.is_empty() || any_of.iter().any(|scope| self.scopes.contains(*scope)) {
            return Ok(());
        }
        Err(Refusal::missing_scopes(&any_of))
    }
}

/// Any of these scopes is enough.
fn required(operation: Operation, object: Option<&ObjectType>) -> Vec<&'static str> {
    let read = || object.map(|object| object.read_scopes.to_vec()).unwrap_or_default();
    match operation {
        Operation::ListSearch
        | Operation::ListAll
        | Operation::ListGet
        | Operation::ListByName
        | Operation::ListMany
        | Operation::Memberships
        | Operation::MembershipsJoinOrder => vec!["crm.lists.read"],
        Operation::MembershipsAdd | Operation::MembershipsRemove => vec!["crm.lists.write"],
        Operation::Properties | Operation::PropertyGet | Operation::PropertyValidations => {
            let schema = match object.map(|object| object.plural) {
                Some("contacts") => vec!["crm.schemas.contacts.read"],
                Some("companies") => vec!["crm.schemas.companies.read"],
                Some("deals") => vec!["crm.schemas.deals.read"],
                Some(_) | None => Vec::new(),
            };
            [schema, read()].concat()
        }
        Operation::ObjectList | Operation::ObjectGet | Operation::BatchRead | Operation::Search => read(),
        Operation::ObjectCreate
        | Operation::ObjectUpdate
        | Operation::ObjectArchive
        | Operation::BatchCreate
        | Operation::BatchUpdate => object.map(|object| object.write_scopes.to_vec()).unwrap_or_default(),
        Operation::AccountDetails => vec!["oauth"],
        Operation::DailyUsage | Operation::OauthToken | Operation::OauthIntrospect => Vec::new(),
    }
}

#[derive(Debug)]
struct AccessToken {
    expires_ms: i64,
}

/// The tokens of a portal.
#[derive(Debug)]
pub(crate) struct Auth {
    fixed: HashMap<String, Caller>,
    app: OauthApp,
    app_caller: Caller,
    access: HashMap<String, AccessToken>,
    refresh: HashSet<String>,
    n_minted: u64,
    portal_id: u32,
}

impl Auth {
    pub(crate) fn new(tokens: &[StaticToken], app: OauthApp, portal_id: u32) -> Self {
        let caller = |app_id: u32, oauth: bool, scopes: &[String]| Caller {
            spender: Spender { app_id, oauth },
            scopes: Arc::new(scopes.iter().cloned().collect()),
        };
        let fixed =
            tokens.iter().map(|token| (token.secret.clone(), caller(token.app_id, false, &token.scopes)));
        Self {
            fixed: fixed.collect(),
            app_caller: caller(app.app_id, true, &app.scopes),
            access: HashMap::new(),
            refresh: HashSet::from([app.refresh_token.clone()]),
            app,
            n_minted: 0,
            portal_id,
        }
    }

    /// The caller of an `Authorization` header. A badly formed token does not reach HubSpot: its edge answers 530.
    pub(crate) fn authenticate(&self, header: Option<&str>, now_ms: i64) -> Result<Caller, Denial> {
        let refuse = Denial::Refusal;
        let token = header
            .and_then(|header| header.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let Some((_, token)) = token else { return Err(refuse(Refusal::unauthenticated())) };
        let token = token.trim();
        if let Some(caller) = self.fixed.get(token) {
            return Ok(caller.clone());
        }
        if let Some(access) = self.access.get(token) {
            if access.expires_ms <= now_ms {
                return Err(refuse(Refusal::expired(access.expires_ms, now_ms)));
            }
            return Ok(self.app_caller.clone());
        }
        if token.is_empty() || token.bytes().any(|byte| !byte.is_ascii_graphic() || b"<>{}\"".contains(&byte))
        {
            return Err(Denial::BadlyFormed);
        }
        Err(refuse(Refusal::unauthenticated()))
    }

    /// Ends every access token now; refresh tokens stay.
    pub(crate) fn expire_all(&mut self, now_ms: i64) {
        self.access.values_mut().for_each(|access| access.expires_ms = access.expires_ms.min(now_ms));
    }

    /// Revokes every refresh token: the app must be installed again.
    pub(crate) fn revoke_refresh_tokens(&mut self) {
        self.refresh.clear();
    }

    /// Makes a refresh token good, as installing the app again does.
    pub(crate) fn install(&mut self, refresh_token: &str) {
        self.refresh.insert(refresh_token.to_owned());
    }

    /// Changes how long access tokens live from now on.
    pub(crate) fn set_ttl(&mut self, ttl: Duration) {
        self.app.token_ttl = ttl;
    }

    /// `POST /oauth/{version}/token` with the refresh grant.
    pub(crate) fn grant(&mut self, form: &Pairs, now_ms: i64) -> Answer {
        let field = |name: &str| form.first(name).unwrap_or_default();
        let refuse = |status: &str, error: &str, description: &str| {
            Answer::value(
                400,
                &json!({"status": status, "error": error, "error_description": description, "message": description}),
            )
        };
        if field("client_id") != self.app.client_id {
            return refuse("BAD_CLIENT_ID", "invalid_client", "missing or unknown client id");
        }
        if field("client_secret") != self.app.client_secret {
            return refuse("BAD_CLIENT_SECRET", "invalid_client", "missing or invalid client secret");
        }
        if field("grant_type") != "refresh_token" {
            return refuse(
                "BAD_GRANT_TYPE",
                "unsupported_grant_type",
                "the simulator knows the refresh_token grant",
            );
        }
        let given = field("refresh_token").to_owned();
        if !self.refresh.contains(&given) {
            return refuse("BAD_REFRESH_TOKEN", "invalid_grant", "missing or invalid refresh token");
        }
        self.n_minted += 1;
        let access = format!("sim-access-{}", self.n_minted);
        let ttl_ms = i64::try_from(self.app.token_ttl.as_millis()).unwrap_or(i64::MAX);
        self.access.insert(access.clone(), AccessToken { expires_ms: now_ms.saturating_add(ttl_ms) });
        let refresh = if self.app.rotates_refresh_tokens {
            self.refresh.remove(&given);
            let fresh = format!("sim-refresh-{}", self.n_minted);
            self.refresh.insert(fresh.clone());
            fresh
        } else {
            given
        };
        let body = json!({
            "access_token": access, "refresh_token": refresh, "expires_in": self.app.token_ttl.as_secs(),
            "hub_id": self.portal_id, "scopes": self.app.scopes, "token_type": "bearer",
        });
        Answer::value(200, &body)
    }

    /// What a token is worth.
    pub(crate) fn introspect(&self, token: &str, now_ms: i64) -> Answer {
        let whose = json!({
            "token": token, "hub_id": self.portal_id, "client_id": self.app.client_id, "app_id": self.app.app_id,
            "user_id": 9001, "user": "admin@congress.example", "hub_domain": "congress.example",
            "scopes": self.app.scopes,
        });
        let with = |extra: Value| {
            let mut body = whose.clone();
            if let (Some(body), Value::Object(extra)) = (body.as_object_mut(), extra) {
                body.extend(extra);
            }
            Answer::value(200, &body)
        };
        if let Some(access) = self.access.get(token) {
            let left_s = ((access.expires_ms - now_ms) / 1_000).max(0);
            return with(
                json!({"active": left_s > 0, "expires_in": left_s, "token_type": "access", "token_use": "access_token"}),
            );
        }
        if self.refresh.contains(token) {
            return with(json!({"active": true, "token_type": "refresh", "token_use": "refresh_token"}));
        }
        Answer::value(200, &json!({"active": false}))
    }
}

/// Why a caller is not let in.
#[derive(Debug)]
pub(crate) enum Denial {
    Refusal(Refusal),
    BadlyFormed,
}
