//! How the conditions of a plan become a HubSpot search.
//!
//! Conditions are joined from left to right, without precedence, as in a chain: `a OR b AND c` is `(a OR b) AND c`.
//! HubSpot takes an OR of ANDs, so the conditions are multiplied out. What then does not fit into one search is
//! refused; nothing is cut.

use infill_crm::Error;
use infill_model::nearest::did_you_mean;
use infill_model::plan::{Combinator, Condition};
use infill_model::property::{PropertyDef, PropertyKind};
use infill_model::{Class, PropertyName, Value};

use crate::check::unknown_option;
use crate::normalize;
use crate::request::{RECORD_ID, SEARCH_PAGE, Search, search_body_length};
use crate::slice::Filter;

/// Groups in one search.
const MOST_GROUPS: usize = 5;
/// Filters in one group, the one that pages by record id included.
const MOST_FILTERS: usize = 6;
/// Filters in one search, those that page by record id included.
const MOST_FILTERS_IN_ALL: usize = 18;
/// Characters in the body of a search.
const LONGEST_BODY: usize = 3_000;
/// The longest record id there can be: what paging adds to the body at worst.
const LONGEST_ID: &str = "18446744073709551615";

/// The search that selects the records which meet the conditions, as an OR of ANDs.
///
/// # Errors
/// `configuration` when an operator, a property or a value is wrong, or HubSpot's search cannot express it.
pub fn compile(conditions: &[Condition], properties: &[PropertyDef]) -> Result<Vec<Vec<Filter>>, Error> {
    let mut groups: Vec<Vec<Filter>> = Vec::new();
    for (nth, condition) in conditions.iter().enumerate() {
        let alternatives = alternatives(condition, properties)?;
        groups = match (nth, condition.combinator) {
            (0, _) => alternatives,
            (_, Combinator::Or) => groups.into_iter().chain(alternatives).collect(),
            (_, Combinator::And) => groups
                .iter()
                .flat_map(|group| {
                    alternatives.iter().map(|alternative| group.iter().chain(alternative).cloned().collect())
                })
                .collect(),
        };
        // Multiplied out, a few more conditions would fill the memory before they are refused.
        if groups.len() > MOST_GROUPS {
            return Err(too_large(format!("it needs more than {MOST_GROUPS} groups of filters")));
        }
    }
    if groups.is_empty() {
        return Err(wrong(
            "empty_filter",
            format!(
                "the filter has no condition; to select every record, write \"{RECORD_ID}\" \"is not empty\""
            ),
        ));
    }
    fits(&groups)?;
    Ok(groups)
}

/// Checks the search, with the filter that pages it, against HubSpot's limits.
fn fits(groups: &[Vec<Filter>]) -> Result<(), Error> {
    let n_all: usize = groups.iter().map(|group| group.len() + 1).sum();
    if groups.iter().any(|group| group.len() + 1 > MOST_FILTERS) {
        let most = MOST_FILTERS - 1;
        return Err(too_large(format!("it joins more than {most} conditions by AND")));
    }
    if n_all > MOST_FILTERS_IN_ALL {
        return Err(too_large(format!("it needs {n_all} filters, and {MOST_FILTERS_IN_ALL} are allowed")));
    }
    let longest = Search { groups, above: Some(LONGEST_ID), after: Some(LONGEST_ID), limit: SEARCH_PAGE };
    let length = search_body_length(longest)?;
    if length > LONGEST_BODY {
        return Err(too_large(format!("it is {length} characters long, and {LONGEST_BODY} are allowed")));
    }
    Ok(())
}

fn too_large(why: String) -> Error {
    wrong(
        "filter_too_large",
        format!(
            "HubSpot cannot search by this filter: {why}; make a list in HubSpot with these filters and use it as `list`"
        ),
    )
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

/// One condition as an OR of ANDs.
fn alternatives(condition: &Condition, properties: &[PropertyDef]) -> Result<Vec<Vec<Filter>>, Error> {
    let operator = known_operator(condition)?;
    let property = properties
        .binary_search_by(|property| property.name.as_str().cmp(&condition.variable))
        .ok()
        .and_then(|idx| properties.get(idx))
        .ok_or_else(|| unknown_property(condition, properties))?;
    let term = Term { property, operator };
    let values =
        condition.values.iter().map(|value| term.value(value)).collect::<Result<Vec<String>, Error>>()?;
    let name = property.name.as_str();
    let is_choice = property.kind == PropertyKind::MultiEnumeration;
    let one = |filter| Ok(vec![vec![filter]]);
    match (operator, values.as_slice()) {
        ("is empty", _) => one(Filter::without_value(name, "NOT_HAS_PROPERTY")),
        ("is not empty", _) => one(Filter::without_value(name, "HAS_PROPERTY")),
        ("is", [value]) => one(Filter::with_value(name, "EQ", value)),
        ("is", _) => one(Filter::with_values(name, "IN", term.listed(values))),
        ("is not", [value]) => one(Filter::with_value(name, "NEQ", value)),
        ("is not", _) => one(Filter::with_values(name, "NOT_IN", term.listed(values))),
        ("greater than", [value]) => one(Filter::with_value(name, "GT", term.quantity(value)?)),
        ("less than", [value]) => one(Filter::with_value(name, "LT", term.quantity(value)?)),
        ("is between", [low, high]) => one(Filter::between(name, term.quantity(low)?, term.quantity(high)?)),
        ("contains" | "contains any of", _) if is_choice => one(Filter::with_values(name, "IN", values)),
        ("does not contain" | "not contains any of", _) if is_choice => {
            one(Filter::with_values(name, "NOT_IN", values))
        }
        ("contains" | "contains any of", values) => values
            .iter()
            .map(|value| Ok(vec![Filter::with_value(name, "CONTAINS_TOKEN", term.token(value)?)]))
            .collect(),
        ("does not contain" | "not contains any of", values) => values
            .iter()
            .map(|value| Ok(Filter::with_value(name, "NOT_CONTAINS_TOKEN", term.token(value)?)))
            .collect::<Result<Vec<Filter>, Error>>()
            .map(|filters| vec![filters]),
        _ => Err(wrong("unknown_operator", format!("the operator \"{operator}\" cannot be searched by"))),
    }
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
    Error {
        property: Some(name.clone()),
        ..wrong(
            "unknown_property",
            format!("filter: HubSpot has no property \"{name}\"{}", did_you_mean(name, names)),
        )
    }
}

/// A property under an operator: what its values must look like.
struct Term<'a> {
    property: &'a PropertyDef,
    operator: &'static str,
}

impl Term<'_> {
    fn refuse(&self, why: &str) -> Error {
        let name: &PropertyName = &self.property.name;
        Error {
            property: Some(name.as_str().to_owned()),
            ..wrong("filter_value", format!("filter on \"{name}\": {why}"))
        }
    }

    /// The value as text, among the options where there are any.
    fn value(&self, value: &Value) -> Result<String, Error> {
        let text = match value {
            Value::String(text) if !text.is_empty() => text.clone(),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::Null | Value::String(_) => {
                return Err(
                    self.refuse("an empty value selects nothing; use \"is empty\" or \"is not empty\"")
                );
            }
            Value::Array(_) | Value::Object(_) => {
                return Err(self.refuse("a value must be text, a number, true or false"));
            }
        };
        let chooses =
            matches!(self.property.kind, PropertyKind::Enumeration | PropertyKind::MultiEnumeration);
        match unknown_option(self.property, &text) {
            Some(why) if chooses => Err(self.refuse(&why)),
            Some(_) | None => self.as_stored(text),
        }
    }

    /// Days and moments as HubSpot compares them: epoch milliseconds.
    fn as_stored(&self, text: String) -> Result<String, Error> {
        match self.property.kind {
            PropertyKind::Date | PropertyKind::DateTime => {
                normalize::moment(&text).map(|at| at.as_millisecond().to_string()).ok_or_else(|| {
                    self.refuse(&format!(
                        "\"{text}\" is no day or moment; write it as 2026-11-20 or 2026-11-20T10:30:00Z"
                    ))
                })
            }
            PropertyKind::Number => {
                normalize::number(&text).ok_or_else(|| self.refuse(&format!("\"{text}\" is no number")))
            }
            PropertyKind::Text
            | PropertyKind::Html
            | PropertyKind::Email
            | PropertyKind::Phone
            | PropertyKind::Bool
            | PropertyKind::Enumeration
            | PropertyKind::MultiEnumeration
            | PropertyKind::Other => Ok(text),
        }
    }

    /// Values for `IN`: HubSpot compares text there in lower case, and options to the letter.
    fn listed(&self, values: Vec<String>) -> Vec<String> {
        match self.property.kind {
            PropertyKind::Text | PropertyKind::Html | PropertyKind::Email | PropertyKind::Phone => {
                values.into_iter().map(|value| value.to_lowercase()).collect()
            }
            PropertyKind::Number
            | PropertyKind::Bool
            | PropertyKind::Date
            | PropertyKind::DateTime
            | PropertyKind::Enumeration
            | PropertyKind::MultiEnumeration
            | PropertyKind::Other => values,
        }
    }

    /// A value to compare with by size.
    fn quantity(&self, value: &str) -> Result<String, Error> {
        match self.property.kind {
            PropertyKind::Number | PropertyKind::Date | PropertyKind::DateTime => Ok(value.to_owned()),
            PropertyKind::Text
            | PropertyKind::Html
            | PropertyKind::Email
            | PropertyKind::Phone
            | PropertyKind::Bool
            | PropertyKind::Enumeration
            | PropertyKind::MultiEnumeration
            | PropertyKind::Other => Err(self.refuse(&format!(
                "\"{}\" compares numbers and dates, and the property is {}",
                self.operator, self.property.vendor_type
            ))),
        }
    }

    /// A value to be found within a word. HubSpot compares word by word, so two words cannot be found this way.
    fn token(&self, value: &str) -> Result<String, Error> {
        match self.property.kind {
            PropertyKind::Text
            | PropertyKind::Html
            | PropertyKind::Email
            | PropertyKind::Phone
            | PropertyKind::Other => {}
            PropertyKind::Number
            | PropertyKind::Bool
            | PropertyKind::Date
            | PropertyKind::DateTime
            | PropertyKind::Enumeration
            | PropertyKind::MultiEnumeration => {
                return Err(self.refuse(&format!(
                    "\"{}\" looks into text, and the property is {}; use \"is\" or \"is not\"",
                    self.operator, self.property.vendor_type
                )));
            }
        }
        if value.contains(|c: char| c.is_whitespace() || c == '*') {
            let why = "HubSpot searches for one word at a time, without white space or *";
            return Err(self.refuse(&format!("\"{}\" \"{value}\": {why}", self.operator)));
        }
        Ok(format!("*{value}*"))
    }
}

#[cfg(test)]
mod tests {
    use infill_model::property::PropertyOption;
    use serde_json::json;

    use super::*;

    fn properties() -> Vec<PropertyDef> {
        let kinds = [
            ("born", PropertyKind::Date),
            ("city", PropertyKind::Text),
            ("hs_object_id", PropertyKind::Number),
            ("interests", PropertyKind::MultiEnumeration),
            ("stage", PropertyKind::Enumeration),
            ("zip", PropertyKind::Text),
        ];
        kinds
            .into_iter()
            .map(|(name, kind)| PropertyDef {
                name: name.into(),
                label: name.to_owned(),
                kind,
                vendor_type: "string/text".to_owned(),
                read_only: None,
                options: ["lead", "customer"]
                    .into_iter()
                    .filter(|_| matches!(kind, PropertyKind::Enumeration | PropertyKind::MultiEnumeration))
                    .map(|value| PropertyOption { value: value.to_owned(), label: value.to_owned() })
                    .collect(),
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

    fn or(condition: Condition) -> Condition {
        Condition { combinator: Combinator::Or, ..condition }
    }

    fn compiled(conditions: &[Condition]) -> Value {
        json!(compile(conditions, &properties()).unwrap())
    }

    fn refused(conditions: &[Condition]) -> String {
        let error = compile(conditions, &properties()).unwrap_err();
        assert_eq!(error.class, Class::Configuration);
        error.message
    }

    #[test]
    fn every_operator_has_its_search() {
        let of = |operator: &str, value: &str| json!({"propertyName": "city", "operator": operator, "value": value});
        for (written, groups) in [
            (condition("city", "is", json!(["Bonn"])), json!([[of("EQ", "Bonn")]])),
            (condition("city", "is not", json!(["Bonn"])), json!([[of("NEQ", "Bonn")]])),
            (condition("city", "contains", json!(["on"])), json!([[of("CONTAINS_TOKEN", "*on*")]])),
            (
                condition("city", "does not contain", json!(["on"])),
                json!([[of("NOT_CONTAINS_TOKEN", "*on*")]]),
            ),
            (
                condition("city", "is", json!(["Bonn", "Köln"])),
                json!([[{"propertyName": "city", "operator": "IN", "values": ["bonn", "köln"]}]]),
            ),
            (
                condition("stage", "is not", json!(["lead", "customer"])),
                json!([[{"propertyName": "stage", "operator": "NOT_IN", "values": ["lead", "customer"]}]]),
            ),
            (
                condition("zip", "is empty", json!([])),
                json!([[{"propertyName": "zip", "operator": "NOT_HAS_PROPERTY"}]]),
            ),
            (
                condition("zip", "is not empty", json!([])),
                json!([[{"propertyName": "zip", "operator": "HAS_PROPERTY"}]]),
            ),
            (
                condition("hs_object_id", "greater than", json!([5])),
                json!([[{"propertyName": "hs_object_id", "operator": "GT", "value": "5"}]]),
            ),
            (
                condition("born", "less than", json!(["1970-01-02"])),
                json!([[{"propertyName": "born", "operator": "LT", "value": "86400000"}]]),
            ),
            (
                condition("hs_object_id", "is between", json!([1, "2.50"])),
                json!([[{"propertyName": "hs_object_id", "operator": "BETWEEN", "value": "1", "highValue": "2.5"}]]),
            ),
            (
                condition("city", "contains any of", json!(["a", "b"])),
                json!([[of("CONTAINS_TOKEN", "*a*")], [of("CONTAINS_TOKEN", "*b*")]]),
            ),
            (
                condition("city", "not contains any of", json!(["a", "b"])),
                json!([[of("NOT_CONTAINS_TOKEN", "*a*"), of("NOT_CONTAINS_TOKEN", "*b*")]]),
            ),
            (
                condition("interests", "contains any of", json!(["lead"])),
                json!([[{"propertyName": "interests", "operator": "IN", "values": ["lead"]}]]),
            ),
        ] {
            assert_eq!(compiled(std::slice::from_ref(&written)), groups, "{written:?}");
        }
    }

    #[test]
    fn conditions_join_from_left_to_right() {
        let is = |value: &str| condition("city", "is", json!([value]));
        let eq = |value: &str| json!({"propertyName": "city", "operator": "EQ", "value": value});
        // (a OR b) AND c
        assert_eq!(
            compiled(&[is("a"), or(is("b")), is("c")]),
            json!([[eq("a"), eq("c")], [eq("b"), eq("c")]])
        );
        // (a AND b) OR c
        assert_eq!(compiled(&[is("a"), is("b"), or(is("c"))]), json!([[eq("a"), eq("b")], [eq("c")]]));
        // The first combinator says nothing.
        assert_eq!(compiled(&[or(is("a"))]), json!([[eq("a")]]));
    }

    #[test]
    fn what_is_wrong_is_refused_with_the_right_word() {
        for (written, said) in [
            (
                condition("city", "is equal to", json!(["x"])),
                "unknown operator \"is equal to\"; write \"is\"",
            ),
            (condition("city", "is emty", json!([])), "did you mean \"is empty\""),
            (condition("citi", "is", json!(["x"])), "no property \"citi\"; did you mean \"city\"?"),
            (condition("city", "is between", json!([1])), "takes two values, and 1 are given"),
            (condition("city", "is empty", json!(["x"])), "takes no value"),
            (condition("city", "is", json!([""])), "use \"is empty\""),
            (condition("city", "is", json!([["x"]])), "must be text"),
            (condition("city", "greater than", json!([1])), "compares numbers and dates"),
            (condition("city", "contains", json!(["San José"])), "one word at a time"),
            (condition("born", "contains", json!(["1970"])), "looks into text"),
            (condition("born", "is", json!(["yesterday"])), "is no day or moment"),
            (condition("stage", "is", json!(["leed"])), "none of its 2 options; did you mean \"lead\"?"),
        ] {
            let message = refused(&[written]);
            assert!(message.contains(said), "{message}");
        }
        assert!(refused(&[]).contains("no condition"));
    }

    #[test]
    fn what_does_not_fit_into_one_search_is_refused_and_never_cut() {
        let is = |value: &str| condition("city", "is", json!([value]));
        let any: Vec<Value> = (0..6).map(|n| json!(format!("v{n}"))).collect();
        assert!(refused(&[condition("city", "contains any of", json!(any))]).contains("more than 5 groups"));
        assert!(
            refused(&[is("1"), is("2"), is("3"), is("4"), is("5"), is("6")])
                .contains("more than 5 conditions")
        );
        let pair = |value: &str| [or(is(value)), is("x"), is("y"), is("z")];
        let many: Vec<Condition> = ["a", "b", "c", "d"].into_iter().flat_map(pair).collect();
        assert!(refused(&many).contains("filters"), "left to right multiplies");
        assert!(refused(&[is(&"x".repeat(3_000))]).contains("3000 are allowed"));
        assert!(refused(&[is(&"x".repeat(3_000))]).contains("make a list in HubSpot"));
    }
}
