//! The requests about jobs of Bulk API 2.0.

use std::fmt;

use infill_crm::Error;
use infill_crm::exchange::{Body, Bytes, Effect, Method, Request};
use serde_json::json;

use super::{ApiVersion, Escaped, get, post};

/// The two kinds of job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// Takes a file and writes its rows.
    Ingest,
    /// Gives the records of a query.
    Query,
}

impl fmt::Display for JobKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ingest => "ingest",
            Self::Query => "query",
        })
    }
}

/// Which rows of an ingest job are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Results {
    /// Those that were saved.
    Successful,
    /// Those that were refused.
    Failed,
    /// Those that nothing was done with.
    Unprocessed,
}

fn path(version: ApiVersion, kind: JobKind, rest: impl fmt::Display) -> String {
    format!("/services/data/{version}/jobs/{kind}{rest}")
}

/// Makes a job that updates records by id. It has no effect before it is closed, so that nothing is lost with its answer.
///
/// # Errors
/// `bug` when the body cannot be serialised.
pub fn make_ingest(version: ApiVersion, object: &str) -> Result<Request, Error> {
    let body = json!({
        "object": object, "operation": "update", "contentType": "CSV", "lineEnding": "LF", "columnDelimiter": "COMMA",
    });
    post("bulk_make", path(version, JobKind::Ingest, ""), &body)
}

/// Fills a job with its file.
#[must_use]
pub fn upload(version: ApiVersion, job: &str, file: Bytes) -> Request {
    let path = path(version, JobKind::Ingest, format_args!("/{job}/batches"));
    Request { method: Method::Put, body: Body::Csv(file), effect: Effect::Write, ..get("bulk_upload", path) }
}

/// Closes a job: from then on its rows are written.
///
/// # Errors
/// `bug` when the body cannot be serialised.
pub fn close(version: ApiVersion, job: &str) -> Result<Request, Error> {
    let path = path(version, JobKind::Ingest, format_args!("/{job}"));
    let request = post("bulk_close", path, &json!({"state": "UploadComplete"}))?;
    Ok(Request { method: Method::Patch, effect: Effect::Write, ..request })
}

/// How far a job is.
#[must_use]
pub fn job(version: ApiVersion, kind: JobKind, job: &str) -> Request {
    get("bulk_look", path(version, kind, format_args!("/{job}")))
}

/// What became of the rows of a job.
#[must_use]
pub fn ingest_results(version: ApiVersion, job: &str, which: Results) -> Request {
    let which = match which {
        Results::Successful => "successfulResults",
        Results::Failed => "failedResults",
        Results::Unprocessed => "unprocessedrecords",
    };
    get("bulk_results", path(version, JobKind::Ingest, format_args!("/{job}/{which}/")))
}

/// Makes a job that gives the records of a query.
///
/// # Errors
/// `bug` when the body cannot be serialised.
pub fn make_query(version: ApiVersion, soql: &str) -> Result<Request, Error> {
    post("bulk_make", path(version, JobKind::Query, ""), &json!({"operation": "query", "query": soql}))
}

/// A page of the records that a job gives.
#[must_use]
pub fn query_results(version: ApiVersion, job: &str, locator: Option<&str>, most: u32) -> Request {
    let locator = locator.map(|locator| format!("&locator={}", Escaped(locator))).unwrap_or_default();
    let rest = format_args!("/{job}/results?maxRecords={most}{locator}").to_string();
    get("bulk_results", path(version, JobKind::Query, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = "750ak000009BWKLAA4";

    #[test]
    fn a_job_is_made_filled_closed_and_asked() {
        let version = ApiVersion::default();
        let made = make_ingest(version, "Contact").unwrap();
        assert_eq!((made.path.as_str(), made.effect), ("/services/data/v68.0/jobs/ingest", Effect::Read));
        let filled = upload(version, JOB, Bytes::from_static(b"Id\n"));
        let path = "/services/data/v68.0/jobs/ingest/750ak000009BWKLAA4/batches";
        assert_eq!((filled.path.as_str(), filled.method, filled.effect), (path, Method::Put, Effect::Write));
        let closed = close(version, JOB).unwrap();
        assert_eq!((closed.method, closed.effect), (Method::Patch, Effect::Write));
        let failed = ingest_results(version, JOB, Results::Failed);
        assert!(failed.path.ends_with("/750ak000009BWKLAA4/failedResults/"), "{}", failed.path);
    }

    #[test]
    fn results_of_a_query_go_on_at_a_locator() {
        let page = |locator| query_results(ApiVersion::default(), JOB, locator, 25_000).path;
        assert!(page(None).ends_with("/results?maxRecords=25000"), "{}", page(None));
        assert!(
            page(Some("MjAw&x")).ends_with("maxRecords=25000&locator=MjAw%26x"),
            "{}",
            page(Some("MjAw&x"))
        );
    }
}
