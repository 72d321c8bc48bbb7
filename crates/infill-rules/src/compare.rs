//! Whether two values are the same to the CRM that stores them.
//!
//! Law: null and the empty string are the same (both are "no value"); all else is compared after the vendor's own normalising.

use infill_model::property::PropertyDef;
use infill_model::run::TargetProperty;
use infill_model::{Properties, PropertyName, Value};

/// How a vendor stores a value; pure, handed in by the connector.
pub type Normalize<'a> = &'a dyn Fn(&PropertyDef, &Value) -> Value;

/// Whether the two values are stored alike.
#[must_use]
pub fn same(property: &PropertyDef, a: Option<&Value>, b: Option<&Value>, normalize: Normalize<'_>) -> bool {
    let stored = |value: Option<&Value>| match value {
        None | Some(Value::Null) => Value::Null,
        Some(Value::String(text)) if text.is_empty() => Value::Null,
        Some(value) => match normalize(property, value) {
            Value::String(text) if text.is_empty() => Value::Null,
            stored @ (Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_)) => stored,
        },
    };
    a == b || stored(a) == stored(b)
}

/// The properties of `wanted` that `found` holds another value for.
#[must_use]
pub fn differing(
    targets: &[TargetProperty],
    wanted: &Properties,
    found: &Properties,
    normalize: Normalize<'_>,
) -> Vec<PropertyName> {
    targets
        .iter()
        .filter_map(|target| {
            let name = &target.property.name;
            let value = wanted.get(name)?;
            (!same(&target.property, Some(value), found.get(name), normalize)).then(|| name.clone())
        })
        .collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use infill_model::plan::{IfChanged, When};
    use infill_model::property::PropertyKind;
    use serde_json::json;

    use super::*;

    pub(crate) fn target(name: &str, when: When) -> TargetProperty {
        TargetProperty {
            property: PropertyDef {
                name: name.into(),
                label: name.into(),
                kind: PropertyKind::Text,
                vendor_type: "string".into(),
                read_only: None,
                options: Vec::new(),
                external_options: false,
                options_by: None,
            },
            value: String::new(),
            when,
            ignore_empty: false,
            if_changed: IfChanged::Hold,
        }
    }

    pub(crate) fn lower(_: &PropertyDef, value: &Value) -> Value {
        value.as_str().map_or_else(|| value.clone(), |text| text.to_lowercase().into())
    }

    pub(crate) fn properties(pairs: &[(&str, Value)]) -> Properties {
        pairs.iter().map(|(name, value)| (PropertyName::from(*name), value.clone())).collect()
    }

    #[test]
    fn no_value_is_no_value_and_the_vendor_has_the_last_word() {
        let def = target("note", When::default()).property;
        for (a, b, equal) in [
            (Some(json!(null)), Some(json!("")), true),
            (None, Some(json!(null)), true),
            (Some(json!("A@B.c")), Some(json!("a@b.c")), true),
            (Some(json!("a")), Some(json!("b")), false),
            (Some(json!("")), Some(json!("b")), false),
        ] {
            assert_eq!(same(&def, a.as_ref(), b.as_ref(), &lower), equal, "{a:?} {b:?}");
        }
    }

    #[test]
    fn only_wanted_properties_are_compared() {
        let targets = [target("a", When::default()), target("b", When::default())];
        let wanted = properties(&[("a", json!("1"))]);
        let found = properties(&[("a", json!("2")), ("b", json!("3"))]);
        assert_eq!(differing(&targets, &wanted, &found, &lower), [PropertyName::from("a")]);
    }
}
