//! Log records of a task: they reach the client as OUTPUT with the descriptor [`LOG_FD`].

use bytes::{BufMut, Bytes};
use serde::{Deserialize, Serialize};

use super::body::{plain_body, put_attempt, take_attempt};
use crate::id::AttemptId;

/// The descriptor in OUTPUT that stands for log records. Each such frame holds the JSON of one [`LogRecord`].
pub const LOG_FD: u8 = 3;

/// A log record of a task, as its runner sends it. The worker does not read the JSON.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Log {
    /// The attempt that logged it.
    pub from: AttemptId,
    /// JSON of a [`LogRecord`].
    pub record: Bytes,
}

/// Log record of a task. Every field is optional.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LogRecord {
    /// Severity in the numbers of Python's `logging`: 10 debug, 20 info, 30 warning, 40 error, 50 critical.
    pub level: u32,
    /// Name of the logger; may be empty.
    pub logger: String,
    /// The message.
    pub message: String,
    /// Source file that logged it; may be empty.
    pub file: String,
    /// Line in `file`; 0 if unknown.
    pub line: u32,
    /// Seconds since 1970.
    pub time: f64,
    /// Function that logged it; may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub function: String,
    /// Traceback of the exception that came with it; may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub traceback: String,
}

impl LogRecord {
    /// Name of the severity, as programs print it.
    #[must_use]
    pub fn level_name(&self) -> &'static str {
        match self.level {
            0..20 => "DEBUG",
            20..30 => "INFO",
            30..40 => "WARNING",
            40..50 => "ERROR",
            50.. => "CRITICAL",
        }
    }

    /// The record as a line for a terminal: `WARNING name: message`.
    #[must_use]
    pub fn to_line(&self) -> String {
        let Self { logger, message, .. } = self;
        let separator = if logger.is_empty() { "" } else { " " };
        format!("{}{separator}{logger}: {message}\n", self.level_name())
    }

    /// The body of [`Log`].
    #[must_use]
    pub fn to_json(&self) -> Bytes {
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    /// Reads a record; `None` if the bytes are not one.
    #[must_use]
    pub fn from_json(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }
}

plain_body!(
    Log,
    |log, out| {
        put_attempt(log.from, out);
        out.put_slice(&log.record);
    },
    |mut body| Ok(Self { from: take_attempt(&mut body)?, record: body })
);
