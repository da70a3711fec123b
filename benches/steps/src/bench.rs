//! A scheduler with its clients and workers in one hand: each outcome brings the next task, so that the queue stays as
//! long as it is.

use std::collections::VecDeque;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use argon_core::scheduler::{ConnId, Effect, Input, Limits, ManagerIdentity, Out, Scheduler, WorkerProfile};
use argon_core::{Machine, Time};
use argon_proto::conversation::worker::{Run, ToWorker};
use argon_proto::key::Key;
use argon_proto::{
    BlobHash, Capabilities, Codec, Incarnation, Outcome, OutcomeHead, Payload, Runtime, Secret, SessionId,
    Status, Task, TaskHead, TaskId, WorkerId,
};
use bytes::Bytes;

const CLIENT: ConnId = ConnId(1);
static SESSION: LazyLock<SessionId> = LazyLock::new(|| SessionId::of(&secret(0)));
/// Run time of each task, microseconds.
const RUN_US: u64 = 300_000;
/// Steps between two ends of a batch.
const BATCH: u64 = 256;

fn secret(number: u64) -> Secret {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Secret::new(bytes)
}

/// The scheduler and what goes on around it.
#[derive(Debug)]
pub(crate) struct Bench {
    scheduler: Scheduler,
    now: Time,
    out: Out,
    sequence: u64,
    workers: u64,
    slots: u64,
    /// Attempts that workers have begun, the oldest first.
    running: VecDeque<(ConnId, Task)>,
    taken: Vec<TaskId>,
    /// The longest single step.
    pub(crate) longest: Duration,
}

impl Bench {
    /// A scheduler with `workers` workers of `slots` slots, and one client.
    pub(crate) fn new(workers: u64, slots: u64) -> Self {
        let limits = Limits {
            window_tasks: u64::MAX >> 8,
            window_bytes: u64::MAX >> 8,
            untaken_bytes: u64::MAX >> 8,
            queue_size: usize::MAX,
            ..Limits::default()
        };
        let capabilities = Capabilities::new(&Key::cluster([9; 32]));
        let identity = ManagerIdentity { incarnation: Incarnation([9; 16]), capabilities };
        let mut bench = Self {
            scheduler: Scheduler::new(Time(0), limits, identity),
            now: Time(10_000_000),
            out: Out::default(),
            sequence: 0,
            workers,
            slots,
            running: VecDeque::new(),
            taken: Vec::new(),
            longest: Duration::ZERO,
        };
        bench.step(Input::SessionOpened {
            owner: argon_proto::holder::OwnerName::admin(),
            link: CLIENT,
            session: *SESSION,
            secret: secret(0),
            previous: None,
            client: "bench".into(),
        });
        for number in 0..workers {
            let profile = WorkerProfile {
                id: WorkerId::of(&secret(number)),
                name: String::new(),
                host: String::new(),
                pid: 1,
                slots: u32::try_from(slots).unwrap_or(1),
                run_as: None,
                paused: None,
                sandbox: None,
                runtimes: Vec::new(),
                release: String::new(),
            };
            bench.step(Input::WorkerJoined {
                link: ConnId(2 + number),
                profile,
                secret: secret(number),
                previous: None,
                held: Vec::new(),
            });
        }
        bench
    }

    /// Takes all slots and queues further tasks. Returns the time that it took.
    pub(crate) fn fill(&mut self, queued: u64) -> Duration {
        let begun = Instant::now();
        for _ in 0..queued + self.workers * self.slots {
            self.submit();
        }
        begun.elapsed()
    }

    /// A number of tasks end, and as many come.
    pub(crate) fn turn(&mut self, tasks: u64) {
        for number in 0..tasks {
            let Some((link, task)) = self.running.pop_front() else {
                return;
            };
            // Long enough that nothing is sent ahead: this is about the queue.
            self.now = Time(self.now.0 + RUN_US / (self.workers * self.slots).max(1));
            self.step(Input::OutcomeArrived { link, outcome: outcome(&task, RUN_US) });
            self.taken.push(task.head.id);
            self.submit();
            if number % BATCH == 0 {
                let ids = std::mem::take(&mut self.taken);
                self.step(Input::OutcomesTaken { link: CLIENT, ids });
                self.scheduler.finish_batch(self.now, &mut self.out);
                self.carry_out();
            }
        }
    }

    fn submit(&mut self) {
        let task = task(self.sequence);
        self.sequence += 1;
        self.step(Input::TaskSubmitted { link: CLIENT, task });
    }

    fn step(&mut self, input: Input) {
        self.now = Time(self.now.0 + 3);
        let begun = Instant::now();
        self.scheduler.step(self.now, input, &mut self.out);
        self.longest = self.longest.max(begun.elapsed());
        self.carry_out();
    }

    fn carry_out(&mut self) {
        for effect in self.out.effects.drain(..) {
            if let Effect::SendToWorker { link, message: ToWorker::Run(Run { task, .. }) } = effect {
                self.running.push_back((link, task));
            }
        }
    }
}

/// A task as a client sends it: its parts are slices of memory that others share, as those of a received one are.
pub(crate) fn task(sequence: u64) -> Task {
    static FIRST: LazyLock<Task> = LazyLock::new(|| {
        let head = TaskHead::new(TaskId { session: *SESSION, sequence: 0 }, Runtime::Perl);
        let payload = Bytes::from_static(b"a few bytes of arguments");
        Task::new(head, [BlobHash([7; 32])], Bytes::new(), payload.into())
    });
    let mut task = FIRST.clone();
    task.head.id.sequence = sequence;
    task
}

/// Outcome of the task.
pub(crate) fn outcome(task: &Task, run_us: u64) -> Outcome {
    Outcome {
        head: OutcomeHead {
            id: task.head.id,
            attempt: task.head.attempt,
            status: Status::Ok,
            codec: Codec::Own,
            run_us,
            leaves: false,
        },
        report: Bytes::new(),
        payload: Payload::from(Bytes::from_static(b"a result")),
    }
}
