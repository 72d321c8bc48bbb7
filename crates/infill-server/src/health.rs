//! Alive, and ready: two questions with two consequences.
//!
//! `/healthz` answers 503 when the process's loop stopped turning, and whoever runs it should start it anew.
//! `/readyz` answers 503 when the broker or the store cannot be reached; starting anew would not help.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use infill_telemetry::{Heartbeat, redact};
use serde::Serialize;
use tokio::time::Instant;

/// A loop beats every few seconds; silence this long means that it hangs. Longer than any pause of a busy machine,
/// shorter than a person's patience.
pub const MAX_SILENCE: Duration = Duration::from_secs(60);

/// A readiness check that takes longer counts as failed, so that a prober gets an answer while a server hangs.
pub const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether what the process depends on can be reached.
#[async_trait]
pub trait Readiness: Send + Sync + Debug {
    /// Asks the broker and the store.
    ///
    /// # Errors
    /// One line for each that cannot be used, naming it and saying why.
    async fn check(&self) -> Result<(), Vec<String>>;
}

/// What `/healthz` and `/readyz` look at.
#[derive(Clone, Debug)]
pub struct Health {
    heartbeat: Heartbeat,
    readiness: Arc<dyn Readiness>,
    last_change: Arc<Mutex<Change>>,
}

/// The heartbeat as it was when it last differed from the probe before.
#[derive(Clone, Copy, Debug)]
struct Change {
    beats: u64,
    at: Instant,
}

/// The answer of both, as JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<String>,
}

impl Health {
    /// Watches the loop that beats `heartbeat`, and what `readiness` asks.
    #[must_use]
    pub fn new(heartbeat: Heartbeat, readiness: Arc<dyn Readiness>) -> Self {
        let change = Change { beats: heartbeat.beats(), at: Instant::now() };
        Self { heartbeat, readiness, last_change: Arc::new(Mutex::new(change)) }
    }

    /// How long the loop has been silent, as far as the probes can tell: never more than it was, and exact once
    /// probes come more often than [`MAX_SILENCE`].
    fn silence(&self) -> Duration {
        let (beats, now) = (self.heartbeat.beats(), Instant::now());
        let mut last = self.last_change.lock().unwrap_or_else(PoisonError::into_inner);
        if last.beats != beats {
            *last = Change { beats, at: now };
        }
        now.duration_since(last.at)
    }
}

pub(crate) async fn alive(State(health): State<Health>) -> (StatusCode, Json<Answer>) {
    let silence = health.silence();
    if silence <= MAX_SILENCE {
        return (StatusCode::OK, Json(Answer { status: "alive", causes: Vec::new() }));
    }
    let cause = format!("the loop has not turned for {} s", silence.as_secs());
    (StatusCode::SERVICE_UNAVAILABLE, Json(Answer { status: "hanging", causes: vec![cause] }))
}

pub(crate) async fn ready(State(health): State<Health>) -> (StatusCode, Json<Answer>) {
    let causes = match tokio::time::timeout(CHECK_TIMEOUT, health.readiness.check()).await {
        Ok(Ok(())) => return (StatusCode::OK, Json(Answer { status: "ready", causes: Vec::new() })),
        Ok(Err(causes)) => causes,
        Err(_) => vec![format!("broker or store did not answer within {} s", CHECK_TIMEOUT.as_secs())],
    };
    let causes = causes.iter().map(|cause| redact(cause).into_owned()).collect();
    (StatusCode::SERVICE_UNAVAILABLE, Json(Answer { status: "not ready", causes }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug)]
    enum Scripted {
        Reachable,
        Unreachable,
        Hangs,
    }

    #[async_trait]
    impl Readiness for Scripted {
        async fn check(&self) -> Result<(), Vec<String>> {
            match self {
                Self::Reachable => Ok(()),
                Self::Unreachable => {
                    Err(vec!["broker: reach the broker at amqp://infill:geheim@rabbit:5672".to_owned()])
                }
                Self::Hangs => std::future::pending().await,
            }
        }
    }

    fn health(readiness: Scripted) -> (Heartbeat, Health) {
        let heartbeat = Heartbeat::new();
        (heartbeat.clone(), Health::new(heartbeat, Arc::new(readiness)))
    }

    fn shown((status, Json(answer)): (StatusCode, Json<Answer>)) -> (u16, Value) {
        (status.as_u16(), serde_json::to_value(answer).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_turns_is_alive_however_long_it_runs() {
        let (heartbeat, health) = health(Scripted::Reachable);
        for _ in 0..10 {
            tokio::time::advance(MAX_SILENCE).await;
            heartbeat.beat();
            assert_eq!(shown(alive(State(health.clone())).await), (200, json!({"status": "alive"})));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_hangs_is_reported_and_recovers() {
        let (heartbeat, health) = health(Scripted::Reachable);
        tokio::time::advance(MAX_SILENCE + Duration::from_secs(1)).await;
        assert_eq!(
            shown(alive(State(health.clone())).await),
            (503, json!({"status": "hanging", "causes": ["the loop has not turned for 61 s"]}))
        );
        heartbeat.beat();
        assert_eq!(alive(State(health)).await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn what_can_be_reached_is_ready() {
        let (_, health) = health(Scripted::Reachable);
        assert_eq!(shown(ready(State(health)).await), (200, json!({"status": "ready"})));
    }

    #[tokio::test]
    async fn what_cannot_be_reached_is_named_without_its_password() {
        let (_, health) = health(Scripted::Unreachable);
        let cause = "broker: reach the broker at amqp://infill:[redacted]@rabbit:5672";
        assert_eq!(
            shown(ready(State(health)).await),
            (503, json!({"status": "not ready", "causes": [cause]}))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_hangs_is_not_waited_for() {
        let (_, health) = health(Scripted::Hangs);
        let (status, answer) = shown(ready(State(health)).await);
        assert_eq!(status, 503);
        assert_eq!(answer["causes"], json!(["broker or store did not answer within 5 s"]));
    }
}
