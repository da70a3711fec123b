//! A client process: the production machine of a session, and what its user waits for.

use std::collections::BTreeMap;
use std::time::Duration;

use argon_proto::conversation::Incoming;
use argon_proto::conversation::client::{Open, ToManager};
use argon_proto::frame::Decoder;
use argon_proto::{AttemptId, AttemptToken, RunnerId, Secret, WorkerId};
use argon_session::{Out, SessionState};

use crate::clock::Clock;
use crate::dial_state::DialState;
use crate::event::Event;
use crate::random::Random;

/// Time for which a simulated client seeks its first manager: a user would start it again.
const FIRST_WITHIN: Duration = Duration::from_secs(1 << 20);

/// The attempt that a client belongs to, and where it runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parent {
    pub(crate) attempt: AttemptId,
    /// The worker, by its place.
    pub(crate) worker: usize,
    pub(crate) worker_id: WorkerId,
    pub(crate) token: AttemptToken,
    pub(crate) runner: RunnerId,
}

/// A client process, or the client inside a task.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) parent: Option<Parent>,
    pub(crate) is_alive: bool,
    pub(crate) clock: Clock,
    pub(crate) dial: DialState,
    pub(crate) frozen: u32,
    pub(crate) stalled: Vec<Event>,
    pub(crate) machine: SessionState,
    pub(crate) out: Out,
    /// Reads what the machine writes on its present connection.
    pub(crate) written: Decoder<Incoming<ToManager>>,
    /// Group of all its tasks, whose ends are taken as they come.
    pub(crate) group: u64,
    pub(crate) timer: Option<u64>,
    pub(crate) steps: u64,
    /// Numbers of its tasks, by their place in the plan, until each has ended.
    pub(crate) numbers: BTreeMap<usize, u64>,
    /// Places of detached tasks that it collects, by the number of the wait.
    pub(crate) collects: BTreeMap<u64, usize>,
}

impl Client {
    pub(crate) fn new(random: &mut Random) -> Self {
        Self::with(Open::of(random.secret()), None, Clock::new(0, random.below(1 << 40), 0))
    }

    /// A place for the tasks of rogues, which no honest client waits for.
    pub(crate) fn never_alive() -> Self {
        let open = Open::of(Secret::new([0; 32]));
        Self { is_alive: false, ..Self::with(open, None, Clock::new(0, 0, 0)) }
    }

    /// The client inside a task: its session is of the family of the task's.
    pub(crate) fn inside(parent: Parent, clock: Clock, random: &mut Random) -> Self {
        let family = parent.attempt.task.session.family();
        Self::with(Open::of_child(family, random.secret()), Some(parent), clock)
    }

    fn with(open: Open, parent: Option<Parent>, clock: Clock) -> Self {
        let mut machine = SessionState::new(open, 1, FIRST_WITHIN);
        Self {
            is_alive: true,
            parent,
            clock,
            dial: DialState::default(),
            frozen: 0,
            stalled: Vec::new(),
            group: machine.open_group(),
            machine,
            out: Out::default(),
            written: Decoder::default(),
            timer: None,
            steps: 0,
            numbers: BTreeMap::new(),
            collects: BTreeMap::new(),
        }
    }

    pub(crate) fn waits(&self) -> bool {
        !self.numbers.is_empty() || !self.collects.is_empty()
    }

    /// Places of tasks for whose ends it waits.
    pub(crate) fn waits_for(&self) -> impl Iterator<Item = usize> + '_ {
        self.numbers.keys().chain(self.collects.values()).copied()
    }
}
