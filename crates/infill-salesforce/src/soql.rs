//! Values as literals of SOQL. Whatever a value holds, it stays one value: nothing of it is read as query.

/// A text as a literal, in single quotes.
#[must_use]
pub fn text(value: &str) -> String {
    literal("", value, "", escaped)
}

/// The pattern for `LIKE` that finds a text anywhere; `%` and `_` in it stand for themselves.
#[must_use]
pub fn containing(value: &str) -> String {
    literal("%", value, "%", |c, out| {
        if matches!(c, '%' | '_') {
            out.push('\\');
        }
        escaped(c, out);
    })
}

/// A list of literals for `IN`, `INCLUDES` and their like.
#[must_use]
pub fn list(literals: &[String]) -> String {
    format!("({})", literals.join(", "))
}

fn literal(before: &str, value: &str, after: &str, escape: impl Fn(char, &mut String)) -> String {
    let mut out = String::with_capacity(value.len() + before.len() + after.len() + 2);
    out.push('\'');
    out.push_str(before);
    for c in value.chars() {
        escape(c, &mut out);
    }
    out.push_str(after);
    out.push('\'');
    out
}

/// One character as SOQL takes it between quotes; a backslash before any other is an error there.
fn escaped(c: char, out: &mut String) {
    match c {
        '\'' | '\\' => {
            out.push('\\');
            out.push(c);
        }
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
        c => out.push(c),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads a literal as SOQL does: its text, and what follows the closing quote.
    fn read(literal: &str) -> (String, &str) {
        let mut rest = literal.strip_prefix('\'').unwrap().chars();
        let mut text = String::new();
        while let Some(c) = rest.next() {
            text.push(match c {
                '\'' => return (text, rest.as_str()),
                '\\' => match rest.next().unwrap() {
                    c @ ('\'' | '\\' | '%' | '_') => c,
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'u' => {
                        let (code, after) = rest.as_str().split_at(4);
                        rest = after.chars();
                        char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap()
                    }
                    other => panic!("SOQL has no \\{other}"),
                },
                c => c,
            });
        }
        panic!("no closing quote in {literal}");
    }

    #[test]
    fn quotes_and_backslashes_are_escaped() {
        assert_eq!(text("O'Neil"), r"'O\'Neil'");
        assert_eq!(text(r"a\' OR Name != '"), r"'a\\\' OR Name != \''");
        assert_eq!(text("a\nb\u{1}"), r"'a\nb\u0001'");
        assert_eq!(containing("50%_"), r"'%50\%\_%'");
        assert_eq!(list(&[text("a"), text("b")]), "('a', 'b')");
    }

    proptest! {
        #[test]
        fn a_value_is_read_back_as_it_was(value in any::<String>()) {
            let (literal, pattern) = (text(&value), containing(&value));
            prop_assert_eq!(read(&literal), (value.clone(), ""));
            prop_assert_eq!(read(&pattern), (format!("%{value}%"), ""));
        }
    }
}
