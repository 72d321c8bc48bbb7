//! The engine for many machines: one PostgreSQL database, version 12 or newer, or one schema of it.
//!
//! Most operations are one statement, so one round trip and one transaction. What can be found out again after a crash of the
//! server is committed without waiting for its disk. Statements rely on PostgreSQL's
//! `read committed`: a statement that waited for a tuple goes on with the tuple as it is then.

mod audit;
mod batches;
mod effects;
mod letters;
mod logins;
mod open;
mod pauses;
mod places;
mod pool;
mod purge;
mod quotas;
mod runs;
mod schedules;
mod seen;
mod slice;
mod supplied;
mod work;

use async_trait::async_trait;
use infill_model::message::Work;
use infill_model::row::Cause;
use infill_model::seen::{MemoryKey, Seen};
use infill_model::slice::{ResolvedSlice, Supplied, SuppliedPlace};
use infill_model::{
    Actor, Approval, BatchNo, ChunkNo, CompiledRun, ConnectionName, Plan, RecordId, RunId, RunState,
    Timestamp,
};
use secrecy::SecretString;

use crate::audit::{AuditEntry, AuditFilter, NewAuditEntry};
use crate::commit::Commit;
use crate::error::Error;
use crate::pause::{Pausable, Paused};
use crate::schedule::{ScheduleKey, ScheduleStep, StoredSchedule};
use crate::store::{
    Batch, BatchSave, Begun, Chunk, EffectKey, Lease, Leased, Letter, LetterCause, LetterEvent, LetterFilter,
    ListingStep, Login, NewBatch, NewRun, Outputs, Parked, Place, Progress, QuotaDecision, Reopen, Run,
    RunFilter, Saved, Store, UnitKind,
};
use crate::stored::Recent;
use crate::vault::Vault;
use pool::Pool;

/// A store in a database.
#[derive(Debug)]
pub struct Postgres {
    durable: Pool,
    ordered: Pool,
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
        let durable = Pool::new(&uri, schema.as_deref(), Commit::Durable)?;
        let ordered = Pool::new(&uri, schema.as_deref(), Commit::Ordered)?;
        let vault = Vault::new(key.as_ref(), durable.address())?;
        let known = open::prepare(&durable, schema.as_deref()).await?;
        Ok(Self { durable, ordered, vault, recent: Recent::default(), known })
    }
}

#[async_trait]
impl Store for Postgres {
    async fn ready(&self) -> Result<(), Error> {
        open::check(&self.ordered, self.known).await
    }

    async fn create_run(&self, run: &NewRun) -> Result<(), Error> {
        runs::create(&self.durable, run).await
    }

    async fn run(&self, run: RunId) -> Result<Option<Run>, Error> {
        runs::read(&self.ordered, &self.recent, run).await
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<Run>, Error> {
        runs::list(&self.ordered, filter).await
    }

    async fn has_verified(&self, plan_name: &str, connection: &ConnectionName) -> Result<bool, Error> {
        runs::has_verified(&self.ordered, plan_name, connection).await
    }

    async fn move_run(
        &self,
        run: RunId,
        from: &[RunState],
        to: RunState,
        cause: Option<&Cause>,
        now: Timestamp,
    ) -> Result<bool, Error> {
        runs::move_to(&self.durable, run, from, to, cause, now, None).await
    }

    async fn move_run_by(
        &self,
        entry: &NewAuditEntry,
        run: RunId,
        from: &[RunState],
        to: RunState,
        cause: Option<&Cause>,
    ) -> Result<bool, Error> {
        runs::move_to(&self.durable, run, from, to, cause, entry.at, Some(entry)).await
    }

    async fn release_run(
        &self,
        run: RunId,
        from: RunState,
        to: RunState,
        approval: Option<(&Approval, &NewAuditEntry)>,
        now: Timestamp,
    ) -> Result<bool, Error> {
        runs::release(&self.durable, run, from, to, approval, now).await
    }

    async fn park_run(&self, run: RunId, parked: Option<&Parked>) -> Result<(), Error> {
        runs::park(&self.ordered, run, parked).await
    }

    async fn warn_run(&self, run: RunId, warning: &str) -> Result<(), Error> {
        runs::warn(&self.ordered, run, warning).await
    }

    async fn add_calls(&self, run: RunId, calls: u64) -> Result<(), Error> {
        runs::add_calls(&self.ordered, run, calls).await
    }

    async fn save_slice(&self, run: RunId, slice: &ResolvedSlice) -> Result<(), Error> {
        slice::save(&self.ordered, run, slice).await
    }

    async fn freeze(&self, run: RunId, step: &ListingStep) -> Result<bool, Error> {
        slice::freeze(&self.ordered, run, step).await
    }

    async fn chunk(&self, run: RunId, chunk: ChunkNo) -> Result<Option<Chunk>, Error> {
        slice::chunk(&self.ordered, run, chunk).await
    }

    async fn store_chunk(
        &self,
        run: RunId,
        chunk: ChunkNo,
        batches: &[NewBatch],
        now: Timestamp,
    ) -> Result<Progress, Error> {
        slice::store_chunk(&self.ordered, run, chunk, batches, now).await
    }

    async fn supply(&self, run: RunId, part: &[Supplied]) -> Result<Vec<u64>, Error> {
        supplied::keep(&self.ordered, run, part).await
    }

    async fn supplied(&self, run: RunId, after: SuppliedPlace, limit: u32) -> Result<Vec<Supplied>, Error> {
        supplied::list(&self.ordered, run, after, limit).await
    }

    async fn supplied_for(&self, run: RunId, records: &[RecordId]) -> Result<Vec<Supplied>, Error> {
        supplied::of_records(&self.ordered, run, records).await
    }

    async fn forget_supplied(&self, before: Timestamp) -> Result<u64, Error> {
        supplied::forget(&self.ordered, before).await
    }

    async fn seen(&self, memory: &MemoryKey, records: &[RecordId]) -> Result<Vec<Seen>, Error> {
        seen::of_records(&self.ordered, memory, records).await
    }

    async fn memories(&self, plan_name: &str) -> Result<Vec<(MemoryKey, u64)>, Error> {
        seen::memories(&self.ordered, plan_name).await
    }

    async fn forget(&self, memory: &MemoryKey, limit: u32) -> Result<u64, Error> {
        seen::forget(&self.durable, memory, limit).await
    }

    async fn save_compiled(&self, run: RunId, compiled: &CompiledRun) -> Result<(), Error> {
        runs::save_compiled(&self.ordered, run, compiled).await
    }

    async fn claim(
        &self,
        run: RunId,
        kind: UnitKind,
        claimant: &str,
        window: u32,
        now: Timestamp,
    ) -> Result<Vec<u32>, Error> {
        work::claim(&self.ordered, run, kind, claimant, window, now).await
    }

    async fn touch(&self, run: RunId, work: &Work, at: Timestamp) -> Result<(), Error> {
        work::touch(&self.ordered, run, *work, at).await
    }

    async fn stale_work(
        &self,
        only: Option<RunId>,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<(RunId, Work)>, Error> {
        work::stale(&self.ordered, only, before, limit).await
    }

    async fn new_runs(&self, limit: u32) -> Result<Vec<RunId>, Error> {
        work::new_runs(&self.ordered, limit).await
    }

    async fn starved_runs(&self, limit: u32) -> Result<Vec<RunId>, Error> {
        work::starved_runs(&self.ordered, limit).await
    }

    async fn break_leases(&self, run: RunId) -> Result<(), Error> {
        batches::break_leases(&self.ordered, run).await
    }

    async fn pause(&self, what: &Pausable, entry: &NewAuditEntry) -> Result<bool, Error> {
        pauses::pause(&self.durable, what, entry).await
    }

    async fn resume(&self, what: &Pausable, entry: &NewAuditEntry) -> Result<bool, Error> {
        pauses::resume(&self.durable, what, entry).await
    }

    async fn paused_connections(&self) -> Result<Vec<(ConnectionName, Paused)>, Error> {
        pauses::connections(&self.ordered).await
    }

    async fn lease_batch(
        &self,
        run: RunId,
        batch: BatchNo,
        lease: &Lease,
        take_over: bool,
        known: Option<u64>,
        now: Timestamp,
    ) -> Result<Leased, Error> {
        batches::lease(&self.ordered, run, batch, *lease, take_over, known, now).await
    }

    async fn save_batch(
        &self,
        run: RunId,
        batch: BatchNo,
        lease: &Lease,
        save: &BatchSave<'_>,
    ) -> Result<Saved, Error> {
        let pool = match Commit::of_save(save.results) {
            Commit::Ordered => &self.ordered,
            Commit::Durable => &self.durable,
        };
        batches::save(pool, run, batch, *lease, save).await
    }

    async fn keep_job(
        &self,
        run: RunId,
        batch: BatchNo,
        lease: &Lease,
        job: Option<&str>,
    ) -> Result<bool, Error> {
        batches::keep_job(&self.durable, run, batch, *lease, job).await
    }

    async fn job(&self, run: RunId, batch: BatchNo) -> Result<Option<String>, Error> {
        batches::job(&self.ordered, run, batch).await
    }

    async fn batches(&self, run: RunId, after: Option<BatchNo>, limit: u32) -> Result<Vec<Batch>, Error> {
        batches::list(&self.ordered, run, after, limit).await
    }

    async fn progress(&self, run: RunId) -> Result<Progress, Error> {
        runs::progress(&self.ordered, run).await
    }

    async fn letters(
        &self,
        filter: &LetterFilter,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Letter>, Error> {
        letters::list(&self.ordered, filter, after, limit).await
    }

    async fn count_letters(&self, filter: &LetterFilter) -> Result<u64, Error> {
        letters::count(&self.ordered, filter).await
    }

    async fn letter_causes(&self, filter: &LetterFilter, limit: u32) -> Result<Vec<LetterCause>, Error> {
        letters::causes(&self.ordered, filter, limit).await
    }

    async fn letter_runs(&self, filter: &LetterFilter) -> Result<Vec<(RunId, u64)>, Error> {
        letters::runs(&self.ordered, filter).await
    }

    async fn letter_history(&self, letter: i64) -> Result<Vec<LetterEvent>, Error> {
        letters::history(&self.ordered, letter).await
    }

    async fn reopen(&self, run: RunId, batch: BatchNo, letters: &[i64], how: &Reopen) -> Result<u64, Error> {
        letters::reopen(&self.durable, run, batch, letters, how).await
    }

    async fn retry_in(&self, into: RunId, letters: &[i64], by: &Actor, now: Timestamp) -> Result<u64, Error> {
        letters::retry_in(&self.durable, into, letters, by, now).await
    }

    async fn discard_letters(
        &self,
        filter: &LetterFilter,
        by: &Actor,
        why: &str,
        now: Timestamp,
    ) -> Result<u64, Error> {
        letters::discard(&self.durable, filter, by, why, now).await
    }

    async fn save_schedule(&self, plan: &Plan, next_start: Timestamp) -> Result<(), Error> {
        schedules::save(&self.durable, plan, next_start).await
    }

    async fn schedules(&self, due_by: Option<Timestamp>) -> Result<Vec<StoredSchedule>, Error> {
        schedules::list(&self.ordered, due_by).await
    }

    async fn step_schedule(&self, schedule: &ScheduleKey, step: &ScheduleStep) -> Result<bool, Error> {
        schedules::step(&self.durable, schedule, step).await
    }

    async fn pause_schedule(&self, schedule: &ScheduleKey, at: Timestamp) -> Result<bool, Error> {
        schedules::pause(&self.durable, schedule, at).await
    }

    async fn resume_schedule(&self, schedule: &ScheduleKey, next_start: Timestamp) -> Result<bool, Error> {
        schedules::resume(&self.durable, schedule, next_start).await
    }

    async fn remove_schedule(&self, schedule: &ScheduleKey) -> Result<bool, Error> {
        schedules::remove(&self.durable, schedule).await
    }

    async fn places(
        &self,
        connection: &ConnectionName,
        record: &RecordId,
        after: Option<Place>,
        limit: u32,
    ) -> Result<Vec<Place>, Error> {
        places::list(&self.ordered, connection, record, after, limit).await
    }

    async fn outdated(&self, before: Timestamp, limit: u32) -> Result<Vec<RunId>, Error> {
        purge::outdated(&self.ordered, before, limit).await
    }

    async fn purge(&self, entry: &NewAuditEntry, run: RunId, limit: u32) -> Result<u64, Error> {
        purge::purge(&self.durable, entry, run, limit).await
    }

    async fn audit(&self, entry: &NewAuditEntry) -> Result<(), Error> {
        audit::add(&self.durable, entry).await
    }

    async fn audited(
        &self,
        filter: &AuditFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, Error> {
        audit::list(&self.ordered, filter, before, limit).await
    }

    async fn update_quota(&self, connection: &ConnectionName, decide: QuotaDecision) -> Result<(), Error> {
        quotas::update(&self.ordered, connection, decide).await
    }

    async fn quota(&self, connection: &ConnectionName) -> Result<Option<serde_json::Value>, Error> {
        quotas::read(&self.ordered, connection).await
    }

    async fn login(&self, connection: &ConnectionName) -> Result<Option<Login>, Error> {
        logins::read(&self.ordered, &self.vault, connection).await
    }

    async fn lease_login(
        &self,
        connection: &ConnectionName,
        owner: u64,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, Error> {
        logins::lease(&self.ordered, connection, owner, until, now).await
    }

    async fn begin_effect(&self, effect: &EffectKey, now: Timestamp) -> Result<Begun, Error> {
        effects::begin(&self.durable, effect, now).await
    }

    async fn end_effect(&self, effect: &EffectKey, outputs: &Outputs) -> Result<(), Error> {
        effects::end(&self.ordered, effect, outputs).await
    }

    async fn save_login(&self, connection: &ConnectionName, login: &Login) -> Result<bool, Error> {
        logins::save(&self.durable, &self.vault, connection, login).await
    }
}
