//! Error classes, and faults in what a person wrote.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of error it is; the class alone decides what happens next (design, rule 6). A closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Try again with exponential backoff and jitter.
    Transient,
    /// Wait until a time; costs no attempt.
    Throttled,
    /// Refresh the login once, then pause the connection.
    Unauthorized,
    /// This row, for good.
    Rejected,
    /// The record changed since it was read.
    Conflict,
    /// The record is deleted, or merged into another.
    Gone,
    /// Stop the run: a person must change the plan, the connection or the account.
    Configuration,
    /// An answer or message that cannot be understood: dead-letter the message.
    Bug,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 8] = [
        Self::Transient,
        Self::Throttled,
        Self::Unauthorized,
        Self::Rejected,
        Self::Conflict,
        Self::Gone,
        Self::Configuration,
        Self::Bug,
    ];

    /// The wire value and metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Throttled => "throttled",
            Self::Unauthorized => "unauthorized",
            Self::Rejected => "rejected",
            Self::Conflict => "conflict",
            Self::Gone => "gone",
            Self::Configuration => "configuration",
            Self::Bug => "bug",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One thing that is wrong with a plan or a configuration, worded for the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// A stable code such as `unknown_key`, `unknown_reference`, `script_syntax`.
    pub code: FaultCode,
    /// Where in the document: `chain[0].inputs.data_formatter`; empty for the document as a whole.
    pub path: String,
    /// Line in the file, from 1, where known.
    pub line: Option<u32>,
    /// Column in the line, from 1, where known.
    pub column: Option<u32>,
    /// What is wrong and the way out.
    pub message: String,
}

impl Fault {
    /// A fault at a path, its place in the file not (yet) known.
    #[must_use]
    pub fn new(code: FaultCode, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, path: path.into(), line: None, column: None, message: message.into() }
    }
}

impl Fault {
    /// The fault as one line for a terminal or an editor: `plan.yaml:12:5: chain[0].action: …`.
    #[must_use]
    pub fn in_file(&self, file: &str) -> String {
        match (self.line, self.column) {
            (Some(line), Some(column)) => format!("{file}:{line}:{column}: {self}"),
            (Some(line), None) => format!("{file}:{line}: {self}"),
            (None, _) => format!("{file}: {self}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// What kind of mistake a [`Fault`] is. Stable: documented and used in JSON output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultCode {
    /// Not readable as YAML or JSON.
    Syntax,
    /// A key that the format does not have.
    UnknownKey,
    /// A key that must be there is not.
    MissingKey,
    /// A value of the wrong type or outside its range.
    InvalidValue,
    /// Two things of one name.
    Duplicate,
    /// A reference to an input or an action output that does not exist.
    UnknownReference,
    /// Actions that refer to one another in a circle, or to a later one.
    Cycle,
    /// JavaScript that does not parse.
    ScriptSyntax,
    /// An operator of another dialect or of none.
    UnknownOperator,
    /// An action kind that does not exist.
    UnknownAction,
    /// A property that the live catalog does not have.
    UnknownProperty,
    /// A property that cannot be written.
    PropertyNotWritable,
    /// A value outside a property's options.
    InvalidOption,
    /// Something this version cannot do.
    Unsupported,
}
