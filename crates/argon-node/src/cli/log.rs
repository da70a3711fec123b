//! The log of a server on standard error: lines for people, lines of JSON, or lines for the journal of systemd.

use std::fmt::{self, Debug};
use std::io;
use std::os::fd::AsFd;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::output;

/// Verbosity and format of the log.
#[derive(Debug, Args)]
pub(super) struct LogOption {
    /// Log more; twice for everything [the variable ARGON_LOG names levels in detail]
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Lines for people, or one JSON object a line. Under systemd, lines have a priority and no time
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// Sends the log to standard error.
pub(super) fn start_log(option: &LogOption) {
    let level = match option.verbose {
        0 => "info",
        1 => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("ARGON_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        // A log that cannot be written does not end the process.
        .log_internal_errors(false)
        .with_target(false);
    match option.log_format {
        LogFormat::Json => {
            log.with_ansi(false).event_format(JsonLines).init();
            output::complain_in_log();
        }
        LogFormat::Text if is_journal() => log.with_ansi(false).event_format(JournalLines).init(),
        LogFormat::Text => log.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).init(),
    }
}

/// True if standard error leads to the journal. systemd names its device and inode.
fn is_journal() -> bool {
    let Some(stream) = std::env::var_os("JOURNAL_STREAM") else { return false };
    let Ok(facts) = nix::sys::stat::fstat(io::stderr().as_fd()) else { return false };
    stream.to_str() == Some(&format!("{}:{}", facts.st_dev, facts.st_ino))
}

/// One event a line, as a JSON object: `time`, `level`, `message`, and the fields of the event.
struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        writer.write_str("{\"time\":\"")?;
        SystemTime.format_time(&mut writer)?;
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        write!(writer, "\",\"level\":\"{level}\",\"message\":{}", Value::String(fields.message))?;
        for (name, value) in fields.others {
            write!(writer, ",{}:{value}", Value::String(name))?;
        }
        writer.write_str("}\n")
    }
}

/// One line of the journal for each line of an event, behind its priority. The journal knows the time.
struct JournalLines;

impl<S, N> FormatEvent<S, N> for JournalLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut text = String::new();
        context.field_format().format_fields(Writer::new(&mut text), event)?;
        let priority = priority(*event.metadata().level());
        text.lines().try_for_each(|line| writeln!(writer, "<{priority}>{line}"))
    }
}

/// The priority of syslog.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// The fields of an event.
#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            ("message", value) => self.message = value.to_string(),
            // The names of the line's own parts.
            (name @ ("time" | "level"), value) => _ = self.others.insert(format!("field_{name}"), value),
            (name, value) => _ = self.others.insert(name.to_owned(), value),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("one thread").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The log of `events` in a format.
    fn log<E>(format: E, events: impl FnOnce()) -> String
    where
        E: FormatEvent<tracing_subscriber::Registry, tracing_subscriber::fmt::format::DefaultFields>
            + Send
            + Sync
            + 'static,
    {
        let memory = Memory::default();
        let writer = memory.clone();
        let log = tracing_subscriber::fmt().with_ansi(false).event_format(format);
        let log = log.with_max_level(Level::TRACE).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(log, events);
        let bytes = memory.0.lock().expect("one thread").clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn an_event_is_one_json_object_whatever_it_contains() {
        let text = log(JsonLines, || {
            tracing::warn!(
                slots = 4,
                name = "a\"b",
                time = "x",
                is_new = true,
                "two\nlines of {}",
                "\u{1b}[1m"
            );
        });
        assert_eq!((text.lines().count(), text.ends_with("}\n")), (1, true), "{text}");
        let value: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((&value["level"], &value["slots"]), (&"warn".into(), &4.into()));
        assert_eq!((&value["name"], &value["field_time"]), (&"a\"b".into(), &"x".into()));
        assert_eq!((&value["message"], &value["is_new"]), (&"two\nlines of \u{1b}[1m".into(), &true.into()));
        let time = value["time"].as_str().expect("a time");
        assert!(time.ends_with('Z') && time.contains('T'), "{time}");
    }

    #[test]
    fn lines_for_the_journal_have_a_priority_each_and_no_time() {
        let text = log(JournalLines, || {
            tracing::error!("bad");
            tracing::warn!(slots = 4, "odd");
            tracing::info!("one\ntwo");
            tracing::debug!("much");
        });
        assert_eq!(text, "<3>bad\n<4>odd slots=4\n<6>one\n<6>two\n<7>much\n");
    }
}
