//! The slice: which records a plan selects.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{ListId, ObjectType};
use crate::plan::Condition;

/// How records are selected. Exactly one way per plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// A list, by id or by name.
    List(ListId),
    /// Records that meet conditions on their properties.
    Filter(Vec<Condition>),
    /// A saved view, by id or by label.
    View(String),
    /// A query in the CRM's own language.
    Query(String),
    /// A CSV file of record ids.
    Ids(String),
}

/// A slice as the connector found it in the CRM; what `source-sync` works from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedSlice {
    /// The kind of record.
    pub object: ObjectType,
    /// What a person calls it: `list "Newsletter" (42, static)`.
    pub label: String,
    /// How many records the CRM says it holds now, where it says so.
    pub size: Option<u64>,
    /// Whether it can be pulled now.
    pub readiness: Readiness,
    /// What the connector needs to page through it; opaque to everyone else.
    pub handle: String,
}

/// Whether a slice can be pulled now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    /// Yes.
    Ready,
    /// The CRM is still computing it: ask again later.
    Processing,
}
