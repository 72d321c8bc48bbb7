//! The calls of actions on single records.

use infill_crm::exchange::{Method, Request};
use infill_crm::{ActionCall, ActionPlan, Delivery, Error, Outputs, Replay, Unfit};
use infill_model::error::{Fault, FaultCode};
use infill_model::plan::Combinator;
use infill_model::value::{is_empty, to_text};
use infill_model::{Class, ObjectType, Timestamp, Value};
use serde_json::{Map, json};

use super::{Salesforce, VENDOR, screen};
use crate::action::{self, Kind, Prepared};
use crate::id::Id;
use crate::object::api_name;
use crate::request::{self, Place};
use crate::response::{Dated, Described, QueryPage, SavedRecord};

/// Records that a lookup gives at most.
const MOST_FOUND: u32 = 200;

/// The inputs of a call.
struct Inputs<'a>(&'a Map<String, Value>);

impl Inputs<'_> {
    fn flag(&self, key: &str) -> bool {
        self.0.get(key).and_then(Value::as_bool).unwrap_or(false)
    }

    fn text(&self, key: &str) -> String {
        self.0.get(key).map(to_text).unwrap_or_default()
    }
}

/// What an upsert did.
enum Upserted {
    Inserted,
    Updated,
    /// The record was there and is left as it is.
    Skipped,
}

impl Upserted {
    const fn word(&self) -> &'static str {
        match self {
            Self::Inserted => "Insert",
            Self::Updated => "Update",
            Self::Skipped => "Skip",
        }
    }
}

impl Salesforce {
    pub(super) async fn prepare_action(&self, plan: &ActionPlan<'_>) -> Result<String, Unfit> {
        let fault =
            |code, path: String, message: String| Unfit::Faults(vec![Fault::new(code, path, message)]);
        let Some(kind) = Kind::of(plan.kind) else {
            let message = format!("{VENDOR} has no action \"{}\"", plan.kind);
            return Err(fault(FaultCode::Unsupported, "action".to_owned(), message));
        };
        let object = ObjectType::from(action::object_of(kind, plan.inputs));
        let wrong_object =
            |error: Error| fault(FaultCode::InvalidValue, action::object_path(), error.message);
        let name = api_name(&object).map_err(wrong_object)?;
        let description = match self.describe(name).await {
            Err(error) if error.code == "unknown_object" => return Err(wrong_object(error)),
            description => description?,
        };
        let prepared = action::prepare(kind, plan, description, self.replay_key_field.as_deref());
        let prepared = prepared.map_err(Unfit::Faults)?;
        serde_json::to_string(&prepared).map_err(|error| Unfit::Crm(unreadable(plan.kind, &error)))
    }

    pub(super) async fn perform_action(&self, call: &ActionCall<'_>) -> Result<Outputs, Error> {
        let kind = Kind::of(call.kind).ok_or_else(|| {
            Error::new(Class::Bug, "action_unknown", format!("{VENDOR} has no action {}", call.kind))
        })?;
        let prepared: Prepared =
            serde_json::from_str(call.prepared).map_err(|error| unreadable(call.kind, &error))?;
        let act = Act { salesforce: self, kind, prepared: &prepared, inputs: Inputs(call.inputs) };
        match kind {
            Kind::Lookup => act.look_up().await,
            Kind::Update => act.update().await,
            Kind::Create | Kind::CreateTask => act.create(call.replay).await,
            Kind::Upsert => act.upsert(call.replay).await,
        }
    }
}

fn unreadable(kind: &str, error: &serde_json::Error) -> Error {
    let message = format!("what was found for {kind} when the run was configured cannot be read: {error}");
    Error::new(Class::Bug, "action_unprepared", message)
}

fn rejected(code: &str, message: String) -> Error {
    Error::new(Class::Rejected, code, message)
}

fn id_of(text: &str) -> Result<Id, Error> {
    Id::parse(text).ok_or_else(|| Error {
        // Something was saved, whatever its id.
        delivery: Delivery::Unknown,
        ..Error::new(Class::Bug, "unexpected_answer", format!("\"{text}\" is no record id of {VENDOR}"))
    })
}

/// An action on its way for one row.
struct Act<'a> {
    salesforce: &'a Salesforce,
    kind: Kind,
    prepared: &'a Prepared,
    inputs: Inputs<'a>,
}

impl Act<'_> {
    fn object(&self) -> &str {
        &self.prepared.object
    }

    /// The values to write: all, or those that are not empty.
    fn values(&self, ignores_empty: bool) -> Vec<(&str, &Value)> {
        let values = action::values(self.kind, self.inputs.0);
        values.into_iter().filter(|(_, value)| !ignores_empty || !is_empty(Some(value))).collect()
    }

    async fn outputs(&self, id: Id) -> Result<Outputs, Error> {
        let address = self.salesforce.transport.address().await?;
        let url = address.host_str().map(|host| screen(host, self.object(), id.as_str()));
        Ok(Outputs::from_iter([
            ("record_id".to_owned(), json!(id.as_str())),
            ("account_url".to_owned(), json!(url)),
        ]))
    }

    fn saving(
        &self,
        operation: &'static str,
        method: Method,
        place: &Place<'_>,
        body: &Map<String, Value>,
    ) -> Result<Request, Error> {
        let assigns = self.inputs.flag("run_salesforce_assignment_rules");
        request::save_record(self.salesforce.version, operation, method, place, assigns, body)
    }

    async fn query<T: serde::de::DeserializeOwned>(&self, soql: &str) -> Result<QueryPage<T>, Error> {
        let request = request::query(self.salesforce.version, "look_up_values", soql)
            .map_err(|error| Error { class: Class::Rejected, ..error })?;
        self.salesforce.ask(&request).await
    }

    async fn look_up(&self) -> Result<Outputs, Error> {
        let values = self.values(false);
        let combinator = match self.inputs.text("search_operator").as_str() {
            "OR" => Combinator::Or,
            _ => Combinator::And,
        };
        let is_exact = self.inputs.flag("exact_match");
        let condition = action::condition(self.prepared, &values, combinator, is_exact)?;
        let names: Vec<&str> =
            values.iter().map(|(name, _)| *name).filter(|name| !name.eq_ignore_ascii_case("Id")).collect();
        let columns = [&["Id"][..], &names].concat().join(", ");
        let (object, limit) = (self.object(), MOST_FOUND + 1);
        let soql = format!("SELECT {columns} FROM {object} WHERE {condition} ORDER BY Id LIMIT {limit}");
        let page: QueryPage<Map<String, Value>> = self.query(&soql).await?;
        if page.records.len() > usize::try_from(MOST_FOUND).unwrap_or(usize::MAX) {
            let message =
                format!("more than {MOST_FOUND} records of {object} were found; look for more values");
            return Err(rejected("too_many_found", message));
        }
        let found = page.records.into_iter().map(|mut record| {
            record.remove("attributes");
            Value::Object(record)
        });
        Ok(Outputs::from_iter([("records_found".to_owned(), found.collect())]))
    }

    async fn update(&self) -> Result<Outputs, Error> {
        let text = self.inputs.text("record_id");
        let id = Id::parse(text.trim())
            .ok_or_else(|| rejected("not_a_record_id", format!("\"{text}\" is no {VENDOR} record id")))?;
        let body = action::body(self.prepared, &self.values(self.inputs.flag("ignore_empty_values")))?;
        if !body.is_empty() {
            let request =
                self.saving("update_record", Method::Patch, &Place::Record(self.object(), id), &body)?;
            self.salesforce.call(&request).await?;
        }
        self.outputs(id).await
    }

    async fn create(&self, replay: Option<Replay<'_>>) -> Result<Outputs, Error> {
        let values = self.values(self.kind == Kind::CreateTask);
        let mut body = action::body(self.prepared, &values)?;
        if let Some(replay) = replay {
            if let Some(made) = self.made(&values, replay).await? {
                return self.outputs(made).await;
            }
            action::mark(self.prepared, &mut body, replay.key);
        }
        let id = self.insert(&body).await?;
        self.outputs(id).await
    }

    async fn insert(&self, body: &Map<String, Value>) -> Result<Id, Error> {
        let request = self.saving("create_record", Method::Post, &Place::Object(self.object()), body)?;
        let saved: SavedRecord = self.salesforce.ask(&request).await?;
        id_of(&saved.id)
    }

    /// What an earlier attempt of a creation made, if it did.
    async fn made(&self, values: &[(&str, &Value)], replay: Replay<'_>) -> Result<Option<Id>, Error> {
        if !replay.is_repeat {
            return Ok(None);
        }
        let soql = action::made_query(self.prepared, values, replay.key, replay.since, MOST_FOUND)?;
        let page: QueryPage<Described> = self.query(&soql).await?;
        let is_by_text = self.prepared.replay_key_field.is_none() && action::is_marked(self.prepared);
        let marker = action::marker(replay.key);
        let is_ours = |found: &&Described| {
            !is_by_text || found.description.as_deref().is_some_and(|text| text.contains(&marker))
        };
        match page.records.iter().filter(is_ours).collect::<Vec<_>>().as_slice() {
            [] => Ok(None),
            [one] => id_of(&one.id).map(Some),
            several => {
                let ids: Vec<&str> = several.iter().map(|found| found.id.as_str()).collect();
                let message = format!(
                    "the answer to a creation was lost, and several records of {} have been made since with its values: {}; \
                     look whether one of them is this row's",
                    self.object(),
                    ids.join(", ")
                );
                Err(rejected("creation_unknown", message))
            }
        }
    }

    async fn upsert(&self, replay: Option<Replay<'_>>) -> Result<Outputs, Error> {
        let field = self.inputs.text("salesforce_external_id_field");
        let values = self.values(self.inputs.flag("ignore_empty_values"));
        let mut body = action::body(self.prepared, &values)?;
        let value = body.remove(&field).map(|value| to_text(&value)).unwrap_or_default();
        if value.trim().is_empty() {
            let message = format!(
                "there is no value of \"{field}\" to know the record by; gate the action with run_if"
            );
            return Err(rejected("external_id_empty", message));
        }
        let place = Place::Keyed(self.object(), &field, &value);
        let forces = self.inputs.flag("force_update_on_collision");
        let repeat = replay.filter(|replay| replay.is_repeat);
        let found = if forces && repeat.is_none() { None } else { self.find(&place).await? };
        // What an earlier attempt inserted must not pass for what was there before.
        let is_own = |made| repeat.is_some_and(|repeat| made >= action::earliest(repeat.since));
        let (id, done) = match found {
            found if forces => {
                let (id, done) = self.upsert_by_key(&place, &body).await?;
                (id, if found.is_some_and(|(_, made)| is_own(made)) { Upserted::Inserted } else { done })
            }
            Some((id, made)) if is_own(made) => (id, Upserted::Inserted),
            Some((id, _)) => (id, Upserted::Skipped),
            None => {
                body.insert(field.clone(), Value::String(value.clone()));
                (self.insert(&body).await?, Upserted::Inserted)
            }
        };
        let mut outputs = self.outputs(id).await?;
        outputs.insert("operation_type".to_owned(), json!(done.word()));
        Ok(outputs)
    }

    async fn upsert_by_key(
        &self,
        place: &Place<'_>,
        body: &Map<String, Value>,
    ) -> Result<(Id, Upserted), Error> {
        let request = self.saving("upsert_record", Method::Patch, place, body)?;
        let saved: SavedRecord = self.salesforce.ask(&request).await.map_err(several_match)?;
        let done = if saved.created { Upserted::Inserted } else { Upserted::Updated };
        Ok((id_of(&saved.id)?, done))
    }

    /// The record that has the value of the key field, and when it was made.
    async fn find(&self, place: &Place<'_>) -> Result<Option<(Id, Timestamp)>, Error> {
        let request = request::find_by_key(self.salesforce.version, place);
        let found: Dated = match self.salesforce.ask(&request).await {
            Err(error) if error.class == Class::Gone => return Ok(None),
            found => found.map_err(several_match)?,
        };
        let made = found.created_date.replace("+0000", "Z").parse().unwrap_or(Timestamp::MIN);
        Ok(Some((id_of(&found.id)?, made)))
    }
}

/// Salesforce answers with a list of addresses when several records hold the value: the row's trouble, not the run's.
fn several_match(error: Error) -> Error {
    const SEVERAL: u16 = 300;
    if error.status != Some(SEVERAL) {
        return error;
    }
    let message =
        "several records hold this value of the key field, and none was touched; make the value unique";
    Error { class: Class::Rejected, code: "several_match".to_owned(), message: message.to_owned(), ..error }
}
