//! The records of a company by kind, its filters, and the ledger of writes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::answer::{timestamp, timestamp_ms};
use super::catalog::{Catalog, Field};
use super::entity::Entity;
use super::filter::Filter;
use super::report::Write;
use crate::fault::mix;

/// The user whose tokens are accepted.
pub(crate) const ME: u64 = 11;
/// Every user: id, name.
pub(crate) const USERS: [(u64, &str); 2] = [(ME, "Robin Admin"), (12, "Sam Seller")];
/// Every pipeline: id, name.
pub(crate) const PIPELINES: [(u64, &str); 2] = [(1, "Sales"), (2, "Renewals")];
/// Every stage: id, name, pipeline.
pub(crate) const STAGES: [(u64, &str, u64); 6] = [
    (1, "Qualified", 1),
    (2, "Demo", 1),
    (3, "Negotiation", 1),
    (4, "Due", 2),
    (5, "Offered", 2),
    (6, "Confirmed", 2),
];
/// Every currency: code, name, symbol.
pub(crate) const CURRENCIES: [(&str, &str, &str); 3] =
    [("EUR", "Euro", "€"), ("GBP", "Pound Sterling", "£"), ("USD", "US Dollar", "$")];
/// Every label of leads: uuid, name, colour.
pub(crate) const LEAD_LABELS: [(&str, &str, &str); 3] = [
    ("f08b42a0-4e75-11ea-9643-03698ef1cfd6", "Hot", "red"),
    ("f08b42a1-4e75-11ea-9643-03698ef1cfd6", "Cold", "blue"),
    ("f08b69b0-4e75-11ea-9643-03698ef1cfd6", "Warm", "yellow"),
];

/// A record. Its custom values are those that are set, by the code of the field.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) id: u64,
    /// Built-in values, by their names in answers.
    pub(crate) values: Map<String, Value>,
    pub(crate) custom: BTreeMap<Arc<str>, Value>,
    pub(crate) added_ms: i64,
    pub(crate) updated_ms: i64,
    pub(crate) deleted_ms: Option<i64>,
}

impl Record {
    /// The value by a name in answers or a custom code; `null` is no value.
    pub(crate) fn value(&self, name: &str) -> Value {
        match name {
            "id" => self.id.into(),
            "add_time" => timestamp(self.added_ms).into(),
            "update_time" => timestamp(self.updated_ms).into(),
            _ => self.values.get(name).or_else(|| self.custom.get(name)).cloned().unwrap_or(Value::Null),
        }
    }

    pub(crate) fn link(&self, name: &str) -> Option<u64> {
        self.values.get(name).and_then(Value::as_u64)
    }

    pub(crate) fn is_archived(&self) -> bool {
        self.values.get("is_archived") == Some(&Value::Bool(true))
    }

    /// Sets a value and returns the old one.
    pub(crate) fn set(&mut self, name: &Arc<str>, is_custom: bool, value: Value) -> Value {
        let old = if !is_custom {
            self.values.insert(name.to_string(), value)
        } else if value.is_null() {
            self.custom.remove(name)
        } else {
            self.custom.insert(Arc::clone(name), value)
        };
        old.unwrap_or(Value::Null)
    }
}

/// What answers call a field of the catalogue.
pub(crate) fn answer_name(code: &str) -> &str {
    match code {
        "email" => "emails",
        "phone" => "phones",
        code => code,
    }
}

/// The values of a record of which nothing is said.
pub(crate) fn blank(entity: Entity) -> Map<String, Value> {
    let values = match entity {
        Entity::Person => json!({
            "name": "", "first_name": null, "last_name": null, "owner_id": ME, "org_id": null, "emails": [],
            "phones": [], "visible_to": 3, "label_ids": [], "picture_id": null, "postal_address": null,
            "notes": null, "im": [], "birthday": null, "job_title": null, "marketing_status": "no_consent",
        }),
        Entity::Organization => json!({
            "name": "", "owner_id": ME, "visible_to": 3, "address": null, "label_ids": [], "website": null,
            "linkedin": null, "industry": null, "annual_revenue": null, "employee_count": null,
        }),
        Entity::Deal => json!({
            "title": "", "creator_user_id": ME, "owner_id": ME, "person_id": null, "org_id": null,
            "pipeline_id": 1, "stage_id": 1, "value": 0, "currency": "USD", "stage_change_time": null,
            "is_archived": false, "archive_time": null, "status": "open", "probability": null,
            "lost_reason": null, "visible_to": 3, "close_time": null, "won_time": null, "lost_time": null,
            "local_won_date": null, "local_lost_date": null, "local_close_date": null,
            "expected_close_date": null, "label_ids": [], "origin": "ManuallyCreated", "origin_id": null,
            "channel": null, "channel_id": null, "acv": null, "arr": null, "mrr": null,
        }),
        Entity::Product => json!({
            "name": "", "code": null, "description": null, "unit": null, "tax": 0, "category": null,
            "is_linkable": true, "visible_to": 3, "owner_id": ME, "billing_frequency": "one-time",
            "billing_frequency_cycles": null, "prices": [],
        }),
        Entity::Activity => json!({
            "subject": "", "type": "call", "owner_id": ME, "creator_user_id": ME, "deal_id": null, "lead_id": null,
            "person_id": null, "org_id": null, "project_id": null, "due_date": null, "due_time": null,
            "duration": null, "busy": false, "done": false, "marked_as_done_time": null, "location": null,
            "participants": [], "attendees": [], "conference_meeting_client": null,
            "conference_meeting_url": null, "conference_meeting_id": null, "public_description": null,
            "priority": null, "note": null,
        }),
        Entity::Lead => json!({
            "title": "", "owner_id": ME, "creator_id": ME, "label_ids": [], "person_id": null,
            "organization_id": null, "source_name": "API", "origin": "API", "origin_id": null, "channel": null,
            "channel_id": null, "is_archived": false, "was_seen": false, "value": null,
            "expected_close_date": null, "next_activity_id": null, "visible_to": "3", "cc_email": null,
        }),
    };
    if let Value::Object(values) = values { values } else { Map::new() }
}

/// The records of one kind.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) catalog: Catalog,
    /// Ascending by id.
    records: Vec<Record>,
    next_id: u64,
}

impl Table {
    fn new(entity: Entity, seed: u64) -> Self {
        let next_id = entity.first_id();
        Self { catalog: Catalog::new(entity, seed), records: Vec::new(), next_id }
    }

    /// Every record, deleted ones too, ascending by id.
    pub(crate) fn records(&self) -> &[Record] {
        &self.records
    }

    /// Records with ids above `after`.
    pub(crate) fn records_after(&self, after: u64) -> &[Record] {
        let at = self.records.partition_point(|record| record.id <= after);
        self.records.get(at..).unwrap_or_default()
    }

    fn place(&self, id: u64) -> Option<usize> {
        self.records.binary_search_by_key(&id, |record| record.id).ok()
    }

    /// The record of that id, deleted or not.
    pub(crate) fn find(&self, id: u64) -> Option<&Record> {
        self.place(id).and_then(|at| self.records.get(at))
    }

    /// The record of that id unless it was deleted.
    pub(crate) fn live(&self, id: u64) -> Option<&Record> {
        self.find(id).filter(|record| record.deleted_ms.is_none())
    }

    pub(crate) fn find_mut(&mut self, id: u64) -> Option<&mut Record> {
        let at = self.place(id)?;
        self.records.get_mut(at)
    }

    /// Adds a record under `id`, or under the next free one, and returns its id. An id that is not above all others
    /// is not taken.
    pub(crate) fn add(
        &mut self,
        id: Option<u64>,
        values: Map<String, Value>,
        custom: BTreeMap<Arc<str>, Value>,
        at_ms: i64,
    ) -> u64 {
        let last = self.records.last().map_or(0, |record| record.id);
        let id = id.filter(|id| *id > last).unwrap_or(self.next_id.max(last + 1));
        self.records.push(Record {
            id,
            values,
            custom,
            added_ms: at_ms,
            updated_ms: at_ms,
            deleted_ms: None,
        });
        self.next_id = id + 1;
        id
    }
}

/// Everything a company holds.
#[derive(Debug)]
pub(crate) struct Store {
    persons: Table,
    organizations: Table,
    deals: Table,
    products: Table,
    activities: Table,
    leads: Table,
    pub(crate) filters: BTreeMap<u64, Filter>,
    /// Products attached to deals.
    pub(crate) attached: BTreeMap<u64, Vec<Value>>,
    pub(crate) ledger: Vec<Write>,
    seed: u64,
}

impl Store {
    pub(crate) fn new(seed: u64) -> Self {
        let table = |entity| Table::new(entity, seed);
        Self {
            persons: table(Entity::Person),
            organizations: table(Entity::Organization),
            deals: table(Entity::Deal),
            products: table(Entity::Product),
            activities: table(Entity::Activity),
            leads: table(Entity::Lead),
            filters: BTreeMap::new(),
            attached: BTreeMap::new(),
            ledger: Vec::new(),
            seed,
        }
    }

    pub(crate) fn table(&self, entity: Entity) -> &Table {
        match entity {
            Entity::Person => &self.persons,
            Entity::Organization => &self.organizations,
            Entity::Deal => &self.deals,
            Entity::Product => &self.products,
            Entity::Activity => &self.activities,
            Entity::Lead => &self.leads,
        }
    }

    pub(crate) fn table_mut(&mut self, entity: Entity) -> &mut Table {
        match entity {
            Entity::Person => &mut self.persons,
            Entity::Organization => &mut self.organizations,
            Entity::Deal => &mut self.deals,
            Entity::Product => &mut self.products,
            Entity::Activity => &mut self.activities,
            Entity::Lead => &mut self.leads,
        }
    }

    /// The field of that code or name: a built-in one of the kind, or a custom one that its records have.
    pub(crate) fn field(&self, entity: Entity, word: &str) -> Option<&Field> {
        let own = self.table(entity).catalog.find(word);
        own.or_else(|| self.table(entity.custom_home()).catalog.find(word).filter(|field| field.is_custom))
    }

    /// The fields of a kind of record: its own, and for leads the custom ones of deals.
    pub(crate) fn fields(&self, entity: Entity) -> impl Iterator<Item = &Field> {
        let inherited =
            (entity.custom_home() != entity).then(|| self.table(entity.custom_home()).catalog.custom());
        self.table(entity).catalog.iter().chain(inherited.into_iter().flatten())
    }

    /// The custom fields of a kind of record.
    pub(crate) fn custom(&self, entity: Entity) -> &Catalog {
        &self.table(entity.custom_home()).catalog
    }

    /// A record's id as paths have it: a number, or a lead's uuid.
    pub(crate) fn key(&self, entity: Entity, id: u64) -> String {
        if entity != Entity::Lead {
            return id.to_string();
        }
        let bits = mix(self.seed ^ mix(id));
        format!(
            "{:08x}-{:04x}-11eb-{:04x}-{:012x}",
            bits >> 32,
            (bits >> 16) & 0xffff,
            0x8000 | (bits & 0x3fff),
            id
        )
    }

    /// The id behind a key.
    pub(crate) fn id(&self, entity: Entity, key: &str) -> Option<u64> {
        if entity != Entity::Lead {
            return key.parse().ok();
        }
        let id = u64::from_str_radix(key.rsplit('-').next()?, 16).ok()?;
        (self.key(entity, id) == key).then_some(id)
    }

    /// What the products of a deal amount to; `None` when it has none.
    pub(crate) fn products_sum(&self, deal: u64) -> Option<f64> {
        let attached = self.attached.get(&deal).filter(|attached| !attached.is_empty())?;
        Some(attached.iter().filter_map(|product| product.get("sum").and_then(Value::as_f64)).sum())
    }

    /// The body of a record in an answer of version 1, with the custom values that are set.
    pub(crate) fn lead(&self, record: &Record) -> Value {
        let mut lead = record.values.clone();
        lead.insert("id".to_owned(), self.key(Entity::Lead, record.id).into());
        lead.insert("add_time".to_owned(), timestamp_ms(record.added_ms).into());
        lead.insert("update_time".to_owned(), timestamp_ms(record.updated_ms).into());
        for field in self.custom(Entity::Lead).custom() {
            if let Some(value) = record.custom.get(&field.code) {
                super::lead::flatten(&mut lead, field, value);
            }
        }
        Value::Object(lead)
    }
}
