//! The checks before a run: the connection answers, the slice exists, every property can be written.
//!
//! Literal values are checked against the property's options too. Used by the command line before a run starts and by `configure-chain` against what really arrived.

use std::collections::BTreeMap;

use infill_chain::remote_actions;
use infill_crm::{Account, ActionPlan, Catalog, Crm, Limits, Unfit};
use infill_model::error::{Fault, FaultCode};
use infill_model::nearest::did_you_mean;
use infill_model::property::PropertyDef;
use infill_model::run::TargetProperty;
use infill_model::slice::{ResolvedSlice, Supply};
use infill_model::{ActionId, Plan, PropertyName, Value};

/// What the checks found when all is well.
#[derive(Clone, Debug)]
pub struct Preflight {
    /// The account the connection reaches.
    pub account: Account,
    /// The slice.
    pub slice: ResolvedSlice,
    /// The properties to write, as the live catalog has them.
    pub targets: Vec<TargetProperty>,
    /// Calls that the actions of the chain cost a row at most.
    pub action_calls: u64,
    /// The CRM's sizes for a run of as many records as the slice and the plan allow.
    pub sizes: Limits,
}

/// Why a run may not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The CRM could not be asked, or the slice is not there.
    #[error("ask the CRM")]
    Crm(#[from] infill_crm::Error),
    /// The plan does not fit the account.
    #[error("the plan does not fit the account")]
    Faults(Vec<Fault>),
}

/// Asks the CRM and checks the plan against it. `given` is the slice of a plan whose records are supplied.
///
/// # Errors
/// [`Error::Faults`] with every fault at once.
pub async fn preflight(crm: &dyn Crm, plan: &Plan, given: Option<ResolvedSlice>) -> Result<Preflight, Error> {
    let account = crm.account().await?;
    let catalog = crm.catalog(&plan.source.object).await?;
    let supplied = given.as_ref().and_then(Supply::of).unwrap_or_default().inputs;
    let targets = targets(plan, &supplied, &catalog, crm).await?;
    actions(plan, crm).await?;
    let slice = match (given, plan.source.selection()) {
        (Some(slice), _) => slice,
        (None, Some(selection)) => crm.resolve(&plan.source.object, &selection).await?,
        (None, None) => {
            let message = "exactly one of list, filter, view, query and ids selects the records";
            return Err(Error::Faults(vec![Fault::new(FaultCode::MissingKey, "source", message)]));
        }
    };
    let most = plan.source.most();
    let sizes = crm.limits(slice.size.map(|size| most.map_or(size, |most| size.min(most))).or(most));
    Ok(Preflight { account, slice, targets, action_calls: action_calls(plan), sizes })
}

/// Calls that the actions of a plan's chain cost a row at most, when nothing goes wrong.
#[must_use]
pub fn action_calls(plan: &Plan) -> u64 {
    remote_actions(plan).iter().map(|action| action.calls).sum()
}

/// Why rows of a plan cannot be evaluated without anything being written; `None` when they can.
#[must_use]
pub fn cannot_preview(plan: &Plan) -> Option<String> {
    let writes = remote_actions(plan).into_iter().find(|action| !action.is_read_only)?;
    Some(format!(
        "the action {} ({}) writes to the CRM while rows are evaluated, so a preview could not leave the CRM as it is; try the plan \
         on a few rows with `infill run PLAN --limit 5` instead, and do without max_changed and without approve: manual beside canary: 0",
        writes.id, writes.kind
    ))
}

/// What the connector found for each action of the chain that the CRM performs.
///
/// # Errors
/// [`Error::Faults`] with those of every action, such as objects and fields that are not there.
pub async fn actions(plan: &Plan, crm: &dyn Crm) -> Result<BTreeMap<ActionId, String>, Error> {
    let mut prepared = BTreeMap::new();
    let mut faults = Vec::new();
    for action in remote_actions(plan) {
        if let Some(found) = prepare(crm, action.kind, action.inputs, &action.path, &mut faults).await? {
            prepared.insert(action.id.clone(), found);
        }
    }
    if let Some(kind) = &plan.writeback.action {
        prepare(crm, kind, &plan.writeback.inputs, "writeback", &mut faults).await?;
    }
    if faults.is_empty() { Ok(prepared) } else { Err(Error::Faults(faults)) }
}

/// The plan's target properties as the catalog has them, or every fault. Inputs that are `supplied` by a file need be no
/// properties.
///
/// # Errors
/// [`Error::Faults`] with unknown inputs and targets and the nearest names, targets that cannot be written, literals that are not
/// allowed.
pub async fn targets(
    plan: &Plan,
    supplied: &[PropertyName],
    catalog: &Catalog,
    crm: &dyn Crm,
) -> Result<Vec<TargetProperty>, Error> {
    let mut faults: Vec<Fault> = plan
        .inputs
        .iter()
        .enumerate()
        .filter(|(_, name)| !supplied.contains(name) && catalog.get(name).is_none())
        .map(|(i, name)| unknown(format!("inputs[{i}]"), name, catalog))
        .collect();
    let writes = &plan.writeback.properties;
    let known: Vec<PropertyDef> =
        writes.iter().filter_map(|write| catalog.get(&write.name)).cloned().collect();
    let mut known = crm.complete(&catalog.object, known).await?.into_iter();
    let mut targets = Vec::with_capacity(writes.len());
    for (i, write) in writes.iter().enumerate() {
        let path = plan.writeback.path_of(i);
        let Some(property) = catalog.get(&write.name).and_then(|_| known.next()) else {
            faults.push(unknown(format!("{path}.name"), &write.name, catalog));
            continue;
        };
        faults.extend(target_fault(&path, &property, &write.value, crm));
        targets.push(TargetProperty {
            property,
            value: write.value.clone(),
            when: write.when,
            ignore_empty: write.ignore_empty,
            if_changed: write.if_changed.unwrap_or(plan.writeback.if_changed),
        });
    }
    if faults.is_empty() { Ok(targets) } else { Err(Error::Faults(faults)) }
}

/// Prepares one action; its faults come under its path.
async fn prepare(
    crm: &dyn Crm,
    kind: &str,
    inputs: &serde_json::Map<String, Value>,
    path: &str,
    faults: &mut Vec<Fault>,
) -> Result<Option<String>, infill_crm::Error> {
    match crm.prepare(&ActionPlan { kind, inputs }).await {
        Ok(found) => Ok(Some(found)),
        Err(Unfit::Crm(error)) => Err(error),
        Err(Unfit::Faults(found)) => {
            let within = |fault: Fault| Fault { path: format!("{path}.{}", fault.path), ..fault };
            faults.extend(found.into_iter().map(within));
            Ok(None)
        }
    }
}

fn target_fault(path: &str, property: &PropertyDef, value: &str, crm: &dyn Crm) -> Option<Fault> {
    if let Some(why) = &property.read_only {
        let message = format!("property \"{}\" ({}) cannot be written: {why}", property.name, property.label);
        return Some(Fault::new(FaultCode::PropertyNotWritable, format!("{path}.name"), message));
    }
    let is_literal = !value.contains("{{") && !value.contains("{%");
    if is_literal && let Err(refusal) = crm.check(property, &Value::String(value.to_owned()), &[]) {
        return Some(Fault::new(FaultCode::InvalidOption, format!("{path}.value"), refusal.message));
    }
    None
}

fn unknown(path: String, name: &PropertyName, catalog: &Catalog) -> Fault {
    let known = catalog.properties.iter().map(|property| property.name.as_str());
    let hint = did_you_mean(name.as_str(), known);
    let message = format!(
        "{} has no property \"{name}\"{hint}{}",
        catalog.object,
        if hint.is_empty() { "; `infill properties` lists them" } else { "" }
    );
    Fault::new(FaultCode::UnknownProperty, path, message)
}
