//! The records of an org by object, and the ledger of writes.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::catalog::{Catalog, Field, FieldId, Kind, OBJECTS, Object};
use super::id;
use super::record::{Editor, Record};
use super::report::Write;
use super::value::Stored;

/// Number of the user that API clients are connected as.
pub(crate) const INTEGRATION_USER: u64 = 1_000_000_001;
/// Number of somebody who edits records in the web interface.
pub(crate) const PERSON_USER: u64 = 1_000_000_002;

/// The id of a user.
pub(crate) fn user_id(number: u64) -> String {
    id::id18("005", number)
}

/// The records of one object.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) object: &'static Object,
    pub(crate) catalog: Catalog,
    /// Ascending by number.
    records: Vec<Record>,
    /// Records by key field and value in lower case, deleted ones too.
    keys: HashMap<(FieldId, String), Vec<u64>>,
    next_number: u64,
}

/// What an id leads to.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    Live(&'a Record),
    Deleted,
    Missing,
}

impl Table {
    fn new(object: &'static Object) -> Self {
        Self {
            object,
            catalog: Catalog::of(object.name),
            records: Vec::new(),
            keys: HashMap::new(),
            next_number: object.first_number,
        }
    }

    /// Every record, deleted ones too, ascending by number.
    pub(crate) fn records(&self) -> &[Record] {
        &self.records
    }

    pub(crate) fn id_of(&self, number: u64) -> String {
        id::id18(self.object.prefix, number)
    }

    /// The number in an id of this object; `None` when the text is none, `Some(None)` when the id is another org's.
    pub(crate) fn number_of(&self, text: &str) -> Option<Option<u64>> {
        id::parse(text).filter(|id| id.prefix == self.object.prefix).map(|id| id.number)
    }

    fn place(&self, number: u64) -> Option<usize> {
        self.records.binary_search_by_key(&number, |record| record.number).ok()
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Record> {
        self.place(number).and_then(|at| self.records.get(at))
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut Record> {
        self.place(number).and_then(|at| self.records.get_mut(at))
    }

    pub(crate) fn find(&self, number: u64) -> Found<'_> {
        match self.get(number) {
            Some(record) if record.is_deleted => Found::Deleted,
            Some(record) => Found::Live(record),
            None => Found::Missing,
        }
    }

    /// Live records whose key field holds the value.
    pub(crate) fn holders(&self, field: FieldId, value: &str) -> Vec<u64> {
        let all = self.keys.get(&(field, value.to_lowercase())).map(Vec::as_slice).unwrap_or_default();
        all.iter().copied().filter(|number| matches!(self.find(*number), Found::Live(_))).collect()
    }

    /// Adds a record without values and returns its number.
    pub(crate) fn add(&mut self, at_ms: i64) -> u64 {
        let number = self.next_number;
        self.records.push(Record::new(number, at_ms));
        self.next_number += 1;
        number
    }

    /// Sets or clears one field of a record and returns what it held.
    pub(crate) fn set(&mut self, number: u64, field: FieldId, value: Option<Stored>) -> Option<Stored> {
        let is_key = self.catalog.get(field).is_some_and(Field::is_key);
        let new_key = value.as_ref().filter(|_| is_key).map(|value| value.render(Kind::Text).to_lowercase());
        let old = self.get_mut(number)?.set(field, value);
        if is_key {
            if let Some(old) = &old {
                let held = self.keys.entry((field, old.render(Kind::Text).to_lowercase())).or_default();
                held.retain(|holder| *holder != number);
            }
            if let Some(key) = new_key {
                self.keys.entry((field, key)).or_default().push(number);
            }
        }
        old
    }

    /// Forgets a field's values and the field.
    pub(crate) fn hide(&mut self, field: &str) -> bool {
        self.catalog.hide(field)
    }

    /// The value of a field, held or derived.
    pub(crate) fn value(&self, record: &Record, id: FieldId, field: &Field) -> Option<Stored> {
        derived(self, record, field).unwrap_or_else(|| {
            let none = (field.kind == Kind::Boolean).then_some(Stored::Bool(false));
            record.stored(id).cloned().or(none)
        })
    }

    /// As [`Table::value`], by the field's name.
    pub(crate) fn named(&self, record: &Record, name: &str) -> Option<Stored> {
        let (id, field) = self.catalog.find(name)?;
        self.value(record, id, field)
    }

    /// The value in JSON; compound fields are objects of their parts.
    pub(crate) fn json(&self, record: &Record, id: FieldId, field: &Field) -> Value {
        if field.kind == Kind::Address {
            return self.address(record, &field.name);
        }
        self.value(record, id, field).map_or(Value::Null, |value| value.json(field.kind))
    }

    fn address(&self, record: &Record, name: &str) -> Value {
        let prefix = name.strip_suffix("Address").unwrap_or_default();
        let mut parts = Map::new();
        for (key, part) in [
            ("city", "City"),
            ("country", "Country"),
            ("postalCode", "PostalCode"),
            ("state", "State"),
            ("street", "Street"),
        ] {
            let value = self.named(record, &format!("{prefix}{part}"));
            parts.insert(key.to_owned(), value.map_or(Value::Null, |value| value.json(Kind::Text)));
        }
        if parts.values().all(Value::is_null) {
            return Value::Null;
        }
        parts.insert("geocodeAccuracy".to_owned(), Value::Null);
        parts.insert("latitude".to_owned(), Value::Null);
        parts.insert("longitude".to_owned(), Value::Null);
        Value::Object(parts)
    }
}

/// `Some` when the field is not held but follows from the record; the inner `None` is no value.
fn derived(table: &Table, record: &Record, field: &Field) -> Option<Option<Stored>> {
    let held = |name: &str| table.catalog.find(name).and_then(|(id, _)| record.stored(id)).cloned();
    let number = |name: &str| match held(name) {
        Some(Stored::Number(number)) => Some(number),
        Some(Stored::Text(_) | Stored::Bool(_) | Stored::Date(_) | Stored::Time(_)) | None => None,
    };
    let is_stage = |names: &[&str]| {
        held("StageName")
            .or_else(|| held("Status"))
            .is_some_and(|stage| names.contains(&stage.render(Kind::Picklist).as_str()))
    };
    let value = match &*field.name {
        "Id" => Some(Stored::text(&table.id_of(record.number))),
        "IsDeleted" => Some(Stored::Bool(record.is_deleted)),
        "CreatedDate" => Some(Stored::Time(whole_second(record.created_ms))),
        "LastModifiedDate" => Some(Stored::Time(whole_second(record.modified_ms))),
        "SystemModstamp" => Some(Stored::Time(whole_second(record.system_ms))),
        "CreatedById" => Some(Stored::text(&user_id(INTEGRATION_USER))),
        "LastModifiedById" => Some(Stored::text(&user_id(match record.editor {
            Editor::Integration => INTEGRATION_USER,
            Editor::Person => PERSON_USER,
        }))),
        "MasterRecordId" => record.master.map(|master| Stored::text(&table.id_of(master))),
        "Name" if field.length == 121 => {
            let parts = [held("FirstName"), held("LastName")];
            let parts: Vec<String> = parts.iter().flatten().map(|part| part.render(Kind::Text)).collect();
            Some(parts.join(" ")).filter(|name| !name.is_empty()).map(|name| Stored::text(&name))
        }
        "Account_No__c" => {
            Some(Stored::text(&format!("A-{:06}", record.number - table.object.first_number + 1)))
        }
        "Revenue_per_Employee__c" => {
            let employees = number("NumberOfEmployees").filter(|employees| *employees > 0.0);
            number("AnnualRevenue")
                .zip(employees)
                .map(|(revenue, employees)| Stored::Number(((revenue / employees) * 100.0).round() / 100.0))
        }
        "ExpectedRevenue" => number("Amount")
            .zip(number("Probability"))
            .map(|(amount, chance)| Stored::Number((amount * chance).round() / 100.0)),
        "IsClosed" => Some(Stored::Bool(is_stage(&["Closed Won", "Closed Lost", "Completed"]))),
        "IsWon" => Some(Stored::Bool(is_stage(&["Closed Won"]))),
        _ => return None,
    };
    Some(value)
}

/// Times of records have no parts of a second.
fn whole_second(ms: i64) -> i64 {
    ms.div_euclid(1_000) * 1_000
}

/// Everything an org holds.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    tables: Vec<Table>,
    pub(crate) ledger: Vec<Write>,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self { tables: OBJECTS.iter().map(Table::new).collect(), ledger: Vec::new() }
    }

    pub(crate) fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// Hides an object from the connected user. False when there is none.
    pub(crate) fn hide_object(&mut self, object: &str) -> bool {
        let n_before = self.tables.len();
        self.tables.retain(|table| !table.object.name.eq_ignore_ascii_case(object));
        self.tables.len() < n_before
    }

    /// The table of an object by name, whatever its case.
    pub(crate) fn table(&self, object: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.object.name.eq_ignore_ascii_case(object))
    }

    /// As [`Store::table`], to change it.
    pub(crate) fn table_mut(&mut self, object: &str) -> Option<&mut Table> {
        self.tables.iter_mut().find(|table| table.object.name.eq_ignore_ascii_case(object))
    }

    /// The table and the number of the record that an id names, if it is there.
    pub(crate) fn by_id(&self, text: &str) -> Option<(&Table, &Record)> {
        let id = id::parse(text)?;
        let table = self.tables.iter().find(|table| table.object.prefix == id.prefix)?;
        Some((table, table.get(id.number?)?))
    }

    /// Follows a path of names from a record to a value: relationships, then a field. The field comes with it.
    pub(crate) fn follow<'s>(
        &'s self,
        table: &'s Table,
        record: &'s Record,
        path: &[Arc<str>],
    ) -> Option<(&'s Table, &'s Record, FieldId, &'s Field)> {
        let (last, hops) = path.split_last()?;
        let (mut table, mut record) = (table, record);
        for hop in hops {
            let (id, field) = table.catalog.relationship(hop)?;
            let Some(Stored::Text(target)) = table.value(record, id, field) else { return None };
            (table, record) = self.by_id(&target)?;
        }
        let (id, field) = table.catalog.find(last)?;
        Some((table, record, id, field))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_leads_to_its_holders_until_it_is_changed() {
        let mut store = Store::new();
        let table = store.table_mut("account").unwrap();
        let (key, _) = table.catalog.find("CIK__c").unwrap();
        let (a, b) = (table.add(0), table.add(0));
        table.set(a, key, Some(Stored::text("Ab")));
        table.set(b, key, Some(Stored::text("aB")));
        assert_eq!(table.holders(key, "AB"), [a, b]);
        table.set(a, key, None);
        assert_eq!(table.holders(key, "ab"), [b]);
    }

    #[test]
    fn some_fields_follow_from_others() {
        let mut store = Store::new();
        let table = store.table_mut("Contact").unwrap();
        let number = table.add(1_500);
        let last = table.catalog.find("LastName").unwrap().0;
        table.set(number, last, Some(Stored::text("Byron")));
        let record = table.get(number).unwrap();
        assert_eq!(table.named(record, "Name"), Some(Stored::text("Byron")));
        assert_eq!(table.named(record, "CreatedDate"), Some(Stored::Time(1_000)));
        assert_eq!(table.named(record, "DoNotCall"), Some(Stored::Bool(false)));
        assert_eq!(table.named(record, "MasterRecordId"), None);
    }
}
