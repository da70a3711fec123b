//! Panics that do not simply unwind to the runner.

use std::error::Error;
use std::panic::{panic_any, resume_unwind};

use argon::{Client, ErrorKind};

#[argon::task]
pub fn from_thread() {
    resume_unwind(std::thread::spawn(|| panic!("in a thread")).join().unwrap_err());
}

#[argon::task]
pub fn plain(word: &str) {
    panic!("a {word} panic");
}

#[argon::task]
pub fn value() {
    panic_any(7_u64);
}

#[argon::task]
pub fn hides(word: &str) {
    std::panic::set_hook(Box::new(|_| {}));
    panic!("a {word} panic");
}

#[argon::task]
pub fn caught() -> u32 {
    std::panic::catch_unwind(|| panic!("a caught panic")).map_or(1, |()| 0)
}

struct Second;

impl Drop for Second {
    fn drop(&mut self) {
        panic!("the second panic");
    }
}

#[argon::task]
pub fn twice() {
    let _second = Second;
    panic!("the first panic");
}

/// The line of a place in this file.
fn line(error: &argon::Error) -> Option<u32> {
    error.place()?.split_once("panics.rs:")?.1.split(':').next()?.parse().ok()
}

pub async fn panics(client: &Client) -> Result<(), Box<dyn Error>> {
    let error = client.queue(from_thread()).await.unwrap_err();
    assert_eq!((error.message(), line(&error)), ("the task panicked: in a thread", Some(10)));

    // Two that meet are the end of the process; both are told, and the next task is not blamed.
    let error = client.queue(twice()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Died);
    let output = error.report().output.clone().unwrap_or_default();
    for words in ["the first panic", "panics.rs:45", "the second panic", "panics.rs:38"] {
        assert!(output.contains(words), "{words} is not in {output}");
    }
    let error = client.queue(value()).await.unwrap_err();
    assert_eq!((error.message(), line(&error)), ("the task panicked: a value that is not text", Some(20)));
    assert_eq!(client.queue(caught()).await?, 1);

    // A hook of the task's own hides the place of its panic, and of later ones there: no other place is told instead.
    let error = client.queue(hides("hidden")).await.unwrap_err();
    assert_eq!((error.message(), error.place()), ("the task panicked: a hidden panic", None));
    let error = client.queue(plain("later")).await.unwrap_err();
    assert_eq!(error.message(), "the task panicked: a later panic");
    assert!([None, Some(15)].contains(&line(&error)), "{error}");
    println!("panics");
    Ok(())
}

/// In a program whose panics end the process.
pub async fn aborts(client: &Client) -> Result<(), Box<dyn Error>> {
    for word in ["red", "blue"] {
        let error = client.queue(plain(word)).await.unwrap_err();
        assert_eq!((error.kind(), error.report().signal), (ErrorKind::Died, Some(6)), "{error}");
        let output = error.report().output.clone().unwrap_or_default();
        for words in [&*format!("a {word} panic"), "panics.rs:15", "panics::plain"] {
            assert!(output.contains(words), "{words} is not in {output}");
        }
        assert_eq!(output.matches(" panic\n").count(), 1, "{output}");
    }
    println!("aborts");
    Ok(())
}
