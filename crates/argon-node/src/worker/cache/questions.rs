//! Questions of tasks to their clients, and which of them are sent: of several runners that want the same module one asks.
//! Owns who waits for an answer; what an answer means is between client and runner.

use std::collections::BTreeMap;

use argon_core::Time;
use argon_core::pool::RunnerId;
use argon_proto::AttemptId;
use argon_proto::conversation::{Answer, Ask};
use bytes::Bytes;
use serde::Deserialize;

use super::answers::{Answers, KnownAnswer};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    /// By the runner that waits.
    waiting: BTreeMap<RunnerId, Question>,
    pub(crate) answers: Answers,
}

#[derive(Debug)]
struct Question {
    from: AttemptId,
    ask: u32,
    text: Bytes,
    is_about_module: bool,
    is_sent: bool,
}

impl Questions {
    /// A task asks. Returns the answer if it is known; otherwise the question waits for [`Self::take_due`].
    pub(crate) fn ask(
        &mut self,
        now: Time,
        runner: RunnerId,
        Ask { from, ask, question: text }: Ask,
    ) -> Option<Answer> {
        let is_about_module = is_about_module(&text);
        if is_about_module
            && let Some(KnownAnswer { found, bytes }) = self.answers.find(now, from.task.session, &text)
        {
            return Some(Answer { to: from, ask, found, bytes });
        }
        self.waiting.insert(runner, Question { from, ask, text, is_about_module, is_sent: false });
        None
    }

    /// The questions that nobody has sent yet. They count as sent.
    pub(crate) fn take_due(&mut self) -> Vec<Ask> {
        let mut due = Vec::new();
        let ids: Vec<RunnerId> =
            self.waiting.iter().filter(|(_, question)| !question.is_sent).map(|(id, _)| *id).collect();
        for id in ids {
            let question = &self.waiting[&id];
            if self.waiting.values().any(|other| other.is_sent && question.is_same(other)) {
                continue;
            }
            due.push(Ask { from: question.from, ask: question.ask, question: question.text.clone() });
            self.waiting.entry(id).and_modify(|question| question.is_sent = true);
        }
        due
    }

    /// Every question is sent again over a new connection.
    pub(crate) fn on_manager_found(&mut self) {
        self.waiting.values_mut().for_each(|question| question.is_sent = false);
    }

    /// True if the runner waits for an answer.
    pub(crate) fn waits(&self, runner: RunnerId) -> bool {
        self.waiting.contains_key(&runner)
    }

    /// The runner waits no longer: its task has ended. `true` if it did.
    pub(crate) fn forget(&mut self, runner: RunnerId) -> bool {
        self.waiting.remove(&runner).is_some()
    }

    /// A client has answered. Returns the answers for all runners that wait for it.
    pub(crate) fn on_answer(&mut self, now: Time, answer: Answer) -> Vec<(RunnerId, Answer)> {
        let Answer { to, ask, found, bytes } = answer;
        // A question that was sent again over a new connection may be answered twice.
        let asked = self.waiting.iter().find(|(_, question)| question.from == to && question.ask == ask);
        let Some((id, asked)) = asked.map(|(id, _)| *id).and_then(|id| Some((id, self.waiting.remove(&id)?)))
        else {
            return Vec::new();
        };
        let mut answers = vec![(id, Answer { to, ask, found, bytes: bytes.clone() })];
        self.waiting.retain(|id, question| {
            let is_answered = question.is_same(&asked);
            if is_answered {
                let (to, ask) = (question.from, question.ask);
                answers.push((*id, Answer { to, ask, found, bytes: bytes.clone() }));
            }
            !is_answered
        });
        // A "no" without words is the manager's: the client is away, and may answer another time.
        if asked.is_about_module && (found || !bytes.is_empty()) {
            self.answers.keep(now, to.task.session, &asked.text, &KnownAnswer { found, bytes });
        }
        answers
    }
}

impl Question {
    /// True if both tasks are of one session and ask for the same module.
    fn is_same(&self, other: &Self) -> bool {
        self.is_about_module && self.from.task.session == other.from.task.session && self.text == other.text
    }
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
    use argon_proto::{Attempt, SessionId, TaskId};

    use super::*;

    fn ask(session: u8, sequence: u64, text: &'static str) -> Ask {
        let task = TaskId { session: SessionId([session; 16]), sequence };
        Ask {
            from: AttemptId { task, attempt: Attempt(1) },
            ask: 1,
            question: Bytes::from_static(text.as_bytes()),
        }
    }

    fn answer(to: &Ask, bytes: &'static str) -> Answer {
        Answer { to: to.from, ask: to.ask, found: true, bytes: Bytes::from_static(bytes.as_bytes()) }
    }

    const A_MODULE: &str = r#"{"kind":"perl-module","name":"A.pm"}"#;
    const STDIN: &str = r#"{"kind":"stdin","offset":0,"bytes":9}"#;

    #[test]
    fn of_the_runners_of_a_session_that_want_a_module_one_asks_and_all_are_answered() {
        let mut questions = Questions::default();
        let asks = [ask(1, 1, A_MODULE), ask(1, 2, A_MODULE), ask(2, 1, A_MODULE)];
        for (id, ask) in (1..).map(RunnerId).zip(&asks) {
            assert_eq!(questions.ask(Time(0), id, ask.clone()), None);
        }
        assert_eq!(questions.take_due(), [asks[0].clone(), asks[2].clone()]);
        assert_eq!(questions.take_due(), []);
        let answers = questions.on_answer(Time(0), answer(&asks[0], "text"));
        assert_eq!(
            answers,
            [(RunnerId(1), answer(&asks[0], "text")), (RunnerId(2), answer(&asks[1], "text"))]
        );
        assert_eq!(questions.on_answer(Time(0), answer(&asks[0], "text")), []);
        assert_eq!(questions.ask(Time(1), RunnerId(1), asks[0].clone()), Some(answer(&asks[0], "text")));
    }

    #[test]
    fn when_the_one_that_asked_has_ended_another_asks() {
        let mut questions = Questions::default();
        let asks = [ask(1, 1, A_MODULE), ask(1, 2, A_MODULE)];
        questions.ask(Time(0), RunnerId(1), asks[0].clone());
        questions.ask(Time(0), RunnerId(2), asks[1].clone());
        assert_eq!(questions.take_due(), [asks[0].clone()]);
        assert!(questions.forget(RunnerId(1)) && !questions.forget(RunnerId(1)));
        assert_eq!(questions.take_due(), [asks[1].clone()]);
        questions.on_manager_found();
        assert_eq!(questions.take_due(), [asks[1].clone()]);
    }

    #[test]
    fn other_questions_are_each_runners_own() {
        let mut questions = Questions::default();
        let asks = [ask(1, 1, STDIN), ask(1, 2, STDIN)];
        questions.ask(Time(0), RunnerId(1), asks[0].clone());
        questions.ask(Time(0), RunnerId(2), asks[1].clone());
        assert_eq!(questions.take_due(), asks.clone());
        assert_eq!(questions.on_answer(Time(0), answer(&asks[0], "x")).len(), 1);
        assert_eq!(questions.ask(Time(0), RunnerId(1), asks[0].clone()), None, "it is not kept");
    }

    #[test]
    fn only_questions_about_modules_are_shared() {
        assert!(is_about_module(A_MODULE.as_bytes()));
        assert!(is_about_module(br#"{"kind":"python-module","name":"a.b"}"#));
        assert!(!is_about_module(STDIN.as_bytes()));
        assert!(!is_about_module(b"nothing"));
    }
}
