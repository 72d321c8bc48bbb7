//! Relative links in the repository's documents lead somewhere.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Where documents are.
const PLACES: [&str; 8] =
    ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs", "deploy", "tests", "crates", "xtask"];

/// Every link to a file that is not there.
pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut documents = Vec::new();
    for place in PLACES {
        collect(&root.join(place), &mut documents)?;
    }
    let mut faults = Vec::new();
    for document in documents {
        let text = fs::read_to_string(&document).with_context(|| format!("read {}", document.display()))?;
        let dir = document.parent().unwrap_or(root);
        let shown = document.strip_prefix(root).unwrap_or(&document).display();
        let dead = links(&text).into_iter().filter(|link| !dir.join(link).exists());
        faults.extend(dead.map(|link| format!("{shown} links to {link}, which is not there")));
    }
    Ok(faults)
}

fn collect(path: &Path, documents: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path).with_context(|| format!("read {}", path.display()))? {
            collect(&entry?.path(), documents)?;
        }
    } else if path.extension().is_some_and(|extension| extension == "md") && path.exists() {
        documents.push(path.to_owned());
    }
    Ok(())
}

/// The files that `[text](file#part)` names outside code, without addresses on the web and parts of the same page.
fn links(text: &str) -> Vec<&str> {
    let mut is_code = false;
    let prose = text.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    });
    prose
        .flat_map(|line| line.split("](").skip(1))
        .filter_map(|after| after.split(')').next())
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
        .filter_map(|target| target.split('#').next())
        .filter(|file| !file.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_this_repository_lead_somewhere() {
        assert_eq!(check(&crate::root().unwrap()).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn only_links_to_files_outside_code_are_followed() {
        let text = "See [a](docs/a.md#part) and [b](https://b.example), [c](#c), ![d](d.png).\n\
                    ```\n[e](e.md)\n```\n[f](../f)";
        assert_eq!(links(text), ["docs/a.md", "d.png", "../f"]);
    }

    #[test]
    fn a_dead_link_is_named_with_its_document() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("docs")).unwrap();
        fs::write(root.path().join("docs/a.md"), "[there](a.md) [gone](b.md)").unwrap();
        assert_eq!(check(root.path()).unwrap(), ["docs/a.md links to b.md, which is not there"]);
    }
}
