//! Liquid: references are found in the text, checked, and replaced by variables; the rest is Liquid's.
//!
//! Every word in an expression must be a reference, since no tag that makes variables is let in.

use std::sync::LazyLock;

use infill_model::error::FaultCode;
use infill_model::nearest::did_you_mean;
use infill_model::value::Value;
use liquid::ParserBuilder;
use liquid::model::{KString, Object as LiquidObject, Value as LiquidValue};
use liquid::reflection::ParserReflection;

use super::count::COUNTING;
use super::date::Date;
use super::{find_output, not_a_reference};
use crate::reference::{Bound, Problem, Reference, RowView, Scope, parse_json, quoted};

/// Tags that a template may use: none of them loops or makes a variable, so the work is bounded by the text.
const TAGS: [&str; 12] = [
    "if",
    "elsif",
    "else",
    "endif",
    "unless",
    "endunless",
    "case",
    "when",
    "endcase",
    "comment",
    "raw",
    "endraw",
];

/// Tags whose content is not Liquid.
const VERBATIM: [(&str, &str); 2] = [("raw", "endraw"), ("comment", "endcomment")];

/// Filters that work on a list. Text that holds JSON, as the formatter's output does, is handed to them as what
/// it holds.
const LIST_FILTERS: [&str; 11] =
    ["where", "map", "first", "last", "join", "sort", "sort_natural", "uniq", "compact", "concat", "reverse"];

/// Words of Liquid that are no references.
const KEYWORDS: [&str; 9] = ["true", "false", "nil", "null", "empty", "blank", "and", "or", "contains"];

static PARSER: LazyLock<Result<Parser, String>> = LazyLock::new(|| {
    let builder = COUNTING.into_iter().fold(ParserBuilder::with_stdlib(), ParserBuilder::filter).filter(Date);
    let filters = builder.filters().map(|filter| filter.name().to_owned()).collect();
    match builder.build() {
        Ok(parser) => Ok(Parser { parser, filters }),
        Err(error) => Err(error.to_string()),
    }
});

struct Parser {
    parser: liquid::Parser,
    filters: Vec<String>,
}

/// A compiled Liquid template.
pub(crate) struct Liquid {
    template: liquid::Template,
    variables: Vec<Variable>,
}

impl std::fmt::Debug for Liquid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Liquid").field("variables", &self.variables).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Variable {
    name: KString,
    bound: Bound,
    as_list: bool,
}

impl Liquid {
    /// Compiles `text`, with every problem found.
    pub(super) fn compile(text: &str, scope: Scope<'_>) -> Result<Self, Vec<Problem>> {
        let parser = match &*PARSER {
            Ok(parser) => parser,
            Err(error) => return Err(vec![Problem::new(FaultCode::Unsupported, format!("Liquid: {error}"))]),
        };
        let mut rewriter = Rewriter::new(text, scope, &parser.filters);
        rewriter.rewrite();
        if !rewriter.problems.is_empty() {
            return Err(rewriter.problems);
        }
        match parser.parser.parse(&rewriter.code) {
            Ok(template) => Ok(Self { template, variables: rewriter.variables }),
            Err(error) => Err(vec![Problem::new(
                FaultCode::InvalidValue,
                format!("the template is not valid Liquid: {}", told(&error.to_string())),
            )]),
        }
    }

    /// The text for a row, or why a filter refused.
    pub(super) fn render(&self, row: RowView<'_>) -> Result<String, String> {
        let mut globals = LiquidObject::new();
        for variable in &self.variables {
            let value = variable.bound.resolve(row);
            let value = if variable.as_list { list_value(&value) } else { liquid_value(&value) };
            globals.insert(variable.name.clone(), value);
        }
        let mut text = Vec::new();
        self.template.render_to(&mut text, &globals).map_err(|error| told(&error.to_string()))?;
        String::from_utf8(text).map_err(|error| error.to_string())
    }
}

/// The part of a Liquid error that helps; the rest shows the rewritten text, or values of the row.
fn told(error: &str) -> String {
    let parts: Vec<&str> = error
        .lines()
        .filter_map(|line| {
            let line = line.trim();
            let said = line.strip_prefix("= ").or_else(|| line.strip_prefix("cause="));
            said.or_else(|| line.strip_prefix("liquid:")).map(str::trim)
        })
        .filter(|part| !part.is_empty() && !part.starts_with("-->"))
        .collect();
    parts.join(": ")
}

fn liquid_value(value: &Value) -> LiquidValue {
    match value {
        Value::Null => LiquidValue::Nil,
        Value::Bool(bool) => LiquidValue::scalar(*bool),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => LiquidValue::scalar(integer),
            (None, Some(float)) => LiquidValue::scalar(float),
            (None, None) => LiquidValue::scalar(number.to_string()),
        },
        Value::String(text) => LiquidValue::scalar(text.clone()),
        Value::Array(items) => LiquidValue::array(items.iter().map(liquid_value)),
        Value::Object(fields) => LiquidValue::Object(
            fields.iter().map(|(name, value)| (KString::from_ref(name), liquid_value(value))).collect(),
        ),
    }
}

/// As [`liquid_value`], for a filter that wants a list: JSON text is what it holds, nothing is an empty list.
fn list_value(value: &Value) -> LiquidValue {
    match value {
        Value::Null => LiquidValue::Array(Vec::new()),
        Value::String(text) if text.trim().is_empty() => LiquidValue::Array(Vec::new()),
        Value::String(text) => match parse_json(text) {
            Some(parsed) => liquid_value(&parsed),
            None => LiquidValue::scalar(text.clone()),
        },
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => liquid_value(value),
    }
}

/// Copies Liquid text, putting variables in the place of references.
struct Rewriter<'t> {
    rest: &'t str,
    scope: Scope<'t>,
    filters: &'t [String],
    prefix: String,
    code: String,
    variables: Vec<Variable>,
    problems: Vec<Problem>,
}

/// What stood before the word being read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Pipe,
    Other,
}

impl<'t> Rewriter<'t> {
    fn new(text: &'t str, scope: Scope<'t>, filters: &'t [String]) -> Self {
        let mut prefix = "ref".to_owned();
        while text.contains(&prefix) {
            prefix.push('_');
        }
        Self {
            rest: text,
            scope,
            filters,
            prefix,
            code: String::new(),
            variables: Vec::new(),
            problems: Vec::new(),
        }
    }

    fn rewrite(&mut self) {
        while let Some(at) = find_output(self.rest).into_iter().chain(self.rest.find("{%")).min() {
            self.copy(at);
            if self.code.ends_with('{') {
                // Liquid would take the brace for its own.
                self.code.pop();
                self.code.push_str("{{ \"{\" }}");
            }
            let is_tag = self.rest.starts_with("{%");
            let close = if is_tag { "%}" } else { "}}" };
            let Some(len) = expression_len(self.rest, close) else {
                let open = if is_tag { "{%" } else { "{{" };
                let message = format!("\"{open}\" is never closed by \"{close}\"");
                self.problems.push(Problem::new(FaultCode::InvalidValue, message));
                return;
            };
            let whole = self.rest.get(..len).unwrap_or_default();
            self.rest = self.rest.get(len..).unwrap_or_default();
            if is_tag {
                self.tag(whole);
            } else {
                self.output(whole);
            }
        }
        self.copy(self.rest.len());
    }

    fn copy(&mut self, len: usize) {
        let (copied, rest) = self.rest.split_at_checked(len).unwrap_or((self.rest, ""));
        self.code.push_str(copied);
        self.rest = rest;
    }

    fn problem(&mut self, code: FaultCode, message: String) {
        self.problems.push(Problem::new(code, message));
    }

    fn output(&mut self, whole: &str) {
        let inner = whole.trim_start_matches('{').trim_end_matches('}');
        let inner = inner.strip_prefix('-').unwrap_or(inner);
        let inner = inner.strip_suffix('-').unwrap_or(inner);
        let starts_well =
            inner.trim_start().starts_with(|c: char| c.is_alphanumeric() || "_\"'-".contains(c));
        if !starts_well || has_stray_words(inner) {
            self.problems.push(not_a_reference(inner));
            return;
        }
        self.expression(whole, inner);
    }

    fn tag(&mut self, whole: &str) {
        let inner = whole.trim_start_matches("{%").trim_end_matches("%}").trim_matches('-');
        let name: String =
            inner.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if let Some((_, end)) = VERBATIM.iter().find(|(start, _)| *start == name) {
            self.code.push_str(whole);
            match find_tag(self.rest, end) {
                Some(len) => self.copy(len),
                None => self.problem(
                    FaultCode::InvalidValue,
                    format!("{{% {name} %}} is never closed by {{% {end} %}}"),
                ),
            }
            return;
        }
        if !TAGS.contains(&name.as_str()) {
            let near = did_you_mean(&name, TAGS);
            self.problem(
                FaultCode::Unsupported,
                format!(
                    "the Liquid tag \"{name}\" cannot be used{near}; there are {}, and the JavaScript formatter for the rest",
                    quoted(["if", "unless", "case", "comment", "raw"], " and ")
                ),
            );
            return;
        }
        let after_name = inner.trim_start().get(name.len()..).unwrap_or_default();
        let upto = whole.len() - whole.split_once(&name).map_or("", |(_, rest)| rest).len();
        let (head, tail) = whole.split_at_checked(upto).unwrap_or((whole, ""));
        self.code.push_str(head);
        self.expression(tail, after_name);
    }

    /// Copies `text`, which holds `inner`, with each reference in `inner` replaced.
    fn expression(&mut self, text: &str, inner: &str) {
        let Some((open, _)) = text.split_once(inner).filter(|_| !inner.is_empty()) else {
            self.code.push_str(text);
            return;
        };
        self.code.push_str(open);
        let close = text.get(open.len() + inner.len()..).unwrap_or_default();
        let mut rest = inner;
        let mut before = Before::Nothing;
        let mut filter = "";
        let mut last_variable: Option<usize> = None;
        while let Some(c) = rest.chars().next() {
            if c == '"' || c == '\'' {
                let len = rest.get(1..).and_then(|body| body.find(c)).map_or(rest.len(), |end| end + 2);
                let (literal, after) = rest.split_at_checked(len).unwrap_or((rest, ""));
                self.code.push_str(literal);
                (rest, before, last_variable) = (after, Before::Other, None);
                continue;
            }
            let Some((reference, len)) = Reference::read_path(rest) else {
                if c == '(' {
                    let message =
                        "a range cannot be used in a template; the JavaScript formatter can count".to_owned();
                    self.problem(FaultCode::Unsupported, message);
                }
                self.code.push(c);
                rest = rest.get(c.len_utf8()..).unwrap_or_default();
                if !c.is_whitespace() {
                    before = if c == '|' { Before::Pipe } else { Before::Other };
                    last_variable = last_variable.filter(|_| c == '|');
                }
                continue;
            };
            let (word, after) = rest.split_at_checked(len).unwrap_or((rest, ""));
            rest = after;
            if before == Before::Pipe {
                filter = word;
                self.filter(word);
                if let Some(variable) = last_variable.and_then(|last| self.variables.get_mut(last)) {
                    variable.as_list |= LIST_FILTERS.contains(&word);
                }
                self.code.push_str(word);
                last_variable = None;
            } else if is_number(word) || KEYWORDS.contains(&word) || after.trim_start().starts_with(':') {
                self.code.push_str(word);
                last_variable = None;
            } else {
                last_variable = self.variable(&reference, filter == "concat");
            }
            before = Before::Other;
        }
        self.code.push_str(close);
    }

    fn filter(&mut self, name: &str) {
        if !self.filters.iter().any(|known| known == name) {
            let near = did_you_mean(name, self.filters.iter().map(String::as_str));
            self.problem(FaultCode::InvalidValue, format!("there is no Liquid filter \"{name}\"{near}"));
        }
    }

    fn variable(&mut self, reference: &Reference, as_list: bool) -> Option<usize> {
        match self.scope.bind(reference) {
            Ok(bound) => {
                let at = self.variables.len();
                let name = format!("{}{at}", self.prefix);
                self.code.push_str(&name);
                self.variables.push(Variable { name: name.into(), bound, as_list });
                Some(at)
            }
            Err(problem) => {
                self.problems.push(problem);
                None
            }
        }
    }
}

fn is_number(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit()) && word.chars().all(|c| c.is_ascii_digit() || c == '.')
}

/// Two words side by side before any filter, as in `{{input.first name}}`: Liquid would stumble over the second
/// with a message about neither.
fn has_stray_words(inner: &str) -> bool {
    let head = inner.split('|').next().unwrap_or_default().trim();
    let is_path = Reference::read_path(head).is_some_and(|(_, len)| len == head.len());
    !is_path && !head.starts_with(['"', '\'']) && head.contains(char::is_whitespace)
}

/// The bytes up to and with `close`, quoted text skipped.
fn expression_len(text: &str, close: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in text.char_indices().skip(2) {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None if text.get(at..).is_some_and(|rest| rest.starts_with(close)) => {
                return Some(at + close.len());
            }
            None => {}
        }
    }
    None
}

/// The bytes up to and with the tag `name`.
fn find_tag(text: &str, name: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + text.get(from..)?.find("{%")?;
        let tag = text.get(at..)?;
        let end = at + tag.find("%}")? + 2;
        let inner = text.get(at + 2..end - 2)?.trim_matches('-').trim();
        if inner == name {
            return Some(end);
        }
        from = at + 2;
    }
}
