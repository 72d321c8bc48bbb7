//! From a method and a path to the operation that is asked for.
//!
//! Three path styles lead to one operation: `/crm/v3/objects/contacts`, `/crm/objects/2026-03/contacts` and
//! `/crm/objects/2026-09/contacts`; the same for lists, properties and the rest.

use std::fmt;
use std::str::FromStr;

use super::config::UnknownWord;
use crate::query::percent_decode;

/// What a call asks for. The words are those of reports and fault specifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// `POST /lists/search`
    ListSearch,
    /// `POST /lists/all` of 2026-09
    ListAll,
    /// `GET /lists/{id}`
    ListGet,
    /// `GET /lists/object-type-id/{type}/name/{name}`
    ListByName,
    /// `GET /lists?listIds=`
    ListMany,
    /// `GET /lists/{id}/memberships`
    Memberships,
    /// `GET /lists/{id}/memberships/join-order`
    MembershipsJoinOrder,
    /// `PUT /lists/{id}/memberships/add`
    MembershipsAdd,
    /// `PUT /lists/{id}/memberships/remove`
    MembershipsRemove,
    /// `GET /properties/{type}`
    Properties,
    /// `GET /properties/{type}/{name}`
    PropertyGet,
    /// `GET /property-validations/{type}`
    PropertyValidations,
    /// `GET /objects/{type}`
    ObjectList,
    /// `GET /objects/{type}/{id}`
    ObjectGet,
    /// `POST /objects/{type}`
    ObjectCreate,
    /// `PATCH /objects/{type}/{id}`
    ObjectUpdate,
    /// `DELETE /objects/{type}/{id}`
    ObjectArchive,
    /// `POST /objects/{type}/batch/read`
    BatchRead,
    /// `POST /objects/{type}/batch/create`
    BatchCreate,
    /// `POST /objects/{type}/batch/update`
    BatchUpdate,
    /// `POST /objects/{type}/search`
    Search,
    /// `GET /account-info/v3/details`
    AccountDetails,
    /// `GET /account-info/v3/api-usage/daily/private-apps`
    DailyUsage,
    /// `POST /oauth/{v1,v3,2026-03,2026-09}/token`
    OauthToken,
    /// `POST /oauth/{version}/token/introspect`, and `GET /oauth/v1/access-tokens/{token}`
    OauthIntrospect,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 25] = [
        Self::ListSearch,
        Self::ListAll,
        Self::ListGet,
        Self::ListByName,
        Self::ListMany,
        Self::Memberships,
        Self::MembershipsJoinOrder,
        Self::MembershipsAdd,
        Self::MembershipsRemove,
        Self::Properties,
        Self::PropertyGet,
        Self::PropertyValidations,
        Self::ObjectList,
        Self::ObjectGet,
        Self::ObjectCreate,
        Self::ObjectUpdate,
        Self::ObjectArchive,
        Self::BatchRead,
        Self::BatchCreate,
        Self::BatchUpdate,
        Self::Search,
        Self::AccountDetails,
        Self::DailyUsage,
        Self::OauthToken,
        Self::OauthIntrospect,
    ];

    /// The word used in reports and fault specifications.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ListSearch => "list-search",
            Self::ListAll => "list-all",
            Self::ListGet => "list-get",
            Self::ListByName => "list-by-name",
            Self::ListMany => "list-many",
            Self::Memberships => "memberships",
            Self::MembershipsJoinOrder => "memberships-join-order",
            Self::MembershipsAdd => "memberships-add",
            Self::MembershipsRemove => "memberships-remove",
            Self::Properties => "properties",
            Self::PropertyGet => "property-get",
            Self::PropertyValidations => "property-validations",
            Self::ObjectList => "object-list",
            Self::ObjectGet => "object-get",
            Self::ObjectCreate => "object-create",
            Self::ObjectUpdate => "object-update",
            Self::ObjectArchive => "object-archive",
            Self::BatchRead => "batch-read",
            Self::BatchCreate => "batch-create",
            Self::BatchUpdate => "batch-update",
            Self::Search => "search",
            Self::AccountDetails => "account-details",
            Self::DailyUsage => "daily-usage",
            Self::OauthToken => "oauth-token",
            Self::OauthIntrospect => "oauth-introspect",
        }
    }

    /// Whether it writes the properties of records.
    #[must_use]
    pub fn writes_properties(self) -> bool {
        matches!(self, Self::ObjectCreate | Self::ObjectUpdate | Self::BatchCreate | Self::BatchUpdate)
    }

    /// Whether it needs no bearer token and is metered by nothing.
    pub(crate) fn is_oauth(self) -> bool {
        matches!(self, Self::OauthToken | Self::OauthIntrospect)
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

/// An operation and the names in its path, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) operation: Operation,
    /// The object type as the client wrote it.
    pub(crate) object: Option<String>,
    /// A record id, list id, list name, property name or token.
    pub(crate) key: Option<String>,
}

impl Call {
    fn of(operation: Operation, object: Option<&str>, key: Option<&str>) -> Self {
        Self { operation, object: object.map(percent_decode), key: key.map(percent_decode) }
    }

    /// The key, or empty when the path has none.
    pub(crate) fn key(&self) -> &str {
        self.key.as_deref().unwrap_or_default()
    }

    /// The object type as the client wrote it, or empty when the path has none.
    pub(crate) fn object(&self) -> &str {
        self.object.as_deref().unwrap_or_default()
    }
}

/// The operation of a method and a path without its query; `None` is an unknown path.
pub(crate) fn route(method: &str, path: &str) -> Option<Call> {
    use Operation as O;
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let (area, rest) = area(&segments)?;
    let call = match (method, area, rest) {
        ("POST", "lists", ["search"]) => Call::of(O::ListSearch, None, None),
        ("POST", "lists", ["all"]) => Call::of(O::ListAll, None, None),
        ("GET", "lists", []) => Call::of(O::ListMany, None, None),
        ("GET", "lists", ["object-type-id", object, "name", name]) => {
            Call::of(O::ListByName, Some(object), Some(name))
        }
        ("GET", "lists", [id]) => Call::of(O::ListGet, None, Some(id)),
        ("GET", "lists", [id, "memberships"]) => Call::of(O::Memberships, None, Some(id)),
        ("GET", "lists", [id, "memberships", "join-order"]) => {
            Call::of(O::MembershipsJoinOrder, None, Some(id))
        }
        ("PUT", "lists", [id, "memberships", "add"]) => Call::of(O::MembershipsAdd, None, Some(id)),
        ("PUT", "lists", [id, "memberships", "remove"]) => Call::of(O::MembershipsRemove, None, Some(id)),
        ("GET", "properties", [object]) => Call::of(O::Properties, Some(object), None),
        ("GET", "properties", [object, name]) => Call::of(O::PropertyGet, Some(object), Some(name)),
        ("GET", "property-validations", [object]) => Call::of(O::PropertyValidations, Some(object), None),
        ("GET", "property-validations", [object, name]) => {
            Call::of(O::PropertyValidations, Some(object), Some(name))
        }
        ("POST", "objects", [object, "search"]) => Call::of(O::Search, Some(object), None),
        ("POST", "objects", [object, "batch", "read"]) => Call::of(O::BatchRead, Some(object), None),
        ("POST", "objects", [object, "batch", "create"]) => Call::of(O::BatchCreate, Some(object), None),
        ("POST", "objects", [object, "batch", "update"]) => Call::of(O::BatchUpdate, Some(object), None),
        ("GET", "objects", [object]) => Call::of(O::ObjectList, Some(object), None),
        ("POST", "objects", [object]) => Call::of(O::ObjectCreate, Some(object), None),
        ("GET", "objects", [object, id]) => Call::of(O::ObjectGet, Some(object), Some(id)),
        ("PATCH", "objects", [object, id]) => Call::of(O::ObjectUpdate, Some(object), Some(id)),
        ("DELETE", "objects", [object, id]) => Call::of(O::ObjectArchive, Some(object), Some(id)),
        ("GET", "account-info", ["details"]) => Call::of(O::AccountDetails, None, None),
        ("GET", "account-info", ["api-usage", "daily", "private-apps"]) => {
            Call::of(O::DailyUsage, None, None)
        }
        ("POST", "oauth", ["token"]) => Call::of(O::OauthToken, None, None),
        ("POST", "oauth", ["token", "introspect"]) => Call::of(O::OauthIntrospect, None, None),
        ("GET", "oauth", ["access-tokens", token]) => Call::of(O::OauthIntrospect, None, Some(token)),
        _ => return None,
    };
    Some(call)
}

const DATES: [&str; 2] = ["2026-03", "2026-09"];

/// The area of the API and the segments after its version.
fn area<'a, 'p>(segments: &'a [&'p str]) -> Option<(&'p str, &'a [&'p str])> {
    match segments {
        ["crm", "v3", area, rest @ ..] => Some((area, rest)),
        ["crm", area, date, rest @ ..] if DATES.contains(date) => Some((area, rest)),
        ["account-info", "v3", rest @ ..] => Some(("account-info", rest)),
        ["account-info", date, rest @ ..] if DATES.contains(date) => Some(("account-info", rest)),
        ["oauth", "v1" | "v3", rest @ ..] => Some(("oauth", rest)),
        ["oauth", date, rest @ ..] if DATES.contains(date) => Some(("oauth", rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_path_styles_are_one_operation() {
        for path in [
            "/crm/v3/objects/contacts/batch/read",
            "/crm/objects/2026-03/contacts/batch/read",
            "/crm/objects/2026-09/contacts/batch/read",
        ] {
            assert_eq!(route("POST", path), Some(Call::of(Operation::BatchRead, Some("contacts"), None)));
        }
        assert_eq!(route("POST", "/crm/objects/2025-09/contacts/batch/read"), None);
        assert_eq!(route("PATCH", "/crm/v3/lists/42"), None);
    }

    #[test]
    fn names_in_paths_are_decoded() {
        let call = route("GET", "/crm/lists/2026-09/object-type-id/0-1/name/A%20%26%20B").unwrap();
        assert_eq!((call.operation, call.key()), (Operation::ListByName, "A & B"));
    }

    #[test]
    fn every_operation_is_found_by_its_word() {
        for operation in Operation::ALL {
            assert_eq!(operation.as_str().parse(), Ok(operation));
        }
    }
}
