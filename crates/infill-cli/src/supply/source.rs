//! Where the text of a file of ids comes from, and how it begins: byte order marks, the delimiter.

use std::io::{BufRead, BufReader, Cursor, IsTerminal, Read};
use std::path::Path;

use crate::exit::Usage;

/// The text of a file.
pub(super) type Text = Box<dyn BufRead + Send>;

/// What stands for standard input.
const STDIN: &str = "-";

/// Bytes of the first line at most.
const MAX_HEADER_BYTES: u64 = 64 * 1024;

/// Delimiters, the likeliest first. Spreadsheets write a semicolon where the comma is the decimal mark.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// Opens a file relative to the plan's, or standard input; gives what to call it, too.
pub(super) fn open(file: &str, plan_file: &Path) -> Result<(String, Text), Usage> {
    if file == STDIN {
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            let way_out = "pipe a CSV file into it: infill run plan.yaml < people.csv";
            return Err(Usage(format!("the plan reads record ids from standard input; {way_out}")));
        }
        return Ok(("standard input".to_owned(), Box::new(BufReader::new(stdin))));
    }
    let path = plan_file.parent().unwrap_or(Path::new("")).join(file);
    let opened = std::fs::File::open(&path).and_then(|opened| {
        // A folder opens well and fails at the first read.
        if opened.metadata()?.is_dir() { Err(std::io::ErrorKind::IsADirectory.into()) } else { Ok(opened) }
    });
    let opened = opened.map_err(|error| {
        Usage(format!(
            "read the record ids in {}: {error}; source.ids is relative to the plan",
            path.display()
        ))
    })?;
    Ok((file.to_owned(), Box::new(BufReader::new(opened))))
}

/// The delimiter that the first line shows, and the text without a byte order mark.
pub(super) fn begin(mut text: Text) -> Result<(u8, Text), String> {
    let mut first = Vec::new();
    let read = (&mut text).take(MAX_HEADER_BYTES).read_until(b'\n', &mut first);
    read.map_err(|error| format!("cannot be read: {error}"))?;
    if first.starts_with(&[0xff, 0xfe]) || first.starts_with(&[0xfe, 0xff]) {
        return Err("is UTF-16; save it as \"CSV UTF-8\"".to_owned());
    }
    let first = first.strip_prefix(b"\xef\xbb\xbf").map_or_else(|| first.clone(), <[u8]>::to_vec);
    let is_cut = u64::try_from(first.len()).is_ok_and(|len| len + 3 >= MAX_HEADER_BYTES);
    if is_cut && !first.ends_with(b"\n") {
        return Err("has a first line of more than 64 KiB; is it a CSV file?".to_owned());
    }
    let delimiter = delimiter(&first);
    Ok((delimiter, Box::new(Cursor::new(first).chain(text))))
}

/// The delimiter that stands most often outside of quotes; a comma where none does.
pub(super) fn delimiter(line: &[u8]) -> u8 {
    let mut counts = [0_u32; DELIMITERS.len()];
    let mut is_quoted = false;
    for byte in line {
        is_quoted ^= *byte == b'"';
        let counted = counts.iter_mut().zip(DELIMITERS).find(|(_, known)| !is_quoted && known == byte);
        if let Some((count, _)) = counted {
            *count = count.saturating_add(1);
        }
    }
    let most = counts.iter().copied().max().unwrap_or_default();
    DELIMITERS.into_iter().zip(counts).find(|(_, count)| *count == most).map_or(b',', |(known, _)| known)
}
