//! Looking into a running org and changing it from the test that started it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Error;
use super::board::Board;
use super::catalog::{Field, FieldId};
use super::fault::Faults;
use super::limits::Limits;
use super::lock::SOMEBODY;
use super::org::Org;
use super::record::{Editor, Record};
use super::report::{Counts, Report, Write, writes_per_record};
use super::store::{Store, Table};
use super::value::{Given, Invalid, Stored, read, utc};
use super::write::long;

/// A handle on a running org; clones share it. Nothing done through it is metered or struck by faults.
///
/// Objects are named as in the API, whatever the case; records by their id of 15 or 18 characters.
#[derive(Debug, Clone)]
pub struct Control(pub(crate) Arc<Org>);

fn table<'s>(store: &'s Store, object: &str) -> Result<&'s Table, Error> {
    store.table(object).ok_or_else(|| Error::UnknownObject(object.to_owned()))
}

fn record<'t>(table: &'t Table, id: &str) -> Result<&'t Record, Error> {
    let number = table.number_of(id).flatten();
    number.and_then(|number| table.get(number)).ok_or_else(|| Error::UnknownRecord(id.to_owned()))
}

fn field<'t>(table: &'t Table, name: &str) -> Result<(FieldId, &'t Field), Error> {
    table.catalog.find(name).ok_or_else(|| Error::UnknownField(name.to_owned()))
}

impl Control {
    /// Everything counted so far.
    #[must_use]
    pub fn report(&self) -> Report {
        let now_ms = self.0.clock.now_ms();
        let usage = self.0.meters().usage(now_ms);
        let store = self.0.store();
        let mut per_field: BTreeMap<(&str, &str), u32> = BTreeMap::new();
        for write in &store.ledger {
            *per_field.entry((&write.record, &write.field)).or_default() += 1;
        }
        let mut records: Vec<&str> = per_field.keys().map(|(record, _)| *record).collect();
        records.dedup();
        let counts = self.0.counts();
        Report {
            calls: counts.calls.clone(),
            api_requests: counts.api_requests,
            refused: counts.refused.clone(),
            unauthorized: counts.unauthorized,
            unknown_paths: counts.unknown_paths,
            usage,
            faults: self.strikes(),
            writes: store.ledger.len(),
            records_written: records.len(),
            most_writes_of_one_field: per_field.values().copied().max().unwrap_or(0),
            recalculated: store.ledger.iter().filter(|write| write.is_recalculated()).count(),
            now: utc(now_ms),
        }
    }

    /// Every field write that a client made and that was committed, in order.
    #[must_use]
    pub fn ledger(&self) -> Vec<Write> {
        self.0.store().ledger.clone()
    }

    /// Field writes of each record of an object that was written.
    ///
    /// # Errors
    /// [`Error::UnknownObject`].
    pub fn writes_per_record(&self, object: &str) -> Result<BTreeMap<String, u32>, Error> {
        let store = self.0.store();
        let name = table(&store, object)?.object.name;
        Ok(writes_per_record(&store.ledger, name))
    }

    /// Ids of 18 characters of the records that are not deleted, in the order they were made.
    ///
    /// # Errors
    /// [`Error::UnknownObject`].
    pub fn record_ids(&self, object: &str) -> Result<Vec<String>, Error> {
        let store = self.0.store();
        let table = table(&store, object)?;
        let live = table.records().iter().filter(|record| !record.is_deleted);
        Ok(live.map(|record| table.id_of(record.number)).collect())
    }

    /// The value of a field as text; `None` is no value. Deleted records are looked at as well.
    ///
    /// # Errors
    /// [`Error::UnknownObject`], [`Error::UnknownRecord`], [`Error::UnknownField`].
    pub fn value(&self, object: &str, id: &str, name: &str) -> Result<Option<String>, Error> {
        let store = self.0.store();
        let table = table(&store, object)?;
        let (field_id, field) = field(table, name)?;
        let value = table.value(record(table, id)?, field_id, field);
        Ok(value.map(|value| value.render(field.kind)))
    }

    /// A record with all its values, as JSON.
    ///
    /// # Errors
    /// [`Error::UnknownObject`], [`Error::UnknownRecord`].
    pub fn record(&self, object: &str, id: &str) -> Result<Value, Error> {
        let store = self.0.store();
        let table = table(&store, object)?;
        let record = record(table, id)?;
        let fields =
            table.catalog.iter().map(|(id, field)| (field.name.to_string(), table.json(record, id, field)));
        let fields: Map<String, Value> = fields.filter(|(_, value)| !value.is_null()).collect();
        Ok(json!({
            "id": table.id_of(record.number), "fields": fields, "isDeleted": record.is_deleted,
            "isInApproval": record.is_in_approval,
            "mergedInto": record.master.map(|master| table.id_of(master)),
        }))
    }

    /// Edits a field as a person in the web interface; an empty text clears it. `SystemModstamp` moves, the ledger does
    /// not, and neither field-level security nor automation is asked.
    ///
    /// # Errors
    /// [`Error::UnknownObject`], [`Error::UnknownRecord`], [`Error::UnknownField`], or [`Error::Refused`] when the field does
    /// not take the value.
    pub fn edit(&self, object: &str, id: &str, name: &str, text: &str) -> Result<(), Error> {
        self.change_record(object, id, |table, number, now_ms| {
            let (field_id, field) = field(table, name)?;
            let value = if text.is_empty() {
                None
            } else {
                read(field, Given::Csv { text, column: 0 }).map_err(|invalid| {
                    Error::Refused(match invalid {
                        Invalid::Type(message) => message,
                        Invalid::Row(error) => error.message,
                    })
                })?
            };
            table.set(number, field_id, value);
            if let Some(record) = table.get_mut(number) {
                record.touch(now_ms, Editor::Person);
            }
            Ok(())
        })
    }

    fn change_record<R>(
        &self,
        object: &str,
        id: &str,
        change: impl FnOnce(&mut Table, u64, i64) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let now_ms = self.0.clock.now_ms();
        self.0.change(|store| {
            let table = store.table_mut(object).ok_or_else(|| Error::UnknownObject(object.to_owned()))?;
            let number = record(table, id)?.number;
            change(table, number, now_ms)
        })
    }

    /// Moves `SystemModstamp` alone, as automatic processes do.
    ///
    /// # Errors
    /// [`Error::UnknownObject`], [`Error::UnknownRecord`].
    pub fn touch(&self, object: &str, id: &str) -> Result<(), Error> {
        self.change_record(object, id, |table, number, now_ms| {
            if let Some(record) = table.get_mut(number) {
                record.system_ms = record.system_ms.max(now_ms);
            }
            Ok(())
        })
    }

    /// Puts a record into the recycle bin, as a person.
    ///
    /// # Errors
    /// [`Error::UnknownObject`], [`Error::UnknownRecord`].
    pub fn delete(&self, object: &str, id: &str) -> Result<(), Error> {
        self.set_deleted(object, id, true)
    }

    /// Takes a record out of the recycle bin, as a person.
    ///
    /// # Errors
    /// [`Error::UnknownObject`], [`Error::UnknownRecord`].
    pub fn undelete(&self, object: &str, id: &str) -> Result<(), Error> {
        self.set_deleted(object, id, false)
    }

    fn set_deleted(&self, object: &str, id: &str, is_deleted: bool) -> Result<(), Error> {
        self.change_record(object, id, |table, number, now_ms| {
            if let Some(record) = table.get_mut(number) {
                record.is_deleted = is_deleted;
                record.master = None;
                record.touch(now_ms, Editor::Person);
            }
            Ok(())
        })
    }

    /// Merges `loser` into `survivor`, which takes the values it lacks; `loser` goes into the recycle bin with
    /// `MasterRecordId`.
    ///
    /// # Errors
    /// [`Error::UnknownObject`]; [`Error::UnknownRecord`] when one of the two is not there, or both are one.
    pub fn merge(&self, object: &str, survivor: &str, loser: &str) -> Result<(), Error> {
        self.change_record(object, survivor, |table, kept, now_ms| {
            let gone = record(table, loser)?;
            if gone.number == kept || gone.is_deleted {
                return Err(Error::UnknownRecord(loser.to_owned()));
            }
            let (gone_number, values) = (gone.number, gone.values().to_vec());
            let lacks = |table: &Table, id: FieldId| {
                table.get(kept).is_some_and(|record| record.stored(id).is_none())
            };
            for (id, value) in values {
                if lacks(table, id) {
                    table.set(kept, id, Some(value));
                }
            }
            if let Some(record) = table.get_mut(kept) {
                record.touch(now_ms, Editor::Person);
            }
            if let Some(record) = table.get_mut(gone_number) {
                (record.is_deleted, record.master) = (true, Some(kept));
                record.touch(now_ms, Editor::Person);
            }
            Ok(())
        })
    }

    /// Sends a record into an approval process, which locks it, or takes it out.
    ///
    /// # Errors
    /// [`Error::UnknownObject`], [`Error::UnknownRecord`].
    pub fn set_in_approval(&self, object: &str, id: &str, is_in_approval: bool) -> Result<(), Error> {
        self.change_record(object, id, |table, number, _| {
            if let Some(record) = table.get_mut(number) {
                record.is_in_approval = is_in_approval;
            }
            Ok(())
        })
    }

    /// Locks a row as somebody else's transaction does, until [`Control::unlock_row`]. Rows whose account it is collide
    /// as well.
    pub fn lock_row(&self, id: &str) {
        if self.0.locks().take(SOMEBODY, &[long(id)]).is_err() {
            tracing::debug!(record = id, "row is locked by a call already");
        }
    }

    /// Ends [`Control::lock_row`].
    pub fn unlock_row(&self, id: &str) {
        self.0.locks().release_one(&long(id));
    }

    /// Hides a field from the connected user, as deleting it or taking its visibility does.
    ///
    /// # Errors
    /// [`Error::UnknownField`].
    pub fn hide_field(&self, object: &str, name: &str) -> Result<(), Error> {
        if self.0.hide_field(object, name) { Ok(()) } else { Err(Error::UnknownField(name.to_owned())) }
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

    /// Waits until at least so many answers are held by a `hold` fault.
    pub async fn wait_for_held(&self, n_answers: usize) {
        let mut held = self.0.held.subscribe();
        if held.wait_for(|n| *n >= n_answers).await.is_err() {
            tracing::debug!("the org is gone");
        }
    }

    /// Lets go every answer that a `hold` fault holds now.
    pub fn release(&self) {
        self.0.released.send_modify(|n| *n += 1);
    }

    /// Replaces the limits; what was spent stays spent.
    pub fn set_limits(&self, limits: Limits) {
        self.0.meters().set_limits(limits);
    }

    /// Moves the org's clock forward: the 24 hours pass, tokens and locators expire, jobs get on.
    pub fn advance_clock(&self, by: Duration) {
        self.0.clock.advance(by);
    }

    /// The org's time in milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.0.clock.now_ms()
    }

    /// Ends every access token now; session ids of the configuration stay.
    pub fn expire_tokens(&self) {
        self.0.auth().expire_all();
    }

    /// Revokes every refresh token.
    pub fn revoke_refresh_tokens(&self) {
        self.0.auth().revoke_refresh_tokens();
    }

    /// Approves the app again: this refresh token is good from now on.
    pub fn approve_app(&self, refresh_token: &str) {
        self.0.auth().approve(refresh_token);
    }

    /// Changes how long access tokens live that are granted from now on.
    pub fn set_token_ttl(&self, ttl: Duration) {
        self.0.auth().set_ttl(ttl);
    }

    /// Forgets counts, the ledger and the worst windows; records, limits and faults stay.
    pub fn reset_counters(&self) {
        *self.0.counts() = Counts::default();
        self.0.meters().forget_worst();
        self.0.change(|store| store.ledger.clear());
    }

    /// Marks an opportunity as one with products, whose `Amount` is theirs, or as one without.
    ///
    /// # Errors
    /// [`Error::UnknownRecord`].
    pub fn set_products(&self, opportunity: &str, has_products: bool) -> Result<(), Error> {
        self.change_record("Opportunity", opportunity, |table, number, _| {
            let (id, _) = field(table, "HasOpportunityLineItem")?;
            table.set(number, id, Some(Stored::Bool(has_products)));
            Ok(())
        })
    }
}
