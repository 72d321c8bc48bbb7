//! A world of its own for each test: a simulated portal (or another vendor's account), a folder with plan and configuration, a
//! store, and on the distributed pair a planner and workers as real processes.

mod process;
mod time;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use infill_model::outcome::Counts;
use infill_model::{Outcome, Row, RowResult, RunState, value};
use infill_sim::hubspot::{self, Operation};
use infill_store::store::{Letter, LetterFilter, Run, RunFilter};
use infill_store::{Postgres, Sqlite, Store};
use infill_testkit::SystemClock;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::login::VAULT_KEY;
use crate::vendors::{App, Tenant};

/// How long anything may take before a test gives up on it. Generous: it is a bound, not a measurement.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// The engine pair a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pair {
    /// In-process broker, SQLite.
    Embedded,
    /// RabbitMQ, PostgreSQL.
    Distributed,
}

/// What a world is made from. The vendor is HubSpot unless a case is about all of them.
#[derive(Debug)]
pub(crate) struct Setting<T: Tenant = hubspot::Control> {
    pub(crate) pair: Pair,
    /// The portal, or what the vendor calls it.
    pub(crate) portal: T::Config,
    /// Worker processes on the distributed pair.
    pub(crate) workers: usize,
    /// Lines added under `[connections.main]`.
    pub(crate) connection: String,
    /// Environment of every process, such as secrets.
    pub(crate) env: Vec<(String, String)>,
    /// Another RabbitMQ and PostgreSQL than the shared ones, for tests that stop them.
    pub(crate) services: Option<(String, String)>,
    /// The API address the product is given, when it is not the portal's own (a proxy in between).
    pub(crate) base_url: Option<String>,
}

impl Setting {
    pub(crate) fn new(pair: Pair) -> Self {
        let portal = hubspot::Config { limits: hubspot::Limits::unlimited(), ..hubspot::Config::default() };
        Self::of(pair, portal)
    }

    /// A portal with so many made-up contacts, all of them in list 42.
    pub(crate) fn contacts(mut self, n_contacts: usize) -> Self {
        self.portal.records = hubspot::Source::Generate(n_contacts);
        self
    }

    pub(crate) fn faults(mut self, spec: &str) -> Self {
        self.portal.faults = spec.parse().expect("a fault specification");
        self
    }
}

impl<T: Tenant> Setting<T> {
    /// A world around this portal, with nothing out of the ordinary.
    pub(crate) fn of(pair: Pair, portal: T::Config) -> Self {
        let connection = T::UNMETERED.to_owned();
        Self { pair, portal, workers: 2, connection, env: Vec::new(), services: None, base_url: None }
    }

    /// Adds lines under `[connections.main]`.
    pub(crate) fn connection(mut self, lines: &str) -> Self {
        self.connection.push_str(lines);
        self
    }

    /// The connection logs in with OAuth.
    pub(crate) fn with_login(self) -> Self {
        let App { client_id, client_secret, refresh_token } = T::APP;
        let mut setting = self.connection(&format!(
            "[connections.main.oauth]\nclient_id = \"{client_id}\"\nclient_secret_env = \"SIM_CLIENT_SECRET\"\n\
             refresh_token_env = \"SIM_REFRESH_TOKEN\"\n"
        ));
        let secrets = [
            ("SIM_CLIENT_SECRET", client_secret),
            ("SIM_REFRESH_TOKEN", refresh_token),
            ("INFILL_SECRET_KEY", VAULT_KEY),
        ];
        setting.env.extend(secrets.map(|(name, secret)| (name.to_owned(), secret.to_owned())));
        setting
    }

    pub(crate) async fn start(self) -> World<T> {
        World::start(self).await
    }
}

/// A test's world.
#[derive(Debug)]
pub(crate) struct World<T: Tenant = hubspot::Control> {
    pub(crate) pair: Pair,
    /// Serves as long as it is held.
    _portal: T::Simulator,
    pub(crate) control: T,
    pub(crate) store: Arc<dyn Store>,
    dir: TempDir,
    env: Vec<(String, String)>,
    schema: Option<Schema>,
    /// Planner first, then workers.
    pub(crate) crew: Vec<Child>,
}

#[derive(Debug)]
struct Schema {
    database_url: String,
    name: String,
    amqp_url: String,
    prefix: String,
}

static WORLDS: AtomicU32 = AtomicU32::new(0);

impl World {
    /// Batch updates that arrived at the portal.
    pub(crate) fn batch_updates(&self) -> u64 {
        self.control.report().calls(Operation::BatchUpdate).received
    }
}

impl<T: Tenant> World<T> {
    async fn start(setting: Setting<T>) -> Self {
        let (portal, address, control) = T::serve(setting.portal).await;
        let dir = TempDir::new().expect("a folder");
        let mut env = setting.env;
        env.push(("SIM_TOKEN".into(), T::TOKEN.into()));
        let name = format!("e2e_{}_{}", std::process::id(), WORLDS.fetch_add(1, Ordering::Relaxed));
        let (engine, schema) = match setting.pair {
            Pair::Embedded => {
                ("[engine]\nkind = \"embedded\"\n[store]\npath = \"infill.db\"\n".to_owned(), None)
            }
            Pair::Distributed => {
                let (amqp_url, database_url) = setting.services.unwrap_or_else(shared_services);
                env.push(("INFILL_AMQP_URL".into(), amqp_url.clone()));
                env.push(("INFILL_DATABASE_URL".into(), database_url.clone()));
                let engine = format!(
                    "[engine]\nkind = \"distributed\"\n[store]\nurl_env = \"INFILL_DATABASE_URL\"\nschema = \"{name}\"\n\
                     [broker]\nurl_env = \"INFILL_AMQP_URL\"\nprefix = \"{name}\"\n"
                );
                (engine, Some(Schema { database_url, name: name.clone(), amqp_url, prefix: name.clone() }))
            }
        };
        let base_url = setting.base_url.unwrap_or(address);
        let login = if setting.connection.contains("oauth") { "" } else { "token_env = \"SIM_TOKEN\"\n" };
        let config = format!(
            "{engine}[server]\nlisten = \"\"\n[connections.main]\ncrm = \"{}\"\nbase_url = \"{base_url}\"\n{login}{}",
            T::CRM,
            setting.connection
        );
        std::fs::write(dir.path().join("infill.toml"), config).expect("the configuration is written");
        let store: Arc<dyn Store> = match &schema {
            None => {
                let path = dir.path().join("infill.db");
                Arc::new(Sqlite::open(path, None, Arc::new(SystemClock)).await.expect("the store opens"))
            }
            Some(schema) => {
                let url = schema.database_url.clone().into();
                Arc::new(
                    Postgres::connect(url, Some(schema.name.clone()), None).await.expect("the store opens"),
                )
            }
        };
        let mut world =
            Self { pair: setting.pair, _portal: portal, control, store, dir, env, schema, crew: Vec::new() };
        if setting.pair == Pair::Distributed {
            world.spawn("planner");
            for _ in 0..setting.workers {
                world.spawn("worker");
            }
        }
        world
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_infill"));
        command.args(args).current_dir(self.dir.path()).kill_on_drop(true).stdin(Stdio::null());
        command.env("INFILL_LOG", "info").env("INFILL_CONFIG", self.dir.path().join("infill.toml"));
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts a planner or a worker as a process of its own; its log goes to a file of the world's folder.
    pub(crate) fn spawn(&mut self, role: &str) -> usize {
        let log = self.dir.path().join(format!("{role}-{}.log", self.crew.len()));
        let log = std::fs::File::create(log).expect("a log file");
        let child =
            self.command(&[role]).stdout(Stdio::null()).stderr(log).spawn().expect("the process starts");
        self.crew.push(child);
        self.crew.len() - 1
    }

    /// Writes a plan file.
    pub(crate) fn plan(&self, text: &str) -> PathBuf {
        let path = self.dir.path().join(format!("plan-{}.yaml", WORLDS.fetch_add(1, Ordering::Relaxed)));
        std::fs::write(&path, text).expect("the plan is written");
        path
    }

    /// Runs the binary to its end.
    pub(crate) async fn infill(&self, args: &[&str]) -> Printed {
        self.infill_fed(args, Stdio::null()).await
    }

    /// As [`World::infill`], with something on standard input.
    pub(crate) async fn infill_fed(&self, args: &[&str], input: Stdio) -> Printed {
        let output = tokio::time::timeout(PATIENCE, self.command(args).stdin(input).output()).await;
        Printed::of(
            output
                .unwrap_or_else(|_| panic!("infill {args:?} did not end\n{}", self.logs()))
                .expect("it starts"),
        )
    }

    /// Runs a plan on all its rows to its end, and checks that portal and store agree.
    pub(crate) async fn run(&self, plan: &str) -> Ended {
        self.run_with(plan, &["--all"]).await
    }

    /// As [`World::run`], with other arguments.
    pub(crate) async fn run_with(&self, plan: &str, args: &[&str]) -> Ended {
        let path = self.plan(plan);
        let mut all = vec!["run", path.to_str().expect("a path in UTF-8")];
        all.extend(args);
        let printed = self.infill(&all).await;
        let run = self.latest().await;
        let rows = self.rows(&run).await;
        let ended = Ended { printed, run, rows };
        self.check_agreement(&ended);
        ended
    }

    /// As [`World::run`], with `change` made in the portal after the rows were pulled and before the first write; from
    /// then on the faults of `spec` hold.
    pub(crate) async fn run_changed(&self, plan: &str, change: impl FnOnce(&T), spec: &str) -> Ended {
        // The stage between the two asks for the account; its calls break until the change is made.
        self.set_faults(T::UNANSWERED_WHILE_CONFIGURED);
        let changing = async {
            let is_pulled = |run: &Run| run.state == RunState::ConfigureChain && run.progress.rows > 0;
            self.until("the rows are pulled", is_pulled).await;
            change(&self.control);
            self.set_faults(spec);
        };
        tokio::join!(self.run(plan), changing).0
    }

    /// Replaces the portal's faults.
    pub(crate) fn set_faults(&self, spec: &str) {
        self.control.replace_faults(spec);
    }

    /// Sets a variable in the environment of the programs started from now on.
    pub(crate) fn set_env(&mut self, name: &str, value: &str) {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_owned()));
    }

    /// A variable in the environment of the programs.
    pub(crate) fn env(&self, name: &str) -> &str {
        let found = self.env.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_else(|| panic!("{name} is not set"))
    }

    /// Everything the programs left behind: files, and the rows of the schema.
    pub(crate) async fn left_behind(&self) -> String {
        let mut all = String::new();
        for entry in std::fs::read_dir(self.dir.path()).expect("the folder is there").flatten() {
            let bytes = std::fs::read(entry.path()).expect("the file can be read");
            all.push_str(&String::from_utf8_lossy(&bytes));
        }
        if let Some(schema) = &self.schema {
            let rows = infill_testkit::schema::dump(&schema.database_url, &schema.name).await;
            all.push_str(&rows.expect("the schema can be read"));
        }
        all
    }

    /// Ends planner and workers, if there are any, and starts as many again.
    pub(crate) async fn restart_crew(&mut self) {
        let mut crew = std::mem::take(&mut self.crew);
        for child in &mut crew {
            child.kill().await.expect("the process ends");
        }
        for role in ["planner", "worker", "worker"].iter().take(crew.len()) {
            self.spawn(role);
        }
    }

    /// The folder in which the programs run.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The run recorded last.
    pub(crate) async fn latest(&self) -> Run {
        let runs = self
            .store
            .runs(&RunFilter { limit: 1, ..RunFilter::default() })
            .await
            .expect("the store answers");
        runs.into_iter().next().unwrap_or_else(|| panic!("there is no run\n{}", self.logs()))
    }

    /// Every row of a run with its result.
    pub(crate) async fn rows(&self, run: &Run) -> Vec<(Row, RowResult)> {
        let batches = self.store.batches(run.id, None, u32::MAX).await.expect("the store answers");
        batches
            .into_iter()
            .flat_map(|batch| {
                let mut results = batch.results;
                results.resize_with(batch.rows.len(), RowResult::default);
                Arc::unwrap_or_clone(batch.rows).into_iter().zip(results)
            })
            .collect()
    }

    /// Open and closed dead letters of a run.
    pub(crate) async fn letters(&self, run: &Run) -> Vec<Letter> {
        let filter = LetterFilter { run: Some(run.id), ..LetterFilter::default() };
        self.store.letters(&filter, None, 10_000).await.expect("the store answers")
    }

    /// Waits until the run fits, or fails the test.
    pub(crate) async fn until(&self, what: &str, fits: impl Fn(&Run) -> bool) -> Run {
        self.wait_for(what, async || {
            let run = self
                .store
                .runs(&RunFilter { limit: 1, ..RunFilter::default() })
                .await
                .ok()?
                .into_iter()
                .next()?;
            fits(&run).then_some(run)
        })
        .await
    }

    /// Waits until `look` gives something, or fails the test.
    pub(crate) async fn wait_for<F>(&self, what: &str, look: impl AsyncFn() -> Option<F>) -> F {
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        let waiting = async {
            loop {
                looks.tick().await;
                if let Some(found) = look().await {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .unwrap_or_else(|_| panic!("waited in vain: {what}\n{}", self.logs()))
    }

    /// The portal's ledger and Infill's outcomes must agree for every record.
    pub(crate) fn check_agreement(&self, ended: &Ended) {
        let written = self.written();
        let mut seen = BTreeSet::new();
        for (row, result) in &ended.rows {
            let id = row.record.as_str();
            assert!(seen.insert(id), "record {id} is in the run twice");
            let Some(outcome) = result.outcome() else {
                assert_ne!(
                    ended.run.state,
                    RunState::Completed,
                    "record {id} has no outcome in a completed run"
                );
                continue;
            };
            let values = |name: &str| written.get(&(id.to_owned(), name.to_owned()));
            match outcome {
                Outcome::Verified | Outcome::Written => {
                    for (name, wanted) in &result.wanted {
                        let stored = self.control.stored(id, name.as_str());
                        assert_eq!(stored, value::to_text(wanted), "record {id}, {name}, {outcome}");
                        assert!(
                            values(name.as_str())
                                .is_some_and(|values| values.contains(&value::to_text(wanted))),
                            "record {id} was {outcome} but never written"
                        );
                    }
                }
                Outcome::Differs => {
                    let was_written = result.wanted.keys().any(|name| values(name.as_str()).is_some());
                    assert!(
                        was_written || T::VOUCHES_FOR_NOTHING,
                        "record {id} differs but was never written"
                    );
                    for (name, found) in &result.found {
                        let stored = self.control.stored(id, name.as_str());
                        assert_eq!(stored, value::to_text(found), "record {id}, {name}, {outcome}");
                    }
                }
                Outcome::Unchanged | Outcome::Skipped | Outcome::Held | Outcome::Failed | Outcome::Gone => {}
            }
        }
        let counted: Counts = ended.rows.iter().filter_map(|(_, result)| result.outcome()).collect();
        assert_eq!(ended.run.progress.counts, counted, "the run's counts are those of its rows");
    }

    /// No property of any record was written with two different values.
    pub(crate) fn check_no_second_value(&self) {
        let values = self.written();
        for (key, values) in values {
            assert_eq!(values.len(), 1, "{key:?} was written with several values: {values:?}");
        }
    }

    /// The values that each property of each record was given, by the portal's own ledger.
    fn written(&self) -> BTreeMap<(String, String), BTreeSet<String>> {
        let mut written: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
        for write in self.control.writes() {
            written.entry((write.record, write.property)).or_default().insert(write.value);
        }
        written
    }

    /// What the processes logged, for a test that fails.
    pub(crate) fn logs(&self) -> String {
        let mut logs = String::new();
        for entry in std::fs::read_dir(self.dir.path()).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|ending| ending == "log") {
                let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
                let tail: Vec<&str> = text.lines().rev().take(25).collect();
                logs.push_str(&format!("--- {}\n", entry.file_name().display()));
                logs.extend(tail.into_iter().rev().flat_map(|line| [line, "\n"]));
            }
        }
        logs
    }
}

impl<T: Tenant> Drop for World<T> {
    fn drop(&mut self) {
        for child in &mut self.crew {
            child.start_kill().unwrap_or_default();
        }
        let Some(schema) = self.schema.take() else { return };
        // What a test leaves on shared services is taken away again; that it cannot be is no reason to fail.
        let cleaning = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            runtime.block_on(async {
                let dropping = infill_testkit::schema::drop_schema(&schema.database_url, &schema.name);
                tokio::time::timeout(Duration::from_secs(5), dropping).await.ok();
                let config = infill_broker::rabbitmq::Config::new(schema.amqp_url.into(), "cleaner");
                let config = infill_broker::rabbitmq::Config { prefix: schema.prefix, ..config };
                tokio::time::timeout(
                    Duration::from_secs(5),
                    infill_broker::rabbitmq::RabbitMq::delete_topology(config),
                )
                .await
                .ok();
            });
            Some(())
        });
        cleaning.join().ok();
    }
}

fn shared_services() -> (String, String) {
    (
        infill_testkit::services::amqp_url().unwrap_or_else(|error| panic!("{error}")),
        infill_testkit::services::database_url().unwrap_or_else(|error| panic!("{error}")),
    )
}

/// What a command printed.
#[derive(Debug)]
pub(crate) struct Printed {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Printed {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A run that ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) printed: Printed,
    pub(crate) run: Run,
    pub(crate) rows: Vec<(Row, RowResult)>,
}

impl Ended {
    /// How many rows ended so.
    pub(crate) fn count(&self, outcome: Outcome) -> u64 {
        self.run.progress.counts.of(outcome)
    }

    /// The ids of the records that ended so, in the order of the run.
    pub(crate) fn records(&self, outcome: Outcome) -> Vec<u64> {
        let ended_so = self.rows.iter().filter(|(_, result)| result.outcome() == Some(outcome));
        ended_so.map(|(row, _)| row.record.as_str().parse().expect("a HubSpot record id")).collect()
    }

    /// Checks that every row ended well in one way, and that the command says so.
    #[track_caller]
    pub(crate) fn all(&self, outcome: Outcome, n_rows: u64) {
        let (state, counts) = (self.run.state, self.run.progress.counts);
        let expected = (RunState::Completed, n_rows, n_rows, 0);
        let found = (state, counts.of(outcome), counts.total(), self.printed.code);
        assert_eq!(found, expected, "{outcome}: {counts:?}\n{}\n{}", self.printed.out, self.printed.err);
    }

    /// As [`Ended::records`], for ids of any vendor.
    pub(crate) fn ids(&self, outcome: Outcome) -> Vec<&str> {
        let ended_so = self.rows.iter().filter(|(_, result)| result.outcome() == Some(outcome));
        ended_so.map(|(row, _)| row.record.as_str()).collect()
    }

    /// The result of one record.
    pub(crate) fn result(&self, record: impl Display) -> &RowResult {
        let id = record.to_string();
        let found = self.rows.iter().find(|(row, _)| row.record.as_str() == id);
        found.map(|(_, result)| result).unwrap_or_else(|| panic!("record {id} is not in the run"))
    }
}
