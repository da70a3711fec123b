//! The folder in which every task starts: that of its caller if it is here, else the one in which this runner started.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

/// An open folder, to which going back takes one cheap call, wherever a task has gone and whatever was renamed meanwhile.
#[derive(Debug)]
pub(super) struct Folder {
    own: Option<File>,
    /// That of the caller.
    callers: Option<File>,
    /// Its name, whether it is here or not.
    name: Option<String>,
}

impl Folder {
    pub(super) fn present() -> Self {
        let path_only = libc::O_PATH | libc::O_DIRECTORY;
        let own = OpenOptions::new().read(true).custom_flags(path_only).open(".").ok();
        Self { own, callers: None, name: None }
    }

    /// Goes to the folder of the caller for this task and those after it, or to the own one where that is not here.
    pub(super) fn start_in(&mut self, name: Option<&str>) {
        if self.name.as_deref() == name {
            return;
        }
        self.name = name.map(str::to_owned);
        // To be read, for a sandbox lets a process enter what it hides.
        let mut options = OpenOptions::new();
        let open = |name| options.read(true).custom_flags(libc::O_DIRECTORY).open(name).ok();
        self.callers = name.filter(|name| name.starts_with('/')).and_then(open).filter(enter);
        self.enter();
    }

    /// Goes back.
    pub(super) fn enter(&self) {
        self.callers.as_ref().or(self.own.as_ref()).map(enter);
    }
}

/// False for a folder that cannot be entered, which leaves the process where it is.
fn enter(folder: &File) -> bool {
    // SAFETY: the descriptor is open.
    unsafe { libc::fchdir(folder.as_raw_fd()) == 0 }
}

/// A sentence about a missing file, with the folder in which it was looked for. One with an absolute path says that itself.
pub(super) fn with_folder(sentence: String) -> String {
    let worker = std::env::var("ARGON_WORKER").ok();
    let folder = std::env::current_dir().ok();
    match (worker, folder) {
        (Some(worker), Some(folder)) => placed(sentence, &folder.display().to_string(), &worker),
        _ => sentence,
    }
}

fn placed(sentence: String, folder: &str, worker: &str) -> String {
    // As an io::Error is displayed, and as it is debugged, which is what `unwrap` prints.
    let is_missing =
        ["(os error 2)", "Os { code: 2, kind: NotFound"].iter().any(|mark| sentence.contains(mark));
    let begins = |(at, letter): (usize, char)| {
        letter == '/'
            && (at == 0 || sentence[..at].ends_with([' ', '\'', '"', '`', '(', '=', ':', '<', '\n', '\t']))
    };
    if !is_missing || sentence.char_indices().any(begins) {
        return sentence;
    }
    format!("{sentence}, in the folder {folder} of worker {worker}")
}

#[cfg(test)]
mod tests {
    use super::placed;

    #[test]
    fn a_missing_file_is_placed_unless_its_path_is_absolute() {
        let place = |text: &str| placed(text.to_owned(), "/home/ann", "box:8001");
        let missing = std::fs::read("no/such/file").expect_err("no file");
        assert_eq!(
            place(&missing.to_string()),
            "No such file or directory (os error 2), in the folder /home/ann of worker box:8001"
        );
        assert!(
            place(&format!("called `Result::unwrap()` on an `Err` value: {missing:?}"))
                .ends_with("worker box:8001")
        );
        for text in [
            "/etc/none: No such file or directory (os error 2)",
            "cannot read '/x' (os error 2)",
            "too big",
            "",
        ] {
            assert_eq!(place(text), text);
        }
        assert!(place("data/x.csv: not there (os error 2)").ends_with("worker box:8001"), "a relative path");
    }
}
