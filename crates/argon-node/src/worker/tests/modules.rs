//! Modules from the client: asked for once in a session, whatever becomes of the runner that asked.

use super::*;
use argon_proto::conversation::worker::{FromWorker, ToWorker};
use argon_proto::conversation::{Answer, Ask};

const TEXT: &[u8] = b"package Only::There; sub where { 'here' } 1;";
const BODY: &str = "require Only::There; Only::There::where()";

fn question(message: &FromWorker) -> Option<(AttemptId, u32)> {
    match message {
        FromWorker::Ask(Ask { from, ask, .. }) => Some((*from, *ask)),
        _ => None,
    }
}

fn two_slots() -> WorkerConfig {
    WorkerConfig { slots: 2, ..config() }
}

impl Worker {
    fn answer(&self, (to, ask): (AttemptId, u32), found: bool, text: &'static [u8]) {
        self.say(ToWorker::Answer(Answer { to, ask, found, bytes: Bytes::from_static(text) }));
    }

    fn has_unread_question(&self) -> bool {
        self.unread.iter().any(|message| question(message).is_some())
    }
}

#[test]
fn two_runners_that_want_one_module_ask_once_and_a_third_not_at_all() {
    on_one_thread(async {
        let mut worker = Worker::start(two_slots()).await;
        // Both are known to have begun, and one is known to wait for the other's answer when both are answered at once.
        let body = format!("$| = 1; print 'begun'; {BODY}");
        let tasks = [worker.run(&body), worker.run(&body)];
        let asked = worker.hear("ASK", question).await;
        for task in tasks {
            worker.output_of(task).await;
        }
        worker.answer(asked, true, TEXT);
        for task in tasks {
            assert_eq!(value(&worker.outcome(task).await), "here");
        }
        let third = worker.run(&format!("{BODY}; exit 3"));
        assert_eq!(worker.outcome(third).await.head.status, Status::Died);
        assert_eq!(worker.value_of(BODY).await, "here");
        assert_eq!(worker.value_of(&format!("{BODY} . '!'")).await, "here!");
        assert!(!worker.has_unread_question());
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn another_runner_asks_when_the_one_that_asked_has_died() {
    on_one_thread(async {
        let mut worker = Worker::start(two_slots()).await;
        let first = worker.run(BODY);
        let asked = worker.hear("ASK", question).await;
        let second = worker.run(&format!("$| = 1; print 'begun'; {BODY}"));
        worker.output_of(second).await;
        assert!(!worker.has_unread_question());
        worker.say(ToWorker::Stop(vec![first]));
        let again = worker.hear("ASK by the other", question).await;
        assert_eq!(again.0, second);
        worker.answer(asked, true, b"die 'the answer to a task that is gone'");
        worker.answer(again, true, TEXT);
        assert_eq!(value(&worker.outcome(second).await), "here");
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn a_refusal_of_the_client_is_kept_and_one_of_the_manager_is_not() {
    on_one_thread(async {
        let mut worker = Worker::start(WorkerConfig { max_requests: 1, ..config() }).await;
        let failing = |sequence| format!("eval {{ require Only::There }}; 'x{sequence}' . $@");
        let first = worker.run(&failing(1));
        let asked = worker.hear("ASK", question).await;
        // Without words it is the manager's answer: the runner asks again.
        worker.answer(asked, false, b"");
        let asked = worker.hear("ASK again", question).await;
        worker.answer(asked, false, b"it is a secret");
        let said = value(&worker.outcome(first).await);
        assert!(said.as_str().is_some_and(|said| said.contains("it is a secret")), "{said}");
        let said = worker.value_of(&failing(2)).await;
        assert!(said.as_str().is_some_and(|said| said.contains("it is a secret")), "{said}");
        worker.end(StopLevel::Drain).await;
    });
}
