//! Puts engines, connectors and loops together from the configuration. The only place that names them.

mod connector;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use infill_broker::Broker;
use infill_broker::embedded::Embedded;
use infill_broker::rabbitmq::{self, RabbitMq};
use infill_crm::{CallObserver, Crm};
use infill_model::{Actor, Class, Clock, ConnectionName, RunId, Timestamp};
use infill_rules::quota::{Limits, Rate};
use infill_server::{Health, Readiness};
use infill_store::audit::{Act, NewAuditEntry};
use infill_store::store::{Run, RunFilter};
use infill_store::{Postgres, Sqlite, Store};
use infill_telemetry::{Heartbeat, Metrics, chain};
use infill_worker::meter::StoreQuota;
use infill_worker::metered::MeteredBroker;
use infill_worker::{Context, Settings};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::args::RunRef;
use crate::compose::connector::Making;
use crate::config::{Config, Engine};
use crate::exit::Usage;

/// Wall time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the wall clock; all others are handed a `Clock`"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// What a process says it is to the broker.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    /// It handles messages.
    Worker,
    /// It publishes what is unfinished.
    Planner,
}

/// The parts every command works with.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    pub(crate) heartbeat: Heartbeat,
    /// Who asks.
    pub(crate) actor: Actor,
}

impl Parts {
    /// Opens the store for somebody and makes the connectors ready to be made.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub(crate) async fn open(config: Config, actor: Actor) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let metrics = Metrics::new();
        let key = config.vault_key.clone();
        let store: Arc<dyn Store> = match &config.engine {
            Engine::Embedded { path } => Arc::new(Sqlite::open(path, key, Arc::clone(&clock)).await?),
            Engine::Distributed(distributed) => {
                let url = distributed.database_url.get()?.clone();
                Arc::new(Postgres::connect(url, distributed.schema.clone(), key).await?)
            }
        };
        let connections = Arc::new(Connections {
            config: config.clone(),
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            metrics: metrics.clone(),
            actor: actor.clone(),
            made: Mutex::default(),
        });
        Ok(Self { config, store, connections, clock, metrics, heartbeat: Heartbeat::new(), actor })
    }

    /// Whether planner and worker live in this process.
    pub(crate) const fn is_embedded(&self) -> bool {
        matches!(self.config.engine, Engine::Embedded { .. })
    }

    /// The broker of the engine; on the embedded one a new one for each call.
    ///
    /// # Errors
    /// When it cannot be reached or refuses.
    pub(crate) async fn broker(&self, role: Role) -> anyhow::Result<Arc<dyn Broker>> {
        let broker: Arc<dyn Broker> = match &self.config.engine {
            Engine::Embedded { .. } => Arc::new(Embedded::new()),
            Engine::Distributed(distributed) => {
                let role = match role {
                    Role::Worker => "worker",
                    Role::Planner => "planner",
                };
                let config = rabbitmq::Config::new(distributed.amqp_url.get()?.clone(), role);
                let config = rabbitmq::Config { prefix: distributed.prefix.clone(), ..config };
                Arc::new(RabbitMq::connect(config).await?)
            }
        };
        Ok(Arc::new(MeteredBroker::new(broker, self.metrics.clone())))
    }

    /// What a worker is given.
    ///
    /// # Errors
    /// As [`Parts::broker`].
    pub(crate) async fn worker_context(&self) -> anyhow::Result<Context> {
        let settings = Settings { concurrency: self.config.worker.concurrency, ..Settings::default() };
        Ok(Context::new(
            Arc::clone(&self.store),
            self.broker(Role::Worker).await?,
            Arc::clone(&self.connections) as Arc<dyn infill_worker::Connections>,
            self.metrics.clone(),
            Arc::clone(&self.clock),
            self.heartbeat.clone(),
            settings,
        ))
    }

    /// What a planner goes by.
    pub(crate) fn planner_settings(&self) -> infill_planner::Settings {
        let crate::config::Planner { republish_after, approve_within, retention } = self.config.planner;
        let in_flight = self.config.worker.batches_in_flight;
        infill_planner::Settings {
            republish_after,
            in_flight,
            approve_within,
            retention,
            ..infill_planner::Settings::default()
        }
    }

    /// Unfinished runs: the one named, or all.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn unfinished(&self, only: Option<RunId>) -> anyhow::Result<Vec<RunId>> {
        if let Some(only) = only {
            return Ok(vec![only]);
        }
        let open = self.store.runs(&RunFilter { unfinished: true, ..RunFilter::default() }).await?;
        Ok(open.into_iter().map(|run| run.id).collect())
    }

    /// The run a person means.
    ///
    /// # Errors
    /// When there is none, or several.
    pub(crate) async fn find_run(&self, wanted: &RunRef) -> anyhow::Result<Run> {
        let run = match wanted {
            RunRef::Id(id) => self.store.run(*id).await?,
            RunRef::Latest => {
                self.store.runs(&RunFilter { limit: 1, ..RunFilter::default() }).await?.into_iter().next()
            }
            RunRef::Part(part) => {
                let all = self.store.runs(&RunFilter::default()).await?;
                let mut fitting = all.into_iter().filter(|run| wanted.means(run.id));
                let first = fitting.next();
                if fitting.next().is_some() {
                    anyhow::bail!(Usage(format!(
                        "several runs begin or end with \"{part}\"; give more characters"
                    )));
                }
                first
            }
        };
        run.ok_or_else(|| {
            Usage(format!("no run \"{wanted}\" in this store; `infill runs` lists them")).into()
        })
    }

    /// Answers metrics and health until `stop`, where the configuration says so.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub(crate) async fn serve(
        &self,
        broker: Arc<dyn Broker>,
        stop: CancellationToken,
    ) -> anyhow::Result<JoinHandle<()>> {
        let readiness = Arc::new(Reachable { store: Arc::clone(&self.store), broker: Arc::clone(&broker) });
        let health = Health::new(self.heartbeat.clone(), readiness);
        let Some(listen) = self.config.listen else { return Ok(tokio::spawn(async {})) };
        let listener = infill_server::bind(listen).await?;
        let metrics = self.metrics.clone();
        watch_broker(broker, metrics.clone(), stop.clone());
        Ok(tokio::spawn(async move {
            if let Err(error) = infill_server::serve(listener, metrics, health, stop).await {
                tracing::error!(error = %chain(&error), "metrics and health are no longer served");
            }
        }))
    }
}

/// How often the broker's link is looked at for metrics.
const WATCH_EVERY: Duration = Duration::from_secs(2);

fn watch_broker(broker: Arc<dyn Broker>, metrics: Metrics, stop: CancellationToken) {
    tokio::spawn(async move {
        let mut looks = tokio::time::interval(WATCH_EVERY);
        let mut seen = broker.status();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = looks.tick() => {}
            }
            let now = broker.status();
            for role in infill_telemetry::Role::ALL {
                metrics.broker_connected(role, now.connected);
                metrics.broker_blocked(role, now.blocked);
                for _ in seen.reconnects..now.reconnects {
                    metrics.broker_reconnected(role);
                }
            }
            seen = now;
        }
    });
}

#[derive(Debug)]
struct Reachable {
    store: Arc<dyn Store>,
    broker: Arc<dyn Broker>,
}

#[async_trait]
impl Readiness for Reachable {
    async fn check(&self) -> Result<(), Vec<String>> {
        let (store, broker) = tokio::join!(self.store.ready(), self.broker.ready());
        let mut unreachable = Vec::new();
        unreachable.extend(store.err().map(|error| format!("store: {}", chain(&error))));
        unreachable.extend(broker.err().map(|error| format!("broker: {}", chain(&error))));
        if unreachable.is_empty() { Ok(()) } else { Err(unreachable) }
    }
}

/// The connectors of the configured connections, each made once.
#[derive(Debug)]
pub(crate) struct Connections {
    config: Config,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    actor: Actor,
    made: Mutex<HashMap<ConnectionName, Made>>,
}

#[derive(Clone, Debug)]
struct Made {
    crm: Arc<dyn Crm>,
    quota: Arc<StoreQuota>,
}

impl Connections {
    /// The connector, made at the first call.
    ///
    /// # Errors
    /// When the configuration has no such connection, or its secret is not there.
    pub(crate) async fn connect(&self, name: &ConnectionName) -> anyhow::Result<Arc<dyn Crm>> {
        Ok(self.made(name).await?.crm)
    }

    /// Ends a pause that a refused login has made, and records who did.
    ///
    /// # Errors
    /// As [`Connections::connect`], or when the store fails.
    pub(crate) async fn resume(&self, name: &ConnectionName) -> anyhow::Result<()> {
        if self.made(name).await?.quota.resume().await? {
            let entry = NewAuditEntry {
                connection: Some(name.clone()),
                ..NewAuditEntry::new(self.clock.now(), self.actor.clone(), Act::ConnectionResumed)
            };
            self.store.audit(&entry.with("its login is tried again")).await?;
        }
        Ok(())
    }

    /// What the connection may spend; nothing is limited for a connection that does not exist.
    pub(crate) fn limits(&self, name: &ConnectionName) -> Limits {
        self.config.connection(name).map(|connection| connection.limits).unwrap_or_default()
    }

    /// What a day of the connection is counted in.
    pub(crate) fn unit(&self, name: &ConnectionName) -> &'static str {
        self.config.connection(name).map_or("calls", |connection| connection.vendor.unit())
    }

    async fn made(&self, name: &ConnectionName) -> anyhow::Result<Made> {
        let mut made = self.made.lock().await;
        if let Some(made) = made.get(name) {
            return Ok(made.clone());
        }
        let fresh = self.make(name)?;
        made.insert(name.clone(), fresh.clone());
        Ok(fresh)
    }

    fn make(&self, name: &ConnectionName) -> anyhow::Result<Made> {
        let connection = self.config.connection(name)?;
        let quota = Arc::new(StoreQuota::new(
            Arc::clone(&self.store),
            name.clone(),
            connection.limits,
            Arc::clone(&self.clock),
            self.metrics.clone(),
        ));
        let observer: Arc<dyn CallObserver> =
            Arc::new(Observed { connection: name.clone(), metrics: self.metrics.clone() });
        let making = Making {
            name,
            connection,
            store: &self.store,
            clock: &self.clock,
            quota: Arc::clone(&quota) as Arc<dyn infill_crm::meter::Quota>,
            observer,
        };
        Ok(Made { crm: making.connector()?, quota })
    }
}

#[async_trait]
impl infill_worker::Connections for Connections {
    async fn crm(&self, connection: &ConnectionName) -> Result<Arc<dyn Crm>, infill_crm::Error> {
        self.connect(connection).await.map_err(|error| {
            infill_crm::Error::new(Class::Configuration, "connection_unusable", format!("{error:#}"))
        })
    }

    async fn tell_time_zone(&self, connection: &ConnectionName, time_zone: &str) {
        if let Ok(made) = self.made(connection).await {
            made.quota.set_time_zone(time_zone);
            made.crm.learn_time_zone(time_zone);
        }
    }

    fn rate(&self, connection: &ConnectionName) -> Option<Rate> {
        self.limits(connection).general
    }
}

/// Counts calls in the metrics.
#[derive(Debug)]
struct Observed {
    connection: ConnectionName,
    metrics: Metrics,
}

impl CallObserver for Observed {
    fn called(&self, operation: &'static str, class: Option<Class>, took: Duration) {
        self.metrics.crm_called(&self.connection, operation, class, took);
    }
}
