//! What a dead letter holds besides the cause of its row: for a person, and to be found by.

use serde::{Deserialize, Serialize};

use crate::id::{CauseId, RecordId};

/// What dead letters share that failed for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedCause {
    /// The same for the same code, property and message, whatever the row and the run.
    pub id: CauseId,
    /// The message with what changes from row to row taken out.
    pub message: String,
}

/// That of a letter recorded before causes were known by ids.
impl Default for SharedCause {
    fn default() -> Self {
        Self { id: "".into(), message: String::new() }
    }
}

/// What was asked of the CRM for one row and what it answered: excerpts, secrets removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// Method and path: `POST /crm/v3/objects/contacts/batch/update`.
    pub request: String,
    /// The row's part of what was sent along.
    pub sent: String,
    /// The HTTP status of the answer.
    pub status: u16,
    /// The row's part of the answer.
    pub answered: String,
}

/// The address of a record's page in the CRM, for every record of one kind: `{record}` stands for the id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordAddress(String);

impl RecordAddress {
    /// What stands in the address where the id goes.
    pub const RECORD: &str = "{record}";

    /// Wraps an address that has [`Self::RECORD`] in it.
    pub fn new(address: impl Into<String>) -> Self {
        Self(address.into())
    }

    /// Where a person opens this record.
    #[must_use]
    pub fn of(&self, record: &RecordId) -> String {
        self.0.replace(Self::RECORD, record.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_the_record() {
        let address = RecordAddress::new("https://app.hubspot.com/contacts/7/record/0-1/{record}");
        assert_eq!(address.of(&"101".into()), "https://app.hubspot.com/contacts/7/record/0-1/101");
    }
}
