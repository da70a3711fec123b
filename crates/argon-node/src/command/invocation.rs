//! What a command is started with beside its words: folder, environment, limits. Made once, used for each command.

use std::collections::BTreeMap;

use argon::{Blobs, Codec, Payload, Request, Runtime, TaskOptions};
use serde::Serialize;

/// Everything about commands that does not change from one to the next.
#[derive(Debug, Clone, Default)]
pub struct Invocation {
    /// The folder that they start in; the worker's own if there is none.
    pub folder: Option<String>,
    /// Variables that they see beside what the worker gives them.
    pub variables: BTreeMap<String, String>,
    /// Priority, limits, retries.
    pub options: TaskOptions,
}

/// What a command reads.
#[derive(Debug, Clone, Default)]
pub enum Input {
    /// Nothing.
    #[default]
    Empty,
    /// These bytes.
    Whole(Payload),
    /// What it asks its client for.
    Asked,
}

/// The meta data of `spec/runner.md`, section 7.
#[derive(Serialize)]
struct Meta<'a> {
    argv: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    cwd: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    env: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdin: Option<&'static str>,
}

impl Invocation {
    /// The task that runs these words.
    #[must_use]
    pub fn request(&self, argv: &[String], input: Input) -> Request {
        let (stdin, payload) = match input {
            Input::Empty => (None, Payload::default()),
            Input::Whole(payload) => (None, payload),
            Input::Asked => (Some("ask"), Payload::default()),
        };
        let meta = Meta { argv, cwd: self.folder.as_deref(), env: &self.variables, stdin };
        // Text and maps of text always become JSON.
        let meta = serde_json::to_vec(&meta).unwrap_or_default();
        Request {
            runtime: Runtime::Exec,
            codec: Codec::Own,
            blobs: Blobs::default(),
            meta: meta.into(),
            payload,
            options: self.options.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meta_holds_what_was_said_and_nothing_else() {
        let argv = ["echo".to_owned(), "a b".to_owned()];
        let plain = Invocation::default().request(&argv, Input::Empty);
        assert_eq!(plain.meta, r#"{"argv":["echo","a b"]}"#);
        let invocation = Invocation {
            folder: Some("/tmp".into()),
            variables: [("A".to_owned(), "1".to_owned())].into(),
            ..Invocation::default()
        };
        let asked = invocation.request(&argv, Input::Asked);
        assert_eq!(asked.meta, r#"{"argv":["echo","a b"],"cwd":"/tmp","env":{"A":"1"},"stdin":"ask"}"#);
    }
}
