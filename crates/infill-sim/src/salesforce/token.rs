//! The words of SOQL: text in, tokens with their places out, and errors that name a place.

use jiff::civil::Date;

use super::answer::Refusal;
use super::value;

/// A word of SOQL.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Lexeme {
    Word(String),
    Text(String),
    Number(f64),
    Date(Date),
    Time(i64),
    Symbol(&'static str),
}

impl Lexeme {
    fn shown(&self) -> String {
        match self {
            Self::Word(text) | Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Date(date) => date.to_string(),
            Self::Time(ms) => value::utc(*ms),
            Self::Symbol(symbol) => (*symbol).to_owned(),
        }
    }
}

/// A word and its place, in characters from the start.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: Lexeme,
    pub(crate) at: usize,
}

const SYMBOLS: [&str; 11] = ["!=", "<>", "<=", ">=", "<", ">", "=", "(", ")", ",", ";"];

/// The tokens of a text.
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, Refusal> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&first) = chars.get(at) {
        let rest = chars.get(at..).unwrap_or_default();
        if first.is_whitespace() {
            at += 1;
            continue;
        }
        let (kind, len) = if first == '\'' {
            quoted(rest).map_err(|message| error_at(text, at, "MALFORMED_QUERY", &message))?
        } else if let Some(symbol) =
            SYMBOLS.into_iter().find(|symbol| rest.iter().copied().take(symbol.len()).eq(symbol.chars()))
        {
            (Lexeme::Symbol(symbol), symbol.len())
        } else {
            let part: String =
                rest.iter().copied().take_while(|c| c.is_alphanumeric() || "_.:+-".contains(*c)).collect();
            let kind = bare(&part).ok_or_else(|| {
                let shown = if part.is_empty() { first.to_string() } else { part.clone() };
                error_at(text, at, "MALFORMED_QUERY", &format!("unexpected token: '{shown}'"))
            })?;
            (kind, part.chars().count())
        };
        tokens.push(Token { kind, at });
        at += len;
    }
    Ok(tokens)
}

fn bare(part: &str) -> Option<Lexeme> {
    let first = part.chars().next()?;
    if first.is_alphabetic() || first == '_' {
        return Some(Lexeme::Word(part.to_owned()));
    }
    if part.contains('T') {
        return value::time(part).map(Lexeme::Time);
    }
    value::date(part).map(Lexeme::Date).or_else(|| part.parse().ok().map(Lexeme::Number))
}

/// A text in single quotes and its length with them.
fn quoted(chars: &[char]) -> Result<(Lexeme, usize), String> {
    let mut text = String::new();
    let mut at = 1;
    while let Some(&c) = chars.get(at) {
        at += 1;
        match c {
            '\'' => return Ok((Lexeme::Text(text), at)),
            '\\' => {
                let escape = chars.get(at).copied().unwrap_or('\'');
                at += 1;
                match escape {
                    'n' => text.push('\n'),
                    'r' => text.push('\r'),
                    't' => text.push('\t'),
                    'b' => text.push('\u{8}'),
                    'f' => text.push('\u{c}'),
                    '\'' | '"' | '\\' => text.push(escape),
                    // Kept with its backslash: only `LIKE` gives it a meaning.
                    '_' | '%' => text.extend(['\\', escape]),
                    'u' => {
                        let digits: String = chars.iter().skip(at).take(4).collect();
                        let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                        text.push(code.ok_or("invalid unicode escape sequence")?);
                        at += 4;
                    }
                    other => {
                        return Err(format!(
                            "Invalid string literal. Illegal character sequence '\\{other}' in string literal"
                        ));
                    }
                }
            }
            _ => text.push(c),
        }
    }
    Err("line 1: mismatched character '<EOF>' expecting '''".to_owned())
}

/// An error at a place of the query, with the fragment and the caret that the vendor prints before it.
pub(crate) fn error_at(text: &str, at: usize, code: &str, message: &str) -> Refusal {
    const BEFORE: usize = 30;
    const AFTER: usize = 30;
    let start = at.saturating_sub(BEFORE);
    let fragment: String = text.chars().skip(start).take(at - start + AFTER).collect();
    let caret = " ".repeat(at - start);
    Refusal::new(400, code, format!("\n{fragment}\n{caret}^\nERROR at Row:1:Column:{}\n{message}", at + 1))
}

/// The refusal of a token that cannot stand where it stands.
pub(crate) fn unexpected(text: &str, token: &Token) -> Refusal {
    error_at(text, token.at, "MALFORMED_QUERY", &format!("unexpected token: '{}'", token.kind.shown()))
}
