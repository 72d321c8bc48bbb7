//! A running org: its state behind locks, and what one call sees of it.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use axum::http::HeaderMap;
use tokio::sync::watch;

use super::answer::Refusal;
use super::auth::Auth;
use super::automation::Rules;
use super::board::Board;
use super::bulk::Jobs;
use super::config::Config;
use super::limits::Meters;
use super::lock::Locks;
use super::query::Cursors;
use super::report::Counts;
use super::route::Call;
use super::store::{Store, Table};
use crate::clock::Clock;
use crate::query::Pairs;

/// Everything behind the port.
#[derive(Debug)]
pub(crate) struct Org {
    pub(crate) config: Config,
    /// Where it is served: the org's instance.
    pub(crate) base_url: String,
    pub(crate) clock: Clock,
    pub(crate) rules: Rules,
    store: RwLock<Store>,
    meters: Mutex<Meters>,
    auth: Mutex<Auth>,
    board: RwLock<Arc<Board>>,
    counts: Mutex<Counts>,
    cursors: Mutex<Cursors>,
    jobs: Mutex<Jobs>,
    locks: Mutex<Locks>,
    n_requests: AtomicU64,
    /// When fields were last added or hidden.
    catalog_ms: AtomicI64,
    /// How often held answers were released.
    pub(crate) released: watch::Sender<u64>,
    /// Answers that are held now.
    pub(crate) held: watch::Sender<usize>,
}

/// A handler that panicked while it held a lock leaves data as good as any: nothing here spans two steps.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Org {
    pub(crate) fn new(config: Config, base_url: String, clock: Clock, rules: Rules, store: Store) -> Self {
        Self {
            meters: Mutex::new(Meters::new(config.limits)),
            auth: Mutex::new(Auth::new(&config.sessions, config.app.clone(), &base_url)),
            board: RwLock::new(Arc::new(Board::new(config.faults.clone(), config.seed))),
            counts: Mutex::new(Counts::default()),
            cursors: Mutex::new(Cursors::default()),
            jobs: Mutex::new(Jobs::default()),
            locks: Mutex::new(Locks::default()),
            n_requests: AtomicU64::new(0),
            catalog_ms: AtomicI64::new(clock.now_ms()),
            released: watch::Sender::new(0),
            held: watch::Sender::new(0),
            store: RwLock::new(store),
            config,
            base_url,
            clock,
            rules,
        }
    }

    pub(crate) fn store(&self) -> RwLockReadGuard<'_, Store> {
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut Store) -> R) -> R {
        change(&mut self.store.write().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn meters(&self) -> MutexGuard<'_, Meters> {
        locked(&self.meters)
    }

    pub(crate) fn auth(&self) -> MutexGuard<'_, Auth> {
        locked(&self.auth)
    }

    pub(crate) fn counts(&self) -> MutexGuard<'_, Counts> {
        locked(&self.counts)
    }

    pub(crate) fn cursors(&self) -> MutexGuard<'_, Cursors> {
        locked(&self.cursors)
    }

    pub(crate) fn jobs(&self) -> MutexGuard<'_, Jobs> {
        locked(&self.jobs)
    }

    pub(crate) fn locks(&self) -> MutexGuard<'_, Locks> {
        locked(&self.locks)
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

    /// Hides a field from the user. False when there is none.
    pub(crate) fn hide_field(&self, object: &str, field: &str) -> bool {
        self.catalog_ms.fetch_max(self.clock.now_ms(), Ordering::Relaxed);
        self.change(|store| store.table_mut(object).is_some_and(|table| table.hide(field)))
    }

    /// When describe last changed.
    pub(crate) fn catalog_ms(&self) -> i64 {
        self.catalog_ms.load(Ordering::Relaxed)
    }
}

/// A call under way: its end releases what it holds.
#[derive(Debug)]
pub(crate) struct Flight {
    org: Arc<Org>,
    nth: u64,
}

impl Flight {
    pub(crate) fn begin(org: &Arc<Org>, nth: u64, now_ms: i64) -> Self {
        org.meters().begin(nth, now_ms);
        Self { org: Arc::clone(org), nth }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.org.meters().end(self.nth);
        self.org.locks().release(self.nth);
        self.org.auth().settle(self.nth);
    }
}

/// One call and what it may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) org: &'a Org,
    pub(crate) call: &'a Call,
    pub(crate) query: &'a Pairs,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    pub(crate) board: &'a Board,
    pub(crate) now_ms: i64,
    /// The number of the call, from 1.
    pub(crate) nth: u64,
}

impl Ask<'_> {
    /// The table the path names, out of a store that the caller has locked.
    pub(crate) fn table<'s>(&self, store: &'s Store) -> Result<&'s Table, Refusal> {
        store.table(&self.call.object).ok_or_else(Refusal::not_found)
    }

    /// Reads the body as JSON.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_json::from_slice(self.body).map_err(|error| {
            Refusal::parser(format!("{error} at [line:{}, column:{}]", error.line(), error.column()))
        })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The value of a part of a header such as `allowSave=true; runAsCurrentUser=false`.
    pub(crate) fn header_part(&self, name: &str, part: &str) -> Option<&str> {
        let parts = self.header(name)?.split([';', ',']);
        let mut pairs = parts.filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| key.trim().eq_ignore_ascii_case(part)).map(|(_, value)| value.trim())
    }
}
