//! How the conditions of a plan become the condition of a query.
//!
//! Conditions are joined from left to right, without precedence, as in a chain: `a OR b AND c` is `(a OR b) AND c`. A
//! record without a value meets "is not" and "does not contain".

use infill_crm::Error;
use infill_model::nearest::did_you_mean;
use infill_model::plan::{Combinator, Condition};
use infill_model::property::{PropertyDef, PropertyKind};
use infill_model::{Class, Value};

use crate::catalog::is_reference;
use crate::check::unknown_option;
use crate::id::Id;
use crate::{normalize, soql};

/// The condition that records meet which meet the conditions.
///
/// # Errors
/// `configuration` when an operator, a property or a value is wrong.
pub fn compile(conditions: &[Condition], properties: &[PropertyDef]) -> Result<String, Error> {
    let mut joined = String::new();
    for condition in conditions {
        let one = compile_one(condition, properties)?;
        joined = match (joined.is_empty(), condition.combinator) {
            (true, _) => one,
            (false, Combinator::And) => format!("({joined}) AND {one}"),
            (false, Combinator::Or) => format!("({joined}) OR {one}"),
        };
    }
    if joined.is_empty() {
        let message = "the filter has no condition; to select every record, write \"Id\" \"is not empty\"";
        return Err(wrong("empty_filter", message.to_owned()));
    }
    Ok(joined)
}

fn wrong(code: &str, message: String) -> Error {
    Error::new(Class::Configuration, code, message)
}

/// How many values an operator wants.
enum Arity {
    None,
    One,
    Two,
    Some,
}

/// The operators of a chain, with the number of values each wants.
const OPERATORS: [(&str, Arity); 11] = [
    ("is", Arity::Some),
    ("is not", Arity::Some),
    ("contains", Arity::One),
    ("does not contain", Arity::One),
    ("is empty", Arity::None),
    ("is not empty", Arity::None),
    ("greater than", Arity::One),
    ("less than", Arity::One),
    ("is between", Arity::Two),
    ("contains any of", Arity::Some),
    ("not contains any of", Arity::Some),
];

/// Words of another dialect and what is meant by them.
const FOREIGN: [(&str, &str); 3] =
    [("is equal to", "is"), ("not equal to", "is not"), ("not empty", "is not empty")];

/// One condition, in brackets where it is of several parts.
fn compile_one(condition: &Condition, properties: &[PropertyDef]) -> Result<String, Error> {
    let operator = known_operator(condition)?;
    let property = properties
        .binary_search_by(|property| property.name.as_str().cmp(&condition.variable))
        .ok()
        .and_then(|idx| properties.get(idx))
        .ok_or_else(|| unknown_property(condition, properties))?;
    let name = property.name.as_str();
    let term = Term { property, operator };
    let literals = || condition.values.iter().map(|value| term.literal(value)).collect::<Result<Vec<_>, _>>();
    let or_empty = |met: String| format!("({met} OR {name} = null)");
    let is_choice = property.kind == PropertyKind::MultiEnumeration;
    Ok(match (operator, condition.values.as_slice()) {
        ("is empty", _) => format!("{name} = null"),
        ("is not empty", _) => format!("{name} != null"),
        ("is", [value]) => format!("{name} = {}", term.literal(value)?),
        ("is", _) => format!("{name} IN {}", soql::list(&literals()?)),
        ("is not", [value]) => or_empty(format!("{name} != {}", term.literal(value)?)),
        ("is not", _) => or_empty(format!("{name} NOT IN {}", soql::list(&literals()?))),
        ("greater than", [value]) => format!("{name} > {}", term.quantity(value)?),
        ("less than", [value]) => format!("{name} < {}", term.quantity(value)?),
        ("is between", [low, high]) => {
            format!("({name} >= {} AND {name} <= {})", term.quantity(low)?, term.quantity(high)?)
        }
        ("contains" | "contains any of", _) if is_choice => {
            format!("{name} INCLUDES {}", soql::list(&literals()?))
        }
        (_, _) if is_choice => or_empty(format!("{name} EXCLUDES {}", soql::list(&literals()?))),
        ("contains" | "contains any of", values) => {
            let patterns = term.patterns(values)?;
            let any: Vec<String> = patterns.iter().map(|pattern| format!("{name} LIKE {pattern}")).collect();
            format!("({})", any.join(" OR "))
        }
        (_, values) => {
            let patterns = term.patterns(values)?;
            let none: Vec<String> =
                patterns.iter().map(|pattern| format!("(NOT {name} LIKE {pattern})")).collect();
            or_empty(format!("({})", none.join(" AND ")))
        }
    })
}

fn known_operator(condition: &Condition) -> Result<&'static str, Error> {
    let written = condition.operator.as_str();
    let Some((operator, arity)) = OPERATORS.iter().find(|(operator, _)| *operator == written) else {
        let meant = FOREIGN.iter().find(|(foreign, _)| *foreign == written).map_or_else(
            || did_you_mean(written, OPERATORS.iter().map(|(operator, _)| *operator)),
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
        return Ok(operator);
    }
    let message = format!(
        "filter on \"{}\": \"{operator}\" takes {wanted}, and {n_values} are given",
        condition.variable
    );
    Err(wrong("filter_values", message))
}

fn unknown_property(condition: &Condition, properties: &[PropertyDef]) -> Error {
    let names = properties.iter().map(|property| property.name.as_str());
    let name = &condition.variable;
    let near = did_you_mean(name, names);
    let message = format!("filter: the object has no field \"{name}\" that this user may see{near}");
    Error { property: Some(name.clone()), ..wrong("unknown_property", message) }
}

/// A property under an operator: what its values must look like.
struct Term<'a> {
    property: &'a PropertyDef,
    operator: &'static str,
}

impl Term<'_> {
    fn refuse(&self, why: &str) -> Error {
        let name = &self.property.name;
        Error {
            property: Some(name.as_str().to_owned()),
            ..wrong("filter_value", format!("filter on \"{name}\": {why}"))
        }
    }

    fn text(&self, value: &Value) -> Result<String, Error> {
        match value {
            Value::String(text) if !text.trim().is_empty() => Ok(text.clone()),
            Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
            Value::Null | Value::String(_) => {
                Err(self.refuse("an empty value selects nothing; use \"is empty\" or \"is not empty\""))
            }
            Value::Array(_) | Value::Object(_) => {
                Err(self.refuse("a value must be text, a number, true or false"))
            }
        }
    }

    /// The value as a literal of the property's kind: numbers, days and moments stand bare, all else in quotes.
    fn literal(&self, value: &Value) -> Result<String, Error> {
        let text = self.text(value)?;
        let or = |literal: Option<String>, what: &str| {
            literal.ok_or_else(|| self.refuse(&format!("\"{text}\" is {what}")))
        };
        match self.property.kind {
            PropertyKind::Number => or(normalize::number(&text), "no number"),
            PropertyKind::Bool => {
                or(normalize::truth(&text).map(|truth| truth.to_string()), "neither true nor false")
            }
            PropertyKind::Date => {
                or(normalize::date(&text).map(|date| date.to_string()), "no day; write it as 2026-11-20")
            }
            PropertyKind::DateTime => or(
                normalize::moment(&text).map(normalize::moment_text),
                "no day or moment; write it as 2026-11-20 or 2026-11-20T10:30:00Z",
            ),
            PropertyKind::Enumeration | PropertyKind::MultiEnumeration => {
                match unknown_option(self.property, &text) {
                    Some(why) => Err(self.refuse(&why)),
                    None => Ok(soql::text(&text)),
                }
            }
            PropertyKind::Other if is_reference(self.property) => {
                or(Id::parse(text.trim()).map(|id| soql::text(id.as_str())), "no record id")
            }
            PropertyKind::Text
            | PropertyKind::Html
            | PropertyKind::Email
            | PropertyKind::Phone
            | PropertyKind::Other => Ok(soql::text(&text)),
        }
    }

    /// A value to compare with by size.
    fn quantity(&self, value: &Value) -> Result<String, Error> {
        match self.property.kind {
            PropertyKind::Number | PropertyKind::Date | PropertyKind::DateTime => self.literal(value),
            PropertyKind::Text
            | PropertyKind::Html
            | PropertyKind::Email
            | PropertyKind::Phone
            | PropertyKind::Bool
            | PropertyKind::Enumeration
            | PropertyKind::MultiEnumeration
            | PropertyKind::Other => Err(self.refuse(&format!(
                "\"{}\" compares numbers and dates, and the field is {}",
                self.operator, self.property.vendor_type
            ))),
        }
    }

    /// Values to be found within a text.
    fn patterns(&self, values: &[Value]) -> Result<Vec<String>, Error> {
        match self.property.kind {
            PropertyKind::Text
            | PropertyKind::Html
            | PropertyKind::Email
            | PropertyKind::Phone
            | PropertyKind::Enumeration => {}
            PropertyKind::Other
            | PropertyKind::Number
            | PropertyKind::Bool
            | PropertyKind::Date
            | PropertyKind::DateTime
            | PropertyKind::MultiEnumeration => {
                return Err(self.refuse(&format!(
                    "\"{}\" looks into text, and the field is {}; use \"is\" or \"is not\"",
                    self.operator, self.property.vendor_type
                )));
            }
        }
        values.iter().map(|value| Ok(soql::containing(&self.text(value)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use infill_model::property::PropertyOption;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::statement::Statement;

    fn properties() -> Vec<PropertyDef> {
        let kinds = [
            ("Active__c", PropertyKind::Bool, "boolean"),
            ("Birthdate", PropertyKind::Date, "date"),
            ("City", PropertyKind::Text, "string(40)"),
            ("LastSeen__c", PropertyKind::DateTime, "datetime"),
            ("OwnerId", PropertyKind::Other, "reference(User)"),
            ("Size__c", PropertyKind::Number, "double(18, 0)"),
            ("Stage", PropertyKind::Enumeration, "picklist"),
            ("Topics__c", PropertyKind::MultiEnumeration, "multipicklist"),
        ];
        let option = |value: &str| PropertyOption { value: value.to_owned(), label: value.to_owned() };
        kinds
            .into_iter()
            .map(|(name, kind, vendor_type)| PropertyDef {
                name: name.into(),
                label: name.to_owned(),
                kind,
                vendor_type: vendor_type.to_owned(),
                read_only: None,
                options: vec![option("lead"), option("customer")],
                external_options: false,
                options_by: None,
            })
            .collect()
    }

    fn condition(variable: &str, operator: &str, values: Value) -> Condition {
        Condition {
            variable: variable.to_owned(),
            operator: operator.to_owned(),
            values: values.as_array().cloned().unwrap_or_default(),
            combinator: Combinator::And,
        }
    }

    #[test]
    fn every_operator_has_its_condition() {
        for (variable, operator, values, compiled) in [
            ("City", "is", json!(["O'Hara"]), r"City = 'O\'Hara'"),
            ("City", "is", json!(["Bonn", "Köln"]), "City IN ('Bonn', 'Köln')"),
            ("City", "is not", json!(["Bonn"]), "(City != 'Bonn' OR City = null)"),
            ("City", "is not", json!(["a", "b"]), "(City NOT IN ('a', 'b') OR City = null)"),
            ("City", "contains", json!(["50%"]), r"(City LIKE '%50\%%')"),
            ("City", "does not contain", json!(["x"]), "(((NOT City LIKE '%x%')) OR City = null)"),
            ("City", "contains any of", json!(["a", "b"]), "(City LIKE '%a%' OR City LIKE '%b%')"),
            (
                "City",
                "not contains any of",
                json!(["a", "b"]),
                "(((NOT City LIKE '%a%') AND (NOT City LIKE '%b%')) OR City = null)",
            ),
            ("City", "is empty", json!([]), "City = null"),
            ("City", "is not empty", json!([]), "City != null"),
            ("Size__c", "greater than", json!([5]), "Size__c > 5"),
            ("Size__c", "is between", json!([1, "2.50"]), "(Size__c >= 1 AND Size__c <= 2.5)"),
            ("Birthdate", "less than", json!(["1970-01-02"]), "Birthdate < 1970-01-02"),
            ("LastSeen__c", "greater than", json!(["2026-01-31"]), "LastSeen__c > 2026-01-31T00:00:00Z"),
            ("Active__c", "is", json!([true]), "Active__c = true"),
            ("Stage", "is", json!(["lead"]), "Stage = 'lead'"),
            ("OwnerId", "is", json!(["003ak00000jvIfp"]), "OwnerId = '003ak00000jvIfpAAE'"),
            ("Topics__c", "contains any of", json!(["lead"]), "Topics__c INCLUDES ('lead')"),
            (
                "Topics__c",
                "does not contain",
                json!(["lead"]),
                "(Topics__c EXCLUDES ('lead') OR Topics__c = null)",
            ),
        ] {
            let written = condition(variable, operator, values);
            assert_eq!(compile(std::slice::from_ref(&written), &properties()).unwrap(), compiled);
        }
    }

    #[test]
    fn conditions_join_from_left_to_right() {
        let is = |value: &str| condition("City", "is", json!([value]));
        let or = |condition| Condition { combinator: Combinator::Or, ..condition };
        let joined = |conditions: &[Condition]| compile(conditions, &properties()).unwrap();
        assert_eq!(joined(&[is("a"), or(is("b")), is("c")]), "((City = 'a') OR City = 'b') AND City = 'c'");
        assert_eq!(joined(&[or(is("a"))]), "City = 'a'");
    }

    #[test]
    fn what_is_wrong_is_refused_with_the_right_word() {
        for (written, said) in [
            (condition("City", "is equal to", json!(["x"])), "write \"is\""),
            (condition("City", "is emty", json!([])), "did you mean \"is empty\""),
            (
                condition("city", "is", json!(["x"])),
                "no field \"city\" that this user may see; did you mean \"City\"?",
            ),
            (condition("City", "is between", json!([1])), "takes two values, and 1 are given"),
            (condition("City", "is", json!([""])), "use \"is empty\""),
            (condition("City", "is", json!([["x"]])), "must be text"),
            (condition("City", "greater than", json!([1])), "compares numbers and dates"),
            (condition("Birthdate", "contains", json!(["1970"])), "looks into text"),
            (condition("Birthdate", "is", json!(["yesterday"])), "is no day"),
            (condition("Size__c", "is", json!(["1 OR Id != null"])), "is no number"),
            (condition("OwnerId", "is", json!(["Ann"])), "is no record id"),
            (condition("Stage", "is", json!(["leed"])), "did you mean \"lead\"?"),
        ] {
            let error = compile(&[written], &properties()).unwrap_err();
            assert_eq!(error.class, Class::Configuration);
            assert!(error.message.contains(said), "{error}");
        }
        assert!(compile(&[], &properties()).is_err());
    }

    proptest! {
        #[test]
        fn no_value_changes_the_meaning_of_a_query(value in any::<String>(), operator in 0..OPERATORS.len()) {
            let (operator, _) = &OPERATORS[operator];
            if let Ok(compiled) = compile(&[condition("City", operator, json!([value]))], &properties()) {
                let query = format!("SELECT Id FROM Contact WHERE {compiled} ORDER BY Id");
                let statement = Statement::parse(&query).unwrap();
                prop_assert_eq!(statement, Statement::new("Contact", Some(compiled)));
            }
        }
    }
}
