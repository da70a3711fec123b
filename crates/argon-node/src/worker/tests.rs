//! The worker against real Perl runners: a manager of two channels, tasks in JSON, waits with a deadline.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test waits for one message among any others")]

mod command;
mod deaths;
mod guardian;
mod hostile;
mod life;
mod modules;
mod native;
mod output;
mod sessions;
mod task_clients;
mod templates;
mod uplink;

use std::collections::VecDeque;
use std::time::Duration;

use argon_proto::conversation::worker::{FromWorker, Held, Registered, Run, ToWorker};
use argon_proto::conversation::{Blob, TaskOutput};
use argon_proto::{
    Attempt, AttemptId, AttemptToken, BlobHash, Codec, Flags, Outcome, Payload, Report, Runtime, Secret,
    SessionId, Status, Task, TaskHead, TaskId, WorkerId,
};
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::{Introduction, LinkEvent, MachineLimits, ManagerChannel, WorkerConfig, WorkerError};
use crate::signals::{StopLevel, StopSignal};

/// No wait of a test is longer.
const DEADLINE: Duration = Duration::from_secs(60);

/// A worker of one slot.
pub(super) fn config() -> WorkerConfig {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).expect("randomness");
    WorkerConfig {
        secret: Secret::new(secret),
        name: "test".to_owned(),
        host: "here".to_owned(),
        slots: 1,
        max_requests: 0,
        default_timeout_ms: 0,
        pass_env: vec!["PATH".to_owned()],
        perl: None,
        pythons: Vec::new(),
        environments: true,
        packages: None,
        remote_modules: true,
        has_templates: true,
        runners_max: 16,
        runner_memory: 1 << 30,
        waiting_max: 64,
        manager: None,
        drain_limit: Duration::from_secs(10),
        run_as: None,
        sandbox: None,
        limits: MachineLimits::default(),
        nice: 0,
    }
}

/// The shipment of a sub with this body.
fn shipment(body: &str) -> (BlobHash, Payload) {
    let text = format!(
        "# Argon Perl code, format 1\nuse strict; use warnings;\nsub {{\n#line 1 \"task\"\nsub {{ {body} }} }}\n"
    );
    let payload = Payload::from(text.into_bytes());
    (BlobHash::of(payload.parts()), payload)
}

/// The first attempt of a task that runs this body of a Perl sub.
pub(super) fn task(sequence: u64, body: &str) -> Task {
    let head = TaskHead {
        attempt: Attempt(1),
        codec: Codec::Json,
        ..TaskHead::new(TaskId { session: SessionId([7; 16]), sequence }, Runtime::Perl)
    };
    Task::new(head, [shipment(body).0], Bytes::new(), Payload::from(b"[]".to_vec()))
}

/// RUN of a task; its token is its sequence number.
pub(super) fn run_of(task: Task) -> ToWorker {
    ToWorker::Run(Run { token: AttemptToken(task.head.id.sequence), task })
}

pub(super) fn attempt(sequence: u64) -> AttemptId {
    task(sequence, "").attempt_id()
}

/// A worker that runs, and the manager's end of its link.
pub(super) struct Worker {
    events: mpsc::UnboundedSender<LinkEvent>,
    said: mpsc::UnboundedReceiver<FromWorker>,
    stop: watch::Sender<StopLevel>,
    handle: JoinHandle<Result<(), WorkerError>>,
    /// Messages that the test has not asked for yet.
    unread: VecDeque<FromWorker>,
    sequence: u64,
    config_id: WorkerId,
}

impl Worker {
    /// Starts a worker and registers it.
    async fn start(config: WorkerConfig) -> Self {
        Self::start_by(config, |config, link, stop| super::run_guarded(config, link, stop, None)).await
    }

    async fn start_by<R>(
        config: WorkerConfig,
        run: impl FnOnce(WorkerConfig, ManagerChannel, StopSignal) -> R,
    ) -> Self
    where
        R: Future<Output = Result<(), WorkerError>> + 'static,
    {
        let (events, from_manager) = mpsc::unbounded_channel();
        let (outbox, said) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(StopLevel::Run);
        let link = ManagerChannel { events: from_manager, outbox };
        let config_id = config.id();
        let handle = tokio::task::spawn_local(run(config, link, stopped));
        let mut worker = Self { events, said, stop, handle, unread: VecDeque::new(), sequence: 0, config_id };
        worker.register().await;
        worker
    }

    /// A new connection: returns what the worker holds.
    async fn register(&mut self) -> Vec<Held> {
        let (reply, body) = oneshot::channel();
        self.send(LinkEvent::WantRegister(reply));
        let Introduction { held, register } = within("REGISTER", body).await.expect("the worker answers");
        assert_eq!(register.worker, WorkerId::of(&register.secret));
        self.say(ToWorker::Registered(Registered { worker: Some(self.config_id) }));
        held
    }

    fn send(&self, event: LinkEvent) {
        self.events.send(event).expect("the worker runs");
    }

    fn say(&self, message: ToWorker) {
        self.send(LinkEvent::Message(message));
    }

    /// Sends a task with its blob.
    fn run(&mut self, body: &str) -> AttemptId {
        self.run_as(body, |_| {})
    }

    fn run_as(&mut self, body: &str, change: impl FnOnce(&mut TaskHead)) -> AttemptId {
        self.sequence += 1;
        let mut task = task(self.sequence, body);
        change(&mut task.head);
        let (hash, payload) = shipment(body);
        self.say(ToWorker::Blob(Blob { hash, payload }));
        self.say(run_of(task));
        attempt(self.sequence)
    }

    /// The next message that `wanted` picks; others stay for later.
    async fn hear<T>(&mut self, what: &str, wanted: impl Fn(&FromWorker) -> Option<T>) -> T {
        if let Some((at, found)) =
            self.unread.iter().enumerate().find_map(|(at, message)| Some((at, wanted(message)?)))
        {
            self.unread.remove(at);
            return found;
        }
        let unread = &mut self.unread;
        let said = &mut self.said;
        within(what, async {
            loop {
                let message = said.recv().await.expect("the worker runs");
                if let Some(found) = wanted(&message) {
                    return found;
                }
                unread.push_back(message);
            }
        })
        .await
    }

    /// The outcome of an attempt; settles it.
    async fn outcome(&mut self, attempt: AttemptId) -> Outcome {
        let outcome = self.hear("an outcome", |message| match message {
            FromWorker::Outcome(outcome) if outcome.head.id == attempt.task => Some(outcome.clone()),
            _ => None,
        });
        let outcome = outcome.await;
        self.say(ToWorker::Settled(vec![attempt]));
        outcome
    }

    /// Output of an attempt to one descriptor until its outcome came, or so far.
    fn printed(&self, attempt: AttemptId, wanted: u8) -> String {
        let bytes: Vec<u8> = self
            .unread
            .iter()
            .filter_map(|message| match message {
                FromWorker::Output(TaskOutput { from, fd, bytes }) if *from == attempt && *fd == wanted => {
                    Some(bytes.to_vec())
                }
                _ => None,
            })
            .flatten()
            .collect();
        String::from_utf8(bytes).expect("text")
    }

    /// The next output of an attempt.
    async fn output_of(&mut self, attempt: AttemptId) -> String {
        let output = self.hear("output", |message| match message {
            FromWorker::Output(TaskOutput { from, bytes, .. }) if *from == attempt => Some(bytes.clone()),
            _ => None,
        });
        String::from_utf8(output.await.to_vec()).expect("text")
    }

    /// Runs a body to its end and returns its value.
    async fn value_of(&mut self, body: &str) -> serde_json::Value {
        let attempt = self.run(body);
        let outcome = self.outcome(attempt).await;
        assert_eq!(outcome.head.status, Status::Ok, "{outcome:?}");
        value(&outcome)
    }

    /// Stops the worker and waits for its end.
    async fn end(self, level: StopLevel) {
        self.stop.send(level).expect("the worker runs");
        within("the end", self.handle).await.expect("no panic").expect("a good end");
    }
}

fn value(outcome: &Outcome) -> serde_json::Value {
    serde_json::from_slice(&outcome.payload.to_contiguous()).unwrap_or_default()
}

fn report(outcome: &Outcome) -> Report {
    Report::from_json(&outcome.report)
}

/// Waits for something, with a deadline.
async fn within<T>(what: &str, wanted: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, wanted).await {
        Ok(done) => done,
        Err(_) => panic!("{what} did not come within {DEADLINE:?}"),
    }
}

/// Waits until a process is gone.
async fn gone(pid: i64) {
    let path = format!("/proc/{pid}/stat");
    let is_gone = || std::fs::read_to_string(&path).map_or(true, |stat| stat.contains(") Z "));
    within("the end of a process", async {
        while !is_gone() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// Runs a test as the program does: one thread, local tasks.
fn on_one_thread(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, test);
}
