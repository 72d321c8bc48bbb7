//! Reading records of version 2: pages by cursor, single records, and what of a record is shown.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::answer::{Answer, Refusal};
use super::company::Ask;
use super::entity::Entity;
use super::filter::Filter;
use super::store::{ME, Record, Store};
use super::value::whole_seconds;

/// Records of a page unless asked otherwise.
pub(crate) const DEFAULT_PAGE: usize = 100;
/// Most records of a page.
pub(crate) const MAX_PAGE: usize = 500;
/// Most ids that `ids` may name.
const MAX_IDS: usize = 100;
/// Most keys that `custom_fields` may name.
const MAX_CUSTOM_KEYS: usize = 15;
/// Deleted records are gone for good after 30 days.
const PURGED_AFTER_MS: i64 = 30 * 86_400_000;
/// Fields of persons that only companies with Contact Sync have.
const CONTACT_SYNC: [&str; 5] = ["postal_address", "notes", "im", "birthday", "job_title"];

/// The size of a page of version 2.
pub(crate) fn limit(ask: &Ask<'_>, max: usize) -> Result<usize, Refusal> {
    let Some(given) = ask.number("limit")? else { return Ok(DEFAULT_PAGE.min(max)) };
    let given = usize::try_from(given).unwrap_or(usize::MAX);
    if given == 0 || (given > max && ask.company.config.switches.refuses_large_pages) {
        return Err(ask.bad_parameter("limit", &format!("Expected a number from 1 to {max}")));
    }
    Ok(given.min(max))
}

/// Where a page begins: after this record in this order.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cursor {
    field: String,
    field_value: String,
    sort_direction: String,
    id: u64,
}

impl Cursor {
    fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    fn read(text: &str) -> Option<Self> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
    }
}

/// A cursor over a list that has no ids: the position of its next entry.
pub(crate) fn position(ask: &Ask<'_>) -> Result<usize, Refusal> {
    let Some(text) = ask.query.first("cursor").filter(|text| !text.is_empty()) else { return Ok(0) };
    let cursor = Cursor::read(text).and_then(|cursor| usize::try_from(cursor.id).ok());
    cursor.ok_or_else(|| ask.bad_parameter("cursor", "Invalid cursor"))
}

/// The cursor of the entry at a position.
pub(crate) fn at_position(position: usize) -> String {
    let id = u64::try_from(position).unwrap_or(u64::MAX);
    Cursor { field: "id".to_owned(), field_value: id.to_string(), sort_direction: "asc".to_owned(), id }
        .text()
}

/// What of a record is shown.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// Codes of custom fields; `None` is all.
    custom: Option<Vec<String>>,
    include: Vec<String>,
    option_labels: bool,
    labels: bool,
}

impl View {
    fn read(ask: &Ask<'_>) -> Result<Self, Refusal> {
        let owned = |name: &str| ask.query.list(name).into_iter().map(str::to_owned).collect::<Vec<_>>();
        let custom = ask.query.first("custom_fields").map(|_| owned("custom_fields"));
        if custom.as_ref().is_some_and(|keys| keys.len() > MAX_CUSTOM_KEYS) {
            let fault = format!("A maximum of {MAX_CUSTOM_KEYS} keys is allowed");
            return Err(ask.bad_parameter("custom_fields", &fault));
        }
        let include = owned("include_fields");
        if let Some(unknown) =
            include.iter().find(|name| !ask.endpoint.include_fields.contains(&name.as_str()))
        {
            return Err(ask.bad_parameter("include_fields", &format!("'{unknown}' is not allowed")));
        }
        let (option_labels, labels) =
            (ask.query.is_true("include_option_labels"), ask.query.is_true("include_labels"));
        Ok(Self { custom, include, option_labels, labels })
    }

    fn shows(&self, code: &str) -> bool {
        self.custom.as_ref().is_none_or(|keys| keys.iter().any(|key| key == code))
    }
}

/// A record as an answer of version 2 shows it.
pub(crate) fn show(ask: &Ask<'_>, store: &Store, record: &Record, view: &View) -> Value {
    let config = &ask.company.config;
    let mut shown = record.values.clone();
    for name in ["id", "add_time", "update_time"] {
        shown.insert(name.to_owned(), record.value(name));
    }
    shown.insert("is_deleted".to_owned(), record.deleted_ms.is_some().into());
    if ask.entity == Entity::Person {
        shown.remove("marketing_status");
        if !config.contact_sync {
            CONTACT_SYNC.iter().for_each(|name| {
                shown.remove(*name);
            });
        }
    }
    for name in &view.include {
        let value = match name.as_str() {
            name if name.ends_with("_count") => json!(0),
            _ => record.value(name),
        };
        shown.insert(name.clone(), value);
    }
    if view.labels
        && let Some(field) = store.field(ask.entity, "label_ids")
        && let Some(ids) = record.values.get("label_ids").and_then(Value::as_array)
    {
        shown.insert("labels".to_owned(), ids.iter().map(|id| field.labelled(id)).collect());
    }
    if ask.entity != Entity::Activity {
        shown.insert("custom_fields".to_owned(), custom_fields(ask, store, record, view));
    }
    Value::Object(shown)
}

fn custom_fields(ask: &Ask<'_>, store: &Store, record: &Record, view: &View) -> Value {
    let mut custom = Map::new();
    for field in store.custom(ask.entity).custom().filter(|field| view.shows(&field.code)) {
        let value = match (record.custom.get(&field.code), field.kind.as_str()) {
            (None, _) if ask.company.config.switches.omit_unset => continue,
            (None, _) => Value::Null,
            (Some(id), "enum") if view.option_labels => field.labelled(id),
            (Some(Value::Array(ids)), "set") if view.option_labels => {
                ids.iter().map(|id| field.labelled(id)).collect()
            }
            (Some(value), _) => value.clone(),
        };
        custom.insert(field.code.to_string(), value);
    }
    Value::Object(custom)
}

/// Which records a list is asked for.
pub(crate) struct Wanted<'s> {
    filter: Option<&'s Filter>,
    ids: Option<Vec<u64>>,
    /// Values that built-in fields must have.
    equal: Vec<(&'static str, Value)>,
    statuses: Vec<String>,
    since_ms: i64,
    until_ms: i64,
    archived: bool,
}

impl<'s> Wanted<'s> {
    /// Reads the query. A filter makes the other conditions ignored, but for the times.
    pub(crate) fn read(ask: &Ask<'_>, store: &'s Store, archived: bool) -> Result<Self, Refusal> {
        let time = |name: &str, else_ms: i64| match ask.query.first(name) {
            None => Ok(else_ms),
            Some(text) => whole_seconds(text)
                .ok_or_else(|| ask.bad_parameter(name, &format!("'{text}' is not a valid datetime"))),
        };
        let mut wanted = Self {
            filter: visible_filter(ask, store)?,
            ids: None,
            equal: Vec::new(),
            statuses: Vec::new(),
            since_ms: time("updated_since", i64::MIN)?,
            until_ms: time("updated_until", i64::MAX)?,
            archived,
        };
        if wanted.filter.is_some() {
            return Ok(wanted);
        }
        if ask.query.first("ids").is_some() {
            let ids = ask.query.list("ids");
            if ids.len() > MAX_IDS {
                return Err(ask.bad_parameter("ids", &format!("A maximum of {MAX_IDS} ids is allowed")));
            }
            let read =
                ids.iter().map(|id| id.parse().map_err(|_| ask.bad_parameter("ids", "Expected numbers")));
            wanted.ids = Some(read.collect::<Result<_, _>>()?);
        }
        for name in ["owner_id", "org_id", "person_id", "organization_id", "pipeline_id", "stage_id"] {
            if let Some(number) = ask.number(name)? {
                wanted.equal.push((name, number.into()));
            }
        }
        if let Some(deal) = ask.number("deal_id")? {
            if ask.entity == Entity::Person {
                let person = store.table(Entity::Deal).live(deal).and_then(|deal| deal.link("person_id"));
                wanted.ids = Some(person.into_iter().collect());
            } else {
                wanted.equal.push(("deal_id", deal.into()));
            }
        }
        if let Some(done) = ask.query.first("done") {
            wanted.equal.push(("done", Value::Bool(done == "true")));
        }
        wanted.statuses = ask.query.list("status").into_iter().map(str::to_owned).collect();
        Ok(wanted)
    }

    pub(crate) fn wants(&self, ask: &Ask<'_>, store: &Store, record: &Record) -> bool {
        let status = match record.deleted_ms {
            Some(deleted_ms) if ask.now_ms - deleted_ms >= PURGED_AFTER_MS => return false,
            Some(_) => "deleted",
            None => record.values.get("status").and_then(Value::as_str).unwrap_or_default(),
        };
        let is_of_status = if self.statuses.is_empty() {
            record.deleted_ms.is_none()
        } else {
            self.statuses.iter().any(|wanted| wanted == status)
        };
        is_of_status
            && record.is_archived() == self.archived
            && (self.since_ms..self.until_ms).contains(&record.updated_ms)
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&record.id))
            && self.equal.iter().all(|(name, value)| record.values.get(*name) == Some(value))
            && !(self.ids.is_some() && ask.effects.hides(&store.key(ask.entity, record.id)))
            && self.filter.is_none_or(|filter| filter.matches(store, record))
    }
}

/// The filter that the query names.
fn visible_filter<'s>(ask: &Ask<'_>, store: &'s Store) -> Result<Option<&'s Filter>, Refusal> {
    let Some(id) = ask.number("filter_id")? else { return Ok(None) };
    let filter = store.filters.get(&id).filter(|filter| filter.user_id == ME);
    let filter = filter.ok_or_else(|| Refusal::missing(ask.endpoint.version, 404, "Filter"))?;
    if filter.entity != ask.entity {
        return Err(ask.bad_parameter("filter_id", "The filter is of another type"));
    }
    Ok(Some(filter))
}

/// How a list is sorted.
struct Order {
    field: String,
    descending: bool,
}

impl Order {
    fn read(ask: &Ask<'_>) -> Result<Self, Refusal> {
        let field = ask.query.first("sort_by").unwrap_or("id");
        let is_known = matches!(field, "id" | "update_time" | "add_time")
            || (field == "due_date" && ask.entity == Entity::Activity)
            || (field == "name" && ask.entity == Entity::Product);
        if !is_known {
            return Err(ask.bad_parameter("sort_by", &format!("'{field}' is not allowed")));
        }
        let descending = match ask.query.first("sort_direction") {
            None | Some("asc") => false,
            Some("desc") => true,
            Some(word) => {
                return Err(ask.bad_parameter("sort_direction", &format!("'{word}' is not allowed")));
            }
        };
        Ok(Self { field: field.to_owned(), descending })
    }

    fn is_by_id(&self) -> bool {
        self.field == "id" && !self.descending
    }

    /// What a record is sorted by; numbers are padded, so that they sort as texts.
    fn key(&self, record: &Record) -> String {
        match self.field.as_str() {
            "id" => format!("{:020}", record.id),
            "add_time" => format!("{:020}", record.added_ms),
            "update_time" => format!("{:020}", record.updated_ms),
            name => record.value(name).as_str().unwrap_or_default().to_owned(),
        }
    }

    fn cursor(&self, after: &Record) -> Cursor {
        let sort_direction = if self.descending { "desc" } else { "asc" }.to_owned();
        Cursor { field: self.field.clone(), field_value: self.key(after), sort_direction, id: after.id }
    }
}

/// A page of records. Archived deals are listed apart.
pub(crate) fn list(ask: &Ask<'_>, archived: bool) -> Result<Answer, Refusal> {
    let (view, order, limit) = (View::read(ask)?, Order::read(ask)?, limit(ask, MAX_PAGE)?);
    let cursor = match ask.query.first("cursor").filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => Some(Cursor::read(text).ok_or_else(|| ask.bad_parameter("cursor", "Invalid cursor"))?),
    };
    let store = ask.company.store();
    let wanted = Wanted::read(ask, &store, archived)?;
    let table = store.table(ask.entity);
    let after_id = cursor.as_ref().filter(|_| order.is_by_id()).map_or(0, |cursor| cursor.id);
    let matching = table.records_after(after_id).iter().filter(|record| wanted.wants(ask, &store, record));
    let mut page: Vec<&Record> = if order.is_by_id() {
        matching.take(limit + 1).collect()
    } else {
        sorted(matching.collect(), &order, cursor.as_ref(), limit + 1)
    };
    let has_more = page.len() > limit;
    page.truncate(limit);
    let next = page.last().filter(|_| has_more).map(|last| order.cursor(last).text());
    let shown = page.iter().map(|record| show(ask, &store, record, &view)).collect();
    Ok(Answer::page(&shown, next))
}

fn sorted<'r>(
    mut records: Vec<&'r Record>,
    order: &Order,
    cursor: Option<&Cursor>,
    limit: usize,
) -> Vec<&'r Record> {
    records.sort_by_cached_key(|record| (order.key(record), record.id));
    if order.descending {
        records.reverse();
    }
    let is_past = |record: &&Record| {
        let Some(cursor) = cursor else { return true };
        let (here, there) = ((order.key(record), record.id), (cursor.field_value.clone(), cursor.id));
        if order.descending { here < there } else { here > there }
    };
    records.into_iter().filter(is_past).take(limit).collect()
}

/// One record.
pub(crate) fn get(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let store = ask.company.store();
    let id = ask.live_id(&store)?;
    let record = store.table(ask.entity).live(id).ok_or_else(|| ask.not_found())?;
    if ask.entity == Entity::Lead {
        return Ok(Answer::data(&store.lead(record)));
    }
    let view = View::read(ask)?;
    Ok(Answer::data(&show(ask, &store, record, &view)))
}
