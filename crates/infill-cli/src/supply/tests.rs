//! Files as spreadsheets and CRMs write them.

use std::io::{BufReader, Cursor, Read};

use infill_model::Value;
use infill_store::Sqlite;
use infill_testkit::SystemClock;
use serde_json::json;

use super::*;

fn plan(inputs: &[&str]) -> Plan {
    serde_json::from_value(json!({
        "name": "Note",
        "connection": "main",
        "source": { "object": "contacts", "ids": "people.csv" },
        "inputs": inputs,
        "writeback": { "properties": [{ "name": "note", "value": "x" }] },
    }))
    .unwrap()
}

fn open(text: &[u8], column: Option<&str>, inputs: &[&str]) -> Result<File, String> {
    let text: Text = Box::new(BufReader::new(Cursor::new(text.to_vec())));
    let label = "people.csv".to_owned();
    File::read_header(label, text, &plan(inputs), column, Vendor::HubSpot).map_err(|Usage(why)| why)
}

/// Every line of a file with the inputs `name` and `city`.
fn lines(text: &[u8]) -> Vec<Supplied> {
    let mut file = open(text, None, &["name", "city"]).unwrap();
    let part = file.part().unwrap();
    assert!(file.part().unwrap().is_empty());
    part
}

/// Record, line, name.
fn sound(text: &[u8]) -> Vec<(String, u64, String)> {
    let lines = lines(text);
    let name = |line: &Supplied| line.inputs.get("name").and_then(Value::as_str).unwrap_or("-").to_owned();
    lines.iter().map(|line| (line.record.to_string(), line.line, name(line))).collect()
}

fn found(rows: &[(&str, u64, &str)]) -> Vec<(String, u64, String)> {
    rows.iter().map(|(record, line, name)| ((*record).to_owned(), *line, (*name).to_owned())).collect()
}

#[test]
fn exports_of_every_kind_read_the_same() {
    let rows = found(&[("7", 2, "Zoë \"Z\" O'Brien"), ("8", 3, "Li, Wei")]);
    for text in [
        "Record ID,name\n7,\"Zoë \"\"Z\"\" O'Brien\"\n8,\"Li, Wei\"\n",
        "\u{feff}Record ID,name\r\n7,\"Zoë \"\"Z\"\" O'Brien\"\r\n8,\"Li, Wei\"\r\n",
        "\u{feff}\"name\";\"hs_object_id\"\n\"Zoë \"\"Z\"\" O'Brien\";\"7\"\n\"Li, Wei\";\"8\"",
        "ID\tname\r\n7\t\"Zoë \"\"Z\"\" O'Brien\"\r\n008\tLi, Wei\r\n",
        "\"Record ID\",\"name\",\"a;b;c;d\"\n7,\"Zoë \"\"Z\"\" O'Brien\",x\n8,\"Li, Wei\",y\n",
    ] {
        assert_eq!(sound(text.as_bytes()), rows, "{text}");
    }
}

#[test]
fn a_line_is_the_one_that_an_editor_shows() {
    for end in ["\n", "\r\n"] {
        let text = ["id,name", "1,\"two", "", "lines\"", "", "2,x", "3", "", "4,\"open"].join(end);
        let lines = lines(text.as_bytes());
        let places: Vec<u64> = lines.iter().map(|line| line.line).collect();
        assert_eq!(places, [2, 6, 7, 9], "{end:?}: {lines:?}");
        assert_eq!(lines[0].inputs.get("name"), Some(&Value::from(format!("two{end}{end}lines"))));
        assert_eq!(lines[2].record.as_str(), "line 7");
    }
}

#[test]
fn a_line_that_cannot_be_used_says_why_and_stops_no_other() {
    let mut text = b"Record ID,name\n1,Ana\n2\n,Bo\n1E+05,Cy\n3,Di,more\n4,\"Ed\nFo\"\"\n5,".to_vec();
    text.extend(b"Gu\n6,Hu\n\"7\",J\xfc\n8,Ko\n,\n9,Lu,\n");
    let lines = lines(&text);
    let faults: Vec<(u64, &str)> =
        lines.iter().filter_map(|line| Some((line.line, line.fault.as_ref()?.message.as_str()))).collect();
    let said = [
        (3, "line 3 of people.csv has 1 fields and the header 2"),
        (4, "line 4 of people.csv has no record id"),
        (5, "line 5 of people.csv has \"1E+05\", which is no id of contacts in hubspot; a spreadsheet"),
        (6, "line 6 of people.csv has 3 fields and the header 2"),
    ];
    for ((line, fault), (place, part)) in faults.iter().zip(said) {
        assert!(*line == place && fault.starts_with(part), "{line}: {fault}");
    }
    assert_eq!(lines[0].record.as_str(), "1");
    // The quote that is opened on line 7 and never closed takes what follows with it, and says so.
    let (line, open) = faults[4];
    assert!(line == 7 && open.starts_with("lines 7 to ") && open.contains("look for a quote"), "{open}");
}

#[test]
fn text_that_is_not_utf_8_fails_its_line_alone() {
    let lines = lines(b"Record ID,name,other\n1,J\xfcrgen,x\n2,Ana,\xfc\n3,Bo,y\n,,\n4,Cy,z,\n");
    let codes: Vec<_> =
        lines.iter().map(|line| line.fault.as_ref().map_or("", |fault| fault.code.as_str())).collect();
    assert_eq!(codes, ["not_utf8", "", "", ""], "columns that nobody reads are not looked at: {lines:?}");
}

#[test]
fn an_empty_field_is_no_value() {
    let lines = lines(b"id,name,city\n1,,\"  \"\n");
    assert_eq!(lines[0].inputs.get("name"), Some(&Value::Null));
    assert_eq!(lines[0].inputs.get("city"), Some(&Value::from("  ")));
}

#[test]
fn the_id_column_is_named_or_found_and_never_guessed() {
    for (header, column, said) in [
        ("a,Record ID", None, None),
        ("a,ID", None, None),
        ("Konto,a", Some("Konto"), None),
        ("a,Record-ID", None, Some("did you mean \"Record-ID\"?; it has \"a\", \"Record-ID\"; name the one")),
        ("a,b", None, Some("has no column with one of the headers \"Record ID\", \"hs_object_id\", \"id\"")),
        ("Record ID,id", None, Some("has several columns that may hold record ids: \"Record ID\", \"id\"")),
        ("Record ID,id", Some("id"), None),
        (
            "Konto,a",
            Some("Konta"),
            Some("has no column \"Konta\"; did you mean \"Konto\"?; it has \"Konto\", \"a\""),
        ),
        ("x,x", Some("x"), Some("has the column \"x\" more than once")),
        ("id,name,name", None, Some("has the column \"name\" more than once")),
        ("", None, Some("is empty; its first line must hold the headers")),
        ("\n\n", None, Some("is empty")),
        ("\u{feff}", None, Some("is empty")),
    ] {
        let opened = open(header.as_bytes(), column, &["name"]).map(|_| ());
        match said {
            None => assert_eq!(opened, Ok(()), "{header}"),
            Some(said) => {
                let refused = opened.unwrap_err();
                assert!(refused.contains(said), "{header}: {refused}");
            }
        }
    }
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain("Record ID\n".bytes().flat_map(|b| [b, 0])).collect();
    assert!(open(&utf16, None, &[]).err().unwrap().contains("is UTF-16; save it as \"CSV UTF-8\""));
    let endless = vec![b'x'; 70_000];
    assert!(open(&endless, None, &[]).err().unwrap().contains("first line of more than 64 KiB"));
}

#[test]
fn a_quote_left_open_in_a_large_file_is_told_with_its_line_and_takes_no_memory() {
    let text = Cursor::new(b"id,name\n1,a\n2,\"b\n".to_vec()).chain(std::io::repeat(b'x').take(1 << 30));
    let text: Text = Box::new(BufReader::new(text));
    let label = "people.csv".to_owned();
    let mut file = File::read_header(label, text, &plan(&["name"]), None, Vendor::HubSpot).unwrap();
    let Err(Usage(why)) = file.part() else { panic!("the record has no end") };
    assert!(why.contains("a record longer than 1 MiB, which begins on line 3"), "{why}");
}

/// Makes lines as they are asked for: `n_lines` of them are never in memory.
struct Made {
    next: u64,
    n_lines: u64,
    rest: Vec<u8>,
}

impl Read for Made {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        if self.rest.is_empty() && self.next < self.n_lines {
            self.rest = format!("{},Name {}\n", 100_001 + self.next, self.next).into_bytes();
            self.next += 1;
        }
        let n_bytes = room.len().min(self.rest.len());
        room[..n_bytes].copy_from_slice(&self.rest[..n_bytes]);
        self.rest.drain(..n_bytes);
        Ok(n_bytes)
    }
}

#[tokio::test]
async fn two_hundred_thousand_lines_go_to_the_store_in_parts_of_a_thousand() {
    const N_LINES: u64 = 200_000;
    let folder = tempfile::TempDir::new().unwrap();
    let clock = Arc::new(SystemClock);
    let store: Arc<dyn Store> =
        Arc::new(Sqlite::open(folder.path().join("infill.db"), None, clock.clone()).await.unwrap());
    let made = Made { next: 0, n_lines: N_LINES, rest: b"Record ID,name\n".to_vec() };
    let made_parts = Made { next: 0, n_lines: N_LINES, rest: b"Record ID,name\n".to_vec() };
    let file = |made: Made| {
        let text: Text = Box::new(BufReader::new(made));
        File::read_header("people.csv".into(), text, &plan(&["name"]), None, Vendor::HubSpot).unwrap()
    };
    let mut parts = file(made_parts);
    let sizes: Vec<usize> =
        std::iter::from_fn(|| Some(parts.part().unwrap().len()).filter(|size| *size > 0)).collect();
    assert_eq!(sizes, vec![PART_LINES; 200]);
    let run = RunId::new(clock.now(), [7; 10]);
    let taken = file(made).take_in(&store, clock.as_ref(), run).await.unwrap();
    assert_eq!((taken.slice.size, taken.notes.len()), (Some(N_LINES), 0));
    let last = store.supplied_for(run, &["300000".into()]).await.unwrap();
    assert_eq!((last[0].line, last[0].inputs.get("name")), (200_001, Some(&json!("Name 199999"))));
}

#[tokio::test]
async fn what_is_odd_about_a_file_is_told_in_two_sentences() {
    let folder = tempfile::TempDir::new().unwrap();
    let clock = Arc::new(SystemClock);
    let store: Arc<dyn Store> =
        Arc::new(Sqlite::open(folder.path().join("infill.db"), None, clock.clone()).await.unwrap());
    let run = RunId::new(clock.now(), [7; 10]);
    let file = open(b"id,name\n1,a\n2,b\nx,c\n01,d\n", None, &["name"]).unwrap();
    let taken = file.take_in(&store, clock.as_ref(), run).await.unwrap();
    assert_eq!(Supply::of(&taken.slice), Some(Supply { inputs: vec!["name".into()], n_sound: 2 }));
    assert_eq!(taken.slice.size, Some(3));
    assert!(
        taken.notes[0].starts_with("1 line of people.csv cannot be used and fails: line 4 of"),
        "{taken:?}"
    );
    assert!(taken.notes[1].contains("a record that an earlier line names"), "{taken:?}");
    assert!(taken.notes[1].ends_with("line 5"), "{taken:?}");
    let all_bad = open(b"id\nx\ny\n", None, &[]).unwrap();
    let run = RunId::new(clock.now(), [8; 10]);
    let refused = all_bad.take_in(&store, clock.as_ref(), run).await.unwrap_err();
    assert!(refused.to_string().contains("no line that can be used: line 2 of people.csv"), "{refused}");
    let empty = open(b"id\n", None, &[]).unwrap().take_in(&store, clock.as_ref(), run).await.unwrap();
    assert_eq!(empty.slice.size, Some(0));
}
