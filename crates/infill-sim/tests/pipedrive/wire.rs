//! A company per test, and the smallest HTTP client that can talk to it.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;

use infill_sim::pipedrive::{Config, Control, SIM_TOKEN, Simulator, Source, start};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Ids of the first persons.
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

    pub(crate) fn data(&self) -> Value {
        let body = self.json();
        assert_eq!(body["success"], true, "{}", self.text);
        body["data"].clone()
    }

    /// The refusal's status and text.
    pub(crate) fn error(&self) -> (u16, String) {
        let body = self.json();
        assert_eq!(body["success"], false, "{}", self.text);
        (self.status, body["error"].as_str().unwrap().to_owned())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Ids of the records of a page, in their order.
    pub(crate) fn ids(&self) -> Vec<u64> {
        self.data().as_array().unwrap().iter().map(|record| record["id"].as_u64().unwrap()).collect()
    }

    pub(crate) fn next(&self) -> Option<String> {
        self.json()["additional_data"]["next_cursor"].as_str().map(str::to_owned)
    }
}

/// A started company and a client of it.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) simulator: Simulator,
    /// The header line that says who calls.
    pub(crate) login: String,
}

impl World {
    /// The bundled people, and otherwise what `adjust` changes.
    pub(crate) async fn with(adjust: impl FnOnce(&mut Config)) -> Self {
        let start_at = Some("2026-11-20T17:00:00Z".parse().unwrap());
        let mut config = Config { start_at, ..Config::default() };
        adjust(&mut config);
        let simulator = start(config).await.unwrap();
        Self { simulator, login: format!("x-api-token: {SIM_TOKEN}") }
    }

    /// Ten made-up persons.
    pub(crate) async fn small() -> Self {
        Self::with(|config| config.records = Source::Generate(10)).await
    }

    pub(crate) fn control(&self) -> Control {
        self.simulator.control()
    }

    pub(crate) async fn try_send(&self, method: &str, path: &str, body: &str) -> io::Result<Reply> {
        send(self.simulator.addr(), method, path, &self.login, body).await
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

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Reply {
        self.send("PATCH", path, &body.to_string()).await
    }

    /// Writes built-in values of a person.
    pub(crate) async fn update(&self, id: u64, body: &Value) -> Reply {
        self.patch(&format!("/api/v2/persons/{id}"), body).await
    }

    /// Writes one custom value of a person, by the field's name.
    pub(crate) async fn set(&self, id: u64, field: &str, value: Value) -> Reply {
        let code = self.code(field);
        self.update(id, &json!({"custom_fields": {code: value}})).await
    }

    /// The code of a custom field of persons.
    pub(crate) fn code(&self, field: &str) -> String {
        self.control().field_code("persons", field).unwrap()
    }

    /// The stored value of a person, read behind the API's back.
    pub(crate) fn stored(&self, id: u64, field: &str) -> Value {
        self.control().value("persons", id, field).unwrap()
    }
}

/// One call on a connection of its own. An end before the answer is an error.
pub(crate) async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    login: &str,
    body: &str,
) -> io::Result<Reply> {
    let mut stream = TcpStream::connect(address).await?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: company\r\nconnection: close\r\n{login}\r\n\
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
