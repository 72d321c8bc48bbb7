//! From a method and a path to the operation that is asked for.

use std::fmt;
use std::str::FromStr;

use crate::query::percent_decode;
use crate::word::UnknownWord;

/// What a call asks for. The words are those of reports and fault specifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// `GET /services/data`
    Versions,
    /// `GET /services/data/vN`
    Resources,
    /// `POST /services/oauth2/token`
    OauthToken,
    /// `POST /services/oauth2/revoke`
    OauthRevoke,
    /// `GET /services/oauth2/userinfo`
    Userinfo,
    /// `GET /id/{org}/{user}`
    Identity,
    /// `GET /limits`
    Limits,
    /// `GET /sobjects`
    DescribeGlobal,
    /// `GET /sobjects/{object}/describe`
    Describe,
    /// `GET /ui-api/object-info/{object}/picklist-values/{recordTypeId}`
    PicklistValues,
    /// `GET /query?q=`
    Query,
    /// `GET /queryAll?q=`
    QueryAll,
    /// `GET /query/{locator}`
    QueryMore,
    /// `GET /sobjects/{object}/listviews`
    ListViews,
    /// `GET /sobjects/{object}/listviews/{id}/describe`
    ListViewDescribe,
    /// `GET /sobjects/{object}/listviews/{id}/results`
    ListViewResults,
    /// `GET /sobjects/{object}/{id}`, and by an external id
    RecordGet,
    /// `POST /sobjects/{object}`
    RecordCreate,
    /// `PATCH /sobjects/{object}/{id}`
    RecordUpdate,
    /// `PATCH /sobjects/{object}/{field}/{value}`
    RecordUpsert,
    /// `DELETE /sobjects/{object}/{id}`
    RecordDelete,
    /// `POST /composite/sobjects/{object}`, and `GET` with `ids`
    CollectionsRetrieve,
    /// `POST /composite/sobjects`
    CollectionsCreate,
    /// `PATCH /composite/sobjects`
    CollectionsUpdate,
    /// `PATCH /composite/sobjects/{object}/{field}`
    CollectionsUpsert,
    /// `DELETE /composite/sobjects?ids=`
    CollectionsDelete,
    /// `POST /composite`
    Composite,
    /// `POST /jobs/ingest`
    IngestCreate,
    /// `GET /jobs/ingest`
    IngestList,
    /// `PUT /jobs/ingest/{id}/batches`
    IngestUpload,
    /// `PATCH /jobs/ingest/{id}`
    IngestState,
    /// `GET /jobs/ingest/{id}`
    IngestInfo,
    /// `GET /jobs/ingest/{id}/successfulResults`, `failedResults` and `unprocessedrecords`
    IngestResults,
    /// `DELETE /jobs/ingest/{id}`
    IngestDelete,
    /// `POST /jobs/query`
    BulkQueryCreate,
    /// `GET /jobs/query/{id}`
    BulkQueryInfo,
    /// `PATCH /jobs/query/{id}`
    BulkQueryState,
    /// `GET /jobs/query/{id}/results`
    BulkQueryResults,
    /// `DELETE /jobs/query/{id}`
    BulkQueryDelete,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 39] = [
        Self::Versions,
        Self::Resources,
        Self::OauthToken,
        Self::OauthRevoke,
        Self::Userinfo,
        Self::Identity,
        Self::Limits,
        Self::DescribeGlobal,
        Self::Describe,
        Self::PicklistValues,
        Self::Query,
        Self::QueryAll,
        Self::QueryMore,
        Self::ListViews,
        Self::ListViewDescribe,
        Self::ListViewResults,
        Self::RecordGet,
        Self::RecordCreate,
        Self::RecordUpdate,
        Self::RecordUpsert,
        Self::RecordDelete,
        Self::CollectionsRetrieve,
        Self::CollectionsCreate,
        Self::CollectionsUpdate,
        Self::CollectionsUpsert,
        Self::CollectionsDelete,
        Self::Composite,
        Self::IngestCreate,
        Self::IngestList,
        Self::IngestUpload,
        Self::IngestState,
        Self::IngestInfo,
        Self::IngestResults,
        Self::IngestDelete,
        Self::BulkQueryCreate,
        Self::BulkQueryInfo,
        Self::BulkQueryState,
        Self::BulkQueryResults,
        Self::BulkQueryDelete,
    ];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Versions => "versions",
            Self::Resources => "resources",
            Self::OauthToken => "oauth-token",
            Self::OauthRevoke => "oauth-revoke",
            Self::Userinfo => "userinfo",
            Self::Identity => "identity",
            Self::Limits => "limits",
            Self::DescribeGlobal => "describe-global",
            Self::Describe => "describe",
            Self::PicklistValues => "picklist-values",
            Self::Query => "query",
            Self::QueryAll => "query-all",
            Self::QueryMore => "query-more",
            Self::ListViews => "list-views",
            Self::ListViewDescribe => "list-view-describe",
            Self::ListViewResults => "list-view-results",
            Self::RecordGet => "record-get",
            Self::RecordCreate => "record-create",
            Self::RecordUpdate => "record-update",
            Self::RecordUpsert => "record-upsert",
            Self::RecordDelete => "record-delete",
            Self::CollectionsRetrieve => "collections-retrieve",
            Self::CollectionsCreate => "collections-create",
            Self::CollectionsUpdate => "collections-update",
            Self::CollectionsUpsert => "collections-upsert",
            Self::CollectionsDelete => "collections-delete",
            Self::Composite => "composite",
            Self::IngestCreate => "ingest-create",
            Self::IngestList => "ingest-list",
            Self::IngestUpload => "ingest-upload",
            Self::IngestState => "ingest-state",
            Self::IngestInfo => "ingest-info",
            Self::IngestResults => "ingest-results",
            Self::IngestDelete => "ingest-delete",
            Self::BulkQueryCreate => "bulk-query-create",
            Self::BulkQueryInfo => "bulk-query-info",
            Self::BulkQueryState => "bulk-query-state",
            Self::BulkQueryResults => "bulk-query-results",
            Self::BulkQueryDelete => "bulk-query-delete",
        }
    }

    /// Whether it needs no session and is no API request.
    pub(crate) fn is_open(self) -> bool {
        matches!(self, Self::Versions | Self::OauthToken | Self::OauthRevoke)
    }

    /// Whether it needs a session but is not counted as an API request.
    pub(crate) fn is_free(self) -> bool {
        matches!(self, Self::Userinfo | Self::Identity)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Operation {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|operation| operation.as_str() == word).ok_or_else(|| UnknownWord {
            what: "operation",
            word: word.to_owned(),
            valid: Self::ALL.map(Self::as_str).join(", "),
        })
    }
}

/// A call whose path was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) operation: Operation,
    /// The number of the version in the path.
    pub(crate) version: u16,
    pub(crate) object: String,
    /// A record's, job's, locator's or list view's id, or the name of a key field.
    pub(crate) key: String,
    /// What comes after the key: the value of a key field, or which results.
    pub(crate) detail: String,
}

impl Call {
    fn of(operation: Operation, object: &str, key: &str) -> Self {
        Self {
            operation,
            version: 0,
            object: percent_decode(object),
            key: percent_decode(key),
            detail: String::new(),
        }
    }

    fn with(mut self, detail: &str) -> Self {
        self.detail = percent_decode(detail);
        self
    }

    /// The version as paths have it.
    pub(crate) fn version_text(&self) -> String {
        format!("{}.0", self.version)
    }
}

/// The call that a method and a path make; `None` when there is none.
pub(crate) fn route(method: &str, path: &str) -> Option<Call> {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    match (method, segments.as_slice()) {
        ("GET", ["services", "data"]) => Some(Call::of(Operation::Versions, "", "")),
        ("POST", ["services", "oauth2", "token"]) => Some(Call::of(Operation::OauthToken, "", "")),
        ("POST", ["services", "oauth2", "revoke"]) => Some(Call::of(Operation::OauthRevoke, "", "")),
        ("GET" | "POST", ["services", "oauth2", "userinfo"]) => Some(Call::of(Operation::Userinfo, "", "")),
        ("GET", ["id", _, user]) => Some(Call::of(Operation::Identity, "", user)),
        (_, ["services", "data", version, rest @ ..]) => {
            let version = version.strip_prefix('v')?.strip_suffix(".0")?.parse().ok()?;
            let call = resource(method, rest)?;
            Some(Call { version, ..call })
        }
        _ => None,
    }
}

fn resource(method: &str, segments: &[&str]) -> Option<Call> {
    use Operation as O;
    let call = match (method, segments) {
        ("GET", []) => Call::of(O::Resources, "", ""),
        ("GET", ["limits"]) => Call::of(O::Limits, "", ""),
        ("GET", ["query"]) => Call::of(O::Query, "", ""),
        ("GET", ["queryAll"]) => Call::of(O::QueryAll, "", ""),
        ("GET", ["query" | "queryAll", locator]) => Call::of(O::QueryMore, "", locator),
        ("GET", ["sobjects"]) => Call::of(O::DescribeGlobal, "", ""),
        ("POST", ["sobjects", object]) => Call::of(O::RecordCreate, object, ""),
        ("GET", ["sobjects", object, "describe"]) => Call::of(O::Describe, object, ""),
        ("GET", ["ui-api", "object-info", object, "picklist-values", record_type]) => {
            Call::of(O::PicklistValues, object, record_type)
        }
        ("GET", ["sobjects", object, "listviews"]) => Call::of(O::ListViews, object, ""),
        ("GET", ["sobjects", object, "listviews", id, "describe"]) => {
            Call::of(O::ListViewDescribe, object, id)
        }
        ("GET", ["sobjects", object, "listviews", id, "results"]) => Call::of(O::ListViewResults, object, id),
        ("GET", ["sobjects", object, id]) => Call::of(O::RecordGet, object, id),
        ("GET", ["sobjects", object, field, value]) => Call::of(O::RecordGet, object, field).with(value),
        ("PATCH", ["sobjects", object, id]) => Call::of(O::RecordUpdate, object, id),
        ("PATCH", ["sobjects", object, field, value]) => Call::of(O::RecordUpsert, object, field).with(value),
        ("DELETE", ["sobjects", object, id]) => Call::of(O::RecordDelete, object, id),
        ("POST", ["composite"]) => Call::of(O::Composite, "", ""),
        ("POST", ["composite", "sobjects"]) => Call::of(O::CollectionsCreate, "", ""),
        ("PATCH", ["composite", "sobjects"]) => Call::of(O::CollectionsUpdate, "", ""),
        ("DELETE", ["composite", "sobjects"]) => Call::of(O::CollectionsDelete, "", ""),
        ("GET" | "POST", ["composite", "sobjects", object]) => Call::of(O::CollectionsRetrieve, object, ""),
        ("PATCH", ["composite", "sobjects", object, field]) => Call::of(O::CollectionsUpsert, object, field),
        (_, ["jobs", "ingest", rest @ ..]) => ingest(method, rest)?,
        (_, ["jobs", "query", rest @ ..]) => bulk_query(method, rest)?,
        _ => return None,
    };
    Some(call)
}

fn ingest(method: &str, segments: &[&str]) -> Option<Call> {
    use Operation as O;
    let call = match (method, segments) {
        ("POST", []) => Call::of(O::IngestCreate, "", ""),
        ("GET", []) => Call::of(O::IngestList, "", ""),
        ("PUT", [id, "batches"]) => Call::of(O::IngestUpload, "", id),
        ("PATCH", [id]) => Call::of(O::IngestState, "", id),
        ("GET", [id]) => Call::of(O::IngestInfo, "", id),
        ("DELETE", [id]) => Call::of(O::IngestDelete, "", id),
        (
            "GET",
            [
                id,
                which @ ("successfulResults" | "failedResults" | "unprocessedrecords" | "unprocessedRecords"),
            ],
        ) => Call::of(O::IngestResults, "", id).with(which),
        _ => return None,
    };
    Some(call)
}

fn bulk_query(method: &str, segments: &[&str]) -> Option<Call> {
    use Operation as O;
    let call = match (method, segments) {
        ("POST", []) => Call::of(O::BulkQueryCreate, "", ""),
        ("GET", [id]) => Call::of(O::BulkQueryInfo, "", id),
        ("PATCH", [id]) => Call::of(O::BulkQueryState, "", id),
        ("DELETE", [id]) => Call::of(O::BulkQueryDelete, "", id),
        ("GET", [id, "results"]) => Call::of(O::BulkQueryResults, "", id),
        _ => return None,
    };
    Some(call)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_operations() {
        let found = |method: &str, path: &str| route(method, path).map(|call| call.operation);
        assert_eq!(
            found("PATCH", "/services/data/v60.0/composite/sobjects"),
            Some(Operation::CollectionsUpdate)
        );
        assert_eq!(found("GET", "/services/data/v60.0/query/01gx-2000"), Some(Operation::QueryMore));
        assert_eq!(
            found("GET", "/services/data/v60.0/sobjects/Account/describe/"),
            Some(Operation::Describe)
        );
        assert_eq!(found("PUT", "/services/data/v60.0/query"), None);
        assert_eq!(found("GET", "/services/data/60.0/limits"), None);
        let upsert = route("PATCH", "/services/data/v60.0/sobjects/Account/External_Key__c/A%2FB").unwrap();
        assert_eq!(
            (upsert.version, upsert.key.as_str(), upsert.detail.as_str()),
            (60, "External_Key__c", "A/B")
        );
    }

    #[test]
    fn every_operation_is_found_by_its_word() {
        for operation in Operation::ALL {
            assert_eq!(operation.as_str().parse(), Ok(operation));
        }
    }
}
