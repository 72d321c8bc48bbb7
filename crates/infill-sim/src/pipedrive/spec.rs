//! What Pipedrive's `OpenAPI` files say of each call: its path, its cost in tokens, its scopes and parameters, and which
//! fields its body may have.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::entity::Entity;
use crate::query::percent_decode;
use crate::word::UnknownWord;

const OPERATIONS: &str = include_str!("../../data/pipedrive_operations.csv");
const BODIES: &str = include_str!("../../data/pipedrive_bodies.csv");

/// What a call asks for. The words are those of reports and fault specifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// A page of records.
    List,
    /// A page of archived deals or leads.
    Archived,
    /// One record.
    Get,
    /// `POST` of one record.
    Create,
    /// `PATCH` of one record.
    Update,
    /// `DELETE` of one record.
    Delete,
    /// Records by a term.
    Search,
    /// A page of the field catalogue of version 2.
    Fields,
    /// One field of the catalogue of version 2.
    Field,
    /// A page of the field catalogue of version 1.
    FieldsV1,
    /// Products attached to a deal.
    DealProducts,
    /// Attaching a product to a deal.
    DealProductCreate,
    /// Stages of pipelines.
    Stages,
    /// Pipelines.
    Pipelines,
    /// The visible filters.
    Filters,
    /// One filter with its conditions.
    Filter,
    /// `POST /v1/filters`.
    FilterCreate,
    /// `PUT /v1/filters/{id}`.
    FilterUpdate,
    /// `DELETE /v1/filters/{id}`.
    FilterDelete,
    /// The operators per type of field.
    FilterHelpers,
    /// Users of the company.
    Users,
    /// One user.
    User,
    /// The user whose token it is.
    Me,
    /// Currencies.
    Currencies,
    /// Labels of leads.
    LeadLabels,
    /// `POST /oauth/token`.
    OauthToken,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 26] = [
        Self::List,
        Self::Archived,
        Self::Get,
        Self::Create,
        Self::Update,
        Self::Delete,
        Self::Search,
        Self::Fields,
        Self::Field,
        Self::FieldsV1,
        Self::DealProducts,
        Self::DealProductCreate,
        Self::Stages,
        Self::Pipelines,
        Self::Filters,
        Self::Filter,
        Self::FilterCreate,
        Self::FilterUpdate,
        Self::FilterDelete,
        Self::FilterHelpers,
        Self::Users,
        Self::User,
        Self::Me,
        Self::Currencies,
        Self::LeadLabels,
        Self::OauthToken,
    ];

    /// The word of reports and fault specifications.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Archived => "archived",
            Self::Get => "get",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Search => "search",
            Self::Fields => "fields",
            Self::Field => "field",
            Self::FieldsV1 => "fields-v1",
            Self::DealProducts => "deal-products",
            Self::DealProductCreate => "deal-product-create",
            Self::Stages => "stages",
            Self::Pipelines => "pipelines",
            Self::Filters => "filters",
            Self::Filter => "filter",
            Self::FilterCreate => "filter-create",
            Self::FilterUpdate => "filter-update",
            Self::FilterDelete => "filter-delete",
            Self::FilterHelpers => "filter-helpers",
            Self::Users => "users",
            Self::User => "user",
            Self::Me => "me",
            Self::Currencies => "currencies",
            Self::LeadLabels => "lead-labels",
            Self::OauthToken => "oauth-token",
        }
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

/// Which version of the API a path belongs to; their errors look different.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
}

/// One call of the API.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) operation: Operation,
    pub(crate) entity: Option<Entity>,
    pub(crate) version: Version,
    method: &'static str,
    segments: Vec<&'static str>,
    /// What it costs of the day.
    pub(crate) tokens: u64,
    /// Any of these OAuth scopes is enough.
    pub(crate) scopes: Vec<&'static str>,
    /// Parameters of the query that it knows.
    pub(crate) parameters: Vec<&'static str>,
    /// What its `include_fields` may name.
    pub(crate) include_fields: Vec<&'static str>,
}

/// How a field of a body is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    String,
    Integer,
    Number,
    Boolean,
    Date,
    DateTime,
    Array,
    Address,
    /// `[{value, primary, label}]`
    Contacts,
    /// Ids of labels.
    Labels,
    /// Uuids of labels of leads.
    LeadLabels,
    Visibility,
    /// Version 1 writes visibility as text.
    VisibilityText,
    DealStatus,
    /// `{amount, currency}` of a lead.
    Money,
    User,
    /// The id of a record.
    Link(Entity),
    Pipeline,
    Stage,
    OneOf(Vec<&'static str>),
    Custom,
}

/// A field that a body may have.
#[derive(Debug, Clone)]
pub(crate) struct BodyField {
    pub(crate) kind: Kind,
    pub(crate) on_create: bool,
    pub(crate) on_update: bool,
    pub(crate) nullable: bool,
    pub(crate) required: bool,
    /// Only companies with Contact Sync have it.
    pub(crate) contact_sync: bool,
}

/// The API as far as it is simulated.
#[derive(Debug)]
pub(crate) struct Spec {
    endpoints: Vec<Endpoint>,
    bodies: BTreeMap<(Entity, &'static str), BodyField>,
}

/// Where a path leads.
#[derive(Debug)]
pub(crate) struct Route<'s> {
    pub(crate) endpoint: &'s Endpoint,
    /// The part of the path that names one thing.
    pub(crate) key: Option<String>,
}

impl Spec {
    /// Reads the bundled excerpt of Pipedrive's `OpenAPI` files.
    pub(crate) fn load() -> Self {
        let endpoints = lines(OPERATIONS).filter_map(|line| endpoint(&line)).collect();
        let bodies = lines(BODIES).filter_map(|line| body_field(&line)).collect();
        Self { endpoints, bodies }
    }

    /// The call of a method and a path. `/v1` and `/api/v1` are the same.
    pub(crate) fn route(&self, method: &str, path: &str) -> Option<Route<'_>> {
        let path = path.strip_prefix("/api/v1/").map_or(path.to_owned(), |rest| format!("/v1/{rest}"));
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let matching = self.endpoints.iter().filter(|endpoint| {
            endpoint.method == method
                && endpoint.segments.len() == parts.len()
                && endpoint
                    .segments
                    .iter()
                    .zip(&parts)
                    .all(|(wanted, part)| is_slot(wanted) || wanted == part)
        });
        // `/deals/archived` is also a `/deals/{id}`.
        let endpoint =
            matching.min_by_key(|endpoint| endpoint.segments.iter().filter(|part| is_slot(part)).count())?;
        let key = endpoint.segments.iter().zip(&parts).find(|(wanted, _)| is_slot(wanted));
        Some(Route { endpoint, key: key.map(|(_, part)| percent_decode(part)) })
    }

    /// The field of that name in the bodies of a kind of record.
    pub(crate) fn body_field(&self, entity: Entity, name: &str) -> Option<&BodyField> {
        self.bodies.iter().find(|((of, field), _)| *of == entity && *field == name).map(|(_, field)| field)
    }

    /// The fields that a new record must have.
    pub(crate) fn required(&self, entity: Entity) -> impl Iterator<Item = &'static str> + '_ {
        let fields = self.bodies.iter().filter(move |((of, _), field)| *of == entity && field.required);
        fields.map(|((_, name), _)| *name)
    }
}

fn is_slot(segment: &str) -> bool {
    segment.starts_with('{')
}

/// The cells of each line after the header; no cell has a comma in it.
fn lines(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines().skip(1).map(|line| line.split(',').collect())
}

fn words(text: &'static str) -> Vec<&'static str> {
    text.split(' ').filter(|word| !word.is_empty()).collect()
}

fn endpoint(line: &[&'static str]) -> Option<Endpoint> {
    let [operation, entity, method, path, tokens, scopes, parameters, include_fields] = line else {
        return None;
    };
    Some(Endpoint {
        operation: operation.parse().ok()?,
        entity: entity.parse().ok(),
        version: if path.starts_with("/v1/") { Version::V1 } else { Version::V2 },
        method,
        segments: path.split('/').filter(|part| !part.is_empty()).collect(),
        tokens: tokens.parse().ok()?,
        scopes: words(scopes),
        parameters: words(parameters),
        include_fields: words(include_fields),
    })
}

fn body_field(line: &[&'static str]) -> Option<((Entity, &'static str), BodyField)> {
    let [entity, name, kind_word, flags] = line else { return None };
    let field = BodyField {
        kind: kind(kind_word)?,
        on_create: flags.contains('c'),
        on_update: flags.contains('u'),
        nullable: flags.contains('n'),
        required: flags.contains('r'),
        contact_sync: flags.contains('s'),
    };
    Some(((entity.parse().ok()?, *name), field))
}

fn kind(word: &'static str) -> Option<Kind> {
    if let Some(words) = word.strip_prefix("one-of:") {
        return Some(Kind::OneOf(words.split('|').collect()));
    }
    let kind = match word {
        "string" => Kind::String,
        "integer" => Kind::Integer,
        "number" => Kind::Number,
        "boolean" => Kind::Boolean,
        "date" => Kind::Date,
        "datetime" => Kind::DateTime,
        "array" => Kind::Array,
        "address" => Kind::Address,
        "contacts" => Kind::Contacts,
        "labels" => Kind::Labels,
        "labels-text" => Kind::LeadLabels,
        "visibility" => Kind::Visibility,
        "visibility-text" => Kind::VisibilityText,
        "deal-status" => Kind::DealStatus,
        "money" => Kind::Money,
        "user" => Kind::User,
        "person" => Kind::Link(Entity::Person),
        "organization" => Kind::Link(Entity::Organization),
        "deal" => Kind::Link(Entity::Deal),
        "pipeline" => Kind::Pipeline,
        "stage" => Kind::Stage,
        "custom" => Kind::Custom,
        _ => return None,
    };
    Some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(method: &str, path: &str) -> Option<u64> {
        Spec::load().route(method, path).map(|route| route.endpoint.tokens)
    }

    #[test]
    fn every_line_of_the_excerpt_is_understood() {
        let spec = Spec::load();
        assert_eq!(spec.endpoints.len(), lines(OPERATIONS).count());
        assert_eq!(spec.bodies.len(), lines(BODIES).count());
    }

    #[test]
    fn costs_are_those_of_the_vendors_files() {
        for (method, path, cost) in [
            ("GET", "/api/v2/persons", 10),
            ("GET", "/api/v2/persons/1", 1),
            ("PATCH", "/api/v2/persons/1", 5),
            ("DELETE", "/api/v2/persons/1", 3),
            ("GET", "/api/v2/persons/search", 20),
            ("GET", "/api/v2/deals/archived", 20),
            ("GET", "/api/v2/dealFields", 10),
            ("PATCH", "/v1/leads/x", 10),
            ("PATCH", "/api/v1/leads/x", 10),
            ("GET", "/v1/leads", 20),
            ("GET", "/v1/users/me", 2),
            ("GET", "/v1/filters", 20),
            ("POST", "/v1/filters", 10),
        ] {
            assert_eq!(tokens(method, path), Some(cost), "{method} {path}");
        }
        assert_eq!(tokens("PUT", "/api/v2/persons/1"), None);
        assert_eq!(tokens("GET", "/v1/persons"), None);
    }

    #[test]
    fn every_operation_is_found_by_its_word() {
        for operation in Operation::ALL {
            assert_eq!(operation.as_str().parse(), Ok(operation));
        }
    }
}
