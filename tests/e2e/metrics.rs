//! What a worker and a planner tell about themselves: metrics, health, and their logs.

use std::collections::BTreeSet;

use infill_model::{Outcome, RunState};
use infill_testkit::services::{self, PrivatePostgres};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::both_engines;
use crate::plans::{EVERYBODY, note};
use crate::world::{Pair, Setting, World};

/// Every program answers on a free port of its own.
fn listening() -> (String, String) {
    ("INFILL_SERVER_LISTEN".into(), "127.0.0.1:0".into())
}

/// Where a process answers, as its log says.
async fn address_of(world: &World, process: usize) -> String {
    world
        .wait_for("the process answers metrics and health", async || {
            let log = world.log(process);
            let line = log.lines().find(|line| line.contains("serving metrics and health"))?;
            let (_, port) = line.split_once("127.0.0.1:")?;
            Some(format!("127.0.0.1:{}", port.split(|c: char| !c.is_ascii_digit()).next()?))
        })
        .await
}

/// Asks for a page; gives its status and body.
async fn get(address: &str, path: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(address).await.expect("the process listens");
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    socket.write_all(request.as_bytes()).await.expect("the request is sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("the answer comes");
    let (head, body) =
        answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer to {path}: {answer}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("no status in {head}")), body.to_owned())
}

/// The metrics of some processes, in the Prometheus text format.
#[derive(Debug)]
struct Pages(Vec<String>);

impl Pages {
    async fn of(world: &World, processes: &[usize]) -> Self {
        let mut pages = Vec::new();
        for process in processes {
            let (status, page) = get(&address_of(world, *process).await, "/metrics").await;
            assert_eq!(status, 200, "{page}");
            pages.push(page);
        }
        Self(pages)
    }

    /// As [`Pages::of`], once every message that was begun is counted: a run ends before the message that ended it.
    async fn at_rest(world: &World, processes: &[usize]) -> Self {
        world
            .wait_for("every message that was begun is counted", async || {
                let pages = Self::of(world, processes).await;
                let n_begun = pages.sum("infill_worker_queue_wait_seconds_count", &[]);
                let n_handled = pages.sum("infill_worker_message_duration_seconds_count", &[]);
                (n_begun > 0 && n_begun == n_handled).then_some(pages)
            })
            .await
    }

    /// Series of one name that carry all of these labels, with their values.
    fn series<'a>(&'a self, name: &'a str, labels: &'a [&'a str]) -> impl Iterator<Item = (&'a str, u64)> {
        let lines = self.0.iter().flat_map(|page| page.lines()).filter(|line| !line.starts_with('#'));
        lines.filter_map(move |line| {
            let (series, value) = line.rsplit_once(' ')?;
            let is_named = series.split('{').next() == Some(name);
            let fits = is_named && labels.iter().all(|label| series.contains(label));
            fits.then(|| (series, value.parse().expect("a whole number")))
        })
    }

    /// The sum over all processes.
    fn sum(&self, name: &str, labels: &[&str]) -> u64 {
        self.series(name, labels).map(|(_, value)| value).sum()
    }

    fn names(&self) -> BTreeSet<&str> {
        let lines = self.0.iter().flat_map(|page| page.lines());
        lines.filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect()
    }
}

both_engines! {
    async fn metrics_tell_what_the_run_did(setting: Setting) {
        let setting = Setting {
            workers: 0,
            env: vec![listening()],
            connection: "calls_per_10_seconds = 5000\n".into(),
            ..setting.contacts(605).faults("bad-row,record=100300;429,policy=secondly,op=properties,after=1,count=1")
        };
        let mut world = setting.start().await;
        let run = world.record(&note(EVERYBODY, ""), &["--all"]).await;
        world.control.reset_counters();
        // On the embedded pair the worker is planner as well.
        let (planner, n_workers) = if world.pair == Pair::Embedded { (0, 1) } else { (0, 2) };
        let workers: Vec<usize> = (0..n_workers).map(|_| world.spawn("worker")).collect();
        let ended = world.until_final(run).await;
        assert_eq!(ended.state, RunState::Completed, "{}", world.logs());
        assert_eq!((ended.progress.counts.verified, ended.progress.counts.failed), (604, 1));

        let pages = Pages::at_rest(&world, &workers).await;
        for outcome in Outcome::ALL {
            let counted = pages.sum("infill_rows_total", &[&format!("outcome=\"{outcome}\"")]);
            assert_eq!(counted, ended.progress.counts.of(outcome), "{outcome}");
        }
        let least = [("source-sync", 2), ("await-rows", 1), ("configure-chain", 1), ("run", 7), ("verify", 7)];
        for (stage, at_least) in least {
            let label = format!("stage=\"{stage}\"");
            let completed = pages.sum("infill_worker_messages_total", &[&label, "result=\"completed\""]);
            assert!(completed >= at_least, "{stage}: {completed}");
            let all = pages.sum("infill_worker_messages_total", &[&label]);
            assert_eq!(pages.sum("infill_worker_message_duration_seconds_count", &[&label]), all, "{stage}");
            assert_eq!(pages.sum("infill_worker_queue_wait_seconds_count", &[&label]), all, "{stage}");
            assert_eq!(pages.sum("infill_worker_messages_in_progress", &[&label]), 0, "{stage}");
            let published = pages.sum("infill_broker_messages_published_total", &[&label, "result=\"confirmed\""]);
            assert!(published > 0, "{stage}");
        }
        // The portal and the workers count the same calls.
        let report = world.control.report();
        let calls = "infill_crm_call_duration_seconds_count";
        assert_eq!(pages.sum(calls, &["connection=\"main\""]), report.total_received(), "{report:?}");
        let n_failed: u64 = report.calls.values().map(|calls| calls.failed).sum();
        assert_eq!(pages.sum(calls, &["class=\"throttled\"", "operation="]), 1);
        let waited = ["stage=\"configure-chain\"", "result=\"waited\""];
        assert_eq!(pages.sum("infill_worker_messages_total", &waited), 1);
        let throttled = ["stage=\"configure-chain\"", "class=\"throttled\""];
        assert_eq!(pages.sum("infill_worker_errors_total", &throttled), 1);
        assert_eq!(pages.sum(calls, &["class=\"rejected\""]), n_failed);
        assert_eq!(ended.progress.calls, report.total_received(), "the run counts its calls too");
        let left = pages.series("infill_crm_quota_window_left_calls", &["connection=\"main\""]);
        let left: Vec<u64> = left.map(|(_, left)| left).collect();
        assert!(!left.is_empty() && left.iter().all(|left| (4_000..5_000).contains(left)), "{left:?}");
        assert_eq!(pages.sum("infill_broker_connected", &["role=\"consumer\""]), n_workers);

        let pages = Pages::of(&world, &[planner]).await;
        assert!(pages.sum("infill_planner_republished_total", &["stage=\"source-sync\""]) >= 1, "the first message");
        world.wait_for("the planner sees that no run is open", async || {
            let pages = Pages::of(&world, &[planner]).await;
            let open = ["infill_runs_open", "infill_runs_batches_in_flight"].map(|name| pages.sum(name, &[]));
            (open == [0, 0]).then_some(())
        })
        .await;
        // No record and no run is ever a label.
        let names = pages.names();
        assert!(names.contains("infill_build_info") && names.contains("process_resident_memory_bytes"), "{names:?}");
        let all = Pages::of(&world, &(0..world.crew.len()).collect::<Vec<_>>()).await;
        // Values aside: a duration may happen to have the digits of a record.
        let mut series = all.0.iter().flat_map(|page| page.lines()).filter_map(|line| line.rsplit_once(' '));
        assert!(series.all(|(series, _)| !series.contains(&run.to_string()) && !series.contains("100300")));

        for process in 0..world.crew.len() {
            let address = address_of(&world, process).await;
            assert_eq!(get(&address, "/healthz").await, (200, "{\"status\":\"alive\"}".to_owned()));
            assert_eq!(get(&address, "/readyz").await, (200, "{\"status\":\"ready\"}".to_owned()));
            assert_eq!(get(&address, "/other").await.0, 404);
        }
    }

    async fn logs_have_a_line_for_each_message_and_no_value_of_a_record(setting: Setting) {
        let json = ("INFILL_LOG_FORMAT".into(), "json".into());
        let setting = Setting { workers: 0, env: vec![listening(), json], ..setting.contacts(305) };
        let mut world = setting.start().await;
        let run = world.record(&note(EVERYBODY, ""), &["--all"]).await;
        let worker = world.spawn("worker");
        world.until_whole(run, 305).await;
        let n_messages = Pages::at_rest(&world, &[worker]).await.sum("infill_worker_messages_total", &[]);
        world.signal(worker, "TERM");
        assert_eq!(world.exit_code(worker).await, 0);
        let log = world.log(worker);
        let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let lines: Vec<Value> = log.lines().map(read).collect();
        let in_message = lines.iter().filter(|line| line["spans"][0]["name"] == "message");
        let (ends, handled): (Vec<&Value>, Vec<&Value>) =
            in_message.partition(|line| line["message"] == "run ended");
        assert_eq!(handled.len() as u64, n_messages, "one line a message at info");
        assert_eq!(ends.len(), 1, "and the end of the run");
        for line in &handled {
            let span = &line["spans"][0];
            assert_eq!((&line["message"], &span["run.id"]), (&"message handled".into(), &run.to_string().into()), "{line}");
            let has_batch = matches!(span["stage"].as_str(), Some("run" | "verify"));
            assert_eq!((span["batch.no"].is_number(), span["attempt"].is_number()), (has_batch, true), "{line}");
        }
        for line in &lines {
            assert_eq!(line["level"], "INFO", "{line}");
        }

        let ended = world.find(run).await;
        for (row, result) in world.rows(&ended).await {
            for value in row.inputs.values().chain(result.wanted.values()).filter_map(Value::as_str) {
                // Short names are words of their own, and may stand in a line by chance.
                assert!(value.len() < 8 || !log.contains(value), "{value} is in the log");
            }
        }
        assert!(!log.contains("Hello"), "what was written is in the log");
        assert!(!log.contains("100001"), "rows are for debug");
        assert!(!log.contains("sim-token"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_its_store_is_alive_and_not_ready() {
    let mut postgres = PrivatePostgres::start().await.expect("a PostgreSQL");
    let amqp_url = services::amqp_url().expect("the shared broker");
    let setting = Setting {
        services: Some((amqp_url, postgres.url())),
        env: vec![listening()],
        workers: 1,
        ..Setting::new(Pair::Distributed).contacts(10)
    };
    let world = setting.start().await;
    for process in [0, 1] {
        assert_eq!(get(&address_of(&world, process).await, "/readyz").await.0, 200);
    }
    postgres.stop().await.expect("it stops");
    for process in [0, 1] {
        let address = address_of(&world, process).await;
        let (status, body) = get(&address, "/readyz").await;
        assert_eq!(status, 503, "{body}");
        assert!(body.contains("store: reach the store at"), "{body}");
        assert_eq!(get(&address, "/healthz").await.0, 200, "starting anew would not help");
    }
    postgres.start_again().await.expect("it starts");
    for process in [0, 1] {
        let address = address_of(&world, process).await;
        world
            .wait_for("it is ready again", async || (get(&address, "/readyz").await.0 == 200).then_some(()))
            .await;
    }
}
