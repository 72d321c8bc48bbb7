//! References: `{{input.firstname}}`, `{{action.output}}`, with a path into JSON where the value holds it.
//!
//! Three steps, each once: [`Reference::read`] reads the text, [`Scope::bind`] checks it against the plan, and
//! [`Bound::resolve`] finds the value in a row. A value that is absent resolves to null; it is never a fault.

use std::borrow::Cow;
use std::fmt;

use infill_model::cell::Cell;
use infill_model::error::FaultCode;
use infill_model::id::PropertyName;
use infill_model::nearest::{did_you_mean, nearest};
use infill_model::value::{Properties, Value};

/// The head of a reference to an input; no action may be called this.
pub(crate) const INPUT: &str = "input";

static NULL: Value = Value::Null;

/// A reference as written, not checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    head: String,
    name: Option<String>,
    path: Vec<PathStep>,
}

/// One step into a JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PathStep {
    /// `.name`, `?.name` or `["name"]`.
    Field(String),
    /// `[0]`.
    Item(usize),
}

/// What is wrong with a reference or a template, not yet tied to its place in the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) code: FaultCode,
    pub(crate) message: String,
}

impl Problem {
    pub(crate) fn new(code: FaultCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{{}", self.head)?;
        if let Some(name) = &self.name {
            write!(f, ".{name}")?;
        }
        for step in &self.path {
            match step {
                PathStep::Field(field) => write!(f, ".{field}")?,
                PathStep::Item(item) => write!(f, "[{item}]")?,
            }
        }
        f.write_str("}}")
    }
}

impl Reference {
    /// Reads `{{ head.name.path }}` at the start of `text`; the reference and the bytes it takes.
    pub(crate) fn read(text: &str) -> Option<(Self, usize)> {
        let inner = text.strip_prefix("{{")?.trim_start();
        let (reference, len) = Self::read_path(inner)?;
        let rest = inner.get(len..)?.trim_start().strip_prefix("}}")?;
        Some((reference, text.len() - rest.len()))
    }

    /// Reads `head.name.path` at the start of `text`, without braces.
    pub(crate) fn read_path(text: &str) -> Option<(Self, usize)> {
        let (head, mut rest) = read_word(text)?;
        let mut path = Vec::new();
        while let Some((step, after)) = read_step(rest) {
            path.push(step);
            rest = after;
        }
        let name = match path.first() {
            Some(PathStep::Field(_)) => match path.remove(0) {
                PathStep::Field(name) => Some(name),
                PathStep::Item(_) => None,
            },
            Some(PathStep::Item(_)) | None => None,
        };
        Some((Self { head: head.to_owned(), name, path }, text.len() - rest.len()))
    }

    /// The one reference that `text` is, white space around it aside.
    pub(crate) fn read_whole(text: &str) -> Option<Self> {
        let trimmed = text.trim();
        let (reference, len) = Self::read(trimmed)?;
        (len == trimmed.len()).then_some(reference)
    }
}

/// A word: letters and digits of any script, `_`, `$`, and `-` between them.
fn read_word(text: &str) -> Option<(&str, &str)> {
    let mut end = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let joins = c == '-' && at > 0 && chars.peek().is_some_and(|(_, next)| is_word_char(*next));
        if !is_word_char(c) && !joins {
            break;
        }
        end = at + c.len_utf8();
    }
    let (word, rest) = text.split_at_checked(end)?;
    (!word.is_empty()).then_some((word, rest))
}

fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// Whether references can name `text`, as an action id must be.
pub(crate) fn is_word(text: &str) -> bool {
    read_word(text).is_some_and(|(_, rest)| rest.is_empty())
}

fn read_step(text: &str) -> Option<(PathStep, &str)> {
    let after_question = text.strip_prefix("?.");
    if let Some(rest) = after_question.unwrap_or(text).strip_prefix('[') {
        let (inner, rest) = rest.split_once(']')?;
        let inner = inner.trim();
        let quoted = ['"', '\''].iter().find_map(|quote| inner.strip_prefix(*quote)?.strip_suffix(*quote));
        let step = match quoted {
            Some(field) => PathStep::Field(field.to_owned()),
            None => PathStep::Item(inner.parse().ok()?),
        };
        return Some((step, rest));
    }
    let (word, rest) = read_word(after_question.or_else(|| text.strip_prefix('.'))?)?;
    Some((PathStep::Field(word.to_owned()), rest))
}

/// An action as references see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'a> {
    pub(crate) id: &'a str,
    /// `None` when the kind is unknown: then every output is let pass, the kind being fault enough.
    pub(crate) outputs: Option<&'static [&'static str]>,
}

/// What a reference may name at one place in a plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) inputs: &'a [PropertyName],
    /// Every action of the chain, in order.
    pub(crate) actions: &'a [Known<'a>],
    /// How many of them come before this place.
    pub(crate) n_before: usize,
}

impl Scope<'_> {
    /// Checks a reference against the plan.
    pub(crate) fn bind(&self, reference: &Reference) -> Result<Bound, Problem> {
        let slot =
            if reference.head == INPUT { self.bind_input(reference)? } else { self.bind_output(reference)? };
        Ok(Bound { shown: reference.to_string(), slot, path: reference.path.clone() })
    }

    fn bind_input(&self, reference: &Reference) -> Result<Slot, Problem> {
        let names = || self.inputs.iter().map(PropertyName::as_str);
        let Some(name) = &reference.name else {
            return Err(unknown(format!("{reference} names no input; write {{{{input.NAME}}}}")));
        };
        match self.inputs.iter().find(|input| input.as_str() == name) {
            Some(input) => Ok(Slot::Input(input.clone())),
            None => {
                let near = did_you_mean(name, names());
                let hint = if near.is_empty() { "; list it under `inputs` to have it pulled" } else { &near };
                Err(unknown(format!("{reference}: the plan has no input \"{name}\"{hint}")))
            }
        }
    }

    fn bind_output(&self, reference: &Reference) -> Result<Slot, Problem> {
        let head = reference.head.as_str();
        let Some((action, known)) = self.actions.iter().enumerate().find(|(_, known)| known.id == head)
        else {
            return Err(unknown(self.no_such_action(reference)));
        };
        if action >= self.n_before {
            let what = if action == self.n_before { "itself" } else { "a later action" };
            return Err(Problem::new(
                FaultCode::Cycle,
                format!("{reference} refers to {what}; an action sees only those before it in the chain"),
            ));
        }
        let Some(outputs) = known.outputs else {
            return Ok(Slot::Output { action, output: reference.name.clone().unwrap_or_default() });
        };
        let has = match outputs {
            [] => format!("action \"{head}\" has no outputs"),
            outputs => format!("action \"{head}\" has {}", quoted(outputs.iter().copied(), " and ")),
        };
        match &reference.name {
            Some(name) if outputs.contains(&name.as_str()) => {
                Ok(Slot::Output { action, output: name.clone() })
            }
            Some(name) => Err(unknown(format!("{reference}: there is no output \"{name}\"; {has}"))),
            None => Err(unknown(format!("{reference} names no output; {has}"))),
        }
    }

    fn no_such_action(&self, reference: &Reference) -> String {
        let head = reference.head.as_str();
        if let Some(input) = self.inputs.iter().find(|input| input.as_str() == head) {
            return format!("{reference}: an input is written {{{{input.{input}}}}}");
        }
        let mut near = did_you_mean(head, self.actions.iter().map(|known| known.id).chain([INPUT]));
        if near.is_empty() {
            near = match nearest(head, self.inputs.iter().map(PropertyName::as_str)).first() {
                Some(input) => format!("; did you mean {{{{input.{input}}}}}?"),
                None => String::new(),
            };
        }
        format!("{reference}: no action is called \"{head}\"{near}")
    }
}

fn unknown(message: String) -> Problem {
    Problem::new(FaultCode::UnknownReference, message)
}

/// `"a", "b" and "c"` with `last` between the last two.
pub(crate) fn quoted<'a>(words: impl IntoIterator<Item = &'a str>, last: &str) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("\"{word}\"")).collect();
    match words.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((tail, init)) => format!("{}{last}{tail}", init.join(", ")),
    }
}

/// A reference that names something the plan has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    shown: String,
    slot: Slot,
    path: Vec<PathStep>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Slot {
    Input(PropertyName),
    Output { action: usize, output: String },
}

/// One row under way: its inputs and the cells so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowView<'a> {
    pub(crate) inputs: &'a Properties,
    pub(crate) cells: &'a [Cell],
}

impl Bound {
    /// As the author wrote it, for messages: `{{input.firstname}}`.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// The value in a row; null where there is none.
    ///
    /// A path into text looks into the JSON that the text holds, because the formatter's output is typed string.
    pub(crate) fn resolve<'a>(&self, row: RowView<'a>) -> Cow<'a, Value> {
        let found = match &self.slot {
            Slot::Input(name) => row.inputs.get(name),
            Slot::Output { action, output } => {
                row.cells.get(*action).and_then(|cell| cell.outputs.get(output.as_str()))
            }
        };
        let value = found.unwrap_or(&NULL);
        if self.path.is_empty() {
            return Cow::Borrowed(value);
        }
        if let Value::String(text) = value {
            let parsed = parse_json(text);
            let found = parsed.as_ref().and_then(|value| follow(value, &self.path)).cloned();
            return Cow::Owned(found.unwrap_or(Value::Null));
        }
        Cow::Borrowed(follow(value, &self.path).unwrap_or(&NULL))
    }
}

/// The array or object that `text` is, if it is one.
pub(crate) fn parse_json(text: &str) -> Option<Value> {
    let start = text.trim_start();
    if !start.starts_with('{') && !start.starts_with('[') {
        return None;
    }
    serde_json::from_str(text).ok()
}

fn follow<'a>(value: &'a Value, path: &[PathStep]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, step| match step {
        PathStep::Field(field) => value.get(field),
        PathStep::Item(item) => value.get(item),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Option<String> {
        Reference::read_whole(text).map(|reference| reference.to_string())
    }

    #[test]
    fn references_are_read_with_spaces_paths_and_names_of_any_script() {
        for (text, shown) in [
            ("{{input.firstname}}", "{{input.firstname}}"),
            ("  {{ input.firstname }}\n", "{{input.firstname}}"),
            ("{{\n  input.firstname\n}}", "{{input.firstname}}"),
            ("{{a.formatted_data?.x}}", "{{a.formatted_data.x}}"),
            ("{{a.formatted_data?.x?.[0]?.y}}", "{{a.formatted_data.x[0].y}}"),
            ("{{a.formatted_data[0]['the name']}}", "{{a.formatted_data[0].the name}}"),
            ("{{my-action_1.formatted_data}}", "{{my-action_1.formatted_data}}"),
            (
                "{{input.dcf558aac1ae4e8c4f849ba5e668430d8df9be12}}",
                "{{input.dcf558aac1ae4e8c4f849ba5e668430d8df9be12}}",
            ),
            ("{{input.prénom}}", "{{input.prénom}}"),
            ("{{input}}", "{{input}}"),
        ] {
            assert_eq!(read(text).as_deref(), Some(shown), "{text}");
        }
        for text in [
            "",
            "input.x",
            "{{}}",
            "{{input.first name}}",
            "{{input.x | upcase}}",
            "{{input.x}",
            "{{input.x}}!",
            "{{-x}}",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    fn bind(text: &str) -> Result<Bound, Problem> {
        let inputs = ["firstname", "lastname", "phone"].map(PropertyName::from);
        let actions = [
            Known { id: "enrichment", outputs: Some(&["formatted_data"]) },
            Known { id: "only_named", outputs: Some(&[]) },
            Known { id: "mystery", outputs: None },
            Known { id: "here", outputs: Some(&["formatted_data"]) },
            Known { id: "later", outputs: Some(&["formatted_data"]) },
        ];
        Scope { inputs: &inputs, actions: &actions, n_before: 3 }.bind(&Reference::read_whole(text).unwrap())
    }

    #[test]
    fn a_reference_to_nothing_is_a_fault_that_names_the_nearest() {
        for text in ["{{input.phone}}", "{{enrichment.formatted_data.x}}", "{{mystery.anything}}"] {
            assert!(bind(text).is_ok(), "{text}");
        }
        for (text, code, part) in [
            ("{{input.firstnme}}", FaultCode::UnknownReference, "did you mean \"firstname\" or"),
            ("{{input.hs_object_id}}", FaultCode::UnknownReference, "no input \"hs_object_id\""),
            ("{{input}}", FaultCode::UnknownReference, "names no input"),
            ("{{enrichmnt.formatted_data}}", FaultCode::UnknownReference, "did you mean \"enrichment\"?"),
            (
                "{{enrichment}}",
                FaultCode::UnknownReference,
                "names no output; action \"enrichment\" has \"formatted_data\"",
            ),
            (
                "{{enrichment.data}}",
                FaultCode::UnknownReference,
                "no output \"data\"; action \"enrichment\" has \"formatted_data\"",
            ),
            ("{{only_named.result}}", FaultCode::UnknownReference, "action \"only_named\" has no outputs"),
            ("{{phone}}", FaultCode::UnknownReference, "an input is written {{input.phone}}"),
            ("{{phon.x}}", FaultCode::UnknownReference, "did you mean {{input.phone}}?"),
            ("{{here.formatted_data}}", FaultCode::Cycle, "refers to itself"),
            ("{{later.formatted_data}}", FaultCode::Cycle, "refers to a later action"),
        ] {
            let problem = bind(text).unwrap_err();
            assert_eq!(problem.code, code, "{text}");
            assert!(problem.message.contains(part), "{text}: {}", problem.message);
        }
    }

    #[test]
    fn a_path_looks_into_json_and_into_text_that_holds_json() {
        let inputs = Properties::from([
            ("firstname".into(), json!("Ana")),
            ("lastname".into(), json!({"a": [{"b": 7}]})),
            ("phone".into(), json!(r#" {"home": "1", "away": null}"#)),
        ]);
        let row = RowView { inputs: &inputs, cells: &[] };
        for (text, value) in [
            ("{{input.firstname}}", json!("Ana")),
            ("{{input.firstname.x}}", json!(null)),
            ("{{input.lastname.a[0].b}}", json!(7)),
            ("{{input.lastname?.a?.[1]?.b}}", json!(null)),
            ("{{input.phone.home}}", json!("1")),
            ("{{input.phone.away}}", json!(null)),
            ("{{enrichment.formatted_data}}", json!(null)),
        ] {
            assert_eq!(*bind(text).unwrap().resolve(row), value, "{text}");
        }
    }
}
