//! A preview as a page that stands alone: everything is in it, and nothing in a record can become part of it.

use std::io::Write;

use anyhow::Context;
use infill_rules::preview::Preview;
use infill_store::Store;
use infill_store::store::Run;
use serde::Serialize;
use serde_json::json;

use super::{head, rows};

/// The page around the data.
const PAGE: &str = include_str!("page.html");

/// Where the data of the whole run goes.
const HEAD_GOES_HERE: &str = "{{head}}";

/// Where the rows go.
const ROWS_GO_HERE: &str = "{{rows}}";

/// Writes the page.
pub(super) async fn write(
    out: &mut dyn Write,
    store: &dyn Store,
    run: &Run,
    preview: &Preview,
    cost: &str,
) -> anyhow::Result<()> {
    let (before, rest) = PAGE.split_once(HEAD_GOES_HERE).unwrap_or((PAGE, ""));
    let (between, after) = rest.split_once(ROWS_GO_HERE).unwrap_or((rest, ""));
    let mut head = head(run, preview);
    head.insert("cost".to_owned(), json!(cost));
    head.insert("is_written".to_owned(), json!(!run.is_unwritten_preview()));
    write!(out, "{before}{}{between}", embedded(&head)?).context("print the page")?;
    let mut is_first = true;
    rows::each(store, run, |line| {
        let comma = if std::mem::take(&mut is_first) { "" } else { "," };
        write!(out, "{comma}\n{}", embedded(line)?).context("print the page")
    })
    .await?;
    write!(out, "{after}").context("print the page")
}

/// JSON that can stand in a page: without the character that begins a tag.
fn embedded(value: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string(value).context("put the preview into JSON")?.replace('<', "\\u003c"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn no_value_can_end_the_data() {
        let embedded = embedded(&"</script><script>alert(1)</script><!--").unwrap();
        assert!(!embedded.contains('<'));
        let back: String = serde_json::from_str(&embedded).unwrap();
        assert_eq!(back, "</script><script>alert(1)</script><!--");
    }

    #[tokio::test]
    async fn the_page_has_every_row_and_asks_nobody_for_anything() {
        let (store, run) = sample::store_with_rows().await;
        let preview = super::super::of(&*store, &run).await.unwrap();
        let mut out = Vec::new();
        write(&mut out, &*store, &run, &preview, "at most 3 calls").await.unwrap();
        let page = String::from_utf8(out).unwrap();
        for text in ["\"101\"", "\"102\"", "\"103\"", &preview.digest(), "at most 3 calls"] {
            assert!(page.contains(text), "{text}");
        }
        for asks in ["http:", "https:", "src=", "href=", "@import", "fetch("] {
            assert!(!page.contains(asks), "{asks}");
        }
        assert!(!page.contains("{{"));
    }
}
