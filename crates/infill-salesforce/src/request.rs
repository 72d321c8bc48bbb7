//! Every request the connector makes, as a value.

mod job;

use std::fmt;
use std::str::FromStr;

use infill_crm::Error;
use infill_crm::exchange::{Body, Bytes, Effect, Method, Request};
use infill_crm::meter::Meter;
use infill_model::{Class, PropertyName, RecordId, Value};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Map;

pub use self::job::{
    JobKind, Results, close, ingest_results, job, make_ingest, make_query, query_results, upload,
};
use crate::id::Id;
use crate::soql;

/// Ids on one page of a listing: the largest page of a query.
pub const ID_PAGE: u32 = 2_000;
/// Records in one retrieve: Salesforce's largest.
pub const READ_BATCH: u32 = 2_000;
/// Records in one collection of an update: Salesforce's largest.
pub const COLLECTION: usize = 200;
/// Collections in one composite request, which counts as one request of the day: Salesforce's most.
pub const COLLECTIONS: usize = 5;
/// Ids in one look-up, which an address has room for.
pub const LOOK_UP: usize = 300;
/// Bytes of an address that are safe: it shares 16,384 with the headers, and a token may take 2,000.
const LONGEST_PATH: usize = 12_000;

/// When a record was last changed, by Salesforce's own automation too.
pub const CHANGED_AT: &str = "SystemModstamp";
/// Who last changed it.
pub const CHANGED_BY: &str = "LastModifiedById";

const AUTO_ASSIGN: &str = "Sforce-Auto-Assign";
const DUPLICATE_RULE: &str = "Sforce-Duplicate-Rule-Header";

/// Objects whose records can be merged, and so tell the survivor.
const MERGEABLE: [&str; 4] = ["Account", "Case", "Contact", "Lead"];

/// The version of the API that is spoken: `v68.0`. One per connection, so that an org's upgrade changes nothing by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiVersion(u16);

impl ApiVersion {
    /// The oldest with all that is used here; the duplicate rule header is the youngest of it.
    pub const OLDEST: Self = Self(52);
}

impl Default for ApiVersion {
    /// Winter '27.
    fn default() -> Self {
        Self(68)
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}.0", self.0)
    }
}

impl FromStr for ApiVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.strip_prefix('v').and_then(|text| text.strip_suffix(".0"));
        match number.and_then(|number| number.parse().ok()).map(Self) {
            Some(version) if version >= Self::OLDEST => Ok(version),
            Some(_) | None => Err(format!(
                "unknown API version \"{text}\"; write it as {}, and not below {}",
                Self::default(),
                Self::OLDEST
            )),
        }
    }
}

/// What is said with every update.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manners {
    /// Whether assignment rules run, which may give a lead or a case another owner. Said with every update, because they run when
    /// nothing is said.
    pub auto_assign: bool,
    /// Whether an update that a duplicate rule only warns of is saved.
    pub allow_duplicates: bool,
}

impl Manners {
    /// Whether nothing out of the ordinary is said. Anything else can only be said in headers, which jobs do not have.
    #[must_use]
    pub fn is_default(self) -> bool {
        self == Self::default()
    }

    /// The headers of every call. They may not reach the parts of a composite request, which say them again.
    #[must_use]
    pub fn headers(self) -> Vec<(&'static str, &'static str)> {
        let mut headers = vec![("Sforce-Call-Options", "client=infill"), (AUTO_ASSIGN, self.auto_assign())];
        headers.extend(self.duplicate_rule().map(|value| (DUPLICATE_RULE, value)));
        headers
    }

    const fn auto_assign(self) -> &'static str {
        if self.auto_assign { "TRUE" } else { "FALSE" }
    }

    fn duplicate_rule(self) -> Option<&'static str> {
        self.allow_duplicates.then_some("allowSave=true")
    }
}

/// One record of an update: what is sent, and whom the answer is about.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// The id as it is sent.
    pub id: Id,
    /// The id as the row has it.
    pub record: &'a RecordId,
    /// The fields to set, in the types that Salesforce wants.
    pub fields: Vec<(&'a PropertyName, Value)>,
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
        let message = format!("cannot serialise the body of {operation}: {error}");
        Error::new(Class::Bug, "request_not_built", message)
    })?;
    let (body, meter, effect) = (Body::Json(Bytes::from(bytes)), Meter::General, Effect::Read);
    Ok(Request { operation, method: Method::Post, path, headers: Vec::new(), body, meter, cost: 1, effect })
}

/// What the org may spend and has spent.
#[must_use]
pub fn limits(version: ApiVersion) -> Request {
    get("limits", format!("/services/data/{version}/limits"))
}

/// Which org the login reaches.
///
/// # Errors
/// Never; as [`query`].
pub fn organization(version: ApiVersion) -> Result<Request, Error> {
    query(version, "organization", "SELECT Id, Name, TimeZoneSidKey, IsSandbox FROM Organization")
}

/// Who is connected to which org, for users who may not see the object Organization. Not counted as a request.
#[must_use]
pub fn user_info() -> Request {
    let path = "/services/oauth2/userinfo".to_owned();
    Request { meter: Meter::Free, cost: 0, ..get("user_info", path) }
}

/// A query; `operation` says what for.
///
/// # Errors
/// `configuration` when it does not fit into an address.
pub fn query(version: ApiVersion, operation: &'static str, soql: &str) -> Result<Request, Error> {
    let path = format!("/services/data/{version}/query?q={}", Escaped(soql));
    if path.len() > LONGEST_PATH {
        let message = format!(
            "the query is {} bytes long in an address, and {LONGEST_PATH} are safe; make a list view in Salesforce \
             with its conditions, or split the plan",
            path.len()
        );
        return Err(Error::new(Class::Configuration, "query_too_long", message));
    }
    Ok(get(operation, path))
}

/// What became of records: deleted ones are found as well.
#[must_use]
pub fn look_up(version: ApiVersion, object: &str, ids: &[Id]) -> Request {
    let is_mergeable = MERGEABLE.iter().any(|name| name.eq_ignore_ascii_case(object));
    let survivor = if is_mergeable { ", MasterRecordId" } else { "" };
    let ids: Vec<String> = ids.iter().map(|id| soql::text(id.as_str())).collect();
    let soql = format!("SELECT Id, IsDeleted{survivor} FROM {object} WHERE Id IN {}", soql::list(&ids));
    get("look_up", format!("/services/data/{version}/queryAll?q={}", Escaped(&soql)))
}

/// The fields of an object.
#[must_use]
pub fn describe(version: ApiVersion, object: &str) -> Request {
    get("describe", format!("/services/data/{version}/sobjects/{object}/describe"))
}

/// The picklist values that records of a type take.
#[must_use]
pub fn picklists(version: ApiVersion, object: &str, record_type: Id) -> Request {
    let path = format!("/services/data/{version}/ui-api/object-info/{object}/picklist-values/{record_type}");
    get("picklists", path)
}

/// The names of all objects.
#[must_use]
pub fn objects(version: ApiVersion) -> Request {
    get("objects", format!("/services/data/{version}/sobjects"))
}

/// The list views of an object.
#[must_use]
pub fn list_views(version: ApiVersion, object: &str) -> Request {
    get("list_views", format!("/services/data/{version}/sobjects/{object}/listviews"))
}

/// The next page of list views, at the address that Salesforce named.
#[must_use]
pub fn more_list_views(path: &str) -> Request {
    get("list_views", path.to_owned())
}

/// The query of a list view.
#[must_use]
pub fn list_view(version: ApiVersion, object: &str, view: Id) -> Request {
    get("list_view", format!("/services/data/{version}/sobjects/{object}/listviews/{view}/describe"))
}

/// Reads records by id, exactly the fields named.
///
/// # Errors
/// `bug` when the body cannot be serialised.
pub fn retrieve(
    version: ApiVersion,
    object: &str,
    ids: &[Id],
    fields: &[PropertyName],
) -> Result<Request, Error> {
    #[derive(Serialize)]
    struct Retrieve<'a> {
        ids: Vec<&'a str>,
        fields: Vec<&'a str>,
    }
    let ids = ids.iter().map(Id::as_str).collect();
    let others = fields.iter().map(PropertyName::as_str).filter(|name| !name.eq_ignore_ascii_case("Id"));
    let fields = std::iter::once("Id").chain(others).collect();
    post(
        "retrieve",
        format!("/services/data/{version}/composite/sobjects/{object}"),
        &Retrieve { ids, fields },
    )
}

/// How the answer names the collection at a position.
#[must_use]
pub fn reference(nth: usize) -> String {
    format!("part{nth}")
}

/// Updates records by id, in collections of at most [`COLLECTION`], all in one request. What fails in one row or one collection
/// touches no other.
///
/// # Errors
/// `bug` when the body cannot be serialised.
pub fn update(
    version: ApiVersion,
    object: &str,
    manners: Manners,
    collections: &[&[Row<'_>]],
) -> Result<Request, Error> {
    let url = format!("/services/data/{version}/composite/sobjects");
    let parts = collections
        .iter()
        .enumerate()
        .map(|(nth, rows)| Part {
            method: "PATCH",
            url: &url,
            reference_id: reference(nth),
            http_headers: PartHeaders(manners),
            body: Collection {
                all_or_none: false,
                records: rows.iter().map(|row| Sent { object, row }).collect(),
            },
        })
        .collect();
    let composite = Composite { all_or_none: false, composite_request: parts };
    let path = format!("/services/data/{version}/composite");
    Ok(Request { effect: Effect::Write, ..post("update", path, &composite)? })
}

/// Creates one record or changes it; `place` is its address below the objects. What is said of assignment rules is said in any
/// case: they run when nothing is said.
///
/// # Errors
/// `bug` when the body cannot be serialised.
pub fn save_record(
    version: ApiVersion,
    operation: &'static str,
    method: Method,
    place: &Place<'_>,
    auto_assign: bool,
    fields: &Map<String, Value>,
) -> Result<Request, Error> {
    let headers = vec![(AUTO_ASSIGN, if auto_assign { "TRUE" } else { "FALSE" })];
    let request = post(operation, format!("/services/data/{version}/sobjects/{place}"), fields)?;
    Ok(Request { method, headers, effect: Effect::Write, ..request })
}

/// The id of a record that is named by a key field, and when it was created.
#[must_use]
pub fn find_by_key(version: ApiVersion, place: &Place<'_>) -> Request {
    get("find_by_key", format!("/services/data/{version}/sobjects/{place}?fields=Id,CreatedDate"))
}

/// An address below the objects.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// An object, to create a record of.
    Object(&'a str),
    /// A record of an object.
    Record(&'a str, Id),
    /// The record of an object whose field has this value.
    Keyed(&'a str, &'a str, &'a str),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(object) => f.write_str(object),
            Self::Record(object, id) => write!(f, "{object}/{id}"),
            Self::Keyed(object, field, value) => write!(f, "{object}/{field}/{}", Escaped(value)),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Composite<'a> {
    all_or_none: bool,
    composite_request: Vec<Part<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    method: &'static str,
    url: &'a str,
    reference_id: String,
    http_headers: PartHeaders,
    body: Collection<'a>,
}

/// The headers of a part, which takes over no others than those of the login.
struct PartHeaders(Manners);

impl Serialize for PartHeaders {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rule = self.0.duplicate_rule().map(|value| (DUPLICATE_RULE, value));
        serializer.collect_map([(AUTO_ASSIGN, self.0.auto_assign())].into_iter().chain(rule))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Collection<'a> {
    all_or_none: bool,
    records: Vec<Sent<'a>>,
}

/// A record as it is sent: its type, its id, and the fields to set, null to clear.
struct Sent<'a> {
    object: &'a str,
    row: &'a Row<'a>,
}

impl Serialize for Sent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Attributes<'a> {
            #[serde(rename = "type")]
            object: &'a str,
        }
        let mut map = serializer.serialize_map(Some(self.row.fields.len() + 2))?;
        map.serialize_entry("attributes", &Attributes { object: self.object })?;
        map.serialize_entry("id", self.row.id.as_str())?;
        for (name, value) in &self.row.fields {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Text as a value in the query of an address.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                write!(f, "{}", char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
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
    fn a_query_is_escaped_and_never_cut() {
        let request =
            query(ApiVersion::default(), "query", "SELECT Id FROM Contact WHERE x = 'a+b &é'").unwrap();
        assert_eq!(
            request.path,
            "/services/data/v68.0/query?q=SELECT%20Id%20FROM%20Contact%20WHERE%20x%20%3D%20%27a%2Bb%20%26%C3%A9%27"
        );
        let error = query(ApiVersion::default(), "query", &"x".repeat(12_000)).unwrap_err();
        assert_eq!((error.class, error.code.as_str()), (Class::Configuration, "query_too_long"));
    }

    #[test]
    fn the_largest_look_up_fits_into_an_address() {
        let ids = vec![Id::parse("003ak00000jvIfp").unwrap(); LOOK_UP];
        let request = look_up(ApiVersion::default(), "Contact", &ids);
        assert!(request.path.len() < LONGEST_PATH, "{}", request.path.len());
        assert!(request.path.contains("MasterRecordId"));
        assert!(!look_up(ApiVersion::default(), "Invoice__c", &ids).path.contains("MasterRecordId"));
    }

    #[test]
    fn an_update_says_its_manners_and_keeps_null_empty_and_absent_apart() {
        let (first, second): (RecordId, RecordId) = ("003ak00000jvIfp".into(), "003ak00000jvIfqAAE".into());
        let (title, phone): (PropertyName, PropertyName) = ("Title".into(), "Phone".into());
        let row = |record, fields| Row { id: Id::parse(RecordId::as_str(record)).unwrap(), record, fields };
        let rows = [
            row(&first, vec![(&title, json!(null)), (&phone, json!(""))]),
            row(&second, vec![(&phone, json!("1"))]),
        ];
        let manners = Manners { auto_assign: false, allow_duplicates: true };
        let request = update(ApiVersion::default(), "Contact", manners, &[&rows[..1], &rows[1..]]).unwrap();
        assert_eq!((request.effect, request.cost), (Effect::Write, 1));
        let part = |reference: &str, record: Value| {
            json!({
                "method": "PATCH",
                "url": "/services/data/v68.0/composite/sobjects",
                "referenceId": reference,
                "httpHeaders": {"Sforce-Auto-Assign": "FALSE", "Sforce-Duplicate-Rule-Header": "allowSave=true"},
                "body": {"allOrNone": false, "records": [record]},
            })
        };
        let contact = json!({"type": "Contact"});
        let id = "003ak00000jvIfpAAE";
        assert_eq!(
            body(&request),
            json!({"allOrNone": false, "compositeRequest": [
                part("part0", json!({"attributes": contact, "id": id, "Title": null, "Phone": ""})),
                part("part1", json!({"attributes": contact, "id": rows[1].id.as_str(), "Phone": "1"})),
            ]})
        );
    }

    #[test]
    fn the_id_is_read_once_whether_asked_for_or_not() {
        let ids = [Id::parse("003ak00000jvIfp").unwrap()];
        let request =
            retrieve(ApiVersion::default(), "Contact", &ids, &["id".into(), "Phone".into()]).unwrap();
        assert_eq!(body(&request), json!({"ids": ["003ak00000jvIfpAAE"], "fields": ["Id", "Phone"]}));
    }

    #[test]
    fn versions_are_written_as_salesforce_writes_them() {
        assert_eq!("v68.0".parse::<ApiVersion>().unwrap(), ApiVersion::default());
        for wrong in ["68", "v68", "v68.1", "v40.0", "latest"] {
            assert!(wrong.parse::<ApiVersion>().unwrap_err().contains("v68.0"), "{wrong}");
        }
    }
}
