//! The engine for many machines: one PostgreSQL database, version 12 or newer, or one schema of it.
//!
//! Most operations are one statement, so one round trip and one transaction. Statements rely on PostgreSQL's
//! `read committed`: a statement that waited for a tuple goes on with the tuple as it is then.

mod batches;
mod letters;
mod logins;
mod open;
mod pool;
mod quotas;
mod runs;
mod slice;
mod work;

use async_trait::async_trait;
use infill_model::message::Work;
use infill_model::row::Cause;
use infill_model::slice::ResolvedSlice;
use infill_model::{BatchNo, ChunkNo, CompiledRun, ConnectionName, RunId, RunState, Timestamp};
use secrecy::SecretString;

use crate::error::Error;
use crate::store::{
    Batch, BatchSave, Chunk, Lease, Leased, Letter, LetterFilter, ListingStep, Login, NewBatch, NewRun,
    Parked, Progress, QuotaDecision, Run, RunFilter, Saved, Store, UnitKind,
};
use crate::stored::Recent;
use crate::vault::Vault;
use pool::Pool;

/// A store in a database.
#[derive(Debug)]
pub struct Postgres {
    pool: Pool,
    vault: Vault,
    recent: Recent,
    known: i64,
}

impl Postgres {
    /// Connects to a database, `postgres://user:password@host:port/database?sslmode=require`, and brings its schema
    /// up to date; programs that start at once wait for one another. Tables live in `schema`, which is made when
    /// missing, else where the database's search path leads. With `sslmode=require` the server must show a
    /// certificate that the public roots vouch for. `key` seals stored logins: 32 bytes as base64 or hexadecimal;
    /// without it only stored logins are out of reach.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when the server does not answer; [`Error::Refused`] when the URI or the key is
    /// malformed or the server refuses the login; [`Error::Version`] when a newer program has migrated the store.
    pub async fn connect(
        uri: SecretString,
        schema: Option<String>,
        key: Option<SecretString>,
    ) -> Result<Self, Error> {
        let pool = Pool::new(&uri, schema.as_deref())?;
        let vault = Vault::new(key.as_ref(), pool.address())?;
        let known = open::prepare(&pool, schema.as_deref()).await?;
        Ok(Self { pool, vault, recent: Recent::default(), known })
    }
}

#[async_trait]
impl Store for Postgres {
    async fn ready(&self) -> Result<(), Error> {
        open::check(&self.pool, self.known).await
    }

    async fn create_run(&self, run: &NewRun) -> Result<(), Error> {
        runs::create(&self.pool, run).await
    }

    async fn run(&self, run: RunId) -> Result<Option<Run>, Error> {
        runs::read(&self.pool, &self.recent, run).await
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<Run>, Error> {
        runs::list(&self.pool, filter).await
    }

    async fn has_verified(&self, plan_name: &str, connection: &ConnectionName) -> Result<bool, Error> {
        runs::has_verified(&self.pool, plan_name, connection).await
    }

    async fn move_run(
        &self,
        run: RunId,
        from: &[RunState],
        to: RunState,
        cause: Option<&Cause>,
        now: Timestamp,
    ) -> Result<bool, Error> {
        runs::move_to(&self.pool, run, from, to, cause, now).await
    }

    async fn park_run(&self, run: RunId, parked: Option<&Parked>) -> Result<(), Error> {
        runs::park(&self.pool, run, parked).await
    }

    async fn warn_run(&self, run: RunId, warning: &str) -> Result<(), Error> {
        runs::warn(&self.pool, run, warning).await
    }

    async fn add_calls(&self, run: RunId, calls: u64) -> Result<(), Error> {
        runs::add_calls(&self.pool, run, calls).await
    }

    async fn save_slice(&self, run: RunId, slice: &ResolvedSlice) -> Result<(), Error> {
        slice::save(&self.pool, run, slice).await
    }

    async fn freeze(&self, run: RunId, step: &ListingStep) -> Result<bool, Error> {
        slice::freeze(&self.pool, run, step).await
    }

    async fn chunk(&self, run: RunId, chunk: ChunkNo) -> Result<Option<Chunk>, Error> {
        slice::chunk(&self.pool, run, chunk).await
    }

    async fn store_chunk(
        &self,
        run: RunId,
        chunk: ChunkNo,
        batches: &[NewBatch],
        now: Timestamp,
    ) -> Result<Progress, Error> {
        slice::store_chunk(&self.pool, run, chunk, batches, now).await
    }

    async fn save_compiled(&self, run: RunId, compiled: &CompiledRun) -> Result<(), Error> {
        runs::save_compiled(&self.pool, run, compiled).await
    }

    async fn claim(
        &self,
        run: RunId,
        kind: UnitKind,
        claimant: &str,
        window: u32,
        now: Timestamp,
    ) -> Result<Vec<u32>, Error> {
        work::claim(&self.pool, run, kind, claimant, window, now).await
    }

    async fn touch(&self, run: RunId, work: &Work, at: Timestamp) -> Result<(), Error> {
        work::touch(&self.pool, run, *work, at).await
    }

    async fn stale_work(
        &self,
        only: Option<RunId>,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<(RunId, Work)>, Error> {
        work::stale(&self.pool, only, before, limit).await
    }

    async fn starved_runs(&self, limit: u32) -> Result<Vec<RunId>, Error> {
        work::starved_runs(&self.pool, limit).await
    }

    async fn break_leases(&self, run: RunId) -> Result<(), Error> {
        batches::break_leases(&self.pool, run).await
    }

    async fn lease_batch(
        &self,
        run: RunId,
        batch: BatchNo,
        lease: &Lease,
        take_over: bool,
        now: Timestamp,
    ) -> Result<Leased, Error> {
        batches::lease(&self.pool, run, batch, *lease, take_over, now).await
    }

    async fn save_batch(
        &self,
        run: RunId,
        batch: BatchNo,
        lease: &Lease,
        save: &BatchSave<'_>,
    ) -> Result<Saved, Error> {
        batches::save(&self.pool, run, batch, *lease, save).await
    }

    async fn batches(&self, run: RunId, after: Option<BatchNo>, limit: u32) -> Result<Vec<Batch>, Error> {
        batches::list(&self.pool, run, after, limit).await
    }

    async fn progress(&self, run: RunId) -> Result<Progress, Error> {
        runs::progress(&self.pool, run).await
    }

    async fn letters(
        &self,
        filter: &LetterFilter,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Letter>, Error> {
        letters::list(&self.pool, filter, after, limit).await
    }

    async fn count_letters(&self, filter: &LetterFilter) -> Result<u64, Error> {
        letters::count(&self.pool, filter).await
    }

    async fn reopen(
        &self,
        run: RunId,
        batch: BatchNo,
        letters: &[i64],
        now: Timestamp,
    ) -> Result<u64, Error> {
        letters::reopen(&self.pool, run, batch, letters, now).await
    }

    async fn discard_letters(&self, filter: &LetterFilter, now: Timestamp) -> Result<u64, Error> {
        letters::discard(&self.pool, filter, now).await
    }

    async fn update_quota(&self, connection: &ConnectionName, decide: QuotaDecision) -> Result<(), Error> {
        quotas::update(&self.pool, connection, decide).await
    }

    async fn quota(&self, connection: &ConnectionName) -> Result<Option<serde_json::Value>, Error> {
        quotas::read(&self.pool, connection).await
    }

    async fn login(&self, connection: &ConnectionName) -> Result<Option<Login>, Error> {
        logins::read(&self.pool, &self.vault, connection).await
    }

    async fn lease_login(
        &self,
        connection: &ConnectionName,
        owner: u64,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, Error> {
        logins::lease(&self.pool, connection, owner, until, now).await
    }

    async fn save_login(&self, connection: &ConnectionName, login: &Login) -> Result<bool, Error> {
        logins::save(&self.pool, &self.vault, connection, login).await
    }
}
