//! Starting a run: recording it is enough, the reconciler publishes its first message.

use infill_model::plan::{Approve, FIRST_RUN_CAP, IfChanged, PropertyWrite, Source, Verify, When, Writeback};
use infill_model::run::TargetProperty;
use infill_model::{Plan, RunId};
use infill_rules::undo::INPUT;
use infill_store::Store;
use infill_store::store::{NewRun, Run};

use crate::error::Error;

/// How many rows a person asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// As the plan says; the first time only a few.
    AsPlanned,
    /// At most so many.
    AtMost(u64),
    /// All of them, the first time too.
    All,
}

/// The cap of a run, and whether it is there because the plan never verified a row on its connection.
///
/// The smallest of what the plan and the person say; a plan that never verified a row runs on
/// [`FIRST_RUN_CAP`] rows unless the person or the plan says how many.
#[must_use]
pub fn cap(plan_max: Option<u64>, asked: Asked, has_verified: bool) -> (Option<u64>, bool) {
    match asked {
        Asked::All => (plan_max, false),
        Asked::AtMost(limit) => (Some(plan_max.map_or(limit, |max| max.min(limit))), false),
        Asked::AsPlanned if has_verified || plan_max.is_some_and(|max| max <= FIRST_RUN_CAP) => {
            (plan_max, false)
        }
        Asked::AsPlanned => (Some(FIRST_RUN_CAP), true),
    }
}

/// Records a run, and who started it.
///
/// # Errors
/// When the store fails; then there is no run.
pub async fn start(store: &dyn Store, run: NewRun) -> Result<RunId, Error> {
    let run = NewRun { in_flight: run.in_flight.max(1), ..run };
    store.create_run(&run).await?;
    Ok(run.id)
}

/// The plan that takes a run back: each property the run wrote gets its before-image, where the record still holds the run's
/// value. `None` for a run that was never configured: it wrote nothing.
#[must_use]
pub fn undo_plan(run: &Run) -> Option<Plan> {
    let compiled = run.compiled.as_ref()?;
    let reference = format!("{{{{input.{INPUT}}}}}");
    let write = |target: &TargetProperty| PropertyWrite {
        name: target.property.name.clone(),
        value: reference.clone(),
        when: When::IfDifferent,
        ignore_empty: false,
        if_changed: None,
    };
    let Plan { name, connection, source, canary, max_failed, .. } = run.plan.as_ref();
    Some(Plan {
        name: format!("Undo of {name}"),
        connection: connection.clone(),
        source: Source { undoes: Some(run.id), ..Source::none(source.object.clone()) },
        inputs: vec![INPUT.into()],
        chain: Vec::new(),
        writeback: Writeback {
            properties: compiled.targets.iter().map(write).collect(),
            action: None,
            inputs: Default::default(),
            if_changed: IfChanged::Hold,
            guard_older_than: compiled.guard_older_than_seconds,
        },
        verify: Verify::All,
        canary: *canary,
        max_failed: *max_failed,
        max_changed: None,
        // Whoever takes a run back has looked, and the way back is short.
        approve: Approve::Automatic,
    })
}

/// The plan that takes the records of dead letters, all of them and once, whatever else it selects.
#[must_use]
pub fn retry_plan(plan: Plan) -> Plan {
    let source = Source { retries: true, ..Source::none(plan.source.object.clone()) };
    Plan { source, ..plan }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_that_never_verified_a_row_runs_on_five() {
        for (plan_max, asked, has_verified, expected) in [
            (None, Asked::AsPlanned, false, (Some(5), true)),
            (Some(3), Asked::AsPlanned, false, (Some(3), false)),
            (Some(900), Asked::AsPlanned, false, (Some(5), true)),
            (Some(900), Asked::AsPlanned, true, (Some(900), false)),
            (None, Asked::AsPlanned, true, (None, false)),
            (None, Asked::All, false, (None, false)),
            (Some(900), Asked::All, false, (Some(900), false)),
            (None, Asked::AtMost(50), false, (Some(50), false)),
            (Some(10), Asked::AtMost(50), true, (Some(10), false)),
        ] {
            assert_eq!(cap(plan_max, asked, has_verified), expected, "{plan_max:?} {asked:?} {has_verified}");
        }
    }
}
