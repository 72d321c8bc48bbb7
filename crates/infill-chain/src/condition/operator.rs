//! The operator words, and the words of other dialects that people write in their place.

use std::fmt;

use infill_model::nearest::did_you_mean;

use crate::reference::quoted;

/// An operator of the in-chain dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Is,
    IsNot,
    Contains,
    DoesNotContain,
    IsEmpty,
    IsNotEmpty,
    GreaterThan,
    LessThan,
    IsBetween,
    ContainsAnyOf,
    NotContainsAnyOf,
}

/// Words of other dialects, in lower case with single spaces, and what to write for them.
const FOREIGN: [(&[&str], &str); 14] = [
    (&["is equal to", "equal to", "equals", "equal", "=", "==", "===", "eq", "matches exactly"], "\"is\""),
    (
        &[
            "not equal to",
            "is not equal to",
            "does not equal",
            "not equals",
            "not equal",
            "not",
            "!=",
            "!==",
            "<>",
            "neq",
            "ne",
            "isn't",
        ],
        "\"is not\"",
    ),
    (
        &[
            "empty",
            "is blank",
            "blank",
            "is unknown",
            "unknown",
            "does not exist",
            "not has property",
            "is null",
        ],
        "\"is empty\"",
    ),
    (
        &[
            "not empty",
            "is not blank",
            "is known",
            "has any value",
            "has property",
            "exists",
            "is not null",
            "is set",
        ],
        "\"is not empty\"",
    ),
    (&["contain", "includes", "include", "contains token", "like", "has"], "\"contains\""),
    (
        &[
            "not contains",
            "not contain",
            "doesn't contain",
            "does not include",
            "not contains token",
            "not like",
        ],
        "\"does not contain\"",
    ),
    (&["contains any", "contains one of", "includes any of"], "\"contains any of\""),
    (
        &["does not contain any of", "not contains any", "contains none of", "does not contain any"],
        "\"not contains any of\"",
    ),
    (
        &[">", "gt", "is greater than", "more than", "is more than", "greater", "after", "is after"],
        "\"greater than\"",
    ),
    (
        &["<", "lt", "is less than", "fewer than", "is fewer than", "less", "before", "is before"],
        "\"less than\"",
    ),
    (
        &[
            ">=",
            "gte",
            "greater than or equal to",
            "is greater than or equal to",
            "at least",
            "greater than or equal",
        ],
        "\"greater than\" joined by OR with \"is\", or \"is between\", whose ends count",
    ),
    (
        &["<=", "lte", "less than or equal to", "is less than or equal to", "at most", "less than or equal"],
        "\"less than\" joined by OR with \"is\", or \"is between\", whose ends count",
    ),
    (&["between", "in range", "is in range"], "\"is between\""),
    (
        &["in", "is any of", "is one of", "not in", "is none of"],
        "one condition with \"is\" for each value, joined by OR",
    ),
];

impl Operator {
    pub(crate) const ALL: [Self; 11] = [
        Self::Is,
        Self::IsNot,
        Self::Contains,
        Self::DoesNotContain,
        Self::IsEmpty,
        Self::IsNotEmpty,
        Self::GreaterThan,
        Self::LessThan,
        Self::IsBetween,
        Self::ContainsAnyOf,
        Self::NotContainsAnyOf,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Is => "is",
            Self::IsNot => "is not",
            Self::Contains => "contains",
            Self::DoesNotContain => "does not contain",
            Self::IsEmpty => "is empty",
            Self::IsNotEmpty => "is not empty",
            Self::GreaterThan => "greater than",
            Self::LessThan => "less than",
            Self::IsBetween => "is between",
            Self::ContainsAnyOf => "contains any of",
            Self::NotContainsAnyOf => "not contains any of",
        }
    }

    /// The operator that `word` is, or what to write in its place.
    pub(super) fn read(word: &str) -> Result<Self, String> {
        if let Some(operator) = Self::ALL.into_iter().find(|operator| operator.as_str() == word) {
            return Ok(operator);
        }
        let plain = word.replace('_', " ").to_lowercase();
        let plain = plain.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some(operator) = Self::ALL.into_iter().find(|operator| operator.as_str() == plain) {
            return Err(format!("\"{word}\" is written \"{operator}\" here"));
        }
        if let Some((_, instead)) = FOREIGN.iter().find(|(words, _)| words.contains(&plain.as_str())) {
            return Err(format!("\"{word}\" is not an operator of a chain; write {instead}"));
        }
        let words = Self::ALL.map(Self::as_str);
        let near = did_you_mean(&plain, words);
        let known = if near.is_empty() { format!("; there are {}", quoted(words, " and ")) } else { near };
        Err(format!("\"{word}\" is not an operator{known}"))
    }

    /// What is wrong with this many values, if anything.
    pub(super) fn wrong_count(self, n_values: usize) -> Option<String> {
        let (is_right, takes) = match self {
            Self::IsEmpty | Self::IsNotEmpty => (n_values == 0, "no values"),
            Self::Is | Self::IsNot | Self::GreaterThan | Self::LessThan => (n_values == 1, "one value"),
            Self::Contains => (n_values == 1, "one value; \"contains any of\" takes several"),
            Self::DoesNotContain => (n_values == 1, "one value; \"not contains any of\" takes several"),
            Self::IsBetween => (n_values == 2, "two values, the low and the high end"),
            Self::ContainsAnyOf | Self::NotContainsAnyOf => (n_values > 0, "one value or more"),
        };
        (!is_right).then(|| format!("\"{self}\" takes {takes}; there are {n_values}"))
    }

    pub(super) const fn is_numeric(self) -> bool {
        match self {
            Self::GreaterThan | Self::LessThan | Self::IsBetween => true,
            Self::Is
            | Self::IsNot
            | Self::Contains
            | Self::DoesNotContain
            | Self::IsEmpty
            | Self::IsNotEmpty
            | Self::ContainsAnyOf
            | Self::NotContainsAnyOf => false,
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_pinned_and_read_back() {
        let words = Operator::ALL.map(Operator::as_str);
        assert_eq!(
            words,
            [
                "is",
                "is not",
                "contains",
                "does not contain",
                "is empty",
                "is not empty",
                "greater than",
                "less than",
                "is between",
                "contains any of",
                "not contains any of",
            ]
        );
        for operator in Operator::ALL {
            assert_eq!(Operator::read(operator.as_str()), Ok(operator));
        }
    }

    #[test]
    fn another_dialects_word_is_refused_with_the_right_one() {
        for (word, instead) in [
            ("is equal to", "write \"is\""),
            ("=", "write \"is\""),
            ("equals", "write \"is\""),
            ("EQ", "write \"is\""),
            ("not equal to", "write \"is not\""),
            ("!=", "write \"is not\""),
            ("not empty", "write \"is not empty\""),
            ("HAS_PROPERTY", "write \"is not empty\""),
            ("NOT_HAS_PROPERTY", "write \"is empty\""),
            (">", "write \"greater than\""),
            ("is greater than", "write \"greater than\""),
            (">=", "\"is between\""),
            ("BETWEEN", "write \"is between\""),
            ("CONTAINS_TOKEN", "write \"contains\""),
            ("IN", "joined by OR"),
            ("IS EMPTY", "is written \"is empty\" here"),
            ("is_not_empty", "is written \"is not empty\" here"),
            ("is  not", "is written \"is not\" here"),
            ("graeter than", "did you mean \"greater than\""),
            ("", "there are \"is\", \"is not\""),
        ] {
            let message = Operator::read(word).unwrap_err();
            assert!(message.contains(instead), "{word}: {message}");
        }
    }

    #[test]
    fn no_foreign_word_is_one_of_ours_or_written_twice() {
        let mut seen = std::collections::HashSet::new();
        for word in FOREIGN.iter().flat_map(|(words, _)| words.iter()) {
            assert!(Operator::ALL.iter().all(|operator| operator.as_str() != *word), "{word}");
            assert!(seen.insert(word), "{word}");
        }
    }
}
