use infill_model::property::PropertyOption;
use proptest::prelude::*;

use super::*;
use crate::check::check;
use crate::field::shape_of;
use crate::normalize::normalize;

const TYPES: [&str; 17] = [
    "varchar",
    "text",
    "emails",
    "phones",
    "double",
    "int",
    "boolean",
    "date",
    "datetime",
    "enum",
    "set",
    "monetary",
    "daterange",
    "time",
    "timerange",
    "address",
    "user",
];

fn property(field_type: &str) -> PropertyDef {
    let option =
        |value: &str, label: &str| PropertyOption { value: value.to_owned(), label: label.to_owned() };
    PropertyDef {
        name: "9dc80c50d78a15643bfc4ca79d76156a73a1ca0e".into(),
        label: "Field".to_owned(),
        kind: shape_of(field_type).kind(),
        vendor_type: field_type.to_owned(),
        read_only: None,
        options: vec![option("3", "c"), option("1", "a"), option("21", "b,d"), option("open", "e")],
        external_options: false,
        options_by: None,
    }
}

fn forms(field_type: &str, value: &Value) -> (Value, Value) {
    let typed = Typed::of(&property(field_type), value).unwrap().unwrap();
    (typed.clone().normal(), typed.wire(Object::Deal))
}

#[test]
fn values_are_compared_in_one_form_and_sent_in_another() {
    for (field_type, value, normal, wire) in [
        ("varchar", json!(" O'Neil \"x\"\n"), json!(" O'Neil \"x\"\n"), json!(" O'Neil \"x\"\n")),
        ("varchar", json!(7), json!("7"), json!("7")),
        ("emails", json!(" A.B@C.de "), json!("a.b@c.de"), json!("A.B@C.de")),
        ("phones", json!(" +49 30 1 "), json!("+49 30 1"), json!("+49 30 1")),
        ("double", json!("007.50"), json!("7.5"), json!(7.5)),
        ("double", json!("1e3"), json!("1000"), json!(1000)),
        ("double", json!("-0.0"), json!("0"), json!(0)),
        ("int", json!(12.0), json!("12"), json!(12)),
        ("boolean", json!("TRUE"), json!("true"), json!(true)),
        ("date", json!("2026-11-20T00:00:00Z"), json!("2026-11-20"), json!("2026-11-20")),
        (
            "datetime",
            json!("2026-11-20T10:00:00.5+02:00"),
            json!("2026-11-20T08:00:00Z"),
            json!("2026-11-20T08:00:00Z"),
        ),
        ("enum", json!("A"), json!("1"), json!(1)),
        ("enum", json!("e"), json!("open"), json!("open")),
        ("enum", json!({"id": 3, "label": "c"}), json!("3"), json!(3)),
        ("set", json!("c;a"), json!(["1", "3"]), json!([1, 3])),
        ("set", json!("a, c"), json!(["1", "3"]), json!([1, 3])),
        ("set", json!("b,d"), json!(["21"]), json!([21])),
        ("set", json!([3, "a"]), json!(["1", "3"]), json!([1, 3])),
        (
            "monetary",
            json!("10.50 eur"),
            json!({"value": "10.5", "currency": "EUR"}),
            json!({"value": 10.5, "currency": "EUR"}),
        ),
        (
            "daterange",
            json!({"value": "2026-11-20", "until": "2026-11-21"}),
            json!("2026-11-20/2026-11-21"),
            json!({"value": "2026-11-20", "until": "2026-11-21"}),
        ),
        (
            "time",
            json!({"value": "10:30:00", "timezone_id": 3, "timezone_name": "Europe/Berlin"}),
            json!("10:30:00"),
            json!({"value": "10:30:00", "timezone_name": "Europe/Berlin"}),
        ),
        (
            "timerange",
            json!("9:00/17:30"),
            json!("09:00:00/17:30:00"),
            json!({"value": "09:00:00", "until": "17:30:00"}),
        ),
        (
            "address",
            json!({"value": "Main St 1", "locality": "Bonn", "country": null}),
            json!("Main St 1"),
            json!({"value": "Main St 1", "locality": "Bonn"}),
        ),
        ("user", json!("012"), json!("12"), json!(12)),
    ] {
        assert_eq!(forms(field_type, &value), (normal, wire), "{field_type} {value}");
    }
}

#[test]
fn a_lead_has_an_amount_where_a_deal_has_a_value() {
    let typed = Typed::of(&property("monetary"), &json!("7 USD")).unwrap().unwrap();
    assert_eq!(typed.wire(Object::Lead), json!({"amount": 7, "currency": "USD"}));
    assert_eq!(
        forms("monetary", &json!({"amount": 7, "currency": "USD"})).0,
        json!({"value": "7", "currency": "USD"})
    );
}

#[test]
fn nothing_is_no_value_of_any_type() {
    for field_type in TYPES {
        for nothing in [json!(null), json!(""), json!([]), json!({})] {
            assert_eq!(Typed::of(&property(field_type), &nothing).unwrap(), None, "{field_type} {nothing}");
        }
    }
    assert_eq!(cleared(&property("set")), json!(null));
    assert_eq!(cleared(&PropertyDef { name: "label_ids".into(), ..property("set") }), json!([]));
    assert_eq!(cleared(&property("emails")), json!([]));
}

fn any_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        any::<String>(),
        "[-+]?[0-9]{0,6}[.]?[0-9]{0,6}([eE][-+]?[0-9]{1,3})?",
        "[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+]02:00))?",
        "[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?(/[0-9]{1,2}:[0-9]{2})?",
        "2026-0[1-9]-1[0-9]/2026-0[1-9]-1[0-9]",
        "[0-9]{1,4}([.][0-9]{1,3})? ?(EUR|usd|E)?",
        "[a-e1-3;, ]{0,8}",
        "[ a-zA-Z]{0,2}[a-z]@[A-Z.]{1,4} ?",
    ];
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
        prop::collection::vec("[a-e1-3; ]{0,3}", 0..4).prop_map(Value::from),
        (text.clone(), text).prop_map(|(value, other)| {
            json!({"value": value, "until": other, "currency": "EUR", "timezone_name": "Europe/Berlin", "locality": other})
        }),
    ]
}

proptest! {
    #[test]
    fn the_normal_form_is_its_own_and_is_accepted_with_its_value(value in any_value()) {
        for field_type in TYPES {
            let property = property(field_type);
            let once = normalize(&property, &value);
            prop_assert_eq!(&normalize(&property, &once), &once, "{} {}", field_type, value);
            if check(&property, &value).is_ok() {
                prop_assert!(check(&property, &once).is_ok(), "{} {} {}", field_type, value, once);
            }
        }
    }

    #[test]
    fn what_is_sent_reads_back_as_the_same(value in any_value()) {
        for field_type in TYPES {
            let property = property(field_type);
            if let Ok(Some(typed)) = Typed::of(&property, &value) {
                let echoed = typed.clone().wire(Object::Deal);
                prop_assert_eq!(normalize(&property, &echoed), typed.normal(), "{} {}", field_type, value);
            }
        }
    }
}
