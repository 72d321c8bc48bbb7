//! The transport against a server that answers by script, one step per request.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail the test")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use infill_crm::auth::{AccessToken, ClientCredentials, Scheme, StaticToken, Tokens};
use infill_crm::exchange::{Answer, Body, Bytes, Classified, Effect, Method, Reach, Request};
use infill_crm::meter::{Meter, Observation, Quota};
use infill_crm::transport::{CallObserver, Transport, TransportConfig, Unobserved, Url};
use infill_crm::{Delivery, Error};
use infill_model::{Class, Clock, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const SECRET: &str = "pat-na1-0123456789abcdef";

/// What the server does with the next request.
enum Step {
    /// Answers.
    Answer(u16, &'static str, &'static str),
    /// Reads the request and closes without an answer.
    HangUp,
    /// Reads the request and never answers.
    Silence,
    /// Answers with a body that ends before its announced length.
    CutShort,
}

#[derive(Clone)]
struct Server {
    url: Url,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn playing(steps: impl IntoIterator<Item = Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let steps = Arc::new(Mutex::new(steps.into_iter().collect::<VecDeque<_>>()));
        let server = Self { url, heads: Arc::clone(&heads) };
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&steps), Arc::clone(&heads)));
            }
        });
        server
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn serve(mut socket: TcpStream, steps: Arc<Mutex<VecDeque<Step>>>, heads: Arc<Mutex<Vec<String>>>) {
    while let Some(head) = request(&mut socket).await {
        heads.lock().unwrap().push(head);
        let step = steps.lock().unwrap().pop_front().expect("a step for every request");
        match step {
            Step::Answer(status, headers, body) => {
                let text =
                    format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n{body}", body.len());
                socket.write_all(text.as_bytes()).await.unwrap();
            }
            Step::HangUp => return,
            Step::Silence => std::future::pending().await,
            Step::CutShort => {
                socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"half\":").await.unwrap();
                return;
            }
        }
    }
}

/// Reads one request whole; its head and body as text, or `None` when the client has closed.
async fn request(socket: &mut TcpStream) -> Option<String> {
    let mut text = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let n = socket.read(&mut chunk).await.ok().filter(|n| *n > 0)?;
        text.extend_from_slice(chunk.get(..n)?);
        let all = String::from_utf8_lossy(&text).into_owned();
        if let Some((head, body)) = all.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length:").map(str::to_owned))
                .map_or(0, |length| length.trim().parse().unwrap());
            if body.len() >= length {
                return Some(all);
            }
        }
    }
}

#[derive(Debug)]
struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        "2026-11-20T12:00:00Z".parse().unwrap()
    }
}

/// Keeps what it was told and asked.
#[derive(Debug, Default)]
struct Ledger {
    spent: Mutex<Vec<(Meter, u32)>>,
    observed: Mutex<Vec<(Meter, Observation)>>,
    paused: Mutex<Vec<String>>,
    calls: Mutex<Vec<(&'static str, Option<Class>)>>,
}

#[async_trait]
impl Quota for Ledger {
    async fn acquire(&self, meter: Meter, cost: u32) -> Result<(), Error> {
        self.spent.lock().unwrap().push((meter, cost));
        Ok(())
    }

    async fn observe(&self, meter: Meter, observation: Observation) -> Result<(), Error> {
        self.observed.lock().unwrap().push((meter, observation));
        Ok(())
    }

    async fn pause(&self, why: &str) -> Result<(), Error> {
        self.paused.lock().unwrap().push(why.to_owned());
        Ok(())
    }
}

impl CallObserver for Ledger {
    fn called(&self, operation: &'static str, class: Option<Class>, _took: Duration) {
        self.calls.lock().unwrap().push((operation, class));
    }
}

/// A login that can be renewed any number of times.
#[derive(Debug)]
struct Renewable;

#[async_trait]
impl Tokens for Renewable {
    async fn token(&self) -> Result<AccessToken, Error> {
        Ok(AccessToken { secret: "first-token-of-this-login".into(), version: 1, base_url: None })
    }

    async fn renew(&self, stale: u64) -> Result<AccessToken, Error> {
        assert_eq!(stale, 1, "the token that was refused is the one to replace");
        let secret = "second-token-of-this-login".into();
        Ok(AccessToken { secret, version: 2, base_url: None })
    }
}

fn transport(
    base_url: Url,
    tokens: Arc<dyn Tokens>,
    ledger: &Arc<Ledger>,
    call_timeout: Duration,
) -> Transport {
    Transport::new(TransportConfig {
        base_url,
        tokens,
        scheme: Scheme::Bearer,
        quota: Arc::clone(ledger) as Arc<dyn Quota>,
        clock: Arc::new(Noon),
        observer: Arc::clone(ledger) as Arc<dyn CallObserver>,
        call_timeout,
    })
    .unwrap()
}

fn with_static_token(server: &Server) -> (Transport, Arc<Ledger>) {
    let ledger = Arc::new(Ledger::default());
    let tokens = Arc::new(StaticToken::new(SECRET.into()));
    (transport(server.url.clone(), tokens, &ledger, Duration::from_secs(10)), ledger)
}

fn ask(effect: Effect) -> Request {
    Request {
        operation: "ask",
        method: Method::Post,
        path: "/things?q=1".to_owned(),
        headers: Vec::new(),
        body: Body::Json(Bytes::from_static(b"{}")),
        meter: Meter::General,
        cost: 5,
        effect,
    }
}

/// Statuses of no vendor in particular.
fn classify(answer: &Answer, now: Timestamp) -> Classified {
    let failed = |class, code: &str| {
        let said = String::from_utf8_lossy(&answer.body);
        Classified::failed(Error::new(class, code, format!("said {said}")))
    };
    match answer.status {
        200 => Classified {
            observation: Observation {
                daily_remaining: answer.headers.number("X-Left"),
                ..Observation::default()
            },
            ..Classified::good()
        },
        401 => failed(Class::Unauthorized, "no_login"),
        429 => Classified {
            observation: Observation {
                cool_down_until: Some(now),
                day_spent: true,
                ..Observation::default()
            },
            reach: Reach::Account,
            ..failed(Class::Throttled, "slow_down")
        },
        402 => Classified {
            observation: Observation { blocked: Some("shut out".to_owned()), ..Observation::default() },
            ..failed(Class::Throttled, "shut_out")
        },
        _ => failed(Class::Rejected, "no"),
    }
}

#[tokio::test]
async fn a_call_spends_what_it_costs_and_carries_the_login() {
    let server = Server::playing([Step::Answer(200, "", "fine")]).await;
    let (transport, ledger) = with_static_token(&server);
    let answer = transport.call(&ask(Effect::Write), classify).await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (200, &b"fine"[..]));
    assert_eq!(*ledger.spent.lock().unwrap(), [(Meter::General, 5)]);
    assert_eq!(*ledger.calls.lock().unwrap(), [("ask", None)]);
    let head = &server.heads()[0];
    assert!(head.starts_with("POST /things?q=1 HTTP/1.1"), "{head}");
    assert!(head.contains(&format!("Bearer {SECRET}")), "{head}");
    assert!(head.contains("content-type: application/json"), "{head}");
}

#[tokio::test]
async fn a_token_may_stand_bare_in_a_header_of_its_own() {
    let server = Server::playing([Step::Answer(200, "", "fine")]).await;
    let ledger = Arc::new(Ledger::default());
    let transport = Transport::new(TransportConfig {
        base_url: server.url.clone(),
        tokens: Arc::new(StaticToken::new(SECRET.into())),
        scheme: Scheme::Header("x-api-token"),
        quota: Arc::clone(&ledger) as Arc<dyn Quota>,
        clock: Arc::new(Noon),
        observer: Arc::clone(&ledger) as Arc<dyn CallObserver>,
        call_timeout: Duration::from_secs(10),
    })
    .unwrap();
    transport.call(&ask(Effect::Read), classify).await.unwrap();
    let head = &server.heads()[0];
    assert!(head.contains(&format!("x-api-token: {SECRET}\r\n")), "{head}");
    assert!(!head.to_lowercase().contains("authorization"), "{head}");
}

#[tokio::test]
async fn an_oauth_app_names_itself_by_basic_and_its_secret_is_never_told() {
    let server = Server::playing([Step::Answer(400, "", "bad secret a-secret-of-the-app")]).await;
    let app = ClientCredentials { id: "app".to_owned(), secret: "a-secret-of-the-app".into() };
    let transport =
        Transport::without_login(&server.url, Arc::new(Noon), Arc::new(Unobserved), Duration::from_secs(10))
            .unwrap()
            .as_client(app);
    let error = transport.call(&ask(Effect::Write), classify).await.unwrap_err();
    assert_eq!(error.message, "said bad secret [redacted]");
    // base64 of `app:a-secret-of-the-app`
    let head = &server.heads()[0];
    assert!(head.contains("authorization: Basic YXBwOmEtc2VjcmV0LW9mLXRoZS1hcHA=\r\n"), "{head}");
}

#[tokio::test]
async fn a_refused_login_is_renewed_and_the_call_replayed_once() {
    let server = Server::playing([Step::Answer(401, "", "old"), Step::Answer(200, "", "fine")]).await;
    let ledger = Arc::new(Ledger::default());
    let transport = transport(server.url.clone(), Arc::new(Renewable), &ledger, Duration::from_secs(10));
    transport.call(&ask(Effect::Write), classify).await.unwrap();
    assert_eq!(ledger.spent.lock().unwrap().len(), 2, "the replay is a call like any other");
    assert!(server.heads()[0].contains("first-token"));
    assert!(server.heads()[1].contains("second-token"));
    assert!(ledger.paused.lock().unwrap().is_empty());
}

/// A login whose token is good at another address.
#[derive(Debug)]
struct Elsewhere(Url);

#[async_trait]
impl Tokens for Elsewhere {
    async fn token(&self) -> Result<AccessToken, Error> {
        Ok(AccessToken { secret: SECRET.into(), version: 1, base_url: Some(self.0.clone()) })
    }

    async fn renew(&self, _stale: u64) -> Result<AccessToken, Error> {
        Err(Error::new(Class::Bug, "renewed", "a good token was given up"))
    }
}

#[tokio::test]
async fn calls_go_where_the_token_says_with_the_headers_of_the_transport() {
    let login_host = Server::playing([]).await;
    let instance = Server::playing([Step::Answer(200, "", "fine")]).await;
    let ledger = Arc::new(Ledger::default());
    let tokens = Arc::new(Elsewhere(instance.url.clone()));
    let transport = transport(login_host.url.clone(), tokens, &ledger, Duration::from_secs(10))
        .with_headers(&[("X-Client", "infill")]);
    transport.call(&ask(Effect::Read), classify).await.unwrap();
    assert!(instance.heads()[0].contains("x-client: infill\r\n"), "{}", instance.heads()[0]);
    assert!(login_host.heads().is_empty());
    assert_eq!(transport.address().await.unwrap(), instance.url);
}

#[tokio::test]
async fn a_login_refused_after_its_renewal_pauses_the_connection() {
    let server = Server::playing([Step::Answer(401, "", "old"), Step::Answer(401, "", "still old")]).await;
    let ledger = Arc::new(Ledger::default());
    let transport = transport(server.url.clone(), Arc::new(Renewable), &ledger, Duration::from_secs(10));
    let error = transport.call(&ask(Effect::Write), classify).await.unwrap_err();
    assert_eq!(error.class, Class::Unauthorized);
    assert_eq!(*ledger.paused.lock().unwrap(), ["said still old"]);
}

#[tokio::test]
async fn a_static_token_that_is_refused_pauses_the_connection_and_is_never_told() {
    const ECHO: &str = "token pat-na1-0123456789abcdef is revoked";
    let server = Server::playing([Step::Answer(401, "", ECHO)]).await;
    let (transport, ledger) = with_static_token(&server);
    let error = transport.call(&ask(Effect::Read), classify).await.unwrap_err();
    assert_eq!((error.class, error.code.as_str()), (Class::Unauthorized, "no_login"));
    assert!(
        error.message.starts_with("said token [redacted] is revoked; the CRM refuses this token"),
        "{error}"
    );
    let told = format!("{error:?} {transport:?} {:?}", ledger.paused.lock().unwrap());
    assert!(!told.contains(SECRET), "{told}");
    assert_eq!(ledger.paused.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_lost_answer_to_a_write_leaves_the_delivery_unknown_and_is_not_sent_again() {
    for step in [Step::HangUp, Step::CutShort] {
        let server = Server::playing([step]).await;
        let (transport, ledger) = with_static_token(&server);
        let error = transport.call(&ask(Effect::Write), classify).await.unwrap_err();
        assert_eq!((error.class, error.code.as_str()), (Class::Transient, "connection_lost"));
        assert_eq!(error.delivery, Delivery::Unknown);
        assert_eq!(server.heads().len(), 1);
        assert_eq!(*ledger.calls.lock().unwrap(), [("ask", Some(Class::Transient))]);
    }
}

#[tokio::test]
async fn a_read_whose_connection_broke_is_sent_once_more() {
    let server = Server::playing([Step::HangUp, Step::Answer(200, "", "fine")]).await;
    let (transport, ledger) = with_static_token(&server);
    transport.call(&ask(Effect::Read), classify).await.unwrap();
    assert_eq!(ledger.spent.lock().unwrap().len(), 2);

    let server = Server::playing([Step::HangUp, Step::HangUp]).await;
    let (transport, _) = with_static_token(&server);
    let error = transport.call(&ask(Effect::Read), classify).await.unwrap_err();
    assert_eq!((error.class, error.delivery), (Class::Transient, Delivery::Refused));
}

#[tokio::test]
async fn silence_ends_in_a_timeout() {
    let server = Server::playing([Step::Silence]).await;
    let ledger = Arc::new(Ledger::default());
    let tokens = Arc::new(StaticToken::new(SECRET.into()));
    let transport = transport(server.url.clone(), tokens, &ledger, Duration::from_millis(50));
    let error = transport.call(&ask(Effect::Write), classify).await.unwrap_err();
    assert_eq!((error.code.as_str(), error.delivery), ("timed_out", Delivery::Unknown));
}

#[tokio::test]
async fn a_server_that_is_not_there_has_certainly_not_been_written_to() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let ledger = Arc::new(Ledger::default());
    let tokens = Arc::new(StaticToken::new(SECRET.into()));
    let url = format!("http://{free}").parse().unwrap();
    let transport = transport(url, tokens, &ledger, Duration::from_secs(10));
    let error = transport.call(&ask(Effect::Write), classify).await.unwrap_err();
    assert_eq!((error.code.as_str(), error.delivery), ("connect_failed", Delivery::Refused));
    assert!(error.message.contains("refused"), "{error}");
}

#[tokio::test]
async fn a_refusal_for_the_whole_account_cools_every_meter_down() {
    let server = Server::playing([Step::Answer(429, "", "")]).await;
    let (transport, ledger) = with_static_token(&server);
    let error = transport.call(&ask(Effect::Read), classify).await.unwrap_err();
    assert_eq!(error.class, Class::Throttled);
    let observed = ledger.observed.lock().unwrap();
    let meters: Vec<Meter> = observed.iter().map(|(meter, _)| *meter).collect();
    assert_eq!(meters, [Meter::General, Meter::Search]);
    assert!(observed.iter().all(|(_, seen)| seen.day_spent && seen.cool_down_until.is_some()));
}

#[tokio::test]
async fn a_vendor_that_shuts_the_connection_out_pauses_it() {
    let server = Server::playing([Step::Answer(402, "", "")]).await;
    let (transport, ledger) = with_static_token(&server);
    let error = transport.call(&ask(Effect::Read), classify).await.unwrap_err();
    assert_eq!((error.class, error.code.as_str()), (Class::Throttled, "shut_out"));
    assert_eq!(*ledger.paused.lock().unwrap(), ["shut out"]);
}

#[tokio::test]
async fn the_count_of_the_day_is_passed_on_now_and_then_and_not_with_every_call() {
    let steps = (0..5).map(|_| Step::Answer(200, "x-left: 999\r\n", ""));
    let server = Server::playing(steps).await;
    let (transport, ledger) = with_static_token(&server);
    for _ in 0..5 {
        transport.call(&ask(Effect::Read), classify).await.unwrap();
    }
    let observed = ledger.observed.lock().unwrap();
    assert_eq!(observed.len(), 1, "the clock stands still");
    assert_eq!(observed[0].1.daily_remaining, Some(999));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_the_token_stays_here() {
    let server = Server::playing([Step::Answer(302, "location: http://127.0.0.1:9/elsewhere\r\n", "")]).await;
    let (transport, _) = with_static_token(&server);
    let error = transport.call(&ask(Effect::Read), classify).await.unwrap_err();
    assert_eq!(error.code, "no");
    assert_eq!(server.heads().len(), 1);
}

#[tokio::test]
async fn a_transport_without_login_sends_forms_and_no_token() {
    let server = Server::playing([Step::Answer(400, "", "bad grant very-secret-refresh-token")]).await;
    let transport =
        Transport::without_login(&server.url, Arc::new(Noon), Arc::new(Unobserved), Duration::from_secs(10))
            .unwrap();
    let form =
        vec![("grant_type", "refresh_token".into()), ("refresh_token", "very-secret-refresh-token".into())];
    let request = Request { body: Body::Form(form), meter: Meter::Free, ..ask(Effect::Write) };
    let error = transport.call(&request, classify).await.unwrap_err();
    assert_eq!(error.message, "said bad grant [redacted]");
    let head = &server.heads()[0];
    assert!(head.contains("grant_type=refresh_token&refresh_token=very-secret-refresh-token"), "{head}");
    assert!(!head.to_lowercase().contains("authorization"), "{head}");
}

#[test]
fn an_address_that_is_not_http_is_refused() {
    for address in ["ftp://example.com", "mailto:someone@example.com"] {
        let error = Transport::without_login(
            &address.parse().unwrap(),
            Arc::new(Noon),
            Arc::new(Unobserved),
            Duration::from_secs(1),
        )
        .unwrap_err();
        assert_eq!(error.class, Class::Configuration, "{address}");
    }
}
