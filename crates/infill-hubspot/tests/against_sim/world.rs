//! A world per test: a simulated portal, a connector that speaks to it, and what it told its quota.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use infill_crm::auth::{AccessToken, Refresh, Scheme, StaticToken, Tokens};
use infill_crm::meter::{Meter, Observation, Quota};
use infill_crm::transport::{CALL_TIMEOUT, Transport, TransportConfig, Unobserved};
use infill_crm::{Crm, Error, Pull, Update, WriteAnswer};
use infill_hubspot::{ApiVersion, Config, HubSpot, OAuthApp, OAuthRefresh};
use infill_model::plan::{Combinator, Condition};
use infill_model::slice::{ResolvedSlice, Selection};
use infill_model::{Clock, ObjectType, Properties, RecordId, Timestamp, Value};
use infill_sim::hubspot as sim;
use secrecy::SecretString;
use serde_json::json;

/// The time of the simulated portal, so that a test may move both.
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

/// Fetches a token when it has none and when the one it has is refused; never early.
#[derive(Debug)]
struct Lazy {
    refresh: OAuthRefresh,
    held: tokio::sync::Mutex<Option<AccessToken>>,
}

impl Lazy {
    async fn fetch(&self, version: u64) -> Result<AccessToken, Error> {
        let refreshed = self.refresh.refresh(&sim::SIM_REFRESH_TOKEN.into()).await?;
        let token = AccessToken { secret: refreshed.access, version, base_url: None };
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
    pub(crate) hubspot: HubSpot,
    pub(crate) quota: Arc<Ledger>,
}

impl World {
    pub(crate) async fn of(config: sim::Config, version: ApiVersion) -> Self {
        Self::with_tokens(config, version, |_| Arc::new(StaticToken::new(sim::SIM_TOKEN.into()))).await
    }

    pub(crate) async fn with_tokens(
        config: sim::Config,
        version: ApiVersion,
        tokens: impl FnOnce(&sim::Simulator) -> Arc<dyn Tokens>,
    ) -> Self {
        let sim = sim::start(config).await.unwrap();
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
        let hubspot = HubSpot::new(Config { api_version: version }, Arc::new(transport));
        Self { sim, hubspot, quota }
    }

    pub(crate) async fn bundled() -> Self {
        Self::of(unlimited(), ApiVersion::default()).await
    }

    pub(crate) fn faults(&self, spec: &str) {
        self.sim.control().set_faults(spec.parse().unwrap());
    }

    pub(crate) fn ids(&self, count: usize) -> Vec<RecordId> {
        self.sim.control().record_ids("contacts").unwrap().into_iter().take(count).map(record).collect()
    }

    /// Writes contacts.
    pub(crate) async fn write(&self, updates: &[Update]) -> Result<WriteAnswer, Error> {
        let written = self.hubspot.write(&ObjectType::from("contacts"), &[], updates, None).await;
        written.map(|written| written.answered().unwrap())
    }

    pub(crate) async fn listed(&self, slice: &ResolvedSlice) -> Vec<RecordId> {
        let mut all = Vec::new();
        let mut cursor = None;
        loop {
            let page = self.hubspot.list(slice, &Pull::default(), cursor.as_ref()).await.unwrap();
            all.extend(page.records);
            cursor = page.next;
            if cursor.is_none() {
                return all;
            }
        }
    }
}

/// A portal of the bundled people without limits, whose search knows everything at once.
pub(crate) fn unlimited() -> sim::Config {
    sim::Config {
        limits: sim::Limits::of(sim::LimitTier::Unlimited),
        index_lag: std::time::Duration::ZERO,
        switches: sim::Switches { background_edits: false, ..sim::Switches::default() },
        ..sim::Config::default()
    }
}

pub(crate) fn contacts() -> ObjectType {
    ObjectType::from("contacts")
}

pub(crate) fn record(id: u64) -> RecordId {
    RecordId::from(id.to_string())
}

pub(crate) fn list(name: &str) -> Selection {
    Selection::List(name.into())
}

pub(crate) fn condition(variable: &str, operator: &str, values: &[Value]) -> Condition {
    Condition {
        variable: variable.to_owned(),
        operator: operator.to_owned(),
        values: values.to_vec(),
        combinator: Combinator::And,
    }
}

pub(crate) fn update(id: &RecordId, property: &str, value: &str) -> Update {
    Update { record: id.clone(), properties: Properties::from([(property.into(), json!(value))]) }
}

pub(crate) fn sorted<'a>(ids: impl IntoIterator<Item = &'a RecordId>) -> BTreeSet<&'a str> {
    ids.into_iter().map(RecordId::as_str).collect()
}

pub(crate) fn oauth(sim: &sim::Simulator, secret: &str) -> Arc<dyn Tokens> {
    let app =
        OAuthApp { client_id: sim::SIM_CLIENT_ID.to_owned(), client_secret: SecretString::from(secret) };
    let clock = Arc::new(SimClock(sim.control()));
    let base_url = sim.base_url().parse().unwrap();
    let transport = Transport::without_login(&base_url, clock, Arc::new(Unobserved), CALL_TIMEOUT).unwrap();
    Arc::new(Lazy {
        refresh: OAuthRefresh::new(app, ApiVersion::default(), transport),
        held: tokio::sync::Mutex::default(),
    })
}
