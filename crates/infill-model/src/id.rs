//! Every id has a type, so that a record id cannot be passed where a list id is wanted. Alphabetical.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::Timestamp;

/// A cheap-to-clone text id.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(#[schemars(with = "String")] Arc<str>);

        impl $name {
            /// Wraps the text as it is.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), &self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

text_id! {
    /// The name a plan gives to one action of its chain; unique within the chain.
    ActionId
}
text_id! {
    /// Who did something: a person by the name they go by, or the [program](Actor::program) itself.
    Actor
}
text_id! {
    /// What dead letters of one cause are found by: short enough to type, the same for the same cause in every run.
    CauseId
}
text_id! {
    /// The name the configuration gives to one account in one CRM.
    ConnectionName
}
text_id! {
    /// What the inputs of a row and the recipe of its plan come down to: another input, or another recipe, is another one.
    Fingerprint
}
text_id! {
    /// A CRM's id of a list.
    ListId
}
text_id! {
    /// A CRM's name of a kind of record: `contacts`, `2-1234567`, `Account`.
    ObjectType
}
text_id! {
    /// A CRM's internal name of a property: `firstname`, `Name__c`.
    PropertyName
}
text_id! {
    /// A CRM's id of a record, in the CRM's own spelling.
    RecordId
}

impl Actor {
    /// Infill, for what it does by a schedule or a rule. People who do not say who they are have an `@` in their names.
    #[must_use]
    pub fn program() -> Self {
        "infill".into()
    }
}

/// A batch within a run, counted from 0; batch 0 holds the canary rows when the plan has a canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BatchNo(pub u32);

impl fmt::Display for BatchNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A chunk of frozen record ids within a run, counted from 0; the unit in which `source-sync` reads values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChunkNo(pub u32);

impl fmt::Display for ChunkNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// One execution of a plan; sorts by the time it was made (UUID version 7).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(Uuid);

impl RunId {
    /// Makes the id of a run that starts at `at`; `random` keeps ids of one millisecond apart.
    #[must_use]
    pub fn new(at: Timestamp, random: [u8; 10]) -> Self {
        let millis = u64::try_from(at.as_millisecond()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// The id as a UUID, for a store that has a column type for it.
    #[must_use]
    pub fn as_uuid(self) -> Uuid {
        self.0
    }

    /// The run id a store kept as a UUID.
    #[must_use]
    pub fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunId({})", self.0)
    }
}

impl FromStr for RunId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_ids_sort_by_time() {
        let at = |ms| Timestamp::from_millisecond(ms).unwrap();
        let earlier = RunId::new(at(1_700_000_000_000), [255; 10]);
        let later = RunId::new(at(1_700_000_000_001), [0; 10]);
        assert!(earlier < later);
        assert!(earlier.to_string() < later.to_string());
        assert_eq!(earlier.to_string().parse::<RunId>().unwrap(), earlier);
    }
}
