//! Reads the command of a task (`spec/runner.md`, section 7): words, environment, folder, input.
//!
//! Short text is in the task's meta. Text that is longer than meta may be, or not UTF-8, is packed at the beginning of the
//! payload. Packed texts each end in a zero byte: the words first, then `NAME=VALUE` of each variable.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use argon_proto::{Payload, Task};

use crate::command::files::name::is_inside;
use crate::command::meta::{CommandMeta, FilesMeta, PackedWords};

/// A command to start.
#[derive(Debug)]
pub(crate) struct CommandLine {
    /// The command and its arguments; not empty.
    pub(crate) words: Vec<OsString>,
    /// Working folder.
    pub(crate) folder: Option<PathBuf>,
    /// Folder of the caller, which is the working folder if it is here and there is no other.
    pub(crate) present: Option<PathBuf>,
    /// Variables on top of what the worker gives.
    pub(crate) variables: BTreeMap<OsString, OsString>,
    /// Mode bits that files do not get; the worker's own if not given.
    pub(crate) umask: Option<u32>,
    /// Files that travel with it.
    pub(crate) files: Option<FilesMeta>,
    /// Number that is added to the nice value.
    pub(crate) nice: u8,
    /// Its input goes on with what the client is asked for.
    pub(crate) asks: bool,
    /// Its input.
    pub(crate) input: Payload,
}

impl CommandLine {
    /// Reads the command of a task.
    ///
    /// # Errors
    /// With what is wrong with the task.
    pub(crate) fn of(task: &Task) -> Result<Self, String> {
        let unclear = |why: String| format!("the task's meta does not name a command: {why}");
        let meta: CommandMeta =
            serde_json::from_slice(task.meta()).map_err(|error| unclear(error.to_string()))?;
        let mut variables: BTreeMap<OsString, OsString> =
            meta.env.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let (words, input) = match (meta.argv, meta.packed) {
            (Some(argv), None) => (argv.into_iter().map(OsString::from).collect(), task.payload.clone()),
            (None, Some(packed)) => {
                let (words, more, input) = unpack(&task.payload, &packed).map_err(unclear)?;
                variables.extend(more);
                (words, input)
            }
            (Some(_), Some(_)) => return Err(unclear("it has argv and packed".to_owned())),
            (None, None) => return Err(unclear("missing field `argv`".to_owned())),
        };
        if words.is_empty() {
            return Err("the task names no command: its argv is empty".to_owned());
        }
        let asks = meta.stdin.as_deref() == Some("ask");
        if let Some(path) =
            meta.files.iter().flat_map(|files| &files.returned).find(|path| is_inside(path).is_err())
        {
            return Err(format!("the task returns {path}, which is not in its scratch folder"));
        }
        Ok(Self {
            words,
            folder: meta.cwd.map(PathBuf::from),
            present: meta.folder.map(PathBuf::from).filter(|folder| folder.is_absolute()),
            variables,
            umask: meta.umask,
            files: meta.files,
            nice: meta.nice.unwrap_or(0).min(19),
            asks,
            input,
        })
    }

    /// With base files before its own.
    pub(crate) fn with_base(self, base: Option<Payload>) -> Self {
        let Some(base) = base.filter(|_| self.files.is_some()) else { return self };
        let parts = base.parts().iter().chain(self.input.parts()).cloned().collect();
        Self { input: Payload::from_parts(parts), ..self }
    }
}

type Unpacked = (Vec<OsString>, Vec<(OsString, OsString)>, Payload);

fn unpack(payload: &Payload, packed: &PackedWords) -> Result<Unpacked, String> {
    let (head, input) =
        split(payload, packed.bytes).ok_or("the payload is shorter than what is packed in it")?;
    let head = head.strip_suffix(&[0]).ok_or("what is packed does not end in a zero byte")?;
    let mut texts = head.split(|byte| *byte == 0);
    let words: Vec<OsString> =
        texts.by_ref().take(packed.argv).map(|text| OsString::from_vec(text.to_vec())).collect();
    if words.len() < packed.argv {
        return Err("fewer words are packed than it says".to_owned());
    }
    let variables = texts.map(|text| {
        let sign = text.iter().position(|byte| *byte == b'=').filter(|sign| *sign > 0);
        let sign = sign.ok_or("a packed variable has no name")?;
        Ok((OsStr::from_bytes(&text[..sign]).to_owned(), OsStr::from_bytes(&text[sign + 1..]).to_owned()))
    });
    Ok((words, variables.collect::<Result<_, String>>()?, input))
}

/// The first bytes of a payload, and the rest of it.
fn split(payload: &Payload, bytes: usize) -> Option<(Vec<u8>, Payload)> {
    if payload.len() < bytes as u64 {
        return None;
    }
    let mut head = Vec::with_capacity(bytes);
    let mut rest = Vec::new();
    for part in payload.parts() {
        let here = part.len().min(bytes - head.len());
        head.extend_from_slice(&part[..here]);
        rest.push(part.slice(here..));
    }
    Some((head, Payload::from_parts(rest)))
}

#[cfg(test)]
mod tests {
    use argon_proto::{Runtime, SessionId, TaskHead, TaskId};
    use bytes::Bytes;

    use super::*;

    fn read(meta: &str, parts: &[&'static [u8]]) -> Result<CommandLine, String> {
        let id = TaskId { session: SessionId([1; 16]), sequence: 1 };
        let payload = Payload::from_parts(parts.iter().map(|part| Bytes::from_static(part)).collect());
        CommandLine::of(&Task::new(
            TaskHead::new(id, Runtime::Exec),
            [],
            Bytes::from(meta.to_owned()),
            payload,
        ))
    }

    #[test]
    fn packed_words_and_variables_are_those_of_meta_and_what_follows_is_input() {
        let packed = read(
            r#"{"packed":{"bytes":13,"argv":3},"umask":63}"#,
            &[b"a\0", b"\0b", b"\xff\0X=1\0=2\0in", b"put"],
        );
        assert!(packed.expect_err("a variable without a name").contains("has no name"));
        let packed = read(
            r#"{"packed":{"bytes":11,"argv":3},"umask":63}"#,
            &[b"a\0", b"\0b", b"\xff\0X=1=", b"\0in", b"put"],
        );
        let packed = packed.expect("it can be read");
        let words: Vec<&[u8]> = packed.words.iter().map(|word| word.as_bytes()).collect();
        assert_eq!(words, [&b"a"[..], b"", b"b\xff"]);
        assert_eq!(packed.variables, [("X".into(), "1=".into())].into());
        assert_eq!((packed.umask, &packed.input.to_contiguous()[..]), (Some(63), &b"input"[..]));
    }

    #[test]
    fn what_is_packed_wrongly_is_told() {
        for (meta, payload, why) in [
            (r#"{"packed":{"bytes":3,"argv":1}}"#, &b"a\0"[..], "shorter"),
            (r#"{"packed":{"bytes":2,"argv":1}}"#, b"ab", "zero byte"),
            (r#"{"packed":{"bytes":2,"argv":2}}"#, b"a\0", "fewer words"),
            (r#"{"packed":{"bytes":4,"argv":1}}"#, b"a\0b\0", "no name"),
            (r#"{"packed":{"bytes":2,"argv":1},"argv":["a"]}"#, b"a\0", "argv and packed"),
            (r#"{"packed":{"bytes":2,"argv":0}}"#, b"\0\0", "no name"),
            (r#"{"cwd":"/"}"#, b"", "missing field `argv`"),
            (r#"{"argv":[]}"#, b"", "names no command"),
        ] {
            let error = read(meta, &[payload]).expect_err(meta);
            assert!(error.contains(why), "{meta}: {error}");
        }
    }
}
