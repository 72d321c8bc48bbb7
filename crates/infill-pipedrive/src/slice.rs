//! Slices: what a resolved slice holds for this connector.

use infill_crm::Error;
use infill_model::Class;
use infill_model::slice::ResolvedSlice;
use serde::{Deserialize, Serialize};

use crate::filter::Test;

/// What a resolved slice holds for this connector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handle {
    /// A saved filter, by its id.
    Filter(u64),
    /// Every record that passes the tests.
    Tests(Vec<Test>),
}

impl Handle {
    /// The handle as a slice keeps it.
    ///
    /// # Errors
    /// `bug` when it cannot be serialised.
    pub fn to_text(&self) -> Result<String, Error> {
        serde_json::to_string(self).map_err(|error| Error::new(Class::Bug, "slice_handle", error.to_string()))
    }

    /// The handle that a slice keeps.
    ///
    /// # Errors
    /// `bug` when it is not one of this connector's.
    pub fn of(slice: &ResolvedSlice) -> Result<Self, Error> {
        serde_json::from_str(&slice.handle).map_err(|error| {
            let message = format!("the slice {} is not Pipedrive's: {error}", slice.label);
            Error::new(Class::Bug, "slice_handle", message)
        })
    }
}
