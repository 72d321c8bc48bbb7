//! Record ids: 15 characters whose case matters, or the same with three more that say which of them are capitals.
//!
//! Answers hold the long form and people paste both, so ids are compared in the long form alone.

use std::fmt;

/// Characters whose case matters.
const SHORT: usize = 15;
/// Characters of the long form.
const LONG: usize = 18;
/// Characters that one character of the suffix speaks for.
const GROUP: usize = 5;
/// What the suffix is written with: position 0 to 31, a bit for each capital of a group.
const SUFFIX: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

/// An id in its long form.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id([u8; LONG]);

impl Id {
    /// Reads an id of 15 or 18 characters; `None` when the text is none.
    ///
    /// An 18-character id whose letters are all small or all capital, against its suffix, was damaged by a program that
    /// takes ids for words (a spreadsheet); the suffix restores it. Any other disagreement is a misspelt id.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if !bytes.iter().all(u8::is_ascii_alphanumeric) {
            return None;
        }
        let short: [u8; SHORT] = bytes.get(..SHORT)?.try_into().ok()?;
        let given = bytes.get(SHORT..)?.to_ascii_uppercase();
        if given.is_empty() || given == suffix(&short) {
            return Some(Self::long(short));
        }
        let is_one_case =
            |is_case: fn(&u8) -> bool| short.iter().filter(|byte| byte.is_ascii_alphabetic()).all(is_case);
        if !is_one_case(u8::is_ascii_lowercase) && !is_one_case(u8::is_ascii_uppercase) {
            return None;
        }
        let restored = restore(short, &given)?;
        (suffix(&restored).as_slice() == given).then(|| Self::long(restored))
    }

    fn long(short: [u8; SHORT]) -> Self {
        let mut long = [0; LONG];
        for (place, byte) in long.iter_mut().zip(short.iter().chain(suffix(&short).iter())) {
            *place = *byte;
        }
        Self(long)
    }

    /// The 18 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Every byte was checked to be ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The first three characters, which say what kind of record it is: `003` is a contact.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.as_str().get(..3).unwrap_or_default()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({self})")
    }
}

/// The suffix of the first 15 characters: one character per group, bit `j` set when its character `j` is a capital.
fn suffix(short: &[u8; SHORT]) -> [u8; LONG - SHORT] {
    let mut suffix = [b'A'; LONG - SHORT];
    for (place, group) in suffix.iter_mut().zip(short.chunks(GROUP)) {
        let bits = group
            .iter()
            .enumerate()
            .filter(|(_, byte)| byte.is_ascii_uppercase())
            .fold(0, |bits, (nth, _)| bits | 1_usize << nth);
        *place = SUFFIX.get(bits).copied().unwrap_or(b'A');
    }
    suffix
}

/// Gives letters the case that a suffix tells; `None` when it is no suffix.
fn restore(mut short: [u8; SHORT], suffix: &[u8]) -> Option<[u8; SHORT]> {
    if suffix.len() != LONG - SHORT {
        return None;
    }
    for (group, told) in short.chunks_mut(GROUP).zip(suffix) {
        let bits = SUFFIX.iter().position(|byte| byte == told)?;
        for (nth, byte) in group.iter_mut().enumerate() {
            *byte = if bits & 1 << nth == 0 { byte.to_ascii_lowercase() } else { byte.to_ascii_uppercase() };
        }
    }
    Some(short)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// From answers of the API and from public questions about the suffix.
    const KNOWN: [&str; 15] = [
        "a01M00000062mPgIAI",
        "001M000000qfPySIAU",
        "a0FE000000D6r3FMAR",
        "0F9E000000092w2KAA",
        "aaaaaaaaaaaaaaaAAA",
        "AbCdEfGhIjKlMnOVKV",
        "aBcDEfgHIJKLMNO025",
        "a0RE000000IJmcNMAT",
        "a0D30000001n7PiEAI",
        "003ak00000jvIfpAAE",
        "001ak00000OQTieAAH",
        "750ak000009BWKLAA4",
        "001RM000003oLruYAE",
        "01g3A00007lZwLKQA0",
        "00Qak00000696HFEAY",
    ];

    #[test]
    fn known_ids_are_told_by_their_first_fifteen_characters() {
        for known in KNOWN {
            assert_eq!(Id::parse(known.get(..SHORT).unwrap()).unwrap().as_str(), known);
            assert_eq!(Id::parse(known).unwrap().as_str(), known);
        }
        assert_eq!(Id::parse(KNOWN[9]).unwrap().prefix(), "003");
    }

    #[test]
    fn what_is_no_id_is_none() {
        for text in [
            "",
            "003ak00000jvIf",
            "003ak00000jvIfpA",
            "003ak00000jvIfpAAE1",
            "003ak00000jvIf-",
            "003ak00000jvIfé",
            // The suffix disagrees in a way that no change of case explains.
            "003ak00000jvIfpAAA",
            "003ak00000jviFpAAE",
            "aaaaaaaaaaaaaaa999",
        ] {
            assert_eq!(Id::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_id_in_one_case_is_restored_from_its_suffix(short in "[0-9A-Za-z]{15}") {
            let id = Id::parse(&short).unwrap();
            prop_assert_eq!(id.as_str().get(..SHORT), Some(short.as_str()));
            prop_assert_eq!(Id::parse(&id.as_str().to_lowercase()), Some(id));
            prop_assert_eq!(Id::parse(&id.as_str().to_uppercase()), Some(id));
        }

        #[test]
        fn one_letter_of_another_case_is_noticed(short in "[A-Z][a-z][0-9A-Za-z]{13}", nth in 0_usize..15) {
            let id = Id::parse(&short).unwrap();
            let mut damaged = id.as_str().as_bytes().to_vec();
            damaged[nth] ^= if damaged[nth].is_ascii_alphabetic() { 0x20 } else { 0 };
            let read = Id::parse(std::str::from_utf8(&damaged).unwrap());
            prop_assert!(read.is_none_or(|read| read == id), "{:?}", read);
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            prop_assert!(Id::parse(&text).is_none_or(|id| id.as_str().len() == LONG));
        }
    }
}
