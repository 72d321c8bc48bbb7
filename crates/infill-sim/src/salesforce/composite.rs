//! Composite: up to 25 calls in one, which may refer to what earlier ones answered.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::dispatch::{no_such_resource, operate_part};
use super::org::Ask;
use super::route::{Operation, route};
use crate::query::Pairs;

const MAX_SUBREQUESTS: usize = 25;
/// Of these, queries and collections together.
const MAX_HEAVY: usize = 5;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Composite {
    #[serde(default)]
    all_or_none: bool,
    composite_request: Vec<Subrequest>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Subrequest {
    method: String,
    url: String,
    reference_id: String,
    #[serde(default)]
    body: Value,
}

/// `POST /composite`
pub(crate) fn composite(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let body: Composite = ask.json()?;
    if let Some(refused) = check(&body) {
        return Ok(refused);
    }
    let before = body.all_or_none.then(|| ask.org.store().clone());
    let mut answers: Vec<(String, Answer)> = Vec::with_capacity(body.composite_request.len());
    let mut bodies: HashMap<String, Value> = HashMap::new();
    for subrequest in &body.composite_request {
        let answer = perform(ask, subrequest, &bodies);
        let shown = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        bodies.insert(subrequest.reference_id.clone(), shown);
        let is_failed = answer.status >= 300;
        answers.push((subrequest.reference_id.clone(), answer));
        if is_failed && body.all_or_none {
            break;
        }
    }
    let failed = answers.iter().position(|(_, answer)| answer.status >= 300).filter(|_| body.all_or_none);
    if let (Some(failed), Some(before)) = (failed, before) {
        ask.org.change(|store| *store = before);
        return Ok(halted(&body, answers, failed));
    }
    let shown: Vec<Value> = answers.into_iter().map(|(reference, answer)| show(&reference, answer)).collect();
    Ok(Answer::value(200, &json!({"compositeResponse": shown})))
}

fn check(body: &Composite) -> Option<Answer> {
    let refuse = |code: &str, message: String| {
        let error = json!([{"errorCode": code, "message": message}]);
        let response = json!({"body": error, "httpHeaders": {}, "httpStatusCode": 400, "referenceId": null});
        Some(Answer::value(200, &json!({"compositeResponse": [response]})))
    };
    if body.composite_request.len() > MAX_SUBREQUESTS {
        let message = format!("The request can’t contain more than {MAX_SUBREQUESTS} operations.");
        return refuse("LIMIT_EXCEEDED", message);
    }
    let is_heavy = |subrequest: &&Subrequest| {
        let path = subrequest.url.split('?').next().unwrap_or_default();
        path.contains("/query") || path.contains("/composite/sobjects")
    };
    if body.composite_request.iter().filter(is_heavy).count() > MAX_HEAVY {
        let message = format!(
            "The request can’t contain more than {MAX_HEAVY} query or sObject Collections operations."
        );
        return refuse("LIMIT_EXCEEDED", message);
    }
    None
}

fn perform(ask: &Ask<'_>, subrequest: &Subrequest, bodies: &HashMap<String, Value>) -> Answer {
    let url = resolve(&subrequest.url, bodies);
    let (path, query) = url.split_once('?').unwrap_or((&url, ""));
    let Some(call) = route(&subrequest.method.to_uppercase(), path) else { return no_such_resource() };
    if call.operation == Operation::Composite || call.operation.is_open() {
        return no_such_resource();
    }
    let text =
        if subrequest.body.is_null() { String::new() } else { resolve(&subrequest.body.to_string(), bodies) };
    let query = Pairs::parse(query);
    let inner = Ask { call: &call, query: &query, body: text.as_bytes(), ..*ask };
    operate_part(&inner)
}

/// Replaces `@{reference.member}` and `@{reference[0].member}` by what earlier calls answered.
fn resolve(text: &str, bodies: &HashMap<String, Value>) -> String {
    let mut resolved = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("@{") {
        let Some((reference, tail)) = after.split_once('}') else { break };
        resolved.push_str(before);
        let (name, path) = reference.split_at(reference.find(['.', '[']).unwrap_or(reference.len()));
        let pointer = path.replace('[', "/").replace(']', "").replace('.', "/");
        let value = bodies.get(name).and_then(|body| body.pointer(&pointer));
        match value {
            Some(Value::String(text)) => resolved.push_str(text),
            Some(value) => resolved.push_str(&value.to_string()),
            None => {
                resolved.push_str("@{");
                resolved.push_str(reference);
                resolved.push('}');
            }
        }
        rest = tail;
    }
    resolved + rest
}

fn show(reference: &str, answer: Answer) -> Value {
    let body = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    let headers: serde_json::Map<String, Value> =
        answer.headers.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    json!({"body": body, "httpHeaders": headers, "httpStatusCode": answer.status, "referenceId": reference})
}

/// Every subrequest of a call that was rolled back because of one of them.
fn halted(body: &Composite, answers: Vec<(String, Answer)>, failed: usize) -> Answer {
    let mut answers = answers.into_iter();
    let shown: Vec<Value> = body
        .composite_request
        .iter()
        .enumerate()
        .map(|(at, subrequest)| {
            let answer = answers.next();
            if let Some((reference, answer)) = answer.filter(|_| at == failed) {
                return show(&reference, answer);
            }
            let message = "The transaction was rolled back since another operation in the same transaction failed.";
            let error = json!([{"errorCode": "PROCESSING_HALTED", "message": message}]);
            json!({"body": error, "httpHeaders": {}, "httpStatusCode": 400, "referenceId": subrequest.reference_id})
        })
        .collect();
    Answer::value(200, &json!({"compositeResponse": shown}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_replaced_by_what_was_answered() {
        let bodies = HashMap::from([
            ("a".to_owned(), json!({"id": "001", "n": 3})),
            ("q".to_owned(), json!({"records": [{"Id": "003"}]})),
        ]);
        assert_eq!(resolve("/x/@{a.id}?n=@{a.n}", &bodies), "/x/001?n=3");
        assert_eq!(resolve("@{q.records[0].Id}-@{b.id}", &bodies), "003-@{b.id}");
        assert_eq!(resolve("@{a.id", &bodies), "@{a.id");
    }
}
