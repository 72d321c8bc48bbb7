//! The only HTTP client: spends quota, sends with the login, reads the answer whole, and hands it to the vendor's
//! pure `classify`.
//!
//! It does not retry: real retries belong to the queue. Two exceptions cost a second unit of quota each: a login
//! that the vendor refused is renewed and the call replayed once, and a read whose connection broke is sent once
//! more. Redirects are never followed, so a token is never sent to another host.

use std::error::Error as _;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use bytes::BytesMut;
use infill_model::{Class, Clock, Timestamp};
use infill_telemetry::redact::REDACTED;
pub use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use crate::auth::{AccessToken, ClientCredentials, Scheme, Tokens};
use crate::error::{Delivery, Error};
use crate::exchange::{Answer, Body, Classified, Effect, Headers, Method, Reach, Request};
use crate::exchanged::Exchanged;
use crate::meter::{Meter, Observation, Quota};

/// How long a connection may take to come up.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a call may take in all. Vendors cut their own work off at about 100 s; an answer later than this one
/// is better treated as lost, and its rows read back.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// How long an idle connection is kept: below what servers commonly allow, so that it is seldom the server who
/// closes one just as it is used again.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// The largest answer read. A read of 100 records with a dozen of the longest texts stays below it.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// How often the day's count from ordinary answers is passed on; a refusal is passed on at once.
const DAY_REPORT_EVERY: Duration = Duration::from_secs(5);

/// Told of every call, for metrics.
pub trait CallObserver: Send + Sync + fmt::Debug {
    /// A call of `operation` ended; `class` is `None` when it went well. `took` is without the wait for quota.
    fn called(&self, operation: &'static str, class: Option<Class>, took: Duration);
}

/// Observes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl CallObserver for Unobserved {
    fn called(&self, _operation: &'static str, _class: Option<Class>, _took: Duration) {}
}

/// What a transport is made of.
#[derive(Debug)]
pub struct TransportConfig {
    /// The vendor's address, unless a token comes with another; a path in it is kept as a prefix.
    pub base_url: Url,
    /// The login.
    pub tokens: Arc<dyn Tokens>,
    /// How the login is sent.
    pub scheme: Scheme,
    /// What may be spent.
    pub quota: Arc<dyn Quota>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Told of every call.
    pub observer: Arc<dyn CallObserver>,
    /// How long a call may take in all; [`CALL_TIMEOUT`] unless a test knows better.
    pub call_timeout: Duration,
}

/// Speaks HTTP to one account. One per connection and process; it pools its sockets.
pub struct Transport {
    client: reqwest::Client,
    base: Url,
    host: String,
    headers: Vec<(&'static str, String)>,
    login: Option<Login>,
    client_credentials: Option<ClientCredentials>,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn CallObserver>,
    /// When the day's count was last passed on, in milliseconds since the epoch.
    day_reported_at: AtomicI64,
}

#[derive(Debug)]
struct Login {
    tokens: Arc<dyn Tokens>,
    scheme: Scheme,
    quota: Arc<dyn Quota>,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("host", &self.host).finish_non_exhaustive()
    }
}

impl Transport {
    /// A transport for a connection.
    ///
    /// # Errors
    /// `configuration` when the address is not HTTP, or no certificate authorities are to be found.
    pub fn new(config: TransportConfig) -> Result<Self, Error> {
        let TransportConfig { base_url, tokens, scheme, quota, clock, observer, call_timeout } = config;
        let mut transport = Self::without_login(&base_url, clock, observer, call_timeout)?;
        transport.login = Some(Login { tokens, scheme, quota });
        Ok(transport)
    }

    /// A transport that sends no token and spends no quota: for the calls that fetch a token.
    ///
    /// # Errors
    /// As [`Transport::new`].
    pub fn without_login(
        base_url: &Url,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn CallObserver>,
        call_timeout: Duration,
    ) -> Result<Self, Error> {
        Ok(Self {
            client: client(base_url, call_timeout)?,
            base: base_url.clone(),
            host: base_url.host_str().unwrap_or_default().to_owned(),
            headers: Vec::new(),
            login: None,
            client_credentials: None,
            clock,
            observer,
            day_reported_at: AtomicI64::new(i64::MIN),
        })
    }

    /// The same transport, which names an OAuth app by HTTP Basic with every call.
    #[must_use]
    pub fn as_client(mut self, credentials: ClientCredentials) -> Self {
        self.client_credentials = Some(credentials);
        self
    }

    /// The same transport, which sends these headers with every call.
    #[must_use]
    pub fn with_headers(mut self, headers: &[(&'static str, &str)]) -> Self {
        self.headers.extend(headers.iter().map(|(name, value)| (*name, (*value).to_owned())));
        self
    }

    /// Where calls go with the token of now.
    ///
    /// # Errors
    /// As [`Tokens::token`].
    pub async fn address(&self) -> Result<Url, Error> {
        let token = match &self.login {
            Some(login) => Some(login.tokens.token().await?),
            None => None,
        };
        Ok(token.and_then(|token| token.base_url).unwrap_or_else(|| self.base.clone()))
    }

    /// The present moment, by the transport's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Makes a call and returns its answer when `classify` finds it good.
    ///
    /// # Errors
    /// What `classify` made of the answer; `transient` when there was none (with [`Delivery::Unknown`] when a
    /// write may have arrived); what the quota or the login refused.
    pub async fn call<C>(&self, request: &Request, classify: C) -> Result<Answer, Error>
    where
        C: Fn(&Answer, Timestamp) -> Classified + Send + Sync,
    {
        let Some(login) = &self.login else { return self.exchange(request, None, &classify).await };
        login.quota.acquire(request.meter, request.cost).await?;
        let token = match login.tokens.token().await {
            Ok(token) => token,
            Err(error) => return Err(login.pause_if_refused(error).await),
        };
        let refused = match self.with_resend(login, request, &token, &classify).await {
            Err(error) if error.class == Class::Unauthorized => error,
            settled => return settled,
        };
        let renewed = match login.tokens.renew(token.version).await {
            Ok(renewed) => renewed,
            Err(renewal) if renewal.class == Class::Unauthorized => {
                let message = format!("{}; {}", refused.message, renewal.message);
                return Err(login.pause_if_refused(Error { message, ..refused }).await);
            }
            Err(renewal) => return Err(renewal),
        };
        login.quota.acquire(request.meter, request.cost).await?;
        match self.exchange(request, Some(&renewed), &classify).await {
            Err(error) => Err(login.pause_if_refused(error).await),
            settled => settled,
        }
    }

    /// Sends, and sends a read once more when its connection broke: a kept-alive socket that the server had
    /// closed is no reason to wait for a retry queue.
    async fn with_resend<C>(
        &self,
        login: &Login,
        request: &Request,
        token: &AccessToken,
        classify: &C,
    ) -> Result<Answer, Error>
    where
        C: Fn(&Answer, Timestamp) -> Classified + Send + Sync,
    {
        let first = self.exchange(request, Some(token), classify).await;
        match &first {
            Err(error) if request.effect == Effect::Read && is_broken_connection(error) => {
                login.quota.acquire(request.meter, request.cost).await?;
                self.exchange(request, Some(token), classify).await
            }
            Ok(_) | Err(_) => first,
        }
    }

    /// One request on the wire, one answer classed, one call observed.
    async fn exchange<C>(
        &self,
        request: &Request,
        token: Option<&AccessToken>,
        classify: &C,
    ) -> Result<Answer, Error>
    where
        C: Fn(&Answer, Timestamp) -> Classified + Send + Sync,
    {
        let started = Instant::now();
        let outcome = self.send(request, token).await;
        let took = started.elapsed();
        let (answer, classified) = match outcome {
            Ok(answer) => {
                let classified = classify(&answer, self.clock.now());
                (Some(answer), classified)
            }
            Err(error) => (None, Classified::failed(error)),
        };
        let class = classified.result.as_ref().err().map(|error| error.class);
        self.observer.called(request.operation, class, took);
        tracing::debug!(
            operation = request.operation,
            status = answer.as_ref().map(|answer| answer.status),
            class = class.map(Class::as_str),
            took_ms = took.as_secs_f64() * 1000.0,
            "call ended"
        );
        self.observe(request.meter, classified.reach, classified.observation).await;
        match (classified.result, answer) {
            (Ok(()), Some(answer)) => Ok(answer),
            (Ok(()), None) => Err(Error::new(Class::Bug, "no_answer", "a call ended well without an answer")),
            (Err(mut error), answer) => {
                error.exchanged = answer.map(|answer| Box::new(Exchanged::of(request, &answer)));
                let client = self.client_credentials.as_ref().map(|client| &client.secret);
                let secret = token.map(|token| &token.secret);
                Err(redacted(error, secret.or(client), &request.body))
            }
        }
    }

    /// Passes on what an answer said about the quota; an answer within an answer is the connector's to tell. A quota that
    /// cannot be told must not turn a write that happened into an error.
    pub async fn observe(&self, meter: Meter, reach: Reach, observation: Observation) {
        let Some(login) = &self.login else { return };
        if let Some(why) = &observation.blocked
            && let Err(error) = login.quota.pause(why).await
        {
            tracing::warn!(error = %error, "connection not paused");
        }
        let urgent = observation.cool_down_until.is_some() || observation.day_spent;
        if observation == Observation::default() || !(urgent || self.day_report_is_due()) {
            return;
        }
        let meters: &[Meter] = match reach {
            Reach::Meter => &[meter],
            Reach::Account => &[Meter::General, Meter::Search],
        };
        for meter in meters {
            if let Err(error) = login.quota.observe(*meter, observation.clone()).await {
                tracing::warn!(error = %error, "quota not told of an answer");
            }
        }
    }

    fn day_report_is_due(&self) -> bool {
        let now = self.clock.now().as_millisecond();
        let every = i64::try_from(DAY_REPORT_EVERY.as_millis()).unwrap_or(i64::MAX);
        let last = self.day_reported_at.load(Ordering::Relaxed);
        // A clock set back must not silence the report for long.
        let due = now.saturating_sub(last) >= every || now < last;
        due && self.day_reported_at.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    async fn send(&self, request: &Request, token: Option<&AccessToken>) -> Result<Answer, Error> {
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Patch => reqwest::Method::PATCH,
            Method::Put => reqwest::Method::PUT,
        };
        let base = token.and_then(|token| token.base_url.as_ref()).unwrap_or(&self.base);
        let address = format!("{}{}", base.as_str().trim_end_matches('/'), request.path);
        let mut builder = self.client.request(method, address);
        let is_replaced = |name: &str| request.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
        for (name, value) in self.headers.iter().filter(|(name, _)| !is_replaced(name)) {
            builder = builder.header(*name, value);
        }
        for (name, value) in &request.headers {
            builder = builder.header(*name, *value);
        }
        builder = match (token.map(|token| &token.secret), &self.client_credentials) {
            (Some(secret), _) => match self.login.as_ref().map(|login| login.scheme).unwrap_or_default() {
                Scheme::Bearer => builder.bearer_auth(secret.expose_secret()),
                Scheme::Header(name) => builder.header(name, secret.expose_secret()),
            },
            (None, Some(client)) => builder.basic_auth(&client.id, Some(client.secret.expose_secret())),
            (None, None) => builder,
        };
        builder = match &request.body {
            Body::Empty => builder,
            Body::Json(bytes) => {
                builder.header(reqwest::header::CONTENT_TYPE, "application/json").body(bytes.clone())
            }
            Body::Csv(bytes) => {
                builder.header(reqwest::header::CONTENT_TYPE, "text/csv; charset=UTF-8").body(bytes.clone())
            }
            Body::Form(fields) => {
                let fields: Vec<(&str, &str)> =
                    fields.iter().map(|(name, value)| (*name, value.expose_secret())).collect();
                builder.form(&fields)
            }
        };
        let mut response = builder.send().await.map_err(|error| self.no_answer(request, &error))?;
        let status = response.status().as_u16();
        let headers = Headers::from(std::mem::take(response.headers_mut()));
        let announced = response.content_length().unwrap_or(0);
        let mut body = BytesMut::with_capacity(usize::try_from(announced).unwrap_or(0).min(MAX_ANSWER_BYTES));
        while let Some(chunk) = response.chunk().await.map_err(|error| self.no_answer(request, &error))? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(self.too_large(request, status));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body: body.freeze() })
    }

    fn too_large(&self, request: &Request, status: u16) -> Error {
        Error {
            status: Some(status),
            delivery: request.effect.delivery_when_lost(),
            ..Error::new(
                Class::Bug,
                "answer_too_large",
                format!(
                    "the answer of {} to {} is larger than {MAX_ANSWER_BYTES} bytes; read fewer properties",
                    self.host, request.operation
                ),
            )
        }
    }

    /// The error of a call that brought no (whole) answer. Only a connection that never came up is certain not
    /// to have carried the request.
    fn no_answer(&self, request: &Request, error: &reqwest::Error) -> Error {
        let (class, code, delivery, what) = if error.is_builder() {
            (Class::Bug, "request_not_built", Delivery::Refused, "cannot build the request to")
        } else if error.is_connect() {
            (Class::Transient, CONNECT_FAILED, Delivery::Refused, "cannot connect to")
        } else if error.is_timeout() {
            (Class::Transient, "timed_out", request.effect.delivery_when_lost(), "no answer in time from")
        } else {
            (Class::Transient, CONNECTION_LOST, request.effect.delivery_when_lost(), "lost the answer of")
        };
        let message = format!("{what} {} for {}{}", self.host, request.operation, causes(error));
        Error { delivery, ..Error::new(class, code, message) }
    }
}

const CONNECT_FAILED: &str = "connect_failed";
const CONNECTION_LOST: &str = "connection_lost";

fn is_broken_connection(error: &Error) -> bool {
    error.status.is_none() && (error.code == CONNECT_FAILED || error.code == CONNECTION_LOST)
}

impl Login {
    /// Stops the connection when the login is refused for good, so that it is refused once and not once per row.
    async fn pause_if_refused(&self, error: Error) -> Error {
        if error.class == Class::Unauthorized
            && let Err(unpaused) = self.quota.pause(&error.message).await
        {
            tracing::warn!(error = %unpaused, "connection not paused");
        }
        error
    }
}

/// The causes of an error below its first, which names the address; the deepest says what happened.
fn causes(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

/// Takes the secrets of a request out of what the vendor says about it.
fn redacted(mut error: Error, login: Option<&SecretString>, body: &Body) -> Error {
    let form = match body {
        Body::Form(fields) => fields.as_slice(),
        Body::Empty | Body::Json(_) | Body::Csv(_) => &[],
    };
    // Fields such as `grant_type` are no secrets; none of those that are is this short.
    const SHORTEST_SECRET: usize = 16;
    for secret in login.into_iter().chain(form.iter().map(|(_, value)| value)) {
        let secret = secret.expose_secret();
        if secret.len() < SHORTEST_SECRET {
            continue;
        }
        error.message = error.message.replace(secret, REDACTED);
        if let Some(exchanged) = &mut error.exchanged {
            exchanged.hide(secret);
        }
    }
    error
}

fn client(base_url: &Url, call_timeout: Duration) -> Result<reqwest::Client, Error> {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // An error says that the process has a provider already, which serves as well.
        drop(rustls::crypto::ring::default_provider().install_default());
    });
    let wrong = |message: String| Error::new(Class::Configuration, "base_url", message);
    let Some(host) = base_url.host_str() else {
        return Err(wrong("the connection's base_url names no host".to_owned()));
    };
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("infill/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(call_timeout)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        // One socket per call in flight: a reset or a slow answer then touches one call, not all of them.
        .http1_only();
    match base_url.scheme() {
        "https" => {}
        // No certificate is ever looked at, so none needs to be found on the machine.
        "http" => builder = builder.tls_certs_only([]),
        other => {
            return Err(wrong(format!("base_url starts with {other}://, which is neither http nor https")));
        }
    }
    if matches!(host, "localhost" | "127.0.0.1" | "[::1]") {
        // A simulator on this machine is not behind the company's proxy.
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| {
        Error::new(
            Class::Configuration,
            "http_client",
            format!("cannot set up HTTPS: {error}{}; are CA certificates installed?", causes(&error)),
        )
    })
}
