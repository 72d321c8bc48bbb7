//! JavaScript split into the tokens that matter for finding references: strings, templates, comments, regular
//! expressions, brackets, words.
//!
//! It does not parse: the engine does, and has the last word on what is JavaScript. What it must get right is
//! where literals begin and end. The one hard question, whether `/` divides or begins a regular expression, is
//! answered from the token before it, for which each bracket remembers what it is.

use infill_model::error::FaultCode;

use crate::reference::{Problem, Reference};

/// A stretch of source, as byte offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// A reference within a literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hole {
    pub(super) span: Span,
    pub(super) reference: Reference,
}

/// A token that is neither white space nor a comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) span: Span,
    pub(super) kind: TokenKind,
    /// What the innermost bracket around it is.
    pub(super) inside: Inside,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A name, a keyword, a number.
    Word,
    /// An operator, a bracket, a regular expression: nothing that holds references.
    Other,
    /// A string in `"` or `'`.
    Text(Vec<Hole>),
    /// A stretch of a template literal between its backticks and its `${}`.
    Chunk(Vec<Hole>),
    /// A bare reference.
    Reference(Reference),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inside {
    /// `{}` of an object literal.
    Object,
    /// Any other `{}`.
    Block,
    /// Anything else.
    Other,
}

/// A lexed script.
#[derive(Debug, Default)]
pub(super) struct Lexed {
    pub(super) tokens: Vec<Token>,
    /// There is a `return` outside every function, so the source is statements.
    pub(super) returns: bool,
}

/// What cannot be lexed, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) at: usize,
    pub(super) problem: Problem,
}

impl Trouble {
    fn syntax(at: usize, message: impl Into<String>) -> Self {
        Self { at, problem: Problem::new(FaultCode::ScriptSyntax, message) }
    }

    fn reference(at: usize, message: impl Into<String>) -> Self {
        Self { at, problem: Problem::new(FaultCode::UnknownReference, message) }
    }
}

/// Splits `source` into tokens.
pub(super) fn lex(source: &str) -> Result<Lexed, Trouble> {
    let mut lexer = Lexer {
        source,
        at: 0,
        lexed: Lexed::default(),
        frames: vec![Frame { kind: FrameKind::Root, at: 0, n_ternaries: 0 }],
        before: Before::Start,
        is_line_start: true,
    };
    while lexer.at < source.len() {
        lexer.step()?;
    }
    match lexer.frames.last() {
        Some(frame) if frame.kind != FrameKind::Root => {
            let open = source.get(frame.at..).and_then(|rest| rest.chars().next()).unwrap_or('(');
            Err(Trouble::syntax(frame.at, format!("\"{open}\" is never closed")))
        }
        _ => Ok(lexer.lexed),
    }
}

/// The token before, as far as it decides what `/` and `{` mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before<'s> {
    Start,
    Word {
        word: &'s str,
        is_property: bool,
    },
    /// Something that has a value: a literal, a reference, `]`, the `}` of an object.
    Operand,
    /// The `)` of `keyword (…)`.
    Paren {
        keyword: &'s str,
    },
    /// The `}` of a block or function.
    Block,
    Punct(&'s str),
    /// The `:` of `a ? b : c`.
    TernaryColon,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FrameKind<'s> {
    Root,
    Paren {
        keyword: &'s str,
    },
    Square,
    Block,
    Function,
    Object,
    /// `${` in a template literal.
    Template,
}

#[derive(Clone, Copy, Debug)]
struct Frame<'s> {
    kind: FrameKind<'s>,
    at: usize,
    n_ternaries: usize,
}

/// After these words comes an operand, so `/` begins a regular expression.
const OPERATOR_WORDS: [&str; 14] = [
    "return",
    "typeof",
    "instanceof",
    "in",
    "of",
    "new",
    "delete",
    "void",
    "throw",
    "case",
    "do",
    "else",
    "yield",
    "await",
];

/// After these words `{` begins a block.
const BLOCK_WORDS: [&str; 6] = ["else", "do", "try", "finally", "catch", "static"];

/// Words that take `(…)` and then a statement or a block.
const PAREN_WORDS: [&str; 6] = ["if", "for", "while", "with", "switch", "catch"];

/// Operators of more than one character that change what follows, or must not be taken apart.
const LONG_PUNCTS: [&str; 8] = ["...", "=>", "++", "--", "?.", "??", "&&", "||"];

struct Lexer<'s> {
    source: &'s str,
    at: usize,
    lexed: Lexed,
    frames: Vec<Frame<'s>>,
    before: Before<'s>,
    /// No token yet on this line: then `-->` begins a comment.
    is_line_start: bool,
}

impl<'s> Lexer<'s> {
    fn rest(&self) -> &'s str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn top(&self) -> FrameKind<'s> {
        self.frames.last().map_or(FrameKind::Root, |frame| frame.kind)
    }

    fn step(&mut self) -> Result<(), Trouble> {
        let rest = self.rest();
        let Some(c) = rest.chars().next() else { return Ok(()) };
        if c == '\0' {
            return Err(Trouble::syntax(self.at, "a NUL character cannot stand in a script; write \\0"));
        }
        if c.is_whitespace() || c == '\u{feff}' {
            self.is_line_start |= is_line_end(c);
            self.at += c.len_utf8();
            return Ok(());
        }
        // Scripts, as opposed to modules, know the comments of the first browsers.
        let is_html_comment = rest.starts_with("<!--") || (self.is_line_start && rest.starts_with("-->"));
        if rest.starts_with("//") || is_html_comment {
            self.at += rest.find(is_line_end).unwrap_or(rest.len());
            return Ok(());
        }
        if let Some(body) = rest.strip_prefix("/*") {
            let Some(len) = body.find("*/") else {
                return Err(Trouble::syntax(self.at, "the comment is never closed by */"));
            };
            self.is_line_start |= body.get(..len).is_some_and(|comment| comment.contains(is_line_end));
            self.at += len + "/**/".len();
            return Ok(());
        }
        self.is_line_start = false;
        if rest.starts_with("{{") && self.reference()? {
            return Ok(());
        }
        match c {
            '"' | '\'' => self.text(c),
            '`' => {
                self.push(1, TokenKind::Other, Before::Operand);
                self.chunk()
            }
            '(' | '[' | '{' => {
                self.open(c);
                Ok(())
            }
            ')' | ']' | '}' => self.close(c),
            '/' if self.is_regex() => self.regex(),
            c if is_word_char(c) => {
                self.word();
                Ok(())
            }
            _ => {
                self.punct();
                Ok(())
            }
        }
    }

    fn push(&mut self, len: usize, kind: TokenKind, before: Before<'s>) {
        let inside = match self.top() {
            FrameKind::Object => Inside::Object,
            FrameKind::Block | FrameKind::Function => Inside::Block,
            FrameKind::Root | FrameKind::Paren { .. } | FrameKind::Square | FrameKind::Template => {
                Inside::Other
            }
        };
        let span = Span { start: self.at, end: self.at + len };
        self.lexed.tokens.push(Token { span, kind, inside });
        self.at = span.end;
        self.before = before;
    }

    /// Takes a bare reference; false when the braces are code.
    fn reference(&mut self) -> Result<bool, Trouble> {
        let rest = self.rest();
        if let Some((reference, len)) = Reference::read(rest) {
            if matches!(self.before, Before::Punct("." | "?.")) {
                let message =
                    format!("a reference cannot stand for the name of a property; write object[{reference}]");
                return Err(Trouble::reference(self.at, message));
            }
            self.push(len, TokenKind::Reference(reference), Before::Operand);
            return Ok(true);
        }
        // `{{` is also two blocks. It is a broken reference when what follows reads like one.
        let inner = rest.get(2..).and_then(|rest| rest.split_once("}}")).map_or("", |(inner, _)| inner);
        let reads_like_one = Reference::read_path(inner.trim_start())
            .is_some_and(|(reference, _)| reference.to_string().contains('.'))
            && !inner.contains([';', '\n', '(', '=', '{']);
        if !reads_like_one {
            return Ok(false);
        }
        Err(Trouble::reference(self.at, broken_reference(inner, "")))
    }

    fn text(&mut self, quote: char) -> Result<(), Trouble> {
        let start = self.at;
        let mut at = start + 1;
        let mut holes = Vec::new();
        loop {
            let rest = self.source.get(at..).unwrap_or_default();
            match rest.chars().next() {
                None | Some('\n' | '\r') => {
                    return Err(Trouble::syntax(start, format!("the string is never closed by {quote}")));
                }
                Some('\\') => at += escape_len(rest),
                Some(c) if c == quote => break,
                Some('{') if rest.starts_with("{{") => at += hole(rest, at, &mut holes)?,
                Some(c) => at += c.len_utf8(),
            }
        }
        self.push(at + 1 - start, TokenKind::Text(holes), Before::Operand);
        Ok(())
    }

    /// Takes a template literal from here to its end or its next `${`.
    fn chunk(&mut self) -> Result<(), Trouble> {
        let start = self.at;
        let mut at = start;
        let mut holes = Vec::new();
        let is_end = loop {
            let rest = self.source.get(at..).unwrap_or_default();
            match rest.chars().next() {
                None => {
                    return Err(Trouble::syntax(
                        start.saturating_sub(1),
                        "the template literal is never closed by `",
                    ));
                }
                Some('\\') => at += escape_len(rest),
                Some('`') => break true,
                // `${{input.x}}` is a dollar sign and a reference: as code it would be an object without a key.
                Some('$')
                    if rest.starts_with("${{")
                        && Reference::read(rest.get(1..).unwrap_or_default()).is_some() =>
                {
                    at += 1;
                }
                Some('$') if rest.starts_with("${") => break false,
                Some('{') if rest.starts_with("{{") => at += hole(rest, at, &mut holes)?,
                Some(c) => at += c.len_utf8(),
            }
        };
        self.push(at - start, TokenKind::Chunk(holes), Before::Operand);
        if is_end {
            self.push(1, TokenKind::Other, Before::Operand);
        } else {
            self.frames.push(Frame { kind: FrameKind::Template, at: self.at, n_ternaries: 0 });
            self.push(2, TokenKind::Other, Before::Punct("${"));
        }
        Ok(())
    }

    fn is_regex(&self) -> bool {
        match self.before {
            Before::Start | Before::Block | Before::TernaryColon => true,
            Before::Word { word, is_property } => !is_property && OPERATOR_WORDS.contains(&word),
            Before::Operand => false,
            Before::Paren { keyword } => matches!(keyword, "if" | "for" | "while" | "with"),
            Before::Punct(punct) => punct != "++" && punct != "--",
        }
    }

    fn regex(&mut self) -> Result<(), Trouble> {
        let start = self.at;
        let mut at = start + 1;
        let mut is_class = false;
        loop {
            let rest = self.source.get(at..).unwrap_or_default();
            match rest.chars().next() {
                Some('\\') if !rest.get(1..).is_some_and(|rest| rest.starts_with(is_line_end)) => {
                    at += escape_len(rest)
                }
                None | Some('\n' | '\r' | '\\') => {
                    return Err(Trouble::syntax(start, "the regular expression is never closed by /"));
                }
                Some('[') => (is_class, at) = (true, at + 1),
                Some(']') => (is_class, at) = (false, at + 1),
                Some('/') if !is_class => break,
                Some('{') if Reference::read(rest).is_some() => {
                    let message = "a reference cannot stand in a regular expression literal; write new RegExp(…), \
                                   which takes text";
                    return Err(Trouble::reference(at, message));
                }
                Some(c) => at += c.len_utf8(),
            }
        }
        self.push(at + 1 - start, TokenKind::Other, Before::Operand);
        Ok(())
    }

    fn word(&mut self) {
        let rest = self.rest();
        let is_number = rest.starts_with(|c: char| c.is_ascii_digit());
        let mut has_point = false;
        let len = rest
            .find(|c: char| {
                let is_point = is_number && c == '.' && !std::mem::replace(&mut has_point, true);
                !is_point && !is_word_char(c)
            })
            .unwrap_or(rest.len());
        let word = rest.get(..len).unwrap_or_default();
        let is_property = matches!(self.before, Before::Punct("." | "?."));
        let is_key = rest.get(len..).is_some_and(|after| after.trim_start().starts_with(':'));
        let is_inside_function = self.frames.iter().any(|frame| frame.kind == FrameKind::Function);
        if word == "return" && !is_property && !is_key && !is_inside_function {
            self.lexed.returns = true;
        }
        let before = if is_number { Before::Operand } else { Before::Word { word, is_property } };
        self.push(len, TokenKind::Word, before);
    }

    fn punct(&mut self) {
        let rest = self.rest();
        let len = LONG_PUNCTS
            .iter()
            .find(|punct| rest.starts_with(**punct) && !is_decimal(rest, punct))
            .map_or_else(|| rest.chars().next().map_or(1, char::len_utf8), |punct| punct.len());
        let punct = rest.get(..len).unwrap_or_default();
        let mut before = Before::Punct(punct);
        if let Some(frame) = self.frames.last_mut() {
            if punct == "?" {
                frame.n_ternaries += 1;
            } else if punct == ":" && frame.n_ternaries > 0 {
                frame.n_ternaries -= 1;
                before = Before::TernaryColon;
            }
        }
        self.push(len, TokenKind::Other, before);
    }

    fn open(&mut self, c: char) {
        let kind = match c {
            '(' => FrameKind::Paren { keyword: self.paren_keyword() },
            '[' => FrameKind::Square,
            _ => self.brace(),
        };
        let at = self.at;
        self.push(
            1,
            TokenKind::Other,
            Before::Punct(match c {
                '(' => "(",
                '[' => "[",
                _ => "{",
            }),
        );
        self.frames.push(Frame { kind, at, n_ternaries: 0 });
    }

    /// The keyword that a `(` here belongs to, if any.
    fn paren_keyword(&self) -> &'s str {
        if let Before::Word { word, is_property: false } = self.before
            && PAREN_WORDS.contains(&word)
        {
            word
        } else {
            ""
        }
    }

    /// What `{` begins here.
    fn brace(&self) -> FrameKind<'s> {
        match self.before {
            Before::Start => {
                if begins_object(self.rest()) {
                    FrameKind::Object
                } else {
                    FrameKind::Block
                }
            }
            Before::Word { word, is_property: false } if BLOCK_WORDS.contains(&word) => FrameKind::Block,
            Before::Word { word, is_property: false }
                if OPERATOR_WORDS.contains(&word) || word == "default" =>
            {
                FrameKind::Object
            }
            // A class body.
            Before::Word { .. } | Before::Operand | Before::Block => FrameKind::Block,
            Before::Paren { keyword: "" } | Before::Punct("=>") => FrameKind::Function,
            Before::Paren { .. } | Before::Punct(";" | "{") => FrameKind::Block,
            Before::Punct(":") => match self.top() {
                FrameKind::Root | FrameKind::Block | FrameKind::Function => FrameKind::Block,
                FrameKind::Paren { .. } | FrameKind::Square | FrameKind::Object | FrameKind::Template => {
                    FrameKind::Object
                }
            },
            Before::Punct(_) | Before::TernaryColon => FrameKind::Object,
        }
    }

    fn close(&mut self, c: char) -> Result<(), Trouble> {
        let kind = self.top();
        let wanted = match kind {
            FrameKind::Root => {
                return Err(Trouble::syntax(self.at, format!("\"{c}\" closes nothing")));
            }
            FrameKind::Paren { .. } => ')',
            FrameKind::Square => ']',
            FrameKind::Block | FrameKind::Function | FrameKind::Object | FrameKind::Template => '}',
        };
        if c != wanted {
            return Err(Trouble::syntax(self.at, format!("\"{wanted}\" is wanted here, not \"{c}\"")));
        }
        self.frames.pop();
        let before = match kind {
            FrameKind::Paren { keyword } => Before::Paren { keyword },
            FrameKind::Block | FrameKind::Function => Before::Block,
            FrameKind::Root | FrameKind::Square | FrameKind::Object | FrameKind::Template => Before::Operand,
        };
        self.push(1, TokenKind::Other, before);
        if kind == FrameKind::Template { self.chunk() } else { Ok(()) }
    }
}

/// Takes a reference in a literal; the bytes it takes.
fn hole(rest: &str, at: usize, holes: &mut Vec<Hole>) -> Result<usize, Trouble> {
    // Of three braces the last two count.
    if rest.starts_with("{{{") {
        return Ok(1);
    }
    if let Some((reference, len)) = Reference::read(rest) {
        holes.push(Hole { span: Span { start: at, end: at + len }, reference });
        return Ok(len);
    }
    let inner = rest.get(2..).and_then(|rest| rest.split_once("}}")).map_or("", |(inner, _)| inner);
    Err(Trouble::reference(at, broken_reference(inner, "; for two braces as text write \\{{")))
}

fn broken_reference(inner: &str, else_write: &str) -> String {
    if inner.is_empty() {
        return format!("\"{{{{\" begins no reference here{else_write}");
    }
    let hint = if inner.contains('|') {
        "a Liquid filter cannot stand in JavaScript; use JavaScript on the reference, such as .toUpperCase()"
    } else {
        "write {{input.NAME}} or {{action.output}} with an optional path"
    };
    format!("{{{{{inner}}}}} is not a reference; {hint}{else_write}")
}

/// The bytes of a backslash and what it escapes.
fn escape_len(rest: &str) -> usize {
    1 + rest.chars().nth(1).map_or(0, char::len_utf8)
}

fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '#' | '\\' | '\u{200c}' | '\u{200d}')
}

fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}')
}

/// `?.5` is a question mark and a number.
fn is_decimal(rest: &str, punct: &str) -> bool {
    punct == "?." && rest.get(2..).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Whether the `{` that begins a script begins an object: only then is it followed by a key.
fn begins_object(rest: &str) -> bool {
    let inner = rest.get(1..).unwrap_or_default().trim_start();
    if inner.starts_with(['}', '"', '\'', '['])
        || inner.starts_with("...")
        || Reference::read(inner).is_some()
    {
        return true;
    }
    let word = inner.find(|c| !is_word_char(c)).unwrap_or(inner.len());
    word > 0 && inner.get(word..).is_some_and(|after| after.trim_start().starts_with([':', ',', '}']))
}
