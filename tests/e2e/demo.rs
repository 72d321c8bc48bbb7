//! `infill demo` of every CRM, in a folder that holds nothing: what it prints, proves and leaves behind.

use std::path::Path;
use std::process::{Output, Stdio};

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::world::PATIENCE;

/// The widest that a table of changes may be, in characters.
const WIDEST_TABLE: usize = 100;

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_infill"));
    command.args(args).current_dir(folder).kill_on_drop(true).stdin(Stdio::null());
    command.env_remove("INFILL_CONFIG").env_remove("INFILL_LOG");
    command
}

async fn infill(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = tokio::time::timeout(PATIENCE, command(folder, args).output())
        .await
        .expect("it ends")
        .expect("it starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it prints UTF-8");
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

/// What a demo that keeps its account up had printed when it was done, and what the printed way to look at a record showed.
struct Kept {
    folder: TempDir,
    out: String,
    err: String,
    record: String,
}

/// Runs a demo with `--keep`, looks at a record as it says, and interrupts it.
async fn kept(args: &[&str]) -> Kept {
    let folder = TempDir::new().expect("a folder");
    let log = std::fs::File::create(folder.path().join("err")).expect("a log file");
    let mut command = command(folder.path(), &[&["demo", "--keep"], args].concat());
    let mut demo = command.stdout(Stdio::piped()).stderr(log).spawn().expect("it starts");
    let mut lines = BufReader::new(demo.stdout.take().expect("it is piped")).lines();
    let mut out = String::new();
    let printing = async {
        while !out.contains("/_admin/report'") {
            let line = lines.next_line().await.expect("it prints UTF-8");
            out.push_str(&line.unwrap_or_else(|| panic!("it ended early:\n{out}")));
            out.push('\n');
        }
    };
    tokio::time::timeout(PATIENCE, printing).await.expect("it gets to the end");
    let record = look_at_record(&out).await;
    let pid = demo.id().expect("it runs").to_string();
    let sent = std::process::Command::new("kill").args(["-s", "INT", &pid]).status();
    assert!(sent.expect("`kill` is a program of every Unix").success());
    let ended = tokio::time::timeout(PATIENCE, demo.wait()).await.expect("it ends").expect("it was started");
    let err = std::fs::read_to_string(folder.path().join("err")).expect("the log can be read");
    assert_eq!(ended.code(), Some(0), "{out}{err}");
    Kept { folder, out, err, record }
}

/// Asks for the record as the `curl` line with a login says, while the account is up.
async fn look_at_record(out: &str) -> String {
    let (_, printed) = out.split_once("curl -H '").expect("how to look at a record");
    let mut quoted = printed.split('\'');
    let (login, url) = (quoted.next().expect("a header"), quoted.nth(1).expect("an address"));
    let (address, path) =
        url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("a whole address");
    let mut socket = TcpStream::connect(address).await.expect("the account is up");
    let request = format!("GET /{path} HTTP/1.0\r\nHost: {address}\r\n{login}\r\n\r\n");
    socket.write_all(request.as_bytes()).await.expect("the request is sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("the answer comes");
    assert!(answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200"), "{url}: {answer}");
    answer
}

impl Kept {
    /// Checks that it printed each of these, in this order.
    #[track_caller]
    fn printed(&self, parts: &[&str]) {
        let mut rest = self.out.as_str();
        for part in parts {
            let Some((_, after)) = rest.split_once(part) else {
                panic!("\"{part}\" is not in, or not after the one before:\n{}", self.out)
            };
            rest = after;
        }
    }

    /// Checks what every demo does: it shows the plan that it keeps, begins with a canary, and sends nothing twice.
    #[track_caller]
    fn is_whole(&self, plan: &str) {
        let path = self.folder.path().join("infill-demo").join(plan);
        let text = std::fs::read_to_string(path).expect("the plan is kept");
        let shown: String = text.lines().map(|line| format!("    {line}\n")).collect();
        let named = format!("The plan, infill-demo/{plan} (edit it and run the demo again):\n\n{shown}");
        assert!(self.out.contains(&named), "{named}\n{}", self.out);
        let runs = self.err.matches("canary: the first 5 rows held; the rest follows").count();
        assert_eq!((runs, self.err.matches("  completed").count()), (2, 2), "{}", self.err);
        assert!(self.out.contains("own ledger: 0 writes in this run"), "{}", self.out);
    }

    /// Checks the table of changes: eight rows of two properties, within a terminal's width.
    #[track_caller]
    fn table_fits(&self) {
        let (_, after) = self.out.split_once("Before and after").expect("the table has a title");
        let (_, table) = after.split_once("\n\n").expect("the table comes after its title");
        let lines: Vec<&str> = table.lines().take_while(|line| !line.is_empty()).collect();
        assert_eq!(lines.len(), 17, "{lines:#?}");
        let wide = lines.iter().find(|line| line.trim_end().chars().count() > WIDEST_TABLE);
        assert_eq!(wide, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hubspot_enriches_people_under_its_burst_limit() {
    let demo = kept(&[]).await;
    demo.is_whole("plan.yaml");
    demo.printed(&[
        "A simulated HubSpot portal is up at http://127.0.0.1:",
        "\n  537 members of the United States Congress, in the static list 42\n",
        "190 calls in any 10 s",
        "First run: every person is pulled",
        "\n  verified         531  ",
        "\n  skipped            6  ",
        "Before and after, as the portal has them now:",
        "André Carson                 phone                  202-225-4011  +12022254011",
        "Second run of the same plan",
        "\n  unchanged        531  ",
        "the portal's own ledger: 0 writes in this run",
        "infill --config infill-demo/infill.toml runs",
        "The portal stays up until Ctrl-C.",
    ]);
    assert!(
        demo.record
            .contains("\"hs_cross_account_note\":\"Senator Maria Cantwell, reachable at +12022243441\""),
        "{}",
        demo.record
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn salesforce_enriches_accounts_and_counts_the_requests_of_the_day() {
    let demo = kept(&["--crm", "salesforce"]).await;
    demo.is_whole("salesforce.yaml");
    demo.table_fits();
    demo.printed(&[
        "A simulated Salesforce org is up at http://127.0.0.1:",
        "\n  503 companies of the S&P 500, as accounts in the list view \"All Accounts\"\n",
        "110,000 API requests in any 24 hours",
        "First run: every account is pulled",
        "\n  verified         432  ",
        "\n  skipped           71  ",
        " of the day's 110,000 API requests with the pre-flight, by the org's own count\n",
        "Before and after, as the org has them now:",
        "  Estée Lauder Companies, Consumer Staple…",
        "  Brown & Brown, Financials, Daytona Beach",
        "Second run of the same plan",
        "\n  unchanged        432  ",
        "the org's own ledger: 0 writes in this run",
        "infill --config infill-demo/salesforce.toml runs",
        "The org stays up until Ctrl-C.",
    ]);
    assert!(
        demo.record.contains("\"Enrichment_Note__c\":\"3M, Industrials, Saint Paul\""),
        "{}",
        demo.record
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pipedrive_enriches_people_and_counts_the_tokens_of_the_day() {
    let demo = kept(&["--crm", "pipedrive"]).await;
    demo.is_whole("pipedrive.yaml");
    demo.table_fits();
    demo.printed(&[
        "A simulated Pipedrive company is up at http://127.0.0.1:",
        "\n  537 members of the United States Congress, in the filter \"All persons\"\n",
        "100 calls in any 2 s, 150,000 tokens a day (Premium, one seat)",
        "First run: every person is pulled",
        "\n  verified         531  ",
        "\n  skipped            6  ",
        " of the day's 150,000 tokens with the pre-flight, by the company's own count\n",
        "Before and after, as the company has them now:",
        "Dear Jesús G. \"Chuy\" García,",
        "Second run of the same plan",
        "\n  unchanged        531  ",
        "the company's own ledger: 0 writes in this run",
        "infill --config infill-demo/pipedrive.toml runs",
        "The company stays up until Ctrl-C.",
    ]);
    assert!(demo.record.contains("\"Dear Maria Cantwell,\""), "{}", demo.record);
    assert!(demo.record.contains("\"+12022243441\""), "{}", demo.record);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_was_edited_stays_and_is_the_one_that_runs() {
    const EDITED: &str = "\
name: Edited
connection: demo-salesforce
source: { object: Account, view: All Accounts, max_count: 7 }
inputs: [Name]
writeback:
  properties: [{ name: Greeting__c, value: \"Hello {{input.Name}}\" }]
";
    let folder = TempDir::new().expect("a folder");
    let plan = folder.path().join("infill-demo/salesforce.yaml");
    std::fs::create_dir(folder.path().join("infill-demo")).expect("a folder in it");
    std::fs::write(&plan, EDITED).expect("the plan is written");
    let (code, out, err) = infill(folder.path(), &["demo", "--crm", "salesforce"]).await;
    assert_eq!(code, 0, "{out}{err}");
    assert!(
        out.contains("\n  verified           7  ") && out.contains("\n  unchanged          7  "),
        "{out}"
    );
    assert!(out.contains("\"Edited\" completed"), "{out}");
    assert_eq!(std::fs::read_to_string(&plan).expect("the plan is there"), EDITED);
    let (code, runs, err) = infill(folder.path(), &["--config", "infill-demo/salesforce.toml", "runs"]).await;
    assert_eq!((code, runs.matches("Edited").count()), (0, 2), "{runs}{err}");
}
