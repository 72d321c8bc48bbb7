//! Writing against a CRM that misbehaves in every way a batch can: what is confirmed is really there, what is good is delivered, and
//! nothing is left without a standing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use async_trait::async_trait;
use infill_crm::{
    Account, Catalog, Costs, Cursor, Error, Limits, ListInfo, Page, Pull, ReadAnswer, Record, WriteAnswer,
};
use infill_model::letter::RecordAddress;
use infill_model::plan::{IfChanged, Verify, When};
use infill_model::property::{PropertyDef, PropertyKind};
use infill_model::run::{Forecast, TargetProperty};
use infill_model::slice::{ResolvedSlice, Selection};
use infill_model::{ObjectType, PropertyName, Value};
use proptest::prelude::*;

use super::*;

/// Records by id, and what goes wrong with whom.
#[derive(Debug, Default)]
struct Crooked {
    stored: Mutex<BTreeMap<u32, String>>,
    bad: BTreeSet<u32>,
    names_the_bad: bool,
    left_out: BTreeSet<u32>,
    gone: BTreeSet<u32>,
    /// Calls whose answer is lost, by number; the call is committed.
    lost: BTreeSet<usize>,
    /// Calls that are cut short, by number.
    cuts: BTreeMap<usize, Cut>,
    /// Updates are taken as a job.
    answers_later: bool,
    calls: Mutex<usize>,
    /// The values that reached the CRM, in order, by record.
    received: Mutex<BTreeMap<u32, Vec<String>>>,
}

/// How a write is cut short.
#[derive(Clone, Copy, Debug)]
struct Cut {
    /// So many records have an answer.
    answered: usize,
    /// The next one is sent, and nobody hears what became of it.
    leaves_one_open: bool,
    /// Whether that one is written.
    writes_the_open_one: bool,
    class: Class,
}

fn number(id: &RecordId) -> u32 {
    id.as_str().parse().unwrap()
}

#[async_trait]
impl Crm for Crooked {
    async fn account(&self) -> Result<Account, Error> {
        unreachable!("a write asks for no account")
    }

    fn limits(&self, _: Option<u64>) -> Limits {
        Limits {
            id_page: 250,
            lists_values: false,
            read_batch: 100,
            write_batch: 100,
            write_call: 100,
            calls_per_write: 1,
            looks: 5,
            costs: Costs::CALLS,
        }
    }

    async fn catalog(&self, _: &ObjectType) -> Result<Catalog, Error> {
        unreachable!("a write asks for no catalog")
    }

    async fn lists(&self) -> Result<Vec<ListInfo>, Error> {
        unreachable!("a write asks for no lists")
    }

    async fn resolve(&self, _: &ObjectType, _: &Selection) -> Result<ResolvedSlice, Error> {
        unreachable!("a write resolves nothing")
    }

    async fn list(&self, _: &ResolvedSlice, _: &Pull, _: Option<&Cursor>) -> Result<Page, Error> {
        unreachable!("a write lists nothing")
    }

    async fn read(
        &self,
        _: &ObjectType,
        ids: &[RecordId],
        names: &[PropertyName],
    ) -> Result<ReadAnswer, Error> {
        let stored = self.stored.lock().unwrap();
        let mut answer = ReadAnswer::default();
        for id in ids {
            if self.gone.contains(&number(id)) {
                answer.gone.push((id.clone(), Gone { survivor: None }));
                continue;
            }
            let value = stored.get(&number(id)).map_or(Value::Null, |text| text.as_str().into());
            let properties = names.iter().map(|name| (name.clone(), value.clone())).collect();
            let changed = Changed { at: Timestamp::UNIX_EPOCH, by: Some("ann".to_owned()) };
            answer.records.push(Record { id: id.clone(), properties, changed: Some(changed) });
        }
        Ok(answer)
    }

    async fn write(
        &self,
        _: &ObjectType,
        _: &[&PropertyDef],
        updates: &[Update],
        job: Option<&Job>,
    ) -> Result<Written, Error> {
        if self.answers_later && job.is_none() {
            return Ok(Written::Later { job: Job("made".to_owned()), after: Duration::ZERO });
        }
        let call = {
            let mut calls = self.calls.lock().unwrap();
            *calls += 1;
            *calls
        };
        let bad: Vec<RecordId> = updates
            .iter()
            .map(|update| &update.record)
            .filter(|id| self.bad.contains(&number(id)))
            .cloned()
            .collect();
        if !bad.is_empty() {
            let records = if self.names_the_bad { bad } else { Vec::new() };
            return Err(Error { records, ..Error::new(Class::Rejected, "INVALID_OPTION", "no such option") });
        }
        let mut answer = WriteAnswer::default();
        let cut = self.cuts.get(&call);
        for (nth, update) in updates.iter().enumerate() {
            let id = number(&update.record);
            let value = update.properties.values().next().and_then(Value::as_str).unwrap().to_owned();
            if let Some(cut) = cut.filter(|cut| cut.answered == nth) {
                let mut delivery = Delivery::Refused;
                if cut.leaves_one_open {
                    delivery = Delivery::Unknown;
                    self.received.lock().unwrap().entry(id).or_default().push(value.clone());
                    if cut.writes_the_open_one && !self.gone.contains(&id) && !self.left_out.contains(&id) {
                        self.stored.lock().unwrap().insert(id, value);
                    }
                }
                let error = Error { delivery, ..Error::new(cut.class, "cut", "cut short") };
                if nth == 0 {
                    return Err(error);
                }
                answer.cut_short = Some(error);
                return Ok(Written::Answered(answer));
            }
            self.received.lock().unwrap().entry(id).or_default().push(value.clone());
            if self.left_out.contains(&id) {
                continue;
            }
            if self.gone.contains(&id) {
                answer.gone.push((update.record.clone(), Gone { survivor: None }));
                continue;
            }
            self.stored.lock().unwrap().insert(id, value);
            answer.confirmed.push(update.record.clone());
        }
        if self.lost.contains(&call) {
            return Err(Error {
                delivery: Delivery::Unknown,
                ..Error::new(Class::Transient, "reset", "lost")
            });
        }
        answer.confirmed.reverse();
        Ok(Written::Answered(answer))
    }

    fn normalize(&self, _: &PropertyDef, value: &Value) -> Value {
        value.clone()
    }

    fn check(&self, _: &PropertyDef, _: &Value, _: &[&Properties]) -> Result<(), Refusal> {
        Ok(())
    }

    fn record_address(&self, _: &Account, _: &ObjectType) -> Option<RecordAddress> {
        None
    }
}

fn compiled(if_changed: IfChanged) -> CompiledRun {
    let property = PropertyDef {
        name: "note".into(),
        label: "Note".into(),
        kind: PropertyKind::Text,
        vendor_type: "string".into(),
        read_only: None,
        options: Vec::new(),
        external_options: false,
        options_by: None,
    };
    CompiledRun {
        time_zone: "UTC".into(),
        record_address: None,
        object: "contacts".into(),
        inputs: Vec::new(),
        targets: vec![TargetProperty {
            property,
            value: String::new(),
            when: When::default(),
            ignore_empty: false,
            if_changed,
        }],
        actions: BTreeMap::new(),
        guard_older_than_seconds: 30,
        verify: Verify::All,
        forecast: Forecast { rows: 0, calls: 0, units: 0, seconds: None, calls_left_today: None },
    }
}

fn note(text: String) -> Properties {
    Properties::from([(PropertyName::from("note"), Value::from(text))])
}

fn batch(rows: u32) -> (Vec<Row>, Vec<RowResult>) {
    (0..rows)
        .map(|id| {
            let row = Row {
                record: id.to_string().into(),
                inputs: Properties::new(),
                before: Properties::from([(PropertyName::from("note"), Value::Null)]),
                gone: None,
                refused: None,
                same_as: None,
            };
            let result = RowResult {
                state: RowState::Intended,
                wanted: note(format!("new {id}")),
                ..RowResult::default()
            };
            (row, result)
        })
        .unzip()
}

/// Writes as the stage does: again and again until nothing is intended, looking before each repeat of what may have been sent. What was
/// certainly not sent is evaluated anew, to another value.
fn drive(crm: &Crooked, rows: u32, if_changed: IfChanged) -> Vec<RowResult> {
    let compiled = compiled(if_changed);
    let (rows, mut results) = batch(rows);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for attempt in 0..16 {
        let was_begun = attempt > 0 && results.iter().any(|result| result.state == RowState::Intended);
        for i in positions(&results, |result| result.state == RowState::Pending) {
            results[i].wanted = note(format!("attempt {attempt} of {i}"));
            results[i].state = RowState::Intended;
        }
        let mut writing = Writing {
            crm,
            compiled: &compiled,
            rows: &rows,
            results: &mut results,
            now: Timestamp::UNIX_EPOCH,
            may_be_sent: was_begun,
            job: None,
            exchanged: Vec::new(),
        };
        let done = runtime.block_on(async {
            if was_begun {
                writing.guard().await?;
            }
            writing.write().await
        });
        writing.forget_unsent();
        if done.is_ok() {
            break;
        }
    }
    results
}

#[test]
fn a_record_that_a_person_changed_is_held_with_what_was_found() {
    let crm = Crooked::default();
    crm.stored.lock().unwrap().insert(1, "theirs".into());
    let compiled = compiled(IfChanged::Hold);
    let (rows, mut results) = batch(3);
    let mut writing = Writing {
        crm: &crm,
        compiled: &compiled,
        rows: &rows,
        results: &mut results,
        now: Timestamp::UNIX_EPOCH,
        may_be_sent: false,
        job: None,
        exchanged: Vec::new(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(writing.guard()).unwrap(), 3);
    runtime.block_on(writing.write()).unwrap();
    assert_eq!(results[1].state, RowState::Settled(Outcome::Held));
    assert_eq!(results[1].found["note"], "theirs");
    let cause = results[1].cause.as_ref().unwrap();
    assert_eq!((cause.class, cause.code.as_str()), (Class::Conflict, "changed_since_pull"));
    assert_eq!(cause.property.as_deref(), Some("note"));
    assert!(
        cause.message.contains("last changed at 1970-01-01T00:00:00Z by the user ann"),
        "{}",
        cause.message
    );
    assert_eq!(crm.stored.lock().unwrap()[&1], "theirs");
    assert_eq!((results[0].state, results[2].state), (RowState::Confirmed, RowState::Confirmed));
    assert!(results.iter().all(|result| result.guarded_by == Some(GuardedBy::Read)));
}

#[test]
fn what_is_sent_to_a_record_that_has_it_is_sent_again_until_it_is_confirmed() {
    let crm = Crooked { lost: BTreeSet::from([1]), ..Crooked::default() };
    let compiled = compiled(IfChanged::Hold);
    let (mut rows, mut results) = batch(2);
    rows[1].before = results[1].wanted.clone();
    crm.stored.lock().unwrap().insert(1, "new 1".into());
    let mut writing = Writing {
        crm: &crm,
        compiled: &compiled,
        rows: &rows,
        results: &mut results,
        now: Timestamp::UNIX_EPOCH,
        may_be_sent: false,
        job: None,
        exchanged: Vec::new(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    writing.trust();
    assert_eq!(runtime.block_on(writing.write()).unwrap_err().code, "reset");
    let states: Vec<RowState> = writing.results.iter().map(|result| result.state).collect();
    assert_eq!(states, [RowState::Confirmed, RowState::Intended], "the record cannot tell");
    assert_eq!(runtime.block_on(writing.guard()).unwrap(), 1);
    assert_eq!(runtime.block_on(writing.write()).unwrap(), None);
    assert_eq!(results[1].state, RowState::Confirmed);
    let guards: Vec<_> = results.iter().map(|result| result.guarded_by).collect();
    assert_eq!(guards, [Some(GuardedBy::Age), Some(GuardedBy::Read)]);
    assert_eq!(crm.received.lock().unwrap()[&1].len(), 2);
}

#[test]
fn a_record_that_is_never_confirmed_stays_intended_for_the_next_attempt() {
    let crm = Crooked { left_out: BTreeSet::from([2]), ..Crooked::default() };
    let results = drive(&crm, 5, IfChanged::Hold);
    assert_eq!(results[2].state, RowState::Intended);
    assert!(results.iter().enumerate().all(|(id, result)| id == 2 || result.state == RowState::Confirmed));
}

#[test]
fn a_throttled_rest_waits_and_what_was_confirmed_stays() {
    let cut =
        Cut { answered: 2, leaves_one_open: false, writes_the_open_one: false, class: Class::Throttled };
    let crm = Crooked { cuts: BTreeMap::from([(1, cut)]), ..Crooked::default() };
    let compiled = compiled(IfChanged::Hold);
    let (rows, mut results) = batch(4);
    let mut writing = Writing {
        crm: &crm,
        compiled: &compiled,
        rows: &rows,
        results: &mut results,
        now: Timestamp::UNIX_EPOCH,
        may_be_sent: false,
        job: None,
        exchanged: Vec::new(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let error = runtime.block_on(writing.write()).unwrap_err();
    assert_eq!(error.class, Class::Throttled);
    writing.forget_unsent();
    let states: Vec<RowState> = results.iter().map(|result| result.state).collect();
    assert_eq!(states, [RowState::Confirmed, RowState::Confirmed, RowState::Pending, RowState::Pending]);
    assert_eq!(*crm.calls.lock().unwrap(), 1);
}

#[test]
fn a_job_is_kept_until_it_answers_and_its_rows_stay_intended() {
    let crm = Crooked { answers_later: true, lost: BTreeSet::from([1]), ..Crooked::default() };
    let compiled = compiled(IfChanged::Hold);
    let (rows, mut results) = batch(3);
    let mut writing = Writing {
        crm: &crm,
        compiled: &compiled,
        rows: &rows,
        results: &mut results,
        now: Timestamp::UNIX_EPOCH,
        may_be_sent: false,
        job: None,
        exchanged: Vec::new(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(writing.write()).unwrap(), Some(Duration::ZERO));
    assert_eq!((writing.job.clone(), *crm.calls.lock().unwrap()), (Some(Job("made".to_owned())), 0));
    // An error about the job leaves it, and nobody reads its rows back: it tells itself.
    assert_eq!(runtime.block_on(writing.write()).unwrap_err().code, "reset");
    assert_eq!(writing.job, Some(Job("made".to_owned())));
    writing.forget_unsent();
    assert!(writing.results.iter().all(|result| result.state == RowState::Intended));
    assert_eq!(runtime.block_on(writing.write()).unwrap(), None);
    assert_eq!(writing.job, None);
    assert!(results.iter().all(|result| result.state == RowState::Confirmed));
}

fn any_cut() -> impl Strategy<Value = Cut> {
    let class = prop_oneof![
        Just(Class::Transient),
        Just(Class::Throttled),
        Just(Class::Unauthorized),
        Just(Class::Configuration),
        Just(Class::Bug),
    ];
    (0_usize..30, any::<bool>(), any::<bool>(), class).prop_map(
        |(answered, leaves_one_open, writes_the_open_one, class)| Cut {
            answered,
            leaves_one_open,
            writes_the_open_one,
            class,
        },
    )
}

proptest! {
    #[test]
    fn a_cut_short_answer_never_loses_or_doubles_a_row(
        rows in 1_u32..40,
        gone in prop::collection::btree_set(0_u32..40, 0..4),
        lost in prop::collection::btree_set(1_usize..8, 0..3),
        cuts in prop::collection::btree_map(1_usize..8, any_cut(), 0..6),
        hold: bool,
    ) {
        let crm = Crooked { gone, lost, cuts, ..Crooked::default() };
        let results = drive(&crm, rows, if hold { IfChanged::Hold } else { IfChanged::Overwrite });
        let stored = crm.stored.lock().unwrap();
        let received = crm.received.lock().unwrap();
        for (id, result) in (0_u32..).zip(&results) {
            if crm.gone.contains(&id) {
                prop_assert_eq!(result.state, RowState::Settled(Outcome::Gone), "record {}", id);
                continue;
            }
            prop_assert_eq!(result.state, RowState::Confirmed, "record {}", id);
            let wanted = result.wanted["note"].as_str().unwrap();
            prop_assert_eq!(stored[&id].as_str(), wanted);
            let values: BTreeSet<&String> = received[&id].iter().collect();
            prop_assert_eq!(values.len(), 1, "record {} was sent two values: {:?}", id, values);
            let n_open = crm.cuts.values().filter(|cut| cut.leaves_one_open && !cut.writes_the_open_one).count();
            prop_assert!(received[&id].len() <= 1 + n_open, "record {}: {:?}", id, received[&id]);
        }
    }

    #[test]
    fn what_is_confirmed_is_there_and_what_is_good_is_delivered(
        rows in 1_u32..60,
        bad in prop::collection::btree_set(0_u32..60, 0..6),
        names_the_bad: bool,
        gone in prop::collection::btree_set(0_u32..60, 0..4),
        lost in prop::collection::btree_set(1_usize..8, 0..4),
        hold: bool,
    ) {
        let gone: BTreeSet<u32> = gone.difference(&bad).copied().collect();
        let crm = Crooked { bad, names_the_bad, gone, lost, ..Crooked::default() };
        let results = drive(&crm, rows, if hold { IfChanged::Hold } else { IfChanged::Overwrite });
        let stored = crm.stored.lock().unwrap();
        for (id, result) in (0_u32..).zip(&results) {
            let expected = if crm.bad.contains(&id) {
                RowState::Settled(Outcome::Failed)
            } else if crm.gone.contains(&id) {
                RowState::Settled(Outcome::Gone)
            } else {
                RowState::Confirmed
            };
            prop_assert_eq!(result.state, expected, "record {}", id);
            let is_there = stored.get(&id).is_some_and(|value| *value == format!("new {id}"));
            prop_assert_eq!(is_there, result.state == RowState::Confirmed, "record {}", id);
        }
    }
}
