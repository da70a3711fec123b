//! Tasks that end well, and the worker's own life.

use super::*;
use argon_proto::conversation::worker::{Drain, FromWorker, ToWorker};
use argon_proto::conversation::{Answer, Ask, Blob, TaskOutput};

#[test]
fn a_task_returns_its_value() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        assert_eq!(worker.value_of("6 * 7").await, 42);
        assert_eq!(worker.value_of("$ENV{ARGON_WORKER} . $ENV{ARGON_ATTEMPT}").await, "test1");
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn a_runner_finds_a_scrubbed_environment_and_no_descriptor_of_others() {
    on_one_thread(async {
        let mut worker = Worker::start(WorkerConfig { slots: 2, ..config() }).await;
        let names = worker
            .value_of("join ' ', grep { !/^(LC_|PATH$|HOME$|LANG$|TZ$|TMPDIR$|.*_THREADS$)/ } sort keys %ENV")
            .await;
        assert_eq!(names, "ARGON_ATTEMPT ARGON_TASK_ID ARGON_TASK_TOKEN ARGON_WORKER");
        let share = std::thread::available_parallelism().map_or(1, |cpus| (cpus.get() / 2).max(1));
        let threads = worker.value_of("join ' ', @ENV{qw(OMP_NUM_THREADS RAYON_NUM_THREADS)}").await;
        assert_eq!(threads, format!("{share} {share}"));
        let sockets = "scalar grep { (readlink(qq{/proc/self/fd/$_}) // '') =~ /^socket/ } 0 .. 255";
        assert_eq!(worker.value_of(sockets).await, 1);
        assert_eq!(worker.value_of("getpgrp() == $$ ? 'leader' : 'member'").await, "leader");
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn a_runner_is_replaced_after_so_many_tasks() {
    on_one_thread(async {
        let mut worker = Worker::start(WorkerConfig { max_requests: 2, ..config() }).await;
        let pids = [worker.value_of("$$").await, worker.value_of("$$").await, worker.value_of("$$").await];
        assert_eq!(pids[0], pids[1]);
        assert_ne!(pids[1], pids[2]);
        gone(pids[0].as_i64().expect("a pid")).await;
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn a_blob_right_behind_its_task_is_not_asked_for() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        // Both are there before the worker looks at either.
        worker.say(run_of(task(1, "'found'")));
        let (hash, payload) = shipment("'found'");
        worker.say(ToWorker::Blob(Blob { hash, payload }));
        assert_eq!(value(&worker.outcome(attempt(1)).await), "found");
        assert!(!worker.unread.iter().any(|message| matches!(message, FromWorker::NeedBlob(_))));
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn a_task_without_its_blob_waits_and_asks() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        worker.say(run_of(task(77, "'found'")));
        let (hash, payload) = shipment("'found'");
        let asked = |message: &FromWorker| match message {
            FromWorker::NeedBlob(hashes) => Some(hashes.clone()),
            _ => None,
        };
        assert_eq!(worker.hear("NEED_BLOB", asked).await, [hash]);
        // The connection breaks: the task is held, and asked for again.
        worker.send(LinkEvent::Lost);
        let registered = worker.register().await;
        assert_eq!(registered, [Held { attempt: attempt(77), token: AttemptToken(77) }]);
        assert_eq!(worker.hear("NEED_BLOB again", asked).await, [hash]);
        worker.say(ToWorker::Blob(Blob { hash, payload }));
        assert_eq!(value(&worker.outcome(attempt(77)).await), "found");
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn what_has_not_started_is_recalled_and_what_runs_is_not() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        let running = worker.run("print 1; sleep 1000");
        worker.output_of(running).await;
        let waiting = [worker.run("1"), worker.run("2"), worker.run("3")];
        worker.say(ToWorker::Recall(2));
        let returned = |message: &FromWorker| match message {
            FromWorker::Returned(attempts) => Some(attempts.clone()),
            _ => None,
        };
        assert_eq!(worker.hear("RETURNED", returned).await, waiting[1..]);
        worker.end(StopLevel::End).await;
    });
}

#[test]
fn outcomes_without_a_manager_are_told_to_the_next_with_their_output_first() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        let folder = tempfile::tempdir().expect("a folder");
        let flag = folder.path().join("flag");
        let flag = flag.display();
        let late = worker.run(&format!(
            "print qq{{before\\n}}; select undef, undef, undef, 0.002 while !-e '{flag}'; print qq{{after\\n}}; unlink '{flag}'; 8"
        ));
        assert_eq!(worker.output_of(late).await, "before\n");
        worker.send(LinkEvent::Lost);
        std::fs::write(flag.to_string(), "").expect("a file");
        within("the task's end", async {
            while std::path::Path::new(&flag.to_string()).exists() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
        let registered = worker.register().await;
        assert_eq!(registered.len(), 1);
        let mut printed = String::new();
        let outcome = loop {
            match within("output and outcome", worker.said.recv()).await.expect("the worker runs") {
                FromWorker::Output(TaskOutput { bytes, .. }) => {
                    printed.push_str(&String::from_utf8_lossy(&bytes))
                }
                FromWorker::Outcome(outcome) => break outcome,
                _ => {}
            }
        };
        assert_eq!((printed.as_str(), value(&outcome)), ("after\n", 8.into()));
        worker.say(ToWorker::Settled(vec![late]));
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn a_question_goes_to_the_manager_and_its_answer_to_the_runner() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        let asking = worker.run("require Only::There; Only::There::where()");
        let question = |message: &FromWorker| match message {
            FromWorker::Ask(Ask { from, ask, question }) => Some((*from, *ask, question.clone())),
            _ => None,
        };
        let (from, ask, json) = worker.hear("ASK", question).await;
        assert_eq!(from, asking);
        assert!(String::from_utf8_lossy(&json).contains("Only/There.pm"));
        worker.send(LinkEvent::Lost);
        worker.register().await;
        assert_eq!(worker.hear("ASK again", question).await.1, ask);
        let answer = ToWorker::Answer(Answer {
            to: asking,
            ask,
            found: true,
            bytes: Bytes::from_static(b"package Only::There; sub where { 'here' } 1;"),
        });
        worker.say(answer.clone());
        worker.say(answer);
        assert_eq!(value(&worker.outcome(asking).await), "here");
        assert_eq!(worker.value_of("6").await, 6);
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn a_draining_worker_finishes_what_runs_returns_the_rest_and_leaves() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        let running = worker.run("print 1; select undef, undef, undef, 0.3; 'done'");
        worker.output_of(running).await;
        let waiting = worker.run("2");
        worker.stop.send(StopLevel::Drain).expect("the worker runs");
        let returned = worker.hear("RETURNED", |message| match message {
            FromWorker::Returned(attempts) => Some(attempts.clone()),
            _ => None,
        });
        assert_eq!(returned.await, [waiting]);
        worker.hear("DRAINING", |message| matches!(message, FromWorker::Draining(_)).then_some(())).await;
        assert_eq!(value(&worker.outcome(running).await), "done");
        worker.hear("GOODBYE", |message| matches!(message, FromWorker::Goodbye(_)).then_some(())).await;
        within("the end", worker.handle).await.expect("no panic").expect("a good end");
    });
}

#[test]
fn a_drain_that_takes_too_long_ends_the_tasks_without_an_outcome() {
    on_one_thread(async {
        let limit = Duration::from_millis(200);
        let mut worker = Worker::start(WorkerConfig { drain_limit: limit, ..config() }).await;
        let running = worker.run("print qq{$$\\n}; sleep 1000");
        let pid = worker.output_of(running).await;
        worker.stop.send(StopLevel::Drain).expect("the worker runs");
        worker.hear("GOODBYE", |message| matches!(message, FromWorker::Goodbye(_)).then_some(())).await;
        within("the end", worker.handle).await.expect("no panic").expect("a good end");
        gone(pid.trim().parse().expect("a pid")).await;
        let is_outcome = |message: &FromWorker| matches!(message, FromWorker::Outcome(_));
        assert!(!worker.unread.iter().any(is_outcome) && worker.said.try_recv().is_err());
    });
}

#[test]
fn a_drain_that_a_manager_wants_waits_beyond_the_limit_of_a_signal_and_a_signal_then_sets_it() {
    on_one_thread(async {
        let limit = Duration::from_millis(100);
        let mut worker = Worker::start(WorkerConfig { drain_limit: limit, ..config() }).await;
        let running = worker.run("print 1; select undef, undef, undef, 0.6; 'done'");
        worker.output_of(running).await;
        worker.say(ToWorker::Drain(Drain::default()));
        worker.say(ToWorker::Drain(Drain { within_ms: Some(60_000) }));
        worker.hear("DRAINING", |message| matches!(message, FromWorker::Draining(_)).then_some(())).await;
        assert_eq!(value(&worker.outcome(running).await), "done");
        worker.hear("GOODBYE", |message| matches!(message, FromWorker::Goodbye(_)).then_some(())).await;
        within("the end", worker.handle).await.expect("no panic").expect("a good end");

        let mut worker = Worker::start(WorkerConfig { drain_limit: limit, ..config() }).await;
        let running = worker.run("print 1; sleep 1000");
        worker.output_of(running).await;
        worker.say(ToWorker::Drain(Drain::default()));
        worker.hear("DRAINING", |message| matches!(message, FromWorker::Draining(_)).then_some(())).await;
        worker.stop.send(StopLevel::Drain).expect("the worker runs");
        within("the end", worker.handle).await.expect("no panic").expect("a good end");
    });
}

#[test]
fn a_manager_may_limit_a_drain() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        let running = worker.run("print 1; sleep 1000");
        worker.output_of(running).await;
        worker.say(ToWorker::Drain(Drain { within_ms: Some(200) }));
        worker.hear("GOODBYE", |message| matches!(message, FromWorker::Goodbye(_)).then_some(())).await;
        within("the end", worker.handle).await.expect("no panic").expect("a good end");
    });
}

#[test]
fn big_arguments_and_results_pass() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        assert_eq!(worker.value_of("'x' x 3_000_000").await.as_str().map(str::len), Some(3_000_000));
        let body = "length $_[0]";
        let (hash, payload) = shipment(body);
        worker.say(ToWorker::Blob(Blob { hash, payload }));
        let argument = serde_json::to_vec(&["y".repeat(5_000_000)]).expect("JSON");
        let mut task = task(500, body);
        task.payload = argument.into();
        worker.say(run_of(task));
        assert_eq!(value(&worker.outcome(attempt(500)).await), 5_000_000);
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn a_small_task_that_is_handed_ahead_does_not_pass_a_big_one() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        let body = "length $_[0]";
        let (hash, payload) = shipment(body);
        worker.say(ToWorker::Blob(Blob { hash, payload }));
        // By the last ones the worker knows that these tasks are short, and hands them ahead.
        let lengths = [3; 100].into_iter().chain([300_000, 3, 300_000, 3, 300_000, 3]);
        let lengths: Vec<usize> = lengths.collect();
        for (sequence, length) in (1..).zip(&lengths) {
            let mut task = task(sequence, body);
            task.payload = serde_json::to_vec(&["y".repeat(*length)]).expect("JSON").into();
            worker.say(run_of(task));
            if sequence == 100 {
                worker.outcome(attempt(100)).await;
            }
        }
        for (sequence, length) in (1..).zip(lengths).filter(|(sequence, _)| *sequence != 100) {
            assert_eq!(value(&worker.outcome(attempt(sequence)).await), length);
        }
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn a_worker_that_drains_without_a_manager_leaves_when_its_tasks_are_done() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        let running = worker.run("print 1; select undef, undef, undef, 0.1; 1");
        worker.output_of(running).await;
        worker.run("2");
        worker.send(LinkEvent::Lost);
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn a_runner_that_cannot_be_started_sends_tasks_elsewhere_until_it_can() {
    on_one_thread(async {
        let folder = tempfile::tempdir().expect("a folder");
        let perl = folder.path().join("perl");
        let path = std::env::var("PATH").expect("a PATH");
        let real = path
            .split(':')
            .map(|folder| format!("{folder}/perl"))
            .find(|perl| std::fs::exists(perl).is_ok_and(|is| is));
        let link = || std::os::unix::fs::symlink(real.as_ref().expect("a perl"), &perl).expect("a link");
        link();
        let config = WorkerConfig { perl: Some(perl.clone()), has_templates: false, ..config() };
        let mut worker = Worker::start(config).await;
        assert_eq!(worker.value_of("1").await, 1);
        std::fs::remove_file(&perl).expect("removed");
        let dying = worker.run("exit 1");
        assert_eq!(worker.outcome(dying).await.head.status, Status::Died);
        let waiting = worker.run("2");
        let returned = worker.hear("RETURNED", |message| match message {
            FromWorker::Returned(attempts) => Some(attempts.clone()),
            _ => None,
        });
        assert_eq!(returned.await, [waiting]);
        link();
        loop {
            // It may come back once more before the next try to start a runner.
            let attempt = worker.run("3");
            let came = worker.hear("an answer", |message| match message {
                FromWorker::Returned(attempts) => Some(attempts.contains(&attempt)),
                FromWorker::Outcome(outcome) => Some(outcome.head.id != attempt.task),
                _ => None,
            });
            if !came.await {
                worker.say(ToWorker::Settled(vec![attempt]));
                break;
            }
        }
        worker.end(StopLevel::Drain).await;
    });
}
