//! Python: how the runner's program is put together and started.
//!
//! The program is embedded, so that a worker's machine needs a plain `python3` and no package. `start.py` documents
//! the form of the text. `pythons.rs` finds the interpreters.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use bytes::{BufMut, Bytes, BytesMut};

use super::Launch;

const BOOTSTRAP: &str = include_str!("../../../../../python/src/argon/_runner/bootstrap.txt");
const START: &str = include_str!("../../../../../python/src/argon/_runner/start.py");

macro_rules! embedded {
    ($($path:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../../python/src/argon/", $path)))),+]
    };
}

/// The files of `python/src/argon/_runner/files.txt`, in its order; a test compares them.
const FILES: &[(&str, &str)] = embedded![
    "_code/__init__.py",
    "_code/by_value.py",
    "_code/exceptions.py",
    "_code/explain.py",
    "_code/payloads.py",
    "_code/reducers.py",
    "_exceptions.py",
    "_runner/__init__.py",
    "_runner/channel.py",
    "_runner/code.py",
    "_runner/current.py",
    "_runner/failures.py",
    "_runner/family.py",
    "_runner/leases.py",
    "_runner/leftovers.py",
    "_runner/logs.py",
    "_runner/modules.py",
    "_runner/process.py",
    "_runner/reset.py",
    "_runner/results.py",
    "_runner/tasks.py",
    "_runner/template.py",
    "_wire/__init__.py",
    "_wire/memory.py",
];

/// `u32 length` and the program text.
static PREAMBLE: LazyLock<Bytes> = LazyLock::new(|| {
    let program = program(FILES);
    let mut preamble = BytesMut::with_capacity(4 + program.len());
    preamble.put_u32(program.len() as u32);
    preamble.put_slice(program.as_bytes());
    preamble.freeze()
});

/// Launch of a runner by this interpreter.
pub(super) fn launch(interpreter: &Path) -> Launch {
    Launch {
        program: interpreter.to_owned(),
        arguments: vec!["-c".to_owned(), BOOTSTRAP.trim_end().to_owned()],
        variables: Vec::new(),
        preamble: PREAMBLE.clone(),
    }
}

fn program(files: &[(&str, &str)]) -> String {
    let files: BTreeMap<_, _> = files.iter().copied().collect();
    // A JSON object of strings is a Python dictionary too.
    format!("files = {}\n{START}", serde_json::json!(files))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_list_is_embedded_in_its_order() {
        let list = include_str!("../../../../../python/src/argon/_runner/files.txt");
        let embedded: Vec<&str> = FILES.iter().map(|(path, _)| *path).collect();
        assert_eq!(list.lines().collect::<Vec<_>>(), embedded);
    }

    #[test]
    fn texts_travel_as_one_dictionary_before_the_start() {
        let text = program(&[("a.py", "print('é', \"x\\n\")\n")]);
        assert!(text.starts_with("files = {\"a.py\":\"print('é', \\\"x\\\\n\\\")\\n\"}\n\"\"\""), "{text}");
        assert!(text.ends_with("_start()\n"));
    }
}
