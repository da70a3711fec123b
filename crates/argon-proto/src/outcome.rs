//! Outcomes: the end of an attempt, and with it of a task.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::error::DecodeError;
use crate::id::{Attempt, TaskId};
use crate::limit;
use crate::payload::{self, Payload, WholePayload};
use crate::task::Codec;

/// The seven ways in which a task can end.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Status {
    /// Returned; the payload is the returned value.
    Ok,
    /// Threw; the payload is the thrown value.
    Error,
    /// Its runner ended during the task.
    Died,
    /// Was killed at its time limit.
    Timeout,
    /// Was cancelled.
    Cancelled,
    /// May or may not have run, or has lost too many workers.
    Lost,
    /// Was not accepted, and may be offered again.
    Rejected,
}

/// Bit of the head's flags: [`OutcomeHead::leaves`].
const LEAVES: u16 = 1;

/// The fixed part of an outcome.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutcomeHead {
    /// The task.
    pub id: TaskId,
    /// The attempt that ended so; 0 when none was started.
    pub attempt: Attempt,
    /// Status of the end.
    pub status: Status,
    /// Encoding of the payload.
    pub codec: Codec,
    /// Time in the runner, microseconds.
    pub run_us: u64,
    /// The runner exits after this outcome. Only a runner sets it, and the worker clears it.
    pub leaves: bool,
}

/// A whole outcome: head, report and payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The fixed part.
    pub head: OutcomeHead,
    /// A JSON [`Report`]; empty for `ok`.
    pub report: Bytes,
    /// Value that was returned or thrown.
    pub payload: Payload,
}

/// Facts for people about an outcome that is not `ok`. Unknown facts are left out.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// One or two sentences: what happened, and what to do.
    pub message: String,
    /// Reason of a `rejected` outcome, for programs: `queue_full` or `store_full`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The worker's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// The worker's host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The runner's process id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Number of the attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// Number of attempts that the task may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// The signal that ended the runner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// The status with which the runner ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// The last output of the attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Stack trace in the form of the task's language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    /// Peak memory of the runner, KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_kib: Option<u64>,
    /// Processor time of the attempt, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// Source of `peak_kib`: `cgroup` for all processes of the runner together, `process` for its own process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_by: Option<String>,
    /// Source of `cpu_ms`, with the same values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_by: Option<String>,
    /// Memory limit of the runner, KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_kib: Option<u64>,
    /// Run time of the attempt, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_ms: Option<u64>,
    /// Ends of earlier attempts, one line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub story: Vec<String>,
}

impl Status {
    /// Every status, in the order of its byte on the wire.
    pub const ALL: [Self; 7] =
        [Self::Ok, Self::Error, Self::Died, Self::Timeout, Self::Cancelled, Self::Lost, Self::Rejected];

    /// The name that people and reports use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Died => "died",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
            Self::Rejected => "rejected",
        }
    }

    pub(crate) fn to_byte(self) -> u8 {
        self as u8
    }

    fn from_byte(byte: u8) -> Result<Self, DecodeError> {
        Self::ALL.get(usize::from(byte)).copied().ok_or(DecodeError::Field("status", u64::from(byte)))
    }
}

impl Outcome {
    /// Bytes of the fixed head on the wire.
    pub const HEAD_BYTES: usize = 56;

    /// An outcome without payload that is explained by a report.
    #[must_use]
    pub fn reported(id: TaskId, attempt: Attempt, status: Status, run_us: u64, report: &Report) -> Self {
        Self {
            head: OutcomeHead { id, attempt, status, codec: Codec::Own, run_us, leaves: false },
            report: report.to_json(),
            payload: Payload::default(),
        }
    }

    /// Bytes that the outcome occupies in addition to its head.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.payload.len() + self.report.len() as u64
    }

    /// Bytes of it in memory, in addition to its head.
    #[must_use]
    pub fn resident(&self) -> u64 {
        self.payload.resident() + self.report.len() as u64
    }

    /// Copies what is small, for an outcome that is kept: it shares the memory of a whole read until then.
    pub fn compact(&mut self) {
        payload::compact(&mut self.report);
        self.payload.compact();
    }

    pub(crate) fn encode_head(&self, stream: u32, out: &mut BytesMut) {
        let head = &self.head;
        let mut bytes = [0; Self::HEAD_BYTES];
        let mut fixed = bytes.as_mut_slice();
        fixed.put_slice(&head.id.to_bytes());
        fixed.put_u32(head.attempt.0);
        fixed.put_u8(head.status.to_byte());
        fixed.put_u8(head.codec.to_byte());
        fixed.put_u16(if head.leaves { LEAVES } else { 0 });
        fixed.put_u64(head.run_us);
        fixed.put_u32(self.report.len() as u32);
        fixed.put_u32(stream);
        fixed.put_u64(self.payload.len());
        out.put_slice(&bytes);
        out.put_slice(&self.report);
    }

    pub(crate) fn decode(mut body: Bytes, whole: &mut WholePayload) -> Result<Self, DecodeError> {
        let Some(mut fixed) = body.get(..Self::HEAD_BYTES) else {
            return Err(DecodeError::Short("outcome head"));
        };
        let mut id = [0; TaskId::BYTES];
        fixed.copy_to_slice(&mut id);
        let attempt = Attempt(fixed.get_u32());
        let status = Status::from_byte(fixed.get_u8())?;
        let codec = Codec::from_byte(fixed.get_u8())?;
        let leaves = fixed.get_u16() & LEAVES != 0;
        let run_us = fixed.get_u64();
        let report_length = fixed.get_u32() as usize;
        *whole = WholePayload { stream: fixed.get_u32(), length: fixed.get_u64() };
        body.advance(Self::HEAD_BYTES);
        if report_length > limit::META_BYTES {
            return Err(DecodeError::Field("meta_length", report_length as u64));
        }
        if body.len() < report_length {
            return Err(DecodeError::Short("outcome report"));
        }
        let report = body.split_to(report_length);
        Ok(Self {
            head: OutcomeHead { id: TaskId::from_bytes(id), attempt, status, codec, run_us, leaves },
            report,
            payload: body.into(),
        })
    }
}

impl Report {
    /// A report with a message only.
    #[must_use]
    pub fn of(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    /// The report of a task that was not accepted: the reason for programs, and a sentence.
    #[must_use]
    pub fn rejected(code: &str, message: impl Into<String>) -> Self {
        Self { code: Some(code.to_owned()), ..Self::of(message) }
    }

    /// The report as JSON within the wire's limit: long output and long stories lose their beginning, stacks their end.
    #[must_use]
    pub fn to_json(&self) -> Bytes {
        let json = serde_json::to_vec(self).unwrap_or_default();
        if json.len() <= limit::META_BYTES {
            return json.into();
        }
        let mut shorter = self.clone();
        shorter.story.drain(..self.story.len() / 2);
        if let Some(output) = &mut shorter.output {
            let cut = output.len() / 2;
            let cut = (cut..=output.len()).find(|at| output.is_char_boundary(*at));
            output.drain(..cut.unwrap_or(0));
        }
        if let Some(stack) = &mut shorter.stack {
            let cut = (0..=stack.len() / 2).rev().find(|at| stack.is_char_boundary(*at));
            stack.truncate(cut.unwrap_or(0));
        }
        let is_short = |text: &Option<String>| text.as_ref().is_none_or(|text| text.len() < 2);
        if self.story.len() < 2 && is_short(&self.output) && is_short(&self.stack) {
            shorter.message = self.message.chars().take(1000).collect();
            (shorter.output, shorter.stack) = (None, None);
            shorter.story.clear();
        }
        shorter.to_json()
    }

    /// Reads a report; an empty one for bytes that are none.
    #[must_use]
    pub fn from_json(json: &[u8]) -> Self {
        serde_json::from_slice(json).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_never_exceeds_the_wire() {
        let report = Report {
            message: "m".repeat(10_000),
            output: Some("é\u{1}".repeat(100_000)),
            stack: Some("é\u{1}".repeat(100_000)),
            story: vec!["attempt".repeat(5_000); 30],
            ..Report::default()
        };
        let json = report.to_json();
        assert!(json.len() <= limit::META_BYTES);
        assert!(!Report::from_json(&json).message.is_empty());
    }
}
