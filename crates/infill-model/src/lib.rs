//! The words of Infill as types, shared by every crate: ids, plans, runs, stages, messages, rows, cells,
//! properties, outcomes and error classes.
//!
//! Nothing here does anything: no IO, no clock, no random source, no async. What is stored or sent
//! (plans, messages, row pages) derives serde; the rest does not.

pub mod cell;
pub mod cron;
pub mod document;
pub mod error;
pub mod id;
pub mod letter;
pub mod message;
pub mod nearest;
pub mod outcome;
pub mod plan;
pub mod properties;
pub mod property;
pub mod row;
pub mod run;
pub mod schedule;
pub mod seen;
pub mod slice;
pub mod stage;
pub mod time;
pub mod value;

pub use cell::{Cell, CellError, CellStatus};
pub use error::{Class, Fault};
pub use id::{
    ActionId, Actor, BatchNo, CauseId, ChunkNo, ConnectionName, Fingerprint, ListId, ObjectType,
    PropertyName, RecordId, RunId,
};
pub use message::StageMessage;
pub use outcome::Outcome;
pub use plan::Plan;
pub use row::{Row, RowResult};
pub use run::{Approval, CompiledRun, Release, RunState};
pub use schedule::Schedule;
pub use stage::Stage;
pub use time::{Clock, Timestamp};
pub use value::{Properties, Value};
