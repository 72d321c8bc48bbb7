//! What an org says about itself: versions, resources, limits, and who is connected.

use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::auth::ORG_ID;
use super::config::{ApiVersion, SIM_USERNAME};
use super::org::Ask;
use super::store::{INTEGRATION_USER, user_id};

/// The daily limits that are not requests, by the vendor's names; a simulator never exhausts them.
const OTHER_LIMITS: [(&str, u64); 4] = [
    ("DailyBulkApiBatches", 15_000),
    ("DailyBulkV2QueryJobs", 10_000),
    ("DailyBulkV2QueryFileStorageMB", 976_562),
    ("DataStorageMB", 10_240),
];

/// `GET /services/data`
pub(crate) fn versions(ask: &Ask<'_>) -> Answer {
    let served = ApiVersion::OLDEST.major()..=ask.org.config.api_version.major();
    let versions = served.map(|version| {
        json!({"label": format!("Version {version}"), "url": format!("/services/data/v{version}.0"),
               "version": format!("{version}.0")})
    });
    Answer::value(200, &Value::Array(versions.collect()))
}

/// `GET /services/data/vN`
pub(crate) fn resources(ask: &Ask<'_>) -> Answer {
    let base = format!("/services/data/v{}", ask.call.version_text());
    let mut resources = Map::new();
    for name in ["sobjects", "query", "queryAll", "limits", "composite", "jobs", "ui-api"] {
        resources.insert(name.to_owned(), format!("{base}/{name}").into());
    }
    resources.insert("identity".to_owned(), ask.org.auth().identity_url().into());
    Answer::value(200, &Value::Object(resources))
}

/// `GET /limits`
pub(crate) fn limits(ask: &Ask<'_>) -> Answer {
    let (used, max) = ask.org.meters().standing(ask.now_ms);
    let max = max.unwrap_or(5_000_000);
    let mut limits = Map::new();
    limits.insert("DailyApiRequests".to_owned(), json!({"Max": max, "Remaining": max.saturating_sub(used)}));
    for (name, max) in OTHER_LIMITS {
        limits.insert(name.to_owned(), json!({"Max": max, "Remaining": max}));
    }
    Answer::value(200, &Value::Object(limits))
}

/// `GET /id/{org}/{user}`
pub(crate) fn identity(ask: &Ask<'_>) -> Answer {
    let (config, base) = (&ask.org.config, &ask.org.base_url);
    let user = user_id(INTEGRATION_USER);
    let body = json!({
        "id": ask.org.auth().identity_url(), "asserted_user": true, "user_id": user,
        "organization_id": ORG_ID, "username": SIM_USERNAME, "nick_name": "integration",
        "display_name": "Integration User", "email": SIM_USERNAME, "first_name": "Integration",
        "last_name": "User", "timezone": config.time_zone, "active": true, "user_type": "STANDARD",
        "language": "en_US", "locale": "en_US",
        "urls": {
            "rest": format!("{base}/services/data/v{{version}}/"),
            "sobjects": format!("{base}/services/data/v{{version}}/sobjects/"),
            "query": format!("{base}/services/data/v{{version}}/query/"),
            "custom_domain": base,
        },
    });
    Answer::value(200, &body)
}

/// `GET /services/oauth2/userinfo`
pub(crate) fn userinfo(ask: &Ask<'_>) -> Answer {
    let body = json!({
        "sub": ask.org.auth().identity_url(), "user_id": user_id(INTEGRATION_USER), "organization_id": ORG_ID, "preferred_username": SIM_USERNAME, "nickname": "integration", "name": "Integration User",
        "email": SIM_USERNAME, "email_verified": true, "given_name": "Integration", "family_name": "User",
        "zoneinfo": ask.org.config.time_zone, "user_type": "STANDARD", "language": "en_US", "locale": "en_US",
        "active": true,
    });
    Answer::value(200, &body)
}
