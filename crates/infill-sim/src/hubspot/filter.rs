//! Conditions on records, as search and active lists state them.
//!
//! Text is compared without regard to case; options of enumerations are compared exactly; `IN` on text is compared
//! with values that HubSpot wants in lower case.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::catalog::{Catalog, Kind};
use super::record::Record;

/// HubSpot's comparison words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Operator {
    Eq,
    Neq,
    Lt,
    Lte,
    Gt,
    Gte,
    Between,
    In,
    NotIn,
    HasProperty,
    NotHasProperty,
    ContainsToken,
    NotContainsToken,
}

/// One condition.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Filter {
    pub(crate) property_name: String,
    pub(crate) operator: Operator,
    #[serde(default)]
    pub(crate) value: Option<Value>,
    #[serde(default)]
    pub(crate) high_value: Option<Value>,
    #[serde(default)]
    pub(crate) values: Option<Vec<Value>>,
}

/// Conditions that must all hold.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct FilterGroup {
    #[serde(default)]
    pub(crate) filters: Vec<Filter>,
}

/// Why a condition makes no sense.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Nonsense(pub(crate) String);

/// A condition that was checked against the catalogue.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    property: u16,
    kind: Kind,
    operator: Operator,
    values: Vec<String>,
}

/// Any group whose conditions all hold; no group at all holds for every record.
#[derive(Debug, Clone, Default)]
pub(crate) struct Conditions(Vec<Vec<Condition>>);

impl Conditions {
    /// Checks groups against a catalogue.
    pub(crate) fn resolve(groups: &[FilterGroup], catalog: &Catalog) -> Result<Self, Nonsense> {
        let group =
            |group: &FilterGroup| group.filters.iter().map(|filter| condition(filter, catalog)).collect();
        groups.iter().map(group).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the record fits, by the values it has, or had at `as_of_ms`.
    pub(crate) fn hold(&self, record: &Record, catalog: &Catalog, as_of_ms: Option<i64>) -> bool {
        let holds = |condition: &Condition| {
            let value = match as_of_ms {
                Some(at_ms) => record.value_at(catalog, condition.property, at_ms),
                None => record.value(catalog, condition.property),
            };
            holds(condition, value)
        };
        self.0.is_empty() || self.0.iter().any(|group| group.iter().all(holds))
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn condition(filter: &Filter, catalog: &Catalog) -> Result<Condition, Nonsense> {
    let Filter { property_name, operator, .. } = filter;
    let Some((property, definition)) = catalog.find(property_name) else {
        return Err(Nonsense(format!(
            "There was a problem with the request. property {property_name} does not exist"
        )));
    };
    let kind = definition.kind;
    let one = |value: &Option<Value>, name: &str| {
        let value = value.as_ref().filter(|value| !value.is_null()).map(text);
        value.ok_or_else(|| {
            Nonsense(format!("{name} is required for the operator on property {property_name}"))
        })
    };
    let mut values = match operator {
        Operator::HasProperty | Operator::NotHasProperty => Vec::new(),
        Operator::Between => vec![one(&filter.value, "value")?, one(&filter.high_value, "highValue")?],
        Operator::In | Operator::NotIn => {
            let values: Vec<String> = filter.values.iter().flatten().map(text).collect();
            if values.is_empty() {
                return Err(Nonsense(format!(
                    "values are required for the operator on property {property_name}"
                )));
            }
            values
        }
        Operator::Eq
        | Operator::Neq
        | Operator::Lt
        | Operator::Lte
        | Operator::Gt
        | Operator::Gte
        | Operator::ContainsToken
        | Operator::NotContainsToken => vec![one(&filter.value, "value")?],
    };
    if matches!(kind, Kind::Number | Kind::Date | Kind::Datetime) {
        if let Some(bad) = values.iter().find(|value| measure(kind, value).is_none()) {
            return Err(Nonsense(format!("{bad} is not a valid value for property {property_name}")));
        }
    } else if kind == Kind::String && !matches!(operator, Operator::In | Operator::NotIn) {
        values.iter_mut().for_each(|value| *value = value.to_lowercase());
    }
    Ok(Condition { property, kind, operator: *operator, values })
}

/// A number that orders values of a kind: the number itself, or milliseconds.
pub(crate) fn measure(kind: Kind, value: &str) -> Option<f64> {
    if kind == Kind::Number {
        return value.parse().ok();
    }
    if let Ok(ms) = value.parse::<f64>() {
        return Some(ms);
    }
    let midnight;
    let moment = if value.len() == 10 {
        midnight = format!("{value}T00:00:00Z");
        midnight.as_str()
    } else {
        value
    };
    let seconds = moment.parse::<Timestamp>().ok()?.as_duration().as_secs_f64();
    Some(seconds * 1_000.0)
}

fn holds(condition: &Condition, value: Option<Cow<'_, str>>) -> bool {
    let Condition { kind, operator, values, .. } = condition;
    let Some(value) = value else {
        return matches!(
            operator,
            Operator::NotHasProperty | Operator::Neq | Operator::NotIn | Operator::NotContainsToken
        );
    };
    let value = if *kind == Kind::String { Cow::Owned(value.to_lowercase()) } else { value };
    let first = values.first().map_or("", String::as_str);
    let second = values.get(1).map_or("", String::as_str);
    match operator {
        Operator::HasProperty => true,
        Operator::NotHasProperty => false,
        Operator::Eq => is_equal(*kind, &value, first),
        Operator::Neq => !is_equal(*kind, &value, first),
        Operator::In => values.iter().any(|wanted| is_equal(*kind, &value, wanted)),
        Operator::NotIn => !values.iter().any(|wanted| is_equal(*kind, &value, wanted)),
        Operator::Lt => order(*kind, &value, first).is_some_and(std::cmp::Ordering::is_lt),
        Operator::Lte => order(*kind, &value, first).is_some_and(std::cmp::Ordering::is_le),
        Operator::Gt => order(*kind, &value, first).is_some_and(std::cmp::Ordering::is_gt),
        Operator::Gte => order(*kind, &value, first).is_some_and(std::cmp::Ordering::is_ge),
        Operator::Between => {
            order(*kind, &value, first).is_some_and(std::cmp::Ordering::is_ge)
                && order(*kind, &value, second).is_some_and(std::cmp::Ordering::is_le)
        }
        Operator::ContainsToken => has_token(&value, first),
        Operator::NotContainsToken => !has_token(&value, first),
    }
}

fn is_equal(kind: Kind, value: &str, wanted: &str) -> bool {
    if matches!(kind, Kind::Number | Kind::Date | Kind::Datetime) {
        return order(kind, value, wanted).is_some_and(std::cmp::Ordering::is_eq);
    }
    value == wanted
}

fn order(kind: Kind, value: &str, wanted: &str) -> Option<std::cmp::Ordering> {
    match kind {
        Kind::Number | Kind::Date | Kind::Datetime => {
            measure(kind, value)?.partial_cmp(&measure(kind, wanted)?)
        }
        Kind::String | Kind::Enumeration | Kind::Bool => Some(value.cmp(wanted)),
    }
}

/// Whether a whole word of the value is the wanted one, in which `*` stands for any text.
fn has_token(value: &str, wanted: &str) -> bool {
    let value = value.to_lowercase();
    let wanted = wanted.to_lowercase();
    let mut words =
        value.split(|c: char| c.is_whitespace() || c == '@' || c == ',').filter(|word| !word.is_empty());
    words.any(|word| is_like(word, &wanted))
}

fn is_like(word: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = word.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The filter tree of a list in the lists API's own words.
pub(crate) fn branch(groups: &[FilterGroup]) -> Value {
    let leaf = |filter: &Filter| {
        let operation = match filter.operator {
            Operator::HasProperty => json!({"operationType": "ALL_PROPERTY", "operator": "IS_KNOWN",
                                            "includeObjectsWithNoValueSet": false}),
            Operator::NotHasProperty => json!({"operationType": "ALL_PROPERTY", "operator": "IS_UNKNOWN",
                                               "includeObjectsWithNoValueSet": false}),
            Operator::Eq
            | Operator::Neq
            | Operator::Lt
            | Operator::Lte
            | Operator::Gt
            | Operator::Gte
            | Operator::Between
            | Operator::In
            | Operator::NotIn
            | Operator::ContainsToken
            | Operator::NotContainsToken => json!({"operationType": "STRING", "operator": "IS_EQUAL_TO",
                "value": filter.value, "includeObjectsWithNoValueSet": false}),
        };
        json!({"filterType": "PROPERTY", "property": filter.property_name, "operation": operation})
    };
    let and = |group: &FilterGroup| {
        let filters: Vec<Value> = group.filters.iter().map(leaf).collect();
        json!({"filterBranchType": "AND", "filterBranchOperator": "AND", "filterBranches": [], "filters": filters})
    };
    let branches: Vec<Value> = groups.iter().map(and).collect();
    json!({"filterBranchType": "OR", "filterBranchOperator": "OR", "filterBranches": branches, "filters": []})
}

#[cfg(test)]
mod tests {
    use super::super::record::{Setter, Text};
    use super::*;

    fn fits(filter: Value) -> bool {
        let catalog = Catalog::of("contacts");
        let values: Vec<(u16, Text)> = [
            ("firstname", "Ana María"),
            ("email", "ana@mail.example"),
            ("lifecyclestage", "lead"),
            ("seat_count", "12"),
            ("next_review_date", "2026-02-28"),
        ]
        .into_iter()
        .map(|(name, value)| (catalog.find(name).unwrap().0, value.into()))
        .collect();
        let record = Record::new(100, 1_700_000_000_000, Setter::Import, values);
        let groups: Vec<FilterGroup> = serde_json::from_value(json!([{"filters": [filter]}])).unwrap();
        Conditions::resolve(&groups, &catalog).unwrap().hold(&record, &catalog, None)
    }

    #[test]
    fn each_operator_compares_as_documented() {
        for (property, operator, value, expected) in [
            ("firstname", "EQ", json!("ANA maría"), true),
            ("lifecyclestage", "EQ", json!("LEAD"), false),
            ("lifecyclestage", "EQ", json!("lead"), true),
            ("lifecyclestage", "NEQ", json!("customer"), true),
            ("seat_count", "GT", json!("9"), true),
            ("seat_count", "LTE", json!(12), true),
            ("seat_count", "LT", json!("12"), false),
            ("next_review_date", "GTE", json!("2026-02-28"), true),
            ("next_review_date", "LT", json!(1_772_236_800_001_i64), true),
            ("hs_object_id", "GT", json!("99"), true),
            ("createdate", "GT", json!("2023-11-14T22:13:19Z"), true),
            ("firstname", "CONTAINS_TOKEN", json!("maría"), true),
            ("firstname", "CONTAINS_TOKEN", json!("mar*"), true),
            ("firstname", "CONTAINS_TOKEN", json!("mar"), false),
            ("email", "CONTAINS_TOKEN", json!("*mail.example"), true),
            ("firstname", "NOT_CONTAINS_TOKEN", json!("bob"), true),
            ("lastname", "NOT_HAS_PROPERTY", json!(null), true),
            ("lastname", "HAS_PROPERTY", json!(null), false),
            ("lastname", "NEQ", json!("x"), true),
        ] {
            let filter = json!({"propertyName": property, "operator": operator, "value": value});
            assert_eq!(fits(filter.clone()), expected, "{filter}");
        }
        assert!(fits(json!({"propertyName": "firstname", "operator": "IN", "values": ["ana maría"]})));
        assert!(!fits(json!({"propertyName": "firstname", "operator": "IN", "values": ["Ana María"]})));
        let between =
            json!({"propertyName": "seat_count", "operator": "BETWEEN", "value": "12", "highValue": "13"});
        assert!(fits(between));
    }

    #[test]
    fn an_unknown_property_or_a_missing_value_is_nonsense() {
        let catalog = Catalog::of("contacts");
        for filter in [
            json!({"propertyName": "nope", "operator": "HAS_PROPERTY"}),
            json!({"propertyName": "email", "operator": "EQ"}),
            json!({"propertyName": "email", "operator": "IN", "values": []}),
            json!({"propertyName": "seat_count", "operator": "GT", "value": "many"}),
        ] {
            let groups: Vec<FilterGroup> = serde_json::from_value(json!([{"filters": [filter]}])).unwrap();
            assert!(Conditions::resolve(&groups, &catalog).is_err());
        }
    }
}
