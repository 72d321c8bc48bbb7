//! What fields, other records and the org's rules say against a row, before anything is written.

use super::catalog::{Field, FieldId, Kind};
use super::record::Record;
use super::record_type;
use super::store::{Found, Store, Table};
use super::value::{RowError, Stored};
use super::write::{Change, Save};

/// Checks the values of a row against fields and other records.
pub(crate) fn check_fields(
    store: &Store,
    table: &Table,
    number: Option<u64>,
    changes: &[Change],
) -> Result<(), Vec<RowError>> {
    let is_insert = number.is_none();
    let mut errors = Vec::new();
    let mut read_only = Vec::new();
    let mut missing = Vec::new();
    for (id, value) in changes {
        let Some(field) = table.catalog.get(*id) else { continue };
        if !(if is_insert { field.createable } else { field.updateable }) {
            read_only.push(field.name.to_string());
            continue;
        }
        match value {
            None if !field.nillable && field.kind != Kind::Boolean => missing.push(field.name.to_string()),
            Some(Stored::Text(target)) if field.kind == Kind::Reference => {
                errors.extend(check_reference(store, field, target));
            }
            Some(value) if field.unique => {
                let holders = table.holders(*id, &value.render(Kind::Text));
                if let Some(holder) = holders.iter().find(|holder| Some(**holder) != number) {
                    let message = format!(
                        "duplicate value found: {} duplicates value on record with id: {}",
                        field.name,
                        table.id_of(*holder)
                    );
                    errors.push(RowError::new("DUPLICATE_VALUE", message).on(&field.name));
                }
            }
            Some(_) | None => {}
        }
    }
    if is_insert {
        let is_given = |id: FieldId| changes.iter().any(|(field, _)| *field == id);
        let required = table.catalog.iter().filter(|(id, field)| {
            field.createable
                && !field.nillable
                && !field.defaulted
                && field.kind != Kind::Boolean
                && !is_given(*id)
        });
        missing.extend(required.map(|(_, field)| field.name.to_string()));
    }
    if !read_only.is_empty() {
        let message = format!(
            "Unable to create/update fields: {}. Please check the security settings of this field and verify that it is \
             read/write for your profile or permission set.",
            read_only.join(", ")
        );
        errors.push(RowError {
            fields: read_only,
            ..RowError::new("INVALID_FIELD_FOR_INSERT_UPDATE", message)
        });
    }
    if !missing.is_empty() {
        let message = format!("Required fields are missing: [{}]", missing.join(", "));
        errors.push(RowError { fields: missing, ..RowError::new("REQUIRED_FIELD_MISSING", message) });
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn check_reference(store: &Store, field: &Field, target: &str) -> Option<RowError> {
    let prefix = target.get(..3).unwrap_or_default();
    let mut tables = field.refers.iter().filter_map(|object| store.table(object));
    let Some(table) = tables.find(|table| table.object.prefix == prefix) else {
        let message = format!("{}: id value of incorrect type: {target}", field.label);
        return Some(RowError::new("MALFORMED_ID", message).on(&field.name));
    };
    let is_there =
        table.number_of(target).flatten().is_some_and(|number| matches!(table.find(number), Found::Live(_)));
    (!is_there)
        .then(|| RowError::new("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id").on(&field.name))
}

/// Checks the record as it would be.
pub(crate) fn check_rules(
    save: &Save<'_>,
    store: &Store,
    table: &Table,
    number: Option<u64>,
    changes: &[Change],
) -> Result<(), Vec<RowError>> {
    let fresh = || Record::new(0, save.now_ms);
    let mut candidate = number.and_then(|number| table.get(number)).cloned().unwrap_or_else(fresh);
    for (field, value) in changes {
        candidate.set(*field, value.clone());
    }
    let mut errors = save.org.rules.object_to(store, table, &candidate, save.allows_duplicates, save.now_ms);
    errors.extend(check_record_type(save, store, table, &candidate, changes));
    let refers_to = |name: &str, prefix: &str| {
        table.named(&candidate, name).is_some_and(|target| target.render(Kind::Id).starts_with(prefix))
    };
    if table.object.name == "Task" && refers_to("WhoId", "00Q") && refers_to("WhatId", "") {
        let message = "Related To ID: a task of a lead cannot be related to another record";
        errors.push(RowError::new("FIELD_INTEGRITY_EXCEPTION", message).on("WhatId"));
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Says which given values of restricted picklists the record's type does not have.
fn check_record_type(
    save: &Save<'_>,
    store: &Store,
    table: &Table,
    candidate: &Record,
    changes: &[Change],
) -> Vec<RowError> {
    let id = table.named(candidate, "RecordTypeId").map(|id| id.render(Kind::Id));
    let Some(record_type) = id.and_then(|id| record_type::name_of(store, table.object.name, &id)) else {
        return Vec::new();
    };
    let given = &save.org.config.record_type_values;
    let restricted = changes.iter().filter_map(|(id, value)| {
        let field = table.catalog.get(*id).filter(|field| field.restricted)?;
        Some((field, value.as_ref()?.render(field.kind)))
    });
    restricted
        .filter_map(|(field, text)| {
            let mut choices = text.split(';').map(str::trim);
            let takes =
                |value: &str| record_type::takes(given, table.object.name, &record_type, field, value);
            let unknown = choices.find(|value| !takes(value))?;
            let message = format!("{}: bad value for restricted picklist field: {unknown}", field.label);
            Some(RowError::new("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message).on(&field.name))
        })
        .collect()
}
