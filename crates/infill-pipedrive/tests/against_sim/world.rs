//! A world per test: a simulated company, a connector that speaks to it, and what it told its quota.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use infill_crm::auth::{AccessToken, ClientCredentials, Refresh, Scheme, StaticToken, Tokens};
use infill_crm::meter::{Meter, Observation, Quota};
use infill_crm::transport::{CALL_TIMEOUT, Transport, TransportConfig, Unobserved};
use infill_crm::{Crm, Error, Pull, Update, WriteAnswer};
use infill_model::plan::{Combinator, Condition};
use infill_model::property::PropertyDef;
use infill_model::slice::{ResolvedSlice, Selection};
use infill_model::{Clock, ObjectType, Properties, PropertyName, RecordId, Timestamp, Value};
use infill_pipedrive::{OAuthRefresh, Pipedrive, TOKEN_HEADER};
use infill_sim::pipedrive as sim;

/// The time of the simulated company, so that a test may move both.
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
    pub(crate) spent: Mutex<u64>,
    pub(crate) observed: Mutex<Vec<Observation>>,
    pub(crate) paused: Mutex<Vec<String>>,
}

#[async_trait]
impl Quota for Ledger {
    async fn acquire(&self, _meter: Meter, cost: u32) -> Result<(), Error> {
        *self.spent.lock().unwrap() += u64::from(cost);
        Ok(())
    }

    async fn observe(&self, _meter: Meter, observation: Observation) -> Result<(), Error> {
        self.observed.lock().unwrap().push(observation);
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
    pub(crate) pipedrive: Pipedrive,
    pub(crate) quota: Arc<Ledger>,
}

impl World {
    pub(crate) async fn of(config: sim::Config) -> Self {
        Self::with_token(config, sim::SIM_TOKEN).await
    }

    pub(crate) async fn with_token(config: sim::Config, token: &str) -> Self {
        let sim = sim::start(config).await.unwrap();
        let tokens = Arc::new(StaticToken::new(token.into()));
        Self::logged_in(sim, tokens, Scheme::Header(TOKEN_HEADER))
    }

    pub(crate) async fn with_app(config: sim::Config, secret: &str) -> Self {
        let sim = sim::start(config).await.unwrap();
        let clock = Arc::new(SimClock(sim.control()));
        let base_url = sim.base_url().parse().unwrap();
        let app = ClientCredentials { id: sim::SIM_CLIENT_ID.to_owned(), secret: secret.into() };
        let transport =
            Transport::without_login(&base_url, clock, Arc::new(Unobserved), CALL_TIMEOUT).unwrap();
        let refresh = OAuthRefresh::new(transport.as_client(app));
        let tokens = Arc::new(Lazy { refresh, held: tokio::sync::Mutex::default() });
        Self::logged_in(sim, tokens, Scheme::Bearer)
    }

    fn logged_in(sim: sim::Simulator, tokens: Arc<dyn Tokens>, scheme: Scheme) -> Self {
        let quota = Arc::new(Ledger::default());
        let transport = Transport::new(TransportConfig {
            base_url: sim.base_url().parse().unwrap(),
            tokens,
            scheme,
            quota: Arc::clone(&quota) as Arc<dyn Quota>,
            clock: Arc::new(SimClock(sim.control())),
            observer: Arc::new(Unobserved),
            call_timeout: CALL_TIMEOUT,
        })
        .unwrap();
        Self { sim, pipedrive: Pipedrive::new(Arc::new(transport)), quota }
    }

    pub(crate) async fn bundled() -> Self {
        Self::of(unlimited()).await
    }

    pub(crate) fn faults(&self, spec: &str) {
        self.sim.control().set_faults(spec.parse().unwrap());
    }

    pub(crate) fn ids(&self, object: &str, count: usize) -> Vec<RecordId> {
        let ids = self.sim.control().record_ids(object).unwrap();
        ids.into_iter().take(count).map(RecordId::from).collect()
    }

    /// The code of a custom field.
    pub(crate) fn code(&self, object: &str, name: &str) -> PropertyName {
        self.sim.control().field_code(object, name).unwrap().into()
    }

    pub(crate) fn value(&self, object: &str, record: &RecordId, field: &str) -> Value {
        self.sim.control().value(object, record, field).unwrap()
    }

    pub(crate) async fn listed(&self, slice: &ResolvedSlice) -> Vec<RecordId> {
        let mut all = Vec::new();
        let mut cursor = None;
        loop {
            let page = self.pipedrive.list(slice, &Pull::default(), cursor.as_ref()).await.unwrap();
            all.extend(page.records);
            cursor = page.next;
            if cursor.is_none() {
                return all;
            }
        }
    }

    /// The definitions of these properties, as a run has them.
    pub(crate) async fn targets(&self, object: &str, names: &[&PropertyName]) -> Vec<PropertyDef> {
        let catalog = self.pipedrive.catalog(&object.into()).await.unwrap();
        names.iter().map(|name| catalog.get(name).unwrap().clone()).collect()
    }

    /// Writes one property to each of some records.
    pub(crate) async fn write(
        &self,
        object: &str,
        records: &[RecordId],
        name: &PropertyName,
        value: &Value,
    ) -> Result<WriteAnswer, Error> {
        let targets = self.targets(object, &[name]).await;
        let updates: Vec<Update> = records.iter().map(|id| update(id, &[(name, value.clone())])).collect();
        let targets: Vec<&PropertyDef> = targets.iter().collect();
        let written = self.pipedrive.write(&object.into(), &targets, &updates, None).await;
        written.map(|written| written.answered().unwrap())
    }
}

/// The bundled people in a company without limits.
pub(crate) fn unlimited() -> sim::Config {
    sim::Config { limits: sim::Limits::unlimited(), ..sim::Config::default() }
}

pub(crate) fn persons() -> ObjectType {
    ObjectType::from("persons")
}

pub(crate) fn view(name: &str) -> Selection {
    Selection::View(name.to_owned())
}

pub(crate) fn condition(variable: &str, operator: &str, values: &[Value]) -> Condition {
    Condition {
        variable: variable.to_owned(),
        operator: operator.to_owned(),
        values: values.to_vec(),
        combinator: Combinator::And,
    }
}

pub(crate) fn update(id: &RecordId, properties: &[(&PropertyName, Value)]) -> Update {
    let properties: Properties =
        properties.iter().map(|(name, value)| ((*name).clone(), value.clone())).collect();
    Update { record: id.clone(), properties }
}

pub(crate) fn sorted<'a>(ids: impl IntoIterator<Item = &'a RecordId>) -> BTreeSet<&'a str> {
    ids.into_iter().map(RecordId::as_str).collect()
}
