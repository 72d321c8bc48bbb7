//! What can be typed: parsed here and nowhere else, resolved by nobody here.

pub(crate) mod audit;
pub(crate) mod dead_letters;
pub(crate) mod pause;
pub(crate) mod preview;
pub(crate) mod schedules;
pub(crate) mod trail;
mod word;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};
use infill_model::{Actor, ConnectionName, ObjectType, Outcome, RecordId};
use infill_sim::hubspot::{ApiVersion, Faults, LimitTier};
use infill_sim::{pipedrive, salesforce};

use crate::config::Vendor;
pub(crate) use word::{Format, LogFormat, RowFormat, RunRef, SchemaOf, Since, Status};

const EXIT_CODES: &str = "\
Exit codes:
  0  all went well; for a run: every row settled well
  1  some rows did not settle well (held, differs, failed, gone)
  2  usage or configuration: nothing was started
  3  the run could not go on, or stopped
  4  the run waits for somebody to approve it

Results go to stdout, progress and logs to stderr.";

const FIRST_STEPS: &str = "\
First steps:
  infill demo                          see it work, with nothing installed
  infill check plan.yaml               check a plan against the live account
  infill run plan.yaml                 run it; the first time on 5 rows
  infill rows latest --outcome failed  what did not go well, and why
  infill dead-letters                  what waits for a person, by cause";

const RUN_EXAMPLES: &str = "\
Examples:
  infill run plan.yaml --dry-run    evaluates every row, shows what would change, writes nothing
  infill run plan.yaml              a plan that never verified a row runs on 5 rows
  infill run plan.yaml --limit 200
  infill run plan.yaml --all
  infill run --resume latest";

const UNDO_EXAMPLES: &str = "\
Examples:
  infill undo latest --dry-run          what would be put back; writes nothing
  infill undo latest
  infill undo 8f3c2a --record 101 --record 102";

/// Enriches CRM records in place, and proves it by reading them back.
#[derive(Debug, Parser)]
#[command(
    name = "infill",
    bin_name = "infill",
    version,
    after_help = EXIT_CODES,
    after_long_help = format!("{FIRST_STEPS}\n\n{EXIT_CODES}"),
    max_term_width = 110
)]
pub(crate) struct Args {
    /// Options of every command.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Default, ClapArgs)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The configuration file [default: ./infill.toml, if there is one]
    #[arg(long, global = true, value_name = "PATH", env = "INFILL_CONFIG", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,

    /// Who asks, as `infill audit` tells it (default: your login and this machine, as in ann@desk)
    #[arg(long = "as", global = true, value_name = "WHO", env = "INFILL_USER", hide_env_values = true)]
    pub(crate) actor: Option<Actor>,

    /// How log lines look
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        env = "INFILL_LOG_FORMAT",
        value_enum,
        default_value_t,
        hide_env_values = true
    )]
    pub(crate) log_format: LogFormat,

    /// What is logged, by level and by crate.
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        env = "INFILL_LOG",
        hide_env_values = true,
        help = "What is logged, as in \"info,infill_crm=debug\" [default: warn; info for worker and planner]"
    )]
    pub(crate) log: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows the whole of it in a minute: a simulated CRM, a plan, a run, the proof
    Demo(Demo),
    /// Checks a plan: its text, its chain, and what it names in the live account; writes nothing
    #[command(after_help = "Example:\n  infill check plan.yaml")]
    Check(Check),
    /// Runs a plan, or goes on with a run that was interrupted
    #[command(after_help = format!("{RUN_EXAMPLES}\n\n{EXIT_CODES}"))]
    Run(Run),
    /// Lists runs, newest first
    Runs(Runs),
    /// Lists what a planner starts by itself, and when next; adds, pauses, resumes and removes it
    #[command(
        after_help = "Examples:\n  infill schedules add plan.yaml\n  infill schedules pause \"Greeting note\""
    )]
    Schedules(schedules::Schedules),
    /// Forgets which records a plan with `only` has seen; the next run takes them all as new. Says how many and asks first
    #[command(after_help = "Example:\n  infill forget \"Greeting note\"")]
    Forget(Forget),
    /// Shows one run: how far it is, what it did, what to type next
    #[command(after_help = RUN_REF_HELP)]
    Show(Show),
    /// Lists the rows of a run with their outcomes and what was written
    #[command(
        after_help = "Examples:\n  infill rows latest --outcome failed\n  infill rows 8f3c2a --format csv > rows.csv"
    )]
    Rows(Rows),
    /// Shows what a run is about to do, or set out to do: by property, by cause, row by row
    #[command(
        after_help = "Examples:\n  infill preview latest --rows\n  infill preview latest --format html > preview.html"
    )]
    Preview(preview::Preview),
    /// Writes exactly what a dry run has shown; a record that changed since is held
    #[command(after_help = format!("Example:\n  infill apply latest --digest 3f1c9a02b7de\n\n{RUN_REF_HELP}\n\n{EXIT_CODES}"))]
    Apply(preview::Apply),
    /// Lets a run go on that waits for it: that of a plan with `approve: manual`
    #[command(after_help = RUN_REF_HELP)]
    Approve(preview::Approve),
    /// Ends a run that waits for an approval, or puts a dry run away
    #[command(after_help = RUN_REF_HELP)]
    Reject(preview::Reject),
    /// Stops a run after the batches now in flight; asking twice does no harm
    #[command(after_help = RUN_REF_HELP)]
    Cancel(Cancel),
    /// Lets nothing new of a run be begun until `infill resume`, or of a connection with all its runs
    #[command(after_help = "Examples:\n  infill pause latest\n  infill pause --connection main-hubspot")]
    Pause(pause::Pausable),
    /// Ends a pause of a run or a connection; `infill run --resume` goes on with a run whose process has ended
    #[command(after_help = "Examples:\n  infill resume latest\n  infill resume --connection main-hubspot")]
    Resume(pause::Pausable),
    /// Lists who did what, newest first: starts, stops, undos, retries, schedules
    #[command(after_help = "Examples:\n  infill audit --since 2d\n  infill audit --run latest --by ann@desk")]
    Audit(audit::Audit),
    /// Takes a run back: puts the values back that it replaced, where nobody changed them since
    #[command(after_help = format!("{UNDO_EXAMPLES}\n\n{RUN_REF_HELP}\n\n{EXIT_CODES}"))]
    Undo(Undo),
    /// Says why a record holds what it holds: each run that wrote it, from what and when, and whether that is still there
    #[command(
        after_help = "Examples:\n  infill why main-hubspot contacts 101\n  infill why main-hubspot contacts 101 phone"
    )]
    Why(trail::Why),
    /// Takes the values of ended runs away for good; counts stay. Says how many runs and asks first
    #[command(
        after_help = "Examples:\n  infill rows latest --format csv > run.csv\n  infill purge latest\n  infill purge --older-than 90d"
    )]
    Purge(trail::Purge),
    /// Shows why rows will not be tried again by themselves, the most frequent cause first; shows, retries and discards them
    #[command(after_help = dead_letters::EXAMPLES)]
    DeadLetters(Box<dead_letters::DeadLetters>),
    /// Lists the lists of a connection's account
    Lists(Lists),
    /// Lists an object's properties: type, writable or why not, options
    #[command(after_help = "Example:\n  infill properties main-hubspot contacts phone")]
    Properties(Properties),
    /// Lists the configured connections, or tests one
    #[command(subcommand)]
    Connections(Connections),
    /// Handles stage messages until told to stop; any number of them, on any machines
    Worker(Worker),
    /// Starts runs that were recorded and publishes again what was lost on the way
    Planner(Planner),
    /// Simulates a CRM, for trials and tests
    #[command(subcommand)]
    Sim(Sim),
    /// Prints the JSON Schema of a plan or of the configuration, for editors
    #[command(after_help = "Example:\n  infill schema > plan.schema.json")]
    Schema(Schema),
    /// Prints a completion script for a shell
    #[command(after_help = "Example:\n  infill completions bash > /etc/bash_completion.d/infill")]
    Completions(Completions),
}

const RUN_REF_HELP: &str = "RUN is an id, its first or last characters (4 at least), or `latest`.";

/// `infill demo`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Demo {
    /// Whose simulated account it runs on
    #[arg(long, value_name = "CRM", value_enum, default_value_t = Vendor::HubSpot)]
    pub(crate) crm: Vendor,
    /// Leave the simulated account up at the end, and say how to look at it
    #[arg(long)]
    pub(crate) keep: bool,
}

/// `infill check`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Check {
    /// The plan: YAML, or JSON when it ends in .json
    #[arg(value_name = "PLAN")]
    pub(crate) plan: PathBuf,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// `infill run`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Run {
    /// The plan: YAML, or JSON when it ends in .json
    #[arg(value_name = "PLAN", required_unless_present = "resume", conflicts_with = "resume")]
    pub(crate) plan: Option<PathBuf>,
    /// At most this many rows
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: Option<u64>,
    /// All rows, also when the plan never verified a row on this connection
    #[arg(long, conflicts_with = "limit")]
    pub(crate) all: bool,
    /// Evaluate every row and show what would change; write nothing. `infill apply` then writes exactly that
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Wait until the run ends and show how far it is (the default)
    #[arg(long, conflicts_with = "detach")]
    pub(crate) wait: bool,
    /// Record the run and leave it to the workers
    #[arg(long)]
    pub(crate) detach: bool,
    /// Go on with a run that was interrupted: an id, its first or last characters, or `latest`
    #[arg(long, value_name = "RUN", conflicts_with_all = ["limit", "all", "dry_run"])]
    pub(crate) resume: Option<RunRef>,
}

/// `infill runs`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Runs {
    /// Only runs of the plan with this name
    #[arg(long, value_name = "NAME")]
    pub(crate) plan: Option<String>,
    /// Only runs that have not ended
    #[arg(long)]
    pub(crate) unfinished: bool,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    /// How the listing is printed
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// `infill forget`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Forget {
    /// The name of the plan
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// On which connection, when the plan has run on several
    #[arg(long, value_name = "CONNECTION")]
    pub(crate) connection: Option<ConnectionName>,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// `infill show`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Show {
    /// The run
    #[arg(value_name = "RUN")]
    pub(crate) run: RunRef,
    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// `infill rows`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Rows {
    /// The run: an id, its first or last characters, or `latest`
    #[arg(value_name = "RUN")]
    pub(crate) run: RunRef,
    /// Only rows that ended so; may be given several times
    #[arg(long = "outcome", value_name = "OUTCOME", value_parser = word::outcome())]
    pub(crate) outcomes: Vec<Outcome>,
    /// Only the row of this record
    #[arg(long, value_name = "ID")]
    pub(crate) record: Option<RecordId>,
    /// How the listing is printed
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: RowFormat,
}

/// `infill cancel`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Cancel {
    /// The run
    #[arg(value_name = "RUN")]
    pub(crate) run: RunRef,
}

/// `infill undo`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Undo {
    /// The run to take back
    #[arg(value_name = "RUN")]
    pub(crate) run: RunRef,
    /// Only this record; may be given several times
    #[arg(long = "record", value_name = "ID")]
    pub(crate) records: Vec<RecordId>,
    /// Read what the records hold now, say what would be put back, and write nothing
    #[arg(long, conflicts_with = "detach")]
    pub(crate) dry_run: bool,
    /// Record the undo and leave it to the workers
    #[arg(long)]
    pub(crate) detach: bool,
}

/// `infill lists`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Lists {
    /// The connection, as the configuration names it
    #[arg(value_name = "CONNECTION")]
    pub(crate) connection: ConnectionName,
    /// How the listing is printed
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// `infill properties`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Properties {
    /// The connection, as the configuration names it
    #[arg(value_name = "CONNECTION")]
    pub(crate) connection: ConnectionName,
    /// The kind of record: contacts, companies, deals, tickets, or a custom type's id
    #[arg(value_name = "OBJECT")]
    pub(crate) object: ObjectType,
    /// Only properties with this in their name or label
    #[arg(value_name = "QUERY")]
    pub(crate) query: Option<String>,
    /// How the listing is printed
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// `infill connections …`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Connections {
    /// Lists the configured connections
    List {
        /// How the listing is printed
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Asks the CRM which account a connection reaches, its time zone and its limits
    Test {
        /// The connection, as the configuration names it
        #[arg(value_name = "NAME")]
        name: ConnectionName,
        /// How the answer is printed
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

/// `infill worker`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Worker {
    /// Messages handled at once [default: 16, or what the configuration says]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) concurrency: Option<u16>,
    /// Where metrics and health are answered [default: 127.0.0.1:9464, or what the configuration says]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,
}

/// `infill planner`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Planner {
    /// Where metrics and health are answered [default: 127.0.0.1:9464, or what the configuration says]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,
}

/// `infill sim …`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Sim {
    /// A HubSpot portal on loopback
    #[command(
        name = "hubspot",
        after_help = "Examples:\n  infill sim hubspot --port 8080\n  \
                      infill sim hubspot --port 8080 --generate 100000 --limit unlimited --seed 7"
    )]
    HubSpot(SimHubSpot),
    /// A Pipedrive company on loopback
    #[command(
        name = "pipedrive",
        after_help = "Examples:\n  infill sim pipedrive --port 8080\n  \
                      infill sim pipedrive --port 8080 --generate 20000 --limit 'lite*3' --seed 7"
    )]
    Pipedrive(SimPipedrive),
    /// A Salesforce org on loopback
    #[command(
        name = "salesforce",
        after_help = "Examples:\n  infill sim salesforce --port 8080\n  \
                      infill sim salesforce --port 8080 --generate 100000 --limit developer --faults row-lock,p=0.01"
    )]
    Salesforce(SimSalesforce),
}

/// `infill sim hubspot`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct SimHubSpot {
    /// Where to listen on loopback; 0 takes a free port and says which
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) port: u16,
    /// Contacts from a CSV file whose header names properties [default: the members of the US Congress]
    #[arg(long, value_name = "FILE.csv", conflicts_with = "generate")]
    pub(crate) records: Option<PathBuf>,
    /// This many made-up contacts
    #[arg(long, value_name = "N")]
    pub(crate) generate: Option<usize>,
    /// Whose behaviour: v3, 2026-03 or 2026-09
    #[arg(long, value_name = "V", default_value = "2026-09")]
    pub(crate) api_version: ApiVersion,
    /// The tier whose rate limits hold: free, starter, professional, enterprise, oauth or unlimited
    #[arg(long, value_name = "TIER", default_value = "professional")]
    pub(crate) limit: LimitTier,
    /// Faults to make, as in "503,op=batch-update,count=3;differs,property=phone,p=0.02"
    #[arg(long, value_name = "SPEC")]
    pub(crate) faults: Option<Faults>,
    /// Chooses everything that looks random
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
}

/// `infill sim pipedrive`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct SimPipedrive {
    /// Where to listen on loopback; 0 takes a free port and says which
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) port: u16,
    /// Persons from a CSV file: name, email, phone, organization; other columns become custom fields [default:
    /// the members of the US Congress]
    #[arg(long, value_name = "FILE.csv", conflicts_with = "generate")]
    pub(crate) records: Option<PathBuf>,
    /// This many made-up persons
    #[arg(long, value_name = "N")]
    pub(crate) generate: Option<usize>,
    /// Whose limits hold: lite, growth, premium, ultimate (with seats, as in "lite*3") or unlimited; or calls per
    /// 2 s and tokens a day, as in "20/30000"
    #[arg(long, value_name = "LIMIT", default_value = "premium")]
    pub(crate) limit: pipedrive::Limits,
    /// Faults to make, as in "503,op=update,count=3;differs,field=Greeting,p=0.02"
    #[arg(long, value_name = "SPEC")]
    pub(crate) faults: Option<pipedrive::Faults>,
    /// Chooses everything that looks random
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
}

/// `infill sim salesforce`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct SimSalesforce {
    /// Where to listen on loopback; 0 takes a free port and says which
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) port: u16,
    /// Accounts from a CSV file whose header names fields; other columns become custom text fields [default: the
    /// companies of the S&P 500]
    #[arg(long, value_name = "FILE.csv", conflicts_with = "generate")]
    pub(crate) records: Option<PathBuf>,
    /// This many made-up accounts
    #[arg(long, value_name = "N")]
    pub(crate) generate: Option<usize>,
    /// The newest API version served, from 31.0 to 68.0; older ones down to 31.0 are served as well
    #[arg(long, value_name = "V", default_value_t = salesforce::ApiVersion::NEWEST)]
    pub(crate) api_version: salesforce::ApiVersion,
    /// Whose limits hold: developer, enterprise, unlimited (the edition), sandbox or none; or requests a day, as
    /// in "15000"
    #[arg(long, value_name = "LIMIT", default_value = "enterprise")]
    pub(crate) limit: salesforce::Limits,
    /// Faults to make, as in "503,op=collections-update,count=3;row-lock,p=0.02"
    #[arg(long, value_name = "SPEC")]
    pub(crate) faults: Option<salesforce::Faults>,
    /// Chooses everything that looks random
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
}

/// `infill schema`.
#[derive(Clone, Copy, Debug, ClapArgs)]
pub(crate) struct Schema {
    /// Of what
    #[arg(long, value_enum, default_value_t)]
    pub(crate) of: SchemaOf,
}

/// `infill completions`.
#[derive(Clone, Copy, Debug, ClapArgs)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests;
