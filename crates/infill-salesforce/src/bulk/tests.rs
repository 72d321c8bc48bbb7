use proptest::prelude::*;
use serde_json::json;

use super::*;

fn id(nth: usize) -> Id {
    Id::parse(&format!("003ak00000jv{nth:03}")).unwrap()
}

fn property(name: &str, kind: PropertyKind, vendor_type: &str) -> PropertyDef {
    PropertyDef {
        name: name.into(),
        label: name.to_owned(),
        kind,
        vendor_type: vendor_type.to_owned(),
        read_only: None,
        options: Vec::new(),
        external_options: false,
        options_by: None,
    }
}

/// Files of rows that set these fields.
fn file_of(rows: &[Vec<(&PropertyName, Value)>]) -> String {
    let record = RecordId::from("x");
    let rows: Vec<Row<'_>> = rows
        .iter()
        .enumerate()
        .map(|(nth, fields)| Row { id: id(nth), record: &record, fields: fields.clone() })
        .collect();
    let bytes = file(&rows.iter().collect::<Vec<_>>()).unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn absent_null_empty_and_text_stay_what_they_are() {
    let (title, phone): (PropertyName, PropertyName) = ("Title".into(), "Phone".into());
    let written = file_of(&[
        vec![(&title, json!("a, \"b\"\nc")), (&phone, json!(null))],
        vec![(&phone, json!(""))],
        vec![(&title, json!(" x ")), (&phone, json!(12.5))],
        vec![(&title, json!(true))],
    ]);
    let expected = format!(
        "Id,Phone,Title\n{},#N/A,\"a, \"\"b\"\"\nc\"\n{},#N/A,\n{},12.5, x \n{},,true\n",
        id(0),
        id(1),
        id(2),
        id(3)
    );
    assert_eq!(written, expected);
}

#[test]
fn what_no_cell_can_say_is_not_carried() {
    let (name, record) = ("Title".into(), "x".into());
    let carried =
        |value: Value| is_carried(&Row { id: id(0), record: &record, fields: vec![(&name, value)] });
    assert!(carried(json!("x".repeat(LONGEST_CELL))) && carried(json!(null)) && carried(json!("#N/A ")));
    assert!(!carried(json!("#N/A")) && !carried(json!("x".repeat(LONGEST_CELL + 1))));
}

#[test]
fn the_same_rows_are_cut_into_the_same_files() {
    let (name, record): (PropertyName, RecordId) = ("Title".into(), "x".into());
    let rows: Vec<Row<'_>> = (0..10)
        .map(|nth| Row { id: id(nth), record: &record, fields: vec![(&name, json!("y".repeat(100)))] })
        .collect();
    let rows: Vec<&Row<'_>> = rows.iter().collect();
    let sizes = |largest| cut(&rows, largest).iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(sizes(1_000), [4, 4, 2]);
    assert_eq!(sizes(1), [1; 10], "a row that is too large alone goes alone");
    assert_eq!(files(&rows).len(), 1);
    assert!(files(&[]).is_empty());
}

#[test]
fn results_are_known_by_their_ids_alone() {
    let body = format!(
        "\"sf__Id\",\"sf__Error\",\"Id\",\"Title\"\n\"{}\",\"STRING_TOO_LONG:Title: data value too large: x (max \
         length=3):Title --\",\"{0}\",\"x\ny\"\n\"\",\"MISSING_ARGUMENT:Id not specified: --\",\"{}\",\"\"",
        id(1),
        id(2)
    );
    let rows = told(body.as_bytes()).unwrap();
    assert_eq!(rows.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [id(1), id(2)]);
    let first = complaint(&rows[0].1);
    assert_eq!(first.code.as_deref(), Some("STRING_TOO_LONG"));
    assert_eq!(first.message.as_deref(), Some("Title: data value too large: x (max length=3)"));
    assert_eq!(first.fields.as_deref(), Some(&["Title".to_owned()][..]));
    let second = complaint(&rows[1].1);
    assert_eq!(
        (second.message.as_deref(), second.fields.as_deref()),
        (Some("Id not specified"), Some(&[][..]))
    );
    assert_eq!(complaint("no code at all").message.as_deref(), Some("no code at all"));
    assert!(told(b"").unwrap().is_empty());
    assert!(told(b"\"Id\",\"Title\"\n\"003ak00000").is_err(), "cut off");
}

#[test]
fn values_of_a_file_are_those_of_json() {
    let known = [
        property("Name", PropertyKind::Text, "string(80)"),
        property("Revenue", PropertyKind::Number, "currency(18, 2)"),
        property("Active__c", PropertyKind::Bool, "boolean"),
        property("Seen__c", PropertyKind::DateTime, "datetime"),
        property("BillingAddress", PropertyKind::Other, "address"),
    ];
    let columns_of =
        |names: &[&str]| columns(&names.iter().map(|name| (*name).into()).collect::<Vec<_>>(), &known);
    let columns = columns_of(&["name", "Revenue", "Active__c", "Seen__c"]).unwrap();
    assert_eq!(columns[0].field, "Name");
    let body = format!(
        "\"Id\",\"Name\",\"Revenue\",\"Active__c\",\"Seen__c\"\n\"{0}\",\"Ann \"\"A\"\"\",\"12.50\",\"true\",\
         \"2026-11-20T10:00:00.000Z\"\n\"{0}\",\"\",\"\",\"\",\"\"\n",
        id(0)
    );
    let read = records(body.as_bytes(), &columns).unwrap();
    assert_eq!(read[0].0.as_str(), id(0).as_str());
    let first = json!({"name": "Ann \"A\"", "Revenue": 12.50, "Active__c": true, "Seen__c": "2026-11-20T10:00:00.000+0000"});
    assert_eq!(json!(read[0].1), first);
    assert_eq!(json!(read[1].1), json!({"name": null, "Revenue": null, "Active__c": null, "Seen__c": null}));
    assert_eq!(columns_of(&["Name", "BillingAddress"]), None);
    assert_eq!(columns_of(&["Nmae"]), None);
}

#[test]
fn what_is_kept_of_a_job_and_of_a_place_comes_back() {
    let since: Timestamp = "2026-11-21T19:00:00Z".parse().unwrap();
    let kept = Kept { jobs: vec!["750x".to_owned()], n_rows: 7, is_sent: true, since };
    assert_eq!(Kept::of(&kept.to_job()).unwrap(), kept);
    assert_eq!(Kept::of(&Job("750x".to_owned())).unwrap_err().class, Class::Bug);
    let place =
        Place { job: "750y".into(), locator: None, last: None, most: Some(5), since, columns: Vec::new() };
    assert_eq!(Place::of(&place.to_cursor()).unwrap(), Some(place));
    assert_eq!(Place::of(&Cursor("003ak00000jvIfpAAE".into())).unwrap(), None);
    assert!(Place::of(&Cursor("{}".into())).is_err());
}

#[test]
fn a_job_is_looked_at_soon_and_then_more_seldom() {
    let since = Timestamp::UNIX_EPOCH;
    let seconds = |n_rows, age| {
        let now = since.checked_add(Duration::from_secs(age)).unwrap();
        wait(JobKind::Ingest, n_rows, since, now).as_secs()
    };
    assert_eq!(wait(JobKind::Query, 100_000, since, since).as_secs(), 5);
    assert_eq!([seconds(30, 0), seconds(30, 10), seconds(30, 600)], [1, 5, 30]);
    assert_eq!([seconds(26_000, 0), seconds(26_000, 40), seconds(1_000_000, 0)], [13, 20, 30]);
}

#[test]
fn a_wrong_word_is_answered_with_the_right_ones() {
    assert_eq!("bulk".parse(), Ok(Route::Bulk));
    assert!("Bulk".parse::<Route>().unwrap_err().contains("auto, collections, bulk"));
}

proptest! {
    #[test]
    fn a_text_comes_out_of_a_file_as_it_went_in(texts in prop::collection::vec(any::<String>(), 1..5)) {
        let name: PropertyName = "Title".into();
        let rows: Vec<_> = texts.iter().map(|text| vec![(&name, json!(text))]).collect();
        let written = file_of(&rows);
        let columns = [Column { name: name.clone(), field: "Title".into(), kind: CellKind::Text }];
        let read = records(written.as_bytes(), &columns).unwrap();
        for (text, (_, properties)) in texts.iter().zip(&read) {
            let expected = if text.is_empty() { CLEARS } else { text };
            prop_assert_eq!(&properties[&name], &json!(expected));
        }
        prop_assert_eq!(read.len(), texts.len());
    }

    #[test]
    fn no_error_text_panics(text in any::<String>()) {
        drop(complaint(&text));
    }
}
