//! Requests about the keys of people: makes them, lists them, and puts them out of force.

use std::time::{SystemTime, UNIX_EPOCH};

use argon_core::scheduler::ConnId;
use argon_net::random;
use argon_proto::conversation::admin::{KeyAdded, KeyList, KeysRevoked};
use argon_proto::handshake::{Proven, RefusalCode};
use argon_proto::holder::{Holder, KeyId, OwnerName};
use argon_proto::key::Role;

use crate::manager::event_loop::ManagerLoop;
use crate::manager::key_book::revoked_words;
use crate::manager::peers::{AdmittedPeer, Port};

impl ManagerLoop {
    /// A peer has proven its key. Between that and now the key may have been revoked.
    pub(in crate::manager) fn on_admitted(&mut self, link: ConnId, proven: Proven, port: Port, from: String) {
        tracing::debug!("{} {from} connected", proven.role.name());
        let checked = self.people.borrow_mut().check(&proven);
        self.shell_counts.admit(proven.role);
        self.peers.insert(link, AdmittedPeer::new(port, proven, from));
        if let Err(refusal) = checked {
            self.expel(link, refusal.code, &refusal.message);
        }
    }

    /// Ends the connection of a peer whose key is in force no longer.
    fn expel(&mut self, link: ConnId, code: RefusalCode, why: &str) {
        if let Some(peer) = self.peers.get_mut(&link) {
            peer.is_expelled = true;
            self.refuse(link, code, why);
        }
    }

    pub(super) fn add_key(&mut self, name: &str, role: &str) -> Result<KeyAdded, String> {
        let name: OwnerName = name.parse().map_err(|error| format!("'{}': {error}", printable(name)))?;
        let role = Role::from_name(role).ok_or("people have the role client, worker or observer")?;
        let id = KeyId(random::bytes().map_err(|error| format!("no random number can be had: {error}"))?);
        let mut people = self.people.borrow_mut();
        let key = people.add(name, role, id, now_s())?;
        tracing::info!("{} has a new key for the role {}: {}", key.name, key.role, key.id);
        Ok(KeyAdded { key, file: people.file().map(|file| file.display().to_string()) })
    }

    pub(super) fn list_keys(&self) -> KeyList {
        let mut people = self.people.borrow_mut();
        let file = people.file().map(|file| file.display().to_string());
        KeyList { keys: people.list(), file, cluster: self.valid_keys() }
    }

    /// Puts keys out of force, and ends what was opened with them: also the connections that a worker relays for its tasks.
    pub(super) fn revoke_key(&mut self, named: &str) -> Result<KeysRevoked, String> {
        let keys = self.people.borrow_mut().revoke(named, now_s())?;
        let is_meant = |holder: &Holder| keys.iter().any(|key| key.id == holder.id);
        let expelled = self.peers.iter().filter(|(_, peer)| !peer.is_expelled);
        let expelled = expelled.filter_map(|(link, peer)| Some((*link, peer.proven.holder.clone()?)));
        let expelled: Vec<(ConnId, Holder)> = expelled.filter(|(_, holder)| is_meant(holder)).collect();
        for (link, holder) in &expelled {
            self.expel(*link, RefusalCode::Key, &revoked_words(holder));
        }
        for key in &keys {
            tracing::info!("the key {} of {} for the role {} is revoked", key.id, key.name, key.role);
        }
        Ok(KeysRevoked { keys, closed: expelled.len() })
    }
}

/// Seconds since 1970.
fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

fn printable(text: &str) -> String {
    argon_proto::line::clean_up_to(text, 50).into_owned()
}
