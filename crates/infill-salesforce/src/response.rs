//! Salesforce's good answers, typed. A retrieve is deserialised straight into the properties that were asked for.

use std::borrow::Cow;
use std::fmt;

use infill_crm::Changed;
use infill_model::{Properties, PropertyName, Value};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::classify::Complaint;
use crate::id::Id;
use crate::normalize::moment;
use crate::request::{CHANGED_AT, CHANGED_BY};

/// The answer to a query.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueryPage<T> {
    /// How many records the query selects.
    pub total_size: u64,
    /// Whether these are all of them. A page may be smaller than asked for.
    pub done: bool,
    /// The records.
    #[serde(default = "Vec::new")]
    pub records: Vec<T>,
}

/// A record of which only the id is of interest.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Named {
    /// Its id.
    pub id: String,
}

/// What became of a record.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Trace {
    /// Its id.
    pub id: String,
    /// Whether it lies in the recycle bin.
    #[serde(default)]
    pub is_deleted: bool,
    /// The record it was merged into.
    pub master_record_id: Option<String>,
}

/// The org.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Organization {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// An IANA name.
    pub time_zone_sid_key: Option<String>,
    /// Whether it is a sandbox.
    #[serde(default)]
    pub is_sandbox: bool,
}

/// `GET /services/oauth2/userinfo`.
#[derive(Debug, Deserialize)]
pub struct UserInfo {
    /// The org.
    pub organization_id: String,
    /// The user.
    pub preferred_username: Option<String>,
    /// An IANA name: the user's.
    pub zoneinfo: Option<String>,
}

/// `GET /limits`, as far as it is of interest.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct OrgLimits {
    /// API requests in 24 hours.
    pub daily_api_requests: Option<Limit>,
}

/// One limit.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Limit {
    /// What is allowed.
    pub max: u64,
    /// What is left.
    pub remaining: u64,
}

/// `GET /sobjects`.
#[derive(Debug, Deserialize)]
pub struct Objects {
    /// Every object that the user may see.
    pub sobjects: Vec<Object>,
}

/// An object.
#[derive(Debug, Deserialize)]
pub struct Object {
    /// Its API name.
    pub name: String,
}

/// `GET /sobjects/{object}/listviews`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListViews {
    /// The list views of this page.
    pub listviews: Vec<ListView>,
    /// Where the next page is.
    pub next_records_url: Option<String>,
}

/// A list view.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListView {
    /// Its id.
    pub id: String,
    /// What screens call it; not unique.
    pub label: String,
    /// Its API name.
    pub developer_name: Option<String>,
}

/// `GET /sobjects/{object}/listviews/{id}/describe`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListViewQuery {
    /// The whole query.
    pub query: String,
    /// What it lists.
    pub sobject_type: Option<String>,
    /// Whose records: `mine`, `everything`.
    pub scope: Option<String>,
}

/// `POST /jobs/ingest` and `POST /jobs/query`.
#[derive(Debug, Deserialize)]
pub struct JobMade {
    /// The id of the job.
    pub id: String,
}

/// `GET /jobs/ingest/{id}` and `GET /jobs/query/{id}`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobInfo {
    /// How far it is.
    pub state: JobState,
    /// Rows that something was done with, those refused included.
    #[serde(default)]
    pub number_records_processed: u64,
    /// Why it failed.
    pub error_message: Option<String>,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum JobState {
    /// Made, and to be filled.
    Open,
    /// Closed, and waiting for its turn.
    UploadComplete,
    /// Being carried out.
    InProgress,
    /// Carried out.
    JobComplete,
    /// Given up half way; what was written stays written.
    Failed,
    /// Ended by hand.
    Aborted,
    /// A state that was not known when this was written.
    #[serde(other)]
    Other,
}

impl JobState {
    /// Whether nothing more will happen.
    #[must_use]
    pub const fn is_over(self) -> bool {
        match self {
            Self::JobComplete | Self::Failed | Self::Aborted => true,
            Self::Open | Self::UploadComplete | Self::InProgress | Self::Other => false,
        }
    }

    /// Salesforce's word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "Open",
            Self::UploadComplete => "UploadComplete",
            Self::InProgress => "InProgress",
            Self::JobComplete => "JobComplete",
            Self::Failed => "Failed",
            Self::Aborted => "Aborted",
            Self::Other => "a state of its own",
        }
    }
}

/// `POST /composite`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompositeAnswer {
    /// An answer for each part.
    pub composite_response: Vec<PartAnswer>,
}

/// The answer to one part.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartAnswer {
    /// As if the part had been a request of its own.
    pub body: Value,
    /// As if the part had been a request of its own.
    pub http_status_code: u16,
    /// Which part.
    pub reference_id: String,
}

/// What became of one row of an update, at its position.
#[derive(Debug, Deserialize)]
pub struct Saved {
    /// The record; may be left out where it failed.
    pub id: Option<String>,
    /// Whether it was saved.
    #[serde(default)]
    pub success: bool,
    /// Why not.
    #[serde(default)]
    pub errors: Vec<Complaint>,
}

/// The answer to the creation of one record, or to an upsert.
#[derive(Debug, Deserialize)]
pub struct SavedRecord {
    /// The record.
    pub id: String,
    /// Whether it is new; an answer to a creation does not say so.
    #[serde(default)]
    pub created: bool,
}

/// A record found by its key.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Dated {
    /// Its id.
    pub id: String,
    /// When it was created.
    pub created_date: String,
}

/// A task, as far as it tells whether it is one's own.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Described {
    /// Its id.
    pub id: String,
    /// Its text.
    pub description: Option<String>,
}

/// Reads the answer to a retrieve of the properties `asked`: the records found, in any order. What is missing or hidden is not
/// among them.
///
/// # Errors
/// When the body is no such answer.
pub fn retrieved(body: &[u8], asked: &[PropertyName]) -> serde_json::Result<Vec<Retrieved>> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let records = deserializer.deserialize_seq(RecordsVisitor(asked))?;
    deserializer.end()?;
    Ok(records)
}

/// One record of a retrieve.
#[derive(Clone, Debug, PartialEq)]
pub struct Retrieved {
    /// Its id.
    pub id: Id,
    /// The properties asked for.
    pub properties: Properties,
    /// Its last change, where the stamps were retrieved.
    pub changed: Option<Changed>,
}

struct RecordsVisitor<'a>(&'a [PropertyName]);

impl<'de> Visitor<'de> for RecordsVisitor<'_> {
    type Value = Vec<Retrieved>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut records = Vec::new();
        while let Some(record) = seq.next_element_seed(RecordSeed(self.0))? {
            records.extend(record);
        }
        Ok(records)
    }
}

/// A record, or null where there is none.
struct RecordSeed<'a>(&'a [PropertyName]);

impl<'de> DeserializeSeed<'de> for RecordSeed<'_> {
    type Value = Option<Retrieved>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for RecordSeed<'_> {
    type Value = Option<Retrieved>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record with an id, or null")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut id: Option<String> = None;
        // A field without a value comes as null from some calls and not at all from others.
        let mut properties: Properties = self.0.iter().map(|name| (name.clone(), Value::Null)).collect();
        let (mut at, mut by) = (None, None);
        while let Some(Text(key)) = map.next_key()? {
            let name = self.0.iter().find(|name| name.as_str().eq_ignore_ascii_case(&key));
            let own = match key.as_ref() {
                "Id" => Some(&mut id),
                CHANGED_AT => Some(&mut at),
                CHANGED_BY => Some(&mut by),
                _ => None,
            };
            if let Some(own) = own {
                *own = map.next_value::<Option<String>>()?;
                if let Some(name) = name {
                    properties.insert(name.clone(), own.clone().map_or(Value::Null, Value::String));
                }
            } else if let Some(name) = name {
                properties.insert(name.clone(), map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        let id = id.ok_or_else(|| serde::de::Error::missing_field("Id"))?;
        let id = Id::parse(&id).ok_or_else(|| serde::de::Error::custom("an Id that is none"))?;
        let changed = at.and_then(|at| moment(&at)).map(|at| Changed { at, by });
        Ok(Some(Retrieved { id, properties, changed }))
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
    fn a_retrieve_keeps_what_was_asked_for_and_leaves_out_what_is_missing() {
        let body = br#"[
            {"attributes":{"type":"Contact","url":"/x"},"Id":"003ak00000jvIfpAAE","MailingCity":"K\u00f6ln","Age__c":12.5},
            null,
            {"Id":"003ak00000jvIfqAAE","attributes":{"type":"Contact"},"MailingCity":null,"Phone":"1",
             "SystemModstamp":"2026-11-20T10:30:00.000+0000","LastModifiedById":"005ak00000jvIfpAAE"}]"#;
        let asked = ["mailingcity".into(), "Phone".into(), "Id".into()];
        let read = retrieved(body, &asked).unwrap();
        let found: Vec<_> = read.iter().map(|of| (of.id.to_string(), json!(of.properties))).collect();
        let (first, second) = ("003ak00000jvIfpAAE", Id::parse("003ak00000jvIfq").unwrap().to_string());
        assert_eq!(
            found,
            [
                (first.to_owned(), json!({"mailingcity": "Köln", "Phone": null, "Id": first})),
                (second.clone(), json!({"mailingcity": null, "Phone": "1", "Id": "003ak00000jvIfqAAE"})),
            ]
        );
        let changed: Vec<_> = read.into_iter().map(|of| of.changed).collect();
        let at = "2026-11-20T10:30:00Z".parse().unwrap();
        assert_eq!(changed, [None, Some(Changed { at, by: Some("005ak00000jvIfpAAE".to_owned()) })]);
    }

    #[test]
    fn an_answer_of_another_shape_is_an_error() {
        for body in ["{}", "[{}]", "[3]", "[{\"Id\":\"x\"}]", "[] []", "[{\"Id\":\"003ak00000jvIfp\"}"] {
            assert!(retrieved(body.as_bytes(), &[]).is_err(), "{body}");
        }
    }
}
