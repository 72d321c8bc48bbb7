//! Records that a batch did not find: which are deleted, which merged into another, and which there after all.

use std::collections::HashSet;

use futures::stream::{self, StreamExt};
use infill_crm::exchange::unreadable;
use infill_crm::{Error, ReadAnswer, Record};
use infill_model::row::Gone;
use infill_model::{Class, PropertyName, RecordId};

use super::{HubSpot, VENDOR};
use crate::request::{self, Asked};
use crate::response;

/// Records of one call that are looked up one by one to tell deleted from merged. A slice full of ids that never
/// were would otherwise cost a call each.
const MOST_LOOK_UPS: usize = 20;

/// Look-ups in flight at a time.
const LOOK_UPS_AT_ONCE: usize = 4;

/// What became of a record that a batch did not find.
pub(super) enum LookUp {
    /// It is there after all.
    Found(Record),
    /// It is not.
    Gone(RecordId, Gone),
}

/// A record that HubSpot could not find, and whether it said so.
#[derive(Clone)]
pub(super) struct Missing {
    pub(super) record: RecordId,
    pub(super) was_named: bool,
}

pub(super) fn none_of(records: &[RecordId]) -> Vec<Missing> {
    let distinct: HashSet<&RecordId> = records.iter().collect();
    distinct.into_iter().map(|record| Missing { record: record.clone(), was_named: true }).collect()
}

impl HubSpot {
    /// The answer to a read of which `missing` was not found.
    pub(super) async fn account_for(
        &self,
        type_id: &str,
        missing: Vec<Missing>,
        found: Vec<Record>,
        properties: &[PropertyName],
    ) -> Result<ReadAnswer, Error> {
        let mut answer = ReadAnswer { records: found, gone: Vec::new() };
        for one in self.look_up(type_id, missing, properties).await? {
            match one {
                LookUp::Found(record) => answer.records.push(record),
                LookUp::Gone(record, gone) => answer.gone.push((record, gone)),
            }
        }
        Ok(answer)
    }

    /// Looks records up one by one that a batch did not find, as many as is sensible, those first about which
    /// HubSpot said nothing.
    pub(super) async fn look_up(
        &self,
        type_id: &str,
        mut missing: Vec<Missing>,
        properties: &[PropertyName],
    ) -> Result<Vec<LookUp>, Error> {
        missing.sort_by_key(|missing| missing.was_named);
        let unlooked = missing.split_off(missing.len().min(MOST_LOOK_UPS));
        let unexplained = unlooked.iter().filter(|missing| !missing.was_named).count();
        if unexplained > 0 {
            return Err(Error::new(
                Class::Transient,
                "records_left_out",
                format!(
                    "HubSpot's answer leaves out {unexplained} records without a word; they are read again"
                ),
            ));
        }
        let mut found = Vec::with_capacity(missing.len() + unlooked.len());
        let mut calls = stream::iter(missing)
            .map(|missing| self.look_up_one(type_id, missing.record, properties))
            .buffered(LOOK_UPS_AT_ONCE);
        while let Some(one) = calls.next().await {
            found.push(one?);
        }
        if !unlooked.is_empty() {
            tracing::info!(records = unlooked.len(), "records not found were not looked up for a survivor");
        }
        found.extend(
            unlooked.into_iter().map(|missing| LookUp::Gone(missing.record, Gone { survivor: None })),
        );
        Ok(found)
    }

    /// One record by its id: a deleted one is not found, a merged one answers with its survivor's id.
    async fn look_up_one(
        &self,
        type_id: &str,
        record: RecordId,
        properties: &[PropertyName],
    ) -> Result<LookUp, Error> {
        let (request, asked) = request::single_read(self.version, type_id, &record, properties);
        let answer = match self.call(&request).await {
            Ok(answer) => answer,
            Err(error) if error.class == Class::Gone => {
                return Ok(LookUp::Gone(record, Gone { survivor: None }));
            }
            Err(error) => return Err(error),
        };
        let found = response::single_read(&answer.body, properties)
            .map_err(|error| unreadable(VENDOR, &request, &answer, &error))?;
        match asked {
            _ if found.id != record => Ok(LookUp::Gone(record, Gone { survivor: Some(found.id) })),
            Asked::Properties => Ok(LookUp::Found(found)),
            Asked::IdOnly => Err(Error::new(
                Class::Transient,
                "read_inconsistent",
                format!(
                    "HubSpot does not find record {record} among others, and finds it alone; it is read again"
                ),
            )),
        }
    }
}
