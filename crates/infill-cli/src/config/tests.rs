//! What may be configured, where it may come from, and what is said about each kind of mistake.

use std::collections::BTreeSet;

use secrecy::ExposeSecret;

use super::*;

const SECRET: &str = "pat-na1-00000000-dont-print-me";

const WHOLE: &str = r#"
[engine]
kind = "distributed"
[store]
url_env = "DB"
schema = "infill_eu"
[broker]
prefix = "infill-eu"
[worker]
concurrency = 4
batches_in_flight = 2
[planner]
republish_after_seconds = 7
retention = "90d"
[server]
listen = ""
[connections.main-hubspot]
crm = "hubspot"
token_env = "HUBSPOT_TOKEN"
base_url = "http://127.0.0.1:8080"
api_version = "v3"
calls_per_10_seconds = "unlimited"
search_calls_per_second = 4
calls_per_day = 1000
[connections.eu]
crm = "hubspot"
token_file = "secrets/eu"
[connections.sales]
crm = "pipedrive"
token_env = "HUBSPOT_TOKEN"
calls_per_2_seconds = 40
tokens_per_day = 60000
day_reserve_percent = 25
[connections.org]
crm = "salesforce"
base_url = "https://acme.my.salesforce.com"
allow_duplicates = true
transport = "collections"
[connections.org.jwt]
client_id = "key"
username = "ann@example.com"
private_key_env = "CLIENT_SECRET"
[connections.app]
crm = "hubspot"
[connections.app.oauth]
client_id = "id"
client_secret_env = "CLIENT_SECRET"
refresh_token_file = "/run/refresh"
"#;

fn variable(name: &str) -> Option<String> {
    let value = match name {
        "HUBSPOT_TOKEN" => SECRET,
        "CLIENT_SECRET" => "client secret",
        "DB" => "postgres://u:p@h/d",
        "INFILL_AMQP_URL" => "amqp://u:p@h",
        _ => return None,
    };
    Some(value.to_owned())
}

/// What is resolved from a text that stands in `conf/infill.toml`, and these variables.
fn resolved(text: &str, variables: &[(&str, &str)]) -> anyhow::Result<Config> {
    let from = |name: &str| {
        let given = variables.iter().find(|(given, _)| *given == name);
        given.map(|(_, value)| (*value).to_owned()).or_else(|| variable(name))
    };
    let file = |path: &Path| match path.to_str() {
        Some("conf/infill.toml") => Ok(text.to_owned()),
        Some("conf/secrets/eu") => Ok("eu token\n".to_owned()),
        Some("/run/refresh") => Ok("refresh\n".to_owned()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    load_from(Some(Path::new("conf/infill.toml")), &Surroundings { variable: &from, file: &file })
}

fn said(text: &str, variables: &[(&str, &str)]) -> String {
    match resolved(text, variables) {
        Ok(config) => format!("accepted: {config:?}"),
        Err(error) => format!("{error:#}"),
    }
}

#[test]
fn a_whole_configuration_is_read() {
    let config = resolved(WHOLE, &[]).unwrap();
    let Engine::Distributed(distributed) = &config.engine else { panic!("{:?}", config.engine) };
    assert_eq!(distributed.database_url.get().unwrap().expose_secret(), "postgres://u:p@h/d");
    assert_eq!(distributed.amqp_url.get().unwrap().expose_secret(), "amqp://u:p@h");
    assert_eq!(distributed.schema.as_deref(), Some("infill_eu"));
    assert_eq!(distributed.prefix, "infill-eu");
    assert_eq!(config.worker, Worker { concurrency: 4, batches_in_flight: 2 });
    assert_eq!(config.planner.republish_after, Duration::from_secs(7));
    assert_eq!(config.planner.retention, Some(Duration::from_hours(90 * 24)));
    assert_eq!(config.listen, None);

    let main = config.connection(&"main-hubspot".into()).unwrap();
    assert_eq!(main.base_url.as_str(), "http://127.0.0.1:8080/");
    assert_eq!(main.api_version, "v3");
    assert_eq!((main.limits.general, main.limits.daily), (None, Some(1000)));
    assert_eq!(main.limits.search.map(|rate| (rate.calls, rate.per_ms)), Some((4, 1000)));
    let Login::Token(token) = &main.login else { panic!("{:?}", main.login) };
    assert_eq!(token.get().unwrap().expose_secret(), SECRET);

    let sales = config.connection(&"sales".into()).unwrap();
    assert_eq!((sales.vendor, sales.base_url.as_str()), (Vendor::Pipedrive, "https://api.pipedrive.com/"));
    assert_eq!(sales.limits.general.map(|rate| (rate.calls, rate.per_ms)), Some((40, 2000)));
    assert_eq!(
        (sales.limits.search, sales.limits.daily, sales.limits.reserve_percent),
        (None, Some(60_000), 25)
    );

    let org = config.connection(&"org".into()).unwrap();
    assert_eq!((org.vendor, org.api_version.as_str()), (Vendor::Salesforce, "v68.0"));
    let limits = Limits { reserve_percent: 20, is_day_rolling: true, ..Limits::default() };
    assert_eq!(org.limits, limits);
    let switches = Switches {
        auto_assign: false,
        allow_duplicates: true,
        transport: infill_salesforce::Route::Collections,
    };
    assert_eq!(org.switches, switches);
    let Login::Jwt(jwt) = &org.login else { panic!("{:?}", org.login) };
    assert_eq!((jwt.username.as_str(), jwt.audience.as_deref()), ("ann@example.com", None));

    let Login::Token(token) = &config.connection(&"eu".into()).unwrap().login else { panic!() };
    assert_eq!(token.get().unwrap().expose_secret(), "eu token", "beside the configuration, trimmed");
    let Login::OAuth(app) = &config.connection(&"app".into()).unwrap().login else { panic!() };
    assert_eq!(app.client_secret.get().unwrap().expose_secret(), "client secret");
    assert_eq!(app.refresh_token.get().unwrap().expose_secret(), "refresh");
}

#[test]
fn without_a_file_there_are_defaults_and_no_connections() {
    let none = |_: &str| None;
    let no_file = |_: &Path| Err(io::Error::from(io::ErrorKind::NotFound));
    let around = Surroundings { variable: &none, file: &no_file };
    let config = load_from(None, &around).unwrap();
    assert!(matches!(&config.engine, Engine::Embedded { path } if path == Path::new("infill.db")));
    assert_eq!(config.worker, Worker { concurrency: 16, batches_in_flight: 8 });
    assert_eq!(config.planner.republish_after, Duration::from_mins(1));
    assert_eq!(config.listen, Some(infill_server::DEFAULT_LISTEN));
    let said = config.connection(&"main".into()).unwrap_err().to_string();
    assert_eq!(
        said,
        "no connection \"main\" in infill.toml, which is not here; write it, or name another file with --config"
    );

    let error = load_from(Some(Path::new("other.toml")), &around).unwrap_err();
    assert!(error.downcast_ref::<Usage>().is_some(), "a named file must be there: {error:#}");
}

#[test]
fn the_environment_goes_before_the_file() {
    let config = resolved(
        WHOLE,
        &[
            ("INFILL_ENGINE_KIND", "embedded"),
            ("INFILL_STORE_PATH", "here.db"),
            ("INFILL_WORKER_CONCURRENCY", "9"),
            ("INFILL_PLANNER_REPUBLISH_AFTER_SECONDS", "2"),
            ("INFILL_SERVER_LISTEN", "0.0.0.0:1"),
        ],
    )
    .unwrap();
    assert!(matches!(&config.engine, Engine::Embedded { path } if path == Path::new("here.db")));
    assert_eq!(config.worker.concurrency, 9);
    assert_eq!(config.planner.republish_after, Duration::from_secs(2));
    assert_eq!(config.listen.unwrap().port(), 1);
}

#[test]
fn a_path_in_the_file_is_relative_to_the_file() {
    let config = resolved("[store]\npath = \"data/x.db\"\n", &[]).unwrap();
    assert!(matches!(&config.engine, Engine::Embedded { path } if path == Path::new("conf/data/x.db")));
}

#[test]
fn a_missing_secret_hinders_its_connection_alone() {
    let text = "[connections.a]\ncrm = \"hubspot\"\ntoken_env = \"NOT_SET\"\n\
                [connections.b]\ncrm = \"hubspot\"\ntoken_file = \"not/there\"\n\
                [connections.c]\ncrm = \"hubspot\"\ntoken_env = \"HUBSPOT_TOKEN\"\n";
    let config = resolved(text, &[]).unwrap();
    let said = |name: &str| match &config.connections[name].login {
        Login::Token(token) => token.get().map(|_| ()).map_err(|error| error.to_string()),
        Login::OAuth(_) | Login::ClientCredentials(_) | Login::Jwt(_) => panic!("{name} has a token"),
    };
    assert_eq!(
        said("a"),
        Err("environment variable NOT_SET is not set; set it to the token of connection a".to_owned())
    );
    assert!(said("b").unwrap_err().starts_with("file conf/not/there cannot be read"));
    assert_eq!(said("c"), Ok(()));
}

#[test]
fn an_unknown_connection_is_answered_with_the_nearest() {
    let config = resolved(WHOLE, &[]).unwrap();
    let said = config.connection(&"main-hubpsot".into()).unwrap_err().to_string();
    assert_eq!(said, "no connection \"main-hubpsot\" in conf/infill.toml; did you mean \"main-hubspot\"?");
}

#[test]
fn each_mistake_has_a_place_and_a_way_out() {
    let connection = |line: &str| format!("[connections.c]\ncrm = \"hubspot\"\n{line}\n");
    let secret = format!("\"{SECRET}\"");
    for (text, expected) in [
        ("[engine\nkind = 1".to_owned(), vec!["conf/infill.toml:1:8: not readable as TOML: "]),
        (
            "[engin]\n".to_owned(),
            vec!["conf/infill.toml:1:2: unknown key \"engin\"; did you mean \"engine\""],
        ),
        (
            "[engine]\nkind = \"embeded\"\n[worker]\nconcurrency = 0\nbatches = 3\n".to_owned(),
            vec![
                "conf/infill.toml:2:8: engine.kind: expected one of embedded, distributed, found \"embeded\"; \
                 did you mean \"embedded\"?",
                "conf/infill.toml:4:15: worker.concurrency: expected a whole number from 1 to 1024",
                "conf/infill.toml:5:1: worker: unknown key \"batches\"; did you mean \"batches_in_flight\"?",
            ],
        ),
        (
            "[planner]\nretention = \"1y\"".to_owned(),
            vec!["conf/infill.toml:2:13: planner.retention: not an age; give weeks, days or hours"],
        ),
        ("[server]\nlisten = \"9464\"".to_owned(), vec!["server.listen: expected an address and a port"]),
        (
            "[store]\nschema = \"My Schema\"".to_owned(),
            vec!["store.schema: expected at most 63 small letters"],
        ),
        (
            "[connections.c]\ntoken_env = \"T\"".to_owned(),
            vec!["conf/infill.toml:1:1: connections.c: missing key \"crm\""],
        ),
        (
            "[connections.c]\ncrm = \"hubspt\"\ntoken_env = \"T\"".to_owned(),
            vec!["connections.c.crm: expected one of hubspot, pipedrive, salesforce, found \"hubspt\"; did you mean \"hubspot\"?"],
        ),
        (
            connection(""),
            vec!["connections.c: does not say how to log in; give one of token_env, token_file"],
        ),
        (connection("tokn_env = \"T\""), vec!["unknown key \"tokn_env\"; did you mean \"token_env\""]),
        (
            connection("token_env = \"T\"\ntoken_file = \"f\""),
            vec!["give one of token_env, token_file, oauth; found token_env and token_file"],
        ),
        (
            connection(&format!("token = {secret}")),
            vec![
                "connections.c.token: a secret must not stand in this file",
                "token_env = \"CRM_TOKEN\"",
            ],
        ),
        (connection(&format!("token_env = {secret}")), vec!["the secret itself must not stand here"]),
        (connection(&format!("oauth = {secret}")), vec!["expected a table [connections.c.oauth]"]),
        (format!("[connections]\nc = {secret}"), vec!["expected a table [connections.c]"]),
        (
            connection(&format!("oauth = {{ client_id = \"i\", client_secret = {secret} }}")),
            vec![
                "connections.c.oauth.client_secret: a secret must not stand in this file",
                "give one of refresh_token_env and refresh_token_file",
            ],
        ),
        (
            connection("token_env = \"T\"\nbase_url = \"api.hubapi.com\""),
            vec!["connections.c.base_url: expected an address without a login"],
        ),
        (
            connection("token_env = \"T\"\ncalls_per_10_seconds = \"lots\"\ncalls_per_day = 0"),
            vec![
                "connections.c.calls_per_10_seconds: expected a whole number from 1, or \"unlimited\"",
                "connections.c.calls_per_day: expected a whole number from 1, found the number 0",
            ],
        ),
        (
            "[connections.c]\ncrm = \"pipedrive\"\ntoken_env = \"T\"\ncalls_per_10_seconds = 5\nday_reserve_percent = 100"
                .to_owned(),
            vec![
                "connections.c.calls_per_10_seconds: is no key of pipedrive connections, which have \
                 calls_per_2_seconds, tokens_per_day",
                "connections.c.day_reserve_percent: expected a whole number from 0 to 99",
            ],
        ),
        (
            "[connections.c]\ncrm = \"salesforce\"\nauto_assign = 1\n[connections.c.client_credentials]\nclient_id = \"i\""
                .to_owned(),
            vec![
                "connections.c.auto_assign: expected true or false",
                "client_credentials needs base_url: the org's own address",
                "give one of client_secret_env and client_secret_file",
            ],
        ),
        (
            connection("token_env = \"T\"\njwt = {}"),
            vec!["connections.c.jwt: is no key of hubspot connections"],
        ),
        (
            "[connections.\"a b\"]\ncrm = \"hubspot\"\ntoken_env = \"T\"".to_owned(),
            vec!["\"a b\" is no name"],
        ),
    ] {
        let said = said(&text, &[]);
        for part in expected {
            assert!(said.contains(part), "{text}\nsaid: {said}\nnot: {part}");
        }
        assert!(!said.contains(SECRET), "{said}");
    }
}

#[test]
fn a_mistake_in_a_variable_names_the_variable() {
    assert_eq!(
        said("", &[("INFILL_ENGINE_KIND", "both"), ("INFILL_WORKER_CONCURRENCY", "many")]),
        "conf/infill.toml has 2 faults\n  \
         environment variable INFILL_WORKER_CONCURRENCY: expected a whole number from 1 to 1024, \
         found the text \"many\"\n  \
         environment variable INFILL_ENGINE_KIND: expected one of embedded, distributed, found \"both\""
    );
}

#[test]
fn no_secret_is_printed() {
    let config = resolved(WHOLE, &[]).unwrap();
    let printed = format!("{config:?}");
    for secret in [SECRET, "client secret", "eu token", "u:p@h"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[test]
fn reader_and_schema_know_the_same_keys() {
    let schema = schema();
    let sections = &schema["properties"];
    let connection = &sections["connections"]["additionalProperties"];
    for (properties, keys) in [
        (sections, read::SECTIONS),
        (&sections["engine"]["properties"], read::ENGINE_KEYS),
        (&sections["store"]["properties"], read::STORE_KEYS),
        (&sections["broker"]["properties"], read::BROKER_KEYS),
        (&sections["worker"]["properties"], read::WORKER_KEYS),
        (&sections["planner"]["properties"], read::PLANNER_KEYS),
        (&sections["server"]["properties"], read::SERVER_KEYS),
        (&connection["properties"], read::CONNECTION_KEYS),
        (&connection["properties"]["oauth"]["properties"], read::OAUTH_KEYS),
        (&connection["properties"]["client_credentials"]["properties"], read::CLIENT_CREDENTIALS_KEYS),
        (&connection["properties"]["jwt"]["properties"], read::JWT_KEYS),
    ] {
        let known: BTreeSet<&str> = keys.iter().copied().collect();
        let described: BTreeSet<&str> = properties.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(described, known);
    }
}

/// The guide that is held to the code.
const GUIDE: &str = include_str!("../../../../docs/configuration.md");

#[test]
fn the_guide_has_every_key_and_its_files_are_configurations() {
    let keys = [
        read::ENGINE_KEYS,
        read::STORE_KEYS,
        read::BROKER_KEYS,
        read::WORKER_KEYS,
        read::PLANNER_KEYS,
        read::SERVER_KEYS,
        read::CONNECTION_KEYS,
        read::OAUTH_KEYS,
        read::CLIENT_CREDENTIALS_KEYS,
        read::JWT_KEYS,
    ];
    for key in keys.into_iter().flatten() {
        assert!(GUIDE.contains(&format!("`{key}`")), "{key}");
    }
    let files: Vec<&str> =
        GUIDE.split("```toml\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0)).collect();
    assert_eq!(files.len(), 3);
    for file in files {
        assert!(resolved(file, &[]).is_ok(), "{file}\n{}", said(file, &[]));
    }
}
