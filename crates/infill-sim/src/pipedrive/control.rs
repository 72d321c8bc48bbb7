//! Looking into a running company and changing it from the test that started it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Error;
use super::answer::{timestamp, timestamp_ms};
use super::board::Board;
use super::company::Company;
use super::entity::Entity;
use super::fault::Faults;
use super::limits::{Limits, TokensSpent};
use super::report::{Counts, Report, Write};
use super::spec::Spec;
use super::store::{Record, Store, answer_name};
use super::value;
use super::write::follow_name;

/// A handle on a running company; clones share it. Nothing done through it is metered or struck by faults.
///
/// Kinds of records are named as in paths, records by their ids as in paths, fields by code or by name.
#[derive(Debug, Clone)]
pub struct Control(pub(crate) Arc<Company>);

fn entity(object: &str) -> Result<Entity, Error> {
    object.parse().map_err(|_| Error::UnknownObject(object.to_owned()))
}

fn find<'s>(store: &'s Store, entity: Entity, key: &str) -> Result<&'s Record, Error> {
    let found = store.id(entity, key).and_then(|id| store.table(entity).find(id));
    found.ok_or_else(|| Error::UnknownRecord(key.to_owned()))
}

fn find_mut<'s>(store: &'s mut Store, entity: Entity, key: &str) -> Result<&'s mut Record, Error> {
    let found = store.id(entity, key).and_then(|id| store.table_mut(entity).find_mut(id));
    found.ok_or_else(|| Error::UnknownRecord(key.to_owned()))
}

/// What answers call the field of a code or name, and whether it is a custom one.
fn name_of(store: &Store, entity: Entity, word: &str) -> Result<(Arc<str>, bool), Error> {
    if let Some(field) = store.field(entity, word) {
        return Ok((answer_name(&field.code).into(), field.is_custom));
    }
    let is_built_in = super::store::blank(entity).contains_key(word);
    if is_built_in { Ok((word.into(), false)) } else { Err(Error::UnknownField(word.to_owned())) }
}

/// Sets a value as a person in Pipedrive's web interface does.
pub(crate) fn edit(
    spec: &Spec,
    store: &mut Store,
    entity: Entity,
    key: &str,
    word: &str,
    sent: &Value,
    now_ms: i64,
) -> Result<(), Error> {
    find(store, entity, key)?;
    let (name, is_custom) = name_of(store, entity, word)?;
    let checked = match (store.custom(entity).custom_by_code(&name), spec.body_field(entity, &name)) {
        (Some(field), _) => value::custom(field, sent, store),
        (None, Some(field)) => value::built_in(field, entity, sent, store),
        (None, None) => return Err(Error::UnknownField(word.to_owned())),
    };
    let value = checked.map_err(|mismatch| Error::Refused(mismatch.v2()))?;
    let record = find_mut(store, entity, key)?;
    record.set(&name, is_custom, value);
    if entity == Entity::Person && &*name == "name" {
        follow_name(record);
    }
    record.updated_ms = now_ms;
    Ok(())
}

impl Control {
    /// Everything counted so far.
    #[must_use]
    pub fn report(&self) -> Report {
        let now_ms = self.0.clock.now_ms();
        let (worst, tokens) = {
            let mut meters = self.0.meters();
            (meters.worst(), meters.tokens(now_ms))
        };
        let store = self.0.store();
        let mut per_field: BTreeMap<(&str, &str, &str), u32> = BTreeMap::new();
        for write in &store.ledger {
            *per_field.entry((write.object, &write.record, &write.field)).or_default() += 1;
        }
        let mut records: Vec<(&str, &str)> =
            per_field.keys().map(|(object, record, _)| (*object, *record)).collect();
        records.dedup();
        let counts = self.0.counts();
        Report {
            calls: counts.calls.clone(),
            tokens,
            refused: counts.refused.clone(),
            unauthorized: counts.unauthorized,
            unknown_paths: counts.unknown_paths,
            removed_paths: counts.removed_paths,
            worst,
            faults: self.strikes(),
            writes: store.ledger.len(),
            records_written: records.len(),
            most_writes_of_one_field: per_field.values().copied().max().unwrap_or(0),
            now: timestamp_ms(now_ms),
        }
    }

    /// Every write of a field that a client made and that was committed, in order.
    #[must_use]
    pub fn ledger(&self) -> Vec<Write> {
        self.0.store().ledger.clone()
    }

    /// Writes of fields of each record of a kind that was written.
    ///
    /// # Errors
    /// [`Error::UnknownObject`].
    pub fn writes_per_record(&self, object: &str) -> Result<BTreeMap<String, u32>, Error> {
        let entity = entity(object)?;
        let mut per_record = BTreeMap::new();
        for write in self.0.store().ledger.iter().filter(|write| write.object == entity.plural()) {
            *per_record.entry(write.record.clone()).or_default() += 1;
        }
        Ok(per_record)
    }

    /// Ids of the records that are not deleted, in order.
    ///
    /// # Errors
    /// [`Error::UnknownObject`].
    pub fn record_ids(&self, object: &str) -> Result<Vec<String>, Error> {
        let entity = entity(object)?;
        let store = self.0.store();
        let live = store.table(entity).records().iter().filter(|record| record.deleted_ms.is_none());
        Ok(live.map(|record| store.key(entity, record.id)).collect())
    }

    /// Ids of the records that a filter holds now, in order. Filters of other users are no secret here.
    ///
    /// # Errors
    /// [`Error::UnknownFilter`].
    pub fn filter_members(&self, filter: u64) -> Result<Vec<String>, Error> {
        let store = self.0.store();
        let found = store.filters.get(&filter).ok_or(Error::UnknownFilter(filter))?;
        let records = store.table(found.entity).records().iter();
        let members = records.filter(|record| record.deleted_ms.is_none() && found.matches(&store, record));
        Ok(members.map(|record| store.key(found.entity, record.id)).collect())
    }

    /// The stored value of a field in the form of version 2; `null` is no value.
    ///
    /// # Errors
    /// [`Error::UnknownObject`], [`Error::UnknownRecord`], [`Error::UnknownField`].
    pub fn value(&self, object: &str, record: impl Display, field: &str) -> Result<Value, Error> {
        let entity = entity(object)?;
        let store = self.0.store();
        let found = find(&store, entity, &record.to_string())?;
        let (name, _) = name_of(&store, entity, field)?;
        Ok(found.value(&name))
    }

    /// A record with all its values, custom ones by code, and whether it was deleted.
    ///
    /// # Errors
    /// [`Error::UnknownObject`], [`Error::UnknownRecord`].
    pub fn record(&self, object: &str, record: impl Display) -> Result<Value, Error> {
        let entity = entity(object)?;
        let store = self.0.store();
        let key = record.to_string();
        let found = find(&store, entity, &key)?;
        let custom: Map<String, Value> =
            found.custom.iter().map(|(code, value)| (code.to_string(), value.clone())).collect();
        Ok(json!({
            "id": key, "values": found.values, "custom_fields": custom, "add_time": timestamp(found.added_ms),
            "update_time": timestamp(found.updated_ms), "is_deleted": found.deleted_ms.is_some(),
        }))
    }

    /// The code of a field by its name; that of a custom one differs from account to account.
    ///
    /// # Errors
    /// [`Error::UnknownObject`], [`Error::UnknownField`].
    pub fn field_code(&self, object: &str, name: &str) -> Result<String, Error> {
        let store = self.0.store();
        let field = store.field(entity(object)?, name).ok_or_else(|| Error::UnknownField(name.to_owned()))?;
        Ok(field.code.to_string())
    }

    /// The codes of all fields of a kind of record, by name.
    ///
    /// # Errors
    /// [`Error::UnknownObject`].
    pub fn fields(&self, object: &str) -> Result<BTreeMap<String, String>, Error> {
        let store = self.0.store();
        let fields = store.fields(entity(object)?);
        Ok(fields.map(|field| (field.name.clone(), field.code.to_string())).collect())
    }

    /// The id of an option of a field by its label.
    ///
    /// # Errors
    /// [`Error::UnknownObject`], [`Error::UnknownField`], [`Error::UnknownOption`].
    pub fn option_id(&self, object: &str, field: &str, label: &str) -> Result<Value, Error> {
        let store = self.0.store();
        let field =
            store.field(entity(object)?, field).ok_or_else(|| Error::UnknownField(field.to_owned()))?;
        let choice = field.choices.iter().find(|choice| choice.label == label);
        choice.map(|choice| choice.id.clone()).ok_or_else(|| Error::UnknownOption(label.to_owned()))
    }

    /// Sets a field as a person in Pipedrive's web interface, in the form of version 2; `null` clears it. It is not in
    /// the ledger.
    ///
    /// # Errors
    /// [`Error::UnknownObject`], [`Error::UnknownRecord`], [`Error::UnknownField`], or [`Error::Refused`] when the field
    /// does not take the value.
    pub fn edit(&self, object: &str, record: impl Display, field: &str, value: &Value) -> Result<(), Error> {
        let now_ms = self.0.clock.now_ms();
        let mut store = self.0.store_mut();
        edit(&self.0.spec, &mut store, entity(object)?, &record.to_string(), field, value, now_ms)
    }

    /// Deletes a record.
    ///
    /// # Errors
    /// [`Error::UnknownObject`], [`Error::UnknownRecord`].
    pub fn delete(&self, object: &str, record: impl Display) -> Result<(), Error> {
        let now_ms = self.0.clock.now_ms();
        let mut store = self.0.store_mut();
        find_mut(&mut store, entity(object)?, &record.to_string())?.deleted_ms = Some(now_ms);
        Ok(())
    }

    /// Brings a deleted record back.
    ///
    /// # Errors
    /// [`Error::UnknownObject`], [`Error::UnknownRecord`].
    pub fn restore(&self, object: &str, record: impl Display) -> Result<(), Error> {
        let mut store = self.0.store_mut();
        find_mut(&mut store, entity(object)?, &record.to_string())?.deleted_ms = None;
        Ok(())
    }

    /// Adds a custom field of a type such as `varchar` or `enum`, and returns its code.
    ///
    /// # Errors
    /// [`Error::UnknownObject`].
    pub fn add_field(&self, object: &str, name: &str, kind: &str, options: &[&str]) -> Result<String, Error> {
        let home = entity(object)?.custom_home();
        Ok(self.0.store_mut().table_mut(home).catalog.add(name, kind, options).to_string())
    }

    /// Deletes a custom field: reads no longer show it, writes refuse it.
    ///
    /// # Errors
    /// [`Error::UnknownObject`], [`Error::UnknownField`].
    pub fn delete_field(&self, object: &str, field: &str) -> Result<(), Error> {
        let home = entity(object)?.custom_home();
        let is_gone = self.0.store_mut().table_mut(home).catalog.delete(field);
        if is_gone { Ok(()) } else { Err(Error::UnknownField(field.to_owned())) }
    }

    /// Renames an option of a field; its id stays.
    ///
    /// # Errors
    /// [`Error::UnknownObject`], [`Error::UnknownOption`].
    pub fn rename_option(&self, object: &str, field: &str, from: &str, to: &str) -> Result<(), Error> {
        let home = entity(object)?.custom_home();
        let is_done = self.0.store_mut().table_mut(home).catalog.rename_choice(field, from, to);
        if is_done { Ok(()) } else { Err(Error::UnknownOption(from.to_owned())) }
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

    /// Spends tokens of the company's day, as its other integrations do.
    pub fn spend_tokens(&self, tokens: u64) {
        self.0.meters().spend(tokens, self.0.clock.now_ms());
    }

    /// What was spent of the day.
    #[must_use]
    pub fn tokens(&self) -> TokensSpent {
        self.0.meters().tokens(self.0.clock.now_ms())
    }

    /// Moves the company's clock forward: windows pass, tokens expire, midnight comes.
    pub fn advance_clock(&self, by: Duration) {
        self.0.clock.advance(by);
    }

    /// The company's time in milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.0.clock.now_ms()
    }

    /// Ends every OAuth access token now.
    pub fn expire_tokens(&self) {
        self.0.auth().expire_all();
    }

    /// Revokes every OAuth refresh token, as uninstalling the app does.
    pub fn revoke_refresh_tokens(&self) {
        self.0.auth().revoke_refresh_tokens();
    }

    /// Installs the OAuth app again: this refresh token is good from now on.
    pub fn install_app(&self, refresh_token: &str) {
        self.0.auth().install(refresh_token, self.0.clock.now_ms());
    }

    /// Gives out an authorization code that is good once, for five minutes.
    #[must_use]
    pub fn issue_code(&self) -> String {
        self.0.auth().issue_code(self.0.clock.now_ms())
    }

    /// Changes how long OAuth access tokens live that are granted from now on.
    pub fn set_token_ttl(&self, ttl: Duration) {
        self.0.auth().set_ttl(ttl);
    }

    /// Forgets counts, the ledger and the worst windows; records, limits, spent tokens and faults stay.
    pub fn reset_counters(&self) {
        *self.0.counts() = Counts::default();
        self.0.meters().forget_worst();
        self.0.store_mut().ledger.clear();
    }
}
