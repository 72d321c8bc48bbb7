//! The embedded engine: one file, one writer, a few readers; other processes may use the file at the same time.
//!
//! It does not stretch to several machines: a file on a network drive has no locks to rely on.

mod audit;
mod batches;
mod connections;
mod effects;
mod letters;
mod logins;
mod open;
mod pauses;
mod places;
mod purge;
mod quotas;
mod runs;
mod schedules;
mod seen;
mod slice;
mod supplied;
mod work;
mod writer;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use infill_model::message::Work;
use infill_model::row::Cause;
use infill_model::seen::{MemoryKey, Seen};
use infill_model::slice::{ResolvedSlice, Supplied, SuppliedPlace};
use infill_model::{
    Actor, Approval, BatchNo, ChunkNo, Clock, CompiledRun, ConnectionName, Plan, RecordId, RunId, RunState,
    Timestamp,
};
use secrecy::SecretString;

use crate::audit::{AuditEntry, AuditFilter, NewAuditEntry};
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
use connections::Connections;

/// A store in a file.
#[derive(Debug)]
pub struct Sqlite {
    connections: Connections,
    vault: Vault,
    clock: Arc<dyn Clock>,
    recent: Recent,
    known: i64,
}

impl Sqlite {
    /// Opens the store at `path`, making the folder and the file where they are missing, and brings its schema up
    /// to date; programs that start at once wait for one another. `key` seals stored logins: 32 bytes as base64 or
    /// hexadecimal; without it only stored logins are out of reach. The clock is the one quotas go by.
    ///
    /// # Errors
    /// [`Error::Refused`] when the file is not an Infill store, cannot be made or written, or the key is malformed;
    /// [`Error::Version`] when a newer program has migrated it.
    pub async fn open(
        path: impl AsRef<Path>,
        key: Option<SecretString>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let path = path.as_ref();
        let vault = Vault::new(key.as_ref(), &path.display().to_string())?;
        let known = open::prepare(path).await?;
        Ok(Self { connections: Connections::new(path), vault, clock, recent: Recent::default(), known })
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn ready(&self) -> Result<(), Error> {
        open::check(&self.connections, self.known).await
    }

    async fn create_run(&self, run: &NewRun) -> Result<(), Error> {
        runs::create(&self.connections, run).await
    }

    async fn run(&self, run: RunId) -> Result<Option<Run>, Error> {
        runs::read(&self.connections, &self.recent, run).await
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<Run>, Error> {
        runs::list(&self.connections, filter).await
    }

    async fn has_verified(&self, plan_name: &str, connection: &ConnectionName) -> Result<bool, Error> {
        runs::has_verified(&self.connections, plan_name, connection).await
    }

    async fn move_run(
        &self,
        run: RunId,
        from: &[RunState],
        to: RunState,
        cause: Option<&Cause>,
        now: Timestamp,
    ) -> Result<bool, Error> {
        runs::move_to(&self.connections, run, from, to, cause, now, None).await
    }

    async fn move_run_by(
        &self,
        entry: &NewAuditEntry,
        run: RunId,
        from: &[RunState],
        to: RunState,
        cause: Option<&Cause>,
    ) -> Result<bool, Error> {
        runs::move_to(&self.connections, run, from, to, cause, entry.at, Some(entry)).await
    }

    async fn release_run(
        &self,
        run: RunId,
        from: RunState,
        to: RunState,
        approval: Option<(&Approval, &NewAuditEntry)>,
        now: Timestamp,
    ) -> Result<bool, Error> {
        runs::release(&self.connections, run, from, to, approval, now).await
    }

    async fn park_run(&self, run: RunId, parked: Option<&Parked>) -> Result<(), Error> {
        runs::park(&self.connections, run, parked).await
    }

    async fn warn_run(&self, run: RunId, warning: &str) -> Result<(), Error> {
        runs::warn(&self.connections, run, warning).await
    }

    async fn add_calls(&self, run: RunId, calls: u64) -> Result<(), Error> {
        runs::add_calls(&self.connections, run, calls).await
    }

    async fn save_slice(&self, run: RunId, slice: &ResolvedSlice) -> Result<(), Error> {
        slice::save(&self.connections, run, slice).await
    }

    async fn freeze(&self, run: RunId, step: &ListingStep) -> Result<bool, Error> {
        slice::freeze(&self.connections, run, step).await
    }

    async fn chunk(&self, run: RunId, chunk: ChunkNo) -> Result<Option<Chunk>, Error> {
        slice::chunk(&self.connections, run, chunk).await
    }

    async fn store_chunk(
        &self,
        run: RunId,
        chunk: ChunkNo,
        batches: &[NewBatch],
        now: Timestamp,
    ) -> Result<Progress, Error> {
        slice::store_chunk(&self.connections, run, chunk, batches, now).await
    }

    async fn supply(&self, run: RunId, part: &[Supplied]) -> Result<Vec<u64>, Error> {
        supplied::keep(&self.connections, run, part).await
    }

    async fn supplied(&self, run: RunId, after: SuppliedPlace, limit: u32) -> Result<Vec<Supplied>, Error> {
        supplied::list(&self.connections, run, after, limit).await
    }

    async fn supplied_for(&self, run: RunId, records: &[RecordId]) -> Result<Vec<Supplied>, Error> {
        supplied::of_records(&self.connections, run, records).await
    }

    async fn forget_supplied(&self, before: Timestamp) -> Result<u64, Error> {
        supplied::forget(&self.connections, before).await
    }

    async fn seen(&self, memory: &MemoryKey, records: &[RecordId]) -> Result<Vec<Seen>, Error> {
        seen::of_records(&self.connections, memory, records).await
    }

    async fn memories(&self, plan_name: &str) -> Result<Vec<(MemoryKey, u64)>, Error> {
        seen::memories(&self.connections, plan_name).await
    }

    async fn forget(&self, memory: &MemoryKey, limit: u32) -> Result<u64, Error> {
        seen::forget(&self.connections, memory, limit).await
    }

    async fn save_compiled(&self, run: RunId, compiled: &CompiledRun) -> Result<(), Error> {
        runs::save_compiled(&self.connections, run, compiled).await
    }

    async fn claim(
        &self,
        run: RunId,
        kind: UnitKind,
        claimant: &str,
        window: u32,
        now: Timestamp,
    ) -> Result<Vec<u32>, Error> {
        work::claim(&self.connections, run, kind, claimant, window, now).await
    }

    async fn touch(&self, run: RunId, work: &Work, at: Timestamp) -> Result<(), Error> {
        work::touch(&self.connections, run, *work, at).await
    }

    async fn stale_work(
        &self,
        only: Option<RunId>,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<(RunId, Work)>, Error> {
        work::stale(&self.connections, only, before, limit).await
    }

    async fn new_runs(&self, limit: u32) -> Result<Vec<RunId>, Error> {
        work::new_runs(&self.connections, limit).await
    }

    async fn starved_runs(&self, limit: u32) -> Result<Vec<RunId>, Error> {
        work::starved_runs(&self.connections, limit).await
    }

    async fn break_leases(&self, run: RunId) -> Result<(), Error> {
        batches::break_leases(&self.connections, run).await
    }

    async fn pause(&self, what: &Pausable, entry: &NewAuditEntry) -> Result<bool, Error> {
        pauses::pause(&self.connections, what, entry).await
    }

    async fn resume(&self, what: &Pausable, entry: &NewAuditEntry) -> Result<bool, Error> {
        pauses::resume(&self.connections, what, entry).await
    }

    async fn paused_connections(&self) -> Result<Vec<(ConnectionName, Paused)>, Error> {
        pauses::connections(&self.connections).await
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
        batches::lease(&self.connections, run, batch, *lease, take_over, known, now).await
    }

    async fn save_batch(
        &self,
        run: RunId,
        batch: BatchNo,
        lease: &Lease,
        save: &BatchSave<'_>,
    ) -> Result<Saved, Error> {
        batches::save(&self.connections, run, batch, *lease, save).await
    }

    async fn keep_job(
        &self,
        run: RunId,
        batch: BatchNo,
        lease: &Lease,
        job: Option<&str>,
    ) -> Result<bool, Error> {
        batches::keep_job(&self.connections, run, batch, *lease, job).await
    }

    async fn job(&self, run: RunId, batch: BatchNo) -> Result<Option<String>, Error> {
        batches::job(&self.connections, run, batch).await
    }

    async fn batches(&self, run: RunId, after: Option<BatchNo>, limit: u32) -> Result<Vec<Batch>, Error> {
        batches::list(&self.connections, run, after, limit).await
    }

    async fn progress(&self, run: RunId) -> Result<Progress, Error> {
        runs::progress(&self.connections, run).await
    }

    async fn letters(
        &self,
        filter: &LetterFilter,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Letter>, Error> {
        letters::list(&self.connections, filter, after, limit).await
    }

    async fn count_letters(&self, filter: &LetterFilter) -> Result<u64, Error> {
        letters::count(&self.connections, filter).await
    }

    async fn letter_causes(&self, filter: &LetterFilter, limit: u32) -> Result<Vec<LetterCause>, Error> {
        letters::causes(&self.connections, filter, limit).await
    }

    async fn letter_runs(&self, filter: &LetterFilter) -> Result<Vec<(RunId, u64)>, Error> {
        letters::runs(&self.connections, filter).await
    }

    async fn letter_history(&self, letter: i64) -> Result<Vec<LetterEvent>, Error> {
        letters::history(&self.connections, letter).await
    }

    async fn reopen(&self, run: RunId, batch: BatchNo, letters: &[i64], how: &Reopen) -> Result<u64, Error> {
        letters::reopen(&self.connections, run, batch, letters, how).await
    }

    async fn retry_in(&self, into: RunId, letters: &[i64], by: &Actor, now: Timestamp) -> Result<u64, Error> {
        letters::retry_in(&self.connections, into, letters, by, now).await
    }

    async fn discard_letters(
        &self,
        filter: &LetterFilter,
        by: &Actor,
        why: &str,
        now: Timestamp,
    ) -> Result<u64, Error> {
        letters::discard(&self.connections, filter, by, why, now).await
    }

    async fn save_schedule(&self, plan: &Plan, next_start: Timestamp) -> Result<(), Error> {
        schedules::save(&self.connections, plan, next_start).await
    }

    async fn schedules(&self, due_by: Option<Timestamp>) -> Result<Vec<StoredSchedule>, Error> {
        schedules::list(&self.connections, due_by).await
    }

    async fn step_schedule(&self, schedule: &ScheduleKey, step: &ScheduleStep) -> Result<bool, Error> {
        schedules::step(&self.connections, schedule, step).await
    }

    async fn pause_schedule(&self, schedule: &ScheduleKey, at: Timestamp) -> Result<bool, Error> {
        schedules::pause(&self.connections, schedule, at).await
    }

    async fn resume_schedule(&self, schedule: &ScheduleKey, next_start: Timestamp) -> Result<bool, Error> {
        schedules::resume(&self.connections, schedule, next_start).await
    }

    async fn remove_schedule(&self, schedule: &ScheduleKey) -> Result<bool, Error> {
        schedules::remove(&self.connections, schedule).await
    }

    async fn places(
        &self,
        connection: &ConnectionName,
        record: &RecordId,
        after: Option<Place>,
        limit: u32,
    ) -> Result<Vec<Place>, Error> {
        places::list(&self.connections, connection, record, after, limit).await
    }

    async fn outdated(&self, before: Timestamp, limit: u32) -> Result<Vec<RunId>, Error> {
        purge::outdated(&self.connections, before, limit).await
    }

    async fn purge(&self, entry: &NewAuditEntry, run: RunId, limit: u32) -> Result<u64, Error> {
        purge::purge(&self.connections, entry, run, limit).await
    }

    async fn audit(&self, entry: &NewAuditEntry) -> Result<(), Error> {
        audit::add(&self.connections, entry).await
    }

    async fn audited(
        &self,
        filter: &AuditFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, Error> {
        audit::list(&self.connections, filter, before, limit).await
    }

    async fn update_quota(&self, connection: &ConnectionName, decide: QuotaDecision) -> Result<(), Error> {
        quotas::update(&self.connections, Arc::clone(&self.clock), connection, decide).await
    }

    async fn quota(&self, connection: &ConnectionName) -> Result<Option<serde_json::Value>, Error> {
        quotas::read(&self.connections, connection).await
    }

    async fn login(&self, connection: &ConnectionName) -> Result<Option<Login>, Error> {
        logins::read(&self.connections, &self.vault, connection).await
    }

    async fn lease_login(
        &self,
        connection: &ConnectionName,
        owner: u64,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, Error> {
        logins::lease(&self.connections, connection, owner, until, now).await
    }

    async fn begin_effect(&self, effect: &EffectKey, now: Timestamp) -> Result<Begun, Error> {
        effects::begin(&self.connections, effect, now).await
    }

    async fn end_effect(&self, effect: &EffectKey, outputs: &Outputs) -> Result<(), Error> {
        effects::end(&self.connections, effect, outputs).await
    }

    async fn save_login(&self, connection: &ConnectionName, login: &Login) -> Result<bool, Error> {
        logins::save(&self.connections, &self.vault, connection, login).await
    }
}
