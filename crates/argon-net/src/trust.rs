//! Encrypted connections, and how a manager is recognised: by the pin of the key, or by an organisation's CA.
//!
//! A [`Trust`] also keeps the TLS session tickets of its managers, so clones of it reconnect with less work.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use argon_proto::key::Pin;
use rustls::ClientConfig;

pub use crate::tls::authority::TrustError;

use crate::tls::authority::{Authority, Expected};
use crate::tls::connect::client_config;

/// Variable with which plain text is spoken everywhere.
pub const INSECURE_PLAINTEXT: &str = "ARGON_INSECURE_PLAINTEXT";
/// Variable that names the file of a CA.
pub const TLS_CA: &str = "ARGON_TLS_CA";
/// Variable that is `always` where connections on loopback are encrypted, too.
pub const TLS: &str = "ARGON_TLS";

/// Connections that are encrypted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Encryption {
    /// All that leave the machine.
    #[default]
    Auto,
    /// All.
    Always,
    /// None.
    Never,
}

/// Demands of a dialler on a connection and on the manager at its other end.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    encryption: Encryption,
    authority: Option<Arc<Authority>>,
    /// True for a machine that has no key, and learns from it which manager to trust.
    is_newcomer: bool,
    /// The configuration that was used last, with its tickets.
    last: Arc<Mutex<Option<Last>>>,
}

#[derive(Debug)]
struct Last {
    expected: Expected,
    config: Arc<ClientConfig>,
}

/// For machines without a key.
#[cfg(feature = "listen")]
impl Trust {
    /// Encrypts all connections.
    pub(crate) fn always(&self) -> Self {
        Self { encryption: Encryption::Always, ..self.clone() }
    }

    /// Encrypts all connections, and trusts any certificate unless a CA is given.
    pub(crate) fn of_newcomer(&self) -> Self {
        let authority = self.authority.clone();
        Self { encryption: Encryption::Always, authority, is_newcomer: true, last: Arc::default() }
    }

    /// True if a CA vouches for managers.
    pub(crate) fn has_authority(&self) -> bool {
        self.authority.is_some()
    }
}

impl Trust {
    /// Demands this encryption, and the certificate of a CA if `tls_ca` names its file (PEM).
    ///
    /// # Errors
    /// If the file cannot be read, or holds no certificate.
    pub fn new(encryption: Encryption, tls_ca: Option<&Path>) -> Result<Self, TrustError> {
        let authority = tls_ca.map(Authority::read).transpose()?.map(Arc::new);
        Ok(Self { encryption, authority, ..Self::default() })
    }

    /// Demands what is given, and otherwise what the variables of the environment say.
    ///
    /// # Errors
    /// If a variable has a value without a meaning, or the CA cannot be read.
    pub fn given(insecure_plaintext: Option<bool>, tls_ca: Option<&Path>) -> Result<Self, TrustError> {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let plain = match insecure_plaintext {
            Some(plain) => plain,
            None => variable(INSECURE_PLAINTEXT).map_or(Ok(false), |value| match value.to_str() {
                Some("1" | "true") => Ok(true),
                Some("0" | "false") => Ok(false),
                _ => Err(TrustError(format!("{INSECURE_PLAINTEXT} must be 1 or 0"))),
            })?,
        };
        let always = variable(TLS).map_or(Ok(false), |value| match value.to_str() {
            Some("always") => Ok(true),
            Some("auto") => Ok(false),
            _ => Err(TrustError(format!("{TLS} must be 'always' or 'auto'"))),
        })?;
        let encryption = match (plain, always) {
            (true, _) => Encryption::Never,
            (false, true) => Encryption::Always,
            (false, false) => Encryption::Auto,
        };
        let named = variable(TLS_CA);
        Self::new(encryption, tls_ca.or(named.as_deref().map(Path::new)))
    }

    /// True if a connection to a peer with this address is encrypted.
    pub(crate) fn encrypts(&self, peer: std::net::IpAddr) -> bool {
        match self.encryption {
            Encryption::Auto => !peer.to_canonical().is_loopback(),
            Encryption::Always => true,
            Encryption::Never => false,
        }
    }

    /// Certificate that a manager must show; `None` if there is neither a pin nor a CA.
    pub(crate) fn expected(&self, pin: impl FnOnce() -> Option<Pin>) -> Option<Expected> {
        match &self.authority {
            Some(authority) => Some(Expected::Authority(Arc::clone(authority))),
            None if self.is_newcomer => Some(Expected::Any),
            None => pin().map(Expected::Pin),
        }
    }

    /// The configuration for connections to managers with that certificate.
    pub(crate) fn config(&self, expected: &Expected) -> Arc<ClientConfig> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = last.as_ref().filter(|last| last.expected == *expected) {
            return Arc::clone(&last.config);
        }
        let config = Arc::new(client_config(expected));
        *last = Some(Last { expected: expected.clone(), config: Arc::clone(&config) });
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_plain_and_everything_else_encrypted_unless_that_is_said() {
        let of = |encryption, address: &str| {
            let trust = Trust::new(encryption, None).expect("no file is read");
            trust.encrypts(address.parse().expect("an address"))
        };
        for loopback in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(!of(Encryption::Auto, loopback), "{loopback}");
            assert!(of(Encryption::Always, loopback) && !of(Encryption::Never, loopback));
        }
        for other in ["10.0.0.1", "0.0.0.0", "192.168.1.1", "fe80::1", "::ffff:10.0.0.1", "::"] {
            assert!(of(Encryption::Auto, other) && of(Encryption::Always, other), "{other}");
            assert!(!of(Encryption::Never, other), "{other}");
        }
    }

    #[test]
    fn a_ca_that_cannot_be_read_is_refused_by_name() {
        let refused = Trust::new(Encryption::Auto, Some(Path::new("/nowhere/ca.pem"))).expect_err("no file");
        assert!(refused.to_string().contains("/nowhere/ca.pem"), "{refused}");
        let empty = Trust::new(Encryption::Auto, Some(Path::new("/dev/null"))).expect_err("no certificate");
        assert!(empty.to_string().contains("no certificate"), "{empty}");
    }

    #[test]
    fn sessions_are_kept_for_one_expectation() {
        let trust = Trust::default();
        let [one, other] = [1, 2].map(|byte| Expected::Pin(Pin([byte; 32])));
        let first = trust.config(&one);
        assert!(Arc::ptr_eq(&first, &trust.clone().config(&one)));
        assert!(!Arc::ptr_eq(&first, &trust.config(&other)));
    }
}
