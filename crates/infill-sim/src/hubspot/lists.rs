//! The lists API: search, by id, by name, and the pages of members.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::{Answer, Refusal, push_timestamp, timestamp};
use super::batch::id_text;
use super::filter::branch;
use super::list::{List, Member, Processing};
use super::portal::{Ask, object};
use super::read::page_limit;
use crate::fault::mix;

const DEFAULT_SEARCH: usize = 20;
const MAX_SEARCH: usize = 500;
const DEFAULT_MEMBERS: usize = 100;
const MAX_MEMBERS: usize = 250;

fn missing(what: &str) -> Refusal {
    Refusal::new(404, "OBJECT_NOT_FOUND", format!("List does not exist with {what}."))
        .with("subCategory", "ListError.LIST_DOES_NOT_EXIST".into())
}

/// Lists of some object types exist and cannot be read.
fn refuse_unreadable(list: &List) -> Result<(), Refusal> {
    if object(list.type_id).is_some() {
        return Ok(());
    }
    let message =
        format!("List {} has object type {}, which this API does not support.", list.id, list.type_id);
    Err(Refusal::validation(message).with("subCategory", "ListError.INVALID_OBJECT_TYPE_FOR_LIST".into()))
}

fn body(ask: &Ask<'_>, list: &List, is_look: bool, with_filters: bool) -> Value {
    let status = if ask.board.is_processing(&list.id, is_look) { "PROCESSING" } else { "COMPLETE" };
    let mut body = json!({
        "listId": list.id, "name": list.name, "objectTypeId": list.type_id,
        "processingType": list.processing.as_str(), "processingStatus": status, "listVersion": list.version,
        "createdAt": timestamp(list.created_ms), "updatedAt": timestamp(list.updated_ms),
        "filtersUpdatedAt": timestamp(list.created_ms), "createdById": "9001", "updatedById": "9001",
        "size": list.members.len(),
        "additionalProperties": {"hs_list_size": list.members.len().to_string()},
    });
    if with_filters
        && !list.groups.is_empty()
        && let Some(body) = body.as_object_mut()
    {
        body.insert("filterBranch".to_owned(), branch(&list.groups));
    }
    body
}

/// `GET /lists/{id}` and `GET /lists/object-type-id/{type}/name/{name}`, whose name is compared without case.
pub(crate) fn get(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let store = ask.portal.store();
    let key = ask.call.key();
    let list = match &ask.call.object {
        None => store.lists.get(key).ok_or_else(|| missing(&format!("ID {key}")))?,
        Some(type_name) => {
            let type_id = object(type_name).map_or(type_name.as_str(), |object| object.type_id);
            let is_it =
                |list: &&List| list.type_id == type_id && list.name.to_lowercase() == key.to_lowercase();
            store.lists.all().iter().find(is_it).ok_or_else(|| missing(&format!("name {key}")))?
        }
    };
    refuse_unreadable(list)?;
    let list = body(ask, list, true, ask.query.is_true("includeFilters"));
    Ok(Answer::value(200, &json!({"list": list})))
}

/// `GET /lists?listIds=1&listIds=2`; ids that do not exist are left out.
pub(crate) fn many(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let store = ask.portal.store();
    let with_filters = ask.query.is_true("includeFilters");
    let found = ask.query.list("listIds").into_iter().filter_map(|id| store.lists.get(id));
    let lists: Vec<Value> = found.map(|list| body(ask, list, true, with_filters)).collect();
    Ok(Answer::value(200, &json!({"lists": lists})))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Search {
    #[serde(default)]
    query: Option<String>,
    #[serde(default)]
    list_ids: Option<Vec<Value>>,
    #[serde(default)]
    processing_types: Option<Vec<String>>,
    #[serde(default)]
    object_type_id: Option<String>,
    #[serde(default)]
    count: Option<usize>,
    #[serde(default)]
    offset: Option<usize>,
    #[serde(default)]
    limit: Option<usize>,
    #[serde(default)]
    after: Option<String>,
}

impl Search {
    fn check(&self) -> Result<(), Refusal> {
        let known = [Processing::Manual, Processing::Dynamic, Processing::Snapshot].map(Processing::as_str);
        let mut types = self.processing_types.iter().flatten();
        match types.find(|word| !known.contains(&word.as_str())) {
            None => Ok(()),
            Some(word) => Err(Refusal::validation(format!("{word} is not a processing type"))
                .with("subCategory", "ListError.INVALID_PROCESSING_TYPE".into())),
        }
    }

    fn matches(&self, list: &List) -> bool {
        let is_named = |query: &String| list.name.to_lowercase().contains(&query.to_lowercase());
        let is_listed = |ids: &Vec<Value>| ids.is_empty() || ids.iter().any(|id| id_text(id) == list.id);
        let is_typed = |types: &Vec<String>| {
            types.is_empty() || types.iter().any(|word| word == list.processing.as_str())
        };
        self.query.as_ref().is_none_or(is_named)
            && self.list_ids.as_ref().is_none_or(is_listed)
            && self.processing_types.as_ref().is_none_or(is_typed)
            && self.object_type_id.as_ref().is_none_or(|type_id| type_id == list.type_id)
    }

    /// Stands for the conditions, so that a cursor fits one search only.
    fn fingerprint(&self) -> u64 {
        let text = format!(
            "{:?}{:?}{:?}{:?}",
            self.query, self.list_ids, self.processing_types, self.object_type_id
        );
        text.bytes().fold(0, |hash, byte| mix(hash ^ u64::from(byte)))
    }
}

/// `POST /lists/search`, paged by offset.
pub(crate) fn search(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let request: Search = ask.json()?;
    request.check()?;
    let count = request.count.unwrap_or(DEFAULT_SEARCH);
    if count > MAX_SEARCH {
        return Err(Refusal::validation(format!("count must be at most {MAX_SEARCH}, was {count}")));
    }
    let offset = request.offset.unwrap_or(0);
    let store = ask.portal.store();
    let found: Vec<&List> = store.lists.all().iter().filter(|list| request.matches(list)).collect();
    let page: Vec<Value> =
        found.iter().skip(offset).take(count).map(|list| body(ask, list, true, false)).collect();
    let next = offset + page.len();
    Ok(Answer::value(
        200,
        &json!({"lists": page, "hasMore": next < found.len(), "offset": next, "total": found.len()}),
    ))
}

/// `POST /lists/all` of 2026-09, paged by a cursor that is good for the same conditions only.
pub(crate) fn all(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let request: Search = ask.json()?;
    request.check()?;
    let limit = request.limit.or(request.count).unwrap_or(DEFAULT_SEARCH).clamp(1, MAX_SEARCH);
    let after = match &request.after {
        None => 0,
        Some(cursor) => {
            let decoded = BASE64.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let parts = decoded.as_deref().and_then(|text| text.split_once(':'));
            let own = request.fingerprint().to_string();
            let last = parts.filter(|(of, _)| *of == own).and_then(|(_, last)| last.parse::<u64>().ok());
            last.ok_or_else(|| {
                Refusal::validation("The cursor does not belong to these filters")
                    .with("subCategory", "INVALID_CURSOR".into())
            })?
        }
    };
    let store = ask.portal.store();
    let numbered = |list: &List| list.id.parse::<u64>().unwrap_or(0);
    let mut found: Vec<&List> =
        store.lists.all().iter().filter(|list| request.matches(list) && numbered(list) > after).collect();
    found.sort_by_key(|list| numbered(list));
    let page: Vec<Value> = found.iter().take(limit).map(|list| body(ask, list, true, false)).collect();
    let mut answer = json!({"results": page});
    let last = found.get(limit.saturating_sub(1)).filter(|_| found.len() > limit);
    if let (Some(answer), Some(last)) = (answer.as_object_mut(), last) {
        let cursor = BASE64.encode(format!("{}:{}", request.fingerprint(), last.id));
        answer.insert("paging".to_owned(), json!({"next": {"after": cursor}}));
    }
    Ok(Answer::value(200, &answer))
}

/// A paging token of the members' pages.
fn token(text: &str) -> Result<u64, Refusal> {
    let decoded = BASE64.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let number = decoded.and_then(|text| text.parse().ok());
    number.ok_or_else(|| Refusal::validation(format!("{text} is not a valid paging token")))
}

/// `GET /lists/{id}/memberships`, by record id, and `.../join-order`, by the time of joining. Ascending from `after`,
/// descending from `before`; `after` wins.
pub(crate) fn members(ask: &Ask<'_>, by_join: bool) -> Result<Answer, Refusal> {
    let limit = page_limit(ask.query.first("limit"), DEFAULT_MEMBERS, MAX_MEMBERS)?;
    let after = ask.query.first("after").map(token).transpose()?;
    let before = ask.query.first("before").map(token).transpose()?.filter(|_| after.is_none());
    let store = ask.portal.store();
    let key = ask.call.key();
    let list = store.lists.get(key).ok_or_else(|| missing(&format!("ID {key}")))?;
    refuse_unreadable(list)?;
    let members = &list.members;
    let is_processing = !ask.board.is_empty() && ask.board.is_processing(&list.id, false);
    let n_shown = if is_processing { members.n_joined() / 2 } else { u32::MAX };
    // One more than the page tells whether there is another.
    let mut rows: Vec<Member> = if by_join {
        let place = |at: u64| u32::try_from(at).unwrap_or(u32::MAX);
        match before {
            Some(before) => members.joined_backwards(..place(before), limit + 1),
            None => {
                let from = place(after.unwrap_or(0)).saturating_add(1);
                if from > n_shown { Vec::new() } else { members.joined(from..=n_shown, limit + 1) }
            }
        }
    } else {
        match before {
            Some(before) => members.descending(..before, limit + 1, n_shown),
            None => members.ascending(after.unwrap_or(0).saturating_add(1).., limit + 1, n_shown),
        }
    };
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    Ok(Answer::json(200, page(ask, list, &rows, by_join, before.is_some(), has_more)))
}

fn page(
    ask: &Ask<'_>,
    list: &List,
    rows: &[Member],
    by_join: bool,
    is_backwards: bool,
    has_more: bool,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + rows.len() * 80);
    out.extend_from_slice(b"{\"results\":[");
    for (idx, member) in rows.iter().enumerate() {
        out.extend_from_slice(if idx > 0 { b",{\"recordId\":\"" } else { b"{\"recordId\":\"" });
        out.extend_from_slice(member.record.to_string().as_bytes());
        out.extend_from_slice(b"\",\"membershipTimestamp\":\"");
        push_timestamp(&mut out, member.at_ms);
        out.extend_from_slice(b"\"}");
    }
    out.extend_from_slice(format!("],\"total\":{}", list.members.len()).as_bytes());
    let cursor = |member: &Member| {
        let at = if by_join { u64::from(member.place) } else { member.record };
        BASE64.encode(at.to_string())
    };
    let path = if by_join { "memberships/join-order" } else { "memberships" };
    let link = |key: &str, cursor: &str| {
        let cursor = cursor.replace('=', "%3D");
        format!("{}/crm/v3/lists/{}/{path}?{key}={cursor}", ask.portal.base_url, list.id)
    };
    let is_first = ask.query.first("after").is_none() && !is_backwards;
    let (earlier, later) =
        if is_backwards { (rows.last(), rows.first()) } else { (rows.first(), rows.last()) };
    let mut paging = Map::new();
    if let Some(later) = later.map(cursor).filter(|_| has_more || is_backwards) {
        paging.insert("next".to_owned(), json!({"after": later, "link": link("after", &later)}));
    }
    if let Some(earlier) = earlier.map(cursor).filter(|_| !is_first && (has_more || !is_backwards)) {
        paging.insert("prev".to_owned(), json!({"before": earlier, "link": link("before", &earlier)}));
    }
    if !paging.is_empty() {
        out.extend_from_slice(b",\"paging\":");
        out.extend_from_slice(Value::Object(paging).to_string().as_bytes());
    }
    out.push(b'}');
    out
}

/// `PUT /lists/{id}/memberships/add` and `.../remove`, of MANUAL and SNAPSHOT lists only.
pub(crate) fn change(ask: &Ask<'_>, is_add: bool) -> Result<Answer, Refusal> {
    let ids: Vec<Value> = ask.json()?;
    let ids: Vec<String> = ids.iter().map(id_text).collect();
    ask.portal.change(|store| {
        let key = ask.call.key();
        let type_id = store.lists.get(key).ok_or_else(|| missing(&format!("ID {key}")))?.type_id;
        let (table, lists) = store.table_and_lists(type_id);
        let list = lists.get_mut(key).ok_or_else(|| missing(&format!("ID {key}")))?;
        refuse_unreadable(list)?;
        if list.processing == Processing::Dynamic {
            return Err(Refusal::validation(format!(
                "List {key} is DYNAMIC; its members follow its filters"
            ))
            .with("subCategory", "ListError.INVALID_PROCESSING_TYPE".into()));
        }
        let is_there =
            |id: &str| id.parse().ok().filter(|id| table.is_some_and(|table| table.live(*id).is_some()));
        let mut changed = Vec::new();
        let mut unknown = Vec::new();
        for text in ids {
            match is_there(&text) {
                None => unknown.push(text),
                Some(id) if is_add && list.members.add(id, ask.now_ms) => changed.push(text),
                Some(id) if !is_add && list.members.remove(id) => changed.push(text),
                Some(_) => {}
            }
        }
        if !changed.is_empty() {
            list.changed(ask.now_ms);
        }
        let (added, removed) = if is_add { (changed, Vec::new()) } else { (Vec::new(), changed) };
        Ok(Answer::value(
            200,
            &json!({"recordsIdsAdded": added, "recordIdsRemoved": removed, "recordIdsMissing": unknown}),
        ))
    })
}
