//! Dead letters: what is kept of a row that will not be tried again by itself.

use infill_broker::DeadLettered;
use infill_crm::{Exchanged, Refusal};
use infill_model::outcome::Counts;
use infill_model::row::{Cause, RowState};
use infill_model::{Class, Outcome, Row, RowResult, RunId, Stage, Timestamp};
use infill_rules::cause::shared;
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

/// The letters of the rows that failed since [`outcomes`] gave `before`: those that are failed now and were not then. Each has what
/// was last asked about it of the CRM in the `exchanged` calls.
pub(crate) fn new_letters(
    stage: Stage,
    rows: &[Row],
    before: &[Option<Outcome>],
    results: &[RowResult],
    exchanged: &[Exchanged],
) -> Vec<NewLetter> {
    rows.iter()
        .zip(results)
        .enumerate()
        .filter(|(i, (_, result))| {
            let is_failed = |outcome: Option<Outcome>| outcome == Some(Outcome::Failed);
            is_failed(result.outcome()) && !is_failed(before.get(*i).copied().flatten())
        })
        .filter_map(|(_, (row, result))| {
            let cause = result.cause.clone()?;
            Some(NewLetter {
                record: row.record.clone(),
                stage,
                shared: shared(&cause, &row.record, &result.wanted),
                cause,
                wanted: result.wanted.clone(),
                before: row.before.clone(),
                found: result.found.clone(),
                exchange: exchanged
                    .iter()
                    .rfind(|call| call.names(&row.record))
                    .map(|call| call.about(&row.record)),
            })
        })
        .collect()
}

/// How each row stands.
pub(crate) fn outcomes(results: &[RowResult]) -> Vec<Option<Outcome>> {
    results.iter().map(RowResult::outcome).collect()
}

/// The rows that settled since [`outcomes`] gave `before`.
pub(crate) fn newly_settled(before: &[Option<Outcome>], results: &[RowResult]) -> Counts {
    let was_settled = before.iter().map(Option::is_some).chain(std::iter::repeat(false));
    let fresh = results.iter().zip(was_settled).filter(|(_, was_settled)| !was_settled);
    fresh.filter_map(|(result, _)| result.outcome()).collect()
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
