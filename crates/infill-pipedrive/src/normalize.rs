//! Values as Pipedrive stores them, so that what was sent and what is read back compare equal.

use infill_model::Value;
use infill_model::property::PropertyDef;

use crate::typed::Typed;

/// The value as Pipedrive stores it. A value that does not fit its field stays as it is.
#[must_use]
pub fn normalize(property: &PropertyDef, value: &Value) -> Value {
    match Typed::of(property, value) {
        Ok(Some(typed)) => typed.normal(),
        Ok(None) => Value::Null,
        Err(_) => value.clone(),
    }
}
