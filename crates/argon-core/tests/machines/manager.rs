//! A scheduler in a test's hand: virtual time, short names for inputs, and what it said since it was last asked.

use std::time::Duration;

use argon_core::scheduler::{
    ConnId, Effect, Input, Limits, ManagerIdentity, Out, Record, Scheduler, WorkerProfile,
};
use argon_core::{Machine, Time};
use argon_proto::conversation::client::ToClient;
use argon_proto::conversation::worker::{Held, ToWorker};
use argon_proto::holder::OwnerName;
use argon_proto::key::Key;
use argon_proto::{
    Attempt, AttemptId, AttemptToken, Capabilities, Codec, Flags, Incarnation, Outcome, OutcomeHead, Report,
    Runtime, Secret, SessionId, Status, Task, TaskHead, TaskId, Ticket, WorkerId,
};
use bytes::Bytes;

/// The scheduler and its virtual time.
pub(crate) struct Manager {
    pub(crate) scheduler: Scheduler,
    pub(crate) now: Time,
    out: Out,
    pub(crate) records: Vec<Record>,
    committed: u64,
}

impl Manager {
    pub(crate) fn new(limits: Limits) -> Self {
        // Past recovery: most tests are not about restarts.
        let mut manager = Self::just_started(limits, Vec::new());
        manager.pass(Duration::from_secs(100));
        manager
    }

    /// Client 1 and worker 11, which has the client's first task.
    pub(crate) fn with_one_running() -> Self {
        let mut manager = Self::new(Limits::default());
        manager.open(1);
        manager.join(11, 1, &[]);
        manager.submit(1, task(1, 1));
        assert_eq!(manager.runs(11), [attempt(1, 1, 1)]);
        manager.take_effects();
        manager
    }

    pub(crate) fn just_started(limits: Limits, records: Vec<Record>) -> Self {
        let mut scheduler = Scheduler::new(Time(0), limits, identity());
        scheduler.recover(Time(0), records);
        Self { scheduler, now: Time(0), out: Out::default(), records: Vec::new(), committed: 0 }
    }

    pub(crate) fn step(&mut self, input: Input) {
        self.scheduler.step(self.now, input, &mut self.out);
        self.scheduler.assert_invariants();
        self.scheduler.finish_batch(self.now, &mut self.out);
        self.records.append(&mut self.out.records);
    }

    /// Lets time pass, stopping at every deadline on the way.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(deadline) = self.scheduler.next_deadline().filter(|deadline| *deadline <= until) {
            self.now = self.now.max(deadline);
            self.step(Input::TimePassed);
        }
        self.now = until;
        self.step(Input::TimePassed);
    }

    /// Makes all records durable that were handed to the store.
    pub(crate) fn commit(&mut self) {
        self.committed = self.records.len() as u64;
        self.step(Input::RecordsCommitted { up_to: self.committed });
    }

    pub(crate) fn refuse(&mut self) {
        let up_to = self.records.len() as u64;
        self.step(Input::RecordsRefused { up_to, why: "no room".to_owned() });
    }

    pub(crate) fn open(&mut self, link: u64) {
        self.open_from(link, None);
    }

    /// Opens the session of a client that was connected to this manager before.
    pub(crate) fn open_from(&mut self, link: u64, previous: Option<Incarnation>) {
        self.open_as(link, OwnerName::admin(), previous);
    }

    /// Opens the session of a client that has proven the key of this owner.
    pub(crate) fn open_as(&mut self, link: u64, owner: OwnerName, previous: Option<Incarnation>) {
        self.step(Input::SessionOpened {
            link: ConnId(link),
            owner,
            session: session(link % 100),
            secret: secret(link % 100),
            previous,
            client: "test".into(),
        });
    }

    pub(crate) fn submit(&mut self, link: u64, task: Task) {
        self.step(Input::TaskSubmitted { link: ConnId(link), task });
    }

    pub(crate) fn join(&mut self, link: u64, slots: u32, held: &[AttemptId]) {
        self.join_with(link, slots, &[], held);
    }

    /// Lets a worker join that was registered by this manager before.
    pub(crate) fn join_from(
        &mut self,
        link: u64,
        slots: u32,
        previous: Option<Incarnation>,
        held: &[AttemptId],
    ) {
        let (profile, secret) = (Self::profile(link, slots, &[]), secret(link % 100));
        let held = held.iter().map(|attempt| held_by(link, *attempt)).collect();
        self.step(Input::WorkerJoined { link: ConnId(link), profile, secret, previous, held });
    }

    /// Lets a worker join that has these runtimes and versions.
    pub(crate) fn join_with(&mut self, link: u64, slots: u32, runtimes: &[(&str, &str)], held: &[AttemptId]) {
        let profile = Self::profile(link, slots, runtimes);
        let held = held.iter().map(|attempt| held_by(link, *attempt)).collect();
        let secret = secret(link % 100);
        self.step(Input::WorkerJoined { link: ConnId(link), profile, secret, previous: None, held });
    }

    pub(crate) fn profile(link: u64, slots: u32, runtimes: &[(&str, &str)]) -> WorkerProfile {
        WorkerProfile {
            id: worker_id(link),
            name: format!("w{}", link % 100),
            host: "host".into(),
            pid: 1,
            slots,
            run_as: None,
            sandbox: None,
            paused: None,
            runtimes: runtimes.iter().map(|(name, version)| ((*name).into(), (*version).into())).collect(),
            release: String::new(),
        }
    }

    pub(crate) fn lose(&mut self, link: u64) {
        self.step(Input::WorkerLost { link: ConnId(link), declared_dead: true });
    }

    pub(crate) fn cut(&mut self, link: u64) {
        self.step(Input::WorkerLost { link: ConnId(link), declared_dead: false });
    }

    /// An attempt ends after it has run for `run_us` from now.
    pub(crate) fn finish(&mut self, link: u64, attempt: AttemptId, status: Status, run_us: u64) {
        self.now = self.now + Duration::from_micros(run_us);
        self.step(Input::OutcomeArrived { link: ConnId(link), outcome: outcome(attempt, status, run_us) });
    }

    pub(crate) fn returned(&mut self, link: u64, attempts: &[AttemptId]) {
        self.step(Input::AttemptsReturned { link: ConnId(link), attempts: attempts.to_vec() });
    }

    pub(crate) fn take(&mut self, link: u64, id: TaskId) {
        self.step(Input::OutcomesTaken { link: ConnId(link), ids: vec![id] });
    }

    /// Takes everything that was wanted since this was last asked.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.out.effects)
    }

    /// Takes what was sent to a client since this was last asked.
    pub(crate) fn sent_to_client(&mut self, link: u64) -> Vec<ToClient> {
        let theirs = self.out.effects.extract_if(
            ..,
            |effect| matches!(effect, Effect::SendToClient { link: to, .. } if *to == ConnId(link)),
        );
        theirs
            .filter_map(
                |effect| if let Effect::SendToClient { message, .. } = effect { Some(message) } else { None },
            )
            .collect()
    }

    /// Takes what was sent to a worker since this was last asked.
    pub(crate) fn sent_to_worker(&mut self, link: u64) -> Vec<ToWorker> {
        let theirs = self.out.effects.extract_if(
            ..,
            |effect| matches!(effect, Effect::SendToWorker { link: to, .. } if *to == ConnId(link)),
        );
        theirs
            .filter_map(
                |effect| if let Effect::SendToWorker { message, .. } = effect { Some(message) } else { None },
            )
            .collect()
    }

    /// The attempts that a worker was sent since the last call.
    pub(crate) fn runs(&mut self, link: u64) -> Vec<AttemptId> {
        let runs =
            |message| if let ToWorker::Run(run) = message { Some(attempt_of(&run.task)) } else { None };
        self.sent_to_worker(link).into_iter().filter_map(runs).collect()
    }

    /// The outcomes that a client was sent since it was last asked.
    pub(crate) fn outcomes(&mut self, link: u64) -> Vec<(TaskId, Status, Report)> {
        let told = |message| {
            let ToClient::Outcome(outcome) = message else { return None };
            Some((outcome.head.id, outcome.head.status, Report::from_json(&outcome.report)))
        };
        self.sent_to_client(link).into_iter().filter_map(told).collect()
    }
}

/// Of a session or a worker.
pub(crate) fn secret(number: u64) -> Secret {
    Secret::new([number as u8; 32])
}

pub(crate) fn held_by(link: u64, attempt: AttemptId) -> Held {
    Held { attempt, token: token(link, attempt) }
}

pub(crate) fn session(number: u64) -> SessionId {
    SessionId::of(&secret(number))
}

/// The worker that joins on this link.
pub(crate) fn worker_id(link: u64) -> WorkerId {
    WorkerId::of(&secret(link % 100))
}

const INCARNATION: Incarnation = Incarnation([1; 16]);
/// Incarnation that a peer names that was connected to this manager before.
pub(crate) const HERE: Option<Incarnation> = Some(INCARNATION);

pub(crate) fn identity() -> ManagerIdentity {
    let capabilities = Capabilities::new(&Key::cluster([9; 32]));
    ManagerIdentity { incarnation: INCARNATION, capabilities }
}

/// Token that the worker of this link was given with an attempt.
pub(crate) fn token(link: u64, attempt: AttemptId) -> AttemptToken {
    identity().capabilities.of_worker(worker_id(link)).token(attempt)
}

pub(crate) fn ticket(id: TaskId) -> Ticket {
    identity().capabilities.ticket(id)
}

pub(crate) fn id(client: u64, sequence: u64) -> TaskId {
    TaskId { session: session(client % 100), sequence }
}

pub(crate) fn attempt(client: u64, sequence: u64, number: u32) -> AttemptId {
    AttemptId { task: id(client, sequence), attempt: Attempt(number) }
}

pub(crate) fn attempt_of(task: &Task) -> AttemptId {
    AttemptId { task: task.head.id, attempt: task.head.attempt }
}

pub(crate) fn task(client: u64, sequence: u64) -> Task {
    with_flags(client, sequence, Flags::default())
}

pub(crate) fn with_flags(client: u64, sequence: u64, flags: Flags) -> Task {
    let head = TaskHead { flags, backoff_ms: 100, ..TaskHead::new(id(client, sequence), Runtime::Perl) };
    Task::new(head, [], Bytes::new(), vec![0; 10].into())
}

pub(crate) fn outcome(attempt: AttemptId, status: Status, run_us: u64) -> Outcome {
    Outcome {
        head: OutcomeHead {
            id: attempt.task,
            attempt: attempt.attempt,
            status,
            codec: Codec::Own,
            run_us,
            leaves: false,
        },
        report: Bytes::new(),
        payload: if status == Status::Ok { vec![1; 100].into() } else { Default::default() },
    }
}
