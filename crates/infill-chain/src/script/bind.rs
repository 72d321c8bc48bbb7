//! A script made into a function whose parameters are the values its references name.
//!
//! | the author writes | the function has |
//! | --- | --- |
//! | `{{input.x}}` in code | a parameter holding the value |
//! | `"a{{input.x}}b"` | a constant, `"a" + parameter + "b"`, made once at the top |
//! | `` `a{{input.x}}b` `` | `` `a${parameter}b` `` |
//!
//! A string becomes a name rather than an expression in brackets, so that it may begin a line without a
//! semicolon before it. In a literal, an empty value is the empty text and a list or object is its JSON.

use infill_model::error::FaultCode;

use super::engine::{self, SyntaxError};
use super::lexer::{Hole, Inside, Lexed, Span, Token, TokenKind, Trouble, lex};
use super::{Place, ScriptProblem};
use crate::reference::{Bound, Problem, Reference, Scope};

/// How a parameter takes its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As the JavaScript value of the JSON value.
    Value,
    /// As part of a text.
    Text,
}

/// One parameter of the function.
#[derive(Clone, Debug)]
pub(crate) struct Param {
    pub(crate) bound: Bound,
    pub(crate) form: Form,
}

/// A compiled script, immutable, for any number of engines.
#[derive(Debug)]
pub(crate) struct Script {
    function: String,
    params: Vec<Param>,
    /// Names in the function and what the author wrote for them.
    names: Vec<(String, String)>,
    map: SourceMap,
}

impl Script {
    /// Compiles the author's source, with every reference problem found and the first problem of syntax.
    pub(crate) fn compile(source: &str, scope: Scope<'_>) -> Result<Self, Vec<ScriptProblem>> {
        // The engine counts lines by \n alone. A line end within a template literal is \n to JavaScript anyway.
        let source = source.replace("\r\n", "\n").replace('\r', "\n");
        let lexed = lex(&source).map_err(|trouble| vec![placed(&source, trouble)])?;
        if lexed.tokens.is_empty() {
            let problem = Problem::new(FaultCode::ScriptSyntax, "there is no code");
            return Err(vec![ScriptProblem { problem, place: None }]);
        }
        if lexed.returns {
            let script = Binder::bind(&source, &lexed, scope, Shape::Statements)?;
            return match engine::check(&script) {
                Ok(()) => Ok(script),
                Err(error) => Err(vec![script.syntax_problem(error)]),
            };
        }
        let script = Binder::bind(&source, &lexed, scope, Shape::Expression)?;
        let Err(error) = engine::check(&script) else { return Ok(script) };
        // Not an expression. Statements that never return would give nothing, silently, for every row.
        let statements = Binder::bind(&source, &lexed, scope, Shape::Statements)?;
        match engine::check(&statements) {
            Ok(()) => {
                let message = "these statements never return a value; add `return`";
                let problem = Problem::new(FaultCode::ScriptSyntax, message);
                Err(vec![ScriptProblem { problem, place: Some(Place { line: 1, column: 1 }) }])
            }
            Err(as_statements) if looks_like_statements(&source, &lexed) => {
                Err(vec![statements.syntax_problem(as_statements)])
            }
            Err(_) => Err(vec![script.syntax_problem(error)]),
        }
    }

    /// JavaScript for one function expression.
    pub(super) fn function(&self) -> &str {
        &self.function
    }

    pub(crate) fn params(&self) -> &[Param] {
        &self.params
    }

    /// A message of the engine with our names put back to what the author wrote.
    pub(super) fn in_authors_words(&self, message: &str) -> String {
        self.names.iter().fold(message.to_owned(), |message, (name, shown)| message.replace(name, shown))
    }

    /// The place in the author's source of a place in the function, from 1, columns in bytes.
    pub(super) fn place(&self, line: u32, column: u32) -> Option<Place> {
        self.map.place(&self.function, line, column)
    }

    fn syntax_problem(&self, error: SyntaxError) -> ScriptProblem {
        let place = error.at.and_then(|(line, column)| self.place(line, column));
        let is_past_end = error.at.is_some() && place == Some(self.map.end());
        let message = if is_past_end {
            "the script ends too early".to_owned()
        } else {
            self.in_authors_words(&error.message)
        };
        ScriptProblem { problem: Problem::new(FaultCode::ScriptSyntax, message), place }
    }
}

fn placed(source: &str, trouble: Trouble) -> ScriptProblem {
    ScriptProblem { problem: trouble.problem, place: Some(Place::of(source, trouble.at)) }
}

/// Whether a person would call this statements, to choose the better of two error messages.
fn looks_like_statements(source: &str, lexed: &Lexed) -> bool {
    let text = |token: &Token| source.get(token.span.start..token.span.end).unwrap_or_default();
    let first = lexed.tokens.first().map_or("", text);
    let inner = lexed.tokens.split_last().map_or(&[][..], |(_, inner)| inner);
    ["const", "let", "var", "if", "for", "while", "switch", "try", "throw", "do", "function", "class"]
        .contains(&first)
        || inner.iter().any(|token| token.inside == Inside::Other && text(token) == ";")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// `return (source)`.
    Expression,
    /// The source as it is.
    Statements,
}

struct Binder<'s> {
    source: &'s str,
    scope: Scope<'s>,
    ref_prefix: String,
    text_prefix: String,
    params: Vec<Param>,
    names: Vec<(String, String)>,
    prelude: Writer,
    body: Writer,
    problems: Vec<ScriptProblem>,
}

impl<'s> Binder<'s> {
    fn bind(
        source: &'s str,
        lexed: &Lexed,
        scope: Scope<'s>,
        shape: Shape,
    ) -> Result<Script, Vec<ScriptProblem>> {
        let mut binder = Self {
            source,
            scope,
            ref_prefix: unused_prefix("$ref", source),
            text_prefix: unused_prefix("$text", source),
            params: Vec::new(),
            names: Vec::new(),
            prelude: Writer::default(),
            body: Writer::default(),
            problems: Vec::new(),
        };
        binder.tokens(&lexed.tokens, shape);
        if binder.problems.is_empty() { Ok(binder.finish(shape)) } else { Err(binder.problems) }
    }

    fn tokens(&mut self, tokens: &[Token], shape: Shape) {
        let text = |token: Option<&Token>| {
            token.and_then(|token| self.source.get(token.span.start..token.span.end)).unwrap_or_default()
        };
        // `a + b;` is an expression too.
        let n_trailing = tokens.iter().rev().take_while(|token| text(Some(token)) == ";").count();
        let kept = match shape {
            Shape::Expression => tokens.get(..tokens.len() - n_trailing).unwrap_or_default(),
            Shape::Statements => tokens,
        };
        let end = match kept.last() {
            Some(last) if kept.len() < tokens.len() => last.span.end,
            _ => self.source.len(),
        };
        let mut copied = 0;
        for (at, token) in tokens.iter().enumerate().take(kept.len()) {
            let before = text(at.checked_sub(1).and_then(|at| tokens.get(at)));
            let after = text(tokens.get(at + 1));
            let opens = before == "{" || before == ",";
            let is_key = opens && after == ":" && token.inside != Inside::Other;
            match &token.kind {
                TokenKind::Word | TokenKind::Other => continue,
                TokenKind::Text(holes) | TokenKind::Chunk(holes) if holes.is_empty() => continue,
                TokenKind::Reference(reference) => {
                    if opens && (after == "}" || after == ",") && token.inside == Inside::Object {
                        let message =
                            format!("{reference} stands in an object without a key; write name: {reference}");
                        self.problem(token.span, Problem::new(FaultCode::ScriptSyntax, message));
                    }
                    self.copy(copied, token.span.start);
                    if let Some(name) = self.param(reference, token.span, Form::Value) {
                        self.body.insert(&standing_alone(&name, is_key), token.span);
                    }
                }
                TokenKind::Text(holes) => {
                    self.copy(copied, token.span.start);
                    let name = self.constant(token.span, holes);
                    self.body.insert(&standing_alone(&name, is_key), token.span);
                }
                TokenKind::Chunk(holes) => {
                    let mut from = copied;
                    for hole in holes {
                        self.copy(from, hole.span.start);
                        if let Some(name) = self.param(&hole.reference, hole.span, Form::Text) {
                            self.body.insert(&format!("${{{name}}}"), hole.span);
                        }
                        from = hole.span.end;
                    }
                    self.copy(from, token.span.end);
                }
            }
            copied = token.span.end;
        }
        self.copy(copied, end);
    }

    fn copy(&mut self, start: usize, end: usize) {
        self.body.copy(self.source, Span { start, end });
    }

    fn problem(&mut self, span: Span, problem: Problem) {
        self.problems.push(ScriptProblem { problem, place: Some(Place::of(self.source, span.start)) });
    }

    /// A parameter for a reference; its name in the function.
    fn param(&mut self, reference: &Reference, span: Span, form: Form) -> Option<String> {
        match self.scope.bind(reference) {
            Ok(bound) => {
                // A dollar sign ends the name, so that no name begins another.
                let name = format!("{}{}$", self.ref_prefix, self.params.len());
                self.names.push((name.clone(), bound.shown().to_owned()));
                self.params.push(Param { bound, form });
                Some(name)
            }
            Err(problem) => {
                self.problem(span, problem);
                None
            }
        }
    }

    /// A constant for a string that holds references; its name in the function.
    fn constant(&mut self, span: Span, holes: &[Hole]) -> String {
        let name = format!("{}{}$", self.text_prefix, span.start);
        let literal = self.source.get(span.start..span.end).unwrap_or_default();
        let quote = if literal.starts_with('"') { "\"" } else { "'" };
        self.prelude.insert(&format!("const {name}={quote}"), span);
        let mut from = span.start + quote.len();
        for hole in holes {
            self.prelude.copy(self.source, Span { start: from, end: hole.span.start });
            if let Some(param) = self.param(&hole.reference, hole.span, Form::Text) {
                self.prelude.insert(&format!("{quote}+{param}+{quote}"), hole.span);
            }
            from = hole.span.end;
        }
        self.prelude.copy(self.source, Span { start: from, end: span.end });
        self.prelude.insert(";", span);
        self.names.push((name.clone(), literal.to_owned()));
        name
    }

    fn finish(self, shape: Shape) -> Script {
        let names: Vec<String> = (0..self.params.len()).map(|n| format!("{}{n}$", self.ref_prefix)).collect();
        let mut whole = Writer { code: format!("(function({}){{", names.join(",")), pieces: Vec::new() };
        whole.append(self.prelude);
        // Each on its own line: a comment must not swallow what follows the source, nor the source what precedes.
        whole.code.push_str(match shape {
            Shape::Expression => "return (\n",
            Shape::Statements => "\n",
        });
        whole.append(self.body);
        whole.code.push_str(match shape {
            Shape::Expression => "\n)})",
            Shape::Statements => "\n})",
        });
        let map = SourceMap { pieces: whole.pieces, source: self.source.to_owned() };
        Script { function: whole.code, params: self.params, names: self.names, map }
    }
}

fn unused_prefix(wanted: &str, source: &str) -> String {
    let mut prefix = wanted.to_owned();
    while source.contains(&prefix) {
        prefix.push('_');
    }
    prefix
}

/// A name with space around it, so that it does not run into a neighbour; computed where it is a key.
fn standing_alone(name: &str, is_key: bool) -> String {
    if is_key { format!("[{name}]") } else { format!(" {name} ") }
}

/// A stretch of code and where it comes from.
#[derive(Clone, Copy, Debug)]
struct Piece {
    code: Span,
    source: Span,
    /// Byte for byte the source, as opposed to put in its place.
    is_verbatim: bool,
}

#[derive(Debug, Default)]
struct Writer {
    code: String,
    pieces: Vec<Piece>,
}

impl Writer {
    fn copy(&mut self, source: &str, span: Span) {
        self.write(source.get(span.start..span.end).unwrap_or_default(), span, true);
    }

    fn insert(&mut self, code: &str, in_place_of: Span) {
        self.write(code, in_place_of, false);
    }

    fn write(&mut self, code: &str, source: Span, is_verbatim: bool) {
        let start = self.code.len();
        self.code.push_str(code);
        self.pieces.push(Piece { code: Span { start, end: self.code.len() }, source, is_verbatim });
    }

    fn append(&mut self, other: Self) {
        let shift = self.code.len();
        self.code.push_str(&other.code);
        self.pieces.extend(other.pieces.into_iter().map(|piece| {
            let code = Span { start: piece.code.start + shift, end: piece.code.end + shift };
            Piece { code, ..piece }
        }));
    }
}

/// From places in the function to places in the source.
#[derive(Debug)]
struct SourceMap {
    pieces: Vec<Piece>,
    source: String,
}

impl SourceMap {
    fn place(&self, function: &str, line: u32, column: u32) -> Option<Place> {
        let n_lines_before = usize::try_from(line.checked_sub(1)?).ok()?;
        let n_columns_before = usize::try_from(column.saturating_sub(1)).ok()?;
        let line_start: usize = function.split_inclusive('\n').take(n_lines_before).map(str::len).sum();
        let offset = line_start + n_columns_before;
        let inside = self.pieces.iter().find(|piece| piece.code.start <= offset && offset < piece.code.end);
        let source_offset = match inside {
            Some(piece) if piece.is_verbatim => piece.source.start + (offset - piece.code.start),
            Some(piece) => piece.source.start,
            None if self.pieces.iter().all(|piece| piece.code.end <= offset) => return Some(self.end()),
            None => return None,
        };
        Some(Place::of(&self.source, source_offset))
    }

    fn end(&self) -> Place {
        Place::of(&self.source, self.source.len())
    }
}
