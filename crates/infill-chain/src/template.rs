//! Templates: text with references, and Liquid where the text asks for it.
//!
//! Parsed once. A template that is one bare reference yields the value itself, type and null kept; anything else
//! yields text. Values are bound to variables, so a value that holds `{{` or `{%` is never read as a template.
//! Only what cannot loop is let in: filters, and the tags `if`, `unless`, `case`, `comment` and `raw`.

mod count;
mod date;
mod liquid;

use std::borrow::Cow;

use infill_model::error::FaultCode;
use infill_model::value::{Value, to_text};

use crate::failure::{Code, Failure};
use crate::reference::{Bound, Problem, Reference, RowView, Scope};

/// A compiled template.
#[derive(Debug)]
pub(crate) enum Template {
    /// Text without references.
    Constant(Value),
    /// One bare reference.
    Bare(Bound),
    /// Text and plain references.
    Text(Vec<Piece>),
    /// Filters or tags.
    Liquid(Box<liquid::Liquid>),
}

/// A stretch of a template.
#[derive(Debug)]
pub(crate) enum Piece {
    Literal(String),
    Reference(Bound),
}

impl Template {
    /// Compiles `text`, with every problem found.
    pub(crate) fn compile(text: &str, scope: Scope<'_>) -> Result<Self, Vec<Problem>> {
        if let Some(reference) = Reference::read_whole(text) {
            return scope.bind(&reference).map(Self::Bare).map_err(|problem| vec![problem]);
        }
        let Some(pieces) = split(text) else {
            return liquid::Liquid::compile(text, scope).map(|liquid| Self::Liquid(Box::new(liquid)));
        };
        let mut bound = Vec::new();
        let mut problems = Vec::new();
        let mut has_reference = false;
        for piece in pieces {
            match piece {
                Split::Literal(literal) => bound.push(Piece::Literal(literal.to_owned())),
                Split::Reference(reference) => {
                    has_reference = true;
                    match scope.bind(&reference) {
                        Ok(reference) => bound.push(Piece::Reference(reference)),
                        Err(problem) => problems.push(problem),
                    }
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(if has_reference { Self::Text(bound) } else { Self::Constant(Value::String(text.to_owned())) })
    }

    /// Whether the template reads anything from a row.
    pub(crate) fn is_constant(&self) -> bool {
        matches!(self, Self::Constant(_))
    }

    /// The value for a row.
    pub(crate) fn resolve<'a>(&'a self, row: RowView<'a>) -> Result<Cow<'a, Value>, Failure> {
        match self {
            Self::Constant(value) => Ok(Cow::Borrowed(value)),
            Self::Bare(reference) => Ok(reference.resolve(row)),
            Self::Text(pieces) => {
                let mut text = String::new();
                for piece in pieces {
                    match piece {
                        Piece::Literal(literal) => text.push_str(literal),
                        Piece::Reference(reference) => push_text(&mut text, &reference.resolve(row)),
                    }
                }
                Ok(Cow::Owned(Value::String(text)))
            }
            Self::Liquid(liquid) => match liquid.render(row) {
                Ok(text) => Ok(Cow::Owned(Value::String(text))),
                Err(message) => Err(Failure::new(Code::TemplateFailed, message)),
            },
        }
    }
}

fn push_text(text: &mut String, value: &Value) {
    match value {
        Value::String(part) => text.push_str(part),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            text.push_str(&to_text(value));
        }
    }
}

enum Split<'t> {
    Literal(&'t str),
    Reference(Reference),
}

/// The pieces of a template that needs no Liquid; `None` when it does, or may.
fn split(text: &str) -> Option<Vec<Split<'_>>> {
    if text.contains("{%") {
        return None;
    }
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = find_output(rest) {
        let (before, from) = rest.split_at_checked(at)?;
        let (reference, len) = Reference::read(from)?;
        if !before.is_empty() {
            pieces.push(Split::Literal(before));
        }
        pieces.push(Split::Reference(reference));
        rest = from.get(len..)?;
    }
    if !rest.is_empty() {
        pieces.push(Split::Literal(rest));
    }
    Some(pieces)
}

/// Where the next `{{` begins. Of three braces the last two count, so that `{{{input.x}}}` is the value in
/// braces.
fn find_output(text: &str) -> Option<usize> {
    let at = text.find("{{")?;
    let n_more = text.get(at + 2..)?.chars().take_while(|c| *c == '{').count();
    Some(at + n_more)
}

/// What to say of braces that hold no reference.
pub(crate) fn not_a_reference(inner: &str) -> Problem {
    Problem::new(
        FaultCode::UnknownReference,
        format!(
            "{{{{{inner}}}}} is not a reference; write {{{{input.NAME}}}} or {{{{action.output}}}} with an optional path"
        ),
    )
}

#[cfg(test)]
mod tests;
