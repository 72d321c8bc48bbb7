//! The calls: [`Salesforce`] puts the pure parts together and keeps nothing between them.

mod bulk;
mod find;
mod perform;
mod write;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, StreamExt, TryStreamExt};
use infill_crm::exchange::{Answer, Request, parse, unreadable};
use infill_crm::{
    Account, ActionCall, ActionPlan, Catalog, Costs, Crm, Cursor, Error, Job, Limits, ListInfo, Outputs,
    Page, Pull, ReadAnswer, Record, Refusal, Transport, Unfit, Update, WriteAnswer, Written,
};
use infill_model::letter::RecordAddress;
use infill_model::property::PropertyDef;
use infill_model::row::Gone;
use infill_model::slice::{ResolvedSlice, Selection};
use infill_model::{Class, ListId, ObjectType, Properties, PropertyName, RecordId, Value};

use self::find::is_of_object;
use self::write::rows;
use crate::bulk::{CALLS_PER_JOB, CALLS_PER_LISTING, JOB_ROWS, Kept, PAGE, Place, Route};
use crate::classify::classify;
use crate::id::Id;
use crate::object::api_name;
use crate::parent::parent;
use crate::request::{self, ApiVersion, COLLECTION, COLLECTIONS, Manners};
use crate::response::{self, Named, OrgLimits, QueryPage, Retrieved, Trace};
use crate::statement::Statement;
use crate::{check, filter, normalize, slice};

/// The vendor's name in messages.
const VENDOR: &str = "Salesforce";

/// Objects whose list views are listed; of any other, a plan names the view.
const LISTED: [&str; 5] = ["Account", "Case", "Contact", "Lead", "Opportunity"];

/// Look-ups, of missing records and of record types, in flight at a time.
const LOOK_UPS_AT_ONCE: usize = 2;

/// What can be set about a Salesforce connection besides its login.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Which version of the API is spoken.
    pub api_version: ApiVersion,
    /// What is said with every update.
    pub manners: Manners,
    /// Which way records go.
    pub route: Route,
    /// The text field, of any object that has it, by which a record that an action creates is known again.
    pub replay_key_field: Option<String>,
}

/// One Salesforce org.
#[derive(Debug)]
pub struct Salesforce {
    version: ApiVersion,
    manners: Manners,
    route: Route,
    replay_key_field: Option<String>,
    transport: Transport,
}

/// What became of a record that a call did not find.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// It is there.
    Alive,
    /// It lies in the recycle bin, perhaps because it was merged.
    Deleted { survivor: Option<Id> },
}

impl Salesforce {
    /// The org that the transport's login reaches.
    #[must_use]
    pub fn new(config: Config, transport: Transport) -> Self {
        let Config { api_version, manners, route, replay_key_field } = config;
        let transport = transport.with_headers(&manners.headers());
        Self { version: api_version, manners, route, replay_key_field, transport }
    }

    async fn call(&self, request: &Request) -> Result<Answer, Error> {
        self.transport.call(request, |answer, now| classify(request, answer, now)).await
    }

    async fn ask<T: serde::de::DeserializeOwned>(&self, request: &Request) -> Result<T, Error> {
        let answer = self.call(request).await?;
        parse(VENDOR, request, &answer)
    }

    /// What became of records that a call did not find. One that is not in the answer is deleted for good, or hidden; so is every
    /// one of an object that has no recycle bin.
    async fn look_up(&self, object: &str, missing: &[Id]) -> Result<HashMap<Id, Fate>, Error> {
        let requests =
            missing.chunks(request::LOOK_UP).map(|ids| request::look_up(self.version, object, ids));
        let pages: Result<Vec<QueryPage<Trace>>, Error> = stream::iter(requests.collect::<Vec<_>>())
            .map(|request| async move { self.ask(&request).await })
            .buffered(LOOK_UPS_AT_ONCE)
            .try_collect()
            .await;
        let traces = match pages {
            Ok(pages) => pages.into_iter().flat_map(|page| page.records),
            Err(error) if error.class == Class::Configuration => {
                tracing::info!(error = %error, records = missing.len(), "missing records cannot be looked up");
                return Ok(HashMap::new());
            }
            Err(error) => return Err(error),
        };
        Ok(traces
            .filter_map(|trace| {
                let survivor = trace.master_record_id.as_deref().and_then(Id::parse);
                let fate = if trace.is_deleted { Fate::Deleted { survivor } } else { Fate::Alive };
                Some((Id::parse(&trace.id)?, fate))
            })
            .collect())
    }

    /// Reads records together with the stamps of their last change. An object that has not both of them, as external objects, is
    /// read without.
    async fn retrieve(
        &self,
        object: &str,
        ids: &[Id],
        properties: &[PropertyName],
    ) -> Result<Vec<Retrieved>, Error> {
        const STAMPS: [&str; 2] = [request::CHANGED_AT, request::CHANGED_BY];
        let is_asked = |stamp: &str| properties.iter().any(|name| name.as_str().eq_ignore_ascii_case(stamp));
        let stamps = STAMPS.into_iter().filter(|stamp| !is_asked(stamp)).map(PropertyName::from);
        let fields: Vec<PropertyName> = properties.iter().cloned().chain(stamps).collect();
        let mut request = request::retrieve(self.version, object, ids, &fields)?;
        let answer = match self.call(&request).await {
            Err(error)
                if error.code == "INVALID_FIELD"
                    && STAMPS.iter().any(|stamp| error.message.contains(stamp)) =>
            {
                request = request::retrieve(self.version, object, ids, properties)?;
                self.call(&request).await?
            }
            answer => answer?,
        };
        response::retrieved(&answer.body, properties)
            .map_err(|error| unreadable(VENDOR, &request, &answer, &error))
    }

    /// A page of ids above the last one.
    async fn list_above(&self, slice: &ResolvedSlice, last: Option<Id>) -> Result<Page, Error> {
        let query = slice::of_handle(slice)?.page(last, request::ID_PAGE);
        let page: QueryPage<Named> = self.ask(&request::query(self.version, "list_ids", &query)?).await?;
        let records: Vec<RecordId> =
            page.records.into_iter().map(|record| RecordId::from(record.id)).collect();
        let is_full = u32::try_from(records.len()).is_ok_and(|size| size >= request::ID_PAGE);
        // A page may be cut smaller than asked for; then it says that it is not done.
        let has_more = is_full || !page.done;
        let next = records.last().filter(|_| has_more).map(|last| Cursor(last.as_str().to_owned()));
        Ok(Page::of_ids(records, next))
    }
}

/// Where a person opens a record.
fn screen(host: &str, object: &str, id: &str) -> String {
    format!("https://{host}/lightning/r/{object}/{id}/view")
}

fn gone(survivor: Option<Id>) -> Gone {
    Gone { survivor: survivor.map(|id| RecordId::from(id.as_str())) }
}

/// Refuses more records than one call takes.
fn within(n_records: usize, most: u32) -> Result<(), Error> {
    if u32::try_from(n_records).is_ok_and(|n_records| n_records <= most) {
        return Ok(());
    }
    let message = format!("{n_records} records in a batch of at most {most}");
    Err(Error::new(Class::Bug, "batch_too_large", message))
}

/// The ids of records, in their long form.
///
/// # Errors
/// `rejected`, naming those that can be no ids of Salesforce, as from a file of another system.
fn ids<'a>(records: impl Iterator<Item = &'a RecordId>) -> Result<Vec<(Id, &'a RecordId)>, Error> {
    let mut ids = Vec::new();
    let mut strange = Vec::new();
    for record in records {
        match Id::parse(record.as_str().trim()) {
            Some(id) => ids.push((id, record)),
            None => strange.push(record.clone()),
        }
    }
    let Some(first) = strange.first() else { return Ok(ids) };
    let message = format!(
        "\"{first}\" is no {VENDOR} record id: it has 15 characters whose case matters, or 18 of which the last three check \
         the others"
    );
    Err(Error { records: strange, ..Error::new(Class::Rejected, "not_a_record_id", message) })
}

#[async_trait]
impl Crm for Salesforce {
    async fn account(&self) -> Result<Account, Error> {
        let (id, label, time_zone) = self.organization().await?;
        let limits: OrgLimits = self.ask(&request::limits(self.version)).await?;
        let address = self.transport.address().await?;
        let day = limits.daily_api_requests;
        Ok(Account {
            label,
            id: Id::parse(&id).map_or(id, |id| id.to_string()),
            time_zone: time_zone.unwrap_or_else(|| "UTC".to_owned()),
            ui_domain: address.host_str().map(str::to_owned),
            daily_limit: day.as_ref().map(|day| day.max),
            daily_used: day.as_ref().map(|day| day.max.saturating_sub(day.remaining)),
        })
    }

    fn limits(&self, n_records: Option<u64>) -> Limits {
        // The limits, the organization, the catalog, what checks go by; a list view found by its label, its query and its count.
        const LOOKS: u32 = 7;
        if self.run_goes_by_jobs(n_records) {
            return Limits {
                id_page: PAGE,
                lists_values: true,
                read_batch: request::READ_BATCH,
                write_batch: JOB_ROWS,
                write_call: JOB_ROWS,
                calls_per_write: CALLS_PER_JOB,
                looks: LOOKS + CALLS_PER_LISTING,
                costs: Costs::CALLS,
            };
        }
        let write_call = u32::try_from(COLLECTION * COLLECTIONS).unwrap_or(u32::MAX);
        Limits {
            id_page: request::ID_PAGE,
            lists_values: false,
            read_batch: request::READ_BATCH,
            // As many as one read takes: the guard and the read-back of a batch are a request each.
            write_batch: request::READ_BATCH,
            write_call,
            calls_per_write: 1,
            looks: LOOKS,
            costs: Costs::CALLS,
        }
    }

    async fn catalog(&self, object: &ObjectType) -> Result<Catalog, Error> {
        let properties = self.properties(api_name(object)?).await?;
        Ok(Catalog { object: object.clone(), properties })
    }

    async fn complete(
        &self,
        object: &ObjectType,
        properties: Vec<PropertyDef>,
    ) -> Result<Vec<PropertyDef>, Error> {
        self.by_record_type(api_name(object)?, properties).await
    }

    async fn deciding(
        &self,
        object: &ObjectType,
        properties: &[PropertyName],
    ) -> Result<Vec<PropertyName>, Error> {
        let catalog = self.catalog(object).await?;
        let divided = properties.iter().filter_map(|name| catalog.get(name)?.options_by.as_ref());
        let deciding: BTreeSet<&PropertyName> = divided.map(|by| &by.property).collect();
        Ok(deciding.into_iter().cloned().collect())
    }

    /// The list views of the usual objects: Salesforce lists them per object only.
    async fn lists(&self) -> Result<Vec<ListInfo>, Error> {
        let mut lists = Vec::new();
        for object in LISTED {
            match self.list_views(object).await {
                Ok(views) => lists.extend(views.into_iter().map(|view| ListInfo {
                    id: ListId::from(view.id),
                    name: view.label,
                    object: object.into(),
                    kind: "list view".to_owned(),
                    size: None,
                })),
                // An org need not have every one of them, or the user may not see it.
                Err(error) if matches!(error.class, Class::Gone | Class::Configuration) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(lists)
    }

    async fn resolve(&self, object: &ObjectType, selection: &Selection) -> Result<ResolvedSlice, Error> {
        let name = api_name(object)?;
        let (statement, label) = match selection {
            Selection::List(list) => self.resolve_view(name, list.as_str()).await?,
            Selection::View(view) => self.resolve_view(name, view).await?,
            Selection::Filter(conditions) => {
                let condition = filter::compile(conditions, &self.properties(name).await?)?;
                let label = match conditions.len() {
                    1 => format!("{name} records that meet 1 condition"),
                    n_conditions => format!("{name} records that meet {n_conditions} conditions"),
                };
                (Statement::new(name, Some(condition)), label)
            }
            Selection::Query(query) => {
                let statement = Statement::parse(query)?;
                is_of_object(name, statement.object(), "query")?;
                (statement, format!("{name} records of a query"))
            }
            Selection::Ids(_) => {
                let message = "a file of ids is read by the planner, not by the connector";
                return Err(Error::new(Class::Bug, "selection_not_supported", message));
            }
        };
        self.resolve_statement(object, &statement, label).await
    }

    async fn list(&self, slice: &ResolvedSlice, pull: &Pull, cursor: Option<&Cursor>) -> Result<Page, Error> {
        if let Some(cursor) = cursor {
            return match Place::of(cursor)? {
                Some(place) => self.go_on_listing(slice, pull, place).await,
                None => self.list_above(slice, slice::last_listed(Some(cursor))?).await,
            };
        }
        let n_records = slice.size.map(|size| pull.most.map_or(size, |most| size.min(most))).or(pull.most);
        // Where ids are all that is wanted, pages of them are the shorter way.
        if !pull.properties.is_empty()
            && self.run_goes_by_jobs(n_records)
            && let Some(page) = self.begin_listing(slice, pull, None).await?
        {
            return Ok(page);
        }
        self.list_above(slice, None).await
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
        within(records.len(), request::READ_BATCH)?;
        let name = api_name(object)?;
        let asked = ids(records.iter())?;
        let distinct: Vec<Id> = {
            let mut seen = HashSet::new();
            asked.iter().map(|(id, _)| *id).filter(|id| seen.insert(*id)).collect()
        };
        let found: HashMap<Id, Retrieved> = self
            .retrieve(name, &distinct, properties)
            .await?
            .into_iter()
            .map(|found| (found.id, found))
            .collect();
        let missing: Vec<Id> = distinct.into_iter().filter(|id| !found.contains_key(id)).collect();
        let fates = if missing.is_empty() { HashMap::new() } else { self.look_up(name, &missing).await? };
        let mut read = ReadAnswer::default();
        for (id, record) in asked {
            match (found.get(&id), fates.get(&id)) {
                (Some(found), _) => read.records.push(Record {
                    id: record.clone(),
                    properties: found.properties.clone(),
                    changed: found.changed.clone(),
                }),
                (None, Some(Fate::Deleted { survivor })) => read.gone.push((record.clone(), gone(*survivor))),
                (None, None) => read.gone.push((record.clone(), gone(None))),
                (None, Some(Fate::Alive)) => {
                    let message =
                        format!("{VENDOR}'s answer leaves out {record} without a word; it is read again");
                    return Err(Error::new(Class::Transient, "records_left_out", message));
                }
            }
        }
        Ok(read)
    }

    async fn write(
        &self,
        object: &ObjectType,
        targets: &[&PropertyDef],
        updates: &[Update],
        job: Option<&Job>,
    ) -> Result<Written, Error> {
        if updates.is_empty() {
            return Ok(Written::Answered(WriteAnswer::default()));
        }
        within(updates.len(), JOB_ROWS)?;
        let name = api_name(object)?;
        let (rows, twice) = rows(updates, targets)?;
        let mut written = match job.map(Kept::of).transpose()? {
            Some(kept) if kept.is_sent => self.collect(name, &rows, &kept).await?,
            Some(kept) => return self.send(&rows, kept).await,
            None => {
                if self.write_goes_by_job(rows.len())
                    && let Some(later) = self.make_jobs(name, &rows).await?
                {
                    return Ok(later);
                }
                let known = WriteAnswer { refused: twice, ..WriteAnswer::default() };
                return self.write_parts(name, &rows, known).await.map(Written::Answered);
            }
        };
        written.refused.extend(twice);
        Ok(Written::Answered(written))
    }

    async fn look(&self, job: &Job) -> Result<Option<Duration>, Error> {
        self.look_at(job).await
    }

    fn parent(&self, known: &[&Properties]) -> Option<RecordId> {
        parent(known)
    }

    fn normalize(&self, property: &PropertyDef, value: &Value) -> Value {
        normalize::normalize(property, value)
    }

    fn check(&self, property: &PropertyDef, value: &Value, known: &[&Properties]) -> Result<(), Refusal> {
        check::check(property, value, known)
    }

    fn record_address(&self, account: &Account, object: &ObjectType) -> Option<RecordAddress> {
        let host = account.ui_domain.as_deref()?;
        let name = api_name(object).ok()?;
        Some(RecordAddress::new(screen(host, name, RecordAddress::RECORD)))
    }

    async fn prepare(&self, action: &ActionPlan<'_>) -> Result<String, Unfit> {
        self.prepare_action(action).await
    }

    async fn perform(&self, call: &ActionCall<'_>) -> Result<Outputs, Error> {
        self.perform_action(call).await
    }
}
