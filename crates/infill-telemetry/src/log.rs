//! Setting up the log: JSON or text, filtered, and redacted on the way out.

use std::fmt;
use std::io;
use std::str::FromStr;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::redact::redact;

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For a person at a terminal.
    #[default]
    Text,
    /// One JSON object a line, for a collector.
    Json,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 2] = [Self::Text, Self::Json];

    /// The word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|format| format.as_str() == text)
            .ok_or_else(|| Error::UnknownFormat { format: text.to_owned() })
    }
}

/// The log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No format has this name.
    #[error("unknown log format \"{format}\"; one of text, json")]
    UnknownFormat {
        /// What was asked for.
        format: String,
    },
    /// The filter is not of the form `info,infill_crm=debug`.
    #[error("read the log filter \"{filter}\"; it looks like \"info,infill_crm=debug\"")]
    Filter {
        /// What was asked for.
        filter: String,
        /// Where it goes wrong.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// The process already has a log.
    #[error("set up the log a second time")]
    AlreadySet {
        /// What `tracing` says.
        #[source]
        source: tracing::subscriber::SetGlobalDefaultError,
    },
}

/// Drivers that report as their own error what their callers handle and report: one calls an ordinary goodbye an error. A filter that
/// names them hears them all the same.
const QUIET: &str = "lapin=off,deadpool.postgres=off";

/// Sends the log of the whole process to `writer` (`std::io::stderr`, for a program whose results go to stdout).
///
/// `filter` has the form of `RUST_LOG`: `info`, or `info,infill_crm=debug`.
///
/// # Errors
/// When the filter cannot be read, or the log was set up before.
pub fn init_logging<W>(format: Format, filter: &str, writer: W) -> Result<(), Error>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing::subscriber::set_global_default(subscriber(format, filter, writer)?)
        .map_err(|source| Error::AlreadySet { source })
}

/// What [`init_logging`] makes global; a test makes it the default of one thread instead.
///
/// # Errors
/// When the filter cannot be read.
pub fn subscriber<W>(
    format: Format,
    filter: &str,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, Error>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let parse = |text: &str| {
        let parsed = EnvFilter::builder().parse(text);
        parsed.map_err(|source| Error::Filter { filter: filter.to_owned(), source })
    };
    parse(filter)?;
    let asked = if filter.trim().is_empty() { "error" } else { filter };
    let filter = parse(&format!("{QUIET},{asked}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(Redacting(writer));
    Ok(match format {
        Format::Text => Box::new(builder.with_ansi(false).with_target(false).finish()),
        Format::Json => Box::new(builder.json().flatten_event(true).with_current_span(false).finish()),
    })
}

/// Redacts whatever passes through. The last line of defence, not the first: nothing secret should get this far.
#[derive(Debug)]
struct Redacting<W>(W);

impl<'w, W: MakeWriter<'w>> MakeWriter<'w> for Redacting<W> {
    type Writer = RedactingLine<W::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        RedactingLine(self.0.make_writer())
    }

    fn make_writer_for(&'w self, meta: &tracing::Metadata<'_>) -> Self::Writer {
        RedactingLine(self.0.make_writer_for(meta))
    }
}

/// The formatter writes each line whole, in one call, so a secret is never cut in two between calls.
#[derive(Debug)]
struct RedactingLine<W>(W);

impl<W: io::Write> io::Write for RedactingLine<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write_all(redact(&String::from_utf8_lossy(line)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use infill_model::{BatchNo, RunId, Stage, Timestamp};

    use super::*;
    use crate::field;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Captured {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, filter: &str, act: impl FnOnce()) -> String {
        let captured = Captured::default();
        let writer = captured.clone();
        tracing::subscriber::with_default(subscriber(format, filter, move || writer.clone()).unwrap(), act);
        captured.text()
    }

    fn run() -> RunId {
        RunId::new(Timestamp::UNIX_EPOCH, [7; 10])
    }

    #[test]
    fn a_json_line_carries_the_message_it_belongs_to() {
        let line = logged(Format::Json, "info", || {
            let span = field::message_span(Stage::Run, Some(run()), Some(BatchNo(12)), 2);
            span.in_scope(|| tracing::info!({ field::CONNECTION } = "main-hubspot", "batch written"));
        });
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["message"], "batch written");
        assert_eq!(line["connection"], "main-hubspot");
        assert_eq!(
            line["spans"],
            serde_json::json!([{
                "name": "message", "run.id": run().to_string(), "stage": "run", "batch.no": 12, "attempt": 2,
            }])
        );
    }

    #[test]
    fn a_text_line_is_one_line() {
        let text = logged(Format::Text, "info", || {
            field::message_span(Stage::AwaitRows, Some(run()), None, 1)
                .in_scope(|| tracing::info!("rows counted"));
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("stage=\"await-rows\""), "{text}");
        assert!(text.ends_with("rows counted\n"), "{text}");
    }

    #[test]
    fn rows_are_left_out_until_debug_is_asked_for() {
        let say = || tracing::debug!({ field::RECORD_ID } = "101", "row settled");
        assert_eq!(logged(Format::Text, "info", say), "");
        assert_eq!(logged(Format::Text, "info,infill_telemetry=debug", say).lines().count(), 1);
    }

    #[test]
    fn drivers_are_heard_only_when_named() {
        let say = || tracing::error!(target: "lapin::channels", "Connection error");
        assert_eq!(logged(Format::Text, "info", say), "");
        assert_eq!(logged(Format::Text, "", say), "");
        assert_eq!(logged(Format::Text, "info,lapin=debug", say).lines().count(), 1);
        assert_eq!(logged(Format::Text, "", || tracing::error!("broken")).lines().count(), 1);
    }

    #[test]
    fn a_token_that_got_into_a_line_is_redacted_in_either_format() {
        for format in Format::ALL {
            let line = logged(format, "info", || {
                tracing::warn!(
                    { field::ERROR } =
                        "refused: {\"access_token\":\"s3cr3t-v4lue\"}, Authorization: Bearer abc.DEF-123",
                    "call failed"
                );
            });
            assert!(!line.contains("s3cr3t"), "{line}");
            assert!(!line.contains("DEF-123"), "{line}");
            assert!(line.contains("call failed"), "{line}");
        }
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_an_error_that_quotes_it() {
        let error = subscriber(Format::Text, "infill=loud", io::sink).err().unwrap();
        assert!(error.to_string().contains("infill=loud"));
        assert!("xml".parse::<Format>().unwrap_err().to_string().contains("one of text, json"));
    }
}
