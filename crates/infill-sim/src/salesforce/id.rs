//! Record ids: 15 characters that are case-sensitive, or 18 with a suffix that says which of them are capitals.

/// Digits of the number inside an id.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Characters of the suffix, by the capitals in a group of five.
const SUFFIX: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
/// What every id of this org has after its prefix: the instance, as in ids that were recorded.
const INSTANCE: &str = "ak0";
const NUMBER_LEN: usize = 9;

/// The object and the number that an id names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parsed {
    /// The first three characters, which say the object.
    pub(crate) prefix: String,
    /// The number; `None` in an id of another org.
    pub(crate) number: Option<u64>,
}

/// The id of 18 characters.
pub(crate) fn id18(prefix: &str, number: u64) -> String {
    let mut id = id15(prefix, number);
    id.push_str(&suffix(&id));
    id
}

fn id15(prefix: &str, number: u64) -> String {
    let mut digits = [b'0'; NUMBER_LEN];
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        let at = usize::try_from(rest % 62).unwrap_or(0);
        *digit = DIGITS.get(at).copied().unwrap_or(b'0');
        rest /= 62;
    }
    format!("{prefix}{INSTANCE}{}", String::from_utf8_lossy(&digits))
}

/// The three characters that follow the first fifteen.
fn suffix(id: &str) -> String {
    let groups = id.as_bytes().chunks(5).take(3).map(|group| {
        let bits = group
            .iter()
            .enumerate()
            .map(|(at, byte)| usize::from(byte.is_ascii_uppercase()) << at)
            .sum::<usize>();
        char::from(SUFFIX.get(bits).copied().unwrap_or(b'A'))
    });
    groups.collect()
}

/// Reads an id of 15 or 18 characters; `None` when it is no id, or when the suffix shows that its case is damaged.
pub(crate) fn parse(text: &str) -> Option<Parsed> {
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let (id, given) = match text.len() {
        15 => (text, None),
        18 => text.split_at_checked(15).map(|(id, given)| (id, Some(given)))?,
        _ => return None,
    };
    if given.is_some_and(|given| given != suffix(id)) {
        return None;
    }
    let (prefix, rest) = id.split_at_checked(3)?;
    let number = rest.strip_prefix(INSTANCE).and_then(number);
    Some(Parsed { prefix: prefix.to_owned(), number })
}

fn number(digits: &str) -> Option<u64> {
    digits.bytes().try_fold(0_u64, |number, byte| {
        let digit = DIGITS.iter().position(|digit| *digit == byte)?;
        number.checked_mul(62)?.checked_add(u64::try_from(digit).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suffix_is_that_of_ids_seen_in_public() {
        for id in [
            "a01M00000062mPgIAI",
            "001M000000qfPySIAU",
            "a0FE000000D6r3FMAR",
            "0F9E000000092w2KAA",
            "aaaaaaaaaaaaaaaAAA",
            "AbCdEfGhIjKlMnOVKV",
            "aBcDEfgHIJKLMNO025",
            "003ak00000jvIfpAAE",
            "001RM000003oLruYAE",
            "01g3A00007lZwLKQA0",
        ] {
            let (short, three) = id.split_at(15);
            assert_eq!(suffix(short), three);
            assert!(parse(id).is_some());
        }
    }

    #[test]
    fn an_id_reads_back_in_both_lengths_and_not_in_the_wrong_case() {
        let id = id18("001", 1_000_000_123);
        let parsed = Some(Parsed { prefix: "001".to_owned(), number: Some(1_000_000_123) });
        assert_eq!((parse(&id), parse(id.split_at(15).0)), (parsed.clone(), parsed));
        assert_eq!(parse(&id.to_lowercase()), None);
        assert_eq!(parse("001xx0000000001").unwrap().number, None);
        assert_eq!(parse("short"), None);
    }
}
