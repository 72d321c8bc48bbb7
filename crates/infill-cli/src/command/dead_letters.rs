//! `infill dead-letters`: what will not be tried again by itself, for a person to look at, try again, or give up.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::Context;
use infill_model::{BatchNo, RunId, Timestamp};
use infill_store::Store;
use infill_store::audit::{self, NewAuditEntry};
use infill_store::store::{Letter, LetterFilter, LetterStatus};

use crate::args::{self, Format};
use crate::compose::Parts;
use crate::exit::{Exit, Usage};
use crate::render::{self, shown};
use crate::view::LetterView;

/// Letters read from the store at once.
const PAGE: u32 = 500;

/// Characters of a run's id that a table shows: its end, which names it well enough for every command.
const RUN_SHOWN: usize = 8;

/// Does one of the four.
pub(crate) async fn dead_letters(parts: &Parts, args: &args::DeadLetters) -> anyhow::Result<Exit> {
    match args {
        args::DeadLetters::List(args) => list(parts, args).await,
        args::DeadLetters::Show(args) => show(parts, args).await,
        args::DeadLetters::Retry(args) => act(parts, args, Act::Retry).await,
        args::DeadLetters::Discard(args) => act(parts, args, Act::Discard).await,
    }
}

async fn list(parts: &Parts, args: &args::LettersList) -> anyhow::Result<Exit> {
    let run = match &args.run {
        Some(run) => Some(parts.find_run(run).await?.id),
        None => None,
    };
    let filter = LetterFilter { id: None, run, code: args.code.clone(), status: args.status.filter() };
    let letters = parts.store.letters(&filter, None, args.limit).await?;
    let n_all = parts.store.count_letters(&filter).await?;
    let mut out = io::stdout().lock();
    match args.format {
        Format::Json => {
            render::write_json(&mut out, &letters.iter().map(LetterView::of).collect::<Vec<_>>())?;
        }
        Format::Table if letters.is_empty() => {
            writeln!(out, "no dead letters").context("print the letters")?;
        }
        Format::Table => {
            render::write_table(&mut out, &table(&letters))?;
            let n_shown = u64::try_from(letters.len()).unwrap_or(u64::MAX);
            if n_shown < n_all {
                writeln!(out, "{n_shown} of {n_all}; --limit shows more").context("print the letters")?;
            }
        }
    }
    Ok(Exit::Well)
}

fn table(letters: &[Letter]) -> Vec<Vec<String>> {
    let head = ["id", "run", "record", "stage", "code", "message", "tries", "status", "since"];
    let mut table = vec![head.map(str::to_owned).to_vec()];
    table.extend(letters.iter().map(|letter| {
        let run = letter.run.to_string();
        let n_before = run.chars().count().saturating_sub(RUN_SHOWN);
        vec![
            letter.id.to_string(),
            run.chars().skip(n_before).collect(),
            letter.letter.record.to_string(),
            letter.letter.stage.to_string(),
            letter.letter.cause.code.clone(),
            letter.letter.cause.message.clone(),
            letter.attempts.to_string(),
            letter.status.as_str().to_owned(),
            render::moment(letter.first_at),
        ]
    }));
    table
}

async fn show(parts: &Parts, args: &args::LettersShow) -> anyhow::Result<Exit> {
    let filter = LetterFilter { id: Some(args.id), ..LetterFilter::default() };
    let letters = parts.store.letters(&filter, None, 1).await?;
    let Some(letter) = letters.first() else {
        let message =
            format!("no dead letter {}; `infill dead-letters list --status all` lists them", args.id);
        return Err(Usage(message).into());
    };
    let mut out = io::stdout().lock();
    match args.format {
        Format::Json => render::write_json(&mut out, &LetterView::of(letter))?,
        Format::Table => {
            for (name, text) in facts(letter) {
                writeln!(out, "{name:<12} {}", shown(&text)).context("print the letter")?;
            }
        }
    }
    Ok(Exit::Well)
}

fn facts(letter: &Letter) -> Vec<(String, String)> {
    let cause = &letter.letter.cause;
    let fact = |name: &str, text: String| (name.to_owned(), text);
    let mut facts = vec![
        fact("letter", format!("{} ({})", letter.id, letter.status.as_str())),
        fact("run", format!("{}, batch {}", letter.run, letter.batch)),
        fact("record", letter.letter.record.to_string()),
        fact("stage", letter.letter.stage.to_string()),
        fact("why", format!("{} ({}, {})", cause.message, cause.class, cause.code)),
    ];
    facts.extend(cause.property.clone().map(|property| fact("property", property)));
    facts.extend(cause.correlation_id.clone().map(|id| fact("correlation", id)));
    for (name, wanted) in &letter.letter.wanted {
        let before = render::of_value(letter.letter.before.get(name));
        facts.push(fact("wanted", format!("{name}: {before} → {}", render::of_value(Some(wanted)))));
    }
    facts.push(fact("tries", letter.attempts.to_string()));
    facts.push(fact("first", render::moment(letter.first_at)));
    facts.push(fact("last", render::moment(letter.last_at)));
    facts
}

/// What is done to open letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Retry,
    Discard,
}

impl Act {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Discard => "discard",
        }
    }

    const fn audited(self) -> audit::Act {
        match self {
            Self::Retry => audit::Act::LettersRetried,
            Self::Discard => audit::Act::LettersDiscarded,
        }
    }
}

async fn act(parts: &Parts, args: &args::LettersSelected, act: Act) -> anyhow::Result<Exit> {
    let run = match &args.which.run {
        Some(run) => Some(parts.find_run(run).await?.id),
        None => None,
    };
    let filters = filters(&args.which.ids, run, args.which.code.as_deref());
    let store = parts.store.as_ref();
    let mut n_letters = 0_u64;
    for filter in &filters {
        n_letters = n_letters.saturating_add(store.count_letters(filter).await?);
    }
    let mut out = io::stdout().lock();
    if n_letters == 0 {
        writeln!(out, "no open dead letter is meant; nothing to {}", act.as_str()).context("print")?;
        return Ok(Exit::Well);
    }
    if !args.yes && !agreed(&question(act, n_letters))? {
        writeln!(out, "nothing was done").context("print")?;
        return Ok(Exit::Well);
    }
    let now = parts.clock.now();
    let code = args.which.code.as_ref().map(|code| format!(" with code {code}")).unwrap_or_default();
    let entry = NewAuditEntry {
        run,
        ..NewAuditEntry::new(now, parts.actor.clone(), act.audited())
            .with(format!("{n_letters} letters{code}"))
    };
    store.audit(&entry).await?;
    match act {
        Act::Retry => {
            let reopened = retry(store, &filters, now).await?;
            writeln!(out, "{} rows of {} are open again", reopened.rows, runs_of(&reopened.runs))
                .context("print")?;
            if parts.is_embedded() {
                for run in &reopened.runs {
                    writeln!(out, "next: infill run --resume {run}").context("print")?;
                }
            } else {
                writeln!(out, "the planner picks them up").context("print")?;
            }
        }
        Act::Discard => {
            let n_discarded = discard(store, &filters, now).await?;
            writeln!(out, "{n_discarded} discarded; their rows stay failed").context("print")?;
        }
    }
    Ok(Exit::Well)
}

fn runs_of(runs: &BTreeSet<RunId>) -> String {
    if runs.len() == 1 { "1 run".to_owned() } else { format!("{} runs", runs.len()) }
}

/// The letters meant, as questions to the store: one for each id, or one for all.
fn filters(ids: &[i64], run: Option<RunId>, code: Option<&str>) -> Vec<LetterFilter> {
    let open = LetterFilter { status: Some(LetterStatus::Open), ..LetterFilter::default() };
    if ids.is_empty() {
        return vec![LetterFilter { run, code: code.map(ToOwned::to_owned), ..open }];
    }
    let ids: BTreeSet<i64> = ids.iter().copied().collect();
    ids.into_iter().map(|id| LetterFilter { id: Some(id), ..open.clone() }).collect()
}

/// Says what is about to be done, and asks. Where nobody can answer, says so and how to go on without asking.
pub(crate) fn agreed(what: &str) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        return Err(Usage(format!("{what}; nobody is there to agree: add --yes")).into());
    }
    let mut err = io::stderr().lock();
    write!(err, "{what}. Go on? [y/N] ").context("ask")?;
    err.flush().context("ask")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).context("read the answer")?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

fn question(act: Act, n_letters: u64) -> String {
    let letters = if n_letters == 1 {
        "1 open dead letter is".to_owned()
    } else {
        format!("{n_letters} open dead letters are")
    };
    match act {
        Act::Retry => format!("{letters} meant; their rows will be evaluated and written again"),
        Act::Discard => format!("{letters} meant; they will be given up for good"),
    }
}

/// What was reopened.
#[derive(Debug, Default, PartialEq, Eq)]
struct Reopened {
    rows: u64,
    runs: BTreeSet<RunId>,
}

/// Reopens the rows of the letters, batch by batch.
async fn retry(store: &dyn Store, filters: &[LetterFilter], now: Timestamp) -> anyhow::Result<Reopened> {
    let mut of_batch: BTreeMap<(RunId, BatchNo), Vec<i64>> = BTreeMap::new();
    for filter in filters {
        let mut after = None;
        loop {
            let page = store.letters(filter, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for letter in &page {
                of_batch.entry((letter.run, letter.batch)).or_default().push(letter.id);
            }
        }
    }
    let mut reopened = Reopened::default();
    for ((run, batch), letters) in of_batch {
        let rows = store.reopen(run, batch, &letters, now).await?;
        reopened.rows = reopened.rows.saturating_add(rows);
        reopened.runs.insert(run);
    }
    Ok(reopened)
}

async fn discard(store: &dyn Store, filters: &[LetterFilter], now: Timestamp) -> anyhow::Result<u64> {
    let mut n_discarded = 0_u64;
    for filter in filters {
        n_discarded = n_discarded.saturating_add(store.discard_letters(filter, now).await?);
    }
    Ok(n_discarded)
}

#[cfg(test)]
mod tests {
    use infill_model::RunState;

    use super::*;
    use crate::sample;

    async fn letter_ids(store: &dyn Store, status: LetterStatus) -> Vec<i64> {
        let filter = LetterFilter { status: Some(status), ..LetterFilter::default() };
        store.letters(&filter, None, 10).await.unwrap().iter().map(|letter| letter.id).collect()
    }

    #[tokio::test]
    async fn retry_reopens_the_rows_and_only_once() {
        let (store, run) = sample::store_with_rows().await;
        store.move_run(run.id, &[run.state], RunState::Running, None, sample::now()).await.unwrap();
        store.move_run(run.id, &[RunState::Running], RunState::Completed, None, sample::now()).await.unwrap();
        let wanted = filters(&[], Some(run.id), Some("INVALID"));
        let reopened = retry(&*store, &wanted, sample::now()).await.unwrap();
        assert_eq!(reopened, Reopened { rows: 1, runs: BTreeSet::from([run.id]) });
        assert_eq!(store.run(run.id).await.unwrap().unwrap().state, RunState::Running);
        assert!(letter_ids(&*store, LetterStatus::Open).await.is_empty());

        let again = retry(&*store, &wanted, sample::now()).await.unwrap();
        assert_eq!(again, Reopened::default());
    }

    #[tokio::test]
    async fn discard_takes_only_what_is_meant() {
        let (store, _) = sample::store_with_rows().await;
        let open = letter_ids(&*store, LetterStatus::Open).await;
        let other = filters(&[], None, Some("OTHER"));
        assert_eq!(discard(&*store, &other, sample::now()).await.unwrap(), 0);
        let same_twice = filters(&[open[0], open[0]], None, None);
        assert_eq!(discard(&*store, &same_twice, sample::now()).await.unwrap(), 1);
        assert_eq!(letter_ids(&*store, LetterStatus::Discarded).await, open);
    }

    #[tokio::test]
    async fn a_letter_is_shown_with_its_cause_and_cannot_drive_the_terminal() {
        let (store, run) = sample::store_with_rows().await;
        let letters = store.letters(&LetterFilter::default(), None, 10).await.unwrap();
        let mut out = Vec::new();
        render::write_table(&mut out, &table(&letters)).unwrap();
        let said = String::from_utf8(out).unwrap();
        let end: String =
            run.id.to_string().chars().rev().take(RUN_SHOWN).collect::<Vec<_>>().iter().rev().collect();
        for part in ["102", "INVALID", "Zoë's \"phone\", is no number", &end] {
            assert!(said.contains(part), "{part} in {said}");
        }
        let wanted = facts(&letters[0]).into_iter().find(|(name, _)| name == "wanted").unwrap().1;
        assert_eq!(shown(&wanted), "phone: (empty) → 1\\u{1b}[2J");
    }

    #[test]
    fn what_will_happen_is_said_with_the_number() {
        assert_eq!(
            question(Act::Retry, 1),
            "1 open dead letter is meant; their rows will be evaluated and written again"
        );
        assert_eq!(
            question(Act::Discard, 312),
            "312 open dead letters are meant; they will be given up for good"
        );
    }
}
