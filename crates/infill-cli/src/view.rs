//! What programs read as JSON. These shapes are documented by their names and stay; what the store keeps may change.

use infill_model::letter::Exchange;
use infill_model::row::{Cause, Gone};
use infill_model::run::Forecast;
use infill_model::slice::ResolvedSlice;
use infill_model::{
    Actor, CauseId, Cell, ConnectionName, ObjectType, Outcome, Plan, Properties, RecordId, Release, Row,
    RowResult, RunId, RunState, Stage, Timestamp,
};
use infill_store::audit::{Act, AuditEntry};
use infill_store::pause::Paused;
use infill_store::store::{
    Letter, LetterCause, LetterChange, LetterEvent, LetterStatus, Parked, Progress, Run,
};
use serde::Serialize;

/// A run.
#[derive(Debug, Serialize)]
pub(crate) struct RunView<'a> {
    id: RunId,
    plan_name: &'a str,
    connection: &'a ConnectionName,
    object: &'a ObjectType,
    state: RunState,
    cause: Option<&'a Cause>,
    parked: Option<&'a Parked>,
    paused: Option<&'a Paused>,
    connection_paused: Option<&'a Paused>,
    cap: Option<u64>,
    slice: Option<&'a ResolvedSlice>,
    forecast: Option<Forecast>,
    progress: &'a Progress,
    warnings: &'a [String],
    is_dry: bool,
    released: Option<&'a Release>,
    created_at: Timestamp,
    ended_at: Option<Timestamp>,
    purged_at: Option<Timestamp>,
}

impl<'a> RunView<'a> {
    /// A run without its plan's text.
    pub(crate) fn of(run: &'a Run) -> Self {
        Self {
            id: run.id,
            plan_name: &run.plan.name,
            connection: &run.plan.connection,
            object: &run.plan.source.object,
            state: run.state,
            cause: run.cause.as_ref(),
            parked: run.parked.as_ref(),
            paused: run.paused.as_ref(),
            connection_paused: run.connection_paused.as_ref(),
            cap: run.cap,
            slice: run.slice.as_ref(),
            forecast: run.compiled.as_ref().map(|compiled| compiled.forecast),
            progress: &run.progress,
            warnings: &run.warnings,
            is_dry: run.is_dry,
            released: run.released.as_ref(),
            created_at: run.created_at,
            ended_at: run.ended_at,
            purged_at: run.purged_at,
        }
    }
}

/// A run with the plan it executes.
#[derive(Debug, Serialize)]
pub(crate) struct WholeRunView<'a> {
    #[serde(flatten)]
    run: RunView<'a>,
    plan: &'a Plan,
}

impl<'a> WholeRunView<'a> {
    /// Everything but the rows.
    pub(crate) fn of(run: &'a Run) -> Self {
        Self { run: RunView::of(run), plan: &run.plan }
    }
}

/// A row.
#[derive(Debug, Serialize)]
pub(crate) struct RowView<'a> {
    record: &'a RecordId,
    outcome: Option<Outcome>,
    inputs: &'a Properties,
    before: &'a Properties,
    wanted: Option<&'a Properties>,
    found: Option<&'a Properties>,
    cells: &'a [Cell],
    cause: Option<&'a Cause>,
    survivor: Option<&'a RecordId>,
}

impl<'a> RowView<'a> {
    /// A row and, once it was handled, its result.
    pub(crate) fn of(row: &'a Row, result: Option<&'a RowResult>) -> Self {
        let gone_to = row.gone.as_ref().and_then(|Gone { survivor }| survivor.as_ref());
        Self {
            record: &row.record,
            outcome: result.and_then(RowResult::outcome),
            inputs: &row.inputs,
            before: &row.before,
            wanted: result.map(|result| &result.wanted),
            found: result.map(|result| &result.found).filter(|found| !found.is_empty()),
            cells: result.map(|result| result.cells.as_slice()).unwrap_or_default(),
            cause: result.and_then(|result| result.cause.as_ref()),
            survivor: result.and_then(|result| result.survivor.as_ref()).or(gone_to),
        }
    }
}

/// A dead letter.
#[derive(Debug, Serialize)]
pub(crate) struct LetterView<'a> {
    id: i64,
    run: RunId,
    batch: u32,
    record: &'a RecordId,
    stage: Stage,
    status: LetterStatus,
    cause_id: &'a CauseId,
    cause: &'a Cause,
    wanted: &'a Properties,
    before: &'a Properties,
    found: Option<&'a Properties>,
    exchange: Option<&'a Exchange>,
    attempts: u32,
    first_at: Timestamp,
    last_at: Timestamp,
}

impl<'a> LetterView<'a> {
    /// A letter.
    pub(crate) fn of(letter: &'a Letter) -> Self {
        let stored = &letter.letter;
        Self {
            id: letter.id,
            run: letter.run,
            batch: letter.batch.0,
            record: &stored.record,
            stage: stored.stage,
            status: letter.status,
            cause_id: &stored.shared.id,
            cause: &stored.cause,
            wanted: &stored.wanted,
            before: &stored.before,
            found: Some(&stored.found).filter(|found| !found.is_empty()),
            exchange: stored.exchange.as_ref(),
            attempts: letter.attempts,
            first_at: letter.first_at,
            last_at: letter.last_at,
        }
    }
}

/// A dead letter with what surrounds it.
#[derive(Debug, Serialize)]
pub(crate) struct WholeLetterView<'a> {
    #[serde(flatten)]
    letter: LetterView<'a>,
    plan_name: Option<&'a str>,
    connection: Option<&'a ConnectionName>,
    url: Option<String>,
    history: Vec<EventView<'a>>,
}

#[derive(Debug, Serialize)]
struct EventView<'a> {
    letter: i64,
    at: Timestamp,
    #[serde(flatten)]
    what: &'a LetterChange,
}

impl<'a> WholeLetterView<'a> {
    /// A letter, its run, where its record is shown, and what happened to it.
    pub(crate) fn of(
        letter: &'a Letter,
        run: Option<&'a Run>,
        url: Option<String>,
        history: &'a [LetterEvent],
    ) -> Self {
        let event =
            |event: &'a LetterEvent| EventView { letter: event.letter, at: event.at, what: &event.what };
        Self {
            letter: LetterView::of(letter),
            plan_name: run.map(|run| run.plan.name.as_str()),
            connection: run.map(|run| &run.plan.connection),
            url,
            history: history.iter().map(event).collect(),
        }
    }
}

/// A cause of dead letters.
#[derive(Debug, Serialize)]
pub(crate) struct CauseView<'a> {
    cause_id: &'a CauseId,
    code: &'a str,
    property: Option<&'a str>,
    message: &'a str,
    letters: u64,
    first_at: Timestamp,
    last_at: Timestamp,
    example: i64,
    example_record: Option<&'a RecordId>,
    example_url: Option<&'a str>,
}

impl<'a> CauseView<'a> {
    /// A cause with one of its letters.
    pub(crate) fn of(cause: &'a LetterCause, example: Option<&'a Letter>, url: Option<&'a str>) -> Self {
        Self {
            cause_id: &cause.shared.id,
            code: &cause.code,
            property: cause.property.as_deref(),
            message: &cause.shared.message,
            letters: cause.n_letters,
            first_at: cause.first_at,
            last_at: cause.last_at,
            example: cause.example,
            example_record: example.map(|letter| &letter.letter.record),
            example_url: url,
        }
    }
}

/// Something somebody did.
#[derive(Debug, Serialize)]
pub(crate) struct AuditView<'a> {
    id: i64,
    at: Timestamp,
    by: &'a Actor,
    act: Act,
    run: Option<RunId>,
    connection: Option<&'a ConnectionName>,
    plan_name: Option<&'a str>,
    detail: &'a str,
}

impl<'a> AuditView<'a> {
    /// An entry.
    pub(crate) fn of(AuditEntry { id, entry }: &'a AuditEntry) -> Self {
        Self {
            id: *id,
            at: entry.at,
            by: &entry.by,
            act: entry.act,
            run: entry.run,
            connection: entry.connection.as_ref(),
            plan_name: entry.plan_name.as_deref(),
            detail: &entry.detail,
        }
    }
}
