//! The chain: what happens to one row between the pull and the write.
//!
//! A [`Chain`] is compiled once from a plan, with every fault reported at once; an [`Evaluator`] runs it over
//! rows. Pure but for the script engine it owns: no IO, no wire, no store. What is deliberately absent: nothing
//! here pastes a value into code or text. References are bound, so a quote in a first name stays a quote.
//!
//! | module | what it knows |
//! | --- | --- |
//! | [`mod@reference`] | `{{input.x}}`: reading it, checking it, resolving it against a row |
//! | [`template`] | text with references and Liquid filters |
//! | [`condition`] | the operator words, and conditions joined left to right |
//! | [`script`] | JavaScript: binding references, limits, isolation between rows |
//! | [`action`] | the registry of action kinds, one file each |
//! | [`compile`] | a plan to a [`Chain`] |
//! | [`evaluate`] | a row to cells and a [`Decision`] |

mod action;
mod compile;
mod condition;
mod evaluate;
mod failure;
mod reference;
mod script;
mod template;

pub use action::{Call, RemoteAction, remote_actions};
pub use compile::Chain;
pub use condition::check_source_filter;
pub use evaluate::{Decision, Evaluated, Evaluator, WRITEBACK};
pub use failure::Code;
pub use script::{Error, MEMORY_LIMIT_BYTES, STACK_LIMIT_BYTES, TIME_LIMIT};
