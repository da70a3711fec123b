//! Two network namespaces joined by a cable that can be cut, in both directions or in one.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::staged::Place;

/// The addresses exist inside of the two namespaces only.
pub(crate) const HERE: &str = "10.77.1.1";
pub(crate) const THERE: &str = "10.77.1.2";
const CABLE: &str = "cable";
const PREFIX: &str = "argon-test-";

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Way in which a cable is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cut {
    /// The link is down.
    BothWays,
    /// Packets of the manager's side are lost.
    FromHere,
    /// Packets of the other side are lost.
    FromThere,
}

/// The namespaces. They go with this value.
#[derive(Debug)]
pub(crate) struct Network {
    here: String,
    there: String,
}

impl Network {
    /// Two hosts that reach each other.
    pub(crate) fn new() -> Self {
        remove_those_of_dead_tests();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = |side: &str| format!("{PREFIX}{}-{number}-{side}", std::process::id());
        let network = Self { here: name("here"), there: name("there") };
        for namespace in [&network.here, &network.there] {
            let made = ip(&["netns", "add", namespace]);
            assert!(
                made.is_ok(),
                "this test cuts a network of its own and needs network namespaces for that: the superuser's rights \
                 (CAP_NET_ADMIN and CAP_SYS_ADMIN) and the command 'ip' of iproute2. What came of it here: {made:?}"
            );
            must(&["-n", namespace, "link", "set", "lo", "up"]);
        }
        must(&[
            "-n",
            &network.here,
            "link",
            "add",
            CABLE,
            "type",
            "veth",
            "peer",
            "name",
            CABLE,
            "netns",
            &network.there,
        ]);
        for (namespace, address) in [(&network.here, HERE), (&network.there, THERE)] {
            must(&["-n", namespace, "address", "add", &format!("{address}/30"), "dev", CABLE]);
            must(&["-n", namespace, "link", "set", CABLE, "up"]);
        }
        network
    }

    /// Place of the manager.
    pub(crate) fn here(&self) -> Place {
        place(&self.here)
    }

    /// The other end of the cable.
    pub(crate) fn there(&self) -> Place {
        place(&self.there)
    }

    pub(crate) fn cut(&self, cut: Cut) {
        match cut {
            Cut::BothWays => must(&["-n", &self.here, "link", "set", CABLE, "down"]),
            Cut::FromHere => must(&["-n", &self.here, "route", "add", "blackhole", THERE]),
            Cut::FromThere => must(&["-n", &self.there, "route", "add", "blackhole", HERE]),
        }
    }

    /// Packets of more than `bytes` bytes from here vanish, as in a VPN whose MTU is wrong: no machine reports it.
    pub(crate) fn lose_large(&self, bytes: u32) {
        // One packet at a time: the devices let a bundle of packets pass whatever its length is.
        must(&["-n", &self.here, "link", "set", CABLE, "gso_max_segs", "1"]);
        // The other end drops what exceeds its size, and announces the usual one.
        must(&["-n", &self.there, "link", "set", CABLE, "mtu", &bytes.to_string()]);
        must(&["-n", &self.there, "route", "replace", HERE, "dev", CABLE, "src", THERE, "advmss", "1460"]);
    }

    pub(crate) fn mend(&self, cut: Cut) {
        match cut {
            Cut::BothWays => must(&["-n", &self.here, "link", "set", CABLE, "up"]),
            Cut::FromHere => must(&["-n", &self.here, "route", "del", "blackhole", THERE]),
            Cut::FromThere => must(&["-n", &self.there, "route", "del", "blackhole", HERE]),
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for namespace in [&self.here, &self.there] {
            let _ = ip(&["netns", "del", namespace]);
        }
    }
}

/// A test that was killed could not clean up.
fn remove_those_of_dead_tests() {
    let list = ip(&["netns", "list"]).unwrap_or_default();
    for name in list.lines().filter_map(|line| line.split_whitespace().next()) {
        let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = ip(&["netns", "del", name]);
        }
    }
}

fn place(namespace: &str) -> Place {
    ["ip", "netns", "exec", namespace].map(str::to_owned).to_vec()
}

fn must(arguments: &[&str]) {
    ip(arguments).unwrap();
}

/// Output of `ip`, or the reason why it failed.
fn ip(arguments: &[&str]) -> Result<String, String> {
    let said = Command::new("ip").args(arguments).output();
    let said = said.map_err(|error| format!("'ip' cannot be started: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if said.status.success() {
        Ok(text(&said.stdout))
    } else {
        Err(format!("'ip {}': {}", arguments.join(" "), text(&said.stderr)))
    }
}
