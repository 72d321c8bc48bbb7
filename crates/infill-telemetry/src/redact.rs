//! Takes what looks like a secret out of a text.
//!
//! Secrets are kept in types that do not print; this is for the texts of others, such as a vendor's error body or the
//! `Debug` of a request, that end up in a log line or a dead letter. It errs towards hiding: a hidden word costs a
//! reader a moment, a printed token costs an account.
//!
//! Hidden are: what follows `Bearer` or `Basic`; the value of a name that ends in `token`, `secret`, `password` and the
//! like, as `name=value`, `name: value` or JSON, escaped or not; the password in a URL; and words that are tokens by
//! their own shape (HubSpot private apps, JSON Web Tokens, Salesforce sessions, keys that begin with `sk-`, and long
//! random words).

use std::borrow::Cow;

/// What stands in place of a secret.
pub const REDACTED: &str = "[redacted]";

/// Endings of names whose values are secret, in lower case with `_` for `-`.
const SECRET_NAMES: [&str; 16] = [
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "api_key",
    "apikey",
    "access_key",
    "private_key",
    "secret_key",
    "authorization",
    "cookie",
    "session_id",
    "sessionid",
    "credentials",
];

/// A word of this length or more that mixes cases and digits is taken for a token; UUIDs (36) and hexadecimal digests
/// (one case) are not.
const LONG_RANDOM: usize = 60;

/// The text without what looks like a secret; borrowed when there was nothing to hide.
#[must_use]
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut rest = text;
    let mut context = Context::Plain;
    let mut hid = false;
    while !rest.is_empty() {
        let (gap, after) = split_while(rest, |c| !is_word(c));
        let (word, tail) = split_while(after, is_word);
        out.push_str(gap);
        if let Some((password, tail)) = url_password(gap, after) {
            out.push_str(password);
            out.push_str(REDACTED);
            (rest, context, hid) = (tail, Context::Plain, true);
            continue;
        }
        match context.hides(gap, word) {
            Hide::No if is_token(word) => {
                out.push_str(REDACTED);
                (rest, context, hid) = (tail, Context::Plain, true);
            }
            Hide::No => {
                out.push_str(word);
                (rest, context) = (tail, context.after(gap, word));
            }
            Hide::Until(end) => {
                out.push_str(REDACTED);
                (rest, context, hid) = (end.skip(after), Context::Plain, true);
            }
        }
    }
    if hid { Cow::Owned(out) } else { Cow::Borrowed(text) }
}

/// What the last word announced.
#[derive(Clone, Copy)]
enum Context {
    Plain,
    /// `Bearer`, `Basic`: a token follows after blanks.
    Scheme {
        /// The scheme's name is also a common English word.
        is_common: bool,
    },
    /// A name whose value is secret, then whatever stood between it and a wrapper such as `Some(`.
    Name {
        assigned: Option<Assigned>,
    },
}

/// How a value was tied to its name.
#[derive(Clone, Copy, PartialEq)]
enum Assigned {
    Equals,
    Colon,
}

enum Hide {
    No,
    Until(End),
}

/// Where a secret stops.
enum End {
    /// At a blank or a mark that ends values in headers, queries and JSON.
    Blank,
    Quote {
        quote: char,
        is_escaped: bool,
    },
}

impl Context {
    fn after(self, gap: &str, word: &str) -> Self {
        let name = word.to_ascii_lowercase().replace('-', "_");
        match name.as_str() {
            "bearer" => Self::Scheme { is_common: false },
            "basic" => Self::Scheme { is_common: true },
            // `token: Some("…")` in the `Debug` of a struct.
            "some" => match self {
                Self::Name { assigned } => Self::Name { assigned: assigned.or_else(|| assignment(gap)) },
                Self::Plain | Self::Scheme { .. } => Self::Plain,
            },
            name if SECRET_NAMES.iter().any(|ending| name.ends_with(ending)) => Self::Name { assigned: None },
            _ => Self::Plain,
        }
    }

    fn hides(self, gap: &str, word: &str) -> Hide {
        if word.is_empty() {
            return Hide::No;
        }
        match self {
            Self::Plain => Hide::No,
            Self::Scheme { is_common } => {
                let follows = !gap.is_empty() && gap.chars().all(char::is_whitespace);
                if follows && (!is_common || is_opaque(word)) { Hide::Until(End::Blank) } else { Hide::No }
            }
            Self::Name { assigned } => {
                let Some(assigned) = assigned.or_else(|| assignment(gap)) else { return Hide::No };
                if matches!(word.to_ascii_lowercase().as_str(), "bearer" | "basic" | "some" | "none" | "null")
                {
                    return Hide::No;
                }
                if gap.ends_with(['"', '\'']) {
                    let quote = if gap.ends_with('"') { '"' } else { '\'' };
                    let is_escaped = gap.chars().rev().nth(1) == Some('\\');
                    return Hide::Until(End::Quote { quote, is_escaped });
                }
                match assigned {
                    _ if gap.ends_with('[') => Hide::No,
                    Assigned::Equals => Hide::Until(End::Blank),
                    Assigned::Colon if is_opaque(word) => Hide::Until(End::Blank),
                    Assigned::Colon => Hide::No,
                }
            }
        }
    }
}

impl End {
    /// What is left of `text`, which starts with the secret.
    fn skip(self, text: &str) -> &str {
        match self {
            Self::Blank => split_while(text, |c| !c.is_whitespace() && !"&;,\"'\\)]}>".contains(c)).1,
            Self::Quote { quote, is_escaped: true } => {
                let end = text.find(&format!("\\{quote}")).unwrap_or(text.len());
                text.split_at(end).1
            }
            Self::Quote { quote, is_escaped: false } => {
                let mut last = ' ';
                split_while(text, |c| {
                    let is_inside = c != quote || last == '\\';
                    last = c;
                    is_inside
                })
                .1
            }
        }
    }
}

fn assignment(gap: &str) -> Option<Assigned> {
    match gap.trim_start_matches(|c: char| c.is_whitespace() || "\"'\\".contains(c)).chars().next() {
        Some('=') => Some(Assigned::Equals),
        Some(':') => Some(Assigned::Colon),
        _ => None,
    }
}

/// For text that follows a `://`: what comes before the password, and what comes after it.
fn url_password<'t>(gap: &str, text: &'t str) -> Option<(&'t str, &'t str)> {
    if !gap.ends_with("://") {
        return None;
    }
    let (authority, _) = split_while(text, |c| !c.is_whitespace() && !"/?#\"'<>\\".contains(c));
    let (userinfo, _) = authority.rsplit_once('@')?;
    let (user, password) = userinfo.split_once(':')?;
    if password.is_empty() || password == REDACTED {
        return None;
    }
    Some((text.get(..=user.len())?, text.get(userinfo.len()..)?))
}

fn split_while(text: &str, mut keep: impl FnMut(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !keep(c)).unwrap_or(text.len());
    text.split_at(end)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || "_-.~+!".contains(c)
}

/// Whether the word does not look like one of a language: eight characters or more, and a digit or a capital inside.
fn is_opaque(word: &str) -> bool {
    word.chars().count() >= 8
        && (word.chars().any(|c| c.is_ascii_digit()) || word.chars().skip(1).any(char::is_uppercase))
}

/// Whether the word is a token by its own shape.
fn is_token(word: &str) -> bool {
    let long = word.len() >= 20;
    let is_prefixed = ["pat-", "sk-", "sk_", "xoxb-"].iter().any(|prefix| word.starts_with(prefix));
    let is_web_token = word.starts_with("eyJ") && word.contains('.');
    let is_session = word.starts_with("00D") && word.contains('!');
    let is_random = word.len() >= LONG_RANDOM
        && word.chars().all(|c| c.is_ascii_alphanumeric() || "_-+".contains(c))
        && word.chars().any(|c| c.is_ascii_digit())
        && word.chars().any(|c| c.is_ascii_lowercase())
        && word.chars().any(|c| c.is_ascii_uppercase());
    long && (is_prefixed || is_web_token || is_session) || is_random
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(redact(text), expected);
    }

    #[test]
    fn what_follows_an_authorization_scheme_is_hidden() {
        check("Authorization: Bearer CJT2yZ.x-1", "Authorization: Bearer [redacted]");
        check("authorization: basic dXNlcjpwYXNz==, next", "authorization: basic [redacted], next");
        check(r#"{"authorization": "Bearer abcdefgh"}"#, r#"{"authorization": "Bearer [redacted]"}"#);
        check(
            "headers: [(\"authorization\", \"Bearer x\")]",
            "headers: [(\"authorization\", \"Bearer [redacted]\")]",
        );
    }

    #[test]
    fn the_value_of_a_secret_name_is_hidden() {
        check("grant_type=x&refresh_token=a1/b2+c3&n=1", "grant_type=x&refresh_token=[redacted]&n=1");
        check(r#"{"access_token":"two words","n":1}"#, r#"{"access_token":"[redacted]","n":1}"#);
        check(
            r#"{\"client_secret\": \"abc\", \"n\": 1}"#,
            r#"{\"client_secret\": \"[redacted]\", \"n\": 1}"#,
        );
        check(r#"{"password":"with \" inside","n":1}"#, r#"{"password":"[redacted]","n":1}"#);
        check(
            r#"Login { token: Some("abc"), user: "ann" }"#,
            r#"Login { token: Some("[redacted]"), user: "ann" }"#,
        );
        check("x-api-key: 9f8e7d6c5b", "x-api-key: [redacted]");
        check("INFILL_SECRET_KEY=p@ss:w0rd end", "INFILL_SECRET_KEY=[redacted] end");
    }

    #[test]
    fn the_password_of_a_url_is_hidden() {
        check(
            "connect to amqp://guest:gu:est@127.0.0.1:5672/%2f failed",
            "connect to amqp://guest:[redacted]@127.0.0.1:5672/%2f failed",
        );
        check("postgres://postgres@127.0.0.1:5432/infill", "postgres://postgres@127.0.0.1:5432/infill");
    }

    #[test]
    fn tokens_are_known_by_their_shape() {
        check("key pat-na1-11111111-2222-3333-4444-555555555555 refused", "key [redacted] refused");
        check("got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln.", "got [redacted]");
        check("sid 00D5g000000ABCD!AQ8AQFakeFakeFakeFake", "sid [redacted]");
        check(&format!("t {}", "aB3-".repeat(20)), "t [redacted]");
    }

    #[test]
    fn prose_ids_and_addresses_are_left_alone() {
        for text in [
            "refresh the token: the login expired",
            "basic understanding of a bearer",
            "run 01928f3e-7b1c-7c3a-9d2e-0123456789ab batch 12 written",
            "GET https://api.hubapi.com/crm/objects/2026-09/contacts/batch/read answered 429",
            "digest 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "property \"phone_number_token_count\" = 3",
            "password: none, token: null",
        ] {
            assert!(matches!(redact(text), Cow::Borrowed(_)), "{}", redact(text));
        }
    }

    proptest! {
        #[test]
        fn a_secret_never_survives_where_secrets_stand(
            secret in "[a-z]{4}[A-Za-z0-9_.+-]{8,60}[0-9]",
            before in "[ -~]{0,20}",
            form in prop::sample::select(vec![
                "Bearer {}", "access_token={}", "?a=1&api_key={}&b=2", "\"refresh_token\":\"{}\"", "password: \"{}\"",
                "x-api-key: {}", "amqp://user:{}@host:5672/v", "\\\"client_secret\\\":\\\"{}\\\"",
            ]),
        ) {
            let text = format!("{before} {}", form.replace("{}", &secret));
            let redacted = redact(&text);
            prop_assert!(!redacted.contains(&secret), "{redacted}");
        }

        #[test]
        fn redacting_twice_changes_nothing_more(text in "[ -~é]{0,80}") {
            let once = redact(&text).into_owned();
            prop_assert_eq!(redact(&once).into_owned(), once);
        }
    }
}
