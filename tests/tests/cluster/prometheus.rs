//! A real Prometheus reads a manager, its tool accepts the page and the rules that we ship, and each query of the dashboard
//! names metrics that there are.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use argon_tests::{Cluster, PATIENCE, Process, wait_for};
use serde_json::Value;

use crate::monitoring::{get, token};

fn ops(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../ops").join(file)
}

/// Starts a Prometheus that reads the cluster's manager; returns its address, too.
fn start_prometheus(cluster: &mut Cluster) -> (Process, String) {
    let token = token(cluster);
    let folder = cluster.folder().to_owned();
    std::fs::write(folder.join("argon.token"), token).unwrap();
    std::fs::copy(ops("prometheus/alerts.yml"), folder.join("alerts.yml")).unwrap();
    let text = std::fs::read_to_string(ops("prometheus/prometheus.yml")).unwrap();
    let text = text.replace("127.0.0.1:8000", cluster.address());
    let global = "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\n";
    std::fs::write(folder.join("prometheus.yml"), format!("{global}{text}")).unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut command = Command::new("prometheus");
    command.arg("--config.file=prometheus.yml").arg("--storage.tsdb.path=data").current_dir(&folder);
    command.arg(format!("--web.listen-address={address}"));
    (cluster.run(command, "prometheus"), address)
}

/// The value of a query with one result.
fn query(address: &str, text: &str) -> Option<f64> {
    let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let answer = get(address, &format!("/api/v1/query?query={encoded}"), "Connection: close\r\n");
    let json: Value = serde_json::from_str(answer.body.trim()).ok()?;
    json["data"]["result"][0]["value"][1].as_str()?.parse().ok()
}

/// Runs promtool; returns what it wrote.
fn promtool(arguments: &[&str], input: Stdio) -> String {
    let mut command = Command::new("promtool");
    command.args(arguments).stdin(input);
    let output = command.output().expect("promtool is there: scripts/setup installs it");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "promtool {arguments:?}: {text}");
    text
}

#[test]
fn a_prometheus_reads_a_manager_and_answers_about_a_run_of_tasks() {
    let mut cluster = Cluster::with_workers(&[2]);
    let (mut prometheus, address) = start_prometheus(&mut cluster);
    cluster.perl("$client->queue(sub { $_[0] }, [$_]) for 1..30");
    let ended = "sum(argon_tasks_ended_total{job=\"argon\",outcome=\"ok\"})";
    wait_for("Prometheus to have read the run", PATIENCE, || {
        assert!(prometheus.is_running(), "{}", prometheus.stderr());
        let is_listening = std::net::TcpStream::connect(&address).is_ok();
        (is_listening && query(&address, ended) == Some(30.0)).then_some(())
    });
    assert_eq!(query(&address, "argon_slots - argon_slots_busy"), Some(2.0));
    let median = "histogram_quantile(0.5, sum by (le) (argon_task_phase_seconds_bucket{phase=\"running\"}))";
    assert!(query(&address, median).is_some_and(|seconds| seconds > 0.0 && seconds < 60.0));
    assert_eq!(query(&address, "ALERTS{alertname=\"ArgonManagerDown\"}"), None);
    prometheus.kill();
}

#[test]
fn promtool_accepts_the_page() {
    let mut cluster = Cluster::with_workers(&[1]);
    cluster.perl("$client->queue(sub { 1 })");
    let token = token(&mut cluster);
    let page = get(cluster.address(), "/metrics", &format!("Authorization: Bearer {token}\r\n"));
    let file = cluster.folder().join("page");
    std::fs::write(&file, page.body).unwrap();
    let found = promtool(&["check", "metrics"], std::fs::File::open(file).unwrap().into());
    assert_eq!(found, "", "promtool has something to say");
}

#[test]
fn promtool_accepts_the_rules_and_their_tests_pass() {
    let rules = ops("prometheus/alerts.yml").display().to_string();
    promtool(&["check", "rules", &rules], Stdio::null());
    let tests = ops("prometheus/alerts_test.yml").display().to_string();
    promtool(&["test", "rules", &tests], Stdio::null());
}

/// Names of metrics in a text.
fn names(text: &str) -> BTreeSet<String> {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = text.split(|letter| !is_letter(letter));
    let base = |word: &str| {
        let ends = ["_bucket", "_sum", "_count"];
        ends.iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word).to_owned()
    };
    words.filter(|word| word.starts_with("argon_") || word.starts_with("process_")).map(base).collect()
}

#[test]
fn rules_dashboard_and_guide_name_only_metrics_that_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let mut cluster =
        Cluster::start_with(&["--store", &folder.path().join("tasks.redb").display().to_string()]);
    let token = token(&mut cluster);
    let page = get(cluster.address(), "/metrics", &format!("Authorization: Bearer {token}\r\n"));
    let types = page.body.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let known: BTreeSet<String> = types.map(str::to_owned).collect();
    let text = std::fs::read_to_string(ops("grafana/argon.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            queries.push(target["expr"].as_str().unwrap().to_owned());
        }
    }
    assert!(queries.len() > 20);
    let rules = std::fs::read_to_string(ops("prometheus/alerts.yml")).unwrap();
    let rules: String = rules.lines().filter(|line| !line.starts_with('#')).collect();
    let guide = std::fs::read_to_string(ops("../docs/guide/monitoring.md")).unwrap();
    let guide_names = names(&guide);
    for name in queries.iter().flat_map(|query| names(query)).chain(names(&rules)).chain(guide_names.clone())
    {
        assert!(known.contains(&name), "{name} is not in the page");
    }
    let missing: Vec<&String> = known.difference(&guide_names).collect();
    assert!(missing.is_empty(), "the guide does not explain {missing:?}");
}
