//! A running portal: its state behind locks, and what one call sees of it.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jiff::tz::TimeZone;

use super::answer::Refusal;
use super::auth::{Auth, Caller};
use super::board::Board;
use super::config::{ApiVersion, Config, MultiStatus};
use super::limits::Meters;
use super::object::ObjectType;
use super::report::Counts;
use super::route::Call;
use super::store::{Store, Table};
use super::value::Strictness;
use crate::clock::Clock;
use crate::fault::mix;
use crate::query::Pairs;

/// Everything behind the port.
#[derive(Debug)]
pub(crate) struct Portal {
    pub(crate) config: Config,
    /// Where it is served, for links to the next page.
    pub(crate) base_url: String,
    pub(crate) zone: TimeZone,
    pub(crate) clock: Clock,
    store: RwLock<Store>,
    meters: Mutex<Meters>,
    auth: Mutex<Auth>,
    board: RwLock<Arc<Board>>,
    counts: Mutex<Counts>,
    n_requests: AtomicU64,
    next_due_ms: AtomicI64,
}

impl Portal {
    pub(crate) fn new(config: Config, base_url: String, zone: TimeZone, clock: Clock, store: Store) -> Self {
        let now_ms = clock.now_ms();
        Self {
            meters: Mutex::new(Meters::new(config.limits, zone.clone(), now_ms)),
            auth: Mutex::new(Auth::new(&config.tokens, config.oauth.clone(), config.portal_id)),
            board: RwLock::new(Arc::new(Board::new(config.faults.clone(), config.seed))),
            counts: Mutex::new(Counts::default()),
            n_requests: AtomicU64::new(0),
            next_due_ms: AtomicI64::new(store.next_due_ms()),
            store: RwLock::new(store),
            config,
            base_url,
            zone,
            clock,
        }
    }

    /// A handler that panicked while it held a lock leaves data as good as any: nothing here spans two steps.
    pub(crate) fn store(&self) -> RwLockReadGuard<'_, Store> {
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the store, and notes when it next changes by itself.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut Store) -> R) -> R {
        let mut store: RwLockWriteGuard<'_, Store> =
            self.store.write().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut store);
        self.next_due_ms.store(store.next_due_ms(), Ordering::Relaxed);
        result
    }

    /// Lets happen what is due by now.
    pub(crate) fn settle(&self, now_ms: i64) {
        if self.next_due_ms.load(Ordering::Relaxed) <= now_ms {
            self.change(|store| store.settle(now_ms));
        }
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

    /// The number of a new call, from 1.
    pub(crate) fn next_request(&self) -> u64 {
        self.n_requests.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// An id for a call in the form of a UUID, the same for a seed and a call's number.
    pub(crate) fn correlation_id(&self, nth: u64) -> String {
        let high = mix(self.config.seed ^ mix(nth));
        let low = mix(high ^ nth);
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            0x8000 | (low >> 48) & 0x3fff,
            low & 0xffff_ffff_ffff
        )
    }

    /// Whether the API version enforces what came with 2026-09.
    pub(crate) fn is_strict(&self) -> bool {
        self.config.api_version == ApiVersion::V2026_09
    }

    pub(crate) fn strictness(&self) -> Strictness {
        Strictness {
            refuses_epoch_seconds: self.is_strict(),
            forward_only_lifecycle: self.config.switches.forward_only_lifecycle,
        }
    }

    /// The status of a batch with errors whose ordinary status is `ordinary`.
    pub(crate) fn multi_status(&self, ordinary: u16) -> u16 {
        let is_207 = match self.config.switches.multi_status {
            MultiStatus::ByVersion => !self.is_strict(),
            MultiStatus::Always207 => true,
            MultiStatus::Never207 => false,
        };
        if is_207 { 207 } else { ordinary }
    }
}

/// One call and what it may use.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) portal: &'a Portal,
    pub(crate) call: &'a Call,
    pub(crate) query: &'a Pairs,
    pub(crate) body: &'a [u8],
    pub(crate) caller: &'a Caller,
    pub(crate) board: &'a Board,
    pub(crate) now_ms: i64,
    /// The number of the call, from 1.
    pub(crate) nth: u64,
}

impl Ask<'_> {
    /// The table the path names, out of a store that the caller has locked.
    pub(crate) fn table<'s>(&self, store: &'s Store) -> Result<&'s Table, Refusal> {
        let name = self.call.object();
        store.table(name).ok_or_else(|| Refusal::unknown_object(name))
    }

    /// Reads the body as JSON.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_json::from_slice(self.body).map_err(|error| Refusal::malformed_json(&error))
    }
}

/// The object type of that name.
pub(crate) fn object(name: &str) -> Option<&'static ObjectType> {
    super::object::OBJECT_TYPES.iter().find(|object| object.is_called(name))
}
