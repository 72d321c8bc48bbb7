//! The stage `configure-chain`: compiles the chain, checks every property against the live catalog, forecasts.
//!
//! What it resolved is kept as one immutable value, so that two workers never resolve one plan against two moments of
//! the account.

use infill_model::error::{Class, Fault};
use infill_model::row::Cause;
use infill_model::{CompiledRun, RunState, Timestamp};
use infill_rules::forecast::{Known, forecast};
use infill_store::store::Run;

use crate::context::Context;
use crate::preflight::{self, action_calls, actions, cannot_preview, targets};
use crate::supplied::supply;
use crate::verdict::{Failure, Verdict};

/// Compiles and checks.
///
/// # Errors
/// As the CRM and the store; [`Failure::Stop`] with every fault when the plan does not fit.
pub async fn configure_chain(context: &Context, run: &Run) -> Result<Verdict, Failure> {
    if run.state != RunState::ConfigureChain {
        return Ok(Verdict::Complete);
    }
    let plan = &run.plan;
    context.chain(run)?;
    if run.is_previewed()
        && let Some(message) = cannot_preview(plan)
    {
        return Err(Failure::Stop(Cause {
            class: Class::Configuration,
            code: "cannot_preview".into(),
            message,
            property: None,
            correlation_id: None,
            at: Some(context.clock.now()),
        }));
    }
    let crm = context.connections.crm(&plan.connection).await?;
    let account = crm.account().await?;
    context.connections.tell_time_zone(&plan.connection, &account.time_zone).await;
    let catalog = crm.catalog(&plan.source.object).await?;
    let supply = supply(run).unwrap_or_default();
    let unfit = |error| match error {
        preflight::Error::Crm(error) => Failure::Crm(error),
        preflight::Error::Faults(faults) => does_not_fit(&faults, context.clock.now()),
    };
    let targets = targets(plan, &supply.inputs, &catalog, crm.as_ref()).await.map_err(unfit)?;
    let actions = actions(plan, crm.as_ref()).await.map_err(unfit)?;
    let limits = crm.limits(Some(run.progress.rows));
    let forecast = forecast(&Known {
        rows: run.progress.rows.saturating_sub(run.progress.same),
        canary: plan.canary.into(),
        write_batch: limits.write_batch.into(),
        write_call: limits.write_call.into(),
        calls_per_write: limits.calls_per_write.into(),
        read_batch: limits.read_batch.into(),
        action_calls: action_calls(plan),
        write_cost: limits.costs.write.into(),
        read_cost: limits.costs.read.into(),
        verify: plan.verify,
        rate: context.connections.rate(&plan.connection),
        left_today: account.left_today(),
    });
    let compiled = CompiledRun {
        record_address: crm.record_address(&account, &plan.source.object),
        time_zone: account.time_zone,
        object: plan.source.object.clone(),
        inputs: plan.inputs.clone(),
        targets,
        actions,
        guard_older_than_seconds: plan.writeback.guard_older_than,
        verify: plan.verify,
        forecast,
    };
    context.store.save_compiled(run.id, &compiled).await?;
    let next = match plan.canary {
        _ if run.is_previewed() => RunState::Previewing,
        0 => RunState::Running,
        _ => RunState::Canary,
    };
    context.store.move_run(run.id, &[RunState::ConfigureChain], next, None, context.clock.now()).await?;
    Ok(Verdict::Complete)
}

fn does_not_fit(faults: &[Fault], now: Timestamp) -> Failure {
    let all: Vec<String> = faults.iter().map(ToString::to_string).collect();
    Failure::Stop(Cause {
        class: Class::Configuration,
        code: "plan_does_not_fit".into(),
        message: all.join("; "),
        property: None,
        correlation_id: None,
        at: Some(now),
    })
}
