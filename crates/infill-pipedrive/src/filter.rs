//! Selecting records by the conditions of a plan.
//!
//! Pipedrive's lists take no conditions, only saved filters, and Infill makes none: a filter left behind by a run that
//! was killed would stand in somebody's account. So the records are listed with the fields that the conditions name,
//! and the conditions are decided here. Conditions are joined from left to right, without precedence, as in a chain:
//! `a OR b AND c` is `(a OR b) AND c`.

use std::cmp::Ordering;

use infill_crm::Error;
use infill_model::nearest::did_you_mean;
use infill_model::plan::{Combinator, Condition};
use infill_model::property::PropertyDef;
use infill_model::value::{is_empty, to_text};
use infill_model::{Class, Properties, PropertyName, Value};
use serde::{Deserialize, Serialize};

use crate::field::{Shape, shape};
use crate::normalize::normalize;
use crate::typed::Typed;

/// One condition, ready to be decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Test {
    /// The field, without its options.
    property: PropertyDef,
    operator: Operator,
    /// In the form in which fields compare, in lower case.
    values: Vec<String>,
    combinator: Combinator,
}

/// The operators of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Operator {
    Is,
    IsNot,
    Contains,
    DoesNotContain,
    IsEmpty,
    IsNotEmpty,
    GreaterThan,
    LessThan,
    IsBetween,
}

/// How many values an operator wants.
#[derive(Clone, Copy)]
enum Arity {
    None,
    One,
    Two,
    Some,
}

/// The words of plans, with the number of values each wants.
const OPERATORS: [(&str, Operator, Arity); 11] = [
    ("is", Operator::Is, Arity::Some),
    ("is not", Operator::IsNot, Arity::Some),
    ("contains", Operator::Contains, Arity::One),
    ("does not contain", Operator::DoesNotContain, Arity::One),
    ("is empty", Operator::IsEmpty, Arity::None),
    ("is not empty", Operator::IsNotEmpty, Arity::None),
    ("greater than", Operator::GreaterThan, Arity::One),
    ("less than", Operator::LessThan, Arity::One),
    ("is between", Operator::IsBetween, Arity::Two),
    ("contains any of", Operator::Contains, Arity::Some),
    ("not contains any of", Operator::DoesNotContain, Arity::Some),
];

/// Words of another dialect and what is meant by them.
const FOREIGN: [(&str, &str); 3] =
    [("is equal to", "is"), ("not equal to", "is not"), ("not empty", "is not empty")];

fn wrong(code: &str, message: String) -> Error {
    Error::new(Class::Configuration, code, message)
}

/// The conditions against the fields of the account.
///
/// # Errors
/// `configuration` when an operator, a field or a value is wrong.
pub fn compile(conditions: &[Condition], properties: &[PropertyDef]) -> Result<Vec<Test>, Error> {
    if conditions.is_empty() {
        let message = "the filter has no condition; to select every record, write \"id\" \"is not empty\"";
        return Err(wrong("empty_filter", message.to_owned()));
    }
    conditions.iter().map(|condition| Test::of(condition, properties)).collect()
}

/// The fields that the tests look at.
#[must_use]
pub fn names(tests: &[Test]) -> Vec<PropertyName> {
    let mut names: Vec<PropertyName> = tests.iter().map(|test| test.property.name.clone()).collect();
    names.sort();
    names.dedup();
    names
}

/// Whether a record passes the tests.
#[must_use]
pub fn passes(tests: &[Test], record: &Properties) -> bool {
    tests.iter().enumerate().fold(true, |so_far, (nth, test)| match (nth, test.combinator) {
        (0, _) => test.passes(record),
        (_, Combinator::And) => so_far && test.passes(record),
        (_, Combinator::Or) => so_far || test.passes(record),
    })
}

impl Test {
    fn of(condition: &Condition, properties: &[PropertyDef]) -> Result<Self, Error> {
        let operator = operator(condition)?;
        let property = find(&condition.variable, properties)?;
        let values = condition
            .values
            .iter()
            .map(|value| comparable(property, operator, value))
            .collect::<Result<Vec<String>, Error>>()?;
        // The options have done their part, and a field may have thousands.
        let property = PropertyDef { options: Vec::new(), external_options: true, ..property.clone() };
        Ok(Self { property, operator, values, combinator: condition.combinator })
    }

    fn passes(&self, record: &Properties) -> bool {
        let held = texts(&self.property, record.get(&self.property.name).unwrap_or(&Value::Null));
        let any = |fits: &dyn Fn(&str, &str) -> bool| {
            self.values.iter().any(|value| held.iter().any(|held| fits(held, value)))
        };
        let equals = |held: &str, value: &str| held == value;
        let chooses = shape(&self.property) == Shape::Choices;
        let holds = |held: &str, value: &str| if chooses { held == value } else { held.contains(value) };
        let compares = |value: Option<&String>, wanted: Ordering| {
            value.is_some_and(|value| held.iter().any(|held| order(held, value) == wanted))
        };
        match self.operator {
            Operator::Is => any(&equals),
            Operator::IsNot => !any(&equals),
            Operator::Contains => any(&holds),
            Operator::DoesNotContain => !any(&holds),
            Operator::IsEmpty => held.is_empty(),
            Operator::IsNotEmpty => !held.is_empty(),
            Operator::GreaterThan => compares(self.values.first(), Ordering::Greater),
            Operator::LessThan => compares(self.values.first(), Ordering::Less),
            Operator::IsBetween => {
                !held.is_empty()
                    && !compares(self.values.first(), Ordering::Less)
                    && !compares(self.values.get(1), Ordering::Greater)
            }
        }
    }
}

fn operator(condition: &Condition) -> Result<Operator, Error> {
    let written = condition.operator.as_str();
    let Some((_, operator, arity)) = OPERATORS.iter().find(|(word, ..)| *word == written) else {
        let meant = FOREIGN.iter().find(|(foreign, _)| *foreign == written).map_or_else(
            || did_you_mean(written, OPERATORS.iter().map(|(word, ..)| *word)),
            |(_, ours)| format!("; write \"{ours}\""),
        );
        let message = format!("filter on \"{}\": unknown operator \"{written}\"{meant}", condition.variable);
        return Err(wrong("unknown_operator", message));
    };
    let n_values = condition.values.len();
    let (is_right, wanted) = match arity {
        Arity::None => (n_values == 0, "no value"),
        Arity::One => (n_values == 1, "one value"),
        Arity::Two => (n_values == 2, "two values"),
        Arity::Some => (n_values > 0, "at least one value"),
    };
    if is_right {
        return Ok(*operator);
    }
    let message = format!(
        "filter on \"{}\": \"{written}\" takes {wanted}, and {n_values} are given",
        condition.variable
    );
    Err(wrong("filter_values", message))
}

/// A field by its code, or by its label where only one has it.
fn find<'a>(name: &str, properties: &'a [PropertyDef]) -> Result<&'a PropertyDef, Error> {
    if let Some(property) = properties.iter().find(|property| property.name.as_str() == name) {
        return Ok(property);
    }
    let mut labelled = properties.iter().filter(|property| property.label.eq_ignore_ascii_case(name));
    let message = match (labelled.next(), labelled.next()) {
        (Some(property), None) => return Ok(property),
        (Some(one), Some(other)) => {
            format!(
                "several fields are called \"{name}\"; write the code that is meant: {}, {}",
                one.name, other.name
            )
        }
        (None, _) => {
            let known =
                properties.iter().flat_map(|property| [property.name.as_str(), property.label.as_str()]);
            format!("Pipedrive has no field \"{name}\"{}", did_you_mean(name, known))
        }
    };
    Err(Error { property: Some(name.to_owned()), ..wrong("unknown_property", format!("filter: {message}")) })
}

/// A value of a condition in the form in which the field compares.
fn comparable(property: &PropertyDef, operator: Operator, value: &Value) -> Result<String, Error> {
    let name = &property.name;
    let refuse = |why: &str| {
        let message = format!("filter on \"{name}\" ({}): {why}", property.label);
        Error { property: Some(name.as_str().to_owned()), ..wrong("filter_value", message) }
    };
    if is_empty(Some(value)) {
        return Err(refuse("an empty value selects nothing; use \"is empty\" or \"is not empty\""));
    }
    if matches!(value, Value::Array(_) | Value::Object(_)) {
        return Err(refuse("a value must be text, a number, true or false"));
    }
    let text = to_text(value).trim().to_lowercase();
    let shape = shape(property);
    let is_ordered =
        matches!(shape, Shape::Number | Shape::Integer | Shape::Money | Shape::Date | Shape::DateTime);
    let is_typed = match operator {
        Operator::GreaterThan | Operator::LessThan | Operator::IsBetween if !is_ordered => {
            let why = format!("numbers and dates have an order, and the field is {}", property.vendor_type);
            return Err(refuse(&why));
        }
        Operator::Contains | Operator::DoesNotContain => matches!(shape, Shape::Choices),
        Operator::Is | Operator::IsNot => !matches!(shape, Shape::Date | Shape::DateTime | Shape::Unknown),
        Operator::GreaterThan | Operator::LessThan | Operator::IsBetween => {
            matches!(shape, Shape::Number | Shape::Integer)
        }
        Operator::IsEmpty | Operator::IsNotEmpty => false,
    };
    if !is_typed {
        return Ok(text);
    }
    let typed = Typed::of(property, value).map_err(|misfit| refuse(&misfit.why))?;
    match typed.map(|typed| comparables(&typed.normal())).unwrap_or_default().as_slice() {
        [one] => Ok(one.clone()),
        [] | [..] => Err(refuse("one value at a time can be compared; write several")),
    }
}

/// What a field holds, in the form in which it compares; none when it is empty.
fn texts(property: &PropertyDef, value: &Value) -> Vec<String> {
    comparables(&normalize(property, value))
}

fn comparables(normal: &Value) -> Vec<String> {
    match normal {
        Value::Null => Vec::new(),
        Value::Array(items) => items.iter().map(|item| to_text(item).to_lowercase()).collect(),
        // Of an amount the number, of anything else what it says.
        Value::Object(parts) => {
            parts.get("value").map(|value| to_text(value).to_lowercase()).into_iter().collect()
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => vec![to_text(normal).to_lowercase()],
    }
}

/// Numbers by size, all else as text: days and moments are written so that both orders are one.
fn order(a: &str, b: &str) -> Ordering {
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => a.total_cmp(&b),
        _ => a.cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use infill_model::property::PropertyOption;
    use serde_json::json;

    use super::*;
    use crate::field::shape_of;

    const HASH: &str = "9dc80c50d78a15643bfc4ca79d76156a73a1ca0e";

    fn fields() -> Vec<PropertyDef> {
        let field = |name: &str, label: &str, field_type: &str| PropertyDef {
            name: name.into(),
            label: label.to_owned(),
            kind: shape_of(field_type).kind(),
            vendor_type: field_type.to_owned(),
            read_only: None,
            options: vec![
                PropertyOption { value: "1".to_owned(), label: "Red".to_owned() },
                PropertyOption { value: "2".to_owned(), label: "Green".to_owned() },
            ],
            external_options: false,
            options_by: None,
        };
        vec![
            field("name", "Name", "varchar"),
            field("value", "Value", "double"),
            field("closed", "Closed on", "date"),
            field(HASH, "Colours", "set"),
            field("twin1", "Twin", "varchar"),
            field("twin2", "Twin", "varchar"),
        ]
    }

    fn condition(variable: &str, operator: &str, values: &[Value], combinator: Combinator) -> Condition {
        Condition {
            variable: variable.to_owned(),
            operator: operator.to_owned(),
            values: values.to_vec(),
            combinator,
        }
    }

    fn is_met(variable: &str, operator: &str, values: &[Value]) -> bool {
        let tests = compile(&[condition(variable, operator, values, Combinator::And)], &fields()).unwrap();
        // As it is after a trip through the store.
        let tests: Vec<Test> = serde_json::from_value(serde_json::to_value(tests).unwrap()).unwrap();
        let record =
            json!({"name": "Ann Lee", "value": 12.5, "closed": "2026-11-20", HASH: [2, 1], "twin1": null});
        passes(&tests, &serde_json::from_value(record).unwrap())
    }

    #[test]
    fn a_condition_means_what_it_says() {
        for (variable, operator, values, expected) in [
            ("name", "is", vec![json!("ann lee")], true),
            ("name", "is", vec![json!("x"), json!("Ann Lee")], true),
            ("name", "is not", vec![json!("Ann Lee")], false),
            ("name", "contains", vec![json!("LEE")], true),
            ("name", "does not contain", vec![json!("lee")], false),
            ("name", "contains any of", vec![json!("x"), json!("nn")], true),
            ("name", "not contains any of", vec![json!("x"), json!("y")], true),
            ("name", "is empty", vec![], false),
            ("twin1", "is empty", vec![], true),
            ("twin2", "is not empty", vec![], false),
            ("twin1", "is not", vec![json!("x")], true),
            ("value", "is", vec![json!("12.50")], true),
            ("value", "greater than", vec![json!(9)], true),
            ("value", "less than", vec![json!(12.5)], false),
            ("value", "is between", vec![json!(12.5), json!(13)], true),
            ("value", "is between", vec![json!(13), json!(14)], false),
            ("twin1", "is not empty", vec![], false),
            ("closed", "greater than", vec![json!("2026-11-19")], true),
            ("closed", "is between", vec![json!("2026-11-20"), json!("2026-11-20")], true),
            ("Colours", "contains", vec![json!("green")], true),
            ("Colours", "is", vec![json!("1")], true),
            (HASH, "not contains any of", vec![json!("Red")], false),
        ] {
            assert_eq!(is_met(variable, operator, &values), expected, "{variable} {operator} {values:?}");
        }
    }

    #[test]
    fn conditions_are_joined_from_left_to_right() {
        let yes = |combinator| condition("name", "is not empty", &[], combinator);
        let no = |combinator| condition("name", "is empty", &[], combinator);
        let joined = |conditions: &[Condition]| {
            let record = serde_json::from_value(json!({"name": "x"})).unwrap();
            passes(&compile(conditions, &fields()).unwrap(), &record)
        };
        assert!(!joined(&[yes(Combinator::And), no(Combinator::Or), no(Combinator::And)]));
        assert!(joined(&[no(Combinator::And), no(Combinator::And), yes(Combinator::Or)]));
        assert!(joined(&[yes(Combinator::Or), yes(Combinator::And)]));
    }

    #[test]
    fn what_cannot_be_decided_is_refused_with_the_way_out() {
        let said = |variable: &str, operator: &str, values: &[Value]| {
            let error =
                compile(&[condition(variable, operator, values, Combinator::And)], &fields()).unwrap_err();
            assert_eq!(error.class, Class::Configuration);
            error.message
        };
        for (message, part) in [
            (said("nmae", "is empty", &[]), "or \"name\"?"),
            (
                said("Twin", "is empty", &[]),
                "several fields are called \"Twin\"; write the code that is meant: twin1, twin2",
            ),
            (said("name", "is equal to", &[json!(1)]), "write \"is\""),
            (said("name", "is", &[]), "takes at least one value, and 0 are given"),
            (said("name", "is", &[json!("")]), "use \"is empty\""),
            (said("name", "greater than", &[json!(1)]), "the field is varchar"),
            (said("value", "is", &[json!("many")]), "\"many\" is no number"),
            (said("Colours", "is", &[json!("Reed")]), "did you mean \"Red\""),
        ] {
            assert!(message.contains(part), "{message}");
        }
        assert_eq!(compile(&[], &fields()).unwrap_err().code, "empty_filter");
        let tests = compile(
            &[
                condition("name", "is empty", &[], Combinator::And),
                condition("Name", "is empty", &[], Combinator::Or),
            ],
            &fields(),
        );
        assert_eq!(names(&tests.unwrap()), ["name".into()]);
    }
}
