//! Folder of this program. Its tasks name it, and start there where a worker has it (`spec/runner.md`, section 3).

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use bytes::Bytes;

/// Most bytes of a folder's name: meta data has 64 KiB.
const FOLDER_BYTES_MAX: usize = 4096;
/// Functions whose meta data are kept.
const KEPT_MAX: usize = 1024;

/// Meta data of a function of this program, by the address of its text, with the folder.
static KEPT: Mutex<Option<HashMap<usize, Bytes>>> = Mutex::new(None);

/// Meta data with the folder. `meta` is the text of a function, which lives as long as the program.
pub(crate) fn add_to_text(meta: &Bytes) -> Bytes {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = kept.get_or_insert_default();
    if let Some(known) = kept.get(&(meta.as_ptr() as usize)) {
        return known.clone();
    }
    let added = add_to(meta);
    if kept.len() < KEPT_MAX {
        kept.insert(meta.as_ptr() as usize, added.clone());
    }
    added
}

/// Meta data with the folder; as it is where there is none, or no object.
pub(crate) fn add_to(meta: &Bytes) -> Bytes {
    match (member(), meta.strip_prefix(b"{")) {
        (Some(member), Some(rest)) if rest.first().is_some_and(|first| *first == b'"') => {
            [b"{", member.as_bytes(), rest].concat().into()
        }
        _ => meta.clone(),
    }
}

/// `"folder":"…",` with the folder in which this program was when it made its first task.
fn member() -> Option<&'static str> {
    static MEMBER: OnceLock<Option<String>> = OnceLock::new();
    let make = || {
        let folder = std::env::current_dir().ok()?.into_os_string().into_string().ok()?;
        let text = serde_json::to_string(&folder).ok()?;
        (folder.len() <= FOLDER_BYTES_MAX).then(|| format!("\"folder\":{text},"))
    };
    MEMBER.get_or_init(make).as_deref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_comes_first_and_other_meta_data_stay() {
        let here = std::env::current_dir().expect("there").display().to_string();
        let meta = Bytes::from_static(b"{\"call\":\"a::b\"}");
        let expected = format!("{{\"folder\":\"{here}\",\"call\":\"a::b\"}}");
        assert_eq!(add_to(&meta), expected);
        assert_eq!((add_to_text(&meta), add_to_text(&meta)), (expected.clone().into(), expected.into()));
        for other in ["", "{}", "[1]"] {
            assert_eq!(add_to(&Bytes::from(other)), other);
        }
    }
}
