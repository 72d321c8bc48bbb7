//! Users, pipelines, stages, currencies and labels of leads: what a company has beside records.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::answer::{Answer, Refusal, timestamp, timestamp_ms, timestamp_v1};
use super::company::Ask;
use super::store::{CURRENCIES, LEAD_LABELS, ME, PIPELINES, STAGES, USERS};

/// When every company was made.
const MADE_MS: i64 = 1_600_000_000_000;
/// The company's id.
const COMPANY_ID: u64 = 424_242;

/// A user as version 1 tells it.
fn one_user(ask: &Ask<'_>, id: u64, name: &str) -> Value {
    let config = &ask.company.config;
    let mail = name.to_lowercase().replace(' ', ".");
    let now = Timestamp::from_millisecond(ask.now_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    let zone = TimeZone::get(&config.time_zone).unwrap_or(TimeZone::UTC);
    json!({
        "id": id, "name": name, "default_currency": "USD", "locale": "en_US", "lang": 1,
        "email": format!("{mail}@{}.example", config.company_domain), "phone": null, "activated": true,
        "last_login": timestamp_v1(ask.now_ms), "created": timestamp_v1(MADE_MS), "modified": timestamp_v1(MADE_MS),
        "has_created_company": id == ME, "access": [{"app": "sales", "admin": id == ME, "permission_set_id": "sim"}],
        "active_flag": true, "timezone_name": config.time_zone,
        "timezone_offset": now.to_zoned(zone).strftime("%:z").to_string(), "role_id": 1, "icon_url": null,
        "is_you": id == ME, "is_deleted": false,
    })
}

/// Every user.
pub(crate) fn users(ask: &Ask<'_>) -> Answer {
    Answer::data(&USERS.iter().map(|(id, name)| one_user(ask, *id, name)).collect())
}

/// One user.
pub(crate) fn user(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let user = USERS.iter().find(|(id, _)| id.to_string() == ask.key);
    let (id, name) = user.ok_or_else(|| Refusal::missing(ask.endpoint.version, 404, "User"))?;
    Ok(Answer::data(&one_user(ask, *id, name)))
}

/// The user whose token it is, and the company.
pub(crate) fn me(ask: &Ask<'_>) -> Answer {
    let config = &ask.company.config;
    let [(id, name), ..] = USERS;
    let mut me = one_user(ask, id, name);
    if let Some(me) = me.as_object_mut() {
        let company = [
            ("company_id", json!(COMPANY_ID)),
            ("company_name", json!(config.company_name)),
            ("company_domain", json!(config.company_domain)),
            ("company_country", json!("US")),
            ("company_industry", json!(null)),
            ("language", json!({"language_code": "en", "country_code": "US"})),
        ];
        me.extend(company.map(|(key, value)| (key.to_owned(), value)));
    }
    Answer::data(&me)
}

/// Every stage, or those of one pipeline.
pub(crate) fn stages(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let wanted = ask.number("pipeline_id")?;
    let stages =
        (1..).zip(STAGES).filter(|(_, (.., pipeline))| wanted.is_none_or(|wanted| wanted == *pipeline));
    let shown = stages
        .map(|(order, (id, name, pipeline)): (u64, _)| {
            json!({
                "id": id, "order_nr": order, "name": name, "is_deleted": false, "deal_probability": 100,
                "pipeline_id": pipeline, "is_deal_rot_enabled": false, "days_to_rotten": null,
                "add_time": timestamp(MADE_MS), "update_time": timestamp(MADE_MS),
            })
        })
        .collect();
    Ok(Answer::page(&shown, None))
}

/// Every pipeline.
pub(crate) fn pipelines() -> Answer {
    let shown = PIPELINES.iter().map(|(id, name)| {
        json!({
            "id": id, "name": name, "order_nr": id, "is_deleted": false, "is_deal_probability_enabled": true,
            "add_time": timestamp(MADE_MS), "update_time": timestamp(MADE_MS),
        })
    });
    Answer::page(&shown.collect(), None)
}

/// Every currency.
pub(crate) fn currencies() -> Answer {
    let shown = (1..).zip(CURRENCIES).map(|(id, (code, name, symbol)): (u64, _)| {
        json!({
            "id": id, "code": code, "name": name, "decimal_points": 2, "symbol": symbol, "active_flag": true,
            "is_custom_flag": false,
        })
    });
    Answer::data(&shown.collect())
}

/// Every label of leads.
pub(crate) fn lead_labels() -> Answer {
    let at = timestamp_ms(MADE_MS);
    let shown = LEAD_LABELS
        .iter()
        .map(|(id, name, color)| json!({"id": id, "name": name, "color": color, "add_time": at, "update_time": at}));
    Answer::data(&shown.collect())
}
