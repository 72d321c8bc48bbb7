//! Record types, and the picklist values that an administrator gave to each.

use super::catalog::{Field, Kind};
use super::config::RecordTypeValues;
use super::record::Record;
use super::store::{Store, Table};

/// The id that stands for having no record type.
pub(crate) const MASTER: &str = "012000000000000AAA";

/// The record types of an object.
pub(crate) fn of_object<'s>(
    store: &'s Store,
    object: &'s str,
) -> impl Iterator<Item = (&'s Table, &'s Record)> {
    let types = store.table("RecordType").into_iter();
    types
        .flat_map(|types| types.records().iter().map(move |record| (types, record)))
        .filter(move |(types, record)| text(types, record, "SobjectType") == object)
}

/// A field of a record type, as text.
pub(crate) fn text(types: &Table, record: &Record, name: &str) -> String {
    types.named(record, name).map(|value| value.render(Kind::Text)).unwrap_or_default()
}

/// The name by which programs know a record type of an object; of no type it is empty. `None` when there is no such type.
pub(crate) fn name_of(store: &Store, object: &str, id: &str) -> Option<String> {
    if id == MASTER {
        return Some(String::new());
    }
    let (types, record) =
        of_object(store, object).find(|(types, record)| types.id_of(record.number) == id)?;
    Some(text(types, record, "DeveloperName"))
}

/// Whether records of a type take a value of a picklist.
pub(crate) fn takes(
    given: &[RecordTypeValues],
    object: &str,
    record_type: &str,
    field: &Field,
    value: &str,
) -> bool {
    let is_about = |of: &&RecordTypeValues| {
        of.object == object && of.record_type == record_type && of.field == *field.name
    };
    given
        .iter()
        .find(is_about)
        .is_none_or(|of| of.values.iter().any(|taken| taken.eq_ignore_ascii_case(value)))
}
