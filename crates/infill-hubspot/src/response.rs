//! HubSpot's good answers, typed. Every field that HubSpot may leave out is optional here, and a read is
//! deserialised straight into the properties that were asked for.

use std::borrow::Cow;
use std::fmt;

use infill_crm::{Changed, Record};
use infill_model::{Properties, PropertyName, RecordId, Timestamp, Value};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// `GET /account-info/…/details`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountDetails {
    /// The portal id.
    pub portal_id: u64,
    /// `STANDARD`, `SANDBOX`, `DEVELOPER_TEST`.
    pub account_type: Option<String>,
    /// An IANA name.
    pub time_zone: Option<String>,
    /// Host of the screens; not the same everywhere.
    pub ui_domain: Option<String>,
}

/// `GET /account-info/…/api-usage/daily/private-apps`.
#[derive(Debug, Deserialize)]
pub struct AccountUsage {
    /// One entry per kind of app.
    #[serde(default)]
    pub results: Vec<Usage>,
}

/// What an account may spend in a day and has spent.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Calls allowed in a day.
    pub usage_limit: Option<u64>,
    /// Calls spent today.
    pub current_usage: Option<u64>,
}

/// `POST /lists/search`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListSearch {
    /// The lists of this page.
    #[serde(default)]
    pub lists: Vec<List>,
    /// Whether there is another page.
    #[serde(default)]
    pub has_more: bool,
    /// Where the next page starts.
    pub offset: Option<u64>,
}

/// `GET /lists/{id}` and by name.
#[derive(Debug, Deserialize)]
pub struct OneList {
    /// The list.
    pub list: List,
}

/// A list.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct List {
    /// Its id.
    pub list_id: String,
    /// Its name.
    pub name: String,
    /// What it holds.
    pub object_type_id: String,
    /// `MANUAL`, `DYNAMIC` or `SNAPSHOT`: the true mark of static and active.
    pub processing_type: String,
    /// `COMPLETE`, `PAUSED`, `PROCESSING`.
    pub processing_status: Option<String>,
    /// Its size, told by some answers.
    size: Option<u64>,
    /// More, told by other answers.
    #[serde(default)]
    additional_properties: AdditionalProperties,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct AdditionalProperties {
    hs_list_size: Option<String>,
}

impl List {
    /// How many records it holds, where the answer says so; HubSpot tells it as text.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.additional_properties.hs_list_size.as_deref().and_then(|size| size.parse().ok()).or(self.size)
    }
}

/// `GET /lists/{id}/memberships`.
#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub struct Memberships<'a> {
    /// The members of this page, ascending by record id.
    #[serde(default)]
    pub results: Vec<Member<'a>>,
    /// Where to go on.
    pub paging: Option<Paging>,
}

/// A member of a list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member<'a> {
    /// The record.
    #[serde(borrow)]
    pub record_id: Cow<'a, str>,
}

/// `POST /objects/{type}/search`.
#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub struct SearchPage<'a> {
    /// How many records match the index, which may be more than there are.
    pub total: u64,
    /// The records of this page.
    #[serde(default)]
    pub results: Vec<Named<'a>>,
    /// Where to go on.
    pub paging: Option<Paging>,
}

/// A record of which only the id is of interest.
#[derive(Debug, Deserialize)]
pub struct Named<'a> {
    /// The record.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
}

/// Where to go on.
#[derive(Debug, Deserialize)]
pub struct Paging {
    /// The next page, if there is one.
    pub next: Option<Next>,
}

/// The next page.
#[derive(Debug, Deserialize)]
pub struct Next {
    /// Its cursor.
    pub after: String,
}

/// The cursor of the next page, if there is one.
#[must_use]
pub fn next(paging: Option<Paging>) -> Option<String> {
    paging?.next.map(|next| next.after)
}

/// `POST /objects/{type}/batch/update`, whatever its status: `errors` are read in all of them.
#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub struct BatchUpdated<'a> {
    /// The records updated, in any order.
    #[serde(default)]
    pub results: Option<Vec<Named<'a>>>,
    /// What was not, an entry covering one record or several.
    #[serde(default)]
    pub errors: Option<Vec<Value>>,
}

/// `POST /objects/{type}/batch/read` for the properties `asked`.
#[derive(Debug, Default)]
pub struct BatchRead {
    /// The records found, in any order, each with every property asked for.
    pub results: Vec<Record>,
    /// What was not.
    pub errors: Vec<Value>,
}

/// Reads the answer to a batch read.
///
/// # Errors
/// When the body is no such answer.
pub fn batch_read(body: &[u8], asked: &[PropertyName]) -> serde_json::Result<BatchRead> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let read = ReadSeed(asked).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(read)
}

/// Reads the answer to a single read.
///
/// # Errors
/// When the body is no such answer.
pub fn single_read(body: &[u8], asked: &[PropertyName]) -> serde_json::Result<Record> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let record = RecordSeed(asked).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(record)
}

/// Implements `DeserializeSeed` for a visitor of a JSON object.
macro_rules! seed_of_object {
    ($seed:ident, $value:ty) => {
        impl<'de> DeserializeSeed<'de> for $seed<'_> {
            type Value = $value;

            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<$value, D::Error> {
                deserializer.deserialize_map(self)
            }
        }
    };
}

#[derive(Clone, Copy)]
struct ReadSeed<'a>(&'a [PropertyName]);

seed_of_object!(ReadSeed, BatchRead);

impl<'de> Visitor<'de> for ReadSeed<'_> {
    type Value = BatchRead;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer to a batch read")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<BatchRead, A::Error> {
        let mut read = BatchRead::default();
        while let Some(key) = map.next_key::<Text<'de>>()? {
            match key.0.as_ref() {
                "results" => read.results = map.next_value_seed(RecordsSeed(self.0))?,
                "errors" => read.errors = map.next_value::<Option<Vec<Value>>>()?.unwrap_or_default(),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(read)
    }
}

#[derive(Clone, Copy)]
struct RecordsSeed<'a>(&'a [PropertyName]);

impl<'de> DeserializeSeed<'de> for RecordsSeed<'_> {
    type Value = Vec<Record>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Record>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for RecordsSeed<'_> {
    type Value = Vec<Record>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Record>, A::Error> {
        let mut records = Vec::new();
        while let Some(record) = seq.next_element_seed(RecordSeed(self.0))? {
            records.push(record);
        }
        Ok(records)
    }
}

#[derive(Clone, Copy)]
struct RecordSeed<'a>(&'a [PropertyName]);

seed_of_object!(RecordSeed, Record);

impl<'de> Visitor<'de> for RecordSeed<'_> {
    type Value = Record;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record with an id")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record, A::Error> {
        let mut id: Option<RecordId> = None;
        let mut properties = Properties::new();
        let mut changed = None;
        while let Some(key) = map.next_key::<Text<'de>>()? {
            match key.0.as_ref() {
                "updatedAt" => changed = map.next_value::<Option<Cow<'de, str>>>()?,
                "id" => id = Some(map.next_value()?),
                "properties" => properties = map.next_value_seed(PropertiesSeed(self.0))?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let id = id.ok_or_else(|| serde::de::Error::missing_field("id"))?;
        // A property without a value comes as null from some objects and not at all from others.
        for name in self.0 {
            if !properties.contains_key(name) {
                properties.insert(name.clone(), Value::Null);
            }
        }
        // Told to people alone, so that one that cannot be read is no reason to refuse the answer.
        let changed = changed.and_then(|at| at.parse::<Timestamp>().ok()).map(|at| Changed { at, by: None });
        Ok(Record { id, properties, changed })
    }
}

#[derive(Clone, Copy)]
struct PropertiesSeed<'a>(&'a [PropertyName]);

seed_of_object!(PropertiesSeed, Properties);

impl<'de> Visitor<'de> for PropertiesSeed<'_> {
    type Value = Properties;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("properties by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Properties, A::Error> {
        let mut properties = Properties::new();
        while let Some(key) = map.next_key::<Text<'de>>()? {
            // Plans ask for a handful, and HubSpot adds a few: a scan is cheaper than a map.
            match self.0.iter().find(|name| name.as_str() == key.0) {
                Some(name) => {
                    properties.insert(name.clone(), map.next_value()?);
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(properties)
    }
}

/// A key, borrowed from the body unless it holds escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_read_keeps_what_was_asked_for_and_takes_absent_for_null() {
        let body = br#"{"status":"COMPLETE","numErrors":1,"errors":[{"category":"OBJECT_NOT_FOUND"}],"results":[
            {"id":"2","properties":{"createdate":"2026-01-01T00:00:00Z","city":"K\u00f6ln","hs_object_id":"2"},"archived":false},
            {"properties":{"city":null,"phone":"1"},"id":"1"}]}"#;
        let asked = ["city".into(), "phone".into()];
        let read = batch_read(body, &asked).unwrap();
        let found: Vec<_> =
            read.results.iter().map(|record| (record.id.as_str(), json!(record.properties))).collect();
        assert_eq!(
            found,
            [("2", json!({"city": "Köln", "phone": null})), ("1", json!({"city": null, "phone": "1"}))]
        );
        assert_eq!(read.errors.len(), 1);
    }

    #[test]
    fn an_answer_of_another_shape_is_an_error() {
        for body in [
            "[]",
            "{\"results\":[{\"properties\":{}}]}",
            "{\"results\":3}",
            "{} {}",
            "{\"results\":[{\"id\":\"1\"}",
        ] {
            assert!(batch_read(body.as_bytes(), &[]).is_err(), "{body}");
        }
    }

    #[test]
    fn the_size_of_a_list_is_text_or_number() {
        let list = |more: &str| -> List {
            let text = format!(
                r#"{{"listId":"1","name":"n","objectTypeId":"0-1","processingType":"MANUAL"{more}}}"#
            );
            serde_json::from_str(&text).unwrap()
        };
        assert_eq!(list(r#","additionalProperties":{"hs_list_size":"537"}"#).size(), Some(537));
        assert_eq!(list(r#","size":12"#).size(), Some(12));
        assert_eq!(list("").size(), None);
    }
}
