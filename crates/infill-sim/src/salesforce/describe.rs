//! Describe: objects, fields and picklists as the connected user sees them.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::answer::{Answer, Refusal};
use super::catalog::{Field, Kind, Object, PicklistValue};
use super::org::Ask;
use super::record_type;
use super::store::{Store, Table};

/// `GET /sobjects`
pub(crate) fn global(ask: &Ask<'_>) -> Answer {
    let store = ask.org.store();
    let version = ask.call.version_text();
    let objects: Vec<Value> = store.tables().iter().map(|table| outline(table.object, &version)).collect();
    Answer::value(200, &json!({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": objects}))
}

/// `GET /sobjects/{object}/describe`, with `If-Modified-Since`.
pub(crate) fn describe(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let store = ask.org.store();
    let table = ask.table(&store)?;
    let changed_ms = ask.org.catalog_ms();
    let last_modified = http_date(changed_ms);
    let since = ask.header("if-modified-since").and_then(parse_http_date);
    if since.is_some_and(|since_s| changed_ms.div_euclid(1_000) <= since_s) {
        return Ok(Answer::empty(304).with("last-modified", last_modified));
    }
    let mut body = outline(table.object, &ask.call.version_text());
    if let Value::Object(body) = &mut body {
        let fields: Vec<Value> = table.catalog.iter().map(|(_, field)| show_field(table, field)).collect();
        body.insert("fields".to_owned(), Value::Array(fields));
        body.insert("recordTypeInfos".to_owned(), record_types(&store, table));
        body.insert("childRelationships".to_owned(), children(&store, table.object));
    }
    Ok(Answer::value(200, &body).with("last-modified", last_modified))
}

/// `GET /ui-api/object-info/{object}/picklist-values/{recordTypeId}`
pub(crate) fn picklist_values(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let store = ask.org.store();
    let table = ask.table(&store)?;
    let object = table.object.name;
    let record_type = record_type::name_of(&store, object, &ask.call.key).ok_or_else(Refusal::not_found)?;
    let given = &ask.org.config.record_type_values;
    let mut fields = Map::new();
    for (_, field) in table.catalog.iter().filter(|(_, field)| !field.values.is_empty()) {
        let is_taken = |value: &&PicklistValue| {
            value.is_active && record_type::takes(given, object, &record_type, field, &value.value)
        };
        let values = field.values.iter().filter(is_taken).map(|value| {
            json!({"label": value.value, "value": value.value, "validFor": value.valid_for, "attributes": null})
        });
        let default = field.values.iter().find(|value| value.is_default).map(|value| value.value.clone());
        let controllers = field.controller.as_deref().and_then(|name| table.catalog.find(name));
        let controllers: Map<String, Value> = controllers
            .map(|(_, field)| field.values.iter().enumerate())
            .into_iter()
            .flatten()
            .map(|(at, value)| (value.value.clone(), at.into()))
            .collect();
        fields.insert(
            field.name.to_string(),
            json!({"controllerValues": controllers, "defaultValue": default, "values": values.collect::<Vec<_>>()}),
        );
    }
    Ok(Answer::value(200, &json!({"picklistFieldValues": fields})))
}

fn outline(object: &Object, version: &str) -> Value {
    let base = format!("/services/data/v{version}/sobjects/{}", object.name);
    let is_writable = object.is_writable;
    let is_mergeable = ["Account", "Contact", "Lead"].contains(&object.name);
    json!({
        "name": object.name, "label": object.label, "labelPlural": object.plural, "keyPrefix": object.prefix,
        "custom": false, "customSetting": false, "createable": is_writable, "updateable": is_writable,
        "deletable": is_writable, "undeletable": is_writable, "queryable": true, "retrieveable": true,
        "searchable": true, "replicateable": true, "mergeable": is_mergeable,
        "triggerable": is_writable, "activateable": false, "layoutable": true, "feedEnabled": is_writable,
        "deprecatedAndHidden": false, "hasSubtypes": false, "isSubtype": false, "mruEnabled": is_writable,
        "urls": {"sobject": base, "describe": format!("{base}/describe"), "rowTemplate": format!("{base}/{{ID}}")},
    })
}

fn show_field(table: &Table, field: &Field) -> Value {
    let mut shown = Map::new();
    for part in [identity(table, field), size(field), permissions(field), relations(field), constant(field)] {
        if let Value::Object(part) = part {
            shown.extend(part);
        }
    }
    Value::Object(shown)
}

fn identity(table: &Table, field: &Field) -> Value {
    let is_name = &*field.name == "Name" || (table.object.name == "Task" && &*field.name == "Subject");
    json!({
        "name": &*field.name, "label": field.label, "type": field.kind.as_str(), "soapType": field.kind.soap_type(),
        "custom": field.is_custom(), "nameField": is_name, "compoundFieldName": field.compound,
        "unique": field.unique, "externalId": field.external_id, "idLookup": field.id_lookup,
    })
}

fn size(field: &Field) -> Value {
    let length = if field.kind == Kind::Boolean { 0 } else { field.length };
    let (precision, digits) =
        if field.kind == Kind::Int { (0, field.precision) } else { (field.precision, 0) };
    json!({"length": length, "byteLength": length * 3, "precision": precision, "scale": field.scale, "digits": digits})
}

fn permissions(field: &Field) -> Value {
    let default = if field.kind == Kind::Boolean { Value::Bool(false) } else { Value::Null };
    json!({
        "createable": field.createable, "updateable": field.updateable, "nillable": field.nillable,
        "permissionable": field.createable || field.updateable, "calculated": field.calculated,
        "calculatedFormula": formula(field), "autoNumber": field.auto_number,
        "defaultedOnCreate": field.defaulted, "defaultValue": default, "defaultValueFormula": null,
    })
}

fn relations(field: &Field) -> Value {
    let values: Vec<Value> = field.values.iter().map(|value| show_value(field, value)).collect();
    let is_polymorphic = field.refers.len() > 1;
    json!({
        "restrictedPicklist": field.restricted && !values.is_empty(), "picklistValues": values,
        "dependentPicklist": field.controller.is_some(), "controllerName": field.controller,
        "referenceTo": field.refers, "relationshipName": field.relationship, "relationshipOrder": null,
        "polymorphicForeignKey": is_polymorphic, "namePointing": is_polymorphic,
    })
}

/// What is the same, or nearly so, for every field of a simulated org.
fn constant(field: &Field) -> Value {
    let is_plain = field.kind != Kind::Address;
    json!({
        "filterable": field.is_filterable(), "sortable": field.is_filterable(), "groupable": is_plain && field.length <= 255,
        "aggregatable": is_plain, "caseSensitive": false, "encrypted": false, "mask": null, "maskType": null,
        "cascadeDelete": false, "restrictedDelete": false, "deprecatedAndHidden": false, "htmlFormatted": false,
        "inlineHelpText": null, "writeRequiresMasterRead": false, "queryByDistance": false,
        "displayLocationInDecimal": false, "highScaleNumber": false, "extraTypeInfo": null,
        "searchPrefilterable": false,
    })
}

fn formula(field: &Field) -> Option<&'static str> {
    match &*field.name {
        "Revenue_per_Employee__c" => Some("AnnualRevenue / NumberOfEmployees"),
        _ => None,
    }
}

fn show_value(field: &Field, value: &PicklistValue) -> Value {
    let valid_for = field.controller.as_ref().map(|_| bitmap(&value.valid_for));
    json!({"value": value.value, "label": value.value, "active": value.is_active, "defaultValue": value.is_default,
           "validFor": valid_for})
}

/// Bit k, from the left, is set when the value may be used with the controlling value k; in base64.
fn bitmap(places: &[usize]) -> String {
    let n_bytes = places.iter().max().map_or(1, |last| last / 8 + 1);
    let byte = |at: usize| {
        (0..8).filter(|bit| places.contains(&(at * 8 + bit))).fold(0_u8, |byte, bit| byte | (0x80 >> bit))
    };
    BASE64_STANDARD.encode((0..n_bytes).map(byte).collect::<Vec<u8>>())
}

fn record_types(store: &Store, table: &Table) -> Value {
    let info = |id: &str, name: &str, is_master: bool| {
        json!({"recordTypeId": id, "name": name, "developerName": name.replace(' ', "_"), "active": true,
               "available": true, "defaultRecordTypeMapping": is_master, "master": is_master, "urls": {}})
    };
    let mut infos = Vec::new();
    infos.extend(record_type::of_object(store, table.object.name).map(|(types, record)| {
        info(&types.id_of(record.number), &record_type::text(types, record, "Name"), false)
    }));
    infos.push(info(record_type::MASTER, "Master", true));
    Value::Array(infos)
}

fn children(store: &Store, object: &Object) -> Value {
    let relations = store.tables().iter().flat_map(|table| {
        let referring =
            table.catalog.iter().filter(|(_, field)| field.refers.iter().any(|of| of == object.name));
        referring.map(|(_, field)| {
            json!({"childSObject": table.object.name, "field": &*field.name, "cascadeDelete": false,
                   "deprecatedAndHidden": false, "relationshipName": null, "restrictedDelete": false})
        })
    });
    Value::Array(relations.collect())
}

const HTTP_DATE: &str = "%a, %d %b %Y %H:%M:%S GMT";

/// A time as HTTP headers have it, in whole seconds.
pub(crate) fn http_date(ms: i64) -> String {
    let at = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
    at.strftime(HTTP_DATE).to_string()
}

/// Seconds since the Unix epoch of a time in an HTTP header.
pub(crate) fn parse_http_date(text: &str) -> Option<i64> {
    let (text, zone) = text.rsplit_once(' ')?;
    if !["GMT", "UTC", "+0000"].contains(&zone) {
        return None;
    }
    let civil = jiff::civil::DateTime::strptime("%a, %d %b %Y %H:%M:%S", text).ok()?;
    civil.in_tz("UTC").ok().map(|zoned| zoned.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitmap_counts_from_the_left() {
        assert_eq!(bitmap(&[0]), "gA==");
        assert_eq!(bitmap(&[0, 1]), "wA==");
        assert_eq!(bitmap(&[9]), "AEA=");
    }

    #[test]
    fn http_dates_read_back() {
        let text = http_date(1_700_000_000_900);
        assert_eq!(text, "Tue, 14 Nov 2023 22:13:20 GMT");
        assert_eq!(parse_http_date(&text), Some(1_700_000_000));
        assert_eq!(parse_http_date("yesterday"), None);
    }
}
