//! The documents, the dashboard and the alert rules name only what the program has, and all of it.
#![expect(clippy::panic, reason = "the functions that tests share may fail a test too")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use infill_model::{Class, Outcome, RunState, Stage};
use infill_telemetry::metric::{CATALOGUE, Kind};
use infill_telemetry::{Handled, Publish, Role, field};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("read {path}: {error}"))
}

/// Words that begin as our metrics do.
fn metrics_in(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("infill_")).collect()
}

/// Names that a query may use: a histogram has three.
fn queryable() -> BTreeSet<String> {
    CATALOGUE
        .iter()
        .flat_map(|metric| match metric.kind {
            Kind::Counter | Kind::Gauge => vec![metric.name.to_owned()],
            Kind::Histogram(_) => {
                ["_bucket", "_count", "_sum"].iter().map(|of| format!("{}{of}", metric.name)).collect()
            }
        })
        .collect()
}

#[test]
fn the_table_of_metrics_is_the_catalogue() {
    let document = read("docs/metrics.md");
    let documented: Vec<&str> = document.lines().filter(|line| line.starts_with("| `infill_")).collect();
    let declared: Vec<String> = CATALOGUE
        .iter()
        .map(|metric| {
            let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            format!(
                "| `{}` | {} | {} | {} |",
                metric.name,
                metric.kind.as_str(),
                labels.join(", "),
                metric.help
            )
        })
        .collect();
    assert_eq!(documented, declared, "docs/metrics.md should hold:\n{}\n", declared.join("\n"));
}

#[test]
fn label_values_are_documented() {
    let document = read("docs/metrics.md");
    let open = RunState::ALL.into_iter().filter(|state| !state.is_final());
    let values = (Stage::ALL.map(Stage::as_str).into_iter())
        .chain(Handled::ALL.map(Handled::as_str))
        .chain(Publish::ALL.map(Publish::as_str))
        .chain(Class::ALL.map(Class::as_str))
        .chain(Outcome::ALL.map(Outcome::as_str))
        .chain(Role::ALL.map(Role::as_str))
        .chain(open.map(RunState::as_str));
    for value in values {
        assert!(document.contains(&format!("`{value}`")), "docs/metrics.md does not explain `{value}`");
    }
}

#[test]
fn queries_use_metrics_that_exist() {
    let known = queryable();
    for path in ["docs/metrics.md", "deploy/prometheus/alerts.yml", "deploy/grafana/boards/infill.json"] {
        let text = read(path);
        let queries: String = text.lines().filter(|line| !line.starts_with("| `infill_")).collect();
        let unknown: Vec<&str> =
            metrics_in(&queries).into_iter().filter(|name| !known.contains(*name)).collect();
        assert!(unknown.is_empty(), "{path} uses {unknown:?}, which no program exports");
    }
}

#[test]
fn the_board_shows_every_metric() {
    let board = read("deploy/grafana/boards/infill.json");
    let shown = metrics_in(&board);
    for metric in CATALOGUE {
        assert!(
            shown.iter().any(|name| name
                .strip_prefix(metric.name)
                .is_some_and(|rest| { matches!(rest, "" | "_bucket" | "_count" | "_sum") })),
            "no panel shows {}",
            metric.name
        );
    }
}

#[test]
fn log_fields_are_documented() {
    let document = read("docs/logging.md");
    let documented: Vec<&str> = document
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(documented, field::ALL);
}
