//! Words of closed sets, and what is said when a word is none of them.

/// A word that is none of a closed set; `Display` names the valid ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not a valid {what}; use one of: {valid}")]
pub struct UnknownWord {
    /// What the word should have been.
    pub what: &'static str,
    /// The word as given.
    pub word: String,
    /// The valid words, joined for reading.
    pub valid: String,
}
