//! The CSV files of Bulk API 2.0: read strictly, written with every cell quoted.

/// How lines end, as a job declares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineEnding {
    Lf,
    CrLf,
}

impl LineEnding {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Lf => "LF",
            Self::CrLf => "CRLF",
        }
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Lf => "\n",
            Self::CrLf => "\r\n",
        }
    }
}

/// A row of a file: its cells, or why it cannot be read.
pub(crate) type Line = Result<Vec<String>, String>;

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) header: Vec<String>,
    pub(crate) lines: Vec<Line>,
}

/// Reads a file. Nothing is trimmed; a quote beside a space, or any text beside it, spoils its row.
///
/// # Errors
/// Text that is no UTF-8, and lines that end in another way than declared.
pub(crate) fn parse(bytes: &[u8], ending: LineEnding, delimiter: char) -> Result<File, String> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| "InvalidBatch : Failed to parse CSV. Invalid UTF-8".to_owned())?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mismatch = || {
        let declared = ending.as_str();
        format!("InvalidBatch : LineEnding is invalid on user data. Current LineEnding setting is {declared}")
    };
    let mut reader = Reader { chars: text.chars().peekable(), delimiter, ending, is_mismatched: false };
    let mut lines = Vec::new();
    while let Some(line) = reader.line() {
        lines.push(line);
    }
    if reader.is_mismatched {
        return Err(mismatch());
    }
    let mut lines = lines.into_iter();
    let header = lines.next().unwrap_or_else(|| Ok(Vec::new()))?;
    let is_empty =
        |line: &Line| matches!(line, Ok(cells) if cells.iter().all(String::is_empty) && cells.len() < 2);
    Ok(File { header, lines: lines.filter(|line| !is_empty(line)).collect() })
}

struct Reader<'t> {
    chars: std::iter::Peekable<std::str::Chars<'t>>,
    delimiter: char,
    ending: LineEnding,
    is_mismatched: bool,
}

impl Reader<'_> {
    /// The next row; `None` at the end.
    fn line(&mut self) -> Option<Line> {
        self.chars.peek()?;
        let mut cells = Vec::new();
        let mut error = None;
        loop {
            let (cell, is_last) = self.cell(&mut error);
            cells.push(cell);
            if is_last {
                return Some(error.map_or(Ok(cells), Err));
            }
        }
    }

    /// One cell, and whether its line ends with it.
    fn cell(&mut self, error: &mut Option<String>) -> (String, bool) {
        let mut cell = String::new();
        let is_quoted = self.chars.next_if_eq(&'"').is_some();
        let mut is_open = is_quoted;
        while let Some(c) = self.chars.next() {
            match c {
                '"' if is_open && self.chars.next_if_eq(&'"').is_some() => cell.push('"'),
                '"' if is_open => is_open = false,
                _ if is_open => cell.push(c),
                '"' => *error = Some(
                    "Failed to parse CSV. Found unescaped quote. A value with quote should be within a quote"
                        .to_owned(),
                ),
                _ if c == self.delimiter => return (cell, false),
                '\r' if self.chars.next_if_eq(&'\n').is_some() => {
                    self.is_mismatched |= self.ending == LineEnding::Lf;
                    return (cell, true);
                }
                '\n' => {
                    self.is_mismatched |= self.ending == LineEnding::CrLf;
                    return (cell, true);
                }
                _ if is_quoted => {
                    *error = Some("Failed to parse CSV. Found text beside a quoted value".to_owned())
                }
                _ => cell.push(c),
            }
        }
        if is_open {
            *error = Some("Failed to parse CSV. EOF reached before closing an opened quote".to_owned());
        }
        (cell, true)
    }
}

/// A file of some rows.
pub(crate) fn render(
    header: &[String],
    rows: impl Iterator<Item = Vec<String>>,
    ending: LineEnding,
    delimiter: char,
    trailing_newline: bool,
) -> String {
    let line = |cells: &[String]| {
        let quoted: Vec<String> =
            cells.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
        quoted.join(&delimiter.to_string())
    };
    let lines: Vec<String> = [line(header)].into_iter().chain(rows.map(|row| line(&row))).collect();
    let mut text = lines.join(ending.text());
    if trailing_newline {
        text.push_str(ending.text());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_rendered_reads_back_to_the_letter() {
        let cells = ["plain", " a \"b\", c ", "line\r\nbreak", "", "ø\n"].map(str::to_owned).to_vec();
        for ending in [LineEnding::Lf, LineEnding::CrLf] {
            let header: Vec<String> = (0..cells.len()).map(|at| format!("c{at}")).collect();
            let text = render(&header, [cells.clone()].into_iter(), ending, ';', true);
            let file = parse(text.as_bytes(), ending, ';').unwrap();
            assert_eq!((file.header, file.lines), (header, vec![Ok(cells.clone())]));
        }
    }

    #[test]
    fn a_quote_beside_text_spoils_its_row_alone() {
        let file = parse(b"Id,Name\n1, \"x\"\n2,\"y\" \n3,z", LineEnding::Lf, ',').unwrap();
        assert!(file.lines[0].is_err() && file.lines[1].is_err());
        assert_eq!(file.lines[2], Ok(vec!["3".to_owned(), "z".to_owned()]));
    }

    #[test]
    fn lines_must_end_as_declared() {
        assert!(parse(b"Id\r\n1\r\n", LineEnding::Lf, ',').unwrap_err().contains("setting is LF"));
        assert!(parse(b"Id\n1\n", LineEnding::CrLf, ',').unwrap_err().contains("setting is CRLF"));
        assert_eq!(parse(b"Id\n1\n\n", LineEnding::Lf, ',').unwrap().lines.len(), 1);
        assert!(parse(b"Id\n\xff\n", LineEnding::Lf, ',').unwrap_err().contains("UTF-8"));
    }
}
