//! The five stages a run goes through; the unit that travels on the queue.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A stage. The wire value is [`Stage::as_str`]; it names the routing key, the queue and the metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Lists the ids of the slice, freezes them, reads their values, cuts batches.
    SourceSync,
    /// Checks that what arrived is what the CRM said the slice holds.
    AwaitRows,
    /// Compiles and checks the plan against what really arrived and the live catalog.
    ConfigureChain,
    /// Evaluates, guards and writes one batch.
    Run,
    /// Reads one batch back and settles its outcomes.
    Verify,
}

impl Stage {
    /// Every stage, in the order a run meets them.
    pub const ALL: [Self; 5] =
        [Self::SourceSync, Self::AwaitRows, Self::ConfigureChain, Self::Run, Self::Verify];

    /// The wire value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SourceSync => "source-sync",
            Self::AwaitRows => "await-rows",
            Self::ConfigureChain => "configure-chain",
            Self::Run => "run",
            Self::Verify => "verify",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Stage {
    type Err = UnknownStage;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == text).ok_or_else(|| UnknownStage(text.into()))
    }
}

/// No stage has this wire value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown stage \"{0}\"")]
pub struct UnknownStage(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_values_are_pinned() {
        let wire: Vec<&str> = Stage::ALL.iter().map(|stage| stage.as_str()).collect();
        assert_eq!(wire, ["source-sync", "await-rows", "configure-chain", "run", "verify"]);
        for stage in Stage::ALL {
            assert_eq!(serde_json::to_value(stage).unwrap(), stage.as_str());
            assert_eq!(stage.as_str().parse::<Stage>().unwrap(), stage);
        }
    }
}
