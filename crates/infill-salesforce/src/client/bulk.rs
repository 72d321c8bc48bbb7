//! Jobs of Bulk API 2.0: updates that are handed over in a file, and listings that bring values along.
//!
//! Making a job changes nothing, nor does filling it; it begins when it is closed. So whatever answer is lost on the way there,
//! the state of the job tells how far it came.

use std::collections::HashMap;
use std::time::Duration;

use infill_crm::exchange::{Answer, Request};
use infill_crm::{Delivery, Error, Job, Page, Pull, Values, WriteAnswer, Written};
use infill_model::slice::ResolvedSlice;
use infill_model::{Class, RecordId};

use super::Salesforce;
use crate::blame::Settled;
use crate::bulk::{self, Kept, Place, Route};
use crate::id::Id;
use crate::object::api_name;
use crate::request::{self, JobKind, Results, Row};
use crate::response::{JobInfo, JobMade, JobState};
use crate::slice;

/// Where a listing by a job goes on when it cannot go on with the job.
enum Resumed {
    /// Page after page above the last id.
    ByIds,
    /// With another job above the last id.
    ByJob,
}

impl Salesforce {
    /// Whether a run of so many records goes by jobs. The headers that govern automation and duplicates are not to be had there.
    pub(super) fn run_goes_by_jobs(&self, n_records: Option<u64>) -> bool {
        match self.route {
            Route::Auto if self.manners.is_default() => {
                n_records.is_some_and(|n_records| n_records > bulk::MOST_BY_COLLECTIONS)
            }
            Route::Auto | Route::Collections => false,
            Route::Bulk => true,
        }
    }

    /// Whether a write of so many rows goes by a job.
    pub(super) fn write_goes_by_job(&self, n_rows: usize) -> bool {
        match self.route {
            Route::Auto => self.manners.is_default() && n_rows > bulk::FEW_ROWS,
            Route::Collections => false,
            Route::Bulk => true,
        }
    }

    async fn info(&self, kind: JobKind, job: &str) -> Result<JobInfo, Error> {
        self.ask(&request::job(self.version, kind, job)).await
    }

    /// Makes the jobs for these rows; `None` when none of them can go by a job.
    pub(super) async fn make_jobs(&self, object: &str, rows: &[Row<'_>]) -> Result<Option<Written>, Error> {
        let carried: Vec<&Row<'_>> = rows.iter().filter(|row| bulk::is_carried(row)).collect();
        let n_rows = u64::try_from(carried.len()).unwrap_or(u64::MAX);
        let mut kept = Kept { jobs: Vec::new(), n_rows, is_sent: false, since: self.transport.now() };
        for _ in bulk::files(&carried) {
            let request = request::make_ingest(self.version, object)?;
            match self.ask::<JobMade>(&request).await {
                Ok(made) => kept.jobs.push(made.id),
                // Not every object can be written by jobs.
                Err(error) if self.route == Route::Auto && is_refusal(&error) => {
                    tracing::info!(error = %error, "no job, written by collections");
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
        let has_jobs = !kept.jobs.is_empty();
        Ok(has_jobs.then(|| Written::Later { job: kept.to_job(), after: Duration::ZERO }))
    }

    /// Fills the jobs and closes them, as far as that is not done yet.
    pub(super) async fn send(&self, rows: &[Row<'_>], kept: Kept) -> Result<Written, Error> {
        let carried: Vec<&Row<'_>> = rows.iter().filter(|row| bulk::is_carried(row)).collect();
        for (job, rows) in kept.jobs.iter().zip(bulk::files(&carried)) {
            let request = request::upload(self.version, job, bulk::file(&rows)?);
            match self.call(&request).await {
                Ok(_) => {}
                // A job is filled once: it was, and the answer was lost.
                Err(error) if is_refusal(&error) => {
                    tracing::info!(error = %error, bulk_job = %job, "not filled, its state decides");
                }
                Err(error) => return Err(error),
            }
            match self.call(&request::close(self.version, job)?).await {
                Ok(_) => {}
                Err(error) if is_refusal(&error) => {
                    let info = self.info(JobKind::Ingest, job).await?;
                    if info.state == JobState::Open {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        let now = self.transport.now();
        let after = bulk::wait(JobKind::Ingest, kept.n_rows, now, now);
        Ok(Written::Later { job: Kept { is_sent: true, since: now, ..kept }.to_job(), after })
    }

    /// How long to leave jobs alone; `None` when there is something to do.
    pub(super) async fn look_at(&self, job: &Job) -> Result<Option<Duration>, Error> {
        let kept = Kept::of(job)?;
        if !kept.is_sent {
            return Ok(None);
        }
        for job in &kept.jobs {
            match self.info(JobKind::Ingest, job).await {
                Ok(info) if info.state.is_over() => {}
                Ok(_) => {
                    return Ok(Some(bulk::wait(
                        JobKind::Ingest,
                        kept.n_rows,
                        kept.since,
                        self.transport.now(),
                    )));
                }
                Err(error) if error.class == Class::Gone => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// What jobs that are over say of these rows.
    pub(super) async fn collect(
        &self,
        object: &str,
        rows: &[Row<'_>],
        kept: &Kept,
    ) -> Result<WriteAnswer, Error> {
        let now = self.transport.now();
        let mut settled = Settled::default();
        let mut open: HashMap<Id, &Row<'_>> =
            rows.iter().filter(|row| bulk::is_carried(row)).map(|row| (row.id, row)).collect();
        for job in &kept.jobs {
            for which in [Results::Successful, Results::Failed] {
                if open.is_empty() {
                    break;
                }
                let request = request::ingest_results(self.version, job, which);
                for (id, error) in self.results(&request).await? {
                    let Some(row) = open.remove(&id) else { continue };
                    match which {
                        Results::Successful => settled.confirm(row),
                        Results::Failed | Results::Unprocessed => {
                            let complaints = [bulk::complaint(&error)];
                            settled.heed(&request, &complaints, now);
                            settled.refuse(row, &complaints);
                        }
                    }
                }
                self.tell_quota(&request, &mut settled).await;
            }
        }
        if !open.is_empty() {
            settled.fail(self.why_open(&open, kept).await?);
        }
        if let Some(fault) = settled.plan_fault() {
            // Nothing was written: the rows are as they were.
            return Ok(WriteAnswer { cut_short: Some(fault), ..WriteAnswer::default() });
        }
        let mut answer = self.answer(object, &mut settled).await;
        answer.cut_short = settled.cut_short();
        // What no file carries goes the other way.
        let others: Vec<Row<'_>> = rows.iter().filter(|row| !bulk::is_carried(row)).cloned().collect();
        if others.is_empty() || answer.cut_short.is_some() {
            return Ok(answer);
        }
        self.write_parts(object, &others, answer).await
    }

    /// Why jobs that are over say nothing of these rows.
    async fn why_open(&self, open: &HashMap<Id, &Row<'_>>, kept: &Kept) -> Result<Error, Error> {
        let mut n_unprocessed = 0;
        let mut said = Vec::new();
        let mut n_processed = 0;
        let mut is_invalid = false;
        for job in &kept.jobs {
            let info = match self.info(JobKind::Ingest, job).await {
                Ok(info) => info,
                Err(error) if error.class == Class::Gone => {
                    said.push(format!("job {job} is not there any more"));
                    continue;
                }
                Err(error) => return Err(error),
            };
            n_processed += info.number_records_processed;
            let reason = info.error_message.unwrap_or_default();
            is_invalid |= info.state == JobState::Failed && reason.starts_with(INVALID_BATCH);
            said.push(format!("job {job} ended as {} {reason}", info.state.as_str()).trim_end().to_owned());
            let request = request::ingest_results(self.version, job, Results::Unprocessed);
            let unprocessed = self.results(&request).await?;
            n_unprocessed += unprocessed.iter().filter(|(id, _)| open.contains_key(id)).count();
        }
        let said = said.join("; ");
        if is_invalid && n_processed == 0 {
            let message = format!(
                "Salesforce: {said}; check the names of the fields, and that the user may see and edit them"
            );
            return Ok(Error::new(Class::Configuration, "bulk_job_refused", message));
        }
        let message = format!("Salesforce: {said}; {} records have no result and go again", open.len());
        // What was not processed was certainly not written; of anything else nobody can tell.
        let delivery = if n_unprocessed == open.len() { Delivery::Refused } else { Delivery::Unknown };
        Ok(Error { delivery, ..Error::new(Class::Transient, "bulk_job_failed", message) })
    }

    /// Results of a job: the ids of records, each with its error where there is one. Of a job that is not there any more there are
    /// none.
    async fn results(&self, request: &Request) -> Result<Vec<(Id, String)>, Error> {
        match self.call(request).await {
            Ok(answer) => bulk::told(&answer.body).map_err(|error| garbled(request, &answer, &error)),
            Err(error) if error.class == Class::Gone => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Begins a listing by a job, above the last id seen; `None` when it cannot go by one.
    pub(super) async fn begin_listing(
        &self,
        slice: &ResolvedSlice,
        pull: &Pull,
        last: Option<Id>,
    ) -> Result<Option<Page>, Error> {
        let known = self.properties(api_name(&slice.object)?).await?;
        let Some(columns) = bulk::columns(&pull.properties, &known) else { return Ok(None) };
        let fields: Vec<&str> = columns.iter().filter_map(bulk::Column::field).collect();
        let query = slice::of_handle(slice)?.select(&fields, last, pull.most);
        let since = self.transport.now();
        let made: JobMade = match self.ask(&request::make_query(self.version, &query)?).await {
            Ok(made) => made,
            Err(error) if is_refusal(&error) => {
                tracing::info!(error = %error, "no job, listed page by page");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let last = last.map(|last| last.to_string());
        let place = Place { job: made.id, locator: None, last, most: pull.most, since, columns };
        let after = bulk::wait(JobKind::Query, pull.most.or(slice.size).unwrap_or_default(), since, since);
        Ok(Some(Page { next: Some(place.to_cursor()), after: Some(after), ..Page::default() }))
    }

    /// Goes on with a listing by a job.
    pub(super) async fn go_on_listing(
        &self,
        slice: &ResolvedSlice,
        pull: &Pull,
        place: Place,
    ) -> Result<Page, Error> {
        let n_records = place.most.or(slice.size).unwrap_or_default();
        if place.locator.is_none() {
            match self.info(JobKind::Query, &place.job).await {
                Ok(info) if info.state == JobState::JobComplete => {}
                Ok(info) if !info.state.is_over() => {
                    let after = bulk::wait(JobKind::Query, n_records, place.since, self.transport.now());
                    let next = Some(place.to_cursor());
                    return Ok(Page { next, after: Some(after), ..Page::default() });
                }
                Ok(info) => {
                    let reason = info.error_message.unwrap_or_default();
                    tracing::warn!(bulk_job = %place.job, state = info.state.as_str(), reason, "listed page by page");
                    return self.resume(slice, pull, &place, Resumed::ByIds).await;
                }
                Err(error) if error.class == Class::Gone => {
                    return self.resume(slice, pull, &place, Resumed::ByJob).await;
                }
                Err(error) => return Err(error),
            }
        }
        let request = request::query_results(self.version, &place.job, place.locator.as_deref(), bulk::PAGE);
        let answer = match self.call(&request).await {
            Ok(answer) => answer,
            // Results are kept for days, and locators too: this listing waited longer.
            Err(error) if error.class == Class::Gone || error.code == INVALID_LOCATOR => {
                return self.resume(slice, pull, &place, Resumed::ByJob).await;
            }
            Err(error) => return Err(error),
        };
        let found = bulk::records(&answer.body, &place.columns)
            .map_err(|error| garbled(&request, &answer, &error))?;
        let (records, properties): (Vec<RecordId>, Vec<_>) = found.into_iter().unzip();
        let values = Some(Values { as_of: place.since, properties });
        let locator = answer.headers.get("Sforce-Locator").filter(|locator| *locator != "null");
        let next = locator.map(|locator| {
            let n_records = u64::try_from(records.len()).unwrap_or(u64::MAX);
            let next = Place {
                locator: Some(locator.to_owned()),
                last: records.last().map(|last| last.as_str().to_owned()).or_else(|| place.last.clone()),
                most: place.most.map(|most| most.saturating_sub(n_records)),
                ..place
            };
            next.to_cursor()
        });
        Ok(Page { records, values, next, after: None })
    }

    /// Goes on after the last record of the pages before.
    async fn resume(
        &self,
        slice: &ResolvedSlice,
        pull: &Pull,
        place: &Place,
        how: Resumed,
    ) -> Result<Page, Error> {
        let last = place.last.as_deref().and_then(Id::parse);
        let pull = Pull { most: place.most, ..pull.clone() };
        let begun = match how {
            Resumed::ByJob => self.begin_listing(slice, &pull, last).await?,
            Resumed::ByIds => None,
        };
        match begun {
            Some(page) => Ok(page),
            None => self.list_above(slice, last).await,
        }
    }
}

/// How the error of a job begins whose file does not fit the object.
const INVALID_BATCH: &str = "InvalidBatch";
/// The code of a locator that is no longer good.
const INVALID_LOCATOR: &str = "INVALID_QUERY_LOCATOR";

/// Whether Salesforce understood the call and does not want it.
fn is_refusal(error: &Error) -> bool {
    const BAD_REQUEST: u16 = 400;
    error.status == Some(BAD_REQUEST)
}

/// A file that was cut off or garbled on its way: it is fetched again.
fn garbled(request: &Request, answer: &Answer, error: &csv::Error) -> Error {
    let message = format!(
        "Salesforce answered {} with a file of {} bytes that cannot be read: {error}",
        request.operation,
        answer.body.len()
    );
    Error { status: Some(answer.status), ..Error::new(Class::Transient, "unreadable_answer", message) }
}
