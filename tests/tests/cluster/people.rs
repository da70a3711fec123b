//! Keys of people: made, listed and revoked on a running manager, and what each of them opens.

use std::path::{Path, PathBuf};
use std::time::Duration;

use argon_proto::conversation::admin::{FromAdmin, Question, ToAdmin};
use argon_proto::conversation::client::{ToClient, ToManager};
use argon_proto::handshake::RefusalCode;
use argon_proto::holder::{Holder, KeyId};
use argon_proto::key::{Key, Role};
use argon_tests::{Cluster, Finished, WirePeer, wait_for};
use serde_json::Value;

use crate::support::{counts, lines, many_tasks, sum};

const SOON: Duration = Duration::from_secs(30);

/// A manager whose store survives it.
fn cluster() -> Cluster {
    let mut cluster = Cluster::start();
    cluster.kill_manager();
    let store = cluster.folder().join("tasks.redb").display().to_string();
    cluster.set_manager_options(&["--store", &store]);
    cluster.start_manager();
    cluster
}

/// `argon key …` with the cluster key.
fn key(cluster: &mut Cluster, arguments: &[&str]) -> Finished {
    let address = cluster.address().to_owned();
    let command = cluster.argon(&[&["key"], arguments, &["--manager", &address]].concat());
    cluster.run(command, "key").finish(SOON)
}

/// Makes a key and returns its file.
fn add(cluster: &mut Cluster, name: &str, role: &str) -> PathBuf {
    let file = cluster.folder().join(format!("{name}-{role}.key"));
    let out = file.display().to_string();
    let made = key(cluster, &["add", name, "--role", role, "--out", &out]);
    assert!(made.status.success(), "{}", made.stderr);
    file
}

fn listed(cluster: &mut Cluster) -> Vec<Value> {
    let listed = key(cluster, &["list", "--json"]);
    let json: Value = serde_json::from_str(&listed.stdout).expect("JSON");
    json["keys"].as_array().expect("a list").clone()
}

fn client(cluster: &Cluster, file: &Path) -> Result<WirePeer<ToClient>, RefusalCode> {
    WirePeer::connect(cluster.address(), file, Role::Client).map_err(|refusal| refusal.code)
}

// kind: keys | `argon key revoke` while its holder is connected | right | the connection ends with a sentence, and no other does
#[test]
fn a_revoked_key_opens_nothing_and_what_it_had_opened_is_closed_with_a_sentence() {
    let mut cluster = cluster();
    let (ann, bob) = (add(&mut cluster, "ann", "client"), add(&mut cluster, "bob", "client"));
    let second = add(&mut cluster, "ann", "observer");
    let (mut anns, bobs) =
        (client(&cluster, &ann).expect("in force"), client(&cluster, &bob).expect("in force"));
    let text = key(&mut cluster, &["list"]).stdout;
    assert_eq!(text.matches("in force").count(), 3, "{text}");
    let revoked = key(&mut cluster, &["revoke", "ann"]);
    assert!(revoked.stdout.contains("1 connection was closed"), "{}", revoked.stdout);
    let refusal = anns.refusal();
    assert_eq!(refusal.code, RefusalCode::Key);
    assert!(refusal.message.contains("of ann was revoked"), "{}", refusal.message);
    assert_eq!(client(&cluster, &ann).err(), Some(RefusalCode::Key));
    for program in [
        r#"exec perl -I"$0/perl/lib" -MArgon::Client -e 'Argon::Client->new(hosts => [$ARGV[0]], key => $ARGV[1])->process(sub { 1 })' "$@""#,
        r#"PYTHONPATH="$0/python/src" exec "$0/target/python-venv/bin/python" -c 'import argon, sys; argon.Client(sys.argv[1], key=sys.argv[2]).call(len, [1])' "$@""#,
    ] {
        let mut command = std::process::Command::new("sh");
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        command.args(["-c", program, root, cluster.address()]).arg(&ann);
        let refused = cluster.run(command, "revoked").finish(SOON);
        assert!(refused.stderr.contains("of ann was revoked"), "{program}: {}", refused.stderr);
    }
    assert!(WirePeer::<ToAdmin>::connect(cluster.address(), &second, Role::Observer).is_err());
    // Also for the next manager, which has the store.
    cluster.kill_manager();
    cluster.start_manager();
    assert_eq!(client(&cluster, &ann).err(), Some(RefusalCode::Key));
    client(&cluster, &bob).expect("in force");
    drop(bobs);
    let states: Vec<bool> = listed(&mut cluster).iter().map(|key| key["revoked"].is_null()).collect();
    assert_eq!(states, [false, false, true], "by name: two of ann, one of bob");
    let again = key(&mut cluster, &["revoke", "ann"]);
    assert!(again.stdout.contains("was revoked before"), "{}", again.stdout);
    let unknown = key(&mut cluster, &["revoke", "cy"]);
    assert!(!unknown.status.success() && unknown.stderr.contains("argon key list"), "{}", unknown.stderr);
}

#[test]
fn the_key_of_a_person_opens_its_own_role_and_steers_no_keys() {
    let mut cluster = cluster();
    let text = std::fs::read_to_string(cluster.key()).expect("readable");
    let cluster_key: Key = text.parse().expect("a key");
    for role in ["client", "worker", "observer"] {
        let file = add(&mut cluster, "ann", role);
        let theirs: Key = std::fs::read_to_string(&file).expect("readable").parse().expect("a key");
        let holder = theirs.holder().expect("a person").clone();
        for other in Role::ALL {
            assert_eq!(theirs.for_role(other).is_some(), other.name() == role, "{role} as {other:?}");
            // As a holder of the cluster key could make it: this id is in force for another role, or for nobody.
            let stranger = Holder { id: KeyId([7; 8]), ..holder.clone() };
            for holder in [&holder, &stranger] {
                let forged = cluster_key.of_person(other, holder.clone()).expect("a cluster key");
                let stream = std::net::TcpStream::connect(cluster.address()).expect("listening");
                let opened =
                    WirePeer::<ToAdmin>::over(stream, &forged, other).map_err(|refusal| refusal.code);
                let expected =
                    if other.name() == role && *holder != stranger { None } else { Some(RefusalCode::Key) };
                assert_eq!(opened.err(), expected, "{role} as {other:?}");
            }
        }
        let name = file.display().to_string();
        let address = cluster.address().to_owned();
        for steering in [&["add", "eve", "--role", "client"][..], &["revoke", "ann"], &["list"]] {
            let mut command = std::process::Command::new(argon_tests::argon());
            command.arg("key").args(steering).args(["--key", &name, "--manager", &address]);
            let refused = cluster.run(command, "steering").finish(SOON);
            assert!(!refused.status.success(), "{role} did {steering:?}");
        }
    }
    // Below the commands: a client that asks by itself.
    let ann = cluster.folder().join("ann-client.key");
    let mut ann = client(&cluster, &ann).expect("in force");
    for question in [
        Question::KeyAdd { name: "eve".to_owned(), role: "client".to_owned() },
        Question::KeyList,
        Question::KeyRevoke { key: "ann".to_owned() },
    ] {
        ann.say(ToManager::Request(question.numbered(1)));
        let Some(ToClient::Reply(reply)) = ann.hear() else { panic!("no answer") };
        assert!(!reply.ok && reply.message().contains("only an admin"), "{}", reply.message());
    }
    assert_eq!(listed(&mut cluster).len(), 3);
}

#[test]
fn a_mistake_in_a_new_key_is_found_before_it_is_in_force() {
    let mut cluster = cluster();
    let file = add(&mut cluster, "ann", "client");
    let out = file.display().to_string();
    for (wrong, words) in [
        (&["add", "ann", "--role", "client", "--out", &out][..], "--force"),
        (&["add", "a b", "--role", "client"], "letters, digits"),
        (&["add", "admin", "--role", "client"], "own keys"),
        (&["add", "ann", "--role", "admin"], "client, worker or observer"),
    ] {
        let refused = key(&mut cluster, wrong);
        assert!(!refused.status.success() && refused.stderr.contains(words), "{wrong:?}: {}", refused.stderr);
    }
    // Below the command.
    let mut admin = WirePeer::<ToAdmin>::connect(cluster.address(), &cluster.key(), Role::Admin)
        .expect("the cluster key");
    for (name, role) in
        [("admin", "client"), ("", "client"), ("a\nb", "client"), ("ann", "admin"), ("ann", "king")]
    {
        let question = Question::KeyAdd { name: name.to_owned(), role: role.to_owned() };
        admin.say(FromAdmin::Request(question.numbered(1)));
        let Some(ToAdmin::Reply(reply)) = admin.hear() else { panic!("no answer") };
        assert!(!reply.ok, "{name} {role}");
    }
    assert_eq!(listed(&mut cluster).len(), 1);
    let renewed = key(&mut cluster, &["renew", "ann"]);
    assert_eq!(renewed.stdout, std::fs::read_to_string(&file).expect("readable"), "the same key, once more");
}

/// Runs `argon` with the key in this file.
fn with_key(cluster: &mut Cluster, file: &Path, arguments: &[&str]) -> Finished {
    let mut command = std::process::Command::new(argon_tests::argon());
    command.arg(arguments[0]).arg("--key").arg(file).args(&arguments[1..]);
    command.env("ARGON_MANAGER", cluster.address());
    cluster.run(command, "with-key").finish(SOON)
}

/// The answer to a client's question.
fn asked(peer: &mut WirePeer<ToClient>, question: &Question) -> (bool, String) {
    peer.say(ToManager::Request(question.numbered(1)));
    let Some(ToClient::Reply(reply)) = peer.hear() else { panic!("no answer") };
    (reply.ok, reply.message().to_owned())
}

// kind: keys | `argon cancel` and `argon status` with each person's key in another's place | right | each sees and cancels its own, an observer sees, an admin does all
#[test]
fn a_person_sees_and_cancels_its_own_tasks_and_an_observer_only_sees() {
    let mut cluster = cluster();
    cluster.add_worker(&["--workers", "4"]);
    let (ann, bob) = (add(&mut cluster, "ann", "client"), add(&mut cluster, "bob", "client"));
    let (eve, rack) = (add(&mut cluster, "eve", "observer"), add(&mut cluster, "rack", "worker"));
    let submit = |cluster: &mut Cluster, file: &Path| {
        let submitted = with_key(cluster, file, &["submit", "sleep", "600"]);
        assert!(submitted.status.success(), "{}", submitted.stderr);
        submitted.stdout.trim()[..48].to_owned()
    };
    let ids = [submit(&mut cluster, &ann), submit(&mut cluster, &ann), submit(&mut cluster, &bob)];
    cluster.wait_for_status("three running tasks", |status| status["tasks_running"] == 3);
    let seen = |cluster: &mut Cluster, file: &Path| {
        let status = with_key(cluster, file, &["status", "--json"]);
        let status: Value = serde_json::from_str(&status.stdout).expect("JSON");
        let names = |list: &str| -> Vec<String> {
            let list = status[list].as_array().expect("a list").iter();
            list.map(|one| one["owner"].as_str().expect("a name").to_owned()).collect()
        };
        (names("owners"), names("running").len())
    };
    assert_eq!(seen(&mut cluster, &ann), (vec!["ann".to_owned()], 2));
    assert_eq!(seen(&mut cluster, &bob), (vec!["bob".to_owned()], 1));
    let all = vec!["ann".to_owned(), "bob".to_owned()];
    assert_eq!(seen(&mut cluster, &eve), (all.clone(), 3));
    let own = cluster.key();
    assert_eq!(seen(&mut cluster, &own), (all, 3));
    // Below the commands: what the id of another's task opens.
    let (mut anns, mut bobs) = (client(&cluster, &ann).expect("open"), client(&cluster, &bob).expect("open"));
    let explain = Question::Explain { task: ids[0].clone() };
    assert!(asked(&mut anns, &explain).0);
    let (is_ok, why) = asked(&mut bobs, &explain);
    assert!(!is_ok && why.contains("knows no such task"), "{why}");
    let drain = Question::Drain { worker: "any".to_owned(), within_ms: None };
    assert!(asked(&mut anns, &drain).1.contains("only an admin"));
    for (file, thief) in [(&bob, "bob"), (&eve, "eve"), (&rack, "rack")] {
        let refused = with_key(&mut cluster, file, &["cancel", &ids[0]]);
        assert!(!refused.status.success(), "{thief} has cancelled: {}", refused.stdout);
    }
    let refused = with_key(&mut cluster, &bob, &["cancel", "--all", "--owner", "ann"]);
    assert!(!refused.status.success() && refused.stderr.contains("bob may cancel"), "{}", refused.stderr);
    assert!(!with_key(&mut cluster, &eve, &["cancel", "--all"]).status.success());
    assert_eq!(cluster.status()["tasks_running"], 3);
    // Each command is a session of its own.
    assert!(with_key(&mut cluster, &ann, &["cancel", &ids[0]]).status.success());
    assert_eq!(with_key(&mut cluster, &bob, &["cancel", "--all"]).stdout, "1 task cancelled\n");
    cluster.wait_for_status("one running task", |status| status["tasks_running"] == 1);
    assert_eq!(
        with_key(&mut cluster, &own, &["cancel", "--all", "--owner", "bob"]).stdout,
        "0 tasks cancelled\n"
    );
    assert_eq!(
        with_key(&mut cluster, &own, &["cancel", "--all", "--owner", "ann"]).stdout,
        "1 task cancelled\n"
    );
}

// kind: keys | `argon key rotate` and `retire` while tasks run | right | no task is lost or runs twice, and the old key opens nothing afterwards
#[test]
fn a_new_cluster_key_under_load_loses_nothing_and_ends_the_old_one() {
    let mut cluster = Cluster::with_workers(&[2]);
    let old = cluster.folder().join("old.key");
    std::fs::copy(cluster.key(), &old).expect("copied, with its mode");
    let program = cluster.start_perl(&many_tasks(40, "0.05"));
    let wait_for_runs = |cluster: &Cluster, count: usize| {
        wait_for("runs", Duration::from_secs(20), || (lines(cluster, "ran").len() >= count).then_some(()));
    };
    wait_for_runs(&cluster, 3);
    assert!(key(&mut cluster, &["retire"]).stderr.contains("one cluster key only"));
    let rotated = key(&mut cluster, &["rotate"]);
    assert!(rotated.stdout.starts_with("pin "), "{}", rotated.stderr);
    assert_ne!(std::fs::read(&old).expect("there"), std::fs::read(cluster.key()).expect("there"));
    client(&cluster, &old).expect("the old key is valid");
    let new = cluster.key();
    client(&cluster, &new).expect("the new key is valid");
    let refused = key(&mut cluster, &["retire"]);
    assert!(refused.stderr.contains("opened with the old key"), "{}", refused.stderr);
    wait_for_runs(&cluster, 8);
    let retired = key(&mut cluster, &["retire", "--force"]);
    assert!(retired.status.success(), "{}", retired.stderr);
    assert_eq!(client(&cluster, &old).err(), Some(RefusalCode::Key));
    let finished = program.finish(Duration::from_secs(60));
    assert_eq!(finished.stdout, sum(40), "{}", finished.stderr);
    let twice: Vec<_> = counts(&cluster, "ran").into_iter().filter(|(_, count)| *count != 1).collect();
    assert_eq!(twice, [], "tasks ran twice");
    cluster.kill_manager();
    cluster.start_manager();
    assert_eq!(client(&cluster, &old).err(), Some(RefusalCode::Key));
    client(&cluster, &new).expect("the new key is valid");
}
