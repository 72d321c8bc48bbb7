//! Actions that another system performs: a kind is data, and of each row comes a [`Call`].
//!
//! What can be told without an account is checked here: keys, types, references. Names of objects and fields are the vendor's,
//! and stand in the plan to the letter, so that they can be checked before the first row.

use std::collections::HashSet;

use infill_model::error::{Fault, FaultCode};
use infill_model::id::ActionId;
use infill_model::nearest::did_you_mean;
use infill_model::plan::Plan;
use infill_model::value::{Value, is_empty};
use serde_json::Map;

use super::{Kind, Place, Produced, Step, find};
use crate::failure::{Code, Failure};
use crate::reference::{Problem, RowView, quoted};
use crate::script::Scripts;
use crate::template::Template;

/// The input that lists fields with their values.
pub(super) const FIELDS: &str = "add_fields_and_their_values";

/// The keys of an item of [`FIELDS`].
const FIELD_KEYS: [&str; 2] = ["name", "value"];

/// A kind of action that another system performs.
#[derive(Debug)]
pub(crate) struct Remote {
    /// The name in plans.
    pub(super) name: &'static str,
    /// What it takes.
    pub(super) inputs: &'static [Input],
    /// What it gives.
    pub(super) outputs: &'static [&'static str],
    /// Whether doing it twice does no more than once. If not, it is recorded before it is made.
    pub(super) is_idempotent: bool,
    /// Whether it leaves the other system as it was.
    pub(super) is_read_only: bool,
    /// Calls that it costs at most, when nothing goes wrong.
    pub(super) calls: u64,
}

/// One input of a [`Remote`].
#[derive(Debug)]
pub(super) struct Input {
    key: &'static str,
    shape: Shape,
    need: Need,
}

/// What an input looks like.
#[derive(Debug)]
pub(super) enum Shape {
    /// The vendor's name for something, to the letter.
    Word,
    /// One of some words.
    Choice(&'static [&'static str]),
    /// True or false, to the letter.
    Flag,
    /// A template.
    Text,
    /// A list of names with their values; values are templates, numbers, true, false or null.
    Fields,
}

#[derive(Debug)]
enum Need {
    Required,
    /// It may be left out, and is nothing then.
    Optional,
    /// It may be left out, and is this then.
    Or(bool),
}

impl Input {
    pub(super) const fn required(key: &'static str, shape: Shape) -> Self {
        Self { key, shape, need: Need::Required }
    }

    /// A template that may be left out and may come to nothing.
    pub(super) const fn optional(key: &'static str) -> Self {
        Self { key, shape: Shape::Text, need: Need::Optional }
    }

    pub(super) const fn flag(key: &'static str, default: bool) -> Self {
        Self { key, shape: Shape::Flag, need: Need::Or(default) }
    }
}

/// A call that is to be made for a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The action it is for.
    pub action: ActionId,
    /// The action's kind, as plans name it.
    pub kind: &'static str,
    /// The inputs, resolved against the row; what was left out is there with its default, if it has one.
    pub inputs: Map<String, Value>,
    /// Whether making the call twice does no more than once.
    pub is_idempotent: bool,
}

/// An action of a plan that another system performs, before any row.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteAction<'a> {
    /// Its id.
    pub id: &'a ActionId,
    /// Its path in the plan: `chain[2]`.
    pub path: String,
    /// Its kind, as plans name it.
    pub kind: &'static str,
    /// The inputs as the plan has them: a value may be a template.
    pub inputs: &'a Map<String, Value>,
    /// Whether it leaves the other system as it was.
    pub is_read_only: bool,
    /// Calls that it costs a row at most, when nothing goes wrong.
    pub calls: u64,
}

/// The actions of a plan that another system performs, in order.
#[must_use]
pub fn remote_actions(plan: &Plan) -> Vec<RemoteAction<'_>> {
    let actions = plan.chain.iter().enumerate();
    actions
        .filter_map(|(at, action)| {
            let remote = find(&action.action)?.remote()?;
            Some(RemoteAction {
                id: &action.id,
                path: format!("chain[{at}]"),
                kind: remote.name,
                inputs: &action.inputs,
                is_read_only: remote.is_read_only,
                calls: remote.calls,
            })
        })
        .collect()
}

impl Kind for Remote {
    fn name(&self) -> &'static str {
        self.name
    }

    fn inputs(&self) -> Vec<&'static str> {
        let required = self.inputs.iter().filter(|input| matches!(input.need, Need::Required));
        required.map(|input| input.key).collect()
    }

    fn optional(&self) -> Vec<&'static str> {
        let optional = self.inputs.iter().filter(|input| !matches!(input.need, Need::Required));
        optional.map(|input| input.key).collect()
    }

    fn outputs(&self) -> &'static [&'static str] {
        self.outputs
    }

    fn remote(&self) -> Option<&Remote> {
        Some(self)
    }

    fn compile(&self, place: &mut Place<'_>) -> Option<Box<dyn Step>> {
        let inputs: Vec<Option<(&Input, Given)>> =
            self.inputs.iter().map(|input| Some((input, input.compile(place)?))).collect();
        let inputs: Option<Vec<(&Input, Given)>> = inputs.into_iter().collect();
        let inputs = inputs?.into_iter().map(|(input, given)| Bound { key: input.key, given }).collect();
        Some(Box::new(RemoteStep { kind: self.name, inputs, is_idempotent: self.is_idempotent }))
    }
}

/// An input with what the plan gives for it.
#[derive(Debug)]
struct Bound {
    key: &'static str,
    given: Given,
}

/// What the plan gives for an input.
#[derive(Debug)]
enum Given {
    Nothing,
    Constant(Value),
    Template(Template),
    /// A template that must not come to nothing.
    Needed(Template),
    Fields(Vec<(String, FieldValue)>),
}

#[derive(Debug)]
enum FieldValue {
    Constant(Value),
    Template(Template),
}

impl Input {
    /// Compiles what the plan gives; `None` means that a fault was added.
    fn compile(&self, place: &mut Place<'_>) -> Option<Given> {
        let path = place.path_of(self.key);
        let Some(value) = place.inputs.get(self.key) else {
            return Some(match self.need {
                Need::Required | Need::Optional => Given::Nothing,
                Need::Or(default) => Given::Constant(Value::Bool(default)),
            });
        };
        match (&self.shape, value) {
            (Shape::Flag, Value::Bool(_)) => Some(Given::Constant(value.clone())),
            (Shape::Flag, _) => self.refuse(place, "is true or false"),
            (Shape::Word, Value::String(word)) if is_literal(word) && !word.trim().is_empty() => {
                Some(Given::Constant(value.clone()))
            }
            (Shape::Word, _) => self.refuse(
                place,
                "is a name, written out: it is checked against the account before the first row, so it cannot come from a row",
            ),
            (Shape::Choice(words), Value::String(word)) if words.contains(&word.as_str()) => {
                Some(Given::Constant(value.clone()))
            }
            (Shape::Choice(words), _) => {
                let near = value.as_str().map(|word| did_you_mean(word, words.iter().copied()));
                let wanted = quoted(words.iter().copied(), " or ");
                self.refuse(place, &format!("is {wanted}{}", near.unwrap_or_default()))
            }
            (Shape::Text, Value::String(text)) if !text.trim().is_empty() => {
                let template = template(text, path, place)?;
                Some(match self.need {
                    Need::Optional => Given::Template(template),
                    Need::Required | Need::Or(_) => Given::Needed(template),
                })
            }
            (Shape::Text, _) => self.refuse(place, "is text, such as \"{{input.Id}}\""),
            (Shape::Fields, Value::Array(items)) if !items.is_empty() => {
                let mut seen = HashSet::new();
                let fields: Vec<Option<(String, FieldValue)>> = items
                    .iter()
                    .enumerate()
                    .map(|(at, item)| field(item, &format!("{path}[{at}]"), &mut seen, place))
                    .collect();
                fields.into_iter().collect::<Option<Vec<_>>>().map(Given::Fields)
            }
            (Shape::Fields, _) => {
                self.refuse(place, "is a list of at least one { name: FIELD, value: TEMPLATE }")
            }
        }
    }

    fn refuse(&self, place: &mut Place<'_>, why: &str) -> Option<Given> {
        let path = place.path_of(self.key);
        place.faults.push(Fault::new(FaultCode::InvalidValue, path, format!("`{}` {why}", self.key)));
        None
    }
}

/// Whether a text is taken to the letter.
fn is_literal(text: &str) -> bool {
    !text.contains("{{") && !text.contains("{%")
}

fn template(text: &str, path: String, place: &mut Place<'_>) -> Option<Template> {
    match Template::compile(text, place.scope) {
        Ok(template) => Some(template),
        Err(problems) => {
            let fault = |Problem { code, message }| Fault::new(code, path.clone(), message);
            place.faults.extend(problems.into_iter().map(fault));
            None
        }
    }
}

/// One item of [`FIELDS`].
fn field<'a>(
    item: &'a Value,
    path: &str,
    seen: &mut HashSet<&'a str>,
    place: &mut Place<'_>,
) -> Option<(String, FieldValue)> {
    let mut fault = |code, path: String, message: String| {
        place.faults.push(Fault::new(code, path, message));
        None
    };
    let Value::Object(entries) = item else {
        let message = "a field with its value is wanted: { name: FIELD, value: TEMPLATE }";
        return fault(FaultCode::InvalidValue, path.to_owned(), message.to_owned());
    };
    if let Some(key) = entries.keys().find(|key| !FIELD_KEYS.contains(&key.as_str())) {
        let near = did_you_mean(key, FIELD_KEYS);
        let message = format!("a field has `name` and `value`, and no `{key}`{near}");
        return fault(FaultCode::UnknownKey, format!("{path}.{key}"), message);
    }
    let Some(Value::String(name)) = entries.get("name").filter(|name| !is_empty(Some(name))) else {
        let message = "`name` is the API name of a field, such as NextStep".to_owned();
        return fault(FaultCode::MissingKey, path.to_owned(), message);
    };
    if !is_literal(name) {
        let message = "`name` is a field's name, written out: it is checked before the first row".to_owned();
        return fault(FaultCode::InvalidValue, format!("{path}.name"), message);
    }
    if !seen.insert(name) {
        let message = format!("field \"{name}\" is named twice; keep one");
        return fault(FaultCode::Duplicate, format!("{path}.name"), message);
    }
    let value_path = format!("{path}.value");
    let value = match entries.get("value") {
        Some(Value::String(text)) => FieldValue::Template(template(text, value_path, place)?),
        Some(value @ (Value::Null | Value::Bool(_) | Value::Number(_))) => {
            FieldValue::Constant(value.clone())
        }
        Some(Value::Array(_) | Value::Object(_)) => {
            let message = "`value` is text, a number, true, false or null".to_owned();
            return fault(FaultCode::InvalidValue, value_path, message);
        }
        None => {
            let message = format!("field \"{name}\" needs a `value`; null clears the field");
            return fault(FaultCode::MissingKey, path.to_owned(), message);
        }
    };
    Some((name.clone(), value))
}

#[derive(Debug)]
struct RemoteStep {
    kind: &'static str,
    inputs: Vec<Bound>,
    is_idempotent: bool,
}

impl Step for RemoteStep {
    fn run(&self, row: RowView<'_>, _scripts: &mut Scripts) -> Result<Produced, Failure> {
        let mut inputs = Map::new();
        for Bound { key, given } in &self.inputs {
            let value = match given {
                Given::Nothing => continue,
                Given::Constant(value) => value.clone(),
                Given::Template(template) => template.resolve(row)?.into_owned(),
                Given::Needed(template) => {
                    let value = template.resolve(row)?.into_owned();
                    if is_empty(Some(&value)) {
                        let message = format!("`{key}` is empty; gate the action with run_if");
                        return Err(Failure::new(Code::InputEmpty, message));
                    }
                    value
                }
                Given::Fields(fields) => fields
                    .iter()
                    .map(|(name, value)| {
                        let value = match value {
                            FieldValue::Constant(value) => value.clone(),
                            FieldValue::Template(template) => template.resolve(row)?.into_owned(),
                        };
                        Ok(serde_json::json!({"name": name, "value": value}))
                    })
                    .collect::<Result<Value, Failure>>()?,
            };
            inputs.insert((*key).to_owned(), value);
        }
        Ok(Produced::Perform { kind: self.kind, inputs, is_idempotent: self.is_idempotent })
    }
}
