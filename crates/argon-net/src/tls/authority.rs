//! Reasons for a dialler to trust a certificate: its pin, or an organisation's CA.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use argon_proto::key::Pin;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// An option, variable or file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TrustError(pub(crate) String);

/// Certificate that a manager must show.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Expected {
    /// The one with this pin.
    Pin(Pin),
    /// Any: what follows must prove the manager.
    Any,
    /// Certificate that the CA of a file signed for the manager's name.
    Authority(Arc<Authority>),
}

/// The certificates of a file, each of which may sign a manager's.
#[derive(Debug)]
pub(crate) struct Authority {
    pub(crate) file: PathBuf,
    pub(crate) roots: Arc<RootCertStore>,
}

impl PartialEq for Authority {
    fn eq(&self, other: &Self) -> bool {
        self.file == other.file && self.roots.roots == other.roots.roots
    }
}

impl Eq for Authority {}

impl Authority {
    pub(crate) fn read(file: &Path) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(file)? {
            let added = roots.add(certificate);
            added.map_err(|error| {
                TrustError(format!("{} has a certificate that cannot be read: {error}", file.display()))
            })?;
        }
        Ok(Self { file: file.to_owned(), roots: Arc::new(roots) })
    }
}

/// The certificates of a PEM file: at least one.
pub(crate) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let failed =
        |why: String| TrustError(format!("the certificate file {} cannot be used: {why}", file.display()));
    let text = std::fs::read(file).map_err(|error| failed(error.to_string()))?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let all = all.map_err(|error| failed(error.to_string()))?;
    if all.is_empty() { Err(failed("there is no certificate in it (PEM)".to_owned())) } else { Ok(all) }
}
