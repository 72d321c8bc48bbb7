//! `infill why`: why a record holds what it holds.
//!
//! Finds the rows of one record in all runs on its connection, newest first, and reads the record once.

use std::collections::BTreeSet;

use anyhow::Context;
use infill_crm::Crm;
use infill_model::row::{Cause, RowState, Written};
use infill_model::{
    Cell, Outcome, Properties, PropertyName, RecordId, Row, RowResult, RunId, Timestamp, Value,
};
use infill_rules::undo::{Holds, holds};
use infill_store::Store;
use infill_store::store::{Place, Run};
use serde::Serialize;

use crate::args::Format;
use crate::args::trail::Why;
use crate::compose::Parts;
use crate::exit::Exit;
use crate::render;

mod print;

/// Places asked for at once.
const PLACES: u32 = 100;

/// Says why.
pub(crate) async fn why(parts: &Parts, args: &Why) -> anyhow::Result<Exit> {
    let crm = parts.connections.connect(&args.connection).await?;
    let sought = Sought { args, store: parts.store.as_ref() };
    let traces = sought.traces().await?;
    let names = sought.names(&traces);
    let (found, record) = read(crm.as_ref(), args, &names).await?;
    let account = crm.account().await.with_context(|| format!("connection {}", args.connection))?;
    let story = Story {
        connection: args.connection.as_str(),
        object: args.object.as_str(),
        url: crm.record_address(&account, &args.object).map(|address| address.of(&record)),
        record,
        properties: names.iter().map(|name| now(name, found.as_ref(), &traces, crm.as_ref())).collect(),
        gone: found.is_none(),
        purged_runs: sought.n_purged().await?,
        runs: traces.iter().map(|trace| trace.view(args.property.as_ref())).collect(),
    };
    let mut out = std::io::stdout().lock();
    match args.format {
        Format::Json => render::write_json(&mut out, &story)?,
        Format::Table => print::write(&mut out, &story)?,
    }
    Ok(Exit::Well)
}

/// What a record holds now, with its id as the CRM spells it; `None` when it is gone. Nothing is asked for no property.
async fn read(
    crm: &dyn Crm,
    args: &Why,
    names: &BTreeSet<PropertyName>,
) -> anyhow::Result<(Option<Properties>, RecordId)> {
    if names.is_empty() {
        return Ok((Some(Properties::new()), args.record.clone()));
    }
    let names: Vec<PropertyName> = names.iter().cloned().collect();
    let answer = crm
        .read(&args.object, std::slice::from_ref(&args.record), &names)
        .await
        .with_context(|| format!("connection {}", args.connection))?;
    let found = answer.records.into_iter().next();
    Ok(found.map_or((None, args.record.clone()), |record| (Some(record.properties), record.id)))
}

/// A row of the record, in its run.
#[derive(Debug)]
struct Trace {
    run: Run,
    row: Row,
    result: RowResult,
    pulled_at: Timestamp,
    saved_at: Option<Timestamp>,
}

/// What is looked for, and where.
struct Sought<'a> {
    args: &'a Why,
    store: &'a dyn Store,
}

impl Sought<'_> {
    /// The rows by which a run wrote the record or meant to, newest run first.
    async fn traces(&self) -> anyhow::Result<Vec<Trace>> {
        let Why { connection, record, .. } = self.args;
        let mut traces = Vec::new();
        let mut after = None;
        loop {
            let places = self.store.places(connection, record, after, PLACES).await?;
            let Some(last) = places.last() else { return Ok(traces) };
            after = Some(*last);
            for place in &places {
                traces.extend(self.trace(*place).await?);
            }
        }
    }

    async fn trace(&self, place: Place) -> anyhow::Result<Option<Trace>> {
        let Some(run) = self.store.run(place.run).await? else { return Ok(None) };
        // A preview has written nothing that a record could hold.
        if run.plan.source.object != self.args.object || run.is_unwritten_preview() {
            return Ok(None);
        }
        let before = place.batch.0.checked_sub(1).map(infill_model::BatchNo);
        let batch =
            self.store.batches(place.run, before, 1).await?.into_iter().find(|it| it.no == place.batch);
        let Some(batch) = batch else { return Ok(None) };
        let stands = batch.rows.iter().position(|row| row.record == self.args.record);
        let Some((row, result)) = stands.and_then(|at| batch.rows.get(at).zip(batch.results.get(at))) else {
            return Ok(None);
        };
        let is_meant = match &self.args.property {
            Some(name) => result.wanted.contains_key(name),
            None => !result.wanted.is_empty(),
        };
        let (pulled_at, saved_at) = (batch.pulled_at, batch.saved_at);
        Ok(is_meant.then(|| Trace { run, row: row.clone(), result: result.clone(), pulled_at, saved_at }))
    }

    /// The property that is asked for, or all that were meant to be written.
    fn names(&self, traces: &[Trace]) -> BTreeSet<PropertyName> {
        match &self.args.property {
            Some(name) => BTreeSet::from([name.clone()]),
            None => traces.iter().flat_map(|trace| trace.result.wanted.keys().cloned()).collect(),
        }
    }

    /// Runs on these records whose values are gone, so that nobody knows whether they wrote this one.
    async fn n_purged(&self) -> anyhow::Result<u64> {
        let runs = self.store.runs(&infill_store::store::RunFilter::default()).await?;
        let is_meant = |run: &&Run| {
            run.purged_at.is_some()
                && run.plan.connection == self.args.connection
                && run.plan.source.object == self.args.object
        };
        Ok(runs.iter().filter(is_meant).fold(0, |n, _| n + 1))
    }
}

impl Trace {
    /// What the run wrote, or meant to.
    fn written(&self) -> Written {
        let before = self.row.before.clone();
        Written { wrote: self.result.wanted.clone(), before }
    }

    /// Whose value the property holds, seen from this run; `None` when the run does not know the property.
    fn holds(&self, name: &PropertyName, found: &Properties, crm: &dyn Crm) -> Option<Holds> {
        let target =
            self.run.compiled.as_ref()?.targets.iter().find(|target| target.property.name == *name)?;
        let normalize = |property: &_, value: &_| crm.normalize(property, value);
        holds(target, &self.written(), found, &normalize)
    }

    /// Whether the property was written by this run: certainly, or it failed and the record holds its value all the same.
    fn wrote(&self, name: &PropertyName, found: Option<&Properties>, crm: &dyn Crm) -> bool {
        self.result.wanted.contains_key(name)
            && match self.result.state {
                RowState::Settled(Outcome::Verified | Outcome::Written | Outcome::Differs)
                | RowState::Confirmed => true,
                RowState::Settled(Outcome::Failed) | RowState::Intended => {
                    found.is_some_and(|found| self.holds(name, found, crm) == Some(Holds::Ours))
                }
                RowState::Settled(Outcome::Unchanged | Outcome::Skipped | Outcome::Held | Outcome::Gone)
                | RowState::Pending
                | RowState::Refused => false,
            }
    }

    fn view(&self, only: Option<&PropertyName>) -> TraceView<'_> {
        let changes = self
            .result
            .wanted
            .iter()
            .filter(|(name, _)| only.is_none_or(|only| only == *name))
            .map(|(name, wanted)| ChangeView {
                property: name,
                before: self.row.before.get(name),
                wanted,
                found: self.result.found.get(name),
            })
            .collect();
        TraceView {
            run: self.run.id,
            plan_name: &self.run.plan.name,
            undoes: self.run.plan.source.undoes,
            outcome: self.result.outcome(),
            started_at: self.run.created_at,
            pulled_at: self.pulled_at,
            settled_at: self.saved_at,
            changes,
            inputs: self.run.plan.source.undoes.is_none().then_some(&self.row.inputs),
            cells: &self.result.cells,
            cause: self.result.cause.as_ref(),
        }
    }
}

/// What a property holds now, and whose it is.
fn now<'a>(
    name: &'a PropertyName,
    found: Option<&'a Properties>,
    traces: &'a [Trace],
    crm: &dyn Crm,
) -> NowView<'a> {
    let writer = traces.iter().find(|trace| trace.wrote(name, found, crm));
    let holds = writer.zip(found).and_then(|(trace, found)| trace.holds(name, found, crm));
    NowView {
        property: name,
        value: found.and_then(|found| found.get(name)),
        written_by: writer.map(|trace| WriterView {
            run: trace.run.id,
            plan_name: &trace.run.plan.name,
            at: trace.saved_at.unwrap_or(trace.pulled_at),
        }),
        standing: holds.map(|holds| match holds {
            Holds::Ours => Standing::Ours,
            Holds::Before => Standing::AsBefore,
            Holds::Other => Standing::ChangedSince,
        }),
    }
}

/// The answer, as programs read it.
#[derive(Debug, Serialize)]
struct Story<'a> {
    connection: &'a str,
    object: &'a str,
    record: RecordId,
    /// Where a person opens the record.
    url: Option<String>,
    /// The record is no longer there.
    gone: bool,
    properties: Vec<NowView<'a>>,
    runs: Vec<TraceView<'a>>,
    /// Runs on the same kind of record whose values are purged.
    purged_runs: u64,
}

/// A property as it is now.
#[derive(Debug, Serialize)]
struct NowView<'a> {
    property: &'a PropertyName,
    value: Option<&'a Value>,
    /// The last run that wrote it.
    written_by: Option<WriterView<'a>>,
    /// Whose value it is, seen from that run.
    standing: Option<Standing>,
}

#[derive(Debug, Serialize)]
struct WriterView<'a> {
    run: RunId,
    plan_name: &'a str,
    at: Timestamp,
}

/// Whose value a property holds, seen from the last run that wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Standing {
    /// The run's.
    Ours,
    /// The one from before the run.
    AsBefore,
    /// Somebody else's.
    ChangedSince,
}

/// What one run did, or meant to do.
#[derive(Debug, Serialize)]
struct TraceView<'a> {
    run: RunId,
    plan_name: &'a str,
    /// The run that it took back.
    undoes: Option<RunId>,
    outcome: Option<Outcome>,
    started_at: Timestamp,
    pulled_at: Timestamp,
    settled_at: Option<Timestamp>,
    changes: Vec<ChangeView<'a>>,
    /// What the chain read; `None` for an undo, which has none.
    inputs: Option<&'a Properties>,
    cells: &'a [Cell],
    cause: Option<&'a Cause>,
}

/// One property in one run.
#[derive(Debug, Serialize)]
struct ChangeView<'a> {
    property: &'a PropertyName,
    before: Option<&'a Value>,
    wanted: &'a Value,
    found: Option<&'a Value>,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};
    use crate::sample;

    fn asked(line: &str) -> Why {
        match Args::try_parse_from(line.split(' ')).map(|args| args.command) {
            Ok(Command::Why(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    /// The answer about a record that is gone by now.
    async fn said(store: &dyn Store, line: &str) -> String {
        let args = asked(line);
        let traces = Sought { args: &args, store }.traces().await.unwrap();
        let story = Story {
            connection: args.connection.as_str(),
            object: args.object.as_str(),
            record: args.record.clone(),
            url: None,
            gone: true,
            properties: Vec::new(),
            runs: traces.iter().map(|trace| trace.view(args.property.as_ref())).collect(),
            purged_runs: 2,
        };
        let mut out = Vec::new();
        print::write(&mut out, &story).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[tokio::test]
    async fn a_run_that_meant_to_write_a_record_says_why_it_did_not() {
        let (store, run) = sample::store_with_rows().await;
        let said = said(&*store, "infill why main contacts 102").await;
        for part in [
            "contacts 102 on main",
            "no longer there",
            &format!("failed  \"Phones\", run {}", run.id),
            "phone: (empty) → 1\\u{1b}[2J, refused or out of tries",
            "why: Zoë's \"phone\", is no number (INVALID)",
            "the values of 2 runs on contacts of this connection were purged",
        ] {
            assert!(said.contains(part), "{part} in {said}");
        }
    }

    #[tokio::test]
    async fn only_what_is_asked_for_is_answered() {
        let (store, _) = sample::store_with_rows().await;
        for line in [
            "infill why main contacts 102 email",
            "infill why main companies 102",
            "infill why other contacts 102",
            "infill why main contacts 103",
            "infill why main contacts 1019",
        ] {
            let said = said(&*store, line).await;
            assert!(said.contains("no run in this store wrote it, or meant to"), "{line}: {said}");
        }
        let said = said(&*store, "infill why main contacts 101 phone").await;
        assert!(said.contains("(202) 225-2801 → +12022252801, read back and equal"), "{said}");
    }
}
