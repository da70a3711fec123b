//! Joblogs on disk: written, taken up, refused.

use tempfile::TempDir;

use super::*;

/// Path of a joblog in a folder that goes with the test.
struct Place(PathBuf, #[allow(dead_code, reason = "its end removes the folder")] TempDir);

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self(folder.path().join("joblog"), folder)
    }
}

fn entry(sequence: u64, exit: i32, command: &str) -> JoblogEntry<'_> {
    JoblogEntry {
        sequence,
        host: "box:8001",
        started: 1_700_000_000.5,
        run_time: 0.25,
        received: 3,
        exit,
        signal: 0,
        command,
    }
}

#[test]
fn lines_have_the_columns_of_gnu_parallel() {
    let place = Place::new();
    Joblog::take(&place.0)
        .and_then(Joblog::begin)
        .expect("made")
        .add(&entry(1, 7, "echo 'a b'"))
        .expect("written");
    let text = std::fs::read_to_string(&place.0).expect("read");
    assert_eq!(text, format!("{HEADING}\n1\tbox:8001\t1700000000.500\t     0.250\t0\t3\t7\t0\techo 'a b'\n"));
}

#[test]
fn a_run_goes_on_where_it_stopped_and_the_last_line_of_a_number_counts() {
    let place = Place::new();
    let mut log = Joblog::take(&place.0).and_then(Joblog::begin).expect("made");
    log.add(&entry(1, 0, "a")).expect("written");
    log.add(&entry(2, 1, "b")).expect("written");
    log.add(&entry(4, 1, "d")).expect("written");
    log.add(&entry(4, 0, "d")).expect("written");
    log.add(&entry(5, 1, "echo 'a\nb\tc'")).expect("written");
    assert_eq!(std::fs::read_to_string(&place.0).expect("read").lines().count(), 6);
    let past = Past::read(&place.0).expect("read");
    let done = |sequence, command, retry| past.is_done(sequence, command, retry).expect("the same run");
    assert!(done(1, "a", true) && done(2, "b", false) && done(4, "d", true));
    assert!(!done(2, "b", true) && !done(3, "c", false));
    assert!(done(5, "echo 'a\nb\tc'", false));
    let failures = [(2, "b".to_owned()), (5, "echo 'a\nb\tc'".to_owned())];
    assert_eq!(failed(&place.0).expect("read"), failures);
}

#[test]
fn the_log_of_another_run_is_refused() {
    let place = Place::new();
    Joblog::take(&place.0)
        .and_then(Joblog::begin)
        .expect("made")
        .add(&entry(1, 0, "gzip a"))
        .expect("written");
    let past = Past::read(&place.0).expect("read");
    let error = past.is_done(1, "gzip b", false).expect_err("another command");
    let text = error.to_string();
    assert!(text.contains("is of another run: there, input 1 is not 'gzip b'"), "{text}");
}

#[test]
fn what_is_no_joblog_is_refused_and_left_alone() {
    let place = Place::new();
    for text in ["hello\n", "hello", &format!("{HEADING}\n1\t2\n"), &format!("{HEADING}\nx\n")] {
        std::fs::write(&place.0, text).expect("written");
        let error = Past::read(&place.0).expect_err("no joblog").to_string();
        assert!(error.contains("is not a joblog"), "{error}");
        assert_eq!(std::fs::read_to_string(&place.0).expect("read"), text);
    }
}

#[test]
fn one_run_has_the_log_and_another_is_told_which() {
    let place = Place::new();
    let mut first = Joblog::take(&place.0).and_then(Joblog::begin).expect("made");
    first.add(&entry(1, 0, "a")).expect("written");
    let text = Joblog::take(&place.0).expect_err("it is taken").to_string();
    assert!(text.contains("is in use by another argon map"), "{text}");
    assert!(text.contains(&format!("(process {})", std::process::id())), "{text}");
    drop(first);
    Joblog::take(&place.0).and_then(Joblog::go_on).expect("free").add(&entry(2, 0, "b")).expect("written");
    assert_eq!(std::fs::read_to_string(&place.0).expect("read").lines().count(), 3);
    Joblog::take(Path::new("/dev/null")).and_then(Joblog::begin).expect("a device has no lock");
}

#[test]
fn half_a_line_at_the_end_is_forgotten() {
    let place = Place::new();
    Joblog::take(&place.0).and_then(Joblog::begin).expect("made").add(&entry(1, 0, "a")).expect("written");
    let whole = std::fs::read_to_string(&place.0).expect("read");
    std::fs::write(&place.0, format!("{whole}2\tbox")).expect("written");
    assert!(!Past::read(&place.0).expect("read").is_done(2, "b", false).expect("the same run"));
    Joblog::take(&place.0).and_then(Joblog::go_on).expect("opened").add(&entry(2, 0, "b")).expect("written");
    let text = std::fs::read_to_string(&place.0).expect("read");
    assert!(text.starts_with(&whole) && text.lines().count() == 3, "{text}");
}

#[test]
fn a_log_that_does_not_exist_yet_is_an_empty_past_but_has_no_failures_to_retry() {
    let place = Place::new();
    assert!(!Past::read(&place.0).expect("nothing").is_done(1, "a", false).expect("nothing"));
    assert!(failed(&place.0).expect_err("nothing to retry").to_string().contains("cannot be used"));
    Joblog::take(&place.0).and_then(Joblog::go_on).expect("made");
    assert!(std::fs::read_to_string(&place.0).expect("read").starts_with("Seq\t"));
}
