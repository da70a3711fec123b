//! Names of files that travel: where a file is here, and where in the scratch folder of the command.

use std::path::{Component, Path, PathBuf};

use super::PATH_BYTES_MAX;

/// The two names of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarriedName {
    /// Its path here.
    pub local: PathBuf,
    /// Its path in the scratch folder.
    pub remote: String,
}

impl CarriedName {
    /// Reads a path. After `/./`, the rest of it is the path in the scratch folder.
    ///
    /// # Errors
    /// If the path in the scratch folder would lead out of it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let begin = text.rfind("/./").map_or(0, |at| at + 3);
        let mut remote = text[begin..].trim_start_matches('/');
        if begin == 0 {
            remote = text;
        }
        while let Some(rest) = remote.strip_prefix("./") {
            remote = rest.trim_start_matches('/');
        }
        if let Err(why) = is_inside(remote) {
            return Err(format!(
                "the file '{text}' {why}, and has no place in the scratch folder of the command; put /./ before the part of \
                 the path that it has there, as /data/./in/a, or go to the folder above it first"
            ));
        }
        Ok(Self { local: PathBuf::from(text), remote: remote.to_owned() })
    }
}

/// Checks that a path leads to a file below a folder.
///
/// # Errors
/// With what is wrong with it.
pub fn is_inside(path: &str) -> Result<(), &'static str> {
    if path.is_empty() || path.ends_with('/') {
        return Err("has no name");
    }
    if path.len() > PATH_BYTES_MAX || path.contains('\0') {
        return Err("is longer than 4096 bytes, or holds a zero byte");
    }
    for part in Path::new(path).components() {
        match part {
            Component::Normal(_) | Component::CurDir => {}
            Component::ParentDir => return Err("leads up with '..'"),
            Component::RootDir | Component::Prefix(_) => return Err("is absolute"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_folders_and_may_have_others_here() {
        for (text, remote) in
            [("a", "a"), ("./a/b", "a/b"), ("a/../b/./c", "c"), ("/data/./in/a", "in/a"), ("x/././y", "y")]
        {
            let name = CarriedName::parse(text).expect(text);
            assert_eq!((name.local.to_str(), name.remote.as_str()), (Some(text), remote));
        }
    }

    // kind: files that travel | names that lead out of the scratch folder | loud | the client decides all names
    #[test]
    fn a_name_that_leads_out_is_refused() {
        for text in ["/etc/passwd", "../a", "a/../../b", "x/./../y", "", "a/", "a/./", "."] {
            let refused = CarriedName::parse(text);
            assert!(refused.is_err() || text == ".", "{text}: {refused:?}");
        }
        assert!(CarriedName::parse("/a").expect_err("absolute").contains("/./"));
    }
}
