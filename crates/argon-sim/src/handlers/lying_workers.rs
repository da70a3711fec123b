//! Messages of a lying worker.

use argon_proto::conversation::child::{Child, ChildOpen, TaskToken};
use argon_proto::conversation::client::Open;
use argon_proto::conversation::worker::{Draining, FromWorker, Held, Lent, Register, RunnersReport};
use argon_proto::conversation::{Ask, Goodbye, TaskOutput};
use argon_proto::{
    Attempt, AttemptId, AttemptToken, BlobHash, Codec, Incarnation, Outcome, OutcomeHead, Status, WorkerId,
};
use bytes::Bytes;

use crate::handlers::rogues::pick;
use crate::world::World;

impl World {
    pub(crate) fn worker_lie(&mut self, place: usize) -> FromWorker {
        match self.rogues[place].random.below(40) {
            0..12 => FromWorker::Outcome(self.outcome_lie(place)),
            12..19 => FromWorker::Returned(self.attempt_lies(place, 3)),
            19..25 => {
                let attempt = self.overheard_attempt(place);
                FromWorker::Lent(Lent { attempt, waits: self.rogues[place].random.percent(60) })
            }
            25..29 => FromWorker::NeedBlob(self.hash_lies(place)),
            29..32 => {
                let from = self.overheard_attempt(place);
                let fd = self.rogues[place].random.one_of(&[1, 2, 3]);
                FromWorker::Output(TaskOutput { from, fd, bytes: Bytes::from_static(b"\x1b]lies\n") })
            }
            32..34 => {
                let from = self.overheard_attempt(place);
                FromWorker::Ask(Ask { from, ask: 1, question: Bytes::from_static(b"{}") })
            }
            34 => FromWorker::Runners(RunnersReport { idle_bytes: u64::MAX, ..RunnersReport::default() }),
            35 => FromWorker::Draining(Draining { reason: "\x1b[2J".into() }),
            36 => FromWorker::Goodbye(Goodbye::default()),
            37 => FromWorker::Held(self.held_lies(place)),
            _ => FromWorker::Register(Box::new(self.register_lie(place))),
        }
    }

    pub(crate) fn register_lie(&mut self, place: usize) -> Register {
        let worker = self.worker_id_lie(place);
        let previous = self.previous_lie(place);
        let secret = self.rogues[place].secret.clone();
        let random = &mut self.rogues[place].random;
        Register {
            host: "\u{202e}host".into(),
            name: format!("rogue-{place}").into(),
            pid: 0,
            previous,
            release: "rogue".into(),
            run_as: None,
            paused: None,
            sandbox: None,
            runtimes: [("perl".into(), "5.36.0".into())].into(),
            slots: random.one_of(&[1, 1, 2, 8]),
            secret,
            worker,
        }
    }

    /// Attempts that it was given and others, each with its token, that of another attempt, or a made-up one.
    pub(crate) fn held_lies(&mut self, place: usize) -> Vec<Held> {
        let attempts = self.attempt_lies(place, 6);
        let rogue = &mut self.rogues[place];
        let held = attempts.into_iter().map(|attempt| {
            let own = rogue.runs.iter().rev().find(|run| run.task.attempt_id() == attempt);
            let token = own.filter(|_| rogue.random.percent(80)).map(|run| run.token);
            let other = || pick(&mut rogue.random, &rogue.runs).map_or(AttemptToken(7), |run| run.token);
            Held { attempt, token: token.unwrap_or_else(other) }
        });
        held.collect()
    }

    /// The manager that it says it was connected to last.
    pub(crate) fn previous_lie(&mut self, place: usize) -> Option<Incarnation> {
        let present = self.incarnation();
        self.rogues[place].random.one_of(&[None, Some(present), Some(Incarnation([7; 16]))])
    }

    /// Its own id, or that of another worker.
    fn worker_id_lie(&mut self, place: usize) -> WorkerId {
        let rogue = &mut self.rogues[place];
        let other = rogue.random.index(self.workers.len());
        let process = self.workers[other].process.as_ref().filter(|_| rogue.random.percent(20));
        process.map_or(rogue.worker, |process| process.id)
    }

    /// The opening of a client inside an attempt of somebody else.
    pub(crate) fn child_open_lie(&mut self, place: usize) -> ChildOpen {
        let worker = self.worker_id_lie(place);
        let AttemptId { task, attempt } = self.overheard_attempt(place);
        let rogue = &mut self.rogues[place];
        let open = Open::of_child(task.session.family(), rogue.random.secret());
        let token = pick(&mut rogue.random, &rogue.runs).map_or(AttemptToken(7), |run| run.token);
        ChildOpen::new(worker, &Child { token: TaskToken([0; 16]), task, attempt }, token, open)
    }

    fn outcome_lie(&mut self, place: usize) -> Outcome {
        let AttemptId { task, attempt } = self.overheard_attempt(place);
        let random = &mut self.rogues[place].random;
        let status =
            if random.percent(50) { Status::Ok } else { Status::ALL[random.index(Status::ALL.len())] };
        let report =
            random.one_of(&[&b""[..], b"{}", b"{\"message\":\"\\u001b[2J\"}", b"[", b"{\"attempt\":"]);
        let head = OutcomeHead {
            id: task,
            attempt,
            status,
            codec: Codec::Own,
            run_us: random.one_of(&[0, 1_000, u64::MAX]),
            leaves: random.percent(10),
        };
        let bytes = random.index(300);
        Outcome { head, report: Bytes::from_static(report), payload: vec![0xff; bytes].into() }
    }

    fn attempt_lies(&mut self, place: usize, most: u64) -> Vec<AttemptId> {
        let count = self.rogues[place].random.between(0, most);
        let mut lies: Vec<AttemptId> = (0..count).map(|_| self.overheard_attempt(place)).collect();
        let random = &mut self.rogues[place].random;
        if random.percent(20)
            && let Some(last) = lies.last().copied()
        {
            lies.push(last);
            lies.push(AttemptId { attempt: Attempt(u32::MAX), ..last });
            lies.push(AttemptId { attempt: last.attempt.next(), ..last });
        }
        lies
    }

    fn hash_lies(&mut self, place: usize) -> Vec<BlobHash> {
        let random = &mut self.rogues[place].random;
        let count = random.between(0, 20);
        let known = |random: &mut crate::random::Random| self.blobs[random.index(self.blobs.len())].hash;
        (0..count)
            .map(|_| if random.percent(30) { known(random) } else { BlobHash([random.next() as u8; 32]) })
            .collect()
    }
}
