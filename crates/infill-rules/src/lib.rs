//! Every decision of Infill, as a function of values.
//!
//! No tokio, no IO, no clock, no random source: the manifest proves it. What a decision needs (the
//! moment, a random number, what the store holds) is an argument, and what it decides is a value that
//! somebody else carries out.

pub mod advance;
pub mod batch;
pub mod bisect;
pub mod canary;
pub mod cause;
pub mod compare;
pub mod forecast;
pub mod guard;
pub mod intend;
pub mod preview;
pub mod quota;
pub mod retry;
pub mod sample;
pub mod schedule;
pub mod seen;
pub mod settle;
pub mod undo;
