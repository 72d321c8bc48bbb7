//! `infill dead-letters`: what will not be tried again by itself, for a person to look at, try again, or give up.

mod anew;
mod retry;
mod show;

use std::collections::{BTreeSet, HashMap};
use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::Arc;

use anyhow::Context;
use infill_model::RunId;
use infill_store::Store;
use infill_store::audit::{Act, NewAuditEntry};
use infill_store::store::{Letter, LetterCause, LetterFilter, LetterStatus, Run};

use crate::args::Format;
use crate::args::dead_letters::{DeadLetters, Discard, Filters, List, Verb, Which};
use crate::compose::Parts;
use crate::exit::{Exit, Usage};
use crate::render::{self, say, shown};
use crate::view::{CauseView, LetterView};

/// Characters of a run's id that a table shows: its end, which names it well enough for every command.
const RUN_SHOWN: usize = 8;

/// Lists the causes, or does what is asked with the letters.
pub(crate) async fn dead_letters(parts: &Parts, args: &DeadLetters) -> anyhow::Result<Exit> {
    match &args.verb {
        None => causes(parts, args).await,
        Some(Verb::List(args)) => list(parts, args).await,
        Some(Verb::Show(args)) => show::show(parts, args).await,
        Some(Verb::Retry(args)) => retry::retry(parts, args).await,
        Some(Verb::Discard(args)) => discard(parts, args).await,
    }
}

/// The letters that a person means.
async fn filter(
    parts: &Parts,
    filters: &Filters,
    status: Option<LetterStatus>,
) -> anyhow::Result<LetterFilter> {
    let run = match &filters.run {
        Some(run) => Some(parts.find_run(run).await?.id),
        None => None,
    };
    Ok(LetterFilter {
        id: None,
        cause: filters.cause.clone(),
        code: filters.code.clone(),
        property: filters.property.clone(),
        run,
        plan_name: filters.plan.clone(),
        connection: filters.connection.clone(),
        since: filters.since.map(|since| since.moment(parts.clock.now())),
        status,
    })
}

/// Runs by id, each read once.
struct Runs<'a> {
    store: &'a dyn Store,
    known: HashMap<RunId, Option<Arc<Run>>>,
}

impl<'a> Runs<'a> {
    fn of(parts: &'a Parts) -> Self {
        Self { store: parts.store.as_ref(), known: HashMap::new() }
    }

    async fn get(&mut self, id: RunId) -> anyhow::Result<Option<Arc<Run>>> {
        if let Some(run) = self.known.get(&id) {
            return Ok(run.clone());
        }
        let run = self.store.run(id).await?.map(Arc::new);
        self.known.insert(id, run.clone());
        Ok(run)
    }
}

/// Where a person opens the record of a letter, where the CRM told when its run was configured.
fn address(letter: &Letter, run: Option<&Run>) -> Option<String> {
    let address = run?.compiled.as_ref()?.record_address.as_ref()?;
    Some(address.of(&letter.letter.record))
}

/// A cause with one of its letters.
struct Example {
    cause: LetterCause,
    letter: Option<Letter>,
    address: Option<String>,
}

async fn causes(parts: &Parts, args: &DeadLetters) -> anyhow::Result<Exit> {
    let filter = filter(parts, &args.filters, Some(LetterStatus::Open)).await?;
    // One more than is shown tells whether there is more.
    let mut causes = parts.store.letter_causes(&filter, args.limit.saturating_add(1)).await?;
    let n_shown = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let has_more = causes.len() > n_shown;
    causes.truncate(n_shown);
    let mut runs = Runs::of(parts);
    let mut examples = Vec::with_capacity(causes.len());
    for cause in causes {
        let one = LetterFilter { id: Some(cause.example), ..LetterFilter::default() };
        let letter = parts.store.letters(&one, None, 1).await?.pop();
        let run = match &letter {
            Some(letter) => runs.get(letter.run).await?,
            None => None,
        };
        let address = letter.as_ref().and_then(|letter| address(letter, run.as_deref()));
        examples.push(Example { cause, letter, address });
    }
    let mut out = io::stdout().lock();
    match args.format {
        Format::Json => {
            let views: Vec<_> = examples
                .iter()
                .map(|each| CauseView::of(&each.cause, each.letter.as_ref(), each.address.as_deref()))
                .collect();
            render::write_json(&mut out, &views)?;
        }
        Format::Table => write_causes(&mut out, &examples, has_more).context("print the causes")?,
    }
    Ok(Exit::Well)
}

fn write_causes(out: &mut dyn Write, examples: &[Example], has_more: bool) -> io::Result<()> {
    let Some(first) = examples.first() else { return writeln!(out, "no dead letters are open") };
    for Example { cause, letter, address } in examples {
        let property = cause.property.as_ref().map(|name| format!(" on {name}")).unwrap_or_default();
        let what = format!("{}{property}", cause.code);
        writeln!(out, "{}  {}  {}", cause.shared.id, letters(cause.n_letters), shown(&what))?;
        writeln!(out, "  {}", shown(&cause.shared.message))?;
        writeln!(out, "  from {} to {}", render::moment(cause.first_at), render::moment(cause.last_at))?;
        if let Some(letter) = letter {
            let address = address.as_ref().map(|address| format!(", {address}")).unwrap_or_default();
            let record = format!("record {}{address}", letter.letter.record);
            writeln!(out, "  for example letter {}: {}", letter.id, shown(&record))?;
        }
        writeln!(out)?;
    }
    if has_more {
        writeln!(out, "there are more causes; --limit shows more")?;
    }
    let (id, example) = (&first.cause.shared.id, first.cause.example);
    writeln!(out, "next  infill dead-letters show {example}")?;
    writeln!(out, "      infill dead-letters retry --cause {id}")
}

/// A number of letters.
fn letters(n_letters: u64) -> String {
    if n_letters == 1 { "1 letter".to_owned() } else { format!("{} letters", render::count(n_letters)) }
}

/// A number of runs.
fn runs(n_runs: usize) -> String {
    if n_runs == 1 { "1 run".to_owned() } else { format!("{n_runs} runs") }
}

async fn list(parts: &Parts, args: &List) -> anyhow::Result<Exit> {
    let filter = filter(parts, &args.filters, args.status.filter()).await?;
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
    let head = ["id", "run", "record", "stage", "cause", "code", "message", "tries", "status", "since"];
    let mut table = vec![head.map(str::to_owned).to_vec()];
    table.extend(letters.iter().map(|letter| {
        let run = letter.run.to_string();
        let n_before = run.chars().count().saturating_sub(RUN_SHOWN);
        vec![
            letter.id.to_string(),
            run.chars().skip(n_before).collect(),
            letter.letter.record.to_string(),
            letter.letter.stage.to_string(),
            letter.letter.shared.id.to_string(),
            letter.letter.cause.code.clone(),
            letter.letter.cause.message.clone(),
            letter.attempts.to_string(),
            letter.status.as_str().to_owned(),
            render::moment(letter.first_at),
        ]
    }));
    table
}

/// The open letters that a command means.
struct Meant {
    /// As questions to the store: one for each id, or one for all.
    filters: Vec<LetterFilter>,
    /// The one run they were asked for by, if they were.
    run: Option<RunId>,
    n_letters: u64,
    runs: BTreeSet<RunId>,
}

impl Meant {
    async fn find(parts: &Parts, which: &Which) -> anyhow::Result<Self> {
        let filter = filter(parts, &which.filters, Some(LetterStatus::Open)).await?;
        let run = filter.run;
        let ids: BTreeSet<i64> = which.ids.iter().copied().collect();
        let filters: Vec<_> = if ids.is_empty() {
            vec![filter]
        } else {
            ids.into_iter().map(|id| LetterFilter { id: Some(id), ..filter.clone() }).collect()
        };
        let (mut n_letters, mut runs) = (0_u64, BTreeSet::new());
        for filter in &filters {
            for (run, n) in parts.store.letter_runs(filter).await? {
                n_letters = n_letters.saturating_add(n);
                runs.insert(run);
            }
        }
        Ok(Self { filters, run, n_letters, runs })
    }

    /// What they are and what will become of them, for a person to agree to.
    fn question(&self, what_becomes: &str) -> String {
        let runs = runs(self.runs.len());
        let letters = if self.n_letters == 1 {
            "1 open dead letter is".to_owned()
        } else {
            format!("{} open dead letters of {runs} are", render::count(self.n_letters))
        };
        format!("{letters} meant; {what_becomes}")
    }

    /// Asks, unless nobody is to be asked or nothing is meant; says whether to go on.
    fn is_agreed(&self, is_unasked: bool, what_becomes: &str) -> anyhow::Result<bool> {
        if self.n_letters == 0 {
            say!("no open dead letter is meant; `infill dead-letters` shows what there is");
            return Ok(false);
        }
        let is_agreed = is_unasked || agreed(&self.question(what_becomes))?;
        if !is_agreed {
            say!("nothing was done");
        }
        Ok(is_agreed)
    }

    /// Records in the audit what is about to be done.
    async fn audit(&self, parts: &Parts, act: Act, detail: &str) -> anyhow::Result<()> {
        let entry = NewAuditEntry::new(parts.clock.now(), parts.actor.clone(), act);
        let detail = format!("{}{detail}", letters(self.n_letters));
        parts.store.audit(&NewAuditEntry { run: self.run, ..entry.with(detail) }).await?;
        Ok(())
    }
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

async fn discard(parts: &Parts, args: &Discard) -> anyhow::Result<Exit> {
    if args.why.trim().is_empty() {
        anyhow::bail!(Usage("say --why they are given up: it is kept with them".to_owned()));
    }
    let meant = Meant::find(parts, &args.which).await?;
    if !meant.is_agreed(args.yes, "they will be given up for good")? {
        return Ok(Exit::Well);
    }
    meant.audit(parts, Act::LettersDiscarded, &format!(": {}", args.why)).await?;
    let mut n_discarded = 0_u64;
    for filter in &meant.filters {
        let n = parts.store.discard_letters(filter, &parts.actor, &args.why, parts.clock.now()).await?;
        n_discarded = n_discarded.saturating_add(n);
    }
    say!("{} discarded; their rows stay failed", render::count(n_discarded));
    Ok(Exit::Well)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[tokio::test]
    async fn a_letter_is_listed_and_cannot_drive_the_terminal() {
        let (store, run) = sample::store_with_rows().await;
        let letters = store.letters(&LetterFilter::default(), None, 10).await.unwrap();
        let mut out = Vec::new();
        render::write_table(&mut out, &table(&letters)).unwrap();
        let said = String::from_utf8(out).unwrap();
        let end: String =
            run.id.to_string().chars().rev().take(RUN_SHOWN).collect::<Vec<_>>().iter().rev().collect();
        for part in ["102", "INVALID", "Zoë's \"phone\", is no number", "8c1d2f3a", &end] {
            assert!(said.contains(part), "{part} in {said}");
        }
    }

    #[tokio::test]
    async fn causes_are_shown_with_an_example_and_what_to_type_next() {
        let (store, _) = sample::store_with_rows().await;
        let cause = store.letter_causes(&LetterFilter::default(), 10).await.unwrap().remove(0);
        let letter = store.letters(&LetterFilter::default(), None, 1).await.unwrap().pop();
        let address = Some("https://crm.example/102\u{1b}[2J".to_owned());
        let mut out = Vec::new();
        write_causes(&mut out, &[Example { cause, letter, address }], true).unwrap();
        let said = String::from_utf8(out).unwrap();
        for part in [
            "8c1d2f3a  1 letter  INVALID\n  Zoë's <value>, is no number\n",
            "letter 1: record 102, https://crm.example/102\\u{1b}[2J\n",
            "--limit shows more",
            "infill dead-letters show 1\n",
            "retry --cause 8c1d2f3a\n",
        ] {
            assert!(said.contains(part), "{part} in {said}");
        }
    }

    #[test]
    fn what_will_happen_is_said_with_the_number() {
        let of = |n_letters, runs: &[u8]| Meant {
            filters: Vec::new(),
            run: None,
            n_letters,
            runs: runs.iter().map(|n| RunId::new(sample::now(), [*n; 10])).collect(),
        };
        assert_eq!(
            of(1, &[1]).question("its row goes again"),
            "1 open dead letter is meant; its row goes again"
        );
        assert_eq!(
            of(1312, &[1, 2]).question("they will be given up for good"),
            "1,312 open dead letters of 2 runs are meant; they will be given up for good"
        );
    }
}
