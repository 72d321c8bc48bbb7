//! The stage message: what travels on the queue. It names work and never carries rows.

use serde::{Deserialize, Serialize};

use crate::id::{BatchNo, ChunkNo, RunId};
use crate::stage::Stage;
use crate::time::Timestamp;

/// The message format this program writes, and the only one it reads.
pub const VERSION: u32 = 1;

/// The AMQP `type` of a stage message.
pub const TYPE: &str = "infill.stage.v1";

/// Names one piece of work of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageMessage {
    /// The format; see [`VERSION`].
    pub version: u32,
    /// The run.
    pub run: RunId,
    /// The piece of work.
    #[serde(flatten)]
    pub work: Work,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// Not to be handled before this moment; a delivery that comes earlier goes round again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// When it was published, for the time spent in queues.
    pub published_at: Timestamp,
}

/// A piece of work. The tag is the stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "kebab-case")]
pub enum Work {
    /// List the slice's ids from where the stored cursor stands (`chunk` absent), or read the values of one
    /// frozen chunk.
    SourceSync {
        /// The chunk to read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        chunk: Option<ChunkNo>,
    },
    /// Compare what arrived with what the CRM says.
    AwaitRows,
    /// Compile and check.
    ConfigureChain,
    /// Evaluate and write a batch.
    Run {
        /// The batch.
        batch: BatchNo,
    },
    /// Read a batch back.
    Verify {
        /// The batch.
        batch: BatchNo,
    },
}

impl Work {
    /// The stage the work belongs to.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        match self {
            Self::SourceSync { .. } => Stage::SourceSync,
            Self::AwaitRows => Stage::AwaitRows,
            Self::ConfigureChain => Stage::ConfigureChain,
            Self::Run { .. } => Stage::Run,
            Self::Verify { .. } => Stage::Verify,
        }
    }

    /// The batch, for the two stages that have one.
    #[must_use]
    pub const fn batch(&self) -> Option<BatchNo> {
        match self {
            Self::Run { batch } | Self::Verify { batch } => Some(*batch),
            Self::SourceSync { .. } | Self::AwaitRows | Self::ConfigureChain => None,
        }
    }
}

impl StageMessage {
    /// A first try at `work`.
    #[must_use]
    pub const fn first(run: RunId, work: Work, now: Timestamp) -> Self {
        Self { version: VERSION, run, work, attempt: 1, not_before: None, published_at: now }
    }

    /// The next try at the same work, not before `at`.
    #[must_use]
    pub fn again(&self, at: Timestamp, now: Timestamp) -> Self {
        let attempt = self.attempt.saturating_add(1);
        Self { attempt, not_before: Some(at), published_at: now, ..self.clone() }
    }

    /// The same try, later: a wait costs no attempt.
    #[must_use]
    pub fn later(&self, at: Timestamp, now: Timestamp) -> Self {
        Self { not_before: Some(at), published_at: now, ..self.clone() }
    }

    /// The wire form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // A struct of numbers, text and enums has no value that JSON cannot hold.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads the wire form.
    ///
    /// # Errors
    /// [`Garbled`] when it is not a stage message of a version this program knows.
    pub fn decode(body: &[u8]) -> Result<Self, Garbled> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let Versioned { version } = serde_json::from_slice(body).map_err(Garbled::Unreadable)?;
        if version != VERSION {
            return Err(Garbled::Version { found: version });
        }
        serde_json::from_slice(body).map_err(Garbled::Unreadable)
    }
}

/// A body that is no stage message; it is dead-lettered, never retried.
#[derive(Debug, thiserror::Error)]
pub enum Garbled {
    /// Not JSON, or not of the known shape.
    #[error("message body is not a stage message")]
    Unreadable(#[source] serde_json::Error),
    /// Written by a program of another version.
    #[error(
        "message has format version {found}, this program reads version {VERSION}: \
         run the same Infill version everywhere"
    )]
    Version {
        /// The version found.
        found: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> StageMessage {
        let now = Timestamp::from_millisecond(1_700_000_000_000).unwrap();
        StageMessage::first(RunId::new(now, [7; 10]), Work::Run { batch: BatchNo(3) }, now)
    }

    #[test]
    fn the_wire_form_is_pinned() {
        assert_eq!(
            String::from_utf8(message().encode()).unwrap(),
            r#"{"version":1,"run":"018bcfe5-6800-7707-8707-070707070707","stage":"run","batch":3,"attempt":1,"published_at":"2023-11-14T22:13:20Z"}"#
        );
    }

    #[test]
    fn every_work_survives_the_wire() {
        let works = [
            Work::SourceSync { chunk: None },
            Work::SourceSync { chunk: Some(ChunkNo(2)) },
            Work::AwaitRows,
            Work::ConfigureChain,
            Work::Run { batch: BatchNo(0) },
            Work::Verify { batch: BatchNo(9) },
        ];
        for work in works {
            let sent = StageMessage { work, ..message() };
            assert_eq!(StageMessage::decode(&sent.encode()).unwrap(), sent);
        }
    }

    #[test]
    fn another_version_is_told_apart_from_rubbish() {
        let newer = br#"{"version":2,"anything":true}"#;
        assert!(matches!(StageMessage::decode(newer), Err(Garbled::Version { found: 2 })));
        assert!(matches!(StageMessage::decode(b"\xff{"), Err(Garbled::Unreadable(_))));
        assert!(matches!(StageMessage::decode(b"{}"), Err(Garbled::Unreadable(_))));
    }

    #[test]
    fn a_wait_costs_no_attempt_and_a_retry_costs_one() {
        let now = message().published_at;
        assert_eq!(message().later(now, now).attempt, 1);
        assert_eq!(message().again(now, now).attempt, 2);
    }
}
