//! Every request the connector makes, as a value, with what it costs.

use std::fmt;
use std::fmt::Write as _;

use infill_crm::Error;
use infill_crm::exchange::{Body, Bytes, Effect, Method, Request};
use infill_crm::meter::Meter;
use infill_model::{Class, PropertyName, RecordId, Value};
use serde_json::Map;

use crate::field::{ON_REQUEST, is_custom, record_key};
use crate::object::Object;

/// Records on one page of a list: Pipedrive's largest.
pub const PAGE: u32 = 500;
/// Records read by their ids in one call: Pipedrive's largest.
pub const IDS: u32 = 100;
/// Custom fields that can be asked for by name; with more, all are answered.
const MOST_CUSTOM_FIELDS: usize = 15;

/// A call that the connector makes, and the tokens that it costs of the company's day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// What the call is for, as a metric label.
    pub operation: &'static str,
    /// Tokens.
    pub tokens: u32,
}

/// Which company the login reaches.
pub const ME: Endpoint = Endpoint { operation: "me", tokens: 2 };
/// All filters.
pub const FILTERS: Endpoint = Endpoint { operation: "filters", tokens: 20 };
/// A page of fields.
pub const FIELDS: Endpoint = Endpoint { operation: "fields", tokens: 10 };
/// A page of fields, version 1.
pub const FIELDS_V1: Endpoint = Endpoint { operation: "fields", tokens: 20 };
/// A page of records.
pub const LIST: Endpoint = Endpoint { operation: "list", tokens: 10 };
/// A page of records, version 1.
pub const LIST_V1: Endpoint = Endpoint { operation: "list", tokens: 20 };
/// Records by their ids.
pub const READ: Endpoint = Endpoint { operation: "read", tokens: 10 };
/// One record, version 1.
pub const READ_ONE_V1: Endpoint = Endpoint { operation: "read_one", tokens: 2 };
/// The update of one record.
pub const UPDATE: Endpoint = Endpoint { operation: "update", tokens: 5 };
/// The update of one record, version 1.
pub const UPDATE_V1: Endpoint = Endpoint { operation: "update", tokens: 10 };

fn get(endpoint: Endpoint, path: String) -> Request {
    Request {
        operation: endpoint.operation,
        method: Method::Get,
        path,
        headers: Vec::new(),
        body: Body::Empty,
        meter: Meter::General,
        cost: endpoint.tokens,
        effect: Effect::Read,
    }
}

/// Which company the login reaches.
#[must_use]
pub fn me() -> Request {
    get(ME, "/v1/users/me".to_owned())
}

/// Every filter that the login may see.
#[must_use]
pub fn filters() -> Request {
    get(FILTERS, "/v1/filters".to_owned())
}

/// A page of an object's fields.
#[must_use]
pub fn fields(object: Object, cursor: Option<&str>) -> Request {
    let endpoint = if object.is_v1() { FIELDS_V1 } else { FIELDS };
    get(endpoint, paged(format!("{}?limit={PAGE}", object.fields_path()), object, cursor))
}

/// A page of the records that a filter selects, or of all, ascending by id, with these fields.
#[must_use]
pub fn list(object: Object, filter: Option<u64>, names: &[PropertyName], cursor: Option<&str>) -> Request {
    let (endpoint, order) =
        if object.is_v1() { (LIST_V1, "sort=id%20ASC") } else { (LIST, "sort_by=id&sort_direction=asc") };
    let mut path = format!("{}?limit={PAGE}&{order}", object.path());
    if let Some(filter) = filter {
        path.push_str(&format!("&filter_id={filter}"));
    }
    with_fields(&mut path, object, names);
    get(endpoint, paged(path, object, cursor))
}

/// Records by their ids, with these fields. Ids that are not there are left out of the answer.
#[must_use]
pub fn read(object: Object, records: &[RecordId], names: &[PropertyName]) -> Request {
    let ids: Vec<String> = records.iter().map(|id| Escaped(id.as_str()).to_string()).collect();
    let mut path = format!("{}?limit={PAGE}&ids={}", object.path(), ids.join(","));
    with_fields(&mut path, object, names);
    get(READ, path)
}

/// One record by its id, whole; for objects that cannot be read by several ids.
#[must_use]
pub fn read_one(object: Object, record: &RecordId) -> Request {
    get(READ_ONE_V1, format!("{}/{}", object.path(), Escaped(record.as_str())))
}

/// Updates one record: only the fields of the body change.
///
/// # Errors
/// `bug` when the body cannot be serialised.
pub fn update(object: Object, record: &RecordId, body: &Map<String, Value>) -> Result<Request, Error> {
    let endpoint = if object.is_v1() { UPDATE_V1 } else { UPDATE };
    let bytes = serde_json::to_vec(body).map_err(|error| {
        Error::new(Class::Bug, "request_not_built", format!("cannot serialise an update: {error}"))
    })?;
    Ok(Request {
        method: Method::Patch,
        headers: Vec::new(),
        body: Body::Json(Bytes::from(bytes)),
        effect: Effect::Write,
        ..get(endpoint, format!("{}/{}", object.path(), Escaped(record.as_str())))
    })
}

fn paged(mut path: String, object: Object, cursor: Option<&str>) -> String {
    if let Some(cursor) = cursor {
        let key = if object.is_v1() { "start" } else { "cursor" };
        path.push_str(&format!("&{key}={}", Escaped(cursor)));
    }
    path
}

/// Asks for no more custom fields than are wanted, and for built-in ones that are answered on request only.
fn with_fields(path: &mut String, object: Object, names: &[PropertyName]) {
    // Version 1 answers everything; products and activities know fewer parameters than the rest.
    let (takes_custom, takes_built_in) = match object {
        Object::Person | Object::Organization | Object::Deal => (true, true),
        Object::Product => (true, false),
        Object::Activity => (false, true),
        Object::Lead => (false, false),
    };
    let custom: Vec<&str> = names.iter().map(PropertyName::as_str).filter(|name| is_custom(name)).collect();
    if takes_custom && !custom.is_empty() && custom.len() <= MOST_CUSTOM_FIELDS {
        path.push_str(&format!("&custom_fields={}", custom.join(",")));
    }
    let on_request: Vec<&str> =
        names.iter().map(|name| record_key(name.as_str())).filter(|key| ON_REQUEST.contains(key)).collect();
    if takes_built_in && !on_request.is_empty() {
        path.push_str(&format!("&include_fields={}", on_request.join(",")));
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

    const HASH: &str = "9dc80c50d78a15643bfc4ca79d76156a73a1ca0e";

    #[test]
    fn a_list_is_asked_for_in_order_with_no_more_than_is_wanted() {
        let names = [HASH.into(), "name".into(), "notes_count".into()];
        let request = list(Object::Person, Some(7), &names, Some("a=b"));
        assert_eq!(
            request.path,
            format!(
                "/api/v2/persons?limit=500&sort_by=id&sort_direction=asc&filter_id=7&custom_fields={HASH}\
                 &include_fields=notes_count&cursor=a%3Db"
            )
        );
        assert_eq!((request.cost, request.effect), (10, Effect::Read));
        let leads = list(Object::Lead, None, &names, Some("500"));
        assert_eq!((leads.path.as_str(), leads.cost), ("/v1/leads?limit=500&sort=id%20ASC&start=500", 20));
    }

    #[test]
    fn more_custom_fields_than_can_be_named_are_not_named() {
        let many: Vec<PropertyName> = (0..16).map(|n| PropertyName::from(format!("{n:040x}"))).collect();
        let path = |names: &[PropertyName]| read(Object::Deal, &["1".into(), "2".into()], names).path;
        assert_eq!(path(&many), "/api/v2/deals?limit=500&ids=1,2");
        assert!(path(&many[..15]).contains("&custom_fields="));
        assert_eq!(
            read(Object::Activity, &["1".into()], &many[..1]).path,
            "/api/v2/activities?limit=500&ids=1"
        );
    }

    #[test]
    fn an_update_is_a_patch_of_one_record_and_an_id_cannot_leave_its_place() {
        let body = json!({"name": "x"});
        let request = update(Object::Person, &"1/../2".into(), body.as_object().unwrap()).unwrap();
        assert_eq!((request.method, request.path.as_str()), (Method::Patch, "/api/v2/persons/1%2F..%2F2"));
        assert_eq!((request.cost, request.effect), (5, Effect::Write));
        assert_eq!(update(Object::Lead, &"1".into(), &Map::new()).unwrap().cost, 10);
    }
}
