//! Looking into a running portal and changing it from the test that started it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Error;
use super::answer::timestamp;
use super::board::Board;
use super::fault::Faults;
use super::limits::Limits;
use super::portal::Portal;
use super::read::history;
use super::record::{Change, Setter};
use super::report::{Counts, Report, Write, writes_per_record};
use super::store::{Found, Store, Table};
use super::value::normalize;

/// A handle on a running portal; clones share it. Nothing done through it is metered or struck by faults.
///
/// Object types are named as in paths: in the plural, in the singular, or by id.
#[derive(Debug, Clone)]
pub struct Control(pub(crate) Arc<Portal>);

impl Control {
    fn with_table<R>(&self, object: &str, look: impl FnOnce(&Table) -> Result<R, Error>) -> Result<R, Error> {
        self.0.settle(self.0.clock.now_ms());
        let store = self.0.store();
        look(store.table(object).ok_or_else(|| Error::UnknownObject(object.to_owned()))?)
    }

    /// Everything counted so far.
    #[must_use]
    pub fn report(&self) -> Report {
        let worst = self.0.meters().worst();
        let store = self.0.store();
        let mut per_property: BTreeMap<(&str, u64, &str), u32> = BTreeMap::new();
        for write in &store.ledger {
            *per_property.entry((write.object, write.record, &write.property)).or_default() += 1;
        }
        let mut records: Vec<(&str, u64)> =
            per_property.keys().map(|(object, record, _)| (*object, *record)).collect();
        records.dedup();
        let counts = self.0.counts();
        Report {
            calls: counts.calls.clone(),
            refused: counts.refused.clone(),
            unauthorized: counts.unauthorized,
            unknown_paths: counts.unknown_paths,
            worst,
            faults: self.strikes(),
            writes: store.ledger.len(),
            records_written: records.len(),
            most_writes_of_one_property: per_property.values().copied().max().unwrap_or(0),
            now: timestamp(self.0.clock.now_ms()),
        }
    }

    /// Every property write that a client made and that was committed, in order.
    #[must_use]
    pub fn ledger(&self) -> Vec<Write> {
        self.0.store().ledger.clone()
    }

    /// Property writes of each record of an object type that was written.
    ///
    /// # Errors
    /// [`Error::UnknownObject`].
    pub fn writes_per_record(&self, object: &str) -> Result<BTreeMap<u64, u32>, Error> {
        let plural = self.with_table(object, |table| Ok(table.object.plural))?;
        Ok(writes_per_record(&self.0.store().ledger, plural))
    }

    /// Ids of the records that are neither archived nor merged away, ascending.
    ///
    /// # Errors
    /// [`Error::UnknownObject`].
    pub fn record_ids(&self, object: &str) -> Result<Vec<u64>, Error> {
        self.with_table(object, |table| {
            let live = table.records().iter().filter(|record| record.archived_ms.is_none());
            Ok(live.map(|record| record.id).collect())
        })
    }

    /// The stored value of a property; `None` is no value. An id that was merged away leads to its survivor.
    ///
    /// # Errors
    /// [`Error::UnknownObject`], [`Error::UnknownRecord`], [`Error::UnknownProperty`].
    pub fn value(&self, object: &str, record: u64, property: &str) -> Result<Option<String>, Error> {
        self.with_table(object, |table| {
            let found = table.live_or_survivor(record).ok_or(Error::UnknownRecord(record))?;
            let (id, _) =
                table.catalog.find(property).ok_or_else(|| Error::UnknownProperty(property.to_owned()))?;
            Ok(found.value(&table.catalog, id).map(std::borrow::Cow::into_owned))
        })
    }

    /// A record with all its values, their history, and what became of it, as JSON.
    ///
    /// # Errors
    /// [`Error::UnknownObject`], [`Error::UnknownRecord`].
    pub fn record(&self, object: &str, id: u64) -> Result<Value, Error> {
        self.with_table(object, |table| {
            let (record, merged_into) = match table.find(id) {
                Found::Live(record) | Found::Archived(record) => (record, None),
                Found::Merged(survivor) => {
                    (table.live(survivor).ok_or(Error::UnknownRecord(id))?, Some(survivor.to_string()))
                }
                Found::Missing => return Err(Error::UnknownRecord(id)),
            };
            let mut properties = Map::new();
            let mut histories = Map::new();
            for property in table.catalog.iter() {
                let Some((place, _)) = table.catalog.find(&property.name) else { continue };
                if let Some(value) = record.value(&table.catalog, place) {
                    properties.insert(property.name.to_string(), value.into_owned().into());
                }
                let versions = history(table, record, place);
                if versions.len() > 1 {
                    histories.insert(property.name.to_string(), Value::Array(versions));
                }
            }
            Ok(json!({
                "id": record.id.to_string(), "properties": properties, "propertiesWithHistory": histories,
                "createdAt": timestamp(record.created_ms), "updatedAt": timestamp(record.updated_ms),
                "archived": record.archived_ms.is_some(), "mergedInto": merged_into,
            }))
        })
    }

    /// Edits a property as a person in HubSpot's web interface; an empty value clears it. It is in the property's
    /// history and not in the ledger.
    ///
    /// # Errors
    /// [`Error::UnknownObject`], [`Error::UnknownRecord`], [`Error::UnknownProperty`], or [`Error::Refused`] when the
    /// property does not take the value.
    pub fn edit(&self, object: &str, record: u64, property: &str, value: &str) -> Result<(), Error> {
        let now_ms = self.0.clock.now_ms();
        self.change_table(object, |store, object| {
            let table = store.table(object).ok_or_else(|| Error::UnknownObject(object.to_owned()))?;
            let found = table.live(record).ok_or(Error::UnknownRecord(record))?;
            let (id, definition) =
                table.catalog.find(property).ok_or_else(|| Error::UnknownProperty(property.to_owned()))?;
            let current = found.stored(id).map(|value| &**value);
            let stored = normalize(definition, current, &Value::from(value), self.0.strictness())
                .map_err(|invalid| Error::Refused(invalid.message))?;
            let changes = [Change { property: id, value: stored.map(Into::into) }];
            let object_type = table.object;
            if let Some(table) = store.table_mut(object) {
                table.write(record, &changes, now_ms, Setter::Person, true);
            }
            store.schedule(object_type, record, &changes, now_ms);
            Ok(())
        })
    }

    /// Merges `loser` into `survivor`, as a person.
    ///
    /// # Errors
    /// [`Error::UnknownObject`]; [`Error::UnknownRecord`] when one of the two is not there.
    pub fn merge(&self, object: &str, survivor: u64, loser: u64) -> Result<(), Error> {
        let now_ms = self.0.clock.now_ms();
        self.change_table(object, |store, object| {
            let table = store.table_mut(object).ok_or_else(|| Error::UnknownObject(object.to_owned()))?;
            if !table.merge(survivor, loser, now_ms) {
                let is_there = table.live(survivor).is_some();
                return Err(Error::UnknownRecord(if is_there { loser } else { survivor }));
            }
            store.lists.drop_member(None, loser, now_ms);
            Ok(())
        })
    }

    /// Archives a record (HubSpot's word for deleting it), and takes it out of every list.
    ///
    /// # Errors
    /// [`Error::UnknownObject`], [`Error::UnknownRecord`].
    pub fn archive(&self, object: &str, record: u64) -> Result<(), Error> {
        let now_ms = self.0.clock.now_ms();
        self.change_table(object, |store, object| {
            let table = store.table_mut(object).ok_or_else(|| Error::UnknownObject(object.to_owned()))?;
            if !table.set_archived(record, Some(now_ms)) {
                return Err(Error::UnknownRecord(record));
            }
            store.lists.drop_member(None, record, now_ms);
            Ok(())
        })
    }

    /// Brings an archived record back; it joins no list again.
    ///
    /// # Errors
    /// [`Error::UnknownObject`], [`Error::UnknownRecord`].
    pub fn restore(&self, object: &str, record: u64) -> Result<(), Error> {
        self.change_table(object, |store, object| {
            let table = store.table_mut(object).ok_or_else(|| Error::UnknownObject(object.to_owned()))?;
            if table.set_archived(record, None) { Ok(()) } else { Err(Error::UnknownRecord(record)) }
        })
    }

    /// Deletes a property from the catalogue: reads then ignore it, writes refuse it.
    ///
    /// # Errors
    /// [`Error::UnknownObject`], [`Error::UnknownProperty`].
    pub fn delete_property(&self, object: &str, property: &str) -> Result<(), Error> {
        self.change_table(object, |store, object| {
            let table = store.table_mut(object).ok_or_else(|| Error::UnknownObject(object.to_owned()))?;
            let is_gone = table.catalog.delete(property);
            if is_gone { Ok(()) } else { Err(Error::UnknownProperty(property.to_owned())) }
        })
    }

    /// Members of a list, ascending by id.
    ///
    /// # Errors
    /// [`Error::UnknownList`].
    pub fn members(&self, list: &str) -> Result<Vec<u64>, Error> {
        self.0.settle(self.0.clock.now_ms());
        let store = self.0.store();
        let list = store.lists.get(list).ok_or_else(|| Error::UnknownList(list.to_owned()))?;
        Ok(list.members.ascending(.., usize::MAX, u32::MAX).iter().map(|member| member.record).collect())
    }

    /// Adds records to a list of any kind.
    ///
    /// # Errors
    /// [`Error::UnknownList`].
    pub fn add_members(&self, list: &str, records: &[u64]) -> Result<(), Error> {
        self.change_members(list, |members, now_ms| {
            records.iter().for_each(|record| {
                members.add(*record, now_ms);
            });
        })
    }

    /// Takes records out of a list of any kind.
    ///
    /// # Errors
    /// [`Error::UnknownList`].
    pub fn remove_members(&self, list: &str, records: &[u64]) -> Result<(), Error> {
        self.change_members(list, |members, _| {
            records.iter().for_each(|record| {
                members.remove(*record);
            });
        })
    }

    fn change_members(
        &self,
        list: &str,
        change: impl FnOnce(&mut super::list::Members, i64),
    ) -> Result<(), Error> {
        let now_ms = self.0.clock.now_ms();
        self.0.change(|store| {
            let found = store.lists.get_mut(list).ok_or_else(|| Error::UnknownList(list.to_owned()))?;
            change(&mut found.members, now_ms);
            found.changed(now_ms);
            Ok(())
        })
    }

    fn change_table<R>(
        &self,
        object: &str,
        change: impl FnOnce(&mut Store, &str) -> Result<R, Error>,
    ) -> Result<R, Error> {
        self.0.settle(self.0.clock.now_ms());
        self.0.change(|store| change(store, object))
    }

    /// Replaces the faults; their counts begin anew.
    pub fn set_faults(&self, faults: Faults) {
        self.0.set_board(Board::new(faults, self.0.config.seed));
    }

    /// The faults in force.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.0.board().faults()
    }

    /// Strikes of each fault so far, by its text form.
    #[must_use]
    pub fn strikes(&self) -> Vec<(String, u64)> {
        self.0.board().strikes()
    }

    /// Replaces the rate limits; what was spent stays spent.
    pub fn set_limits(&self, limits: Limits) {
        self.0.meters().set_limits(limits);
    }

    /// Moves the portal's clock forward: windows pass, tokens expire, the index and active lists catch up.
    pub fn advance_clock(&self, by: Duration) {
        self.0.clock.advance(by);
    }

    /// The portal's time in milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.0.clock.now_ms()
    }

    /// Ends every OAuth access token now.
    pub fn expire_tokens(&self) {
        self.0.auth().expire_all(self.0.clock.now_ms());
    }

    /// Revokes every OAuth refresh token.
    pub fn revoke_refresh_tokens(&self) {
        self.0.auth().revoke_refresh_tokens();
    }

    /// Installs the OAuth app again: this refresh token is good from now on.
    pub fn install_app(&self, refresh_token: &str) {
        self.0.auth().install(refresh_token);
    }

    /// Changes how long OAuth access tokens live that are granted from now on.
    pub fn set_token_ttl(&self, ttl: Duration) {
        self.0.auth().set_ttl(ttl);
    }

    /// Forgets counts, the ledger and the worst windows; records, limits and faults stay.
    pub fn reset_counters(&self) {
        *self.0.counts() = Counts::default();
        self.0.meters().forget_worst();
        self.0.change(|store| store.ledger.clear());
    }
}
