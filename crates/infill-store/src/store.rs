//! The seam: what planner, workers and command line ask of a store.
//!
//! Transactions begin and end inside one method. Every method that changes something may be called twice with the
//! same arguments and then changes nothing the second time, but for [`Store::audit`].

mod batch;
mod effect;
mod letter;
mod listing;
mod place;

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use infill_model::message::Work;
use infill_model::outcome::Counts;
use infill_model::row::{Cause, GuardCounts};
use infill_model::seen::{MemoryKey, Seen};
use infill_model::slice::{ResolvedSlice, Supplied, SuppliedPlace};
use infill_model::{
    Actor, Approval, BatchNo, ChunkNo, CompiledRun, ConnectionName, Plan, RecordId, Release, RunId, RunState,
    Timestamp,
};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::audit::{AuditEntry, AuditFilter, NewAuditEntry};
use crate::error::Error;
use crate::pause::{Pausable, Paused};
use crate::schedule::{ScheduleKey, ScheduleStep, StoredSchedule};
pub use batch::{Batch, BatchSave, BatchState, Lease, Leased, NewBatch, Saved};
pub use effect::{Begun, EffectKey, Outputs};
pub use letter::{
    Letter, LetterCause, LetterChange, LetterEvent, LetterFilter, LetterStatus, NewLetter, Reopen,
};
pub use listing::{Chunk, Listing, ListingStep};
pub use place::Place;

/// Everything durable.
#[async_trait]
pub trait Store: Send + Sync + Debug {
    /// Whether the store can be used and has the schema this program knows.
    async fn ready(&self) -> Result<(), Error>;

    // Runs.

    /// Records a new run in [`RunState::SourceSync`], not yet published, and in the audit who started it.
    async fn create_run(&self, run: &NewRun) -> Result<(), Error>;
    /// The run, or `None`.
    async fn run(&self, run: RunId) -> Result<Option<Run>, Error>;
    /// Runs, newest first.
    async fn runs(&self, filter: &RunFilter) -> Result<Vec<Run>, Error>;
    /// Whether any run of this plan ever verified a row on this connection.
    async fn has_verified(&self, plan_name: &str, connection: &ConnectionName) -> Result<bool, Error>;
    /// Moves a run from one of `from` to `to`, if it is there; says whether it moved. A final state also records
    /// `ended_at`; any move clears a park.
    async fn move_run(
        &self,
        run: RunId,
        from: &[RunState],
        to: RunState,
        cause: Option<&Cause>,
        now: Timestamp,
    ) -> Result<bool, Error>;
    /// As [`Store::move_run`] at the moment of `entry`, which joins the audit in the same step if the run moved.
    async fn move_run_by(
        &self,
        entry: &NewAuditEntry,
        run: RunId,
        from: &[RunState],
        to: RunState,
        cause: Option<&Cause>,
    ) -> Result<bool, Error>;
    /// Lets a run that stands at `from` go on to `to`, its previewed batches to be written as they were previewed; says whether
    /// it stood there. How it stands is kept, and who approved it, which joins the audit as `entry` in the same step.
    async fn release_run(
        &self,
        run: RunId,
        from: RunState,
        to: RunState,
        approval: Option<(&Approval, &NewAuditEntry)>,
        now: Timestamp,
    ) -> Result<bool, Error>;
    /// Notes that the run waits until a moment, and why; `None` ends the wait.
    async fn park_run(&self, run: RunId, parked: Option<&Parked>) -> Result<(), Error>;
    /// Adds a warning for people, once: the same text again is not added.
    async fn warn_run(&self, run: RunId, warning: &str) -> Result<(), Error>;
    /// Adds to the calls a run has spent.
    async fn add_calls(&self, run: RunId, calls: u64) -> Result<(), Error>;

    // The slice.

    /// Keeps what the connector found the slice to be.
    async fn save_slice(&self, run: RunId, slice: &ResolvedSlice) -> Result<(), Error>;
    /// Freezes ids: appends chunks and moves the listing on, if it still stands where `step.from` says; says whether
    /// it did.
    async fn freeze(&self, run: RunId, step: &ListingStep) -> Result<bool, Error>;
    /// The ids of a chunk and whether it was read already; `None` when there is no such chunk.
    async fn chunk(&self, run: RunId, chunk: ChunkNo) -> Result<Option<Chunk>, Error>;
    /// Stores the rows of a chunk as batches, once: a chunk already read is left alone.
    async fn store_chunk(
        &self,
        run: RunId,
        chunk: ChunkNo,
        batches: &[NewBatch],
        now: Timestamp,
    ) -> Result<Progress, Error>;

    // Records supplied by a file.

    /// Takes in a part of a file of record ids, for a run that is recorded only when the whole file is in: so no run ever
    /// starts on half a file. Of several lines that name one record the first to come stays; says which lines of the part
    /// came after, in their order.
    async fn supply(&self, run: RunId, part: &[Supplied]) -> Result<Vec<u64>, Error>;
    /// What was supplied to a run, in the order of [`SuppliedPlace`], from after a place on.
    async fn supplied(&self, run: RunId, after: SuppliedPlace, limit: u32) -> Result<Vec<Supplied>, Error>;
    /// What was supplied to a run for these records, in no order.
    async fn supplied_for(&self, run: RunId, records: &[RecordId]) -> Result<Vec<Supplied>, Error>;
    /// Forgets what was supplied to runs whose ids are older than a moment and that are not there: the file was never
    /// taken in to its end. Says how many lines.
    async fn forget_supplied(&self, before: Timestamp) -> Result<u64, Error>;

    // What is remembered from run to run.

    /// What a memory has of these records, in no order.
    async fn seen(&self, memory: &MemoryKey, records: &[RecordId]) -> Result<Vec<Seen>, Error>;
    /// The memories of plans of this name that hold something, in order, with the number of their records.
    async fn memories(&self, plan_name: &str) -> Result<Vec<(MemoryKey, u64)>, Error>;
    /// Forgets some records of a memory, `limit` at most; says how many. 0 when there are none left.
    async fn forget(&self, memory: &MemoryKey, limit: u32) -> Result<u64, Error>;

    // The chain.

    /// Keeps the immutable result of `configure-chain`; the first one stays.
    async fn save_compiled(&self, run: RunId, compiled: &CompiledRun) -> Result<(), Error>;

    // Work in flight.

    /// Claims pending units so that at most `window` of the kind are in flight, lowest number first, and returns
    /// those newly claimed together with those the same claimant claimed before and that are still untouched since
    /// (so that a repeat after a crash publishes them again). Leasing or saving a batch touches it, storing a chunk
    /// touches that. A run that is not there or [paused](Run::is_paused) has nothing to claim, one that does not write has no batches to.
    async fn claim(
        &self,
        run: RunId,
        kind: UnitKind,
        claimant: &str,
        window: u32,
        now: Timestamp,
    ) -> Result<Vec<u32>, Error>;
    /// Notes when a unit of work was last seen alive, or until when it rightly waits.
    async fn touch(&self, run: RunId, work: &Work, at: Timestamp) -> Result<(), Error>;
    /// Work of unfinished runs that nobody has touched since `before`, oldest first. A run that was never published
    /// counts. Runs parked beyond `before` do not count.
    ///
    /// Besides claimed chunks and batches in flight this finds runs left between two steps: everything read, but the
    /// run not moved on (the listing's message); a canary not claimed (`configure-chain`'s); nothing in flight and
    /// nothing left to claim, or cancelling with nothing in flight (the last batch's verify message; the listing's when
    /// there is no batch). A running run that has something left to claim is a starved one. Of a [paused](Run::is_paused) run
    /// only what hangs on a batch is found: what was sent is followed to its end, and what was not is set aside.
    async fn stale_work(
        &self,
        only: Option<RunId>,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<(RunId, Work)>, Error>;
    /// Makes everything a run waits for due at once: whoever looks for stale work finds it in the next round.
    async fn hasten(&self, run: RunId) -> Result<(), Error> {
        for (run, work) in self.stale_work(Some(run), Timestamp::MAX, u32::MAX).await? {
            self.touch(run, &work, Timestamp::UNIX_EPOCH).await?;
        }
        Ok(())
    }
    /// Runs that were recorded and not published yet, and are not paused.
    async fn new_runs(&self, limit: u32) -> Result<Vec<RunId>, Error>;
    /// Runs in [`RunState::Running`] that have pending batches and room in their window, and those in
    /// [`RunState::Canary`] whose canary nobody claimed; none that is paused.
    async fn starved_runs(&self, limit: u32) -> Result<Vec<RunId>, Error>;
    /// Forgets every lease of a run: its holders are known to be dead.
    async fn break_leases(&self, run: RunId) -> Result<(), Error>;

    // Pauses.

    /// Lets nothing new of a run, or of a connection, be begun until the pause ends, and ends the parks of the runs concerned;
    /// `entry` says who did so and when, and joins the audit in the same step. Says whether something changed: what is paused
    /// already stays as it is, and a run that has ended or is being cancelled cannot be paused.
    async fn pause(&self, what: &Pausable, entry: &NewAuditEntry) -> Result<bool, Error>;
    /// Ends a pause, and the parks of the runs concerned; says whether there was one to end. A run of a paused connection goes on
    /// only when both are.
    async fn resume(&self, what: &Pausable, entry: &NewAuditEntry) -> Result<bool, Error>;
    /// The connections that are paused, by name.
    async fn paused_connections(&self) -> Result<Vec<(ConnectionName, Paused)>, Error>;

    // Batches.

    /// Takes the batch for one handler: nobody else gets it until `until`, or until it is saved without keeping the lease. With
    /// `take_over`, a lease that is still running is broken (its holder's delivery came back). The owner itself may
    /// lease again. A batch can be leased in any state. Whoever still has the batch as it was at revision `known` is spared
    /// its pages when nothing has changed since.
    async fn lease_batch(
        &self,
        run: RunId,
        batch: BatchNo,
        lease: &Lease,
        take_over: bool,
        known: Option<u64>,
        now: Timestamp,
    ) -> Result<Leased, Error>;
    /// Saves what a handler did, if it still holds the lease. Counts of the batch and the run follow from
    /// `save.results`, dead letters are recorded and records remembered with it, all at once. A holder that let go, or whose time ran out, still
    /// holds it in this sense until somebody else leases the batch; so the same save again, after a lost answer, is
    /// answered the same and counts once.
    async fn save_batch(
        &self,
        run: RunId,
        batch: BatchNo,
        lease: &Lease,
        save: &BatchSave<'_>,
    ) -> Result<Saved, Error>;
    /// Keeps the job that a CRM has for a batch, or forgets it, if the lease is still held; says whether it is.
    async fn keep_job(
        &self,
        run: RunId,
        batch: BatchNo,
        lease: &Lease,
        job: Option<&str>,
    ) -> Result<bool, Error>;
    /// The job of a batch, without its pages.
    async fn job(&self, run: RunId, batch: BatchNo) -> Result<Option<String>, Error>;
    /// Batches with their pages, from `after` on, in order; for listings.
    async fn batches(&self, run: RunId, after: Option<BatchNo>, limit: u32) -> Result<Vec<Batch>, Error>;
    /// Counts of the run as they stand.
    async fn progress(&self, run: RunId) -> Result<Progress, Error>;

    // Effects.

    /// Notes that an action is about to make something for a row, which must be known even after a power cut; tells what was
    /// noted before.
    async fn begin_effect(&self, effect: &EffectKey, now: Timestamp) -> Result<Begun, Error>;
    /// Keeps what the action gave. An effect that was not begun is not there and stays so.
    async fn end_effect(&self, effect: &EffectKey, outputs: &Outputs) -> Result<(), Error>;

    // Dead letters.

    /// Letters, oldest first, from `after` on.
    async fn letters(
        &self,
        filter: &LetterFilter,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Letter>, Error>;
    /// How many there are.
    async fn count_letters(&self, filter: &LetterFilter) -> Result<u64, Error>;
    /// The causes of letters, the most frequent first.
    async fn letter_causes(&self, filter: &LetterFilter, limit: u32) -> Result<Vec<LetterCause>, Error>;
    /// The runs that letters are of, oldest first, with the number of letters.
    async fn letter_runs(&self, filter: &LetterFilter) -> Result<Vec<(RunId, u64)>, Error>;
    /// What happened to a letter, oldest first, and to those whose rows were tried again in its run.
    async fn letter_history(&self, letter: i64) -> Result<Vec<LetterEvent>, Error>;
    /// Reopens the rows of these letters (all open, all of one run and batch): rows become pending, or, with values that are set, as good
    /// as evaluated; the batch becomes pending, the run [`RunState::Running`] again (or [`RunState::Canary`], when it was
    /// stopped before anything but batch 0 was begun: the rest must not follow a canary that never held), the letters retried.
    /// Says how many rows. Only a run that is running, completed or stopped can be reopened; in any other state nothing changes
    /// and the answer is 0. Whoever holds the batch loses its lease.
    async fn reopen(&self, run: RunId, batch: BatchNo, letters: &[i64], how: &Reopen) -> Result<u64, Error>;
    /// Marks open letters retried whose records another run takes; says how many.
    async fn retry_in(&self, into: RunId, letters: &[i64], by: &Actor, now: Timestamp) -> Result<u64, Error>;
    /// Marks open letters discarded, and keeps why; says how many.
    async fn discard_letters(
        &self,
        filter: &LetterFilter,
        by: &Actor,
        why: &str,
        now: Timestamp,
    ) -> Result<u64, Error>;

    // Schedules.

    /// Adds the schedule of a plan, or replaces the plan and the next start of the one there is; then it stays paused if it was,
    /// and a start that waits goes on waiting.
    async fn save_schedule(&self, plan: &Plan, next_start: Timestamp) -> Result<(), Error>;
    /// Schedules by name; with `due_by`, those that something may be done about: not paused, and with a start that is due
    /// by then or waits.
    async fn schedules(&self, due_by: Option<Timestamp>) -> Result<Vec<StoredSchedule>, Error>;
    /// Carries out what was decided about a schedule and records the run it starts, all at once. Changes nothing when the
    /// schedule has another revision, is paused, or a run of the plan on its connection goes on that it was to start
    /// beside; says whether it did. So of many planners that decide the same, one starts the run.
    async fn step_schedule(&self, schedule: &ScheduleKey, step: &ScheduleStep) -> Result<bool, Error>;
    /// Pauses a schedule; says whether it is there.
    async fn pause_schedule(&self, schedule: &ScheduleKey, at: Timestamp) -> Result<bool, Error>;
    /// Ends a pause: starts that passed meanwhile, or waited, are forgotten. Says whether there was a pause to end.
    async fn resume_schedule(&self, schedule: &ScheduleKey, next_start: Timestamp) -> Result<bool, Error>;
    /// Forgets a schedule, not its runs; says whether it was there.
    async fn remove_schedule(&self, schedule: &ScheduleKey) -> Result<bool, Error>;

    // Provenance.

    /// Where a record may stand: batches whose smallest and largest record id have it between them, of runs on a connection, the
    /// newest run first, from after a place on. Whether it stands there the batch tells. Listings ascend, so few batches of theirs
    /// are named in vain; the lines of a file may come in any order.
    async fn places(
        &self,
        connection: &ConnectionName,
        record: &RecordId,
        after: Option<Place>,
        limit: u32,
    ) -> Result<Vec<Place>, Error>;

    // Retention.

    /// Runs that ended before a moment and whose values are not all purged, the oldest first. Those with open dead letters are none.
    async fn outdated(&self, before: Timestamp, limit: u32) -> Result<Vec<RunId>, Error>;
    /// Takes the values of a run that has ended away for good: rows, results, dead letters, effects, lines of its file; of each kind at
    /// most `limit` pieces. The run and its counts stay. The first time marks the run as purged at the moment of `entry`, which
    /// joins the audit in the same step. Says how many pieces; 0 when there are none left, or the run has not ended.
    async fn purge(&self, entry: &NewAuditEntry, run: RunId, limit: u32) -> Result<u64, Error>;

    // The audit.

    /// Adds an entry, which stays. For acts that do not record themselves: added just before the act, so that nothing is done
    /// unrecorded; an act that fails then leaves its entry.
    async fn audit(&self, entry: &NewAuditEntry) -> Result<(), Error>;
    /// Entries, newest first; with `before`, those older than the entry of this id.
    async fn audited(
        &self,
        filter: &AuditFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, Error>;

    // Connections.

    /// Reads and replaces the quota of a connection in one transaction that all workers queue up for. The moment handed to
    /// `decide` is the store's own clock, so that workers need not agree on theirs. The state is opaque JSON; `None`
    /// at first.
    async fn update_quota(&self, connection: &ConnectionName, decide: QuotaDecision) -> Result<(), Error>;
    /// The quota as it stands.
    async fn quota(&self, connection: &ConnectionName) -> Result<Option<serde_json::Value>, Error>;
    /// The stored login of a connection, decrypted.
    async fn login(&self, connection: &ConnectionName) -> Result<Option<Login>, Error>;
    /// Takes the right to refresh a login until a moment, unless somebody holds it; says whether it was taken.
    async fn lease_login(
        &self,
        connection: &ConnectionName,
        owner: u64,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, Error>;
    /// Replaces the login, encrypted, and ends the lease, if its version is still `login.version - 1` (or there is
    /// none); says whether it did.
    async fn save_login(&self, connection: &ConnectionName, login: &Login) -> Result<bool, Error>;
}

/// Takes the state and the moment, gives the state to keep (`None`: leave it).
pub type QuotaDecision =
    Box<dyn FnOnce(Option<serde_json::Value>, Timestamp) -> Option<serde_json::Value> + Send>;

/// A run to record.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Its id.
    pub id: RunId,
    /// The plan, as validated.
    pub plan: Plan,
    /// At most this many rows; `None` for all.
    pub cap: Option<u64>,
    /// Batches (and chunks) in flight at once.
    pub in_flight: u32,
    /// The slice, when it is known already: the lines of a file that were [supplied](Store::supply).
    pub slice: Option<ResolvedSlice>,
    /// Only a preview is asked for.
    pub is_dry: bool,
    /// When.
    pub created_at: Timestamp,
    /// Who starts it.
    pub by: Actor,
}

/// A run as stored.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The plan.
    pub plan: Arc<Plan>,
    /// How far it is.
    pub state: RunState,
    /// Why it could not go on.
    pub cause: Option<Cause>,
    /// That it waits, and until when.
    pub parked: Option<Parked>,
    /// That somebody paused it.
    pub paused: Option<Paused>,
    /// That somebody paused its connection.
    pub connection_paused: Option<Paused>,
    /// At most this many rows.
    pub cap: Option<u64>,
    /// Batches in flight at once.
    pub in_flight: u32,
    /// Only a preview was asked for.
    pub is_dry: bool,
    /// That it was let go on after a preview or a wait.
    pub released: Option<Release>,
    /// When it last moved or was touched as a whole.
    pub touched_at: Option<Timestamp>,
    /// The slice, once found.
    pub slice: Option<ResolvedSlice>,
    /// How far the listing is.
    pub listing: Listing,
    /// The compiled run, once configured.
    pub compiled: Option<Arc<CompiledRun>>,
    /// Counts.
    pub progress: Progress,
    /// What people should know.
    pub warnings: Vec<String>,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// When it reached a final state.
    pub ended_at: Option<Timestamp>,
    /// When its values were, or began to be, purged.
    pub purged_at: Option<Timestamp>,
}

impl Run {
    /// Whether every row is evaluated before the first is written.
    #[must_use]
    pub fn is_previewed(&self) -> bool {
        self.is_dry || self.plan.is_previewed()
    }

    /// Whether nothing was written yet, because it is being previewed or nobody has let it go on from there.
    #[must_use]
    pub fn is_unwritten_preview(&self) -> bool {
        self.is_previewed() && self.released.is_none()
    }
}

/// That a run waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// Until when.
    pub until: Timestamp,
    /// Why, for a person.
    pub why: String,
}

/// Which runs to list.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Only runs that are not final.
    pub unfinished: bool,
    /// Only runs of this plan.
    pub plan_name: Option<String>,
    /// At most this many; 0 for no limit.
    pub limit: u32,
}

/// Counts of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Ids frozen.
    pub ids: u64,
    /// Chunks cut.
    pub chunks: u32,
    /// Chunks read.
    pub chunks_read: u32,
    /// Every page of the listing is stored.
    pub listed: bool,
    /// Rows stored.
    pub rows: u64,
    /// Those of them that are left as they are: their inputs are what they were when an earlier run went well.
    pub same: u64,
    /// Batches stored.
    pub batches: u32,
    /// Batches written, or passed through the run stage.
    pub batches_ran: u32,
    /// Batches settled.
    pub batches_settled: u32,
    /// Batches claimed and not settled.
    pub batches_in_flight: u32,
    /// Batches evaluated for a preview that have something to write, or rows that will fail.
    pub batches_previewed: u32,
    /// Rows evaluated and to be written, not settled yet.
    pub intended: u64,
    /// Rows evaluated for a preview that will fail.
    pub refused: u64,
    /// Rows settled, by outcome.
    pub counts: Counts,
    /// How many of them were guarded just before their write.
    pub guarded: GuardCounts,
    /// CRM calls spent.
    pub calls: u64,
}

/// What can be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitKind {
    /// Chunks to read.
    Chunk,
    /// Batches to run.
    Batch,
}

/// A login with rotating tokens, decrypted.
#[derive(Clone, Debug)]
pub struct Login {
    /// Grows by one with each refresh.
    pub version: u64,
    /// The access token, once there is one.
    pub access: Option<SecretString>,
    /// The refresh token.
    pub refresh: SecretString,
    /// When the access token stops working.
    pub expires_at: Option<Timestamp>,
    /// Where calls with the access token go, when the vendor said so along with it.
    pub base_url: Option<String>,
}
