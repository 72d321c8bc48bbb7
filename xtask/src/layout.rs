//! Who may depend on whom, as data, compared with what the manifests say.
//!
//! The outside crates and their only owners are in `deny.toml`; `cargo deny` compares those.

use std::collections::BTreeSet;
use std::fs;

use anyhow::Context;
use cargo_metadata::{DependencyKind, MetadataCommand};

/// Each crate of the workspace and the crates of ours that it may use. Closed: whoever adds an arrow explains it in
/// `docs/architecture.md`.
const MAY_USE: [(&str, &[&str]); 16] = [
    ("infill-model", &[]),
    ("infill-sim", &[]),
    ("infill-rules", &["infill-model"]),
    ("infill-chain", &["infill-model"]),
    ("infill-telemetry", &["infill-model"]),
    ("infill-testkit", &["infill-model"]),
    ("infill-crm", &["infill-model", "infill-telemetry"]),
    ("infill-broker", &["infill-model", "infill-telemetry"]),
    ("infill-store", &["infill-model", "infill-telemetry"]),
    ("infill-hubspot", &["infill-model", "infill-crm"]),
    ("infill-salesforce", &["infill-model", "infill-crm"]),
    ("infill-pipedrive", &["infill-model", "infill-crm"]),
    (
        "infill-worker",
        &[
            "infill-model",
            "infill-rules",
            "infill-chain",
            "infill-telemetry",
            "infill-crm",
            "infill-broker",
            "infill-store",
        ],
    ),
    (
        "infill-planner",
        &["infill-model", "infill-rules", "infill-telemetry", "infill-broker", "infill-store"],
    ),
    ("infill-server", &["infill-model", "infill-telemetry", "infill-store"]),
    // The tests' chores may use the tests' crate, so that one recipe starts private servers; the benchmark takes its queues away again.
    ("xtask", &["infill-broker", "infill-testkit"]),
];

/// The binary: the only crate that may use all others, but not what exists for tests.
const COMPOSER: &str = "infill-cli";
const NOT_FOR_COMPOSER: [&str; 2] = ["infill-testkit", "xtask"];

/// Cannot be reached from a crate that decides: no runtime, no clock, no random source.
const PURE: [&str; 2] = ["infill-model", "infill-rules"];
const IMPURE: [&str; 5] = ["tokio", "reqwest", "rand", "getrandom", "tracing"];

/// The map that names every crate.
const MAP: &str = "docs/architecture.md";

/// One crate as its manifest describes it.
struct Crate {
    name: String,
    /// Normal and build dependencies, ours and others'.
    uses: BTreeSet<String>,
    inherits_lints: bool,
}

/// Every fault of the workspace as it stands.
pub(crate) fn check() -> anyhow::Result<Vec<String>> {
    let metadata = MetadataCommand::new().no_deps().exec().context("run cargo metadata")?;
    let crates = metadata
        .workspace_packages()
        .into_iter()
        .map(|package| {
            let manifest = fs::read_to_string(&package.manifest_path)
                .with_context(|| format!("read {}", package.manifest_path))?;
            let normal = package.dependencies.iter().filter(|of| of.kind != DependencyKind::Development);
            Ok(Crate {
                name: package.name.to_string(),
                uses: normal.map(|of| of.name.clone()).collect(),
                inherits_lints: inherits_lints(&manifest),
            })
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let map = metadata.workspace_root.join(MAP);
    let map = fs::read_to_string(&map).with_context(|| format!("read {map}"))?;
    Ok(faults(&crates, &map))
}

fn faults(crates: &[Crate], map: &str) -> Vec<String> {
    let ours: BTreeSet<&str> = crates.iter().map(|of| of.name.as_str()).collect();
    let mut faults = Vec::new();
    for Crate { name, uses, inherits_lints } in crates {
        for used in uses.iter().filter(|used| ours.contains(used.as_str())) {
            if !may_use(name, used) {
                faults.push(format!("{name} may not use {used}; see the table in {MAP}"));
            }
        }
        if PURE.contains(&name.as_str()) {
            let impure = IMPURE.iter().filter(|of| uses.contains(**of));
            faults.extend(
                impure.map(|used| format!("{name} decides as a function of values and may not use {used}")),
            );
        }
        if !inherits_lints {
            faults.push(format!("{name} lacks `[lints] workspace = true`"));
        }
        if name != COMPOSER && !MAY_USE.iter().any(|(known, _)| known == name) {
            faults.push(format!("{name} is not in the table of xtask/src/layout.rs"));
        }
        if !map.contains(&format!("`{name}`")) {
            faults.push(format!("{MAP} does not name `{name}`"));
        }
    }
    let named = map.split('`').skip(1).step_by(2).filter(|code| is_crate_name(code));
    faults.extend(
        named
            .filter(|code| !ours.contains(code))
            .map(|code| format!("{MAP} names `{code}`, which is not there")),
    );
    faults
}

fn may_use(name: &str, used: &str) -> bool {
    if name == COMPOSER {
        return !NOT_FOR_COMPOSER.contains(&used);
    }
    MAY_USE.iter().any(|(of, may_use)| *of == name && may_use.contains(&used))
}

fn is_crate_name(code: &str) -> bool {
    code.strip_prefix("infill-")
        .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_lowercase()))
}

fn inherits_lints(manifest: &str) -> bool {
    let mut lines = manifest.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.any(|line| line == "[lints]") && lines.next() == Some("workspace = true")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP_OF_TWO: &str =
        "`infill-model` has the words, `infill-rules` decides, `infill.toml` configures.";

    fn crates() -> Vec<Crate> {
        let of = |name: &str, uses: &[&str]| Crate {
            name: name.to_owned(),
            uses: uses.iter().map(|used| (*used).to_owned()).collect(),
            inherits_lints: true,
        };
        vec![of("infill-model", &["serde"]), of("infill-rules", &["infill-model"])]
    }

    #[track_caller]
    fn check_one(change: impl FnOnce(&mut [Crate]), map: &str, expected: &str) {
        let mut crates = crates();
        change(&mut crates);
        assert_eq!(faults(&crates, map), [expected]);
    }

    #[test]
    fn this_workspace_keeps_its_layout() {
        assert_eq!(check().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_workspace_that_keeps_the_table_has_no_faults() {
        assert_eq!(faults(&crates(), MAP_OF_TWO), Vec::<String>::new());
    }

    #[test]
    fn an_arrow_against_the_table_is_a_fault() {
        check_one(
            |crates| crates[0].uses.extend(["infill-rules".to_owned()]),
            MAP_OF_TWO,
            "infill-model may not use infill-rules; see the table in docs/architecture.md",
        );
    }

    #[test]
    fn a_runtime_in_a_crate_that_decides_is_a_fault() {
        check_one(
            |crates| crates[1].uses.extend(["tokio".to_owned()]),
            MAP_OF_TWO,
            "infill-rules decides as a function of values and may not use tokio",
        );
    }

    #[test]
    fn a_crate_with_lints_of_its_own_is_a_fault() {
        check_one(
            |crates| crates[1].inherits_lints = false,
            MAP_OF_TWO,
            "infill-rules lacks `[lints] workspace = true`",
        );
        assert!(inherits_lints("[package]\n\n[lints]\nworkspace = true\n"));
        assert!(!inherits_lints("[lints.rust]\nunsafe_code = \"allow\"\n"));
    }

    #[test]
    fn a_crate_that_the_map_does_not_name_is_a_fault() {
        check_one(|_| (), "`infill-rules`", "docs/architecture.md does not name `infill-model`");
    }

    #[test]
    fn a_crate_that_only_the_map_names_is_a_fault() {
        check_one(
            |_| (),
            &format!("{MAP_OF_TWO} `infill-flycheck` is gone."),
            "docs/architecture.md names `infill-flycheck`, which is not there",
        );
    }

    #[test]
    fn the_binary_may_not_use_what_exists_for_tests() {
        assert!(may_use("infill-cli", "infill-hubspot"));
        assert!(!may_use("infill-cli", "infill-testkit"));
        assert!(!may_use("infill-unknown", "infill-model"));
    }
}
