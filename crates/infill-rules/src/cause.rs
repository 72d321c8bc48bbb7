//! Which dead letters have one cause: those with the same code, property and message, but for the parts of the message that
//! change from row to row.
//!
//! Law: it does not matter which of two numbers, ids, addresses, moments or values stands in a message.

use infill_model::letter::SharedCause;
use infill_model::row::Cause;
use infill_model::{Properties, RecordId, value};
use sha2::{Digest, Sha256};

/// Bytes of an id: among a thousand causes of a store, two get the same one once in 8,000 stores.
const ID_BYTES: usize = 4;

/// Characters kept of a message: enough to tell causes apart and to read.
const LONGEST: usize = 300;

/// Shorter values are words of the message more often than they are the row's.
const SHORTEST_VALUE: usize = 2;

/// Shorter words with digits are names (`address2`) more often than ids.
const SHORTEST_ID: usize = 12;

/// What the letter of a row shares with others: the row's record and the values it was to get are taken out of the message.
#[must_use]
pub fn shared(cause: &Cause, record: &RecordId, wanted: &Properties) -> SharedCause {
    let mut values: Vec<String> = wanted.values().map(value::to_text).collect();
    values.push(record.as_str().to_owned());
    let property = cause.property.as_deref();
    let message = general(&cause.message, property, &values);
    let mut hash = Sha256::new();
    for part in [cause.code.as_str(), property.unwrap_or_default(), &message] {
        hash.update(part);
        hash.update([0]);
    }
    let id: String = hash.finalize().iter().take(ID_BYTES).map(|byte| format!("{byte:02x}")).collect();
    SharedCause { id: id.into(), message }
}

/// The message with what changes from row to row replaced: these values, what is quoted, addresses, moments, ids and numbers.
/// The name of the property stays.
#[must_use]
pub fn general(message: &str, property: Option<&str>, values: &[String]) -> String {
    let mut values: Vec<&str> = values.iter().map(|value| value.trim()).collect();
    values.retain(|value| value.chars().count() >= SHORTEST_VALUE);
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    let kept = property.filter(|name| !name.is_empty());
    let mut general = General::default();
    let mut rest = message;
    while let Some(first) = rest.chars().next() {
        let len = if general.is_inside_a_word() {
            general.push(rest, first.len_utf8())
        } else if let Some(len) = kept.and_then(|name| begins_with_word(rest, name)) {
            general.push(rest, len)
        } else if let Some((what, len)) = changing(rest, &values, kept) {
            general.replace(what);
            len
        } else {
            general.push(rest, first.len_utf8())
        };
        rest = rest.get(len..).unwrap_or_default();
    }
    general.text.chars().take(LONGEST).collect()
}

/// A message on its way.
#[derive(Default)]
struct General {
    text: String,
    /// Whether the last thing was put in place of a changing part.
    is_replaced: bool,
}

impl General {
    fn is_inside_a_word(&self) -> bool {
        !self.is_replaced && self.text.chars().next_back().is_some_and(is_word)
    }

    fn push(&mut self, rest: &str, len: usize) -> usize {
        self.text.push_str(rest.get(..len).unwrap_or_default());
        self.is_replaced = false;
        len
    }

    /// Puts `what` in place of a part; of an enumeration of parts of one kind, once.
    fn replace(&mut self, what: &str) {
        let before = self.text.trim_end_matches([',', ' ']);
        if before.len() < self.text.len() && before.ends_with(what) {
            self.text.truncate(before.len());
        } else {
            self.text.push_str(what);
        }
        self.is_replaced = true;
    }
}

/// What changes from row to row at the beginning of a text: what to put in its place, and how long it is.
fn changing(text: &str, values: &[&str], kept: Option<&str>) -> Option<(&'static str, usize)> {
    values
        .iter()
        .find_map(|value| begins_with_word(text, value))
        .map(|len| ("<value>", len))
        .or_else(|| quoted(text, kept).map(|len| ("<value>", len)))
        .or_else(|| web_address(text).map(|len| ("<address>", len)))
        .or_else(|| mail_address(text).map(|len| ("<address>", len)))
        .or_else(|| moment(text).map(|len| ("<time>", len)))
        .or_else(|| id(text).map(|len| ("<id>", len)))
        .or_else(|| number(text).map(|len| ("<number>", len)))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of a word or words that the text begins with and that do not go on behind.
fn begins_with_word(text: &str, word: &str) -> Option<usize> {
    let after = text.strip_prefix(word)?.chars().next();
    let goes_on = word.chars().next_back().is_some_and(is_word) && after.is_some_and(is_word);
    (!goes_on).then_some(word.len())
}

/// A text in quotes, unless it is the name of the property.
fn quoted(text: &str, kept: Option<&str>) -> Option<usize> {
    let open = text.chars().next()?;
    let close = match open {
        '"' | '\'' | '`' => open,
        '“' => '”',
        '‘' => '’',
        '«' => '»',
        _ => return None,
    };
    let inner = text.get(open.len_utf8()..)?;
    // An apostrophe within the quotes is followed by a letter.
    let ends = |at: usize| !inner.get(at + close.len_utf8()..).unwrap_or_default().starts_with(is_word);
    let (end, _) = inner.match_indices(close).find(|(at, _)| ends(*at))?;
    let content = inner.get(..end)?;
    (kept != Some(content)).then_some(open.len_utf8() + end + close.len_utf8())
}

fn web_address(text: &str) -> Option<usize> {
    let has_scheme = text.starts_with("https://") || text.starts_with("http://");
    has_scheme.then(|| run(text, |c| !c.is_whitespace() && !"\"'<>()[]{},;".contains(c)))
}

fn mail_address(text: &str) -> Option<usize> {
    let user = run(text, |c| c.is_alphanumeric() || "._%+-".contains(c));
    let host = text.get(user..)?.strip_prefix('@')?;
    let len = run(host, |c| c.is_alphanumeric() || ".-".contains(c));
    let host = host.get(..len)?.trim_end_matches(['.', '-']);
    (user > 0 && host.contains('.')).then_some(user + '@'.len_utf8() + host.len())
}

/// A date as ISO 8601 has it, with the time that may follow.
fn moment(text: &str) -> Option<usize> {
    const DATE: &str = "0000-00-00";
    const TIME: &str = "00:00";
    let fits = |text: &str, form: &str| {
        text.len() >= form.len()
            && text.bytes().zip(form.bytes()).all(|(byte, form)| match form {
                b'0' => byte.is_ascii_digit(),
                form => byte == form,
            })
    };
    if !fits(text, DATE) {
        return None;
    }
    let after = text.get(DATE.len()..)?;
    let Some(time) = after.strip_prefix(['T', ' ']).filter(|time| fits(time, TIME)) else {
        return Some(DATE.len());
    };
    let time = time.get(..run(time, |c| c.is_ascii_digit() || ":.+-Z".contains(c)))?;
    Some(DATE.len() + 1 + time.trim_end_matches(['.', ':', '-', '+']).len())
}

/// A long word of letters and digits, as UUIDs and the ids of vendors are.
fn id(text: &str) -> Option<usize> {
    let len = run(text, |c| c.is_ascii_alphanumeric() || c == '-');
    let word = text.get(..len)?.trim_end_matches('-');
    let has_letter = word.contains(|c: char| c.is_ascii_alphabetic());
    // A date or a phone number has no letters, and a name made of words has few digits.
    let n_digits = word.chars().filter(char::is_ascii_digit).count();
    let ends = !text.get(word.len()..).unwrap_or_default().starts_with(is_word);
    (word.len() >= SHORTEST_ID && has_letter && n_digits > 2 && ends).then_some(word.len())
}

/// A number, with its sign, its fraction and its thousands apart.
fn number(text: &str) -> Option<usize> {
    let sign = usize::from(text.starts_with(['-', '+']));
    let digits = text.get(sign..)?;
    let len = run(digits, |c| c.is_ascii_digit() || ".,".contains(c));
    let digits = digits.get(..len)?;
    digits.starts_with(|c: char| c.is_ascii_digit()).then(|| sign + digits.trim_end_matches(['.', ',']).len())
}

/// How far a text goes on like this.
fn run(text: &str, like_this: impl Fn(char) -> bool) -> usize {
    text.find(|c| !like_this(c)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use infill_model::Class;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn cause(code: &str, property: Option<&str>, message: &str) -> Cause {
        Cause {
            class: Class::Rejected,
            code: code.to_owned(),
            message: message.to_owned(),
            property: property.map(ToOwned::to_owned),
            correlation_id: Some("changes with every call".to_owned()),
            at: None,
        }
    }

    #[test]
    fn what_changes_from_row_to_row_is_taken_out() {
        for (message, expected) in [
            (
                "HubSpot: Hello Ann was not one of the allowed options: [\"A\", \"B\", \"C\"]",
                "HubSpot: <value> was not one of the allowed options: [<value>]",
            ),
            ("record 101 of batch 7 (5%)", "record <value> of batch <number> (<number>%)"),
            ("id 0015g00000XyZAAQ is locked", "id <id> is locked"),
            ("6f9619ff-8b86-d011-b42d-00cf4fc964ff: gone", "<id>: gone"),
            ("ann.o'neill@example.com exists", "ann.o'<address> exists"),
            ("ann@example.com, bob+2@example.co.uk.", "<address>."),
            ("see https://app.hubspot.com/contacts/7?x=1, please", "see <address>, please"),
            ("since 2026-09-01T12:30:00.5Z: no", "since <time>: no"),
            ("on 2026-09-01 12:30 and 2026-09-02.", "on <time> and <time>."),
            ("isn't \"it's Bob's\" or 'x y'?", "isn't <value> or <value>?"),
            ("1,234.50 is above -3 by 12ms", "<number> is above <number> by <number>ms"),
            ("address2 and HTTP_404 stay", "address2 and HTTP_404 stay"),
            ("the property \"phone2\" of 'x'", "the property \"phone2\" of <value>"),
            ("Ünïcödé «a» 李 “b”", "Ünïcödé <value> 李 <value>"),
            ("", ""),
            ("an open \"quote", "an open \"quote"),
        ] {
            let values = ["Hello Ann".to_owned(), "101".to_owned(), "x".to_owned(), String::new()];
            assert_eq!(general(message, Some("phone2"), &values), expected, "{message}");
        }
    }

    #[test]
    fn letters_of_one_cause_share_it_whatever_their_row() {
        let of = |record: &str, note: &str, property: &str| {
            let message = format!("HubSpot: {note} was not one of the options of record {record}");
            let wanted = [("note".into(), json!(note))].into();
            shared(&cause("INVALID_OPTION", Some(property), &message), &record.into(), &wanted)
        };
        let ann = of("101", "Hello Ann", "note");
        assert_eq!(ann, of("102", "Hello Bob 2", "note"));
        assert_ne!(ann.id, of("101", "Hello Ann", "phone").id);
        assert_eq!(ann.message, "HubSpot: <value> was not one of the options of record <value>");
        // It is stored, and typed from notes.
        assert_eq!(ann.id.as_str(), "cb0dda4f");
    }

    #[test]
    fn a_long_message_is_cut() {
        assert_eq!(general(&"é ".repeat(1000), None, &[]).chars().count(), LONGEST);
    }

    fn changing_part() -> impl Strategy<Value = String> {
        prop_oneof![
            "[0-9]{1,9}",
            "-[0-9]{1,3}\\.[0-9]{1,3}",
            "[0-9a-f]{8}-[0-9]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
            "2[0-9]{3}-0[1-9]-[12][0-9](T0[0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{3})?Z)?",
            "[a-z]{1,8}(\\.[a-z]{1,8})?@[a-z]{1,8}\\.[a-z]{2,3}",
            "\"[a-zA-Z0-9 ]{0,12}\"",
            "https://[a-z]{1,8}\\.com/[a-z0-9/]{0,8}",
        ]
    }

    proptest! {
        #[test]
        fn any_text_has_a_general_form(
            message in "\\PC{0,80}", value in "\\PC{0,6}", property in prop::option::of("\\PC{0,6}")
        ) {
            let general = general(&message, property.as_deref(), &[value]);
            prop_assert!(general.chars().count() <= LONGEST);
        }

        #[test]
        fn a_changing_part_is_never_left(part in changing_part()) {
            let message = |part: &str| format!("cannot set it to {part} now");
            let general = general(&message(&part), None, &[]);
            prop_assert!(general.starts_with("cannot set it to <") && general.ends_with("> now"), "{}", general);
        }

        #[test]
        fn which_value_was_wanted_does_not_matter(value in "[a-zA-Z][a-zA-Z0-9 ']{0,10}[a-z]") {
            let message = format!("HubSpot: {value} was not valid.");
            prop_assert_eq!(general(&message, None, &[value]), "HubSpot: <value> was not valid.");
        }
    }
}
