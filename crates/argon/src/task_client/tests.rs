//! The client of a task against a worker of a few lines.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use argon_proto::conversation::child::{Child, TaskToken};
use argon_proto::conversation::client::{Open, ToClient, ToManager};
use argon_proto::conversation::{Control, Credit, WholePayload};
use argon_proto::frame::{Frames, Outbox};
use argon_proto::handshake::{Refusal, RefusalCode};
use argon_proto::{
    Attempt, Codec, Flags, Message, Outcome, OutcomeHead, Payload, SessionId, Status, Task, TaskId, kind,
    limit,
};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::task_identity::WorkerAccess;
use crate::{Call, Connect, ErrorKind, blocking};

/// The worker, and the task whose client it serves.
struct Worker {
    listener: UnixListener,
    access: WorkerAccess,
    _folder: tempfile::TempDir,
}

/// A connection that the worker has accepted.
struct Accepted {
    stream: UnixStream,
    frames: Frames,
}

impl Worker {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("tasks");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let task = TaskId { session: SessionId([7; 16]), sequence: 3 };
        let child = Child { token: TaskToken([5; 16]), task, attempt: Attempt(2) };
        Self { listener, access: WorkerAccess { socket, child }, _folder: folder }
    }

    /// A client of the task, and the worker's end of its connection after OFFERED.
    fn client(&self) -> (blocking::Client, Accepted, SessionId) {
        std::thread::scope(|scope| {
            let access = self.access.clone();
            let connecting = scope.spawn(|| Connect::of_task(access).connect_blocking().expect("connected"));
            let mut accepted = self.accept();
            let session = accepted.open().session;
            accepted.due(kind::OFFERED);
            (connecting.join().expect("no panic"), accepted, session)
        })
    }

    /// Accepts a client that proves its task, and grants it credit.
    fn accept(&self) -> Accepted {
        let (stream, _) = self.listener.accept().expect("a client");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a limit");
        let mut accepted = Accepted { stream, frames: Frames::default() };
        assert_eq!(accepted.json::<Child>(kind::CHILD), self.access.child);
        accepted.say(&ToClient::Credit(Credit { tasks: 100, bytes: 1 << 20 }));
        accepted
    }
}

impl Accepted {
    fn say(&mut self, message: &impl Message) {
        let mut outbox = Outbox::default();
        outbox.push(message);
        self.stream.write_all(&outbox.into_bytes()).expect("written");
    }

    /// The next frame but acknowledgements, which may come at any time.
    fn frame(&mut self) -> (u8, Bytes) {
        loop {
            match self.frames.next_frame(limit::FRAME_BYTES).expect("frames") {
                Some((kind::ACK, _)) => {}
                Some(frame) => return frame,
                None => {
                    let mut bytes = [0; 4096];
                    let count = self.stream.read(&mut bytes).expect("a frame within its time");
                    assert!(count > 0, "the client closed the connection");
                    self.frames.buffer().extend_from_slice(&bytes[..count]);
                }
            }
        }
    }

    fn due(&mut self, due: u8) -> Bytes {
        let (kind, body) = self.frame();
        assert_eq!(kind::name(kind), kind::name(due));
        body
    }

    fn json<T: DeserializeOwned>(&mut self, due: u8) -> T {
        serde_json::from_slice(&self.due(due)).expect("the JSON of this message")
    }

    fn open(&mut self) -> Open {
        self.json(kind::OPEN)
    }

    fn task(&mut self) -> Task {
        let body = self.due(kind::SUBMIT);
        let message = ToManager::decode(kind::SUBMIT, body, &mut WholePayload::default()).expect("a task");
        let ToManager::Submit(task) = message else { panic!("{message:?}") };
        task
    }

    fn waits(&mut self) -> bool {
        self.due(kind::WAITS)[..] == [1]
    }

    /// Ends a task with a number as its value.
    fn end(&mut self, task: &Task, value: u64) {
        let head = OutcomeHead {
            id: task.head.id,
            attempt: Attempt(1),
            status: Status::Ok,
            codec: Codec::Json,
            run_us: 1,
            leaves: false,
        };
        let payload = Payload::from(Bytes::from(value.to_string()));
        self.say(&ToClient::Outcome(Outcome { head, report: Bytes::new(), payload }));
    }
}

fn call() -> Call<u64> {
    crate::perl("Some::function", ())
}

#[test]
fn a_task_reports_that_it_waits_before_it_waits_and_that_it_goes_on_before_it_goes_on() {
    let worker = Worker::new();
    let (client, mut accepted, session) = worker.client();
    assert_eq!(session.family(), worker.access.child.task.session.family());
    assert_ne!(session, worker.access.child.task.session);
    std::thread::scope(|scope| {
        let calling = scope.spawn(|| client.call(call()));
        let task = accepted.task();
        assert_eq!(task.head.id.session, session);
        assert!(accepted.waits());
        accepted.end(&task, 42);
        assert_eq!(calling.join().expect("no panic").expect("a value"), 42);
        // It was written before the caller had its value.
        assert!(!accepted.waits());
    });
}

#[test]
fn a_task_waits_as_long_as_one_of_its_threads_does() {
    let worker = Worker::new();
    let (client, mut accepted, _) = worker.client();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| client.call(call()));
        let first_task = accepted.task();
        assert!(accepted.waits());
        let second = scope.spawn(|| client.call(call()));
        let second_task = accepted.task();
        accepted.end(&first_task, 1);
        assert_eq!(first.join().expect("no panic").expect("a value"), 1);
        // Nothing was sent for the first: the next frame is that of a third task.
        let third = client.defer(call());
        let third_task = accepted.task();
        accepted.end(&second_task, 2);
        assert_eq!(second.join().expect("no panic").expect("a value"), 2);
        assert!(!accepted.waits());
        accepted.end(&third_task, 3);
        assert_eq!(third.wait().expect("a value"), 3);
    });
}

#[test]
fn a_task_that_leaves_a_wait_goes_on() {
    let worker = Worker::new();
    let (client, mut accepted, _) = worker.client();
    {
        let mut waiting = pin!(client.as_async().call(call()));
        let mut context = Context::from_waker(Waker::noop());
        assert!(matches!(waiting.as_mut().poll(&mut context), Poll::Pending));
        accepted.task();
        assert!(accepted.waits());
    }
    // Leaving the wait cancels the task, too.
    let mut kinds = [accepted.frame().0, accepted.frame().0];
    kinds.sort_unstable();
    assert_eq!(kinds, [kind::CANCEL, kind::WAITS]);
}

#[test]
fn a_task_that_waits_reports_it_again_to_a_worker_that_lost_its_manager() {
    let worker = Worker::new();
    let (client, mut accepted, session) = worker.client();
    std::thread::scope(|scope| {
        let calling = scope.spawn(|| client.call(call()));
        accepted.task();
        assert!(accepted.waits());
        drop(accepted);
        let mut again = worker.accept();
        assert_eq!(again.open().session, session);
        let mut task = None;
        let mut waits = false;
        while task.is_none() || !waits {
            match again.frame() {
                (kind::WAITS, body) => waits = body[..] == [1],
                (kind::SUBMIT, body) => {
                    let ToManager::Submit(offered) =
                        ToManager::decode(kind::SUBMIT, body, &mut WholePayload::default()).expect("a task")
                    else {
                        panic!("SUBMIT holds a task");
                    };
                    assert!(offered.head.flags.contains(Flags::OFFERED_AGAIN));
                    task = Some(offered);
                }
                (kind::OFFERED, _) => {}
                (other, _) => panic!("{:?} was not due", kind::name(other)),
            }
        }
        again.end(&task.expect("it was offered"), 7);
        assert_eq!(calling.join().expect("no panic").expect("a value"), 7);
    });
}

#[test]
fn a_worker_that_refuses_a_task_is_quoted_at_once() {
    let worker = Worker::new();
    let access = worker.access.clone();
    std::thread::scope(|scope| {
        let connecting = scope.spawn(|| Connect::of_task(access).connect_blocking());
        let (stream, _) = worker.listener.accept().expect("a client");
        let mut accepted = Accepted { stream, frames: Frames::default() };
        accepted.due(kind::CHILD);
        let refusal = Refusal::new(RefusalCode::Session, "this process does not execute that attempt");
        accepted.say(&Control::Refused(refusal));
        let error = connecting.join().expect("no panic").expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Unreachable);
        assert!(error.to_string().contains("does not execute that attempt"), "{error}");
    });
}
