//! Two machines on one network that reach each other by name, each user with its own home.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use argon_tests::{Finished, Process, argon};

use crate::partitions::network::{HERE, Network, THERE};
use crate::staged::Place;
use crate::support::Folder;

pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Forwards connections from one address to another, and writes what passes to a file.
const RELAY: &str = r#"
use strict; use warnings; use IO::Socket::INET; use IO::Select;
my ($from, $to, $file) = @ARGV;
open my $seen, '>>', $file or die; binmode $seen; $seen->autoflush;
my $door = IO::Socket::INET->new(LocalAddr => $from, Listen => 64, ReuseAddr => 1) or die "$from: $!";
print 'argon-ready addr=', $door->sockhost, ':', $door->sockport, "\n"; STDOUT->flush;
my $all = IO::Select->new($door); my %other;
while (1) {
    for my $socket ($all->can_read) {
        if ($socket == $door) {
            my $in = $door->accept or next;
            my $out = IO::Socket::INET->new(PeerAddr => $to) or next;
            @other{$in, $out} = ($out, $in); $all->add($in, $out); next;
        }
        my $other = $other{$socket} or next;
        if (sysread $socket, my $bytes, 65536) { print {$seen} $bytes; print {$other} $bytes; $other->flush; next }
        delete @other{$socket, $other}; $all->remove($socket, $other); close $_ for $socket, $other;
    }
}
"#;

/// Two machines on one network. On both, `mgrhost` and `somehost` are the first and `workerhost` the second.
pub(crate) struct Machines {
    pub(crate) folder: Folder,
    network: Network,
    started: u32,
}

#[derive(Clone, Copy)]
pub(crate) enum At {
    First,
    Second,
}

impl Machines {
    pub(crate) fn new(name: &str) -> Self {
        let folder = Folder::new(name);
        let names = format!("127.0.0.1 localhost\n{HERE} mgrhost somehost\n{THERE} workerhost\n");
        fs::write(folder.path().join("hosts"), names).unwrap();
        Self { folder, network: Network::new(), started: 0 }
    }

    /// A command on a machine, of a user with this home.
    pub(crate) fn command(&self, at: At, home: &str, words: &[&str]) -> Command {
        let mut place: Place = match at {
            At::First => self.network.here(),
            At::Second => self.network.there(),
        };
        let own_names = "mount --bind \"$1\" /etc/hosts && shift && exec \"$@\"";
        place.extend(["unshare", "-m", "sh", "-c", own_names, "sh"].map(str::to_owned));
        place.push(self.folder.file("hosts"));
        let mut command = Command::new(&place[0]);
        command.args(&place[1..]).args(words).current_dir(self.folder.path());
        for variable in ["ARGON_KEY", "ARGON_MANAGER", "XDG_CONFIG_HOME", "XDG_STATE_HOME"] {
            command.env_remove(variable);
        }
        command.env("HOME", self.folder.path().join(home));
        command
    }

    pub(crate) fn start(&mut self, command: Command, name: &str) -> Process {
        self.started += 1;
        Process::start(command, self.folder.path(), &format!("{name}-{}", self.started))
    }

    /// Starts `argon` on a machine.
    pub(crate) fn argon(&mut self, at: At, home: &str, words: &str) -> Process {
        let program = argon().display().to_string();
        let all: Vec<&str> = [program.as_str()].into_iter().chain(words.split_whitespace()).collect();
        let command = self.command(at, home, &all);
        self.start(command, all[1])
    }

    /// Runs `argon` on a machine to its end.
    pub(crate) fn ask(&mut self, at: At, home: &str, words: &str) -> Finished {
        self.argon(at, home, words).finish(SOON)
    }

    /// Copies the key of a role from the first machine's home to another home, as `~/.config/argon/key`.
    pub(crate) fn give_key(&mut self, role: &str, home: &str) {
        let config = self.folder.path().join(home).join(".config/argon");
        fs::create_dir_all(&config).unwrap();
        let file = config.join("key").display().to_string();
        let made = self.ask(At::First, "manager", &format!("key --role {role} --out {file}"));
        assert!(made.status.success(), "{}", made.stderr);
    }

    /// Starts a relay on the first machine, and returns its address and the file with what passes.
    pub(crate) fn relay(&mut self, from: &str, to: &str) -> (Process, String, PathBuf) {
        let file = self.folder.path().join(format!("seen-{}", self.started));
        fs::write(&file, "").unwrap();
        let words = ["perl", "-e", RELAY, from, to, &file.display().to_string()];
        let command = self.command(At::First, "relay", &words);
        let mut relay = self.start(command, "relay");
        let address = relay.ready("addr");
        (relay, address, file)
    }
}
