//! What travels beside a body: AMQP properties and headers. Pure; `docs/messages.md` is the contract.

use infill_model::message::{self, Work};
use infill_model::{RunId, StageMessage};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use crate::broker::DeadLettered;

/// The AMQP `app_id` of all that Infill publishes.
const APP_ID: &str = "infill";

/// The AMQP `type` of a dead-lettered message that Infill wrote.
pub(super) const DEAD_LETTER_TYPE: &str = "infill.dead-letter.v1";

/// Survives a restart of the broker. Quorum queues persist in any case; a foreign classic queue bound by an operator does
/// not.
const PERSISTENT: u8 = 2;

/// The longest header value. All headers must fit one AMQP frame (128 KiB), or the broker ends the connection.
const MAX_HEADER_BYTES: usize = 4096;

/// Our count of tries; the broker's own `x-delivery-count` starts anew at each publish.
pub(super) const ATTEMPT: &str = "x-attempt";

/// Headers of a dead-lettered message.
pub(super) mod header {
    pub(crate) const RUN: &str = "x-run";
    pub(crate) const STAGE: &str = "x-stage";
    pub(crate) const RECORD: &str = "x-record";
    pub(crate) const CLASS: &str = "x-class";
    pub(crate) const CODE: &str = "x-code";
    pub(crate) const MESSAGE: &str = "x-message";
}

/// What every message carries.
pub(super) fn plain() -> BasicProperties {
    BasicProperties::default().with_delivery_mode(PERSISTENT).with_app_id(APP_ID.into())
}

pub(super) fn of_stage_message(message: &StageMessage) -> BasicProperties {
    let mut headers = FieldTable::default();
    headers.insert(ATTEMPT.into(), AMQPValue::LongLongInt(message.attempt.into()));
    with_run(plain(), message.run)
        .with_type(message::TYPE.into())
        .with_content_type("application/json".into())
        .with_message_id(message_id(message).into())
        .with_timestamp(u64::try_from(message.published_at.as_second()).unwrap_or(0))
        .with_headers(headers)
}

pub(super) fn of_dead_letter(letter: &DeadLettered) -> BasicProperties {
    let DeadLettered { stage, run, record, class, code, message, body } = letter;
    let mut headers = FieldTable::default();
    let mut say = |name: &str, value: &str| {
        headers.insert(name.into(), AMQPValue::LongString(cut(value).into()));
    };
    say(header::STAGE, stage.as_str());
    say(header::CLASS, class.as_str());
    say(header::CODE, code);
    say(header::MESSAGE, message);
    if let Some(run) = run {
        say(header::RUN, &run.to_string());
    }
    if let Some(record) = record {
        say(header::RECORD, record.as_str());
    }
    let mut properties = plain().with_type(DEAD_LETTER_TYPE.into()).with_headers(headers);
    if let Some(run) = run {
        properties = with_run(properties, *run);
    }
    if !body.is_empty() {
        properties = properties.with_content_type("application/octet-stream".into());
    }
    properties
}

fn with_run(properties: BasicProperties, run: RunId) -> BasicProperties {
    properties.with_correlation_id(run.to_string().into())
}

/// Names the work and the try, so that two publishes of the same are seen to be the same.
fn message_id(message: &StageMessage) -> String {
    let StageMessage { run, work, attempt, .. } = message;
    let stage = work.stage();
    match work {
        Work::SourceSync { chunk: Some(chunk) } => format!("{run}/{stage}/{chunk}#{attempt}"),
        Work::Run { batch } | Work::Verify { batch } => format!("{run}/{stage}/{batch}#{attempt}"),
        Work::SourceSync { chunk: None } | Work::AwaitRows | Work::ConfigureChain => {
            format!("{run}/{stage}#{attempt}")
        }
    }
}

/// The text, or as many of its characters as fit a header.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_HEADER_BYTES)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use infill_model::error::Class;
    use infill_model::time::Timestamp;
    use infill_model::{BatchNo, ChunkNo, Stage};
    use lapin::types::LongString;

    use super::*;

    fn message(work: Work) -> StageMessage {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        StageMessage { attempt: 3, ..StageMessage::first(RunId::new(now, [7; 10]), work, now) }
    }

    fn letter() -> DeadLettered {
        DeadLettered {
            stage: Stage::Run,
            run: Some(message(Work::AwaitRows).run),
            record: Some("4711".into()),
            class: Class::Rejected,
            code: "invalid_option".to_owned(),
            message: "row 4711: \"gold\" is no option of tier".to_owned(),
            body: Vec::new(),
        }
    }

    fn text<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a [u8]> {
        properties.headers().as_ref()?.inner().get(name)?.as_long_string().map(LongString::as_bytes)
    }

    #[test]
    fn a_stage_message_says_what_it_is_in_standard_properties() {
        let message = message(Work::Run { batch: BatchNo(12) });
        let properties = of_stage_message(&message);
        let as_str =
            |value: &Option<lapin::types::ShortString>| value.as_ref().map(|value| value.as_str().to_owned());
        assert_eq!(as_str(properties.kind()).as_deref(), Some("infill.stage.v1"));
        assert_eq!(as_str(properties.app_id()).as_deref(), Some("infill"));
        assert_eq!(as_str(properties.content_type()).as_deref(), Some("application/json"));
        assert_eq!(as_str(properties.correlation_id()), Some(message.run.to_string()));
        assert_eq!(as_str(properties.message_id()), Some(format!("{}/run/12#3", message.run)));
        assert_eq!(properties.timestamp(), &Some(1_700_000_000));
        assert_eq!(properties.delivery_mode(), &Some(2));
        let headers = properties.headers().as_ref().unwrap();
        assert_eq!(headers.inner().get("x-attempt"), Some(&AMQPValue::LongLongInt(3)));
    }

    #[test]
    fn different_work_has_different_message_ids() {
        let works = [
            Work::SourceSync { chunk: None },
            Work::SourceSync { chunk: Some(ChunkNo(1)) },
            Work::AwaitRows,
            Work::ConfigureChain,
            Work::Run { batch: BatchNo(1) },
            Work::Verify { batch: BatchNo(1) },
        ];
        let ids: std::collections::BTreeSet<String> = works.map(|work| message_id(&message(work))).into();
        assert_eq!(ids.len(), works.len());
        assert!(ids.iter().all(|id| id.len() < 255), "AMQP takes 255 bytes");
    }

    #[test]
    fn a_dead_letter_carries_its_cause_in_headers() {
        let properties = of_dead_letter(&letter());
        assert_eq!(text(&properties, "x-stage"), Some(&b"run"[..]));
        assert_eq!(text(&properties, "x-record"), Some(&b"4711"[..]));
        assert_eq!(text(&properties, "x-class"), Some(&b"rejected"[..]));
        assert_eq!(text(&properties, "x-code"), Some(&b"invalid_option"[..]));
        assert_eq!(
            text(&properties, "x-message"),
            Some("row 4711: \"gold\" is no option of tier".as_bytes())
        );
        assert_eq!(text(&properties, "x-run"), Some(letter().run.unwrap().to_string().as_bytes()));
    }

    #[test]
    fn the_page_names_every_type_and_header() {
        let page = include_str!("../../../../docs/messages.md");
        let names = [message::TYPE, DEAD_LETTER_TYPE, APP_ID, ATTEMPT];
        let headers =
            [header::RUN, header::STAGE, header::RECORD, header::CLASS, header::CODE, header::MESSAGE];
        for name in names.into_iter().chain(headers).chain(Class::ALL.map(Class::as_str)) {
            assert!(page.contains(&format!("`{name}`")), "docs/messages.md does not explain {name}");
        }
        let example = page.lines().find(|line| line.starts_with('{')).unwrap();
        let example = StageMessage::decode(example.as_bytes()).unwrap();
        assert_eq!(example.work, Work::Run { batch: BatchNo(3) });
    }

    #[test]
    fn unknown_ids_have_no_header() {
        let properties = of_dead_letter(&DeadLettered { run: None, record: None, ..letter() });
        assert_eq!((text(&properties, "x-run"), text(&properties, "x-record")), (None, None));
        assert_eq!(properties.correlation_id(), &None);
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let properties = of_dead_letter(&DeadLettered { message: "é".repeat(100_000), ..letter() });
        let carried = text(&properties, "x-message").unwrap();
        assert!(carried.len() <= MAX_HEADER_BYTES);
        assert!(std::str::from_utf8(carried).unwrap().chars().all(|c| c == 'é'));
    }
}
