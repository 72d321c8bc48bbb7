//! JavaScript in a chain: reading it, binding references into it, running it under limits.
//!
//! Three steps: [`lexer`] splits the author's source into tokens and finds the references in them; [`bind`] makes
//! a function of it, whose parameters are the values; [`engine`] runs that function. No value is ever part of the
//! code, so none can change what the code means.

mod bind;
mod engine;
mod lexer;

pub(crate) use bind::Script;
pub(crate) use engine::Scripts;
pub use engine::{Error, MEMORY_LIMIT_BYTES, STACK_LIMIT_BYTES, TIME_LIMIT};

/// A place in the author's source, from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl Place {
    /// The place of a byte offset in `source`.
    pub(crate) fn of(source: &str, offset: usize) -> Self {
        let before = source.get(..offset.min(source.len())).unwrap_or(source);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.get(line_start..).map_or(0, |line| line.chars().count()) + 1;
        Self {
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// What is wrong with a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScriptProblem {
    pub(crate) problem: crate::reference::Problem,
    pub(crate) place: Option<Place>,
}

#[cfg(test)]
mod isolation_tests;
#[cfg(test)]
mod tests;
