//! The JSON Schema of the configuration.

use serde_json::{Value, json};

use infill_salesforce::Route;

use crate::config::Vendor;

/// The schema, for editors that check and complete TOML by it.
pub(crate) fn schema() -> Value {
    let variable =
        |about: &str| json!({"type": "string", "pattern": "^[A-Z_][A-Z0-9_]*$", "description": about});
    let text = |about: &str| json!({"type": "string", "minLength": 1, "description": about});
    let table = |about: &str, properties: Value| {
        json!({
            "type": "object", "additionalProperties": false, "description": about, "properties": properties,
        })
    };
    let rate = |about: &str| {
        json!({
            "description": about,
            "oneOf": [{"type": "integer", "minimum": 1}, {"const": "unlimited"}],
        })
    };
    let units = |about: &str| json!({"type": "integer", "minimum": 1, "description": about});
    let count = |about: &str, default: u32| json!({"type": "integer", "minimum": 1, "maximum": 1024, "default": default, "description": about});
    let oauth = table(
        "An OAuth app and the refresh token that its installation gave.",
        json!({
            "client_id": text("The app's client id."),
            "client_secret_env": variable("The variable that holds the client secret."),
            "client_secret_file": text("The file that holds the client secret."),
            "refresh_token_env": variable("The variable that holds the first refresh token."),
            "refresh_token_file": text("The file that holds the first refresh token."),
        }),
    );
    let client_credentials = table(
        "Salesforce: an app that runs as the user it is configured with.",
        json!({
            "client_id": text("The app's consumer key."),
            "client_secret_env": variable("The variable that holds the consumer secret."),
            "client_secret_file": text("The file that holds the consumer secret."),
        }),
    );
    let jwt = table(
        "Salesforce: an app that runs as a user who is approved beforehand, by its certificate.",
        json!({
            "client_id": text("The app's consumer key."),
            "username": text("The user."),
            "private_key_env": variable("The variable that holds the certificate's private key, RSA in PEM."),
            "private_key_file": text("The file that holds the certificate's private key, RSA in PEM."),
            "audience": text("Whom assertions are for, where base_url does not tell."),
        }),
    );
    let switch = |about: &str| json!({"type": "boolean", "default": false, "description": about});
    let mut connection = table(
        "One account in one CRM.",
        json!({
            "crm": {"enum": Vendor::ALL.map(Vendor::as_str), "description": "The vendor."},
            "token_env": variable("The variable that holds the access token."),
            "token_file": text("The file that holds the access token."),
            "oauth": oauth,
            "client_credentials": client_credentials,
            "jwt": jwt,
            "base_url": {
                "type": "string", "format": "uri",
                "description": "Where the API is; the vendor's own address when left out.",
            },
            "api_version": {
                "enum": Vendor::ALL.map(|vendor| vendor.terms().api_versions).concat(),
                "description": "The version of the API; the newest when left out.",
            },
            "calls_per_10_seconds": rate("HubSpot: what the account allows this app in ten seconds."),
            "calls_per_2_seconds": rate("Pipedrive: what the company allows this login in two seconds."),
            "search_calls_per_second": rate("HubSpot: what the account allows all apps together to search."),
            "calls_per_day": units("HubSpot and Salesforce: at most this many calls a day, below what the account allows."),
            "tokens_per_day": units("Pipedrive: the company's tokens a day, or what of them may be spent."),
            "day_reserve_percent": {
                "type": "integer", "minimum": 0, "maximum": 99,
                "description": "The share of the day that is left to others who call the same account.",
            },
            "auto_assign": switch("Salesforce: assignment rules run when a record is updated."),
            "allow_duplicates": switch("Salesforce: updates that a duplicate rule only warns of are saved."),
            "transport": {
                "enum": Route::ALL.map(|(word, _)| word), "default": "auto",
                "description": "Salesforce: which way records go; by the number of a run's records unless it says.",
            },
            "replay_key_field": {
                "type": "string",
                "description": "Salesforce: the text field by which records that a chain creates are known again; best flagged External ID and Unique.",
            },
        }),
    );
    if let Value::Object(connection) = &mut connection {
        connection.insert("required".to_owned(), json!(["crm"]));
    }
    let mut schema = table(
        "Infill's configuration, infill.toml.",
        json!({
            "engine": table("Store and broker.", json!({
                "kind": {
                    "enum": ["embedded", "distributed"], "default": "embedded",
                    "description": "In the process with SQLite, or on RabbitMQ and PostgreSQL.",
                },
            })),
            "store": table("Where runs and rows are kept.", json!({
                "path": text("The SQLite file of the embedded engine."),
                "url_env": variable("The variable that holds the PostgreSQL address."),
                "schema": text("The PostgreSQL schema."),
            })),
            "broker": table("Where messages travel.", json!({
                "url_env": variable("The variable that holds the RabbitMQ address."),
                "prefix": text("What names of exchanges and queues begin with."),
            })),
            "worker": table("How much at once.", json!({
                "concurrency": count("Messages handled at once by one worker.", 16),
                "batches_in_flight": count("Batches in flight per run.", 8),
            })),
            "planner": table("Lost work, approvals, and how long values are kept.", json!({
                "republish_after_seconds": {
                    "type": "integer", "minimum": 1, "maximum": 86_400, "default": 60,
                    "description": "Work that nobody touched for so long is published again.",
                },
                "retention": text("Values of runs that ended so long ago are purged, as in 90d; all are kept when left out."),
                "approve_within": text("What waits for an approval can be approved for so long, as in 1d, which is the default."),
            })),
            "server": table("Metrics and health of worker and planner.", json!({
                "listen": {
                    "type": "string", "default": "127.0.0.1:9464",
                    "description": "Address and port; empty for none.",
                },
            })),
            "connections": {
                "type": "object", "additionalProperties": connection,
                "description": "The accounts, by the name that plans use.",
            },
        }),
    );
    if let Value::Object(schema) = &mut schema {
        schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        schema.insert("title".to_owned(), json!("infill.toml"));
    }
    schema
}
