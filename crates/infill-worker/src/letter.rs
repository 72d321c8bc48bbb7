//! Dead letters: what is kept of a row that will not be tried again by itself.

use infill_broker::DeadLettered;
use infill_crm::Refusal;
use infill_model::row::{Cause, RowState};
use infill_model::{Class, Outcome, Row, RowResult, RunId, Stage, Timestamp};
use infill_store::store::NewLetter;

use crate::context::Context;
use crate::verdict::Failure;

/// A refusal of one record as a cause.
pub(crate) fn rejected(refusal: Refusal, at: Timestamp) -> Cause {
    Cause {
        class: Class::Rejected,
        code: refusal.code,
        message: refusal.message,
        property: refusal.property.map(|name| name.as_str().to_owned()),
        correlation_id: refusal.correlation_id,
        at: Some(at),
    }
}

/// Fails a row.
pub(crate) fn fail(result: &mut RowResult, cause: Cause) {
    result.state = RowState::Settled(Outcome::Failed);
    result.cause = Some(cause);
}

/// The letters of the rows that failed since `before` was taken: those that are failed now and were not then.
pub(crate) fn new_letters(
    stage: Stage,
    rows: &[Row],
    was_failed: &[bool],
    results: &[RowResult],
) -> Vec<NewLetter> {
    rows.iter()
        .zip(results)
        .enumerate()
        .filter(|(i, (_, result))| {
            result.outcome() == Some(Outcome::Failed) && !was_failed.get(*i).copied().unwrap_or(false)
        })
        .filter_map(|(_, (row, result))| {
            Some(NewLetter {
                record: row.record.clone(),
                stage,
                cause: result.cause.clone()?,
                wanted: result.wanted.clone(),
                before: row.before.clone(),
            })
        })
        .collect()
}

/// Which rows have failed already.
pub(crate) fn failed(results: &[RowResult]) -> Vec<bool> {
    results.iter().map(|result| result.outcome() == Some(Outcome::Failed)).collect()
}

/// Tells subscribers of the dead-letter queue. Before the store is told, so that a crash between the two tells
/// them twice rather than never.
pub(crate) async fn announce(context: &Context, run: RunId, letters: &[NewLetter]) -> Result<(), Failure> {
    for letter in letters {
        let announced = DeadLettered {
            stage: letter.stage,
            run: Some(run),
            record: Some(letter.record.clone()),
            class: letter.cause.class,
            code: letter.cause.code.clone(),
            message: letter.cause.message.clone(),
            body: Vec::new(),
        };
        context.broker.publish_dead_letter(&announced).await?;
    }
    Ok(())
}
