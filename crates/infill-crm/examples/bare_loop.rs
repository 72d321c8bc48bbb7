//! The yardstick of the benchmark: the HTTP calls of a run with nothing around them. No queue, no store, no chain, no quota, no
//! retries: list the members, then read, update and read back each hundred, so many at once.
//!
//! `bare_loop BASE_URL TOKEN LIST CONCURRENCY` prints one JSON line: rows, calls, seconds.

#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Clone)]
struct Portal {
    http: reqwest::Client,
    base: String,
    token: String,
    calls: Arc<AtomicU64>,
}

impl Portal {
    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Value, Failure> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let answer = request.bearer_auth(&self.token).send().await?.error_for_status()?;
        Ok(answer.json().await?)
    }

    async fn members(&self, list: &str) -> Result<Vec<String>, Failure> {
        let mut ids = Vec::new();
        let mut after = String::new();
        loop {
            let url = format!("{}/crm/lists/2026-09/{list}/memberships?limit=250{after}", self.base);
            let page = self.send(self.http.get(url)).await?;
            let rows = page.get("results").and_then(Value::as_array).cloned().unwrap_or_default();
            ids.extend(rows.iter().filter_map(|row| row.get("recordId")?.as_str().map(str::to_owned)));
            match page.pointer("/paging/next/after").and_then(Value::as_str) {
                Some(next) => after = format!("&after={next}"),
                None => return Ok(ids),
            }
        }
    }

    async fn read(&self, ids: &[String]) -> Result<Value, Failure> {
        let inputs: Vec<Value> = ids.iter().map(|id| json!({ "id": id })).collect();
        let properties = ["firstname", "jobtitle", "phone", "hs_cross_account_note"];
        let url = format!("{}/crm/objects/2026-09/contacts/batch/read", self.base);
        self.send(self.http.post(url).json(&json!({ "inputs": inputs, "properties": properties }))).await
    }

    async fn enrich(&self, ids: Vec<String>) -> Result<(), Failure> {
        let found = self.read(&ids).await?;
        let records = found.get("results").and_then(Value::as_array).cloned().unwrap_or_default();
        let inputs: Vec<Value> = records
            .iter()
            .map(|record| {
                let name =
                    record.pointer("/properties/firstname").and_then(Value::as_str).unwrap_or_default();
                let id = record.get("id").cloned().unwrap_or_default();
                json!({ "id": id, "properties": { "hs_cross_account_note": format!("Bare {name}") } })
            })
            .collect();
        let url = format!("{}/crm/objects/2026-09/contacts/batch/update", self.base);
        self.send(self.http.post(url).json(&json!({ "inputs": inputs }))).await?;
        let _read_back = self.read(&ids).await?;
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let mut next = |name: &str| args.next().ok_or_else(|| format!("missing {name}"));
    let (base, token, list) = (next("BASE_URL")?, next("TOKEN")?, next("LIST")?);
    let concurrency: usize = next("CONCURRENCY")?.parse()?;
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| "a TLS provider is there already")?;
    let http = reqwest::Client::builder().build()?;
    let portal = Portal { http, base, token, calls: Arc::default() };
    let started = tokio::time::Instant::now();
    let ids = portal.members(&list).await?;
    let room = Arc::new(tokio::sync::Semaphore::new(concurrency));
    let mut batches = tokio::task::JoinSet::new();
    for batch in ids.chunks(100) {
        let permit = Arc::clone(&room).acquire_owned().await?;
        let (portal, batch) = (portal.clone(), batch.to_vec());
        batches.spawn(async move {
            let done = portal.enrich(batch).await;
            drop(permit);
            done
        });
    }
    while let Some(done) = batches.join_next().await {
        done??;
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{}",
        json!({ "rows": ids.len(), "calls": portal.calls.load(Ordering::Relaxed), "seconds": seconds })
    );
    Ok(())
}
