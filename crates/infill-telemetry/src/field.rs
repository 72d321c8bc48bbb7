//! The names of log fields, and the one span that every line about a message stands in.
//!
//! A dotted name reads entity first. Lines that a person or a query joins on use these names and no others.

use infill_model::{BatchNo, RunId, Stage};
use tracing::Span;

/// The run.
pub const RUN_ID: &str = "run.id";
/// The stage.
pub const STAGE: &str = "stage";
/// The batch within the run, from 0.
pub const BATCH_NO: &str = "batch.no";
/// Which try of the message it is, from 1.
pub const ATTEMPT: &str = "attempt";
/// The record's id in its CRM. At debug only.
pub const RECORD_ID: &str = "record.id";
/// The connection's name in the configuration.
pub const CONNECTION: &str = "connection";
/// What went wrong, with its causes: the text of [`crate::chain()`].
pub const ERROR: &str = "error";
/// The stable code of what went wrong.
pub const ERROR_CODE: &str = "error.code";

/// Every field name, for the documentation's test.
pub const ALL: [&str; 8] = [RUN_ID, STAGE, BATCH_NO, ATTEMPT, RECORD_ID, CONNECTION, ERROR, ERROR_CODE];

/// The span of one delivery of one stage message; every line written while it is handled carries its fields.
///
/// `run` is absent for a message that could not be read.
#[must_use]
pub fn message_span(stage: Stage, run: Option<RunId>, batch: Option<BatchNo>, attempt: u32) -> Span {
    tracing::info_span!(
        "message",
        { STAGE } = stage.as_str(),
        { RUN_ID } = run.map(tracing::field::display),
        { BATCH_NO } = batch.map(|batch| batch.0),
        { ATTEMPT } = attempt,
    )
}
