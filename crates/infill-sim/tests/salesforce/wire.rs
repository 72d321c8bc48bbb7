//! An org per test, and the smallest HTTP client that can talk to it.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;

use infill_sim::salesforce::{Config, Control, SIM_SESSION, Simulator, Source, start};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Where versioned calls begin.
pub(crate) const BASE: &str = "/services/data/v68.0";

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The status and the code of the first error of a whole-call refusal.
    pub(crate) fn refusal(&self) -> (u16, String) {
        (self.status, text(&self.json()[0]["errorCode"]))
    }

    /// The codes of the first errors of the rows of a collection; empty for those that were saved.
    pub(crate) fn codes(&self) -> Vec<String> {
        let code = |row: &Value| row["errors"][0]["statusCode"].as_str().unwrap_or_default().to_owned();
        self.json().as_array().unwrap().iter().map(code).collect()
    }
}

/// A JSON string as text.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// A started org and a client of it.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) simulator: Simulator,
    pub(crate) token: String,
}

impl World {
    /// The bundled companies, and otherwise what `adjust` changes.
    pub(crate) async fn with(adjust: impl FnOnce(&mut Config)) -> Self {
        let start_at = Some("2026-11-20T17:00:00Z".parse().unwrap());
        let mut config = Config { start_at, ..Config::default() };
        adjust(&mut config);
        let simulator = start(config).await.unwrap();
        Self { simulator, token: SIM_SESSION.to_owned() }
    }

    /// Ten made-up accounts.
    pub(crate) async fn small() -> Self {
        Self::with(|config| config.records = Source::Generate(10)).await
    }

    pub(crate) fn control(&self) -> Control {
        self.simulator.control()
    }

    /// Ids of an object's records.
    pub(crate) fn ids(&self, object: &str) -> Vec<String> {
        self.control().record_ids(object).unwrap()
    }

    pub(crate) async fn try_call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> io::Result<Reply> {
        let authorization = format!("Bearer {}", self.token);
        let mut all = vec![("authorization", authorization.as_str())];
        all.extend_from_slice(headers);
        let path = if path.starts_with("/s") && !path.starts_with("/sobjects")
            || path.starts_with("/_")
            || path.starts_with("/id")
        {
            path.to_owned()
        } else {
            format!("{BASE}{path}")
        };
        send(self.simulator.addr(), method, &path, &all, body).await
    }

    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.try_call(method, path, headers, &body).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.call("GET", path, &[], &Value::Null).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.call("POST", path, &[], body).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Reply {
        self.call("PATCH", path, &[], body).await
    }

    /// Runs a query that must succeed.
    pub(crate) async fn query(&self, soql: &str) -> Value {
        let reply = self.get(&format!("/query?q={}", soql.replace('%', "%25").replace(' ', "+"))).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json()
    }

    /// Updates accounts by a collection; each record is its id and its fields.
    pub(crate) async fn update(&self, records: &[(&str, Value)]) -> Reply {
        self.patch("/composite/sobjects", &collection("Account", records)).await
    }

    /// The stored text, read behind the API's back.
    pub(crate) fn stored(&self, object: &str, id: &str, field: &str) -> Option<String> {
        self.control().value(object, id, field).unwrap()
    }
}

/// The body of a collection of one object.
pub(crate) fn collection(object: &str, records: &[(&str, Value)]) -> Value {
    let record = |(id, fields): &(&str, Value)| {
        let mut record = fields.clone();
        record["attributes"] = json!({"type": object});
        if !id.is_empty() {
            record["id"] = json!(id);
        }
        record
    };
    json!({"allOrNone": false, "records": records.iter().map(record).collect::<Vec<_>>()})
}

/// One call on a connection of its own. An end before the answer is an error.
pub(crate) async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<Reply> {
    let mut stream = TcpStream::connect(address).await?;
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: org\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    let text = String::from_utf8(bytes).unwrap();
    let (head, text) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    Ok(Reply { status, headers: headers.collect(), text: text.to_owned() })
}
