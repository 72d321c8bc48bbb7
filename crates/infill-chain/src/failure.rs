//! How a cell fails: a closed list of codes, and whether the data or the action is to blame.

use infill_model::cell::{CellError, CellStatus};

/// Why a cell did not complete. The wire value is [`Code::as_str`], which ends up in
/// [`CellError::code`](infill_model::CellError).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The script threw: most often a method called on an empty value.
    ScriptThrew,
    /// The script ran past [`TIME_LIMIT`](crate::TIME_LIMIT).
    ScriptTimeout,
    /// The script asked for more than [`MEMORY_LIMIT_BYTES`](crate::MEMORY_LIMIT_BYTES).
    ScriptOutOfMemory,
    /// The script called itself too deeply.
    ScriptStackOverflow,
    /// The script returned what cannot be text: a function, a promise, a symbol, half a character.
    ScriptResult,
    /// The script engine could not be started again after a failure.
    ScriptEngine,
    /// A numeric operator met text that is not a number.
    NotANumber,
    /// A Liquid filter refused its input.
    TemplateFailed,
    /// An input without which the action can do nothing is empty.
    InputEmpty,
}

impl Code {
    /// Every code.
    pub const ALL: [Self; 9] = [
        Self::ScriptThrew,
        Self::ScriptTimeout,
        Self::ScriptOutOfMemory,
        Self::ScriptStackOverflow,
        Self::ScriptResult,
        Self::ScriptEngine,
        Self::NotANumber,
        Self::TemplateFailed,
        Self::InputEmpty,
    ];

    /// The stable wire value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ScriptThrew => "script_threw",
            Self::ScriptTimeout => "script_timeout",
            Self::ScriptOutOfMemory => "script_out_of_memory",
            Self::ScriptStackOverflow => "script_stack_overflow",
            Self::ScriptResult => "script_result",
            Self::ScriptEngine => "script_engine",
            Self::NotANumber => "not_a_number",
            Self::TemplateFailed => "template_failed",
            Self::InputEmpty => "input_empty",
        }
    }

    /// `failed` where the row's data is to blame, `error` where the action broke.
    const fn status(self) -> CellStatus {
        match self {
            Self::ScriptThrew
            | Self::ScriptResult
            | Self::NotANumber
            | Self::TemplateFailed
            | Self::InputEmpty => CellStatus::Failed,
            Self::ScriptTimeout
            | Self::ScriptOutOfMemory
            | Self::ScriptStackOverflow
            | Self::ScriptEngine => CellStatus::Error,
        }
    }
}

/// One failure, not yet put in a cell. Its message never holds a value of the row, unless the author's own
/// script put it there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The cell's status and error; `place` says which action it was, for a person.
    pub(crate) fn into_cell_error(self, place: &str) -> (CellStatus, CellError) {
        let error =
            CellError { code: self.code.as_str().to_owned(), message: format!("{place}: {}", self.message) };
        (self.code.status(), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_pinned() {
        let words: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(
            words,
            [
                "script_threw",
                "script_timeout",
                "script_out_of_memory",
                "script_stack_overflow",
                "script_result",
                "script_engine",
                "not_a_number",
                "template_failed",
                "input_empty",
            ]
        );
    }
}
