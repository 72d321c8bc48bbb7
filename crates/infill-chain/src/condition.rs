//! Conditions of filters and of `run_if`: comparisons joined left to right, without precedence.
//!
//! The words are those of the in-chain dialect; another dialect's word is refused when the plan is compiled.
//! Joining stops as soon as the rest cannot matter, so `is not empty AND greater than` guards the comparison.

mod node;
mod operator;

use infill_model::error::{Fault, FaultCode};
use infill_model::plan::{Combinator, Condition, ConditionNode};
use infill_model::value::{Value, is_empty, to_text};

pub(crate) use node::{check_not_empty, read_nodes};
pub(crate) use operator::Operator;

use crate::failure::{Code, Failure};
use crate::reference::{Problem, RowView, Scope};
use crate::template::Template;

/// Checks the conditions of `source.filter`, whose variables are property names: operator words and the number
/// of values. Paths begin with `source.filter`.
#[must_use]
pub fn check_source_filter(conditions: &[Condition]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (at, condition) in conditions.iter().enumerate() {
        let path = format!("source.filter[{at}]");
        if condition.variable.contains(['{', '}']) || condition.variable.trim().is_empty() {
            faults.push(Fault::new(
                FaultCode::InvalidValue,
                format!("{path}.variable"),
                "a source filter takes the bare name of a property, such as `firstname`, without braces",
            ));
        }
        if let Some(operator) = check_operator(condition, &path, &mut faults)
            && operator.is_numeric()
        {
            // Dates are compared by the CRM, so text is let pass; nothing at all is not.
            for (value_at, value) in
                condition.values.iter().enumerate().filter(|(_, value)| is_empty(Some(value)))
            {
                faults.push(Fault::new(
                    FaultCode::InvalidValue,
                    format!("{path}.values[{value_at}]"),
                    format!("\"{operator}\" needs something to compare with, not {value}"),
                ));
            }
        }
    }
    faults
}

/// The operator of a condition, with the number of its values checked.
fn check_operator(condition: &Condition, path: &str, faults: &mut Vec<Fault>) -> Option<Operator> {
    let operator = match Operator::read(&condition.operator) {
        Ok(operator) => operator,
        Err(message) => {
            faults.push(Fault::new(FaultCode::UnknownOperator, format!("{path}.operator"), message));
            return None;
        }
    };
    if let Some(message) = operator.wrong_count(condition.values.len()) {
        faults.push(Fault::new(FaultCode::InvalidValue, format!("{path}.values"), message));
        return None;
    }
    Some(operator)
}

/// Compiled conditions.
#[derive(Debug)]
pub(crate) struct Conditions {
    nodes: Vec<Node>,
    shown: String,
}

#[derive(Debug)]
struct Node {
    combinator: Combinator,
    kind: NodeKind,
}

#[derive(Debug)]
enum NodeKind {
    Leaf(Leaf),
    Group(Vec<Node>),
}

#[derive(Debug)]
struct Leaf {
    variable: Template,
    shown: String,
    operator: Operator,
    values: Vec<Template>,
}

impl Conditions {
    /// Compiles conditions found at `path`, adding every fault to `faults`.
    pub(crate) fn compile(
        nodes: &[ConditionNode],
        path: &str,
        scope: Scope<'_>,
        faults: &mut Vec<Fault>,
    ) -> Option<Self> {
        let n_before = faults.len();
        let compiled = compile_nodes(nodes, path, scope, faults);
        (faults.len() == n_before).then(|| Self { nodes: compiled, shown: show(nodes) })
    }

    /// The conditions in words, as written.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// Whether a row meets them.
    pub(crate) fn are_met(&self, row: RowView<'_>) -> Result<bool, Failure> {
        are_met(&self.nodes, row)
    }
}

fn compile_nodes(
    nodes: &[ConditionNode],
    path: &str,
    scope: Scope<'_>,
    faults: &mut Vec<Fault>,
) -> Vec<Node> {
    let mut compiled = Vec::with_capacity(nodes.len());
    for (at, node) in nodes.iter().enumerate() {
        let path = format!("{path}[{at}]");
        match node {
            ConditionNode::Group(group) => {
                let nodes = compile_nodes(&group.conditions, &format!("{path}.conditions"), scope, faults);
                compiled.push(Node { combinator: group.combinator, kind: NodeKind::Group(nodes) });
            }
            ConditionNode::Leaf(leaf) => {
                if let Some(kind) = compile_leaf(leaf, &path, scope, faults) {
                    compiled.push(Node { combinator: leaf.combinator, kind: NodeKind::Leaf(kind) });
                }
            }
        }
    }
    compiled
}

fn compile_leaf(leaf: &Condition, path: &str, scope: Scope<'_>, faults: &mut Vec<Fault>) -> Option<Leaf> {
    let operator = check_operator(leaf, path, faults);
    let variable = compile_template(&leaf.variable, &format!("{path}.variable"), scope, faults);
    if variable.as_ref().is_some_and(Template::is_constant) {
        let name = leaf.variable.trim();
        let hint = if scope.inputs.iter().any(|input| input.as_str() == name) {
            format!("write {{{{input.{name}}}}}")
        } else {
            "write {{input.NAME}} or {{action.output}}".to_owned()
        };
        let message = format!("\"{name}\" is text, the same for every row; {hint}");
        faults.push(Fault::new(FaultCode::InvalidValue, format!("{path}.variable"), message));
    }
    let mut values = Vec::with_capacity(leaf.values.len());
    for (at, value) in leaf.values.iter().enumerate() {
        values.extend(compile_value(value, operator, &format!("{path}.values[{at}]"), scope, faults));
    }
    Some(Leaf { variable: variable?, shown: leaf.variable.trim().to_owned(), operator: operator?, values })
}

fn compile_value(
    value: &Value,
    operator: Option<Operator>,
    path: &str,
    scope: Scope<'_>,
    faults: &mut Vec<Fault>,
) -> Option<Template> {
    let template = match value {
        Value::String(text) => compile_template(text, path, scope, faults)?,
        Value::Bool(_) | Value::Number(_) => Template::Constant(value.clone()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            let message = "a value is text, a number, true or false; for no value at all use \"is empty\"";
            faults.push(Fault::new(FaultCode::InvalidValue, path, message));
            return None;
        }
    };
    if let (Template::Constant(constant), Some(operator)) = (&template, operator)
        && operator.is_numeric()
        && !matches!(Number::read(constant), Ok(Some(_)))
    {
        let message = format!("\"{operator}\" compares numbers, and {constant} is not one");
        faults.push(Fault::new(FaultCode::InvalidValue, path, message));
    }
    Some(template)
}

fn compile_template(text: &str, path: &str, scope: Scope<'_>, faults: &mut Vec<Fault>) -> Option<Template> {
    match Template::compile(text, scope) {
        Ok(template) => Some(template),
        Err(problems) => {
            faults.extend(
                problems.into_iter().map(|Problem { code, message }| Fault::new(code, path, message)),
            );
            None
        }
    }
}

fn show(nodes: &[ConditionNode]) -> String {
    let mut shown = String::new();
    for (at, node) in nodes.iter().enumerate() {
        let (combinator, text) = match node {
            ConditionNode::Group(group) => (group.combinator, format!("({})", show(&group.conditions))),
            ConditionNode::Leaf(leaf) => {
                let values: Vec<String> = leaf.values.iter().map(Value::to_string).collect();
                let text = format!("{} {} {}", leaf.variable.trim(), leaf.operator, values.join(", "));
                (leaf.combinator, text.trim_end().to_owned())
            }
        };
        if at > 0 {
            shown.push_str(match combinator {
                Combinator::And => " AND ",
                Combinator::Or => " OR ",
            });
        }
        shown.push_str(&text);
    }
    shown
}

fn are_met(nodes: &[Node], row: RowView<'_>) -> Result<bool, Failure> {
    let mut met = true;
    for (at, node) in nodes.iter().enumerate() {
        // `true OR x` and `false AND x` are settled without x.
        let is_settled = at > 0
            && match node.combinator {
                Combinator::And => !met,
                Combinator::Or => met,
            };
        if !is_settled {
            met = match &node.kind {
                NodeKind::Leaf(leaf) => leaf.is_met(row)?,
                NodeKind::Group(nodes) => are_met(nodes, row)?,
            };
        }
    }
    Ok(met)
}

impl Leaf {
    fn is_met(&self, row: RowView<'_>) -> Result<bool, Failure> {
        let actual = self.variable.resolve(row)?;
        Ok(match self.operator {
            Operator::IsEmpty => is_empty(Some(&actual)),
            Operator::IsNotEmpty => !is_empty(Some(&actual)),
            Operator::Is => self.any(row, |expected| is_same(&actual, expected))?,
            Operator::IsNot => !self.any(row, |expected| is_same(&actual, expected))?,
            Operator::Contains | Operator::ContainsAnyOf => self.any(row, |part| contains(&actual, part))?,
            Operator::DoesNotContain | Operator::NotContainsAnyOf => {
                !self.any(row, |part| contains(&actual, part))?
            }
            Operator::GreaterThan => self.compare(row, &actual, |actual, bounds| {
                bounds.iter().all(|bound| actual.partial_cmp(bound).is_some_and(std::cmp::Ordering::is_gt))
            })?,
            Operator::LessThan => self.compare(row, &actual, |actual, bounds| {
                bounds.iter().all(|bound| actual.partial_cmp(bound).is_some_and(std::cmp::Ordering::is_lt))
            })?,
            Operator::IsBetween => self.compare(row, &actual, |actual, bounds| match bounds {
                [low, high] => low <= actual && actual <= high,
                _ => false,
            })?,
        })
    }

    fn any(&self, row: RowView<'_>, test: impl Fn(&Value) -> bool) -> Result<bool, Failure> {
        for value in &self.values {
            if test(&*value.resolve(row)?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Compares numbers; with an empty side the comparison is not met, whatever it is.
    fn compare(
        &self,
        row: RowView<'_>,
        actual: &Value,
        test: impl Fn(&Number, &[Number]) -> bool,
    ) -> Result<bool, Failure> {
        let not_a_number = |what: &str| {
            let message =
                format!("{what} is text that is not a number, which \"{}\" compares", self.operator);
            Failure::new(Code::NotANumber, message)
        };
        let Some(actual) = Number::read(actual).map_err(|_| not_a_number(&self.shown))? else {
            return Ok(false);
        };
        let mut bounds = Vec::with_capacity(self.values.len());
        for (at, value) in self.values.iter().enumerate() {
            let bound = Number::read(&*value.resolve(row)?);
            match bound.map_err(|_| not_a_number(&format!("value {} for {}", at + 1, self.shown)))? {
                Some(bound) => bounds.push(bound),
                None => return Ok(false),
            }
        }
        Ok(test(&actual, &bounds))
    }
}

/// Equality of `is`: to the letter, except that a number in the plan equals any way of writing it.
fn is_same(actual: &Value, expected: &Value) -> bool {
    if let (Value::Number(_), Ok(Some(actual)), Ok(Some(expected))) =
        (expected, Number::read(actual), Number::read(expected))
    {
        return actual.partial_cmp(&expected) == Some(std::cmp::Ordering::Equal);
    }
    match (actual, expected) {
        (Value::String(actual), Value::String(expected)) => actual == expected,
        _ => to_text(actual) == to_text(expected),
    }
}

/// Whether text holds a part, or a list an item; nothing is held by nothing.
fn contains(actual: &Value, part: &Value) -> bool {
    if is_empty(Some(part)) {
        return false;
    }
    let part = to_text(part);
    match actual {
        Value::String(text) => text.contains(&part),
        Value::Array(items) => items.iter().any(|item| to_text(item) == part),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => to_text(actual).contains(&part),
    }
}

/// A number as CRMs write them; whole numbers are compared exactly, however long.
#[derive(Clone, Copy, Debug)]
enum Number {
    Whole(i128),
    Float(f64),
}

struct NotANumber;

impl Number {
    /// The number that a value is or spells; `None` when the value is empty.
    fn read(value: &Value) -> Result<Option<Self>, NotANumber> {
        let text = match value {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.trim().to_owned(),
            Value::Null => String::new(),
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => return Err(NotANumber),
        };
        if text.is_empty() {
            return Ok(None);
        }
        if let Ok(whole) = text.parse() {
            return Ok(Some(Self::Whole(whole)));
        }
        // Rust reads "inf" and "nan" as floats; a person does not call them numbers.
        if text.contains(|c: char| !c.is_ascii_digit() && !"+-.eE".contains(c)) {
            return Err(NotANumber);
        }
        text.parse()
            .ok()
            .filter(|float: &f64| float.is_finite())
            .map(|float| Some(Self::Float(float)))
            .ok_or(NotANumber)
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "only a whole number beside a float, which is no more exact itself"
    )]
    fn as_float(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            Self::Float(float) => float,
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.partial_cmp(other) == Some(std::cmp::Ordering::Equal)
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Self::Whole(one), Self::Whole(two)) => Some(one.cmp(two)),
            (one, two) => one.as_float().partial_cmp(&two.as_float()),
        }
    }
}

#[cfg(test)]
mod tests;
