//! Bulk API 2.0 query jobs.

use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::bulk::{Jobs, QueryJob, State, job_id};
use super::file::{self, LineEnding};
use super::ingest::{NewState, invalid_job, invalid_state};
use super::org::Ask;
use super::select::{Reach, check};
use super::soql;
use super::store::{INTEGRATION_USER, user_id};
use super::value::json_time;

/// Rows of a page of results when none are asked for.
const DEFAULT_PAGE: usize = 50_000;

#[derive(Debug, Deserialize)]
struct NewQuery {
    operation: String,
    query: String,
}

/// `POST /jobs/query`
pub(crate) fn create(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let body: NewQuery = ask.json()?;
    let reach = match body.operation.as_str() {
        "query" => Reach::Live,
        "queryAll" => Reach::All,
        other => return Err(invalid_job(format!("InvalidJob : Unknown operation {other}"))),
    };
    let (object, header, rows) = fetch(ask, &body.query, reach)?;
    let mut jobs = ask.org.jobs();
    let number = jobs.next_number();
    let job = QueryJob {
        number,
        word: body.operation,
        text: body.query,
        object,
        version: ask.call.version,
        state: State::UploadComplete,
        header,
        rows,
        created_ms: ask.now_ms,
        n_looks: 0,
    };
    let answer = Answer::value(200, &show(&job));
    jobs.queries.insert(number, job);
    Ok(answer)
}

/// The object, the columns and the rows of a query.
type Fetched = (&'static str, Vec<String>, Vec<Vec<String>>);

fn fetch(ask: &Ask<'_>, text: &str, reach: Reach) -> Result<Fetched, Refusal> {
    let store = ask.org.store();
    let parsed = soql::parse(text)?;
    if parsed.offset > 0 {
        return Err(invalid_job("InvalidJob : OFFSET is not supported"));
    }
    let selection = check(&store, parsed)?;
    if selection.is_count() || selection.is_count_of() {
        return Err(invalid_job("InvalidJob : aggregate queries are not supported"));
    }
    let numbers = super::query::visible(ask, &store, &selection, selection.run(&store, reach, ask.now_ms));
    let table = store.table(selection.object).ok_or_else(Refusal::not_found)?;
    let cell = |number: u64, path: &super::select::Path| {
        let found = table.get(number).and_then(|record| store.follow(table, record, path));
        let value = found.and_then(|(table, record, id, field)| {
            table.value(record, id, field).map(|value| value.render(field.kind))
        });
        value.unwrap_or_default()
    };
    let rows = numbers.iter().map(|number| selection.paths.iter().map(|path| cell(*number, path)).collect());
    let header =
        selection.paths.iter().map(|path| path.iter().map(|part| &**part).collect::<Vec<_>>().join("."));
    Ok((selection.object, header.collect(), rows.collect()))
}

fn show(job: &QueryJob) -> Value {
    json!({
        "id": job_id(job.number), "operation": job.word, "object": job.object, "query": job.text,
        "createdById": user_id(INTEGRATION_USER), "createdDate": json_time(job.created_ms),
        "systemModstamp": json_time(job.created_ms), "state": job.state.as_str(), "concurrencyMode": "Parallel",
        "contentType": "CSV", "apiVersion": f64::from(job.version), "jobType": "V2Query", "lineEnding": "LF",
        "columnDelimiter": "COMMA", "retries": 0, "totalProcessingTime": 0,
        "numberRecordsProcessed": if job.state == State::JobComplete { job.rows.len() } else { 0 },
    })
}

fn with_job<R>(ask: &Ask<'_>, act: impl FnOnce(&mut QueryJob) -> Result<R, Refusal>) -> Result<R, Refusal> {
    let mut jobs = ask.org.jobs();
    let number = Jobs::number_of(&ask.call.key).ok_or_else(Refusal::not_found)?;
    act(jobs.queries.get_mut(&number).ok_or_else(Refusal::not_found)?)
}

/// `GET /jobs/query/{id}`: the first look shows `InProgress`.
pub(crate) fn info(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    with_job(ask, |job| {
        if !job.state.is_over() {
            job.n_looks += 1;
            job.state = if job.n_looks > 1 { State::JobComplete } else { State::InProgress };
        }
        Ok(Answer::value(200, &show(job)))
    })
}

/// `PATCH /jobs/query/{id}`, to abort.
pub(crate) fn set_state(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let NewState { state } = ask.json()?;
    with_job(ask, |job| {
        if state != "Aborted" || job.state.is_over() {
            return Err(invalid_state(format!(
                "Job state {state} is not allowed from {}",
                job.state.as_str()
            )));
        }
        job.state = State::Aborted;
        Ok(Answer::value(200, &show(job)))
    })
}

/// `GET /jobs/query/{id}/results?maxRecords=&locator=`
pub(crate) fn results(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    with_job(ask, |job| {
        if job.state != State::JobComplete {
            return Err(invalid_state("Job has not completed: there are no results yet"));
        }
        let number = |name: &str, default: usize| match ask.query.first(name) {
            None => Ok(default),
            Some(text) => {
                text.parse().map_err(|_| Refusal::new(400, "INVALID_QUERY_LOCATOR", "invalid query locator"))
            }
        };
        let (page, from) = (number("maxRecords", DEFAULT_PAGE)?.max(1), number("locator", 0)?);
        let shown: Vec<Vec<String>> = job.rows.iter().skip(from).take(page).cloned().collect();
        let n_shown = shown.len();
        let next =
            if from + n_shown < job.rows.len() { (from + n_shown).to_string() } else { "null".to_owned() };
        let newline = ask.org.config.bulk.trailing_newline;
        let text = file::render(&job.header, shown.into_iter(), LineEnding::Lf, ',', newline);
        Ok(Answer::csv(text).with("sforce-locator", next).with("sforce-numberofrecords", n_shown.to_string()))
    })
}

/// `DELETE /jobs/query/{id}`
pub(crate) fn delete(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let number = with_job(ask, |job| Ok(job.number))?;
    ask.org.jobs().queries.remove(&number);
    Ok(Answer::empty(204))
}
