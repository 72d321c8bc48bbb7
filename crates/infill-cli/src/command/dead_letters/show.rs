//! `infill dead-letters show`: one letter with everything that is known of it.

use std::io::{self, Write};

use anyhow::Context;
use infill_store::store::{Letter, LetterChange, LetterEvent, LetterFilter, Run};

use super::address;
use crate::args::Format;
use crate::args::dead_letters::Show;
use crate::compose::Parts;
use crate::exit::{Exit, Usage};
use crate::render::{self, shown};
use crate::view::WholeLetterView;

/// Prints a letter.
pub(super) async fn show(parts: &Parts, args: &Show) -> anyhow::Result<Exit> {
    let filter = LetterFilter { id: Some(args.id), ..LetterFilter::default() };
    let letters = parts.store.letters(&filter, None, 1).await?;
    let Some(letter) = letters.first() else {
        let message =
            format!("no dead letter {}; `infill dead-letters list --status all` lists them", args.id);
        return Err(Usage(message).into());
    };
    let run = parts.store.run(letter.run).await?;
    let history = parts.store.letter_history(letter.id).await?;
    let mut out = io::stdout().lock();
    match args.format {
        Format::Json => {
            let address = address(letter, run.as_ref());
            render::write_json(&mut out, &WholeLetterView::of(letter, run.as_ref(), address, &history))?;
        }
        Format::Table => {
            for (name, text) in facts(letter, run.as_ref(), &history) {
                writeln!(out, "{name:<12} {}", shown(&text)).context("print the letter")?;
            }
        }
    }
    Ok(Exit::Well)
}

/// What there is to say of a letter, by name.
type Facts = Vec<(&'static str, String)>;

fn facts(letter: &Letter, run: Option<&Run>, history: &[LetterEvent]) -> Facts {
    let (cause, record) = (&letter.letter.cause, &letter.letter.record);
    let mut facts = vec![("letter", format!("{} ({})", letter.id, letter.status.as_str()))];
    facts.extend(run.map(|run| ("plan", format!("{} on {}", run.plan.name, run.plan.connection))));
    facts.push(("run", format!("{}, batch {}", letter.run, letter.batch)));
    facts.push(("record", record.to_string()));
    facts.extend(address(letter, run).map(|address| ("", address)));
    facts.push(("stage", letter.letter.stage.to_string()));
    facts.push(("why", format!("{} ({}, {})", cause.message, cause.class, cause.code)));
    facts.push(("cause", letter.letter.shared.id.to_string()));
    facts.extend(cause.property.clone().map(|property| ("property", property)));
    facts.extend(cause.correlation_id.clone().map(|id| ("correlation", id)));
    facts.extend(values(letter));
    facts.extend(exchange(letter));
    facts.push(("tries", letter.attempts.to_string()));
    facts.push(("first", render::moment(letter.first_at)));
    facts.push(("last", render::moment(letter.last_at)));
    facts.extend(history.iter().map(|event| event_of(letter, event)));
    facts
}

fn values(letter: &Letter) -> Facts {
    let of = |properties: &infill_model::Properties, name| render::of_value(properties.get(name));
    let letter = &letter.letter;
    let mut facts = Facts::new();
    for (name, wanted) in &letter.wanted {
        let (before, wanted) = (of(&letter.before, name), render::of_value(Some(wanted)));
        facts.push(("wanted", format!("{name}: {before} → {wanted}")));
    }
    for name in letter.found.keys() {
        facts.push(("found", format!("{name}: {} at the last look", of(&letter.found, name))));
    }
    facts
}

fn exchange(letter: &Letter) -> Facts {
    let Some(exchange) = &letter.letter.exchange else { return Facts::new() };
    let mut facts = vec![("request", exchange.request.clone())];
    if !exchange.sent.is_empty() {
        facts.push(("", exchange.sent.clone()));
    }
    facts.push(("answer", format!("{} {}", exchange.status, exchange.answered)));
    facts
}

/// A line of the history. What happened to a letter whose row came into this run from another one names that letter.
fn event_of(letter: &Letter, event: &LetterEvent) -> (&'static str, String) {
    let whose = if event.letter == letter.id { String::new() } else { format!("letter {} ", event.letter) };
    let at = render::moment(event.at);
    let what = match &event.what {
        LetterChange::Failed { cause } => format!("failed: {} ({})", cause.message, cause.code),
        LetterChange::Retried { by, set, into } => {
            let with =
                if set.is_empty() { String::new() } else { format!(" with {}", super::retry::settings(set)) };
            let into = into.map(|run| format!(" in run {run}")).unwrap_or_default();
            format!("retried by {by}{into}{with}")
        }
        LetterChange::Discarded { by, why } => format!("discarded by {by}: {why}"),
    };
    ("history", format!("{at}  {whose}{what}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sample;

    #[tokio::test]
    async fn a_letter_is_shown_with_everything_and_cannot_drive_the_terminal() {
        let (store, run) = sample::store_with_rows().await;
        let letters = store.letters(&LetterFilter::default(), None, 10).await.unwrap();
        let retried = LetterEvent {
            letter: 9,
            at: sample::now(),
            what: LetterChange::Retried {
                by: "ann@office".into(),
                set: [("phone".into(), json!("+1"))].into(),
                into: Some(run.id),
            },
        };
        let mut history = store.letter_history(letters[0].id).await.unwrap();
        history.push(retried);
        let said: Vec<String> = facts(&letters[0], Some(&run), &history)
            .into_iter()
            .map(|(name, text)| format!("{name}: {}", shown(&text)))
            .collect();
        let said = said.join("\n");
        for part in [
            "plan: Phones on main",
            "record: 102",
            "cause: 8c1d2f3a",
            "wanted: phone: (empty) → 1\\u{1b}[2J",
            "found: phone: theirs at the last look",
            "request: POST /batch/update\n: {\"id\":\"102\"}\nanswer: 400 {\"message\":\"no\"}",
            "failed: Zoë's \"phone\", is no number (INVALID)",
            &format!("letter 9 retried by ann@office in run {} with phone = +1", run.id),
        ] {
            assert!(said.contains(part), "{part} in {said}");
        }
    }
}
