//! Answers of clients about modules, kept by session and question, so that a client answers each question once.

use std::time::Duration;

use argon_core::Time;
use argon_proto::{ByteLru, SessionId};
use bytes::Bytes;
use rustc_hash::FxHashMap;

/// Memory of all answers together; the sessions not used for longest go first.
const ANSWERS_BYTES: u64 = 64 << 20;
/// Number of sessions whose answers are kept.
const SESSIONS_MAX: usize = 1024;
/// The answers of a session that has no task here and has asked nothing for this time are dropped.
const IDLE_LIMIT: Duration = Duration::from_secs(600);
/// Memory of an answer in addition to its bytes.
const ANSWER_OVERHEAD_BYTES: usize = 128;

/// See the module.
#[derive(Debug)]
pub(crate) struct Answers {
    sessions: ByteLru<SessionId, SessionAnswers>,
    bytes_max: u64,
    /// When to look for idle sessions; set while there are any sessions.
    look_at: Option<Time>,
}

#[derive(Debug)]
struct SessionAnswers {
    answers: FxHashMap<Bytes, KnownAnswer>,
    used: Time,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownAnswer {
    pub(crate) found: bool,
    pub(crate) bytes: Bytes,
}

impl Default for Answers {
    fn default() -> Self {
        Self { sessions: ByteLru::default(), bytes_max: ANSWERS_BYTES, look_at: None }
    }
}

impl Answers {
    /// The answer to a question of a session. Counts as a use.
    pub(crate) fn find(&mut self, now: Time, session: SessionId, question: &Bytes) -> Option<KnownAnswer> {
        let kept = self.sessions.get(&session)?;
        kept.used = now;
        kept.answers.get(question).cloned()
    }

    /// Keeps an answer.
    pub(crate) fn keep(&mut self, now: Time, session: SessionId, question: &Bytes, answer: &KnownAnswer) {
        let bytes = (question.len() + answer.bytes.len() + ANSWER_OVERHEAD_BYTES) as u64;
        if bytes > self.bytes_max || self.find(now, session, question).is_some() {
            return;
        }
        self.sessions.shrink_to(self.bytes_max - bytes, |_| false);
        if !self.sessions.contains(&session) {
            if self.sessions.len() >= SESSIONS_MAX {
                self.sessions.pop_oldest();
            }
            self.sessions.insert(session, SessionAnswers { answers: FxHashMap::default(), used: now }, 0);
        }
        self.sessions.grow(&session, bytes);
        let Some(kept) = self.sessions.get(&session) else { return };
        // Copies: what arrived shares its memory with whatever else one read brought.
        let answer = KnownAnswer { found: answer.found, bytes: Bytes::copy_from_slice(&answer.bytes) };
        kept.answers.insert(Bytes::copy_from_slice(question), answer);
        kept.used = now;
        self.look_at.get_or_insert(now + IDLE_LIMIT);
    }

    /// When [`Self::drop_idle`] has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.look_at
    }

    /// Drops the answers of sessions that were idle for long. `is_here` is true for a session that has a task here.
    pub(crate) fn drop_idle(&mut self, now: Time, is_here: impl Fn(SessionId) -> bool) {
        let is_idle = |(session, kept): &(&SessionId, &SessionAnswers)| {
            now >= kept.used + IDLE_LIMIT && !is_here(**session)
        };
        let idle: Vec<SessionId> =
            self.sessions.iter().filter(is_idle).map(|(session, _)| *session).collect();
        for session in idle {
            self.sessions.remove(&session);
        }
        let next = self.sessions.iter().next().map(|(_, kept)| kept.used + IDLE_LIMIT);
        // A session that stays for its tasks is looked at again after a whole turn.
        self.look_at = next.map(|at| if at <= now { now + IDLE_LIMIT } else { at });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SessionId = SessionId([1; 16]);
    const B: SessionId = SessionId([2; 16]);

    fn question(name: &str) -> Bytes {
        Bytes::from(format!(r#"{{"kind":"perl-module","name":"{name}"}}"#))
    }

    fn yes(length: usize) -> KnownAnswer {
        KnownAnswer { found: true, bytes: vec![b'x'; length].into() }
    }

    #[test]
    fn answers_are_those_of_the_session_that_got_them_refusals_too() {
        let mut answers = Answers::default();
        let no = KnownAnswer { found: false, bytes: Bytes::from_static(b"not here") };
        answers.keep(Time(0), A, &question("One.pm"), &yes(3));
        answers.keep(Time(0), B, &question("One.pm"), &no);
        assert_eq!(answers.find(Time(1), A, &question("One.pm")), Some(yes(3)));
        assert_eq!(answers.find(Time(1), B, &question("One.pm")), Some(no));
        assert_eq!(answers.find(Time(1), A, &question("Two.pm")), None);
    }

    #[test]
    fn the_session_not_used_for_longest_makes_room() {
        let mut answers = Answers { bytes_max: 1000, ..Answers::default() };
        answers.keep(Time(1), A, &question("A.pm"), &yes(300));
        answers.keep(Time(2), B, &question("B.pm"), &yes(300));
        assert!(answers.find(Time(3), A, &question("A.pm")).is_some());
        answers.keep(Time(4), A, &question("C.pm"), &yes(300));
        assert!(answers.find(Time(5), B, &question("B.pm")).is_none());
        assert!(answers.find(Time(5), A, &question("C.pm")).is_some());
        answers.keep(Time(6), B, &question("B.pm"), &yes(1001));
        assert!(answers.find(Time(6), B, &question("B.pm")).is_none(), "it is too big for all of the room");
        for number in 0..=SESSIONS_MAX {
            let session = SessionId((number as u128).to_be_bytes());
            answers.bytes_max = ANSWERS_BYTES;
            answers.keep(Time(7 + number as u64), session, &question("A.pm"), &yes(1));
        }
        assert_eq!(answers.sessions.len(), SESSIONS_MAX);
    }

    #[test]
    fn idle_sessions_are_dropped_unless_they_have_a_task_here() {
        let mut answers = Answers::default();
        answers.keep(Time(0), A, &question("A.pm"), &yes(5));
        answers.keep(Time(0), B, &question("A.pm"), &yes(5));
        let due = answers.next_deadline().expect("there are sessions");
        assert_eq!(due, Time(0) + IDLE_LIMIT);
        answers.drop_idle(due, |session| session == B);
        assert_eq!(answers.next_deadline(), Some(due + IDLE_LIMIT));
        assert!(answers.find(due, A, &question("A.pm")).is_none());
        assert!(answers.find(due, B, &question("A.pm")).is_some());
        answers.drop_idle(due + IDLE_LIMIT, |_| false);
        assert_eq!((answers.sessions.bytes(), answers.next_deadline()), (0, None));
    }
}
