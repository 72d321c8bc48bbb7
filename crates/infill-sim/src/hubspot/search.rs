//! `POST /objects/{type}/search`: matching by an index that lags behind, rows from the live store.
//!
//! A record matches by the values it had when the index last saw it, so a new record is not found yet and an archived
//! one still counts. Rows show live values, so an archived record counts in `total` and has no row.

use std::cmp::Ordering;

use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, Refusal, push_string};
use super::catalog::Kind;
use super::filter::{Conditions, Filter, FilterGroup, measure};
use super::portal::Ask;
use super::read::{Selection, push_record};
use super::record::Record;
use super::store::{Found, Table};

const DEFAULT_PAGE: usize = 10;
const MAX_PAGE: usize = 200;
const MAX_RESULTS: usize = 10_000;
const MAX_BODY_CHARS: usize = 3_000;
const MAX_GROUPS: usize = 5;
const MAX_FILTERS_PER_GROUP: usize = 6;
const MAX_FILTERS: usize = 18;

/// What `query` looks through.
const QUERIED: [&str; 9] =
    ["firstname", "lastname", "email", "phone", "company", "name", "domain", "dealname", "subject"];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Search {
    #[serde(default)]
    filter_groups: Vec<FilterGroup>,
    /// Short for one group.
    #[serde(default)]
    filters: Vec<Filter>,
    #[serde(default)]
    sorts: Vec<Sort>,
    #[serde(default)]
    query: Option<String>,
    #[serde(default)]
    properties: Option<Vec<String>>,
    #[serde(default)]
    limit: Option<usize>,
    #[serde(default)]
    after: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Sort {
    Name(String),
    #[serde(rename_all = "camelCase")]
    Full {
        property_name: String,
        #[serde(default)]
        direction: Option<String>,
    },
}

impl Sort {
    /// The property and whether the greatest comes first. A minus before a bare name says so too.
    fn resolve(&self) -> (&str, bool) {
        match self {
            Self::Name(name) => name.strip_prefix('-').map_or((name, false), |name| (name, true)),
            Self::Full { property_name, direction } => (
                property_name,
                direction.as_deref().is_some_and(|word| word.eq_ignore_ascii_case("DESCENDING")),
            ),
        }
    }
}

fn check(request: &Search, body: &[u8]) -> Result<(usize, usize), Refusal> {
    let n_chars = String::from_utf8_lossy(body).chars().count();
    if n_chars > MAX_BODY_CHARS {
        let message =
            format!("The request body is {n_chars} characters long; the maximum is {MAX_BODY_CHARS}.");
        return Err(Refusal::validation(message));
    }
    let groups = &request.filter_groups;
    let too_many = |what: &str, count: usize, max: usize| {
        Err(Refusal::validation(format!("too many {what} (count: {count}, max allowed: {max})")))
    };
    if groups.len() > MAX_GROUPS {
        return too_many("filterGroups", groups.len(), MAX_GROUPS);
    }
    if let Some(group) = groups.iter().find(|group| group.filters.len() > MAX_FILTERS_PER_GROUP) {
        return too_many("filters in a filterGroup", group.filters.len(), MAX_FILTERS_PER_GROUP);
    }
    let n_filters = groups.iter().map(|group| group.filters.len()).sum();
    if n_filters > MAX_FILTERS {
        return too_many("filters", n_filters, MAX_FILTERS);
    }
    if request.sorts.len() > 1 {
        return too_many("sorts", request.sorts.len(), 1);
    }
    let limit = request.limit.unwrap_or(DEFAULT_PAGE);
    if limit > MAX_PAGE {
        let message = format!("The limit of {limit} is too large. The maximum page size is {MAX_PAGE}.");
        return Err(Refusal::validation(message));
    }
    let after = match &request.after {
        None | Some(Value::Null) => 0,
        Some(given) => {
            let number = given.as_str().map_or_else(|| given.to_string(), str::to_owned).parse::<usize>();
            number.map_err(|_| Refusal::validation(format!("after: {given} was not a valid integer.")))?
        }
    };
    if after + limit > MAX_RESULTS {
        let message = format!(
            "A search returns at most {MAX_RESULTS} results; after {after} with limit {limit} is beyond."
        );
        return Err(Refusal::validation(message));
    }
    Ok((limit, after))
}

/// Answers a search.
pub(crate) fn search(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let mut request: Search = ask.json()?;
    if !request.filters.is_empty() {
        let filters = std::mem::take(&mut request.filters);
        request.filter_groups.push(FilterGroup { filters });
    }
    let (limit, after) = check(&request, ask.body)?;
    let store = ask.portal.store();
    let table = ask.table(&store)?;
    let conditions = Conditions::resolve(&request.filter_groups, &table.catalog)
        .map_err(|nonsense| Refusal::validation(nonsense.0))?;
    let lag_ms = i64::try_from(ask.portal.config.index_lag.as_millis()).unwrap_or(i64::MAX);
    let seen_ms = ask.now_ms.saturating_sub(lag_ms);
    let query = request.query.as_deref().map(str::to_lowercase).filter(|query| !query.is_empty());
    let mut matches: Vec<&Record> = table
        .records()
        .iter()
        .filter(|record| is_indexed(table, record, seen_ms))
        .filter(|record| conditions.hold(record, &table.catalog, Some(seen_ms)))
        .filter(|record| query.as_ref().is_none_or(|query| is_queried(table, record, query)))
        .collect();
    if let Some(sort) = request.sorts.first() {
        order(table, &mut matches, sort)?;
    }
    let names: Vec<&str> = request.properties.iter().flatten().map(String::as_str).collect();
    let selection = Selection::new(table, names, []);
    let total = matches.len();
    let mut out = format!("{{\"total\":{total},\"results\":[").into_bytes();
    let mut is_first = true;
    for record in matches.into_iter().skip(after).take(limit).filter(|record| record.archived_ms.is_none()) {
        if !is_first {
            out.push(b',');
        }
        is_first = false;
        push_record(&mut out, ask.portal, table, record, &selection);
    }
    out.push(b']');
    let next = after + limit;
    if next < total && limit > 0 {
        out.extend_from_slice(b",\"paging\":{\"next\":{\"after\":");
        push_string(&mut out, &next.to_string());
        out.extend_from_slice(b"}}");
    }
    out.push(b'}');
    Ok(Answer::json(200, out))
}

/// Whether the index holds the record: made before, and not archived before.
fn is_indexed(table: &Table, record: &Record, seen_ms: i64) -> bool {
    record.created_ms <= seen_ms
        && record.archived_ms.is_none_or(|archived_ms| archived_ms > seen_ms)
        && !matches!(table.find(record.id), Found::Merged(_))
}

fn is_queried(table: &Table, record: &Record, query: &str) -> bool {
    QUERIED.iter().filter_map(|name| table.catalog.find(name)).any(|(id, _)| {
        record.value(&table.catalog, id).is_some_and(|value| value.to_lowercase().contains(query))
    })
}

fn order(table: &Table, matches: &mut [&Record], sort: &Sort) -> Result<(), Refusal> {
    let (name, is_descending) = sort.resolve();
    let Some((id, property)) = table.catalog.find(name) else {
        return Err(Refusal::validation(format!("property {name} does not exist"))
            .with("context", json!({"propertyName": [name]})));
    };
    // Records are kept in the order of their ids.
    if name != "hs_object_id" {
        let kind = property.kind;
        matches.sort_by_cached_key(|record| Key::of(kind, record.value(&table.catalog, id).as_deref()));
    }
    if is_descending {
        matches.reverse();
    }
    Ok(())
}

/// A sort key; records without a value come last.
#[derive(Debug, PartialEq)]
enum Key {
    Number(f64),
    Text(String),
    Nothing,
}

impl Key {
    fn of(kind: Kind, value: Option<&str>) -> Self {
        let Some(value) = value else { return Self::Nothing };
        match kind {
            Kind::Number | Kind::Date | Kind::Datetime => {
                measure(kind, value).map_or(Self::Nothing, Self::Number)
            }
            Kind::String | Kind::Enumeration | Kind::Bool => Self::Text(value.to_lowercase()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Number(_) => 0,
            Self::Text(_) => 1,
            Self::Nothing => 2,
        }
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Number(_) | Self::Text(_) | Self::Nothing, _) => self.rank().cmp(&other.rank()),
        }
    }
}
