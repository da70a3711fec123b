//! The pages for machines that watch a manager: alive, ready, metrics; who may read them; and what strangers cannot do there.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use argon_tests::{Cluster, PATIENCE, wait_for};
use serde_json::Value;

/// An answer of a manager.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Sends bytes and reads the answer until the other side closes.
pub(crate) fn exchange(address: &str, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("not an answer of HTTP: {text}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Answer { status: status.expect("a status"), head: head.to_owned(), body: body.to_owned() }
}

pub(crate) fn get(address: &str, path: &str, headers: &str) -> Answer {
    exchange(address, format!("GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n").as_bytes())
}

/// The line that a command of this cluster prints.
fn line_of(cluster: &mut Cluster, arguments: &[&str]) -> String {
    let command = cluster.argon(arguments);
    let finished = cluster.run(command, "key").finish(PATIENCE);
    assert!(finished.status.success(), "{}", finished.stderr);
    finished.stdout.trim().to_owned()
}

pub(crate) fn token(cluster: &mut Cluster) -> String {
    line_of(cluster, &["key", "--metrics-token"])
}

fn with_token(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// The value of a sample, by its name and labels.
pub(crate) fn value(page: &str, sample: &str) -> Option<f64> {
    let line = page.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok())
}

#[test]
fn a_manager_says_that_it_is_alive_and_ready_without_a_key_and_nothing_more() {
    let cluster = Cluster::start();
    for (path, word) in [("/healthz", "alive\n"), ("/readyz", "ready\n"), ("/readyz?verbose", "ready\n")] {
        let answer = get(cluster.address(), path, "");
        assert_eq!((answer.status, answer.body.as_str()), (200, word), "{path}");
        assert!(answer.head.contains("Content-Type: text/plain"), "{}", answer.head);
        assert!(answer.head.contains("Cache-Control: no-store"), "{}", answer.head);
    }
    let head = exchange(cluster.address(), b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert!(head.head.contains("Content-Length: 6"), "{}", head.head);
}

// kind: input is not code | requests of HTTP that the manager's port does not answer | loud | 400, 404, 405, 431 or 505 with a sentence
#[test]
fn what_is_not_a_page_is_refused_with_a_sentence() {
    let mut cluster = Cluster::with_workers(&[1]);
    let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(9000));
    for (request, status, word) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], 404, "argon status"),
        (b"POST /healthz HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi", 405, "GET or HEAD"),
        (b"GET /healthz HTTP/3.0\r\n\r\n", 505, "HTTP/1.1"),
        (b"GET /healthz\r\n\r\n", 400, "not a request"),
        (b"GET /\x01 HTTP/1.1\r\n\r\n", 400, "not a request"),
        (long.as_bytes(), 431, "8192 bytes"),
    ] {
        let answer = exchange(cluster.address(), request);
        assert_eq!(answer.status, status, "{}", answer.body);
        assert!(answer.body.contains(word), "{}", answer.body);
    }
    assert_eq!(cluster.perl("print $client->queue(sub { $_[0] * 2 }, [21])"), "42");
}

#[test]
fn metrics_are_for_the_holder_of_a_token_and_count_what_happened() {
    let mut cluster = Cluster::with_workers(&[2]);
    cluster.perl("$client->queue(sub { $_[0] }, [$_]) for 1..5; eval { $client->queue(sub { die 'x' }) }");
    let without = get(cluster.address(), "/metrics", "");
    assert_eq!((without.status, without.head.contains("WWW-Authenticate: Bearer")), (401, true));
    assert!(without.body.contains("argon key --metrics-token"), "{}", without.body);
    for wrong in ["x".to_owned(), format!("argon1-metrics-{}", "0".repeat(64))] {
        let answer = get(cluster.address(), "/metrics", &with_token(&wrong));
        assert_eq!((answer.status, answer.body.contains("does not open")), (401, true), "{}", answer.body);
    }
    let key = std::fs::read_to_string(cluster.key()).unwrap();
    let answer = get(cluster.address(), "/metrics", &with_token(key.lines().next().unwrap()));
    assert_eq!(answer.status, 401, "the key itself is not sent over HTTP");

    let token = token(&mut cluster);
    let page = get(cluster.address(), "/metrics", &with_token(&token));
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(page.head.contains("Content-Type: text/plain; version=0.0.4"), "{}", page.head);
    for (sample, expected) in [
        ("argon_tasks_submitted_total", 6.0),
        ("argon_tasks_ended_total{outcome=\"ok\"}", 5.0),
        ("argon_tasks_ended_total{outcome=\"error\"}", 1.0),
        ("argon_attempts_started_total", 6.0),
        ("argon_workers{state=\"ready\"}", 1.0),
        ("argon_slots", 2.0),
        ("argon_slots_busy", 0.0),
        ("argon_tasks_queued{priority=\"normal\"}", 0.0),
        ("argon_connections{role=\"worker\"}", 1.0),
        ("argon_connections_admitted_total{role=\"client\"}", 1.0),
        ("argon_task_phase_seconds_count{phase=\"queued\"}", 6.0),
        ("argon_task_phase_seconds_count{phase=\"running\"}", 6.0),
        ("argon_task_phase_seconds_count{phase=\"total\"}", 6.0),
        ("argon_http_answers_total{status=\"401\"}", 4.0),
    ] {
        assert_eq!(value(&page.body, sample), Some(expected), "{sample} in {}", page.body);
    }
    for sample in ["argon_received_bytes_total", "argon_sent_bytes_total", "process_resident_memory_bytes"] {
        assert!(value(&page.body, sample).is_some_and(|bytes| bytes > 500.0), "{sample} in {}", page.body);
    }
}

#[test]
fn the_token_of_a_person_opens_metrics_until_the_key_is_revoked() {
    let mut cluster = Cluster::start();
    let address = cluster.address().to_owned();
    let file = cluster.folder().join("wall.key").display().to_string();
    let add = ["key", "add", "wall", "--role", "observer", "--out", &file, "--manager", &address];
    line_of(&mut cluster, &add);
    let mut command = Command::new(argon_tests::argon());
    command.args(["key", "--metrics-token", "--key", &file]);
    let printed = cluster.run(command, "token").finish(PATIENCE);
    let token = printed.stdout.trim().to_owned();
    assert!(token.ends_with("-wall"), "{}", printed.stderr);
    assert_eq!(get(&address, "/metrics", &with_token(&token)).status, 200);
    line_of(&mut cluster, &["key", "revoke", "wall", "--manager", &address]);
    let answer = get(&address, "/metrics", &with_token(&token));
    assert_eq!((answer.status, answer.body.contains("was revoked")), (401, true), "{}", answer.body);
    let client = cluster.folder().join("client.key").display().to_string();
    line_of(&mut cluster, &["key", "--role", "client", "--out", &client]);
    let mut command = Command::new(argon_tests::argon());
    command.args(["key", "--metrics-token", "--key", &client]);
    let refused = cluster.run(command, "token").finish(PATIENCE);
    assert_eq!(refused.status.code(), Some(4));
    assert!(refused.stderr.contains("observer"), "{}", refused.stderr);
}

#[test]
fn a_pool_that_finishes_what_runs_is_alive_and_not_ready() {
    let mut cluster = Cluster::start();
    let command = cluster.argon(&["up", "--port", "0", "--slots", "1"]);
    let mut pool = cluster.run(command, "up");
    let address = pool.ready("addr");
    assert_eq!(get(&address, "/readyz", "").status, 200);
    let gate = cluster.folder().join("gate");
    let line = format!("touch begun; until [ -e '{}' ]; do sleep 0.05; done", gate.display());
    let folder = cluster.folder().to_owned();
    let mut command = cluster.argon(&["run", "--manager", &address]);
    command.args(["--", "sh", "-c", &line]).current_dir(&folder);
    let task = cluster.run(command, "task");
    wait_for("the task to begin", PATIENCE, || folder.join("begun").exists().then_some(()));
    pool.signal(libc::SIGTERM);
    wait_for("the pool to say that it is not ready", PATIENCE, || {
        let answer = get(&address, "/readyz", "");
        (answer.status == 503 && answer.body.contains("asked to stop")).then_some(())
    });
    assert_eq!(get(&address, "/healthz", "").status, 200);
    std::fs::write(gate, "").unwrap();
    assert!(task.finish(PATIENCE).status.success());
    assert!(pool.finish(PATIENCE).status.success());
}

#[test]
fn a_flood_of_requests_that_do_not_end_keeps_no_client_waiting() {
    let mut cluster = Cluster::with_workers(&[1]);
    assert_eq!(cluster.perl("print $client->queue(sub { 'warm' })"), "warm");
    let half = |_| {
        let mut stream = TcpStream::connect(cluster.address()).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nX: ").unwrap();
        stream
    };
    let held: Vec<TcpStream> = (0..1000).map(half).collect();
    assert_eq!(cluster.perl("my $n = 0; $n += $client->queue(sub { 1 }) for 1..20; print $n"), "20");
    // Each is closed in time, as every peer that has proven nothing.
    for mut stream in held {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty(), "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(get(cluster.address(), "/healthz", "").status, 200);
}

#[test]
fn refused_handshakes_are_counted_by_their_reason() {
    let mut cluster = Cluster::start();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(cluster.address()).unwrap();
        stream.write_all(b"\x00\x01garbage").unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    }
    let token = token(&mut cluster);
    let page = get(cluster.address(), "/metrics", &with_token(&token));
    let refused = value(&page.body, "argon_handshakes_refused_total{reason=\"stranger\"}");
    assert_eq!(refused, Some(3.0), "{}", page.body);
}

/// The lines of a process on standard error, as JSON.
fn json_lines(text: &str) -> Vec<Value> {
    let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    text.lines().map(read).collect()
}

#[test]
fn the_log_is_one_json_object_a_line_where_that_is_asked_for() {
    let mut cluster = Cluster::start_with(&["--log-format", "json"]);
    cluster.add_worker(&["--slots", "1", "--log-format", "json"]);
    let mut command = cluster.argon(&["up", "--port", "0", "--host", "127.0.0.1", "--log-format", "json"]);
    command.env("JOURNAL_STREAM", "1:2");
    let mut pool = cluster.run(command, "up");
    pool.ready("addr");
    let manager = cluster.manager.as_ref().unwrap();
    let logs = [manager.stderr(), pool.stderr()].map(|text| json_lines(&text));
    for event in logs.iter().flatten() {
        let has = |name: &str| event[name].is_string();
        assert!(has("time") && has("level") && has("message"), "{event}");
    }
    let joined =
        |event: &Value| event["message"].as_str().is_some_and(|text| text.contains("joined with 1 slots"));
    assert!(logs[0].iter().any(joined), "{:?}", logs[0]);
    // A mistake of the command line comes before there is a log; a failure behind that is an event.
    let address = cluster.address().to_owned();
    let port = address.rsplit(':').next().unwrap();
    let command = cluster.argon(&["manager", "--port", port, "--log-format", "json"]);
    let failed = cluster.run(command, "second").finish(PATIENCE);
    let events = json_lines(&failed.stderr);
    let is_in_use =
        |event: &Value| event["message"].as_str().is_some_and(|text| text.contains("another program"));
    assert!(events.iter().any(is_in_use), "{}", failed.stderr);
}

#[test]
fn lines_for_the_journal_have_a_priority_and_no_time() {
    let cluster = Cluster::start();
    // The shell names the file that its standard error is, as systemd does.
    let line = "JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec \"$0\" \"$@\"";
    let mut command = Command::new("sh");
    command.arg("-c").arg(line).arg(argon_tests::argon());
    command.args(["up", "--port", "0", "--slots", "1", "--key"]).arg(cluster.key());
    let mut cluster = cluster;
    let mut pool = cluster.run(command, "up");
    pool.ready("addr");
    let text = pool.stderr();
    assert!(text.contains("<6>"), "{text}");
    assert!(text.lines().all(|line| line.starts_with("<6>") || line.starts_with("<4>")), "{text}");
}
