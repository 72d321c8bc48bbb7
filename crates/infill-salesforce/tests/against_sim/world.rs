//! A world per test: a simulated org, a connector that speaks to it, and what it told its quota.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use infill_crm::auth::{AccessToken, Refresh, Scheme, StaticToken, Tokens};
use infill_crm::meter::{Meter, Observation, Quota};
use infill_crm::transport::{CALL_TIMEOUT, Transport, TransportConfig, Unobserved};
use infill_crm::{Catalog, Crm, Error, Pull, Update, WriteAnswer};
use infill_model::plan::{Combinator, Condition};
use infill_model::property::PropertyDef;
use infill_model::slice::{ResolvedSlice, Selection};
use infill_model::{Clock, ObjectType, Properties, RecordId, Timestamp, Value};
use infill_salesforce::{Config, Grant, OAuthApp, OAuthRefresh, Salesforce};
use infill_sim::salesforce as sim;
use secrecy::SecretString;
use serde_json::json;

/// The time of the simulated org, so that a test may move both.
#[derive(Debug)]
struct SimClock(sim::Control);

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.now_ms()).unwrap()
    }
}

/// Grants everything, and keeps what it is told.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) observed: Mutex<Vec<(Meter, Observation)>>,
    pub(crate) paused: Mutex<Vec<String>>,
}

#[async_trait]
impl Quota for Ledger {
    async fn acquire(&self, _meter: Meter, _cost: u32) -> Result<(), Error> {
        Ok(())
    }

    async fn observe(&self, meter: Meter, observation: Observation) -> Result<(), Error> {
        self.observed.lock().unwrap().push((meter, observation));
        Ok(())
    }

    async fn pause(&self, why: &str) -> Result<(), Error> {
        self.paused.lock().unwrap().push(why.to_owned());
        Ok(())
    }
}

/// Fetches a token when it has none and when the one it has is refused; keeps a refresh token that was rotated.
#[derive(Debug)]
pub(crate) struct Lazy {
    refresh: OAuthRefresh,
    refresh_token: Mutex<SecretString>,
    held: tokio::sync::Mutex<Option<AccessToken>>,
}

impl Lazy {
    async fn fetch(&self, version: u64) -> Result<AccessToken, Error> {
        let from = self.refresh_token.lock().unwrap().clone();
        let refreshed = self.refresh.refresh(&from).await?;
        if let Some(rotated) = refreshed.refresh {
            *self.refresh_token.lock().unwrap() = rotated;
        }
        let token = AccessToken { secret: refreshed.access, version, base_url: refreshed.base_url };
        *self.held.lock().await = Some(token.clone());
        Ok(token)
    }
}

#[async_trait]
impl Tokens for Lazy {
    async fn token(&self) -> Result<AccessToken, Error> {
        let held = self.held.lock().await.clone();
        match held {
            Some(token) => Ok(token),
            None => self.fetch(1).await,
        }
    }

    async fn renew(&self, stale: u64) -> Result<AccessToken, Error> {
        self.fetch(stale + 1).await
    }
}

pub(crate) struct World {
    pub(crate) sim: sim::Simulator,
    pub(crate) salesforce: Salesforce,
    pub(crate) quota: Arc<Ledger>,
}

impl World {
    pub(crate) async fn of(org: sim::Config, config: Config) -> Self {
        Self::with_tokens(org, config, |_| Arc::new(StaticToken::new(sim::SIM_SESSION.into()))).await
    }

    pub(crate) async fn with_tokens(
        org: sim::Config,
        config: Config,
        tokens: impl FnOnce(&sim::Simulator) -> Arc<dyn Tokens>,
    ) -> Self {
        let sim = sim::start(org).await.unwrap();
        let quota = Arc::new(Ledger::default());
        let transport = Transport::new(TransportConfig {
            base_url: sim.base_url().parse().unwrap(),
            tokens: tokens(&sim),
            scheme: Scheme::Bearer,
            quota: Arc::clone(&quota) as Arc<dyn Quota>,
            clock: Arc::new(SimClock(sim.control())),
            observer: Arc::new(Unobserved),
            call_timeout: CALL_TIMEOUT,
        })
        .unwrap();
        Self { sim, salesforce: Salesforce::new(config, transport), quota }
    }

    pub(crate) async fn bundled() -> Self {
        Self::of(sim::Config::default(), Config::default()).await
    }

    pub(crate) fn faults(&self, spec: &str) {
        self.sim.control().set_faults(spec.parse().unwrap());
    }

    /// The first accounts.
    pub(crate) fn ids(&self, count: usize) -> Vec<RecordId> {
        let ids = self.sim.control().record_ids("Account").unwrap();
        ids.into_iter().take(count).map(RecordId::from).collect()
    }

    pub(crate) fn value(&self, id: &RecordId, field: &str) -> Option<String> {
        self.sim.control().value("Account", id.as_str(), field).unwrap()
    }

    pub(crate) async fn listed(&self, slice: &ResolvedSlice) -> Vec<RecordId> {
        let mut all = Vec::new();
        let mut cursor = None;
        loop {
            let page = self.salesforce.list(slice, &Pull::default(), cursor.as_ref()).await.unwrap();
            all.extend(page.records);
            cursor = page.next;
            if cursor.is_none() {
                return all;
            }
        }
    }

    pub(crate) async fn targets(&self, names: &[&str]) -> Vec<PropertyDef> {
        let catalog: Catalog = self.salesforce.catalog(&accounts()).await.unwrap();
        names.iter().map(|name| catalog.get(&(*name).into()).unwrap().clone()).collect()
    }

    /// Writes accounts.
    pub(crate) async fn write(&self, updates: &[Update]) -> Result<WriteAnswer, Error> {
        let names: BTreeSet<&str> =
            updates.iter().flat_map(|update| update.properties.keys()).map(|name| name.as_str()).collect();
        let targets = self.targets(&names.into_iter().collect::<Vec<_>>()).await;
        let targets: Vec<_> = targets.iter().collect();
        let written = self.salesforce.write(&accounts(), &targets, updates, None).await;
        written.map(|written| written.answered().unwrap())
    }
}

pub(crate) fn accounts() -> ObjectType {
    ObjectType::from("Account")
}

pub(crate) fn view(name: &str) -> Selection {
    Selection::View(name.to_owned())
}

pub(crate) fn query(soql: &str) -> Selection {
    Selection::Query(soql.to_owned())
}

pub(crate) fn condition(variable: &str, operator: &str, values: &[Value]) -> Condition {
    Condition {
        variable: variable.to_owned(),
        operator: operator.to_owned(),
        values: values.to_vec(),
        combinator: Combinator::And,
    }
}

pub(crate) fn update(id: &RecordId, fields: &[(&str, Value)]) -> Update {
    let properties: Properties = fields.iter().map(|(name, value)| ((*name).into(), value.clone())).collect();
    Update { record: id.clone(), properties }
}

pub(crate) fn sorted<'a>(ids: impl IntoIterator<Item = &'a RecordId>) -> BTreeSet<&'a str> {
    ids.into_iter().map(RecordId::as_str).collect()
}

/// The app of a simulated org.
pub(crate) fn app(secret: &str) -> OAuthApp {
    OAuthApp { client_id: sim::SIM_CLIENT_ID.to_owned(), client_secret: secret.into() }
}

/// A login by a grant.
pub(crate) fn login(sim: &sim::Simulator, grant: Grant) -> Arc<dyn Tokens> {
    let clock = Arc::new(SimClock(sim.control()));
    let base_url = sim.base_url().parse().unwrap();
    let transport = Transport::without_login(&base_url, clock, Arc::new(Unobserved), CALL_TIMEOUT).unwrap();
    Arc::new(Lazy {
        refresh: OAuthRefresh::new(grant, transport),
        refresh_token: Mutex::new(sim::SIM_REFRESH_TOKEN.into()),
        held: tokio::sync::Mutex::default(),
    })
}

pub(crate) fn greetings(ids: &[RecordId]) -> Vec<Update> {
    ids.iter().map(|id| update(id, &[("Greeting__c", json!(format!("Hello {id}")))])).collect()
}
