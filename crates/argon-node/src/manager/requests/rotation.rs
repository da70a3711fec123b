//! Requests that replace the cluster key: two keys are valid until the older one is retired.

use argon_core::scheduler::ConnId;
use argon_net::accept::RETIRED;
use argon_proto::conversation::admin::{ClusterKey, KeyRotated};
use argon_proto::handshake::RefusalCode;

use crate::manager::event_loop::ManagerLoop;

impl ManagerLoop {
    /// The cluster keys that open this manager, the newest first, and the connections that were opened with each.
    pub(super) fn valid_keys(&self) -> Vec<ClusterKey> {
        let held = self.cluster_keys.open.borrow();
        let of = |number: usize| self.peers.values().filter(|peer| peer.proven.key == number).count();
        let mut keys: Vec<ClusterKey> = (held.retired..)
            .zip(&held.keys)
            .filter_map(|(number, key)| {
                let pin = argon_net::identity::expected_pin(key)?.to_string();
                Some(ClusterKey { pin, connections: of(number) })
            })
            .collect();
        keys.reverse();
        keys
    }

    pub(super) fn rotate_key(&mut self) -> Result<KeyRotated, String> {
        let Some(present) = self.cluster_keys.open.borrow().keys.last().cloned() else {
            return Err("this manager has no key".to_owned());
        };
        let new = self.cluster_keys.files.rotate(&present)?;
        self.scheduler.set_capabilities(self.cluster_keys.files.capabilities(&new));
        self.cluster_keys.open.borrow_mut().add(new);
        tracing::info!("a new cluster key was made; the old one is valid until it is retired");
        Ok(self.rotated())
    }

    /// Ends the older key, and the connections that were opened with it: they may come back with the new one.
    pub(super) fn retire_key(&mut self, asker: ConnId, force: bool) -> Result<KeyRotated, String> {
        let number = self.cluster_keys.open.borrow().retired;
        let is_old = |link: &ConnId| self.peers.get(link).is_some_and(|peer| peer.proven.key == number);
        let mut old: Vec<ConnId> = self.peers.keys().copied().filter(is_old).collect();
        if self.cluster_keys.open.borrow().keys.len() > 1 && !force {
            let others = old.iter().filter(|link| **link != asker).count();
            if others > 0 {
                return Err(format!(
                    "{others} connections were opened with the old key and are closed when it ends; where the key file is \
                     new already, they come back at once. 'argon key retire --force' ends it"
                ));
            }
        }
        let Some(newest) = self.cluster_keys.open.borrow().keys.last().cloned() else {
            return Err("this manager has no key".to_owned());
        };
        self.cluster_keys.files.retire()?;
        self.scheduler.set_capabilities(self.cluster_keys.files.capabilities(&newest));
        self.cluster_keys.open.borrow_mut().retire_oldest();
        // The answer comes before the end of the asker's connection, which ends by itself.
        old.retain(|link| *link != asker);
        for link in old {
            self.refuse(link, RefusalCode::Busy, RETIRED);
        }
        tracing::info!("the old cluster key is retired");
        Ok(self.rotated())
    }

    fn rotated(&mut self) -> KeyRotated {
        let pin = self.cluster_keys.open.borrow().certificates.pin();
        self.newcomers.set_pin(pin);
        if let Some(encryption) = &mut self.encryption {
            encryption.pin = pin;
        }
        let file = self.cluster_keys.files.file().map(|file| file.display().to_string());
        KeyRotated { keys: self.valid_keys(), file }
    }
}
