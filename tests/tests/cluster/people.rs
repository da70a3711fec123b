//! Keys of people: made, listed and revoked on a running manager, and what each of them opens.

use std::path::{Path, PathBuf};
use std::time::Duration;

use argon_proto::conversation::admin::{FromAdmin, Question, ToAdmin};
use argon_proto::conversation::client::{ToClient, ToManager};
use argon_proto::handshake::RefusalCode;
use argon_proto::holder::{Holder, KeyId};
use argon_proto::key::{Key, Role};
use argon_tests::{Cluster, Finished, WirePeer};
use serde_json::Value;

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
