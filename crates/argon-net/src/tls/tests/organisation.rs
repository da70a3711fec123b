//! Certificates of an organisation and their CA.

use super::*;

/// A CA, and a certificate for a name that it signed, as PEM files in a folder of their own.
struct Organisation {
    folder: tempfile::TempDir,
}

impl Organisation {
    fn new(name: &str, subject: &str, from: i32, until: i32) -> Self {
        let folder = tempfile::tempdir().expect("made");
        let mut ca = CertificateParams::new(Vec::new()).expect("parameters");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.distinguished_name.push(DnType::CommonName, format!("CA of {name}"));
        let ca_key = KeyPair::generate().expect("a key");
        let ca_pem = ca.self_signed(&ca_key).expect("signed").pem();
        let issuer = Issuer::new(ca, ca_key);
        let mut leaf = CertificateParams::new(vec![subject.to_owned()]).expect("parameters");
        (leaf.not_before, leaf.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
        let leaf_key = KeyPair::generate().expect("a key");
        let leaf_pem = leaf.signed_by(&leaf_key, &issuer).expect("signed").pem();
        let files = [("ca.pem", ca_pem), ("leaf.pem", leaf_pem), ("leaf.key", leaf_key.serialize_pem())];
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).expect("written");
        }
        Self { folder }
    }

    fn certificates(&self, key: &Key) -> Certificates {
        let [leaf, private] = ["leaf.pem", "leaf.key"].map(|name| self.folder.path().join(name));
        Certificates::of_files(key, &leaf, &private).expect("a certificate")
    }

    fn trust(&self) -> Trust {
        Trust::new(Encryption::Always, Some(&self.folder.path().join("ca.pem"))).expect("a CA")
    }
}

#[test]
fn a_manager_shows_the_certificate_of_an_organisation_and_is_trusted_by_its_ca() {
    run(async {
        let own = Organisation::new("own", "127.0.0.1", 2000, 4000);
        let port = Port::open_with(&key(1), own.certificates(&key(1)), false).await;
        let without_pin = key(1).for_role(Role::Client).expect("derived");
        for dialler in [&key(1), &without_pin] {
            let connected = dial(&port.address, dialler, Role::Client, &own.trust()).await.expect("trusted");
            assert_eq!(connected.stream.channel(), port.admitted().await.channel());
        }
        let error = port.dial(&key(1)).await.expect_err("another pin").to_string();
        assert!(error.contains("--tls-ca"), "{error}");
    });
}

#[test]
fn what_is_wrong_with_the_certificate_of_an_organisation_is_a_sentence() {
    run(async {
        let other = Organisation::new("other", "127.0.0.1", 2000, 4000);
        for (name, subject, from, until, expected) in [
            ("foreign", "127.0.0.1", 2000, 4000, "was not signed by the CA in"),
            ("late", "127.0.0.1", 2000, 2001, "check the clock"),
            ("early", "127.0.0.1", 3000, 4000, "check the clock"),
            ("named", "mgrhost.example", 2000, 4000, "is for another name"),
        ] {
            let shown = Organisation::new(name, subject, from, until);
            let port = Port::open_with(&key(1), shown.certificates(&key(1)), false).await;
            let trust = if name == "foreign" { other.trust() } else { shown.trust() };
            let error = dial(&port.address, &key(1), Role::Client, &trust).await.expect_err(name).to_string();
            assert!(error.contains(expected), "{name}: {error}");
        }
        let port = Port::open(&key(1)).await;
        let error =
            dial(&port.address, &key(1), Role::Client, &other.trust()).await.expect_err("self-signed");
        assert!(error.to_string().contains("leave out --tls-ca"), "{error}");
    });
}

#[test]
fn a_certificate_and_a_key_that_do_not_belong_together_are_refused() {
    let [one, other] =
        ["fits-one", "fits-other"].map(|name| Organisation::new(name, "127.0.0.1", 2000, 4000));
    let refused = Certificates::of_files(
        &key(1),
        &one.folder.path().join("leaf.pem"),
        &other.folder.path().join("leaf.key"),
    );
    assert!(refused.expect_err("they differ").to_string().contains("leaf.pem"));
    let missing = Certificates::of_files(
        &key(1),
        &one.folder.path().join("leaf.pem"),
        &one.folder.path().join("none.key"),
    );
    assert!(missing.expect_err("there is none").to_string().contains("none.key"));
}
