//! Writing the intended rows of one batch: one bad row never sinks it, and a row is confirmed only when its own id was seen.

use std::collections::HashMap;
use std::time::Duration;

use infill_crm::{Changed, Crm, Delivery, Exchanged, Job, Refusal, Update, WriteAnswer, Written};
use infill_model::error::Class;
use infill_model::row::{Cause, Gone, GuardedBy, RowState};
use infill_model::{CompiledRun, Outcome, Properties, PropertyName, RecordId, Row, RowResult, Timestamp};
use infill_rules::bisect::split;
use infill_rules::guard::{Guarded, guard, is_written};
use infill_rules::settle::{Standing, settle};

use crate::letter::{fail, rejected};
use crate::verdict::cause_of;

/// One batch in the hands of one handler.
pub(crate) struct Writing<'a> {
    pub(crate) crm: &'a dyn Crm,
    pub(crate) compiled: &'a CompiledRun,
    pub(crate) rows: &'a [Row],
    pub(crate) results: &'a mut [RowResult],
    pub(crate) now: Timestamp,
    /// Some intended row may have been sent: by whoever had the batch before, or by a call whose answer was lost.
    pub(crate) may_be_sent: bool,
    /// What the CRM carries out for the intended rows by itself.
    pub(crate) job: Option<Job>,
    /// The calls so far in which rows were refused.
    pub(crate) exchanged: Vec<Exchanged>,
}

impl Writing<'_> {
    /// The rows still to be written, by position.
    fn intended(&self) -> Vec<usize> {
        positions(self.results, |result| result.state == RowState::Intended)
    }

    /// The same rows, those of one parent side by side; else in their order.
    fn siblings_together(&self, mut rows: Vec<usize>) -> Vec<usize> {
        rows.sort_by_cached_key(|i| {
            self.row(*i)
                .and_then(|(row, result)| self.crm.parent(&[&result.wanted, &row.before, &row.inputs]))
        });
        rows
    }

    fn row(&self, i: usize) -> Option<(&Row, &RowResult)> {
        Some((self.rows.get(i)?, self.results.get(i)?))
    }

    fn with(&mut self, i: usize, change: impl FnOnce(&mut RowResult)) {
        if let Some(result) = self.results.get_mut(i) {
            change(result);
        }
    }

    /// Reads the targets of these rows.
    async fn read(&self, rows: &[usize]) -> Result<Look, infill_crm::Error> {
        let ids: Vec<RecordId> =
            rows.iter().filter_map(|i| self.rows.get(*i)).map(|row| row.record.clone()).collect();
        read_targets(self.crm, self.compiled, &ids).await
    }

    /// The guard: reads the targets of the intended rows and takes out those that a person changed meanwhile, those that are gone, and
    /// those that hold our value already. Says how many rows were read.
    pub(crate) async fn guard(&mut self) -> Result<usize, infill_crm::Error> {
        let rows = self.intended();
        if rows.is_empty() {
            return Ok(0);
        }
        let mut look = self.read(&rows).await?;
        self.mark(&rows, GuardedBy::Read);
        for i in &rows {
            let Some((row, result)) = self.row(*i) else { continue };
            match look.take(&row.record) {
                Looked::Gone(gone) => self.with(*i, |result| settle_gone(result, gone)),
                Looked::Found(found, changed) => {
                    let normalize = |property: &_, value: &_| self.crm.normalize(property, value);
                    let targets = &self.compiled.targets;
                    match guard(targets, &result.wanted, &row.before, &found, &normalize) {
                        Guarded::Write => {}
                        Guarded::AlreadyThere => self.with(*i, |result| {
                            (result.state, result.found) = (RowState::Confirmed, Properties::new());
                        }),
                        Guarded::Hold(targets) => {
                            let cause = held(row, &targets, changed.as_ref(), self.now);
                            self.with(*i, |result| {
                                (result.state, result.found) = (RowState::Settled(Outcome::Held), found);
                                result.cause = Some(cause);
                            });
                        }
                    }
                }
            }
        }
        Ok(rows.len())
    }

    /// The guard of before-images that are young enough: nothing is read.
    pub(crate) fn trust(&mut self) {
        self.mark(&self.intended(), GuardedBy::Age);
    }

    fn mark(&mut self, rows: &[usize], by: GuardedBy) {
        for i in rows {
            self.with(*i, |result| result.guarded_by = Some(by));
        }
    }

    /// Writes the intended rows, bisecting what is refused as a whole. On an error, rows that settled before it stay settled
    /// and the rest stays intended. When the CRM answers later, says after how long: keep the job and come again with it.
    pub(crate) async fn write(&mut self) -> Result<Option<Duration>, infill_crm::Error> {
        let targets: Vec<_> = self.compiled.targets.iter().map(|target| &target.property).collect();
        let mut parts = vec![self.siblings_together(self.intended())];
        while let Some(part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            let (left_out, error) = match self
                .crm
                .write(&self.compiled.object, &targets, &self.updates(&part), self.job.as_ref())
                .await
            {
                Ok(Written::Answered(mut answer)) => {
                    // A job tells of every row that went with it; what it does not know is looked for below.
                    if self.job.take().is_some() {
                        self.may_be_sent = false;
                    }
                    let cut_short = answer.cut_short.take();
                    self.exchanged.append(&mut answer.exchanged);
                    (self.settle(part, answer), cut_short)
                }
                Ok(Written::Later { job, after }) => {
                    self.job = Some(job);
                    self.may_be_sent = true;
                    return Ok(Some(after));
                }
                // What became of its rows, the job itself tells at the next attempt.
                Err(error) if self.job.is_some() => return Err(error),
                Err(error) => (part, Some(error)),
            };
            self.exchanged.extend(error.as_ref().and_then(|error| error.exchanged.as_deref().cloned()));
            match error {
                None => self.look_for_unconfirmed(&left_out).await?,
                Some(error) if is_about_rows(error.class) => parts.extend(self.halve(left_out, &error)),
                Some(error) => {
                    if error.delivery == Delivery::Unknown {
                        self.look_for_unconfirmed(&left_out).await?;
                    }
                    let is_left = left_out.iter().any(|i| {
                        self.results.get(*i).is_some_and(|result| result.state == RowState::Intended)
                    });
                    if is_left {
                        return Err(error);
                    }
                }
            }
        }
        // A row that came back neither confirmed nor refused, and whose record does not hold our value, is tried again.
        if self.intended().is_empty() {
            return Ok(None);
        }
        let message =
            "the CRM answered without confirming every record, and a read shows that they were not written";
        Err(infill_crm::Error::new(Class::Transient, "unconfirmed", message))
    }

    /// Settles the rows of a part that have an answer; gives those that were left out.
    fn settle(&mut self, part: Vec<usize>, answer: WriteAnswer) -> Vec<usize> {
        let sent: Vec<RecordId> =
            part.iter().filter_map(|i| self.rows.get(*i)).map(|row| row.record.clone()).collect();
        let standings = settle(&sent, &answer.confirmed, answer.refused, answer.gone);
        let mut left_out = Vec::new();
        for (i, (_, standing)) in part.into_iter().zip(standings) {
            match standing {
                Standing::Confirmed => self.with(i, |result| result.state = RowState::Confirmed),
                Standing::Refused(refusal) => self.refuse(i, refusal),
                Standing::Gone(gone) => self.with(i, |result| settle_gone(result, gone)),
                Standing::Unconfirmed => left_out.push(i),
            }
        }
        left_out
    }

    /// Settles the guilty rows of a refused part; gives the parts to send again.
    fn halve(&mut self, part: Vec<usize>, error: &infill_crm::Error) -> Vec<Vec<usize>> {
        let named = |i: &usize| self.rows.get(*i).is_some_and(|row| error.records.contains(&row.record));
        let split = split(part, named);
        let now = self.now;
        for i in split.guilty {
            self.with(i, |result| refuse_with(result, error, now));
        }
        split.again
    }

    /// Takes the intent back of rows that were certainly not sent: nobody need wonder about them later.
    pub(crate) fn forget_unsent(&mut self) {
        if self.may_be_sent {
            return;
        }
        for i in self.intended() {
            self.with(i, |result| (result.state, result.guarded_by) = (RowState::Pending, None));
        }
    }

    /// Reads back rows that the vendor may have written all the same: those that show our value are confirmed, those that are gone
    /// are gone, the rest stays intended. When even that cannot be read, the next attempt looks before it writes.
    async fn look_for_unconfirmed(&mut self, rows: &[usize]) -> Result<(), infill_crm::Error> {
        if rows.is_empty() {
            return Ok(());
        }
        self.may_be_sent = true;
        let mut look = self.read(rows).await?;
        for i in rows {
            let Some((row, result)) = self.row(*i) else { continue };
            match look.take(&row.record) {
                Looked::Gone(gone) => self.with(*i, |result| settle_gone(result, gone)),
                Looked::Found(found, _) => {
                    let normalize = |property: &_, value: &_| self.crm.normalize(property, value);
                    let targets = &self.compiled.targets;
                    if is_written(targets, &result.wanted, &row.before, &found, &normalize) {
                        self.with(*i, |result| result.state = RowState::Confirmed);
                    }
                }
            }
        }
        Ok(())
    }

    fn updates(&self, part: &[usize]) -> Vec<Update> {
        part.iter()
            .filter_map(|i| self.row(*i))
            .map(|(row, result)| Update { record: row.record.clone(), properties: result.wanted.clone() })
            .collect()
    }

    fn refuse(&mut self, i: usize, refusal: Refusal) {
        let now = self.now;
        self.with(i, |result| fail(result, rejected(refusal, now)));
    }
}

/// A refusal of the whole batch that rows are guilty of, rather than the call.
const fn is_about_rows(class: Class) -> bool {
    match class {
        Class::Rejected | Class::Conflict | Class::Gone => true,
        Class::Transient | Class::Throttled | Class::Unauthorized | Class::Configuration | Class::Bug => {
            false
        }
    }
}

fn refuse_with(result: &mut RowResult, error: &infill_crm::Error, now: Timestamp) {
    if error.class == Class::Gone {
        settle_gone(result, Gone { survivor: None });
    } else {
        fail(result, cause_of(error, now));
    }
}

/// Why a row is held, and what to do about it.
fn held(row: &Row, targets: &[PropertyName], changed: Option<&Changed>, now: Timestamp) -> Cause {
    let names: Vec<&str> = targets.iter().map(PropertyName::as_str).collect();
    Cause {
        class: Class::Conflict,
        code: "changed_since_pull".into(),
        message: format!(
            "{} of record {} changed after the row was pulled{}; nothing was sent: run the plan again to start from what is there \
             now, or let it say if_changed: overwrite",
            names.join(", "),
            row.record,
            last_change(changed)
        ),
        property: names.first().map(|name| (*name).to_owned()),
        correlation_id: None,
        at: Some(now),
    }
}

/// When and by whom a record was last changed, to follow a sentence about it; nothing where the vendor does not say.
pub(crate) fn last_change(changed: Option<&Changed>) -> String {
    match changed {
        None => String::new(),
        Some(Changed { at, by: None }) => format!(" (the record was last changed at {at})"),
        Some(Changed { at, by: Some(by) }) => {
            format!(" (the record was last changed at {at} by the user {by})")
        }
    }
}

/// Settles a row whose record is gone.
pub(crate) fn settle_gone(result: &mut RowResult, gone: Gone) {
    result.state = RowState::Settled(Outcome::Gone);
    result.survivor = gone.survivor;
}

/// The positions of the results that fit.
pub(crate) fn positions(results: &[RowResult], fits: impl Fn(&RowResult) -> bool) -> Vec<usize> {
    results.iter().enumerate().filter(|(_, result)| fits(result)).map(|(i, _)| i).collect()
}

/// What records hold now.
pub(crate) struct Look {
    records: HashMap<RecordId, (Properties, Option<Changed>)>,
    gone: HashMap<RecordId, Gone>,
}

/// What one record holds now.
pub(crate) enum Looked {
    /// Its targets, and when it was last changed where the vendor says.
    Found(Properties, Option<Changed>),
    /// Nothing: it is gone.
    Gone(Gone),
}

impl Look {
    /// Takes out one record. A connector answers for every id asked for; one it forgot counts as gone.
    pub(crate) fn take(&mut self, record: &RecordId) -> Looked {
        match self.records.remove(record) {
            Some((found, changed)) => Looked::Found(found, changed),
            None => Looked::Gone(self.gone.remove(record).unwrap_or(Gone { survivor: None })),
        }
    }
}

/// Reads the target properties of records by id, in the CRM's largest reads.
pub(crate) async fn read_targets(
    crm: &dyn Crm,
    compiled: &CompiledRun,
    ids: &[RecordId],
) -> Result<Look, infill_crm::Error> {
    let properties: Vec<_> = compiled.targets.iter().map(|target| target.property.name.clone()).collect();
    let size = usize::try_from(crm.limits(None).read_batch.max(1)).unwrap_or(usize::MAX);
    let mut look = Look { records: HashMap::with_capacity(ids.len()), gone: HashMap::new() };
    for ids in ids.chunks(size) {
        let answer = crm.read(&compiled.object, ids, &properties).await?;
        look.records.extend(
            answer.records.into_iter().map(|record| (record.id, (record.properties, record.changed))),
        );
        look.gone.extend(answer.gone);
    }
    Ok(look)
}

#[cfg(test)]
mod tests;
