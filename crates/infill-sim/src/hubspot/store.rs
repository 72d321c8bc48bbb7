//! The records of a portal by object type, what happens to them by themselves, and the ledger of writes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::catalog::{Catalog, PropId};
use super::list::Lists;
use super::object::{OBJECT_TYPES, ObjectType};
use super::record::{Change, Record, Setter, Text};
use super::report::Write;
use super::route::Operation;
use crate::fault::mix;

/// What an id leads to.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    Live(&'a Record),
    Archived(&'a Record),
    /// Merged into the survivor of that id.
    Merged(u64),
    Missing,
}

/// The records of one object type.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) object: &'static ObjectType,
    pub(crate) catalog: Catalog,
    /// Ascending by id.
    records: Vec<Record>,
    merged: BTreeMap<u64, u64>,
    unique: HashMap<(PropId, Text), u64>,
    next_id: u64,
}

impl Table {
    fn new(object: &'static ObjectType) -> Self {
        Self {
            object,
            catalog: Catalog::of(object.plural),
            records: Vec::new(),
            merged: BTreeMap::new(),
            unique: HashMap::new(),
            next_id: object.first_id,
        }
    }

    /// Every record, archived ones too, ascending by id.
    pub(crate) fn records(&self) -> &[Record] {
        &self.records
    }

    /// Records with ids from `first` on.
    pub(crate) fn records_from(&self, first: u64) -> &[Record] {
        let at = self.records.partition_point(|record| record.id < first);
        self.records.get(at..).unwrap_or_default()
    }

    fn place(&self, id: u64) -> Option<usize> {
        self.records.binary_search_by_key(&id, |record| record.id).ok()
    }

    pub(crate) fn find(&self, id: u64) -> Found<'_> {
        if let Some(&survivor) = self.merged.get(&id) {
            return Found::Merged(survivor);
        }
        match self.place(id).and_then(|at| self.records.get(at)) {
            Some(record) if record.archived_ms.is_some() => Found::Archived(record),
            Some(record) => Found::Live(record),
            None => Found::Missing,
        }
    }

    /// The record of that id if it is there and neither archived nor merged.
    pub(crate) fn live(&self, id: u64) -> Option<&Record> {
        match self.find(id) {
            Found::Live(record) => Some(record),
            Found::Archived(_) | Found::Merged(_) | Found::Missing => None,
        }
    }

    /// As [`Table::live`], but an id merged away leads to its survivor.
    pub(crate) fn live_or_survivor(&self, id: u64) -> Option<&Record> {
        match self.find(id) {
            Found::Merged(survivor) => self.live(survivor),
            Found::Live(record) => Some(record),
            Found::Archived(_) | Found::Missing => None,
        }
    }

    /// The record that holds a unique property's value.
    pub(crate) fn holder(&self, property: PropId, value: &str) -> Option<u64> {
        self.unique.get(&(property, Text::from(value))).copied()
    }

    /// Adds a record under `id`, or under the next free one, and returns its id. An id that is not above all others
    /// is not taken.
    pub(crate) fn add(
        &mut self,
        id: Option<u64>,
        created_ms: i64,
        creator: Setter,
        values: Vec<(PropId, Text)>,
    ) -> u64 {
        let last = self.records.last().map_or(0, |record| record.id);
        let id = id.filter(|id| *id > last).unwrap_or(self.next_id.max(last + 1));
        for (property, value) in &values {
            self.index(*property, None, Some(value), id);
        }
        self.records.push(Record::new(id, created_ms, creator, values));
        self.next_id = id + 1;
        id
    }

    fn index(&mut self, property: PropId, old: Option<&Text>, new: Option<&Text>, id: u64) {
        if !self.catalog.get(property).is_some_and(|property| property.unique) {
            return;
        }
        if let Some(old) = old {
            self.unique.remove(&(property, Arc::clone(old)));
        }
        if let Some(new) = new {
            self.unique.insert((property, Arc::clone(new)), id);
        }
    }

    /// Writes properties of a record and returns the old values, in the order of `changes`.
    pub(crate) fn write(
        &mut self,
        id: u64,
        changes: &[Change],
        at_ms: i64,
        setter: Setter,
        no_op_keeps_updated_at: bool,
    ) -> Vec<Option<Text>> {
        let Some(record) = self.place(id).and_then(|at| self.records.get_mut(at)) else { return Vec::new() };
        let old: Vec<Option<Text>> = changes.iter().map(|change| record.set(change, at_ms, setter)).collect();
        let is_changed = changes.iter().zip(&old).any(|(change, old)| change.value != *old);
        if is_changed || !no_op_keeps_updated_at {
            record.updated_ms = at_ms;
        }
        for (change, old) in changes.iter().zip(&old) {
            if change.value != *old {
                self.index(change.property, old.as_ref(), change.value.as_ref(), id);
            }
        }
        old
    }

    fn touch(&mut self, id: u64, at_ms: i64) {
        if let Some(record) = self.place(id).and_then(|at| self.records.get_mut(at)) {
            record.updated_ms = record.updated_ms.max(at_ms);
        }
    }

    /// Archives a record or brings it back. False when there is no such record.
    pub(crate) fn set_archived(&mut self, id: u64, archived_ms: Option<i64>) -> bool {
        if self.merged.contains_key(&id) {
            return false;
        }
        let record = self.place(id).and_then(|at| self.records.get_mut(at));
        let found = record.is_some();
        if let Some(record) = record {
            record.archived_ms = archived_ms;
        }
        found
    }

    /// Merges `loser` into `survivor`, which takes the values it lacks. False when one of them is not there.
    pub(crate) fn merge(&mut self, survivor: u64, loser: u64, at_ms: i64) -> bool {
        if survivor == loser || self.live(survivor).is_none() {
            return false;
        }
        let Some(gone) = self.live(loser).map(|record| record.all_stored().to_vec()) else { return false };
        let ids = self.catalog.find("hs_merged_object_ids").map(|(id, _)| id);
        let kept = self.live(survivor);
        let has = |property| kept.is_some_and(|record| record.stored(property).is_some());
        let earlier = ids.and_then(|id| kept.and_then(|record| record.stored(id)).cloned());
        let mut changes: Vec<Change> = gone
            .iter()
            .filter(|(property, _)| !has(*property) && Some(*property) != ids)
            .map(|(property, value)| Change { property: *property, value: Some(Arc::clone(value)) })
            .collect();
        if let Some(property) = ids {
            let joined = earlier.map_or_else(|| loser.to_string(), |earlier| format!("{earlier};{loser}"));
            changes.push(Change { property, value: Some(joined.into()) });
        }
        for (property, value) in &gone {
            self.index(*property, Some(value), None, loser);
        }
        self.write(survivor, &changes, at_ms, Setter::Person, true);
        if let Some(record) = self.place(loser).and_then(|at| self.records.get_mut(at)) {
            record.archived_ms = Some(at_ms);
        }
        for target in self.merged.values_mut().filter(|target| **target == loser) {
            *target = survivor;
        }
        self.merged.insert(loser, survivor);
        true
    }
}

/// Something that happens by itself later.
#[derive(Debug, Clone, Copy)]
enum Due {
    /// HubSpot edits the record.
    Touch { table: usize, record: u64 },
    /// Active lists look at the record again.
    Evaluate { table: usize, record: u64 },
}

/// How records change after a write by themselves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Aftermath {
    pub(crate) seed: u64,
    pub(crate) background_edits: bool,
    pub(crate) list_lag_ms: i64,
}

/// Everything a portal holds.
#[derive(Debug)]
pub(crate) struct Store {
    tables: Vec<Table>,
    pub(crate) lists: Lists,
    pub(crate) ledger: Vec<Write>,
    due: BTreeMap<(i64, u64), Due>,
    n_due: u64,
    aftermath: Aftermath,
}

/// One client write of one record.
#[derive(Debug)]
pub(crate) struct Commit<'a> {
    pub(crate) operation: Operation,
    pub(crate) app_id: u32,
    pub(crate) at_ms: i64,
    pub(crate) no_op_keeps_updated_at: bool,
    pub(crate) changes: &'a [Change],
}

impl Store {
    pub(crate) fn new(aftermath: Aftermath) -> Self {
        Self {
            tables: OBJECT_TYPES.iter().map(Table::new).collect(),
            lists: Lists::default(),
            ledger: Vec::new(),
            due: BTreeMap::new(),
            n_due: 0,
            aftermath,
        }
    }

    /// The table of an object type by any of its names.
    pub(crate) fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.object.is_called(name))
    }

    /// As [`Store::table`], to change it.
    pub(crate) fn table_mut(&mut self, name: &str) -> Option<&mut Table> {
        self.tables.iter_mut().find(|table| table.object.is_called(name))
    }

    /// A table and the lists, for evaluating one on the other.
    pub(crate) fn table_and_lists(&mut self, name: &str) -> (Option<&Table>, &mut Lists) {
        (self.tables.iter().find(|table| table.object.is_called(name)), &mut self.lists)
    }

    /// Writes a record for a client: values, ledger, and what follows by itself.
    pub(crate) fn commit(&mut self, object: &'static ObjectType, id: u64, commit: &Commit<'_>) {
        let Some(table) = self.tables.iter_mut().find(|table| table.object == object) else { return };
        let setter = Setter::App(commit.app_id);
        let old = table.write(id, commit.changes, commit.at_ms, setter, commit.no_op_keeps_updated_at);
        for (change, old) in commit.changes.iter().zip(old) {
            let Some(property) = table.catalog.get(change.property) else { continue };
            self.ledger.push(Write {
                at_ms: commit.at_ms,
                object: object.plural,
                record: id,
                property: Arc::clone(&property.name),
                old,
                new: change.value.clone(),
                operation: commit.operation,
            });
        }
        self.schedule(object, id, commit.changes, commit.at_ms);
    }

    /// Plans what follows a change by itself.
    pub(crate) fn schedule(&mut self, object: &ObjectType, id: u64, changes: &[Change], at_ms: i64) {
        let Some(table) = self.tables.iter().position(|table| table.object == object) else { return };
        if self.aftermath.background_edits {
            let spread = mix(self.aftermath.seed ^ id) % 20_001;
            let delay_ms = 2_000 + i64::try_from(spread).unwrap_or(0);
            self.push_due(at_ms + delay_ms, Due::Touch { table, record: id });
        }
        let catalog = self.tables.get(table).map(|table| &table.catalog);
        let names =
            changes.iter().filter_map(|change| catalog?.get(change.property)).map(|property| &*property.name);
        if self.lists.depend_on(object.type_id, names) {
            self.push_due(at_ms + self.aftermath.list_lag_ms, Due::Evaluate { table, record: id });
        }
    }

    fn push_due(&mut self, at_ms: i64, due: Due) {
        self.due.insert((at_ms, self.n_due), due);
        self.n_due += 1;
    }

    /// When the next thing happens by itself; `i64::MAX` when nothing does.
    pub(crate) fn next_due_ms(&self) -> i64 {
        self.due.first_key_value().map_or(i64::MAX, |((at_ms, _), _)| *at_ms)
    }

    /// Lets everything happen that is due.
    pub(crate) fn settle(&mut self, now_ms: i64) {
        while let Some(entry) = self.due.first_entry().filter(|entry| entry.key().0 <= now_ms) {
            let at_ms = entry.key().0;
            match entry.remove() {
                Due::Touch { table, record } => {
                    if let Some(table) = self.tables.get_mut(table) {
                        table.touch(record, at_ms);
                    }
                }
                Due::Evaluate { table, record } => {
                    if let Some(table) = self.tables.get(table) {
                        self.lists.evaluate(table, record, at_ms);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table::new(&OBJECT_TYPES[0])
    }

    fn value(table: &Table, name: &str, value: &str) -> (PropId, Text) {
        (table.catalog.find(name).unwrap().0, value.into())
    }

    #[test]
    fn a_merged_id_leads_to_the_last_survivor() {
        let mut table = table();
        let phone = value(&table, "phone", "1");
        let email = value(&table, "email", "a@b.example");
        let a = table.add(None, 0, Setter::Import, vec![]);
        let b = table.add(None, 0, Setter::Import, vec![phone.clone(), email.clone()]);
        let c = table.add(None, 0, Setter::Import, vec![]);
        assert!(table.merge(a, b, 10));
        assert!(table.merge(c, a, 20));
        assert!(matches!(table.find(b), Found::Merged(id) if id == c));
        assert!(!table.merge(c, b, 30));
        assert_eq!(table.live_or_survivor(b).unwrap().stored(phone.0).map(|text| &**text), Some("1"));
        assert_eq!(table.holder(email.0, "a@b.example"), Some(c));
    }

    #[test]
    fn a_unique_value_is_free_again_once_cleared() {
        let mut table = table();
        let (email, text) = value(&table, "email", "a@b.example");
        let id = table.add(None, 0, Setter::Import, vec![(email, text)]);
        table.write(id, &[Change { property: email, value: None }], 1, Setter::Person, true);
        assert_eq!(table.holder(email, "a@b.example"), None);
    }
}
