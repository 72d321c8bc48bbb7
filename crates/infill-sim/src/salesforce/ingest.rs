//! The calls about ingest jobs.

use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::bulk::{Job, Jobs, State, look, rerender, strike};
use super::catalog::Field;
use super::file::{self, LineEnding};
use super::org::Ask;
use super::store::{INTEGRATION_USER, user_id};
use super::value::{RowError, json_time};
use super::write::{Saved, Verb};
use crate::fault::mix;

/// Delimiters by the vendor's words.
const DELIMITERS: [(&str, char); 6] =
    [("COMMA", ','), ("SEMICOLON", ';'), ("TAB", '\t'), ("PIPE", '|'), ("CARET", '^'), ("BACKQUOTE", '`')];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewJob {
    object: String,
    operation: String,
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default)]
    line_ending: Option<String>,
    #[serde(default)]
    column_delimiter: Option<String>,
    #[serde(default)]
    external_id_field_name: Option<String>,
    #[serde(default)]
    assignment_rule_id: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct NewState {
    pub(crate) state: String,
}

/// A refusal for something in the body of a job.
pub(crate) fn invalid_job(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "INVALIDJOB", message)
}

pub(crate) fn invalid_state(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "INVALIDJOBSTATE", message)
}

/// `POST /jobs/ingest`
pub(crate) fn create(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let body: NewJob = ask.json()?;
    let object = {
        let store = ask.org.store();
        let table = store.table(&body.object).filter(|table| table.object.is_writable);
        table.map(|table| table.object.name)
    };
    let unsupported =
        || invalid_job(format!("InvalidJob : Entity '{}' is not supported by the Bulk API.", body.object));
    let object = object.ok_or_else(unsupported)?;
    if body.content_type.as_deref().is_some_and(|of| of != "CSV") {
        return Err(invalid_job("InvalidJob : Invalid contentType. Only CSV is supported"));
    }
    let verb = match (body.operation.as_str(), &body.external_id_field_name) {
        ("insert", _) => Verb::Insert,
        ("update", _) => Verb::Update,
        ("delete" | "hardDelete", _) => Verb::Delete,
        ("upsert", Some(key)) => Verb::Upsert { key: key.clone(), update_only: false },
        ("upsert", None) => {
            return Err(invalid_job("InvalidJob : externalIdFieldName is required for upsert"));
        }
        (other, _) => return Err(invalid_job(format!("InvalidJob : Unknown operation {other}"))),
    };
    let ending = match body.line_ending.as_deref() {
        None | Some("LF") => LineEnding::Lf,
        Some("CRLF") => LineEnding::CrLf,
        Some(other) => return Err(invalid_job(format!("InvalidJob : Unknown lineEnding {other}"))),
    };
    let wanted = body.column_delimiter.as_deref().unwrap_or("COMMA");
    let delimiter = DELIMITERS.into_iter().find(|(word, _)| *word == wanted);
    let delimiter =
        delimiter.ok_or_else(|| invalid_job(format!("InvalidJob : Unknown columnDelimiter {wanted}")))?;
    let mut jobs = ask.org.jobs();
    let number = jobs.next_number();
    let job = Job {
        number,
        object,
        word: body.operation,
        verb,
        key: body.external_id_field_name,
        assigns: body.assignment_rule_id.is_some(),
        ending,
        delimiter,
        version: ask.call.version,
        state: State::Open,
        file: None,
        is_uploaded: false,
        results: Vec::new(),
        error: None,
        created_ms: ask.now_ms,
        modified_ms: ask.now_ms,
        queued_ms: None,
        n_looks: 0,
        slow_looks: 0,
        fails_after: None,
    };
    let answer = Answer::value(200, &show(&job));
    jobs.ingest.insert(number, job);
    Ok(answer)
}

fn show(job: &Job) -> Value {
    let mut shown = json!({
        "id": job.id(), "operation": job.word, "object": job.object, "createdById": user_id(INTEGRATION_USER),
        "createdDate": json_time(job.created_ms), "systemModstamp": json_time(job.modified_ms),
        "state": job.state.as_str(), "concurrencyMode": "Parallel", "contentType": "CSV",
        "apiVersion": f64::from(job.version), "jobType": "V2Ingest", "lineEnding": job.ending.as_str(),
        "columnDelimiter": job.delimiter.0, "retries": 0, "totalProcessingTime": 0, "apiActiveProcessingTime": 0,
        "apexProcessingTime": 0, "numberRecordsProcessed": job.results.len(), "numberRecordsFailed": job.n_failed(),
    });
    if let Value::Object(shown) = &mut shown {
        if job.state == State::Open {
            let url = format!("services/data/v{}.0/jobs/ingest/{}/batches", job.version, job.id());
            shown.insert("contentUrl".to_owned(), url.into());
        }
        if let Some(key) = &job.key {
            shown.insert("externalIdFieldName".to_owned(), key.clone().into());
        }
        if let Some(error) = job.error.as_ref().filter(|_| job.state == State::Failed) {
            shown.insert("errorMessage".to_owned(), error.clone().into());
        }
    }
    shown
}

fn with_job<R>(ask: &Ask<'_>, act: impl FnOnce(&mut Job) -> Result<R, Refusal>) -> Result<R, Refusal> {
    let mut jobs = ask.org.jobs();
    let number = Jobs::number_of(&ask.call.key).ok_or_else(Refusal::not_found)?;
    act(jobs.ingest.get_mut(&number).ok_or_else(Refusal::not_found)?)
}

/// `PUT /jobs/ingest/{id}/batches`, once.
pub(crate) fn upload(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    with_job(ask, |job| {
        if job.is_uploaded {
            let id = job.id();
            let message = format!(
                "Found multiple contents for job: <{id}>, please 'Close' / 'Abort' / 'Delete' the current Job then create \
                 a new Job and make sure you only do 'PUT' once on a given Job."
            );
            return Err(Refusal::new(400, "CLIENTINPUTERROR", message));
        }
        if job.state != State::Open {
            return Err(invalid_state("Job is not Open: data can no longer be uploaded"));
        }
        let n_bytes = ask.body.len().div_ceil(3) * 4;
        if n_bytes > ask.org.config.bulk.max_upload_bytes {
            let message =
                format!("The file is larger than {} bytes in base64", ask.org.config.bulk.max_upload_bytes);
            return Err(Refusal::new(413, "EXCEEDED_MAX_SIZE_REQUEST", message));
        }
        job.is_uploaded = true;
        match file::parse(ask.body, job.ending, job.delimiter.1) {
            Ok(file) => job.file = Some(file),
            // Told when the job is processed, as the vendor does.
            Err(message) => job.error = Some(message),
        }
        Ok(Answer::empty(201))
    })
}

/// `PATCH /jobs/ingest/{id}`
pub(crate) fn set_state(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let NewState { state } = ask.json()?;
    with_job(ask, |job| {
        match (state.as_str(), job.state) {
            ("UploadComplete", State::Open) => {
                job.state = State::UploadComplete;
                job.queued_ms = Some(ask.now_ms);
                job.modified_ms = ask.now_ms;
                strike(ask.org, job);
            }
            ("Aborted", state) if !state.is_over() => {
                job.state = State::Aborted;
                job.modified_ms = ask.now_ms;
            }
            (wanted, state) => {
                return Err(invalid_state(format!(
                    "Job state {wanted} is not allowed from {}",
                    state.as_str()
                )));
            }
        }
        Ok(Answer::value(200, &show(job)))
    })
}

/// `GET /jobs/ingest/{id}`
pub(crate) fn info(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    with_job(ask, |job| {
        look(ask.org, job, ask.now_ms);
        Ok(Answer::value(200, &show(job)))
    })
}

/// `GET /jobs/ingest`
pub(crate) fn list(ask: &Ask<'_>) -> Answer {
    let jobs = ask.org.jobs();
    let records: Vec<Value> = jobs.ingest.values().map(show).collect();
    Answer::value(200, &json!({"done": true, "records": records, "nextRecordsUrl": null}))
}

/// `DELETE /jobs/ingest/{id}`: forgets the job; rows stay as they are.
pub(crate) fn delete(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let number = with_job(ask, |job| match job.state {
        State::Open | State::InProgress => Err(invalid_state("Job cannot be deleted in its state")),
        State::UploadComplete | State::JobComplete | State::Failed | State::Aborted => Ok(job.number),
    })?;
    ask.org.jobs().ingest.remove(&number);
    Ok(Answer::empty(204))
}

/// `GET /jobs/ingest/{id}/successfulResults`, `failedResults` and `unprocessedrecords`
pub(crate) fn results(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    with_job(ask, |job| {
        if !job.state.is_over() {
            return Err(invalid_state("Job has not ended: there are no results yet"));
        }
        let store = ask.org.store();
        let table = store.table(job.object);
        let header = job.file.as_ref().map(|file| file.header.clone()).unwrap_or_default();
        let fields: Vec<Option<&Field>> = header
            .iter()
            .map(|name| table.and_then(|table| table.catalog.find(name)).map(|(_, field)| field))
            .collect();
        let cells = |at: usize| -> Vec<String> {
            let line = job.file.as_ref().and_then(|file| file.lines.get(at));
            let given = line
                .and_then(|line| line.as_ref().ok())
                .cloned()
                .unwrap_or_else(|| vec![String::new(); header.len()]);
            given.iter().zip(&fields).map(|(cell, field)| rerender(*field, cell)).collect()
        };
        let n_done = job.results.len();
        let wants_success = ask.call.detail == "successfulResults";
        let (first, mut places): (&[&str], Vec<usize>) =
            if ask.call.detail.eq_ignore_ascii_case("unprocessedrecords") {
                (&[], (n_done..job.n_rows()).collect())
            } else {
                let wanted =
                    job.results.iter().enumerate().filter(|(_, row)| row.is_success() == wants_success);
                let first: &[&str] =
                    if wants_success { &["sf__Id", "sf__Created"] } else { &["sf__Id", "sf__Error"] };
                (first, wanted.map(|(at, _)| at).collect())
            };
        if ask.org.config.bulk.shuffle_results {
            places.sort_by_key(|at| {
                mix(ask.org.config.seed ^ mix(job.number) ^ u64::try_from(*at).unwrap_or(0))
            });
        }
        let header: Vec<String> =
            first.iter().map(|name| (*name).to_owned()).chain(header.iter().cloned()).collect();
        let rows = places.into_iter().map(|at| {
            let result = job.results.get(at).filter(|_| !first.is_empty());
            result.map(|row| told(row, wants_success)).into_iter().flatten().chain(cells(at)).collect()
        });
        let newline = ask.org.config.bulk.trailing_newline;
        let text = file::render(&header, rows, job.ending, job.delimiter.1, newline);
        Ok(Answer::csv(text))
    })
}

/// The first two cells of a result.
fn told(row: &Saved, is_success: bool) -> [String; 2] {
    let second = if is_success {
        row.created.to_string()
    } else {
        row.errors.first().map(error_text).unwrap_or_default()
    };
    [row.id.clone().unwrap_or_default(), second]
}

/// `CODE:message:fields --`
fn error_text(error: &RowError) -> String {
    format!("{}:{}:{} --", error.code, error.message, error.fields.join(" "))
}
