//! Folder, environment and limits of a command. Made once, used for each command.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use argon::{Blob, Codec, Payload, Request, Runtime, TaskOptions};

use super::meta::{CommandMeta, FilesMeta, PackedWords};

/// Settings that all commands of a run share.
#[derive(Debug, Clone, Default)]
pub struct Invocation {
    /// The folder that they start in.
    pub folder: Option<String>,
    /// The folder of the caller, in which they start without `folder` if the worker has it.
    pub present: Option<String>,
    /// Variables that they see in addition to those of the worker.
    pub variables: BTreeMap<OsString, OsString>,
    /// Variables that hold functions of bash, by the name of the function.
    pub functions: Vec<String>,
    /// Mode bits that files which they make do not get.
    pub umask: Option<u32>,
    /// Number that is added to their nice value.
    pub nice: u8,
    /// They start in a scratch folder, with files at the beginning of their input.
    pub scratch: bool,
    /// Archive of the files that all of them get.
    pub base: Option<Blob>,
    /// Priority, limits, retries.
    pub options: TaskOptions,
}

/// Input of a command.
#[derive(Debug, Clone, Default)]
pub enum Input {
    /// Nothing.
    #[default]
    Empty,
    /// These bytes.
    Whole(Payload),
    /// Read from its client as the command asks for it.
    Asked,
    /// These bytes, and then what its client is asked for.
    Begun(Payload),
}

/// Bytes of words and variables that travel in meta at most: JSON may write six for one, and meta has 64 KiB.
const IN_META_BYTES: usize = 8 << 10;
/// Bytes of words and variables at most: no kernel takes more.
const IN_ALL_BYTES: usize = 6 << 20;
/// Letters of a packed command that people are shown.
const LABEL_LETTERS: usize = 200;

/// A command that cannot become a task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the words and variables of the command have {0} bytes, and no Linux kernel takes more than 6 MiB (ARG_MAX); \
     give it long texts through its standard input or a file"
)]
pub struct TooLong(usize);

impl Invocation {
    /// The task that runs these words.
    ///
    /// # Errors
    /// If they are longer than any kernel takes.
    pub fn request<W: AsRef<OsStr>>(&self, words: &[W], input: Input) -> Result<Request, TooLong> {
        self.request_with(words, input, Vec::new())
    }

    /// The task that runs these words, and returns files.
    ///
    /// # Errors
    /// If they are longer than any kernel takes.
    pub fn request_with<W: AsRef<OsStr>>(
        &self,
        words: &[W],
        input: Input,
        returned: Vec<String>,
    ) -> Result<Request, TooLong> {
        let mut words: Vec<&OsStr> = words.iter().map(AsRef::as_ref).collect();
        let call = words.first().and_then(|name| self.call_of(name));
        if let Some(call) = &call {
            words.splice(..1, ["bash", "-c", call, "bash"].map(OsStr::new));
        }
        let bytes = words.iter().map(|word| word.len() + 1).sum::<usize>()
            + self.variables.iter().map(|(name, value)| name.len() + value.len() + 2).sum::<usize>();
        if bytes > IN_ALL_BYTES {
            return Err(TooLong(bytes));
        }
        let (stdin, payload) = match input {
            Input::Empty => (None, Payload::default()),
            Input::Whole(payload) => (None, payload),
            Input::Asked => (Some("ask"), Payload::default()),
            Input::Begun(payload) => (Some("ask"), payload),
        };
        let argv: Option<Vec<String>> = words.iter().map(|word| Some(word.to_str()?.to_owned())).collect();
        let env: Option<BTreeMap<String, String>> = self
            .variables
            .iter()
            .map(|(name, value)| Some((name.to_str()?.to_owned(), value.to_str()?.to_owned())))
            .collect();
        let meta = CommandMeta {
            cwd: self.folder.clone(),
            folder: self.present.clone(),
            umask: self.umask,
            files: self.scratch.then_some(FilesMeta { returned }),
            nice: (self.nice > 0).then_some(self.nice),
            stdin: stdin.map(str::to_owned),
            ..CommandMeta::default()
        };
        let (meta, payload) = match (argv, env) {
            (Some(argv), Some(env)) if bytes <= IN_META_BYTES => {
                (CommandMeta { argv: Some(argv), env, ..meta }, payload)
            }
            _ => {
                let head = self.pack(&words, bytes);
                let packed = PackedWords { bytes: head.len(), argv: words.len() };
                let parts = std::iter::once(head.into()).chain(payload.parts().iter().cloned()).collect();
                let label = Some(label(&words));
                (CommandMeta { packed: Some(packed), label, ..meta }, Payload::from_parts(parts))
            }
        };
        // Text and maps of text always become JSON.
        let meta = serde_json::to_vec(&meta).unwrap_or_default();
        Ok(Request {
            runtime: Runtime::Exec,
            codec: Codec::Own,
            blobs: self.base.iter().cloned().collect(),
            meta: meta.into(),
            payload,
            options: self.options.clone(),
        })
    }

    /// The script that calls a function of bash, if that is what the first word names.
    fn call_of(&self, name: &OsStr) -> Option<String> {
        let name = self.functions.iter().find(|function| OsStr::new(function) == name)?;
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || "_-.:+".contains(letter);
        name.chars().all(is_name).then(|| format!("{name} \"$@\""))
    }

    /// Words and variables as texts that end in a zero byte. None of them has one: they came from a command line.
    fn pack(&self, words: &[&OsStr], bytes: usize) -> Vec<u8> {
        let mut head = Vec::with_capacity(bytes);
        for word in words {
            head.extend_from_slice(word.as_bytes());
            head.push(0);
        }
        for (name, value) in &self.variables {
            head.extend_from_slice(name.as_bytes());
            head.push(b'=');
            head.extend_from_slice(value.as_bytes());
            head.push(0);
        }
        head
    }
}

fn label(words: &[&OsStr]) -> String {
    let mut label = String::new();
    for word in words {
        if !label.is_empty() {
            label.push(' ');
        }
        label.extend(word.to_string_lossy().chars().take(LABEL_LETTERS));
        if label.len() >= LABEL_LETTERS {
            break;
        }
    }
    label.chars().take(LABEL_LETTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meta_holds_what_was_said_and_nothing_else() {
        let argv = ["echo".to_owned(), "a b".to_owned()];
        let plain = Invocation::default().request(&argv, Input::Empty).expect("short");
        assert_eq!(plain.meta, r#"{"argv":["echo","a b"]}"#);
        let invocation = Invocation {
            folder: Some("/tmp".into()),
            variables: [("A".into(), "1".into())].into(),
            umask: Some(0o77),
            ..Invocation::default()
        };
        let asked = invocation.request(&argv, Input::Asked).expect("short");
        assert_eq!(
            asked.meta,
            r#"{"argv":["echo","a b"],"cwd":"/tmp","env":{"A":"1"},"umask":63,"stdin":"ask"}"#
        );
    }

    #[test]
    fn what_is_long_or_no_text_is_packed_and_what_no_kernel_takes_is_refused() {
        let invocation = Invocation { variables: [("A".into(), "1".into())].into(), ..Invocation::default() };
        let bytes = [OsStr::new("echo"), OsStr::from_bytes(b"\xff")];
        let packed = invocation.request(&bytes, Input::Whole(Payload::from(b"in".to_vec()))).expect("packed");
        assert_eq!(packed.meta, "{\"packed\":{\"bytes\":11,\"argv\":2},\"label\":\"echo \u{fffd}\"}");
        assert_eq!(packed.payload.to_contiguous(), &b"echo\0\xff\0A=1\0in"[..]);
        let long = ["echo".to_owned(), "\u{7}".repeat(100_000)];
        let packed = invocation.request(&long, Input::Empty).expect("packed");
        assert!(packed.meta.len() < 4096 && packed.payload.len() == 100_010);
        let error = invocation.request(&["x".repeat(7 << 20)], Input::Empty).expect_err("too long");
        assert!(error.to_string().contains("ARG_MAX"), "{error}");
    }

    #[test]
    fn a_function_is_called_by_bash() {
        let invocation = Invocation { functions: vec!["f".to_owned()], ..Invocation::default() };
        let call = invocation.request(&["f", "a b"], Input::Empty).expect("short");
        assert_eq!(call.meta, r#"{"argv":["bash","-c","f \"$@\"","bash","a b"]}"#);
    }
}
