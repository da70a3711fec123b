//! Processes that have the cluster's key and lie: when they are there, and what they have seen.

use std::fmt;

use argon_proto::conversation::worker::Run;
use argon_proto::{Secret, SessionId, TaskId, Ticket, WorkerId};

use crate::dial_state::DialState;
use crate::random::Random;

/// About as many times a rogue acts.
const ACTS: u64 = 60;

/// Attempts and tasks of its own that a rogue remembers.
pub(crate) const REMEMBERED: usize = 32;

/// One lying process, from its plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoguePlan {
    /// Number that decides its lies: they stay the same when other parts of the plan are left out.
    pub number: u64,
    /// When it first dials, microseconds of true time.
    pub at: u64,
    /// Duration of its stay.
    pub lasts: u64,
    /// Role that it claims.
    pub role: RogueRole,
    /// Longest pause between two of its acts.
    pub pause_us: u64,
    /// Percent of its acts that repeat one message many times.
    pub floods: u64,
}

/// The role that a rogue has proven the key for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RogueRole {
    /// Is given tasks, and may do with them what a worker may.
    Worker,
    /// Opens sessions.
    Client,
}

/// A lying process.
#[derive(Debug)]
pub(crate) struct Rogue {
    pub(crate) plan: RoguePlan,
    pub(crate) random: Random,
    pub(crate) is_active: bool,
    pub(crate) dial: DialState,
    pub(crate) secret: Secret,
    /// Its own identity as a worker.
    pub(crate) worker: WorkerId,
    /// Its own session.
    pub(crate) session: SessionId,
    /// The last tasks that it was given to run, whether it still holds them or not.
    pub(crate) runs: Vec<Run>,
    /// Tickets of the last of its own detached tasks.
    pub(crate) tickets: Vec<Ticket>,
    /// Ids of the last tasks that it has submitted.
    pub(crate) own: Vec<TaskId>,
    /// Sequence number of the last of them.
    pub(crate) submitted: u64,
}

/// The rogues of a run; most runs have none.
pub(crate) fn mixed(span: u64, random: &mut Random) -> Vec<RoguePlan> {
    let count = random.one_of(&[0, 0, 0, 1, 1, 2]);
    let role = |random: &mut Random| random.one_of(&[RogueRole::Worker, RogueRole::Client]);
    (0..count)
        .map(|_| {
            let lasts = random.spread(50_000, 20_000_000);
            RoguePlan {
                number: random.next(),
                at: if random.percent(50) { 0 } else { random.below(span) },
                lasts,
                role: role(random),
                pause_us: random.one_of(&[1_000, 50_000, 1_000_000]).max(lasts / ACTS),
                floods: random.one_of(&[0, 0, 0, 2]),
            }
        })
        .collect()
}

impl Rogue {
    pub(crate) fn new(plan: RoguePlan) -> Self {
        let mut random = Random::new(plan.number);
        let secret = random.secret();
        Self {
            is_active: false,
            dial: DialState::default(),
            worker: WorkerId::of(&secret),
            session: SessionId::of(&secret),
            secret,
            runs: Vec::new(),
            tickets: Vec::new(),
            own: Vec::new(),
            submitted: 0,
            random,
            plan,
        }
    }
}

impl fmt::Display for RoguePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, lasts) = (self.at as f64 / 1e6, self.lasts as f64 / 1e6);
        write!(f, "at {at:.6} s for {lasts:.6} s: a lying {:?}", self.role)
    }
}
