//! The calls: [`HubSpot`] puts the pure parts together and keeps nothing but the account's time zone.

mod missing;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use infill_crm::exchange::{Answer, Request, parse, unreadable};
use infill_crm::{
    Account, Catalog, Costs, Crm, Cursor, Error, Exchanged, Job, Limits, ListInfo, Page, Pull, ReadAnswer,
    Record, Refusal, Transport, Update, WriteAnswer, Written,
};
use infill_model::letter::RecordAddress;
use infill_model::nearest::did_you_mean;
use infill_model::property::PropertyDef;
use infill_model::slice::{Readiness, ResolvedSlice, Selection};
use infill_model::{Class, ListId, ObjectType, Properties, PropertyName, RecordId, Value};
use jiff::tz::TimeZone;

use self::missing::{LookUp, Missing, none_of};
use crate::blame::{self, NOT_FOUND};
use crate::catalog::{self, Definitions};
use crate::classify::{Complaint, classify};
use crate::object::{object_of, type_id};
use crate::request::{self, ApiVersion, Search};
use crate::response::{
    self, AccountDetails, AccountUsage, BatchUpdated, List, ListSearch, Memberships, OneList, SearchPage,
};
use crate::slice::{self, Handle, SearchPlace};
use crate::{check, filter, ids, normalize};

/// The vendor's name in messages.
const VENDOR: &str = "HubSpot";

/// Host of HubSpot's screens where the account names none.
const DEFAULT_UI_DOMAIN: &str = "app.hubspot.com";

/// What can be set about a HubSpot connection besides its login.
#[derive(Clone, Copy, Debug, Default)]
pub struct Config {
    /// Which version of the API is spoken.
    pub api_version: ApiVersion,
}

/// One HubSpot portal.
#[derive(Debug)]
pub struct HubSpot {
    version: ApiVersion,
    transport: Arc<Transport>,
    zone: OnceLock<TimeZone>,
    zone_was_asked_for: AtomicBool,
}

impl HubSpot {
    /// The portal that the transport's login reaches.
    #[must_use]
    pub fn new(config: Config, transport: Arc<Transport>) -> Self {
        Self {
            version: config.api_version,
            transport,
            zone: OnceLock::new(),
            zone_was_asked_for: AtomicBool::new(false),
        }
    }

    /// Makes a call that writes nothing, or whose refusal names no rows.
    async fn call(&self, request: &Request) -> Result<Answer, Error> {
        self.call_about(request, &[]).await
    }

    /// Makes a call; a refusal of the whole names the guilty among `updates`.
    async fn call_about(&self, request: &Request, updates: &[Update]) -> Result<Answer, Error> {
        let answer = self.call_once(request, updates).await?;
        if self.day_is_nearly_spent(&answer) {
            // Once the day is spent, HubSpot will not say any more when the next begins.
            self.learn_zone().await;
        }
        Ok(answer)
    }

    async fn call_once(&self, request: &Request, updates: &[Update]) -> Result<Answer, Error> {
        self.transport
            .call(request, |answer, now| {
                let mut classified = classify(request, self.zone.get(), answer, now);
                if let Err(error) = &mut classified.result
                    && !updates.is_empty()
                {
                    let complaint = Complaint::read(&answer.body).unwrap_or_default();
                    blame::name_records(error, updates, &complaint);
                }
                classified
            })
            .await
    }

    /// Whether a tenth of the day's calls or less is left, and the end of the day is still unknown.
    fn day_is_nearly_spent(&self, answer: &Answer) -> bool {
        if self.zone.get().is_some() {
            return false;
        }
        let left = answer.headers.number("X-HubSpot-RateLimit-Daily-Remaining");
        let limit = answer.headers.number("X-HubSpot-RateLimit-Daily");
        left.zip(limit).is_some_and(|(left, limit)| left.saturating_mul(10) <= limit)
    }

    async fn learn_zone(&self) {
        if self.zone_was_asked_for.swap(true, Ordering::Relaxed) {
            return;
        }
        if let Err(error) = self.details().await {
            tracing::warn!(error = %error, "account's time zone not learnt");
        }
    }

    async fn details(&self) -> Result<AccountDetails, Error> {
        let request = request::account_details(self.version);
        let answer = self.call_once(&request, &[]).await?;
        let details: AccountDetails = parse(VENDOR, &request, &answer)?;
        if let Some(zone) = details.time_zone.as_deref().and_then(|name| TimeZone::get(name).ok()) {
            self.zone.get_or_init(|| zone);
        }
        Ok(details)
    }

    async fn list_by(&self, request: Request) -> Result<Option<List>, Error> {
        match self.call(&request).await {
            Ok(answer) => Ok(Some(parse::<OneList>(VENDOR, &request, &answer)?.list)),
            Err(error) if error.class == Class::Gone => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn all_lists(&self) -> Result<Vec<List>, Error> {
        let mut lists: Vec<List> = Vec::new();
        let mut seen = HashSet::new();
        let mut offset = 0;
        loop {
            let request = request::search_lists(self.version, offset)?;
            let answer = self.call(&request).await?;
            let page: ListSearch = parse(VENDOR, &request, &answer)?;
            // A list made meanwhile shifts the pages; each is kept once.
            lists.extend(page.lists.into_iter().filter(|list| seen.insert(list.list_id.clone())));
            match page.offset {
                Some(next) if page.has_more && next > offset => offset = next,
                Some(_) | None => return Ok(lists),
            }
        }
    }

    async fn find_list(&self, type_id: &str, wanted: &ListId) -> Result<List, Error> {
        let name = wanted.as_str();
        let is_id = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
        if is_id && let Some(list) = self.list_by(request::list_by_id(self.version, name)).await? {
            return Ok(list);
        }
        if let Some(list) = self.list_by(request::list_by_name(self.version, type_id, name)).await? {
            return Ok(list);
        }
        let lists = self.all_lists().await?;
        // A name is looked for among the lists of one object; the same name may be that of another's.
        if let Some(list) = lists.iter().find(|list| list.name.eq_ignore_ascii_case(name)) {
            return Ok(list.clone());
        }
        let near = did_you_mean(name, lists.iter().map(|list| list.name.as_str()));
        let near = if near.is_empty() { "; `infill lists` shows them" } else { &near };
        Err(Error::new(
            Class::Configuration,
            "list_not_found",
            format!("HubSpot has no list with the id or name \"{name}\" that this token may see{near}"),
        ))
    }

    async fn resolve_list(&self, object: &ObjectType, wanted: &ListId) -> Result<ResolvedSlice, Error> {
        let type_id = type_id(object)?;
        let mut list = self.find_list(type_id, wanted).await?;
        if list.object_type_id != type_id {
            let holds = object_of(&list.object_type_id);
            return Err(Error::new(
                Class::Configuration,
                "list_of_another_object",
                format!(
                    "list \"{}\" ({}) holds {holds} and the plan's object is {object}; change one of the two",
                    list.name, list.list_id
                ),
            ));
        }
        if list.size().is_none() {
            let request = request::list_size(self.version, &list.list_id)?;
            let answer = self.call(&request).await?;
            let page: ListSearch = parse(VENDOR, &request, &answer)?;
            if let Some(told) = page.lists.into_iter().find(|told| told.list_id == list.list_id) {
                list = told;
            }
        }
        let is_processing = list.processing_status.as_deref() == Some("PROCESSING");
        Ok(ResolvedSlice {
            object: object.clone(),
            label: format!("list \"{}\" ({}, {})", list.name, list.list_id, kind_of(&list)),
            size: list.size(),
            readiness: if is_processing { Readiness::Processing } else { Readiness::Ready },
            handle: Handle::List(list.list_id).to_text()?,
        })
    }

    async fn resolve_filter(
        &self,
        object: &ObjectType,
        conditions: &[infill_model::plan::Condition],
    ) -> Result<ResolvedSlice, Error> {
        let catalog = self.catalog(object).await?;
        let groups = filter::compile(conditions, &catalog.properties)?;
        let ask = Search { groups: &groups, above: None, after: None, limit: 1 };
        let request = request::search(self.version, type_id(object)?, ask)?;
        let answer = self.call(&request).await?;
        let page: SearchPage<'_> = parse(VENDOR, &request, &answer)?;
        let n_conditions = conditions.len();
        let label = if n_conditions == 1 {
            format!("{object} that meet 1 condition")
        } else {
            format!("{object} that meet {n_conditions} conditions")
        };
        Ok(ResolvedSlice {
            object: object.clone(),
            label,
            size: Some(page.total),
            readiness: Readiness::Ready,
            handle: Handle::Filter(groups).to_text()?,
        })
    }

    async fn member_page(&self, list: &str, cursor: Option<&Cursor>) -> Result<Page, Error> {
        let request = request::memberships(self.version, list, cursor.map(|cursor| cursor.0.as_str()));
        let answer = self.call(&request).await.map_err(|error| match error.class {
            Class::Gone => Error {
                class: Class::Configuration,
                code: "list_not_found".to_owned(),
                message: format!("list {list} is no longer there: {}", error.message),
                ..error
            },
            Class::Transient
            | Class::Throttled
            | Class::Unauthorized
            | Class::Rejected
            | Class::Conflict
            | Class::Configuration
            | Class::Bug => error,
        })?;
        let page: Memberships<'_> = parse(VENDOR, &request, &answer)?;
        let records = page.results.iter().map(|member| RecordId::from(member.record_id.as_ref())).collect();
        Ok(Page::of_ids(records, response::next(page.paging).map(Cursor)))
    }

    async fn search_page(
        &self,
        object: &ObjectType,
        groups: &[Vec<slice::Filter>],
        cursor: Option<&Cursor>,
    ) -> Result<Page, Error> {
        let place = SearchPlace::of(cursor)?;
        let ask = Search {
            groups,
            above: place.above.as_deref(),
            after: place.after.as_deref(),
            limit: request::SEARCH_PAGE,
        };
        let request = request::search(self.version, type_id(object)?, ask)?;
        let answer = self.call(&request).await?;
        let page: SearchPage<'_> = parse(VENDOR, &request, &answer)?;
        let records: Vec<RecordId> =
            page.results.iter().map(|found| RecordId::from(found.id.as_ref())).collect();
        // Sorted as numbers by HubSpot; as text, "9" would come after "10".
        let greatest = records.iter().max_by_key(|id| (id.as_str().len(), id.as_str()));
        let next = place.next(greatest.map(RecordId::as_str), response::next(page.paging));
        Ok(Page::of_ids(records, next.map(|next| next.to_cursor()).transpose()?))
    }
}

/// HubSpot's kind of a list in the words that its screens use.
fn kind_of(list: &List) -> String {
    match list.processing_type.as_str() {
        "MANUAL" => "static".to_owned(),
        "DYNAMIC" => "active".to_owned(),
        "SNAPSHOT" => "snapshot".to_owned(),
        other => other.to_lowercase(),
    }
}

/// Refuses a batch that is larger than HubSpot takes.
fn within_batch(n_records: usize) -> Result<(), Error> {
    let most = request::BATCH;
    if u32::try_from(n_records).is_ok_and(|n_records| n_records <= most) {
        return Ok(());
    }
    Err(Error::new(
        Class::Bug,
        "batch_too_large",
        format!("{n_records} records in a batch of at most {most}"),
    ))
}

/// Refuses ids that cannot be HubSpot's, as from a file of another system.
fn are_record_ids(records: &[RecordId]) -> Result<(), Error> {
    let is_strange = |id: &&RecordId| ids::record_id(id.as_str()).is_none();
    let strange: Vec<RecordId> = records.iter().filter(is_strange).cloned().collect();
    let Some(first) = strange.first() else { return Ok(()) };
    let message = format!("\"{first}\" is no HubSpot record id, which is a whole number");
    Err(Error { records: strange, ..Error::new(Class::Rejected, "not_a_record_id", message) })
}

#[async_trait]
impl Crm for HubSpot {
    async fn account(&self) -> Result<Account, Error> {
        let details = self.details().await?;
        let request = request::account_usage(self.version);
        let usage = match self.call(&request).await {
            Ok(answer) => parse::<AccountUsage>(VENDOR, &request, &answer)?.results.into_iter().next(),
            // An OAuth app may not ask, and has no day's budget.
            Err(error) if matches!(error.class, Class::Configuration | Class::Gone) => None,
            Err(error) => return Err(error),
        };
        let id = details.portal_id.to_string();
        let kind = details.account_type.as_deref().map(str::to_lowercase).unwrap_or_default();
        Ok(Account {
            label: format!("HubSpot portal {id} {kind}").trim_end().to_owned(),
            id,
            time_zone: details.time_zone.unwrap_or_else(|| "UTC".to_owned()),
            ui_domain: details.ui_domain,
            daily_limit: usage.as_ref().and_then(|usage| usage.usage_limit),
            daily_used: usage.as_ref().and_then(|usage| usage.current_usage),
        })
    }

    fn learn_time_zone(&self, name: &str) {
        if let Ok(zone) = TimeZone::get(name) {
            self.zone.get_or_init(|| zone);
        }
    }

    fn limits(&self, _n_records: Option<u64>) -> Limits {
        Limits {
            id_page: request::MEMBERSHIP_PAGE,
            lists_values: false,
            read_batch: request::BATCH,
            write_batch: request::BATCH,
            write_call: request::BATCH,
            calls_per_write: 1,
            // The account and its usage, the catalog, a list found by its name and looked at again.
            looks: 5,
            costs: Costs::CALLS,
        }
    }

    async fn catalog(&self, object: &ObjectType) -> Result<Catalog, Error> {
        let type_id = type_id(object)?;
        let request = request::properties(self.version, type_id);
        let answer = self.call(&request).await?;
        let definitions: Definitions = parse(VENDOR, &request, &answer)?;
        Ok(Catalog { object: object.clone(), properties: catalog::definitions(type_id, definitions.results) })
    }

    async fn lists(&self) -> Result<Vec<ListInfo>, Error> {
        let lists = self.all_lists().await?;
        Ok(lists
            .into_iter()
            .map(|list| ListInfo {
                kind: kind_of(&list),
                size: list.size(),
                object: object_of(&list.object_type_id),
                id: ListId::from(list.list_id),
                name: list.name,
            })
            .collect())
    }

    async fn resolve(&self, object: &ObjectType, selection: &Selection) -> Result<ResolvedSlice, Error> {
        let not_here = |what: &str| {
            Err(Error::new(
                Class::Configuration,
                "selection_not_supported",
                format!("HubSpot's API has no {what}; name a `list`, or give a `filter`"),
            ))
        };
        match selection {
            Selection::List(list) => self.resolve_list(object, list).await,
            Selection::Filter(conditions) => self.resolve_filter(object, conditions).await,
            Selection::View(_) => not_here("saved views"),
            Selection::Query(_) => not_here("query language"),
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
        match Handle::of(slice)? {
            Handle::List(list) => self.member_page(&list, cursor).await,
            Handle::Filter(groups) => self.search_page(&slice.object, &groups, cursor).await,
        }
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
        within_batch(records.len())?;
        are_record_ids(records)?;
        let type_id = type_id(object)?;
        let request = request::batch_read(self.version, type_id, records, properties)?;
        let read = match self.call(&request).await {
            Ok(answer) => response::batch_read(&answer.body, properties)
                .map_err(|error| unreadable(VENDOR, &request, &answer, &error))?,
            // None of them is there: HubSpot says so in two ways.
            Err(error) if error.class == Class::Gone => {
                return self.account_for(type_id, none_of(records), Vec::new(), properties).await;
            }
            Err(error) => return Err(error),
        };
        let named: HashSet<RecordId> = read
            .errors
            .iter()
            .map(Complaint::of)
            .filter(|complaint| complaint.category.as_deref() == Some(NOT_FOUND))
            .flat_map(|complaint| complaint.ids)
            .collect();
        let mut asked: HashMap<&str, &RecordId> = records.iter().map(|id| (id.as_str(), id)).collect();
        // A record that nobody asked for is the survivor of one that somebody did.
        let found: Vec<Record> =
            read.results.into_iter().filter(|record| asked.remove(record.id.as_str()).is_some()).collect();
        let missing = asked
            .into_values()
            .map(|id| Missing { record: id.clone(), was_named: named.contains(id) })
            .collect();
        self.account_for(type_id, missing, found, properties).await
    }

    async fn write(
        &self,
        object: &ObjectType,
        _targets: &[&PropertyDef],
        updates: &[Update],
        _job: Option<&Job>,
    ) -> Result<Written, Error> {
        if updates.is_empty() {
            return Ok(Written::Answered(WriteAnswer::default()));
        }
        within_batch(updates.len())?;
        let type_id = type_id(object)?;
        let request = request::batch_update(self.version, type_id, updates)?;
        let mut exchanged = Vec::new();
        let settled = match self.call_about(&request, updates).await {
            Ok(answer) => {
                let settled = blame::settle(updates, &parse::<BatchUpdated<'_>>(VENDOR, &request, &answer)?);
                if !settled.refused.is_empty() {
                    exchanged.push(Exchanged::of(&request, &answer));
                }
                settled
            }
            // The whole batch was refused because of these.
            Err(error) if error.class == Class::Gone && !error.records.is_empty() => {
                blame::Settled { missing: error.records, ..blame::Settled::default() }
            }
            // Not told because of which: to be found by halving.
            Err(error) if error.class == Class::Gone => {
                return Err(Error { class: Class::Rejected, ..error });
            }
            Err(error) => return Err(error),
        };
        if let Some(fault) = settled.plan_fault() {
            return Err(fault);
        }
        let missing =
            settled.missing.into_iter().map(|record| Missing { record, was_named: true }).collect::<Vec<_>>();
        let mut written = WriteAnswer {
            confirmed: settled.confirmed,
            refused: settled.refused,
            exchanged,
            ..WriteAnswer::default()
        };
        // The rest of the batch is written: a look-up that fails must not lose that, and leaves its row unconfirmed.
        match self.look_up(type_id, missing, &[]).await {
            Ok(found) => written.gone.extend(found.into_iter().filter_map(|one| match one {
                LookUp::Gone(record, gone) => Some((record, gone)),
                LookUp::Found(_) => None,
            })),
            Err(error) => tracing::warn!(error = %error, "missing records not looked up"),
        }
        Ok(Written::Answered(written))
    }

    fn normalize(&self, property: &PropertyDef, value: &Value) -> Value {
        normalize::normalize(property, value)
    }

    fn check(&self, property: &PropertyDef, value: &Value, _known: &[&Properties]) -> Result<(), Refusal> {
        check::check(property, value)
    }

    fn record_address(&self, account: &Account, object: &ObjectType) -> Option<RecordAddress> {
        let domain = account.ui_domain.as_deref().unwrap_or(DEFAULT_UI_DOMAIN);
        let (type_id, record) = (type_id(object).ok()?, RecordAddress::RECORD);
        Some(RecordAddress::new(format!(
            "https://{domain}/contacts/{}/record/{type_id}/{record}",
            account.id
        )))
    }
}
