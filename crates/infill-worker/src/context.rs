//! What a worker is given, and the caches it may lose at any moment.

use std::collections::HashMap;
use std::fmt::Debug;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use infill_broker::Broker;
use infill_chain::{Chain, Evaluator};
use infill_crm::Crm;
use infill_model::error::Class;
use infill_model::row::Cause;
use infill_model::{Clock, ConnectionName, RunId};
use infill_rules::quota::Rate;
use infill_rules::retry::RetryPolicy;
use infill_store::Store;
use infill_store::store::Run;
use infill_telemetry::{Heartbeat, Metrics};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::handed_over::HandedOver;
use crate::verdict::Failure;

/// Runs whose compiled chain is kept at most; the rest is compiled again when needed.
const CHAINS_KEPT: usize = 64;

/// A batch of more rows than this is a large one.
const LARGE_BATCH: u32 = 5_000;

/// Gives the connector of a connection. Implemented where engines and vendors are composed.
#[async_trait]
pub trait Connections: Send + Sync + Debug {
    /// The connector.
    ///
    /// # Errors
    /// `configuration` when the configuration has no such connection or it is not usable.
    async fn crm(&self, connection: &ConnectionName) -> Result<Arc<dyn Crm>, infill_crm::Error>;

    /// Tells the account's time zone, whose midnight starts the day's budget anew.
    async fn tell_time_zone(&self, connection: &ConnectionName, time_zone: &str);

    /// The burst limit of the connection, for forecasts; `None` when unlimited.
    fn rate(&self, connection: &ConnectionName) -> Option<Rate>;
}

/// Numbers a person may set.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Messages handled at once by this worker.
    pub concurrency: u16,
    /// How failed work is tried again.
    pub retry: RetryPolicy,
    /// How long a handler may hold a batch. Longer than any single call with its read-back takes.
    pub lease: Duration,
    /// How long a worker that is told to stop may finish what it holds.
    pub grace: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            concurrency: 16,
            retry: RetryPolicy::default(),
            lease: Duration::from_mins(2),
            grace: Duration::from_secs(25),
        }
    }
}

/// Everything a handler works with.
#[derive(Debug)]
pub struct Context {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The broker.
    pub broker: Arc<dyn Broker>,
    /// The connectors.
    pub connections: Arc<dyn Connections>,
    /// The metrics.
    pub metrics: Metrics,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Beaten while the worker's loop goes round.
    pub heartbeat: Heartbeat,
    /// The settings.
    pub settings: Settings,
    /// Batches between two stages.
    pub(crate) handed_over: HandedOver,
    chains: Mutex<HashMap<RunId, Arc<CompiledChain>>>,
    /// One large batch at a time: the rows of one are most of the memory that a worker may take.
    large: Semaphore,
}

/// A compiled chain with script engines ready for it.
#[derive(Debug)]
pub struct CompiledChain {
    chain: Chain,
    ready: Mutex<Vec<Evaluator>>,
    /// As many evaluations at once as the machine can do: more would only make more engines, and each costs milliseconds to make.
    room: Semaphore,
}

impl CompiledChain {
    /// Compiles the plan's chain.
    ///
    /// # Errors
    /// A `configuration` cause naming every fault.
    pub fn compile(plan: &infill_model::Plan) -> Result<Self, Failure> {
        let chain = Chain::compile(plan).map_err(|faults| {
            let all: Vec<String> = faults.iter().map(ToString::to_string).collect();
            Failure::Stop(Cause {
                class: Class::Configuration,
                code: "chain_faults".into(),
                message: all.join("; "),
                property: None,
                correlation_id: None,
                at: None,
            })
        })?;
        let at_once = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Ok(Self { chain, ready: Mutex::default(), room: Semaphore::new(at_once) })
    }

    /// Waits for room to evaluate in; hold what it gives while evaluating.
    pub async fn room(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.room.acquire().await.ok()
    }

    /// Lends a script engine to `work`. A broken engine is dropped, not kept.
    ///
    /// # Errors
    /// When no engine can be made.
    pub fn with_evaluator<T>(&self, work: impl FnOnce(&mut Evaluator) -> T) -> Result<T, Failure> {
        let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut evaluator = match ready {
            Some(evaluator) => evaluator,
            None => self.chain.evaluator().map_err(Failure::Engine)?,
        };
        let done = work(&mut evaluator);
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).push(evaluator);
        Ok(done)
    }
}

impl Context {
    /// Puts the parts together.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        broker: Arc<dyn Broker>,
        connections: Arc<dyn Connections>,
        metrics: Metrics,
        clock: Arc<dyn Clock>,
        heartbeat: Heartbeat,
        settings: Settings,
    ) -> Self {
        Self {
            store,
            broker,
            connections,
            metrics,
            clock,
            heartbeat,
            settings,
            handed_over: HandedOver::default(),
            chains: Mutex::default(),
            large: Semaphore::new(1),
        }
    }

    /// Waits until the rows of one more batch of the run may be in memory. A large one may have to wait until another is done with.
    pub(crate) async fn room(&self, run: &Run) -> Option<SemaphorePermit<'_>> {
        let is_large = run.listing.write_batch.is_some_and(|rows| rows > LARGE_BATCH);
        // It is never closed.
        if is_large { self.large.acquire().await.ok() } else { None }
    }

    /// The run's chain, compiled once per process.
    pub(crate) fn chain(&self, run: &Run) -> Result<Arc<CompiledChain>, Failure> {
        if let Some(chain) = self.chains.lock().unwrap_or_else(PoisonError::into_inner).get(&run.id) {
            return Ok(Arc::clone(chain));
        }
        let chain = Arc::new(CompiledChain::compile(&run.plan)?);
        let mut chains = self.chains.lock().unwrap_or_else(PoisonError::into_inner);
        if chains.len() >= CHAINS_KEPT {
            chains.clear();
        }
        chains.insert(run.id, Arc::clone(&chain));
        Ok(chain)
    }
}
