//! The calls: [`Pipedrive`] puts the pure parts together and keeps nothing but since when it is refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, FuturesUnordered, StreamExt};
use infill_crm::exchange::{Answer, Effect, Request, parse};
use infill_crm::{
    Account, Catalog, Costs, Crm, Cursor, Error, Job, Limits, ListInfo, Page, Pull, ReadAnswer, Record,
    Refusal, Transport, Update, Written,
};
use infill_model::letter::RecordAddress;
use infill_model::nearest::did_you_mean;
use infill_model::plan::Condition;
use infill_model::property::PropertyDef;
use infill_model::row::Gone;
use infill_model::slice::{Readiness, ResolvedSlice, Selection};
use infill_model::{Class, ListId, ObjectType, Properties, PropertyName, RecordId, Timestamp, Value};
use serde::de::DeserializeOwned;
use serde_json::Map;

use crate::catalog::{self, Definition};
use crate::classify::classify;
use crate::field::CONTACT_SYNC;
use crate::object::Object;
use crate::response::{Envelope, Filter, Found, Me};
use crate::slice::Handle;
use crate::tally::Tally;
use crate::{check, encode, filter, normalize, request};

/// The vendor's name in messages.
const VENDOR: &str = "Pipedrive";

/// Records that one message handles; each is a call of its own.
const WRITE_BATCH: u32 = 100;

/// Updates of one batch in flight at a time: enough to fill the smallest burst window of ten a second, few enough that a
/// refusal meets few of them.
const WRITES_AT_ONCE: usize = 4;

/// Single reads in flight at a time, for objects that cannot be read by several ids.
const READS_AT_ONCE: usize = 4;

/// A batch is left for later when it has been written to for this long: whoever handles it has it for two minutes, must
/// still save what became of it, and is taken for lost when nothing is heard for a minute.
const LONGEST_WRITE: Duration = Duration::from_secs(45);

/// Pages of fields read at most: far beyond what a company may define.
const MOST_FIELD_PAGES: usize = 20;

/// The zone that the day of tokens is taken to end in, as far as our own count goes. Pipedrive does not tell.
const DAY_ZONE: &str = "UTC";

/// One Pipedrive company.
#[derive(Debug)]
pub struct Pipedrive {
    transport: Arc<Transport>,
    /// Since when every answer was a 429: what tells a spent day from a burst where the headers do not.
    refused_since: Mutex<Option<Timestamp>>,
    /// The fields of objects whose plans call them by label; asked for again when a name is not among them.
    described: Mutex<HashMap<Object, Arc<Vec<PropertyDef>>>>,
}

/// One record's update, ready to be sent.
struct Patch {
    record: RecordId,
    body: Map<String, Value>,
}

impl Pipedrive {
    /// The company that the transport's login reaches.
    #[must_use]
    pub fn new(transport: Arc<Transport>) -> Self {
        Self { transport, refused_since: Mutex::default(), described: Mutex::default() }
    }

    async fn call(&self, request: &Request) -> Result<Answer, Error> {
        self.transport
            .call(request, |answer, now| classify(request, answer, now, self.note(answer.status, now)))
            .await
    }

    /// Since when every answer was a 429, this one included.
    fn note(&self, status: u16, now: Timestamp) -> Option<Timestamp> {
        const TOO_MANY: u16 = 429;
        let mut since = self.refused_since.lock().unwrap_or_else(PoisonError::into_inner);
        *since = if status == TOO_MANY { since.or(Some(now)) } else { None };
        *since
    }

    async fn ask<T: DeserializeOwned>(&self, request: &Request) -> Result<Envelope<T>, Error> {
        let answer = self.call(request).await?;
        parse(VENDOR, request, &answer)
    }

    async fn all_filters(&self) -> Result<Vec<Filter>, Error> {
        let mut filters = self.ask::<Vec<Filter>>(&request::filters()).await?.data.unwrap_or_default();
        filters.sort_by_key(|filter| filter.id);
        Ok(filters)
    }

    /// A saved filter by its id, or by its name where only one of the object's has it.
    async fn resolve_filter(&self, object: Object, wanted: &str) -> Result<ResolvedSlice, Error> {
        let refuse = |code: &str, message: String| Err(Error::new(Class::Configuration, code, message));
        let filters = self.all_filters().await?;
        let is_meant = |filter: &&Filter| filter.name.trim().eq_ignore_ascii_case(wanted.trim());
        let of_object = |filter: &&Filter| filter.filter_type == object.filter_type();
        let by_id = wanted.parse().ok().and_then(|id: u64| filters.iter().find(|filter| filter.id == id));
        let named: Vec<&Filter> = filters.iter().filter(is_meant).collect();
        let mut of_this = named.iter().copied().filter(of_object);
        let found = match (by_id, of_this.next(), of_this.next()) {
            (Some(filter), ..) | (None, Some(filter), None) => filter,
            (None, Some(one), Some(other)) => {
                let message = format!(
                    "several filters are called \"{wanted}\"; give the id: {} or {}",
                    one.id, other.id
                );
                return refuse("ambiguous_filter", message);
            }
            (None, None, _) => match named.first() {
                Some(filter) => filter,
                None => {
                    let known = filters.iter().filter(of_object).map(|filter| filter.name.as_str());
                    let near = did_you_mean(wanted, known);
                    let near = if near.is_empty() { "; `infill lists` shows them" } else { &near };
                    let message = format!(
                        "Pipedrive has no filter with the id or name \"{wanted}\" that this login may see{near}; a \
                         filter of somebody else must be shared"
                    );
                    return refuse("filter_not_found", message);
                }
            },
        };
        if !of_object(&found) {
            let message = format!(
                "filter \"{}\" ({}) selects {} and the plan's object is {}; change one of the two",
                found.name,
                found.id,
                Object::of_filter_type(&found.filter_type),
                object.name()
            );
            return refuse("filter_of_another_object", message);
        }
        Ok(ResolvedSlice {
            object: object.name().into(),
            label: format!("filter \"{}\" ({})", found.name, found.id),
            size: None,
            readiness: Readiness::Ready,
            handle: Handle::Filter(found.id).to_text()?,
        })
    }

    async fn resolve_conditions(
        &self,
        object: Object,
        conditions: &[Condition],
    ) -> Result<ResolvedSlice, Error> {
        let properties = self.definitions(object).await?;
        let tests = filter::compile(conditions, &properties)?;
        let name = object.name();
        let label = match conditions.len() {
            1 => format!("{name} that meet 1 condition"),
            several => format!("{name} that meet {several} conditions"),
        };
        Ok(ResolvedSlice {
            object: name.into(),
            label,
            size: None,
            readiness: Readiness::Ready,
            handle: Handle::Tests(tests).to_text()?,
        })
    }

    async fn definitions(&self, object: Object) -> Result<Arc<Vec<PropertyDef>>, Error> {
        let mut all: Vec<Definition> = Vec::new();
        let mut cursor = None;
        for _ in 0..MOST_FIELD_PAGES {
            let page = self.ask::<Vec<Definition>>(&request::fields(object, cursor.as_deref())).await?;
            cursor = page.next();
            all.extend(page.data.unwrap_or_default());
            if cursor.is_none() {
                let properties = Arc::new(catalog::definitions(object, all));
                let mut described = self.described.lock().unwrap_or_else(PoisonError::into_inner);
                described.insert(object, Arc::clone(&properties));
                return Ok(properties);
            }
        }
        let message = format!(
            "Pipedrive describes the fields of {} on more than {MOST_FIELD_PAGES} pages",
            object.name()
        );
        Err(Error::new(Class::Bug, "too_many_fields", message))
    }

    /// Names of plans, each with the code of its field.
    async fn coded(
        &self,
        object: Object,
        names: &[PropertyName],
    ) -> Result<Vec<(PropertyName, PropertyName)>, Error> {
        if names.iter().all(|name| catalog::is_code(object, name)) {
            return Ok(names.iter().map(|name| (name.clone(), name.clone())).collect());
        }
        let held = self.described.lock().unwrap_or_else(PoisonError::into_inner).get(&object).cloned();
        if let Some(coded) = held.and_then(|properties| coded_by(&properties, names).ok()) {
            return Ok(coded);
        }
        let properties = self.definitions(object).await?;
        coded_by(&properties, names).map_err(|unknown| {
            let known =
                properties.iter().flat_map(|property| [property.name.as_str(), property.label.as_str()]);
            let near = did_you_mean(unknown.as_str(), known);
            let message = format!("{} have no field \"{unknown}\" any more{near}", object.name());
            Error::new(Class::Configuration, "unknown_field", message)
        })
    }

    /// Those of the records that are there, by id.
    async fn found(
        &self,
        object: Object,
        records: &[RecordId],
        names: &[PropertyName],
    ) -> Result<HashMap<String, Found>, Error> {
        let found: Vec<Found> = if object.is_v1() {
            let calls: Vec<_> = records.iter().map(|record| self.found_one(object, record)).collect();
            let mut reads = stream::iter(calls).buffer_unordered(READS_AT_ONCE);
            let mut found = Vec::with_capacity(records.len());
            while let Some(one) = reads.next().await {
                found.extend(one?);
            }
            found
        } else {
            self.ask(&request::read(object, records, names)).await?.data.unwrap_or_default()
        };
        let is_there = |found: Found| Some((found.id()?, found)).filter(|(_, found)| !found.is_deleted());
        Ok(found.into_iter().filter_map(is_there).collect())
    }

    async fn found_one(&self, object: Object, record: &RecordId) -> Result<Option<Found>, Error> {
        match self.ask(&request::read_one(object, record)).await {
            Ok(answer) => Ok(answer.data),
            Err(error) if error.class == Class::Gone => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The bodies of the updates. What is refused or gone before any call is noted at once.
    async fn patches(
        &self,
        object: Object,
        targets: &[PropertyDef],
        updates: &[Update],
        tally: &mut Tally,
    ) -> Result<Vec<Patch>, Error> {
        let merged: Vec<RecordId> = updates
            .iter()
            .filter(|update| encode::is_merged(update))
            .map(|update| update.record.clone())
            .collect();
        let mut current = HashMap::new();
        if !merged.is_empty() {
            // Read right before the write: whoever adds an address in between would lose it.
            current = self.found(object, &merged, &["emails".into(), "phones".into()]).await?;
        }
        let mut patches = Vec::with_capacity(updates.len());
        for update in updates {
            let record = update.record.clone();
            let held = current.get(record.as_str());
            if held.is_none() && encode::is_merged(update) {
                tally.gone(record);
                continue;
            }
            match encode::body(object, targets, update, held) {
                Ok(body) => patches.push(Patch { record, body }),
                Err(refusal) => tally.refuse(record, refusal),
            }
        }
        Ok(patches)
    }

    /// Updates one record. It is done when its own id is in the answer.
    async fn patch(&self, object: Object, patch: Patch) -> (RecordId, Result<(), Error>) {
        let Patch { record, body } = patch;
        let outcome = async {
            let request = request::update(object, &record, &body)?;
            let echo = self.ask::<Found>(&request).await.map_err(|error| explained(error, object, &body))?;
            match echo.data.and_then(|found| found.id()) {
                Some(id) if id == record.as_str() => Ok(()),
                Some(_) | None => {
                    let message =
                        format!("Pipedrive answered the update of {record} without its id; it is read back");
                    let error = Error::new(Class::Transient, "not_confirmed", message);
                    Err(Error { delivery: Effect::Write.delivery_when_lost(), ..error })
                }
            }
        };
        let outcome = outcome.await;
        (record, outcome)
    }
}

/// Says what a 403 is about when the update holds fields that exist with Contact Sync only.
fn explained(error: Error, object: Object, body: &Map<String, Value>) -> Error {
    const FORBIDDEN: u16 = 403;
    let of_sync: Vec<&str> = CONTACT_SYNC.into_iter().filter(|field| body.contains_key(*field)).collect();
    if error.status != Some(FORBIDDEN)
        || error.class != Class::Rejected
        || object != Object::Person
        || of_sync.is_empty()
    {
        return error;
    }
    Error {
        class: Class::Configuration,
        code: "contact_sync".to_owned(),
        message: format!(
            "{}; {} can be written while Contact Sync is on only: turn it on in Pipedrive, or take them out of the plan",
            error.message,
            of_sync.join(", ")
        ),
        ..error
    }
}

/// Names with the codes of their fields.
///
/// # Errors
/// The first name that no field has.
fn coded_by(
    properties: &[PropertyDef],
    names: &[PropertyName],
) -> Result<Vec<(PropertyName, PropertyName)>, PropertyName> {
    names
        .iter()
        .map(|name| {
            let code = catalog::code_of(name, properties).ok_or_else(|| name.clone())?;
            Ok((name.clone(), code.clone()))
        })
        .collect()
}

/// The targets and the updates with codes in the place of names.
fn by_code(
    coded: &[(PropertyName, PropertyName)],
    targets: &[&PropertyDef],
    updates: &[Update],
) -> (Vec<PropertyDef>, Vec<Update>) {
    let code = |name: &PropertyName| {
        coded.iter().find(|(known, _)| known == name).map_or(name, |(_, code)| code).clone()
    };
    let target = |target: &&PropertyDef| PropertyDef { name: code(&target.name), ..(*target).clone() };
    let update = |update: &Update| Update {
        record: update.record.clone(),
        properties: update.properties.iter().map(|(name, value)| (code(name), value.clone())).collect(),
    };
    (targets.iter().map(target).collect(), updates.iter().map(update).collect())
}

fn within_batch(n_records: usize, most: u32) -> Result<(), Error> {
    if u32::try_from(n_records).is_ok_and(|n_records| n_records <= most) {
        return Ok(());
    }
    let message = format!("{n_records} records in a batch of at most {most}");
    Err(Error::new(Class::Bug, "batch_too_large", message))
}

/// Refuses ids that cannot be Pipedrive's, as from a file of another system.
fn are_record_ids(object: Object, records: &[RecordId]) -> Result<(), Error> {
    let strange: Vec<RecordId> = records.iter().filter(|id| !object.is_id(id.as_str())).cloned().collect();
    let Some(first) = strange.first() else { return Ok(()) };
    let wanted = if object.is_v1() { "a UUID" } else { "a whole number" };
    let message = format!("\"{first}\" is no id of {} in Pipedrive, which is {wanted}", object.name());
    Err(Error { records: strange, ..Error::new(Class::Rejected, "not_a_record_id", message) })
}

#[async_trait]
impl Crm for Pipedrive {
    async fn account(&self) -> Result<Account, Error> {
        let request = request::me();
        let answer = self.call(&request).await?;
        // Not documented, and not always there.
        let daily_limit = answer.headers.number("x-daily-ratelimit-token-limit");
        let daily_left = answer.headers.number("x-daily-ratelimit-token-remaining");
        let me = parse::<Envelope<Me>>(VENDOR, &request, &answer)?.data.ok_or_else(|| {
            Error::new(Class::Bug, "unexpected_answer", "Pipedrive does not say whose login this is")
        })?;
        let name = me.company_name.unwrap_or_else(|| me.company_id.to_string());
        Ok(Account {
            id: me.company_id.to_string(),
            label: format!("Pipedrive company {name}"),
            time_zone: DAY_ZONE.to_owned(),
            ui_domain: me.company_domain.map(|domain| format!("{domain}.pipedrive.com")),
            daily_limit,
            daily_used: daily_limit.zip(daily_left).map(|(limit, left)| limit.saturating_sub(left)),
        })
    }

    fn limits(&self, _n_records: Option<u64>) -> Limits {
        Limits {
            id_page: request::PAGE,
            lists_values: false,
            read_batch: request::IDS,
            write_batch: WRITE_BATCH,
            write_call: 1,
            calls_per_write: 1,
            // The user with the company; the catalog, which the values of custom fields need once more; the saved filter.
            looks: 5,
            costs: Costs {
                list: request::LIST.tokens,
                read: request::READ.tokens,
                write: request::UPDATE.tokens,
            },
        }
    }

    async fn catalog(&self, object: &ObjectType) -> Result<Catalog, Error> {
        let properties = self.definitions(Object::of(object)?).await?;
        Ok(Catalog { object: object.clone(), properties: catalog::with_labels(&properties) })
    }

    async fn lists(&self) -> Result<Vec<ListInfo>, Error> {
        let filters = self.all_filters().await?;
        Ok(filters
            .into_iter()
            .map(|filter| ListInfo {
                id: ListId::from(filter.id.to_string()),
                object: Object::of_filter_type(&filter.filter_type),
                name: filter.name,
                kind: "filter".to_owned(),
                size: None,
            })
            .collect())
    }

    async fn resolve(&self, object: &ObjectType, selection: &Selection) -> Result<ResolvedSlice, Error> {
        let known = Object::of(object)?;
        match selection {
            // Pipedrive's lists of records are its saved filters.
            Selection::List(list) => self.resolve_filter(known, list.as_str()).await,
            Selection::View(view) => self.resolve_filter(known, view).await,
            Selection::Filter(conditions) => self.resolve_conditions(known, conditions).await,
            Selection::Query(_) => Err(Error::new(
                Class::Configuration,
                "selection_not_supported",
                "Pipedrive's API has no query language; name a saved filter as `view`, or give a `filter`",
            )),
            Selection::Ids(_) => Err(Error::new(
                Class::Bug,
                "selection_not_supported",
                "a file of ids is read by the planner, not by the connector",
            )),
        }
    }

    async fn list(
        &self,
        slice: &ResolvedSlice,
        _pull: &Pull,
        cursor: Option<&Cursor>,
    ) -> Result<Page, Error> {
        let object = Object::of(&slice.object)?;
        let cursor = cursor.map(|cursor| cursor.0.as_str());
        let (saved, tests) = match Handle::of(slice)? {
            Handle::Filter(id) => (Some(id), Vec::new()),
            Handle::Tests(tests) => (None, tests),
        };
        let names = filter::names(&tests);
        let fields: Vec<_> = names.iter().map(|name| (name.clone(), name.clone())).collect();
        let page = self.ask::<Vec<Found>>(&request::list(object, saved, &names, cursor)).await?;
        let next = page.next().map(Cursor);
        let records = page
            .data
            .unwrap_or_default()
            .into_iter()
            .filter(|found| !found.is_deleted() && filter::passes(&tests, &found.properties(object, &fields)))
            .filter_map(|found| found.id().map(RecordId::from))
            .collect();
        Ok(Page::of_ids(records, next))
    }

    async fn read(
        &self,
        object: &ObjectType,
        records: &[RecordId],
        properties: &[PropertyName],
    ) -> Result<ReadAnswer, Error> {
        if records.is_empty() {
            return Ok(ReadAnswer::default());
        }
        let object = Object::of(object)?;
        within_batch(records.len(), request::IDS)?;
        are_record_ids(object, records)?;
        let fields = self.coded(object, properties).await?;
        let codes: Vec<PropertyName> = fields.iter().map(|(_, code)| code.clone()).collect();
        let mut found = self.found(object, records, &codes).await?;
        let mut answer = ReadAnswer::default();
        for id in records {
            match found.remove(id.as_str()) {
                Some(record) => answer.records.push(Record {
                    id: id.clone(),
                    properties: record.properties(object, &fields),
                    changed: record.changed(),
                }),
                None => answer.gone.push((id.clone(), Gone { survivor: None })),
            }
        }
        Ok(answer)
    }

    async fn write(
        &self,
        object: &ObjectType,
        targets: &[&PropertyDef],
        updates: &[Update],
        _job: Option<&Job>,
    ) -> Result<Written, Error> {
        let object = Object::of(object)?;
        within_batch(updates.len(), WRITE_BATCH)?;
        let ids: Vec<RecordId> = updates.iter().map(|update| update.record.clone()).collect();
        are_record_ids(object, &ids)?;
        let names: Vec<PropertyName> = targets.iter().map(|target| target.name.clone()).collect();
        let coded = self.coded(object, &names).await?;
        let (targets, updates) = by_code(&coded, targets, updates);
        let deadline = self.transport.now().saturating_add(LONGEST_WRITE).unwrap_or(Timestamp::MAX);
        let mut tally = Tally::default();
        let mut waiting = self.patches(object, &targets, &updates, &mut tally).await?.into_iter().peekable();
        let mut in_flight = FuturesUnordered::new();
        loop {
            while tally.goes_on() && in_flight.len() < WRITES_AT_ONCE && waiting.peek().is_some() {
                let now = self.transport.now();
                if now >= deadline {
                    let message =
                        "the rest of the batch is written a little later: Pipedrive takes one record a call";
                    let later = Error::new(Class::Throttled, "batch_takes_long", message);
                    tally.stop(Error { until: Some(now), ..later });
                } else if let Some(patch) = waiting.next() {
                    in_flight.push(self.patch(object, patch));
                }
            }
            let Some((record, outcome)) = in_flight.next().await else { break };
            tally.take(record, outcome);
        }
        let missing = tally.missing();
        if !missing.is_empty() {
            let found = self.found(object, &missing, &[]).await;
            tally.settle_missing(found.map(|found| found.into_keys().collect()));
        }
        tally.finish().map(Written::Answered)
    }

    fn normalize(&self, property: &PropertyDef, value: &Value) -> Value {
        normalize::normalize(property, value)
    }

    fn check(&self, property: &PropertyDef, value: &Value, _known: &[&Properties]) -> Result<(), Refusal> {
        check::check(property, value)
    }

    fn record_address(&self, account: &Account, object: &ObjectType) -> Option<RecordAddress> {
        let screen = Object::of(object).ok()?.screen()?;
        let domain = account.ui_domain.as_deref()?;
        Some(RecordAddress::new(format!("https://{domain}/{screen}/{}", RecordAddress::RECORD)))
    }
}
