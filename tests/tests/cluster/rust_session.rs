//! The Rust client's session against the real program: any runtime by bytes, live output, losses, detached tasks.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use argon::{Client, Codec, Connect, ErrorKind, Event, Request, Runtime, Status, TaskOptions};
use argon_tests::Cluster;
use serde_json::{Map, Value, json};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(60), future).await.expect("it ends within a minute")
    })
}

async fn connect(cluster: &Cluster) -> Client {
    Connect::to(cluster.address()).key_file(cluster.key()).connect().await.unwrap()
}

/// A Perl function by name, with plain data.
fn perl(function: &str, arguments: &Value) -> Request {
    Request {
        runtime: Runtime::Perl,
        codec: Codec::Json,
        blobs: argon::Blobs::default(),
        meta: json!({"call": function}).to_string().into(),
        payload: arguments.to_string().into_bytes().into(),
        options: TaskOptions::new(),
    }
}

fn value(outcome: &argon::Outcome) -> Value {
    assert_eq!(outcome.head.status, Status::Ok, "{outcome:?}");
    serde_json::from_slice(&outcome.payload.to_contiguous()).unwrap()
}

#[test]
fn a_function_of_perl_is_called_by_name_with_plain_data() {
    let cluster = Cluster::with_workers(&[1]);
    let outcome = block_on(async {
        let client = connect(&cluster).await;
        client.run(perl("List::Util::sum", &json!([1, 2, 39]))).await.unwrap()
    });
    assert_eq!(value(&outcome), 42);
}

#[test]
fn log_records_of_a_python_task_reach_the_hook() {
    let cluster = Cluster::with_workers(&[1]);
    let records = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&records);
    block_on(async {
        // A panic in the hook costs that record alone.
        let hook = move |record: &argon::LogRecord| {
            kept.lock().unwrap().push(record.clone());
            assert_ne!(record.message, "first");
        };
        let client =
            Connect::to(cluster.address()).key_file(cluster.key()).on_log(hook).connect().await.unwrap();
        for text in ["first", "disk full"] {
            client.call(argon::python::<()>("logging:warning", (text,))).await.unwrap();
        }
    });
    let records = records.lock().unwrap();
    let told: Vec<_> = records.iter().map(|record| (record.level, &record.message[..])).collect();
    assert_eq!(told, [(30, "first"), (30, "disk full")]);
    assert!(records[1].line > 0 && !records[1].file.is_empty() && records[1].time > 0.0, "{records:?}");
}

#[test]
fn what_a_task_prints_arrives_in_order_before_its_end() {
    let cluster = Cluster::with_workers(&[1]);
    block_on(async {
        let client = connect(&cluster).await;
        let script = "for n in 1 2 3; do echo out $n; echo err $n >&2; done";
        let mut running = client.start(command(&["sh", "-c", script])).unwrap();
        let mut printed = [Vec::new(), Vec::new()];
        while let Some(event) = running.next().await {
            match event {
                Event::Output { fd, bytes, .. } => printed[usize::from(fd) - 1].extend_from_slice(&bytes),
                Event::Asked(asked) => asked.refuse(),
                Event::Ended(end) => assert_eq!(end.unwrap().head.status, Status::Ok),
            }
        }
        assert_eq!(printed, [b"out 1\nout 2\nout 3\n".to_vec(), b"err 1\nerr 2\nerr 3\n".to_vec()]);
    });
}

#[test]
fn tasks_survive_a_manager_that_is_killed_and_started_again() {
    let mut cluster = Cluster::with_workers(&[2]);
    block_on(async {
        let client = connect(&cluster).await;
        let mut running: Vec<_> =
            (0..500).map(|n| client.start(perl("List::Util::sum", &json!([n, 1]))).unwrap()).collect();
        let first = running.remove(0).outcome().await.unwrap();
        assert_eq!(value(&first), 1);
        cluster.kill_manager();
        cluster.start_manager();
        for (n, running) in (1..).zip(running) {
            assert_eq!(value(&running.outcome().await.unwrap()), n + 1);
        }
    });
}

#[test]
fn a_detached_task_is_collected_by_another_client() {
    let cluster = Cluster::with_workers(&[1]);
    block_on(async {
        let id =
            connect(&cluster).await.submit_request(perl("List::Util::sum", &json!([20, 22]))).await.unwrap();
        let other = connect(&cluster).await;
        assert_eq!(value(&other.collect_outcome(id).await.unwrap()), 42);
    });
}

#[test]
fn a_running_task_is_cancelled() {
    let cluster = Cluster::with_workers(&[1]);
    block_on(async {
        let client = connect(&cluster).await;
        let running = client.start(perl("Time::HiRes::sleep", &json!([60]))).unwrap();
        running.cancel();
        assert_eq!(running.outcome().await.unwrap().head.status, Status::Cancelled);
    });
}

#[test]
fn a_manager_is_asked_and_answers() {
    let cluster = Cluster::with_workers(&[3]);
    block_on(async {
        let client = connect(&cluster).await;
        let status = client.request("status", Map::new()).await.unwrap();
        assert_eq!(status["ok"], true);
        let error = client.request("dance", Map::new()).await.unwrap_err();
        assert!(error.to_string().contains("does not know the request 'dance'"), "{error}");
    });
}

#[test]
fn who_has_no_manager_or_a_wrong_key_is_told_soon() {
    let cluster = Cluster::start();
    let other = cluster.folder().join("other-key");
    argon_net::key_file::find_or_make(Some(&other)).unwrap();
    block_on(async {
        let error = Connect::to(cluster.address()).key_file(&other).connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable);
        assert!(error.to_string().contains("the key does not open"), "{error}");
        let error = Connect::to("127.0.0.1:1").key_file(cluster.key()).connect().await.unwrap_err();
        assert!(error.to_string().contains("is it running"), "{error}");
        // The second address serves when the first does not.
        let client = Connect::to(["127.0.0.1:1", cluster.address()]).key_file(cluster.key());
        client.connect().await.unwrap();
    });
}

#[test]
fn an_executable_that_does_not_start_there_is_one_clear_error() {
    let cluster = Cluster::with_workers(&[1]);
    let request = |program: &'static [u8]| Request {
        runtime: Runtime::Native,
        codec: Codec::Own,
        blobs: [argon::Blob::new(program)].into_iter().collect(),
        meta: json!({"call": "anything"}).to_string().into(),
        payload: Vec::new().into(),
        options: TaskOptions::new(),
    };
    block_on(async {
        let client = connect(&cluster).await;
        // An executable of another machine: no kernel here can start it.
        let foreign = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xff\xff\x01\0\0\0";
        let outcome = client.run(request(foreign)).await.unwrap();
        let error = argon::Error::from_outcome(&outcome);
        assert_eq!(error.kind(), ErrorKind::Died);
        assert!(error.to_string().contains("statically"), "{error}");
        // One that ends without a word.
        let outcome =
            client.run(request(b"#!/bin/sh\necho GLIBC_9.99 not found >&2; exit 1\n")).await.unwrap();
        let error = argon::Error::from_outcome(&outcome);
        assert_eq!(error.kind(), ErrorKind::Died);
        assert!(format!("{error:?}").contains("GLIBC_9.99 not found"), "{error:?}");
    });
}

fn command(argv: &[&str]) -> Request {
    Request {
        runtime: Runtime::Exec,
        codec: Codec::Own,
        blobs: argon::Blobs::default(),
        meta: json!({"argv": argv}).to_string().into(),
        payload: Vec::new().into(),
        options: TaskOptions::new(),
    }
}

#[test]
fn a_task_whose_output_nobody_reads_holds_up_nobody_else() {
    let cluster = Cluster::with_workers(&[2]);
    block_on(async {
        let client = connect(&cluster).await;
        let mut endless = client.start(command(&["yes"])).unwrap();
        assert!(matches!(endless.next().await, Some(Event::Output { fd: 1, .. })));
        for n in 0..200 {
            let sum = client.run(perl("List::Util::sum", &json!([n, 1]))).await.unwrap();
            assert_eq!(value(&sum), n + 1);
        }
        // What was printed meanwhile is at most the window and what lay in the pipe.
        endless.cancel();
        let mut bytes_read = 0;
        while let Some(event) = endless.next().await {
            match event {
                Event::Output { bytes, .. } => bytes_read += bytes.len(),
                Event::Asked(asked) => asked.refuse(),
                Event::Ended(end) => assert_eq!(end.unwrap().head.status, Status::Cancelled),
            }
        }
        assert!(bytes_read <= 4 << 20, "{bytes_read} bytes came unread");
    });
}

#[test]
fn a_client_that_is_dropped_says_goodbye_and_its_tasks_end_at_once() {
    let mut cluster = Cluster::with_workers(&[1]);
    block_on(async {
        let client = connect(&cluster).await;
        let mut running = client.start(command(&["sh", "-c", "echo up; exec sleep 600"])).unwrap();
        assert!(matches!(running.next().await, Some(Event::Output { .. })));
        drop((client, running));
    });
    // The grace of a lost client would be a minute.
    cluster.wait_for_status("the task to be gone", |status| {
        status["running"].as_array().is_some_and(Vec::is_empty)
    });
}

#[test]
fn many_threads_share_a_client() {
    let cluster = Cluster::with_workers(&[2]);
    let client = Connect::to(cluster.address()).key_file(cluster.key()).connect_blocking().unwrap();
    let threads: Vec<_> = (0..8)
        .map(|n: u64| {
            let client = client.clone();
            std::thread::spawn(move || {
                let calls = (0..200).map(|m| argon::perl::<u64>("List::Util::sum", (n, m)));
                client.map(calls).ahead(16).map(Result::unwrap).sum::<u64>()
            })
        })
        .collect();
    for (n, thread) in (0..).zip(threads) {
        assert_eq!(thread.join().unwrap(), 200 * n + 19_900);
    }
}

/// A client that notes why it waits.
async fn noting(cluster: &Cluster) -> (Client, std::sync::mpsc::Receiver<argon::Waiting>) {
    let (notes, noted) = std::sync::mpsc::channel();
    let connect = Connect::to(cluster.address()).key_file(cluster.key());
    let connect = connect.on_waiting(move |waiting| notes.send(waiting.clone()).unwrap_or(()));
    (connect.connect().await.unwrap(), noted)
}

async fn next_note(noted: &std::sync::mpsc::Receiver<argon::Waiting>) -> argon::Waiting {
    loop {
        if let Ok(waiting) = noted.try_recv() {
            return waiting;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn a_client_that_waits_learns_why_once_for_each_reason() {
    let mut cluster = Cluster::start();
    block_on(async {
        let (client, noted) = noting(&cluster).await;
        let lone = client.queue(argon::perl::<u64>("List::Util::sum", (1, 2)));
        let note = async {
            let waiting = next_note(&noted).await;
            assert_eq!((&*waiting.code, waiting.tasks), ("no_worker", 1), "{waiting:?}");
            assert!(waiting.message.contains("argon worker"), "{waiting:?}");
            cluster.add_worker(&["--workers", "1"]);
        };
        let (sum, ()) = tokio::join!(lone, note);
        assert_eq!(sum.unwrap(), 3);
        assert!(noted.try_recv().is_err(), "once");

        let running = client.start(perl("Time::HiRes::sleep", &json!([60]))).unwrap();
        cluster.kill_manager();
        let waiting = next_note(&noted).await;
        assert_eq!(waiting.code, "manager_away", "{waiting:?}");
        assert!(waiting.message.contains(cluster.address()), "{waiting:?}");
        drop(running);
    });
}

#[test]
fn leaving_a_wait_cancels_what_was_waited_for() {
    let cluster = Cluster::with_workers(&[1]);
    block_on(async {
        let client = connect(&cluster).await;
        let within = Duration::from_millis(300);
        let nap = client.queue(argon::perl::<f64>("Time::HiRes::sleep", (600,)));
        assert!(tokio::time::timeout(within, nap).await.is_err());
        let run = client.run(perl("Time::HiRes::sleep", &json!([600])));
        assert!(tokio::time::timeout(within, run).await.is_err());
        // The only slot is free again.
        assert_eq!(client.queue(argon::perl::<u64>("List::Util::sum", (1, 2))).await.unwrap(), 3);
        // What is deferred goes on, as its documentation says.
        drop(client.defer(argon::perl::<f64>("Time::HiRes::sleep", (600,))));
        while client.request("status", Map::new()).await.unwrap()["running"] == json!([]) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}
