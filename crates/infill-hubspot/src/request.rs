//! Every request the connector makes, as a value.

use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

use infill_crm::exchange::{Body, Bytes, Effect, Method, Request};
use infill_crm::meter::Meter;
use infill_crm::{Error, Update};
use infill_model::{Class, Properties, PropertyName, RecordId, Value};
use serde::ser::{SerializeMap, SerializeStruct};
use serde::{Deserialize, Serialize, Serializer};

use crate::slice::Filter;

/// Records in one batch read or batch update: HubSpot's largest.
pub const BATCH: u32 = 100;
/// Ids on one page of a list's members: HubSpot's largest.
pub const MEMBERSHIP_PAGE: u32 = 250;
/// Ids on one page of a search: HubSpot's largest.
pub const SEARCH_PAGE: u32 = 200;
/// Lists on one page of the list search: HubSpot's largest.
pub const LIST_PAGE: u32 = 500;
/// Characters of an address that HubSpot is sure to accept; it answers 414 at about 16,200.
const LONGEST_PATH: usize = 15_000;

/// The property that holds a record's id.
pub const RECORD_ID: &str = "hs_object_id";

/// Which version of HubSpot's API is spoken: one setting per connection, since the same update may pass in one
/// version and be refused in another (2026-09 enforces the rules an administrator set).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ApiVersion {
    /// The numbered API, unsupported from September 2027.
    #[serde(rename = "v3")]
    V3,
    /// March 2026.
    #[serde(rename = "2026-03")]
    V2026_03,
    /// September 2026.
    #[default]
    #[serde(rename = "2026-09")]
    V2026_09,
}

impl ApiVersion {
    /// Every version.
    pub const ALL: [Self; 3] = [Self::V3, Self::V2026_03, Self::V2026_09];

    /// As configurations and HubSpot's addresses spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V3 => "v3",
            Self::V2026_03 => "2026-03",
            Self::V2026_09 => "2026-09",
        }
    }

    /// The root of an area of the CRM: numbered versions stand before its name, dated ones after it.
    fn crm(self, area: &str) -> String {
        match self {
            Self::V3 => format!("/crm/v3/{area}"),
            Self::V2026_03 | Self::V2026_09 => format!("/crm/{area}/{}", self.as_str()),
        }
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ApiVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|version| version.as_str() == text)
            .ok_or_else(|| format!("unknown API version \"{text}\"; HubSpot's are v3, 2026-03 and 2026-09"))
    }
}

fn get(operation: &'static str, path: String) -> Request {
    let (meter, effect) = (Meter::General, Effect::Read);
    Request {
        operation,
        method: Method::Get,
        path,
        headers: Vec::new(),
        body: Body::Empty,
        meter,
        cost: 1,
        effect,
    }
}

fn post(operation: &'static str, path: String, body: &impl Serialize) -> Result<Request, Error> {
    let bytes = serde_json::to_vec(body).map_err(|error| {
        Error::new(
            Class::Bug,
            "request_not_built",
            format!("cannot serialise the body of {operation}: {error}"),
        )
    })?;
    let (meter, effect) = (Meter::General, Effect::Read);
    let body = Body::Json(Bytes::from(bytes));
    Ok(Request { operation, method: Method::Post, path, headers: Vec::new(), body, meter, cost: 1, effect })
}

/// Which account the token reaches.
#[must_use]
pub fn account_details(version: ApiVersion) -> Request {
    get("account_details", format!("/account-info/{version}/details"))
}

/// How much of the day is spent; answered to private apps and their successors only.
#[must_use]
pub fn account_usage(version: ApiVersion) -> Request {
    get("account_usage", format!("/account-info/{version}/api-usage/daily/private-apps"))
}

/// The property definitions of an object.
#[must_use]
pub fn properties(version: ApiVersion, type_id: &str) -> Request {
    get("properties", format!("{}/{type_id}", version.crm("properties")))
}

/// One page of all lists.
///
/// # Errors
/// `bug` when the body cannot be serialised.
pub fn search_lists(version: ApiVersion, offset: u64) -> Result<Request, Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Search {
        query: &'static str,
        count: u32,
        offset: u64,
        additional_properties: [&'static str; 1],
    }
    let body = Search { query: "", count: LIST_PAGE, offset, additional_properties: ["hs_list_size"] };
    post("lists_search", format!("{}/search", version.crm("lists")), &body)
}

/// The size of one list, which the list itself may not tell.
///
/// # Errors
/// `bug` when the body cannot be serialised.
pub fn list_size(version: ApiVersion, list: &str) -> Result<Request, Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Search<'a> {
        list_ids: [&'a str; 1],
        count: u32,
        offset: u64,
        additional_properties: [&'static str; 1],
    }
    let body = Search { list_ids: [list], count: 1, offset: 0, additional_properties: ["hs_list_size"] };
    post("lists_search", format!("{}/search", version.crm("lists")), &body)
}

/// A list by its id.
#[must_use]
pub fn list_by_id(version: ApiVersion, list: &str) -> Request {
    get("list", format!("{}/{}", version.crm("lists"), Escaped(list)))
}

/// A list by its name, whatever its case.
#[must_use]
pub fn list_by_name(version: ApiVersion, type_id: &str, name: &str) -> Request {
    get("list", format!("{}/object-type-id/{type_id}/name/{}", version.crm("lists"), Escaped(name)))
}

/// One page of a list's members, ascending by record id.
#[must_use]
pub fn memberships(version: ApiVersion, list: &str, after: Option<&str>) -> Request {
    let mut path = format!("{}/{}/memberships?limit={MEMBERSHIP_PAGE}", version.crm("lists"), Escaped(list));
    if let Some(after) = after {
        path.push_str("&after=");
        path.push_str(&Escaped(after).to_string());
    }
    get("memberships", path)
}

/// What a search asks for.
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// Any of the groups, in which all of the filters.
    pub groups: &'a [Vec<Filter>],
    /// Only records with a greater id.
    pub above: Option<&'a str>,
    /// Where to go on within the answers to the same question.
    pub after: Option<&'a str>,
    /// Results on a page.
    pub limit: u32,
}

/// One page of a search, ascending by record id.
///
/// # Errors
/// `bug` when the body cannot be serialised.
pub fn search(version: ApiVersion, type_id: &str, search: Search<'_>) -> Result<Request, Error> {
    let request =
        post("search", format!("{}/{type_id}/search", version.crm("objects")), &SearchBody(search))?;
    Ok(Request { meter: Meter::Search, ..request })
}

/// The length of the body that [`search`] would send, in bytes.
///
/// # Errors
/// `bug` when the body cannot be serialised.
pub fn search_body_length(search: Search<'_>) -> Result<usize, Error> {
    match post("search", String::new(), &SearchBody(search))?.body {
        Body::Json(bytes) => Ok(bytes.len()),
        Body::Empty | Body::Csv(_) | Body::Form(_) => Ok(0),
    }
}

struct SearchBody<'a>(Search<'a>);

impl Serialize for SearchBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Group<'a> {
            filters: Vec<&'a Filter>,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Sort {
            property_name: &'static str,
            direction: &'static str,
        }
        let above = self.0.above.map(Filter::id_above);
        let groups: Vec<Group<'_>> = match (&above, self.0.groups) {
            (Some(above), []) => vec![Group { filters: vec![above] }],
            (above, groups) => {
                groups.iter().map(|group| Group { filters: group.iter().chain(above).collect() }).collect()
            }
        };
        let mut body = serializer.serialize_struct("Search", 5)?;
        body.serialize_field("filterGroups", &groups)?;
        body.serialize_field("sorts", &[Sort { property_name: RECORD_ID, direction: "ASCENDING" }])?;
        body.serialize_field("properties", &[RECORD_ID])?;
        body.serialize_field("limit", &self.0.limit)?;
        if let Some(after) = self.0.after {
            body.serialize_field("after", after)?;
        }
        body.end()
    }
}

/// Reads records by id, exactly the properties named.
///
/// # Errors
/// `bug` when the body cannot be serialised.
pub fn batch_read(
    version: ApiVersion,
    type_id: &str,
    records: &[RecordId],
    properties: &[PropertyName],
) -> Result<Request, Error> {
    #[derive(Serialize)]
    struct Read<'a> {
        inputs: Vec<Input<'a>>,
        properties: &'a [PropertyName],
    }
    #[derive(Serialize)]
    struct Input<'a> {
        id: &'a RecordId,
    }
    let body = Read { inputs: records.iter().map(|id| Input { id }).collect(), properties };
    post("batch_read", format!("{}/{type_id}/batch/read", version.crm("objects")), &body)
}

/// One record by id, to tell a deleted one from a merged one. Asks for the properties too, unless they do not
/// fit into an address.
#[must_use]
pub fn single_read(
    version: ApiVersion,
    type_id: &str,
    record: &RecordId,
    properties: &[PropertyName],
) -> (Request, Asked) {
    let base = format!("{}/{type_id}/{}", version.crm("objects"), Escaped(record.as_str()));
    let mut path = format!("{base}?properties={RECORD_ID}");
    for property in properties {
        path.push(',');
        path.push_str(&Escaped(property.as_str()).to_string());
    }
    if path.len() <= LONGEST_PATH {
        return (get("single_read", path), Asked::Properties);
    }
    (get("single_read", format!("{base}?properties={RECORD_ID}")), Asked::IdOnly)
}

/// What a [`single_read`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Every property named.
    Properties,
    /// Only whether the record is there.
    IdOnly,
}

/// Updates records by record id, never by another property, with a trace id per input: the record id again, so
/// that an error names its row.
///
/// # Errors
/// `bug` when the body cannot be serialised.
pub fn batch_update(version: ApiVersion, type_id: &str, updates: &[Update]) -> Result<Request, Error> {
    #[derive(Serialize)]
    struct Batch<'a> {
        inputs: Vec<Input<'a>>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Input<'a> {
        id: &'a RecordId,
        properties: Sent<'a>,
        object_write_trace_id: &'a RecordId,
    }
    let inputs = updates
        .iter()
        .map(|update| Input {
            id: &update.record,
            properties: Sent(&update.properties),
            object_write_trace_id: &update.record,
        })
        .collect();
    let path = format!("{}/{type_id}/batch/update", version.crm("objects"));
    Ok(Request { effect: Effect::Write, ..post("batch_update", path, &Batch { inputs })? })
}

/// Properties as HubSpot takes them: every value as text, and the empty text to clear.
struct Sent<'a>(&'a Properties);

impl Serialize for Sent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            match value {
                Value::String(text) => map.serialize_entry(name, text)?,
                Value::Null => map.serialize_entry(name, "")?,
                Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                    map.serialize_entry(name, &sent_text(value))?;
                }
            }
        }
        map.end()
    }
}

/// A value as the text that is sent for it; the items of an array become a multiple choice.
#[must_use]
pub fn sent_text(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(infill_model::value::to_text).collect();
            items.join(";")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            infill_model::value::to_text(value)
        }
    }
}

/// Text as one segment of a path or one value of a query: all but unreserved characters percent-encoded.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    f.write_char(char::from(byte))?;
                }
                _ => write!(f, "%{byte:02X}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(request: &Request) -> Value {
        match &request.body {
            Body::Json(bytes) => serde_json::from_slice(bytes).unwrap(),
            Body::Empty | Body::Csv(_) | Body::Form(_) => Value::Null,
        }
    }

    #[test]
    fn each_version_has_its_own_addresses() {
        for (version, objects, lists, account) in [
            ("v3", "/crm/v3/objects/0-1/batch/read", "/crm/v3/lists/42", "/account-info/v3/details"),
            (
                "2026-03",
                "/crm/objects/2026-03/0-1/batch/read",
                "/crm/lists/2026-03/42",
                "/account-info/2026-03/details",
            ),
            (
                "2026-09",
                "/crm/objects/2026-09/0-1/batch/read",
                "/crm/lists/2026-09/42",
                "/account-info/2026-09/details",
            ),
        ] {
            let version: ApiVersion = version.parse().unwrap();
            assert_eq!(batch_read(version, "0-1", &[], &[]).unwrap().path, objects);
            assert_eq!(list_by_id(version, "42").path, lists);
            assert_eq!(account_details(version).path, account);
        }
        assert!("v4".parse::<ApiVersion>().unwrap_err().contains("2026-09"));
        assert_eq!(ApiVersion::default(), ApiVersion::V2026_09);
    }

    #[test]
    fn a_name_cannot_leave_its_place_in_an_address() {
        let request = list_by_name(ApiVersion::V3, "0-1", "Zoë/../a?b&c #1");
        assert_eq!(request.path, "/crm/v3/lists/object-type-id/0-1/name/Zo%C3%AB%2F..%2Fa%3Fb%26c%20%231");
        assert_eq!(
            memberships(ApiVersion::V3, "42", Some("Mg==")).path,
            "/crm/v3/lists/42/memberships?limit=250&after=Mg%3D%3D"
        );
    }

    #[test]
    fn an_update_goes_by_record_id_with_a_trace_and_every_value_as_text() {
        let update = Update {
            record: "101".into(),
            properties: Properties::from([
                ("a".into(), json!("O'Brien \"x\"\n`y`")),
                ("b".into(), json!(null)),
                ("c".into(), json!(12.5)),
                ("d".into(), json!(true)),
                ("e".into(), json!(["x", "y"])),
            ]),
        };
        let request = batch_update(ApiVersion::V2026_09, "0-1", &[update]).unwrap();
        assert_eq!(request.effect, Effect::Write);
        assert_eq!(
            body(&request),
            json!({"inputs": [{
                "id": "101",
                "objectWriteTraceId": "101",
                "properties": {"a": "O'Brien \"x\"\n`y`", "b": "", "c": "12.5", "d": "true", "e": "x;y"},
            }]})
        );
    }

    #[test]
    fn a_search_narrows_every_group_by_the_id_and_sorts_by_it() {
        let groups = [
            vec![Filter::with_value("city", "EQ", "Bonn")],
            vec![Filter::without_value("phone", "HAS_PROPERTY")],
        ];
        let ask = Search { groups: &groups, above: Some("900"), after: Some("200"), limit: 200 };
        let request = search(ApiVersion::V2026_09, "0-1", ask).unwrap();
        assert_eq!(request.meter, Meter::Search);
        let above = json!({"propertyName": "hs_object_id", "operator": "GT", "value": "900"});
        assert_eq!(
            body(&request),
            json!({
                "filterGroups": [
                    {"filters": [{"propertyName": "city", "operator": "EQ", "value": "Bonn"}, above]},
                    {"filters": [{"propertyName": "phone", "operator": "HAS_PROPERTY"}, above]},
                ],
                "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
                "properties": ["hs_object_id"],
                "limit": 200,
                "after": "200",
            })
        );
    }

    #[test]
    fn a_single_read_leaves_out_properties_that_do_not_fit_into_an_address() {
        let record = RecordId::from("7");
        let (request, asked) = single_read(ApiVersion::V3, "0-1", &record, &["city".into()]);
        assert_eq!(request.path, "/crm/v3/objects/0-1/7?properties=hs_object_id,city");
        assert_eq!(asked, Asked::Properties);
        let many: Vec<PropertyName> =
            (0..2_000).map(|n| PropertyName::from(format!("property_{n}"))).collect();
        let (request, asked) = single_read(ApiVersion::V3, "0-1", &record, &many);
        assert_eq!(
            (request.path.as_str(), asked),
            ("/crm/v3/objects/0-1/7?properties=hs_object_id", Asked::IdOnly)
        );
    }
}
