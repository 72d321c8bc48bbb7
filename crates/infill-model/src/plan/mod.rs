//! A plan: which slice to pull, which chain to run, which properties to write, how careful to be.
//!
//! The types are the format: strict serde, and the JSON Schema is derived from them. [`parse`] reads a file and
//! reports every fault with its place.

pub mod parse;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::{ActionId, ConnectionName, ListId, ObjectType, PropertyName, RunId};
use crate::schedule::Schedule;
use crate::slice::{Ids, Selection};
use crate::value::Value;

/// Rows the canary takes when the plan does not say.
pub const DEFAULT_CANARY: u32 = 5;

/// Rows a plan runs on until it has verified a row on its connection.
pub const FIRST_RUN_CAP: u64 = 5;

/// Seconds a before-image is trusted without another read, when the plan does not say.
pub const DEFAULT_GUARD_OLDER_THAN_SECONDS: u32 = 30;

/// A whole plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// What people call it; runs of one plan share its name.
    pub name: String,
    /// The connection, as named in the configuration.
    pub connection: ConnectionName,
    /// Which records.
    pub source: Source,
    /// Properties the chain may read as `{{input.NAME}}`.
    #[serde(default)]
    pub inputs: Vec<PropertyName>,
    /// The actions, in order.
    #[serde(default)]
    pub chain: Vec<Action>,
    /// What is written back to the same record.
    pub writeback: Writeback,
    /// How much is read back after the write.
    #[serde(default)]
    pub verify: Verify,
    /// How many rows go first, alone; 0 for none.
    #[serde(default = "default_canary")]
    pub canary: u32,
    /// How many rows may fail or read back differently before the run stops; left out: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_failed: Option<Most>,
    /// How many rows the run may change. Every row is then evaluated before the first is written, and a run that would change
    /// more stops with nothing written; left out: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_changed: Option<Most>,
    /// Whether a person must approve each run before it goes on to all rows.
    #[serde(default, skip_serializing_if = "Approve::is_automatic")]
    pub approve: Approve,
}

impl Plan {
    /// Whether every row is evaluated before the first is written.
    #[must_use]
    pub const fn is_previewed(&self) -> bool {
        let has_no_canary = self.canary == 0;
        self.max_changed.is_some() || (matches!(self.approve, Approve::Manual) && has_no_canary)
    }
}

/// Who lets a run go on from its first rows to the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Approve {
    /// The canary alone.
    #[default]
    Automatic,
    /// A person, by `infill approve`: after the canary, or after the preview of a run that has one.
    Manual,
}

impl Approve {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
    const fn is_automatic(&self) -> bool {
        matches!(self, Self::Automatic)
    }
}

const fn default_canary() -> u32 {
    DEFAULT_CANARY
}

/// How many rows at most: a number of rows, `20`, or a share of all rows of the run, `2%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Most {
    /// So many rows.
    Rows(u64),
    /// So many of a hundred rows of the run, 1 to 99.
    Percent(u8),
}

impl Most {
    /// A share, as it is written: `2%`.
    #[must_use]
    pub fn share(text: &str) -> Option<Self> {
        let percent: u8 = text.strip_suffix('%')?.trim_end().parse().ok()?;
        (1..100).contains(&percent).then_some(Self::Percent(percent))
    }

    /// How many of these rows that is.
    #[must_use]
    pub fn of(self, n_rows: u64) -> u64 {
        match self {
            Self::Rows(most) => most,
            Self::Percent(percent) => n_rows.saturating_mul(percent.into()) / 100,
        }
    }
}

impl std::fmt::Display for Most {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rows(most) => write!(f, "{most}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl Serialize for Most {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Rows(most) => serializer.serialize_u64(*most),
            Self::Percent(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Most {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let read = value.as_u64().map(Self::Rows).or_else(|| Self::share(value.as_str()?));
        read.ok_or_else(|| serde::de::Error::custom("expected a number of rows, or a share such as 2%"))
    }
}

impl JsonSchema for Most {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Most".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "How many rows at most: a number of rows, 20, or a share of all rows of the run, \"2%\".",
            "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[1-9][0-9]? *%$"}]
        })
    }
}

/// Which records a plan selects: an object and exactly one of `list`, `filter`, `view`, `query`, `ids`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    {"required": ["list"]}, {"required": ["filter"]}, {"required": ["view"]}, {"required": ["query"]},
    {"required": ["ids"]},
]))]
pub struct Source {
    /// The kind of record: `contacts`, `companies`, `deals`, `tickets`, or a custom type's id.
    pub object: ObjectType,
    /// A list, by id or by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("type" = ["string", "integer"]))]
    pub list: Option<ListId>,
    /// Conditions on properties; all records that meet them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Vec<Condition>>,
    /// A saved view, for CRMs that have them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<String>,
    /// A query in the CRM's own language, for CRMs that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// A CSV file of record ids, relative to the plan; `-` is standard input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Ids>,
    /// The run that is taken back: the records it wrote. No file can say this, `infill undo` does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub undoes: Option<RunId>,
    /// The records of dead letters. No file can say this, `infill dead-letters retry` does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schemars(skip)]
    pub retries: bool,
    /// At most this many records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_count: Option<u64>,
    /// So many records, chosen from the whole slice; the same ones each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<u64>,
    /// Only some records, by what earlier runs of the plan did with them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Only>,
    /// When a planner starts it, once `infill schedules add` was told so; left out: never by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
}

impl Source {
    /// Records of a kind, none of them selected.
    #[must_use]
    pub const fn none(object: ObjectType) -> Self {
        Self {
            object,
            list: None,
            filter: None,
            view: None,
            query: None,
            ids: None,
            undoes: None,
            retries: false,
            max_count: None,
            sample: None,
            only: None,
            schedule: None,
        }
    }

    /// The one way the plan selects records; `None` when it names none or several, which [`parse`] refuses.
    #[must_use]
    pub fn selection(&self) -> Option<Selection> {
        let mut ways = [
            self.list.clone().map(Selection::List),
            self.filter.clone().map(Selection::Filter),
            self.view.clone().map(Selection::View),
            self.query.clone().map(Selection::Query),
            self.ids.clone().map(Selection::Ids),
        ]
        .into_iter()
        .flatten();
        let first = ways.next()?;
        ways.next().is_none().then_some(first)
    }

    /// Whether the records are named to the store before the run begins, with inputs of their own.
    #[must_use]
    pub const fn is_supplied(&self) -> bool {
        self.ids.is_some() || self.undoes.is_some() || self.retries
    }

    /// At most this many records by what the plan says: the smaller of `max_count` and `sample`.
    #[must_use]
    pub fn most(&self) -> Option<u64> {
        self.max_count.into_iter().chain(self.sample).min()
    }
}

/// Which records a plan takes, by what its earlier runs did with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Only {
    /// Those that went well in no earlier run.
    New,
    /// Those whose inputs are not what they were when an earlier run went well.
    Changed,
}

impl Only {
    /// The word in a plan.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Changed => "changed",
        }
    }
}

/// One action of the chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// Its name, unique in the chain; outputs are `{{id.output}}`.
    pub id: ActionId,
    /// Its kind: `format_data_using_js_expression`, `filter`.
    pub action: String,
    /// What it works on; each kind has its own.
    #[serde(default)]
    pub inputs: serde_json::Map<String, Value>,
    /// Run it only on rows that meet these conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_if: Option<RunIf>,
    /// Go on with the row when this action fails; its outputs are then empty.
    #[serde(default)]
    pub continue_workflow_if_action_fails: bool,
}

/// When an action runs at all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunIf {
    /// Conditions, or groups of them.
    pub conditions: Vec<ConditionNode>,
    /// Go on with the next action when they are not met; else the row is skipped.
    #[serde(default)]
    pub continue_workflow_if_run_condition_not_met: bool,
}

/// A condition, or a group of them.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum ConditionNode {
    /// A group, evaluated as if in brackets.
    Group(ConditionGroup),
    /// One comparison.
    Leaf(Condition),
}

/// Told apart by the key `conditions`, so that a fault inside either is named and not "matched no variant".
impl<'de> Deserialize<'de> for ConditionNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let node = if value.get("conditions").is_some() {
            ConditionGroup::deserialize(value).map(Self::Group)
        } else {
            Condition::deserialize(value).map(Self::Leaf)
        };
        node.map_err(serde::de::Error::custom)
    }
}

/// Conditions in brackets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConditionGroup {
    /// What is in the brackets.
    pub conditions: Vec<ConditionNode>,
    /// How the group is joined to what stands before it; ignored on the first.
    #[serde(default)]
    pub combinator: Combinator,
}

/// One comparison. `variable` is a reference in a chain and a property name in a source filter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// `{{input.firstname}}` in a chain, `firstname` in a source filter.
    pub variable: String,
    /// A word of the in-chain dialect: `is`, `is not`, `contains`, `does not contain`, `is empty`,
    /// `is not empty`, `greater than`, `less than`, `is between`, `contains any of`, `not contains any of`.
    pub operator: String,
    /// What it is compared with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value>,
    /// How it is joined to what stands before it; ignored on the first.
    #[serde(default)]
    pub combinator: Combinator,
}

/// How two conditions are joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Combinator {
    /// Both.
    #[default]
    And,
    /// Either.
    Or,
}

/// What is written back: `properties`, or an `action` with its `inputs`, which say the same in the words of the action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("anyOf" = [{"required": ["properties"]}, {"required": ["action", "inputs"]}]))]
pub struct Writeback {
    /// The properties, all sent in one call per record. Those of an `action` are read from its inputs.
    #[serde(default)]
    pub properties: Vec<PropertyWrite>,
    /// The action that is meant: `salesforce_update_record`. It updates the row's own record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// The action's inputs.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub inputs: serde_json::Map<String, Value>,
    /// What to do when a target changed between pull and write, for properties that do not say.
    #[serde(default)]
    pub if_changed: IfChanged,
    /// Seconds a before-image is trusted without reading the record again just before the write.
    #[serde(default = "default_guard_older_than")]
    pub guard_older_than: u32,
}

impl Writeback {
    /// Where in the plan the property at a position stands: `writeback.properties[0]`.
    #[must_use]
    pub fn path_of(&self, at: usize) -> String {
        match self.action {
            None => format!("writeback.properties[{at}]"),
            Some(_) => format!("writeback.inputs.{ACTION_FIELDS}[{at}]"),
        }
    }
}

/// The input of an action that lists fields with their values.
pub const ACTION_FIELDS: &str = "add_fields_and_their_values";

const fn default_guard_older_than() -> u32 {
    DEFAULT_GUARD_OLDER_THAN_SECONDS
}

/// One property to write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PropertyWrite {
    /// The CRM's internal name.
    pub name: PropertyName,
    /// The value: text with references, `{{enrichment.formatted_data}}`.
    pub value: String,
    /// When to write it.
    #[serde(default)]
    pub when: When,
    /// Leave the property alone when the value comes to nothing; else that clears it.
    #[serde(default)]
    pub ignore_empty: bool,
    /// What to do when it changed between pull and write; left out: as the writeback says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_changed: Option<IfChanged>,
}

/// When a property is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Also when the record has that value already.
    Always,
    /// Only when the record has no value.
    IfEmpty,
    /// Whenever it differs from what the record has.
    #[default]
    IfDifferent,
}

/// What to do when a person changed a target meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IfChanged {
    /// Send nothing for that row; both values are kept.
    #[default]
    Hold,
    /// Write all the same.
    Overwrite,
}

/// How much is read back: `all`, `none`, or `sample: 100`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verify {
    /// Every row written.
    #[default]
    All,
    /// None: rows end as `written`.
    None,
    /// About this many rows, chosen by record id so that a repeat chooses the same; the canary always.
    Sample(u64),
}
