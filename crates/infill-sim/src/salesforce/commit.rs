//! Writing a row that nothing speaks against, and what the platform does on top of it.

use std::collections::HashMap;

use super::board::Struck;
use super::catalog::FieldId;
use super::fault::FaultKind;
use super::record::Editor;
use super::report::Write;
use super::store::{INTEGRATION_USER, Store, Table, user_id};
use super::value::{Given, Stored, read};
use super::write::{Change, Plan, Row, Save, Saved, texts};

/// Chance of winning by stage, in percent.
const PROBABILITIES: [(&str, f64); 6] = [
    ("Prospecting", 10.0),
    ("Qualification", 20.0),
    ("Proposal/Price Quote", 65.0),
    ("Negotiation/Review", 80.0),
    ("Closed Won", 100.0),
    ("Closed Lost", 0.0),
];

/// Writes a row; `None` when its record is not there.
pub(crate) fn commit(save: &Save<'_>, store: &mut Store, row: &Row<'_>, plan: Plan) -> Option<Saved> {
    let at_ms = save.now_ms;
    let table = store.table_mut(&row.object)?;
    let created = plan.number.is_none();
    let number = plan.number.unwrap_or_else(|| table.add(at_ms));
    let id = table.id_of(number);
    let saved = Saved { id: Some(id.clone()), created, errors: Vec::new() };
    if plan.is_delete {
        let record = table.get_mut(number)?;
        record.is_deleted = true;
        record.touch(at_ms, Editor::Integration);
        return Some(saved);
    }
    if plan.is_ignored {
        return Some(saved);
    }
    let sent = plan.changes.clone();
    let changes = spoil(save, table, number, row, plan.changes);
    let changes = after_rules(save, table, number, created, changes);
    let mut old: HashMap<FieldId, Option<Stored>> = HashMap::new();
    for (field, value) in changes {
        let held = table.set(number, field, value);
        old.entry(field).or_insert(held);
    }
    table.get_mut(number)?.touch(at_ms, Editor::Integration);
    run_triggers(save, store, &row.object, number, &mut old);
    let table = store.table(&row.object)?;
    let record = table.get(number)?;
    let mut writes = Vec::with_capacity(sent.len());
    for (field, value) in sent {
        let Some(definition) = table.catalog.get(field) else { continue };
        let text = |value: Option<Stored>| value.map(|value| value.render(definition.kind));
        let now = record.stored(field).cloned();
        let before = old.get(&field).cloned().unwrap_or_else(|| now.clone());
        writes.push(Write {
            at_ms,
            object: table.object.name,
            record: id.clone(),
            field: definition.name.to_string(),
            sent: text(value),
            old: text(before),
            new: text(now),
            operation: save.operation,
        });
    }
    store.ledger.extend(writes);
    Some(saved)
}

/// Replaces what a fault stores in place of the sent text.
fn spoil(save: &Save<'_>, table: &Table, number: u64, row: &Row<'_>, changes: Vec<Change>) -> Vec<Change> {
    if save.board.is_empty() {
        return changes;
    }
    let (id, sent) = (table.id_of(number), texts(row));
    let struck =
        Struck { operation: save.operation, object: table.object.name, id: &id, number, sent: &sent };
    let Some(fault) = save.board.strike_record(struck, |kind| matches!(kind, FaultKind::Differs(_))) else {
        return changes;
    };
    let FaultKind::Differs(stored) = &fault.kind else { return changes };
    let is_meant = |field: FieldId| {
        let name = table.catalog.get(field).map(|field| &*field.name);
        fault
            .target
            .field
            .as_deref()
            .is_none_or(|wanted| name.is_some_and(|name| name.eq_ignore_ascii_case(wanted)))
    };
    let changed = |(field, value): Change| match value {
        Some(Stored::Text(text)) if is_meant(field) => {
            let other = stored.clone().unwrap_or_else(|| format!("{text} (changed)"));
            (field, Some(Stored::text(&other)))
        }
        value => (field, value),
    };
    changes.into_iter().map(changed).collect()
}

/// What the platform adds to a change, or takes from it.
fn after_rules(
    save: &Save<'_>,
    table: &Table,
    number: u64,
    created: bool,
    mut changes: Vec<Change>,
) -> Vec<Change> {
    let field = |name: &str| table.catalog.find(name).map(|(id, _)| id);
    let has_products = table
        .get(number)
        .is_some_and(|record| table.named(record, "HasOpportunityLineItem") == Some(Stored::Bool(true)));
    if has_products && save.org.config.switches.products_own_amount {
        changes.retain(|(id, _)| Some(*id) != field("Amount"));
    }
    let is_given = |changes: &[Change], id: FieldId| changes.iter().any(|(field, _)| *field == id);
    if created {
        for (id, definition) in table.catalog.iter() {
            let default = definition.values.iter().find(|value| value.is_default);
            if let Some(default) = default.filter(|_| definition.defaulted && !is_given(&changes, id)) {
                changes.push((id, Some(Stored::text(&default.value))));
            }
        }
        if let Some(owner) = field("OwnerId").filter(|owner| !is_given(&changes, *owner)) {
            changes.push((owner, Some(Stored::text(&user_id(INTEGRATION_USER)))));
        }
    }
    if let (Some(stage), Some(probability)) = (field("StageName"), field("Probability"))
        && !is_given(&changes, probability)
        && let Some((_, Some(Stored::Text(stage)))) = changes.iter().find(|(id, _)| *id == stage)
        && let Some((_, chance)) = PROBABILITIES.into_iter().find(|(name, _)| **name == **stage)
    {
        changes.push((probability, Some(Stored::Number(chance))));
    }
    let owner = save.org.rules.owner(table.object.name).filter(|_| save.assigns);
    if let (Some(id), Some(owner)) = (field("OwnerId"), owner) {
        changes.retain(|(field, _)| *field != id);
        changes.push((id, Some(Stored::text(owner))));
    }
    changes
}

fn run_triggers(
    save: &Save<'_>,
    store: &mut Store,
    object: &str,
    number: u64,
    old: &mut HashMap<FieldId, Option<Stored>>,
) {
    let Some(table) = store.table(object) else { return };
    let Some(record) = table.get(number) else { return };
    let overwrites = save.org.rules.overwrites(store, table, record, save.now_ms);
    let Some(table) = store.table_mut(object) else { return };
    for (name, text) in overwrites {
        let found = table.catalog.find(&name);
        let value = found.map(|(id, field)| (id, read(field, Given::Csv { text: &text, column: 0 })));
        if let Some((id, Ok(value))) = value {
            let held = table.set(number, id, value);
            old.entry(id).or_insert(held);
        }
    }
}
