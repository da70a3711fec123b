//! A runner serves one session; runners come from templates and are kept within bounds.

use argon_proto::conversation::worker::{FromWorker, ToWorker};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::*;

impl Worker {
    /// Runs a body for the session of this number; returns its value.
    async fn value_for(&mut self, session: u8, body: &str) -> serde_json::Value {
        let (hash, payload) = shipment(body);
        self.sequence += 1;
        let mut task = task(self.sequence, body);
        task.head.id.session = SessionId([session; 16]);
        let attempt = task.attempt_id();
        self.say(ToWorker::Blob(Blob { hash, payload }));
        self.say(run_of(task));
        let outcome = self.outcome(attempt).await;
        assert_eq!(outcome.head.status, Status::Ok, "{outcome:?}");
        value(&outcome)
    }
}

/// The children of this process whose title is that of a template.
fn templates() -> Vec<Pid> {
    let threads = std::fs::read_dir("/proc/self/task").expect("threads").flatten();
    let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    let pids: Vec<i32> = lists
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect();
    let is_template = |pid: &i32| {
        std::fs::read_to_string(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.starts_with("argon perl template"))
    };
    pids.into_iter().filter(is_template).map(Pid::from_raw).collect()
}

#[test]
fn sessions_that_take_turns_keep_a_process_each() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        let mut pids = Vec::new();
        for _ in 0..3 {
            for session in [1, 2, 3] {
                pids.push(worker.value_for(session, "our $n++; [$$, $n]").await);
            }
        }
        for session in 0..3 {
            let of_session: Vec<_> = (0..3).map(|turn| &pids[3 * turn + session]).collect();
            for (turn, value) in (1..).zip(&of_session) {
                assert_eq!((&value[0], &value[1]), (&of_session[0][0], &serde_json::json!(turn)));
            }
            assert!(pids.iter().filter(|value| value[0] == of_session[0][0]).count() == 3, "{pids:?}");
        }
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn without_room_for_idle_runners_each_turn_has_a_new_process() {
    on_one_thread(async {
        let mut worker = Worker::start(WorkerConfig { runners_max: 1, ..config() }).await;
        let one = worker.value_for(1, "$$").await;
        let two = worker.value_for(2, "$$").await;
        gone(one.as_i64().expect("a pid")).await;
        assert_ne!(worker.value_for(1, "$$").await, one);
        gone(two.as_i64().expect("a pid")).await;
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn a_template_that_was_killed_is_started_again() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        assert_eq!(worker.value_for(1, "1").await, 1);
        let killed = templates();
        assert_eq!(killed.len(), 1, "{killed:?}");
        kill(killed[0], Signal::SIGKILL).expect("killed");
        gone(killed[0].as_raw().into()).await;
        // Tasks go on meanwhile, those of new sessions too.
        for session in 2..6 {
            assert_eq!(worker.value_for(session, "2").await, 2);
        }
        within("another template", async {
            while !templates().iter().any(|pid| *pid != killed[0]) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
        worker.end(StopLevel::Drain).await;
        assert_eq!(templates(), []);
    });
}

#[test]
fn a_runner_that_died_is_replaced_by_a_fork_with_nothing_of_the_session_in_it() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        assert_eq!(worker.value_for(1, "our $kept = 5").await, 5);
        let dying = worker.run_as("exit 3", |head| head.id.session = SessionId([1; 16]));
        let dying = AttemptId { task: TaskId { session: SessionId([1; 16]), ..dying.task }, ..dying };
        assert_eq!(worker.outcome(dying).await.head.status, Status::Died);
        assert_eq!(worker.value_for(1, "our $kept // 'none'").await, "none");
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn a_limit_on_memory_holds_in_a_forked_runner() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        let attempt = worker.run_as("length('x' x 200_000_000)", |head| head.memory_mib = 100);
        let outcome = worker.outcome(attempt).await;
        assert_eq!(outcome.head.status, Status::Died, "{outcome:?}");
        let attempt = worker.run_as("length('x' x 20_000_000)", |head| head.memory_mib = 100);
        assert_eq!(value(&worker.outcome(attempt).await), 20_000_000);
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn the_manager_learns_of_the_runners() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        assert_eq!(worker.value_for(1, "1").await, 1);
        let report = worker.hear("RUNNERS", |message| match message {
            FromWorker::Runners(report) if report.idle.values().sum::<u32>() > 0 => Some(report.clone()),
            _ => None,
        });
        let report = report.await;
        assert!(report.templates.iter().any(|name| name.starts_with("perl")), "{report:?}");
        worker.end(StopLevel::Drain).await;
    });
}
