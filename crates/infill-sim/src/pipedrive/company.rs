//! A running company: its state behind locks, and what one call sees of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use super::answer::Refusal;
use super::auth::Auth;
use super::board::Board;
use super::config::Config;
use super::entity::Entity;
use super::fault::Fault;
use super::limits::Meters;
use super::report::Counts;
use super::spec::{Endpoint, Spec, Version};
use super::store::Store;
use crate::clock::Clock;
use crate::query::Pairs;

/// Everything behind the port.
#[derive(Debug)]
pub(crate) struct Company {
    pub(crate) config: Config,
    /// Where it is served, which OAuth clients are told.
    pub(crate) base_url: String,
    pub(crate) clock: Clock,
    pub(crate) spec: Spec,
    store: RwLock<Store>,
    meters: Mutex<Meters>,
    auth: Mutex<Auth>,
    board: RwLock<Arc<Board>>,
    counts: Mutex<Counts>,
}

impl Company {
    pub(crate) fn new(config: Config, base_url: String, zone: TimeZone, clock: Clock, store: Store) -> Self {
        let now_ms = clock.now_ms();
        Self {
            meters: Mutex::new(Meters::new(config.limits, zone, now_ms)),
            auth: Mutex::new(Auth::new(&config.tokens, config.oauth.clone(), now_ms)),
            board: RwLock::new(Arc::new(Board::new(config.faults.clone(), config.seed))),
            counts: Mutex::new(Counts::default()),
            store: RwLock::new(store),
            spec: Spec::load(),
            config,
            base_url,
            clock,
        }
    }

    /// A handler that panicked while it held a lock leaves data as good as any: nothing here spans two steps.
    pub(crate) fn store(&self) -> RwLockReadGuard<'_, Store> {
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn store_mut(&self) -> RwLockWriteGuard<'_, Store> {
        self.store.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn meters(&self) -> MutexGuard<'_, Meters> {
        self.meters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn auth(&self) -> MutexGuard<'_, Auth> {
        self.auth.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_board(&self, board: Board) {
        *self.board.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(board);
    }
}

/// What faults do to the operation of a call.
#[derive(Debug, Default)]
pub(crate) struct Effects<'f> {
    /// Nothing is committed, and the answer shows the record as it was.
    pub(crate) no_op: bool,
    /// Nothing is committed, and the answer shows what was sent.
    pub(crate) phantom: bool,
    /// Records that are not found; `Some` of none is every record.
    pub(crate) missing: Option<&'f [String]>,
    pub(crate) bad_row: Option<&'f Fault>,
    pub(crate) differs: Option<&'f Fault>,
}

impl Effects<'_> {
    pub(crate) fn hides(&self, key: &str) -> bool {
        self.missing.is_some_and(|records| records.is_empty() || records.iter().any(|record| record == key))
    }
}

/// One call and what it may use.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) company: &'a Company,
    pub(crate) endpoint: &'a Endpoint,
    /// The kind of record it is about.
    pub(crate) entity: Entity,
    /// The part of the path that names one thing.
    pub(crate) key: &'a str,
    pub(crate) query: &'a Pairs,
    pub(crate) body: &'a [u8],
    pub(crate) effects: &'a Effects<'a>,
    pub(crate) now_ms: i64,
}

impl Ask<'_> {
    /// Reads the body as a JSON object.
    pub(crate) fn object(&self) -> Result<Map<String, Value>, Refusal> {
        match serde_json::from_slice(self.body) {
            Ok(Value::Object(body)) => Ok(body),
            Ok(_) | Err(_) => Err(match self.endpoint.version {
                Version::V1 => Refusal::v1(400, "Bad request", None),
                Version::V2 => Refusal::invalid("body", "Expected 'object' as value"),
            }),
        }
    }

    /// A whole number of the query.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let given = self.query.first(name).filter(|text| !text.is_empty());
        given
            .map(|text| text.parse().map_err(|_| self.bad_parameter(name, "Expected 'number' as value")))
            .transpose()
    }

    pub(crate) fn bad_parameter(&self, name: &str, fault: &str) -> Refusal {
        match self.endpoint.version {
            Version::V1 => Refusal::v1(400, "Bad request", Some(&format!("\"{name}\": {fault}"))),
            Version::V2 => Refusal::invalid(name, fault),
        }
    }

    /// The refusal of a record that was never there.
    pub(crate) fn not_found(&self) -> Refusal {
        Refusal::missing(self.endpoint.version, 404, title(self.entity))
    }

    /// The id that the path names, if such a record is there.
    pub(crate) fn live_id(&self, store: &Store) -> Result<u64, Refusal> {
        let found = store.id(self.entity, self.key).and_then(|id| store.table(self.entity).find(id));
        let record = found.filter(|_| !self.effects.hides(self.key)).ok_or_else(|| self.not_found())?;
        if record.deleted_ms.is_some() {
            let status = self.company.config.switches.deleted.status();
            return Err(Refusal::missing(self.endpoint.version, status, title(self.entity)));
        }
        Ok(record.id)
    }
}

fn title(entity: Entity) -> &'static str {
    match entity {
        Entity::Person => "Person",
        Entity::Organization => "Organization",
        Entity::Deal => "Deal",
        Entity::Product => "Product",
        Entity::Activity => "Activity",
        Entity::Lead => "Lead",
    }
}
