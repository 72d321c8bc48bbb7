//! The JSON Schema of the configuration.

use serde_json::{Value, json};

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
    let mut connection = table(
        "One account in one CRM.",
        json!({
            "crm": {"enum": ["hubspot"], "description": "The vendor."},
            "token_env": variable("The variable that holds the access token."),
            "token_file": text("The file that holds the access token."),
            "oauth": oauth,
            "base_url": {
                "type": "string", "format": "uri", "default": "https://api.hubapi.com",
                "description": "Where the API is.",
            },
            "api_version": {
                "enum": ["v3", "2026-03", "2026-09"], "default": "2026-09",
                "description": "The version of the API.",
            },
            "calls_per_10_seconds": rate("What the account allows this app in ten seconds."),
            "search_calls_per_second": rate("What the account allows all apps together to search."),
            "calls_per_day": {
                "type": "integer", "minimum": 1,
                "description": "At most this many calls a day, below what the account allows.",
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
            "planner": table("Lost work.", json!({
                "republish_after_seconds": {
                    "type": "integer", "minimum": 1, "maximum": 86_400, "default": 60,
                    "description": "Work that nobody touched for so long is published again.",
                },
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
