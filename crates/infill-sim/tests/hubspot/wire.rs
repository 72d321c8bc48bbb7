//! A portal per test, and the smallest HTTP client that can talk to it.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;

use infill_sim::hubspot::{Config, Control, SIM_TOKEN, Simulator, Source, start};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Ids of the first contacts.
pub(crate) const A: u64 = 100_001;
pub(crate) const B: u64 = 100_002;
pub(crate) const C: u64 = 100_003;

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

    /// Ids of `results`, ascending.
    pub(crate) fn ids(&self) -> Vec<u64> {
        let body = self.json();
        let results = body["results"].as_array().unwrap();
        let id =
            |row: &Value| row.get("id").or(row.get("recordId")).unwrap().as_str().unwrap().parse().unwrap();
        let mut ids: Vec<u64> = results.iter().map(id).collect();
        ids.sort_unstable();
        ids
    }

    /// The result with that id.
    pub(crate) fn result(&self, id: u64) -> Value {
        let body = self.json();
        let mut results = body["results"].as_array().unwrap().iter();
        results.find(|row| row["id"] == json!(id.to_string())).cloned().unwrap()
    }
}

/// A started portal and a client of it.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) simulator: Simulator,
    pub(crate) token: String,
}

impl World {
    /// The bundled people, and otherwise what `adjust` changes.
    pub(crate) async fn with(adjust: impl FnOnce(&mut Config)) -> Self {
        let start_at = Some("2026-11-20T17:00:00Z".parse().unwrap());
        let mut config = Config { start_at, ..Config::default() };
        adjust(&mut config);
        let simulator = start(config).await.unwrap();
        Self { simulator, token: SIM_TOKEN.to_owned() }
    }

    /// Ten made-up contacts.
    pub(crate) async fn small() -> Self {
        Self::with(|config| config.records = Source::Generate(10)).await
    }

    pub(crate) fn control(&self) -> Control {
        self.simulator.control()
    }

    pub(crate) async fn try_send(&self, method: &str, path: &str, body: &str) -> io::Result<Reply> {
        let authorization = format!("Bearer {}", self.token);
        send(self.simulator.addr(), method, path, &authorization, body).await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: &str) -> Reply {
        self.try_send(method, path, body).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, &body.to_string()).await
    }

    /// Reads contacts by id with some properties.
    pub(crate) async fn read(&self, ids: &[u64], properties: &[&str]) -> Reply {
        let inputs: Vec<Value> = ids.iter().map(|id| json!({"id": id.to_string()})).collect();
        self.post("/crm/v3/objects/contacts/batch/read", &json!({"inputs": inputs, "properties": properties}))
            .await
    }

    /// Writes one property of contacts, with a trace id each.
    pub(crate) async fn write(&self, property: &str, values: &[(u64, &str)]) -> Reply {
        let inputs: Vec<Value> = values
            .iter()
            .map(|(id, value)| {
                json!({"id": id.to_string(), "properties": {property: value}, "objectWriteTraceId": format!("row-{id}")})
            })
            .collect();
        self.update(&json!(inputs)).await
    }

    /// Sends a batch update as it is.
    pub(crate) async fn update(&self, inputs: &Value) -> Reply {
        self.post("/crm/v3/objects/contacts/batch/update", &json!({"inputs": inputs})).await
    }

    /// The stored value, read behind the API's back.
    pub(crate) fn stored(&self, id: u64, property: &str) -> Option<String> {
        self.control().value("contacts", id, property).unwrap()
    }
}

/// One call on a connection of its own. An end before the answer is an error.
pub(crate) async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    authorization: &str,
    body: &str,
) -> io::Result<Reply> {
    let mut stream = TcpStream::connect(address).await?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: portal\r\nconnection: close\r\nauthorization: {authorization}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
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
