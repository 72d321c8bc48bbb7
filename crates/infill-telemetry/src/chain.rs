//! An error with all its causes in one line.
//!
//! Errors of this workspace never repeat their source in `Display`; this is the one place that puts the chain together.

use std::error::Error;
use std::fmt;

/// Displays `error` and each of its sources, joined by `": "`.
///
/// Some errors from outside already end in the text of their source; that source is not printed twice.
///
/// ```
/// let source: Box<dyn std::error::Error> = "connection refused".into();
/// assert_eq!(infill_telemetry::chain(source.as_ref()).to_string(), "connection refused");
/// ```
pub fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl fmt::Display + 'a {
    Chain(error)
}

struct Chain<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        let mut next = self.0.source();
        while let Some(source) = next {
            let text = source.to_string();
            if !said.ends_with(&text) {
                write!(f, ": {text}")?;
                said = text;
            }
            next = source.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Link {
        text: &'static str,
        source: Option<Box<Link>>,
    }

    fn linked(texts: &[&'static str]) -> Link {
        let (first, rest) = texts.split_first().unwrap();
        Link { text: first, source: (!rest.is_empty()).then(|| Box::new(linked(rest))) }
    }

    #[test]
    fn causes_follow_in_order() {
        let error =
            linked(&["write the batch", "reach the CRM at api.hubapi.com", "connection reset by peer"]);
        assert_eq!(
            chain(&error).to_string(),
            "write the batch: reach the CRM at api.hubapi.com: connection reset by peer"
        );
    }

    #[test]
    fn an_error_without_a_source_stands_alone() {
        assert_eq!(chain(&linked(&["broker is closed"])).to_string(), "broker is closed");
    }

    #[test]
    fn a_source_that_was_already_quoted_is_not_repeated() {
        let error = linked(&["connect: timed out", "timed out", "os error 110"]);
        assert_eq!(chain(&error).to_string(), "connect: timed out: os error 110");
    }
}
