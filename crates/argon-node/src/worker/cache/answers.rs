//! The text of modules that tasks ask their clients for: each question is asked once for a session, and the answer serves
//! every later runner. Owns the answers and who waits for one; what an answer says is between client and runner.

use std::time::Duration;

use argon_core::Time;
use argon_core::pool::RunnerId;
use argon_proto::conversation::runner::ToRunner;
use argon_proto::conversation::worker::FromWorker;
use argon_proto::conversation::{Answer, Ask};
use argon_proto::{AttemptId, SessionId};
use bytes::Bytes;
use rustc_hash::FxHashMap;
use serde::Deserialize;

use crate::worker::driver::Driver;
use crate::worker::runners::runner::Runner;

/// All answers together hold at most so much; the sessions not used for longest go first.
const ANSWERS_BYTES: usize = 64 << 20;
/// Sessions whose answers are kept.
const SESSIONS_MAX: usize = 1024;
/// The answers of a session that has no task here and asked nothing for so long are dropped.
const IDLE_LIMIT: Duration = Duration::from_secs(600);
/// What an answer costs beside its bytes.
const ANSWER_OVERHEAD_BYTES: usize = 128;

/// A question of a task that waits for its answer.
#[derive(Debug)]
pub(crate) struct Asking {
    ask: u32,
    question: Bytes,
    is_about_module: bool,
    is_sent: bool,
}

/// What clients answered, by session and question.
#[derive(Debug)]
pub(crate) struct Answers {
    sessions: FxHashMap<SessionId, Kept>,
    bytes: usize,
    bytes_max: usize,
    /// When to look for idle sessions; set while there are any sessions.
    look_at: Option<Time>,
}

#[derive(Debug)]
struct Kept {
    answers: FxHashMap<Bytes, KnownAnswer>,
    bytes: usize,
    used: Time,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct KnownAnswer {
    found: bool,
    bytes: Bytes,
}

impl Default for Answers {
    fn default() -> Self {
        Self { sessions: FxHashMap::default(), bytes: 0, bytes_max: ANSWERS_BYTES, look_at: None }
    }
}

impl Asking {
    /// Whether it is the question of this number.
    pub(crate) fn is(&self, ask: u32) -> bool {
        self.ask == ask
    }
}

impl Answers {
    fn find(&mut self, now: Time, session: SessionId, question: &Bytes) -> Option<KnownAnswer> {
        let kept = self.sessions.get_mut(&session)?;
        kept.used = now;
        kept.answers.get(question).cloned()
    }

    fn keep(&mut self, now: Time, session: SessionId, question: &Bytes, answer: &KnownAnswer) {
        let bytes = question.len() + answer.bytes.len() + ANSWER_OVERHEAD_BYTES;
        if bytes > self.bytes_max || self.find(now, session, question).is_some() {
            return;
        }
        let is_new = !self.sessions.contains_key(&session);
        while self.bytes + bytes > self.bytes_max || is_new && self.sessions.len() >= SESSIONS_MAX {
            self.drop_oldest();
        }
        let new = || Kept { answers: FxHashMap::default(), bytes: 0, used: now };
        let kept = self.sessions.entry(session).or_insert_with(new);
        // Copies: what arrived shares its memory with whatever else one read brought.
        let answer = KnownAnswer { found: answer.found, bytes: Bytes::copy_from_slice(&answer.bytes) };
        kept.answers.insert(Bytes::copy_from_slice(question), answer);
        kept.bytes += bytes;
        kept.used = now;
        self.bytes += bytes;
        self.look_at.get_or_insert(now + IDLE_LIMIT);
    }

    fn drop_oldest(&mut self) {
        let oldest = self.sessions.iter().min_by_key(|(_, kept)| kept.used).map(|(session, _)| *session);
        if let Some(kept) = oldest.and_then(|session| self.sessions.remove(&session)) {
            self.bytes -= kept.bytes;
        }
    }

    /// When [`Self::drop_idle`] has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.look_at
    }

    /// Drops the answers of sessions that were idle for long; `is_here` tells of a session whether it has a task here.
    pub(crate) fn drop_idle(&mut self, now: Time, is_here: impl Fn(SessionId) -> bool) {
        self.sessions.retain(|session, kept| {
            let stays = now < kept.used + IDLE_LIMIT || is_here(*session);
            self.bytes -= if stays { 0 } else { kept.bytes };
            stays
        });
        let next = self.sessions.values().map(|kept| kept.used + IDLE_LIMIT).min();
        // A session that stays for its tasks is looked at again after a whole turn.
        self.look_at = next.map(|at| if at <= now { now + IDLE_LIMIT } else { at });
    }
}

impl Driver {
    /// A task asks its client something.
    pub(crate) fn on_ask(&mut self, id: RunnerId, ask: u32, question: Bytes) {
        let Some(runner) = self.runners.get_mut(&id) else {
            return;
        };
        let Some(current) = runner.hands.current() else {
            return self.complain(id, "it asked a question outside of any task".to_owned());
        };
        let to = current.attempt;
        let is_about_module = is_about_module(&question);
        if is_about_module
            && let Some(KnownAnswer { found, bytes }) =
                self.answers.find(self.now, to.task.session, &question)
        {
            return runner.say(ToRunner::Answer(Answer { to, ask, found, bytes }));
        }
        runner.asking = Some(Asking { ask, question, is_about_module, is_sent: false });
        self.ask_clients();
    }

    /// Sends the questions that nobody has asked yet. Of several runners that want the same module one asks.
    pub(crate) fn ask_clients(&mut self) {
        if !self.is_linked {
            return;
        }
        for id in self.runners.keys().copied().collect::<Vec<_>>() {
            let Some((from, asking)) = self.runners.get(&id).and_then(Runner::question) else {
                continue;
            };
            let is_due = !asking.is_sent
                && !self
                    .runners
                    .values()
                    .filter_map(Runner::question)
                    .any(|(other_from, other)| other.is_sent && is_same(asking, from, other, other_from));
            if is_due {
                let (ask, question) = (asking.ask, asking.question.clone());
                self.tell(FromWorker::Ask(Ask { from, ask, question }));
                if let Some(asking) = self.runners.get_mut(&id).and_then(|runner| runner.asking.as_mut()) {
                    asking.is_sent = true;
                }
            }
        }
    }

    /// A new connection carries every question anew.
    pub(crate) fn ask_clients_again(&mut self) {
        for asking in self.runners.values_mut().filter_map(|runner| runner.asking.as_mut()) {
            asking.is_sent = false;
        }
        self.ask_clients();
    }

    pub(crate) fn on_answer(&mut self, answer: Answer) {
        let Answer { to, ask, found, bytes } = answer;
        if self.on_stdin(to, ask, found, &bytes) {
            return;
        }
        let runner = self.runner_of(to);
        // A question that was asked again on a new connection may be answered twice.
        let asked = runner.and_then(|runner| {
            let asking = runner.asking.take_if(|asking| asking.ask == ask)?;
            runner.say(ToRunner::Answer(Answer { to, ask, found, bytes: bytes.clone() }));
            Some(asking)
        });
        let Some(asked) = asked.filter(|asked| asked.is_about_module) else {
            return;
        };
        for runner in self.runners.values_mut() {
            let Some(from) = runner.hands.current().map(|current| current.attempt) else {
                continue;
            };
            if let Some(asking) = runner.asking.take_if(|asking| is_same(asking, from, &asked, to)) {
                runner.say(ToRunner::Answer(Answer {
                    to: from,
                    ask: asking.ask,
                    found,
                    bytes: bytes.clone(),
                }));
            }
        }
        // A "no" without words is the manager's: the client is away, and may answer another time.
        if found || !bytes.is_empty() {
            self.answers.keep(self.now, to.task.session, &asked.question, &KnownAnswer { found, bytes });
        }
    }
}

impl Runner {
    /// The question of its attempt that waits for an answer.
    fn question(&self) -> Option<(AttemptId, &Asking)> {
        Some((self.hands.current()?.attempt, self.asking.as_ref()?))
    }
}

/// Whether two tasks of one session ask for the same module.
fn is_same(one: &Asking, one_from: AttemptId, other: &Asking, other_from: AttemptId) -> bool {
    one.is_about_module && one_from.task.session == other_from.task.session && one.question == other.question
}

/// Questions whose answer is the same for all tasks of a session.
fn is_about_module(question: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Question {
        kind: String,
    }
    serde_json::from_slice(question)
        .is_ok_and(|Question { kind }| matches!(kind.as_str(), "perl-module" | "python-module"))
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
        assert_eq!((answers.bytes, answers.next_deadline()), (0, None));
    }

    #[test]
    fn only_questions_about_modules_are_shared() {
        assert!(is_about_module(&question("A.pm")));
        assert!(is_about_module(br#"{"kind":"python-module","name":"a.b"}"#));
        assert!(!is_about_module(br#"{"kind":"stdin","offset":0,"bytes":9}"#));
        assert!(!is_about_module(b"nothing"));
    }
}
