//! Whatever is done to the records, one thing after the other: each ends with the value of the last writer that the rules allow,
//! and every row of every run has one outcome.
//!
//! A model plays the same steps: it knows what people type, what runs write and what they found before, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use infill_model::{Outcome, RunId, RunState};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tokio::runtime::Handle;

use super::with_records;
use crate::vendors::trouble::Call;
use crate::vendors::{Tenant, Trouble};
use crate::world::{Pair, Setting, World};

/// A canary and a small batch.
const N_RECORDS: usize = 8;

/// Sequences played for each vendor on each engine pair; whoever changes a rule may want to raise it for a while.
const SEQUENCES: u32 = 2;

/// What somebody does. Numbers choose among what is there.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Somebody types a value into a record.
    Edit(usize),
    /// Runs a plan that writes a text of its own to every record.
    Run,
    /// The same, while the CRM refuses the last record.
    RunAmongRefusals,
    /// Previews, types into a record, and applies.
    Apply(usize),
    /// Runs; whoever works on it is killed while it writes, and somebody else goes on.
    Crash,
    /// Takes a run back.
    Undo(usize),
    /// Tries again what a run could not write.
    Retry(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let number = || 0..64_usize;
    let step = prop_oneof![
        2 => number().prop_map(Step::Edit),
        1 => Just(Step::Run),
        2 => Just(Step::RunAmongRefusals),
        1 => number().prop_map(Step::Apply),
        1 => Just(Step::Crash),
        3 => number().prop_map(Step::Undo),
        2 => number().prop_map(Step::Retry),
    ];
    prop::collection::vec(step, 3..8)
}

/// What a run did to a record, or tried to.
#[derive(Clone, Debug)]
struct Did {
    before: String,
    wrote: String,
}

/// What is known of a run.
#[derive(Clone, Debug)]
struct Known {
    run: RunId,
    rows: BTreeMap<String, Did>,
    /// Records with an open dead letter.
    refused: BTreeSet<String>,
}

/// What the records should hold.
#[derive(Debug)]
struct Model {
    values: BTreeMap<String, String>,
    runs: Vec<Known>,
    n_texts: usize,
}

impl Model {
    fn text(&mut self, what: &str) -> String {
        self.n_texts += 1;
        format!("{what} {}", self.n_texts)
    }

    fn record(&self, number: usize) -> String {
        self.values.keys().nth(number % N_RECORDS).expect("a record").clone()
    }

    /// A run writes a text to every record that is not held or refused.
    fn write(&mut self, run: RunId, text: &str, held: Option<&str>, refused: Option<&str>) {
        let mut rows = BTreeMap::new();
        for (record, value) in &mut self.values {
            if held == Some(record.as_str()) {
                continue;
            }
            rows.insert(record.clone(), Did { before: value.clone(), wrote: text.to_owned() });
            if refused != Some(record.as_str()) {
                text.clone_into(value);
            }
        }
        let refused = refused.into_iter().map(ToOwned::to_owned).collect();
        self.runs.push(Known { run, rows, refused });
    }

    /// What is ours still goes back to what it was; how many records hold something else.
    fn undo(&mut self, of: usize, run: RunId) -> u64 {
        let (mut rows, mut n_held) = (BTreeMap::new(), 0);
        for (record, did) in &self.runs[of].rows {
            let value = self.values.get_mut(record).expect("a record");
            if *value == did.before {
                continue;
            } else if *value == did.wrote {
                rows.insert(record.clone(), Did { before: value.clone(), wrote: did.before.clone() });
                did.before.clone_into(value);
            } else {
                n_held += 1;
            }
        }
        self.runs.push(Known { run, rows, refused: BTreeSet::new() });
        n_held
    }

    /// What could not be written is, where nobody changed it since.
    fn retry(&mut self, of: usize) {
        let known = &mut self.runs[of];
        for record in std::mem::take(&mut known.refused) {
            let value = self.values.get_mut(&record).expect("a record");
            let did = &known.rows[&record];
            if *value == did.before {
                did.wrote.clone_into(value);
            } else if *value != did.wrote {
                // It is held, so an undo leaves it alone.
                known.rows.remove(&record);
            }
        }
    }
}

/// Plays steps on a world and on the model.
struct Play<T: Tenant> {
    world: World<T>,
    model: Model,
    /// Who works on runs, on the distributed pair.
    worker: Option<usize>,
}

impl<T: Tenant> Play<T> {
    async fn begin(pair: Pair) -> Self {
        let mut world = Setting { workers: 0, ..with_records::<T>(pair, N_RECORDS) }.start().await;
        let worker = (pair == Pair::Distributed).then(|| world.spawn("worker"));
        let values = world.control.records().into_iter().map(|record| (record, String::new())).collect();
        Self { world, model: Model { values, runs: Vec::new(), n_texts: 0 }, worker }
    }

    fn target(&self) -> String {
        self.world.control.recipe().target
    }

    fn plan(&self, text: &str) -> String {
        let plan = self.world.greeting("  guard_older_than: 0");
        let greeting = plan.lines().find(|line| line.contains("return")).expect("a script").to_owned();
        plan.replace(&greeting, &format!("    inputs: {{ data_formatter: 'return \"{text}\";' }}"))
    }

    fn edit(&mut self, number: usize) -> String {
        let (record, text) = (self.model.record(number), self.model.text("Typed"));
        self.world.control.type_in(&record, &self.target(), &text);
        self.model.values.insert(record.clone(), text);
        record
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Edit(number) => {
                self.edit(number);
            }
            Step::Run => self.run(false).await,
            Step::RunAmongRefusals => self.run(true).await,
            Step::Apply(number) => self.apply(number).await,
            Step::Crash => self.crash().await,
            Step::Undo(number) => self.undo(number).await,
            Step::Retry(number) => self.retry(number).await,
        }
        for (record, value) in &self.model.values {
            let stored = self.world.control.stored(record, &self.target());
            assert_eq!(stored, *value, "record {record} after {step:?}");
        }
        for known in &self.model.runs {
            let run = self.world.find(known.run).await;
            let n_rows = self.world.rows(&run).await.len() as u64;
            assert_eq!(run.state, RunState::Completed, "{step:?}: {:?}", run.cause);
            assert_eq!(run.progress.counts.total(), n_rows, "{step:?}: a row has no outcome");
            let n_refused = run.progress.counts.of(Outcome::Failed);
            assert_eq!(n_refused, known.refused.len() as u64, "{step:?}: rows that failed");
        }
    }

    async fn run(&mut self, is_refused: bool) {
        let text = self.model.text("Ours");
        let last = self.world.nth(N_RECORDS - 1);
        if is_refused {
            self.world.meet(&[Trouble::BadRow(&last)]);
        }
        let ended = self.world.run(&self.plan(&text)).await;
        self.world.set_faults("");
        self.model.write(ended.run.id, &text, None, is_refused.then_some(last.as_str()));
    }

    async fn apply(&mut self, number: usize) {
        let text = self.model.text("Ours");
        let dry = self.world.run_with(&self.plan(&text), &["--dry-run"]).await;
        let record = self.edit(number);
        let applied = self.world.infill(&["apply", &dry.run.id.to_string()]).await;
        assert_eq!(applied.code, 1, "{}", applied.err);
        self.model.write(dry.run.id, &text, Some(&record), None);
    }

    async fn crash(&mut self) {
        let text = self.model.text("Ours");
        self.world.meet(&[Trouble::Unanswered(Call::Writing)]);
        let run = self.world.record(&self.plan(&text), &["--all"]).await;
        let killed = match self.worker {
            Some(worker) => worker,
            None => self.world.watch(),
        };
        self.world.until_struck("the run writes").await;
        self.world.kill(killed).await;
        self.world.set_faults("");
        self.worker = self.worker.map(|_| self.world.spawn("worker"));
        let resumed = self.world.infill(&["run", "--resume", &run.to_string()]).await;
        assert_eq!(resumed.code, 0, "{}", resumed.err);
        self.model.write(run, &text, None, None);
    }

    async fn undo(&mut self, number: usize) {
        let of = number % self.model.runs.len().max(1);
        let Some(known) = self.model.runs.get(of).filter(|known| !known.rows.is_empty()) else { return };
        let printed = self.world.infill(&["undo", &known.run.to_string()]).await;
        let run = self.world.latest().await;
        let n_held = self.model.undo(of, run.id);
        assert_eq!(run.progress.counts.of(Outcome::Held), n_held, "{}", printed.err);
        assert_eq!(printed.code, i32::from(n_held > 0), "{}", printed.err);
    }

    async fn retry(&mut self, number: usize) {
        let of = number % self.model.runs.len().max(1);
        let Some(known) = self.model.runs.get(of).filter(|known| !known.refused.is_empty()) else { return };
        let run = known.run.to_string();
        let printed = self.world.infill(&["dead-letters", "retry", "--run", &run, "--yes"]).await;
        assert_eq!(printed.code, 0, "{}", printed.err);
        self.world.infill(&["run", "--resume", &run]).await;
        self.world.until_final(known.run).await;
        self.model.retry(of);
    }
}

async fn play<T: Tenant>(pair: Pair, steps: Vec<Step>) {
    let mut play = Play::<T>::begin(pair).await;
    for step in steps {
        play.step(step).await;
    }
}

pub(crate) async fn every_record_ends_with_the_value_of_the_last_allowed_writer<T: Tenant>(pair: Pair) {
    let config =
        Config { cases: SEQUENCES, max_shrink_iters: 24, failure_persistence: None, ..Config::default() };
    // The same sequences each time, so that a change that breaks one is known by the change.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let played = tokio::task::block_in_place(|| {
        runner.run(&steps(), |steps| {
            Handle::current().block_on(play::<T>(pair, steps));
            Ok(())
        })
    });
    if let Err(broken) = played {
        panic!("{broken}");
    }
}
