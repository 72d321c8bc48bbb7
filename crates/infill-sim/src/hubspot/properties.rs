//! The properties API, validation rules, and what the account says of itself.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::answer::{Answer, Refusal, timestamp};
use super::catalog::Catalog;
use super::portal::Ask;

/// `GET /properties/{type}`: without paging, and without sensitive properties unless they are asked for.
pub(crate) fn list(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let wants_sensitive = match ask.query.first("dataSensitivity") {
        None | Some("non_sensitive") => false,
        Some("sensitive" | "highly_sensitive") => true,
        Some(other) => {
            return Err(Refusal::validation(format!("dataSensitivity: {other} is not a valid value")));
        }
    };
    let store = ask.portal.store();
    let table = ask.table(&store)?;
    let shown = table.catalog.iter().filter(|property| property.sensitive == wants_sensitive);
    let results: Vec<Value> = shown.enumerate().map(|(order, property)| property.json(order)).collect();
    Ok(Answer::value(200, &json!({"results": results})))
}

/// `GET /properties/{type}/{name}`.
pub(crate) fn get(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let store = ask.portal.store();
    let table = ask.table(&store)?;
    let name = ask.call.key();
    let Some((id, property)) = table.catalog.find(name) else {
        return Err(Refusal::new(
            404,
            "OBJECT_NOT_FOUND",
            format!("Property with name {name} does not exist"),
        ));
    };
    Ok(Answer::value(200, &property.json(usize::from(id))))
}

/// `GET /property-validations/{type}` and `.../{name}`: administrators' rules.
pub(crate) fn validations(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let store = ask.portal.store();
    let table = ask.table(&store)?;
    let ruled = table
        .catalog
        .iter()
        .filter(|property| !property.rules.is_empty())
        .filter(|property| ask.call.key.as_ref().is_none_or(|name| **name == *property.name));
    let results: Vec<Value> = ruled.map(Catalog::rules_json).collect();
    Ok(Answer::value(200, &json!({"results": results})))
}

/// `GET /account-info/v3/details`.
pub(crate) fn account(ask: &Ask<'_>) -> Answer {
    let config = &ask.portal.config;
    let now = Timestamp::from_millisecond(ask.now_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    let offset = ask.portal.zone.to_offset(now);
    let body = json!({
        "portalId": config.portal_id, "accountType": "STANDARD", "timeZone": config.time_zone,
        "companyCurrency": "USD", "additionalCurrencies": [], "utcOffset": utc_offset(offset.seconds()),
        "utcOffsetMilliseconds": i64::from(offset.seconds()) * 1_000, "uiDomain": config.ui_domain,
        "dataHostingLocation": "na1",
    });
    Answer::value(200, &body)
}

fn utc_offset(seconds: i32) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.unsigned_abs() / 60;
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

/// `GET /account-info/v3/api-usage/daily/private-apps`.
pub(crate) fn daily_usage(ask: &Ask<'_>) -> Answer {
    let usage = ask.portal.meters().daily_usage(ask.now_ms);
    let body = json!({"results": [{
        "name": "private-apps-api-calls-daily", "usageLimit": usage.limit, "currentUsage": usage.used,
        "collectedAt": timestamp(ask.now_ms), "fetchStatus": "SUCCESS", "resetsAt": timestamp(usage.resets_at_ms),
    }]});
    Answer::value(200, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_has_a_sign_and_two_parts() {
        assert_eq!(utc_offset(-18_000), "-05:00");
        assert_eq!(utc_offset(20_700), "+05:45");
    }
}
