//! One file a verb: each calls, none decides. The end of a command is an [`crate::exit::Exit`].

pub(crate) mod approve;
pub(crate) mod audit;
pub(crate) mod cancel;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod connections;
pub(crate) mod crew;
pub(crate) mod dead_letters;
pub(crate) mod demo;
pub(crate) mod forget;
pub(crate) mod lists;
pub(crate) mod pause;
pub(crate) mod planner;
pub(crate) mod preview;
pub(crate) mod properties;
pub(crate) mod purge;
pub(crate) mod rows;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod schedules;
pub(crate) mod schema;
pub(crate) mod show;
pub(crate) mod sim;
pub(crate) mod undo;
pub(crate) mod why;
pub(crate) mod worker;
