//! A runner on a thread, with the test as its worker.

mod panics;

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;

use argon_proto::conversation;
use argon_proto::conversation::runner::{FromRunner, ToRunner};
use argon_proto::frame::{Decoder, Outbox};
use argon_proto::{Attempt, Flags, Outcome, Status, Task};
use argon_session::{ErrorKind, OutputMode};
use serde::{Deserialize, Serialize};

use super::leases::LeasePipe;
use super::serve;
use crate::error::Error;
use crate::{Blob, Call, Shared, TaskOptions, read};

#[argon::task]
fn add(a: u32, b: u32) -> u32 {
    a + b
}

#[argon::task]
fn nothing() {}

#[argon::task]
fn first_word(text: &str) -> Option<String> {
    text.split(' ').next().map(str::to_owned)
}

#[argon::task]
fn explode(reason: String) -> u32 {
    panic!("exploded: {reason}");
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct TooBig {
    by: u32,
}

impl std::fmt::Display for TooBig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "too big by {}", self.by)
    }
}

#[argon::task]
fn small(mut n: u32) -> Result<u32, TooBig> {
    n += 1;
    if n > 10 { Err(TooBig { by: n - 10 }) } else { Ok(n) }
}

#[argon::task]
fn open(path: String) -> std::io::Result<u64> {
    std::fs::metadata(path).map(|facts| facts.len())
}

#[argon::task]
fn length(of: Shared<Vec<String>>, index: usize) -> usize {
    of[index].len()
}

/// Its parameters are called as the macro's own variables are.
#[argon::task]
#[cfg(unix)]
fn odd_names(arguments: u8, returned: u8, value: u8) -> Result<u8, String> {
    Ok(arguments + returned + value)
}

#[argon::task]
#[cfg(windows)]
fn odd_names() {}

mod one {
    #[argon::task]
    pub(super) fn number() -> u8 {
        crate::current_task().map_or(0, |_| 1)
    }
}

struct Worker {
    socket: UnixStream,
    decoder: Decoder<FromRunner>,
    runner: Option<JoinHandle<()>>,
}

impl Worker {
    fn start() -> Self {
        Self::with_claims(None)
    }

    fn with_claims(claims: Option<LeasePipe>) -> Self {
        let has_claims = claims.is_some();
        let (socket, theirs) = UnixStream::pair().expect("a pair");
        let runner = std::thread::spawn(move || serve::serve(theirs, claims).expect("served"));
        let mut worker = Self { socket, decoder: Decoder::default(), runner: Some(runner) };
        let ready = worker.hear();
        assert!(matches!(&ready, FromRunner::Ready(about) if about.claims == has_claims), "{ready:?}");
        worker
    }

    fn say(&mut self, messages: impl IntoIterator<Item = ToRunner>) {
        let mut outbox = Outbox::default();
        messages.into_iter().for_each(|message| outbox.push(&message));
        outbox.write_with(|slices| self.socket.write_vectored(slices)).expect("written");
    }

    fn hear(&mut self) -> FromRunner {
        loop {
            if let Some(message) = self.decoder.next().expect("good frames") {
                return message;
            }
            let mut bytes = [0; 4096];
            let count = self.socket.read(&mut bytes).expect("read");
            assert!(count > 0, "the runner ended");
            self.decoder.buffer().extend_from_slice(&bytes[..count]);
        }
    }

    fn outcome(&mut self) -> Outcome {
        let message = self.hear();
        let FromRunner::Outcome(outcome) = message else {
            panic!("expected an outcome, got {message:?}");
        };
        outcome
    }

    fn run<T: serde::de::DeserializeOwned + 'static>(&mut self, call: Call<T>) -> Result<T, Error> {
        self.say([ToRunner::Run(task(call))]);
        read::from_outcome(&self.outcome())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        if let Some(runner) = self.runner.take() {
            assert!(runner.join().is_ok() || std::thread::panicking(), "the runner ends in peace");
        }
    }
}

/// Task as a worker passes it on, but without the blob of the program.
fn task<T>(call: Call<T>) -> Task {
    crate::program::mark();
    let request = call.into_request(&TaskOptions::new()).expect("a call");
    let addition = request.addition(false, OutputMode::Discard).expect("a task");
    let mut task = addition.task;
    task.head.attempt = Attempt(1);
    task
}

#[test]
fn values_go_there_and_back() {
    let mut worker = Worker::start();
    assert_eq!(worker.run(add(40, 2)).expect("a sum"), 42);
    worker.run(nothing()).expect("nothing");
    assert_eq!(worker.run(first_word("hello world")).expect("a word"), Some("hello".to_owned()));
    assert_eq!(worker.run(one::number()).expect("a number"), 1);
    assert_eq!(worker.run(odd_names(1, 2, 3)).expect("a sum"), 6);
    assert_eq!(add::here(1, 2), 3);
}

#[test]
fn a_panic_tells_message_place_and_backtrace() {
    let mut worker = Worker::start();
    let error = worker.run(explode("bang".to_owned())).expect_err("it panics");
    assert_eq!(error.kind(), ErrorKind::Panicked);
    assert!(error.to_string().contains("exploded: bang"), "{error}");
    assert!(error.place().is_some_and(|place| place.contains("runner/tests.rs:")), "{error}");
    let backtrace = error.backtrace().expect("a backtrace");
    assert!(backtrace.contains("explode"), "{backtrace}");
    assert!(!backtrace.contains("rust_begin_unwind"), "{backtrace}");
    assert_eq!(worker.run(add(1, 1)).expect("the runner goes on"), 2);
}

#[test]
fn an_error_comes_back_as_its_own_type_where_it_can_be_read() {
    let mut worker = Worker::start();
    assert_eq!(worker.run(small(1)).expect("small"), 2);
    let error = worker.run(small(11)).expect_err("too big");
    assert_eq!((error.kind(), error.message()), (ErrorKind::Failed, "too big by 2"));
    assert_eq!(error.own::<TooBig>(), Some(TooBig { by: 2 }));
    assert_eq!(error.own::<String>(), None);
    let error = worker.run(open("/no/such/file".to_owned())).expect_err("there is none");
    assert!(error.message().contains("No such file"), "{error}");
    assert_eq!(error.own::<TooBig>(), None);
}

#[test]
fn a_shared_value_is_asked_for_once() {
    let mut worker = Worker::start();
    let words = Shared::new(&vec!["a".to_owned(), "bcd".to_owned()]).expect("shared");
    assert_eq!(words.len(), 2);
    worker.say([ToRunner::Run(task(length(words.clone(), 1)))]);
    assert_eq!(worker.hear(), FromRunner::NeedBlob(vec![words.hash()]));
    let blob: Blob = task_blob(&words);
    worker.say([ToRunner::Blob(conversation::Blob { hash: blob.hash(), payload: blob.payload().clone() })]);
    assert_eq!(read::from_outcome::<usize>(&worker.outcome()).expect("a length"), 3);
    assert_eq!(worker.run(length(words, 0)).expect("it is kept"), 1);
}

fn task_blob(words: &Shared<Vec<String>>) -> Blob {
    let request = length(words.clone(), 0).into_request(&TaskOptions::new()).expect("a call");
    request.blobs.iter().nth(1).expect("behind the program").clone()
}

#[test]
fn tasks_that_came_together_run_one_after_another() {
    let mut worker = Worker::start();
    worker.say((0..100).map(|n| ToRunner::Run(task(add(n, 1)))));
    for n in 0..100 {
        assert_eq!(read::from_outcome::<u32>(&worker.outcome()).expect("a sum"), n + 1);
    }
}

#[test]
fn what_cannot_be_run_is_refused_in_words() {
    let mut worker = Worker::start();
    let Task { head, payload, .. } = task(add(1, 2));
    let meta = bytes::Bytes::from_static(br#"{"call":"elsewhere::add"}"#);
    let unknown = Task::new(head, [], meta, payload);
    worker.say([ToRunner::Run(unknown)]);
    let outcome = worker.outcome();
    assert_eq!(outcome.head.status, Status::Error);
    let error = read::from_outcome::<u32>(&outcome).expect_err("unknown");
    assert!(error.message().contains("no task elsewhere::add"), "{error}");
    let mut short = task(add(1, 2));
    short.payload = bytes::Bytes::new().into();
    worker.say([ToRunner::Run(short)]);
    let error = read::from_outcome::<u32>(&worker.outcome()).expect_err("too short");
    assert!(error.message().contains("the arguments cannot be read"), "{error}");
}

/// The worker's ends of what a runner with claims has.
struct Pipes {
    numbers: PipeWriter,
    /// The pipe of the runner: the reader of a number has its task.
    unclaimed: PipeReader,
    output: PipeReader,
    /// The runner's end: what tests print.
    prints: PipeWriter,
}

impl Pipes {
    fn new() -> (LeasePipe, Self) {
        let (reader, numbers) = io::pipe().expect("a pipe");
        socket2::SockRef::from(&reader).set_nonblocking(true).expect("it can be");
        let unclaimed = reader.try_clone().expect("a second one");
        let (output, prints) = io::pipe().expect("a pipe");
        let claims = LeasePipe::new(reader, [prints.as_fd(), prints.as_fd()]).expect("claims");
        (claims, Self { numbers, unclaimed, output, prints })
    }

    fn number(&mut self, number: u64) {
        self.numbers.write_all(&number.to_be_bytes()).expect("written");
    }
}

fn ahead(call: Call<u32>) -> ToRunner {
    let mut task = task(call);
    task.head.flags = task.head.flags.with(Flags::AHEAD);
    ToRunner::Run(task)
}

#[test]
fn of_what_was_handed_ahead_only_what_it_claims_is_run() {
    let (claims, mut pipes) = Pipes::new();
    let mut worker = Worker::with_claims(Some(claims));
    // The third and the fourth are taken back before they are sent.
    [1, 2, 1 << 63 | 5, 5].into_iter().for_each(|number| pipes.number(number));
    let handed = (1..=5).map(|n| ahead(add(n, 0)));
    worker.say([ToRunner::Run(task(add(0, 0)))].into_iter().chain(handed));
    for n in [0, 1, 2, 5] {
        assert_eq!(read::from_outcome::<u32>(&worker.outcome()).expect("a sum"), n);
    }
    assert_eq!(worker.run(add(3, 4)).expect("it goes on"), 7);
}

#[test]
fn nothing_is_claimed_before_the_worker_has_taken_the_output() {
    let (claims, mut pipes) = Pipes::new();
    let mut worker = Worker::with_claims(Some(claims));
    pipes.prints.write_all(b"printed").expect("written");
    pipes.number(1);
    worker.say([ToRunner::Run(task(add(0, 1))), ahead(add(1, 1))]);
    assert_eq!(worker.hear(), FromRunner::OutputLeft);
    assert_eq!(read::from_outcome::<u32>(&worker.outcome()).expect("a sum"), 1);
    pipes.output.read_exact(&mut [0; 7]).expect("what was printed");
    pipes.unclaimed.read_exact(&mut [0; 8]).expect("the number is still there");
    worker.say([ToRunner::OutputTaken]);
    assert_eq!(worker.run(add(3, 4)).expect("the other was taken back"), 7);
}

#[test]
fn a_shared_value_is_asked_for_when_its_task_is_claimed() {
    let (claims, mut pipes) = Pipes::new();
    let mut worker = Worker::with_claims(Some(claims));
    let words = Shared::new(&vec!["abc".to_owned()]).expect("shared");
    let mut handed = task(length(words.clone(), 0));
    handed.head.flags = handed.head.flags.with(Flags::AHEAD);
    pipes.number(1);
    worker.say([ToRunner::Run(task(add(0, 1))), ToRunner::Run(handed)]);
    // Its worker forgets what a runner has asked for when it hears of an outcome.
    assert_eq!(read::from_outcome::<u32>(&worker.outcome()).expect("a sum"), 1);
    assert_eq!(worker.hear(), FromRunner::NeedBlob(vec![words.hash()]));
    let blob = task_blob(&words);
    worker.say([ToRunner::Blob(conversation::Blob { hash: blob.hash(), payload: blob.payload().clone() })]);
    assert_eq!(read::from_outcome::<usize>(&worker.outcome()).expect("a length"), 3);
}
