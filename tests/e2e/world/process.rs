//! The programs of a world as processes: started, signalled, killed, and looked at from outside.

use std::process::Stdio;

use infill_broker::RabbitMq;
use infill_model::{Outcome, RunId, RunState};
use infill_store::store::{LetterStatus, Run};
use infill_testkit::tamper;

use super::{Ended, PATIENCE, Pair, Printed, World};
use crate::vendors::Tenant;

impl<T: Tenant> World<T> {
    /// Starts the binary as a process of its own; its log goes to a file of the world's folder.
    pub(crate) fn spawn_as(&mut self, name: &str, args: &[&str], env: &[(&str, &str)]) -> usize {
        let log = self.dir().join(format!("{name}-{}.log", self.crew.len()));
        let log = std::fs::File::create(log).expect("a log file");
        let mut command = self.command(args);
        command.envs(env.iter().copied()).stdout(Stdio::null()).stderr(log);
        self.crew.push(command.spawn().expect("the process starts"));
        self.crew.len() - 1
    }

    /// Starts somebody who works on the latest run: on the embedded pair the run's own process, on the distributed one a worker.
    pub(crate) fn take_up(&mut self) -> usize {
        match self.pair {
            Pair::Embedded => self.watch(),
            Pair::Distributed => self.spawn("worker"),
        }
    }

    /// Starts somebody who watches the latest run, and on the embedded pair works on it.
    pub(crate) fn watch(&mut self) -> usize {
        self.spawn_as("watch", &["run", "--resume", "latest"], &[])
    }

    /// What a process logged and told so far.
    pub(crate) fn log(&self, process: usize) -> String {
        let ending = format!("-{process}.log");
        let files = std::fs::read_dir(self.dir()).expect("the folder is there").flatten();
        let mut logs = files.filter(|file| file.file_name().to_string_lossy().ends_with(&ending));
        let path = logs.next().unwrap_or_else(|| panic!("process {process} has no log")).path();
        std::fs::read_to_string(path).expect("the log is readable")
    }

    /// Waits until a process has logged a text.
    pub(crate) async fn until_logged(&self, process: usize, text: &str) {
        self.wait_for(&format!("process {process} logs \"{text}\""), async || {
            self.log(process).contains(text).then_some(())
        })
        .await;
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, process: usize, signal: &str) {
        let pid = self.crew[process].id().expect("the process runs").to_string();
        let sent = std::process::Command::new("kill").args(["-s", signal, &pid]).status();
        assert!(sent.expect("`kill` is a program of every Unix").success(), "signal {signal} to {pid}");
    }

    /// Kills a process in the middle of whatever it does.
    pub(crate) async fn kill(&mut self, process: usize) {
        self.crew[process].kill().await.expect("the process is killed");
    }

    /// Waits until a process ends by itself; gives its exit code.
    pub(crate) async fn exit_code(&mut self, process: usize) -> i32 {
        let ended = tokio::time::timeout(PATIENCE, self.crew[process].wait()).await;
        let status = ended.unwrap_or_else(|_| panic!("process {process} does not end\n{}", self.logs()));
        status.expect("the process can be waited for").code().unwrap_or(-1)
    }

    /// Records a run and leaves it to others.
    pub(crate) async fn record(&self, plan: &str, args: &[&str]) -> RunId {
        let path = self.plan(plan);
        let all = [&["run", path.to_str().expect("a path in UTF-8"), "--detach"], args].concat();
        let printed = self.infill(&all).await;
        assert_eq!(printed.code, 0, "{}", printed.err);
        let named = printed.err.lines().find_map(|line| line.strip_prefix("run "));
        named.and_then(|id| id.parse().ok()).unwrap_or_else(|| panic!("no run is named in {}", printed.err))
    }

    /// A run by id.
    pub(crate) async fn find(&self, id: RunId) -> Run {
        self.store.run(id).await.expect("the store answers").expect("the run is recorded")
    }

    /// Waits until every fault of the portal has struck once.
    pub(crate) async fn until_struck(&self, what: &str) {
        let have_all_struck = || self.control.fault_strikes().iter().all(|n_strikes| *n_strikes > 0);
        self.wait_for(&format!("a call is struck while {what}"), async || have_all_struck().then_some(()))
            .await;
    }

    /// Waits until a run is final.
    pub(crate) async fn until_final(&self, id: RunId) -> Run {
        self.wait_for(&format!("run {id} ends"), async || {
            // The store may be the one that is down in this test.
            let run = self.store.run(id).await.ok()??;
            run.state.is_final().then_some(run)
        })
        .await
    }

    /// Waits until a run completes, and checks that nothing of it was lost, doubled or written with two values.
    pub(crate) async fn until_whole(&self, id: RunId, n_rows: u64) -> Ended {
        let run = self.until_final(id).await;
        let rows = self.rows(&run).await;
        let printed = Printed { code: 0, out: String::new(), err: String::new() };
        let ended = Ended { printed, run, rows };
        assert_eq!(ended.run.state, RunState::Completed, "{:?}\n{}", ended.run, self.logs());
        assert_eq!(
            (ended.rows.len() as u64, ended.count(Outcome::Verified)),
            (n_rows, n_rows),
            "{}",
            self.logs()
        );
        self.check_agreement(&ended);
        self.check_no_second_value();
        let letters = self.letters(&ended.run).await;
        assert!(letters.iter().all(|letter| letter.status != LetterStatus::Open), "{letters:?}");
        ended
    }

    /// Everything that all processes logged so far.
    pub(crate) fn all_logs(&self) -> String {
        (0..self.crew.len()).map(|process| self.log(process)).collect()
    }

    /// Carries out SQL in the world's store, behind the back of the programs.
    pub(crate) async fn tamper(&self, sql: &str) {
        let done = match &self.schema {
            None => tamper::sqlite(&self.dir().join("infill.db"), sql),
            Some(schema) => tamper::postgres(&schema.database_url, &schema.name, sql).await,
        };
        done.expect("the statement is carried out");
    }

    /// A connection of the test's own to the world's queues; on the distributed pair only.
    pub(crate) async fn broker(&self) -> RabbitMq {
        let schema = self.schema.as_ref().expect("a world with RabbitMQ");
        let config = infill_broker::rabbitmq::Config::new(schema.amqp_url.clone().into(), "test");
        let config = infill_broker::rabbitmq::Config { prefix: schema.prefix.clone(), ..config };
        RabbitMq::connect(config).await.expect("RabbitMQ answers")
    }
}
