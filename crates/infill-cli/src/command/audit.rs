//! `infill audit`: who did what, newest first.

use std::io::{self, Write};

use anyhow::Context;
use infill_store::audit::{AuditEntry, AuditFilter};

use crate::args::Format;
use crate::args::audit::Audit;
use crate::compose::Parts;
use crate::exit::Exit;
use crate::render;
use crate::view::AuditView;

/// Lists the audit.
pub(crate) async fn audit(parts: &Parts, args: &Audit) -> anyhow::Result<Exit> {
    let run = match &args.run {
        Some(run) => Some(parts.find_run(run).await?.id),
        None => None,
    };
    let since = args.since.map(|since| since.moment(parts.clock.now()));
    let filter = AuditFilter { run, by: args.by.clone(), since };
    // One more than is shown tells whether there is more.
    let mut entries = parts.store.audited(&filter, None, args.limit.saturating_add(1)).await?;
    let n_shown = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let has_more = entries.len() > n_shown;
    entries.truncate(n_shown);
    write(&mut io::stdout().lock(), &entries, has_more, args.format)?;
    Ok(Exit::Well)
}

fn write(out: &mut dyn Write, entries: &[AuditEntry], has_more: bool, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Json => render::write_json(out, &entries.iter().map(AuditView::of).collect::<Vec<_>>()),
        Format::Table if entries.is_empty() => writeln!(out, "nothing was done").context("print the audit"),
        Format::Table => {
            let head = ["when", "who", "did", "run", "plan", "connection", "more"];
            let mut table = vec![head.map(str::to_owned).to_vec()];
            table.extend(entries.iter().map(line));
            render::write_table(out, &table)?;
            if has_more {
                let said = format!("the newest {}; --limit shows more", entries.len());
                writeln!(out, "{said}").context("print the audit")?;
            }
            Ok(())
        }
    }
}

fn line(AuditEntry { entry, .. }: &AuditEntry) -> Vec<String> {
    vec![
        render::moment(entry.at),
        entry.by.to_string(),
        entry.act.to_string(),
        entry.run.map(|run| run.to_string()).unwrap_or_default(),
        entry.plan_name.clone().unwrap_or_default(),
        entry.connection.as_ref().map(ToString::to_string).unwrap_or_default(),
        entry.detail.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use infill_store::Store;
    use infill_store::audit::{Act, NewAuditEntry};

    use super::*;
    use crate::sample;

    async fn listed(store: &dyn Store, limit: u32, format: Format) -> String {
        let entries = store.audited(&AuditFilter::default(), None, limit).await.unwrap();
        let mut out = Vec::new();
        write(&mut out, &entries, limit == 1, format).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[tokio::test]
    async fn a_listing_tells_who_did_what_to_which_run() {
        let (store, run) = sample::store_with_rows().await;
        let entry = NewAuditEntry::of_run(sample::now(), "ben\u{1b}[2J".into(), Act::RunCancelled, &run);
        store.audit(&entry).await.unwrap();
        let table = listed(&*store, 9, Format::Table).await;
        for part in
            ["ann@desk", "run-started", "ben\\u{1b}[2J", "run-cancelled", &run.id.to_string(), "Phones"]
        {
            assert!(table.contains(part), "{part} in {table}");
        }
        assert!(listed(&*store, 1, Format::Table).await.contains("the newest 1; --limit shows more"));
        let json: serde_json::Value = serde_json::from_str(&listed(&*store, 9, Format::Json).await).unwrap();
        assert_eq!((&json[0]["act"], &json[1]["by"]), (&"run-cancelled".into(), &"ann@desk".into()));
    }
}
